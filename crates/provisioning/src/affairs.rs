//! What happens outside sessions: links, intents, operators, back-off.

use crate::{
    ConnectionRequestOutcome, Effect, Layer, Link, State, Timer, Wish,
    device::{FollowUp, Hold},
    sentences,
    work::Work,
};
use types::FaultClass;

impl Work<'_> {
    // ---- who it belongs to -----------------------------------------------------------------------------------

    pub(crate) fn linked(&mut self, link: &Link) {
        let claim = self.device.session.as_mut().and_then(|session| session.claim.take());
        if let Some(claim) = claim {
            // A factory reset is a first contact again, if somebody else vouches for it.
            if !(self.device.ownership.reset_claimed && link.confirmed()) {
                self.session().claim = Some(claim);
                return;
            }
            let auth = self.session().auth;
            self.accept_inform(&claim.inform, &claim.peer, auth);
        }
        let before = self.device.link.as_ref().and_then(Link::service);
        let after = link.service();
        // Outside a session: the OLT's word came later than the Inform.
        let vouched_late = !self.device.in_session()
            && link.confirmed()
            && self.device.link.as_ref().is_some_and(|old| old.service().is_some() && !old.confirmed());
        self.device.link = Some(link.clone());
        let beyond = self.device.state != State::Informed;
        if let (Some(before), Some(after)) = (before, after)
            && before != after
        {
            self.forget_service();
            self.drop_orders("it belongs to another one now");
            self.goto(State::Informed, sentences::relinked(after));
            return;
        }
        self.drop_orders_of_others();
        let reason = match link {
            Link::One { .. } => {
                if let (true, Some(service), false) = (before.is_none() || vouched_late, after, beyond) {
                    self.say(sentences::linked(service));
                }
                // Newly linked outside a session: ask it to come, if it may be asked.
                if (before.is_none() || vouched_late)
                    && !beyond
                    && self.device.ownership.confirmed_at.is_some()
                    && self.may_call()
                {
                    self.send_connection_request();
                }
                return;
            }
            Link::None { why } => sentences::not_linked(why),
            Link::Several { count, why } => sentences::several_services(*count, why),
            Link::Conflict { why } => sentences::identity_conflict(why),
        };
        self.device.run = None;
        self.device.resume = None;
        self.goto(State::Informed, reason);
    }

    pub(crate) fn released(&mut self, why: &str) {
        self.device.link = Some(Link::None { why: why.to_owned() });
        self.forget_service();
        self.drop_orders(why);
        // Whoever comes next comes for the first time.
        self.device.ownership.first_contact = true;
        self.goto(State::Informed, sentences::released(why));
    }

    pub(crate) fn forget_service(&mut self) {
        let device = &mut self.device;
        device.layers.clear();
        device.wish = None;
        device.wan_question = None;
        device.chosen_wan = None;
        device.run = None;
        device.resume = None;
        device.attempts = 0;
        device.parked.clear();
        device.next_attempt_at = None;
        device.follow_up = FollowUp::Nothing;
        for timer in [Timer::Attempt, Timer::VerifyCheck] {
            self.effect(Effect::StopTimer { timer });
        }
    }

    // ---- what it should be -------------------------------------------------------------------------------------

    /// Remembers what is wanted. False if it is what was wanted before: then nothing happened.
    pub(crate) fn told(&mut self, wish: &Wish) -> bool {
        let news = self.device.wish.as_ref().is_none_or(|known| known.layers != wish.layers);
        self.wishes(wish.clone());
        news
    }

    pub(crate) fn intent_changed_while_active(&mut self) {
        let due = self.layers_due();
        if due.is_empty() {
            self.note(sentences::already_active());
            return;
        }
        if self.device.in_session() {
            // The session itself compares and leaves ACTIVE at its next move.
            return;
        }
        self.leave_active(sentences::intent_changed(&due));
        if self.device.state == State::Ready {
            self.seek_session();
        }
    }

    /// TIME_SYNCED outside a session: is it worth asking for one?
    pub(crate) fn look_at_gates(&mut self) {
        if self.device.in_session() {
            return;
        }
        if let Some(reason) = self.closed_gate() {
            self.say(reason);
            if let Some(at) = self.gate_opens_at() {
                self.effect(Effect::StartTimer { timer: Timer::Attempt, at });
            }
            return;
        }
        if self.may_call() {
            self.say(sentences::gates_look_open());
            self.send_connection_request();
        } else if !self.joins_call() {
            let outcome =
                self.device.connection.unauthorized_since.map(|_| ConnectionRequestOutcome::Unauthorized);
            let reason = self.waiting_reason(outcome);
            self.say(reason);
        }
    }

    /// An operator wants another attempt: it goes on from what the device has, and what was before it stays known, should
    /// it fail as well. Only an attempt at the internet WAN covers what is to be undone there.
    pub(crate) fn plan_instead_of_undoing(&mut self) {
        let now = self.now;
        if !self.layers_due().contains(&Layer::Internet) {
            return;
        }
        let began = self.cool_down_until().filter(|at| *at > now).unwrap_or(now);
        let Some(run) = self.device.run.as_mut().filter(|run| run.rollback.is_some()) else { return };
        run.rollback = None;
        run.tries.clear();
        (run.checks, run.next_check_at) = (0, None);
        run.at_step = "planning".into();
        self.device.last_attempt_began_at = Some(began);
    }

    /// FAILED, and something changed: the back-off ends now, cool-down still counts. What is to be undone still is, before
    /// anything else; then the attempt goes on with what is wanted now.
    pub(crate) fn input_changed(&mut self) {
        let now = self.now;
        let at = self.cool_down_until().filter(|at| *at > now).unwrap_or(now);
        if self.device.next_attempt_at.is_none_or(|old| old > at) {
            self.device.next_attempt_at = Some(at);
        }
        if at > now {
            self.effect(Effect::StartTimer { timer: Timer::Attempt, at });
            self.note(sentences::cool_down(at));
        } else {
            self.back_off_timer();
        }
    }

    /// FAILED: back-off over. It still needs an Inform; one is asked for, once.
    pub(crate) fn back_off_timer(&mut self) {
        match self.device.next_attempt_at {
            Some(at) if at > self.now => self.effect(Effect::StartTimer { timer: Timer::Attempt, at }),
            Some(_) | None => {
                if self.may_call() {
                    self.send_connection_request();
                }
            }
        }
    }

    pub(crate) fn inform_overdue(&mut self) {
        if let Some(expected) = self.device.next_inform_by
            && expected <= self.now
            && !self.device.in_session()
        {
            let reason = sentences::inform_overdue(expected, self.device.last_inform_at);
            // Faults are put together by their text, so it holds no moment; the line in the record does.
            let text = "No Inform came when one was expected";
            self.fault(FaultClass::SessionTriggering, None, text, None, None, &reason);
            self.note(reason);
            // The line above is the news; the last word on the device only stops promising what has lapsed.
            let word = self.device.reason.as_ref();
            if let Some(word) = word.and_then(|word| sentences::promise_lapsed(word, expected, self.now)) {
                self.device.reason = Some(word);
            }
        }
    }

    // ---- operators -----------------------------------------------------------------------------------------------

    /// `check`: only to see whether it can be reached.
    pub(crate) fn called(&mut self, by: &str, check: bool) {
        if self.device.in_session() {
            self.note(sentences::call_not_made(by, "it speaks with us just now"));
        } else if self.device.connection.outstanding_since.is_some() {
            if !check {
                self.joins_call();
            }
            self.note(sentences::call_not_made(by, "one is under way already"));
        } else if let Some(until) = self.gap_until() {
            self.note(sentences::call_too_soon(until));
        } else {
            // An operator may try even after a 401: it is one request, not forcing.
            self.note(sentences::call_requested(by));
            self.send_connection_request();
            self.device.connection.check = check;
        }
    }

    pub(crate) fn set_hold(&mut self, by: &str) -> crate::Reason {
        let since = self.device.hold.as_ref().map_or(self.now, |hold| hold.since);
        self.device.hold = Some(Hold { by: by.to_owned(), since });
        sentences::held(by, since)
    }

    pub(crate) fn hold(&mut self, by: &str) {
        let reason = self.set_hold(by);
        if self.device.state == State::TimeSynced { self.say(reason) } else { self.note(reason) }
    }

    /// A plan is open: it stops at the next request; what is open stays stored.
    pub(crate) fn held_while_open(&mut self, by: &str) {
        let reason = self.set_hold(by);
        if self.device.in_session() {
            self.note(reason);
            return;
        }
        self.device.resume = None;
        self.goto(State::TimeSynced, reason);
    }

    pub(crate) fn release_hold(&mut self, by: &str) {
        if self.device.hold.take().is_some() {
            self.note(sentences::hold_cleared(by));
        }
    }
}
