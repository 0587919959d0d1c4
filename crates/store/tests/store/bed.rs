//! A place to test in: a fresh database, a key, a clock that stands still.

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, ExecResult, QueryResult, Statement};
use std::{
    path::PathBuf,
    sync::{
        Arc, Once,
        atomic::{AtomicU32, Ordering},
    },
};
use store::{KeySource, StartError, Store, StoreConfig};
use tempfile::TempDir;
use types::{ManualClock, UtcMs};

/// Where the clock stands at first.
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
        let name = format!("lk_store_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = Database::connect(&server).await.expect("the test server answers");
        admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name}")).await.expect("drop");
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("create");
        admin.close().await.expect("close");
        let base = server.rsplit_once('/').expect("an address with a database").0.to_owned();
        let folder = tempfile::tempdir().expect("a folder");
        Some(Bed {
            folder,
            url: format!("{base}/{name}"),
            clock: ManualClock::new(START),
            server: Some(server),
        })
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.server.is_some()
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.folder.path().join("secret.key")
    }

    pub(crate) fn config(&self) -> StoreConfig {
        let mut config = StoreConfig::new(&self.url, KeySource::File(self.key_file()));
        config.clock = Arc::new(self.clock.clone());
        config.lease_clock = store::leases::LeaseClock::Store;
        config.limits.connections = 5;
        config
    }

    pub(crate) async fn try_open(&self) -> Result<Store, StartError> {
        Store::open(self.config()).await
    }

    pub(crate) async fn open(&self) -> Store {
        self.try_open().await.expect("the store opens")
    }

    /// A connection past the store, for sabotage and for looking.
    pub(crate) async fn raw(&self) -> DatabaseConnection {
        let url = if self.is_postgres() { self.url.clone() } else { format!("{}?mode=rwc", self.url) };
        Database::connect(url).await.expect("a raw connection")
    }

    pub(crate) async fn sql(&self, sql: &str) -> ExecResult {
        let raw = self.raw().await;
        let done = raw.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        raw.close().await.expect("close");
        done
    }

    pub(crate) async fn ask(&self, sql: &str) -> Vec<QueryResult> {
        let raw = self.raw().await;
        let statement = Statement::from_string(raw.get_database_backend(), sql);
        let rows = raw.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        raw.close().await.expect("close");
        rows
    }

    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.ask(sql).await.first().expect("a row").try_get_by_index(0).expect("a number")
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
    let line = "PostgreSQL store tests: LIGHTKEEPER_TEST_POSTGRES not set";
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
                let bed = crate::bed::Bed::sqlite();
                super::$name(&bed).await;
                bed.close().await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let Some(bed) = crate::bed::Bed::postgres().await else { return };
                super::$name(&bed).await;
                bed.close().await;
            })*
        }
    };
}
