//! What OLTs tell us, in one vocabulary for all vendors. Numbers keep their unit in the name; what an OLT prints as
//! `-` is `None`.

use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::Ipv4Addr};
use types::{Mac, PonPath, Serial};

/// An ONU that announces itself and is not registered (autofind).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetectedOnu {
    /// PON serial number.
    pub serial: Serial,
    /// Where the light comes from.
    pub pon: PonPath,
    /// Vendor id, e.g. `HWTC`.
    pub vendor: Option<String>,
    /// Model as the ONU announces it, e.g. `EG8145V5`.
    pub equipment_id: Option<String>,
    /// Hardware version.
    pub hardware_version: Option<String>,
    /// Running software.
    pub software_version: Option<String>,
    /// Vendor's customisation text.
    pub customized_info: Option<String>,
    /// MAC address (newer OLT software only).
    pub mac: Option<Mac>,
    /// The vendor's own equipment serial number (newer OLT software only).
    pub equipment_serial: Option<String>,
    /// When the OLT found it, in the OLT's own notation: its zone and even its year cannot be trusted.
    pub found_at: Option<String>,
}

/// Whether an ONU is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Ranged and managed.
    Online,
    /// Not there.
    Offline,
    /// The OLT says something else.
    Unknown,
}

/// Whether the OMCI configuration reached the ONU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigState {
    /// Not yet tried.
    Initial,
    /// On its way.
    Configuring,
    /// Applied.
    Normal,
    /// The ONU refused a part of it.
    Failed,
    /// The OLT says something else.
    Unknown,
}

/// Whether the ONU's abilities fit the service profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MatchState {
    /// Not yet known.
    Initial,
    /// They fit.
    Match,
    /// They do not: registered, but the service profile names ports that the model does not have.
    Mismatch,
    /// The OLT says something else.
    Unknown,
}

/// One registered ONU in the list of its PON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnuRow {
    /// PON port.
    pub pon: PonPath,
    /// Id on the PON.
    pub onu_id: u16,
    /// Serial number as printed.
    pub serial_text: String,
    /// The serial number, if the text is one.
    pub serial: Option<Serial>,
    /// Administratively active.
    pub active: bool,
    /// Run state.
    pub run_state: RunState,
    /// Configuration state.
    pub config_state: ConfigState,
    /// Match state.
    pub match_state: MatchState,
    /// Description, folded lines joined. A blank at a fold is lost: never a key.
    pub description: Option<String>,
}

/// Everything the OLT says about one registered ONU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnuRecord {
    /// PON port.
    pub pon: PonPath,
    /// Id on the PON.
    pub onu_id: u16,
    /// Serial number as printed.
    pub serial_text: String,
    /// The serial number, if the text is one.
    pub serial: Option<Serial>,
    /// Run state.
    pub run_state: RunState,
    /// Configuration state.
    pub config_state: ConfigState,
    /// Match state.
    pub match_state: MatchState,
    /// Description.
    pub description: Option<String>,
    /// Fibre distance, metres.
    pub distance_m: Option<u32>,
    /// Why it went away last, in the OLT's words.
    pub last_down_cause: Option<String>,
    /// Line profile.
    pub line_profile_id: Option<u32>,
    /// Service profile.
    pub service_profile_id: Option<u32>,
    /// GEM ports of its line profile.
    pub gemports: Vec<u16>,
    /// T-CONTs of its line profile.
    pub tconts: Vec<u16>,
    /// Whether the line profile lets the OLT hand out the ACS by OMCI.
    pub acs_management: Option<bool>,
    /// The bound ACS profile.
    pub acs_profile_id: Option<u32>,
    /// Everything else, by the OLT's own label in snake case; the second use of a label gets `#2`.
    pub fields: BTreeMap<String, String>,
}

/// State, cause and optics of one ONU in a PON's summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnuSummary {
    /// PON port.
    pub pon: PonPath,
    /// Id on the PON.
    pub onu_id: u16,
    /// Run state.
    pub run_state: RunState,
    /// Last time up, in the OLT's notation.
    pub last_up: Option<String>,
    /// Last time down, in the OLT's notation.
    pub last_down: Option<String>,
    /// Why it went away last, in the OLT's words.
    pub last_down_cause: Option<String>,
    /// Serial number as printed.
    pub serial_text: String,
    /// The serial number, if the text is one.
    pub serial: Option<Serial>,
    /// Model.
    pub model: Option<String>,
    /// Fibre distance, metres.
    pub distance_m: Option<u32>,
    /// Light the ONU receives, hundredths of dBm.
    pub rx_power_cdbm: Option<i32>,
    /// Light the ONU sends, hundredths of dBm.
    pub tx_power_cdbm: Option<i32>,
    /// Description.
    pub description: Option<String>,
}

/// Optics of one ONU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnuOptics {
    /// Id on the PON.
    pub onu_id: u16,
    /// Light the ONU receives, hundredths of dBm.
    pub rx_power_cdbm: Option<i32>,
    /// Light the ONU sends, hundredths of dBm.
    pub tx_power_cdbm: Option<i32>,
    /// Light the OLT receives from the ONU, hundredths of dBm.
    pub olt_rx_power_cdbm: Option<i32>,
    /// Temperature, °C.
    pub temperature_c: Option<i32>,
    /// Supply, millivolts.
    pub voltage_mv: Option<i32>,
    /// Laser bias current, mA.
    pub current_ma: Option<i32>,
    /// Fibre distance, metres.
    pub distance_m: Option<u32>,
}

/// One service port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePortRow {
    /// The OLT's index of it.
    pub index: u32,
    /// Network-side VLAN.
    pub vlan: u16,
    /// VLAN attribute: `common`, `stacking`, …
    pub vlan_attribute: String,
    /// `gpon`, `epon`, `eth` …
    pub port_type: String,
    /// PON port.
    pub pon: PonPath,
    /// ONU id (the VPI column).
    pub onu_id: Option<u16>,
    /// GEM port (the VCI column).
    pub gemport: Option<u16>,
    /// `vlan`, `encap`, …
    pub flow_type: String,
    /// Its value as printed.
    pub flow_parameter: Option<String>,
    /// User-side VLAN, when the flow is told by VLAN.
    pub user_vlan: Option<u16>,
    /// The flow is the frames without a tag.
    #[serde(default)]
    pub untagged: bool,
    /// Traffic table towards the network.
    pub traffic_in: Option<u32>,
    /// Traffic table towards the customer.
    pub traffic_out: Option<u32>,
    /// Forwarding.
    pub up: bool,
}

/// Management address of an ONU (OMCI IP host).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagementRow {
    /// IP host index.
    pub ip_index: u8,
    /// How it gets its address.
    pub kind: AddressKind,
    /// The address, if it has one.
    pub address: Option<Ipv4Addr>,
    /// VLAN.
    pub vlan: Option<u16>,
    /// 802.1p priority.
    pub priority: Option<u8>,
    /// MAC address of this host, where the OLT knows it. Not always the one on the label.
    #[serde(default)]
    pub mac: Option<Mac>,
}

/// An address that an OLT sees an ONU under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostAddress {
    /// The address.
    pub address: Ipv4Addr,
    /// VLAN it is on, where the OLT says so.
    pub vlan: Option<u16>,
    /// MAC address behind it, where the OLT says so.
    pub mac: Option<Mac>,
}

/// An OLT's word on the management address of one of its ONUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ManagementWord {
    /// The addresses it has. None: it is to have one, and has none now.
    Has(Vec<HostAddress>),
    /// This OLT cannot say, and why, in words that go on after "the OLT cannot tell:".
    CannotTell(String),
    /// Another ONU, or none, is registered at that place, or the ONU is not online.
    NotThere,
}

/// How an address is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressKind {
    /// By DHCP.
    Dhcp,
    /// Fixed.
    Static,
    /// By PPPoE.
    Pppoe,
    /// Anything else, including not set.
    Other,
}

/// One profile in a list of profiles.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRow {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// How many ONUs use it.
    pub bindings: Option<u32>,
}

/// A line profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineProfile {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// GEM ports, empty if the OLT prints none.
    pub gemports: Vec<u16>,
    /// Whether the OLT may hand out the ACS by OMCI.
    pub acs_management: Option<bool>,
}

/// Where an OLT sends the CPEs behind its ONUs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcsProfile {
    /// Its id.
    pub id: u32,
    /// Its name.
    pub name: String,
    /// The address of the ACS, where the OLT prints it.
    pub url: Option<String>,
}

/// A DBA profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DbaProfile {
    /// Its id.
    pub id: u32,
    /// T-CONT type 1 to 5.
    pub kind: u8,
    /// Fixed bandwidth, kbit/s.
    pub fixed_kbps: u32,
    /// Assured bandwidth, kbit/s.
    pub assured_kbps: u32,
    /// Maximum bandwidth, kbit/s.
    pub max_kbps: u32,
    /// How many T-CONTs use it.
    pub bindings: u32,
}

/// A board in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// Slot.
    pub slot: u8,
    /// Type, e.g. `H805GPFD`.
    pub name: String,
    /// Status in the OLT's words, e.g. `Normal`.
    pub status: String,
}

/// A PON port of a board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PonPort {
    /// Port number.
    pub port: u8,
    /// `GPON`, `XGPON` …
    pub kind: String,
    /// Whether its optical module is there and lit.
    pub optics_online: bool,
}

/// Which OLT this is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Version {
    /// Software version, e.g. `MA5800V100R019C10`.
    pub version: String,
    /// Patch.
    pub patch: Option<String>,
    /// Product, e.g. `MA5800-X7`.
    pub product: Option<String>,
    /// Uptime in the OLT's words.
    pub uptime: Option<String>,
}

impl Version {
    /// Its uptime in seconds. None: it says none, or in other words than `20 day(s), 23 hour(s), …`.
    pub fn uptime_s(&self) -> Option<u64> {
        let mut total: u64 = 0;
        for part in self.uptime.as_ref()?.split(',') {
            let mut words = part.split_whitespace();
            let (count, unit): (u64, &str) = (words.next()?.parse().ok()?, words.next()?);
            let unit_s = match unit.trim_end_matches("(s)").trim_end_matches('s') {
                "day" => 86_400,
                "hour" => 3_600,
                "minute" => 60,
                "second" => 1,
                _ => return None,
            };
            total = total.checked_add(count.checked_mul(unit_s)?)?;
        }
        Some(total)
    }
}

/// A VLAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vlan {
    /// Its id.
    pub id: u16,
    /// Its name.
    pub name: Option<String>,
    /// `standard`, `smart`, `mux`, `super`.
    pub kind: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_an_olt_runs_is_read_or_not_known() {
        let runs = |text: &str| Version { uptime: Some(text.to_owned()), ..Version::default() }.uptime_s();
        assert_eq!(runs("20 day(s), 23 hour(s), 19 minute(s), 16 second(s)"), Some(1_811_956));
        assert_eq!(runs("1 hour, 2 seconds"), Some(3_602));
        for odd in
            ["", "a while", "5", "1 fortnight", "99999999999999999999 day(s)", "9999999999999999999 day(s)"]
        {
            assert_eq!(runs(odd), None, "{odd:?}");
        }
        assert_eq!(Version::default().uptime_s(), None);
    }
}
