//! One OLT, one session, one thing at a time.
//!
//! Sessions on the same PON race for free ids and OLTs allow only a handful of logins, so everything that is asked of
//! an OLT goes through its queue: a task runs from pre-check to verified end, reads take their turn in between. Who
//! asked may go away: a read nobody waits for is skipped, a task once begun is finished.

use crate::{
    dialect::Dialect,
    driver::{Connector, Driver, OltError, Patience, Profiles},
    leave::{Always, Leave},
    limits::Limits,
    machine::Credentials,
    model::{AcsProfile, Board, DetectedOnu, ManagementWord, OnuOptics, OnuRow, PonPort, ServicePortRow},
    parser::Table,
    plan::{Existing, Facts, Lookup, OnuRef, Operation, Plan, PlanRefusal, plan},
    pon::PonReading,
    saga::{self, Journal, Outcome, SagaError},
    save::Saved,
    session::{Deadlines, Session, SessionOptions, Silent, Transcript},
    transport::{
        ssh::{SshTarget, SshTransport},
        telnet::TelnetTransport,
    },
};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};
use types::{PonPath, Secret, Serial};

/// How many questions may wait that wait for everything else.
const LATER: usize = 8;

/// How to reach an OLT's CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// SSH, encrypted.
    Ssh,
    /// Telnet, everything readable on the way.
    Telnet,
}

/// Everything about one OLT's CLI.
#[derive(Clone)]
pub struct OltConfig {
    /// `host:port`
    pub address: String,
    /// SSH or Telnet.
    pub protocol: Protocol,
    /// Account.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// Also offer weak SSH algorithms, for devices that know no others.
    pub legacy_algorithms: bool,
    /// SSH host key fingerprint of the first connection; `None` = learn it.
    pub pinned_host_key: Option<String>,
    /// How the family talks.
    pub dialect: Arc<Dialect>,
    /// Longest waits of a session.
    pub deadlines: Deadlines,
    /// How much a session may cost.
    pub limits: Limits,
    /// How patient tasks are.
    pub patience: Patience,
    /// An unused session is closed after that long: OLTs allow only a few.
    pub idle_close: Duration,
    /// An unused session is kept alive that often.
    pub keep_alive: Duration,
    /// How many may wait.
    pub queue_length: usize,
    /// Hears every line, secrets masked.
    pub transcript: Arc<dyn Transcript>,
    /// Told the fingerprint of a host key seen for the first time, to be stored.
    pub on_host_key: Arc<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for OltConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OltConfig")
            .field("address", &self.address)
            .field("protocol", &self.protocol)
            .field("username", &self.username)
            .field("legacy_algorithms", &self.legacy_algorithms)
            .field("dialect", &self.dialect.name)
            .finish_non_exhaustive()
    }
}

impl OltConfig {
    /// Usual settings for an OLT of that dialect.
    pub fn new(
        address: impl Into<String>,
        protocol: Protocol,
        username: impl Into<String>,
        password: Secret,
        dialect: Arc<Dialect>,
    ) -> Self {
        OltConfig {
            address: address.into(),
            protocol,
            username: username.into(),
            password,
            legacy_algorithms: false,
            pinned_host_key: None,
            dialect,
            deadlines: Deadlines::default(),
            limits: Limits::default(),
            patience: Patience::default(),
            idle_close: Duration::from_secs(240),
            keep_alive: Duration::from_secs(60),
            queue_length: 64,
            transcript: Arc::new(Silent),
            on_host_key: Arc::new(|_| {}),
        }
    }
}

/// Opens sessions over the network.
#[derive(Debug)]
pub struct NetConnector {
    config: OltConfig,
    pinned: Mutex<Option<String>>,
}

impl NetConnector {
    /// For that OLT.
    pub fn new(config: OltConfig) -> Self {
        NetConnector { pinned: Mutex::new(config.pinned_host_key.clone()), config }
    }

    fn pinned(&self) -> Option<String> {
        self.pinned.lock().ok().and_then(|p| p.clone())
    }
}

#[async_trait::async_trait]
impl Connector for NetConnector {
    async fn connect(&self) -> Result<Session, OltError> {
        let config = &self.config;
        let credentials =
            Credentials { username: config.username.clone(), password: config.password.clone() };
        let (columns, rows) = (config.dialect.terminal.columns, config.dialect.terminal.rows);
        let transport: Box<dyn crate::transport::CliTransport> = match config.protocol {
            Protocol::Ssh => {
                let pinned = self.pinned();
                let (transport, fingerprint) = SshTransport::connect(&SshTarget {
                    address: config.address.clone(),
                    credentials: credentials.clone(),
                    legacy_algorithms: config.legacy_algorithms,
                    pinned_host_key: pinned.clone(),
                    columns,
                    rows,
                    timeout: config.deadlines.login,
                })
                .await?;
                if pinned.is_none() {
                    (config.on_host_key)(&fingerprint);
                    if let Ok(mut pinned) = self.pinned.lock() {
                        *pinned = Some(fingerprint);
                    }
                }
                Box::new(transport)
            }
            Protocol::Telnet => Box::new(
                TelnetTransport::connect(&config.address, columns, rows, config.deadlines.login).await?,
            ),
        };
        let options = SessionOptions {
            dialect: Arc::clone(&config.dialect),
            credentials,
            asks_for_login: config.protocol == Protocol::Telnet,
            deadlines: config.deadlines,
            limits: config.limits,
            transcript: Arc::clone(&config.transcript),
        };
        Ok(Session::open(transport, options).await?)
    }
}

/// What an OLT's queue is doing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct OltStatus {
    /// A session is open.
    pub connected: bool,
    /// What is being done, in words.
    pub running: Option<String>,
    /// The last failure, cleared by the next success.
    pub last_error: Option<String>,
}

struct Worker {
    driver: Driver,
    /// What the OLT is, and from which acquaintance with it.
    facts: Option<(u64, Facts)>,
}

impl Worker {
    async fn facts(&mut self) -> Result<Facts, OltError> {
        if let Some((from, facts)) = &self.facts
            && self.driver.acquaintance() == Some(*from)
        {
            return Ok(facts.clone());
        }
        self.facts = None;
        let facts = self.driver.probe().await?;
        self.facts = self.driver.acquaintance().map(|from| (from, facts.clone()));
        Ok(facts)
    }
}

/// Answers with the error's words, if there was one.
type Work = Box<dyn for<'a> FnOnce(&'a mut Worker) -> BoxFuture<'a, Option<String>> + Send>;

struct Job {
    title: String,
    work: Work,
}

/// The way to one OLT. Cheap to clone; the session ends when the last clone is dropped.
#[derive(Clone)]
pub struct OltHandle {
    sender: mpsc::Sender<Job>,
    /// For what waits until nothing else does.
    later: mpsc::Sender<Job>,
    waiting: Arc<AtomicUsize>,
    status: watch::Receiver<OltStatus>,
    dialect: Arc<Dialect>,
    leave: Arc<dyn Leave>,
}

impl fmt::Debug for OltHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OltHandle").field("dialect", &self.dialect.name).finish_non_exhaustive()
    }
}

impl OltHandle {
    /// Starts the queue of an OLT; it connects when first used. Call within a tokio runtime.
    ///
    /// # Errors
    /// [`OltError::Setup`] when the dialect is not usable.
    pub fn spawn(config: OltConfig) -> Result<OltHandle, OltError> {
        let (dialect, patience) = (Arc::clone(&config.dialect), config.patience);
        let (idle_close, keep_alive, queue_length) =
            (config.idle_close, config.keep_alive, config.queue_length);
        let driver = Driver::new(Arc::new(NetConnector::new(config)), dialect, patience)?;
        Ok(OltHandle::spawn_with(driver, queue_length, idle_close, keep_alive))
    }

    /// Starts the queue over a driver of your own.
    pub fn spawn_with(
        driver: Driver,
        queue_length: usize,
        idle_close: Duration,
        keep_alive: Duration,
    ) -> OltHandle {
        let (sender, first) = mpsc::channel(queue_length.max(1));
        let (later, second) = mpsc::channel(LATER);
        let lanes = Lanes { first, later: second };
        let (publish, status) = watch::channel(OltStatus::default());
        let dialect = Arc::clone(driver.dialect());
        let waiting = Arc::new(AtomicUsize::new(0));
        let worker = Worker { driver, facts: None };
        tokio::spawn(serve(worker, lanes, publish, Arc::clone(&waiting), idle_close, keep_alive));
        OltHandle { sender, later, waiting, status, dialect, leave: Arc::new(Always) }
    }

    /// The same way to the OLT for somebody who writes only with this leave.
    pub fn under(&self, leave: Arc<dyn Leave>) -> OltHandle {
        OltHandle { leave, ..self.clone() }
    }

    /// How this OLT talks.
    pub fn dialect(&self) -> &Arc<Dialect> {
        &self.dialect
    }

    /// What the queue is doing now.
    pub fn status(&self) -> OltStatus {
        self.status.borrow().clone()
    }

    /// What the queue is doing, as it changes.
    pub fn watch(&self) -> watch::Receiver<OltStatus> {
        self.status.clone()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    async fn ask<T, E>(
        &self,
        title: &str,
        even_if_nobody_waits: bool,
        work: impl for<'a> FnOnce(&'a mut Worker) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    ) -> Result<Result<T, E>, OltError>
    where
        T: Send + 'static,
        E: Send + fmt::Display + 'static,
    {
        self.ask_in(&self.sender, title, even_if_nobody_waits, work).await
    }

    async fn ask_in<T, E>(
        &self,
        lane: &mpsc::Sender<Job>,
        title: &str,
        even_if_nobody_waits: bool,
        work: impl for<'a> FnOnce(&'a mut Worker) -> BoxFuture<'a, Result<T, E>> + Send + 'static,
    ) -> Result<Result<T, E>, OltError>
    where
        T: Send + 'static,
        E: Send + fmt::Display + 'static,
    {
        let (reply, answer) = oneshot::channel::<Result<T, E>>();
        let leave = Arc::clone(&self.leave);
        let work: Work = Box::new(move |worker| {
            Box::pin(async move {
                if reply.is_closed() && !even_if_nobody_waits {
                    return None;
                }
                worker.driver.set_leave(leave);
                let result = work(worker).await;
                let error = result.as_ref().err().map(E::to_string);
                // Nobody waits any more: the work is done all the same.
                let _ = reply.send(result);
                error
            })
        });
        self.waiting.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = lane.try_send(Job { title: title.to_owned(), work }) {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(OltError::Queue(match error {
                mpsc::error::TrySendError::Full(_) => {
                    format!("too much is waiting for this OLT already ({}); try again later", self.waiting())
                }
                mpsc::error::TrySendError::Closed(_) => "the queue of this OLT has stopped".to_owned(),
            }));
        }
        answer.await.map_err(|_| OltError::Queue("the queue of this OLT has stopped".to_owned()))
    }

    async fn read<T: Send + 'static>(
        &self,
        title: &str,
        work: impl for<'a> FnOnce(&'a mut Worker) -> BoxFuture<'a, Result<T, OltError>> + Send + 'static,
    ) -> Result<T, OltError> {
        self.ask(title, false, work).await?
    }

    /// Connects if need be and says which OLT this is. Asked of the OLT again each time.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn probe(&self) -> Result<Facts, OltError> {
        self.read("probe", |w| {
            Box::pin(async move {
                w.facts = None;
                w.facts().await
            })
        })
        .await
    }

    /// Which OLT this is. Asked of the OLT after every login, because it may have restarted with other software, and
    /// after an answer that was not understood; otherwise what it said in this session.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn facts(&self) -> Result<Facts, OltError> {
        self.read("say what it is", |w| Box::pin(w.facts())).await
    }

    /// ONUs that announce themselves and are not registered.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn discover(&self) -> Result<Table<DetectedOnu>, OltError> {
        self.read("list detected ONUs", |w| Box::pin(w.driver.discover())).await
    }

    /// All ONUs registered on a PON.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn onus(&self, pon: PonPath) -> Result<Vec<OnuRow>, OltError> {
        self.read(&format!("list ONUs of {pon}"), move |w| Box::pin(w.driver.onus(pon))).await
    }

    /// State, cause, distance and light of the ONUs on a PON, as far as they can be read; those of `expected` were online
    /// before (see [`Driver::onu_states`]).
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn onu_states(&self, pon: PonPath, expected: Vec<u16>) -> Result<PonReading, OltError> {
        self.read(&format!("read ONU states of {pon}"), move |w| {
            Box::pin(async move { w.driver.onu_states(pon, &expected).await })
        })
        .await
    }

    /// Optics of all ONUs on a PON, when nothing else waits for this OLT: no order and no other question is kept waiting
    /// by more than the one table that is being read. `None`: `may` forbade it when its turn had come, because somebody
    /// is between two questions that belong together.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn optics(
        &self,
        pon: PonPath,
        may: impl Fn() -> bool + Send + 'static,
    ) -> Result<Option<Table<OnuOptics>>, OltError> {
        let title = format!("read the light of {pon}");
        self.ask_in(&self.later, &title, false, move |w| {
            Box::pin(async move {
                match may() {
                    true => w.driver.optics(pon).await.map(Some),
                    false => Ok(None),
                }
            })
        })
        .await?
    }

    /// Where an ACS profile of this OLT sends CPEs.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn acs_profile(&self, id: u32) -> Result<Lookup<AcsProfile>, OltError> {
        self.read(&format!("read ACS profile {id}"), move |w| Box::pin(w.driver.acs_profile(id))).await
    }

    /// Service ports of a PON.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn service_ports(&self, pon: PonPath) -> Result<Vec<ServicePortRow>, OltError> {
        self.read(&format!("list service ports of {pon}"), move |w| Box::pin(w.driver.service_ports(pon)))
            .await
    }

    /// At which addresses an ONU is managed (see [`Driver::management_word`]). One ONU at a time, so that others get
    /// in between.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn management_word(&self, onu: OnuRef) -> Result<ManagementWord, OltError> {
        self.read(&format!("read the management address of {onu}"), move |w| {
            Box::pin(w.driver.management_word(onu))
        })
        .await
    }

    /// The same, if this ONU is online at that place now.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn management_now(&self, onu: OnuRef, serial: Serial) -> Result<ManagementWord, OltError> {
        self.read(&format!("ask for the management address of {serial}"), move |w| {
            Box::pin(w.driver.management_now(onu, serial))
        })
        .await
    }

    /// An ONU with everything configured for it.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn existing(&self, serial: Serial, near: PonPath) -> Result<Option<Existing>, OltError> {
        self.read(&format!("look for {serial}"), move |w| Box::pin(w.driver.existing(serial, near))).await
    }

    /// All profiles.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn profiles(&self) -> Result<Profiles, OltError> {
        self.read("list profiles", |w| Box::pin(w.driver.profiles())).await
    }

    /// Boards of a frame.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn boards(&self, frame: u8) -> Result<Vec<Board>, OltError> {
        self.read("list boards", move |w| Box::pin(w.driver.boards(frame))).await
    }

    /// PON ports of a frame.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn pon_ports(&self, frame: u8) -> Result<Vec<(PonPath, PonPort)>, OltError> {
        self.read("list PON ports", move |w| Box::pin(w.driver.pon_ports(frame))).await
    }

    /// Reads what is needed and decides what would be sent, without sending it.
    ///
    /// # Errors
    /// [`OltError`]; a refusal is an answer.
    pub async fn dry_run(&self, operation: Operation) -> Result<Result<Plan, PlanRefusal>, OltError> {
        self.read("dry run", move |w| {
            Box::pin(async move {
                let facts = w.facts().await?;
                let before = w.driver.snapshot(&operation).await?;
                Ok(plan(&operation, &facts, &before))
            })
        })
        .await
    }

    /// Does what is asked (see [`saga::execute`]). Goes on to its end even if nobody waits any more.
    ///
    /// # Errors
    /// [`SagaError`].
    pub async fn execute(
        &self,
        operation: Operation,
        journal: Box<dyn Journal>,
    ) -> Result<Outcome, SagaError> {
        let title = match &operation {
            Operation::Authorise(spec) => format!("authorise {} on {}", spec.serial, spec.pon),
            Operation::Deauthorise(spec) => format!("remove {} from {}", spec.serial, spec.onu),
            Operation::Move(spec) => {
                format!("move {} from {} to {}", spec.to.serial, spec.from.onu, spec.to.pon)
            }
            Operation::Replace(spec) => {
                format!("replace {} by {} at {}", spec.from.serial, spec.to.serial, spec.from.onu)
            }
        };
        let mut journal = journal;
        self.ask(&title, true, move |w| {
            Box::pin(async move {
                let facts = w.facts().await.map_err(SagaError::NotStarted)?;
                saga::execute(&mut w.driver, &operation, &facts, journal.as_mut()).await
            })
        })
        .await
        .map_err(SagaError::NotStarted)?
    }

    /// Goes on with a task that was interrupted (see [`saga::resume`]).
    ///
    /// # Errors
    /// [`SagaError`].
    pub async fn resume(&self, journal: Box<dyn Journal>) -> Result<Option<Outcome>, SagaError> {
        let mut journal = journal;
        self.ask("resume a task", true, move |w| {
            Box::pin(async move { saga::resume(&mut w.driver, journal.as_mut()).await })
        })
        .await
        .map_err(SagaError::Interrupted)?
    }

    /// Makes the OLT's configuration survive its restart. Once per batch (see [`Driver::save`]).
    ///
    /// # Errors
    /// [`OltError`]: an alarm, never a reason to undo.
    pub async fn save(&self) -> Result<Saved, OltError> {
        self.ask("save the configuration", true, |w| Box::pin(w.driver.save())).await?
    }

    /// Closes the session now; the next question opens one.
    ///
    /// # Errors
    /// [`OltError::Queue`].
    pub async fn disconnect(&self) -> Result<(), OltError> {
        self.read("disconnect", |w| {
            Box::pin(async move {
                w.driver.disconnect().await;
                Ok(())
            })
        })
        .await
    }
}

/// What waits for an OLT.
struct Lanes {
    first: mpsc::Receiver<Job>,
    /// Only while nothing waits in the first.
    later: mpsc::Receiver<Job>,
}

impl Lanes {
    /// None: the last handle is gone.
    async fn recv(&mut self) -> Option<Job> {
        tokio::select! {
            biased;
            job = self.first.recv() => job,
            Some(job) = self.later.recv() => Some(job),
        }
    }
}

async fn serve(
    mut worker: Worker,
    mut receiver: Lanes,
    publish: watch::Sender<OltStatus>,
    waiting: Arc<AtomicUsize>,
    idle_close: Duration,
    keep_alive: Duration,
) {
    let mut used = Instant::now();
    loop {
        let job = if worker.driver.is_connected() {
            match timeout(keep_alive.min(idle_close), receiver.recv()).await {
                Ok(job) => job,
                Err(_) => {
                    if used.elapsed() >= idle_close {
                        worker.driver.disconnect().await;
                    } else {
                        worker.driver.keep_alive().await;
                    }
                    let connected = worker.driver.is_connected();
                    publish.send_modify(|s| s.connected = connected);
                    continue;
                }
            }
        } else {
            receiver.recv().await
        };
        let Some(job) = job else { break };
        waiting.fetch_sub(1, Ordering::Relaxed);
        publish.send_modify(|s| s.running = Some(job.title.clone()));
        let error = (job.work)(&mut worker).await;
        used = Instant::now();
        let connected = worker.driver.is_connected();
        publish.send_modify(|s| *s = OltStatus { connected, running: None, last_error: error });
    }
    worker.driver.disconnect().await;
}
