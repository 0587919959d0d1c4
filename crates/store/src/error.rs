//! What can go wrong, in words for the person who has to do something about it.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// The answer of a guarded change: it happened, or somebody else was first, or there is nothing to change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a guarded change may not have happened"]
pub enum Guarded {
    /// The row was as expected and is changed.
    Changed,
    /// The row is there, but not as expected; nothing was written.
    NotAsExpected {
        /// How it was found (a state, or a version).
        found: String,
    },
    /// There is no such row; nothing was written.
    NotFound,
}

impl Guarded {
    /// True if the change happened.
    pub fn is_changed(&self) -> bool {
        match self {
            Guarded::Changed => true,
            Guarded::NotAsExpected { .. } | Guarded::NotFound => false,
        }
    }

    /// For units that must not go on otherwise.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`] unless the change happened.
    pub fn or_overtaken(self, what: &'static str) -> Result<(), StoreError> {
        match self {
            Guarded::Changed => Ok(()),
            Guarded::NotAsExpected { found } => Err(StoreError::Overtaken { what, found }),
            Guarded::NotFound => Err(StoreError::Overtaken { what, found: "nothing".to_owned() }),
        }
    }
}

/// Why the store could not do what it was asked. Whatever it was, the unit of work left no trace.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// A value that must be unique is taken.
    #[error("already there: {what} (nothing was written)")]
    Duplicate {
        /// Index or columns, as the database names them.
        what: String,
    },
    /// A reference points to a row that is not there, or is still pointed to.
    #[error(
        "a row that is referred to is missing, or a row is still referred to: {what} (nothing was written)"
    )]
    Dangling {
        /// As the database puts it.
        what: String,
    },
    /// A row that must be there is not.
    #[error("{table} has no row {key}")]
    Missing {
        /// Table.
        table: &'static str,
        /// Its key.
        key: String,
    },
    /// Somebody else changed the row first.
    #[error(
        "{what} was changed by somebody else in the meantime (found {found}); nothing was written, look again"
    )]
    Overtaken {
        /// What was to be changed.
        what: &'static str,
        /// How it was found.
        found: String,
    },
    /// What was to be written stood under a lease that another has taken over.
    #[error(
        "the lease on {lease} was lost: {holder} has taken it over in the meantime; nothing was written, and this node \
         writes nothing more under it"
    )]
    Fenced {
        /// On what the lease was.
        lease: String,
        /// Who has it now.
        holder: String,
    },
    /// A value in the database is not one we ever write.
    #[error("{table}.{column} holds a value that cannot be read: {why}")]
    Unreadable {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A secret cannot be opened.
    #[error("the secret in {place} cannot be opened: {why}")]
    Sealed {
        /// Table, column and row.
        place: String,
        /// Wrong key, or changed since it was sealed.
        why: &'static str,
    },
    /// Too large for its place.
    #[error("{what} is too large: {size} of at most {limit} (nothing was written)")]
    TooLarge {
        /// What.
        what: &'static str,
        /// How large.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// More work is waiting than the database can take.
    #[error(
        "the database is overloaded: {waiting} units of work are waiting; nothing was written, try again later"
    )]
    Overloaded {
        /// Units in the queue.
        waiting: usize,
    },
    /// The disk, or the limit of the database, is full.
    #[error("no space left for the database; nothing was written ({why})")]
    Full {
        /// As the database puts it.
        why: String,
    },
    /// The database or its file may only be read.
    #[error("the database is read-only; nothing was written ({why})")]
    ReadOnly {
        /// As the database puts it.
        why: String,
    },
    /// Two units met again and again.
    #[error("the unit of work met others {attempts} times and gave way; nothing was written, try again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The unit of work took too long and was rolled back.
    #[error("a unit of work took longer than {limit_s} s and was rolled back")]
    TookTooLong {
        /// The limit in seconds.
        limit_s: u64,
    },
    /// The unit of work panicked and was rolled back; a bug, reported where it happened.
    #[error("a unit of work failed inside ({why}) and was rolled back")]
    Panicked {
        /// The panic's message.
        why: String,
    },
    /// The store is shut down.
    #[error("the store is closed")]
    Closed,
    /// The database does not answer.
    #[error("the database does not answer: {why}")]
    Unavailable {
        /// As the driver puts it.
        why: String,
    },
    /// Another unit was in the way; tried again inside the store, so callers see [`StoreError::Contended`].
    #[error("another unit of work was in the way: {why}")]
    Conflict {
        /// As the database puts it.
        why: String,
    },
    /// Anything else that the database says.
    #[error("the database refused a statement: {why}")]
    Database {
        /// As the database puts it.
        why: String,
    },
}

impl StoreError {
    /// True if the same unit may succeed when it is run again at once.
    pub(crate) fn is_conflict(&self) -> bool {
        matches!(self, StoreError::Conflict { .. })
    }

    /// True if the caller may try the same thing again later and it may work.
    pub fn is_transient(&self) -> bool {
        match self {
            StoreError::Overloaded { .. }
            | StoreError::Full { .. }
            | StoreError::Contended { .. }
            | StoreError::TookTooLong { .. }
            | StoreError::Unavailable { .. }
            | StoreError::Conflict { .. } => true,
            StoreError::Duplicate { .. }
            | StoreError::Dangling { .. }
            | StoreError::Missing { .. }
            | StoreError::Overtaken { .. }
            | StoreError::Fenced { .. }
            | StoreError::Unreadable { .. }
            | StoreError::Sealed { .. }
            | StoreError::TooLarge { .. }
            | StoreError::ReadOnly { .. }
            | StoreError::Panicked { .. }
            | StoreError::Closed
            | StoreError::Database { .. } => false,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(what)) => return StoreError::Duplicate { what },
            Some(SqlErr::ForeignKeyConstraintViolation(what)) => return StoreError::Dangling { what },
            _ => {}
        }
        let why = error.to_string();
        match database_code(&error).as_deref() {
            // Of the writer's own connection, whose errors the ORM does not know: SQLITE_CONSTRAINT_PRIMARYKEY, _UNIQUE ·
            // _FOREIGNKEY.
            Some("1555" | "2067") => StoreError::Duplicate { what: message(&error) },
            Some("787") => StoreError::Dangling { what: message(&error) },
            // SQLITE_FULL · disk_full
            Some("13" | "53100") => StoreError::Full { why },
            // SQLITE_READONLY and its kinds · read_only_sql_transaction
            Some("8" | "264" | "520" | "776" | "1032" | "1288" | "1544" | "25006") => {
                StoreError::ReadOnly { why }
            }
            // SQLITE_BUSY, _BUSY_SNAPSHOT, SQLITE_LOCKED · serialization_failure, deadlock_detected, lock_not_available
            Some("5" | "261" | "517" | "6" | "40001" | "40P01" | "55P03") => StoreError::Conflict { why },
            // SQLITE_CANTOPEN, SQLITE_NOTADB · admin shutdown, crash shutdown, cannot connect now, too many connections
            Some("14" | "26" | "57P01" | "57P02" | "57P03" | "53300") => StoreError::Unavailable { why },
            Some(_) => StoreError::Database { why },
            None if is_lost(&error) => StoreError::Unavailable { why },
            None => StoreError::Database { why },
        }
    }
}

fn sqlx_error(error: &DbErr) -> Option<&sea_orm::SqlxError> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => Some(inner),
        _ => None,
    }
}

/// SQLSTATE on PostgreSQL, the extended result code on SQLite.
pub(crate) fn database_code(error: &DbErr) -> Option<String> {
    sqlx_error(error)?.as_database_error()?.code().map(|code| code.into_owned())
}

fn message(error: &DbErr) -> String {
    let said = sqlx_error(error).and_then(|error| error.as_database_error());
    said.map(|said| said.message().to_owned()).unwrap_or_default()
}

fn is_lost(error: &DbErr) -> bool {
    use sea_orm::SqlxError as Sqlx;
    matches!(error, DbErr::Conn(_) | DbErr::ConnectionAcquire(_))
        || matches!(
            sqlx_error(error),
            Some(Sqlx::Io(_) | Sqlx::Tls(_) | Sqlx::PoolTimedOut | Sqlx::PoolClosed | Sqlx::WorkerCrashed)
        )
}

/// Why the store did not open. Each is a sentence that says what is wrong and, where it is known, what to do;
/// nothing was changed unless the sentence says so.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address of the database makes no sense.
    #[error(
        "the database address is not understood: {why}; wanted sqlite:///path/to/file.db or postgres://user@host/name"
    )]
    BadAddress {
        /// What is wrong.
        why: String,
    },
    /// Nobody answers at the address, or the file cannot be opened.
    #[error("the database at {place} cannot be reached: {why}")]
    Unreachable {
        /// Where, without any password.
        place: String,
        /// As the driver puts it.
        why: String,
    },
    /// Nothing can be written.
    #[error("the database at {place} is read-only: {why}; Lightkeeper needs to write")]
    ReadOnly {
        /// Where.
        place: String,
        /// As the database puts it.
        why: String,
    },
    /// The database was migrated by a later release.
    #[error(
        "the database was migrated by a newer Lightkeeper ({}): this binary knows {known} migrations; run the newer release, or restore a backup from before the upgrade", unknown.join(", ")
    )]
    NewerSchema {
        /// Migrations that this binary does not know.
        unknown: Vec<String>,
        /// How many it knows.
        known: usize,
    },
    /// A migration stopped in the middle.
    #[error(
        "migration {migration} was begun and not finished: {why}; restore the backup from before the upgrade, do not repair by hand"
    )]
    HalfApplied {
        /// Its name.
        migration: String,
        /// How that is seen.
        why: String,
    },
    /// Migrations are waiting and may not be run by this command.
    #[error("the database needs {} ({}): run `lightkeeper migrate`, or start `lightkeeper serve`",
        if pending.len() == 1 { "a migration".to_owned() } else { format!("{} migrations", pending.len()) }, pending.join(", "))]
    Pending {
        /// Their names, oldest first.
        pending: Vec<String>,
    },
    /// A migration failed; it was rolled back.
    #[error("migration {migration} failed and was rolled back: {why}")]
    MigrationFailed {
        /// Its name.
        migration: String,
        /// As the database puts it.
        why: String,
    },
    /// The tables are not what the code expects.
    #[error("the database is not as this release expects: {}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    WrongSchema {
        /// Every difference found.
        problems: Vec<SchemaProblem>,
    },
    /// Another node holds the start lock.
    #[error(
        "another node has been starting on the same database for more than {waited_s} s; look there first"
    )]
    StartLocked {
        /// How long we waited, in seconds.
        waited_s: u64,
    },
    /// The key file is not there and the database has secrets.
    #[error(
        "the database holds secrets, but the key file {path} is missing: put the key back; without it the secrets cannot be read"
    )]
    KeyMissing {
        /// Where it was looked for.
        path: String,
    },
    /// The key is not the one that sealed this database.
    #[error(
        "the key does not open this database's secrets: it is another installation's key; use the key file that belongs to this database"
    )]
    KeyWrong,
    /// The key file is no key.
    #[error("the key file {path} cannot be used: {why}")]
    KeyFile {
        /// Where.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// Anything else that the database says while it is opened.
    #[error("the database at {place} could not be opened: {why}")]
    Failed {
        /// Where, without any password.
        place: String,
        /// As the database puts it.
        why: StoreError,
    },
    /// As [`StartError::Failed`], where the place is not known.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StartError {
    /// What the database said by itself, with the place of the database.
    pub(crate) fn of(self, place: impl std::fmt::Display) -> Self {
        match self {
            StartError::Store(StoreError::ReadOnly { why }) => {
                StartError::ReadOnly { place: place.to_string(), why }
            }
            StartError::Store(why) => StartError::Failed { place: place.to_string(), why },
            known => known,
        }
    }
}

/// One difference between the live schema and what the code expects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaProblem {
    /// A table is not there.
    #[error("table {table} is missing")]
    MissingTable {
        /// Table.
        table: &'static str,
    },
    /// A column is not there.
    #[error("column {table}.{column} is missing")]
    MissingColumn {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
    },
    /// A column has another type.
    #[error("column {table}.{column} is {found} and should hold {wanted}")]
    WrongType {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// The type found.
        found: String,
        /// What it should be able to hold.
        wanted: String,
    },
    /// A column may be empty and must not, or the other way round.
    #[error("column {table}.{column} {}", if *nullable { "must have a value and should be allowed to be empty" } else { "may be empty and should not" })]
    WrongNullability {
        /// Table.
        table: &'static str,
        /// Column.
        column: &'static str,
        /// Whether it should be nullable.
        nullable: bool,
    },
    /// A unique index that guards an invariant is not there.
    #[error("unique index {index} on {table} is missing")]
    MissingUniqueIndex {
        /// Table.
        table: &'static str,
        /// Index.
        index: &'static str,
    },
}
