//! CPEs: state, reason, layers and evidence, and what an operator may do to one.

use axum::{Json, extract::State, http::StatusCode, response::Response};
use provisioning::Device;
use serde::{Deserialize, Serialize};
use store::read::{
    ConnectionRequestRow, CpeFilter, CpeRow, CpeSessionRow, EvidenceRow, FaultFilter, Page, ParameterFilter,
    ParameterRow, Sort, TimelineFilter, TimelineSubject,
};
use types::{CpeId, ServiceId};
use utoipa::ToSchema;

use super::{
    faults::{Fault, fault},
    idempotency::Order,
    input::{Asked, Filter, Id, Nothing, Pages, list_query, one_of},
    output::{Answer, List, Named, Reply, ServiceRef, Time, found, named, serial, service_ref, time},
    overview::{TimelineLine, timeline_line},
    settings::{ClockWaiverShown, KeptIntervalShown},
};
use crate::{
    error::{ApiFail, Fail},
    models::Family,
    proof::Proof,
    state::Ctx,
    words,
};

list_query! {
    /// Which CPEs.
    CpeQuery {
        /// Serial in any notation, model, software version, address, service code or customer.
        q: String,
        /// A state, e.g. `WAITING_INFORM`; `not_active` for all but `ACTIVE`.
        state: String,
        /// Only this reason, e.g. `clock_invalid`.
        reason_code: String,
        /// Only this model.
        model: String,
        /// Only those in quarantine, or only those not.
        quarantine: bool,
        /// Only those with this tag.
        tag: String,
    } /// One of serial, model, software, state, since, inform, customer.
    sort ["serial", "model", "software", "state", "since", "inform", "customer"]
    check |asked| {
        let mut known = vec!["not_active"];
        known.extend(provisioning::State::ALL.iter().map(|state| state.as_str()));
        one_of("state", asked.state.as_deref(), &known)
    }
}

list_query! {
    /// Which parameters.
    ParameterQuery {
        /// Part of the path or of the value.
        q: String,
        /// Only below this path, e.g. `InternetGatewayDevice.WANDevice.`.
        branch: String,
    } /// One of path, value, read; by path without it.
    sort ["path", "value", "read"]
}

/// Why a CPE is in its state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Why {
    /// Stable word, e.g. `waiting_for_inform`.
    code: String,
    /// The sentence with the facts.
    text: String,
    /// What happens next, and by when.
    next: Option<String>,
}

/// A CPE.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cpe {
    id: i64,
    /// CWMP identity: OUI of the manufacturer.
    oui: String,
    /// CWMP identity: product class.
    product_class: String,
    /// CWMP identity: serial number as the device says it.
    serial_number: String,
    /// PON serial number by the word of an OLT or of an operator, as people write it, e.g. `HWTC-7D4733C3`.
    pon_serial: Option<String>,
    /// The same in 16 hex digits.
    pon_serial_hex: Option<String>,
    /// PON serial number by the device's own word, which proves nothing; only while nobody else has said one.
    claimed_serial: Option<String>,
    manufacturer: String,
    model: String,
    hardware_version: String,
    software_version: String,
    /// `tr098` or `tr181`; empty if unknown.
    data_model: String,
    /// The profile that speaks its dialect.
    profile_id: Option<String>,
    /// `DISCOVERED`, `INFORMED`, `OWNED`, `TIME_SYNCED`, `READY`, `PROVISIONING`, `WAITING_INFORM`, `ACTIVE` or
    /// `FAILED`.
    state: String,
    state_since_at: Time,
    reason: Why,
    /// Not linked to exactly one service: it is told nothing.
    quarantine: bool,
    /// Back-off ends at.
    next_attempt_at: Option<Time>,
    last_inform_at: Option<Time>,
    /// The next periodic Inform is expected by this time.
    next_inform_by_at: Option<Time>,
    inform_interval_s: Option<i64>,
    /// Where its last Inform came from.
    peer_address: String,
    /// Where it says that it is called, without a login or a query in it.
    connection_request_url: Option<String>,
    service: Option<ServiceRef>,
    service_state: Option<String>,
    customer: Option<Named>,
}

/// What was applied for one layer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LayerShown {
    /// `core`, `internet`, `access` or `extras`.
    layer: String,
    /// Version of the intent that was applied.
    applied_version: u64,
    /// Written completely at.
    applied_at: Option<Time>,
    /// Read back from the device in force at; null: not proven.
    verified_at: Option<Time>,
    /// What was seen, in words.
    summary: String,
    /// The device no longer matches.
    drifted: bool,
}

/// What is known of a CPE's clock.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClockShown {
    /// As last reported, verbatim.
    reported: String,
    /// It shows a possible year.
    valid: bool,
    /// NTP was set this often since the clock was last right.
    ntp_pushes: u32,
    /// An operator lets it pass; withdrawn with `/restore-clock`.
    overridden_by: Option<String>,
    /// Every CPE of its model is let pass.
    waived: Option<ClockWaiverShown>,
}

/// A CPE that keeps another inform interval than it was told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OwnInterval {
    /// Told, seconds.
    told_s: u32,
    /// Read back, seconds.
    kept_s: u32,
    /// Somebody accepts that of its model; null: it is near enough.
    accepted: Option<KeptIntervalShown>,
}

fn model_of(device: &Device) -> app::ModelOf<'_> {
    app::ModelOf {
        manufacturer: &device.identity.manufacturer,
        oui: &device.identity.oui,
        product_class: &device.identity.product_class,
    }
}

/// An operator's stop.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HoldShown {
    by: String,
    since_at: Time,
    /// What they said why, as it stands in the timeline; null if nothing.
    reason: Option<String>,
}

/// A gate into READY: nothing is written to a CPE but what makes it ours while one of them is closed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GateShown {
    /// `clock`, `hold`, `intent`, `back_off`, `cool_down`, `identity` or `family`; they are asked in this order.
    gate: &'static str,
    open: bool,
    /// Why it is closed; null if it is open.
    closed: Option<Why>,
}

/// A timer that is set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TimerShown {
    /// What it is for.
    timer: String,
    /// It fires at.
    at: Time,
}

/// The family of a CPE, and why it is that one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FamilyShown {
    /// Id of the family in use; null: none is decided yet, or none fits.
    id: Option<String>,
    title: Option<String>,
    /// `probed`, `nominated`, `learned` or `override`.
    known: Option<String>,
    /// In use since.
    since_at: Option<Time>,
    /// Nodes of the family that the device has.
    evidence: Vec<String>,
    /// The family that its identity speaks for.
    nominated: Option<String>,
    /// By what: `manufacturer`, `OUI`, `product class`, `firmware`.
    nominated_by: Vec<String>,
    /// The family that an operator set for its firmware.
    family_override: Option<String>,
    /// Why the device does not bear that out; null if it does, or was not looked at since.
    override_refused: Option<String>,
    /// Why it is this one, in words.
    text: String,
    /// Its firmware, by which its model is found.
    firmware_id: Option<i64>,
}

fn family(ctx: &Ctx, row: &CpeRow) -> FamilyShown {
    let family = Family::of(ctx, row);
    FamilyShown {
        text: family.why(&ctx.view()),
        id: family.family.as_ref().map(|named| named.id.clone()),
        title: family.family.map(|named| named.title),
        known: family.known.map(|known| known.as_str().to_owned()),
        since_at: time(family.at),
        evidence: family.evidence,
        nominated_by: family.nominated.iter().flat_map(|n| n.by.iter().map(|by| (*by).to_owned())).collect(),
        nominated: family.nominated.map(|nominated| nominated.family.id),
        family_override: family.ordered.map(|set| set.family),
        override_refused: family.refused.map(|(_, why)| why),
        firmware_id: family.firmware,
    }
}

/// A CPE with everything the provisioning machine knows of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CpeWithLayers {
    cpe: Cpe,
    /// Which dialect it speaks.
    family: FamilyShown,
    /// What was applied and verified, layer by layer.
    layers: Vec<LayerShown>,
    /// Null for a device that never spoke.
    clock: Option<ClockShown>,
    /// It keeps another inform interval than it was told; null: it keeps that one.
    kept_interval: Option<OwnInterval>,
    /// The gates into READY, as they stand now.
    gates: Vec<GateShown>,
    /// An operator stopped its provisioning.
    hold: Option<HoldShown>,
    /// Several WANs could carry its service: which one is for an operator to say. Null: nobody is asked.
    wan_question: Option<WanQuestionShown>,
    /// Failures in a row.
    attempts: u32,
    timers: Vec<TimerShown>,
    /// Words that people and programs put on it.
    tags: Vec<TagShown>,
    /// Who else informed with its name in the last day, the latest first.
    claimants: Vec<ClaimantShown>,
}

/// A word on a CPE.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TagShown {
    tag: String,
    /// Who put it there.
    set_by: String,
    set_at: Time,
}

/// What is put on a CPE.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TagInput {
    /// The word.
    #[schema(max_length = 64)]
    tag: String,
}

/// A WAN that could carry the service.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WanShown {
    /// Instance path, which stands for it.
    path: String,
    /// Its name on the device; may be empty.
    name: String,
    vlan: Option<u16>,
    /// `IP_Routed` and the like.
    kind: String,
    enabled: bool,
    /// Connection status in the device's words; may be empty.
    status: String,
}

/// Which WAN carries the service?
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WanQuestionShown {
    /// The device was read then.
    read_at: Time,
    candidates: Vec<WanShown>,
    /// The path that was chosen already; the next session uses it.
    chosen: Option<String>,
    /// Who chose it.
    chosen_by: Option<String>,
}

fn wan_question(device: &Device) -> Option<WanQuestionShown> {
    let asked = device.wan_question.as_ref()?;
    let candidates = asked.candidates.iter().map(|wan| WanShown {
        path: wan.path.clone(),
        name: wan.name.clone(),
        vlan: wan.vlan,
        kind: wan.kind.clone(),
        enabled: wan.enabled,
        status: wan.status.clone(),
    });
    let chosen = device.chosen_wan.as_ref();
    Some(WanQuestionShown {
        read_at: asked.read_at.into(),
        candidates: candidates.collect(),
        chosen: chosen.map(|chosen| chosen.path.clone()),
        chosen_by: chosen.map(|chosen| chosen.by.clone()),
    })
}

/// Wanted, observed and proof of one setting. Secrets are dots.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EvidenceShown {
    layer: String,
    setting: String,
    wanted: String,
    observed: String,
    /// Read back as wanted, or proven in another way, and nothing else is wanted since.
    verified: bool,
    at: Time,
    /// Where the word comes from.
    source: String,
}

/// The evidence of a CPE.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EvidenceList {
    items: Vec<EvidenceShown>,
}

/// A parameter as it was last read. Secret ones are never kept.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Parameter {
    path: String,
    value: String,
    /// CWMP type.
    kind: String,
    /// Null if it was not asked.
    writable: Option<bool>,
    read_at: Time,
    /// Whose word it is, e.g. `GenieACS import`; null: the device's own, as we read it.
    source: Option<String>,
}

/// A CWMP session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionShown {
    id: i64,
    began_at: Time,
    ended_at: Option<Time>,
    /// Event codes of its Inform.
    events: String,
    /// Requests we sent.
    requests: i64,
    /// Faults it answered.
    faults: i64,
    /// How it ended; null while it is open.
    outcome: Option<String>,
    peer_address: String,
    /// What was done in it, in words.
    done: String,
}

/// A connection request and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectionRequest {
    id: i64,
    at: Time,
    /// Stable word, e.g. `accepted` or `unauthorized`.
    outcome: String,
    detail: String,
}

/// The last connection requests.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectionRequestList {
    items: Vec<ConnectionRequest>,
}

/// Which service a CPE belongs to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Claim {
    /// The service.
    service_id: i64,
    /// Where the CPE speaks from, as it was shown to whoever decided: `address` of the CPE, or of one of its claimants.
    /// From there it is let in, once, within 15 minutes. If it speaks from elsewhere meanwhile, the claim is refused.
    /// Without it the claim is about where it speaks from now.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "ip")]
    address: Option<std::net::IpAddr>,
}

/// Somebody who informs with the name of a CPE from elsewhere, without any proof. Nothing is told to it unless an operator
/// claims it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClaimantShown {
    /// From where.
    address: String,
    /// The ConnectionRequestURL that it gave; empty if none.
    connection_request_url: String,
    /// Why it was not believed.
    why: String,
    first_at: Time,
    last_at: Time,
    /// Who says that it is this CPE after all.
    vouched_by: Option<String>,
    /// Until when that counts, once.
    vouched_until: Option<Time>,
}

/// Why a CPE is held.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HoldInput {
    /// For colleagues; stands in the timeline.
    #[serde(default)]
    #[schema(max_length = 200)]
    reason: String,
}

/// Which WAN carries the service.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WanInput {
    /// Path of one of the candidates.
    #[schema(max_length = 256)]
    path: String,
}

fn cpe(row: CpeRow) -> Cpe {
    Cpe {
        id: row.id,
        oui: row.oui,
        product_class: row.product_class,
        serial_number: row.serial_number,
        pon_serial: row.pon_serial.as_deref().map(serial),
        pon_serial_hex: row.pon_serial,
        claimed_serial: row.claimed_serial.as_deref().map(serial),
        manufacturer: row.manufacturer,
        model: row.model,
        hardware_version: row.hardware_version,
        software_version: row.software_version,
        data_model: row.data_model,
        profile_id: row.profile_id,
        state: row.state,
        state_since_at: row.state_since.into(),
        reason: Why { code: row.reason_code, text: row.reason_text, next: row.reason_next },
        quarantine: row.quarantine,
        next_attempt_at: time(row.next_attempt_at),
        last_inform_at: time(row.last_inform_at),
        next_inform_by_at: time(row.next_inform_by),
        inform_interval_s: row.inform_interval_s,
        peer_address: row.peer_address,
        connection_request_url: row.connection_request_url.as_deref().map(app::shown_url),
        service: service_ref(row.service_id, row.service_code),
        service_state: row.service_state,
        customer: named(row.customer_id, row.customer_name),
    }
}

fn evidence(row: EvidenceRow) -> EvidenceShown {
    EvidenceShown {
        layer: row.layer,
        setting: row.setting,
        wanted: row.wanted,
        observed: row.observed,
        verified: row.verified,
        at: row.at.into(),
        source: row.source,
    }
}

fn parameter(row: ParameterRow) -> Parameter {
    Parameter {
        path: row.path,
        value: row.value,
        kind: row.kind,
        writable: row.writable,
        read_at: row.read_at.into(),
        source: None,
    }
}

fn session(row: CpeSessionRow) -> SessionShown {
    SessionShown {
        id: row.id,
        began_at: row.began_at.into(),
        ended_at: time(row.ended_at),
        events: row.events,
        requests: row.requests,
        faults: row.faults,
        outcome: row.outcome,
        peer_address: row.peer_address,
        done: words::session_done(&row.detail),
    }
}

fn connection_request(row: ConnectionRequestRow) -> ConnectionRequest {
    ConnectionRequest { id: row.id, at: row.at.into(), outcome: row.outcome, detail: row.detail }
}

async fn row_of(ctx: &Ctx, id: i64) -> Result<CpeRow, Fail> {
    found(ctx.read().cpe(id).await?, "CPE", id)
}

/// What was said when it was held. A hold keeps who and since when; why stands in the timeline.
async fn hold_reason(ctx: &Ctx, id: i64, since: types::UtcMs) -> Result<Option<String>, Fail> {
    // The line is written in the same step, with the time at which it was ordered.
    let ordered = since.0 - 60_000;
    let said =
        TimelineFilter { since_at: Some(ordered), severity: None, q: app::HELD_BECAUSE.trim().to_owned() };
    let newest = Page::first(10);
    let found = ctx.read().timeline_lines(TimelineSubject::Cpe(id), &said, &Sort::default(), newest).await?;
    let lines = found.rows;
    let line = lines.into_iter().find(|line| line.code == "cpe_hold");
    Ok(line.and_then(|line| Some(line.text.strip_prefix(app::HELD_BECAUSE)?.to_owned())))
}

async fn one(ctx: &Ctx, id: i64) -> Result<CpeWithLayers, Fail> {
    let row = row_of(ctx, id).await?;
    // A row that was made for a device that has not spoken holds no machine yet.
    let device: Option<Device> = serde_json::from_str(&row.machine).ok();
    let timers = ctx.read().cpe_timers(id).await?;
    let layers = device.iter().flat_map(|device| &device.layers).map(|(layer, record)| LayerShown {
        layer: layer.as_str().to_owned(),
        applied_version: record.applied_version,
        applied_at: record.applied_at.map(Time::from),
        verified_at: record.verified_at.map(Time::from),
        summary: record.summary.clone(),
        drifted: record.drifted,
    });
    let gates = crate::proof::gates(ctx, CpeId(id)).await?.into_iter().map(|(gate, closed)| GateShown {
        gate: gate.as_str(),
        open: closed.is_none(),
        closed: closed.map(|why| Why { code: why.code.as_str().to_owned(), text: why.text, next: why.next }),
    });
    let held = device.as_ref().and_then(|device| device.hold.as_ref());
    let hold = match held {
        Some(hold) => Some(HoldShown {
            by: hold.by.clone(),
            since_at: hold.since.into(),
            reason: hold_reason(ctx, id, hold.since).await?,
        }),
        None => None,
    };
    let tags = ctx.read().device_tags(&[id]).await?.into_iter();
    let claimants = ctx.app().claimants_of(CpeId(id)).await?.into_iter();
    Ok(CpeWithLayers {
        claimants: claimants
            .filter(|one| one.address != row.peer_address)
            .map(|one| ClaimantShown {
                connection_request_url: app::shown_url(&one.url),
                address: one.address,
                why: one.why,
                first_at: one.first_at.into(),
                last_at: one.last_at.into(),
                vouched_by: one.vouched_by,
                vouched_until: one.vouched_until.map(Time::from),
            })
            .collect(),
        tags: tags
            .map(|row| TagShown { tag: row.tag, set_by: row.set_by, set_at: row.set_at.into() })
            .collect(),
        gates: gates.collect(),
        family: family(ctx, &row),
        layers: layers.collect(),
        clock: device.as_ref().map(|device| ClockShown {
            reported: device.clock.reported.clone(),
            valid: device.clock.valid,
            ntp_pushes: device.clock.ntp_pushes,
            overridden_by: device.clock.overridden_by.clone(),
            waived: ctx.app().clock_waiver(model_of(device)).map(ClockWaiverShown::from),
        }),
        kept_interval: device.as_ref().and_then(|device| {
            let kept = device.ownership.kept_interval?;
            let accepted = ctx.app().kept_interval(model_of(device));
            Some(OwnInterval {
                told_s: kept.written_s,
                kept_s: kept.kept_s,
                accepted: accepted.filter(|a| a.interval_s == kept.kept_s).map(KeptIntervalShown::from),
            })
        }),
        hold,
        wan_question: device.as_ref().and_then(wan_question),
        attempts: device.as_ref().map_or(0, |device| device.attempts),
        timers: timers.into_iter().map(|row| TimerShown { timer: row.timer, at: row.at.into() }).collect(),
        cpe: cpe(row),
    })
}

/// CPEs, failed ones first.
#[utoipa::path(get, path = "/api/v1/cpes", tag = "cpes", params(CpeQuery),
    responses((status = 200, description = "A page of CPEs.", body = List<Cpe>)))]
pub(super) async fn list_cpes(State(ctx): State<Ctx>, Filter(asked): Filter<CpeQuery>) -> Answer<List<Cpe>> {
    let (page, sort) = (asked.page(), asked.sort());
    let filter = CpeFilter {
        q: asked.q.unwrap_or_default(),
        state: asked.state,
        reason_code: asked.reason_code,
        model: asked.model,
        quarantine: asked.quarantine,
        tag: asked.tag,
    };
    Ok(List::of(ctx.read().cpes(&filter, &sort, page).await?, page, cpe))
}

/// One CPE: state, reason, layers, clock, hold and timers.
#[utoipa::path(get, path = "/api/v1/cpes/{id}", tag = "cpes", params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 200, description = "The CPE.", body = CpeWithLayers)))]
pub(super) async fn get_cpe(State(ctx): State<Ctx>, Id(id): Id) -> Answer<CpeWithLayers> {
    Ok(Json(one(&ctx, id).await?))
}

/// What happened to a CPE and why, newest first.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/timeline", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE."), Pages),
    responses((status = 200, description = "A page of the timeline.", body = List<TimelineLine>)))]
pub(super) async fn list_cpe_timeline(
    State(ctx): State<Ctx>,
    Id(id): Id,
    Filter(asked): Filter<Pages>,
) -> Answer<List<TimelineLine>> {
    row_of(&ctx, id).await?;
    let page = asked.page();
    let lines = ctx.read().timeline(TimelineSubject::Cpe(id), None, page).await?;
    Ok(List::of(lines, page, timeline_line))
}

/// Wanted and observed, setting by setting, in the order layers are applied.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/evidence", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 200, description = "The evidence.", body = EvidenceList)))]
pub(super) async fn list_evidence(State(ctx): State<Ctx>, Id(id): Id) -> Answer<EvidenceList> {
    let row = row_of(&ctx, id).await?;
    let items = Proof::of_cpe(&ctx, &row).await?.evidence.into_iter().map(evidence).collect();
    Ok(Json(EvidenceList { items }))
}

/// Parameters of a CPE as last read, each with its age.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/parameters", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE."), ParameterQuery),
    responses((status = 200, description = "A page of parameters.", body = List<Parameter>)))]
pub(super) async fn list_parameters(
    State(ctx): State<Ctx>,
    Id(id): Id,
    Filter(asked): Filter<ParameterQuery>,
) -> Answer<List<Parameter>> {
    row_of(&ctx, id).await?;
    let (page, sort) = (asked.page(), asked.sort());
    let filter = ParameterFilter { q: asked.q.unwrap_or_default(), branch: asked.branch.unwrap_or_default() };
    let found = ctx.read().cpe_parameters(id, &filter, &sort, page).await?;
    let sources = ctx.read().parameter_sources(id, &found.rows).await?;
    Ok(List::of(found, page, |row| {
        let source = sources.get(&row.path).cloned();
        Parameter { source, ..parameter(row) }
    }))
}

/// CWMP sessions, newest first.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/sessions", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE."), Pages),
    responses((status = 200, description = "A page of sessions.", body = List<SessionShown>)))]
pub(super) async fn list_sessions(
    State(ctx): State<Ctx>,
    Id(id): Id,
    Filter(asked): Filter<Pages>,
) -> Answer<List<SessionShown>> {
    row_of(&ctx, id).await?;
    let page = asked.page();
    Ok(List::of(ctx.read().cpe_sessions(id, page).await?, page, session))
}

/// The last 100 connection requests and what came of them, newest first.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/connection-requests", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 200, description = "The connection requests.", body = ConnectionRequestList)))]
pub(super) async fn list_connection_requests(
    State(ctx): State<Ctx>,
    Id(id): Id,
) -> Answer<ConnectionRequestList> {
    row_of(&ctx, id).await?;
    let rows = ctx.read().connection_requests(id, 100).await?;
    Ok(Json(ConnectionRequestList { items: rows.into_iter().map(connection_request).collect() }))
}

/// Faults of one CPE, newest first.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/faults", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE."), Pages),
    responses((status = 200, description = "A page of faults.", body = List<Fault>)))]
pub(super) async fn list_cpe_faults(
    State(ctx): State<Ctx>,
    Id(id): Id,
    Filter(asked): Filter<Pages>,
) -> Answer<List<Fault>> {
    row_of(&ctx, id).await?;
    let page = asked.page();
    let filter = FaultFilter { cpe_id: Some(id), ..FaultFilter::default() };
    Ok(List::of(ctx.read().faults(&filter, &asked.sort(), page).await?, page, fault))
}

/// Puts a word on a CPE, to find it by. One that is there already changes nothing. Nothing is written to the CPE.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/tag", tag = "cpes", params(("id" = i64, Path, description = "The CPE.")),
    request_body = TagInput, responses((status = 200, description = "It has the tag.", body = CpeWithLayers)))]
pub(super) async fn tag_cpe(Id(id): Id, order: Order<TagInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, input| async move {
            ctx.app().tag_cpe(&actor, CpeId(id), &input.tag).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}

/// Takes a word from a CPE. One that is not there changes nothing.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/untag", tag = "cpes", params(("id" = i64, Path, description = "The CPE.")),
    request_body = TagInput, responses((status = 200, description = "It does not have the tag.", body = CpeWithLayers)))]
pub(super) async fn untag_cpe(Id(id): Id, order: Order<TagInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, input| async move {
            ctx.app().untag_cpe(&actor, CpeId(id), &input.tag).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}

/// Stops provisioning of a CPE until the hold is released.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/hold", tag = "cpes", params(("id" = i64, Path, description = "The CPE.")),
    request_body = HoldInput, responses((status = 200, description = "Held.", body = CpeWithLayers)))]
pub(super) async fn hold_cpe(Id(id): Id, order: Order<HoldInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, hold| async move {
            ctx.app().hold_cpe(&actor, CpeId(id), &hold.reason).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}

/// Says which of several WANs carries the service: one of the candidates of `wan_question`. The next session uses it.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/choose-wan", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")),
    request_body = WanInput, responses((status = 202, description = "Chosen.", body = CpeWithLayers)))]
pub(super) async fn choose_wan(Id(id): Id, order: Order<WanInput>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, wan| async move {
            ctx.app().choose_wan(&actor, CpeId(id), &wan.path).await?;
            Reply::new(StatusCode::ACCEPTED, &one(&ctx, id).await?)
        })
        .await
}

/// Releases a hold; the CPE goes on at its next contact.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/release-hold", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 200, description = "No longer held.", body = CpeWithLayers)))]
pub(super) async fn release_hold(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().release_hold(&actor, CpeId(id)).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}

/// Ends a back-off now. Cool-down and gates still count.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/retry", tag = "cpes", params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 202, description = "It will try again.", body = CpeWithLayers)))]
pub(super) async fn retry_cpe(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().retry_cpe(&actor, CpeId(id)).await?;
            Reply::new(StatusCode::ACCEPTED, &one(&ctx, id).await?)
        })
        .await
}

/// Asks a CPE to open a session: one connection request. What came of it is in its connection requests.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/call", tag = "cpes", params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 202, description = "Asked for.", body = CpeWithLayers)))]
pub(super) async fn call_cpe(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().call_cpe(&actor, CpeId(id)).await?;
            Reply::new(StatusCode::ACCEPTED, &one(&ctx, id).await?)
        })
        .await
}

/// Says by hand which service a CPE belongs to, and which of those that say its name it is.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/claim", tag = "cpes", params(("id" = i64, Path, description = "The CPE.")),
    request_body = Claim, responses((status = 200, description = "It belongs to the service.", body = CpeWithLayers)))]
pub(super) async fn claim_cpe(Id(id): Id, order: Order<Claim>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, claim| async move {
            ctx.app().claim_cpe(&actor, CpeId(id), ServiceId(claim.service_id), claim.address).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}

/// Takes a CPE from its service, which is free for another one then. Nothing is written to the CPE. Where the serial
/// number of an ONU says that it is this service's, it comes back with its next Inform.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/release", tag = "cpes", params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 200, description = "It belongs to no service.", body = CpeWithLayers)))]
pub(super) async fn release_cpe(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().release_cpe(&actor, CpeId(id)).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}

/// Withdraws that this CPE passes without a clock: nothing new is written to it before it shows a right one. What is in
/// force on it stays. Kept in the audit log.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/restore-clock", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 200, description = "It has to show a right clock again.", body = CpeWithLayers)))]
pub(super) async fn restore_clock(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().restore_clock_gate(&actor, CpeId(id)).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}

/// Lets a CPE pass without a clock. Kept in the audit log.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/override-clock", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 200, description = "It may pass.", body = CpeWithLayers)))]
pub(super) async fn override_clock(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().override_clock_gate(&actor, CpeId(id)).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}
