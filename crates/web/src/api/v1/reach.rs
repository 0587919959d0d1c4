//! Why a CPE cannot be reached: the way of a connection request, step by step.

use app::{Reach, ReachEvidence, ReachVerdict};
use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::Serialize;
use types::CpeId;
use utoipa::ToSchema;

use super::{
    idempotency::Order,
    input::{Id, Nothing},
    output::{Answer, Reply, Time},
};
use crate::{error::ApiFail, state::Ctx};

/// A fact that a verdict rests on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReachFact {
    /// In words.
    text: String,
    /// When it was so.
    at: Option<Time>,
    /// Whose word it is, e.g. `Inform`, `OLT`, `data model`, `last call`.
    source: &'static str,
}

/// A step of the way with its verdict.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReachStepShown {
    /// `url`, `subnet`, `tcp`, `auth` or `inform`.
    step: &'static str,
    /// `good`, `bad`, `not_known` or `not_tried`.
    verdict: &'static str,
    /// The same in a sentence with the facts.
    text: String,
    /// What it rests on.
    evidence: Vec<ReachFact>,
    /// What to do, or what happens by itself.
    next: Option<String>,
}

/// What is known of the way to a CPE.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReachShown {
    /// All of it in a sentence.
    summary: String,
    /// Something is waited for, an answer or the Inform that follows it: ask again.
    waits: bool,
    /// What a check did that was asked for just now: that it is one call, or why it is none. Absent where none was.
    check: Option<String>,
    /// A call was wanted last then.
    asked_at: Option<Time>,
    /// The same, where it went out, may have, or is under way; absent where nothing was sent.
    called_at: Option<Time>,
    /// It is not called again before that.
    not_again_before: Option<Time>,
    /// In order.
    steps: Vec<ReachStepShown>,
}

impl From<ReachEvidence> for ReachFact {
    fn from(fact: ReachEvidence) -> Self {
        ReachFact { text: fact.text, at: fact.at.map(Time::from), source: fact.source }
    }
}

impl From<ReachVerdict> for ReachStepShown {
    fn from(step: ReachVerdict) -> Self {
        ReachStepShown {
            step: step.step.as_str(),
            verdict: step.verdict.as_str(),
            text: step.text,
            evidence: step.evidence.into_iter().map(ReachFact::from).collect(),
            next: step.next,
        }
    }
}

impl From<Reach> for ReachShown {
    fn from(reach: Reach) -> Self {
        ReachShown {
            summary: reach.summary,
            waits: reach.waits,
            check: reach.check,
            asked_at: reach.asked_at.map(Time::from),
            called_at: reach.called_at.map(Time::from),
            not_again_before: reach.not_again_before.map(Time::from),
            steps: reach.steps.into_iter().map(ReachStepShown::from).collect(),
        }
    }
}

/// Why a CPE can be reached or not, as far as is known, from its URL to the Inform that follows a call. Nobody is called.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/reach", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 200, description = "What is known.", body = ReachShown)))]
pub(super) async fn get_reach(State(ctx): State<Ctx>, Id(id): Id) -> Answer<ReachShown> {
    Ok(Json(ctx.app().reach(CpeId(id)).await?.into()))
}

/// Has the way to a CPE checked: one connection request at most, and none while one is under way, while the CPE speaks or
/// before `not_again_before`. A call in vain changes nothing and has nothing written. The answer is what is known now, with what
/// the `check` did; while it `waits`, ask again.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/reach", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 202, description = "It is checked.", body = ReachShown)))]
pub(super) async fn check_reach(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            let reach = ctx.app().check_reach(&actor, CpeId(id)).await?;
            Reply::new(StatusCode::ACCEPTED, &ReachShown::from(reach))
        })
        .await
}
