//! Authorising as a saga: OLT and database agree at the end, whatever died in between.
//!
//! No OLT has transactions. So: read everything, decide (pure), journal the whole plan, then write line by line with
//! the journal one step ahead, verify by reading back, and on failure undo what reading back finds. After a cut or a
//! killed process [`resume`] reads back and goes on from wherever the OLT really is.
//!
//! **Invariants.** Nothing is written before the plan is journalled. A reply is evidence, the read-back is the fact.
//! Only an ONU that this task registered is ever removed: the plan exists only where the serial was registered
//! nowhere before, and after an unclear registration the record must equal ours, description included.

use crate::{
    dialect::{ErrorClass, Verdict},
    driver::{Driver, OltError},
    machine::EngineError,
    model::{ConfigState, MatchState, RunState},
    plan::{
        AuthoriseSpec, Check, Existing, Facts, Line, OnuRef, Operation, Plan, PlanRefusal, Snapshot, Step,
        holds, line, moves, plan,
    },
    sanitise,
    session::Effect,
    template::TemplateError,
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

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

/// Why a step did not work, after all tries.
enum Stop {
    /// It failed for good: compensate.
    Failed(String),
    /// The registration belongs to somebody else: there is nothing of ours.
    NotOurs(String),
    /// The OLT cannot be reached.
    Interrupted(OltError),
}

impl From<OltError> for Stop {
    fn from(error: OltError) -> Self {
        match error {
            // Includes a refused login: undoing would need one, too.
            OltError::Connect(_) | OltError::Session(_) => Stop::Interrupted(error),
            OltError::Parse { .. }
            | OltError::Refused { .. }
            | OltError::Template(_)
            | OltError::Setup(_)
            | OltError::Queue(_) => Stop::Failed(error.to_string()),
        }
    }
}

impl From<TemplateError> for Stop {
    fn from(error: TemplateError) -> Self {
        Stop::Failed(error.to_string())
    }
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
        TaskState::Compensating { reason, registered } => {
            compensate(driver, &record, reason.clone(), *registered, journal).await.map(Some)
        }
        TaskState::Planned
        | TaskState::Applying { .. }
        | TaskState::Applied { .. }
        | TaskState::Verifying => proceed(driver, &record, journal, true).await.map(Some),
    }
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
        // Removing is what compensation does; there is no way back to go.
        Operation::Deauthorise(_) => return remove(driver, record, journal).await,
    };
    // A process that died before its first act on the OLT leaves `Planned`; anything later is unclear, and so is
    // every following step: it may have got further than it could record.
    let unclear = resumed && record.state != TaskState::Planned;
    let mut registered = match record.state {
        TaskState::Applying { step } => step > 0,
        TaskState::Applied { .. } | TaskState::Verifying => true,
        TaskState::Planned | TaskState::Compensating { .. } | TaskState::Finished { .. } => false,
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
                return compensate(driver, record, reason, registered, journal).await;
            }
            Err(Stop::NotOurs(reason)) => return finish(journal, Outcome::Undone { reason }).await,
            Err(Stop::Interrupted(error)) => return Err(SagaError::Interrupted(error)),
        }
    }
    journal.advance(&TaskState::Verifying).await?;
    // An ONU that did not announce itself is not waited for.
    let wait = record.before.detected_on.is_some();
    match verify(driver, &record.plan, wait).await {
        Ok(report) => finish(journal, Outcome::Done(report)).await,
        Err(Stop::Failed(reason) | Stop::NotOurs(reason)) => {
            compensate(driver, record, reason, true, journal).await
        }
        Err(Stop::Interrupted(error)) => Err(SagaError::Interrupted(error)),
    }
}

/// Reads an ONU back, over as many new sessions as patience allows.
async fn read_back(driver: &mut Driver, serial: types::Serial) -> Result<Option<Existing>, OltError> {
    persist(driver, move |driver: &mut Driver| Box::pin(driver.existing(serial))).await
}

/// Repeats a read over new sessions while only the connection is at fault.
async fn persist<T>(
    driver: &mut Driver,
    read: impl for<'a> Fn(&'a mut Driver) -> BoxFuture<'a, Result<T, OltError>> + Send + Sync,
) -> Result<T, OltError> {
    let mut tries = 0;
    loop {
        match read(driver).await {
            Err(error) if error.is_transport() && tries < driver.patience.reconnects => {
                tries += 1;
                tokio::time::sleep(driver.patience.reconnect_pause * tries).await;
            }
            other => return other,
        }
    }
}

/// Whether the registered ONU is the one that this task registered: place, serial and profiles as planned, and, unless
/// the registration was seen to work (`certain`), the description, too. Descriptions are compared without blanks,
/// which folding loses, and up to where the OLT cut them.
fn is_ours(
    driver: &Driver,
    spec: &AuthoriseSpec,
    registered: &Check,
    existing: &Existing,
    certain: bool,
) -> bool {
    let squash = |text: &str| text.split_whitespace().collect::<String>();
    let sent = squash(&sanitise::description(&spec.description, driver.dialect().description_max));
    let got = squash(existing.record.description.as_deref().unwrap_or_default());
    // Without a description the OLT makes one up.
    let described = sent.is_empty() || (!got.is_empty() && sent.starts_with(&got));
    holds(registered, Some(existing)) && (certain || described)
}

/// One step of a task at work.
struct Attempt<'a> {
    spec: &'a AuthoriseSpec,
    onu: OnuRef,
    step: &'a Step,
    /// The registration was seen to take effect.
    registered: bool,
}

impl Attempt<'_> {
    /// Makes the step take effect. `unclear`: an earlier try may have worked, so read before sending.
    async fn apply(&self, driver: &mut Driver, mut unclear: bool) -> Result<(), Stop> {
        let step = self.step;
        let registers = matches!(step.expect, Check::Registered { .. });
        let (mut tries, mut busy) = (0u32, 0u32);
        loop {
            if unclear && self.took_effect(driver, registers).await? {
                return Ok(());
            }
            let (command, reply) = match driver.send_line(&step.line).await {
                Ok(answer) => answer,
                Err(OltError::Session(error)) if matches!(error.reason, EngineError::Incomplete(_)) => {
                    return Err(Stop::Failed(error.to_string()));
                }
                Err(error) if error.is_transport() && tries < driver.patience.reconnects => {
                    tries += 1;
                    let pause = match error.effect() {
                        Effect::Unknown => {
                            unclear = true;
                            driver.patience.settle
                        }
                        Effect::None => driver.patience.reconnect_pause * tries,
                    };
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(question) = reply.refused_questions.first() {
                return Err(Stop::Failed(format!(
                    "the OLT asked «{question}», which may not be answered with yes here"
                )));
            }
            match reply.verdict {
                Verdict::Accepted => {
                    let text = &reply.text;
                    if command.failure.as_ref().is_some_and(|f| f.is_match(text)) {
                        return Err(Stop::Failed(format!("the OLT counts no success: {}", one_line(text))));
                    }
                    if command.success.as_ref().is_none_or(|s| s.is_match(text)) {
                        return Ok(());
                    }
                    // Silent, or cut by an alarm: only reading back can tell.
                    return self.confirm(driver, "the OLT gave no verdict").await;
                }
                Verdict::Rejected { class: ErrorClass::Busy, .. } if busy < driver.patience.busy_retries => {
                    busy += 1;
                    tokio::time::sleep(driver.patience.busy_pause).await;
                }
                Verdict::Rejected { class: ErrorClass::Duplicate, message } if registers => {
                    if !unclear {
                        return Err(Stop::NotOurs(format!("the OLT refused the registration: {message}")));
                    }
                    // Our own earlier try may have arrived late; reading back decides at the top of the loop.
                    if tries >= driver.patience.reconnects {
                        return Err(Stop::Failed(format!("the OLT refused: {message}")));
                    }
                    tries += 1;
                    tokio::time::sleep(driver.patience.settle).await;
                }
                Verdict::Rejected { class, message } if step.idempotent_if.contains(&class) => {
                    return self.confirm(driver, &message).await;
                }
                Verdict::Rejected { message, .. } => {
                    return Err(Stop::Failed(format!("the OLT refused: {message}")));
                }
            }
        }
    }

    /// Reads back whether an earlier try took effect.
    async fn took_effect(&self, driver: &mut Driver, registers: bool) -> Result<bool, Stop> {
        let (spec, onu) = (self.spec, self.onu);
        let existing = read_back(driver, spec.serial).await?;
        match &existing {
            Some(existing) => {
                let ours = if registers {
                    is_ours(driver, spec, &self.step.expect, existing, self.registered)
                } else {
                    existing.at() == onu
                };
                if !ours {
                    let at = existing.at();
                    return Err(Stop::NotOurs(format!(
                        "{} is registered as {at}, but not by this task. It was left alone.",
                        spec.serial
                    )));
                }
            }
            None if !registers => {
                return Err(Stop::Failed(format!("{} is no longer registered as {onu}", spec.serial)));
            }
            None => {}
        }
        Ok(holds(&self.step.expect, existing.as_ref()))
    }

    /// Holds what the step wants?
    async fn confirm(&self, driver: &mut Driver, otherwise: &str) -> Result<(), Stop> {
        let existing = read_back(driver, self.spec.serial).await?;
        if holds(&self.step.expect, existing.as_ref()) {
            return Ok(());
        }
        let expect = &self.step.expect;
        Err(Stop::Failed(format!("{otherwise}, and reading back shows that it is not so that {expect}")))
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
    let existing = read_back(driver, serial).await?;
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

/// What is left of an ONU: the lines that remove it, in order.
async fn left_lines(driver: &mut Driver, plan: &Plan, ours: &Ownership<'_>) -> Result<Left, OltError> {
    let serial = plan.operation.serial();
    let onu = plan.onu;
    let existing = read_back(driver, serial).await?.filter(|e| e.at() == onu);
    let ports = persist(driver, move |driver: &mut Driver| Box::pin(driver.service_ports_of(onu))).await?;
    let dialect = driver.dialect().clone();
    let mut lines = Vec::new();
    match &existing {
        Some(existing) => {
            if let Ownership::Task { spec, registered, certain } = ours {
                if !is_ours(driver, spec, registered, existing, *certain) {
                    return Ok(Left::NotOurs(existing.at()));
                }
                if existing.record.acs_profile_id.is_some() {
                    lines.push(line(&dialect, "acs_unbind", onu, [])?);
                }
                for address in existing.management.iter().filter(|m| m.vlan.is_some()) {
                    lines.push(line(
                        &dialect,
                        "management_delete",
                        onu,
                        [("ip_index", address.ip_index.into())],
                    )?);
                }
            }
            // Indexes as the OLT lists them now: a crash between push and record leaves ports nobody wrote down, and
            // they would block the removal for ever.
            for port in &ports {
                lines.push(line(&dialect, "service_port_delete", onu, [("index", port.index.into())])?);
            }
            lines.push(line(&dialect, "onu_delete", onu, [])?);
        }
        None => {
            // Service ports without an ONU: only those this task planned, and only if nobody else sits at the place.
            if let Ownership::Task { spec, .. } = ours {
                let occupied =
                    persist(driver, move |driver: &mut Driver| Box::pin(driver.onu(onu))).await?.is_some();
                for port in
                    ports.iter().filter(|row| !occupied && spec.service_ports.iter().any(|s| s.is(row)))
                {
                    lines.push(line(&dialect, "service_port_delete", onu, [("index", port.index.into())])?);
                }
            }
        }
    }
    Ok(if lines.is_empty() { Left::Nothing } else { Left::Lines(lines) })
}

enum Left {
    Nothing,
    Lines(Vec<Line>),
    NotOurs(OnuRef),
}

/// Why we may remove an ONU.
enum Ownership<'a> {
    /// The task registered it. `certain`: the journal saw the registration take effect.
    Task { spec: &'a AuthoriseSpec, registered: &'a Check, certain: bool },
    /// A person asked for its removal by serial and place.
    Asked,
}

fn script(lines: &[Line], leave: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut at = Vec::new();
    for line in lines {
        out.extend(moves(&at, &line.context.steps, leave));
        at.clone_from(&line.context.steps);
        out.push(line.text.clone());
    }
    out
}

/// How undoing went.
enum Undoing {
    Gone,
    NotOurs(OnuRef),
    Left { lines: Vec<String>, reason: String },
}

/// Removes what reading back finds, until it finds nothing.
async fn undo(driver: &mut Driver, plan: &Plan, ours: &Ownership<'_>) -> Result<Undoing, OltError> {
    let mut reason = String::from("no try was made");
    for attempt in 0..=driver.patience.undo_attempts {
        if attempt > 0 {
            tokio::time::sleep(driver.patience.undo_pause).await;
        }
        let lines = match left_lines(driver, plan, ours).await? {
            Left::Nothing => return Ok(Undoing::Gone),
            Left::NotOurs(at) => return Ok(Undoing::NotOurs(at)),
            Left::Lines(lines) => lines,
        };
        if attempt == driver.patience.undo_attempts {
            let leave = driver.dialect().leave.clone();
            return Ok(Undoing::Left { lines: script(&lines, &leave), reason });
        }
        for line in &lines {
            match driver.send_line(line).await {
                Ok((command, reply)) => {
                    let refused = match reply.verdict {
                        Verdict::Rejected {
                            class: ErrorClass::NotFound | ErrorClass::Empty | ErrorClass::AlreadySet,
                            ..
                        } => None,
                        Verdict::Rejected { message, .. } => Some(message),
                        Verdict::Accepted => {
                            let failed = command.failure.as_ref().is_some_and(|f| f.is_match(&reply.text));
                            let asked = reply.refused_questions.first();
                            asked.cloned().or_else(|| failed.then(|| one_line(&reply.text)))
                        }
                    };
                    if let Some(message) = refused {
                        reason = format!("`{}`: {message}", line.text);
                        // The later lines depend on this one; read back and start over.
                        break;
                    }
                }
                Err(error) if error.is_transport() => {
                    reason = error.to_string();
                    tokio::time::sleep(driver.patience.settle).await;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Undoing::Left { lines: vec![], reason })
}

async fn compensate(
    driver: &mut Driver,
    record: &TaskRecord,
    reason: String,
    registered: bool,
    journal: &mut dyn Journal,
) -> Result<Outcome, SagaError> {
    journal.advance(&TaskState::Compensating { reason: reason.clone(), registered }).await?;
    let (Operation::Authorise(spec), Some(first)) = (&record.plan.operation, record.plan.steps.first())
    else {
        return finish(journal, Outcome::Undone { reason }).await;
    };
    // Never on an ONU that was there before step 1: a plan with steps exists only if it was not.
    if record.before.existing.is_some() {
        return finish(journal, Outcome::NeedsOperator { reason, left: vec![] }).await;
    }
    let ours = Ownership::Task { spec, registered: &first.expect, certain: registered };
    match undo(driver, &record.plan, &ours).await {
        Ok(Undoing::Gone) => finish(journal, Outcome::Undone { reason }).await,
        Ok(Undoing::NotOurs(at)) => {
            let reason = format!(
                "{reason}. At {at} there is now something that this task did not make; it was left alone"
            );
            finish(journal, Outcome::NeedsOperator { reason, left: vec![] }).await
        }
        Ok(Undoing::Left { lines, reason: obstacle }) => {
            let reason = format!("{reason}. Undoing it failed, too: {obstacle}");
            finish(journal, Outcome::NeedsOperator { reason, left: lines }).await
        }
        Err(error) => stuck(record, &reason, error, journal).await,
    }
}

/// An error while undoing. An OLT that cannot be reached is tried again later; anything else needs a person.
async fn stuck(
    record: &TaskRecord,
    reason: &str,
    error: OltError,
    journal: &mut dyn Journal,
) -> Result<Outcome, SagaError> {
    match Stop::from(error) {
        Stop::Interrupted(error) => Err(SagaError::Interrupted(error)),
        Stop::Failed(obstacle) | Stop::NotOurs(obstacle) => {
            let left = record.plan.steps.iter().rev().flat_map(|s| s.undo.clone()).collect();
            let reason = format!("{reason}. What is left of it cannot be read: {obstacle}");
            finish(journal, Outcome::NeedsOperator { reason, left }).await
        }
    }
}

async fn remove(
    driver: &mut Driver,
    record: &TaskRecord,
    journal: &mut dyn Journal,
) -> Result<Outcome, SagaError> {
    journal.advance(&TaskState::Applying { step: 0 }).await?;
    match undo(driver, &record.plan, &Ownership::Asked).await {
        Ok(Undoing::Gone | Undoing::NotOurs(_)) => {
            finish(journal, Outcome::Done(report(&record.plan, None, vec![]))).await
        }
        Ok(Undoing::Left { lines, reason }) => {
            finish(journal, Outcome::NeedsOperator { reason, left: lines }).await
        }
        Err(error) => Err(SagaError::Interrupted(error)),
    }
}
