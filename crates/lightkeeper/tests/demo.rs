//! The demo as a visitor runs it: its verdict, going on after a stop, and starting over. A small network of our own
//! making stands for the large one, which `kill.rs` and `demo --check` run.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use sim::record::Record;
use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

/// Longest wait for a line of a demo; on a busy machine two devices need well under a minute.
const LINE_LIMIT: Duration = Duration::from_secs(180);

/// One ONU that comes up by itself and one that waits for the visitor.
fn scenario(folder: &Path, expected: &str) -> std::path::PathBuf {
    let file = folder.join("small.toml");
    let text = format!(
        r#"
title = "Two doors"
seed = 7

[network]
management_subnet = "127.31.0.0/16"
accept_unknown_logins = true

[timing]
boot_ms = 500
pppoe_ms = 300
ntp_ms = 300
connection_request_ms = 100
connection_request_gap_ms = 200
inform_interval_s = 5
retry_ms = 500

[[olt]]
name = "SMALL-OLT"
model = "ma5800-x7"

[olt.preset]
internet_vlan = 100
management_vlan = 200

[[plan]]
name = "Home 100"
down_kbps = 100_000
up_kbps = 50_000
price_minor = 2_490
vlan = 100

[[group]]
name = "calm"
pons = ["0/1/0"]
serial_prefix = "HWTC7D"
service = {{ customers = ["Ada Sommer"], plan = "Home 100", street = "Hafenstraße" }}
expect = {{ state = "{expected}" }}

[[group]]
name = "waiting for you"
pons = ["0/1/0"]
serial_prefix = "HWTCD1"
wait = "operator"
expect = {{ detected = true }}
"#
    );
    std::fs::write(&file, text).unwrap();
    file
}

/// A running demo.
struct Demo {
    child: Child,
    lines: Receiver<String>,
}

impl Demo {
    fn start(folder: &Path, scenario: &Path, extra: &[&str]) -> Self {
        let mut child = command(folder, scenario, extra)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the demo starts");
        let (send, lines) = mpsc::channel();
        let out = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Demo { child, lines }
    }

    /// The next line that begins so.
    fn line(&self, beginning: &str) -> String {
        loop {
            match self.lines.recv_timeout(LINE_LIMIT) {
                Ok(line) if line.starts_with(beginning) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line {beginning:?}: {error}"),
            }
        }
    }

    /// SIGTERM, as a service manager or Ctrl-C ends it; it must end by itself and well.
    fn stop(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        while self.lines.recv_timeout(LINE_LIMIT).is_ok() {}
        let status = self.child.wait().unwrap();
        assert!(status.success(), "the demo ended with {status}");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn command(folder: &Path, scenario: &Path, extra: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lightkeeper"));
    command.args(["demo", "--web", &format!("127.0.0.1:{}", support::free_port()), "--data"]);
    command.arg(folder).arg("--scenario").arg(scenario).args(extra).stdin(Stdio::null());
    command
}

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
