//! Models that keep an inform interval of their own: some CPEs clamp what they are told, far from it. Somebody accepts what
//! they keep, with a reason, and can withdraw that. Nothing else is written to them because of it.

use super::models::{self, ModelOf, OfModel};
use crate::{Actor, App, AppError, Permission, error::Checks};
use serde::{Deserialize, Serialize};
use store::Store;
use types::UtcMs;

/// Shortest interval that is accepted, seconds: one that informs more often is broken.
const SHORTEST_S: u32 = 10;
/// Longest interval that is accepted, seconds: a week.
const LONGEST_S: u32 = 604_800;

/// CPEs of one model may keep this inform interval, whatever they are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptInterval {
    /// `DeviceId.Manufacturer` as the CPE tells it, or its `DeviceId.OUI`.
    pub manufacturer: String,
    /// `DeviceId.ProductClass` as the CPE tells it.
    pub product_class: String,
    /// What it keeps, seconds; exactly this.
    pub interval_s: u32,
    /// Why, for colleagues.
    pub reason: String,
    /// Who accepted it.
    pub by: String,
    /// Since.
    pub since: UtcMs,
}

impl OfModel for KeptInterval {
    const KEY: &'static str = "acs.kept_intervals";
    const LIST: &'static str = "the list of models with an inform interval of their own";

    fn model(&self) -> (&str, &str) {
        (&self.manufacturer, &self.product_class)
    }
}

pub(crate) async fn stored_intervals(store: &Store) -> Result<Vec<KeptInterval>, AppError> {
    models::stored(store).await
}

impl App {
    /// The inform interval of its own that this model may keep, if somebody accepted one.
    pub fn kept_interval(&self, model: ModelOf<'_>) -> Option<KeptInterval> {
        self.kept_intervals().iter().find(|kept| model.is(*kept)).cloned()
    }

    /// Accepts that CPEs of a model keep this inform interval. One that does goes on from its next contact; one that keeps
    /// what it is told is told what the policy says, as ever.
    ///
    /// # Errors
    /// [`AppError::Invalid`], [`AppError::Conflict`] when one is accepted of this model already.
    pub async fn accept_interval(
        &self,
        actor: &Actor,
        manufacturer: &str,
        product_class: &str,
        interval_s: u32,
        reason: &str,
    ) -> Result<KeptInterval, AppError> {
        actor.require(Permission::WriteSettings)?;
        let mut checks = Checks::default();
        models::check(&mut checks, manufacturer, product_class, reason);
        if !(SHORTEST_S..=LONGEST_S).contains(&interval_s) {
            checks.wrong(
                "interval_s",
                format!("{interval_s} s is no interval; {SHORTEST_S} to {LONGEST_S} s are."),
            );
        }
        checks.done()?;
        let kept = KeptInterval {
            manufacturer: manufacturer.trim().to_owned(),
            product_class: product_class.trim().to_owned(),
            interval_s,
            reason: reason.trim().to_owned(),
            by: actor.label(),
            since: self.now(),
        };
        let new = kept.clone();
        let all = self
            .change_models(actor, "settings.accept_interval", |all| {
                models::add(all, new, |old| old.by.clone())
            })
            .await?;
        self.set_kept_intervals(all);
        Ok(kept)
    }

    /// Withdraws it: CPEs of the model that are not ours yet wait until they keep what they are told. What is in force on
    /// the others stays.
    ///
    /// # Errors
    /// [`AppError::NotFound`] when none is accepted of this model.
    pub async fn withdraw_interval(
        &self,
        actor: &Actor,
        manufacturer: &str,
        product_class: &str,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteSettings)?;
        let (maker, model) = (manufacturer.trim(), product_class.trim());
        let all = self
            .change_models(actor, "settings.withdraw_interval", |all| models::withdraw(all, maker, model))
            .await?;
        self.set_kept_intervals(all);
        Ok(())
    }
}
