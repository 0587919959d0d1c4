//! `lightkeeper serve`, as an operator starts it on a real network: with a settings file, at an address that may be
//! taken, and with a first password that must not be lost.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

/// A process starts and makes a database in this time, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that is gone when the test is, and what it prints.
struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Running {
    fn start(config: &Path) -> Running {
        let mut child = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
            .env_clear()
            .args([Path::new("serve"), Path::new("--config"), config])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let stdout = child.stdout.take().expect("its output");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Running { child, lines }
    }

    /// What it prints, up to the line with these words.
    fn until(&self, words: &str) -> String {
        let (began, mut said) = (Instant::now(), String::new());
        while !said.contains(words) {
            let left = PATIENCE.checked_sub(began.elapsed()).unwrap_or_default();
            let line = self.lines.recv_timeout(left);
            said.push_str(&line.unwrap_or_else(|error| panic!("{error}; no {words:?} in: {said}")));
            said.push('\n');
        }
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A settings file for a node with only pages, in this folder.
fn settings(folder: &Path, web: &str) -> std::path::PathBuf {
    let file = folder.join("lightkeeper.toml");
    let data = folder.join("data");
    let text = format!("data_dir = {data:?}\nweb_listen = {web:?}\nroles = [\"web\"]\n");
    std::fs::write(&file, text).expect("written");
    file
}

#[test]
fn the_first_password_is_not_made_by_a_start_that_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let config = settings(folder.path(), &address);
    let output = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
        .env_clear()
        .args([Path::new("serve"), Path::new("--config"), &config])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&format!("the address {address} cannot be had")), "{said}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("password"), "nothing to log in at");

    let config = settings(folder.path(), "127.0.0.1:0");
    let said = Running::start(&config).until("user reset");
    assert!(said.contains("serves pages and API on http://127.0.0.1:"), "{said}");
    assert!(said.contains("First run: log in as admin with the password "), "{said}");
}

#[test]
fn who_missed_the_first_password_is_told_how_to_get_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = settings(folder.path(), "127.0.0.1:0");
    let first = Running::start(&config).until("password ");
    let password = first.trim_end().rsplit(' ').next().expect("a password").to_owned();

    let again = Running::start(&config).until("user reset admin");
    assert!(again.contains("Nobody has logged in yet"), "{again}");
    assert!(!again.contains(&password), "shown once");
}

#[test]
fn a_misspelt_setting_is_no_default_in_silence() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("lightkeeper.toml");
    std::fs::write(&config, "web_lisen = \"127.0.0.1:0\"\n").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
        .env_clear()
        .args([Path::new("serve"), Path::new("--config"), &config])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("web_lisen"), "{said}");
}
