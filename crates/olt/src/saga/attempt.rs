//! One step at work: sent, confirmed by reading back where the reply does not tell, and told apart from somebody else's.

use super::one_line;
use crate::{
    dialect::{ErrorClass, Verdict},
    driver::{Driver, OltError},
    machine::EngineError,
    plan::{AuthoriseSpec, Check, Existing, OnuRef, Step, holds, written_over},
    sanitise,
    session::Effect,
    template::TemplateError,
};
use futures::future::BoxFuture;
use types::PonPath;

/// Why a step did not work, after all tries.
pub(super) enum Stop {
    /// It failed for good: compensate.
    Failed(String),
    /// The same, and the OLT took nothing of this step: what is there like it is somebody else's.
    NotTaken(String),
    /// The registration belongs to somebody else: there is nothing of ours.
    NotOurs(String),
    /// The step would write over this, which somebody else set.
    WouldReplace(String),
    /// The OLT cannot be reached.
    Interrupted(OltError),
}

impl Stop {
    /// That it failed, of a step whose line the OLT can have taken in an earlier try only.
    fn untaken(self, earlier: bool) -> Stop {
        match self {
            Stop::Failed(reason) if !earlier => Stop::NotTaken(reason),
            other => other,
        }
    }
}

impl From<OltError> for Stop {
    fn from(error: OltError) -> Self {
        match error {
            // Includes a refused login: undoing would need one, too.
            OltError::Connect(_) | OltError::Session(_) | OltError::Fenced(_) => Stop::Interrupted(error),
            OltError::Parse { .. }
            | OltError::Refused { .. }
            | OltError::Template(_)
            | OltError::Setup(_)
            | OltError::Queue(_) => Stop::Failed(error.to_string()),
        }
    }
}

impl From<TemplateError> for Stop {
    fn from(error: TemplateError) -> Self {
        Stop::Failed(error.to_string())
    }
}

/// Reads an ONU back that was or is to be `near`, over as many new sessions as patience allows.
pub(super) async fn read_back(
    driver: &mut Driver,
    serial: types::Serial,
    near: PonPath,
) -> Result<Option<Existing>, OltError> {
    persist(driver, move |driver: &mut Driver| Box::pin(driver.existing(serial, near))).await
}

/// Repeats a read over new sessions while only the connection is at fault, or an answer came torn: one bad answer in the
/// middle of a task is no reason to leave it to a person.
pub(super) async fn persist<T>(
    driver: &mut Driver,
    read: impl for<'a> Fn(&'a mut Driver) -> BoxFuture<'a, Result<T, OltError>> + Send + Sync,
) -> Result<T, OltError> {
    let mut tries = 0;
    loop {
        match read(driver).await {
            Err(error) if error.is_transport() && tries < driver.patience.reconnects => {
                tries += 1;
                tokio::time::sleep(driver.patience.reconnect_pause * tries).await;
            }
            Err(OltError::Parse { .. }) if tries < driver.patience.reconnects => {
                tries += 1;
                driver.disconnect().await;
                tokio::time::sleep(driver.patience.reconnect_pause * tries).await;
            }
            other => return other,
        }
    }
}

/// Whether the registered ONU is the one that this task registered: place, serial and profiles as planned, and, unless
/// the registration was seen to work (`certain`), the description, too. Descriptions are compared without blanks,
/// which folding loses, and up to where the OLT cut them.
pub(super) fn is_ours(
    driver: &Driver,
    spec: &AuthoriseSpec,
    registered: &Check,
    existing: &Existing,
    certain: bool,
) -> bool {
    let squash = |text: &str| text.split_whitespace().collect::<String>();
    let sent = squash(&sanitise::description(&spec.description, driver.dialect().description_max));
    let got = squash(existing.record.description.as_deref().unwrap_or_default());
    // Without a description the OLT makes one up.
    let described = sent.is_empty() || (!got.is_empty() && sent.starts_with(&got));
    holds(registered, Some(existing)) && (certain || described)
}

/// One step of a task at work.
pub(super) struct Attempt<'a> {
    pub(super) spec: &'a AuthoriseSpec,
    pub(super) onu: OnuRef,
    pub(super) step: &'a Step,
    /// The registration was seen to take effect.
    pub(super) registered: bool,
}

impl Attempt<'_> {
    /// Makes the step take effect. `unclear`: an earlier try may have worked, so read before sending.
    pub(super) async fn apply(&self, driver: &mut Driver, mut unclear: bool) -> Result<(), Stop> {
        let step = self.step;
        let registers = matches!(step.expect, Check::Registered { .. });
        let (mut tries, mut busy) = (0u32, 0u32);
        // An earlier try of this step may have worked, as far as is known here.
        let mut earlier = false;
        loop {
            if unclear && self.took_effect(driver, registers).await.map_err(|stop| stop.untaken(earlier))? {
                return Ok(());
            }
            let (command, reply) = match driver.send_line(&step.line).await {
                Ok(answer) => answer,
                Err(OltError::Session(error)) if matches!(error.reason, EngineError::Incomplete(_)) => {
                    return Err(Stop::Failed(error.to_string()));
                }
                Err(error) if error.is_transport() && tries < driver.patience.reconnects => {
                    tries += 1;
                    let pause = match error.effect() {
                        Effect::Unknown => {
                            (unclear, earlier) = (true, true);
                            driver.patience.settle
                        }
                        Effect::None => driver.patience.reconnect_pause * tries,
                    };
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(question) = reply.refused_questions.first() {
                return Err(Stop::Failed(format!(
                    "the OLT asked «{question}», which may not be answered with yes here"
                )));
            }
            match reply.verdict {
                Verdict::Accepted => {
                    let text = &reply.text;
                    if command.failure.as_ref().is_some_and(|f| f.is_match(text)) {
                        return Err(Stop::Failed(format!("the OLT counts no success: {}", one_line(text))));
                    }
                    if command.success.as_ref().is_none_or(|s| s.is_match(text)) {
                        return Ok(());
                    }
                    // Silent, or cut by an alarm: only reading back can tell.
                    return self.confirm(driver, "the OLT gave no verdict").await;
                }
                Verdict::Rejected { class: ErrorClass::Busy, .. } if busy < driver.patience.busy_retries => {
                    busy += 1;
                    tokio::time::sleep(driver.patience.busy_pause).await;
                }
                Verdict::Rejected { class: ErrorClass::Duplicate, message } if registers => {
                    if !unclear {
                        return Err(Stop::NotOurs(format!("the OLT refused the registration: {message}")));
                    }
                    // Our own earlier try may have arrived late; reading back decides at the top of the loop.
                    if tries >= driver.patience.reconnects {
                        return Err(Stop::Failed(format!("the OLT refused: {message}")));
                    }
                    tries += 1;
                    tokio::time::sleep(driver.patience.settle).await;
                }
                Verdict::Rejected { class, message } if step.idempotent_if.contains(&class) => {
                    return self.confirm(driver, &message).await.map_err(|stop| stop.untaken(earlier));
                }
                Verdict::Rejected { message, .. } => {
                    return Err(Stop::Failed(format!("the OLT refused: {message}")).untaken(earlier));
                }
            }
        }
    }

    /// Reads back whether an earlier try took effect.
    async fn took_effect(&self, driver: &mut Driver, registers: bool) -> Result<bool, Stop> {
        let (spec, onu) = (self.spec, self.onu);
        let existing = read_back(driver, spec.serial, onu.pon).await?;
        match &existing {
            Some(existing) => {
                let ours = if registers {
                    is_ours(driver, spec, &self.step.expect, existing, self.registered)
                } else {
                    existing.at() == onu
                };
                if !ours {
                    let at = existing.at();
                    return Err(Stop::NotOurs(format!(
                        "{} is registered as {at}, but not by this task. It was left alone.",
                        spec.serial
                    )));
                }
            }
            None if !registers => {
                return Err(Stop::Failed(format!("{} is no longer registered as {onu}", spec.serial)));
            }
            None => {}
        }
        if holds(&self.step.expect, existing.as_ref()) {
            return Ok(true);
        }
        // The task began with nothing there: whatever is there now and is not ours came from somebody else meanwhile.
        match existing.as_ref().and_then(|existing| written_over(&self.step.expect, existing)) {
            Some(what) => Err(Stop::WouldReplace(what)),
            None => Ok(false),
        }
    }

    /// Holds what the step wants?
    async fn confirm(&self, driver: &mut Driver, otherwise: &str) -> Result<(), Stop> {
        let existing = read_back(driver, self.spec.serial, self.onu.pon).await?;
        if holds(&self.step.expect, existing.as_ref()) {
            return Ok(());
        }
        let expect = &self.step.expect;
        Err(Stop::Failed(format!("{otherwise}, and reading back shows that it is not so that {expect}")))
    }
}
