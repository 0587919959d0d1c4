//! Recordings of CPEs: lines of text, bounded in number, time and size.

use crate::{
    db::{Db, Tx},
    entities::{CpeRecording, CpeRecordingLine, cpe_recording_lines, cpe_recordings},
    error::StoreError,
    record::{Change, rows, stored::Stored},
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use types::{CpeId, CpeRecordingId, UtcMs};

/// The most that one recording holds, in bytes.
pub const LONGEST: i64 = 4 * 1024 * 1024;
/// Recordings that may run at the same time.
pub const MOST_AT_ONCE: u64 = 20;
/// Recordings kept of one CPE; the oldest goes when another one begins.
pub const KEPT_PER_CPE: u64 = 3;
/// Recordings kept of all CPEs together; the oldest that is over goes when another one begins.
pub const KEPT_IN_ALL: u64 = 200;

/// Why a recording ended.
pub mod ended {
    /// The sessions it was for are over.
    pub const SESSIONS: &str = "sessions";
    /// Its time is over.
    pub const TIME: &str = "time";
    /// It is full.
    pub const FULL: &str = "full";
    /// Somebody stopped it.
    pub const STOPPED: &str = "stopped";
}

fn running(now: UtcMs) -> Condition {
    use cpe_recordings::Column;
    Condition::all().add(Column::EndedAt.is_null()).add(Column::UntilAt.gt(now.0))
}

/// The recordings that run now.
///
/// # Errors
/// When the database cannot be read.
pub async fn running_now(db: &Db, now: UtcMs) -> Result<Vec<CpeRecording>, StoreError> {
    use cpe_recordings::{Column, Entity};
    db.find_all(Entity::find().filter(running(now)).order_by_asc(Column::Id).limit(MOST_AT_ONCE)).await
}

/// Recordings of one CPE, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_cpe(db: &Db, cpe: CpeId) -> Result<Vec<CpeRecording>, StoreError> {
    use cpe_recordings::{Column, Entity};
    let found = Entity::find().filter(Column::CpeId.eq(cpe.0)).order_by_desc(Column::Id);
    db.find_all(found.limit(KEPT_PER_CPE + 1)).await
}

/// Begins a recording with its first line; older ones of the same CPE make room. `None`: too many run already.
///
/// # Errors
/// When the database cannot be written.
pub async fn begin(
    tx: &Tx,
    new: CpeRecording,
    heading: &str,
    now: UtcMs,
) -> Result<Option<CpeRecordingId>, StoreError> {
    use cpe_recordings::{Column, Entity};
    if Entity::find().filter(running(now)).count(tx.db()).await? >= MOST_AT_ONCE {
        return Ok(None);
    }
    let before = of_cpe(tx, new.cpe_id).await?;
    for old in before.iter().skip(usize::try_from(KEPT_PER_CPE - 1).unwrap_or(0)) {
        tx.delete::<CpeRecording>(old.id).await?;
    }
    let there = Entity::find().count(tx.db()).await?;
    let too_many = (there + 1).saturating_sub(KEPT_IN_ALL);
    if too_many > 0 {
        let over = Condition::any().add(Column::EndedAt.is_not_null()).add(Column::UntilAt.lte(now.0));
        let oldest =
            Entity::find().filter(over).order_by_asc(Column::Id).limit(too_many).all(tx.db()).await?;
        for old in rows::<CpeRecording>(oldest)? {
            tx.delete::<CpeRecording>(old.id).await?;
        }
    }
    let new = CpeRecording { lines: 1, bytes: length(heading), version: 1, ..new };
    let id = tx.insert(&new).await?;
    put(tx, id, 1, heading).await?;
    Ok(Some(id))
}

fn length(line: &str) -> i64 {
    i64::try_from(line.len()).unwrap_or(i64::MAX).saturating_add(1)
}

async fn put(tx: &Tx, recording: CpeRecordingId, line: i64, body: &str) -> Result<(), StoreError> {
    let row = CpeRecordingLine { recording_id: recording, line, body: body.to_owned() };
    cpe_recording_lines::Entity::insert(row.into_active()).run(tx).await?;
    Ok(())
}

/// Adds a line; `session_over`: it is the last one of a session. False: the recording is over, and the line may not
/// have been taken.
///
/// # Errors
/// When the database cannot be written.
pub async fn append(
    tx: &Tx,
    id: CpeRecordingId,
    line: &str,
    session_over: bool,
    now: UtcMs,
) -> Result<bool, StoreError> {
    let Some(mut row) = tx.get::<CpeRecording>(id).await?.filter(|row| row.ended_at.is_none()) else {
        return Ok(false);
    };
    let end = |row: &mut CpeRecording, why: &str| {
        row.ended_at = Some(now);
        why.clone_into(&mut row.end_reason);
    };
    if row.until_at <= now {
        end(&mut row, ended::TIME);
    } else if row.bytes.saturating_add(length(line)) > LONGEST {
        end(&mut row, ended::FULL);
    } else {
        row.lines += 1;
        row.bytes += length(line);
        put(tx, id, row.lines, line).await?;
        if session_over {
            row.sessions_left -= 1;
            if row.sessions_left <= 0 {
                end(&mut row, ended::SESSIONS);
            }
        }
    }
    let runs = row.ended_at.is_none();
    tx.update(&row).await?.or_overtaken("the recording")?;
    Ok(runs)
}

/// Ends a recording on somebody's word. False: it was over.
///
/// # Errors
/// When the database cannot be written.
pub async fn stop(tx: &Tx, id: CpeRecordingId, now: UtcMs) -> Result<bool, StoreError> {
    let Some(row) = tx.get::<CpeRecording>(id).await?.filter(|row| row.ended_at.is_none()) else {
        return Ok(false);
    };
    let row = CpeRecording { ended_at: Some(now), end_reason: ended::STOPPED.to_owned(), ..row };
    tx.update(&row).await?.or_overtaken("the recording")?;
    Ok(true)
}

/// Its lines, in order; there are not more of them than [`LONGEST`] allows.
///
/// # Errors
/// When the database cannot be read.
pub async fn lines(db: &Db, id: CpeRecordingId) -> Result<Vec<String>, StoreError> {
    use cpe_recording_lines::{Column, Entity};
    let found: Vec<CpeRecordingLine> =
        db.find_all(Entity::find().filter(Column::RecordingId.eq(id.0)).order_by_asc(Column::Line)).await?;
    Ok(found.into_iter().map(|line| line.body).collect())
}
