//! WANs: the objects they are made of, how they are built, how ports are bound to them.

use super::schema::{Condition, Phase, Slot, SlotLeaf, one_or_many, words, yes};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// WANs of a family.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wan {
    /// Objects to list before planning.
    pub list: Vec<String>,
    /// Places.
    pub slots: BTreeMap<String, Slot>,
    /// Kinds of WAN by word (`ppp`, `ip`).
    pub kinds: BTreeMap<String, WanKind>,
    /// How each mode of the intent is built: `pppoe`, `dhcp`, `static`, `bridge`.
    pub modes: BTreeMap<String, WanMode>,
    /// What tells the management WAN.
    #[serde(default)]
    pub management: ManagementMark,
    /// What tells the internet WAN.
    #[serde(default)]
    pub internet_service: Option<String>,
    /// Template of a name the family insists on; `{label}`, `{vlan}`, `{n}` are filled in. Default: the label.
    #[serde(default)]
    pub name: Option<String>,
    /// Below these a "WAN" is a LAN.
    #[serde(default)]
    pub lan_below: Vec<String>,
    /// The binding of ports.
    #[serde(default)]
    pub bind: Option<Bind>,
    /// The vendor's routing row for the binding.
    #[serde(default)]
    pub policy_route: Option<PolicyRoute>,
    /// Short names of WANs, by kind: `wan1.{container}.ppp{ppp}` (instance numbers of the slots).
    #[serde(default)]
    pub short_names: BTreeMap<String, String>,
    /// Slots whose settings belong to every WAN in them (a VLAN that hangs at the container): an instance in which
    /// the management WAN lives is never written.
    #[serde(default)]
    pub not_with_management: Vec<String>,
}

/// What tells the management WAN, beside its address.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ManagementMark {
    /// Word in the service list.
    pub service: Option<String>,
    /// Word in the name.
    pub name: Option<String>,
}

/// A kind of WAN: the objects it is made of and where its facts are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WanKind {
    /// Slots in the order they are created.
    pub slots: Vec<String>,
    /// The slot whose table is walked to find WANs of this kind.
    pub anchor: String,
    /// Slots that must be found below the anchor.
    #[serde(default)]
    pub has: Vec<String>,
    /// Slots that must not.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// Leaves that switch it on, lowest first.
    pub switches: Vec<SlotLeaf>,
    /// Facts.
    pub facts: Facts,
}

/// Where the facts of a WAN are; absent = the family does not tell. Of several leaves the first that has a value
/// speaks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// On.
    #[serde(deserialize_with = "one_or_many")]
    pub enabled: Vec<SlotLeaf>,
    /// Connection status.
    #[serde(deserialize_with = "one_or_many")]
    pub status: Vec<SlotLeaf>,
    /// External address, or the table below which addresses are.
    #[serde(deserialize_with = "one_or_many")]
    pub address: Vec<SlotLeaf>,
    /// Words of the status that mean connected.
    pub connected: Vec<String>,
    /// Name or alias.
    #[serde(default, deserialize_with = "one_or_many")]
    pub name: Vec<SlotLeaf>,
    /// PPP login.
    #[serde(default, deserialize_with = "one_or_many")]
    pub username: Vec<SlotLeaf>,
    /// VLAN id.
    #[serde(default, deserialize_with = "one_or_many")]
    pub vlan: Vec<SlotLeaf>,
    /// Service list.
    #[serde(default, deserialize_with = "one_or_many")]
    pub service: Vec<SlotLeaf>,
    /// Routed or bridged.
    #[serde(default, deserialize_with = "one_or_many")]
    pub connection_type: Vec<SlotLeaf>,
    /// Last connection error.
    #[serde(default, deserialize_with = "one_or_many")]
    pub error: Vec<SlotLeaf>,
    /// MAC address that the WAN speaks with: what a BRAS or a DHCP server knows the customer by.
    #[serde(default, deserialize_with = "one_or_many")]
    pub mac: Vec<SlotLeaf>,
}

impl Facts {
    /// Every leaf, with the name of the fact.
    pub fn leaves(&self) -> impl Iterator<Item = (&'static str, &SlotLeaf)> {
        [
            ("enabled", &self.enabled),
            ("status", &self.status),
            ("address", &self.address),
            ("name", &self.name),
            ("username", &self.username),
            ("vlan", &self.vlan),
            ("service", &self.service),
            ("connection_type", &self.connection_type),
            ("error", &self.error),
            ("mac", &self.mac),
        ]
        .into_iter()
        .flat_map(|(fact, leaves)| leaves.iter().map(move |leaf| (fact, leaf)))
    }
}

/// How a mode is built.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WanMode {
    /// Kind of WAN.
    pub kind: String,
    /// What `ConnectionType` may say; tells a bridge from a router of the same kind.
    #[serde(default, deserialize_with = "words")]
    pub connection_type: Vec<String>,
    /// What to write, in order. Switching on comes after the last phase, alone.
    pub phases: Vec<Phase>,
    /// It has an address of its own (a bridge has none).
    #[serde(default = "yes")]
    pub addressed: bool,
}

/// How ports are bound to a WAN.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "style", rename_all = "snake_case")]
pub enum Bind {
    /// One flag per port.
    Flags(BindFlags),
    /// One leaf with the names of the ports.
    List(BindList),
}

/// Binding by one flag per port.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindFlags {
    /// Slot (by kind) that has the flags.
    pub slots: BTreeMap<String, String>,
    /// Flag of a LAN port, `{p}` = number.
    pub lan: String,
    /// Flag of an SSID, `{p}` = number.
    pub ssid: String,
    /// Highest LAN port to look for.
    pub lan_ports: u8,
    /// Highest SSID to look for.
    pub ssid_ports: u8,
}

/// Binding by a comma-separated list. A port belongs to one WAN: what another WAN has is left to it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindList {
    /// Slot (by kind) that has the leaf.
    pub slots: BTreeMap<String, String>,
    /// The leaf.
    pub leaf: String,
    /// Objects to list to know which ports there are.
    #[serde(default)]
    pub list: Vec<String>,
    /// Name of a LAN port, `{p}` = number. A path is only used where the device has it.
    pub lan: String,
    /// Name of an SSID, `{p}` = number; absent = SSIDs cannot be bound.
    #[serde(default)]
    pub ssid: Option<String>,
    /// Highest LAN port to look for.
    pub lan_ports: u8,
    /// Highest SSID to look for.
    #[serde(default)]
    pub ssid_ports: u8,
    /// Without a bound port the WAN carries nothing: every free port is bound when the intent names none.
    #[serde(default)]
    pub needed: bool,
}

/// The vendor's routing row for the binding: found by its key, updated; added only when missing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRoute {
    /// Object to list.
    pub list: String,
    /// Slot of the row.
    pub slot: String,
    /// Leaf that names the WAN.
    pub key: String,
    /// By its path instead of its short name.
    #[serde(default)]
    pub by_path: bool,
    /// The row is the family's way to bind ports: it is kept whenever the intent names ports.
    #[serde(default)]
    pub binds: bool,
    /// Leaf with the ports.
    pub ports: String,
    /// `LAN{p}`
    pub lan: String,
    /// `SSID{p}`
    pub ssid: String,
    /// Leaves with fixed values.
    #[serde(default)]
    pub fixed: BTreeMap<String, String>,
}

impl Wan {
    /// Every slot a kind uses that applies to the given conditions.
    pub fn slots_of<'a>(
        &'a self,
        kind: &'a WanKind,
        applies: impl Fn(Condition) -> bool + 'a,
    ) -> impl Iterator<Item = (&'a str, &'a Slot)> + 'a {
        kind.slots.iter().filter_map(move |name| {
            let slot = self.slots.get(name)?;
            slot.when.is_none_or(&applies).then_some((name.as_str(), slot))
        })
    }

    /// Names of every slot.
    pub fn slot_names(&self) -> BTreeSet<&str> {
        self.slots.keys().map(String::as_str).collect()
    }
}
