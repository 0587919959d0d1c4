//! The only crate that knows the database.
//!
//! **Invariant: no ORM type leaves this crate**, and nothing is served from a database that is not exactly as the code
//! expects it. Read in this order: [`entities`](rows) (what there is), `migrations/*.sql` (how it came about),
//! [`Store`] (how it is opened), `unit` (how writes reach the disk), then the modules named after the tables.
//!
//! - Reading: [`Db`], which [`Store`] and [`Tx`] deref to: `store.get::<rows::Service>(id)`, `services::by_code(&store, …)`.
//! - Writing: [`Store::write`] with a closure that gets a [`Tx`]: `tx.insert(&row)`, `tx.update(&row)`, and the functions
//!   of the modules. Nothing is written outside a unit of work.
//! - A state column is only changed by a guarded update that answers [`Guarded`].

mod address;
mod cell;
pub mod claimants;
pub mod claims;
pub mod cpes;
pub mod customers;
mod db;
pub mod detected;
mod entities;
mod error;
pub mod firmware_files;
pub mod firmwares;
pub mod jobs;
pub mod leases;
mod local;
mod migrations;
mod near;
pub mod olts;
pub mod onus;
mod open;
pub mod orders;
pub mod orphans;
pub mod outbox;
pub mod read;
mod record;
pub mod recordings;
pub mod refused;
pub mod retention;
mod sealing;
mod secrets;
pub mod services;
pub mod settings;
mod signals;
mod start;
pub mod tags;
pub mod tasks;
pub mod timeline;
mod unit;
pub mod users;
mod words;

pub use cell::RawJson;
pub use db::{Db, Tx};
pub use error::{Guarded, SchemaProblem, StartError, StoreError};
pub use open::{Store, StoreConfig};
pub use record::{NumberedRecord, Record, VersionedRecord};
pub use sealing::{KeySource, Sealed, SealingKey, Slot};
pub use signals::{LONGEST_SIGNAL, Signal, Signals};
pub use start::Report;
pub use unit::WriteLimits;
pub use words::*;

/// The rows of all tables, as plain structs.
pub mod rows {
    pub use crate::entities::{
        ApiKey, AuditEntry, ConnectionRequest, Cpe, CpeClaimant, CpeFault, CpeFirmware, CpeParameter,
        CpeRecording, CpeSession, CpeTag, CpeTimer, Customer, DetectedOnu, DeviceOrder, EvidenceItem,
        FirmwareFile, IdempotencyRecord, Job, LearnedFact, NodeLease, Olt, OltTask, OltTaskClaim,
        OltTaskLine, Onu, OutboxEvent, Plan, PonPort, RefusedAddress, Service, ServiceIntent, Setting,
        TimelineEntry, User, WebSession,
    };
}
