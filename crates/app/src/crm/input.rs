//! What a person or a program may hand in, and what is acceptable.

use crate::{AppError, error::Checks};
use provisioning::LanPort;
use serde::{Deserialize, Serialize};
use std::net::Ipv4Addr;
use types::{Currency, CustomerId, PlanId, Secret, Serial};

/// A customer to create or change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewCustomer {
    /// Person or company, in their own script.
    pub name: String,
    /// As they say it; searched by its digits.
    pub phone: String,
    /// For mail.
    pub email: String,
    /// Where they live.
    pub address: String,
    /// For colleagues.
    pub note: String,
}

impl NewCustomer {
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let mut checks = Checks::default();
        checks.text("name", &self.name, 300);
        checks.optional("phone", &self.phone, 40);
        checks.optional("email", &self.email, 254);
        if !self.email.is_empty() && !self.email.contains('@') {
            checks.wrong("email", format!("{:?} has no @.", self.email));
        }
        checks.optional("address", &self.address, 500);
        checks.optional("note", &self.note, 4000);
        checks.done()
    }
}

/// A plan to create or change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewPlan {
    /// Name on offers and invoices.
    pub name: String,
    /// Download in kbit/s.
    pub down_kbps: i64,
    /// Upload in kbit/s.
    pub up_kbps: i64,
    /// Price of a month in minor units of the currency.
    pub price_minor: i64,
    /// ISO 4217.
    pub currency: Currency,
    /// How the router gets to the internet: `pppoe`, `dhcp` or `bridge`.
    pub internet_mode: String,
    /// VLAN of the internet service; empty: the OLT's own default. Authorising an ONU tells its router the same.
    #[serde(default)]
    pub vlan: Option<u16>,
}

impl NewPlan {
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let mut checks = Checks::default();
        checks.text("name", &self.name, 120);
        for (field, kbps) in [("down_kbps", self.down_kbps), ("up_kbps", self.up_kbps)] {
            if !(64..=100_000_000).contains(&kbps) {
                checks.wrong(field, format!("{kbps} kbit/s is out of range; 64 to 100000000 are possible."));
            }
        }
        if self.price_minor < 0 {
            checks.wrong("price_minor", "is negative.");
        }
        if !["pppoe", "dhcp", "bridge"].contains(&self.internet_mode.as_str()) {
            checks
                .wrong("internet_mode", format!("{:?} is none of pppoe, dhcp, bridge.", self.internet_mode));
        }
        if let Some(vlan) = self.vlan {
            checks.vlan("vlan", vlan);
        }
        checks.done()
    }
}

/// A Wi-Fi network as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WifiInput {
    /// Network name, the same on every band.
    pub ssid: String,
    /// WPA passphrase, 8 to 63 printable ASCII characters; absent: keep the one in force.
    #[serde(default, skip_serializing)]
    pub passphrase: Option<Secret>,
    /// Off switches the radios' networks off.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

impl WifiInput {
    pub(crate) fn check(&self, checks: &mut Checks) {
        checks.text("ssid", &self.ssid, 32);
        if self.ssid.len() > 32 {
            // IEEE 802.11: an SSID is up to 32 octets, whatever the script.
            checks.wrong("ssid", format!("takes {} bytes; a radio carries at most 32.", self.ssid.len()));
        }
        if let Some(passphrase) = &self.passphrase {
            let text = passphrase.expose();
            if !(8..=63).contains(&text.len()) || !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
                checks.wrong(
                    "passphrase",
                    "must be 8 to 63 characters without accents or other scripts (WPA2).",
                );
            }
        }
    }
}

/// A PPPoE user name.
fn check_login(checks: &mut Checks, field: &str, login: &str) {
    checks.text(field, login, 64);
    if !login.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        checks.wrong(field, "must be printable ASCII without blanks: routers carry no others.");
    }
}

/// A PPPoE password. The words never repeat it.
fn check_password(checks: &mut Checks, field: &str, password: &Secret) {
    let text = password.expose();
    if text.is_empty() || text.len() > 64 || !text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        checks.wrong(field, "must be 1 to 64 printable ASCII characters: routers carry no others.");
    }
}

/// A VLAN as wanted. In JSON a number, or the word `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum VlanInput {
    /// This one.
    Tag(u16),
    /// Untagged.
    Untagged(NoVlan),
}

/// The word for a WAN without a VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoVlan {
    /// Explicitly none.
    None,
}

impl VlanInput {
    /// Explicitly none.
    pub const NONE: VlanInput = VlanInput::Untagged(NoVlan::None);

    /// The tag, if there is to be one.
    pub fn tag(self) -> Option<u16> {
        match self {
            VlanInput::Tag(vlan) => Some(vlan),
            VlanInput::Untagged(NoVlan::None) => None,
        }
    }
}

/// The internet layer as wanted (`PUT /services/{id}/intents/internet`). What is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InternetInput {
    /// `pppoe`, `dhcp`, `static` or `bridge`.
    pub mode: String,
    /// PPPoE user name.
    #[serde(default)]
    pub username: Option<String>,
    /// PPPoE password; absent: keep the one in force.
    #[serde(default, skip_serializing)]
    pub password: Option<Secret>,
    /// VLAN of the WAN; absent: as it is. Once an ONU carries the service, its service port decides.
    #[serde(default)]
    pub vlan: Option<VlanInput>,
    /// Address, mask, gateway and name servers of a fixed address; all of them together.
    #[serde(default)]
    pub fixed: Option<FixedAddress>,
    /// Addresses of the LAN are translated. A bridge never does.
    #[serde(default)]
    pub nat: Option<bool>,
    /// IPv6 beside IPv4.
    #[serde(default)]
    pub ipv6: Option<bool>,
    /// Largest packet in octets; 0: the router's own.
    #[serde(default)]
    pub mtu: Option<u16>,
    /// Ports and SSIDs of this WAN, e.g. `lan1`, `ssid2`; empty: all of them.
    #[serde(default)]
    pub bind: Option<Vec<String>>,
    /// Also keep the vendor's policy-route row for the binding.
    #[serde(default)]
    pub policy_routes: Option<bool>,
}

/// A fixed IPv4 address of a WAN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedAddress {
    /// Address of the router.
    pub address: String,
    /// Subnet mask, e.g. 255.255.255.248.
    pub mask: String,
    /// Default gateway, in the same subnet.
    pub gateway: String,
    /// Name servers, three at most.
    #[serde(default)]
    pub dns: Vec<String>,
}

/// Most name servers of a WAN.
const NAME_SERVERS: usize = 3;
/// Smallest and largest packet that a WAN may be told (IPv6 needs 1280; Ethernet with baby giants carries 1508 for PPPoE).
const MTU: std::ops::RangeInclusive<u16> = 1_280..=1_508;

impl FixedAddress {
    fn check(&self, checks: &mut Checks) {
        let address = ipv4(checks, "address", &self.address);
        let mask = mask(checks, "mask", &self.mask);
        let gateway = ipv4(checks, "gateway", &self.gateway);
        if let (Some(address), Some(mask), Some(gateway)) = (address, mask, gateway) {
            host_of(checks, "address", address, mask);
            if address == gateway {
                checks.wrong("gateway", "is the address of the router itself.");
            } else if u32::from(address) & mask != u32::from(gateway) & mask {
                checks
                    .wrong("gateway", format!("{gateway} is not in the subnet of {address} with this mask."));
            }
        }
        if self.dns.len() > NAME_SERVERS {
            checks.wrong("dns", format!("has {} name servers; {NAME_SERVERS} are possible.", self.dns.len()));
        }
        for server in &self.dns {
            ipv4(checks, "dns", server);
        }
    }
}

fn ipv4(checks: &mut Checks, field: &str, text: &str) -> Option<Ipv4Addr> {
    let found = text.parse::<Ipv4Addr>().ok();
    let usable = found.filter(|ip| !ip.is_unspecified() && !ip.is_multicast() && !ip.is_broadcast());
    if usable.is_none() {
        let shown: String = text.chars().take(40).collect();
        checks.wrong(field, format!("{shown:?} is no IPv4 address of a host."));
    }
    usable
}

/// A mask as bits.
fn mask(checks: &mut Checks, field: &str, text: &str) -> Option<u32> {
    let bits = text.parse::<Ipv4Addr>().ok().map(u32::from);
    let usable = bits.filter(|bits| {
        bits.leading_ones() + bits.trailing_zeros() == 32 && (8..32).contains(&bits.leading_ones())
    });
    if usable.is_none() {
        let shown: String = text.chars().take(40).collect();
        checks.wrong(field, format!("{shown:?} is no subnet mask from 255.0.0.0 to 255.255.255.254."));
    }
    usable
}

/// Neither the network itself nor its broadcast (RFC 3021: a /31 has neither).
fn host_of(checks: &mut Checks, field: &str, address: Ipv4Addr, mask: u32) {
    let host = u32::from(address) & !mask;
    if mask.leading_ones() < 31 && (host == 0 || host == !mask) {
        checks.wrong(field, format!("{address} is the network or the broadcast address of its subnet."));
    }
}

/// Ports as people name them: `lan1` to `lan8`, `ssid1` to `ssid8`.
pub(crate) fn port(word: &str) -> Option<LanPort> {
    let word = word.trim().to_ascii_lowercase();
    let number = |text: &str| text.parse::<u8>().ok().filter(|number| (1..=8).contains(number));
    match (word.strip_prefix("lan"), word.strip_prefix("ssid")) {
        (Some(text), _) => number(text).map(LanPort::Lan),
        (_, Some(text)) => number(text).map(LanPort::Ssid),
        _ => None,
    }
}

impl InternetInput {
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let mut checks = Checks::default();
        match self.mode.as_str() {
            "pppoe" => check_login(&mut checks, "username", self.username.as_deref().unwrap_or_default()),
            "dhcp" | "bridge" => {}
            "static" => {
                if let Some(fixed) = &self.fixed {
                    fixed.check(&mut checks);
                }
            }
            other => checks.wrong("mode", format!("{other:?} is none of pppoe, dhcp, static, bridge.")),
        }
        if self.fixed.is_some() && self.mode != "static" {
            checks.wrong("address", format!("is for the mode static, not for {}.", self.mode));
        }
        if self.nat == Some(true) && self.mode == "bridge" {
            checks.wrong("nat", "is not possible on a bridge: the router behind it translates.");
        }
        if let Some(mtu) = self.mtu.filter(|mtu| *mtu != 0 && !MTU.contains(mtu)) {
            checks.wrong(
                "mtu",
                format!(
                    "{mtu} is out of range; {} to {} are possible, 0 leaves the router's own.",
                    MTU.start(),
                    MTU.end()
                ),
            );
        }
        for word in self.bind.iter().flatten() {
            if port(word).is_none() {
                let shown: String = word.chars().take(20).collect();
                checks.wrong("bind", format!("{shown:?} is no port; lan1 to lan8 and ssid1 to ssid8 are."));
            }
        }
        if let Some(password) = &self.password {
            check_password(&mut checks, "password", password);
        }
        if let Some(vlan) = self.vlan.and_then(VlanInput::tag) {
            checks.vlan("vlan", vlan);
        }
        checks.done()
    }
}

/// The LAN side as wanted (`PUT /services/{id}/intents/lan`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanInput {
    /// Address of the router on the LAN.
    pub address: String,
    /// Subnet mask.
    pub mask: String,
    /// The router hands out addresses.
    #[serde(default = "yes")]
    pub dhcp: bool,
    /// First address handed out.
    #[serde(default)]
    pub dhcp_first: String,
    /// Last address handed out.
    #[serde(default)]
    pub dhcp_last: String,
}

impl LanInput {
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let mut checks = Checks::default();
        let address = ipv4(&mut checks, "address", &self.address);
        let mask = mask(&mut checks, "mask", &self.mask);
        // A server that is off needs no range; one that is given must be one all the same.
        let mut range = |field, text: &str| {
            (self.dhcp || !text.is_empty()).then(|| ipv4(&mut checks, field, text)).flatten()
        };
        let (first, last) = (range("dhcp_first", &self.dhcp_first), range("dhcp_last", &self.dhcp_last));
        if let Some(address) = address.filter(|address| !address.is_private()) {
            checks.wrong("address", format!("{address} is no private address; a LAN has one (RFC 1918)."));
        }
        if let (Some(address), Some(mask)) = (address, mask) {
            host_of(&mut checks, "address", address, mask);
            for (field, handed) in [("dhcp_first", first), ("dhcp_last", last)] {
                let Some(handed) = handed else { continue };
                if u32::from(handed) & mask != u32::from(address) & mask {
                    checks
                        .wrong(field, format!("{handed} is not in the subnet of {address} with this mask."));
                } else {
                    host_of(&mut checks, field, handed, mask);
                }
            }
            let inside = |ip: Ipv4Addr| u32::from(ip) & mask == u32::from(address) & mask;
            if let (Some(first), Some(last)) = (first.filter(|ip| inside(*ip)), last.filter(|ip| inside(*ip)))
            {
                if first > last {
                    checks.wrong("dhcp_last", format!("{last} is before {first}."));
                } else if (first..=last).contains(&address) {
                    checks.wrong("dhcp_first", format!("the router's own {address} would be handed out."));
                }
            }
        }
        checks.done()
    }
}

/// The access layer as wanted (`PUT /services/{id}/intents/access`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessInput {
    /// The home network.
    pub wifi: WifiInput,
}

impl AccessInput {
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let mut checks = Checks::default();
        self.wifi.check(&mut checks);
        checks.done()
    }
}

/// A service to create: what the customer should have, before any device is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewService {
    /// Who buys it.
    pub customer_id: CustomerId,
    /// What is bought.
    pub plan_id: PlanId,
    /// PPPoE user name; empty: derived from the service code.
    #[serde(default)]
    pub pppoe_login: Option<String>,
    /// PPPoE password; absent: a random one.
    #[serde(default, skip_serializing)]
    pub pppoe_password: Option<Secret>,
    /// The home network; absent: a name from the service code and a random passphrase.
    #[serde(default)]
    pub wifi: Option<WifiInput>,
    /// PON serial number of the ONU that will be installed, when it is known already.
    #[serde(default)]
    pub expected_serial: Option<Serial>,
    /// Where the service is; empty: the customer's address.
    #[serde(default)]
    pub address: String,
}

impl NewService {
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let mut checks = Checks::default();
        if let Some(login) = &self.pppoe_login {
            check_login(&mut checks, "pppoe_login", login);
        }
        if let Some(password) = &self.pppoe_password {
            check_password(&mut checks, "pppoe_password", password);
        }
        if let Some(wifi) = &self.wifi {
            wifi.check(&mut checks);
        }
        checks.optional("address", &self.address, 500);
        checks.done()
    }
}

/// What of a service may turn out to be wrong.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceCorrection {
    /// Where the service is.
    pub address: String,
    /// PON serial number of the ONU that it waits for; none: it is picked by hand.
    #[serde(default)]
    pub expected_serial: Option<Serial>,
}

impl ServiceCorrection {
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let mut checks = Checks::default();
        checks.optional("address", &self.address, 500);
        checks.done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_name_is_counted_in_bytes() {
        let wifi = |ssid: &str| WifiInput { ssid: ssid.into(), passphrase: None, enabled: true };
        let wrong = |input: WifiInput| AccessInput { wifi: input }.check().err().map(|e| e.to_string());
        assert_eq!(
            wrong(wifi("Οικία Παπαδοπούλου")),
            Some("ssid: takes 35 bytes; a radio carries at most 32.".into())
        );
        assert_eq!(wrong(wifi("Οικία")), None);
    }

    #[test]
    fn a_password_that_no_router_carries_is_refused_for_a_new_service_as_for_an_old_one() {
        for (password, fits) in [
            ("x", true),
            ("a b~!", true),
            ("", false),
            ("пароль", false),
            ("a\tb", false),
            (&"x".repeat(65), false),
        ] {
            let service = NewService {
                customer_id: CustomerId(1),
                plan_id: PlanId(1),
                pppoe_login: None,
                pppoe_password: Some(Secret::new(password)),
                wifi: None,
                expected_serial: None,
                address: String::new(),
            };
            let change = InternetInput {
                mode: "pppoe".into(),
                username: Some("amina".into()),
                password: Some(Secret::new(password)),
                ..InternetInput::default()
            };
            let named = |checked: Result<(), AppError>| match checked {
                Ok(()) => None,
                Err(AppError::Invalid { fields }) => Some(fields[0].field.clone()),
                Err(other) => panic!("{other}"),
            };
            assert_eq!(named(service.check()), (!fits).then(|| "pppoe_password".to_owned()), "{password:?}");
            assert_eq!(named(change.check()), (!fits).then(|| "password".to_owned()), "{password:?}");
        }
    }

    #[test]
    fn a_fixed_address_is_one_that_can_work() {
        let fixed = |address: &str, mask: &str, gateway: &str, dns: &[&str]| {
            let input = InternetInput {
                mode: "static".into(),
                fixed: Some(FixedAddress {
                    address: address.into(),
                    mask: mask.into(),
                    gateway: gateway.into(),
                    dns: dns.iter().map(|&server| server.to_owned()).collect(),
                }),
                ..InternetInput::default()
            };
            match input.check() {
                Ok(()) => Vec::new(),
                Err(AppError::Invalid { fields }) => fields.into_iter().map(|f| f.field).collect(),
                Err(other) => panic!("{other}"),
            }
        };
        let none: Vec<String> = Vec::new();
        assert_eq!(fixed("203.0.113.10", "255.255.255.248", "203.0.113.9", &["9.9.9.9"]), none);
        assert_eq!(fixed("203.0.113.8", "255.255.255.254", "203.0.113.9", &[]), none, "RFC 3021");
        assert_eq!(fixed("203.0.113.8", "255.255.255.248", "203.0.113.9", &[]), ["address"], "the network");
        assert_eq!(fixed("203.0.113.10", "255.255.255.248", "203.0.113.1", &[]), ["gateway"], "elsewhere");
        assert_eq!(fixed("203.0.113.10", "255.255.255.248", "203.0.113.10", &[]), ["gateway"], "itself");
        assert_eq!(fixed("203.0.113.10", "255.0.255.0", "203.0.113.9", &[]), ["mask"]);
        assert_eq!(
            fixed("here", "255.255.255.0", "224.0.0.1", &["x", "1.1.1.1"]),
            ["address", "gateway", "dns"]
        );
        assert_eq!(fixed("203.0.113.10", "255.255.255.0", "203.0.113.9", &["9.9.9.9"; 4]), ["dns"]);
    }

    #[test]
    fn a_lan_hands_out_what_is_in_it_and_not_its_own_address() {
        let lan = |address: &str, mask: &str, first: &str, last: &str| {
            let input = LanInput {
                address: address.into(),
                mask: mask.into(),
                dhcp: true,
                dhcp_first: first.into(),
                dhcp_last: last.into(),
            };
            match input.check() {
                Ok(()) => Vec::new(),
                Err(AppError::Invalid { fields }) => fields.into_iter().map(|f| f.field).collect(),
                Err(other) => panic!("{other}"),
            }
        };
        let none: Vec<String> = Vec::new();
        assert_eq!(lan("192.168.7.1", "255.255.255.0", "192.168.7.10", "192.168.7.200"), none);
        assert_eq!(lan("8.8.8.8", "255.255.255.0", "8.8.8.10", "8.8.8.20"), ["address"]);
        assert_eq!(
            lan("192.168.7.1", "255.255.255.0", "192.168.8.10", "192.168.7.255"),
            ["dhcp_first", "dhcp_last"]
        );
        assert_eq!(lan("192.168.7.1", "255.255.255.0", "192.168.7.20", "192.168.7.10"), ["dhcp_last"]);
        assert_eq!(lan("192.168.7.15", "255.255.255.0", "192.168.7.10", "192.168.7.20"), ["dhcp_first"]);
        assert_eq!(lan("192.168.7.1", "255.255.255.0", "", ""), ["dhcp_first", "dhcp_last"]);
        let off = |first: &str| LanInput {
            address: "192.168.7.1".into(),
            mask: "255.255.255.0".into(),
            dhcp: false,
            dhcp_first: first.into(),
            dhcp_last: String::new(),
        };
        assert!(off("").check().is_ok(), "a server that is off hands out nothing");
        assert!(off("192.168.8.1").check().is_err());
    }

    #[test]
    fn a_wan_is_told_only_what_there_is() {
        let wrong = |input: InternetInput| match input.check() {
            Ok(()) => Vec::new(),
            Err(AppError::Invalid { fields }) => fields.into_iter().map(|f| f.field).collect(),
            Err(other) => panic!("{other}"),
        };
        let dhcp = || InternetInput { mode: "dhcp".into(), ..InternetInput::default() };
        let ports = |words: &[&str]| Some(words.iter().map(|&word| word.to_owned()).collect());
        assert_eq!(
            wrong(InternetInput { mtu: Some(0), bind: ports(&["lan1", "SSID2"]), ..dhcp() }),
            Vec::<String>::new()
        );
        assert_eq!(
            wrong(InternetInput { mtu: Some(9000), bind: ports(&["lan0", "usb1"]), ..dhcp() }),
            ["mtu", "bind", "bind"]
        );
        assert_eq!(wrong(InternetInput { fixed: Some(FixedAddress::default()), ..dhcp() }), ["address"]);
        assert_eq!(wrong(InternetInput { mode: "bridge".into(), nat: Some(true), ..dhcp() }), ["nat"]);
        assert_eq!(wrong(InternetInput { mode: "magic".into(), ..dhcp() }), ["mode"]);
        assert_eq!(
            (port("lan4"), port("ssid8"), port("lan9")),
            (Some(LanPort::Lan(4)), Some(LanPort::Ssid(8)), None)
        );
    }

    #[test]
    fn secrets_of_an_input_are_never_serialised() {
        let input = InternetInput {
            mode: "pppoe".into(),
            username: Some("amina".into()),
            password: Some("hunter2".into()),
            vlan: Some(VlanInput::Tag(203)),
            ..InternetInput::default()
        };
        input.check().expect("acceptable");
        let json = serde_json::to_string(&input).expect("json");
        assert!(!json.contains("hunter2") && !format!("{input:?}").contains("hunter2"));
    }

    #[test]
    fn a_vlan_is_a_number_or_explicitly_none() {
        let read = |vlan: &str| {
            serde_json::from_str::<InternetInput>(&format!(r#"{{"mode":"dhcp"{vlan}}}"#))
                .map(|input| input.vlan)
        };
        assert_eq!(read("").expect("absent"), None);
        assert_eq!(read(r#","vlan":null"#).expect("null"), None, "null says nothing either");
        assert_eq!(read(r#","vlan":203"#).expect("a number"), Some(VlanInput::Tag(203)));
        assert_eq!(read(r#","vlan":"none""#).expect("a word"), Some(VlanInput::NONE));
        for bad in [r#","vlan":"203""#, r#","vlan":-1"#, r#","vlan":"None""#] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::to_string(&VlanInput::NONE).expect("json"), r#""none""#, "for the audit");
    }

    #[test]
    fn a_plan_says_everything_that_is_wrong_with_it() {
        let plan = NewPlan {
            name: String::new(),
            down_kbps: 0,
            up_kbps: 100_000,
            price_minor: -1,
            currency: "EUR".parse().expect("currency"),
            internet_mode: "magic".into(),
            vlan: Some(0),
        };
        let Err(AppError::Invalid { fields }) = plan.check() else { panic!("much is wrong") };
        let named: Vec<_> = fields.iter().map(|f| f.field.as_str()).collect();
        assert_eq!(named, ["name", "down_kbps", "price_minor", "internet_mode", "vlan"]);
    }
}
