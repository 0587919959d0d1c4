//! Which crate may know which: dependencies point one way.

use toml::{Table, Value};

use super::{Findings, Source, Tree};

const RULE: &str = "dependencies";

/// What each crate may depend on among ours. The binary may depend on all of them.
const ALLOWED: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("profiles", &["types"]),
    ("cwmp", &["types"]),
    ("billing", &["types"]),
    ("provisioning", &["types", "profiles"]),
    ("snmp", &["types", "profiles"]),
    ("olt", &["types", "profiles"]),
    ("store", &["types"]),
    ("app", &["types", "provisioning", "billing", "profiles", "olt", "store", "snmp"]),
    ("acs", &["types", "cwmp", "provisioning", "profiles", "app", "store"]),
    ("web", &["types", "profiles", "provisioning", "app", "store", "olt"]),
    ("sim", &["types", "cwmp", "profiles"]),
];

/// The binary, where everything meets.
const BINARY: &str = "lightkeeper";

/// Crates without effects: no runtime, no sockets, no database.
pub(super) const PURE: &[&str] = &["types", "profiles", "provisioning", "billing", "cwmp"];

/// Foreign packages that only some crates may name: package prefix, who may, why.
const RESERVED: &[(&[&str], Reserved, &str)] = &[
    (&["sea-orm", "sea-query", "sqlx"], Reserved::Only(&["store"]), "only store knows the database"),
    (
        &["hyper", "russh", "axum"],
        Reserved::Not(&["app", "types", "profiles", "provisioning", "billing", "cwmp", "store"]),
        "servers and clients live at the edges, behind traits that app owns",
    ),
    (
        &["tokio", "async-std", "async-snmp", "mio", "socket2", "reqwest"],
        Reserved::Not(PURE),
        "a pure crate has no runtime and no sockets",
    ),
];

enum Reserved {
    Only(&'static [&'static str]),
    Not(&'static [&'static str]),
}

impl Reserved {
    fn forbids(&self, member: &str) -> bool {
        match self {
            Self::Only(members) => !members.contains(&member),
            Self::Not(members) => members.contains(&member),
        }
    }
}

/// Why `member` may not name this foreign package, if it may not.
pub(super) fn forbidden(member: &str, package: &str) -> Option<&'static str> {
    let dashed = package.replace('_', "-");
    let covers =
        |prefix: &str| dashed == prefix || dashed.strip_prefix(prefix).is_some_and(|r| r.starts_with('-'));
    RESERVED
        .iter()
        .find(|(prefixes, who, _)| prefixes.iter().any(|prefix| covers(prefix)) && who.forbids(member))
        .map(|(_, _, why)| *why)
}

/// Names of foreign crates, as source spells them, that some rule reserves.
pub(super) fn reserved_names() -> impl Iterator<Item = String> {
    RESERVED.iter().flat_map(|(prefixes, _, _)| prefixes.iter()).map(|prefix| prefix.replace('-', "_"))
}

pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    for member in tree.members() {
        if let Some(manifest) = tree.get(&format!("crates/{member}/Cargo.toml")) {
            check_manifest(member, manifest, findings);
        }
    }
}

fn check_manifest(member: &str, manifest: &Source, findings: &mut Findings) {
    let place = manifest.path.as_str();
    let table: Table = match manifest.text.parse() {
        Ok(table) => table,
        Err(error) => return findings.add(place, RULE, format!("is not TOML: {}", error.message())),
    };
    let allowed = ALLOWED.iter().find(|(name, _)| *name == member).map(|(_, allowed)| *allowed);
    if allowed.is_none() && member != BINARY {
        let what =
            format!("crate {member} has no place in the order of dependencies; add it to xtask's table");
        findings.add(place, RULE, what);
    }
    for (section, name, value) in dependencies(&table) {
        let development = section.ends_with("dev-dependencies");
        match ours(&name, value) {
            Some(other) if other == member => {}
            Some(other) => {
                let may = match allowed {
                    Some(allowed) => {
                        allowed.contains(&other.as_str()) || (development && may_test_with(member, &other))
                    }
                    None => true,
                };
                if !may {
                    let list = allowed
                        .filter(|list| !list.is_empty())
                        .map_or("nothing".to_owned(), |l| l.join(", "));
                    let what = format!("{member} may not depend on {other}; of ours it may name {list}");
                    findings.add(place, RULE, what);
                }
            }
            None => {
                let package = value.get("package").and_then(Value::as_str).unwrap_or(&name);
                // Development dependencies of an edge-free crate may still start a runtime to test against one.
                if !development && let Some(why) = forbidden(member, package) {
                    findings.add(place, RULE, format!("{member} may not depend on {package}: {why}"));
                }
            }
        }
        if value.get("workspace").and_then(Value::as_bool) != Some(true) {
            let what =
                format!("{name} must be `{name}.workspace = true`: versions and features stand in the root");
            findings.add(place, RULE, what);
        }
    }
}

/// Tests of crates that the simulator does not need itself may drive it.
fn may_test_with(member: &str, other: &str) -> bool {
    let needed_by_sim =
        ALLOWED.iter().find(|(name, _)| *name == "sim").is_some_and(|(_, list)| list.contains(&member));
    other == "sim" && !needed_by_sim
}

/// Our crate that a dependency names, by its folder.
fn ours(name: &str, value: &Value) -> Option<String> {
    if let Some(path) = value.get("path").and_then(Value::as_str) {
        return path.trim_end_matches('/').rsplit('/').next().map(str::to_owned);
    }
    let package = value.get("package").and_then(Value::as_str).unwrap_or(name);
    let short = package.strip_prefix("lightkeeper-").unwrap_or(package);
    let known = short == BINARY || ALLOWED.iter().any(|(name, _)| *name == short);
    known.then(|| short.to_owned())
}

/// Every dependency of a manifest: section, name, value.
fn dependencies(table: &Table) -> Vec<(String, String, &Value)> {
    let mut found = Vec::new();
    let mut sections = vec![(String::new(), table)];
    for (platform, value) in table.get("target").and_then(Value::as_table).into_iter().flatten() {
        if let Some(value) = value.as_table() {
            sections.push((format!("target.{platform}."), value));
        }
    }
    for (prefix, section) in sections {
        for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in section.get(kind).and_then(Value::as_table).into_iter().flatten() {
                found.push((format!("{prefix}{kind}"), name.clone(), value));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    fn manifest(member: &str, text: &str) -> Vec<String> {
        found(check, &[(&format!("crates/{member}/Cargo.toml"), text)])
    }

    #[test]
    fn the_right_direction_is_quiet() {
        let text = "[dependencies]\ntypes.workspace = true\nstore.workspace = true\nserde.workspace = true\n\
                    [dev-dependencies]\nsim.workspace = true\n";
        assert_eq!(manifest("app", text), Vec::<String>::new());
        assert_eq!(
            manifest("lightkeeper", "[dependencies]\nsim.workspace = true\nweb.workspace = true"),
            [""; 0]
        );
    }

    #[test]
    fn the_wrong_direction_is_found() {
        let problems = manifest("types", "[dependencies]\nstore.workspace = true\n");
        assert_eq!(
            problems,
            [
                "crates/types/Cargo.toml: types may not depend on store; of ours it may name nothing [dependencies]"
            ]
        );
        assert_eq!(manifest("store", "[dependencies]\napp.workspace = true\n").len(), 1);
        assert_eq!(manifest("olt", "[build-dependencies]\nstore.workspace = true\n").len(), 1);
        assert_eq!(manifest("olt", "[target.'cfg(unix)'.dependencies]\nstore.workspace = true\n").len(), 1);
    }

    #[test]
    fn a_renamed_or_relative_dependency_is_still_ours() {
        let problems =
            manifest("types", "[dependencies]\ndb = { package = \"lightkeeper-store\", workspace = true }\n");
        assert!(problems[0].contains("may not depend on store"), "{problems:?}");
        let problems = manifest("types", "[dependencies]\nx = { path = \"../web/\" }\n");
        assert!(problems.iter().any(|p| p.contains("may not depend on web")), "{problems:?}");
    }

    #[test]
    fn the_simulator_tests_what_stands_above_it() {
        assert_eq!(manifest("olt", "[dev-dependencies]\nsim.workspace = true\n"), [""; 0]);
        assert_eq!(manifest("cwmp", "[dev-dependencies]\nsim.workspace = true\n").len(), 1);
        assert_eq!(manifest("olt", "[dependencies]\nsim.workspace = true\n").len(), 1);
    }

    #[test]
    fn the_database_belongs_to_the_store() {
        assert_eq!(manifest("store", "[dependencies]\nsea-orm.workspace = true\n"), [""; 0]);
        assert!(
            manifest("web", "[dependencies]\nsea-orm-migration.workspace = true\n")[0].contains("only store")
        );
        assert!(manifest("app", "[dependencies]\nsqlx.workspace = true\n")[0].contains("only store"));
    }

    #[test]
    fn app_names_no_server_and_pure_crates_no_runtime() {
        for package in ["hyper", "hyper-util", "russh", "axum"] {
            let text = format!("[dependencies]\n{package}.workspace = true\n");
            assert!(manifest("app", &text)[0].contains("at the edges"), "{package}");
            assert_eq!(manifest("sim", &text), [""; 0]);
        }
        for member in ["types", "profiles", "provisioning", "cwmp"] {
            assert!(manifest(member, "[dependencies]\ntokio.workspace = true\n")[0].contains("no runtime"));
        }
        assert_eq!(manifest("cwmp", "[dev-dependencies]\ntokio.workspace = true\n"), [""; 0]);
    }

    #[test]
    fn versions_stand_in_the_root() {
        assert!(manifest("types", "[dependencies]\nserde = \"1\"\n")[0].contains("serde.workspace = true"));
    }

    #[test]
    fn a_new_crate_must_find_its_place() {
        assert!(manifest("portal", "[dependencies]\n")[0].contains("no place in the order"));
    }
}
