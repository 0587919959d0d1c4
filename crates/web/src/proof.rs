//! What is proven of a CPE, beside what is wanted of it now.

use std::collections::BTreeSet;

use app::AppError;
use provisioning::{Device, Gate, Layer, Reason};
use store::read::{CpeRow, EvidenceRow, IntentRow};

use types::CpeId;

use crate::{error::Fail, state::Ctx};

/// Every gate into READY of a CPE, and why it is closed if it is. None of them where what is stored of its machine cannot
/// be read: the machine says so itself, and the rest is shown all the same.
pub(crate) async fn gates(ctx: &Ctx, id: CpeId) -> Result<Vec<(Gate, Option<Reason>)>, Fail> {
    match ctx.app().gates_of(id).await {
        Err(AppError::Internal(_)) => Ok(Vec::new()),
        other => Ok(other?),
    }
}

/// Evidence of a CPE, and which layers do what is wanted now.
pub(crate) struct Proof {
    /// Setting by setting. Nothing is verified that was read for another wish than the one that counts now.
    pub(crate) evidence: Vec<EvidenceRow>,
    in_force: BTreeSet<&'static str>,
}

impl Proof {
    /// No CPE, no proof.
    pub(crate) fn none() -> Proof {
        Proof { evidence: Vec::new(), in_force: BTreeSet::new() }
    }

    /// Of this CPE, for what its service wants.
    pub(crate) async fn of(ctx: &Ctx, cpe: &CpeRow, intents: &[IntentRow]) -> Result<Proof, Fail> {
        // A row that was made for a device that has not spoken holds no machine yet.
        let device: Option<Device> = serde_json::from_str(&cpe.machine).ok();
        let in_force = |layer: &Layer| {
            let seen = device.as_ref().and_then(|device| device.in_force(*layer));
            intents.iter().any(|intent| intent.layer == layer.as_str() && Some(intent.hash.as_str()) == seen)
        };
        let layers = [Layer::Internet, Layer::Access, Layer::Extras];
        let in_force: BTreeSet<&str> = layers.iter().filter(|l| in_force(l)).map(|l| l.as_str()).collect();
        let mut evidence = ctx.read().cpe_evidence(cpe.id).await?;
        for fact in &mut evidence {
            // The management settings are ours on every device, whatever its service wants.
            fact.verified &= fact.layer == "core" || in_force.contains(fact.layer.as_str());
        }
        Ok(Proof { evidence, in_force })
    }

    /// The same for a CPE whose service was not read yet.
    pub(crate) async fn of_cpe(ctx: &Ctx, cpe: &CpeRow) -> Result<Proof, Fail> {
        let intents = match cpe.service_id {
            Some(service) => ctx.read().service_intents(service).await?,
            None => Vec::new(),
        };
        Proof::of(ctx, cpe, &intents).await
    }

    /// True if the router was read back to do what this layer wants now.
    pub(crate) fn in_force(&self, layer: &str) -> bool {
        self.in_force.contains(layer)
    }
}
