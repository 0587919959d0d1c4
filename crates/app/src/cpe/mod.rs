//! CPEs: the shell around the provisioning machine, and what operators may do to one.

mod challenged;
mod commands;
mod confirm;
mod connection;
mod door;
mod firmware;
mod identity;
mod live;
mod lost;
mod reconsider;

pub(crate) use challenged::Challenged;
pub(crate) use live::{CONNECTION_REQUEST, LiveDevices};
