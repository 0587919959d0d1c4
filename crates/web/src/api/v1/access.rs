//! Logins of people and keys of programs. What is shown once is never kept for a replay.

use app::{Actor, AppError, Permission, Role};
use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use store::read::{ApiKeyRow, UserRow};
use types::{ApiKeyId, UserId};
use utoipa::ToSchema;

use super::{
    idempotency::Order,
    input::{Asked, Body, Filter, Id, Nothing, Pages},
    output::{Answer, List, Reply, Time, found, time},
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    state::Ctx,
};

/// Who asks, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Me {
    /// As the audit log names it, e.g. `nino` or `key:billing`.
    actor: String,
    /// Scopes, e.g. `onus:authorise`.
    permissions: Vec<&'static str>,
}

/// A login.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct User {
    id: i64,
    name: String,
    /// `admin`, `noc`, `support`, `technician` or `viewer`.
    role: String,
    active: bool,
    /// They have to choose a password at the next sign-in.
    must_change: bool,
    created_at: Time,
    last_login_at: Option<Time>,
}

/// A new login.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserInput {
    #[schema(max_length = 64)]
    name: String,
    /// `admin`, `noc`, `support`, `technician` or `viewer`.
    role: String,
}

/// A login that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewUser {
    user: User,
    /// Shown this once; null in a replay. They have to choose another at the first sign-in.
    password: Option<String>,
}

/// What a login may be changed to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    /// `admin`, `noc`, `support`, `technician` or `viewer`.
    role: String,
    /// False ends every session of it.
    active: bool,
}

/// An API key, without itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiKey {
    id: i64,
    name: String,
    /// What it may do, e.g. `onus:authorise`.
    scopes: Vec<String>,
    created_by: String,
    created_at: Time,
    /// Null: never.
    expires_at: Option<Time>,
    last_used_at: Option<Time>,
    revoked_at: Option<Time>,
}

/// A new API key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApiKeyInput {
    /// What it is for.
    #[schema(max_length = 64)]
    name: String,
    /// What it may do, e.g. `["read", "onus:authorise"]`. Nobody hands out what they may not do themselves.
    scopes: Vec<String>,
    /// It expires after so many days; absent: never.
    #[schema(minimum = 1)]
    valid_days: Option<u32>,
}

/// An API key that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NewApiKey {
    api_key: ApiKey,
    /// The key, shown this once; null in a replay. It is not stored: lost means revoke it and make another.
    key: Option<String>,
}

fn user(row: UserRow) -> User {
    User {
        id: row.id,
        name: row.name,
        role: row.role,
        active: row.active,
        must_change: row.must_change,
        created_at: row.created_at.into(),
        last_login_at: time(row.last_login_at),
    }
}

fn api_key(row: ApiKeyRow) -> ApiKey {
    ApiKey {
        id: row.id,
        name: row.name,
        scopes: serde_json::from_str(&row.scopes).unwrap_or_default(),
        created_by: row.created_by,
        created_at: row.created_at.into(),
        expires_at: time(row.expires_at),
        last_used_at: time(row.last_used_at),
        revoked_at: time(row.revoked_at),
    }
}

fn role(text: &str) -> Result<Role, AppError> {
    text.parse().map_err(|error: store::UnknownWord| AppError::invalid("role", error.to_string()))
}

fn scopes(words: &[String]) -> Result<Vec<Permission>, AppError> {
    let mut scopes = Vec::new();
    for word in words {
        let Some(permission) = Permission::parse(word) else {
            let known: Vec<&str> = Permission::ALL.iter().map(|permission| permission.as_str()).collect();
            let shown: String = word.chars().take(40).collect();
            return Err(AppError::invalid("scopes", format!("{shown:?} is none of {}.", known.join(", "))));
        };
        if !scopes.contains(&permission) {
            scopes.push(permission);
        }
    }
    Ok(scopes)
}

async fn one_user(ctx: &Ctx, id: i64) -> Result<User, Fail> {
    let row = ctx.read().users().await?.into_iter().find(|row| row.id == id);
    found(row, "user", id).map(user)
}

async fn one_key(ctx: &Ctx, id: i64) -> Result<ApiKey, Fail> {
    let row = ctx.read().api_keys().await?.into_iter().find(|row| row.id == id);
    found(row, "API key", id).map(api_key)
}

/// Who asks, and what they may do.
#[utoipa::path(get, path = "/api/v1/me", tag = "about", responses((status = 200, description = "You.", body = Me)))]
pub(super) async fn get_me(Caller(actor): Caller) -> Json<Me> {
    let may = |actor: &Actor| {
        Permission::ALL.into_iter().filter(|p| actor.may(*p)).map(Permission::as_str).collect()
    };
    Json(Me { permissions: may(&actor), actor: actor.label() })
}

/// Logins by name.
#[utoipa::path(get, path = "/api/v1/users", tag = "settings", params(Pages),
    responses((status = 200, description = "A page of logins.", body = List<User>)))]
pub(super) async fn list_users(State(ctx): State<Ctx>, Filter(asked): Filter<Pages>) -> Answer<List<User>> {
    Ok(List::cut(ctx.read().users().await?, asked.page(), user))
}

/// Makes a login with a generated password, which is shown once.
#[utoipa::path(post, path = "/api/v1/users", tag = "settings", request_body = UserInput,
    responses((status = 201, description = "Made.", body = NewUser)))]
pub(super) async fn create_user(order: Order<UserInput>) -> Result<Response, ApiFail> {
    order
        .once(|ctx, actor, input| async move {
            let (id, password) = ctx.app().create_user(&actor, &input.name, role(&input.role)?).await?;
            let shown =
                NewUser { user: one_user(&ctx, id.0).await?, password: Some(password.expose().to_owned()) };
            once_shown(Reply::new(StatusCode::CREATED, &shown)?, "password")
        })
        .await
}

/// The answer with its secret is sent once; what is kept for a replay has null instead.
pub(super) fn once_shown(reply: Reply, secret: &str) -> Result<Reply, Fail> {
    let mut kept = reply.body.clone();
    kept[secret] = serde_json::Value::Null;
    Ok(Reply { kept: Some(kept), ..reply })
}

/// Changes role or activity of a login. The last active administrator stays one.
#[utoipa::path(put, path = "/api/v1/users/{id}", tag = "settings", params(("id" = i64, Path, description = "The login.")),
    request_body = UserChange, responses((status = 200, description = "Changed.", body = User)))]
pub(super) async fn change_user(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(input): Body<UserChange>,
) -> Answer<User> {
    ctx.app().change_user(&actor, UserId(id), role(&input.role)?, input.active).await?;
    Ok(Json(one_user(&ctx, id).await?))
}

/// Gives a login a new password, which is shown once and has to be replaced at the next login. All its logins end;
/// the API keys that it made go on, and are revoked one by one.
#[utoipa::path(post, path = "/api/v1/users/{id}/password", tag = "settings",
    params(("id" = i64, Path, description = "The login.")),
    responses((status = 200, description = "Made.", body = NewUser)))]
pub(super) async fn reset_password(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            let (_, password) = ctx.app().reset_password_of(&actor, UserId(id), false).await?;
            let shown =
                NewUser { user: one_user(&ctx, id).await?, password: Some(password.expose().to_owned()) };
            once_shown(Reply::new(StatusCode::OK, &shown)?, "password")
        })
        .await
}

/// API keys, those in use first.
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "settings", params(Pages),
    responses((status = 200, description = "A page of API keys.", body = List<ApiKey>)))]
pub(super) async fn list_api_keys(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<Pages>,
) -> Answer<List<ApiKey>> {
    Ok(List::cut(ctx.read().api_keys().await?, asked.page(), api_key))
}

/// Makes an API key, which is shown once.
#[utoipa::path(post, path = "/api/v1/api-keys", tag = "settings", request_body = ApiKeyInput,
    responses((status = 201, description = "Made.", body = NewApiKey)))]
pub(super) async fn create_api_key(order: Order<ApiKeyInput>) -> Result<Response, ApiFail> {
    order
        .once(|ctx, actor, input| async move {
            if input.valid_days == Some(0) {
                return Err(AppError::invalid("valid_days", "is 0; a key lives at least a day.").into());
            }
            let scopes = scopes(&input.scopes)?;
            let (id, key) = ctx.app().create_api_key(&actor, &input.name, &scopes, input.valid_days).await?;
            let shown = NewApiKey { api_key: one_key(&ctx, id.0).await?, key: Some(key.expose().to_owned()) };
            once_shown(Reply::new(StatusCode::CREATED, &shown)?, "key")
        })
        .await
}

/// Revokes an API key, at once and for ever.
#[utoipa::path(delete, path = "/api/v1/api-keys/{id}", tag = "settings",
    params(("id" = i64, Path, description = "The API key.")),
    responses((status = 204, description = "Revoked.")))]
pub(super) async fn revoke_api_key(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
) -> Result<StatusCode, ApiFail> {
    ctx.app().revoke_api_key(&actor, ApiKeyId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
