//! Desired minus observed, as ordered steps. A pure function of what the device has now, what is wanted, what the
//! family likes and which paths are stored; never of what we believe to have done.

use crate::{
    Context, Device, Layer, OwnershipCredentials, Reason,
    detect::{FoundWan, Search, Signature, Target, WanClass, is_true, nested},
    device::Run,
    intent::{InternetIntent, InternetMode, Ipv6Mode, LanPort, WifiIntent, fingerprint},
    sentences,
    session::{PendingAdd, WrittenItem},
    talk::{SetValue, ValueKind, WriteValue},
    tree::Tree,
};
mod access;
mod beside;
mod settings;

pub(crate) use settings::same;

use profiles::cpe::{Condition, CpeProfile, Slot, SlotLeaf, Variable, Wan, WanKind};
use std::collections::BTreeMap;

/// What a profile without a place for the VLAN lacks: the one thing that the OLT can do in its stead.
pub(crate) const VLAN_ON_WAN: &str = "a VLAN on the WAN";

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PlanStep {
    /// AddObject.
    Add {
        /// For this slot.
        slot: String,
        /// In this table.
        table: String,
    },
    /// SetParameterValues.
    Write {
        /// In words.
        name: String,
        /// What.
        items: Vec<Item>,
    },
}

impl PlanStep {
    /// For sentences.
    pub(crate) fn describe(&self) -> String {
        match self {
            PlanStep::Add { slot, .. } => format!("create {slot}"),
            PlanStep::Write { name, .. } => format!("write {name}"),
        }
    }
}

/// One leaf to bring to a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub path: String,
    pub value: WriteValue,
    pub kind: ValueKind,
    pub label: String,
    pub required: bool,
    /// Name and keyed fingerprint of a secret.
    pub secret: Option<(String, String)>,
}

impl Item {
    pub(crate) fn set_value(&self) -> SetValue {
        SetValue { path: self.path.clone(), value: self.value.clone(), kind: self.kind }
    }

    pub(crate) fn written(&self) -> WrittenItem {
        WrittenItem {
            path: self.path.clone(),
            label: self.label.clone(),
            required: self.required,
            secret: self.secret.clone(),
        }
    }
}

/// The plan of one layer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LayerPlan {
    /// In order. Only the first is carried out; then the device is read again.
    pub steps: Vec<PlanStep>,
    /// Everything that should hold at the end, for evidence: met or not.
    pub wanted: Vec<Item>,
    /// The WAN this is about, if the layer has one and it exists.
    pub wan: Option<FoundWan>,
    /// Objects of that WAN that exist, by slot: to be stored.
    pub slots: BTreeMap<String, String>,
    /// Left out because the device does not have it.
    pub left_out: Vec<String>,
}

/// There is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub reason: Reason,
    /// Will not cure itself.
    pub park: bool,
}

/// Everything a plan is made from.
pub(crate) struct Planner<'a> {
    pub tree: &'a Tree,
    pub profile: &'a CpeProfile,
    pub device: &'a Device,
    pub context: &'a Context,
    /// Objects that could not be listed, with the fault code: what is in them is not known.
    pub unlisted: &'a BTreeMap<String, u32>,
}

/// Where values come from.
enum Source<'a> {
    Management { credentials: &'a OwnershipCredentials, interval_s: u32 },
    Time { management_wan: Option<String> },
    Internet { intent: &'a InternetIntent, name: String },
    Wifi { intent: &'a WifiIntent, security: String },
    Lan { intent: &'a crate::LanIntent },
}

impl<'a> Planner<'a> {
    pub(crate) fn search(&self) -> Search<'a> {
        let mut addresses: Vec<String> = self.device.connection.peer.iter().cloned().collect();
        if let Some(host) = self.device.connection.url.as_deref().and_then(url_host) {
            addresses.push(host);
        }
        Search {
            tree: self.tree,
            wan: &self.profile.wan,
            stored: &self.device.objects,
            label: &self.context.policy.wan_label,
            management_addresses: addresses,
        }
    }

    fn run(&self) -> Option<&'a Run> {
        self.device.run.as_ref()
    }

    fn fingerprint(&self, what: &str, text: &str) -> String {
        fingerprint(&self.context.fingerprint_key, what, text.as_bytes())
    }

    // ---- management and time -----------------------------------------------------------------

    /// The ManagementServer settings that differ; secrets when they were never accepted or must be repaired.
    pub(crate) fn ownership(
        &self,
        credentials: &OwnershipCredentials,
        interval_s: u32,
    ) -> Result<LayerPlan, Blocked> {
        let group = &self.profile.management;
        let slots = fixed_slots(&group.slots);
        let source = Source::Management { credentials, interval_s };
        let accepted = |name: &str, wanted: &str| {
            self.device.ownership.secrets.get(name).is_some_and(|known| known == wanted)
        };
        self.layer(&group.phases, &slots, &group.slots, &source, &accepted, true, None)
    }

    /// NTP and zone: everything, whether it differs or not. Only asked for while the clock is wrong.
    pub(crate) fn time(&self) -> Result<LayerPlan, Blocked> {
        let time = &self.profile.time;
        let management_wan = time.needs_wan.then(|| self.search().management()).flatten();
        let source = Source::Time {
            management_wan: management_wan.and_then(|wan| self.short_name(&wan.kind, &wan.slots)),
        };
        self.layer(&time.phases, &fixed_slots(&time.slots), &time.slots, &source, &|_, _| false, true, None)
    }

    // ---- internet ------------------------------------------------------------------------------

    /// What the profile cannot express of this intent.
    pub(crate) fn missing_path(&self, intent: &InternetIntent) -> Option<String> {
        let wan = &self.profile.wan;
        let Some(mode) = wan.modes.get(intent.mode.as_str()) else {
            return Some(format!("a {} WAN", intent.mode.as_str()));
        };
        let writes = |variable: Variable| {
            mode.phases
                .iter()
                .flat_map(|phase| &phase.settings)
                .any(|setting| setting.variable() == Some(variable))
        };
        if intent.vlan.is_some_and(|vlan| vlan != 0) && !writes(Variable::Vlan) {
            return Some(VLAN_ON_WAN.into());
        }
        if !intent.bind.is_empty() && wan.bind.is_none() {
            return Some("binding ports to the WAN".into());
        }
        if intent.policy_routes && wan.policy_route.is_none() {
            return Some("policy routes".into());
        }
        if intent.ipv6 == Ipv6Mode::On && !writes(Variable::Ipv6) {
            return Some("IPv6 on the WAN".into());
        }
        None
    }

    pub(crate) fn internet(&self, intent: &InternetIntent) -> Result<LayerPlan, Blocked> {
        if intent.suspended {
            return self.suspended(intent);
        }
        let wan = &self.profile.wan;
        let (Some(mode), true) = (wan.modes.get(intent.mode.as_str()), self.missing_path(intent).is_none())
        else {
            let what = self.missing_path(intent).unwrap_or_default();
            return Err(Blocked {
                reason: sentences::profile_lacks_path(&self.profile.title, &what),
                park: true,
            });
        };
        let Some(kind) = wan.kinds.get(&mode.kind) else {
            return Err(Blocked {
                reason: sentences::profile_lacks_path(&self.profile.title, &mode.kind),
                park: true,
            });
        };
        let search = self.search();
        let found = match search.target(&Signature { mode: &intent.mode, vlan: intent.vlan }) {
            Target::Found(wan) => Some(*wan),
            Target::Missing => None,
            Target::Several(names) => {
                return Err(Blocked { reason: sentences::several_wans(&names), park: true });
            }
        };
        let applies = |condition| self.applies_internet(condition, intent, true);
        let (slots, add) = self.resolve(kind, found.as_ref(), &applies);
        if let Some((slot, table)) = add {
            let Some(table) = table else {
                return Err(Blocked {
                    reason: sentences::required_leaf_missing(&slot, "no such object"),
                    park: true,
                });
            };
            // Nobody knows what is there already.
            self.listed(|object| table.starts_with(object))?;
            let steps = vec![PlanStep::Add { slot, table }];
            return Ok(LayerPlan { steps, wan: found, slots, ..LayerPlan::default() });
        }
        // Foreign objects keep their names: other settings may refer to them.
        let ours = found.as_ref().is_none_or(|wan| wan.class != WanClass::Foreign);
        let name = self.wan_name(wan, intent);
        let source = Source::Internet { intent, name };
        let record = self.device.layers.get(&Layer::Internet);
        let accepted = |name: &str, wanted: &str| {
            match record.and_then(|record| record.secrets.get(name)) {
            Some(known) => known == wanted,
            // Connected with our login: the password it has is the right one.
            None => found.as_ref().is_some_and(|wan| {
                wan.carries_traffic()
                    && matches!(&intent.mode, InternetMode::Pppoe { username, .. } if wan.username == *username)
            }),
        }
        };
        // The mode changed its kind (PPPoE to DHCP): the former WAN carries on until the new one does. Then it is
        // switched off, and only then the ports change hands: many devices give a port to one WAN only.
        let former = self.beside(Some(&mode.kind), &slots);
        let handing_over = !former.steps.is_empty();
        let carries = |wan: &FoundWan| if mode.addressed { wan.carries_traffic() } else { wan.enabled };
        let binding = (!handing_over).then_some((intent, kind));
        let mut plan = self.layer(&mode.phases, &slots, &wan.slots, &source, &accepted, ours, binding)?;
        if !handing_over {
            self.route_steps(&mut plan, intent, kind, &mode.kind, &slots)?;
        }
        self.switch_steps(&mut plan, kind, &slots, true);
        if !handing_over || found.as_ref().is_some_and(carries) {
            plan.absorb(former);
        }
        plan.slots = slots;
        plan.wan = found;
        Ok(plan)
    }

    /// Every WAN of this service disabled, whatever its mode was, routes cleared, nothing deleted; nothing created
    /// either. No steps left means that all of them read disabled.
    fn suspended(&self, intent: &InternetIntent) -> Result<LayerPlan, Blocked> {
        self.listed(|object| self.profile.wan.list.iter().any(|list| list == object))?;
        let target = self.search().target(&Signature { mode: &intent.mode, vlan: intent.vlan });
        let (found, several) = match target {
            Target::Found(wan) => (Some(*wan), None),
            Target::Missing => (None, None),
            Target::Several(names) => (None, Some(sentences::several_wans(&names))),
        };
        let mut plan = LayerPlan::default();
        for wan in found.iter().chain(&self.ours()) {
            if !self.has_switch(wan) {
                let reason = sentences::required_leaf_missing("WAN switch", &wan.anchor);
                return Err(Blocked { reason, park: true });
            }
        }
        if let Some(wan) = &found {
            self.off_steps(&mut plan, &wan.kind, &wan.slots);
            if let Some((path, ports)) = self.route_row(&wan.kind, &wan.slots) {
                self.clear_route(&mut plan, &path, &ports);
            }
            plan.slots = wan.slots.clone();
        }
        plan.absorb(self.beside(None, &plan.slots));
        plan.wan = found;
        match several {
            Some(reason) if plan.steps.is_empty() => Err(Blocked { reason, park: true }),
            Some(_) | None => Ok(plan),
        }
    }

    /// Refuses to plan where an object that matters could not be listed.
    fn listed(&self, matters: impl Fn(&str) -> bool) -> Result<(), Blocked> {
        match self.unlisted.iter().find(|(object, _)| matters(object)) {
            None => Ok(()),
            Some((object, code)) => {
                let reason = sentences::device_fault("GetParameterNames", *code, object);
                Err(Blocked { reason, park: false })
            }
        }
    }

    pub(crate) fn clear_route(&self, plan: &mut LayerPlan, row: &str, ports: &str) {
        let path = format!("{row}{ports}");
        let observed = self.tree.value(&path).unwrap_or_default();
        let item = Item {
            path,
            value: WriteValue::Plain(String::new()),
            kind: ValueKind::String,
            label: "Policy route ports".into(),
            required: true,
            secret: None,
        };
        plan.wanted.push(item.clone());
        if !observed.is_empty() {
            plan.steps.push(PlanStep::Write { name: "policy route".into(), items: vec![item] });
        }
    }

    fn wan_name(&self, wan: &Wan, intent: &InternetIntent) -> String {
        let label = &self.context.policy.wan_label;
        match &wan.name {
            None => label.clone(),
            Some(template) => template
                .replace("{label}", label)
                .replace("{vlan}", &intent.vlan.map_or_else(String::new, |vlan| vlan.to_string())),
        }
    }

    fn applies_internet(&self, condition: Condition, intent: &InternetIntent, ours: bool) -> bool {
        let policy = &self.context.policy;
        match condition {
            Condition::Vlan => intent.vlan.is_some_and(|vlan| vlan != 0),
            Condition::Priority => intent.priority.is_some(),
            Condition::Mtu => intent.mtu.is_some(),
            Condition::Nat => intent.nat && !matches!(intent.mode, InternetMode::Bridge),
            Condition::Ours => ours,
            Condition::Secured => true,
            Condition::Ntp2 => policy.ntp_servers.len() > 1,
            Condition::Ntp3 => policy.ntp_servers.len() > 2,
        }
    }

    /// Fills the slots of a kind from what exists; the first one that must be created, with its table (`None` =
    /// it cannot be created).
    #[allow(clippy::type_complexity)]
    fn resolve(
        &self,
        kind: &WanKind,
        found: Option<&FoundWan>,
        applies: &dyn Fn(Condition) -> bool,
    ) -> (BTreeMap<String, String>, Option<(String, Option<String>)>) {
        let search = self.search();
        let mut slots: BTreeMap<String, String> = BTreeMap::new();
        for (name, slot) in self.profile.wan.slots_of(kind, applies) {
            let table = slot.table.as_deref().map(|table| match nested(table) {
                Some((parent, rest)) => slots.get(parent).map(|path| format!("{path}{rest}")),
                None => Some(table.to_owned()),
            });
            let table = table.flatten();
            let existing = found
                .and_then(|wan| wan.slots.get(name).cloned())
                .or_else(|| if slot.shared { search.shared(name) } else { None })
                .or_else(|| {
                    self.stored_path(name, table.as_deref())
                        .filter(|path| search.is_free_for(name, path, kind))
                })
                .or_else(|| self.orphan(name, table.as_deref()))
                .or_else(|| search.empty_container(name));
            match existing {
                Some(path) => {
                    slots.insert(name.to_owned(), path);
                }
                None => return (slots, Some((name.to_owned(), table.filter(|_| !slot.shared)))),
            }
        }
        (slots, None)
    }

    /// The stored path of a slot if it still exists, is where it should be, and is nobody else's by now.
    fn stored_path(&self, slot: &str, table: Option<&str>) -> Option<String> {
        let object = self.device.objects.get(slot)?;
        let fits = !object.stale && table.is_some_and(|table| object.path.starts_with(table));
        (fits && self.tree.has(&object.path)).then(|| object.path.clone())
    }

    /// What an AddObject whose answer was lost has left behind: exactly one instance that was not there before.
    fn orphan(&self, slot: &str, table: Option<&str>) -> Option<String> {
        let pending = self.device.pending_add.as_ref()?;
        if pending.slot != slot || Some(pending.table.as_str()) != table {
            return None;
        }
        born_since(self.tree, pending)
    }

    /// The vendor's short name of a WAN, e.g. `wan1.2.ppp1`.
    pub(crate) fn short_name(&self, kind: &str, slots: &BTreeMap<String, String>) -> Option<String> {
        let mut name = self.profile.wan.short_names.get(kind)?.clone();
        for (slot, path) in slots {
            let number = path.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
            name = name.replace(&format!("{{{slot}}}"), number);
        }
        (!name.contains('{')).then_some(name)
    }

    /// The policy-route row of a WAN and the name of its ports leaf.
    pub(crate) fn route_row(&self, kind: &str, slots: &BTreeMap<String, String>) -> Option<(String, String)> {
        let route = self.profile.wan.policy_route.as_ref()?;
        let wan_name = self.short_name(kind, slots)?;
        let table = self.profile.wan.slots.get(&route.slot)?.table.as_deref()?;
        let rows = self.tree.instances(table).into_iter().map(|(_, path)| path);
        let row = rows.into_iter().find(|row| {
            self.tree
                .value(&format!("{row}{}", route.key))
                .is_some_and(|key| key.eq_ignore_ascii_case(&wan_name))
        })?;
        Some((row, route.ports.clone()))
    }

    /// The row is found by its WAN's name and updated; added only when there is none.
    fn route_steps(
        &self,
        plan: &mut LayerPlan,
        intent: &InternetIntent,
        kind: &WanKind,
        kind_name: &str,
        slots: &BTreeMap<String, String>,
    ) -> Result<(), Blocked> {
        let Some(route) = self.profile.wan.policy_route.as_ref().filter(|_| intent.policy_routes) else {
            return Ok(());
        };
        let Some(wan_name) = self.short_name(kind_name, slots) else { return Ok(()) };
        let table =
            self.profile.wan.slots.get(&route.slot).and_then(|slot| slot.table.clone()).unwrap_or_default();
        let row = self
            .route_row(kind_name, slots)
            .map(|(row, _)| row)
            .or_else(|| self.stored_path(&route.slot, Some(&table)))
            .or_else(|| self.orphan(&route.slot, Some(&table)));
        let Some(row) = row else {
            plan.steps.push(PlanStep::Add { slot: route.slot.clone(), table });
            return Ok(());
        };
        let ports: Vec<String> = self
            .ports(intent, kind_name, slots)
            .iter()
            .map(|port| match port {
                LanPort::Lan(number) => route.lan.replace("{p}", &number.to_string()),
                LanPort::Ssid(number) => route.ssid.replace("{p}", &number.to_string()),
            })
            .collect();
        let mut items = Vec::new();
        let leaves =
            route.fixed.iter().map(|(leaf, value)| (leaf.clone(), value.clone(), "Policy route type"));
        let key = (route.key.clone(), wan_name, "Policy route WAN");
        let list = (route.ports.clone(), ports.join(","), "Policy route ports");
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
        let _ = kind;
        Ok(())
    }

    /// The ports to bind: the wanted ones, or every one the device has a flag for.
    fn ports(&self, intent: &InternetIntent, kind: &str, slots: &BTreeMap<String, String>) -> Vec<LanPort> {
        if !intent.bind.is_empty() {
            let mut ports = intent.bind.clone();
            ports.sort_unstable();
            ports.dedup();
            return ports;
        }
        self.flags(kind, slots).into_iter().map(|(port, _)| port).collect()
    }

    fn flags(&self, kind: &str, slots: &BTreeMap<String, String>) -> Vec<(LanPort, String)> {
        let Some(bind) = &self.profile.wan.bind else { return Vec::new() };
        let Some(base) = bind.slots.get(kind).and_then(|slot| slots.get(slot)) else { return Vec::new() };
        let lan = (1..=bind.lan_ports).map(|n| (LanPort::Lan(n), bind.lan.replace("{p}", &n.to_string())));
        let ssid =
            (1..=bind.ssid_ports).map(|n| (LanPort::Ssid(n), bind.ssid.replace("{p}", &n.to_string())));
        lan.chain(ssid)
            .map(|(port, leaf)| (port, format!("{base}{leaf}")))
            .filter(|(_, path)| self.tree.has(path))
            .collect()
    }

    /// Switching on (or off) comes last and alone; several objects of a stack share the one call.
    pub(crate) fn switch_steps(
        &self,
        plan: &mut LayerPlan,
        kind: &WanKind,
        slots: &BTreeMap<String, String>,
        on: bool,
    ) {
        let mut items = Vec::new();
        let switches: Vec<&SlotLeaf> =
            if on { kind.switches.iter().collect() } else { kind.switches.iter().rev().collect() };
        for leaf in switches {
            let Some(base) = slots.get(&leaf.slot) else { continue };
            let path = format!("{base}{}", leaf.leaf);
            let Some(node) = self.tree.node(&path) else { continue };
            let item = Item {
                kind: ValueKind::Boolean,
                label: if leaf.slot == kind.facts.enabled.slot {
                    "WAN".into()
                } else {
                    format!("WAN ({})", leaf.slot)
                },
                required: true,
                secret: None,
                value: WriteValue::Plain(if on { "true" } else { "false" }.into()),
                path,
            };
            let differs = node.value.as_deref().is_none_or(|value| is_true(value) != on);
            plan.wanted.push(item.clone());
            if differs {
                items.push(item);
            }
        }
        self.batches(&mut plan.steps, if on { "WAN on" } else { "WAN off" }, items);
    }
}

impl LayerPlan {
    fn absorb(&mut self, other: LayerPlan) {
        self.steps.extend(other.steps);
        self.wanted.extend(other.wanted);
        self.left_out.extend(other.left_out);
    }
}

/// Instances that were not there when the AddObject left; one = ours, several = nobody can say.
pub(crate) fn born_since(tree: &Tree, pending: &PendingAdd) -> Option<String> {
    let mut born = tree
        .instances(&pending.table)
        .into_iter()
        .map(|(_, path)| path)
        .filter(|path| !pending.before.contains(path));
    let first = born.next()?;
    born.next().is_none().then_some(first)
}

/// Slots of groups whose objects are fixed.
fn fixed_slots(slots: &BTreeMap<String, Slot>) -> BTreeMap<String, String> {
    slots.iter().filter_map(|(name, slot)| Some((name.clone(), slot.object.clone()?))).collect()
}

/// The host of an http(s) URL, without its port.
pub(crate) fn url_host(url: &str) -> Option<String> {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"))?;
    let authority = rest.split(['/', '?']).next()?;
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next()?,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then(|| host.to_owned())
}
