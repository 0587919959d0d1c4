//! Faults: which class dominates and what that says, then groups, then every one of them.

use app::faults::{Diagnosis, diagnose};
use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{FaultCount, FaultFilter, FaultGroup, FaultRow};

use super::page;
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
    period: &'static str,
    cpes: i64,
    verdict: Diagnosis,
    verdict_s: Status,
    groups: Vec<FaultGroup>,
    rows: Vec<FaultRow>,
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
    FaultFilter {
        since_at: now_ms - period(query).1,
        class: query.opt("class"),
        model: query.opt("model"),
        code: query.id("code"),
        cpe_id: query.id("cpe"),
        q: query.get("q").into(),
    }
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
    let groups = ctx.read().fault_groups(&wanted).await?;
    let found = ctx.read().faults(&wanted, &query.sort(), query.page()).await?;
    let counts = ctx.read().fault_counts(&wanted).await?;
    let verdict = verdict(&counts);
    let verdict_s = if counts.iter().all(|count| count.open == 0) { Status::Info } else { Status::Warn };
    let cpes = groups.iter().map(|group| group.cpes).max().unwrap_or(0);
    let shown = FaultsPage {
        shell,
        v,
        period: period(&query).0,
        list: ListView::new(query, found.total),
        cpes: if groups.len() == 1 { cpes } else { 0 },
        verdict,
        verdict_s,
        groups,
        rows: found.rows,
    };
    page(&ctx, &headers, &shown)
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
