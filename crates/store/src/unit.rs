//! Units of work: how writes reach the database.
//!
//! On SQLite one task writes. It takes whatever units are waiting, runs each inside a savepoint of one transaction,
//! commits once for all, and only then answers anybody: who is refused because of what another wrote finds that there. A
//! unit that fails takes back its own savepoint and nothing else. A lone unit is committed at once; the groups form by themselves while a commit is on its way to the disk.
//!
//! On PostgreSQL every unit is a transaction of its own from the pool, at READ COMMITTED: what a unit must not lose
//! it guards by version, and where two units meet all the same the later one is run again.

use crate::{
    db::{Hook, Shared, Tx},
    error::{StartError, StoreError},
    start::SqliteFile,
};
use futures::{FutureExt, future::BoxFuture};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot};

/// Bounds on the writing side.
#[derive(Debug, Clone)]
pub struct WriteLimits {
    /// Units that may wait; one more is refused with [`StoreError::Overloaded`].
    pub queue: usize,
    /// Units in one group (SQLite).
    pub group_units: usize,
    /// How long a group may take in before it is committed (SQLite).
    pub group_time: Duration,
    /// How long one unit may take before it is rolled back.
    pub unit_time: Duration,
    /// How often a unit is run that meets others (PostgreSQL).
    pub attempts: u32,
    /// Connections for reading; on PostgreSQL as many again for writing.
    pub connections: u32,
    /// Pages the file may grow to (SQLite; a page has 4 KiB). `None`: as the disk allows.
    pub max_pages: Option<u32>,
}

impl Default for WriteLimits {
    fn default() -> Self {
        WriteLimits {
            queue: 10_000,
            group_units: 512,
            group_time: Duration::from_millis(25),
            unit_time: Duration::from_secs(15),
            attempts: 8,
            connections: 10,
            max_pages: None,
        }
    }
}

/// How a unit ended inside its transaction. `Kept` still has to be committed.
enum Ran {
    Kept(Vec<Hook>),
    Failed,
    /// The transaction around it is gone or in doubt; nothing of the group was committed.
    Lost(StoreError),
    /// Both: the unit failed, and with it went the transaction around it, as SQLite does when the disk is full. Its own
    /// error says why.
    FailedAndLost(StoreError),
}

/// A unit in the queue, its types forgotten.
pub(crate) trait Queued: Send {
    fn run<'t>(&'t mut self, tx: &'t Tx) -> BoxFuture<'t, bool>;
    /// Replaces whatever the unit answered.
    fn fail(&mut self, error: StoreError);
    /// Sends the answer.
    fn answer(self: Box<Self>);
}

struct Waiting<F, T, E> {
    unit: F,
    result: Option<Result<T, E>>,
    reply: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Queued for Waiting<F, T, E>
where
    F: for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Clone + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    fn run<'t>(&'t mut self, tx: &'t Tx) -> BoxFuture<'t, bool> {
        Box::pin(async move {
            let result = (self.unit.clone())(tx).await;
            self.result.insert(result).is_ok()
        })
    }

    fn fail(&mut self, error: StoreError) {
        self.result = Some(Err(error.into()));
    }

    fn answer(self: Box<Self>) {
        // Nobody waiting any more is fine: the unit counts all the same.
        let _ = self.reply.send(self.result.unwrap_or_else(|| Err(StoreError::Closed.into())));
    }
}

/// The writing side of a store.
pub(crate) enum Writer {
    Grouped { queue: mpsc::Sender<Box<dyn Queued>>, limit: usize },
    Pooled { pool: DatabaseConnection, running: AtomicUsize, limits: WriteLimits, shared: Arc<Shared> },
}

impl Writer {
    /// The single writer of a SQLite file.
    pub(crate) async fn grouped(
        file: SqliteFile,
        limits: WriteLimits,
        shared: Arc<Shared>,
    ) -> Result<Self, StartError> {
        let connection = Some(file.connect_writer(limits.max_pages).await?);
        let (queue, units) = mpsc::channel(limits.queue);
        let limit = limits.queue;
        tokio::spawn(Group { file, connection, limits, shared }.run(units));
        Ok(Writer::Grouped { queue, limit })
    }

    pub(crate) fn pooled(pool: DatabaseConnection, limits: WriteLimits, shared: Arc<Shared>) -> Self {
        Writer::Pooled { pool, running: AtomicUsize::new(0), limits, shared }
    }

    pub(crate) fn waiting(&self) -> usize {
        match self {
            Writer::Grouped { queue, .. } => queue.max_capacity() - queue.capacity(),
            Writer::Pooled { running, .. } => running.load(Ordering::Relaxed),
        }
    }

    pub(crate) async fn write<F, T, E>(&self, unit: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Clone + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match self {
            Writer::Grouped { queue, limit } => {
                let (reply, answer) = oneshot::channel();
                queue.try_send(Box::new(Waiting { unit, result: None, reply })).map_err(
                    |error| match error {
                        mpsc::error::TrySendError::Full(_) => StoreError::Overloaded { waiting: *limit },
                        mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
                    },
                )?;
                answer.await.unwrap_or_else(|_| Err(StoreError::Closed.into()))
            }
            Writer::Pooled { pool, running, limits, shared } => {
                let _place = Place::take(running, limits.queue)?;
                pooled(pool, limits, shared, unit).await
            }
        }
    }
}

/// A place among the units that run or wait (PostgreSQL).
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(running: &'a AtomicUsize, limit: usize) -> Result<Self, StoreError> {
        let place = Place(running);
        let waiting = running.fetch_add(1, Ordering::Relaxed);
        if waiting >= limit { Err(StoreError::Overloaded { waiting }) } else { Ok(place) }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn pooled<F, T, E>(
    pool: &DatabaseConnection,
    limits: &WriteLimits,
    shared: &Arc<Shared>,
    unit: F,
) -> Result<T, E>
where
    F: for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T, E>> + Clone + Send + 'static,
    T: Send + 'static,
    E: From<StoreError> + Send + 'static,
{
    for attempt in 1..=limits.attempts {
        let transaction = pool.begin().await.map_err(StoreError::from)?;
        let tx = Tx::new(transaction, Arc::clone(shared));
        let ran = within(limits.unit_time, (unit.clone())(&tx)).await;
        let (transaction, failure, hooks) = tx.into_parts();
        let conflict = match (ran, failure) {
            (Ok(Ok(value)), None) => match transaction.commit().await.map_err(StoreError::from) {
                Ok(()) => {
                    run_hooks(hooks);
                    return Ok(value);
                }
                Err(conflict) if conflict.is_conflict() => conflict,
                Err(other) => return Err(other.into()),
            },
            (Ok(_), Some(conflict)) if conflict.is_conflict() => {
                roll_back(transaction).await;
                conflict
            }
            (Ok(Err(error)), _) => {
                roll_back(transaction).await;
                return Err(error);
            }
            (Ok(Ok(_)), Some(failure)) | (Err(failure), _) => {
                roll_back(transaction).await;
                return Err(failure.into());
            }
        };
        tracing::debug!(attempt, %conflict, "a unit of work met another and is run again");
        // Short, growing and uneven, so that two that met once do not meet for ever.
        let mut dice = [0u8; 1];
        let _ = getrandom::fill(&mut dice);
        let pause_ms = u64::from(attempt) * 3 + u64::from(dice[0] % 8);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    }
    Err(StoreError::Contended { attempts: limits.attempts }.into())
}

/// A hook that panics costs nobody anything: the unit is durable, and the others still hear of it.
fn run_hooks(hooks: Vec<Hook>) {
    for hook in hooks {
        if std::panic::catch_unwind(AssertUnwindSafe(hook)).is_err() {
            tracing::error!("what was to be done after a commit panicked");
        }
    }
}

async fn roll_back(transaction: DatabaseTransaction) {
    if let Err(error) = transaction.rollback().await {
        // The connection is dropped by the pool; the server rolls back what it no longer hears of.
        tracing::warn!(%error, "rolling back a unit of work");
    }
}

/// Runs the inside of a unit: bounded in time, and a panic in it stays in it.
async fn within<R>(limit: Duration, unit: impl Future<Output = R>) -> Result<R, StoreError> {
    match tokio::time::timeout(limit, AssertUnwindSafe(unit).catch_unwind()).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(panic)) => {
            let why = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "panic".to_owned());
            tracing::error!(%why, "a unit of work panicked");
            Err(StoreError::Panicked { why })
        }
        Err(_) => Err(StoreError::TookTooLong { limit_s: limit.as_secs() }),
    }
}

/// The task that writes a SQLite file.
struct Group {
    file: SqliteFile,
    /// One connection. `None` after trouble: what the driver then believes about open transactions need not be true
    /// any more, so the next group gets a connection without a past.
    connection: Option<DatabaseConnection>,
    limits: WriteLimits,
    shared: Arc<Shared>,
}

impl Group {
    async fn run(mut self, mut units: mpsc::Receiver<Box<dyn Queued>>) {
        while let Some(first) = units.recv().await {
            let lost = self.group(first, &mut units).await;
            // The group was lost before its commit, so nothing of it is in the database: each unit gets a
            // transaction to itself, and only the one at fault fails.
            for unit in lost {
                self.alone(unit).await;
            }
        }
        self.hang_up().await;
    }

    async fn hang_up(&mut self) {
        if let Some(connection) = self.connection.take() {
            let _ = connection.close().await;
        }
    }

    async fn begin(&mut self) -> Result<DatabaseTransaction, StoreError> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => match self.file.connect_writer(self.limits.max_pages).await {
                Ok(connection) => connection,
                Err(error) => return Err(StoreError::Unavailable { why: error.to_string() }),
            },
        };
        let connection = self.connection.insert(connection);
        // IMMEDIATE: a transaction that reads first and writes later could otherwise find that another process
        // wrote in between, and would have to be thrown away.
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        connection.begin_with_options(options).await.map_err(StoreError::from)
    }

    /// Runs and commits one group. Units given back were not committed and may be run again.
    async fn group(
        &mut self,
        first: Box<dyn Queued>,
        units: &mut mpsc::Receiver<Box<dyn Queued>>,
    ) -> Vec<Box<dyn Queued>> {
        let outer = match self.begin().await {
            Ok(outer) => outer,
            Err(error) => {
                refuse(first, error);
                return Vec::new();
            }
        };
        let began = Instant::now();
        let mut ran: Vec<Box<dyn Queued>> = Vec::new();
        let mut hooks = Vec::new();
        let mut taken = 0;
        let mut next = Some(first);
        while let Some(mut unit) = next.take() {
            taken += 1;
            match self.inside(&outer, unit.as_mut()).await {
                Ran::Kept(more) => {
                    hooks.extend(more);
                    ran.push(unit);
                }
                // It may have failed because of what others of the group wrote, which nobody else can see yet and which
                // may still be lost.
                Ran::Failed if !ran.is_empty() => ran.push(unit),
                Ran::Failed => unit.answer(),
                Ran::Lost(error) | Ran::FailedAndLost(error) => {
                    tracing::warn!(%error, units = ran.len() + 1, "a group of units is run again one by one");
                    roll_back(outer).await;
                    self.hang_up().await;
                    ran.push(unit);
                    return ran;
                }
            }
            if taken < self.limits.group_units && began.elapsed() < self.limits.group_time {
                next = units.try_recv().ok();
            }
        }
        match outer.commit().await.map_err(StoreError::from) {
            Ok(()) => {
                run_hooks(hooks);
                ran.into_iter().for_each(Queued::answer);
            }
            Err(error) => {
                // Whether a failed COMMIT reached the disk is not always known, so nothing is run twice.
                tracing::error!(%error, units = ran.len(), "a group of units could not be committed");
                self.hang_up().await;
                ran.into_iter().for_each(|unit| refuse(unit, error.clone()));
            }
        }
        Vec::new()
    }

    async fn alone(&mut self, mut unit: Box<dyn Queued>) {
        let outer = match self.begin().await {
            Ok(outer) => outer,
            Err(error) => return refuse(unit, error),
        };
        match self.inside(&outer, unit.as_mut()).await {
            Ran::Kept(hooks) => match outer.commit().await.map_err(StoreError::from) {
                Ok(()) => {
                    run_hooks(hooks);
                    unit.answer();
                }
                Err(error) => {
                    self.hang_up().await;
                    refuse(unit, error);
                }
            },
            Ran::Failed => {
                roll_back(outer).await;
                unit.answer();
            }
            Ran::Lost(error) => {
                roll_back(outer).await;
                self.hang_up().await;
                refuse(unit, error);
            }
            Ran::FailedAndLost(error) => {
                tracing::debug!(%error, "the transaction went with the unit that failed in it");
                roll_back(outer).await;
                self.hang_up().await;
                unit.answer();
            }
        }
    }

    /// Runs a unit inside a savepoint.
    async fn inside(&self, outer: &DatabaseTransaction, unit: &mut dyn Queued) -> Ran {
        let savepoint = match outer.begin().await {
            Ok(savepoint) => savepoint,
            Err(error) => return Ran::Lost(error.into()),
        };
        let tx = Tx::new(savepoint, Arc::clone(&self.shared));
        let ran = within(self.limits.unit_time, unit.run(&tx)).await;
        let (savepoint, failure, hooks) = tx.into_parts();
        let keep = match (ran, failure) {
            (Ok(true), None) => true,
            (Ok(true), Some(failure)) | (Err(failure), _) => {
                unit.fail(failure);
                false
            }
            (Ok(false), _) => false,
        };
        let ended = if keep { savepoint.commit().await } else { savepoint.rollback().await };
        match ended {
            Ok(()) if keep => Ran::Kept(hooks),
            Ok(()) => Ran::Failed,
            Err(error) if keep => Ran::Lost(error.into()),
            Err(error) => Ran::FailedAndLost(error.into()),
        }
    }
}

fn refuse(mut unit: Box<dyn Queued>, error: StoreError) {
    // Another process held the file longer than we wait for it.
    let error = if error.is_conflict() { StoreError::Contended { attempts: 1 } } else { error };
    unit.fail(error);
    unit.answer();
}
