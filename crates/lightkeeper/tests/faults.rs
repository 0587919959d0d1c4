//! `lightkeeper faults`: a file is diagnosed without a database, and what is no such file is said.

use std::{
    io::Write as _,
    process::{Command, Output, Stdio},
};

fn faults(arguments: &[&str], piped: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
        .env_clear()
        .env("LIGHTKEEPER_DATA_DIR", folder.path().join("nothing"))
        .arg("faults")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    // It may refuse before it has read everything.
    let _ = child.stdin.take().expect("a pipe").write_all(piped.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    assert!(!folder.path().join("nothing").exists(), "it needs no data folder");
    output
}

#[test]
fn a_file_is_diagnosed_in_words_and_as_json() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../app/src/faults/samples/calls_refused.csv");
    let told = faults(&[file], "");
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert!(
        text.contains("87 % session triggering: 401 on connection request; the provisioning logic is sound"),
        "{text}"
    );
    let piped = faults(&["-", "--json"], "Code\ncwmp.9005\n");
    let json: serde_json::Value = serde_json::from_slice(&piped.stdout).expect("json");
    assert_eq!(json["groups"][0]["class"], "provisioning_logic");
}

#[test]
fn what_cannot_be_diagnosed_is_said() {
    let told = faults(&["-"], "Name;Address\n");
    assert!(!told.status.success());
    let text = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(text.contains("not a list of faults") && text.contains("Name, Address"), "{text}");
    let told = faults(&["/nowhere/faults.csv"], "");
    assert!(String::from_utf8_lossy(&told.stderr).contains("/nowhere/faults.csv cannot be opened"));
}
