//! Who of this node has something to ask of an OLT now. Readings, orders and the door ask one question after the answer
//! to the last: between two of them nothing waits in the OLT's queue, and yet nothing that can wait may come between.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;
use types::OltId;

#[derive(Debug, Default)]
struct State {
    at_it: HashMap<OltId, usize>,
    light: BTreeSet<OltId>,
}

/// OLTs that are asked something that comes first, and those whose light is being read.
#[derive(Debug, Clone, Default)]
pub(super) struct Turns(Arc<Mutex<State>>, Arc<Notify>);

/// Somebody is at it, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn(Turns, OltId);

/// The light is being read, until this is dropped.
#[derive(Debug)]
pub(super) struct LightTurn(Turns, OltId);

impl Turns {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on nothing that can wait is asked of this OLT. What is being asked is not broken off.
    pub(super) fn take(&self, olt: OltId) -> Turn {
        *self.state().at_it.entry(olt).or_default() += 1;
        Turn(self.clone(), olt)
    }

    /// Nobody asks it anything that comes first.
    pub(super) fn is_free(&self, olt: OltId) -> bool {
        !self.state().at_it.contains_key(&olt)
    }

    /// Until nobody asks it anything that comes first.
    pub(super) async fn free(&self, olt: OltId) {
        loop {
            let freed = self.1.notified();
            tokio::pin!(freed);
            // Whoever is done between the look and the wait is not missed.
            freed.as_mut().enable();
            if self.is_free(olt) {
                return;
            }
            freed.await;
        }
    }

    /// The light is read now, if nobody asks it anything that comes first.
    pub(super) fn take_for_light(&self, olt: OltId) -> Option<LightTurn> {
        let mut state = self.state();
        if state.at_it.contains_key(&olt) {
            return None;
        }
        state.light.insert(olt);
        Some(LightTurn(self.clone(), olt))
    }

    /// Whether it is being asked for light: others wait for the one table then.
    pub(super) fn reads_light(&self, olt: OltId) -> bool {
        self.state().light.contains(&olt)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.0.state();
        if let Some(count) = state.at_it.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                state.at_it.remove(&self.1);
                self.0.1.notify_waiters();
            }
        }
    }
}

impl Drop for LightTurn {
    fn drop(&mut self) {
        self.0.state().light.remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn light_never_comes_between_the_questions_of_others() {
        let (turns, olt) = (Turns::default(), OltId(1));
        let (reading, door) = (turns.take(olt), turns.take(olt));
        assert!(turns.take_for_light(olt).is_none(), "although its queue may be empty");
        assert!(turns.take_for_light(OltId(2)).is_some(), "another OLT is not concerned");
        let mut free = Box::pin(turns.free(olt));
        assert_eq!((&mut free).now_or_never(), None);
        drop(reading);
        assert_eq!((&mut free).now_or_never(), None, "the door is still at it");
        drop(door);
        assert_eq!((&mut free).now_or_never(), Some(()));
        let light = turns.take_for_light(olt).expect("free");
        let _door = turns.take(olt);
        assert!(turns.reads_light(olt), "the door knows what it waits for");
        drop(light);
        assert!(!turns.reads_light(olt));
    }
}
