//! What people do to orders on OLTs: cancel one of which nothing was sent, give up one that cannot go on, let it go on after
//! all, and close it when the OLT was put right by hand. Nothing of this sends anything to an OLT.

use super::{journal::TaskJournal, saves::mark_unsaved};
use crate::{Actor, App, AppError, Change, Permission};
use olt::{
    dialect::Dialect,
    saga::{TaskRecord, TaskState},
};
use store::{
    DetectedState, Guarded, OltTaskState, Severity, Slot, StoreError, SyncState, Tx, detected, onus, rows,
    tasks, timeline,
};
use types::{OltTaskId, Secret};

/// Characters kept of why a task stands where it stands; the lines that are left are kept in full beside it.
const LONGEST_REASON: usize = 2000;

/// The step of a task that was left on the way, and may be let go on.
pub(super) const GIVEN_UP: &str = "given_up";

impl App {
    /// Cancels an order of which nothing was sent. OLT, ONU, service and CPE are as before.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Conflict`] when it has begun, or is over.
    pub async fn cancel_task(&self, actor: &Actor, id: OltTaskId) -> Result<(), AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let task: rows::OltTask = self.found(id, "task").await?;
        if task.state != OltTaskState::Pending {
            return Err(AppError::Conflict(format!(
                "Task {id} is {}; only one of which nothing was sent is cancelled.{}",
                task.state,
                if task.finished_at.is_none() { " Give it up, if it cannot go on." } else { "" }
            )));
        }
        let reason = format!("Cancelled by {} before anything was sent.", actor.label());
        let entry = entry(self, actor, &task, Severity::Info, "task_cancelled", reason.clone());
        let audit = self.audit_row(
            actor,
            "task.cancel",
            &format!("task:{id}"),
            Some(serde_json::json!({ "kind": task.kind, "serial": task.serial.hex16(), "reason": task.reason })),
            None,
        );
        let (now, at) = (self.now(), task.clone());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let cancelled = tasks::TaskMove {
                        from: OltTaskState::Pending,
                        to: OltTaskState::Cancelled,
                        step: "",
                        reason: &reason,
                    };
                    tasks::transition(tx, id, cancelled, now).await?.or_overtaken("the task")?;
                    waits_again(tx, &at).await?;
                    timeline::append(tx, &entry).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.told_of(&task);
        Ok(())
    }

    /// Gives up a task that was begun: nothing more is sent by itself, and the exact lines are named that lead back, or, of
    /// a removal, to its end. ONU, service and CPE stay as they are known, until the OLT was read back again.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Conflict`] when it has not begun, waits for somebody already, or is over.
    pub async fn give_up_task(&self, actor: &Actor, id: OltTaskId) -> Result<(), AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let task: rows::OltTask = self.found(id, "task").await?;
        match task.state {
            OltTaskState::Applying | OltTaskState::Verifying | OltTaskState::Compensating => {}
            OltTaskState::Pending => {
                return Err(AppError::Conflict(format!(
                    "Nothing of task {id} was sent yet; cancel it instead."
                )));
            }
            OltTaskState::NeedsOperator
            | OltTaskState::Done
            | OltTaskState::Undone
            | OltTaskState::Refused
            | OltTaskState::Cancelled => {
                return Err(AppError::Conflict(format!(
                    "Task {id} is {}; only one that goes on by itself is given up.",
                    task.state
                )));
            }
        }
        let olt: rows::Olt = self.found(task.olt_id, "OLT").await?;
        let dialect = Dialect::builtin(&olt.vendor_profile).map_err(|error| {
            AppError::Conflict(format!("The CLI profile {} cannot be used: {error}", olt.vendor_profile))
        })?;
        let label = actor.label();
        let told = entry(
            self,
            actor,
            &task,
            Severity::Bad,
            "task_given_up",
            format!("Given up by {label}: nothing more is sent to {} for it by itself.", olt.name),
        );
        let audit = self.audit_row(actor, "task.give_up", &format!("task:{id}"), None, None);
        let (now, at) = (self.now(), task.clone());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let row: rows::OltTask = tx.require(id).await?;
                    let before = row.reason.clone();
                    // First the row, so that whoever carries it on waits and then sees it given up.
                    let given_up = tasks::TaskMove {
                        from: at.state,
                        to: OltTaskState::NeedsOperator,
                        step: GIVEN_UP,
                        reason: "",
                    };
                    tasks::transition(tx, id, given_up, now).await?.or_overtaken("the task")?;
                    let record = record_of(tx.secret(Slot::TaskJournal(id)).await?, id)?;
                    if matches!(record.state, TaskState::Finished { .. }) {
                        return Err(AppError::Conflict(format!(
                            "Task {id} has come to its end on the OLT and is being recorded; look again in a moment."
                        )));
                    }
                    let left = olt::saga::lines_left(&record, &dialect);
                    let reason = format!(
                        "Given up by {label}; nothing more is sent by itself. Which of the lines left are still needed is \
                         to be looked up on the OLT first. Before: {before}"
                    );
                    let reason: String = reason.chars().take(LONGEST_REASON).collect();
                    let stays = tasks::TaskMove {
                        from: OltTaskState::NeedsOperator,
                        to: OltTaskState::NeedsOperator,
                        step: GIVEN_UP,
                        reason: &reason,
                    };
                    tasks::transition(tx, id, stays, now).await?.or_overtaken("the task")?;
                    tasks::set_lines_left(tx, id, &left).await?;
                    mark_sync(tx, &row, |state| state != SyncState::Failed, SyncState::Failed).await?;
                    mark_unsaved(tx, row.olt_id, now).await?;
                    timeline::append(tx, &told).await?;
                    let (before, after) = (serde_json::json!({ "state": at.state, "reason": before }), serde_json::json!({ "lines_left": left }));
                    tx.insert(&rows::AuditEntry { before: Some(before), after: Some(after), ..audit }).await?;
                    Ok(())
                })
            })
            .await?;
        self.told_of(&task);
        Ok(())
    }

    /// Lets a task go on at once: one that waits for its next try, or one that was given up and whose OLT answers again. It
    /// goes on from reading back.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Conflict`] when it is over, or came to an end that a person has to put right.
    pub async fn resume_task(&self, actor: &Actor, id: OltTaskId) -> Result<(), AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let task: rows::OltTask = self.found(id, "task").await?;
        if task.finished_at.is_some() {
            return Err(AppError::Conflict(format!("Task {id} is {}; it is over.", task.state)));
        }
        let told = entry(
            self,
            actor,
            &task,
            Severity::Info,
            "task_resumed",
            format!("Told by {} to go on now.", actor.label()),
        );
        let audit = self.audit_row(
            actor,
            "task.resume",
            &format!("task:{id}"),
            Some(serde_json::json!({ "state": task.state, "reason": task.reason, "tries": task.tries })),
            None,
        );
        let now = self.now();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let row: rows::OltTask = tx.require(id).await?;
                    if row.state == OltTaskState::NeedsOperator {
                        let record = record_of(tx.secret(Slot::TaskJournal(id)).await?, id)?;
                        if matches!(record.state, TaskState::Finished { .. }) {
                            return Err(AppError::Conflict(format!(
                                "Task {id} has come to its end and left something that Lightkeeper may not change. Put \
                                 it right on the OLT and close it."
                            )));
                        }
                        let (to, step, reason) = TaskJournal::words(&record);
                        let on = tasks::TaskMove {
                            from: OltTaskState::NeedsOperator,
                            to,
                            step: &step,
                            reason: &reason,
                        };
                        tasks::transition(tx, id, on, now).await?.or_overtaken("the task")?;
                        tasks::set_lines_left(tx, id, &[]).await?;
                    }
                    tasks::try_now(tx, id).await?.or_overtaken("the task")?;
                    timeline::append(tx, &told).await?;
                    tx.insert(&audit).await?;
                    Ok(())
                })
            })
            .await?;
        self.told_of(&task);
        self.wake_olts();
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
        let reason = format!("Closed by {}. Before: {}", actor.label(), task.reason);
        let reason: String = reason.chars().take(LONGEST_REASON).collect();
        let text = format!(
            "Task {id} on {} closed by hand; what is on the OLT is as somebody left it.",
            task.serial
        );
        let told = entry(self, actor, &task, Severity::Info, "task_closed", text);
        let before = serde_json::json!({ "reason": task.reason, "lines_left": task.lines_left });
        let audit = self.audit_row(actor, "task.close", &format!("task:{id}"), Some(before), None);
        let at = task.clone();
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
                    // How it stands on the OLT is not known before somebody looks.
                    mark_sync(tx, &at, |state| state == SyncState::Failed, SyncState::Unknown).await?;
                    // Whoever put it right may not have saved it.
                    mark_unsaved(tx, at.olt_id, now).await?;
                    waits_again(tx, &at).await?;
                    timeline::append(tx, &told).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.told_of(&task);
        Ok(())
    }

    fn told_of(&self, task: &rows::OltTask) {
        self.bus().say(Change::Task(task.id));
        self.bus().say(Change::Detected(task.olt_id));
        if let Some(onu) = task.onu_row_id {
            self.bus().say(Change::Onu(onu));
        }
        if let Some(service) = task.service_id {
            self.bus().say(Change::Service(service));
        }
    }
}

fn entry(
    app: &App,
    actor: &Actor,
    task: &rows::OltTask,
    severity: Severity,
    code: &str,
    text: String,
) -> rows::TimelineEntry {
    rows::TimelineEntry {
        at: app.now(),
        kind: "task".into(),
        olt_id: Some(task.olt_id),
        onu_row_id: task.onu_row_id,
        service_id: task.service_id,
        severity,
        code: code.into(),
        text,
        actor: actor.label(),
        facts: serde_json::json!({ "task": task.id, "serial": task.serial.hex16() }),
        ..Default::default()
    }
}

fn record_of(text: Option<Secret>, task: OltTaskId) -> Result<TaskRecord, AppError> {
    let text = text.ok_or_else(|| AppError::Conflict(format!("Task {task} was never begun; close it.")))?;
    serde_json::from_str(text.expose())
        .map_err(|error| AppError::Internal(format!("the journal of task {task} cannot be read: {error}")))
}

/// The ONU that was to come waits to be authorised again. If it waits no longer, the next look at the OLT says so.
async fn waits_again(tx: &Tx, task: &rows::OltTask) -> Result<(), StoreError> {
    if let Some(seen) = detected::by_serial(tx, task.olt_id, task.serial).await? {
        let _moved: Guarded =
            detected::transition(tx, seen.id, DetectedState::Authorising, DetectedState::Waiting).await?;
    }
    Ok(())
}

async fn mark_sync(
    tx: &Tx,
    task: &rows::OltTask,
    which: impl Fn(SyncState) -> bool,
    to: SyncState,
) -> Result<(), StoreError> {
    if let Some(onu) = task.onu_row_id
        && let Some(row) = tx.get::<rows::Onu>(onu).await?
        && row.removed_at.is_none()
        && which(row.sync_state)
    {
        let _noted: Guarded = onus::transition_sync(tx, onu, row.sync_state, to).await?;
    }
    Ok(())
}
