//! Opening a store.

use crate::{
    db::{Db, Shared, Tx},
    error::{StartError, StoreError},
    leases::LeaseClock,
    near::Near,
    sealing::KeySource,
    start::{self, Address, PostgresServer, Report},
    unit::{WriteLimits, Writer},
};
use futures::future::BoxFuture;
use sea_orm::{ConnectionTrait, Statement};
use std::{ops::Deref, sync::Arc};
use types::{Clock, SystemClock};

/// What a store is opened with.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `sqlite:///path/to/file.db` (or `sqlite:relative.db`), or `postgres://user@host/name`.
    pub url: String,
    /// The key that seals secrets.
    pub key: KeySource,
    /// Where `now` comes from.
    pub clock: Arc<dyn Clock>,
    /// Whose time tells how long leases last.
    pub lease_clock: LeaseClock,
    /// Bounds on the writing side.
    pub limits: WriteLimits,
}

impl StoreConfig {
    /// With the machine's clock and the usual limits.
    pub fn new(url: impl Into<String>, key: KeySource) -> Self {
        StoreConfig {
            url: url.into(),
            key,
            clock: Arc::new(SystemClock),
            lease_clock: LeaseClock::default(),
            limits: WriteLimits::default(),
        }
    }
}

/// The database, open, migrated and checked. Cheap to clone. Reads go through [`Db`], to which it derefs; writes
/// through [`Store::write`].
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    /// First, so that it is dropped before the writer: who closes the file last empties its log into it, and that must be
    /// somebody who can write.
    db: Db,
    writer: Writer,
    address: Address,
    place: String,
    disk_reserve: u64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Store({})", self.0.place)
    }
}

impl Deref for Store {
    type Target = Db;
    fn deref(&self) -> &Db {
        &self.0.db
    }
}

impl Store {
    /// Takes the start lock, migrates, compares every table and column with what the code expects, tries the key,
    /// and opens. Nothing is served and nothing is changed when any of it is not right.
    ///
    /// # Errors
    /// A [`StartError`] is a sentence for the operator.
    pub async fn open(config: StoreConfig) -> Result<Store, StartError> {
        let address = Address::parse(&config.url)?;
        let (_, key) = start::prepare(&address, &config).await?;
        let shared =
            Arc::new(Shared { key, clock: Arc::clone(&config.clock), lease_clock: config.lease_clock });
        let (readers, near, writer) = match &address {
            Address::Sqlite(file) => {
                let writer =
                    Writer::grouped(file.clone(), config.limits.clone(), Arc::clone(&shared)).await?;
                (file.connect_readers(config.limits.connections).await?, Some(Near::open(&file.path)), writer)
            }
            Address::Postgres(server) => {
                // Two pools: a page never waits for a connection behind units of work, and a unit that reads through
                // the store while it holds a connection cannot wait for itself.
                let pool = server.connect(config.limits.connections).await?;
                let writer = Writer::pooled(pool, config.limits.clone(), Arc::clone(&shared));
                (server.connect(config.limits.connections).await?, None, writer)
            }
        };
        let place = address.to_string();
        let disk_reserve = config.limits.disk_reserve;
        let db = Db::pool(readers, near, shared);
        Ok(Store(Arc::new(Inner { db, writer, address, place, disk_reserve })))
    }

    /// Bytes that may still be given to large files, beyond what stays free for everything else. `None`: the disk is not
    /// ours to look at, but that of a database server, or does not say.
    pub fn room_for_files(&self) -> Option<u64> {
        let Address::Sqlite(file) = &self.0.address else { return None };
        let disk = rustix::fs::statvfs(&file.path).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize).saturating_sub(self.0.disk_reserve))
    }

    /// Migrates and checks, and says what was done; for `lightkeeper migrate`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn migrate(config: &StoreConfig) -> Result<Report, StartError> {
        let address = Address::parse(&config.url)?;
        Ok(start::prepare(&address, config).await?.0)
    }

    /// Checks and changes nothing; for `lightkeeper check`.
    ///
    /// # Errors
    /// As [`Store::open`], and [`StartError::Pending`] when migrations are waiting.
    pub async fn check(config: &StoreConfig) -> Result<Report, StartError> {
        let address = Address::parse(&config.url)?;
        start::check(&address, config).await
    }

    /// Runs a unit of work. Everything it writes is durable when this returns `Ok`, and nothing of it is there when it
    /// returns `Err`. The unit gets a [`Tx`] and must not wait for anything but the database.
    ///
    /// The unit may be run more than once (that is why it is `Clone`: every closure is whose captures are), so
    /// whatever else it does must bear that; to tell others of success use [`Tx::after_commit`].
    ///
    /// ```ignore
    /// let id = store.write(move |tx| Box::pin(async move {
    ///     let id = tx.insert(&customer).await?;
    ///     timeline::append(tx, entry).await?;
    ///     Ok::<_, StoreError>(id)
    /// })).await?;
    /// ```
    ///
    /// # Errors
    /// Whatever the unit returned, or the [`StoreError`] that kept it from being committed. One case cannot be told: a
    /// PostgreSQL server that is lost in the middle of a COMMIT ([`StoreError::Unavailable`]) may have made it durable;
    /// whoever asks again must bear that, by a guard or an idempotency key.
    pub async fn write<F, T, E>(&self, unit: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.0.writer.write(unit).await
    }

    /// Asks the database whether it is there: a read, and an empty unit of work through the writer.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let backend = self.get_database_backend();
        self.query_one_raw(Statement::from_string(backend, "SELECT 1")).await?;
        self.write(|_| Box::pin(async { Ok(()) })).await
    }

    /// Units of work that wait for the writer (SQLite), or run and wait (PostgreSQL); for the metrics.
    pub fn units_waiting(&self) -> usize {
        self.0.writer.waiting()
    }

    /// The server, where there is one.
    pub(crate) fn server(&self) -> Option<&PostgresServer> {
        match &self.0.address {
            Address::Postgres(server) => Some(server),
            Address::Sqlite(_) => None,
        }
    }

    /// Where the database is, without any password; for logs and the about page.
    pub fn place(&self) -> &str {
        &self.0.place
    }
}
