//! Contacts in which nothing happened: a CPE informed, had nothing to do, and went. Most sessions of an ACS are such. Many
//! of them are written at once, each row by one statement for all.

use crate::{
    cell::RawJson,
    cpes::put_timers,
    db::Tx,
    entities::{CpeSession, CpeTimer},
    error::StoreError,
    retention::Bounds,
};
use sea_orm::{ConnectionTrait, Statement, Value};
use std::collections::{BTreeMap, BTreeSet};
use types::{CpeId, UtcMs};

/// What a CPE is after it was heard of, and nothing else of it changed.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Which.
    pub cpe: CpeId,
    /// Version of the row that this was made from.
    pub version: i64,
    /// Everything that its machine remembers, as JSON.
    pub machine: RawJson,
    /// When.
    pub last_inform_at: Option<UtcMs>,
    /// When it is expected next.
    pub next_inform_by: Option<UtcMs>,
    /// The timer that fires if it does not come.
    pub timer: Option<(String, UtcMs)>,
}

/// Rows in one statement. A few sizes only, so that there are few statements to prepare and to keep.
const PORTIONS: [usize; 3] = [64, 8, 1];

fn portions<T>(mut items: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let size = PORTIONS.into_iter().find(|size| *size <= items.len())?;
        let (some, rest) = items.split_at(size);
        items = rest;
        Some(some)
    })
}

/// Writes that these CPEs were heard of, each if nobody else changed it since it was read, and says which ones were. At most
/// one item for each CPE.
///
/// # Errors
/// When the database cannot be written.
pub async fn hear(tx: &Tx, heard: &[Heard]) -> Result<BTreeSet<CpeId>, StoreError> {
    let mut changed = BTreeSet::new();
    for some in portions(heard) {
        let places: Vec<String> = (0..some.len()).map(|nth| placeholders(nth * 5, 5)).collect();
        let sql = format!(
            "WITH heard (id, version, machine, last_inform_at, next_inform_by) AS (VALUES {}) UPDATE cpes SET \
             machine = heard.machine, last_inform_at = heard.last_inform_at, next_inform_by = heard.next_inform_by, \
             version = cpes.version + 1 FROM heard WHERE cpes.id = heard.id AND cpes.version = heard.version \
             RETURNING cpes.id",
            places.join(", ")
        );
        let values = some.iter().flat_map(|one| {
            [
                Value::from(one.cpe.0),
                Value::from(one.version),
                Value::from(one.machine.as_str()),
                Value::from(one.last_inform_at.map(|at| at.0)),
                Value::from(one.next_inform_by.map(|at| at.0)),
            ]
        });
        let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
        for row in tx.query_all_raw(statement).await? {
            changed.insert(CpeId(row.try_get_by_index(0)?));
        }
    }
    let timers: Vec<CpeTimer> = heard
        .iter()
        .filter(|one| changed.contains(&one.cpe))
        .filter_map(|one| {
            let (timer, at) = one.timer.clone()?;
            Some(CpeTimer { cpe_id: one.cpe, timer, at })
        })
        .collect();
    for some in portions(&timers) {
        put_timers(tx, some.to_vec()).await?;
    }
    Ok(changed)
}

/// Writes sessions that are over already, and takes the oldest away where a CPE has too many by them.
///
/// # Errors
/// [`StoreError::Dangling`] if there is no such CPE.
pub async fn record(tx: &Tx, sessions: &[CpeSession], bounds: &Bounds) -> Result<(), StoreError> {
    for some in portions(sessions) {
        tx.insert_many(some).await?;
    }
    let mut new: BTreeMap<CpeId, usize> = BTreeMap::new();
    for session in sessions {
        *new.entry(session.cpe_id).or_default() += 1;
    }
    let cpes: Vec<CpeId> = new.keys().copied().collect();
    // Each round takes one session of each CPE: as many as came, at most.
    for _ in 0..new.values().max().copied().unwrap_or(0) {
        for some in portions(&cpes) {
            let sql = format!(
                "DELETE FROM cpe_sessions WHERE id IN (SELECT (SELECT s.id FROM cpe_sessions s WHERE s.cpe_id = c.id \
                 ORDER BY s.id DESC LIMIT 1 OFFSET $1) FROM cpes c WHERE c.id IN {})",
                placeholders(1, some.len())
            );
            let ids = some.iter().map(|cpe| Value::from(cpe.0));
            let values = std::iter::once(Value::from(bounds.sessions_per_cpe)).chain(ids);
            tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
        }
    }
    Ok(())
}

/// `($4, $5, $6)` for three values after the first three.
fn placeholders(before: usize, count: usize) -> String {
    let places: Vec<String> = (1..=count).map(|nth| format!("${}", before + nth)).collect();
    format!("({})", places.join(", "))
}
