//! Signed addresses of firmware files: for one device, one file and a time.

use crate::support::{
    bed::Bed,
    world::{Calls, admin, with_policy},
};
use app::{
    App, NewFirmware,
    ports::{CpeFrontDoor, FileAddress, OfferedFile},
};
use store::rows;
use types::{CpeId, UtcMs};

const PLACE: &str = "10.20.3.9";
const FROM_ELSEWHERE: &str = "192.0.2.10";
const ORIGIN: &str = "http://acs.example:7547";

/// A CPE at its place, that says what the file is for.
async fn cpe(app: &App, serial: &str, quarantine: bool) -> CpeId {
    let row = rows::Cpe {
        oui: "00259E".into(),
        manufacturer: "Huawei".into(),
        product_class: "EG8145V5".into(),
        serial_number: serial.into(),
        state: "ACTIVE".into(),
        peer_address: PLACE.into(),
        quarantine,
        machine: serde_json::json!({}).into(),
        ..rows::Cpe::default()
    };
    app.store().write(move |tx| Box::pin(async move { tx.insert(&row).await })).await.expect("a CPE")
}

async fn file(app: &App, product_class: &str, content: &[u8]) -> rows::FirmwareFile {
    let new = NewFirmware {
        name: "new.bin".into(),
        manufacturer: "Huawei".into(),
        product_class: product_class.into(),
        software_version: "V5R020C10S125".into(),
        ..NewFirmware::default()
    };
    let mut upload = app.upload_firmware(&admin(), new).await.expect("it begins");
    upload.put(content).await.expect("taken");
    upload.finish().await.expect("kept")
}

/// Reads an address as the edge does.
fn read(url: &str) -> FileAddress {
    let path = url.strip_prefix(ORIGIN).and_then(|path| path.strip_prefix("/files/")).expect("ours");
    let (signed, _) = path.split_once('/').expect("a name");
    let [file, cpe, until, signature] = signed.split('-').collect::<Vec<_>>().try_into().expect("four parts");
    FileAddress {
        file: file.parse().expect("an id"),
        cpe: cpe.parse().expect("an id"),
        until: UtcMs(until.parse::<i64>().expect("a time") * 1000),
        signature: signature.to_owned(),
    }
}

fn url(app: &App, file: &rows::FirmwareFile, cpe: CpeId, until: UtcMs) -> String {
    app.file_url(ORIGIN, file, cpe, until).expect("there is room")
}

async fn ask(app: &App, address: &FileAddress, from: &str) -> Option<OfferedFile> {
    app.file(address.clone(), from.parse().expect("an address")).await.expect("answered")
}

/// Lines of history about refused files.
async fn told(bed: &Bed) -> i64 {
    bed.number("SELECT COUNT(*) FROM timeline WHERE code = 'file_refused'").await
}

async fn an_address_holds_for_its_device_its_file_and_its_time(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let (mine, other) = (cpe(&app, "A", false).await, cpe(&app, "B", false).await);
    let (one, two) = (file(&app, "EG8145V5", b"one").await, file(&app, "EG8145V5", b"two").await);
    let path = url(&app, &one, mine, app.now().plus_s(3600));
    assert!(path.starts_with("http://acs.example:7547/files/1-1-") && path.ends_with("/new.bin"), "{path}");
    assert!(!path.contains(['?', '&', '%']), "{path}");
    let good = read(&path);
    let given = ask(&app, &good, PLACE).await.expect("given");
    assert_eq!((given.id, given.size, given.sha256.as_str()), (one.id, 3, one.sha256.as_str()));
    assert_eq!(app.file_part(one.id, 0).await.expect("reads").as_deref(), Some(&b"one"[..]));
    assert!(
        ask(&app, &good, &format!("::ffff:{PLACE}")).await.is_some(),
        "the same address in another spelling"
    );
    // Every node gives and takes the same addresses.
    let second = bed.app("node-2", &Calls::default()).await;
    assert!(ask(&second, &good, PLACE).await.is_some());
    assert_eq!(app.file_refusals(), None);

    let mut bad = Vec::new();
    bad.push(FileAddress { cpe: other, ..good.clone() });
    bad.push(FileAddress { file: two.id, ..good.clone() });
    bad.push(FileAddress { until: good.until.plus_s(1), ..good.clone() });
    bad.push(FileAddress { signature: String::new(), ..good.clone() });
    bad.push(FileAddress { signature: good.signature[..30].to_owned(), ..good.clone() });
    bad.push(FileAddress { signature: format!("{}00", good.signature), ..good.clone() });
    bad.push(FileAddress { signature: "zz".repeat(16), ..good.clone() });
    let first = if good.signature.starts_with('0') { '1' } else { '0' };
    bad.push(FileAddress { signature: format!("{first}{}", &good.signature[1..]), ..good.clone() });
    for address in &bad {
        assert_eq!(ask(&app, address, PLACE).await, None, "{address:?}");
    }
    let refusals = app.file_refusals().expect("counted");
    assert_eq!((refusals.times, refusals.last_from.to_string().as_str()), (8, PLACE));
    assert!(refusals.last_why.contains("never given out"), "{refusals:?}");
    assert_eq!(told(bed).await, 0, "whoever guesses writes no history");

    // Ours, and refused all the same: that is told, once in a while.
    assert_eq!(ask(&app, &good, FROM_ELSEWHERE).await, None);
    assert!(app.file_refusals().expect("counted").last_why.contains("outside of the management networks"));
    assert_eq!(ask(&app, &good, FROM_ELSEWHERE).await, None);
    assert_eq!(told(bed).await, 1);
    bed.advance_s(3600);
    assert_eq!(ask(&app, &good, PLACE).await, None, "its time is over");
    assert!(app.file_refusals().expect("counted").last_why.contains("time of the address"));
    assert_eq!(told(bed).await, 2);
}

async fn what_changed_since_it_was_signed_counts(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let until = app.now().plus_s(3600);
    let mine = cpe(&app, "A", false).await;
    let strange = cpe(&app, "B", true).await;
    let (fits, other) = (file(&app, "EG8145V5", b"one").await, file(&app, "F660", b"two").await);
    let why = || app.file_refusals().expect("counted").last_why;
    assert_eq!(ask(&app, &read(&url(&app, &fits, strange, until)), PLACE).await, None);
    assert!(why().contains("quarantine"));
    assert_eq!(ask(&app, &read(&url(&app, &fits, CpeId(99), until)), PLACE).await, None);
    assert!(why().contains("gone"));
    assert_eq!(ask(&app, &read(&url(&app, &other, mine, until)), PLACE).await, None);
    assert!(why().contains("model"));
    let good = read(&url(&app, &fits, mine, until));
    assert!(ask(&app, &good, PLACE).await.is_some());
    app.delete_firmware(&admin(), fits.id).await.expect("deleted");
    assert_eq!(ask(&app, &good, PLACE).await, None);
    assert!(why().contains("deleted"));
}

async fn a_device_whose_address_changed_is_served(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let until = app.now().plus_s(3600);
    let (mine, new) = (cpe(&app, "A", false).await, file(&app, "EG8145V5", b"one").await);
    let good = read(&url(&app, &new, mine, until));
    assert_eq!(ask(&app, &good, "10.20.3.77").await, None, "no management networks are named yet");
    with_policy(&app).await;
    assert!(ask(&app, &good, "127.20.3.77").await.is_some(), "another address, of the management networks");
    assert_eq!(ask(&app, &good, "127.21.3.77").await, None);
    // By another interface of the same customer.
    bed.sql("UPDATE cpes SET peer_address = '2001:db8:0:7::1'").await;
    assert!(ask(&app, &good, "2001:db8:0:7:ffff::9").await.is_some());
    assert_eq!(ask(&app, &good, "2001:db8:0:8::1").await, None);
}

async fn an_address_is_no_longer_than_devices_take(bed: &Bed) {
    let app = bed.app("node-1", &Calls::default()).await;
    let file = rows::FirmwareFile {
        id: types::FirmwareFileId(i64::MAX),
        name: format!("{}-the-end.bin", "n".repeat(88)),
        ..Default::default()
    };
    let until = UtcMs(4_102_444_800_000);
    let origin = format!("https://{}.example:7548", "a".repeat(120));
    let cut = app.file_url(&origin, &file, CpeId(i64::MAX), until).expect("there is room");
    assert!(cut.len() == 255 && cut.ends_with("the-end.bin"), "{cut}");
    let endless = format!("https://{}.example:7548", "a".repeat(200));
    assert_eq!(app.file_url(&endless, &file, CpeId(i64::MAX), until), None);
}

on_both!(
    a_device_whose_address_changed_is_served,
    an_address_is_no_longer_than_devices_take,
    an_address_holds_for_its_device_its_file_and_its_time,
    what_changed_since_it_was_signed_counts,
);
