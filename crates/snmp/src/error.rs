//! What can go wrong when an OLT is asked.

use crate::Oid;
use std::{net::SocketAddr, time::Duration};

/// A read over SNMP failed. The poll of this OLT is over; the next one starts anew.
#[derive(Debug, thiserror::Error)]
pub enum SnmpError {
    /// No answer in time. Wrong community, filtered, or down: SNMP does not tell these apart.
    #[error(
        "{target} did not answer SNMP within {waited:?} (wrong community, filtered by an access list, or down)"
    )]
    Timeout {
        /// OLT.
        target: SocketAddr,
        /// All tries together.
        waited: Duration,
    },
    /// The answer is no answer to what was asked.
    #[error("{target} answered SNMP with nonsense: {why}")]
    Malformed {
        /// OLT.
        target: SocketAddr,
        /// What is wrong with it.
        why: String,
    },
    /// The agent refused.
    #[error("{target} refused the SNMP request: {status}")]
    Refused {
        /// OLT.
        target: SocketAddr,
        /// Error status.
        status: String,
    },
    /// The walk does not move forward.
    #[error("{target} repeats itself: after {after} came {got}; the walk was stopped")]
    NotIncreasing {
        /// OLT.
        target: SocketAddr,
        /// Where the walk was.
        after: Oid,
        /// What came.
        got: Oid,
    },
    /// More rows than a table of this kind can have.
    #[error("{target} has more than {limit} rows under {root}; the walk was stopped")]
    TooMany {
        /// OLT.
        target: SocketAddr,
        /// Table.
        root: Oid,
        /// Limit.
        limit: usize,
    },
    /// The socket or the settings.
    #[error("SNMP to {target}: {why}")]
    Local {
        /// OLT.
        target: SocketAddr,
        /// What happened.
        why: String,
    },
}
