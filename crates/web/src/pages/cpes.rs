//! CPEs: the list, one CPE, and what an operator may do to it.

use std::collections::BTreeMap;

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{
    CpeFilter, CpeRow, EvidenceRow, FaultFilter, FaultRow, Overview, Page, ParameterFilter, ParameterRow,
    Sort, StateCount, TimelineRow, TimelineSubject, TimerRow,
};
use types::{CpeId, ServiceId};

use super::{
    go, html, no_store, page,
    service::is_held,
    service_found::{LayerView, Wishes, layers},
    went,
};
use crate::{
    auth::Who,
    error::Fail,
    export,
    form::Form,
    list::{ListView, Query},
    models::Family,
    proof::Proof,
    shell::Shell,
    state::Ctx,
    view::{self, Html, Number, Status, View, Word},
    words,
};

/// The last calls to a router that are shown on its page.
const CALLS_SHOWN: u32 = 10;

#[derive(Template)]
#[template(path = "cpes.html")]
struct CpesPage {
    shell: Shell,
    v: View,
    list: ListView,
    rows: Vec<CpeRow>,
    numbers: Overview,
    states: Vec<StateCount>,
}

#[derive(Template)]
#[template(path = "cpe_row.html")]
struct CpeRowPart {
    v: View,
    row: CpeRow,
}

struct Step {
    name: &'static str,
    note: String,
    done: bool,
    current: bool,
}

/// One of the gates into READY.
struct GateView {
    name: &'static str,
    /// Why it is closed, and what happens next.
    closed: Option<(String, String)>,
}

struct Call {
    /// Unlike the call after it, or the last one of all: said in full.
    news: bool,
    word: Word,
    meaning: &'static str,
    detail: String,
    at: i64,
}

struct Data {
    oob: bool,
    v: View,
    /// The reader may operate CPEs.
    may: bool,
    token: Html,
    name: String,
    title: String,
    row: CpeRow,
    now: Word,
    states: Vec<Step>,
    calls: Vec<Call>,
    faults: Vec<FaultRow>,
    faults_total: u64,
    sessions: Vec<store::read::CpeSessionRow>,
    sessions_total: u64,
    lines: Vec<TimelineRow>,
    evidence: Vec<EvidenceRow>,
    proved: usize,
    layers: Vec<LayerView>,
    gates: Vec<GateView>,
    gates_closed: usize,
    timers: Vec<TimerRow>,
    held: bool,
    clock_waits: bool,
    /// What somebody answers for.
    answered: Vec<Answered>,
    /// Several WANs could carry its service.
    asked: Option<provisioning::WanQuestion>,
    /// The answer to that, until the next session.
    chosen: Option<provisioning::ChosenWan>,
    /// It keeps this inform interval, seconds, and waits because of that.
    own_interval_s: Option<u32>,
    /// The reader may decide for the whole model.
    may_waive: bool,
    /// Which family it is of.
    family: Family,
    /// Words that somebody put on it.
    tags: Vec<store::read::TagRow>,
    /// Who else informs with its name.
    claimants: Vec<store::rows::CpeClaimant>,
}

impl Data {
    /// Who makes it: by name, or by OUI where it tells none.
    fn maker(&self) -> &str {
        if self.row.manufacturer.trim().is_empty() { &self.row.oui } else { &self.row.manufacturer }
    }
}

#[derive(Template)]
#[template(path = "cpe.html")]
struct CpePage {
    shell: Shell,
    v: View,
    c: Data,
    list: ListView,
    rows: Vec<ParameterRow>,
    sources: Sources,
    all: u64,
    csv: String,
    branches: Vec<String>,
}

#[derive(Template)]
#[template(path = "cpe/live.html")]
struct CpeLive {
    c: Data,
}

#[derive(Template)]
#[template(path = "cpe_parameters.html")]
struct ParametersPart {
    v: View,
    list: ListView,
    rows: Vec<ParameterRow>,
    sources: Sources,
    all: u64,
    csv: String,
}

/// Whose word a parameter is, where it is not the device's own.
struct Sources(BTreeMap<String, String>);

impl Sources {
    fn of(&self, path: &str) -> &str {
        self.0.get(path).map_or("session", String::as_str)
    }
}

/// A part of what is known of a router's parameters, as it is asked for.
struct ParameterPage {
    list: ListView,
    rows: Vec<ParameterRow>,
    sources: Sources,
    all: u64,
    /// The same rows as a file.
    csv: String,
}

/// `1.2 s`, from milliseconds.
pub(crate) fn took(began_at: impl Number, ended_at: impl Number) -> String {
    let ms = (ended_at.n() - began_at.n()).max(0);
    if ms < 10_000 { format!("{}.{} s", ms / 1000, ms % 1000 / 100) } else { view::span(ms / 1000) }
}

pub(crate) fn filter(query: &Query) -> CpeFilter {
    CpeFilter {
        q: query.get("q").into(),
        state: query.opt("state"),
        reason_code: query.opt("reason"),
        model: query.opt("model"),
        quarantine: (query.get("quarantine") == "1").then_some(true),
        tag: query.opt("tag"),
    }
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/cpes", uri.query());
    let shell = Shell::new(&ctx, &who, &headers, "cpes", "CPEs").await?;
    let found = ctx.read().cpes(&filter(&query), &query.sort(), query.page()).await?;
    let shell = shell.watch(found.rows.iter().map(|row| format!("cpe-{}", row.id)));
    let numbers = ctx.numbers().await?;
    let rank = |state: &str| words::CPE_STATES.iter().position(|known| *known == state);
    let mut states = numbers.cpe_states.clone();
    // Worst first, then along the way a device walks.
    states.sort_by_key(|count| (count.state != "FAILED", rank(&count.state)));
    page(
        &ctx,
        &headers,
        &CpesPage {
            shell,
            v: ctx.view(),
            list: ListView::new(query, found.total),
            rows: found.rows,
            numbers,
            states,
        },
    )
}

pub(crate) async fn row(State(ctx): State<Ctx>, _: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let row = ctx.read().cpe(id).await?.ok_or_else(|| Fail::not_found("This CPE"))?;
    Ok(no_store(html(&CpeRowPart { v: ctx.view(), row })?))
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/cpes", uri.query());
    let (wanted, sort) = (filter(&query), query.sort());
    let heading = export::line(&[
        "oui",
        "product_class",
        "serial_number",
        "pon_serial",
        "claimed_serial",
        "model",
        "software_version",
        "state",
        "state_since",
        "reason_code",
        "reason",
        "next",
        "last_inform_at",
        "next_inform_by",
        "address",
        "service",
        "customer",
    ])?;
    Ok(export::file("cpes.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().cpes(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    row.oui,
                    row.product_class,
                    row.serial_number,
                    row.pon_serial.map(|serial| view::serial(&serial)).unwrap_or_default(),
                    row.claimed_serial.map(|serial| view::serial(&serial)).unwrap_or_default(),
                    row.model,
                    row.software_version,
                    row.state,
                    v.exact(row.state_since),
                    row.reason_code,
                    v.said_exactly(row.reason_text),
                    v.said_exactly(row.reason_next.unwrap_or_default()),
                    v.exact(row.last_inform_at),
                    v.exact(row.next_inform_by),
                    row.peer_address,
                    row.service_code.unwrap_or_default(),
                    row.customer_name.unwrap_or_default(),
                ]
            }))
        }
    }))
}

/// The way a device walks; how far it came, from when its timeline says it reached each state.
fn steps(row: &CpeRow, lines: &[TimelineRow], v: &View) -> Vec<Step> {
    // FAILED is not on the way but beside it: it takes the place of the state where the work stopped.
    let way: Vec<&'static str> =
        words::CPE_STATES.into_iter().filter(|state| *state != "FAILED" || row.state == "FAILED").collect();
    let shown: Vec<&'static str> = if row.state == "FAILED" {
        way.into_iter().filter(|state| !matches!(*state, "WAITING_INFORM" | "ACTIVE")).collect()
    } else if row.state == "WAITING_INFORM" {
        way
    } else {
        way.into_iter().filter(|state| *state != "WAITING_INFORM").collect()
    };
    let at = shown.iter().position(|state| *state == row.state).unwrap_or(0);
    shown
        .iter()
        .enumerate()
        .map(|(index, name)| {
            let reached =
                lines.iter().find(|line| line.to_state.as_deref() == Some(name)).map(|line| line.at);
            let note = match index.cmp(&at) {
                std::cmp::Ordering::Less => reached.map_or_else(|| "passed".to_owned(), |at| v.clock(at)),
                std::cmp::Ordering::Equal => format!("for {}", v.since(row.state_since)),
                std::cmp::Ordering::Greater => "not yet".to_owned(),
            };
            Step { name, note, done: index < at, current: index == at }
        })
        .collect()
}

/// Something that a person answers for, so that a router goes on all the same.
pub(crate) struct Answered {
    /// In a sentence.
    pub(crate) text: String,
    /// Where it is listed, if it is for a whole model.
    pub(crate) list: &'static str,
    /// What that list is called.
    pub(crate) listed: &'static str,
}

/// Who lets this device or its model pass without a right clock or with an inform interval of its own.
pub(crate) fn answered(ctx: &Ctx, row: &CpeRow, v: &View) -> Vec<Answered> {
    let told =
        app::ModelOf { manufacturer: &row.manufacturer, oui: &row.oui, product_class: &row.product_class };
    let model = view::limited(&row.product_class, 64);
    let machine: serde_json::Value = serde_json::from_str(&row.machine).unwrap_or_default();
    let mut all = Vec::new();
    if let Some(by) = machine["clock"]["overridden_by"].as_str() {
        all.push(Answered {
            text: format!("{by} lets this router pass without a right clock."),
            list: "",
            listed: "",
        });
    }
    if let Some(waiver) = ctx.app().clock_waiver(told) {
        all.push(Answered {
            text: format!(
                "{} lets every {model} pass without a right clock, since {}: {}",
                waiver.by,
                v.clock(waiver.since),
                waiver.reason
            ),
            list: "/settings/policy#clock-waivers",
            listed: "Models that pass",
        });
    }
    let keeps = machine["ownership"]["kept_interval"]["kept_s"].as_u64();
    if let Some(kept) = ctx.app().kept_interval(told).filter(|kept| keeps == Some(kept.interval_s.into())) {
        all.push(Answered {
            text: format!(
                "It informs every {}, not as the policy says: {} accepts that of every {model}, since {}: {}",
                view::span(i64::from(kept.interval_s)),
                kept.by,
                v.clock(kept.since),
                kept.reason
            ),
            list: "/settings/policy#kept-intervals",
            listed: "Models with an interval of their own",
        });
    }
    all
}

/// A part of what its machine remembers, if it does.
fn part<T: serde::de::DeserializeOwned>(row: &CpeRow, name: &str) -> Option<T> {
    let mut machine: serde_json::Value = serde_json::from_str(&row.machine).ok()?;
    serde_json::from_value(machine[name].take()).ok()
}

/// The inform interval that the router keeps instead of the one it was told, if it waits because of that.
fn own_interval(row: &CpeRow) -> Option<u32> {
    let machine: serde_json::Value = serde_json::from_str(&row.machine).ok()?;
    let reason = &machine["reason"];
    (reason["code"] == "ownership_not_kept").then(|| reason["facts"]["kept_s"].as_str()?.parse().ok())?
}

/// Every gate into READY, closed or not.
async fn gates(ctx: &Ctx, id: i64) -> Result<Vec<GateView>, Fail> {
    let gates = crate::proof::gates(ctx, CpeId(id)).await?;
    let shown = gates.into_iter().map(|(gate, closed)| GateView {
        name: words::gate(gate),
        closed: closed.map(|reason| (reason.text, reason.next.unwrap_or_default())),
    });
    Ok(shown.collect())
}

async fn data(ctx: &Ctx, who: &Who, id: i64, oob: bool) -> Result<Data, Fail> {
    let read = ctx.read();
    let v = ctx.view();
    let row = read.cpe(id).await?.ok_or_else(|| Fail::not_found("This CPE"))?;
    let lines = read.timeline(TimelineSubject::Cpe(id), None, Page::first(200)).await?.rows;
    let lines: Vec<TimelineRow> = crate::timeline::fold(lines).into_iter().take(40).collect();
    let of_cpe = FaultFilter { cpe_id: Some(id), ..FaultFilter::default() };
    let faults = read.faults(&of_cpe, &Sort::default(), Page::first(5)).await?;
    let sessions = read.cpe_sessions(id, Page::first(5)).await?;
    let mut newer = String::new();
    let calls = read.connection_requests(id, CALLS_SHOWN).await?.into_iter().map(|request| {
        let (word, meaning) = words::connection_request(&request.outcome);
        let news = std::mem::replace(&mut newer, request.outcome.clone()) != request.outcome;
        Call { news, word, meaning, detail: request.detail, at: request.at }
    });
    let wishes = match row.service_id {
        Some(service) => Wishes::of(ctx, service).await?,
        None => Wishes::default(),
    };
    let proof = Proof::of(ctx, &row, &wishes.rows).await?;
    let strip = layers(&wishes, &proof, Some(&row));
    let evidence = proof.evidence;
    let gates = gates(ctx, id).await?;
    let tags = read.device_tags(&[id]).await?;
    let known = words::reason_title(&row.reason_code);
    let now = words::cpe_now(&row.state, &row.reason_code);
    Ok(Data {
        oob,
        may: who.may(app::Permission::OperateCpe),
        token: who.token_field(),
        name: match (row.model.as_str(), row.product_class.as_str()) {
            ("", "") => "A CPE not heard from yet".to_owned(),
            ("", class) => view::limited(class, 60),
            (model, _) => view::limited(model, 60),
        },
        title: if known.is_empty() { now.text.clone() } else { known.to_owned() },
        states: steps(&row, &lines, &v),
        calls: calls.collect(),
        faults: faults.rows,
        faults_total: faults.total,
        tags,
        claimants: ctx
            .app()
            .claimants_of(CpeId(id))
            .await?
            .into_iter()
            .filter(|one| one.address != row.peer_address)
            .collect(),
        sessions: sessions.rows,
        sessions_total: sessions.total,
        layers: strip,
        gates_closed: gates.iter().filter(|gate| gate.closed.is_some()).count(),
        gates,
        proved: evidence.iter().filter(|fact| fact.verified).count(),
        evidence,
        timers: read.cpe_timers(id).await?,
        held: is_held(&row),
        answered: answered(ctx, &row, &v),
        asked: part(&row, "wan_question"),
        chosen: part(&row, "chosen_wan"),
        own_interval_s: own_interval(&row),
        may_waive: who.may(app::Permission::WriteSettings),
        clock_waits: row.state == "OWNED" && row.reason_code.starts_with("clock"),
        family: Family::of(ctx, &row),
        lines,
        now,
        row,
        v,
    })
}

async fn parameters_of(ctx: &Ctx, id: i64, query: Query) -> Result<ParameterPage, Fail> {
    let read = ctx.read();
    let filter = ParameterFilter { q: query.get("q").into(), branch: query.get("branch").into() };
    let all =
        read.cpe_parameters(id, &ParameterFilter::default(), &Sort::default(), Page::first(1)).await?.total;
    let found = read.cpe_parameters(id, &filter, &query.sort(), query.page()).await?;
    let csv = query.with(&format!("/cpes/{id}/parameters.csv"), &[]);
    let sources = Sources(read.parameter_sources(id, &found.rows).await?);
    Ok(ParameterPage { list: ListView::new(query, found.total), rows: found.rows, sources, all, csv })
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let c = data(&ctx, &who, id, false).await?;
    let shell = Shell::new(
        &ctx,
        &who,
        &headers,
        "cpes",
        &view::serial(c.row.pon_serial.as_deref().unwrap_or(&c.row.serial_number)),
    )
    .await?
    .crumb("CPEs", "/cpes")
    .watch([format!("cpe-{id}")]);
    let ParameterPage { list, rows, sources, all, csv } =
        parameters_of(&ctx, id, Query::parse("", uri.query())).await?;
    let branches = ctx.read().cpe_branches(id).await?;
    page(&ctx, &headers, &CpePage { shell, v: ctx.view(), c, list, rows, sources, all, csv, branches })
}

pub(crate) async fn live(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    Ok(no_store(html(&CpeLive { c: data(&ctx, &who, id, true).await? })?))
}

pub(crate) async fn parameters(
    State(ctx): State<Ctx>,
    _: Who,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let ParameterPage { list, rows, sources, all, csv } =
        parameters_of(&ctx, id, Query::parse("", uri.query())).await?;
    Ok(no_store(html(&ParametersPart { v: ctx.view(), list, rows, sources, all, csv })?))
}

pub(crate) async fn parameters_csv(
    State(ctx): State<Ctx>,
    _: Who,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    ctx.read().cpe(id).await?.ok_or_else(|| Fail::not_found("This CPE"))?;
    let query = Query::parse("", uri.query());
    let wanted = ParameterFilter { q: query.get("q").into(), branch: query.get("branch").into() };
    let sort = query.sort();
    let heading = export::line(&["path", "value", "kind", "writable", "read_at"])?;
    Ok(export::file("parameters.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().cpe_parameters(id, &wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                let writable = match row.writable {
                    Some(true) => "yes",
                    Some(false) => "no",
                    None => "",
                };
                vec![row.path, row.value, row.kind, writable.to_owned(), v.exact(row.read_at)]
            }))
        }
    }))
}

#[derive(Template)]
#[template(path = "cpe_sessions.html")]
struct SessionsPage {
    shell: Shell,
    v: View,
    list: ListView,
    rows: Vec<store::read::CpeSessionRow>,
    csv: String,
}

pub(crate) async fn sessions(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let name = super::histories::router_name(&ctx, id).await?;
    let query = Query::parse("", uri.query());
    let found = ctx.read().cpe_sessions(id, query.page()).await?;
    let shell = Shell::new(&ctx, &who, &headers, "cpes", "Sessions")
        .await?
        .crumb("CPEs", "/cpes")
        .crumb(name, format!("/cpes/{id}"));
    let list = ListView::new(query, found.total);
    let csv = format!("/cpes/{id}/sessions.csv");
    page(&ctx, &headers, &SessionsPage { shell, v: ctx.view(), list, rows: found.rows, csv })
}

pub(crate) async fn sessions_csv(
    State(ctx): State<Ctx>,
    _: Who,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    ctx.read().cpe(id).await?.ok_or_else(|| Fail::not_found("This CPE"))?;
    let heading = export::line(&[
        "began_at", "ended_at", "events", "requests", "faults", "outcome", "address", "done",
    ])?;
    Ok(export::file("sessions.csv", heading, move |number| {
        let ctx = ctx.clone();
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().cpe_sessions(id, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    v.exact(row.began_at),
                    v.exact(row.ended_at),
                    row.events,
                    row.requests.to_string(),
                    row.faults.to_string(),
                    row.outcome.unwrap_or_default(),
                    row.peer_address,
                    words::session_done(&row.detail),
                ]
            }))
        }
    }))
}

fn back(form: &Form, id: i64) -> String {
    form.opt("back").unwrap_or_else(|| format!("/cpes/{id}"))
}

pub(crate) async fn tag(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let result = ctx.app().tag_cpe(&who.actor, CpeId(id), form.val("tag")).await;
    Ok(went(&ctx, &back(&form, id), "Tagged", "The list of CPEs finds it by this word.", result))
}

pub(crate) async fn untag(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let result = ctx.app().untag_cpe(&who.actor, CpeId(id), form.val("tag")).await;
    Ok(went(&ctx, &back(&form, id), "Tag removed", "Nothing else was changed.", result))
}

pub(crate) async fn hold(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let result = ctx.app().hold_cpe(&who.actor, CpeId(id), form.val("reason")).await;
    Ok(went(
        &ctx,
        &back(&form, id),
        "Held",
        "Nothing is written to this router until somebody lets it go on.",
        result,
    ))
}

pub(crate) async fn release(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let result = ctx.app().release_hold(&who.actor, CpeId(id)).await;
    Ok(went(&ctx, &back(&form, id), "No longer held", "It goes on at its next contact.", result))
}

pub(crate) async fn retry(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let result = ctx.app().retry_cpe(&who.actor, CpeId(id)).await;
    Ok(went(
        &ctx,
        &back(&form, id),
        "It will try again",
        "The waiting time has ended; cool-down and clock still count.",
        result,
    ))
}

pub(crate) async fn call(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let result = ctx.app().call_cpe(&who.actor, CpeId(id)).await;
    Ok(went(
        &ctx,
        &back(&form, id),
        "Asked to call",
        "One connection request; what came of it is said beside the router.",
        result,
    ))
}

pub(crate) async fn clock(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let result = ctx.app().override_clock_gate(&who.actor, CpeId(id)).await;
    Ok(went(&ctx, &back(&form, id), "May pass without a clock", "Kept in the audit log.", result))
}

pub(crate) async fn restore_clock(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let result = ctx.app().restore_clock_gate(&who.actor, CpeId(id)).await;
    let done = "Nothing new is written to it before it shows a right clock. What is in force on it stays.";
    Ok(went(&ctx, &back(&form, id), "Withdrawn", done, result))
}

pub(crate) async fn choose_wan(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let result = ctx.app().choose_wan(&who.actor, CpeId(id), form.val("path")).await;
    let done = "The next session reads the router again and uses it. Nothing was written yet.";
    Ok(went(&ctx, &back(&form, id), "Chosen", done, result))
}

pub(crate) async fn claim(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    form: Form,
) -> Result<Response, Fail> {
    let code = form.val("service").trim().to_uppercase();
    let Some(service) = ctx.read().service_by_code(&code).await? else {
        return Ok(go(
            &ctx,
            &format!("/cpes/{id}"),
            Status::Bad,
            "Not claimed",
            format!("There is no service {}.", view::limited(&code, 20)),
        ));
    };
    let not = |why: String| Ok(go(&ctx, &format!("/cpes/{id}"), Status::Bad, "Not claimed", why));
    let known = ctx.read().cpe(id).await?.map(|row| row.peer_address).unwrap_or_default();
    let address = match form.opt("address") {
        None if known.is_empty() => None,
        None => return not(format!("It speaks from {known} now: choose in the form which router you mean.")),
        Some(shown) => match shown.parse() {
            Ok(address) => Some(address),
            Err(_) => return not(format!("{} is no address.", view::limited(&shown, 60))),
        },
    };
    let result = ctx.app().claim_cpe(&who.actor, CpeId(id), ServiceId(service.id), address).await;
    Ok(went(&ctx, &format!("/cpes/{id}"), "Claimed", &format!("It belongs to {} now.", service.code), result))
}

pub(crate) async fn release_service(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let result = ctx.app().release_cpe(&who.actor, CpeId(id)).await;
    Ok(went(
        &ctx,
        &format!("/cpes/{id}"),
        "Released",
        "Nothing was written to the router; its service is free for another one.",
        result,
    ))
}
