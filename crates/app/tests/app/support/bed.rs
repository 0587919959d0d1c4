//! A fresh database, a key, a clock that stands still, and applications on them.

use app::{App, AppParts};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use std::{
    sync::{
        Arc, Once,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use store::{KeySource, Store, StoreConfig};
use tempfile::TempDir;
use types::{ManualClock, UtcMs};

use super::world::Calls;

/// Where the clock stands at first: 2026-11-21T14:30:00Z.
pub(crate) const START: UtcMs = UtcMs(1_795_271_400_000);

pub(crate) struct Bed {
    pub(crate) folder: TempDir,
    pub(crate) url: String,
    pub(crate) clock: ManualClock,
    server: Option<String>,
}

static NEXT: AtomicU32 = AtomicU32::new(0);
static SAID: Once = Once::new();

impl Bed {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("lightkeeper.db").display());
        Bed { folder, url, clock: ManualClock::new(START), server: None }
    }

    /// A fresh database on the test server; `None`, said once, if there is no server.
    pub(crate) async fn postgres() -> Option<Self> {
        let Ok(server) = std::env::var("LIGHTKEEPER_TEST_POSTGRES") else {
            SAID.call_once(skip);
            return None;
        };
        let name = format!("lk_app_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = Database::connect(&server).await.expect("the test server answers");
        admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name}")).await.expect("drop");
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("create");
        admin.close().await.expect("close");
        let base = server.rsplit_once('/').expect("an address with a database").0.to_owned();
        Some(Bed {
            folder: tempfile::tempdir().expect("a folder"),
            url: format!("{base}/{name}"),
            clock: ManualClock::new(START),
            server: Some(server),
        })
    }

    /// An application as a node of this name has it, with a database handle of its own.
    pub(crate) async fn app(&self, node: &str, calls: &Calls) -> App {
        self.opening(node, calls).await
    }

    /// The same, to be done elsewhere.
    pub(crate) fn opening(&self, node: &str, calls: &Calls) -> impl Future<Output = App> + Send + use<> {
        let key = KeySource::File(self.folder.path().join("secret.key"));
        let mut config = StoreConfig::new(&self.url, key);
        config.clock = Arc::new(self.clock.clone());
        config.lease_clock = store::leases::LeaseClock::Store;
        config.limits.connections = 5;
        let (clock, calls, node) = (self.clock.clone(), calls.clone(), node.to_owned());
        async move {
            let store = Store::open(config).await.expect("the store opens");
            let parts = AppParts {
                store,
                clock: Arc::new(clock),
                connection: Arc::new(calls),
                node,
                limits: app::PolicyLimits::Simulated,
            };
            App::new(parts).await.expect("the application starts")
        }
    }

    pub(crate) fn advance_s(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn raw(&self) -> DatabaseConnection {
        Database::connect(&self.url).await.expect("a raw connection")
    }

    pub(crate) async fn sql(&self, sql: &str) {
        let raw = self.raw().await;
        raw.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        raw.close().await.expect("close");
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let raw = self.raw().await;
        let statement = Statement::from_string(raw.get_database_backend(), sql);
        let row = raw.query_one_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        raw.close().await.expect("close");
        row.expect("a row").try_get_by_index(0).expect("a number")
    }

    /// Every row of every table as one text, column by column, as a thief of the database would read it.
    pub(crate) async fn everything(&self) -> String {
        let raw = self.raw().await;
        let backend = raw.get_database_backend();
        let tables = if self.server.is_some() {
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        } else {
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        };
        let tables: Vec<String> = raw
            .query_all_raw(Statement::from_string(backend, tables))
            .await
            .expect("the tables")
            .iter()
            .map(|row| row.try_get_by_index(0).expect("a name"))
            .collect();
        assert!(tables.len() > 20, "the whole schema: {tables:?}");
        let mut text = String::new();
        for table in tables {
            let columns = if self.server.is_some() {
                format!("SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'")
            } else {
                format!("SELECT name FROM pragma_table_info('{table}')")
            };
            let columns = raw.query_all_raw(Statement::from_string(backend, columns)).await.expect("columns");
            for column in columns {
                let column: String = column.try_get_by_index(0).expect("a name");
                let sql = if self.server.is_some() {
                    format!("SELECT coalesce(\"{column}\"::text, '') FROM \"{table}\"")
                } else {
                    format!("SELECT coalesce(CAST(\"{column}\" AS TEXT), '') FROM \"{table}\"")
                };
                for row in raw.query_all_raw(Statement::from_string(backend, sql)).await.expect("rows") {
                    // Ciphertext need not be text.
                    let value: String = row.try_get_by_index(0).unwrap_or_default();
                    text.push_str(&format!("{table}.{column}: {value}\n"));
                }
            }
        }
        raw.close().await.expect("close");
        text
    }

    /// None of these secrets is readable in the database, wherever one looks.
    pub(crate) async fn hides(&self, secrets: &[&str]) {
        let text = self.everything().await;
        for line in text.lines() {
            for secret in secrets {
                assert!(!line.contains(secret), "a secret lies open: {line}");
            }
        }
    }

    /// Drops the database. Not done when a test fails, so that one can look.
    pub(crate) async fn close(self) {
        if let Some(server) = &self.server {
            let name = self.url.rsplit('/').next().expect("a name").to_owned();
            let admin = Database::connect(server).await.expect("the test server answers");
            let _ = admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
            let _ = admin.close().await;
        }
    }
}

fn skip() {
    let line = "PostgreSQL application tests: LIGHTKEEPER_TEST_POSTGRES not set";
    println!("skipped: {line}");
    if let Ok(log) = std::env::var("LIGHTKEEPER_SKIP_LOG") {
        use std::io::Write;
        let file = std::fs::OpenOptions::new().create(true).append(true).open(log);
        file.and_then(|mut file| writeln!(file, "{line}")).expect("the skip log can be written");
    }
}

/// Runs async functions that take `&Bed` as tests on both engines.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let bed = crate::support::bed::Bed::sqlite();
                super::$name(&bed).await;
                bed.close().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(bed) = crate::support::bed::Bed::postgres().await else { return };
                super::$name(&bed).await;
                bed.close().await;
            })*
        }
    };
}
