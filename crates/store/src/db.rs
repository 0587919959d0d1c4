//! The two handles everything in this crate works on: [`Db`] reads, [`Tx`] also writes.
//!
//! Inside this crate both are connections in the ORM's sense, so a select is written as
//! `entities::services::Entity::find().filter(…).all(db).await?` with `db: &Db`; outside, no ORM type is visible.

use crate::{
    error::StoreError,
    leases::LeaseClock,
    near::Near,
    sealing::{Sealed, SealingKey, Slot},
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    Statement,
};
use std::{
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
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
}

/// A handle for reading: the pool of readers, or the unit of work one is in (which sees its own writes).
pub struct Db {
    connection: Connection,
    pub(crate) shared: Arc<Shared>,
    /// First statement that failed. PostgreSQL gives up a transaction at its first failed statement and answers a
    /// later COMMIT with a silent rollback; so a unit in which anything failed is never committed, on either engine.
    failure: Mutex<Option<StoreError>>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.connection {
            Connection::Pool(..) => "Db(pool)",
            Connection::Unit(_) => "Db(unit of work)",
        })
    }
}

impl Db {
    pub(crate) fn pool(pool: DatabaseConnection, near: Option<Near>, shared: Arc<Shared>) -> Self {
        Db { connection: Connection::Pool(pool, near), shared, failure: Mutex::new(None) }
    }

    /// Where few rows are read at once, if there is such a place: a unit of work sees its own writes and reads them itself.
    pub(crate) fn near(&self) -> Option<&Near> {
        match &self.connection {
            Connection::Pool(_, near) => near.as_ref(),
            Connection::Unit(_) => None,
        }
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
        if let (Err(error), Connection::Unit(_)) = (&result, &self.connection) {
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
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.noted(match &self.connection {
            Connection::Pool(pool, _) => pool.execute_raw(statement).await,
            Connection::Unit(unit) => unit.execute_raw(statement).await,
        })
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.noted(match &self.connection {
            Connection::Pool(pool, _) => pool.execute_unprepared(sql).await,
            Connection::Unit(unit) => unit.execute_unprepared(sql).await,
        })
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.noted(match &self.connection {
            Connection::Pool(pool, _) => pool.query_one_raw(statement).await,
            Connection::Unit(unit) => unit.query_one_raw(statement).await,
        })
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.noted(match &self.connection {
            Connection::Pool(pool, _) => pool.query_all_raw(statement).await,
            Connection::Unit(unit) => unit.query_all_raw(statement).await,
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
        let db = Db { connection: Connection::Unit(transaction), shared, failure: Mutex::new(None) };
        Tx { db, after_commit: Mutex::new(Vec::new()) }
    }

    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// Runs `hook` once this unit is durable, and never if it is not: for telling others. It must be quick.
    pub fn after_commit(&self, hook: impl FnOnce() + Send + 'static) {
        self.after_commit.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(hook));
    }

    /// Takes the handle apart: the transaction, what failed in it, and what to do after the commit.
    pub(crate) fn into_parts(self) -> (DatabaseTransaction, Option<StoreError>, Vec<Hook>) {
        let failure = self.db.failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        let hooks = self.after_commit.into_inner().unwrap_or_else(PoisonError::into_inner);
        match self.db.connection {
            Connection::Unit(transaction) => (transaction, failure, hooks),
            Connection::Pool(..) => unreachable!("a unit of work is never made from a pool"),
        }
    }
}
