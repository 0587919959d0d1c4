//! What open tasks on OLTs have for themselves: serial numbers, planned ONUs, services, places on a PON.
//!
//! **Invariant.** Each of these belongs to one open task at a time, on whichever node and OLT: the database itself keeps a
//! second one out. What is claimed is free again in the unit of work that ends the task, and not before: a task that
//! waits for a person keeps it.

use crate::{
    db::{Db, Tx},
    entities::{OltTask, OltTaskClaim, olt_task_claims},
    error::StoreError,
    record::{Change, stored::Stored},
};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder,
    sea_query::{LikeExpr, OnConflict},
};
use std::{collections::BTreeSet, fmt};
use types::{OltId, OltTaskId, OnuRowId, PonPath, Serial, ServiceId};

/// Something that only one open task may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// An ONU, by its serial number: it comes, goes, or goes elsewhere.
    Serial(Serial),
    /// A planned ONU.
    Onu(OnuRowId),
    /// A service.
    Service(ServiceId),
    /// A place, or what will be one.
    Place {
        /// OLT.
        olt: OltId,
        /// Port.
        pon: PonPath,
        /// Id on the port.
        onu_id: i64,
    },
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Claim::Serial(serial) => write!(f, "serial:{}", serial.hex16()),
            Claim::Onu(onu) => write!(f, "onu:{}", onu.0),
            Claim::Service(service) => write!(f, "service:{}", service.0),
            Claim::Place { olt, pon, onu_id } => write!(f, "{}{onu_id}", places_of(*olt, *pon)),
        }
    }
}

fn places_of(olt: OltId, pon: PonPath) -> String {
    format!("place:{}:{pon}:", olt.0)
}

/// In one order for everybody, so that nobody waits for one who waits for him.
fn names(claims: &[Claim]) -> BTreeSet<String> {
    claims.iter().map(Claim::to_string).collect()
}

/// Takes all of this for a task. The open task that has one of it already, if there is one: then the unit is to fail, or
/// the rest stays taken.
///
/// # Errors
/// [`StoreError::Conflict`] when that other task ended at this moment.
pub async fn take(tx: &Tx, task: OltTaskId, claims: &[Claim]) -> Result<Option<OltTask>, StoreError> {
    for name in names(claims) {
        let row = OltTaskClaim { name: name.clone(), task_id: task };
        olt_task_claims::Entity::insert(row.into_active())
            .on_conflict(OnConflict::column(olt_task_claims::Column::Name).do_nothing().to_owned())
            .run(tx)
            .await?;
        let found = tx.find_one::<OltTaskClaim>(olt_task_claims::Column::Name.eq(name.as_str())).await?;
        let Some(found) = found else {
            return Err(StoreError::Conflict { why: format!("the task that had {name} ended just now") });
        };
        if found.task_id != task {
            return tx.require(found.task_id).await.map(Some);
        }
    }
    Ok(None)
}

/// The open task that has one of this, if there is one.
///
/// # Errors
/// When the database cannot be read.
pub async fn holder(db: &Db, claims: &[Claim]) -> Result<Option<OltTask>, StoreError> {
    let found: Option<OltTaskClaim> = db.find_one(olt_task_claims::Column::Name.is_in(names(claims))).await?;
    match found {
        Some(found) => db.get(found.task_id).await,
        None => Ok(None),
    }
}

/// The ids on a port that open tasks have for themselves, with the task.
///
/// # Errors
/// When the database cannot be read.
pub async fn places(db: &Db, olt: OltId, pon: PonPath) -> Result<Vec<(i64, OltTaskId)>, StoreError> {
    let prefix = places_of(olt, pon);
    let found: Vec<OltTaskClaim> = db
        .find_all(
            olt_task_claims::Entity::find()
                .filter(olt_task_claims::Column::Name.like(LikeExpr::new(format!("{prefix}%"))))
                .order_by_asc(olt_task_claims::Column::Name),
        )
        .await?;
    let id = |claim: &OltTaskClaim| claim.name.strip_prefix(&prefix)?.parse().ok();
    Ok(found.iter().filter_map(|claim| Some((id(claim)?, claim.task_id))).collect())
}

/// A task has nothing for itself any more.
pub(crate) async fn release(tx: &Tx, task: OltTaskId) -> Result<(), StoreError> {
    olt_task_claims::Entity::delete_many().filter(olt_task_claims::Column::TaskId.eq(task.0)).run(tx).await?;
    Ok(())
}
