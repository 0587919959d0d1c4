//! A simulated Huawei SmartAX OLT (MA5800-X7, MA5608T): a fair counterpart for the driver, written from what is
//! known of the real box and not from the driver.
//!
//! Read in this order: `state` (what it remembers), `commands` and `grammar` (what it understands), `exec` (what the
//! commands do), `plant` (light, autofind, management WANs), `machine` (the dialogue of one line), `terminal` (echo,
//! pager, questions), `transport` and `agent` (SSH, Telnet, SNMP), `control` (the running box and its handle).
//!
//! **Invariant: everything below `control` is a value that is handed the time.** The same lines at the same times
//! under the same seed give the same answers.

mod agent;
mod commands;
mod control;
mod exec;
mod fault;
mod grammar;
mod machine;
mod persist;
mod plant;
mod preset;
mod record;
mod session;
mod spec;
mod state;
mod terminal;
mod text;
mod transport;

pub use control::{OltHandle, SimOlt, StartError};
pub use fault::{Fault, FaultError, FaultKind, Faults, When};
pub use machine::Olt;
pub use persist::PersistError;
pub use plant::OltEvent;
pub use record::{Effect, Entry, Record, Tally, Verdict, redact};
pub use session::{Cut, LoginError, Noise, Output, Session, Via, View};
pub use spec::{Listen, ManagementPool, Model, OltSpec, Preset, Quirks, SshAlgorithms, Timing, UserSpec};
pub use state::*;
pub use terminal::{Action, MORE, Terminal, WIPE};
pub use transport::ssh::HostKeyError;
