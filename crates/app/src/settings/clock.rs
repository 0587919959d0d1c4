//! Models that are let pass without a right clock: some CPEs never report one. A decision of a person, with a reason, that
//! can be withdrawn.

use crate::{Actor, App, AppError, Permission, error::Checks};
use serde::{Deserialize, Serialize};
use store::{Store, StoreError, settings};
use types::UtcMs;

/// Key of the list in the settings table.
const CLOCK_WAIVERS: &str = "acs.clock_waivers";
/// Most models that are let pass.
const MOST: usize = 100;

/// Every CPE of one model may be configured without a right clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockWaiver {
    /// `DeviceId.Manufacturer` as the CPE tells it; empty: whoever made it.
    pub manufacturer: String,
    /// `DeviceId.ProductClass` as the CPE tells it.
    pub product_class: String,
    /// Why, for colleagues.
    pub reason: String,
    /// Who decided it.
    pub by: String,
    /// Since.
    pub since: UtcMs,
}

impl ClockWaiver {
    fn is_for(&self, manufacturer: &str, product_class: &str) -> bool {
        let same_maker =
            self.manufacturer.is_empty() || self.manufacturer.eq_ignore_ascii_case(manufacturer.trim());
        same_maker && self.product_class.eq_ignore_ascii_case(product_class.trim())
    }
}

pub(crate) async fn stored_waivers(store: &Store) -> Result<Vec<ClockWaiver>, AppError> {
    let Some(setting) = settings::get(store, CLOCK_WAIVERS).await? else { return Ok(Vec::new()) };
    serde_json::from_value(setting.value).map_err(|error| {
        AppError::Internal(format!("the stored list of models without a clock cannot be read: {error}"))
    })
}

impl App {
    /// Who lets CPEs of this model pass without a right clock, if anybody does.
    pub fn clock_waiver(&self, manufacturer: &str, product_class: &str) -> Option<ClockWaiver> {
        self.clock_waivers().iter().find(|waiver| waiver.is_for(manufacturer, product_class)).cloned()
    }

    /// Lets every CPE of a model pass without a right clock, from its next contact on.
    ///
    /// # Errors
    /// [`AppError::Invalid`], [`AppError::Conflict`] when the model is let pass already.
    pub async fn waive_clock(
        &self,
        actor: &Actor,
        manufacturer: &str,
        product_class: &str,
        reason: &str,
    ) -> Result<ClockWaiver, AppError> {
        actor.require(Permission::WriteSettings)?;
        let mut checks = Checks::default();
        checks.optional("manufacturer", manufacturer, 64);
        checks.text("product_class", product_class, 64);
        checks.text("reason", reason, 200);
        checks.done()?;
        let waiver = ClockWaiver {
            manufacturer: manufacturer.trim().to_owned(),
            product_class: product_class.trim().to_owned(),
            reason: reason.trim().to_owned(),
            by: actor.label(),
            since: self.now(),
        };
        let new = waiver.clone();
        self.change_waivers(actor, "settings.waive_clock", move |waivers| {
            let same = |old: &&ClockWaiver| {
                old.manufacturer.eq_ignore_ascii_case(&new.manufacturer)
                    && old.product_class.eq_ignore_ascii_case(&new.product_class)
            };
            if let Some(old) = waivers.iter().find(same) {
                return Err(AppError::Conflict(format!(
                    "{} lets every {} pass already.",
                    old.by, old.product_class
                )));
            }
            if waivers.len() >= MOST {
                return Err(AppError::Conflict(format!(
                    "{MOST} models pass without a clock already; withdraw some first."
                )));
            }
            waivers.push(new);
            Ok(())
        })
        .await?;
        Ok(waiver)
    }

    /// Withdraws it: the model waits for a right clock again before anything new is written to it. What is in force on its
    /// devices stays.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when the model is not let pass.
    pub async fn withdraw_clock_waiver(
        &self,
        actor: &Actor,
        manufacturer: &str,
        product_class: &str,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteSettings)?;
        let (manufacturer, product_class) = (manufacturer.trim().to_owned(), product_class.trim().to_owned());
        self.change_waivers(actor, "settings.withdraw_clock_waiver", move |waivers| {
            let before = waivers.len();
            waivers.retain(|old| {
                !(old.manufacturer.eq_ignore_ascii_case(&manufacturer)
                    && old.product_class.eq_ignore_ascii_case(&product_class))
            });
            if waivers.len() == before {
                let shown: String = product_class.chars().take(64).collect();
                return Err(AppError::NotFound(format!(
                    "{shown:?} is no model that passes without a clock."
                )));
            }
            Ok(())
        })
        .await
    }

    async fn change_waivers(
        &self,
        actor: &Actor,
        action: &str,
        change: impl FnOnce(&mut Vec<ClockWaiver>) -> Result<(), AppError>,
    ) -> Result<(), AppError> {
        let stored = settings::get(self.store(), CLOCK_WAIVERS).await?;
        let seen = stored.as_ref().map_or(0, |setting| setting.version);
        let mut waivers = stored_waivers(self.store()).await?;
        let json = |waivers: &[ClockWaiver]| {
            serde_json::to_value(waivers).map_err(|error| AppError::Internal(error.to_string()))
        };
        let before = json(&waivers)?;
        change(&mut waivers)?;
        let after = json(&waivers)?;
        let subject = format!("setting:{CLOCK_WAIVERS}");
        let audit = self.audit_row(actor, action, &subject, Some(before), Some(after.clone()));
        let label = actor.label();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    settings::put(tx, CLOCK_WAIVERS, after, seen, &label)
                        .await?
                        .or_overtaken("the list of models without a clock")?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.set_clock_waivers(waivers);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_who_made_it_and_what_it_calls_itself() {
        let waiver = |manufacturer: &str| ClockWaiver {
            manufacturer: manufacturer.into(),
            product_class: "HG8546M".into(),
            reason: "its clock stands still".into(),
            by: "ana".into(),
            since: UtcMs(0),
        };
        assert!(waiver("Huawei").is_for("huawei ", "hg8546m"));
        assert!(!waiver("Huawei").is_for("Other", "HG8546M"), "another maker's model of the same name");
        assert!(waiver("").is_for("anybody", "HG8546M"));
        assert!(!waiver("").is_for("anybody", "HG8546M5"));
        assert!(!waiver("").is_for("anybody", ""));
    }
}
