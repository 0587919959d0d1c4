//! Times are UTC milliseconds; a clock is something one is handed.

use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// A moment: milliseconds since 1970-01-01T00:00:00Z. Serialises as that number; prints as RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UtcMs(pub i64);

impl UtcMs {
    /// From whole seconds since the epoch.
    pub fn from_s(seconds: i64) -> Self {
        UtcMs(seconds.saturating_mul(1000))
    }

    /// Later by `duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        UtcMs(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Later by `seconds`, saturating.
    #[must_use]
    pub fn plus_s(self, seconds: u64) -> Self {
        self.plus(Duration::from_secs(seconds))
    }

    /// Time from `earlier` to self; zero if `earlier` is later.
    pub fn since(self, earlier: UtcMs) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As a calendar time. Moments outside the calendar of `jiff` (years −9999 to 9999) become its nearest end.
    pub fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// The same without its fraction of a second.
    #[must_use]
    pub fn whole_s(self) -> Self {
        UtcMs(self.0.saturating_sub(self.0.rem_euclid(1000)))
    }

    /// `14:05` in UTC, for logs of programs. People are shown the time of their own zone.
    pub fn hh_mm(self) -> String {
        self.to_jiff().strftime("%H:%M").to_string()
    }

    /// `2026-11-21` in UTC.
    pub fn date(self) -> String {
        self.to_jiff().strftime("%Y-%m-%d").to_string()
    }

    /// The calendar year in UTC.
    pub fn year(self) -> i16 {
        self.to_jiff().to_zoned(jiff::tz::TimeZone::UTC).year()
    }
}

impl From<jiff::Timestamp> for UtcMs {
    fn from(value: jiff::Timestamp) -> Self {
        UtcMs(value.as_millisecond())
    }
}

impl fmt::Display for UtcMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

impl fmt::Debug for UtcMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where `now` comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The current time.
    fn now(&self) -> UtcMs;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UtcMs {
        jiff::Timestamp::now().into()
    }
}

/// A clock that stands still until it is moved: for tests and the simulator's virtual time.
#[derive(Debug, Clone, Default)]
pub struct ManualClock(Arc<AtomicI64>);

impl ManualClock {
    /// Standing at `now`.
    pub fn new(now: UtcMs) -> Self {
        ManualClock(Arc::new(AtomicI64::new(now.0)))
    }

    /// Moves forward.
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> UtcMs {
        UtcMs(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_people_write_it() {
        let moment = UtcMs::from_s(1_795_271_400);
        assert_eq!(moment.to_string(), "2026-11-21T14:30:00Z");
        assert_eq!(
            (moment.hh_mm().as_str(), moment.date().as_str(), moment.year()),
            ("14:30", "2026-11-21", 2026)
        );
        assert_eq!(UtcMs(moment.0 + 999).whole_s(), moment);
        assert_eq!(UtcMs(-1).whole_s(), UtcMs(-1000));
        assert_eq!(moment.plus_s(60).since(moment), Duration::from_secs(60));
        assert_eq!(moment.since(moment.plus_s(60)), Duration::ZERO);
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for moment in [UtcMs(i64::MIN), UtcMs(i64::MAX)] {
            let _ = (moment.to_string(), moment.year(), moment.plus_s(u64::MAX));
        }
    }
}
