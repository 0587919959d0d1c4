//! The family of CPEs that an operator sets for one firmware of a model. It counts where the device bears it out; a
//! decision of a person, with a reason, that can be taken back.

use crate::{Actor, App, AppError, Permission, error::Checks};
use provisioning::{Device, Event};
use store::{Store, StoreError, firmwares, rows};
use types::{CpeFirmwareId, UtcMs};

/// Every CPE of one firmware is to be spoken to as one of this family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyOverride {
    /// The firmware.
    pub firmware: CpeFirmwareId,
    /// `DeviceId.OUI`
    pub oui: String,
    /// `DeviceId.ProductClass`
    pub product_class: String,
    /// `DeviceInfo.SoftwareVersion`
    pub software_version: String,
    /// Id of the family.
    pub family: String,
    /// Why, for colleagues.
    pub reason: String,
    /// Who decided it.
    pub by: String,
    /// Since.
    pub since: UtcMs,
}

impl FamilyOverride {
    fn of(row: rows::CpeFirmware) -> Option<FamilyOverride> {
        Some(FamilyOverride {
            firmware: row.id,
            family: row.family?,
            oui: row.oui,
            product_class: row.product_class,
            software_version: row.software_version,
            reason: row.family_reason,
            by: row.family_by,
            since: row.family_since.unwrap_or_default(),
        })
    }
}

pub(crate) async fn stored_overrides(store: &Store) -> Result<Vec<FamilyOverride>, AppError> {
    Ok(firmwares::overridden(store).await?.into_iter().filter_map(FamilyOverride::of).collect())
}

impl App {
    /// The family that an operator set for this firmware, if anybody did.
    pub fn family_override(
        &self,
        oui: &str,
        product_class: &str,
        software_version: &str,
    ) -> Option<FamilyOverride> {
        let all = self.family_overrides();
        let found = all.iter().find(|set| {
            set.oui == oui && set.product_class == product_class && set.software_version == software_version
        });
        found.cloned()
    }

    /// The same for one device in one step: the firmware that it says it has now.
    pub(crate) fn family_for(&self, device: &Device, event: &Event) -> Option<String> {
        if self.family_overrides().is_empty() {
            return None;
        }
        let known = &device.identity;
        let (oui, class, software) = match event {
            Event::InformReceived { inform, .. } => (
                inform.oui.as_str(),
                inform.product_class.as_str(),
                inform.parameter("DeviceInfo.SoftwareVersion").unwrap_or(&known.software_version),
            ),
            _ => (known.oui.as_str(), known.product_class.as_str(), known.software_version.as_str()),
        };
        self.family_override(oui, class, software).map(|set| set.family)
    }

    /// Has every CPE of a firmware spoken to as one of this family, where it bears that out: from the next time that it is
    /// looked at on.
    ///
    /// # Errors
    /// [`AppError::NotFound`] without such a firmware, [`AppError::Invalid`] for a family that is not known or of the other
    /// data model, [`AppError::Conflict`] when it is set already.
    pub async fn override_family(
        &self,
        actor: &Actor,
        firmware: CpeFirmwareId,
        family: &str,
        reason: &str,
    ) -> Result<FamilyOverride, AppError> {
        actor.require(Permission::WriteSettings)?;
        let row: rows::CpeFirmware = self.found(firmware, "CPE firmware").await?;
        let mut checks = Checks::default();
        checks.text("reason", reason, 200);
        let profiles = self.profiles();
        match profiles.get(family) {
            None => checks.wrong("family", "is not chosen; take one of the families that are offered."),
            Some(profile) => {
                let root = match row.data_model.as_str() {
                    "tr098" => "InternetGatewayDevice.",
                    "tr181" => "Device.",
                    _ => &profile.root,
                };
                if profile.root != root {
                    checks.wrong(
                        "family",
                        format!(
                            "{} is of the data model {}, and this firmware is not.",
                            profile.title, profile.root
                        ),
                    );
                }
            }
        }
        checks.done()?;
        if row.family.as_deref() == Some(family) {
            return Err(AppError::Conflict(format!("{} set that family already.", row.family_by)));
        }
        let full = self.family_overrides().len() as u64 >= firmwares::MOST_OVERRIDES;
        if row.family.is_none() && full {
            return Err(AppError::Conflict(format!(
                "{} firmwares have a family set by hand already; take some back first.",
                firmwares::MOST_OVERRIDES
            )));
        }
        let next = rows::CpeFirmware {
            family: Some(family.to_owned()),
            family_reason: reason.trim().to_owned(),
            family_by: actor.label(),
            family_since: Some(self.now()),
            ..row.clone()
        };
        self.change_family(actor, "settings.override_family", row, next.clone()).await?;
        FamilyOverride::of(next).ok_or_else(|| AppError::Internal("an override without a family".into()))
    }

    /// Takes it back: probing decides again.
    ///
    /// # Errors
    /// [`AppError::NotFound`] without such a firmware or without an override.
    pub async fn withdraw_family(&self, actor: &Actor, firmware: CpeFirmwareId) -> Result<(), AppError> {
        actor.require(Permission::WriteSettings)?;
        let row: rows::CpeFirmware = self.found(firmware, "CPE firmware").await?;
        if row.family.is_none() {
            return Err(AppError::NotFound(format!(
                "No family is set by hand for {} {}.",
                row.product_class, row.software_version
            )));
        }
        let next = rows::CpeFirmware {
            family: None,
            family_reason: String::new(),
            family_by: String::new(),
            family_since: None,
            ..row.clone()
        };
        self.change_family(actor, "settings.withdraw_family", row, next).await
    }

    async fn change_family(
        &self,
        actor: &Actor,
        action: &str,
        before: rows::CpeFirmware,
        after: rows::CpeFirmware,
    ) -> Result<(), AppError> {
        let shown = |row: &rows::CpeFirmware| {
            serde_json::json!({
                "oui": row.oui,
                "product_class": row.product_class,
                "software_version": row.software_version,
                "family": row.family,
                "reason": row.family_reason,
                "by": row.family_by,
            })
        };
        let subject = format!("cpe_firmware:{}", before.id);
        let audit = self.audit_row(actor, action, &subject, Some(shown(&before)), Some(shown(&after)));
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.update(&after).await?.or_overtaken("the family of this firmware")?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.set_family_overrides(stored_overrides(self.store()).await?);
        Ok(())
    }
}
