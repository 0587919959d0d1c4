//! The open CWMP session: what was read, what is outstanding. Lost in a crash without harm.

use crate::{AuthLevel, Reason, tree::Tree};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use types::UtcMs;

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
    /// Leaves that cannot be read, with the fault code.
    pub unreadable: BTreeMap<String, u32>,
    /// Reads go one name at a time after a batch faulted.
    pub narrow: BTreeSet<String>,
    /// The management settings were written in this session.
    pub ownership_written: bool,
    /// NTP was written in this session.
    pub time_written: bool,
    /// The connection was looked at in this session.
    pub verified: bool,
    /// Paths read back after a write in this session.
    pub steps: u32,
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
    WriteOwnership { paths: Vec<String> },
    /// NTP and time zone.
    WriteTime { paths: Vec<String> },
    /// A step of the plan.
    WriteStep { layer: crate::Layer, step: String, paths: Vec<String>, secrets: BTreeMap<String, String> },
    /// Undoing.
    WriteRollback { paths: Vec<String> },
    /// A new object.
    Add { slot: String, table: String },
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
    /// No retry before something changes.
    pub park: bool,
    /// Writes already tried.
    pub tried: BTreeSet<String>,
}
