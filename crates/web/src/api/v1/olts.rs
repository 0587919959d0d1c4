//! OLTs and their PON ports.

use app::{AppError, NewOlt};
use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{
    OltProtocol,
    read::{OltFilter, OltRow, PonPortRow},
};
use types::{OltId, Secret};
use utoipa::ToSchema;

use super::{
    idempotency::Order,
    input::{Asked, Body, Filter, Id, Nothing, Pages, list_query, one_of},
    output::{Answer, List, Reply, Time, found, stored, time},
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    state::Ctx,
};

list_query! {
    /// Which OLTs.
    OltQuery {
        /// Name, address or vendor profile.
        q: String,
        /// What it was last seen doing: `answering`, `silent` or `unknown`.
        state: String,
    } /// One of name, state, address, onus, down, detected, read.
    sort ["name", "state", "address", "onus", "down", "detected", "read"]
    check |asked| one_of("state", asked.state.as_deref(), &["answering", "silent", "unknown"])
}

/// How an OLT's command line is reached.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Protocol {
    Ssh,
    Telnet,
}

/// What ONUs of a plan get on one OLT instead of its defaults.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PlanTraffic {
    /// The plan.
    plan_id: i64,
    /// Traffic table for upstream (inbound at the OLT); goes with that for downstream.
    up_table: Option<u32>,
    /// Traffic table for downstream (outbound at the OLT).
    down_table: Option<u32>,
    /// Line profile (T-CONTs and GEM ports).
    line_profile_id: Option<u32>,
    /// Service profile (ports of the ONU).
    service_profile_id: Option<u32>,
}

/// Profiles, VLANs and GEM ports that every ONU of an OLT gets unless its plan says otherwise.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OltDefaults {
    /// Line profile (T-CONTs and GEM ports).
    line_profile_id: u32,
    /// Service profile (ports of the ONU).
    service_profile_id: u32,
    /// VLAN of the internet service, outer tag.
    #[schema(minimum = 1, maximum = 4094)]
    internet_vlan: u16,
    /// GEM port that carries it in the line profile.
    internet_gemport: u16,
    /// VLAN of the management WAN; never the internet VLAN.
    #[schema(minimum = 1, maximum = 4094)]
    management_vlan: u16,
    /// GEM port that carries it in the line profile.
    management_gemport: u16,
    /// 802.1p priority of the management WAN.
    #[schema(maximum = 7)]
    management_priority: u8,
    /// TR-069 server profile on the OLT: holds our ACS URL.
    tr069_profile_id: u32,
    /// Traffic tables (up, down) where no plan says otherwise; null: the OLT's default.
    default_traffic: Option<(u32, u32)>,
    /// Traffic tables and profiles by plan, one of each plan at most.
    plan_traffic: Vec<PlanTraffic>,
    /// Equipment ids of ONUs whose router has no setting for a VLAN: the OLT tags for them.
    #[serde(default)]
    untagged_models: Vec<String>,
}

/// An OLT, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Olt {
    id: i64,
    /// Our name for it.
    name: String,
    /// The vendor profile, e.g. `huawei_smartax`.
    vendor_profile: String,
    /// IP address or host name of its management interface.
    address: String,
    /// TCP port of the command line.
    port: i64,
    /// How it is reached: `ssh` or `telnet`.
    protocol: String,
    /// CLI user name.
    username: String,
    /// The SSH algorithms of old OLTs are allowed.
    legacy_algorithms: bool,
    /// Fingerprint of the SSH host key that is expected; null until the first login.
    host_key_pin: Option<String>,
    /// There is an SNMP community. It is kept; nothing is read by SNMP yet.
    has_snmp_community: bool,
    /// UDP port of SNMP.
    snmp_port: i64,
    /// False: it is left alone.
    enabled: bool,
    /// Profiles and VLANs that ONUs get; null if what is stored cannot be read.
    defaults: Option<OltDefaults>,
    /// What it said about itself.
    #[schema(value_type = Object)]
    observed: Value,
    /// `unknown`, `answering` or `silent`.
    observed_state: String,
    /// Why it is silent, or what could not be read of it.
    observed_reason: Option<String>,
    /// It was last asked at.
    observed_at: Option<Time>,
    /// ONUs planned on it.
    onus: i64,
    /// Of these, without light or stopped.
    onus_down: i64,
    /// ONUs that wait to be authorised.
    detected: i64,
}

fn olt(row: OltRow) -> Olt {
    Olt {
        id: row.id,
        name: row.name,
        vendor_profile: row.vendor_profile,
        address: row.address,
        port: row.port,
        protocol: row.protocol,
        username: row.username,
        legacy_algorithms: row.legacy_algorithms,
        host_key_pin: row.host_key_pin,
        has_snmp_community: row.has_snmp,
        snmp_port: row.snmp_port,
        enabled: row.admin_state == "enabled",
        defaults: defaults(&row.defaults),
        observed: stored(&row.observed),
        observed_state: row.observed_state,
        observed_reason: row.observed_reason,
        observed_at: time(row.observed_at),
        onus: row.onus,
        onus_down: row.onus_down,
        detected: row.detected,
    }
}

/// Read as the application reads them, so that what is absent shows the value in force.
fn defaults(text: &str) -> Option<OltDefaults> {
    let known: app::OltDefaults = serde_json::from_str(text).ok()?;
    serde_json::from_value(serde_json::to_value(known).ok()?).ok()
}

/// An OLT to add, or all settings of one to replace.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OltInput {
    /// Our name for it.
    #[schema(max_length = 64)]
    name: String,
    /// The vendor profile; `huawei_smartax` if absent.
    vendor_profile: Option<String>,
    /// IP address or host name of its management interface.
    address: String,
    /// TCP port of the command line: SSH is usually 22, Telnet 23.
    #[schema(minimum = 1)]
    port: u16,
    /// How it is reached.
    protocol: Protocol,
    /// CLI user name.
    username: String,
    /// CLI password. Needed for a new OLT, and again where address, port or protocol change; otherwise absent keeps it.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    password: Option<Secret>,
    /// Allow the SSH algorithms of old OLTs (SHA-1, CBC).
    #[serde(default)]
    legacy_algorithms: bool,
    /// SNMP v2c community for reading; kept, and not used yet. Absent keeps it.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    snmp_community: Option<Secret>,
    /// UDP port of SNMP; 161 if absent.
    snmp_port: Option<u16>,
    /// Needed when an OLT is changed.
    defaults: Option<OltDefaults>,
    /// False leaves the OLT alone; only for a change. True if absent.
    enabled: Option<bool>,
}

impl OltInput {
    fn into_new(self) -> Result<NewOlt, AppError> {
        let defaults = match self.defaults {
            Some(given) => serde_json::to_value(given)
                .and_then(serde_json::from_value)
                .map_err(|error| AppError::invalid("defaults", error.to_string()))?,
            None => app::OltDefaults::default(),
        };
        Ok(NewOlt {
            name: self.name,
            vendor_profile: self.vendor_profile.unwrap_or_else(|| "huawei_smartax".to_owned()),
            address: self.address,
            port: self.port,
            protocol: match self.protocol {
                Protocol::Ssh => OltProtocol::Ssh,
                Protocol::Telnet => OltProtocol::Telnet,
            },
            username: self.username,
            password: self.password,
            legacy_algorithms: self.legacy_algorithms,
            snmp_community: self.snmp_community,
            snmp_port: self.snmp_port.unwrap_or(161),
            defaults,
        })
    }
}

/// A PON port.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PonPort {
    /// Where it is, frame/slot/port.
    pon: String,
    /// What we want of it.
    admin_state: String,
    /// What the OLT said.
    observed_state: String,
    /// Read at.
    observed_at: Option<Time>,
    /// What could not be read of it then, and why; null if everything was.
    observed_problem: Option<String>,
    /// ONUs planned on it.
    onus: i64,
    /// Of these, in service.
    onus_online: i64,
    /// ONUs that wait to be authorised.
    detected: i64,
}

fn pon_port(row: PonPortRow) -> PonPort {
    PonPort {
        pon: row.pon,
        admin_state: row.admin_state,
        observed_state: row.observed_state,
        observed_at: time(row.observed_at),
        observed_problem: row.observed_problem,
        onus: row.onus,
        onus_online: row.onus_online,
        detected: row.detected,
    }
}

/// What an OLT said when its settings were tried.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OltTest {
    /// It answered and understood us.
    ok: bool,
    /// What it is, or why it did not work.
    text: String,
}

/// Whether what was changed on an OLT outlives its restart.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OltSaving {
    /// Nothing was changed since it was last saved, as the OLT said itself.
    saved: bool,
    /// What is known and what happens next; empty when it is saved.
    text: String,
    /// The last saving failed, or was not seen to end.
    doubtful: bool,
    /// It is saved by itself. If not: after the next change, or when it is ordered.
    by_itself: bool,
}

async fn saving_of(ctx: &Ctx, id: i64) -> Result<OltSaving, Fail> {
    one(ctx, id).await?;
    Ok(match ctx.app().saving(OltId(id)).await? {
        Some(app::Saving { text, doubtful, by_itself }) => {
            OltSaving { saved: false, text, doubtful, by_itself }
        }
        None => OltSaving { saved: true, text: String::new(), doubtful: false, by_itself: false },
    })
}

async fn one(ctx: &Ctx, id: i64) -> Result<Olt, Fail> {
    found(ctx.read().olt(id).await?, "OLT", id).map(olt)
}

/// OLTs, silent ones first.
#[utoipa::path(get, path = "/api/v1/olts", tag = "olts", params(OltQuery),
    responses((status = 200, description = "A page of OLTs.", body = List<Olt>)))]
pub(super) async fn list_olts(State(ctx): State<Ctx>, Filter(asked): Filter<OltQuery>) -> Answer<List<Olt>> {
    let (page, sort) = (asked.page(), asked.sort());
    let filter = OltFilter { q: asked.q.unwrap_or_default(), state: asked.state };
    Ok(List::of(ctx.read().olt_list(&filter, &sort, page).await?, page, olt))
}

/// Adds an OLT. Nothing is written to it.
#[utoipa::path(post, path = "/api/v1/olts", tag = "olts", request_body = OltInput,
    responses((status = 201, description = "Added.", body = Olt, headers(("Location" = String, description = "Where it is.")))))]
pub(super) async fn add_olt(order: Order<OltInput>) -> Result<Response, ApiFail> {
    order
        .once(|ctx, actor, input| async move {
            if input.enabled == Some(false) {
                let text = "a new OLT is enabled; change it afterwards.";
                return Err(AppError::invalid("enabled", text).into());
            }
            let id = ctx.app().add_olt(&actor, input.into_new()?).await?.0;
            Reply::created(format!("/api/v1/olts/{id}"), &one(&ctx, id).await?)
        })
        .await
}

/// One OLT.
#[utoipa::path(get, path = "/api/v1/olts/{id}", tag = "olts", params(("id" = i64, Path, description = "The OLT.")),
    responses((status = 200, description = "The OLT.", body = Olt)))]
pub(super) async fn get_olt(State(ctx): State<Ctx>, Id(id): Id) -> Answer<Olt> {
    Ok(Json(one(&ctx, id).await?))
}

/// Replaces an OLT's settings. Secrets that are not given stay. Where it is reached in another way they are needed
/// again, and the pinned host key is forgotten, because another box may be there.
#[utoipa::path(put, path = "/api/v1/olts/{id}", tag = "olts", params(("id" = i64, Path, description = "The OLT.")),
    request_body = OltInput, responses((status = 200, description = "Changed.", body = Olt)))]
pub(super) async fn update_olt(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(input): Body<OltInput>,
) -> Answer<Olt> {
    if input.defaults.is_none() {
        let text = "is needed when an OLT is changed: send what a GET gave, with your changes.";
        return Err(AppError::invalid("defaults", text).into());
    }
    let enabled = input.enabled.unwrap_or(true);
    ctx.app().update_olt(&actor, OltId(id), input.into_new()?, enabled).await?;
    Ok(Json(one(&ctx, id).await?))
}

/// The PON ports of an OLT.
#[utoipa::path(get, path = "/api/v1/olts/{id}/pon-ports", tag = "olts",
    params(("id" = i64, Path, description = "The OLT."), Pages),
    responses((status = 200, description = "A page of PON ports.", body = List<PonPort>)))]
pub(super) async fn list_pon_ports(
    State(ctx): State<Ctx>,
    Id(id): Id,
    Filter(asked): Filter<Pages>,
) -> Answer<List<PonPort>> {
    one(&ctx, id).await?;
    Ok(List::cut(ctx.read().pon_ports(id).await?, asked.page(), pon_port))
}

/// Logs in to an OLT now and asks what it is. Writes nothing to it. An OLT that does not answer is an answer.
#[utoipa::path(post, path = "/api/v1/olts/{id}/test", tag = "olts", params(("id" = i64, Path, description = "The OLT.")),
    responses((status = 200, description = "What it said.", body = OltTest)))]
pub(super) async fn test_olt(State(ctx): State<Ctx>, Caller(actor): Caller, Id(id): Id) -> Answer<OltTest> {
    let said = ctx.app().test_olt(&actor, OltId(id)).await?;
    Ok(Json(OltTest { ok: said.ok, text: said.text }))
}

/// Reads an OLT now: its PON ports, ONUs and what is detected. Writes nothing to it. One that does not answer, or that
/// another node works on, is an answer.
#[utoipa::path(post, path = "/api/v1/olts/{id}/read", tag = "olts", params(("id" = i64, Path, description = "The OLT.")),
    responses((status = 200, description = "Whether it was read, and why not.", body = OltTest)))]
pub(super) async fn read_olt(State(ctx): State<Ctx>, Caller(actor): Caller, Id(id): Id) -> Answer<OltTest> {
    let reading = crate::backend::read_olt(ctx.app(), &actor, OltId(id)).await?;
    let ok = matches!(reading, app::OltReading::Read);
    let row = found(ctx.read().olt(id).await?, "OLT", id)?;
    let (_, title, text) = crate::pages::olts::read_words(reading, &row, &ctx.view());
    Ok(Json(OltTest { ok, text: format!("{title}: {text}") }))
}

/// Whether the configuration of an OLT is saved, as far as it is known. Nothing is asked of the OLT.
#[utoipa::path(get, path = "/api/v1/olts/{id}/saving", tag = "olts", params(("id" = i64, Path, description = "The OLT.")),
    responses((status = 200, description = "What is known.", body = OltSaving)))]
pub(super) async fn get_saving(State(ctx): State<Ctx>, Id(id): Id) -> Answer<OltSaving> {
    Ok(Json(saving_of(&ctx, id).await?))
}

/// Orders that an OLT saves its configuration. It does so when nothing was changed for a minute; how it ended is in
/// its `saving` and in the timeline.
#[utoipa::path(post, path = "/api/v1/olts/{id}/save", tag = "olts", params(("id" = i64, Path, description = "The OLT.")),
    responses((status = 202, description = "Ordered.", body = OltSaving)))]
pub(super) async fn save_olt(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().order_save(&actor, OltId(id)).await?;
            Reply::new(StatusCode::ACCEPTED, &saving_of(&ctx, id).await?)
        })
        .await
}

/// Accepts that an OLT has another SSH host key from now on, after somebody made sure why.
#[utoipa::path(post, path = "/api/v1/olts/{id}/forget-host-key", tag = "olts",
    params(("id" = i64, Path, description = "The OLT.")),
    responses((status = 204, description = "The key of the next login is pinned.")))]
pub(super) async fn forget_host_key(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
) -> Result<StatusCode, ApiFail> {
    ctx.app().forget_host_key(&actor, OltId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_go_through_the_api_unchanged() {
        let known = app::OltDefaults {
            default_traffic: Some((6, 7)),
            untagged_models: vec!["GENERIC098".into()],
            plan_traffic: vec![app::PlanTraffic {
                plan_id: 7,
                up_table: Some(62),
                down_table: Some(65),
                line_profile_id: None,
                service_profile_id: Some(20),
            }],
            ..app::OltDefaults::default()
        };
        let text = serde_json::to_string(&known).expect("json");
        let shown = defaults(&text).expect("readable");
        let input: OltInput = serde_json::from_value(serde_json::json!({
            "name": "o", "address": "10.0.0.1", "port": 22, "protocol": "ssh", "username": "lk",
            "defaults": serde_json::to_value(shown).expect("json"),
        }))
        .expect("what GET gives is what PUT takes");
        assert_eq!(input.into_new().expect("acceptable").defaults, known);
    }
}
