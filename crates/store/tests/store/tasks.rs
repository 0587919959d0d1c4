//! Tasks on OLTs: what an open one has for itself, when it is tried again, and that a finished one stays as it is.

use crate::bed::Bed;
use futures::future::{BoxFuture, join_all};
use serde_json::json;
use std::sync::Arc;
use store::{
    Guarded, OltTaskState, Store, StoreError, Tx,
    claims::{self, Claim},
    rows::{Olt, OltTask},
    tasks::{self, NewTask, TaskMove},
};
use tokio::sync::Barrier;
use types::{OltId, OltTaskId, OnuRowId, PonPath, Serial, ServiceId};

on_both! {
    what_an_open_task_has_no_other_gets_before_it_ends,
    of_many_who_claim_the_same_at_once_one_has_it,
    places_are_found_by_their_port,
    a_finished_task_stays_as_it_is,
    a_task_that_was_tried_in_vain_waits_and_no_olt_keeps_another_waiting,
    tasks_that_were_open_before_claims_have_what_is_theirs,
}

const PON: PonPath = PonPath { frame: 0, slot: 1, port: 3 };

fn serial(number: u32) -> Serial {
    format!("HWTC{number:08}").parse().expect("a serial")
}

async fn write<T: Send + 'static>(
    store: &Store,
    unit: impl for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T, StoreError>> + Clone + Send + 'static,
) -> T {
    store.write(unit).await.expect("writes")
}

async fn olt(store: &Store, name: &str) -> OltId {
    let row = Olt { name: name.into(), version: 1, ..Olt::default() };
    write(store, move |tx| Box::pin(async move { tx.insert(&row).await })).await
}

fn order(olt: OltId, number: u32) -> NewTask {
    NewTask {
        kind: "authorise_onu".into(),
        olt_id: olt,
        service_id: None,
        serial: serial(number),
        pon: PON,
        plan: json!({}),
        actor: "anna".into(),
        idempotency_key: None,
    }
}

async fn begun(store: &Store, olt: OltId, number: u32) -> OltTaskId {
    write(store, move |tx| Box::pin(async move { tasks::begin(tx, order(olt, number), tx.now()).await }))
        .await
}

async fn take(store: &Store, task: OltTaskId, wanted: &[Claim]) -> Option<OltTask> {
    let wanted = wanted.to_vec();
    write(store, move |tx| Box::pin(async move { claims::take(tx, task, &wanted).await })).await
}

async fn go(store: &Store, task: OltTaskId, from: OltTaskState, to: OltTaskState) -> Guarded {
    write(store, move |tx| {
        Box::pin(async move {
            tasks::transition(tx, task, TaskMove { from, to, step: "", reason: "" }, tx.now()).await
        })
    })
    .await
}

async fn what_an_open_task_has_no_other_gets_before_it_ends(bed: &Bed) {
    let store = bed.open().await;
    let (one, two) = (olt(&store, "one").await, olt(&store, "two").await);
    let first = begun(&store, one, 1).await;
    let second = begun(&store, two, 2).await;
    let wanted = [Claim::Serial(serial(1)), Claim::Onu(OnuRowId(7)), Claim::Service(ServiceId(3))];
    assert_eq!(take(&store, first, &wanted).await, None);
    assert_eq!(take(&store, first, &wanted).await, None, "its own it may take again");
    for claim in wanted {
        assert_eq!(take(&store, second, &[claim]).await.map(|task| task.id), Some(first), "{claim}");
        assert_eq!(claims::holder(&store, &[claim]).await.expect("reads").map(|task| task.id), Some(first));
    }
    assert_eq!(take(&store, second, &[Claim::Onu(OnuRowId(8))]).await, None);
    // One that waits for a person keeps what it has.
    assert!(go(&store, first, OltTaskState::Pending, OltTaskState::NeedsOperator).await.is_changed());
    assert!(take(&store, second, &wanted).await.is_some());
    assert!(go(&store, first, OltTaskState::NeedsOperator, OltTaskState::Undone).await.is_changed());
    assert_eq!(claims::holder(&store, &wanted).await.expect("reads"), None);
    assert_eq!(take(&store, second, &wanted).await, None);
}

async fn of_many_who_claim_the_same_at_once_one_has_it(bed: &Bed) {
    let store = bed.open().await;
    let start = Arc::new(Barrier::new(8));
    let mut orders = Vec::new();
    for number in 0..8 {
        let at = olt(&store, &format!("olt-{number}")).await;
        let (store, start) = (store.clone(), Arc::clone(&start));
        orders.push(tokio::spawn(async move {
            start.wait().await;
            // On an OLT of its own, so that nothing but the claim is in the way.
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(async move {
                        let task = tasks::begin(tx, order(at, 1), tx.now()).await?;
                        let claims = [Claim::Serial(serial(1)), Claim::Service(ServiceId(1))];
                        match claims::take(tx, task, &claims).await? {
                            None => Ok(task),
                            Some(other) => {
                                Err(StoreError::Conflict { why: format!("task {} has it", other.id) })
                            }
                        }
                    })
                })
                .await
        }));
    }
    let ended = join_all(orders).await;
    let won = ended.iter().filter(|order| matches!(order, Ok(Ok(_)))).count();
    assert_eq!(won, 1, "{ended:?}");
    assert_eq!(bed.number("SELECT COUNT(*) FROM olt_tasks").await, 1, "the others left nothing behind");
}

async fn places_are_found_by_their_port(bed: &Bed) {
    let store = bed.open().await;
    let (one, two) = (olt(&store, "one").await, olt(&store, "two").await);
    let (first, second) = (begun(&store, one, 1).await, begun(&store, one, 2).await);
    let place = |olt, port, onu_id| Claim::Place { olt, pon: PonPath { port, ..PON }, onu_id };
    assert_eq!(take(&store, first, &[place(one, 3, 4), place(one, 3, 12), place(one, 30, 5)]).await, None);
    assert_eq!(take(&store, second, &[place(two, 3, 6)]).await, None);
    let mut found = claims::places(&store, one, PON).await.expect("reads");
    found.sort_unstable();
    assert_eq!(found, [(4, first), (12, first)], "neither of port 30 nor of the other OLT");
    assert_eq!(take(&store, second, &[place(one, 3, 12)]).await.map(|task| task.id), Some(first));
}

async fn a_finished_task_stays_as_it_is(bed: &Bed) {
    let store = bed.open().await;
    let olt = olt(&store, "one").await;
    let task = begun(&store, olt, 1).await;
    assert!(go(&store, task, OltTaskState::Pending, OltTaskState::Refused).await.is_changed());
    let before = store.require::<OltTask>(task).await.expect("reads");
    let again = go(&store, task, OltTaskState::Refused, OltTaskState::Pending).await;
    assert_eq!(again, Guarded::NotAsExpected { found: "refused".into() });
    let until = store.now().plus_s(60);
    let late = write(&store, move |tx| {
        Box::pin(async move { tasks::postpone(tx, task, OltTaskState::Refused, until, "late").await })
    })
    .await;
    assert!(!late.is_changed());
    assert_eq!(store.require::<OltTask>(task).await.expect("reads"), before);
}

async fn a_task_that_was_tried_in_vain_waits_and_no_olt_keeps_another_waiting(bed: &Bed) {
    let store = bed.open().await;
    let (one, two) = (olt(&store, "one").await, olt(&store, "two").await);
    let mut of_one = Vec::new();
    for number in 1..=4 {
        of_one.push(begun(&store, one, number).await);
    }
    let of_two = begun(&store, two, 5).await;
    let due = async || {
        let due = tasks::due(&store, store.now(), 2).await.expect("reads");
        due.into_iter().map(|task| task.id).collect::<Vec<_>>()
    };
    assert_eq!(due().await, [of_one[0], of_one[1], of_two], "the oldest of each");
    assert_eq!(tasks::open_on_olt(&store, one).await.expect("reads"), 4);
    let (task, until) = (of_one[0], store.now().plus_s(60));
    let postponed = write(&store, move |tx| {
        Box::pin(async move { tasks::postpone(tx, task, OltTaskState::Pending, until, "it is away").await })
    });
    assert!(postponed.await.is_changed());
    let row = store.require::<OltTask>(task).await.expect("reads");
    assert_eq!((row.tries, row.next_try_at, row.reason.as_str()), (1, Some(until), "it is away"));
    assert_eq!(due().await, [of_one[1], of_one[2], of_two]);
    // Nothing can be said to it at all.
    let held = write(&store, move |tx| Box::pin(async move { tasks::hold_back(tx, one, until).await }));
    assert_eq!(held.await, 3);
    assert_eq!(due().await, [of_two]);
    bed.clock.advance(std::time::Duration::from_secs(60));
    assert_eq!(due().await, [of_one[0], of_one[1], of_two]);
    let later = store.now().plus_s(60);
    write(&store, move |tx| Box::pin(async move { tasks::hold_back(tx, one, later).await })).await;
    write(&store, move |tx| Box::pin(async move { tasks::let_go_on(tx, one).await })).await;
    assert_eq!(due().await, [of_one[0], of_one[1], of_two]);
    assert_eq!(store.require::<OltTask>(task).await.expect("reads").tries, 0);
}

/// As a database has it that was made before there were claims.
async fn tasks_that_were_open_before_claims_have_what_is_theirs(bed: &Bed) {
    let store = bed.open().await;
    let (one, two) = (olt(&store, "one").await, olt(&store, "two").await);
    let first = begun(&store, one, 1).await;
    let twice = begun(&store, two, 1).await;
    let over = begun(&store, two, 2).await;
    assert!(go(&store, over, OltTaskState::Pending, OltTaskState::Undone).await.is_changed());
    bed.sql(&format!("UPDATE olt_tasks SET service_id = 3, onu_row_id = 7 WHERE id = {}", first.0)).await;
    drop(store);
    for undo in [
        "DROP TABLE olt_task_claims",
        "ALTER TABLE olt_tasks DROP COLUMN tries",
        "ALTER TABLE olt_tasks DROP COLUMN next_try_at",
        "ALTER TABLE olt_tasks DROP COLUMN lines_left",
        "ALTER TABLE plans ADD COLUMN line_profile text",
        "ALTER TABLE plans ADD COLUMN service_profile text",
        "DROP INDEX cpe_faults_groups",
        "ALTER TABLE cpe_faults DROP COLUMN parameter",
        "ALTER TABLE cpe_faults DROP COLUMN dismissed_at",
        "DROP TABLE cpe_tags",
        "DROP TABLE cpe_claimants",
        "ALTER TABLE cpe_parameters DROP COLUMN source",
        "DROP TABLE device_orders",
        "DROP TABLE cpe_recording_lines",
        "DROP TABLE cpe_recordings",
        "ALTER TABLE connection_requests DROP COLUMN seen",
        "DROP TABLE firmware_parts",
        "DROP TABLE firmware_files",
        "DELETE FROM seaql_migrations WHERE version >= '0007'",
        "UPDATE schema_state SET schema_version = 6, migration = '0006_claimed_serials'",
    ] {
        bed.sql(undo).await;
    }
    let store = bed.open().await;
    for claim in [Claim::Serial(serial(1)), Claim::Onu(OnuRowId(7)), Claim::Service(ServiceId(3))] {
        let holder = claims::holder(&store, &[claim]).await.expect("reads");
        assert_eq!(holder.map(|task| task.id), Some(first), "{claim}; task {twice} has the same number");
    }
    assert_eq!(claims::holder(&store, &[Claim::Serial(serial(2))]).await.expect("reads"), None);
    assert_eq!(store.require::<OltTask>(first).await.expect("reads").lines_left, json!([]));
}
