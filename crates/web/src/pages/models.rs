//! CPE models: what is known of each firmware and how surely, and the family an operator may set for one.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use profiles::cpe::Mark;
use store::read::{ModelFilter, ModelRow};
use types::CpeFirmwareId;

use super::{
    again, filled, go, page,
    settings::{Tab, tabs},
    went,
};
use crate::{
    auth::Who,
    error::Fail,
    export,
    form::Form,
    list::{ListView, Query},
    models::{self, Model},
    shell::Shell,
    state::Ctx,
    view::{self, Status, View, Word},
};

filled!(ModelPage);

#[derive(Template)]
#[template(path = "settings_models.html")]
struct ModelsPage {
    shell: Shell,
    v: View,
    tabs: Vec<Tab>,
    list: ListView,
    rows: Vec<(ModelRow, String)>,
    families: Vec<models::Named>,
}

#[derive(Template)]
#[template(path = "settings_model.html")]
struct ModelPage {
    shell: Shell,
    v: View,
    ctx: Ctx,
    tabs: Vec<Tab>,
    list: ListView,
    m: Model,
    form: Form,
}

impl ModelPage {
    /// The form that was sent is of this firmware.
    fn is_of(&self, firmware: &i64) -> bool {
        self.form.val("firmware") == firmware.to_string()
    }

    fn chosen(&self, firmware: &i64, family: &str) -> &'static str {
        if self.is_of(firmware) && self.form.val("family") == family { "selected" } else { "" }
    }

    /// How well something is known, with its shape.
    fn mark(&self, mark: &Mark) -> Word {
        match mark {
            Mark::Proved => Word::new(Status::Ok, "proved"),
            Mark::Documented => Word::new(Status::Info, "documented"),
            Mark::Unproved => Word::new(Status::Warn, "unproved"),
        }
    }

    /// How a family is known to be the one, with its shape.
    fn known(&self, word: &str) -> Word {
        match word {
            "probed" => Word::new(Status::Ok, "proved by probing"),
            "override" => Word::new(Status::Info, "set by an operator"),
            "learned" => Word::new(Status::Wait, "learned from other units"),
            "nominated" => Word::new(Status::Wait, "nominated by name only"),
            _ => Word::new(Status::Unknown, "none fits yet"),
        }
    }

    fn told(&self, path: &str, fact: &str) -> String {
        models::lesson_words(&self.ctx, path, fact)
    }
}

/// The families in use of a model: one by its title, or that there are several.
fn in_use(ctx: &Ctx, row: &ModelRow) -> String {
    let title = |id: &String| {
        ctx.app().profiles().get(id).map_or_else(|| id.clone(), |profile| profile.title.clone())
    };
    match (&row.family_first, &row.family_last) {
        (Some(first), Some(last)) if first == last => title(first),
        (Some(first), Some(last)) => format!("{} and {}", title(first), title(last)),
        (Some(only), None) | (None, Some(only)) => title(only),
        (None, None) => String::new(),
    }
}

fn filter(query: &Query) -> ModelFilter {
    ModelFilter {
        q: query.get("q").into(),
        family: query.opt("family"),
        overridden: match query.get("state") {
            "overridden" => Some(true),
            _ => None,
        },
        refused: query.get("state") == "refused",
    }
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/settings/models", uri.query());
    let shell =
        Shell::new(&ctx, &who, &headers, "settings", "CPE models").await?.crumb("Settings", "/settings");
    let found = ctx.read().models(&filter(&query), &query.sort(), query.page()).await?;
    let profiles = ctx.app().profiles();
    let mut families: Vec<models::Named> = profiles
        .all()
        .iter()
        .map(|profile| models::Named { id: profile.id.clone(), title: profile.title.clone() })
        .collect();
    families.sort_by(|a, b| a.title.cmp(&b.title));
    let rows = found.rows.into_iter().map(|row| (row.clone(), in_use(&ctx, &row))).collect();
    let list = ListView::new(query, found.total);
    let tabs = tabs(&who, "/settings/models");
    page(&ctx, &headers, &ModelsPage { shell, v: ctx.view(), tabs, list, rows, families })
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/settings/models", uri.query());
    let (wanted, sort) = (filter(&query), query.sort());
    let heading = export::line(&[
        "oui",
        "product_class",
        "manufacturer",
        "model",
        "data_model",
        "family",
        "firmwares",
        "devices",
        "proved",
        "overrides",
        "refused",
        "first_seen_at",
        "proved_at",
    ])?;
    Ok(export::file("cpe-models.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().models(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    row.oui.clone(),
                    row.product_class.clone(),
                    row.manufacturer.clone(),
                    row.model.clone(),
                    row.data_model.clone(),
                    in_use(&ctx, &row),
                    row.firmwares.to_string(),
                    row.devices.to_string(),
                    row.proved.to_string(),
                    row.overrides.to_string(),
                    row.refused.to_string(),
                    v.exact(row.first_seen_at),
                    v.exact(row.proved_at),
                ]
            }))
        }
    }))
}

async fn draw(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    id: i64,
    query: Query,
    form: Form,
) -> Result<ModelPage, Fail> {
    let m = Model::read(ctx, id, query.page()).await?;
    let name = if m.first.model.is_empty() { &m.first.product_class } else { &m.first.model };
    let shell = Shell::new(ctx, who, headers, "settings", &view::limited(name, 60))
        .await?
        .crumb("Settings", "/settings")
        .crumb("CPE models", "/settings/models");
    let list = ListView::new(query, m.firmwares.total);
    let tabs = tabs(who, "/settings/models");
    Ok(ModelPage { shell, v: ctx.view(), ctx: ctx.clone(), tabs, list, m, form })
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let query = Query::parse("", uri.query());
    page(&ctx, &headers, &draw(&ctx, &who, &headers, id, query, Form::default()).await?)
}

pub(crate) async fn set(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    let (family, reason) = (form.val("family").to_owned(), form.val("reason").to_owned());
    match ctx.app().override_family(&who.actor, CpeFirmwareId(id), &family, &reason).await {
        Ok(set) => Ok(go(
            &ctx,
            &format!("/settings/models/{id}#fw-{id}"),
            Status::Ok,
            "Family set",
            format!(
                "Devices with {} are looked at the next time; who does not bear it out refuses it and goes on as before. \
                 Kept in the audit log.",
                view::limited(&set.software_version, 60)
            ),
        )),
        Err(error) => {
            form.take(error.into());
            form.set("firmware", id);
            again(&draw(&ctx, &who, &headers, id, Query::parse("", None), form).await?)
        }
    }
}

pub(crate) async fn withdraw(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let result = ctx.app().withdraw_family(&who.actor, CpeFirmwareId(id)).await;
    let back = format!("/settings/models/{id}#fw-{id}");
    Ok(went(&ctx, &back, "Taken back", "What each device has decides again, from its next look on.", result))
}
