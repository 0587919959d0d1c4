//! The table of states and events.

use crate::{
    AuthLevel, ClockReading, ConnectionRequestOutcome, Device, DeviceReply, Effect, Event, FaultClass,
    InformFacts, Intents, LearnedFact, Link, OwnershipCredentials, Peer, Policy, SessionEnd, State, Step,
    Timer,
    clock::read_clock,
    device::{FollowUp, Hold, Identity},
    sentences,
    session::{Claim, Purpose, Session},
    work::{Move, Work},
};
use profiles::cpe::ProfileSet;
use std::sync::Arc;
use types::{Secret, UtcMs};

/// Everything the machine may know beside the device itself.
#[derive(Debug, Clone)]
pub struct Context {
    /// What the service should be; `None` = nobody said yet.
    pub intents: Option<Intents>,
    /// Every known dialect; the machine nominates and probes by itself.
    pub profiles: Arc<ProfileSet>,
    /// Learned about this model and firmware from other units.
    pub learned: Vec<LearnedFact>,
    /// How the operator wants it.
    pub policy: Policy,
    /// This device's own secrets, if they were made already.
    pub credentials: Option<OwnershipCredentials>,
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
        (
            S::Informed | S::Owned | S::TimeSynced | S::Ready | S::Provisioning | S::Active,
            Event::SessionReady,
        ) => work.session_ready(),
        // Nothing is ever done here: WAITING_INFORM and FAILED are left by the Inform before, or not at all.
        (S::Discovered | S::WaitingInform | S::Failed, Event::SessionReady) => work.finish(),
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
        (S::Discovered, Event::LinkResolved(link)) => work.device.link = Some(link.clone()),
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
        (S::Active, Event::IntentChanged) => work.intent_changed_while_active(),
        (S::TimeSynced, Event::IntentChanged) => work.look_at_gates(),
        (S::Failed, Event::IntentChanged) => work.input_changed(),
        // The plan is made from the intent of the moment in every session; nothing to do now.
        (
            S::Discovered | S::Informed | S::Owned | S::Ready | S::Provisioning | S::WaitingInform,
            Event::IntentChanged,
        ) => {}

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
        (S::Discovered, Event::CallRequested { by }) => {
            work.note(sentences::call_requested(by));
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
        ) => work.called(by),

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
            work.input_changed();
        }
        (S::TimeSynced, Event::RetryRequested { by }) => {
            work.note(sentences::retry_requested(by));
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

impl Work<'_> {
    // ---- sessions --------------------------------------------------------------------------------------------

    fn informed(&mut self, inform: &InformFacts, peer: &Peer) {
        let now = self.now;
        // A session that was open is over; whatever was outstanding in it is unknown and will be read.
        self.device.session = Some(Box::new(Session {
            began_at: now,
            auth: peer.auth,
            boot: inform.boot(),
            ..Session::default()
        }));
        let ownership = &self.device.ownership;
        let proven = ownership.proven_at.is_some() && !ownership.first_contact;
        if proven && peer.auth != AuthLevel::Own {
            // An Inform proves nothing by itself: whoever guesses a serial number changes nothing.
            // Kept beyond this session: a CPE says it once.
            self.device.ownership.reset_claimed |= inform.bootstrap();
            let claim = Claim { inform: inform.clone(), peer: peer.address.to_string() };
            self.session().claim = Some(Box::new(claim));
            return;
        }
        self.accept_inform(inform, &peer.address.to_string(), peer.auth);
    }

    /// The Inform is this device's own.
    fn accept_inform(&mut self, inform: &InformFacts, peer: &str, auth: AuthLevel) {
        let now = self.now;
        self.device.follow_up = FollowUp::Nothing;
        self.device.last_inform_at = Some(now);
        self.note_identity(inform);
        self.note_clock(inform);
        let connection = &mut self.device.connection;
        connection.peer = Some(peer.to_owned());
        if let Some(url) =
            inform.parameter("ManagementServer.ConnectionRequestURL").filter(|url| !url.is_empty())
        {
            connection.url = Some(url.to_owned());
        }
        if connection.outstanding_since.take().is_some() {
            self.effect(Effect::StopTimer { timer: Timer::Watchdog });
        }
        let interval = self.device.inform_interval_s.unwrap_or(self.context.policy.inform_interval_s);
        let expected = now.plus_s(u64::from(interval));
        self.device.next_inform_by = Some(expected);
        let at = expected.plus_s(self.context.policy.inform_grace_s);
        self.effect(Effect::StartTimer { timer: Timer::InformOverdue, at });
        self.device.ownership.auth = auth;
        let reset_claimed =
            std::mem::take(&mut self.device.ownership.reset_claimed) && auth != AuthLevel::Own;
        if inform.bootstrap() || reset_claimed {
            self.factory_state();
        }
        if auth == AuthLevel::Own {
            if self.device.ownership.proven_at.is_none() {
                self.note(sentences::ownership_proven());
            }
            self.device.ownership.proven_at.get_or_insert(now);
            self.device.ownership.first_contact = false;
        }
        self.plan_repair();
        match self.device.state {
            State::Discovered => {
                let identity = &self.device.identity;
                let reason = sentences::first_inform(&identity.serial_number, &identity.product_class, peer);
                self.goto(State::Informed, reason);
            }
            State::WaitingInform => {
                let to = self.device.resume.take().unwrap_or(State::Ready);
                let step = self.device.run.as_ref().map_or("reading the device", |run| run.at_step.as_str());
                let reason = sentences::resumed(step);
                self.goto(to, reason);
            }
            State::Failed if self.device.next_attempt_at.is_none_or(|at| at <= now) => {
                let reason = sentences::back_off_over(self.device.attempts);
                self.device.next_attempt_at = None;
                self.effect(Effect::StopTimer { timer: Timer::Attempt });
                if self.clock_passes() {
                    self.goto(State::TimeSynced, reason);
                } else {
                    self.goto(State::Owned, reason);
                }
            }
            State::Failed
            | State::Informed
            | State::Owned
            | State::TimeSynced
            | State::Ready
            | State::Provisioning
            | State::Active => {}
        }
    }

    fn note_identity(&mut self, inform: &InformFacts) {
        let old = &self.device.identity;
        let software =
            inform.parameter("DeviceInfo.SoftwareVersion").unwrap_or(&old.software_version).to_owned();
        let new = Identity {
            manufacturer: inform.manufacturer.clone(),
            oui: inform.oui.clone(),
            product_class: inform.product_class.clone(),
            serial_number: inform.serial_number.clone(),
            model: inform.parameter("DeviceInfo.ModelName").unwrap_or(&inform.product_class).to_owned(),
            hardware_version: inform
                .parameter("DeviceInfo.HardwareVersion")
                .unwrap_or(&old.hardware_version)
                .to_owned(),
            root: inform.root().unwrap_or(&old.root).to_owned(),
            software_version: software,
        };
        if new.software_version != old.software_version || new.product_class != old.product_class {
            // Another firmware is another device: probe again, forget what was learned.
            self.device.profile = None;
            self.device.learned.clear();
        }
        self.device.identity = new;
        for fact in &self.context.learned {
            if !fact.path.is_empty() {
                self.device.learned.entry(fact.path.clone()).or_insert_with(|| fact.fact.clone());
            }
        }
    }

    fn note_clock(&mut self, inform: &InformFacts) {
        let reading: ClockReading = read_clock(&inform.current_time);
        let clock = &mut self.device.clock;
        clock.reported = inform.current_time.clone();
        clock.year = reading.year();
        clock.valid = reading.is_valid(self.context.policy.clock_floor_year);
    }

    /// `0 BOOTSTRAP`: a first contact, or a factory reset. What was applied is gone; what was stored may be
    /// somebody else's by now.
    fn factory_state(&mut self) {
        let device = &mut self.device;
        let was_ours = device.ownership.confirmed_at.is_some() || !device.layers.is_empty();
        device.layers.clear();
        device.run = None;
        device.pending_add = None;
        device.resume = None;
        for object in device.objects.values_mut() {
            object.stale = true;
        }
        let proven = device.ownership.proven_at.is_some();
        device.ownership.secrets.clear();
        device.ownership.confirmed_at = None;
        device.ownership.repair_due = false;
        device.ownership.first_contact = proven;
        device.connection.unauthorized_since = None;
        device.clock.ntp_pushes = 0;
        let beyond = !matches!(device.state, State::Discovered | State::Informed);
        if beyond {
            self.effect(Effect::StopTimer { timer: Timer::VerifyCheck });
            self.goto(State::Informed, sentences::factory_reset());
        } else if was_ours {
            self.note(sentences::factory_reset());
        }
    }

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
            let session = self.session();
            if session.finished || session.requests >= self.context.policy.requests_per_session {
                if !self.session().finished {
                    let requests = self.session().requests;
                    self.note(sentences::session_budget(requests));
                    if matches!(self.device.state, State::Ready | State::Provisioning) {
                        self.device.follow_up = FollowUp::SeekSession;
                    }
                }
                return self.finish();
            }
            match self.next_move() {
                Move::Again => {}
                Move::Sent => return,
                Move::Finish => return self.finish(),
            }
        }
        self.finish();
    }

    fn next_move(&mut self) -> Move {
        let repair = self.device.ownership.repair_due
            && matches!(self.device.state, State::TimeSynced | State::Ready | State::Provisioning)
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
            State::Active => self.stay_active(),
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
            (Purpose::WriteOwnership { items } | Purpose::WriteTime { items }, DeviceReply::Fault(fault)) => {
                let reason = sentences::device_fault("SetParameterValues", fault.code, &fault.text);
                let class = FaultClass::of_code(fault.code);
                let path = items.first().map(|item| item.path.clone());
                self.fault(class, Some(fault.code), &fault.text, path, Some("SetParameterValues"), &reason);
                // Tried again at the next Inform; optional leaves are left out from now on.
                for item in items.iter().filter(|item| !item.required) {
                    if items.len() == 1 || fault.parameters.iter().any(|entry| entry.path == item.path) {
                        self.learn(&item.path, "rejected");
                    }
                }
                self.note(reason);
                return Move::Finish;
            }
            (Purpose::WriteStep { layer, items, .. }, DeviceReply::Set { status }) => {
                return self.step_accepted(layer, items, *status);
            }
            (Purpose::WriteStep { layer, items, .. }, DeviceReply::Fault(fault)) => {
                return self.step_faulted(layer, items, fault);
            }
            (Purpose::WriteRollback { items }, DeviceReply::Set { .. }) => {
                for item in items {
                    self.session().tree.forget_value(&item.path);
                }
            }
            (Purpose::WriteRollback { items }, DeviceReply::Fault(fault)) => {
                let path = items.first().map(|item| item.path.clone());
                return self.rollback_faulted(path, fault);
            }
            (Purpose::Add { slot, table }, DeviceReply::Added { instance, status }) => {
                return self.object_added(slot, &table, *instance, *status);
            }
            (Purpose::Add { table, .. }, DeviceReply::Fault(fault)) => {
                return self.add_faulted(&table, fault);
            }
            (purpose, _) => {
                let rpc = match purpose {
                    Purpose::List { .. } => "GetParameterNames",
                    Purpose::Read { .. } => "GetParameterValues",
                    Purpose::Add { .. } => "AddObject",
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

    fn session_ended(&mut self, how: SessionEnd) {
        let Some(session) = self.device.session.take() else { return };
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

    // ---- who it belongs to -----------------------------------------------------------------------------------

    fn linked(&mut self, link: &Link) {
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
        self.device.link = Some(link.clone());
        let beyond = self.device.state != State::Informed;
        if let (Some(before), Some(after)) = (before, after)
            && before != after
        {
            self.forget_service();
            self.goto(State::Informed, sentences::relinked(after));
            return;
        }
        let reason = match link {
            Link::One { .. } => {
                // Newly linked outside a session: ask it to come, if it may be asked.
                if before.is_none()
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

    fn released(&mut self, why: &str) {
        self.device.link = Some(Link::None { why: why.to_owned() });
        self.forget_service();
        // Whoever comes next comes for the first time.
        self.device.ownership.first_contact = true;
        self.goto(State::Informed, sentences::released(why));
    }

    fn forget_service(&mut self) {
        let device = &mut self.device;
        device.layers.clear();
        device.run = None;
        device.resume = None;
        device.attempts = 0;
        device.next_attempt_at = None;
        device.follow_up = FollowUp::Nothing;
        for timer in [Timer::Attempt, Timer::VerifyCheck] {
            self.effect(Effect::StopTimer { timer });
        }
    }

    // ---- what it should be -------------------------------------------------------------------------------------

    fn intent_changed_while_active(&mut self) {
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
    fn look_at_gates(&mut self) {
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
            self.send_connection_request();
        }
    }

    /// FAILED, and something changed: the back-off ends now, cool-down still counts.
    fn input_changed(&mut self) {
        let now = self.now;
        let at = self.cool_down_until().filter(|at| *at > now).unwrap_or(now);
        if self.device.next_attempt_at.is_none_or(|old| old > at) {
            self.device.next_attempt_at = Some(at);
        }
        if at > now {
            self.effect(Effect::StartTimer { timer: Timer::Attempt, at });
            self.note(sentences::cool_down(at, now));
        } else {
            self.back_off_timer();
        }
    }

    /// FAILED: back-off over. It still needs an Inform; one is asked for, once.
    fn back_off_timer(&mut self) {
        match self.device.next_attempt_at {
            Some(at) if at > self.now => self.effect(Effect::StartTimer { timer: Timer::Attempt, at }),
            Some(_) | None => {
                if self.may_call() {
                    self.send_connection_request();
                }
            }
        }
    }

    fn inform_overdue(&mut self) {
        if let Some(expected) = self.device.next_inform_by
            && expected <= self.now
            && !self.device.in_session()
        {
            let reason = sentences::inform_overdue(expected, self.device.last_inform_at, self.now);
            self.fault(FaultClass::SessionTriggering, None, &reason.text, None, None, &reason);
            self.note(reason);
        }
    }

    // ---- operators -----------------------------------------------------------------------------------------------

    fn called(&mut self, by: &str) {
        if self.device.in_session() || self.device.connection.outstanding_since.is_some() {
            self.note(sentences::call_requested(by));
        } else if let Some(until) = self.gap_until() {
            self.note(sentences::call_too_soon(until, self.now));
        } else {
            // An operator may try even after a 401: it is one request, not forcing.
            self.note(sentences::call_requested(by));
            self.send_connection_request();
        }
    }

    fn set_hold(&mut self, by: &str) -> crate::Reason {
        let since = self.device.hold.as_ref().map_or(self.now, |hold| hold.since);
        self.device.hold = Some(Hold { by: by.to_owned(), since });
        sentences::held(by, since, self.now)
    }

    fn hold(&mut self, by: &str) {
        let reason = self.set_hold(by);
        if self.device.state == State::TimeSynced { self.say(reason) } else { self.note(reason) }
    }

    /// A plan is open: it stops at the next request; what is open stays stored.
    fn held_while_open(&mut self, by: &str) {
        let reason = self.set_hold(by);
        if self.device.in_session() {
            self.note(reason);
            return;
        }
        self.device.resume = None;
        self.goto(State::TimeSynced, reason);
    }

    fn release_hold(&mut self, by: &str) {
        if self.device.hold.take().is_some() {
            self.note(sentences::hold_cleared(by));
        }
    }
}
