//! WANs beside the one the intent is about: what carries traffic now, and what stood for the service before its mode
//! changed. A customer's working WAN is switched off only when another one carries.

use super::{Item, LayerPlan, PlanStep, Planner};
use crate::{
    detect::{FoundWan, WanClass, nested},
    device::WorkingWan,
};
use std::collections::{BTreeMap, BTreeSet};

impl FoundWan {
    /// A customer may be using it. A bridge has no address of its own.
    pub(crate) fn works(&self) -> bool {
        self.carries_traffic() || (self.enabled && self.connection_type.ends_with("_Bridged"))
    }
}

impl Planner<'_> {
    /// WANs that stand for this service: made by us, marked as ours, or taken over.
    pub(crate) fn ours(&self) -> Vec<FoundWan> {
        let is_stored = |wan: &FoundWan| {
            self.device.objects.values().any(|object| object.path == wan.anchor && !object.stale)
        };
        let is_ours = |wan: &FoundWan| {
            wan.class == WanClass::Ours || (is_stored(wan) && wan.class != WanClass::Management)
        };
        self.search().wans().into_iter().filter(is_ours).collect()
    }

    /// Every WAN but the management WAN that carries traffic now.
    pub(crate) fn working(&self) -> Vec<WorkingWan> {
        let wans = self.search().wans().into_iter();
        wans.filter(|wan| wan.class != WanClass::Management && wan.works())
            .map(|wan| self.footprint(&wan))
            .collect()
    }

    /// Which paths belong to a WAN.
    fn footprint(&self, wan: &FoundWan) -> WorkingWan {
        let mut working = WorkingWan { anchor: wan.anchor.clone(), ..WorkingWan::default() };
        for (name, path) in &wan.slots {
            if self.profile.wan.slots.get(name).is_some_and(|slot| slot.shared) {
                continue;
            }
            let tables: Vec<String> = self
                .profile
                .wan
                .slots
                .values()
                .filter_map(|slot| nested(slot.table.as_deref()?))
                .filter(|(parent, _)| parent == name)
                .map(|(_, rest)| format!("{path}{rest}"))
                .collect();
            if tables.is_empty() {
                working.inside.insert(path.clone());
            } else {
                working.around.insert(path.clone());
                working.others.extend(tables);
            }
        }
        if let Some((row, _)) = self.route_row(&wan.kind, &wan.slots) {
            working.inside.insert(row);
        }
        working
    }

    /// Everything of ours that does not belong to the WAN in use (its kind and its objects) is to be off, its routes
    /// cleared. Nothing is deleted. `None` = no kind is in use.
    pub(crate) fn beside(&self, kind_now: Option<&str>, in_use: &BTreeMap<String, String>) -> LayerPlan {
        let used: BTreeSet<&String> = in_use.values().collect();
        let free = |slots: &BTreeMap<String, String>| -> BTreeMap<String, String> {
            let free = slots.iter().filter(|(_, path)| !used.contains(path));
            free.map(|(name, path)| (name.clone(), path.clone())).collect()
        };
        let ours = self.ours();
        let mut plan = LayerPlan::default();
        for wan in ours.iter().filter(|wan| Some(wan.kind.as_str()) != kind_now) {
            if self.parts(wan).all(|path| used.contains(path)) {
                continue;
            }
            self.off_steps(&mut plan, &wan.kind, &free(&wan.slots));
            if let Some((row, ports)) = self.route_row(&wan.kind, &wan.slots) {
                self.clear_route(&mut plan, &row, &ports);
            }
        }
        // What is left of a stack that was taken apart: an object of ours that is part of no WAN any more.
        let wans = self.search().wans();
        let parts: BTreeSet<&String> = wans.iter().flat_map(|wan| self.parts(wan)).collect();
        let left = self.device.objects.iter().filter(|(_, object)| {
            object.created && !object.stale && !parts.contains(&object.path) && !used.contains(&object.path)
        });
        for (slot, object) in left {
            self.object_off(&mut plan, slot, &object.path);
        }
        for step in &mut plan.steps {
            if let PlanStep::Write { items, .. } = step {
                items.iter_mut().for_each(former);
            }
        }
        plan.wanted.iter_mut().for_each(former);
        plan
    }

    /// The objects a WAN of its kind is made of; others may belong to one of them and be no part of it.
    pub(crate) fn parts<'w>(&self, wan: &'w FoundWan) -> impl Iterator<Item = &'w String> {
        let kind = self.profile.wan.kinds.get(&wan.kind);
        let part = move |name: &str| kind.is_some_and(|kind| kind.slots.iter().any(|slot| slot == name));
        wan.slots.iter().filter(move |(name, _)| part(name)).map(|(_, path)| path)
    }

    /// The device has a leaf that switches this WAN.
    pub(crate) fn has_switch(&self, wan: &FoundWan) -> bool {
        let switches = self.profile.wan.kinds.get(&wan.kind).map(|kind| kind.switches.as_slice());
        switches.unwrap_or_default().iter().any(|leaf| {
            wan.slots.get(&leaf.slot).is_some_and(|base| self.tree.has(&format!("{base}{}", leaf.leaf)))
        })
    }

    /// Switches a WAN off, as far as these slots go.
    pub(crate) fn off_steps(&self, plan: &mut LayerPlan, kind: &str, slots: &BTreeMap<String, String>) {
        if let Some(kind) = self.profile.wan.kinds.get(kind) {
            self.switch_steps(plan, kind, slots, false);
        }
    }

    /// Switches one object off, whatever kind of WAN it was part of.
    pub(crate) fn object_off(&self, plan: &mut LayerPlan, slot: &str, path: &str) {
        let kinds = &self.profile.wan.kinds;
        let kind = kinds.iter().find(|(_, kind)| kind.switches.iter().any(|leaf| leaf.slot == slot));
        if let Some((kind, _)) = kind {
            self.off_steps(plan, kind, &BTreeMap::from([(slot.to_owned(), path.to_owned())]));
        }
    }
}

fn former(item: &mut Item) {
    item.label = format!("Former {}", item.label);
}
