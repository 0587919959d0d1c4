//! Reading an OLT: one pooled session, reopened when it is lost. Reads are repeated once on a new session; writes
//! never are (see [`crate::saga`]).

use crate::{
    dialect::{Command, Dialect, ErrorClass, Verdict},
    leave::{Always, Leave},
    machine::Reply,
    model::{
        AcsProfile, AddressKind, Board, DbaProfile, DetectedOnu, HostAddress, LineProfile, ManagementRow,
        ManagementWord, OnuRecord, OnuRow, PonPort, ProfileRow, RunState, ServicePortRow, Version,
    },
    parser::{ParseError, ReplyParser, Table, parser_named},
    plan::{Existing, Facts, Line, Lookup, OnuRef, Operation, Snapshot, place},
    session::{Effect, Session, SessionError},
    template::{Parameters, TemplateError, parameters},
    transport::ConnectError,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;
use types::{PonPath, Serial};

/// Opens sessions to one OLT.
#[async_trait::async_trait]
pub trait Connector: Send + Sync {
    /// A fresh, logged-in session.
    ///
    /// # Errors
    /// [`OltError::Connect`] or [`OltError::Session`].
    async fn connect(&self) -> Result<Session, OltError>;
}

/// Why an OLT did not give what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum OltError {
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The session failed.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The reply cannot be trusted.
    #[error("{source} (answer to `{command}`)")]
    Parse {
        /// The command.
        command: String,
        /// What is wrong.
        source: ParseError,
    },
    /// The OLT said no.
    #[error("the OLT refused `{command}`: {message}")]
    Refused {
        /// The command.
        command: String,
        /// What it means.
        class: ErrorClass,
        /// The OLT's words.
        message: String,
    },
    /// The dialect does not give the command.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The OLT's settings are not usable.
    #[error("{0}")]
    Setup(String),
    /// The queue of this OLT is full or closed.
    #[error("{0}")]
    Queue(String),
    /// Somebody else writes to this OLT now.
    #[error("nothing more is sent to this OLT: {0}")]
    Fenced(String),
}

impl OltError {
    /// True if the OLT could not be talked to: trying again later may help.
    pub fn is_transport(&self) -> bool {
        match self {
            OltError::Connect(error) => {
                !matches!(error, ConnectError::LoginRefused { .. } | ConnectError::HostKeyChanged { .. })
            }
            OltError::Session(error) => !matches!(error.reason, crate::machine::EngineError::LoginRefused(_)),
            OltError::Parse { .. }
            | OltError::Refused { .. }
            | OltError::Template(_)
            | OltError::Setup(_)
            | OltError::Queue(_)
            | OltError::Fenced(_) => false,
        }
    }

    /// Whether a command may have taken effect nevertheless.
    pub fn effect(&self) -> Effect {
        match self {
            OltError::Session(error) => error.effect,
            _ => Effect::None,
        }
    }
}

/// All profiles of an OLT that an authorisation can name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Profiles {
    /// Line profiles.
    pub line: Vec<ProfileRow>,
    /// Service profiles.
    pub service: Vec<ProfileRow>,
    /// ACS profiles.
    pub acs: Vec<ProfileRow>,
    /// DBA profiles.
    pub dba: Vec<DbaProfile>,
}

/// How patient we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How often a busy OLT is asked again.
    pub busy_retries: u32,
    /// Between two such tries.
    pub busy_pause: Duration,
    /// How often a lost connection is opened again within one task.
    pub reconnects: u32,
    /// Before each of them, growing with their number.
    pub reconnect_pause: Duration,
    /// After a lost connection, before reading back: a command may still be at work.
    pub settle: Duration,
    /// How often compensation is tried as a whole.
    pub undo_attempts: u32,
    /// Between two such tries.
    pub undo_pause: Duration,
    /// How often a new ONU's state is looked at before it is reported as registered but offline.
    pub online_looks: u32,
    /// Between two such looks.
    pub online_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            busy_retries: 8,
            busy_pause: Duration::from_secs(3),
            reconnects: 4,
            reconnect_pause: Duration::from_secs(2),
            settle: Duration::from_secs(1),
            undo_attempts: 4,
            undo_pause: Duration::from_secs(3),
            online_looks: 6,
            online_pause: Duration::from_secs(3),
        }
    }
}

/// The answer to a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Text to be parsed.
    Text(String),
    /// No rows.
    Empty,
    /// No such thing.
    NotFound,
    /// The OLT does not know the question.
    NotKnown(String),
}

/// The driver of one OLT. Not shared: [`crate::queue`] owns it.
pub struct Driver {
    connector: Arc<dyn Connector>,
    dialect: Arc<Dialect>,
    parser: &'static dyn ReplyParser,
    pub(crate) session: Option<Session>,
    leave: Arc<dyn Leave>,
    /// Sessions opened so far: what an OLT said of itself in one need not hold in the next.
    sessions: u64,
    /// An answer was not understood since the OLT last said what it is.
    doubt: bool,
    pub(crate) patience: Patience,
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("dialect", &self.dialect.name).field("session", &self.session).finish()
    }
}

/// How a list is read that is read whole or not at all.
type Parse<T> = fn(&dyn ReplyParser, &str) -> Result<Vec<T>, ParseError>;

fn parsed<T>(command: &str, result: Result<T, ParseError>) -> Result<T, OltError> {
    result.map_err(|source| OltError::Parse { command: command.to_owned(), source })
}

impl Driver {
    /// A driver; connects when first used.
    ///
    /// # Errors
    /// [`OltError::Setup`] when the dialect names a parser that is not there.
    pub fn new(
        connector: Arc<dyn Connector>,
        dialect: Arc<Dialect>,
        patience: Patience,
    ) -> Result<Self, OltError> {
        let parser = parser_named(&dialect.parser).ok_or_else(|| {
            OltError::Setup(format!(
                "the dialect {} names a reply parser {:?} that does not exist",
                dialect.name, dialect.parser
            ))
        })?;
        Ok(Driver {
            connector,
            dialect,
            parser,
            session: None,
            leave: Arc::new(Always),
            sessions: 0,
            doubt: false,
            patience,
        })
    }

    /// Who gives leave to write from now on; at first nobody is asked.
    pub fn set_leave(&mut self, leave: Arc<dyn Leave>) {
        self.leave = leave;
    }

    /// How this OLT talks.
    pub fn dialect(&self) -> &Arc<Dialect> {
        &self.dialect
    }

    /// True if a session is open.
    pub fn is_connected(&self) -> bool {
        self.session.as_ref().is_some_and(|s| !s.is_tainted())
    }

    /// Closes the session; the next command opens one.
    pub async fn disconnect(&mut self) {
        if let Some(session) = self.session.take() {
            session.close().await;
        }
    }

    /// Keeps an open session alive; a dead one is dropped.
    pub async fn keep_alive(&mut self) {
        if let Some(session) = &mut self.session
            && session.keep_alive().await.is_err()
        {
            self.session = None;
        }
    }

    /// Sends one command once and gives its reply.
    ///
    /// # Errors
    /// [`OltError::Connect`] and [`OltError::Session`]; the session is dropped then.
    pub async fn send(&mut self, command: &Command) -> Result<Reply, OltError> {
        let mut session = self.open_session().await?;
        // Put back only after an answer: a dropped future or an error leaves no tainted session behind.
        let reply = session.run(command).await?;
        self.session = Some(session);
        Ok(reply)
    }

    pub(crate) async fn open_session(&mut self) -> Result<Session, OltError> {
        match self.session.take().filter(|s| !s.is_tainted()) {
            Some(session) => Ok(session),
            None => {
                self.sessions += 1;
                self.connector.connect().await
            }
        }
    }

    /// A number that changes when the OLT should be asked again what it is: with every session, because it may have
    /// restarted with other software. None while that is in doubt, or nobody is logged in.
    pub(crate) fn acquaintance(&self) -> Option<u64> {
        (self.is_connected() && !self.doubt).then_some(self.sessions)
    }

    fn understood<T>(&mut self, command: &str, result: Result<T, ParseError>) -> Result<T, OltError> {
        self.doubt |= result.is_err();
        parsed(command, result)
    }

    /// As [`Driver::send`], for what changes something: leave is asked for last of all.
    ///
    /// # Errors
    /// As [`Driver::send`]; [`OltError::Fenced`] without leave, and then the command was not sent.
    pub async fn write(&mut self, command: &Command) -> Result<Reply, OltError> {
        let mut session = self.open_session().await?;
        session.go_to(command).await?;
        let leave = self.leave.ask().await.and_then(|until| {
            // A process that was paused does not know it. The clock does.
            let late = Instant::now() >= until;
            if late {
                Err("this node paused for too long to know that the OLT is still its own".to_owned())
            } else {
                Ok(())
            }
        });
        if let Err(why) = leave {
            self.session = Some(session);
            return Err(OltError::Fenced(format!("`{}` was not sent. {why}", command.line)));
        }
        let reply = session.say(command).await?;
        self.session = Some(session);
        Ok(reply)
    }

    /// Sends a planned line exactly as planned, with the time limit and questions its dialect command allows.
    ///
    /// # Errors
    /// As [`Driver::write`].
    pub async fn send_line(&mut self, line: &Line) -> Result<(Command, Reply), OltError> {
        let command = self.dialect.planned(&line.command, &line.text, &line.context)?;
        let reply = self.write(&command).await?;
        Ok((command, reply))
    }

    /// Asks something. Lost sessions and busy OLTs are asked again: a question changes nothing.
    ///
    /// # Errors
    /// [`OltError`]; [`OltError::Refused`] for refusals other than "empty", "not found" and "unknown command".
    pub async fn read(&mut self, name: &str, parameters: &Parameters) -> Result<(String, Answer), OltError> {
        let command = self.dialect.command(name, parameters)?;
        let (mut lost, mut busy) = (0, 0);
        loop {
            let reply = match self.send(&command).await {
                Ok(reply) => reply,
                Err(error @ OltError::Session(_)) if error.is_transport() && lost == 0 => {
                    lost += 1;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let answer = match reply.verdict {
                Verdict::Accepted => Answer::Text(reply.text),
                Verdict::Rejected { class, message } => match class {
                    // What is not there is believed in the words of this very question only.
                    ErrorClass::Empty | ErrorClass::NotFound
                        if command.absent.as_ref().is_some_and(|words| !words.is_match(&message))
                            || (command.absent.is_none() && class == ErrorClass::NotFound) =>
                    {
                        return Err(OltError::Refused { command: command.line, class, message });
                    }
                    ErrorClass::Empty => Answer::Empty,
                    ErrorClass::NotFound => Answer::NotFound,
                    ErrorClass::Syntax => Answer::NotKnown(message),
                    ErrorClass::Busy if busy < self.patience.busy_retries => {
                        busy += 1;
                        tokio::time::sleep(self.patience.busy_pause).await;
                        continue;
                    }
                    class => return Err(OltError::Refused { command: command.line, class, message }),
                },
            };
            return Ok((command.line, answer));
        }
    }

    /// [`Driver::read`], where an empty list is an empty list.
    pub(crate) async fn list<T>(
        &mut self,
        name: &str,
        parameters: &Parameters,
        parse: Parse<T>,
    ) -> Result<Vec<T>, OltError> {
        let (command, answer) = self.read(name, parameters).await?;
        match answer {
            Answer::Text(text) => {
                let rows = parse(self.parser, &text);
                self.understood(&command, rows)
            }
            Answer::Empty | Answer::NotFound => Ok(Vec::new()),
            Answer::NotKnown(message) => {
                Err(OltError::Refused { command, class: ErrorClass::Syntax, message })
            }
        }
    }

    /// As [`Driver::list`], row by row.
    pub(crate) async fn table<T>(
        &mut self,
        name: &str,
        parameters: &Parameters,
        parse: fn(&dyn ReplyParser, &str) -> Table<T>,
    ) -> Result<Table<T>, OltError> {
        let (command, answer) = self.read(name, parameters).await?;
        match answer {
            Answer::Text(text) => {
                let table = parse(self.parser, &text);
                // Nothing but what is not understood: not one row's fault.
                self.doubt |= table.rows.is_empty() && !table.missing.is_empty();
                Ok(table)
            }
            Answer::Empty => Ok(Table::empty()),
            // No board, no port: that nothing is registered there is not what the OLT says.
            Answer::NotFound => Ok(Table { counted: false, ..Table::empty() }),
            Answer::NotKnown(message) => {
                Err(OltError::Refused { command, class: ErrorClass::Syntax, message })
            }
        }
    }

    /// Which OLT this is.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn probe(&mut self) -> Result<Facts, OltError> {
        let (command, answer) = self.read("version", &Parameters::new()).await?;
        let Answer::Text(text) = answer else {
            return Err(OltError::Refused {
                command,
                class: ErrorClass::Unknown,
                message: "it does not say its version".to_owned(),
            });
        };
        let version: Version = parsed(&command, self.parser.version(&text))?;
        self.doubt = false;
        Ok(Facts { dialect: Arc::clone(&self.dialect), version })
    }

    /// ONUs that announce themselves and are not registered.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn discover(&mut self) -> Result<Table<DetectedOnu>, OltError> {
        self.table("autofind", &Parameters::new(), |p, t| p.autofind(t)).await
    }

    /// Why it is not believed that nothing is on a port: its board is not in service, and an OLT may not know then what is
    /// configured there. None: the board is in service.
    ///
    /// # Errors
    /// [`OltError`] when the boards cannot be read.
    pub async fn doubt_of(&mut self, pon: PonPath) -> Result<Option<String>, OltError> {
        let boards = self.boards(pon.frame).await?;
        let place = format!("slot {}/{}", pon.frame, pon.slot);
        Ok(match boards.iter().find(|board| board.slot == pon.slot) {
            None => Some(format!("the OLT lists no board in {place}")),
            Some(board) if self.dialect.board_in_service.is_match(&board.status) => None,
            Some(board) => {
                let status: String = board.status.chars().take(40).collect();
                Some(format!("the board in {place} is {status}, not in service"))
            }
        })
    }

    /// The OLT says that it has no `what` on a port. Only believed while the board there is in service.
    async fn believed_absent(&mut self, pon: PonPath, what: &str) -> Result<(), OltError> {
        match self.doubt_of(pon).await? {
            None => Ok(()),
            Some(doubt) => Err(OltError::Refused {
                command: what.to_owned(),
                class: ErrorClass::NotFound,
                message: format!("it says that there is none, and that is not believed: {doubt}"),
            }),
        }
    }

    /// All ONUs registered on a PON.
    ///
    /// # Errors
    /// [`OltError`]; [`OltError::Parse`] when one of them cannot be read; [`OltError::Refused`] when none is listed and the
    /// board is not in service.
    pub async fn onus(&mut self, pon: PonPath) -> Result<Vec<OnuRow>, OltError> {
        let parameters = place(OnuRef { pon, onu_id: 0 });
        let onus = self.list("onus_of_pon", &parameters, |p, t| p.onus_of_pon(t).whole()).await?;
        let onus: Vec<OnuRow> = onus.into_iter().filter(|o| o.pon == pon).collect();
        if onus.is_empty() {
            self.believed_absent(pon, &format!("the list of ONUs on {pon}")).await?;
        }
        Ok(onus)
    }

    /// Whether a place is free of an ONU for certain: the OLT lists the whole PON, and it is not in the list. That it knows
    /// no such ONU is not enough: it says so of a failed board, too. Where it lists none at all the board must be in service.
    ///
    /// # Errors
    /// [`OltError`]; [`OltError::Refused`] when the list is not complete, so that nothing can be told from it.
    pub async fn is_off(&mut self, onu: OnuRef, serial: Serial) -> Result<bool, OltError> {
        let list = self.table("onus_of_pon", &place(onu), |p, t| p.onus_of_pon(t)).await?;
        let there =
            |row: &OnuRow| row.pon == onu.pon && row.onu_id == onu.onu_id && row.serial == Some(serial);
        if list.rows.iter().any(there) {
            return Ok(false);
        }
        if list.complete() {
            if list.rows.is_empty() {
                self.believed_absent(onu.pon, &format!("the list of ONUs on {}", onu.pon)).await?;
            }
            return Ok(true);
        }
        Err(OltError::Refused {
            command: format!("the list of ONUs on {}", onu.pon),
            class: ErrorClass::Unknown,
            message: format!("it is not complete, so it does not show that {serial} is off {onu}"),
        })
    }

    /// Service ports of a PON.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn service_ports(&mut self, pon: PonPath) -> Result<Vec<ServicePortRow>, OltError> {
        let ports = self
            .list("service_ports_of_pon", &place(OnuRef { pon, onu_id: 0 }), |p, t| p.service_ports(t))
            .await?;
        Ok(ports.into_iter().filter(|p| p.pon == pon).collect())
    }

    /// Service ports of one ONU, registered or not.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn service_ports_of(&mut self, onu: OnuRef) -> Result<Vec<ServicePortRow>, OltError> {
        let ports = self.list("service_ports_of_onu", &place(onu), |p, t| p.service_ports(t)).await?;
        Ok(ports.into_iter().filter(|p| p.pon == onu.pon && p.onu_id == Some(onu.onu_id)).collect())
    }

    /// Management addresses of one ONU.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn management_of(&mut self, onu: OnuRef) -> Result<Vec<ManagementRow>, OltError> {
        self.list("management_of_onu", &place(onu), |p, t| p.management_of_onu(t)).await
    }

    /// At which addresses this ONU is managed: what the OLT configured for it, and where that shows no address, what
    /// the ONU itself reports to the OLT. Who is registered at that place is not looked at; see
    /// [`Driver::management_now`].
    ///
    /// # Errors
    /// [`OltError`]. A reply that cannot be read is an error, never "no address".
    pub async fn management_word(&mut self, onu: OnuRef) -> Result<ManagementWord, OltError> {
        let (mut asked, mut hosts) = (false, false);
        let questions: [(&str, Parse<ManagementRow>); 2] = [
            ("management_of_onu", |p, t| p.management_of_onu(t)),
            ("management_wans_of_onu", |p, t| p.management_wans_of_onu(t)),
        ];
        for (question, parse) in questions {
            if !self.dialect.knows(question) {
                continue;
            }
            let mut rows = match self.list(question, &place(onu), parse).await {
                Ok(rows) => rows,
                Err(OltError::Refused { class: ErrorClass::Syntax, .. }) => continue,
                Err(OltError::Refused { class: ErrorClass::OnuOffline, .. }) => {
                    return Ok(ManagementWord::NotThere);
                }
                Err(error) => return Err(error),
            };
            // PPPoE by OMCI is the internet, not the management.
            rows.retain(|row| row.kind != AddressKind::Pppoe);
            asked = true;
            hosts |= !rows.is_empty();
            let has: Vec<HostAddress> = rows
                .iter()
                .filter_map(|row| Some(HostAddress { address: row.address?, vlan: row.vlan, mac: row.mac }))
                .collect();
            if !has.is_empty() {
                return Ok(ManagementWord::Has(has));
            }
        }
        Ok(match (asked, hosts) {
            (false, _) => ManagementWord::CannotTell("its software does not know the question".to_owned()),
            (true, false) => {
                ManagementWord::CannotTell("this ONU has its management WAN from elsewhere".to_owned())
            }
            (true, true) => ManagementWord::Has(Vec::new()),
        })
    }

    /// As [`Driver::management_word`], after a look whether this ONU is registered and online at that place.
    ///
    /// # Errors
    /// As [`Driver::management_word`].
    pub async fn management_now(&mut self, onu: OnuRef, serial: Serial) -> Result<ManagementWord, OltError> {
        let record = self.onu(onu).await?;
        let there = record.is_some_and(|r| r.serial == Some(serial) && r.run_state == RunState::Online);
        if there { self.management_word(onu).await } else { Ok(ManagementWord::NotThere) }
    }

    /// The record of one place. None: the OLT says that no ONU is there, of a board that is in service.
    ///
    /// # Errors
    /// [`OltError`]; [`OltError::Refused`] when that cannot be told now.
    pub async fn onu(&mut self, onu: OnuRef) -> Result<Option<OnuRecord>, OltError> {
        let (command, answer) = self.read("onu", &place(onu)).await?;
        match answer {
            Answer::Text(text) => {
                let record = self.parser.onu(&text);
                self.understood(&command, record).map(Some)
            }
            Answer::Empty | Answer::NotFound => self.believed_absent(onu.pon, &command).await.map(|()| None),
            Answer::NotKnown(message) => {
                Err(OltError::Refused { command, class: ErrorClass::Syntax, message })
            }
        }
    }

    /// Where a serial is registered on this OLT. None: it says that it knows no such ONU. What is on a board that is not in
    /// service it may not know; see [`Driver::existing`].
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn onu_by_serial(&mut self, serial: Serial) -> Result<Option<OnuRecord>, OltError> {
        let parameters = parameters([("serial", self.dialect.serial(serial).into())]);
        let (command, answer) = self.read("onu_by_serial", &parameters).await?;
        match answer {
            Answer::Text(text) => {
                let record = self.parser.onu(&text);
                let record = self.understood(&command, record)?;
                // An OLT that answers about another ONU must not be believed.
                if record.serial == Some(serial) {
                    Ok(Some(record))
                } else {
                    let row = format!("{} instead of {}", record.serial_text, serial.hex16());
                    Err(OltError::Parse { command, source: ParseError::Row { what: "ONU information", row } })
                }
            }
            Answer::Empty | Answer::NotFound => Ok(None),
            Answer::NotKnown(message) => {
                Err(OltError::Refused { command, class: ErrorClass::Syntax, message })
            }
        }
    }

    /// An ONU with everything configured for it, wherever it is on this OLT. None: it is not registered there, said while
    /// the board of `near`, where it was or is to be, is in service.
    ///
    /// # Errors
    /// [`OltError`]; [`OltError::Refused`] when that cannot be told now.
    pub async fn existing(&mut self, serial: Serial, near: PonPath) -> Result<Option<Existing>, OltError> {
        let Some(found) = self.onu_by_serial(serial).await? else {
            self.believed_absent(near, &format!("ONU {serial}")).await?;
            return Ok(None);
        };
        let at = OnuRef { pon: found.pon, onu_id: found.onu_id };
        // The answer by serial is shorter on some versions; the record of the place is complete. Where the two name
        // different ONUs neither is believed. Some indexes lag: asked again a little later it may agree with itself.
        let record = match self.onu(at).await? {
            Some(record) if record.serial == Some(serial) => record,
            other => {
                let there = other.map_or_else(|| "none".to_owned(), |record| record.serial_text);
                let source = ParseError::Contradicts { serial, place: at.to_string(), there };
                return Err(OltError::Parse { command: format!("ONU {serial}"), source });
            }
        };
        let service_ports = self.service_ports_of(at).await?;
        let management = match self.management_of(at).await {
            Err(OltError::Refused { class: ErrorClass::Syntax, .. }) => Vec::new(),
            other => other?,
        };
        Ok(Some(Existing { record, service_ports, management }))
    }

    /// All profiles.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn profiles(&mut self) -> Result<Profiles, OltError> {
        let none = Parameters::new();
        let optional = |result| match result {
            Err(OltError::Refused { class: ErrorClass::Syntax, .. }) => Ok(Vec::new()),
            other => other,
        };
        Ok(Profiles {
            line: self.list("line_profiles", &none, |p, t| p.profiles(t)).await?,
            service: self.list("service_profiles", &none, |p, t| p.profiles(t)).await?,
            acs: optional(self.list("acs_profiles", &none, |p, t| p.profiles(t)).await)?,
            dba: self.list("dba_profiles", &none, |p, t| p.dba_profiles(t)).await?,
        })
    }

    /// One line profile.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn line_profile(&mut self, id: u32) -> Result<Lookup<LineProfile>, OltError> {
        let (command, answer) =
            self.read("line_profile", &parameters([("line_profile_id", id.into())])).await?;
        Ok(match answer {
            Answer::Text(text) => Lookup::Found(parsed(&command, self.parser.line_profile(&text))?),
            Answer::Empty | Answer::NotFound => Lookup::Missing,
            Answer::NotKnown(_) => Lookup::Unknown,
        })
    }

    /// Where an ACS profile sends CPEs.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn acs_profile(&mut self, id: u32) -> Result<Lookup<AcsProfile>, OltError> {
        let (command, answer) =
            self.read("acs_profile", &parameters([("acs_profile_id", id.into())])).await?;
        Ok(match answer {
            Answer::Text(text) => Lookup::Found(parsed(&command, self.parser.acs_profile(&text))?),
            Answer::Empty | Answer::NotFound => Lookup::Missing,
            Answer::NotKnown(_) => Lookup::Unknown,
        })
    }

    async fn is_there(&mut self, name: &str, key: &str, id: u32) -> Result<Lookup<()>, OltError> {
        let (_, answer) = self.read(name, &parameters([(key, id.into())])).await?;
        Ok(match answer {
            Answer::Text(_) => Lookup::Found(()),
            Answer::Empty | Answer::NotFound => Lookup::Missing,
            Answer::NotKnown(_) => Lookup::Unknown,
        })
    }

    /// Boards of a frame.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn boards(&mut self, frame: u8) -> Result<Vec<Board>, OltError> {
        self.list("boards", &parameters([("frame", frame.into())]), |p, t| p.boards(t)).await
    }

    /// PON ports of all boards of a frame.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn pon_ports(&mut self, frame: u8) -> Result<Vec<(PonPath, PonPort)>, OltError> {
        let mut out = Vec::new();
        for board in self.boards(frame).await? {
            let parameters = parameters([("frame", frame.into()), ("slot", board.slot.into())]);
            // Boards without PON ports answer something else; they have none.
            let ports = match self.list("board", &parameters, |p, t| p.pon_ports(t)).await {
                Err(OltError::Refused { .. }) => Vec::new(),
                other => other?,
            };
            out.extend(ports.into_iter().map(|p| (PonPath { frame, slot: board.slot, port: p.port }, p)));
        }
        Ok(out)
    }

    /// Reads everything a plan needs.
    ///
    /// # Errors
    /// [`OltError`]; nothing was changed.
    pub async fn snapshot(&mut self, operation: &Operation) -> Result<Snapshot, OltError> {
        let near = operation.taken_off().map_or(operation.pon(), |from| from.onu.pon);
        let existing = self.existing(operation.serial(), near).await?;
        let replaced = match operation {
            Operation::Replace(spec) => self.existing(spec.from.serial, near).await?,
            Operation::Authorise(_) | Operation::Deauthorise(_) | Operation::Move(_) => None,
        };
        let pon = operation.pon();
        let mut snapshot = Snapshot {
            existing,
            replaced,
            onus: self.onus(pon).await?,
            ids_with_service_ports: self.service_ports(pon).await?.iter().filter_map(|p| p.onu_id).collect(),
            detected_on: None,
            line_profile: Lookup::Unknown,
            service_profile: Lookup::Unknown,
            acs_profile: Lookup::Unknown,
            vlans: BTreeMap::new(),
        };
        let spec = match operation {
            Operation::Authorise(_) if snapshot.existing.is_some() => return Ok(snapshot),
            Operation::Deauthorise(_) => return Ok(snapshot),
            Operation::Authorise(spec) => spec,
            Operation::Move(spec) | Operation::Replace(spec) => &spec.to,
        };
        snapshot.detected_on =
            self.discover().await?.rows.into_iter().find(|d| d.serial == spec.serial).map(|d| d.pon);
        snapshot.line_profile = self.line_profile(spec.line_profile_id).await?;
        snapshot.service_profile =
            self.is_there("service_profile", "service_profile_id", spec.service_profile_id).await?;
        if let Some(id) = spec.acs_profile_id {
            snapshot.acs_profile = self.is_there("acs_profile", "acs_profile_id", id).await?;
        }
        let management = spec.management.as_ref().map(|m| m.vlan);
        for vlan in spec.service_ports.iter().map(|p| p.vlan).chain(management) {
            if let Entry::Vacant(entry) = snapshot.vlans.entry(vlan) {
                entry.insert(self.is_there("vlan", "vlan", u32::from(vlan)).await?);
            }
        }
        Ok(snapshot)
    }

    /// Looks whether a new ONU came online, a bounded number of times.
    ///
    /// # Errors
    /// [`OltError`].
    pub async fn wait_online(&mut self, onu: OnuRef) -> Result<Option<OnuRecord>, OltError> {
        let mut record = None;
        for look in 0..self.patience.online_looks {
            if look > 0 {
                tokio::time::sleep(self.patience.online_pause).await;
            }
            record = self.onu(onu).await?;
            let settled = record.as_ref().is_some_and(|r| {
                r.run_state == RunState::Online
                    && r.config_state != crate::model::ConfigState::Initial
                    && r.config_state != crate::model::ConfigState::Configuring
            });
            if settled {
                break;
            }
        }
        Ok(record)
    }
}
