//! Picking a customer or a service in a form. A list holds some; the rest is searched for on the server, while typing or,
//! without scripts, when the form is sent: a word that fits exactly one is that one.

use askama::Template;
use axum::{extract::State, http::Uri, response::Response};
use store::read::{CustomerFilter, CustomerRow, Listed, Page, ServiceFilter, ServiceRow, Sort};

use super::{html, no_store};
use crate::{auth::Who, error::Fail, form::Form, state::Ctx, view};

/// Customers or services offered at once.
const OFFERED: u32 = 300;

/// Customers that fit a word, the newest first.
pub(super) async fn customers(ctx: &Ctx, q: &str) -> Result<Listed<CustomerRow>, Fail> {
    let newest = Sort { column: "created".into(), descending: true };
    Ok(ctx.read().customers(&CustomerFilter { q: q.to_owned() }, &newest, Page::first(OFFERED)).await?)
}

/// Services without an ONU that fit a word, the newest first.
pub(super) async fn services(ctx: &Ctx, q: &str) -> Result<Listed<ServiceRow>, Fail> {
    let newest = Sort { column: "created".into(), descending: true };
    let filter = ServiceFilter { q: q.to_owned(), without_onu: true, ..ServiceFilter::default() };
    Ok(ctx.read().services(&filter, &newest, Page::first(OFFERED)).await?)
}

/// What a list leaves out, beside it; empty if it holds all.
pub(super) fn left_out<T>(found: &Listed<T>) -> String {
    let shown = found.rows.len();
    if found.total <= u64::try_from(shown).unwrap_or(u64::MAX) {
        return String::new();
    }
    format!("the newest {} of {}; search for the others", view::count(shown), view::count(found.total))
}

/// Chooses what a typed word means, where nothing was chosen from the list.
pub(super) async fn settle(ctx: &Ctx, form: &mut Form, what: &'static str) -> Result<(), Fail> {
    let (id, word) = match what {
        "service" => ("service_id", form.opt("service_q")),
        _ => ("customer_id", form.opt("customer_q")),
    };
    let Some(word) = word.filter(|_| form.opt(id).is_none()) else { return Ok(()) };
    let (total, first) = if what == "service" {
        let found = services(ctx, &word).await?;
        (found.total, found.rows.first().map(|row| row.id))
    } else {
        let found = customers(ctx, &word).await?;
        (found.total, found.rows.first().map(|row| row.id))
    };
    match (total, first) {
        (1, Some(only)) => drop(form.set(id, only)),
        (0, _) => form.wrong(id, format!("fits no {what}: {:?}.", view::limited(&word, 60))),
        (many, _) => form.wrong(
            id,
            format!(
                "fits {} {what}s: {:?}. Choose one of them.",
                view::count(many),
                view::limited(&word, 60)
            ),
        ),
    }
    Ok(())
}

#[derive(Template)]
#[template(path = "options.html")]
struct Options {
    none: &'static str,
    /// Id and words.
    rows: Vec<(i64, String)>,
    left_out: String,
}

pub(super) fn customer_words(row: &CustomerRow) -> String {
    format!("{} · {}", row.name, row.code)
}

/// The customers that fit what is typed, for the list of a form.
pub(crate) async fn customer_options(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let asked = Form::parse(uri.query().unwrap_or_default());
    let found = customers(&ctx, asked.val("customer_q")).await?;
    let left_out = left_out(&found);
    let rows = found.rows.iter().map(|row| (row.id, customer_words(row))).collect();
    let none = if asked.is_on("new") { "a new customer" } else { "Pick…" };
    Ok(no_store(html(&Options { none, rows, left_out })?))
}

/// The services without an ONU that fit what is typed.
pub(crate) async fn service_options(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let asked = Form::parse(uri.query().unwrap_or_default());
    let found = services(&ctx, asked.val("service_q")).await?;
    let left_out = left_out(&found);
    let words = |row: &ServiceRow| format!("{} · {} · {}", row.code, row.customer_name, row.plan_name);
    let rows = found.rows.iter().map(|row| (row.id, words(row))).collect();
    Ok(no_store(html(&Options { none: "Pick a service…", rows, left_out })?))
}
