//! The box's own record of everything it was told: the witness that tests and the demo's check ask.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use types::{PonPath, Serial, UtcMs};

/// Entries kept in memory (and read back from the file); older ones are dropped, the tallies stay.
pub(crate) const MAX_ENTRIES: usize = 50_000;

/// What a command changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Effect {
    /// `ont add` / `ont confirm`.
    OntAdded {
        /// Serial registered.
        serial: Serial,
        /// Where.
        pon: PonPath,
        /// ONT id.
        ont: u8,
    },
    /// `ont delete`.
    OntDeleted {
        /// Serial that was registered.
        serial: Serial,
        /// Where.
        pon: PonPath,
        /// ONT id.
        ont: u8,
    },
    /// Profiles, description, activation, native VLAN of an ONT changed.
    OntChanged {
        /// Serial.
        serial: Serial,
        /// What, in a word.
        what: String,
    },
    /// `ont reset` or `ont re-register`.
    OntReset {
        /// Serial.
        serial: Serial,
    },
    /// `ont ipconfig` or its undo.
    IpConfigChanged {
        /// Serial.
        serial: Serial,
        /// IP host.
        ip_index: u8,
        /// False = removed.
        present: bool,
    },
    /// `ont tr069-server-config` or its undo.
    Tr069Changed {
        /// Serial.
        serial: Serial,
        /// Profile bound; `None` = unbound.
        profile: Option<u32>,
    },
    /// An internet WAN by OMCI: Lightkeeper never does this; the record would show it.
    InternetByOmci {
        /// Serial.
        serial: Serial,
    },
    /// `service-port`.
    ServicePortAdded {
        /// Index.
        index: u32,
        /// Port.
        pon: PonPath,
        /// ONT id.
        ont: u8,
        /// Service VLAN.
        vlan: u16,
    },
    /// Traffic tables of a service port changed.
    ServicePortChanged {
        /// Index.
        index: u32,
    },
    /// `undo service-port`.
    ServicePortDeleted {
        /// Index.
        index: u32,
    },
    /// Profiles, VLANs, port settings, host name.
    ConfigChanged {
        /// What, in a word.
        what: String,
    },
    /// `save` began.
    SaveStarted,
    /// The running configuration is saved.
    Saved,
    /// The box restarted.
    Restarted {
        /// Unsaved configuration was lost.
        unsaved_lost: bool,
    },
}

/// How the box answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// Carried out, or shown.
    Done,
    /// It asked something back; the answer is an entry of its own.
    Asked,
    /// Refused.
    Refused {
        /// The text of the refusal.
        text: String,
    },
}

/// One line the box was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Running number since the box was new.
    pub seq: u64,
    /// When.
    pub at: UtcMs,
    /// Session; 0 = not from a session (operator of the simulation, the box itself).
    pub session: u64,
    /// CLI user.
    pub user: String,
    /// View the line was typed in, e.g. `(config)#`.
    pub view: String,
    /// The line, secrets replaced by `***`.
    pub line: String,
    /// Answer.
    pub verdict: Verdict,
    /// Changes, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// Fault that was played on this line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Counts that outlive the entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Lines told.
    pub lines: u64,
    /// Lines refused.
    pub refused: u64,
    /// Registrations made per serial.
    pub ont_added: BTreeMap<Serial, u32>,
    /// Registrations removed per serial.
    pub ont_deleted: BTreeMap<Serial, u32>,
    /// Resets per serial.
    pub ont_reset: BTreeMap<Serial, u32>,
    /// Internet WANs by OMCI per serial.
    pub internet_by_omci: BTreeMap<Serial, u32>,
    /// Service ports made.
    pub service_ports_added: u64,
    /// Service ports removed.
    pub service_ports_deleted: u64,
    /// Times the configuration was saved.
    pub saves: u64,
}

impl Tally {
    fn count(&mut self, entry: &Entry) {
        self.lines += u64::from(entry.session != 0);
        self.refused += u64::from(matches!(entry.verdict, Verdict::Refused { .. }));
        for effect in &entry.effects {
            match effect {
                Effect::OntAdded { serial, .. } => *self.ont_added.entry(*serial).or_default() += 1,
                Effect::OntDeleted { serial, .. } => *self.ont_deleted.entry(*serial).or_default() += 1,
                Effect::OntReset { serial } => *self.ont_reset.entry(*serial).or_default() += 1,
                Effect::InternetByOmci { serial } => {
                    *self.internet_by_omci.entry(*serial).or_default() += 1;
                }
                Effect::ServicePortAdded { .. } => self.service_ports_added += 1,
                Effect::ServicePortDeleted { .. } => self.service_ports_deleted += 1,
                Effect::Saved => self.saves += 1,
                Effect::OntChanged { .. }
                | Effect::IpConfigChanged { .. }
                | Effect::Tr069Changed { .. }
                | Effect::ServicePortChanged { .. }
                | Effect::ConfigChanged { .. }
                | Effect::SaveStarted
                | Effect::Restarted { .. } => {}
            }
        }
    }
}

/// The record.
#[derive(Debug, Clone, Default)]
pub struct Record {
    entries: VecDeque<Entry>,
    tally: Tally,
    next_seq: u64,
    /// Entries not yet written to the file.
    unwritten: Vec<Entry>,
    /// True if someone drains `unwritten`.
    pub(crate) to_file: bool,
}

impl Record {
    /// Continues a record read from a file.
    pub(crate) fn restore(entries: Vec<Entry>, tally: Tally, next_seq: u64) -> Self {
        let mut entries = VecDeque::from(entries);
        while entries.len() > MAX_ENTRIES {
            entries.pop_front();
        }
        let next_seq = entries.back().map_or(next_seq, |last| next_seq.max(last.seq + 1));
        Record { entries, tally, next_seq, unwritten: Vec::new(), to_file: false }
    }

    /// Adds an entry and gives it its number.
    pub(crate) fn push(&mut self, mut entry: Entry) -> u64 {
        entry.seq = self.next_seq;
        self.next_seq += 1;
        self.tally.count(&entry);
        if self.to_file {
            self.unwritten.push(entry.clone());
        }
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.next_seq - 1
    }

    pub(crate) fn take_unwritten(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.unwritten)
    }

    pub(crate) fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Entries kept, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The counts.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Lines of an exact session, in order.
    pub fn lines_of(&self, session: u64) -> Vec<&str> {
        self.entries.iter().filter(|e| e.session == session).map(|e| e.line.as_str()).collect()
    }

    /// Entries whose line contains a text.
    pub fn told(&self, text: &str) -> Vec<&Entry> {
        self.entries.iter().filter(|e| e.line.contains(text)).collect()
    }

    /// Serials that were registered more often than they were removed plus once: an order repeated.
    pub fn registered_twice(&self) -> Vec<Serial> {
        self.tally
            .ont_added
            .iter()
            .filter(|(serial, added)| **added > self.tally.ont_deleted.get(serial).copied().unwrap_or(0) + 1)
            .map(|(serial, _)| *serial)
            .collect()
    }
}

/// The line with everything secret in it replaced: what follows `password`, and the value after a TR-069 profile's
/// user.
pub fn redact(line: &str) -> String {
    let tokens: Vec<&str> = split_keeping_quotes(line);
    let mut out: Vec<&str> = Vec::with_capacity(tokens.len());
    let mut hide_at = None;
    for (i, token) in tokens.iter().enumerate() {
        if hide_at == Some(i) {
            out.push("***");
            hide_at = None;
            continue;
        }
        match token.to_ascii_lowercase().as_str() {
            "password" => hide_at = Some(i + 1),
            "user" if line.contains("tr069-server-profile") => hide_at = Some(i + 2),
            _ => {}
        }
        out.push(token);
    }
    out.join(" ")
}

fn split_keeping_quotes(line: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut in_quotes) = (0, false);
    for (i, c) in line.char_indices() {
        if c == '"' {
            in_quotes = !in_quotes;
        } else if c == ' ' && !in_quotes {
            if start < i {
                parts.push(&line[start..i]);
            }
            start = i + 1;
        }
    }
    if start < line.len() {
        parts.push(&line[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_reach_the_record() {
        assert_eq!(
            redact("ont tr069-server-profile add profile-id 1 url \"http://a/ b\" user \"acs\" \"hunter 2\""),
            "ont tr069-server-profile add profile-id 1 url \"http://a/ b\" user \"acs\" ***"
        );
        assert_eq!(
            redact("ont ipconfig 1 2 pppoe vlan 3 priority 0 user-account username \"u\" password \"x y\""),
            "ont ipconfig 1 2 pppoe vlan 3 priority 0 user-account username \"u\" password ***"
        );
        assert_eq!(redact("display ont info 0 1 2 all"), "display ont info 0 1 2 all");
    }

    #[test]
    fn a_repeated_registration_is_seen_although_entries_are_dropped() {
        let serial: Serial = "HWTC00000001".parse().expect("serial");
        let pon = PonPath { frame: 0, slot: 1, port: 0 };
        let entry = |effects| Entry {
            seq: 0,
            at: UtcMs(0),
            session: 1,
            user: String::new(),
            view: String::new(),
            line: String::new(),
            verdict: Verdict::Done,
            effects,
            fault: None,
        };
        let mut record = Record::default();
        record.push(entry(vec![Effect::OntAdded { serial, pon, ont: 0 }]));
        assert!(record.registered_twice().is_empty());
        record.push(entry(vec![Effect::OntDeleted { serial, pon, ont: 0 }]));
        record.push(entry(vec![Effect::OntAdded { serial, pon, ont: 0 }]));
        assert!(record.registered_twice().is_empty(), "removed in between");
        record.push(entry(vec![Effect::OntAdded { serial, pon, ont: 1 }]));
        for _ in 0..MAX_ENTRIES {
            record.push(entry(Vec::new()));
        }
        assert_eq!(record.entries().count(), MAX_ENTRIES);
        assert_eq!(record.registered_twice(), [serial]);
    }
}
