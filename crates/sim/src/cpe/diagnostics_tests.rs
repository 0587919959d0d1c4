//! Tests of the tests that a device runs by itself.

use super::{
    order::{Order, Reply},
    quirks::{Quirks, SelfTests},
    tests::{online, pass, set},
};
use types::UtcMs;

const PING: &str = "InternetGatewayDevice.IPPingDiagnostics.";

/// What a ping of this host came to: the state, the answers and the events of the next Inform.
fn ping(host: &str, self_tests: SelfTests) -> (String, String, Vec<String>) {
    let (mut device, now) = online("hg8546m", Quirks { self_tests, ..Quirks::default() });
    let first = device.begin_session(now);
    device.inform_accepted();
    device.session_done(now, &first.events);
    device.begin_session(now);
    let settings = vec![
        set(&format!("{PING}Host"), host),
        set(&format!("{PING}NumberOfRepetitions"), "4"),
        set(&format!("{PING}DiagnosticsState"), "Requested"),
    ];
    let (reply, _) = device.order(now, &Order::SetValues { settings, key: "lk-o-1".into() });
    assert_eq!(reply, Reply::Set);
    let now = pass(&mut device, now, 20);
    assert_eq!(state(&device), "Requested", "it begins when the session is over");
    device.session_done(now, &[]);
    let now: UtcMs = pass(&mut device, now, 20);
    let events = device.begin_session(now).events.into_iter().map(|event| event.code).collect();
    let answers = device.tree().value(&format!("{PING}SuccessCount")).unwrap_or_default().to_owned();
    (state(&device), answers, events)
}

fn state(device: &super::behaviour::Device) -> String {
    device.tree().value(&format!("{PING}DiagnosticsState")).unwrap_or_default().to_owned()
}

#[test]
fn a_test_begins_after_the_session_and_is_told_when_it_is_over() {
    let done = vec!["8 DIAGNOSTICS COMPLETE".to_owned()];
    assert_eq!(ping("10.0.0.1", SelfTests::Normal), ("Complete".into(), "4".into(), done.clone()));
    assert_eq!(ping("10.0.0.1", SelfTests::NoEvent), ("Completed".into(), "4".into(), vec![]));
    let error = ("Error_CannotResolveHostName".to_owned(), "0".to_owned(), done);
    assert_eq!(ping("10.0.0.1", SelfTests::CannotResolve), error);
    assert_eq!(ping("no.invalid", SelfTests::Normal), error);
    assert_eq!(ping("10.0.0.1", SelfTests::Never), ("Requested".into(), "0".into(), vec![]));
}

#[test]
fn what_is_no_request_or_no_connection_is_refused_and_a_write_ends_a_test() {
    let (mut device, now) = online("hg8546m", Quirks::default());
    let mut write = |leaf: &str, value: &str| {
        let settings = vec![set(&format!("{PING}{leaf}"), value)];
        let (reply, _) = device.order(now, &Order::SetValues { settings, key: String::new() });
        (matches!(reply, Reply::Set), state(&device))
    };
    assert!(!write("DiagnosticsState", "Complete").0);
    assert!(
        !write("Interface", "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.9.WANPPPConnection.1").0
    );
    assert_eq!(write("DiagnosticsState", "Requested"), (true, "Requested".into()));
    assert_eq!(write("Timeout", "500"), (true, "None".into()));
}
