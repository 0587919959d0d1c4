//! "Why can't I reach it?": the way of a connection request to one router, step by step, and a check of it.

use super::{histories::router_name, page, went};
use crate::{
    auth::Who,
    error::Fail,
    shell::Shell,
    state::Ctx,
    view::{Html, Status, View, Word},
};
use app::{Permission, Reach, ReachStep, Verdict};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::HeaderMap,
    response::Response,
};
use types::CpeId;

/// What is drawn anew when something of the router changes.
struct Shown {
    oob: bool,
    v: View,
    id: i64,
    /// The reader may have it checked.
    may: bool,
    token: Html,
    reach: Reach,
}

impl Shown {
    async fn of(ctx: &Ctx, who: &Who, id: i64, oob: bool) -> Result<Shown, Fail> {
        Ok(Shown {
            oob,
            v: ctx.view(),
            id,
            may: who.may(Permission::OperateCpe),
            token: who.token_field(),
            reach: ctx.app().reach(CpeId(id)).await?,
        })
    }

    /// All of it as one state.
    fn status(&self) -> Status {
        let has = |verdict| self.reach.steps.iter().any(|step| step.verdict == verdict);
        match self.reach.waits {
            true => Status::Wait,
            false if has(Verdict::Bad) => Status::Bad,
            false if has(Verdict::NotKnown) => Status::Warn,
            false if has(Verdict::NotTried) => Status::Info,
            false => Status::Ok,
        }
    }

    fn word(&self, verdict: &Verdict) -> Word {
        match verdict {
            Verdict::Good => Word::new(Status::Ok, "Good"),
            Verdict::Bad => Word::new(Status::Bad, "Bad"),
            Verdict::NotKnown if self.reach.waits => Word::new(Status::Wait, "Waiting"),
            Verdict::NotKnown => Word::new(Status::Warn, "Not known"),
            Verdict::NotTried => Word::new(Status::Off, "Not tried"),
        }
    }

    fn title(&self, step: &ReachStep) -> &'static str {
        match step {
            ReachStep::Url => "Where to call it",
            ReachStep::Subnet => "Management network",
            ReachStep::Tcp => "TCP connection",
            ReachStep::Auth => "Answer and password",
            ReachStep::Inform => "Inform",
        }
    }
}

#[derive(Template)]
#[template(path = "cpe_reach.html")]
struct ReachPage {
    shell: Shell,
    r: Shown,
}

#[derive(Template)]
#[template(path = "cpe/reach.html")]
struct ReachPart {
    r: Shown,
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let name = router_name(&ctx, id).await?;
    let shell = Shell::new(&ctx, &who, &headers, "cpes", "Why can't I reach it?")
        .await?
        .crumb("CPEs", "/cpes")
        .crumb(name, format!("/cpes/{id}"))
        .watch([format!("cpe-{id}")]);
    page(&ctx, &headers, &ReachPage { shell, r: Shown::of(&ctx, &who, id, false).await? })
}

pub(crate) async fn live(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let r = Shown::of(&ctx, &who, id, true).await?;
    Ok(super::no_store(super::html(&ReachPart { r })?))
}

pub(crate) async fn check(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let checked = ctx.app().check_reach(&who.actor, CpeId(id)).await;
    let text = checked.as_ref().ok().and_then(|reach| reach.check.clone()).unwrap_or_default();
    Ok(went(&ctx, &format!("/cpes/{id}/reach"), "Check asked for", &text, checked.map(|_| ())))
}
