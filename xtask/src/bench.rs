//! `cargo xtask bench`: the benchmarks of the workspace, with their figures in one place.

use anyhow::Result;
use clap::Args;

use crate::proc;

/// Which benchmarks to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Only benchmarks of these packages.
    #[arg(long, short)]
    package: Vec<String>,
    /// Only benchmarks whose name contains this.
    filter: Option<String>,
}

/// Runs them, one package at a time so that they do not disturb each other; true when all ran.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let root = proc::root()?;
    let mut packages = with_benches(&root)?;
    if !options.package.is_empty() {
        packages.retain(|(_, name)| options.package.contains(name));
    }
    if packages.is_empty() {
        println!("No package has a benches folder: there is nothing to measure.");
        return Ok(true);
    }
    let mut all_ran = true;
    for (folder, name) in packages {
        println!("\n── {name} ({folder})");
        let mut command = proc::cargo(&root);
        command.args(["bench", "--package", &name, "--benches"]);
        if let Some(filter) = &options.filter {
            command.args(["--", filter]);
        }
        all_ran &= proc::shown(&mut command)?;
    }
    Ok(all_ran)
}

fn with_benches(root: &std::path::Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root.join("crates"))? {
        let path = entry?.path();
        if !path.join("benches").is_dir() {
            continue;
        }
        let manifest: toml::Table = std::fs::read_to_string(path.join("Cargo.toml"))?.parse()?;
        let name =
            manifest.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str());
        if let (Some(name), Some(folder)) = (name, path.file_name().and_then(|folder| folder.to_str())) {
            found.push((folder.to_owned(), name.to_owned()));
        }
    }
    found.sort();
    Ok(found)
}
