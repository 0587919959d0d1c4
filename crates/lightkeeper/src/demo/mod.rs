//! `lightkeeper demo`: the whole product against a simulated network, on this machine, with an embedded database.

mod hands;
pub(crate) mod network;
mod operator;
mod seed;
mod table;

use crate::{
    config::Config,
    node::{Node, StopSignal, make_private_folder, open_app},
};
use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use network::{FIRST_CONTACT_USER, Places, SimulatedNetwork, look_again};
use sim::scenario::{OnuPlan, Scenario};
use std::{
    io::{IsTerminal, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio_util::sync::CancellationToken;

/// Written into the folder of a demo: only such a folder is ever emptied by `--reset`.
const MARK: &str = "lightkeeper-demo";

/// Options of the demo.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Folder for the database and the simulated network; kept between runs.
    #[arg(long, default_value = "data/demo")]
    data: PathBuf,
    /// Address and port of the pages. The default looks for a free port from 8080 on.
    #[arg(long)]
    web: Option<SocketAddr>,
    /// Start over: forget the database and the simulated network.
    #[arg(long)]
    reset: bool,
    /// Run until the scenario's own expectations hold, print the table, and exit 0; or 1 if they do not in time.
    #[arg(long)]
    check: bool,
    /// Longest time for --check, in seconds.
    #[arg(long, default_value_t = 240)]
    within: u64,
    /// Start the product alone: the network is a process of its own, `lightkeeper sim --demo FOLDER`.
    #[arg(long)]
    without_network: bool,
    /// Take orders to the simulated world from standard input, one per line: `plug SERIAL PON` brings an ONU or moves one to
    /// another port, `unplug SERIAL` takes its fibre out.
    #[arg(long, conflicts_with = "without_network")]
    hands: bool,
    /// Another scenario (TOML); the built-in one is printed by `lightkeeper sim --print-scenario`.
    #[arg(long)]
    scenario: Option<PathBuf>,
}

pub(crate) fn load_scenario(file: Option<&Path>) -> anyhow::Result<Scenario> {
    match file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("The scenario {} cannot be read", path.display()))?;
            Scenario::parse(&text).with_context(|| format!("In the scenario {}", path.display()))
        }
        None => Ok(Scenario::demo()?),
    }
}

pub(crate) fn prepare_folder(folder: &Path, reset: bool) -> anyhow::Result<()> {
    let mark = folder.join(MARK);
    if reset && folder.exists() {
        if !mark.exists() {
            bail!("{} is not the folder of a demo; it was left alone", folder.display());
        }
        std::fs::remove_dir_all(folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
    }
    make_private_folder(folder)?;
    std::fs::write(
        &mark,
        "The state of `lightkeeper demo`; `lightkeeper demo --reset` empties this folder.\n",
    )
    .with_context(|| format!("{} cannot be written", mark.display()))
}

/// The first free port from 8080 on, so that the address is easy to remember.
fn free_web_address() -> SocketAddr {
    let candidates = (8080..8100).map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut free = candidates.filter(|address| std::net::TcpListener::bind(address).is_ok());
    free.next().unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
}

pub(crate) async fn run(args: DemoArgs, base: Config) -> anyhow::Result<ExitCode> {
    prepare_folder(&args.data, args.reset)?;
    let scenario = load_scenario(args.scenario.as_deref())?;
    let plans = scenario.onus()?;
    let places = Places::load_or_choose(&args.data, &scenario)?;
    let config = Config {
        data_dir: args.data.clone(),
        database_url: String::new(),
        key_file: PathBuf::new(),
        web_listen: args.web.unwrap_or_else(free_web_address),
        acs_listen: places.acs,
        ..base
    };
    eprintln!("Lightkeeper {}: {}", env!("CARGO_PKG_VERSION"), scenario.title);
    let app = open_app(&config, app::PolicyLimits::Simulated).await?;
    seed::seed(&app, &scenario, &places).await.context("preparing the demo's customers and OLTs")?;
    let node = Node::start(&config, app.clone()).await?;
    let acs_url = format!("http://{}/", places.acs);
    let network = if args.without_network {
        None
    } else {
        let folder = args.data.join("network");
        let credentials = (FIRST_CONTACT_USER, places.first_contact_password.as_str());
        let started =
            SimulatedNetwork::start(&scenario, folder, Some(&places), &acs_url, credentials, 1.0, true);
        Some(started.await?)
    };
    let mut asked = StopSignal::listen()?;
    announce(&node, network.as_ref(), &args.data);

    let stop = CancellationToken::new();
    let operator = tokio::spawn(operator::run(app.clone(), plans.clone(), stop.clone()));
    let code = if args.check {
        tokio::select! {
            code = check(&app, &plans, network.as_ref(), Duration::from_secs(args.within)) => code?,
            () = asked.asked() => ExitCode::FAILURE,
        }
    } else {
        let watched = watch(&app, &plans);
        tokio::select! {
            result = watched => result?,
            () = hands::run(network.as_ref()), if args.hands => {}
            () = asked.asked() => {}
        }
        ExitCode::SUCCESS
    };
    eprintln!("Stopping; `lightkeeper demo` goes on from here, `--reset` starts over.");
    stop.cancel();
    // The operator only orders work; what it ordered is in the database.
    let _ = operator.await;
    node.stop().await;
    if let Some(network) = network {
        network.stop().await;
    }
    Ok(code)
}

/// Everything a visitor needs, once.
fn announce(node: &Node, network: Option<&SimulatedNetwork>, data: &Path) {
    let Some(web) = node.web else { return };
    let url = format!("http://{web}");
    for line in network.iter().flat_map(|network| network.doors()) {
        eprintln!("Simulated {line}");
    }
    let program = std::env::args().next().unwrap_or_else(|| "lightkeeper".to_owned());
    let another = format!("LIGHTKEEPER_DATA_DIR={} {program} user reset admin", data.display());
    match &node.first_password {
        Some(password) => {
            eprintln!("\n  Open {url} and log in as admin with the password {}", password.expose());
            eprintln!("  (shown once; `{another}` makes another one)\n");
            println!("READY url={url} user=admin password={}", password.expose());
        }
        None => {
            eprintln!("\n  Open {url}; the password of admin is the one printed at the first start.");
            if node.still_unused {
                eprintln!("  (nobody has logged in yet; `{another}` makes another one)");
            }
            eprintln!();
            println!("READY url={url} user=admin");
        }
    }
    let _ = std::io::stdout().flush();
}

fn bar(total: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} as expected · {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Shows how the network comes to life, then stays quiet until it is stopped.
async fn watch(app: &app::App, plans: &[OnuPlan]) -> anyhow::Result<()> {
    let bar = bar(plans.len());
    let mut settled = false;
    loop {
        let standings = table::standings(app, plans).await?;
        let good = standings.iter().filter(|one| one.as_expected).count();
        let active = standings.iter().filter(|one| one.state == "ACTIVE").count();
        bar.set_position(good as u64);
        bar.set_message(format!("{active} ACTIVE"));
        if good == plans.len() && !settled {
            settled = true;
            bar.finish_and_clear();
            eprintln!(
                "The network is up: {active} ONUs ACTIVE, each of the others shows its reason. Ctrl-C stops."
            );
            println!("SETTLED active={active} of={}", plans.len());
            let _ = std::io::stdout().flush();
        }
        look_again().await;
    }
}

/// What the README promises a visitor: most ONUs are ACTIVE within this.
const PROMISE: Duration = Duration::from_secs(90);

/// Waits until every ONU is as the scenario expects and every quirk in it has shown: a demo whose traps nobody steps
/// into shows nothing. A network of another process keeps its record to itself.
async fn check(
    app: &app::App,
    plans: &[OnuPlan],
    network: Option<&SimulatedNetwork>,
    within: Duration,
) -> anyhow::Result<ExitCode> {
    let (bar, began) = (bar(plans.len()), Instant::now());
    let mut most = None;
    loop {
        let standings = table::standings(app, plans).await?;
        let good = standings.iter().filter(|one| one.as_expected).count();
        let active = standings.iter().filter(|one| one.state == "ACTIVE").count();
        if most.is_none() && active * 2 > plans.len() {
            most = Some(began.elapsed());
        }
        bar.set_position(good as u64);
        let (late, as_expected) = (began.elapsed() >= within, good == plans.len());
        let idle = match network {
            Some(network) if late || as_expected => network.idle_quirks(plans),
            _ => Vec::new(),
        };
        if late || (as_expected && idle.is_empty()) {
            bar.finish_and_clear();
            table::print(&standings);
            if let Some(most) = most {
                println!("{}", told_most(most));
            }
            for quirk in &idle {
                println!("Not shown: {quirk}; nothing that happened to this ONU made it act.");
            }
            println!("After {} s.", began.elapsed().as_secs());
            let holds = as_expected && idle.is_empty();
            return Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        look_again().await;
    }
}

/// How long it took until most ONUs were ACTIVE, measured by what the demo promises. A slow machine is no fault.
fn told_most(took: Duration) -> String {
    let took_s = took.as_secs();
    if took_s <= PROMISE.as_secs() {
        return format!("Most ONUs were ACTIVE after {took_s} s.");
    }
    format!(
        "Most ONUs were ACTIVE after {took_s} s, later than the {} s that the demo promises: this machine is slower than \
         that or has other work.",
        PROMISE.as_secs()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_demo_is_said_to_be_late() {
        assert_eq!(told_most(PROMISE), "Most ONUs were ACTIVE after 90 s.");
        let late = told_most(Duration::from_secs(95));
        assert!(late.contains("after 95 s, later than the 90 s"), "{late}");
    }
}
