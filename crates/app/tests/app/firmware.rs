//! Firmware files: kept whole with their checksum, or not at all.

use crate::support::{
    bed::Bed,
    world::{Calls, admin, person},
};
use app::{App, AppError, AppParts, FirmwareUpload, LARGEST_FIRMWARE, NewFirmware, PolicyLimits, Role};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};
use store::{KeySource, Store, StoreConfig, firmware_files, rows};

fn new(name: &str) -> NewFirmware {
    NewFirmware {
        name: name.into(),
        manufacturer: "Huawei".into(),
        product_class: "EG8145V5".into(),
        software_version: "V5R020C10S125".into(),
        ..NewFirmware::default()
    }
}

async fn begun(app: &App, name: &str) -> FirmwareUpload {
    app.upload_firmware(&admin(), new(name)).await.expect("it begins")
}

/// Content whose every part is another.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|n| u8::try_from((n * 31 + n / 256) % 251).expect("small")).collect()
}

async fn kept(app: &App, name: &str, bytes: &[u8]) -> rows::FirmwareFile {
    let mut upload = begun(app, name).await;
    for piece in bytes.chunks(70_001) {
        upload.put(piece).await.expect("taken");
    }
    upload.finish().await.expect("kept")
}

/// Until nothing is there of what ended early.
async fn nothing_left(bed: &Bed) {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    while bed.number("SELECT COUNT(*) FROM firmware_files WHERE state <> 'ready'").await > 0 {
        assert!(tokio::time::Instant::now() < end, "what ended early is still there");
        tokio::task::yield_now().await;
    }
}

async fn a_file_is_kept_as_it_came_and_deleted_on_order(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let bytes = content(firmware_files::PART * 2 + 5);
    let row = kept(&app, "C:\\fw\\new version.bin", &bytes).await;
    assert_eq!(row.name, "new_version.bin");
    assert_eq!(row.size, i64::try_from(bytes.len()).expect("fits"));
    assert_eq!(row.sha256, hex::encode(Sha256::digest(&bytes)));
    let (mut read, mut number) = (Vec::new(), 0);
    while let Some(part) = firmware_files::part(app.store(), row.id, number).await.expect("reads") {
        read.extend(part);
        number += 1;
    }
    assert_eq!(number, 3);
    assert!(read == bytes, "byte for byte");

    // The same once more is refused and leaves the first alone.
    let mut again = begun(&app, "again.bin").await;
    again.put(&bytes).await.expect("taken");
    let refused = again.finish().await.expect_err("there already");
    assert!(matches!(&refused, AppError::Conflict(why) if why.contains("there already")), "{refused}");
    nothing_left(bed).await;

    let noc = person("nina", Role::Noc);
    let support = person("sam", Role::Support);
    assert!(matches!(app.delete_firmware(&support, row.id).await, Err(AppError::Forbidden(_))));
    assert!(matches!(app.upload_firmware(&support, new("x")).await, Err(AppError::Forbidden(_))));
    app.delete_firmware(&noc, row.id).await.expect("deleted");
    assert!(matches!(app.delete_firmware(&noc, row.id).await, Err(AppError::NotFound(_))));
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_parts").await, 0);
    let told = "SELECT COUNT(*) FROM audit_log WHERE action IN ('firmware.upload', 'firmware.delete')";
    assert_eq!(bed.number(told).await, 2, "both, and no more, are in the audit log");
}

async fn what_is_not_whole_or_not_what_it_says_leaves_nothing(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    // Cut off.
    let mut upload = begun(&app, "cut.bin").await;
    upload.put(&content(firmware_files::PART * 3)).await.expect("taken");
    drop(upload);
    nothing_left(bed).await;
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_parts").await, 0);
    // Another file than its checksum says.
    let wrong = NewFirmware { sha256: "ab".repeat(32), ..new("wrong.bin") };
    let mut upload = app.upload_firmware(&admin(), wrong).await.expect("it begins");
    upload.put(b"something").await.expect("taken");
    let refused = upload.finish().await.expect_err("refused");
    assert!(matches!(&refused, AppError::Invalid { fields } if fields[0].field == "sha256"), "{refused}");
    let right = NewFirmware { sha256: hex::encode_upper(Sha256::digest(b"something")), ..new("right.bin") };
    let mut upload = app.upload_firmware(&admin(), right).await.expect("it begins");
    upload.put(b"something").await.expect("taken");
    upload.finish().await.expect("its checksum is right");
    // Nothing at all.
    let refused = begun(&app, "empty.bin").await.finish().await.expect_err("refused");
    assert!(refused.to_string().contains("empty"), "{refused}");
    // Far too much: told as soon as it is seen.
    let mut upload = begun(&app, "large.bin").await;
    let piece = vec![0; 1 << 20];
    let mut sent = 0;
    let refused = loop {
        match upload.put(&piece).await {
            Ok(()) => sent += piece.len() as u64,
            Err(error) => break error,
        }
        if sent > 4 << 20 {
            // The rest is said and not sent: what counts is the sum.
            break upload
                .put(&vec![0; usize::try_from(LARGEST_FIRMWARE).expect("fits")])
                .await
                .expect_err("too large");
        }
    };
    assert!(refused.to_string().contains("256 MiB"), "{refused}");
    drop(upload);
    nothing_left(bed).await;
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_files").await, 1);
    // What it is for is asked before anything is taken.
    let nothing = app.upload_firmware(&admin(), NewFirmware::default()).await.expect_err("refused");
    let AppError::Invalid { fields } = nothing else { panic!("{nothing}") };
    let fields: Vec<&str> = fields.iter().map(|field| field.field.as_str()).collect();
    assert_eq!(fields, ["name", "product_class", "software_version", "manufacturer"]);
    let odd = NewFirmware { oui: "00259G".into(), sha256: "12".into(), ..new("x") };
    assert!(
        matches!(app.upload_firmware(&admin(), odd).await, Err(AppError::Invalid { fields }) if fields.len() == 2)
    );
}

on_both!(
    a_file_is_kept_as_it_came_and_deleted_on_order,
    what_is_not_whole_or_not_what_it_says_leaves_nothing,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_file_takes_the_room_that_the_database_needs() {
    let bed = Bed::sqlite();
    drop(bed.app("node-1", &Calls::default()).await);
    let mut config = StoreConfig::new(&bed.url, KeySource::File(bed.folder.path().join("secret.key")));
    config.clock = Arc::new(bed.clock.clone());
    config.limits.disk_reserve = u64::MAX;
    let parts = AppParts {
        store: Store::open(config).await.expect("the store opens"),
        clock: Arc::new(bed.clock.clone()),
        connection: Arc::new(Calls::default()),
        node: "node-1".into(),
        limits: PolicyLimits::Simulated,
    };
    let app = App::new(parts).await.expect("the application starts");
    let refused = app.upload_firmware(&admin(), new("x.bin")).await.expect_err("refused");
    assert!(matches!(&refused, AppError::Unavailable(why) if why.contains("too little room")), "{refused}");
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_files").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_told_in_words_and_leaves_nothing() {
    let bed = Bed::sqlite();
    drop(bed.app("node-1", &Calls::default()).await);
    let pages = bed.number("PRAGMA page_count").await;
    let mut config = StoreConfig::new(&bed.url, KeySource::File(bed.folder.path().join("secret.key")));
    config.clock = Arc::new(bed.clock.clone());
    config.limits.max_pages = Some(u32::try_from(pages).expect("few") + 200);
    let parts = AppParts {
        store: Store::open(config).await.expect("the store opens"),
        clock: Arc::new(bed.clock.clone()),
        connection: Arc::new(Calls::default()),
        node: "node-1".into(),
        limits: PolicyLimits::Simulated,
    };
    let app = App::new(parts).await.expect("the application starts");
    let mut upload = begun(&app, "large.bin").await;
    let error = loop {
        if let Err(error) = upload.put(&content(firmware_files::PART)).await {
            break error;
        }
    };
    assert!(matches!(&error, AppError::Unavailable(why) if why.contains("no room left")), "{error}");
    drop(upload);
    nothing_left(&bed).await;
    assert_eq!(bed.number("SELECT COUNT(*) FROM firmware_parts").await, 0);
    kept(&app, "small.bin", &content(firmware_files::PART)).await;
}
