//! The open CWMP session: what was read, what is outstanding. Lost in a crash without harm.

use crate::{
    AuthLevel, InformFacts, Layer, NameInfo, Reason, care::CareStep, diagnose::Diagnosing, tree::Tree,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use types::{FaultClass, UtcMs};

/// Scratch of one session.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Session {
    /// Began.
    pub began_at: UtcMs,
    /// How far the device proved who it is.
    pub auth: AuthLevel,
    /// The CPE handed the session over to us.
    pub ready: bool,
    /// The Inform said the device (re)started.
    pub boot: bool,
    /// The Inform said that it comes because it was called.
    pub called: bool,
    /// Somebody claims to be this device and has not shown its secret: nothing of it counts yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Box<Claim>>,
    /// What the one outstanding request is for.
    pub outstanding: Option<Purpose>,
    /// We said we have nothing more.
    pub finished: bool,
    /// Requests sent.
    pub requests: u32,
    /// AddObjects sent.
    pub structural: u32,
    /// SetParameterValues of service layers sent, by layer word.
    pub written: BTreeSet<String>,
    /// What was read.
    pub tree: Tree,
    /// Object paths whose names were listed (or found missing).
    pub listed: BTreeSet<String>,
    /// Objects that are there, or may be, and could not be listed, with the fault code.
    pub unlisted: BTreeMap<String, u32>,
    /// Leaves that cannot be read, with the fault code.
    pub unreadable: BTreeMap<String, u32>,
    /// Most names per read that this device took in this session.
    pub read_limit: Option<u32>,
    /// Leaves written outside a plan (ownership, time) in this session, with the number of tries.
    pub tries: BTreeMap<String, u32>,
    /// The last step written in this session and its paths: done once a new plan no longer holds them.
    pub last_step: Option<(String, Vec<String>)>,
    /// NTP was written in this session.
    pub time_written: bool,
    /// The refresh that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refreshing: Option<Box<Refreshing>>,
    /// The test that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnosing: Option<Box<Diagnosing>>,
    /// Orders of which nothing more is done in this session.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub rested: BTreeSet<String>,
    /// A family that was only presumed was looked at again in this session.
    pub probed_again: bool,
}

/// An Inform that proves nothing by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub inform: InformFacts,
    pub peer: String,
}

/// A refresh under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refreshing {
    /// Of which order.
    pub key: String,
    /// Leaves that were listed and not read yet.
    pub left: Vec<NameInfo>,
    /// Most names per read that the device takes.
    pub read_limit: Option<u32>,
    /// It named more than are read at a time.
    pub cut: bool,
}

/// What a request is for: how its answer is to be understood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "for")]
pub(crate) enum Purpose {
    /// Names under an object, or one level of them.
    List { path: String },
    /// Values of leaves.
    Read { paths: Vec<String> },
    /// Management settings.
    WriteOwnership { items: Vec<WrittenItem> },
    /// NTP and time zone.
    WriteTime { items: Vec<WrittenItem> },
    /// A step of the plan.
    WriteStep { layer: Layer, step: String, items: Vec<WrittenItem> },
    /// Undoing.
    WriteRollback { items: Vec<WrittenItem> },
    /// A new object.
    Add { slot: String, table: String },
    /// A device order.
    Care { key: String, care: CareStep },
}

/// What a write wrote; of a secret not its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WrittenItem {
    /// Full path.
    pub path: String,
    /// In words.
    pub label: String,
    /// What was written; dots for a secret.
    pub masked: String,
    /// The layer cannot be built without it.
    pub required: bool,
    /// Name and keyed fingerprint of a secret.
    pub secret: Option<(String, String)>,
}

/// An AddObject whose answer is not in yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingAdd {
    /// Slot it is for.
    pub slot: String,
    /// Table path.
    pub table: String,
    /// Instances that were there before.
    pub before: Vec<String>,
    /// Sent.
    pub at: UtcMs,
}

/// Undoing a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// Why the run failed; becomes the reason of FAILED.
    pub why: Reason,
    /// Whose trouble it was.
    pub class: FaultClass,
    /// No retry before something changes.
    pub park: bool,
    /// Writes already tried in this round.
    pub tried: BTreeSet<String>,
    /// Fingerprint of the internet WAN that was wanted.
    #[serde(default)]
    pub wanted: Option<String>,
    /// Rounds that ended with something left to undo.
    #[serde(default)]
    pub rounds: u32,
}
