//! Saving an OLT's configuration. An OLT gives the prompt back at once and saves in the background; that it was started
//! is no success. What it prints afterwards is listened to, a bounded time.

use crate::{
    dialect::{ErrorClass, Later, Verdict},
    driver::{Driver, OltError},
    template::Parameters,
};
use std::{collections::BTreeSet, fmt, time::Duration};

/// How saving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// The OLT says that it is completed.
    Completed,
    /// It was started, and the OLT did not say in time that it is completed.
    Started {
        /// How long it was waited for.
        waited: Duration,
    },
}

impl fmt::Display for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Saved::Completed => f.write_str("the OLT says that its configuration is saved completely"),
            Saved::Started { waited } => {
                write!(f, "saving was started, completion not seen within {} s", waited.as_secs())
            }
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

impl Driver {
    /// Makes the configuration survive a restart of the OLT. Once per batch; an OLT that is busy is asked again. An OLT
    /// that saves in the background is waited for, as long as its dialect says.
    ///
    /// # Errors
    /// [`OltError`]: an alarm, never a reason to undo.
    pub async fn save(&mut self) -> Result<Saved, OltError> {
        let command = self.dialect().command("save", &Parameters::new())?;
        let mut busy = 0;
        let reply = loop {
            let reply = self.write(&command).await?;
            let Verdict::Rejected { class, message } = reply.verdict else { break reply };
            if class == ErrorClass::Busy && busy < self.patience.busy_retries {
                busy += 1;
                tokio::time::sleep(self.patience.busy_pause).await;
                continue;
            }
            return Err(OltError::Refused { command: command.line, class, message });
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
        let mut session = self.open_session().await?;
        let mut ear = Ear::default();
        for line in reply.text.lines() {
            ear.hear(later, line);
        }
        if !ear.knows() {
            session.listen(later.wait, |line| ear.hear(later, line)).await?;
        }
        self.session = Some(session);
        match ear {
            Ear { failed: Some(line), .. } => Err(refused(line)),
            ear if ear.knows() => Ok(Saved::Completed),
            _ => Ok(Saved::Started { waited: later.wait }),
        }
    }
}
