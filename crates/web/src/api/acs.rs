//! CPEs and faults.

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, Uri},
};
use serde::{Deserialize, Serialize};
use store::read::{CpeRow, EvidenceRow, FaultRow, ParameterFilter, ParameterRow, TimelineSubject};
use types::{CpeId, ServiceId};
use utoipa::ToSchema;

use super::{JsonBody, ListParams, Listing, at, at_opt, crm::TimelineView, listing, query, some};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail, Problem},
    pages,
    state::Ctx,
    words,
};

/// A CPE with its state and the reason for it.
#[derive(Serialize, ToSchema)]
pub(crate) struct CpeView {
    id: i64,
    oui: String,
    product_class: String,
    serial_number: String,
    pon_serial: Option<String>,
    manufacturer: Option<String>,
    model: Option<String>,
    hardware_version: Option<String>,
    software_version: Option<String>,
    data_model: Option<String>,
    profile: Option<String>,
    /// `DISCOVERED`, `INFORMED`, `OWNED`, `TIME_SYNCED`, `READY`, `PROVISIONING`, `WAITING_INFORM`, `ACTIVE` or `FAILED`.
    state: String,
    state_since: String,
    reason_code: Option<String>,
    reason: Option<String>,
    /// What happens next, and by when.
    next: Option<String>,
    quarantine: bool,
    service_id: Option<i64>,
    service: Option<String>,
    next_attempt_at: Option<String>,
    last_inform_at: Option<String>,
    next_inform_by: Option<String>,
    inform_interval_s: Option<i64>,
    address: Option<String>,
}

impl From<CpeRow> for CpeView {
    fn from(row: CpeRow) -> Self {
        CpeView {
            id: row.id,
            oui: row.oui,
            product_class: row.product_class,
            serial_number: row.serial_number,
            pon_serial: row.pon_serial,
            manufacturer: some(row.manufacturer),
            model: some(row.model),
            hardware_version: some(row.hardware_version),
            software_version: some(row.software_version),
            data_model: some(row.data_model),
            profile: row.profile_id,
            state: row.state,
            state_since: at(row.state_since),
            reason_code: some(row.reason_code),
            reason: some(row.reason_text),
            next: row.reason_next,
            quarantine: row.quarantine,
            service_id: row.service_id,
            service: row.service_code,
            next_attempt_at: at_opt(row.next_attempt_at),
            last_inform_at: at_opt(row.last_inform_at),
            next_inform_by: at_opt(row.next_inform_by),
            inform_interval_s: row.inform_interval_s,
            address: some(row.peer_address),
        }
    }
}

/// CPEs.
#[utoipa::path(get, path = "/api/v1/cpes", tag = "acs",
    params(ListParams, ("state" = Option<String>, Query, description = "a state, or not_active"), ("reason" = Option<String>, Query),
        ("model" = Option<String>, Query), ("quarantine" = Option<String>, Query, description = "1: only those nobody has claimed")),
    responses((status = 200, body = Listing<CpeView>)))]
pub(crate) async fn list_cpes(State(ctx): State<Ctx>, uri: Uri) -> Result<Json<Listing<CpeView>>, ApiFail> {
    let query = query(&uri);
    Ok(listing(
        ctx.read().cpes(&pages::cpes::filter(&query), &query.sort(), query.page()).await?,
        query.page(),
    ))
}

/// One CPE.
#[utoipa::path(get, path = "/api/v1/cpes/{id}", tag = "acs", params(("id" = i64, Path)),
    responses((status = 200, body = CpeView), (status = 404, body = Problem)))]
pub(crate) async fn get_cpe(State(ctx): State<Ctx>, Path(id): Path<i64>) -> Result<Json<CpeView>, ApiFail> {
    Ok(Json(ctx.read().cpe(id).await?.ok_or_else(|| Fail::not_found("This CPE"))?.into()))
}

/// The history of a CPE, newest first.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/timeline", tag = "acs",
    params(("id" = i64, Path), ("page" = Option<u32>, Query), ("size" = Option<u32>, Query)),
    responses((status = 200, body = Listing<TimelineView>)))]
pub(crate) async fn timeline(
    State(ctx): State<Ctx>,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Json<Listing<TimelineView>>, ApiFail> {
    let query = query(&uri);
    Ok(listing(ctx.read().timeline(TimelineSubject::Cpe(id), None, query.page()).await?, query.page()))
}

/// Wanted, observed and proof of one setting; secrets are dots.
#[derive(Serialize, ToSchema)]
pub(crate) struct EvidenceView {
    layer: String,
    setting: String,
    wanted: String,
    observed: String,
    /// It was read back and is as wanted.
    verified: bool,
    at: String,
    source: String,
}

impl From<EvidenceRow> for EvidenceView {
    fn from(row: EvidenceRow) -> Self {
        EvidenceView {
            layer: row.layer,
            setting: row.setting,
            wanted: row.wanted,
            observed: row.observed,
            verified: row.verified,
            at: at(row.at),
            source: row.source,
        }
    }
}

/// Wanted and found, setting by setting.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/evidence", tag = "acs", params(("id" = i64, Path)),
    responses((status = 200, body = Vec<EvidenceView>)))]
pub(crate) async fn evidence(
    State(ctx): State<Ctx>,
    Path(id): Path<i64>,
) -> Result<Json<Vec<EvidenceView>>, ApiFail> {
    Ok(Json(ctx.read().cpe_evidence(id).await?.into_iter().map(EvidenceView::from).collect()))
}

/// A parameter as it was last read.
#[derive(Serialize, ToSchema)]
pub(crate) struct ParameterView {
    path: String,
    value: String,
    kind: String,
    writable: Option<bool>,
    read_at: String,
}

impl From<ParameterRow> for ParameterView {
    fn from(row: ParameterRow) -> Self {
        ParameterView {
            path: row.path,
            value: row.value,
            kind: row.kind,
            writable: row.writable,
            read_at: at(row.read_at),
        }
    }
}

/// Parameters of a CPE as they were last read.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/parameters", tag = "acs",
    params(("id" = i64, Path), ("q" = Option<String>, Query, description = "part of path or value"),
        ("branch" = Option<String>, Query, description = "only below this path"), ("page" = Option<u32>, Query), ("size" = Option<u32>, Query)),
    responses((status = 200, body = Listing<ParameterView>)))]
pub(crate) async fn parameters(
    State(ctx): State<Ctx>,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Json<Listing<ParameterView>>, ApiFail> {
    let query = query(&uri);
    let filter = ParameterFilter { q: query.get("q").into(), branch: query.get("branch").into() };
    Ok(listing(ctx.read().cpe_parameters(id, &filter, query.page()).await?, query.page()))
}

/// Stops provisioning of this CPE until the hold is lifted.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/hold", tag = "acs", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn hold(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().hold_cpe(&actor, CpeId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lifts a hold.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/release", tag = "acs", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn release(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().release_hold(&actor, CpeId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a back-off now; cool-down and gates still count.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/retry", tag = "acs", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn retry(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().retry_cpe(&actor, CpeId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Asks the CPE to open a session: one connection request.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/call", tag = "acs", params(("id" = i64, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
pub(crate) async fn call(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().call_cpe(&actor, CpeId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which service a CPE belongs to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClaimBody {
    service_id: i64,
}

/// Says by hand which service a CPE belongs to.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/claim", tag = "acs", params(("id" = i64, Path)), request_body = ClaimBody,
    responses((status = 204), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn claim(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody<ClaimBody>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().claim_cpe(&actor, CpeId(id), ServiceId(body.service_id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A fault.
#[derive(Serialize, ToSchema)]
pub(crate) struct FaultView {
    id: i64,
    at: String,
    /// `provisioning_logic`, `session_triggering`, `device`, `service` or `ours`.
    class: String,
    /// As the device said; 0 where no device said anything.
    code: i64,
    text: String,
    /// What it means, in a few words.
    meaning: String,
    path: Option<String>,
    rpc: Option<String>,
    model: Option<String>,
    software_version: Option<String>,
    cpe_id: i64,
    serial_number: String,
    cpe_state: String,
    service_id: Option<i64>,
    service: Option<String>,
}

impl From<FaultRow> for FaultView {
    fn from(row: FaultRow) -> Self {
        FaultView {
            id: row.id,
            at: at(row.at),
            meaning: words::fault_meaning(row.code, &row.class).to_owned(),
            class: row.class,
            code: row.code,
            text: row.text,
            path: some(row.path),
            rpc: some(row.rpc),
            model: some(row.model),
            software_version: some(row.software_version),
            cpe_id: row.cpe_id,
            serial_number: row.serial_number,
            cpe_state: row.cpe_state,
            service_id: row.service_id,
            service: row.service_code,
        }
    }
}

/// Faults with the verdict over all of them.
#[derive(Serialize, ToSchema)]
pub(crate) struct Faults {
    /// Which class dominates, in words.
    diagnosis: String,
    /// Where to look next.
    advice: String,
    rows: Vec<FaultView>,
    total: u64,
    page: u32,
    size: u32,
}

/// Faults, newest first.
#[utoipa::path(get, path = "/api/v1/faults", tag = "acs",
    params(ListParams, ("period" = Option<String>, Query, description = "1h, 24h, 7d or 30d"), ("class" = Option<String>, Query),
        ("model" = Option<String>, Query), ("code" = Option<i64>, Query), ("cpe" = Option<i64>, Query)),
    responses((status = 200, body = Faults)))]
pub(crate) async fn list_faults(State(ctx): State<Ctx>, uri: Uri) -> Result<Json<Faults>, ApiFail> {
    let query = query(&uri);
    let filter = pages::faults::filter(&query, ctx.app().now().0);
    let verdict = pages::faults::verdict(&ctx.read().fault_groups(&filter).await?);
    let page = query.page();
    let listed = ctx.read().faults(&filter, &query.sort(), page).await?;
    Ok(Json(Faults {
        diagnosis: verdict.sentence,
        advice: verdict.advice,
        rows: listed.rows.into_iter().map(FaultView::from).collect(),
        total: listed.total,
        page: page.number,
        size: page.size,
    }))
}

/// The same faults as a file.
#[utoipa::path(get, path = "/api/v1/faults.csv", tag = "acs",
    params(("q" = Option<String>, Query), ("period" = Option<String>, Query), ("class" = Option<String>, Query), ("model" = Option<String>, Query)),
    responses((status = 200, content_type = "text/csv", body = String)))]
#[allow(dead_code, reason = "for the document; the page's own handler serves it")]
pub(crate) async fn faults_csv() {}
