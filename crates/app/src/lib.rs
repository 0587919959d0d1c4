//! Use cases of Lightkeeper: what people, programs and devices can make the system do.
//!
//! **Invariant: every change of state goes through here, with an actor, a permission and a line in the record; no
//! protocol is spoken here.** Edges call commands, implement [`ports`] or are called through them.

pub mod actor;
mod auth;
mod beats;
pub mod bus;
mod call_seen;
mod call_url;
mod core;
mod cpe;
mod crm;
mod error;
pub mod faults;
mod files;
mod firmware;
pub mod import;
mod lately;
mod neighbours;
mod oms;
mod pace;
pub mod ports;
mod secrets;
mod settings;
mod tries;
mod wishes;
mod work;

pub use actor::{Actor, Permission, Role};
pub use auth::LoggedIn;
pub use beats::{Beat, Loop};
pub use bus::{Bus, Change};
pub use core::{App, AppParts};
pub use cpe::{
    Awaited, Called, DeviceOrderRequest, DiagnosisRequest, EXPIRES_S, EXPIRY_S, HELD_BECAUSE, LONGEST_H,
    LOOKUP_COUNT, MOST_BYTES, MOST_OPEN_TESTS, MOST_SESSIONS, MOST_VALUES, OrderTaken, PING_BYTES,
    PING_COUNT, ParameterChange, Reach, ReachEvidence, ReachStep, ReachVerdict, Refusals, Refused,
    TEST_EXPIRES_S, TEST_EXPIRY_S, TEST_TIMEOUT_MS, TRACE_HOPS, TRACE_TRIES, Verdict, recording_runs,
    shown_url,
};
pub use crm::{
    AccessInput, FixedAddress, Generated, InternetInput, LanInput, NewCustomer, NewPlan, NewService, NoVlan,
    Seen, ServiceCorrection, VlanInput, WifiInput,
};
pub use error::{AppError, FieldError};
pub use files::FileRefusals;
pub use firmware::{FIRMWARE_WITHIN_S, FirmwareUpload, LARGEST_FIRMWARE, NewFirmware, firmware_fits};
pub use oms::{
    AuthoriseFor, AuthoriseRequest, DryCheck, DryLine, DryRun, LIGHT_AGAIN_S, NewAuthorised, NewLine, NewOlt,
    OltDefaults, OltReading, OltTest, OnuChange, PlanTraffic, PlannedCustomer, PlannedService, Saving,
};
pub use settings::{
    AcsPolicy, ClockWaiver, FamilyOverride, FirstContactPassword, KeptInterval, ModelOf, NtpNetwork,
    PolicyBound, PolicyLimits, PublicNetworks, back_off_range,
};
