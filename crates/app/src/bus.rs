//! Tells open pages what changed. Best effort by design: a page that missed something re-reads when it reconnects;
//! nothing else in the product depends on the bus.

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use types::{CpeId, OltId, OltTaskId, OnuRowId, ServiceId};

/// What changed. The receiver re-reads the row; a change carries no data of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "topic", content = "id", rename_all = "snake_case")]
pub enum Change {
    /// A CPE: state, reason, evidence or parameters.
    Cpe(CpeId),
    /// A service or its intents.
    Service(ServiceId),
    /// A planned ONU.
    Onu(OnuRowId),
    /// An OLT's settings or what was observed of it.
    Olt(OltId),
    /// The list of detected ONUs of an OLT.
    Detected(OltId),
    /// A task on an OLT.
    Task(OltTaskId),
    /// Customers or plans.
    Customers,
    /// Changes of another node were not heard; any of them may have happened.
    Missed,
}

/// The channel of [`Change`]s; bounded, slow readers lose the oldest.
#[derive(Debug, Clone)]
pub struct Bus {
    all: broadcast::Sender<Change>,
    /// Those of this process, for the other nodes.
    own: broadcast::Sender<Change>,
}

impl Default for Bus {
    fn default() -> Self {
        Bus { all: broadcast::Sender::new(4096), own: broadcast::Sender::new(4096) }
    }
}

impl Bus {
    /// Says that something changed, to whoever listens, here and on other nodes.
    pub fn say(&self, change: Change) {
        // No listener is the normal case at night.
        let _ = self.own.send(change.clone());
        let _ = self.all.send(change);
    }

    /// Hands on what changed on another node.
    pub(crate) fn heard(&self, change: Change) {
        let _ = self.all.send(change);
    }

    /// From now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.all.subscribe()
    }

    /// What this process changes from now on.
    pub(crate) fn own(&self) -> broadcast::Receiver<Change> {
        self.own.subscribe()
    }
}
