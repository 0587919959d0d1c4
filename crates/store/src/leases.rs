//! Leases: who may act alone on something, and until when, among the nodes of one installation.
//!
//! **Invariant.** Each time a lease is taken it gets a token that no taking before or after it has. Whoever acts under
//! a lease keeps its token and shows it with everything it writes: one that was paused for so long that another took over
//! shows an old one and is refused. What has run out and was taken by nobody may still be renewed.
//!
//! On PostgreSQL nodes share nothing but the database, so its clock counts ([`LeaseClock`]): a node whose own clock is
//! ahead takes nothing early.

use crate::{
    db::{Db, Tx},
    entities::{NodeLease, node_leases},
    error::StoreError,
    record::Change,
    record::stored::Stored,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement,
    sea_query::{Expr, OnConflict},
};
use std::time::Duration;
use types::UtcMs;

/// Names of leases by which processes say that they run begin so; each takes one in its own name and is its owner.
pub const PRESENCE: &str = "node:";

/// Whose time tells how long a lease lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeaseClock {
    /// The database's, where it has one that all nodes share (PostgreSQL).
    #[default]
    Database,
    /// The store's own, for clocks that are moved by hand.
    Store,
}

/// A lease that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// On what: `olt:3` …
    pub name: String,
    /// Which taking of it this is; grows from one to the next.
    pub token: i64,
}

/// The time that counts for leases.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn now(db: &Db) -> Result<UtcMs, StoreError> {
    if !db.is_postgres() || db.shared.lease_clock == LeaseClock::Store {
        return Ok(db.now());
    }
    let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)";
    let row = db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    let row = row.ok_or_else(|| StoreError::Unavailable { why: "it does not say its time".to_owned() })?;
    Ok(UtcMs(row.try_get_by_index(0)?))
}

/// Takes a lease that is free, has run out, or is this owner's own: a process that was started again need not wait for
/// the one before it. None: another has it.
///
/// # Errors
/// When the database cannot be written.
pub async fn acquire(
    tx: &Tx,
    name: &str,
    owner: &str,
    lease_for: Duration,
) -> Result<Option<Lease>, StoreError> {
    use node_leases::{Column, Entity};
    let now = now(tx).await?;
    let until = now.plus(lease_for);
    let taken = |token| Ok(Some(Lease { name: name.to_owned(), token }));
    let Some(found) = tx.find_one::<NodeLease>(Column::Name.eq(name)).await? else {
        // Higher than any token of a row that was swept away meanwhile.
        let row = NodeLease { name: name.to_owned(), owner: owner.to_owned(), until, token: now.0 };
        let done = Entity::insert(row.into_active())
            .on_conflict(OnConflict::column(Column::Name).do_nothing().to_owned())
            .run(tx)
            .await?;
        // Somebody was quicker otherwise.
        let inserted = done > 0;
        return if inserted { taken(now.0) } else { Ok(None) };
    };
    if found.owner != owner && found.until >= now {
        return Ok(None);
    }
    let token = std::cmp::max(now.0, found.token + 1);
    let done = Entity::update_many()
        .col_expr(Column::Owner, Expr::value(owner))
        .col_expr(Column::Until, Expr::value(until.0))
        .col_expr(Column::Token, Expr::value(token))
        // As it was found: it may have been renewed or taken since.
        .filter(held(name, found.token).add(Column::Until.eq(found.until.0)))
        .run(tx)
        .await?;
    if done > 0 { taken(token) } else { Ok(None) }
}

/// Makes a lease longer.
///
/// # Errors
/// [`StoreError::Fenced`] when it was taken over.
pub async fn renew(tx: &Tx, lease: &Lease, lease_for: Duration) -> Result<(), StoreError> {
    use node_leases::{Column, Entity};
    let until = now(tx).await?.plus(lease_for);
    let done = Entity::update_many()
        .col_expr(Column::Until, Expr::value(until.0))
        .filter(held(&lease.name, lease.token))
        .run(tx)
        .await?;
    if done > 0 { Ok(()) } else { Err(fenced(tx, lease).await?) }
}

/// Lets a unit of work through only while its lease is still the one that was taken. Nobody takes it before this unit
/// has ended.
///
/// # Errors
/// [`StoreError::Fenced`] when it was taken over.
pub async fn require(tx: &Tx, lease: &Lease) -> Result<(), StoreError> {
    use node_leases::{Column, Entity};
    // A write, not a look: on PostgreSQL it makes whoever wants to take the lease wait for the end of this unit.
    let done = Entity::update_many()
        .col_expr(Column::Token, Expr::col(Column::Token))
        .filter(held(&lease.name, lease.token))
        .run(tx)
        .await?;
    if done > 0 { Ok(()) } else { Err(fenced(tx, lease).await?) }
}

fn held(name: &str, token: i64) -> Condition {
    Condition::all().add(node_leases::Column::Name.eq(name)).add(node_leases::Column::Token.eq(token))
}

async fn fenced(tx: &Tx, lease: &Lease) -> Result<StoreError, StoreError> {
    let holder: Option<NodeLease> = tx.find_one(node_leases::Column::Name.eq(lease.name.as_str())).await?;
    Ok(StoreError::Fenced {
        lease: lease.name.clone(),
        holder: holder.map_or_else(|| "nobody".to_owned(), |holder| holder.owner),
    })
}

/// Who has a lease, or had it last.
///
/// # Errors
/// When the database cannot be read.
pub async fn owner(db: &Db, name: &str) -> Result<Option<String>, StoreError> {
    use node_leases::Column;
    Ok(db.find_one::<NodeLease>(Column::Name.eq(name)).await?.map(|lease| lease.owner))
}

/// Gives a lease back that was taken. False: it is not the one in force any more, and whoever took it since keeps it.
///
/// # Errors
/// When the database cannot be written.
pub async fn release(tx: &Tx, lease: &Lease) -> Result<bool, StoreError> {
    use node_leases::{Column, Entity};
    // The row stays, and with it the last token.
    let done = Entity::update_many()
        .col_expr(Column::Until, Expr::value(0))
        .filter(held(&lease.name, lease.token))
        .filter(Column::Until.gt(0))
        .run(tx)
        .await?;
    Ok(done > 0)
}
