//! Runs the Rust tests, by cargo-nextest where it is installed and by cargo's own runner otherwise, and reads
//! from their output what was counted and which tests skipped themselves.
//!
//! A test that lacks something prints a line `skipped: why` and returns. Both runners call that a pass; here it
//! is counted as skipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use anyhow::{Context, Result};

use crate::proc;
use crate::report::{Failure, Skip};

/// What a run of the tests came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Tests that held.
    pub(crate) passed: usize,
    /// Tests that did not; at least one when the run failed for another reason, such as a compile error.
    pub(crate) failed: usize,
    /// Tests that skipped themselves, with their reason.
    pub(crate) skipped: Vec<Skip>,
    /// Tests that failed, with the first lines of what they said; of a test that said nothing, its name alone.
    pub(crate) failures: Vec<Failure>,
}

/// So many lines of what a failed test said are told again at the end; the rest is where it was printed.
const WHY_LINES: usize = 12;
/// And so many characters of each.
const WHY_CHARS: usize = 600;

/// Which runner's output is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// cargo-nextest.
    Nextest,
    /// `cargo test`.
    Plain,
}

impl Runner {
    /// The one that is installed.
    pub(crate) fn installed() -> Self {
        if proc::which("cargo-nextest").is_some() { Self::Nextest } else { Self::Plain }
    }

    /// Its name, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nextest => "cargo nextest",
            Self::Plain => "cargo test",
        }
    }
}

/// Runs the tests of `packages` (all when empty) and keeps their whole output in `log`.
pub(crate) fn run(
    root: &Path,
    runner: Runner,
    packages: &[String],
    environment: &[(&str, String)],
    log: &Path,
) -> Result<Outcome> {
    let mut command = proc::cargo(root);
    match runner {
        Runner::Nextest => {
            command.args(["nextest", "run", "--no-fail-fast", "--color=never", "--no-tests=pass"])
        }
        Runner::Plain => command.args(["test", "--no-fail-fast", "--color=never"]),
    };
    if packages.is_empty() {
        command.arg("--workspace");
    }
    for package in packages {
        command.args(["--package", package]);
    }
    match runner {
        Runner::Nextest => command.args(["--success-output=immediate", "--failure-output=final"]),
        Runner::Plain => command.args(["--", "--show-output"]),
    };
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let mut reader = Reader::new(runner);
    let succeeded = stream(&mut command, log, |line| {
        if reader.line(line) {
            println!("{line}");
        }
    })?;
    Ok(reader.finish(succeeded))
}

/// Feeds every line of both outputs to `each`, in the order they come, and keeps them in `log`.
fn stream(command: &mut Command, log: &Path, mut each: impl FnMut(&str)) -> Result<bool> {
    let mut file = fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().to_string_lossy()))?;
    let (send, lines) = mpsc::sync_channel::<String>(1024);
    let readers = [
        child.stdout.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
        child.stderr.take().map(|pipe| Box::new(pipe) as Box<dyn Read + Send>),
    ];
    for pipe in readers.into_iter().flatten() {
        let send = send.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n') {
                let Ok(line) = line else { break };
                if send.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
            }
        });
    }
    drop(send);
    for line in lines {
        writeln!(file, "{line}")?;
        each(&line);
    }
    Ok(child.wait()?.success())
}

/// Reads a runner's output line by line.
struct Reader {
    runner: Runner,
    phase: Phase,
    /// The test whose output is being shown.
    test: String,
    passed: usize,
    failed: usize,
    skipped: BTreeSet<Skip>,
    failures: BTreeSet<String>,
    /// What each failed test said of why.
    why: BTreeMap<String, Vec<String>>,
    /// Inside the words of the panic that ended [`Self::test`].
    in_panic: bool,
    /// Inside the list of what held, which `cargo test --show-output` prints besides the outputs.
    in_list: bool,
}

#[derive(PartialEq)]
enum Phase {
    Building,
    Running,
    Over,
}

impl Reader {
    fn new(runner: Runner) -> Self {
        Self {
            runner,
            phase: Phase::Building,
            test: String::new(),
            passed: 0,
            failed: 0,
            skipped: BTreeSet::new(),
            failures: BTreeSet::new(),
            why: BTreeMap::new(),
            in_panic: false,
            in_list: false,
        }
    }

    /// Takes one line; answers whether a person wants to see it now.
    fn line(&mut self, line: &str) -> bool {
        let words = line.trim_start();
        if let Some(why) = words.strip_prefix("skipped:") {
            let what = if self.test.is_empty() { "a test".to_owned() } else { self.test.clone() };
            self.skipped.insert(Skip { what, why: why.trim().to_owned() });
        }
        let shown = match self.runner {
            Runner::Nextest => self.nextest(line, words),
            Runner::Plain => self.plain(line, words),
        };
        self.keep_why(words);
        shown
    }

    /// Keeps the words of a panic of a failed test, without its backtrace.
    fn keep_why(&mut self, words: &str) {
        if !self.failures.contains(&self.test) {
            self.in_panic = false;
            return;
        }
        if words.contains("panicked at ") {
            self.in_panic = true;
        } else if words.starts_with("stack backtrace:") || words.starts_with("note: ") {
            self.in_panic = false;
        }
        let why = self.why.entry(self.test.clone()).or_default();
        if self.in_panic && why.len() < WHY_LINES && !words.is_empty() {
            why.push(words.chars().take(WHY_CHARS).collect());
        }
    }

    fn nextest(&mut self, line: &str, words: &str) -> bool {
        if let Some(summary) = words.strip_prefix("Summary [") {
            // The last summary counts: nextest prints one only.
            self.passed = number_before(summary, " passed");
            self.failed = number_before(summary, " failed") + number_before(summary, " timed out");
            self.phase = Phase::Over;
            return true;
        }
        if self.phase == Phase::Building {
            if words.starts_with("Starting ") {
                self.phase = Phase::Running;
            }
            return true;
        }
        // `        PASS [   0.009s] (12/13) lightkeeper-types time::tests::name`
        let status = words.split(" [").next().unwrap_or("");
        let is_status = line.starts_with("    ")
            && words.contains("s] ")
            && !status.is_empty()
            && status.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ' || c == '-');
        if is_status {
            let after = words.split_once("s] ").map_or("", |(_, rest)| rest.trim_start());
            let name = after
                .strip_prefix('(')
                .and_then(|rest| rest.split_once(") "))
                .map_or(after, |(_, name)| name);
            self.test = name.trim().to_owned();
            self.in_panic = false;
            if status != "PASS" && status != "SLOW" {
                self.failures.insert(self.test.clone());
            }
        }
        is_status || self.phase == Phase::Over
    }

    fn plain(&mut self, _line: &str, words: &str) -> bool {
        if let Some(result) = words.strip_prefix("test result: ") {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
            self.test.clear();
            self.in_list = false;
            return true;
        }
        if words == "successes:" || words == "failures:" {
            self.in_list = words == "successes:";
            self.test.clear();
            return !self.in_list;
        }
        if let Some(name) = words.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            self.test = name.to_owned();
            return false;
        }
        if let Some(name) = words.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
            self.failures.insert(name.to_owned());
            return true;
        }
        // Output of a failed test is shown whole; of one that passed, its lines are in the log only.
        if words.starts_with("test ") && words.ends_with(" ... ok") {
            return false;
        }
        if !self.test.is_empty() {
            return self.failures.contains(&self.test);
        }
        !self.in_list
    }

    fn finish(mut self, succeeded: bool) -> Outcome {
        let why = &mut self.why;
        let failures = self.failures.iter();
        let failures = failures
            .map(|what| Failure { what: what.clone(), why: why.remove(what).unwrap_or_default() })
            .collect();
        let skipped: Vec<Skip> =
            self.skipped.into_iter().filter(|skip| !self.failures.contains(&skip.what)).collect();
        let tests: BTreeSet<&str> = skipped.iter().map(|skip| skip.what.as_str()).collect();
        let failed = if succeeded { self.failed } else { self.failed.max(1) };
        Outcome { passed: self.passed.saturating_sub(tests.len()), failed, skipped, failures }
    }
}

/// The number that stands before `word` in `text`; 0 when there is none.
pub(crate) fn number_before(text: &str, word: &str) -> usize {
    let Some(end) = text.find(word) else { return 0 };
    let digits: String = text[..end].chars().rev().take_while(char::is_ascii_digit).collect();
    digits.chars().rev().collect::<String>().parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(runner: Runner, text: &str, succeeded: bool) -> (Outcome, Vec<String>) {
        let mut reader = Reader::new(runner);
        let shown = text.lines().filter(|line| reader.line(line)).map(str::to_owned).collect();
        (reader.finish(succeeded), shown)
    }

    #[test]
    fn reads_nextest() {
        let text = "\
   Compiling lightkeeper-types v0.1.0
    Starting 3 tests across 1 binary
        PASS [   0.009s] (1/3) lightkeeper-cwmp corpus::decodes
  stdout ───

    running 1 test
    skipped: LIGHTKEEPER_CORPUS not set
    test corpus::decodes ... ok

        PASS [   0.009s] (2/3) lightkeeper-cwmp codec::works
        FAIL [   0.096s] (3/3) lightkeeper-types time::prints
────────────
     Summary [   0.206s] 3 tests run: 2 passed, 1 failed, 0 skipped
        FAIL [   0.096s] (3/3) lightkeeper-types time::prints
  stderr ───

    thread 'time::prints' (12) panicked at crates/types/src/time.rs:7:9:
    assertion failed
    stack backtrace:
       0: __rustc::rust_begin_unwind
";
        let (outcome, shown) = read(Runner::Nextest, text, false);
        assert_eq!(
            outcome,
            Outcome {
                passed: 1,
                failed: 1,
                skipped: vec![Skip {
                    what: "lightkeeper-cwmp corpus::decodes".into(),
                    why: "LIGHTKEEPER_CORPUS not set".into()
                }],
                failures: vec![Failure {
                    what: "lightkeeper-types time::prints".into(),
                    why: vec![
                        "thread 'time::prints' (12) panicked at crates/types/src/time.rs:7:9:".into(),
                        "assertion failed".into()
                    ],
                }],
            }
        );
        assert!(shown.iter().any(|line| line.contains("assertion failed")), "a failure is shown whole");
        assert!(!shown.iter().any(|line| line.contains("running 1 test")), "passing tests stay quiet");
    }

    #[test]
    fn reads_plain_cargo_test() {
        let text = "\
     Running unittests src/lib.rs
running 3 tests
test corpus::decodes ... ok
test codec::works ... ok
test time::prints ... FAILED

successes:

---- corpus::decodes stdout ----
skipped: LIGHTKEEPER_CORPUS not set


successes:
    corpus::decodes

failures:

---- time::prints stdout ----
thread 'time::prints' panicked at src/time.rs:7:9:
assertion failed

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 2 tests
test a ... ok
test b ... ok

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let (outcome, shown) = read(Runner::Plain, text, false);
        assert_eq!((outcome.passed, outcome.failed, outcome.skipped.len()), (3, 1, 1));
        assert!(shown.iter().any(|line| line == "assertion failed"));
        let why = outcome.failures.iter().map(|failure| (failure.what.as_str(), failure.why.len()));
        assert_eq!(why.collect::<Vec<_>>(), [("time::prints", 2)]);
        assert!(
            !shown.iter().any(|line| line.contains("corpus::decodes")),
            "what held stays quiet: {shown:?}"
        );
    }

    #[test]
    fn a_run_that_did_not_compile_is_a_failure() {
        let (outcome, shown) = read(Runner::Nextest, "error[E0425]: cannot find value\n", false);
        assert_eq!((outcome.passed, outcome.failed), (0, 1));
        assert_eq!(shown.len(), 1);
    }

    #[test]
    fn a_failed_test_is_not_also_skipped() {
        let text = "\
    Starting 1 test across 1 binary
        FAIL [   0.096s] (1/1) pkg name
     Summary [   0.206s] 1 test run: 0 passed, 1 failed, 0 skipped
        FAIL [   0.096s] (1/1) pkg name
    skipped: half of it
";
        let (outcome, _) = read(Runner::Nextest, text, false);
        assert_eq!((outcome.failed, outcome.skipped.len()), (1, 0));
    }
}
