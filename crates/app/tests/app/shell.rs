//! One step at a time, stored before its effect leaves: whoever dies, whoever else writes.

use crate::support::{
    bed::Bed,
    cpe::{
        INSIDE, SimCpe, accepted, anonymous, first_request, inform, pass, to_the_next_moment, told_nothing,
        until_state,
    },
    eventually,
    world::{self, Calls, PPPOE_PASSWORD, admin, cpe_row, cpe_rows, told, with_policy},
};
use app::{
    App,
    ports::{Begin, ConnectionRequestOutcome, CpeFrontDoor, Next, SessionEnd},
};
use provisioning::Device;
use sim::cpe::Quirks;
use store::{outbox, rows, services};
use tokio_util::sync::CancellationToken;
use types::{Clock, CpeId, Serial};

pub(crate) fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

pub(crate) fn machine(row: &rows::Cpe) -> Device {
    row.machine.read().expect("a device")
}

pub(crate) async fn customer_with_onu(app: &App) {
    with_policy(app).await;
    let service = world::service(app, "user@isp", Some(serial())).await;
    let olt = world::quiet_olt(app, "olt-1").await;
    world::onu(app, olt, serial(), Some(service)).await;
    // The OLT's word counts for the whole test.
    let mut policy = world::policy();
    policy.olt_word_valid_s = 1_000_000;
    app.set_acs_policy(&admin(), policy, None).await.expect("acceptable");
}

pub(crate) fn device(quirks: Quirks) -> SimCpe {
    SimCpe::new(serial(), INSIDE, "user@isp", PPPOE_PASSWORD, quirks)
}

/// A device that is known, owned and may be called.
pub(crate) async fn callable(bed: &Bed, app: &App, calls: &Calls) -> (SimCpe, CpeId) {
    callable_with(bed, app, calls, Quirks::default()).await
}

/// The same with habits of its own.
pub(crate) async fn callable_with(bed: &Bed, app: &App, calls: &Calls, quirks: Quirks) -> (SimCpe, CpeId) {
    customer_with_onu(app).await;
    let mut cpe = device(quirks);
    cpe.power_on(app.now());
    until_state(bed, app, calls, &mut cpe, "ACTIVE").await;
    // Far from everything that happened on the way.
    let mut answered = calls.made().len();
    let later = app.now().plus_s(120);
    while app.now() < later {
        pass(bed, app, calls, &mut answered, &mut cpe).await;
    }
    (cpe, cpe_rows(app).await.first().expect("a row").id)
}

/// Where a process dies within a step.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Dies {
    /// The device has carried out the request; its answer reaches nobody.
    BeforeTheReply,
    /// The step is stored; what it wants to send reaches nobody.
    AfterTheStep,
}

/// Each session lives one request longer than the one before, so that the process dies once at every point of the way;
/// each time a new application on the same database goes on.
async fn dying_at_every_step(bed: &Bed, dies: Dies) -> SimCpe {
    let calls = Calls::default();
    let mut app = bed.app("node-0", &calls).await;
    customer_with_onu(&app).await;
    let mut cpe = device(Quirks::default());
    cpe.power_on(bed.clock.now());
    let (mut answered, mut deaths) = (0, 0u32);
    for _ in 0..2_000 {
        let now = app.now();
        cpe.tick(now);
        app.work_once().await.expect("work");
        let made = calls.made().len();
        (answered..made).for_each(|_| cpe.connection_request(now));
        answered = made;
        if cpe.wants_session(now) {
            let (begin, events) = cpe.open(&app, now).await;
            let Begin::Accepted(mut session) = begin else { panic!("{begin:?}") };
            let mut lives = deaths;
            let mut next = session.ready().await;
            let died = loop {
                let Next::Request(request) = next else { break false };
                if lives == 0 && dies == Dies::AfterTheStep {
                    break true;
                }
                let reply = cpe.answer(now, request).expect("an honest device");
                if lives == 0 {
                    break true;
                }
                lives -= 1;
                next = session.reply(reply).await;
            };
            if died {
                deaths += 1;
                // Everything in memory is gone; what is stored is all there is.
                drop(session);
                drop(app);
                cpe.cut(now);
                app = bed.app(&format!("node-{deaths}"), &calls).await;
            } else {
                session.end(SessionEnd::Clean).await;
                cpe.done(now, &events);
                let row = cpe_rows(&app).await.remove(0);
                if row.state == "ACTIVE" {
                    assert!(deaths > 8, "it died only {deaths} times");
                    return cpe;
                }
            }
        }
        to_the_next_moment(bed, &app, &cpe).await;
    }
    let history: Vec<_> =
        world::timeline(&app).await.into_iter().map(|e| format!("{} {}", e.at, e.text)).collect();
    panic!("it never got there after {deaths} deaths:\n{}", history.join("\n"));
}

async fn nothing_is_lost_or_repeated_when_answers_are_lost_at_every_step(bed: &Bed) {
    one_wan_and_no_more(dying_at_every_step(bed, Dies::BeforeTheReply).await);
}

async fn nothing_is_lost_or_repeated_when_requests_are_lost_at_every_step(bed: &Bed) {
    one_wan_and_no_more(dying_at_every_step(bed, Dies::AfterTheStep).await);
}

fn one_wan_and_no_more(cpe: SimCpe) {
    let record = cpe.record();
    assert_eq!(record.duplicate_wans(), Vec::<String>::new());
    assert_eq!(record.wans.len(), 1, "{:?}", record.wans);
    let created = record.wan_objects_created();
    let mut once = created.clone();
    once.sort();
    once.dedup();
    assert_eq!(created.len(), once.len(), "{created:?}");
    assert!(created.len() <= 3, "{created:?}");
    assert!(record.crowded_sessions().is_empty(), "{:?}", record.crowded_sessions());
    assert_eq!(record.tally.orders.get("DeleteObject"), None);
    assert_eq!(record.tally.orders.get("Reboot"), None);
}

async fn a_timer_survives_the_process_and_fires_once_among_two_nodes(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    let due = |rows: Vec<rows::CpeTimer>| rows.into_iter().find(|timer| timer.timer == "inform_overdue");
    let timer = due(store::cpes::timers(app.store(), id).await.expect("readable")).expect("it is watched");
    let faults = store::cpes::faults(app.store(), id, 100).await.expect("readable").len();
    drop(app);
    let (one, two) = (bed.app("node-2", &calls).await, bed.app("node-3", &calls).await);
    one.work_once().await.expect("work");
    assert_eq!(told(&one, id, "inform_overdue").await.len(), 0, "not before its time");
    bed.clock.advance(timer.at.since(one.now()));
    let (a, b) = tokio::join!(one.work_once(), two.work_once());
    a.expect("work");
    b.expect("work");
    two.work_once().await.expect("work");
    assert_eq!(told(&one, id, "inform_overdue").await.len(), 1);
    assert_eq!(store::cpes::faults(one.store(), id, 100).await.expect("readable").len(), faults + 1);
    assert_eq!(due(store::cpes::timers(one.store(), id).await.expect("readable")), None);
}

async fn a_call_is_made_once_and_its_outcome_is_recorded(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (cpe, id) = callable(bed, &app, &calls).await;
    let before = calls.made().len();
    app.call_cpe(&admin(), id).await.expect("asked for");
    assert_eq!(calls.made().len(), before, "the command only orders it");
    app.work_once().await.expect("work");
    app.work_once().await.expect("work");
    let made = calls.made();
    assert_eq!(made.len(), before + 1);
    let target = made.last().expect("made");
    assert_eq!(target.allowed, app.policy().management_networks);
    let (name, password) = cpe.cell.device().connection_request_login().expect("it was given one");
    assert_eq!((target.username.as_str(), target.password.expose()), (name.as_str(), password.as_str()));
    let requests = store::cpes::connection_requests(app.store(), id, 1).await.expect("readable");
    assert_eq!(requests[0].outcome, "accepted");
    assert!(!format!("{target:?}").contains(&password), "no secret in what is logged");
    bed.hides(&[&password]).await;
}

async fn a_call_that_a_process_died_in_is_not_made_again(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    let before = calls.made().len();
    app.call_cpe(&admin(), id).await.expect("asked for");
    calls.hang(true);
    let worker = tokio::spawn({
        let app = app.clone();
        async move { app.work_once().await }
    });
    eventually("the call goes out", || async { (calls.made().len() > before).then_some(()) }).await;
    worker.abort();
    assert!(worker.await.expect_err("killed").is_cancelled());
    drop(app);
    calls.hang(false);
    let app = bed.app("node-2", &calls).await;
    app.work_once().await.expect("work");
    assert_eq!(calls.made().len(), before + 1, "the dead one's lease counts");
    bed.advance_s(61);
    app.work_once().await.expect("work");
    app.work_once().await.expect("work");
    assert_eq!(calls.made().len(), before + 1, "whether it was sent is unknown, so it is not sent again");
    let requests = store::cpes::connection_requests(app.store(), id, 1).await.expect("readable");
    assert_eq!(requests[0].outcome, "process_ended");
    assert!(requests[0].detail.contains("ended before the answer was known"), "{}", requests[0].detail);
    assert_eq!(bed.number("SELECT COUNT(*) FROM jobs WHERE finished_at IS NULL").await, 0);
    let device = machine(&cpe_row(&app, id).await);
    assert_eq!(device.connection.outstanding_since, None);
}

async fn a_call_that_lay_about_until_nobody_waits_is_not_made(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    let before = calls.made().len();
    app.call_cpe(&admin(), id).await.expect("asked for");
    drop(app);
    // No worker ran for an hour.
    bed.advance_s(3600);
    let app = bed.app("node-2", &calls).await;
    app.work_once().await.expect("work");
    app.work_once().await.expect("work");
    assert_eq!(calls.made().len(), before, "the watchdog has given up long ago");
    assert_eq!(bed.number("SELECT COUNT(*) FROM jobs WHERE finished_at IS NULL").await, 0);
    let device = machine(&cpe_row(&app, id).await);
    assert_eq!(
        device.connection.last_outcome,
        Some(ConnectionRequestOutcome::Unanswered),
        "it never said yes"
    );
    let requests = store::cpes::connection_requests(app.store(), id, 1).await.expect("readable");
    assert_eq!(requests[0].outcome, "not_sent");
    assert!(
        requests[0].detail.starts_with("Not sent: when its turn came after 3600 s"),
        "{}",
        requests[0].detail
    );
}

async fn one_that_is_slow_to_answer_keeps_nobody_else_waiting(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, slow) = callable(bed, &app, &calls).await;
    let other = world::serial("HWTC7D4733C4");
    let service = world::service(&app, "two@isp", Some(other)).await;
    let olt = world::quiet_olt(&app, "olt-2").await;
    world::onu(&app, olt, other, Some(service)).await;
    let mut cpe = SimCpe::new(other, "127.20.3.10", "two@isp", PPPOE_PASSWORD, Quirks::default());
    cpe.power_on(app.now());
    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
    let quick = world::service_row(&app, service).await.cpe_id.expect("linked");
    bed.advance_s(120);
    app.work_once().await.expect("work");
    let (before, requests) = (calls.made().len(), async |cpe| {
        store::cpes::connection_requests(app.store(), cpe, 1).await.expect("readable").pop()
    });
    let workers = tokio::spawn({
        let app = app.clone();
        async move { app.run_workers(CancellationToken::new()).await }
    });
    calls.hang(true);
    app.call_cpe(&admin(), slow).await.expect("asked for");
    eventually("the slow one is called", || async { (calls.made().len() > before).then_some(()) }).await;
    calls.hang(false);
    // Ordered while the slow one still says nothing: made, answered and recorded.
    app.call_cpe(&admin(), quick).await.expect("asked for");
    let now = app.now();
    eventually("the quick one has answered", || async {
        requests(quick).await.filter(|one| one.outcome == "accepted" && one.at == now)
    })
    .await;
    assert_eq!(calls.made().len(), before + 2);
    // The slow one is given up, and is not called a second time while the first call is under way.
    bed.advance_s(31);
    eventually("the watchdog gives up", || async {
        machine(&cpe_row(&app, slow).await).connection.outstanding_since.is_none().then_some(())
    })
    .await;
    assert_eq!(
        machine(&cpe_row(&app, slow).await).connection.last_outcome,
        Some(ConnectionRequestOutcome::Unanswered)
    );
    app.call_cpe(&admin(), slow).await.expect("asked for again");
    let now = app.now();
    let second = eventually("the second call is recorded", || async {
        requests(slow).await.filter(|one| one.at == now)
    })
    .await;
    assert_eq!(second.outcome, "not_sent");
    assert!(second.detail.contains("the call before to this device is still under way"), "{}", second.detail);
    assert_eq!(calls.made().len(), before + 2);
    workers.abort();
}

async fn a_device_that_refuses_calls_is_not_called_in_a_hurry(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    calls.answer(ConnectionRequestOutcome::Unauthorized);
    let before = calls.made().len();
    for _ in 0..5 {
        app.call_cpe(&admin(), id).await.expect("asked for");
        app.work_once().await.expect("work");
        bed.advance_s(2);
    }
    assert_eq!(calls.made().len(), before + 1, "within the minimum gap one request, however often asked");
    assert!(told(&app, id, "connection_request_unauthorized").await.len() <= 2);
}

async fn workers_run_until_told_to_stop(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id) = callable(bed, &app, &calls).await;
    let before = calls.made().len();
    let stop = CancellationToken::new();
    let workers = tokio::spawn({
        let (app, stop) = (app.clone(), stop.clone());
        async move { app.run_workers(stop).await }
    });
    app.call_cpe(&admin(), id).await.expect("asked for");
    eventually("the worker is woken", || async { (calls.made().len() > before).then_some(()) }).await;
    stop.cancel();
    workers.await.expect("they end");
}

async fn what_another_node_wrote_meanwhile_is_not_lost(bed: &Bed) {
    let calls = Calls::default();
    let one = bed.app("node-1", &calls).await;
    customer_with_onu(&one).await;
    let two = bed.app("node-2", &calls).await;
    let facts = inform(serial(), &["0 BOOTSTRAP", "1 BOOT"], INSIDE);
    let mut session = accepted(one.begin(facts, anonymous(INSIDE)).await);
    assert!(first_request(&mut session).await.is_some());
    let id = session.cpe();
    // An operator at another node.
    two.hold_cpe(&admin(), id, "").await.expect("held");
    let names = provisioning::DeviceReply::Names(Vec::new());
    let _whatever = session.reply(names).await;
    session.end(SessionEnd::Clean).await;
    let device = machine(&cpe_row(&one, id).await);
    assert!(device.hold.is_some_and(|hold| hold.by == "nino"), "the hold is still there");
}

async fn a_session_on_another_node_makes_ours_void(bed: &Bed) {
    let calls = Calls::default();
    let one = bed.app("node-1", &calls).await;
    customer_with_onu(&one).await;
    let two = bed.app("node-2", &calls).await;
    let facts = inform(serial(), &["0 BOOTSTRAP", "1 BOOT"], INSIDE);
    let mut old = accepted(one.begin(facts.clone(), anonymous(INSIDE)).await);
    assert!(first_request(&mut old).await.is_some());
    bed.advance_s(1);
    let mut new = accepted(two.begin(facts, anonymous(INSIDE)).await);
    let id = new.cpe();
    assert!(first_request(&mut new).await.is_some());
    let before = cpe_row(&two, id).await;
    let names = provisioning::DeviceReply::Names(Vec::new());
    assert!(matches!(old.reply(names).await, Next::Done));
    old.end(SessionEnd::Torn).await;
    let after = cpe_row(&two, id).await;
    assert_eq!(after.state, before.state);
    assert_eq!(machine(&after).link, machine(&before).link);
    let names = provisioning::DeviceReply::Names(vec![provisioning::NameInfo {
        path: "InternetGatewayDevice.ManagementServer.Username".to_owned(),
        writable: true,
    }]);
    assert!(matches!(new.reply(names).await, Next::Request(_)), "the new session is alive");
}

async fn operators_at_two_nodes_at_once_are_all_heard(bed: &Bed) {
    let calls = Calls::default();
    let one = bed.app("node-1", &calls).await;
    with_policy(&one).await;
    let two = bed.app("node-2", &calls).await;
    let id = told_nothing(&one, inform(serial(), &["1 BOOT"], INSIDE), anonymous(INSIDE)).await;
    let orders = (0..16).map(|n| {
        let app = if n % 2 == 0 { one.clone() } else { two.clone() };
        async move {
            let actor = world::person(&format!("operator-{n}"), app::Role::Noc);
            if n % 3 == 0 { app.release_hold(&actor, id).await } else { app.hold_cpe(&actor, id, "").await }
        }
    });
    for done in futures::future::join_all(orders).await {
        done.expect("each of them is carried out");
    }
    one.hold_cpe(&world::person("last", app::Role::Noc), id, "").await.expect("held");
    let device = machine(&cpe_row(&two, id).await);
    assert_eq!(device.hold.expect("held").by, "last");
    assert_eq!(
        bed.number("SELECT COUNT(*) FROM audit_log WHERE action IN ('cpe.hold', 'cpe.release_hold')").await,
        17
    );
}

async fn a_wish_whose_process_died_before_it_told_the_device_is_told_all_the_same(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    let service = cpe_row(&app, id).await.service_id.expect("linked");
    // Told at once, and nothing is left to tell.
    app.suspend_service(&admin(), service, "unpaid").await.expect("suspended");
    assert_ne!(cpe_row(&app, id).await.state, "ACTIVE");
    assert_eq!(outbox::undelivered(app.store(), 10).await.expect("reads"), []);
    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
    bed.advance_s(600);
    // A process that died between the commit and the telling leaves the wish and the word for it.
    let body = |intents: &[services::OpenIntent]| {
        let internet = intents.iter().find(|intent| intent.layer == store::Layer::Internet).expect("one");
        let mut body: serde_json::Value = serde_json::from_str(internet.body.expose()).expect("json");
        body["suspended"] = false.into();
        types::Secret::new(body.to_string())
    };
    let wish = body(&services::intents(app.store(), service).await.expect("reads"));
    let now = app.now();
    app.store()
        .write(move |tx| {
            Box::pin(async move {
                services::set_intent(tx, service, store::Layer::Internet, &wish, "another", "test", now)
                    .await?;
                outbox::publish(tx, "service.intent_changed", serde_json::json!({ "service": service })).await
            })
        })
        .await
        .expect("committed");
    let made = calls.made().len();
    app.work_once().await.expect("work");
    assert_eq!(outbox::undelivered(app.store(), 10).await.expect("reads"), [], "told");
    app.work_once().await.expect("work");
    assert_eq!(calls.made().len(), made + 1, "the device is called, and once");
    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
    // What another release left for itself keeps nothing up, and is left to it.
    app.store()
        .write(|tx| Box::pin(async move { outbox::publish(tx, "of.tomorrow", serde_json::json!({})).await }))
        .await
        .expect("committed");
    app.work_once().await.expect("work");
    let left = outbox::undelivered(app.store(), 10).await.expect("reads");
    assert_eq!(left.iter().map(|event| event.topic.as_str()).collect::<Vec<_>>(), ["of.tomorrow"]);
}

async fn a_device_that_cannot_be_told_keeps_no_other_waiting(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_cpe, id) = callable(bed, &app, &calls).await;
    let good = cpe_row(&app, id).await.service_id.expect("linked");
    let bad = world::service(&app, "other@isp", None).await;
    let unreadable = rows::Cpe {
        serial_number: "48575443000000FF".to_owned(),
        state: "ACTIVE".to_owned(),
        machine: serde_json::json!("written by hand").into(),
        created_at: app.now(),
        ..rows::Cpe::default()
    };
    // More than are told in one go, and before the other's.
    let last = app
        .store()
        .write::<_, _, store::StoreError>(move |tx| {
            let unreadable = unreadable.clone();
            Box::pin(async move {
                let cpe = tx.insert(&unreadable).await?;
                services::link_cpe(tx, bad, Some(cpe)).await?;
                for _ in 0..250 {
                    outbox::publish(tx, "service.intent_changed", serde_json::json!({ "service": bad }))
                        .await?;
                }
                outbox::publish(tx, "service.intent_changed", serde_json::json!({ "service": good })).await
            })
        })
        .await
        .expect("committed");
    app.work_once().await.expect("work");
    let left = outbox::undelivered(app.store(), 1000).await.expect("reads");
    assert_eq!(left.len(), 250, "kept, to be tried again");
    assert!(left.iter().all(|event| event.id != last), "the other was told");
    // Given up in the end: it learns of it with its next Inform.
    bed.advance_s(601);
    app.work_once().await.expect("work");
    assert_eq!(outbox::undelivered(app.store(), 1000).await.expect("reads"), []);
}

on_both!(
    nothing_is_lost_or_repeated_when_answers_are_lost_at_every_step,
    nothing_is_lost_or_repeated_when_requests_are_lost_at_every_step,
    a_timer_survives_the_process_and_fires_once_among_two_nodes,
    a_call_is_made_once_and_its_outcome_is_recorded,
    a_call_that_a_process_died_in_is_not_made_again,
    a_call_that_lay_about_until_nobody_waits_is_not_made,
    one_that_is_slow_to_answer_keeps_nobody_else_waiting,
    a_device_that_refuses_calls_is_not_called_in_a_hurry,
    workers_run_until_told_to_stop,
    a_wish_whose_process_died_before_it_told_the_device_is_told_all_the_same,
    a_device_that_cannot_be_told_keeps_no_other_waiting,
    what_another_node_wrote_meanwhile_is_not_lost,
    a_session_on_another_node_makes_ours_void,
    operators_at_two_nodes_at_once_are_all_heard,
);
