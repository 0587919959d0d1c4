//! The lease on an OLT: among the nodes of an installation one works on an OLT at a time.
//!
//! Whoever begins something on an OLT keeps the lease of that moment with it, and shows it with everything it writes, to
//! the database and to the OLT. A node that was paused so long that another took over is refused at the next line.

use crate::{App, AppError};
use olt::leave::Leave;
use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};
use store::{
    AdminState, OltTaskState, StoreError, Tx,
    leases::{self, Lease},
    rows,
};
use tokio::time::Instant;
use types::{OltId, OltTaskId};

/// A node has an OLT for itself for so long; renewed while it works on it. When a node dies, others wait no longer.
const LEASE: Duration = Duration::from_secs(30);
/// So much earlier nothing is sent any more: what is sent last is still on its way when another takes over.
const MARGIN: Duration = Duration::from_secs(3);

pub(super) fn lease_name(olt: OltId) -> String {
    format!("olt:{olt}")
}

/// Leave to write to an OLT while its lease is held, the OLT is enabled, and nobody has given the task up.
struct UnderLease {
    app: App,
    lease: Lease,
    olt: OltId,
    task: Option<OltTaskId>,
}

impl UnderLease {
    async fn look(tx: &Tx, lease: &Lease, olt: OltId, task: Option<OltTaskId>) -> Result<(), AppError> {
        leases::renew(tx, lease, LEASE).await?;
        let row: rows::Olt = tx.require(olt).await?;
        if row.admin_state != AdminState::Enabled {
            return Err(AppError::Conflict(format!("{} is disabled", row.name)));
        }
        if let Some(task) = task {
            let row: rows::OltTask = tx.require(task).await?;
            if row.finished_at.is_some() || row.state == OltTaskState::NeedsOperator {
                return Err(AppError::Conflict(format!("Task {task} was given up")));
            }
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Leave for UnderLease {
    async fn ask(&self) -> Result<Instant, String> {
        // From before the question on: how long the answer takes is not known.
        let asked = Instant::now();
        let (lease, olt, task) = (self.lease.clone(), self.olt, self.task);
        let renewed = self
            .app
            .store()
            .write(move |tx| Box::pin(async move { UnderLease::look(tx, &lease, olt, task).await }))
            .await;
        match renewed {
            Ok(()) => Ok(asked + LEASE - MARGIN),
            Err(AppError::Store(error @ StoreError::Fenced { .. })) => Err(error.to_string()),
            Err(AppError::Conflict(why)) => Err(why),
            Err(error) => Err(format!("whether this OLT is still this node's cannot be read: {error}")),
        }
    }
}

impl App {
    /// Takes the lease on an OLT, or keeps it. None: another node has it.
    pub(super) async fn may_act_on(&self, olt: OltId) -> Result<Option<Lease>, AppError> {
        let (name, node, held) = (lease_name(olt), self.node().to_owned(), self.lease_on(olt));
        let taken = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(held) = held {
                        match leases::renew(tx, &held, LEASE).await {
                            Ok(()) => return Ok(Some(held)),
                            Err(StoreError::Fenced { .. }) => {}
                            Err(other) => return Err(other),
                        }
                    }
                    leases::acquire(tx, &name, &node, LEASE).await
                })
            })
            .await?;
        let mut leases = self.olts().leases.lock().unwrap_or_else(PoisonError::into_inner);
        match &taken {
            Some(lease) => drop(leases.insert(olt, lease.clone())),
            None => drop(leases.remove(&olt)),
        }
        Ok(taken)
    }

    /// The lease that this node has on an OLT, as far as it knows.
    pub(super) fn lease_on(&self, olt: OltId) -> Option<Lease> {
        self.olts().leases.lock().unwrap_or_else(PoisonError::into_inner).get(&olt).cloned()
    }

    pub(super) fn leave_under(&self, lease: &Lease, olt: OltId, task: Option<OltTaskId>) -> Arc<dyn Leave> {
        Arc::new(UnderLease { app: self.clone(), lease: lease.clone(), olt, task })
    }

    /// Does something on an OLT and keeps the OLT for this node as long as it takes.
    pub(super) async fn leased<T>(
        &self,
        olt: OltId,
        work: impl Future<Output = Result<T, AppError>>,
    ) -> Result<T, AppError> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(LEASE / 4) => {
                    // What is begun ends by itself when the lease it began under is lost.
                    match self.may_act_on(olt).await {
                        Ok(Some(_)) => {}
                        Ok(None) => tracing::warn!(%olt, "another node has taken this OLT meanwhile"),
                        Err(error) => tracing::warn!(%olt, %error, "the lease on an OLT cannot be renewed"),
                    }
                }
            }
        }
    }

    /// Whoever comes next need not wait for the leases to run out. One that another has taken since stays with that one.
    pub(super) async fn release_olts(&self) -> Result<(), AppError> {
        let held: Vec<Lease> = {
            let mut leases = self.olts().leases.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *leases).into_values().collect()
        };
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    for lease in &held {
                        leases::release(tx, lease).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(())
    }
}
