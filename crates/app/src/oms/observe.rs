//! What OLTs say by themselves: detected ONUs, states, light. A reconciler: it reads the OLT and the database, writes
//! what was observed, never what is wanted, and may be called at any time.

use super::{lease::lease_name, news::olt_news, saves::Unsaved};
use crate::{Actor, App, AppError, Change, Loop, Permission, work::wait};
use futures::{StreamExt, stream::FuturesUnordered};
use olt::driver::OltError;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::{
    AdminState, Guarded, OltObservedState, OltTaskState, StoreError,
    leases::{self, Lease},
    olts, rows, tasks, timeline,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use types::{OltId, OltTaskId};

/// Wait after a task was interrupted.
const AGAIN: Duration = Duration::from_secs(3);
/// OLTs spoken to at once.
const PARALLEL: usize = 16;
/// Tasks of one OLT looked at per round.
const TASKS: u64 = 64;

/// What is to be done on one OLT.
#[derive(Debug, Default)]
struct OltWork {
    tasks: Vec<OltTaskId>,
    save: Option<Unsaved>,
}

/// What came of reading an OLT now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OltReading {
    /// It was read; what is shown is new.
    Read,
    /// It did not answer.
    Silent {
        /// Why, as a sentence.
        why: String,
    },
    /// Another node works on it, and reads it too.
    Elsewhere {
        /// Which.
        node: String,
    },
    /// Another node took over meanwhile, so what was read is not taken in.
    Dropped,
    /// It is switched off in its settings and not read.
    SwitchedOff,
}

impl App {
    /// Carries out tasks on OLTs and reads what they see, until told to stop.
    pub async fn run_olt_workers(&self, stop: CancellationToken) {
        let tasks = self.run_olt_tasks(stop.clone());
        let observing = self.run_observers(stop.clone());
        futures::future::join3(tasks, observing, self.run_light(&stop)).await;
        if let Err(error) = self.release_olts().await {
            tracing::warn!(%error, "OLTs are free for other nodes only when the leases have run out");
        }
    }

    /// OLTs side by side, the tasks of one OLT in order. An OLT that hangs keeps only its own tasks waiting.
    async fn run_olt_tasks(&self, stop: CancellationToken) {
        let mut busy: BTreeSet<OltId> = BTreeSet::new();
        let mut running = FuturesUnordered::new();
        self.beat(Loop::OltTasks, AGAIN);
        while !stop.is_cancelled() {
            match self.olt_work().await {
                Ok(work) => {
                    self.beat(Loop::OltTasks, AGAIN);
                    for (olt, work) in work {
                        if busy.insert(olt) {
                            running.push(self.work_on_olt(olt, work, stop.clone()));
                        }
                    }
                }
                Err(error) => tracing::error!(%error, "tasks on OLTs stop for a moment"),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(olt) = running.next() => {
                    busy.remove(&olt);
                }
                () = self.olts_woken() => {}
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
        self.beats_no_more(Loop::OltTasks);
        // What was begun is brought to a point from which it can go on.
        while running.next().await.is_some() {}
    }

    /// What is to be done, by OLT.
    async fn olt_work(&self) -> Result<BTreeMap<OltId, OltWork>, AppError> {
        let mut work: BTreeMap<OltId, OltWork> = BTreeMap::new();
        let disabled: BTreeMap<OltId, rows::Olt> = olts::all(self.store())
            .await?
            .into_iter()
            .filter(|olt| olt.admin_state != AdminState::Enabled)
            .map(|olt| (olt.id, olt))
            .collect();
        for task in tasks::due(self.store(), self.now(), TASKS).await? {
            match disabled.get(&task.olt_id) {
                Some(olt) => self.waits_for_its_olt(&task, olt).await?,
                None => work.entry(task.olt_id).or_default().tasks.push(task.id),
            }
        }
        for unsaved in self.unsaved_olts().await? {
            let olt = unsaved.olt;
            if !disabled.contains_key(&olt) {
                work.entry(olt).or_default().save = Some(unsaved);
            }
        }
        Ok(work)
    }

    /// Nobody speaks to a disabled OLT; the task says so, once.
    async fn waits_for_its_olt(&self, task: &rows::OltTask, olt: &rows::Olt) -> Result<(), AppError> {
        let text = match task.state {
            OltTaskState::Pending => format!(
                "{} is disabled: nothing is sent to it. The task begins when somebody enables it, and may be cancelled \
                 before that.",
                olt.name
            ),
            _ => format!(
                "{} is disabled: nothing more is sent to it. The task goes on from reading back when somebody enables it.",
                olt.name
            ),
        };
        if task.reason == text {
            return Ok(());
        }
        let (id, state, step, now) = (task.id, task.state, task.step.clone(), self.now());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let stay = tasks::TaskMove { from: state, to: state, step: &step, reason: &text };
                    // Overtaken: somebody else says how it stands.
                    let _stays: Guarded = tasks::transition(tx, id, stay, now).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Task(id));
        Ok(())
    }

    async fn work_on_olt(&self, olt: OltId, work: OltWork, stop: CancellationToken) -> OltId {
        let all_done = async {
            let _turn = self.olts().turns.take(olt);
            let mut all_done = true;
            for id in work.tasks {
                if stop.is_cancelled() || self.may_act_on(olt).await?.is_none() {
                    return Ok(false);
                }
                match self.leased(olt, self.carry_on(id)).await {
                    Ok(ended) => all_done &= ended,
                    Err(error) => {
                        tracing::error!(task = %id, %error, "a task cannot be carried on now");
                        all_done = false;
                    }
                }
            }
            if let Some(unsaved) = work.save {
                if self.may_act_on(olt).await?.is_none() {
                    return Ok(false);
                }
                self.leased(olt, self.save_olt(unsaved)).await?;
            }
            Ok::<_, AppError>(all_done)
        };
        match all_done.await {
            Ok(true) => {}
            Ok(false) => wait(&stop, AGAIN).await,
            Err(error) => {
                tracing::error!(%olt, %error, "work on an OLT stops for a moment");
                wait(&stop, AGAIN).await;
            }
        }
        olt
    }

    async fn run_observers(&self, stop: CancellationToken) {
        let pause = || Duration::from_secs(self.policy().autofind_interval_s);
        self.beat(Loop::OltReads, pause());
        while !stop.is_cancelled() {
            let observed = tokio::select! {
                () = stop.cancelled() => break,
                observed = self.observe_all() => observed,
            };
            match observed {
                Ok(()) => self.beat(Loop::OltReads, pause()),
                Err(error) => tracing::error!(%error, "OLTs cannot be read for a moment"),
            }
            wait(&stop, pause()).await;
        }
        self.beats_no_more(Loop::OltReads);
    }

    /// Reads every enabled OLT once.
    ///
    /// # Errors
    /// When the database fails; an OLT that does not answer is recorded as silent.
    pub async fn observe_all(&self) -> Result<(), AppError> {
        self.fresh_settings().await;
        let all = olts::all(self.store()).await?;
        let enabled: Vec<rows::Olt> =
            all.into_iter().filter(|olt| olt.admin_state == AdminState::Enabled).collect();
        // As soon as one is read the next begins: one that hangs keeps nobody waiting but its own place.
        let reading = futures::stream::iter(enabled.into_iter().map(|olt| async move {
            if let Err(error) = self.observe_olt(olt.id).await {
                // Of this OLT; the others are read all the same.
                tracing::error!(olt = %olt.name, %error, "what was read of an OLT cannot be taken in");
            }
        }));
        reading.buffer_unordered(PARALLEL).collect::<()>().await;
        Ok(())
    }

    /// Reads one OLT now, for somebody who waits for it, and says what came of it.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`], or when the database fails.
    pub async fn read_olt_now(&self, actor: &Actor, id: OltId) -> Result<OltReading, AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let olt: rows::Olt = self.found(id, "OLT").await?;
        if olt.admin_state != AdminState::Enabled {
            return Ok(OltReading::SwitchedOff);
        }
        if self.may_act_on(id).await?.is_none() {
            let owner = leases::owner(self.store(), &lease_name(id)).await?;
            return Ok(OltReading::Elsewhere { node: owner.unwrap_or_default() });
        }
        self.observe_olt(id).await?;
        let now: rows::Olt = self.found(id, "OLT").await?;
        Ok(if now.observed_at <= olt.observed_at {
            OltReading::Dropped
        } else if now.observed_state == OltObservedState::Answering {
            OltReading::Read
        } else {
            OltReading::Silent { why: now.observed_reason.unwrap_or_default() }
        })
    }

    /// One look at an OLT. Looks take turns: the older of two that meet must not be noted over the newer. One that began
    /// and was noted while this waited for its turn is as good, so that nobody waits for more than two.
    async fn observe_olt(&self, id: OltId) -> Result<(), AppError> {
        let asked = Instant::now();
        let look = self.olts().look_at(id);
        let mut last = look.lock().await;
        if last.is_some_and(|began| began >= asked) {
            return Ok(());
        }
        // As it is now: it may have been changed, or noted as it is, since it was asked for.
        let Some(olt) = self.store().get::<rows::Olt>(id).await? else { return Ok(()) };
        if olt.admin_state != AdminState::Enabled {
            return Ok(());
        }
        let Some(lease) = self.may_act_on(id).await? else { return Ok(()) };
        let _turn = self.olts().turns.take(id);
        let began = Instant::now();
        let stored = match self.leased(id, self.read_olt(&olt, &lease)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => self.olt_is_silent(&olt, &error, lease).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(()) => {
                *last = Some(began);
                Ok(())
            }
            Err(AppError::Store(error @ StoreError::Fenced { .. })) => {
                tracing::info!(olt = %olt.name, %error, "what was read of an OLT is dropped");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn olt_is_silent(&self, olt: &rows::Olt, error: &OltError, lease: Lease) -> Result<(), AppError> {
        let (id, now) = (olt.id, self.now());
        let seen = olts::OltObservation {
            state: OltObservedState::Silent,
            reason: Some(error.to_string().chars().take(1000).collect()),
            observed: None,
            at: now,
        };
        let news = rows::TimelineEntry {
            next_text: Some("It is tried again by itself; what was read before keeps its age.".into()),
            ..olt_news(
                olt,
                now,
                store::Severity::Bad,
                "olt_silent",
                format!("{} cannot be read: {error}", olt.name),
            )
        };
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    // Others may have looked at the same time: it is told by whoever notes it first.
                    if olts::observe(tx, id, seen).await? != Some(OltObservedState::Silent) {
                        timeline::append(tx, &news).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Olt(id));
        Ok(())
    }
}
