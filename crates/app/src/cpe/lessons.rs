//! What the units of a firmware taught about it, kept for a moment: every contact of every device asks for it, and it
//! hardly ever changes.

use crate::{App, AppError};
use provisioning::LearnedFact;
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{cpes, rows};
use types::UtcMs;

/// What another node was taught counts here after so long.
const KEPT_FOR: Duration = Duration::from_secs(10);
/// Firmwares kept at most.
const MOST: usize = 1_000;

/// OUI, product class, software version.
type Firmware = (String, String, String);

/// What is known of firmwares, and since when.
#[derive(Debug, Default)]
pub(crate) struct Lessons(Mutex<HashMap<Firmware, (UtcMs, Vec<LearnedFact>)>>);

impl Lessons {
    fn map(&self) -> MutexGuard<'_, HashMap<Firmware, (UtcMs, Vec<LearnedFact>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A unit taught this just now: what is kept of its firmware is read again, unless it is known there already.
    pub(super) fn taught(&self, lesson: &rows::LearnedFact) {
        let firmware = (lesson.oui.clone(), lesson.product_class.clone(), lesson.software_version.clone());
        let mut map = self.map();
        let known = map.get(&firmware).is_some_and(|(_, facts)| {
            facts.iter().any(|known| known.path == lesson.path && known.fact == lesson.fact)
        });
        if !known {
            map.remove(&firmware);
        }
    }
}

impl App {
    /// What is known about the firmware of this device.
    pub(super) async fn lessons_for(&self, row: &rows::Cpe) -> Result<Vec<LearnedFact>, AppError> {
        let (now, lessons) = (self.now(), self.live().lessons());
        let firmware = (row.oui.clone(), row.product_class.clone(), row.software_version.clone());
        if let Some((read_at, facts)) = lessons.map().get(&firmware)
            && now >= *read_at
            && now.since(*read_at) < KEPT_FOR
        {
            return Ok(facts.clone());
        }
        let (oui, class, software) = (&firmware.0, &firmware.1, &firmware.2);
        let facts: Vec<LearnedFact> = cpes::learned(self.store(), oui, class, software)
            .await?
            .into_iter()
            .map(|(path, fact)| LearnedFact { path, fact })
            .collect();
        let mut map = lessons.map();
        if map.len() >= MOST {
            map.clear();
        }
        map.insert(firmware, (now, facts.clone()));
        Ok(facts)
    }
}
