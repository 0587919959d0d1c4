//! Firmware files: whole or not there, on both engines.

use crate::bed::Bed;
use std::time::Duration;
use store::{
    Store, StoreError,
    firmware_files::{self, ALL_TOGETHER, Begun, MOST_AT_ONCE, Put, UPLOAD_WITHIN, state},
    leases,
    rows::FirmwareFile,
};
use types::FirmwareFileId;

const PROCESS: &str = "node-1/a";

/// Says that the process runs that uploads go through.
async fn run(store: &Store) {
    run_as(store, PROCESS).await;
}

async fn run_as(store: &Store, process: &'static str) {
    let name = format!("{}{process}", leases::PRESENCE);
    let said = store.write(move |tx| {
        let name = name.clone();
        Box::pin(async move { leases::acquire(tx, &name, process, Duration::from_secs(30)).await })
    });
    said.await.expect("writes").expect("its own name");
}

fn file(name: &str) -> FirmwareFile {
    FirmwareFile {
        name: name.into(),
        manufacturer: "Huawei".into(),
        product_class: "EG8145V5".into(),
        software_version: "V5R020C10S125".into(),
        uploaded_by: "nino".into(),
        process: PROCESS.into(),
        ..Default::default()
    }
}

async fn begin(store: &Store, name: &str) -> Begun {
    let new = FirmwareFile { uploaded_at: store.now(), ..file(name) };
    store
        .write(move |tx| Box::pin(async move { firmware_files::begin(tx, new).await }))
        .await
        .expect("answered")
}

async fn begun(store: &Store, name: &str) -> FirmwareFileId {
    match begin(store, name).await {
        Begun::As(id) => id,
        refused => panic!("{refused:?}"),
    }
}

async fn put(store: &Store, id: FirmwareFileId, number: i64, body: &[u8]) -> Result<Put, StoreError> {
    let body = body.to_vec();
    store.write(move |tx| Box::pin(async move { firmware_files::put(tx, id, number, body).await })).await
}

async fn finish(store: &Store, id: FirmwareFileId, sha256: &'static str) -> Result<FirmwareFile, StoreError> {
    store.write(move |tx| Box::pin(async move { firmware_files::finish(tx, id, 5, sha256).await })).await
}

async fn swept(store: &Store) -> u64 {
    let now = store.now();
    let mut gone = 0;
    loop {
        let some = store
            .write(move |tx| Box::pin(async move { firmware_files::sweep(tx, now).await }))
            .await
            .expect("swept");
        if some == 0 {
            return gone;
        }
        gone += some;
    }
}

async fn a_file_is_found_when_it_is_whole_and_read_part_by_part(bed: &Bed) {
    let store = bed.open().await;
    run(&store).await;
    let id = begun(&store, "one.bin").await;
    put(&store, id, 0, b"abc").await.expect("a part");
    put(&store, id, 1, &[0, 255]).await.expect("a part");
    assert_eq!(firmware_files::ready(&store, id).await.expect("reads"), None, "not before its end");
    let row = finish(&store, id, "aa").await.expect("whole");
    assert_eq!((row.size, row.state.as_str()), (5, state::READY));
    assert!(firmware_files::ready(&store, id).await.expect("reads").is_some());
    assert_eq!(firmware_files::part(&store, id, 0).await.expect("reads").as_deref(), Some(&b"abc"[..]));
    assert_eq!(firmware_files::part(&store, id, 1).await.expect("reads"), Some(vec![0, 255]));
    assert_eq!(firmware_files::part(&store, id, 2).await.expect("reads"), None);
    assert!(matches!(put(&store, id, 2, b"x").await, Err(StoreError::Overtaken { .. })), "it is closed");

    // The same content for the same devices is there once; for others it is another file.
    let again = begun(&store, "two.bin").await;
    assert!(matches!(finish(&store, again, "aa").await, Err(StoreError::Duplicate { .. })));
    finish(&store, again, "bb").await.expect("other content");
}

async fn what_is_removed_goes_in_portions_and_is_not_found_before(bed: &Bed) {
    let store = bed.open().await;
    run(&store).await;
    let id = begun(&store, "one.bin").await;
    for number in 0..40 {
        put(&store, id, number, b"part").await.expect("a part");
    }
    finish(&store, id, "aa").await.expect("whole");
    assert_eq!(swept(&store).await, 0, "what is ready stays");
    let remove = || store.write(move |tx| Box::pin(async move { firmware_files::remove(tx, id).await }));
    assert!(remove().await.expect("removed"));
    assert!(!remove().await.expect("answered"), "once");
    assert_eq!(firmware_files::ready(&store, id).await.expect("reads"), None);
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_parts").await, 40);
    let now = store.now();
    store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { firmware_files::sweep(tx, now).await }))
        .await
        .expect("swept");
    let left = bed.number("SELECT COUNT(*) FROM firmware_parts").await;
    assert!((1..40).contains(&left), "some at a time: {left}");
    swept(&store).await;
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_files").await, 0);
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_parts").await, 0);
}

async fn an_upload_that_nobody_finishes_leaves_nothing(bed: &Bed) {
    let store = bed.open().await;
    run(&store).await;
    let mut open = Vec::new();
    for n in 0..MOST_AT_ONCE {
        open.push(begun(&store, &format!("{n}.bin")).await);
    }
    put(&store, open[0], 0, b"abc").await.expect("a part");
    assert_eq!(begin(&store, "one more").await, Begun::TooMany);
    assert_eq!(swept(&store).await, 0, "they may still come to their end");
    bed.clock.advance(UPLOAD_WITHIN + Duration::from_secs(120));
    run(&store).await;
    assert!(swept(&store).await > 0);
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_parts").await, 0);
    assert!(put(&store, open[0], 1, b"late").await.is_err());
    begun(&store, "one more").await;
}

async fn the_places_of_a_dead_process_are_free_at_once(bed: &Bed) {
    let store = bed.open().await;
    run(&store).await;
    let mut open = Vec::new();
    for n in 0..MOST_AT_ONCE {
        open.push(begun(&store, &format!("{n}.bin")).await);
    }
    put(&store, open[0], 0, b"abc").await.expect("a part");
    assert_eq!(begin(&store, "one more").await, Begun::TooMany, "their process runs");
    bed.sql("UPDATE node_leases SET until = 0").await;
    run_as(&store, "node-1/b").await;
    let new = FirmwareFile { uploaded_at: store.now(), process: "node-1/b".into(), ..file("after") };
    let after = store.write(move |tx| Box::pin(async move { firmware_files::begin(tx, new).await })).await;
    assert!(matches!(after, Ok(Begun::As(_))), "{after:?}");
    assert!(put(&store, open[0], 1, b"late").await.is_err(), "it was given up");
    assert!(swept(&store).await > 0);
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_parts").await, 0);
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_files").await, 1, "the new one stays");
}

async fn of_uploads_that_begin_at_once_no_more_are_taken_than_may_be(bed: &Bed) {
    let store = bed.open().await;
    run(&store).await;
    let all = (0..12).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { begin(&store, &format!("{n}.bin")).await })
    });
    let all = futures::future::join_all(all.collect::<Vec<_>>()).await;
    let taken = all.into_iter().filter(|begun| matches!(begun, Ok(Begun::As(_)))).count();
    assert_eq!(taken as u64, MOST_AT_ONCE);
}

async fn what_is_under_way_counts_as_room_taken(bed: &Bed) {
    let store = bed.open().await;
    run(&store).await;
    let (one, two) = (begun(&store, "one.bin").await, begun(&store, "two.bin").await);
    assert_eq!(put(&store, one, 0, b"abc").await.expect("a part"), Put::Kept);
    assert_eq!(bed.number("SELECT CAST(SUM(size) AS bigint) FROM firmware_files").await, 3);
    bed.sql(&format!("UPDATE firmware_files SET size = {} WHERE id = {}", ALL_TOGETHER - 4, two.0)).await;
    assert_eq!(put(&store, one, 1, b"d").await.expect("a part"), Put::Kept, "to the last byte");
    assert_eq!(put(&store, one, 2, b"e").await.expect("answered"), Put::NoRoom);
    assert_eq!(begin(&store, "three.bin").await, Begun::NoRoom);
}

async fn what_was_kept_is_not_given_up(bed: &Bed) {
    let store = bed.open().await;
    run(&store).await;
    let (kept, left) = (begun(&store, "kept.bin").await, begun(&store, "left.bin").await);
    put(&store, kept, 0, b"abcde").await.expect("a part");
    finish(&store, kept, "b").await.expect("kept");
    let give_up = |id| store.write(move |tx| Box::pin(async move { firmware_files::give_up(tx, id).await }));
    assert!(!give_up(kept).await.expect("writes"), "it came to its end before it was given up");
    assert!(firmware_files::ready(&store, kept).await.expect("reads").is_some());
    assert!(give_up(left).await.expect("writes"));
    assert!(finish(&store, left, "c").await.is_err());
}

on_both! {
    of_uploads_that_begin_at_once_no_more_are_taken_than_may_be,
    what_was_kept_is_not_given_up,
    the_places_of_a_dead_process_are_free_at_once,
    what_is_under_way_counts_as_room_taken,
    a_file_is_found_when_it_is_whole_and_read_part_by_part,
    what_is_removed_goes_in_portions_and_is_not_found_before,
    an_upload_that_nobody_finishes_leaves_nothing,
}
