//! The box as one value: sessions, the dialogue of a line, faults, the record. No sockets and no clock: `now` is
//! handed in.

use super::{
    commands::{Cmd, Command, recognise},
    fault::{FaultKind, Faults},
    grammar::{Args, MAX_LINE_CHARS, SyntaxError},
    plant::OltEvent,
    record::{Effect, Entry, Record, Verdict, redact},
    session::{Ask, Cut, LoginError, Noise, Output, Session, Via, View},
    spec::{Model, OltSpec},
    state::{LineProfile, OltState},
    text::{fold, stamp},
};
use std::collections::BTreeMap;
use types::UtcMs;

/// The simulated OLT.
#[derive(Debug)]
pub struct Olt {
    pub(crate) spec: OltSpec,
    pub(crate) state: OltState,
    pub(crate) faults: Faults,
    pub(crate) record: Record,
    pub(crate) events: Vec<OltEvent>,
    pub(crate) noise: Vec<Noise>,
    sessions: BTreeMap<u64, String>,
    next_session: u64,
    commands: u64,
    /// Raised by every change of the state: caches and the state file follow it.
    pub(crate) generation: u64,
    /// Sessions that must end because the box restarted.
    pub(crate) restarts: u64,
    /// Generation at which the plant was settled last.
    pub(crate) settled: Option<u64>,
    /// When something happens by itself next.
    pub(crate) next_due: Option<UtcMs>,
}

/// A command being carried out.
pub(crate) struct Ctx<'a> {
    pub(crate) olt: &'a mut Olt,
    pub(crate) session: &'a mut Session,
    pub(crate) now: UtcMs,
    pub(crate) effects: Vec<Effect>,
    pub(crate) close: bool,
}

/// `Failure: …`
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

pub(crate) fn failure<T>(text: impl Into<String>) -> Result<T, Failure> {
    Err(Failure(text.into()))
}

impl Olt {
    /// A box as first found.
    pub fn new(spec: OltSpec, now: UtcMs) -> Self {
        let state = OltState::new(&spec, now);
        Self::with_state(spec, state, Record::default())
    }

    pub(crate) fn with_state(spec: OltSpec, state: OltState, record: Record) -> Self {
        let faults = Faults::new(spec.seed);
        Olt {
            spec,
            state,
            faults,
            record,
            events: Vec::new(),
            noise: Vec::new(),
            sessions: BTreeMap::new(),
            next_session: 1,
            commands: 0,
            generation: 0,
            restarts: 0,
            settled: None,
            next_due: None,
        }
    }

    /// The memory of the box.
    pub fn state(&self) -> &OltState {
        &self.state
    }

    /// What it was told.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Faults, to switch on and off.
    pub fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// What happened since the last call. A running box tells its subscribers itself.
    pub fn take_events(&mut self) -> Vec<OltEvent> {
        std::mem::take(&mut self.events)
    }

    /// Alarms and notices since the last call, for terminals driven by hand.
    pub fn take_noise(&mut self) -> Vec<Noise> {
        std::mem::take(&mut self.noise)
    }

    /// What it is made of.
    pub fn spec(&self) -> &OltSpec {
        &self.spec
    }

    /// Checks a name and password.
    pub fn check_login(&self, user: &str, password: &str) -> Result<(), LoginError> {
        let known =
            self.spec.users.iter().any(|u| u.name == user && u.password == types::Secret::new(password));
        if known { Ok(()) } else { Err(LoginError::Credentials) }
    }

    /// Opens a session for a user that has proven who he is.
    ///
    /// # Errors
    /// When the box is starting or the user has his sessions open already.
    pub fn open_session(&mut self, user: &str, via: Via, now: UtcMs) -> Result<Session, LoginError> {
        self.tick(now);
        if self.state.down_until.is_some() {
            return Err(LoginError::Starting);
        }
        if self.sessions.values().filter(|name| *name == user).count() >= self.spec.max_sessions {
            return Err(LoginError::TooManySessions);
        }
        let id = self.next_session;
        self.next_session += 1;
        self.sessions.insert(id, user.to_owned());
        Ok(Session {
            id,
            user: user.to_owned(),
            via,
            view: View::User,
            idle_timeout_s: Some(self.spec.idle_timeout_s),
            page_rows: self.spec.quirks.page_rows,
            alarms: true,
            smart: true,
            interactive: true,
            ask: None,
            line_draft: LineProfile::default(),
            srv_draft: None,
        })
    }

    /// Ends a session.
    pub fn close_session(&mut self, id: u64) {
        self.sessions.remove(&id);
    }

    /// Sessions open now.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The lines printed after login.
    pub fn banner(&self, session: &Session, now: UtcMs) -> Vec<String> {
        let product = match self.state.model {
            Model::Ma5800X7 => "MA5800",
            Model::Ma5608t => "MA5608T",
        };
        let rule = format!("  {}", "-".repeat(77));
        vec![
            String::new(),
            format!("  Huawei Integrated Access Software ({product})."),
            "  Copyright(C) Huawei Technologies Co., Ltd. 2002-2021. All rights reserved.".to_owned(),
            String::new(),
            rule.clone(),
            "  User last login information:".to_owned(),
            rule.clone(),
            format!("  Access Type : {}", if session.via == Via::Ssh { "SSH" } else { "Telnet" }),
            "  IP-Address  : 127.0.0.1".to_owned(),
            format!("  Login  Time : {}", stamp(now)),
            "  Logout Time : -".to_owned(),
            rule,
        ]
    }

    /// The prompt of a session.
    pub fn prompt(&self, session: &Session) -> String {
        let name = &self.state.config.sysname;
        match session.view {
            View::User => format!("{name}>"),
            View::Enable => format!("{name}#"),
            View::Config => format!("{name}(config)#"),
            View::Gpon { slot } => format!("{name}(config-if-gpon-0/{slot})#"),
            View::LineProfile { id } => format!("{name}(config-gpon-lineprofile-{id})#"),
            View::SrvProfile { id } => format!("{name}(config-gpon-srvprofile-{id})#"),
        }
    }

    /// Takes one line of a session and answers it.
    pub fn execute(&mut self, session: &mut Session, line: &str, now: UtcMs) -> Output {
        self.tick(now);
        let line: String = line.chars().filter(|c| !c.is_control()).take(MAX_LINE_CHARS).collect();
        let line = line.trim();
        if let Some(ask) = session.ask.take() {
            return self.answer(session, ask, line, now);
        }
        if line.is_empty() {
            return Output { prompt: self.prompt(session), ..Output::default() };
        }
        let fault = self.faults.strike(line);
        if let Some(fault) = &fault
            && let Some(output) = self.fault_before(session, line, fault, now)
        {
            return output;
        }
        self.run(session, line, fault, Confirmed::default(), now)
    }

    fn answer(&mut self, session: &mut Session, ask: Ask, answer: &str, now: UtcMs) -> Output {
        match ask {
            Ask::Cr { line, fault } if answer.is_empty() => {
                let mut output = self.run(session, &line, fault, Confirmed { cr: true, yes: false }, now);
                let echoed = [String::new(), "  Command:".to_owned(), format!("          {line}")];
                output.lines.splice(0..0, echoed);
                output
            }
            Ask::Cr { line, fault } => {
                self.run(session, &format!("{line} {answer}"), fault, Confirmed::default(), now)
            }
            Ask::More { line, fault } if answer.is_empty() => {
                let mut output = Output {
                    lines: vec![
                        format!(
                            "{}^",
                            " ".repeat(self.prompt(session).chars().count() + line.chars().count())
                        ),
                        "  % Incomplete command, the error locates at '^'".to_owned(),
                    ],
                    prompt: self.prompt(session),
                    ..Output::default()
                };
                self.note(
                    session,
                    &line,
                    Verdict::Refused { text: "Incomplete command".to_owned() },
                    &fault,
                    now,
                );
                self.fault_after(session, fault, &mut output, now);
                output
            }
            Ask::More { line, fault } => {
                self.run(session, &format!("{line} {answer}"), fault, Confirmed::default(), now)
            }
            Ask::YesNo { line, fault } if answer.eq_ignore_ascii_case("y") => {
                self.run(session, &line, fault, Confirmed { cr: true, yes: true }, now)
            }
            Ask::YesNo { .. } => {
                // Anything but y is no, a whole command included.
                self.note(session, answer, Verdict::Done, &None, now);
                Output { prompt: self.prompt(session), ..Output::default() }
            }
            Ask::LogOut if answer.eq_ignore_ascii_case("y") => Output {
                lines: vec![String::new(), "  Configuration console exit, please retry to log on".to_owned()],
                close: true,
                ..Output::default()
            },
            Ask::LogOut => Output { prompt: self.prompt(session), ..Output::default() },
        }
    }

    fn run(
        &mut self,
        session: &mut Session,
        line: &str,
        fault: Option<FaultKind>,
        confirmed: Confirmed,
        now: UtcMs,
    ) -> Output {
        let (command, args) = match recognise(session.view, line) {
            Ok(found) => found,
            Err(SyntaxError::Incomplete { expected, .. }) if session.smart && !expected.is_empty() => {
                self.note(session, line, Verdict::Asked, &None, now);
                session.ask = Some(Ask::More { line: line.to_owned(), fault });
                return question(Vec::new(), format!("{{ {} }}:", expected.join("|")));
            }
            Err(error) => {
                let (column, text) = match error {
                    SyntaxError::Unknown { column } => (column, "Unknown command"),
                    SyntaxError::Parameter { column } => (column, "Parameter error"),
                    SyntaxError::TooMany { column } => (column, "Too many parameters"),
                    SyntaxError::Incomplete { column, .. } => (column, "Incomplete command"),
                };
                // Under the word as it stands on the terminal, which folds at its width.
                let indent = (self.prompt(session).chars().count() + column) % 80;
                self.note(session, line, Verdict::Refused { text: text.to_owned() }, &fault, now);
                let mut output = Output {
                    lines: vec![
                        format!("{}^", " ".repeat(indent)),
                        format!("  % {text}, the error locates at '^'"),
                    ],
                    prompt: self.prompt(session),
                    ..Output::default()
                };
                self.fault_after(session, fault, &mut output, now);
                return output;
            }
        };
        if session.smart && !command.cr.is_empty() && !confirmed.cr {
            session.ask = Some(Ask::Cr { line: line.to_owned(), fault });
            return question(Vec::new(), format!("{{ <cr>|{} }}:", command.cr));
        }
        if session.interactive
            && !confirmed.yes
            && let Some((warning, text)) = self.confirmation(session, command, &args)
        {
            self.note(session, line, Verdict::Asked, &None, now);
            session.ask = Some(match command.cmd {
                Cmd::Quit => Ask::LogOut,
                _ => Ask::YesNo { line: line.to_owned(), fault },
            });
            return question(warning, text);
        }
        self.carry_out(session, line, command, &args, fault, now)
    }

    /// What the box asks before it does something grave.
    fn confirmation(
        &self,
        session: &Session,
        command: &Command,
        args: &Args,
    ) -> Option<(Vec<String>, String)> {
        let quirks = &self.spec.quirks;
        match command.cmd {
            Cmd::Quit if matches!(session.view, View::User | View::Enable) => {
                Some((Vec::new(), "  Are you sure to log out? (y/n)[n]:".to_owned()))
            }
            Cmd::UndoServicePortRange => Some((
                [
                    "  Warning: The operation will delete multiple or all service ports and cause interruptions of",
                    "many user services.",
                    "  It will take several minutes, and console may timeout,",
                    "  please use command idle-timeout to set time limit",
                ]
                .map(str::to_owned)
                .to_vec(),
                "  Are you sure to release service virtual port(s)? (y/n)[n]:".to_owned(),
            )),
            Cmd::UndoServicePort if quirks.confirm_single_undo => Some((
                Vec::new(),
                "  Are you sure to release service virtual port(s)? (y/n)[n]:".to_owned(),
            )),
            Cmd::OntReset if quirks.confirm_ont_reset => {
                Some((Vec::new(), "  Are you sure to reset the ONT(s)? (y/n)[n]:".to_owned()))
            }
            Cmd::OntDelete if quirks.confirm_ont_delete => Some((
                Vec::new(),
                format!(
                    "  Are you sure to delete ONT {} of port {}? (y/n)[n]:",
                    args.text("o").unwrap_or_default(),
                    args.text("p").unwrap_or_default()
                ),
            )),
            _ => None,
        }
    }

    fn carry_out(
        &mut self,
        session: &mut Session,
        line: &str,
        command: &Command,
        args: &Args,
        fault: Option<FaultKind>,
        now: UtcMs,
    ) -> Output {
        let view = self.prompt(session);
        let mut ctx = Ctx { olt: self, session, now, effects: Vec::new(), close: false };
        let result = super::exec::dispatch(&mut ctx, command.cmd, args);
        let (effects, close) = (std::mem::take(&mut ctx.effects), ctx.close);
        let (lines, verdict) = match result {
            Ok(lines) => (lines, Verdict::Done),
            Err(Failure(text)) => {
                let folded = fold(&format!("Failure: {text}"), self.spec.quirks.wrap_columns);
                (folded, Verdict::Refused { text: format!("Failure: {text}") })
            }
        };
        if !effects.is_empty() {
            self.generation += 1;
        }
        self.record.push(Entry {
            seq: 0,
            at: now,
            session: session.id,
            user: session.user.clone(),
            view,
            line: redact(line),
            verdict,
            effects,
            fault: fault.as_ref().map(|f| f.name().to_owned()),
        });
        self.tick(now);
        let mut output = Output { lines, prompt: self.prompt(session), close, ..Output::default() };
        self.commands += 1;
        if self.spec.quirks.alarm_every != 0
            && self.commands.is_multiple_of(self.spec.quirks.alarm_every)
            && session.alarms
        {
            self.interrupt(&mut output.lines, "", now);
        }
        self.fault_after(session, fault, &mut output, now);
        output
    }

    /// Faults that strike instead of the line. `None` = carry on.
    fn fault_before(
        &mut self,
        session: &mut Session,
        line: &str,
        fault: &FaultKind,
        now: UtcMs,
    ) -> Option<Output> {
        let refuse = |olt: &mut Olt, session: &Session, text: &str| {
            olt.note(session, line, Verdict::Refused { text: text.to_owned() }, &Some(fault.clone()), now);
            Some(Output {
                lines: fold(text, olt.spec.quirks.wrap_columns),
                prompt: olt.prompt(session),
                ..Output::default()
            })
        };
        match fault {
            FaultKind::CutBefore => {
                self.note(
                    session,
                    line,
                    Verdict::Refused { text: "connection cut".to_owned() },
                    &Some(fault.clone()),
                    now,
                );
                Some(Output { cut: Some(Cut::AtOnce), close: true, ..Output::default() })
            }
            FaultKind::Refuse { text } => refuse(self, session, text),
            FaultKind::Busy => refuse(self, session, "Failure: System is busy, please retry after a while"),
            FaultKind::TakeNextOntId { pon } => {
                self.take_next_ont_id(*pon, now);
                None
            }
            FaultKind::Restart { keep_unsaved, after_effect: false } => {
                self.note(
                    session,
                    line,
                    Verdict::Refused { text: "restarted".to_owned() },
                    &Some(fault.clone()),
                    now,
                );
                self.restart(*keep_unsaved, now);
                Some(Output { cut: Some(Cut::AtOnce), close: true, ..Output::default() })
            }
            FaultKind::CutAfter
            | FaultKind::CutInReply { .. }
            | FaultKind::WrongReply { .. }
            | FaultKind::Silent
            | FaultKind::Delay { .. }
            | FaultKind::Hang
            | FaultKind::Alarm { .. }
            | FaultKind::Restart { after_effect: true, .. } => None,
        }
    }

    /// Faults that strike after the line took effect.
    fn fault_after(&mut self, _session: &Session, fault: Option<FaultKind>, output: &mut Output, now: UtcMs) {
        match fault {
            Some(FaultKind::CutAfter) => {
                output.cut = Some(Cut::AtOnce);
                output.close = true;
            }
            Some(FaultKind::CutInReply { after_chars }) => {
                output.cut = Some(Cut::AfterChars(after_chars));
                output.close = true;
            }
            Some(FaultKind::WrongReply { text }) => {
                output.lines = text.lines().map(str::to_owned).collect();
            }
            Some(FaultKind::Silent) => output.lines.clear(),
            Some(FaultKind::Delay { ms }) => output.delay_ms = ms,
            Some(FaultKind::Hang) => output.hang = true,
            Some(FaultKind::Alarm { text }) => self.interrupt(&mut output.lines, &text, now),
            Some(FaultKind::Restart { keep_unsaved, after_effect: true }) => {
                self.restart(keep_unsaved, now);
                output.cut = Some(Cut::AtOnce);
                output.close = true;
            }
            Some(
                FaultKind::CutBefore
                | FaultKind::Refuse { .. }
                | FaultKind::Busy
                | FaultKind::TakeNextOntId { .. }
                | FaultKind::Restart { after_effect: false, .. },
            )
            | None => {}
        }
    }

    /// Puts an alarm into the middle of a reply.
    fn interrupt(&self, lines: &mut Vec<String>, text: &str, now: UtcMs) {
        let alarm = if text.is_empty() {
            super::text::alarm(
                "RUNNING",
                "MINOR",
                "The environment parameter is abnormal",
                "FrameID: 0, SlotID: 0, Sensor ID: 2",
                now,
            )
        } else {
            text.lines().map(str::to_owned).collect()
        };
        let middle = lines.len() / 2;
        lines.splice(middle..middle, alarm);
    }

    fn note(
        &mut self,
        session: &Session,
        line: &str,
        verdict: Verdict,
        fault: &Option<FaultKind>,
        now: UtcMs,
    ) {
        self.record.push(Entry {
            seq: 0,
            at: now,
            session: session.id,
            user: session.user.clone(),
            view: self.prompt(session),
            line: redact(line),
            verdict,
            effects: Vec::new(),
            fault: fault.as_ref().map(|f| f.name().to_owned()),
        });
    }

    /// An entry of the box itself or of the simulation's operator.
    pub(crate) fn note_own(&mut self, line: &str, effects: Vec<Effect>, now: UtcMs) {
        self.generation += 1;
        self.record.push(Entry {
            seq: 0,
            at: now,
            session: 0,
            user: String::new(),
            view: String::new(),
            line: line.to_owned(),
            verdict: Verdict::Done,
            effects,
            fault: None,
        });
    }
}

impl Ctx<'_> {
    /// Session switches.
    pub(crate) fn set_smart(&mut self, on: bool) {
        self.session.smart = on;
    }

    pub(crate) fn set_interactive(&mut self, on: bool) {
        self.session.interactive = on;
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Confirmed {
    cr: bool,
    yes: bool,
}

fn question(lines: Vec<String>, prompt: String) -> Output {
    Output { lines, prompt, asks: true, ..Output::default() }
}
