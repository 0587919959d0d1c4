//! Rules about lines of source.

use std::env;

use super::lex::{code_only, has_word, test_lines};
use super::{Findings, Source, Tree, deps};

/// Crates that never open a socket themselves.
const SOCKETLESS: &[&str] = &["types", "profiles", "provisioning", "billing", "cwmp", "store", "app"];
const SOCKETS: &[&str] =
    &["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "UnixListener", "UnixDatagram"];

/// Pure crates get the time as an argument. `types` owns the clock that the edges pass in.
const CLOCKLESS: &[&str] = &["profiles", "provisioning", "billing", "cwmp"];
const CLOCKS: &[&str] = &["SystemTime::now", "Instant::now", "Timestamp::now", "Zoned::now", "SystemClock"];

/// Files that people wrote line by line.
const WRITTEN: &[&str] =
    &["rs", "html", "css", "js", "mjs", "toml", "md", "yaml", "yml", "sh", "sql", "json"];

pub(super) fn check(tree: &Tree, findings: &mut Findings) {
    let machine = machine_paths(tree);
    for file in &tree.files {
        if file.has_folder("vendor") {
            continue;
        }
        let written = WRITTEN.contains(&file.extension()) || matches!(file.file_name(), "run" | "Dockerfile");
        if written {
            text_rules(file, &machine, findings);
        }
        if file.extension() == "rs" {
            rust_rules(file, findings);
        }
        if file.path.ends_with(".test.mjs") {
            browser_test_rules(file, findings);
        }
    }
}

/// Whether the line, or the one above it, says `tidy: allow(rule) why` with a reason.
fn allowed(lines: &[&str], at: usize, rule: &str) -> bool {
    let mark = format!("tidy: allow({rule})");
    let says = |line: &str| line.split_once(&mark).is_some_and(|(_, why)| why.trim().len() >= 8);
    says(lines[at])
        || (at > 0 && says(lines[at - 1]) && lines[at - 1].trim_start().starts_with(['/', '#', '<', '*']))
}

fn text_rules(file: &Source, machine: &[String], findings: &mut Findings) {
    // Written apart so that this file does not find itself.
    let placeholders =
        [concat!("FIX", "ME"), concat!("XX", "X"), concat!("to", "do!("), concat!("unimple", "mented!(")];
    let lines: Vec<&str> = file.text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let place = || format!("{}:{}", file.path, at + 1);
        for word in placeholders {
            let there = if word.ends_with('(') { line.contains(word) } else { has_word(line, word) };
            if there && !allowed(&lines, at, "placeholder") {
                findings.add(
                    place(),
                    "placeholder",
                    format!("{word} is a promise; keep it or write an issue"),
                );
            }
        }
        for path in machine {
            if names_path(line, path) && !allowed(&lines, at, "path") {
                findings.add(place(), "path", format!("{path} exists on one machine only"));
            }
        }
    }
}

fn machine_paths(tree: &Tree) -> Vec<String> {
    let mut paths =
        vec![concat!("/ro", "ot/").to_owned(), concat!("/ho", "me/").to_owned(), "/Users/".to_owned()];
    let common = ["/", "/tmp", "/home", "/opt", "/srv", "/usr", "/var", "/data", "/src", "/build", "/app"];
    let home = env::var("HOME").ok();
    let parent = tree.root.parent().map(|folder| folder.to_string_lossy().into_owned());
    for folder in [parent, home].into_iter().flatten() {
        let folder = folder.trim_end_matches('/').to_owned();
        if !folder.is_empty()
            && !common.contains(&folder.as_str())
            && !paths.iter().any(|p| folder.starts_with(p.as_str()))
        {
            paths.push(format!("{folder}/"));
        }
    }
    paths.dedup();
    paths
}

/// Whether the line has `path` as an absolute path, not as the middle of a longer one or of an address.
fn names_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + path.len()..].chars().next();
        let starts = !before
            .is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '}' | '/' | '*'));
        starts && after.is_some_and(|c| c.is_alphanumeric() || c == '.' || c == '_')
    })
}

fn rust_rules(file: &Source, findings: &mut Findings) {
    let code = code_only(&file.text);
    let in_test = test_lines(&code);
    let raw: Vec<&str> = file.text.lines().collect();
    let test_file = is_test_file(file);
    let member = file.member().unwrap_or("");
    let reserved: Vec<String> = deps::reserved_names().collect();
    for (at, line) in code.lines().enumerate() {
        let test = test_file || in_test.get(at).copied().unwrap_or(false);
        let mut add = |rule: &'static str, what: String| {
            if !allowed(&raw, at, rule) {
                findings.add(format!("{}:{}", file.path, at + 1), rule, what);
            }
        };
        if test {
            if has_word(line, "sleep") && line.contains("sleep(") {
                add(
                    "sleep",
                    "a test must not sleep: wait for the event itself, or move a manual clock".to_owned(),
                );
            }
            if line.trim_start().starts_with("#[ignore") {
                add(
                    "ignore",
                    "a test that is switched off tests nothing; print `skipped: why` instead".to_owned(),
                );
            }
            continue;
        }
        if member.is_empty() {
            continue;
        }
        for name in &reserved {
            if names_crate(line, name)
                && let Some(why) = deps::forbidden(member, name)
            {
                add("border", format!("{member} names {name}: {why}"));
            }
        }
        if SOCKETLESS.contains(&member)
            && let Some(socket) = SOCKETS.iter().find(|socket| has_word(line, socket))
        {
            add("socket", format!("{member} names {socket}: only the edges open sockets"));
        }
        if CLOCKLESS.contains(&member)
            && let Some(clock) = CLOCKS.iter().find(|clock| line.contains(*clock))
        {
            add("clock", format!("{member} reads {clock}: a pure crate gets the time as an argument"));
        }
        if compares_vendor(line, raw.get(at).copied().unwrap_or("")) {
            add("vendor", "a vendor is data: put the difference into its profile".to_owned());
        }
    }
}

fn is_test_file(file: &Source) -> bool {
    let inner = file.path.split_once("/src/").map_or("", |(_, inner)| inner);
    let outside = !file.path.contains("/src/") && (file.has_folder("tests") || file.has_folder("benches"));
    outside || inner.ends_with("tests.rs") || inner.split('/').rev().skip(1).any(|folder| folder == "tests")
}

/// `use axum::…`, `axum::Router`, `extern crate axum`: the crate itself or one whose name begins with it.
fn names_crate(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '.') || line[..at].ends_with("::") {
            return false;
        }
        let rest = line[at + name.len()..].trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
        let whole = rest.len() == line.len() - at - name.len() || line[at + name.len()..].starts_with('_');
        whole && (rest.starts_with("::") || line.trim_start().starts_with("extern crate"))
    })
}

/// `vendor == "Name"` or the other way round; `vendor == other.vendor` compares data and is fine.
fn compares_vendor(code: &str, raw: &str) -> bool {
    code.match_indices("vendor").any(|(at, word)| {
        // Blanked code keeps the length of the line, so places in it are places in the line.
        let (Some(before), Some(after)) = (raw.get(..at), raw.get(at + word.len()..)) else { return false };
        let after = after.trim_start_matches(".as_str()").trim_start();
        let before =
            before.trim_end_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '&' | '*'));
        let literal_follows = after.starts_with("== \"") || after.starts_with("!= \"");
        literal_follows || before.trim_end().ends_with("\" ==")
    })
}

fn browser_test_rules(file: &Source, findings: &mut Findings) {
    let lines: Vec<&str> = file.text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let sleeps = line.contains("waitForTimeout") || line.contains("setTimeout");
        if sleeps && !allowed(&lines, at, "sleep") {
            let what = "a browser test must not sleep: wait for what a person would wait for";
            findings.add(format!("{}:{}", file.path, at + 1), "sleep", what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::found;
    use super::*;

    fn source(path: &str, text: &str) -> Vec<String> {
        found(check, &[(path, text)])
    }

    fn rule(problems: &[String]) -> &str {
        problems.first().and_then(|p| p.rsplit_once('[')).map_or("", |(_, rule)| rule.trim_end_matches(']'))
    }

    #[test]
    fn borders_hold_in_source_too() {
        assert_eq!(rule(&source("crates/app/src/x.rs", "use axum::Router;\n")), "border");
        assert_eq!(rule(&source("crates/app/src/x.rs", "fn f(x: hyper_util::X) {}\n")), "border");
        assert_eq!(rule(&source("crates/web/src/x.rs", "use sea_orm::Entity;\n")), "border");
        assert_eq!(rule(&source("crates/web/src/x.rs", "fn f() { sqlx::query() }\n")), "border");
        assert_eq!(rule(&source("crates/cwmp/src/x.rs", "tokio::spawn(x);\n")), "border");
        assert_eq!(source("crates/store/src/x.rs", "use sea_orm::Entity;\n"), [""; 0]);
        assert_eq!(source("crates/acs/src/x.rs", "use hyper::Body;\n"), [""; 0]);
        assert_eq!(source("crates/app/src/x.rs", "// axum::Router is not named here\n"), [""; 0]);
        assert_eq!(source("crates/app/src/x.rs", "let tokio = my_axum::x(\"axum::y\");\n"), [""; 0]);
    }

    #[test]
    fn only_edges_open_sockets() {
        assert_eq!(rule(&source("crates/app/src/x.rs", "let s = TcpStream::connect(a);\n")), "socket");
        assert_eq!(rule(&source("crates/store/src/x.rs", "use std::net::UdpSocket;\n")), "socket");
        assert_eq!(source("crates/olt/src/x.rs", "let s = TcpStream::connect(a);\n"), [""; 0]);
        let test = "#[cfg(test)]\nmod tests {\n    use std::net::TcpListener;\n}\n";
        assert_eq!(source("crates/store/src/x.rs", test), [""; 0]);
    }

    #[test]
    fn pure_crates_have_no_clock() {
        assert_eq!(rule(&source("crates/cwmp/src/x.rs", "let now = Instant::now();\n")), "clock");
        assert_eq!(source("crates/types/src/x.rs", "let now = SystemTime::now();\n"), [""; 0]);
    }

    #[test]
    fn tests_do_not_sleep() {
        for text in ["tokio::time::sleep(d).await;\n", "std::thread::sleep(d);\n", "sleep(d).await;\n"] {
            assert_eq!(rule(&source("crates/acs/tests/x.rs", text)), "sleep", "{text}");
            assert_eq!(source("crates/acs/src/x.rs", text), [""; 0]);
        }
        assert_eq!(rule(&source("crates/acs/src/machine/tests.rs", "sleep(d).await;\n")), "sleep");
        let inline = "#[cfg(test)]\nmod tests {\n    fn f() { sleep(d) }\n}\n";
        assert_eq!(rule(&source("crates/acs/src/x.rs", inline)), "sleep");
        assert_eq!(rule(&source("tests/e2e/x.test.mjs", "await page.waitForTimeout(500)\n")), "sleep");
    }

    #[test]
    fn an_exception_needs_a_reason() {
        let with = "// tidy: allow(sleep) the peer under test is the sleeper\nsleep(d).await;\n";
        assert_eq!(source("crates/acs/tests/x.rs", with), [""; 0]);
        let without = "// tidy: allow(sleep)\nsleep(d).await;\n";
        assert_eq!(source("crates/acs/tests/x.rs", without).len(), 1);
        let another = "// tidy: allow(placeholder) not the same rule\nsleep(d).await;\n";
        assert_eq!(source("crates/acs/tests/x.rs", another).len(), 1);
    }

    #[test]
    fn nothing_is_switched_off() {
        assert_eq!(rule(&source("crates/acs/tests/x.rs", "#[test]\n#[ignore]\nfn f() {}\n")), "ignore");
    }

    #[test]
    fn promises_are_not_code() {
        let call = concat!("fn f() { to", "do!() }\n");
        assert_eq!(rule(&source("crates/acs/src/x.rs", call)), "placeholder");
        assert_eq!(rule(&source("README.md", concat!("FIX", "ME later\n"))), "placeholder");
        assert_eq!(source("crates/types/src/x.rs", "// HWTC-XXXXXXXX is how it is printed\n"), [""; 0]);
        assert_eq!(source("crates/web/assets/vendor/x.js", concat!("// FIX", "ME\n")), [""; 0]);
    }

    #[test]
    fn no_path_of_one_machine() {
        assert_eq!(rule(&source("README.md", concat!("see /ho", "me/anna/x\n"))), "path");
        assert_eq!(rule(&source("crates/acs/src/x.rs", concat!("open(\"/ro", "ot/key\")\n"))), "path");
        assert_eq!(source("README.md", concat!("~/ho", "me/x and /usr/ro", "ot/x\n")), [""; 0]);
    }

    #[test]
    fn a_vendor_is_not_a_branch() {
        assert_eq!(rule(&source("crates/app/src/x.rs", "if profile.vendor == \"Huawei\" {}\n")), "vendor");
        assert_eq!(rule(&source("crates/app/src/x.rs", "if \"ZTE\" == olt.vendor.as_str() {}\n")), "vendor");
        assert_eq!(rule(&source("crates/app/src/x.rs", "if vendor == other.vendor {}\n")), "");
    }
}
