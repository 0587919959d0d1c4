//! Pages and ACS live in one process: whoever ties up the pages must not be felt by a CPE.
#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use acs::HttpConnectionRequester;
use app::{AcsPolicy, Actor, App, AppParts};
use store::{KeySource, Store, StoreConfig};
use types::SystemClock;

/// Far above anything that works.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than the pages hold at once.
const CROWD: usize = 600;

/// A process that is stopped whatever becomes of the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A database that lets CPEs of this machine in.
async fn prepared(folder: &Path) {
    let url = format!("sqlite://{}", folder.join("lightkeeper.db").display());
    let config = StoreConfig::new(url, KeySource::File(folder.join("secrets.key")));
    let parts = AppParts {
        store: Store::open(config).await.unwrap(),
        clock: Arc::new(SystemClock),
        connection: Arc::new(HttpConnectionRequester::default()),
        node: "before".into(),
        limits: app::PolicyLimits::Network,
    };
    let app = App::new(parts).await.unwrap();
    let policy =
        AcsPolicy { management_networks: vec!["127.0.0.0/8".parse().unwrap()], ..AcsPolicy::default() };
    app.set_acs_policy(&Actor::System("test"), policy, None).await.unwrap();
}

fn serve(folder: &Path) -> (Process, SocketAddr, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
        .arg("serve")
        .env("LIGHTKEEPER_DATA_DIR", folder)
        .env("LIGHTKEEPER_WEB_LISTEN", "127.0.0.1:0")
        .env("LIGHTKEEPER_ACS_LISTEN", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let process = Process(child);
    let mut address = |sentence: &str| {
        let line = lines.by_ref().map(|line| line.unwrap()).find(|line| line.contains(sentence)).unwrap();
        line.rsplit("http://").next().unwrap().parse().unwrap()
    };
    let (web, acs) = (address("serves pages"), address("CPEs reach"));
    // What it says after that is read too: a process whose words nobody takes ends.
    std::thread::spawn(move || lines.for_each(drop));
    (process, web, acs)
}

/// The first line of an answer; empty if there was none.
fn ask(address: SocketAddr, request: &str) -> String {
    let Ok(mut wire) = TcpStream::connect(address) else { return String::new() };
    wire.set_read_timeout(Some(PATIENCE)).unwrap();
    let _ = wire.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = wire.take(4096).read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
}

fn page(web: SocketAddr) -> String {
    ask(web, "GET /readyz HTTP/1.1\r\nHost: lk\r\nConnection: close\r\n\r\n")
}

#[tokio::test]
async fn a_crowd_at_the_pages_is_not_felt_by_the_acs() {
    let folder = tempfile::tempdir().unwrap();
    prepared(folder.path()).await;
    let (_process, web, acs) = serve(folder.path());
    assert!(page(web).contains("200"), "{}", page(web));

    // One address may hold its share, from many addresses the whole.
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let from = SocketAddr::from(([127, 0, 9, u8::try_from(1 + number / 100).unwrap()], 0));
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(from).unwrap();
        let mut wire = socket.connect(web).await.unwrap().into_std().unwrap();
        wire.set_nonblocking(false).unwrap();
        let _ = wire.write_all(b"GET / HTTP/1.1\r\nX-Slo");
        crowd.push(wire);
    }
    // Closed without an answer, or not accepted any more: in any case not served.
    assert_eq!(page(web), "", "the pages are full");
    let cpe = ask(acs, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
    assert!(cpe.starts_with("HTTP/1.1 400"), "the ACS answers as ever: {cpe:?}");

    drop(crowd);
    let begun = Instant::now();
    while !page(web).contains("200") {
        assert!(begun.elapsed() < PATIENCE, "the pages answer again when the crowd has gone");
    }
}
