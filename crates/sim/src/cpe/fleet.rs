//! Many CPEs in one process: each a small task that sleeps until something is due.

use super::{
    CONNECTION_REQUEST_PORT,
    agent::{self, Around},
    behaviour::{DeviceSpec, Management},
    cell::Cell,
    http::{TcpTransport, Url},
    listener::{self, Nonces},
    models::{self, ModelInfo},
    tree::ModelError,
    wan::{Account, Network},
};
use crate::{
    flow::Flow,
    record::{Record, Tally},
    scenario::{OnuPlan, Scenario, ScenarioError},
};
use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, broadcast, watch},
    task::{AbortHandle, JoinSet},
};
use types::{Clock, Serial, SystemClock, UtcMs};

/// The longest a device sleeps without looking around.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// How often a device says that it waits for light.
const ASK_FOR_LIGHT_EVERY: Duration = Duration::from_secs(2);
/// Events kept for a slow follower.
const MAX_EVENTS: usize = 1_024;

/// What a fleet is made of.
#[derive(Debug, Clone)]
pub struct FleetConfig {
    /// The devices and the network behind them.
    pub scenario: Scenario,
    /// Replaces the seed of the scenario.
    pub seed: Option<u64>,
    /// All durations of the devices are divided by this.
    pub speed: f64,
    /// Where the journals are; `None` = the devices forget everything with the process.
    pub data_folder: Option<PathBuf>,
    /// Replaces the ACS URL that the OLT gives (`lightkeeper sim --acs …`).
    pub acs_url: Option<String>,
    /// Sessions at the same time.
    pub max_sessions: usize,
    /// Devices listen for connection requests.
    pub listen: bool,
    /// An OLT stands before the devices: after a loss of power of their own making they wait for
    /// [`FleetHandle::power_on`], and the OLT is to follow [`FleetHandle::events`]. Off: they boot by themselves.
    pub behind_olt: bool,
    /// Where `now` comes from.
    pub clock: Arc<dyn Clock>,
}

impl FleetConfig {
    /// A fleet with the usual settings.
    pub fn new(scenario: Scenario) -> FleetConfig {
        FleetConfig {
            scenario,
            seed: None,
            speed: 1.0,
            data_folder: None,
            acs_url: None,
            max_sessions: 256,
            listen: true,
            behind_olt: true,
            clock: Arc::new(SystemClock),
        }
    }
}

/// Why a fleet does not start, or a device does not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// A data model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The scenario contradicts itself.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The journal of a device cannot be used.
    #[error("the journal of the simulated CPE {serial} cannot be used: {source}")]
    Journal {
        /// Which device.
        serial: Serial,
        /// Why.
        source: std::io::Error,
    },
    /// There is no such device.
    #[error("there is no simulated CPE with the serial number {0}")]
    Unknown(Serial),
}

/// A loss of power of a device's own making. An OLT would notice; what the OLT itself causes is no event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetEvent {
    /// A device lost its power by itself.
    PowerLost(Serial),
    /// It has it back and waits for light. Said again until [`FleetHandle::power_on`].
    PowerRestored(Serial),
}

struct Unit {
    serial: Serial,
    cell: Mutex<Cell>,
    wake: Notify,
    nonces: tokio::sync::Mutex<Nonces>,
}

struct Shared {
    units: BTreeMap<Serial, Arc<Unit>>,
    network: RwLock<Network>,
    clock: Arc<dyn Clock>,
    sessions: Semaphore,
    listen: bool,
    acs_url: Option<String>,
    events: broadcast::Sender<FleetEvent>,
    stop: watch::Sender<bool>,
}

/// Starts fleets.
#[derive(Debug, Clone, Copy)]
pub struct Fleet;

/// A running fleet. Dropping it stops the devices where they are.
pub struct FleetHandle {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

impl std::fmt::Debug for FleetHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FleetHandle({} devices)", self.shared.units.len())
    }
}

impl Fleet {
    /// Starts every device of the scenario. Devices without power wait for [`FleetHandle::power_on`]; devices whose
    /// journal says that they were running wait for it too, and then go on without a boot.
    ///
    /// # Errors
    /// When a data model, the scenario or a journal cannot be used.
    pub fn start(config: FleetConfig) -> Result<FleetHandle, FleetError> {
        let seed = config.seed.unwrap_or(config.scenario.seed);
        let plans = config.scenario.onus()?;
        let mut known: HashMap<String, ModelInfo> = HashMap::new();
        let mut units = BTreeMap::new();
        for plan in &plans {
            let info = match known.get(&plan.model) {
                Some(info) => info.clone(),
                None => {
                    let info = models::load(&plan.model)?;
                    known.insert(plan.model.clone(), info.clone());
                    info
                }
            };
            let spec = Arc::new(spec_of(plan, &info, seed, &config));
            let cell = match &config.data_folder {
                Some(folder) => Cell::open(spec, info.model, folder),
                None => Ok(Cell::in_memory(spec, info.model)),
            };
            let cell = cell.map_err(|source| FleetError::Journal { serial: plan.serial, source })?;
            let unit = Unit {
                serial: plan.serial,
                cell: Mutex::new(cell),
                wake: Notify::new(),
                nonces: Default::default(),
            };
            units.insert(plan.serial, Arc::new(unit));
        }
        let shared = Arc::new(Shared {
            units,
            network: RwLock::new(network_of(&config.scenario, &plans)),
            clock: config.clock,
            sessions: Semaphore::new(config.max_sessions.max(1)),
            listen: config.listen,
            acs_url: config.acs_url,
            events: broadcast::channel(MAX_EVENTS).0,
            stop: watch::channel(false).0,
        });
        let mut tasks = JoinSet::new();
        for unit in shared.units.values() {
            // Subscribed here: a stop that comes before the first poll must be seen.
            tasks.spawn(drive(shared.clone(), unit.clone(), shared.stop.subscribe()));
        }
        Ok(FleetHandle { shared, tasks })
    }
}

fn spec_of(plan: &OnuPlan, info: &ModelInfo, seed: u64, config: &FleetConfig) -> DeviceSpec {
    let pppoe = plan.service.as_ref().and_then(|service| {
        let login = service.pppoe_login.clone()?;
        let vlan = internet_vlan(&config.scenario, plan).unwrap_or(0);
        Some((login, service.pppoe_password.expose().to_owned(), vlan))
    });
    DeviceSpec {
        serial: plan.serial,
        mac: plan.mac,
        manufacturer: info.manufacturer.clone(),
        oui: info.oui.clone(),
        product_class: info.product_class.clone(),
        cwmp_serial: plan.serial.hex16(),
        model_name: info.model_name.clone(),
        software_version: plan.software_version.clone().unwrap_or_else(|| info.software_version.clone()),
        quirks: plan.quirks.clone(),
        timing: plan.timing.clone(),
        speed: config.speed,
        behind_olt: config.behind_olt,
        seed,
        customer: pppoe,
    }
}

/// The VLAN of a customer's traffic; a plan without one means the OLT's own.
fn internet_vlan(scenario: &Scenario, plan: &OnuPlan) -> Option<u16> {
    let olt = scenario.olts.iter().find(|olt| olt.name == plan.olt);
    plan.service.as_ref()?.vlan.or_else(|| olt.map(|olt| olt.preset.internet_vlan))
}

fn network_of(scenario: &Scenario, plans: &[OnuPlan]) -> Network {
    let account = |plan: &OnuPlan| {
        let service = plan.service.as_ref()?;
        let vlan = internet_vlan(scenario, plan);
        let account = Account { password: service.pppoe_password.expose().to_owned(), vlan };
        Some((service.pppoe_login.clone()?, account))
    };
    Network {
        accounts: plans.iter().filter_map(account).collect(),
        accept_unknown: scenario.network.accept_unknown_logins,
        ntp_servers: scenario.network.ntp_servers.clone(),
    }
}

impl Unit {
    fn lock(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn around<'a>(&'a self, unit: &'a Unit) -> Around<'a> {
        Around { cell: &unit.cell, network: &self.network, clock: &*self.clock }
    }

    fn unit(&self, serial: Serial) -> Result<&Arc<Unit>, FleetError> {
        self.units.get(&serial).ok_or(FleetError::Unknown(serial))
    }
}

impl FleetHandle {
    /// The serial numbers of all devices.
    pub fn serials(&self) -> Vec<Serial> {
        self.shared.units.keys().copied().collect()
    }

    /// The OLT gives a device its management WAN: it boots and calls the ACS. A device that was running with the
    /// same settings goes on as if nothing had happened.
    ///
    /// # Errors
    /// When there is no such device or its journal cannot be written.
    pub fn power_on(&self, serial: Serial, management: Management) -> Result<(), FleetError> {
        let acs_url = self.shared.acs_url.clone().unwrap_or(management.acs_url);
        let management = Management { acs_url, ..management };
        self.act(serial, |device, now| device.power_on(now, management))
    }

    /// What the OLT carries of a device's traffic.
    ///
    /// # Errors
    /// As [`FleetHandle::power_on`].
    pub fn carry(&self, serial: Serial, flows: Vec<Flow>) -> Result<(), FleetError> {
        self.act(serial, |device, _| device.carry(flows))
    }

    /// A device loses power, light or its management WAN.
    ///
    /// # Errors
    /// As [`FleetHandle::power_on`].
    pub fn power_off(&self, serial: Serial) -> Result<(), FleetError> {
        self.act(serial, |device, now| device.power_off(now))
    }

    /// A device loses power for a while.
    ///
    /// # Errors
    /// As [`FleetHandle::power_on`].
    pub fn flap(&self, serial: Serial, off: Duration) -> Result<(), FleetError> {
        let off_ms = u64::try_from(off.as_millis()).unwrap_or(u64::MAX);
        self.act(serial, |device, now| device.lose_power_for(now, off_ms))
    }

    /// Somebody presses the reset button of a device.
    ///
    /// # Errors
    /// As [`FleetHandle::power_on`].
    pub fn factory_reset(&self, serial: Serial) -> Result<(), FleetError> {
        self.act(serial, |device, now| device.factory_reset(now))
    }

    /// Adds or changes an account of the access server.
    pub fn set_account(&self, login: &str, password: &str, vlan: Option<u16>) {
        let mut network = self.shared.network.write().unwrap_or_else(PoisonError::into_inner);
        network.accounts.insert(login.to_owned(), Account { password: password.to_owned(), vlan });
    }

    /// What the devices were told so far.
    pub fn record(&self) -> Record {
        let cpes = self.shared.units.iter().map(|(serial, unit)| (*serial, unit.lock().record())).collect();
        Record { cpes }
    }

    /// Counts over all devices: cheap, also for thousands of them.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for unit in self.shared.units.values() {
            sum.add(unit.lock().tally());
        }
        sum
    }

    /// The value of a parameter of a device, secrets included: for tests.
    pub fn value(&self, serial: Serial, path: &str) -> Option<String> {
        self.shared.units.get(&serial)?.lock().device().tree().value(path).map(str::to_owned)
    }

    /// Power events of the devices' own making.
    pub fn events(&self) -> broadcast::Receiver<FleetEvent> {
        self.shared.events.subscribe()
    }

    /// Stops all devices where they are; their journals are complete at any time.
    pub async fn shutdown(mut self) {
        let _ = self.shared.stop.send(true);
        while self.tasks.join_next().await.is_some() {}
    }

    fn act<T>(
        &self,
        serial: Serial,
        act: impl FnOnce(&mut super::behaviour::Device, UtcMs) -> T,
    ) -> Result<T, FleetError> {
        let unit = self.shared.unit(serial)?;
        let result =
            self.shared.around(unit).act(act).map_err(|source| FleetError::Journal { serial, source })?;
        unit.wake.notify_one();
        Ok(result)
    }
}

/// What a device looks like after it has ticked.
struct Glance {
    lost_power: bool,
    dark: bool,
    up: bool,
    wants_session: bool,
    due: Option<UtcMs>,
    address: Option<IpAddr>,
    acs_url: String,
    patience: Duration,
}

fn glance(shared: &Shared, unit: &Unit) -> std::io::Result<Glance> {
    shared.around(unit).tick()?;
    let lost_power = shared.around(unit).act(|device, _| device.take_lost_power())?;
    let (cell, now) = (unit.lock(), shared.clock.now());
    let device = cell.device();
    Ok(Glance {
        lost_power,
        dark: device.state().dark,
        up: device.is_up(now),
        wants_session: device.wants_session(now),
        due: device.next_due(now),
        address: device.state().management.as_ref().map(|management| management.address),
        acs_url: device.acs_url(),
        // The ACS runs in our time, whatever the speed of the devices.
        patience: Duration::from_millis(device.spec.timing.answer_timeout_ms),
    })
}

/// Lives the life of one device.
async fn drive(shared: Arc<Shared>, unit: Arc<Unit>, mut stop: watch::Receiver<bool>) {
    let mut ears: Option<Ears> = None;
    // Nothing happens to a device that was running before we started until the OLT says that it has light.
    let was_running = unit.lock().device().state().powered;
    if was_running {
        tokio::select! {
            () = unit.wake.notified() => {}
            _ = stop.changed() => return,
        }
    }
    loop {
        let glance = match glance(&shared, &unit) {
            Ok(glance) => glance,
            Err(error) => {
                tracing::error!(serial = %unit.serial, %error, "a simulated CPE stops: its journal cannot be written");
                return;
            }
        };
        // Nobody may be listening.
        if glance.lost_power {
            let _ = shared.events.send(FleetEvent::PowerLost(unit.serial));
        }
        if glance.dark {
            let _ = shared.events.send(FleetEvent::PowerRestored(unit.serial));
        }
        let address = glance.address.filter(|_| glance.up && shared.listen);
        if ears.as_ref().map(|ears| ears.address) != address {
            ears = None;
            if let Some(address) = address {
                ears = Ears::open(&shared, &unit, address).await;
            }
        }
        if glance.wants_session {
            tokio::select! {
                () = session(&shared, &unit, &glance) => continue,
                _ = stop.changed() => return,
            }
        }
        let now = shared.clock.now();
        let longest = if glance.dark { ASK_FOR_LIGHT_EVERY } else { LONGEST_SLEEP };
        let sleep = glance.due.map_or(longest, |due| due.since(now)).min(longest);
        tokio::select! {
            () = tokio::time::sleep(sleep.max(Duration::from_millis(1))) => {}
            () = unit.wake.notified() => {}
            _ = stop.changed() => return,
        }
    }
}

async fn session(shared: &Shared, unit: &Unit, glance: &Glance) {
    let Ok(_permit) = shared.sessions.acquire().await else { return };
    let around = shared.around(unit);
    let url = match Url::parse(&glance.acs_url) {
        Ok(url) => url,
        Err(error) => {
            let why = error.to_string();
            let _ = around.act(|device, now| {
                device.begin_session(now);
                device.session_failed(now, &why);
            });
            return;
        }
    };
    let mut transport = TcpTransport::new(&url, glance.address, glance.patience);
    if let Err(error) = agent::run(around, &mut transport, &url).await {
        tracing::debug!(serial = %unit.serial, %error, "a simulated session failed");
    }
}

/// The listener of one device; it closes when dropped.
struct Ears {
    address: IpAddr,
    task: Option<AbortHandle>,
}

impl Ears {
    async fn open(shared: &Arc<Shared>, unit: &Arc<Unit>, address: IpAddr) -> Option<Ears> {
        // Another simulator on this machine may have the usual port of this address.
        let usual = TcpListener::bind(SocketAddr::new(address, CONNECTION_REQUEST_PORT)).await;
        let listener = match usual {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                TcpListener::bind(SocketAddr::new(address, 0)).await
            }
            other => other,
        };
        let opened = listener.and_then(|listener| {
            let port = listener.local_addr()?.port();
            shared.around(unit).act(|device, _| device.listens_on(port))?;
            Ok(listener)
        });
        let listener = match opened {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(serial = %unit.serial, %address, %error, "no connection requests for a simulated CPE");
                return Some(Ears { address, task: None });
            }
        };
        let (shared, unit) = (shared.clone(), unit.clone());
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One after the other, as the small servers of CPEs do.
                if listener::serve(stream, shared.around(&unit), &unit.nonces).await {
                    unit.wake.notify_one();
                }
            }
        });
        Some(Ears { address, task: Some(task.abort_handle()) })
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
