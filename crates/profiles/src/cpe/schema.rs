//! The shape of a profile file.

use super::{
    capability::{Capability, CapabilityName, Confidence},
    diagnostic::{Diagnostic, DiagnosticName},
    hosts::HostTable,
    variable::Variable,
    wan::Wan,
};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::collections::{BTreeMap, HashSet};

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
    /// How well the family as a whole is known.
    pub confidence: Confidence,
    /// Where that is known from, in words.
    pub source: String,
    /// Reference exports of real units that prove the paths, by file name without `.csv`.
    #[serde(default)]
    pub exports: Vec<String>,
    /// Nothing is ever written to the family, because of this (a clause after "it is only read: ").
    #[serde(default)]
    pub read_only: Option<String>,
    /// Traps of the family, one sentence each: for whoever looks at such a device.
    #[serde(default)]
    pub notes: Vec<String>,
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
    /// How our envelopes are to be spelled.
    #[serde(default)]
    pub soap: SoapSpelling,
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
    /// What can be read or asked of it beside the layers.
    #[serde(default)]
    pub capabilities: BTreeMap<CapabilityName, Capability>,
    /// Tests that it runs by itself; where, their capabilities say.
    #[serde(default)]
    pub diagnostics: BTreeMap<DiagnosticName, Diagnostic>,
    /// Tables of what is connected to it.
    #[serde(default)]
    pub hosts: Vec<HostTable>,
    /// Path patterns no reference export proves, with the reason. A `*` at the end stands for the rest.
    #[serde(default)]
    pub unproved: BTreeMap<String, String>,
    #[serde(skip)]
    pub(crate) patterns: HashSet<String>,
    #[serde(skip)]
    pub(crate) secrets: HashSet<String>,
}

/// How a family wants its SOAP. What is not said here is spelled as the device's own Inform is, or in the way that most
/// devices take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SoapSpelling {
    /// Prefix of the envelope's namespace, for devices that compare names with their prefix.
    pub prefix: Option<SoapPrefix>,
    /// The CWMP namespace, for devices that understand another one than they use.
    pub version: Option<SoapVersion>,
    /// `<?xml version="1.0" encoding="UTF-8"?>` in front.
    pub xml_declaration: Option<bool>,
    /// Booleans in values.
    pub boolean: Option<Truth>,
    /// `NextLevel` of GetParameterNames.
    pub next_level: Option<Truth>,
    /// Fractions of seconds in times.
    pub fractional_seconds: Option<bool>,
    /// `mustUnderstand="1"` on `cwmp:ID`; a few stacks refuse the whole message for it.
    pub must_understand: Option<bool>,
}

/// A prefix that devices use for the SOAP envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub enum SoapPrefix {
    #[serde(rename = "soap-env")]
    SoapDashEnv,
    #[serde(rename = "SOAP-ENV")]
    UpperSoapDashEnv,
    #[serde(rename = "soapenv")]
    Soapenv,
    #[serde(rename = "soap")]
    Soap,
}

/// A CWMP namespace of the standard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[allow(missing_docs)]
pub enum SoapVersion {
    #[serde(rename = "1-0")]
    V1_0,
    #[serde(rename = "1-1")]
    V1_1,
    #[serde(rename = "1-2")]
    V1_2,
}

/// How truth is spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truth {
    /// `0` and `1`.
    Digit,
    /// `false` and `true`.
    Word,
}

/// An identity rule; every given field must match.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MatchRule {
    /// One of these OUIs.
    pub oui: Vec<String>,
    /// Regular expression.
    pub manufacturer: Option<Pattern>,
    /// Regular expression.
    pub product_class: Option<Pattern>,
    /// Regular expression.
    pub software_version: Option<Pattern>,
    /// How much it says.
    pub score: u32,
}

/// A regular expression, compiled at load.
#[derive(Debug, Clone)]
pub struct Pattern(regex::Regex);

impl Pattern {
    /// True if it is found in the text.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        regex::Regex::new(&text)
            .map(Pattern)
            .map_err(|error| de::Error::custom(format!("{text:?} is no regular expression: {error}")))
    }
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
    /// A refinement of another family with the same nodes: it counts only where the identity fits.
    pub needs_match: bool,
    /// Where the WANs say nothing (none is there yet, or the family has no marks in them).
    pub hints: Option<Hints>,
}

/// A second look, elsewhere in the tree.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Hints {
    /// Objects to list.
    pub list: Vec<String>,
    /// At least one must be there.
    pub any: Vec<String>,
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
    /// A change of the WAN takes effect only after a restart. Nothing is ever restarted by itself; a WAN that does
    /// not come up says so.
    #[serde(default)]
    pub wan_needs_restart: bool,
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
    /// The device makes its instances itself: one that is free is used, none is ever added.
    pub fixed: bool,
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
    /// Other literals, taken where `among` does not list `to`.
    #[serde(default)]
    pub or: Vec<String>,
    /// Leaf with the comma-separated values this device takes.
    #[serde(default)]
    pub among: Option<SlotLeaf>,
    /// Sources disagree on the value: what another instance of the same table has is taken, `to` only where there
    /// is none.
    #[serde(default)]
    pub like_others: bool,
    /// Type to send when the device does not tell its own.
    #[serde(default)]
    pub kind: Kind,
    /// The device may round or clamp the number: how far what it keeps may be from what was written.
    #[serde(default)]
    pub kept_within: Option<Tolerance>,
    /// Only under this condition.
    #[serde(default)]
    pub when: Option<Condition>,
    /// Without it the layer cannot be built (default). Otherwise it is left out where it is missing.
    #[serde(default = "yes")]
    pub required: bool,
    /// In words.
    pub label: String,
}

/// How far a number that a device keeps may be from the one that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// So much less, per cent of what was written.
    pub less_percent: u64,
    /// So much more, per cent of what was written.
    pub more_percent: u64,
}

impl Tolerance {
    /// What is kept counts as what was written. Zero never does: it switches a thing off.
    pub fn allows(self, written: u64, kept: u64) -> bool {
        let kept_percent = kept.saturating_mul(100);
        let least = written.saturating_mul(100_u64.saturating_sub(self.less_percent));
        let most = written.saturating_mul(self.more_percent.saturating_add(100));
        kept > 0 && (least..=most).contains(&kept_percent)
    }
}

pub(super) fn yes() -> bool {
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

pub(super) fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SlotLeaf>, D::Error> {
    let parse = |text: &str| text.parse::<SlotLeaf>().map_err(de::Error::custom);
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(one) => Ok(vec![parse(&one)?]),
        toml::Value::Array(many) => {
            many.iter().map(|value| parse(value.as_str().unwrap_or_default())).collect()
        }
        other => Err(de::Error::custom(format!("expected slot:Leaf or a list of them, found {other}"))),
    }
}

/// One word or a list of them.
pub(super) fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        toml::Value::String(one) => Ok(vec![one]),
        toml::Value::Array(many) => many
            .into_iter()
            .map(|value| value.try_into().map_err(|_| de::Error::custom("expected a list of words")))
            .collect(),
        other => Err(de::Error::custom(format!("expected a word or a list of words, found {other}"))),
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
    /// It names none.
    Untagged,
    /// IPv6 is wanted.
    Ipv6,
    /// It is not.
    #[serde(rename = "ipv4_only")]
    Ipv4Only,
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
    /// What tells the band: the first of these leaves that says something.
    #[serde(default, deserialize_with = "one_or_many")]
    pub band: Vec<SlotLeaf>,
    /// Begin of its words, by band.
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
