//! The demo as a visitor runs it: its verdict, going on after a stop, and starting over. A small network of our own
//! making stands for the large one, which `kill.rs` and `demo --check` run.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use sim::record::Record;
use std::{io::Read as _, path::Path, process::Stdio};
use support::demo::{Demo, command, scenario};

fn writes(folder: &Path) -> Vec<String> {
    let record = Record::load(&folder.join("network").join("cpes")).unwrap();
    assert_eq!(record.violations(), Vec::<String>::new());
    record.cpes.values().flat_map(|cpe| cpe.writes().map(|entry| format!("{entry:?}"))).collect()
}

#[test]
fn the_verdict_is_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let as_expected = scenario(folder.path(), "ACTIVE");
    let output = command(&data, &as_expected, &["--check", "--within", "170"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("2 of 2 ONUs are as the scenario expects."), "{told}");
    assert!(told.contains("waits for somebody to authorise it"), "{told}");

    // The same network, and an expectation that is not met.
    let otherwise = scenario(folder.path(), "FAILED");
    let output = command(&data, &otherwise, &["--check", "--within", "1"]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let marked = told.lines().filter(|line| line.ends_with('!')).count();
    assert_eq!(marked, 1, "the one that is not as expected is marked:\n{told}");
}

#[test]
fn a_stopped_demo_goes_on_and_reset_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("demo");
    let file = scenario(folder.path(), "ACTIVE");

    let first = Demo::start(&data, &file, &[]);
    let ready = first.line("READY");
    let password = ready.split("password=").nth(1).expect("the first start prints a password").to_owned();
    first.line("SETTLED");
    first.stop();
    let written = writes(&data);
    assert!(!written.is_empty(), "the device was configured");

    let second = Demo::start(&data, &file, &[]);
    assert!(!second.line("READY").contains("password="), "a password is printed once");
    second.line("SETTLED");
    second.stop();
    assert_eq!(writes(&data), written, "an ACTIVE device was written to after a restart");

    let third = Demo::start(&data, &file, &["--reset"]);
    let again = third.line("READY");
    let new = again.split("password=").nth(1).expect("a new beginning has a new password");
    assert_ne!(new, password);
    third.stop();
}

#[test]
fn reset_leaves_foreign_folders_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = scenario(folder.path(), "ACTIVE");
    let precious = folder.path().join("precious");
    std::fs::create_dir(&precious).unwrap();
    std::fs::write(precious.join("thesis.txt"), "ten years").unwrap();
    let mut child =
        command(&precious, &file, &["--reset"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("is not the folder of a demo; it was left alone"), "{said}");
    assert_eq!(std::fs::read_to_string(precious.join("thesis.txt")).unwrap(), "ten years");
}
