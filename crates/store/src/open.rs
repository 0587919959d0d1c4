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
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use std::{ops::Deref, sync::Arc};
use types::{Clock, SystemClock};

/// Bytes that the log of an embedded database may take while a large file is written.
const ROOM_OF_THE_LOG: u64 = 64 << 20;

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

    /// Bytes that may still be given to large files, beyond what stays free for everything else: on the disk, and in the
    /// database itself, where what was deleted has left its room. `None`: the disk is not ours to look at, but that of a
    /// database server, or does not say.
    pub async fn room_for_files(&self) -> Option<u64> {
        let Address::Sqlite(file) = &self.0.address else { return None };
        let disk = rustix::fs::statvfs(&file.path).ok()?;
        let on_disk = disk.f_bavail.saturating_mul(disk.f_frsize);
        Some(room(on_disk, self.free_inside().await, self.0.disk_reserve))
    }

    /// Bytes of an embedded database that hold nothing any more; it does not get smaller by itself.
    async fn free_inside(&self) -> u64 {
        let sql =
            "SELECT freelist_count * page_size AS bytes FROM pragma_freelist_count(), pragma_page_size()";
        let asked = self.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await;
        let bytes: Option<i64> = asked.ok().flatten().and_then(|row| row.try_get("", "bytes").ok());
        bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
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

/// Bytes that may be given to large files.
fn room(on_disk: u64, inside: u64, reserve: u64) -> u64 {
    // Whatever is written passes through the log of the database, which lies on the disk.
    if on_disk < ROOM_OF_THE_LOG { 0 } else { on_disk.saturating_add(inside).saturating_sub(reserve) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_files_give_room_to_new_ones_as_long_as_something_can_be_written() {
        const MIB: u64 = 1 << 20;
        assert_eq!(room(900 * MIB, 0, 1024 * MIB), 0);
        assert_eq!(room(900 * MIB, 3000 * MIB, 1024 * MIB), 2876 * MIB);
        assert_eq!(room(63 * MIB, 3000 * MIB, 1024 * MIB), 0);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_was_deleted_in_a_database_is_room_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("x.db").display());
        let config = StoreConfig::new(&url, KeySource::File(folder.path().join("secret.key")));
        let store = Store::open(config).await.expect("opens");
        let before = store.free_inside().await;
        for sql in [
            "CREATE TABLE junk (body blob)",
            "INSERT INTO junk VALUES (zeroblob(4000000))",
            "DELETE FROM junk",
        ] {
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(async move { Ok(tx.execute_unprepared(sql).await.map(drop)?) })
                })
                .await
                .expect("written");
        }
        let freed = store.free_inside().await - before;
        assert!((3_900_000..4_200_000).contains(&freed), "{freed} bytes");
        assert!(store.room_for_files().await.is_some());
    }
}
