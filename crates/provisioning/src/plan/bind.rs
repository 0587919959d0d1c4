//! Which ports belong to the WAN: one flag per port, one list of names, or the vendor's routing row.

use super::{Blocked, Item, LayerPlan, PlanStep, Planner, same};
use crate::{
    InternetIntent, LanPort,
    detect::is_true,
    sentences,
    talk::{ValueKind, WriteValue},
};
use profiles::cpe::{Bind, BindFlags, BindList, PolicyRoute};
use std::collections::{BTreeMap, BTreeSet};

type SlotPaths = BTreeMap<String, String>;

impl Planner<'_> {
    /// What a phase with `bind` writes beside its settings.
    pub(super) fn bind_items(
        &self,
        plan: &mut LayerPlan,
        items: &mut Vec<Item>,
        intent: &InternetIntent,
        kind: &str,
        slots: &SlotPaths,
    ) -> Result<(), Blocked> {
        match &self.profile.wan.bind {
            None => Ok(()),
            Some(Bind::Flags(bind)) => {
                self.flag_items(plan, items, bind, intent, kind, slots);
                Ok(())
            }
            Some(Bind::List(bind)) => self.list_item(plan, items, bind, intent, kind, slots),
        }
    }

    fn flag_items(
        &self,
        plan: &mut LayerPlan,
        items: &mut Vec<Item>,
        bind: &BindFlags,
        intent: &InternetIntent,
        kind: &str,
        slots: &SlotPaths,
    ) {
        let flags = self.flags(bind, kind, slots);
        let wanted = wanted_ports(intent).unwrap_or_else(|| flags.iter().map(|(port, _)| *port).collect());
        for (port, path) in flags {
            let on = wanted.contains(&port);
            let node = self.tree.node(&path);
            let kind = node.map_or(ValueKind::UnsignedInt, |node| node.kind);
            let value = match (kind, on) {
                (ValueKind::Boolean, true) => "true",
                (ValueKind::Boolean, false) => "false",
                (_, true) => "1",
                (_, false) => "0",
            };
            let observed = node.and_then(|node| node.value.as_deref());
            let value = WriteValue::Plain(value.to_owned());
            let label = format!("Bind {}", name_of(port));
            let item = Item { path, value, kind, label, required: true, secret: None };
            plan.wanted.push(item.clone());
            if observed.is_none_or(|observed| is_true(observed) != on) {
                items.push(item);
            }
        }
    }

    /// A list names ports; a port that another WAN lists is left to it.
    fn list_item(
        &self,
        plan: &mut LayerPlan,
        items: &mut Vec<Item>,
        bind: &BindList,
        intent: &InternetIntent,
        kind: &str,
        slots: &SlotPaths,
    ) -> Result<(), Blocked> {
        let blocked = |reason| Err(Blocked { reason, park: true });
        let named = wanted_ports(intent);
        if (named.is_none() && !bind.needed) || self.binds_by_row() {
            return Ok(());
        }
        let Some(base) = bind.slots.get(kind).and_then(|slot| slots.get(slot)) else { return Ok(()) };
        let path = format!("{base}{}", bind.leaf);
        if !self.tree.has(&path) {
            return blocked(sentences::required_leaf_missing("port binding", &path));
        }
        let taken = self.bound_elsewhere(bind, base);
        let free = |word: &String| !taken.contains_key(plain(word));
        let words: Vec<String> = match named {
            Some(ports) => {
                let mut words = Vec::new();
                for port in ports {
                    let Some(word) = self.port_word(bind, port) else {
                        return blocked(sentences::required_leaf_missing(
                            &format!("port {} to bind", name_of(port)),
                            &bind.lan,
                        ));
                    };
                    if let Some(owner) = taken.get(plain(&word)) {
                        return blocked(sentences::port_taken(&name_of(port), owner));
                    }
                    words.push(word);
                }
                words
            }
            None => {
                let all =
                    (1..=bind.lan_ports).map(LanPort::Lan).chain((1..=bind.ssid_ports).map(LanPort::Ssid));
                let words: Vec<String> =
                    all.filter_map(|port| self.port_word(bind, port)).filter(free).collect();
                if words.is_empty() {
                    let owner = taken.values().next().map_or("another WAN", String::as_str);
                    return blocked(sentences::port_taken("every port", owner));
                }
                words
            }
        };
        let node = self.tree.node(&path);
        let observed = node.and_then(|node| node.value.as_deref()).unwrap_or_default();
        let met = set_of(observed) == words.iter().map(|word| plain(word)).collect();
        // The device may keep the list in an order of its own.
        let value = if met { observed.to_owned() } else { words.join(",") };
        let item = Item {
            path,
            value: WriteValue::Plain(value),
            kind: ValueKind::String,
            label: "Bound ports".into(),
            required: true,
            secret: None,
        };
        plan.wanted.push(item.clone());
        if !met {
            items.push(item);
        }
        Ok(())
    }

    /// What other WANs list, with the WAN that does. A WAN of this service that is switched off has handed its ports
    /// over, whatever its list still says (the mode changed).
    fn bound_elsewhere(&self, bind: &BindList, base: &str) -> BTreeMap<String, String> {
        let ours: BTreeSet<String> = self.ours().into_iter().map(|wan| wan.anchor).collect();
        let mut taken = BTreeMap::new();
        for wan in self.search().wans().into_iter().filter(|wan| wan.enabled || !ours.contains(&wan.anchor)) {
            let other = bind.slots.get(&wan.kind).and_then(|slot| wan.slots.get(slot));
            let Some(other) = other.filter(|other| other.as_str() != base) else { continue };
            let list = self.tree.value(&format!("{other}{}", bind.leaf)).unwrap_or_default();
            taken.extend(set_of(list).into_iter().map(|word| (word.to_owned(), wan.describe())));
        }
        taken
    }

    /// The family's word for a port, if the device has the port (a word that is no path cannot be looked up).
    fn port_word(&self, bind: &BindList, port: LanPort) -> Option<String> {
        let (template, number) = match port {
            LanPort::Lan(number) => (&bind.lan, number),
            LanPort::Ssid(number) => (bind.ssid.as_ref()?, number),
        };
        let word = template.replace("{p}", &number.to_string());
        let known = !word.starts_with(&self.profile.root) || self.tree.has(&format!("{word}."));
        known.then_some(word)
    }

    /// The device has the table that binds ports: then a list beside it is only for show.
    fn binds_by_row(&self) -> bool {
        let route = self.profile.wan.policy_route.as_ref().filter(|route| route.binds);
        let table = route.and_then(|route| self.profile.wan.slots.get(&route.slot)?.table.as_deref());
        table.is_some_and(|table| self.tree.has(table))
    }

    fn flags(&self, bind: &BindFlags, kind: &str, slots: &SlotPaths) -> Vec<(LanPort, String)> {
        let Some(base) = bind.slots.get(kind).and_then(|slot| slots.get(slot)) else { return Vec::new() };
        let lan = (1..=bind.lan_ports).map(|n| (LanPort::Lan(n), bind.lan.replace("{p}", &n.to_string())));
        let ssid =
            (1..=bind.ssid_ports).map(|n| (LanPort::Ssid(n), bind.ssid.replace("{p}", &n.to_string())));
        lan.chain(ssid)
            .map(|(port, leaf)| (port, format!("{base}{leaf}")))
            .filter(|(_, path)| self.tree.has(path))
            .collect()
    }

    /// How the routing row names a WAN.
    fn route_key(&self, route: &PolicyRoute, kind: &str, slots: &SlotPaths) -> Option<String> {
        if !route.by_path {
            return self.short_name(kind, slots);
        }
        let anchor = &self.profile.wan.kinds.get(kind)?.anchor;
        Some(self.reference(slots.get(anchor)?, &route.key))
    }

    /// The policy-route row of a WAN and the name of its ports leaf.
    pub(crate) fn route_row(&self, kind: &str, slots: &SlotPaths) -> Option<(String, String)> {
        let route = self.profile.wan.policy_route.as_ref()?;
        let key = self.route_key(route, kind, slots)?;
        let table = self.profile.wan.slots.get(&route.slot)?.table.as_deref()?;
        let rows = self.tree.instances(table).into_iter().map(|(_, path)| path);
        let row = rows.into_iter().find(|row| {
            self.tree
                .value(&format!("{row}{}", route.key))
                .is_some_and(|found| plain(found).eq_ignore_ascii_case(plain(&key)))
        })?;
        Some((row, route.ports.clone()))
    }

    /// The row is found by its WAN's name and updated; added only when there is none.
    pub(super) fn route_steps(
        &self,
        plan: &mut LayerPlan,
        intent: &InternetIntent,
        kind: &str,
        slots: &SlotPaths,
    ) -> Result<(), Blocked> {
        let Some(route) = &self.profile.wan.policy_route else { return Ok(()) };
        let wanted = intent.policy_routes || (route.binds && !intent.bind.is_empty());
        let Some(key) = self.route_key(route, kind, slots).filter(|_| wanted) else { return Ok(()) };
        let named = wanted_ports(intent).or_else(|| match &self.profile.wan.bind {
            Some(Bind::Flags(bind)) => {
                Some(self.flags(bind, kind, slots).into_iter().map(|(port, _)| port).collect())
            }
            Some(Bind::List(_)) | None => None,
        });
        // Nobody named a port and the device does not tell which it has: the row stays as it is.
        let Some(ports) = named else { return Ok(()) };
        let table =
            self.profile.wan.slots.get(&route.slot).and_then(|slot| slot.table.clone()).unwrap_or_default();
        let row = self
            .route_row(kind, slots)
            .map(|(row, _)| row)
            .or_else(|| self.stored_path(&route.slot, Some(&table)))
            .or_else(|| self.orphan(&route.slot, Some(&table)));
        let Some(row) = row else {
            if route.binds && !self.tree.has(&table) {
                if self.profile.wan.bind.is_some() {
                    return Ok(());
                }
                let reason = sentences::required_leaf_missing("table to bind ports with", &table);
                return Err(Blocked { reason, park: true });
            }
            plan.steps.push(PlanStep::Add { slot: route.slot.clone(), table });
            return Ok(());
        };
        let words: Vec<String> = ports
            .iter()
            .map(|port| match port {
                LanPort::Lan(number) => route.lan.replace("{p}", &number.to_string()),
                LanPort::Ssid(number) => route.ssid.replace("{p}", &number.to_string()),
            })
            .collect();
        let mut items = Vec::new();
        let leaves =
            route.fixed.iter().map(|(leaf, value)| (leaf.clone(), value.clone(), "Policy route type"));
        let key = (route.key.clone(), key, "Policy route WAN");
        let list = (route.ports.clone(), words.join(","), "Policy route ports");
        for (leaf, value, label) in leaves.chain([key, list]) {
            let path = format!("{row}{leaf}");
            let observed = self.tree.value(&path);
            let item = Item {
                path,
                kind: ValueKind::String,
                label: label.into(),
                required: true,
                secret: None,
                value: WriteValue::Plain(value.clone()),
            };
            plan.wanted.push(item.clone());
            if observed.is_none_or(|observed| !same(ValueKind::String, observed, &value)) {
                items.push(item);
            }
        }
        self.batches(&mut plan.steps, "policy route", items);
        Ok(())
    }
}

/// The ports the intent names, in order; `None` = it leaves that to the family.
fn wanted_ports(intent: &InternetIntent) -> Option<Vec<LanPort>> {
    if intent.bind.is_empty() {
        return None;
    }
    let ports: BTreeSet<LanPort> = intent.bind.iter().copied().collect();
    Some(ports.into_iter().collect())
}

fn name_of(port: LanPort) -> String {
    match port {
        LanPort::Lan(number) => format!("LAN{number}"),
        LanPort::Ssid(number) => format!("SSID{number}"),
    }
}

/// Paths are listed with and without their last dot.
fn plain(word: &str) -> &str {
    word.trim().trim_end_matches('.')
}

fn set_of(list: &str) -> BTreeSet<&str> {
    list.split(',').map(plain).filter(|word| !word.is_empty()).collect()
}
