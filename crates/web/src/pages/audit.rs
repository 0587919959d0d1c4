//! The audit log.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{AuditFilter, AuditRow};

use super::page;
use crate::{
    auth::Who,
    error::Fail,
    export,
    list::{ListView, Query},
    shell::Shell,
    state::Ctx,
    view::{self, View},
};

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    shell: Shell,
    v: View,
    list: ListView,
    rows: Vec<AuditRow>,
}

fn filter(query: &Query) -> AuditFilter {
    AuditFilter { q: query.get("q").into(), actor: query.opt("actor") }
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/audit", uri.query());
    let shell = Shell::new(&ctx, &who, &headers, "audit", "Audit log").await?;
    let found = ctx.read().audit_log(&filter(&query), &query.sort(), query.page()).await?;
    page(
        &ctx,
        &headers,
        &AuditPage { shell, v: ctx.view(), list: ListView::new(query, found.total), rows: found.rows },
    )
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/audit", uri.query());
    let (wanted, sort) = (filter(&query), query.sort());
    let heading =
        export::line(&["at", "actor", "action", "subject", "before", "after", "address", "request_id"])?;
    Ok(export::file("audit.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().audit_log(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                let text = |value: Option<String>| value.unwrap_or_default();
                vec![
                    v.exact(row.at),
                    row.actor,
                    row.action,
                    row.subject,
                    text(row.before),
                    text(row.after),
                    row.address,
                    row.request_id,
                ]
            }))
        }
    }))
}
