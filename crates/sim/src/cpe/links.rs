//! The network side of a device: management WAN, time, and the connections that dial.

use super::{
    CONNECTION_REQUEST_PORT,
    behaviour::{Device, Event, Link, Management},
    values::is_true,
    wan::{self, Answer, Network, Shown, Wan, WanKind},
};
use crate::{flow, record::What};
use std::hash::{DefaultHasher, Hash, Hasher};
use types::UtcMs;

/// Where frames of a connection come out behind the OLT.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// On this VLAN of the network; `None` = untagged, or nobody knows.
    Out(Option<u16>),
    /// The OLT has no service port for them.
    Nowhere,
}

impl Device {
    /// The management WAN, its address and the URLs, as OMCI sets them.
    pub(super) fn attach_management(&mut self, management: &Management) {
        let address = management.address.to_string();
        let written = self.tree.at_root("ManagementServer.URL") == Some(management.acs_url.as_str());
        self.tree.write_at_root("ManagementServer.URL", &management.acs_url);
        if !written && !management.username.is_empty() {
            self.tree.write_at_root("ManagementServer.Username", &management.username);
            self.tree.write_at_root("ManagementServer.Password", &management.password);
        }
        self.publish_url();
        let wans = wan::wans(&self.tree);
        let known = self.state.management_wan.take().filter(|path| wans.iter().any(|wan| wan.path == *path));
        // Models without a mark for it: the connection by DHCP that is switched on from the start.
        let marked = || wans.iter().find(|wan| wan.is_marked_management()).map(|wan| wan.path.clone());
        let dhcp =
            || wans.iter().find(|wan| wan.kind == WanKind::Ip && wan.enabled).map(|wan| wan.path.clone());
        self.state.management_wan = known.or_else(marked).or_else(dhcp);
        if let Some(wan) = wans.iter().find(|wan| Some(&wan.path) == self.state.management_wan.as_ref()) {
            self.tree.write(&format!("{}Enable", wan.path), "true");
            if let Some(vlan) = management.vlan.filter(|_| self.tree.root() != "Device.") {
                wan::write_vlan(&mut self.tree, &wan.path, vlan);
                let name = format!("{}Name", wan.path);
                let label = self
                    .tree
                    .value(&name)
                    .and_then(|name| name.rsplit_once("_VID_"))
                    .map(|(head, _)| head.to_owned());
                if let Some(label) = label {
                    self.tree.write(&name, &format!("{label}_VID_{vlan}"));
                }
            }
            let shown = Wan { static_address: None, enabled: true, ..wan.clone() };
            wan::show(&mut self.tree, &shown, Shown::Up(&address));
        }
    }

    /// Where connection requests are heard. Another port than before is a value change of the URL, which every
    /// device reports (TR-098: forced active notification).
    pub fn listens_on(&mut self, port: u16) {
        self.state.listening_port = Some(port);
        if self.publish_url() && self.state.bootstrapped.is_some() {
            self.remember(Event { code: "4 VALUE CHANGE".to_owned(), key: String::new() });
        }
    }

    /// Writes the connection request URL; true if it is another one now.
    fn publish_url(&mut self) -> bool {
        let Some(management) = &self.state.management else { return false };
        let (address, quirks) = (management.address, &self.spec.quirks);
        let path = hex::encode(&self.spec.serial.bytes()[2..]);
        let port = self.state.listening_port.unwrap_or(CONNECTION_REQUEST_PORT);
        let url = match () {
            () if quirks.cr_url_missing => String::new(),
            () if quirks.cr_url_off_subnet => format!("http://192.168.1.1:{port}/{path}"),
            // Nobody listens on the discard port of a device.
            () if quirks.cr_unreachable => format!("http://{address}:9/{path}"),
            () => format!("http://{address}:{port}/{path}"),
        };
        self.tree.write_at_root("ManagementServer.ConnectionRequestURL", &url)
    }

    /// Every WAN connection but the one that carries TR-069.
    pub fn service_wans(&self) -> Vec<Wan> {
        let management = self.state.management_wan.as_ref();
        wan::wans(&self.tree)
            .into_iter()
            .filter(|wan| Some(&wan.path) != management && !wan.is_marked_management())
            .collect()
    }

    pub(super) fn drop_links(&mut self) {
        self.state.links.clear();
        for wan in self.service_wans() {
            wan::show(&mut self.tree, &wan, Shown::Down);
        }
    }

    pub(super) fn run_clock(&mut self, now: UtcMs, network: &Network) {
        let quirks = &self.spec.quirks;
        if self.state.clock_set || !(quirks.clock_1981_until_ntp || quirks.clock_never) {
            let status = if self.ntp_wanted(network) { "Synchronized" } else { "Disabled" };
            self.tree.write_at_root("Time.Status", status);
            return;
        }
        let wanted = self.ntp_wanted(network) && !quirks.clock_never;
        match self.state.clock_due {
            _ if !wanted => self.state.clock_due = None,
            None => {
                self.tree.write_at_root("Time.Status", "Unsynchronized");
                self.state.clock_due = Some(self.soon(now, self.spec.timing.ntp_ms));
            }
            Some(due) if now >= due => {
                self.state.clock_set = true;
                self.state.clock_due = None;
                self.tree.write_at_root("Time.Status", "Synchronized");
                self.note(now, What::ClockSet);
            }
            Some(_) => {}
        }
    }

    /// NTP is on, asks a server that answers, and goes over a WAN that is up.
    fn ntp_wanted(&self, network: &Network) -> bool {
        let text = |name: &str| self.tree.at_root(&format!("Time.{name}")).unwrap_or_default();
        let enabled = self.tree.at_root("Time.Enable").is_none_or(is_true);
        let answers = (1..=5).map(|number| text(&format!("NTPServer{number}"))).any(|server| {
            !server.is_empty()
                && (network.ntp_servers.is_empty() || network.ntp_servers.iter().any(|one| one == server))
        });
        let over = text("X_HW_WanName");
        let way = over.is_empty()
            || wan::wans(&self.tree).iter().any(|wan| {
                wan::wan_name(&wan.path).as_deref() == Some(over)
                    && (Some(&wan.path) == self.state.management_wan.as_ref()
                        || self.state.links.get(&wan.path).is_some_and(|link| link.up))
            });
        enabled && answers && way
    }

    pub(super) fn run_links(&mut self, now: UtcMs, network: &Network) {
        let wans = self.service_wans();
        self.state.links.retain(|path, _| wans.iter().any(|wan| wan.path == *path));
        for wan in wans {
            let fingerprint = self.fingerprint(&wan);
            let link = self.state.links.get(&wan.path).cloned();
            match link {
                Some(link) if link.fingerprint == fingerprint => {
                    if link.due.is_some_and(|due| now >= due) {
                        self.dial(now, &wan, network);
                    }
                }
                _ if wan.enabled => {
                    let due = self.soon(now, self.spec.timing.pppoe_ms);
                    self.state
                        .links
                        .insert(wan.path.clone(), Link { fingerprint, due: Some(due), up: false });
                    wan::show(&mut self.tree, &wan, Shown::Connecting);
                }
                before => {
                    let was_up = before.is_some_and(|link| link.up);
                    self.state.links.insert(wan.path.clone(), Link { fingerprint, due: None, up: false });
                    if was_up
                        || self.tree.value(&format!("{}ConnectionStatus", wan.path)) == Some("Connecting")
                    {
                        wan::show(&mut self.tree, &wan, Shown::Down);
                        self.note(now, What::WanDown { path: wan.path });
                    }
                }
            }
        }
    }

    /// Everything that makes a connection dial again: its own settings, and where its frames go.
    fn fingerprint(&self, wan: &Wan) -> u64 {
        let mut hasher = DefaultHasher::new();
        (wan, self.way_out(wan)).hash(&mut hasher);
        hasher.finish()
    }

    /// Where frames of this connection come out behind the OLT.
    fn way_out(&self, wan: &Wan) -> Way {
        let side = wan.vlan.filter(|vlan| *vlan != 0);
        let Some(flows) = &self.state.flows else { return Way::Out(side) };
        let management = self.state.management.as_ref().and_then(|management| management.vlan);
        match flow::carrying(flows, side) {
            // The management network has no access server.
            Some(flow) if flow.user_vlan == management => Way::Nowhere,
            Some(flow) => Way::Out(Some(flow.vlan)),
            None => Way::Nowhere,
        }
    }

    fn dial(&mut self, now: UtcMs, wan: &Wan, network: &Network) {
        let quirks = &self.spec.quirks;
        // Another provider's connection goes another provider's way.
        let foreign = wan.username.ends_with("@old-isp");
        let answer = match (wan.kind, self.way_out(wan)) {
            _ if wan.bridged => Answer::Connected,
            (WanKind::Pppoe, _) if foreign => Answer::Connected,
            (WanKind::Pppoe, Way::Nowhere) => Answer::Silence,
            (WanKind::Pppoe, Way::Out(_)) if quirks.pppoe_refused => Answer::Refused,
            (WanKind::Pppoe, Way::Out(vlan)) => network.pppoe(&wan.username, &wan.password, vlan),
            (WanKind::Ip, Way::Nowhere) if wan.static_address.is_none() => Answer::Silence,
            (WanKind::Ip, _) => Answer::Connected,
        };
        let no_address = quirks.pppoe_no_address && wan.kind == WanKind::Pppoe && !foreign;
        let up = answer == Answer::Connected;
        let again = self.spec.timing.pppoe_retry_ms;
        let due = if up { None } else { Some(self.soon(now, again)) };
        self.state.links.insert(wan.path.clone(), Link { fingerprint: self.fingerprint(wan), due, up });
        let path = wan.path.clone();
        match answer {
            Answer::Connected => {
                let bytes = self.spec.serial.bytes();
                let address = match &wan.static_address {
                    _ if wan.bridged => String::new(),
                    _ if no_address => "0.0.0.0".to_owned(),
                    Some(address) => address.clone(),
                    None => format!("100.{}.{}.{}", 64 + bytes[5] % 64, bytes[6], bytes[7].clamp(2, 254)),
                };
                wan::show(&mut self.tree, wan, Shown::Up(&address));
                self.note(now, What::WanUp { path, address });
            }
            Answer::Refused => {
                let error = "ERROR_AUTHENTICATION_FAILURE";
                wan::show(&mut self.tree, wan, Shown::Failed(error));
                self.note(now, What::WanRefused { path, why: error.to_owned() });
            }
            Answer::Silence => {
                let error = match wan.kind {
                    WanKind::Pppoe => "ERROR_ISP_TIME_OUT",
                    WanKind::Ip => "ERROR_IP_CONFIGURATION",
                };
                wan::show(&mut self.tree, wan, Shown::Failed(error));
                self.note(now, What::WanRefused { path, why: error.to_owned() });
            }
        }
    }
}
