//! Settings and idempotency keys: small tables that keep an installation of one mind.

use crate::{
    db::{Db, Tx},
    entities::{IdempotencyRecord, Setting, idempotency, settings},
    error::{Guarded, StoreError},
    record::{Change, stored::Stored},
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, OnConflict},
};
use std::time::Duration;

/// A setting.
///
/// # Errors
/// When the database cannot be read.
pub async fn get(db: &Db, key: &str) -> Result<Option<Setting>, StoreError> {
    db.find_one(settings::Column::Key.eq(key)).await
}

/// All settings, by name.
///
/// # Errors
/// When the database cannot be read.
pub async fn all(db: &Db) -> Result<Vec<Setting>, StoreError> {
    db.find_all(settings::Entity::find().order_by_asc(settings::Column::Key)).await
}

/// Writes a setting if its version is still `seen`; zero means that there was none.
///
/// # Errors
/// When the database cannot be written.
pub async fn put(
    tx: &Tx,
    key: &str,
    value: serde_json::Value,
    seen: i64,
    actor: &str,
) -> Result<Guarded, StoreError> {
    let now = tx.now();
    let written = if seen == 0 {
        let row =
            Setting { key: key.to_owned(), value, updated_at: now, updated_by: actor.to_owned(), version: 1 };
        let done = settings::Entity::insert(row.into_active())
            .on_conflict(OnConflict::column(settings::Column::Key).do_nothing().to_owned())
            .run(tx)
            .await?;
        done > 0
    } else {
        let done = settings::Entity::update_many()
            .col_expr(settings::Column::Value, Expr::value(value.to_string()))
            .col_expr(settings::Column::UpdatedAt, Expr::value(now.0))
            .col_expr(settings::Column::UpdatedBy, Expr::value(actor))
            .col_expr(settings::Column::Version, Expr::col(settings::Column::Version).add(1))
            .filter(settings::Column::Key.eq(key))
            .filter(settings::Column::Version.eq(seen))
            .run(tx)
            .await?;
        done > 0
    };
    if written {
        return Ok(Guarded::Changed);
    }
    Ok(match get(tx, key).await? {
        Some(found) => Guarded::NotAsExpected { found: format!("version {}", found.version) },
        None => Guarded::NotFound,
    })
}

/// What is known of a request with an idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// Never seen; it is remembered now, go on.
    New,
    /// Answered before: answer the same.
    Answered(serde_json::Value),
    /// Seen, and not answered yet: it is under way.
    UnderWay,
    /// It was under way, and whoever carried it out has not been heard of for [`UNDER_WAY_FOR`]: it was cut off, before
    /// or after it was done. It is forgotten now, so that the key is free again.
    CutOff,
    /// The key was used for another request.
    OtherRequest,
}

/// A request that is under way counts as such for this long after its process last said so with [`keep_request`].
pub const UNDER_WAY_FOR: Duration = Duration::from_secs(60);

/// Looks a request up and remembers it.
///
/// # Errors
/// When the database cannot be written.
pub async fn remember_request(
    tx: &Tx,
    scope: &str,
    key: &str,
    request_hash: &str,
) -> Result<Seen, StoreError> {
    let row = IdempotencyRecord {
        scope: scope.to_owned(),
        key: key.to_owned(),
        request_hash: request_hash.to_owned(),
        response: None,
        created_at: tx.now(),
    };
    let done = idempotency::Entity::insert(row.into_active())
        .on_conflict(
            OnConflict::columns([idempotency::Column::Scope, idempotency::Column::Key])
                .do_nothing()
                .to_owned(),
        )
        .run(tx)
        .await?;
    if done > 0 {
        return Ok(Seen::New);
    }
    let Some(found) = tx.find_one::<IdempotencyRecord>(request(scope, key)).await? else {
        return Ok(Seen::UnderWay);
    };
    if found.request_hash != request_hash {
        return Ok(Seen::OtherRequest);
    }
    if let Some(response) = found.response {
        return Ok(Seen::Answered(response));
    }
    // Guarded by what was read: of two that ask at once, one is told.
    let cut_off = tx.now().since(found.created_at) >= UNDER_WAY_FOR
        && idempotency::Entity::delete_many()
            .filter(request(scope, key))
            .filter(idempotency::Column::Response.is_null())
            .filter(idempotency::Column::CreatedAt.eq(found.created_at.0))
            .run(tx)
            .await?
            > 0;
    Ok(if cut_off { Seen::CutOff } else { Seen::UnderWay })
}

/// Says that a request is still under way. False: it was taken for cut off, or is answered.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep_request(tx: &Tx, scope: &str, key: &str) -> Result<bool, StoreError> {
    let done = idempotency::Entity::update_many()
        .col_expr(idempotency::Column::CreatedAt, Expr::value(tx.now().0))
        .filter(request(scope, key))
        .filter(idempotency::Column::Response.is_null())
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// True while a request is remembered and not answered.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_under_way(db: &Db, scope: &str, key: &str) -> Result<bool, StoreError> {
    let found: Option<IdempotencyRecord> = db.find_one(request(scope, key)).await?;
    Ok(found.is_some_and(|found| found.response.is_none()))
}

/// Remembers the answer to a request.
///
/// # Errors
/// When the database cannot be written.
pub async fn remember_answer(
    tx: &Tx,
    scope: &str,
    key: &str,
    answer: &serde_json::Value,
) -> Result<bool, StoreError> {
    let done = idempotency::Entity::update_many()
        .col_expr(idempotency::Column::Response, Expr::value(Some(answer.to_string())))
        .filter(request(scope, key))
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// Forgets a request that failed, so that it may be made again.
///
/// # Errors
/// When the database cannot be written.
pub async fn forget_request(tx: &Tx, scope: &str, key: &str) -> Result<bool, StoreError> {
    let done = idempotency::Entity::delete_many()
        .filter(request(scope, key))
        .filter(idempotency::Column::Response.is_null())
        .run(tx)
        .await?;
    Ok(done > 0)
}

fn request(scope: &str, key: &str) -> Condition {
    Condition::all().add(idempotency::Column::Scope.eq(scope)).add(idempotency::Column::Key.eq(key))
}
