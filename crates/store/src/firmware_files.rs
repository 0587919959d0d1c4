//! Firmware files. Their content lies in the database, in parts: every node of an installation has it, a backup of the
//! database is whole, and what was not uploaded to its end is never found ([ADR 7](../../../docs/adr)).

use crate::{
    db::{Db, Tx},
    entities::{FirmwareFile, FirmwarePart, firmware_files, firmware_parts},
    error::StoreError,
    leases,
    record::{Change, stored::Stored},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter,
    QuerySelect, Statement, Value, sea_query::Expr,
};
use std::time::Duration;
use types::{FirmwareFileId, UtcMs};

/// Bytes of a part: small enough that writing one holds nobody up.
pub const PART: usize = 256 * 1024;
/// Bytes of the largest file.
pub const LARGEST: u64 = 256 * 1024 * 1024;
/// Bytes of all files together.
pub const ALL_TOGETHER: u64 = 4 * 1024 * 1024 * 1024;
/// Uploads at the same time.
pub const MOST_AT_ONCE: u64 = 4;
/// An upload that is not whole by then never will be.
pub const UPLOAD_WITHIN: Duration = Duration::from_secs(30 * 60);
/// Parts that go in one unit of work.
const PARTS_PER_SWEEP: u32 = 16;

/// States of a file.
pub mod state {
    /// Not whole yet.
    pub const UPLOADING: &str = "uploading";
    /// Whole, and what its checksum says.
    pub const READY: &str = "ready";
    /// On its way out; nobody finds it any more.
    pub const REMOVING: &str = "removing";
}

/// What a new upload met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    /// It may go on.
    As(FirmwareFileId),
    /// As many as may are under way.
    TooMany,
    /// There are as many bytes as there may be.
    NoRoom,
}

/// What became of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there.
    Kept,
    /// All files, those under way among them, have as many bytes as there may be.
    NoRoom,
}

/// Gives up what is uploaded through processes that do not run any more, and what takes too long.
async fn give_up_dead(tx: &Tx, now: UtcMs) -> Result<(), StoreError> {
    let within = i64::try_from(UPLOAD_WITHIN.as_millis()).unwrap_or(i64::MAX);
    let sql = format!(
        // The version, so that no node whose clock is behind brings it back.
        "UPDATE firmware_files SET state = '{}', version = version + 1 WHERE state = '{}' AND (uploaded_at < $1 OR \
         process NOT IN (SELECT owner FROM node_leases WHERE name LIKE '{}%' AND until >= $2))",
        state::REMOVING,
        state::UPLOADING,
        leases::PRESENCE
    );
    let late = now.0.saturating_sub(within).saturating_sub(60_000);
    let values = [Value::from(late), Value::from(leases::now(tx).await?.0)];
    let backend = tx.db().get_database_backend();
    tx.db().run(Statement::from_sql_and_values(backend, sql, values)).await?;
    Ok(())
}

/// Bytes of all files, with those under way and on their way out.
async fn together(tx: &Tx) -> Result<u64, StoreError> {
    use firmware_files::{Column, Entity};
    let sizes: Vec<i64> = Entity::find().select_only().column(Column::Size).into_tuple().all(tx.db()).await?;
    Ok(sizes.into_iter().filter_map(|size| u64::try_from(size).ok()).sum())
}

/// Lets one unit at a time count what there is and add to it, as on SQLite every unit does.
async fn alone(tx: &Tx) -> Result<(), StoreError> {
    let backend = tx.db().get_database_backend();
    if backend == DbBackend::Postgres {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended('firmware files', 0))";
        tx.execute_raw(Statement::from_string(backend, sql)).await?;
    }
    Ok(())
}

/// Begins a file that has no content yet.
///
/// # Errors
/// When the database cannot be written.
pub async fn begin(tx: &Tx, new: FirmwareFile) -> Result<Begun, StoreError> {
    use firmware_files::{Column, Entity};
    alone(tx).await?;
    give_up_dead(tx, tx.now()).await?;
    let under_way = Entity::find().filter(Column::State.eq(state::UPLOADING)).count(tx.db()).await?;
    if under_way >= MOST_AT_ONCE {
        return Ok(Begun::TooMany);
    }
    if together(tx).await? >= ALL_TOGETHER {
        return Ok(Begun::NoRoom);
    }
    let new = FirmwareFile { state: state::UPLOADING.to_owned(), version: 1, ..new };
    Ok(Begun::As(tx.insert(&new).await?))
}

/// Adds a part to a file that is being uploaded.
///
/// # Errors
/// [`StoreError::Overtaken`] when it is not being uploaded any more; [`StoreError::Full`] when the disk is full.
pub async fn put(tx: &Tx, file: FirmwareFileId, number: i64, body: Vec<u8>) -> Result<Put, StoreError> {
    use firmware_files::{Column, Entity};
    let bytes = i64::try_from(body.len()).unwrap_or(i64::MAX);
    alone(tx).await?;
    if together(tx).await?.saturating_add(body.len() as u64) > ALL_TOGETHER {
        return Ok(Put::NoRoom);
    }
    let counted = Entity::update_many()
        .col_expr(Column::Size, Expr::col(Column::Size).add(bytes))
        .filter(Column::Id.eq(file.0))
        .filter(Column::State.eq(state::UPLOADING))
        .run(tx)
        .await?;
    if counted == 0 {
        return Err(StoreError::Overtaken { what: "the upload", found: "that it was given up".to_owned() });
    }
    let part = FirmwarePart { file_id: file, number, body };
    firmware_parts::Entity::insert(part.into_active()).exec_without_returning(tx.db()).await?;
    Ok(Put::Kept)
}

/// All parts are there: the file is ready.
///
/// # Errors
/// [`StoreError::Duplicate`] when the same content is there for the same CPEs, [`StoreError::Overtaken`] when it is not
/// being uploaded any more.
pub async fn finish(
    tx: &Tx,
    file: FirmwareFileId,
    size: i64,
    sha256: &str,
) -> Result<FirmwareFile, StoreError> {
    let row: FirmwareFile = tx.require(file).await?;
    if row.state != state::UPLOADING {
        return Err(StoreError::Overtaken { what: "the upload", found: row.state });
    }
    let row = FirmwareFile { size, sha256: sha256.to_owned(), state: state::READY.to_owned(), ..row };
    tx.update(&row).await?.or_overtaken("the upload")?;
    Ok(row)
}

/// Gives an upload up. False: it is not under way any more, and a file that was kept stays.
///
/// # Errors
/// When the database cannot be written.
pub async fn give_up(tx: &Tx, file: FirmwareFileId) -> Result<bool, StoreError> {
    use firmware_files::{Column, Entity};
    let done = Entity::update_many()
        .col_expr(Column::State, Expr::value(state::REMOVING))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(file.0))
        .filter(Column::State.eq(state::UPLOADING))
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// Nobody finds the file from now on; its parts go with [`sweep`]. False: it is not there.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove(tx: &Tx, file: FirmwareFileId) -> Result<bool, StoreError> {
    use firmware_files::{Column, Entity};
    let done = Entity::update_many()
        .col_expr(Column::State, Expr::value(state::REMOVING))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(file.0))
        .filter(Column::State.ne(state::REMOVING))
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// Removes what is left of files on their way out, and of uploads that nobody finished; some at a time, so that no unit
/// of work is long. Zero: nothing is left.
///
/// # Errors
/// When the database cannot be written.
pub async fn sweep(tx: &Tx, now: UtcMs) -> Result<u64, StoreError> {
    give_up_dead(tx, now).await?;
    let parts = format!(
        "DELETE FROM firmware_parts WHERE (file_id, number) IN (SELECT p.file_id, p.number FROM firmware_parts p \
         JOIN firmware_files f ON f.id = p.file_id WHERE f.state = '{}' LIMIT {PARTS_PER_SWEEP})",
        state::REMOVING
    );
    let backend = tx.db().get_database_backend();
    let gone = tx.db().run(Statement::from_string(backend, parts)).await?;
    if gone > 0 {
        return Ok(gone);
    }
    // Another sweep may have taken the very parts that this one was to take; files go when none of theirs is left.
    let files = format!(
        "DELETE FROM firmware_files WHERE state = '{}' AND NOT EXISTS \
         (SELECT 1 FROM firmware_parts p WHERE p.file_id = firmware_files.id)",
        state::REMOVING
    );
    Ok(tx.db().run(Statement::from_string(backend, files)).await?)
}

/// A file that is whole.
///
/// # Errors
/// When the database cannot be read.
pub async fn ready(db: &Db, file: FirmwareFileId) -> Result<Option<FirmwareFile>, StoreError> {
    Ok(db.get::<FirmwareFile>(file).await?.filter(|row| row.state == state::READY))
}

/// A part of its content; `None` behind the last one. Read through the pool: it is large, and nobody else should wait.
///
/// # Errors
/// When the database cannot be read.
pub async fn part(db: &Db, file: FirmwareFileId, number: i64) -> Result<Option<Vec<u8>>, StoreError> {
    use firmware_parts::{Column, Entity};
    let found =
        Entity::find().filter(Column::FileId.eq(file.0)).filter(Column::Number.eq(number)).one(db).await?;
    Ok(found.map(FirmwarePart::from_model).transpose()?.map(|part| part.body))
}
