//! What the benchmarks of the binary share: a server process, its costs as the system counts them, and where figures go.
#![allow(dead_code)]

use std::{
    io::Write as _,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Ticks of a second in `/proc/PID/stat`, on every Linux there is.
const TICKS_PER_S: f64 = 100.0;

/// A port outside of the range that systems hand out to connecting programs.
pub(crate) fn free_port() -> u16 {
    use rand::Rng;
    let mut chance = rand::rng();
    (0..500)
        .map(|_| chance.random_range(10_000..20_000))
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port between 10000 and 20000")
}

/// `lightkeeper serve` with an embedded database in a folder.
pub(crate) struct Server {
    child: Child,
    pub(crate) web: SocketAddr,
    pub(crate) acs: SocketAddr,
    began: Instant,
}

impl Server {
    pub(crate) fn start(data: &Path, acs: u16) -> Server {
        Server::start_on(data, acs, None)
    }

    /// The same on another database.
    pub(crate) fn start_on(data: &Path, acs: u16, database: Option<&str>) -> Server {
        let web = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let acs = SocketAddr::from(([127, 0, 0, 1], acs));
        let began = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_lightkeeper"))
            .arg("serve")
            .env_clear()
            .env("LIGHTKEEPER_DATA_DIR", data)
            .env("LIGHTKEEPER_WEB_LISTEN", web.to_string())
            .env("LIGHTKEEPER_ACS_LISTEN", acs.to_string())
            .env("LIGHTKEEPER_LOG_LEVEL", "error")
            .env("LIGHTKEEPER_DATABASE_URL", database.unwrap_or_default())
            .stdout(Stdio::null())
            .spawn()
            .expect("the server starts");
        Server { child, web, acs, began }
    }

    /// Until the first page came whole; the time from the start of the process.
    pub(crate) fn first_page(&mut self) -> Duration {
        loop {
            if let Some(status) = page(self.web) {
                assert_eq!(status, 200, "the first page");
                return self.began.elapsed();
            }
            assert!(self.child.try_wait().expect("a process").is_none(), "the server ended");
            assert!(self.began.elapsed() < Duration::from_secs(120), "no page within two minutes");
            std::thread::yield_now();
        }
    }

    /// Seconds of processor time so far, user and system.
    pub(crate) fn cpu_s(&self) -> f64 {
        cpu_s_of(self.child.id())
    }

    /// Resident memory now and at most, MiB.
    pub(crate) fn memory_mib(&self) -> (f64, f64) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("/proc");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a field");
            line.trim().trim_end_matches(" kB").trim().parse::<f64>().expect("kB") / 1024.0
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    pub(crate) fn stop(mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.expect("kill").success());
        self.child.wait().expect("it ends");
    }
}

/// Seconds of processor time of a process so far, user and system.
pub(crate) fn cpu_s_of(process: u32) -> f64 {
    Ticks::of(process).expect("/proc").own / TICKS_PER_S
}

/// What the system counted for a process.
struct Ticks {
    parent: u32,
    own: f64,
    /// Of its children that ended.
    children: f64,
}

impl Ticks {
    fn of(process: u32) -> Option<Ticks> {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = |nth: usize| fields[nth].parse::<f64>().expect("ticks");
        Some(Ticks {
            parent: fields[1].parse().ok()?,
            own: ticks(11) + ticks(12),
            children: ticks(13) + ticks(14),
        })
    }
}

/// A database of its own on a PostgreSQL of this machine.
pub(crate) struct Postgres {
    pub(crate) url: String,
    /// The process that all others of that server are children of.
    server: u32,
}

impl Postgres {
    pub(crate) async fn create(server: &str) -> Postgres {
        use sea_orm::{ConnectionTrait, Database, Statement};
        let admin = Database::connect(server).await.expect("a PostgreSQL server");
        let name = format!("lightkeeper_bench_{}", std::process::id());
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("a database");
        let asked = Statement::from_string(admin.get_database_backend(), "SELECT pg_backend_pid()");
        let row = admin.query_one_raw(asked).await.expect("an answer").expect("a row");
        let backend: i32 = row.try_get_by_index(0).expect("a process");
        let backend = Ticks::of(backend.try_into().expect("a process")).expect("it runs on this machine");
        let (before, _) = server.rsplit_once('/').expect("an address with a database");
        Postgres { url: format!("{before}/{name}"), server: backend.parent }
    }

    /// Seconds of processor time of the whole server so far.
    pub(crate) fn cpu_s(&self) -> f64 {
        let server = Ticks::of(self.server).expect("the server runs");
        let running: f64 = std::fs::read_dir("/proc")
            .expect("/proc")
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(Ticks::of)
            .filter(|process| process.parent == self.server)
            .map(|process| process.own)
            .sum();
        (server.own + server.children + running) / TICKS_PER_S
    }
}

/// Shows how far something long is, on one line.
pub(crate) fn progress(text: &str) {
    eprint!("\r{text}   ");
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Status of the login page, if somebody answers.
fn page(web: SocketAddr) -> Option<u16> {
    use std::io::Read as _;
    let mut stream = TcpStream::connect(web).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    stream.write_all(b"GET /login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Prints a section and hands it to `cargo xtask bench`, which keeps docs/benchmarks.md.
pub(crate) fn report(section: &str) {
    println!("{section}");
    if let Some(path) = std::env::var_os("LIGHTKEEPER_BENCH_FIGURES") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        file.and_then(|mut file| writeln!(file, "{section}")).expect("the figures can be kept");
    }
}

/// True if the benchmark of this name is wanted: cargo passes filters on and `--bench` of its own.
pub(crate) fn wanted(name: &str) -> bool {
    let filters: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    filters.is_empty() || filters.iter().any(|filter| name.contains(filter.as_str()))
}
