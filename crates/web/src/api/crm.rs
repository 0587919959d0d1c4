//! Customers, plans, services and their layer intents.

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::Response,
};
use serde::{Deserialize, Serialize};
use store::read::{
    CustomerFilter, CustomerRow, IntentRow, PlanRow, ServiceRow, TimelineRow, TimelineSubject,
};
use types::{CustomerId, PlanId, Secret, ServiceId};
use utoipa::ToSchema;

use super::{JsonBody, ListParams, Listing, Made, at, at_opt, listing, made, query, some};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail, Problem},
    pages,
    state::Ctx,
};

/// A customer.
#[derive(Serialize, ToSchema)]
pub(crate) struct CustomerView {
    id: i64,
    code: String,
    name: String,
    phone: Option<String>,
    email: Option<String>,
    address: Option<String>,
    note: Option<String>,
    created_at: String,
    services: i64,
}

impl From<CustomerRow> for CustomerView {
    fn from(row: CustomerRow) -> Self {
        CustomerView {
            id: row.id,
            code: row.code,
            name: row.name,
            phone: some(row.phone),
            email: some(row.email),
            address: some(row.address),
            note: some(row.note),
            created_at: at(row.created_at),
            services: row.services,
        }
    }
}

/// A customer to create or change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CustomerBody {
    /// Person or company, in their own script.
    name: String,
    #[serde(default)]
    phone: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    note: String,
}

impl From<CustomerBody> for app::NewCustomer {
    fn from(body: CustomerBody) -> Self {
        let CustomerBody { name, phone, email, address, note } = body;
        app::NewCustomer { name, phone, email, address, note }
    }
}

/// Customers.
#[utoipa::path(get, path = "/api/v1/customers", tag = "crm", params(ListParams), responses((status = 200, body = Listing<CustomerView>)))]
pub(crate) async fn list_customers(
    State(ctx): State<Ctx>,
    uri: Uri,
) -> Result<Json<Listing<CustomerView>>, ApiFail> {
    let query = query(&uri);
    let filter = CustomerFilter { q: query.get("q").into() };
    Ok(listing(ctx.read().customers(&filter, &query.sort(), query.page()).await?, query.page()))
}

/// One customer.
#[utoipa::path(get, path = "/api/v1/customers/{id}", tag = "crm", params(("id" = i64, Path)),
    responses((status = 200, body = CustomerView), (status = 404, body = Problem)))]
pub(crate) async fn get_customer(
    State(ctx): State<Ctx>,
    Path(id): Path<i64>,
) -> Result<Json<CustomerView>, ApiFail> {
    Ok(Json(ctx.read().customer(id).await?.ok_or_else(|| Fail::not_found("This customer"))?.into()))
}

/// Creates a customer.
#[utoipa::path(post, path = "/api/v1/customers", tag = "crm", request_body = CustomerBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "the request is carried out once")),
    responses((status = 201, body = Made), (status = 422, body = Problem)))]
pub(crate) async fn create_customer(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<CustomerBody>,
) -> Result<Response, ApiFail> {
    let id = ctx.app().create_customer(&actor, body.into()).await?;
    Ok(made("/api/v1/customers", id.0))
}

/// Changes a customer.
#[utoipa::path(put, path = "/api/v1/customers/{id}", tag = "crm", params(("id" = i64, Path)), request_body = CustomerBody,
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn update_customer(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody<CustomerBody>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().update_customer(&actor, CustomerId(id), body.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A plan.
#[derive(Serialize, ToSchema)]
pub(crate) struct PlanView {
    id: i64,
    name: String,
    down_kbps: i64,
    up_kbps: i64,
    /// In minor units of the currency.
    price_minor: i64,
    currency: String,
    internet_mode: String,
    vlan: Option<i64>,
    active: bool,
    services: i64,
}

impl From<PlanRow> for PlanView {
    fn from(row: PlanRow) -> Self {
        PlanView {
            id: row.id,
            name: row.name,
            down_kbps: row.down_kbps,
            up_kbps: row.up_kbps,
            price_minor: row.price_minor,
            currency: row.currency,
            internet_mode: row.internet_mode,
            vlan: row.vlan,
            active: row.active,
            services: row.services,
        }
    }
}

/// A plan to create or change.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanBody {
    name: String,
    down_kbps: i64,
    up_kbps: i64,
    price_minor: i64,
    /// ISO 4217, e.g. `EUR`.
    currency: String,
    /// `pppoe`, `dhcp` or `bridge`.
    internet_mode: String,
    /// Absent: the OLT's own default.
    #[serde(default)]
    vlan: Option<u16>,
    /// On sale; true unless given.
    #[serde(default)]
    active: Option<bool>,
}

impl PlanBody {
    fn input(self) -> Result<app::NewPlan, Fail> {
        let currency = self.currency.parse().map_err(|_| {
            Fail::from(app::AppError::invalid(
                "currency",
                "is no currency; write its three letters, e.g. EUR.",
            ))
        })?;
        Ok(app::NewPlan {
            name: self.name,
            down_kbps: self.down_kbps,
            up_kbps: self.up_kbps,
            price_minor: self.price_minor,
            currency,
            internet_mode: self.internet_mode,
            vlan: self.vlan,
        })
    }
}

/// All plans.
#[utoipa::path(get, path = "/api/v1/plans", tag = "crm", responses((status = 200, body = Vec<PlanView>)))]
pub(crate) async fn list_plans(State(ctx): State<Ctx>) -> Result<Json<Vec<PlanView>>, ApiFail> {
    Ok(Json(ctx.read().plans().await?.into_iter().map(PlanView::from).collect()))
}

/// Puts a plan on sale.
#[utoipa::path(post, path = "/api/v1/plans", tag = "crm", request_body = PlanBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "the request is carried out once")),
    responses((status = 201, body = Made), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create_plan(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<PlanBody>,
) -> Result<Response, ApiFail> {
    let id = ctx.app().create_plan(&actor, body.input()?).await?;
    Ok(made("/api/v1/plans", id.0))
}

/// Changes a plan. Services keep the intents they have.
#[utoipa::path(put, path = "/api/v1/plans/{id}", tag = "crm", params(("id" = i64, Path)), request_body = PlanBody,
    responses((status = 204), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn update_plan(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody<PlanBody>,
) -> Result<StatusCode, ApiFail> {
    let active = body.active.unwrap_or(true);
    ctx.app().update_plan(&actor, PlanId(id), body.input()?, active).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A service with everything it ties together.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceView {
    id: i64,
    code: String,
    /// `reserved`, `inactive`, `active`, `suspended` or `terminated`.
    state: String,
    access_state: String,
    deny_reason: Option<String>,
    customer_id: i64,
    customer: String,
    plan_id: i64,
    plan: String,
    address: String,
    pppoe_login: Option<String>,
    expected_serial: Option<String>,
    onu_id: Option<i64>,
    onu_serial: Option<String>,
    olt_id: Option<i64>,
    pon: Option<String>,
    cpe_id: Option<i64>,
    cpe_state: Option<String>,
    cpe_reason: Option<String>,
    created_at: String,
    activated_at: Option<String>,
}

impl From<ServiceRow> for ServiceView {
    fn from(row: ServiceRow) -> Self {
        ServiceView {
            id: row.id,
            code: row.code,
            state: row.state,
            access_state: row.access_state,
            deny_reason: row.deny_reason,
            customer_id: row.customer_id,
            customer: row.customer_name,
            plan_id: row.plan_id,
            plan: row.plan_name,
            address: row.address,
            pppoe_login: row.pppoe_login,
            expected_serial: row.expected_serial,
            onu_id: row.onu_row_id,
            onu_serial: row.onu_serial,
            olt_id: row.olt_id,
            pon: row.onu_pon,
            cpe_id: row.cpe_id,
            cpe_state: row.cpe_state,
            cpe_reason: row.cpe_reason_text,
            created_at: at(row.created_at),
            activated_at: at_opt(row.activated_at),
        }
    }
}

/// A layer's intent; its body with the secrets never leaves.
#[derive(Serialize, ToSchema)]
pub(crate) struct IntentView {
    /// `core`, `internet`, `access` or `extras`.
    layer: String,
    version: i64,
    updated_at: String,
    updated_by: String,
}

impl From<IntentRow> for IntentView {
    fn from(row: IntentRow) -> Self {
        IntentView {
            layer: row.layer,
            version: row.intent_version,
            updated_at: at(row.updated_at),
            updated_by: row.updated_by,
        }
    }
}

/// A service with its intents.
#[derive(Serialize, ToSchema)]
pub(crate) struct ServiceDetail {
    #[serde(flatten)]
    service: ServiceView,
    intents: Vec<IntentView>,
}

/// A home network as wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WifiBody {
    /// Network name, the same on every band.
    ssid: String,
    /// 8 to 63 characters, write-only; absent: keep the one in force.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    passphrase: Option<Secret>,
    /// True unless given.
    #[serde(default)]
    enabled: Option<bool>,
}

impl From<WifiBody> for app::WifiInput {
    fn from(body: WifiBody) -> Self {
        app::WifiInput { ssid: body.ssid, passphrase: body.passphrase, enabled: body.enabled.unwrap_or(true) }
    }
}

/// A service to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServiceBody {
    customer_id: i64,
    plan_id: i64,
    /// Absent: derived from the service code.
    #[serde(default)]
    pppoe_login: Option<String>,
    /// Write-only; absent: a random one.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    pppoe_password: Option<Secret>,
    /// Absent: a name from the service code and a random passphrase.
    #[serde(default)]
    wifi: Option<WifiBody>,
    /// Serial of the ONU that will be installed, in any notation.
    #[serde(default)]
    expected_serial: Option<String>,
    /// Empty: the customer's address.
    #[serde(default)]
    address: String,
}

/// Services.
#[utoipa::path(get, path = "/api/v1/services", tag = "crm",
    params(ListParams, ("state" = Option<String>, Query), ("cpe" = Option<String>, Query, description = "state of the CPE, or none"),
        ("customer" = Option<i64>, Query), ("without_onu" = Option<String>, Query, description = "1: only those an ONU can be given to")),
    responses((status = 200, body = Listing<ServiceView>)))]
pub(crate) async fn list_services(
    State(ctx): State<Ctx>,
    uri: Uri,
) -> Result<Json<Listing<ServiceView>>, ApiFail> {
    let query = query(&uri);
    Ok(listing(
        ctx.read().services(&pages::services::filter(&query), &query.sort(), query.page()).await?,
        query.page(),
    ))
}

/// One service with its intents.
#[utoipa::path(get, path = "/api/v1/services/{id}", tag = "crm", params(("id" = i64, Path)),
    responses((status = 200, body = ServiceDetail), (status = 404, body = Problem)))]
pub(crate) async fn get_service(
    State(ctx): State<Ctx>,
    Path(id): Path<i64>,
) -> Result<Json<ServiceDetail>, ApiFail> {
    let service = ctx.read().service(id).await?.ok_or_else(|| Fail::not_found("This service"))?;
    let intents = ctx.read().service_intents(id).await?.into_iter().map(IntentView::from).collect();
    Ok(Json(ServiceDetail { service: service.into(), intents }))
}

/// Reserves a service.
#[utoipa::path(post, path = "/api/v1/services", tag = "crm", request_body = ServiceBody,
    params(("Idempotency-Key" = Option<String>, Header, description = "the request is carried out once")),
    responses((status = 201, body = Made), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create_service(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    JsonBody(body): JsonBody<ServiceBody>,
) -> Result<Response, ApiFail> {
    let expected_serial = body.expected_serial.map(|text| text.parse::<types::Serial>()).transpose();
    let expected_serial = expected_serial
        .map_err(|error| Fail::from(app::AppError::invalid("expected_serial", format!("{error}."))))?;
    let input = app::NewService {
        customer_id: CustomerId(body.customer_id),
        plan_id: PlanId(body.plan_id),
        pppoe_login: body.pppoe_login,
        pppoe_password: body.pppoe_password,
        wifi: body.wifi.map(Into::into),
        expected_serial,
        address: body.address,
    };
    let id = ctx.app().create_service(&actor, input).await?;
    Ok(made("/api/v1/services", id.0))
}

/// The internet layer as wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InternetBody {
    /// `pppoe`, `dhcp` or `bridge`.
    mode: String,
    #[serde(default)]
    username: Option<String>,
    /// Write-only; absent: keep the one in force.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    password: Option<Secret>,
    #[serde(default)]
    vlan: Option<u16>,
}

/// Says what the internet layer should be. It is done when the router reads it back.
#[utoipa::path(put, path = "/api/v1/services/{id}/intents/internet", tag = "crm", params(("id" = i64, Path)),
    request_body = InternetBody, responses((status = 204), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn set_internet(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody<InternetBody>,
) -> Result<StatusCode, ApiFail> {
    let InternetBody { mode, username, password, vlan } = body;
    ctx.app()
        .set_internet(&actor, ServiceId(id), app::InternetInput { mode, username, password, vlan })
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The access layer as wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessBody {
    wifi: WifiBody,
}

/// Says what the access layer (Wi-Fi) should be. The WAN is not touched by it.
#[utoipa::path(put, path = "/api/v1/services/{id}/intents/access", tag = "crm", params(("id" = i64, Path)),
    request_body = AccessBody, responses((status = 204), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn set_access(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody<AccessBody>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().set_access(&actor, ServiceId(id), app::AccessInput { wifi: body.wifi.into() }).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Why a service is suspended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuspendBody {
    /// `unpaid`, `customer_request`, `abuse` or `technical`.
    reason: String,
}

/// Suspends a service: the WAN is disabled, nothing is deleted.
#[utoipa::path(post, path = "/api/v1/services/{id}/suspend", tag = "crm", params(("id" = i64, Path)), request_body = SuspendBody,
    responses((status = 204), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn suspend(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
    JsonBody(body): JsonBody<SuspendBody>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().suspend_service(&actor, ServiceId(id), &body.reason).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resumes a suspended service: one write on the router.
#[utoipa::path(post, path = "/api/v1/services/{id}/resume", tag = "crm", params(("id" = i64, Path)),
    responses((status = 204), (status = 409, body = Problem)))]
pub(crate) async fn resume(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Path(id): Path<i64>,
) -> Result<StatusCode, ApiFail> {
    ctx.app().resume_service(&actor, ServiceId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One line of a timeline: what happened, why, and what happens next.
#[derive(Serialize, ToSchema)]
pub(crate) struct TimelineView {
    id: i64,
    at: String,
    /// `ok`, `info`, `wait`, `warn` or `bad`.
    severity: String,
    code: String,
    text: String,
    next: Option<String>,
    from_state: Option<String>,
    to_state: Option<String>,
    actor: String,
}

impl From<TimelineRow> for TimelineView {
    fn from(row: TimelineRow) -> Self {
        TimelineView {
            id: row.id,
            at: at(row.at),
            severity: row.severity,
            code: row.code,
            text: row.text,
            next: row.next_text,
            from_state: row.from_state,
            to_state: row.to_state,
            actor: row.actor,
        }
    }
}

/// The history of a service and its devices, newest first.
#[utoipa::path(get, path = "/api/v1/services/{id}/timeline", tag = "crm",
    params(("id" = i64, Path), ("page" = Option<u32>, Query), ("size" = Option<u32>, Query)),
    responses((status = 200, body = Listing<TimelineView>), (status = 404, body = Problem)))]
pub(crate) async fn timeline(
    State(ctx): State<Ctx>,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Json<Listing<TimelineView>>, ApiFail> {
    let query = query(&uri);
    let row = ctx.read().service(id).await?.ok_or_else(|| Fail::not_found("This service"))?;
    let subject = TimelineSubject::Service { id, onu_row_id: row.onu_row_id, cpe_id: row.cpe_id };
    Ok(listing(ctx.read().timeline(subject, None, query.page()).await?, query.page()))
}
