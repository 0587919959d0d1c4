//! The command line of the OLT in memory.

use super::{Blow, FakeOlt, Ont, Port, RULE};
use regex::Regex;
use std::sync::LazyLock;
use types::{PonPath, Serial};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    User,
    Password,
    Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    User,
    Enable,
    Config,
    Gpon(u8, u8),
}

#[derive(Debug, Clone)]
enum Pending {
    None,
    /// The box asked for a bare newline before it executes.
    Cr(String),
    /// It asked y/n.
    Question(String),
    /// The rest of a paged reply.
    Page(String),
}

/// One terminal session.
#[derive(Debug)]
pub struct Shell {
    olt: FakeOlt,
    stage: Stage,
    mode: Mode,
    line: Vec<u8>,
    pending: Pending,
    out: Vec<u8>,
    pub dead: bool,
    /// What was printed still arrives, and nothing more.
    pub hung_up: bool,
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Ok(mut world) = self.olt.world.lock() {
            world.open_sessions -= 1;
        }
    }
}

impl Shell {
    pub fn new(olt: FakeOlt, asks_for_login: bool) -> Self {
        Shell {
            olt,
            stage: if asks_for_login { Stage::User } else { Stage::Shell },
            mode: Mode::User,
            line: Vec::new(),
            pending: Pending::None,
            out: Vec::new(),
            dead: false,
            hung_up: false,
        }
    }

    /// The product that looks at this terminal was killed.
    pub fn is_frozen(&self) -> bool {
        self.olt.world().process_dead
    }

    /// What is printed before anything is typed.
    pub fn greeting(&mut self) -> Vec<u8> {
        match self.stage {
            Stage::User => b"\r\n\r\nWarning: authorised staff only\r\n>>User name:".to_vec(),
            _ => b"\r\n  Huawei Integrated Access Software (FAKE5800).\r\n\r\nFAKE5800>".to_vec(),
        }
    }

    fn prompt(&self) -> String {
        match self.mode {
            Mode::User => "FAKE5800>".into(),
            Mode::Enable => "FAKE5800#".into(),
            Mode::Config => "FAKE5800(config)#".into(),
            Mode::Gpon(f, s) => format!("FAKE5800(config-if-gpon-{f}/{s})#"),
        }
    }

    fn print(&mut self, text: &str) {
        self.out.extend_from_slice(text.replace('\n', "\r\n").as_bytes());
    }

    /// Takes typed bytes; gives what is printed.
    pub fn input(&mut self, bytes: &[u8]) -> Vec<u8> {
        for &byte in bytes {
            if self.dead {
                break;
            }
            if let Pending::Page(rest) = &self.pending
                && byte == b' '
            {
                let rest = rest.clone();
                self.pending = Pending::None;
                let erase = format!("\x1b[37D{}\x1b[37D", " ".repeat(37));
                self.out.extend_from_slice(erase.as_bytes());
                self.page(&rest);
                continue;
            }
            if byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
                self.entered(&line);
            } else if byte != b'\r' {
                self.line.push(byte);
                if self.stage != Stage::Password {
                    self.out.push(byte);
                }
            }
        }
        std::mem::take(&mut self.out)
    }

    fn entered(&mut self, line: &str) {
        self.print("\n");
        match self.stage {
            Stage::User => {
                self.stage = Stage::Password;
                self.print(">>User password:");
                return;
            }
            Stage::Password => {
                if line == "hunter2" && !self.olt.world().wrong_password {
                    self.stage = Stage::Shell;
                    self.print("\n\nFAKE5800>");
                } else {
                    self.stage = Stage::User;
                    self.print("\n  Username or password invalid.\n\n>>User name:");
                }
                return;
            }
            Stage::Shell => {}
        }
        match std::mem::replace(&mut self.pending, Pending::None) {
            Pending::Cr(command) => {
                self.print(&format!("\n  Command:\n          {command}\n"));
                self.strike(&command);
            }
            Pending::Question(command) => {
                if line == "y" {
                    self.strike(&command);
                } else {
                    let prompt = self.prompt();
                    self.print(&format!("\n{prompt}"));
                }
            }
            Pending::Page(_) | Pending::None => {
                let command = line.trim();
                let asks = self.olt.world().ask.clone().is_some_and(|a| command.starts_with(&a));
                if asks {
                    self.print("  The board will restart. Are you sure? (y/n)[n]:");
                    self.pending = Pending::Question(command.to_owned());
                } else if command.starts_with("undo service-port ") {
                    self.print("  Warning: it will interrupt services\n");
                    self.print("  Are you sure to release service virtual port(s)? (y/n)[n]:");
                    self.pending = Pending::Question(command.to_owned());
                } else if command.starts_with("ont add ") {
                    self.print("{ <cr>|ont-type<K> }:");
                    self.pending = Pending::Cr(command.to_owned());
                } else if command.starts_with("display service-port port ") {
                    self.print("{ <cr>|gemport<K>|sort-by<K> }: ");
                    self.pending = Pending::Cr(command.to_owned());
                } else {
                    self.strike(command);
                }
            }
        }
    }

    /// Executes a command unless the connection or the product dies at it.
    fn strike(&mut self, command: &str) {
        let blow = {
            let mut world = self.olt.world();
            if command.is_empty() {
                None
            } else {
                world.commands += 1;
                let number = world.commands - world.armed_at;
                world.blow.filter(|(at, _)| *at == number).map(|(_, blow)| blow)
            }
        };
        if blow.is_some() {
            self.olt.world().blow = None;
        }
        if matches!(blow, Some(Blow::CutBefore | Blow::KillBefore)) {
            self.die(blow);
            return;
        }
        let reply = self.execute(command);
        if blow.is_some() {
            self.die(blow);
            return;
        }
        self.page(&reply);
        if command == "save" {
            let says = self.olt.world().save_says.clone();
            for line in says {
                self.print(&format!("\n  {line}\n"));
            }
            let prompt = self.prompt();
            self.print(&format!("\n{prompt}"));
            self.hung_up = self.olt.world().save_cuts;
        }
    }

    fn die(&mut self, blow: Option<Blow>) {
        self.dead = true;
        self.out.clear();
        if matches!(blow, Some(Blow::KillBefore | Blow::KillAfter)) {
            self.olt.world().process_dead = true;
            self.olt.killed.notify_one();
        }
    }

    /// Prints a reply, a page of 8 lines at a time, and the prompt.
    fn page(&mut self, text: &str) {
        let mut lines = text.lines();
        let first: Vec<&str> = lines.by_ref().take(8).collect();
        for line in &first {
            self.print(&format!("{line}\n"));
        }
        let rest: Vec<&str> = lines.collect();
        if rest.is_empty() {
            let prompt = self.prompt();
            self.print(&format!("\n{prompt}"));
        } else {
            self.print("---- More ( Press 'Q' to break ) ----");
            self.pending = Pending::Page(rest.join("\n"));
        }
    }

    fn execute(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        let writes = !command.starts_with("display")
            && !matches!(
                words.first(),
                Some(&("enable" | "config" | "interface" | "quit" | "scroll" | "infoswitch")) | None
            )
            && command != "undo smart";
        {
            let mut world = self.olt.world();
            let fails = world.board_fails_at.as_ref().is_some_and(|at| command.starts_with(at));
            world.board_failed |= fails;
            if let Some((_, words)) = world.answers.iter().find(|(question, _)| command.starts_with(question))
            {
                return words.clone();
            }
            let about_it = ["display ont info", "display service-port", "display ont ipconfig"];
            if world.board_failed && (fails || about_it.iter().any(|words| command.starts_with(words))) {
                return "  Failure: The board does not exist".into();
            }
        }
        if writes {
            let mut world = self.olt.world();
            world.log.push(command.to_owned());
            if world.busy > 0 {
                world.busy -= 1;
                return "  Failure: System is busy, please retry after a while".into();
            }
            let refusal = world.refuse.iter().find(|(r, _)| command.starts_with(r)).cloned();
            if let Some((_, words)) = refusal {
                return words;
            }
        }
        match (self.mode, words.as_slice()) {
            (_, []) => String::new(),
            (Mode::User, ["enable"]) => {
                self.mode = Mode::Enable;
                String::new()
            }
            (Mode::Enable, ["config"]) => {
                self.mode = Mode::Config;
                String::new()
            }
            (Mode::Config, ["interface", "gpon", place]) => {
                let (f, s) = place.split_once('/').expect("frame/slot");
                self.mode = Mode::Gpon(f.parse().expect("frame"), s.parse().expect("slot"));
                String::new()
            }
            (_, ["quit"]) => {
                self.mode = match self.mode {
                    Mode::Gpon(..) => Mode::Config,
                    Mode::Config => Mode::Enable,
                    Mode::Enable | Mode::User => Mode::User,
                };
                String::new()
            }
            (Mode::Enable, ["scroll", "512"] | ["undo", "smart"]) => String::new(),
            // An older build.
            (Mode::Enable, ["infoswitch", ..]) => {
                "          ^\n  % Unknown command, the error locates at '^'".into()
            }
            (_, ["display", "version"]) => {
                let mut world = self.olt.world();
                world.versions += 1;
                format!(
                    "\n  VERSION : {}\n  PATCH   : SPC108\n  PRODUCT : MA5800-X7\n\n  Uptime is 20 day(s), 23 hour(s), 19 minute(s), 16 second(s)",
                    world.software
                )
            }
            (Mode::Config | Mode::Enable, ["save"]) => {
                self.olt.world().saves += 1;
                "  It will take several minutes to save configuration file, please wait...".into()
            }
            (Mode::Config, words) => self.in_config(command, words),
            (Mode::Gpon(f, s), words) => self.in_gpon(f, s, command, words),
            _ => "          ^\n  % Unknown command, the error locates at '^'".into(),
        }
    }

    fn in_config(&mut self, command: &str, words: &[&str]) -> String {
        let mut world = self.olt.world();
        let number = |text: &str| text.parse::<u16>().unwrap_or(u16::MAX);
        match words {
            ["display", "ont", "autofind", "all"] => {
                if world.autofind.is_empty() {
                    return "  Failure: The automatically found ONTs do not exist".into();
                }
                let mut out = format!("{RULE}\n");
                for (at, (serial, pon)) in world.autofind.iter().enumerate() {
                    out.push_str(&format!(
                        "   Number              : {}\n   F/S/P               : {pon}\n   Ont SN              : {} ({serial})\n   Password            : 0x00000000000000000000\n   Loid                :\n   Checkcode           :\n   VendorID            : {}\n   Ont Version         : 168D.A\n   Ont SoftwareVersion : V5R020C00S115\n   Ont EquipmentID     : EG8145V5\n   Ont autofind time   : 2026-03-15 10:23:45+01:00\n{RULE}\n",
                        at + 1,
                        serial.hex16(),
                        serial.vendor().unwrap_or("-"),
                    ));
                }
                out
            }
            ["display", "ont", "info", "by-sn", serial] => {
                let serial: Serial = serial.parse().expect("a serial");
                if world.by_serial_lags > 0
                    && let Some((at, ont)) = world.removed.iter().find(|(_, o)| o.serial == serial).cloned()
                {
                    world.by_serial_lags -= 1;
                    return info(&at, &ont);
                }
                match world.onts.iter().find(|(_, o)| o.serial == serial) {
                    Some((at, ont)) => info(at, ont),
                    None => "  Failure: The required ONT does not exist".into(),
                }
            }
            ["display", "ont", "info", f, s, p, "all"] => {
                let pon: PonPath = format!("{f}/{s}/{p}").parse().expect("a port");
                let onts: Vec<_> = world.onts.iter().filter(|((at, _), _)| *at == pon).collect();
                if onts.is_empty() {
                    return "  Failure: There is no ONT available".into();
                }
                let mut out = format!(
                    "{RULE}\n  F/S/P   ONT         SN         Control     Run      Config   Match    Protect\n          ID                     flag        state    state    state    side\n{RULE}\n"
                );
                for ((pon, id), ont) in &onts {
                    out.push_str(&format!(
                        "  {}/ {}/{}  {id:>3}  {}  active      {:<8} normal   match    no\n",
                        pon.frame,
                        pon.slot,
                        pon.port,
                        ont.serial.hex16(),
                        if ont.online { "online" } else { "offline" },
                    ));
                }
                out.push_str(&format!("{RULE}\n  F/S/P   ONT-ID   Description\n{RULE}\n"));
                for ((pon, id), ont) in &onts {
                    out.push_str(&format!("  {}/ {}/{}  {id:>6}   {}\n", pon.frame, pon.slot, pon.port, ont.description));
                }
                out.push_str(&format!("{RULE}\n  In port {f}/ {s}/{p} , the total of ONTs are: {}, online: 1\n{RULE}\n", onts.len()));
                out
            }
            ["display", "ont", "info", "summary", pon] => {
                let pon: PonPath = pon.parse().expect("a port");
                let onts: Vec<_> = world.onts.iter().filter(|((at, _), _)| *at == pon).collect();
                let mut out = format!("{RULE}\n  In port {pon}, the total of ONTs are: {}, online: 1\n{RULE}\n  ONT  Run     Last                Last                Last\n  ID   State   UpTime              DownTime            DownCause\n{RULE}\n", onts.len());
                for ((_, id), _) in &onts {
                    out.push_str(&format!("  {id:<4} online  2026-01-06 07:43:46 -                   -\n"));
                }
                out.push_str(&format!("{RULE}\n  ONT        SN        Type          Distance Rx/Tx power  Description\n  ID                                    (m)      (dBm)\n{RULE}\n"));
                for ((_, id), ont) in &onts {
                    out.push_str(&format!("  {id:<3} {} EG8145V5          42    -22.84/2.12  {}\n", ont.serial.hex16(), ont.description));
                }
                out.push_str(RULE);
                out
            }
            ["display", "ont", "info", f, s, p, o] => {
                let pon: PonPath = format!("{f}/{s}/{p}").parse().expect("a port");
                match world.onts.get_key_value(&(pon, number(o))) {
                    Some((at, ont)) => info(at, ont),
                    None => "  Failure: The ONT does not exist".into(),
                }
            }
            ["display", "service-port", "port", pon, rest @ ..] => {
                let pon: PonPath = pon.parse().expect("a port");
                let only = match rest {
                    ["ont", o] => Some(number(o)),
                    _ => None,
                };
                if world.torn_ports {
                    return "      17  300 common   gpon 0/6 /9  17   1     vl\n   Total : 1".into();
                }
                let ports: Vec<_> =
                    world.ports.iter().filter(|(_, p)| p.pon == pon && only.is_none_or(|o| o == p.ont)).collect();
                if ports.is_empty() {
                    return "  Failure: No service virtual port can be operated".into();
                }
                let mut out = format!("  Switch-Oriented Flow List\n{RULE}\n   INDEX VLAN VLAN     PORT F/ S/ P VPI  VCI   FLOW  FLOW       RX   TX   STATE\n         ID   ATTR     TYPE                    TYPE  PARA\n{RULE}\n");
                for (index, p) in &ports {
                    let (rx, tx) = p.traffic.map_or(("-".into(), "-".into()), |(i, o)| (i.to_string(), o.to_string()));
                    out.push_str(&format!(
                        "{index:>8} {:>4} common   gpon {}/{} /{} {:<4} {:<5} vlan  {:<10} {rx:<4} {tx:<4} up\n",
                        p.vlan, p.pon.frame, p.pon.slot, p.pon.port, p.ont, p.gem, p.user_vlan
                    ));
                }
                out.push_str(&format!("{RULE}\n   Total : {}  (Up/Down :    {}/0)\n   Note : F--Frame, S--Slot, P--Port,\n          v/e--vlan/encap", ports.len(), ports.len()));
                out
            }
            ["display", "ont-lineprofile", "gpon", "profile-id", "10"] => {
                let mut out = format!("{RULE}\n  Profile-ID          :10\n  Profile-name        :line_10\n  Access-type         :GPON\n{RULE}\n  TR069 management    :Enable\n  TR069 IP index      :0\n{RULE}\n");
                for gem in &world.gems {
                    out.push_str(&format!("    <Gem Index {gem}>\n"));
                }
                out
            }
            ["display", "ont-srvprofile", "gpon", "profile-id", "20"] => "  Profile-ID  : 20\n  Profile-name: srv_20".into(),
            ["display", "ont-lineprofile" | "ont-srvprofile", "gpon", "profile-id", _] => "  Failure: The profile does not exist".into(),
            ["display", "ont", "tr069-server-profile", "profile-id", "3"] => "  Profile-ID : 3\n  URL : http://acs.example.net:7547".into(),
            ["display", "ont", "tr069-server-profile", "profile-id", _] => "  Failure: The profile does not exist".into(),
            ["display", "vlan", "100" | "4000"] => format!("  VLAN ID: {}\n  VLAN name: x\n  VLAN type: smart", words[2]),
            ["display", "vlan", _] => "  Failure: The VLAN does not exist".into(),
            ["display", "board", "0"] => format!("{RULE}\n  SlotID  BoardName  Status          SubType0 SubType1    Online/Offline\n{RULE}\n  0\n  1       H805GPFD   {}\n  2       H801MCUD1  Active_normal   CPCB\n{RULE}", world.board_status),
            ["display", "board", "0/1"] => format!("  Board Name : H805GPFD\n{RULE}\n    Port   Port   min-distance   max-distance   Optical-module\n           type       (km)           (km)           status\n{RULE}\n    6     GPON        0              20             Online\n{RULE}"),
            ["service-port", ..] => {
                static PATTERN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^service-port vlan (\d+) gpon (\S+) ont (\d+) gemport (\d+) multi-service user-vlan (\d+) tag-transform translate(?: inbound traffic-table index (\d+) outbound traffic-table index (\d+))?$").expect("regex"));
                let Some(c) = PATTERN.captures(command) else { return "  % Parameter error, the error locates at '^'".into() };
                let get = |i: usize| number(&c[i]);
                let asked = c.get(6).map(|_| (u32::from(get(6)), u32::from(get(7))));
                let port = Port {
                    pon: c[2].parse().expect("a port"),
                    ont: get(3),
                    vlan: get(1),
                    user_vlan: get(5),
                    gem: get(4),
                    traffic: world.other_tables.filter(|_| asked.is_some()).unwrap_or(asked),
                };
                if !world.onts.contains_key(&(port.pon, port.ont)) {
                    return "  Failure: The ONT does not exist".into();
                }
                if !world.gems.contains(&port.gem) {
                    return "  Failure: The GEM port does not exist".into();
                }
                if let Some((index, _)) = world.ports.iter().find(|(_, p)| p.pon == port.pon && p.ont == port.ont && p.gem == port.gem && p.user_vlan == port.user_vlan) {
                    return format!("  Failure: The service virtual port has existed already. Conflicted\n  service virtual port index: {index}");
                }
                if !world.phantom_ports {
                    let index = world.next_port;
                    world.next_port += 1;
                    world.ports.insert(index, port);
                }
                String::new()
            }
            ["undo", "service-port", index] => match world.ports.remove(&index.parse().expect("an index")) {
                Some(_) => "  Deleting end:\n  The number of total service virtual port which need be\n  deleted:   1\n  The number of total service virtual port which have been\n  deleted: 1".into(),
                None => "  Failure: The service virtual port does not exist".into(),
            },
            _ => "          ^\n  % Unknown command, the error locates at '^'".into(),
        }
    }

    fn in_gpon(&mut self, f: u8, s: u8, command: &str, words: &[&str]) -> String {
        let mut world = self.olt.world();
        let at = |p: &str, o: &str| -> (PonPath, u16) {
            (PonPath { frame: f, slot: s, port: p.parse().expect("a port") }, o.parse().expect("an id"))
        };
        match words {
            ["ont", "add", ..] => {
                static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
                    Regex::new(r#"^ont add (\d+) (\d+) sn-auth "([0-9A-F]{16})" omci ont-lineprofile-id (\d+) ont-srvprofile-id (\d+)(?: desc "([^"]*)")?$"#).expect("regex")
                });
                let Some(c) = PATTERN.captures(command) else {
                    return "  % Parameter error, the error locates at '^'".into();
                };
                let place = at(&c[1], &c[2]);
                let serial: Serial = c[3].parse().expect("a serial");
                if world.onts.values().any(|o| o.serial == serial) {
                    return "  Failure: SN already exists".into();
                }
                if world.onts.contains_key(&place) {
                    return "  Failure: The ONT ID has already existed".into();
                }
                let ont = Ont {
                    serial,
                    line: c[4].parse().expect("an id"),
                    srv: c[5].parse().expect("an id"),
                    description: c.get(6).map_or("ONT_NO_DESCRIPTION".into(), |m| m.as_str().to_owned()),
                    ipconfig: None,
                    acs: None,
                    online: true,
                    mismatch: false,
                };
                world.onts.insert(place, ont);
                world.autofind.remove(&serial);
                if world.silent_add {
                    return String::new();
                }
                format!(
                    "  Number of ONTs that can be added: 1, success: 1\n  PortID :{}, ONTID :{}",
                    &c[1], &c[2]
                )
            }
            ["ont", "delete", p, o] => {
                let place = at(p, o);
                if world.ports.values().any(|port| (port.pon, port.ont) == place) {
                    return "  Failure: This configured object has some service virtual\n  ports".into();
                }
                match world.onts.remove(&place) {
                    Some(ont) => {
                        world.autofind.insert(ont.serial, place.0);
                        world.removed.push((place, ont));
                        "  Number of ONTs that can be deleted: 1, success: 1".into()
                    }
                    None => "  Failure: The ONT does not exist".into(),
                }
            }
            ["display", "ont", "ipconfig", p, o] => match world.onts.get(&at(p, o)) {
                None => "  Failure: The ONT does not exist".into(),
                Some(Ont { ipconfig: None, .. }) => {
                    "  Failure: The ONT does not configure IP information".into()
                }
                Some(Ont { ipconfig: Some((kind, vlan, priority)), .. }) => format!(
                    "{RULE}\n  ONT IP host index        : 0\n  ONT config type          : {}\n  ONT IP                   : -\n  ONT manage VLAN          : {vlan}\n  ONT manage priority      : {priority}\n{RULE}",
                    kind.to_uppercase()
                ),
            },
            ["ont", "ipconfig", p, o, "dhcp", "vlan", vlan, "priority", priority] => {
                match world.onts.get_mut(&at(p, o)) {
                    Some(ont) => {
                        ont.ipconfig = Some((
                            "dhcp".into(),
                            vlan.parse().expect("vlan"),
                            priority.parse().expect("priority"),
                        ));
                        String::new()
                    }
                    None => "  Failure: The ONT does not exist".into(),
                }
            }
            ["undo", "ont", "ipconfig", p, o] => {
                if let Some(ont) = world.onts.get_mut(&at(p, o)) {
                    ont.ipconfig = None;
                }
                String::new()
            }
            ["ont", "tr069-server-config", p, o, "profile-id", id] => match world.onts.get_mut(&at(p, o)) {
                Some(ont) => {
                    ont.acs = id.parse().ok();
                    String::new()
                }
                None => "  Failure: The ONT does not exist".into(),
            },
            ["undo", "ont", "tr069-server-config", p, o] => {
                if let Some(ont) = world.onts.get_mut(&at(p, o)) {
                    ont.acs = None;
                }
                String::new()
            }
            _ => "          ^\n  % Unknown command, the error locates at '^'".into(),
        }
    }
}

fn info((pon, id): &(PonPath, u16), ont: &Ont) -> String {
    let acs = ont.acs.map_or(String::new(), |acs| {
        format!(
            "  TR069 server profile ID      : {acs}\n  TR069 server profile name    : acs_{acs}\n{RULE}\n"
        )
    });
    // Long descriptions fold at 32 columns, as on the real thing.
    let mut folded = ont.description.as_bytes().chunks(32).map(|c| String::from_utf8_lossy(c).into_owned());
    let mut description = folded.next().unwrap_or_default();
    for rest in folded {
        description.push_str(&format!("\n{}{rest}", " ".repeat(28)));
    }
    format!(
        "{RULE}\n  F/S/P                   : {pon}\n  ONT-ID                  : {id}\n  Control flag            : active\n  Run state               : {}\n  Config state            : normal\n  Match state             : {}\n  ONT distance(m)         : 47\n  Authentic type          : SN-auth\n  SN                      : {} ({})\n  Management mode         : OMCI\n  Description             : {description}\n  Last down cause         : -\n{RULE}\n  Line profile ID      : {}\n  Line profile name    : line_{}\n  TR069 management    :Enable\n{RULE}\n  Service profile ID   : {}\n  Service profile name : srv_{}\n{RULE}\n{acs}",
        if ont.online { "online" } else { "offline" },
        if ont.mismatch { "mismatch" } else { "match" },
        ont.serial.hex16(),
        ont.serial,
        ont.line,
        ont.line,
        ont.srv,
        ont.srv,
    )
}
