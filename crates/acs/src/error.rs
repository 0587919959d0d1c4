//! Why the edge cannot start.

use std::net::SocketAddr;

/// A reason not to serve.
#[derive(Debug, thiserror::Error)]
pub enum AcsError {
    /// The address is taken, not ours, or needs privileges.
    #[error("cannot listen for {what} on {address}: {source}")]
    Listen {
        /// CWMP or SNTP.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The certificate or its key cannot be used.
    #[error("the ACS certificate cannot be used: {0}")]
    Certificate(String),
    /// Neither plain nor TLS.
    #[error("the ACS has no listener: give it a plain address, a TLS address, or both")]
    NoListener,
    /// The system has no randomness to give.
    #[error("no randomness from the operating system: {0}")]
    Randomness(String),
}
