//! A terminal of the box, without a socket: bytes in, actions out. Login, echo, line editing, the pager, questions,
//! and alarms breaking in.

use super::{
    machine::Olt,
    session::{Cut, Noise, Output, Session, Via},
    text::stamp,
};
use std::collections::VecDeque;
use types::UtcMs;

/// What the pager prints and waits behind.
pub const MORE: &str = "---- More ( Press 'Q' to break) ----";
/// How it wipes that away: back, blanks over it, back.
pub const WIPE: &str = "\u{1b}[37D                                     \u{1b}[37D";
/// Columns of the terminal; a longer line being typed is wrapped by a blank and a step back.
const COLUMNS: usize = 80;
/// Failed logins before the box hangs up.
const LOGIN_ATTEMPTS: u32 = 3;
/// Longest line kept while typing.
const MAX_TYPED_CHARS: usize = 1_024;

/// What the transport has to do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Wait before the next action.
    WaitMs(u64),
    /// End the session in good order.
    Close,
    /// Break the connection.
    Cut,
}

#[derive(Debug)]
enum Stage {
    UserName,
    Password {
        user: String,
    },
    /// The page that wants a `yes`.
    Page(Box<Session>),
    Shell(Box<Session>),
    Closed,
}

/// One terminal.
#[derive(Debug)]
pub struct Terminal {
    stage: Stage,
    via: Via,
    typed: String,
    column: usize,
    prompt: String,
    paged: VecDeque<String>,
    paging: bool,
    after_pages: String,
    last_was_cr: bool,
    failed_logins: u32,
    hung: bool,
    closing: bool,
}

impl Terminal {
    fn new(stage: Stage, via: Via) -> Self {
        Terminal {
            stage,
            via,
            typed: String::new(),
            column: 0,
            prompt: String::new(),
            paged: VecDeque::new(),
            paging: false,
            after_pages: String::new(),
            last_was_cr: false,
            failed_logins: 0,
            hung: false,
            closing: false,
        }
    }

    /// A Telnet connection: asks for name and password first.
    pub fn login(now: UtcMs) -> (Self, Vec<Action>) {
        let mut terminal = Terminal::new(Stage::UserName, Via::Telnet);
        terminal.prompt = ">>User name:".to_owned();
        let text = format!("\r\n\r\n  Warning: authorised access only. {}\r\n\r\n>>User name:", stamp(now));
        (terminal, vec![Action::Send(text.into_bytes())])
    }

    /// A user who is logged in already (SSH).
    pub fn shell(olt: &mut Olt, user: &str, via: Via, now: UtcMs) -> (Self, Vec<Action>) {
        let mut terminal = Terminal::new(Stage::UserName, via);
        let mut actions = Vec::new();
        terminal.open(olt, user, now, &mut actions);
        (terminal, actions)
    }

    fn open(&mut self, olt: &mut Olt, user: &str, now: UtcMs, actions: &mut Vec<Action>) {
        match olt.open_session(user, self.via, now) {
            Ok(session) => {
                let mut text = String::new();
                for line in olt.banner(&session, now) {
                    text.push_str(&line);
                    text.push_str("\r\n");
                }
                text.push_str("\r\n");
                if olt.spec().quirks.login_page {
                    text.push_str("  The access is restricted to authorised persons.\r\n\r\n");
                    self.prompt = "  Do you accept this? [YES/NO]:".to_owned();
                    self.stage = Stage::Page(Box::new(session));
                } else {
                    self.prompt = olt.prompt(&session);
                    self.stage = Stage::Shell(Box::new(session));
                }
                text.push_str(&self.prompt);
                self.column = self.prompt.chars().count();
                actions.push(Action::Send(text.into_bytes()));
            }
            Err(error) => {
                actions.push(Action::Send(format!("\r\n  {error}\r\n").into_bytes()));
                actions.push(Action::Close);
                self.stage = Stage::Closed;
            }
        }
    }

    /// The session, once logged in.
    pub fn session(&self) -> Option<&Session> {
        match &self.stage {
            Stage::Shell(session) => Some(session),
            Stage::UserName | Stage::Password { .. } | Stage::Page(_) | Stage::Closed => None,
        }
    }

    /// Idle limit in force.
    pub fn idle_timeout_s(&self) -> Option<u64> {
        match &self.stage {
            Stage::Shell(session) => session.idle_timeout_s,
            Stage::UserName | Stage::Password { .. } | Stage::Page(_) => Some(60),
            Stage::Closed => Some(0),
        }
    }

    /// Nothing came for the idle limit.
    pub fn timed_out(&mut self) -> Vec<Action> {
        vec![
            Action::Send(b"\r\n\r\n  Configuration console time out, please retry to log on\r\n".to_vec()),
            Action::Close,
        ]
    }

    /// The terminal is gone: frees its session.
    pub fn closed(&mut self, olt: &mut Olt) {
        if let Stage::Shell(session) | Stage::Page(session) = &self.stage {
            olt.close_session(session.id);
        }
        self.stage = Stage::Closed;
    }

    /// Text nobody asked for. While the pager waits it is dropped, as the box does not break into a page.
    pub fn noise(&mut self, noise: &Noise) -> Vec<Action> {
        let Stage::Shell(session) = &self.stage else { return Vec::new() };
        let mine = match noise.session {
            Some(id) => id == session.id,
            None => session.alarms,
        };
        if !mine || self.paging || self.hung {
            return Vec::new();
        }
        let mut text = String::from("\r\n");
        for line in &noise.lines {
            text.push_str(line);
            text.push_str("\r\n");
        }
        text.push_str("\r\n");
        text.push_str(&self.prompt);
        text.push_str(&self.typed);
        vec![Action::Send(text.into_bytes())]
    }

    /// Bytes from the other side.
    pub fn input(&mut self, olt: &mut Olt, bytes: &[u8], now: UtcMs) -> Vec<Action> {
        let mut actions = Vec::new();
        for byte in bytes {
            if self.hung || self.closing || matches!(self.stage, Stage::Closed) {
                break;
            }
            self.key(olt, *byte, now, &mut actions);
        }
        merge(actions)
    }

    fn key(&mut self, olt: &mut Olt, byte: u8, now: UtcMs, actions: &mut Vec<Action>) {
        let after_cr = std::mem::replace(&mut self.last_was_cr, byte == b'\r');
        if after_cr && matches!(byte, b'\n' | 0) {
            return;
        }
        if self.paging {
            self.page_key(byte, actions);
            return;
        }
        match byte {
            b'\r' | b'\n' => self.enter(olt, now, actions),
            8 | 127 if self.typed.pop().is_some() => {
                self.column = self.column.saturating_sub(1);
                if self.echoes() {
                    send(actions, "\u{8} \u{8}");
                }
            }
            8 | 127 => {}
            3 => {
                self.typed.clear();
                self.column = self.prompt.chars().count();
                send(actions, &format!("\r\n{}", self.prompt));
            }
            byte if byte >= 32 => {
                if self.typed.len() < MAX_TYPED_CHARS {
                    // Latin-1 per byte: the box knows no UTF-8.
                    self.typed.push(char::from(byte));
                    if self.echoes() {
                        actions.push(Action::Send(vec![byte]));
                        self.column += 1;
                        if self.column.is_multiple_of(COLUMNS) {
                            send(actions, " \u{1b}[1D");
                        }
                    }
                } else {
                    send(actions, "\u{7}");
                }
            }
            _ => {}
        }
    }

    fn echoes(&self) -> bool {
        !matches!(self.stage, Stage::Password { .. })
    }

    fn enter(&mut self, olt: &mut Olt, now: UtcMs, actions: &mut Vec<Action>) {
        let line = std::mem::take(&mut self.typed);
        send(actions, "\r\n");
        match std::mem::replace(&mut self.stage, Stage::Closed) {
            Stage::UserName => {
                let user = line.trim().to_owned();
                self.prompt = if user.is_empty() { ">>User name:" } else { ">>User password:" }.to_owned();
                self.stage = if user.is_empty() { Stage::UserName } else { Stage::Password { user } };
                send(actions, &self.prompt.clone());
            }
            Stage::Password { user } => match olt.check_login(&user, &line) {
                Ok(()) => self.open(olt, &user, now, actions),
                Err(error) => {
                    self.failed_logins += 1;
                    send(actions, &format!("\r\n  {error}\r\n\r\n"));
                    if self.failed_logins >= LOGIN_ATTEMPTS {
                        self.closing = true;
                        actions.push(Action::Close);
                    } else {
                        self.prompt = ">>User name:".to_owned();
                        send(actions, &self.prompt.clone());
                        self.stage = Stage::UserName;
                    }
                }
            },
            Stage::Page(session) => {
                if line.trim().eq_ignore_ascii_case("yes") {
                    self.prompt = olt.prompt(&session);
                    send(actions, &format!("\r\n{}", self.prompt));
                    self.stage = Stage::Shell(session);
                } else {
                    olt.close_session(session.id);
                    self.closing = true;
                    actions.push(Action::Close);
                }
            }
            Stage::Shell(mut session) => {
                let output = olt.execute(&mut session, &line, now);
                let rows = session.page_rows.max(1);
                self.stage = Stage::Shell(session);
                self.reply(output, rows, actions);
            }
            Stage::Closed => {}
        }
    }

    fn reply(&mut self, output: Output, rows: usize, actions: &mut Vec<Action>) {
        if output.hang {
            self.hung = true;
            return;
        }
        if output.delay_ms > 0 {
            actions.push(Action::WaitMs(output.delay_ms));
        }
        self.prompt = output.prompt.clone();
        self.column = self.prompt.chars().count();
        match output.cut {
            Some(Cut::AtOnce) => {
                self.closing = true;
                actions.push(Action::Cut);
                return;
            }
            Some(Cut::AfterChars(n)) => {
                let whole = output.lines.iter().map(|line| format!("{line}\r\n")).collect::<String>()
                    + "\r\n"
                    + &output.prompt;
                let part: String = whole.chars().take(n).collect();
                send(actions, &part);
                self.closing = true;
                actions.push(Action::Close);
                return;
            }
            None => {}
        }
        if output.asks || output.lines.len() <= rows {
            for line in &output.lines {
                send(actions, line);
                send(actions, "\r\n");
            }
            if !output.lines.is_empty() && !output.asks && !output.close {
                send(actions, "\r\n");
            }
            send(actions, &output.prompt);
        } else {
            self.paged = output.lines.into();
            self.after_pages = format!("\r\n{}", output.prompt);
            self.page(rows, actions);
        }
        if output.close {
            self.closing = true;
            actions.push(Action::Close);
        }
    }

    /// Prints up to `rows` lines, then the marker or the prompt.
    fn page(&mut self, rows: usize, actions: &mut Vec<Action>) {
        for _ in 0..rows {
            let Some(line) = self.paged.pop_front() else { break };
            send(actions, &line);
            send(actions, "\r\n");
        }
        self.paging = !self.paged.is_empty();
        if self.paging {
            send(actions, MORE);
        } else {
            send(actions, &std::mem::take(&mut self.after_pages));
        }
    }

    fn page_key(&mut self, byte: u8, actions: &mut Vec<Action>) {
        send(actions, WIPE);
        match byte {
            b'q' | b'Q' | 3 => {
                self.paged.clear();
                self.page(0, actions);
            }
            b'\r' | b'\n' => self.page(1, actions),
            _ => {
                let rows = self.session().map_or(24, |session| session.page_rows.max(1));
                self.page(rows, actions);
            }
        }
    }
}

fn send(actions: &mut Vec<Action>, text: &str) {
    // One byte per character up to U+00FF, what cannot be said becomes '?': as the box prints it.
    let bytes = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'));
    actions.push(Action::Send(bytes.collect()));
}

fn merge(actions: Vec<Action>) -> Vec<Action> {
    let mut merged: Vec<Action> = Vec::with_capacity(actions.len());
    for action in actions {
        match (merged.last_mut(), action) {
            (Some(Action::Send(all)), Action::Send(more)) => all.extend(more),
            (_, action) => merged.push(action),
        }
    }
    merged
}
