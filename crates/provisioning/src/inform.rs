//! What an Inform means before anything is asked: who, when, where from, and whether it counts at all.

use crate::{
    AuthLevel, ClockReading, Effect, InformFacts, LearnedFact, Peer, State, Timer,
    clock::read_clock,
    device::{FollowUp, Identity},
    sentences,
    session::{Claim, Session},
    work::Work,
};

impl Work<'_> {
    pub(crate) fn informed(&mut self, inform: &InformFacts, peer: &Peer) {
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
    pub(crate) fn accept_inform(&mut self, inform: &InformFacts, peer: &str, auth: AuthLevel) {
        let now = self.now;
        self.device.follow_up = FollowUp::Nothing;
        self.device.last_inform_at = Some(now);
        self.note_identity(inform);
        self.note_clock(inform);
        let connection = &mut self.device.connection;
        connection.peer = Some(peer.to_owned());
        if let Some(url) =
            inform.parameter("ManagementServer.ConnectionRequestURL").filter(|url| !url.is_empty())
            && connection.url.as_deref() != Some(url)
        {
            connection.url = Some(url.to_owned());
            connection.url_since = Some(now);
        }
        let called = inform.has_event("6 CONNECTION REQUEST");
        self.session().called = called;
        self.came_when_called();
        let connection = &mut self.device.connection;
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
        self.plan_repair(called);
        self.orders_informed(inform);
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

    pub(crate) fn note_identity(&mut self, inform: &InformFacts) {
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
            // Another firmware is another device: probe again, forget what was learned and why it was parked.
            self.device.profile = None;
            self.device.refused_family = None;
            self.device.learned.clear();
            self.device.parked.clear();
            self.device.next_attempt_at = None;
        }
        self.device.identity = new;
        for fact in &self.context.learned {
            if !fact.path.is_empty() && fact.path != LearnedFact::FAMILY {
                self.device.learned.entry(fact.path.clone()).or_insert_with(|| fact.fact.clone());
            }
        }
    }

    pub(crate) fn note_clock(&mut self, inform: &InformFacts) {
        let reading: ClockReading = read_clock(&inform.current_time);
        let clock = &mut self.device.clock;
        clock.reported = inform.current_time.clone();
        clock.year = reading.year();
        clock.valid = reading.is_valid(self.context.policy.clock_floor_year);
    }

    /// `0 BOOTSTRAP`: a first contact, or a factory reset. What was applied is gone; what was stored may be
    /// somebody else's by now.
    pub(crate) fn factory_state(&mut self) {
        let device = &mut self.device;
        let was_ours = device.ownership.confirmed_at.is_some() || !device.layers.is_empty();
        device.layers.clear();
        device.run = None;
        device.pending_add = None;
        device.parked.clear();
        device.wan_question = None;
        device.chosen_wan = None;
        device.resume = None;
        // What made it fail may be gone with the rest; cool-down still counts.
        device.next_attempt_at = None;
        for object in device.objects.values_mut() {
            object.stale = true;
        }
        let proven = device.ownership.proven_at.is_some();
        device.ownership.secrets.clear();
        device.ownership.confirmed_at = None;
        device.ownership.repair_due = false;
        device.ownership.kept_interval = None;
        device.ownership.not_kept.clear();
        device.ownership.first_contact = proven;
        device.connection.unauthorized_since = None;
        device.clock.ntp_pushes = 0;
        device.clock.ntp_refused = None;
        let beyond = !matches!(device.state, State::Discovered | State::Informed);
        if beyond {
            self.effect(Effect::StopTimer { timer: Timer::VerifyCheck });
            self.goto(State::Informed, sentences::factory_reset());
        } else if was_ours {
            self.note(sentences::factory_reset());
        }
    }
}
