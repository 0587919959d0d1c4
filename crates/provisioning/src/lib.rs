//! The hard provisioning state machine: the only code that decides what a CPE is told, and the only writer of a
//! device's state.
//!
//! ```text
//! step(device, event, context, now) -> { next device, effects, transitions, reasons }
//! ```
//!
//! **Invariant: pure.** No clock, socket, database or randomness: the same inputs give the same answer. The shell
//! around it feeds events and carries out effects.
//!
//! # What the shell promises
//! - One step at a time per device; the next device is persisted **before** any effect leaves the process.
//!   [`Device::durable`] is what to persist; the whole [`Device`] may be kept in memory while a CWMP session is
//!   open. Losing the rest in a crash is harmless: the CPE informs again and the tree is read again.
//! - Order inside a CWMP session: `InformReceived`, then `LinkResolved`, then `SessionReady` when the CPE has
//!   nothing more to say, then `ReplyReceived` for every answer, then `SessionEnded`. The step for `SessionReady`
//!   and every `ReplyReceived` holds exactly one of [`Effect::Request`] and [`Effect::FinishSession`].
//! - Timers and connection-request outcomes come back as events; a timer that fires twice or late does no harm.
//! - When the process that held a session died, whoever finds that feeds `SessionEnded(Lost)`, unless the device informed
//!   again or one of the timers `Watchdog`, `Attempt` and `VerifyCheck` runs and brings it on.
//!
//! # Where to read on
//! `machine` is the table of states and events; `gates` says what keeps a device from READY; `observe` reads the
//! device, `detect` says what its WANs are, `wans` asks an operator where several could be the one, `plan` makes the
//! ordered steps, `run` carries them out one request at a time, `verify` and `rollback` end it. `reason` is every
//! sentence an operator ever reads about it. `order` and `care` are what people and programs order for one
//! device, `guard` what they may not, `diagnosis`, `diagnose` and `tested` the tests that it runs
//! by itself.

mod affairs;
mod care;
mod clock;
mod connection;
mod detect;
mod device;
mod diagnose;
mod diagnosis;
mod effect;
mod event;
mod family;
mod findings;
mod gates;
mod guard;
mod hosts;
mod inform;
mod intent;
mod machine;
mod observe;
mod order;
mod ownership;
mod plan;
mod policy;
mod reason;
pub mod recording;
mod rollback;
mod run;
mod sentences;
#[cfg(test)]
mod sentences_tests;
mod session;
mod talk;
mod tested;
mod tree;
mod verify;
mod wans;
mod work;

pub use clock::{ClockReading, read_clock};
pub use device::{
    ClockFacts, ConnectionFacts, Device, FailedLayer, FollowUp, Hold, Identity, KeptInterval, Layer,
    LayerRecord, NotKept, Ownership, ProfileRef, RefusedFamily, Run, Search, State, StoredObject, WorkingWan,
};
pub use diagnose::{MISSING, Running, Way};
pub use diagnosis::Diagnosis;
pub use effect::{Effect, Evidence, FaultRecord, LearnedFact, Proof, Step, Transition};
pub use event::{
    AuthLevel, ConnectionRequestOutcome, Event, InformEvent, InformFacts, Link, Peer, SessionEnd, Timer,
};
pub use findings::{Findings, Hop, NameAnswer, Neighbour, NotTaken};
pub use gates::{Gate, gates};
pub use guard::{never_ordered, only_read};
pub use hosts::Host;
pub use intent::{
    AccessIntent, Band, Intents, InternetIntent, InternetMode, Ipv6Mode, LanIntent, LanPort, WifiIntent,
    WifiSecurity, Wish, secret_fingerprint,
};
pub use machine::{Context, step};
pub use order::{
    MOST_OPEN_ORDERS, OpenOrder, Order, OrderKind, OrderNews, OrderResult, OrderState, RefreshedValue,
    managed_by, not_of_type,
};
pub use plan::{access_gaps, internet_gaps};
pub use policy::{AcceptedInterval, OwnershipCredentials, Policy};
pub use reason::{Reason, ReasonCode, Severity};
pub use talk::{
    DeviceFault, DeviceReply, DeviceRequest, NameInfo, ParamValue, ParameterFault, SetValue, ValueKind,
    WriteValue,
};
pub use wans::{ChosenWan, WanCandidate, WanQuestion};
