//! The part of a device's data model that was read in this session.

use crate::talk::{NameInfo, ParamValue, ValueKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Instances looked at in one table; the newest if there are more. Plans look at every WAN beside every other object, and
/// a device that makes up thousands must not cost more than its own session.
const MAX_INSTANCES: usize = 64;
/// Characters kept of one value: nothing that is compared or shown is longer.
const MAX_VALUE_CHARS: usize = 4096;

/// Full path → what is known. Objects end with a dot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tree(BTreeMap<String, Node>);

/// One parameter or object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Node {
    /// Reported as writable.
    #[serde(rename = "w", default)]
    pub writable: bool,
    /// Value, once read.
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Type, once read.
    #[serde(rename = "k", default)]
    pub kind: ValueKind,
}

impl Tree {
    /// A name exists.
    pub(crate) fn list(&mut self, name: &NameInfo) {
        self.0.entry(name.path.clone()).or_default().writable = name.writable;
    }

    /// A value was read.
    pub(crate) fn read(&mut self, value: &ParamValue) {
        let node = self.0.entry(value.path.clone()).or_default();
        node.value = Some(value.value.chars().take(MAX_VALUE_CHARS).collect());
        node.kind = value.kind;
    }

    /// How many names are known.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The name exists.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The node, if the name exists.
    pub(crate) fn node(&self, path: &str) -> Option<&Node> {
        self.0.get(path)
    }

    /// The value, if it was read.
    pub(crate) fn value(&self, path: &str) -> Option<&str> {
        self.0.get(path)?.value.as_deref()
    }

    /// Forgets a value (it was written and must be read again).
    pub(crate) fn forget_value(&mut self, path: &str) {
        if let Some(node) = self.0.get_mut(path) {
            node.value = None;
        }
    }

    /// Instance paths (with trailing dot) directly under a table, in numeric order.
    pub(crate) fn instances(&self, table: &str) -> Vec<(u32, String)> {
        let mut found: Vec<(u32, String)> = self
            .under(table)
            .filter_map(|(path, _)| {
                let (number, _) = path[table.len()..].split_once('.')?;
                Some((number.parse().ok()?, format!("{table}{number}.")))
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found.drain(..found.len().saturating_sub(MAX_INSTANCES));
        found
    }

    /// Everything whose path begins with `prefix`.
    pub(crate) fn under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Node)> + 'a {
        self.0
            .range(prefix.to_owned()..)
            .take_while(move |(path, _)| path.starts_with(prefix))
            .map(|(path, node)| (path.as_str(), node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_instances_and_endless_values_are_bounded() {
        let mut tree = Tree::default();
        for number in 1..=5000 {
            tree.list(&NameInfo { path: format!("A.{number}."), writable: false });
        }
        let found = tree.instances("A.");
        assert_eq!((found.len(), found.last()), (MAX_INSTANCES, Some(&(5000, "A.5000.".to_owned()))));
        let value = ParamValue { path: "A.1.B".into(), value: "é".repeat(100_000), kind: ValueKind::String };
        tree.read(&value);
        assert_eq!(tree.value("A.1.B").map(|value| value.chars().count()), Some(MAX_VALUE_CHARS));
    }
}
