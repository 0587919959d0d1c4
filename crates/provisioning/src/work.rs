//! One step under way: the device being changed, and what is to be done about it.

use crate::{
    Context, Device, Effect, FaultRecord, Reason, State, Step, Transition,
    plan::Planner,
    session::{Purpose, Session},
    talk::DeviceRequest,
};
use profiles::cpe::CpeProfile;
use types::{FaultClass, UtcMs};

/// What a move came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// The state changed or something was learned: look again.
    Again,
    /// A request is on its way.
    Sent,
    /// Nothing more in this session.
    Finish,
}

pub(crate) struct Work<'a> {
    pub device: Device,
    pub context: &'a Context,
    pub now: UtcMs,
    pub effects: Vec<Effect>,
    pub transitions: Vec<Transition>,
    pub reasons: Vec<Reason>,
}

impl<'a> Work<'a> {
    pub(crate) fn new(device: &Device, context: &'a Context, now: UtcMs) -> Self {
        Work {
            device: device.clone(),
            context,
            now,
            effects: Vec::new(),
            transitions: Vec::new(),
            reasons: Vec::new(),
        }
    }

    pub(crate) fn done(self) -> Step {
        Step {
            next: self.device,
            effects: self.effects,
            transitions: self.transitions,
            reasons: self.reasons,
        }
    }

    /// Changes the state; a change to the same state is only a new reason.
    pub(crate) fn goto(&mut self, to: State, reason: Reason) {
        let from = self.device.state;
        if from == to {
            self.say(reason);
            return;
        }
        if to == State::Active {
            self.forget_wan_question();
            self.device.parked.clear();
        }
        self.device.state = to;
        self.device.since = self.now;
        self.device.reason = Some(reason.clone());
        self.transitions.push(Transition { from, to, at: self.now, reason });
    }

    /// The last word on the device. Said again and again (every Inform of a waiting device) it is one line, not
    /// many.
    pub(crate) fn say(&mut self, reason: Reason) {
        if self.device.reason.as_ref() != Some(&reason) {
            self.device.reason = Some(reason.clone());
            self.reasons.push(reason);
        }
    }

    /// For the record; does not replace the last word on the device.
    pub(crate) fn note(&mut self, reason: Reason) {
        self.reasons.push(reason);
    }

    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn fault(
        &mut self,
        class: FaultClass,
        code: Option<u32>,
        text: &str,
        path: Option<String>,
        rpc: Option<&str>,
        reason: &Reason,
    ) {
        self.effect(Effect::RecordFault(FaultRecord {
            class,
            code,
            text: text.to_owned(),
            path,
            rpc: rpc.map(str::to_owned),
            reason_code: reason.code.as_str().to_owned(),
        }));
    }

    /// The open session. Every caller runs inside one; without one an empty session is made, so that nothing can
    /// be sent by mistake.
    pub(crate) fn session(&mut self) -> &mut Session {
        let now = self.now;
        self.device
            .session
            .get_or_insert_with(|| Box::new(Session { began_at: now, finished: true, ..Session::default() }))
    }

    pub(crate) fn request(&mut self, purpose: Purpose, request: DeviceRequest) -> Move {
        let structural = request.is_structural();
        let session = self.session();
        session.outstanding = Some(purpose);
        session.requests += 1;
        session.structural += u32::from(structural);
        self.effect(Effect::Request(request));
        Move::Sent
    }

    /// Plans with what was read so far.
    pub(crate) fn planning<T>(&mut self, profile: &CpeProfile, plan: impl FnOnce(&Planner<'_>) -> T) -> T {
        let tree = std::mem::take(&mut self.session().tree);
        let unlisted = std::mem::take(&mut self.session().unlisted);
        let (device, context) = (&self.device, self.context);
        let result = plan(&Planner { tree: &tree, profile, device, context, unlisted: &unlisted });
        self.session().tree = tree;
        self.session().unlisted = unlisted;
        result
    }

    /// The clock lets configuration pass, or somebody answers for this device or its model.
    pub(crate) fn clock_passes(&self) -> bool {
        self.device.clock.valid
            || self.device.clock.overridden_by.is_some()
            || self.context.policy.clock_waived_by.is_some()
    }
}
