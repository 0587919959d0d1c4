//! What OLTs say by themselves: detected ONUs, states, light. A reconciler: it reads the OLT and the database, writes
//! what was observed, never what is wanted, and may be called at any time.

use super::address;
use super::authorise::{presence, run_word};
use super::saves::Unsaved;
use crate::{App, AppError, Change, work::wait};
use futures::{StreamExt, stream::FuturesUnordered};
use olt::driver::{OltError, OnuState};
use provisioning::Event;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};
use store::{
    AdminState, OltObservedState, Presence, StoreError, cpes, detected, olts, onus, rows, settings, tasks,
    timeline,
};
use tokio_util::sync::CancellationToken;
use types::{OltId, OnuRowId, PonPath, UtcMs};

/// A node has an OLT for itself for so long; renewed while it works on it. When a node dies, others wait no longer.
const LEASE: Duration = Duration::from_secs(30);
/// Wait after a task was interrupted.
const AGAIN: Duration = Duration::from_secs(3);
/// OLTs spoken to at once.
const PARALLEL: usize = 16;
/// Unfinished tasks looked at per round.
const TASKS: u64 = 500;

fn lease_name(olt: OltId) -> String {
    format!("olt:{olt}")
}

/// What is to be done on one OLT.
#[derive(Debug, Default)]
struct OltWork {
    tasks: Vec<rows::OltTask>,
    save: Option<Unsaved>,
}

impl App {
    /// Carries out tasks on OLTs and reads what they see, until told to stop.
    pub async fn run_olt_workers(&self, stop: CancellationToken) {
        let tasks = self.run_olt_tasks(stop.clone());
        let observing = self.run_observers(stop);
        futures::future::join(tasks, observing).await;
        if let Err(error) = self.release_olts().await {
            tracing::warn!(%error, "OLTs are free for other nodes only when the leases have run out");
        }
    }

    /// Whoever comes next need not wait for the leases to run out.
    async fn release_olts(&self) -> Result<(), AppError> {
        let names: Vec<String> =
            olts::all(self.store()).await?.into_iter().map(|olt| lease_name(olt.id)).collect();
        let node = self.node().to_owned();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    for name in &names {
                        settings::release_lease(tx, name, &node).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok(())
    }

    /// OLTs side by side, the tasks of one OLT in order. An OLT that hangs keeps only its own tasks waiting.
    async fn run_olt_tasks(&self, stop: CancellationToken) {
        let mut busy: BTreeSet<OltId> = BTreeSet::new();
        let mut running = FuturesUnordered::new();
        while !stop.is_cancelled() {
            match self.olt_work().await {
                Ok(work) => {
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
        // What was begun is brought to a point from which it can go on.
        while running.next().await.is_some() {}
    }

    /// What is to be done, by OLT.
    async fn olt_work(&self) -> Result<BTreeMap<OltId, OltWork>, AppError> {
        let mut work: BTreeMap<OltId, OltWork> = BTreeMap::new();
        for task in tasks::unfinished(self.store(), TASKS).await? {
            work.entry(task.olt_id).or_default().tasks.push(task);
        }
        for unsaved in self.unsaved_olts().await? {
            work.entry(unsaved.olt).or_default().save = Some(unsaved);
        }
        Ok(work)
    }

    async fn work_on_olt(&self, olt: OltId, work: OltWork, stop: CancellationToken) -> OltId {
        let all_done = async {
            let mut all_done = true;
            for task in work.tasks {
                if stop.is_cancelled() || !self.may_act_on(olt).await? {
                    return Ok(false);
                }
                let id = task.id;
                match self.leased(olt, self.carry_on(task)).await {
                    Ok(ended) => all_done &= ended,
                    Err(error) => {
                        tracing::error!(task = %id, %error, "a task cannot be carried on now");
                        all_done = false;
                    }
                }
            }
            if let Some(unsaved) = work.save {
                if !self.may_act_on(olt).await? {
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

    /// Does something on an OLT and keeps the OLT for this node as long as it takes.
    pub(super) async fn leased<T>(
        &self,
        olt: OltId,
        work: impl Future<Output = Result<T, AppError>>,
    ) -> Result<T, AppError> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = tokio::time::sleep(LEASE / 4) => {
                    // What is begun is finished in any case; the lease only keeps others from beginning.
                    match self.may_act_on(olt).await {
                        Ok(true) => {}
                        Ok(false) => tracing::warn!(%olt, "another node has taken this OLT meanwhile"),
                        Err(error) => tracing::warn!(%olt, %error, "the lease on an OLT cannot be renewed"),
                    }
                }
            }
        }
    }

    /// Among the nodes of an installation one speaks to an OLT at a time.
    pub(super) async fn may_act_on(&self, olt: OltId) -> Result<bool, AppError> {
        let (name, node) = (lease_name(olt), self.node().to_owned());
        Ok(self
            .store()
            .write(move |tx| Box::pin(async move { settings::acquire_lease(tx, &name, &node, LEASE).await }))
            .await?)
    }

    async fn run_observers(&self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let observed = tokio::select! {
                () = stop.cancelled() => return,
                observed = self.observe_all() => observed,
            };
            if let Err(error) = observed {
                tracing::error!(%error, "OLTs cannot be read for a moment");
            }
            wait(&stop, Duration::from_secs(self.policy().autofind_interval_s)).await;
        }
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
            if let Err(error) = self.observe_olt(&olt).await {
                // Of this OLT; the others are read all the same.
                tracing::error!(olt = %olt.name, %error, "what was read of an OLT cannot be taken in");
            }
        }));
        reading.buffer_unordered(PARALLEL).collect::<()>().await;
        Ok(())
    }

    async fn observe_olt(&self, olt: &rows::Olt) -> Result<(), AppError> {
        if !self.may_act_on(olt.id).await? {
            return Ok(());
        }
        match self.leased(olt.id, self.read_olt(olt)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => self.olt_is_silent(olt, &error).await,
            Err(error) => Err(error),
        }
    }

    async fn olt_is_silent(&self, olt: &rows::Olt, error: &OltError) -> Result<(), AppError> {
        let (id, now) = (olt.id, self.now());
        let seen = olts::OltObservation {
            state: OltObservedState::Silent,
            reason: Some(error.to_string().chars().take(1000).collect()),
            observed: None,
            at: now,
        };
        let news = (olt.observed_state != OltObservedState::Silent).then(|| rows::TimelineEntry {
            at: now,
            kind: "olt".into(),
            olt_id: Some(id),
            severity: store::Severity::Bad,
            code: "olt_silent".into(),
            text: format!("{} cannot be read: {error}", olt.name),
            next_text: Some("It is tried again by itself; what was read before keeps its age.".into()),
            actor: "system:oms".into(),
            facts: serde_json::json!({}),
            ..Default::default()
        });
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    olts::observe(tx, id, seen).await?;
                    if let Some(news) = &news {
                        timeline::append(tx, news).await?;
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Olt(id));
        Ok(())
    }

    /// The outer error is ours, the inner one the OLT's.
    async fn read_olt(&self, olt: &rows::Olt) -> Result<Result<(), OltError>, AppError> {
        macro_rules! told {
            ($asked:expr) => {
                match $asked {
                    Ok(answer) => answer,
                    Err(error) => return Ok(Err(error)),
                }
            };
        }
        let line = self.olt_line(olt).await?;
        let facts = if olt.observed_state == OltObservedState::Answering && !olt.observed.is_null() {
            None
        } else {
            Some(told!(line.handle.probe().await))
        };
        let ports = told!(line.handle.pon_ports(0).await);
        let at = self.now();
        let sightings = told!(line.handle.discover().await);
        let planned = onus::of_olt(self.store(), olt.id, None).await?;
        let pons: BTreeSet<PonPath> = planned.iter().map(|onu| onu.pon).collect();
        let mut states: HashMap<PonPath, Vec<OnuState>> = HashMap::new();
        for pon in pons {
            states.insert(pon, told!(line.handle.onu_states(pon).await));
        }
        let online = planned
            .iter()
            .filter(|onu| onu.service_id.is_some() && is_online(found_in(&states, onu)))
            .map(|onu| {
                // As it will be stored: what was known of one that had been away may be void.
                let observed = observation_of(onu, found_in(&states, onu), at).observed.unwrap_or_default();
                rows::Onu { observed, ..onu.clone() }
            })
            .collect();
        self.store_reading(olt, facts, ports, sightings, planned, states, at).await?;
        self.read_addresses(olt, &line, online).await?;
        Ok(Ok(()))
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one reading has that many parts, and they are stored together"
    )]
    async fn store_reading(
        &self,
        olt: &rows::Olt,
        facts: Option<olt::plan::Facts>,
        ports: Vec<(PonPath, olt::model::PonPort)>,
        sightings: Vec<olt::model::DetectedOnu>,
        planned: Vec<rows::Onu>,
        states: HashMap<PonPath, Vec<OnuState>>,
        at: UtcMs,
    ) -> Result<(), AppError> {
        let id = olt.id;
        let observation = olts::OltObservation {
            state: OltObservedState::Answering,
            reason: None,
            observed: facts.map(|facts| {
                serde_json::json!({
                    "dialect": facts.dialect.name, "version": facts.version.version,
                    "product": facts.version.product, "patch": facts.version.patch,
                })
            }),
            at,
        };
        let back = (olt.observed_state == OltObservedState::Silent).then(|| rows::TimelineEntry {
            at,
            kind: "olt".into(),
            olt_id: Some(id),
            severity: store::Severity::Ok,
            code: "olt_answers".into(),
            text: format!("{} answers again.", olt.name),
            actor: "system:oms".into(),
            facts: serde_json::json!({}),
            ..Default::default()
        });
        let mut count: BTreeMap<PonPath, i64> = BTreeMap::new();
        for (pon, states) in &states {
            count.insert(*pon, i64::try_from(states.len()).unwrap_or(i64::MAX));
        }
        let seen: Vec<detected::Sighting> = sightings
            .into_iter()
            .map(|onu| detected::Sighting {
                olt_id: id,
                pon: onu.pon,
                serial: onu.serial,
                vendor: onu.vendor.unwrap_or_default(),
                equipment_id: onu.equipment_id.unwrap_or_default(),
                software_version: onu.software_version.unwrap_or_default(),
                hardware_version: onu.hardware_version.unwrap_or_default(),
                at,
            })
            .collect();
        let (mut events, mut changed) = (Vec::new(), Vec::new());
        for onu in &planned {
            let found = found_in(&states, onu);
            let now = found.map_or(Presence::NotPresent, |state| presence(state.row.run_state));
            match (onu.presence, now) {
                (Presence::InService, Presence::NotPresent) => events.push((onu.serial, Event::OnuOffline)),
                (Presence::NotPresent, Presence::InService) => events.push((onu.serial, Event::OnuFlapped)),
                _ => {}
            }
            if observation_of(onu, found, at).is_news(onu) {
                changed.push(onu.id);
            }
        }
        let places: HashMap<OnuRowId, (PonPath, i64)> =
            planned.iter().map(|onu| (onu.id, (onu.pon, onu.onu_id))).collect();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    olts::observe(tx, id, observation).await?;
                    if let Some(back) = &back {
                        timeline::append(tx, back).await?;
                    }
                    for (pon, port) in ports {
                        let word = if port.optics_online { "up" } else { "down" };
                        olts::observe_port(tx, id, pon, word, count.get(&pon).copied().unwrap_or(0), at)
                            .await?;
                    }
                    for sighting in seen {
                        let known = onus::by_serial(tx, sighting.serial).await?;
                        if known.is_some_and(|onu| onu.olt_id == id && onu.authorised_at >= Some(at)) {
                            // Authorised after the list was read: it waits no longer.
                            continue;
                        }
                        detected::saw(tx, sighting).await?;
                    }
                    detected::mark_gone(tx, id, at).await?;
                    // With what others have read of them meanwhile; who has moved is looked at next time.
                    for onu in onus::of_olt(tx, id, None).await? {
                        if places.get(&onu.id) == Some(&(onu.pon, onu.onu_id)) {
                            let observation = observation_of(&onu, found_in(&states, &onu), at);
                            onus::observe(tx, onu.id, observation).await?;
                        }
                    }
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Olt(id));
        self.bus().say(Change::Detected(id));
        for onu in changed {
            self.bus().say(Change::Onu(onu));
        }
        for (serial, event) in events {
            for cpe in cpes::by_pon_serial(self.store(), serial).await? {
                if let Some(service) = cpe.service_id {
                    self.bus().say(Change::Service(service));
                    if let Err(error) = self.feed(cpe.id, event.clone()).await {
                        tracing::error!(cpe = %cpe.id, %error, "a CPE could not be told what its OLT saw");
                    }
                }
            }
        }
        Ok(())
    }
}

/// The row of an ONU in what was read of its OLT.
fn found_in<'a>(states: &'a HashMap<PonPath, Vec<OnuState>>, onu: &rows::Onu) -> Option<&'a OnuState> {
    states
        .get(&onu.pon)?
        .iter()
        .find(|state| state.row.serial == Some(onu.serial) && i64::from(state.row.onu_id) == onu.onu_id)
}

fn is_online(found: Option<&OnuState>) -> bool {
    found.is_some_and(|state| presence(state.row.run_state) == Presence::InService)
}

/// What the OLT says of an ONU; one that it no longer lists is not there.
fn observation_of(onu: &rows::Onu, found: Option<&OnuState>, at: UtcMs) -> onus::OnuObservation {
    let presence = found.map_or(Presence::NotPresent, |state| presence(state.row.run_state));
    let summary = found.and_then(|state| state.summary.as_ref());
    let gone = serde_json::json!({ "missing_on_olt": true });
    onus::OnuObservation {
        presence,
        run_state: found.map_or("missing", |state| run_word(state.row.run_state)).to_owned(),
        last_down_cause: summary.and_then(|s| s.last_down_cause.clone()),
        rx_onu_cdbm: summary.and_then(|s| s.rx_power_cdbm).map(i64::from),
        rx_olt_cdbm: None,
        distance_m: summary.and_then(|s| s.distance_m).map(i64::from),
        observed: match found {
            Some(state) => {
                let mut observed = onu.observed.as_object().cloned().unwrap_or_default();
                observed.remove("missing_on_olt");
                if presence != Presence::InService {
                    address::forget(&mut observed, Some(at));
                } else if onu.presence != Presence::InService {
                    address::forget(&mut observed, onu.observed_at);
                }
                observed.insert("config_state".into(), serde_json::json!(state.row.config_state));
                observed.insert("match_state".into(), serde_json::json!(state.row.match_state));
                observed.insert("description".into(), serde_json::json!(state.row.description));
                Some(serde_json::Value::Object(observed))
            }
            None => Some(gone),
        },
        at,
    }
}
