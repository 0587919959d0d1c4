//! Which family a device is of: an operator's word, if the device bears it out; else what it has decides, once per
//! firmware.

use crate::{
    Effect, LearnedFact,
    device::{ProfileRef, RefusedFamily},
    sentences,
    session::Purpose,
    talk::DeviceRequest,
    work::{Move, Work},
};
use profiles::cpe::{Candidate, CpeProfile, Decision, Known};
use std::sync::Arc;

impl Work<'_> {
    /// The profile this device is to be configured with. What nothing on the device speaks for yet is looked at again in
    /// every session, until it shows more.
    pub(crate) fn choose_profile(&mut self) -> Result<Arc<CpeProfile>, Move> {
        let set = self.context.profiles.clone();
        let wanted = self.context.family.clone();
        if self.is_outdated(wanted.as_deref()) {
            self.device.profile = None;
        }
        if wanted.is_none() {
            self.device.refused_family = None;
        }
        if let Some(chosen) = self.device.profile.clone()
            && (!chosen.is_provisional() || self.session().probed_again)
        {
            if let Some(reason) = &chosen.read_only {
                self.say(sentences::profile_read_only(reason));
                return Err(Move::Finish);
            }
            if let Some(profile) = set.get(&chosen.id) {
                return Ok(profile.clone());
            }
        }
        if let Some(wanted) = wanted {
            match self.looked_for(&wanted)? {
                Ok(decision) => {
                    self.device.refused_family = None;
                    return Err(self.choose(decision));
                }
                Err(why) => self.refuse(wanted, why),
            }
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

    /// The family in use was chosen by another word of the operator than the one that counts now.
    fn is_outdated(&self, wanted: Option<&str>) -> bool {
        let Some(chosen) = &self.device.profile else { return false };
        let ordered = chosen.known == Known::Override;
        match wanted {
            None => ordered,
            Some(wanted) => {
                let refused = self.device.refused_family.as_ref().map(|refused| refused.family.as_str());
                !(ordered && chosen.id == wanted) && (ordered || refused != Some(wanted))
            }
        }
    }

    /// Looks at the device for what an operator says that it is. A family that is only read needs no proof: it can do no
    /// harm.
    fn looked_for(&mut self, wanted: &str) -> Result<Result<Decision, String>, Move> {
        let set = self.context.profiles.clone();
        let decision = match set.overridden(wanted, &self.identity()) {
            Ok(decision) if decision.read_only.is_none() => decision,
            known => return Ok(known),
        };
        let profile = decision.profile.clone();
        self.list_once(profile.probe.list.clone())?;
        let fit = |names: Vec<String>| set.fit(&profile, names.iter().map(String::as_str));
        let mut found = fit(self.names_under(&profile.root));
        if let Some(hints) =
            profile.probe.hints.as_ref().filter(|_| found.as_ref().map_or(true, Vec::is_empty))
        {
            self.list_once(hints.list.clone())?;
            found = fit(self.names_under(&profile.root));
        }
        Ok(found.map(|evidence| Decision { evidence, ..decision }))
    }

    fn refuse(&mut self, family: String, why: String) {
        let known = self.device.refused_family.as_ref();
        if known.is_some_and(|known| known.family == family && known.why == why) {
            return;
        }
        let title =
            self.context.profiles.get(&family).map_or(family.clone(), |profile| profile.title.clone());
        self.note(sentences::family_refused(&title, &why));
        self.device.refused_family = Some(RefusedFamily { family, why, at: self.now });
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
        let before = self.device.profile.take();
        let same = before.filter(|old| old.id == id && old.known == decision.known);
        self.device.profile = Some(ProfileRef {
            id,
            known: decision.known,
            software_version,
            evidence: decision.evidence,
            read_only: decision.read_only,
            at: same.map_or(self.now, |old| old.at),
        });
        Move::Again
    }

    /// The profile in use, or the one the identity speaks for most (enough for the management settings, which
    /// every family of a root shares).
    pub(crate) fn profile_or_nominee(&self) -> Option<Arc<CpeProfile>> {
        let set = &self.context.profiles;
        let wanted = self.context.family.as_deref();
        if let Some(ordered) = wanted.and_then(|wanted| set.overridden(wanted, &self.identity()).ok())
            && ordered.read_only.is_some()
        {
            return Some(ordered.profile);
        }
        if let Some(chosen) = &self.device.profile {
            return set.get(&chosen.id).cloned();
        }
        if self.device.identity.root.is_empty() {
            return None;
        }
        self.nominees().into_iter().next().map(|candidate| candidate.profile)
    }

    /// Families that could be the one, the likeliest first.
    fn nominees(&self) -> Vec<Candidate> {
        let learned = self.context.learned.iter().find(|fact| fact.path == LearnedFact::FAMILY);
        self.context.profiles.nominate(&self.identity(), learned.map(|fact| fact.fact.as_str()))
    }

    fn identity(&self) -> profiles::cpe::Identity {
        let identity = &self.device.identity;
        profiles::cpe::Identity {
            manufacturer: identity.manufacturer.clone(),
            oui: identity.oui.clone(),
            product_class: identity.product_class.clone(),
            software_version: identity.software_version.clone(),
            root: identity.root.clone(),
        }
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
        self.request(
            Purpose::List { path: path.clone() },
            DeviceRequest::GetNames { path, next_level: false },
        )
    }
}
