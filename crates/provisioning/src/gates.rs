//! What keeps a device from being configured. Each closed gate is a reason; the first closed one is shown.

use crate::{
    AuthLevel, Layer, Link, Reason, sentences,
    work::{Move, Work},
};

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
        if let Some(hold) = &self.device.hold {
            return Some(sentences::held(&hold.by, hold.since));
        }
        if self.context.intents.as_ref().is_none_or(|intents| intents.layers().is_empty()) {
            return Some(sentences::no_intent());
        }
        if let Some(until) = self.device.next_attempt_at
            && until > self.now
        {
            return Some(sentences::back_off(Some(until), self.device.attempts));
        }
        if self.device.run.is_none()
            && let Some(until) = self.cool_down_until()
            && until > self.now
        {
            return Some(sentences::cool_down(until));
        }
        None
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
        // To switch off, no path for the mode is needed.
        let internet = self.context.intents.as_ref().and_then(|intents| intents.internet.as_ref());
        if let Some(intent) = internet.filter(|intent| !intent.suspended) {
            let missing = self.planning(&profile, |planner| planner.missing_path(intent));
            if let Some(what) = missing {
                self.say(sentences::profile_lacks_path(&profile.title, &what));
                return Move::Finish;
            }
        }
        if self.layers_due().is_empty() {
            // Everything is in force already (a hold that was lifted, a link that came back).
            self.goto(State::Ready, sentences::gates_open(&profile.title));
            self.goto(State::Active, sentences::already_active());
            return Move::Again;
        }
        self.goto(State::Ready, sentences::gates_open(&profile.title));
        Move::Again
    }
}
