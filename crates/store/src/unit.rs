//! Units of work: how writes reach the database.
//!
//! On SQLite one thread writes. It takes whatever units are waiting, runs each inside a savepoint of one transaction,
//! commits once for all, and only then answers anybody: who is refused because of what another wrote finds that there. A
//! unit that fails takes back its own savepoint and nothing else. A lone unit is committed at once; the groups form by
//! themselves while a commit is on its way to the disk. The thread asks a connection of its own (`local.rs`). What asks for
//! more than that can tell is taken back and run again on one of the ORM's, after the others are answered; what does so again
//! and again is tried less and less often.
//!
//! On PostgreSQL every unit is a transaction of its own from the pool, at READ COMMITTED: what a unit must not lose
//! it guards by version, and where two units meet all the same the later one is run again.

use crate::{
    db::{Hook, Shared, Tx},
    error::{StartError, StoreError},
    local::Local,
    start::SqliteFile,
};
use futures::{FutureExt, future::BoxFuture};
use sea_orm::{
    DatabaseConnection, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait,
};
use std::{
    any::TypeId,
    collections::{HashMap, VecDeque},
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
    /// Bytes that large files must leave free on the disk of the database, for everything else (SQLite).
    pub disk_reserve: u64,
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
            disk_reserve: 1 << 30,
        }
    }
}

/// How a unit ended inside its transaction. `Kept` still has to be committed.
enum Ran {
    Kept(Vec<Hook>),
    Failed,
    /// It asks for more than the writer's own connection can tell; nothing of it is left.
    Beyond,
    /// The transaction around it is gone or in doubt; nothing of the group was committed.
    Lost(StoreError),
    /// Both: the unit failed, and with it went the transaction around it, as SQLite does when the disk is full. Its own
    /// error says why.
    FailedAndLost(StoreError),
}

/// A unit in the queue, its types forgotten.
pub(crate) trait Queued: Send {
    /// Which unit it is, whatever is in it.
    fn kind(&self) -> TypeId;
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
    fn kind(&self) -> TypeId {
        TypeId::of::<F>()
    }

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
        let local = Some(file.open_local(limits.max_pages)?);
        let (queue, units) = mpsc::channel(limits.queue);
        let limit = limits.queue;
        let group = Group { file, connection, local, beyond: Beyond::default(), limits, shared };
        // A thread to itself: it waits for the disk, so that none of those does that serve everybody. The runtime keeps the
        // time for it.
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                let _runtime = runtime.enter();
                group.run(units);
            })
            .map_err(|error| StoreError::Unavailable { why: format!("no thread for the writer: {error}") })?;
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

/// The thread that writes a SQLite file.
struct Group {
    file: SqliteFile,
    /// The connection that is asked here. `None` after trouble, as the other.
    local: Option<Local>,
    /// Units that asked for more than it can tell.
    beyond: Beyond,
    /// One connection. `None` after trouble: what the driver then believes about open transactions need not be true
    /// any more, so the next group gets a connection without a past.
    connection: Option<DatabaseConnection>,
    limits: WriteLimits,
    shared: Arc<Shared>,
}

/// Units by their kind that asked for more than the connection here can tell: how many of the kind are not tried, and how
/// many of those are still to come. A kind may do so once in its life, so no kind is given up for good.
#[derive(Default)]
struct Beyond(HashMap<TypeId, (u32, u32)>);

impl Beyond {
    const MOST_SKIPPED: u32 = 256;

    fn is_skipped(&mut self, kind: TypeId) -> bool {
        match self.0.get_mut(&kind) {
            Some((_, left)) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }

    fn remember(&mut self, kind: TypeId) {
        let (skipped, left) = self.0.entry(kind).or_default();
        *skipped = (*skipped * 2).clamp(1, Self::MOST_SKIPPED);
        *left = *skipped;
    }

    fn forget(&mut self, kind: TypeId) {
        self.0.remove(&kind);
    }
}

impl Group {
    fn run(mut self, mut units: mpsc::Receiver<Box<dyn Queued>>) {
        while let Some(first) = units.blocking_recv() {
            let Here { lost, beyond } = self.here(first, &mut units);
            let mut beyond: VecDeque<_> = beyond.into();
            futures::executor::block_on(async {
                // The group was lost before its commit, so nothing of it is in the database: each unit gets a
                // transaction to itself, and only the one at fault fails.
                for unit in lost {
                    self.alone(unit).await;
                }
                if let Some(first) = beyond.pop_front() {
                    for unit in self.group(first, &mut beyond).await {
                        self.alone(unit).await;
                    }
                }
            });
        }
        futures::executor::block_on(self.hang_up());
    }

    /// Runs and commits one group on the connection that is asked here.
    fn here(&mut self, first: Box<dyn Queued>, units: &mut mpsc::Receiver<Box<dyn Queued>>) -> Here {
        let mut here = Here::default();
        let began = Instant::now();
        let mut outer: Option<Local> = None;
        let mut ran: Vec<Box<dyn Queued>> = Vec::new();
        let mut hooks = Vec::new();
        let mut taken = 0;
        let mut next = Some(first);
        while let Some(mut unit) = next.take() {
            taken += 1;
            if self.beyond.is_skipped(unit.kind()) {
                here.beyond.push(unit);
            } else {
                let begun = match outer.clone() {
                    Some(outer) => Ok(outer),
                    None => self.begin_here(),
                };
                match begun {
                    Ok(begun) => {
                        outer = Some(begun.clone());
                        match self.inside_here(&begun, unit.as_mut()) {
                            Ran::Kept(more) => {
                                self.beyond.forget(unit.kind());
                                hooks.extend(more);
                                ran.push(unit);
                            }
                            Ran::Beyond => {
                                self.beyond.remember(unit.kind());
                                here.beyond.push(unit);
                            }
                            // It may have failed because of what others of the group wrote, which nobody else can see yet
                            // and which may still be lost.
                            Ran::Failed if !ran.is_empty() => ran.push(unit),
                            Ran::Failed => unit.answer(),
                            Ran::Lost(error) | Ran::FailedAndLost(error) => {
                                tracing::warn!(%error, units = ran.len() + 1, "a group of units is run again one by one");
                                self.local = None;
                                ran.push(unit);
                                here.lost = ran;
                                return here;
                            }
                        }
                    }
                    Err(error) => refuse(unit, error),
                }
            }
            if taken < self.limits.group_units && began.elapsed() < self.limits.group_time {
                next = units.try_recv().ok();
            }
        }
        let Some(outer) = outer else { return here };
        match outer.say("COMMIT").map_err(StoreError::from) {
            Ok(()) => {
                run_hooks(hooks);
                ran.into_iter().for_each(Queued::answer);
            }
            Err(error) => {
                // Whether a failed COMMIT reached the disk is not always known, so nothing is run twice.
                tracing::error!(%error, units = ran.len(), "a group of units could not be committed");
                self.local = None;
                ran.into_iter().for_each(|unit| refuse(unit, error.clone()));
            }
        }
        here
    }

    fn begin_here(&mut self) -> Result<Local, StoreError> {
        let local = match self.local.take() {
            Some(local) => local,
            None => match self.file.open_local(self.limits.max_pages) {
                Ok(local) => local,
                Err(error) => return Err(StoreError::Unavailable { why: error.to_string() }),
            },
        };
        // IMMEDIATE: a transaction that reads first and writes later could otherwise find that another process
        // wrote in between, and would have to be thrown away.
        local.say("BEGIN IMMEDIATE")?;
        Ok(self.local.insert(local).clone())
    }

    /// Runs a unit inside a savepoint of the connection that is asked here.
    fn inside_here(&self, outer: &Local, unit: &mut dyn Queued) -> Ran {
        if let Err(error) = outer.say("SAVEPOINT unit") {
            return Ran::Lost(error.into());
        }
        let tx = Tx::local(outer.clone(), Arc::clone(&self.shared));
        let ran = futures::executor::block_on(within(self.limits.unit_time, unit.run(&tx)));
        let ended = tx.into_ended();
        let (keep, hooks, taken_back) = match (ran, ended) {
            (_, None) => (false, Vec::new(), Ran::Beyond),
            (Ok(true), Some((None, hooks))) => (true, hooks, Ran::Failed),
            (Ok(true), Some((Some(failure), _))) | (Err(failure), Some(_)) => {
                unit.fail(failure);
                (false, Vec::new(), Ran::Failed)
            }
            (Ok(false), Some(_)) => (false, Vec::new(), Ran::Failed),
        };
        if !keep && let Err(error) = outer.say("ROLLBACK TO unit") {
            return Ran::Lost(error.into());
        }
        match outer.say("RELEASE unit") {
            Ok(()) if keep => Ran::Kept(hooks),
            Ok(()) => taken_back,
            Err(error) => Ran::Lost(error.into()),
        }
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

    /// Runs and commits one group on a connection of the ORM's. Units given back were not committed and may be run again.
    async fn group(
        &mut self,
        first: Box<dyn Queued>,
        units: &mut VecDeque<Box<dyn Queued>>,
    ) -> Vec<Box<dyn Queued>> {
        let outer = match self.begin().await {
            Ok(outer) => outer,
            Err(error) => {
                // All of them: none would begin where the first did not, and whoever is not answered hears that the
                // store is closed.
                units.drain(..).for_each(|unit| refuse(unit, error.clone()));
                refuse(first, error);
                return Vec::new();
            }
        };
        let mut ran: Vec<Box<dyn Queued>> = Vec::new();
        let mut hooks = Vec::new();
        let mut next = Some(first);
        while let Some(mut unit) = next.take() {
            match self.inside(&outer, unit.as_mut()).await {
                Ran::Kept(more) => {
                    hooks.extend(more);
                    ran.push(unit);
                }
                // It may have failed because of what others of the group wrote, which nobody else can see yet and which
                // may still be lost.
                Ran::Failed | Ran::Beyond if !ran.is_empty() => ran.push(unit),
                Ran::Failed | Ran::Beyond => unit.answer(),
                Ran::Lost(error) | Ran::FailedAndLost(error) => {
                    tracing::warn!(%error, units = ran.len() + 1, "a group of units is run again one by one");
                    roll_back(outer).await;
                    self.hang_up().await;
                    ran.push(unit);
                    ran.extend(units.drain(..));
                    return ran;
                }
            }
            next = units.pop_front();
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
            Ran::Failed | Ran::Beyond => {
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

/// What is left of a group to be done in the ordinary way.
#[derive(Default)]
struct Here {
    /// None of it was committed.
    lost: Vec<Box<dyn Queued>>,
    /// Units that ask for more than can be told here.
    beyond: Vec<Box<dyn Queued>>,
}

fn refuse(mut unit: Box<dyn Queued>, error: StoreError) {
    // Another process held the file longer than we wait for it.
    let error = if error.is_conflict() { StoreError::Contended { attempts: 1 } } else { error };
    unit.fail(error);
    unit.answer();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Store, StoreConfig,
        entities::{Customer, Service},
        sealing::KeySource,
    };
    use sea_orm::{DbBackend, EntityTrait, PaginatorTrait, Statement};
    use tokio::{sync::watch, task::JoinHandle};

    async fn store() -> (Store, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("lk.db").display());
        let config = StoreConfig::new(url, KeySource::File(folder.path().join("key")));
        (Store::open(config).await.expect("opens"), folder)
    }

    fn customer(code: &str) -> Customer {
        Customer { code: code.to_owned(), name: "Ann".to_owned(), ..Customer::default() }
    }

    fn insert(store: &Store, code: &str) -> JoinHandle<Result<(), StoreError>> {
        let (store, row) = (store.clone(), customer(code));
        tokio::spawn(async move {
            store.write(move |tx| Box::pin(async move { tx.insert(&row).await.map(drop) })).await
        })
    }

    async fn customers(store: &Store) -> u64 {
        store.count::<Customer>().await.expect("counts")
    }

    /// A unit that says `sql`, adds a customer and a service of nobody, and waits; and five more that come into its group.
    async fn group_with(
        store: &Store,
        sql: &'static str,
        dangles: bool,
    ) -> (Result<(), StoreError>, Vec<Result<(), StoreError>>) {
        let (go, wait) = watch::channel(false);
        let (running, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let spoiler = {
            let store = store.clone();
            tokio::spawn(async move {
                store
                    .write::<_, _, StoreError>(move |tx| {
                        let (mut wait, running) = (wait.clone(), running.clone());
                        Box::pin(async move {
                            if dangles {
                                tx.db().run(Statement::from_string(DbBackend::Sqlite, sql)).await?;
                                tx.insert(&Service { code: "S-1".into(), ..Service::default() }).await?;
                            }
                            let _ = running.send(());
                            wait.wait_for(|go| *go).await.expect("told to go");
                            if !dangles {
                                tx.insert(&customer("C-spoils")).await?;
                                tx.db().run(Statement::from_string(DbBackend::Sqlite, sql)).await?;
                            }
                            Ok(())
                        })
                    })
                    .await
            })
        };
        begun.recv().await.expect("the unit runs");
        let units: Vec<_> = (0..5).map(|n| insert(store, &format!("C-{n}"))).collect();
        while store.units_waiting() < 5 {
            tokio::task::yield_now().await;
        }
        go.send_replace(true);
        let mut others = Vec::new();
        for unit in units {
            others.push(unit.await.expect("does not panic"));
        }
        (spoiler.await.expect("does not panic"), others)
    }

    #[tokio::test]
    async fn a_commit_that_fails_here_is_an_error_for_all_of_its_group() {
        let (store, _folder) = store().await;
        // Looked at when the group is committed: the one way to make COMMIT itself fail at will.
        let (spoiler, others) = group_with(&store, "PRAGMA defer_foreign_keys = ON", true).await;
        assert!(matches!(spoiler, Err(StoreError::Dangling { .. })), "{spoiler:?}");
        assert!(others.iter().all(Result::is_err), "nobody is told that it was written: {others:?}");
        assert_eq!(customers(&store).await, 0, "and nothing was");
        insert(&store, "C-after").await.expect("does not panic").expect("the writer goes on");
        assert_eq!(customers(&store).await, 1);
    }

    fn nothing(_: &Tx) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    #[tokio::test]
    async fn where_no_group_can_begin_all_of_it_hear_why() {
        let (store, folder) = store().await;
        let nowhere = format!("sqlite://{}", folder.path().join("gone").join("lk.db").display());
        let Ok(crate::start::Address::Sqlite(file)) = crate::start::Address::parse(&nowhere) else {
            panic!("a file")
        };
        let shared = Arc::clone(&store.shared);
        let limits = WriteLimits::default();
        let mut group =
            Group { file, connection: None, local: None, beyond: Beyond::default(), limits, shared };
        let (mut answers, mut units) = (Vec::new(), VecDeque::new());
        for _ in 0..3 {
            let (reply, answer) = oneshot::channel::<Result<(), StoreError>>();
            units.push_back(Box::new(Waiting { unit: nothing, result: None, reply }) as Box<dyn Queued>);
            answers.push(answer);
        }
        let first = units.pop_front().expect("the first");
        assert!(group.group(first, &mut units).await.is_empty(), "nothing is to be run again");
        for answer in answers {
            let told = answer.await.expect("each is answered");
            assert!(matches!(told, Err(StoreError::Unavailable { .. })), "{told:?}");
        }
    }

    #[tokio::test]
    async fn a_unit_that_takes_its_group_down_here_costs_only_itself() {
        let (store, _folder) = store().await;
        let (spoiler, others) = group_with(&store, "ROLLBACK", false).await;
        assert!(spoiler.is_err(), "{spoiler:?}");
        assert!(others.iter().all(Result::is_ok), "{others:?}");
        assert_eq!(customers(&store).await, 5, "theirs, each once, and nothing of the one at fault");
    }

    #[test]
    fn who_asks_for_more_again_and_again_is_tried_ever_less_often_and_never_given_up() {
        let (mut beyond, kind) = (Beyond::default(), TypeId::of::<()>());
        let mut tried = 0;
        for _ in 0..10_000 {
            if !beyond.is_skipped(kind) {
                tried += 1;
                beyond.remember(kind);
            }
        }
        assert!((20..60).contains(&tried), "{tried}");
        beyond.forget(kind);
        assert!(!beyond.is_skipped(kind));
        // Once in a while costs one more.
        beyond.remember(kind);
        assert_eq!([(); 3].map(|()| beyond.is_skipped(kind)), [true, false, false]);
    }

    #[tokio::test]
    async fn what_asks_for_more_is_run_in_the_ordinary_way_and_leaves_its_work_once() {
        static RUNS: AtomicUsize = AtomicUsize::new(0);
        static TOLD: AtomicUsize = AtomicUsize::new(0);
        let (store, _folder) = store().await;
        let count_and_add = |code: &'static str| {
            store.write::<_, _, StoreError>(move |tx| {
                Box::pin(async move {
                    RUNS.fetch_add(1, Ordering::Relaxed);
                    tx.after_commit(|| {
                        TOLD.fetch_add(1, Ordering::Relaxed);
                    });
                    tx.insert(&customer(code)).await?;
                    // Even if it makes nothing of not being told.
                    Ok(crate::entities::customers::Entity::find().count(tx.db()).await.unwrap_or(0))
                })
            })
        };
        assert_eq!(count_and_add("C-1").await.expect("writes"), 1, "it sees its own and counts");
        assert_eq!(RUNS.load(Ordering::Relaxed), 2, "tried, taken back, and run");
        assert_eq!(count_and_add("C-2").await.expect("writes"), 2);
        assert_eq!(RUNS.load(Ordering::Relaxed), 3, "what is known to ask for more is not tried");
        assert_eq!((customers(&store).await, TOLD.load(Ordering::Relaxed)), (2, 2));
        insert(&store, "C-3").await.expect("does not panic").expect("the others go on here");
        assert_eq!(customers(&store).await, 3);
    }
}
