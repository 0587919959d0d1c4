//! Asking a device to open a session: once, watched, never in a hurry.

use crate::intent::fingerprint;
use crate::{
    ConnectionFacts, ConnectionRequestOutcome as Outcome, Effect, Reason, State, Timer, device::FollowUp,
    sentences, work::Work,
};
use profiles::cpe::Variable;
use types::FaultClass;

impl Work<'_> {
    /// The next step needs a session: ask for one, or wait for a natural Inform.
    pub(crate) fn seek_session(&mut self) {
        self.device.follow_up = FollowUp::Nothing;
        if self.joins_call() {
            return;
        }
        if self.device.connection.unauthorized_since.is_some() {
            self.wait_for_inform(Some(Outcome::Unauthorized));
            return;
        }
        if let Some(until) = self.gap_until() {
            // Too soon after the last one; the state stays, the timer asks again.
            self.effect(Effect::StartTimer { timer: Timer::Attempt, at: until });
            return;
        }
        let step = self
            .device
            .run
            .as_ref()
            .map_or_else(|| "reading the device".to_owned(), |run| run.at_step.clone());
        self.say(sentences::session_requested(&step));
        self.send_connection_request();
    }

    /// Until when the minimum gap forbids another request.
    pub(crate) fn gap_until(&self) -> Option<types::UtcMs> {
        let last = self.device.connection.last_at?;
        let until = last.plus_s(self.context.policy.connection_request_gap_s);
        (until > self.now).then_some(until)
    }

    pub(crate) fn may_call(&self) -> bool {
        !self.device.in_session()
            && self.device.connection.outstanding_since.is_none()
            && self.device.connection.unauthorized_since.is_none()
            && self.gap_until().is_none()
    }

    /// True while a call is under way. Whoever needs a session waits for it instead of making one: if it was only a check,
    /// it is none any more.
    pub(crate) fn joins_call(&mut self) -> bool {
        let under_way = self.device.connection.outstanding_since.is_some();
        if under_way {
            self.device.connection.check = false;
        }
        under_way
    }

    pub(crate) fn send_connection_request(&mut self) {
        let now = self.now;
        self.device.connection.check = false;
        self.device.connection.outstanding_since = Some(now);
        self.device.connection.last_at = Some(now);
        self.device.connection.last_outcome = None;
        let at = now.plus_s(self.context.policy.watchdog_s);
        self.effect(Effect::StartTimer { timer: Timer::Watchdog, at });
        self.effect(Effect::RequestConnection);
    }

    pub(crate) fn waiting_reason(&self, outcome: Option<Outcome>) -> Reason {
        let ConnectionFacts { url, peer, .. } = &self.device.connection;
        let url = url.as_deref().unwrap_or_default();
        let reason = sentences::waiting(outcome, url, peer.as_deref(), self.device.next_inform_by, self.now);
        if outcome != Some(Outcome::Unauthorized) {
            return reason;
        }
        let ownership = &self.device.ownership;
        let repair = match (ownership.repaired_at.zip(self.repair_rests_until()), &self.device.hold) {
            (Some((at, until)), _) => sentences::Repair::Rests { at, until, done: ownership.repaired },
            _ if ownership.confirmed_at.is_none() || self.device.quarantined() => sentences::Repair::NotOurs,
            (None, Some(hold)) if self.device.state == State::Active => {
                sentences::Repair::Held { by: hold.by.clone() }
            }
            _ if self.device.state == State::Failed => sentences::Repair::NextAttempt,
            (None, _) => sentences::Repair::NextSession,
        };
        sentences::unauthorized(reason, &repair)
    }

    /// What came of the last call, of which a check only reports. Of nothing else: a state that is gone to later has a reason
    /// of its own.
    fn vain_reason(&self, outcome: Outcome) -> Reason {
        if !self.device.connection.check {
            return self.waiting_reason(Some(outcome));
        }
        let ConnectionFacts { url, peer, .. } = &self.device.connection;
        let url = url.as_deref().unwrap_or_default();
        let next_inform_by = self.device.next_inform_by;
        sentences::checked(sentences::waiting(Some(outcome), url, peer.as_deref(), next_inform_by, self.now))
    }

    /// Until when the credentials are not written again after a 401, because that was done.
    pub(crate) fn repair_rests_until(&self) -> Option<types::UtcMs> {
        let until = self.device.ownership.repaired_at?.plus_s(self.context.policy.credentials_rewrite_s);
        (until > self.now).then_some(until)
    }

    /// No session comes of the call: WAITING_INFORM where it was needed for one, and only the record where it was a check.
    fn call_in_vain(&mut self, outcome: Outcome) {
        self.connection_request_failed(outcome);
        match self.device.in_session() {
            true => {}
            false if self.device.connection.check => {
                let reason = self.vain_reason(outcome);
                self.note(reason);
            }
            false => self.wait_for_inform(Some(outcome)),
        }
    }

    /// WAITING_INFORM where a plan is open; elsewhere only the record.
    pub(crate) fn wait_for_inform(&mut self, outcome: Option<Outcome>) {
        let reason = self.waiting_reason(outcome);
        match self.device.state {
            State::Ready | State::Provisioning => {
                self.device.resume = Some(self.device.state);
                self.goto(State::WaitingInform, reason);
            }
            State::WaitingInform => self.say(reason),
            State::Discovered
            | State::Informed
            | State::Owned
            | State::TimeSynced
            | State::Active
            | State::Failed => {
                self.note(reason);
            }
        }
    }

    pub(crate) fn connection_request_finished(&mut self, outcome: Outcome) {
        let connection = &mut self.device.connection;
        if outcome == Outcome::NotSent && connection.outstanding_since.is_none() {
            // The watch over it ended before it had its turn: what is wrong was said then. If the device came meanwhile,
            // nothing is.
            if connection.last_outcome == Some(Outcome::Unanswered) {
                self.call_dropped();
            }
            return;
        }
        connection.last_outcome = Some(outcome);
        // A check only reports: it is no reason to write anything, nor to stop calling.
        if outcome == Outcome::Unauthorized && !connection.check {
            connection.unauthorized_since.get_or_insert(self.now);
        }
        let was_outstanding = connection.outstanding_since.is_some();
        if outcome == Outcome::Accepted {
            // Only the Inform itself counts; the watchdog goes on. It may have been faster than this answer.
            self.came_when_called();
            return;
        }
        connection.outstanding_since = None;
        if was_outstanding {
            self.effect(Effect::StopTimer { timer: Timer::Watchdog });
            self.call_in_vain(outcome);
            if outcome == Outcome::NotSent {
                self.call_dropped();
            }
        } else {
            self.connection_request_failed(outcome);
        }
    }

    /// The device took our credentials and came because of it: that it refused them before (401) is over.
    pub(crate) fn came_when_called(&mut self) {
        let came = self.device.session.as_ref().is_some_and(|session| session.called);
        let connection = &mut self.device.connection;
        let refused = connection.unauthorized_since.is_some();
        if came && refused && connection.last_outcome == Some(Outcome::Accepted) {
            connection.unauthorized_since = None;
            self.device.ownership.repair_due = false;
        }
    }

    pub(crate) fn watchdog_fired(&mut self) {
        if self.device.connection.outstanding_since.take().is_none() {
            return;
        }
        let outcome = match self.device.connection.last_outcome {
            Some(Outcome::Accepted) => Outcome::NoInformAfterAccept,
            // Nobody said that it was sent.
            _ => Outcome::Unanswered,
        };
        self.device.connection.last_outcome = Some(outcome);
        self.call_in_vain(outcome);
    }

    fn connection_request_failed(&mut self, outcome: Outcome) {
        let reason = self.vain_reason(outcome);
        let code = match outcome {
            Outcome::Unauthorized => Some(401),
            Outcome::Http(status) => Some(u32::from(status)),
            _ => None,
        };
        let class = match outcome {
            Outcome::NotSent | Outcome::ProcessEnded | Outcome::Unanswered => FaultClass::Ours,
            Outcome::Accepted
            | Outcome::Unauthorized
            | Outcome::Http(_)
            | Outcome::UrlMissing
            | Outcome::UrlInvalid
            | Outcome::NotInManagementSubnet
            | Outcome::AnotherAddress
            | Outcome::Unreachable
            | Outcome::Timeout
            | Outcome::NoInformAfterAccept => FaultClass::SessionTriggering,
        };
        self.fault(class, code, outcome.as_str(), None, Some("ConnectionRequest"), &reason);
    }

    /// After a 401 the credentials are written again, once a day at most, in a session the CPE opened itself (not one that
    /// we `called` for). New ones are written as soon as the device may be written at all.
    pub(crate) fn plan_repair(&mut self, called: bool) {
        let ownership = &self.device.ownership;
        if ownership.confirmed_at.is_none() {
            return;
        }
        let allowed = !called && self.repair_rests_until().is_none();
        if self.device.connection.unauthorized_since.is_some() {
            self.device.ownership.repair_due = allowed;
        }
        if self.device.connection.unauthorized_since.is_some() && allowed {
            // Forgotten, so that it counts as never accepted and is written again.
            self.device.ownership.secrets.remove(Variable::CrPassword.as_str());
        }
        if let Some(credentials) = &self.context.credentials {
            let key = &self.context.fingerprint_key;
            let changed = [
                (Variable::AcsPassword, &credentials.password),
                (Variable::CrPassword, &credentials.connection_request_password),
            ]
            .into_iter()
            .any(|(variable, secret)| {
                let wanted = fingerprint(key, variable.as_str(), secret.expose().as_bytes());
                self.device.ownership.secrets.get(variable.as_str()) != Some(&wanted)
            });
            // A 401 that may not be repaired today is no reason to write today.
            if changed && self.device.connection.unauthorized_since.is_none() {
                self.device.ownership.repair_due = true;
            }
        }
    }
}
