//! Recordings of CPEs: bounded in size, in number and in time.

use crate::{
    acs::{find_or_insert, new_cpe},
    bed::Bed,
};
use std::time::Duration;
use store::{
    Store, StoreError,
    recordings::{self, KEPT_IN_ALL, LONGEST, MOST_AT_ONCE, ended},
    retention::{self, Bounds},
    rows::CpeRecording,
};
use types::{CpeId, CpeRecordingId};

on_both! {
    a_recording_ends_before_it_is_too_large,
    recordings_are_few_and_the_oldest_goes,
    an_old_recording_goes_with_its_lines,
}

async fn begin(store: &Store, cpe: CpeId) -> Option<CpeRecordingId> {
    let now = store.now();
    let new = CpeRecording {
        cpe_id: cpe,
        started_at: now,
        until_at: now.plus_s(3600),
        sessions_left: 5,
        ..CpeRecording::default()
    };
    store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { recordings::begin(tx, new, "heading", now).await })
        })
        .await
        .expect("begins")
}

async fn append(store: &Store, id: CpeRecordingId, line: String) -> bool {
    let now = store.now();
    store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { recordings::append(tx, id, &line, false, now).await })
        })
        .await
        .expect("answers")
}

async fn stop(store: &Store, id: CpeRecordingId) {
    let now = store.now();
    let stopped = store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { recordings::stop(tx, id, now).await }))
        .await;
    assert!(stopped.expect("answers"), "it ran");
}

async fn a_recording_ends_before_it_is_too_large(bed: &Bed) {
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("1")).await.id;
    let id = begin(&store, cpe).await.expect("it begins");
    let megabyte = "x".repeat(1024 * 1024);
    for _ in 0..3 {
        assert!(append(&store, id, megabyte.clone()).await);
    }
    assert!(!append(&store, id, megabyte.clone()).await, "four of them and what is between are too many");
    let row: CpeRecording = store.require(id).await.expect("there");
    assert_eq!((row.lines, row.end_reason.as_str()), (4, ended::FULL));
    let length: usize =
        recordings::lines(&store, id).await.expect("lines").iter().map(|line| line.len() + 1).sum();
    assert_eq!(i64::try_from(length).expect("small"), row.bytes);
    assert!(row.bytes <= LONGEST);
    assert!(!append(&store, id, "late".into()).await, "it is over");
}

async fn recordings_are_few_and_the_oldest_goes(bed: &Bed) {
    let store = bed.open().await;
    let kept = i64::try_from(KEPT_IN_ALL).expect("small");
    let at_once = i64::try_from(MOST_AT_ONCE).expect("small");
    let mut first = None;
    for number in 0..=kept {
        let cpe = find_or_insert(&store, new_cpe(&number.to_string())).await.id;
        let id = begin(&store, cpe).await.expect("it begins");
        first.get_or_insert(id);
        // The last ones go on.
        if number <= kept - at_once {
            stop(&store, id).await;
        }
    }
    assert_eq!(store.count::<CpeRecording>().await.expect("counts"), KEPT_IN_ALL);
    let gone = store.get::<CpeRecording>(first.expect("one")).await.expect("reads");
    assert!(gone.is_none(), "the oldest made room");
    let one_more = find_or_insert(&store, new_cpe("one more")).await.id;
    assert_eq!(begin(&store, one_more).await, None, "{MOST_AT_ONCE} run");
    bed.clock.advance(Duration::from_secs(3601));
    assert!(begin(&store, one_more).await.is_some(), "their time is over");
}

async fn an_old_recording_goes_with_its_lines(bed: &Bed) {
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("1")).await.id;
    let id = begin(&store, cpe).await.expect("it begins");
    assert!(append(&store, id, "a line".into()).await);
    let sweep = async || {
        store
            .write::<_, _, StoreError>(|tx| {
                Box::pin(async move { retention::sweep(tx, &Bounds::default(), 10).await })
            })
            .await
            .expect("sweeps")
    };
    bed.clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert_eq!(sweep().await, 0, "it is kept for 30 days after its time");
    bed.clock.advance(Duration::from_secs(3601));
    assert_eq!(sweep().await, 1);
    assert_eq!(recordings::lines(&store, id).await.expect("reads"), Vec::<String>::new(), "no line is left");
}
