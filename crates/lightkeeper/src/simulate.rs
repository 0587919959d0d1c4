//! `lightkeeper sim`: the simulated network by itself, for trying and loading any ACS and OLT manager.

use crate::{
    demo::{
        load_scenario,
        network::{FIRST_CONTACT_USER, Places, SimulatedNetwork, look_again},
        prepare_folder,
    },
    node::StopSignal,
};
use clap::Args;
use sim::cpe::behaviour::Management;
use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    process::ExitCode,
};

/// Options of the simulator.
#[derive(Debug, Args)]
pub(crate) struct SimArgs {
    /// The scenario (TOML); the built-in one when absent.
    #[arg(long)]
    scenario: Option<PathBuf>,
    /// ACS URL that the simulated OLTs hand out.
    #[arg(long, default_value = "http://127.0.0.1:7547/")]
    acs: String,
    /// Shared first-contact user name in the OLTs' TR-069 profile.
    #[arg(long, default_value = FIRST_CONTACT_USER)]
    acs_user: String,
    /// Its password, from the environment so that it is in no process list.
    #[arg(long, env = "LIGHTKEEPER_SIM_ACS_PASSWORD", default_value = "", hide_env_values = true)]
    acs_password: String,
    /// Folder for the state of the network.
    #[arg(long, default_value = "data/sim")]
    data: PathBuf,
    /// Be the network of the demo in this folder, with its addresses, passwords and state; the product is then started
    /// by `lightkeeper demo --without-network`.
    #[arg(long, conflicts_with_all = ["acs", "acs_user", "acs_password", "data", "direct"])]
    demo: Option<PathBuf>,
    /// All durations of the CPEs are divided by this.
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// Let every CPE call the ACS at once, without waiting for an OLT to authorise it (for load).
    #[arg(long)]
    direct: bool,
    /// Print the scenario and exit.
    #[arg(long)]
    print_scenario: bool,
}

pub(crate) async fn run(mut args: SimArgs) -> anyhow::Result<ExitCode> {
    if args.print_scenario {
        match &args.scenario {
            Some(path) => print!("{}", std::fs::read_to_string(path)?),
            None => print!("{}", sim::scenario::DEMO),
        }
        return Ok(ExitCode::SUCCESS);
    }
    let scenario = load_scenario(args.scenario.as_deref())?;
    let places = match &args.demo {
        Some(folder) => {
            prepare_folder(folder, false)?;
            let places = Places::load_or_choose(folder, &scenario)?;
            args.data = folder.join("network");
            args.acs = format!("http://{}/", places.acs);
            args.acs_user = FIRST_CONTACT_USER.to_owned();
            args.acs_password.clone_from(&places.first_contact_password);
            Some(places)
        }
        None => None,
    };
    std::fs::create_dir_all(&args.data)?;
    let credentials = (args.acs_user.as_str(), args.acs_password.as_str());
    let network = SimulatedNetwork::start(
        &scenario,
        args.data,
        places.as_ref(),
        &args.acs,
        credentials,
        args.speed,
        !args.direct,
    )
    .await?;
    let mut stop = StopSignal::listen()?;
    for line in network.doors() {
        println!("{line}");
    }
    println!("{} CPEs; ACS {}", network.fleet.serials().len(), args.acs);
    if args.direct {
        for (number, serial) in (1u32..).zip(network.fleet.serials()) {
            let address = IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 21, 0, 0)) + number));
            network.fleet.power_on(
                serial,
                Management {
                    address,
                    acs_url: args.acs.clone(),
                    username: args.acs_user.clone(),
                    password: args.acs_password.clone(),
                    vlan: None,
                },
            )?;
        }
    }
    tokio::select! {
        () = report(&network) => {}
        () = stop.asked() => {}
    }
    network.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// A line whenever the CPEs were told something.
async fn report(network: &SimulatedNetwork) {
    let mut before = 0;
    loop {
        let orders: u64 = network.fleet.tally().orders.values().sum();
        if orders != before {
            println!("{orders} orders given so far");
            before = orders;
        }
        for _ in 0..10 {
            look_again().await;
        }
    }
}
