//! The data model of one CPE: a shared model from a CSV file and, over it, what this device has changed.
//!
//! A model file has the columns `path,writable,type,value` (a dump of a real CPE has the same shape). Thousands of
//! devices share one [`Model`]; each holds only its differences, so that memory and the journal stay small.

use super::{
    templates::{Templates, pattern_of},
    values::{self, Kind},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// Most bytes of a model file that are read.
const MAX_FILE_BYTES: u64 = 16 << 20;
/// Most rows of a model file.
const MAX_ROWS: usize = 100_000;
/// Longest path of a parameter (TR-069 allows 256).
const MAX_PATH_CHARS: usize = 256;
/// Most instances of one table.
const MAX_INSTANCES: usize = 64;

/// A parameter: its value, its type and whether it may be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// The value as text.
    #[serde(rename = "v")]
    pub value: String,
    /// The type the device reports.
    #[serde(rename = "k")]
    pub kind: Kind,
    /// True if SetParameterValues may change it.
    #[serde(rename = "w")]
    pub writable: bool,
}

/// An object (its path ends with a dot) or a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Node {
    /// An object. Of a table, `writable` means AddObject is allowed; of an instance, DeleteObject.
    #[serde(rename = "o")]
    Object {
        /// See the variant.
        #[serde(rename = "w")]
        writable: bool,
    },
    /// A parameter.
    #[serde(rename = "l")]
    Leaf(Leaf),
}

impl Node {
    /// True if the node may be set, added to or deleted.
    pub fn writable(&self) -> bool {
        match self {
            Node::Object { writable } => *writable,
            Node::Leaf(leaf) => leaf.writable,
        }
    }
}

/// Why a model file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read.
    #[error("cannot read the data model {file}: {source}")]
    Io {
        /// Which file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A row is not what a model file holds.
    #[error("data model {file}, line {line}: {what}")]
    Row {
        /// Which file.
        file: String,
        /// Which line, counted from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The file has nothing under `InternetGatewayDevice.` or `Device.`.
    #[error("data model {file} has no parameter under InternetGatewayDevice. or Device.")]
    Empty {
        /// Which file.
        file: String,
    },
}

/// A data model shared by all devices of one kind.
#[derive(Debug)]
pub struct Model {
    /// `InternetGatewayDevice.` or `Device.`.
    pub root: String,
    nodes: BTreeMap<String, Node>,
    templates: Templates,
    /// Values of `DeviceID.*` rows: identity that is not part of the tree (dumps of an ACS carry it).
    pub identity: BTreeMap<String, String>,
}

impl Model {
    /// Reads a model from a file, e.g. a dump of a real CPE.
    ///
    /// # Errors
    /// When the file is missing, too large, or a row is not `path,writable,type,value`.
    pub fn load(path: &Path) -> Result<Model, ModelError> {
        let file = path.display().to_string();
        let io = |source| ModelError::Io { file: file.clone(), source };
        let size = std::fs::metadata(path).map_err(io)?.len();
        if size > MAX_FILE_BYTES {
            let what = format!("the file has {size} bytes, {MAX_FILE_BYTES} are allowed");
            return Err(ModelError::Row { file: file.clone(), line: 0, what });
        }
        Model::from_csv(&std::fs::read_to_string(path).map_err(io)?, &file)
    }

    /// Reads a model from CSV text; `file` names it in errors. Rows whose path holds `{i}` are templates of new
    /// instances. Objects that a partial dump leaves out are supplied.
    ///
    /// # Errors
    /// When a row is not `path,writable,type,value`, or nothing is under a known root.
    pub fn from_csv(text: &str, file: &str) -> Result<Model, ModelError> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
        let (mut nodes, mut identity) = (BTreeMap::new(), BTreeMap::new());
        let mut own_templates: Vec<(String, Node)> = Vec::new();
        for (row, record) in reader.records().enumerate() {
            let line = row as u64 + 2;
            let wrong = |what: String| ModelError::Row { file: file.to_owned(), line, what };
            if row >= MAX_ROWS {
                return Err(wrong(format!("more than {MAX_ROWS} rows")));
            }
            let record = record.map_err(|error| wrong(error.to_string()))?;
            let field = |at: usize| record.get(at).unwrap_or_default();
            let (path, kind) = (field(0).trim(), field(2).trim());
            if path.is_empty() || path.len() > MAX_PATH_CHARS {
                return Err(wrong(format!("a path of {} characters", path.len())));
            }
            if let Some(name) = path.strip_prefix("DeviceID.") {
                identity.insert(name.to_owned(), field(3).to_owned());
                continue;
            }
            if !(path.starts_with("InternetGatewayDevice.") || path.starts_with("Device.")) {
                continue;
            }
            let writable = matches!(field(1).trim(), "true" | "1" | "W" | "w");
            let node = if path.ends_with('.') || kind == "object" {
                Node::Object { writable }
            } else {
                let kind = Kind::parse(kind).ok_or_else(|| wrong(format!("unknown type {kind:?}")))?;
                Node::Leaf(Leaf { value: field(3).to_owned(), kind, writable })
            };
            let path = if matches!(node, Node::Object { .. }) && !path.ends_with('.') {
                format!("{path}.")
            } else {
                path.to_owned()
            };
            if path.contains("{i}") {
                own_templates.push((path, node));
            } else {
                nodes.insert(path, node);
            }
        }
        let root = match nodes.keys().next_back() {
            Some(last) if last.starts_with("InternetGatewayDevice.") => "InternetGatewayDevice.",
            Some(_) => "Device.",
            None => return Err(ModelError::Empty { file: file.to_owned() }),
        };
        supply_objects(&mut nodes);
        let templates = Templates::new(own_templates, &nodes);
        Ok(Model { root: root.to_owned(), nodes, templates, identity })
    }

    /// How many nodes the model has.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// True if the model has no node; a loaded one always has some.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

/// Adds the objects above every node. A numbered object makes its parent a table that AddObject may extend.
fn supply_objects(nodes: &mut BTreeMap<String, Node>) {
    let mut missing: BTreeMap<String, bool> = BTreeMap::new();
    for path in nodes.keys() {
        let mut below = path.as_str();
        while let Some(parent) = parent_of(below) {
            let name = &below[parent.len()..].trim_end_matches('.');
            let numbered = is_number(name);
            if !nodes.contains_key(parent) {
                *missing.entry(parent.to_owned()).or_default() |= numbered;
            }
            if numbered && !nodes.contains_key(&below[..parent.len() + name.len() + 1]) {
                missing.insert(below[..parent.len() + name.len() + 1].to_owned(), true);
            }
            below = parent;
        }
    }
    for (path, writable) in missing {
        nodes.entry(path).or_insert(Node::Object { writable });
    }
}

/// `A.B.` of `A.B.C` and of `A.B.C.`; nothing above the root.
pub fn parent_of(path: &str) -> Option<&str> {
    let trimmed = path.strip_suffix('.').unwrap_or(path);
    trimmed.rfind('.').map(|at| &path[..=at])
}

fn is_number(name: &str) -> bool {
    !name.is_empty() && name.len() < 6 && name.bytes().all(|b| b.is_ascii_digit())
}

/// A name as GetParameterNames answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The path; an object's ends with a dot.
    pub path: String,
    /// The `Writable` flag.
    pub writable: bool,
}

/// A value as GetParameterValues answers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The path of the parameter.
    pub path: String,
    /// The value as text; a secret is empty.
    pub value: String,
    /// The type.
    pub kind: Kind,
}

/// One parameter to set. `kind` is what the ACS said, if it said anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The path of the parameter.
    pub path: String,
    /// The new value as text.
    pub value: String,
    /// The type the ACS sent.
    pub kind: Option<Kind>,
}

/// A CWMP fault (TR-069 A.5.1) with the parameters it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} {text}")]
pub struct Fault {
    /// 9000–9899.
    pub code: u16,
    /// The fault string.
    pub text: String,
    /// One entry per bad parameter of a SetParameterValues.
    pub parameters: Vec<(String, u16, String)>,
}

impl Fault {
    /// A fault with the usual text of its code.
    pub fn new(code: u16) -> Fault {
        Fault { code, text: values::fault_text(code).to_owned(), parameters: Vec::new() }
    }
}

/// How a device deviates from TR-069 when it is written to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WriteRules {
    /// A faulted SetParameterValues leaves the good settings applied.
    pub non_atomic: bool,
    /// A write below a missing instance of an existing table is accepted and lost.
    pub phantom: bool,
    /// More settings in one call fault 9002.
    pub max_settings: Option<usize>,
    /// A connection is born `Unconfigured` and faults 9002 until its ConnectionType is sent alone.
    pub born_unconfigured: bool,
}

/// What a SetParameterValues did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Paths whose value is different now.
    pub changed: Vec<String>,
    /// Settings that were accepted and lost.
    pub lost: Vec<String>,
    /// The fault to answer, if any.
    pub fault: Option<Fault>,
}

/// What changed since the journal was last written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Node by path; `null` is a deleted one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, Option<Node>>,
    /// Highest instance number ever given, by table.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<String, u32>,
    /// Everything changed before is void: the device was reset to its factory settings.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reset: bool,
}

impl Changes {
    /// True if there is nothing to write down.
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }
}

/// The data model of one device.
#[derive(Debug, Clone)]
pub struct Tree {
    model: Arc<Model>,
    overlay: BTreeMap<String, Option<Node>>,
    counters: BTreeMap<String, u32>,
    unsaved: Changes,
}

impl Tree {
    /// A device as it left the factory.
    pub fn new(model: Arc<Model>) -> Tree {
        Tree { model, overlay: BTreeMap::new(), counters: BTreeMap::new(), unsaved: Changes::default() }
    }

    /// `InternetGatewayDevice.` or `Device.`.
    pub fn root(&self) -> &str {
        &self.model.root
    }

    /// The node at an exact path.
    pub fn get(&self, path: &str) -> Option<&Node> {
        match self.overlay.get(path) {
            Some(node) => node.as_ref(),
            None => self.model.nodes.get(path),
        }
    }

    /// The true value of a parameter, secrets included.
    pub fn value(&self, path: &str) -> Option<&str> {
        match self.get(path)? {
            Node::Leaf(leaf) => Some(&leaf.value),
            Node::Object { .. } => None,
        }
    }

    /// The value of a parameter below the root.
    pub fn at_root(&self, path: &str) -> Option<&str> {
        self.value(&format!("{}{path}", self.model.root))
    }

    /// True if an object with this path (ending with a dot) or a parameter exists.
    pub fn has(&self, path: &str) -> bool {
        self.get(path).is_some()
    }

    /// Every node whose path starts with `prefix`, in order of path.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Node)> {
        let mut base = self
            .model
            .nodes
            .range(prefix.to_owned()..)
            .take_while(move |(k, _)| k.starts_with(prefix))
            .peekable();
        let mut own = self
            .overlay
            .range(prefix.to_owned()..)
            .take_while(move |(k, _)| k.starts_with(prefix))
            .peekable();
        std::iter::from_fn(move || {
            loop {
                let own_first = match (base.peek(), own.peek()) {
                    (Some((b, _)), Some((o, _))) if b == o => {
                        base.next();
                        true
                    }
                    (Some((b, _)), Some((o, _))) => o < b,
                    (None, Some(_)) => true,
                    (Some(_), None) => false,
                    (None, None) => return None,
                };
                if !own_first {
                    return base.next().map(|(path, node)| (path.as_str(), node));
                }
                if let Some((path, Some(node))) = own.next() {
                    return Some((path.as_str(), node));
                }
            }
        })
    }

    /// The instance numbers of a table (path with a dot at its end), ascending.
    pub fn instances(&self, table: &str) -> Vec<u32> {
        let mut found: Vec<u32> = self
            .below(table)
            .filter_map(|(path, _)| path[table.len()..].strip_suffix('.'))
            .filter(|name| is_number(name))
            .filter_map(|name| name.parse().ok())
            .collect();
        found.sort_unstable();
        found
    }

    /// GetParameterNames (TR-069 A.3.2.3).
    ///
    /// # Errors
    /// 9005 for an unknown path, 9003 for NextLevel on a parameter.
    pub fn names(&self, path: &str, next_level: bool) -> Result<Vec<Name>, Fault> {
        let name = |(path, node): (&str, &Node)| Name { path: path.to_owned(), writable: node.writable() };
        let path = if path.is_empty() && !next_level { self.root() } else { path };
        if path.is_empty() {
            return Ok(vec![Name { path: self.root().to_owned(), writable: false }]);
        }
        let node = self.get(path).ok_or_else(|| Fault::new(9005))?;
        if matches!(node, Node::Leaf(_)) {
            return if next_level { Err(Fault::new(9003)) } else { Ok(vec![name((path, node))]) };
        }
        if !next_level {
            return Ok(self.below(path).map(name).collect());
        }
        let child = |below: &str| {
            let rest = &below[path.len()..];
            !rest.is_empty() && rest.find('.').is_none_or(|at| at + 1 == rest.len())
        };
        Ok(self.below(path).filter(|(below, _)| child(below)).map(name).collect())
    }

    /// GetParameterValues (TR-069 A.3.2.2). A secret reads back empty unless `readable_secrets`.
    ///
    /// # Errors
    /// 9005 as soon as one name is unknown, without saying which, as CPEs do.
    pub fn values(&self, paths: &[String], readable_secrets: bool) -> Result<Vec<Value>, Fault> {
        let mut found = Vec::new();
        for path in paths {
            let path = if path.is_empty() { self.root() } else { path };
            match self.get(path) {
                None => return Err(Fault::new(9005)),
                Some(Node::Leaf(leaf)) => found.push(read(path, leaf, readable_secrets)),
                Some(Node::Object { .. }) => {
                    for (below, node) in self.below(path) {
                        if let Node::Leaf(leaf) = node {
                            found.push(read(below, leaf, readable_secrets));
                        }
                    }
                }
            }
        }
        Ok(found)
    }

    /// SetParameterValues (TR-069 A.3.2.1): all or nothing, unless the rules say otherwise.
    pub fn set(&mut self, settings: &[Setting], rules: WriteRules) -> Written {
        let mut written = Written { changed: Vec::new(), lost: Vec::new(), fault: None };
        if rules.max_settings.is_some_and(|most| settings.len() > most) {
            if rules.non_atomic {
                let half = settings.len() / 2;
                written = self.set(&settings[..half], WriteRules { max_settings: None, ..rules });
            }
            written.fault = Some(Fault::new(9002));
            return written;
        }
        if rules.born_unconfigured && self.unconfigured(settings) {
            written.fault = Some(Fault::new(9002));
            return written;
        }
        let (mut good, mut bad, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for setting in settings {
            if !seen.insert(setting.path.as_str()) {
                bad.push((setting.path.clone(), 9003, "Parameter given twice".to_owned()));
                continue;
            }
            match self.check(setting, settings, rules.phantom) {
                Ok(Some(value)) => good.push((setting.path.clone(), value)),
                Ok(None) => written.lost.push(setting.path.clone()),
                Err(code) => bad.push((setting.path.clone(), code, values::fault_text(code).to_owned())),
            }
        }
        if bad.is_empty() || rules.non_atomic {
            for (path, value) in good {
                if self.write(&path, &value) {
                    written.changed.push(path);
                }
            }
        }
        if !bad.is_empty() {
            written.fault = Some(Fault { parameters: bad, ..Fault::new(9003) });
        }
        written
    }

    /// True if one of the settings touches a connection whose type is still `Unconfigured` and is not that type alone.
    fn unconfigured(&self, settings: &[Setting]) -> bool {
        settings.iter().any(|setting| {
            let Some(parent) = parent_of(&setting.path) else { return false };
            let path = format!("{parent}ConnectionType");
            self.value(&path) == Some("Unconfigured") && !(settings.len() == 1 && setting.path == path)
        })
    }

    /// The value to store; `None` for a write that is accepted and lost; a fault code otherwise.
    fn check(&self, setting: &Setting, all: &[Setting], phantom: bool) -> Result<Option<String>, u16> {
        let leaf = match self.get(&setting.path) {
            Some(Node::Leaf(leaf)) => leaf,
            Some(Node::Object { .. }) => return Err(9005),
            None if phantom && self.below_missing_instance(&setting.path) => return Ok(None),
            None => return Err(9005),
        };
        if !leaf.writable {
            return Err(9008);
        }
        let value = values::accept(leaf.kind, setting.kind, &setting.value)?;
        let parent = parent_of(&setting.path).unwrap_or_default();
        let name = &setting.path[parent.len()..];
        let sibling = |name: &str| {
            let path = format!("{parent}{name}");
            let new = all.iter().find(|other| other.path == path).map(|other| other.value.clone());
            new.or_else(|| self.value(&path).map(str::to_owned))
        };
        values::check_meaning(name, &value, sibling)?;
        Ok(Some(value))
    }

    /// True if the path runs through a number that an existing table does not have.
    fn below_missing_instance(&self, path: &str) -> bool {
        let mut at = path;
        while let Some(parent) = parent_of(at) {
            if self.has(parent) {
                let rest = &path[parent.len()..];
                return rest.split_once('.').is_some_and(|(name, _)| is_number(name));
            }
            at = parent;
        }
        false
    }

    /// Stores a value, as the device itself does (no rule is checked). True if it was another one before.
    pub fn write(&mut self, path: &str, value: &str) -> bool {
        let Some(Node::Leaf(leaf)) = self.get(path) else { return false };
        if leaf.value == value {
            return false;
        }
        let leaf = Leaf { value: value.to_owned(), ..leaf.clone() };
        self.put(path, Some(Node::Leaf(leaf)));
        true
    }

    /// Stores a value below the root, if the device has that parameter.
    pub fn write_at_root(&mut self, path: &str, value: &str) -> bool {
        let path = format!("{}{path}", self.model.root);
        self.write(&path, value)
    }

    /// Stores a value below the root that changes all the time and is not worth remembering.
    pub fn write_passing(&mut self, path: &str, value: &str) {
        let path = format!("{}{path}", self.model.root);
        if let Some(Node::Leaf(leaf)) = self.get(&path) {
            let leaf = Leaf { value: value.to_owned(), ..leaf.clone() };
            self.overlay.insert(path, Some(Node::Leaf(leaf)));
        }
    }

    fn put(&mut self, path: &str, node: Option<Node>) {
        self.unsaved.nodes.insert(path.to_owned(), node.clone());
        self.overlay.insert(path.to_owned(), node);
    }

    /// AddObject (TR-069 A.3.2.6): the number of the new instance. With `numbers_reset` the lowest free number is
    /// given again after a delete, which TR-069 forbids and some devices do.
    ///
    /// # Errors
    /// 9005 if there is no such table or it cannot be extended, 9004 if it is full.
    pub fn add(&mut self, table: &str, numbers_reset: bool) -> Result<u32, Fault> {
        match self.get(table) {
            Some(Node::Object { writable: true }) if table.ends_with('.') && self.is_table(table) => {}
            _ => return Err(Fault::new(9005)),
        }
        self.add_inside(table, numbers_reset)
    }

    /// As [`Tree::add`], by the device itself: read-only tables too.
    ///
    /// # Errors
    /// 9004 if the table is full, 9002 if the device does not know what such an object looks like.
    pub fn add_inside(&mut self, table: &str, numbers_reset: bool) -> Result<u32, Fault> {
        let instances = self.instances(table);
        if instances.len() >= MAX_INSTANCES {
            return Err(Fault::new(9004));
        }
        let highest = instances.last().copied().unwrap_or(0);
        let number = if numbers_reset {
            (1..).find(|n| !instances.contains(n)).unwrap_or(highest + 1)
        } else {
            self.counters.get(table).copied().unwrap_or(0).max(highest) + 1
        };
        let nodes = self.newborn(table).ok_or_else(|| Fault::new(9002))?;
        self.counters.insert(table.to_owned(), number);
        self.unsaved.counters.insert(table.to_owned(), number);
        self.put(&format!("{table}{number}."), Some(Node::Object { writable: true }));
        for (rest, node) in nodes {
            self.put(&format!("{table}{number}.{rest}"), Some(node));
        }
        self.count_entries(table);
        Ok(number)
    }

    /// The nodes of a new instance, relative to it: a template, or the shape of a sibling with factory values.
    fn newborn(&self, table: &str) -> Option<Vec<(String, Node)>> {
        let pattern = format!("{}{{i}}.", pattern_of(table));
        if let Some(template) = self.model.templates.get(&pattern) {
            return Some(template.to_vec());
        }
        let siblings = self.instances(table).into_iter().map(|n| format!("{table}{n}."));
        let richest = siblings.max_by_key(|sibling| self.below(sibling).count())?;
        Some(Templates::derive(&richest, self.below(&richest)))
    }

    /// True if instances of this object are known: it has some, or there is a template for one.
    pub fn is_table(&self, table: &str) -> bool {
        self.model.templates.get(&format!("{}{{i}}.", pattern_of(table))).is_some()
            || !self.instances(table).is_empty()
    }

    /// DeleteObject (TR-069 A.3.2.7).
    ///
    /// # Errors
    /// 9005 if the path is no existing instance or may not be deleted.
    pub fn delete(&mut self, instance: &str) -> Result<(), Fault> {
        let number = instance.strip_suffix('.').and_then(|path| path.rsplit('.').next());
        match self.get(instance) {
            Some(Node::Object { writable: true }) if number.is_some_and(is_number) => {}
            _ => return Err(Fault::new(9005)),
        }
        self.delete_inside(instance);
        Ok(())
    }

    /// As [`Tree::delete`], by the device itself: rows that nobody else may delete too.
    pub fn delete_inside(&mut self, instance: &str) {
        let paths: Vec<String> = self.below(instance).map(|(path, _)| path.to_owned()).collect();
        let table = parent_of(instance).unwrap_or_default().to_owned();
        let highest = self.instances(&table).last().copied().unwrap_or(0);
        let counter = self.counters.get(&table).copied().unwrap_or(0).max(highest);
        self.counters.insert(table.clone(), counter);
        self.unsaved.counters.insert(table.clone(), counter);
        for path in paths {
            self.put(&path, None);
        }
        self.count_entries(&table);
    }

    /// Keeps `WANPPPConnectionNumberOfEntries` beside `WANPPPConnection.` true.
    fn count_entries(&mut self, table: &str) {
        let path = format!("{}NumberOfEntries", table.trim_end_matches('.'));
        let count = self.instances(table).len().to_string();
        self.write(&path, &count);
    }

    /// Back to the factory settings; instance numbers start again too.
    pub fn reset(&mut self) {
        self.overlay.clear();
        self.counters.clear();
        self.unsaved = Changes { reset: true, ..Changes::default() };
    }

    /// Everything changed since the last call, for the journal.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.unsaved)
    }

    /// Everything that differs from the factory settings, for a journal that starts afresh.
    pub fn all_changes(&self) -> Changes {
        Changes { nodes: self.overlay.clone(), counters: self.counters.clone(), reset: false }
    }

    /// Repeats changes read from a journal.
    pub fn replay(&mut self, changes: Changes) {
        if changes.reset {
            self.overlay.clear();
            self.counters.clear();
        }
        self.overlay.extend(changes.nodes);
        self.counters.extend(changes.counters);
    }
}

fn read(path: &str, leaf: &Leaf, readable_secrets: bool) -> Value {
    let hidden = !readable_secrets && values::is_secret(path);
    let value = if hidden { String::new() } else { leaf.value.clone() };
    Value { path: path.to_owned(), value, kind: leaf.kind }
}
