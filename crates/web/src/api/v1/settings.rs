//! How CPEs are treated.

use app::{AcsPolicy, AppError, ClockWaiver, KeptInterval, PublicNetworks};
use axum::{Json, extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use types::Secret;
use utoipa::ToSchema;

use super::{
    idempotency::Order,
    input::Body,
    output::{Answer, Reply, Time},
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    state::Ctx,
};

/// Every number of the provisioning machine.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvisioningPolicy {
    /// Least time between the beginnings of two attempts, seconds.
    #[schema(minimum = 300, maximum = 600)]
    cool_down_s: u64,
    /// Waiting times after the 1st, 2nd … failure, 60 to 604800 seconds each, at most twelve; the last one repeats.
    back_off_s: Vec<u64>,
    /// Waiting time after a failure that will not cure itself, seconds.
    #[schema(minimum = 3600, maximum = 2592000)]
    park_s: u64,
    /// How long to watch for an Inform after a connection request, seconds.
    #[schema(minimum = 5, maximum = 10)]
    watchdog_s: u64,
    /// Least time between two connection requests to one device, seconds.
    #[schema(minimum = 10, maximum = 86400)]
    connection_request_gap_s: u64,
    /// Least time between two repairs of the credentials of one device, seconds.
    #[schema(minimum = 86400, maximum = 2592000)]
    credentials_rewrite_s: u64,
    /// Wait between the last write and the first look at the connection, seconds.
    #[schema(minimum = 5, maximum = 300)]
    verify_delay_s: u64,
    /// Window after the last write in which a connection may still come up, seconds.
    #[schema(minimum = 60, maximum = 3600)]
    verify_grace_s: u64,
    /// Looks at the connection that must fail before it counts as failed.
    #[schema(minimum = 2, maximum = 20)]
    verify_checks: u32,
    /// PeriodicInformInterval to set, seconds.
    #[schema(minimum = 60, maximum = 86400)]
    inform_interval_s: u32,
    /// Each device gets an interval up to this much longer or shorter, seconds.
    #[schema(minimum = 0, maximum = 43200)]
    inform_spread_s: u32,
    /// Added to the interval before an Inform counts as overdue, seconds.
    #[schema(minimum = 10, maximum = 3600)]
    inform_grace_s: u64,
    /// First year a clock may show; at most the present one.
    #[schema(minimum = 2015)]
    clock_floor_year: i32,
    /// NTP servers of the management network, best first, one to five.
    ntp_servers: Vec<String>,
    /// Offset for `LocalTimeZone` of TR-098 devices, e.g. `+05:30`.
    time_zone: String,
    /// POSIX zone for TR-181 devices, e.g. `IST-5:30`.
    time_zone_posix: String,
    /// NTP is set at most this often before the reason says that the server cannot be reached.
    #[schema(minimum = 1, maximum = 10)]
    ntp_pushes: u32,
    /// Wait after setting NTP before one look at the clock, seconds.
    #[schema(minimum = 10, maximum = 3600)]
    clock_check_s: u64,
    /// ACTIVE devices are compared with their intent this often, seconds, at least 300; 0: only after a boot.
    #[schema(minimum = 0, maximum = 604800)]
    drift_check_s: u64,
    /// Requests in one session before the rest is left for the next.
    #[schema(minimum = 10, maximum = 500)]
    requests_per_session: u32,
    /// Connections are named like this so that we know our own: 3 to 32 letters, digits, `-` and `_`.
    wan_label: String,
}

/// The time servers of one management network.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NtpNetworkShown {
    /// CPEs that speak from here, e.g. `10.20.3.0/24` …
    network: String,
    /// … are given these, best first, one to five.
    servers: Vec<String>,
}

/// A model whose CPEs may be configured without a right clock.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClockWaiverShown {
    /// As the CPE names its maker, or its OUI.
    pub(super) manufacturer: String,
    /// As the CPE names its model.
    pub(super) product_class: String,
    /// Why.
    pub(super) reason: String,
    /// Who decided it.
    pub(super) by: String,
    /// Since.
    pub(super) since_at: Time,
}

impl From<ClockWaiver> for ClockWaiverShown {
    fn from(waiver: ClockWaiver) -> Self {
        let ClockWaiver { manufacturer, product_class, reason, by, since } = waiver;
        ClockWaiverShown { manufacturer, product_class, reason, by, since_at: since.into() }
    }
}

/// A model to let pass without a right clock.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewClockWaiver {
    /// `DeviceId.Manufacturer` as the CPE tells it, or its `DeviceId.OUI`. Needed: other makers use the same model names.
    #[serde(default)]
    #[schema(required = true)]
    manufacturer: String,
    /// `DeviceId.ProductClass` as the CPE tells it.
    product_class: String,
    /// Why, for colleagues.
    reason: String,
}

/// A model whose CPEs may keep an inform interval of their own.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeptIntervalShown {
    /// As the CPE names its maker, or its OUI.
    pub(super) manufacturer: String,
    /// As the CPE names its model.
    pub(super) product_class: String,
    /// What it keeps, seconds; exactly this.
    pub(super) interval_s: u32,
    /// Why.
    pub(super) reason: String,
    /// Who accepted it.
    pub(super) by: String,
    /// Since.
    pub(super) since_at: Time,
}

impl From<KeptInterval> for KeptIntervalShown {
    fn from(kept: KeptInterval) -> Self {
        let KeptInterval { manufacturer, product_class, interval_s, reason, by, since } = kept;
        KeptIntervalShown { manufacturer, product_class, interval_s, reason, by, since_at: since.into() }
    }
}

/// An inform interval to accept of a model.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewKeptInterval {
    /// `DeviceId.Manufacturer` as the CPE tells it, or its `DeviceId.OUI`.
    manufacturer: String,
    /// `DeviceId.ProductClass` as the CPE tells it.
    product_class: String,
    /// What its CPEs keep whatever they are told, seconds.
    #[schema(minimum = 10, maximum = 604800)]
    interval_s: u32,
    /// Why, for colleagues.
    reason: String,
}

/// A model of a list, as it was given.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WithdrawnModel {
    /// As it was given.
    manufacturer: String,
    /// As it was given.
    product_class: String,
}

/// How CPEs are treated.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcsSettings {
    provisioning: ProvisioningPolicy,
    /// Networks that CPEs' management WANs are in, e.g. `10.20.0.0/16` or `fd00:20::/48`; none wider than a /8 of IPv4 or a
    /// /32 of IPv6. Connection requests go nowhere else.
    management_networks: Vec<String>,
    /// Those of them, or parts of them, whose CPEs reach us through address translation. Only here may a
    /// ConnectionRequestURL name another address than the device speaks from; anywhere else such a device is not called.
    nat_networks: Vec<String>,
    /// Time servers of parts of the management networks: of the smallest one that a CPE speaks from. Elsewhere
    /// `provisioning.ntp_servers` count.
    ntp_networks: Vec<NtpNetworkShown>,
    /// A device we do not know may inform without credentials.
    anonymous_first_contact: bool,
    /// User name of the shared first-contact credentials.
    first_contact_username: String,
    /// The OLT's word that an ONU is online, and at which address, counts for so long, seconds.
    #[schema(minimum = 60, maximum = 7200)]
    olt_word_valid_s: u64,
    /// An OLT that cannot say at which address an ONU is does not speak for its CPE at first contact. Off: such an OLT's
    /// word that the ONU is online counts for whoever informs from a management network.
    first_contact_needs_address: bool,
    /// Most devices without a service that are remembered.
    #[schema(minimum = 1, maximum = 1000000)]
    quarantine_limit: u64,
    /// How often each OLT is asked for detected ONUs and ONU states, seconds.
    #[schema(minimum = 10, maximum = 3600)]
    autofind_interval_s: u64,
    /// Since when a shared first-contact password is in force; absent if there is none. Cannot be set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(read_only)]
    first_contact_password_since: Option<Time>,
}

/// The settings to replace those in force.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AcsSettingsInput {
    /// What a GET gave, with your changes.
    settings: AcsSettings,
    /// Password of the shared first-contact credentials, 8 to 128 printable ASCII characters without blanks. Absent keeps
    /// the one in force, empty removes it.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    first_contact_password: Option<Secret>,
    /// A new management network may hold addresses of the internet. Without it such a one is refused: everybody there could
    /// speak plain HTTP to the ACS.
    #[serde(default)]
    public_networks_meant: bool,
}

/// An address that was refused: it spoke plain HTTP to the ACS and is in no management network.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusedShown {
    /// Where it spoke from.
    address: String,
    /// It is one of the internet: most of those are scanners.
    is_public: bool,
    /// How often, by single connections.
    times: i64,
    first_at: Time,
    last_at: Time,
    /// A management network that it may be in; absent for the internet.
    perhaps_network: Option<String>,
}

/// Whom the management networks keep out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusalsShown {
    /// What a person must hear, as a sentence; absent if nothing.
    trouble: Option<String>,
    /// Some management network is set. Without one nobody gets in by plain HTTP.
    has_networks: bool,
    /// Addresses refused in the last hour that may be CPEs: of private networks; while no network is set, all.
    last_hour: usize,
    /// Refused in the last week and in no management network now, 500 at most: private ones first, of each kind the newest
    /// first.
    addresses: Vec<RefusedShown>,
}

/// Whom the management networks keep out: a network that is missing or mistyped cuts off every CPE in it.
#[utoipa::path(get, path = "/api/v1/settings/acs/refused-addresses", tag = "settings",
    responses((status = 200, description = "Who was refused.", body = RefusalsShown)))]
pub(super) async fn get_refused_addresses(State(ctx): State<Ctx>) -> Answer<RefusalsShown> {
    let refusals = ctx.app().refusals().await?;
    Ok(Json(RefusalsShown {
        trouble: refusals.trouble(),
        has_networks: refusals.has_networks,
        last_hour: refusals.last_hour(),
        addresses: refusals
            .addresses
            .into_iter()
            .map(|refused| RefusedShown {
                address: refused.address.to_string(),
                is_public: refused.is_public,
                times: refused.times,
                first_at: refused.first_at.into(),
                last_at: refused.last_at.into(),
                perhaps_network: refused.perhaps.map(|network| network.to_string()),
            })
            .collect(),
    }))
}

async fn in_force(ctx: &Ctx) -> Result<AcsSettings, Fail> {
    let settings: AcsSettings =
        serde_json::to_value(&*ctx.app().policy())
            .and_then(serde_json::from_value)
            .map_err(|error| AppError::Internal(format!("the ACS policy cannot be shown: {error}")))?;
    let set = ctx.app().first_contact_set().await?;
    Ok(AcsSettings { first_contact_password_since: set.map(|set| Time::from(set.since)), ..settings })
}

/// The ACS policy in force.
#[utoipa::path(get, path = "/api/v1/settings/acs", tag = "settings",
    responses((status = 200, description = "The policy.", body = AcsSettings)))]
pub(super) async fn get_acs_settings(State(ctx): State<Ctx>) -> Answer<AcsSettings> {
    Ok(Json(in_force(&ctx).await?))
}

/// Replaces the ACS policy. What would hurt a network is refused field by field.
#[utoipa::path(put, path = "/api/v1/settings/acs", tag = "settings", request_body = AcsSettingsInput,
    responses((status = 200, description = "The policy in force now.", body = AcsSettings)))]
pub(super) async fn set_acs_settings(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Body(input): Body<AcsSettingsInput>,
) -> Answer<AcsSettings> {
    let value = serde_json::to_value(&input.settings)
        .map_err(|error| AppError::invalid("settings", error.to_string()))?;
    let policy: AcsPolicy = serde_path_to_error::deserialize(value).map_err(|error| {
        let message = error.inner().to_string();
        AppError::invalid(&format!("settings.{}", error.path()), message)
    })?;
    let public = if input.public_networks_meant { PublicNetworks::Meant } else { PublicNetworks::Refused };
    ctx.app()
        .set_acs_policy_with(&actor, policy, input.first_contact_password, public)
        .await
        .map_err(as_in_the_body)?;
    Ok(Json(in_force(&ctx).await?))
}

/// Models that may be configured without a right clock.
#[utoipa::path(get, path = "/api/v1/settings/acs/clock-waivers", tag = "settings",
    responses((status = 200, description = "The models, oldest first.", body = Vec<ClockWaiverShown>)))]
pub(super) async fn list_clock_waivers(State(ctx): State<Ctx>) -> Answer<Vec<ClockWaiverShown>> {
    Ok(Json(ctx.app().clock_waivers().iter().cloned().map(ClockWaiverShown::from).collect()))
}

/// Lets every CPE of a model be configured without a right clock, from its next contact on. Kept in the audit log.
#[utoipa::path(post, path = "/api/v1/settings/acs/clock-waivers", tag = "settings", request_body = NewClockWaiver,
    responses((status = 201, description = "The model passes.", body = ClockWaiverShown)))]
pub(super) async fn waive_clock(order: Order<NewClockWaiver>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, new| async move {
            let NewClockWaiver { manufacturer, product_class, reason } = new;
            let waiver = ctx.app().waive_clock(&actor, &manufacturer, &product_class, &reason).await?;
            Reply::new(StatusCode::CREATED, &ClockWaiverShown::from(waiver))
        })
        .await
}

/// Withdraws it: nothing new is written to CPEs of the model before they show a right clock. What is in force on them
/// stays.
#[utoipa::path(post, path = "/api/v1/settings/acs/clock-waivers/withdraw", tag = "settings",
    request_body = WithdrawnModel,
    responses((status = 200, description = "The models that still pass.", body = Vec<ClockWaiverShown>)))]
pub(super) async fn withdraw_clock_waiver(order: Order<WithdrawnModel>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, old| async move {
            ctx.app().withdraw_clock_waiver(&actor, &old.manufacturer, &old.product_class).await?;
            let left: Vec<_> =
                ctx.app().clock_waivers().iter().cloned().map(ClockWaiverShown::from).collect();
            Reply::ok(&left)
        })
        .await
}

/// Models that may keep an inform interval of their own.
#[utoipa::path(get, path = "/api/v1/settings/acs/kept-intervals", tag = "settings",
    responses((status = 200, description = "The models, oldest first.", body = Vec<KeptIntervalShown>)))]
pub(super) async fn list_kept_intervals(State(ctx): State<Ctx>) -> Answer<Vec<KeptIntervalShown>> {
    Ok(Json(ctx.app().kept_intervals().iter().cloned().map(KeptIntervalShown::from).collect()))
}

/// Accepts that CPEs of a model keep this inform interval. One that does goes on from its next contact; one that keeps
/// what it is told is told what the policy says, as ever. Kept in the audit log.
#[utoipa::path(post, path = "/api/v1/settings/acs/kept-intervals", tag = "settings", request_body = NewKeptInterval,
    responses((status = 201, description = "The model may keep it.", body = KeptIntervalShown)))]
pub(super) async fn accept_interval(order: Order<NewKeptInterval>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, new| async move {
            let NewKeptInterval { manufacturer, product_class, interval_s, reason } = new;
            let kept =
                ctx.app().accept_interval(&actor, &manufacturer, &product_class, interval_s, &reason).await?;
            Reply::new(StatusCode::CREATED, &KeptIntervalShown::from(kept))
        })
        .await
}

/// Withdraws it: CPEs of the model that are not ours yet wait until they keep what they are told. What is in force on the
/// others stays.
#[utoipa::path(post, path = "/api/v1/settings/acs/kept-intervals/withdraw", tag = "settings",
    request_body = WithdrawnModel,
    responses((status = 200, description = "The models that still may.", body = Vec<KeptIntervalShown>)))]
pub(super) async fn withdraw_interval(order: Order<WithdrawnModel>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, old| async move {
            ctx.app().withdraw_interval(&actor, &old.manufacturer, &old.product_class).await?;
            let left: Vec<_> =
                ctx.app().kept_intervals().iter().cloned().map(KeptIntervalShown::from).collect();
            Reply::ok(&left)
        })
        .await
}

/// The policy is inside `settings` of the body; a password is beside it.
fn as_in_the_body(error: AppError) -> AppError {
    let AppError::Invalid { mut fields } = error else { return error };
    for wrong in fields.iter_mut().filter(|wrong| wrong.field != "first_contact_password") {
        wrong.field.insert_str(0, "settings.");
    }
    AppError::Invalid { fields }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_policy_goes_through_the_api_and_nothing_else() {
        let policy = AcsPolicy {
            management_networks: vec!["10.20.0.0/16".parse().expect("a network")],
            nat_networks: vec!["10.20.8.0/24".parse().expect("a network")],
            ntp_networks: vec![app::NtpNetwork {
                network: "10.20.9.0/24".parse().expect("a network"),
                servers: vec!["10.20.9.1".into()],
            }],
            ..AcsPolicy::default()
        };
        let shown: AcsSettings =
            serde_json::from_value(serde_json::to_value(&policy).expect("json")).expect("every key is known");
        let back: AcsPolicy =
            serde_json::from_value(serde_json::to_value(&shown).expect("json")).expect("every key is there");
        assert_eq!(back, policy);
    }

    #[test]
    fn the_description_says_the_bounds_that_are_kept() {
        let document: serde_json::Value = serde_json::to_value(crate::api::v1::openapi()).expect("json");
        let now = types::UtcMs(1_795_271_400_000);
        for bound in app::PolicyBound::all() {
            let schema = if bound.field == bound.name() { "AcsSettings" } else { "ProvisioningPolicy" };
            let described = &document["components"]["schemas"][schema]["properties"][bound.name()];
            let (low, high) = bound.range(app::PolicyLimits::Network, now);
            let low = if bound.zero_too() { 0 } else { low };
            assert_eq!(described["minimum"].as_u64(), Some(low), "{}", bound.field);
            if bound.name() != "clock_floor_year" {
                assert_eq!(described["maximum"].as_u64(), Some(high), "{}", bound.field);
            }
        }
    }
}
