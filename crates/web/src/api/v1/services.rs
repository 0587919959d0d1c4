//! Services: what each customer should have, layer by layer, and what carries it.

use app::{AccessInput, Generated, InternetInput, NewService, VlanInput, WifiInput};
use axum::{Json, extract::State, response::Response};
use provisioning::{AccessIntent, InternetIntent, InternetMode, Ipv6Mode, LanIntent, WifiSecurity};
use serde::{Deserialize, Serialize};
use store::{
    Layer, ServiceState,
    read::{ServiceFilter, ServiceRow},
    services,
};
use types::{CustomerId, PlanId, Secret, Serial, ServiceId};
use utoipa::ToSchema;

use super::{
    access::once_shown,
    idempotency::Order,
    input::{Asked, Body, Filter, Id, list_query, one_of},
    onus::CpeBrief,
    output::{Answer, List, Named, Reply, Time, found, serial, time},
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    pages::port_name,
    state::Ctx,
};

list_query! {
    /// Which services.
    ServiceQuery {
        /// Code, customer, address, PPPoE login, phone, or serial in any notation.
        q: String,
        /// `reserved`, `inactive`, `active`, `suspended` or `terminated`.
        state: String,
        /// State of the CPE, e.g. `FAILED`; `none` for services without a CPE.
        cpe_state: String,
        /// Only of this customer.
        customer_id: i64,
        /// Only those an ONU can still be given to.
        without_onu: bool,
    } /// One of code, customer, state, plan, cpe, created, activated.
    sort ["code", "customer", "state", "plan", "cpe", "created", "activated"]
    check |asked| {
        let known: Vec<&str> = ServiceState::ALL.iter().map(|word| word.as_str()).collect();
        one_of("state", asked.state.as_deref(), &known)?;
        let mut known = vec!["none"];
        known.extend(provisioning::State::ALL.iter().map(|state| state.as_str()));
        one_of("cpe_state", asked.cpe_state.as_deref(), &known)
    }
}

/// A service with everything it ties together.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Service {
    id: i64,
    /// Given by us, e.g. `S-10001`.
    code: String,
    /// `reserved`, `inactive`, `active`, `suspended` or `terminated`.
    state: String,
    /// What the network lets the customer do: `allowed`, `walled_garden`, `throttled` or `blocked`.
    access_state: String,
    /// Why access is denied.
    deny_reason: Option<String>,
    pppoe_login: Option<String>,
    /// PON serial number of the ONU that will be installed.
    expected_serial: Option<String>,
    /// The same in 16 hex digits.
    expected_serial_hex: Option<String>,
    /// Where the service is.
    address: String,
    customer: Named,
    plan: Named,
    onu: Option<OnuBrief>,
    cpe: Option<CpeBrief>,
    activated_at: Option<Time>,
    created_at: Time,
    /// Counts changes; given with a correction, it says that nobody else was quicker.
    version: i64,
}

/// The ONU of a service.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OnuBrief {
    id: i64,
    /// PON serial number as people write it.
    serial: String,
    /// The same in 16 hex digits.
    serial_hex: String,
    olt: Option<Named>,
    /// Where, frame/slot/port.
    pon: String,
    /// What the OLT sees of it.
    presence: String,
}

fn service(row: ServiceRow) -> Service {
    let olt = super::output::named(row.olt_id, row.olt_name);
    Service {
        id: row.id,
        code: row.code,
        state: row.state,
        access_state: row.access_state,
        deny_reason: row.deny_reason,
        pppoe_login: row.pppoe_login,
        expected_serial: row.expected_serial.as_deref().map(serial),
        expected_serial_hex: row.expected_serial,
        address: row.address,
        customer: Named { id: row.customer_id, name: row.customer_name },
        plan: Named { id: row.plan_id, name: row.plan_name },
        onu: row.onu_row_id.map(|id| {
            let serial_hex = row.onu_serial.unwrap_or_default();
            OnuBrief {
                id,
                serial: serial(&serial_hex),
                serial_hex,
                olt,
                pon: row.onu_pon.unwrap_or_default(),
                presence: row.onu_presence.unwrap_or_default(),
            }
        }),
        cpe: row.cpe_id.map(|id| CpeBrief {
            id,
            state: row.cpe_state.unwrap_or_default(),
            state_since_at: time(row.cpe_state_since),
            reason_code: row.cpe_reason_code.unwrap_or_default(),
            reason: row.cpe_reason_text.unwrap_or_default(),
            model: row.cpe_model.unwrap_or_default(),
        }),
        activated_at: time(row.activated_at),
        created_at: row.created_at.into(),
        version: row.version,
    }
}

/// A Wi-Fi network as wanted, the same on every band.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WifiWanted {
    /// Network name, 32 bytes at most.
    ssid: String,
    /// WPA2 passphrase, 8 to 63 printable ASCII characters. Absent keeps it, or makes a random one.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    passphrase: Option<Secret>,
    /// False switches the network off. True if absent.
    enabled: Option<bool>,
}

impl From<WifiWanted> for WifiInput {
    fn from(wifi: WifiWanted) -> Self {
        WifiInput { ssid: wifi.ssid, passphrase: wifi.passphrase, enabled: wifi.enabled.unwrap_or(true) }
    }
}

/// A service to create, before any device is known.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceInput {
    /// Who buys it.
    customer_id: i64,
    /// What is bought.
    plan_id: i64,
    /// PPPoE user name; absent: derived from the service code.
    pppoe_login: Option<String>,
    /// PPPoE password; absent: a random one.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    pppoe_password: Option<Secret>,
    /// The home network; absent: a name from the service code and a random passphrase.
    wifi: Option<WifiWanted>,
    /// PON serial number, in any notation, of the ONU that will be installed.
    #[schema(value_type = Option<String>)]
    expected_serial: Option<Serial>,
    /// Where the service is; absent: the customer's address.
    #[serde(default)]
    address: String,
}

/// A service that was made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedService {
    #[serde(flatten)]
    service: Service,
    /// What was generated because it was not given; null if nothing was, and in a replay.
    generated: Option<GeneratedSecrets>,
}

/// Secrets that were generated, shown this once. They are sealed at rest and no read gives them: lost means have a new
/// one made.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GeneratedSecrets {
    /// Login that the password is for.
    pppoe_login: Option<String>,
    /// PPPoE password, to be entered at the BRAS.
    #[schema(format = Password)]
    pppoe_password: Option<String>,
    /// Network that the passphrase is for.
    ssid: Option<String>,
    /// Wi-Fi passphrase, for the subscriber.
    #[schema(format = Password)]
    wifi_passphrase: Option<String>,
}

/// A secret that was made anew.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RenewedSecret {
    /// The new one, shown this once; null in a replay.
    generated: Option<GeneratedSecrets>,
}

fn generated(made: Generated) -> Option<GeneratedSecrets> {
    if made.is_empty() {
        return None;
    }
    let split = |pair: Option<(String, Secret)>| match pair {
        Some((name, secret)) => (Some(name), Some(secret.expose().to_owned())),
        None => (None, None),
    };
    let (pppoe_login, pppoe_password) = split(made.pppoe);
    let (ssid, wifi_passphrase) = split(made.wifi);
    Some(GeneratedSecrets { pppoe_login, pppoe_password, ssid, wifi_passphrase })
}

/// The internet layer as wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InternetWanted {
    /// `pppoe`, `dhcp`, `static` or `bridge`.
    mode: String,
    /// PPPoE user name.
    username: Option<String>,
    /// PPPoE password. Absent keeps it.
    #[schema(value_type = Option<String>, format = Password, write_only)]
    password: Option<Secret>,
    /// VLAN of the WAN, 1 to 4094; `"none"`: untagged. Absent keeps it. Once an ONU carries the service, its service port
    /// decides.
    vlan: Option<VlanWanted>,
    /// For the mode `static`. Absent keeps it.
    fixed: Option<FixedAddress>,
    /// Addresses of the LAN are translated. Absent keeps it; a bridge never does.
    nat: Option<bool>,
    /// IPv6 beside IPv4. Absent keeps it.
    ipv6: Option<bool>,
    /// Largest packet in octets, 1280 to 1508; 0: the router's own. Absent keeps it.
    mtu: Option<u16>,
    /// Ports and SSIDs of this WAN, `lan1` to `lan8` and `ssid1` to `ssid8`; empty: all of them. Absent keeps it.
    bind: Option<Vec<String>>,
    /// Also keep the vendor's policy-route row for the binding. Absent keeps it.
    policy_routes: Option<bool>,
    /// `version` of the layer that this was decided by; another one is refused with 409. Absent: whatever it is now.
    version: Option<i64>,
}

/// A fixed IPv4 address of a WAN.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FixedAddress {
    /// Address of the router.
    address: String,
    /// Subnet mask.
    mask: String,
    /// Default gateway, in the same subnet.
    gateway: String,
    /// Name servers, three at most.
    #[serde(default)]
    dns: Vec<String>,
}

/// The LAN side as wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LanWanted {
    /// Address of the router on the LAN, a private one.
    address: String,
    /// Subnet mask.
    mask: String,
    /// DHCP server on. True if absent.
    dhcp: Option<bool>,
    /// First address handed out.
    dhcp_first: String,
    /// Last address handed out.
    dhcp_last: String,
    /// `version` of the access layer that this was decided by; another one is refused with 409. Absent: whatever it is now.
    version: Option<i64>,
}

/// What of a service was wrong. Both are replaced.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Correction {
    /// Where the service is.
    address: String,
    /// PON serial number, in any notation, of the ONU that it waits for; null: it is picked by hand.
    #[schema(value_type = Option<String>)]
    expected_serial: Option<Serial>,
    /// `version` of the service that this was decided by; another one is refused with 409. Absent: whatever it is now.
    version: Option<i64>,
}

/// That a service is to end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Termination {
    /// Its code, e.g. `S-10001`: it never comes back.
    confirm: String,
    /// `version` of the service that this was decided by; another one is refused with 409. Absent: whatever it is now.
    version: Option<i64>,
}

/// A VLAN, or explicitly none.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum VlanWanted {
    /// This one.
    Tag(u16),
    /// The word `none`.
    Word(NoVlan),
}

/// The word for a WAN without a VLAN.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum NoVlan {
    /// Untagged.
    None,
}

/// The access layer as wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessWanted {
    /// The home network.
    wifi: WifiWanted,
    /// `version` of the access layer that this was decided by; another one is refused with 409. Absent: whatever it is now.
    version: Option<i64>,
}

/// Why a service is suspended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Suspension {
    /// `unpaid`, `customer_request`, `abuse` or `technical`.
    reason: String,
}

/// What a service should have, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Intents {
    internet: Option<InternetShown>,
    access: Option<AccessShown>,
}

/// Who changed a layer last.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Changed {
    /// Counts changes of this layer.
    version: i64,
    updated_at: Time,
    updated_by: String,
}

/// The internet layer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct InternetShown {
    changed: Changed,
    /// `pppoe`, `dhcp`, `static` or `bridge`.
    mode: String,
    /// PPPoE user name.
    username: Option<String>,
    /// There is a PPPoE password.
    has_password: bool,
    /// Fixed IPv4 address, where the mode is `static`.
    fixed: Option<FixedAddress>,
    /// VLAN of the WAN; null: untagged or left to the OLT.
    vlan: Option<u16>,
    /// 802.1p priority.
    priority: Option<u8>,
    /// Addresses of the LAN are translated.
    nat: bool,
    /// IPv6 beside IPv4.
    ipv6: bool,
    /// The WAN stays, disabled.
    suspended: bool,
    /// Largest packet in octets; null: left as it is.
    mtu: Option<u16>,
    /// Ports and SSIDs of this WAN, e.g. `lan1`; empty: all of them.
    bind: Vec<String>,
    /// The vendor's policy-route row is kept for the binding.
    policy_routes: bool,
}

/// The access layer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AccessShown {
    changed: Changed,
    /// One per band.
    wifi: Vec<WifiShown>,
    /// Null: the LAN is left as it is.
    lan: Option<LanShown>,
}

/// A Wi-Fi network of one band.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WifiShown {
    /// `2.4GHz` or `5GHz`.
    band: String,
    enabled: bool,
    ssid: String,
    /// `open`, `wpa2` or `mixed`.
    security: String,
    /// There is a passphrase.
    has_passphrase: bool,
}

/// The LAN side.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LanShown {
    /// Address of the CPE on the LAN.
    address: String,
    /// Subnet mask.
    mask: String,
    /// DHCP server on.
    dhcp: bool,
    /// First address handed out.
    dhcp_first: String,
    /// Last address handed out.
    dhcp_last: String,
}

fn internet_shown(changed: Changed, intent: InternetIntent) -> InternetShown {
    let mode = intent.mode.as_str().to_owned();
    let (username, has_password, fixed) = match intent.mode {
        InternetMode::Pppoe { username, password } => (Some(username), !password.is_empty(), None),
        InternetMode::Static { address, mask, gateway, dns } => {
            (None, false, Some(FixedAddress { address, mask, gateway, dns }))
        }
        InternetMode::Dhcp | InternetMode::Bridge => (None, false, None),
    };
    InternetShown {
        changed,
        mode,
        username,
        has_password,
        fixed,
        vlan: intent.vlan,
        priority: intent.priority,
        nat: intent.nat,
        ipv6: intent.ipv6 == Ipv6Mode::On,
        suspended: intent.suspended,
        mtu: intent.mtu,
        bind: intent.bind.into_iter().map(port_name).collect(),
        policy_routes: intent.policy_routes,
    }
}

fn access_shown(changed: Changed, intent: AccessIntent) -> AccessShown {
    let wifi = intent.wifi.into_iter().map(|wifi| WifiShown {
        band: wifi.band.as_str().to_owned(),
        enabled: wifi.enabled,
        ssid: wifi.ssid,
        security: wifi.security.as_str().to_owned(),
        has_passphrase: wifi.security != WifiSecurity::Open && !wifi.passphrase.is_empty(),
    });
    let lan = intent.lan.map(|LanIntent { address, mask, dhcp, dhcp_first, dhcp_last }| LanShown {
        address,
        mask,
        dhcp,
        dhcp_first,
        dhcp_last,
    });
    AccessShown { changed, wifi: wifi.collect(), lan }
}

async fn one(ctx: &Ctx, id: i64) -> Result<Service, Fail> {
    found(ctx.read().service(id).await?, "service", id).map(service)
}

/// Opens the sealed intents and keeps only what may be shown.
async fn intents_of(ctx: &Ctx, id: i64) -> Result<Intents, Fail> {
    let mut shown = Intents { internet: None, access: None };
    for open in services::intents(ctx.app().store(), ServiceId(id)).await? {
        let changed = Changed {
            version: open.intent_version,
            updated_at: open.updated_at.into(),
            updated_by: open.updated_by,
        };
        // The parser's own words may quote a secret, so they are dropped.
        let unreadable = || {
            let text = format!("the {} intent of service {id} cannot be read", open.layer);
            Fail::from(app::AppError::Internal(text))
        };
        match open.layer {
            Layer::Internet => {
                let intent = serde_json::from_str(open.body.expose()).map_err(|_| unreadable())?;
                shown.internet = Some(internet_shown(changed, intent));
            }
            Layer::Access => {
                let intent = serde_json::from_str(open.body.expose()).map_err(|_| unreadable())?;
                shown.access = Some(access_shown(changed, intent));
            }
            Layer::Core | Layer::Extras => {}
        }
    }
    Ok(shown)
}

/// Services, those in trouble first.
#[utoipa::path(get, path = "/api/v1/services", tag = "services", params(ServiceQuery),
    responses((status = 200, description = "A page of services.", body = List<Service>)))]
pub(super) async fn list_services(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<ServiceQuery>,
) -> Answer<List<Service>> {
    let (page, sort) = (asked.page(), asked.sort());
    let filter = ServiceFilter {
        q: asked.q.unwrap_or_default(),
        state: asked.state,
        cpe_state: asked.cpe_state,
        customer_id: asked.customer_id,
        without_onu: asked.without_onu.unwrap_or_default(),
    };
    Ok(List::of(ctx.read().services(&filter, &sort, page).await?, page, service))
}

/// Reserves a service: what the customer should have, before any device is known.
#[utoipa::path(post, path = "/api/v1/services", tag = "services", request_body = ServiceInput,
    responses((status = 201, description = "Reserved.", body = CreatedService,
        headers(("Location" = String, description = "Where it is.")))))]
pub(super) async fn create_service(order: Order<ServiceInput>) -> Result<Response, ApiFail> {
    order
        .once(|ctx, actor, input| async move {
            let new = NewService {
                customer_id: CustomerId(input.customer_id),
                plan_id: PlanId(input.plan_id),
                pppoe_login: input.pppoe_login,
                pppoe_password: input.pppoe_password,
                wifi: input.wifi.map(WifiInput::from),
                expected_serial: input.expected_serial,
                address: input.address,
            };
            let (id, made) = ctx.app().reserve_service(&actor, new).await?;
            let shown = CreatedService { service: one(&ctx, id.0).await?, generated: generated(made) };
            once_shown(Reply::created(format!("/api/v1/services/{id}"), &shown)?, "generated")
        })
        .await
}

/// One service.
#[utoipa::path(get, path = "/api/v1/services/{id}", tag = "services",
    params(("id" = i64, Path, description = "The service.")),
    responses((status = 200, description = "The service.", body = Service)))]
pub(super) async fn get_service(State(ctx): State<Ctx>, Id(id): Id) -> Answer<Service> {
    Ok(Json(one(&ctx, id).await?))
}

/// What a service should have, layer by layer. What the router really has is the evidence of its CPE.
#[utoipa::path(get, path = "/api/v1/services/{id}/intents", tag = "services",
    params(("id" = i64, Path, description = "The service.")),
    responses((status = 200, description = "The intents.", body = Intents)))]
pub(super) async fn get_intents(State(ctx): State<Ctx>, Id(id): Id) -> Answer<Intents> {
    one(&ctx, id).await?;
    Ok(Json(intents_of(&ctx, id).await?))
}

/// Changes what the internet layer should be. The router is told in its next session; until it is read back this is a
/// wish.
#[utoipa::path(put, path = "/api/v1/services/{id}/intents/internet", tag = "services",
    params(("id" = i64, Path, description = "The service.")), request_body = InternetWanted,
    responses((status = 200, description = "The intents.", body = Intents)))]
pub(super) async fn set_internet(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(input): Body<InternetWanted>,
) -> Answer<Intents> {
    let InternetWanted {
        mode,
        username,
        password,
        vlan,
        fixed,
        nat,
        ipv6,
        mtu,
        bind,
        policy_routes,
        version,
    } = input;
    let vlan = vlan.map(|vlan| match vlan {
        VlanWanted::Tag(vlan) => VlanInput::Tag(vlan),
        VlanWanted::Word(NoVlan::None) => VlanInput::NONE,
    });
    let fixed = fixed.map(|FixedAddress { address, mask, gateway, dns }| app::FixedAddress {
        address,
        mask,
        gateway,
        dns,
    });
    let wanted = InternetInput { mode, username, password, vlan, fixed, nat, ipv6, mtu, bind, policy_routes };
    let seen = version.map(app::Seen::Version);
    ctx.app().set_internet_as_seen(&actor, ServiceId(id), wanted, seen).await?;
    Ok(Json(intents_of(&ctx, id).await?))
}

/// Changes what the access layer (Wi-Fi) should be. The WAN is not touched by it.
#[utoipa::path(put, path = "/api/v1/services/{id}/intents/access", tag = "services",
    params(("id" = i64, Path, description = "The service.")), request_body = AccessWanted,
    responses((status = 200, description = "The intents.", body = Intents)))]
pub(super) async fn set_access(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(input): Body<AccessWanted>,
) -> Answer<Intents> {
    let seen = input.version.map(app::Seen::Version);
    let wanted = AccessInput { wifi: input.wifi.into() };
    ctx.app().set_access_as_seen(&actor, ServiceId(id), wanted, seen).await?;
    Ok(Json(intents_of(&ctx, id).await?))
}

/// Changes what the LAN side should be. Wi-Fi and WAN are not touched by it.
#[utoipa::path(put, path = "/api/v1/services/{id}/intents/lan", tag = "services",
    params(("id" = i64, Path, description = "The service.")), request_body = LanWanted,
    responses((status = 200, description = "The intents.", body = Intents)))]
pub(super) async fn set_lan(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(input): Body<LanWanted>,
) -> Answer<Intents> {
    let LanWanted { address, mask, dhcp, dhcp_first, dhcp_last, version } = input;
    let lan = app::LanInput { address, mask, dhcp: dhcp.unwrap_or(true), dhcp_first, dhcp_last };
    let seen = version.map(app::Seen::Version);
    ctx.app().set_lan_as_seen(&actor, ServiceId(id), Some(lan), seen).await?;
    Ok(Json(intents_of(&ctx, id).await?))
}

/// Leaves the LAN side to the router from now on. What it has stays.
#[utoipa::path(delete, path = "/api/v1/services/{id}/intents/lan", tag = "services",
    params(("id" = i64, Path, description = "The service.")),
    responses((status = 200, description = "The intents.", body = Intents)))]
pub(super) async fn leave_lan(State(ctx): State<Ctx>, Caller(actor): Caller, Id(id): Id) -> Answer<Intents> {
    ctx.app().set_lan(&actor, ServiceId(id), None).await?;
    Ok(Json(intents_of(&ctx, id).await?))
}

/// Puts right where a service is and which ONU it waits for.
#[utoipa::path(put, path = "/api/v1/services/{id}", tag = "services",
    params(("id" = i64, Path, description = "The service.")), request_body = Correction,
    responses((status = 200, description = "The service.", body = Service)))]
pub(super) async fn correct_service(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
    Body(input): Body<Correction>,
) -> Answer<Service> {
    let Correction { address, expected_serial, version } = input;
    let correction = app::ServiceCorrection { address, expected_serial };
    ctx.app().correct_service(&actor, ServiceId(id), correction, version).await?;
    Ok(Json(one(&ctx, id).await?))
}

/// Ends a service for good. Its CPE is released: nothing more is sent to it, and it keeps what it has. Its ONU stays on
/// its OLT until somebody orders that it is removed.
#[utoipa::path(post, path = "/api/v1/services/{id}/terminate", tag = "services",
    params(("id" = i64, Path, description = "The service.")), request_body = Termination,
    responses((status = 200, description = "Ended.", body = Service)))]
pub(super) async fn terminate_service(Id(id): Id, order: Order<Termination>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, input| async move {
            let code = one(&ctx, id).await?.code;
            if input.confirm != code {
                return Err(app::AppError::invalid("confirm", format!("is not {code}.")).into());
            }
            ctx.app().terminate_service(&actor, ServiceId(id), input.version).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}

/// Makes a new PPPoE password, shows it once, and lets the router have it in its next session. The one in force ends.
#[utoipa::path(post, path = "/api/v1/services/{id}/pppoe-password", tag = "services",
    params(("id" = i64, Path, description = "The service.")),
    responses((status = 200, description = "Made; not confirmed by the router yet.", body = RenewedSecret)))]
pub(super) async fn renew_pppoe_password(
    Id(id): Id,
    order: Order<super::input::Nothing>,
) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            let made = ctx.app().renew_pppoe_password(&actor, ServiceId(id)).await?;
            once_shown(Reply::ok(&RenewedSecret { generated: generated(made) })?, "generated")
        })
        .await
}

/// Makes a new Wi-Fi passphrase, the same on every band, shows it once, and lets the router have it in its next session.
/// The one in force ends.
#[utoipa::path(post, path = "/api/v1/services/{id}/wifi-passphrase", tag = "services",
    params(("id" = i64, Path, description = "The service.")),
    responses((status = 200, description = "Made; not confirmed by the router yet.", body = RenewedSecret)))]
pub(super) async fn renew_wifi_passphrase(
    Id(id): Id,
    order: Order<super::input::Nothing>,
) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            let made = ctx.app().renew_wifi_passphrase(&actor, ServiceId(id)).await?;
            once_shown(Reply::ok(&RenewedSecret { generated: generated(made) })?, "generated")
        })
        .await
}

/// Stops a service for a while: the WAN is disabled, nothing is deleted.
#[utoipa::path(post, path = "/api/v1/services/{id}/suspend", tag = "services",
    params(("id" = i64, Path, description = "The service.")), request_body = Suspension,
    responses((status = 200, description = "Suspended; the router is told in its next session.", body = Service)))]
pub(super) async fn suspend_service(Id(id): Id, order: Order<Suspension>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, input| async move {
            ctx.app().suspend_service(&actor, ServiceId(id), &input.reason).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}

/// Lets a suspended service run again.
#[utoipa::path(post, path = "/api/v1/services/{id}/resume", tag = "services",
    params(("id" = i64, Path, description = "The service.")),
    responses((status = 200, description = "Resumed; the router is told in its next session.", body = Service)))]
pub(super) async fn resume_service(
    Id(id): Id,
    order: Order<super::input::Nothing>,
) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().resume_service(&actor, ServiceId(id)).await?;
            Reply::ok(&one(&ctx, id).await?)
        })
        .await
}
