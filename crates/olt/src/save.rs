//! Saving an OLT's configuration. An OLT gives the prompt back at once and saves in the background; that it was started
//! is no success. What it prints afterwards is listened to, a bounded time.

use crate::{
    dialect::{Command, ErrorClass, Later, Verdict},
    driver::{Driver, OltError},
    machine::{EngineError, Reply},
    session::{Effect, SessionError},
    template::Parameters,
};
use std::{collections::BTreeSet, fmt, time::Duration};

/// How saving ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// The OLT says that it is completed.
    Completed,
    /// It was started, and the OLT did not say in time that it is completed.
    Started {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The command was sent, and the session ended before the OLT said anything of its end: it may be at it, it may have
    /// saved, and it may never have got the command.
    Sent {
        /// How the session ended.
        lost: EngineError,
    },
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Saved::Completed => f.write_str("the OLT says that its configuration is saved completely"),
            Saved::Started { waited } => {
                write!(f, "saving was started, completion not seen within {} s", waited.as_secs())
            }
            Saved::Sent { lost } => write!(f, "the command to save was sent, completion not seen: {lost}"),
        }
    }
}

/// What was heard of a command that goes on in the background.
#[derive(Debug, Default)]
struct Ear {
    under_way: BTreeSet<String>,
    done: BTreeSet<String>,
    failed: Option<String>,
}

impl Ear {
    /// True when there is nothing more to wait for.
    fn hear(&mut self, later: &Later, line: &str) -> bool {
        let part = |captures: &regex::Captures<'_>| {
            captures.name("part").map_or_else(String::new, |part| part.as_str().to_owned())
        };
        if let Some(captures) = later.done.captures(line) {
            self.done.insert(part(&captures));
        } else if let Some(captures) = later.progress.captures(line) {
            self.under_way.insert(part(&captures));
        } else if later.failed.is_match(line) {
            self.failed = Some(line.trim().to_owned());
        }
        self.knows()
    }

    fn knows(&self) -> bool {
        self.failed.is_some() || (!self.done.is_empty() && self.under_way.is_subset(&self.done))
    }
}

/// The command may have arrived: what came of it is not known, and sending it again would not tell.
fn may_have_arrived(error: &SessionError) -> bool {
    // An OLT that asks for a parameter has not begun.
    error.effect == Effect::Unknown && !matches!(error.reason, EngineError::Incomplete(_))
}

impl Driver {
    /// Makes the configuration survive a restart of the OLT. Once per batch; an OLT that is busy is asked again. An OLT
    /// that saves in the background is waited for, as long as its dialect says. One that ends the session when it saves
    /// is not seen to end.
    ///
    /// # Errors
    /// [`OltError`]: an alarm, never a reason to undo. Nothing was begun, or the OLT says that it failed.
    pub async fn save(&mut self) -> Result<Saved, OltError> {
        let command = self.dialect().command("save", &Parameters::new())?;
        // Logged in beforehand: a session that breaks in its greeting has not brought the command anywhere.
        let session = self.open_session().await?;
        self.session = Some(session);
        let reply = match self.begin_saving(&command).await {
            Ok(reply) => reply,
            Err(OltError::Session(error)) if may_have_arrived(&error) => {
                return Ok(Saved::Sent { lost: error.reason });
            }
            Err(error) => return Err(error),
        };
        let refused = |message: String| OltError::Refused {
            command: command.line.clone(),
            class: ErrorClass::Unknown,
            message,
        };
        if let Some(question) = reply.refused_questions.first() {
            return Err(refused(format!("it asked «{question}», which was answered no")));
        }
        let Some(later) = &command.later else { return Ok(Saved::Completed) };
        let mut ear = Ear::default();
        for line in reply.text.lines() {
            ear.hear(later, line);
        }
        let mut lost = None;
        if !ear.knows()
            && let Some(mut session) = self.session.take()
        {
            match session.listen(later.wait, |line| ear.hear(later, line)).await {
                Ok(_) => self.session = Some(session),
                Err(error) => lost = Some(error.reason),
            }
        }
        match (ear, lost) {
            (Ear { failed: Some(line), .. }, _) => Err(refused(line)),
            (ear, _) if ear.knows() => Ok(Saved::Completed),
            (_, Some(lost)) => Ok(Saved::Sent { lost }),
            (_, None) => Ok(Saved::Started { waited: later.wait }),
        }
    }

    /// Sends the command until an OLT that is busy takes it.
    async fn begin_saving(&mut self, command: &Command) -> Result<Reply, OltError> {
        let mut busy = 0;
        loop {
            let reply = self.write(command).await?;
            let Verdict::Rejected { class, message } = reply.verdict else { return Ok(reply) };
            if class == ErrorClass::Busy && busy < self.patience.busy_retries {
                busy += 1;
                tokio::time::sleep(self.patience.busy_pause).await;
                continue;
            }
            return Err(OltError::Refused { command: command.line.clone(), class, message });
        }
    }
}
