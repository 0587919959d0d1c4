//! CPEs over real sockets against a scripted ACS.

mod support;

use cwmp::{
    codec::Body,
    digest::{RequestToAnswer, answer_challenge, parse_challenges},
};
use sim::{
    cpe::{Fleet, FleetConfig, FleetHandle, behaviour::Management},
    record::{End, Record, Told, What},
};
use std::{net::SocketAddr, path::Path};
use support::{FakeAcs, add, names, scenario, set};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use types::{Secret, Serial};

const WCD: &str = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.";
const CR: &str = "InternetGatewayDevice.ManagementServer.ConnectionRequest";

fn management(acs: &FakeAcs, last: u8) -> Management {
    Management {
        address: [127, 21, 0, last].into(),
        acs_url: acs.url.clone(),
        username: String::new(),
        password: String::new(),
        vlan: Some(200),
    }
}

fn serial(last: u8) -> Serial {
    format!("HWTC5A0000{last:02X}").parse().expect("a serial")
}

fn fleet(last: u8, quirks: &str, folder: Option<&Path>) -> FleetHandle {
    let mut config = FleetConfig::new(scenario(&serial(last).ascii(), "hg8546m", quirks));
    config.data_folder = folder.map(Path::to_owned);
    config.behind_olt = false;
    Fleet::start(config).unwrap_or_else(|error| panic!("{error}"))
}

/// Waits until the record of a device satisfies a condition; every change of it is followed by a request or ends the
/// session, so it is asked again when the ACS hears something or, at the latest, at the next look.
async fn settled(fleet: &FleetHandle, serial: Serial, condition: impl Fn(&sim::record::CpeRecord) -> bool) {
    let wait = async {
        while !fleet.record().cpe(serial).is_some_and(&condition) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(120), wait)
        .await
        .expect("the device settles in time");
}

fn ended(record: &sim::record::CpeRecord) -> usize {
    record.entries.iter().filter(|entry| matches!(entry.what, What::SessionEnded { how: End::Clean })).count()
}

#[tokio::test]
async fn a_session_from_inform_to_204() {
    let mut acs = FakeAcs::start().await;
    acs.order([
        names("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.", true),
        add(WCD),
        add(&format!("{WCD}2.WANPPPConnection.")),
        set(&[(&format!("{WCD}2.WANPPPConnection.1.Username"), "ftth10001@isp")]),
        set(&[(&format!("{WCD}2.WANPPPConnection.1.Nothing"), "1")]),
    ]);
    let fleet = fleet(1, "", None);
    fleet.power_on(serial(1), management(&acs, 1)).expect("known");

    let inform = acs.next().await;
    assert_eq!(inform.peer.ip().to_string(), "127.21.0.1", "the ACS sees the management address");
    let Some(Body::Inform(message)) = inform.envelope.as_ref().map(|one| &one.body) else {
        panic!("no Inform")
    };
    assert_eq!(message.device_id.serial_number, "485754435A000001");
    assert_eq!(message.device_id.oui, "00259E");
    let codes: Vec<String> = message.events.iter().map(|event| event.code.to_string()).collect();
    assert_eq!(codes, ["1 BOOT", "0 BOOTSTRAP"]);

    let empty = acs.next().await;
    assert_eq!((empty.raw.len(), empty.header("cookie")), (0, Some("sid=abc123")));
    for (method, id) in [("GetParameterNamesResponse", "acs-1"), ("AddObjectResponse", "acs-1")] {
        let received = acs.next().await;
        assert_eq!(received.method(), method);
        assert_eq!(received.envelope.and_then(|one| one.id).as_deref(), Some(id));
    }
    assert_eq!(acs.next().await.method(), "AddObjectResponse");
    assert_eq!(acs.next().await.method(), "SetParameterValuesResponse");
    let fault = acs.next().await;
    let Some(Body::Fault(fault)) = fault.envelope.map(|one| one.body) else { panic!("no fault") };
    assert_eq!((fault.code, fault.parameters[0].code), (9003, 9005));

    settled(&fleet, serial(1), |record| ended(record) == 1).await;
    let record = fleet.record();
    let cpe = record.cpe(serial(1)).expect("recorded");
    assert_eq!(cpe.wan_objects_created(), [format!("{WCD}2."), format!("{WCD}2.WANPPPConnection.1.")]);
    assert_eq!((cpe.tally.sessions, cpe.tally.sessions_failed, cpe.tally.faults[&9003]), (1, 0, 1));
    assert_eq!(cpe.duplicate_wans(), Vec::<String>::new());
    assert_eq!(cpe.crowded_sessions().len(), 2, "two AddObjects and a set shared a session");
    fleet.shutdown().await;
}

#[tokio::test]
async fn the_device_logs_in_with_digest() {
    let mut acs = FakeAcs::start().await;
    acs.require("onu-1", "its own secret");
    let fleet = fleet(2, "", None);
    let login =
        Management { username: "onu-1".into(), password: "its own secret".into(), ..management(&acs, 2) };
    fleet.power_on(serial(2), login).expect("known");
    assert_eq!(acs.next().await.method(), "Inform");
    settled(&fleet, serial(2), |record| ended(record) == 1).await;

    acs.require("onu-1", "another secret");
    fleet.flap(serial(2), std::time::Duration::ZERO).expect("known");
    settled(&fleet, serial(2), |record| record.tally.sessions_failed > 0).await;
    let record = fleet.record();
    let why = record.cpe(serial(2)).expect("recorded").entries.iter().find_map(|entry| match &entry.what {
        What::SessionEnded { how: End::Failed { why } } => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why.as_deref(), Some("the ACS refused the credentials of the device"));
    fleet.shutdown().await;
}

/// Sends a GET and answers the status and the challenge.
async fn knock(url: &str, authorization: Option<&str>) -> (u16, String) {
    let rest = url.strip_prefix("http://").expect("http");
    let (host, path) = rest.split_once('/').expect("a path");
    let address: SocketAddr = host.parse().expect("an address");
    let mut stream = TcpStream::connect(address).await.expect("somebody listens");
    let authorization = authorization.map_or(String::new(), |value| format!("Authorization: {value}\r\n"));
    let request = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut response = Vec::new();
    while !response.windows(4).any(|four| four == b"\r\n\r\n") {
        assert!(stream.read_buf(&mut response).await.expect("an answer") > 0);
    }
    let text = String::from_utf8_lossy(&response).into_owned();
    let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a status");
    let challenge = text.lines().find_map(|line| line.strip_prefix("WWW-Authenticate: ")).unwrap_or_default();
    (status, challenge.to_owned())
}

fn login(challenge: &str, url: &str, password: &str) -> String {
    let path = format!("/{}", url.splitn(4, '/').nth(3).unwrap_or_default());
    let password = Secret::new(password);
    let request = RequestToAnswer {
        username: "acs",
        password: &password,
        method: "GET",
        uri: &path,
        cnonce: "0a4f113b",
        nonce_count: 1,
        allow_basic: false,
        at_least: None,
    };
    answer_challenge(&parse_challenges(challenge), &request).expect("a digest")
}

#[tokio::test]
async fn a_connection_request_needs_the_right_digest_and_opens_a_session() {
    let mut acs = FakeAcs::start().await;
    acs.order([set(&[(&format!("{CR}Username"), "acs"), (&format!("{CR}Password"), "knock-knock")])]);
    let fleet = fleet(3, "cr_401_after_wan_change = true", None);
    fleet.power_on(serial(3), management(&acs, 3)).expect("known");
    settled(&fleet, serial(3), |record| ended(record) == 1).await;
    let url = fleet.value(serial(3), &format!("{CR}URL")).expect("a URL");
    while acs.next().await.method() != "SetParameterValuesResponse" {}

    let (status, challenge) = knock(&url, None).await;
    assert_eq!(status, 401);
    assert_eq!(knock(&url, Some(&login(&challenge, &url, "wrong"))).await.0, 401);
    assert_eq!(knock(&format!("{url}x"), None).await.0, 404);
    assert_eq!(knock(&url, Some(&login(&challenge, &url, "knock-knock"))).await.0, 200);
    let inform = acs.until("Inform").await.pop().expect("an Inform");
    let Some(Body::Inform(message)) = inform.envelope.map(|one| one.body) else { panic!("no Inform") };
    assert_eq!(message.events[0].code.to_string(), "6 CONNECTION REQUEST");
    settled(&fleet, serial(3), |record| ended(record) == 2).await;

    // The trap: after a change of the WAN the right password is refused too.
    acs.order([add(WCD)]);
    assert_eq!(knock(&url, Some(&login(&challenge, &url, "knock-knock"))).await.0, 200);
    settled(&fleet, serial(3), |record| ended(record) == 3).await;
    let (_, challenge) = knock(&url, None).await;
    assert_eq!(knock(&url, Some(&login(&challenge, &url, "knock-knock"))).await.0, 401);
    let record = fleet.record();
    let requests = &record.cpe(serial(3)).expect("recorded").tally.connection_requests;
    assert_eq!((requests[&200], requests[&401], requests[&404]), (2, 2, 1));
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_device_without_power_does_not_listen() {
    let acs = FakeAcs::start().await;
    let fleet = fleet(4, "", None);
    fleet.power_on(serial(4), management(&acs, 4)).expect("known");
    settled(&fleet, serial(4), |record| ended(record) == 1).await;
    let address: SocketAddr = ([127, 21, 0, 4], 7547).into();
    TcpStream::connect(address).await.expect("it listens");
    fleet.power_off(serial(4)).expect("known");
    let closed = async { while TcpStream::connect(address).await.is_ok() {} };
    tokio::time::timeout(std::time::Duration::from_secs(120), closed).await.expect("it stops listening");
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_taken_port_is_given_way_to() {
    let mut acs = FakeAcs::start().await;
    let other = tokio::net::TcpListener::bind(("127.21.0.11", 7547)).await.expect("the usual port");
    acs.order([set(&[(&format!("{CR}Username"), "acs"), (&format!("{CR}Password"), "knock-knock")])]);
    let fleet = fleet(11, "", None);
    fleet.power_on(serial(11), management(&acs, 11)).expect("known");
    let inform = acs.next().await;
    let Some(Body::Inform(message)) = inform.envelope.map(|one| one.body) else { panic!("no Inform") };
    let url =
        message.parameters.iter().find(|one| one.name.ends_with("ConnectionRequestURL")).expect("a URL");
    assert_ne!(url.value.text.split(':').nth(2).expect("a port").split('/').next(), Some("7547"));
    settled(&fleet, serial(11), |record| ended(record) == 1).await;
    let (status, challenge) = knock(&url.value.text, None).await;
    assert_eq!(status, 401);
    assert_eq!(knock(&url.value.text, Some(&login(&challenge, &url.value.text, "knock-knock"))).await.0, 200);
    drop(other);
    fleet.shutdown().await;
}

#[tokio::test]
async fn oddities_on_the_wire() {
    let mut acs = FakeAcs::start().await;
    let quirks = "wrong_content_length = 1\nid_echo = \"none\"\ncookies = \"with_attributes\"\ncharset = \"utf8_bom\"\nduplicate_inform = true";
    acs.order([names("InternetGatewayDevice.", true)]);
    let fleet = fleet(5, quirks, None);
    fleet.power_on(serial(5), management(&acs, 5)).expect("known");
    let short = acs.next().await;
    assert!(short.envelope.is_none() && short.raw.len() > 100, "the first message is cut off by its length");
    let (first, second) = (acs.next().await, acs.next().await);
    assert!(first.raw.starts_with(b"\xEF\xBB\xBF"));
    assert_eq!((first.method(), second.method()), ("Inform", "Inform"));
    assert_ne!(first.peer.port(), second.peer.port(), "the second one comes on a new connection");
    assert_eq!(second.header("cookie"), None);
    let Some(Body::Inform(message)) = second.envelope.map(|one| one.body) else { panic!("no Inform") };
    assert_eq!(message.retry_count, 1);
    let empty = acs.next().await;
    assert_eq!(empty.header("cookie"), Some("sid=abc123; Path=/; HttpOnly"));
    let reply = acs.next().await.envelope.expect("an answer");
    assert_eq!((reply.body.method(), reply.id), ("GetParameterNamesResponse", None));
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_new_connection_for_every_message_and_a_literal_mind() {
    let mut acs = FakeAcs::start().await;
    acs.order([names("InternetGatewayDevice.", true)]);
    let fleet =
        fleet(6, "connection_per_message = true\nnext_level_digits = true\nid_echo = \"wrong\"", None);
    fleet.power_on(serial(6), management(&acs, 6)).expect("known");
    let (inform, empty, reply) = (acs.next().await, acs.next().await, acs.next().await);
    assert_ne!(inform.peer.port(), empty.peer.port());
    assert_ne!(empty.peer.port(), reply.peer.port());
    // The codec writes NextLevel as a digit by default, which this device accepts.
    let reply = reply.envelope.expect("an answer");
    assert_eq!((reply.body.method(), reply.id.as_deref()), ("GetParameterNamesResponse", Some("0815")));
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_dropped_session_is_tried_again_and_the_object_is_there() {
    let mut acs = FakeAcs::start().await;
    acs.order([add(WCD)]);
    let fleet = fleet(7, "session_dropped_on = \"AddObject\"", None);
    fleet.power_on(serial(7), management(&acs, 7)).expect("known");
    let first = acs.until("Inform").await;
    assert_eq!(first.len(), 1);
    let again = acs.until("Inform").await;
    assert!(again.iter().all(|one| one.method() != "AddObjectResponse"));
    let Some(Body::Inform(message)) = again.last().and_then(|one| one.envelope.as_ref()).map(|one| &one.body)
    else {
        panic!("no Inform")
    };
    assert_eq!(message.retry_count, 1);
    settled(&fleet, serial(7), |record| ended(record) == 1).await;
    let record = fleet.record();
    assert_eq!(record.cpe(serial(7)).expect("recorded").wan_objects_created(), [format!("{WCD}2.")]);
    fleet.shutdown().await;
}

#[tokio::test]
async fn a_fleet_that_ends_abruptly_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acs = FakeAcs::start().await;
    acs.order([add(WCD), set(&[("InternetGatewayDevice.ManagementServer.PeriodicInformInterval", "77")])]);
    let first = fleet(8, "", Some(folder.path()));
    first.power_on(serial(8), management(&acs, 8)).expect("known");
    settled(&first, serial(8), |record| ended(record) == 1).await;
    let before = first.record();
    drop(first);
    assert_eq!(Record::load(folder.path()).expect("readable"), before);

    while acs.until("Inform").await.is_empty() {}
    let second = fleet(8, "", Some(folder.path()));
    assert_eq!(
        second.value(serial(8), "InternetGatewayDevice.ManagementServer.PeriodicInformInterval").as_deref(),
        Some("77")
    );
    second.power_on(serial(8), management(&acs, 8)).expect("known");
    let record = second.record();
    let cpe = record.cpe(serial(8)).expect("recorded");
    assert_eq!((cpe.tally.boots, cpe.wan_objects_created().len()), (1, 1));
    assert!(cpe.entries.iter().any(|entry| entry.what == What::Resumed));
    second.shutdown().await;
}

#[tokio::test]
async fn a_torn_last_line_is_a_step_that_never_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acs = FakeAcs::start().await;
    acs.order([add(WCD), add(WCD)]);
    let first = fleet(9, "", Some(folder.path()));
    first.power_on(serial(9), management(&acs, 9)).expect("known");
    acs.until("AddObjectResponse").await;
    settled(&first, serial(9), |record| ended(record) == 1).await;
    drop(first);
    let journal = folder.path().join(format!("{}.jsonl", serial(9).hex16()));
    let bytes = std::fs::read(&journal).expect("a journal");
    // Cut inside the line of the second AddObject: everything up to it must be read, and writing must go on.
    let text = String::from_utf8(bytes.clone()).expect("text");
    let second_add = text.match_indices("\"AddObject\"").nth(1).expect("two").0;
    std::fs::write(&journal, &bytes[..second_add]).expect("cut");
    let second = fleet(9, "", Some(folder.path()));
    let record = second.record();
    assert_eq!(record.cpe(serial(9)).expect("recorded").wan_objects_created(), [format!("{WCD}2.")]);
    assert!(second.value(serial(9), &format!("{WCD}3.WANPPPConnectionNumberOfEntries")).is_none());
    second.power_on(serial(9), management(&acs, 9)).expect("known");
    settled(&second, serial(9), |record| ended(record) == 1).await;
    drop(second);
    let lines = std::fs::read_to_string(&journal).expect("a journal");
    assert!(lines.lines().all(|line| line.starts_with('{') && line.ends_with('}')), "no line is broken");
}

/// Run as a process of its own by the test below, and killed by it.
#[tokio::test]
async fn helper_process() {
    let Ok(folder) = std::env::var("SIM_KILLED_FOLDER") else { return };
    let url = std::env::var("SIM_KILLED_ACS").expect("an ACS");
    let fleet = fleet(10, "", Some(Path::new(&folder)));
    let management = Management {
        address: [127, 21, 0, 10].into(),
        acs_url: url,
        username: String::new(),
        password: String::new(),
        vlan: None,
    };
    fleet.power_on(serial(10), management).expect("known");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn kill_9_loses_nothing_that_was_answered() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut acs = FakeAcs::start().await;
    for round in 1..=3_usize {
        // More orders than will be answered before the end.
        acs.order((0..200).map(|_| add(WCD)));
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "helper_process"])
            .env("SIM_KILLED_FOLDER", folder.path())
            .env("SIM_KILLED_ACS", &acs.url)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("a process");
        let mut answered = Vec::new();
        while answered.len() < 5 * round {
            let received = acs.next().await;
            if let Some(Body::AddObjectResponse(response)) = received.envelope.map(|one| one.body) {
                answered.push(response.instance_number.get());
            }
        }
        child.kill().expect("killed");
        child.wait().expect("gone");
        let record = Record::load(folder.path()).expect("readable");
        let created = record.cpe(serial(10)).expect("recorded").wan_objects_created();
        for number in answered {
            assert!(
                created.contains(&format!("{WCD}{number}.")),
                "{number} was answered and forgotten: {created:?}"
            );
        }
        let boots = record.cpe(serial(10)).expect("recorded").tally.boots;
        assert_eq!(boots, 1, "the device itself never restarted");
        assert!(record.cpe(serial(10)).is_some_and(|cpe| {
            cpe.entries
                .iter()
                .all(|entry| !matches!(&entry.what, What::Order { told: Told::Deleted { .. }, .. }))
        }));
        if created.len() > 40 {
            break;
        }
    }
}
