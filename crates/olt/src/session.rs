//! A session: the dialogue engine over a transport, with deadlines.
//!
//! **Invariant.** A session that failed, timed out or whose caller went away in the middle of a command is tainted: it
//! takes no further command. What the last command did is unknown until it is read back on a new session.

use crate::{
    dialect::{Command, Dialect, ModePath},
    limits::Limits,
    machine::{Credentials, Engine, EngineError, Output, Prompt, Reply},
    transport::CliTransport,
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};
use types::Secret;

/// Longest waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From connection to first prompt.
    pub login: Duration,
    /// For a command whose dialect says nothing else.
    pub command: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines { login: Duration::from_secs(30), command: Duration::from_secs(20) }
    }
}

/// Hears what is sent and answered, secrets masked: for the audit and the OLT's page.
pub trait Transcript: Send + Sync {
    /// A line was sent.
    fn sent(&self, line: &str);
    /// A reply came.
    fn received(&self, text: &str);
    /// Something happened to the session.
    fn note(&self, text: &str);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Transcript for Silent {
    fn sent(&self, _: &str) {}
    fn received(&self, _: &str) {}
    fn note(&self, _: &str) {}
}

/// Whether a failed command may have done something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It was not sent.
    None,
    /// It may have taken effect; read back.
    Unknown,
}

/// A command without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}", in_command(command, *effect))]
pub struct SessionError {
    /// What happened.
    pub reason: EngineError,
    /// The command in flight, if any.
    pub command: Option<String>,
    /// Whether it may have done something.
    pub effect: Effect,
}

fn in_command(command: &Option<String>, effect: Effect) -> String {
    match (command, effect) {
        (Some(line), Effect::Unknown) => format!(" (while waiting for the answer to `{line}`)"),
        (Some(line), Effect::None) => format!(" (`{line}` was not sent)"),
        (None, _) => String::new(),
    }
}

/// A logged-in terminal session.
pub struct Session {
    transport: Box<dyn CliTransport>,
    engine: Engine,
    dialect: Arc<Dialect>,
    deadlines: Deadlines,
    transcript: Arc<dyn Transcript>,
    secrets: Vec<Secret>,
    /// Set while a command is in flight: a dropped future leaves it set.
    busy: bool,
    /// Lines that came after a reply, while one attends.
    said: Vec<String>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("prompt", self.engine.prompt()).field("busy", &self.busy).finish()
    }
}

/// What a session needs besides a transport.
#[derive(Clone)]
pub struct SessionOptions {
    /// How this family talks.
    pub dialect: Arc<Dialect>,
    /// Account and password.
    pub credentials: Credentials,
    /// The OLT asks for them in the terminal (Telnet).
    pub asks_for_login: bool,
    /// Longest waits.
    pub deadlines: Deadlines,
    /// How much a session may cost.
    pub limits: Limits,
    /// Who listens.
    pub transcript: Arc<dyn Transcript>,
}

impl std::fmt::Debug for SessionOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionOptions").field("dialect", &self.dialect.name).finish_non_exhaustive()
    }
}

/// How often one leaves modes before giving up.
const MAX_MOVES: usize = 12;

impl Session {
    /// Logs in and prepares the terminal (paging, questions, alarms).
    ///
    /// # Errors
    /// When there is no prompt in time, or the login is refused.
    pub async fn open(
        transport: Box<dyn CliTransport>,
        options: SessionOptions,
    ) -> Result<Self, SessionError> {
        let newline = if options.asks_for_login {
            options.dialect.terminal.newline_telnet.clone()
        } else {
            options.dialect.terminal.newline_ssh.clone()
        };
        let secrets = vec![options.credentials.password.clone()];
        let engine = Engine::new(
            Arc::clone(&options.dialect),
            options.credentials,
            newline,
            options.asks_for_login,
            options.limits,
        );
        let mut session = Session {
            transport,
            engine,
            dialect: options.dialect,
            deadlines: options.deadlines,
            transcript: options.transcript,
            secrets,
            busy: true,
            said: Vec::new(),
        };
        let deadline = Instant::now() + session.deadlines.login;
        match session.drive(deadline).await {
            Ok(Output::LoggedIn(prompt)) => session.transcript.note(&format!("logged in at {}", prompt.host)),
            Ok(_) => {}
            Err(reason) => {
                session.transport.close().await;
                session.transcript.note(&reason.to_string());
                return Err(SessionError { reason, command: None, effect: Effect::None });
            }
        }
        session.busy = false;
        session.prepare().await?;
        Ok(session)
    }

    async fn prepare(&mut self) -> Result<(), SessionError> {
        let dialect = Arc::clone(&self.dialect);
        for prepare in &dialect.prepare {
            // Checked when the dialect was loaded.
            let Ok(mode) = dialect.mode(&prepare.mode, &crate::template::Parameters::new()) else { continue };
            self.enter(&mode).await?;
            let reply = self.line(&prepare.line, Arc::new([]), None).await?;
            if let crate::dialect::Verdict::Rejected { message, .. } = reply.verdict {
                self.transcript.note(&format!("`{}` was refused: {message}", prepare.line));
            }
        }
        Ok(())
    }

    /// Where the OLT stands.
    pub fn prompt(&self) -> &Prompt {
        self.engine.prompt()
    }

    /// True if no further command is possible.
    pub fn is_tainted(&self) -> bool {
        self.busy || !self.engine.is_ready()
    }

    /// Sends a command in its mode and waits for the answer.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then tainted.
    pub async fn run(&mut self, command: &Command) -> Result<Reply, SessionError> {
        self.go_to(command).await?;
        self.say(command).await
    }

    /// Goes where a command lives, without sending it.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then tainted.
    pub async fn go_to(&mut self, command: &Command) -> Result<(), SessionError> {
        self.enter(&command.mode).await.map_err(|error| SessionError {
            // The mode changes are harmless: the command itself was not sent.
            command: Some(self.mask(&command.line)),
            effect: Effect::None,
            ..error
        })
    }

    /// Sends a command where the session stands and waits for the answer.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then tainted.
    pub async fn say(&mut self, command: &Command) -> Result<Reply, SessionError> {
        self.said.clear();
        self.engine.attend(command.later.is_some());
        self.line(&command.line, Arc::clone(&command.confirm), command.timeout).await
    }

    /// Goes into a mode. The prompt says where we are; nothing is assumed.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then tainted.
    pub async fn enter(&mut self, path: &ModePath) -> Result<(), SessionError> {
        for _ in 0..MAX_MOVES {
            let prompt = self.engine.prompt();
            let position =
                path.steps.iter().rposition(|s| s.context == prompt.context && s.end == prompt.end);
            let next = match position {
                Some(last) if last + 1 == path.steps.len() => return Ok(()),
                Some(at) => path.steps[at + 1].line.clone(),
                // Not on the way: at the very start, or in another mode that must be left first.
                None if prompt.context.is_empty() => match path.steps.first() {
                    Some(step) => step.line.clone(),
                    None => return Ok(()),
                },
                None => self.dialect.leave.clone(),
            };
            let before = self.engine.prompt().clone();
            let reply = self.line(&next, Arc::new([]), None).await?;
            if reply.prompt == before {
                let text = reply.text.trim().to_owned();
                let reason = EngineError::Closed(format!("`{next}` did not change the mode: {text}"));
                return Err(self.give_up(reason, None, Effect::None).await);
            }
        }
        let reason = EngineError::Limit("it cannot be brought into the mode of the command");
        Err(self.give_up(reason, None, Effect::None).await)
    }

    /// Sends a bare line in the present mode.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then tainted.
    pub async fn line(
        &mut self,
        line: &str,
        confirm: Arc<[regex::Regex]>,
        timeout: Option<Duration>,
    ) -> Result<Reply, SessionError> {
        let shown = self.mask(line);
        if self.busy || self.engine.line(line, confirm).is_err() {
            let reason =
                EngineError::Torn("the session ended in the middle of an earlier command".to_owned());
            return Err(SessionError { reason, command: Some(shown), effect: Effect::None });
        }
        self.busy = true;
        self.transcript.sent(&shown);
        let deadline = Instant::now() + timeout.unwrap_or(self.deadlines.command);
        loop {
            match self.drive(deadline).await {
                Ok(Output::Finished(reply)) => {
                    self.busy = false;
                    let text = self.mask(&reply.text);
                    self.transcript.received(&text);
                    return Ok(reply);
                }
                Ok(_) => {}
                Err(reason) => return Err(self.give_up(reason, Some(shown), Effect::Unknown).await),
            }
        }
    }

    async fn give_up(
        &mut self,
        reason: EngineError,
        command: Option<String>,
        effect: Effect,
    ) -> SessionError {
        self.busy = true;
        self.transcript.note(&reason.to_string());
        self.transport.close().await;
        SessionError { reason, command, effect }
    }

    /// Moves bytes until the engine has news.
    async fn drive(&mut self, deadline: Instant) -> Result<Output, EngineError> {
        loop {
            while let Some(output) = self.engine.poll() {
                match output {
                    Output::Send(bytes) => {
                        let sent = timeout_at(deadline, self.transport.write(&bytes)).await;
                        match sent {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => self.engine.torn(error.to_string()),
                            Err(_) => self.engine.deadline_passed(),
                        }
                    }
                    Output::Raised(question) => {
                        self.transcript.note(&format!("unexpected question answered no: {question}"));
                    }
                    Output::Said(line) => self.said.push(line),
                    Output::Failed(error) => return Err(error),
                    news @ (Output::LoggedIn(_) | Output::Finished(_)) => return Ok(news),
                }
            }
            match timeout_at(deadline, self.transport.read()).await {
                Ok(Ok(bytes)) if bytes.is_empty() => self.engine.torn("the OLT closed it"),
                Ok(Ok(bytes)) => self.engine.feed(&bytes),
                Ok(Err(error)) => self.engine.torn(error.to_string()),
                Err(_) => self.engine.deadline_passed(),
            }
        }
    }

    /// Hears what comes after a reply, line by line, until `heard` has what it waits for or the time is over. Says which.
    /// Nobody attends afterwards.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then tainted.
    pub async fn listen(
        &mut self,
        wait: Duration,
        mut heard: impl FnMut(&str) -> bool + Send,
    ) -> Result<bool, SessionError> {
        let deadline = Instant::now() + wait;
        let mut enough = false;
        loop {
            while let Some(output) = self.engine.poll() {
                match output {
                    Output::Said(line) => self.said.push(line),
                    Output::Failed(reason) => return Err(self.give_up(reason, None, Effect::None).await),
                    Output::Send(_) | Output::Raised(_) | Output::LoggedIn(_) | Output::Finished(_) => {}
                }
            }
            for line in std::mem::take(&mut self.said) {
                self.transcript.note(&format!("afterwards: {line}"));
                enough |= heard(&line);
            }
            if enough {
                break;
            }
            match timeout_at(deadline, self.transport.read()).await {
                Ok(Ok(bytes)) if bytes.is_empty() => self.engine.torn("the OLT closed it"),
                Ok(Ok(bytes)) => self.engine.feed(&bytes),
                Ok(Err(error)) => self.engine.torn(error.to_string()),
                // Nothing is in flight: the session is as good as before.
                Err(_) => break,
            }
        }
        self.engine.attend(false);
        Ok(enough)
    }

    /// Asks for nothing, to see whether the session is alive and to keep it so.
    ///
    /// # Errors
    /// [`SessionError`]; the session is then tainted.
    pub async fn keep_alive(&mut self) -> Result<(), SessionError> {
        self.line("", Arc::new([]), None).await.map(drop)
    }

    /// Hides secrets in a text.
    fn mask(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for secret in self.secrets.iter().filter(|s| s.expose().len() >= 4) {
            out = out.replace(secret.expose(), "••••");
        }
        out
    }

    /// Closes the connection.
    pub async fn close(mut self) {
        self.transport.close().await;
    }
}
