//! A CPE that answers from a data model, with the habits of real ones.

use profiles::fixtures;
use provisioning::{
    AuthLevel, DeviceFault, DeviceReply, DeviceRequest, InformEvent, InformFacts, NameInfo, ParamValue,
    ParameterFault, ValueKind,
};
use std::collections::BTreeMap;
use types::UtcMs;

/// What becomes of a write that the box does not want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The call is answered 9001, and nobody says which parameter it was about.
    Denied,
    /// Accepted and lost.
    Lost,
}

/// How a test ends that the box runs by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TestRun {
    /// `Complete`, and it says so by `8 DIAGNOSTICS COMPLETE`.
    #[default]
    Told,
    /// `Completed`, and it never sends the event.
    Silent,
    /// In this error, and it says so.
    Error(&'static str),
    /// Never.
    Endless,
}

#[derive(Debug, Clone, Default)]
pub struct Quirks {
    /// Writes to objects that do not exist are accepted and lost.
    pub phantom_writes: bool,
    /// More parameters than this in one call: 9002, and the first half is applied nevertheless.
    pub max_params: Option<usize>,
    /// Leaf names whose writes are accepted and ignored.
    pub deaf_leaves: Vec<&'static str>,
    /// Keeps PeriodicInformInterval as this instead of what is written.
    pub keeps_interval: Option<fn(u64) -> u64>,
    /// Leaf names that answer 9007.
    pub refused_leaves: Vec<&'static str>,
    /// Faults do not say which parameter they are about.
    pub names_no_leaf: bool,
    /// Calls with this leaf in them are answered with this code, and nobody says because of which leaf. With 9002 the
    /// first half of the call is applied nevertheless.
    pub silent: Option<(String, u32)>,
    /// Leaf name and value of writes that it does not want.
    pub unwanted: Vec<(&'static str, &'static str, Refusal)>,
    /// Objects whose names it does not tell (9001).
    pub untold: Vec<&'static str>,
    /// A connection of type `Unconfigured` takes nothing but its type, alone; all else is 9002.
    pub unconfigured_is_deaf: bool,
    /// The BRAS refuses the login.
    pub pppoe_refused: bool,
    /// Seconds from switching on to connected.
    pub connect_after_s: u64,
    /// Connected, and never an address.
    pub no_address: bool,
    /// DHCP gives no address.
    pub no_lease: bool,
    /// The clock stands in 1981 until NTP is set.
    pub no_clock: bool,
    /// NTP does not help either.
    pub ntp_unreachable: bool,
    /// Connection requests answer 401.
    pub unauthorized: bool,
    /// Connection requests reach nobody.
    pub unreachable: bool,
    /// No room for another WAN.
    pub full: bool,
    /// Tests that it runs by itself end so; they begin when the session is over.
    pub test: TestRun,
    /// A write that requests a test is answered with status 1 and applied when the session is over.
    pub tests_later: bool,
    /// Every write is.
    pub applies_later: bool,
    /// Names below these objects are none, or this fault.
    pub odd_names: Vec<(&'static str, Option<u32>)>,
    /// Leaves that it names and does not let be read (9005).
    pub unreadable: Vec<&'static str>,
    /// An AddObject of a policy route is needed (none made by the box itself).
    pub no_auto_route: bool,
}

#[derive(Debug, Clone)]
struct Node {
    writable: bool,
    kind: String,
    value: String,
}

/// One write, as the device saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    Set(String, String),
    Add(String),
}

#[derive(Debug, Clone)]
pub struct Cpe {
    pub pppoe_password: &'static str,
    nodes: BTreeMap<String, Node>,
    templates: Vec<fixtures::ModelRow>,
    factory: BTreeMap<String, Node>,
    next_instance: BTreeMap<String, u32>,
    pub quirks: Quirks,
    pub root: &'static str,
    /// Its restarts by order, with the command key.
    pub restarts: Vec<String>,
    /// `M Reboot` is due, with this command key.
    pub method_due: Option<String>,
    pub bootstrap_due: bool,
    pub boot_due: bool,
    /// `8 DIAGNOSTICS COMPLETE` is due.
    pub test_done: bool,
    /// Tests that it has begun.
    pub tests: u32,
    /// Accepted, and applied when the session is over.
    later: Vec<(String, String)>,
    enabled_since: BTreeMap<String, UtcMs>,
    secrets: BTreeMap<String, String>,
    /// Everything it was ever told, in order.
    pub told: Vec<Told>,
    /// The same by call: the paths of each SetParameterValues.
    pub calls: Vec<Vec<String>>,
}

impl Cpe {
    pub fn new(csv: &str, quirks: Quirks) -> Self {
        let nodes: BTreeMap<String, Node> = fixtures::rows(csv)
            .into_iter()
            .map(|row| (row.path, Node { writable: row.writable, kind: row.kind, value: row.value }))
            .collect();
        let root = if nodes.contains_key("Device.") { "Device." } else { "InternetGatewayDevice." };
        Cpe {
            factory: nodes.clone(),
            nodes,
            templates: fixtures::templates(csv),
            next_instance: BTreeMap::new(),
            quirks,
            root,
            restarts: Vec::new(),
            method_due: None,
            bootstrap_due: true,
            boot_due: true,
            test_done: false,
            tests: 0,
            later: Vec::new(),
            enabled_since: BTreeMap::new(),
            secrets: BTreeMap::new(),
            told: Vec::new(),
            calls: Vec::new(),
            pppoe_password: super::PPPOE_PASSWORD,
        }
    }

    pub fn value(&self, path: &str) -> &str {
        self.nodes.get(path).map(|node| node.value.as_str()).unwrap_or_default()
    }

    pub fn set(&mut self, path: &str, value: &str) {
        self.nodes.get_mut(path).unwrap_or_else(|| panic!("no {path}")).value = value.to_owned();
    }

    /// Puts a leaf there that the box does not have by nature.
    pub fn plant(&mut self, path: &str, kind: &str, value: &str) {
        self.nodes
            .insert(path.to_owned(), Node { writable: true, kind: kind.to_owned(), value: value.to_owned() });
    }

    /// Writes since the last call, without what makes the device ours.
    pub fn told_since(&mut self) -> Vec<Told> {
        let told = std::mem::take(&mut self.told);
        let core = |path: &str| path.contains("ManagementServer.") || path.contains(".Time.");
        told.into_iter().filter(|told| !matches!(told, Told::Set(path, _) if core(path))).collect()
    }

    /// Everything that makes two boxes behave the same.
    pub fn fingerprint(&self, hasher: &mut impl std::hash::Hasher) {
        use std::hash::Hash;
        for (path, node) in &self.nodes {
            (path, &node.value).hash(hasher);
        }
        (&self.secrets, &self.next_instance, self.bootstrap_due, self.boot_due).hash(hasher);
        self.enabled_since.hash(hasher);
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.nodes.keys().map(String::as_str)
    }

    pub fn instances(&self, table: &str) -> Vec<String> {
        let mut found: Vec<String> = self
            .nodes
            .keys()
            .filter_map(|path| {
                let number = path.strip_prefix(table)?.strip_suffix('.')?;
                number.parse::<u32>().ok()?;
                Some(path.clone())
            })
            .collect();
        found.sort();
        found
    }

    /// PPP connections, wherever they are.
    pub fn ppp_wans(&self) -> Vec<String> {
        self.nodes
            .keys()
            .filter(|path| {
                let parts: Vec<&str> = path.trim_end_matches('.').split('.').collect();
                let table = parts.len().checked_sub(2).map(|at| parts[at]);
                let inner = table == Some("WANPPPConnection") || path.starts_with("Device.PPP.Interface.");
                inner && parts.last().is_some_and(|last| last.parse::<u32>().is_ok()) && path.ends_with('.')
            })
            .cloned()
            .collect()
    }

    /// IP connections of TR-098 beside the management WAN.
    pub fn ip_wans(&self) -> Vec<String> {
        let instance = |path: &&String| {
            let parts: Vec<&str> = path.trim_end_matches('.').split('.').collect();
            let table = parts.len().checked_sub(2).map(|at| parts[at]);
            table == Some("WANIPConnection") && !path.ends_with("Device.1.WANIPConnection.1.")
        };
        self.nodes.keys().filter(|path| path.ends_with('.')).filter(instance).cloned().collect()
    }

    /// Connections of TR-098 that a customer can use now.
    pub fn carrying(&self) -> Vec<String> {
        let carries = |wan: &String| {
            let value = |leaf: &str| self.value(&format!("{wan}{leaf}"));
            let address = !matches!(value("ExternalIPAddress"), "" | "0.0.0.0");
            matches!(value("Enable"), "1" | "true")
                && value("ConnectionStatus") == "Connected"
                && (address || value("ConnectionType").ends_with("_Bridged"))
        };
        self.ppp_wans().into_iter().chain(self.ip_wans()).filter(carries).collect()
    }

    pub fn containers(&self) -> usize {
        self.instances("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.").len()
    }

    /// Adds what an AddObject would add, as somebody else's doing.
    pub fn grow(&mut self, table: &str) -> String {
        let full = std::mem::take(&mut self.quirks.full);
        let DeviceReply::Added { instance, .. } = self.add(table) else { panic!("cannot grow {table}") };
        self.quirks.full = full;
        format!("{table}{instance}.")
    }

    pub fn factory_reset(&mut self) {
        // Instance numbers are never used again, not even after a factory reset.
        self.nodes = self.factory.clone();
        self.secrets.clear();
        self.enabled_since.clear();
        self.bootstrap_due = true;
        self.boot_due = true;
    }

    /// What it authenticates with, as the front door would see it.
    pub fn auth(&self) -> AuthLevel {
        let password = self.secrets.get(&format!("{}ManagementServer.Password", self.root));
        if password.is_some_and(|password| password == "own-secret-1") {
            AuthLevel::Own
        } else {
            AuthLevel::Bootstrap
        }
    }

    pub fn clock_right(&self) -> bool {
        let ntp = self.value(&format!("{}Time.NTPServer1", self.root));
        let enabled = self.value(&format!("{}Time.Enable", self.root));
        !self.quirks.no_clock
            || (!self.quirks.ntp_unreachable && ntp == "10.20.0.1" && matches!(enabled, "1" | "true"))
    }

    pub fn inform(&mut self, now: UtcMs, events: &[&str]) -> InformFacts {
        let mut codes: Vec<String> = events.iter().map(|code| (*code).to_owned()).collect();
        if std::mem::take(&mut self.bootstrap_due) {
            codes.push("0 BOOTSTRAP".into());
        }
        if std::mem::take(&mut self.boot_due) {
            codes.push("1 BOOT".into());
        }
        if std::mem::take(&mut self.test_done) {
            codes.push("8 DIAGNOSTICS COMPLETE".into());
        }
        let mut events: Vec<InformEvent> =
            codes.into_iter().map(|code| InformEvent { code, command_key: String::new() }).collect();
        if let Some(key) = self.method_due.take() {
            events.push(InformEvent { code: "M Reboot".into(), command_key: key });
        }
        let root = self.root;
        let parameter = |leaf: &str| {
            let path = format!("{root}{leaf}");
            ParamValue { value: self.value(&path).to_owned(), path, kind: ValueKind::String }
        };
        InformFacts {
            manufacturer: self.value(&format!("{root}DeviceInfo.Manufacturer")).into(),
            oui: self.value(&format!("{root}DeviceInfo.ManufacturerOUI")).into(),
            product_class: self.value(&format!("{root}DeviceInfo.ProductClass")).into(),
            serial_number: self.value(&format!("{root}DeviceInfo.SerialNumber")).into(),
            events,
            current_time: if self.clock_right() { now.to_string() } else { "1981-01-01T00:05:12".into() },
            retry_count: 0,
            parameters: vec![
                parameter("DeviceInfo.HardwareVersion"),
                parameter("DeviceInfo.SoftwareVersion"),
                parameter("ManagementServer.ConnectionRequestURL"),
            ],
            cwmp_namespace: "urn:dslforum-org:cwmp-1-0".into(),
        }
    }

    pub fn answer(&mut self, request: &DeviceRequest, now: UtcMs) -> DeviceReply {
        self.live(now);
        match request {
            DeviceRequest::GetNames { path, next_level } => self.names(path, *next_level),
            DeviceRequest::GetValues { paths } => self.values(paths),
            DeviceRequest::SetValues { values, .. } => {
                let pairs: Vec<(String, String, bool)> = values
                    .iter()
                    .map(|value| {
                        (value.path.clone(), value.value.expose().to_owned(), value.value.is_secret())
                    })
                    .collect();
                let reply = self.write(&pairs, now);
                self.live(now);
                reply
            }
            DeviceRequest::AddObject { path, .. } => self.add(path),
            DeviceRequest::Reboot { key } => {
                self.restarts.push(key.clone());
                self.boot_due = true;
                self.method_due = Some(key.clone());
                DeviceReply::Accepted
            }
            DeviceRequest::FactoryReset => {
                self.restarts.push("factory reset".to_owned());
                self.factory_reset();
                DeviceReply::Accepted
            }
        }
    }

    /// The session is over: what was requested in it runs, and with these results it ends.
    pub fn run_tests(&mut self, results: &[(&str, &str)]) {
        for (path, value) in std::mem::take(&mut self.later) {
            self.set(&path, &value);
        }
        let requested: Vec<String> = self
            .nodes
            .iter()
            .filter(|(path, node)| path.ends_with(".DiagnosticsState") && node.value == "Requested")
            .map(|(path, _)| path.clone())
            .collect();
        for state in requested {
            self.tests += 1;
            let object = state.trim_end_matches("DiagnosticsState").to_owned();
            let (word, says) = match self.quirks.test {
                TestRun::Told => ("Complete", true),
                TestRun::Silent => ("Completed", false),
                TestRun::Error(word) => (word, true),
                TestRun::Endless => return,
            };
            for (leaf, value) in results {
                self.plant(&format!("{object}{leaf}"), "unsignedInt", value);
            }
            self.set(&state, word);
            self.test_done = says;
        }
    }

    fn names(&self, path: &str, next_level: bool) -> DeviceReply {
        if self.quirks.untold.contains(&path) {
            return fault(9001, "Request denied");
        }
        match self.quirks.odd_names.iter().find(|(object, _)| *object == path) {
            Some((_, Some(code))) => return fault(*code, "odd"),
            Some((_, None)) => return DeviceReply::Names(Vec::new()),
            None => {}
        }
        if !self.nodes.contains_key(path) {
            return fault(9005, "Invalid parameter name");
        }
        let names = self.nodes.iter().filter(|(name, _)| name.starts_with(path)).filter(|(name, _)| {
            !next_level || name[path.len()..].trim_end_matches('.').split('.').count() == 1
        });
        DeviceReply::Names(
            names.map(|(name, node)| NameInfo { path: name.clone(), writable: node.writable }).collect(),
        )
    }

    fn values(&self, paths: &[String]) -> DeviceReply {
        let mut values = Vec::new();
        for path in paths {
            let readable = !self.quirks.unreadable.iter().any(|leaf| path.ends_with(&format!(".{leaf}")));
            let Some(node) = self.nodes.get(path).filter(|_| readable) else {
                return fault(9005, "Invalid parameter name");
            };
            let secret = types::names_a_secret(path);
            values.push(ParamValue {
                path: path.clone(),
                value: if secret { String::new() } else { node.value.clone() },
                kind: ValueKind::from_xsd(&node.kind),
            });
        }
        DeviceReply::Values(values)
    }

    fn write(&mut self, values: &[(String, String, bool)], now: UtcMs) -> DeviceReply {
        for (path, value, _) in values {
            self.told.push(Told::Set(path.clone(), value.clone()));
        }
        self.calls.push(values.iter().map(|(path, ..)| path.clone()).collect());
        let silent =
            self.quirks.silent.clone().filter(|(leaf, _)| values.iter().any(|(path, ..)| path == leaf));
        if let Some((leaf, code)) = silent {
            if code == 9002 {
                for (path, value, secret) in &values[..values.len() / 2] {
                    if *path != leaf {
                        self.put(path, value, *secret, now);
                    }
                }
            }
            return fault(code, "no");
        }
        let connection = |path: &str| path.rsplit_once('.').map(|(wan, _)| format!("{wan}.ConnectionType"));
        let deaf = values
            .iter()
            .filter_map(|(path, ..)| connection(path))
            .find(|path| self.value(path) == "Unconfigured" && (values.len() > 1 || values[0].0 != *path));
        if self.quirks.unconfigured_is_deaf && deaf.is_some() {
            return fault(9002, "Internal error");
        }
        if self.quirks.max_params.is_some_and(|max| values.len() > max) {
            for (path, value, secret) in &values[..values.len() / 2] {
                self.put(path, value, *secret, now);
            }
            return fault(9002, "Internal error");
        }
        let unwanted = |path: &str, value: &str, how: Refusal| {
            self.quirks.unwanted.iter().any(|(leaf, unwanted, refusal)| {
                path.ends_with(&format!(".{leaf}")) && value == *unwanted && how == *refusal
            })
        };
        if values.iter().any(|(path, value, _)| unwanted(path, value, Refusal::Denied)) {
            return fault(9001, "Request denied");
        }
        let lost: Vec<String> = values
            .iter()
            .filter(|(path, value, _)| unwanted(path, value, Refusal::Lost))
            .map(|(path, ..)| path.clone())
            .collect();
        let mut bad = Vec::new();
        for (path, ..) in values {
            let leaf = path.rsplit('.').next().unwrap_or_default();
            let code = match self.nodes.get(path) {
                None if self.quirks.phantom_writes => continue,
                None => 9005,
                Some(_) if self.quirks.refused_leaves.contains(&leaf) => 9007,
                Some(node) if !node.writable => 9008,
                Some(_) => continue,
            };
            bad.push(ParameterFault { path: path.clone(), code, text: "no".into() });
        }
        if !bad.is_empty() && self.quirks.names_no_leaf {
            return fault(9007, "Invalid parameter value");
        }
        if !bad.is_empty() {
            return DeviceReply::Fault(DeviceFault {
                code: 9003,
                text: "Invalid arguments".into(),
                parameters: bad,
            });
        }
        let test = values.iter().any(|(path, ..)| path.ends_with(".DiagnosticsState"));
        if self.quirks.applies_later || self.quirks.tests_later && test {
            self.later.extend(values.iter().map(|(path, value, _)| (path.clone(), value.clone())));
            return DeviceReply::Set { status: 1 };
        }
        for (path, value, secret) in values.iter().filter(|(path, ..)| !lost.contains(path)) {
            self.put(path, value, *secret, now);
        }
        DeviceReply::Set { status: 0 }
    }

    fn put(&mut self, path: &str, value: &str, secret: bool, now: UtcMs) {
        let leaf = path.rsplit('.').next().unwrap_or_default();
        let Some(node) = self.nodes.get_mut(path) else { return };
        if self.quirks.deaf_leaves.contains(&leaf) {
            return;
        }
        let rounded = match (leaf, self.quirks.keeps_interval) {
            ("PeriodicInformInterval", Some(keeps)) => Some(keeps(value.parse().unwrap_or(0)).to_string()),
            _ => None,
        };
        let value = rounded.as_deref().unwrap_or(value);
        if secret || types::names_a_secret(path) {
            self.secrets.insert(path.to_owned(), value.to_owned());
        } else {
            node.value = value.to_owned();
        }
        if leaf == "Enable" {
            if matches!(value, "1" | "true") {
                self.enabled_since.entry(path.to_owned()).or_insert(now);
            } else {
                self.enabled_since.remove(path);
            }
        }
    }

    fn add(&mut self, table: &str) -> DeviceReply {
        self.told.push(Told::Add(table.to_owned()));
        if !self.nodes.get(table).is_some_and(|node| node.writable) {
            return fault(9005, "Invalid parameter name");
        }
        if self.quirks.full {
            return fault(9004, "Resources exceeded");
        }
        let used = self
            .instances(table)
            .iter()
            .filter_map(|path| path[table.len()..].trim_end_matches('.').parse().ok())
            .max();
        let next = self.next_instance.get(table).copied().unwrap_or(1).max(used.unwrap_or(0) + 1);
        self.next_instance.insert(table.to_owned(), next + 1);
        let new = format!("{table}{next}.");
        let pattern = format!("{}{{i}}.", generic(table));
        let born: Vec<(String, Node)> = self
            .templates
            .iter()
            .filter_map(|row| {
                let rest = row.path.strip_prefix(&pattern)?;
                (!rest.contains("{i}")).then(|| {
                    (
                        format!("{new}{rest}"),
                        Node { writable: row.writable, kind: row.kind.clone(), value: row.value.clone() },
                    )
                })
            })
            .collect();
        assert!(!born.is_empty(), "the fixture has no template for {pattern}");
        self.nodes.extend(born);
        // Huawei: every WAN comes with its policy-route row.
        let routes = "InternetGatewayDevice.Layer3Forwarding.X_HW_policy_route.";
        if !self.quirks.no_auto_route
            && self.nodes.contains_key(routes)
            && let Some((container, _)) = table
                .strip_prefix("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.")
                .and_then(|rest| rest.split_once('.'))
        {
            let kind = if table.contains("WANPPP") { "ppp" } else { "ip" };
            let name = format!("wan1.{container}.{kind}{next}");
            let before = self.told.len();
            if let DeviceReply::Added { instance, .. } = self.add(routes) {
                self.set(&format!("{routes}{instance}.WanName"), &name);
            }
            self.told.truncate(before);
        }
        DeviceReply::Added { instance: next, status: 0 }
    }

    /// Connections come up (or not) with time.
    fn live(&mut self, now: UtcMs) {
        self.live_ip();
        for wan in self.ppp_wans() {
            let tr181 = wan.starts_with("Device.");
            let leaf = |name: &str| format!("{wan}{name}");
            let address = if tr181 { leaf("IPCP.LocalIPAddress") } else { leaf("ExternalIPAddress") };
            let on = matches!(self.value(&leaf("Enable")), "1" | "true");
            let since = self.enabled_since.get(&leaf("Enable")).copied();
            let up =
                on && since.is_some_and(|since| now.since(since).as_secs() >= self.quirks.connect_after_s);
            let login = self.value(&leaf("Username")) == "s-10001@isp"
                && self
                    .secrets
                    .get(&leaf("Password"))
                    .is_some_and(|password| password == self.pppoe_password);
            let (status, ip, error) = match (on, up) {
                (false, _) => ("Disconnected", "0.0.0.0", "ERROR_NONE"),
                (true, _) if self.quirks.pppoe_refused || !login => {
                    ("Disconnected", "0.0.0.0", "ERROR_AUTHENTICATION_FAILURE")
                }
                (true, false) => ("Connecting", "0.0.0.0", "ERROR_NONE"),
                (true, true) if self.quirks.no_address => ("Connected", "0.0.0.0", "ERROR_NONE"),
                (true, true) => ("Connected", "100.64.7.9", "ERROR_NONE"),
            };
            self.set(&leaf("ConnectionStatus"), status);
            self.set(&address, ip);
            self.set(&leaf("LastConnectionError"), error);
        }
    }

    /// Routed IP WANs get an address by DHCP or keep their own; bridges have none.
    fn live_ip(&mut self) {
        let wans: Vec<String> = self
            .nodes
            .keys()
            .filter_map(|path| path.strip_suffix("AddressingType"))
            .filter(|wan| wan.contains(".WANIPConnection.") && !wan.ends_with("Device.1.WANIPConnection.1."))
            .map(str::to_owned)
            .collect();
        for wan in wans {
            let leaf = |name: &str| format!("{wan}{name}");
            let on = matches!(self.value(&leaf("Enable")), "1" | "true");
            let routed = self.value(&leaf("ConnectionType")) == "IP_Routed";
            self.set(&leaf("ConnectionStatus"), if on { "Connected" } else { "Disconnected" });
            if routed && self.value(&leaf("AddressingType")) == "DHCP" {
                self.set(
                    &leaf("ExternalIPAddress"),
                    if on && !self.quirks.no_lease { "100.65.0.2" } else { "0.0.0.0" },
                );
            }
        }
        // A DHCP client of TR-181 gives its interface an address row.
        for client in self.instances("Device.DHCPv4.Client.") {
            let interface = format!("{}.", self.value(&format!("{client}Interface")).trim_end_matches('.'));
            let on = [format!("{client}Enable"), format!("{interface}Enable")]
                .iter()
                .all(|path| matches!(self.value(path), "1" | "true"));
            let rows = format!("{interface}IPv4Address.");
            if on
                && !self.quirks.no_lease
                && self.nodes.contains_key(&rows)
                && self.instances(&rows).is_empty()
            {
                let before = self.told.len();
                let row = self.grow(&rows);
                self.told.truncate(before);
                self.set(&format!("{row}IPAddress"), "100.65.0.2");
                self.set(&format!("{interface}Status"), "Up");
            }
        }
    }

    /// Makes a PPP WAN that works, as an installer would have.
    pub fn existing_wan(&mut self, vlan: &str, username: &str, now: UtcMs) -> String {
        let container = self.grow("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.");
        let wan = self.grow(&format!("{container}WANPPPConnection."));
        for (leaf, value) in
            [("Name", "2_INTERNET_R_VID_200"), ("Username", username), ("NATEnabled", "true")]
        {
            self.set(&format!("{wan}{leaf}"), value);
        }
        if self.nodes.contains_key(&format!("{wan}X_HW_VLAN")) {
            self.set(&format!("{wan}X_HW_VLAN"), vlan);
            self.set(&format!("{wan}X_HW_SERVICELIST"), "INTERNET");
        }
        self.set(&format!("{wan}ConnectionTrigger"), "AlwaysOn");
        self.secrets.insert(format!("{wan}Password"), self.pppoe_password.to_owned());
        self.put(&format!("{wan}Enable"), "true", false, now);
        self.told.clear();
        wan
    }

    /// The same by DHCP.
    pub fn existing_ip_wan(&mut self, vlan: &str, name: &str, now: UtcMs) -> String {
        let container = self.grow("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.");
        let wan = self.grow(&format!("{container}WANIPConnection."));
        let settings = [
            ("Name", name),
            ("X_HW_VLAN", vlan),
            ("X_HW_SERVICELIST", "INTERNET"),
            ("ConnectionType", "IP_Routed"),
            ("AddressingType", "DHCP"),
        ];
        for (leaf, value) in settings {
            self.set(&format!("{wan}{leaf}"), value);
        }
        self.told.clear();
        self.put(&format!("{wan}Enable"), "true", false, now);
        wan
    }
}

fn generic(path: &str) -> String {
    profiles::cpe::pattern_of(path).replace('?', "{i}").replace("WANDevice.{i}.", "WANDevice.1.")
}

fn fault(code: u32, text: &str) -> DeviceReply {
    DeviceReply::Fault(DeviceFault { code, text: text.into(), parameters: Vec::new() })
}
