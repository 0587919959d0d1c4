//! Rules about whole files: their length, what a crate says of itself, golden files, what pages load.

use super::lex::has_word;
use super::{Findings, Source, Tree};

/// Beyond this a file has a seam to be found.
const MAX_LINES: usize = 900;
const MEASURED: &[&str] = &["rs", "html", "css", "js", "mjs", "sql"];
/// Folders whose files nobody writes by hand.
const GENERATED: &[&str] = &["vendor", "golden", "snapshots"];

/// Hosts that pages may name: they are never fetched.
const HARMLESS_HOSTS: &[&str] = &["www.w3.org", "localhost", "example.com", "example.net", "example.org"];

/// Whoever runs continuous integration calls `.ci/run`; what it does stands in xtask, for people and machines alike.
const FOREIGN_CI: &[&str] =
    &[".github/workflows/", ".gitlab-ci.yml", ".circleci/", ".travis.yml", "Jenkinsfile"];

pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    foreign_ci(tree, findings);
    lengths(tree, findings);
    crate_docs(tree, findings);
    map_of_crates(tree, findings);
    golden_files(tree, findings);
    pages(tree, findings);
}

fn foreign_ci(tree: &Tree, findings: &mut Findings) {
    for file in &tree.files {
        if FOREIGN_CI.iter().any(|start| file.path.starts_with(start)) {
            findings.add(&*file.path, "ci", "continuous integration is .ci/run, on any service");
        }
    }
}

fn lengths(tree: &Tree, findings: &mut Findings) {
    for file in &tree.files {
        if !MEASURED.contains(&file.extension()) || GENERATED.iter().any(|folder| file.has_folder(folder)) {
            continue;
        }
        let count = file.text.lines().count();
        if count > MAX_LINES {
            let what = format!("{count} lines, more than {MAX_LINES}: find the seam and split it");
            findings.add(&*file.path, "length", what);
        }
    }
}

/// Every crate says at its top what always holds in it.
fn crate_docs(tree: &Tree, findings: &mut Findings) {
    for member in tree.members() {
        let roots = ["lib.rs", "main.rs"].map(|name| format!("crates/{member}/src/{name}"));
        for root in roots.iter().filter_map(|path| tree.get(path)) {
            let header: String = root
                .text
                .lines()
                .take_while(|line| line.starts_with("//") || line.trim().is_empty())
                .filter(|line| line.starts_with("//!"))
                .collect::<Vec<_>>()
                .join("\n");
            if header.is_empty() {
                findings.add(&*root.path, "docs", "begins without a crate comment (`//! …`)");
            } else if !header.contains("**Invariant") {
                let what =
                    "the crate comment names no invariant (`//! **Invariant: …**`): what always holds here?";
                findings.add(&*root.path, "docs", what);
            }
        }
    }
}

/// The newcomer's map has a room for every crate, with the invariant of the room in bold.
fn map_of_crates(tree: &Tree, findings: &mut Findings) {
    let Some(map) = tree.get("ARCHITECTURE.md") else {
        if !tree.members().is_empty() {
            findings.add("ARCHITECTURE.md", "docs", "is not there; it is the newcomer's map");
        }
        return;
    };
    for member in tree.members() {
        let heading = format!("`{member}`");
        let mut lines = map.text.lines();
        let found = lines.by_ref().any(|line| line.starts_with('#') && line.contains(&heading));
        let room: Vec<&str> = lines.take_while(|line| !line.starts_with('#')).collect();
        if !found {
            findings.add("ARCHITECTURE.md", "docs", format!("has no heading for crate {heading}"));
        } else if !room.iter().any(|line| line.contains("**Invariant")) {
            findings.add("ARCHITECTURE.md", "docs", format!("crate {heading} has no **Invariant** there"));
        }
    }
}

/// A golden file that no test reads guards nothing.
fn golden_files(tree: &Tree, findings: &mut Findings) {
    for file in &tree.files {
        let Some((member, inner)) =
            file.path.strip_prefix("crates/").and_then(|rest| rest.split_once("/tests/golden/"))
        else {
            continue;
        };
        let name = file.file_name();
        let stem = name.split('.').next().unwrap_or(name);
        let folder = inner.rsplit_once('/').map(|(folder, _)| folder);
        let belongs = |other: &&Source| {
            other.member() == Some(member)
                && !other.has_folder("golden")
                && matches!(other.extension(), "rs" | "toml")
        };
        let mentioned = tree.files.iter().filter(belongs).any(|other| {
            // Tests name the file, its case, or read the whole folder it lies in.
            [Some(name), Some(stem), folder].into_iter().flatten().any(|word| has_word(&other.text, word))
        });
        if !mentioned {
            findings.add(&*file.path, "golden", "no test of its crate names it: remove it or test with it");
        }
    }
}

/// Pages load nothing from other hosts: they work on a network without the Internet, and tell nobody who reads them.
fn pages(tree: &Tree, findings: &mut Findings) {
    for file in &tree.files {
        let page =
            file.path.starts_with("crates/web/") && matches!(file.extension(), "html" | "css" | "js" | "svg");
        if !page || GENERATED.iter().any(|folder| file.has_folder(folder)) {
            continue;
        }
        for (at, line) in file.text.lines().enumerate() {
            for host in foreign_hosts(line) {
                let what = format!("names {host}: everything a page needs is embedded");
                findings.add(format!("{}:{}", file.path, at + 1), "url", what);
            }
        }
    }
}

fn foreign_hosts(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for scheme in ["http://", "https://", "src=\"//", "href=\"//", "url(//"] {
        for (at, _) in line.match_indices(scheme) {
            let rest = &line[at + scheme.len()..];
            let host: String =
                rest.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_')).collect();
            // An address made by the template, a documentation name, or a number typed as an example.
            let numeric = !host.is_empty() && host.chars().all(|c| c.is_ascii_digit() || c == '.');
            let harmless = host.is_empty()
                || numeric
                || host.ends_with(".example")
                || HARMLESS_HOSTS.iter().any(|known| host == *known || host.ends_with(&format!(".{known}")));
            if !harmless {
                found.push(host);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    #[test]
    fn long_files_have_a_seam() {
        let long = "x\n".repeat(MAX_LINES + 1);
        let just = "x\n".repeat(MAX_LINES);
        let files = [
            ("crates/a/src/long.rs", long.as_str()),
            ("crates/a/src/just.rs", just.as_str()),
            ("crates/web/assets/vendor/tabler.css", long.as_str()),
        ];
        assert_eq!(
            found(lengths, &files),
            ["crates/a/src/long.rs: 901 lines, more than 900: find the seam and split it [length]"]
        );
    }

    #[test]
    fn continuous_integration_is_one_script() {
        let files = [(".github/workflows/test.yml", ""), (".github/CODEOWNERS", ""), (".ci/run", "")];
        let problems = found(foreign_ci, &files);
        assert_eq!(
            problems,
            [".github/workflows/test.yml: continuous integration is .ci/run, on any service [ci]"]
        );
    }

    #[test]
    fn a_crate_says_what_always_holds() {
        let manifest = ("crates/a/Cargo.toml", "");
        let good = "//! Things.\n//!\n//! **Invariant: no I/O.** None.\n\nmod x;\n";
        assert_eq!(found(crate_docs, &[manifest, ("crates/a/src/lib.rs", good)]), [""; 0]);
        let bare = found(crate_docs, &[manifest, ("crates/a/src/lib.rs", "mod x;\n")]);
        assert!(bare[0].contains("without a crate comment"), "{bare:?}");
        let vague = found(crate_docs, &[manifest, ("crates/a/src/main.rs", "//! Things.\nfn main() {}\n")]);
        assert!(vague[0].contains("names no invariant"), "{vague:?}");
    }

    #[test]
    fn the_map_has_every_room() {
        let manifests = [("crates/a/Cargo.toml", ""), ("crates/b/Cargo.toml", "")];
        let map = (
            "ARCHITECTURE.md",
            "# Map\n### `a`\n**Invariant: x.**\n### `b`\nwords\n### `c`\n**Invariant: y.**\n",
        );
        let problems = found(map_of_crates, &[manifests[0], manifests[1], map]);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].contains("`b` has no **Invariant**"), "{problems:?}");
        assert!(found(map_of_crates, &[manifests[0], ("ARCHITECTURE.md", "")])[0].contains("no heading"));
        assert!(found(map_of_crates, &manifests)[0].contains("is not there"));
    }

    #[test]
    fn a_golden_file_is_read_by_a_test() {
        let test =
            ("crates/a/tests/golden.rs", "check(\"wan.txt\"); all_in(\"tests/golden/cases\"); one(\"plan\")");
        let kept = [
            test,
            ("crates/a/tests/golden/wan.txt", ""),
            ("crates/a/tests/golden/plan.json", ""),
            ("crates/a/tests/golden/cases/one.txt", ""),
        ];
        assert_eq!(found(golden_files, &kept), [""; 0]);
        let orphan = found(golden_files, &[test, ("crates/a/tests/golden/old.txt", "")]);
        assert!(orphan[0].contains("no test of its crate names it"), "{orphan:?}");
        let other_crate = found(golden_files, &[("crates/b/src/lib.rs", "wan.txt"), kept[1]]);
        assert_eq!(other_crate.len(), 1);
    }

    #[test]
    fn pages_load_nothing_from_elsewhere() {
        let page = |line: &str| found(pages, &[("crates/web/templates/x.html", line)]);
        assert!(
            page("<script src=\"https://cdn.jsdelivr.net/x.js\"></script>")[0].contains("cdn.jsdelivr.net")
        );
        assert!(page("<link href=\"//fonts.googleapis.com/x\">")[0].contains("fonts.googleapis.com"));
        assert!(page("background: url(http://images.test/x.png)").len() == 1);
        for fine in [
            "<svg xmlns=\"http://www.w3.org/2000/svg\">",
            "<input placeholder=\"http://10.20.0.1:7547/\">",
            "<a href=\"http://{{ host }}/\">",
            "<input placeholder=\"https://acs.isp.example/\">",
        ] {
            assert_eq!(page(fine), [""; 0], "{fine}");
        }
        assert_eq!(found(pages, &[("crates/web/assets/vendor/x.js", "https://a.test/")]), [""; 0]);
    }
}
