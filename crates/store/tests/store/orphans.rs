//! Sessions whose process died are told from those that another process holds.

use crate::{
    acs::{find_or_insert, new_cpe},
    bed::Bed,
};
use std::time::Duration;
use store::{
    Store, StoreError,
    cpes::{self, CpeStep},
    leases::{self, PRESENCE},
    orphans::{self, LostSession, Midway},
    rows::{Cpe, CpeSession},
};
use types::{CpeId, CpeSessionId, UtcMs};

on_both! {
    only_what_nobody_holds_and_nothing_brings_on_is_lost,
    orphans_are_ended_in_batches,
}

const MIDWAY: Midway =
    Midway { states: ["READY", "PROVISIONING"], timers: ["watchdog", "attempt", "verify_check"] };

async fn runs(store: &Store, process: &'static str) {
    let taken = store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move {
                let name = format!("{PRESENCE}{process}");
                leases::acquire(tx, &name, process, Duration::from_secs(30)).await
            })
        })
        .await;
    assert!(taken.expect("writes").is_some(), "a name of its own");
}

async fn begin(store: &Store, cpe: CpeId, node: &'static str, began_at: UtcMs) -> CpeSessionId {
    let session = CpeSession { cpe_id: cpe, began_at, node: node.to_owned(), ..CpeSession::default() };
    store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { cpes::begin_session(tx, &session).await }))
        .await
        .expect("begins")
}

/// A CPE in this state, and whether this timer runs.
async fn cpe(store: &Store, serial: &str, state: &str, timer: Option<&str>) -> CpeId {
    let row = find_or_insert(store, new_cpe(serial)).await;
    let step = CpeStep {
        cpe: Cpe { state: state.to_owned(), ..row },
        start_timers: timer.map(|timer| (timer.to_owned(), UtcMs(1))).into_iter().collect(),
        ..CpeStep::default()
    };
    let id = step.cpe.id;
    let changed = store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { cpes::save_step(tx, &step).await }))
        .await;
    assert!(changed.expect("writes").is_changed());
    id
}

async fn end_others(store: &Store, before: UtcMs, limit: u32) -> u64 {
    store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { orphans::end_others(tx, &MIDWAY, before, limit).await })
        })
        .await
        .expect("writes")
}

async fn open(bed: &Bed) -> i64 {
    bed.number("SELECT COUNT(*) FROM cpe_sessions WHERE ended_at IS NULL").await
}

async fn only_what_nobody_holds_and_nothing_brings_on_is_lost(bed: &Bed) {
    let store = bed.open().await;
    let now = store.now();
    runs(&store, "one/a").await;
    runs(&store, "two/b").await;
    let lost = cpe(&store, "lost", "PROVISIONING", Some("inform_overdue")).await;
    let ready = cpe(&store, "ready", "READY", None).await;
    let watched = cpe(&store, "watched", "PROVISIONING", Some("watchdog")).await;
    let active = cpe(&store, "active", "ACTIVE", None).await;
    let back = cpe(&store, "back", "PROVISIONING", None).await;
    let elsewhere = cpe(&store, "elsewhere", "PROVISIONING", None).await;
    let session = begin(&store, lost, "one/a", now).await;
    for cpe in [ready, watched, active, back] {
        begin(&store, cpe, "one/a", now).await;
    }
    begin(&store, back, "two/b", now).await;
    begin(&store, elsewhere, "two/b", now).await;
    assert_eq!(orphans::lost(&store, &MIDWAY, 10).await.expect("reads"), [], "both run");
    assert_eq!(end_others(&store, now, 100).await, 0);

    bed.clock.advance(Duration::from_secs(20));
    runs(&store, "two/b").await;
    bed.clock.advance(Duration::from_secs(20));
    let found = orphans::lost(&store, &MIDWAY, 10).await.expect("reads");
    assert_eq!(found.iter().map(|found| found.cpe).collect::<Vec<_>>(), [lost, ready], "the oldest first");
    assert_eq!(found[0], LostSession { session, cpe: lost, version: 2 });
    assert_eq!(orphans::lost(&store, &MIDWAY, 1).await.expect("reads").len(), 1);
    assert_eq!(end_others(&store, now, 100).await, 3, "a timer, ACTIVE, informed again");
    assert_eq!(open(bed).await, 4);
    assert_eq!(orphans::lost(&store, &MIDWAY, 10).await.expect("reads").len(), 2, "they stay to be told");
    store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { orphans::end(tx, session).await }))
        .await
        .expect("ends");
    assert_eq!(orphans::lost(&store, &MIDWAY, 10).await.expect("reads")[0].cpe, ready);
    let ended = cpes::sessions(&store, lost, 1).await.expect("reads").remove(0);
    assert_eq!((ended.outcome.as_deref(), ended.ended_at), (Some("torn"), Some(store.now())));
    // A record that was not written is no reason to tell a device anything.
    assert_eq!(end_others(&store, store.now(), 100).await, 2, "those of the process that runs");
    assert_eq!(orphans::lost(&store, &MIDWAY, 10).await.expect("reads").len(), 1);
}

async fn orphans_are_ended_in_batches(bed: &Bed) {
    let store = bed.open().await;
    let now = store.now();
    let cpe = cpe(&store, "1", "ACTIVE", None).await;
    for _ in 0..5 {
        begin(&store, cpe, "gone", now).await;
    }
    let mut ended = Vec::new();
    while ended.last() != Some(&0) {
        ended.push(end_others(&store, now, 2).await);
    }
    assert_eq!(ended, [2, 2, 1, 0]);
    assert_eq!(open(bed).await, 0);
}
