//! A fleet that the server has never met, and its first contact.

use super::{
    drive::AT_ONCE,
    known::{address_of, place_of},
};
use app::{Actor, App, NewCustomer, NewPlan, NewService, WifiInput};
use sim::{
    cpe::{Fleet, FleetConfig, FleetHandle, behaviour::Management},
    scenario::Scenario,
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use store::{Presence, onus, rows};
use types::{OltId, Secret, Serial};

/// Longest wait for the fleet to become ACTIVE.
const SETTLE_WITHIN: Duration = Duration::from_secs(1_200);
const SYSTEM: Actor = Actor::System("bench");

pub(crate) fn scenario(devices: usize) -> Scenario {
    let mut scenario = Scenario::small().unwrap();
    let mut group = scenario.groups[0].clone();
    group.count = devices;
    group.serials.clear();
    group.serial_prefix = "HWTC".to_owned();
    scenario.groups = vec![group];
    scenario.network.accept_unknown_logins = true;
    let t = &mut scenario.timing;
    (t.boot_ms, t.pppoe_ms, t.ntp_ms, t.connection_request_ms) = (500, 300, 300, 50);
    t.inform_interval_s = 20;
    scenario
}

/// Customers with services, and ONUs that an OLT calls online.
pub(crate) async fn seed(app: &App, scenario: &Scenario) {
    let mut policy = (*app.policy()).clone();
    policy.management_networks = vec!["127.0.0.0/8".parse().unwrap()];
    policy.olt_word_valid_s = 86_400;
    let p = &mut policy.provisioning;
    (p.cool_down_s, p.verify_delay_s, p.connection_request_gap_s) = (5, 2, 2);
    (p.inform_interval_s, p.inform_spread_s) = (60, 10);
    app.set_acs_policy(&SYSTEM, policy, None).await.unwrap();
    let plan = NewPlan {
        name: "Home 100".to_owned(),
        down_kbps: 100_000,
        up_kbps: 50_000,
        price_minor: 2_490,
        currency: "EUR".parse().unwrap(),
        internet_mode: "pppoe".to_owned(),
        vlan: Some(100),
    };
    let plan = app.create_plan(&SYSTEM, plan).await.unwrap();
    let olt = app::NewOlt {
        name: "BENCH".to_owned(),
        vendor_profile: "huawei_smartax".to_owned(),
        address: "127.0.0.1".to_owned(),
        port: 1,
        protocol: store::OltProtocol::Ssh,
        username: "nobody".to_owned(),
        password: Some(Secret::new("nobody")),
        legacy_algorithms: false,
        snmp_community: None,
        snmp_port: 161,
        defaults: app::OltDefaults::default(),
    };
    let olt = app.add_olt(&SYSTEM, olt).await.unwrap();
    for (number, onu) in scenario.onus().unwrap().into_iter().enumerate() {
        let wanted = onu.service.as_ref().unwrap();
        let customer = NewCustomer { name: format!("Customer {number}"), ..NewCustomer::default() };
        let customer = app.create_customer(&SYSTEM, customer).await.unwrap();
        let service = NewService {
            customer_id: customer,
            plan_id: plan,
            pppoe_login: wanted.pppoe_login.clone(),
            pppoe_password: Some(wanted.pppoe_password.clone()),
            wifi: Some(WifiInput {
                ssid: wanted.ssid.clone(),
                passphrase: Some(wanted.passphrase.clone()),
                enabled: true,
            }),
            expected_serial: Some(onu.serial),
            address: String::new(),
        };
        app.create_service(&SYSTEM, service).await.unwrap();
        online(app, olt, onu.serial, number).await;
    }
}

async fn online(app: &App, olt: OltId, serial: Serial, number: usize) {
    let now = app.now();
    let (pon, onu_id) = place_of(number);
    let onu = rows::Onu::planned(olt, pon, onu_id, serial, now);
    app.store()
        .write::<_, _, store::StoreError>(move |tx| {
            Box::pin(async move {
                let id = tx.insert(&onu).await?;
                // Nobody speaks to this OLT; it said all that it will.
                let word =
                    serde_json::json!({ "management": { "read_at": now, "cannot_tell": "it is none" } });
                let seen = onus::OnuObservation {
                    presence: Presence::InService,
                    observed: Some(word),
                    at: now,
                    ..Default::default()
                };
                onus::observe(tx, id, seen).await?;
                Ok(())
            })
        })
        .await
        .unwrap();
}

/// Lets the whole fleet come up; returns the sessions it had and the time it took.
pub(crate) async fn meet(scenario: &Scenario, acs: SocketAddr, devices: usize) -> (u64, Duration) {
    let mut config = FleetConfig::new(scenario.clone());
    config.behind_olt = false;
    config.max_sessions = AT_ONCE;
    let fleet: FleetHandle = Fleet::start(config).unwrap();
    let began = Instant::now();
    for (number, serial) in fleet.serials().into_iter().enumerate() {
        let management = Management {
            address: address_of(number),
            acs_url: format!("http://{acs}/"),
            username: String::new(),
            password: String::new(),
            vlan: None,
        };
        fleet.power_on(serial, management).unwrap();
    }
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await; // tidy: allow(sleep) looks at the record now and then
        let record = fleet.record();
        let up = record.cpes.values().filter(|cpe| cpe.wan_up().is_some()).count();
        eprint!("\r{up} of {devices} WANs up   ");
        if up == devices {
            break;
        }
        assert!(began.elapsed() < SETTLE_WITHIN, "{up} of {devices} WANs came up");
    }
    // The last verification follows the WAN.
    tokio::time::sleep(Duration::from_secs(30)).await; // tidy: allow(sleep) lets the last verifications pass
    eprintln!();
    let took = began.elapsed();
    let sessions = fleet.tally().sessions;
    fleet.shutdown().await;
    (sessions, took)
}
