//! What a new object looks like when AddObject makes one.
//!
//! First choice: rows of the model file whose path holds `{i}`. Second: the templates of the model's namespace
//! (`models/new_*.csv`). Third: the shape of an instance that is already there, with factory values.

use super::{
    tree::{Leaf, Node},
    values::Kind,
};
use std::collections::BTreeMap;

/// Templates per namespace: the name that shows the namespace, and the file.
const NAMESPACES: [(&str, &str); 2] = [
    ("X_HW_", include_str!("../../models/new_x_hw.csv")),
    ("", include_str!("../../models/new_standard.csv")),
];

/// New instances by pattern of their path, e.g. `InternetGatewayDevice.WANDevice.{i}.WANConnectionDevice.{i}.`.
#[derive(Debug, Default)]
pub(super) struct Templates(BTreeMap<String, Vec<(String, Node)>>);

impl Templates {
    /// From the template rows of a model file; what they do not cover comes from the namespace's own file.
    pub(super) fn new(own: Vec<(String, Node)>, nodes: &BTreeMap<String, Node>) -> Templates {
        let mut templates = Templates::default();
        templates.add(own);
        for (marker, file) in NAMESPACES {
            if !marker.is_empty() && !nodes.keys().any(|path| path.contains(marker)) {
                continue;
            }
            let mut rows = Vec::new();
            for line in file.lines().skip(1) {
                let mut fields = line.splitn(4, ',');
                let mut field = || fields.next().unwrap_or_default();
                let (path, writable, kind, value) = (field(), field() == "true", field(), field());
                let node = match Kind::parse(kind) {
                    _ if path.ends_with('.') => Node::Object { writable },
                    Some(kind) => {
                        Node::Leaf(Leaf { value: value.trim_matches('"').to_owned(), kind, writable })
                    }
                    None => continue,
                };
                rows.push((path.to_owned(), node));
            }
            let known = std::mem::take(&mut templates.0);
            templates.add(rows);
            templates.0.extend(known);
        }
        templates
    }

    fn add(&mut self, rows: Vec<(String, Node)>) {
        for (path, node) in rows {
            let Some(at) = path.rfind("{i}.") else { continue };
            let (pattern, rest) = path.split_at(at + "{i}.".len());
            let nodes = self.0.entry(pattern_of(pattern)).or_default();
            if !rest.is_empty() {
                nodes.push((rest.to_owned(), node));
            }
        }
    }

    pub(super) fn get(&self, pattern: &str) -> Option<&[(String, Node)]> {
        self.0.get(pattern).map(Vec::as_slice)
    }

    /// The shape of an instance with factory values. Instances of its own extensible tables are left out.
    pub(super) fn derive<'a>(
        instance: &str,
        nodes: impl Iterator<Item = (&'a str, &'a Node)>,
    ) -> Vec<(String, Node)> {
        let (mut shape, mut left_out): (Vec<(String, Node)>, Vec<String>) = (Vec::new(), Vec::new());
        for (path, node) in nodes {
            let rest = &path[instance.len()..];
            if rest.is_empty() || left_out.iter().any(|out| rest.starts_with(out.as_str())) {
                continue;
            }
            let table =
                rest.trim_end_matches('.').rsplit_once('.').map(|(table, name)| (format!("{table}."), name));
            if let (Node::Object { .. }, Some((table, name))) = (node, table)
                && name.bytes().all(|b| b.is_ascii_digit())
                && shape.iter().any(|(path, node)| *path == table && node.writable())
            {
                left_out.push(rest.to_owned());
                continue;
            }
            let node = match node {
                Node::Object { writable } => Node::Object { writable: *writable },
                Node::Leaf(leaf) => Node::Leaf(factory(rest, leaf)),
            };
            shape.push((rest.to_owned(), node));
        }
        shape
    }
}

/// A parameter as a new object has it.
fn factory(path: &str, leaf: &Leaf) -> Leaf {
    let name = path.rsplit('.').next().unwrap_or(path);
    let value = match (name, leaf.kind) {
        // What the hardware or the firmware says about itself is the same on every instance.
        (
            "PossibleConnectionTypes"
            | "ConnectionTrigger"
            | "TransportType"
            | "MaxMRUSize"
            | "MaxMTUSize"
            | "CurrentMRUSize"
            | "PPPLCPEcho"
            | "PPPLCPEchoRetry"
            | "PPPAuthenticationProtocol"
            | "ModesSupported"
            | "X_HW_PriPolicy"
            | "X_HW_MultiCastVLAN"
            | "PolicyRouteType"
            | "ConnectionType"
            | "AddressingType",
            _,
        ) => leaf.value.clone(),
        ("ConnectionStatus", _) => "Unconfigured".to_owned(),
        ("Status", _) => "Disabled".to_owned(),
        ("LastConnectionError", _) => "ERROR_NONE".to_owned(),
        ("ExternalIPAddress" | "DefaultGateway", _) => "0.0.0.0".to_owned(),
        ("X_HW_IPv4Enable", _) => "true".to_owned(),
        (_, Kind::Boolean) => "false".to_owned(),
        (_, Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong) => "0".to_owned(),
        (_, Kind::DateTime) => "0001-01-01T00:00:00Z".to_owned(),
        (_, Kind::String | Kind::Base64 | Kind::HexBinary) => String::new(),
    };
    Leaf { value, ..leaf.clone() }
}

/// The path with every number replaced: `A.1.B.12.` is `A.{i}.B.{i}.`.
pub(super) fn pattern_of(path: &str) -> String {
    let parts = path
        .split('.')
        .map(|part| if !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) { "{i}" } else { part });
    parts.collect::<Vec<_>>().join(".")
}
