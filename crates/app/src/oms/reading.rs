//! One reading of an OLT, PON by PON. What cannot be read of one PON, or of one ONU, costs nothing else: it is recorded
//! at the PON as a sentence, and what was known before keeps its age. Only an ONU that a complete list does not name is
//! no longer there, and only one of a board in service is offline because the OLT says so.
//!
//! An ONU that comes back has flapped when it was in service before and the OLT did not restart in between: the first
//! light after an authorisation, and a restart of the OLT, say nothing about the line.

use super::{
    address,
    authorise::{presence, run_word},
    news::olt_news,
    registry::OltLine,
};
use crate::{App, AppError, Change};
use olt::{
    driver::OltError,
    model::{DetectedOnu, PonPort, RunState},
    parser::Table,
    plan::Facts,
    pon::{OnuState, PonReading},
};
use provisioning::Event;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::{
    OltObservedState, Presence, StoreError, cpes, detected,
    leases::{self, Lease},
    olts, onus, rows, tasks, timeline,
};
use types::{OnuRowId, PonPath, Serial, UtcMs};

/// Sessions lost in a row, one PON after the other, before an OLT counts as silent: each may cost minutes.
const LOST_IN_A_ROW: u32 = 3;
/// Where it is kept of an ONU that went away when it was seen in service last. Not kept of one that never was.
const IN_SERVICE_AT: &str = "in_service_at";
/// Where it is kept when an OLT started, and in which words it said how long it runs.
const BOOTED_AT: &str = "started_at";
const UPTIME: &str = "uptime";
/// Two such times so close together are one.
const SAME_START_MS: i64 = 2 * 60 * 1000;
/// Characters kept of what could not be read.
const LONGEST: usize = 900;

/// What an OLT said, as far as it was understood.
struct Reading {
    facts: Option<(Facts, UtcMs)>,
    /// None: the boards could not be read.
    ports: Option<Vec<(PonPath, PonPort)>>,
    /// None: the list could not be read.
    sightings: Option<Table<DetectedOnu>>,
    /// By PON with ONUs of ours: what it says, or why it could not be read.
    pons: BTreeMap<PonPath, Result<PonReading, String>>,
    /// What could not be read of the OLT itself.
    problems: Vec<String>,
    at: UtcMs,
}

/// What a reading says about an ONU of ours.
#[derive(Debug, PartialEq)]
enum Seen<'a> {
    There(&'a OnuState),
    NotThere,
    /// It may be there and was not readable: nothing is concluded.
    Unknown,
}

fn seen<'a>(onu: &rows::Onu, pon: Option<&'a Result<PonReading, String>>) -> Seen<'a> {
    let Some(Ok(reading)) = pon else { return Seen::Unknown };
    let at_place = reading.onus.iter().find(|state| i64::from(state.row.onu_id) == onu.onu_id);
    match at_place {
        // The rows of a board that restarts, or has failed, say nothing of the ONUs behind it.
        Some(state) if state.row.run_state != RunState::Online && reading.doubt.is_some() => Seen::Unknown,
        Some(state) if state.row.serial == Some(onu.serial) => Seen::There(state),
        // Something stands at its place, and what it is cannot be read.
        Some(state) if state.row.serial.is_none() => Seen::Unknown,
        Some(_) | None if reading.complete => Seen::NotThere,
        Some(_) | None => Seen::Unknown,
    }
}

/// Sentences as one, cut to a sane length.
fn told(sentences: &[String]) -> Option<String> {
    let text = sentences.join("; ");
    let cut: String = text.chars().take(LONGEST).collect();
    match (text.is_empty(), cut.len() < text.len()) {
        (true, _) => None,
        (false, false) => Some(format!("{cut}.")),
        (false, true) => Some(format!("{cut}…")),
    }
}

/// What could not be read of a PON, for people.
fn problem(pon: &Result<PonReading, String>) -> Option<String> {
    const NEXT: &str =
        "What is known of ONUs that could not be read stays as it was; it is read again by itself.";
    match pon {
        Ok(reading) => {
            let told = told(&reading.unread)?;
            Some(format!("{} ONUs were read. Not readable: {told} {NEXT}", reading.onus.len()))
        }
        Err(why) => Some(format!("Its ONUs could not be read: {} {NEXT}", told(std::slice::from_ref(why))?)),
    }
}

/// PONs that can be read less or more than when they were read `before`.
fn pon_news(
    olt: &rows::Olt,
    at: UtcMs,
    before: &[rows::PonPort],
    pons: &BTreeMap<PonPath, Result<PonReading, String>>,
) -> Vec<rows::TimelineEntry> {
    let known = |pon| before.iter().find(|port| port.pon == pon)?.observed_problem.as_ref();
    let told = pons.iter().filter_map(|(pon, read)| match (known(*pon), problem(read)) {
        (None, Some(problem)) => {
            let text = format!("PON {pon} of {} cannot be read completely. {problem}", olt.name);
            Some(olt_news(olt, at, store::Severity::Warn, "pon_not_readable", text))
        }
        (Some(_), None) => {
            let text = format!("PON {pon} of {} is read completely again.", olt.name);
            Some(olt_news(olt, at, store::Severity::Ok, "pon_readable", text))
        }
        (None, None) | (Some(_), Some(_)) => None,
    });
    told.collect()
}

/// Whether an OLT that fails so can be asked the next thing.
fn still_talks(error: &OltError) -> bool {
    match error {
        OltError::Parse { .. } | OltError::Refused { .. } | OltError::Template(_) => true,
        OltError::Connect(_)
        | OltError::Session(_)
        | OltError::Setup(_)
        | OltError::Queue(_)
        | OltError::Fenced(_) => false,
    }
}

impl App {
    /// Reads an OLT and records what it said. The outer error is ours, the inner one the OLT's.
    pub(super) async fn read_olt(
        &self,
        olt: &rows::Olt,
        lease: &Lease,
    ) -> Result<Result<(), OltError>, AppError> {
        let planned = onus::of_olt(self.store(), olt.id, None).await?;
        let line = self.olt_line(olt).await?;
        let reading = match self.ask_olt(&line, &planned).await? {
            Ok(reading) => reading,
            Err(error) => return Ok(Err(error)),
        };
        let online = planned
            .iter()
            .filter(|onu| onu.service_id.is_some())
            .filter_map(|onu| match seen(onu, reading.pons.get(&onu.pon)) {
                Seen::There(state) if presence(state.row.run_state) == Presence::InService => {
                    // As it will be stored: what was known of one that had been away may be void.
                    let observed = observation_of(onu, Some(state), reading.at).observed.unwrap_or_default();
                    Some(rows::Onu { observed, ..onu.clone() })
                }
                Seen::There(_) | Seen::NotThere | Seen::Unknown => None,
            })
            .collect();
        self.store_reading(olt, reading, planned, lease.clone()).await?;
        self.read_addresses(olt, &line, online, lease).await?;
        Ok(Ok(()))
    }

    async fn ask_olt(
        &self,
        line: &OltLine,
        planned: &[rows::Onu],
    ) -> Result<Result<Reading, OltError>, AppError> {
        let mut problems = Vec::new();
        // An answer that is not understood is an answer; silence ends the reading.
        macro_rules! told {
            ($asked:expr, $what:literal) => {
                match $asked {
                    Ok(answer) => Some(answer),
                    Err(error) if still_talks(&error) => {
                        problems.push(format!("{} could not be read: {error}", $what));
                        None
                    }
                    Err(error) => return Ok(Err(error)),
                }
            };
        }
        let ports = told!(line.handle.pon_ports(0).await, "its boards");
        let at = self.now();
        let sightings = told!(line.handle.discover().await, "the list of detected ONUs");
        if let Some(table) = &sightings {
            problems.extend(table.missing.iter().map(|why| format!("a detected ONU is not shown: {why}")));
        }
        let wanted: BTreeSet<PonPath> = planned.iter().map(|onu| onu.pon).collect();
        let mut pons = BTreeMap::new();
        let mut lost = 0;
        for pon in wanted {
            let expected = planned.iter().filter(|onu| onu.pon == pon && onu.presence == Presence::InService);
            let expected = expected.filter_map(|onu| u16::try_from(onu.onu_id).ok()).collect();
            let read = match line.handle.onu_states(pon, expected).await {
                Ok(reading) => Ok(reading),
                Err(error @ OltError::Session(_)) if lost + 1 < LOST_IN_A_ROW => {
                    lost += 1;
                    pons.insert(pon, Err(error.to_string()));
                    continue;
                }
                Err(error) if still_talks(&error) => Err(error.to_string()),
                Err(error) => return Ok(Err(error)),
            };
            lost = 0;
            pons.insert(pon, read);
        }
        // Last of all: the session may have been a new one by then, with an OLT that restarted.
        let facts = told!(line.handle.facts().await, "its version").map(|facts| (facts, self.now()));
        if let Some((facts, _)) = &facts
            && let Some(product) = &facts.version.product
            && !facts.dialect.product.is_match(product)
        {
            let known = &facts.dialect.title;
            problems.push(format!(
                "it says that it is a {product}, and is read as {known}: choose its CLI profile"
            ));
        }
        Ok(Ok(Reading { facts, ports, sightings, pons, problems, at }))
    }

    async fn store_reading(
        &self,
        olt: &rows::Olt,
        reading: Reading,
        planned: Vec<rows::Onu>,
        lease: Lease,
    ) -> Result<(), AppError> {
        let (id, at) = (olt.id, reading.at);
        let acquaintance =
            reading.facts.as_ref().and_then(|(facts, asked_at)| acquaintance(olt, facts, *asked_at));
        let restarted_at = match &acquaintance {
            Some(new) => booted_at(&new.observed),
            None => booted_at(&olt.observed),
        };
        let observation = olts::OltObservation {
            state: OltObservedState::Answering,
            reason: told(&reading.problems),
            observed: acquaintance.as_ref().map(|new| new.observed.clone()),
            at,
        };
        let mut news: Vec<rows::TimelineEntry> = acquaintance.map(|new| new.news).unwrap_or_default();
        let answers = format!("{} answers again.", olt.name);
        let answers = olt_news(olt, at, store::Severity::Ok, "olt_answers", answers);
        let olt = olt.clone();
        let ports = port_observations(&reading);
        let complete = reading.sightings.as_ref().is_some_and(Table::complete);
        let seen_now: Vec<detected::Sighting> = reading
            .sightings
            .map(|table| table.rows)
            .unwrap_or_default()
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
        let places: HashMap<OnuRowId, rows::Onu> = planned.into_iter().map(|onu| (onu.id, onu)).collect();
        let pons = reading.pons;
        let (answers_again, events, changed) = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    leases::require(tx, &lease).await?;
                    // Others may have looked at the same time: it is told by whoever notes it first.
                    let before = olts::observe(tx, id, observation).await?;
                    let answers_again = before == Some(OltObservedState::Silent);
                    if answers_again {
                        tasks::try_all_now(tx, id).await?;
                        timeline::append(tx, &answers).await?;
                    }
                    news.extend(pon_news(&olt, at, &olts::pon_ports(tx, id).await?, &pons));
                    for entry in &news {
                        timeline::append(tx, entry).await?;
                    }
                    for (pon, port) in ports {
                        olts::observe_port(tx, id, pon, port).await?;
                    }
                    for sighting in seen_now {
                        let known = onus::by_serial(tx, sighting.serial).await?;
                        if known.is_some_and(|onu| onu.olt_id == id && onu.authorised_at >= Some(at)) {
                            // Authorised after the list was read: it waits no longer.
                            continue;
                        }
                        detected::saw(tx, sighting).await?;
                    }
                    if complete {
                        detected::mark_gone(tx, id, at).await?;
                    }
                    // With what others have read of them meanwhile; who has moved is looked at next time.
                    let (mut events, mut changed) = (Vec::new(), Vec::new());
                    for onu in onus::of_olt(tx, id, None).await? {
                        if !places.get(&onu.id).is_some_and(|planned| onu.stands_as(planned)) {
                            continue;
                        }
                        let found = match seen(&onu, pons.get(&onu.pon)) {
                            Seen::There(state) => Some(state),
                            Seen::NotThere => None,
                            Seen::Unknown => continue,
                        };
                        let observation = observation_of(&onu, found, at);
                        events.extend(
                            event_of(&onu, observation.presence, restarted_at)
                                .map(|event| (onu.serial, event)),
                        );
                        if observation.is_news(&onu) {
                            changed.push(onu.id);
                        }
                        onus::observe(tx, onu.id, observation).await?;
                    }
                    Ok::<_, StoreError>((answers_again, events, changed))
                })
            })
            .await?;
        if answers_again {
            self.wake_olts();
        }
        self.bus().say(Change::Olt(id));
        self.bus().say(Change::Detected(id));
        for onu in changed {
            self.bus().say(Change::Onu(onu));
        }
        self.tell_machines(events).await
    }

    async fn tell_machines(&self, events: Vec<(Serial, Event)>) -> Result<(), AppError> {
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

/// What an OLT says it is, when that is new.
struct Acquaintance {
    observed: serde_json::Value,
    news: Vec<rows::TimelineEntry>,
}

/// When an OLT started last, as far as it says so.
fn booted_at(observed: &serde_json::Value) -> Option<UtcMs> {
    observed[BOOTED_AT].as_i64().map(UtcMs)
}

/// When this OLT started, by what it says how long it runs. What it said in an older session is not said again.
fn started_at(olt: &rows::Olt, facts: &Facts, at: UtcMs) -> Option<UtcMs> {
    let known = booted_at(&olt.observed);
    if olt.observed[UPTIME].as_str() == facts.version.uptime.as_deref() {
        return known;
    }
    let runs = facts.version.uptime_s().and_then(|runs_s| i64::try_from(runs_s).ok());
    let started = UtcMs(at.0.saturating_sub(runs?.saturating_mul(1000)));
    // Clocks drift, and the answer takes a moment.
    Some(known.filter(|known| (started.0 - known.0).abs() <= SAME_START_MS).unwrap_or(started))
}

/// None: it is what it was.
fn acquaintance(olt: &rows::Olt, facts: &Facts, at: UtcMs) -> Option<Acquaintance> {
    const SOURCE: &str = "its version command, by CLI";
    let version = &facts.version;
    let is = [
        ("dialect", Some(&facts.dialect.name)),
        ("product", version.product.as_ref()),
        ("version", Some(&version.version)),
        ("patch", version.patch.as_ref()),
    ];
    let was = |key: &str| olt.observed[key].as_str();
    let same = is.iter().all(|(key, value)| was(key) == value.map(String::as_str))
        && !olt.observed["since"].is_null();
    let (known, started) = (booted_at(&olt.observed), started_at(olt, facts, at));
    if same && was(UPTIME) == version.uptime.as_deref() {
        return None;
    }
    let mut observed = serde_json::Map::new();
    for (key, value) in is.into_iter().chain([(UPTIME, version.uptime.as_ref())]) {
        observed.insert(key.to_owned(), serde_json::json!(value));
    }
    let since = if same { olt.observed["since"].clone() } else { serde_json::json!(at.0) };
    observed.insert("since".to_owned(), since);
    observed.insert("source".to_owned(), serde_json::json!(SOURCE));
    observed.insert(BOOTED_AT.to_owned(), serde_json::json!(started));
    let changes: Vec<String> = is
        .iter()
        .filter(|(key, value)| was(key) != value.map(String::as_str))
        .map(|(key, value)| {
            format!("{key} {} → {}", was(key).unwrap_or("none"), value.map_or("none", |value| value.as_str()))
        })
        .collect();
    let mut news = Vec::new();
    if !olt.observed.is_null() && !changes.is_empty() {
        news.push(rows::TimelineEntry {
            next_text: Some(format!(
                "It is read as {} as before. If its answers are not understood any more, look at its CLI profile.",
                facts.dialect.title
            )),
            facts: serde_json::json!({ "before": olt.observed, "source": SOURCE }),
            ..olt_news(
                olt,
                at,
                store::Severity::Warn,
                "olt_software_changed",
                format!("{} is not what it was at the last look: {}.", olt.name, changes.join(", ")),
            )
        });
    }
    if let (Some(known), Some(started)) = (known, started)
        && started.0 > known.0
    {
        let text = format!(
            "{} has restarted: it runs for {}.",
            olt.name,
            version.uptime.as_deref().unwrap_or("a short time")
        );
        news.push(rows::TimelineEntry {
            next_text: Some("ONUs that come back after it are not counted as flapping.".into()),
            facts: serde_json::json!({ "started_at": started, "source": SOURCE }),
            ..olt_news(olt, at, store::Severity::Warn, "olt_restarted", text)
        });
    }
    Some(Acquaintance { observed: serde_json::Value::Object(observed), news })
}

/// What was read of the ports: by the boards, and by the lists of their ONUs.
fn port_observations(reading: &Reading) -> BTreeMap<PonPath, olts::PortObservation> {
    let new = || olts::PortObservation { state: None, onu_count: None, problem: None, at: reading.at };
    let mut ports: BTreeMap<PonPath, olts::PortObservation> = BTreeMap::new();
    for (pon, port) in reading.ports.iter().flatten() {
        let word = if port.optics_online { "up" } else { "down" };
        ports.insert(
            *pon,
            olts::PortObservation { state: Some(word.to_owned()), onu_count: Some(0), ..new() },
        );
    }
    for (pon, read) in &reading.pons {
        let port = ports.entry(*pon).or_insert_with(new);
        port.problem = problem(read);
        // What was counted before stays while it cannot be counted.
        port.onu_count = match read {
            Ok(reading) if reading.complete => i64::try_from(reading.onus.len()).ok(),
            Ok(_) | Err(_) => None,
        };
    }
    ports
}

/// What the machine of its CPE is told when an ONU was `onu` and is `now`.
fn event_of(onu: &rows::Onu, now: Presence, olt_started_at: Option<UtcMs>) -> Option<Event> {
    match (onu.presence, now) {
        (Presence::InService, Presence::NotPresent) => Some(Event::OnuOffline),
        (Presence::NotPresent, Presence::InService) => {
            let in_service_at = onu.observed[IN_SERVICE_AT].as_i64()?;
            let olt_restarted = olt_started_at.is_some_and(|started| started.0 > in_service_at);
            (!olt_restarted).then_some(Event::OnuFlapped)
        }
        _ => None,
    }
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
                if presence == Presence::InService {
                    observed.remove(IN_SERVICE_AT);
                } else if onu.presence == Presence::InService {
                    observed.insert(IN_SERVICE_AT.into(), serde_json::json!(onu.observed_at));
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use olt::model::{ConfigState, MatchState, OnuRow};
    use types::OltId;

    const PON: PonPath = PonPath { frame: 0, slot: 1, port: 3 };

    fn state(onu_id: u16, serial_text: &str) -> OnuState {
        let row = OnuRow {
            pon: PON,
            onu_id,
            serial: serial_text.parse().ok(),
            serial_text: serial_text.to_owned(),
            active: true,
            run_state: RunState::Online,
            config_state: ConfigState::Normal,
            match_state: MatchState::Match,
            description: None,
        };
        OnuState { row, summary: None }
    }

    #[test]
    fn only_a_complete_list_says_that_an_onu_is_gone() {
        let serial: Serial = "HWTC7D4733C3".parse().expect("a serial");
        let onu = rows::Onu::planned(OltId(1), PON, 4, serial, UtcMs(0));
        let reading =
            |onus: Vec<OnuState>, complete| Ok(PonReading { onus, complete, unread: vec![], doubt: None });
        let word = |pon: Option<Result<PonReading, String>>| match seen(&onu, pon.as_ref()) {
            Seen::There(_) => "there",
            Seen::NotThere => "not there",
            Seen::Unknown => "unknown",
        };
        assert_eq!(word(Some(reading(vec![state(4, "485754437D4733C3")], false))), "there");
        assert_eq!(word(Some(reading(vec![state(4, "485754437D4733C4")], true))), "not there");
        assert_eq!(word(Some(reading(vec![], true))), "not there");
        assert_eq!(word(Some(reading(vec![], false))), "unknown");
        assert_eq!(word(Some(reading(vec![state(4, "48575443????33C3")], true))), "unknown");
        assert_eq!(word(Some(Err("the OLT refused".to_owned()))), "unknown");
        assert_eq!(word(None), "unknown");
    }

    #[test]
    fn offline_is_not_believed_where_the_board_is_in_doubt() {
        let serial: Serial = "HWTC7D4733C3".parse().expect("a serial");
        let onu = rows::Onu::planned(OltId(1), PON, 4, serial, UtcMs(0));
        let mut offline = state(4, "485754437D4733C3");
        offline.row.run_state = RunState::Offline;
        let said = |state: OnuState, doubt: Option<&str>| {
            let doubt = doubt.map(str::to_owned);
            Ok(PonReading { onus: vec![state], complete: doubt.is_none(), unread: vec![], doubt })
        };
        let sure = said(offline.clone(), None);
        assert!(
            matches!(seen(&onu, Some(&sure)), Seen::There(state) if state.row.run_state == RunState::Offline)
        );
        let doubted = said(offline, Some("the board in slot 0/1 is Failed"));
        assert_eq!(seen(&onu, Some(&doubted)), Seen::Unknown);
        let online = said(state(4, "485754437D4733C3"), Some("the board in slot 0/1 is Failed"));
        assert!(matches!(seen(&onu, Some(&online)), Seen::There(_)), "what is seen is seen");
    }

    #[test]
    fn only_who_was_in_service_flaps_and_not_by_a_restart_of_the_olt() {
        let serial: Serial = "HWTC7D4733C3".parse().expect("a serial");
        let at = |observed: serde_json::Value, presence| rows::Onu {
            presence,
            observed,
            observed_at: Some(UtcMs(5_000)),
            ..rows::Onu::planned(OltId(1), PON, 4, serial, UtcMs(0))
        };
        let away = at(serde_json::json!({ IN_SERVICE_AT: 5_000 }), Presence::NotPresent);
        let (here, gone) = (Presence::InService, Presence::NotPresent);
        assert!(matches!(event_of(&away, here, None), Some(Event::OnuFlapped)));
        assert!(matches!(event_of(&away, here, Some(UtcMs(4_000))), Some(Event::OnuFlapped)), "long before");
        assert!(event_of(&away, here, Some(UtcMs(6_000))).is_none(), "the OLT restarted in between");
        assert!(event_of(&at(serde_json::json!({}), gone), here, None).is_none(), "first light");
        assert!(event_of(&at(serde_json::json!({}), Presence::Unknown), here, None).is_none());
        let before = at(serde_json::json!({ "description": "x" }), here);
        assert!(matches!(event_of(&before, gone, None), Some(Event::OnuOffline)));
        // It is remembered while the ONU is away, and no longer.
        let mut offline = state(4, "485754437D4733C3");
        offline.row.run_state = RunState::Offline;
        let observed = observation_of(&before, Some(&offline), UtcMs(9_000)).observed.expect("some");
        assert_eq!(observed[IN_SERVICE_AT], 5_000);
        let still = rows::Onu { observed_at: Some(UtcMs(9_000)), ..at(observed, gone) };
        let observed = observation_of(&still, Some(&offline), UtcMs(11_000)).observed.expect("some");
        assert_eq!(observed[IN_SERVICE_AT], 5_000);
        let back = observation_of(&at(observed, gone), Some(&state(4, "485754437D4733C3")), UtcMs(12_000));
        assert!(back.observed.expect("some").get(IN_SERVICE_AT).is_none());
    }

    #[test]
    fn a_restart_of_an_olt_is_told_by_how_long_it_runs() {
        let facts = |uptime: &str| Facts {
            dialect: olt::dialect::Dialect::huawei_smartax().expect("the dialect"),
            version: olt::model::Version {
                version: "V1".into(),
                patch: None,
                product: Some("MA5800-X7".into()),
                uptime: Some(uptime.to_owned()),
            },
        };
        let s = |seconds: i64| UtcMs(seconds * 1000);
        let mut olt = rows::Olt { name: "olt-1".into(), ..rows::Olt::default() };
        let mut look = |uptime: &str, at: UtcMs| {
            let new = acquaintance(&olt, &facts(uptime), at);
            let codes =
                new.as_ref().map_or(Vec::new(), |new| new.news.iter().map(|n| n.code.clone()).collect());
            if let Some(new) = new {
                olt.observed = new.observed;
            }
            (codes, booted_at(&olt.observed))
        };
        assert_eq!(look("1 hour(s)", s(10_000)), (vec![], Some(s(6_400))), "the first look is no restart");
        // The same session says the same words; they do not make it younger.
        assert_eq!(look("1 hour(s)", s(20_000)), (vec![], Some(s(6_400))));
        assert_eq!(look("3 hour(s), 50 minute(s)", s(20_230)), (vec![], Some(s(6_400))), "a new login");
        assert_eq!(look("5 minute(s)", s(30_000)), (vec!["olt_restarted".to_owned()], Some(s(29_700))));
        assert_eq!(look("not told", s(31_000)), (vec![], None));
    }

    #[test]
    fn what_could_not_be_read_is_told_and_bounded() {
        let read = |unread: Vec<String>| {
            Ok(PonReading { onus: vec![state(1, "x")], complete: false, unread, doubt: None })
        };
        assert_eq!(problem(&read(vec![])), None);
        let text = problem(&read(vec!["a row is torn".into(), "another".into()])).expect("a sentence");
        assert!(
            text.starts_with("1 ONUs were read. Not readable: a row is torn; another. What is known"),
            "{text}"
        );
        let text = problem(&Err("no answer".to_owned())).expect("a sentence");
        assert!(text.starts_with("Its ONUs could not be read: no answer. What is known"), "{text}");
        assert!(problem(&read(vec!["x".repeat(5_000)])).expect("a sentence").len() < 1_200);
    }
}
