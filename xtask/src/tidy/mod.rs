//! Rules of the source tree that the compiler does not know.
//!
//! A line that must break a rule says so above itself or at its end: `tidy: allow(rule) why`. The name of the rule
//! stands in the finding. Dependencies, licences and crate documentation know no exceptions.

mod deps;
mod lex;
mod lock;
mod shape;
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::proc;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    /// File, with line where there is one, relative to the workspace.
    place: String,
    /// Short name of the rule.
    rule: &'static str,
    /// What is wrong and what to do about it.
    what: String,
}

/// What a check of the tree found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Broken rules, sorted by place.
    pub(crate) problems: Vec<Problem>,
    /// What could not be checked here, and why.
    pub(crate) skipped: Vec<(String, String)>,
}

impl Findings {
    fn add(&mut self, place: impl Into<String>, rule: &'static str, what: impl Into<String>) {
        self.problems.push(Problem { place: place.into(), rule, what: what.into() });
    }
}

/// A file of the tree, with its text.
struct Source {
    /// Relative to the workspace, with forward slashes.
    path: String,
    text: String,
}

impl Source {
    fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    fn extension(&self) -> &str {
        self.file_name().rsplit_once('.').map_or("", |(_, extension)| extension)
    }

    /// The crate under `crates/` that the file belongs to.
    fn member(&self) -> Option<&str> {
        self.path.strip_prefix("crates/")?.split('/').next()
    }

    fn has_folder(&self, name: &str) -> bool {
        self.path.split('/').rev().skip(1).any(|folder| folder == name)
    }
}

/// Every text file of the tree, read once.
struct Tree {
    root: PathBuf,
    files: Vec<Source>,
}

/// Larger files are data, not text that people wrote.
const MAX_BYTES: u64 = 2 * 1024 * 1024;
const SKIPPED_FOLDERS: &[&str] = &["target", ".git", "node_modules"];

impl Tree {
    fn read(root: &Path) -> Result<Self> {
        let mut tree = Self { root: root.to_path_buf(), files: Vec::new() };
        tree.walk(root)?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn walk(&mut self, folder: &Path) -> Result<()> {
        let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let kind = entry.file_type()?;
            if kind.is_dir() {
                let at_root = folder == self.root;
                let skipped = SKIPPED_FOLDERS.iter().any(|skip| name == *skip) || (at_root && name == "data");
                if !skipped {
                    self.walk(&entry.path())?;
                }
                continue;
            }
            if !kind.is_file() || entry.metadata()?.len() > MAX_BYTES {
                continue;
            }
            // Not UTF-8: a picture or another binary file.
            let Ok(text) = fs::read_to_string(entry.path()) else { continue };
            let path = entry.path();
            let relative = path.strip_prefix(&self.root).unwrap_or(&path);
            self.files.push(Source { path: relative.to_string_lossy().replace('\\', "/"), text });
        }
        Ok(())
    }

    fn get(&self, path: &str) -> Option<&Source> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Names of the folders in `crates/` that hold a package.
    fn members(&self) -> Vec<&str> {
        let manifest = |file: &&Source| {
            file.file_name() == "Cargo.toml"
                && file.path.starts_with("crates/")
                && file.path.split('/').count() == 3
        };
        self.files.iter().filter(manifest).filter_map(Source::member).collect()
    }
}

/// Checks the whole tree.
pub(crate) fn check(root: &Path) -> Result<Findings> {
    let tree = Tree::read(root)?;
    let mut findings = Findings::default();
    deps::check(&tree, &mut findings);
    lock::check(&tree, &mut findings);
    source::check(&tree, &mut findings);
    shape::check(&tree, &mut findings);
    findings.problems.sort();
    findings.problems.dedup();
    Ok(findings)
}

/// Shows the findings.
pub(crate) fn print(findings: &Findings) {
    for problem in &findings.problems {
        println!("  {}: {} [{}]", problem.place, problem.what, problem.rule);
    }
    match findings.problems.len() {
        0 => println!("  every rule holds"),
        1 => println!("\n  1 rule is broken"),
        count => println!("\n  rules are broken in {count} places"),
    }
}

/// `cargo xtask tidy`.
pub(crate) fn run() -> Result<bool> {
    let findings = check(&proc::root()?)?;
    print(&findings);
    for (what, why) in &findings.skipped {
        println!("  skipped: {what}: {why}");
    }
    Ok(findings.problems.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small tree of its own for one test: pairs of path and text.
    pub(super) fn tree(files: &[(&str, &str)]) -> Tree {
        let files =
            files.iter().map(|(path, text)| Source { path: (*path).into(), text: (*text).into() }).collect();
        Tree { root: PathBuf::from("/nowhere"), files }
    }

    /// What one rule finds in such a tree, as `place: what [rule]`.
    pub(super) fn found(check: fn(&Tree, &mut Findings), files: &[(&str, &str)]) -> Vec<String> {
        let mut findings = Findings::default();
        check(&tree(files), &mut findings);
        findings.problems.sort();
        findings.problems.iter().map(|p| format!("{}: {} [{}]", p.place, p.what, p.rule)).collect()
    }

    #[test]
    fn reads_a_tree_without_build_output() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("crates/types/Cargo.toml", ""),
            ("crates/types/src/lib.rs", "//! Types."),
            ("target/debug/junk.rs", "junk"),
            ("crates/web/node_modules/x/index.js", "junk"),
        ] {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::write(folder.path().join("picture.png"), [0xff, 0xfe, 0x00]).unwrap();
        let tree = Tree::read(folder.path()).unwrap();
        let paths: Vec<&str> = tree.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["crates/types/Cargo.toml", "crates/types/src/lib.rs"]);
        assert_eq!(tree.members(), ["types"]);
    }
}
