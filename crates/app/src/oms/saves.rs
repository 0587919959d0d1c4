//! Which OLTs hold changes that are not in their start-up configuration yet. An OLT that restarts forgets those, so
//! the note about it is written together with the end of the task, and outlives the process.

use crate::{App, AppError, Change};
use olt::save::Saved;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{
    StoreError, Tx,
    leases::{self, Lease},
    rows, settings, timeline,
};
use types::{OltId, UtcMs};

/// An OLT's configuration is saved after so long without a change: saving takes an OLT up to a minute.
const QUIET: Duration = Duration::from_secs(60);
/// After a saving that failed.
const AGAIN_MS: i64 = 2 * 60 * 1000;
/// After one that was started and not seen to end: it wears the OLT's flash, and may well have ended.
const UNSEEN_AGAIN_MS: i64 = 60 * 60 * 1000;
const PREFIX: &str = "olt.";
const SUFFIX: &str = ".unsaved_since";
const BY: &str = "system:oms";

/// A note that an OLT is to be saved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unsaved {
    pub(crate) olt: OltId,
    version: i64,
    /// The last saving did not end as it should, and that was told.
    told: bool,
}

/// What is noted of an OLT that is to be saved.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note {
    /// The last change.
    since: UtcMs,
    /// Not before then.
    #[serde(default)]
    not_before: UtcMs,
    /// Why the last saving did not count.
    #[serde(default)]
    why: Option<String>,
}

impl Note {
    fn read(value: &serde_json::Value) -> Option<Note> {
        // The number alone is the older form.
        let since = value.as_i64().map(|since| Note { since: UtcMs(since), not_before: UtcMs(0), why: None });
        since.or_else(|| serde_json::from_value(value.clone()).ok())
    }

    fn is_due(&self, now: UtcMs) -> bool {
        now.since(self.since) >= QUIET && now >= self.not_before
    }
}

fn key(olt: OltId) -> String {
    format!("{PREFIX}{}{SUFFIX}", olt.0)
}

/// The running configuration has changed.
pub(crate) async fn mark_unsaved(tx: &Tx, olt: OltId, now: UtcMs) -> Result<(), StoreError> {
    let key = key(olt);
    let known = settings::get(tx, &key).await?;
    let seen = known.as_ref().map_or(0, |setting| setting.version);
    let why = known.and_then(|setting| Note::read(&setting.value)).and_then(|note| note.why);
    let note = serde_json::json!(Note { since: now, not_before: UtcMs(0), why });
    settings::put(tx, &key, note, seen, BY).await?.or_overtaken("the note to save an OLT")
}

impl App {
    /// OLTs whose last change is long enough ago.
    pub(crate) async fn unsaved_olts(&self) -> Result<Vec<Unsaved>, AppError> {
        let now = self.now();
        let due = settings::all(self.store()).await?.into_iter().filter_map(|setting| {
            let number = setting.key.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?;
            let note = Note::read(&setting.value)?;
            let (olt, version, told) = (OltId(number), setting.version, note.why.is_some());
            note.is_due(now).then_some(Unsaved { olt, version, told })
        });
        Ok(due.collect())
    }

    /// Lets an OLT save its configuration. A change in the meantime leaves the note in place.
    pub(crate) async fn save_olt(&self, unsaved: Unsaved) -> Result<(), AppError> {
        let olt = unsaved.olt;
        let Some(lease) = self.lease_on(olt) else { return Ok(()) };
        let Some(row) = self.store().get::<rows::Olt>(olt).await? else {
            return self.note_saved(unsaved, lease, serde_json::Value::Null, None).await;
        };
        let ended = self.olt_line(&row).await?.handle.under(self.leave_under(&lease)).save().await;
        let now = self.now();
        // An alarm at worst, never a reason to undo: the running configuration is right.
        let (why, again_ms) = match ended {
            Ok(Saved::Completed) => {
                let news = unsaved.told.then(|| {
                    let text =
                        format!("The configuration of {} is saved completely, as it says itself.", row.name);
                    save_news(&row, now, store::Severity::Ok, "olt_saved", text)
                });
                return self.note_saved(unsaved, lease, serde_json::Value::Null, news).await;
            }
            Ok(started @ Saved::Started { .. }) => (format!("{started}"), UNSEEN_AGAIN_MS),
            Err(error) => (error.to_string(), AGAIN_MS),
        };
        tracing::warn!(olt = %row.name, %why, "the configuration is not known to be saved; tried again");
        let note = serde_json::json!(Note {
            since: UtcMs(0),
            not_before: UtcMs(now.0 + again_ms),
            why: Some(why.clone())
        });
        let news = (!unsaved.told).then(|| {
            let text = format!("The configuration of {} is not known to be saved: {why}.", row.name);
            rows::TimelineEntry {
                next_text: Some(
                    "A restart of the OLT could forget the last changes. It is saved again by itself."
                        .to_owned(),
                ),
                ..save_news(&row, now, store::Severity::Warn, "olt_not_saved", text)
            }
        });
        self.note_saved(unsaved, lease, note, news).await
    }

    async fn note_saved(
        &self,
        unsaved: Unsaved,
        lease: Lease,
        value: serde_json::Value,
        news: Option<rows::TimelineEntry>,
    ) -> Result<(), AppError> {
        let olt = unsaved.olt;
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    // Not as seen: there was a change since, and it is saved in its turn.
                    let _noted = settings::put(tx, &key(olt), value, unsaved.version, BY).await?;
                    if let Some(news) = &news {
                        timeline::append(tx, news).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Olt(olt));
        Ok(())
    }
}

fn save_news(
    olt: &rows::Olt,
    at: UtcMs,
    severity: store::Severity,
    code: &str,
    text: String,
) -> rows::TimelineEntry {
    rows::TimelineEntry {
        at,
        kind: "olt".into(),
        olt_id: Some(olt.id),
        severity,
        code: code.into(),
        text,
        actor: BY.into(),
        facts: serde_json::json!({}),
        ..Default::default()
    }
}
