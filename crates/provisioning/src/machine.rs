//! The table of states and events.

use crate::{
    Device, Effect, Event, Intents, LearnedFact, OwnershipCredentials, Policy, Reason, ReasonCode, State,
    Step,
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
    let mut next = device.clone();
    let mut effects = Vec::new();
    let _ = context;
    match event {
        Event::SessionReady | Event::ReplyReceived(_) => effects.push(Effect::FinishSession),
        Event::InformReceived { .. } => {
            next.last_inform_at = Some(now);
            if next.state == State::Discovered {
                next.state = State::Informed;
                next.reason = Some(Reason::new(ReasonCode::FirstInform, "First Inform received"));
            }
        }
        Event::OnuKnown
        | Event::LinkResolved(_)
        | Event::SessionEnded(_)
        | Event::ConnectionRequestFinished(_)
        | Event::TimerFired(_)
        | Event::IntentChanged
        | Event::HoldSet { .. }
        | Event::HoldCleared { .. }
        | Event::RetryRequested { .. }
        | Event::CallRequested { .. }
        | Event::ClockGateOverridden { .. }
        | Event::Released { .. }
        | Event::OnuFlapped
        | Event::OnuOffline => {}
    }
    Step { next, effects, transitions: Vec::new(), reasons: Vec::new() }
}
