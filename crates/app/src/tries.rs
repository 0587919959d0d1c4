//! Counts failures per key, so that guessing becomes slow: after the free tries the wait doubles each time.

use crate::AppError;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use types::UtcMs;

/// Most keys remembered; beyond it the oldest failures are forgotten first.
const LIMIT: usize = 10_000;
const LONGEST_WAIT_S: u64 = 900;

#[derive(Debug, Default)]
pub(crate) struct Tries(Mutex<HashMap<String, (u32, UtcMs)>>);

impl Tries {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<String, (u32, UtcMs)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses while the key has to wait.
    pub(crate) fn check(&self, key: &str, now: UtcMs, free: u32) -> Result<(), AppError> {
        let map = self.map();
        let Some((failures, last)) = map.get(key).filter(|(failures, _)| *failures >= free) else {
            return Ok(());
        };
        let wait_s = 2u64.saturating_pow(failures - free + 1).min(LONGEST_WAIT_S);
        let until = last.plus_s(wait_s);
        if until <= now {
            return Ok(());
        }
        let left = until.since(now) + Duration::from_millis(999);
        Err(AppError::TooMany { retry_after_s: u32::try_from(left.as_secs()).unwrap_or(u32::MAX) })
    }

    pub(crate) fn failed(&self, key: &str, now: UtcMs) {
        let mut map = self.map();
        if map.len() >= LIMIT && !map.contains_key(key) {
            let oldest = map.iter().min_by_key(|(_, (_, at))| *at).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                map.remove(&oldest);
            }
        }
        let entry = map.entry(key.to_owned()).or_insert((0, now));
        *entry = (entry.0.saturating_add(1), now);
    }

    pub(crate) fn forget(&self, key: &str) {
        self.map().remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guessing_becomes_slow_and_success_forgets() {
        let (tries, start) = (Tries::default(), UtcMs::from_s(1_000_000));
        for _ in 0..5 {
            tries.check("a", start, 5).expect("free tries");
            tries.failed("a", start);
        }
        assert!(matches!(tries.check("a", start, 5), Err(AppError::TooMany { retry_after_s: 2 })));
        tries.check("b", start, 5).expect("another key is free");
        tries.check("a", start.plus_s(2), 5).expect("the wait is over");
        tries.failed("a", start.plus_s(2));
        assert!(matches!(tries.check("a", start.plus_s(2), 5), Err(AppError::TooMany { retry_after_s: 4 })));
        tries.forget("a");
        tries.check("a", start.plus_s(2), 5).expect("forgotten");
    }

    #[test]
    fn a_flood_of_names_takes_bounded_room() {
        let tries = Tries::default();
        for n in 0..(LIMIT as i64 + 10) {
            tries.failed(&n.to_string(), UtcMs(n));
        }
        assert_eq!(tries.map().len(), LIMIT);
        assert!(!tries.map().contains_key("0") && tries.map().contains_key("10009"));
    }
}
