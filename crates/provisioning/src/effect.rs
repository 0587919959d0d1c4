//! What the shell must do, and what it must remember. Imperative: it is yet to be done.

use crate::{
    Device, Layer, OrderNews, Reason, RefreshedValue, State, Timer,
    talk::{DeviceRequest, ParamValue},
};
use serde::{Deserialize, Serialize};
use types::{FaultClass, UtcMs};

/// The answer to one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The device from now on. Persist it before carrying out an effect.
    pub next: Device,
    /// To be carried out in order.
    pub effects: Vec<Effect>,
    /// Every change of state, in order; each is a line of the timeline.
    pub transitions: Vec<Transition>,
    /// Everything worth telling an operator that is not a change of state. The last word on the device is
    /// `next.reason`.
    pub reasons: Vec<Reason>,
}

/// A change of state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Before.
    pub from: State,
    /// After.
    pub to: State,
    /// When.
    pub at: UtcMs,
    /// Why.
    pub reason: Reason,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Send this in the open session. At most one per step.
    Request(DeviceRequest),
    /// Tell the CPE that we have nothing more.
    FinishSession,
    /// Ask the CPE to open a session. The outcome comes back as an event.
    RequestConnection,
    /// Start or move the timer.
    StartTimer {
        /// Which.
        timer: Timer,
        /// When it is due.
        at: UtcMs,
    },
    /// Stop the timer if it runs.
    StopTimer {
        /// Which.
        timer: Timer,
    },
    /// Store the evidence for one setting (replaces the previous one).
    RecordEvidence(Evidence),
    /// Store values read from the device. Never holds a secret.
    RecordObserved(Vec<ParamValue>),
    /// Store what a refresh, or a look back after a write by order, read; of a secret only that there is one.
    RecordRefreshed(Vec<RefreshedValue>),
    /// Parameters there, under an object or of this one name, that were last read before that are gone from the device.
    ForgetBelow {
        /// An object path ends with a dot.
        path: String,
        /// The refresh began.
        before: UtcMs,
    },
    /// An order stands somewhere else now.
    RecordOrder(OrderNews),
    /// Store a fault for the faults page.
    RecordFault(FaultRecord),
    /// Remember for every device of the same model and firmware.
    Learn(LearnedFact),
    /// The device is linked but there are no credentials for it: make some, then feed `CallRequested` or wait.
    MakeCredentials,
}

/// How a setting is known to be in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Read back and equal.
    ReadBack,
    /// Not readable, but its effect was seen (PPPoE connected, Inform authenticated).
    Effect,
    /// Not readable and without a visible effect: the device accepted it, no more is known.
    Accepted,
    /// Read back and different, or the effect is missing.
    Missing,
}

/// What was wanted and what was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Which layer.
    pub layer: Layer,
    /// The setting in words, e.g. `VLAN`, `PPPoE user name`, `Wi-Fi 2.4GHz name`.
    pub setting: String,
    /// The path on this device.
    pub path: String,
    /// Wanted value; dots for a secret.
    pub wanted: String,
    /// Observed value; dots or words for a secret.
    pub observed: String,
    /// As wanted.
    pub verified: bool,
    /// How that is known.
    pub proof: Proof,
}

/// One line of the faults page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// Whose trouble.
    pub class: FaultClass,
    /// CWMP fault code, if it was one.
    pub code: Option<u32>,
    /// FaultString, or our own words.
    pub text: String,
    /// The path at fault, if known.
    pub path: Option<String>,
    /// The RPC at fault, if any.
    pub rpc: Option<String>,
    /// What the machine made of it.
    pub reason_code: String,
}

/// Something learned about a model and firmware.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearnedFact {
    /// The path, with instance numbers as `?`; empty for the device as a whole, [`LearnedFact::FAMILY`] for its
    /// family.
    pub path: String,
    /// `missing`, `read_only`, `bad_type`, `bad_value`, `batch_limit=3`, or the id of the family.
    pub fact: String,
}

impl LearnedFact {
    /// Under this name the family that probing found is remembered.
    pub const FAMILY: &str = "family";
}
