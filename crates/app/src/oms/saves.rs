//! Which OLTs hold changes that are not in their start-up configuration yet. An OLT that restarts forgets those, so
//! the note about it is written together with the end of the task, and outlives the process.

use crate::{App, AppError};
use std::time::Duration;
use store::{StoreError, Tx, rows, settings};
use types::{OltId, UtcMs};

/// An OLT's configuration is saved after so long without a change: saving takes an OLT up to a minute.
const QUIET: Duration = Duration::from_secs(60);
const PREFIX: &str = "olt.";
const SUFFIX: &str = ".unsaved_since";
const BY: &str = "system:oms";

/// A note that an OLT is to be saved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unsaved {
    pub(crate) olt: OltId,
    version: i64,
}

fn key(olt: OltId) -> String {
    format!("{PREFIX}{}{SUFFIX}", olt.0)
}

/// The running configuration has changed.
pub(crate) async fn mark_unsaved(tx: &Tx, olt: OltId, now: UtcMs) -> Result<(), StoreError> {
    let key = key(olt);
    let seen = settings::get(tx, &key).await?.map_or(0, |setting| setting.version);
    settings::put(tx, &key, serde_json::json!(now.0), seen, BY).await?.or_overtaken("the note to save an OLT")
}

impl App {
    /// OLTs whose last change is long enough ago.
    pub(crate) async fn unsaved_olts(&self) -> Result<Vec<Unsaved>, AppError> {
        let now = self.now();
        let due = settings::all(self.store()).await?.into_iter().filter_map(|setting| {
            let number = setting.key.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?;
            let since = UtcMs(setting.value.as_i64()?);
            (now.since(since) >= QUIET).then_some(Unsaved { olt: OltId(number), version: setting.version })
        });
        Ok(due.collect())
    }

    /// Lets an OLT save its configuration. A change in the meantime leaves the note in place.
    pub(crate) async fn save_olt(&self, unsaved: Unsaved) -> Result<(), AppError> {
        let olt = unsaved.olt;
        let value = match self.store().get::<rows::Olt>(olt).await? {
            None => serde_json::Value::Null,
            Some(row) => match self.olt_line(&row).await?.handle.save().await {
                Ok(_) => serde_json::Value::Null,
                Err(error) => {
                    // An alarm, never a reason to undo: the running configuration is right.
                    tracing::warn!(olt = %row.name, %error, "the configuration could not be saved; tried again");
                    serde_json::json!(self.now().0)
                }
            },
        };
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    // Not as seen: there was a change since, and it is saved in its turn.
                    let _noted = settings::put(tx, &key(olt), value, unsaved.version, BY).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(())
    }
}
