//! CPEs for sessions: words of an Inform said by hand, and simulated devices that answer from a data model.

use super::{bed::Bed, world::Calls};
use app::{
    App,
    ports::{
        AuthLevel, Begin, CpeFrontDoor, CpeSession, DeviceReply, DeviceRequest, Identity, InformFacts, Next,
        Peer, SessionEnd,
    },
};
use provisioning::{DeviceFault, InformEvent, NameInfo, ParamValue, ParameterFault, ValueKind};
use sim::{
    cpe::{
        CpeTiming, Kind, Quirks,
        behaviour::{DeviceSpec, Management},
        cell::Cell,
        models,
        order::{Order, Reply, Then},
        tree::Setting,
        wan::{Account, Network},
    },
    record::CpeRecord,
};
use std::{net::IpAddr, sync::Arc, time::Duration};
use types::{CpeId, Mac, Serial, UtcMs};

/// Inside the management network of the tests.
pub(crate) const INSIDE: &str = "127.20.3.9";
/// Anywhere else.
pub(crate) const OUTSIDE: &str = "198.51.100.7";

pub(crate) const VENDOR_OUI: &str = "00259E";

pub(crate) fn anonymous(address: &str) -> Peer {
    peer(address, Identity { level: AuthLevel::Anonymous, username: None, cpe: None })
}

pub(crate) fn peer(address: &str, identity: Identity) -> Peer {
    Peer { address: address.parse().expect("an address"), tls: false, identity }
}

/// An Inform as a Huawei ONT says it.
pub(crate) fn inform(serial: Serial, events: &[&str], address: &str) -> InformFacts {
    let value = |path: &str, value: String| ParamValue {
        path: format!("InternetGatewayDevice.{path}"),
        value,
        kind: ValueKind::String,
    };
    InformFacts {
        manufacturer: "Huawei Technologies Co., Ltd".to_owned(),
        oui: VENDOR_OUI.to_owned(),
        product_class: "EG8145V5".to_owned(),
        serial_number: serial.hex16(),
        events: events
            .iter()
            .map(|code| InformEvent { code: (*code).to_owned(), command_key: String::new() })
            .collect(),
        current_time: "2026-11-21T14:30:00Z".to_owned(),
        parameters: vec![
            value("DeviceInfo.SoftwareVersion", "V5R019C10S125".to_owned()),
            value("DeviceInfo.HardwareVersion", "15AD.A".to_owned()),
            value("ManagementServer.ConnectionRequestURL", format!("http://{address}:7547/tr069")),
        ],
        cwmp_namespace: "urn:dslforum-org:cwmp-1-0".to_owned(),
        ..InformFacts::default()
    }
}

pub(crate) fn accepted(begin: Begin) -> Box<dyn CpeSession> {
    match begin {
        Begin::Accepted(session) => session,
        other => panic!("the session should have been accepted: {other:?}"),
    }
}

/// The device says nothing itself; what is it asked first?
pub(crate) async fn first_request(session: &mut Box<dyn CpeSession>) -> Option<DeviceRequest> {
    match session.ready().await {
        Next::Request(request) => Some(request),
        Next::Done => None,
    }
}

/// Whether it is asked anything, and which row it was.
pub(crate) async fn asked(app: &App, facts: InformFacts, address: &str) -> (CpeId, bool) {
    let mut session = accepted(app.begin(facts, anonymous(address)).await);
    let asked = first_request(&mut session).await.is_some();
    let id = session.cpe();
    session.end(SessionEnd::Clean).await;
    (id, asked)
}

/// A whole session with a device that is told nothing: which CPE it was.
pub(crate) async fn told_nothing(app: &App, inform: InformFacts, peer: Peer) -> CpeId {
    let mut session = accepted(app.begin(inform, peer).await);
    let asked = first_request(&mut session).await;
    assert!(asked.is_none(), "it should have been told nothing: {asked:?}");
    let id = session.cpe();
    session.end(SessionEnd::Clean).await;
    id
}

/// What became of one visit of a simulated device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visit {
    /// The session went through; so many requests.
    Spoke(u32),
    /// Turned away, with the word.
    Turned(String),
    /// The connection broke in the middle.
    Broke,
}

/// A simulated device on the management network.
pub(crate) struct SimCpe {
    pub(crate) cell: Cell,
    network: Network,
    pub(crate) address: IpAddr,
    /// Every request it was ever sent, in short.
    pub(crate) asked: Vec<String>,
}

impl SimCpe {
    /// An EG8145V5 whose PPPoE account is `login` with `password` on VLAN 100.
    pub(crate) fn new(serial: Serial, address: &str, login: &str, password: &str, quirks: Quirks) -> Self {
        SimCpe::of_model("eg8145v5", serial, address, login, password, quirks)
    }

    /// The same of another model.
    pub(crate) fn of_model(
        model: &str,
        serial: Serial,
        address: &str,
        login: &str,
        password: &str,
        quirks: Quirks,
    ) -> Self {
        let info = models::load(model).expect("built in");
        let spec = DeviceSpec {
            serial,
            mac: Mac([2, 0, 0, 0, 0, 1]),
            manufacturer: info.manufacturer,
            oui: info.oui,
            product_class: info.product_class,
            cwmp_serial: serial.hex16(),
            model_name: info.model_name,
            software_version: info.software_version,
            quirks,
            timing: CpeTiming::default(),
            speed: 1.0,
            behind_olt: false,
            seed: 42,
            customer: None,
        };
        let account = Account { password: password.to_owned(), vlan: Some(100) };
        let network = Network { accounts: [(login.to_owned(), account)].into(), ..Network::default() };
        let address = address.parse().expect("an address");
        SimCpe { cell: Cell::in_memory(Arc::new(spec), info.model), network, address, asked: Vec::new() }
    }

    pub(crate) fn power_on(&mut self, now: UtcMs) {
        let management = Management {
            address: self.address,
            acs_url: "http://127.0.0.1:7547/".to_owned(),
            username: String::new(),
            password: String::new(),
            vlan: Some(40),
        };
        self.cell.act(|device| device.power_on(now, management)).expect("in memory");
    }

    /// What its OLT carries of it, and nothing else.
    pub(crate) fn carried(&mut self, flows: Vec<sim::flow::Flow>) {
        self.cell.act(|device| device.carry(flows)).expect("in memory");
    }

    pub(crate) fn factory_reset(&mut self, now: UtcMs) {
        self.cell.act(|device| device.factory_reset(now)).expect("in memory");
    }

    pub(crate) fn record(&self) -> CpeRecord {
        self.cell.record()
    }

    pub(crate) fn tick(&mut self, now: UtcMs) {
        let network = self.network.clone();
        self.cell.act(|device| device.tick(now, &network)).expect("in memory");
    }

    pub(crate) fn wants_session(&self, now: UtcMs) -> bool {
        self.cell.device().wants_session(now)
    }

    /// Somebody knocks with the right password.
    pub(crate) fn connection_request(&mut self, now: UtcMs) {
        self.cell.act(|device| device.connection_request(now)).expect("in memory");
    }

    fn inform(&mut self, now: UtcMs) -> (InformFacts, Vec<sim::cpe::behaviour::Event>) {
        let message = self.cell.act(|device| device.begin_session(now)).expect("in memory");
        let spec = &self.cell.device().spec;
        let facts = InformFacts {
            manufacturer: spec.manufacturer.clone(),
            oui: spec.oui.clone(),
            product_class: spec.product_class.clone(),
            serial_number: spec.cwmp_serial.clone(),
            events: message
                .events
                .iter()
                .map(|event| InformEvent { code: event.code.clone(), command_key: event.key.clone() })
                .collect(),
            current_time: message.current_time.to_string(),
            retry_count: message.retry_count,
            parameters: message.parameters.into_iter().map(value).collect(),
            cwmp_namespace: "urn:dslforum-org:cwmp-1-0".to_owned(),
        };
        (facts, message.events)
    }

    /// What the device can prove, as the edge would find out by a challenge.
    async fn identity(&self, app: &App) -> Identity {
        let Some((username, password)) = self.cell.device().acs_login() else {
            return Identity { level: AuthLevel::Anonymous, username: None, cpe: None };
        };
        let candidates = app.credentials_for(&username).await;
        let proven = candidates.into_iter().find(|candidate| candidate.secret.expose() == password);
        Identity {
            level: proven.as_ref().map_or(AuthLevel::Anonymous, |candidate| candidate.level),
            cpe: proven.and_then(|candidate| candidate.cpe),
            username: Some(username),
        }
    }

    /// Opens a session the way HTTP devices do: without credentials, and with them when asked.
    pub(crate) async fn open(&mut self, app: &App, now: UtcMs) -> (Begin, Vec<sim::cpe::behaviour::Event>) {
        let (facts, events) = self.inform(now);
        let address = self.address.to_string();
        let mut begin = app.begin(facts.clone(), anonymous(&address)).await;
        if matches!(begin, Begin::Challenge) {
            let identity = self.identity(app).await;
            begin = app.begin(facts, peer(&address, identity)).await;
        }
        if matches!(begin, Begin::Accepted(_)) {
            self.cell.act(|device| device.inform_accepted()).expect("in memory");
        }
        (begin, events)
    }

    /// The answer to one request, or nothing if the connection breaks over it.
    pub(crate) fn answer(&mut self, now: UtcMs, request: DeviceRequest) -> Option<DeviceReply> {
        self.asked.push(in_short(&request));
        let order = order(request);
        let (reply, then) = self.cell.act(|device| device.order(now, &order)).expect("in memory");
        match then {
            Then::Answer => Some(device_reply(reply)),
            Then::Drop => {
                self.cell.act(|device| device.session_failed(now, "dropped")).expect("in memory");
                None
            }
            Then::Restart => {
                self.cell.act(|device| device.restart(now)).expect("in memory");
                None
            }
        }
    }

    pub(crate) fn done(&mut self, now: UtcMs, events: &[sim::cpe::behaviour::Event]) {
        self.cell.act(|device| device.session_done(now, events)).expect("in memory");
    }

    /// Our side vanished in the middle.
    pub(crate) fn cut(&mut self, now: UtcMs) {
        self.cell.act(|device| device.session_failed(now, "the ACS vanished")).expect("in memory");
    }

    /// One whole session.
    pub(crate) async fn visit(&mut self, app: &App, now: UtcMs) -> Visit {
        let (begin, events) = self.open(app, now).await;
        let mut session = match begin {
            Begin::Accepted(session) => session,
            other => {
                self.cell.act(|device| device.session_failed(now, "turned away")).expect("in memory");
                return Visit::Turned(format!("{other:?}"));
            }
        };
        let (mut next, mut requests) = (session.ready().await, 0);
        while let Next::Request(request) = next {
            requests += 1;
            assert!(requests < 200, "a session without an end: {:?}", self.asked);
            match self.answer(now, request) {
                Some(reply) => next = session.reply(reply).await,
                None => {
                    session.end(SessionEnd::Torn).await;
                    return Visit::Broke;
                }
            }
        }
        session.end(SessionEnd::Clean).await;
        self.done(now, &events);
        Visit::Spoke(requests)
    }
}

/// Moves the clock to the next thing that is due, on the device or in the database; at most half a minute.
pub(crate) async fn to_the_next_moment(bed: &Bed, app: &App, cpe: &SimCpe) {
    let now = app.now();
    let timer = store::cpes::next_timer_at(app.store()).await.expect("readable");
    let next = timer.into_iter().chain(cpe.cell.device().next_due(now)).min();
    let wait = next.map_or(Duration::from_secs(30), |at| at.since(now));
    bed.clock.advance(wait.clamp(Duration::from_secs(1), Duration::from_secs(30)));
}

/// Lets everything happen that is due for a device and the application; calls that were accepted reach the device.
/// Then it is later.
pub(crate) async fn pass(bed: &Bed, app: &App, calls: &Calls, answered: &mut usize, cpe: &mut SimCpe) {
    let now = app.now();
    cpe.tick(now);
    app.work_once().await.expect("work");
    let made = calls.made();
    for target in &made[*answered..] {
        let host = target.url.as_deref().unwrap_or_default();
        if host.contains(&cpe.address.to_string()) {
            cpe.connection_request(now);
        }
    }
    *answered = made.len();
    if cpe.wants_session(now) {
        cpe.visit(app, now).await;
    }
    to_the_next_moment(bed, app, cpe).await;
}

/// Lets time pass until the row of this CPE says so, or too much has passed.
pub(crate) async fn until_state(bed: &Bed, app: &App, calls: &Calls, cpe: &mut SimCpe, state: &str) {
    let mut answered = calls.made().len();
    for _ in 0..300 {
        pass(bed, app, calls, &mut answered, cpe).await;
        let rows = super::world::cpe_rows(app).await;
        let serial = cpe.cell.device().spec.cwmp_serial.clone();
        if rows.iter().any(|row| row.serial_number == serial && row.state == state) {
            return;
        }
    }
    let history: Vec<_> =
        super::world::timeline(app).await.into_iter().map(|e| format!("{} {}", e.at, e.text)).collect();
    panic!("it did not become {state}:\n{}", history.join("\n"));
}

fn in_short(request: &DeviceRequest) -> String {
    match request {
        DeviceRequest::GetNames { path, .. } => format!("names {path}"),
        DeviceRequest::GetValues { paths } => format!("values {}", paths.len()),
        DeviceRequest::SetValues { values, .. } => {
            let paths: Vec<_> = values.iter().map(|value| value.path.as_str()).collect();
            format!("set {}", paths.join(" "))
        }
        DeviceRequest::AddObject { path, .. } => format!("add {path}"),
        DeviceRequest::Reboot { .. } => "reboot".to_owned(),
        DeviceRequest::FactoryReset => "factory reset".to_owned(),
    }
}

fn value(value: sim::cpe::tree::Value) -> ParamValue {
    let kind = match value.kind {
        Kind::String => ValueKind::String,
        Kind::Int => ValueKind::Int,
        Kind::UnsignedInt => ValueKind::UnsignedInt,
        Kind::Long => ValueKind::Long,
        Kind::UnsignedLong => ValueKind::UnsignedLong,
        Kind::Boolean => ValueKind::Boolean,
        Kind::DateTime => ValueKind::DateTime,
        Kind::Base64 => ValueKind::Base64,
        Kind::HexBinary => ValueKind::HexBinary,
    };
    ParamValue { path: value.path, value: value.value, kind }
}

fn order(request: DeviceRequest) -> Order {
    match request {
        DeviceRequest::GetNames { path, next_level } => Order::GetNames { path, next_level },
        DeviceRequest::GetValues { paths } => Order::GetValues(paths),
        DeviceRequest::SetValues { values, key } => Order::SetValues {
            settings: values
                .into_iter()
                .map(|set| Setting {
                    value: set.value.expose().to_owned(),
                    kind: Kind::parse(set.kind.xsd()),
                    path: set.path,
                })
                .collect(),
            key,
        },
        DeviceRequest::AddObject { path, key } => Order::AddObject { table: path, key },
        DeviceRequest::Reboot { key } => Order::Reboot { key },
        DeviceRequest::FactoryReset => Order::FactoryReset,
    }
}

fn device_reply(reply: Reply) -> DeviceReply {
    match reply {
        Reply::Names(names) => DeviceReply::Names(
            names.into_iter().map(|name| NameInfo { path: name.path, writable: name.writable }).collect(),
        ),
        Reply::Values(values) => DeviceReply::Values(values.into_iter().map(value).collect()),
        Reply::Set => DeviceReply::Set { status: 0 },
        Reply::Added(instance) => DeviceReply::Added { instance, status: 0 },
        Reply::Rebooting | Reply::Resetting => DeviceReply::Accepted,
        Reply::Fault(fault) => DeviceReply::Fault(DeviceFault {
            code: fault.code.into(),
            text: fault.text,
            parameters: fault
                .parameters
                .into_iter()
                .map(|(path, code, text)| ParameterFault { path, code: code.into(), text })
                .collect(),
        }),
        other => panic!("nothing asks for {other:?}"),
    }
}
