//! OLT drivers: sans-IO dialogue engine, parsers, pure plans, SSH and Telnet transports.
//!
//! Read in this order: [`clean`] (a terminal just good enough), [`machine`] (the dialogue), [`dialect`] (what a
//! vendor is, as data), [`plan`] (what will be sent, pure), [`saga`] (how it is sent so that OLT and database agree
//! whatever dies in between), [`queue`] (one writer per OLT).
//!
//! **Invariants.** A sent command is never a success: only reading back is. Nothing that existed before the first
//! step is ever removed. After a timeout the session is closed and the outcome is unknown until it is read back.

pub mod clean;
pub mod dialect;
pub mod driver;
pub mod huawei;
pub mod leave;
pub mod limits;
pub mod machine;
pub mod model;
pub mod parser;
pub mod plan;
pub mod pon;
pub mod queue;
pub mod saga;
pub mod sanitise;
pub mod save;
pub mod session;
pub mod template;
pub mod transport;
