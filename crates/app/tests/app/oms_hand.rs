//! Orders on OLTs in the hands of people: cancelled, given up, let go on; of two at once one; and an OLT that is disabled or
//! does not answer is left alone.

use crate::support::{
    bed::Bed,
    eventually,
    olt::{
        Node, PON, authorise, authorised, change, changes, detected, ends_as, known_olt, olt_input, onu_of,
        request, task_row,
    },
    world::{self, admin, person, service_row, with_policy},
};
use app::{AppError, OnuChange, Role};
use sim::olt::{Fault, FaultKind};
use store::{DetectedState, OltTaskState, SyncState, detected as seen, onus, rows};
use types::{OltId, OltTaskId, Serial};

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

async fn cancel(node: &Node, task: OltTaskId, actor: app::Actor) -> Result<(), AppError> {
    node.run(move |app| async move { app.cancel_task(&actor, task).await }).await
}

async fn detected_state(node: &Node, olt: OltId) -> DetectedState {
    seen::by_serial(node.app.store(), olt, serial()).await.expect("readable").expect("seen").state
}

async fn audited(node: &Node, action: &str) -> rows::AuditEntry {
    let audit: Vec<rows::AuditEntry> = node.app.store().page(0, 500).await.expect("readable");
    audit.into_iter().find(|entry| entry.action == action).unwrap_or_else(|| panic!("{action} is audited"))
}

async fn an_order_of_which_nothing_was_sent_is_cancelled(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    assert_eq!(detected_state(&node, olt).await, DetectedState::Authorising);
    let refused = cancel(&node, task, person("vera", Role::Viewer)).await;
    assert!(matches!(refused, Err(AppError::Forbidden(_))), "{refused:?}");
    cancel(&node, task, admin()).await.expect("cancelled");
    let row = task_row(&node, task).await;
    assert_eq!((row.state, row.finished_at.is_some()), (OltTaskState::Cancelled, true));
    assert!(row.reason.starts_with("Cancelled by "), "{}", row.reason);
    assert_eq!(detected_state(&node, olt).await, DetectedState::Waiting);
    audited(&node, "task.cancel").await;
    let twice = cancel(&node, task, admin()).await;
    assert!(matches!(&twice, Err(AppError::Conflict(text)) if text.contains("cancelled")), "{twice:?}");
    let give_up = node.run(move |app| async move { app.give_up_task(&admin(), task).await }).await;
    assert!(matches!(give_up, Err(AppError::Conflict(_))), "{give_up:?}");
    // Nobody carries it out, and another may be ordered.
    node.work();
    let next = authorise(&node, request(olt, serial())).await.expect("ordered anew");
    ends_as(&node, next, OltTaskState::Done).await;
    assert_eq!(task_row(&node, task).await.version, row.version);
    assert!(task_row(&node, next).await.lines_left == serde_json::json!([]));
    let late = cancel(&node, next, admin()).await;
    assert!(matches!(&late, Err(AppError::Conflict(text)) if text.contains("done")), "{late:?}");
}

async fn a_task_that_is_given_up_names_the_lines_and_may_go_on(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = node
        .run(|app| async move {
            with_policy(&app).await;
            world::service(&app, "user@isp", Some(serial())).await
        })
        .await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let onu = onu_of(&node, serial()).await;
    let fault = sim.handle().inject(Fault::once("^ont delete", FaultKind::Hang)).expect("a pattern");
    let task = change(&node, onu.id, OnuChange::Remove).await.expect("ordered");
    eventually("the OLT hangs", || async { (sim.handle().struck(fault) > 0).then_some(()) }).await;
    node.kill();
    sim.handle().clear_faults();
    bed.advance_s(121);
    let node = Node::start(bed, "node-2").await;
    assert!(matches!(cancel(&node, task, admin()).await, Err(AppError::Conflict(_))), "lines were sent");
    node.run(move |app| async move { app.give_up_task(&admin(), task).await }).await.expect("given up");
    let row = task_row(&node, task).await;
    assert_eq!((row.state, row.finished_at), (OltTaskState::NeedsOperator, None));
    assert!(row.reason.starts_with("Given up by "), "{}", row.reason);
    let left: Vec<String> = serde_json::from_value(row.lines_left).expect("lines");
    assert!(left.iter().any(|line| line.starts_with("undo service-port")), "{left:?}");
    assert_eq!(left.last().map(String::as_str), Some("ont delete 3 0"));
    let audit = audited(&node, "task.give_up").await;
    assert_eq!(audit.after.expect("after")["lines_left"], serde_json::json!(left), "in full");
    // What is known of ONU, service and CPE stays until the OLT was read.
    let now = onu_of(&node, serial()).await;
    assert_eq!((now.id, now.sync_state), (onu.id, SyncState::Failed));
    assert_eq!(service_row(&node.app, service).await.onu_id, Some(onu.id));
    // It is in the way of others, and nothing is sent for it.
    let sent = changes(&sim).len();
    node.work();
    let other = change(&node, onu.id, OnuChange::Remove).await;
    assert!(matches!(&other, Err(AppError::Conflict(text)) if text.contains("right now")), "{other:?}");
    assert_eq!(changes(&sim).len(), sent);
    // Its OLT answers after all.
    node.run(move |app| async move { app.resume_task(&admin(), task).await }).await.expect("it goes on");
    let row = ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(row.lines_left, serde_json::json!([]));
    assert_eq!(onus::by_serial(node.app.store(), serial()).await.expect("readable"), None);
    assert_eq!(service_row(&node.app, service).await.onu_id, None);
    let over = node.run(move |app| async move { app.resume_task(&admin(), task).await }).await;
    assert!(matches!(over, Err(AppError::Conflict(_))), "{over:?}");
}

async fn nothing_is_sent_to_a_disabled_olt(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    let set = async |enabled: bool| {
        let input = olt_input("olt-1", &sim);
        node.run(move |app| async move { app.update_olt(&admin(), olt, input, enabled).await })
            .await
            .expect("changed");
    };
    set(false).await;
    node.work();
    eventually("the task says why it waits", || async {
        task_row(&node, task).await.reason.contains("olt-1 is disabled: nothing is sent").then_some(())
    })
    .await;
    let row = task_row(&node, task).await;
    assert_eq!((row.state, row.tries), (OltTaskState::Pending, 0));
    assert_eq!(changes(&sim), Vec::<String>::new());
    let refused = authorise(&node, request(olt, world::serial("HWTC00000042"))).await;
    assert!(matches!(&refused, Err(AppError::Conflict(text)) if text.contains("disabled")), "{refused:?}");
    set(true).await;
    ends_as(&node, task, OltTaskState::Done).await;
}

async fn an_olt_that_does_not_answer_is_tried_less_and_less_often_and_not_for_ever(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut input = olt_input("olt-1", &sim);
    input.port = nobody.local_addr().expect("an address").port();
    drop(nobody);
    node.run(move |app| async move { app.update_olt(&admin(), olt, input, true).await })
        .await
        .expect("changed");
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    let other = authorise(&node, request(olt, world::serial("HWTC00000042"))).await.expect("ordered");
    node.work();
    let row = eventually("it was tried", || async {
        let row = task_row(&node, task).await;
        (row.tries > 0).then_some(row)
    })
    .await;
    let again = row.next_try_at.expect("a time");
    assert!(again > node.app.now() && row.reason.contains("try 2 of 12"), "{}", row.reason);
    // Whatever else is open there is not tried either.
    let held = task_row(&node, other).await;
    assert_eq!((held.tries, held.next_try_at), (0, Some(again)));
    bed.sql(&format!("UPDATE olt_tasks SET tries = 11, next_try_at = NULL WHERE id = {}", task.0)).await;
    let row = ends_as(&node, task, OltTaskState::Refused).await;
    assert!(
        row.reason.contains("in 12 tries") && row.reason.contains("It is not tried again"),
        "{}",
        row.reason
    );
    assert_eq!(detected_state(&node, olt).await, DetectedState::Waiting);
    assert_eq!(changes(&sim), Vec::<String>::new());
}

async fn of_two_orders_for_one_onu_on_two_olts_one_is_taken(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (_one, first) = known_olt(bed, &node, "olt-1").await;
    let (_two, second) = known_olt(bed, &node, "olt-2").await;
    for number in 0..6 {
        let serial = world::serial(&format!("HWTC0000{number:04}"));
        let (a, b) = tokio::join!(
            authorise(&node, request(first, serial)),
            authorise(&node, request(second, serial)),
        );
        let refused = match (&a, &b) {
            (Ok(_), Err(refused)) | (Err(refused), Ok(_)) => refused,
            other => panic!("{other:?}"),
        };
        assert!(matches!(refused, AppError::Conflict(text) if text.contains("right now")), "{refused:?}");
    }
    // Two ONUs for one service.
    let service = node.run(|app| async move { world::service(&app, "user@isp", None).await }).await;
    let order = |olt, serial: &str| app::AuthoriseRequest {
        service: app::AuthoriseFor::Service(service),
        ..request(olt, world::serial(serial))
    };
    let (a, b) = tokio::join!(
        authorise(&node, order(first, "HWTC00000071")),
        authorise(&node, order(second, "HWTC00000072")),
    );
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
}

/// A replacement was interrupted with its place cleared: whoever comes meanwhile gets another one.
async fn the_place_of_a_task_that_was_interrupted_stays_its_own(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let onu = onu_of(&node, serial()).await;
    sim.handle().unplug(serial());
    let (new, other) = (world::serial("HWTC00000077"), world::serial("HWTC00000042"));
    detected(&node, &sim, new).await;
    let fault = sim.handle().inject(Fault::once("^ont add", FaultKind::Hang)).expect("a pattern");
    let task =
        change(&node, onu.id, OnuChange::Replace { serial: new, untagged: None }).await.expect("ordered");
    eventually("the place is cleared", || async { (sim.handle().struck(fault) > 0).then_some(()) }).await;
    node.kill();
    sim.handle().clear_faults();
    bed.advance_s(121);
    // It waits for its next try.
    let later = bed.number("SELECT MAX(updated_at) FROM olt_tasks").await + 3_600_000;
    bed.sql(&format!("UPDATE olt_tasks SET next_try_at = {later} WHERE id = {}", task.0)).await;
    let node = Node::start(bed, "node-2").await;
    detected(&node, &sim, other).await;
    let comes = authorise(&node, request(olt, other)).await.expect("ordered");
    node.work();
    ends_as(&node, comes, OltTaskState::Done).await;
    assert_eq!((onu_of(&node, other).await.pon, onu_of(&node, other).await.onu_id), (PON, 1), "not 0");
    node.run(move |app| async move { app.resume_task(&admin(), task).await }).await.expect("it goes on");
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(onu_of(&node, new).await.onu_id, onu.onu_id);
    let desired = onu_of(&node, other).await.desired;
    assert_eq!(desired["reserved_ids"], serde_json::json!([]), "that is nobody's setting");
}

async fn a_box_that_was_given_to_another_service_is_expected_by_the_first_no_longer(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (first, second) = node
        .run(|app| async move {
            with_policy(&app).await;
            let first = world::service(&app, "user@isp", Some(serial())).await;
            (first, world::service(&app, "other@isp", None).await)
        })
        .await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let order = move || app::AuthoriseRequest {
        service: app::AuthoriseFor::Service(second),
        ..request(olt, serial())
    };
    let dry = node
        .run(move |app| async move { app.dry_run_authorise(&admin(), &order()).await })
        .await
        .expect("the OLT answers");
    assert!(
        dry.allowed()
            && dry.checks.iter().any(|c| c.status == "warn" && c.text.contains("waits for it no longer")),
        "{:?}",
        dry.checks
    );
    let task = authorise(&node, order()).await.expect("ordered");
    let dry = node
        .run(move |app| async move { app.dry_run_authorise(&admin(), &order()).await })
        .await
        .expect("the OLT answers");
    assert!(!dry.allowed() && dry.checks.iter().any(|c| c.text.contains("right now")), "{:?}", dry.checks);
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    let speaks = store::services::for_serial(node.app.store(), serial()).await.expect("readable");
    assert_eq!(speaks.iter().map(|service| service.id).collect::<Vec<_>>(), [second]);
    assert_eq!(service_row(&node.app, first).await.expected_serial, None);
}

on_both!(
    an_order_of_which_nothing_was_sent_is_cancelled,
    a_task_that_is_given_up_names_the_lines_and_may_go_on,
    nothing_is_sent_to_a_disabled_olt,
    an_olt_that_does_not_answer_is_tried_less_and_less_often_and_not_for_ever,
    of_two_orders_for_one_onu_on_two_olts_one_is_taken,
    the_place_of_a_task_that_was_interrupted_stays_its_own,
    a_box_that_was_given_to_another_service_is_expected_by_the_first_no_longer,
);
