//! What a family can do for us, feature by feature, and how well each is known: for whoever looks at a model.

use super::{
    CapabilityName, Confidence, CpeProfile, Phase, Setting, Slot, SlotLeaf, index::slot_pattern, pattern_of,
};
use std::collections::{BTreeMap, BTreeSet};

/// How well a feature is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Some path that it cannot do without stands in no export and no document.
    Unproved,
    /// From a document or from code in production use.
    Documented,
    /// Every path that it cannot do without is in an export of a real unit.
    Proved,
}

impl Mark {
    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Mark::Unproved => "unproved",
            Mark::Documented => "documented",
            Mark::Proved => "proved",
        }
    }
}

/// Something a family can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// For people.
    pub title: String,
    /// How well it is known.
    pub mark: Mark,
    /// What that rests on, as a clause.
    pub source: String,
    /// Leaves it works with.
    pub paths: usize,
    /// Those of them that no export proves, with the reason.
    pub unproved: Vec<(String, String)>,
}

impl CpeProfile {
    /// Everything the family can do, the layers first and in the order they are applied.
    pub fn features(&self) -> Vec<Feature> {
        let mut found = vec![
            self.group("Management settings", &self.management.slots, &self.management.phases),
            self.group("Clock", &self.time.slots, &self.time.phases),
        ];
        for (mode, title) in [
            ("pppoe", "Internet by PPPoE"),
            ("dhcp", "Internet by DHCP"),
            ("static", "Internet with a static address"),
            ("bridge", "Bridge"),
        ] {
            if let Some(mode) = self.wan.modes.get(mode) {
                found.push(self.group(title, &self.wan.slots, &mode.phases));
            }
        }
        if let Some(wifi) = &self.wifi {
            found.push(self.group("Wi-Fi", &wifi.slots, &wifi.phases));
        }
        if let Some(lan) = &self.lan {
            found.push(self.group("LAN and DHCP server", &lan.slots, &lan.phases));
        }
        found.extend(CapabilityName::ALL.iter().filter_map(|name| self.capability_feature(*name)));
        found
    }

    fn capability_feature(&self, name: CapabilityName) -> Option<Feature> {
        let capability = self.capabilities.get(&name)?;
        let confidence = self.confidence_of(name)?;
        let patterns: BTreeSet<String> = capability.paths.iter().map(|path| pattern_of(path)).collect();
        let unproved = self.without_proof(&patterns);
        // Of several places a device has one. What is known of another family's unit is a document to this one.
        let shown = capability.rpc.is_some() || unproved.len() < patterns.len();
        let mark = match confidence {
            Confidence::Real if shown => Mark::Proved,
            Confidence::Real | Confidence::Code | Confidence::Document => Mark::Documented,
            Confidence::Knowledge => Mark::Unproved,
        };
        let source = format!("{}: {}", confidence.words(), capability.source);
        Some(Feature { title: name.title().to_owned(), mark, source, paths: patterns.len(), unproved })
    }

    fn group(&self, title: &str, slots: &BTreeMap<String, Slot>, phases: &[Phase]) -> Feature {
        let path = |leaf: &SlotLeaf| format!("{}{}", slot_pattern(&leaf.slot, slots), pattern_of(&leaf.leaf));
        let settings = || phases.iter().flat_map(|phase| &phase.settings);
        let patterns: BTreeSet<String> =
            settings().flat_map(|setting| setting.set.iter().map(path)).collect();
        // Of several spellings of one leaf a device has one: it is enough that an export has any of them.
        let is_proved =
            |setting: &Setting| setting.set.iter().any(|leaf| self.unproved(&path(leaf)).is_none());
        let mut needed = settings().filter(|setting| setting.required);
        let (mark, source) = match (needed.all(is_proved), self.confidence) {
            (true, Confidence::Real) => (Mark::Proved, self.confidence.words().to_owned()),
            (_, Confidence::Knowledge) => (Mark::Unproved, self.confidence.words().to_owned()),
            (proved, confidence) => {
                let words =
                    if confidence == Confidence::Real { Confidence::Document } else { confidence }.words();
                let more = if proved { "" } else { "; no export of a real unit shows all of it" };
                (Mark::Documented, format!("{words}{more}"))
            }
        };
        let unproved = self.without_proof(&patterns);
        Feature { title: title.to_owned(), mark, source, paths: patterns.len(), unproved }
    }

    fn without_proof(&self, patterns: &BTreeSet<String>) -> Vec<(String, String)> {
        let found = patterns.iter().filter_map(|path| Some((path.clone(), self.unproved(path)?.to_owned())));
        found.collect()
    }
}
