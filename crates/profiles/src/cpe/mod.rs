//! CPE families: which paths they have, in what order they like to be written, what they cannot do.

use std::sync::Arc;

/// One family of CPEs.
#[derive(Debug, Clone)]
pub struct CpeProfile {
    /// Stable id, e.g. `huawei_x_hw`.
    pub id: String,
    /// For people.
    pub title: String,
}

/// Every family we know.
#[derive(Debug, Clone, Default)]
pub struct ProfileSet {
    profiles: Vec<Arc<CpeProfile>>,
}

impl ProfileSet {
    /// The families that come with the program.
    pub fn builtin() -> Arc<ProfileSet> {
        Arc::new(ProfileSet::default())
    }

    /// By id.
    pub fn get(&self, id: &str) -> Option<&Arc<CpeProfile>> {
        self.profiles.iter().find(|profile| profile.id == id)
    }

    /// All of them.
    pub fn all(&self) -> &[Arc<CpeProfile>] {
        &self.profiles
    }
}
