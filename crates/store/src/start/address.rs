//! Where the database is, and how it is connected to.

use crate::{
    error::{StartError, StoreError},
    local::{Local, Manner},
};
use sea_orm::{
    DatabaseConnection,
    sqlx::{
        ConnectOptions as _, Connection as _,
        postgres::{PgConnectOptions, PgConnection, PgPoolOptions},
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
    },
};
use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

/// How long a statement on SQLite waits for another process that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a unit waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection that was in use a moment ago is not asked first whether it is still there.
const TRUSTED_UNASKED: Duration = Duration::from_secs(1);
/// How long the first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database address that was understood.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Sqlite(SqliteFile),
    Postgres(PostgresServer),
}

/// A SQLite file.
#[derive(Debug, Clone)]
pub(crate) struct SqliteFile {
    pub(crate) path: PathBuf,
    /// The address says `mode=ro`.
    read_only: bool,
    options: SqliteConnectOptions,
}

/// A database on a PostgreSQL server, or on one that speaks its protocol.
#[derive(Debug, Clone)]
pub(crate) struct PostgresServer {
    options: PgConnectOptions,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Sqlite(file) => write!(f, "{}", file.path.display()),
            Address::Postgres(server) => server.fmt(f),
        }
    }
}

impl fmt::Display for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        let name = options.get_database().unwrap_or("");
        match options.get_socket() {
            Some(socket) => write!(f, "postgres {}:{}/{name}", socket.display(), options.get_port()),
            None => write!(f, "postgres {}:{}/{name}", options.get_host(), options.get_port()),
        }
    }
}

impl Address {
    pub(crate) fn parse(url: &str) -> Result<Self, StartError> {
        let bad = |why: String| StartError::BadAddress { why };
        if url.starts_with("sqlite:") {
            if url.contains(":memory:") || url.contains("mode=memory") {
                return Err(bad("a database in memory would forget everything; name a file".to_owned()));
            }
            let options = SqliteConnectOptions::from_str(url).map_err(|error| bad(error.to_string()))?;
            let path = options.get_filename().to_path_buf();
            if path.as_os_str().is_empty() {
                return Err(bad("it names no file".to_owned()));
            }
            return Ok(Address::Sqlite(SqliteFile { path, read_only: url.contains("mode=ro"), options }));
        }
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            // The parser's own message may repeat the address with its password; ours does not.
            let options = PgConnectOptions::from_str(url)
                .map_err(|_| bad("the part after postgres:// cannot be read".to_owned()))?;
            return Ok(Address::Postgres(PostgresServer { options }));
        }
        let scheme: String = url.chars().take_while(|c| *c != ':').take(20).collect();
        Err(bad(format!("{scheme:?} is no database Lightkeeper knows")))
    }

    /// One connection, so that the start lock and the work under it share a session.
    pub(crate) async fn connect_for_start(&self, may_create: bool) -> Result<DatabaseConnection, StartError> {
        match self {
            Address::Sqlite(file) => {
                if !may_create && !file.path.exists() {
                    return Err(self.unreachable("there is no such file".to_owned()));
                }
                if may_create && !file.read_only {
                    if let Some(folder) = file.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                        std::fs::create_dir_all(folder).map_err(|error| {
                            self.unreachable(format!("its folder cannot be made: {error}"))
                        })?;
                    }
                    file.create_private();
                }
                let options = file.options.clone().busy_timeout(BUSY_TIMEOUT).foreign_keys(true);
                // Turning on the write-ahead log changes the file, which a check must not do.
                let options = if may_create && !file.read_only {
                    options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal)
                } else {
                    options
                };
                file.connect(options, 1).await
            }
            Address::Postgres(server) => {
                server.knock().await?;
                server.connect(1).await
            }
        }
    }

    pub(crate) fn unreachable(&self, why: String) -> StartError {
        StartError::Unreachable { place: self.to_string(), why }
    }
}

impl SqliteFile {
    /// Makes the file readable by us only; SQLite gives its companions the same rights. An error here shows again,
    /// with a better sentence, when the file is opened.
    fn create_private(&self) {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let _ = options.open(&self.path);
    }

    /// The one connection that writes.
    pub(crate) async fn connect_writer(
        &self,
        max_pages: Option<u32>,
    ) -> Result<DatabaseConnection, StartError> {
        let mut options = self.tuned();
        if let Some(pages) = max_pages {
            options = options.pragma("max_page_count", pages.to_string());
        }
        self.connect(options, 1).await
    }

    /// The connection that the writer asks directly.
    pub(crate) fn open_local(&self, max_pages: Option<u32>) -> Result<Local, StoreError> {
        let manner = Manner { read_only: self.read_only, busy_timeout: BUSY_TIMEOUT, max_pages };
        Ok(Local::open(&self.path, manner)?)
    }

    /// Connections that cannot write, whatever they are asked.
    pub(crate) async fn connect_readers(&self, connections: u32) -> Result<DatabaseConnection, StartError> {
        let options = self.tuned().pragma("query_only", "ON");
        self.connect(options, connections).await
    }

    fn tuned(&self) -> SqliteConnectOptions {
        self.options
            .clone()
            .create_if_missing(false)
            .journal_mode(SqliteJournalMode::Wal)
            // FULL: a unit that was answered survives a power cut, not only a killed process. NORMAL would save one
            // sync per commit and lose the last commits when the power goes; the group writer already shares that
            // one sync among all units of a group, so the safe choice costs little.
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // KiB per connection; what the machine has free caches the file as well.
            .pragma("cache_size", "-4000")
            .pragma("temp_store", "MEMORY")
            // What a burst made the write-ahead log grow to is given back.
            .pragma("journal_size_limit", "67108864")
            .statement_cache_capacity(256)
    }

    async fn connect(
        &self,
        options: SqliteConnectOptions,
        connections: u32,
    ) -> Result<DatabaseConnection, StartError> {
        let pool = SqlitePoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            // A file does not hang up.
            .test_before_acquire(false)
            .connect_with(options.disable_statement_logging())
            .await
            .map_err(|error| start_error(&Address::Sqlite(self.clone()), error))?;
        Ok(sea_orm::SqlxSqliteConnector::from_sqlx_sqlite_pool(pool))
    }
}

impl PostgresServer {
    /// Connects once, plainly: a pool would try again and again and then only say that it ran out of time.
    async fn knock(&self) -> Result<(), StartError> {
        let address = Address::Postgres(self.clone());
        let options = self.options.clone().disable_statement_logging();
        match tokio::time::timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&options)).await {
            Ok(Ok(connection)) => {
                let _ = connection.close().await;
                Ok(())
            }
            Ok(Err(error)) => Err(start_error(&address, error)),
            Err(_) => Err(address.unreachable(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()))),
        }
    }

    pub(crate) async fn connect(&self, connections: u32) -> Result<DatabaseConnection, StartError> {
        let options = self.options.clone().application_name("lightkeeper").disable_statement_logging();
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // Asked before every use, the server would answer twice for each statement.
            .test_before_acquire(false)
            .before_acquire(|connection, used| {
                Box::pin(async move {
                    if used.idle_for > TRUSTED_UNASKED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            });
        let address = Address::Postgres(self.clone());
        let pool = pool.connect_with(options).await.map_err(|error| start_error(&address, error))?;
        Ok(sea_orm::SqlxPostgresConnector::from_sqlx_postgres_pool(pool))
    }
}

fn start_error(address: &Address, error: sea_orm::SqlxError) -> StartError {
    let why = error.to_string();
    match StoreError::from(sea_orm::DbErr::Conn(sea_orm::RuntimeErr::SqlxError(std::sync::Arc::new(error)))) {
        StoreError::ReadOnly { why } => StartError::ReadOnly { place: address.to_string(), why },
        _ => address.unreachable(why),
    }
}
