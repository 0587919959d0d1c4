//! Recordings of devices as tests: every file in `recordings` is gone through again, and every decision must be as it
//! was recorded. A recording that was downloaded from a device's page becomes a test by being put there.

use provisioning::recording::replay;
use std::{path::PathBuf, process::Command};

fn recordings() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_recording_is_decided_as_it_was() {
    let profiles = profiles::cpe::ProfileSet::builtin();
    let files = recordings();
    assert!(!files.is_empty(), "there is no recording");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        let done = replay(&text, &profiles).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let told: Vec<String> = done
            .different()
            .map(|step| format!("line {}:\n{}", step.line, step.differences().join("\n")))
            .collect();
        assert!(
            told.is_empty(),
            "{}: the machine decides otherwise. Should it, record the device anew or correct these lines:\n{}",
            file.display(),
            told.join("\n")
        );
    }
}

fn lightkeeper(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
        .env_clear()
        .arg("replay")
        .args(arguments)
        .output()
        .expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn the_command_says_where_a_decision_differs() {
    let file = recordings().remove(0);
    let path = file.to_str().expect("a name");
    let (code, said) = lightkeeper(&[path]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("every decision as it was recorded"), "{said}");
    assert!(said.contains("InformReceived") && said.contains("SetValues"), "events and requests are told");
    let (_, short) = lightkeeper(&[path, "--differences"]);
    assert!(short.lines().count() == 2, "{short}");

    let folder = tempfile::tempdir().expect("a folder");
    let changed = folder.path().join("changed.jsonl");
    let text = std::fs::read_to_string(&file).expect("readable");
    let other = text.replacen("\"state\":\"ACTIVE\"", "\"state\":\"READY\"", 1);
    assert_ne!(text, other);
    std::fs::write(&changed, other).expect("written");
    let (code, said) = lightkeeper(&[changed.to_str().expect("a name"), "--differences"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("- state READY") && said.contains("+ state ACTIVE"), "{said}");
    let (code, said) = lightkeeper(&["/nowhere.jsonl"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("/nowhere.jsonl cannot be read"), "{said}");
}
