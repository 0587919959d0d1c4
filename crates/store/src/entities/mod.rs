//! Every table, as the code expects it: the public row and, behind it, the entity.
//!
//! [`EXPECTED`] is what the live schema is compared with at every start.

pub(crate) mod acs;
pub(crate) mod crm;
pub(crate) mod oms;
pub(crate) mod shared;

use crate::record::{TableSpec, stored::Stored};

// The entity modules under one roof, for queries inside this crate: `entities::services::Entity`.
pub use acs::*;
pub use crm::*;
pub use oms::*;
pub use shared::*;

/// All tables of all parts.
pub(crate) const EXPECTED: &[TableSpec] = &[
    // CRM
    Customer::SPEC,
    Plan::SPEC,
    Service::SPEC,
    ServiceIntent::SPEC,
    // OMS
    Olt::SPEC,
    PonPort::SPEC,
    Onu::SPEC,
    DetectedOnu::SPEC,
    OltTask::SPEC,
    OltTaskLine::SPEC,
    OltTaskClaim::SPEC,
    // ACS
    Cpe::SPEC,
    CpeFirmware::SPEC,
    CpeParameter::SPEC,
    CpeAddress::SPEC,
    CpeTag::SPEC,
    CpeClaimant::SPEC,
    EvidenceItem::SPEC,
    CpeSession::SPEC,
    CpeFault::SPEC,
    DeviceOrder::SPEC,
    CpeRecording::SPEC,
    CpeRecordingLine::SPEC,
    FirmwareFile::SPEC,
    FirmwarePart::SPEC,
    ConnectionRequest::SPEC,
    CpeTimer::SPEC,
    LearnedFact::SPEC,
    // Shared
    TimelineEntry::SPEC,
    User::SPEC,
    WebSession::SPEC,
    ApiKey::SPEC,
    AuditEntry::SPEC,
    Job::SPEC,
    OutboxEvent::SPEC,
    Setting::SPEC,
    IdempotencyRecord::SPEC,
    NodeLease::SPEC,
    RefusedAddress::SPEC,
    SchemaState::SPEC,
];
