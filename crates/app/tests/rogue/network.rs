//! A network with one OLT whose word is what a test says it is.

use app::{
    AcsPolicy, Actor, App, AppError, AppParts, NewCustomer, NewOlt, NewPlan, NewService,
    ports::{
        AuthLevel, Begin, CallReport, ConnectionRequestOutcome, ConnectionRequestTarget, ConnectionRequester,
        CpeFrontDoor, Identity, InformFacts, Next, Peer, SessionEnd,
    },
};
use provisioning::{Device, InformEvent, ParamValue};
use std::{net::IpAddr, sync::Arc};
use store::{KeySource, Presence, Store, StoreConfig, StoreError, onus, rows, services};
use types::{CpeId, ManualClock, OltId, Serial, ServiceId, UtcMs};

pub(crate) const START: UtcMs = UtcMs(1_795_271_400_000);
pub(crate) const HOME: &str = "127.20.0.10";
pub(crate) const ELSEWHERE: &str = "127.20.0.66";

struct Nobody;

#[async_trait::async_trait]
impl ConnectionRequester for Nobody {
    async fn request(&self, _: ConnectionRequestTarget) -> CallReport {
        ConnectionRequestOutcome::Unreachable.into()
    }
}

pub(crate) struct Network {
    pub(crate) app: App,
    pub(crate) clock: ManualClock,
    pub(crate) olt: OltId,
    pub(crate) input: NewOlt,
    _folder: tempfile::TempDir,
}

pub(crate) fn operator() -> Actor {
    Actor::System("test")
}

pub(crate) fn serial() -> Serial {
    "HWTC-7D4733C3".parse().expect("a serial number")
}

pub(crate) fn peer(address: &str, level: AuthLevel, cpe: Option<CpeId>) -> Peer {
    let address: IpAddr = address.parse().expect("an address");
    let username = cpe.map(|id| format!("lk{id}"));
    Peer { address, tls: false, identity: Identity { level, username, cpe } }
}

pub(crate) fn stranger(address: &str) -> Peer {
    peer(address, AuthLevel::Anonymous, None)
}

pub(crate) fn leaf(name: &str, value: &str) -> ParamValue {
    let path = format!("InternetGatewayDevice.DeviceInfo.{name}");
    ParamValue { path, value: value.into(), kind: Default::default() }
}

pub(crate) fn inform(oui: &str, serial_number: &str, code: &str) -> InformFacts {
    InformFacts {
        manufacturer: "Huawei Technologies Co., Ltd".into(),
        oui: oui.into(),
        product_class: if oui.is_empty() { String::new() } else { "EG8145V5".into() },
        serial_number: serial_number.into(),
        events: vec![InformEvent { code: code.into(), command_key: String::new() }],
        current_time: "2026-11-21T12:00:00Z".into(),
        parameters: vec![leaf("SoftwareVersion", "V5R019C10S125")],
        cwmp_namespace: "urn:dslforum-org:cwmp-1-0".into(),
        ..InformFacts::default()
    }
}

impl Network {
    pub(crate) async fn new() -> Network {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = ManualClock::new(START);
        let url = format!("sqlite://{}", folder.path().join("t.db").display());
        let key = KeySource::File(folder.path().join("secret.key"));
        let config = StoreConfig { clock: Arc::new(clock.clone()), ..StoreConfig::new(url, key) };
        let store = Store::open(config).await.expect("opens");
        let parts = AppParts {
            store,
            clock: Arc::new(clock.clone()),
            connection: Arc::new(Nobody),
            node: "t".into(),
            limits: app::PolicyLimits::Network,
        };
        let app = App::new(parts).await.expect("starts");
        let olt: NewOlt = serde_json::from_value(serde_json::json!({
            "name": "olt-1", "address": "192.0.2.1", "port": 22, "protocol": "ssh", "username": "lk",
            "password": "olt-secret",
        }))
        .expect("an OLT");
        let id = app.add_olt(&operator(), olt.clone()).await.expect("added");
        // Nobody speaks to it: its word is what the tests say it is.
        app.update_olt(&operator(), id, olt.clone(), false).await.expect("switched off");
        let network = Network { app, clock, olt: id, input: olt, _folder: folder };
        network.policy(true).await;
        network
    }

    pub(crate) async fn policy(&self, anonymous_first_contact: bool) {
        self.room(anonymous_first_contact, 10_000).await;
    }

    pub(crate) async fn room(&self, anonymous_first_contact: bool, quarantine_limit: u64) {
        let policy = AcsPolicy {
            quarantine_limit,
            management_networks: vec!["127.20.0.0/16".parse().expect("a network")],
            anonymous_first_contact,
            ..AcsPolicy::default()
        };
        self.app.set_acs_policy(&operator(), policy, None).await.expect("accepted");
    }

    /// A customer's service that waits for this ONU.
    pub(crate) async fn service(&self, name: &str, expected_serial: Serial) -> ServiceId {
        let customer = NewCustomer { name: name.into(), ..NewCustomer::default() };
        let customer_id = self.app.create_customer(&operator(), customer).await.expect("a customer");
        let plan: NewPlan = serde_json::from_value(serde_json::json!({
            "name": format!("Home of {name}"), "down_kbps": 100_000, "up_kbps": 100_000, "price_minor": 1000,
            "currency": "EUR", "internet_mode": "pppoe",
        }))
        .expect("a plan");
        let plan_id = self.app.create_plan(&operator(), plan).await.expect("a plan");
        let service = NewService {
            customer_id,
            plan_id,
            pppoe_login: None,
            pppoe_password: None,
            wifi: None,
            expected_serial: Some(expected_serial),
            address: String::new(),
        };
        self.app.create_service(&operator(), service).await.expect("a service")
    }

    /// The OLT sees the ONU online now.
    pub(crate) async fn online(&self, service: ServiceId, serial: Serial, onu_id: i64) {
        let (olt, now) = (self.olt, self.app.now());
        self.app
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let pon = "0/1/6".parse().expect("a port");
                    let onu = tx.insert(&rows::Onu::planned(olt, pon, onu_id, serial, now)).await?;
                    let seen = onus::OnuObservation {
                        presence: Presence::InService,
                        run_state: "online".into(),
                        last_down_cause: None,
                        rx_onu_cdbm: None,
                        rx_olt_cdbm: None,
                        distance_m: None,
                        // An old OLT, that cannot say at which addresses its ONUs are.
                        observed: Some(serde_json::json!({
                            "management": { "read_at": now, "cannot_tell": "it is an old one" }
                        })),
                        at: now,
                    };
                    onus::observe(tx, onu, seen).await?;
                    services::link_onu(tx, service, Some(onu)).await
                })
            })
            .await
            .expect("written");
    }

    /// At which addresses the OLT has this ONU, read just now.
    pub(crate) async fn has(&self, serial: Serial, addresses: &[&str]) {
        let hosts: Vec<_> = addresses
            .iter()
            .map(|address| serde_json::json!({ "address": address, "vlan": 40, "mac": null }))
            .collect();
        self.says(serial, serde_json::json!({ "read_at": self.app.now(), "hosts": hosts })).await;
    }

    /// The OLT sees the ONU online again, and says this of its address.
    pub(crate) async fn says(&self, serial: Serial, word: serde_json::Value) {
        let now = self.app.now();
        self.app
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let onu = onus::by_serial(tx, serial).await?.expect("it is planned");
                    let seen = onus::OnuObservation {
                        presence: Presence::InService,
                        run_state: "online".into(),
                        observed: Some(serde_json::json!({ "management": word })),
                        at: now,
                        ..Default::default()
                    };
                    onus::observe(tx, onu.id, seen).await
                })
            })
            .await
            .expect("written");
    }

    /// The OLT has this ONU offline.
    pub(crate) async fn gone(&self, serial: Serial) {
        let now = self.app.now();
        self.app
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let onu = onus::by_serial(tx, serial).await?.expect("it is planned");
                    let seen = onus::OnuObservation {
                        presence: Presence::NotPresent,
                        run_state: "offline".into(),
                        at: now,
                        ..Default::default()
                    };
                    onus::observe(tx, onu.id, seen).await
                })
            })
            .await
            .expect("written");
    }

    /// The CPE that an authorisation announces.
    pub(crate) async fn announced(&self, service: ServiceId) -> CpeId {
        let now = self.app.now();
        self.app
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let row = rows::Cpe {
                        serial_number: serial().hex16(),
                        pon_serial: Some(serial()),
                        state: "DISCOVERED".into(),
                        state_since: now,
                        created_at: now,
                        ..Default::default()
                    };
                    let id = tx.insert(&row).await?;
                    services::link_cpe(tx, service, Some(id)).await?;
                    Ok::<_, StoreError>(id)
                })
            })
            .await
            .expect("written")
    }

    /// An operator claims a device as it was shown, speaking from there.
    pub(crate) async fn claim(&self, cpe: CpeId, service: ServiceId, shown: &str) -> Result<(), AppError> {
        self.app.claim_cpe(&operator(), cpe, service, Some(shown.parse().expect("an address"))).await
    }

    pub(crate) async fn cpe(&self, id: CpeId) -> rows::Cpe {
        self.app.store().require(id).await.expect("a CPE")
    }

    pub(crate) async fn cpe_of(&self, service: ServiceId) -> Option<CpeId> {
        self.app.store().require::<rows::Service>(service).await.expect("a service").cpe_id
    }

    /// Whether anything at all is asked of the device, and which row it was.
    pub(crate) async fn spoken_to(&self, inform: InformFacts, peer: Peer) -> (Option<CpeId>, bool) {
        match self.app.begin(inform, peer).await {
            Begin::Accepted(mut session) => {
                let cpe = session.cpe();
                let asked = matches!(session.ready().await, Next::Request(_));
                session.end(SessionEnd::Clean).await;
                (Some(cpe), asked)
            }
            Begin::Challenge | Begin::Refused { .. } | Begin::Busy { .. } => (None, false),
        }
    }

    /// As after a finished first contact: our secret is on the device and it has shown it, from `HOME`.
    pub(crate) async fn owned(&self, service: ServiceId) -> CpeId {
        let (first, asked) =
            self.spoken_to(inform("00259E", &serial().hex16(), "0 BOOTSTRAP"), stranger(HOME)).await;
        assert!(asked, "the first contact that the OLT confirms is spoken to");
        let id = first.expect("accepted");
        let now = self.app.now();
        let mut row = self.cpe(id).await;
        let mut device: Device = row.machine.read().expect("a machine");
        device.ownership.written_at = Some(now);
        device.ownership.confirmed_at = Some(now);
        row.machine = serde_json::to_value(&device).expect("json").into();
        self.app
            .store()
            .write(move |tx| Box::pin(async move { tx.update(&row).await?.or_overtaken("the CPE") }))
            .await
            .expect("written");
        self.spoken_to(
            inform("00259E", &serial().hex16(), "2 PERIODIC"),
            peer(HOME, AuthLevel::Own, Some(id)),
        )
        .await;
        let device: Device = self.cpe(id).await.machine.read().expect("a machine");
        assert!(device.ownership.proven_at.is_some());
        assert_eq!(self.cpe_of(service).await, Some(id));
        id
    }

    /// What the history of a service says under this code.
    pub(crate) async fn history(&self, service: ServiceId, code: &str) -> Vec<String> {
        let subject = store::read::TimelineSubject::Service { id: service.0, onu_row_id: None, cpe_id: None };
        let page = store::read::Page::new(1, 500);
        let lines = self.app.store().read().timeline(subject, None, page).await.expect("reads");
        lines.rows.into_iter().filter(|line| line.code == code).map(|line| line.text).collect()
    }

    pub(crate) async fn lines(&self, cpe: CpeId, code: &str) -> usize {
        let subject = store::read::TimelineSubject::Cpe(cpe.0);
        let lines = self
            .app
            .store()
            .read()
            .timeline(subject, None, store::read::Page::new(1, 500))
            .await
            .expect("reads");
        lines.rows.iter().filter(|line| line.code == code).count()
    }
}
