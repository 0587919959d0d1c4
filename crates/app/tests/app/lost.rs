//! A process dies in the middle of sessions: their devices are called, once, a few at a time, and by nobody else than
//! needed.

use crate::{
    shell::{customer_with_onu, device, machine, serial},
    support::{
        bed::Bed,
        cpe::{INSIDE, SimCpe, accepted, anonymous, inform, to_the_next_moment},
        world::{Calls, cpe_row, cpe_rows, told, with_policy},
    },
};
use app::{
    App,
    ports::{Begin, CpeFrontDoor, CpeSession, Next, SessionEnd},
};
use provisioning::ConnectionRequestOutcome;
use sim::cpe::Quirks;
use store::rows;
use types::{Clock, CpeId};

/// Longer than a process may be silent.
const LONGER: u64 = 31;

/// Opens sessions until the device is in the middle of its plan, and gives the one that is open.
async fn in_the_middle(bed: &Bed, app: &App, cpe: &mut SimCpe) -> Box<dyn CpeSession> {
    for _ in 0..200 {
        let now = app.now();
        cpe.tick(now);
        app.work_once().await.expect("work");
        if cpe.wants_session(now) {
            let (begin, events) = cpe.open(app, now).await;
            let Begin::Accepted(mut session) = begin else { panic!("{begin:?}") };
            let mut next = session.ready().await;
            while let Next::Request(request) = next {
                if cpe_rows(app).await[0].state == "PROVISIONING" {
                    return session;
                }
                next = session.reply(cpe.answer(now, request).expect("an honest device")).await;
            }
            session.end(SessionEnd::Clean).await;
            cpe.done(now, &events);
        }
        to_the_next_moment(bed, app, cpe).await;
    }
    panic!("it never came to its plan");
}

/// A device whose process dies in the middle of its plan.
async fn orphan(bed: &Bed, calls: &Calls) -> (SimCpe, CpeId) {
    let app = bed.app("node-1", calls).await;
    app.join().await.expect("joined");
    customer_with_onu(&app).await;
    let mut cpe = device(Quirks::default());
    cpe.power_on(bed.clock.now());
    let session = in_the_middle(bed, &app, &mut cpe).await;
    app.join().await.expect("joined");
    let id = session.cpe();
    drop(session);
    cpe.cut(app.now());
    (cpe, id)
}

async fn open_sessions(app: &App, id: CpeId) -> usize {
    let sessions = store::cpes::sessions(app.store(), id, 50).await.expect("readable");
    sessions.into_iter().filter(|session| session.ended_at.is_none()).count()
}

async fn a_device_whose_process_died_is_called_once(bed: &Bed) {
    let calls = Calls::default();
    let (mut cpe, id) = orphan(bed, &calls).await;
    let before = calls.made().len();
    let app = bed.app("node-2", &calls).await;
    app.recover().await.expect("looked");
    assert_eq!(open_sessions(&app, id).await, 1, "its process might still run");
    assert_eq!(cpe_row(&app, id).await.state, "PROVISIONING");
    bed.advance_s(LONGER);
    for _ in 0..3 {
        app.recover().await.expect("looked");
    }
    assert_eq!(open_sessions(&app, id).await, 0);
    assert_eq!(told(&app, id, "session_lost").await.len(), 1);
    assert_eq!(told(&app, id, "session_requested").await.last().map(|line| line.at), Some(app.now()));
    for _ in 0..3 {
        app.work_once().await.expect("work");
        app.recover().await.expect("looked");
    }
    assert_eq!(calls.made().len(), before + 1, "one call");
    // It answers: the plan goes on at its cursor and ends as if nothing had happened.
    cpe.connection_request(app.now());
    let mut answered = calls.made().len();
    for _ in 0..200 {
        if cpe_row(&app, id).await.state == "ACTIVE" {
            break;
        }
        crate::support::cpe::pass(bed, &app, &calls, &mut answered, &mut cpe).await;
        app.recover().await.expect("looked");
    }
    assert_eq!(cpe_row(&app, id).await.state, "ACTIVE");
    assert_eq!(cpe.record().wans.len(), 1);
    assert_eq!(cpe.record().duplicate_wans(), Vec::<String>::new());
    assert_eq!(told(&app, id, "session_lost").await.len(), 1);
}

async fn one_that_does_not_come_waits_for_its_inform(bed: &Bed) {
    let calls = Calls::default();
    let (_, id) = orphan(bed, &calls).await;
    calls.answer(ConnectionRequestOutcome::Unreachable);
    let before = calls.made().len();
    let app = bed.app("node-2", &calls).await;
    bed.advance_s(LONGER);
    for _ in 0..4 {
        app.recover().await.expect("looked");
        app.work_once().await.expect("work");
        bed.advance_s(60);
    }
    assert_eq!(calls.made().len(), before + 1, "no second call");
    let row = cpe_row(&app, id).await;
    assert_eq!(row.state, "WAITING_INFORM");
    assert!(machine(&row).run.is_some(), "the cursor is kept");
}

async fn whoever_dies_while_recovering_changes_nothing(bed: &Bed) {
    let calls = Calls::default();
    let (_, id) = orphan(bed, &calls).await;
    bed.advance_s(LONGER);
    let before = calls.made().len();
    // The device was told; the end of its session was not written.
    let app = bed.app("node-2", &calls).await;
    app.recover().await.expect("looked");
    drop(app);
    bed.sql("UPDATE cpe_sessions SET ended_at = NULL, outcome = NULL WHERE outcome = 'torn'").await;
    let app = bed.app("node-3", &calls).await;
    app.recover().await.expect("looked");
    app.recover().await.expect("looked");
    assert_eq!(told(&app, id, "session_lost").await.len(), 1);
    assert_eq!(open_sessions(&app, id).await, 0);
    app.work_once().await.expect("work");
    assert_eq!(calls.made().len(), before + 1);
}

async fn two_nodes_that_look_at_once_tell_it_once(bed: &Bed) {
    let calls = Calls::default();
    let (_, id) = orphan(bed, &calls).await;
    let before = calls.made().len();
    bed.advance_s(LONGER);
    let (one, two) = (bed.app("node-2", &calls).await, bed.app("node-3", &calls).await);
    let (a, b) = tokio::join!(one.recover(), two.recover());
    a.expect("looked");
    b.expect("looked");
    one.recover().await.expect("looked");
    let (a, b) = tokio::join!(one.work_once(), two.work_once());
    a.expect("work");
    b.expect("work");
    assert_eq!(told(&one, id, "session_lost").await.len(), 1);
    assert_eq!(calls.made().len(), before + 1);
}

async fn the_sessions_of_a_node_that_runs_are_its_own(bed: &Bed) {
    let calls = Calls::default();
    let one = bed.app("node-1", &calls).await;
    one.join().await.expect("joined");
    customer_with_onu(&one).await;
    let mut cpe = device(Quirks::default());
    cpe.power_on(bed.clock.now());
    let mut session = in_the_middle(bed, &one, &mut cpe).await;
    let id = session.cpe();
    let before = cpe_row(&one, id).await;
    let two = bed.app("node-2", &calls).await;
    // However long the session takes, as long as its process says that it runs.
    for _ in 0..10 {
        one.join().await.expect("joined");
        bed.advance_s(25);
        two.recover().await.expect("looked");
        one.recover().await.expect("looked");
    }
    assert_eq!(cpe_row(&one, id).await, before);
    let reply = provisioning::DeviceReply::Names(Vec::new());
    assert!(matches!(session.reply(reply).await, Next::Request(_) | Next::Done), "it goes on");
    session.end(SessionEnd::Torn).await;
    // Whoever stops in order leaves nothing to find, and says so at once.
    one.leave().await.expect("left");
    two.recover().await.expect("looked");
    assert_eq!(open_sessions(&two, id).await, 0);
    assert_eq!(told(&two, id, "session_lost").await.len(), 0);
}

async fn after_the_death_of_a_busy_node_devices_are_called_a_few_at_a_time(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    with_policy(&app).await;
    let session = accepted(app.begin(inform(serial(), &["1 BOOT"], INSIDE), anonymous(INSIDE)).await);
    let id = session.cpe();
    drop((session, app));
    let app = bed.app("node-2", &calls).await;
    // Many more like it, all in the middle of something.
    let one = cpe_row(&app, id).await;
    let mut device = machine(&one);
    device.connection.last_at = None;
    let mut machine = serde_json::to_value(&device).expect("plain data");
    machine["state"] = "PROVISIONING".into();
    let many: Vec<rows::Cpe> = (0..50)
        .map(|n| rows::Cpe {
            serial_number: format!("4857544300{n:06X}"),
            pon_serial: None,
            auth_username: None,
            state: "PROVISIONING".to_owned(),
            machine: machine.clone().into(),
            ..one.clone()
        })
        .collect();
    app.store()
        .write::<_, _, store::StoreError>(move |tx| {
            let many = many.clone();
            Box::pin(async move {
                for row in many {
                    let cpe_id = tx.insert(&row).await?;
                    let session =
                        rows::CpeSession { cpe_id, node: "node-1/dead".into(), ..Default::default() };
                    store::cpes::begin_session(tx, &session).await?;
                }
                Ok(())
            })
        })
        .await
        .expect("written");
    bed.advance_s(LONGER);
    let open = "SELECT COUNT(*) FROM jobs WHERE finished_at IS NULL";
    assert!(app.recover().await.expect("looked"), "there is more");
    assert_eq!(bed.number(open).await, 16);
    assert!(app.recover().await.expect("looked"), "and no room for it yet");
    assert_eq!(bed.number(open).await, 16);
    let mut rounds = 0;
    loop {
        app.work_once().await.expect("work");
        assert_eq!(bed.number(open).await, 0);
        rounds += 1;
        if !app.recover().await.expect("looked") {
            break;
        }
        assert!(bed.number(open).await <= 16);
    }
    app.work_once().await.expect("work");
    assert_eq!(rounds, 3, "three full rounds, and one with the last two");
    let made: Vec<_> = calls.made();
    assert_eq!(made.len(), 50, "each of them once");
    assert_eq!(bed.number("SELECT COUNT(*) FROM cpe_sessions WHERE ended_at IS NULL").await, 0);
}

async fn what_cannot_be_read_does_not_keep_others_waiting(bed: &Bed) {
    let calls = Calls::default();
    let (_, id) = orphan(bed, &calls).await;
    bed.advance_s(LONGER);
    bed.sql(&format!("UPDATE cpes SET machine = '{{\"state\":\"NOWHERE\"}}' WHERE id = {id}")).await;
    let app = bed.app("node-2", &calls).await;
    assert!(!app.recover().await.expect("looked"), "nothing more can be done");
    assert_eq!(open_sessions(&app, id).await, 0);
}

on_both!(
    a_device_whose_process_died_is_called_once,
    one_that_does_not_come_waits_for_its_inform,
    whoever_dies_while_recovering_changes_nothing,
    two_nodes_that_look_at_once_tell_it_once,
    the_sessions_of_a_node_that_runs_are_its_own,
    after_the_death_of_a_busy_node_devices_are_called_a_few_at_a_time,
    what_cannot_be_read_does_not_keep_others_waiting,
);
