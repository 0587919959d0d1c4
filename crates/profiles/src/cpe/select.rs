//! Which family a device belongs to: identity nominates, what it *has* decides, and what other units of the same
//! firmware taught speaks where a device shows nothing yet.

use super::{CpeProfile, MatchRule, Pattern, ProfileSet, pattern_of};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, sync::Arc};

/// What a device says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Identity {
    pub manufacturer: String,
    pub oui: String,
    pub product_class: String,
    pub software_version: String,
    /// `InternetGatewayDevice` or `Device`; empty = not known yet.
    pub root: String,
}

/// How a family is known to be the one, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    /// Manufacturer, OUI, product class say so, and the device shows nothing that could decide.
    Nominated,
    /// Other units of the same model and firmware taught it.
    Learned,
    /// The device has the nodes of the family.
    #[default]
    Probed,
    /// An operator says so.
    Override,
}

impl Known {
    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Known::Nominated => "nominated",
            Known::Learned => "learned",
            Known::Probed => "probed",
            Known::Override => "override",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Known::Nominated => "by its name only",
            Known::Learned => "learned from other units of this firmware",
            Known::Probed => "by what the device has",
            Known::Override => "set by an operator",
        }
    }

    /// It may turn out otherwise once the device shows more.
    pub fn is_provisional(self) -> bool {
        matches!(self, Known::Nominated | Known::Learned)
    }
}

/// A family that could be the one.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The family.
    pub profile: Arc<CpeProfile>,
    /// How much the identity says for it.
    pub score: u32,
    /// Other units of this firmware turned out to be of it.
    pub learned: bool,
}

/// The family that an identity speaks for.
#[derive(Debug, Clone)]
pub struct Nomination {
    /// The family.
    pub profile: Arc<CpeProfile>,
    /// By what: `manufacturer`, `OUI`, `product class`, `firmware`.
    pub by: Vec<&'static str>,
}

/// The family that is the one.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The family.
    pub profile: Arc<CpeProfile>,
    /// How that is known.
    pub known: Known,
    /// Only to be read, because of this.
    pub read_only: Option<String>,
    /// What decided.
    pub evidence: Vec<String>,
}

impl ProfileSet {
    /// Families whose root fits, the best identity match first. A family without identity rules is a candidate
    /// with score 0. `learned`: the family other units of this model and firmware turned out to be.
    pub fn nominate(&self, identity: &Identity, learned: Option<&str>) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = self
            .all()
            .iter()
            .filter(|profile| identity.root.is_empty() || profile.root.trim_end_matches('.') == identity.root)
            .map(|profile| {
                let matching = profile.matches.iter().filter(|rule| rule.fits(identity));
                Candidate {
                    profile: profile.clone(),
                    score: matching.map(|rule| rule.score).max().unwrap_or(0),
                    learned: learned == Some(profile.id.as_str()),
                }
            })
            .collect();
        // Ties are broken by learning, by confidence and by id, so that the same device always gets the same answer.
        found.sort_by(|a, b| {
            (b.score, b.learned, b.profile.confidence)
                .cmp(&(a.score, a.learned, a.profile.confidence))
                .then_with(|| a.profile.id.cmp(&b.profile.id))
        });
        found
    }

    /// The family that the identity speaks for most, and by what; `None` where no family claims it by name.
    pub fn nomination(&self, identity: &Identity) -> Option<Nomination> {
        let first = self.nominate(identity, None).into_iter().next().filter(|first| first.score > 0)?;
        let fitting = first.profile.matches.iter().filter(|rule| rule.fits(identity));
        let by = fitting.max_by_key(|rule| rule.score)?.fields();
        Some(Nomination { profile: first.profile, by })
    }

    /// Objects to list (whole subtree) before [`ProfileSet::decide`].
    pub fn probe_plan(&self, candidates: &[Candidate]) -> Vec<String> {
        let mut paths: Vec<String> = candidates.iter().flat_map(|c| c.profile.probe.list.clone()).collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Objects to list as well, because the first look decided nothing: every family's hints where the device shows
    /// no WAN yet, else those of the families its identity speaks for. Empty = the first look is enough.
    pub fn second_look<'a>(
        &self,
        candidates: &[Candidate],
        names: impl IntoIterator<Item = &'a str>,
    ) -> Vec<String> {
        let seen = Seen::new(names);
        if candidates.iter().any(|c| !c.profile.is_generic() && seen.probes(&c.profile)) {
            return Vec::new();
        }
        let mut paths: Vec<String> = candidates
            .iter()
            .filter(|c| seen.blank || c.score > 0)
            .filter_map(|c| c.profile.probe.hints.as_ref())
            .flat_map(|hints| hints.list.clone())
            .collect();
        paths.sort();
        paths.dedup();
        paths
    }

    /// Decides by the names the device listed. `None` when no family fits its root.
    pub fn decide<'a>(
        &self,
        candidates: &[Candidate],
        names: impl IntoIterator<Item = &'a str>,
    ) -> Option<Decision> {
        let seen = Seen::new(names);
        let mut best: Option<(Rank, &Candidate, Vec<String>)> = None;
        for candidate in candidates {
            let probe = &candidate.profile.probe;
            if seen.any(&probe.none) || (probe.needs_match && candidate.score == 0) {
                continue;
            }
            let (rank, evidence) = if seen.any(&probe.any) {
                ((if candidate.profile.is_generic() { 0 } else { 4 }, probe.score), seen.found(&probe.any))
            } else if let Some(hints) = probe.hints.as_ref().filter(|hints| seen.any(&hints.any)) {
                ((3, probe.score), seen.found(&hints.any))
            } else if seen.blank && candidate.learned {
                // Identity and learning may speak only where the device shows no WAN at all to look at.
                ((2, candidate.score), Vec::new())
            } else if seen.blank && candidate.score > 0 {
                ((1, candidate.score), Vec::new())
            } else {
                continue;
            };
            if best.as_ref().is_none_or(|(other, ..)| rank > *other) {
                best = Some((rank, candidate, evidence));
            }
        }
        let ((level, _), candidate, mut evidence) = best?;
        let profile = candidate.profile.clone();
        let known = match level {
            1 => Known::Nominated,
            2 => Known::Learned,
            _ => Known::Probed,
        };
        match known {
            Known::Nominated => evidence.push("identity only".into()),
            Known::Learned => evidence.push("other units of this firmware".into()),
            Known::Probed | Known::Override => {}
        }
        let read_only = profile.only_read().or_else(|| {
            let (title, name) = seen.names.iter().find_map(|name| Some((profile.mark(name)?, *name)))?;
            Some(format!(
                "it bears the mark of {title} ({name}) and none of the nodes we know that family by"
            ))
        });
        Some(Decision { profile, known, read_only, evidence })
    }

    /// The family an operator names, by what the device says of itself: the device has not been looked at.
    ///
    /// # Errors
    /// Why it cannot be that family, as a clause: there is none of this name, or it is of the other data model.
    pub fn overridden(&self, id: &str, identity: &Identity) -> Result<Decision, String> {
        let Some(profile) = self.get(id).cloned() else {
            return Err(format!("no family of the name {id} is known"));
        };
        let root = profile.root.trim_end_matches('.');
        if !identity.root.is_empty() && root != identity.root {
            return Err(format!("its data model is {}, and {} is of {root}", identity.root, profile.title));
        }
        let read_only = profile.only_read();
        Ok(Decision { profile, known: Known::Override, read_only, evidence: Vec::new() })
    }

    /// Does a device that listed these names have what the family is known by? The nodes of the family that it has; none
    /// where it shows no WAN yet, which speaks neither for a family nor against it.
    ///
    /// # Errors
    /// Why not, as a clause about the device ("it has …").
    pub fn fit<'a>(
        &self,
        profile: &CpeProfile,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<String>, String> {
        let seen = Seen::new(names);
        let (probe, title) = (&profile.probe, &profile.title);
        if let Some(node) = seen.found(&probe.none).first() {
            return Err(format!("it has {node}, which no {title} has"));
        }
        let mut found = seen.found(&probe.any);
        if found.is_empty() {
            found = probe.hints.as_ref().map(|hints| seen.found(&hints.any)).unwrap_or_default();
        }
        if !found.is_empty() || seen.blank {
            return Ok(found);
        }
        let first = probe.any.first().map_or("none", String::as_str);
        Err(format!("it has none of the nodes that {title} is known by ({first})"))
    }
}

/// Level of the evidence, then the score within it.
type Rank = (u8, u32);

/// What a device listed, ready to be asked.
struct Seen<'a> {
    names: Vec<&'a str>,
    patterns: HashSet<String>,
    /// No leaf inside a WAN connection was listed.
    blank: bool,
}

impl<'a> Seen<'a> {
    fn new(names: impl IntoIterator<Item = &'a str>) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        let patterns = names.iter().map(|name| pattern_of(name)).collect();
        let blank = !names.iter().any(|name| is_connection_leaf(name));
        Seen { names, patterns, blank }
    }

    fn any(&self, nodes: &[String]) -> bool {
        nodes.iter().any(|node| self.patterns.contains(node))
    }

    fn found(&self, nodes: &[String]) -> Vec<String> {
        nodes.iter().filter(|node| self.patterns.contains(*node)).cloned().collect()
    }

    fn probes(&self, profile: &CpeProfile) -> bool {
        self.any(&profile.probe.any) && !self.any(&profile.probe.none)
    }
}

impl CpeProfile {
    /// Nothing but the standard: it is the one where no other is.
    pub fn is_generic(&self) -> bool {
        self.matches.is_empty()
    }

    /// Why the family is never written, as a clause.
    pub fn only_read(&self) -> Option<String> {
        let why = self.read_only.as_ref()?;
        Some(format!("{} is a read-only family: {why}", self.title))
    }
}

/// A leaf inside a WAN connection of either data model.
fn is_connection_leaf(name: &str) -> bool {
    !name.ends_with('.')
        && ["WANPPPConnection.", "WANIPConnection.", ".PPP.Interface.", ".IP.Interface."]
            .iter()
            .any(|table| name.contains(table))
}

impl MatchRule {
    /// What the rule goes by.
    fn fields(&self) -> Vec<&'static str> {
        let named = [
            (self.manufacturer.is_some(), "manufacturer"),
            (!self.oui.is_empty(), "OUI"),
            (self.product_class.is_some(), "product class"),
            (self.software_version.is_some(), "firmware"),
        ];
        named.into_iter().filter(|(given, _)| *given).map(|(_, name)| name).collect()
    }

    fn fits(&self, identity: &Identity) -> bool {
        let fits = |expression: &Option<Pattern>, text: &str| {
            expression.as_ref().is_none_or(|expression| expression.is_in(text))
        };
        (self.oui.is_empty() || self.oui.iter().any(|oui| oui.eq_ignore_ascii_case(&identity.oui)))
            && fits(&self.manufacturer, &identity.manufacturer)
            && fits(&self.product_class, &identity.product_class)
            && fits(&self.software_version, &identity.software_version)
    }
}
