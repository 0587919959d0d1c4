//! `cargo xtask bench`: the benchmarks of the workspace, with their figures in docs/benchmarks.md.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;

use crate::{postgres, proc};

/// Which benchmarks to run.
#[derive(Args)]
pub(crate) struct Options {
    /// Only benchmarks of these packages.
    #[arg(long, short)]
    package: Vec<String>,
    /// Also builds the product from nothing, in release, and writes down how long that took (minutes).
    #[arg(long)]
    clean_build: bool,
    /// Only benchmarks whose name contains this; their sections replace those of docs/benchmarks.md.
    filter: Option<String>,
}

/// The page that keeps the figures.
const PAGE: &str = "docs/benchmarks.md";

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
    let figures = proc::target(&root).join("xtask").join("figures.md");
    fs::create_dir_all(figures.parent().unwrap_or(&root))?;
    fs::remove_file(&figures).ok();
    let mut all_ran = true;
    if options.clean_build {
        all_ran &= clean_build(&root, &figures)?;
    }
    let cluster = cluster()?;
    for (folder, name) in packages {
        println!("\n── {name} ({folder})");
        let mut command = proc::cargo(&root);
        command.args(["bench", "--package", &name, "--benches"]);
        command.env("LIGHTKEEPER_BENCH_FIGURES", &figures);
        if let Some(cluster) = &cluster {
            command.env("LIGHTKEEPER_BENCH_DATABASE", &cluster.url);
        }
        if let Some(filter) = &options.filter {
            command.args(["--", filter]);
        }
        all_ran &= proc::shown(&mut command)?;
    }
    if let Ok(new) = fs::read_to_string(&figures) {
        let page = root.join(PAGE);
        let old = fs::read_to_string(&page).unwrap_or_default();
        fs::write(&page, merged(&old, &new)).with_context(|| format!("{PAGE} cannot be written"))?;
        println!("\nThe figures are in {PAGE}.");
    }
    Ok(all_ran)
}

/// A private PostgreSQL that keeps what it is told, unless one is named already or none is installed.
fn cluster() -> Result<Option<postgres::Cluster>> {
    if std::env::var_os("LIGHTKEEPER_BENCH_DATABASE").is_some() {
        return Ok(None);
    }
    if postgres::find().is_none() {
        println!("PostgreSQL is not installed: nothing is measured on it.");
        return Ok(None);
    }
    postgres::start_durable().map(Some)
}

/// How long a clean release build may take on two cores.
const CLEAN_BUILD: Duration = Duration::from_secs(600);

/// Builds in a folder of its own, so that nothing was there before; true when it was within its bound.
fn clean_build(root: &Path, figures: &Path) -> Result<bool> {
    println!("\n── clean release build");
    let mut fetch = proc::cargo(root);
    proc::shown(fetch.args(["fetch", "--locked"]))?;
    let target = tempfile::tempdir().context("no temporary folder")?;
    let mut command = proc::cargo(root);
    command.args(["build", "--release", "--locked", "--offline", "--package", "lightkeeper", "--target-dir"]);
    let begun = Instant::now();
    let built = proc::shown(command.arg(target.path()))?;
    let took = begun.elapsed();
    let section = format!(
        "## Build\n\nEverything compiled from nothing; the packages were there already.\n\n\
         | what | figure | bound |\n|---|---|---|\n\
         | clean release build | {} min {:02} s | {} min |\n\n",
        took.as_secs() / 60,
        took.as_secs() % 60,
        CLEAN_BUILD.as_secs() / 60,
    );
    let mut file = fs::OpenOptions::new().create(true).append(true).open(figures)?;
    file.write_all(section.as_bytes())?;
    if took > CLEAN_BUILD {
        println!("  over its bound: {} s", took.as_secs());
    }
    Ok(built && took <= CLEAN_BUILD)
}

/// The page with the new sections in the place of the old ones of the same name.
fn merged(old: &str, new: &str) -> String {
    let mut sections: Vec<(String, String)> = Vec::new();
    for section in sections_of(old).into_iter().chain(sections_of(new)) {
        match sections.iter_mut().find(|(title, _)| *title == section.0) {
            Some(known) => *known = section,
            None => sections.push(section),
        }
    }
    let mut page = format!(
        "# Benchmarks\n\nWritten by `cargo xtask bench`. Measured on {}; client and server share the machine, and the \
         server's processor time is what the system counted for its process. Figures of one machine compare with \
         each other, not with those of another.\n",
        machine()
    );
    for (_, text) in sections {
        page.push('\n');
        page.push_str(text.trim_end());
        page.push('\n');
    }
    page
}

/// Second-level sections: title and text with the title.
fn sections_of(page: &str) -> Vec<(String, String)> {
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in page.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            sections.push((title.trim().to_owned(), String::new()));
        }
        if let Some((_, text)) = sections.last_mut() {
            text.push_str(line);
            text.push('\n');
        }
    }
    sections
}

/// Processor, cores and memory, as far as the system tells.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let field = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .map(|rest| rest.trim_start_matches([' ', '\t', ':']).trim().to_owned())
    };
    let processor =
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| "a processor that does not tell".to_owned());
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.trim_end_matches(" kB").parse::<f64>().ok())
        .map_or_else(String::new, |kib| format!(", {:.0} GiB", kib / 1024.0 / 1024.0));
    format!("{cores} cores ({processor}){memory}")
}

fn with_benches(root: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("crates"))? {
        let path = entry?.path();
        if !path.join("benches").is_dir() {
            continue;
        }
        let manifest: toml::Table = fs::read_to_string(path.join("Cargo.toml"))?.parse()?;
        let name =
            manifest.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str());
        if let (Some(name), Some(folder)) = (name, path.file_name().and_then(|folder| folder.to_str())) {
            found.push((folder.to_owned(), name.to_owned()));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_sections_replace_old_ones_and_others_stay() {
        let old = "# Benchmarks\n\nintro\n\n## A\n\nold a\n\n## B\n\nb stays\n";
        let page = merged(old, "## A\n\nnew a\n\n## C\n\nc\n");
        assert!(page.contains("new a") && !page.contains("old a"), "{page}");
        let order: Vec<usize> = ["## A", "## B", "## C"].iter().map(|t| page.find(t).unwrap()).collect();
        assert!(order.is_sorted(), "{page}");
        assert_eq!(merged(&page, ""), page, "nothing new changes nothing");
    }
}
