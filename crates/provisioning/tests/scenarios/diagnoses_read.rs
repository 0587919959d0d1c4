//! How a test of a device is read, of devices that do not let themselves be read as one would wish.

use crate::{
    diagnoses::{PING, asked, huawei, last, old_result, ping, trace},
    support::{Ending, Shell, TestRun},
};
use provisioning::{Event, Findings, OrderState, Timer};

#[test]
fn a_leaf_that_no_row_lets_be_read_does_not_use_up_the_session() {
    let mut shell = huawei(TestRun::Told);
    let trace_object = "InternetGatewayDevice.TraceRouteDiagnostics.";
    for number in 1..=40 {
        for leaf in ["HopHost", "HopHostAddress", "HopErrorCode", "HopRTTimes"] {
            shell.cpe.plant(&format!("{trace_object}RouteHops.{number}.{leaf}"), "string", "1");
        }
    }
    shell.cpe.quirks.unreadable = vec!["HopErrorCode"];
    let key = trace(&mut shell, "www.example.net");
    shell.run(4);
    let before = shell.transcript.len();
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    let Some(Findings::Traceroute { hops, .. }) = &news.findings else { panic!("{:?}", news.findings) };
    assert_eq!(hops.len(), 40, "the rest of each row is read");
    assert!(hops.iter().all(|hop| hop.times_ms == [1] && hop.error.is_none()), "{hops:?}");
    assert!(news.text.contains("did not let be read, or not everywhere: error;"), "{}", news.text);
    let reads =
        shell.transcript[before..].iter().filter(|line| line.contains("GetParameterValues of")).count();
    assert!(reads < 30, "{reads} reads: {:#?}", &shell.transcript[before..]);
}

#[test]
fn one_hop_that_cannot_be_read_hides_no_other() {
    let mut shell = huawei(TestRun::Told);
    let trace_object = "InternetGatewayDevice.TraceRouteDiagnostics.";
    for number in 1..=30 {
        for leaf in ["HopHost", "HopRTTimes"] {
            shell.cpe.plant(&format!("{trace_object}RouteHops.{number}.{leaf}"), "string", "7");
        }
    }
    shell.cpe.quirks.unreadable = vec!["RouteHops.3.HopRTTimes"];
    let key = trace(&mut shell, "www.example.net");
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    let Some(Findings::Traceroute { hops, unread, .. }) = &news.findings else {
        panic!("{:?}", news.findings)
    };
    let known: Vec<usize> = (0..30).filter(|at| hops[*at].times_ms == [7]).collect();
    assert_eq!(known.len(), 29, "all but one: {known:?}");
    assert_eq!(unread, &["times"]);
    assert!(news.text.contains("times; what is missing of that is not known"), "{}", news.text);
}

#[test]
fn an_input_that_cannot_be_read_is_not_said_to_be_missing() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.unreadable = vec!["Timeout"];
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(60);
    let text = &last(&shell, &key).text;
    assert!(text.contains("timeout; what is missing") && !text.contains("shows no such setting"), "{text}");
    shell.cpe.quirks.unreadable = vec!["Host"];
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!((news.state, &news.findings), (OrderState::Failed, &None));
    assert!(
        news.text.contains("does not let be read whom it tested") && !news.text.contains("Somebody"),
        "{}",
        news.text
    );
}

#[test]
fn a_router_that_tells_no_state_proves_nothing_of_an_old_one() {
    let mut shell = huawei(TestRun::Endless);
    old_result(&mut shell);
    shell.cpe.quirks.deaf_leaves = vec!["DiagnosticsState"];
    let key = ping(&mut shell, "10.0.0.1");
    // What it has right after it was asked: nothing, and then what it had before.
    shell.run(4);
    let running = |shell: &Shell| shell.device.orders[0].running.clone().expect("it was taken");
    assert!(running(&shell).maybe_old);
    shell.cpe.set(&format!("{PING}DiagnosticsState"), "");
    shell.session(&["2 PERIODIC"], Ending::Clean);
    assert_eq!(last(&shell, &key).state, OrderState::Sent, "{}", last(&shell, &key).text);
    assert!(running(&shell).maybe_old, "an empty word is no proof");
    shell.cpe.set(&format!("{PING}DiagnosticsState"), "Complete");
    shell.run(120);
    let news = last(&shell, &key);
    assert_eq!((news.state, &news.findings), (OrderState::Failed, &None), "{}", news.text);
    assert!(news.text.starts_with("Not proved"), "{}", news.text);
}

#[test]
fn an_old_result_that_gave_way_was_not_the_end_of_this_test() {
    let mut shell = huawei(TestRun::Endless);
    old_result(&mut shell);
    shell.cpe.quirks.deaf_leaves = vec!["DiagnosticsState"];
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    shell.cpe.set(&format!("{PING}DiagnosticsState"), "None");
    shell.session(&["2 PERIODIC"], Ending::Clean);
    shell.cpe.set(&format!("{PING}DiagnosticsState"), "Complete");
    shell.session(&["2 PERIODIC"], Ending::Clean);
    assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", last(&shell, &key).text);
}

#[test]
fn a_test_that_never_begins_ends_with_the_second_call_for_it() {
    let mut shell = huawei(TestRun::Endless);
    shell.cpe.quirks.deaf_leaves = vec!["DiagnosticsState"];
    shell.cpe.set(&format!("{PING}DiagnosticsState"), "None");
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    let before = shell.sessions;
    shell.run(900);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed, "{}", news.text);
    assert!(news.text.contains("knows of no ping any more"), "{}", news.text);
    assert!(shell.sessions - before <= 4, "called twice: {}", shell.sessions - before);
}

#[test]
fn a_router_that_does_not_list_what_it_found_is_not_said_to_test() {
    let mut shell = huawei(TestRun::Told);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    shell.cpe.quirks.untold = vec![PING];
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed);
    assert!(news.text.contains("refused GetParameterNames") && news.text.contains("9001"), "{}", news.text);
}

#[test]
fn a_router_that_shows_nothing_of_it_at_first_is_read_again() {
    let mut shell = huawei(TestRun::Endless);
    // As it is in the box until the test begins there.
    shell.cpe.quirks.deaf_leaves = vec!["DiagnosticsState"];
    shell.cpe.set(&format!("{PING}DiagnosticsState"), "None");
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    // Something else brings it here before it began.
    shell.session(&["4 VALUE CHANGE"], Ending::Clean);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Sent, "{}", news.text);
    assert!(news.text.contains("nothing shows yet"), "{}", news.text);
    shell.cpe.set(&format!("{PING}SuccessCount"), "4");
    shell.cpe.set(&format!("{PING}DiagnosticsState"), "Complete");
    shell.session(&["2 PERIODIC"], Ending::Clean);
    assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", last(&shell, &key).text);
    assert_eq!(asked(&shell), 1);
}

#[test]
fn a_router_that_cannot_be_read_while_it_tests_is_read_again() {
    let mut shell = huawei(TestRun::Told);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    shell.cpe.quirks.unreadable = vec!["DiagnosticsState"];
    shell.session(&["2 PERIODIC"], Ending::Clean);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Sent, "{}", news.text);
    assert!(news.text.contains("9005") && news.text.contains("later session"), "{}", news.text);
    shell.cpe.quirks.unreadable.clear();
    shell.run(60);
    assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", last(&shell, &key).text);
}

#[test]
fn one_that_was_seen_under_way_and_is_heard_of_no_more_is_told_so() {
    let mut shell = huawei(TestRun::Silent);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    let running = shell.device.orders[0].running.as_ref().expect("it was taken");
    assert!(running.under_way);
    let seen = running.seen.clone();
    assert!(seen.is_some_and(|(_, state)| state == "Requested"));
    shell.cpe.quirks.unreachable = true;
    for _ in 0..200 {
        shell.now = shell.now.plus_s(60);
        shell.feed(Event::TimerFired(Timer::OrderExpiry));
    }
    let text = &last(&shell, &key).text;
    assert!(text.contains("right after it was asked, as \"Requested\", and no session came since"), "{text}");
}

/// A test that the device runs is called for when it should be over, whatever becomes of a call that was not for it.
#[test]
fn a_call_that_is_dropped_disturbs_no_test_under_way() {
    let not_sent = || Event::ConnectionRequestFinished(provisioning::ConnectionRequestOutcome::NotSent);
    let gap = |shell: &Shell| shell.context.policy.connection_request_gap_s;
    let mut shell = huawei(TestRun::Endless);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    assert_eq!(last(&shell, &key).state, OrderState::Sent, "{}", last(&shell, &key).text);
    let running = |shell: &Shell| shell.device.orders[0].running.clone().expect("it runs");
    let look_at = running(&shell).look_at;
    // However much time is left until then.
    shell.context.policy.connection_request_gap_s = 2;
    shell.now = shell.now.plus_s(2);
    shell.feed(Event::CheckRequested { by: "ana".into() });
    assert!(std::mem::take(&mut shell.connection_wanted));
    shell.feed(not_sent());
    shell.now = shell.now.plus_s(gap(&shell));
    assert!(shell.now < look_at, "in the middle of it");
    shell.feed(Event::TimerFired(Timer::OrderExpiry));
    assert!(!shell.connection_wanted, "{}", shell.story());
    // Kept by one that took it for an order whose call was dropped: no reason to call in the middle of it either.
    shell.device.orders[0].called = false;
    shell.feed(Event::TimerFired(Timer::OrderExpiry));
    assert!(!shell.connection_wanted, "{}", shell.story());
    // It is called when it should be over; that call is dropped, and made once more.
    shell.now = look_at;
    shell.feed(Event::TimerFired(Timer::OrderExpiry));
    assert!(std::mem::take(&mut shell.connection_wanted) && running(&shell).called_back);
    shell.feed(not_sent());
    shell.now = shell.now.plus_s(gap(&shell));
    shell.feed(Event::TimerFired(Timer::OrderExpiry));
    assert!(std::mem::take(&mut shell.connection_wanted), "{}", shell.story());
    shell.session(&["6 CONNECTION REQUEST"], Ending::Clean);
}
