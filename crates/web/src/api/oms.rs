//! OLTs, detected ONUs, ONUs and tasks.

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use store::read::{DetectedFilter, DetectedRow, OltRow, OnuRow, TaskLineRow, TaskRow};
use types::{OltId, Secret, ServiceId};
use utoipa::ToSchema;

use super::{JsonBody, ListParams, Listing, Made, at, at_opt, listing, made, query, some};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail, Problem},
    pages,
    state::Ctx,
    view,
};

/// An OLT; its secrets never leave.
#[derive(Serialize, ToSchema)]
pub(crate) struct OltView {
    id: i64,
    name: String,
    vendor_profile: String,
    address: String,
    port: i64,
    /// `ssh` or `telnet`.
    protocol: String,
    username: String,
    /// SSH algorithms of old OLTs are allowed.
    legacy_algorithms: bool,
    host_key_pin: Option<String>,
    snmp_port: i64,
    has_snmp_community: bool,
    admin_state: String,
    /// Profiles and VLANs that ONUs get.
    defaults: serde_json::Value,
    /// What the OLT said about itself.
    observed: serde_json::Value,
    /// `unknown`, `answering` or `silent`.
    observed_state: String,
    observed_reason: Option<String>,
    observed_at: Option<String>,
    onus: i64,
    onus_down: i64,
    detected: i64,
}

impl From<OltRow> for OltView {
    fn from(row: OltRow) -> Self {
        OltView {
            id: row.id,
            name: row.name,
            vendor_profile: row.vendor_profile,
            address: row.address,
            port: row.port,
            protocol: row.protocol,
            username: row.username,
            legacy_algorithms: row.legacy_algorithms,
            host_key_pin: row.host_key_pin,
            snmp_port: row.snmp_port,
            has_snmp_community: row.has_snmp,
            admin_state: row.admin_state,
            defaults: serde_json::from_str(&row.defaults).unwrap_or_default(),
            observed: serde_json::from_str(&row.observed).unwrap_or_default(),
            observed_state: row.observed_state,
            observed_reason: row.observed_reason,
            observed_at: at_opt(row.observed_at),
            onus: row.onus,
            onus_down: row.onus_down,
            detected: row.detected,
        }
    }
}

/// An OLT to add, or new settings for one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OltBody {
    /// Our name for it.
    name: String,
    /// The vendor profile; `huawei_smartax` unless given.
    #[serde(default)]
    vendor_profile: Option<String>,
    /// IP address or host name.
    address: String,
    /// TCP port of the command line.
    port: u16,
    /// `ssh` or `telnet`.
    protocol: String,
    /// CLI user name.
    username: String,
    /// CLI password, write-only; absent on a change: keep the one in force.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    password: Option<Secret>,
    /// Allow the SSH algorithms of old OLTs.
    #[serde(default)]
    legacy_algorithms: bool,
    /// SNMP read community, write-only; absent: none, or keep the one in force.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    snmp_community: Option<Secret>,
    /// UDP port of SNMP; 161 unless given.
    #[serde(default)]
    snmp_port: Option<u16>,
    /// Profiles and VLANs that ONUs get; the built-in ones unless given.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    defaults: Option<app::OltDefaults>,
    /// Read and write this OLT; true unless given.
    #[serde(default)]
    enabled: Option<bool>,
}

impl OltBody {
    fn input(self, kept: Option<app::OltDefaults>) -> Result<app::NewOlt, Fail> {
        let protocol = self.protocol.parse().map_err(|_| {
            Fail::from(app::AppError::invalid(
                "protocol",
                format!("{:?} is neither ssh nor telnet.", view::limited(&self.protocol, 20)),
            ))
        })?;
        Ok(app::NewOlt {
            name: self.name,
            vendor_profile: self.vendor_profile.unwrap_or_else(|| "huawei_smartax".to_owned()),
            address: self.address,
            port: self.port,
            protocol,
            username: self.username,
            password: self.password,
            legacy_algorithms: self.legacy_algorithms,
            snmp_community: self.snmp_community,
            snmp_port: self.snmp_port.unwrap_or(161),
            defaults: self.defaults.or(kept).unwrap_or_default(),
        })
    }
}

/// All OLTs.
#[utoipa::path(get, path = "/api/v1/olts", tag = "oms", responses((status = 200, body = Vec<OltView>)))]
pub(crate) async fn list_olts(State(ctx): State<Ctx>) -> Result<Json<Vec<OltView>>, ApiFail> {
    Ok(Json(ctx.read().olts().await?.into_iter().map(OltView::from).collect()))
}

/// One OLT.
#[utoipa::path(get, path = "/api/v1/olts/{id}", tag = "oms", params(("id" = i64, Path)),
    responses((status = 200, body = OltView), (status = 404, body = Problem)))]
pub(crate) async fn get_olt(State(ctx): State<Ctx>, Path(id): Path<i64>) -> Result<Json<OltView>, ApiFail> {
    Ok(Json(ctx.read().olt(id).await?.ok_or_else(|| Fail::not_found("This OLT"))?.into()))
}

/// Adds an OLT. Nothing is written to it.
#[utoipa::path(post, path = "/api/v1/olts", tag = "oms", request_body = OltBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "the request is carried out once")),
    responses((status = 201, body = Made), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn add_olt(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<OltBody>,
) -> Result<Response, ApiFail> {
    let id = ctx.app().add_olt(&actor, body.input(None)?).await?;
    Ok(made("/api/v1/olts", id.0))
}

/// Changes an OLT's settings. Nothing is written to it.
#[utoipa::path(put, path = "/api/v1/olts/{id}", tag = "oms", params(("id" = i64, Path)), request_body = OltBody,
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn update_olt(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody<OltBody>,
) -> Result<StatusCode, ApiFail> {
    let old = ctx.read().olt(id).await?.ok_or_else(|| Fail::not_found("This OLT"))?;
    let enabled = body.enabled.unwrap_or(true);
    let input = body.input(Some(pages::authorise::defaults(&old.defaults)))?;
    ctx.app().update_olt(&actor, OltId(id), input, enabled).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What an OLT said when its login was tried.
#[derive(Serialize, ToSchema)]
pub(crate) struct OltTestView {
    /// It answered and understood us.
    ok: bool,
    /// What it is, or why it did not work.
    text: String,
}

/// Logs in to the OLT now and asks what it is. Writes nothing to it.
#[utoipa::path(post, path = "/api/v1/olts/{id}/test", tag = "oms", params(("id" = i64, Path)),
    responses((status = 200, body = OltTestView), (status = 404, body = Problem)))]
pub(crate) async fn test_olt(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
) -> Result<Json<OltTestView>, ApiFail> {
    let tried = ctx.app().test_olt(&actor, OltId(id)).await?;
    Ok(Json(OltTestView { ok: tried.ok, text: tried.text }))
}

/// An ONU that an OLT sees and nobody planned.
#[derive(Serialize, ToSchema)]
pub(crate) struct DetectedView {
    id: i64,
    olt_id: i64,
    olt: String,
    pon: String,
    /// 16 hex digits.
    serial: String,
    /// As on the label.
    label: String,
    equipment_id: Option<String>,
    software_version: Option<String>,
    state: String,
    first_seen_at: String,
    last_seen_at: String,
    /// The service that expects this serial.
    service_id: Option<i64>,
    service: Option<String>,
    /// The ONU row that has this serial already, on another place.
    onu_id: Option<i64>,
}

impl From<DetectedRow> for DetectedView {
    fn from(row: DetectedRow) -> Self {
        DetectedView {
            id: row.id,
            olt_id: row.olt_id,
            olt: row.olt_name,
            pon: row.pon,
            label: view::serial(&row.serial),
            serial: row.serial,
            equipment_id: some(row.equipment_id),
            software_version: some(row.software_version),
            state: row.state,
            first_seen_at: at(row.first_seen_at),
            last_seen_at: at(row.last_seen_at),
            service_id: row.service_id,
            service: row.service_code,
            onu_id: row.onu_row_id,
        }
    }
}

/// Detected ONUs.
#[utoipa::path(get, path = "/api/v1/detected-onus", tag = "oms",
    params(ListParams, ("olt" = Option<i64>, Query, description = "only of this OLT"), ("all" = Option<String>, Query, description = "1: also authorised and gone ones")),
    responses((status = 200, body = Listing<DetectedView>)))]
pub(crate) async fn list_detected(
    State(ctx): State<Ctx>,
    uri: Uri,
) -> Result<Json<Listing<DetectedView>>, ApiFail> {
    let query = query(&uri);
    let filter =
        DetectedFilter { q: query.get("q").into(), olt_id: query.id("olt"), all: query.get("all") == "1" };
    Ok(listing(ctx.read().detected_onus(&filter, &query.sort(), query.page()).await?, query.page()))
}

/// Which detected ONU to authorise, and for whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthoriseBody {
    /// The OLT that sees it.
    olt_id: i64,
    /// Where it is, `frame/slot/port`.
    pon: String,
    /// Which it is, in any notation.
    serial: String,
    /// The service it carries; absent: the one that waits for this serial, or none yet.
    #[serde(default)]
    service_id: Option<i64>,
    /// Description on the OLT; absent: service code and customer name.
    #[serde(default)]
    description: Option<String>,
    /// Internet VLAN instead of the plan's or the OLT's.
    #[serde(default)]
    internet_vlan: Option<u16>,
}

impl AuthoriseBody {
    fn request(self) -> Result<app::AuthoriseRequest, Fail> {
        let wrong = |field: &str, error: &dyn std::fmt::Display| {
            Fail::from(app::AppError::invalid(field, format!("{error}.")))
        };
        Ok(app::AuthoriseRequest {
            olt_id: OltId(self.olt_id),
            pon: self.pon.parse().map_err(|error| wrong("pon", &error))?,
            serial: self.serial.parse().map_err(|error| wrong("serial", &error))?,
            service_id: self.service_id.map(ServiceId),
            description: self.description,
            internet_vlan: self.internet_vlan,
        })
    }
}

/// One line of a dry run.
#[derive(Serialize, ToSchema)]
pub(crate) struct DryLineView {
    /// Where on the OLT's command line.
    mode: String,
    /// The exact line; secrets are dots.
    text: String,
    /// `read`, `add`, `remove` or `save`.
    kind: String,
}

/// One condition that was looked at.
#[derive(Serialize, ToSchema)]
pub(crate) struct DryCheckView {
    text: String,
    /// `ok`, `warn` or `bad`; `bad` forbids the authorisation.
    status: String,
}

/// What an authorisation would do. Nothing has been sent that changes anything.
#[derive(Serialize, ToSchema)]
pub(crate) struct DryRunView {
    /// Nothing speaks against it.
    allowed: bool,
    /// The ONU id it would get.
    onu_id: u16,
    lines: Vec<DryLineView>,
    checks: Vec<DryCheckView>,
}

/// What an authorisation would send, line by line. Reads from the OLT, writes nothing.
#[utoipa::path(post, path = "/api/v1/onus/authorise/dry-run", tag = "oms", request_body = AuthoriseBody,
    responses((status = 200, body = DryRunView), (status = 422, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn dry_run(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<AuthoriseBody>,
) -> Result<Json<DryRunView>, ApiFail> {
    let dry = ctx.app().dry_run_authorise(&actor, &body.request()?).await?;
    Ok(Json(DryRunView {
        allowed: dry.allowed(),
        onu_id: dry.onu_id,
        lines: dry
            .lines
            .into_iter()
            .map(|line| DryLineView { mode: line.mode, text: line.text, kind: line.kind })
            .collect(),
        checks: dry
            .checks
            .into_iter()
            .map(|check| DryCheckView { text: check.text, status: check.status })
            .collect(),
    }))
}

/// The task that carries it out.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskOrdered {
    /// `GET /api/v1/tasks/{task_id}` says how it goes.
    task_id: i64,
}

/// Orders an authorisation; the task is carried out in the background and is the truth about it.
#[utoipa::path(post, path = "/api/v1/onus/authorise", tag = "oms", request_body = AuthoriseBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "the request is carried out once")),
    responses((status = 202, body = TaskOrdered), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn authorise(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<AuthoriseBody>,
) -> Result<Response, ApiFail> {
    let task = ctx.app().authorise_onu(&actor, &body.request()?).await?;
    let location = [(http::header::LOCATION, format!("/api/v1/tasks/{task}"))];
    Ok((StatusCode::ACCEPTED, location, Json(TaskOrdered { task_id: task.0 })).into_response())
}

/// An ONU with what it hangs on and whom it serves. What was not read is absent.
#[derive(Serialize, ToSchema)]
pub(crate) struct OnuView {
    id: i64,
    olt_id: i64,
    olt: String,
    pon: String,
    onu_id: i64,
    serial: String,
    label: String,
    description: String,
    admin_state: String,
    sync_state: String,
    presence: String,
    last_down_cause: Option<String>,
    /// Hundredths of dBm.
    rx_onu_cdbm: Option<i64>,
    /// Hundredths of dBm.
    rx_olt_cdbm: Option<i64>,
    distance_m: Option<i64>,
    observed_at: Option<String>,
    authorised_at: Option<String>,
    service_id: Option<i64>,
    service: Option<String>,
    customer: Option<String>,
    cpe_id: Option<i64>,
    cpe_state: Option<String>,
    cpe_reason: Option<String>,
}

impl From<OnuRow> for OnuView {
    fn from(row: OnuRow) -> Self {
        OnuView {
            id: row.id,
            olt_id: row.olt_id,
            olt: row.olt_name,
            pon: row.pon,
            onu_id: row.onu_id,
            label: view::serial(&row.serial),
            serial: row.serial,
            description: row.description,
            admin_state: row.admin_state,
            sync_state: row.sync_state,
            presence: row.presence,
            last_down_cause: row.last_down_cause,
            rx_onu_cdbm: row.rx_onu_cdbm,
            rx_olt_cdbm: row.rx_olt_cdbm,
            distance_m: row.distance_m,
            observed_at: at_opt(row.observed_at),
            authorised_at: at_opt(row.authorised_at),
            service_id: row.service_id,
            service: row.service_code,
            customer: row.customer_name,
            cpe_id: row.cpe_id,
            cpe_state: row.cpe_state,
            cpe_reason: row.cpe_reason_text,
        }
    }
}

/// ONUs.
#[utoipa::path(get, path = "/api/v1/onus", tag = "oms",
    params(ListParams, ("olt" = Option<i64>, Query), ("pon" = Option<String>, Query), ("presence" = Option<String>, Query),
        ("view" = Option<String>, Query, description = "down, weak, cpe_not_active or unlinked")),
    responses((status = 200, body = Listing<OnuView>)))]
pub(crate) async fn list_onus(State(ctx): State<Ctx>, uri: Uri) -> Result<Json<Listing<OnuView>>, ApiFail> {
    let query = query(&uri);
    Ok(listing(
        ctx.read().onus(&pages::onus::filter(&query), &query.sort(), query.page()).await?,
        query.page(),
    ))
}

/// One ONU.
#[utoipa::path(get, path = "/api/v1/onus/{id}", tag = "oms", params(("id" = i64, Path)),
    responses((status = 200, body = OnuView), (status = 404, body = Problem)))]
pub(crate) async fn get_onu(State(ctx): State<Ctx>, Path(id): Path<i64>) -> Result<Json<OnuView>, ApiFail> {
    Ok(Json(ctx.read().onu(id).await?.ok_or_else(|| Fail::not_found("This ONU"))?.into()))
}

/// A task on an OLT.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskView {
    id: i64,
    kind: String,
    /// `pending`, `applying`, `verifying`, `compensating`, `done`, `undone`, `needs_operator` or `refused`.
    state: String,
    olt_id: i64,
    olt: String,
    pon: String,
    serial: String,
    service_id: Option<i64>,
    reason: Option<String>,
    actor: String,
    created_at: String,
    updated_at: String,
    finished_at: Option<String>,
}

impl From<TaskRow> for TaskView {
    fn from(row: TaskRow) -> Self {
        TaskView {
            id: row.id,
            kind: row.kind,
            state: row.state,
            olt_id: row.olt_id,
            olt: row.olt_name,
            pon: row.pon,
            serial: row.serial,
            service_id: row.service_id,
            reason: some(row.reason),
            actor: row.actor,
            created_at: at(row.created_at),
            updated_at: at(row.updated_at),
            finished_at: at_opt(row.finished_at),
        }
    }
}

/// A line that was sent, with the answer; secrets are dots.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskLineView {
    seq: i64,
    line: String,
    reply: String,
    class: String,
    at: String,
}

impl From<TaskLineRow> for TaskLineView {
    fn from(row: TaskLineRow) -> Self {
        TaskLineView { seq: row.seq, line: row.line, reply: row.reply, class: row.class, at: at(row.at) }
    }
}

/// A task with its journal.
#[derive(Serialize, ToSchema)]
pub(crate) struct TaskDetail {
    #[serde(flatten)]
    task: TaskView,
    lines: Vec<TaskLineView>,
}

/// Tasks.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "oms",
    params(ListParams, ("state" = Option<String>, Query, description = "a state, or open, or trouble"), ("olt" = Option<i64>, Query)),
    responses((status = 200, body = Listing<TaskView>)))]
pub(crate) async fn list_tasks(State(ctx): State<Ctx>, uri: Uri) -> Result<Json<Listing<TaskView>>, ApiFail> {
    let query = query(&uri);
    Ok(listing(
        ctx.read().tasks(&pages::tasks::filter(&query), &query.sort(), query.page()).await?,
        query.page(),
    ))
}

/// One task with its journal.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "oms", params(("id" = i64, Path)),
    responses((status = 200, body = TaskDetail), (status = 404, body = Problem)))]
pub(crate) async fn get_task(
    State(ctx): State<Ctx>,
    Path(id): Path<i64>,
) -> Result<Json<TaskDetail>, ApiFail> {
    let task = ctx.read().task(id).await?.ok_or_else(|| Fail::not_found("This task"))?;
    let lines = ctx.read().task_lines(id).await?.into_iter().map(TaskLineView::from).collect();
    Ok(Json(TaskDetail { task: task.into(), lines }))
}
