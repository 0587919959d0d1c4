//! `lightkeeper import genieacs FILE`: takes over devices from a GenieACS, without touching one of them.

use crate::{config::Config, node::open_app};
use anyhow::{Context, bail};
use app::{
    Actor, PolicyLimits,
    import::{Documents, Taken, genieacs},
};
use std::{
    io::{BufRead, BufReader, IsTerminal as _},
    path::PathBuf,
    process::ExitCode,
};

/// Devices that are written together.
const TOGETHER: usize = 20;
/// Bad lines that are told; all are counted.
const TOLD: usize = 20;
/// Devices between two words about how far it got.
const PROGRESS: u64 = 1000;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ImportCommand {
    /// Devices of a GenieACS, with their tags and what was read from them. No device is touched, and none is trusted because of
    /// it.
    Genieacs(GenieacsArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct GenieacsArgs {
    /// What `mongoexport --db genieacs --collection devices` wrote, or the answer of GenieACS's NBI to GET /devices/. `-` reads
    /// what is piped in.
    file: PathBuf,
    /// Say what would be taken over, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(command: ImportCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let ImportCommand::Genieacs(args) = command;
    let name = args.file.display().to_string();
    let source: Box<dyn BufRead> = if args.file.as_os_str() == "-" {
        Box::new(std::io::stdin().lock())
    } else {
        let file = std::fs::File::open(&args.file).with_context(|| format!("{name} cannot be opened"))?;
        Box::new(BufReader::with_capacity(1 << 16, file))
    };
    let app = open_app(config, PolicyLimits::Network).await?;
    let mut import = Import { app, dry_run: args.dry_run, waiting: Vec::new(), done: Done::default() };
    let mut documents = Documents::new(source);
    loop {
        let next = documents.read();
        let next = match next.with_context(|| format!("{name} cannot be read any further")) {
            Ok(next) => next,
            Err(error) => {
                import.write().await?;
                print!("{}", import.done.report(args.dry_run));
                return Err(error);
            }
        };
        let Some((line, read)) = next else { break };
        match read.and_then(|document| genieacs::read(&document)) {
            Ok(device) => import.waiting.push(device),
            Err(why) => import.done.bad(line, &why),
        }
        if import.waiting.len() >= TOGETHER {
            import.write().await?;
        }
    }
    import.write().await?;
    print!("{}", import.done.report(args.dry_run));
    if import.done.devices() == 0 {
        bail!("{name} holds no device of GenieACS; nothing was taken over");
    }
    Ok(ExitCode::SUCCESS)
}

struct Import {
    app: app::App,
    dry_run: bool,
    waiting: Vec<genieacs::Imported>,
    done: Done,
}

impl Import {
    async fn write(&mut self) -> anyhow::Result<()> {
        let devices = std::mem::take(&mut self.waiting);
        if devices.is_empty() {
            return Ok(());
        }
        let before = self.done.devices();
        let taken = self.app.take_over(&Actor::System("import"), devices, self.dry_run).await.with_context(|| {
            format!("{before} devices are taken over, and then it failed; it can be done again from the beginning")
        })?;
        self.done.taken.add(&taken);
        let after = self.done.devices();
        if before / PROGRESS != after / PROGRESS && std::io::stderr().is_terminal() {
            eprintln!("{after} devices …");
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Done {
    taken: Taken,
    bad: u64,
    told: Vec<String>,
}

impl Done {
    fn devices(&self) -> u64 {
        self.taken.new + self.taken.known
    }

    fn bad(&mut self, line: u64, why: &str) {
        self.bad += 1;
        if self.told.len() < TOLD {
            self.told.push(format!("Line {line} {why}"));
        }
    }

    fn report(&self, dry_run: bool) -> String {
        let Taken { new, known, tags, tags_left, parameters, secrets_left, wans } = &self.taken;
        let mut lines = vec![
            if dry_run {
                "This is what would be taken over; nothing was written.".to_owned()
            } else {
                "Taken over. No device was touched; each proves itself when it speaks to Lightkeeper."
                    .to_owned()
            },
            format!("  devices: {new} new, {known} known already"),
            format!("  tags: {tags}"),
            format!("  parameters that were unknown or older: {parameters}"),
            format!("  connections to the internet that were set up on them: {wans}"),
            format!(
                "  left out: {secrets_left} parameters with passwords or keys, {tags_left} tags, {} lines",
                self.bad
            ),
        ];
        if dry_run {
            lines[3] = format!("  parameters: {parameters}");
        }
        lines.extend(self.told.iter().cloned());
        let more = self.bad.saturating_sub(self.told.len() as u64);
        if more > 0 {
            lines.push(format!("{more} more lines cannot be read."));
        }
        lines.join("\n") + "\n"
    }
}
