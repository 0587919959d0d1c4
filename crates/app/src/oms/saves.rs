//! Which OLTs hold changes that are not in their start-up configuration yet. An OLT that restarts forgets those, so
//! the note about it is written together with the end of the task, and outlives the process.

use super::news::olt_news;
use crate::{Actor, App, AppError, Change, Permission};
use olt::save::Saved;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{
    Severity, StoreError, Tx,
    leases::{self, Lease},
    rows, settings, timeline,
};
use types::{OltId, UtcMs};

/// An OLT's configuration is saved after so long without a change: saving takes an OLT up to a minute.
const QUIET: Duration = Duration::from_secs(60);
/// After a saving that failed; twice as long after every further one, up to [`UNSEEN_AGAIN_MS`].
const AGAIN_MS: i64 = 2 * 60 * 1000;
/// After one that was started and not seen to end: it wears the OLT's flash, and may well have ended.
const UNSEEN_AGAIN_MS: i64 = 60 * 60 * 1000;
/// So often a saving is begun whose end is not seen. An OLT that never shows it would be worn out for nothing.
const MOST_UNSEEN: u32 = 3;
const PREFIX: &str = "olt.";
const SUFFIX: &str = ".unsaved_since";
const BY: &str = "system:oms";

/// A note that an OLT is to be saved.
#[derive(Debug, Clone)]
pub(crate) struct Unsaved {
    pub(crate) olt: OltId,
    version: i64,
    note: Note,
}

/// Whether an OLT's running configuration outlives its restart, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Saving {
    /// All that is known, as sentences.
    pub text: String,
    /// The last saving failed, or was not seen to end.
    pub doubtful: bool,
    /// It is saved by itself. If not, only after the next change or when somebody orders it.
    pub by_itself: bool,
}

/// What is noted of an OLT that is to be saved.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Note {
    /// The last change.
    since: UtcMs,
    /// Not before then.
    #[serde(default)]
    not_before: UtcMs,
    /// Why the last saving did not count.
    #[serde(default)]
    why: Option<String>,
    /// Savings since the last change that were begun and not seen to end.
    #[serde(default)]
    unseen: u32,
    /// Savings since the last change that failed.
    #[serde(default)]
    failed: u32,
}

impl Note {
    fn read(value: &serde_json::Value) -> Option<Note> {
        // The number alone is the older form.
        let since = value.as_i64().map(|since| Note { since: UtcMs(since), ..Note::default() });
        since.or_else(|| serde_json::from_value(value.clone()).ok())
    }

    fn is_due(&self, now: UtcMs) -> bool {
        !self.is_given_up() && now.since(self.since) >= QUIET && now >= self.not_before
    }

    /// Begun often enough without being seen to end.
    fn is_given_up(&self) -> bool {
        self.unseen >= MOST_UNSEEN
    }

    /// The note after a saving that is not known to have worked.
    fn after(&self, ended: &Result<Saved, olt::driver::OltError>, now: UtcMs) -> Note {
        let (why, pause_ms, unseen, failed) = match ended {
            Ok(saved) => (saved.to_string(), UNSEEN_AGAIN_MS, self.unseen + 1, self.failed),
            Err(error) => {
                let pause = AGAIN_MS.saturating_mul(1 << self.failed.min(8)).min(UNSEEN_AGAIN_MS);
                (error.to_string(), pause, self.unseen, self.failed.saturating_add(1))
            }
        };
        let why = why.chars().take(LONGEST_WHY).collect();
        Note { since: UtcMs(0), not_before: UtcMs(now.0 + pause_ms), why: Some(why), unseen, failed }
    }

    /// What happens next.
    fn next(&self) -> String {
        const RISK: &str = "A restart of the OLT could forget the last changes.";
        if self.is_given_up() {
            format!(
                "{RISK} Saving was begun {} times, and it is not begun again by itself: it wears the OLT's flash, and may \
                 well have worked. It is saved after the next change, or when somebody orders it on its page; whoever is \
                 on the OLT can save it there.",
                self.unseen
            )
        } else {
            format!("{RISK} It is saved again by itself.")
        }
    }
}

/// Characters kept of why a saving did not count.
const LONGEST_WHY: usize = 600;

fn key(olt: OltId) -> String {
    format!("{PREFIX}{}{SUFFIX}", olt.0)
}

/// The running configuration has changed, or somebody wants it saved: it begins anew, whatever was given up before.
pub(crate) async fn mark_unsaved(tx: &Tx, olt: OltId, now: UtcMs) -> Result<(), StoreError> {
    let key = key(olt);
    let known = settings::get(tx, &key).await?;
    let seen = known.as_ref().map_or(0, |setting| setting.version);
    let why = known.and_then(|setting| Note::read(&setting.value)).and_then(|note| note.why);
    let note = serde_json::json!(Note { since: now, why, ..Note::default() });
    settings::put(tx, &key, note, seen, BY).await?.or_overtaken("the note to save an OLT")
}

impl App {
    /// OLTs whose last change is long enough ago.
    pub(crate) async fn unsaved_olts(&self) -> Result<Vec<Unsaved>, AppError> {
        let now = self.now();
        let due = settings::all(self.store()).await?.into_iter().filter_map(|setting| {
            let number = setting.key.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?;
            let note = Note::read(&setting.value)?;
            note.is_due(now).then_some(Unsaved { olt: OltId(number), version: setting.version, note })
        });
        Ok(due.collect())
    }

    /// What is known of an OLT's start-up configuration. None: nothing was changed since it was saved.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn saving(&self, olt: OltId) -> Result<Option<Saving>, AppError> {
        let noted = settings::get(self.store(), &key(olt)).await?;
        let Some(note) = noted.and_then(|setting| Note::read(&setting.value)) else { return Ok(None) };
        let text = match &note.why {
            Some(why) => format!("Its configuration is not known to be saved: {why}. {}", note.next()),
            None => "It was changed, and its configuration is not saved yet. It is saved by itself when nothing was \
                     changed for a minute."
                .to_owned(),
        };
        Ok(Some(Saving { text, doubtful: note.why.is_some(), by_itself: !note.is_given_up() }))
    }

    /// Orders that an OLT saves its configuration. It does so when nothing was changed for a minute.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; [`AppError::Conflict`] when nobody speaks to the OLT.
    pub async fn order_save(&self, actor: &Actor, olt: OltId) -> Result<(), AppError> {
        actor.require(Permission::WriteOlts)?;
        let row: rows::Olt = self.found(olt, "OLT").await?;
        if row.admin_state != store::AdminState::Enabled {
            return Err(AppError::Conflict(format!(
                "{} is disabled; nobody speaks to it. Enable it first.",
                row.name
            )));
        }
        let now = self.now();
        let text = format!("Saving the configuration of {} ordered.", row.name);
        let entry = rows::TimelineEntry {
            actor: actor.label(),
            ..olt_news(&row, now, Severity::Info, "olt_save_ordered", text)
        };
        let before = self.saving(olt).await?.map(|saving| serde_json::json!(saving));
        let audit = self.audit_row(actor, "olt.save", &format!("olt:{olt}"), before, None);
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    mark_unsaved(tx, olt, now).await?;
                    timeline::append(tx, &entry).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Olt(olt));
        self.wake_olts();
        Ok(())
    }

    /// Lets an OLT save its configuration. A change in the meantime leaves the note in place.
    pub(crate) async fn save_olt(&self, unsaved: Unsaved) -> Result<(), AppError> {
        let olt = unsaved.olt;
        let Some(lease) = self.lease_on(olt) else { return Ok(()) };
        let Some(row) = self.store().get::<rows::Olt>(olt).await? else {
            return self.note_saved(&unsaved, lease, serde_json::Value::Null, None).await;
        };
        let ended = self.olt_line(&row).await?.handle.under(self.leave_under(&lease, olt, None)).save().await;
        let now = self.now();
        let told = unsaved.note.why.is_some();
        if matches!(ended, Ok(Saved::Completed)) {
            let news = told.then(|| {
                let text =
                    format!("The configuration of {} is saved completely, as it says itself.", row.name);
                olt_news(&row, now, Severity::Ok, "olt_saved", text)
            });
            return self.note_saved(&unsaved, lease, serde_json::Value::Null, news).await;
        }
        // An alarm at worst, never a reason to undo: the running configuration is right.
        let note = unsaved.note.after(&ended, now);
        let why = note.why.clone().unwrap_or_default();
        tracing::warn!(olt = %row.name, %why, given_up = note.is_given_up(), "the configuration is not known to be saved");
        let code = if note.is_given_up() { "olt_save_unseen" } else { "olt_not_saved" };
        let news = (!told || note.is_given_up()).then(|| rows::TimelineEntry {
            next_text: Some(note.next()),
            ..olt_news(
                &row,
                now,
                Severity::Warn,
                code,
                format!("The configuration of {} is not known to be saved: {why}.", row.name),
            )
        });
        self.note_saved(&unsaved, lease, serde_json::json!(note), news).await
    }

    async fn note_saved(
        &self,
        unsaved: &Unsaved,
        lease: Lease,
        value: serde_json::Value,
        news: Option<rows::TimelineEntry>,
    ) -> Result<(), AppError> {
        let (olt, version) = (unsaved.olt, unsaved.version);
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    // Not as seen: there was a change since, and it is saved in its turn.
                    let _noted = settings::put(tx, &key(olt), value, version, BY).await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use olt::{driver::OltError, machine::EngineError};

    fn hours(n: i64) -> UtcMs {
        UtcMs(n * 3_600_000)
    }

    #[test]
    fn what_is_not_seen_to_end_is_begun_three_times_and_no_more() {
        let cut = || Ok(Saved::Sent { lost: EngineError::Torn("the OLT closed it".into()) });
        let mut note = Note { since: hours(0), ..Note::default() };
        for round in 0..3 {
            let now = hours(round * 2 + 1);
            assert!(note.is_due(now), "{round}");
            note = note.after(&cut(), now);
            assert!(!note.is_due(UtcMs(now.0 + 10 * 60_000)), "not every two minutes");
        }
        assert!(note.is_given_up() && !note.is_due(hours(10_000)));
        let next = note.next();
        assert!(next.contains("begun 3 times, and it is not begun again by itself"), "{next}");
        // As it is stored.
        let stored = Note::read(&serde_json::json!(note)).expect("a note");
        assert!(stored.is_given_up());
        assert_eq!(stored.why.as_deref(), Some(note.why.as_deref().expect("why")));
    }

    #[test]
    fn an_olt_that_says_no_is_asked_less_and_less_often_and_for_ever() {
        let no = || Err(OltError::Queue("the OLT is away".into()));
        let mut note = Note::default();
        let pauses: Vec<i64> = (0..8)
            .map(|_| {
                note = note.after(&no(), UtcMs(0));
                note.not_before.0 / 60_000
            })
            .collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert!(!note.is_given_up() && note.is_due(hours(2)), "nothing was begun, so nothing is worn");
        assert!(
            Note::read(&serde_json::json!(7)).is_some_and(|note| note.since == UtcMs(7)),
            "the older form"
        );
        assert!(Note::read(&serde_json::Value::Null).is_none(), "saved");
    }
}
