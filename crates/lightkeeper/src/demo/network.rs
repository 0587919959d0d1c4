//! The simulated network: OLTs with their sockets, a fleet of CPEs, and what connects the two. Its state is kept in a
//! folder, so that a restart finds the same boxes as they were.

use anyhow::Context;
use rand::Rng;
use serde::{Deserialize, Serialize};
use sim::{
    cpe::{Fleet, FleetConfig, FleetEvent, FleetHandle, behaviour::Management},
    flow::Flow,
    olt::{Managed, OltEvent, OltHandle, Onu, Optics, SimOlt},
    scenario::{OnuPlan, Scenario, Wait},
};
use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{sync::broadcast, task::JoinSet};
use types::{Secret, Serial, SystemClock};

/// The addresses that must stay the same over restarts, because OLTs, CPEs and the database remember them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Places {
    pub(crate) acs: SocketAddr,
    pub(crate) first_contact_password: String,
    /// Per OLT: SSH, Telnet and SNMP.
    pub(crate) olts: BTreeMap<String, [SocketAddr; 3]>,
}

impl Places {
    /// As chosen at the first start, or chosen now.
    pub(crate) fn load_or_choose(folder: &Path, scenario: &Scenario) -> anyhow::Result<Places> {
        let file = folder.join("places.json");
        if let Ok(text) = std::fs::read_to_string(&file) {
            return serde_json::from_str(&text).with_context(|| {
                format!("{} is damaged; `lightkeeper demo --reset` starts over", file.display())
            });
        }
        let mut taken = Vec::new();
        let mut free = || -> anyhow::Result<SocketAddr> {
            // Held until all are chosen, so that none is given twice.
            let listener = quiet_port()?;
            let address = listener.local_addr()?;
            taken.push(listener);
            Ok(address)
        };
        let acs = free()?;
        let mut olts = BTreeMap::new();
        for olt in &scenario.olts {
            olts.insert(olt.name.clone(), [free()?, free()?, free()?]);
        }
        let password = Secret::random(20).context("no random numbers")?.expose().to_owned();
        let places = Places { acs, first_contact_password: password, olts };
        let text = serde_json::to_string_pretty(&places)?;
        let temporary = file.with_extension("new");
        std::fs::write(&temporary, text)
            .and_then(|()| std::fs::rename(&temporary, &file))
            .with_context(|| format!("{} cannot be written", file.display()))?;
        Ok(places)
    }
}

/// A free port that will still be free at the next start. Systems hand out ports from 32768 on to whoever connects
/// somewhere, so one from there may be anybody's tomorrow; these are taken only by who asks for them.
fn quiet_port() -> anyhow::Result<TcpListener> {
    const TRIES: usize = 500;
    let mut chance = rand::rng();
    for _ in 0..TRIES {
        let port = chance.random_range(20_000..32_000);
        // The OLT answers SNMP by UDP under the same kind of number.
        if UdpSocket::bind(("127.0.0.1", port)).is_err() {
            continue;
        }
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return Ok(listener);
        }
    }
    anyhow::bail!("none of {TRIES} ports between 20000 and 32000 is free on this machine")
}

/// User name of the shared first-contact credentials.
pub(crate) const FIRST_CONTACT_USER: &str = "lightkeeper";

pub(crate) struct SimulatedNetwork {
    pub(crate) olts: Vec<(String, SimOlt)>,
    pub(crate) fleet: Arc<FleetHandle>,
    /// One line per OLT: where it answers, and with what. Nothing real opens with it.
    doors: Vec<String>,
    bridges: JoinSet<()>,
}

impl SimulatedNetwork {
    /// Starts OLTs and CPEs. `speed` divides every duration of the CPEs; `acs_url` is what the OLTs hand out. CPEs that
    /// are not behind an OLT run by themselves.
    pub(crate) async fn start(
        scenario: &Scenario,
        folder: PathBuf,
        places: Option<&Places>,
        acs_url: &str,
        credentials: (&str, &str),
        speed: f64,
        behind_olt: bool,
    ) -> anyhow::Result<SimulatedNetwork> {
        let plans = scenario.onus()?;
        let mut config = FleetConfig::new(scenario.clone());
        config.data_folder = Some(folder.join("cpes"));
        config.speed = speed;
        config.behind_olt = behind_olt;
        let fleet = Arc::new(Fleet::start(config)?);
        let (mut olts, mut doors) = (Vec::new(), Vec::new());
        let mut bridges = JoinSet::new();
        let mut handles: HashMap<Serial, OltHandle> = HashMap::new();
        for spec in &scenario.olts {
            let mut spec = spec.clone();
            let name = spec.name.clone();
            spec.state_dir = Some(folder.join("olts").join(safe_name(&name)));
            spec.preset.acs_url = acs_url.to_owned();
            spec.preset.acs_user = credentials.0.to_owned();
            spec.preset.acs_password = Secret::new(credentials.1);
            if let Some([ssh, telnet, snmp]) = places.and_then(|places| places.olts.get(&name)) {
                spec.listen.ssh = Some(*ssh);
                spec.listen.telnet = Some(*telnet);
                spec.listen.snmp = Some(*snmp);
            }
            let user = spec.users.first().cloned();
            let community = spec.listen.community.clone();
            let olt = SimOlt::start(spec, Arc::new(SystemClock))
                .await
                .with_context(|| format!("the simulated OLT {name} does not start"))?;
            let at = |a: Option<SocketAddr>| a.map_or_else(|| "off".to_owned(), |a| a.to_string());
            doors.push(format!(
                "OLT {name}: SSH {}, Telnet {} ({}), SNMP {} (community {})",
                at(olt.ssh_addr()),
                at(olt.telnet_addr()),
                user.map_or_else(
                    || "no login".to_owned(),
                    |user| format!("user {}, password {}", user.name, user.password.expose())
                ),
                at(olt.snmp_addr()),
                community.expose()
            ));
            let handle = olt.handle();
            let (managed, events) = handle.subscribe();
            for plan in plans.iter().filter(|plan| plan.olt == name) {
                handles.insert(plan.serial, handle.clone());
                handle.plug_if_new(onu_of(plan), plan.pon);
            }
            bridges.spawn(bridge(handle, managed, events, fleet.clone()));
            olts.push((name, olt));
        }
        bridges.spawn(power(fleet.events(), handles));
        Ok(SimulatedNetwork { olts, fleet, doors, bridges })
    }

    /// Where the simulated OLTs answer and with what, one line each.
    pub(crate) fn doors(&self) -> impl Iterator<Item = &str> {
        self.doors.iter().map(String::as_str)
    }

    /// The quirks of these ONUs that have not shown yet, in words. One that waits for the visitor has not had a chance.
    pub(crate) fn idle_quirks(&self, plans: &[OnuPlan]) -> Vec<String> {
        let record = self.fleet.record();
        let idle = |plan: &OnuPlan| {
            let quirks = record.cpe(plan.serial).map(|cpe| sim::witness::idle(&plan.quirks, cpe));
            let named = |quirk| format!("{quirk} of {} ({})", plan.serial, plan.group);
            quirks.unwrap_or_else(|| plan.quirks.names()).into_iter().map(named).collect::<Vec<_>>()
        };
        plans.iter().filter(|plan| plan.wait == Wait::Nobody).flat_map(idle).collect()
    }

    /// Stops everything where it is; the folder has it all.
    pub(crate) async fn stop(mut self) {
        self.bridges.shutdown().await;
        for (_, olt) in self.olts {
            olt.stop().await;
        }
        if let Ok(fleet) = Arc::try_unwrap(self.fleet) {
            fleet.shutdown().await;
        }
    }
}

fn safe_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

fn onu_of(plan: &OnuPlan) -> Onu {
    let usual = match plan.model.as_str() {
        "eg8145v5" => "V5R020C10S125",
        "generic_tr098" => "1.0.4",
        "generic_tr181" => "2.3.1",
        _ => "V5R019C10S100",
    };
    Onu {
        serial: plan.serial,
        equipment_id: plan.equipment_id.clone(),
        hardware_version: "10C7.A".to_owned(),
        software_version: plan.software_version.clone().unwrap_or_else(|| usual.to_owned()),
        equipment_serial: String::new(),
        mac: plan.mac,
        optics: Optics {
            rx_power_cdbm: plan.rx_power_cdbm,
            distance_m: plan.distance_m,
            olt_rx_power_cdbm: plan.rx_power_cdbm - 170,
            ..Optics::default()
        },
        eth_ports: 4,
        pots_ports: 1,
        dhcp_broken: false,
        pon: None,
        powered: true,
        booting_until: None,
    }
}

/// A CPE lives when its OLT gives it a management WAN and the ACS, and only then.
async fn bridge(
    olt: OltHandle,
    managed: Vec<Managed>,
    mut events: broadcast::Receiver<OltEvent>,
    fleet: Arc<FleetHandle>,
) {
    for onu in managed {
        power_on(&fleet, &onu);
    }
    loop {
        match events.recv().await {
            Ok(OltEvent::OnuManaged(onu)) => power_on(&fleet, &onu),
            Ok(OltEvent::OnuFlows { serial, flows }) => carry(&fleet, serial, flows),
            Ok(OltEvent::OnuUnmanaged { serial }) => {
                if let Err(error) = fleet.power_off(serial) {
                    tracing::error!(%serial, %error, "a simulated CPE cannot be switched off");
                }
            }
            Ok(_) => {}
            // Some events were missed: look at how things are.
            Err(broadcast::error::RecvError::Lagged(_)) => {
                for onu in olt.managed() {
                    power_on(&fleet, &onu);
                }
            }
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn carry(fleet: &FleetHandle, serial: Serial, flows: Vec<Flow>) {
    if let Err(error) = fleet.carry(serial, flows) {
        tracing::error!(%serial, %error, "a simulated CPE does not learn what its OLT carries");
    }
}

fn power_on(fleet: &FleetHandle, onu: &Managed) {
    carry(fleet, onu.serial, onu.flows.clone());
    let management = Management {
        address: IpAddr::V4(onu.ip),
        acs_url: onu.acs_url.clone(),
        username: onu.acs_user.clone(),
        password: onu.acs_password.expose().to_owned(),
        vlan: Some(onu.mgmt_vlan),
    };
    if let Err(error) = fleet.power_on(onu.serial, management) {
        tracing::error!(serial = %onu.serial, %error, "a simulated CPE does not start");
    }
}

/// ONU and CPE are one box: when it loses power, the OLT sees it go.
async fn power(mut events: broadcast::Receiver<FleetEvent>, olts: HashMap<Serial, OltHandle>) {
    loop {
        let (serial, on) = match events.recv().await {
            Ok(FleetEvent::PowerLost(serial)) => (serial, false),
            Ok(FleetEvent::PowerRestored(serial)) => (serial, true),
            Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return,
        };
        if let Some(olt) = olts.get(&serial) {
            olt.power(serial, on);
        }
    }
}

/// Waits a little; for loops that look at things from the outside.
pub(crate) async fn look_again() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}
