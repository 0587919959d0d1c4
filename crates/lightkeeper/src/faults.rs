//! `lightkeeper faults FILE`: the diagnosis of a faults file, in words.

use anyhow::Context;
use app::faults::genieacs::{MAX_BYTES, read};
use std::{
    io::{Read as _, Write as _},
    path::PathBuf,
    process::ExitCode,
};

/// Which file, and how it is answered.
#[derive(Debug, clap::Args)]
pub(crate) struct FaultsArgs {
    /// The file that GenieACS exported on its page of faults; `-` reads what is piped in.
    file: PathBuf,
    /// Answer in JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &FaultsArgs) -> anyhow::Result<ExitCode> {
    let name = args.file.display();
    let source: Box<dyn std::io::Read> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(&args.file).with_context(|| format!("{name} cannot be opened"))?)
    };
    let mut bytes = Vec::new();
    // One more than is read, so that a file that is too large is seen to be.
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
    source.take(most).read_to_end(&mut bytes).with_context(|| format!("{name} cannot be read"))?;
    let import = read(&bytes).with_context(|| format!("{name} cannot be diagnosed"))?;
    let text = if args.json {
        serde_json::to_string_pretty(&import).context("writing the answer")? + "\n"
    } else {
        import.to_text()
    };
    std::io::stdout().write_all(text.as_bytes()).context("writing the answer")?;
    Ok(ExitCode::SUCCESS)
}
