//! What runs by itself: changed wishes, timers of devices, queued jobs, sessions that died, second looks at who was not
//! believed, the OLT reconciler, housekeeping. Every part can be stopped and started at any moment; what it was doing is
//! in the database.

use crate::{App, AppError, Loop, cpe::CONNECTION_REQUEST};
use futures::{StreamExt, stream::FuturesUnordered};
use provisioning::{Event, Timer};
use std::{pin::pin, time::Duration};
use store::{cpes, jobs};
use tokio_util::sync::CancellationToken;
use types::CpeId;

/// How long a job belongs to a worker before another may take it.
const LEASE: Duration = Duration::from_secs(60);
/// Connection requests under way at once.
const PARALLEL: usize = 32;
/// Wait after the first failure of a job.
const BACKOFF: Duration = Duration::from_secs(5);
/// Timers taken per look.
const TIMERS: u64 = 500;
/// How often to look when nobody rings. Short, because timers are due by the second.
pub(crate) const TICK: Duration = Duration::from_millis(500);
const HOUSEKEEPING: Duration = Duration::from_secs(600);

impl App {
    /// Runs timers and jobs until told to stop. Several nodes may do so at once. Timers do not wait for jobs: a CPE that
    /// is slow to answer a connection request must not hold up the others.
    pub async fn run_workers(&self, stop: CancellationToken) {
        let timers = self.run_loop(Loop::Timers, &stop, Self::tell_and_fire);
        let jobs = self.run_loop(Loop::Jobs, &stop, Self::run_jobs);
        let tidying = async {
            while !stop.is_cancelled() {
                wait(&stop, HOUSEKEEPING).await;
                if let Err(error) = self.tidy_up().await {
                    tracing::error!(%error, "old records cannot be removed");
                }
            }
        };
        let second_looks = self.run_second_looks(&stop);
        futures::future::join5(timers, jobs, tidying, self.run_recovery(&stop), second_looks).await;
    }

    async fn run_loop(
        &self,
        of: Loop,
        stop: &CancellationToken,
        round: impl AsyncFn(&Self, &CancellationToken) -> Result<(), AppError>,
    ) {
        self.beat(of, TICK);
        while !stop.is_cancelled() {
            // Asked for before looking, so that what rings while we look is not lost.
            let rung = self.woken();
            match round(self, stop).await {
                Ok(()) => self.beat(of, TICK),
                Err(error) => {
                    tracing::error!(%error, "work stops for a moment");
                    wait(stop, Duration::from_secs(2)).await;
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = rung => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
        self.beats_no_more(of);
    }

    /// One round: every changed wish, timer and job that is due. [`App::run_workers`] does nothing else, again and again.
    ///
    /// # Errors
    /// When the database fails; what is due stays due.
    pub async fn work_once(&self) -> Result<(), AppError> {
        let stop = CancellationToken::new();
        self.tell_and_fire(&stop).await?;
        self.run_jobs(&stop).await
    }

    /// Changed wishes first: a timer that is due goes on from what is wanted now.
    async fn tell_and_fire(&self, stop: &CancellationToken) -> Result<(), AppError> {
        self.tell_wishes().await?;
        self.fire_timers(stop).await
    }

    async fn fire_timers(&self, stop: &CancellationToken) -> Result<(), AppError> {
        let now = self.now();
        for timer in cpes::timers_due(self.store(), now, TIMERS).await? {
            if stop.is_cancelled() {
                break;
            }
            let Some(kind) = Timer::parse(&timer.timer) else {
                tracing::error!(timer = %timer.timer, "a timer of an unknown kind is dropped");
                continue;
            };
            self.fire(timer.cpe_id, kind).await;
        }
        Ok(())
    }

    /// Until none is due and none is under way. As soon as one ends the next begins, and what is ordered meanwhile begins
    /// at once if there is room: a CPE that is slow to answer takes one place and no more. Told to stop, what is under
    /// way is finished: dropped in the middle, nobody would know whether it was sent.
    async fn run_jobs(&self, stop: &CancellationToken) -> Result<(), AppError> {
        let mut under_way = FuturesUnordered::new();
        let mut trouble = None;
        loop {
            // Asked for before looking, so that what rings while we look is not lost.
            let rung = self.woken();
            let room = PARALLEL.saturating_sub(under_way.len());
            let goes_on = trouble.is_none() && !stop.is_cancelled();
            if room > 0 && goes_on {
                let mut taking = pin!(self.lease_jobs(room));
                // What is under way goes on meanwhile: it may hold the very connection that taking more waits for.
                let taken = loop {
                    tokio::select! {
                        taken = &mut taking => break taken,
                        Some(()) = under_way.next() => {}
                    }
                };
                match taken {
                    Ok(taken) => {
                        // A round may last as long as there is something to do.
                        self.beat(Loop::Jobs, TICK);
                        under_way.extend(taken.into_iter().map(|job| self.run_job(job)));
                    }
                    Err(error) => trouble = Some(error),
                }
            }
            if under_way.is_empty() {
                return trouble.map_or(Ok(()), Err);
            }
            let looks = goes_on && under_way.len() < PARALLEL;
            tokio::select! {
                _ = under_way.next() => {}
                () = rung, if looks => {}
                () = tokio::time::sleep(TICK), if looks => {}
            }
        }
    }

    async fn lease_jobs(&self, most: usize) -> Result<Vec<store::rows::Job>, AppError> {
        let (node, most) = (self.node().to_owned(), most as u64);
        Ok(self
            .store()
            .write(move |tx| {
                Box::pin(async move { jobs::lease(tx, &[CONNECTION_REQUEST], &node, LEASE, most).await })
            })
            .await?)
    }

    /// The timer stays due until the machine's step is stored, so nothing is lost when the process dies here.
    async fn fire(&self, cpe: CpeId, timer: Timer) {
        match self.feed(cpe, Event::TimerFired(timer)).await {
            Ok(_) | Err(AppError::NotFound(_)) => {}
            Err(error) => {
                tracing::error!(%cpe, timer = timer.as_str(), %error, "a timer could not be carried out")
            }
        }
    }

    async fn run_job(&self, job: store::rows::Job) {
        let cpe = job.payload.get("cpe").and_then(serde_json::Value::as_i64).map(CpeId);
        let result = match cpe {
            Some(cpe) => self.request_connection(cpe, &job).await,
            None => Err(AppError::Internal("a connection request names no CPE".into())),
        };
        let (id, node) = (job.id, self.node().to_owned());
        let done = match result {
            Ok(()) | Err(AppError::NotFound(_)) => {
                self.store()
                    .write(move |tx| Box::pin(async move { jobs::complete(tx, id, &node).await }))
                    .await
            }
            Err(error) => {
                tracing::error!(job = %id, %error, "a job failed");
                let text = error.to_string();
                self.store()
                    .write(move |tx| Box::pin(async move { jobs::fail(tx, id, &node, &text, BACKOFF).await }))
                    .await
            }
        };
        if let Err(error) = done {
            tracing::error!(job = %id, %error, "the end of a job cannot be stored; it will be looked at again");
        }
    }

    async fn tidy_up(&self) -> Result<(), AppError> {
        let bounds = store::retention::Bounds::default();
        loop {
            let bounds = bounds.clone();
            let gone = self
                .store()
                .write(move |tx| Box::pin(async move { store::retention::sweep(tx, &bounds, 1000).await }))
                .await?;
            if gone == 0 {
                break;
            }
        }
        self.reload_settings().await
    }
}

/// Waits, or stops waiting when told to.
pub(crate) async fn wait(stop: &CancellationToken, how_long: Duration) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = tokio::time::sleep(how_long) => {}
    }
}
