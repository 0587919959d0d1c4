//! When the loops of this process last got round: what it does by itself, and whether it does it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use types::UtcMs;

/// Something that a process does again and again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loop {
    /// Says that the process runs.
    Presence,
    /// Timers of CPEs.
    Timers,
    /// Jobs: connection requests.
    Jobs,
    /// Sessions that died with their process.
    LostSessions,
    /// CPEs that were not believed.
    SecondLooks,
    /// Orders to OLTs.
    OltTasks,
    /// Reading of OLTs.
    OltReads,
    /// Reading of the light of ONUs.
    OltLight,
}

impl Loop {
    /// Those of [`App::run_workers`](crate::App::run_workers).
    pub const OF_WORK: [Loop; 4] = [Loop::Timers, Loop::Jobs, Loop::LostSessions, Loop::SecondLooks];
    /// Those of [`App::run_olt_workers`](crate::App::run_olt_workers).
    pub const OF_POLL: [Loop; 3] = [Loop::OltTasks, Loop::OltReads, Loop::OltLight];

    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Loop::Presence => "saying that it runs",
            Loop::Timers => "timers of CPEs",
            Loop::Jobs => "jobs (connection requests)",
            Loop::LostSessions => "sessions that died",
            Loop::SecondLooks => "second looks at CPEs",
            Loop::OltTasks => "orders to OLTs",
            Loop::OltReads => "reading OLTs",
            Loop::OltLight => "reading the light of ONUs",
        }
    }

    /// Longer than any round that ends well. Reading OLTs takes as long as the slowest of them besides.
    fn late_after(self) -> Duration {
        match self {
            Loop::Presence | Loop::Timers | Loop::OltTasks => Duration::from_secs(90),
            Loop::Jobs | Loop::LostSessions | Loop::SecondLooks => Duration::from_secs(180),
            Loop::OltReads | Loop::OltLight => Duration::from_secs(900),
        }
    }
}

/// When a loop last got round without trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// Which.
    pub of: Loop,
    /// At; before the first time, when it was started.
    pub at: UtcMs,
    /// That is too long ago: it hangs, or what it needs fails again and again.
    pub late: bool,
}

/// The loops that were started in this process.
#[derive(Debug, Default)]
pub(crate) struct Beats(Mutex<BTreeMap<Loop, (UtcMs, Duration)>>);

impl Beats {
    /// It got round, or starts; `pause` is what it waits before the next time.
    pub(crate) fn note(&self, of: Loop, now: UtcMs, pause: Duration) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(of, (now, pause));
    }

    /// It was told to stop.
    pub(crate) fn forget(&self, of: Loop) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&of);
    }

    pub(crate) fn all(&self, now: UtcMs) -> Vec<Beat> {
        let beats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let beat = |(of, (at, pause)): (&Loop, &(UtcMs, Duration))| Beat {
            of: *of,
            at: *at,
            late: now.since(*at) > of.late_after() + *pause,
        };
        beats.iter().map(beat).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_late_when_it_did_not_get_round_for_longer_than_it_takes() {
        let beats = Beats::default();
        let start = UtcMs(1_000_000);
        beats.note(Loop::Timers, start, Duration::ZERO);
        beats.note(Loop::OltReads, start, Duration::from_secs(3600));
        let late = |after_s: u64| -> Vec<Loop> {
            let all = beats.all(start.plus_s(after_s));
            all.into_iter().filter(|beat| beat.late).map(|beat| beat.of).collect()
        };
        assert_eq!(late(90), []);
        assert_eq!(late(91), [Loop::Timers]);
        assert_eq!(late(3600 + 901), [Loop::Timers, Loop::OltReads]);
        beats.note(Loop::Timers, start.plus_s(60), Duration::ZERO);
        assert_eq!(late(150), []);
        beats.forget(Loop::Timers);
        assert_eq!(beats.all(start).len(), 1, "what does not run is not late");
    }
}
