//! Device care: the data model of one router step by step, and what may be ordered for it.

use super::{go, histories::router_name, page, went};
use crate::{
    auth::Who,
    error::Fail,
    form::Form,
    list::{ListView, Query, encode},
    shell::Shell,
    state::Ctx,
    view::{self, Html, Status, View, Word},
};
use app::{DeviceOrderRequest, DiagnosisRequest, ParameterChange, Permission};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use provisioning::{Diagnosis, Findings, Hop, Host, NameAnswer, Neighbour, never_ordered};
use store::{read::ParameterBranch, rows::DeviceOrder};
use types::{CpeId, DeviceOrderId, Secret};

/// Orders that are shown.
const SHOWN: u64 = 20;

struct Step {
    name: String,
    href: String,
}

struct Child {
    row: ParameterBranch,
    /// Further down, or to its form.
    href: Option<String>,
    secret: bool,
}

struct OrderLine {
    id: i64,
    word: Word,
    summary: String,
    text: String,
    warning: String,
    by: String,
    at: i64,
    /// It may still be withdrawn, or given up.
    waits: bool,
    /// What a trace found on its way.
    hops: Vec<Hop>,
    /// How long they took could not be read, of some at least.
    times_unread: bool,
    /// Names (of networks, of hosts) could not be read, of some at least.
    names_unread: bool,
    /// What name servers answered.
    answers: Vec<NameAnswer>,
    /// Networks that were heard.
    networks: Vec<Neighbour>,
    /// What is connected.
    hosts: Vec<Host>,
}

#[derive(Template)]
#[template(path = "device_care.html")]
struct CarePage {
    shell: Shell,
    v: View,
    id: i64,
    token: Html,
    list: ListView,
    /// Where we are: an object, or nothing for the root.
    object: String,
    steps: Vec<Step>,
    children: Vec<Child>,
    edited: Option<ParameterBranch>,
    edited_secret: bool,
    /// Why it is not changed by order, whoever may order.
    edited_never: Option<&'static str>,
    orders: Vec<OrderLine>,
    csv: String,
    may_read: bool,
    may_set: bool,
    may_restart: bool,
    /// Why nothing but reading is offered.
    only_reading: Option<String>,
}

fn place(id: i64, object: &str) -> String {
    format!("/cpes/{id}/care?path={}", encode(object))
}

/// A state of an order, for people.
fn word(state: &str) -> Word {
    match state {
        "waiting" => Word::new(Status::Wait, "Waiting for the next session"),
        "sent" => Word::new(Status::Wait, "Sent"),
        "done" => Word::new(Status::Ok, "Done"),
        "accepted" => Word::new(Status::Info, "Accepted, not to be read back"),
        "failed" => Word::new(Status::Bad, "Failed"),
        "expired" => Word::new(Status::Warn, "Expired"),
        _ => Word::new(Status::Off, "Cancelled"),
    }
}

fn line(row: DeviceOrder) -> OrderLine {
    let (mut hops, mut answers, mut networks, mut hosts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut times_unread, mut names_unread) = (false, false);
    let missing = |unread: &[String], word: &str| unread.iter().any(|one| one == word);
    match serde_json::from_value(row.findings) {
        Ok(Some(Findings::Traceroute { hops: found, unread, .. })) => {
            (hops, times_unread) = (found, missing(&unread, "times"));
        }
        Ok(Some(Findings::Lookup { answers: found, .. })) => answers = found,
        Ok(Some(Findings::Neighbours { networks: found, unread, .. })) => {
            (networks, names_unread) = (found, missing(&unread, "ssid"));
        }
        Ok(Some(Findings::Hosts { hosts: found, unread, .. })) => {
            (hosts, names_unread) = (found, missing(&unread, "name"));
        }
        // The rest is told in the sentence.
        Ok(_) | Err(_) => {}
    }
    let test = Diagnosis::is_word(&row.kind);
    OrderLine {
        hops,
        times_unread,
        names_unread,
        answers,
        networks,
        hosts,
        id: row.id.0,
        word: word(&row.state),
        waits: row.state == "waiting" || (test && row.state == "sent"),
        summary: row.summary,
        text: row.text,
        warning: row.warning,
        by: row.actor,
        at: row.ended_at.or(row.sent_at).unwrap_or(row.created_at).0,
    }
}

/// `InternetGatewayDevice.LANDevice.1.` as three links.
fn steps(id: i64, object: &str) -> Vec<Step> {
    let ends = object.match_indices('.').map(|(at, _)| at + 1);
    let mut from = 0;
    ends.map(|end| {
        let name = object[from..end].trim_end_matches('.').to_owned();
        from = end;
        Step { name, href: place(id, &object[..end]) }
    })
    .collect()
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let name = router_name(&ctx, id).await?;
    let query = Query::parse("", uri.query());
    let asked = query.get("path").to_owned();
    // A parameter is asked for with what lies around it.
    let object = asked.rfind('.').map_or(String::new(), |dot| asked[..=dot].to_owned());
    let found = ctx.read().cpe_children(id, &object, query.page()).await?;
    let edited = found.rows.iter().find(|child| child.leaf.is_some() && child.path == asked).cloned();
    let secret = |path: &str| types::names_a_secret(path);
    // What is known of it is shown even where its stored state cannot be read; nothing can be done with it then.
    let only_reading =
        ctx.app().only_reading(CpeId(id)).await.unwrap_or_else(|error| Some(Fail::from(error).detail));
    let may_set = only_reading.is_none() && who.may(Permission::ConfigureCpe);
    let children = found.rows.into_iter().map(|row| {
        let writable = row.leaf.as_ref().is_some_and(|leaf| leaf.writable == Some(true));
        let leads = row.leaf.is_none() || (writable && may_set && never_ordered(&row.path).is_none());
        Child { href: leads.then(|| place(id, &row.path)), secret: secret(&row.path), row }
    });
    let orders = ctx.app().device_orders(CpeId(id), SHOWN).await?;
    let shell = Shell::new(&ctx, &who, &headers, "cpes", "Device care")
        .await?
        .crumb("CPEs", "/cpes")
        .crumb(name, format!("/cpes/{id}"));
    let shown = CarePage {
        shell,
        v: ctx.view(),
        id,
        token: who.token_field(),
        steps: steps(id, &object),
        children: children.collect(),
        edited_never: edited.as_ref().and_then(|child| never_ordered(&child.path)),
        edited_secret: edited.as_ref().is_some_and(|child| secret(&child.path)),
        edited,
        orders: orders.into_iter().map(line).collect(),
        csv: format!("/cpes/{id}/parameters.csv?branch={}", encode(&object)),
        list: ListView::new(query, found.total),
        object,
        may_read: who.may(Permission::OperateCpe),
        may_set,
        may_restart: only_reading.is_none() && who.may(Permission::RestartCpe),
        only_reading,
    };
    page(&ctx, &headers, &shown)
}

/// Gives an order and goes back to where it was given.
async fn give(ctx: &Ctx, who: &Who, id: i64, to: &str, request: DeviceOrderRequest) -> Response {
    match ctx.app().order_device(&who.actor, CpeId(id), request, None).await {
        Ok(taken) if taken.warnings.is_empty() => {
            let text = "It is done in the next session with the router; what came of it is said below.";
            go(ctx, to, Status::Ok, "Ordered", text)
        }
        Ok(taken) => go(ctx, to, Status::Warn, "Ordered", taken.warnings.join(" ")),
        Err(error) => {
            let fail = Fail::from(error);
            go(ctx, to, Status::Bad, fail.title, fail.detail)
        }
    }
}

pub(crate) async fn refresh(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>, form: Form) -> Response {
    let path = form.val("path").trim().to_owned();
    give(&ctx, &who, id, &place(id, &path), DeviceOrderRequest::refresh(path)).await
}

pub(crate) async fn set(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>, form: Form) -> Response {
    let path = form.val("path").trim().to_owned();
    let change = ParameterChange { path: path.clone(), value: Secret::new(form.val("value")), kind: None };
    give(&ctx, &who, id, &place(id, &path), DeviceOrderRequest::Set { values: vec![change] }).await
}

pub(crate) async fn test(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>, form: Form) -> Response {
    let host = form.val("host").to_owned();
    let what = match form.val("test") {
        "traceroute" => DiagnosisRequest::Traceroute { host, hops: None, tries: None, timeout_ms: None },
        "lookup" => DiagnosisRequest::Lookup { host, server: None, count: None, timeout_ms: None },
        "neighbours" => DiagnosisRequest::Neighbours,
        "hosts" => DiagnosisRequest::Hosts,
        _ => DiagnosisRequest::Ping { host, count: None, timeout_ms: None, size: None },
    };
    give(&ctx, &who, id, &place(id, ""), DeviceOrderRequest::Diagnose(what)).await
}

pub(crate) async fn reboot(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>, form: Form) -> Response {
    let request = DeviceOrderRequest::Reboot { confirmed: form.is_on("confirmed") };
    give(&ctx, &who, id, &place(id, ""), request).await
}

pub(crate) async fn factory_reset(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Response {
    let request = DeviceOrderRequest::FactoryReset { confirmed: form.is_on("confirmed") };
    give(&ctx, &who, id, &place(id, ""), request).await
}

pub(crate) async fn cancel(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let order = form.val("order").parse().map(DeviceOrderId).map_err(|_| Fail::not_found("This order"))?;
    let mine = ctx.app().device_order(order).await?;
    if mine.cpe_id != CpeId(id) {
        return Err(Fail::not_found("This order"));
    }
    let to = place(id, "");
    Ok(match ctx.app().cancel_order(&who.actor, order).await {
        Ok(row) if row.state == "cancelled" => {
            go(&ctx, &to, Status::Ok, "Cancelled", "The router was not told of it.")
        }
        // It left before, or ended meanwhile: what is known of it is in its text.
        Ok(row) => go(&ctx, &to, Status::Warn, word(&row.state).text, row.text),
        Err(error) => went(&ctx, &to, "", "", Err(error)),
    })
}
