//! `lightkeeper import genieacs` as an operator runs it.

use std::{path::Path, process::Command};

const FILE: &str = r#"{"_id":"00259E-HG8546M-4857544300000001","_deviceId":{"_Manufacturer":"Huawei","_OUI":"00259E","_ProductClass":"HG8546M","_SerialNumber":"4857544300000001"},"_lastInform":{"$date":"2025-11-20T10:00:00Z"},"_tags":["north"],"InternetGatewayDevice":{"DeviceInfo":{"SoftwareVersion":{"_value":"V5R019","_type":"xsd:string"}},"WANDevice":{"1":{"WANConnectionDevice":{"1":{"WANPPPConnection":{"1":{"Password":{"_value":"hunter2","_type":"xsd:string"},"Username":{"_value":"amina","_type":"xsd:string"}}}}}}}}}
{"_id":"broken
{"_deviceId":{"_OUI":"202BC1","_ProductClass":"","_SerialNumber":"BM632w-000000"}}
{"_id":"a preset"}
"#;

fn import(data: &Path, file: &Path, more: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
        .env("LIGHTKEEPER_DATA_DIR", data)
        .args(["import", "genieacs"])
        .arg(file)
        .args(more)
        .output()
        .expect("the binary runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

#[test]
fn an_export_is_taken_over_once_and_what_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("devices.json");
    std::fs::write(&file, FILE).expect("a file");
    let data = folder.path().join("data");
    let (well, said) = import(&data, &file, &["--dry-run"]);
    assert!(
        well && said.contains("nothing was written") && said.contains("2 new, 0 known already"),
        "{said}"
    );
    let (well, said) = import(&data, &file, &[]);
    assert!(well, "{said}");
    for part in [
        "devices: 2 new, 0 known already",
        "tags: 1",
        "unknown or older: 2",
        "set up on them: 1",
        "1 parameters with passwords or keys, 0 tags, 2 lines",
        "Line 2 begins a document that is broken off; it was left out.",
        "Line 4 is no device of GenieACS",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
    let (well, said) = import(&data, &file, &[]);
    assert!(well && said.contains("devices: 0 new, 2 known already"), "{said}");
    assert!(
        said.contains("tags: 0") && said.contains("unknown or older: 0"),
        "the second time changes nothing: {said}"
    );

    std::fs::write(&file, "[]").expect("a file");
    let (well, said) = import(&data, &file, &[]);
    assert!(!well && said.contains("holds no device of GenieACS"), "{said}");
    let (well, said) = import(&data, &folder.path().join("none"), &[]);
    assert!(!well && said.contains("cannot be opened"), "{said}");
}
