//! The list of services, and making a new one.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{CustomerRow, PlanRow, ServiceFilter, ServiceRow};
use types::{CustomerId, PlanId, Secret, Serial};

use super::{
    again, filled, go, html, no_store, page, picker,
    secrets::{Made, shown_once},
};
use crate::{
    auth::Who,
    error::Fail,
    export,
    form::Form,
    list::{ListView, Query},
    shell::Shell,
    state::Ctx,
    view::{self, Status, View},
    words,
};

filled!(NewServicePage);

#[derive(Template)]
#[template(path = "services.html")]
struct ServicesPage {
    shell: Shell,
    v: View,
    list: ListView,
    rows: Vec<ServiceRow>,
}

#[derive(Template)]
#[template(path = "service_row.html")]
struct ServiceRowPart {
    v: View,
    row: ServiceRow,
}

#[derive(Template)]
#[template(path = "service_new.html")]
struct NewServicePage {
    shell: Shell,
    form: Form,
    customers: Vec<CustomerRow>,
    /// What the list of customers leaves out.
    left_out: String,
    plans: Vec<PlanRow>,
}

pub(crate) fn filter(query: &Query) -> ServiceFilter {
    ServiceFilter {
        q: query.get("q").into(),
        state: query.opt("state"),
        cpe_state: query.opt("cpe"),
        customer_id: query.id("customer"),
        without_onu: query.get("without_onu") == "1",
    }
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/services", uri.query());
    let shell = Shell::new(&ctx, &who, &headers, "services", "Services").await?;
    let found = ctx.read().services(&filter(&query), &query.sort(), query.page()).await?;
    let topics = found.rows.iter().flat_map(|row| {
        std::iter::once(format!("service-{}", row.id)).chain(row.cpe_id.map(|cpe| format!("cpe-{cpe}")))
    });
    let shell = shell.watch(topics);
    page(
        &ctx,
        &headers,
        &ServicesPage { shell, v: ctx.view(), list: ListView::new(query, found.total), rows: found.rows },
    )
}

pub(crate) async fn row(State(ctx): State<Ctx>, _: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let row = ctx.read().service(id).await?.ok_or_else(|| Fail::not_found("This service"))?;
    Ok(no_store(html(&ServiceRowPart { v: ctx.view(), row })?))
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/services", uri.query());
    let (wanted, sort) = (filter(&query), query.sort());
    let heading = export::line(&[
        "code",
        "state",
        "customer",
        "customer_code",
        "phone",
        "address",
        "plan",
        "pppoe_login",
        "onu_serial",
        "olt",
        "pon",
        "cpe_state",
        "cpe_reason",
        "created_at",
        "activated_at",
    ])?;
    Ok(export::file("services.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().services(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    row.code,
                    row.state,
                    row.customer_name,
                    row.customer_code,
                    row.customer_phone,
                    row.address,
                    row.plan_name,
                    row.pppoe_login.unwrap_or_default(),
                    row.onu_serial
                        .or(row.expected_serial)
                        .map(|serial| view::serial(&serial))
                        .unwrap_or_default(),
                    row.olt_name.unwrap_or_default(),
                    row.onu_pon.unwrap_or_default(),
                    row.cpe_state.unwrap_or_default(),
                    v.said_exactly(row.cpe_reason_text.unwrap_or_default()),
                    v.exact(row.created_at),
                    v.exact(row.activated_at),
                ]
            }))
        }
    }))
}

async fn draw(ctx: &Ctx, who: &Who, headers: &HeaderMap, form: Form) -> Result<NewServicePage, Fail> {
    let shell =
        Shell::new(ctx, who, headers, "services", "New service").await?.crumb("Services", "/services");
    let found = picker::customers(ctx, form.val("customer_q")).await?;
    let left_out = picker::left_out(&found);
    let mut customers = found.rows;
    if let Ok(chosen) = form.val("customer_id").parse::<i64>()
        && !customers.iter().any(|customer| customer.id == chosen)
    {
        customers.extend(ctx.read().customer(chosen).await?);
    }
    Ok(NewServicePage { shell, form, customers, left_out, plans: ctx.read().plans().await? })
}

pub(crate) async fn new(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let form = Form::parse(uri.query().unwrap_or_default());
    page(&ctx, &headers, &draw(&ctx, &who, &headers, form).await?)
}

pub(crate) async fn create(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Fail> {
    picker::settle(&ctx, &mut form, "customer").await?;
    // What the word that was typed means is said already.
    let customer_id: i64 = if form.has_errors() { 0 } else { form.number("customer_id") };
    let plan_id: i64 = form.number("plan_id");
    let expected_serial = match form.opt("expected_serial").map(|text| text.parse::<Serial>()) {
        None => None,
        Some(Ok(serial)) => Some(serial),
        Some(Err(error)) => {
            form.wrong("expected_serial", format!("{error}."));
            None
        }
    };
    if form.opt("ssid").is_none() && form.opt("passphrase").is_some() {
        form.wrong("ssid", "is missing beside its password.");
    }
    if !form.has_errors() {
        let wifi = form.opt("ssid").map(|ssid| app::WifiInput {
            ssid,
            passphrase: form.opt("passphrase").map(Secret::new),
            enabled: true,
        });
        let input = app::NewService {
            customer_id: CustomerId(customer_id),
            plan_id: PlanId(plan_id),
            pppoe_login: form.opt("pppoe_login"),
            pppoe_password: form.opt("pppoe_password").map(Secret::new),
            wifi,
            expected_serial,
            address: form.val("address").trim().to_owned(),
        };
        match ctx.app().reserve_service(&who.actor, input).await {
            Ok((id, generated)) if !generated.is_empty() => {
                let made = Made {
                    title: "Service created",
                    service: id.0,
                    next: "The router gets it by itself when its ONU is authorised.",
                    task: None,
                };
                return shown_once(&ctx, &who, &headers, made, generated).await;
            }
            Ok((id, _)) => {
                return Ok(go(
                    &ctx,
                    &format!("/services/{id}"),
                    Status::Ok,
                    "Service created",
                    "Its router is set up when its ONU is authorised.",
                ));
            }
            Err(error) => form.take(error.into()),
        }
    }
    form.forgets(&["pppoe_password", "passphrase"]);
    again(&draw(&ctx, &who, &headers, form).await?)
}
