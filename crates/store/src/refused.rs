//! Addresses that the ACS refused because they are in no management network. Bounded: the newest are kept, those of
//! private networks apart from those of the internet, whose scanners would fill any list.

use crate::{
    db::{Db, Tx},
    entities::{RefusedAddress, refused_addresses},
    error::StoreError,
};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement};
use std::time::Duration;
use types::UtcMs;

/// Addresses that are kept of each of the two kinds.
pub const MOST_REFUSED: u64 = 250;
/// For how long.
pub const REFUSED_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Adds what was refused since the last time; `times` of a row is how often since then.
///
/// # Errors
/// When the database cannot be written.
pub async fn add(tx: &Tx, refused: &[RefusedAddress]) -> Result<(), StoreError> {
    let engine = tx.get_database_backend();
    for row in refused {
        let sql = "INSERT INTO refused_addresses (address, public, times, first_at, last_at) \
                   VALUES ($1, $2, $3, $4, $5) ON CONFLICT (address) DO UPDATE SET \
                   times = refused_addresses.times + excluded.times, \
                   first_at = CASE WHEN excluded.first_at < refused_addresses.first_at \
                   THEN excluded.first_at ELSE refused_addresses.first_at END, \
                   last_at = CASE WHEN excluded.last_at > refused_addresses.last_at \
                   THEN excluded.last_at ELSE refused_addresses.last_at END";
        let values = [
            row.address.clone().into(),
            row.public.into(),
            row.times.into(),
            row.first_at.0.into(),
            row.last_at.0.into(),
        ];
        tx.db().run(Statement::from_sql_and_values(engine, sql, values)).await?;
    }
    let kept_ms = i64::try_from(REFUSED_KEPT.as_millis()).unwrap_or(i64::MAX);
    let old = "DELETE FROM refused_addresses WHERE last_at < $1";
    tx.db().run(Statement::from_sql_and_values(engine, old, [(tx.now().0 - kept_ms).into()])).await?;
    let most = i64::try_from(MOST_REFUSED).unwrap_or(i64::MAX);
    for public in [false, true] {
        let sql = "DELETE FROM refused_addresses WHERE public = $1 AND address IN (SELECT address FROM \
                   refused_addresses WHERE public = $1 ORDER BY last_at DESC, address LIMIT 1000000 OFFSET $2)";
        tx.db().run(Statement::from_sql_and_values(engine, sql, [public.into(), most.into()])).await?;
    }
    Ok(())
}

/// All that are kept and came since then, the newest first, those of private networks before those of the internet.
///
/// # Errors
/// When the database cannot be read.
pub async fn since(db: &Db, since: UtcMs) -> Result<Vec<RefusedAddress>, StoreError> {
    use refused_addresses::{Column, Entity};
    db.find_all(
        Entity::find()
            .filter(Column::LastAt.gte(since.0))
            .order_by_asc(Column::Public)
            .order_by_desc(Column::LastAt)
            .order_by_asc(Column::Address)
            .limit(2 * MOST_REFUSED),
    )
    .await
}
