//! A connection that writes the embedded database, asked on the thread of the writer itself.
//!
//! A unit of work is a handful of statements of some microseconds each. Handing each of them to another thread and waiting
//! for its answer takes many times that, so the writer has a connection that it asks directly. It tells how many rows a
//! statement changed, and whole rows; a unit that asks for anything else is run in the ordinary way (`unit.rs`).

use crate::record::stored::Stored;
use rusqlite::{
    CachedStatement, Connection, OpenFlags,
    config::DbConfig,
    types::{ToSqlOutput, Value as SqlValue, ValueRef},
};
use sea_orm::{
    DbErr, RuntimeErr, SqlxError, Statement,
    sea_query::Value,
    sqlx::error::{DatabaseError, ErrorKind},
};
use std::{
    borrow::Cow,
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Statements that are kept prepared.
const STATEMENTS: usize = 256;

/// How a connection is opened that writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) read_only: bool,
    pub(crate) busy_timeout: Duration,
    /// Pages that the file may grow to.
    pub(crate) max_pages: Option<u32>,
}

/// A connection, held by the writer and by the unit that runs.
#[derive(Clone)]
pub(crate) struct Local(Arc<Mutex<Connection>>);

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Local")
    }
}

impl Local {
    pub(crate) fn open(path: &Path, manner: Manner) -> Result<Self, DbErr> {
        connect(path, manner).map(|connection| Local(Arc::new(Mutex::new(connection)))).map_err(refused)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A statement ends with whoever panicked; the connection is sound.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One statement that binds nothing and finds nothing: the beginning of a transaction, or its end.
    pub(crate) fn say(&self, sql: &'static str) -> Result<(), DbErr> {
        self.connection().prepare_cached(sql).and_then(|mut one| one.raw_execute()).map(drop).map_err(refused)
    }

    /// How many rows a statement changed.
    pub(crate) fn execute(&self, statement: &Statement) -> Result<u64, DbErr> {
        let connection = self.connection();
        bound(&connection, statement)?.raw_execute().map(|rows| rows as u64).map_err(refused)
    }

    /// Which number the row got that a statement inserts.
    pub(crate) fn insert(&self, statement: &Statement) -> Result<i64, DbErr> {
        let connection = self.connection();
        bound(&connection, statement)?.raw_execute().map_err(refused)?;
        Ok(connection.last_insert_rowid())
    }

    /// The number that a statement finds, in the first column of its first row.
    pub(crate) fn number(&self, statement: &Statement) -> Result<Option<i64>, DbErr> {
        let connection = self.connection();
        let mut prepared = bound(&connection, statement)?;
        let mut found = prepared.raw_query();
        match found.next().map_err(refused)? {
            Some(row) => row.get(0).map_err(refused),
            None => Ok(None),
        }
    }

    /// The rows that a statement finds, its columns being all of `R` in their order. `None` if one cannot be read: the
    /// ordinary way has words for that.
    pub(crate) fn rows<R: Stored>(&self, statement: &Statement) -> Result<Option<Vec<R>>, DbErr> {
        let connection = self.connection();
        let mut prepared = bound(&connection, statement)?;
        let mut found = prepared.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = found.next().map_err(refused)? {
            match R::from_near(row) {
                Some(row) => rows.push(row),
                None => return Ok(None),
            }
        }
        Ok(Some(rows))
    }
}

fn connect(path: &Path, manner: Manner) -> rusqlite::Result<Connection> {
    let access =
        if manner.read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(manner.busy_timeout)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // FULL: a unit that was answered survives a power cut, not only a killed process. NORMAL would save one sync per commit
    // and lose the last commits when the power goes; the group writer already shares that one sync among all units of a
    // group, so the safe choice costs little.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // KiB; what the machine has free caches the file as well.
    connection.pragma_update(None, "cache_size", -4000)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // What a burst made the write-ahead log grow to is given back.
    connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
    if let Some(pages) = manner.max_pages {
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    // Without it, a statement on a table with a partial index is prepared anew for every value that is bound.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A statement with its values, by their numbers where it has any (`$1`), else in their order.
fn bound<'c>(connection: &'c Connection, statement: &Statement) -> Result<CachedStatement<'c>, DbErr> {
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(refused)?;
    let values = statement.values.as_ref().map_or(&[][..], |values| &values.0);
    for place in 1..=prepared.parameter_count() {
        let number = prepared.parameter_name(place).and_then(|name| name.get(1..)?.parse().ok());
        let Some(value) = values.get(number.unwrap_or(place) - 1) else {
            return Err(DbErr::Custom(format!("a statement binds nothing at {place}: {}", statement.sql)));
        };
        prepared.raw_bind_parameter(place, sql_of(value)?).map_err(refused)?;
    }
    Ok(prepared)
}

/// A value as the engine takes it.
fn sql_of(value: &Value) -> Result<ToSqlOutput<'_>, DbErr> {
    fn whole<T: Into<i64> + Copy>(number: &Option<T>) -> ToSqlOutput<'static> {
        ToSqlOutput::Owned(number.map_or(SqlValue::Null, |number| SqlValue::Integer(number.into())))
    }
    fn real<T: Into<f64> + Copy>(number: &Option<T>) -> ToSqlOutput<'static> {
        ToSqlOutput::Owned(number.map_or(SqlValue::Null, |number| SqlValue::Real(number.into())))
    }
    Ok(match value {
        Value::Bool(held) => whole(held),
        Value::TinyInt(held) => whole(held),
        Value::SmallInt(held) => whole(held),
        Value::Int(held) => whole(held),
        Value::BigInt(held) => whole(held),
        Value::TinyUnsigned(held) => whole(held),
        Value::SmallUnsigned(held) => whole(held),
        Value::Unsigned(held) => whole(held),
        Value::BigUnsigned(held) => {
            let fits = |number: u64| {
                i64::try_from(number).map_err(|_| DbErr::Type(format!("{number} is too large a number")))
            };
            whole(&held.map(fits).transpose()?)
        }
        Value::Float(held) => real(held),
        Value::Double(held) => real(held),
        Value::String(held) => ToSqlOutput::Borrowed(
            held.as_ref().map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes())),
        ),
        Value::Bytes(held) => {
            ToSqlOutput::Borrowed(held.as_ref().map_or(ValueRef::Null, |bytes| ValueRef::Blob(bytes)))
        }
        other => return Err(DbErr::Type(format!("the embedded database stores no {other:?}"))),
    })
}

/// What the engine answered instead of doing it.
#[derive(Debug)]
pub(crate) struct Refused {
    /// The extended result code.
    code: i32,
    message: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(code: {}) {}", self.code, self.message)
    }
}

impl std::error::Error for Refused {}

impl DatabaseError for Refused {
    fn message(&self) -> &str {
        &self.message
    }
    fn code(&self) -> Option<Cow<'_, str>> {
        Some(self.code.to_string().into())
    }
    fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
        self
    }
    fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
        self
    }
    fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
        self
    }
    fn kind(&self) -> ErrorKind {
        match self.code {
            rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY | rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE => {
                ErrorKind::UniqueViolation
            }
            rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => ErrorKind::ForeignKeyViolation,
            _ => ErrorKind::Other,
        }
    }
}

fn refused(error: rusqlite::Error) -> DbErr {
    let Some(code) = error.sqlite_error().map(|one| one.extended_code) else {
        return DbErr::Type(error.to_string());
    };
    let error = Refused { code, message: error.to_string() };
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(SqlxError::Database(Box::new(error)))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StoreError;
    use sea_orm::DbBackend;

    fn local() -> (Local, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("lk.db");
        Connection::open(&file).expect("makes it");
        let manner = Manner { read_only: false, busy_timeout: Duration::from_secs(10), max_pages: None };
        let local = Local::open(&file, manner).expect("opens");
        local
            .say("CREATE TABLE things (id integer PRIMARY KEY, z text UNIQUE, a boolean, b blob)")
            .expect("a table");
        (local, folder)
    }

    fn with(sql: &str, values: Vec<Value>) -> Statement {
        Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
    }

    fn number(local: &Local, sql: &str) -> i64 {
        local.number(&with(sql, Vec::new())).expect("answers").expect("a number")
    }

    #[test]
    fn values_are_stored_as_what_they_are_and_changes_are_counted() {
        let (local, _folder) = local();
        let insert = "INSERT INTO things (z, a, b) VALUES (?, ?, ?)";
        let values = vec!["Ó\u{0}".into(), true.into(), vec![0u8, 255].into()];
        assert_eq!(local.insert(&with(insert, values)).expect("inserts"), 1);
        let nothing = vec![Value::String(None), Value::Bool(None), Value::Bytes(None)];
        assert_eq!(local.insert(&with(insert, nothing)).expect("inserts"), 2);
        let as_they_were = "SELECT COUNT(*) FROM things WHERE z = 'Ó' || char(0) AND a = 1 AND b = x'00ff'";
        assert_eq!(number(&local, as_they_were), 1);
        assert_eq!(
            number(&local, "SELECT COUNT(*) FROM things WHERE z IS NULL AND a IS NULL AND b IS NULL"),
            1
        );
        // By their numbers, in whatever order they are named.
        let update = with("UPDATE things SET id = $2 WHERE id = $1", vec![1i64.into(), 9i64.into()]);
        assert_eq!(local.execute(&update).expect("updates"), 1);
        assert_eq!(local.execute(&update).expect("updates"), 0, "there is no 1 any more");
        assert_eq!(number(&local, "SELECT MAX(id) FROM things"), 9);
        let unbound = local.execute(&with("UPDATE things SET id = $2", vec![1i64.into()]));
        assert!(unbound.is_err(), "nothing is left empty that was to be bound");
    }

    #[test]
    fn what_the_engine_refuses_has_its_name() {
        let (local, _folder) = local();
        let insert = || local.execute(&with("INSERT INTO things (z) VALUES (?)", vec!["a".into()]));
        insert().expect("the first");
        let error = StoreError::from(insert().expect_err("taken"));
        assert!(matches!(&error, StoreError::Duplicate { what } if what.contains("things.z")), "{error}");
        let error = StoreError::from(local.say("NONSENSE").expect_err("no statement"));
        assert!(matches!(error, StoreError::Database { .. }), "{error}");
        let other = Connection::open(local.connection().path().expect("a file")).expect("opens");
        other.execute_batch("BEGIN IMMEDIATE").expect("holds it");
        local.connection().busy_timeout(Duration::ZERO).expect("waits for nobody");
        let error = StoreError::from(local.say("BEGIN IMMEDIATE").expect_err("held"));
        assert!(error.is_conflict(), "{error}");
    }

    #[test]
    fn a_commit_is_on_the_disk_before_it_is_answered() {
        let (local, _folder) = local();
        assert_eq!(number(&local, "PRAGMA synchronous"), 2, "FULL");
        assert_eq!(number(&local, "PRAGMA foreign_keys"), 1);
        let mode: String =
            local.connection().query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("a word");
        assert_eq!(mode, "wal");
    }
}
