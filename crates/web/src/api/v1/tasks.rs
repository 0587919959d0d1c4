//! Authorising ONUs and changing those that were, and the tasks that do it.

use app::{AuthoriseFor, AuthoriseRequest, OnuChange};
use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{
    OltTaskState,
    read::{TaskFilter, TaskLineRow, TaskRow},
};
use types::{OltId, OltTaskId, OnuRowId, PonPath, Serial, ServiceId};
use utoipa::ToSchema;

use super::{
    idempotency::Order,
    input::{Asked, Body, Filter, Id, Nothing, list_query, one_of},
    output::{Answer, List, Named, Reply, ServiceRef, Time, found, serial, service_ref, stored, time},
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    state::Ctx,
};

list_query! {
    /// Which tasks.
    TaskQuery {
        /// Serial in any notation, PON, actor or reason.
        q: String,
        /// A state; `open` for everything not finished, `trouble` for what needs somebody.
        state: String,
        /// Only on this OLT.
        olt_id: i64,
        /// Only of this ONU.
        onu_id: i64,
    } /// One of time, state, olt, actor, serial.
    sort ["time", "state", "olt", "actor", "serial"]
    check |asked| {
        let mut known = vec!["open", "trouble"];
        known.extend(OltTaskState::ALL.iter().map(|word| word.as_str()));
        one_of("state", asked.state.as_deref(), &known)
    }
}

/// Which detected ONU to authorise, and for whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AuthorisationInput {
    /// The OLT that sees it.
    olt_id: i64,
    /// Where it is, frame/slot/port.
    #[schema(value_type = String, example = "0/1/3")]
    pon: PonPath,
    /// PON serial number in any notation.
    #[schema(value_type = String, example = "HWTC-7D4733C3")]
    serial: Serial,
    /// The service it carries; `"none"`: nobody yet, the line only. Absent: the service that waits for this serial number,
    /// or nobody if none does.
    service_id: Option<ServiceWanted>,
    /// Description on the OLT; absent: service code and customer name.
    description: Option<String>,
    /// Internet VLAN instead of the service's, the plan's or the OLT's.
    #[schema(minimum = 1, maximum = 4094)]
    internet_vlan: Option<u16>,
    /// True: the router sends untagged frames and the OLT tags them. Absent: as the OLT's defaults say of its model.
    untagged: Option<bool>,
    /// `fingerprint` of the dry run that was looked at: an order that would send anything else is refused with 409.
    fingerprint: Option<String>,
}

/// A service, or explicitly none.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum ServiceWanted {
    /// This one.
    Id(i64),
    /// The word `none`.
    Word(NoService),
}

/// The word for a line without a service.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum NoService {
    /// Nobody yet.
    None,
}

impl AuthorisationInput {
    fn into_request(self) -> Result<AuthoriseRequest, Fail> {
        if let Some(vlan) = self.internet_vlan.filter(|vlan| !(1..=4094).contains(vlan)) {
            let text = format!("{vlan} is not a VLAN; 1 to 4094 are.");
            return Err(app::AppError::invalid("internet_vlan", text).into());
        }
        Ok(AuthoriseRequest {
            olt_id: OltId(self.olt_id),
            pon: self.pon,
            serial: self.serial,
            service: match self.service_id {
                Some(ServiceWanted::Id(id)) => AuthoriseFor::Service(ServiceId(id)),
                Some(ServiceWanted::Word(NoService::None)) => AuthoriseFor::Nobody,
                None => AuthoriseFor::Expected,
            },
            description: self.description,
            internet_vlan: self.internet_vlan,
            untagged: self.untagged,
            seen: self.fingerprint,
        })
    }
}

/// What is to become of an ONU that Lightkeeper authorised.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum OnuChangeInput {
    /// Taken off its OLT. Its service has no ONU then, and its CPE is released.
    Remove,
    /// Taken to another port of its OLT, where it announces itself; everything else stays as it is.
    Move {
        /// The port, frame/slot/port.
        #[schema(value_type = String, example = "0/1/5")]
        pon: PonPath,
    },
    /// Its place, with everything it was given, goes to another ONU. The old CPE is released, the new one begins anew.
    Replace {
        /// PON serial number of the new ONU in any notation.
        #[schema(value_type = String, example = "HWTC-7D4733C3")]
        serial: Serial,
        /// True: the new router sends untagged frames and the OLT tags them. Absent: as the OLT's defaults say of its
        /// model, or as it was where the model is not known yet.
        untagged: Option<bool>,
    },
}

impl OnuChangeInput {
    fn into_change(self) -> OnuChange {
        match self {
            OnuChangeInput::Remove => OnuChange::Remove,
            OnuChangeInput::Move { pon } => OnuChange::Move { pon },
            OnuChangeInput::Replace { serial, untagged } => OnuChange::Replace { serial, untagged },
        }
    }
}

/// One line of a dry run.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DryLine {
    /// The exact line; secrets are dots. Of `read` it is what must be found afterwards, as a sentence.
    text: String,
    /// `move` for a line that only goes to another mode of the command line, `add`, `remove`, `save`, or `read`.
    kind: String,
}

/// One condition that was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DryCheck {
    /// What was looked at, as a sentence.
    text: String,
    /// `ok`, `warn` or `bad`; `bad` forbids it.
    status: String,
}

/// What an order would send. Nothing that changes anything has been sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DryRun {
    /// Nothing speaks against it.
    allowed: bool,
    /// The ONU id it would get, or has if it is only taken off.
    onu_id: u16,
    /// The lines, in order.
    lines: Vec<DryLine>,
    /// The conditions.
    checks: Vec<DryCheck>,
    /// Stands for what an authorisation asks of the OLT; given with the order, it says that this was looked at. Null for
    /// changes of an ONU that is authorised already.
    fingerprint: Option<String>,
}

/// A task on an OLT: the truth about an order.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Task {
    id: i64,
    /// What it does: `authorise_onu`, `remove_onu`, `move_onu` or `replace_onu`.
    kind: String,
    olt: Named,
    /// Where, frame/slot/port.
    pon: String,
    /// PON serial number as people write it, e.g. `HWTC-7D4733C3`.
    serial: String,
    /// The same in 16 hex digits.
    serial_hex: String,
    /// The ONU that it changes, or has made.
    onu_id: Option<i64>,
    service: Option<ServiceRef>,
    /// `pending`, `applying`, `verifying`, `compensating`, `done`, `undone`, `needs_operator`, `refused` or `cancelled`.
    state: String,
    /// Where it is.
    step: String,
    /// How it stands, as a sentence.
    reason: String,
    /// Who ordered it.
    actor: String,
    created_at: Time,
    updated_at: Time,
    /// Done, undone, refused or cancelled at; null while it goes on or waits for somebody.
    finished_at: Option<Time>,
    /// How often it was tried in vain since it was ordered, or begun.
    tries: i64,
    /// Not before then it is tried again.
    next_try_at: Option<Time>,
    /// The exact lines that are left for a person to send, in order, mode changes included.
    lines_left: Vec<String>,
}

/// A line that was sent, with the answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaskLine {
    seq: i64,
    /// As sent; secrets are dots.
    line: String,
    /// As answered.
    reply: String,
    /// What the answer means.
    class: String,
    at: Time,
}

/// A task with its plan and its journal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TaskWithLines {
    task: Task,
    /// What it is to do.
    #[schema(value_type = Object)]
    plan: Value,
    /// Everything that was sent, 1,000 lines at most.
    lines: Vec<TaskLine>,
}

fn task(row: TaskRow) -> Task {
    Task {
        id: row.id,
        kind: row.kind,
        olt: Named { id: row.olt_id, name: row.olt_name },
        pon: row.pon,
        serial: serial(&row.serial),
        serial_hex: row.serial,
        onu_id: row.onu_row_id,
        service: service_ref(row.service_id, row.service_code),
        state: row.state,
        step: row.step,
        reason: row.reason,
        actor: row.actor,
        created_at: row.created_at.into(),
        updated_at: row.updated_at.into(),
        finished_at: time(row.finished_at),
        tries: row.tries,
        next_try_at: time(row.next_try_at.filter(|_| row.finished_at.is_none())),
        lines_left: crate::pages::tasks::lines_left(&row.lines_left),
    }
}

fn line(row: TaskLineRow) -> TaskLine {
    TaskLine { seq: row.seq, line: row.line, reply: row.reply, class: row.class, at: row.at.into() }
}

/// Shows the exact lines an authorisation would send, and what speaks for and against it. Reads from the OLT, writes
/// nothing.
#[utoipa::path(post, path = "/api/v1/authorisations/dry-run", tag = "authorisations", request_body = AuthorisationInput,
    responses((status = 200, description = "What would be sent.", body = DryRun)))]
pub(super) async fn dry_run_authorisation(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Body(input): Body<AuthorisationInput>,
) -> Answer<DryRun> {
    Ok(Json(shown(ctx.app().dry_run_authorise(&actor, &input.into_request()?).await?)))
}

fn shown(dry: app::DryRun) -> DryRun {
    let allowed = dry.allowed();
    let lines = dry.lines.into_iter().map(|l| DryLine { text: l.text, kind: l.kind });
    let checks = dry.checks.into_iter().map(|c| DryCheck { text: c.text, status: c.status });
    let fingerprint = Some(dry.fingerprint).filter(|text| !text.is_empty());
    DryRun { allowed, onu_id: dry.onu_id, lines: lines.collect(), checks: checks.collect(), fingerprint }
}

/// Shows the exact lines that removing, moving or replacing an ONU would send, and what speaks for and against it. Reads
/// from the OLT, writes nothing.
#[utoipa::path(post, path = "/api/v1/onus/{id}/change/dry-run", tag = "authorisations", request_body = OnuChangeInput,
    params(("id" = i64, Path, description = "The ONU.")),
    responses((status = 200, description = "What would be sent.", body = DryRun)))]
pub(super) async fn dry_run_change(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(input): Body<OnuChangeInput>,
) -> Answer<DryRun> {
    Ok(Json(shown(ctx.app().dry_run_change(&actor, OnuRowId(id), &input.into_change()).await?)))
}

/// Orders that an ONU is removed, moved to another port of its OLT, or replaced by another one. Only ONUs that
/// Lightkeeper authorised, and only what it made for them. It is carried out in the background: the task says how it
/// stands, and only `done` means that the OLT was read back and agrees.
#[utoipa::path(post, path = "/api/v1/onus/{id}/change", tag = "authorisations", request_body = OnuChangeInput,
    params(("id" = i64, Path, description = "The ONU.")),
    responses((status = 202, description = "Ordered.", body = Task,
        headers(("Location" = String, description = "The task.")))))]
pub(super) async fn change_onu(Id(onu): Id, order: Order<OnuChangeInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, input| async move {
            let id = ctx.app().change_onu(&actor, OnuRowId(onu), &input.into_change()).await?.0;
            let ordered = found(ctx.read().task(id).await?, "task", id).map(task)?;
            let location = Some(format!("/api/v1/tasks/{id}"));
            Ok(Reply { location, ..Reply::new(StatusCode::ACCEPTED, &ordered)? })
        })
        .await
}

/// Orders the authorisation of a detected ONU. It is carried out in the background: the task says how it stands, and
/// only `done` means that the OLT was read back and agrees.
#[utoipa::path(post, path = "/api/v1/authorisations", tag = "authorisations", request_body = AuthorisationInput,
    responses((status = 202, description = "Ordered.", body = Task,
        headers(("Location" = String, description = "The task.")))))]
pub(super) async fn authorise_onu(order: Order<AuthorisationInput>) -> Result<Response, ApiFail> {
    order
        .once(|ctx, actor, input| async move {
            let id = ctx.app().authorise_onu(&actor, &input.into_request()?).await?.0;
            let ordered = found(ctx.read().task(id).await?, "task", id).map(task)?;
            let location = Some(format!("/api/v1/tasks/{id}"));
            Ok(Reply { location, ..Reply::new(StatusCode::ACCEPTED, &ordered)? })
        })
        .await
}

/// Tasks, newest first.
#[utoipa::path(get, path = "/api/v1/tasks", tag = "authorisations", params(TaskQuery),
    responses((status = 200, description = "A page of tasks.", body = List<Task>)))]
pub(super) async fn list_tasks(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<TaskQuery>,
) -> Answer<List<Task>> {
    let page = asked.page();
    let sort = asked.sort();
    let filter = TaskFilter {
        q: asked.q.unwrap_or_default(),
        state: asked.state,
        olt_id: asked.olt_id,
        onu_row_id: asked.onu_id,
    };
    Ok(List::of(ctx.read().tasks(&filter, &sort, page).await?, page, task))
}

/// One task with every line that was sent and its answer.
#[utoipa::path(get, path = "/api/v1/tasks/{id}", tag = "authorisations",
    params(("id" = i64, Path, description = "The task.")),
    responses((status = 200, description = "The task.", body = TaskWithLines)))]
pub(super) async fn get_task(State(ctx): State<Ctx>, Id(id): Id) -> Answer<TaskWithLines> {
    let row = found(ctx.read().task(id).await?, "task", id)?;
    let lines = ctx.read().task_lines(id).await?.into_iter().map(line).collect();
    let plan = stored(&row.plan);
    Ok(Json(TaskWithLines { task: task(row), plan, lines }))
}

/// Closes a task that needed somebody, after somebody has put the OLT right. Nothing is sent to the OLT; the ONU may be
/// ordered again then, and is looked at afresh.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/close", tag = "authorisations",
    params(("id" = i64, Path, description = "The task.")),
    responses((status = 200, description = "Closed.", body = Task)))]
pub(super) async fn close_task(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().close_task(&actor, OltTaskId(id)).await?;
            Reply::ok(&task(found(ctx.read().task(id).await?, "task", id)?))
        })
        .await
}

/// Cancels an order of which nothing was sent to the OLT. Everything is as before.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/cancel", tag = "authorisations",
    params(("id" = i64, Path, description = "The task.")),
    responses((status = 200, description = "Cancelled.", body = Task)))]
pub(super) async fn cancel_task(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().cancel_task(&actor, OltTaskId(id)).await?;
            Reply::ok(&task(found(ctx.read().task(id).await?, "task", id)?))
        })
        .await
}

/// Gives up a task that was begun and cannot go on. Nothing more is sent to the OLT by itself; `lines_left` has the exact
/// lines that lead back, or of a removal to its end. It waits for somebody to close it, or to let it go on.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/give-up", tag = "authorisations",
    params(("id" = i64, Path, description = "The task.")),
    responses((status = 200, description = "Given up.", body = Task)))]
pub(super) async fn give_up_task(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().give_up_task(&actor, OltTaskId(id)).await?;
            Reply::ok(&task(found(ctx.read().task(id).await?, "task", id)?))
        })
        .await
}

/// Lets a task go on at once that waits for its next try, or that was given up. It goes on from reading back.
#[utoipa::path(post, path = "/api/v1/tasks/{id}/resume", tag = "authorisations",
    params(("id" = i64, Path, description = "The task.")),
    responses((status = 200, description = "It goes on.", body = Task)))]
pub(super) async fn resume_task(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().resume_task(&actor, OltTaskId(id)).await?;
            Reply::ok(&task(found(ctx.read().task(id).await?, "task", id)?))
        })
        .await
}
