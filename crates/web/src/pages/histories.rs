//! Histories whole: our calls to a router, and every line of the timeline of a router or an ONU. The pages of these show
//! the newest of them.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{TimelineFilter, TimelineRow, TimelineSubject};

use super::page;
use crate::{
    auth::Who,
    error::Fail,
    export,
    list::{ListView, Query},
    shell::Shell,
    state::Ctx,
    view::{self, View, Word},
    words,
};

/// One call to a router.
struct Call {
    word: Word,
    meaning: &'static str,
    detail: String,
    at: i64,
}

#[derive(Template)]
#[template(path = "cpe_calls.html")]
struct CallsPage {
    shell: Shell,
    v: View,
    list: ListView,
    rows: Vec<Call>,
    csv: String,
    /// How a call can end: the stable word, and what it is called.
    outcomes: Vec<(&'static str, String)>,
}

/// How a call can end.
const OUTCOMES: [&str; 13] = [
    "accepted",
    "unauthorized",
    "http",
    "url_missing",
    "url_invalid",
    "not_in_management_subnet",
    "another_address",
    "unreachable",
    "timeout",
    "no_inform_after_accept",
    "unanswered",
    "not_sent",
    "process_ended",
];

/// What a router is called where a page is about it.
pub(super) async fn router_name(ctx: &Ctx, id: i64) -> Result<String, Fail> {
    let row = ctx.read().cpe(id).await?.ok_or_else(|| Fail::not_found("This CPE"))?;
    Ok(view::serial(row.pon_serial.as_deref().unwrap_or(&row.serial_number)))
}

pub(crate) async fn calls(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let name = router_name(&ctx, id).await?;
    let query = Query::parse("", uri.query());
    let found =
        ctx.read().connection_request_list(id, query.opt("outcome"), &query.sort(), query.page()).await?;
    let rows = found.rows.into_iter().map(|row| {
        let (word, meaning) = words::connection_request(&row.outcome);
        Call { word, meaning, detail: row.detail, at: row.at }
    });
    let shell = Shell::new(&ctx, &who, &headers, "cpes", "Our calls")
        .await?
        .crumb("CPEs", "/cpes")
        .crumb(name, format!("/cpes/{id}"));
    let shown = CallsPage {
        shell,
        v: ctx.view(),
        rows: rows.collect(),
        csv: query.with(&format!("/cpes/{id}/calls.csv"), &[]),
        list: ListView::new(query, found.total),
        outcomes: OUTCOMES.into_iter().map(|word| (word, words::connection_request(word).0.text)).collect(),
    };
    page(&ctx, &headers, &shown)
}

pub(crate) async fn calls_csv(
    State(ctx): State<Ctx>,
    _: Who,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    router_name(&ctx, id).await?;
    let query = Query::parse("", uri.query());
    let heading = export::line(&["at", "outcome", "meaning", "detail"])?;
    Ok(export::file("calls.csv", heading, move |number| {
        let (ctx, query) = (ctx.clone(), query.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows =
                ctx.read().connection_request_list(id, query.opt("outcome"), &query.sort(), part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                let meaning = words::connection_request(&row.outcome).1.to_owned();
                vec![v.exact(row.at), row.outcome, meaning, row.detail]
            }))
        }
    }))
}

#[derive(Template)]
#[template(path = "history.html")]
struct HistoryPage {
    shell: Shell,
    v: View,
    list: ListView,
    lines: Vec<TimelineRow>,
    csv: String,
}

fn filter(query: &Query) -> TimelineFilter {
    TimelineFilter { since_at: None, severity: query.opt("severity"), q: query.get("q").into() }
}

/// Whose history, and the way back to it.
struct Subject {
    subject: TimelineSubject,
    active: &'static str,
    list: (&'static str, &'static str),
    name: String,
    href: String,
}

impl Subject {
    async fn cpe(ctx: &Ctx, id: i64) -> Result<Subject, Fail> {
        Ok(Subject {
            subject: TimelineSubject::Cpe(id),
            active: "cpes",
            list: ("CPEs", "/cpes"),
            name: router_name(ctx, id).await?,
            href: format!("/cpes/{id}"),
        })
    }

    async fn onu(ctx: &Ctx, id: i64) -> Result<Subject, Fail> {
        let row = ctx.read().onu(id).await?.ok_or_else(|| Fail::not_found("This ONU"))?;
        Ok(Subject {
            subject: TimelineSubject::Onu(id),
            active: "onus",
            list: ("ONUs", "/onus"),
            name: view::serial(&row.serial),
            href: format!("/onus/{id}"),
        })
    }
}

async fn show(ctx: &Ctx, who: &Who, headers: &HeaderMap, uri: &Uri, of: Subject) -> Result<Response, Fail> {
    let query = Query::parse("", uri.query());
    let found = ctx.read().timeline_lines(of.subject, &filter(&query), &query.sort(), query.page()).await?;
    let shell = Shell::new(ctx, who, headers, of.active, "Timeline")
        .await?
        .crumb(of.list.0, of.list.1)
        .crumb(of.name, of.href.clone());
    let shown = HistoryPage {
        shell,
        v: ctx.view(),
        lines: found.rows,
        csv: query.with(&format!("{}/timeline.csv", of.href), &[]),
        list: ListView::new(query, found.total),
    };
    page(ctx, headers, &shown)
}

fn file(ctx: Ctx, uri: &Uri, of: Subject) -> Result<Response, Fail> {
    let query = Query::parse("", uri.query());
    let heading =
        export::line(&["at", "kind", "from_state", "to_state", "severity", "code", "text", "next", "actor"])?;
    let subject = of.subject;
    Ok(export::file("timeline.csv", heading, move |number| {
        let (ctx, query) = (ctx.clone(), query.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().timeline_lines(subject, &filter(&query), &query.sort(), part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    v.exact(row.at),
                    row.kind,
                    row.from_state.unwrap_or_default(),
                    row.to_state.unwrap_or_default(),
                    row.severity,
                    row.code,
                    v.said_exactly(row.text),
                    v.said_exactly(row.next_text.unwrap_or_default()),
                    row.actor,
                ]
            }))
        }
    }))
}

pub(crate) async fn cpe(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let of = Subject::cpe(&ctx, id).await?;
    show(&ctx, &who, &headers, &uri, of).await
}

pub(crate) async fn cpe_csv(
    State(ctx): State<Ctx>,
    _: Who,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let of = Subject::cpe(&ctx, id).await?;
    file(ctx, &uri, of)
}

pub(crate) async fn onu(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let of = Subject::onu(&ctx, id).await?;
    show(&ctx, &who, &headers, &uri, of).await
}

pub(crate) async fn onu_csv(
    State(ctx): State<Ctx>,
    _: Who,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let of = Subject::onu(&ctx, id).await?;
    file(ctx, &uri, of)
}
