//! `lightkeeper replay FILE`: a recording of a CPE, gone through again by the machine of this version.

use anyhow::Context;
use provisioning::recording::{describe, replay};
use std::{io::Write as _, path::PathBuf, process::ExitCode};

/// Which recordings, and how much is told.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArgs {
    /// Recordings as the page of a CPE gives them.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Tell only where the decision is another one.
    #[arg(long)]
    differences: bool,
}

/// Exits 0 when every decision is as it was recorded, 1 when one is not or a file cannot be read.
pub(crate) fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let profiles = profiles::cpe::ProfileSet::builtin();
    let mut out = std::io::stdout().lock();
    let mut all_same = true;
    for file in &args.files {
        let name = file.display();
        let text = std::fs::read_to_string(file).with_context(|| format!("{name} cannot be read"))?;
        let done = replay(&text, &profiles).with_context(|| format!("{name} cannot be replayed"))?;
        let header = &done.header;
        writeln!(out, "{name}: {}, recorded {} by Lightkeeper {}", header.device, header.at, header.product)?;
        for step in &done.steps {
            if !args.differences || !step.is_same() {
                for line in describe(step) {
                    writeln!(out, "{line}")?;
                }
            }
            if !step.is_same() {
                writeln!(out, "  differs from the recording:")?;
                for line in step.differences() {
                    writeln!(out, "  {line}")?;
                }
            }
        }
        let different = done.different().count();
        all_same &= different == 0;
        match different {
            0 => writeln!(out, "{name}: {} steps, every decision as it was recorded.", done.steps.len())?,
            _ => writeln!(
                out,
                "{name}: {} steps, and in {different} of them the decision differs from the recording.",
                done.steps.len()
            )?,
        }
    }
    Ok(if all_same { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
