//! What OLTs say of the management addresses of their ONUs. It is evidence, kept with its time beside what else was
//! observed of an ONU: a few are read with every reading of an OLT, and the door may ask for one.

use crate::{App, AppError, Change, lately::Lately, pace::Pace};
use olt::{
    driver::OltError,
    model::{HostAddress, ManagementWord},
    plan::{AuthoriseSpec, OnuRef},
};
use provisioning::{InformFacts, State};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use store::{
    AdminState, OltObservedState, Presence, StoreError,
    leases::{self, Lease},
    onus, rows,
};
use types::{OltId, OnuRowId, UtcMs};

use super::registry::OltLine;

/// Where it is kept in what was observed of an ONU.
const KEY: &str = "management";
/// ONUs of one OLT that are asked about with one reading: a CLI is slow, and people wait for it too.
const PER_READING: usize = 16;
/// An ONU whose CPE is not ours yet is asked about again after so long; any ONU whose address is not known.
const NOT_OURS_AGAIN: Duration = Duration::from_secs(60);
/// Nobody asks about one ONU more often than this.
const SAME_AGAIN: Duration = Duration::from_secs(10);
/// Questions of the door that one OLT answers in [`MINUTE`], and how many at once.
const PER_MINUTE: usize = 30;
const AT_ONCE: usize = 4;
const MINUTE: Duration = Duration::from_secs(60);
/// Questions that one who informs may cause in a minute and in an hour, by the name it gives at its address, and by its
/// address. Whoever waits to be let in comes back every ten seconds, for five minutes. A name is claimed by whoever likes:
/// what it uses up at one address is not missing to who bears it at another. All of them share what an OLT answers.
const PER_NAME: (u32, u32) = (6, 30);
const PER_ADDRESS: (u32, u32) = (6, 40);
/// So long the door waits for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// So long it leaves an OLT alone that gave none.
const REST: Duration = Duration::from_secs(30);
/// The directory of addresses is made anew after so long.
const DIRECTORY_AGE: Duration = Duration::from_secs(5);
/// Addresses of one ONU that are kept.
const MOST_HOSTS: usize = 8;

/// As it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kept {
    read_at: UtcMs,
    #[serde(default)]
    hosts: Vec<HostAddress>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cannot_tell: Option<String>,
}

impl Kept {
    fn of(observed: &serde_json::Value) -> Option<Kept> {
        // What somebody wrote there by hand and cannot be read was not read from the OLT.
        serde_json::from_value(observed.get(KEY)?.clone()).ok()
    }

    fn is_fresh(&self, now: UtcMs, valid_s: u64) -> bool {
        now.since(self.read_at).as_secs() <= valid_s
    }
}

/// The OLT's word on the management address of an ONU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AddressWord {
    /// It was not asked lately.
    Unread,
    /// The ONU has these; none: it is to have one, and has none.
    Has {
        /// Addresses as the OLT sees them.
        addresses: Vec<IpAddr>,
        /// When it said so.
        read_at: UtcMs,
    },
    /// The OLT cannot say.
    CannotTell {
        /// Why, in words that go on after "the OLT cannot tell:".
        why: String,
    },
}

impl AddressWord {
    /// What is known of this ONU, if it is not older than `valid_s`.
    pub(crate) fn on(onu: &rows::Onu, now: UtcMs, valid_s: u64) -> AddressWord {
        match Kept::of(&onu.observed).filter(|kept| kept.is_fresh(now, valid_s)) {
            None => AddressWord::Unread,
            Some(Kept { cannot_tell: Some(why), .. }) => AddressWord::CannotTell { why },
            Some(Kept { hosts, read_at, .. }) => AddressWord::Has {
                addresses: hosts.iter().map(|host| IpAddr::V4(host.address)).collect(),
                read_at,
            },
        }
    }
}

/// The OLT has this ONU online, by a word that is not older than `valid_s`: a reading of its states, or, if that is newer,
/// the answer to a question about its address.
pub(crate) fn seen_online(onu: &rows::Onu, now: UtcMs, valid_s: u64) -> bool {
    let fresh = |at: UtcMs| now.since(at).as_secs() <= valid_s;
    let listed = onu.presence == Presence::InService && onu.observed_at.is_some_and(fresh);
    let asked = Kept::of(&onu.observed)
        .is_some_and(|kept| fresh(kept.read_at) && Some(kept.read_at) > onu.observed_at);
    listed || asked
}

/// What came of a question to an OLT.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Asked {
    /// It answered; the ONU as it is known now.
    Answered(Box<rows::Onu>),
    /// The ONU is not online where it should be.
    NotThere,
    /// It was not asked, or gave no answer in time. Another time it may.
    NotNow,
    /// Nobody speaks to this OLT, or it does not answer at all.
    Never,
}

/// What is kept of an answer; `None`: what was known is void.
fn kept(onu: &rows::Onu, word: ManagementWord, now: UtcMs) -> Option<serde_json::Value> {
    let kept = match word {
        ManagementWord::NotThere => return None,
        ManagementWord::CannotTell(why) => {
            let why = why.chars().take(200).collect();
            Kept { read_at: now, hosts: Vec::new(), cannot_tell: Some(why) }
        }
        ManagementWord::Has(mut hosts) => {
            // An ONU may have other hosts (telephony), in networks where the same address is somebody else's.
            let wanted: Option<AuthoriseSpec> = serde_json::from_value(onu.desired.clone()).ok();
            if let Some(management) = wanted.and_then(|spec| spec.management) {
                hosts.retain(|host| host.vlan.is_none_or(|vlan| vlan == management.vlan));
            }
            hosts.truncate(MOST_HOSTS);
            Kept { read_at: now, hosts, cannot_tell: None }
        }
    };
    serde_json::to_value(kept).ok()
}

/// Removes the word from what was observed of an ONU that was away at `away_at`, unless it is newer: who went away comes
/// back with another address.
pub(super) fn forget(observed: &mut serde_json::Map<String, serde_json::Value>, away_at: Option<UtcMs>) {
    let newer = |value: &serde_json::Value| {
        serde_json::from_value::<Kept>(value.clone()).is_ok_and(|kept| Some(kept.read_at) > away_at)
    };
    if !observed.get(KEY).is_some_and(newer) {
        observed.remove(KEY);
    }
}

/// When the OLT said where this ONU is, or that it cannot tell.
pub(crate) fn said_at(onu: &rows::Onu) -> Option<UtcMs> {
    Kept::of(&onu.observed).map(|kept| kept.read_at)
}

/// Who informs, and so makes us ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    /// Where from.
    pub(crate) address: IpAddr,
    /// Under which name; see [`App::asker`].
    name: u64,
}

/// Who asked which OLT about what, so that nobody can make an OLT busy from the door.
#[derive(Debug)]
pub(crate) struct Questions {
    /// When an ONU was asked about last, answered or not.
    tried: Lately<OnuRowId>,
    silent: Lately<OltId>,
    doors: Mutex<HashMap<OltId, Door>>,
    directory: Mutex<Option<(UtcMs, Arc<Directory>)>>,
    making: tokio::sync::Mutex<()>,
    by_name: Pace<(u64, IpAddr)>,
    by_address: Pace<IpAddr>,
    names: RandomState,
    /// ONUs of which an OLT has said something that nobody looked at yet, and what rings then.
    said: Mutex<BTreeSet<OnuRowId>>,
    bell: tokio::sync::Notify,
}

impl Default for Questions {
    fn default() -> Self {
        Questions {
            tried: Lately::default(),
            silent: Lately::default(),
            doors: Mutex::default(),
            directory: Mutex::default(),
            making: tokio::sync::Mutex::default(),
            by_name: Pace::new(PER_NAME.0, PER_NAME.1),
            by_address: Pace::new(PER_ADDRESS.0, PER_ADDRESS.1),
            names: RandomState::new(),
            said: Mutex::default(),
            bell: tokio::sync::Notify::new(),
        }
    }
}

/// ONUs by address, as their OLTs said it lately.
type Directory = HashMap<Ipv4Addr, Vec<OnuRowId>>;

#[derive(Debug, Default)]
struct Door {
    since: UtcMs,
    asked: usize,
    open: usize,
}

/// A question under way.
struct Turn<'a>(&'a Questions, OltId);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(door) = self.0.doors().get_mut(&self.1) {
            door.open = door.open.saturating_sub(1);
        }
    }
}

impl Questions {
    fn doors(&self) -> std::sync::MutexGuard<'_, HashMap<OltId, Door>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said just now is not missed by whoever looks before the directory is made anew. What is no longer true in it
    /// does no harm: who is found there is looked at.
    fn enter(&self, heard: &[(Ipv4Addr, OnuRowId)]) {
        let mut kept = self.directory.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((_, directory)) = kept.as_mut() else { return };
        for (address, onu) in heard {
            if !directory.get(address).is_some_and(|there| there.contains(onu)) {
                Arc::make_mut(directory).entry(*address).or_default().push(*onu);
            }
        }
    }

    fn may_ask(&self, olt: OltId, onu: OnuRowId, asker: &Asker, now: UtcMs) -> Option<Turn<'_>> {
        if self.tried.get(&onu, now, SAME_AGAIN).is_some() || self.silent.get(&olt, now, REST).is_some() {
            return None;
        }
        let address = asker.address.to_canonical();
        let name = (asker.name, address);
        if !self.by_name.allows(&name, now) || !self.by_address.allows(&address, now) {
            return None;
        }
        let mut doors = self.doors();
        let door = doors.entry(olt).or_default();
        if now.since(door.since) >= MINUTE {
            *door = Door { since: now, asked: 0, open: door.open };
        }
        if door.asked >= PER_MINUTE || door.open >= AT_ONCE {
            return None;
        }
        // All that one of them uses up is used up by what is asked, not by trying.
        if !self.by_address.count(address, now) || !self.by_name.count(name, now) {
            return None;
        }
        door.asked += 1;
        door.open += 1;
        self.tried.put(onu, (), now, SAME_AGAIN);
        Some(Turn(self, olt))
    }
}

impl App {
    /// Asks about the ONUs of an OLT whose addresses are needed most. `online`: with a service, and seen online just now.
    pub(super) async fn read_addresses(
        &self,
        olt: &rows::Olt,
        line: &OltLine,
        online: Vec<rows::Onu>,
        lease: &Lease,
    ) -> Result<(), AppError> {
        let (now, questions) = (self.now(), &self.olts().questions);
        let valid = Duration::from_secs(self.policy().olt_word_valid_s);
        let not_ours = [State::Discovered.as_str(), State::Informed.as_str()];
        let ours = onus::services_with_cpe_beyond(self.store(), olt.id, &not_ours).await?;
        let mut first: Vec<(UtcMs, rows::Onu)> = Vec::new();
        let mut due: Vec<(UtcMs, rows::Onu)> = Vec::new();
        for onu in online {
            let read_at = Kept::of(&onu.observed).map(|kept| kept.read_at);
            let is_ours = onu.service_id.is_some_and(|service| ours.contains(&service));
            let again = if is_ours { valid } else { NOT_OURS_AGAIN };
            // Whoever gave no answer that could be read goes to the end of the row, too.
            let tried_at = questions.tried.entry(&onu.id, now, valid).map(|((), at)| at);
            let wait = tried_at.is_some_and(|at| now.since(at) < NOT_OURS_AGAIN);
            if !wait && read_at.is_none_or(|at| now.since(at) >= again) {
                let list = if is_ours { &mut due } else { &mut first };
                list.push((read_at.max(tried_at).unwrap_or_default(), onu));
            }
        }
        for list in [&mut first, &mut due] {
            list.sort_by_key(|(last, onu)| (*last, onu.id.0));
        }
        let mut answers = Vec::new();
        for (_, onu) in share(first, due) {
            questions.tried.put(onu.id, (), self.now(), valid);
            let Some(place) = place(&onu) else { continue };
            match line.handle.management_word(place).await {
                Ok(word) => {
                    let word = kept(&onu, word, self.now());
                    answers.push((onu, word));
                }
                Err(error) if error.is_transport() || matches!(error, OltError::Queue(_)) => {
                    tracing::warn!(olt = %olt.name, %error, "its ONUs' addresses are read another time");
                    break;
                }
                Err(error) => {
                    tracing::warn!(olt = %olt.name, serial = %onu.serial, %error, "an ONU's address cannot be read");
                }
            }
        }
        self.keep_words(answers, lease.clone()).await
    }

    /// Keeps what an OLT answered about ONUs that stood where they stand still: who was asked for at another place since
    /// is asked for again.
    async fn keep_words(
        &self,
        answers: Vec<(rows::Onu, Option<serde_json::Value>)>,
        lease: Lease,
    ) -> Result<(), AppError> {
        if answers.is_empty() {
            return Ok(());
        }
        let heard: Vec<(Ipv4Addr, OnuRowId)> = answers
            .iter()
            .filter_map(|(onu, word)| Some((onu.id, serde_json::from_value::<Kept>(word.clone()?).ok()?)))
            .flat_map(|(onu, kept)| kept.hosts.into_iter().map(move |host| (host.address, onu)))
            .collect();
        let changed: Vec<OnuRowId> = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    let mut kept = Vec::new();
                    for (asked, word) in answers {
                        let now = tx.get::<rows::Onu>(asked.id).await?;
                        if now.is_some_and(|now| now.stands_as(&asked))
                            && onus::keep_observed(tx, asked.id, KEY, word).await?
                        {
                            kept.push(asked.id);
                        }
                    }
                    Ok::<_, StoreError>(kept)
                })
            })
            .await?;
        for onu in &changed {
            self.bus().say(Change::Onu(*onu));
        }
        let questions = &self.olts().questions;
        questions.enter(&heard);
        questions.said.lock().unwrap_or_else(PoisonError::into_inner).extend(changed);
        questions.bell.notify_one();
        Ok(())
    }

    /// Until an OLT has said at which address it has an ONU, since [`App::what_olts_said`] was asked for.
    pub(crate) async fn olt_said(&self) {
        self.olts().questions.bell.notified().await;
    }

    /// ONUs of which an OLT has said something on this node since this was asked for the last time.
    pub(crate) fn what_olts_said(&self) -> BTreeSet<OnuRowId> {
        std::mem::take(&mut *self.olts().questions.said.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// ONUs of which an OLT has said something since then, on whichever node.
    pub(crate) async fn said_since(&self, since: UtcMs) -> Result<BTreeSet<OnuRowId>, AppError> {
        let all = onus::all_observed(self.store()).await?;
        let lately =
            |observed: &serde_json::Value| Kept::of(observed).is_some_and(|kept| kept.read_at >= since);
        Ok(all.into_iter().filter(|(_, observed)| lately(observed)).map(|(onu, _)| onu).collect())
    }

    /// Who informs so from there.
    pub(crate) fn asker(&self, inform: &InformFacts, address: IpAddr) -> Asker {
        let name = (&inform.oui, &inform.product_class, &inform.serial_number);
        Asker { address, name: self.olts().questions.names.hash_one(name) }
    }

    /// Asks the OLT now where it has this ONU, and keeps the answer.
    pub(crate) async fn ask_address(&self, onu: &rows::Onu, asker: &Asker) -> Result<Asked, AppError> {
        let (now, questions) = (self.now(), &self.olts().questions);
        let Some(place) = place(onu) else { return Ok(Asked::Never) };
        let Some(olt) = self.store().get::<rows::Olt>(onu.olt_id).await? else { return Ok(Asked::Never) };
        if olt.admin_state != AdminState::Enabled || olt.observed_state == OltObservedState::Silent {
            return Ok(Asked::Never);
        }
        let Some(_turn) = questions.may_ask(onu.olt_id, onu.id, asker, now) else { return Ok(Asked::NotNow) };
        // Another node may be the one that speaks to it.
        let Some(lease) = self.may_act_on(olt.id).await? else { return Ok(Asked::NotNow) };
        let line = self.olt_line(&olt).await?;
        let _first = self.olts().turns.take(olt.id);
        // The one table that is being read then, and no other.
        let behind_light = self.olts().turns.reads_light(olt.id);
        let asking = self.leased(olt.id, async { Ok(line.handle.management_now(place, onu.serial).await) });
        let word = match tokio::time::timeout(PATIENCE, asking).await {
            Ok(answer) => answer?,
            Err(_) if behind_light => {
                // That says nothing of the OLT: whoever asks next need not wait until it has rested.
                tracing::info!(olt = %olt.name, serial = %onu.serial, "the OLT was at a table of light; asked again soon");
                return Ok(Asked::NotNow);
            }
            Err(_) => Err(OltError::Queue("it did not answer at once".to_owned())),
        };
        let word = match word {
            Ok(word) => word,
            Err(error) => {
                // An answer about one ONU that cannot be read says nothing of the others.
                if error.is_transport() || matches!(error, OltError::Queue(_)) {
                    questions.silent.put(olt.id, (), now, REST);
                }
                tracing::warn!(olt = %olt.name, serial = %onu.serial, %error, "the OLT cannot be asked for an address now");
                return Ok(Asked::NotNow);
            }
        };
        let there = word != ManagementWord::NotThere;
        match self.keep_words(vec![(onu.clone(), kept(onu, word, self.now()))], lease).await {
            Err(AppError::Store(StoreError::Fenced { .. })) => return Ok(Asked::NotNow),
            kept => kept?,
        }
        match self.store().get::<rows::Onu>(onu.id).await? {
            Some(onu) if there => Ok(Asked::Answered(Box::new(onu))),
            _ => Ok(Asked::NotThere),
        }
    }

    /// ONUs that are online and that their OLTs have at this address, by what they said lately.
    pub(crate) async fn onus_at(&self, address: IpAddr) -> Result<Vec<rows::Onu>, AppError> {
        let IpAddr::V4(wanted) = address.to_canonical() else { return Ok(Vec::new()) };
        let (now, valid_s) = (self.now(), self.policy().olt_word_valid_s);
        let mut found = Vec::new();
        for id in self.directory().await?.get(&wanted).into_iter().flatten() {
            let Some(onu) = self.store().get::<rows::Onu>(*id).await? else { continue };
            let online = seen_online(&onu, now, valid_s) && onu.removed_at.is_none();
            let there = match AddressWord::on(&onu, now, valid_s) {
                AddressWord::Has { addresses, .. } => addresses.contains(&IpAddr::V4(wanted)),
                AddressWord::Unread | AddressWord::CannotTell { .. } => false,
            };
            if online && there {
                found.push(onu);
            }
        }
        Ok(found)
    }

    /// Made anew at most every few seconds, so that strangers who inform cost the database nothing.
    async fn directory(&self) -> Result<Arc<Directory>, AppError> {
        let (now, questions) = (self.now(), &self.olts().questions);
        // Made by one; the others wait for it.
        let _making = questions.making.lock().await;
        {
            let kept = questions.directory.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((made_at, directory)) = kept.as_ref()
                && now >= *made_at
                && now.since(*made_at) < DIRECTORY_AGE
            {
                return Ok(Arc::clone(directory));
            }
        }
        let mut made: Directory = HashMap::new();
        for (onu, observed) in onus::all_observed(self.store()).await? {
            let hosts = Kept::of(&observed).map(|kept| kept.hosts).unwrap_or_default();
            let addresses: HashSet<Ipv4Addr> = hosts.iter().map(|host| host.address).collect();
            for address in addresses {
                made.entry(address).or_default().push(onu);
            }
        }
        let made = Arc::new(made);
        *questions.directory.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, Arc::clone(&made)));
        Ok(made)
    }
}

/// Whom to ask about with one reading: half of it is for those who wait to be let in, as far as there are any, and half
/// for the others, so that neither starves the other.
fn share<T>(mut first: Vec<T>, mut others: Vec<T>) -> Vec<T> {
    first.truncate(PER_READING - others.len().min(PER_READING / 2));
    others.truncate(PER_READING - first.len());
    first.append(&mut others);
    first
}

fn place(onu: &rows::Onu) -> Option<OnuRef> {
    Some(OnuRef { pon: onu.pon, onu_id: u16::try_from(onu.onu_id).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Serial;

    const NOW: UtcMs = UtcMs(1_795_271_400_000);

    fn onu() -> rows::Onu {
        let serial: Serial = "HWTC-7D4733C3".parse().expect("a serial number");
        rows::Onu::planned(OltId(1), "0/1/6".parse().expect("a port"), 3, serial, NOW)
    }

    fn host(address: [u8; 4], vlan: Option<u16>) -> HostAddress {
        HostAddress { address: address.into(), vlan, mac: None }
    }

    #[test]
    fn a_word_counts_for_its_time_and_only_for_the_management_vlan() {
        let mut onu = onu();
        onu.desired = serde_json::json!({
            "pon": "0/1/6", "serial": "485754437D4733C3", "onu_id": null, "reserved_ids": [], "line_profile_id": 10,
            "service_profile_id": 10, "description": "", "service_ports": [], "acs_profile_id": 1,
            "management": { "ip_index": 0, "vlan": 40, "priority": 2, "address": { "kind": "dhcp" } }, "preprovision": false,
        });
        let spec: AuthoriseSpec = serde_json::from_value(onu.desired.clone()).expect("an order");
        assert_eq!(spec.management.map(|m| m.vlan), Some(40));
        let said = vec![
            host([10, 20, 3, 9], Some(40)),
            host([10, 20, 3, 9], Some(300)),
            host([10, 20, 3, 10], None),
            host([10, 20, 3, 11], Some(300)),
        ];
        let value = kept(&onu, ManagementWord::Has(said), NOW).expect("kept");
        onu.observed = serde_json::json!({ "description": "x", KEY: value });
        let addresses = vec![IpAddr::from([10, 20, 3, 9]), IpAddr::from([10, 20, 3, 10])];
        let word = AddressWord::Has { addresses, read_at: NOW };
        assert_eq!(AddressWord::on(&onu, NOW.plus_s(900), 900), word);
        assert_eq!(AddressWord::on(&onu, NOW.plus_s(901), 900), AddressWord::Unread);
        assert_eq!(kept(&onu, ManagementWord::NotThere, NOW), None);
        onu.observed = serde_json::json!({ KEY: { "read_at": "yesterday" } });
        assert_eq!(AddressWord::on(&onu, NOW, 900), AddressWord::Unread);
    }

    #[test]
    fn those_who_wait_to_be_let_in_have_half_of_every_reading() {
        let first = |n: usize| vec!["first"; n];
        let others = |n: usize| vec!["other"; n];
        for (waiting, rest, want) in
            [(20, 100, (8, 8)), (20, 3, (13, 3)), (2, 100, (2, 14)), (20, 0, (16, 0))]
        {
            let got = share(first(waiting), others(rest));
            let count = got.iter().filter(|one| **one == "first").count();
            assert_eq!((count, got.len() - count), want, "{waiting} and {rest}");
            assert!(got[..count].iter().all(|one| *one == "first"), "first of all");
        }
    }

    #[test]
    fn the_door_cannot_make_an_olt_busy() {
        let questions = Questions::default();
        let olt = OltId(1);
        let ask = |olt, onu: i64, now| questions.may_ask(olt, OnuRowId(onu), &asker(onu), now);
        let first = ask(olt, 1, NOW).expect("free");
        assert!(ask(olt, 1, NOW.plus_s(9)).is_none(), "the same again");
        let others: Vec<Turn<'_>> = (2..=50).filter_map(|n| ask(olt, n, NOW)).collect();
        assert_eq!(others.len(), AT_ONCE - 1);
        assert!(ask(OltId(2), 99, NOW).is_some(), "another OLT is not concerned");
        drop((first, others));
        let in_turn = (100..200).filter(|n| ask(olt, *n, NOW).is_some()).count();
        assert_eq!(in_turn, PER_MINUTE - AT_ONCE);
        assert!(ask(olt, 300, NOW.plus_s(60)).is_some(), "another minute");
    }

    /// Somebody with a name and an address of its own.
    fn asker(number: i64) -> Asker {
        let name = u64::try_from(number).expect("small");
        Asker { address: IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(number).expect("small"))), name }
    }

    #[test]
    fn one_name_and_one_address_leave_the_rest_to_others() {
        for (what, same_name) in [("a name at an address", true), ("an address", false)] {
            let (questions, olt) = (Questions::default(), OltId(1));
            let rogue = |onu: i64| {
                let name = if same_name { 0 } else { asker(onu).name };
                Asker { address: asker(0).address, name }
            };
            let asked = |from: i64, at| {
                (from..from + 100)
                    .filter(|n| questions.may_ask(olt, OnuRowId(*n), &rogue(*n), at).is_some())
                    .count()
            };
            assert_eq!(asked(1, NOW), 6, "{what}");
            let others =
                (500..600).filter(|n| questions.may_ask(olt, OnuRowId(*n), &asker(*n), NOW).is_some());
            assert_eq!(others.count(), PER_MINUTE - 6, "{what}: the OLT is there for the others");
            let in_the_hour: usize =
                (1..60).map(|minute| asked(1000 * minute, NOW.plus_s(60 * minute as u64))).sum();
            let limit = if same_name { PER_NAME.1 } else { PER_ADDRESS.1 };
            assert_eq!(in_the_hour + 6, limit as usize, "{what}");
        }
    }

    #[test]
    fn who_claims_the_name_of_another_uses_up_nothing_of_it() {
        let (questions, olt) = (Questions::default(), OltId(1));
        let rogue = Asker { name: 7, ..asker(1) };
        let asked = |from: i64, at| {
            (from..from + 10).filter(|n| questions.may_ask(olt, OnuRowId(*n), &rogue, at).is_some()).count()
        };
        let in_the_hour: usize =
            (0..59).map(|minute| asked(1000 * minute, NOW.plus_s(60 * minute as u64))).sum();
        assert_eq!(in_the_hour, PER_NAME.1 as usize);
        let at = NOW.plus_s(59 * 60);
        assert!(questions.may_ask(olt, OnuRowId(-1), &rogue, at).is_none(), "it has had its share");
        assert!(
            questions.may_ask(olt, OnuRowId(-1), &asker(7), at).is_some(),
            "and who bears the name has its own"
        );
    }
}
