//! What a running installation costs when nothing happens: start, memory, and how fast the demo comes to life.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{
    process::{Command, Stdio},
    time::Duration,
};
use support::{Server, free_port, report, wanted};

/// How long a server is left alone before its memory counts as idle.
const IDLE: Duration = Duration::from_secs(15);

fn main() {
    if !wanted("footprint") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), free_port());
    let fresh = server.first_page();
    server.stop();
    let mut server = Server::start(folder.path(), free_port());
    let again = server.first_page();
    std::thread::sleep(IDLE); // tidy: allow(sleep) idleness is what is measured
    let (now, peak) = server.memory_mib();
    server.stop();

    let demo = folder.path().join("demo");
    let output = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
        .args(["demo", "--check", "--within", "400", "--web"])
        .arg(format!("127.0.0.1:{}", free_port()))
        .arg("--data")
        .arg(&demo)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    let line = |beginning: &str| {
        told.lines().find_map(|line| line.strip_prefix(beginning)).unwrap_or("?").trim().to_owned()
    };

    report(&format!(
        "## Footprint\n\n\
         `serve` with an embedded database and no devices; resident memory after {} s without a request. The demo as \
         a visitor starts it: 44 simulated ONUs, their OLT and the server on the same two cores.\n\n\
         | what | figure | bound |\n|---|---|---|\n\
         | start to first page, fresh database | {} ms | 1,000 ms |\n\
         | start to first page, again | {} ms | 1,000 ms |\n\
         | idle memory | {now:.0} MiB (peak {peak:.0}) | 80 MiB |\n\
         | demo: most ONUs ACTIVE | {} | 90 s |\n\
         | demo: every ONU as the scenario expects | {} | |\n",
        IDLE.as_secs(),
        fresh.as_millis(),
        again.as_millis(),
        line("Most ONUs were ACTIVE after"),
        line("After"),
    ));
    // After the figures were written: what is too slow or too big is seen, and is no success.
    let most = line("Most ONUs were ACTIVE after");
    let most_s: u64 = most.split_whitespace().next().and_then(|s| s.parse().ok()).expect("seconds");
    let bounds = [
        ("start to first page, fresh database, ms", fresh.as_millis() as f64, 1_000.0),
        ("start to first page, again, ms", again.as_millis() as f64, 1_000.0),
        ("idle memory, MiB", now, 80.0),
        ("demo until most ONUs are ACTIVE, s", most_s as f64, 90.0),
    ];
    let over: Vec<String> = bounds
        .iter()
        .filter(|(_, figure, bound)| figure > bound)
        .map(|(what, figure, bound)| format!("{what}: {figure:.0}, at most {bound:.0}"))
        .collect();
    assert!(over.is_empty(), "over the bound: {}", over.join("; "));
}
