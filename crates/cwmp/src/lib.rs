//! CWMP (TR-069 Amendment 6): messages, sessions, faults and authentication.
//!
//! **Invariant: sans-IO.** Nothing here opens a socket, reads a clock or draws random numbers. Bytes, the time
//! and salts come in as arguments; bytes and decisions come out. Everything that a CPE sends is limited
//! ([`Limits`]) and can at worst be refused, never panic, loop or allocate without bound.
//!
//! - [`codec`]: every RPC of both sides as a type; [`decode`] is tolerant, [`encode`] is strict.
//! - [`machine`]: one ACS session as a state machine.
//! - [`digest`]: HTTP Digest and Basic for both sides (an ACS is the server of Informs and the client of
//!   connection requests).
//! - [`event`]: what event codes mean; what fault codes do is in [`types::CwmpFault`].

pub mod codec;
pub mod digest;
mod error;
pub mod event;
mod limits;
pub mod machine;

pub use codec::{
    Body, BooleanLiteral, CwmpVersion, EncodeOptions, Envelope, SoapPrefix, decode, encode, is_empty_body,
};
pub use error::CodecError;
pub use event::EventCode;
pub use limits::Limits;
pub use machine::{Input, Outcome, Output, SessionMachine};
