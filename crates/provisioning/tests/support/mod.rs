//! A small CPE in memory, a shell around the machine with a virtual clock, and the invariants, checked at every
//! step.
#![allow(dead_code, unreachable_pub, unused_imports)] // each test binary uses its own part

mod cpe;
mod invariants;
mod shell;

pub use cpe::{Cpe, Quirks, Refusal, TestRun, Told};
pub use invariants::is_repair;
pub use shell::{Ending, Recording, Shell};

use profiles::cpe::ProfileSet;
use provisioning::{
    AccessIntent, Band, Context, Intents, InternetIntent, InternetMode, Ipv6Mode, OwnershipCredentials,
    Policy, WifiIntent, WifiSecurity, Wish,
};
use types::{Secret, UtcMs};

/// 2026-11-21T10:00:00Z
pub const START: UtcMs = UtcMs(1_795_255_200_000);

pub const PPPOE_PASSWORD: &str = "pppoe-secret-42";
pub const WIFI_PASSPHRASE: &str = "wifi-secret-42";

pub fn internet(vlan: Option<u16>) -> InternetIntent {
    InternetIntent {
        mode: InternetMode::Pppoe { username: "s-10001@isp".into(), password: Secret::new(PPPOE_PASSWORD) },
        vlan,
        priority: None,
        nat: true,
        ipv6: Ipv6Mode::Off,
        bind: Vec::new(),
        policy_routes: false,
        suspended: false,
        mtu: None,
    }
}

pub fn wifi(band: Band, ssid: &str) -> WifiIntent {
    WifiIntent {
        band,
        enabled: true,
        ssid: ssid.into(),
        passphrase: Secret::new(WIFI_PASSPHRASE),
        security: WifiSecurity::Wpa2,
    }
}

pub fn intents(vlan: Option<u16>) -> Intents {
    Intents {
        version: 1,
        internet: Some(internet(vlan)),
        access: Some(AccessIntent { wifi: vec![wifi(Band::Ghz2_4, "Lighthouse")], lan: None }),
    }
}

pub fn policy() -> Policy {
    Policy { ntp_servers: vec!["10.20.0.1".into()], verify_delay_s: 15, ..Policy::default() }
}

/// What an event says of the intents of this context.
pub fn wish(context: &Context) -> Wish {
    Wish::of(context.intents.as_ref(), &context.fingerprint_key)
}

pub fn context(intents: Option<Intents>) -> Context {
    Context {
        intents,
        profiles: ProfileSet::builtin(),
        learned: Vec::new(),
        orders: Vec::new(),
        family: None,
        policy: policy(),
        credentials: Some(OwnershipCredentials {
            username: "lk-00259E-1".into(),
            password: Secret::new("own-secret-1"),
            connection_request_username: "lk-cr-1".into(),
            connection_request_password: Secret::new("own-secret-2"),
        }),
        fingerprint_key: Secret::new("test-key"),
    }
}
