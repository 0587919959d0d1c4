//! Simulated CPEs against the server: each habit of real devices leads through a whole session, and back again by a
//! connection request.

mod common;

use acs::HttpConnectionRequester;
use app::ports::{
    AuthLevel, ConnectionRequestOutcome, ConnectionRequestTarget, ConnectionRequester, DeviceReply,
    DeviceRequest, SessionEnd,
};
use common::*;
use provisioning::{SetValue, ValueKind, WriteValue};
use sim::{
    cpe::{Fleet, FleetConfig, FleetHandle, behaviour::Management},
    scenario::Scenario,
};
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};
use types::{Secret, Serial};

const SERIAL: &str = "HWTC5A000001";
static NEXT_ADDRESS: AtomicU8 = AtomicU8::new(1);
const MANAGEMENT: &str = "InternetGatewayDevice.ManagementServer.";

fn fleet(quirks: &str) -> FleetHandle {
    let text = format!(
        "title = \"one device\"\nseed = 3\n\
         [timing]\nboot_ms = 10\nretry_ms = 20\nconnection_request_ms = 10\nconnection_request_gap_ms = 1\n\
         [[olt]]\nname = \"OLT\"\n\
         [[plan]]\nname = \"Home\"\ndown_kbps = 1\nup_kbps = 1\nvlan = 100\n\
         [[group]]\nname = \"one\"\nserials = [\"{SERIAL}\"]\nmodel = \"hg8546m\"\n\
         service = {{ customers = [\"Jörg\"], plan = \"Home\" }}\nexpect = {{ state = \"ACTIVE\" }}\n\
         [group.quirks]\nretry = \"eager\"\n{quirks}\n"
    );
    let scenario = Scenario::parse(&text).unwrap_or_else(|error| panic!("{quirks}: {error}"));
    Fleet::start(FleetConfig::new(scenario)).unwrap_or_else(|error| panic!("{quirks}: {error}"))
}

fn requests() -> Vec<DeviceRequest> {
    let set = |name: &str, value: &str, kind| SetValue {
        path: format!("{MANAGEMENT}{name}"),
        value: WriteValue::Plain(value.into()),
        kind,
    };
    vec![
        DeviceRequest::GetNames { path: MANAGEMENT.into(), next_level: true },
        DeviceRequest::GetValues { paths: vec![format!("{MANAGEMENT}PeriodicInformInterval")] },
        DeviceRequest::SetValues {
            values: vec![
                set("PeriodicInformInterval", "3600", ValueKind::UnsignedInt),
                set("ConnectionRequestUsername", "lightkeeper & <co>", ValueKind::String),
                set("ConnectionRequestPassword", "s3cret \"ü\"", ValueKind::String),
            ],
            key: "key-1".into(),
        },
        DeviceRequest::AddObject {
            path: "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.".into(),
            key: "key-2".into(),
        },
        DeviceRequest::GetNames { path: "InternetGatewayDevice.Nothing.".into(), next_level: true },
    ]
}

/// Follows the device to the clean end of a session, through whatever sessions fail before; gives the replies of
/// all of them.
async fn clean_end(heard: &mut Heard, serial: &str) -> Vec<DeviceReply> {
    let mut replies = Vec::new();
    loop {
        match heard.next().await {
            Said::Ended(_, SessionEnd::Clean) => return replies,
            Said::Replied(from, reply) => {
                assert_eq!(from, serial);
                replies.push(reply);
            }
            Said::Began { level, .. } => assert_eq!(level, AuthLevel::Own),
            Said::Ready(_)
            | Said::Noticed(..)
            | Said::Refused(_)
            | Said::NoFile(_)
            | Said::AnothersCertificate { .. }
            | Said::Ended(..) => {}
        }
    }
}

async fn lead(quirks: &str) {
    let serial: Serial = SERIAL.parse().expect("a serial");
    let (door, mut heard) = Door::new();
    door.own(&serial.hex16(), "cpe-1", "it's own ü");
    let acs = Acs::start(door.clone()).await;
    let fleet = fleet(quirks);
    door.script(&serial.hex16(), requests());
    let url = format!("http://{}/acs/x?tenant=1", acs.plain.expect("plain"));
    // Its own: devices listen on one well-known port.
    let address = IpAddr::from([127, 22, 0, NEXT_ADDRESS.fetch_add(1, Ordering::Relaxed)]);
    fleet
        .power_on(
            serial,
            Management {
                address,
                acs_url: url,
                username: "cpe-1".into(),
                password: "it's own ü".into(),
                vlan: Some(200),
            },
        )
        .expect("known");
    let replies = clean_end(&mut heard, &serial.hex16()).await;
    let dropped = quirks.contains("dropped");
    if !dropped {
        let [names, values, set, added, fault] = &replies[..] else { panic!("{quirks}: {replies:?}") };
        let interval = format!("{MANAGEMENT}PeriodicInformInterval");
        assert!(matches!(names, DeviceReply::Names(names) if names.iter().any(|name| name.path == interval)));
        assert!(
            matches!(values, DeviceReply::Values(values) if values[0].path == interval),
            "{quirks}: {values:?}"
        );
        assert!(matches!(set, DeviceReply::Set { .. }), "{quirks}: {set:?}");
        assert!(matches!(added, DeviceReply::Added { instance: 1.., .. }), "{quirks}: {added:?}");
        assert!(matches!(fault, DeviceReply::Fault(fault) if fault.code == 9005), "{quirks}: {fault:?}");
    }
    assert_eq!(fleet.value(serial, &format!("{MANAGEMENT}PeriodicInformInterval")).as_deref(), Some("3600"));

    // And back: by a connection request with what was just written.
    let requester: Arc<dyn ConnectionRequester> = Arc::new(HttpConnectionRequester::default());
    let target = ConnectionRequestTarget {
        url: fleet.value(serial, &format!("{MANAGEMENT}ConnectionRequestURL")),
        username: "lightkeeper & <co>".into(),
        password: Secret::new("s3cret \"ü\""),
        allowed: vec!["127.22.0.0/16".parse().expect("network")],
        known_at: vec![address],
        behind_nat: Vec::new(),
        connect_timeout: Duration::from_secs(20),
    };
    let wrong = ConnectionRequestTarget { password: Secret::new("guess"), ..target.clone() };
    assert_eq!(requester.request(wrong).await.outcome, ConnectionRequestOutcome::Unauthorized, "{quirks}");
    assert_eq!(requester.request(target).await.outcome, ConnectionRequestOutcome::Accepted, "{quirks}");
    clean_end(&mut heard, &serial.hex16()).await;
    fleet.shutdown().await;
    acs.stop().await;
}

#[tokio::test]
async fn a_calm_device() {
    lead("").await;
}

#[tokio::test]
async fn every_way_with_cookies() {
    for cookies in ["never", "with_attributes", "commas", "strict_path", "stale"] {
        lead(&format!("cookies = \"{cookies}\"")).await;
    }
}

#[tokio::test]
async fn every_way_with_ids_and_charsets() {
    for quirks in [
        "id_echo = \"none\"",
        "id_echo = \"wrong\"",
        "charset = \"utf8_bom\"",
        "charset = \"latin1\"",
        "charset = \"latin1_mislabelled\"",
        "next_level_digits = true",
    ] {
        lead(quirks).await;
    }
}

#[tokio::test]
async fn every_way_with_connections() {
    for quirks in [
        "connection_per_message = true",
        "connection_per_message = true\ncookies = \"never\"",
        "duplicate_inform = true",
        "wrong_content_length = 1",
        "slow_ms = 5",
    ] {
        lead(quirks).await;
    }
}

#[tokio::test]
async fn a_device_that_drops_the_session_comes_back() {
    lead("session_dropped_on = \"AddObject\"").await;
}
