//! Words on CPEs, and faults that were taken note of.

use crate::{
    db::{Db, Tx},
    entities::{CpeTag, cpe_faults, cpe_tags},
    error::StoreError,
    record::Change,
    record::stored::Stored,
};
use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use std::collections::BTreeSet;
use types::{CpeId, UtcMs};

/// Tags on one CPE.
pub const MOST_TAGS: u64 = 100;

/// Puts a word on a CPE; false if it is there already, which changes nothing.
///
/// # Errors
/// [`StoreError::TooLarge`] where it has [`MOST_TAGS`], [`StoreError::Dangling`] when there is no such CPE.
pub async fn add(tx: &Tx, tag: &CpeTag) -> Result<bool, StoreError> {
    let done = cpe_tags::Entity::insert(tag.clone().into_active())
        .on_conflict(
            OnConflict::columns([cpe_tags::Column::CpeId, cpe_tags::Column::Tag]).do_nothing().to_owned(),
        )
        .run(tx)
        .await?;
    if done == 0 {
        return Ok(false);
    }
    let all =
        cpe_tags::Entity::find().filter(cpe_tags::Column::CpeId.eq(tag.cpe_id.0)).count(tx.db()).await?;
    if all > MOST_TAGS {
        return Err(StoreError::TooLarge {
            what: "the list of tags on a CPE",
            size: usize::try_from(all).unwrap_or(usize::MAX),
            limit: usize::try_from(MOST_TAGS).unwrap_or(usize::MAX),
        });
    }
    Ok(true)
}

/// The words on a CPE.
///
/// # Errors
/// When the database cannot be read.
pub async fn of(db: &Db, cpe: CpeId) -> Result<BTreeSet<String>, StoreError> {
    let tags = cpe_tags::Entity::find()
        .select_only()
        .column(cpe_tags::Column::Tag)
        .filter(cpe_tags::Column::CpeId.eq(cpe.0))
        .into_tuple::<String>()
        .all(db)
        .await?;
    Ok(tags.into_iter().collect())
}

/// Takes a word from a CPE; false if it was not there.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove(tx: &Tx, cpe: CpeId, tag: &str) -> Result<bool, StoreError> {
    let done = cpe_tags::Entity::delete_many()
        .filter(cpe_tags::Column::CpeId.eq(cpe.0))
        .filter(cpe_tags::Column::Tag.eq(tag))
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// Takes note of a fault of a CPE; false if there is none that still stood.
///
/// # Errors
/// When the database cannot be written.
pub async fn dismiss_fault(tx: &Tx, cpe: CpeId, fault: i64, at: UtcMs) -> Result<bool, StoreError> {
    let done = cpe_faults::Entity::update_many()
        .col_expr(cpe_faults::Column::DismissedAt, Expr::value(Some(at.0)))
        .filter(cpe_faults::Column::Id.eq(fault))
        .filter(cpe_faults::Column::CpeId.eq(cpe.0))
        .filter(cpe_faults::Column::DismissedAt.is_null())
        .run(tx)
        .await?;
    Ok(done > 0)
}
