//! Tasks on OLTs and their journals. The row is the truth about a task: whoever carries it on reads it first.

use crate::{
    claims,
    db::{Db, Tx},
    entities::{OltTask, OltTaskLine, olt_task_lines, olt_tasks},
    error::{Guarded, StoreError},
    record::{Change, rows, stored::Numbered},
    words::OltTaskState,
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, OnConflict},
};
use types::{OltId, OltTaskId, OnuRowId, PonPath, Serial, ServiceId, UtcMs};

/// What a task is begun with.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// What: `authorise_onu` …
    pub kind: String,
    /// OLT.
    pub olt_id: OltId,
    /// Service it is for.
    pub service_id: Option<ServiceId>,
    /// ONU.
    pub serial: Serial,
    /// Port.
    pub pon: PonPath,
    /// The plan for people, secrets masked.
    pub plan: serde_json::Value,
    /// Who asks.
    pub actor: String,
    /// Key of the request.
    pub idempotency_key: Option<String>,
}

/// Makes a pending task.
///
/// # Errors
/// [`StoreError::Duplicate`] while another task on the same ONU is open.
pub async fn begin(tx: &Tx, new: NewTask, now: UtcMs) -> Result<OltTaskId, StoreError> {
    tx.insert(&OltTask {
        id: OltTaskId(0),
        kind: new.kind,
        olt_id: new.olt_id,
        onu_row_id: None,
        service_id: new.service_id,
        serial: new.serial,
        pon: new.pon,
        state: OltTaskState::Pending,
        step: String::new(),
        plan: new.plan,
        journal_sealed: None,
        reason: String::new(),
        actor: new.actor,
        idempotency_key: new.idempotency_key,
        created_at: now,
        updated_at: now,
        finished_at: None,
        tries: 0,
        next_try_at: None,
        lines_left: serde_json::json!([]),
        version: 1,
    })
    .await
}

/// Where a task goes next.
#[derive(Debug, Clone)]
pub struct TaskMove<'a> {
    /// State it must be in.
    pub from: OltTaskState,
    /// State it gets.
    pub to: OltTaskState,
    /// Step it is at.
    pub step: &'a str,
    /// Why, for people.
    pub reason: &'a str,
}

/// Guarded change of state and step. A state in which nothing is left to do finishes the task, and what it had for itself
/// is free. A task that is finished stays as it is.
///
/// # Errors
/// When the database cannot be written.
pub async fn transition(
    tx: &Tx,
    task: OltTaskId,
    to: TaskMove<'_>,
    now: UtcMs,
) -> Result<Guarded, StoreError> {
    let finished = to.to.is_finished().then_some(now.0);
    let done = olt_tasks::Entity::update_many()
        .col_expr(olt_tasks::Column::State, Expr::value(to.to.as_str()))
        .col_expr(olt_tasks::Column::Step, Expr::value(to.step))
        .col_expr(olt_tasks::Column::Reason, Expr::value(to.reason))
        .col_expr(olt_tasks::Column::UpdatedAt, Expr::value(now.0))
        .col_expr(olt_tasks::Column::FinishedAt, Expr::value(finished))
        .col_expr(olt_tasks::Column::Version, Expr::col(olt_tasks::Column::Version).add(1))
        .filter(olt_tasks::Column::Id.eq(task.0))
        .filter(olt_tasks::Column::State.eq(to.from.as_str()))
        .filter(olt_tasks::Column::FinishedAt.is_null())
        .run(tx)
        .await?;
    if done > 0 {
        if finished.is_some() {
            claims::release(tx, task).await?;
        }
        return Ok(Guarded::Changed);
    }
    why_not(tx, task).await
}

/// Names the planned ONU that a task changes or made.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_onu(tx: &Tx, task: OltTaskId, onu: OnuRowId) -> Result<bool, StoreError> {
    let done = olt_tasks::Entity::update_many()
        .col_expr(olt_tasks::Column::OnuRowId, Expr::value(Some(onu.0)))
        .filter(olt_tasks::Column::Id.eq(task.0))
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// Tasks that are not finished and are not waiting for a person, oldest first: what a node carries on with.
///
/// # Errors
/// When the database cannot be read.
pub async fn unfinished(db: &Db, limit: u64) -> Result<Vec<OltTask>, StoreError> {
    db.find_all(
        olt_tasks::Entity::find()
            .filter(olt_tasks::Column::FinishedAt.is_null())
            .filter(olt_tasks::Column::State.ne(OltTaskState::NeedsOperator.as_str()))
            .order_by_asc(olt_tasks::Column::Id)
            .limit(limit),
    )
    .await
}

/// As [`unfinished`], of those that may be tried now: of each OLT the oldest, so that one on which much waits keeps no
/// other waiting.
///
/// # Errors
/// When the database cannot be read.
pub async fn due(db: &Db, now: UtcMs, per_olt: u64) -> Result<Vec<OltTask>, StoreError> {
    use olt_tasks::Column;
    let may = Condition::all()
        .add(Column::FinishedAt.is_null())
        .add(Column::State.ne(OltTaskState::NeedsOperator.as_str()))
        .add(Condition::any().add(Column::NextTryAt.is_null()).add(Column::NextTryAt.lte(now.0)));
    let olts = olt_tasks::Entity::find()
        .select_only()
        .column(Column::OltId)
        .distinct()
        .filter(may.clone())
        .order_by_asc(Column::OltId)
        .into_tuple::<i64>()
        .all(db)
        .await?;
    let mut out = Vec::new();
    for olt in olts {
        let found = olt_tasks::Entity::find()
            .filter(may.clone())
            .filter(Column::OltId.eq(olt))
            .order_by_asc(Column::Id)
            .limit(per_olt)
            .all(db)
            .await?;
        out.extend(rows::<OltTask>(found)?);
    }
    Ok(out)
}

/// How many tasks on an OLT are not finished, those included that wait for a person.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_on_olt(db: &Db, olt: OltId) -> Result<u64, StoreError> {
    let count: Option<i64> = olt_tasks::Entity::find()
        .select_only()
        .expr(olt_tasks::Column::Id.count())
        .filter(olt_tasks::Column::OltId.eq(olt.0))
        .filter(olt_tasks::Column::FinishedAt.is_null())
        .into_tuple()
        .one(db)
        .await?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
}

/// A try of a task was in vain: why, and when it is tried again. `from`: the state that it stays in.
///
/// # Errors
/// When the database cannot be written.
pub async fn postpone(
    tx: &Tx,
    task: OltTaskId,
    from: OltTaskState,
    until: UtcMs,
    reason: &str,
) -> Result<Guarded, StoreError> {
    use olt_tasks::Column;
    let done = olt_tasks::Entity::update_many()
        .col_expr(Column::Reason, Expr::value(reason))
        .col_expr(Column::NextTryAt, Expr::value(Some(until.0)))
        .col_expr(Column::Tries, Expr::col(Column::Tries).add(1))
        .col_expr(Column::UpdatedAt, Expr::value(tx.now().0))
        .col_expr(Column::Version, Expr::col(Column::Version).add(1))
        .filter(Column::Id.eq(task.0))
        .filter(Column::State.eq(from.as_str()))
        .filter(Column::FinishedAt.is_null())
        .run(tx)
        .await?;
    if done > 0 { Ok(Guarded::Changed) } else { why_not(tx, task).await }
}

/// No open task on an OLT is tried before then: it cannot be spoken to now, which is nobody's own fault.
///
/// # Errors
/// When the database cannot be written.
pub async fn hold_back(tx: &Tx, olt: OltId, until: UtcMs) -> Result<u64, StoreError> {
    use olt_tasks::Column;
    let earlier = Condition::any().add(Column::NextTryAt.is_null()).add(Column::NextTryAt.lt(until.0));
    let done = olt_tasks::Entity::update_many()
        .col_expr(Column::NextTryAt, Expr::value(Some(until.0)))
        .filter(Column::OltId.eq(olt.0))
        .filter(Column::FinishedAt.is_null())
        .filter(earlier)
        .run(tx)
        .await?;
    Ok(done)
}

/// The open tasks on an OLT are tried at once: it answers again. How often they were tried counts all the same.
///
/// # Errors
/// When the database cannot be written.
pub async fn try_all_now(tx: &Tx, olt: OltId) -> Result<u64, StoreError> {
    let done = olt_tasks::Entity::update_many()
        .col_expr(olt_tasks::Column::NextTryAt, Expr::value(None::<i64>))
        .filter(olt_tasks::Column::OltId.eq(olt.0))
        .filter(olt_tasks::Column::FinishedAt.is_null())
        .run(tx)
        .await?;
    Ok(done)
}

/// The open tasks on an OLT are tried at once, and counted from the beginning: somebody has changed what was in the way.
///
/// # Errors
/// When the database cannot be written.
pub async fn let_go_on(tx: &Tx, olt: OltId) -> Result<u64, StoreError> {
    use olt_tasks::Column;
    let done = olt_tasks::Entity::update_many()
        .col_expr(Column::NextTryAt, Expr::value(None::<i64>))
        .col_expr(Column::Tries, Expr::value(0))
        .filter(Column::OltId.eq(olt.0))
        .filter(Column::FinishedAt.is_null())
        .run(tx)
        .await?;
    Ok(done)
}

/// A task is tried at once, and counted from the beginning.
///
/// # Errors
/// When the database cannot be written.
pub async fn try_now(tx: &Tx, task: OltTaskId) -> Result<Guarded, StoreError> {
    use olt_tasks::Column;
    let done = olt_tasks::Entity::update_many()
        .col_expr(Column::NextTryAt, Expr::value(None::<i64>))
        .col_expr(Column::Tries, Expr::value(0))
        .filter(Column::Id.eq(task.0))
        .filter(Column::FinishedAt.is_null())
        .run(tx)
        .await?;
    if done > 0 { Ok(Guarded::Changed) } else { why_not(tx, task).await }
}

/// The lines that are left for a person to send.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_lines_left(tx: &Tx, task: OltTaskId, lines: &[String]) -> Result<(), StoreError> {
    olt_tasks::Entity::update_many()
        .col_expr(olt_tasks::Column::LinesLeft, Expr::value(serde_json::json!(lines).to_string()))
        .filter(olt_tasks::Column::Id.eq(task.0))
        .run(tx)
        .await?;
    Ok(())
}

async fn why_not(tx: &Tx, task: OltTaskId) -> Result<Guarded, StoreError> {
    Ok(match tx.get::<OltTask>(task).await? {
        Some(found) => Guarded::NotAsExpected { found: found.state.to_string() },
        None => Guarded::NotFound,
    })
}

/// Somebody is at work on the ONU with this serial, on any OLT: a task that is not finished and waits for no person.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_under_way(db: &Db, serial: Serial) -> Result<bool, StoreError> {
    let open = db
        .find_one::<OltTask>(
            Condition::all()
                .add(olt_tasks::Column::Serial.eq(serial.hex16()))
                .add(olt_tasks::Column::FinishedAt.is_null())
                .add(olt_tasks::Column::State.ne(OltTaskState::NeedsOperator.as_str())),
        )
        .await?;
    Ok(open.is_some())
}

/// The open task on an ONU.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_for(db: &Db, olt: OltId, serial: Serial) -> Result<Option<OltTask>, StoreError> {
    db.find_one(
        Condition::all()
            .add(olt_tasks::Column::OltId.eq(olt.0))
            .add(olt_tasks::Column::Serial.eq(serial.hex16()))
            .add(olt_tasks::Column::FinishedAt.is_null()),
    )
    .await
}

/// The open task that changes a planned ONU, if any.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_on(db: &Db, onu: OnuRowId) -> Result<Option<OltTask>, StoreError> {
    db.find_one(
        Condition::all()
            .add(olt_tasks::Column::OnuRowId.eq(onu.0))
            .add(olt_tasks::Column::FinishedAt.is_null()),
    )
    .await
}

/// Tasks about a serial, latest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn for_serial(db: &Db, serial: Serial, limit: u64) -> Result<Vec<OltTask>, StoreError> {
    db.find_all(
        olt_tasks::Entity::find()
            .filter(olt_tasks::Column::Serial.eq(serial.hex16()))
            .order_by_desc(olt_tasks::Column::Id)
            .limit(limit),
    )
    .await
}

/// Journals a line. Written before the line is sent (with an empty reply) and again when its reply is known; the
/// number makes the second write replace the first.
///
/// # Errors
/// [`StoreError::Dangling`] if there is no such task.
pub async fn journal_line(tx: &Tx, line: OltTaskLine) -> Result<(), StoreError> {
    use olt_task_lines::Column;
    olt_task_lines::Entity::insert(line.into_new())
        .on_conflict(
            OnConflict::columns([Column::TaskId, Column::Seq])
                .update_columns([Column::Line, Column::Reply, Column::Class, Column::At])
                .to_owned(),
        )
        .run(tx)
        .await?;
    Ok(())
}

/// The lines of a task, in order.
///
/// # Errors
/// When the database cannot be read.
pub async fn lines(db: &Db, task: OltTaskId) -> Result<Vec<OltTaskLine>, StoreError> {
    db.find_all(
        olt_task_lines::Entity::find()
            .filter(olt_task_lines::Column::TaskId.eq(task.0))
            .order_by_asc(olt_task_lines::Column::Seq),
    )
    .await
}
