//! The shape of a profile file.

use serde::{Deserialize, Deserializer, Serialize, de};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// One family of CPEs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CpeProfile {
    /// Stable id, e.g. `huawei_x_hw`.
    pub id: String,
    /// For people.
    pub title: String,
    /// The family this one refines.
    #[serde(default)]
    pub extends: Option<String>,
    /// Root object with its dot: `InternetGatewayDevice.` or `Device.`.
    pub root: String,
    /// Identity rules: they nominate.
    #[serde(rename = "match", default)]
    pub matches: Vec<MatchRule>,
    /// Decisive nodes: they decide.
    #[serde(default)]
    pub probe: Probe,
    /// Marks of families we cannot write yet: a device that bears one is only read.
    #[serde(default)]
    pub foreign: Vec<ForeignMark>,
    /// How it may be written.
    pub write: WritePolicy,
    /// Ownership settings.
    pub management: Group,
    /// Clock.
    pub time: Time,
    /// WANs.
    pub wan: Wan,
    /// Wi-Fi; absent = the family has none that we know.
    #[serde(default)]
    pub wifi: Option<Wifi>,
    /// LAN.
    #[serde(default)]
    pub lan: Option<Group>,
    /// Leaves no reference export proves, with the reason.
    #[serde(default)]
    pub unproved: BTreeMap<String, String>,
    #[serde(skip)]
    pub(crate) patterns: HashSet<String>,
    #[serde(skip)]
    pub(crate) secrets: HashSet<String>,
}

/// An identity rule; every given field must match.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatchRule {
    /// One of these OUIs.
    pub oui: Vec<String>,
    /// Regular expression.
    pub manufacturer: Option<String>,
    /// Regular expression.
    pub product_class: Option<String>,
    /// Regular expression.
    pub software_version: Option<String>,
    /// How much it says.
    pub score: u32,
}

/// Nodes that decide, as patterns with `?` for instance numbers.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// Objects to list before deciding.
    pub list: Vec<String>,
    /// At least one must be there.
    pub any: Vec<String>,
    /// None may be there.
    pub none: Vec<String>,
    /// How much it says.
    pub score: u32,
}

/// A name prefix that belongs to another family.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForeignMark {
    /// Begin of a name between dots.
    pub prefix: String,
    /// The family, for people.
    pub title: String,
}

/// How a family may be written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WritePolicy {
    /// Most parameters in one SetParameterValues.
    pub max_params: u32,
    /// Most AddObjects in one session.
    pub structural_per_session: u32,
    /// AddObject and SetParameterValues of the same layer may share a session.
    pub mix_structural: bool,
    /// Different layers may be written in one session.
    pub mix_layers: bool,
    /// Most names in one GetParameterValues.
    pub max_names: u32,
}

/// Fixed objects and what to write into them, phase by phase.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Objects to list before planning.
    pub list: Vec<String>,
    /// Places.
    pub slots: BTreeMap<String, Slot>,
    /// What to write, one SetParameterValues (or more, by size) per phase.
    pub phases: Vec<Phase>,
}

/// Clock.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// Objects to list before planning.
    pub list: Vec<String>,
    /// Places.
    pub slots: BTreeMap<String, Slot>,
    /// What to write.
    pub phases: Vec<Phase>,
    /// The clock itself.
    pub current: SlotLeaf,
    /// The WANs must be read first (a setting names one).
    #[serde(default)]
    pub needs_wan: bool,
}

/// A named place in the data model.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slot {
    /// A single object, with its dot.
    pub object: Option<String>,
    /// A table, with its dot; `{slot}` stands for the instance in another slot.
    pub table: Option<String>,
    /// The instance refers to what is below it: leaf, and the slots that may be there, nearest first.
    pub lower: Option<Reference>,
    /// The instance belongs to another one: leaf that names it.
    pub of: Option<Reference>,
    /// Never created; the one the management WAN stands on is used.
    pub shared: bool,
    /// Only under this condition.
    pub when: Option<Condition>,
}

/// A leaf that names another instance.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The leaf.
    pub leaf: String,
    /// Slots it may name.
    pub slots: Vec<String>,
}

/// `slot:Leaf.Of.It`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotLeaf {
    /// The slot.
    pub slot: String,
    /// The leaf, relative to the instance.
    pub leaf: String,
}

impl std::fmt::Display for SlotLeaf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.slot, self.leaf)
    }
}

impl std::str::FromStr for SlotLeaf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some((slot, leaf)) if !slot.is_empty() && !leaf.is_empty() && !leaf.ends_with('.') => {
                Ok(SlotLeaf { slot: slot.to_owned(), leaf: leaf.to_owned() })
            }
            _ => Err(format!("expected slot:Leaf, found {text:?}")),
        }
    }
}

impl<'de> Deserialize<'de> for SlotLeaf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Settings that share a call.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// For records.
    pub name: String,
    /// What to write.
    #[serde(default)]
    pub settings: Vec<Setting>,
    /// Also the LAN and SSID binding.
    #[serde(default)]
    pub bind: bool,
}

/// One leaf to bring to a value.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The leaf, or several of which the first one that exists is taken.
    #[serde(deserialize_with = "one_or_many")]
    pub set: Vec<SlotLeaf>,
    /// A literal, or `$variable`.
    pub to: String,
    /// Type to send when the device does not tell its own.
    #[serde(default)]
    pub kind: Kind,
    /// Only under this condition.
    #[serde(default)]
    pub when: Option<Condition>,
    /// Without it the layer cannot be built (default). Otherwise it is left out where it is missing.
    #[serde(default = "yes")]
    pub required: bool,
    /// In words.
    pub label: String,
}

fn yes() -> bool {
    true
}

impl Setting {
    /// The variable, if it is one.
    pub fn variable(&self) -> Option<Variable> {
        Variable::parse(self.to.strip_prefix('$')?)
    }

    /// It writes a secret.
    pub fn is_secret(&self) -> bool {
        self.variable().is_some_and(Variable::is_secret)
    }
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SlotLeaf>, D::Error> {
    let parse = |text: &str| text.parse::<SlotLeaf>().map_err(de::Error::custom);
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(one) => Ok(vec![parse(&one)?]),
        toml::Value::Array(many) => {
            many.iter().map(|value| parse(value.as_str().unwrap_or_default())).collect()
        }
        other => Err(de::Error::custom(format!("expected slot:Leaf or a list of them, found {other}"))),
    }
}

/// Parameter types a profile can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum Kind {
    #[default]
    String,
    Int,
    UnsignedInt,
    Boolean,
}

/// When a slot or a setting applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The intent names a VLAN.
    Vlan,
    /// The intent names a priority.
    Priority,
    /// The intent names an MTU.
    Mtu,
    /// The object is ours: created by us or found empty. Foreign objects keep their names.
    Ours,
    /// NAT is wanted.
    Nat,
    /// The SSID is protected.
    Secured,
    /// A second, third … NTP server is configured.
    Ntp2,
    /// Third.
    Ntp3,
}

macro_rules! variables {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Everything a setting may be set to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Variable { $($(#[$doc])* $name,)* }

        impl Variable {
            /// The word after `$`.
            pub fn as_str(self) -> &'static str {
                match self { $(Variable::$name => $text,)* }
            }

            /// From the word after `$`.
            pub fn parse(word: &str) -> Option<Variable> {
                match word { $($text => Some(Variable::$name),)* _ => None }
            }

            /// Every word, for error messages.
            pub const WORDS: &[&str] = &[$($text,)*];
        }
    };
}

variables! {
    /// Wanted VLAN, 0 = untagged.
    Vlan = "vlan";
    /// Wanted 802.1p priority.
    Priority = "priority";
    /// Our label for the WAN, with the VLAN and the mode in it where the family wants that.
    Name = "name";
    /// PPPoE login.
    Username = "username";
    /// PPPoE password.
    Password = "password";
    /// NAT on or off.
    Nat = "nat";
    /// IPv6 on or off.
    Ipv6 = "ipv6";
    /// MTU.
    Mtu = "mtu";
    /// Static address.
    Address = "address";
    /// Static mask.
    Mask = "mask";
    /// Static gateway.
    Gateway = "gateway";
    /// Name servers, comma-separated.
    Dns = "dns";
    /// What this instance stands on.
    Lower = "lower";
    /// What this instance belongs to.
    Owner = "owner";
    /// Credential the CPE shows us.
    AcsUsername = "acs_username";
    /// Its password.
    AcsPassword = "acs_password";
    /// Credential we show the CPE.
    CrUsername = "cr_username";
    /// Its password.
    CrPassword = "cr_password";
    /// Seconds.
    InformInterval = "inform_interval";
    /// NTP servers.
    Ntp1 = "ntp1";
    /// Second.
    Ntp2 = "ntp2";
    /// Third.
    Ntp3 = "ntp3";
    /// `+05:30`
    TimeZone = "time_zone";
    /// `IST-5:30`
    TimeZonePosix = "time_zone_posix";
    /// The vendor's short name of the management WAN.
    ManagementWan = "management_wan";
    /// The vendor's short name of our WAN.
    WanName = "wan_name";
    /// Bound ports in the vendor's words.
    Ports = "ports";
    /// Wi-Fi on or off.
    WifiEnabled = "wifi_enabled";
    /// Network name.
    Ssid = "ssid";
    /// Passphrase.
    Passphrase = "passphrase";
    /// Security mode in the family's words.
    Security = "security";
    /// LAN address.
    LanAddress = "lan_address";
    /// LAN mask.
    LanMask = "lan_mask";
    /// DHCP server on or off.
    LanDhcp = "lan_dhcp";
    /// First address.
    DhcpFirst = "dhcp_first";
    /// Last address.
    DhcpLast = "dhcp_last";
}

impl Variable {
    /// Its value must never be shown.
    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Variable::Password | Variable::AcsPassword | Variable::CrPassword | Variable::Passphrase
        )
    }
}

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

/// Where the facts of a WAN are; absent = the family does not tell.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// On.
    pub enabled: SlotLeaf,
    /// Connection status.
    pub status: SlotLeaf,
    /// External address, or the table below which addresses are.
    pub address: SlotLeaf,
    /// Words of the status that mean connected.
    pub connected: Vec<String>,
    /// Name or alias.
    #[serde(default)]
    pub name: Option<SlotLeaf>,
    /// PPP login.
    #[serde(default)]
    pub username: Option<SlotLeaf>,
    /// VLAN id.
    #[serde(default)]
    pub vlan: Option<SlotLeaf>,
    /// Service list.
    #[serde(default)]
    pub service: Option<SlotLeaf>,
    /// Routed or bridged.
    #[serde(default)]
    pub connection_type: Option<SlotLeaf>,
    /// Last connection error.
    #[serde(default)]
    pub error: Option<SlotLeaf>,
}

/// How a mode is built.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WanMode {
    /// Kind of WAN.
    pub kind: String,
    /// What `ConnectionType` says; tells a bridge from a router of the same kind.
    #[serde(default)]
    pub connection_type: Option<String>,
    /// What to write, in order. Switching on comes after the last phase, alone.
    pub phases: Vec<Phase>,
    /// It has an address of its own (a bridge has none).
    #[serde(default = "yes")]
    pub addressed: bool,
}

/// Binding by one flag per port.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bind {
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

/// Wi-Fi of a family.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wifi {
    /// Objects to list before planning.
    pub list: Vec<String>,
    /// Places.
    pub slots: BTreeMap<String, Slot>,
    /// Slot whose table is walked to find the band.
    pub anchor: String,
    /// What tells the band.
    #[serde(default)]
    pub band: Option<SlotLeaf>,
    /// Its words, by band.
    #[serde(default)]
    pub bands: BTreeMap<String, Vec<String>>,
    /// Instance of the anchor where the leaf is missing.
    #[serde(default)]
    pub fallback: BTreeMap<String, u32>,
    /// Words for `open`, `wpa2`, `mixed`.
    pub security: BTreeMap<String, String>,
    /// What to write per band.
    pub phases: Vec<Phase>,
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
