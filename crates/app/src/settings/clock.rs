//! Models that are let pass without a right clock: some CPEs never report one. A decision of a person, with a reason, that
//! can be withdrawn.

use super::models::{self, ModelOf, OfModel};
use crate::{Actor, App, AppError, Permission, error::Checks};
use serde::{Deserialize, Serialize};
use store::{Store, StoreError, cpes};
use types::UtcMs;

/// Every CPE of one model may be configured without a right clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockWaiver {
    /// `DeviceId.Manufacturer` as the CPE tells it, or its `DeviceId.OUI`.
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

impl OfModel for ClockWaiver {
    const KEY: &'static str = "acs.clock_waivers";
    const LIST: &'static str = "the list of models without a clock";

    fn model(&self) -> (&str, &str) {
        (&self.manufacturer, &self.product_class)
    }
}

pub(crate) async fn stored_waivers(store: &Store) -> Result<Vec<ClockWaiver>, AppError> {
    models::stored(store).await
}

impl App {
    /// Who lets CPEs of this model pass without a right clock, if anybody does.
    pub fn clock_waiver(&self, model: ModelOf<'_>) -> Option<ClockWaiver> {
        self.clock_waivers().iter().find(|waiver| model.is(*waiver)).cloned()
    }

    /// Lets every CPE of a model pass without a right clock, from its next contact on.
    ///
    /// # Errors
    /// [`AppError::Invalid`], also without a maker; [`AppError::Conflict`] when the model is let pass already.
    pub async fn waive_clock(
        &self,
        actor: &Actor,
        manufacturer: &str,
        product_class: &str,
        reason: &str,
    ) -> Result<ClockWaiver, AppError> {
        actor.require(Permission::WriteSettings)?;
        let mut checks = Checks::default();
        models::check(&mut checks, manufacturer, product_class, reason);
        checks.done()?;
        let waiver = ClockWaiver {
            manufacturer: manufacturer.trim().to_owned(),
            product_class: product_class.trim().to_owned(),
            reason: reason.trim().to_owned(),
            by: actor.label(),
            since: self.now(),
        };
        let new = waiver.clone();
        let waivers = self
            .change_models(actor, "settings.waive_clock", |waivers| {
                models::add(waivers, new, |old| old.by.clone())
            })
            .await?;
        self.set_clock_waivers(waivers);
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
        let (maker, model) = (manufacturer.trim(), product_class.trim());
        let waivers = self
            .change_models(actor, "settings.withdraw_clock_waiver", |waivers| {
                models::withdraw(waivers, maker, model)
            })
            .await?;
        self.set_clock_waivers(waivers);
        Ok(())
    }

    /// Earlier versions took models without a maker, and let every maker's pass. Such an entry becomes one for each
    /// maker whose CPEs of that name are known, in the words and since the day of whoever decided it; where none is
    /// known it goes. Both stand in the audit log.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn name_makers(&self) -> Result<(), AppError> {
        let waivers = self.clock_waivers();
        let nameless: Vec<ClockWaiver> =
            waivers.iter().filter(|waiver| waiver.manufacturer.is_empty()).cloned().collect();
        if nameless.is_empty() {
            return Ok(());
        }
        let mut named = Vec::new();
        for waiver in &nameless {
            for maker in cpes::makers_of(self.store(), &waiver.product_class).await? {
                named.push(ClockWaiver { manufacturer: maker, ..waiver.clone() });
            }
            let (model, by) = (&waiver.product_class, &waiver.by);
            tracing::warn!(%model, %by, "was let pass without a clock whoever made it; now by the makers that are known");
        }
        let actor = Actor::System("settings");
        let changed = self.change_models(&actor, "settings.name_clock_waiver_makers", |waivers| {
            waivers.retain(|waiver: &ClockWaiver| !waiver.manufacturer.is_empty());
            for waiver in named {
                // One that is there already says the same.
                let _known = models::add(waivers, waiver, |old| old.by.clone());
            }
            Ok(())
        });
        match changed.await {
            Ok(waivers) => self.set_clock_waivers(waivers),
            // Another node was quicker.
            Err(AppError::Store(StoreError::Overtaken { .. })) => {
                self.set_clock_waivers(stored_waivers(self.store()).await?)
            }
            Err(other) => return Err(other),
        }
        Ok(())
    }
}
