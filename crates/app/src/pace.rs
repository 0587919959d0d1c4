//! How often somebody may cause something, by key: so often in a minute, and so often in an hour.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use types::UtcMs;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// What each key has used up.
#[derive(Debug)]
pub(crate) struct Pace<K> {
    used: Mutex<HashMap<K, Used>>,
    per_minute: u32,
    per_hour: u32,
}

#[derive(Debug, Clone, Copy)]
struct Used {
    minute: (UtcMs, u32),
    hour: (UtcMs, u32),
}

impl Used {
    /// As it counts now: windows that are over count nothing.
    fn at(self, now: UtcMs) -> Used {
        let current = |(since, count): (UtcMs, u32), length| {
            if now.since(since) < length && now >= since { (since, count) } else { (now, 0) }
        };
        Used { minute: current(self.minute, MINUTE), hour: current(self.hour, HOUR) }
    }
}

impl<K: Eq + Hash> Pace<K> {
    /// Keys that are remembered at most.
    const LIMIT: usize = 100_000;

    pub(crate) fn new(per_minute: u32, per_hour: u32) -> Self {
        Pace { used: Mutex::default(), per_minute, per_hour }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<K, Used>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this key may once more.
    pub(crate) fn allows(&self, key: &K, now: UtcMs) -> bool {
        let used = self.map().get(key).map(|used| used.at(now));
        used.is_none_or(|used| used.minute.1 < self.per_minute && used.hour.1 < self.per_hour)
    }

    /// Counts it, and says whether that was possible: whoever cannot be remembered could do it without end.
    pub(crate) fn count(&self, key: K, now: UtcMs) -> bool {
        let mut map = self.map();
        if map.len() >= Self::LIMIT && !map.contains_key(&key) {
            map.retain(|_, used| used.at(now).hour.1 > 0);
            if map.len() >= Self::LIMIT {
                return false;
            }
        }
        let used = map.entry(key).or_insert(Used { minute: (now, 0), hour: (now, 0) });
        *used = used.at(now);
        used.minute.1 += 1;
        used.hour.1 += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UtcMs = UtcMs(1_795_271_400_000);

    #[test]
    fn so_often_in_a_minute_and_so_often_in_an_hour() {
        let pace = Pace::new(3, 5);
        let tries =
            |key: u8, at: UtcMs| (0..10).filter(|_| pace.allows(&key, at) && pace.count(key, at)).count();
        assert_eq!(tries(1, NOW), 3);
        assert_eq!(tries(2, NOW), 3, "each for itself");
        assert_eq!(tries(1, NOW.plus_s(59)), 0);
        assert_eq!(tries(1, NOW.plus_s(60)), 2, "the hour is used up");
        assert_eq!(tries(1, NOW.plus_s(3599)), 0);
        assert_eq!(tries(1, NOW.plus_s(3600)), 3);
    }

    #[test]
    fn a_flood_of_keys_takes_bounded_room_and_gets_nothing_more() {
        let pace = Pace::new(3, 5);
        assert!((0..Pace::<usize>::LIMIT).all(|key| pace.count(key, NOW)));
        assert!(!pace.count(usize::MAX, NOW), "nobody would remember it");
        assert!(pace.count(7, NOW), "who is known goes on");
        assert!(pace.count(usize::MAX, NOW.plus_s(3600)), "the old ones made room");
        assert_eq!(pace.map().len(), 1);
    }
}
