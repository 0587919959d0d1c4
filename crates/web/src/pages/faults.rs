//! Faults: which class dominates and what that says, then groups, then every one of them.

use app::faults::{Diagnosis, diagnose};
use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{FaultCount, FaultFilter, FaultGroup, FaultGrouping, FaultRow, Page, Sort};

use super::{fault_import, page};
use crate::{
    auth::Who,
    error::Fail,
    export,
    list::{ListView, Query},
    shell::Shell,
    state::Ctx,
    view::{self, Number, Status, View},
    words,
};

#[derive(Template)]
#[template(path = "faults.html")]
struct FaultsPage {
    shell: Shell,
    v: View,
    list: ListView,
    tabs: Vec<Tab>,
    period: &'static str,
    cpes: i64,
    verdict: Diagnosis,
    verdict_s: Status,
    groups: Vec<FaultGroup>,
    groups_total: u64,
    groups_href: String,
    rows: Vec<FaultRow>,
}

#[derive(Template)]
#[template(path = "fault_groups.html")]
struct GroupsPage {
    shell: Shell,
    v: View,
    list: ListView,
    tabs: Vec<Tab>,
    period: &'static str,
    by: FaultGrouping,
    total: u64,
    verdict: Diagnosis,
    verdict_s: Status,
    rows: Vec<FaultGroup>,
}

/// Label, address, and whether it is this page.
pub(crate) type Tab = (&'static str, String, bool);

/// Filters that come from a link and not from a field; each is shown and can be taken off.
pub(crate) const TOKENS: [&str; 6] = ["reason", "parameter", "model", "firmware", "code", "cpe"];

/// What an address says of a filter that shall be empty: an empty value is no filter.
const EMPTY: &str = "-";

/// Groups that the list of faults begins with.
const LARGEST: u32 = 10;

pub(crate) fn tabs(shell: &Shell, query: &Query, current: &str) -> Vec<Tab> {
    // The order of one is none of the other.
    let of = |path: &str| query.with(path, &[("sort", ""), ("by", "")]);
    let mut tabs = vec![
        ("Every fault", of("/faults"), current == "/faults"),
        ("In groups", of("/faults/groups"), current == "/faults/groups"),
    ];
    if shell.may("cpes:operate") {
        tabs.push(("Of a GenieACS", fault_import::PATH.to_owned(), current == fault_import::PATH));
    }
    tabs
}

const HOUR_MS: i64 = 3_600_000;

fn period(query: &Query) -> (&'static str, i64) {
    match query.get("period") {
        "1h" => ("1 h", HOUR_MS),
        "7d" => ("7 days", 7 * 24 * HOUR_MS),
        "30d" => ("30 days", 30 * 24 * HOUR_MS),
        _ => ("24 h", 24 * HOUR_MS),
    }
}

pub(crate) fn filter(query: &Query, now_ms: i64) -> FaultFilter {
    let text = |key: &str| query.opt(key).map(|value| if value == EMPTY { String::new() } else { value });
    FaultFilter {
        since_at: now_ms - period(query).1,
        class: query.opt("class"),
        model: text("model"),
        software_version: text("firmware"),
        reason_code: text("reason"),
        parameter: text("parameter"),
        code: query.id("code"),
        cpe_id: query.id("cpe"),
        q: query.get("q").into(),
    }
}

/// What faults are grouped by.
fn grouping(query: &Query) -> FaultGrouping {
    FaultGrouping::parse(query.get("by")).unwrap_or_default()
}

/// What a group has in common, besides what stands beside it.
pub(crate) fn group_name(by: &FaultGrouping, group: &FaultGroup) -> String {
    match by {
        FaultGrouping::Everything | FaultGrouping::Reason | FaultGrouping::Parameter => {
            label(group.code, &group.text)
        }
        FaultGrouping::Class => words::fault_class(&group.class).0.to_owned(),
        FaultGrouping::Model | FaultGrouping::Firmware if group.model.is_empty() => {
            "Model not known".to_owned()
        }
        FaultGrouping::Model => view::limited(&group.model, 60),
        FaultGrouping::Firmware => {
            format!("{} {}", view::limited(&group.model, 60), view::limited(&group.software_version, 60))
        }
    }
}

/// The list of the faults of a group: the same view, narrowed to it.
pub(crate) fn faults_of(
    query: &Query,
    by: impl std::borrow::Borrow<FaultGrouping>,
    group: &FaultGroup,
) -> String {
    let said = |text: &str| if text.is_empty() { EMPTY.to_owned() } else { text.to_owned() };
    let code = group.code.to_string();
    let (class, reason) = (group.class.clone(), said(&group.reason_code));
    let (parameter, model) = (said(&group.parameter), said(&group.model));
    let firmware = said(&group.software_version);
    let mut narrow = vec![("sort", ""), ("by", "")];
    let reasons = [("class", class.as_str()), ("code", code.as_str()), ("reason", reason.as_str())];
    match by.borrow() {
        FaultGrouping::Class => narrow.push(("class", &class)),
        FaultGrouping::Reason => narrow.extend(reasons),
        FaultGrouping::Parameter => {
            narrow.extend(reasons.into_iter().chain([("parameter", parameter.as_str())]))
        }
        FaultGrouping::Model => narrow.push(("model", &model)),
        FaultGrouping::Firmware => {
            narrow.extend([("model", model.as_str()), ("firmware", firmware.as_str())])
        }
        FaultGrouping::Everything => narrow.extend(reasons.into_iter().chain([
            ("parameter", parameter.as_str()),
            ("model", model.as_str()),
            ("firmware", firmware.as_str()),
        ])),
    }
    query.with("/faults", &narrow)
}

/// `87 %` of all; what is there is never nothing.
pub(crate) fn share(part: impl Number, whole: impl Number) -> String {
    let (part, whole) = (part.n().max(0), whole.n().max(1));
    match (part.saturating_mul(100) + whole / 2) / whole {
        0 if part > 0 => "< 1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

fn verdict_status(counts: &[FaultCount]) -> Status {
    if counts.iter().all(|count| count.open == 0) { Status::Info } else { Status::Warn }
}

/// `9007 Invalid value`; connection requests have no code of the device.
pub(crate) fn label(code: impl Number, text: &str) -> String {
    let code = code.n();
    // The outcome of a connection request is stored as its word.
    let word = text
        .split_once(' ')
        .map_or(text, |(code, rest)| if code.bytes().all(|b| b.is_ascii_digit()) { rest } else { text });
    if let Some(known) = words::known_connection_request(word) {
        return known.to_owned();
    }
    let text = view::limited(text, 160);
    if code > 0 && !text.starts_with(&code.to_string()) { format!("{code} {text}") } else { text }
}

/// The verdict over all of them.
pub(crate) fn verdict(counts: &[FaultCount]) -> Diagnosis {
    let counts: Vec<(String, String, u64)> = counts
        .iter()
        .map(|count| {
            (count.class.clone(), label(count.code, &count.text), u64::try_from(count.faults).unwrap_or(0))
        })
        .collect();
    diagnose(&counts)
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/faults", uri.query());
    let v = ctx.view();
    let wanted = filter(&query, v.now.0);
    let shell = Shell::new(&ctx, &who, &headers, "faults", "Faults").await?.watch(["cpes".to_owned()]);
    let largest = Page::first(LARGEST);
    let groups =
        ctx.read().fault_groups(&wanted, FaultGrouping::Everything, &Sort::default(), largest).await?;
    let found = ctx.read().faults(&wanted, &query.sort(), query.page()).await?;
    let counts = ctx.read().fault_counts(&wanted).await?;
    let cpes = groups.rows.first().map_or(0, |group| group.cpes);
    let shown = FaultsPage {
        tabs: tabs(&shell, &query, "/faults"),
        shell,
        v,
        period: period(&query).0,
        groups_href: query.with("/faults/groups", &[("sort", "")]),
        list: ListView::new(query, found.total),
        cpes: if groups.total == 1 { cpes } else { 0 },
        verdict: verdict(&counts),
        verdict_s: verdict_status(&counts),
        groups: groups.rows,
        groups_total: groups.total,
        rows: found.rows,
    };
    page(&ctx, &headers, &shown)
}

pub(crate) async fn groups(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/faults/groups", uri.query());
    let v = ctx.view();
    let (wanted, by) = (filter(&query, v.now.0), grouping(&query));
    let shell =
        Shell::new(&ctx, &who, &headers, "faults", "Faults in groups").await?.watch(["cpes".to_owned()]);
    let found = ctx.read().fault_groups(&wanted, by, &query.sort(), query.page()).await?;
    let counts = ctx.read().fault_counts(&wanted).await?;
    let shown = GroupsPage {
        tabs: tabs(&shell, &query, "/faults/groups"),
        shell,
        v,
        period: period(&query).0,
        by,
        total: total(&counts),
        verdict: verdict(&counts),
        verdict_s: verdict_status(&counts),
        list: ListView::new(query, found.total),
        rows: found.rows,
    };
    page(&ctx, &headers, &shown)
}

/// Faults behind these counts.
pub(crate) fn total(counts: &[FaultCount]) -> u64 {
    counts.iter().map(|count| u64::try_from(count.faults).unwrap_or(0)).sum()
}

/// Heading of the file with groups.
pub(crate) const GROUP_COLUMNS: [&str; 14] = [
    "class",
    "code",
    "reason_code",
    "text",
    "parameter",
    "model",
    "software_version",
    "faults",
    "percent",
    "cpes",
    "open_cpes",
    "first_at",
    "last_at",
    "meaning",
];

/// One group as a line, with its times written by `time`.
pub(crate) fn group_cells(group: FaultGroup, total: u64, time: impl Fn(i64) -> String) -> Vec<String> {
    let faults = u64::try_from(group.faults).unwrap_or(0);
    let tenths = (faults * 1000 + total.max(1) / 2) / total.max(1);
    vec![
        group.class.clone(),
        group.code.to_string(),
        group.reason_code,
        group.text,
        group.parameter,
        group.model,
        group.software_version,
        group.faults.to_string(),
        format!("{}.{}", tenths / 10, tenths % 10),
        group.cpes.to_string(),
        group.open.to_string(),
        time(group.first_at),
        time(group.last_at),
        words::fault_meaning(group.code, &group.class).to_owned(),
    ]
}

pub(crate) async fn groups_csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/faults/groups", uri.query());
    let (wanted, by, sort) = (filter(&query, ctx.view().now.0), grouping(&query), query.sort());
    let total = ctx.read().fault_total(&wanted).await?;
    let heading = export::line(&GROUP_COLUMNS)?;
    Ok(export::file("fault-groups.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().fault_groups(&wanted, by, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|mut group| {
                group.text = v.said_exactly(group.text);
                group_cells(group, total, |at| v.exact(at))
            }))
        }
    }))
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/faults", uri.query());
    let (wanted, sort) = (filter(&query, ctx.view().now.0), query.sort());
    let heading = export::line(&[
        "at",
        "class",
        "code",
        "text",
        "path",
        "rpc",
        "model",
        "software_version",
        "reason_code",
        "serial_number",
        "cpe_state",
        "service",
        "customer",
        "meaning",
    ])?;
    Ok(export::file("faults.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().faults(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    v.exact(row.at),
                    row.class.clone(),
                    row.code.to_string(),
                    v.said_exactly(row.text),
                    row.path,
                    row.rpc,
                    row.model,
                    row.software_version,
                    row.reason_code,
                    row.serial_number,
                    row.cpe_state,
                    row.service_code.unwrap_or_default(),
                    row.customer_name.unwrap_or_default(),
                    words::fault_meaning(row.code, &row.class).to_owned(),
                ]
            }))
        }
    }))
}
