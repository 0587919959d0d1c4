//! CPEs: the shell around the provisioning machine, and what operators may do to one.

mod awaited;
mod cells;
mod certificate;
mod challenged;
mod claim;
mod commands;
mod confirm;
mod connection;
mod diagnoses;
mod door;
mod firmware;
mod identity;
mod lessons;
mod live;
mod lost;
mod orders;
mod reach;
mod reconsider;
mod recorder;
mod refused;
mod second;
mod tags;

pub use awaited::{Awaited, Called};
pub(crate) use cells::LiveDevices;
pub(crate) use challenged::Challenged;
pub use commands::HELD_BECAUSE;
pub use connection::shown_url;
pub use diagnoses::{
    DiagnosisRequest, LOOKUP_COUNT, PING_BYTES, PING_COUNT, TEST_TIMEOUT_MS, TRACE_HOPS, TRACE_TRIES,
};
pub(crate) use live::CONNECTION_REQUEST;
pub use orders::{
    DeviceOrderRequest, EXPIRES_S, EXPIRY_S, MOST_BYTES, MOST_OPEN_TESTS, MOST_VALUES, OrderTaken,
    ParameterChange, TEST_EXPIRES_S, TEST_EXPIRY_S,
};
pub use reach::{Reach, ReachEvidence, ReachStep, ReachVerdict, Verdict};
pub(crate) use recorder::Recordings;
pub use recorder::{LONGEST_H, MOST_SESSIONS, runs as recording_runs};
pub(crate) use refused::RefusedLately;
pub use refused::{Refusals, Refused};
pub(crate) use tags::tag_of;
