//! People, customers and ONUs to test with, and somebody who calls CPEs.

use app::{
    AcsPolicy, Actor, App, NewCustomer, NewPlan, NewService, Role, WifiInput,
    ports::{CallReport, ConnectionRequestOutcome, ConnectionRequestTarget, ConnectionRequester},
};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use store::{AdminState, OltProtocol, Presence, StoreError, onus, rows, services, timeline as history};
use types::{CpeId, CustomerId, OltId, OnuRowId, PlanId, Secret, Serial, ServiceId, UserId};

pub(crate) const PPPOE_PASSWORD: &str = "pppoe-Zahra-7781";
pub(crate) const PASSPHRASE: &str = "wifi-Zahra-9942";

/// An administrator who logged in.
pub(crate) fn admin() -> Actor {
    person("nino", Role::Admin)
}

pub(crate) fn person(name: &str, role: Role) -> Actor {
    Actor::User { id: UserId(1), name: name.to_owned(), role, address: Some("192.0.2.10".to_owned()) }
}

/// Plays the ACS edge's other half: writes down who is called and answers as told.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<CallsInner>);

#[derive(Default)]
struct CallsInner {
    made: Mutex<Vec<ConnectionRequestTarget>>,
    answer: Mutex<Option<ConnectionRequestOutcome>>,
    hangs: AtomicBool,
}

impl Calls {
    pub(crate) fn answer(&self, outcome: ConnectionRequestOutcome) {
        *self.0.answer.lock().expect("lock") = Some(outcome);
    }

    /// From now on the answer never comes: the process will die in the middle of it.
    pub(crate) fn hang(&self, hangs: bool) {
        self.0.hangs.store(hangs, Ordering::SeqCst);
    }

    /// Every call ever made.
    pub(crate) fn made(&self) -> Vec<ConnectionRequestTarget> {
        self.0.made.lock().expect("lock").clone()
    }
}

#[async_trait::async_trait]
impl ConnectionRequester for Calls {
    async fn request(&self, target: ConnectionRequestTarget) -> CallReport {
        // Before anybody can see the call: whoever does may change what the next one meets.
        let hangs = self.0.hangs.load(Ordering::SeqCst);
        self.0.made.lock().expect("lock").push(target);
        if hangs {
            std::future::pending::<()>().await;
        }
        self.0.answer.lock().expect("lock").unwrap_or(ConnectionRequestOutcome::Accepted).into()
    }
}

/// Short times, and 127.20.0.0/16 as the management network.
pub(crate) fn policy() -> AcsPolicy {
    let mut policy = AcsPolicy {
        management_networks: vec!["127.20.0.0/16".parse().expect("a network")],
        ..AcsPolicy::default()
    };
    policy.provisioning.inform_interval_s = 60;
    policy.provisioning.inform_spread_s = 0;
    policy.provisioning.drift_check_s = 0;
    policy
}

pub(crate) async fn with_policy(app: &App) {
    app.set_acs_policy(&admin(), policy(), None).await.expect("the policy is acceptable");
}

pub(crate) fn serial(text: &str) -> Serial {
    text.parse().expect("a serial number")
}

pub(crate) async fn customer(app: &App, name: &str) -> CustomerId {
    let input = NewCustomer { name: name.to_owned(), ..NewCustomer::default() };
    app.create_customer(&admin(), input).await.expect("a customer")
}

pub(crate) fn pppoe_plan(name: &str) -> NewPlan {
    NewPlan {
        name: name.to_owned(),
        down_kbps: 100_000,
        up_kbps: 50_000,
        price_minor: 2_500,
        currency: "EUR".parse().expect("a currency"),
        internet_mode: "pppoe".to_owned(),
        vlan: Some(100),
    }
}

pub(crate) async fn plan(app: &App, name: &str) -> PlanId {
    app.create_plan(&admin(), pppoe_plan(name)).await.expect("a plan")
}

/// A service of a customer of its own, waiting for an ONU if one is named. The login is `user@isp` for the first.
pub(crate) async fn service(app: &App, login: &str, expected: Option<Serial>) -> ServiceId {
    let (customer, plan) = (customer(app, login).await, plan(app, &format!("Home 100 {login}")).await);
    let input = NewService {
        customer_id: customer,
        plan_id: plan,
        pppoe_login: Some(login.to_owned()),
        pppoe_password: Some(Secret::new(PPPOE_PASSWORD)),
        wifi: Some(WifiInput {
            ssid: "Zahra".to_owned(),
            passphrase: Some(Secret::new(PASSPHRASE)),
            enabled: true,
        }),
        expected_serial: expected,
        address: String::new(),
    };
    app.create_service(&admin(), input).await.expect("a service")
}

/// An OLT that nobody speaks to.
pub(crate) async fn quiet_olt(app: &App, name: &str) -> OltId {
    let row = rows::Olt {
        name: name.to_owned(),
        vendor_profile: "huawei_smartax".to_owned(),
        address: "127.0.0.1".to_owned(),
        port: 1,
        protocol: OltProtocol::Telnet,
        username: "lightkeeper".to_owned(),
        admin_state: AdminState::Disabled,
        defaults: serde_json::to_value(app::OltDefaults::default()).expect("json"),
        created_at: app.now(),
        ..Default::default()
    };
    app.store().write(move |tx| Box::pin(async move { tx.insert(&row).await })).await.expect("an OLT")
}

/// An ONU that was authorised on an OLT and carries a service, if one is given.
pub(crate) async fn onu(app: &App, olt: OltId, serial: Serial, service: Option<ServiceId>) -> OnuRowId {
    let now = app.now();
    let id = app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let pon = "0/1/0".parse().expect("a port");
                let used = onus::ids_in_use(tx, olt, pon).await?;
                let onu_id = used.last().map_or(0, |last| last + 1);
                let id = tx.insert(&rows::Onu::planned(olt, pon, onu_id, serial, now)).await?;
                if let Some(service) = service {
                    services::link_onu(tx, service, Some(id)).await?;
                }
                Ok::<_, StoreError>(id)
            })
        })
        .await
        .expect("an ONU");
    olt_says(app, id, Presence::InService).await;
    id
}

/// As read of an OLT whose software cannot say at which addresses its ONUs are.
fn no_address(app: &App) -> serde_json::Value {
    serde_json::json!({ "management": { "read_at": app.now(), "cannot_tell": "it is an old one" } })
}

/// A service whose ONU is online on an OLT that nobody speaks to.
pub(crate) async fn customer_with_onu(app: &App, login: &str, serial: Serial) -> (ServiceId, OnuRowId) {
    with_policy(app).await;
    let service = service(app, login, Some(serial)).await;
    let olt = quiet_olt(app, &format!("olt-{login}")).await;
    (service, onu(app, olt, serial, Some(service)).await)
}

/// The same, with the CPE that an authorisation announced.
pub(crate) async fn announced(app: &App, login: &str, serial: Serial) -> (ServiceId, OnuRowId, CpeId) {
    let (service, onu) = customer_with_onu(app, login, serial).await;
    let now = app.now();
    let placeholder = app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let row = rows::Cpe {
                    serial_number: serial.hex16(),
                    pon_serial: Some(serial),
                    state: "DISCOVERED".into(),
                    state_since: now,
                    created_at: now,
                    ..Default::default()
                };
                let id = tx.insert(&row).await?;
                services::link_cpe(tx, service, Some(id)).await?;
                let line = rows::TimelineEntry {
                    at: now,
                    kind: "state".into(),
                    service_id: Some(service),
                    cpe_id: Some(id),
                    code: "onu_known".into(),
                    text: "Authorised; its CPE has not spoken to us yet.".into(),
                    actor: "test".into(),
                    facts: serde_json::json!({}),
                    ..Default::default()
                };
                history::append(tx, &line).await?;
                Ok::<_, StoreError>(id)
            })
        })
        .await
        .expect("written");
    (service, onu, placeholder)
}

/// The OLT's word about an ONU, now; at which address it is it cannot tell.
pub(crate) async fn olt_says(app: &App, onu: OnuRowId, presence: Presence) {
    let seen = onus::OnuObservation {
        presence,
        at: app.now(),
        observed: Some(no_address(app)),
        ..Default::default()
    };
    app.store()
        .write(move |tx| Box::pin(async move { onus::observe(tx, onu, seen).await }))
        .await
        .expect("an observation");
}

/// The OLT's word that an ONU is online at these addresses, now.
pub(crate) async fn olt_has(app: &App, onu: OnuRowId, addresses: &[&str]) {
    let hosts: Vec<_> = addresses
        .iter()
        .map(|address| serde_json::json!({ "address": address, "vlan": null, "mac": null }))
        .collect();
    let word = serde_json::json!({ "management": { "read_at": app.now(), "hosts": hosts } });
    let seen = onus::OnuObservation {
        presence: Presence::InService,
        at: app.now(),
        observed: Some(word),
        ..Default::default()
    };
    app.store()
        .write(move |tx| Box::pin(async move { onus::observe(tx, onu, seen).await }))
        .await
        .expect("an observation");
}

pub(crate) async fn cpe_row(app: &App, id: CpeId) -> rows::Cpe {
    app.store().get(id).await.expect("readable").expect("the CPE is there")
}

/// All CPEs, by id.
pub(crate) async fn cpe_rows(app: &App) -> Vec<rows::Cpe> {
    app.store().page(0, 1000).await.expect("readable")
}

pub(crate) async fn service_row(app: &App, id: ServiceId) -> rows::Service {
    app.store().get(id).await.expect("readable").expect("the service is there")
}

/// The whole history, oldest first.
pub(crate) async fn timeline(app: &App) -> Vec<rows::TimelineEntry> {
    app.store().page(0, 10_000).await.expect("readable")
}

/// History lines of this code about a CPE.
pub(crate) async fn told(app: &App, cpe: CpeId, code: &str) -> Vec<rows::TimelineEntry> {
    timeline(app).await.into_iter().filter(|e| e.cpe_id == Some(cpe) && e.code == code).collect()
}
