//! What Cargo.lock brings in: banned packages, foreign sources, licences. The rules stand in deny.toml alone.

use std::process::{Command, Stdio};

use toml::{Table, Value};

use super::{Findings, Tree};
use crate::proc;

const RULE: &str = "packages";

/// The part of deny.toml that is checked here.
struct Policy {
    banned: Vec<(String, String)>,
    registries: Vec<String>,
    licences: Vec<String>,
}

impl Policy {
    fn read(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let list = |section: &str, key: &str| -> Vec<Value> {
            let found = table.get(section).and_then(|section| section.get(key)).and_then(Value::as_array);
            found.cloned().unwrap_or_default()
        };
        let text =
            |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let strings =
            |values: Vec<Value>| values.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        let banned =
            list("bans", "deny").iter().map(|entry| (text(entry, "crate"), text(entry, "reason"))).collect();
        Ok(Self {
            banned,
            registries: strings(list("sources", "allow-registry")),
            licences: strings(list("licenses", "allow")),
        })
    }
}

pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    let (Some(deny), Some(lock)) = (tree.get("deny.toml"), tree.get("Cargo.lock")) else {
        let missing = if tree.get("deny.toml").is_none() { "deny.toml" } else { "Cargo.lock" };
        return findings.add(missing, RULE, "is not there; it says what dependencies may be");
    };
    let policy = match Policy::read(&deny.text) {
        Ok(policy) => policy,
        Err(error) => return findings.add("deny.toml", RULE, format!("is not TOML: {error}")),
    };
    check_lock(&lock.text, &policy, findings);
    // A tree in a test is not on disk, and has no packages to ask about.
    if tree.root.join("Cargo.toml").is_file() {
        check_licences(tree, &policy, findings);
        check_advisories(tree, findings);
    }
}

/// Known holes and withdrawn versions: cargo-deny knows them, from a database that it fetches.
fn check_advisories(tree: &Tree, findings: &mut Findings) {
    let mut skip =
        |why: String| findings.skipped.push(("tidy: advisories about the dependencies".to_owned(), why));
    if proc::output_of(proc::cargo(&tree.root).args(["deny", "--version"])).is_err() {
        return skip("cargo-deny is not installed; `cargo install cargo-deny` brings it".to_owned());
    }
    let mut command = proc::cargo(&tree.root);
    command.args(["deny", "--color=never", "check", "advisories"]).stdin(Stdio::null());
    match command.output() {
        Err(error) => skip(format!("cargo-deny could not be started: {error}")),
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            // It says `advisories FAILED` when it could look; anything else is no verdict on our dependencies.
            if words.contains("advisories FAILED") {
                findings.add("Cargo.lock", "advisories", proc::last_lines(&words, 20));
            } else {
                skip(format!("cargo-deny could not look: {}", proc::last_lines(&words, 2)));
            }
        }
    }
}

fn check_lock(text: &str, policy: &Policy, findings: &mut Findings) {
    let lock: Table = match text.parse() {
        Ok(lock) => lock,
        Err(error) => return findings.add("Cargo.lock", RULE, format!("is not TOML: {}", error.message())),
    };
    for package in lock.get("package").and_then(Value::as_array).into_iter().flatten() {
        let field = |name: &str| package.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, version) = (field("name"), field("version"));
        if let Some((_, reason)) = policy.banned.iter().find(|(banned, _)| banned == name) {
            let what =
                format!("{name} {version} is banned: {reason}; `cargo tree -i {name}` says who brings it");
            findings.add("Cargo.lock", RULE, what);
        }
        let source = field("source");
        let known = source.is_empty()
            || source
                .strip_prefix("registry+")
                .is_some_and(|url| policy.registries.iter().any(|known| known == url));
        if !known {
            findings.add(
                "Cargo.lock",
                RULE,
                format!("{name} {version} comes from {source}, which is not allowed"),
            );
        }
    }
}

fn check_licences(tree: &Tree, policy: &Policy, findings: &mut Findings) {
    let packages = match metadata(tree) {
        Ok(packages) => packages,
        Err(Refusal::Stale) => {
            return findings.add(
                "Cargo.lock",
                RULE,
                "does not match the manifests; run any cargo command and commit it",
            );
        }
        Err(Refusal::Other(why)) => {
            return findings.skipped.push(("tidy: licences of the dependencies".to_owned(), why));
        }
    };
    for package in &packages {
        let field = |name: &str| package.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let expression = field("license");
        if !accepted(expression, &policy.licences) {
            let shown = if expression.is_empty() { "names no licence" } else { expression };
            let what =
                format!("{} {}: {shown}, which deny.toml does not accept", field("name"), field("version"));
            findings.add("Cargo.lock", "licence", what);
        }
    }
}

enum Refusal {
    Stale,
    Other(String),
}

fn metadata(tree: &Tree) -> Result<Vec<serde_json::Value>, Refusal> {
    let mut command: Command = proc::cargo(&tree.root);
    command.args(["metadata", "--format-version=1", "--locked", "--quiet"]).stdin(Stdio::null());
    let output =
        command.output().map_err(|error| Refusal::Other(format!("cargo could not be started: {error}")))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        let stale = words.contains("--locked") || words.contains("needs to be updated");
        let why = format!("cargo metadata failed: {}", proc::last_lines(&words, 2));
        return Err(if stale { Refusal::Stale } else { Refusal::Other(why) });
    }
    let value: serde_json::Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Refusal::Other(format!("cargo metadata printed something else: {error}")))?;
    Ok(value.get("packages").and_then(serde_json::Value::as_array).cloned().unwrap_or_default())
}

/// Whether an SPDX expression can be met with accepted licences. `A/B` is the old spelling of `A OR B`.
fn accepted(expression: &str, licences: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = any_of(&words, &mut at, licences);
    met && at == words.len()
}

fn any_of(words: &[&str], at: &mut usize, licences: &[String]) -> bool {
    let mut met = all_of(words, at, licences);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        // Both sides are read to the end, whatever the first one said.
        met |= all_of(words, at, licences);
    }
    met
}

fn all_of(words: &[&str], at: &mut usize, licences: &[String]) -> bool {
    let mut met = one(words, at, licences);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, licences);
    }
    met
}

fn one(words: &[&str], at: &mut usize, licences: &[String]) -> bool {
    match words.get(*at) {
        Some(&"(") => {
            *at += 1;
            let met = any_of(words, at, licences);
            let closed = words.get(*at) == Some(&")");
            *at += 1;
            met && closed
        }
        Some(name) => {
            *at += 1;
            let mut full = (*name).to_owned();
            if words.get(*at) == Some(&"WITH") {
                full = format!("{full} WITH {}", words.get(*at + 1).copied().unwrap_or_default());
                *at += 2;
            }
            licences.contains(&full)
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    const DENY: &str = r#"
[licenses]
allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"]
[bans]
deny = [{ crate = "openssl", reason = "rustls is the TLS stack" }]
[sources]
allow-registry = ["https://github.com/rust-lang/crates.io-index"]
"#;

    fn lock(text: &str) -> Vec<String> {
        found(check, &[("Cargo.lock", text), ("deny.toml", DENY)])
    }

    #[test]
    fn a_banned_package_is_found() {
        let registry = "source = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
        assert_eq!(lock(&format!("[[package]]\nname = \"serde\"\nversion = \"1.0.0\"\n{registry}")), [""; 0]);
        let problems = lock(&format!("[[package]]\nname = \"openssl\"\nversion = \"0.10.0\"\n{registry}"));
        assert!(problems[0].contains("openssl 0.10.0 is banned: rustls is the TLS stack"), "{problems:?}");
    }

    #[test]
    fn only_the_known_registry_is_a_source() {
        for source in ["git+https://example.com/x", "registry+https://example.com/index"] {
            let problems =
                lock(&format!("[[package]]\nname = \"x\"\nversion = \"1.0.0\"\nsource = \"{source}\"\n"));
            assert!(problems[0].contains("which is not allowed"), "{problems:?}");
        }
    }

    #[test]
    fn the_rules_must_be_there() {
        assert!(found(check, &[("Cargo.lock", "")])[0].starts_with("deny.toml: is not there"));
    }

    #[test]
    fn licence_expressions_are_understood() {
        let policy = Policy::read(DENY).unwrap();
        for good in [
            "MIT",
            "MIT OR GPL-3.0",
            "MIT/Apache-2.0",
            "(MIT OR GPL-3.0) AND ISC",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert!(accepted(good, &policy.licences), "{good}");
        }
        for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC", "MIT WITH Some-exception", "MIT MIT"] {
            assert!(!accepted(bad, &policy.licences), "{bad}");
        }
    }
}
