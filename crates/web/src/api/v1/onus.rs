//! ONUs: those an OLT sees and nobody planned, and those we planned.

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use store::{
    Presence,
    read::{DetectedFilter, DetectedRow, OnuFilter, OnuRow},
};
use utoipa::ToSchema;

use super::{
    input::{Asked, Filter, Id, list_query, one_of},
    output::{Answer, List, Named, ServiceRef, Time, found, named, serial, service_ref, time},
};
use crate::{auth::Caller, error::ApiFail, state::Ctx};

list_query! {
    /// Which detected ONUs.
    DetectedQuery {
        /// Serial in any notation, equipment id, customer or service code.
        q: String,
        /// Only of this OLT.
        olt_id: i64,
        /// Also those authorised or gone meanwhile.
        all: bool,
    } /// One of serial, position, seen, first_seen, type.
    sort ["serial", "position", "seen", "first_seen", "type"]
}

list_query! {
    /// Which ONUs.
    OnuQuery {
        /// Serial in any notation, description, service code, customer or PPPoE login.
        q: String,
        /// Only of this OLT.
        olt_id: i64,
        /// Only on this PON, frame/slot/port.
        pon: String,
        /// Only those the OLT sees like this, e.g. `in_service`.
        presence: String,
        /// `down`, `weak`, `cpe_not_active` or `unlinked`.
        view: String,
        /// Also those that were removed.
        removed: bool,
    } /// One of serial, customer, position, rx_onu, rx_olt, cpe, read, authorised.
    sort ["serial", "customer", "position", "rx_onu", "rx_olt", "cpe", "read", "authorised"]
    check |asked| {
        let known: Vec<&str> = Presence::ALL.iter().map(|word| word.as_str()).collect();
        one_of("presence", asked.presence.as_deref(), &known)?;
        one_of("view", asked.view.as_deref(), &["down", "weak", "cpe_not_active", "unlinked"])
    }
}

/// An ONU that an OLT sees and nobody planned there.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DetectedOnu {
    id: i64,
    /// PON serial number as people write it, e.g. `HWTC-7D4733C3`.
    serial: String,
    /// The same in 16 hex digits.
    serial_hex: String,
    /// The OLT that sees it.
    olt: Named,
    /// Where, frame/slot/port.
    pon: String,
    vendor: String,
    /// Its type as it says.
    equipment_id: String,
    software_version: String,
    hardware_version: String,
    /// `waiting`, `authorising`, `authorised` or `gone`.
    state: String,
    first_seen_at: Time,
    last_seen_at: Time,
    /// The service that waits for this serial.
    service: Option<ServiceRef>,
    /// Its customer.
    customer_name: Option<String>,
    /// The place this serial is planned at already.
    known_at: Option<KnownAt>,
}

/// Where a serial is planned already.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KnownAt {
    /// The ONU.
    onu_id: i64,
    /// Its OLT.
    olt_name: Option<String>,
    /// Its place there.
    pon: Option<String>,
}

fn detected(row: DetectedRow) -> DetectedOnu {
    DetectedOnu {
        id: row.id,
        serial: serial(&row.serial),
        serial_hex: row.serial,
        olt: Named { id: row.olt_id, name: row.olt_name },
        pon: row.pon,
        vendor: row.vendor,
        equipment_id: row.equipment_id,
        software_version: row.software_version,
        hardware_version: row.hardware_version,
        state: row.state,
        first_seen_at: row.first_seen_at.into(),
        last_seen_at: row.last_seen_at.into(),
        service: service_ref(row.service_id, row.service_code),
        customer_name: row.customer_name,
        known_at: row.onu_row_id.map(|onu_id| KnownAt {
            onu_id,
            olt_name: row.onu_olt_name,
            pon: row.onu_pon,
        }),
    }
}

/// An ONU with what it hangs on and whom it serves.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Onu {
    id: i64,
    /// PON serial number as people write it, e.g. `HWTC-7D4733C3`.
    serial: String,
    /// The same in 16 hex digits.
    serial_hex: String,
    olt: Named,
    /// Where, frame/slot/port.
    pon: String,
    /// Its number on the PON.
    onu_id: i64,
    /// As on the OLT.
    description: String,
    admin_state: String,
    /// Whether the OLT's configuration equals ours.
    sync_state: String,
    /// What the OLT sees of it, e.g. `in_service`.
    presence: String,
    run_state: String,
    last_down_cause: Option<String>,
    /// Light at the ONU, hundredths of dBm; null if it was not read.
    rx_onu_cdbm: Option<i64>,
    /// Light at the OLT, hundredths of dBm; null if it was not read.
    rx_olt_cdbm: Option<i64>,
    /// Fibre to the ONU in metres.
    distance_m: Option<i64>,
    observed_at: Option<Time>,
    authorised_at: Option<Time>,
    /// When it was taken off its OLT; null while it is there.
    removed_at: Option<Time>,
    /// The task that authorised it.
    task_id: Option<i64>,
    service: Option<ServiceRef>,
    service_state: Option<String>,
    customer: Option<Named>,
    cpe: Option<CpeBrief>,
}

/// Where a CPE stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CpeBrief {
    pub(super) id: i64,
    /// E.g. `ACTIVE` or `WAITING_INFORM`.
    pub(super) state: String,
    pub(super) state_since_at: Option<Time>,
    pub(super) reason_code: String,
    /// Why, as a sentence.
    pub(super) reason: String,
    pub(super) model: String,
}

fn onu(row: OnuRow) -> Onu {
    Onu {
        id: row.id,
        serial: serial(&row.serial),
        serial_hex: row.serial,
        olt: Named { id: row.olt_id, name: row.olt_name },
        pon: row.pon,
        onu_id: row.onu_id,
        description: row.description,
        admin_state: row.admin_state,
        sync_state: row.sync_state,
        presence: row.presence,
        run_state: row.run_state,
        last_down_cause: row.last_down_cause,
        rx_onu_cdbm: row.rx_onu_cdbm,
        rx_olt_cdbm: row.rx_olt_cdbm,
        distance_m: row.distance_m,
        observed_at: time(row.observed_at),
        authorised_at: time(row.authorised_at),
        removed_at: time(row.removed_at),
        task_id: row.task_id,
        service: service_ref(row.service_id, row.service_code),
        service_state: row.service_state,
        customer: named(row.customer_id, row.customer_name),
        cpe: row.cpe_id.map(|id| CpeBrief {
            id,
            state: row.cpe_state.unwrap_or_default(),
            state_since_at: time(row.cpe_state_since),
            reason_code: row.cpe_reason_code.unwrap_or_default(),
            reason: row.cpe_reason_text.unwrap_or_default(),
            model: row.cpe_model.unwrap_or_default(),
        }),
    }
}

/// Detected ONUs, those a service waits for first.
#[utoipa::path(get, path = "/api/v1/detected-onus", tag = "onus", params(DetectedQuery),
    responses((status = 200, description = "A page of detected ONUs.", body = List<DetectedOnu>)))]
pub(super) async fn list_detected_onus(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<DetectedQuery>,
) -> Answer<List<DetectedOnu>> {
    let page = asked.page();
    let sort = asked.sort();
    let filter = DetectedFilter {
        q: asked.q.unwrap_or_default(),
        olt_id: asked.olt_id,
        all: asked.all.unwrap_or_default(),
    };
    Ok(List::of(ctx.read().detected_onus(&filter, &sort, page).await?, page, detected))
}

/// Asks every OLT now what it sees, and waits for that. An OLT that does not answer is shown as silent.
#[utoipa::path(post, path = "/api/v1/detected-onus/look", tag = "onus",
    responses((status = 204, description = "The lists are new.")))]
pub(super) async fn look_for_onus(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
) -> Result<StatusCode, ApiFail> {
    crate::backend::read_olts(ctx.app(), &actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One detected ONU.
#[utoipa::path(get, path = "/api/v1/detected-onus/{id}", tag = "onus",
    params(("id" = i64, Path, description = "The detected ONU.")),
    responses((status = 200, description = "The detected ONU.", body = DetectedOnu)))]
pub(super) async fn get_detected_onu(State(ctx): State<Ctx>, Id(id): Id) -> Answer<DetectedOnu> {
    Ok(Json(detected(found(ctx.read().detected_onu(id).await?, "detected ONU", id)?)))
}

/// ONUs, those in trouble first.
#[utoipa::path(get, path = "/api/v1/onus", tag = "onus", params(OnuQuery),
    responses((status = 200, description = "A page of ONUs.", body = List<Onu>)))]
pub(super) async fn list_onus(State(ctx): State<Ctx>, Filter(asked): Filter<OnuQuery>) -> Answer<List<Onu>> {
    let page = asked.page();
    let sort = asked.sort();
    let filter = OnuFilter {
        q: asked.q.unwrap_or_default(),
        removed: asked.removed.unwrap_or_default(),
        olt_id: asked.olt_id,
        pon: asked.pon,
        presence: asked.presence,
        view: asked.view.unwrap_or_default(),
    };
    Ok(List::of(ctx.read().onus(&filter, &sort, page).await?, page, onu))
}

/// One ONU.
#[utoipa::path(get, path = "/api/v1/onus/{id}", tag = "onus", params(("id" = i64, Path, description = "The ONU.")),
    responses((status = 200, description = "The ONU.", body = Onu)))]
pub(super) async fn get_onu(State(ctx): State<Ctx>, Id(id): Id) -> Answer<Onu> {
    Ok(Json(onu(found(ctx.read().onu(id).await?, "ONU", id)?)))
}
