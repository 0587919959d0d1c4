//! The two handles everything in this crate works on: [`Db`] reads, [`Tx`] also writes.
//!
//! Inside this crate both are connections in the ORM's sense, so a select is written as
//! `entities::services::Entity::find().filter(…).all(db).await?` with `db: &Db`; outside, no ORM type is visible.

use crate::{
    error::StoreError,
    leases::LeaseClock,
    local::Local,
    near::Near,
    record::stored::Stored,
    sealing::{Sealed, SealingKey, Slot},
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    Statement,
};
use std::{
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use types::{Clock, UtcMs};

/// What every handle carries along.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) key: SealingKey,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) lease_clock: LeaseClock,
}

enum Connection {
    Pool(DatabaseConnection, Option<Near>),
    Unit(DatabaseTransaction),
    /// A unit of work on the writer's own connection, inside a savepoint that the writer makes and ends.
    Local(Local),
}

/// A handle for reading: the pool of readers, or the unit of work one is in (which sees its own writes).
pub struct Db {
    connection: Connection,
    pub(crate) shared: Arc<Shared>,
    /// First statement that failed. PostgreSQL gives up a transaction at its first failed statement and answers a
    /// later COMMIT with a silent rollback; so a unit in which anything failed is never committed, on either engine.
    failure: Mutex<Option<StoreError>>,
    /// Something was asked that only the ORM's own connections can answer: the unit of work is to be run on one of them.
    beyond: AtomicBool,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.connection {
            Connection::Pool(..) => "Db(pool)",
            Connection::Unit(_) | Connection::Local(_) => "Db(unit of work)",
        })
    }
}

impl Db {
    pub(crate) fn pool(pool: DatabaseConnection, near: Option<Near>, shared: Arc<Shared>) -> Self {
        Db {
            connection: Connection::Pool(pool, near),
            shared,
            failure: Mutex::new(None),
            beyond: AtomicBool::new(false),
        }
    }

    /// Where few rows are read at once, if there is such a place: a unit of work sees its own writes and reads them itself.
    pub(crate) fn near(&self) -> Option<&Near> {
        match &self.connection {
            Connection::Pool(_, near) => near.as_ref(),
            Connection::Unit(_) | Connection::Local(_) => None,
        }
    }

    /// The writer's own connection, in a unit of work that is run there.
    pub(crate) fn local(&self) -> Option<&Local> {
        match &self.connection {
            Connection::Local(local) => Some(local),
            Connection::Pool(..) | Connection::Unit(_) => None,
        }
    }

    /// Runs a statement; says how many rows it changed.
    pub(crate) async fn run(&self, statement: Statement) -> Result<u64, DbErr> {
        match self.local() {
            Some(local) => self.noted(local.execute(&statement)),
            None => Ok(self.execute_raw(statement).await?.rows_affected()),
        }
    }

    /// The number of the row that a statement inserts; `None` where the ORM knows how to ask for it.
    pub(crate) fn inserted(&self, statement: impl FnOnce() -> Statement) -> Option<Result<i64, DbErr>> {
        self.local().map(|local| self.noted(local.insert(&statement())))
    }

    /// The number that a statement finds in a unit of work that is run here.
    pub(crate) fn number(&self, statement: &Statement) -> Option<Result<Option<i64>, DbErr>> {
        self.local().map(|local| self.noted(local.number(statement)))
    }

    /// The rows that a statement finds in a unit of work that is run here.
    pub(crate) fn found<R: Stored>(
        &self,
        statement: impl FnOnce() -> Statement,
    ) -> Option<Result<Vec<R>, DbErr>> {
        let found = self.local()?.rows(&statement());
        Some(self.noted(found).and_then(|rows| rows.ok_or_else(|| self.is_beyond())))
    }

    /// What no unit of work can do here; it is run again where it can.
    fn is_beyond(&self) -> DbErr {
        self.beyond.store(true, Ordering::Relaxed);
        DbErr::Custom("this unit of work is run in the ordinary way".to_owned())
    }

    /// The current time, by the store's clock.
    pub fn now(&self) -> UtcMs {
        self.shared.clock.now()
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.get_database_backend() == DbBackend::Postgres
    }

    pub(crate) fn seal(&self, slot: Slot, plain: &[u8]) -> Result<Sealed, StoreError> {
        self.shared.key.seal(slot, plain)
    }

    fn failed(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn noted<T>(&self, result: Result<T, DbErr>) -> Result<T, DbErr> {
        if let (Err(error), Connection::Unit(_) | Connection::Local(_)) = (&result, &self.connection) {
            self.failed().get_or_insert_with(|| StoreError::from(error.clone()));
        }
        result
    }
}

#[async_trait::async_trait]
impl ConnectionTrait for Db {
    fn get_database_backend(&self) -> DbBackend {
        match &self.connection {
            Connection::Pool(pool, _) => pool.get_database_backend(),
            Connection::Unit(unit) => unit.get_database_backend(),
            Connection::Local(_) => DbBackend::Sqlite,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.noted(match &self.connection {
            Connection::Pool(pool, _) => pool.execute_raw(statement).await,
            Connection::Unit(unit) => unit.execute_raw(statement).await,
            Connection::Local(_) => Err(self.is_beyond()),
        })
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.noted(match &self.connection {
            Connection::Pool(pool, _) => pool.execute_unprepared(sql).await,
            Connection::Unit(unit) => unit.execute_unprepared(sql).await,
            Connection::Local(_) => Err(self.is_beyond()),
        })
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.noted(match &self.connection {
            Connection::Pool(pool, _) => pool.query_one_raw(statement).await,
            Connection::Unit(unit) => unit.query_one_raw(statement).await,
            Connection::Local(_) => Err(self.is_beyond()),
        })
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.noted(match &self.connection {
            Connection::Pool(pool, _) => pool.query_all_raw(statement).await,
            Connection::Unit(unit) => unit.query_all_raw(statement).await,
            Connection::Local(_) => Err(self.is_beyond()),
        })
    }
}

pub(crate) type Hook = Box<dyn FnOnce() + Send>;

/// A unit of work: everything written through it becomes durable together, or not at all.
pub struct Tx {
    db: Db,
    after_commit: Mutex<Vec<Hook>>,
}

impl std::fmt::Debug for Tx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tx")
    }
}

impl Deref for Tx {
    type Target = Db;
    fn deref(&self) -> &Db {
        &self.db
    }
}

impl Tx {
    pub(crate) fn new(transaction: DatabaseTransaction, shared: Arc<Shared>) -> Self {
        Tx::on(Connection::Unit(transaction), shared)
    }

    pub(crate) fn local(local: Local, shared: Arc<Shared>) -> Self {
        Tx::on(Connection::Local(local), shared)
    }

    fn on(connection: Connection, shared: Arc<Shared>) -> Self {
        let db = Db { connection, shared, failure: Mutex::new(None), beyond: AtomicBool::new(false) };
        Tx { db, after_commit: Mutex::new(Vec::new()) }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// Runs `hook` once this unit is durable, and never if it is not: for telling others. It must be quick.
    pub fn after_commit(&self, hook: impl FnOnce() + Send + 'static) {
        self.after_commit.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(hook));
    }

    /// Takes the handle of a unit on the writer's own connection apart: what failed in it, and what to do after the commit.
    /// `None` if it has to be run in the ordinary way.
    pub(crate) fn into_ended(self) -> Option<(Option<StoreError>, Vec<Hook>)> {
        if self.db.beyond.into_inner() {
            return None;
        }
        let failure = self.db.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        let hooks = self.after_commit.into_inner().unwrap_or_else(PoisonError::into_inner);
        Some((failure, hooks))
    }

    /// Takes the handle apart: the transaction, what failed in it, and what to do after the commit.
    pub(crate) fn into_parts(self) -> (DatabaseTransaction, Option<StoreError>, Vec<Hook>) {
        let failure = self.db.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        let hooks = self.after_commit.into_inner().unwrap_or_else(PoisonError::into_inner);
        match self.db.connection {
            Connection::Unit(transaction) => (transaction, failure, hooks),
            Connection::Pool(..) | Connection::Local(_) => {
                unreachable!("a unit with a transaction has one")
            }
        }
    }
}
