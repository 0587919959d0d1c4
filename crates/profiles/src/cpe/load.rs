//! Reading, merging and checking profile files.

use super::{CpeProfile, check, index};
use std::collections::BTreeMap;
use toml::{Table, Value};

/// A profile file is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProfileError {
    /// Not TOML, or not the shape.
    #[error("CPE profile {file}: {problem}")]
    Shape {
        /// File name.
        file: String,
        /// What the parser says.
        problem: String,
    },
    /// `extends` names a profile that is not there, or goes in a circle.
    #[error("CPE profile {file}: extends {parent:?}, which {problem}")]
    Extends {
        /// File name.
        file: String,
        /// The parent.
        parent: String,
        /// `does not exist` or `extends it in turn`.
        problem: &'static str,
    },
    /// Two files have the same id.
    #[error("CPE profiles {first} and {second} both have the id {id:?}")]
    Twice {
        /// The id.
        id: String,
        /// One file.
        first: String,
        /// The other.
        second: String,
    },
    /// A rule of the format is broken.
    #[error("CPE profile {file}: {at}: {problem}")]
    Rule {
        /// File name.
        file: String,
        /// The key.
        at: String,
        /// What is wrong and what was expected.
        problem: String,
    },
}

pub(super) fn load(
    files: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<CpeProfile>, ProfileError> {
    let mut tables: BTreeMap<String, (String, Table)> = BTreeMap::new();
    for (file, text) in files {
        let shape = |problem: String| ProfileError::Shape { file: file.clone(), problem };
        let table: Table = text.parse().map_err(|error: toml::de::Error| shape(error.to_string()))?;
        let id =
            table.get("id").and_then(Value::as_str).ok_or_else(|| shape("has no `id`".into()))?.to_owned();
        if let Some((first, _)) = tables.get(&id) {
            return Err(ProfileError::Twice { id, first: first.clone(), second: file });
        }
        tables.insert(id, (file, table));
    }
    let mut profiles = Vec::new();
    for (id, (file, _)) in &tables {
        let merged = merged(id, &tables, &mut Vec::new())?;
        let mut profile: CpeProfile = merged.try_into().map_err(|error: toml::de::Error| {
            ProfileError::Shape { file: file.clone(), problem: error.to_string() }
        })?;
        check::check(file, &profile)?;
        index::index(&mut profile);
        profiles.push(profile);
    }
    Ok(profiles)
}

/// Keys that are not inherited.
const OWN_ONLY: [&str; 9] =
    ["match", "probe", "foreign", "unproved", "exports", "confidence", "source", "read_only", "notes"];

fn merged(
    id: &str,
    tables: &BTreeMap<String, (String, Table)>,
    seen: &mut Vec<String>,
) -> Result<Table, ProfileError> {
    let (file, own) = &tables[id];
    seen.push(id.to_owned());
    let Some(parent) = own.get("extends").and_then(Value::as_str) else { return Ok(own.clone()) };
    let problem = |problem| ProfileError::Extends { file: file.clone(), parent: parent.to_owned(), problem };
    if !tables.contains_key(parent) {
        return Err(problem("does not exist"));
    }
    if seen.iter().any(|earlier| earlier == parent) {
        return Err(problem("extends it in turn"));
    }
    let mut base = merged(parent, tables, seen)?;
    // What identifies the parent does not identify the child, and what proves it does not prove the child.
    for own_only in OWN_ONLY {
        base.remove(own_only);
    }
    merge(&mut base, own);
    Ok(base)
}

/// Tables merge, everything else is replaced, `""` removes.
fn merge(base: &mut Table, own: &Table) {
    for (key, value) in own {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(own)) => merge(base, own),
            (_, Value::String(text)) if text.is_empty() => {
                base.remove(key);
            }
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}
