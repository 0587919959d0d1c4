//! Search: one box for everything, as a fragment while typing and as a page.

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{DetectedFilter, Hit, HitKind, OnuFilter, Page, Sort, vendor_needle};

use super::{html, no_store, page};
use crate::{
    auth::Who,
    error::Fail,
    list::{Query, encode},
    shell::Shell,
    state::Ctx,
    view::{self, Html, Word},
    words,
};

struct Shown {
    first: bool,
    group: &'static str,
    href: String,
    icon: Html,
    title: String,
    detail: String,
    word: Option<Word>,
}

#[derive(Template)]
#[template(path = "search_hits.html")]
struct SearchHits {
    hits: Vec<Shown>,
    empty: &'static str,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    shell: Shell,
    q: String,
    hits: Vec<Shown>,
    empty: &'static str,
}

/// Group, path, icon, and the word of a state.
fn kind(kind: HitKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        HitKind::Service => ("Services", "/services/", "plug-connected"),
        HitKind::Customer => ("Customers", "/customers/", "users"),
        HitKind::Onu => ("ONUs", "/onus/", "router"),
        HitKind::Detected => ("Detected ONUs", "/authorise?detected=", "radar-2"),
        HitKind::Cpe => ("CPEs", "/cpes/", "wifi"),
        HitKind::Olt => ("OLTs", "/olts/", "server-2"),
    }
}

fn word(kind: HitKind, state: &str) -> Word {
    match kind {
        HitKind::Onu => words::onu_presence(state, None),
        HitKind::Detected => words::detected_state(state),
        HitKind::Olt => words::olt_state(state),
        HitKind::Cpe => words::cpe_state(state),
        HitKind::Service | HitKind::Customer => {
            if words::CPE_STATES.contains(&state) {
                words::cpe_state(state)
            } else {
                words::service_state(state)
            }
        }
    }
}

/// The lists of everything of one vendor, with how many there are: a vendor is half of a network and no hit. Four letters
/// may as well be a name, so it counts as a vendor if something of it was found.
async fn lists(ctx: &Ctx, q: &str, hits: &[Hit]) -> Result<Vec<Shown>, Fail> {
    let Some(begin) = vendor_needle(q) else { return Ok(Vec::new()) };
    let vendor: String = q.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_uppercase();
    let has = |kind: HitKind| hits.iter().any(|hit| hit.kind == kind && hit.title.starts_with(&begin));
    let (sort, page) = (Sort::default(), Page::first(1));
    let mut shown = Vec::new();
    let mut add = |total: u64, path: &str, icon: &str, name: &str| {
        shown.push(Shown {
            first: shown.is_empty(),
            group: "Lists",
            href: format!("{path}?q={vendor}"),
            icon: view::icon(icon),
            title: format!("All {name} of {vendor}"),
            detail: format!("{} in the list, page by page", view::count(total)),
            word: None,
        });
    };
    if has(HitKind::Onu) {
        let filter = OnuFilter { q: vendor.clone(), ..OnuFilter::default() };
        add(ctx.read().onus(&filter, &sort, page).await?.total, "/onus", "router", "ONUs");
    }
    if has(HitKind::Detected) {
        let filter = DetectedFilter { q: vendor.clone(), ..DetectedFilter::default() };
        let total = ctx.read().detected_onus(&filter, &sort, page).await?.total;
        add(total, "/detected", "radar-2", "detected ONUs");
    }
    Ok(shown)
}

async fn find(ctx: &Ctx, who: &Who, q: &str, limit: u32) -> Result<Vec<Shown>, Fail> {
    let mut group = "";
    let may_authorise = who.may(app::Permission::AuthoriseOnu);
    let hits = ctx.read().search(q, limit).await?;
    let lists = lists(ctx, q, &hits).await?;
    Ok(lists
        .into_iter()
        .chain(hits.into_iter().map(|hit| {
            let (name, path, icon) = kind(hit.kind);
            let first = std::mem::replace(&mut group, name) != name;
            let detail: Vec<String> = hit.detail.split(" · ").map(view::serial).collect();
            let href = match hit.kind {
                // Who may not authorise is shown it where it waits.
                HitKind::Detected if !may_authorise => format!("/detected?q={}", encode(&hit.title)),
                _ => format!("{path}{}", hit.id),
            };
            Shown {
                first,
                group: name,
                href,
                icon: view::icon(icon),
                title: view::serial(&hit.title),
                detail: detail.join(" · "),
                word: hit.state.as_deref().map(|state| word(hit.kind, state)),
            }
        }))
        .collect())
}

pub(crate) async fn search(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/search", uri.query());
    let q = query.get("q").trim().to_owned();
    let empty = if q.chars().count() < 2 {
        "Two letters or digits are enough to begin."
    } else {
        "Nothing has this name, number or address."
    };
    if headers.contains_key("hx-request") {
        return Ok(no_store(html(&SearchHits { hits: find(&ctx, &who, &q, 6).await?, empty })?));
    }
    let shell = Shell::new(&ctx, &who, &headers, "search", "Search").await?;
    page(&ctx, &headers, &SearchPage { shell, hits: find(&ctx, &who, &q, 30).await?, q, empty })
}
