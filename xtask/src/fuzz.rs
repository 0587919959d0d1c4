//! `cargo xtask fuzz`: the fuzz functions of the crates for as long as somebody has time for.

use anyhow::Result;
use clap::Args;

use crate::proc;

/// The crates with a `tests/fuzz.rs`.
const CRATES: &[&str] = &["lightkeeper-cwmp", "lightkeeper-olt"];

/// How long, and from where.
#[derive(Args)]
pub(crate) struct Options {
    /// How long each function is fed, in minutes; those of one crate are fed at the same time.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Where the seeds begin: the seed of a finding makes it the first input. Without one they begin with the time, so
    /// that no two runs are the same.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs them; true when nothing was found. A finding is printed with its seed and its input.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let root = proc::root()?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = options.seed.unwrap_or_else(|| now.map_or(1, |now| now.as_secs() << 20));
    let mut nothing_found = true;
    for package in CRATES {
        println!("\n── {package}, {} min from seed {seed} on", options.minutes);
        let mut command = proc::cargo(&root);
        command.args(["test", "--package", package, "--test", "fuzz", "--", "--nocapture", "from_"]);
        command.env("LIGHTKEEPER_FUZZ_MINUTES", options.minutes.to_string());
        command.env("LIGHTKEEPER_FUZZ_SEED", seed.to_string());
        nothing_found &= proc::shown(&mut command)?;
    }
    Ok(nothing_found)
}
