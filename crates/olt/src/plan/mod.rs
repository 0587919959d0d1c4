//! What will be sent to an OLT, decided without sending anything.
//!
//! **Invariant: no I/O.** A plan is a function of the wish, what is known about the OLT, and what was read from it
//! just before. The same plan is shown as a dry run, journalled, executed and audited.

mod decide;

pub(crate) use decide::{foreign, line, place, written_over};
pub use decide::{holds, moves, plan};

use crate::{
    dialect::{Dialect, ErrorClass, ModePath, ModeStep},
    model::{AddressKind, LineProfile, ManagementRow, OnuRecord, OnuRow, ServicePortRow, Version},
    template::TemplateError,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::Ipv4Addr,
    sync::Arc,
};
use types::{PonPath, Serial};

/// A registered ONU's place on an OLT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OnuRef {
    /// PON port.
    pub pon: PonPath,
    /// Id on the PON.
    pub onu_id: u16,
}

impl fmt::Display for OnuRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ONU {}", self.pon, self.onu_id)
    }
}

/// What a service port does with the customer's VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TagTransform {
    /// User VLAN becomes network VLAN.
    #[default]
    Translate,
    /// Tags pass as they are.
    Transparent,
    /// A second tag is added over the translated one.
    TranslateAndAdd,
    /// What the OLT does by itself.
    Default,
}

impl TagTransform {
    fn word(self) -> &'static str {
        match self {
            TagTransform::Translate => "translate",
            TagTransform::Transparent => "transparent",
            TagTransform::TranslateAndAdd => "translate-and-add",
            TagTransform::Default => "default",
        }
    }
}

/// A service port to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePortSpec {
    /// Network-side VLAN, 1 to 4094.
    pub vlan: u16,
    /// User-side VLAN, 1 to 4094; `None` = frames without a tag, to which the OLT gives the network-side VLAN.
    #[serde(default)]
    pub user_vlan: Option<u16>,
    /// GEM port of the line profile.
    pub gemport: u16,
    /// Tag handling.
    #[serde(default)]
    pub tag_transform: TagTransform,
    /// Traffic table towards the network.
    #[serde(default)]
    pub traffic_in: Option<u32>,
    /// Traffic table towards the customer.
    #[serde(default)]
    pub traffic_out: Option<u32>,
}

impl ServicePortSpec {
    /// True if a row of the OLT's table is this service port.
    pub fn is(&self, row: &ServicePortRow) -> bool {
        // A traffic table that we do not ask for is the OLT's own choice.
        let traffic = |wanted: Option<u32>, got: Option<u32>| wanted.is_none() || wanted == got;
        self.is_flow(row)
            && traffic(self.traffic_in, row.traffic_in)
            && traffic(self.traffic_out, row.traffic_out)
    }

    /// The same, whatever its speed.
    pub fn is_flow(&self, row: &ServicePortRow) -> bool {
        let side = match self.user_vlan {
            Some(vlan) => row.user_vlan == Some(vlan),
            None => row.untagged,
        };
        row.vlan == self.vlan && row.gemport == Some(self.gemport) && side
    }
}

/// How the ONU's management address is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ManagementAddress {
    /// By DHCP.
    Dhcp,
    /// Fixed.
    Static {
        /// Address.
        address: Ipv4Addr,
        /// Network mask.
        mask: Ipv4Addr,
        /// Gateway.
        gateway: Ipv4Addr,
    },
}

/// The ONU's management WAN, given by the OLT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagementSpec {
    /// IP host index, usually 0.
    #[serde(default)]
    pub ip_index: u8,
    /// VLAN, 1 to 4094.
    pub vlan: u16,
    /// 802.1p priority, 0 to 7.
    #[serde(default)]
    pub priority: u8,
    /// How it gets its address.
    pub address: ManagementAddress,
}

impl ManagementSpec {
    /// True if the OLT's own record says the same.
    pub fn is(&self, row: &ManagementRow) -> bool {
        let address = match &self.address {
            ManagementAddress::Dhcp => row.kind == AddressKind::Dhcp,
            ManagementAddress::Static { address, .. } => {
                row.kind == AddressKind::Static && row.address == Some(*address)
            }
        };
        address
            && row.ip_index == self.ip_index
            && row.vlan == Some(self.vlan)
            && row.priority.is_none_or(|p| p == self.priority)
    }
}

/// The wish to register an ONU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthoriseSpec {
    /// On which PON.
    pub pon: PonPath,
    /// Which ONU.
    pub serial: Serial,
    /// A wanted id; `None` = the lowest free one.
    #[serde(default)]
    pub onu_id: Option<u16>,
    /// Ids that others have promised and that the OLT does not know yet.
    #[serde(default)]
    pub reserved_ids: BTreeSet<u16>,
    /// Line profile on the OLT.
    pub line_profile_id: u32,
    /// Service profile on the OLT.
    pub service_profile_id: u32,
    /// Free text; made fit for the OLT by the plan.
    #[serde(default)]
    pub description: String,
    /// Service ports.
    pub service_ports: Vec<ServicePortSpec>,
    /// Management WAN.
    #[serde(default)]
    pub management: Option<ManagementSpec>,
    /// ACS profile on the OLT (holds our URL).
    #[serde(default)]
    pub acs_profile_id: Option<u32>,
    /// Register although the ONU is not announced on that PON now.
    #[serde(default)]
    pub preprovision: bool,
}

impl AuthoriseSpec {
    /// Whether a service port of that ONU is one that this made, whose speed may have been changed since.
    pub(crate) fn made_flow(&self, row: &ServicePortRow) -> bool {
        self.service_ports.iter().any(|port| port.is_flow(row))
    }
}

/// The wish to remove an ONU and its service ports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeauthoriseSpec {
    /// Where it is.
    pub onu: OnuRef,
    /// Which one: nothing is removed if another serial sits there.
    pub serial: Serial,
    /// What was made for it. With a service port of anybody else on it the ONU is not removed. `None` = a person says
    /// that all of it may go.
    #[serde(default)]
    pub made: Option<Box<AuthoriseSpec>>,
}

/// The wish to take an ONU from one place of an OLT to another, or to give its place to another ONU. OLTs know no such
/// thing: what is there is removed, what is to be is registered anew, and if the second half fails the first is taken
/// back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveSpec {
    /// Where it is.
    pub from: DeauthoriseSpec,
    /// Where and how it is to be.
    pub to: AuthoriseSpec,
}

/// What an operator or a use case asks of an OLT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// Register an ONU.
    Authorise(AuthoriseSpec),
    /// Remove an ONU.
    Deauthorise(DeauthoriseSpec),
    /// Take an ONU to another place of the same OLT.
    Move(Box<MoveSpec>),
    /// Register another ONU at the place of one that goes.
    Replace(Box<MoveSpec>),
}

impl Operation {
    /// The ONU it is about.
    pub fn serial(&self) -> Serial {
        match self {
            Operation::Authorise(spec) => spec.serial,
            Operation::Deauthorise(spec) => spec.serial,
            Operation::Move(spec) | Operation::Replace(spec) => spec.to.serial,
        }
    }

    /// The PON it is about.
    pub fn pon(&self) -> PonPath {
        match self {
            Operation::Authorise(spec) => spec.pon,
            Operation::Deauthorise(spec) => spec.onu.pon,
            Operation::Move(spec) | Operation::Replace(spec) => spec.to.pon,
        }
    }

    /// What stands on the OLT afterwards; nothing after a removal.
    pub fn wanted(&self) -> Option<&AuthoriseSpec> {
        match self {
            Operation::Authorise(spec) => Some(spec),
            Operation::Deauthorise(_) => None,
            Operation::Move(spec) | Operation::Replace(spec) => Some(&spec.to),
        }
    }

    /// What is taken off first.
    pub fn taken_off(&self) -> Option<&DeauthoriseSpec> {
        match self {
            Operation::Authorise(_) => None,
            Operation::Deauthorise(spec) => Some(spec),
            Operation::Move(spec) | Operation::Replace(spec) => Some(&spec.from),
        }
    }
}

/// What is known about an OLT.
#[derive(Debug, Clone)]
pub struct Facts {
    /// How to talk to it.
    pub dialect: Arc<Dialect>,
    /// What it says it is.
    pub version: Version,
}

/// The answer to "is there a …".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lookup<T> {
    /// There is.
    Found(T),
    /// There is none.
    Missing,
    /// This OLT does not answer the question; its own refusal will have to do.
    Unknown,
}

/// An ONU as the OLT has it configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Existing {
    /// Its record.
    pub record: OnuRecord,
    /// Its service ports.
    pub service_ports: Vec<ServicePortRow>,
    /// Its management addresses.
    pub management: Vec<ManagementRow>,
}

impl Existing {
    /// Its place.
    pub fn at(&self) -> OnuRef {
        OnuRef { pon: self.record.pon, onu_id: self.record.onu_id }
    }
}

/// What was read from the OLT before the first write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The ONU, if it is registered anywhere on this OLT.
    pub existing: Option<Existing>,
    /// Of a replacement: the ONU that goes, if it is registered anywhere on this OLT.
    #[serde(default)]
    pub replaced: Option<Existing>,
    /// All ONUs of the PON.
    pub onus: Vec<OnuRow>,
    /// ONU ids of the PON that have service ports (also without an ONU).
    pub ids_with_service_ports: BTreeSet<u16>,
    /// Where the ONU announces itself.
    pub detected_on: Option<PonPath>,
    /// The line profile.
    pub line_profile: Lookup<LineProfile>,
    /// The service profile.
    pub service_profile: Lookup<()>,
    /// The ACS profile, if one is asked for.
    pub acs_profile: Lookup<()>,
    /// The VLANs that are asked for.
    pub vlans: BTreeMap<u16, Lookup<()>>,
}

/// Something that must hold. Before: a pre-check. After: verification. In between: whether a step took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "check", rename_all = "snake_case")]
pub enum Check {
    /// The serial is registered nowhere on this OLT.
    SerialAbsent {
        /// The serial.
        serial: Serial,
    },
    /// The ONU announces itself on that PON.
    Detected {
        /// The PON.
        pon: PonPath,
    },
    /// The id is free.
    IdFree {
        /// The place.
        onu: OnuRef,
    },
    /// The profile is there, with these GEM ports.
    LineProfile {
        /// Its id.
        id: u32,
        /// GEM ports it must have.
        gemports: Vec<u16>,
    },
    /// The profile is there.
    ServiceProfile {
        /// Its id.
        id: u32,
    },
    /// The profile is there.
    AcsProfile {
        /// Its id.
        id: u32,
    },
    /// The VLAN is there.
    Vlan {
        /// Its id.
        id: u16,
    },
    /// The ONU is registered at its place with its profiles.
    Registered {
        /// The place.
        onu: OnuRef,
        /// The ONU.
        serial: Serial,
        /// Line profile.
        line_profile_id: u32,
        /// Service profile.
        service_profile_id: u32,
    },
    /// The service port is there.
    ServicePort {
        /// Which one.
        spec: ServicePortSpec,
    },
    /// The management address is configured.
    Management {
        /// How.
        spec: ManagementSpec,
    },
    /// The ACS profile is bound.
    AcsBound {
        /// Its id.
        id: u32,
    },
    /// Neither the ONU nor a service port of it is left.
    Gone {
        /// The place.
        onu: OnuRef,
        /// The ONU.
        serial: Serial,
    },
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Check::SerialAbsent { serial } => write!(f, "{serial} is not registered on this OLT"),
            Check::Detected { pon } => write!(f, "the ONU announces itself on PON {pon}"),
            Check::IdFree { onu } => write!(f, "{onu} is free"),
            Check::LineProfile { id, gemports } if gemports.is_empty() => {
                write!(f, "line profile {id} exists")
            }
            Check::LineProfile { id, gemports } => {
                let list: Vec<String> = gemports.iter().map(u16::to_string).collect();
                write!(f, "line profile {id} exists and has GEM port {}", list.join(", "))
            }
            Check::ServiceProfile { id } => write!(f, "service profile {id} exists"),
            Check::AcsProfile { id } => write!(f, "ACS profile {id} exists"),
            Check::Vlan { id } => write!(f, "VLAN {id} exists"),
            Check::Registered { onu, serial, line_profile_id, service_profile_id } => write!(
                f,
                "{serial} is registered as {onu} with line profile {line_profile_id} and service profile {service_profile_id}"
            ),
            Check::ServicePort { spec } => {
                let side = match spec.user_vlan {
                    Some(vlan) => format!("user VLAN {vlan}"),
                    None => "untagged frames".to_owned(),
                };
                write!(
                    f,
                    "a service port carries VLAN {} to {side} on GEM port {}",
                    spec.vlan, spec.gemport
                )?;
                match (spec.traffic_in, spec.traffic_out) {
                    (None, None) => Ok(()),
                    (i, o) => {
                        let word = |t: Option<u32>| t.map_or("-".to_owned(), |t| t.to_string());
                        write!(f, " with traffic tables {}/{}", word(i), word(o))
                    }
                }
            }
            Check::Management { spec } => {
                let how = match &spec.address {
                    ManagementAddress::Dhcp => "by DHCP".to_owned(),
                    ManagementAddress::Static { address, .. } => format!("fixed at {address}"),
                };
                write!(f, "the management address is configured {how} in VLAN {}", spec.vlan)
            }
            Check::AcsBound { id } => write!(f, "ACS profile {id} is bound to the ONU"),
            Check::Gone { onu, serial } => write!(f, "{serial} and its service ports are gone from {onu}"),
        }
    }
}

/// A line exactly as it will be sent, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The dialect's name of the command: its time limit and the questions it may raise.
    pub command: String,
    /// The text.
    pub text: String,
    /// Where it is sent.
    pub context: ModePath,
}

/// One write and its way back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Stable name, e.g. `service-port-100`.
    pub id: String,
    /// Where its line is sent.
    pub context: ModePath,
    /// The line.
    pub line: Line,
    /// What must hold afterwards, and tells after a cut whether it took effect.
    pub expect: Check,
    /// The way back, as shown to people. Indexes are read back first, so they stand as `<index>`.
    pub undo: Vec<String>,
    /// Refusals that may mean "as wanted already"; decided by reading back.
    pub idempotent_if: Vec<ErrorClass>,
}

/// How an ONU that was removed to be moved comes back to its old place, as it was read there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// As it was.
    pub spec: AuthoriseSpec,
    /// Where it was.
    pub onu: OnuRef,
    /// The writes, in order.
    pub steps: Vec<Step>,
}

/// Everything that will be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The wish.
    pub operation: Operation,
    /// The ONU's place.
    pub onu: OnuRef,
    /// All is as wanted already; there are no steps.
    pub already: bool,
    /// What was checked before.
    pub prechecks: Vec<Check>,
    /// Writes that take the ONU from its old place first.
    #[serde(default)]
    pub removal: Vec<Step>,
    /// The way back there.
    #[serde(default)]
    pub restore: Option<Restore>,
    /// The writes, in order.
    pub steps: Vec<Step>,
    /// What must hold at the end.
    pub verify: Vec<Check>,
    /// Whether the OLT's configuration is to be saved afterwards.
    pub save: bool,
}

/// Why there is no plan. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum PlanRefusal {
    /// Registered elsewhere, or here with other settings. Never deleted: moving or adopting is a person's decision.
    #[error(
        "{serial} is already registered on this OLT as {existing}{}. Nothing was changed; move or adopt it instead.",
        differs_text(differs)
    )]
    Duplicate {
        /// The ONU.
        serial: Serial,
        /// Where it is.
        existing: OnuRef,
        /// How it differs from the wish, empty if the place does.
        differs: Vec<String>,
    },
    /// Not announced where it is wanted.
    #[error("{serial} does not announce itself on PON {pon}{}", seen_text(seen_on))]
    NotDetected {
        /// The ONU.
        serial: Serial,
        /// The PON asked for.
        pon: PonPath,
        /// Where it is seen.
        seen_on: Option<PonPath>,
    },
    /// No id is free.
    #[error("PON {pon} has no free ONU id (0 to {highest} are taken)")]
    PonFull {
        /// The PON.
        pon: PonPath,
        /// The highest id.
        highest: u16,
    },
    /// The wanted id is not free.
    #[error("{onu} is taken{}", by_text(by))]
    IdTaken {
        /// The place.
        onu: OnuRef,
        /// By whom.
        by: Option<String>,
    },
    /// A profile or VLAN that the wish names is not on the OLT.
    #[error("this OLT has no {what} {id}. Create it, or choose another one.")]
    Missing {
        /// `line profile` and the like.
        what: String,
        /// Its id.
        id: u32,
    },
    /// The line profile has no such GEM port.
    #[error(
        "line profile {line_profile_id} has no GEM port {gemport}, so VLAN {vlan} would have no way to the ONU"
    )]
    NoGemport {
        /// The profile.
        line_profile_id: u32,
        /// The GEM port.
        gemport: u16,
        /// The VLAN that wants it.
        vlan: u16,
    },
    /// The line profile keeps the OLT from handing out the ACS.
    #[error(
        "line profile {line_profile_id} has TR-069 management disabled, so the ONU would never learn its ACS"
    )]
    AcsDisabled {
        /// The profile.
        line_profile_id: u32,
    },
    /// There is nothing to remove, or another ONU sits there.
    #[error("{onu} is not {serial}{}. Nothing was removed.", by_text(by))]
    NotThere {
        /// The place.
        onu: OnuRef,
        /// The ONU that should be there.
        serial: Serial,
        /// What is there.
        by: Option<String>,
    },
    /// Somebody else has registered the ONU at another place.
    #[error(
        "{serial} is registered as {existing}, not as {expected} where it was authorised. Somebody else put it there; \
         nothing was removed."
    )]
    Elsewhere {
        /// The ONU.
        serial: Serial,
        /// Where it should be.
        expected: OnuRef,
        /// Where it is.
        existing: OnuRef,
    },
    /// Something on the ONU was made by somebody else.
    #[error(
        "{onu} carries {} that Lightkeeper did not make. Nothing was removed; take that away on the OLT first.",
        what.join(" and ")
    )]
    NotOurs {
        /// The ONU.
        onu: OnuRef,
        /// What, in words.
        what: Vec<String>,
    },
    /// The wish makes no sense.
    #[error("{reason}")]
    BadSpec {
        /// Why.
        reason: String,
    },
}

fn differs_text(differs: &[String]) -> String {
    if differs.is_empty() {
        String::new()
    } else {
        format!(", and differs: not so that {}", differs.join("; "))
    }
}

fn seen_text(seen_on: &Option<PonPath>) -> String {
    match seen_on {
        Some(other) => format!("; it is seen on PON {other}. Name that port, or check the fibre."),
        None => ". Check the fibre and the serial number; a new one can be registered ahead of its arrival."
            .to_owned(),
    }
}

fn by_text(by: &Option<String>) -> String {
    by.as_ref().map_or(String::new(), |by| format!(" ({by} is there)"))
}

impl From<TemplateError> for PlanRefusal {
    fn from(error: TemplateError) -> Self {
        PlanRefusal::BadSpec { reason: error.to_string() }
    }
}

/// One line of a plan as it leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The exact line; secrets are dots.
    pub text: String,
    /// What it does.
    pub kind: SentKind,
}

/// What a line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentKind {
    /// Moves between the modes of the command line only.
    Moves,
    /// Makes something.
    Adds,
    /// Takes something off.
    Removes,
}

impl Plan {
    /// The exact lines in the order in which they leave, mode changes included, starting after login.
    pub fn script(&self, dialect: &Dialect) -> Vec<String> {
        self.sent_from(&[], dialect).into_iter().map(|line| line.text).collect()
    }

    /// The same lines, starting where a session stands that has just checked everything: in front of the first step's own
    /// mode, or in it, where other steps go deeper from there.
    pub fn sent(&self, dialect: &Dialect) -> Vec<Sent> {
        let mut modes = self.removal.iter().chain(&self.steps).map(|step| step.context.steps.as_slice());
        let first = modes.next().unwrap_or_default();
        let leads_on = modes.any(|mode| mode.len() > first.len() && mode.starts_with(first));
        let above = first.split_last().map_or(&[][..], |(_, above)| above);
        self.sent_from(if leads_on { first } else { above }, dialect)
    }

    fn sent_from(&self, at: &[ModeStep], dialect: &Dialect) -> Vec<Sent> {
        let mut out = Vec::new();
        let mut at = at.to_vec();
        let kind = if self.operation.wanted().is_some() { SentKind::Adds } else { SentKind::Removes };
        let removal = self.removal.iter().map(|step| (step, SentKind::Removes));
        for (step, kind) in removal.chain(self.steps.iter().map(|step| (step, kind))) {
            let moves = moves(&at, &step.context.steps, &dialect.leave);
            out.extend(moves.into_iter().map(|text| Sent { text, kind: SentKind::Moves }));
            at.clone_from(&step.context.steps);
            out.push(Sent { text: step.line.text.clone(), kind });
        }
        out
    }

    /// The plan for people: what is checked, what is sent, what is read back, how it is undone.
    pub fn dry_run(&self, dialect: &Dialect) -> String {
        let mut out = String::new();
        let mut section = |title: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                out.push_str(&format!("{title}\n"));
                for line in lines {
                    out.push_str(&format!("  {line}\n"));
                }
            }
        };
        section("Before", self.prechecks.iter().map(Check::to_string).collect());
        if self.already {
            section("Send", vec!["(nothing: all is as wanted)".to_owned()]);
        }
        section("Send", self.script(dialect));
        section("Read back", self.verify.iter().map(Check::to_string).collect());
        let back = self.restore.iter().flat_map(|restore| restore.steps.iter().map(|s| s.line.text.clone()));
        let undone = self.steps.iter().rev().flat_map(|s| s.undo.clone());
        section("If it fails, in this order", undone.chain(back).collect());
        out
    }
}
