//! Bytes to and from an OLT.

pub mod ssh;
pub mod telnet;

use std::io;

/// A terminal connection.
#[async_trait::async_trait]
pub trait CliTransport: Send {
    /// Waits for bytes; an empty answer means that the OLT closed. Dropping the future loses nothing.
    async fn read(&mut self) -> io::Result<Vec<u8>>;
    /// Sends bytes, all or an error.
    async fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Closes politely; errors do not matter any more.
    async fn close(&mut self);
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody answers.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// Whom we called.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// Took too long.
    #[error("{address} did not finish the {phase} in {after_s} s")]
    TimedOut {
        /// Whom we called.
        address: String,
        /// What we waited for.
        phase: &'static str,
        /// How long.
        after_s: u64,
    },
    /// No algorithm in common.
    #[error(
        "{address} offers no {kind} that we use ({theirs}){}",
        if *legacy_would_help { ". It is an old device: turn on «legacy algorithms» for this OLT if you accept weak encryption on that link" } else { "" }
    )]
    Algorithms {
        /// Whom we called.
        address: String,
        /// Key exchange, host key, cipher …
        kind: &'static str,
        /// What it offers.
        theirs: String,
        /// Whether opting in would make it work.
        legacy_would_help: bool,
    },
    /// Another key than the one pinned.
    #[error(
        "the host key of {address} has changed: pinned is {pinned}, it shows {shown}. Somebody may be in between. Accept the new key only if the device was replaced or reset"
    )]
    HostKeyChanged {
        /// Whom we called.
        address: String,
        /// The key we know.
        pinned: String,
        /// The key it shows.
        shown: String,
    },
    /// Wrong account or password.
    #[error("{address} refused the login of {username}: {reason}")]
    LoginRefused {
        /// Whom we called.
        address: String,
        /// Who we are.
        username: String,
        /// Its words.
        reason: String,
    },
    /// Anything else of the protocol.
    #[error("the SSH connection to {address} failed: {reason}")]
    Protocol {
        /// Whom we called.
        address: String,
        /// The words.
        reason: String,
    },
}
