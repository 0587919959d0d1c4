//! Short reads of the embedded database, on the thread that asks.
//!
//! A row by its key is in memory nearly always and takes a few microseconds to read; handing the question to another
//! thread and waiting for the answer takes many times that, and an ACS asks such questions all day. So a few connections
//! that can only read are asked directly. Nothing depends on them: whenever one is not to be had or says anything unusual,
//! the question is asked in the ordinary way, whose errors have words.

use crate::record::stored::Stored;
use rusqlite::{Connection, OpenFlags, config::DbConfig, types::Value as SqlValue};
use sea_orm::{Statement, sea_query::Value};
use std::{
    path::Path,
    sync::{
        Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Connections at most.
const MOST: usize = 8;
/// Statements that a connection keeps prepared.
const STATEMENTS: usize = 64;
/// What takes longer waits for something: the disk, another process in the middle of a commit, or a busy processor.
const SLOW: Duration = Duration::from_millis(5);
/// What takes longer waits for the disk. While somebody does, nobody else asks here, so that not every thread waits.
const STUCK: Duration = Duration::from_millis(20);
/// One that takes longer is too slow by itself.
const FAR_TOO_SLOW: Duration = Duration::from_millis(100);
/// A slow answer counts for so many quick ones: a thread that a busy processor put off for once says nothing of the disk.
const SLOW_WEIGHS: u32 = 8;
/// So much weight is too slow.
const TOO_SLOW: u32 = 3 * SLOW_WEIGHS - 2;
/// So long nobody is asked here after it was too slow.
const REST: Duration = Duration::from_secs(1);

/// Connections that are asked by whoever needs something.
pub(crate) struct Near {
    places: Vec<Place>,
    /// Times below are counted from here.
    began: Instant,
    /// What slow answers weigh against quick ones.
    slowness: AtomicU32,
    rests_until: Mutex<Option<Instant>>,
}

/// A connection, and since when somebody asks it: microseconds, or zero for nobody.
struct Place {
    connection: Mutex<Connection>,
    asked_at: AtomicU64,
}

/// A connection while it is asked.
struct Asking<'a> {
    connection: MutexGuard<'a, Connection>,
    asked_at: &'a AtomicU64,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.asked_at.store(0, Ordering::Relaxed);
    }
}

impl Near {
    /// Connections to a database that exists; none where it cannot be opened so.
    ///
    /// One for each thread that works, so that none waits for another that was put off. None where there is one thread only,
    /// which must not wait for the disk.
    pub(crate) fn open(path: &Path) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Near::with(path, if threads == 1 { 0 } else { threads.min(MOST) })
    }

    fn with(path: &Path, count: usize) -> Self {
        let connections = (0..count).map_while(|_| match connect(path) {
            Ok(connection) => Some(Place { connection: Mutex::new(connection), asked_at: AtomicU64::new(0) }),
            Err(error) => {
                tracing::warn!(%error, "the database is read through its pool only, which is slower");
                None
            }
        });
        Near {
            places: connections.collect(),
            began: Instant::now(),
            slowness: AtomicU32::new(0),
            rests_until: Mutex::new(None),
        }
    }

    /// The rows that a statement finds, its columns being all of `R` in their order. `None`: ask in the ordinary way.
    pub(crate) fn rows<R: Stored>(&self, statement: &Statement) -> Option<Vec<R>> {
        let began = Instant::now();
        if self.rests_until().is_some_and(|until| began < until) {
            return None;
        }
        let values = bound(statement)?;
        let now = self.micros(began);
        let stuck = u64::try_from(STUCK.as_micros()).unwrap_or(u64::MAX);
        let is_stuck = |place: &Place| match place.asked_at.load(Ordering::Relaxed) {
            0 => false,
            since => now.saturating_sub(since) > stuck,
        };
        if self.places.iter().any(is_stuck) {
            return None;
        }
        let asking = self.free(now)?;
        let rows = read(&asking.connection, &statement.sql, &values);
        drop(asking);
        self.weigh(began.elapsed());
        rows
    }

    /// Never zero.
    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.began).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX).max(1)
    }

    /// The first that is free: what it read before is in its memory, and the others need none until they are needed.
    fn free(&self, now: u64) -> Option<Asking<'_>> {
        self.places.iter().find_map(|place| {
            let connection = match place.connection.try_lock() {
                Ok(connection) => connection,
                // A statement ends with whoever panicked; the connection is sound.
                Err(TryLockError::Poisoned(held)) => held.into_inner(),
                Err(TryLockError::WouldBlock) => return None,
            };
            place.asked_at.store(now, Ordering::Relaxed);
            Some(Asking { connection, asked_at: &place.asked_at })
        })
    }

    /// Rests if answers are slow again and again.
    fn weigh(&self, took: Duration) {
        let before = self.slowness.load(Ordering::Relaxed);
        if took <= SLOW {
            if before > 0 {
                // Of two that count at once one may be lost: this is no account.
                self.slowness.store(before - 1, Ordering::Relaxed);
            }
            return;
        }
        let slowness = if took > FAR_TOO_SLOW { TOO_SLOW } else { before + SLOW_WEIGHS };
        let rests = slowness >= TOO_SLOW;
        self.slowness.store(if rests { 0 } else { slowness }, Ordering::Relaxed);
        if rests {
            *self.rests_until() = Some(Instant::now() + REST);
        }
    }

    fn rests_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that cannot write, whatever it is asked, and waits for nobody in the ordinary course.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "query_only", true)?;
    // KiB; what the machine has free caches the file as well.
    connection.pragma_update(None, "cache_size", -2000)?;
    // Without it, a statement on a table with a partial index is prepared anew for every value that is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

/// `None` for trouble of any kind: the ordinary way meets it too, or does not.
fn read<R: Stored>(connection: &Connection, sql: &str, values: &[SqlValue]) -> Option<Vec<R>> {
    let mut statement = connection.prepare_cached(sql).ok()?;
    let mut found = statement.query(rusqlite::params_from_iter(values)).ok()?;
    let mut rows = Vec::new();
    while let Some(row) = found.next().ok()? {
        rows.push(R::from_near(row)?);
    }
    Some(rows)
}

/// What a statement binds, if all of it is of a kind that keys are of.
fn bound(statement: &Statement) -> Option<Vec<SqlValue>> {
    let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
    values
        .iter()
        .map(|value| match value {
            Value::BigInt(Some(number)) => Some(SqlValue::Integer(*number)),
            Value::BigUnsigned(Some(number)) => Some(SqlValue::Integer(i64::try_from(*number).ok()?)),
            Value::String(Some(text)) => Some(SqlValue::Text(text.to_string())),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Store, StoreConfig, StoreError,
        entities::{Cpe, Customer, Plan, cpes, customers, plans},
        record::rows as models,
        sealing::{KeySource, Slot},
    };
    use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryTrait, Select};
    use types::{CpeId, PlanId, Secret, UtcMs};

    async fn store() -> (Store, Near, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("lk.db");
        let url = format!("sqlite://{}", file.display());
        let store = Store::open(StoreConfig::new(url, KeySource::File(folder.path().join("key")))).await;
        (store.expect("opens"), Near::with(&file, 2), folder)
    }

    /// A customer, a plan, and two CPEs, one with everything that may be missing.
    async fn filled(store: &Store) -> CpeId {
        let written = store.write::<_, _, StoreError>(|tx| {
            Box::pin(async move {
                tx.insert(&Customer {
                    code: "C-1".into(), name: "Ann Ó\u{0}".into(), ..Customer::default()
                })
                .await?;
                tx.insert(&Plan { name: "Fibre".into(), active: true, vlan: Some(35), ..Plan::default() })
                    .await?;
                tx.insert(&Cpe { serial_number: "bare".into(), ..Cpe::default() }).await?;
                let full = Cpe {
                    serial_number: "full".into(),
                    pon_serial: Some("HWTC1A2B3C4D".parse().expect("a serial number")),
                    machine: serde_json::json!({ "state": "ACTIVE" }).into(),
                    quarantine: true,
                    last_inform_at: Some(UtcMs(1_795_269_000_000)),
                    ..Cpe::default()
                };
                let id: CpeId = tx.insert(&full).await?;
                tx.put_secret(Slot::CpeCredentials(id), Some(&Secret::new("s3cret".to_owned()))).await?;
                Ok(id)
            })
        });
        written.await.expect("writes")
    }

    async fn both<R: Stored + PartialEq + std::fmt::Debug>(
        store: &Store,
        near: &Near,
        select: Select<R::Entity>,
    ) -> usize {
        // However slow this machine is.
        *near.rests_until() = None;
        let near = near.rows::<R>(&select.build(DbBackend::Sqlite));
        let pooled: Vec<R> = models(select.all(&**store).await.expect("answers")).expect("readable");
        let found = pooled.len();
        assert_eq!(near, Some(pooled));
        found
    }

    #[tokio::test]
    async fn what_is_read_near_by_is_what_the_pool_reads() {
        let (store, near, _folder) = store().await;
        assert_eq!(both::<Cpe>(&store, &near, cpes::Entity::find()).await, 0);
        let id = filled(&store).await;
        assert_eq!(both::<Customer>(&store, &near, customers::Entity::find()).await, 1);
        assert_eq!(both::<Plan>(&store, &near, plans::Entity::find()).await, 1);
        assert_eq!(both::<Cpe>(&store, &near, cpes::Entity::find()).await, 2);
        let full: Cpe = store.require(id).await.expect("is there");
        assert!(full.credentials_sealed.is_some() && full.quarantine, "{full:?}");
    }

    #[tokio::test]
    async fn what_cannot_be_read_near_by_is_asked_in_the_ordinary_way() {
        let (store, near, folder) = store().await;
        let id = filled(&store).await;
        let spoilt = store.write::<_, _, StoreError>(|tx| {
            Box::pin(async move {
                tx.db()
                    .execute_unprepared(
                        "UPDATE cpes SET pon_serial = 'nonsense' WHERE pon_serial IS NOT NULL",
                    )
                    .await?;
                Ok(())
            })
        });
        spoilt.await.expect("writes");
        *near.rests_until() = None;
        assert_eq!(near.rows::<Cpe>(&cpes::Entity::find().build(DbBackend::Sqlite)), None);
        let read = store.require::<Cpe>(id).await;
        assert!(
            matches!(read, Err(StoreError::Unreadable { table: "cpes", column: "pon_serial", .. })),
            "{read:?}"
        );
        // Nothing else is kept from being read, nor the log from being emptied by a statement left open.
        assert_eq!(both::<Plan>(&store, &near, plans::Entity::find()).await, 1);
        let url = format!("sqlite://{}", folder.path().join("lk.db").display());
        let raw = sea_orm::Database::connect(url).await.expect("connects");
        let ask = Statement::from_string(DbBackend::Sqlite, "PRAGMA wal_checkpoint(TRUNCATE)");
        let emptied = raw.query_one_raw(ask).await.expect("answers").expect("a row");
        assert_eq!(emptied.try_get_by_index::<i32>(0).expect("a number"), 0, "nobody is in its way");
        *near.rests_until() = None;
        let held: Vec<_> = near.places.iter().map(|one| one.connection.lock().expect("whole")).collect();
        assert_eq!(near.rows::<Plan>(&plans::Entity::find().build(DbBackend::Sqlite)), None, "all are busy");
        assert_eq!(store.count::<Plan>().await.expect("answers"), 1);
        drop(held);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn whoever_wrote_reads_it() {
        let (store, _, _folder) = store().await;
        let id = filled(&store).await;
        let writers = (0..8).map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..20 {
                    let name = format!("{n}-{round}");
                    let tag = Plan { name: name.clone(), ..Plan::default() };
                    let plan: PlanId = store
                        .write::<_, _, StoreError>(move |tx| {
                            let tag = tag.clone();
                            Box::pin(async move { tx.insert(&tag).await })
                        })
                        .await
                        .expect("writes");
                    assert_eq!(store.require::<Plan>(plan).await.expect("is there").name, name);
                    assert!(store.get::<Cpe>(id).await.expect("readable").is_some());
                }
            })
        });
        for written in futures::future::join_all(writers).await {
            written.expect("as it was written");
        }
    }

    #[tokio::test]
    async fn after_something_slow_it_rests() {
        let (store, near, _folder) = store().await;
        filled(&store).await;
        *near.rests_until() = Some(Instant::now() + Duration::from_secs(3600));
        assert_eq!(near.rows::<Plan>(&plans::Entity::find().build(DbBackend::Sqlite)), None);
        assert_eq!(store.count::<Plan>().await.expect("answers"), 1);
        *near.rests_until() = Some(Instant::now());
        assert_eq!(both::<Plan>(&store, &near, plans::Entity::find()).await, 1);
    }

    #[tokio::test]
    async fn it_rests_when_answers_are_slow_again_and_again_or_one_is_very_slow() {
        let (_store, near, _folder) = store().await;
        let (quick, slow) = (Duration::from_micros(20), SLOW + Duration::from_millis(1));
        // A thread that is put off now and then.
        for _ in 0..10 {
            near.weigh(slow);
            (0..20).for_each(|_| near.weigh(quick));
        }
        assert_eq!(*near.rests_until(), None);
        for took in [slow, quick, slow, quick, slow] {
            assert_eq!(*near.rests_until(), None);
            near.weigh(took);
        }
        assert!(near.rests_until().take().is_some(), "three in a row, nearly");
        near.weigh(FAR_TOO_SLOW + slow);
        assert!(near.rests_until().take().is_some());
    }

    #[tokio::test]
    async fn while_one_waits_for_the_disk_nobody_else_asks_here() {
        let (store, near, _folder) = store().await;
        filled(&store).await;
        *near.rests_until() = None;
        let select = || plans::Entity::find().build(DbBackend::Sqlite);
        let long_ago = Near { began: Instant::now() - 2 * STUCK, ..near };
        long_ago.places[1].asked_at.store(1, Ordering::Relaxed);
        assert_eq!(long_ago.rows::<Plan>(&select()), None);
        long_ago.places[1].asked_at.store(0, Ordering::Relaxed);
        assert_eq!(long_ago.rows::<Plan>(&select()).map(|rows| rows.len()), Some(1));
    }

    #[tokio::test]
    async fn nothing_is_written_near_by() {
        let (_store, near, _folder) = store().await;
        for place in &near.places {
            let connection = place.connection.lock().expect("whole");
            assert!(connection.execute("INSERT INTO settings (key, value) VALUES ('a', 'b')", []).is_err());
        }
        assert!(!near.places.is_empty());
    }
}
