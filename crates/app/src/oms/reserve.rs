//! ONU ids that are somebody's, though the OLT knows nothing of it now: those that open tasks have for themselves, and those
//! of ONUs that were authorised there and that their OLT has not shown to be gone. Whoever comes anew gets none of these, or a task that was interrupted with its place
//! cleared would find it taken, on its way there and on its way back.

use crate::{App, AppError};
use olt::plan::Operation;
use std::collections::BTreeSet;
use store::{claims, onus};
use types::{OltId, OltTaskId};

impl App {
    /// Notes in what is to be done which ids are not for it. `task`: the one that does it, whose own they are not kept from.
    pub(super) async fn reserve_ids(
        &self,
        operation: &mut Operation,
        olt: OltId,
        task: Option<OltTaskId>,
    ) -> Result<(), AppError> {
        let pon = operation.pon();
        let own = [Some(operation.serial()), operation.taken_off().map(|from| from.serial)];
        let mut ids: BTreeSet<i64> = claims::places(self.store(), olt, pon)
            .await?
            .into_iter()
            .filter(|(_, holder)| Some(*holder) != task)
            .map(|(id, _)| id)
            .collect();
        let planned = onus::of_olt(self.store(), olt, Some(pon)).await?;
        let kept = planned.iter().filter(|onu| !own.contains(&Some(onu.serial)) && !onu.is_off_its_olt());
        ids.extend(kept.map(|onu| onu.onu_id));
        let spec = match operation {
            Operation::Authorise(spec) => spec,
            Operation::Move(spec) | Operation::Replace(spec) => &mut spec.to,
            Operation::Deauthorise(_) => return Ok(()),
        };
        spec.reserved_ids = ids.into_iter().filter_map(|id| u16::try_from(id).ok()).collect();
        Ok(())
    }
}

/// What was wanted, without what was reserved for others at that moment: that is nobody's setting.
pub(super) fn without_reserved(mut operation: Operation) -> Operation {
    match &mut operation {
        Operation::Authorise(spec) => spec.reserved_ids.clear(),
        Operation::Move(spec) | Operation::Replace(spec) => spec.to.reserved_ids.clear(),
        Operation::Deauthorise(_) => {}
    }
    operation
}
