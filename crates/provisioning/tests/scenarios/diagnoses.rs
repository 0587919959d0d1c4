//! Tests that a device runs by itself: asked once, and done when the device was read.

use crate::support::{Cpe, Ending, Quirks, Shell, TestRun, Told, intents};
use profiles::fixtures;
use provisioning::{
    DeviceRequest, Diagnosis, Effect, Event, Findings, Intents, InternetMode, Link, Order, OrderKind,
    OrderNews, OrderState, SessionEnd, State, Step, StoredObject, Timer,
};

pub(crate) const PING: &str = "InternetGatewayDevice.IPPingDiagnostics.";

pub(crate) fn active(csv: &str, test: TestRun) -> Shell {
    let quirks = Quirks { test, ..Quirks::default() };
    let mut shell = Shell::new(Cpe::new(csv, quirks), Some(intents(None)));
    shell.run_until(State::Active, 3600);
    shell.run(1200);
    shell.cpe.told.clear();
    shell
}

pub(crate) fn huawei(test: TestRun) -> Shell {
    odd(Quirks { test, ..Quirks::default() }, intents(Some(200)))
}

/// A box with habits of its own.
fn odd(quirks: Quirks, intents: Intents) -> Shell {
    let mut shell = Shell::new(Cpe::new(fixtures::hg8546m(), quirks), Some(intents));
    shell.run_until(State::Active, 3600);
    shell.run(1200);
    shell.cpe.told.clear();
    shell
}

/// What the object of the ping was told, in order.
fn told(shell: &Shell) -> Vec<(String, String)> {
    let of = |told: &Told| match told {
        Told::Set(path, value) => Some((path.strip_prefix(PING)?.to_owned(), value.clone())),
        Told::Add(_) => None,
    };
    shell.cpe.told.iter().filter_map(of).collect()
}

pub(crate) fn ping(shell: &mut Shell, host: &str) -> String {
    give(shell, Diagnosis::Ping { host: host.into(), count: 4, timeout_ms: 2000, size: 56 })
}

pub(crate) fn give(shell: &mut Shell, what: Diagnosis) -> String {
    let key = format!("lk-o-{}", shell.context.orders.len());
    shell.context.orders.push(Order { key: key.clone(), what: OrderKind::Diagnose(what) });
    let expires_at = shell.now.plus_s(86_400);
    let service_id = shell.device.link.as_ref().and_then(Link::service);
    shell.feed(Event::OrderGiven { key: key.clone(), service_id, expires_at });
    key
}

pub(crate) fn trace(shell: &mut Shell, host: &str) -> String {
    give(shell, Diagnosis::Traceroute { host: host.into(), hops: 30, tries: 3, timeout_ms: 2000 })
}

pub(crate) fn last<'a>(shell: &'a Shell, key: &str) -> &'a OrderNews {
    shell.news.iter().rfind(|news| news.key == key).unwrap_or_else(|| panic!("nothing was told of {key}"))
}

pub(crate) fn asked(shell: &Shell) -> usize {
    let requested = |told: &&Told| matches!(told, Told::Set(path, value) if path.ends_with("DiagnosticsState") && value == "Requested");
    shell.cpe.told.iter().filter(requested).count()
}

#[test]
fn a_ping_is_asked_within_what_the_family_takes_and_read_when_the_device_comes_back() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.max_params = Some(5);
    let key = ping(&mut shell, "10.0.0.1");
    assert!(shell.connection_wanted, "the device is asked to come");
    shell.run(4);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Sent, "taken is not done: {}", news.text);
    let wan = shell.cpe.ppp_wans().first().expect("a WAN").trim_end_matches('.').to_owned();
    let told = told(&shell);
    let told: Vec<(&str, &str)> = told.iter().map(|(leaf, value)| (leaf.as_str(), value.as_str())).collect();
    assert_eq!(
        told,
        [
            ("NumberOfRepetitions", "4"),
            ("Timeout", "2000"),
            ("DataBlockSize", "56"),
            ("Interface", &wan),
            ("Host", "10.0.0.1"),
            ("DiagnosticsState", "Requested"),
        ],
        "what may be left first, and what begins it last of all"
    );
    let calls: Vec<usize> = shell.cpe.calls.iter().rev().take(2).map(Vec::len).collect();
    assert_eq!(calls, [2, 4]);
    shell.run(20);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    assert_eq!(news.text, "10.0.0.1 answered 3 of 4 requests, in 4 ms on average (2 to 9).");
    let found = Findings::Ping {
        host: "10.0.0.1".into(),
        count: Some(4),
        sent: Some(4),
        received: Some(3),
        least_ms: Some(2),
        average_ms: Some(4),
        most_ms: Some(9),
        doubtful: false,
        interface: Some(wan),
        not_taken: Vec::new(),
        unread: Vec::new(),
    };
    assert_eq!(news.findings, Some(found));
    assert!(shell.device.orders.is_empty());
    assert_eq!(shell.timers.get(&Timer::OrderExpiry), None);
    assert_eq!(shell.device.state(), State::Active);
    assert!(shell.refreshed.contains_key(&format!("{PING}AverageResponseTime")), "shown with its age");
}

#[test]
fn a_device_that_never_says_so_is_asked_once_to_come_and_is_read() {
    let mut shell = huawei(TestRun::Silent);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    assert_eq!(last(&shell, &key).state, OrderState::Sent);
    let before = shell.sessions;
    shell.run(60);
    assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", last(&shell, &key).text);
    assert_eq!((shell.sessions - before, asked(&shell)), (1, 1), "called once, asked once");
}

#[test]
fn an_error_of_the_device_is_told_in_words() {
    let mut shell = huawei(TestRun::Error("Error_CannotResolveHostName"));
    let key = ping(&mut shell, "nowhere.example");
    shell.run(30);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed);
    assert_eq!(news.text, "The router cannot resolve the name (Error_CannotResolveHostName).");
}

#[test]
fn what_an_earlier_test_left_is_not_shown_as_what_a_failed_one_found() {
    // No box of these clears its counts and rows when it fails.
    let mut shell = huawei(TestRun::Told);
    let done = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    assert_eq!(last(&shell, &done).state, OrderState::Done, "{}", last(&shell, &done).text);
    shell.test_results = vec![
        ("RouteHops.1.HopHost", "bras.example.net"),
        ("RouteHops.1.HopRTTimes", "1"),
        ("RouteHops.2.HopHost", "www.example.net"),
        ("RouteHops.2.HopRTTimes", "2"),
    ];
    let done = trace(&mut shell, "www.example.net");
    shell.run(60);
    assert!(last(&shell, &done).text.starts_with("2 hops"), "{}", last(&shell, &done).text);
    shell.test_results.clear();
    shell.cpe.quirks.test = TestRun::Error("Error_CannotResolveHostName");
    for order in [ping, trace] {
        let key = order(&mut shell, "nowhere.invalid");
        shell.run(120);
        let news = last(&shell, &key);
        assert_eq!((news.state, &news.findings), (OrderState::Failed, &None), "{}", news.text);
        assert_eq!(news.text, "The router cannot resolve the name (Error_CannotResolveHostName).");
    }
    // Of a ping there is no part of a result.
    shell.cpe.quirks.test = TestRun::Error("Error_MaxHopCountExceeded");
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(60);
    assert_eq!((last(&shell, &key).state, &last(&shell, &key).findings), (OrderState::Failed, &None));
}

#[test]
fn a_test_without_end_ends_without_numbers() {
    let mut shell = huawei(TestRun::Endless);
    shell.cpe.set(&format!("{PING}SuccessCount"), "4");
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    let sessions = shell.sessions;
    shell.run(120);
    assert_eq!(last(&shell, &key).state, OrderState::Sent, "{}", last(&shell, &key).text);
    assert!(shell.sessions <= sessions + 1, "it is not called again and again");
    shell.run(7200);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed);
    assert!(
        news.text.contains("never said that it had finished") && news.text.contains("Requested"),
        "{}",
        news.text
    );
    // What lies there is of an earlier one.
    assert!(news.findings.is_none() && !news.text.contains("so far"), "{}", news.text);
    assert!(shell.device.orders.is_empty());
    assert_eq!(asked(&shell), 1);
}

/// The box runs a test of somebody else: it takes the inputs of another meanwhile, and does nothing on its request.
fn busy(shell: &mut Shell) {
    shell.cpe.set(&format!("{PING}DiagnosticsState"), "Running");
    shell.cpe.set(&format!("{PING}Host"), "192.0.2.66");
    shell.cpe.quirks.deaf_leaves = vec!["DiagnosticsState"];
}

#[test]
fn while_the_router_runs_another_test_ours_is_not_asked_for() {
    let mut shell = huawei(TestRun::Told);
    busy(&mut shell);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    let sessions = shell.sessions;
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Waiting);
    assert_eq!(
        news.text,
        "The router says that it runs a test (its state reads \"Running\"); this one is asked for in the first session in \
         which it does not."
    );
    shell.run(300);
    assert!(!shell.connection_wanted && shell.sessions == sessions, "nobody is called for it again");
    // As often as it comes by itself.
    for _ in 0..5 {
        shell.session(&["2 PERIODIC"], Ending::Clean);
        assert_eq!(last(&shell, &key).state, OrderState::Waiting, "{}", last(&shell, &key).text);
    }
    assert_eq!(told(&shell), [], "nothing of it is written meanwhile");
    // That one is over, and the box says so: what it has is no result of ours.
    shell.cpe.quirks.deaf_leaves.clear();
    shell.cpe.set(&format!("{PING}DiagnosticsState"), "Complete");
    shell.session(&["8 DIAGNOSTICS COMPLETE"], Ending::Clean);
    assert_eq!((last(&shell, &key).state, asked(&shell)), (OrderState::Sent, 1));
    shell.run(30);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    assert_eq!((shell.cpe.tests, asked(&shell)), (1, 1));
}

#[test]
fn a_test_that_another_is_in_the_way_of_expires() {
    let mut shell = huawei(TestRun::Told);
    busy(&mut shell);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(90_000);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Expired);
    assert!(news.text.contains("because the router said that it ran another test"), "{}", news.text);
    assert!(news.text.ends_with("Nothing was changed."), "{}", news.text);
    assert!(shell.device.orders.is_empty());
    assert_eq!(told(&shell), []);
}

#[test]
fn a_device_that_does_not_come_back_ends_it_too() {
    let mut shell = huawei(TestRun::Silent);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    shell.cpe.quirks.unreachable = true;
    for _ in 0..200 {
        shell.now = shell.now.plus_s(60);
        shell.feed(Event::TimerFired(Timer::OrderExpiry));
    }
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed);
    assert!(news.text.contains("no session came"), "{}", news.text);
}

#[test]
fn a_second_ping_is_a_test_of_its_own() {
    let mut shell = huawei(TestRun::Told);
    let first = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    assert_eq!(last(&shell, &first).state, OrderState::Done);
    shell.test_results = vec![("SuccessCount", "4"), ("FailureCount", "0"), ("AverageResponseTime", "1")];
    let second = ping(&mut shell, "10.0.0.1");
    shell.run(60);
    let news = last(&shell, &second);
    assert!(news.text.starts_with("10.0.0.1 answered 4 of 4"), "{}", news.text);
    assert_eq!(shell.cpe.tests, 2);
}

#[test]
fn the_result_of_somebody_elses_test_is_not_taken() {
    let mut shell = huawei(TestRun::Silent);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    shell.cpe.set(&format!("{PING}Host"), "192.0.2.66");
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!((news.state, &news.findings), (OrderState::Failed, &None));
    assert!(news.text.starts_with("Not proved") && news.text.contains("192.0.2.66"), "{}", news.text);
}

#[test]
fn a_restart_in_between_is_told() {
    let mut shell = huawei(TestRun::Endless);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    shell.cpe.set(&format!("{PING}DiagnosticsState"), "None");
    shell.session(&["1 BOOT"], Ending::Clean);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed);
    assert!(news.text.contains("knows of no ping any more"), "{}", news.text);
    assert_eq!(asked(&shell), 1, "it is not asked again by itself");
}

#[test]
fn a_router_that_does_not_take_the_name_of_a_connection_is_asked_without() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.refused_leaves = vec!["Interface"];
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    assert!(news.text.contains("did not take the name of the service's connection"), "{}", news.text);
}

#[test]
fn a_router_without_the_object_is_not_written() {
    let mut shell = active(fixtures::generic_tr098(), TestRun::Told);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed);
    assert!(news.text.starts_with("This router has no ping"), "{}", news.text);
    assert!(news.text.ends_with("Nothing was written."), "{}", news.text);
    assert!(shell.cpe.told.is_empty(), "{:?}", shell.cpe.told);
    assert!(shell.learned.iter().any(|fact| fact.path == PING && fact.fact == "missing"));
}

#[test]
fn lies_are_left_out() {
    let mut shell = huawei(TestRun::Told);
    shell.test_results =
        vec![("SuccessCount", "4294967295"), ("FailureCount", "-7"), ("AverageResponseTime", "99999999")];
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    let news = last(&shell, &key);
    let Some(Findings::Ping { sent, received, average_ms, doubtful, .. }) = &news.findings else {
        panic!("{news:?}")
    };
    assert_eq!((*sent, *received, *average_ms, *doubtful), (None, None, None, true));
}

#[test]
fn a_session_that_breaks_loses_nothing_and_asks_at_most_anew() {
    for torn in [Ending::LostRequest as fn(u32) -> Ending, Ending::LostReply] {
        for at in 1..=5 {
            let mut shell = huawei(TestRun::Told);
            shell.cpe.quirks.unreachable = true;
            let key = ping(&mut shell, "10.0.0.1");
            shell.session(&["2 PERIODIC"], torn(at));
            // The session that broke was the end of one for the box too.
            let results = shell.test_results.clone();
            shell.cpe.run_tests(&results);
            shell.now = shell.now.plus_s(10);
            shell.session(&["2 PERIODIC"], Ending::Clean);
            shell.now = shell.now.plus_s(10);
            // Read in sessions that break, too.
            for at in [1, 2] {
                if !shell.device.orders.is_empty() {
                    shell.session(&["2 PERIODIC"], torn(at));
                    shell.now = shell.now.plus_s(10);
                }
            }
            shell.session(&["2 PERIODIC"], Ending::Clean);
            let news = last(&shell, &key);
            assert_eq!(news.state, OrderState::Done, "torn at {at}: {}", news.text);
            assert!(asked(&shell) <= 2, "once it was taken nobody asks again");
        }
    }
}

#[test]
fn a_given_up_test_makes_room_for_another() {
    let mut shell = huawei(TestRun::Endless);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    shell.feed(Event::OrderCancelled { key: key.clone(), by: "ana".into() });
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed);
    assert!(news.text.contains("Given up by ana"), "{}", news.text);
    assert!(shell.device.orders.is_empty());
}

#[test]
fn nothing_is_asked_while_the_clock_is_wrong() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.no_clock = true;
    shell.cpe.quirks.ntp_unreachable = true;
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Waiting);
    assert!(news.text.contains("time is invalid"), "{}", news.text);
    assert_eq!(asked(&shell), 0);
}

#[test]
fn a_trace_lists_its_hops_in_order() {
    let mut shell = huawei(TestRun::Told);
    shell.test_results = vec![
        ("RouteHops.2.HopHost", "core.example.net"),
        ("RouteHops.2.HopRTTimes", "5,6,7"),
        ("RouteHops.2.HopHostAddress", "198.51.100.1"),
        ("RouteHops.10.HopHost", "www.example.net"),
        ("RouteHops.10.HopRTTimes", "*,*,9"),
        ("RouteHops.1.HopHost", "bras.example.net"),
        ("RouteHops.1.HopRTTimes", "1,1,2"),
        ("RouteHops.1.HopErrorCode", "0"),
    ];
    let key = trace(&mut shell, "www.example.net");
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    let Some(Findings::Traceroute { hops, cut: false, doubtful: false, .. }) = &news.findings else {
        panic!("{news:?}")
    };
    let shown: Vec<(&str, &[u32])> =
        hops.iter().map(|hop| (hop.name.as_str(), hop.times_ms.as_slice())).collect();
    assert_eq!(
        shown,
        [
            ("bras.example.net", [1, 1, 2].as_slice()),
            ("core.example.net", &[5, 6, 7]),
            ("www.example.net", &[9])
        ]
    );
    assert_eq!(hops[1].address, "198.51.100.1");
}

#[test]
fn a_million_hops_are_bounded_and_an_error_keeps_what_was_found() {
    let mut shell = huawei(TestRun::Error("Error_MaxHopCountExceeded"));
    let key = trace(&mut shell, "www.example.net");
    for number in 1..=3000 {
        shell.cpe.plant(
            &format!("InternetGatewayDevice.TraceRouteDiagnostics.RouteHops.{number}.HopHost"),
            "string",
            "x",
        );
    }
    shell.run(60);
    let news = last(&shell, &key);
    let Some(Findings::Traceroute { hops, cut: true, .. }) = &news.findings else { panic!("{news:?}") };
    assert_eq!((news.state, hops.len()), (OrderState::Failed, 64));
    assert!(news.text.starts_with("The router did not reach it within the hops"), "{}", news.text);
    assert!(news.text.contains("lists more"), "{}", news.text);
}

#[test]
fn what_a_router_refuses_is_left_out_and_named() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.refused_leaves = vec!["Timeout"];
    let key =
        give(&mut shell, Diagnosis::Ping { host: "10.0.0.1".into(), count: 2, timeout_ms: 3000, size: 1400 });
    shell.run(30);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "asked without what it refuses: {}", news.text);
    assert!(news.text.contains("did not take: 3000 ms to wait for each answer (it has "), "{}", news.text);
    let Some(Findings::Ping { sent, doubtful, .. }) = news.findings else { panic!("{news:?}") };
    // It has 2 and counts 3 and 1.
    assert_eq!((sent, doubtful), (None, true));
    assert_eq!(shell.cpe.value(&format!("{PING}DataBlockSize")), "1400");
}

#[test]
fn what_was_accepted_and_not_kept_is_named_and_the_count_is_that_of_the_device() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.deaf_leaves = vec!["DataBlockSize", "NumberOfRepetitions"];
    shell.cpe.set(&format!("{PING}NumberOfRepetitions"), "5");
    shell.test_results = vec![("SuccessCount", "4"), ("FailureCount", "1")];
    let key =
        give(&mut shell, Diagnosis::Ping { host: "10.0.0.1".into(), count: 4, timeout_ms: 2000, size: 1400 });
    shell.run(30);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done);
    assert!(news.text.starts_with("10.0.0.1 answered 4 of 5 requests"), "{}", news.text);
    assert!(
        news.text.contains("did not take: 4 requests (it has 5); 1400 bytes in each request (it has 56)."),
        "{}",
        news.text
    );
}

#[test]
fn what_a_router_refuses_without_naming_it_is_not_blamed_on_the_connection() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.refused_leaves = vec!["Timeout"];
    shell.cpe.quirks.names_no_leaf = true;
    let key =
        give(&mut shell, Diagnosis::Ping { host: "10.0.0.1".into(), count: 4, timeout_ms: 3456, size: 56 });
    shell.run(30);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    assert!(
        news.text.contains(
            "refused without saying what, and was asked with less. It does not have as asked: 3456 ms"
        ),
        "{}",
        news.text
    );
    assert!(!news.text.contains("connection") && !news.text.contains("did not take"), "{}", news.text);
    let wan = shell.cpe.ppp_wans().first().expect("a WAN").trim_end_matches('.').to_owned();
    let Some(Findings::Ping { interface, .. }) = &news.findings else { panic!("{news:?}") };
    assert_eq!(interface.as_deref(), Some(&*wan), "it goes over the service's connection all the same");
}

#[test]
fn the_connection_is_left_out_last_and_what_was_set_before_is_named() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.refused_leaves = vec!["Interface"];
    shell.cpe.quirks.names_no_leaf = true;
    let before = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1";
    shell.cpe.set(&format!("{PING}Interface"), before);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    let said = format!("it used what was set before: {before}.");
    assert!(news.text.contains("refused") && news.text.contains(&said), "{}", news.text);
    assert!(!news.text.contains("by itself"), "{}", news.text);
    let told = told(&shell);
    let leaves: Vec<&str> = told.iter().map(|(leaf, _)| leaf.as_str()).collect();
    assert_eq!(
        leaves,
        [
            // What is left fits into one call with the host.
            "NumberOfRepetitions",
            "Timeout",
            "DataBlockSize",
            "Interface",
            "Host",
            "NumberOfRepetitions",
            "DataBlockSize",
            "Interface",
            "DiagnosticsState",
            "Host",
            "NumberOfRepetitions",
            "Interface",
            "DiagnosticsState",
            "Host",
            "Interface",
            "DiagnosticsState",
            "Host",
            "DiagnosticsState",
        ],
        "less and less"
    );
}

#[test]
fn nothing_is_blamed_that_was_not_in_the_call() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.refused_leaves = vec!["Host"];
    shell.cpe.quirks.names_no_leaf = true;
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    let news = last(&shell, &key);
    assert_eq!((news.state, asked(&shell)), (OrderState::Failed, 1), "{}", news.text);
    assert!(news.text.contains("refused SetParameterValues"), "{}", news.text);
}

#[test]
fn what_it_needs_is_not_left_out_when_it_is_refused() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.refused_leaves = vec!["Host"];
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed);
    assert!(news.text.contains("refused SetParameterValues") && news.text.contains("Host"), "{}", news.text);
    assert!(news.text.contains("may have begun"), "{}", news.text);
    assert_eq!(asked(&shell), 1);
}

#[test]
fn the_connection_is_that_of_the_kind_that_the_service_wants() {
    let mut shell = huawei(TestRun::Told);
    // Left over from another life: an IP connection, as it happens the one for management.
    let management = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.".to_owned();
    let at = shell.now;
    let left = StoredObject { path: management, created: false, at, stale: false };
    shell.device.objects.insert("ip".into(), left);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", last(&shell, &key).text);
    let wan = shell.cpe.ppp_wans().first().expect("a WAN").trim_end_matches('.').to_owned();
    assert!(told(&shell).contains(&("Interface".to_owned(), wan)), "{:?}", told(&shell));
}

#[test]
fn where_no_connection_of_the_service_is_known_it_is_said_which_way_it_goes() {
    let bridge: fn(&mut Intents) = |intents| {
        if let Some(internet) = intents.internet.as_mut() {
            (internet.mode, internet.nat) = (InternetMode::Bridge, false);
        }
    };
    let none: fn(&mut Intents) = |intents| intents.internet = None;
    let cases = [(bridge, "the service is bridged"), (none, "no Internet connection is wanted")];
    for (change, why) in cases {
        let mut wanted = intents(Some(200));
        change(&mut wanted);
        let mut shell = odd(Quirks::default(), wanted);
        // An earlier test of somebody else left it there.
        shell.cpe.set(
            &format!("{PING}Interface"),
            "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1",
        );
        let key = ping(&mut shell, "10.0.0.1");
        shell.run(30);
        let news = last(&shell, &key);
        assert_eq!(news.state, OrderState::Done, "{}", news.text);
        assert!(news.text.contains(why), "{}", news.text);
        assert!(news.text.contains("may be the connection over which it is managed"), "{}", news.text);
        assert!(told(&shell).contains(&("Interface".to_owned(), String::new())), "what was left there goes");
        let Some(Findings::Ping { interface, .. }) = &news.findings else { panic!("{news:?}") };
        assert_eq!(*interface, None);
    }
}

#[test]
fn a_connection_that_was_never_seen_in_force_is_not_the_services() {
    let quirks = Quirks { pppoe_refused: true, ..Quirks::default() };
    let mut shell = Shell::new(Cpe::new(fixtures::hg8546m(), quirks), Some(intents(Some(200))));
    shell.run_until(State::Failed, 7200);
    let key = ping(&mut shell, "10.0.0.1");
    shell.session(&["2 PERIODIC"], Ending::Clean);
    shell.run(10);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    assert!(news.text.contains("was not seen in force"), "{}", news.text);
}

#[test]
fn a_router_that_keeps_another_connection_proves_no_way() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.deaf_leaves = vec!["Interface"];
    let other = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1";
    shell.cpe.set(&format!("{PING}Interface"), other);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(30);
    let news = last(&shell, &key);
    assert!(news.text.contains("Not proved which way it took") && news.text.contains(other), "{}", news.text);
}

/// An old result of the same host lies in the box.
pub(crate) fn old_result(shell: &mut Shell) {
    for (leaf, value) in [("DiagnosticsState", "Complete"), ("Host", "10.0.0.1"), ("SuccessCount", "4")] {
        shell.cpe.set(&format!("{PING}{leaf}"), value);
    }
}

#[test]
fn an_old_result_is_not_taken_for_the_new_one() {
    let mut shell = huawei(TestRun::Told);
    old_result(&mut shell);
    // It accepts the request and nothing comes of it.
    shell.cpe.quirks.deaf_leaves = vec!["DiagnosticsState"];
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Sent);
    assert!(news.text.contains("as it did before"), "{}", news.text);
    shell.session(&["2 PERIODIC"], Ending::Clean);
    assert_eq!(last(&shell, &key).state, OrderState::Sent, "{}", last(&shell, &key).text);
    shell.run(120);
    let news = last(&shell, &key);
    assert_eq!((news.state, &news.findings), (OrderState::Failed, &None), "{}", news.text);
    assert!(news.text.starts_with("Not proved"), "{}", news.text);
    assert_eq!(asked(&shell), 1);
}

#[test]
fn a_router_that_says_that_it_finished_is_believed_whatever_its_state_was_before() {
    let mut shell = huawei(TestRun::Told);
    old_result(&mut shell);
    shell.cpe.quirks.deaf_leaves = vec!["DiagnosticsState"];
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    assert_eq!(last(&shell, &key).state, OrderState::Sent);
    shell.session(&["8 DIAGNOSTICS COMPLETE"], Ending::Clean);
    assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", last(&shell, &key).text);
}

#[test]
fn a_write_that_is_applied_later_is_no_result_of_before() {
    for (test, before, done) in [
        (TestRun::Told, true, true),
        (TestRun::Silent, false, true),
        // Complete before, complete after, and no word between: nobody can tell them apart.
        (TestRun::Silent, true, false),
    ] {
        let mut shell = huawei(test);
        shell.cpe.quirks.tests_later = true;
        if before {
            old_result(&mut shell);
        }
        let key = ping(&mut shell, "10.0.0.1");
        shell.run(4);
        let news = last(&shell, &key);
        assert_eq!(news.state, OrderState::Sent);
        assert!(news.text.contains("applies it after the session"), "{}", news.text);
        shell.run(120);
        let news = last(&shell, &key);
        assert_eq!(news.state == OrderState::Done, done, "{test:?}, {before}: {}", news.text);
        assert_eq!(news.text.starts_with("Not proved"), !done, "{}", news.text);
    }
}

#[test]
fn a_router_that_names_another_host_right_after_it_was_asked_proves_nothing() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.deaf_leaves = vec!["Host"];
    shell.cpe.set(&format!("{PING}Host"), "192.0.2.66");
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed);
    assert!(news.text.starts_with("Not proved") && news.text.contains("names 192.0.2.66"), "{}", news.text);
    assert!(news.text.contains("may run a test"), "{}", news.text);
}

#[test]
fn one_leaf_that_cannot_be_read_does_not_make_the_rest_slow() {
    let mut shell = huawei(TestRun::Told);
    let hops: Vec<String> = (1..=40).map(|number| format!("RouteHops.{number}.HopHost")).collect();
    let trace_object = "InternetGatewayDevice.TraceRouteDiagnostics.";
    for hop in &hops {
        shell.cpe.plant(&format!("{trace_object}{hop}"), "string", "x");
    }
    shell.cpe.quirks.unreadable = vec!["Timeout"];
    let key = trace(&mut shell, "www.example.net");
    shell.run(4);
    let before = shell.transcript.len();
    shell.run(60);
    assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", last(&shell, &key).text);
    let reads =
        shell.transcript[before..].iter().filter(|line| line.contains("GetParameterValues of")).count();
    assert!(reads < 15, "{reads} reads: {:#?}", &shell.transcript[before..]);
}

#[test]
fn once_a_write_left_nobody_says_that_nothing_happened() {
    // The reply to the call that begins it is lost.
    let asked_once = || {
        let mut shell = huawei(TestRun::Endless);
        shell.cpe.quirks.unreachable = true;
        let key = ping(&mut shell, "10.0.0.1");
        shell.session(&["2 PERIODIC"], Ending::LostReply(4));
        assert_eq!(asked(&shell), 1);
        (shell, key)
    };
    let check = |shell: &Shell, key: &str, how: &str| {
        let news = last(shell, key);
        assert_eq!(news.state, OrderState::Failed, "{how}: {}", news.text);
        assert!(news.text.contains("may have begun"), "{how}: {}", news.text);
        assert!(
            !news.text.contains("Nothing was") && !news.text.contains("before the device was told"),
            "{how}: {}",
            news.text
        );
        assert!(shell.device.orders.is_empty());
    };
    let (mut shell, key) = asked_once();
    shell.feed(Event::OrderCancelled { key: key.clone(), by: "ana".into() });
    check(&shell, &key, "cancelled");
    let (mut shell, key) = asked_once();
    shell.now = shell.now.plus_s(86_401);
    shell.feed(Event::TimerFired(Timer::OrderExpiry));
    check(&shell, &key, "expired");
    let (mut shell, key) = asked_once();
    for _ in 0..2 {
        shell.now = shell.now.plus_s(10);
        shell.session(&["2 PERIODIC"], Ending::LostReply(1));
    }
    check(&shell, &key, "broken again and again");
    let (mut shell, key) = asked_once();
    shell.now = shell.now.plus_s(10);
    shell.cpe.quirks.odd_names = vec![(PING, Some(9002))];
    shell.session(&["2 PERIODIC"], Ending::Clean);
    check(&shell, &key, "refused when it was asked again");
    let (mut shell, key) = asked_once();
    shell.now = shell.now.plus_s(10);
    shell.cpe.quirks.odd_names = vec![(PING, None)];
    shell.session(&["2 PERIODIC"], Ending::Clean);
    check(&shell, &key, "the object is not named when it is asked again");
}

/// The next request of a step.
fn request(step: &Step) -> Option<DeviceRequest> {
    step.effects.iter().find_map(|effect| match effect {
        Effect::Request(request) => Some(request.clone()),
        _ => None,
    })
}

/// A session by hand up to the n-th request, which is given back unanswered.
fn up_to(shell: &mut Shell, n: usize) -> DeviceRequest {
    let (inform, peer) = (shell.cpe.inform(shell.now, &["2 PERIODIC"]), shell.peer());
    shell.feed(Event::InformReceived { inform, peer });
    shell.feed(Event::LinkResolved(shell.link.clone()));
    let mut step = shell.feed(Event::SessionReady);
    for _ in 1..n {
        let reply = shell.cpe.answer(&request(&step).expect("a request"), shell.now);
        step = shell.reply(reply);
    }
    request(&step).expect("a request")
}

fn becomes(shell: &mut Shell, family: &str) {
    shell.device.profile.as_mut().expect("a family").id = family.to_owned();
}

#[test]
fn a_device_that_turns_out_to_be_of_another_family_is_no_panic() {
    // Nothing was told yet: by the names of the other family there is none.
    for n in 1..=3 {
        let mut shell = huawei(TestRun::Told);
        shell.cpe.quirks.unreachable = true;
        let key = ping(&mut shell, "10.0.0.1");
        let asked_for = up_to(&mut shell, n);
        becomes(&mut shell, "std_tr181");
        let mut next = Some(asked_for);
        while let Some(request_now) = next {
            let reply = shell.cpe.answer(&request_now, shell.now);
            next = request(&shell.reply(reply));
        }
        shell.feed(Event::SessionEnded(SessionEnd::Clean));
        let news = last(&shell, &key);
        assert_eq!(news.state, OrderState::Failed, "{n}: {}", news.text);
        let written = n == 3;
        assert_eq!(news.text.contains("may have begun"), written, "{n}: {}", news.text);
        assert_eq!(news.text.contains("turned out to be another one"), written, "{n}: {}", news.text);
    }
    // It took it as one family and is read as another.
    let mut shell = huawei(TestRun::Silent);
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(4);
    becomes(&mut shell, "std_tr098");
    shell.session(&["2 PERIODIC"], Ending::Clean);
    let news = last(&shell, &key);
    assert_eq!((news.state, &news.findings), (OrderState::Failed, &None));
    assert!(news.text.contains("another family"), "{}", news.text);
}

#[test]
fn one_odd_answer_teaches_nobody() {
    for odd in [Some(9003), None] {
        let mut shell = huawei(TestRun::Told);
        shell.cpe.quirks.odd_names = vec![(PING, odd)];
        let key = ping(&mut shell, "10.0.0.1");
        shell.run(30);
        let news = last(&shell, &key);
        assert_eq!(news.state, OrderState::Failed);
        assert!(news.text.contains("does not say that there is no such thing"), "{}", news.text);
        assert!(!shell.learned.iter().any(|fact| fact.path == PING), "{odd:?}");
        shell.cpe.quirks.odd_names.clear();
        let key = ping(&mut shell, "10.0.0.1");
        shell.run(60);
        assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", last(&shell, &key).text);
    }
}

#[test]
fn what_was_learned_goes_with_the_firmware_and_with_a_better_answer() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.odd_names = vec![(PING, Some(9005))];
    ping(&mut shell, "10.0.0.1");
    shell.run(30);
    assert_eq!(shell.device.learned.get(PING).map(String::as_str), Some(provisioning::MISSING));
    // It has it after all.
    shell.cpe.quirks.odd_names.clear();
    let key = ping(&mut shell, "10.0.0.1");
    shell.run(60);
    assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", last(&shell, &key).text);
    assert_ne!(shell.device.learned.get(PING).map(String::as_str), Some(provisioning::MISSING));
    shell.cpe.quirks.odd_names = vec![(PING, Some(9005))];
    ping(&mut shell, "10.0.0.1");
    shell.run(60);
    assert_eq!(shell.device.learned.get(PING).map(String::as_str), Some(provisioning::MISSING));
    shell.cpe.set("InternetGatewayDevice.DeviceInfo.SoftwareVersion", "V9R9");
    shell.session(&["1 BOOT"], Ending::Clean);
    assert_eq!(shell.device.learned.get(PING), None, "another firmware may have it");
}
