//! Which of several WANs carries the service: a question for the operator, never a guess. The machine asks it with what it
//! read, remembers the answer, and the next plan is made with it.

use crate::{Intents, Layer, State, Wish, detect::FoundWan, plan::LayerPlan, sentences, work::Work};
use profiles::cpe::CpeProfile;
use serde::{Deserialize, Serialize};
use types::UtcMs;

/// Candidates that are remembered; no device has as many WANs.
const MOST: usize = 32;
/// Longest text of a device that is remembered of one, in characters.
const LONGEST: usize = 128;

/// A WAN that could carry the service, as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WanCandidate {
    /// Instance path, which stands for it.
    pub path: String,
    /// Its name on the device; may be empty.
    pub name: String,
    /// 802.1Q VLAN.
    pub vlan: Option<u16>,
    /// `IP_Routed` and the like, or what its family calls it.
    pub kind: String,
    /// Switched on.
    pub enabled: bool,
    /// Connection status in the device's words; may be empty.
    pub status: String,
}

impl WanCandidate {
    /// For sentences.
    pub fn describe(&self) -> String {
        let name = if self.name.is_empty() { &self.path } else { &self.name };
        match self.vlan {
            Some(vlan) => format!("{name} (VLAN {vlan})"),
            None => name.clone(),
        }
    }

    fn of(wan: &FoundWan) -> Self {
        let short = |text: &str| -> String {
            text.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect()
        };
        let kind = if wan.connection_type.is_empty() { &wan.kind } else { &wan.connection_type };
        WanCandidate {
            path: wan.anchor.clone(),
            name: short(&wan.name),
            vlan: wan.vlan,
            kind: short(kind),
            enabled: wan.enabled,
            status: short(&wan.status),
        }
    }
}

/// Several WANs could be the one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WanQuestion {
    /// They were read last.
    pub read_at: UtcMs,
    /// Never the management WAN.
    pub candidates: Vec<WanCandidate>,
}

/// An operator's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenWan {
    /// Instance path.
    pub path: String,
    /// Who.
    pub by: String,
    /// When.
    pub at: UtcMs,
    /// What the service wanted of its internet WAN then, by fingerprint: the answer is to that and to nothing else.
    #[serde(default)]
    pub wanted: Option<String>,
    /// Its name then.
    #[serde(default)]
    pub name: String,
    /// Its VLAN then.
    #[serde(default)]
    pub vlan: Option<u16>,
}

impl ChosenWan {
    /// This is the WAN that was chosen, as it was then: a path alone may be somebody else's by now.
    pub(crate) fn is(&self, wan: &FoundWan) -> bool {
        let now = WanCandidate::of(wan);
        (&self.path, &self.name, self.vlan) == (&now.path, &now.name, now.vlan)
    }
}

impl Work<'_> {
    /// Several match: they are remembered, so that somebody can choose.
    pub(crate) fn ask_which_wan(&mut self, profile: &CpeProfile, intents: &Intents) {
        let Some(intent) = &intents.internet else { return };
        let found = self.planning(profile, |planner| planner.candidates(intent));
        let candidates = found.iter().take(MOST).map(WanCandidate::of).collect();
        self.device.wan_question = Some(WanQuestion { read_at: self.now, candidates });
    }

    /// There is a plan for the internet WAN: nothing is left to be asked. Where it is not about the WAN that was chosen, that
    /// one is gone.
    pub(crate) fn which_wan_is_known(&mut self, plan: &LayerPlan) {
        self.device.wan_question = None;
        let Some(chosen) = self.device.chosen_wan.take() else { return };
        if plan.wan.as_ref().is_none_or(|wan| wan.anchor != chosen.path) {
            let instead = plan.wan.as_ref().map(FoundWan::describe);
            self.note(sentences::wan_choice_gone(&chosen, instead.as_deref()));
        }
    }

    /// Neither the question nor its answer is about anything any more.
    pub(crate) fn forget_wan_question(&mut self) {
        self.device.wan_question = None;
        self.device.chosen_wan = None;
    }

    /// Remembers what is wanted. A question about another internet WAN than is wanted now is no longer asked, and no answer
    /// to it is kept.
    pub(crate) fn wishes(&mut self, wish: Wish) {
        let known = self.device.wish.as_ref().and_then(|known| known.layers.get(&Layer::Internet));
        if known != wish.layers.get(&Layer::Internet) {
            self.forget_wan_question();
        }
        self.device.wish = Some(wish);
    }

    /// An operator chose. Nothing is written now: the next session reads the device again and plans with it.
    pub(crate) fn wan_chosen(&mut self, path: &str, by: &str) {
        let question = self.device.wan_question.as_ref();
        let offered = question.and_then(|asked| asked.candidates.iter().find(|wan| wan.path == path));
        let Some(wan) = offered.cloned() else {
            self.note(sentences::wan_not_offered(path, by));
            return;
        };
        self.note(sentences::wan_chosen(&wan.describe(), path, by));
        // The question was about what was wanted then; another wish forgets it.
        let asked_for = self.device.wish.as_ref().map(|wish| wish.layers.get(&Layer::Internet).cloned());
        let wanted = asked_for.unwrap_or_else(|| self.wanted_hash(Layer::Internet));
        let WanCandidate { path, name, vlan, .. } = wan;
        self.device.chosen_wan =
            Some(ChosenWan { path, by: by.to_owned(), at: self.now, wanted, name, vlan });
        self.device.parked.remove(&Layer::Internet);
        if self.device.state == State::Failed {
            self.input_changed();
        }
    }
}
