//! A bounded memory of recent things, for what may be forgotten with the process.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use types::UtcMs;

/// What was lately, by key. Forgets what is old; when it is full of what is not, the new is not remembered.
#[derive(Debug)]
pub(crate) struct Lately<K, V = ()>(Mutex<HashMap<K, (UtcMs, V)>>);

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Lately(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Copy> Lately<K, V> {
    /// Keys that are remembered at most.
    const LIMIT: usize = 100_000;

    /// All of it.
    pub(crate) fn map(&self) -> MutexGuard<'_, HashMap<K, (UtcMs, V)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was put there within that time.
    pub(crate) fn get(&self, key: &K, now: UtcMs, within: Duration) -> Option<V> {
        self.entry(key, now, within).map(|(value, _)| value)
    }

    /// The same, and when.
    pub(crate) fn entry(&self, key: &K, now: UtcMs, within: Duration) -> Option<(V, UtcMs)> {
        self.map().get(key).filter(|(at, _)| now.since(*at) <= within).map(|(at, value)| (*value, *at))
    }

    /// Remembers it, and says so; `within` says what counts as old when there is no room.
    pub(crate) fn put(&self, key: K, value: V, now: UtcMs, within: Duration) -> bool {
        let mut map = self.map();
        if map.len() >= Self::LIMIT {
            map.retain(|_, (at, _)| now.since(*at) <= within);
        }
        let room = map.len() < Self::LIMIT || map.contains_key(&key);
        if room {
            map.insert(key, (now, value));
        }
        room
    }
}
