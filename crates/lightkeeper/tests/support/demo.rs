//! A small demo that runs, for tests that look at it from outside.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, reason = "each test file uses a part")]

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::Duration,
};

/// Longest wait for a line of a demo; on a busy machine two devices need well under a minute.
const LINE_LIMIT: Duration = Duration::from_secs(180);

/// One ONU that comes up by itself and one that waits for the visitor.
pub(crate) fn scenario(folder: &Path, expected: &str) -> std::path::PathBuf {
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
pub(crate) struct Demo {
    child: Child,
    lines: Receiver<String>,
}

impl Demo {
    pub(crate) fn start(folder: &Path, scenario: &Path, extra: &[&str]) -> Self {
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
    pub(crate) fn line(&self, beginning: &str) -> String {
        loop {
            match self.lines.recv_timeout(LINE_LIMIT) {
                Ok(line) if line.starts_with(beginning) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line {beginning:?}: {error}"),
            }
        }
    }

    /// SIGTERM, as a service manager or Ctrl-C ends it; it must end by itself and well.
    pub(crate) fn stop(mut self) {
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

pub(crate) fn command(folder: &Path, scenario: &Path, extra: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lightkeeper"));
    command.args(["demo", "--web", &format!("127.0.0.1:{}", super::free_port()), "--data"]);
    command.arg(folder).arg("--scenario").arg(scenario).args(extra).stdin(Stdio::null());
    command
}
