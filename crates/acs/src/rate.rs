//! How much one address may ask of us.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// Addresses remembered. Beyond it the full buckets are forgotten first; if all are in use, strangers wait.
const MAX_ADDRESSES: usize = 100_000;

/// A token bucket per address.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    per_s: f64,
    burst: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimiter {
    pub(crate) fn new(per_s: f64, burst: f64) -> Self {
        RateLimiter { per_s, burst, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one token; false if there is none.
    pub(crate) fn allow(&self, address: IpAddr, now: Instant) -> bool {
        self.take(address, now, 1.0)
    }

    /// True if a token is left, without taking it.
    pub(crate) fn has_room(&self, address: IpAddr, now: Instant) -> bool {
        let key = key_of(address);
        let buckets = lock(&self.buckets);
        buckets.get(&key).is_none_or(|bucket| self.filled(*bucket, now) >= 1.0)
    }

    fn take(&self, address: IpAddr, now: Instant, tokens: f64) -> bool {
        let key = key_of(address);
        let mut buckets = lock(&self.buckets);
        if buckets.len() >= MAX_ADDRESSES && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| self.filled(*bucket, now) < self.burst);
            if buckets.len() >= MAX_ADDRESSES {
                return false;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: self.burst, at: now });
        let filled = self.filled(*bucket, now);
        let allowed = filled >= tokens;
        *bucket = Bucket { tokens: if allowed { filled - tokens } else { filled }, at: now };
        allowed
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed: Duration = now.saturating_duration_since(bucket.at);
        (bucket.tokens + passed.as_secs_f64() * self.per_s).min(self.burst)
    }
}

/// One customer of IPv6 has a /64 of addresses.
fn key_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// A lock that survives a panic elsewhere: the maps behind it are valid between statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_for_its_address_only() {
        let limiter = RateLimiter::new(2.0, 3.0);
        let start = Instant::now();
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().expect("ip"), "192.0.2.2".parse().expect("ip"));
        assert_eq!([0; 4].map(|_| limiter.allow(a, start)), [true, true, true, false]);
        assert!(!limiter.has_room(a, start) && limiter.has_room(b, start));
        assert!(limiter.allow(b, start));
        assert!(!limiter.allow(a, start + Duration::from_millis(400)));
        assert!(limiter.allow(a, start + Duration::from_millis(600)));
        // Mapped addresses are the same peer; an IPv6 /64 is one peer.
        assert!(!limiter.allow("::ffff:192.0.2.1".parse().expect("ip"), start + Duration::from_millis(600)));
        assert_eq!(key_of("2001:db8::1".parse().expect("ip")), key_of("2001:db8::ffff".parse().expect("ip")));
    }
}
