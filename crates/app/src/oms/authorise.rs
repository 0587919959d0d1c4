//! Authorising a detected ONU: OLT and database change together or not at all.
//!
//! The task row is made first; a second task on the same ONU is refused by the database. The saga journals itself into
//! that row. When it has ended, one unit of work records the end and everything that follows from it. A process that
//! dies anywhere in between goes on from the journal.

use super::{
    AuthoriseRequest, DryCheck, DryLine, DryRun, OltDefaults,
    journal::{TaskJournal, ended},
    registry::OltLine,
    saves::mark_unsaved,
    spec::{ForService, authorise_spec, internet_port},
};
use crate::{Actor, App, AppError, Change, Permission};
use olt::{
    plan::{AuthoriseSpec, Operation},
    saga::{Outcome, Report, SagaError},
};
use provisioning::Event;
use std::collections::BTreeSet;
use store::{
    DetectedState, Guarded, OltTaskState, Presence, ServiceState, StoreError, SyncState, Tx, cpes, detected,
    leases::{self, Lease},
    onus, rows, services, tasks, timeline,
};
use types::{CpeId, OltTaskId, Serial, UtcMs};

/// The kind of these tasks.
const AUTHORISE: &str = "authorise_onu";

/// Everything a request refers to.
struct Wish {
    olt: rows::Olt,
    service: Option<(rows::Service, rows::Plan, rows::Customer)>,
    /// The user side of the service port comes from the model, not from a person.
    untagged_by_model: Option<String>,
    spec: AuthoriseSpec,
}

impl App {
    async fn wish(&self, request: &AuthoriseRequest) -> Result<Wish, AppError> {
        request.check()?;
        let olt: rows::Olt = self.found(request.olt_id, "OLT").await?;
        if olt.admin_state != store::AdminState::Enabled {
            return Err(AppError::Conflict(format!(
                "{} is disabled; nobody speaks to it. Enable it first.",
                olt.name
            )));
        }
        let defaults: OltDefaults = serde_json::from_value(olt.defaults.clone()).map_err(|error| {
            AppError::Conflict(format!("The defaults of {} cannot be used: {error}", olt.name))
        })?;
        let service = match request.service_id {
            Some(id) => Some(self.found::<rows::Service>(id, "service").await?),
            None => {
                let mut waiting = services::for_serial(self.store(), request.serial).await?;
                if waiting.len() > 1 {
                    let codes: Vec<_> = waiting.iter().map(|s| s.code.as_str()).collect();
                    return Err(AppError::Conflict(format!(
                        "{} services name {}: {}. Say which one it is.",
                        waiting.len(),
                        request.serial,
                        codes.join(", ")
                    )));
                }
                waiting.pop()
            }
        };
        if let Some(service) = &service {
            if service.state == ServiceState::Terminated {
                return Err(AppError::Conflict(format!("Service {} is terminated.", service.code)));
            }
            if let Some(other) = service.onu_id {
                let other: rows::Onu = self.found(other, "ONU").await?;
                if other.serial != request.serial && other.removed_at.is_none() {
                    return Err(AppError::Conflict(format!(
                        "Service {} is on ONU {} already ({}); replace that one instead.",
                        service.code, other.serial, other.pon
                    )));
                }
            }
        }
        let service = match service {
            Some(service) => {
                let plan = self.found(service.plan_id, "plan").await?;
                let customer = self.found(service.customer_id, "customer").await?;
                Some((service, plan, customer))
            }
            None => None,
        };
        let vlan = match &service {
            Some((service, ..)) => {
                self.intents_of(Some(service.id)).await?.unwrap_or_default().internet.and_then(|i| i.vlan)
            }
            None => None,
        };
        let seen = detected::by_serial(self.store(), olt.id, request.serial).await?;
        let model = seen.map(|seen| seen.equipment_id).unwrap_or_default();
        let of =
            service.as_ref().map(|(service, plan, customer)| ForService { service, plan, customer, vlan });
        let spec = authorise_spec(request, &defaults, of, &model, BTreeSet::new());
        if spec.service_ports.first().is_some_and(|port| port.vlan == defaults.management_vlan) {
            return Err(AppError::invalid(
                "internet_vlan",
                format!(
                    "{} is the management VLAN of {}; a customer's traffic never goes there.",
                    defaults.management_vlan, olt.name
                ),
            ));
        }
        let untagged = internet_port(&spec).is_some_and(|port| port.user_vlan.is_none());
        let untagged_by_model = (untagged && request.untagged.is_none()).then_some(model);
        Ok(Wish { olt, service, untagged_by_model, spec })
    }

    /// What an authorisation would send, line by line. Reads from the OLT, writes nothing.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] when the OLT does not answer.
    pub async fn dry_run_authorise(
        &self,
        actor: &Actor,
        request: &AuthoriseRequest,
    ) -> Result<DryRun, AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let wish = self.wish(request).await?;
        let line = self.olt_line(&wish.olt).await?;
        let question = line.handle.dry_run(Operation::Authorise(wish.spec));
        let planned = self.ask_now(&wish.olt, &line.handle, question).await?.map_err(|error| {
            AppError::Unavailable(format!(
                "{} could not be asked: {error}. Nothing was sent to it.",
                wish.olt.name
            ))
        })?;
        let mut checks = Vec::new();
        if let Some(other) = onus::by_serial(self.store(), request.serial).await?
            && other.olt_id != request.olt_id
        {
            let place: rows::Olt = self.found(other.olt_id, "OLT").await?;
            let text = format!("{} is authorised on {} {} already", request.serial, place.name, other.pon);
            checks.push(DryCheck { text, status: "bad".into() });
        }
        if let Some((service, plan, customer)) = &wish.service {
            let text = format!("service {} ({}, {}) gets this ONU", service.code, customer.name, plan.name);
            checks.push(DryCheck { text, status: "ok".into() });
        } else {
            let text = "no service is given: the ONU is registered, its CPE stays in quarantine".to_owned();
            checks.push(DryCheck { text, status: "warn".into() });
        }
        if let Some(model) = &wish.untagged_by_model {
            let text =
                format!("{model} has no VLAN setting by the defaults of this OLT: the OLT tags for it");
            checks.push(DryCheck { text, status: "ok".into() });
        }
        let plan = match planned {
            Ok(plan) => plan,
            Err(refusal) => {
                checks.push(DryCheck { text: refusal.to_string(), status: "bad".into() });
                return Ok(DryRun { onu_id: 0, lines: Vec::new(), checks });
            }
        };
        checks.extend(
            plan.prechecks.iter().map(|check| DryCheck { text: check.to_string(), status: "ok".into() }),
        );
        let dialect = line.handle.dialect();
        let sent = plan.sent(dialect).into_iter();
        let mut lines: Vec<DryLine> = sent
            .map(|line| DryLine {
                text: line.text,
                kind: if line.changes { "add" } else { "move" }.to_owned(),
            })
            .collect();
        lines.extend(plan.verify.iter().map(|c| DryLine { text: c.to_string(), kind: "read".into() }));
        if plan.already {
            let text = format!("{} is as wanted already; nothing would be sent", plan.onu);
            checks.push(DryCheck { text, status: "ok".into() });
        }
        tracing::debug!(olt = %wish.olt.name, dialect = %dialect.name, lines = lines.len(), "dry run");
        Ok(DryRun { onu_id: plan.onu.onu_id, lines, checks })
    }

    /// Orders an authorisation. The task is carried out in the background; its row is the truth about it.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when the ONU is authorised already, or somebody else is doing it right now.
    pub async fn authorise_onu(
        &self,
        actor: &Actor,
        request: &AuthoriseRequest,
    ) -> Result<OltTaskId, AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let wish = self.wish(request).await?;
        let serial = request.serial;
        if let Some(other) = onus::by_serial(self.store(), serial).await? {
            let place: rows::Olt = self.found(other.olt_id, "OLT").await?;
            return Err(AppError::Conflict(format!(
                "{serial} is authorised already: {} {} ONU {}.",
                place.name, other.pon, other.onu_id
            )));
        }
        let new = tasks::NewTask {
            kind: AUTHORISE.to_owned(),
            olt_id: wish.olt.id,
            service_id: wish.service.as_ref().map(|(service, ..)| service.id),
            serial,
            pon: request.pon,
            plan: serde_json::to_value(&wish.spec).map_err(|e| AppError::Internal(e.to_string()))?,
            actor: actor.label(),
            idempotency_key: None,
        };
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "task".into(),
            olt_id: Some(wish.olt.id),
            service_id: new.service_id,
            code: "authorise_ordered".into(),
            text: format!("Authorisation of {serial} on {} {} ordered.", wish.olt.name, request.pon),
            actor: actor.label(),
            facts: serde_json::json!({ "serial": serial.hex16(), "pon": request.pon.to_string() }),
            ..Default::default()
        };
        let audit =
            self.audit_row(actor, "onu.authorise", &format!("onu:{serial}"), None, Some(new.plan.clone()));
        let (olt, now) = (wish.olt.id, self.now());
        let task = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    // Another OLT may be at it: its unique index does not see ours.
                    let others = tasks::for_serial(tx, serial, 20).await?;
                    if let Some(open) = others.iter().find(|task| task.finished_at.is_none()) {
                        return Err(AppError::Conflict(format!(
                            "{} is authorising {serial} right now (task {}, {}).",
                            open.actor, open.id, open.reason
                        )));
                    }
                    if let Some(service) = new.service_id {
                        let open = tasks::unfinished(tx, 1_000).await?;
                        if let Some(open) = open.iter().find(|task| task.service_id == Some(service)) {
                            return Err(AppError::Conflict(format!(
                                "This service gets the ONU {} right now (task {} of {}).",
                                open.serial, open.id, open.actor
                            )));
                        }
                    }
                    let task = tasks::begin(tx, new, now).await?;
                    if let Some(seen) = detected::by_serial(tx, olt, serial).await? {
                        let _moved: Guarded = detected::transition(
                            tx,
                            seen.id,
                            DetectedState::Waiting,
                            DetectedState::Authorising,
                        )
                        .await?;
                    }
                    timeline::append(tx, &entry).await?;
                    tx.insert(&audit).await?;
                    Ok(task)
                })
            })
            .await
            .map_err(|error| match error {
                AppError::Store(StoreError::Duplicate { .. }) => {
                    AppError::Conflict(format!("Somebody else is authorising {serial} right now."))
                }
                other => other,
            })?;
        self.bus().say(Change::Task(task));
        self.bus().say(Change::Detected(request.olt_id));
        self.wake_olts();
        Ok(task)
    }

    /// Carries a task on from wherever it is, to its end if the OLT lets us. False: it is to be tried again.
    pub(crate) async fn carry_on(&self, task: rows::OltTask) -> Result<bool, AppError> {
        let olt: rows::Olt = self.found(task.olt_id, "OLT").await?;
        let Some(lease) = self.lease_on(olt.id) else { return Ok(false) };
        let line = self.olt_line(&olt).await?;
        let handle = line.handle.under(self.leave_under(&lease));
        let journal = || Box::new(TaskJournal::new(self.clone(), lease.clone(), task.id, line.tape.clone()));
        let begun = task.journal_sealed.is_some();
        let result = if begun {
            handle.resume(journal()).await
        } else {
            let spec: AuthoriseSpec = serde_json::from_value(task.plan.clone())
                .map_err(|error| AppError::Internal(format!("task {} cannot be read: {error}", task.id)))?;
            handle.execute(Operation::Authorise(spec), journal()).await.map(Some)
        };
        line.tape.stop();
        match result {
            Ok(Some(outcome)) => {
                self.record_outcome(&olt, task.id, outcome, &line, lease).await.map(|()| true)
            }
            Ok(None) => Err(AppError::Internal(format!("task {} has lost its journal", task.id))),
            Err(error) => self.interrupted(&olt, &task, error, lease).await.map(|()| false),
        }
    }

    /// The OLT or the database does not let a task go on now. It stays open and is tried again.
    async fn interrupted(
        &self,
        olt: &rows::Olt,
        task: &rows::OltTask,
        error: SagaError,
        lease: Lease,
    ) -> Result<(), AppError> {
        let text = match &error {
            SagaError::NotStarted(why) => {
                format!(
                    "{} could not be used, nothing was sent: {why}. It is tried again by itself.",
                    olt.name
                )
            }
            SagaError::Interrupted(why) => {
                format!(
                    "Interrupted: {why}. It goes on by itself from reading back when {} answers.",
                    olt.name
                )
            }
            SagaError::Journal(why) => format!("{why}. It goes on by itself."),
        };
        tracing::warn!(task = %task.id, olt = %olt.name, %error, "a task is interrupted");
        let (id, now) = (task.id, self.now());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    let row: rows::OltTask = tx.require(id).await?;
                    let stay =
                        tasks::TaskMove { from: row.state, to: row.state, step: &row.step, reason: &text };
                    // Overtaken: somebody else says how it stands.
                    let _stays: Guarded = tasks::transition(tx, id, stay, now).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Task(id));
        Ok(())
    }

    /// Closes a task that needed somebody, after somebody has put the OLT right. Nothing is sent to the OLT; the ONU may
    /// be ordered again then, and is looked at afresh.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Conflict`] when the task does not wait for anybody.
    pub async fn close_task(&self, actor: &Actor, id: OltTaskId) -> Result<(), AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let task: rows::OltTask = self.found(id, "task").await?;
        if task.state != OltTaskState::NeedsOperator {
            return Err(AppError::Conflict(format!(
                "Task {id} is {}; only one that needs somebody is closed by hand.",
                task.state
            )));
        }
        let now = self.now();
        let reason: String =
            format!("Closed by {}. Before: {}", actor.label(), task.reason).chars().take(2000).collect();
        let entry = rows::TimelineEntry {
            at: now,
            kind: "task".into(),
            olt_id: Some(task.olt_id),
            service_id: task.service_id,
            code: "task_closed".into(),
            text: format!(
                "Task {id} on {} closed by hand; what is on the OLT is as somebody left it.",
                task.serial
            ),
            actor: actor.label(),
            facts: serde_json::json!({ "task": id }),
            ..Default::default()
        };
        let audit = self.audit_row(actor, "task.close", &format!("task:{id}"), None, None);
        let (olt, serial) = (task.olt_id, task.serial);
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let closed = tasks::TaskMove {
                        from: OltTaskState::NeedsOperator,
                        to: OltTaskState::Undone,
                        step: "",
                        reason: &reason,
                    };
                    tasks::transition(tx, id, closed, now).await?.or_overtaken("the task")?;
                    if let Some(seen) = detected::by_serial(tx, olt, serial).await? {
                        // If it waits no longer, the next look says so.
                        let _moved: Guarded = detected::transition(
                            tx,
                            seen.id,
                            DetectedState::Authorising,
                            DetectedState::Waiting,
                        )
                        .await?;
                    }
                    timeline::append(tx, &entry).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Task(id));
        self.bus().say(Change::Detected(olt));
        Ok(())
    }

    async fn record_outcome(
        &self,
        olt: &rows::Olt,
        id: OltTaskId,
        outcome: Outcome,
        line: &OltLine,
        lease: Lease,
    ) -> Result<(), AppError> {
        let now = self.now();
        let (olt, lines) = (olt.clone(), line.tape.take(id, now));
        let needs_save = matches!(&outcome, Outcome::Done(report) if report.needs_save)
            || matches!(outcome, Outcome::Undone { .. });
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
                    record(&app, tx, &olt, id, &outcome, now).await
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
        if let Some(cpe) = follows.expected {
            self.feed(cpe, Event::OnuKnown).await?;
        }
        self.intent_changed(follows.told_otherwise).await?;
        tracing::info!(task = %id, olt = %olt_name, "task ended");
        Ok(())
    }
}

/// Machines that must hear of the end of a task.
#[derive(Debug, Default)]
struct Follows {
    /// The CPE that is expected now.
    expected: Option<CpeId>,
    /// A CPE that is there already and whose service wants something else now.
    told_otherwise: Option<CpeId>,
}

/// The end of a task and everything that follows from it, in one unit.
async fn record(
    app: &App,
    tx: &Tx,
    olt: &rows::Olt,
    id: OltTaskId,
    outcome: &Outcome,
    now: UtcMs,
) -> Result<Follows, AppError> {
    let task: rows::OltTask = tx.require(id).await?;
    let (mut state, mut text) = ended(outcome);
    let mut follows = Follows::default();
    let mut onu = None;
    let elsewhere = onus::by_serial(tx, task.serial).await?.filter(|other| other.olt_id != task.olt_id);
    if let (Outcome::Done(report), Some(other)) = (outcome, &elsewhere) {
        state = OltTaskState::NeedsOperator;
        text = format!(
            "Needs an operator: registered as {} here, and the database has it on another OLT at {} ONU {}. One of the \
             two must go.",
            report.onu, other.pon, other.onu_id
        );
    } else if let Outcome::Done(report) = outcome {
        let row = place_onu(tx, &task, report, now).await?;
        onu = Some(row);
        if let Some(service) = task.service_id {
            services::link_onu(tx, service, Some(row)).await?;
            let spec: Option<AuthoriseSpec> = serde_json::from_value(task.plan.clone()).ok();
            if let Some(port) = spec.as_ref().and_then(internet_port) {
                follows.told_otherwise = app.agree_on_vlan(tx, service, port.user_vlan, &task.actor).await?;
            }
            follows.expected = expect_cpe(tx, service, task.serial, now).await?;
        }
    }
    if let Some(seen) = detected::by_serial(tx, task.olt_id, task.serial).await? {
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
    let ended = tasks::TaskMove { from: task.state, to: state, step: "", reason: &text };
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
        onu_row_id: onu,
        service_id: task.service_id,
        severity,
        code: format!("authorise_{}", state.as_str()),
        text: format!("{} on {} {}: {text}", task.serial, olt.name, task.pon),
        next_text: (state == OltTaskState::Done).then(|| {
            "Its CPE gets a management address from the OLT and should inform within minutes.".to_owned()
        }),
        actor: task.actor.clone(),
        facts: serde_json::json!({ "task": id }),
        ..Default::default()
    };
    timeline::append(tx, &entry).await?;
    Ok(follows)
}

/// The planned ONU, as read back from the OLT.
async fn place_onu(
    tx: &Tx,
    task: &rows::OltTask,
    report: &Report,
    now: UtcMs,
) -> Result<types::OnuRowId, StoreError> {
    let (pon, onu_id) = (report.onu.pon, i64::from(report.onu.onu_id));
    if let Some(stale) = onus::by_place(tx, task.olt_id, pon, onu_id).await?
        && stale.serial != task.serial
    {
        // The OLT has just shown that this place holds our ONU; whatever we thought was there is not.
        onus::remove(tx, stale.id, now).await?.or_overtaken("the ONU that was there")?;
    }
    let spec: Option<AuthoriseSpec> = serde_json::from_value(task.plan.clone()).ok();
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
        description: spec.as_ref().map(|s| s.description.chars().take(64).collect()).unwrap_or_default(),
        sync_state: SyncState::InSync,
        line_profile_id: spec.as_ref().map(|s| i64::from(s.line_profile_id)),
        service_profile_id: spec.as_ref().map(|s| i64::from(s.service_profile_id)),
        desired: task.plan.clone(),
        task_id: Some(task.id),
        authorised_at: Some(now),
        ..onu
    };
    let row = match onus::by_serial(tx, task.serial).await? {
        Some(old) if old.olt_id == task.olt_id => {
            let row = wanted(rows::Onu { pon, onu_id, ..old });
            tx.update(&row).await?.or_overtaken("the ONU")?;
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

pub(crate) fn presence(state: olt::model::RunState) -> Presence {
    match state {
        olt::model::RunState::Online => Presence::InService,
        olt::model::RunState::Offline => Presence::NotPresent,
        olt::model::RunState::Unknown => Presence::Unknown,
    }
}

pub(crate) fn run_word(state: olt::model::RunState) -> &'static str {
    match state {
        olt::model::RunState::Online => "online",
        olt::model::RunState::Offline => "offline",
        olt::model::RunState::Unknown => "unknown",
    }
}
