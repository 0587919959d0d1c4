//! Carrying tasks on OLTs: from wherever they are to their end, and everything that follows from it.
//!
//! The saga journals itself into the task's row. When it has ended, one unit of work records the end and what follows
//! for the ONU and its service; what was taken off the OLT is taken from its service before that, and doing so twice
//! does no harm. A process that dies anywhere in between goes on from the journal.

use super::{
    authorise::{AUTHORISE, presence, run_word},
    hand::GIVEN_UP,
    journal::{TaskJournal, ended},
    registry::OltLine,
    reserve::without_reserved,
    saves::mark_unsaved,
    spec::{given_like, internet_port, vlan_that_stays},
};
use crate::{App, AppError, Change};
use olt::{
    dialect::Dialect,
    driver::OltError,
    plan::{AuthoriseSpec, Operation, PlanRefusal},
    saga::{Outcome, Report, SagaError, TaskRecord},
};
use provisioning::Event;
use std::time::Duration;
use store::{
    DetectedState, Guarded, OltTaskState, ServiceState, Slot, StoreError, SyncState, Tx, cpes, detected,
    leases::{self, Lease},
    onus, rows, services, tasks, timeline,
};
use types::{CpeId, OltTaskId, OnuRowId, Serial, ServiceId, UtcMs};

/// So often a task is tried of which nothing was sent yet: for three quarters of an hour.
const MOST_TRIES: i64 = 12;
/// So often one is tried that was begun: for some hours. Then a person has to look.
const MOST_TRIES_ONCE_BEGUN: i64 = 30;
/// After the first try in vain; twice as long after every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(3);
/// At most so long: an OLT that locks accounts after wrong passwords is not to be kept locked.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

fn pause_after(tries: i64) -> Duration {
    let doublings = u32::try_from(tries - 1).unwrap_or(0).min(16);
    FIRST_PAUSE.saturating_mul(1 << doublings).min(LONGEST_PAUSE)
}

/// Whether it was the OLT that did not let a task go on; otherwise another node has it, or it was the database.
fn is_the_olts(error: &SagaError) -> bool {
    match error {
        SagaError::NotStarted(why) | SagaError::Interrupted(why) => {
            !matches!(why, OltError::Fenced(_) | OltError::Queue(_))
        }
        SagaError::Journal(_) => false,
    }
}

/// Whether nothing at all can be said to the OLT now, whatever it is about.
fn cannot_be_spoken_to(error: &SagaError) -> bool {
    match error {
        SagaError::NotStarted(why) | SagaError::Interrupted(why) => {
            matches!(why, OltError::Connect(_) | OltError::Session(_) | OltError::Setup(_))
        }
        SagaError::Journal(_) => false,
    }
}

/// What a task is to do on its OLT.
fn operation_of(task: &rows::OltTask) -> Result<Operation, AppError> {
    let plan = task.plan.clone();
    let read = if task.kind == AUTHORISE {
        serde_json::from_value(plan).map(Operation::Authorise)
    } else {
        serde_json::from_value(plan)
    };
    read.map_err(|error| AppError::Internal(format!("task {} cannot be read: {error}", task.id)))
}

impl App {
    /// Carries a task on from wherever it is, to its end if the OLT lets us. False: it is to be tried again.
    pub(crate) async fn carry_on(&self, task: OltTaskId) -> Result<bool, AppError> {
        // As it is now that this node has the OLT: whoever had it before may have begun it, or brought it to its end.
        let task: rows::OltTask = self.found(task, "task").await?;
        if task.finished_at.is_some() || task.state == OltTaskState::NeedsOperator {
            return Ok(true);
        }
        if task.next_try_at.is_some_and(|at| at > self.now()) {
            return Ok(false);
        }
        let olt: rows::Olt = self.found(task.olt_id, "OLT").await?;
        let Some(lease) = self.lease_on(olt.id) else { return Ok(false) };
        let line = self.olt_line(&olt).await?;
        let handle = line.handle.under(self.leave_under(&lease, olt.id, Some(task.id)));
        let journal = || Box::new(TaskJournal::new(self.clone(), lease.clone(), &task, line.tape.clone()));
        let mut operation = operation_of(&task)?;
        let begun = task.journal_sealed.is_some();
        let result = if begun {
            handle.resume(journal()).await
        } else {
            self.reserve_ids(&mut operation, olt.id, Some(task.id)).await?;
            handle.execute(operation.clone(), journal()).await.map(Some)
        };
        line.tape.stop();
        match result {
            Ok(Some(outcome)) => {
                let operation = without_reserved(self.as_planned(task.id).await?.unwrap_or(operation));
                if matches!(outcome, Outcome::Done(_)) {
                    self.let_go(&task, &operation, &lease).await?;
                }
                let end = End { operation, outcome, step: "" };
                self.record_outcome(&olt, task.id, end, &line, lease).await.map(|()| true)
            }
            Ok(None) => Err(AppError::Internal(format!("task {} has lost its journal", task.id))),
            Err(error) => self.interrupted(&olt, task, operation, error, &line, lease).await,
        }
    }

    /// The operation of a task as it was planned on its OLT: what goes along with an ONU is only known there. None when
    /// nothing was to be written.
    async fn as_planned(&self, task: OltTaskId) -> Result<Option<Operation>, AppError> {
        let Some(text) = self.store().secret(Slot::TaskJournal(task)).await? else { return Ok(None) };
        let record: TaskRecord = serde_json::from_str(text.expose()).map_err(|error| {
            AppError::Internal(format!("the journal of task {task} cannot be read: {error}"))
        })?;
        Ok(Some(record.plan.operation))
    }

    /// The OLT or the database does not let a task go on now. It stays open and is tried again, less and less often, until
    /// it was tried so often that somebody has to look. True: it is over, or waits for somebody.
    async fn interrupted(
        &self,
        olt: &rows::Olt,
        task: rows::OltTask,
        operation: Operation,
        error: SagaError,
        line: &OltLine,
        lease: Lease,
    ) -> Result<bool, AppError> {
        tracing::warn!(task = %task.id, olt = %olt.name, %error, "a task is interrupted");
        let (id, tries) = (task.id, task.tries + 1);
        let begun = !matches!(error, SagaError::NotStarted(_));
        let most = if begun { MOST_TRIES_ONCE_BEGUN } else { MOST_TRIES };
        let counts = is_the_olts(&error);
        if counts && tries >= most {
            let outcome = self.given_up(olt, &task, &error, tries, line).await?;
            let operation = without_reserved(self.as_planned(id).await?.unwrap_or(operation));
            let end = End { operation, outcome, step: GIVEN_UP };
            return self.record_outcome(olt, id, end, line, lease).await.map(|()| true);
        }
        let pause = if counts { pause_after(tries) } else { Duration::ZERO };
        let again = match pause.as_secs() {
            0 => String::new(),
            seconds => format!(" in {seconds} s (try {} of {most})", tries + 1),
        };
        let text = match &error {
            SagaError::NotStarted(why) => format!(
                "{} could not be used, nothing was sent: {why}. It is tried again by itself{again}.",
                olt.name
            ),
            SagaError::Interrupted(why) => {
                format!("Interrupted: {why}. It goes on by itself from reading back{again}.")
            }
            SagaError::Journal(why) => format!("{why}. It goes on by itself."),
        };
        let (olt, now) = (olt.id, self.now());
        let until = now.plus(pause);
        let unreachable = counts && cannot_be_spoken_to(&error);
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    let row: rows::OltTask = tx.require(id).await?;
                    if row.state == OltTaskState::NeedsOperator {
                        return Ok(());
                    }
                    // Overtaken: somebody else says how it stands.
                    if counts {
                        let _stays: Guarded = tasks::postpone(tx, id, row.state, until, &text).await?;
                        if unreachable {
                            tasks::hold_back(tx, olt, until).await?;
                        }
                    } else {
                        let stay = tasks::TaskMove {
                            from: row.state,
                            to: row.state,
                            step: &row.step,
                            reason: &text,
                        };
                        let _stays: Guarded = tasks::transition(tx, id, stay, now).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Task(id));
        Ok(false)
    }

    /// How a task ends that was tried as often as it may be: nothing was sent, or somebody has to look what is there.
    async fn given_up(
        &self,
        olt: &rows::Olt,
        task: &rows::OltTask,
        error: &SagaError,
        tries: i64,
        line: &OltLine,
    ) -> Result<Outcome, AppError> {
        Ok(match error {
            SagaError::NotStarted(why) => Outcome::Refused {
                refusal: PlanRefusal::BadSpec {
                    reason: format!(
                        "{} could not be used in {tries} tries, the last time because {why}. It is not tried again; order \
                         it anew when the OLT answers",
                        olt.name
                    ),
                },
            },
            SagaError::Interrupted(why) => Outcome::NeedsOperator {
                reason: format!(
                    "It was interrupted {tries} times, the last time because {why}. It is not tried again by itself."
                ),
                left: self.lines_left(task.id, line.handle.dialect()).await?,
            },
            SagaError::Journal(why) => Outcome::NeedsOperator { reason: format!("{why}."), left: Vec::new() },
        })
    }

    /// The lines by which a person brings a task that was begun to an end, by its journal alone.
    pub(super) async fn lines_left(
        &self,
        task: OltTaskId,
        dialect: &Dialect,
    ) -> Result<Vec<String>, AppError> {
        let Some(text) = self.store().secret(Slot::TaskJournal(task)).await? else { return Ok(Vec::new()) };
        let record: TaskRecord = serde_json::from_str(text.expose()).map_err(|error| {
            AppError::Internal(format!("the journal of task {task} cannot be read: {error}"))
        })?;
        Ok(olt::saga::lines_left(&record, dialect))
    }

    async fn record_outcome(
        &self,
        olt: &rows::Olt,
        id: OltTaskId,
        end: End,
        line: &OltLine,
        lease: Lease,
    ) -> Result<(), AppError> {
        let now = self.now();
        let (olt, lines) = (olt.clone(), line.tape.take(id, now));
        let outcome = &end.outcome;
        let needs_save = matches!(outcome, Outcome::Done(report) if report.needs_save)
            || matches!(outcome, Outcome::Undone { .. } | Outcome::NeedsOperator { .. });
        let (app, olt_id, olt_name) = (self.clone(), olt.id, olt.name.clone());
        let recorded = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    for line in lines {
                        tasks::journal_line(tx, line).await?;
                    }
                    if needs_save {
                        mark_unsaved(tx, olt.id, now).await?;
                    }
                    record(&app, tx, &olt, id, &end, now).await
                })
            })
            .await;
        let follows = match recorded {
            Ok(follows) => follows,
            Err(AppError::Store(StoreError::Overtaken { .. })) => return Ok(()),
            Err(other) => return Err(other),
        };
        self.bus().say(Change::Task(id));
        self.bus().say(Change::Detected(olt_id));
        self.bus().say(Change::Olt(olt_id));
        if let Some(onu) = follows.onu {
            self.bus().say(Change::Onu(onu));
        }
        if let Some(service) = follows.service {
            self.bus().say(Change::Service(service));
        }
        if let Some(cpe) = follows.expected {
            self.feed(cpe, Event::OnuKnown).await?;
        }
        if follows.told_otherwise.is_some() {
            self.tell_wishes_now().await;
        }
        tracing::info!(task = %id, olt = %olt_name, "task ended");
        Ok(())
    }

    /// An ONU that the OLT was read back without leaves its service, and the CPE that was behind it is released: its
    /// history stays, what it was given for this service counts no more. Whoever comes next begins anew.
    async fn let_go(
        &self,
        task: &rows::OltTask,
        operation: &Operation,
        lease: &Lease,
    ) -> Result<(), AppError> {
        let (text, replaced) = match operation {
            Operation::Authorise(_) | Operation::Move(_) => return Ok(()),
            Operation::Deauthorise(spec) => (format!("its ONU {} was taken off the OLT", spec.serial), false),
            Operation::Replace(spec) => {
                (format!("its ONU {} was replaced by {}", spec.from.serial, spec.to.serial), true)
            }
        };
        let Some(onu) = task.onu_row_id else { return Ok(()) };
        let leaving = Leaving {
            onu,
            service: task.service_id,
            noted: serde_json::from_value(task.plan[CPE_NOTED].clone()).ok(),
            comes: operation.wanted().map(|spec| spec.serial),
            replaced,
            actor: task.actor.clone(),
        };
        let (app, lease) = (self.clone(), lease.clone());
        let gone = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    app.leave_service(tx, &leaving).await
                })
            })
            .await?;
        self.bus().say(Change::Onu(onu));
        if let Some(service) = task.service_id {
            self.bus().say(Change::Service(service));
        }
        match gone {
            Gone::Nobody => {}
            Gone::Expected(cpe) => self.bus().say(Change::Cpe(cpe)),
            Gone::ToRelease(cpe) => {
                self.feed(cpe, Event::Released { why: text }).await?;
                self.bus().say(Change::Cpe(cpe));
            }
        }
        Ok(())
    }

    /// Takes an ONU from its service, in one unit with the decision which CPE goes with it. What a process that died did
    /// already is not done again.
    async fn leave_service(&self, tx: &Tx, leaving: &Leaving) -> Result<Gone, AppError> {
        let row: rows::Onu = tx.require(leaving.onu).await?;
        if row.removed_at.is_none() {
            onus::remove(tx, leaving.onu, self.now()).await?.or_overtaken("the ONU")?;
            if let Some(service) = leaving.service {
                self.lost_its_onu(tx, service, &row, leaving.replaced, &leaving.actor).await?;
            }
        }
        let Some(service) = leaving.service else { return Ok(Gone::Nobody) };
        let now: rows::Service = tx.require(service).await?;
        let Some(cpe) = now.cpe_id else { return Ok(Gone::Nobody) };
        let device: rows::Cpe = tx.require(cpe).await?;
        if !leaving.takes(&device, row.serial) {
            return Ok(Gone::Nobody);
        }
        if cpes::is_placeholder(&device) {
            // Nobody has come yet, and nobody will: it stood for a CPE that was expected.
            services::link_cpe(tx, service, None).await?;
            tx.delete::<rows::Cpe>(cpe).await?;
            return Ok(Gone::Expected(cpe));
        }
        Ok(Gone::ToRelease(cpe))
    }

    /// What a service is without the ONU that it had: nothing is built for it any more, or not yet in use.
    async fn lost_its_onu(
        &self,
        tx: &Tx,
        id: ServiceId,
        onu: &rows::Onu,
        replaced: bool,
        actor: &str,
    ) -> Result<(), AppError> {
        let service: rows::Service = tx.require(id).await?;
        let to = if replaced { ServiceState::Inactive } else { ServiceState::Reserved };
        // Suspended and terminated are somebody's word, whatever is built.
        if matches!(service.state, ServiceState::Active | ServiceState::Inactive) && service.state != to {
            services::transition(tx, id, service.state, service.version, to, self.now())
                .await?
                .or_overtaken("the service")?;
        }
        if !replaced && let Some(vlan) = vlan_that_stays(onu) {
            self.vlan_without_onu(tx, id, vlan, actor).await?;
        }
        Ok(())
    }
}

/// Where the order notes, beside the plan of its task, which CPE was behind the ONU then.
pub(super) const CPE_NOTED: &str = "cpe";

/// An ONU that leaves its service.
#[derive(Clone)]
struct Leaving {
    onu: OnuRowId,
    service: Option<ServiceId>,
    /// The CPE of the service when this was ordered.
    noted: Option<CpeId>,
    /// The ONU that comes instead.
    comes: Option<Serial>,
    replaced: bool,
    actor: String,
}

impl Leaving {
    /// Whether a CPE is the one behind the ONU that goes. Whoever was put there meanwhile stays.
    fn takes(&self, device: &rows::Cpe, old: Serial) -> bool {
        device.pon_serial == Some(old)
            || (self.noted == Some(device.id) && device.pon_serial.is_none_or(|own| Some(own) != self.comes))
    }
}

/// Who goes with an ONU.
enum Gone {
    Nobody,
    /// Only an expectation, and it is deleted.
    Expected(CpeId),
    /// Its machine must hear of it.
    ToRelease(CpeId),
}

/// How a task ended.
#[derive(Clone)]
struct End {
    operation: Operation,
    outcome: Outcome,
    /// Where the task stands then; empty where nothing can go on.
    step: &'static str,
}

/// Machines that must hear of the end of a task.
#[derive(Debug, Default)]
struct Follows {
    /// The CPE that is expected now.
    expected: Option<CpeId>,
    /// A CPE that is there already and whose service wants something else now.
    told_otherwise: Option<CpeId>,
    /// The ONU as it is now.
    onu: Option<OnuRowId>,
    /// Its service.
    service: Option<ServiceId>,
}

/// The end of a task and everything that follows from it, in one unit.
async fn record(
    app: &App,
    tx: &Tx,
    olt: &rows::Olt,
    id: OltTaskId,
    end: &End,
    now: UtcMs,
) -> Result<Follows, AppError> {
    let End { operation, outcome, step } = end;
    let task: rows::OltTask = tx.require(id).await?;
    if task.finished_at.is_some() || task.state == OltTaskState::NeedsOperator {
        // Its end is recorded once, whoever else brought it there.
        Guarded::NotAsExpected { found: task.state.to_string() }.or_overtaken("the task")?;
    }
    let (mut state, mut text) = ended(operation, outcome);
    let mut follows = Follows { onu: task.onu_row_id, service: task.service_id, ..Follows::default() };
    let elsewhere = onus::by_serial(tx, task.serial).await?.filter(|other| other.olt_id != task.olt_id);
    if let (Outcome::Done(report), Some(other)) = (outcome, &elsewhere) {
        state = OltTaskState::NeedsOperator;
        text = format!(
            "Needs an operator: registered as {} here, and the database has it on another OLT at {} ONU {}. One of the \
             two must go.",
            report.onu, other.pon, other.onu_id
        );
    } else if let (Outcome::Done(report), Some(spec)) = (outcome, operation.wanted()) {
        let given = match task.onu_row_id {
            // Moved, or in place of another one: whose word its VLAN was is known from there.
            Some(before) => given_like(spec, &tx.require::<rows::Onu>(before).await?.desired)?,
            None => task.plan.clone(),
        };
        let row = place_onu(tx, &task, spec, given, report, now).await?;
        follows.onu = Some(row);
        if let Some(service) = task.service_id {
            services::alone_with_serial(tx, task.serial).await?;
            expect_instead(tx, service, task.serial).await?;
            expected_no_longer(tx, service, task.serial, &task.actor, now).await?;
            services::link_onu(tx, service, Some(row)).await?;
            if let Some(port) = internet_port(spec) {
                follows.told_otherwise = app.agree_on_vlan(tx, service, port.user_vlan, &task.actor).await?;
            }
            follows.expected = expect_cpe(tx, service, task.serial, now).await?;
        }
    }
    if state == OltTaskState::NeedsOperator
        && let Some(onu) = task.onu_row_id
        && let Some(row) = tx.get::<rows::Onu>(onu).await?
        && row.sync_state != SyncState::Failed
    {
        let _noted: Guarded = onus::transition_sync(tx, onu, row.sync_state, SyncState::Failed).await?;
    }
    // What was only taken off is detected again by the next look.
    if operation.wanted().is_some()
        && let Some(seen) = detected::by_serial(tx, task.olt_id, task.serial).await?
    {
        let to = match state {
            OltTaskState::Done => Some(DetectedState::Authorised),
            OltTaskState::Undone | OltTaskState::Refused => Some(DetectedState::Waiting),
            _ => None,
        };
        if let Some(to) = to.filter(|to| *to != seen.state) {
            let _moved: Guarded = detected::transition(tx, seen.id, seen.state, to).await?;
        }
    }
    if text.chars().count() > 2000 {
        text = text.chars().take(2000).collect();
    }
    if let Outcome::NeedsOperator { left, .. } = outcome {
        tasks::set_lines_left(tx, id, left).await?;
    }
    let ended = tasks::TaskMove { from: task.state, to: state, step, reason: &text };
    tasks::transition(tx, id, ended, now).await?.or_overtaken("the task")?;
    let severity = match state {
        OltTaskState::Done => store::Severity::Ok,
        OltTaskState::NeedsOperator => store::Severity::Bad,
        _ => store::Severity::Warn,
    };
    let entry = rows::TimelineEntry {
        at: now,
        kind: "task".into(),
        olt_id: Some(olt.id),
        onu_row_id: follows.onu,
        service_id: task.service_id,
        severity,
        code: format!("{}_{}", verb(operation), state.as_str()),
        text: format!("{} on {} {}: {text}", task.serial, olt.name, task.pon),
        next_text: (state == OltTaskState::Done).then(|| what_comes(operation).to_owned()),
        actor: task.actor.clone(),
        facts: serde_json::json!({ "task": id }),
        ..Default::default()
    };
    timeline::append(tx, &entry).await?;
    Ok(follows)
}

/// The word that names an operation in codes.
fn verb(operation: &Operation) -> &'static str {
    match operation {
        Operation::Authorise(_) => "authorise",
        Operation::Deauthorise(_) => "remove",
        Operation::Move(_) => "move",
        Operation::Replace(_) => "replace",
    }
}

/// What happens after an operation that is done.
fn what_comes(operation: &Operation) -> &'static str {
    match operation {
        Operation::Authorise(_) | Operation::Replace(_) => {
            "Its CPE gets a management address from the OLT and should inform within minutes."
        }
        Operation::Deauthorise(_) => "While it has light, the OLT lists it among the detected ones again.",
        Operation::Move(_) => "Its CPE keeps its settings and should inform again within minutes.",
    }
}

/// A service that waited for another serial number, of the ONU before or of one that was taken off long ago, waits for
/// the one that it has.
async fn expect_instead(tx: &Tx, service: ServiceId, new: Serial) -> Result<(), StoreError> {
    let row: rows::Service = tx.require(service).await?;
    if row.expected_serial.is_some_and(|expected| expected != new) {
        let row = rows::Service { expected_serial: Some(new), ..row };
        tx.update(&row).await?.or_overtaken("the service")?;
    }
    Ok(())
}

/// A service that waits for an ONU that has become another's waits for it no longer: two services that name one serial number
/// would keep its CPE from both.
async fn expected_no_longer(
    tx: &Tx,
    service: ServiceId,
    serial: Serial,
    actor: &str,
    now: UtcMs,
) -> Result<(), StoreError> {
    let mine: rows::Service = tx.require(service).await?;
    for other in services::for_serial(tx, serial).await? {
        if other.id == service || other.expected_serial != Some(serial) {
            continue;
        }
        let row = rows::Service { expected_serial: None, ..other.clone() };
        tx.update(&row).await?.or_overtaken("the service")?;
        let entry = rows::TimelineEntry {
            at: now,
            kind: "service".into(),
            service_id: Some(other.id),
            severity: store::Severity::Warn,
            code: "expectation_dropped".into(),
            text: format!("Waits for {serial} no longer: it was authorised for service {}.", mine.code),
            actor: actor.to_owned(),
            facts: serde_json::json!({ "serial": serial.hex16(), "service": service }),
            ..Default::default()
        };
        timeline::append(tx, &entry).await?;
    }
    Ok(())
}

/// The planned ONU, as read back from the OLT.
async fn place_onu(
    tx: &Tx,
    task: &rows::OltTask,
    spec: &AuthoriseSpec,
    given: serde_json::Value,
    report: &Report,
    now: UtcMs,
) -> Result<types::OnuRowId, StoreError> {
    let (pon, onu_id) = (report.onu.pon, i64::from(report.onu.onu_id));
    if let Some(stale) = onus::by_place(tx, task.olt_id, pon, onu_id).await?
        && stale.serial != task.serial
    {
        // The OLT has just shown that this place holds our ONU; whatever we thought was there is not.
        onus::remove(tx, stale.id, now).await?.or_overtaken("the ONU that was there")?;
        let entry = rows::TimelineEntry {
            at: now,
            kind: "task".into(),
            olt_id: Some(task.olt_id),
            onu_row_id: Some(stale.id),
            service_id: stale.service_id,
            severity: store::Severity::Bad,
            code: "onu_displaced".into(),
            text: format!(
                "{} is not at {} any more: the OLT was read back with {} there. Its service has no ONU now.",
                stale.serial, report.onu, task.serial
            ),
            actor: "system:oms".into(),
            facts: serde_json::json!({ "task": task.id, "serial": stale.serial.hex16() }),
            ..Default::default()
        };
        timeline::append(tx, &entry).await?;
    }
    let observation = onus::OnuObservation {
        presence: presence(report.run_state),
        run_state: run_word(report.run_state).to_owned(),
        last_down_cause: None,
        rx_onu_cdbm: None,
        rx_olt_cdbm: None,
        distance_m: None,
        observed: Some(serde_json::json!({
            "config_state": report.config_state, "match_state": report.match_state,
            "service_ports": report.service_port_indexes, "remarks": report.remarks,
        })),
        at: now,
    };
    let wanted = |onu: rows::Onu| rows::Onu {
        description: spec.description.chars().take(64).collect(),
        sync_state: SyncState::InSync,
        line_profile_id: Some(i64::from(spec.line_profile_id)),
        service_profile_id: Some(i64::from(spec.service_profile_id)),
        desired: given.clone(),
        task_id: Some(task.id),
        authorised_at: Some(now),
        ..onu
    };
    let row = match onus::by_serial(tx, task.serial).await? {
        Some(old) if old.olt_id == task.olt_id => {
            let moved = old.pon != pon;
            let row = wanted(rows::Onu { pon, onu_id, ..old });
            tx.update(&row).await?.or_overtaken("the ONU")?;
            if moved {
                onus::forget_light(tx, row.id).await?;
            }
            row.id
        }
        Some(_) | None => {
            tx.insert(&wanted(rows::Onu::planned(task.olt_id, pon, onu_id, task.serial, now))).await?
        }
    };
    onus::observe(tx, row, observation).await?;
    tasks::set_onu(tx, task.id, row).await?;
    Ok(row)
}

/// A row for the CPE that should speak to us soon, so that its absence can be seen too.
async fn expect_cpe(
    tx: &Tx,
    service: types::ServiceId,
    serial: Serial,
    now: UtcMs,
) -> Result<Option<CpeId>, StoreError> {
    let row: rows::Service = tx.require(service).await?;
    if row.cpe_id.is_some() || !cpes::by_pon_serial(tx, serial).await?.is_empty() {
        return Ok(None);
    }
    let placeholder = rows::Cpe {
        serial_number: serial.hex16(),
        pon_serial: Some(serial),
        state: provisioning::State::Discovered.as_str().to_owned(),
        state_since: now,
        reason_code: "onu_known".into(),
        reason_text: "Authorised; its CPE has not spoken to us yet.".into(),
        created_at: now,
        ..Default::default()
    };
    let id = tx.insert(&placeholder).await?;
    services::link_cpe(tx, service, Some(id)).await?;
    Ok(Some(id))
}
