//! Contacts in which nothing happened are written many at once.

use crate::{
    acs::{find_or_insert, new_cpe},
    bed::Bed,
};
use serde_json::json;
use store::{
    Store, StoreError,
    contacts::{self, Heard},
    cpes::{self, CpeStep},
    retention::Bounds,
    rows::{Cpe, CpeSession},
};
use types::{CpeId, UtcMs};

on_both! {
    many_are_heard_of_at_once_and_nobody_else_is_touched,
    one_that_was_changed_meanwhile_is_not_written_over,
    sessions_that_are_over_push_the_oldest_out,
    a_contact_of_a_device_that_is_gone_writes_nothing,
}

/// More than the largest portion, and not a multiple of any.
const MANY: usize = 75;

fn heard(of: &Cpe, at: UtcMs) -> Heard {
    Heard {
        cpe: of.id,
        version: of.version,
        machine: json!({ "heard": at.0 }).into(),
        last_inform_at: Some(at),
        next_inform_by: Some(at.plus_s(300)),
        timer: Some(("inform_overdue".to_owned(), at.plus_s(600))),
    }
}

async fn hear(store: &Store, all: Vec<Heard>) -> Vec<CpeId> {
    let written = store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { contacts::hear(tx, &all).await }))
        .await;
    written.expect("writes").into_iter().collect()
}

async fn many_are_heard_of_at_once_and_nobody_else_is_touched(bed: &Bed) {
    let (store, mut all) = (bed.open().await, Vec::new());
    for n in 0..=MANY {
        all.push(find_or_insert(&store, new_cpe(&n.to_string())).await);
    }
    let (silent, now) = (all.pop().expect("one more"), store.now());
    let written = hear(&store, all.iter().map(|cpe| heard(cpe, now)).collect()).await;
    assert_eq!(written, all.iter().map(|cpe| cpe.id).collect::<Vec<_>>());
    for cpe in &all {
        let row: Cpe = store.require(cpe.id).await.expect("reads");
        assert_eq!((row.last_inform_at, row.next_inform_by), (Some(now), Some(now.plus_s(300))));
        assert_eq!((row.machine.value(), row.version), (json!({ "heard": now.0 }), cpe.version + 1));
        assert_eq!((&row.serial_number, &row.state), (&cpe.serial_number, &cpe.state));
        let timers = cpes::timers(&store, cpe.id).await.expect("reads");
        assert_eq!(timers.iter().map(|timer| timer.at).collect::<Vec<_>>(), [now.plus_s(600)]);
    }
    assert_eq!(store.require::<Cpe>(silent.id).await.expect("reads"), silent);
}

async fn one_that_was_changed_meanwhile_is_not_written_over(bed: &Bed) {
    let store = bed.open().await;
    let (one, other) =
        (find_or_insert(&store, new_cpe("1")).await, find_or_insert(&store, new_cpe("2")).await);
    let step = CpeStep { cpe: Cpe { state: "OWNED".to_owned(), ..one.clone() }, ..CpeStep::default() };
    let changed = store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { cpes::save_step(tx, &step).await }))
        .await;
    assert!(changed.expect("writes").is_changed());
    let now = store.now();
    assert_eq!(hear(&store, vec![heard(&one, now), heard(&other, now)]).await, [other.id]);
    let row: Cpe = store.require(one.id).await.expect("reads");
    assert_eq!((row.state.as_str(), row.last_inform_at, &row.machine), ("OWNED", None, &one.machine));
    assert!(cpes::timers(&store, one.id).await.expect("reads").is_empty(), "nothing of it was written");
}

async fn record(store: &Store, sessions: Vec<CpeSession>) -> Result<(), StoreError> {
    let bounds = Bounds { sessions_per_cpe: 3, ..Bounds::default() };
    store.write(move |tx| Box::pin(async move { contacts::record(tx, &sessions, &bounds).await })).await
}

fn over(cpe_id: CpeId, began_at: UtcMs) -> CpeSession {
    let (ended_at, outcome) = (Some(began_at.plus_s(1)), Some("clean".to_owned()));
    CpeSession { cpe_id, began_at, ended_at, outcome, ..CpeSession::default() }
}

async fn sessions_that_are_over_push_the_oldest_out(bed: &Bed) {
    let store = bed.open().await;
    let (busy, quiet) =
        (find_or_insert(&store, new_cpe("1")).await.id, find_or_insert(&store, new_cpe("2")).await.id);
    record(&store, vec![over(busy, UtcMs(1)), over(quiet, UtcMs(1)), over(busy, UtcMs(2))])
        .await
        .expect("one");
    record(&store, (3..=6).map(|at| over(busy, UtcMs(at))).collect()).await.expect("two");
    let began = |sessions: Vec<CpeSession>| sessions.iter().map(|one| one.began_at.0).collect::<Vec<_>>();
    assert_eq!(began(cpes::sessions(&store, busy, 99).await.expect("reads")), [6, 5, 4]);
    assert_eq!(began(cpes::sessions(&store, quiet, 99).await.expect("reads")), [1]);
}

async fn a_contact_of_a_device_that_is_gone_writes_nothing(bed: &Bed) {
    let store = bed.open().await;
    let there = find_or_insert(&store, new_cpe("1")).await;
    let gone = Cpe { id: CpeId(there.id.0 + 1), ..there.clone() };
    assert_eq!(hear(&store, vec![heard(&gone, store.now())]).await, []);
    let refused = record(&store, vec![over(there.id, UtcMs(1)), over(gone.id, UtcMs(1))]).await;
    assert!(matches!(refused, Err(StoreError::Dangling { .. })), "{refused:?}");
    assert!(cpes::sessions(&store, there.id, 9).await.expect("reads").is_empty(), "all or nothing");
}
