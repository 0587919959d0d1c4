//! The memory of the box: configuration (saved and running), the fibre plant behind it, and what is going on now.
//! Plain data with serde; no I/O, no clock.

use super::spec::{Model, OltSpec};
use crate::flow::Flow;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};
use types::{Mac, PonPath, Secret, Serial, UtcMs};

/// Highest ONT id on a GPON port.
pub const MAX_ONT_ID: u8 = 127;

/// A board in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// Type, e.g. `H901GPHF`.
    pub name: String,
    /// `Normal`, `Active_normal`, `Standby_normal`.
    pub status: String,
    /// GPON ports; 0 = not a PON board.
    pub pon_ports: u8,
}

/// Configuration of a PON port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortConfig {
    /// `port N ont-auto-find enable`.
    pub autofind: bool,
    /// `shutdown N`.
    pub shutdown: bool,
}

impl Default for PortConfig {
    fn default() -> Self {
        PortConfig { autofind: true, shutdown: false }
    }
}

/// A VLAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vlan {
    /// `smart`, `standard`, `mux`.
    pub kind: String,
    /// Free text.
    pub description: String,
    /// Uplink ports carrying it, e.g. `0/9 0`.
    pub uplinks: BTreeSet<String>,
}

/// A DBA profile; rates in kbit/s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbaProfile {
    /// Name.
    pub name: String,
    /// 1 to 5.
    pub kind: u8,
    /// Fixed bandwidth.
    pub fix_kbps: u32,
    /// Assured bandwidth.
    pub assure_kbps: u32,
    /// Maximum bandwidth.
    pub max_kbps: u32,
}

/// An IP traffic table; rates in kbit/s.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrafficTable {
    /// Name.
    pub name: String,
    /// Committed rate; `None` = off.
    pub cir_kbps: Option<u32>,
    /// Peak rate.
    pub pir_kbps: Option<u32>,
    /// 802.1p priority.
    pub priority: u8,
}

/// A GEM port of a line profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gem {
    /// T-CONT it rides on.
    pub tcont: u8,
    /// Mapping index to VLAN.
    pub mappings: BTreeMap<u8, u16>,
}

/// An ONT line profile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineProfile {
    /// Name.
    pub name: String,
    /// T-CONT to DBA profile id.
    pub tconts: BTreeMap<u8, u32>,
    /// GEM index to GEM port.
    pub gems: BTreeMap<u16, Gem>,
    /// `tr069-management enable`.
    pub tr069: bool,
    /// `tr069-management ip-index`.
    pub tr069_ip_index: u8,
}

/// Ports a service profile expects of an ONT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortCount {
    /// Whatever the ONT has.
    Adaptive,
    /// Exactly this many.
    Fixed(u8),
}

/// An ONT service profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SrvProfile {
    /// Name.
    pub name: String,
    /// Ethernet ports.
    pub eth: PortCount,
    /// Telephone ports.
    pub pots: PortCount,
}

/// A TR-069 server profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tr069Profile {
    /// Name.
    pub name: String,
    /// ACS URL.
    pub url: String,
    /// ACS user; empty = none.
    pub user: String,
    /// ACS password. The state file of a simulated box is its flash: it holds this in the clear.
    pub password: Secret,
}

/// IPv4 configuration of an IP host of an ONT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IpConfig {
    /// Address by DHCP.
    Dhcp,
    /// Fixed address.
    Static {
        /// Address.
        ip: Ipv4Addr,
        /// Netmask.
        mask: Ipv4Addr,
        /// Default gateway.
        gateway: Option<Ipv4Addr>,
    },
    /// PPPoE by OMCI: never sent by us; kept so that tests can see if it ever is.
    Pppoe {
        /// User name.
        user: String,
    },
}

/// An IP host (WAN) of an ONT, made by `ont ipconfig`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpHost {
    /// How it gets its address.
    pub config: IpConfig,
    /// VLAN.
    pub vlan: u16,
    /// 802.1p priority.
    pub priority: u8,
}

/// A registered ONT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ont {
    /// PON serial it authenticates with.
    pub serial: Serial,
    /// Line profile.
    pub line_profile: u32,
    /// Service profile.
    pub srv_profile: u32,
    /// Description; empty = the box shows `ONT_NO_DESCRIPTION`.
    pub description: String,
    /// `ont activate` / `ont deactivate`.
    pub active: bool,
    /// IP hosts by index.
    pub ip_hosts: BTreeMap<u8, IpHost>,
    /// `ont tr069-server-config`.
    pub tr069_profile: Option<u32>,
    /// Native VLAN and priority by Ethernet port.
    pub native_vlans: BTreeMap<u8, (u16, u8)>,
    /// `ont internet-config` / `ont wan-config` were sent: never by us, kept to be seen.
    pub internet_by_omci: bool,
}

/// A service virtual port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// Service VLAN.
    pub vlan: u16,
    /// PON port.
    pub pon: PonPath,
    /// ONT id.
    pub ont: u8,
    /// GEM index.
    pub gem: u16,
    /// User VLAN of a multi-service port.
    pub user_vlan: Option<u16>,
    /// It takes frames without a tag.
    #[serde(default)]
    pub untagged: bool,
    /// `translate`, `transparent`, `default`, `add-double`.
    pub tag_transform: String,
    /// Traffic table upstream (inbound, RX).
    pub rx_table: Option<u32>,
    /// Traffic table downstream (outbound, TX).
    pub tx_table: Option<u32>,
}

impl ServicePort {
    /// What it carries.
    pub fn flow(&self) -> Flow {
        let user_vlan = if self.untagged { None } else { Some(self.user_vlan.unwrap_or(self.vlan)) };
        Flow { user_vlan, vlan: self.vlan }
    }

    /// The user side as the tables print it.
    pub(crate) fn flow_parameter(&self) -> String {
        self.flow().user_vlan.map_or_else(|| "untag".to_owned(), |vlan| vlan.to_string())
    }
}

/// Everything `save` saves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Host name.
    pub sysname: String,
    /// PON ports.
    pub ports: BTreeMap<PonPath, PortConfig>,
    /// VLANs.
    pub vlans: BTreeMap<u16, Vlan>,
    /// DBA profiles.
    pub dba_profiles: BTreeMap<u32, DbaProfile>,
    /// Traffic tables.
    pub traffic_tables: BTreeMap<u32, TrafficTable>,
    /// Line profiles.
    pub line_profiles: BTreeMap<u32, LineProfile>,
    /// Service profiles.
    pub srv_profiles: BTreeMap<u32, SrvProfile>,
    /// TR-069 server profiles.
    pub tr069_profiles: BTreeMap<u32, Tr069Profile>,
    /// Registrations by port and ONT id.
    pub onts: BTreeMap<PonPath, BTreeMap<u8, Ont>>,
    /// Service ports by index.
    pub service_ports: BTreeMap<u32, ServicePort>,
}

impl Config {
    /// Where a serial is registered.
    pub fn find(&self, serial: Serial) -> Option<(PonPath, u8, &Ont)> {
        self.onts.iter().find_map(|(pon, onts)| {
            onts.iter().find(|(_, ont)| ont.serial == serial).map(|(id, ont)| (*pon, *id, ont))
        })
    }

    /// The registration at a place.
    pub fn ont(&self, pon: PonPath, id: u8) -> Option<&Ont> {
        self.onts.get(&pon)?.get(&id)
    }

    /// The registration at a place, to change it.
    pub fn ont_mut(&mut self, pon: PonPath, id: u8) -> Option<&mut Ont> {
        self.onts.get_mut(&pon)?.get_mut(&id)
    }

    /// Lowest free ONT id of a port.
    pub fn free_ont_id(&self, pon: PonPath) -> Option<u8> {
        (0..=MAX_ONT_ID).find(|id| self.ont(pon, *id).is_none())
    }

    /// Lowest free service-port index.
    pub fn free_service_port(&self) -> u32 {
        (0..u32::MAX).find(|index| !self.service_ports.contains_key(index)).unwrap_or(u32::MAX)
    }

    /// Indexes of the service ports of an ONT.
    pub fn service_ports_of(&self, pon: PonPath, ont: u8) -> Vec<u32> {
        self.service_ports.iter().filter(|(_, sp)| sp.pon == pon && sp.ont == ont).map(|(i, _)| *i).collect()
    }

    /// How many ONTs use a line profile.
    pub fn line_profile_bindings(&self, id: u32) -> usize {
        self.onts.values().flat_map(BTreeMap::values).filter(|ont| ont.line_profile == id).count()
    }

    /// How many ONTs use a service profile.
    pub fn srv_profile_bindings(&self, id: u32) -> usize {
        self.onts.values().flat_map(BTreeMap::values).filter(|ont| ont.srv_profile == id).count()
    }
}

/// Optical readings: powers in hundredths of dBm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Optics {
    /// Power the ONU receives.
    pub rx_power_cdbm: i32,
    /// Power the ONU sends.
    pub tx_power_cdbm: i32,
    /// Power the OLT receives of it.
    pub olt_rx_power_cdbm: i32,
    /// Module temperature, °C.
    pub temperature_c: i32,
    /// Supply, mV.
    pub voltage_mv: i32,
    /// Laser bias, mA.
    pub bias_ma: i32,
    /// Fibre length, m.
    pub distance_m: u32,
}

impl Default for Optics {
    fn default() -> Self {
        Optics {
            rx_power_cdbm: -1_950,
            tx_power_cdbm: 221,
            olt_rx_power_cdbm: -2_110,
            temperature_c: 42,
            voltage_mv: 3_300,
            bias_ma: 9,
            distance_m: 1_250,
        }
    }
}

/// An ONU in somebody's home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Onu {
    /// PON serial.
    pub serial: Serial,
    /// Equipment id as OMCI reports it, e.g. `EG8145V5`.
    pub equipment_id: String,
    /// Hardware version, e.g. `168D.A`.
    pub hardware_version: String,
    /// Software version, e.g. `V5R020C00S115`.
    pub software_version: String,
    /// Vendor's serial on the label.
    #[serde(default)]
    pub equipment_serial: String,
    /// MAC address.
    pub mac: Mac,
    /// Optical readings.
    #[serde(default)]
    pub optics: Optics,
    /// Ethernet ports.
    #[serde(default = "four")]
    pub eth_ports: u8,
    /// Telephone ports.
    #[serde(default)]
    pub pots_ports: u8,
    /// This firmware never gets an address by DHCP on an OMCI-made WAN (seen in the field); static works.
    #[serde(default)]
    pub dhcp_broken: bool,
    /// Where its fibre goes; `None` = not connected.
    #[serde(default)]
    pub pon: Option<PonPath>,
    /// Has power.
    #[serde(default = "yes")]
    pub powered: bool,
    /// Starting until then.
    #[serde(default)]
    pub booting_until: Option<UtcMs>,
}

fn four() -> u8 {
    4
}

fn yes() -> bool {
    true
}

impl Onu {
    /// An ONU with the versions of an EG8145V5, the rest derived from the serial so that every unit differs a little.
    pub fn new(serial: Serial, equipment_id: &str) -> Self {
        let b = serial.bytes();
        let vary = |n: u8, span: i32| i32::from(n) % span;
        Onu {
            serial,
            equipment_id: equipment_id.to_owned(),
            hardware_version: "168D.A".to_owned(),
            software_version: "V5R020C00S115".to_owned(),
            equipment_serial: format!("2150083{}", hex::encode_upper(&b[3..8])),
            mac: Mac([0x00, 0x25, 0x9E, b[5], b[6], b[7]]),
            optics: Optics {
                rx_power_cdbm: -1_700 - vary(b[7], 70) * 10,
                tx_power_cdbm: 190 + vary(b[6], 60),
                olt_rx_power_cdbm: -1_850 - vary(b[7], 70) * 10 - vary(b[6], 30),
                temperature_c: 36 + vary(b[5], 18),
                voltage_mv: 3_240 + vary(b[6], 8) * 10,
                bias_ma: 6 + vary(b[5], 9),
                distance_m: 180 + u32::from(b[7]) * 23,
            },
            eth_ports: 4,
            pots_ports: 1,
            dhcp_broken: false,
            pon: None,
            powered: true,
            booting_until: None,
        }
    }
}

/// The link of a registered ONT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Link {
    /// No light, deactivated, or somewhere else.
    #[default]
    Offline,
    /// Ranging and authenticating.
    Registering {
        /// Done at.
        until: UtcMs,
    },
    /// Up.
    Online {
        /// Since.
        since: UtcMs,
    },
}

/// What the box remembers of the link of an ONU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRecord {
    /// Now.
    pub link: Link,
    /// Last time it came up.
    pub last_up_at: Option<UtcMs>,
    /// Last time it went down.
    pub last_down_at: Option<UtcMs>,
    /// Why.
    pub last_down_cause: Option<String>,
    /// Last dying gasp.
    pub last_dying_gasp_at: Option<UtcMs>,
    /// A reason recorded before the link drops (reset by command, deactivated).
    pub pending_cause: Option<String>,
    /// The TR-069 binding in force on the ONT itself (differs from the configured one until a reset where
    /// [`Quirks::tr069_needs_reset`](super::spec::Quirks::tr069_needs_reset) holds).
    pub tr069_in_force: Option<u32>,
}

/// An ONU reachable on its management WAN, with what its TR-069 client was told by OMCI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Managed {
    /// PON serial.
    pub serial: Serial,
    /// Equipment id.
    pub equipment_id: String,
    /// MAC.
    pub mac: Mac,
    /// PON port.
    pub pon: PonPath,
    /// ONT id.
    pub ont_id: u8,
    /// ACS URL of the bound profile.
    pub acs_url: String,
    /// ACS user.
    pub acs_user: String,
    /// ACS password.
    pub acs_password: Secret,
    /// VLAN of the management WAN.
    pub mgmt_vlan: u16,
    /// Address on it.
    pub ip: Ipv4Addr,
    /// Netmask.
    pub mask: Ipv4Addr,
    /// Gateway.
    pub gateway: Option<Ipv4Addr>,
    /// Everything the OLT carries of it, management included.
    #[serde(default)]
    pub flows: Vec<Flow>,
}

/// A management WAN about to come up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Managing {
    /// Up at.
    pub at: UtcMs,
    /// With this.
    pub managed: Managed,
}

/// An unregistered ONU the box sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// When it shows in the list.
    pub at: UtcMs,
    /// The event has been told.
    pub announced: bool,
}

/// Fibres, ONUs and their links.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plant {
    /// ONUs that exist.
    pub onus: BTreeMap<Serial, Onu>,
    /// PON ports whose feeder is cut.
    pub cut: BTreeSet<PonPath>,
    /// Links of registered ONUs.
    pub links: BTreeMap<Serial, LinkRecord>,
    /// Lit but unregistered ONUs.
    pub autofind: BTreeMap<Serial, Found>,
    /// Management WANs coming up.
    pub managing: BTreeMap<Serial, Managing>,
    /// Management WANs up.
    pub managed: BTreeMap<Serial, Managed>,
    /// DHCP leases.
    pub leases: BTreeMap<Serial, Ipv4Addr>,
}

/// The whole box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OltState {
    /// Which box.
    pub model: Model,
    /// Last start.
    pub booted_at: UtcMs,
    /// Starting until then; every service is closed.
    pub down_until: Option<UtcMs>,
    /// Boards by slot.
    pub boards: BTreeMap<u8, Board>,
    /// Running configuration.
    pub config: Config,
    /// Saved configuration: what a restart comes back with.
    pub startup: Config,
    /// `save` running until then.
    pub saving_until: Option<UtcMs>,
    /// Session that asked for it.
    pub saving_for: Option<u64>,
    /// The world outside.
    pub plant: Plant,
}

impl OltState {
    /// A box as first found.
    pub fn new(spec: &OltSpec, now: UtcMs) -> Self {
        let board = |name: &str, status: &str, pon_ports| Board {
            name: name.to_owned(),
            status: status.to_owned(),
            pon_ports,
        };
        let boards: BTreeMap<u8, Board> = match spec.model {
            Model::Ma5800X7 => [
                (1, board("H901GPHF", "Normal", 16)),
                (2, board("H901GPHF", "Normal", 16)),
                (8, board("H901MPLA", "Active_normal", 0)),
                (9, board("H901MPLA", "Standby_normal", 0)),
            ]
            .into(),
            Model::Ma5608t => [
                (0, board("H807GPBH", "Normal", 8)),
                (1, board("H805GPFD", "Normal", 16)),
                (2, board("H801MCUD1", "Active_normal", 0)),
                (4, board("H801MPWE", "Normal", 0)),
            ]
            .into(),
        };
        let mut config = Config { sysname: spec.name.clone(), ..Config::default() };
        for (slot, board) in &boards {
            for port in 0..board.pon_ports {
                config.ports.insert(PonPath { frame: 0, slot: *slot, port }, PortConfig::default());
            }
        }
        super::preset::fill(&mut config, &spec.preset);
        OltState {
            model: spec.model,
            booted_at: now,
            down_until: None,
            boards,
            startup: config.clone(),
            config,
            saving_until: None,
            saving_for: None,
            plant: Plant::default(),
        }
    }

    /// True if the running configuration is what a restart would come back with.
    pub fn is_saved(&self) -> bool {
        self.config == self.startup
    }

    /// True if the box has that PON port.
    pub fn has_port(&self, pon: PonPath) -> bool {
        pon.frame == 0 && self.boards.get(&pon.slot).is_some_and(|board| pon.port < board.pon_ports)
    }

    /// The link of a registered serial.
    pub fn link(&self, serial: Serial) -> Link {
        self.plant.links.get(&serial).map(|record| record.link).unwrap_or_default()
    }

    /// True if that registered serial is online.
    pub fn is_online(&self, serial: Serial) -> bool {
        matches!(self.link(serial), Link::Online { .. })
    }

    /// True if the service profile fits the ONU's ports (`Match state`).
    pub fn matches_profile(&self, ont: &Ont) -> bool {
        let fits = |want: PortCount, has: u8| match want {
            PortCount::Adaptive => true,
            PortCount::Fixed(n) => n == has,
        };
        match (self.config.srv_profiles.get(&ont.srv_profile), self.plant.onus.get(&ont.serial)) {
            (Some(srv), Some(onu)) => fits(srv.eth, onu.eth_ports) && fits(srv.pots, onu.pots_ports),
            _ => true,
        }
    }
}
