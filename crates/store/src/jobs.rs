//! Jobs: work committed together with what caused it, done later by whichever node takes it.
//!
//! A worker leases a job, renews the lease while it works, and completes or fails it. A worker that dies lets its
//! lease run out, and another takes the job again: so a job must bear being run twice.

use crate::{
    db::{Db, Tx},
    entities::{Job, jobs},
    error::{Guarded, StoreError},
    leases,
    record::{Change, stored::Numbered},
    words::JobState,
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, LockBehavior, LockType, OnConflict},
};
use std::time::Duration;
use types::{JobId, UtcMs};

/// How often a job may be begun unless it says otherwise.
pub const DEFAULT_ATTEMPTS: i64 = 10;
/// An error text longer than this is cut.
const ERROR_LIMIT: usize = 2000;

/// A job to be.
#[derive(Debug, Clone, Default)]
pub struct NewJob {
    /// Which worker.
    pub kind: String,
    /// While a job of this kind with this key is open, no second one is made.
    pub key: Option<String>,
    /// What to do. No secrets.
    pub payload: serde_json::Value,
    /// Not before; zero means at once.
    pub run_at: UtcMs,
    /// How often it may be begun; zero means [`DEFAULT_ATTEMPTS`].
    pub max_attempts: i64,
}

/// What enqueueing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// A new job.
    New(JobId),
    /// One with the same key is open already; nothing was written.
    AlreadyOpen(JobId),
}

/// Enqueues a job; it exists when the unit does.
///
/// # Errors
/// When the database cannot be written.
pub async fn enqueue(tx: &Tx, new: &NewJob) -> Result<Enqueued, StoreError> {
    let job = Job {
        kind: new.kind.clone(),
        key: new.key.clone(),
        payload: new.payload.clone(),
        state: JobState::Queued,
        run_at: new.run_at,
        max_attempts: if new.max_attempts > 0 { new.max_attempts } else { DEFAULT_ATTEMPTS },
        created_at: tx.now(),
        ..Job::default()
    };
    let Some(key) = &new.key else {
        return tx.insert(&job).await.map(Enqueued::New);
    };
    if let Some(open) = open(tx, &new.kind, key).await? {
        return Ok(Enqueued::AlreadyOpen(open.id));
    }
    jobs::Entity::insert(job.into_new())
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .run(tx)
        .await?;
    // Ours, or that of a unit that committed since we looked.
    match open(tx, &new.kind, key).await? {
        Some(job) => Ok(Enqueued::New(job.id)),
        None => Err(StoreError::Conflict { why: "a job with the same key ended just now".to_owned() }),
    }
}

/// The open job with this key.
///
/// # Errors
/// When the database cannot be read.
pub async fn open(db: &Db, kind: &str, key: &str) -> Result<Option<Job>, StoreError> {
    db.find_one(
        Condition::all()
            .add(jobs::Column::Kind.eq(kind))
            .add(jobs::Column::Key.eq(key))
            .add(jobs::Column::FinishedAt.is_null()),
    )
    .await
}

/// Leases up to `limit` due jobs of these kinds to `owner`. A job whose lease ran out is due again; one that has been
/// begun as often as it may is given up instead.
///
/// # Errors
/// When the database cannot be written.
pub async fn lease(
    tx: &Tx,
    kinds: &[&str],
    owner: &str,
    lease_for: Duration,
    limit: u64,
) -> Result<Vec<Job>, StoreError> {
    use jobs::Column;
    let (now, lease_now) = (tx.now(), leases::now(tx).await?);
    let run_out = Condition::all()
        .add(Column::State.eq(JobState::Leased.as_str()))
        .add(Column::LeaseUntil.lt(lease_now.0));
    let free = Condition::any().add(Column::State.eq(JobState::Queued.as_str())).add(run_out);
    let mut due = jobs::Entity::find()
        .filter(Column::FinishedAt.is_null())
        .filter(Column::RunAt.lte(now.0))
        .filter(Column::Kind.is_in(kinds.iter().copied()))
        .filter(free)
        .order_by_asc(Column::RunAt)
        .order_by_asc(Column::Id)
        .limit(limit);
    if tx.is_postgres() {
        // Other nodes ask at the same moment; each takes what the others have not locked, and nobody waits.
        due = due.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    }
    let due: Vec<Job> = tx.db().find_all(due).await?;
    let (mut taken, spent): (Vec<Job>, Vec<Job>) =
        due.into_iter().partition(|job| job.attempts < job.max_attempts);
    if !spent.is_empty() {
        let error = Expr::col(Column::LastError).if_null("the worker vanished every time");
        jobs::Entity::update_many()
            .col_expr(Column::State, Expr::value(JobState::Dead.as_str()))
            .col_expr(Column::FinishedAt, Expr::value(Some(now.0)))
            .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
            .col_expr(Column::LastError, error)
            .filter(Column::Id.is_in(spent.iter().map(|job| job.id.0)))
            .run(tx)
            .await?;
    }
    if taken.is_empty() {
        return Ok(taken);
    }
    let until = lease_now.plus(lease_for);
    jobs::Entity::update_many()
        .col_expr(Column::State, Expr::value(JobState::Leased.as_str()))
        .col_expr(Column::LeaseOwner, Expr::value(Some(owner.to_owned())))
        .col_expr(Column::LeaseUntil, Expr::value(Some(until.0)))
        .col_expr(Column::Attempts, Expr::col(Column::Attempts).add(1))
        .filter(Column::Id.is_in(taken.iter().map(|job| job.id.0)))
        .run(tx)
        .await?;
    for job in &mut taken {
        job.state = JobState::Leased;
        job.lease_owner = Some(owner.to_owned());
        job.lease_until = Some(until);
        job.attempts += 1;
    }
    Ok(taken)
}

/// Makes a lease longer. Not any more the owner's: somebody else has the job, stop.
///
/// # Errors
/// When the database cannot be written.
pub async fn renew(tx: &Tx, job: JobId, owner: &str, lease_for: Duration) -> Result<Guarded, StoreError> {
    let until = leases::now(tx).await?.plus(lease_for);
    let done = jobs::Entity::update_many()
        .col_expr(jobs::Column::LeaseUntil, Expr::value(Some(until.0)))
        .filter(held(job, owner))
        .run(tx)
        .await?;
    if done > 0 { Ok(Guarded::Changed) } else { why_not(tx, job).await }
}

/// Completes a job. Write it in the same unit as what the job did, and it is done exactly once.
///
/// # Errors
/// When the database cannot be written.
pub async fn complete(tx: &Tx, job: JobId, owner: &str) -> Result<Guarded, StoreError> {
    let done = jobs::Entity::update_many()
        .col_expr(jobs::Column::State, Expr::value(JobState::Done.as_str()))
        .col_expr(jobs::Column::FinishedAt, Expr::value(Some(tx.now().0)))
        .col_expr(jobs::Column::LeaseUntil, Expr::value(None::<i64>))
        .filter(held(job, owner))
        .run(tx)
        .await?;
    if done > 0 { Ok(Guarded::Changed) } else { why_not(tx, job).await }
}

/// Records a failure: queued again after a back-off that doubles from `first_backoff` up to an hour, or dead after the
/// last attempt.
///
/// # Errors
/// When the database cannot be written.
pub async fn fail(
    tx: &Tx,
    job: JobId,
    owner: &str,
    error: &str,
    first_backoff: Duration,
) -> Result<Guarded, StoreError> {
    use jobs::Column;
    let Some(found) = tx.get::<Job>(job).await? else { return Ok(Guarded::NotFound) };
    let now = tx.now();
    let dead = found.attempts >= found.max_attempts;
    let state = if dead { JobState::Dead } else { JobState::Queued };
    let error: String = error.chars().take(ERROR_LIMIT).collect();
    let done = jobs::Entity::update_many()
        .col_expr(Column::State, Expr::value(state.as_str()))
        .col_expr(Column::RunAt, Expr::value(now.plus(backoff(first_backoff, found.attempts)).0))
        .col_expr(Column::LastError, Expr::value(Some(error)))
        .col_expr(Column::LeaseUntil, Expr::value(None::<i64>))
        .col_expr(Column::LeaseOwner, Expr::value(None::<String>))
        .col_expr(Column::FinishedAt, Expr::value(dead.then_some(now.0)))
        .filter(held(job, owner))
        .run(tx)
        .await?;
    if done > 0 { Ok(Guarded::Changed) } else { why_not(tx, job).await }
}

fn backoff(first: Duration, attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).clamp(0, 20);
    first.saturating_mul(1 << doublings).min(Duration::from_secs(3600))
}

fn held(job: JobId, owner: &str) -> Condition {
    Condition::all()
        .add(jobs::Column::Id.eq(job.0))
        .add(jobs::Column::State.eq(JobState::Leased.as_str()))
        .add(jobs::Column::LeaseOwner.eq(owner))
}

async fn why_not(tx: &Tx, job: JobId) -> Result<Guarded, StoreError> {
    Ok(match tx.get::<Job>(job).await? {
        Some(found) => Guarded::NotAsExpected {
            found: match found.lease_owner {
                Some(owner) => format!("{}, last taken by {owner}", found.state),
                None => found.state.to_string(),
            },
        },
        None => Guarded::NotFound,
    })
}

/// How many jobs of this kind are open; counted up to `at_most`.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_count(db: &Db, kind: &str, at_most: u64) -> Result<u64, StoreError> {
    let open = jobs::Entity::find()
        .select_only()
        .column(jobs::Column::Id)
        .filter(jobs::Column::FinishedAt.is_null())
        .filter(jobs::Column::Kind.eq(kind))
        .limit(at_most)
        .into_tuple::<i64>()
        .all(db)
        .await?;
    Ok(open.len() as u64)
}

/// When the next job of these kinds is due, to sleep until then.
///
/// # Errors
/// When the database cannot be read.
pub async fn next_due_at(db: &Db, kinds: &[&str]) -> Result<Option<UtcMs>, StoreError> {
    let at = jobs::Entity::find()
        .select_only()
        .expr(jobs::Column::RunAt.min())
        .filter(jobs::Column::FinishedAt.is_null())
        .filter(jobs::Column::State.eq(JobState::Queued.as_str()))
        .filter(jobs::Column::Kind.is_in(kinds.iter().copied()))
        .into_tuple::<Option<i64>>()
        .one(db)
        .await?
        .flatten();
    Ok(at.map(UtcMs))
}
