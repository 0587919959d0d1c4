//! What keeps a device from being configured. Each closed gate is a reason; the first closed one is shown.

use crate::{
    AuthLevel, Context, Device, Layer, Link, Reason, sentences,
    work::{Move, Work},
};
use types::UtcMs;

/// A gate into READY. The machine asks them in this order and stops at the first one that is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// The clock is right, or somebody answers for it.
    Clock,
    /// No operator holds it.
    Hold,
    /// Its service wants something of it.
    Intent,
    /// The wait after a failure is over.
    BackOff,
    /// The last attempt began long enough ago.
    CoolDown,
    /// It is who it says: by its own secret, or somebody vouches for it.
    Identity,
    /// A family fits it that may be written to.
    Family,
}

impl Gate {
    /// In the order they are asked.
    pub const ALL: [Gate; 7] =
        [Gate::Clock, Gate::Hold, Gate::Intent, Gate::BackOff, Gate::CoolDown, Gate::Identity, Gate::Family];

    /// As it is spelled for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Clock => "clock",
            Gate::Hold => "hold",
            Gate::Intent => "intent",
            Gate::BackOff => "back_off",
            Gate::CoolDown => "cool_down",
            Gate::Identity => "identity",
            Gate::Family => "family",
        }
    }
}

/// Every gate, and why it is closed if it is; `now` and `context` as the machine would be given. Two are judged by what
/// the last session left: whether it showed its secret, and which family it was found to be.
pub fn gates(device: &Device, context: &Context, now: UtcMs) -> Vec<(Gate, Option<Reason>)> {
    let work = Work::new(device, context, now);
    let closed = |gate: Gate| match gate {
        Gate::Clock => (!work.clock_passes()).then(|| work.clock_reason()),
        Gate::Hold | Gate::Intent | Gate::BackOff | Gate::CoolDown => work.closed(gate),
        Gate::Identity => {
            let ownership = &device.ownership;
            let shown = ownership.proven_at.is_some() && !ownership.first_contact;
            (!shown && !work.trusted()).then(|| work.untrusted_reason())
        }
        Gate::Family => match &device.profile {
            None => Some(sentences::family_undecided()),
            Some(chosen) => chosen.read_only.as_deref().map(sentences::profile_read_only),
        },
    };
    Gate::ALL.into_iter().map(|gate| (gate, closed(gate))).collect()
}

impl Work<'_> {
    /// The device may be given secrets: it showed its own, or it is at first contact and somebody else vouches
    /// for it.
    pub(crate) fn trusted(&self) -> bool {
        let auth = self.device.session.as_ref().map_or(AuthLevel::Anonymous, |session| session.auth);
        let ownership = &self.device.ownership;
        let first_contact = ownership.proven_at.is_none() || ownership.first_contact;
        auth == AuthLevel::Own || (first_contact && self.device.link.as_ref().is_some_and(Link::confirmed))
    }

    pub(crate) fn untrusted_reason(&self) -> Reason {
        let peer = self.device.connection.peer.clone().unwrap_or_default();
        let ownership = &self.device.ownership;
        if ownership.proven_at.is_some() && !ownership.first_contact {
            sentences::identity_unproven(&peer)
        } else {
            let doubt = match &self.device.link {
                Some(Link::One { doubt, .. }) => doubt.as_deref(),
                Some(Link::None { .. } | Link::Several { .. } | Link::Conflict { .. }) | None => None,
            };
            sentences::identity_unconfirmed(&peer, doubt)
        }
    }

    /// Layers with an intent that is not in force.
    pub(crate) fn layers_due(&self) -> Vec<Layer> {
        let Some(intents) = &self.context.intents else { return Vec::new() };
        let key = &self.context.fingerprint_key;
        intents
            .layers()
            .into_iter()
            .filter(|layer| !self.device.layer_is_current(*layer, intents.layer_hash(*layer, key).as_deref()))
            .collect()
    }

    /// Gates that can be judged without a session: hold, intent, back-off, cool-down. Cool-down does not stop an
    /// attempt that is already under way: it resumes at its cursor.
    pub(crate) fn closed_gate(&self) -> Option<Reason> {
        [Gate::Hold, Gate::Intent, Gate::BackOff, Gate::CoolDown]
            .into_iter()
            .find_map(|gate| self.closed(gate))
    }

    /// Why one of these is closed.
    fn closed(&self, gate: Gate) -> Option<Reason> {
        match gate {
            Gate::Hold => self.device.hold.as_ref().map(|hold| sentences::held(&hold.by, hold.since)),
            Gate::Intent => {
                let none = self.context.intents.as_ref().is_none_or(|intents| intents.layers().is_empty());
                none.then(sentences::no_intent)
            }
            Gate::BackOff => {
                let until = self.device.next_attempt_at.filter(|until| *until > self.now)?;
                Some(sentences::back_off(Some(until), self.device.attempts))
            }
            Gate::CoolDown => {
                let until = self.cool_down_until().filter(|until| *until > self.now)?;
                self.device.run.is_none().then(|| sentences::cool_down(until))
            }
            // Asked where a session is open.
            Gate::Clock | Gate::Identity | Gate::Family => None,
        }
    }

    pub(crate) fn cool_down_until(&self) -> Option<types::UtcMs> {
        Some(self.device.last_attempt_began_at?.plus_s(self.context.policy.cool_down_s))
    }

    /// TIME_SYNCED: every gate, one after the other.
    pub(crate) fn pass_gates(&mut self) -> Move {
        use crate::State;
        if !self.clock_passes() {
            let reason = self.clock_reason();
            self.goto(State::Owned, reason);
            return Move::Again;
        }
        if let Some(reason) = self.closed_gate() {
            self.say(reason);
            if let Some(at) = self.gate_opens_at() {
                // What only needs time does not wait for an Inform that may be an hour away.
                self.effect(crate::Effect::StartTimer { timer: crate::Timer::Attempt, at });
            }
            return Move::Finish;
        }
        if !self.trusted() {
            let reason = self.untrusted_reason();
            self.say(reason);
            return Move::Finish;
        }
        let profile = match self.choose_profile() {
            Ok(profile) => profile,
            Err(next) => return next,
        };
        // What another layer wants does not wait for a path of this one.
        // Nor does what an attempt half changed: it is undone before anybody stops at this gate.
        let to_undo =
            self.device.run.as_ref().is_some_and(|run| run.rollback.is_some() || !run.touched.is_empty());
        let others = self.layers_due().iter().any(|layer| *layer != Layer::Internet);
        if let Some(reason) = self.no_path(&profile).filter(|_| !others && !to_undo) {
            self.say(reason);
            return Move::Finish;
        }
        if self.layers_due().is_empty() && !to_undo {
            // Everything is in force already (a hold that was lifted, a link that came back).
            self.goto(State::Ready, sentences::gates_open(&profile.title));
            self.goto(State::Active, sentences::already_active());
            return Move::Again;
        }
        self.goto(State::Ready, sentences::gates_open(&profile.title));
        Move::Again
    }
}
