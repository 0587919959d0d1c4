//! The devices that this node has in memory, each in a place of its own that one at a time works on.

use super::{lessons::Lessons, live::Live};
use crate::lately::Lately;
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};
use types::{CpeId, ServiceId};

type Cell = Arc<tokio::sync::Mutex<Option<Live>>>;
/// The place of a device in memory, held by whoever works on it.
pub(super) type LiveSlot = tokio::sync::OwnedMutexGuard<Option<Live>>;

/// The devices that this node has in memory.
#[derive(Default)]
pub(crate) struct LiveDevices {
    cells: Mutex<HashMap<CpeId, Cell>>,
    /// Whom this node is calling.
    called: Mutex<HashSet<CpeId>>,
    sessions: std::sync::atomic::AtomicU64,
    telling: tokio::sync::Mutex<()>,
    /// Services whose devices could not be told of a changed wish.
    not_told: Lately<ServiceId>,
    lessons: Lessons,
}

impl LiveDevices {
    pub(crate) fn cell(&self, cpe: CpeId) -> Cell {
        Arc::clone(self.cells.lock().unwrap_or_else(PoisonError::into_inner).entry(cpe).or_default())
    }

    /// Forgets a device nobody speaks to. Called with the cell unlocked.
    pub(crate) fn tidy(&self, cpe: CpeId) {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = cells.get(&cpe).is_some_and(|cell| {
            Arc::strong_count(cell) == 1
                && cell.try_lock().is_ok_and(|live| live.as_ref().is_none_or(|live| live.session.is_none()))
        });
        if idle {
            cells.remove(&cpe);
        }
    }

    /// Takes the one call that a device may get at a time; `None` while another one is under way.
    pub(crate) fn call(&self, cpe: CpeId) -> Option<Call<'_>> {
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        called.insert(cpe).then(|| Call(self, cpe))
    }

    /// The turn to tell devices of changed wishes.
    pub(crate) async fn telling(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.telling.lock().await
    }

    /// Services whose devices could not be told of a changed wish lately.
    pub(crate) fn not_told(&self) -> &Lately<ServiceId> {
        &self.not_told
    }

    /// What is known of firmwares.
    pub(super) fn lessons(&self) -> &Lessons {
        &self.lessons
    }

    pub(crate) fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1
    }
}

/// A call under way.
pub(crate) struct Call<'a>(&'a LiveDevices, CpeId);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.called.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}
