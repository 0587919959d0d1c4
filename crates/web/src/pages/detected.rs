//! ONUs that OLTs see and nobody planned.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{DetectedFilter, DetectedRow, OltRow};

use super::{go, page};
use crate::{
    auth::Who,
    error::Fail,
    export,
    list::{ListView, Query},
    shell::{Shell, triggers},
    state::Ctx,
    view::{self, Status, View},
    words,
};

#[derive(Template)]
#[template(path = "detected.html")]
struct DetectedPage {
    shell: Shell,
    v: View,
    list: ListView,
    rows: Vec<DetectedRow>,
    olts: Vec<OltRow>,
    triggers: String,
    empty: String,
}

fn filter(query: &Query) -> DetectedFilter {
    DetectedFilter { q: query.get("q").into(), olt_id: query.id("olt"), all: query.get("all") == "1" }
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/detected", uri.query());
    let filter = filter(&query);
    let topics = vec!["detecteds".to_owned()];
    let shell = Shell::new(&ctx, &who, &headers, "detected", "Detected").await?.watch(topics.clone());
    let found = ctx.read().detected_onus(&filter, &query.sort(), query.page()).await?;
    let olts = ctx.read().olts().await?;
    let v = ctx.view();
    let empty = nothing_waits(&olts, &v, ctx.app().policy().autofind_interval_s);
    let list = ListView::new(query, found.total);
    page(
        &ctx,
        &headers,
        &DetectedPage { shell, v, list, rows: found.rows, olts, triggers: triggers(&topics), empty },
    )
}

/// Why the list is empty, as far as that is known: an OLT that was not read may well have ONUs that wait.
fn nothing_waits(olts: &[OltRow], v: &View, interval_s: u64) -> String {
    let read: Vec<&OltRow> = olts.iter().filter(|olt| olt.admin_state == "enabled").collect();
    if olts.is_empty() {
        return "Add an OLT first; its ONUs then appear here by themselves.".to_owned();
    }
    if read.is_empty() {
        return "Every OLT is switched off here, so none is read; this is not “nothing there”.".to_owned();
    }
    let silent = read.iter().filter(|olt| olt.observed_state == "silent").count();
    if silent > 0 {
        return format!(
            "{silent} of {} OLTs cannot be read; what waits there is not shown. The others are read every {interval_s} s.",
            read.len()
        );
    }
    let Some(oldest) = read.iter().map(|olt| olt.observed_at).min().flatten() else {
        return "Not every OLT was read yet; this is not “nothing there”.".to_owned();
    };
    format!(
        "Every OLT was read within the last {}; each is read every {interval_s} s, and a new ONU appears after that.",
        v.since(oldest)
    )
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/detected", uri.query());
    let (wanted, sort) = (filter(&query), query.sort());
    let heading = export::line(&[
        "serial",
        "serial_hex",
        "type",
        "software_version",
        "olt",
        "pon",
        "state",
        "first_seen_at",
        "last_seen_at",
        "service",
        "customer",
        "known_on_olt",
        "known_on_pon",
    ])?;
    Ok(export::file("detected.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().detected_onus(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    view::serial(&row.serial),
                    row.serial,
                    row.equipment_id,
                    row.software_version,
                    row.olt_name,
                    row.pon,
                    row.state,
                    v.exact(row.first_seen_at),
                    v.exact(row.last_seen_at),
                    row.service_code.unwrap_or_default(),
                    row.customer_name.unwrap_or_default(),
                    row.onu_olt_name.unwrap_or_default(),
                    row.onu_pon.unwrap_or_default(),
                ]
            }))
        }
    }))
}

pub(crate) async fn look(State(ctx): State<Ctx>, who: Who) -> Result<Response, Fail> {
    if let Err(error) = crate::backend::read_olts(ctx.app(), &who.actor).await {
        let fail = Fail::from(error);
        return Ok(go(&ctx, "/detected", Status::Bad, fail.title, fail.detail));
    }
    let silent: Vec<String> = ctx
        .read()
        .olts()
        .await?
        .into_iter()
        .filter(|olt| olt.observed_state == "silent")
        .map(|olt| {
            format!("{}: {}", olt.name, olt.observed_reason.unwrap_or_else(|| "no reason recorded".into()))
        })
        .collect();
    Ok(if silent.is_empty() {
        go(&ctx, "/detected", Status::Ok, "Asked every OLT", "What they answered is below.")
    } else {
        go(&ctx, "/detected", Status::Warn, "Not every OLT answered", silent.join(" "))
    })
}
