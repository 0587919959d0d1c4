//! What CWMP sessions cost: the server's processor time per 1,000 sessions, its answer times and its memory, with the
//! durable database, embedded and on PostgreSQL.
//!
//! A fleet of simulated CPEs meets the server for the first time (probing, ownership, WAN, Wi-Fi, verification); then the
//! same devices send periodic Informs, as devices do. Then many more devices are known to the database, as copies of one
//! that came up, and the same sessions are held with them. Beside it, the physical limit: a bare hyper server.
//!
//! | variable | meaning |
//! |---|---|
//! | `LIGHTKEEPER_BENCH_DEVICES` | simulated CPEs |
//! | `LIGHTKEEPER_BENCH_KNOWN` | devices that the database knows besides, one figure after the other: `100000,1000000` |
//! | `LIGHTKEEPER_BENCH_DATABASE` | a PostgreSQL on this machine whose role may create databases |
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fleet;
mod support;

use app::{App, AppParts};
use fleet::{
    bare::{bare, bare_server},
    drive::{AT_ONCE, Figures, drive, paced},
    first::{meet, scenario, seed},
    known::{active_devices, add_known, sample},
};
use std::{path::Path, sync::Arc, time::Duration};
use store::{KeySource, Store, StoreConfig};
use support::{Postgres, Server, free_port, report, wanted};
use types::SystemClock;

/// Simulated CPEs.
const DEVICES: usize = 2_000;
/// Devices that the database knows.
const KNOWN: &str = "100000";
/// Periodic sessions per simulated CPE.
const ROUNDS: usize = 5;
/// Sessions with a sample of the known devices.
const SAMPLE: usize = 10_000;
/// Below saturation means this share of the rate that was reached at most.
const BELOW_SATURATION: f64 = 0.5;
/// How long answer times are measured.
const PACED_FOR: Duration = Duration::from_secs(15);

fn main() {
    if std::env::args().any(|word| word == "--bare-server") {
        return runtime().block_on(bare_server());
    }
    if !wanted("acs") {
        return;
    }
    let devices = setting("DEVICES").and_then(|n| n.parse().ok()).unwrap_or(DEVICES);
    let known = setting("KNOWN").unwrap_or_else(|| KNOWN.to_owned());
    let known: Vec<usize> = known.split(',').map(|n| n.trim().parse().expect("numbers of devices")).collect();
    let postgres = setting("DATABASE");
    runtime().block_on(measure(devices, &known, postgres));
}

fn setting(name: &str) -> Option<String> {
    std::env::var(format!("LIGHTKEEPER_BENCH_{name}")).ok().filter(|value| !value.is_empty())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// Figures with their bounds, and those that are over.
#[derive(Default)]
struct Table {
    lines: String,
    over: Vec<String>,
}

impl Table {
    fn line(&mut self, what: &str, figure: f64, digits: usize, unit: &str, bound: Option<(f64, &str)>) {
        let (shown, said) = match bound {
            Some((most, aim)) => (format!("{most}{unit}{aim}"), figure > most),
            None => (String::new(), false),
        };
        self.lines.push_str(&format!("| {what} | {figure:.digits$}{unit} | {shown} |\n"));
        if said {
            self.over.push(format!("{what}: {figure:.digits$}{unit}, at most {shown}"));
        }
    }
}

async fn measure(devices: usize, known: &[usize], postgres: Option<String>) {
    let mut table = Table::default();
    let embedded = Engine::embedded();
    let small = met(&embedded, devices, &mut table).await;
    for &count in known {
        with_known(&embedded, count, small.cpu_per_1000, &mut table).await;
    }
    let mut engines = "SQLite, embedded and durable";
    if let Some(server) = postgres {
        let engine = Engine::on(Postgres::create(&server).await);
        let on_postgres = met(&engine, devices, &mut table).await;
        let ratio = on_postgres.cpu_per_1000 / small.cpu_per_1000;
        table.line(
            "PostgreSQL over embedded, its server's processes counted",
            ratio,
            1,
            "×",
            Some((2.0, "")),
        );
        engines = "SQLite, embedded and durable, and PostgreSQL beside it";
    }
    let rounds = devices * ROUNDS;
    report(&format!(
        "## ACS\n\n\
         {devices} simulated CPEs (HG8546M) over real sockets; {engines}. First contact: from nothing to verified ACTIVE. \
         Periodic: a new TCP connection, Inform, 401, Inform with digest, empty POST, 204; {rounds} sessions, {AT_ONCE} \
         at once, as fast as they go. Below saturation: {AT_ONCE} sessions open at any time, at half of that rate; the \
         time a session waits for answers. Bare: a hyper server that answers the same three requests with fixed bytes. \
         Known: rows of devices, ONUs, services and intents as one of the fleet has them, each with secrets of its own, \
         without the parameters that were read; {SAMPLE} sessions of devices from all over the table. Costs are seconds \
         of processor time for 1,000 sessions, user and system.\n\n\
         | what | figure | bound |\n|---|---|---|\n{}",
        table.lines
    ));
    // After the figures were written: what is too slow is seen, and is no success.
    assert!(table.over.is_empty(), "over the bound: {}", table.over.join("; "));
}

/// A database with its key, and what its own processes cost.
struct Engine {
    name: &'static str,
    folder: tempfile::TempDir,
    postgres: Option<Postgres>,
    acs: u16,
}

impl Engine {
    fn embedded() -> Engine {
        Engine { name: "", folder: tempfile::tempdir().unwrap(), postgres: None, acs: free_port() }
    }

    fn on(postgres: Postgres) -> Engine {
        Engine { name: "PostgreSQL: ", postgres: Some(postgres), ..Engine::embedded() }
    }

    fn data(&self) -> &Path {
        self.folder.path()
    }

    fn start(&self) -> Server {
        let mut server = Server::start_on(self.data(), self.acs, self.postgres.as_ref().map(|one| &*one.url));
        server.first_page();
        server
    }

    fn cpu_s(&self, server: &Server) -> f64 {
        server.cpu_s() + self.postgres.as_ref().map_or(0.0, Postgres::cpu_s)
    }

    async fn open(&self) -> App {
        let url = match &self.postgres {
            Some(postgres) => postgres.url.clone(),
            None => format!("sqlite://{}", self.data().join("lightkeeper.db").display()),
        };
        let store = StoreConfig::new(url, KeySource::File(self.data().join("secrets.key")));
        let parts = AppParts {
            store: Store::open(store).await.unwrap(),
            clock: Arc::new(SystemClock),
            connection: Arc::new(acs::HttpConnectionRequester::default()),
            node: "bench".to_owned(),
            limits: app::PolicyLimits::Simulated,
        };
        App::new(parts).await.unwrap()
    }
}

/// A fleet is met, and then comes again and again.
async fn met(engine: &Engine, devices: usize, table: &mut Table) -> Figures {
    let name = |what: &str| format!("{}{what}", engine.name);
    // Bounds are those of the embedded database; PostgreSQL is measured against it.
    let bound = |most: f64, aim: &'static str| engine.postgres.is_none().then_some((most, aim));
    let scenario = scenario(devices);
    let app = engine.open().await;
    seed(&app, &scenario).await;
    drop(app);

    let server = engine.start();
    let before = engine.cpu_s(&server);
    let (sessions, took) = meet(&scenario, server.acs, devices).await;
    let cost = engine.cpu_s(&server) - before;
    server.stop();
    let per_device = cost / devices as f64 * 1_000.0;
    table.line(&name("first contact, 1,000 devices"), per_device, 2, " s", bound(1.5, ""));
    table.line(&name("sessions of a first contact"), sessions as f64 / devices as f64, 1, "", None);
    table.line(&name("devices that came up in a second"), devices as f64 / took.as_secs_f64(), 0, "", None);

    let app = engine.open().await;
    let known = Arc::new(active_devices(&app).await);
    drop(app);
    assert_eq!(known.len(), devices, "devices that are ACTIVE and have a secret of their own");
    let server = engine.start();
    let periodic = drive(server.acs, &known, devices * ROUNDS, || engine.cpu_s(&server)).await;
    let rate = periodic.rate * BELOW_SATURATION;
    let below = paced(server.acs, &known, rate, PACED_FOR, || engine.cpu_s(&server)).await;
    let (memory, _) = server.memory_mib();
    server.stop();
    table.line(&name("periodic sessions"), periodic.cpu_per_1000, 3, " s", bound(0.2, " (aim: 0.1)"));
    table.line(&name("sessions in a second, at most"), periodic.rate, 0, "", None);
    table.line(&name("below saturation: sessions in a second"), below.rate, 0, "", None);
    table.line(&name("below saturation: cost"), below.cpu_per_1000, 3, " s", None);
    table.line(&name("below saturation: half within"), below.p50_ms, 1, " ms", None);
    table.line(&name("below saturation: 99 % within"), below.p99_ms, 1, " ms", Some((50.0, "")));
    table.line(&name("memory after that"), memory, 0, " MiB", None);
    if engine.postgres.is_none() {
        let limit = bare(&known, devices * ROUNDS).await;
        table.line("bare hyper server, same requests", limit.cpu_per_1000, 3, " s", None);
        let over = periodic.cpu_per_1000 / limit.cpu_per_1000;
        table.line("periodic session over that (aim: 2.5×)", over, 1, "×", None);
    }
    periodic
}

/// The database knows many devices, and some from all over it come.
async fn with_known(engine: &Engine, count: usize, small: f64, table: &mut Table) {
    let app = engine.open().await;
    add_known(&app, count).await;
    let devices = Arc::new(sample(&app, count, SAMPLE).await);
    drop(app);
    let server = engine.start();
    let figures = drive(server.acs, &devices, SAMPLE, || engine.cpu_s(&server)).await;
    let (memory, _) = server.memory_mib();
    server.stop();
    let most = if count <= 100_000 { Some((400.0, "")) } else { None };
    table.line(&format!("{count} known: periodic sessions"), figures.cpu_per_1000, 3, " s", Some((0.2, "")));
    table.line(&format!("{count} known: over the small fleet"), figures.cpu_per_1000 / small, 2, "×", None);
    table.line(&format!("{count} known: memory"), memory, 0, " MiB", most);
}
