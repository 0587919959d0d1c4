//! People, their browsers, programs' keys, and the audit log of what all of them did.

use crate::{
    db::{Db, Tx},
    entities::{ApiKey, AuditEntry, User, WebSession, api_keys, audit_log, users, web_sessions},
    error::{Guarded, StoreError},
    record::{Change, stored::Stored},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use types::{ApiKeyId, UserId, UtcMs};

/// A user by login name.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_name(db: &Db, name: &str) -> Result<Option<User>, StoreError> {
    db.find_one(users::Column::Name.eq(name)).await
}

/// All users, by name.
///
/// # Errors
/// When the database cannot be read.
pub async fn all(db: &Db) -> Result<Vec<User>, StoreError> {
    db.find_all(users::Entity::find().order_by_asc(users::Column::Name)).await
}

/// Records a login; the version stays.
///
/// # Errors
/// When the database cannot be written.
pub async fn logged_in(tx: &Tx, user: UserId, at: UtcMs) -> Result<bool, StoreError> {
    let done = users::Entity::update_many()
        .col_expr(users::Column::LastLoginAt, Expr::value(Some(at.0)))
        .filter(users::Column::Id.eq(user.0))
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// Remembers a browser.
///
/// # Errors
/// [`StoreError::Dangling`] if there is no such user.
pub async fn open_web_session(tx: &Tx, session: &WebSession) -> Result<(), StoreError> {
    web_sessions::Entity::insert(session.clone().into_active()).run(tx).await?;
    Ok(())
}

/// A browser that is logged in, and its user, in one query. An ended session is none, and neither is that of a user
/// who may no longer log in.
///
/// # Errors
/// When the database cannot be read.
pub async fn web_session(db: &Db, token_hash: &str) -> Result<Option<(WebSession, User)>, StoreError> {
    let Some(session) = db
        .find_one::<WebSession>(
            sea_orm::Condition::all()
                .add(web_sessions::Column::TokenHash.eq(token_hash))
                .add(web_sessions::Column::ExpiresAt.gt(db.now().0)),
        )
        .await?
    else {
        return Ok(None);
    };
    let user = db.get::<User>(session.user_id).await?;
    Ok(user.filter(|user| user.active).map(|user| (session, user)))
}

/// Records that a browser was there.
///
/// # Errors
/// When the database cannot be written.
pub async fn touch_web_session(tx: &Tx, token_hash: &str, at: UtcMs) -> Result<bool, StoreError> {
    let done = web_sessions::Entity::update_many()
        .col_expr(web_sessions::Column::LastSeenAt, Expr::value(at.0))
        .filter(web_sessions::Column::TokenHash.eq(token_hash))
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// Logs a browser out.
///
/// # Errors
/// When the database cannot be written.
pub async fn close_web_session(tx: &Tx, token_hash: &str) -> Result<bool, StoreError> {
    let done = web_sessions::Entity::delete_many()
        .filter(web_sessions::Column::TokenHash.eq(token_hash))
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// Logs all browsers of a user out, but `except`; after a change of password or role.
///
/// # Errors
/// When the database cannot be written.
pub async fn close_web_sessions_of(tx: &Tx, user: UserId, except: Option<&str>) -> Result<u64, StoreError> {
    let mut gone = web_sessions::Entity::delete_many().filter(web_sessions::Column::UserId.eq(user.0));
    if let Some(except) = except {
        gone = gone.filter(web_sessions::Column::TokenHash.ne(except));
    }
    gone.run(tx).await
}

/// A key that may be used now, by the hash of what the program presents.
///
/// # Errors
/// When the database cannot be read.
pub async fn api_key(db: &Db, key_hash: &str) -> Result<Option<ApiKey>, StoreError> {
    let found: Option<ApiKey> = db.find_one(api_keys::Column::KeyHash.eq(key_hash)).await?;
    let now = db.now();
    Ok(found.filter(|key| key.revoked_at.is_none() && key.expires_at.is_none_or(|end| end > now)))
}

/// All keys, latest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn api_keys(db: &Db) -> Result<Vec<ApiKey>, StoreError> {
    db.find_all(api_keys::Entity::find().order_by_desc(api_keys::Column::Id)).await
}

/// Records a use of a key.
///
/// # Errors
/// When the database cannot be written.
pub async fn touch_api_key(tx: &Tx, key: ApiKeyId, at: UtcMs) -> Result<bool, StoreError> {
    let done = api_keys::Entity::update_many()
        .col_expr(api_keys::Column::LastUsedAt, Expr::value(Some(at.0)))
        .filter(api_keys::Column::Id.eq(key.0))
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// Takes a key back, once.
///
/// # Errors
/// When the database cannot be written.
pub async fn revoke_api_key(tx: &Tx, key: ApiKeyId, at: UtcMs) -> Result<Guarded, StoreError> {
    let done = api_keys::Entity::update_many()
        .col_expr(api_keys::Column::RevokedAt, Expr::value(Some(at.0)))
        .filter(api_keys::Column::Id.eq(key.0))
        .filter(api_keys::Column::RevokedAt.is_null())
        .run(tx)
        .await?;
    if done > 0 {
        return Ok(Guarded::Changed);
    }
    Ok(match tx.get::<ApiKey>(key).await? {
        Some(_) => Guarded::NotAsExpected { found: "revoked".to_owned() },
        None => Guarded::NotFound,
    })
}

/// Appends to the audit log; in the unit of what it speaks of.
///
/// # Errors
/// When the database cannot be written.
pub async fn audit(tx: &Tx, entry: &AuditEntry) -> Result<i64, StoreError> {
    tx.insert(entry).await
}

/// A page of the audit log, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn audit_page(db: &Db, before: Option<i64>, limit: u64) -> Result<Vec<AuditEntry>, StoreError> {
    let mut query = audit_log::Entity::find().order_by_desc(audit_log::Column::Id).limit(limit);
    if let Some(before) = before {
        query = query.filter(audit_log::Column::Id.lt(before));
    }
    db.find_all(query).await
}

/// What the audit log says of one subject, newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn audit_of(db: &Db, subject: &str, limit: u64) -> Result<Vec<AuditEntry>, StoreError> {
    let query = audit_log::Entity::find()
        .filter(audit_log::Column::Subject.eq(subject))
        .order_by_desc(audit_log::Column::Id)
        .limit(limit);
    db.find_all(query).await
}
