//! What an operator may do to a CPE. Each is an event for its machine; none writes to the device by itself.

use super::live::Recorded;
use crate::{Actor, App, AppError, Change, Permission};
use provisioning::{Event, WanQuestion};
use store::{ServiceState, rows};
use types::CpeId;

/// Longest reason that somebody gives for colleagues, in characters.
const LONGEST_WHY: usize = 200;
/// So begins the line of the timeline that says why somebody holds a device; the reason follows.
pub const HELD_BECAUSE: &str = "Provisioning held: ";

impl App {
    /// Stops provisioning of this device until the hold is lifted. `why` is for colleagues: it stands in the timeline
    /// and may be empty.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`], [`AppError::Invalid`] for a reason that is too long.
    pub async fn hold_cpe(&self, actor: &Actor, cpe: CpeId, why: &str) -> Result<(), AppError> {
        let why = why.split_whitespace().collect::<Vec<_>>().join(" ");
        if why.chars().count() > LONGEST_WHY {
            return Err(AppError::invalid("reason", format!("is longer than {LONGEST_WHY} characters.")));
        }
        self.operate(actor, cpe, "cpe.hold", Event::HoldSet { by: actor.label() }, &why).await
    }

    /// Lifts a hold.
    ///
    /// # Errors
    /// As [`App::hold_cpe`].
    pub async fn release_hold(&self, actor: &Actor, cpe: CpeId) -> Result<(), AppError> {
        self.operate(actor, cpe, "cpe.release_hold", Event::HoldCleared { by: actor.label() }, "").await
    }

    /// Ends a back-off now. Cool-down and gates still count.
    ///
    /// # Errors
    /// As [`App::hold_cpe`].
    pub async fn retry_cpe(&self, actor: &Actor, cpe: CpeId) -> Result<(), AppError> {
        self.operate(actor, cpe, "cpe.retry", Event::RetryRequested { by: actor.label() }, "").await
    }

    /// Asks the device to open a session now.
    ///
    /// # Errors
    /// As [`App::hold_cpe`].
    pub async fn call_cpe(&self, actor: &Actor, cpe: CpeId) -> Result<(), AppError> {
        self.operate(actor, cpe, "cpe.call", Event::CallRequested { by: actor.label() }, "").await
    }

    /// Lets a device pass without a clock.
    ///
    /// # Errors
    /// As [`App::hold_cpe`].
    pub async fn override_clock_gate(&self, actor: &Actor, cpe: CpeId) -> Result<(), AppError> {
        self.operate(actor, cpe, "cpe.override_clock", Event::ClockGateOverridden { by: actor.label() }, "")
            .await
    }

    /// Withdraws that: the device has to show a right clock before anything new is written to it. What is in force on it
    /// stays.
    ///
    /// # Errors
    /// As [`App::hold_cpe`]; [`AppError::Conflict`] when nobody lets this one device pass.
    pub async fn restore_clock_gate(&self, actor: &Actor, cpe: CpeId) -> Result<(), AppError> {
        actor.require(Permission::OperateCpe)?;
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        if row.machine.value()["clock"]["overridden_by"].is_null() {
            return Err(AppError::Conflict(
                "Nobody lets this one CPE pass without a right clock, so there is nothing to withdraw. Where its whole model \
                 passes, that is withdrawn under Settings, ACS policy."
                    .to_owned(),
            ));
        }
        self.operate(actor, cpe, "cpe.restore_clock", Event::ClockGateRestored { by: actor.label() }, "")
            .await
    }

    /// Takes a device from its service, which is free for another one then. Nothing is written to the device. Where the
    /// serial number of an ONU says that it is this service's, the device comes back with its next Inform.
    ///
    /// # Errors
    /// As [`App::hold_cpe`]; [`AppError::Conflict`] when it belongs to none.
    pub async fn release_cpe(&self, actor: &Actor, cpe: CpeId) -> Result<(), AppError> {
        actor.require(Permission::OperateCpe)?;
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        let Some(service) = row.service_id else {
            return Err(AppError::Conflict("This CPE belongs to no service.".to_owned()));
        };
        let why = format!("released by {}", actor.label());
        self.operate(actor, cpe, "cpe.release", Event::Released { why }, "").await?;
        self.bus().say(Change::Service(service));
        Ok(())
    }

    /// Says which of several WANs carries the service of this device. It has to be one of those the device was found to have
    /// when the question arose, which the management WAN never is. Nothing is written by it: the next session reads the
    /// device again and uses it, if it is still there.
    ///
    /// # Errors
    /// As [`App::hold_cpe`]; [`AppError::Conflict`] when nobody is asked, or when it is none of those.
    pub async fn choose_wan(&self, actor: &Actor, cpe: CpeId, path: &str) -> Result<(), AppError> {
        actor.require(Permission::OperateCpe)?;
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        let machine = row.machine.value();
        let asked: Option<WanQuestion> =
            serde_json::from_value(machine["wan_question"].clone()).unwrap_or_default();
        let Some(asked) = asked else {
            return Err(AppError::Conflict(
                "This CPE has no question open about its WANs, so there is nothing to choose.".to_owned(),
            ));
        };
        if !asked.candidates.iter().any(|wan| wan.path == path) {
            return Err(AppError::Conflict(format!(
                "That is none of the {} WANs that could carry this service, as this CPE was read at {}. Nothing is chosen; \
                 choose one of those.",
                asked.candidates.len(),
                asked.read_at.whole_s()
            )));
        }
        let event = Event::WanChosen { path: path.to_owned(), by: actor.label() };
        self.operate(actor, cpe, "cpe.choose_wan", event, "").await
    }

    pub(super) async fn operate(
        &self,
        actor: &Actor,
        cpe: CpeId,
        action: &str,
        event: Event,
        why: &str,
    ) -> Result<(), AppError> {
        actor.require(Permission::OperateCpe)?;
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        let given = (!why.is_empty()).then(|| serde_json::json!({ "reason": why }));
        let machine = row.machine.value();
        let clock = &machine["clock"]["overridden_by"];
        let (before, given) = match &event {
            Event::ClockGateOverridden { by } => (
                Some(serde_json::json!({ "overridden_by": clock })),
                Some(serde_json::json!({ "overridden_by": by })),
            ),
            Event::ClockGateRestored { .. } => (
                Some(serde_json::json!({ "overridden_by": clock })),
                Some(serde_json::json!({ "overridden_by": null })),
            ),
            Event::WanChosen { path, .. } => (
                Some(serde_json::json!({ "wan": machine["chosen_wan"]["path"] })),
                Some(serde_json::json!({ "wan": path })),
            ),
            _ => (None, given),
        };
        let audit = self.audit_row(actor, action, &format!("cpe:{cpe}"), before, given);
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "operator".into(),
            cpe_id: Some(cpe),
            service_id: row.service_id,
            code: action.replace('.', "_"),
            text: match &event {
                Event::HoldSet { .. } if why.is_empty() => "Provisioning held.".to_owned(),
                Event::HoldSet { .. } => format!("{HELD_BECAUSE}{why}"),
                Event::HoldCleared { .. } => "Hold lifted.".to_owned(),
                Event::RetryRequested { .. } => "Back-off ended by hand.".to_owned(),
                Event::CheckRequested { .. } => "Check asked for whether it can be reached.".to_owned(),
                Event::CallRequested { .. } => "Connection request asked for.".to_owned(),
                Event::ClockGateOverridden { .. } => "Allowed to pass without a clock.".to_owned(),
                Event::ClockGateRestored { .. } => {
                    "No longer allowed to pass without a clock. What is in force on it stays.".to_owned()
                }
                Event::WanChosen { path, .. } => format!("Chosen to carry the service: {path}"),
                _ => "Released from its service by hand.".to_owned(),
            },
            actor: actor.label(),
            facts: serde_json::json!({}),
            ..Default::default()
        };
        self.feed_recorded(cpe, event, Some(Recorded { entry, audit, order: None, claim: None })).await?;
        self.bus().say(Change::Cpe(cpe));
        Ok(())
    }
}

/// Refuses a service that has ended: its secrets are nobody's any more.
pub(super) fn not_over(service: &rows::Service) -> Result<(), AppError> {
    if service.state == ServiceState::Terminated {
        return Err(AppError::Conflict(format!(
            "Service {} has ended; no device can belong to it.",
            service.code
        )));
    }
    Ok(())
}
