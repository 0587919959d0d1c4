//! The light of ONUs as their OLT reads it: PON by PON, when nothing else waits for the OLT. It is evidence, kept with its
//! time beside what else was observed of an ONU; what cannot be read keeps its age, and says why.

use super::registry::OltLine;
use crate::{App, AppError, Change, Loop, work::wait};
use futures::{StreamExt, stream::FuturesUnordered};
use olt::{driver::OltError, model::OnuOptics};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};
use store::{
    AdminState, OltObservedState, Presence, StoreError,
    leases::{self, Lease},
    olts, onus, rows,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use types::{OltId, PonPath, UtcMs};

/// Where it is kept in what was observed of an ONU.
const KEY: &str = "light";
/// The light of a PON is read again after so long at the earliest, in seconds. On an OLT with many PONs, or with much else
/// to do, it takes longer: light never takes more than a quarter of an OLT's time.
pub const LIGHT_AGAIN_S: u64 = 600;
const AGAIN: Duration = Duration::from_secs(LIGHT_AGAIN_S);
/// After so long where an ONU is online whose light was never read.
const UNREAD_AGAIN: Duration = Duration::from_secs(60);
/// PONs of one OLT in one round: a table of 128 ONUs takes an OLT seconds.
const PER_ROUND: usize = 8;
/// So long light waits until an OLT has nothing else to do, before the OLT is left alone for this time.
const WAIT: Duration = Duration::from_secs(60);
/// So long it waits for a table, its turn in the queue included.
const LONGEST_TABLE: Duration = Duration::from_secs(180);
/// After a table an OLT is left alone for so many times as long as the table took: light takes a quarter of its time.
const REST: u32 = 3;
/// Characters kept of why it could not be read.
const LONGEST: usize = 300;

fn rest_after(table: Duration) -> Duration {
    table.saturating_mul(REST)
}

/// When the light of which PON was asked for last, answered or not.
#[derive(Debug, Default)]
pub(crate) struct Asked(Mutex<HashMap<(OltId, PonPath), UtcMs>>);

impl Asked {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<(OltId, PonPath), UtcMs>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of one ONU's light, and since when it had not been read.
fn kept(seen: &OnuOptics, at: UtcMs, before: &serde_json::Value) -> serde_json::Value {
    serde_json::json!({
        "read_at": at, "before_at": before["read_at"], "source": "CLI", "rx_onu_cdbm": seen.rx_power_cdbm, "tx_onu_cdbm": seen.tx_power_cdbm,
        "rx_olt_cdbm": seen.olt_rx_power_cdbm, "temperature_c": seen.temperature_c,
        "voltage_mv": seen.voltage_mv, "current_ma": seen.current_ma,
    })
}

/// What is kept when it could not be read: what was read before, and why it is not younger.
fn unread(before: &serde_json::Value, why: &str) -> Option<serde_json::Value> {
    let why: String = why.chars().take(LONGEST).collect();
    if before["unread"] == why.as_str() {
        return None;
    }
    let mut kept = before.as_object().cloned().unwrap_or_default();
    kept.insert("unread".to_owned(), why.into());
    Some(serde_json::Value::Object(kept))
}

/// An OLT says nothing of the light of ONUs that are not there: what was read before stays.
fn says_something(seen: &OnuOptics) -> bool {
    seen.rx_power_cdbm.is_some() || seen.tx_power_cdbm.is_some() || seen.olt_rx_power_cdbm.is_some()
}

impl App {
    /// Reads the light of ONUs again and again, until told to stop. OLTs side by side: one that is slow, or has much else
    /// to do, keeps only its own light waiting.
    pub(super) async fn run_light(&self, stop: &CancellationToken) {
        let pause = || Duration::from_secs(self.policy().autofind_interval_s);
        self.beat(Loop::OltLight, pause());
        let mut busy: BTreeSet<OltId> = BTreeSet::new();
        let mut running = FuturesUnordered::new();
        while !stop.is_cancelled() {
            match self.olts_with_light().await {
                Ok(olts) => {
                    self.beat(Loop::OltLight, pause());
                    for olt in olts {
                        if busy.insert(olt.id) {
                            running.push(self.read_light_once(olt));
                        }
                    }
                }
                Err(error) => tracing::error!(%error, "the light of ONUs cannot be read for a moment"),
            }
            let tick = wait(stop, pause());
            tokio::pin!(tick);
            loop {
                tokio::select! {
                    () = &mut tick => break,
                    Some(olt) = running.next() => drop(busy.remove(&olt)),
                }
            }
        }
        self.beats_no_more(Loop::OltLight);
    }

    /// Reads the light of a few PONs of every OLT that answers, those that waited longest.
    ///
    /// # Errors
    /// When the database fails; what an OLT does not say is recorded at its ONUs.
    pub async fn read_light(&self) -> Result<(), AppError> {
        let reading = self.olts_with_light().await?.into_iter().map(|olt| self.read_light_once(olt));
        futures::future::join_all(reading).await;
        Ok(())
    }

    async fn olts_with_light(&self) -> Result<Vec<rows::Olt>, AppError> {
        let mut all = olts::all(self.store()).await?;
        all.retain(|olt| {
            olt.admin_state == AdminState::Enabled
                && olt.observed_state == OltObservedState::Answering
                // Whoever reads its ONUs has it; light alone takes an OLT from nobody.
                && self.lease_on(olt.id).is_some()
        });
        Ok(all)
    }

    async fn read_light_once(&self, olt: rows::Olt) -> OltId {
        match self.read_light_of(&olt).await {
            Ok(()) => {}
            Err(AppError::Store(error @ StoreError::Fenced { .. })) => {
                tracing::info!(olt = %olt.name, %error, "what was read of the light is dropped");
            }
            Err(error) => {
                tracing::error!(olt = %olt.name, %error, "the light of its ONUs cannot be taken in")
            }
        }
        olt.id
    }

    async fn read_light_of(&self, olt: &rows::Olt) -> Result<(), AppError> {
        let onus = onus::of_olt(self.store(), olt.id, None).await?;
        for pon in self.light_due(olt.id, &onus) {
            // Whoever has the OLT for longer: its light keeps its age, and is still due.
            if tokio::time::timeout(WAIT, self.olts().turns.free(olt.id)).await.is_err() {
                tracing::debug!(olt = %olt.name, "it is busy; its light is read another time");
                return Ok(());
            }
            let Some(lease) = self.may_act_on(olt.id).await? else { return Ok(()) };
            let line = self.olt_line(olt).await?;
            let asked: Vec<rows::Onu> = onus.iter().filter(|onu| onu.pon == pon).cloned().collect();
            let begun = Instant::now();
            let goes_on = self.leased(olt.id, self.read_light_on(olt, &line, pon, asked, &lease)).await?;
            tokio::time::sleep(rest_after(begun.elapsed())).await;
            if !goes_on {
                return Ok(());
            }
        }
        Ok(())
    }

    /// PONs with ONUs that are online, those that waited longest first.
    fn light_due(&self, olt: OltId, onus: &[rows::Onu]) -> Vec<PonPath> {
        let mut pons: BTreeMap<PonPath, bool> = BTreeMap::new();
        for onu in onus.iter().filter(|onu| onu.presence == Presence::InService) {
            *pons.entry(onu.pon).or_default() |= onu.observed[KEY].is_null();
        }
        let (now, asked) = (self.now(), self.olts().light.map());
        let mut due: Vec<(Option<UtcMs>, PonPath)> = pons
            .into_iter()
            .map(|(pon, unread)| (asked.get(&(olt, pon)).copied(), pon, unread))
            .filter(|(at, _, unread)| {
                // A clock that was set back does not stop it.
                at.is_none_or(|at| now < at || now.since(at) >= if *unread { UNREAD_AGAIN } else { AGAIN })
            })
            .map(|(at, pon, _)| (at, pon))
            .collect();
        due.sort_unstable();
        due.into_iter().take(PER_ROUND).map(|(_, pon)| pon).collect()
    }

    /// False: the OLT cannot be asked for more now.
    async fn read_light_on(
        &self,
        olt: &rows::Olt,
        line: &OltLine,
        pon: PonPath,
        asked: Vec<rows::Onu>,
        lease: &Lease,
    ) -> Result<bool, AppError> {
        let turns = self.olts().turns.clone();
        let Some(turn) = turns.take_for_light(olt.id) else { return Ok(true) };
        let id = olt.id;
        let question = line.handle.optics(pon, move || turns.is_free(id));
        let read = match tokio::time::timeout(LONGEST_TABLE, question).await {
            // Somebody came first; it is still due.
            Ok(Ok(None)) => return Ok(true),
            Ok(Ok(Some(table))) => Ok(table),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(OltError::Queue(format!("no answer within {} s", LONGEST_TABLE.as_secs()))),
        };
        drop(turn);
        let at = self.now();
        self.olts().light.map().insert((olt.id, pon), at);
        let (seen, why, goes_on) = match read {
            Ok(table) => {
                let why = table.missing.first().map(ToString::to_string);
                if let Some(why) = &why {
                    tracing::warn!(olt = %olt.name, %pon, %why, "not all of its light can be read");
                }
                (table.rows, why, true)
            }
            Err(error) => {
                tracing::warn!(olt = %olt.name, %pon, %error, "its light cannot be read");
                let goes_on = !error.is_transport() && !matches!(error, OltError::Queue(_));
                (Vec::new(), Some(error.to_string()), goes_on)
            }
        };
        let seen: HashMap<i64, OnuOptics> =
            seen.into_iter().map(|row| (i64::from(row.onu_id), row)).collect();
        let lease = lease.clone();
        let changed = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    let mut changed = Vec::new();
                    for asked in asked {
                        // Rows name ids only: who came to that place since may have other light.
                        let Some(onu) = tx.get::<rows::Onu>(asked.id).await? else { continue };
                        if !onu.stands_as(&asked) || onu.presence != Presence::InService {
                            continue;
                        }
                        let word = match (seen.get(&onu.onu_id), &why) {
                            (Some(row), _) if says_something(row) => {
                                onus::observe_light(tx, onu.id, row.rx_power_cdbm, row.olt_rx_power_cdbm)
                                    .await?;
                                Some(kept(row, at, &onu.observed[KEY]))
                            }
                            (Some(_), _) => unread(&onu.observed[KEY], "the OLT shows no light for it"),
                            (None, Some(why)) => unread(&onu.observed[KEY], why),
                            (None, None) => unread(&onu.observed[KEY], "the OLT does not list its light"),
                        };
                        if let Some(word) = word {
                            onus::keep_observed(tx, onu.id, KEY, Some(word)).await?;
                            changed.push(onu.id);
                        }
                    }
                    Ok::<_, StoreError>(changed)
                })
            })
            .await?;
        for onu in changed {
            self.bus().say(Change::Onu(onu));
        }
        Ok(goes_on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn light_takes_at_most_a_quarter_of_the_time_of_an_olt() {
        for table in [Duration::from_millis(200), Duration::from_secs(10), Duration::from_secs(90)] {
            assert!(table * 4 <= table + rest_after(table), "{table:?}");
        }
    }
}
