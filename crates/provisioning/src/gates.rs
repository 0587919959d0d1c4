//! What keeps a device from being configured. Each closed gate is a reason; the first closed one is shown.

use crate::{
    AuthLevel, Effect, Layer, LearnedFact, Link, Reason,
    device::ProfileRef,
    sentences,
    work::{Move, Work},
};
use profiles::cpe::{CpeProfile, Decision, Known};
use std::sync::Arc;

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

    /// The profile this device is to be configured with: an operator's word, else chosen once per firmware by what
    /// the device has. What is only presumed is looked at again in every session, until the device shows more.
    pub(crate) fn choose_profile(&mut self) -> Result<Arc<CpeProfile>, Move> {
        let set = self.context.profiles.clone();
        let ordered = self.operators_family();
        let stale = self.device.profile.as_ref().is_some_and(|chosen| match &ordered {
            Some(decision) => chosen.known != Known::Override || chosen.id != decision.profile.id,
            None => chosen.known == Known::Override,
        });
        if stale {
            self.device.profile = None;
        }
        if let Some(chosen) = self.device.profile.clone()
            && (!chosen.known.is_provisional() || self.session().probed_again)
        {
            if let Some(reason) = &chosen.read_only {
                self.say(sentences::profile_read_only(reason));
                return Err(Move::Finish);
            }
            if let Some(profile) = set.get(&chosen.id) {
                return Ok(profile.clone());
            }
        }
        if let Some(decision) = ordered {
            return Err(self.choose(decision));
        }
        let identity = self.identity();
        let candidates = self.nominees();
        let model =
            format!("{} {} {}", identity.manufacturer, identity.product_class, identity.software_version);
        let Some(first) = candidates.first().map(|candidate| candidate.profile.clone()) else {
            self.say(sentences::model_unknown(model.trim()));
            return Err(Move::Finish);
        };
        self.list_once(set.probe_plan(&candidates))?;
        let names = self.names_under(&first.root);
        self.list_once(set.second_look(&candidates, names.iter().map(String::as_str)))?;
        let names = self.names_under(&first.root);
        match set.decide(&candidates, names.iter().map(String::as_str)) {
            None => {
                self.say(sentences::model_unknown(model.trim()));
                Err(Move::Finish)
            }
            Some(decision) => Err(self.choose(decision)),
        }
    }

    fn choose(&mut self, decision: Decision) -> Move {
        let id = decision.profile.id.clone();
        let taught =
            self.context.learned.iter().any(|fact| fact.path == LearnedFact::FAMILY && fact.fact == id);
        if decision.known == Known::Probed && !decision.profile.is_generic() && !taught {
            let fact = LearnedFact { path: LearnedFact::FAMILY.into(), fact: id.clone() };
            self.effect(Effect::Learn(fact));
        }
        self.session().probed_again = true;
        let software_version = self.identity().software_version;
        self.device.profile = Some(ProfileRef {
            id,
            known: decision.known,
            software_version,
            evidence: decision.evidence,
            read_only: decision.read_only,
        });
        Move::Again
    }

    fn names_under(&mut self, root: &str) -> Vec<String> {
        self.session().tree.under(root).map(|(path, _)| path.to_owned()).collect()
    }

    /// Lists what was not listed yet in this session.
    fn list_once(&mut self, paths: Vec<String>) -> Result<(), Move> {
        match paths.into_iter().find(|path| !self.session().listed.contains(path)) {
            Some(path) => Err(self.list_only(path)),
            None => Ok(()),
        }
    }

    fn list_only(&mut self, path: String) -> Move {
        use crate::{session::Purpose, talk::DeviceRequest};
        self.request(
            Purpose::List { path: path.clone() },
            DeviceRequest::GetNames { path, next_level: false },
        )
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
