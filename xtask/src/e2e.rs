//! Browser tests and screenshots: playwright-core drives the system's Chromium against a demo instance.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::proc;
use crate::report::Skip;

/// All browser tests together take a few minutes.
const LIMIT: Duration = Duration::from_secs(2_400);

/// What the browser tests came to.
pub(crate) enum Outcome {
    /// They ran.
    Ran {
        /// Tests that held.
        passed: usize,
        /// Tests that did not.
        failed: usize,
        /// Tests that skipped themselves.
        skipped: Vec<Skip>,
    },
    /// They could not be run here, and why.
    Skipped(String),
}

/// The file that `run.mjs` writes for us.
#[derive(Deserialize)]
struct Results {
    passed: usize,
    failed: usize,
    skipped: Vec<SkippedTest>,
}

#[derive(Deserialize)]
struct SkippedTest {
    name: String,
    why: String,
}

/// A Chromium or Chrome of the system.
pub(crate) fn chromium() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
        .into_iter()
        .find_map(proc::which)
}

/// Runs `tests/e2e/run.mjs`.
pub(crate) fn run(root: &Path, folder: &Path) -> Result<Outcome> {
    let tools = match Tools::prepare(root, folder) {
        Ok(tools) => tools,
        Err(error) => return Ok(Outcome::Skipped(format!("{error:#}"))),
    };
    let binary = build(root)?;
    let results = folder.join("e2e.json");
    fs::remove_file(&results).ok();
    let mut command = tools.node(root, "run.mjs");
    command.env("LIGHTKEEPER_BIN", &binary).env("LIGHTKEEPER_E2E_RESULTS", &results);
    let succeeded = proc::shown_bounded(&mut command, LIMIT)?;
    let Ok(text) = fs::read_to_string(&results) else {
        bail!("the browser tests ended before they could say how they went");
    };
    let results: Results =
        serde_json::from_str(&text).context("the browser tests' result file is damaged")?;
    let skipped = results.skipped.into_iter().map(|test| Skip { what: test.name, why: test.why }).collect();
    let failed = if succeeded { results.failed } else { results.failed.max(1) };
    Ok(Outcome::Ran { passed: results.passed, failed, skipped })
}

/// `cargo xtask screenshots`.
pub(crate) fn screenshots() -> Result<bool> {
    let root = proc::root()?;
    let folder = proc::target(&root).join("xtask");
    fs::create_dir_all(&folder)?;
    let tools = Tools::prepare(&root, &folder).context("screenshots cannot be taken here")?;
    let binary = build(&root)?;
    let mut command = tools.node(&root, "screenshots.mjs");
    command.env("LIGHTKEEPER_BIN", &binary);
    proc::shown_bounded(&mut command, LIMIT)
}

/// Builds the binary whose pages are looked at.
fn build(root: &Path) -> Result<PathBuf> {
    println!("  building lightkeeper …");
    let mut command = proc::cargo(root);
    command.args([
        "build",
        "--package",
        "lightkeeper",
        "--bin",
        "lightkeeper",
        "--message-format=json-render-diagnostics",
    ]);
    let output = command.stderr(Stdio::inherit()).output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("lightkeeper does not build");
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages.lines().rev().find_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    executable.context("cargo did not say where it put the binary")
}

/// Programs and modules that the browser tests need.
struct Tools {
    node: PathBuf,
    chromium: PathBuf,
    modules: PathBuf,
}

impl Tools {
    /// Finds them, and installs playwright-core into the build folder, once per version.
    fn prepare(root: &Path, folder: &Path) -> Result<Self> {
        let Some(node) = proc::which("node") else { bail!("Node.js is not there") };
        let Some(chromium) = chromium() else { bail!("Chromium is not there") };
        let modules = folder.join("e2e-modules");
        fs::create_dir_all(&modules).with_context(|| format!("cannot create {}", modules.display()))?;
        let wanted =
            fs::read_to_string(root.join("tests/e2e/package.json")).context("tests/e2e/package.json")?;
        let installed = modules.join("node_modules/playwright-core/package.json").is_file()
            && fs::read_to_string(modules.join("package.json")).is_ok_and(|text| text == wanted);
        if !installed {
            println!("  installing playwright-core …");
            let Some(npm) = proc::which("npm") else {
                bail!("npm is not there, and it brings playwright-core")
            };
            fs::write(modules.join("package.json"), &wanted)?;
            let mut command = Command::new(npm);
            // The browser is the system's: no install script, nothing downloaded besides the package.
            command
                .current_dir(&modules)
                .args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"])
                .args(["--fetch-retries=1", "--fetch-timeout=60000"]);
            let result = proc::bounded(&mut command, &folder.join("npm.log"), Duration::from_secs(300));
            if let Err(error) = result {
                fs::remove_file(modules.join("package.json")).ok();
                bail!("playwright-core could not be installed: {error:#}");
            }
        }
        Ok(Self { node, chromium, modules })
    }

    fn node(&self, root: &Path, script: &str) -> Command {
        let mut command = Command::new(&self.node);
        command
            .current_dir(root)
            .arg(root.join("tests/e2e").join(script))
            .env("LIGHTKEEPER_E2E_MODULES", &self.modules)
            .env("LIGHTKEEPER_CHROMIUM", &self.chromium);
        command
    }
}
