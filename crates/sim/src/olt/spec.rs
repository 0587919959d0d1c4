//! What a simulated OLT is made of: its description in a scenario file.

use serde::{Deserialize, Serialize};
use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};
use types::Secret;

/// The two families of Huawei SmartAX that are played; they differ in boards, banner, autofind keys and in which
/// commands ask back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// MA5800-X7: 16-port GPON boards in slots 1 and 2, control boards in 8 and 9.
    #[default]
    Ma5800X7,
    /// MA5608T: 8-port and 16-port GPON boards in slots 0 and 1, control board in slot 2; the older autofind block
    /// (no MAC, no equipment serial).
    Ma5608t,
}

impl Model {
    /// The name `display version` prints.
    pub fn product(self) -> &'static str {
        match self {
            Model::Ma5800X7 => "MA5800-X7",
            Model::Ma5608t => "MA5608T",
        }
    }

    /// The software version `display version` prints.
    pub fn version(self) -> &'static str {
        match self {
            Model::Ma5800X7 => "MA5800V100R021C00",
            Model::Ma5608t => "MA5600V800R018C10",
        }
    }
}

/// A CLI user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// Login name.
    pub name: String,
    /// Password.
    pub password: Secret,
}

/// Behaviour that differs between builds of the same software. Every default is the calm build; tests switch the
/// traps on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// `ont add` prints nothing at all on success: only a read-back tells.
    pub silent_ont_add: bool,
    /// `ont reset` asks `(y/n)`.
    pub confirm_ont_reset: bool,
    /// `ont delete` asks `(y/n)`.
    pub confirm_ont_delete: bool,
    /// `undo service-port <index>` asks `(y/n)` as the range forms do.
    pub confirm_single_undo: bool,
    /// The ONT only takes its TR-069 binding at its next start (`ont reset` needed).
    pub tr069_needs_reset: bool,
    /// Width at which messages fold. Captured failures fold near 60 columns although the terminal has 80.
    pub wrap_columns: usize,
    /// Terminal rows per page before `scroll`.
    pub page_rows: usize,
    /// After every n-th command an alarm is printed inside the reply; 0 = never. `infoswitch cli OFF` silences it.
    pub alarm_every: u64,
    /// The autofind list ends without its count, as old software prints it.
    pub short_autofind: bool,
    /// After login a page must be accepted with `yes` before the first prompt.
    pub login_page: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Quirks {
            silent_ont_add: false,
            confirm_ont_reset: true,
            confirm_ont_delete: false,
            confirm_single_undo: false,
            tr069_needs_reset: false,
            wrap_columns: 60,
            page_rows: 24,
            alarm_every: 0,
            short_autofind: false,
            login_page: false,
        }
    }
}

/// How long things take, in milliseconds of the clock the OLT is handed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// From light to the autofind list.
    pub autofind_ms: u64,
    /// From light (with a registration) to online.
    pub register_ms: u64,
    /// Start of an ONU after power on or reset, until it sends light again.
    pub boot_ms: u64,
    /// From online with management complete to an address on the management WAN.
    pub manage_ms: u64,
    /// Duration of `save`.
    pub save_ms: u64,
    /// Duration of a restart of the OLT.
    pub olt_boot_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            autofind_ms: 500,
            register_ms: 1_500,
            boot_ms: 4_000,
            manage_ms: 1_500,
            save_ms: 2_000,
            olt_boot_ms: 5_000,
        }
    }
}

impl Timing {
    /// Everything happens at once: for tests of the dialogue alone.
    pub fn immediate() -> Self {
        Timing { autofind_ms: 0, register_ms: 0, boot_ms: 0, manage_ms: 0, save_ms: 0, olt_boot_ms: 0 }
    }
}

/// Which SSH algorithms the box offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SshAlgorithms {
    /// curve25519, ed25519 host key, AES-CTR/GCM.
    #[default]
    Modern,
    /// Only what the oldest software in the field offers: diffie-hellman-group1-sha1, ssh-rsa, 3des-cbc/aes128-cbc,
    /// hmac-sha1.
    LegacyOnly,
}

/// Where the box listens. `None` = that service is off. Port 0 = any free port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// SSH.
    pub ssh: Option<SocketAddr>,
    /// Telnet.
    pub telnet: Option<SocketAddr>,
    /// SNMP (UDP).
    pub snmp: Option<SocketAddr>,
    /// What SSH offers.
    pub ssh_algorithms: SshAlgorithms,
    /// SNMP read community.
    pub community: Secret,
}

impl Default for Listen {
    fn default() -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Listen {
            ssh: Some(any),
            telnet: Some(any),
            snmp: Some(any),
            ssh_algorithms: SshAlgorithms::Modern,
            community: Secret::new("public"),
        }
    }
}

/// The management network behind the OLT, from which DHCP answers the management WAN of ONUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ManagementPool {
    /// First address handed out. On one machine take a range of 127/8: every address there reaches the same host, so
    /// each simulated CPE can have one of its own.
    pub first: Ipv4Addr,
    /// Addresses in the pool.
    pub size: u32,
    /// Netmask.
    pub mask: Ipv4Addr,
    /// Gateway.
    pub gateway: Ipv4Addr,
}

impl Default for ManagementPool {
    fn default() -> Self {
        ManagementPool {
            first: Ipv4Addr::new(127, 20, 0, 10),
            size: 60_000,
            mask: Ipv4Addr::new(255, 255, 0, 0),
            gateway: Ipv4Addr::new(127, 20, 0, 1),
        }
    }
}

impl ManagementPool {
    /// The part of a subnet (`10.20.0.0/16`) that the `nth` of `of` OLTs hands out, so that no two hand out the same
    /// address. `None` if the text is no IPv4 subnet or leaves fewer than ten addresses to each.
    pub fn share_of(subnet: &str, nth: usize, of: usize) -> Option<ManagementPool> {
        let (base, length) = subnet.trim().split_once('/')?;
        let (base, length): (Ipv4Addr, u32) = (base.parse().ok()?, length.parse().ok()?);
        // The first ten addresses of each part are for routers and whoever else lives there.
        const KEPT: u32 = 10;
        let hosts = 1_u32.checked_shl(32_u32.checked_sub(length)?)?;
        let share = hosts / u32::try_from(of.max(1)).ok()?;
        let mask = u32::MAX << (32 - length);
        let network = u32::from(base) & mask;
        let start = network + share * u32::try_from(nth).ok()?;
        let size = share.checked_sub(2 * KEPT).filter(|size| *size >= KEPT)?.min(60_000);
        Some(ManagementPool {
            first: Ipv4Addr::from(start + KEPT),
            size,
            mask: Ipv4Addr::from(mask),
            gateway: Ipv4Addr::from(network + 1),
        })
    }
}

/// What an engineer configured on the box before we came: VLANs, profiles, traffic tables, the TR-069 profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preset {
    /// False leaves the box empty: only the built-in default profiles.
    pub provisioned: bool,
    /// VLAN of the internet service, GEM 1 of line profile 10.
    pub internet_vlan: u16,
    /// VLAN of the management WAN, GEM 2 of line profile 10.
    pub management_vlan: u16,
    /// ACS URL of TR-069 server profile 1; empty = the profile does not exist.
    pub acs_url: String,
    /// ACS user of that profile.
    pub acs_user: String,
    /// ACS password of that profile.
    pub acs_password: Secret,
}

impl Default for Preset {
    fn default() -> Self {
        Preset {
            provisioned: true,
            internet_vlan: 100,
            management_vlan: 200,
            acs_url: String::new(),
            acs_user: String::new(),
            acs_password: Secret::default(),
        }
    }
}

/// A simulated OLT, as a scenario describes it. Everything has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OltSpec {
    /// Host name in the prompt.
    pub name: String,
    /// Which box.
    pub model: Model,
    /// Seed of everything random about it.
    pub seed: u64,
    /// CLI users.
    pub users: Vec<UserSpec>,
    /// Sessions one user may have open (`Reenter Num`).
    pub max_sessions: usize,
    /// Idle time after which a session is closed, seconds.
    pub idle_timeout_s: u64,
    /// Build differences.
    pub quirks: Quirks,
    /// Durations.
    pub timing: Timing,
    /// Sockets.
    pub listen: Listen,
    /// Management network.
    pub pool: ManagementPool,
    /// Configuration found at first start.
    pub preset: Preset,
    /// Folder for state, record and host key; `None` = all in memory.
    pub state_dir: Option<PathBuf>,
}

impl Default for OltSpec {
    fn default() -> Self {
        OltSpec {
            name: "MA5800-X7".to_owned(),
            model: Model::default(),
            seed: 1,
            users: vec![UserSpec { name: "lightkeeper".to_owned(), password: Secret::new("lightkeeper") }],
            max_sessions: 4,
            idle_timeout_s: 300,
            quirks: Quirks::default(),
            timing: Timing::default(),
            listen: Listen::default(),
            pool: ManagementPool::default(),
            preset: Preset::default(),
            state_dir: None,
        }
    }
}
