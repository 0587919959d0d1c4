//! Replies that are shown or compared but that nothing decides on: read as records of text, their shape as data.

use super::lex::{self, Record};
use crate::parser::ParseError;
use regex::Regex;

/// How a reply is laid out.
#[derive(Debug, Clone, Copy)]
pub enum Layout {
    /// Rows matching an expression; its named groups are the fields. Rows that start with a number or a port and do
    /// not match are an error.
    Rows(&'static str),
    /// Sections between dashed lines; those with that label are records.
    Sections(&'static str),
    /// `label   value` without a colon, one record.
    Columns,
}

/// A reply by name.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Which reply, for errors.
    pub name: &'static str,
    /// Its layout.
    pub layout: Layout,
}

macro_rules! shapes {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $layout:expr;)*) => {$(
        $(#[$doc])*
        pub const $id: Shape = Shape { name: $name, layout: $layout };
    )*};
}

shapes! {
    /// `display board serial-number`
    BOARD_SERIALS = "board serial numbers", Layout::Rows(r"^\s*(?P<slot_id>\d+)(?:\s+(?P<board_name>[A-Z]\S*)\s+(?P<serial_number>\S+))?\s*$");
    /// `display frame info`
    FRAMES = "frames", Layout::Rows(r"^\s*(?P<frame_id>\d+)\s+(?P<frame_type>\S+)\s+(?P<frame_state>\S+)\s*$");
    /// `display mac-address …`, `display location <mac>`
    MAC_TABLE = "MAC table", Layout::Rows(r"^\s*(?P<service_port_index>\d+|-)\s+(?P<bundle_index>\d+|-)\s+(?P<type>[a-z]+)\s+(?P<mac>\S{14})\s+(?P<mac_type>\S+)\s+(?P<fsp>\d+\s*/\s*\d+\s*/\s*\d+)\s+(?P<ont_id>\S+)\s+(?P<gem_index>\S+)\s+(?P<vlan_id>\S+)\s*$");
    /// `display mac-address ont …`
    ONU_MACS = "MAC table of ONUs", Layout::Rows(r"^\s*(?P<fsp>\d+\s*/\s*\d+\s*/\s*\d+)\s+(?P<ont_id>\d+)\s+(?P<ont_port_type>\S+)\s+(?P<ont_port_id>\S+)\s+(?P<mac>\S{14})\s+(?P<vlan_id>\S+)\s*$");
    /// `display location <mac> ont`
    ONU_LOCATION = "location of a MAC address", Layout::Rows(r"^\s*(?P<mac_address>[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4})\s+(?P<mac_address_type>\S+)\s+(?P<fsp>\d+\s*/\s*\d+\s*/\s*\d+)\s+(?P<ont_id>\d+)\s+(?P<port_id>\d+)\s+(?P<port_type>\S+)\s+(?P<vlan_id>\S+)\s*$");
    /// `display ont port state … eth-port`
    ONU_PORTS = "ports of an ONU", Layout::Rows(r"^\s*(?P<ont_id>\d+)\s+(?P<ont_port_id>\d+)\s+(?P<ont_port_type>\S+)\s+(?P<speed_mbps>\S+)\s+(?P<duplex>\S+)\s+(?P<link_state>\S+)\s+(?P<ring_status>\S+)\s*$");
    /// `display ont port vlan … byport`
    ONU_PORT_VLANS = "VLANs of an ONU port", Layout::Rows(r"^\s*(?P<port_type>eth|ETH|iphost|IPHOST)\s+(?P<port_id>\d+)\s+(?P<c_vlan>\S+)\s+(?P<c_pri>\S+)\s+(?P<eth_type>\S+)\s+(?P<vlan_type>\S+)\s+(?P<s_vlan>\S+)\s+(?P<s_pri>\S+)\s+(?P<s_pri_policy>\S+)\s*$");
    /// `display ont port vlan … byvlan`
    ONU_VLAN_PORTS = "ports of an ONU VLAN", Layout::Rows(r"^\s*(?P<c_vlan>\d+)\s+(?P<c_pri>\S+)\s+(?P<eth_type>\S+)\s+(?P<vlan_type>\S+)\s+(?P<port_type>[A-Z]+)\s+(?P<port_id>\d+)\s+(?P<s_vlan>\S+)\s+(?P<s_pri>\S+)\s+(?P<s_pri_policy>\S+)\s*$");
    /// `display ont snmp-profile … all`
    ONU_SNMP_PROFILES = "SNMP profiles of ONUs", Layout::Rows(r"^\s*(?P<ont_id>\d+)\s+(?P<snmp_profile_id>\d+)\s+(?P<snmp_profile_name>\S.*?)\s*$");
    /// `display ont version summary`
    ONU_VERSIONS = "ONU versions", Layout::Rows(r"^\s*(?P<access_type>[GEX]\S*PON|GPON|EPON)\s+(?P<vendor_id>\S+)\s+(?P<ont_model>\S+)\s+(?P<software_version>\S+)\s+(?P<online>\d+)\s+(?P<offline>\d+)\s*$");
    /// `display ont wan-info`
    ONU_WAN = "WAN connections of an ONU", Layout::Sections("index");
    /// `display ont wlan-info`
    ONU_WLAN = "Wi-Fi of an ONU", Layout::Sections("ssid_index");
    /// `display ont wlan-status`
    ONU_WLAN_STATUS = "Wi-Fi status of an ONU", Layout::Sections("ap_id");
    /// `display port info`
    PORT_INFO = "PON port", Layout::Columns;
    /// `display sysman service state`
    SERVICES = "network services", Layout::Rows(r"^\s*(?P<network_service>[a-z][a-z0-9-]*)\s{2,}(?P<port>\d+|-+)\s+(?P<state>enable|disable|-+)\s*$");
    /// `display temperature`
    TEMPERATURES = "temperatures", Layout::Rows(r"^\s*SlotID:\s*(?P<slotid>\d+)\s+BoardName:\s*(?P<boardname>\S+)\s+Temperature:\s*(?P<temperature_c>-?\d+)C\(\s*(?P<temperature_d>-?\d+)F\)\s*$");
    /// `display version`, per mainboard
    MAINBOARDS = "mainboards", Layout::Sections("current_program_area");
    /// `display terminal user name`
    TERMINAL_USERS = "terminal users", Layout::Rows(r"^\s*(?P<name>[A-Za-z0-9_.-]+)\s+(?P<level>Admin|Operator|User|Common|Super|Guest)\s+(?P<status>Online|Offline)\s+(?P<reenter>\d+)\s+(?P<profile>\S+)\s+(?P<append>\S.*?)\s*$");
    /// `display current-configuration … | include "monitor uplink-port"`
    UPLINKS = "uplink ports", Layout::Rows(r"^\s*monitor uplink-port traffic port (?P<fsp>\d+/\d+/\d+)\s*$");
    /// `port vlan …`
    PORT_VLAN_RESULT = "port VLAN result", Layout::Rows(r"^\s*Set ONT port\(s\) VLAN configuration, success: (?P<success>\d+), failed: (?P<failed>\d+)\s*$");
}

/// Reads a reply as records of text. `-` becomes an empty text.
///
/// # Errors
/// [`ParseError`] when a row cannot be read or the declared total differs.
pub fn records(shape: Shape, text: &str) -> Result<Vec<Record>, ParseError> {
    match shape.layout {
        Layout::Sections(label) => {
            Ok(lex::sections(text).iter().map(|s| lex::record(s)).filter(|r| r.contains_key(label)).collect())
        }
        Layout::Columns => {
            let mut out = Record::new();
            for line in text.lines() {
                let line = line.trim();
                if let Some((label, value)) = line.split_once("  ")
                    && !lex::is_rule(line)
                {
                    out.insert(lex::snake(label), lex::value(value).to_owned());
                }
            }
            Ok(vec![out])
        }
        Layout::Rows(expression) => {
            let bad =
                |row: &str| ParseError::Row { what: shape.name, row: row.trim().chars().take(160).collect() };
            let expression = Regex::new(expression).map_err(|e| bad(&e.to_string()))?;
            let mut out = Vec::new();
            let mut declared = None;
            for line in text.lines() {
                if let Some(captures) = expression.captures(line) {
                    let mut record = Record::new();
                    for name in expression.capture_names().flatten() {
                        let text = captures.name(name).map_or("", |m| m.as_str());
                        record.insert(name.to_owned(), lex::value(text).to_owned());
                    }
                    out.push(record);
                } else if let Some(total) = line.trim().strip_prefix("Total") {
                    declared = total.trim_start_matches([' ', ':']).parse().ok();
                } else if line.trim_start().starts_with(|c: char| c.is_ascii_digit()) {
                    return Err(bad(line));
                }
            }
            match declared {
                Some(declared) if declared != out.len() => {
                    Err(ParseError::Total { what: shape.name, declared, found: out.len() })
                }
                _ => Ok(out),
            }
        }
    }
}
