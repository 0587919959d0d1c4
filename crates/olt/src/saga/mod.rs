//! Authorising as a saga: OLT and database agree at the end, whatever died in between.
//!
//! No OLT has transactions. So: read everything, decide (pure), journal the whole plan, then write line by line with
//! the journal one step ahead, verify by reading back, and on failure undo what reading back finds. After a cut or a
//! killed process [`resume`] reads back and goes on from wherever the OLT really is.
//!
//! **Invariants.** Nothing is written before the plan is journalled. A reply is evidence, the read-back is the fact.
//! Undoing removes only an ONU that this task registered: such a plan exists only where the serial was registered
//! nowhere before, and after an unclear registration the record must equal ours, description included. With anything on
//! it that the task did not make nothing is taken off: a person decides. A removal that a person asks for takes only what
//! we made. A move removes first, because an OLT takes a serial once; until the new
//! place is verified, failing means putting the ONU back at the old one.

mod attempt;
mod undo;

use crate::{
    dialect::Dialect,
    driver::{Driver, OltError},
    model::{ConfigState, MatchState, RunState},
    plan::{
        Check, DeauthoriseSpec, Existing, Facts, Line, OnuRef, Operation, Plan, PlanRefusal, Snapshot, Step,
        holds, line, plan,
    },
};
use attempt::{Attempt, Stop, persist, read_back};
use serde::{Deserialize, Serialize};
use undo::{Ownership, Undoing, undo};

/// What is journalled before the first write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Everything that will be done.
    pub plan: Plan,
    /// What the OLT looked like before.
    pub before: Snapshot,
    /// How far it is.
    pub state: TaskState,
}

/// How far a task is. Journalled before the act it names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum TaskState {
    /// Journalled, nothing sent.
    Planned,
    /// The ONU is being taken from its place: off the OLT, or to make room for what comes.
    Removing,
    /// The line of that step may have been sent.
    Applying {
        /// Position in the plan.
        step: usize,
    },
    /// That step took effect.
    Applied {
        /// Position in the plan.
        step: usize,
    },
    /// All steps took effect; reading back.
    Verifying,
    /// Undoing.
    Compensating {
        /// Why.
        reason: String,
        /// The registration was seen to take effect, so what stands at the place is this task's.
        registered: bool,
        /// How many steps, from the first, the OLT may have taken.
        #[serde(default)]
        sent: usize,
    },
    /// What was done at the new place is gone; the ONU is being put back at its old one.
    Restoring {
        /// Why.
        reason: String,
    },
    /// Over.
    Finished {
        /// How.
        outcome: Outcome,
    },
}

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// As wanted, read back.
    Done(Report),
    /// Nothing was written.
    Refused {
        /// Why.
        refusal: PlanRefusal,
    },
    /// Failed, and everything is as before, read back.
    Undone {
        /// Why it failed.
        reason: String,
    },
    /// Failed, and something is left that we could not or may not remove.
    NeedsOperator {
        /// Why.
        reason: String,
        /// The exact lines that are left to be sent, mode changes included.
        left: Vec<String>,
    },
}

/// What reading back found at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The ONU's place.
    pub onu: OnuRef,
    /// It was so before; nothing was written.
    pub already: bool,
    /// Indexes of its service ports on the OLT.
    pub service_port_indexes: Vec<u32>,
    /// Run state when last looked at.
    pub run_state: RunState,
    /// Configuration state when last looked at.
    pub config_state: ConfigState,
    /// Match state when last looked at.
    pub match_state: MatchState,
    /// Things that are not as they should be and do not make it a failure, in words.
    pub remarks: Vec<String>,
    /// The OLT's configuration should be saved (once per batch).
    pub needs_save: bool,
}

/// The journal cannot be written or read. Nothing is written to an OLT without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the task journal failed: {0}")]
pub struct JournalError(pub String);

/// Where a task is recorded, durably, before each act. One journal per task.
#[async_trait::async_trait]
pub trait Journal: Send {
    /// The task, if it was begun.
    ///
    /// # Errors
    /// [`JournalError`].
    async fn load(&mut self) -> Result<Option<TaskRecord>, JournalError>;
    /// Records the whole task. Must be durable when it returns.
    ///
    /// # Errors
    /// [`JournalError`]: nothing will be written to the OLT.
    async fn begin(&mut self, record: &TaskRecord) -> Result<(), JournalError>;
    /// Records how far it is; [`TaskState::Finished`] ends it. Must be durable when it returns.
    ///
    /// # Errors
    /// [`JournalError`]: the task stops where it is, to be resumed.
    async fn advance(&mut self, state: &TaskState) -> Result<(), JournalError>;
}

/// A task that could not be brought to an outcome now.
#[derive(Debug, thiserror::Error)]
pub enum SagaError {
    /// Nothing was written.
    #[error("nothing was changed: {0}")]
    NotStarted(#[source] OltError),
    /// Stopped on the way; the journal knows where. Resume it.
    #[error("the task was interrupted and will be resumed: {0}")]
    Interrupted(#[source] OltError),
    /// The journal failed. If the task had begun it is resumed.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// Does what is asked, from pre-check to verified end.
///
/// # Errors
/// [`SagaError`]; every other end is an [`Outcome`].
pub async fn execute(
    driver: &mut Driver,
    operation: &Operation,
    facts: &Facts,
    journal: &mut dyn Journal,
) -> Result<Outcome, SagaError> {
    let before = driver.snapshot(operation).await.map_err(SagaError::NotStarted)?;
    let plan = match plan(operation, facts, &before) {
        Ok(plan) => plan,
        Err(refusal) => return Ok(Outcome::Refused { refusal }),
    };
    if plan.already {
        return Ok(Outcome::Done(report(&plan, before.existing.as_ref(), vec![])));
    }
    let record = TaskRecord { plan, before, state: TaskState::Planned };
    journal.begin(&record).await?;
    proceed(driver, &record, journal, false).await
}

/// Goes on with a task whose process died, wherever it was. `None`: there is no such task.
///
/// # Errors
/// [`SagaError`]; try again later.
pub async fn resume(driver: &mut Driver, journal: &mut dyn Journal) -> Result<Option<Outcome>, SagaError> {
    let Some(record) = journal.load().await? else { return Ok(None) };
    match &record.state {
        TaskState::Finished { outcome } => Ok(Some(outcome.clone())),
        TaskState::Compensating { reason, registered, sent } => {
            let done = Sent { registered: *registered, steps: *sent };
            compensate(driver, &record, reason.clone(), done, journal).await.map(Some)
        }
        TaskState::Restoring { reason } => restore(driver, &record, reason.clone(), journal).await.map(Some),
        TaskState::Planned
        | TaskState::Removing
        | TaskState::Applying { .. }
        | TaskState::Applied { .. }
        | TaskState::Verifying => proceed(driver, &record, journal, true).await.map(Some),
    }
}

/// The lines by which a person brings a task to an end that cannot go on, by its journal alone: back to how it was before,
/// or, of a removal, on to its end. Which of them have been sent already cannot be known without reading back, so each is to
/// be looked at first; an index that the OLT chose stands as `<index>`.
pub fn lines_left(record: &TaskRecord, dialect: &Dialect) -> Vec<String> {
    let plan = &record.plan;
    let made = match &record.state {
        TaskState::Planned
        | TaskState::Removing
        | TaskState::Restoring { .. }
        | TaskState::Finished { .. } => 0,
        TaskState::Applying { step } | TaskState::Applied { step } => step + 1,
        TaskState::Verifying | TaskState::Compensating { .. } => plan.steps.len(),
    };
    let as_lines = |steps: &[Step]| steps.iter().map(|step| step.line.clone()).collect::<Vec<_>>();
    let lines = match (&plan.operation, &record.state) {
        (_, TaskState::Planned | TaskState::Finished { .. }) => Vec::new(),
        (Operation::Deauthorise(_), _) => as_lines(&plan.steps),
        (Operation::Authorise(_) | Operation::Move(_) | Operation::Replace(_), _) => {
            let steps = &plan.steps[..made.min(plan.steps.len())];
            let undone = steps.iter().rev().flat_map(|step| {
                step.undo.iter().map(|text| Line { text: text.clone(), ..step.line.clone() })
            });
            let back = plan.restore.iter().flat_map(|back| as_lines(&back.steps));
            undone.chain(back).collect()
        }
    };
    undo::script(&lines, &dialect.leave)
}

async fn finish(journal: &mut dyn Journal, outcome: Outcome) -> Result<Outcome, SagaError> {
    journal.advance(&TaskState::Finished { outcome: outcome.clone() }).await?;
    Ok(outcome)
}

async fn proceed(
    driver: &mut Driver,
    record: &TaskRecord,
    journal: &mut dyn Journal,
    resumed: bool,
) -> Result<Outcome, SagaError> {
    let spec = match &record.plan.operation {
        Operation::Authorise(spec) => spec,
        Operation::Move(spec) | Operation::Replace(spec) => &spec.to,
        // Removing is what compensation does; there is no way back to go.
        Operation::Deauthorise(spec) => return remove(driver, record, spec, journal).await,
    };
    let first = matches!(record.state, TaskState::Planned | TaskState::Removing);
    if first
        && !record.plan.removal.is_empty()
        && let Some(old) = record.plan.operation.taken_off()
        && let Some(end) = clear_old_place(driver, record, old, journal).await?
    {
        return Ok(end);
    }
    // A process that died before its first act at the new place leaves nothing there; anything later is unclear, and so
    // is every following step: it may have got further than it could record.
    let unclear = resumed && !first;
    let mut registered = match record.state {
        TaskState::Applying { step } => step > 0,
        TaskState::Applied { .. } | TaskState::Verifying => true,
        TaskState::Planned
        | TaskState::Removing
        | TaskState::Compensating { .. }
        | TaskState::Restoring { .. }
        | TaskState::Finished { .. } => false,
    };
    // What the journal had as sent when the process died, which going through the steps anew does not take back.
    let known = match record.state {
        TaskState::Applying { step } | TaskState::Applied { step } => step + 1,
        TaskState::Verifying => record.plan.steps.len(),
        TaskState::Planned
        | TaskState::Removing
        | TaskState::Compensating { .. }
        | TaskState::Restoring { .. }
        | TaskState::Finished { .. } => 0,
    };
    for (position, step) in record.plan.steps.iter().enumerate() {
        journal.advance(&TaskState::Applying { step: position }).await?;
        let attempt = Attempt { spec, onu: record.plan.onu, step, registered };
        match attempt.apply(driver, unclear).await {
            Ok(()) => {
                registered = true;
                journal.advance(&TaskState::Applied { step: position }).await?;
            }
            Err(Stop::Failed(reason)) => {
                let reason = format!("`{}`: {reason}", step.line.text);
                let sent = Sent { registered, steps: known.max(position + 1) };
                return compensate(driver, record, reason, sent, journal).await;
            }
            Err(Stop::NotTaken(reason)) => {
                let reason = format!("`{}`: {reason}", step.line.text);
                let sent = Sent { registered, steps: known.max(position) };
                return compensate(driver, record, reason, sent, journal).await;
            }
            // It is registered, and not by us: there is nothing of ours to take back. Perhaps the way back is open, or
            // the OLT restarted with what it had saved and everything is as before: reading shows it.
            Err(Stop::NotOurs(reason)) if record.plan.restore.is_some() => {
                let reason = format!("`{}`: {reason}", step.line.text);
                return restore(driver, record, reason.trim_end_matches('.').to_owned(), journal).await;
            }
            Err(Stop::NotOurs(reason)) => return finish(journal, Outcome::Undone { reason }).await,
            // Neither on over what somebody set nor back with it on the ONU: whoever set it knows which.
            Err(Stop::WouldReplace(what)) => {
                let reason = format!(
                    "`{}` was not sent: {} carries {what} by now, which this task did not make and would write over. \
                     The lines that are left write over it",
                    step.line.text, record.plan.onu
                );
                let left = by_hand(driver, &record.plan.steps[position..]);
                return finish(journal, Outcome::NeedsOperator { reason, left }).await;
            }
            Err(Stop::Interrupted(error)) => return Err(SagaError::Interrupted(error)),
        }
    }
    journal.advance(&TaskState::Verifying).await?;
    // An ONU that did not announce itself is not waited for.
    let wait = record.before.detected_on.is_some();
    match verify(driver, &record.plan, wait).await {
        Ok(report) => finish(journal, Outcome::Done(report)).await,
        Err(
            Stop::Failed(reason)
            | Stop::NotTaken(reason)
            | Stop::NotOurs(reason)
            | Stop::WouldReplace(reason),
        ) => {
            let sent = Sent { registered: true, steps: record.plan.steps.len() };
            compensate(driver, record, reason, sent, journal).await
        }
        Err(Stop::Interrupted(error)) => Err(SagaError::Interrupted(error)),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

fn report(plan: &Plan, existing: Option<&Existing>, remarks: Vec<String>) -> Report {
    let record = existing.map(|e| &e.record);
    Report {
        onu: plan.onu,
        already: plan.already,
        service_port_indexes: existing
            .map(|e| e.service_ports.iter().map(|p| p.index).collect())
            .unwrap_or_default(),
        run_state: record.map_or(RunState::Unknown, |r| r.run_state),
        config_state: record.map_or(ConfigState::Unknown, |r| r.config_state),
        match_state: record.map_or(MatchState::Unknown, |r| r.match_state),
        remarks,
        needs_save: plan.save,
    }
}

/// Reads everything back. Registration, service ports, management and ACS are hard; being online is soft.
async fn verify(driver: &mut Driver, plan: &Plan, wait: bool) -> Result<Report, Stop> {
    let serial = plan.operation.serial();
    let existing = read_back(driver, serial, plan.onu.pon).await?;
    let wrong: Vec<String> =
        plan.verify.iter().filter(|c| !holds(c, existing.as_ref())).map(Check::to_string).collect();
    if !wrong.is_empty() {
        return Err(Stop::Failed(format!("read back shows that it is not so that {}", wrong.join("; "))));
    }
    let mut existing = existing;
    let onu = plan.onu;
    if wait {
        let latest = persist(driver, move |driver: &mut Driver| Box::pin(driver.wait_online(onu))).await?;
        if let (Some(existing), Some(record)) = (&mut existing, latest) {
            existing.record = record;
        }
    }
    let mut remarks = Vec::new();
    if let Some(existing) = &existing {
        if existing.record.run_state != RunState::Online {
            remarks.push(match &existing.record.last_down_cause {
                Some(cause) => format!("it is registered and not online yet (last down cause: {cause})"),
                None => "it is registered and not online yet".to_owned(),
            });
        }
        if existing.record.match_state == MatchState::Mismatch {
            remarks.push("its ports do not fit the service profile (match state: mismatch)".to_owned());
        }
        if existing.record.config_state == ConfigState::Failed {
            remarks.push("the ONU refused a part of its configuration (config state: failed)".to_owned());
        }
        let wanted = plan.verify.iter().filter(|c| matches!(c, Check::ServicePort { .. })).count();
        if existing.service_ports.len() > wanted {
            remarks.push(format!(
                "it has {} service ports, {wanted} were planned",
                existing.service_ports.len()
            ));
        }
    }
    Ok(report(plan, existing.as_ref(), remarks))
}

/// How far a task got that is to be undone.
struct Sent {
    /// The registration was seen to take effect.
    registered: bool,
    /// How many steps, from the first, the OLT may have taken.
    steps: usize,
}

async fn compensate(
    driver: &mut Driver,
    record: &TaskRecord,
    reason: String,
    sent: Sent,
    journal: &mut dyn Journal,
) -> Result<Outcome, SagaError> {
    let Sent { registered, steps } = sent;
    journal.advance(&TaskState::Compensating { reason: reason.clone(), registered, sent: steps }).await?;
    let spec = match &record.plan.operation {
        Operation::Authorise(spec) => spec,
        Operation::Move(spec) | Operation::Replace(spec) => &spec.to,
        Operation::Deauthorise(_) => return finish(journal, Outcome::Undone { reason }).await,
    };
    let Some(first) = record.plan.steps.first() else {
        return finish(journal, Outcome::Undone { reason }).await;
    };
    // Never on an ONU that was there before step 1: such a plan has no steps, or it has cleared the old place itself.
    if record.before.existing.is_some() && record.plan.restore.is_none() {
        return finish(journal, Outcome::NeedsOperator { reason, left: vec![] }).await;
    }
    let sent = &record.plan.steps[..steps.min(record.plan.steps.len())];
    let ours = Ownership::Task { spec, registered: &first.expect, certain: registered, sent };
    match undo(driver, spec.serial, record.plan.onu, &ours).await {
        Ok(Undoing::Gone { .. }) if record.plan.restore.is_some() => {
            restore(driver, record, reason, journal).await
        }
        Ok(Undoing::Gone { .. }) => finish(journal, Outcome::Undone { reason }).await,
        Ok(Undoing::NotOurs(at)) => {
            let reason = format!(
                "{reason}. At {at} there is now something that this task did not make; it was left alone"
            );
            finish(journal, Outcome::NeedsOperator { reason, left: way_back(driver, record) }).await
        }
        Ok(Undoing::Left { lines, reason: obstacle }) => {
            let reason = format!("{reason}. Undoing it failed, too: {obstacle}");
            finish(journal, Outcome::NeedsOperator { reason, left: lines }).await
        }
        Err(error) => {
            let left = record.plan.steps.iter().rev().flat_map(|s| s.undo.clone()).collect();
            stuck(&reason, error, left, journal).await
        }
    }
}

/// An error while undoing. An OLT that cannot be reached is tried again later; anything else needs a person.
async fn stuck(
    reason: &str,
    error: OltError,
    left: Vec<String>,
    journal: &mut dyn Journal,
) -> Result<Outcome, SagaError> {
    match Stop::from(error) {
        Stop::Interrupted(error) => Err(SagaError::Interrupted(error)),
        Stop::Failed(obstacle)
        | Stop::NotTaken(obstacle)
        | Stop::NotOurs(obstacle)
        | Stop::WouldReplace(obstacle) => {
            let reason = format!("{reason}. What is left of it cannot be read: {obstacle}");
            finish(journal, Outcome::NeedsOperator { reason, left }).await
        }
    }
}

/// The lines of these steps as an operator would send them.
fn by_hand(driver: &Driver, steps: &[Step]) -> Vec<String> {
    let lines: Vec<Line> = steps.iter().map(|step| step.line.clone()).collect();
    undo::script(&lines, &driver.dialect().leave)
}

/// The lines that take off what stands where these steps belong, and then those steps.
fn take_off_first(driver: &Driver, found: &Existing, steps: &[Step]) -> Vec<String> {
    let dialect = driver.dialect();
    let ports = found.service_ports.iter().map(|port| ("service_port_delete", Some(port.index)));
    let off = ports.chain([("onu_delete", None)]).filter_map(|(command, index)| {
        let index = index.map(|index| ("index", index.into()));
        // A dialect that cannot say it leaves it to whoever reads the rest.
        line(dialect, command, found.at(), index).ok()
    });
    let lines: Vec<Line> = off.chain(steps.iter().map(|step| step.line.clone())).collect();
    undo::script(&lines, &dialect.leave)
}

/// The lines that put an ONU back where it was, for whoever clears what is in the way.
fn way_back(driver: &Driver, record: &TaskRecord) -> Vec<String> {
    record.plan.restore.as_ref().map(|back| by_hand(driver, &back.steps)).unwrap_or_default()
}

async fn remove(
    driver: &mut Driver,
    record: &TaskRecord,
    spec: &DeauthoriseSpec,
    journal: &mut dyn Journal,
) -> Result<Outcome, SagaError> {
    journal.advance(&TaskState::Removing).await?;
    match undo(driver, spec.serial, spec.onu, &Ownership::Asked { removal: spec }).await {
        Ok(Undoing::Gone { elsewhere }) => {
            let remark =
                |at| format!("{} is registered as {at} by now, and was left alone there", spec.serial);
            let remarks = elsewhere.map(remark).into_iter().collect();
            finish(journal, Outcome::Done(report(&record.plan, None, remarks))).await
        }
        Ok(Undoing::NotOurs(_)) => finish(journal, Outcome::Done(report(&record.plan, None, vec![]))).await,
        Ok(Undoing::Left { lines, reason }) => {
            finish(journal, Outcome::NeedsOperator { reason, left: lines }).await
        }
        Err(error) => {
            stuck("It was to be removed", error, by_hand(driver, &record.plan.steps), journal).await
        }
    }
}

/// Takes an ONU that is to be moved or replaced from its place. `Some`: that failed, and this is how the task ended.
async fn clear_old_place(
    driver: &mut Driver,
    record: &TaskRecord,
    from: &DeauthoriseSpec,
    journal: &mut dyn Journal,
) -> Result<Option<Outcome>, SagaError> {
    journal.advance(&TaskState::Removing).await?;
    match undo(driver, from.serial, from.onu, &Ownership::Asked { removal: from }).await {
        Ok(Undoing::Gone { .. } | Undoing::NotOurs(_)) => Ok(None),
        Ok(Undoing::Left { reason, .. }) => {
            let reason = format!("{} could not be taken from {}: {reason}", from.serial, from.onu);
            restore(driver, record, reason, journal).await.map(Some)
        }
        Err(error) => {
            stuck("Its place was to be cleared", error, by_hand(driver, &record.plan.removal), journal)
                .await
                .map(Some)
        }
    }
}

/// Puts an ONU back where it was. Every step is read before it is sent: some of it may still, or again, be there.
async fn restore(
    driver: &mut Driver,
    record: &TaskRecord,
    reason: String,
    journal: &mut dyn Journal,
) -> Result<Outcome, SagaError> {
    let Some(back) = &record.plan.restore else {
        return finish(journal, Outcome::Undone { reason }).await;
    };
    journal.advance(&TaskState::Restoring { reason: reason.clone() }).await?;
    for (position, step) in back.steps.iter().enumerate() {
        let attempt = Attempt { spec: &back.spec, onu: back.onu, step, registered: position > 0 };
        match attempt.apply(driver, true).await {
            Ok(()) => {}
            Err(stop) => {
                let obstacle = match stop {
                    Stop::Interrupted(error) => return Err(SagaError::Interrupted(error)),
                    Stop::WouldReplace(what) => {
                        format!("it carries {what}, which this task did not make")
                    }
                    Stop::Failed(obstacle) | Stop::NotTaken(obstacle) | Stop::NotOurs(obstacle) => obstacle,
                };
                let left = by_hand(driver, &back.steps[position..]);
                let reason = format!(
                    "{reason}. {} could not be put back at {}: {obstacle}",
                    back.spec.serial, back.onu
                );
                return finish(journal, Outcome::NeedsOperator { reason, left }).await;
            }
        }
    }
    let found = match read_back(driver, back.spec.serial, back.onu.pon).await {
        Ok(found) => found,
        Err(error) => return stuck(&reason, error, by_hand(driver, &back.steps), journal).await,
    };
    let missing: Vec<Step> =
        back.steps.iter().filter(|step| !holds(&step.expect, found.as_ref())).cloned().collect();
    if missing.is_empty() {
        let reason = format!("{reason}. {} is back at {}", back.spec.serial, back.onu);
        return finish(journal, Outcome::Undone { reason }).await;
    }
    let wrong: Vec<String> = missing.iter().map(|step| step.expect.to_string()).collect();
    let reason = format!("{reason}. Put back at {}, it is not so that {}", back.onu, wrong.join("; "));
    // The lines that make it so. Registered otherwise, it must be taken off first: nothing else fits on it then.
    let left = match (missing.first().map(|step| &step.expect), &found) {
        (Some(Check::Registered { .. }), Some(other)) => take_off_first(driver, other, &back.steps),
        (Some(Check::Registered { .. }), None) => by_hand(driver, &back.steps),
        _ => by_hand(driver, &missing),
    };
    finish(journal, Outcome::NeedsOperator { reason, left }).await
}
