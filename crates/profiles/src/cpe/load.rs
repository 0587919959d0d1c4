//! Reading, merging and checking profile files.

use super::{CpeProfile, Group, Phase, Setting, Slot, Variable, pattern_of};
use std::collections::{BTreeMap, HashMap, HashSet};
use toml::{Table, Value};

/// A profile file is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not TOML, or not the shape.
    #[error("CPE profile {file}: {problem}")]
    Shape {
        /// File name.
        file: String,
        /// What the parser says.
        problem: String,
    },
    /// `extends` names a profile that is not there, or goes in a circle.
    #[error("CPE profile {file}: extends {parent:?}, which {problem}")]
    Extends {
        /// File name.
        file: String,
        /// The parent.
        parent: String,
        /// `does not exist` or `extends it in turn`.
        problem: &'static str,
    },
    /// Two files have the same id.
    #[error("CPE profiles {first} and {second} both have the id {id:?}")]
    Twice {
        /// The id.
        id: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// A rule of the format is broken.
    #[error("CPE profile {id}: {at}: {problem}")]
    Rule {
        /// Profile id.
        id: String,
        /// The key.
        at: String,
        /// What is wrong and what was expected.
        problem: String,
    },
}

pub(super) fn load(
    files: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<CpeProfile>, ProfileError> {
    let mut tables: BTreeMap<String, (String, Table)> = BTreeMap::new();
    for (file, text) in files {
        let shape = |problem: String| ProfileError::Shape { file: file.clone(), problem };
        let table: Table = text.parse().map_err(|error: toml::de::Error| shape(error.to_string()))?;
        let id =
            table.get("id").and_then(Value::as_str).ok_or_else(|| shape("has no `id`".into()))?.to_owned();
        if let Some((first, _)) = tables.get(&id) {
            return Err(ProfileError::Twice { id, first: first.clone(), second: file });
        }
        tables.insert(id, (file, table));
    }
    let mut profiles = Vec::new();
    for (id, (file, _)) in &tables {
        let merged = merged(id, &tables, &mut Vec::new())?;
        let mut profile: CpeProfile = merged.try_into().map_err(|error: toml::de::Error| {
            ProfileError::Shape { file: file.clone(), problem: error.to_string() }
        })?;
        check(&profile)?;
        index(&mut profile);
        profiles.push(profile);
    }
    Ok(profiles)
}

fn merged(
    id: &str,
    tables: &BTreeMap<String, (String, Table)>,
    seen: &mut Vec<String>,
) -> Result<Table, ProfileError> {
    let (file, own) = &tables[id];
    seen.push(id.to_owned());
    let Some(parent) = own.get("extends").and_then(Value::as_str) else { return Ok(own.clone()) };
    let problem = |problem| ProfileError::Extends { file: file.clone(), parent: parent.to_owned(), problem };
    if !tables.contains_key(parent) {
        return Err(problem("does not exist"));
    }
    if seen.iter().any(|earlier| earlier == parent) {
        return Err(problem("extends it in turn"));
    }
    let mut base = merged(parent, tables, seen)?;
    // What identifies the parent does not identify the child.
    for own_only in ["match", "probe", "foreign", "unproved"] {
        base.remove(own_only);
    }
    merge(&mut base, own);
    Ok(base)
}

/// Tables merge, everything else is replaced, `""` removes.
fn merge(base: &mut Table, own: &Table) {
    for (key, value) in own {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(own)) => merge(base, own),
            (_, Value::String(text)) if text.is_empty() => {
                base.remove(key);
            }
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

struct Checker<'a> {
    profile: &'a CpeProfile,
}

impl Checker<'_> {
    fn error(&self, at: impl Into<String>, problem: impl Into<String>) -> ProfileError {
        ProfileError::Rule { id: self.profile.id.clone(), at: at.into(), problem: problem.into() }
    }

    fn object(&self, at: &str, path: &str) -> Result<(), ProfileError> {
        if path.starts_with(&self.profile.root) && path.ends_with('.') {
            return Ok(());
        }
        Err(self.error(at, format!("{path:?} must begin with {:?} and end with a dot", self.profile.root)))
    }

    fn slots(&self, at: &str, slots: &BTreeMap<String, Slot>) -> Result<(), ProfileError> {
        for (name, slot) in slots {
            let at = format!("{at}.slots.{name}");
            match (&slot.object, &slot.table) {
                (Some(object), None) => self.object(&at, object)?,
                (None, Some(table)) => {
                    if let Some(rest) = table.strip_prefix('{') {
                        let parent = rest.split_once('}').map(|(parent, _)| parent).unwrap_or_default();
                        if !slots.contains_key(parent) || !table.ends_with('.') {
                            return Err(self.error(
                                at,
                                format!("table {table:?} must end with a dot and begin with a known slot"),
                            ));
                        }
                    } else {
                        self.object(&at, table)?;
                    }
                }
                _ => return Err(self.error(at, "needs exactly one of `object` and `table`")),
            }
            for reference in [&slot.lower, &slot.of].into_iter().flatten() {
                for other in &reference.slots {
                    if !slots.contains_key(other) {
                        return Err(self.error(at, format!("refers to the unknown slot {other:?}")));
                    }
                }
            }
        }
        Ok(())
    }

    fn settings(
        &self,
        at: &str,
        slots: &BTreeMap<String, Slot>,
        phases: &[Phase],
    ) -> Result<(), ProfileError> {
        for phase in phases {
            for setting in &phase.settings {
                let at = format!("{at}, phase {:?}, {:?}", phase.name, setting.label);
                if setting.set.is_empty() {
                    return Err(self.error(at, "`set` names no leaf"));
                }
                for leaf in &setting.set {
                    if !slots.contains_key(&leaf.slot) {
                        return Err(
                            self.error(at, format!("`{leaf}` is in the unknown slot {:?}", leaf.slot))
                        );
                    }
                }
                if let Some(word) = setting.to.strip_prefix('$')
                    && Variable::parse(word).is_none()
                {
                    let words = Variable::WORDS.join(", ");
                    return Err(self.error(at, format!("unknown variable ${word}; known are {words}")));
                }
            }
        }
        Ok(())
    }
}

fn check(profile: &CpeProfile) -> Result<(), ProfileError> {
    let checker = Checker { profile };
    if !profile.root.ends_with('.') {
        return Err(checker.error("root", format!("{:?} must end with a dot", profile.root)));
    }
    for rule in &profile.matches {
        for expression in
            [&rule.manufacturer, &rule.product_class, &rule.software_version].into_iter().flatten()
        {
            if let Err(error) = regex::Regex::new(expression) {
                return Err(
                    checker.error("match", format!("{expression:?} is no regular expression: {error}"))
                );
            }
        }
    }
    let write = profile.write;
    if write.max_params == 0 || write.max_names == 0 || write.structural_per_session == 0 {
        return Err(checker.error("write", "limits must be at least 1"));
    }
    for (at, group) in [("management", Some(&profile.management)), ("lan", profile.lan.as_ref())]
        .into_iter()
        .filter_map(some)
    {
        group.list.iter().try_for_each(|path| checker.object(at, path))?;
        checker.slots(at, &group.slots)?;
        checker.settings(at, &group.slots, &group.phases)?;
    }
    let time = &profile.time;
    time.list.iter().try_for_each(|path| checker.object("time", path))?;
    checker.slots("time", &time.slots)?;
    checker.settings("time", &time.slots, &time.phases)?;
    let wan = &profile.wan;
    wan.list.iter().try_for_each(|path| checker.object("wan", path))?;
    checker.slots("wan", &wan.slots)?;
    for (name, kind) in &wan.kinds {
        let at = format!("wan.kinds.{name}");
        for slot in kind.slots.iter().chain([&kind.anchor]).chain(&kind.has).chain(&kind.lacks) {
            if !wan.slots.contains_key(slot) {
                return Err(checker.error(at, format!("names the unknown slot {slot:?}")));
            }
        }
        if kind.switches.is_empty() {
            return Err(checker.error(at, "needs at least one switch"));
        }
    }
    for (name, mode) in &wan.modes {
        let at = format!("wan.modes.{name}");
        if !["pppoe", "dhcp", "static", "bridge"].contains(&name.as_str()) {
            return Err(checker.error(at, "is none of pppoe, dhcp, static, bridge"));
        }
        if !wan.kinds.contains_key(&mode.kind) {
            return Err(checker.error(at, format!("is of the unknown kind {:?}", mode.kind)));
        }
        checker.settings(&at, &wan.slots, &mode.phases)?;
    }
    if let Some(route) = &wan.policy_route
        && !wan.slots.contains_key(&route.slot)
    {
        return Err(checker.error("wan.policy_route", format!("names the unknown slot {:?}", route.slot)));
    }
    if let Some(wifi) = &profile.wifi {
        wifi.list.iter().try_for_each(|path| checker.object("wifi", path))?;
        checker.slots("wifi", &wifi.slots)?;
        checker.settings("wifi", &wifi.slots, &wifi.phases)?;
        if !wifi.slots.contains_key(&wifi.anchor) {
            return Err(checker.error("wifi", format!("anchor is the unknown slot {:?}", wifi.anchor)));
        }
    }
    Ok(())
}

fn some<'a>((at, group): (&'static str, Option<&'a Group>)) -> Option<(&'static str, &'a Group)> {
    Some((at, group?))
}

/// Collects every pattern the profile touches, so that a listing of thousands of names can be thinned.
fn index(profile: &mut CpeProfile) {
    let mut patterns: HashSet<String> = HashSet::new();
    let mut secrets: HashSet<String> = HashSet::new();
    {
        let mut sections: Vec<(&BTreeMap<String, Slot>, Vec<&Phase>)> = vec![
            (&profile.management.slots, profile.management.phases.iter().collect()),
            (&profile.time.slots, profile.time.phases.iter().collect()),
            (&profile.wan.slots, profile.wan.modes.values().flat_map(|mode| &mode.phases).collect()),
        ];
        if let Some(wifi) = &profile.wifi {
            sections.push((&wifi.slots, wifi.phases.iter().collect()));
        }
        if let Some(lan) = &profile.lan {
            sections.push((&lan.slots, lan.phases.iter().collect()));
        }
        for (slots, phases) in sections {
            let bases: HashMap<&str, String> =
                slots.keys().map(|name| (name.as_str(), slot_pattern(name, slots))).collect();
            for (name, slot) in slots {
                patterns.insert(bases[name.as_str()].clone());
                if slot.table.is_some() {
                    let base = &bases[name.as_str()];
                    patterns.insert(base.strip_suffix("?.").unwrap_or(base).to_owned());
                }
                for reference in [&slot.lower, &slot.of].into_iter().flatten() {
                    patterns.insert(format!("{}{}", bases[name.as_str()], reference.leaf));
                }
            }
            for Setting { set, to, .. } in phases.iter().flat_map(|phase| &phase.settings) {
                for leaf in set {
                    let pattern = format!("{}{}", bases[leaf.slot.as_str()], pattern_of(&leaf.leaf));
                    let variable = to.strip_prefix('$').and_then(Variable::parse);
                    if variable.is_some_and(Variable::is_secret) {
                        secrets.insert(pattern.clone());
                    }
                    patterns.insert(pattern);
                }
            }
        }
        let wan = &profile.wan;
        let base = |slot: &str| slot_pattern(slot, &wan.slots);
        for kind in wan.kinds.values() {
            let facts = &kind.facts;
            let optional = [&facts.name, &facts.username, &facts.vlan, &facts.service, &facts.error];
            let leaves = optional.into_iter().chain([&facts.connection_type]).flatten();
            for leaf in leaves.chain([&facts.enabled, &facts.status, &facts.address]).chain(&kind.switches) {
                patterns.insert(format!("{}{}", base(&leaf.slot), pattern_of(&leaf.leaf)));
            }
        }
        if let Some(bind) = &wan.bind {
            for slot in bind.slots.values() {
                let flags = (1..=bind.lan_ports)
                    .map(|port| bind.lan.replace("{p}", &port.to_string()))
                    .chain((1..=bind.ssid_ports).map(|port| bind.ssid.replace("{p}", &port.to_string())));
                patterns.extend(flags.map(|flag| format!("{}{flag}", base(slot))));
            }
        }
        if let Some(route) = &wan.policy_route {
            for leaf in [&route.key, &route.ports].into_iter().chain(route.fixed.keys()) {
                patterns.insert(format!("{}{leaf}", base(&route.slot)));
            }
        }
        if let Some(wifi) = &profile.wifi
            && let Some(band) = &wifi.band
        {
            patterns.insert(format!("{}{}", slot_pattern(&band.slot, &wifi.slots), band.leaf));
        }
        let time = &profile.time.current;
        patterns.insert(format!("{}{}", slot_pattern(&time.slot, &profile.time.slots), time.leaf));
        patterns.extend(profile.probe.any.iter().chain(&profile.probe.none).map(|node| pattern_of(node)));
    }
    profile.patterns = patterns;
    profile.secrets = secrets;
}

/// `InternetGatewayDevice.….WANPPPConnection.?.` of a slot. Slots nest at most a few levels; `check` has made
/// sure that every parent exists.
fn slot_pattern(name: &str, slots: &BTreeMap<String, Slot>) -> String {
    let Some(slot) = slots.get(name) else { return String::new() };
    if let Some(object) = &slot.object {
        return pattern_of(object);
    }
    let table = slot.table.as_deref().unwrap_or_default();
    let table = match table.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((parent, rest)) if parent != name => format!("{}{rest}", slot_pattern(parent, slots)),
        _ => table.to_owned(),
    };
    format!("{}?.", pattern_of(&table))
}
