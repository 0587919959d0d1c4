//! Authorising a detected ONU: one form, the exact lines before anything is sent, then a task.

use app::{
    AppError, AuthoriseFor, AuthoriseRequest, DryRun, NewLine, OltDefaults, Permission, PlannedCustomer,
    PlannedService,
};
use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{CustomerRow, DetectedRow, Page, PlanRow, ServiceFilter, ServiceRow, Sort};
use types::{CustomerId, OltId, PlanId, Secret, ServiceId};

use super::{
    again, filled, go, html, no_store, page, picker,
    secrets::{Made, shown_once},
};
use crate::{
    auth::Who,
    error::Fail,
    form::Form,
    shell::Shell,
    state::Ctx,
    view::{self, Status, View},
    words,
};

filled!(AuthorisePage);

#[derive(Template)]
#[template(path = "authorise.html")]
struct AuthorisePage {
    shell: Shell,
    v: View,
    row: DetectedRow,
    form: Form,
    services: Vec<ServiceRow>,
    /// What the list of services leaves out.
    services_left_out: String,
    customers: Vec<CustomerRow>,
    /// What the list of customers leaves out.
    customers_left_out: String,
    plans: Vec<PlanRow>,
    defaults: OltDefaults,
    /// May make customers and services too.
    may_make: bool,
}

struct Line {
    k: &'static str,
    sign: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "dry_run.html")]
pub(super) struct DryRunPart {
    dry: Option<DryRun>,
    sent: usize,
    lines: Vec<Line>,
    s: Status,
    problem: String,
}

impl DryRunPart {
    /// Why there is none.
    pub(super) fn problem(s: Status, problem: &str) -> Self {
        DryRunPart { dry: None, sent: 0, lines: Vec::new(), s, problem: problem.to_owned() }
    }

    pub(super) fn of(dry: DryRun) -> Self {
        let (sent, lines) = (sent(&dry), lines(&dry));
        DryRunPart { dry: Some(dry), sent, lines, s: Status::Ok, problem: String::new() }
    }
}

async fn detected(ctx: &Ctx, form: &Form) -> Result<DetectedRow, Fail> {
    let id = form
        .val("detected")
        .parse()
        .map_err(|_| Fail::bad_request("Which ONU? Choose one on the Detected page."))?;
    ctx.read().detected_onu(id).await?.ok_or_else(|| Fail::not_found("This detected ONU"))
}

async fn draw(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    row: DetectedRow,
    form: Form,
) -> Result<AuthorisePage, Fail> {
    let shell = Shell::new(ctx, who, headers, "detected", "Authorise").await?.crumb("Detected", "/detected");
    let read = ctx.read();
    let found = picker::services(ctx, form.val("service_q")).await?;
    let services_left_out = picker::left_out(&found);
    let mut services = found.rows;
    if let Some(matched) = row.service_id
        && !services.iter().any(|service| service.id == matched)
    {
        services.extend(read.service(matched).await?);
    }
    services.sort_by_key(|service| (Some(service.id) != row.service_id, service.code.clone()));
    let found = picker::customers(ctx, form.val("customer_q")).await?;
    let customers_left_out = picker::left_out(&found);
    let customers = found.rows;
    let plans = read.plans().await?;
    let defaults = read.olt(row.olt_id).await?.map(|olt| defaults(&olt.defaults)).unwrap_or_default();
    let may_make = may_make(who);
    Ok(AuthorisePage {
        shell,
        v: ctx.view(),
        row,
        form,
        services,
        services_left_out,
        customers,
        customers_left_out,
        plans,
        defaults,
        may_make,
    })
}

fn may_make(who: &Who) -> bool {
    who.actor.may(Permission::WriteCustomers) && who.actor.may(Permission::WriteServices)
}

/// The defaults as stored; an OLT whose defaults cannot be read shows the built-in ones.
pub(crate) fn defaults(stored: &str) -> OltDefaults {
    serde_json::from_str(stored).unwrap_or_default()
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let mut form = Form::parse(uri.query().unwrap_or_default());
    let row = detected(&ctx, &form).await?;
    if form.val("for").is_empty() {
        let waiting = ServiceFilter { without_onu: true, ..ServiceFilter::default() };
        let some_wait = row.service_id.is_some()
            || ctx.read().services(&waiting, &Sort::default(), Page::first(1)).await?.total > 0;
        let otherwise = if may_make(&who) { "new" } else { "none" };
        form.set("for", if some_wait { "service" } else { otherwise });
        if let Some(service) = row.service_id {
            form.set("service_id", service);
        }
    }
    page(&ctx, &headers, &draw(&ctx, &who, &headers, row, form).await?)
}

/// What the form asks for. A new service is only planned here.
fn request(row: &DetectedRow, form: &mut Form) -> Result<AuthoriseRequest, Fail> {
    let wrong = |what: &str| {
        Fail::bad_request(format!("The {what} of this detected ONU cannot be read from the database."))
    };
    Ok(AuthoriseRequest {
        olt_id: OltId(row.olt_id),
        pon: row.pon.parse().map_err(|_| wrong("PON"))?,
        serial: row.serial.parse().map_err(|_| wrong("serial"))?,
        service: whom(form),
        description: form.opt("description"),
        internet_vlan: form.optional_number("internet_vlan"),
        untagged: match form.val("side") {
            "tagged" => Some(false),
            "untagged" => Some(true),
            _ => None,
        },
        seen: form.opt("seen"),
    })
}

/// Chooses what was typed instead of chosen.
async fn settle(ctx: &Ctx, form: &mut Form) -> Result<(), Fail> {
    match form.val("for") {
        "service" => picker::settle(ctx, form, "service").await,
        // A name that is typed is a new customer's.
        "new" if form.opt("customer_name").is_none() => picker::settle(ctx, form, "customer").await,
        _ => Ok(()),
    }
}

/// Whom it is for. What is missing is noted in the form; then it is for nobody.
fn whom(form: &mut Form) -> AuthoriseFor {
    match form.val("for") {
        "service" => match form.val("service_id").parse() {
            Ok(id) => AuthoriseFor::Service(ServiceId(id)),
            Err(_) => {
                if !form.has_errors() {
                    form.wrong("service_id", "is not chosen.");
                }
                AuthoriseFor::Nobody
            }
        },
        "new" => {
            let Some(plan) = form.opt("plan_id").and_then(|id| id.parse().ok()) else {
                form.wrong("plan_id", "is not chosen; make a plan first if there is none.");
                return AuthoriseFor::Nobody;
            };
            let customer = match form.opt("customer_id").and_then(|id| id.parse().ok()) {
                Some(id) => PlannedCustomer::Known(CustomerId(id)),
                None => PlannedCustomer::New(form.val("customer_name").trim().to_owned()),
            };
            AuthoriseFor::Planned(PlannedService { plan_id: PlanId(plan), customer })
        }
        _ => AuthoriseFor::Nobody,
    }
}

pub(crate) async fn dry_run(State(ctx): State<Ctx>, who: Who, uri: Uri) -> Result<Response, Fail> {
    let mut form = Form::parse(uri.query().unwrap_or_default());
    let row = detected(&ctx, &form).await?;
    settle(&ctx, &mut form).await?;
    let request = request(&row, &mut form)?;
    let missing = match form.val("for") {
        "service" if !form.error("service_id").as_str().is_empty() => {
            Some("Pick a service; the dry run then shows every line.")
        }
        "new" if !form.error("plan_id").as_str().is_empty() => {
            Some("Pick a plan; the dry run then shows every line.")
        }
        "new" if form.opt("customer_id").is_none() && form.opt("customer_name").is_none() => {
            Some("Pick a customer or name a new one; the dry run then shows every line.")
        }
        _ => None,
    };
    if let Some(missing) = missing {
        return Ok(no_store(html(&DryRunPart::problem(Status::Info, missing))?));
    }
    if form.has_errors() {
        return Ok(no_store(html(&DryRunPart::problem(
            Status::Warn,
            "A field is not acceptable; the dry run follows when it is.",
        ))?));
    }
    Ok(no_store(match ctx.app().dry_run_authorise(&who.actor, &request).await {
        Ok(dry) => html(&DryRunPart::of(dry))?,
        Err(error) => html(&DryRunPart::problem(Status::Bad, &Fail::from(error).detail))?,
    }))
}

/// Lines as a person reads them: what is sent, word for word, then what must be found afterwards.
fn lines(dry: &DryRun) -> Vec<Line> {
    let mut out = Vec::new();
    for line in &dry.lines {
        let (k, sign) = match line.kind.as_str() {
            "read" => ("read", "?"),
            "add" => ("add", "+"),
            "remove" => ("del", "−"),
            _ => ("", " "),
        };
        if k == "read" && out.last().is_some_and(|before: &Line| before.k != "read") {
            out.push(Line { k: "note", sign: " ", text: "then read back; it counts when".to_owned() });
        }
        out.push(Line { k, sign, text: line.text.clone() });
    }
    out
}

/// How many of them are sent.
fn sent(dry: &DryRun) -> usize {
    dry.lines.iter().filter(|line| line.kind != "read").count()
}

pub(crate) async fn submit(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Fail> {
    let row = detected(&ctx, &form).await?;
    settle(&ctx, &mut form).await?;
    let wanted = request(&row, &mut form)?;
    if form.has_errors() {
        form.forgets(&["pppoe_password", "passphrase"]);
        return again(&draw(&ctx, &who, &headers, row, form).await?);
    }
    let ordered = match &wanted.service {
        AuthoriseFor::Planned(_) => match new_line(&form) {
            // Customer, service and order are made together or not at all.
            Ok(line) => ctx
                .app()
                .authorise_new(&who.actor, &wanted, line)
                .await
                .map(|made| (made.task, Some((made.service, made.generated)))),
            Err(error) => Err(error),
        },
        _ => ctx.app().authorise_onu(&who.actor, &wanted).await.map(|task| (task, None)),
    };
    match ordered {
        Ok((task, Some((service, generated)))) if !generated.is_empty() => {
            let made = Made {
                title: "Authorising, for a new service",
                service: service.0,
                next: "The router gets it by itself once the OLT was read back.",
                task: Some(task.0),
            };
            shown_once(&ctx, &who, &headers, made, generated).await
        }
        Ok((task, _)) => Ok(go(
            &ctx,
            &format!("/tasks/{task}"),
            Status::Ok,
            "Authorising",
            "Every line and answer appears below as it happens.",
        )),
        Err(error) => {
            form.take(error.into());
            form.forgets(&["pppoe_password", "passphrase"]);
            again(&draw(&ctx, &who, &headers, row, form).await?)
        }
    }
}

/// What the form says of a new service beside what reaches the OLT.
fn new_line(form: &Form) -> Result<NewLine, AppError> {
    let wifi = form.opt("ssid").map(|ssid| app::WifiInput {
        ssid,
        passphrase: form.opt("passphrase").map(Secret::new),
        enabled: true,
    });
    if wifi.is_none() && form.opt("passphrase").is_some() {
        return Err(AppError::invalid("ssid", "is missing beside its password."));
    }
    Ok(NewLine {
        customer_phone: form.val("customer_phone").trim().to_owned(),
        address: form.val("address").trim().to_owned(),
        pppoe_login: form.opt("pppoe_login"),
        pppoe_password: form.opt("pppoe_password").map(Secret::new),
        wifi,
    })
}
