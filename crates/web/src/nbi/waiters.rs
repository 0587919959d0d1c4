//! Places for those who wait for a device.

use app::Actor;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Requests that wait for a device at a time; the others are answered at once.
const IN_ALL: usize = 64;
/// Of these, so many of one key.
const OF_ONE: usize = 16;

/// Who waits, and how often.
#[derive(Clone, Default)]
pub(super) struct Waiters(Arc<Mutex<HashMap<String, usize>>>);

/// One place; given back when it is dropped.
pub(super) struct Place {
    waiters: Waiters,
    of: String,
}

impl Waiters {
    fn held(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place, if one is free and this one does not have too many.
    pub(super) fn place(&self, actor: &Actor) -> Option<Place> {
        let of = crate::once::who(actor);
        let mut held = self.held();
        let mine = held.get(&of).copied().unwrap_or(0);
        if mine >= OF_ONE || held.values().sum::<usize>() >= IN_ALL {
            return None;
        }
        held.insert(of.clone(), mine + 1);
        Some(Place { waiters: self.clone(), of })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.waiters.held();
        match held.get_mut(&self.of) {
            Some(mine) if *mine > 1 => *mine -= 1,
            _ => {
                held.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::ApiKeyId;

    fn key(id: i64) -> Actor {
        Actor::ApiKey { id: ApiKeyId(id), name: "tool".into(), scopes: Vec::new(), address: None }
    }

    #[test]
    fn one_key_leaves_places_to_the_others() {
        let waiters = Waiters::default();
        let mut places: Vec<Place> = std::iter::from_fn(|| waiters.place(&key(1))).take(100).collect();
        assert_eq!(places.len(), OF_ONE);
        for id in 2..10 {
            places.extend(std::iter::from_fn(|| waiters.place(&key(id))).take(100));
        }
        assert_eq!(places.len(), IN_ALL, "and all of them are not endless");
        places.truncate(OF_ONE - 1);
        assert!(waiters.place(&key(1)).is_some() && waiters.place(&key(9)).is_some());
        drop(places);
        assert!(waiters.held().is_empty(), "nothing is kept of who does not wait");
    }
}
