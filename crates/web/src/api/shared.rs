//! Search, live updates, settings and keys.

use app::{AcsPolicy, Permission};
use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use store::read::{ApiKeyRow, HitKind};
use types::{ApiKeyId, Secret};
use utoipa::ToSchema;

use super::{JsonBody, at, at_opt, query};
use crate::{
    auth::Caller,
    error::{ApiFail, Problem},
    pages::settings::scope_words,
    state::Ctx,
};

/// Something found.
#[derive(Serialize, ToSchema)]
pub(crate) struct HitView {
    /// `service`, `customer`, `onu`, `detected_onu`, `cpe` or `olt`.
    kind: String,
    id: i64,
    title: String,
    detail: String,
    state: Option<String>,
}

/// Everything that the words can mean: serial in any notation, MAC, name, phone, PPPoE login, service code, address.
#[utoipa::path(get, path = "/api/v1/search", tag = "shared", params(("q" = String, Query)), responses((status = 200, body = Vec<HitView>)))]
pub(crate) async fn search(State(ctx): State<Ctx>, uri: Uri) -> Result<Json<Vec<HitView>>, ApiFail> {
    let hits = ctx.read().search(query(&uri).get("q"), 20).await?;
    let kind = |kind| match kind {
        HitKind::Service => "service",
        HitKind::Customer => "customer",
        HitKind::Onu => "onu",
        HitKind::Detected => "detected_onu",
        HitKind::Cpe => "cpe",
        HitKind::Olt => "olt",
    };
    let view = |hit: store::read::Hit| HitView {
        kind: kind(hit.kind).to_owned(),
        id: hit.id,
        title: hit.title,
        detail: hit.detail,
        state: hit.state,
    };
    Ok(Json(hits.into_iter().map(view).collect()))
}

/// Names of what changes, as server-sent events: `event: cpe-12`. Read the thing again to see what changed; `sync` means
/// that some were missed. A stream ends after 15 minutes; connect again with `Last-Event-ID`.
#[utoipa::path(get, path = "/api/v1/events", tag = "shared",
    params(("watch" = String, Query, description = "up to 300 topics with commas: cpe-12, service-5, onu-7, olt-1, task-9, or cpes, services, onus, olts, tasks, detecteds")),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 503)))]
#[allow(dead_code, reason = "for the document; the page's own handler serves it")]
pub(crate) async fn events() {}

/// How CPEs are treated; every key of the policy.
#[utoipa::path(get, path = "/api/v1/settings/acs", tag = "shared", responses((status = 200, body = Object)))]
pub(crate) async fn get_policy(State(ctx): State<Ctx>) -> Json<AcsPolicy> {
    Json((*ctx.app().policy()).clone())
}

/// Replaces the policy.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyBody {
    /// Every key as `GET` gives it; a key that is absent becomes the built-in value.
    #[schema(value_type = Object)]
    policy: AcsPolicy,
    /// Write-only; absent keeps the one in force, empty removes it.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    first_contact_password: Option<Secret>,
}

/// Replaces the policy.
#[utoipa::path(put, path = "/api/v1/settings/acs", tag = "shared", request_body = PolicyBody,
    responses((status = 204), (status = 422, body = Problem)))]
pub(crate) async fn put_policy(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<PolicyBody>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().set_acs_policy(&actor, body.policy, body.first_contact_password).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An API key; the key itself is shown once, when it is made.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyView {
    id: i64,
    name: String,
    scopes: Vec<String>,
    created_by: String,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
    revoked_at: Option<String>,
}

impl From<ApiKeyRow> for KeyView {
    fn from(row: ApiKeyRow) -> Self {
        KeyView {
            id: row.id,
            name: row.name,
            scopes: scope_words(&row.scopes),
            created_by: row.created_by,
            created_at: at(row.created_at),
            expires_at: at_opt(row.expires_at),
            last_used_at: at_opt(row.last_used_at),
            revoked_at: at_opt(row.revoked_at),
        }
    }
}

/// All API keys.
#[utoipa::path(get, path = "/api/v1/api-keys", tag = "shared", responses((status = 200, body = Vec<KeyView>)))]
pub(crate) async fn list_keys(State(ctx): State<Ctx>) -> Result<Json<Vec<KeyView>>, ApiFail> {
    Ok(Json(ctx.read().api_keys().await?.into_iter().map(KeyView::from).collect()))
}

/// A key to make.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyBody {
    name: String,
    /// Permissions, e.g. `read`, `onus:authorise`.
    scopes: Vec<String>,
    /// Absent: it does not end by itself.
    #[serde(default)]
    valid_days: Option<u32>,
}

/// A key that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct KeyMade {
    id: i64,
    /// Shown this once, kept only as a hash.
    key: String,
}

/// Makes an API key. Nobody hands out what they may not do themselves.
#[utoipa::path(post, path = "/api/v1/api-keys", tag = "shared", request_body = KeyBody,
    responses((status = 201, body = KeyMade), (status = 403, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create_key(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<KeyBody>,
) -> Result<Response, ApiFail> {
    let mut scopes = Vec::new();
    for word in &body.scopes {
        let scope = Permission::parse(word).ok_or_else(|| {
            app::AppError::invalid(
                "scopes",
                format!("{:?} is no permission.", crate::view::limited(word, 40)),
            )
        })?;
        scopes.push(scope);
    }
    let (id, key) = ctx.app().create_api_key(&actor, &body.name, &scopes, body.valid_days).await?;
    Ok((StatusCode::CREATED, Json(KeyMade { id: id.0, key: key.expose().to_owned() })).into_response())
}

/// Takes a key back.
#[utoipa::path(post, path = "/api/v1/api-keys/{id}/revoke", tag = "shared", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn revoke_key(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().revoke_api_key(&actor, ApiKeyId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
