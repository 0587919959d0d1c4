//! Tests that a device runs by itself: what its object calls the inputs and the results.
//!
//! Where the object is, its capability says ([`super::Capability::paths`]); here are the names in it. The standards differ
//! between TR-098 and TR-181, and families differ from both.

use super::{capability::CapabilityName, schema::words};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// A test that a device can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiagnosticName {
    /// Ping.
    Ping,
    /// Trace route.
    Traceroute,
    /// Look a name up.
    Lookup,
    /// Look for other Wi-Fi networks.
    Neighbours,
}

impl DiagnosticName {
    /// Every one.
    pub const ALL: &[DiagnosticName] = &[
        DiagnosticName::Ping,
        DiagnosticName::Traceroute,
        DiagnosticName::Lookup,
        DiagnosticName::Neighbours,
    ];

    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            DiagnosticName::Ping => "ping",
            DiagnosticName::Traceroute => "traceroute",
            DiagnosticName::Lookup => "lookup",
            DiagnosticName::Neighbours => "neighbours",
        }
    }

    /// Where a device has it.
    pub fn capability(self) -> CapabilityName {
        match self {
            DiagnosticName::Ping => CapabilityName::Ping,
            DiagnosticName::Traceroute => CapabilityName::Traceroute,
            DiagnosticName::Lookup => CapabilityName::DnsLookup,
            DiagnosticName::Neighbours => CapabilityName::WifiScan,
        }
    }

    /// Words of what may be written; the first ones are needed.
    pub fn inputs(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            DiagnosticName::Ping => (&["host"], &["interface", "repetitions", "timeout", "size"]),
            DiagnosticName::Traceroute => (&["host"], &["interface", "repetitions", "timeout", "hops"]),
            DiagnosticName::Lookup => (&["name"], &["interface", "server", "repetitions", "timeout"]),
            DiagnosticName::Neighbours => (&[], &[]),
        }
    }

    /// Words of what is read once.
    pub fn results(self) -> &'static [&'static str] {
        match self {
            DiagnosticName::Ping => &["received", "lost", "least", "average", "most"],
            DiagnosticName::Traceroute => &["time"],
            DiagnosticName::Lookup => &["successes"],
            DiagnosticName::Neighbours => &[],
        }
    }

    /// Words of what is read row by row.
    pub fn rows(self) -> &'static [&'static str] {
        match self {
            DiagnosticName::Ping => &[],
            DiagnosticName::Traceroute => &["name", "address", "times", "error"],
            DiagnosticName::Lookup => &["status", "name", "addresses", "server", "time"],
            DiagnosticName::Neighbours => {
                &["ssid", "bssid", "channel", "signal", "band", "width", "security", "standards"]
            }
        }
    }
}

/// Names of leaves; the first that a device has is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafNames(pub Vec<String>);

impl<'de> Deserialize<'de> for LeafNames {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        words(deserializer).map(LeafNames)
    }
}

/// What the object of a test calls things.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnostic {
    /// The leaf that starts it and tells how far it is.
    #[serde(default = "state")]
    pub state: String,
    /// What may be written, by word.
    #[serde(default)]
    pub inputs: BTreeMap<String, LeafNames>,
    /// What is read once, by word.
    #[serde(default)]
    pub results: BTreeMap<String, LeafNames>,
    /// The table of what is read row by row, with its dot.
    #[serde(default)]
    pub table: Option<String>,
    /// What is read row by row, by word.
    #[serde(default)]
    pub rows: BTreeMap<String, LeafNames>,
    /// The interface is named with its last dot.
    #[serde(default)]
    pub interface_dot: bool,
}

fn state() -> String {
    "DiagnosticsState".to_owned()
}

impl Diagnostic {
    /// The names of everything in the object, one list for each thing, relative to it; instance numbers as `?`.
    pub fn leaves(&self) -> Vec<Vec<String>> {
        let table = self.table.as_deref().unwrap_or_default();
        let once = self.inputs.values().chain(self.results.values()).map(|names| names.0.clone());
        let by_row =
            self.rows.values().map(|names| names.0.iter().map(|name| format!("{table}?.{name}")).collect());
        std::iter::once(vec![self.state.clone()]).chain(once).chain(by_row).collect()
    }

    /// What is wrong with it, if something is.
    pub(super) fn problem(&self, name: DiagnosticName) -> Option<String> {
        let (needed, optional) = name.inputs();
        let unknown = |given: &BTreeMap<String, LeafNames>, known: &[&str]| {
            given
                .keys()
                .find(|word| !known.contains(&word.as_str()))
                .map(|word| format!("{word:?} is none of {}", known.join(", ")))
        };
        if let Some(missing) = needed.iter().find(|word| !self.inputs.contains_key(**word)) {
            return Some(format!("needs the input {missing:?}"));
        }
        if let Some(unknown) = unknown(&self.inputs, &[needed, optional].concat())
            .or_else(|| unknown(&self.results, name.results()))
            .or_else(|| unknown(&self.rows, name.rows()))
        {
            return Some(unknown);
        }
        let flat = self.inputs.values().chain(self.results.values()).chain(self.rows.values());
        if flat.clone().any(|names| names.0.is_empty()) {
            return Some("a word without a name".to_owned());
        }
        if flat
            .flat_map(|names| &names.0)
            .chain([&self.state])
            .any(|name| name.is_empty() || name.contains('.'))
        {
            return Some("names are those of leaves, without a dot".to_owned());
        }
        match &self.table {
            Some(table) if !table.ends_with('.') || table.starts_with('.') => {
                Some(format!("table {table:?} must end with a dot"))
            }
            None if !self.rows.is_empty() => Some("rows need a table".to_owned()),
            _ => None,
        }
    }
}
