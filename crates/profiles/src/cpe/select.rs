//! Which family a device belongs to: identity nominates, nodes decide.

use super::{CpeProfile, MatchRule, ProfileSet, pattern_of};
use regex::Regex;
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

/// A family that could be the one.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The family.
    pub profile: Arc<CpeProfile>,
    /// How much the identity says for it.
    pub score: u32,
}

/// The family that is the one.
#[derive(Debug, Clone)]
pub struct Decision {
    /// The family.
    pub profile: Arc<CpeProfile>,
    /// Only to be read, because of this.
    pub read_only: Option<String>,
    /// What decided.
    pub evidence: Vec<String>,
}

impl ProfileSet {
    /// Families whose root fits, the best identity match first. A family without identity rules is a candidate
    /// with score 0.
    pub fn nominate(&self, identity: &Identity) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = self
            .all()
            .iter()
            .filter(|profile| identity.root.is_empty() || profile.root.trim_end_matches('.') == identity.root)
            .map(|profile| {
                let matching = profile.matches.iter().filter(|rule| rule.fits(identity));
                Candidate {
                    profile: profile.clone(),
                    score: matching.map(|rule| rule.score).max().unwrap_or(0),
                }
            })
            .collect();
        // Ties are broken by id, so that the same device always gets the same answer.
        found.sort_by(|a, b| b.score.cmp(&a.score).then_with(|| a.profile.id.cmp(&b.profile.id)));
        found
    }

    /// Objects to list (whole subtree) before [`ProfileSet::decide`].
    pub fn probe_plan(&self, candidates: &[Candidate]) -> Vec<String> {
        let mut paths: Vec<String> = candidates.iter().flat_map(|c| c.profile.probe.list.clone()).collect();
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
        let names: Vec<&str> = names.into_iter().collect();
        let patterns: HashSet<String> = names.iter().map(|name| pattern_of(name)).collect();
        let mut best: Option<(u32, &Candidate, Vec<String>)> = None;
        for candidate in candidates {
            let probe = &candidate.profile.probe;
            if probe.none.iter().any(|node| patterns.contains(node)) {
                continue;
            }
            let evidence: Vec<String> =
                probe.any.iter().filter(|node| patterns.contains(*node)).cloned().collect();
            // Identity alone may speak only where the device shows no WAN at all to look at.
            let mut score = if evidence.is_empty() { 0 } else { probe.score };
            if evidence.is_empty() && !probe.any.is_empty() {
                let blank = !names.iter().any(|name| is_connection_leaf(name));
                if !blank || candidate.score == 0 {
                    continue;
                }
                score = candidate.score;
            }
            if best.as_ref().is_none_or(|(other, ..)| score > *other) {
                best = Some((score, candidate, evidence));
            }
        }
        let (_, candidate, mut evidence) = best?;
        let profile = candidate.profile.clone();
        let mark = names.iter().find_map(|name| Some((profile.mark(name)?, *name)));
        let read_only = mark.map(|(title, name)| {
            format!("it looks like {title} ({name}), a family this version can read but not write")
        });
        if evidence.is_empty() {
            evidence.push("identity only".into());
        }
        Some(Decision { profile, read_only, evidence })
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
    fn fits(&self, identity: &Identity) -> bool {
        let fits = |expression: &Option<String>, text: &str| {
            // Checked at load.
            expression.as_ref().is_none_or(|e| Regex::new(e).is_ok_and(|regex| regex.is_match(text)))
        };
        (self.oui.is_empty() || self.oui.iter().any(|oui| oui.eq_ignore_ascii_case(&identity.oui)))
            && fits(&self.manufacturer, &identity.manufacturer)
            && fits(&self.product_class, &identity.product_class)
            && fits(&self.software_version, &identity.software_version)
    }
}
