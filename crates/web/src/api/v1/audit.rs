//! The audit log.

use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use store::read::{AuditFilter, AuditRow};
use utoipa::ToSchema;

use super::{
    input::{Asked, Filter, list_query},
    output::{Answer, List, Time, stored},
};
use crate::state::Ctx;

list_query! {
    /// Which entries.
    AuditQuery {
        /// Actor, action, subject or address.
        q: String,
        /// Only by this actor, e.g. `nino` or `key:billing`.
        actor: String,
    } /// One of time, actor, action, subject; newest first without it.
    sort ["time", "actor", "action", "subject"]
}

/// Who changed what, from where. Secrets are left out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditLine {
    id: i64,
    at: Time,
    actor: String,
    action: String,
    subject: String,
    /// As it was.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// As it was asked to be.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    address: String,
    request_id: String,
}

fn line(row: AuditRow) -> AuditLine {
    AuditLine {
        id: row.id,
        at: row.at.into(),
        actor: row.actor,
        action: row.action,
        subject: row.subject,
        before: row.before.as_deref().map(stored),
        after: row.after.as_deref().map(stored),
        address: row.address,
        request_id: row.request_id,
    }
}

/// Who changed what, newest first unless sorted otherwise.
#[utoipa::path(get, path = "/api/v1/audit", tag = "settings", params(AuditQuery),
    responses((status = 200, description = "A page of the audit log.", body = List<AuditLine>)))]
pub(super) async fn list_audit(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<AuditQuery>,
) -> Answer<List<AuditLine>> {
    let (page, sort) = (asked.page(), asked.sort());
    let filter = AuditFilter { q: asked.q.unwrap_or_default(), actor: asked.actor };
    Ok(List::of(ctx.read().audit_log(&filter, &sort, page).await?, page, line))
}
