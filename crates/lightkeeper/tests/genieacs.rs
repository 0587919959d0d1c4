//! A program that was written for GenieACS orders something of a device of the demo, and sees it done: over the interface
//! of GenieACS, through the machine, by CWMP, and back.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use serde_json::{Value, json};
use sim::record::Record;
use std::process::Command;
use support::demo::{Demo, scenario};

#[test]
fn a_client_of_genieacs_queues_tasks_and_sees_them_done() {
    let Some(python) = std::env::var_os("LIGHTKEEPER_PYGENIEACS") else {
        println!(
            "skipped: LIGHTKEEPER_PYGENIEACS names no Python with pygenieacs; `cargo xtask test` installs one"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let demo = Demo::start(&data, &scenario(folder.path(), "ACTIVE"), &[]);
    let ready = demo.line("READY");
    let word = |name: &str| {
        let rest = ready.split(&format!("{name}=")).nth(1).expect("it is said");
        rest.split_whitespace().next().expect("a word").to_owned()
    };
    demo.line("SETTLED");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/genieacs_tasks.py");
    let output = Command::new(python).args([script, &word("url"), &word("password")]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    demo.stop();
    let found: Value = serde_json::from_str(&said).unwrap();
    for (name, end) in [
        ("refreshed", "done"),
        ("read", "done"),
        ("set", "done"),
        ("rebooted", "done"),
        ("faulted", "failed"),
    ] {
        let [answer, status, became] = found[name].as_array().unwrap().as_slice() else {
            panic!("{name}: {found}")
        };
        assert_eq!(became, end, "{name}: {found}");
        // Only what was done is answered 200. A device that is busy for a minute is told later, and the answer says that.
        match (answer[0].as_u64(), answer[1].as_str(), status.as_str()) {
            (Some(200), Some("OK"), Some("done")) => assert_eq!(end, "done"),
            (Some(202), Some("Task faulted"), Some("failed")) => assert_eq!(end, "failed"),
            (Some(202), Some(why), Some("waiting" | "sent")) => {
                assert!(!why.is_empty() && why != "Task faulted")
            }
            _ => panic!("{name}: {found}"),
        }
    }
    assert_eq!(found["refreshed"], json!([[200, "OK"], "done", "done"]), "whoever waits sees it done");
    assert_eq!(found["seen"], "fibre-7");
    assert_eq!(found["failed"], json!([[true, "failed"]]), "what failed stays until it is deleted");
    assert_eq!((&found["queued"], &found["became"]), (&json!("refreshObject"), &json!("done")));
    assert_eq!(found["left"], json!([]));
    assert!(found["called"] == json!([200, false]) || found["called"] == json!([504, true]), "{found}");
    // What the device itself says it was told.
    let record = Record::load(&data.join("network").join("cpes")).unwrap();
    // Nothing that must not happen, but for one restart: a device is restarted only because somebody orders it, and once.
    let violations = record.violations();
    assert!(
        matches!(violations.as_slice(), [only] if only.contains("never to be ordered") && only.ends_with(" Reboot ")),
        "{violations:#?}"
    );
    let told: Vec<String> =
        record.cpes.values().flat_map(|cpe| cpe.writes().map(|entry| format!("{entry:?}"))).collect();
    assert_eq!(told.iter().filter(|entry| entry.contains("fibre-7")).count(), 1, "{told:#?}");
}
