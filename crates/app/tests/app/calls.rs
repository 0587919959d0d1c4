//! Where devices are called: only where they are known to be, whatever they write into their URLs.

use crate::{
    shell::{callable, machine},
    support::{
        bed::Bed,
        cpe::{INSIDE, pass},
        eventually,
        world::{self, Calls, admin, cpe_row, person, told},
    },
};
use app::{Actor, App, AppError, Reach, Role, Verdict, ports::ConnectionRequestOutcome};
use std::net::IpAddr;
use types::CpeId;

async fn call(bed: &Bed, app: &App, id: CpeId) {
    // Beyond the minimum gap, and nobody waits for the one before any more.
    bed.advance_s(31);
    app.work_once().await.expect("work");
    app.call_cpe(&admin(), id).await.expect("asked for");
    app.work_once().await.expect("work");
    app.work_once().await.expect("work");
}

async fn a_device_is_called_where_it_speaks_from_and_where_its_olt_has_it(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    let known_at = || calls.made().last().expect("made").known_at.clone();
    let inside: IpAddr = INSIDE.parse().expect("an address");
    call(bed, &app, id).await;
    assert_eq!(known_at(), [inside]);
    let said = |at: i64| {
        let host = r#"{"address":"127.20.7.7","vlan":40,"mac":null}"#;
        format!(r#"UPDATE onus SET observed = '{{"management":{{"read_at":{at},"hosts":[{host}]}}}}'"#)
    };
    bed.sql(&said(app.now().0)).await;
    call(bed, &app, id).await;
    assert_eq!(known_at(), [inside, IpAddr::from([127, 20, 7, 7])]);
    let long_ago = app.now().0 - 2_000_000_000;
    bed.sql(&said(long_ago)).await;
    call(bed, &app, id).await;
    assert_eq!(known_at(), [inside], "what the OLT said long ago is no evidence");
    assert!(calls.made().iter().all(|target| target.behind_nat.is_empty()), "strict unless told otherwise");
    let mut policy = world::policy();
    policy.nat_networks = vec!["127.20.4.0/24".parse().expect("a network")];
    app.set_acs_policy(&admin(), policy.clone(), None).await.expect("acceptable");
    call(bed, &app, id).await;
    assert_eq!(calls.made().last().expect("made").behind_nat, policy.nat_networks);
}

async fn a_url_of_somebody_else_is_told_with_both_addresses(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    calls.answer(ConnectionRequestOutcome::AnotherAddress);
    bed.sql(
        "UPDATE cpes SET connection_request_url = REPLACE(connection_request_url, '127.20.3.9', '127.20.3.10'), \
         machine = REPLACE(machine, 'http://127.20.3.9', 'http://127.20.3.10')",
    )
    .await;
    call(bed, &app, id).await;
    let requests = store::cpes::connection_requests(app.store(), id, 1).await.expect("readable");
    assert_eq!(requests[0].outcome, "another_address");
    let detail = &requests[0].detail;
    assert!(
        detail.contains("http://127.20.3.10:7547/") && detail.contains("speaks from 127.20.3.9"),
        "{detail}"
    );
    let told = told(&app, id, "connection_request_another_address").await;
    let text = &told.last().expect("told").text;
    assert!(
        text.contains("names 127.20.3.10, but the device speaks from 127.20.3.9; no request was sent"),
        "{text}"
    );
    let next = told.last().and_then(|line| line.next_text.clone()).unwrap_or_default();
    assert!(next.contains("waiting for the next Inform, overdue since"), "{next}");
    let device = machine(&cpe_row(&app, id).await);
    assert_eq!(device.connection.outstanding_since, None, "nobody waits for it");
    assert_eq!(cpe_row(&app, id).await.state, "ACTIVE", "a device that works stays as it is");
}

async fn among_all_nodes_a_device_gets_one_call_at_a_time(bed: &Bed) {
    let (first, second) = (Calls::default(), Calls::default());
    let (one, two) = (bed.app("node-1", &first).await, bed.app("node-2", &second).await);
    let (_, id) = callable(bed, &one, &first).await;
    bed.advance_s(31);
    one.work_once().await.expect("work");
    let before = first.made().len();
    first.hang(true);
    one.call_cpe(&admin(), id).await.expect("asked for");
    let worker = tokio::spawn({
        let one = one.clone();
        async move { one.work_once().await }
    });
    eventually("the call goes out", || async { (first.made().len() > before).then_some(()) }).await;
    // The watchdog gives it up, and somebody orders another, which the other node takes.
    call(bed, &two, id).await;
    assert_eq!(second.made().len(), 0, "the first node is still calling it");
    let last = || async {
        store::cpes::connection_requests(two.store(), id, 1).await.expect("readable").pop().expect("recorded")
    };
    let told = last().await;
    assert_eq!(told.outcome, "not_sent");
    assert!(told.detail.contains("the call before to this device is still under way"), "{}", told.detail);
    // The first node dies in the middle of it: its turn ends by itself.
    worker.abort();
    assert!(worker.await.expect_err("killed").is_cancelled());
    bed.advance_s(61);
    two.work_once().await.expect("work");
    call(bed, &two, id).await;
    assert_eq!((first.made().len(), second.made().len()), (before + 1, 1));
    assert_eq!(last().await.outcome, "accepted");
    // A call that ended leaves the turn to any node at once.
    let third = Calls::default();
    let three = bed.app("node-3", &third).await;
    call(bed, &three, id).await;
    assert_eq!(third.made().len(), 1);
}

/// The verdicts from the URL to the Inform.
fn verdicts(reach: &Reach) -> Vec<Verdict> {
    reach.steps.iter().map(|step| step.verdict).collect()
}

/// On the heap: each of these is a large future, and the test below makes many of them.
async fn check(app: &App, by: &Actor, id: CpeId) -> Result<Reach, AppError> {
    Box::pin(app.check_reach(by, id)).await
}

async fn work(app: &App) {
    Box::pin(app.work_once()).await.expect("work");
}

async fn a_check_is_one_call_at_most_and_says_what_came_of_it(bed: &Bed) {
    use Verdict::{Bad, Good, NotKnown, NotTried};
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = Box::pin(callable(bed, &app, &calls)).await;
    bed.advance_s(31);
    work(&app).await;
    let before = calls.made().len();

    // Looking calls nobody, and who may only look does not check.
    app.reach(id).await.expect("known");
    let refused = check(&app, &person("vera", Role::Viewer), id).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))), "{refused:?}");
    assert!(matches!(app.reach(CpeId(999)).await, Err(AppError::NotFound(_))));

    let asked = check(&app, &admin(), id).await.expect("asked for");
    assert_eq!(verdicts(&asked), [Good, Good, NotKnown, NotKnown, NotKnown], "{asked:?}");
    assert!(asked.waits && asked.summary.contains("is being called since"), "{}", asked.summary);
    assert_eq!(calls.made().len(), before, "its machine wants the call, and a worker makes it");
    work(&app).await;
    work(&app).await;
    assert_eq!(calls.made().len(), before + 1);
    let took = app.reach(id).await.expect("known");
    assert_eq!(verdicts(&took), [Good, Good, Good, Good, NotKnown], "{took:?}");
    assert!(took.waits && took.steps[4].text.contains("its Inform is waited for until"), "{took:?}");

    // Again at once: what came of the call before, and no other call.
    let again = check(&app, &admin(), id).await.expect("asked for");
    work(&app).await;
    assert_eq!((calls.made().len(), verdicts(&again)), (before + 1, verdicts(&took)));
    assert!(again.not_again_before.is_some_and(|until| until > app.now()), "{again:?}");

    // It comes.
    let mut answered = before;
    for _ in 0..10 {
        Box::pin(pass(bed, &app, &calls, &mut answered, &mut cpe)).await;
    }
    let came = app.reach(id).await.expect("known");
    assert_eq!(verdicts(&came), [Good; 5], "{came:?}");
    assert!(came.summary.starts_with("The device was reached"), "{}", came.summary);
    let made = calls.made().len();

    // It refuses: said, waited for, and nothing gets worse.
    for (outcome, want) in [
        (ConnectionRequestOutcome::Unreachable, [Good, Good, Bad, NotTried, NotTried]),
        (ConnectionRequestOutcome::Unauthorized, [Good, Good, Good, Bad, NotTried]),
        (ConnectionRequestOutcome::Http(503), [Good, Good, Good, NotKnown, NotTried]),
    ] {
        calls.answer(outcome);
        bed.advance_s(31);
        work(&app).await;
        let made = calls.made().len();
        check(&app, &admin(), id).await.expect("asked for");
        for _ in 0..3 {
            work(&app).await;
        }
        let reach = app.reach(id).await.expect("known");
        assert_eq!(verdicts(&reach)[..4], want[..4], "{outcome:?}: {reach:?}");
        assert_ne!(verdicts(&reach)[4], Good, "{outcome:?}: that Inform came of another call");
        assert_eq!(calls.made().len(), made + 1, "{outcome:?}: never repeated");
        assert_eq!(cpe_row(&app, id).await.state, "ACTIVE", "{outcome:?}");
        let row = store::cpes::connection_requests(app.store(), id, 1).await.expect("readable").pop();
        let row = row.expect("it counts like any call");
        assert_eq!(row.outcome, outcome.as_str());
        assert!(row.seen["began_at"].is_number(), "{}", row.seen);
    }
    assert_eq!(calls.made().len(), made + 3);
    let audited = "SELECT COUNT(*) FROM audit_log WHERE action = 'cpe.check_reach'";
    assert_eq!(bed.number(audited).await, 5);
}

/// What was seen of the call before, and what comes long after, is nothing of this one.
async fn a_check_shows_what_was_seen_of_its_own_call(bed: &Bed) {
    use Verdict::{Bad, Good, NotKnown, NotTried};
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = Box::pin(callable(bed, &app, &calls)).await;
    bed.advance_s(31);
    work(&app).await;
    calls.answer(ConnectionRequestOutcome::Unauthorized);
    let asked = check(&app, &admin(), id).await.expect("asked for");
    assert_eq!(
        asked.check.as_deref(),
        Some("The device gets one call; what comes of it is shown as it comes.")
    );
    bed.advance_s(1);
    let again = check(&app, &admin(), id).await.expect("asked for");
    assert!(again.check.as_ref().is_some_and(|said| said.contains("one is under way since")), "{again:?}");
    work(&app).await;
    work(&app).await;
    let refused = app.reach(id).await.expect("known");
    assert_eq!(verdicts(&refused)[..4], [Good, Good, Good, Bad]);
    let next = refused.steps[3].next.clone().unwrap_or_default();
    assert!(next.contains("A check only reports"), "{next}");
    let device = machine(&cpe_row(&app, id).await);
    assert_eq!(device.connection.unauthorized_since, None, "nothing is written because of a check");
    let soon = check(&app, &admin(), id).await.expect("asked for");
    assert!(
        soon.check.as_ref().is_some_and(|said| said.contains("What is shown is of that one")),
        "{soon:?}"
    );

    // The next one is slower than the watch over it.
    bed.advance_s(31);
    work(&app).await;
    let before = calls.made().len();
    calls.hang(true);
    check(&app, &admin(), id).await.expect("asked for");
    let worker = tokio::spawn({
        let app = app.clone();
        async move { app.work_once().await }
    });
    eventually("the call goes out", || async { (calls.made().len() > before).then_some(()) }).await;
    bed.advance_s(9);
    work(&app).await;
    let device = machine(&cpe_row(&app, id).await);
    assert_eq!(device.connection.outstanding_since, None, "nobody waits for it any more");
    let slow = app.reach(id).await.expect("known");
    assert_eq!(verdicts(&slow), [Good, Good, NotKnown, NotKnown, NotKnown], "{slow:?}");
    assert!(slow.waits && slow.summary.contains("is being called since"), "{}", slow.summary);
    let of_before = slow.steps[2].evidence.iter().find(|fact| fact.source == "the call before");
    assert!(of_before.is_some_and(|fact| fact.text.contains("answered 401")), "{slow:?}");

    // Its process died. What nobody knows is not said; then it is said whose trouble it was.
    worker.abort();
    assert!(worker.await.expect_err("killed").is_cancelled());
    calls.hang(false);
    bed.advance_s(60);
    let lost = app.reach(id).await.expect("known");
    assert_eq!(verdicts(&lost)[2..], [NotKnown; 3], "{lost:?}");
    assert!(
        !lost.waits
            && lost.called_at.is_none()
            && lost.summary.contains("was never made, or the process that made it ended"),
        "{lost:?}"
    );
    work(&app).await;
    work(&app).await;
    let ended = app.reach(id).await.expect("known");
    assert!(ended.steps[2].text.contains("ended before the answer was known"), "{ended:?}");

    // No worker ran in time: nothing was sent, and nothing is said to be.
    bed.advance_s(31);
    work(&app).await;
    check(&app, &admin(), id).await.expect("asked for");
    bed.advance_s(3600);
    work(&app).await;
    work(&app).await;
    let unsent = app.reach(id).await.expect("known");
    assert_eq!(verdicts(&unsent), [Good, Good, NotTried, NotTried, NotTried], "{unsent:?}");
    assert!(unsent.called_at.is_none() && unsent.asked_at.is_some(), "{unsent:?}");
    assert!(unsent.summary.starts_with("Not sent: when its turn came after 3600 s"), "{}", unsent.summary);

    // It accepts one and comes long after, by itself: that Inform is of nothing that was called for.
    calls.answer(ConnectionRequestOutcome::Accepted);
    bed.advance_s(31);
    work(&app).await;
    check(&app, &admin(), id).await.expect("asked for");
    work(&app).await;
    work(&app).await;
    bed.advance_s(31);
    let mut answered = calls.made().len();
    for _ in 0..10 {
        Box::pin(pass(bed, &app, &calls, &mut answered, &mut cpe)).await;
    }
    let late = app.reach(id).await.expect("known");
    assert!(late.steps[4].evidence[0].at > late.called_at.map(|at| at.plus_s(30)), "it informed: {late:?}");
    assert_eq!(verdicts(&late), [Good, Good, Good, Good, Bad], "{late:?}");
}

on_both!(
    a_check_shows_what_was_seen_of_its_own_call,
    a_check_is_one_call_at_most_and_says_what_came_of_it,
    among_all_nodes_a_device_gets_one_call_at_a_time,
    a_device_is_called_where_it_speaks_from_and_where_its_olt_has_it,
    a_url_of_somebody_else_is_told_with_both_addresses,
);
