//! The patterns of a profile, collected once.

use super::{Bind, CpeProfile, Phase, Setting, Slot, SlotLeaf, Variable, pattern_of};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Collects every pattern the profile touches, so that a listing of thousands of names can be thinned.
pub(super) fn index(profile: &mut CpeProfile) {
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
            for Setting { set, to, among, .. } in phases.iter().flat_map(|phase| &phase.settings) {
                if let Some(among) = among {
                    patterns.insert(format!("{}{}", bases[among.slot.as_str()], pattern_of(&among.leaf)));
                }
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
            for (_, leaf) in facts.leaves() {
                patterns.insert(format!("{}{}", base(&leaf.slot), pattern_of(&leaf.leaf)));
            }
            for leaf in &kind.switches {
                patterns.insert(format!("{}{}", base(&leaf.slot), pattern_of(&leaf.leaf)));
            }
        }
        match &wan.bind {
            None => {}
            Some(Bind::Flags(bind)) => {
                for slot in bind.slots.values() {
                    let flags = (1..=bind.lan_ports)
                        .map(|port| bind.lan.replace("{p}", &port.to_string()))
                        .chain((1..=bind.ssid_ports).map(|port| bind.ssid.replace("{p}", &port.to_string())));
                    patterns.extend(flags.map(|flag| format!("{}{flag}", base(slot))));
                }
            }
            Some(Bind::List(bind)) => {
                patterns.extend(bind.slots.values().map(|slot| format!("{}{}", base(slot), bind.leaf)));
                let ports = [Some(&bind.lan), bind.ssid.as_ref()].into_iter().flatten();
                let paths = ports.filter(|port| port.starts_with(&profile.root));
                patterns.extend(paths.map(|port| format!("{}.", pattern_of(&port.replace("{p}", "0")))));
            }
        }
        if let Some(route) = &wan.policy_route {
            for leaf in [&route.key, &route.ports].into_iter().chain(route.fixed.keys()) {
                patterns.insert(format!("{}{leaf}", base(&route.slot)));
            }
        }
        if let Some(wifi) = &profile.wifi {
            let band = |leaf: &SlotLeaf| format!("{}{}", slot_pattern(&leaf.slot, &wifi.slots), leaf.leaf);
            patterns.extend(wifi.band.iter().map(band));
        }
        let time = &profile.time.current;
        patterns.insert(format!("{}{}", slot_pattern(&time.slot, &profile.time.slots), time.leaf));
        let probe = &profile.probe;
        let hints = probe.hints.iter().flat_map(|hints| &hints.any);
        patterns.extend(probe.any.iter().chain(&probe.none).chain(hints).map(|node| pattern_of(node)));
    }
    profile.patterns = patterns;
    profile.secrets = secrets;
}

/// `InternetGatewayDevice.….WANPPPConnection.?.` of a slot. Slots nest at most a few levels; `check` has made
/// sure that every parent exists.
pub(super) fn slot_pattern(name: &str, slots: &BTreeMap<String, Slot>) -> String {
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
