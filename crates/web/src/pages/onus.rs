//! ONUs: the list, one row of it, and one ONU.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{OltRow, OnuFilter, OnuRow, Page, TimelineRow, TimelineSubject};

use super::{html, no_store, page};
use crate::{
    auth::Who,
    error::Fail,
    export,
    list::{ListView, Query},
    shell::{Shell, triggers},
    state::Ctx,
    view::{self, View},
    words,
};

struct SavedView {
    label: &'static str,
    href: String,
    count: String,
    current: bool,
}

#[derive(Template)]
#[template(path = "onus.html")]
struct OnusPage {
    shell: Shell,
    v: View,
    list: ListView,
    rows: Vec<OnuRow>,
    olts: Vec<OltRow>,
    views: Vec<SavedView>,
    triggers: String,
}

#[derive(Template)]
#[template(path = "onu_row.html")]
struct OnuRowPart {
    v: View,
    row: OnuRow,
}

#[derive(Template)]
#[template(path = "onu.html")]
struct OnuPage {
    shell: Shell,
    v: View,
    row: OnuRow,
    lines: Vec<TimelineRow>,
    triggers: String,
    /// It is ours, and the person may.
    changeable: bool,
}

const VIEWS: [(&str, &str); 5] = [
    ("", "All"),
    ("down", "Down"),
    ("weak", "Weak signal"),
    ("cpe_not_active", "CPE not active"),
    ("unlinked", "No service"),
];

pub(crate) fn filter(query: &Query) -> OnuFilter {
    OnuFilter {
        q: query.get("q").into(),
        olt_id: query.id("olt"),
        pon: query.opt("pon"),
        presence: query.opt("presence"),
        view: query.get("view").into(),
        removed: false,
    }
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/onus", uri.query());
    let wanted = filter(&query);
    let shell = Shell::new(&ctx, &who, &headers, "onus", "ONUs").await?;
    let found = ctx.read().onus(&wanted, &query.sort(), query.page()).await?;
    let topics = found.rows.iter().flat_map(|row| {
        std::iter::once(format!("onu-{}", row.id)).chain(row.cpe_id.map(|cpe| format!("cpe-{cpe}")))
    });
    // Readings of their OLTs make the rows younger, whatever came of it; whoever changes is named besides.
    let readings: BTreeSet<String> = found.rows.iter().map(|row| format!("olt-{}", row.olt_id)).collect();
    let readings: Vec<String> = readings.into_iter().collect();
    let shell = shell.watch(readings.iter().cloned().chain(topics));
    let counts = ctx.read().onu_views(wanted.olt_id).await?;
    let count_of = |key: &str| match key {
        "down" => counts.down,
        "weak" => counts.weak,
        "cpe_not_active" => counts.cpe_not_active,
        "unlinked" => counts.unlinked,
        _ => counts.all_onus,
    };
    let views = VIEWS
        .into_iter()
        .map(|(key, label)| SavedView {
            label,
            href: query.with("/onus", &[("view", key), ("q", "")]),
            count: view::count(count_of(key)),
            current: wanted.view == key,
        })
        .collect();
    let olts = ctx.read().olts().await?;
    let list = ListView::new(query, found.total);
    page(
        &ctx,
        &headers,
        &OnusPage {
            shell,
            v: ctx.view(),
            list,
            rows: found.rows,
            olts,
            views,
            triggers: triggers(&readings),
        },
    )
}

pub(crate) async fn row(State(ctx): State<Ctx>, _: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let row = ctx.read().onu(id).await?.ok_or_else(|| Fail::not_found("This ONU"))?;
    Ok(no_store(html(&OnuRowPart { v: ctx.view(), row })?))
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let row = ctx.read().onu(id).await?.ok_or_else(|| Fail::not_found("This ONU"))?;
    let shell =
        Shell::new(&ctx, &who, &headers, "onus", &view::serial(&row.serial)).await?.crumb("ONUs", "/onus");
    let topics = [format!("olt-{}", row.olt_id), format!("onu-{id}")];
    let shell = shell.watch(topics.iter().cloned());
    let lines = ctx.read().timeline(TimelineSubject::Onu(id), None, Page::first(60)).await?.rows;
    let changeable =
        row.authorised_at.is_some() && row.removed_at.is_none() && who.may(app::Permission::AuthoriseOnu);
    let triggers = triggers(&topics);
    page(&ctx, &headers, &OnuPage { shell, v: ctx.view(), row, lines, triggers, changeable })
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/onus", uri.query());
    let (wanted, sort) = (filter(&query), query.sort());
    let heading = export::line(&[
        "serial",
        "serial_hex",
        "olt",
        "pon",
        "onu_id",
        "presence",
        "last_down_cause",
        "rx_onu_dbm",
        "rx_olt_dbm",
        "read_at",
        "service",
        "customer",
        "cpe_state",
        "cpe_reason",
    ])?;
    Ok(export::file("onus.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().onus(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.iter().map(|row| {
                vec![
                    view::serial(&row.serial),
                    row.serial.clone(),
                    row.olt_name.clone(),
                    row.pon.clone(),
                    row.onu_id.to_string(),
                    row.presence.clone(),
                    row.last_down_cause.clone().unwrap_or_default(),
                    export::dbm(row.rx_onu_cdbm),
                    export::dbm(row.rx_olt_cdbm),
                    v.exact(row.observed_at),
                    row.service_code.clone().unwrap_or_default(),
                    row.customer_name.clone().unwrap_or_default(),
                    row.cpe_state.clone().unwrap_or_default(),
                    v.said_exactly(row.cpe_reason_text.as_deref().unwrap_or_default()),
                ]
            }))
        }
    }))
}
