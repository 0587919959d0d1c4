//! Plans.

use app::NewPlan;
use axum::{Json, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use store::read::{PlanFilter, PlanRow};
use types::{Currency, PlanId};
use utoipa::ToSchema;

use super::{
    idempotency::Order,
    input::{Asked, Body, Filter, Id, list_query},
    output::{Answer, List, Reply, found},
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    state::Ctx,
};

list_query! {
    /// Which plans.
    PlanQuery {
        /// Name or kind of internet access.
        q: String,
        /// Only those on sale, or only those not.
        active: bool,
    } /// One of name, state, down, up, price, services.
    sort ["name", "state", "down", "up", "price", "services"]
}

/// A plan.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plan {
    id: i64,
    name: String,
    down_kbps: i64,
    up_kbps: i64,
    /// Price of a month in minor units of the currency.
    price_minor: i64,
    /// ISO 4217.
    currency: String,
    /// `pppoe`, `dhcp` or `bridge`.
    internet_mode: String,
    /// VLAN of the internet service; null: the OLT's own default.
    vlan: Option<i64>,
    /// It is sold.
    active: bool,
    /// Services on it that are not terminated.
    services: i64,
}

/// A plan to create, or everything about one to replace.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanInput {
    /// Name on offers and invoices.
    #[schema(max_length = 120)]
    name: String,
    /// Download in kbit/s.
    #[schema(minimum = 64)]
    down_kbps: i64,
    /// Upload in kbit/s.
    #[schema(minimum = 64)]
    up_kbps: i64,
    /// Price of a month in minor units of the currency.
    #[schema(minimum = 0)]
    price_minor: i64,
    /// ISO 4217.
    #[schema(value_type = String, example = "EUR")]
    currency: Currency,
    /// `pppoe`, `dhcp` or `bridge`.
    internet_mode: String,
    /// VLAN of the internet service; absent: the OLT's own default.
    #[schema(minimum = 1, maximum = 4094)]
    vlan: Option<u16>,
    /// False takes it off sale; only for a change. True if absent.
    active: Option<bool>,
}

impl From<PlanInput> for NewPlan {
    fn from(input: PlanInput) -> Self {
        let PlanInput { name, down_kbps, up_kbps, price_minor, currency, internet_mode, vlan, active: _ } =
            input;
        NewPlan { name, down_kbps, up_kbps, price_minor, currency, internet_mode, vlan }
    }
}

fn plan(row: PlanRow) -> Plan {
    Plan {
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

async fn one(ctx: &Ctx, id: i64) -> Result<Plan, Fail> {
    found(ctx.read().plan(id).await?, "plan", id).map(plan)
}

/// Plans, those on sale first.
#[utoipa::path(get, path = "/api/v1/plans", tag = "plans", params(PlanQuery),
    responses((status = 200, description = "A page of plans.", body = List<Plan>)))]
pub(super) async fn list_plans(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<PlanQuery>,
) -> Answer<List<Plan>> {
    let (page, sort) = (asked.page(), asked.sort());
    let filter = PlanFilter { q: asked.q.unwrap_or_default(), active: asked.active };
    Ok(List::of(ctx.read().plan_list(&filter, &sort, page).await?, page, plan))
}

/// Puts a plan on sale.
#[utoipa::path(post, path = "/api/v1/plans", tag = "plans", request_body = PlanInput,
    responses((status = 201, description = "Created.", body = Plan,
        headers(("Location" = String, description = "Where it is.")))))]
pub(super) async fn create_plan(order: Order<PlanInput>) -> Result<Response, ApiFail> {
    order
        .once(|ctx, actor, input| async move {
            if input.active == Some(false) {
                let text = "a new plan is on sale; change it afterwards.";
                return Err(app::AppError::invalid("active", text).into());
            }
            let id = ctx.app().create_plan(&actor, input.into()).await?.0;
            Reply::created(format!("/api/v1/plans/{id}"), &one(&ctx, id).await?)
        })
        .await
}

/// One plan.
#[utoipa::path(get, path = "/api/v1/plans/{id}", tag = "plans", params(("id" = i64, Path, description = "The plan.")),
    responses((status = 200, description = "The plan.", body = Plan)))]
pub(super) async fn get_plan(State(ctx): State<Ctx>, Id(id): Id) -> Answer<Plan> {
    Ok(Json(one(&ctx, id).await?))
}

/// Replaces a plan. Services keep the intents they have; a changed plan is for what comes.
#[utoipa::path(put, path = "/api/v1/plans/{id}", tag = "plans", params(("id" = i64, Path, description = "The plan.")),
    request_body = PlanInput, responses((status = 200, description = "Changed.", body = Plan)))]
pub(super) async fn update_plan(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(input): Body<PlanInput>,
) -> Answer<Plan> {
    let active = input.active.unwrap_or(true);
    ctx.app().update_plan(&actor, PlanId(id), input.into(), active).await?;
    Ok(Json(one(&ctx, id).await?))
}
