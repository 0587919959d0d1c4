//! Sessions that died with the process that held them, and what their devices need then.
//!
//! A device in the middle of a plan waits for the next step of its session. When the process dies, nobody takes that
//! step, and a CPE that found nobody for a while may stay silent for more than an hour. So whoever does work looks for
//! such sessions, at the start and from time to time, and tells the machines of their devices; a machine asks for a new
//! session by its own rules. Every process says by a lease that it runs, so that no node takes a session for dead that
//! another one holds.

use super::live::CONNECTION_REQUEST;
use crate::{App, AppError, Loop, work::wait};
use provisioning::{Event, SessionEnd, State, Timer};
use std::time::Duration;
use store::{jobs, leases, orphans, orphans::Midway};
use tokio_util::sync::CancellationToken;
use types::UtcMs;

/// A process that has not said for so long that it runs does not run.
const PRESENCE: Duration = Duration::from_secs(30);
/// How often it says so: two may get lost.
const SAID_AGAIN: Duration = Duration::from_secs(10);
/// How often to look for sessions that died.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
/// How soon to look again while there are more.
const NEXT_ROUND: Duration = Duration::from_millis(500);
/// Devices of dead sessions that are being called at once: half of what is called at once at all, so that after the
/// death of a busy node orders of people are not kept waiting. Those that inform by themselves meanwhile are not called.
const AT_ONCE: u32 = 16;
/// Sessions ended in one unit of work.
const ENDED_AT_ONCE: u32 = 1000;
/// No session lasts longer: the machine asks nothing more after nine minutes, and an answer takes six at most. One that has no end by then although its process runs is a record that was not written.
const LONGEST_SESSION_MS: i64 = 15 * 60 * 1000;

const MIDWAY: Midway = Midway {
    states: [State::Ready.as_str(), State::Provisioning.as_str()],
    timers: [Timer::Watchdog.as_str(), Timer::Attempt.as_str(), Timer::VerifyCheck.as_str()],
};

impl App {
    /// Says that this process runs. Before any device is let in; then [`App::run_presence`] says it again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn join(&self) -> Result<(), AppError> {
        let process = self.process().to_owned();
        let name = format!("{}{process}", leases::PRESENCE);
        self.store()
            .write(move |tx| Box::pin(async move { leases::acquire(tx, &name, &process, PRESENCE).await }))
            .await?;
        Ok(())
    }

    /// Says that this process holds no sessions any more.
    ///
    /// # Errors
    /// When the database fails; others find out by themselves then.
    pub async fn leave(&self) -> Result<(), AppError> {
        let process = self.process().to_owned();
        let name = format!("{}{process}", leases::PRESENCE);
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    // Its own once more: nobody else has this name.
                    let Some(lease) = leases::acquire(tx, &name, &process, PRESENCE).await? else {
                        return Ok(false);
                    };
                    leases::release(tx, &lease).await
                })
            })
            .await?;
        Ok(())
    }

    /// Says again and again that this process runs, until told to stop.
    pub async fn run_presence(&self, stop: CancellationToken) {
        self.beat(Loop::Presence, SAID_AGAIN);
        while !stop.is_cancelled() {
            wait(&stop, SAID_AGAIN).await;
            if let Err(error) = self.write_refused().await {
                tracing::error!(%error, "addresses that were refused cannot be written down");
            }
            match self.join().await {
                Ok(()) => self.beat(Loop::Presence, SAID_AGAIN),
                Err(error) => tracing::error!(%error, "other nodes cannot be told that this one runs"),
            }
        }
        self.beats_no_more(Loop::Presence);
    }

    /// Looks for sessions that died with their process, until told to stop.
    pub(crate) async fn run_recovery(&self, stop: &CancellationToken) {
        self.beat(Loop::LostSessions, LOOK_AGAIN);
        while !stop.is_cancelled() {
            let pause = match self.recover().await {
                Ok(more) => {
                    self.beat(Loop::LostSessions, LOOK_AGAIN);
                    if more { NEXT_ROUND } else { LOOK_AGAIN }
                }
                Err(error) => {
                    tracing::error!(%error, "sessions that died with their process cannot be looked for");
                    LOOK_AGAIN
                }
            };
            wait(stop, pause).await;
        }
        self.beats_no_more(Loop::LostSessions);
    }

    /// One round of looking for sessions that died with their process: their records are ended, and the machines of
    /// devices that were in the middle of something are told, a few at a time. True if there is more to do.
    ///
    /// Whatever is interrupted is done in the next round, by any node: a device is told first, which starts a timer, and
    /// a device with a timer is not told again.
    ///
    /// # Errors
    /// When the database fails; nothing is lost by that.
    pub async fn recover(&self) -> Result<bool, AppError> {
        let before = UtcMs(self.now().0 - LONGEST_SESSION_MS);
        let ended = self
            .store()
            .write(move |tx| {
                Box::pin(async move { orphans::end_others(tx, &MIDWAY, before, ENDED_AT_ONCE).await })
            })
            .await?;
        let lost = orphans::lost(self.store(), &MIDWAY, AT_ONCE).await?;
        let called = jobs::open_count(self.store(), CONNECTION_REQUEST, AT_ONCE.into()).await?;
        let room = usize::try_from(u64::from(AT_ONCE).saturating_sub(called)).unwrap_or(0);
        let (mut told, mut done, found) = (0, 0, lost.len());
        for lost in lost.into_iter().take(room) {
            let ended = Event::SessionEnded(SessionEnd::Lost);
            match self.feed_unchanged(lost.cpe, lost.version, ended, None).await {
                Ok(true) => told += 1,
                // Somebody was quicker; the next round sees what came of it.
                Ok(false) => continue,
                Err(AppError::Store(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::error!(cpe = %lost.cpe, %error, "a device cannot be told that its session died");
                }
            }
            self.store()
                .write(move |tx| Box::pin(async move { orphans::end(tx, lost.session).await }))
                .await?;
            done += 1;
        }
        if ended > 0 || told > 0 {
            tracing::info!(
                ended,
                told,
                "sessions died with their process; devices in the middle of something are called"
            );
        }
        Ok(ended == u64::from(ENDED_AT_ONCE) || found == AT_ONCE as usize || found > done)
    }
}
