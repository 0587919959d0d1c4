//! What somebody decided for every CPE of one model. A model is who made it and what it calls itself: other makers use the
//! same names.

use crate::{Actor, App, AppError, error::Checks};
use serde::{Serialize, de::DeserializeOwned};
use store::{Store, StoreError, settings};

/// Most models in one list.
const MOST: usize = 100;

/// An entry of a list of models.
pub(super) trait OfModel: Serialize + DeserializeOwned + Send {
    /// Key of the list in the settings table.
    const KEY: &'static str;
    /// The list, in words.
    const LIST: &'static str;

    /// Maker and model, as they were given.
    fn model(&self) -> (&str, &str);
}

/// What a CPE says of itself.
#[derive(Debug, Clone, Copy)]
pub struct ModelOf<'a> {
    /// `DeviceId.Manufacturer`.
    pub manufacturer: &'a str,
    /// `DeviceId.OUI`, six hex digits.
    pub oui: &'a str,
    /// `DeviceId.ProductClass`.
    pub product_class: &'a str,
}

impl ModelOf<'_> {
    /// It is of this maker, by name or by OUI, and of this model. An entry without a maker is for nobody.
    pub(super) fn is(&self, entry: &impl OfModel) -> bool {
        let same = |given: &str, told: &str| !given.is_empty() && given.eq_ignore_ascii_case(told.trim());
        let (maker, model) = entry.model();
        (same(maker, self.manufacturer) || same(maker, self.oui)) && same(model, self.product_class)
    }
}

fn same_entry(entry: &impl OfModel, manufacturer: &str, product_class: &str) -> bool {
    let (maker, model) = entry.model();
    maker.eq_ignore_ascii_case(manufacturer) && model.eq_ignore_ascii_case(product_class)
}

/// Maker, model and the reason for a decision.
pub(super) fn check(checks: &mut Checks, manufacturer: &str, product_class: &str, reason: &str) {
    if manufacturer.trim().is_empty() {
        checks.wrong(
            "manufacturer",
            "is empty. Say who makes this model, by the name or the OUI that its CPEs tell: other makers use the same \
             model names.",
        );
    }
    checks.optional("manufacturer", manufacturer, 64);
    checks.text("product_class", product_class, 64);
    checks.text("reason", reason, 200);
}

/// Adds an entry; one for the same model is there already, or there is no room: nothing is added.
pub(super) fn add<T: OfModel>(
    entries: &mut Vec<T>,
    new: T,
    by: impl Fn(&T) -> String,
) -> Result<(), AppError> {
    let (maker, model) = new.model();
    if let Some(old) = entries.iter().find(|old| same_entry(*old, maker, model)) {
        return Err(AppError::Conflict(format!("{} decided that for every {model} already.", by(old))));
    }
    if entries.len() >= MOST {
        return Err(AppError::Conflict(format!(
            "{MOST} models are in {} already; withdraw some first.",
            T::LIST
        )));
    }
    entries.push(new);
    Ok(())
}

/// Takes an entry out.
pub(super) fn withdraw<T: OfModel>(entries: &mut Vec<T>, maker: &str, model: &str) -> Result<(), AppError> {
    let before = entries.len();
    entries.retain(|old| !same_entry(old, maker, model));
    if entries.len() == before {
        let shown: String = model.chars().take(64).collect();
        return Err(AppError::NotFound(format!("{shown:?} is not in {}.", T::LIST)));
    }
    Ok(())
}

/// The list as stored.
pub(super) async fn stored<T: OfModel>(store: &Store) -> Result<Vec<T>, AppError> {
    let Some(setting) = settings::get(store, T::KEY).await? else { return Ok(Vec::new()) };
    serde_json::from_value(setting.value)
        .map_err(|error| AppError::Internal(format!("{} as stored cannot be read: {error}", T::LIST)))
}

impl App {
    /// Changes a list of models, with what was before and after in the audit log, and answers with it.
    pub(super) async fn change_models<T: OfModel>(
        &self,
        actor: &Actor,
        action: &str,
        change: impl FnOnce(&mut Vec<T>) -> Result<(), AppError>,
    ) -> Result<Vec<T>, AppError> {
        let seen = settings::get(self.store(), T::KEY).await?.map_or(0, |setting| setting.version);
        let mut entries = stored::<T>(self.store()).await?;
        let json = |entries: &[T]| {
            serde_json::to_value(entries).map_err(|error| AppError::Internal(error.to_string()))
        };
        let before = json(&entries)?;
        change(&mut entries)?;
        let after = json(&entries)?;
        let subject = format!("setting:{}", T::KEY);
        let audit = self.audit_row(actor, action, &subject, Some(before), Some(after.clone()));
        let label = actor.label();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    settings::put(tx, T::KEY, after, seen, &label).await?.or_overtaken(T::LIST)?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize)]
    struct Entry(String, String);

    impl OfModel for Entry {
        const KEY: &'static str = "test";
        const LIST: &'static str = "a list";
        fn model(&self) -> (&str, &str) {
            (&self.0, &self.1)
        }
    }

    #[test]
    fn a_model_is_who_made_it_and_what_it_calls_itself() {
        let told = |manufacturer, oui, product_class| ModelOf { manufacturer, oui, product_class };
        let entry = |maker: &str| Entry(maker.into(), "HG8546M".into());
        assert!(told("huawei ", "00259E", "hg8546m").is(&entry("Huawei")));
        assert!(told("Huawei Technologies", "00259e", "HG8546M").is(&entry("00259E")), "by its OUI");
        assert!(
            !told("Other", "AABBCC", "HG8546M").is(&entry("Huawei")),
            "another maker's model of the same name"
        );
        assert!(!told("Huawei", "00259E", "HG8546M5").is(&entry("Huawei")));
        assert!(!told("", "", "HG8546M").is(&entry("")), "without a maker it is for nobody");
        assert!(!told("Huawei", "00259E", "").is(&Entry("Huawei".into(), String::new())));
    }
}
