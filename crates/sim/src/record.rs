//! What each simulated CPE was told and what became of it: the witness that tests and `demo --check` question.
//!
//! It is kept by the CPEs themselves, apart from anything that Lightkeeper believes, and it outlives the process:
//! see [`Record::load`].

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet, VecDeque};
use types::{Serial, UtcMs};

/// Entries kept per CPE; of older ones only the tallies remain. Reads go first.
const MAX_ENTRIES: usize = 10_000;

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The ACS had nothing more.
    Clean,
    /// Anything else.
    Failed {
        /// Why, in words.
        why: String,
    },
}

/// What an order was about. Secrets are hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Names, values or attributes were read.
    Read {
        /// Paths.
        what: Vec<String>,
        /// How many secrets that it holds were read back empty.
        #[serde(default)]
        withheld: usize,
    },
    /// SetParameterValues.
    Set {
        /// Path and value of each setting.
        settings: Vec<(String, String)>,
        /// How many parameters have another value now.
        changed: usize,
        /// How many settings were accepted and lost.
        lost: usize,
    },
    /// AddObject: the new instance, or the table if it faulted.
    Added {
        /// Path.
        path: String,
    },
    /// DeleteObject.
    Deleted {
        /// Path of the instance.
        path: String,
    },
    /// SetParameterAttributes.
    Attributes {
        /// Paths.
        paths: Vec<String>,
    },
    /// Reboot.
    Reboot,
    /// FactoryReset.
    FactoryReset,
    /// Anything else.
    Other,
}

/// Something that happened to a CPE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// It has started.
    Booted,
    /// Our process was started again; the device itself was running all the time.
    Resumed,
    /// It lost power or light.
    PoweredOff,
    /// It was reset to its factory settings.
    FactoryReset,
    /// NTP has set the clock.
    ClockSet,
    /// A WAN connection is up.
    WanUp {
        /// Path of the connection.
        path: String,
        /// Its address; empty when bridged.
        address: String,
    },
    /// A WAN connection was switched off.
    WanDown {
        /// Path of the connection.
        path: String,
    },
    /// A WAN connection could not come up.
    WanRefused {
        /// Path of the connection.
        path: String,
        /// The error of TR-098.
        why: String,
    },
    /// It has opened a session.
    SessionBegan {
        /// Event codes.
        events: Vec<String>,
    },
    /// The session is over.
    SessionEnded {
        /// How.
        how: End,
    },
    /// An Inform was said twice, and the session of the first one abandoned.
    InformedTwice,
    /// A message went out with a Content-Length that is too small.
    WrongLength,
    /// A connection that had been made was gone when it was to be written.
    Vanished {
        /// Path of the connection.
        path: String,
    },
    /// Somebody knocked.
    ConnectionRequest {
        /// The HTTP status it answered.
        status: u16,
    },
    /// The ACS ordered something.
    Order {
        /// The CWMP method.
        method: String,
        /// What it was about.
        told: Told,
        /// The fault it answered, if any.
        fault: Option<u16>,
        /// False if the connection dropped before the answer.
        answered: bool,
    },
}

/// An entry of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: UtcMs,
    /// The number of the session, or of the last one.
    pub session: u64,
    /// The device's clock was right.
    pub clock_valid: bool,
    /// What.
    pub what: What,
}

impl Entry {
    /// The order that changed something, with its method: what was applied, answered or not.
    fn applied(&self) -> Option<(&str, &Told)> {
        match &self.what {
            What::Order { method, told, fault: None, .. }
                if !matches!(told, Told::Read { .. } | Told::Other) =>
            {
                Some((method, told))
            }
            // A faulted call of a device that is not atomic may have changed something all the same.
            What::Order { method, told: told @ Told::Set { changed: 1.., .. }, .. } => Some((method, told)),
            _ => None,
        }
    }
}

/// Counts over the whole life of a CPE.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Sessions opened.
    pub sessions: u64,
    /// Sessions that did not end as they should.
    pub sessions_failed: u64,
    /// Starts.
    pub boots: u64,
    /// Connection requests by the status they were answered.
    pub connection_requests: BTreeMap<u16, u64>,
    /// Orders by method.
    pub orders: BTreeMap<String, u64>,
    /// Faults answered by code.
    pub faults: BTreeMap<u16, u64>,
}

impl Tally {
    /// Adds the counts of another CPE.
    pub fn add(&mut self, other: &Tally) {
        fn into<K: Ord + Clone>(sum: &mut BTreeMap<K, u64>, other: &BTreeMap<K, u64>) {
            other.iter().for_each(|(key, count)| *sum.entry(key.clone()).or_default() += count);
        }
        self.sessions += other.sessions;
        self.sessions_failed += other.sessions_failed;
        self.boots += other.boots;
        into(&mut self.connection_requests, &other.connection_requests);
        into(&mut self.orders, &other.orders);
        into(&mut self.faults, &other.faults);
    }
}

/// An order to write something while the clock was wrong, or twice, or the like: what to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// When.
    pub at: UtcMs,
    /// In which session.
    pub session: u64,
    /// What, in words.
    pub what: String,
}

/// The record of one CPE.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpeRecord {
    /// What happened, in order.
    pub entries: VecDeque<Entry>,
    /// Counts.
    pub tally: Tally,
    /// SHA-256 over the configuration it holds: every writable parameter and every object, without the management
    /// server settings.
    pub config_hash: String,
    /// WAN connections other than the management WAN that it holds: path, and what makes two of them the same.
    pub wans: Vec<(String, String)>,
    /// How many instances it holds of each table, by the path of the table with `{i}` for every number above it.
    pub tables: BTreeMap<String, usize>,
}

impl CpeRecord {
    pub(crate) fn push(&mut self, entry: Entry) {
        let tally = &mut self.tally;
        match &entry.what {
            What::SessionBegan { .. } => tally.sessions += 1,
            What::SessionEnded { how: End::Failed { .. } } => tally.sessions_failed += 1,
            What::Booted => tally.boots += 1,
            What::ConnectionRequest { status } => *tally.connection_requests.entry(*status).or_default() += 1,
            What::Order { method, fault, .. } => {
                *tally.orders.entry(method.clone()).or_default() += 1;
                if let Some(code) = fault {
                    *tally.faults.entry(*code).or_default() += 1;
                }
            }
            What::SessionEnded { how: End::Clean }
            | What::Resumed
            | What::PoweredOff
            | What::FactoryReset
            | What::ClockSet
            | What::WanUp { .. }
            | What::WanDown { .. }
            | What::WanRefused { .. }
            | What::InformedTwice
            | What::WrongLength
            | What::Vanished { .. } => {}
        }
        if self.entries.len() >= MAX_ENTRIES {
            let is_read = |entry: &Entry| matches!(&entry.what, What::Order { told: Told::Read { .. }, .. });
            let oldest = self.entries.iter().position(is_read).unwrap_or(0);
            self.entries.remove(oldest);
        }
        self.entries.push_back(entry);
    }

    /// Orders that changed something, in order.
    pub fn writes(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.applied().is_some())
    }

    /// Orders that changed something after a moment: none should, once a device is ACTIVE.
    pub fn writes_since(&self, at: UtcMs) -> Vec<Finding> {
        self.writes().filter(|entry| entry.at > at).map(finding).collect()
    }

    /// Instances of WAN objects that were created, in order.
    pub fn wan_objects_created(&self) -> Vec<String> {
        self.entries
            .iter()
            .filter_map(|entry| match entry.applied() {
                Some((_, Told::Added { path })) if crate::cpe::touches_wan(path) => Some(path.clone()),
                _ => None,
            })
            .collect()
    }

    /// WAN connections that do the same as another one of this device: the second WAN that must never be.
    pub fn duplicate_wans(&self) -> Vec<String> {
        let mut seen = BTreeMap::new();
        let mut twice = Vec::new();
        for (path, role) in &self.wans {
            if let Some(first) = seen.insert(role, path) {
                twice.push(format!("{first} and {path} ({role})"));
            }
        }
        twice
    }

    /// Writes outside ManagementServer and Time while the device's clock was wrong.
    pub fn writes_with_wrong_clock(&self) -> Vec<Finding> {
        let allowed = |path: &str| [".ManagementServer.", ".Time."].iter().any(|part| path.contains(part));
        self.writes()
            .filter(|entry| !entry.clock_valid)
            .filter(|entry| match entry.applied() {
                Some((_, Told::Set { settings, .. })) => settings.iter().any(|(path, _)| !allowed(path)),
                Some((_, Told::Attributes { .. })) => false,
                Some(_) => true,
                None => false,
            })
            .map(finding)
            .collect()
    }

    /// Sessions with more than one AddObject or DeleteObject, or with one of these and a SetParameterValues.
    pub fn crowded_sessions(&self) -> Vec<Finding> {
        let mut per_session: BTreeMap<u64, (Vec<&Entry>, bool)> = BTreeMap::new();
        for entry in &self.entries {
            match &entry.what {
                What::Order { told: Told::Added { .. } | Told::Deleted { .. }, .. } => {
                    per_session.entry(entry.session).or_default().0.push(entry);
                }
                What::Order { told: Told::Set { .. }, .. } => {
                    per_session.entry(entry.session).or_default().1 = true;
                }
                _ => {}
            }
        }
        per_session
            .into_values()
            .filter(|(structural, set)| structural.len() > 1 || (*set && !structural.is_empty()))
            .flat_map(|(structural, _)| structural.into_iter().map(finding).collect::<Vec<_>>())
            .collect()
    }

    /// Orders that change nothing because the same was ordered, carried out and answered before. Not counted: orders
    /// of a session that broke (whether the answer was heard is not known, and secrets cannot be read back), time
    /// settings (given a few times to a clock that stays wrong), and what is said again after a connection was
    /// or connection request was refused (the secret may have been the trouble).
    pub fn repeated_orders(&self) -> Vec<Finding> {
        let (mut heard, mut in_session): (HashSet<&Vec<(String, String)>>, HashSet<_>) = Default::default();
        let mut repeated = Vec::new();
        for entry in &self.entries {
            match &entry.what {
                What::FactoryReset | What::WanRefused { .. } => {
                    heard.clear();
                    in_session.clear();
                }
                What::ConnectionRequest { status: 401 } => {
                    heard.retain(|settings| {
                        !settings.iter().any(|(path, _)| path.contains("ConnectionRequest"))
                    });
                }
                What::SessionEnded { how: End::Clean } => heard.extend(in_session.drain()),
                What::SessionBegan { .. } | What::SessionEnded { how: End::Failed { .. } } => {
                    in_session.clear()
                }
                What::Order {
                    told: Told::Set { settings, changed, lost: 0 }, fault: None, answered, ..
                } if !settings.iter().all(|(path, _)| path.contains(".Time.")) => {
                    if *changed == 0 && (heard.contains(settings) || in_session.contains(settings)) {
                        repeated.push(finding(entry));
                    }
                    if *answered {
                        in_session.insert(settings);
                    }
                }
                _ => {}
            }
        }
        repeated
    }

    /// Orders that Lightkeeper never gives: DeleteObject, Reboot, FactoryReset.
    pub fn forbidden_orders(&self) -> Vec<Finding> {
        self.entries
            .iter()
            .filter(|entry| {
                let What::Order { told, .. } = &entry.what else { return false };
                matches!(told, Told::Deleted { .. } | Told::Reboot | Told::FactoryReset)
            })
            .map(finding)
            .collect()
    }

    /// The last WAN that came up: its path and address.
    pub fn wan_up(&self) -> Option<(&str, &str)> {
        self.entries.iter().rev().find_map(|entry| match &entry.what {
            What::WanUp { path, address } => Some((path.as_str(), address.as_str())),
            _ => None,
        })
    }
}

fn finding(entry: &Entry) -> Finding {
    let what = match &entry.what {
        What::Order { method, told, fault, answered } => {
            let about = match told {
                Told::Set { settings, .. } => settings
                    .iter()
                    .map(|(path, value)| format!("{path}={value}"))
                    .collect::<Vec<_>>()
                    .join(" "),
                Told::Added { path } | Told::Deleted { path } => path.clone(),
                Told::Read { what, .. } | Told::Attributes { paths: what } => what.join(" "),
                Told::Reboot | Told::FactoryReset | Told::Other => String::new(),
            };
            let fault = fault.map(|code| format!(" → fault {code}")).unwrap_or_default();
            let lost = if *answered { "" } else { " (answer lost)" };
            format!("{method} {about}{fault}{lost}")
        }
        other => format!("{other:?}"),
    };
    Finding { at: entry.at, session: entry.session, what }
}

/// The record of a fleet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// By PON serial number.
    pub cpes: BTreeMap<Serial, CpeRecord>,
}

impl Record {
    /// The record of one CPE.
    pub fn cpe(&self, serial: Serial) -> Option<&CpeRecord> {
        self.cpes.get(&serial)
    }

    /// Reads the record that a fleet left in its data folder, also of a process that was killed.
    ///
    /// # Errors
    /// When a journal cannot be read.
    pub fn load(folder: &std::path::Path) -> std::io::Result<Record> {
        let mut record = Record::default();
        for (serial, journal) in crate::cpe::persist::journals(folder)? {
            record.cpes.insert(serial, crate::cpe::persist::read(&journal)?.record);
        }
        Ok(record)
    }

    /// Everything that must never happen to any CPE, with its serial number: second WANs, writes with a wrong
    /// clock, sessions with more than one structural order, repeated orders, forbidden orders. Empty is good.
    pub fn violations(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (serial, cpe) in &self.cpes {
            let mut add = |kind: &str, findings: Vec<Finding>| {
                found.extend(
                    findings
                        .into_iter()
                        .map(|f| format!("{serial}: {kind}: session {} {}", f.session, f.what)),
                );
            };
            add("written with a wrong clock", cpe.writes_with_wrong_clock());
            add("one structural order in a session, nothing beside it", cpe.crowded_sessions());
            add("ordered again", cpe.repeated_orders());
            add("never to be ordered", cpe.forbidden_orders());
            found.extend(
                cpe.duplicate_wans().into_iter().map(|twice| format!("{serial}: second WAN: {twice}")),
            );
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(session: u64, told: Told) -> Entry {
        let method = match &told {
            Told::Set { .. } => "SetParameterValues",
            Told::Added { .. } => "AddObject",
            Told::Deleted { .. } => "DeleteObject",
            _ => "GetParameterValues",
        };
        let what = What::Order { method: method.to_owned(), told, fault: None, answered: true };
        Entry { at: UtcMs(session as i64), session, clock_valid: true, what }
    }

    fn set(path: &str, value: &str, changed: usize) -> Told {
        Told::Set { settings: vec![(path.to_owned(), value.to_owned())], changed, lost: 0 }
    }

    fn record(entries: Vec<Entry>) -> CpeRecord {
        let mut record = CpeRecord::default();
        entries.into_iter().for_each(|entry| record.push(entry));
        record
    }

    fn added(path: &str) -> Told {
        Told::Added { path: format!("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.{path}") }
    }

    #[test]
    fn sessions_with_more_than_one_structural_order_are_crowded() {
        let calm = record(vec![
            order(1, added("2.")),
            order(2, added("2.WANPPPConnection.1.")),
            order(3, set("A.B", "1", 1)),
        ]);
        assert_eq!(calm.crowded_sessions(), []);
        assert_eq!(calm.wan_objects_created().len(), 2);
        assert_eq!(record(vec![order(1, added("2.")), order(1, added("3."))]).crowded_sessions().len(), 2);
        assert_eq!(
            record(vec![order(1, added("2.")), order(1, set("A.B", "1", 1))]).crowded_sessions().len(),
            1
        );
        let own = set("InternetGatewayDevice.ManagementServer.Username", "x", 1);
        let mixed = record(vec![order(1, added("2.")), order(1, own)]);
        assert_eq!(mixed.crowded_sessions().len(), 1, "the management server is no exception");
    }

    #[test]
    fn with_a_wrong_clock_only_time_and_management_may_be_written() {
        let early = |told: Told| {
            record(vec![Entry { clock_valid: false, ..order(1, told) }]).writes_with_wrong_clock().len()
        };
        assert_eq!(early(set("InternetGatewayDevice.Time.NTPServer1", "x", 1)), 0);
        assert_eq!(early(set("InternetGatewayDevice.ManagementServer.Username", "x", 1)), 0);
        assert_eq!(early(set("InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID", "x", 1)), 1);
        assert_eq!(early(added("2.")), 1);
        assert_eq!(early(Told::Read { what: vec!["A.".to_owned()], withheld: 0 }), 0);
        assert_eq!(record(vec![order(1, added("2."))]).writes_with_wrong_clock(), []);
    }

    #[test]
    fn an_order_is_repeated_only_if_it_was_heard_and_changes_nothing() {
        let end = |how: End| Entry { what: What::SessionEnded { how }, ..order(1, Told::Other) };
        let clean = || end(End::Clean);
        let first = || order(1, set("A.B", "1", 1));
        let repeated = |entries: Vec<Entry>| record(entries).repeated_orders().len();
        assert_eq!(repeated(vec![first(), clean(), order(2, set("A.B", "1", 0))]), 1);
        assert_eq!(repeated(vec![first(), order(1, set("A.B", "1", 0))]), 1, "in the same session");
        assert_eq!(
            repeated(vec![first(), clean(), order(2, set("A.B", "1", 1))]),
            0,
            "the device had forgotten"
        );
        assert_eq!(repeated(vec![first(), clean(), order(2, set("A.B", "2", 1))]), 0);
        let broken = end(End::Failed { why: "torn".to_owned() });
        assert_eq!(
            repeated(vec![first(), broken, order(2, set("A.B", "1", 0))]),
            0,
            "nobody knows who heard what"
        );
        let mut lost = first();
        if let What::Order { answered, .. } = &mut lost.what {
            *answered = false;
        }
        assert_eq!(repeated(vec![lost, clean(), order(2, set("A.B", "1", 0))]), 0, "the answer was lost");
        let clock = || set("InternetGatewayDevice.Time.NTPServer1", "x", 0);
        assert_eq!(repeated(vec![order(1, clock()), clean(), order(2, clock())]), 0);
        let refused = What::WanRefused { path: "A.".to_owned(), why: "ERROR".to_owned() };
        let refused = Entry { what: refused, ..order(1, Told::Other) };
        assert_eq!(
            repeated(vec![first(), clean(), refused, order(2, set("A.B", "1", 0))]),
            0,
            "it may have been wrong"
        );
    }

    #[test]
    fn a_second_wan_and_forbidden_orders_are_violations() {
        let wan = |path: &str| (path.to_owned(), "Pppoe vlan Some(100) login \"a\"".to_owned());
        let mut cpe =
            record(vec![order(1, Told::Deleted { path: "A.1.".to_owned() }), order(2, Told::Reboot)]);
        cpe.wans = vec![wan("A.1."), wan("A.2.")];
        assert_eq!(cpe.duplicate_wans(), ["A.1. and A.2. (Pppoe vlan Some(100) login \"a\")"]);
        assert_eq!(cpe.forbidden_orders().len(), 2);
        let serial: Serial = "HWTC5A000001".parse().expect("a serial");
        let found = Record { cpes: [(serial, cpe)].into() }.violations();
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(|one| one.starts_with("HWTC-5A000001: ")), "{found:?}");
    }

    #[test]
    fn a_crowded_session_is_a_violation() {
        let serial: Serial = "HWTC5A000001".parse().expect("a serial");
        let violations = |entries| Record { cpes: [(serial, record(entries))].into() }.violations();
        let calm = vec![order(1, added("2.")), order(2, added("2.WANPPPConnection.1."))];
        assert_eq!(violations(calm), Vec::<String>::new());
        let found = violations(vec![order(1, added("2.")), order(1, added("2.WANPPPConnection.1."))]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|one| one.contains("one structural order in a session")), "{found:?}");
        let mixed = violations(vec![order(1, added("2.")), order(1, set("A.B", "1", 1))]);
        assert_eq!(mixed.len(), 1, "{mixed:?}");
    }

    #[test]
    fn tallies_add_up() {
        let one =
            record(vec![order(1, added("2.")), Entry { what: What::Booted, ..order(1, Told::Other) }]).tally;
        let mut sum = one.clone();
        sum.add(&one);
        assert_eq!((sum.boots, sum.orders["AddObject"]), (2, 2));
    }

    #[test]
    fn the_oldest_reads_make_room_and_the_tally_stays() {
        let mut cpe = record(vec![order(1, added("2."))]);
        for _ in 0..MAX_ENTRIES + 5 {
            cpe.push(order(2, Told::Read { what: Vec::new(), withheld: 0 }));
        }
        assert_eq!(cpe.entries.len(), MAX_ENTRIES);
        assert_eq!(cpe.wan_objects_created().len(), 1, "a write is kept longer than reads");
        assert_eq!(cpe.tally.orders["GetParameterValues"], MAX_ENTRIES as u64 + 5);
        assert_eq!(cpe.writes_since(UtcMs(0)).len(), 1);
        assert_eq!(cpe.writes_since(UtcMs(1)).len(), 0);
    }
}
