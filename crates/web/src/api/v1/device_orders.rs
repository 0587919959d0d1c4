//! Device orders: reading, changing and restarting one CPE, and what came of it.

use app::{Actor, AppError, DeviceOrderRequest, ParameterChange};
use axum::{Json, extract::State, http::StatusCode, response::Response};
use provisioning::ValueKind;
use serde::{Deserialize, Serialize};
use store::rows;
use types::{CpeId, DeviceOrderId, Secret};
use utoipa::ToSchema;

use super::{
    idempotency::Order,
    input::{Id, Nothing},
    output::{Answer, Reply, Time, found, time},
};
use crate::{
    error::{ApiFail, Fail},
    state::Ctx,
};

/// Orders of a CPE that are listed: as many as are kept.
const LISTED: u64 = 100;

/// An order to one CPE. It is carried out in a session after what the service needs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceOrder {
    id: i64,
    cpe_id: i64,
    /// `refresh`, `set`, `reboot`, `factory_reset`, or a test: `ping`, `traceroute`, `lookup`, `download`, `upload`, `neighbours`, `hosts`.
    kind: String,
    /// What, in a few words.
    summary: String,
    /// What, in full; dots for secrets.
    order: serde_json::Value,
    /// `waiting` for the next session, `sent`, `done` (read back, or seen in an Inform), `accepted` (a secret, which cannot be read back), `failed`, `expired` or `cancelled`.
    state: String,
    /// Where it stands, in words.
    text: String,
    /// What is to be known of it, in words; null if nothing is.
    warning: Option<String>,
    /// CWMP fault code that ended it.
    fault_code: Option<i64>,
    /// FaultString of the device.
    fault_text: Option<String>,
    /// Parameter by parameter, what came of a write: path, wanted, observed, proof.
    results: serde_json::Value,
    /// Values that a refresh read.
    values_read: i64,
    /// What came of a test that the CPE ran by itself, as read at `ended_at`; null for everything else.
    findings: serde_json::Value,
    /// Who ordered it.
    by: String,
    created_at: Option<Time>,
    /// Nothing of it is begun after that.
    expires_at: Option<Time>,
    /// The device was told.
    sent_at: Option<Time>,
    /// It is over since.
    ended_at: Option<Time>,
}

/// The latest orders of a CPE, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeviceOrders {
    items: Vec<DeviceOrder>,
}

/// Which part of the data model is to be read.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RefreshInput {
    /// An object (it ends with a dot) or one parameter, e.g. `InternetGatewayDevice.DeviceInfo.`.
    path: String,
    /// Seconds to wait for a session; a day if it is not given.
    expires_s: Option<u64>,
}

/// Parameters to write.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetInput {
    /// In order; at most 64.
    values: Vec<ValueInput>,
    /// Seconds to wait for a session; a day if it is not given.
    expires_s: Option<u64>,
}

/// One parameter to write.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ValueInput {
    /// Full path.
    path: String,
    /// As text. Never shown again where the parameter is a secret.
    #[schema(value_type = String)]
    value: Secret,
    /// CWMP type, e.g. `string`, `boolean`, `unsignedInt`; as it was last read if it is not given.
    kind: Option<String>,
}

/// A confirmation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfirmInput {
    /// Must be true: the customer is off line meanwhile, and a factory reset takes what the customer set.
    confirm: bool,
    /// Seconds to wait for a session; a day if it is not given.
    expires_s: Option<u64>,
}

fn shown(row: rows::DeviceOrder) -> DeviceOrder {
    let told = |text: String| (!text.is_empty()).then_some(text);
    DeviceOrder {
        id: row.id.0,
        cpe_id: row.cpe_id.0,
        kind: row.kind,
        summary: row.summary,
        order: row.shown,
        state: row.state,
        text: row.text,
        warning: told(row.warning),
        fault_code: (row.fault_code != 0).then_some(row.fault_code),
        fault_text: told(row.fault_text),
        results: row.results,
        values_read: row.values_read,
        findings: row.findings,
        by: row.actor,
        created_at: time(Some(row.created_at.0)),
        expires_at: time(Some(row.expires_at.0)),
        sent_at: time(row.sent_at.map(|at| at.0)),
        ended_at: time(row.ended_at.map(|at| at.0)),
    }
}

/// Gives the order and tells where it can be looked at.
pub(super) async fn give(
    ctx: &Ctx,
    actor: &Actor,
    id: i64,
    request: DeviceOrderRequest,
    expires_s: Option<u64>,
) -> Result<Reply, Fail> {
    let taken = ctx.app().order_device(actor, CpeId(id), request, expires_s).await?;
    let row = ctx.app().device_order(taken.id).await?;
    let location = format!("/api/v1/device-orders/{}", taken.id);
    Ok(Reply { location: Some(location), ..Reply::new(StatusCode::ACCEPTED, &shown(row))? })
}

/// Reads a part of a CPE's data model anew, names and values.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/refresh", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")), request_body = RefreshInput,
    responses((status = 202, description = "Ordered.", body = DeviceOrder)))]
pub(super) async fn refresh_cpe(Id(id): Id, order: Order<RefreshInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, asked| async move {
            give(&ctx, &actor, id, DeviceOrderRequest::refresh(asked.path), asked.expires_s).await
        })
        .await
}

/// Writes parameters of a CPE and reads them back. What a layer of the service manages is put back by the next drift
/// check, and the answer says so. Never written this way, and refused with the reason: management settings, connections
/// and what they stand on, and what opens the CPE to the WAN side. A CPE that belongs to no service, or of a family that is
/// only read, takes no order but to be read (409).
#[utoipa::path(post, path = "/api/v1/cpes/{id}/set-parameters", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")), request_body = SetInput,
    responses((status = 202, description = "Ordered.", body = DeviceOrder)))]
pub(super) async fn set_parameters(Id(id): Id, order: Order<SetInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, asked| async move {
            let mut values = Vec::new();
            for value in asked.values {
                let kind = value.kind.as_deref().map(kind_of).transpose()?;
                values.push(ParameterChange { path: value.path, value: value.value, kind });
            }
            give(&ctx, &actor, id, DeviceOrderRequest::Set { values }, asked.expires_s).await
        })
        .await
}

/// Restarts a CPE. Its customer is off line meanwhile; it is told once and never again by itself. A CPE without a service, or
/// of a family that is only read, is not restarted (409).
#[utoipa::path(post, path = "/api/v1/cpes/{id}/reboot", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")), request_body = ConfirmInput,
    responses((status = 202, description = "Ordered.", body = DeviceOrder)))]
pub(super) async fn reboot_cpe(Id(id): Id, order: Order<ConfirmInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, asked| async move {
            let request = DeviceOrderRequest::Reboot { confirmed: asked.confirm };
            give(&ctx, &actor, id, request, asked.expires_s).await
        })
        .await
}

/// Resets a CPE to its factory settings. What the customer set on it is lost; its service is set up again. A CPE without a
/// service, or of a family that is only read, is not reset (409).
#[utoipa::path(post, path = "/api/v1/cpes/{id}/factory-reset", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")), request_body = ConfirmInput,
    responses((status = 202, description = "Ordered.", body = DeviceOrder)))]
pub(super) async fn factory_reset_cpe(Id(id): Id, order: Order<ConfirmInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, asked| async move {
            let request = DeviceOrderRequest::FactoryReset { confirmed: asked.confirm };
            give(&ctx, &actor, id, request, asked.expires_s).await
        })
        .await
}

/// The latest orders of a CPE, the newest first.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/orders", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 200, description = "Its orders.", body = DeviceOrders)))]
pub(super) async fn list_device_orders(State(ctx): State<Ctx>, Id(id): Id) -> Answer<DeviceOrders> {
    found(ctx.read().cpe(id).await?, "CPE", id)?;
    let rows = ctx.app().device_orders(CpeId(id), LISTED).await?;
    Ok(Json(DeviceOrders { items: rows.into_iter().map(shown).collect() }))
}

/// One order and what came of it.
#[utoipa::path(get, path = "/api/v1/device-orders/{id}", tag = "cpes",
    params(("id" = i64, Path, description = "The order.")),
    responses((status = 200, description = "The order.", body = DeviceOrder)))]
pub(super) async fn get_device_order(State(ctx): State<Ctx>, Id(id): Id) -> Answer<DeviceOrder> {
    Ok(Json(shown(ctx.app().device_order(DeviceOrderId(id)).await?)))
}

/// Withdraws an order that the CPE was not told of yet. One of which a write may have left in an earlier session is given
/// up: it is `failed` then, and its text says what may have happened.
#[utoipa::path(post, path = "/api/v1/device-orders/{id}/cancel", tag = "cpes",
    params(("id" = i64, Path, description = "The order.")),
    responses((status = 200, description = "It is not gone on with; `state` says whether the CPE may have been told.", body = DeviceOrder)))]
pub(super) async fn cancel_device_order(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            Reply::ok(&shown(ctx.app().cancel_order(&actor, DeviceOrderId(id)).await?))
        })
        .await
}

/// A CWMP type by its name, with or without `xsd:`. An unknown one is refused: it would be written as text.
fn kind_of(name: &str) -> Result<ValueKind, Fail> {
    let name = name.trim_start_matches("xsd:");
    let kind = ValueKind::from_xsd(name);
    if kind.xsd() == name {
        return Ok(kind);
    }
    let known = "string, int, unsignedInt, long, unsignedLong, boolean, dateTime, base64 or hexBinary";
    Err(AppError::invalid("kind", format!("must be {known}.")).into())
}
