//! What WANs the device has, and which one is ours to use. Reads a tree, changes nothing.

use crate::{ChosenWan, device::StoredObject, intent::InternetMode, tree::Tree};
use profiles::cpe::{Reference, Slot, SlotLeaf, Wan, WanKind};
use std::collections::{BTreeMap, BTreeSet};

/// A WAN as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundWan {
    pub kind: String,
    /// Instance path of the anchor.
    pub anchor: String,
    /// Slot → instance path.
    pub slots: BTreeMap<String, String>,
    pub class: WanClass,
    pub enabled: bool,
    pub status: String,
    /// The status says connected.
    pub connected: bool,
    pub address: String,
    pub name: String,
    pub username: String,
    pub vlan: Option<u16>,
    pub service: String,
    pub connection_type: String,
    pub error: String,
}

/// Whose WAN it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WanClass {
    /// Carries CWMP: never touched.
    Management,
    /// Stored path or our label.
    Ours,
    /// Newborn, or a slot the family makes by itself.
    Empty,
    /// Somebody's.
    Foreign,
}

impl FoundWan {
    /// Connected with an address a customer can use.
    pub(crate) fn carries_traffic(&self) -> bool {
        self.enabled && self.connected && usable_address(&self.address)
    }

    /// For sentences.
    pub(crate) fn describe(&self) -> String {
        let name = if self.name.is_empty() { self.anchor.as_str() } else { self.name.as_str() };
        match self.vlan {
            Some(vlan) => format!("{name} (VLAN {vlan})"),
            None => name.to_owned(),
        }
    }
}

/// Not empty, not 0.0.0.0, an address at all.
pub(crate) fn usable_address(address: &str) -> bool {
    address.trim().parse::<std::net::IpAddr>().is_ok_and(|ip| !ip.is_unspecified() && !ip.is_loopback())
}

/// What the search needs to know beside the tree.
pub(crate) struct Search<'a> {
    pub tree: &'a Tree,
    pub wan: &'a Wan,
    pub stored: &'a BTreeMap<String, StoredObject>,
    pub label: &'a str,
    /// The one that an operator chose where several matched.
    pub chosen: Option<&'a ChosenWan>,
    /// Addresses CWMP comes from.
    pub management_addresses: Vec<String>,
}

/// What the intent asks of an existing WAN.
pub(crate) struct Signature<'a> {
    pub mode: &'a InternetMode,
    pub vlan: Option<u16>,
}

/// Which WAN to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// This one.
    Found(Box<FoundWan>),
    /// None fits: to be created.
    Missing,
    /// More than one fits: a question for the operator.
    Several(Vec<FoundWan>),
}

impl Search<'_> {
    /// Every WAN of the device, management included, LAN interfaces left out.
    pub(crate) fn wans(&self) -> Vec<FoundWan> {
        let mut found = Vec::new();
        for (kind_name, kind) in &self.wan.kinds {
            for (anchor, parents) in self.anchors(kind) {
                let slots = self.assemble(kind, &anchor, parents);
                let fits = kind.has.iter().all(|slot| slots.contains_key(slot))
                    && !kind.lacks.iter().any(|slot| slots.contains_key(slot));
                if fits && !self.is_lan(&slots) {
                    found.push(self.describe(kind_name, kind, anchor, slots));
                }
            }
        }
        found.sort_by(|a, b| a.anchor.cmp(&b.anchor));
        found
    }

    /// Instances of the anchor's table, with the instances it is nested in.
    fn anchors(&self, kind: &WanKind) -> Vec<(String, BTreeMap<String, String>)> {
        self.instances_of(&kind.anchor)
    }

    /// Every instance of a slot, with the instances it is nested in. Tables nest a few levels at most.
    fn instances_of(&self, name: &str) -> Vec<(String, BTreeMap<String, String>)> {
        let Some(table) = self.wan.slots.get(name).and_then(|slot| slot.table.as_deref()) else {
            return Vec::new();
        };
        let tables = match nested(table) {
            None => vec![(table.to_owned(), BTreeMap::new())],
            Some((parent, rest)) => self
                .instances_of(parent)
                .into_iter()
                .map(|(path, mut parents)| {
                    let inner = format!("{path}{rest}");
                    parents.insert(parent.to_owned(), path);
                    (inner, parents)
                })
                .collect(),
        };
        let within = |(table, parents): (String, BTreeMap<String, String>)| {
            let found = self.tree.instances(&table).into_iter().map(|(_, path)| path);
            found.map(|path| (path, parents.clone())).collect::<Vec<_>>()
        };
        tables.into_iter().flat_map(within).collect()
    }

    /// Follows references down from the anchor, and back to it from the tables that name it.
    fn assemble(
        &self,
        kind: &WanKind,
        anchor: &str,
        parents: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut slots = parents;
        slots.insert(kind.anchor.clone(), anchor.to_owned());
        // Down: each lower object may have a lower one; the chain is as long as there are slots.
        let mut at = kind.anchor.clone();
        for _ in 0..self.wan.slots.len() {
            let Some(slot) = self.wan.slots.get(&at) else { break };
            let Some(lower) = &slot.lower else { break };
            let Some((name, path)) = self.follow(&slots[&at], lower) else { break };
            slots.insert(name.clone(), path);
            at = name;
        }
        for (name, slot) in &self.wan.slots {
            if let Some(of) = &slot.of
                && let Some(path) = self.belonging(slot, of, &slots)
            {
                slots.insert(name.clone(), path);
            }
        }
        slots
    }

    fn follow(&self, from: &str, reference: &Reference) -> Option<(String, String)> {
        let value = self.tree.value(&format!("{from}{}", reference.leaf))?;
        let first = value.split(',').next().unwrap_or_default().trim();
        let path = format!("{}.", first.trim_end_matches('.'));
        let name = reference.slots.iter().find(|name| {
            let table = self.wan.slots.get(*name).and_then(|slot| slot.table.as_deref());
            table.is_some_and(|table| path.len() > table.len() && path.starts_with(table))
        })?;
        self.tree.has(&path).then(|| (name.clone(), path))
    }

    fn belonging(&self, slot: &Slot, of: &Reference, slots: &BTreeMap<String, String>) -> Option<String> {
        let table = slot.table.as_deref()?;
        let owners: Vec<&str> = of
            .slots
            .iter()
            .filter_map(|name| slots.get(name))
            .map(|path| path.trim_end_matches('.'))
            .collect();
        self.tree.instances(table).into_iter().map(|(_, path)| path).find(|path| {
            let value = self.tree.value(&format!("{path}{}", of.leaf)).unwrap_or_default();
            owners.contains(&value.trim_end_matches('.'))
        })
    }

    fn is_lan(&self, slots: &BTreeMap<String, String>) -> bool {
        slots.iter().any(|(name, path)| {
            let lower = self.wan.slots.get(name).and_then(|slot| slot.lower.as_ref());
            let value = lower.and_then(|lower| self.tree.value(&format!("{path}{}", lower.leaf)));
            value
                .is_some_and(|value| self.wan.lan_below.iter().any(|below| value.starts_with(below.as_str())))
        })
    }

    fn describe(
        &self,
        kind_name: &str,
        kind: &WanKind,
        anchor: String,
        slots: BTreeMap<String, String>,
    ) -> FoundWan {
        let text = |leaves: &[SlotLeaf]| {
            leaves.iter().find_map(|leaf| fact(self.tree, &slots, leaf)).unwrap_or_default()
        };
        let facts = &kind.facts;
        let enabled = is_true(&text(&facts.enabled));
        let status = text(&facts.status);
        let mut wan = FoundWan {
            kind: kind_name.to_owned(),
            enabled,
            connected: facts.connected.contains(&status),
            status,
            address: text(&facts.address),
            name: text(&facts.name),
            username: text(&facts.username),
            vlan: text(&facts.vlan).trim().parse().ok(),
            service: text(&facts.service),
            connection_type: text(&facts.connection_type),
            error: text(&facts.error),
            class: WanClass::Foreign,
            anchor,
            slots,
        };
        wan.class = self.classify(&wan);
        wan
    }

    fn classify(&self, wan: &FoundWan) -> WanClass {
        let mark = &self.wan.management;
        let contains = |text: &str, word: &Option<String>| {
            word.as_ref().is_some_and(|word| text.to_ascii_uppercase().contains(&word.to_ascii_uppercase()))
        };
        if contains(&wan.service, &mark.service) || contains(&wan.name, &mark.name) {
            return WanClass::Management;
        }
        // Ours before the address: when the internet WAN becomes the default route, CWMP may come from it.
        let stored = self.stored.values().find(|object| object.path == wan.anchor && !object.stale);
        if stored.is_some_and(|object| object.created) || self.is_labelled(wan) {
            return WanClass::Ours;
        }
        if stored.is_none()
            && usable_address(&wan.address)
            && self.management_addresses.contains(&wan.address)
        {
            return WanClass::Management;
        }
        let blank = !wan.enabled
            && wan.username.is_empty()
            && wan.service.is_empty()
            && wan.vlan.unwrap_or(0) == 0
            && !usable_address(&wan.address);
        if blank { WanClass::Empty } else { WanClass::Foreign }
    }

    fn is_labelled(&self, wan: &FoundWan) -> bool {
        !self.label.is_empty() && wan.name.contains(self.label)
    }

    /// The WAN to use for this intent: stored path, our label, same login, same role, empty slot, in this order.
    pub(crate) fn target(&self, signature: &Signature<'_>) -> Target {
        let Some(mode) = self.wan.modes.get(signature.mode.as_str()) else { return Target::Missing };
        let all = self.wans();
        // Without a service list nothing but its address tells the management WAN. Where it is not found, nobody's
        // WAN is taken over for its role: it could be the one CWMP comes from.
        let told_apart =
            self.wan.internet_service.is_some() || all.iter().any(|wan| wan.class == WanClass::Management);
        let shared = self.shared_with_management();
        // Where the VLAN belongs to a container, whatever else lives in the management WAN's cannot get another one.
        let retags = |wan: &FoundWan| {
            wan.vlan.unwrap_or(0) != signature.vlan.unwrap_or(0)
                && wan.slots.values().any(|path| shared.contains(path))
        };
        let wans: Vec<FoundWan> = all
            .into_iter()
            .filter(|wan| wan.kind == mode.kind && wan.class != WanClass::Management && !retags(wan))
            .collect();
        let wanted_login = match signature.mode {
            InternetMode::Pppoe { username, .. } => username.as_str(),
            InternetMode::Dhcp | InternetMode::Static { .. } | InternetMode::Bridge => "",
        };
        let same_login = |wan: &FoundWan| !wanted_login.is_empty() && wan.username == wanted_login;
        // Where the device makes its WANs itself there is no other place: another VLAN does not make it another WAN.
        let anchor = self.wan.kinds.get(&mode.kind).map(|kind| kind.anchor.as_str());
        let fixed = anchor.and_then(|slot| self.wan.slots.get(slot)).is_some_and(|slot| slot.fixed);
        let same_role = |wan: &FoundWan| {
            wan.class != WanClass::Empty
                && told_apart
                && self.wan.internet_service.as_ref().is_none_or(|word| wan.service.contains(word.as_str()))
                && (fixed || wan.vlan.is_none() || signature.vlan.is_none() || wan.vlan == signature.vlan)
                && (mode.connection_type.is_empty()
                    || wan.connection_type.is_empty()
                    || mode.connection_type.contains(&wan.connection_type))
        };
        let is_stored = |wan: &FoundWan| {
            self.stored.values().any(|object| {
                object.path == wan.anchor
                    // After a factory reset a number may have been used again for somebody else's WAN.
                    && (!object.stale || wan.class == WanClass::Empty || same_login(wan))
            })
        };
        let rules: [&dyn Fn(&FoundWan) -> bool; 4] =
            [&is_stored, &|wan: &FoundWan| self.is_labelled(wan), &same_login, &same_role];
        for rule in rules {
            let found: Vec<&FoundWan> = wans.iter().filter(|wan| rule(wan)).collect();
            match found.as_slice() {
                [] => {}
                [one] => return Target::Found(Box::new((*one).clone())),
                several => {
                    let chosen = several.iter().find(|wan| self.chosen.is_some_and(|chosen| chosen.is(wan)));
                    return match chosen {
                        Some(wan) => Target::Found(Box::new((*wan).clone())),
                        None => Target::Several(several.iter().map(|wan| (*wan).clone()).collect()),
                    };
                }
            }
        }
        // Empty slots are all alike: the first one.
        match wans.into_iter().find(|wan| wan.class == WanClass::Empty) {
            Some(wan) => Target::Found(Box::new(wan)),
            None => Target::Missing,
        }
    }

    /// Instances whose settings are the management WAN's as well: never written.
    pub(crate) fn shared_with_management(&self) -> BTreeSet<String> {
        if self.wan.not_with_management.is_empty() {
            return BTreeSet::new();
        }
        let wans = self.wans();
        let management = wans.iter().filter(|wan| wan.class == WanClass::Management);
        let slots = &self.wan.not_with_management;
        management.flat_map(|wan| slots.iter().filter_map(|slot| wan.slots.get(slot).cloned())).collect()
    }

    /// The management WAN, if one can be told.
    pub(crate) fn management(&self) -> Option<FoundWan> {
        let mut wans: Vec<FoundWan> =
            self.wans().into_iter().filter(|wan| wan.class == WanClass::Management).collect();
        // The one CWMP comes from, before others that only carry the name.
        wans.sort_by_key(|wan| !self.management_addresses.contains(&wan.address));
        wans.into_iter().next()
    }

    /// The instance of a shared slot: what the management WAN stands on, else the only one that is no LAN.
    pub(crate) fn shared(&self, slot: &str) -> Option<String> {
        if let Some(path) = self.management().and_then(|wan| wan.slots.get(slot).cloned()) {
            return Some(path);
        }
        let table = self.wan.slots.get(slot)?.table.as_deref()?;
        let candidates = self.tree.instances(table).into_iter().map(|(_, path)| path);
        let mut free =
            candidates.filter(|path| !self.is_lan(&BTreeMap::from([(slot.to_owned(), path.clone())])));
        let first = free.next()?;
        free.next().is_none().then_some(first)
    }

    /// A container holds nothing, or only what this kind is made of.
    pub(crate) fn is_free_for(&self, slot: &str, path: &str, kind: &WanKind) -> bool {
        self.wan.slots.iter().all(|(name, other)| match nested(other.table.as_deref().unwrap_or_default()) {
            Some((parent, rest)) if parent == slot && !kind.slots.contains(name) => {
                self.tree.instances(&format!("{path}{rest}")).is_empty()
            }
            _ => true,
        })
    }

    /// An instance of a table that nothing is nested in and nothing of ours or others uses: to be used instead of
    /// creating another one.
    pub(crate) fn empty_container(&self, slot: &str) -> Option<String> {
        let table = self.wan.slots.get(slot)?.table.as_deref()?;
        let inner: Vec<&str> = self
            .wan
            .slots
            .values()
            .filter_map(|other| nested(other.table.as_deref()?))
            .filter(|(parent, _)| *parent == slot)
            .map(|(_, rest)| rest)
            .collect();
        if inner.is_empty() {
            return None;
        }
        let containers = self.tree.instances(table).into_iter().map(|(_, path)| path);
        containers
            .into_iter()
            .find(|path| inner.iter().all(|rest| self.tree.instances(&format!("{path}{rest}")).is_empty()))
    }
}

/// `{container}WANPPPConnection.` → (`container`, `WANPPPConnection.`).
pub(crate) fn nested(table: &str) -> Option<(&str, &str)> {
    table.strip_prefix('{')?.split_once('}')
}

/// The value of a fact; `?` in the leaf takes the first instance with a value that says something.
pub(crate) fn fact(tree: &Tree, slots: &BTreeMap<String, String>, leaf: &SlotLeaf) -> Option<String> {
    let base = slots.get(&leaf.slot)?;
    match leaf.leaf.split_once(".?.") {
        None => tree.value(&format!("{base}{}", leaf.leaf)).map(str::to_owned),
        Some((table, rest)) => {
            let table = format!("{base}{table}.");
            let values = tree
                .instances(&table)
                .into_iter()
                .filter_map(|(_, path)| tree.value(&format!("{path}{rest}")).map(str::to_owned));
            let mut values: Vec<String> = values.collect();
            let usable = values.iter().position(|value| usable_address(value)).unwrap_or(0);
            (!values.is_empty()).then(|| values.swap_remove(usable))
        }
    }
}

/// CWMP booleans are written `1`, `true`, `True`.
pub(crate) fn is_true(value: &str) -> bool {
    value.trim() == "1" || value.trim().eq_ignore_ascii_case("true")
}
