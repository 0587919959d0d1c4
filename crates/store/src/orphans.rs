//! Sessions of CPEs that nobody holds any more, because their process died.
//!
//! Every session names its process, and a process that runs has a lease in its own name ([`crate::leases::PRESENCE`]):
//! so no node takes a session for dead that another one holds.

use crate::{
    db::{Db, Tx},
    entities::cpe_sessions,
    error::StoreError,
    leases,
    record::Change,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, Statement, Value, sea_query::Expr};
use types::{CpeId, CpeSessionId, UtcMs};

/// What tells a device that lost its session with the process from one that goes on by itself.
#[derive(Debug, Clone, Copy)]
pub struct Midway {
    /// States in which the next step needs a session.
    pub states: [&'static str; 2],
    /// Timers that bring such a device on.
    pub timers: [&'static str; 3],
}

/// A session that died with its process, and its device, which waits for nothing since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LostSession {
    /// The session.
    pub session: CpeSessionId,
    /// Whose.
    pub cpe: CpeId,
    /// Version of the CPE's row when this was found.
    pub version: i64,
}

/// Nobody who runs holds this session.
const ORPHANED: &str =
    "s.node NOT IN (SELECT owner FROM node_leases WHERE name LIKE 'node:%' AND until >= $1)";

/// The device is in the middle of something, nothing brings it on, and it did not inform since.
const ADRIFT: &str = "c.state IN ($2, $3) \
     AND NOT EXISTS (SELECT 1 FROM cpe_timers t WHERE t.cpe_id = c.id AND t.timer IN ($4, $5, $6)) \
     AND NOT EXISTS (SELECT 1 FROM cpe_sessions n WHERE n.cpe_id = c.id AND n.id > s.id)";

async fn about_orphans(db: &Db, sql: String, midway: &Midway, more: &[i64]) -> Result<Statement, StoreError> {
    let now = leases::now(db).await?;
    let ([a, b], [c, d, e]) = (midway.states, midway.timers);
    let words = [a, b, c, d, e].map(Value::from);
    let values =
        std::iter::once(Value::from(now.0)).chain(words).chain(more.iter().copied().map(Value::from));
    Ok(Statement::from_sql_and_values(db.get_database_backend(), sql, values))
}

/// Sessions whose process died and whose devices need a new one, the oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn lost(db: &Db, midway: &Midway, limit: u32) -> Result<Vec<LostSession>, StoreError> {
    let sql = format!(
        "SELECT s.id, s.cpe_id, c.version FROM cpe_sessions s JOIN cpes c ON c.id = s.cpe_id \
         WHERE s.ended_at IS NULL AND {ORPHANED} AND {ADRIFT} ORDER BY s.id LIMIT $7"
    );
    let found = db.query_all_raw(about_orphans(db, sql, midway, &[limit.into()]).await?).await?;
    let lost = found.iter().map(|row| {
        Ok(LostSession {
            session: CpeSessionId(row.try_get_by_index(0)?),
            cpe: CpeId(row.try_get_by_index(1)?),
            version: row.try_get_by_index(2)?,
        })
    });
    Ok(lost.collect::<Result<_, sea_orm::DbErr>>()?)
}

/// Ends sessions as `torn` whose process died and whose devices need nothing because of it, and those that began before
/// `before` and have no end although their process runs: at most `limit`, and says how many. Those of
/// [`lost`] stay.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_others(tx: &Tx, midway: &Midway, before: UtcMs, limit: u32) -> Result<u64, StoreError> {
    let sql = format!(
        "UPDATE cpe_sessions SET ended_at = $1, outcome = 'torn' WHERE ended_at IS NULL AND id IN \
         (SELECT s.id FROM cpe_sessions s JOIN cpes c ON c.id = s.cpe_id WHERE s.ended_at IS NULL AND \
         (({ORPHANED} AND NOT ({ADRIFT})) OR (NOT ({ORPHANED}) AND s.began_at < $7)) ORDER BY s.id LIMIT $8)"
    );
    Ok(tx.db().run(about_orphans(tx, sql, midway, &[before.0, limit.into()]).await?).await?)
}

/// Ends a session as `torn` whose process died.
///
/// # Errors
/// When the database cannot be written.
pub async fn end(tx: &Tx, session: CpeSessionId) -> Result<(), StoreError> {
    use cpe_sessions::Column;
    cpe_sessions::Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(Some(tx.now().0)))
        .col_expr(Column::Outcome, Expr::value(Some("torn".to_owned())))
        .filter(Column::Id.eq(session.0))
        .filter(Column::EndedAt.is_null())
        .run(tx)
        .await?;
    Ok(())
}
