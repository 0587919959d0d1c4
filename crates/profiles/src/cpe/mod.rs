//! CPE families: which paths they have, in what order they like to be written, what they cannot do.
//!
//! A profile describes objects by **slots** (named places such as `container`, `ppp`, `route`) and what to write
//! by **settings** (`ppp:X_HW_VLAN` ← `$vlan`). The planner knows slots and settings only; it never sees a vendor.
//!
//! Families extend each other (`extends`): tables are merged, lists and values replaced, `""` means the family
//! does not have it. Identity only nominates a family; what the device *has* decides ([`ProfileSet::decide`]).

mod capability;
mod check;
mod diagnostic;
mod features;
mod hosts;
mod index;
mod load;
mod schema;
mod select;
mod variable;
mod wan;

pub use capability::{Capability, CapabilityName, Confidence, PowerUnit};
pub use diagnostic::{Diagnostic, DiagnosticName, LeafNames};
pub use features::{Feature, Mark};
pub use hosts::HostTable;
pub use load::ProfileError;
pub use schema::*;
pub use select::{Candidate, Decision, Identity, Known, Nomination};
pub use variable::Variable;
pub use wan::*;

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

/// The files that come with the program.
const BUILTIN: &[(&str, &str)] = &[
    ("std_tr098.toml", include_str!("../../cpe/std_tr098.toml")),
    ("std_tr181.toml", include_str!("../../cpe/std_tr181.toml")),
    ("huawei_x_hw.toml", include_str!("../../cpe/huawei_x_hw.toml")),
    ("zte_x_zte_com.toml", include_str!("../../cpe/zte_x_zte_com.toml")),
    ("zte_f6600.toml", include_str!("../../cpe/zte_f6600.toml")),
    ("zte_x_cmcc.toml", include_str!("../../cpe/zte_x_cmcc.toml")),
    ("ctcom_x_ct_com.toml", include_str!("../../cpe/ctcom_x_ct_com.toml")),
    ("ctcom_vsol.toml", include_str!("../../cpe/ctcom_vsol.toml")),
    ("ctcom_cdata.toml", include_str!("../../cpe/ctcom_cdata.toml")),
    ("fiberhome_x_fh.toml", include_str!("../../cpe/fiberhome_x_fh.toml")),
    ("nokia_x_alu.toml", include_str!("../../cpe/nokia_x_alu.toml")),
    ("tplink_tr181.toml", include_str!("../../cpe/tplink_tr181.toml")),
    ("tplink_tr098.toml", include_str!("../../cpe/tplink_tr098.toml")),
    ("tenda_x_tdtc.toml", include_str!("../../cpe/tenda_x_tdtc.toml")),
    ("intelbras_itbs.toml", include_str!("../../cpe/intelbras_itbs.toml")),
    ("mikrotik.toml", include_str!("../../cpe/mikrotik.toml")),
];

/// Every family we know.
#[derive(Debug, Clone, Default)]
pub struct ProfileSet {
    profiles: Vec<Arc<CpeProfile>>,
    /// Patterns of all families together.
    patterns: HashSet<String>,
}

impl ProfileSet {
    /// The families that come with the program. They are checked by the tests; the program does not start
    /// without them.
    pub fn builtin() -> Arc<ProfileSet> {
        static SET: LazyLock<Arc<ProfileSet>> = LazyLock::new(|| {
            let files = BUILTIN.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
            match ProfileSet::from_files(files) {
                Ok(set) => Arc::new(set),
                Err(error) => panic!("a built-in CPE profile is wrong: {error}"),
            }
        });
        SET.clone()
    }

    /// Reads `(file name, TOML)` pairs.
    ///
    /// # Errors
    /// The first mistake, with the file, the key and what was expected.
    pub fn from_files(files: impl IntoIterator<Item = (String, String)>) -> Result<ProfileSet, ProfileError> {
        let profiles: Vec<Arc<CpeProfile>> = load::load(files)?.into_iter().map(Arc::new).collect();
        let patterns = profiles.iter().flat_map(|profile| profile.patterns.iter().cloned()).collect();
        Ok(ProfileSet { profiles, patterns })
    }

    /// By id.
    pub fn get(&self, id: &str) -> Option<&Arc<CpeProfile>> {
        self.profiles.iter().find(|profile| profile.id == id)
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<CpeProfile>] {
        &self.profiles
    }

    /// True if a name is worth remembering for any family of its root. A big device lists thousands.
    pub fn is_interesting(&self, path: &str) -> bool {
        self.patterns.contains(&pattern_of(path))
            || self.profiles.iter().any(|profile| profile.mark(path).is_some())
    }
}

impl CpeProfile {
    /// True if the family reads or writes this leaf or walks through this object.
    pub fn is_interesting(&self, path: &str) -> bool {
        self.patterns.contains(&pattern_of(path))
    }

    /// Title of the other family whose mark this path bears, if the profile knows the mark.
    pub fn mark(&self, path: &str) -> Option<&str> {
        if self.foreign.is_empty() || !path.contains(".X_") {
            return None;
        }
        let found =
            self.foreign.iter().find(|mark| path.split('.').any(|part| part.starts_with(&mark.prefix)))?;
        Some(&found.title)
    }

    /// Every leaf pattern the family reads or writes (`?` for instance numbers).
    pub fn patterns(&self) -> &HashSet<String> {
        &self.patterns
    }

    /// Why no reference export proves this pattern, if that is so.
    pub fn unproved(&self, pattern: &str) -> Option<&str> {
        let by_prefix = || {
            let mut found = self.unproved.iter().filter_map(|(key, why)| Some((key.strip_suffix('*')?, why)));
            found.find(|(prefix, _)| pattern.starts_with(prefix)).map(|(_, why)| why)
        };
        self.unproved.get(pattern).or_else(by_prefix).map(String::as_str)
    }

    /// How well a capability is known for this family: what no export of it proves is known no better than the
    /// family.
    pub fn confidence_of(&self, name: CapabilityName) -> Option<Confidence> {
        let capability = self.capabilities.get(&name)?;
        let mut paths = capability.paths.iter().map(|path| pattern_of(path));
        let proved = capability.rpc.is_some() || paths.any(|path| self.unproved(&path).is_none());
        Some(if proved { capability.confidence } else { capability.confidence.min(self.confidence) })
    }

    /// How the family runs a test, and where: the objects it may be in. `None` if it has none that we know.
    pub fn diagnostic(&self, name: DiagnosticName) -> Option<(&Diagnostic, Vec<&str>)> {
        let paths = &self.capabilities.get(&name.capability())?.paths;
        let objects: Vec<&str> =
            paths.iter().map(String::as_str).filter(|path| path.ends_with('.')).collect();
        let names = self.diagnostics.get(&name)?;
        (!objects.is_empty()).then_some((names, objects))
    }

    /// True if a leaf holds a secret, whatever the device answers for it.
    pub fn is_secret(&self, path: &str) -> bool {
        self.secrets.contains(&pattern_of(path))
    }
}

/// The path with `?` for every instance number.
pub fn pattern_of(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for (at, part) in path.split('.').enumerate() {
        if at > 0 {
            pattern.push('.');
        }
        let number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        pattern.push_str(if number { "?" } else { part });
    }
    pattern
}

#[cfg(test)]
mod corpus_tests;
#[cfg(test)]
mod tests;
