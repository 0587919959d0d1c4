//! Lightkeeper, in one binary: `serve` on a real network, `demo` on a simulated one, and the tools around them.
//!
//! **Invariant: nothing is decided here.** This crate reads settings, puts the parts together and prints sentences.

mod alive;
mod config;
mod demo;
mod faults;
mod import;
mod log;
mod node;
mod replay;
mod simulate;

use anyhow::Context;
use app::PolicyLimits;
use clap::{Parser, Subcommand};
use config::Config;
use node::{Node, StopSignal, make_private_folder, open_app, store_config};
use std::{
    io::Write as _,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};
use store::Store;

/// Of each thread that works, bytes. Use cases are deep, and deeper in a build that is not optimised; what is not used of
/// it costs nothing.
const STACK: usize = 8 << 20;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The operations platform a fibre ISP runs on.
#[derive(Debug, Parser)]
#[command(name = "lightkeeper", version, about, arg_required_else_help = true)]
struct Cli {
    /// Settings file (TOML); `lightkeeper config show` explains every key.
    #[arg(long, global = true, env = "LIGHTKEEPER_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run on a real network.
    Serve,
    /// Run on a simulated network: one OLT, about forty ONUs, everything on this machine.
    Demo(demo::DemoArgs),
    /// Bring the database to the schema of this version, check it, and say what was done.
    Migrate,
    /// Check the database (or, with --http, the running server) and change nothing.
    Check {
        /// Ask the running node instead: exits 0 when it is healthy. Pages and ACS must answer where they are served; and what
        /// it does by itself (timers, jobs, OLTs) must have been done lately, as it says in its data folder.
        #[arg(long)]
        http: bool,
    },
    /// Settings.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Say what a faults CSV exported from GenieACS means: whether its provisioning logic is sound. Stores nothing and needs
    /// no database.
    Faults(faults::FaultsArgs),
    /// Take over what another system knows.
    Import {
        #[command(subcommand)]
        command: import::ImportCommand,
    },
    /// Go through the recording of a CPE again and say where this version decides otherwise; exits 1 if it does.
    Replay(replay::ReplayArgs),
    /// Simulated OLTs and CPEs against an ACS of your choice.
    Sim(simulate::SimArgs),
    /// Logins.
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every setting, what it means and its value in force.
    Show,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Give a login a new password and print it once.
    Reset {
        /// Its name.
        name: String,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lightkeeper: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let config = Config::load(cli.config.as_deref(), |name| std::env::var(name).ok())?;
    let default_level = match &cli.command {
        // The demo speaks to a person; its own progress is what they want to see.
        Command::Demo(_) | Command::Sim(_) if config.log_level == "info" => "warn",
        _ => &config.log_level,
    };
    log::to_stderr(&config.log_format, default_level)?;
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::debug!("a TLS provider was installed already");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_stack_size(STACK)
        .enable_all()
        .build()
        .context("starting the runtime")?;
    let code = runtime.block_on(command(cli.command, config));
    // A blocking call that hangs (a name server, a dead disk) must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_secs(2));
    code
}

async fn command(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => serve(&config).await,
        Command::Demo(args) => demo::run(args, config).await,
        Command::Migrate => {
            make_private_folder(&config.data_dir)?;
            print_report(&Store::migrate(&store_config(&config)).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { http: false } => {
            print_report(&Store::check(&store_config(&config)).await?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { http: true } => check_http(&config).await,
        Command::Config { command: ConfigCommand::Show } => {
            print!("{}", config.documented());
            Ok(ExitCode::SUCCESS)
        }
        Command::Faults(args) => faults::run(&args),
        Command::Import { command } => import::run(command, &config).await,
        Command::Replay(args) => replay::run(&args),
        Command::Sim(args) => simulate::run(args).await,
        Command::User { command: UserCommand::Reset { name } } => {
            let password = open_app(&config, PolicyLimits::Network).await?.reset_password(&name).await?;
            println!("The new password of {name} is: {}", password.expose());
            println!("It is not shown again. All logins of {name} were ended.");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn print_report(report: &store::Report) {
    match report.applied.as_slice() {
        [] => println!("{}: no migration was due.", report.place),
        applied => println!("{}: applied {}.", report.place, applied.join(", ")),
    }
    println!(
        "Schema version {}; {} tables are as this version expects.",
        report.schema_version, report.tables_checked
    );
}

async fn serve(config: &Config) -> anyhow::Result<ExitCode> {
    let app = open_app(config, PolicyLimits::Network).await?;
    let node = Node::start(config, app).await?;
    let mut stop = StopSignal::listen()?;
    if let Some(web) = node.web {
        println!("Lightkeeper {} serves pages and API on http://{web}", env!("CARGO_PKG_VERSION"));
    }
    if let Some(nbi) = node.nbi {
        println!("Programs written for GenieACS reach its northbound interface on http://{nbi}");
    }
    if let Some(acs) = node.acs {
        println!("CPEs reach the ACS on http://{acs}");
    }
    if let Some(password) = &node.first_password {
        println!("First run: log in as admin with the password {}", password.expose());
        println!("It is not shown again; `lightkeeper user reset admin` makes another one.");
    } else if node.still_unused {
        println!(
            "Nobody has logged in yet; if the first password was missed, `lightkeeper user reset admin` makes another one."
        );
    }
    // Before anything can end this process: whoever reads along through a pipe must have the password.
    std::io::stdout().flush().context("telling the first password")?;
    stop.asked().await;
    tracing::info!("stopping");
    node.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Where a listener can be reached from its own machine.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}

/// Whether the ACS answers, on a node without pages.
async fn check_port(config: &Config) -> anyhow::Result<bool> {
    let address = reachable(config.acs_listen);
    tokio::time::timeout(Duration::from_secs(5), tokio::net::TcpStream::connect(address))
        .await
        .with_context(|| format!("The ACS does not answer on {address} within 5 s"))?
        .with_context(|| format!("The ACS does not answer on {address}"))?;
    println!("This node ({}) serves no pages; its ACS answers on {address}.", config.roles.join(", "));
    Ok(true)
}

/// For health checks of containers: no tool but this binary is needed.
async fn check_http(config: &Config) -> anyhow::Result<ExitCode> {
    let (has_port, answers) = match (config.plays("web"), config.plays("acs")) {
        (true, _) => (true, check_pages(config).await?),
        (false, true) => (true, check_port(config).await?),
        (false, false) => (false, true),
    };
    let works = match alive::health(config) {
        Some(health) => {
            for line in &health.said {
                println!("{line}");
            }
            health.is_well
        }
        // Its port answers, so it runs; perhaps with a data folder that only it can see.
        None if has_port => true,
        None => match alive::no_sign(config)? {},
    };
    Ok(if answers && works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn check_pages(config: &Config) -> anyhow::Result<bool> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let address = reachable(config.web_listen);
    let ask = async {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await?;
        let mut answer = Vec::new();
        stream.take(16 * 1024).read_to_end(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(Duration::from_secs(5), ask)
        .await
        .with_context(|| format!("No answer from {address} within 5 s"))?
        .with_context(|| format!("Nothing answers on {address}"))?;
    let first = answer.lines().next().unwrap_or_default();
    let is_ready = first.contains(" 200 ");
    if is_ready {
        println!("Pages and API answer on {address}.");
    } else {
        println!("Not healthy: {first}");
    }
    Ok(is_ready)
}
