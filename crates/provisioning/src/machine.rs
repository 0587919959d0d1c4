//! The table of states and events.

use crate::{
    ConnectionRequestOutcome, Device, DeviceReply, Effect, Event, Intents, LearnedFact, Link, Order,
    OwnershipCredentials, Policy, SessionEnd, State, Step, Timer,
    device::FollowUp,
    sentences,
    session::Purpose,
    work::{Move, Work},
};
use profiles::cpe::ProfileSet;
use std::sync::Arc;
use types::{FaultClass, Secret, UtcMs};

/// Everything the machine may know beside the device itself.
#[derive(Debug, Clone)]
pub struct Context {
    /// What the service should be; `None` = nobody said yet.
    pub intents: Option<Intents>,
    /// Every known dialect; the machine nominates and probes by itself.
    pub profiles: Arc<ProfileSet>,
    /// Learned about this model and firmware from other units.
    pub learned: Vec<LearnedFact>,
    /// The family an operator set for this model and firmware. It counts where the device bears it out.
    pub family: Option<String>,
    /// How the operator wants it.
    pub policy: Policy,
    /// This device's own secrets, if they were made already.
    pub credentials: Option<OwnershipCredentials>,
    /// What was ordered, of every order that is open on the device.
    pub orders: Vec<Order>,
    /// Key of the fingerprints in [`Device`]; derived from the sealing key, the same for ever.
    pub fingerprint_key: Secret,
}

/// The one transition function.
pub fn step(device: &Device, event: &Event, context: &Context, now: UtcMs) -> Step {
    use State as S;
    let mut work = Work::new(device, context, now);
    match (device.state, event) {
        // ---- sessions: the same in every state; what is done in them is decided in `advance` ---------------
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::InformReceived { inform, peer },
        ) => work.informed(inform, peer),
        // In FAILED the machine does nothing of its own; what was ordered for the device is done.
        (
            S::Informed | S::Owned | S::TimeSynced | S::Ready | S::Provisioning | S::Active | S::Failed,
            Event::SessionReady,
        ) => work.session_ready(),
        // Nothing is ever done here: WAITING_INFORM is left by the Inform before, or not at all.
        (S::Discovered | S::WaitingInform, Event::SessionReady) => work.finish(),
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::ReplyReceived(reply),
        ) => work.reply(reply),
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::SessionEnded(how),
        ) => work.session_ended(*how),

        // ---- who it belongs to ------------------------------------------------------------------------------
        (S::Discovered, Event::OnuKnown) => work.say(sentences::onu_known()),
        (
            S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::OnuKnown,
        ) => {}
        (S::Discovered, Event::LinkResolved(link)) => {
            work.device.link = Some(link.clone());
            work.drop_orders_of_others();
        }
        (
            S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::LinkResolved(link),
        ) => work.linked(link),
        (S::Discovered, Event::Released { why }) => {
            work.device.link = Some(Link::None { why: why.clone() });
            work.drop_orders(why);
        }
        (
            S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::Released { why },
        ) => work.released(why),

        // ---- what it should be ------------------------------------------------------------------------------
        (S::Active, Event::IntentChanged(wish)) => {
            work.told(wish);
            work.intent_changed_while_active();
        }
        (S::TimeSynced, Event::IntentChanged(wish)) => {
            if work.told(wish) {
                work.look_at_gates();
            }
        }
        (S::Failed, Event::IntentChanged(wish)) => {
            if work.told(wish) {
                work.input_changed();
            }
        }
        // The plan is made from the intent of the moment in every session; nothing to do now.
        (
            S::Discovered | S::Informed | S::Owned | S::Ready | S::Provisioning | S::WaitingInform,
            Event::IntentChanged(wish),
        ) => {
            work.told(wish);
        }

        // ---- connection requests ----------------------------------------------------------------------------
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::ConnectionRequestFinished(outcome),
        ) => work.connection_request_finished(*outcome),
        (S::Discovered, Event::CallRequested { by } | Event::CheckRequested { by }) => {
            work.note(sentences::call_not_made(by, "it has never told where it can be called"));
            work.wait_for_inform(Some(ConnectionRequestOutcome::UrlMissing));
        }
        (
            S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::CallRequested { by },
        ) => work.called(by, false),
        (
            S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::CheckRequested { by },
        ) => work.called(by, true),

        // ---- timers -----------------------------------------------------------------------------------------
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::TimerFired(Timer::Watchdog),
        ) => work.watchdog_fired(),
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::TimerFired(Timer::InformOverdue),
        ) => work.inform_overdue(),
        (S::TimeSynced, Event::TimerFired(Timer::Attempt)) => work.look_at_gates(),
        (S::Ready | S::Provisioning, Event::TimerFired(Timer::Attempt | Timer::VerifyCheck)) => {
            if !work.device.in_session() {
                work.seek_session();
            }
        }
        (S::Failed, Event::TimerFired(Timer::Attempt)) => work.back_off_timer(),
        (S::Owned, Event::TimerFired(Timer::ClockCheck)) => {
            if work.may_call() {
                work.send_connection_request();
            }
        }
        // Do nothing in WAITING_INFORM. Elsewhere these timers have lost their reason.
        (
            S::Discovered | S::Informed | S::Owned | S::WaitingInform | S::Active,
            Event::TimerFired(Timer::Attempt | Timer::VerifyCheck),
        )
        | (S::TimeSynced | S::Failed, Event::TimerFired(Timer::VerifyCheck))
        | (
            S::Discovered
            | S::Informed
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::TimerFired(Timer::ClockCheck),
        ) => {}

        // ---- device orders: the same in every state; what may be done when is decided in `care` --------------
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::OrderGiven { key, service_id, expires_at },
        ) => work.order_given(key, *service_id, *expires_at),
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::OrderCancelled { key, by },
        ) => work.order_cancelled(key, by),
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::TimerFired(Timer::OrderExpiry),
        ) => work.orders_due(),

        // ---- operators --------------------------------------------------------------------------------------
        (S::Ready | S::Provisioning | S::WaitingInform, Event::HoldSet { by }) => work.held_while_open(by),
        (
            S::Discovered | S::Informed | S::Owned | S::TimeSynced | S::Active | S::Failed,
            Event::HoldSet { by },
        ) => work.hold(by),
        (S::TimeSynced, Event::HoldCleared { by }) => {
            work.release_hold(by);
            work.look_at_gates();
        }
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::HoldCleared { by },
        ) => work.release_hold(by),
        (S::Failed, Event::RetryRequested { by }) => {
            work.note(sentences::retry_requested(by));
            work.device.parked.clear();
            // In this order: the wait is that of the attempt that failed, once.
            work.input_changed();
            work.plan_instead_of_undoing();
        }
        (S::TimeSynced, Event::RetryRequested { by }) => {
            work.note(sentences::retry_requested(by));
            work.device.parked.clear();
            work.look_at_gates();
        }
        (S::Active, Event::RetryRequested { .. }) => work.note(sentences::already_active()),
        // A plan is open or not yet due: the Inform that comes goes on by itself.
        (
            S::Discovered | S::Informed | S::Owned | S::Ready | S::Provisioning | S::WaitingInform,
            Event::RetryRequested { by },
        ) => work.note(sentences::retry_requested(by)),
        (S::Owned, Event::ClockGateOverridden { by }) => {
            work.device.clock.overridden_by = Some(by.clone());
            work.effect(Effect::StopTimer { timer: Timer::ClockCheck });
            work.goto(State::TimeSynced, sentences::clock_overridden(by));
            work.look_at_gates();
        }
        (
            S::Discovered
            | S::Informed
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::ClockGateOverridden { by },
        ) => {
            work.device.clock.overridden_by = Some(by.clone());
            work.note(sentences::clock_overridden(by));
        }

        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::WanChosen { path, by },
        ) => work.wan_chosen(path, by),

        // What is in force on the device stays; the next look at its clock finds the gate closed where it is wrong.
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::ClockGateRestored { by },
        ) => {
            if work.device.clock.overridden_by.take().is_some() {
                work.note(sentences::clock_override_withdrawn(by));
            }
        }

        // ---- the line: a flapping ONU does not start anything again ------------------------------------------
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::OnuFlapped,
        ) => {
            work.device.flaps = work.device.flaps.saturating_add(1);
            let flaps = work.device.flaps;
            work.note(sentences::onu_flapped(flaps));
        }
        (
            S::Discovered
            | S::Informed
            | S::Owned
            | S::TimeSynced
            | S::Ready
            | S::Provisioning
            | S::WaitingInform
            | S::Active
            | S::Failed,
            Event::OnuOffline,
        ) => work.note(sentences::onu_offline()),
    }
    work.done()
}

/// No request is sent in a session that is older. With the answer to the last one (a CPE may ask for five minutes) it is
/// over within the quarter of an hour after which a session without an end counts as lost.
const LONGEST_SESSION_S: u64 = 540;

impl Work<'_> {
    fn session_ready(&mut self) {
        if !self.device.in_session() {
            self.finish();
            return;
        }
        self.session().ready = true;
        if let Some(claim) = &self.session().claim {
            let reason = sentences::identity_unproven(&claim.peer);
            self.note(reason);
            return self.finish();
        }
        self.advance();
    }

    /// Moves on until a request is out or nothing is left for this session.
    fn advance(&mut self) {
        // Every turn changes the state, learns something or sends; the bound is far above any honest path.
        for _ in 0..64 {
            let (now, session) = (self.now, self.session());
            let age_s = now.since(session.began_at).as_secs();
            let too_long = age_s >= LONGEST_SESSION_S;
            if session.finished || too_long || session.requests >= self.context.policy.requests_per_session {
                if !self.session().finished {
                    let requests = self.session().requests;
                    self.note(if too_long {
                        sentences::session_too_long(age_s)
                    } else {
                        sentences::session_budget(requests)
                    });
                    if matches!(self.device.state, State::Ready | State::Provisioning) {
                        self.device.follow_up = FollowUp::SeekSession;
                    }
                }
                return self.finish();
            }
            match self.next_move() {
                Move::Again => {}
                Move::Sent => return,
                Move::Finish => match self.next_order() {
                    Move::Sent => return,
                    Move::Again | Move::Finish => return self.finish(),
                },
            }
        }
        self.finish();
    }

    fn next_move(&mut self) -> Move {
        let repair = self.device.ownership.repair_due
            && matches!(
                self.device.state,
                State::Owned | State::TimeSynced | State::Ready | State::Provisioning
            )
            && !self.device.quarantined()
            && self.trusted();
        if repair && let Err(next) = self.write_ownership() {
            return next;
        }
        match self.device.state {
            State::Informed => self.own(),
            State::Owned => self.synchronise(),
            State::TimeSynced => self.pass_gates(),
            State::Ready => self.prepare(),
            State::Provisioning => self.carry_out(),
            State::Active => match self.stay_active() {
                Move::Finish => self.repair_while_active(),
                next => next,
            },
            State::Discovered | State::WaitingInform | State::Failed => Move::Finish,
        }
    }

    pub(crate) fn finish(&mut self) {
        if let Some(session) = &mut self.device.session {
            session.finished = true;
            session.outstanding = None;
        }
        self.effect(Effect::FinishSession);
    }

    fn reply(&mut self, reply: &DeviceReply) {
        let open = self.device.session.as_ref().is_some_and(|session| !session.finished);
        let Some(purpose) = self.device.session.as_mut().and_then(|session| session.outstanding.take())
        else {
            return self.finish();
        };
        if !open {
            return self.finish();
        }
        let next = self.absorb(purpose, reply);
        match next {
            Move::Again => self.advance(),
            Move::Sent => {}
            Move::Finish => self.finish(),
        }
    }

    fn absorb(&mut self, purpose: Purpose, reply: &DeviceReply) -> Move {
        match (purpose, reply) {
            (Purpose::List { path }, DeviceReply::Names(names)) => self.names_listed(path, names),
            (Purpose::List { path }, DeviceReply::Fault(fault)) => self.listing_faulted(path, fault),
            (Purpose::Read { paths }, DeviceReply::Values(values)) => self.values_read(paths, values),
            (Purpose::Read { paths }, DeviceReply::Fault(fault)) => self.reading_faulted(paths, fault),
            (Purpose::WriteOwnership { items } | Purpose::WriteTime { items }, DeviceReply::Set { .. }) => {
                self.session().written.insert("core".into());
                for item in items {
                    match item.secret {
                        Some((name, print)) => {
                            self.device.ownership.secrets.insert(name, print);
                        }
                        None => self.session().tree.forget_value(&item.path),
                    }
                }
                let now = self.now;
                self.device.ownership.written_at = Some(now);
            }
            (Purpose::WriteOwnership { items }, DeviceReply::Fault(fault))
                if self.device.state == State::Active =>
            {
                return self.repair_refused(&items, fault);
            }
            (Purpose::WriteOwnership { items }, DeviceReply::Fault(fault)) => {
                return self.management_refused(&items, fault, false);
            }
            (Purpose::WriteTime { items }, DeviceReply::Fault(fault)) => {
                return self.management_refused(&items, fault, true);
            }
            (Purpose::WriteStep { layer, items, .. }, DeviceReply::Set { status }) => {
                return self.step_accepted(layer, items, *status);
            }
            (Purpose::WriteStep { layer, items, .. }, DeviceReply::Fault(fault)) => {
                return self.step_faulted(layer, items, fault);
            }
            (Purpose::WriteRollback { items }, DeviceReply::Set { status }) => {
                return self.rollback_accepted(&items, *status);
            }
            (Purpose::WriteRollback { items }, DeviceReply::Fault(fault)) => {
                return self.rollback_faulted(&items, fault);
            }
            (Purpose::Add { slot, table }, DeviceReply::Added { instance, status }) => {
                return self.object_added(slot, &table, *instance, *status);
            }
            (Purpose::Add { table, .. }, DeviceReply::Fault(fault)) => {
                return self.add_faulted(&table, fault);
            }
            (Purpose::Care { key, care }, reply) => return self.care_answered(&key, care, reply),
            (purpose, _) => {
                let rpc = match purpose {
                    Purpose::List { .. } => "GetParameterNames",
                    Purpose::Read { .. } => "GetParameterValues",
                    Purpose::Add { .. } => "AddObject",
                    Purpose::Care { care, .. } => care.rpc(false),
                    Purpose::WriteOwnership { .. }
                    | Purpose::WriteTime { .. }
                    | Purpose::WriteStep { .. }
                    | Purpose::WriteRollback { .. } => "SetParameterValues",
                };
                let reason = sentences::unexpected_reply(rpc);
                self.fault(FaultClass::Ours, None, &reason.text, None, Some(rpc), &reason);
                self.note(reason);
                return Move::Finish;
            }
        }
        Move::Again
    }

    /// Nothing of the session is known any more: another node changed the device meanwhile, or the process that held it
    /// died.
    fn ended_without_session(&mut self, how: SessionEnd) {
        if !matches!(self.device.state, State::Ready | State::Provisioning) {
            return;
        }
        if how == SessionEnd::Lost {
            self.note(sentences::session_lost());
        }
        let seek = std::mem::take(&mut self.device.follow_up) == FollowUp::SeekSession;
        let check = self.device.run.as_ref().and_then(|run| run.next_check_at);
        match (seek, check, how) {
            (true, _, _) => self.seek_session(),
            (false, Some(at), _) => self.effect(Effect::StartTimer { timer: Timer::VerifyCheck, at }),
            (false, None, SessionEnd::Torn | SessionEnd::TimedOut) if !self.joins_call() => {
                self.wait_for_inform(None);
            }
            // A CPE whose session broke tries again by itself, at first within seconds, but gives up for ever longer
            // while nobody answers; nobody knows how long that was.
            (false, None, SessionEnd::Lost) => self.seek_session(),
            (false, None, SessionEnd::Clean | SessionEnd::Torn | SessionEnd::TimedOut) => {}
        }
    }

    fn session_ended(&mut self, how: SessionEnd) {
        self.session_over(how);
        self.orders_after_session();
    }

    fn session_over(&mut self, how: SessionEnd) {
        let Some(session) = self.device.session.take() else { return self.ended_without_session(how) };
        if session.finished {
            // After our last word a broken connection loses nothing.
            if std::mem::take(&mut self.device.follow_up) == FollowUp::SeekSession
                && matches!(self.device.state, State::Ready | State::Provisioning)
            {
                self.seek_session();
            }
            return;
        }
        if !session.ready && how == SessionEnd::Clean {
            return;
        }
        let doing = match &session.outstanding {
            None => "nothing was asked".to_owned(),
            Some(Purpose::List { path }) => format!("listing {path}"),
            Some(Purpose::Read { .. }) => "reading values".to_owned(),
            Some(Purpose::WriteOwnership { .. }) => "writing management settings".to_owned(),
            Some(Purpose::WriteTime { .. }) => "setting NTP".to_owned(),
            Some(Purpose::WriteStep { step, .. }) => format!("writing {step}"),
            Some(Purpose::WriteRollback { .. }) => "undoing".to_owned(),
            Some(Purpose::Add { slot, .. }) => format!("creating {slot}"),
            Some(Purpose::Care { care, .. }) => format!("a device order ({})", care.rpc(false)),
        };
        self.device.follow_up = FollowUp::Nothing;
        let reason = sentences::session_torn(&doing, self.device.next_inform_by, self.now);
        self.fault(FaultClass::SessionTriggering, None, &reason.text, None, None, &reason);
        // A CPE whose session broke tries again by itself (TR-069 §3.2.1.1): no connection request.
        match self.device.state {
            State::Ready | State::Provisioning => {
                self.device.resume = Some(self.device.state);
                self.goto(State::WaitingInform, reason);
            }
            State::Discovered
            | State::Informed
            | State::Owned
            | State::TimeSynced
            | State::WaitingInform
            | State::Active
            | State::Failed => self.note(reason),
        }
    }
}
