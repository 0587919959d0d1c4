//! The part of a device's data model that was read in this session.

use crate::talk::{NameInfo, ParamValue, ValueKind};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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
        node.value = Some(value.value.clone());
        node.kind = value.kind;
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
