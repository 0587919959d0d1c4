//! The task row is the journal of what is done on an OLT: what will be done is stored before the first line, and how far it
//! is before each line.

use super::tape::Tape;
use crate::{App, Change};
use async_trait::async_trait;
use olt::{
    plan::{OnuRef, Operation},
    saga::{Journal, JournalError, Outcome, TaskRecord, TaskState},
};
use std::sync::Arc;
use store::{
    OltTaskState, Slot, StoreError, Tx,
    claims::{self, Claim},
    leases::{self, Lease},
    rows, tasks,
};
use types::{OltId, OltTaskId, Secret};

pub(crate) struct TaskJournal {
    app: App,
    olt: OltId,
    /// Under which the task is carried on; nothing is written without it.
    lease: Lease,
    task: OltTaskId,
    tape: Arc<Tape>,
    record: Option<TaskRecord>,
}

impl TaskJournal {
    pub(crate) fn new(app: App, lease: Lease, task: &rows::OltTask, tape: Arc<Tape>) -> Self {
        TaskJournal { app, olt: task.olt_id, lease, task: task.id, tape, record: None }
    }

    /// The words of a task's row for the state of its saga.
    pub(super) fn words(record: &TaskRecord) -> (OltTaskState, String, String) {
        let step =
            |position: &usize| record.plan.steps.get(*position).map(|s| s.id.clone()).unwrap_or_default();
        let total = record.plan.steps.len();
        match &record.state {
            TaskState::Planned => {
                (OltTaskState::Pending, String::new(), "Planned; nothing has been sent.".into())
            }
            TaskState::Removing => {
                (OltTaskState::Applying, "remove".into(), "The ONU is being taken off its place.".into())
            }
            TaskState::Applying { step: at } => {
                (OltTaskState::Applying, step(at), format!("Line {} of {total} is on its way.", at + 1))
            }
            TaskState::Applied { step: at } => {
                (OltTaskState::Applying, step(at), format!("Line {} of {total} took effect.", at + 1))
            }
            TaskState::Verifying => {
                (OltTaskState::Verifying, String::new(), "Reading back from the OLT.".into())
            }
            TaskState::Compensating { reason, .. } => {
                (OltTaskState::Compensating, String::new(), format!("Taking back what was sent: {reason}"))
            }
            TaskState::Restoring { reason } => (
                OltTaskState::Compensating,
                String::new(),
                format!("The ONU is being put back at its old place: {reason}"),
            ),
            // How it ended is written together with the ONU, by whoever ran the task.
            TaskState::Finished { .. } => {
                (OltTaskState::Verifying, String::new(), "Ended; being recorded.".into())
            }
        }
    }

    /// From here on the lines of this OLT belong to this task.
    async fn record_lines(&self) -> Result<(), JournalError> {
        let lines =
            tasks::lines(self.app.store(), self.task).await.map_err(|e| JournalError(e.to_string()))?;
        self.tape.start(lines.last().map_or(0, |line| line.seq));
        Ok(())
    }

    /// What a task has for itself from its first line on, beside what it was ordered with.
    fn places(&self, record: &TaskRecord) -> Vec<Claim> {
        let (olt, plan) = (self.olt, &record.plan);
        let place = |onu: OnuRef| Claim::Place { olt, pon: onu.pon, onu_id: i64::from(onu.onu_id) };
        let left = plan.operation.taken_off().map(|from| place(from.onu));
        std::iter::once(place(plan.onu)).chain(left).collect()
    }

    async fn put(&mut self, record: TaskRecord, first: bool) -> Result<(), JournalError> {
        let failed = |error: &dyn std::fmt::Display| JournalError(error.to_string());
        let text = serde_json::to_string(&record).map_err(|e| failed(&e))?;
        let (task, kept, now) = (self.task, record.clone(), self.app.now());
        let (lines, lease) = (self.tape.take(task, now), self.lease.clone());
        let places = if first { self.places(&record) } else { Vec::new() };
        self.app
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    if first {
                        begins(tx, task, &places).await?;
                    }
                    store_record(tx, task, &kept, text, lines, now).await
                })
            })
            .await
            .map_err(|e| failed(&e))?;
        self.record = Some(record);
        self.app.bus().say(Change::Task(self.task));
        Ok(())
    }
}

#[async_trait]
impl Journal for TaskJournal {
    async fn load(&mut self) -> Result<Option<TaskRecord>, JournalError> {
        let failed = |error: &dyn std::fmt::Display| JournalError(error.to_string());
        let text = self.app.store().secret(Slot::TaskJournal(self.task)).await.map_err(|e| failed(&e))?;
        let Some(text) = text else { return Ok(None) };
        let record: TaskRecord = serde_json::from_str(text.expose()).map_err(|e| failed(&e))?;
        self.record = Some(record.clone());
        self.record_lines().await?;
        Ok(Some(record))
    }

    async fn begin(&mut self, record: &TaskRecord) -> Result<(), JournalError> {
        self.record_lines().await?;
        self.put(record.clone(), true).await
    }

    async fn advance(&mut self, state: &TaskState) -> Result<(), JournalError> {
        let Some(record) = self.record.clone() else {
            return Err(JournalError("the task was advanced before it was begun".into()));
        };
        self.put(TaskRecord { state: state.clone(), ..record }, false).await
    }
}

/// A task is begun once, and has its places for itself from then on.
async fn begins(tx: &Tx, task: OltTaskId, places: &[Claim]) -> Result<(), StoreError> {
    let row: rows::OltTask = tx.require(task).await?;
    if row.journal_sealed.is_some() {
        let found = "it was begun by somebody else".to_owned();
        return Err(StoreError::Overtaken { what: "the task", found });
    }
    match claims::take(tx, task, places).await? {
        None => Ok(()),
        Some(other) => {
            let found = format!("task {} is at its place", other.id);
            Err(StoreError::Overtaken { what: "the place on the OLT", found })
        }
    }
}

async fn store_record(
    tx: &Tx,
    task: OltTaskId,
    record: &TaskRecord,
    text: String,
    lines: Vec<rows::OltTaskLine>,
    now: types::UtcMs,
) -> Result<(), store::StoreError> {
    let row: rows::OltTask = tx.require(task).await?;
    tx.put_secret(Slot::TaskJournal(task), Some(&Secret::new(text))).await?;
    if row.state == OltTaskState::NeedsOperator {
        let found = "it was given up".to_owned();
        return Err(StoreError::Overtaken { what: "the task", found });
    }
    let (state, step, reason) = TaskJournal::words(record);
    tasks::transition(
        tx,
        task,
        tasks::TaskMove { from: row.state, to: state, step: &step, reason: &reason },
        now,
    )
    .await?
    .or_overtaken("the task")?;
    for line in lines {
        tasks::journal_line(tx, line).await?;
    }
    Ok(())
}

/// How a saga ended, in the words of a task's row.
pub(crate) fn ended(operation: &Operation, outcome: &Outcome) -> (OltTaskState, String) {
    match outcome {
        Outcome::Done(report) => {
            let onu = report.onu;
            let mut text = match (operation, report.already) {
                (Operation::Deauthorise(_), true) => {
                    format!("Was no longer registered as {onu}; nothing was written")
                }
                (_, true) => format!("Was authorised as {onu} already; nothing was written"),
                (Operation::Authorise(_), false) => {
                    format!("Authorised as {onu} and read back from the OLT")
                }
                (Operation::Deauthorise(_), false) => {
                    format!("Taken off {onu} with its service ports; the OLT was read back without them")
                }
                (Operation::Move(spec), false) => {
                    format!("Moved from {} to {onu} and read back from the OLT", spec.from.onu)
                }
                (Operation::Replace(spec), false) => {
                    format!("Has the place of {} as {onu}, read back from the OLT", spec.from.serial)
                }
            };
            for remark in &report.remarks {
                text.push_str("; ");
                text.push_str(remark);
            }
            text.push('.');
            (OltTaskState::Done, text)
        }
        Outcome::Refused { refusal } => (OltTaskState::Refused, format!("Nothing was sent: {refusal}")),
        Outcome::Undone { reason } => (
            OltTaskState::Undone,
            format!("Failed and taken back completely, read back from the OLT: {reason}"),
        ),
        Outcome::NeedsOperator { reason, left } => (
            OltTaskState::NeedsOperator,
            format!("Needs an operator: {reason} Lines left to send: {}", left.join(" / ")),
        ),
    }
}
