//! Customers and plans, as far as services need them.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{
    CustomerFilter, CustomerRow, Page, PlanFilter, PlanRow, ServiceFilter, ServiceRow, Sort, TimelineRow,
    TimelineSubject,
};
use types::{Currency, CustomerId, PlanId};

use super::{again, filled, go, page, service::phone_digits};
use crate::{
    auth::Who,
    error::Fail,
    export,
    form::{Form, spell_decimal},
    list::{ListView, Query},
    shell::Shell,
    state::Ctx,
    view::{self, Status, View},
    words,
};

filled!(CustomerForm, PlanForm);

#[derive(Template)]
#[template(path = "customers.html")]
struct CustomersPage {
    shell: Shell,
    v: View,
    list: ListView,
    rows: Vec<CustomerRow>,
}

#[derive(Template)]
#[template(path = "customer.html")]
struct CustomerPage {
    shell: Shell,
    v: View,
    row: CustomerRow,
    services: Vec<ServiceRow>,
    lines: Vec<TimelineRow>,
    phone_digits: String,
}

#[derive(Template)]
#[template(path = "customer_form.html")]
struct CustomerForm {
    shell: Shell,
    form: Form,
    action: String,
    back: String,
}

#[derive(Template)]
#[template(path = "plans.html")]
struct PlansPage {
    shell: Shell,
    list: ListView,
    rows: Vec<PlanRow>,
}

#[derive(Template)]
#[template(path = "plan_form.html")]
struct PlanForm {
    shell: Shell,
    form: Form,
    action: String,
    note: String,
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/customers", uri.query());
    let shell = Shell::new(&ctx, &who, &headers, "customers", "Customers").await?;
    let filter = CustomerFilter { q: query.get("q").into() };
    let found = ctx.read().customers(&filter, &query.sort(), query.page()).await?;
    page(
        &ctx,
        &headers,
        &CustomersPage { shell, v: ctx.view(), list: ListView::new(query, found.total), rows: found.rows },
    )
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/customers", uri.query());
    let (wanted, sort) = (CustomerFilter { q: query.get("q").into() }, query.sort());
    let heading = export::line(&["code", "name", "phone", "email", "address", "services", "created_at"])?;
    Ok(export::file("customers.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().customers(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    row.code,
                    row.name,
                    row.phone,
                    row.email,
                    row.address,
                    row.services.to_string(),
                    v.exact(row.created_at),
                ]
            }))
        }
    }))
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let row = ctx.read().customer(id).await?.ok_or_else(|| Fail::not_found("This customer"))?;
    let shell =
        Shell::new(&ctx, &who, &headers, "customers", &row.name).await?.crumb("Customers", "/customers");
    let filter = ServiceFilter { customer_id: Some(id), ..ServiceFilter::default() };
    let services = ctx.read().services(&filter, &Sort::default(), Page::first(100)).await?.rows;
    let lines = ctx.read().timeline(TimelineSubject::Customer(id), None, Page::first(40)).await?.rows;
    let phone_digits = phone_digits(&row.phone);
    page(&ctx, &headers, &CustomerPage { shell, v: ctx.view(), row, services, lines, phone_digits })
}

fn input(form: &Form) -> app::NewCustomer {
    let text = |name: &str| form.val(name).trim().to_owned();
    app::NewCustomer {
        name: text("name"),
        phone: text("phone"),
        email: text("email"),
        address: text("address"),
        note: text("note"),
    }
}

async fn customer_form(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    form: Form,
    id: Option<i64>,
) -> Result<CustomerForm, Fail> {
    let title = if id.is_some() { "Change customer" } else { "New customer" };
    let shell = Shell::new(ctx, who, headers, "customers", title).await?.crumb("Customers", "/customers");
    let back = id.map_or_else(|| "/customers".to_owned(), |id| format!("/customers/{id}"));
    let action = id.map_or_else(|| "/customers".to_owned(), |id| format!("/customers/{id}/edit"));
    Ok(CustomerForm { shell, form, action, back })
}

pub(crate) async fn new(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let form = Form::parse(uri.query().unwrap_or_default());
    page(&ctx, &headers, &customer_form(&ctx, &who, &headers, form, None).await?)
}

pub(crate) async fn create(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Fail> {
    match ctx.app().create_customer(&who.actor, input(&form)).await {
        Ok(id) => Ok(go(&ctx, &format!("/customers/{id}"), Status::Ok, "Customer created", "")),
        Err(error) => {
            form.take(error.into());
            again(&customer_form(&ctx, &who, &headers, form, None).await?)
        }
    }
}

pub(crate) async fn edit(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let row = ctx.read().customer(id).await?.ok_or_else(|| Fail::not_found("This customer"))?;
    let mut form = Form::default();
    form.set("name", row.name)
        .set("phone", row.phone)
        .set("email", row.email)
        .set("address", row.address)
        .set("note", row.note);
    page(&ctx, &headers, &customer_form(&ctx, &who, &headers, form, Some(id)).await?)
}

pub(crate) async fn change(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    match ctx.app().update_customer(&who.actor, CustomerId(id), input(&form)).await {
        Ok(()) => Ok(go(&ctx, &format!("/customers/{id}"), Status::Ok, "Saved", "")),
        Err(error) => {
            form.take(error.into());
            again(&customer_form(&ctx, &who, &headers, form, Some(id)).await?)
        }
    }
}

fn plan_filter(query: &Query) -> PlanFilter {
    let active = match query.get("active") {
        "1" => Some(true),
        "0" => Some(false),
        _ => None,
    };
    PlanFilter { q: query.get("q").into(), active }
}

pub(crate) async fn plans(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/plans", uri.query());
    let shell = Shell::new(&ctx, &who, &headers, "plans", "Plans").await?;
    let found = ctx.read().plan_list(&plan_filter(&query), &query.sort(), query.page()).await?;
    page(&ctx, &headers, &PlansPage { shell, list: ListView::new(query, found.total), rows: found.rows })
}

pub(crate) async fn plans_csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/plans", uri.query());
    let (wanted, sort) = (plan_filter(&query), query.sort());
    let heading = export::line(&[
        "name",
        "sold",
        "down_kbps",
        "up_kbps",
        "price",
        "currency",
        "internet_mode",
        "vlan",
        "services",
    ])?;
    Ok(export::file("plans.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().plan_list(&wanted, &sort, part).await?.rows;
            export::lines(rows.into_iter().map(|row| {
                let digits = row.currency.parse::<Currency>().map_or(2, |currency| currency.minor_digits());
                vec![
                    row.name,
                    if row.active { "yes" } else { "no" }.to_owned(),
                    row.down_kbps.to_string(),
                    row.up_kbps.to_string(),
                    spell_decimal(row.price_minor, digits),
                    row.currency,
                    row.internet_mode,
                    row.vlan.map(|vlan| vlan.to_string()).unwrap_or_default(),
                    row.services.to_string(),
                ]
            }))
        }
    }))
}

fn plan_input(form: &mut Form) -> Option<app::NewPlan> {
    let currency: Option<Currency> = form.val("currency").trim().to_uppercase().parse().ok();
    if currency.is_none() {
        form.wrong("currency", "is no currency; write its three letters, e.g. EUR.");
    }
    let digits = currency.as_ref().map_or(2, |currency| currency.minor_digits() as usize);
    let plan = app::NewPlan {
        name: form.val("name").trim().to_owned(),
        down_kbps: form.decimal("down_mbps", "down_kbps", 3),
        up_kbps: form.decimal("up_mbps", "up_kbps", 3),
        price_minor: form.decimal("price", "price_minor", digits),
        currency: currency?,
        internet_mode: form.val("internet_mode").to_owned(),
        vlan: form.optional_number("vlan"),
    };
    (!form.has_errors()).then_some(plan)
}

async fn plan_form(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    form: Form,
    id: Option<i64>,
) -> Result<PlanForm, Fail> {
    let shell = Shell::new(ctx, who, headers, "plans", if id.is_some() { "Change plan" } else { "New plan" })
        .await?
        .crumb("Plans", "/plans");
    let action = id.map_or_else(|| "/plans".to_owned(), |id| format!("/plans/{id}/edit"));
    let note = if id.is_some() {
        "Services keep what they have; a change is for what comes".to_owned()
    } else {
        String::new()
    };
    Ok(PlanForm { shell, form, action, note })
}

pub(crate) async fn new_plan(State(ctx): State<Ctx>, who: Who, headers: HeaderMap) -> Result<Response, Fail> {
    let mut form = Form::default();
    form.set("currency", "EUR").set("internet_mode", "pppoe").set("active", "1");
    page(&ctx, &headers, &plan_form(&ctx, &who, &headers, form, None).await?)
}

pub(crate) async fn create_plan(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Fail> {
    if let Some(plan) = plan_input(&mut form) {
        match ctx.app().create_plan(&who.actor, plan).await {
            Ok(_) => return Ok(go(&ctx, "/plans", Status::Ok, "Plan created", "")),
            Err(error) => form.take(error.into()),
        }
    }
    again(&plan_form(&ctx, &who, &headers, form, None).await?)
}

pub(crate) async fn edit_plan(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let row = ctx.read().plan(id).await?.ok_or_else(|| Fail::not_found("This plan"))?;
    let digits = row.currency.parse::<Currency>().map_or(2, |currency| currency.minor_digits());
    let mut form = Form::default();
    form.set("name", &row.name)
        .set("down_mbps", spell_decimal(row.down_kbps, 3))
        .set("up_mbps", spell_decimal(row.up_kbps, 3))
        .set("price", spell_decimal(row.price_minor, digits))
        .set("currency", &row.currency)
        .set("internet_mode", &row.internet_mode)
        .set("vlan", row.vlan.map(|vlan| vlan.to_string()).unwrap_or_default())
        .set("active", if row.active { "1" } else { "" });
    page(&ctx, &headers, &plan_form(&ctx, &who, &headers, form, Some(id)).await?)
}

pub(crate) async fn change_plan(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    if let Some(plan) = plan_input(&mut form) {
        let active = form.is_on("active");
        match ctx.app().update_plan(&who.actor, PlanId(id), plan, active).await {
            Ok(()) => return Ok(go(&ctx, "/plans", Status::Ok, "Plan saved", "")),
            Err(error) => form.take(error.into()),
        }
    }
    again(&plan_form(&ctx, &who, &headers, form, Some(id)).await?)
}
