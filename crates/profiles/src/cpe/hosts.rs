//! What is connected to a device: in which tables it lists that, and what it calls things there.

use super::{diagnostic::LeafNames, pattern_of};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A table of what is connected. A host that is in several is told from all of them, by its MAC address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostTable {
    /// Its rows, with `?` for instance numbers, e.g. `Device.Hosts.Host.?.`.
    pub rows: String,
    /// What is in them, by word ([`HostTable::WORDS`]).
    pub leaves: BTreeMap<String, LeafNames>,
    /// Stations of a Wi-Fi network: what is in it is connected.
    #[serde(default)]
    pub wifi: bool,
    /// The way to what tells the band: a leaf of the object that the table lies in; where it names another object, a leaf of
    /// that; and so on. The last one tells the band, or a channel.
    #[serde(default)]
    pub band: Vec<String>,
}

impl HostTable {
    /// What may be read of a host.
    pub const WORDS: &[&str] = &["mac", "ip", "name", "interface", "active", "signal", "down", "up"];

    /// True for a row of it.
    pub fn has(&self, row: &str) -> bool {
        row.starts_with(self.object()) && pattern_of(row) == pattern_of(&self.rows)
    }

    /// The object to list: all that stands before the first instance number.
    pub fn object(&self) -> &str {
        self.rows.split_once('?').map_or(self.rows.as_str(), |(before, _)| before)
    }

    /// Names of leaves, one list for each thing, as whole patterns.
    pub fn patterns(&self) -> Vec<Vec<String>> {
        let rows = pattern_of(&self.rows);
        let of = |names: &LeafNames| names.0.iter().map(|name| format!("{rows}{name}")).collect();
        self.leaves.values().map(of).collect()
    }

    /// What is wrong with it, if something is.
    pub(super) fn problem(&self, root: &str) -> Option<String> {
        if !self.rows.starts_with(root) || !self.rows.ends_with(".?.") {
            return Some(format!("{:?} must begin with {root:?} and end with \".?.\"", self.rows));
        }
        if let Some(word) = self.leaves.keys().find(|word| !Self::WORDS.contains(&word.as_str())) {
            return Some(format!("{word:?} is none of {}", Self::WORDS.join(", ")));
        }
        if !self.leaves.contains_key("mac") {
            return Some("needs \"mac\": hosts are told apart by it".to_owned());
        }
        let names = self.leaves.values().flat_map(|names| &names.0).chain(&self.band);
        let bad = names.clone().any(|name| name.is_empty() || name.contains('.') || name.contains('?'));
        (bad || self.leaves.values().any(|names| names.0.is_empty()))
            .then(|| "names are those of leaves, without a dot".to_owned())
    }
}
