//! The dialogue with an OLT, without any I/O: bytes in, bytes and events out.
//!
//! **Invariants.** Nothing here reads a clock: the session says when a deadline has passed. Bytes are judged one at
//! a time, so the result does not depend on how the network cut them. A prompt counts only after the echo of the
//! command it answers, alone on its row and with the learned host name: a prompt repeated after an alarm, or a `#`
//! inside a description, never shifts the replies of later commands. After any failure the dialogue is dead and the
//! outcome of the command in flight is *unknown*; only reading back on a new session can tell.

use crate::{
    clean::{Change, Screen},
    dialect::{Command, Dialect, Verdict},
    limits::Limits,
};
use regex::Regex;
use std::{collections::VecDeque, sync::Arc};
use types::Secret;

/// Where the OLT stands, as its prompt says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Prompt {
    /// The host name.
    pub host: String,
    /// The bracketed part, empty if none: `(config-if-gpon-0/1)`.
    pub context: String,
    /// `>`, `#` or the like.
    pub end: String,
}

/// The answer to one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Clean text: without echo, pagers, prompts, noise and repeats of the command.
    pub text: String,
    /// How the OLT answered.
    pub verdict: Verdict,
    /// Where the OLT stands now.
    pub prompt: Prompt,
    /// Questions answered *no* because nobody expected them. If there is one, the command did not do its work.
    pub refused_questions: Vec<String>,
}

/// Who we are.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Account on the OLT.
    pub username: String,
    /// Its password.
    pub password: Secret,
}

/// Why a dialogue ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Wrong account or password, or the account is locked.
    #[error("the OLT refused the login: {0}")]
    LoginRefused(String),
    /// A deadline passed.
    #[error("the OLT did not answer in time")]
    TimedOut,
    /// The connection ended.
    #[error("the connection to the OLT was lost: {0}")]
    Torn(String),
    /// The OLT ended the session.
    #[error("the OLT ended the session: {0}")]
    Closed(String),
    /// The OLT asks for something that the command should have said.
    #[error("the OLT asks for a parameter that the command does not give: {0}")]
    Incomplete(String),
    /// The peer exceeds a limit.
    #[error("the OLT sends more than this session takes: {0}")]
    Limit(&'static str),
}

/// What the engine wants or says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes.
    Send(Vec<u8>),
    /// Login is through; the first prompt was learned.
    LoggedIn(Prompt),
    /// The command in flight was answered.
    Finished(Reply),
    /// A question that nobody expected was answered *no*.
    Raised(String),
    /// A line came that answers nothing; only while one attends.
    Said(String),
    /// The dialogue is dead.
    Failed(EngineError),
}

/// A command was given while the engine was not ready for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the OLT session is not ready for a command")]
pub struct NotReady;

#[derive(Debug, Default)]
struct Login {
    asks_for_login: bool,
    sent_username: bool,
    sent_password: bool,
    /// A prompt seen once and asked for again.
    candidate: Option<String>,
    candidates: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Run {
    /// The command without blanks, to find its echo.
    echo: String,
    /// Text before the echo was found, without blanks.
    before_echo: String,
    echo_seen: bool,
    lines: Vec<String>,
    confirm: Arc<[Regex]>,
    refused_questions: Vec<String>,
    bytes: usize,
    /// A pager was answered on the row under the cursor: it erases itself.
    paged: bool,
    pages: usize,
    cr_prompts: usize,
    questions: usize,
}

#[derive(Debug)]
enum State {
    LoggingIn(Login),
    Ready,
    Running(Run),
    Dead,
}

/// The dialogue engine.
#[derive(Debug)]
pub struct Engine {
    dialect: Arc<Dialect>,
    credentials: Credentials,
    limits: Limits,
    newline: String,
    state: State,
    screen: Screen,
    /// Column at which the current row was answered, so that a blank after a prompt is not answered again.
    answered: Option<usize>,
    /// Noise block being skipped: its number and the lines it may still have.
    noise: Option<(usize, usize)>,
    prompt: Prompt,
    /// Bytes that may still come uninvited and are told as [`Output::Said`]; `None` while nobody attends.
    attending: Option<usize>,
    out: VecDeque<Output>,
}

/// Stands for a line that overwrote itself.
const REWRITTEN: &str = "  (a line that overwrote itself)";

fn squash(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

impl Engine {
    /// A dialogue that starts before the first prompt. `asks_for_login`: the OLT asks for name and password in the
    /// terminal (Telnet); over SSH both are already given.
    pub fn new(
        dialect: Arc<Dialect>,
        credentials: Credentials,
        newline: String,
        asks_for_login: bool,
        limits: Limits,
    ) -> Self {
        Engine {
            dialect,
            credentials,
            newline,
            state: State::LoggingIn(Login { asks_for_login, ..Login::default() }),
            screen: Screen::new(limits.line_columns),
            answered: None,
            noise: None,
            prompt: Prompt::default(),
            attending: None,
            out: VecDeque::new(),
            limits,
        }
    }

    /// The last prompt.
    pub fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// True if a command may be given.
    pub fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    /// True if this dialogue is over.
    pub fn is_dead(&self) -> bool {
        matches!(self.state, State::Dead)
    }

    /// The next thing to do; call until `None` after every input.
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Sends a command line.
    ///
    /// # Errors
    /// [`NotReady`] before login, while a command is in flight, and after the end.
    pub fn command(&mut self, command: &Command) -> Result<(), NotReady> {
        self.line(&command.line, Arc::clone(&command.confirm))
    }

    /// Sends a bare line in the present mode. Questions matching `confirm` are answered *yes*.
    ///
    /// # Errors
    /// As [`Engine::command`].
    pub fn line(&mut self, line: &str, confirm: Arc<[Regex]>) -> Result<(), NotReady> {
        if !self.is_ready() {
            return Err(NotReady);
        }
        self.state = State::Running(Run {
            echo: squash(line),
            before_echo: String::new(),
            echo_seen: false,
            lines: Vec::new(),
            confirm,
            refused_questions: Vec::new(),
            bytes: 0,
            paged: false,
            pages: 0,
            cr_prompts: 0,
            questions: 0,
        });
        self.noise = None;
        self.answered = Some(self.screen.column());
        self.send_line(line);
        Ok(())
    }

    /// Whether lines that come after a reply are told. What an OLT may say so is bounded like a login.
    pub fn attend(&mut self, on: bool) {
        self.attending = on.then_some(self.limits.login_bytes);
    }

    /// The deadline of what is in flight has passed: the session is tainted and over.
    pub fn deadline_passed(&mut self) {
        self.fail(EngineError::TimedOut);
    }

    /// The transport failed or ended.
    pub fn torn(&mut self, reason: impl Into<String>) {
        self.fail(EngineError::Torn(reason.into()));
    }

    /// Takes what the OLT sent.
    pub fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.is_dead() {
                return;
            }
            if let Err(error) = self.take(*byte) {
                self.fail(error);
            }
        }
    }

    fn fail(&mut self, error: EngineError) {
        if !self.is_dead() {
            self.state = State::Dead;
            self.out.push_back(Output::Failed(error));
        }
    }

    fn send(&mut self, text: &str) {
        self.out.push_back(Output::Send(text.as_bytes().to_vec()));
    }

    fn send_line(&mut self, line: &str) {
        let text = format!("{line}{}", self.newline);
        self.send(&text);
    }

    fn take(&mut self, byte: u8) -> Result<(), EngineError> {
        match &mut self.state {
            State::LoggingIn(login) => {
                login.bytes += 1;
                if login.bytes > self.limits.login_bytes {
                    return Err(EngineError::Limit("too much text before the first prompt"));
                }
            }
            State::Running(run) => {
                run.bytes += 1;
                if run.bytes > self.limits.reply_bytes {
                    return Err(EngineError::Limit("the reply is too large"));
                }
            }
            State::Ready => {
                if let Some(left) = &mut self.attending {
                    *left = left.checked_sub(1).ok_or(EngineError::Limit("too much text after a reply"))?;
                }
            }
            State::Dead => return Ok(()),
        }
        match self.screen.push(byte).map_err(|_| EngineError::Limit("a line is too long"))? {
            Change::Nothing => Ok(()),
            Change::Line => {
                self.answered = None;
                let line = self.screen.take_line();
                self.line_done(line)
            }
            Change::Row => {
                if self.answered.is_some_and(|column| self.screen.column() < column) {
                    self.answered = None;
                }
                // Everything that wants an answer ends in punctuation.
                if self.answered.is_none() && byte.is_ascii_punctuation() {
                    let row = self.screen.before_cursor();
                    return self.row_changed(&row);
                }
                Ok(())
            }
        }
    }

    fn answer(&mut self, text: &str) {
        self.answered = Some(self.screen.column());
        self.send(text);
    }

    fn answer_line(&mut self, text: &str) {
        let text = format!("{text}{}", self.newline);
        self.answer(&text);
    }

    fn line_done(&mut self, line: String) -> Result<(), EngineError> {
        let dialect = Arc::clone(&self.dialect);
        if dialect.closed.iter().any(|r| r.is_match(&line)) {
            return Err(EngineError::Closed(line.trim().to_owned()));
        }
        match &mut self.state {
            State::LoggingIn(login) => {
                // Over SSH the password is already given; what the OLT says then is about us.
                if (login.sent_password || !login.asks_for_login)
                    && dialect.refused.iter().any(|r| r.is_match(&line))
                {
                    return Err(EngineError::LoginRefused(line.trim().to_owned()));
                }
                Ok(())
            }
            State::Running(run) => {
                if let Some((block, left)) = self.noise {
                    let ended = dialect.noise_blocks.get(block).is_none_or(|b| b.end.is_match(&line));
                    self.noise = if ended || left == 0 { None } else { Some((block, left - 1)) };
                    if left > 0 || ended {
                        return Ok(());
                    }
                } else if let Some(block) = dialect.noise_blocks.iter().position(|b| b.start.is_match(&line))
                {
                    self.noise = Some((block, dialect.noise_blocks[block].max_lines));
                    return Ok(());
                }
                if !run.echo_seen {
                    run.before_echo.push_str(&squash(&line));
                    let excess = run.before_echo.len().saturating_sub(run.echo.len() + 4096);
                    if excess > 0 {
                        let cut = (excess..).find(|i| run.before_echo.is_char_boundary(*i)).unwrap_or(excess);
                        run.before_echo.drain(..cut);
                    }
                    run.echo_seen = run.before_echo.ends_with(&run.echo);
                    return Ok(());
                }
                if run.lines.len() >= self.limits.reply_lines {
                    return Err(EngineError::Limit("the reply has too many lines"));
                }
                // What it said first and what it says now are both somebody's wish: the row is not readable.
                let spoilt = self.screen.line_was_rewritten() && !run.paged;
                run.paged = false;
                run.lines.push(if spoilt { REWRITTEN.to_owned() } else { line });
                Ok(())
            }
            State::Ready => {
                if self.attending.is_some() && !line.trim().is_empty() {
                    self.out.push_back(Output::Said(line.trim().to_owned()));
                }
                Ok(())
            }
            State::Dead => Ok(()),
        }
    }

    fn row_changed(&mut self, row: &str) -> Result<(), EngineError> {
        match &self.state {
            State::LoggingIn(_) => self.login_row(row),
            State::Running(_) => self.running_row(row),
            State::Ready | State::Dead => Ok(()),
        }
    }

    fn login_row(&mut self, row: &str) -> Result<(), EngineError> {
        let dialect = Arc::clone(&self.dialect);
        let trimmed = row.trim_end();
        if let Some(pager) = dialect.pagers.iter().find(|p| p.regex.is_match(trimmed)) {
            self.answer(&pager.answer);
            return Ok(());
        }
        if let Some(page) = dialect.pages.iter().find(|p| p.regex.is_match(trimmed)) {
            self.answer_line(&page.answer);
            return Ok(());
        }
        if dialect.question.is_match(trimmed) {
            // Usually "change the password now?": never by a machine.
            self.answer_line(&dialect.no);
            self.out.push_back(Output::Raised(trimmed.trim().to_owned()));
            return Ok(());
        }
        let State::LoggingIn(login) = &mut self.state else { return Ok(()) };
        if login.asks_for_login && dialect.username.is_match(trimmed) {
            if login.sent_username {
                return Err(EngineError::LoginRefused("the OLT asks for the user name again".to_owned()));
            }
            login.sent_username = true;
            let name = self.credentials.username.clone();
            self.answer_line(&name);
            return Ok(());
        }
        if login.asks_for_login && dialect.password.is_match(trimmed) {
            if login.sent_password {
                return Err(EngineError::LoginRefused("the OLT asks for the password again".to_owned()));
            }
            login.sent_password = true;
            let password = self.credentials.password.clone();
            self.answer_line(password.expose());
            return Ok(());
        }
        // Before it knows who we are an OLT prints banners, and no prompt.
        let let_in = !login.asks_for_login || login.sent_password;
        if let Some(captures) = dialect.prompt.captures(row).filter(|_| let_in) {
            // A banner may hold something that looks like a prompt: the real one comes again when asked for.
            if login.candidate.as_deref() == Some(row) {
                self.prompt = Prompt {
                    host: captures["host"].to_owned(),
                    context: captures.name("context").map_or(String::new(), |m| m.as_str().to_owned()),
                    end: captures["end"].to_owned(),
                };
                self.state = State::Ready;
                self.out.push_back(Output::LoggedIn(self.prompt.clone()));
            } else {
                login.candidate = Some(row.to_owned());
                login.candidates += 1;
                if login.candidates > 8 {
                    return Err(EngineError::Limit("no prompt comes twice"));
                }
                self.answer_line("");
            }
        }
        Ok(())
    }

    fn running_row(&mut self, row: &str) -> Result<(), EngineError> {
        let dialect = Arc::clone(&self.dialect);
        let trimmed = row.trim_end();
        let limits = self.limits;
        let State::Running(run) = &mut self.state else { return Ok(()) };
        // A row of a table is never a question, whatever somebody wrote into it.
        if dialect.data_row.as_ref().is_some_and(|r| r.is_match(row)) {
            return Ok(());
        }
        if let Some(pager) = dialect.pagers.iter().find(|p| p.regex.is_match(trimmed)) {
            run.pages += 1;
            run.paged = true;
            if run.pages > limits.pages {
                return Err(EngineError::Limit("the reply has too many pages"));
            }
            self.answer(&pager.answer);
            return Ok(());
        }
        // These come only in answer to our command, so its echo is over even if an alarm broke it.
        let trimmed = trimmed.trim_start();
        if dialect.cr_prompt.is_match(trimmed) {
            run.echo_seen = true;
            run.cr_prompts += 1;
            if run.cr_prompts > limits.cr_prompts {
                return Err(EngineError::Limit("the OLT asks to continue again and again"));
            }
            self.answer_line("");
            return Ok(());
        }
        if dialect.question.is_match(trimmed) {
            run.echo_seen = true;
            run.questions += 1;
            if run.questions > limits.questions {
                return Err(EngineError::Limit("the OLT asks too many questions"));
            }
            if run.confirm.iter().any(|r| r.is_match(trimmed)) {
                self.answer_line(&dialect.yes);
            } else {
                run.refused_questions.push(trimmed.to_owned());
                self.out.push_back(Output::Raised(trimmed.to_owned()));
                self.answer_line(&dialect.no);
            }
            return Ok(());
        }
        if run.echo_seen
            && let Some(captures) = dialect.prompt.captures(row)
            && captures["host"] == *self.prompt.host
        {
            self.prompt = Prompt {
                host: captures["host"].to_owned(),
                context: captures.name("context").map_or(String::new(), |m| m.as_str().to_owned()),
                end: captures["end"].to_owned(),
            };
            let State::Running(run) = std::mem::replace(&mut self.state, State::Ready) else { return Ok(()) };
            let text = body(&dialect, &run);
            self.out.push_back(Output::Finished(Reply {
                verdict: dialect.classify(&text),
                text,
                prompt: self.prompt.clone(),
                refused_questions: run.refused_questions,
            }));
            return Ok(());
        }
        if run.echo_seen && trimmed.starts_with('{') && dialect.ask_prompt.is_match(trimmed) {
            return Err(EngineError::Incomplete(trimmed.to_owned()));
        }
        Ok(())
    }
}

fn is_data(dialect: &Dialect, line: &str) -> bool {
    dialect.data_row.as_ref().is_some_and(|r| r.is_match(line))
}

/// The reply without what is only there for people at terminals.
fn body(dialect: &Dialect, run: &Run) -> String {
    let mut lines: &[String] = &run.lines;
    // The OLT prints the command again after every CR prompt; only what follows the last one is the answer.
    if let Some(last) = lines.iter().rposition(|l| dialect.command_again.is_match(l)) {
        let mut repeated = String::new();
        for (offset, line) in lines[last + 1..].iter().enumerate() {
            repeated.push_str(&squash(line));
            if repeated == run.echo {
                lines = &lines[last + 1 + offset + 1..];
                break;
            }
            if !run.echo.starts_with(&repeated) {
                // Not ours: text that happens to look like the header. Keep everything.
                break;
            }
        }
    }
    let kept: Vec<&str> = lines
        .iter()
        .map(String::as_str)
        .filter(|line| !dialect.cr_prompt.is_match(line.trim()) || is_data(dialect, line))
        .filter(|line| !dialect.noise_lines.iter().any(|r| r.is_match(line)))
        .collect();
    let first = kept.iter().position(|l| !l.trim().is_empty()).unwrap_or(kept.len());
    let last = kept.iter().rposition(|l| !l.trim().is_empty()).map_or(first, |i| i + 1);
    kept[first..last].join("\n")
}
