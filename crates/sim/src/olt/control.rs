//! A running box: its sockets, and the handle by which a scenario or a test plays the world around it.

use super::{
    agent,
    fault::{Fault, FaultError},
    machine::Olt,
    persist::{Files, PersistError},
    plant::OltEvent,
    record::Record,
    session::Noise,
    spec::OltSpec,
    state::{Config, Managed, OltState, Onu, Optics},
    transport::{ssh, telnet},
};
use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    sync::{broadcast, watch},
    task::JoinSet,
};
use types::{Clock, PonPath, Serial, UtcMs};

/// Events a slow listener may be behind before it has to start over with [`OltHandle::managed`].
const EVENT_BACKLOG: usize = 16_384;
const NOISE_BACKLOG: usize = 256;
/// How often the box looks whether something is due.
const TICK: Duration = Duration::from_millis(100);

/// The box cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its files.
    #[error(transparent)]
    Persist(#[from] PersistError),
    /// Its host key.
    #[error(transparent)]
    HostKey(#[from] ssh::HostKeyError),
    /// A socket.
    #[error("simulated OLT {name}: cannot listen on {address}: {source}")]
    Bind {
        /// Box.
        name: String,
        /// Address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The SNMP agent.
    #[error("simulated OLT {name}: SNMP agent: {why}")]
    Snmp {
        /// Box.
        name: String,
        /// Why.
        why: String,
    },
}

struct Core {
    olt: Olt,
    files: Option<Files>,
    restarts_told: u64,
    persist_error: Option<String>,
}

struct Shared {
    core: Mutex<Core>,
    clock: Arc<dyn Clock>,
    noise: broadcast::Sender<Noise>,
    events: broadcast::Sender<OltEvent>,
    restarts: watch::Sender<u64>,
}

/// Plays the world around a box, and asks it. Cheap to clone.
#[derive(Clone)]
pub struct OltHandle {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for OltHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OltHandle").finish_non_exhaustive()
    }
}

impl OltHandle {
    /// A box without sockets, its files read if it has any.
    ///
    /// # Errors
    /// When its files are unusable.
    pub fn new(spec: OltSpec, clock: Arc<dyn Clock>) -> Result<Self, PersistError> {
        let now = clock.now();
        let (files, olt) = match spec.state_dir.clone() {
            Some(dir) => {
                let (files, olt) = Files::open(&spec, &dir, now)?;
                (Some(files), olt)
            }
            None => (None, Olt::new(spec, now)),
        };
        let shared = Shared {
            core: Mutex::new(Core { olt, files, restarts_told: 0, persist_error: None }),
            clock,
            noise: broadcast::channel(NOISE_BACKLOG).0,
            events: broadcast::channel(EVENT_BACKLOG).0,
            restarts: watch::channel(0).0,
        };
        let handle = OltHandle { shared: Arc::new(shared) };
        handle.tick();
        Ok(handle)
    }

    fn lock(&self) -> MutexGuard<'_, Core> {
        // A panic inside the box is a bug that its own test shows; the other sessions go on.
        self.shared.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on the box; whatever that caused is written and told before this returns.
    pub fn with<T>(&self, work: impl FnOnce(&mut Olt, UtcMs) -> T) -> T {
        let now = self.shared.clock.now();
        let mut core = self.lock();
        let result = work(&mut core.olt, now);
        self.publish(&mut core);
        result
    }

    fn publish(&self, core: &mut Core) {
        let Core { olt, files, restarts_told, persist_error } = core;
        if let Some(files) = files
            && let Err(error) = files.follow(olt)
        {
            tracing::error!(%error, "the state of a simulated OLT was not written");
            *persist_error = Some(error.to_string());
        }
        for event in olt.events.drain(..) {
            let _ = self.shared.events.send(event);
        }
        for noise in olt.noise.drain(..) {
            let _ = self.shared.noise.send(noise);
        }
        if *restarts_told != olt.restarts {
            *restarts_told = olt.restarts;
            self.shared.restarts.send_replace(olt.restarts);
        }
    }

    pub(crate) fn noise(&self) -> broadcast::Receiver<Noise> {
        self.shared.noise.subscribe()
    }

    pub(crate) fn restarts(&self) -> watch::Receiver<u64> {
        let mut receiver = self.shared.restarts.subscribe();
        receiver.mark_unchanged();
        receiver
    }

    pub(crate) fn is_up(&self) -> bool {
        self.with(|olt, now| {
            olt.tick(now);
            olt.state.down_until.is_none()
        })
    }

    /// Lets what is due by now happen. The running box does this by itself; with a clock moved by hand, call it after
    /// moving.
    pub fn tick(&self) {
        self.with(Olt::tick);
    }

    /// Everything that happens from now on, and the ONUs that are managed already.
    pub fn subscribe(&self) -> (Vec<Managed>, broadcast::Receiver<OltEvent>) {
        let core = self.lock();
        (core.olt.state.plant.managed.values().cloned().collect(), self.shared.events.subscribe())
    }

    /// ONUs that reach the ACS now.
    pub fn managed(&self) -> Vec<Managed> {
        self.lock().olt.state.plant.managed.values().cloned().collect()
    }

    /// Connects an ONU to a port (new, or moved there) and powers it.
    pub fn plug(&self, onu: Onu, pon: PonPath) {
        self.with(|olt, now| olt.plug(onu, pon, now));
    }

    /// Connects an ONU unless one with its serial exists: what a scenario does at every start.
    pub fn plug_if_new(&self, onu: Onu, pon: PonPath) {
        self.with(|olt, now| {
            if !olt.state.plant.onus.contains_key(&onu.serial) {
                olt.plug(onu, pon, now);
            }
        });
    }

    /// Takes the fibre out of an ONU.
    pub fn unplug(&self, serial: Serial) {
        self.with(|olt, now| olt.unplug(serial, now));
    }

    /// Switches the power of an ONU.
    pub fn power(&self, serial: Serial, on: bool) {
        self.with(|olt, now| olt.power(serial, on, now));
    }

    /// Power off and on at once.
    pub fn flap_power(&self, serial: Serial) {
        self.with(|olt, now| olt.flap_power(serial, now));
    }

    /// Cuts or mends the feeder of a port.
    pub fn cut_fibre(&self, pon: PonPath, cut: bool) {
        self.with(|olt, now| olt.cut_fibre(pon, cut, now));
    }

    /// Changes the optical readings of an ONU.
    pub fn set_optics(&self, serial: Serial, optics: Optics) {
        self.with(|olt, _| olt.set_optics(serial, optics));
    }

    /// Restarts the box; what was not saved survives only if told so. All sessions break.
    pub fn restart(&self, keep_unsaved: bool) {
        self.with(|olt, now| olt.restart(keep_unsaved, now));
    }

    /// Somebody else changes the running configuration.
    pub fn configure(&self, change: impl FnOnce(&mut Config)) {
        self.with(|olt, now| olt.configure(change, now));
    }

    /// Somebody else registers an ONT on a port; its id.
    pub fn take_next_ont_id(&self, pon: PonPath) -> Option<u8> {
        self.with(|olt, now| olt.take_next_ont_id(pon, now))
    }

    /// Switches a fault on.
    ///
    /// # Errors
    /// When its pattern is not a regular expression.
    pub fn inject(&self, fault: Fault) -> Result<u64, FaultError> {
        self.with(|olt, _| olt.faults.add(fault))
    }

    /// How often a fault has struck.
    pub fn struck(&self, id: u64) -> u64 {
        self.lock().olt.faults.struck(id).unwrap_or(0)
    }

    /// Switches all faults off.
    pub fn clear_faults(&self) {
        self.with(|olt, _| olt.faults.clear());
    }

    /// What the box was told.
    pub fn record(&self) -> Record {
        self.lock().olt.record.clone()
    }

    /// Its whole memory, to look into or compare.
    pub fn state(&self) -> OltState {
        self.lock().olt.state.clone()
    }

    /// Why its files could not be written, if so.
    pub fn persist_error(&self) -> Option<String> {
        self.lock().persist_error.clone()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.lock().olt.generation
    }

    pub(crate) fn now(&self) -> UtcMs {
        self.shared.clock.now()
    }
}

/// A box with its sockets. Dropping it stops it.
#[derive(Debug)]
pub struct SimOlt {
    handle: OltHandle,
    ssh: Option<SocketAddr>,
    telnet: Option<SocketAddr>,
    snmp: Option<SocketAddr>,
    tasks: JoinSet<()>,
}

impl SimOlt {
    /// Starts a box.
    ///
    /// # Errors
    /// When its files, host key or sockets are unusable.
    pub async fn start(spec: OltSpec, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        let name = spec.name.clone();
        let listen = spec.listen.clone();
        let bind = async |address: SocketAddr| {
            let bound = TcpListener::bind(address).await;
            let listener =
                bound.map_err(|source| StartError::Bind { name: name.clone(), address, source })?;
            let local = listener.local_addr().map_err(|source| StartError::Bind {
                name: name.clone(),
                address,
                source,
            })?;
            Ok::<_, StartError>((listener, local))
        };
        let key = match listen.ssh {
            Some(_) => {
                let spec = spec.clone();
                let made = tokio::task::spawn_blocking(move || ssh::host_key(&spec)).await;
                Some(made.map_err(|error| ssh::HostKeyError::Key(error.to_string()))??)
            }
            None => None,
        };
        let handle = OltHandle::new(spec, clock)?;
        let mut olt =
            SimOlt { handle: handle.clone(), ssh: None, telnet: None, snmp: None, tasks: JoinSet::new() };
        if let (Some(address), Some(key)) = (listen.ssh, key) {
            let (listener, local) = bind(address).await?;
            olt.ssh = Some(local);
            olt.tasks.spawn(ssh::serve(handle.clone(), listener, key, listen.ssh_algorithms));
        }
        if let Some(address) = listen.telnet {
            let (listener, local) = bind(address).await?;
            olt.telnet = Some(local);
            olt.tasks.spawn(telnet::serve(handle.clone(), listener));
        }
        if let Some(address) = listen.snmp {
            let started = agent::start(handle.clone(), address, &listen.community).await;
            let (local, task) = started.map_err(|why| StartError::Snmp { name: name.clone(), why })?;
            olt.snmp = Some(local);
            olt.tasks.spawn(task);
        }
        olt.tasks.spawn(async move {
            let mut ticks = tokio::time::interval(TICK);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                handle.tick();
            }
        });
        Ok(olt)
    }

    /// The handle.
    pub fn handle(&self) -> OltHandle {
        self.handle.clone()
    }

    /// Where SSH listens.
    pub fn ssh_addr(&self) -> Option<SocketAddr> {
        self.ssh
    }

    /// Where Telnet listens.
    pub fn telnet_addr(&self) -> Option<SocketAddr> {
        self.telnet
    }

    /// Where SNMP listens.
    pub fn snmp_addr(&self) -> Option<SocketAddr> {
        self.snmp
    }

    /// Stops the box and waits for its tasks.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}
