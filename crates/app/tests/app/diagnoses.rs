//! Tests that a CPE runs by itself, from the command to what is known of them afterwards.

use crate::{
    orders::until_over,
    shell::{callable, callable_with, machine},
    support::{
        bed::Bed,
        cpe::pass,
        world::{Calls, admin, cpe_row, person},
    },
};
use app::{App, AppError, DeviceOrderRequest, DiagnosisRequest, MOST_OPEN_TESTS, Role};
use sim::cpe::{Quirks, quirks::SelfTests};
use store::rows;
use types::{CpeId, DeviceOrderId, Secret};

fn ping(host: &str) -> DeviceOrderRequest {
    DeviceOrderRequest::Diagnose(DiagnosisRequest::Ping {
        host: host.into(),
        count: None,
        timeout_ms: None,
        size: None,
    })
}

async fn order(app: &App, cpe: CpeId, request: DeviceOrderRequest) -> DeviceOrderId {
    app.order_device(&admin(), cpe, request, None).await.expect("taken").id
}

async fn a_ping_is_run_read_and_kept(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    bed.advance_s(60);
    let first = order(&app, id, ping("10.0.0.1")).await;
    let second = app.order_device(&admin(), id, ping("10.0.0.2"), None).await;
    assert!(matches!(&second, Err(AppError::Conflict(why)) if why.contains("one at a time")), "{second:?}");
    let done = until_over(bed, &app, &calls, &mut cpe, first).await;
    assert_eq!((done.state.as_str(), done.kind.as_str()), ("done", "ping"), "{done:?}");
    assert!(done.text.starts_with("10.0.0.1 answered 4 of 4 requests"), "{}", done.text);
    assert_eq!(
        (&done.findings["test"], &done.findings["sent"]),
        (&"ping".into(), &4.into()),
        "{}",
        done.findings
    );
    assert_eq!(done.summary, "ping 10.0.0.1, 4 requests");
    let wan = cpe.cell.device().tree().at_root("IPPingDiagnostics.Interface").unwrap_or_default().to_owned();
    assert!(wan.contains(".WANPPPConnection."), "over the connection of the service: {wan:?}");
    // The result stays; the next one is a test of its own.
    let other = order(&app, id, ping("nowhere.invalid")).await;
    let failed = until_over(bed, &app, &calls, &mut cpe, other).await;
    assert_eq!(failed.state, "failed");
    assert_eq!(failed.text, "The router cannot resolve the name (Error_CannotResolveHostName).");
    // The counts of the first one lie in the CPE still.
    assert_eq!(cpe.cell.device().tree().at_root("IPPingDiagnostics.SuccessCount"), Some("4"));
    assert!(failed.findings.is_null(), "{}", failed.findings);
    assert_eq!(app.device_order(first).await.expect("kept").findings, done.findings);
    // What failed is ordered once more as it was.
    let again = app.repeat_order(&admin(), other).await.expect("taken").id;
    let again = app.device_order(again).await.expect("there");
    assert_eq!((again.kind.as_str(), &again.shown), ("ping", &failed.shown));
    assert_eq!(again.shown["host"], "nowhere.invalid");
}

/// Nobody waits a day for a ping, and one that nobody waits for takes no place.
async fn a_test_that_cannot_be_begun_expires_soon(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    for wrong in [59, 7201, 86_400] {
        let error = app.order_device(&admin(), id, ping("10.0.0.1"), Some(wrong)).await.expect_err("refused");
        assert!(error.to_string().contains("between 60 and 7200"), "{wrong}: {error}");
    }
    for (said, expected) in [(None, 900), (Some(7200), 7200)] {
        let test = app.order_device(&admin(), id, ping("10.0.0.1"), said).await.expect("taken").id;
        let waiting = app.device_order(test).await.expect("there");
        assert_eq!(waiting.expires_at.since(waiting.created_at).as_secs(), expected);
        app.cancel_order(&admin(), test).await.expect("withdrawn");
    }
    let read = DeviceOrderRequest::refresh("InternetGatewayDevice.DeviceInfo.");
    app.order_device(&admin(), id, read, Some(86_400)).await.expect("other orders wait as before");
}

async fn a_cpe_that_never_says_so_is_called_once_and_read(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let quirks = Quirks { self_tests: SelfTests::NoEvent, ..Quirks::default() };
    let (mut cpe, id) = callable_with(bed, &app, &calls, quirks).await;
    bed.advance_s(60);
    let before = calls.made().len();
    let test = order(&app, id, ping("10.0.0.1")).await;
    let done = until_over(bed, &app, &calls, &mut cpe, test).await;
    assert_eq!(done.state, "done", "{done:?}");
    assert!(calls.made().len() <= before + 2, "once to be asked, once to be read");
}

async fn a_trace_is_run_read_and_kept(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    bed.advance_s(60);
    let host = "www.example.net".to_owned();
    let trace = DiagnosisRequest::Traceroute { host, hops: None, tries: None, timeout_ms: None };
    let test = order(&app, id, DeviceOrderRequest::Diagnose(trace)).await;
    let done = until_over(bed, &app, &calls, &mut cpe, test).await;
    assert_eq!(done.state, "done", "{done:?}");
    let hops = done.findings["hops"].as_array().expect("hops");
    assert_eq!((hops.len(), &hops[3]["name"]), (4, &"www.example.net".into()), "{done:?}");
    // One that fails does not show the way to another host.
    let host = "nowhere.invalid".to_owned();
    let trace = DiagnosisRequest::Traceroute { host, hops: None, tries: None, timeout_ms: None };
    let test = order(&app, id, DeviceOrderRequest::Diagnose(trace)).await;
    let failed = until_over(bed, &app, &calls, &mut cpe, test).await;
    assert_eq!(failed.text, "The router cannot resolve the name (Error_CannotResolveHostName).");
    assert!(failed.findings.is_null(), "{}", failed.findings);
}

async fn every_other_test_is_run_read_and_kept(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    bed.advance_s(60);
    let host = "www.example.net".to_owned();
    for (test, text) in [
        (
            DiagnosisRequest::Lookup { host, server: None, count: None, timeout_ms: None },
            "www.example.net is 203.0.113.7, answered in ",
        ),
        (DiagnosisRequest::Neighbours, "The router hears 3 networks."),
    ] {
        let order = order(&app, id, DeviceOrderRequest::Diagnose(test)).await;
        let done = until_over(bed, &app, &calls, &mut cpe, order).await;
        assert_eq!(done.state, "done", "{done:?}");
        assert!(done.text.contains(text), "{text}: {}", done.text);
    }
}

async fn what_is_connected_is_read_and_nothing_is_written(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    bed.advance_s(60);
    let asked = cpe.asked.len();
    let order = order(&app, id, DeviceOrderRequest::Diagnose(DiagnosisRequest::Hosts)).await;
    let done = until_over(bed, &app, &calls, &mut cpe, order).await;
    assert_eq!(
        (done.state.as_str(), done.text.as_str()),
        ("done", "The router lists 2 hosts, 1 by Wi-Fi now."),
        "{done:?}"
    );
    let phone = &done.findings["hosts"][0];
    assert_eq!((&phone["name"], &phone["mac"]), (&"phone".into(), &"02:00:5E:00:01:02".into()));
    assert_eq!((&phone["band"], &phone["signal_dbm"]), (&"5GHz".into(), &(-54).into()), "{phone}");
    assert!(!cpe.asked[asked..].iter().any(|asked| asked.starts_with("set")), "{:?}", &cpe.asked[asked..]);
}

async fn lies_are_left_out(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let quirks = Quirks { self_tests: SelfTests::Lies, ..Quirks::default() };
    let (mut cpe, id) = callable_with(bed, &app, &calls, quirks).await;
    bed.advance_s(60);
    let test = order(&app, id, ping("10.0.0.1")).await;
    let done = until_over(bed, &app, &calls, &mut cpe, test).await;
    assert_eq!((done.state.as_str(), &done.findings["doubtful"]), ("done", &true.into()), "{done:?}");
    assert!(done.findings["received"].is_null() && done.text.contains("cannot be"), "{done:?}");
}

async fn a_test_that_goes_on_can_be_given_up(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let quirks = Quirks { self_tests: SelfTests::Never, ..Quirks::default() };
    let (mut cpe, id) = callable_with(bed, &app, &calls, quirks).await;
    bed.advance_s(60);
    let mut answered = calls.made().len();
    let test = order(&app, id, ping("10.0.0.1")).await;
    let mut passes = 0;
    let mut gone = None;
    while gone.is_none() {
        passes += 1;
        let order = app.device_order(test).await.expect("there");
        assert!(passes <= 200, "neither taken nor given up: {order:?}");
        if order.state == "sent" {
            gone = match app.cancel_order(&admin(), test).await {
                Ok(gone) => Some(gone),
                Err(AppError::Conflict(_)) => None,
                Err(error) => panic!("{error}"),
            };
        }
        if gone.is_none() {
            pass(bed, &app, &calls, &mut answered, &mut cpe).await;
        }
    }
    let gone = gone.expect("given up");
    assert_eq!(gone.state, "failed");
    assert!(gone.text.contains("Given up by"), "{}", gone.text);
    order(&app, id, ping("10.0.0.2")).await;
}

async fn what_may_not_be_asked_is_refused_in_words(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    for host in
        ["", "-c1", "a b", "a;reboot", "$(reboot)", "a\nb", "127.0.0.1", "0x7f000001", "127.1", "224.0.0.1"]
    {
        let error = app.order_device(&admin(), id, ping(host), None).await.expect_err("refused");
        assert!(matches!(error, AppError::Invalid { .. }), "{host:?}: {error}");
    }
    let viewer = person("vera", Role::Viewer);
    let error = app.order_device(&viewer, id, ping("10.0.0.1"), None).await.expect_err("refused");
    assert!(matches!(error, AppError::Forbidden(_)), "{error}");
    app.release_cpe(&admin(), id).await.expect("released");
    let error = app.order_device(&admin(), id, ping("10.0.0.1"), None).await.expect_err("refused");
    assert!(matches!(&error, AppError::Conflict(why) if why.contains("no service")), "{error}");
}

async fn the_installation_has_no_more_than_so_many_open(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    let (now, row) = (app.now(), cpe_row(&app, id).await);
    let other = rows::Cpe {
        id: CpeId(0),
        serial_number: "another".into(),
        auth_username: None,
        pon_serial: None,
        claimed_serial: None,
        service_id: None,
        ..row
    };
    let of_others = move |numbers: std::ops::RangeInclusive<u64>, other: CpeId, ended| {
        numbers.map(move |number| rows::DeviceOrder {
            key: format!("lk-o-other-{number}"),
            cpe_id: other,
            kind: if number % 2 == 0 { "ping" } else { "traceroute" }.into(),
            state: "waiting".into(),
            results: serde_json::json!([]),
            created_at: now,
            expires_at: now.plus_s(600),
            ended_at: ended,
            ..Default::default()
        })
    };
    let write = async |orders: Vec<rows::DeviceOrder>| {
        let written = app.store().write::<_, _, store::StoreError>(move |tx| {
            let orders = orders.clone();
            Box::pin(async move {
                for order in orders {
                    store::orders::insert(tx, &order, &Secret::new("{}")).await?;
                }
                Ok(())
            })
        });
        written.await.expect("written");
    };
    let other = app
        .store()
        .write::<_, _, store::StoreError>(move |tx| {
            let other = other.clone();
            Box::pin(async move { tx.insert(&other).await })
        })
        .await
        .expect("written");
    write(of_others(1..=MOST_OPEN_TESTS - 1, other, None).collect()).await;
    // What is over counts no more.
    write(of_others(500..=500, other, Some(now)).collect()).await;
    let taken = order(&app, id, ping("10.0.0.1")).await;
    app.cancel_order(&admin(), taken).await.expect("withdrawn");
    write(of_others(MOST_OPEN_TESTS..=MOST_OPEN_TESTS, other, None).collect()).await;
    let error = app.order_device(&admin(), id, ping("10.0.0.1"), None).await.expect_err("refused");
    assert!(matches!(&error, AppError::Conflict(why) if why.contains("in this installation")), "{error}");
    // Other orders are none of that.
    order(&app, id, DeviceOrderRequest::refresh("InternetGatewayDevice.DeviceInfo.")).await;
}

/// What is not proved of a family is said when it is ordered, and a lesson of the firmware is a warning.
async fn what_is_known_of_a_test_is_said(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    bed.advance_s(60);
    let plain = app.order_device(&admin(), id, ping("10.0.0.1"), None).await.expect("taken");
    assert_eq!(plain.warnings, Vec::<String>::new());
    until_over(bed, &app, &calls, &mut cpe, plain.id).await;
    let host = "www.example.net".to_owned();
    let trace = DiagnosisRequest::Traceroute { host, hops: None, tries: None, timeout_ms: None };
    let traced =
        app.order_device(&admin(), id, DeviceOrderRequest::Diagnose(trace), None).await.expect("taken");
    assert!(traced.warnings.iter().any(|text| text.contains("is not proved for")), "{:?}", traced.warnings);
    until_over(bed, &app, &calls, &mut cpe, traced.id).await;
    // As if the unit had said once that it has none.
    let missing = "InternetGatewayDevice.IPPingDiagnostics.".to_owned();
    let mut device = machine(&cpe_row(&app, id).await);
    device.learned.insert(missing, provisioning::MISSING.to_owned());
    let row = rows::Cpe {
        machine: serde_json::to_value(&device).expect("plain data").into(),
        ..cpe_row(&app, id).await
    };
    app.store()
        .write::<_, _, store::StoreError>(move |tx| {
            let row = row.clone();
            Box::pin(async move { tx.update(&row).await.map(|_| ()) })
        })
        .await
        .expect("written");
    let warned = app.order_device(&admin(), id, ping("10.0.0.1"), None).await.expect("not forbidden");
    assert!(warned.warnings.iter().any(|text| text.contains("asked all the same")), "{:?}", warned.warnings);
    let done = until_over(bed, &app, &calls, &mut cpe, warned.id).await;
    assert_eq!(done.state, "done", "{done:?}");
}

on_both!(
    a_ping_is_run_read_and_kept,
    a_trace_is_run_read_and_kept,
    a_test_that_cannot_be_begun_expires_soon,
    every_other_test_is_run_read_and_kept,
    what_is_connected_is_read_and_nothing_is_written,
    a_cpe_that_never_says_so_is_called_once_and_read,
    lies_are_left_out,
    a_test_that_goes_on_can_be_given_up,
    what_may_not_be_asked_is_refused_in_words,
    the_installation_has_no_more_than_so_many_open,
    what_is_known_of_a_test_is_said,
);
