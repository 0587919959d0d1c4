//! OLTs and their PON ports: configuration by people, observation by polls, never mixed.

use crate::{
    db::{Db, Tx},
    entities::{Olt, PonPort, olts, pon_ports},
    error::StoreError,
    record::{Change, stored::Numbered},
    words::{AdminState, OltObservedState},
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{Expr, OnConflict},
};
use types::{OltId, PonPath, UtcMs};

/// By name.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_name(db: &Db, name: &str) -> Result<Option<Olt>, StoreError> {
    db.find_one(olts::Column::Name.eq(name)).await
}

/// All OLTs, by name.
///
/// # Errors
/// When the database cannot be read.
pub async fn all(db: &Db) -> Result<Vec<Olt>, StoreError> {
    db.find_all(olts::Entity::find().order_by_asc(olts::Column::Name)).await
}

/// What was seen of an OLT. `None` in `observed` keeps what was read before: an OLT that is silent has not changed.
#[derive(Debug, Clone)]
pub struct OltObservation {
    /// Whether it answered.
    pub state: OltObservedState,
    /// Why not.
    pub reason: Option<String>,
    /// What it said about itself.
    pub observed: Option<serde_json::Value>,
    /// When.
    pub at: UtcMs,
}

/// Records what was seen of an OLT; configuration and version stay. Says as what it was seen before;
/// `None` if there is no such OLT.
///
/// # Errors
/// When the database cannot be written.
pub async fn observe(
    tx: &Tx,
    olt: OltId,
    seen: OltObservation,
) -> Result<Option<OltObservedState>, StoreError> {
    let Some(before) = tx.get::<Olt>(olt).await? else { return Ok(None) };
    let mut change = olts::Entity::update_many()
        .col_expr(olts::Column::ObservedState, Expr::value(seen.state.as_str()))
        .col_expr(olts::Column::ObservedReason, Expr::value(seen.reason))
        .col_expr(olts::Column::ObservedAt, Expr::value(Some(seen.at.0)))
        .filter(olts::Column::Id.eq(olt.0));
    if let Some(observed) = seen.observed {
        change = change.col_expr(olts::Column::Observed, Expr::value(observed.to_string()));
    }
    change.run(tx).await?;
    Ok(Some(before.observed_state))
}

/// Remembers the SSH host key that was accepted at first contact. Never replaces one: a changed key is a person's
/// decision, made by an update of the row.
///
/// # Errors
/// When the database cannot be written.
pub async fn pin_host_key(tx: &Tx, olt: OltId, pin: &str) -> Result<bool, StoreError> {
    let done = olts::Entity::update_many()
        .col_expr(olts::Column::HostKeyPin, Expr::value(Some(pin.to_owned())))
        .filter(olts::Column::Id.eq(olt.0))
        .filter(olts::Column::HostKeyPin.is_null())
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// PON ports of an OLT.
///
/// # Errors
/// When the database cannot be read.
pub async fn pon_ports(db: &Db, olt: OltId) -> Result<Vec<PonPort>, StoreError> {
    let mut ports: Vec<PonPort> =
        db.find_all(pon_ports::Entity::find().filter(pon_ports::Column::OltId.eq(olt.0))).await?;
    ports.sort_by_key(|port| port.pon);
    Ok(ports)
}

/// What was seen of a PON port. `None` in state and count keeps what was read before; `None` in `problem` says that
/// nothing was unreadable.
#[derive(Debug, Clone)]
pub struct PortObservation {
    /// The port's state in a word.
    pub state: Option<String>,
    /// ONUs configured on it.
    pub onu_count: Option<i64>,
    /// What could not be read, and why.
    pub problem: Option<String>,
    /// When.
    pub at: UtcMs,
}

/// Records what was seen of a PON port, making its row the first time.
///
/// # Errors
/// [`StoreError::Dangling`] if there is no such OLT.
pub async fn observe_port(
    tx: &Tx,
    olt: OltId,
    pon: PonPath,
    seen: PortObservation,
) -> Result<(), StoreError> {
    use pon_ports::Column;
    let mut known = vec![Column::ObservedAt, Column::ObservedProblem];
    if seen.state.is_some() {
        known.push(Column::ObservedState);
    }
    if seen.onu_count.is_some() {
        known.push(Column::OnuCount);
    }
    let port = PonPort {
        id: 0,
        olt_id: olt,
        pon,
        admin_state: AdminState::Enabled,
        observed_state: seen.state.unwrap_or_else(|| "unknown".to_owned()),
        onu_count: seen.onu_count.unwrap_or(0),
        observed_at: Some(seen.at),
        observed_problem: seen.problem,
        version: 1,
    };
    pon_ports::Entity::insert(port.into_new())
        .on_conflict(OnConflict::columns([Column::OltId, Column::Pon]).update_columns(known).to_owned())
        .run(tx)
        .await?;
    Ok(())
}

/// A PON port by its place.
///
/// # Errors
/// When the database cannot be read.
pub async fn port_at(db: &Db, olt: OltId, pon: PonPath) -> Result<Option<PonPort>, StoreError> {
    db.find_one(
        Condition::all()
            .add(pon_ports::Column::OltId.eq(olt.0))
            .add(pon_ports::Column::Pon.eq(pon.to_string())),
    )
    .await
}
