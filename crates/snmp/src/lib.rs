//! Watching OLTs over SNMP: a thin client, OID maps as data, and readings with their units.
//!
//! **Invariant: read-only.** There is no way to write a value through this crate.
//!
//! - [`SnmpClient`]: `get` and `walk`, bounded in time, rate and results; [`UdpClient`] speaks it.
//! - [`OidMap`]: what a vendor's OIDs mean (a TOML file of `crates/profiles/snmp`).
//! - [`system_facts`], [`pon_ports`], [`onu_states`], [`onu_numbers`]: the readings.

mod client;
mod error;
mod map;
mod oid;
mod read;
mod udp;

pub use client::{Row, SnmpClient, Value};
pub use error::SnmpError;
pub use map::{BitField, Column, ColumnKind, MapError, OidMap, PonIndex};
pub use oid::{Oid, OidError};
pub use read::{
    OnuKey, OnuReading, SystemFacts, onu_numbers, onu_serials, onu_states, pon_ports, system_facts,
};
pub use udp::{Target, UdpClient};
