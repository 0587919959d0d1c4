//! Who informs with the name of a CPE that is known elsewhere, and an operator's word that one of them is that CPE. What
//! they say is kept apart from what is known of the CPE, and is bounded: anybody may say it.

use crate::{
    db::{Db, Tx},
    entities::{CpeClaimant, cpe_claimants},
    error::StoreError,
    record::Change,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Statement,
};
use std::time::Duration;
use types::{CpeId, UtcMs};

/// Claimants that are kept of one CPE; those that nobody vouched for and that were silent longest go.
pub const MOST_CLAIMANTS: u64 = 8;
/// For how long after they were heard last.
pub const CLAIMANT_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Notes that somebody was heard. Whom an operator vouched for stays vouched for.
///
/// # Errors
/// [`StoreError::Dangling`] when there is no such CPE.
pub async fn heard(tx: &Tx, one: &CpeClaimant) -> Result<(), StoreError> {
    put(
        tx,
        one,
        "url = excluded.url, why = excluded.why, last_at = CASE WHEN excluded.last_at > cpe_claimants.last_at THEN \
         excluded.last_at ELSE cpe_claimants.last_at END",
    )
    .await?;
    make_room(tx, one.cpe_id).await
}

/// Notes an operator's word that who speaks from there is this CPE; it need not have been heard there before.
///
/// # Errors
/// [`StoreError::Dangling`] when there is no such CPE.
pub async fn vouch(tx: &Tx, one: &CpeClaimant) -> Result<(), StoreError> {
    // Only the last word counts.
    no_word(tx, one.cpe_id).await?;
    put(tx, one, "vouched_by = excluded.vouched_by, vouched_until = excluded.vouched_until").await?;
    make_room(tx, one.cpe_id).await
}

async fn put(tx: &Tx, one: &CpeClaimant, when_there: &str) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO cpe_claimants (cpe_id, address, url, why, first_at, last_at, vouched_by, vouched_until) VALUES \
         ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (cpe_id, address) DO UPDATE SET {when_there}"
    );
    let values = [
        one.cpe_id.0.into(),
        one.address.clone().into(),
        one.url.clone().into(),
        one.why.clone().into(),
        one.first_at.0.into(),
        one.last_at.0.into(),
        one.vouched_by.clone().into(),
        one.vouched_until.map(|at| at.0).into(),
    ];
    tx.db().run(Statement::from_sql_and_values(tx.get_database_backend(), &sql, values)).await?;
    Ok(())
}

/// Lets the oldest go that are too many or too old.
async fn make_room(tx: &Tx, cpe: CpeId) -> Result<(), StoreError> {
    let engine = tx.get_database_backend();
    let kept_ms = i64::try_from(CLAIMANT_KEPT.as_millis()).unwrap_or(i64::MAX);
    let old = "DELETE FROM cpe_claimants WHERE cpe_id = $1 AND last_at < $2 AND vouched_until IS NULL";
    let values = [cpe.0.into(), (tx.now().0 - kept_ms).into()];
    tx.db().run(Statement::from_sql_and_values(engine, old, values)).await?;
    let many = "DELETE FROM cpe_claimants WHERE cpe_id = $1 AND address IN (SELECT address FROM cpe_claimants WHERE \
                cpe_id = $1 ORDER BY CASE WHEN vouched_until IS NULL THEN 1 ELSE 0 END, last_at DESC, address LIMIT \
                1000000 OFFSET $2)";
    let most = i64::try_from(MOST_CLAIMANTS).unwrap_or(i64::MAX);
    tx.db().run(Statement::from_sql_and_values(engine, many, [cpe.0.into(), most.into()])).await?;
    Ok(())
}

/// Who was heard since then, the latest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_cpe(db: &Db, cpe: CpeId, since: UtcMs) -> Result<Vec<CpeClaimant>, StoreError> {
    use cpe_claimants::{Column, Entity};
    db.find_all(
        Entity::find()
            .filter(Column::CpeId.eq(cpe.0))
            .filter(Column::LastAt.gte(since.0))
            .order_by_desc(Column::LastAt)
            .order_by_asc(Column::Address)
            .limit(MOST_CLAIMANTS),
    )
    .await
}

/// Whom an operator spoke for last, if that device has not come in since; the word may be too old to count.
///
/// # Errors
/// When the database cannot be read.
pub async fn word_on(db: &Db, cpe: CpeId) -> Result<Option<CpeClaimant>, StoreError> {
    use cpe_claimants::{Column, Entity};
    let there = Condition::all().add(Column::CpeId.eq(cpe.0)).add(Column::VouchedUntil.is_not_null());
    let found: Vec<CpeClaimant> = db.find_all(Entity::find().filter(there).limit(1)).await?;
    Ok(found.into_iter().next())
}

/// The CPE is known from this address now: what was said of it there is over, and so is an operator's word, wherever that
/// was about.
///
/// # Errors
/// When the database cannot be written.
pub async fn is_known_at(tx: &Tx, cpe: CpeId, address: &str) -> Result<(), StoreError> {
    use cpe_claimants::{Column, Entity};
    Entity::delete_many().filter(Column::CpeId.eq(cpe.0)).filter(Column::Address.eq(address)).run(tx).await?;
    no_word(tx, cpe).await
}

/// Takes back what an operator said.
async fn no_word(tx: &Tx, cpe: CpeId) -> Result<(), StoreError> {
    let sql = "UPDATE cpe_claimants SET vouched_by = NULL, vouched_until = NULL WHERE cpe_id = $1 AND vouched_until \
               IS NOT NULL";
    let engine = tx.get_database_backend();
    tx.db().run(Statement::from_sql_and_values(engine, sql, [cpe.0.into()])).await?;
    Ok(())
}
