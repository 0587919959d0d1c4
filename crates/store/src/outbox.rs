//! Outbox: what happened, committed with it, told afterwards at least once and in order.

use crate::{
    db::{Db, Tx},
    entities::{OutboxEvent, outbox},
    error::StoreError,
    record::Change,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};

/// Adds an event; it exists when the unit does.
///
/// # Errors
/// When the database cannot be written.
pub async fn publish(tx: &Tx, topic: &str, payload: serde_json::Value) -> Result<i64, StoreError> {
    tx.insert(&OutboxEvent { topic: topic.to_owned(), payload, at: tx.now(), ..OutboxEvent::default() }).await
}

/// Events that have not been told, oldest first. A flag per event and not a cursor: on PostgreSQL a lower number may be
/// committed after a higher one, and a cursor would have passed it.
///
/// # Errors
/// When the database cannot be read.
pub async fn undelivered(db: &Db, limit: u64) -> Result<Vec<OutboxEvent>, StoreError> {
    db.find_all(
        outbox::Entity::find()
            .filter(outbox::Column::DeliveredAt.is_null())
            .order_by_asc(outbox::Column::Id)
            .limit(limit),
    )
    .await
}

/// The same of one topic only, those after event `after`: events that cannot be told now are passed, and what another
/// release left for itself is left to it.
///
/// # Errors
/// When the database cannot be read.
pub async fn undelivered_of(
    db: &Db,
    topic: &str,
    after: i64,
    limit: u64,
) -> Result<Vec<OutboxEvent>, StoreError> {
    db.find_all(
        outbox::Entity::find()
            .filter(outbox::Column::DeliveredAt.is_null())
            .filter(outbox::Column::Topic.eq(topic))
            .filter(outbox::Column::Id.gt(after))
            .order_by_asc(outbox::Column::Id)
            .limit(limit),
    )
    .await
}

/// Marks events as told; returns how many were not yet.
///
/// # Errors
/// When the database cannot be written.
pub async fn mark_delivered(tx: &Tx, ids: &[i64]) -> Result<u64, StoreError> {
    let done = outbox::Entity::update_many()
        .col_expr(outbox::Column::DeliveredAt, Expr::value(Some(tx.now().0)))
        .filter(outbox::Column::Id.is_in(ids.iter().copied()))
        .filter(outbox::Column::DeliveredAt.is_null())
        .run(tx)
        .await?;
    Ok(done)
}
