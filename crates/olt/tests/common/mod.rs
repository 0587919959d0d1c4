//! A small OLT in memory, in the shapes of a SmartAX: enough to authorise on, to cut and to kill. Written for these
//! tests; the full simulator is a crate of its own.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

use olt::{
    dialect::Dialect,
    driver::{Connector, Driver, OltError, Patience},
    limits::Limits,
    machine::Credentials,
    model::{DetectedOnu, Version},
    plan::{
        AuthoriseSpec, Facts, ManagementAddress, ManagementSpec, Operation, ServicePortSpec, TagTransform,
    },
    saga::{Journal, JournalError, TaskRecord, TaskState},
    session::{Deadlines, Session, SessionOptions, Silent},
    transport::{CliTransport, ConnectError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::Notify;
use types::{PonPath, Secret, Serial};

mod shell;

pub use shell::Shell;

pub const RULE: &str = "  -----------------------------------------------------------------------------";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ont {
    pub serial: Serial,
    pub line: u32,
    pub srv: u32,
    pub description: String,
    pub ipconfig: Option<(String, u16, u8)>,
    pub acs: Option<u32>,
    pub online: bool,
    pub mismatch: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub pon: PonPath,
    pub ont: u16,
    pub vlan: u16,
    pub user_vlan: u16,
    pub gem: u16,
    pub traffic: Option<(u32, u32)>,
}

/// What the connection does at a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// Dies before the command is executed.
    CutBefore,
    /// Dies after it, before its answer.
    CutAfter,
    /// The whole product dies before the command is executed.
    KillBefore,
    /// The whole product dies after it.
    KillAfter,
}

#[derive(Debug, Default)]
pub struct World {
    pub onts: BTreeMap<(PonPath, u16), Ont>,
    pub ports: BTreeMap<u32, Port>,
    pub autofind: BTreeMap<Serial, PonPath>,
    pub next_port: u32,
    pub gems: Vec<u16>,
    /// Every command that changed or tried to change something, in order.
    pub log: Vec<String>,
    /// All commands executed, for counting.
    pub commands: usize,
    /// At the n-th executed command since armed.
    pub blow: Option<(usize, Blow)>,
    pub armed_at: usize,
    /// Answers `System is busy` that many times to writes.
    pub busy: usize,
    /// Refuses commands that start so, with these words.
    pub refuse: Vec<(String, String)>,
    /// The board with the ONUs fails at the command that starts so: the OLT knows nothing of them then.
    pub board_fails_at: Option<String>,
    pub board_failed: bool,
    /// How the board in slot 1 is.
    pub board_status: String,
    /// What it says to questions that start so.
    pub answers: Vec<(String, String)>,
    /// The index by serial number lags: after a removal it answers that many times as if the ONU were there still.
    pub by_serial_lags: usize,
    /// What it then answers.
    pub removed: Vec<((PonPath, u16), Ont)>,
    /// Swallows the verdict of `ont add`.
    pub silent_add: bool,
    /// Executes `service-port` without effect but without refusal.
    pub phantom_ports: bool,
    /// Takes `service-port` with traffic tables and lists these instead, or none.
    pub other_tables: Option<Option<(u32, u32)>>,
    /// Raises an unexpected question at commands that start so.
    pub ask: Option<String>,
    pub logins: usize,
    pub open_sessions: usize,
    pub most_sessions: usize,
    pub wrong_password: bool,
    pub saves: usize,
    /// What it says after the prompt when it saves.
    pub save_says: Vec<String>,
    /// It ends the session after that.
    pub save_cuts: bool,
    /// What `display version` says, and how often it was asked.
    pub software: String,
    pub versions: usize,
    /// Answers lists of service ports with rows that nobody can read.
    pub torn_ports: bool,
    /// The product was killed: nothing of it moves any more.
    pub process_dead: bool,
}

#[derive(Debug, Clone, Default)]
pub struct FakeOlt {
    pub world: Arc<Mutex<World>>,
    pub killed: Arc<Notify>,
}

pub fn pon() -> PonPath {
    PonPath { frame: 0, slot: 1, port: 6 }
}

pub fn serial() -> Serial {
    "HWTC7D4733C3".parse().expect("a serial")
}

pub fn other_serial() -> Serial {
    "ZTEGC9E3311B".parse().expect("a serial")
}

pub fn spec() -> AuthoriseSpec {
    AuthoriseSpec {
        pon: pon(),
        serial: serial(),
        onu_id: None,
        reserved_ids: BTreeSet::new(),
        line_profile_id: 10,
        service_profile_id: 20,
        description: "José Muñoz, 1st floor".into(),
        service_ports: vec![
            ServicePortSpec {
                vlan: 100,
                user_vlan: Some(100),
                gemport: 1,
                tag_transform: TagTransform::Translate,
                traffic_in: Some(6),
                traffic_out: Some(7),
            },
            ServicePortSpec {
                vlan: 4000,
                user_vlan: Some(4000),
                gemport: 2,
                tag_transform: TagTransform::Translate,
                traffic_in: None,
                traffic_out: None,
            },
        ],
        management: Some(ManagementSpec {
            ip_index: 0,
            vlan: 4000,
            priority: 2,
            address: ManagementAddress::Dhcp,
        }),
        acs_profile_id: Some(3),
        preprovision: false,
    }
}

pub fn authorise() -> Operation {
    Operation::Authorise(spec())
}

pub fn dialect() -> Arc<Dialect> {
    Dialect::huawei_smartax().expect("the dialect")
}

pub fn facts() -> Facts {
    Facts {
        dialect: dialect(),
        version: Version { version: "MA5800V100R019C10".into(), ..Version::default() },
    }
}

pub fn impatient() -> Patience {
    Patience {
        busy_pause: Duration::ZERO,
        reconnect_pause: Duration::ZERO,
        settle: Duration::ZERO,
        undo_pause: Duration::ZERO,
        online_pause: Duration::ZERO,
        online_looks: 1,
        ..Patience::default()
    }
}

impl FakeOlt {
    pub fn new() -> Self {
        let olt = FakeOlt::default();
        {
            let mut world = olt.world();
            world.gems = vec![1, 2];
            world.board_status = "Normal".to_owned();
            world.software = "MA5800V100R019C10".to_owned();
            world.save_says = vec![
                "The percentage of saved data on 0 slot's main control board is: 40%".to_owned(),
                "The data of 0 slot's main control board is saved completely".to_owned(),
            ];
            world.next_port = 5;
            world.autofind.insert(serial(), pon());
            // A neighbour that nobody may touch.
            world.onts.insert(
                (pon(), 0),
                Ont {
                    serial: other_serial(),
                    line: 10,
                    srv: 20,
                    description: "neighbour".into(),
                    ipconfig: None,
                    acs: None,
                    online: true,
                    mismatch: false,
                },
            );
            let neighbours_port =
                Port { pon: pon(), ont: 0, vlan: 100, user_vlan: 100, gem: 1, traffic: None };
            world.ports.insert(1, neighbours_port);
        }
        olt
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("the world")
    }

    /// Counts commands from now and strikes at the n-th.
    pub fn arm(&self, at: usize, blow: Blow) {
        let mut world = self.world();
        world.armed_at = world.commands;
        world.blow = Some((at, blow));
    }

    pub fn driver(&self) -> Driver {
        Driver::new(Arc::new(self.clone()), dialect(), impatient()).expect("a driver")
    }

    /// Nothing of the ONU is there, the neighbour is as it was.
    pub fn is_untouched(&self) -> bool {
        let world = self.world();
        world.onts.len() == 1 && world.ports.len() == 1
    }

    /// Exactly what the wish says is there, once.
    pub fn is_complete(&self) -> bool {
        self.is_complete_with((6, 7))
    }

    /// The same, with another speed.
    pub fn is_complete_with(&self, traffic: (u32, u32)) -> bool {
        let world = self.world();
        let spec = spec();
        let description = olt::sanitise::description(&spec.description, 64);
        let Some(ont) = world.onts.get(&(pon(), 1)) else { return false };
        let ports: Vec<&Port> = world.ports.values().filter(|p| p.pon == pon() && p.ont == 1).collect();
        world.onts.len() == 2
            && world.ports.len() == 3
            && ont.serial == spec.serial
            && (ont.line, ont.srv) == (10, 20)
            && ont.description == description
            && ont.ipconfig == Some(("dhcp".into(), 4000, 2))
            && ont.acs == Some(3)
            && ports.len() == 2
            && ports.iter().any(|p| p.vlan == 100 && p.gem == 1 && p.traffic == Some(traffic))
            && ports.iter().any(|p| p.vlan == 4000 && p.gem == 2 && p.traffic.is_none())
    }

    pub fn shell(&self, asks_for_login: bool) -> Shell {
        let mut world = self.world();
        world.logins += 1;
        world.open_sessions += 1;
        world.most_sessions = world.most_sessions.max(world.open_sessions);
        drop(world);
        Shell::new(self.clone(), asks_for_login)
    }
}

/// A terminal without a network.
pub struct MemoryTransport {
    shell: Option<Shell>,
    ready: Vec<u8>,
}

impl MemoryTransport {
    /// A killed product does nothing more; the test drops its future.
    async fn stop_if_killed(&self) {
        let dead = self.shell.as_ref().is_some_and(Shell::is_frozen);
        if dead {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait::async_trait]
impl CliTransport for MemoryTransport {
    async fn read(&mut self) -> io::Result<Vec<u8>> {
        self.stop_if_killed().await;
        if !self.ready.is_empty() {
            return Ok(std::mem::take(&mut self.ready));
        }
        match &self.shell {
            // The end of the stream.
            Some(shell) if shell.dead || shell.hung_up => Ok(Vec::new()),
            Some(_) => std::future::pending().await,
            None => Ok(Vec::new()),
        }
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(shell) = &mut self.shell else { return Err(io::Error::other("closed")) };
        if shell.dead || shell.hung_up {
            return Err(io::Error::other("broken pipe"));
        }
        let out = shell.input(bytes);
        self.ready.extend(out);
        if shell.dead {
            self.ready.clear();
        }
        self.stop_if_killed().await;
        Ok(())
    }

    async fn close(&mut self) {
        self.shell = None;
    }
}

#[async_trait::async_trait]
impl Connector for FakeOlt {
    async fn connect(&self) -> Result<Session, OltError> {
        if self.world().wrong_password {
            return Err(OltError::Connect(ConnectError::LoginRefused {
                address: "fake".into(),
                username: "root".into(),
                reason: "wrong name or password".into(),
            }));
        }
        let mut shell = self.shell(false);
        let ready = shell.greeting();
        let options = SessionOptions {
            dialect: dialect(),
            credentials: Credentials { username: "root".into(), password: Secret::new("hunter2") },
            asks_for_login: false,
            deadlines: Deadlines::default(),
            limits: Limits::default(),
            transcript: Arc::new(Silent),
        };
        Ok(Session::open(Box::new(MemoryTransport { shell: Some(shell), ready }), options).await?)
    }
}

/// A journal in memory that survives a killed driver, and can itself die.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    pub record: Arc<Mutex<Option<TaskRecord>>>,
    pub states: Arc<Mutex<Vec<TaskState>>>,
    /// At the n-th write: fail, or be killed before or after it is durable.
    pub blow: Arc<Mutex<Option<(usize, JournalBlow)>>>,
    pub killed: Arc<Notify>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JournalBlow {
    Fail,
    KillBefore,
    KillAfter,
}

impl MemoryJournal {
    async fn write(&mut self, write: impl FnOnce(&mut Option<TaskRecord>)) -> Result<(), JournalError> {
        let blow = {
            let mut blow = self.blow.lock().expect("blow");
            match blow.as_mut() {
                Some((left, _)) if *left > 1 => {
                    *left -= 1;
                    None
                }
                Some(_) => blow.take().map(|(_, b)| b),
                None => None,
            }
        };
        if blow == Some(JournalBlow::Fail) {
            return Err(JournalError("the disk is full".into()));
        }
        if blow != Some(JournalBlow::KillBefore) {
            write(&mut self.record.lock().expect("record"));
        }
        if blow.is_some() {
            self.killed.notify_one();
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Journal for MemoryJournal {
    async fn load(&mut self) -> Result<Option<TaskRecord>, JournalError> {
        // Through text, as a store does.
        let record = self.record.lock().expect("record").clone();
        let text = serde_json::to_string(&record).expect("JSON");
        Ok(serde_json::from_str(&text).expect("the same record"))
    }

    async fn begin(&mut self, record: &TaskRecord) -> Result<(), JournalError> {
        let record = record.clone();
        self.write(move |slot| {
            assert!(slot.is_none(), "begun twice");
            *slot = Some(record);
        })
        .await
    }

    async fn advance(&mut self, state: &TaskState) -> Result<(), JournalError> {
        let state = state.clone();
        self.states.lock().expect("states").push(state.clone());
        self.write(move |slot| slot.as_mut().expect("begun").state = state).await
    }
}

pub fn detected(serial: Serial, pon: PonPath) -> DetectedOnu {
    DetectedOnu {
        serial,
        pon,
        vendor: None,
        equipment_id: None,
        hardware_version: None,
        software_version: None,
        customized_info: None,
        mac: None,
        equipment_serial: None,
        found_at: None,
    }
}
