//! Simulated CPEs: data model, behaviour, quirks, and the sockets they speak CWMP through.
//!
//! **Invariant: the core is pure.** [`tree`], [`behaviour`] and everything they use take time as an argument and
//! chance from a seed; only [`agent`], [`listener`] and [`fleet`] touch sockets and clocks.
//!
//! Read in this order: [`tree`] (what a device has), [`behaviour`] (what it does), [`quirks`] (what is odd about
//! it), [`agent`] (how it speaks), [`fleet`] (many of them).

pub mod agent;
pub mod behaviour;
pub mod cell;
mod diagnostics;
#[cfg(test)]
mod diagnostics_tests;
pub mod fleet;
pub mod http;
mod links;
pub mod listener;
pub mod models;
pub mod order;
mod orders;
pub(crate) mod persist;
pub mod quirks;
mod sessions;
mod templates;
#[cfg(test)]
mod tests;
pub mod tree;
mod values;
pub mod wan;
mod wire;

pub use fleet::{Fleet, FleetConfig, FleetError, FleetEvent, FleetHandle};
pub(crate) use orders::touches_wan;
pub use quirks::{CpeTiming, Quirks};
pub use values::{Kind, is_secret};

/// The port of the connection request listener; each device has it on an address of its own.
pub const CONNECTION_REQUEST_PORT: u16 = 7547;
