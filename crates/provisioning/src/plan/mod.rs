//! Desired minus observed, as ordered steps. A pure function of what the device has now, what is wanted, what the
//! family likes and which paths are stored; never of what we believe to have done.

use crate::{
    Context, Device, Layer, OwnershipCredentials, Reason,
    detect::{FoundWan, Search, Signature, Target, WanClass, is_true, nested},
    device::Run,
    intent::{InternetIntent, InternetMode, Ipv6Mode, WifiIntent, fingerprint},
    sentences,
    session::{PendingAdd, WrittenItem},
    talk::{SetValue, ValueKind, WriteValue},
    tree::Tree,
};
mod able;
mod access;
mod beside;
mod bind;
mod settings;

pub use able::{access_gaps, internet_gaps};
pub(crate) use settings::same;

use profiles::cpe::{Condition, CpeProfile, Slot, SlotLeaf, Variable, Wan, WanKind};
use std::collections::{BTreeMap, BTreeSet};

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
            masked: self.value.masked(),
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

/// What a slot still needs.
enum Missing {
    /// An AddObject.
    Add { slot: String, table: String },
    /// It cannot be had.
    Cannot(Reason),
}

/// There is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocked {
    pub reason: Reason,
    /// Will not cure itself.
    pub park: bool,
}

/// What is known of an optional leaf that was in a call which was refused, when the device did not say because of which
/// leaf: it is written alone and last, so that the next refusal says of which it is.
pub(crate) const ALONE: &str = "alone";

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
    Management {
        credentials: &'a OwnershipCredentials,
        interval_s: u32,
    },
    Time {
        management_wan: Option<String>,
    },
    Internet {
        intent: &'a InternetIntent,
        name: String,
        /// Instances that are the management WAN's as well.
        shared: BTreeSet<String>,
    },
    Wifi {
        intent: &'a WifiIntent,
        security: String,
    },
    Lan {
        intent: &'a crate::LanIntent,
    },
}

impl<'a> Planner<'a> {
    pub(crate) fn search(&self) -> Search<'a> {
        let mut addresses: Vec<String> = self.device.connection.peer.iter().cloned().collect();
        if let Some(host) = self.device.connection.url.as_deref().and_then(url_host) {
            addresses.push(host);
        }
        let (intents, key) = (self.context.intents.as_ref(), &self.context.fingerprint_key);
        let wanted = || intents.and_then(|intents| intents.layer_hash(Layer::Internet, key));
        Search {
            tree: self.tree,
            wan: &self.profile.wan,
            stored: &self.device.objects,
            label: &self.context.policy.wan_label,
            chosen: self.device.chosen_wan.as_ref().filter(|chosen| chosen.wanted == wanted()),
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

    /// Of the ManagementServer settings only those that we show the device when we call it.
    pub(crate) fn connection_request(
        &self,
        credentials: &OwnershipCredentials,
        interval_s: u32,
    ) -> Result<LayerPlan, Blocked> {
        let group = &self.profile.management;
        let shown_to_it = |setting: &profiles::cpe::Setting| {
            matches!(setting.variable(), Some(Variable::CrUsername | Variable::CrPassword))
        };
        let mut phases = group.phases.clone();
        phases.iter_mut().for_each(|phase| phase.settings.retain(shown_to_it));
        let source = Source::Management { credentials, interval_s };
        let accepted = |name: &str, wanted: &str| {
            self.device.ownership.secrets.get(name).is_some_and(|known| known == wanted)
        };
        self.layer(&phases, &fixed_slots(&group.slots), &group.slots, &source, &accepted, true, None)
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
        let settings = || mode.phases.iter().flat_map(|phase| &phase.settings);
        let writes = |variable: Variable| settings().any(|setting| setting.variable() == Some(variable));
        if intent.vlan.is_some_and(|vlan| vlan != 0) && !writes(Variable::Vlan) {
            return Some(VLAN_ON_WAN.into());
        }
        if !intent.bind.is_empty()
            && wan.bind.is_none()
            && !wan.policy_route.as_ref().is_some_and(|route| route.binds)
        {
            return Some("binding ports to the WAN".into());
        }
        if intent.policy_routes && wan.policy_route.is_none() {
            return Some("policy routes".into());
        }
        let knows_ipv6 = || settings().any(|setting| setting.when == Some(Condition::Ipv6));
        if intent.ipv6 == Ipv6Mode::On && !writes(Variable::Ipv6) && !knows_ipv6() {
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
            Target::Several(wans) => return Err(Blocked { reason: self.several(&wans), park: true }),
        };
        let applies = |condition| self.applies_internet(condition, intent, true);
        let shared = search.shared_with_management();
        let (slots, missing) = self.resolve(kind, found.as_ref(), &shared, &applies);
        match missing {
            None => {}
            Some(Missing::Add { slot, table }) => {
                // Nobody knows what is there already.
                self.listed(|object| table.starts_with(object))?;
                let steps = vec![PlanStep::Add { slot, table }];
                return Ok(LayerPlan { steps, wan: found, slots, ..LayerPlan::default() });
            }
            Some(Missing::Cannot(reason)) => return Err(Blocked { reason, park: true }),
        }
        // Foreign objects keep their names: other settings may refer to them.
        let ours = found.as_ref().is_none_or(|wan| wan.class != WanClass::Foreign);
        let name = self.wan_name(wan, intent);
        let source = Source::Internet { intent, name, shared };
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
        let binding = (!handing_over).then_some((intent, mode.kind.as_str()));
        let mut plan = self.layer(&mode.phases, &slots, &wan.slots, &source, &accepted, ours, binding)?;
        if !handing_over {
            self.route_steps(&mut plan, intent, &mode.kind, &slots)?;
        }
        self.switch_steps(&mut plan, kind, &slots, true);
        if !handing_over || found.as_ref().is_some_and(carries) {
            plan.absorb(former);
        }
        plan.slots = slots;
        plan.wan = found;
        Ok(plan)
    }

    /// The WANs that could carry this, if there is more than one and nobody has chosen.
    pub(crate) fn candidates(&self, intent: &InternetIntent) -> Vec<FoundWan> {
        match self.search().target(&Signature { mode: &intent.mode, vlan: intent.vlan }) {
            Target::Several(wans) => wans,
            Target::Found(_) | Target::Missing => Vec::new(),
        }
    }

    fn several(&self, wans: &[FoundWan]) -> Reason {
        let names: Vec<String> = wans.iter().map(FoundWan::describe).collect();
        sentences::several_wans(&names, self.device.chosen_wan.as_ref())
    }

    /// Every WAN of this service disabled, whatever its mode was, routes cleared, nothing deleted; nothing created
    /// either. No steps left means that all of them read disabled.
    fn suspended(&self, intent: &InternetIntent) -> Result<LayerPlan, Blocked> {
        self.listed(|object| self.profile.wan.list.iter().any(|list| list == object))?;
        let target = self.search().target(&Signature { mode: &intent.mode, vlan: intent.vlan });
        let (found, several) = match target {
            Target::Found(wan) => (Some(*wan), None),
            Target::Missing => (None, None),
            Target::Several(wans) => (None, Some(self.several(&wans))),
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
            Condition::Untagged => intent.vlan.is_none_or(|vlan| vlan == 0),
            Condition::Ipv6 => intent.ipv6 == Ipv6Mode::On,
            Condition::Ipv4Only => intent.ipv6 != Ipv6Mode::On,
            Condition::Priority => intent.priority.is_some(),
            Condition::Mtu => intent.mtu.is_some(),
            Condition::Nat => intent.nat && !matches!(intent.mode, InternetMode::Bridge),
            Condition::Ours => ours,
            Condition::Secured => true,
            Condition::Ntp2 => policy.ntp_servers.len() > 1,
            Condition::Ntp3 => policy.ntp_servers.len() > 2,
        }
    }

    /// Fills the slots of a kind from what exists; what must be created next, or why it cannot be.
    fn resolve(
        &self,
        kind: &WanKind,
        found: Option<&FoundWan>,
        shared: &BTreeSet<String>,
        applies: &dyn Fn(Condition) -> bool,
    ) -> (BTreeMap<String, String>, Option<Missing>) {
        let search = self.search();
        let mut slots: BTreeMap<String, String> = BTreeMap::new();
        for (name, slot) in self.profile.wan.slots_of(kind, applies) {
            let table = slot.table.as_deref().map(|table| match nested(table) {
                Some((parent, rest)) => slots.get(parent).map(|path| format!("{path}{rest}")),
                None => Some(table.to_owned()),
            });
            let table = table.flatten();
            let ours = |path: &String| !shared.contains(path);
            let existing = found
                .and_then(|wan| wan.slots.get(name).cloned())
                .or_else(|| if slot.shared { search.shared(name) } else { None })
                .or_else(|| {
                    self.stored_path(name, table.as_deref())
                        .filter(|path| search.is_free_for(name, path, kind))
                        .filter(ours)
                })
                .or_else(|| self.orphan(name, table.as_deref()))
                .or_else(|| search.empty_container(name));
            match existing {
                Some(path) => {
                    slots.insert(name.to_owned(), path);
                }
                None => {
                    let missing = self.missing(name, slot, table);
                    return (slots, Some(missing));
                }
            }
        }
        (slots, None)
    }

    /// How a slot nothing fills is to be filled.
    fn missing(&self, name: &str, slot: &Slot, table: Option<String>) -> Missing {
        let title = &self.profile.title;
        match table {
            Some(table) if slot.fixed => Missing::Cannot(sentences::no_spare_wan(title, &table)),
            // GetParameterNames tells whether AddObject is possible (TR-069 A.3.2.3); a name that was not listed
            // tells nothing.
            Some(table) if self.tree.node(&table).is_some_and(|node| !node.writable) => {
                Missing::Cannot(sentences::no_spare_wan(title, &table))
            }
            Some(table) if !slot.shared => Missing::Add { slot: name.to_owned(), table },
            _ => Missing::Cannot(sentences::required_leaf_missing(name, "no such object")),
        }
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

    /// Switching on (or off) comes last and alone; several objects of a stack share the one call.
    pub(crate) fn switch_steps(
        &self,
        plan: &mut LayerPlan,
        kind: &WanKind,
        slots: &BTreeMap<String, String>,
        on: bool,
    ) {
        let mut items = Vec::new();
        let shared = self.search().shared_with_management();
        let switches: Vec<&SlotLeaf> =
            if on { kind.switches.iter().collect() } else { kind.switches.iter().rev().collect() };
        for leaf in switches {
            let Some(base) = slots.get(&leaf.slot) else { continue };
            if self.profile.wan.not_with_management.contains(&leaf.slot) && shared.contains(base) {
                continue;
            }
            let path = format!("{base}{}", leaf.leaf);
            let Some(node) = self.tree.node(&path) else { continue };
            let item = Item {
                kind: ValueKind::Boolean,
                label: if kind.facts.enabled.first().is_some_and(|enabled| enabled.slot == leaf.slot) {
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
