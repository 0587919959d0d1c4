//! How much one address, and one device, may ask of us.

use std::{
    collections::{HashMap, hash_map::RandomState},
    hash::{BuildHasher, Hash},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use types::CpeId;

/// Buckets remembered. Beyond it the full ones are forgotten first; if all are in use, strangers wait.
const MAX_BUCKETS: usize = 100_000;

/// A token bucket per address, or per what somebody says to be.
#[derive(Debug)]
pub(crate) struct RateLimiter<K = IpAddr> {
    per_s: f64,
    burst: f64,
    buckets: Mutex<HashMap<K, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl RateLimiter {
    /// Takes one token of an address; false if there is none.
    pub(crate) fn allow(&self, address: IpAddr, now: Instant) -> bool {
        self.take(key_of(address), now).unwrap_or(false)
    }

    /// Whether there is a token of an address, which stays.
    pub(crate) fn would_allow(&self, address: IpAddr, now: Instant) -> bool {
        let buckets = lock(&self.buckets);
        match buckets.get(&key_of(address)) {
            Some(bucket) => self.filled(*bucket, now) >= 1.0,
            None => self.burst >= 1.0,
        }
    }
}

/// A token bucket per device. What a device says to be counts together with where it says so, as long as it has not
/// proved it: whoever guesses a serial number elsewhere uses up nothing of the real one's.
#[derive(Debug)]
pub(crate) struct DeviceLimiter {
    limiter: RateLimiter<u64>,
    hasher: RandomState,
}

impl DeviceLimiter {
    pub(crate) fn new(per_s: f64, burst: f64) -> Self {
        DeviceLimiter { limiter: RateLimiter::new(per_s, burst), hasher: RandomState::new() }
    }

    /// Takes one token of somebody who shows no secret of its own.
    pub(crate) fn allow_claimed(&self, address: IpAddr, identity: [&str; 3], now: Instant) -> bool {
        self.allow((key_of(address), identity), now)
    }

    /// Takes one token of a user name, known or not, that is given from an address without a proof.
    pub(crate) fn allow_named(&self, address: IpAddr, username: &str, now: Instant) -> bool {
        self.allow((key_of(address), username), now)
    }

    /// Takes one token of a device that its certificate, with these names, proves. Not of what it says besides: one
    /// certificate may fit several of that.
    pub(crate) fn allow_certified(&self, names: &[String], now: Instant) -> bool {
        self.allow(("by its certificate", names), now)
    }

    /// Takes one token of a device that showed its own secret.
    pub(crate) fn allow_proved(&self, cpe: CpeId, now: Instant) -> bool {
        self.allow(cpe, now)
    }

    /// Where nothing more can be remembered, the limit on addresses has to do.
    fn allow(&self, who: impl Hash, now: Instant) -> bool {
        self.limiter.take(self.hasher.hash_one(who), now).unwrap_or(true)
    }
}

impl<K: Eq + Hash> RateLimiter<K> {
    pub(crate) fn new(per_s: f64, burst: f64) -> Self {
        RateLimiter { per_s, burst, buckets: Mutex::new(HashMap::new()) }
    }

    /// Takes one token; false if there is none, nothing if this one cannot be remembered.
    pub(crate) fn take(&self, key: K, now: Instant) -> Option<bool> {
        let mut buckets = lock(&self.buckets);
        if buckets.len() >= MAX_BUCKETS && !buckets.contains_key(&key) {
            buckets.retain(|_, bucket| self.filled(*bucket, now) < self.burst);
            if buckets.len() >= MAX_BUCKETS {
                return None;
            }
        }
        let bucket = buckets.entry(key).or_insert(Bucket { tokens: self.burst, at: now });
        let filled = self.filled(*bucket, now);
        let allowed = filled >= 1.0;
        *bucket = Bucket { tokens: if allowed { filled - 1.0 } else { filled }, at: now };
        Some(allowed)
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed: Duration = now.saturating_duration_since(bucket.at);
        (bucket.tokens + passed.as_secs_f64() * self.per_s).min(self.burst)
    }
}

/// One customer of IPv6 has a /64 of addresses.
pub(crate) fn key_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// Bytes held at the same time, in total and by address.
#[derive(Debug)]
pub(crate) struct Budget {
    total: usize,
    per_address: usize,
    held: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

/// A part of a [`Budget`]; given back when dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    address: IpAddr,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Budget { total, per_address, held: Mutex::default() })
    }

    /// Bytes held now.
    pub(crate) fn held(&self) -> usize {
        lock(&self.held).0
    }

    /// An empty share for `address`.
    pub(crate) fn share(self: &Arc<Self>, address: IpAddr) -> Share {
        Share { budget: self.clone(), address: key_of(address), bytes: 0 }
    }
}

impl Share {
    /// Makes the share `bytes` large if it is smaller; false if the budget has no room for that.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return true;
        }
        let mut held = lock(&self.budget.held);
        let (total, by_address) = &mut *held;
        let own = by_address.get(&self.address).copied().unwrap_or(0);
        if *total + more > self.budget.total || own + more > self.budget.per_address {
            return false;
        }
        *total += more;
        by_address.insert(self.address, own + more);
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut held = lock(&self.budget.held);
        held.0 -= self.bytes;
        let left = held.1.get(&self.address).copied().unwrap_or(0).saturating_sub(self.bytes);
        if left == 0 {
            held.1.remove(&self.address);
        } else {
            held.1.insert(self.address, left);
        }
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
        assert!(limiter.allow(b, start));
        assert!(!limiter.allow(a, start + Duration::from_millis(400)));
        assert!(limiter.allow(a, start + Duration::from_millis(600)));
        // Mapped addresses are the same peer; an IPv6 /64 is one peer.
        assert!(!limiter.allow("::ffff:192.0.2.1".parse().expect("ip"), start + Duration::from_millis(600)));
        assert_eq!(key_of("2001:db8::1".parse().expect("ip")), key_of("2001:db8::ffff".parse().expect("ip")));
    }
    #[test]
    fn a_budget_is_shared_and_given_back() {
        let budget = Budget::new(100, 60);
        let (a, b): (IpAddr, IpAddr) = ("192.0.2.1".parse().expect("ip"), "192.0.2.2".parse().expect("ip"));
        let (mut first, mut second, mut third) = (budget.share(a), budget.share(a), budget.share(b));
        assert!(first.grow_to(50) && first.grow_to(50) && first.grow_to(10));
        assert!(!second.grow_to(20), "beyond the address");
        assert!(second.grow_to(10) && third.grow_to(40));
        assert!(!third.grow_to(41), "beyond the total");
        drop(first);
        assert!(third.grow_to(60) && second.grow_to(40));
        drop((second, third));
        assert_eq!(*lock(&budget.held), (0, HashMap::new()));
    }
}
