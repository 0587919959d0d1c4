//! Words shared by every part of Lightkeeper: typed ids, serial numbers, addresses, secrets, money, time and the
//! fault codes of CWMP.
//!
//! **Invariant: no I/O.** Nothing here reads a clock, a socket or a file except [`SystemClock`], which edges
//! pass in as a [`Clock`] so that everything else can be driven by a clock that a test moves by hand.

mod cwmp_fault;
mod forwarded;
mod id;
mod mac;
mod money;
mod pon;
mod proxy;
mod secret;
mod secret_names;
mod serial;
mod time;

pub use cwmp_fault::{CwmpFault, FaultClass};
pub use forwarded::{ForwardedHeaders, Speaker};
pub use id::*;
pub use mac::Mac;
pub use money::{Currency, Money, MoneyError};
pub use pon::{PonPath, PonPathError};
pub use proxy::ProxyNetwork;
pub use secret::Secret;
pub use secret_names::{names_a_configuration, names_a_secret};
pub use serial::{Serial, SerialError};
pub use time::{Clock, ManualClock, SystemClock, UtcMs};
