//! `cargo xtask test`: everything that continuous integration runs, on any machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::report::{Part, Report};
use crate::{e2e, install, postgres, proc, rust_tests, tidy};

/// What to run.
#[derive(Args, Default)]
pub(crate) struct Options {
    /// Only these parts, in their usual order; may be given several times or separated by commas.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Piece>,
    /// Everything but the browser tests.
    #[arg(long)]
    no_e2e: bool,
    /// Installs nothing; what is missing is skipped by name.
    #[arg(long, env = "LIGHTKEEPER_NO_INSTALL", value_parser = clap::builder::FalseyValueParser::new())]
    no_install: bool,
    /// Lints and tests only these packages, such as lightkeeper-store.
    #[arg(long, short)]
    package: Vec<String>,
    /// Uses `cargo test` even where cargo-nextest is installed.
    #[arg(long)]
    plain: bool,
}

/// One part of the run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Piece {
    /// cargo fmt --check.
    Fmt,
    /// The rules of the source tree.
    Tidy,
    /// cargo clippy, warnings are errors.
    Clippy,
    /// Unit and integration tests.
    Rust,
    /// Browser tests against a demo instance.
    E2e,
}

impl Piece {
    const ALL: [Self; 5] = [Self::Fmt, Self::Tidy, Self::Clippy, Self::Rust, Self::E2e];
}

/// Runs the chosen parts and prints the report; true when nothing failed.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let root = proc::root()?;
    let folder = proc::target(&root).join("xtask");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let pieces: Vec<Piece> = Piece::ALL
        .into_iter()
        .filter(|piece| options.only.is_empty() || options.only.contains(piece))
        .filter(|piece| !(options.no_e2e && *piece == Piece::E2e))
        .collect();
    let mut report = Report::default();
    if options.no_e2e {
        report.skip("browser tests", "switched off with --no-e2e");
    }
    let session = Session { root, folder, options };
    session.run(&pieces, &mut report)?;
    // The cluster and everything else is gone by now: the closing line is really the last one.
    print!("{}", report.text());
    Ok(report.all_held())
}

struct Session<'a> {
    root: PathBuf,
    /// Logs and whatever else is kept between runs.
    folder: PathBuf,
    options: &'a Options,
}

impl Session<'_> {
    fn run(&self, pieces: &[Piece], report: &mut Report) -> Result<()> {
        let count = pieces.len();
        for (at, piece) in pieces.iter().enumerate() {
            let head = |what: &str| println!("\n── {}/{count} {what}", at + 1);
            match piece {
                Piece::Fmt => {
                    head("formatting");
                    self.cargo_check(report, "formatting", &["fmt", "--all", "--check"]);
                }
                Piece::Tidy => {
                    head("tidy: rules of the source tree");
                    let begun = Instant::now();
                    let findings = tidy::check(&self.root)?;
                    tidy::print(&findings);
                    report.add(check("tidy", findings.problems.is_empty(), begun.elapsed()));
                    for (what, why) in findings.skipped {
                        report.skip(what, why);
                    }
                }
                Piece::Clippy => {
                    head("clippy: warnings are errors");
                    let mut arguments = vec!["clippy", "--all-targets"];
                    self.packages(&mut arguments);
                    arguments.extend(["--", "-D", "warnings"]);
                    self.cargo_check(report, "clippy", &arguments);
                }
                Piece::Rust => {
                    head("what the tests need from the system");
                    self.install(report);
                    self.rust(report);
                }
                Piece::E2e => {
                    head("browser tests");
                    if !pieces.contains(&Piece::Rust) {
                        self.install(report);
                    }
                    self.e2e(report);
                }
            }
        }
        Ok(())
    }

    fn install(&self, report: &mut Report) {
        install::ensure(&self.folder, !self.options.no_install, report);
    }

    fn packages<'a>(&'a self, arguments: &mut Vec<&'a str>) {
        if self.options.package.is_empty() {
            arguments.push("--workspace");
        }
        for package in &self.options.package {
            arguments.extend(["--package", package]);
        }
    }

    /// A cargo command that holds or does not. A component that is not installed is skipped, not failed.
    fn cargo_check(&self, report: &mut Report, name: &str, arguments: &[&str]) {
        let begun = Instant::now();
        let present = proc::output_of(proc::cargo(&self.root).args([arguments[0], "--version"]));
        if present.is_err() {
            let why =
                format!("the toolchain has no cargo {0}; rustup component add {0} brings it", arguments[0]);
            report.skip(name, why);
            return;
        }
        let held = proc::shown(proc::cargo(&self.root).args(arguments)).unwrap_or(false);
        report.add(check(name, held, begun.elapsed()));
    }

    fn rust(&self, report: &mut Report) {
        let skip_log = self.folder.join("skipped.log");
        fs::remove_file(&skip_log).ok();
        let mut environment = vec![("LIGHTKEEPER_SKIP_LOG", skip_log.display().to_string())];

        let corpus = env::var_os("LIGHTKEEPER_CORPUS");
        match &corpus {
            Some(folder) if Path::new(folder).is_dir() => println!("  recorded corpus: {}", folder.display()),
            Some(folder) => println!("  recorded corpus: {} is not a folder", folder.display()),
            None => println!("  recorded corpus: not here (LIGHTKEEPER_CORPUS is not set)"),
        }
        // Held until the tests are over; dropping it stops the server.
        let cluster = self.cluster(report);
        if let Some(cluster) = &cluster {
            environment.push(("LIGHTKEEPER_TEST_POSTGRES", cluster.url.clone()));
        }
        if let Some(python) = install::pygenieacs(&self.folder, !self.options.no_install, report) {
            environment.push(("LIGHTKEEPER_PYGENIEACS", python.to_string_lossy().into_owned()));
        }
        // The gate draws the same cases every time, so that what fails in it was broken by the change; who looks for new
        // cases runs the tests by themselves or `cargo xtask fuzz`.
        environment.push(("PROPTEST_RNG_SEED", "1".to_owned()));
        // Futures of whole use cases are deep in a build that is not optimised.
        environment.push(("RUST_MIN_STACK", (16 << 20).to_string()));
        environment.push(("PATH", proc::search_path().to_string_lossy().into_owned()));

        let runner =
            if self.options.plain { rust_tests::Runner::Plain } else { rust_tests::Runner::installed() };
        println!("\n── tests ({})", runner.name());
        let begun = Instant::now();
        let log = self.folder.join("tests.log");
        let result = rust_tests::run(&self.root, runner, &self.options.package, &environment, &log);
        let took = begun.elapsed();
        println!("  the whole output is in {}", shown_path(&self.root, &log));
        match result {
            Ok(outcome) => {
                report.add(Part {
                    name: format!("tests ({})", runner.name()),
                    passed: outcome.passed,
                    failed: outcome.failed,
                    took,
                });
                for skip in outcome.skipped {
                    report.skip(skip.what, skip.why);
                }
                for failure in outcome.failures {
                    report.failure(failure);
                }
            }
            Err(error) => {
                println!("  the tests could not be run: {error:#}");
                report.add(Part { name: "tests".to_owned(), passed: 0, failed: 1, took });
            }
        }
        read_skip_log(&skip_log, report);
    }

    fn cluster(&self, report: &mut Report) -> Option<postgres::Cluster> {
        if let Ok(url) = env::var("LIGHTKEEPER_TEST_POSTGRES")
            && !url.is_empty()
        {
            println!("  PostgreSQL: the one named by LIGHTKEEPER_TEST_POSTGRES");
            return None;
        }
        // Not being installed was told, and recorded, a moment ago.
        postgres::find()?;
        match postgres::start() {
            Ok(cluster) => {
                println!("  PostgreSQL: {}, started for this run", cluster.version);
                Some(cluster)
            }
            Err(error) => {
                println!("  PostgreSQL: {error:#}");
                report.skip("tests on PostgreSQL", format!("{error:#}"));
                None
            }
        }
    }

    fn e2e(&self, report: &mut Report) {
        let begun = Instant::now();
        match e2e::run(&self.root, &self.folder) {
            Ok(e2e::Outcome::Ran { passed, failed, skipped }) => {
                report.add(Part { name: "browser tests".to_owned(), passed, failed, took: begun.elapsed() });
                for skip in skipped {
                    report.skip(skip.what, skip.why);
                }
            }
            Ok(e2e::Outcome::Skipped(why)) => {
                println!("  skipped: {why}");
                report.skip("browser tests", why);
            }
            Err(error) => {
                println!("  {error:#}");
                report.add(Part {
                    name: "browser tests".to_owned(),
                    passed: 0,
                    failed: 1,
                    took: begun.elapsed(),
                });
            }
        }
    }
}

fn check(name: &str, held: bool, took: Duration) -> Part {
    Part { name: name.to_owned(), passed: usize::from(held), failed: usize::from(!held), took }
}

/// Lines `what<TAB>why`, appended by whatever has no output of its own to say it in.
fn read_skip_log(path: &Path, report: &mut Report) {
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        let (what, why) = line.split_once('\t').unwrap_or((line, "no reason given"));
        if !what.trim().is_empty() {
            report.skip(what.trim(), why.trim());
        }
    }
}

fn shown_path(root: &Path, path: &Path) -> String {
    path.strip_prefix(root).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skip_log_joins_the_one_list() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("skipped.log");
        fs::write(&path, "load run\tneeds four cores\n\nodd line\n").unwrap();
        let mut report = Report::default();
        read_skip_log(&path, &mut report);
        let text = report.text();
        assert!(text.contains("- load run: needs four cores"), "{text}");
        assert!(text.contains("- odd line: no reason given"), "{text}");
        assert_eq!(text.lines().last(), Some("0 passed, 0 failed, 2 skipped"));
    }
}
