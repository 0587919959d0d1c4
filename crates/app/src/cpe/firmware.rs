//! Which firmwares there are: told by devices that were looked at, so that a person can look at what is known of them.

use provisioning::{Reason, ReasonCode};
use store::rows;
use types::UtcMs;

/// The firmware of a device whose family was looked for in this step, found or not. Strangers tell of none.
pub(super) fn met(
    before: &rows::Cpe,
    after: &rows::Cpe,
    said: &[Reason],
    now: UtcMs,
) -> Option<rows::CpeFirmware> {
    let family = |row: &rows::Cpe| (row.profile_id.clone(), row.profile_known.clone());
    let looked = family(before) != family(after)
        || before.software_version != after.software_version
        || said.iter().any(|reason| reason.code == ReasonCode::ModelUnknown);
    if after.quarantine || after.data_model.is_empty() || !looked {
        return None;
    }
    Some(rows::CpeFirmware {
        oui: after.oui.clone(),
        product_class: after.product_class.clone(),
        software_version: after.software_version.clone(),
        manufacturer: after.manufacturer.clone(),
        model: after.model.clone(),
        data_model: after.data_model.clone(),
        first_seen_at: now,
        version: 1,
        ..Default::default()
    })
}
