//! The WAN connections in a tree, TR-098 and TR-181 alike, and the network behind them.

use super::{
    tree::{Tree, parent_of},
    values::is_true,
};
use std::collections::BTreeMap;

/// Parameters that hold a VLAN: on the connection, then on its WANConnectionDevice.
const VLAN_ON_CONNECTION: [&str; 7] = [
    "X_HW_VLAN",
    "X_ZTE-COM_VLANID",
    "X_CMCC_VLANIDMark",
    "X_CT-COM_VLANIDMark",
    "X_ITBS_VlanMuxID",
    "VLANID",
    "X_VLANID",
];
const VLAN_ON_DEVICE: [&str; 6] = [
    "X_CT-COM_WANGponLinkConfig.VLANIDMark",
    "X_CT-COM_WANEponLinkConfig.VLANIDMark",
    "X_FH_WANGponLinkConfig.VLANIDMark",
    "X_TP_WANPonLinkConfig.X_TP_VID",
    "WANEthernetLinkConfig.X_TP_VID",
    "X_TDTC_VLAN",
];
/// Parameters that say what a connection is for.
const SERVICE: [&str; 7] = [
    "X_HW_SERVICELIST",
    "X_ZTE-COM_ServiceList",
    "X_CMCC_ServiceList",
    "X_CT-COM_ServiceList",
    "X_FH_ServiceList",
    "X_D0542D_ServiceList",
    "X_TP_ServiceType",
];

/// One account of the access server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The password.
    pub password: String,
    /// The VLAN its PPPoE is answered on; `None` = any.
    pub vlan: Option<u16>,
}

/// The network behind the OLT: the access server and the time servers.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// PPPoE accounts by login.
    pub accounts: BTreeMap<String, Account>,
    /// Logins that are not listed are welcome too (services made by a visitor).
    pub accept_unknown: bool,
    /// Time servers that answer; empty = any name does.
    pub ntp_servers: Vec<String>,
}

/// What the access server says to a PPPoE attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Up.
    Connected,
    /// Wrong login or password.
    Refused,
    /// Nobody answers on that VLAN.
    Silence,
}

impl Network {
    /// A PPPoE attempt on a VLAN of the network; `None` = untagged, or not known.
    pub fn pppoe(&self, username: &str, password: &str, vlan: Option<u16>) -> Answer {
        match self.accounts.get(username) {
            Some(account) if account.vlan.is_some() && vlan.is_some() && account.vlan != vlan => {
                Answer::Silence
            }
            Some(account) if account.password == password => Answer::Connected,
            None if self.accept_unknown && !username.is_empty() && !password.is_empty() => Answer::Connected,
            Some(_) | None => Answer::Refused,
        }
    }
}

/// How a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WanKind {
    /// PPPoE.
    Pppoe,
    /// DHCP or static.
    Ip,
}

/// One WAN connection as the device would run it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wan {
    /// Path of the connection object.
    pub path: String,
    /// How it is made.
    pub kind: WanKind,
    /// It is switched on, with everything it stands on.
    pub enabled: bool,
    /// Frames are passed through; no address.
    pub bridged: bool,
    /// The address is set by hand.
    pub static_address: Option<String>,
    /// The VLAN; `None` if the model has no place for one.
    pub vlan: Option<u16>,
    /// PPPoE login.
    pub username: String,
    /// PPPoE password.
    pub password: String,
    /// What it is for, as the device says: service list and name.
    pub service: String,
}

impl Wan {
    /// True if the device says that this connection carries TR-069 and nothing else.
    pub fn is_marked_management(&self) -> bool {
        let service = self.service.to_ascii_uppercase();
        (service.contains("TR069") || service.contains("MANAGEMENT")) && !service.contains("INTERNET")
    }
}

/// Every WAN connection of the tree.
pub fn wans(tree: &Tree) -> Vec<Wan> {
    if tree.root() == "Device." { tr181(tree) } else { tr098(tree) }
}

fn tr098(tree: &Tree) -> Vec<Wan> {
    let mut found = Vec::new();
    for (device, connection_device) in connection_devices(tree) {
        for (table, kind) in [("WANPPPConnection.", WanKind::Pppoe), ("WANIPConnection.", WanKind::Ip)] {
            let table = format!("{device}WANConnectionDevice.{connection_device}.{table}");
            for number in tree.instances(&table) {
                found.push(connection(tree, format!("{table}{number}."), kind));
            }
        }
    }
    found
}

/// Pairs of `….WANDevice.{wd}.` and the number of a WANConnectionDevice in it.
pub fn connection_devices(tree: &Tree) -> Vec<(String, u32)> {
    let table = format!("{}WANDevice.", tree.root());
    let devices = tree.instances(&table).into_iter().map(|number| format!("{table}{number}."));
    let pairs = |device: String| {
        let numbers = tree.instances(&format!("{device}WANConnectionDevice."));
        numbers.into_iter().map(move |number| (device.clone(), number))
    };
    devices.flat_map(pairs).collect()
}

fn connection(tree: &Tree, path: String, kind: WanKind) -> Wan {
    let text = |name: &str| tree.value(&format!("{path}{name}")).unwrap_or_default().to_owned();
    let above = parent_of(&path).and_then(parent_of).unwrap_or_default();
    let vlan = VLAN_ON_CONNECTION
        .iter()
        .map(|name| format!("{path}{name}"))
        .chain(VLAN_ON_DEVICE.iter().map(|name| format!("{above}{name}")))
        .find_map(|leaf| tree.value(&leaf))
        .and_then(|value| value.parse().ok());
    let service = SERVICE.iter().map(|name| text(name)).find(|value| !value.is_empty()).unwrap_or_default();
    let is_static = kind == WanKind::Ip && text("AddressingType") == "Static";
    Wan {
        kind,
        enabled: is_true(&text("Enable")),
        bridged: text("ConnectionType").contains("Bridged"),
        static_address: is_static.then(|| text("ExternalIPAddress")),
        vlan,
        username: text("Username"),
        password: text("Password"),
        service: format!("{service} {}", text("Name")).trim().to_owned(),
        path,
    }
}

fn tr181(tree: &Tree) -> Vec<Wan> {
    let mut found = Vec::new();
    for number in tree.instances("Device.PPP.Interface.") {
        let path = format!("Device.PPP.Interface.{number}.");
        let text = |name: &str| tree.value(&format!("{path}{name}")).unwrap_or_default().to_owned();
        let (vlan, below_enabled) = below(tree, &text("LowerLayers"), 0);
        found.push(Wan {
            kind: WanKind::Pppoe,
            enabled: is_true(&text("Enable")) && below_enabled,
            bridged: false,
            static_address: None,
            vlan,
            username: text("Username"),
            password: text("Password"),
            service: format!("{} {}", text("X_TP_ServiceType"), text("Alias")).trim().to_owned(),
            path,
        });
    }
    for number in tree.instances("Device.DHCPv4.Client.") {
        let path = format!("Device.DHCPv4.Client.{number}.");
        let text = |name: &str| tree.value(&format!("{path}{name}")).unwrap_or_default().to_owned();
        let interface = text("Interface");
        let lower =
            tree.value(&format!("{}LowerLayers", with_dot(&interface))).unwrap_or_default().to_owned();
        let (vlan, below_enabled) = below(tree, &lower, 0);
        found.push(Wan {
            kind: WanKind::Ip,
            enabled: is_true(&text("Enable")) && below_enabled,
            bridged: false,
            static_address: None,
            vlan,
            username: String::new(),
            password: String::new(),
            service: text("Alias"),
            path,
        });
    }
    found
}

fn with_dot(path: &str) -> String {
    if path.ends_with('.') { path.to_owned() } else { format!("{path}.") }
}

/// The VLAN below an interface, and whether everything below it is switched on.
fn below(tree: &Tree, lower: &str, depth: u8) -> (Option<u16>, bool) {
    let lower = with_dot(lower.split(',').next().unwrap_or_default().trim());
    if depth > 6 || !tree.has(&lower) {
        return (None, true);
    }
    let enabled = tree.value(&format!("{lower}Enable")).is_none_or(is_true);
    let vlan = tree.value(&format!("{lower}VLANID")).and_then(|vlan| vlan.parse().ok());
    let next = tree.value(&format!("{lower}LowerLayers")).unwrap_or_default();
    let (below_vlan, below_enabled) = below(tree, next, depth + 1);
    (vlan.or(below_vlan), enabled && below_enabled)
}

/// Where a connection is, as its status parameters show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown<'a> {
    /// Switched off.
    Down,
    /// Dialling.
    Connecting,
    /// Up, with an address (empty when bridged).
    Up(&'a str),
    /// Failed, with the error of TR-098.
    Failed(&'a str),
}

/// Writes the status parameters of a connection.
pub fn show(tree: &mut Tree, wan: &Wan, shown: Shown<'_>) {
    let path = &wan.path;
    let (status, address, error) = match shown {
        Shown::Down => ("Disconnected", "", "ERROR_NONE"),
        Shown::Connecting => ("Connecting", "", "ERROR_NONE"),
        Shown::Up(address) => ("Connected", address, "ERROR_NONE"),
        Shown::Failed(error) => ("Disconnected", "", error),
    };
    let up = matches!(shown, Shown::Up(_));
    tree.write(&format!("{path}ConnectionStatus"), status);
    tree.write(&format!("{path}LastConnectionError"), error);
    if wan.static_address.is_none() {
        tree.write(&format!("{path}ExternalIPAddress"), if address.is_empty() { "0.0.0.0" } else { address });
        let gateway = address.rsplit_once('.').map_or("0.0.0.0".to_owned(), |(net, _)| format!("{net}.1"));
        tree.write(&format!("{path}DefaultGateway"), &gateway);
        tree.write(&format!("{path}CurrentMRUSize"), if up { "1492" } else { "0" });
    }
    if tree.root() != "Device." {
        return;
    }
    let bound = matches!(shown, Shown::Up(address) if !address.is_empty() && address != "0.0.0.0");
    tree.write(
        &format!("{path}Status"),
        match wan.kind {
            WanKind::Pppoe if up => "Up",
            WanKind::Pppoe => "Down",
            WanKind::Ip if wan.enabled => "Enabled",
            WanKind::Ip => "Disabled",
        },
    );
    tree.write(&format!("{path}IPCP.LocalIPAddress"), address);
    tree.write(&format!("{path}IPAddress"), address);
    tree.write(&format!("{path}DHCPStatus"), if bound { "Bound" } else { "Init" });
    for number in tree.instances("Device.IP.Interface.") {
        let interface = format!("Device.IP.Interface.{number}.");
        let lower = with_dot(tree.value(&format!("{interface}LowerLayers")).unwrap_or_default());
        let client = tree.value(&format!("{path}Interface")).is_some_and(|of| with_dot(of) == interface);
        if lower == *path || client {
            show_interface(tree, &interface, bound.then_some(address));
        }
    }
}

/// The IP interface above a connection gets its address by itself.
fn show_interface(tree: &mut Tree, interface: &str, address: Option<&str>) {
    let enabled = tree.value(&format!("{interface}Enable")).is_some_and(is_true);
    let address = address.filter(|_| enabled);
    tree.write(&format!("{interface}Status"), if address.is_some() { "Up" } else { "Down" });
    let table = format!("{interface}IPv4Address.");
    let first = match (tree.instances(&table).first(), address) {
        (Some(first), _) => *first,
        (None, Some(_)) => match tree.add_inside(&table, false) {
            Ok(number) => number,
            Err(_) => return,
        },
        (None, None) => return,
    };
    tree.write(&format!("{table}{first}.IPAddress"), address.unwrap_or("0.0.0.0"));
    tree.write(
        &format!("{table}{first}.SubnetMask"),
        if address.is_some() { "255.255.255.255" } else { "0.0.0.0" },
    );
    tree.write(&format!("{table}{first}.AddressingType"), "IPCP");
    tree.write(&format!("{table}{first}.Status"), if address.is_some() { "Enabled" } else { "Disabled" });
    tree.write(&format!("{table}{first}.Enable"), "true");
}

/// A WAN that somebody built before us.
pub struct Built<'a> {
    /// Its label.
    pub name: &'a str,
    /// Its VLAN.
    pub vlan: u16,
    /// Its PPPoE login; empty leaves the objects unfilled.
    pub username: &'a str,
    /// Its password.
    pub password: &'a str,
}

/// Builds a PPPoE connection as a technician would, and answers its path; `None` if the model cannot have one.
pub fn build(tree: &mut Tree, built: &Built<'_>) -> Option<String> {
    if tree.root() == "Device." { build_tr181(tree, built) } else { build_tr098(tree, built) }
}

fn build_tr098(tree: &mut Tree, built: &Built<'_>) -> Option<String> {
    let devices = format!("{}WANDevice.", tree.root());
    let device = tree.instances(&devices).first().map(|number| format!("{devices}{number}."))?;
    let table = format!("{device}WANConnectionDevice.");
    let number = tree.add_inside(&table, false).ok()?;
    let connections = format!("{table}{number}.WANPPPConnection.");
    let connection = tree.add_inside(&connections, false).ok()?;
    let path = format!("{connections}{connection}.");
    add_policy_route(tree, &path);
    if built.username.is_empty() {
        return Some(path);
    }
    for (name, value) in [
        ("Name", built.name),
        ("Username", built.username),
        ("Password", built.password),
        ("X_HW_SERVICELIST", "INTERNET"),
        ("NATEnabled", "true"),
        ("Enable", "true"),
        ("ConnectionType", "IP_Routed"),
        ("X_HW_LANBIND.Lan1Enable", "1"),
        ("X_HW_LANBIND.SSID1Enable", "1"),
    ] {
        tree.write(&format!("{path}{name}"), value);
    }
    write_vlan(tree, &path, built.vlan);
    Some(path)
}

/// Writes the VLAN of a TR-098 connection where this model has it.
pub fn write_vlan(tree: &mut Tree, path: &str, vlan: u16) {
    let above = parent_of(path).and_then(parent_of).unwrap_or_default().to_owned();
    let on_connection = VLAN_ON_CONNECTION.iter().map(|name| format!("{path}{name}"));
    let leaf = on_connection
        .chain(VLAN_ON_DEVICE.iter().map(|name| format!("{above}{name}")))
        .find(|leaf| tree.has(leaf));
    if let Some(leaf) = leaf {
        tree.write(&leaf, &vlan.to_string());
    }
}

fn build_tr181(tree: &mut Tree, built: &Built<'_>) -> Option<String> {
    let link = tree.instances("Device.Ethernet.Link.").last().copied();
    let vlan = tree.add_inside("Device.Ethernet.VLANTermination.", false).ok();
    let ppp = tree.add_inside("Device.PPP.Interface.", false).ok()?;
    let path = format!("Device.PPP.Interface.{ppp}.");
    if built.username.is_empty() {
        return Some(path);
    }
    if let Some(number) = vlan {
        let vlan = format!("Device.Ethernet.VLANTermination.{number}.");
        tree.write(&format!("{vlan}VLANID"), &built.vlan.to_string());
        tree.write(&format!("{vlan}Enable"), "true");
        if let Some(link) = link {
            tree.write(&format!("{vlan}LowerLayers"), &format!("Device.Ethernet.Link.{link}."));
        }
        tree.write(&format!("{path}LowerLayers"), &vlan);
    }
    for (name, value) in [
        ("Alias", built.name),
        ("Username", built.username),
        ("Password", built.password),
        ("Enable", "true"),
    ] {
        tree.write(&format!("{path}{name}"), value);
    }
    if let Ok(number) = tree.add_inside("Device.IP.Interface.", false) {
        let interface = format!("Device.IP.Interface.{number}.");
        tree.write(&format!("{interface}LowerLayers"), &path);
        tree.write(&format!("{interface}Enable"), "true");
    }
    Some(path)
}

/// Models that have policy routes own one per WAN connection, numbered like its WANConnectionDevice.
pub fn add_policy_route(tree: &mut Tree, connection: &str) {
    let table = format!("{}Layer3Forwarding.X_HW_policy_route.", tree.root());
    let Some(name) = wan_name(connection).filter(|_| tree.has(&table)) else { return };
    let there = tree
        .instances(&table)
        .into_iter()
        .any(|number| tree.value(&format!("{table}{number}.WanName")) == Some(name.as_str()));
    if there {
        return;
    }
    if let Ok(number) = tree.add_inside(&table, false) {
        tree.write(&format!("{table}{number}.WanName"), &name);
        tree.write(&format!("{table}{number}.PolicyRouteType"), "SourcePhyPort");
    }
}

/// Takes the policy route of a connection away that goes itself.
pub fn drop_policy_route(tree: &mut Tree, connection: &str) {
    let table = format!("{}Layer3Forwarding.X_HW_policy_route.", tree.root());
    let Some(name) = wan_name(connection) else { return };
    for number in tree.instances(&table) {
        if tree.value(&format!("{table}{number}.WanName")) == Some(name.as_str()) {
            // One that the device will not give up does no harm: its connection is missing.
            let _ = tree.delete(&format!("{table}{number}."));
        }
    }
}

/// `wan1.2.ppp1` of `….WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.`, as Huawei names a WAN elsewhere.
pub fn wan_name(connection: &str) -> Option<String> {
    let numbers: Vec<&str> = connection.split('.').filter(|part| part.parse::<u32>().is_ok()).collect();
    let kind = if connection.contains(".WANPPPConnection.") { "ppp" } else { "ip" };
    match numbers.as_slice() {
        [device, connection_device, number] => {
            Some(format!("wan{device}.{connection_device}.{kind}{number}"))
        }
        _ => None,
    }
}
