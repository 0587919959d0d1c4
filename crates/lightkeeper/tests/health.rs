//! `lightkeeper check --http`, as a container's health check calls it.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A process starts, makes a database and gives its first sign in this time, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(60);

fn lightkeeper(data: &Path, roles: &str, web: &str, acs: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lightkeeper"));
    command
        .env_clear()
        .env("LIGHTKEEPER_DATA_DIR", data)
        .env("LIGHTKEEPER_ROLES", roles)
        .env("LIGHTKEEPER_WEB_LISTEN", web)
        .env("LIGHTKEEPER_ACS_LISTEN", acs);
    command
}

/// Whether it is healthy, and what was said.
fn check(data: &Path, roles: &str, web: &str, acs: &str) -> (bool, String) {
    let output = lightkeeper(data, roles, web, acs).args(["check", "--http"]).output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// An address where nobody listens: it was had, and is given back.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").to_string()
}

/// A process that is gone when the test is.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_node_without_pages_is_asked_at_its_acs_port() {
    let (data, nobody) = (tempfile::tempdir().expect("a folder"), closed());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let acs = listener.local_addr().expect("an address");
    let (healthy, said) = check(data.path(), "acs", &nobody, &format!("0.0.0.0:{}", acs.port()));
    assert!(healthy && said.contains("its ACS answers"), "{said}");
    let (healthy, said) = check(data.path(), "acs,work", &nobody, &nobody);
    assert!(!healthy && said.contains(&nobody), "{said}");
}

#[test]
fn a_node_with_pages_that_does_not_serve_them_is_not_healthy() {
    let (data, nobody) = (tempfile::tempdir().expect("a folder"), closed());
    let (healthy, said) = check(data.path(), "web,work", &nobody, &nobody);
    assert!(!healthy && said.contains(&nobody), "{said}");
}

#[test]
fn a_node_without_a_port_says_what_it_does_and_is_not_healthy_when_it_does_not() {
    let (data, nobody) = (tempfile::tempdir().expect("a folder"), closed());
    let asked = || check(data.path(), "work,poll", &nobody, &nobody);
    let (healthy, said) = asked();
    assert!(!healthy && said.contains("no process with the roles work, poll gives a sign of life"), "{said}");

    let mut serve = lightkeeper(data.path(), "work,poll", &nobody, &nobody);
    let serve = serve.arg("serve").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it runs");
    let running = Running(serve);
    let began = Instant::now();
    let last = loop {
        let (healthy, said) = asked();
        if healthy {
            break said;
        }
        assert!(began.elapsed() < PATIENCE, "{said}");
    };
    // The first sign already tells of every loop, whichever of them happens to run first.
    for what in [
        "(work, poll) runs",
        "saying that it runs",
        "timers of CPEs",
        "jobs (connection requests)",
        "sessions that died",
        "second looks at CPEs",
        "orders to OLTs",
        "reading OLTs",
        "reading the light of ONUs",
    ] {
        assert!(last.contains(what), "{what}: {last}");
    }
    // Somebody with other roles is somebody else.
    let (healthy, said) = check(data.path(), "work", &nobody, &nobody);
    assert!(!healthy, "{said}");

    // Killed, it leaves its last sign, which grows old.
    drop(running);
    let sign = std::fs::read_dir(data.path().join("alive"))
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|end| end == "json"))
        .expect("a sign");
    let text = std::fs::read_to_string(&sign).expect("readable");
    let mut value: serde_json::Value = serde_json::from_str(&text).expect("a sign");
    value["at"] = (value["at"].as_i64().expect("a time") - 60_000).into();
    std::fs::write(&sign, value.to_string()).expect("written");
    let (healthy, said) = asked();
    assert!(!healthy && said.contains("it hangs or is gone"), "{said}");
}
