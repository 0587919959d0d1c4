//! A scenario: OLTs, plans, and groups of ONUs with their customers, quirks and expectations, as readable TOML.
//!
//! `scenarios/demo.toml` shows everything there is. Mistakes are answered with the line and the key.

use crate::{
    cpe::{CpeTiming, Quirks},
    olt::{ManagementPool, OltSpec},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use types::{Mac, PonPath, Secret, Serial};

/// The scenario of the demo.
pub const DEMO: &str = include_str!("../scenarios/demo.toml");
/// Four ONUs, for a first look and for tests.
pub const SMALL: &str = include_str!("../scenarios/small.toml");
/// Most ONUs of one scenario.
const MAX_ONUS: usize = 200_000;

/// What is wrong with a scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, an unknown key, or a value of the wrong kind.
    #[error("the scenario cannot be read: {0}")]
    Toml(String),
    /// Readable, and contradictory.
    #[error("the scenario is wrong at line {line}, {key}: {what}")]
    Wrong {
        /// Counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// What is wrong, and what was expected.
        what: String,
    },
}

/// The network behind the OLTs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkSpec {
    /// The addresses of the management network, as the ACS is told to trust them.
    pub management_subnet: String,
    /// Time servers that answer; empty = any does.
    pub ntp_servers: Vec<String>,
    /// PPPoE logins that no group names are accepted too: services that a visitor makes up.
    pub accept_unknown_logins: bool,
    /// Equipment ids of the boxes that cannot tag and that the ISP knows of: their OLT tags for them.
    pub untagged_models: Vec<String>,
}

impl Default for NetworkSpec {
    fn default() -> Self {
        NetworkSpec {
            management_subnet: "127.20.0.0/16".to_owned(),
            ntp_servers: Vec::new(),
            accept_unknown_logins: true,
            untagged_models: Vec::new(),
        }
    }
}

/// A plan that customers buy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanSpec {
    /// Its name.
    pub name: String,
    /// Downstream.
    pub down_kbps: u32,
    /// Upstream.
    pub up_kbps: u32,
    /// Monthly price in minor units of the currency.
    #[serde(default)]
    pub price_minor: i64,
    /// ISO 4217.
    #[serde(default = "euro")]
    pub currency: String,
    /// VLAN of the internet WAN; nothing means the OLT's own.
    #[serde(default)]
    pub vlan: Option<u16>,
    /// How the internet WAN is made.
    #[serde(default)]
    pub internet: Internet,
}

fn euro() -> String {
    "EUR".to_owned()
}

/// How an internet WAN is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Internet {
    /// PPPoE with a login per service.
    #[default]
    Pppoe,
    /// Address by DHCP.
    Dhcp,
    /// The customer's own router dials.
    Bridge,
}

/// The customers of a group and what they bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// Names; used in turn, with a number where there are more ONUs than names.
    pub customers: Vec<String>,
    /// Name of a plan.
    pub plan: String,
    /// Street; a number is added.
    #[serde(default)]
    pub street: String,
    /// Wi-Fi name; empty makes one up.
    #[serde(default)]
    pub ssid: String,
    /// The service is known to the CRM with the ONU's serial number, so that its detection can be matched.
    #[serde(default = "yes")]
    pub expects_serial: bool,
}

fn yes() -> bool {
    true
}

/// Who authorises the ONUs of a group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// The demo does, as it starts.
    #[default]
    Nobody,
    /// The visitor, by hand.
    Operator,
}

/// What must become of the ONUs of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expect {
    /// One of these states of the CPE, e.g. `ACTIVE`; empty = any.
    #[serde(deserialize_with = "one_or_many")]
    pub state: Vec<String>,
    /// One of these reason codes; empty = any.
    #[serde(deserialize_with = "one_or_many")]
    pub reason: Vec<String>,
    /// The ONU stays in the list of detected ONUs.
    pub detected: bool,
}

/// `"a"` or `["a", "b"]`.
fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

impl Expect {
    /// True if a CPE in this state, for this reason, is as expected. `detected` is for the caller to see.
    pub fn is_met(&self, state: &str, reason: &str) -> bool {
        let one_of = |list: &[String], value: &str| list.is_empty() || list.iter().any(|one| one == value);
        one_of(&self.state, state) && one_of(&self.reason, reason)
    }
}

/// A group of ONUs that are alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// Short name.
    pub name: String,
    /// What this group shows, for people.
    #[serde(default)]
    pub about: String,
    /// How many ONUs.
    #[serde(default = "one")]
    pub count: usize,
    /// Name of the OLT; the first one if empty.
    #[serde(default)]
    pub olt: String,
    /// PON ports, used in turn.
    #[serde(default)]
    pub pons: Vec<PonPath>,
    /// `hg8546m`, `eg8145v5`, `generic_tr098`, `generic_tr181`, or the path of a data model file.
    #[serde(default = "hg8546m")]
    pub model: String,
    /// The equipment id that the ONU announces; empty: the usual one of its model.
    #[serde(default)]
    pub equipment_id: String,
    /// The firmware of the CPE; empty: what its data model says.
    #[serde(default)]
    pub software_version: String,
    /// Four letters and up to seven hex digits; the rest is made up.
    #[serde(default = "hwtc")]
    pub serial_prefix: String,
    /// Serial numbers of the first ones, if they matter.
    #[serde(default)]
    pub serials: Vec<Serial>,
    /// Least and greatest distance from the OLT.
    #[serde(default = "distance")]
    pub distance_m: [u32; 2],
    /// Least and greatest power received by the ONU.
    #[serde(default = "power")]
    pub rx_power_dbm: [f64; 2],
    /// Customers; without them nothing is ordered for these ONUs.
    #[serde(default)]
    pub service: Option<ServiceSpec>,
    /// Who authorises.
    #[serde(default)]
    pub wait: Wait,
    /// What is odd.
    #[serde(default)]
    pub quirks: Quirks,
    /// Durations that differ from the scenario's, by their names in [`CpeTiming`].
    #[serde(default)]
    pub timing: toml::Table,
    /// What must become of them.
    pub expect: Expect,
}

fn one() -> usize {
    1
}
fn hg8546m() -> String {
    "hg8546m".to_owned()
}
fn hwtc() -> String {
    "HWTC".to_owned()
}
fn distance() -> [u32; 2] {
    [300, 6_000]
}
fn power() -> [f64; 2] {
    [-24.0, -16.0]
}

/// A whole scenario.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Its title.
    pub title: String,
    /// Seed of everything random.
    #[serde(default)]
    pub seed: u64,
    /// The network behind the OLTs.
    #[serde(default)]
    pub network: NetworkSpec,
    /// How long things take on the CPEs.
    #[serde(default)]
    pub timing: CpeTiming,
    /// The OLTs, as the OLT simulator describes them.
    #[serde(rename = "olt")]
    pub olts: Vec<OltSpec>,
    /// The plans.
    #[serde(default, rename = "plan")]
    pub plans: Vec<PlanSpec>,
    /// The groups.
    #[serde(rename = "group")]
    pub groups: Vec<GroupSpec>,
}

/// What a customer ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnuService {
    /// Name of the customer.
    pub customer: String,
    /// A phone number.
    pub phone: String,
    /// An address.
    pub address: String,
    /// Name of the plan.
    pub plan: String,
    /// How the internet WAN is made.
    pub internet: Internet,
    /// VLAN of the internet WAN.
    pub vlan: Option<u16>,
    /// PPPoE login, if the plan is PPPoE.
    pub pppoe_login: Option<String>,
    /// Its password.
    pub pppoe_password: Secret,
    /// Wi-Fi name.
    pub ssid: String,
    /// Wi-Fi passphrase.
    pub passphrase: Secret,
    /// The serial number is written in the order.
    pub expects_serial: bool,
}

/// One ONU of a scenario, with its CPE.
#[derive(Debug, Clone, PartialEq)]
pub struct OnuPlan {
    /// PON serial number.
    pub serial: Serial,
    /// MAC address.
    pub mac: Mac,
    /// Name of its group.
    pub group: String,
    /// Name of its OLT.
    pub olt: String,
    /// Its PON port.
    pub pon: PonPath,
    /// Name or file of the data model.
    pub model: String,
    /// The equipment id that it announces.
    pub equipment_id: String,
    /// The firmware of the CPE, if it is not what its data model says.
    pub software_version: Option<String>,
    /// The ISP lets the OLT tag for it.
    pub untagged: bool,
    /// Distance from the OLT.
    pub distance_m: u32,
    /// Power received by the ONU, hundredths of a dBm.
    pub rx_power_cdbm: i32,
    /// What was ordered for it.
    pub service: Option<OnuService>,
    /// Who authorises it.
    pub wait: Wait,
    /// What is odd.
    pub quirks: Quirks,
    /// How long things take.
    pub timing: CpeTiming,
    /// What must become of it.
    pub expect: Expect,
}

impl Scenario {
    /// Reads and checks a scenario.
    ///
    /// # Errors
    /// With the line and the key of the first mistake.
    pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        let mut scenario: Scenario =
            toml::from_str(text).map_err(|error| ScenarioError::Toml(error.to_string()))?;
        scenario.check(text)?;
        scenario.share_subnet(text)?;
        Ok(scenario)
    }

    /// The scenario of the demo.
    ///
    /// # Errors
    /// Never, as a test makes sure.
    pub fn demo() -> Result<Scenario, ScenarioError> {
        Scenario::parse(DEMO)
    }

    /// Four ONUs.
    ///
    /// # Errors
    /// Never, as a test makes sure.
    pub fn small() -> Result<Scenario, ScenarioError> {
        Scenario::parse(SMALL)
    }

    fn check(&self, text: &str) -> Result<(), ScenarioError> {
        let at = |table: &str, nth: usize, key: &str, what: String| {
            Err(ScenarioError::Wrong {
                line: line_of(text, table, nth, key),
                key: format!("{table}.{key}"),
                what,
            })
        };
        if self.olts.is_empty() {
            return at("olt", 0, "name", "there is no [[olt]]".to_owned());
        }
        if self.groups.iter().map(|group| group.count).sum::<usize>() > MAX_ONUS {
            return at("group", 0, "count", format!("more than {MAX_ONUS} ONUs in all groups"));
        }
        let mut serials = BTreeSet::new();
        for (nth, group) in self.groups.iter().enumerate() {
            let wrong = |key: &str, what: String| at("group", nth, key, what);
            if !group.olt.is_empty() && !self.olts.iter().any(|olt| olt.name == group.olt) {
                return wrong("olt", format!("there is no [[olt]] named {:?}", group.olt));
            }
            if let Some(service) = &group.service {
                if !self.plans.iter().any(|plan| plan.name == service.plan) {
                    return wrong("plan", format!("there is no [[plan]] named {:?}", service.plan));
                }
                if service.customers.is_empty() {
                    return wrong("customers", "at least one name is needed".to_owned());
                }
            }
            let (vendor, rest) = group.serial_prefix.split_at_checked(4).unwrap_or(("", ""));
            let is_vendor =
                vendor.len() == 4 && vendor.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
            if !is_vendor || rest.len() > 7 || !rest.bytes().all(|b| b.is_ascii_hexdigit()) {
                let what = format!(
                    "{:?} is not four capital letters and up to seven hex digits",
                    group.serial_prefix
                );
                return wrong("serial_prefix", what);
            }
            if group.serials.len() > group.count {
                return wrong(
                    "serials",
                    format!("{} serial numbers for {} ONUs", group.serials.len(), group.count),
                );
            }
            if let Some(twice) = group.serials.iter().find(|serial| !serials.insert(**serial)) {
                return wrong("serials", format!("{twice} is there twice"));
            }
            if let Err(what) = self.timing_of(group) {
                return wrong("timing", what);
            }
            if group.distance_m[0] > group.distance_m[1] || group.rx_power_dbm[0] > group.rx_power_dbm[1] {
                return wrong("distance_m", "the first of a range must not be above the second".to_owned());
            }
            if !group.expect.detected && group.expect.state.is_empty() {
                return wrong("expect", "needs `state = \"…\"` or `detected = true`".to_owned());
            }
        }
        Ok(())
    }

    /// OLTs that say nothing of their pool hand out the addresses that the ACS is told to trust.
    fn share_subnet(&mut self, text: &str) -> Result<(), ScenarioError> {
        let (subnet, of) = (self.network.management_subnet.clone(), self.olts.len());
        for (nth, olt) in self.olts.iter_mut().enumerate() {
            if olt.pool != ManagementPool::default() {
                continue;
            }
            olt.pool = ManagementPool::share_of(&subnet, nth, of).ok_or_else(|| ScenarioError::Wrong {
                line: line_of(text, "network", 0, "management_subnet"),
                key: "network.management_subnet".to_owned(),
                what: format!("{subnet:?} is no IPv4 subnet with room for the ONUs of {of} OLTs"),
            })?;
        }
        Ok(())
    }

    /// The scenario's durations with those of the group over them.
    fn timing_of(&self, group: &GroupSpec) -> Result<CpeTiming, String> {
        let mut table = toml::Table::try_from(&self.timing).map_err(|error| error.to_string())?;
        table.extend(group.timing.clone());
        table.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    }

    /// Every ONU, the same ones each time.
    ///
    /// # Errors
    /// When a plan or an OLT that a group names does not exist ([`Scenario::parse`] has made sure).
    pub fn onus(&self) -> Result<Vec<OnuPlan>, ScenarioError> {
        let plans: BTreeMap<&str, &PlanSpec> =
            self.plans.iter().map(|plan| (plan.name.as_str(), plan)).collect();
        let mut chance = ChaCha8Rng::seed_from_u64(self.seed);
        let mut taken: BTreeSet<Serial> =
            self.groups.iter().flat_map(|group| group.serials.iter().copied()).collect();
        let mut onus = Vec::new();
        for (nth, group) in self.groups.iter().enumerate() {
            let wrong = |key: &str, what: String| ScenarioError::Wrong {
                line: 0,
                key: format!("group {nth}.{key}"),
                what,
            };
            let olt = match group.olt.as_str() {
                "" => self.olts.first().map(|olt| olt.name.clone()),
                name => Some(name.to_owned()),
            };
            let olt = olt.ok_or_else(|| wrong("olt", "there is no [[olt]]".to_owned()))?;
            for index in 0..group.count {
                let serial = match group.serials.get(index) {
                    Some(serial) => *serial,
                    None => loop {
                        let serial = made_up(&group.serial_prefix, &mut chance);
                        let serial =
                            serial.ok_or_else(|| wrong("serial_prefix", group.serial_prefix.clone()))?;
                        if taken.insert(serial) {
                            break serial;
                        }
                    },
                };
                let bytes = serial.bytes();
                let range = |low: f64, high: f64, chance: &mut ChaCha8Rng| {
                    low + (high - low) * chance.random::<f64>()
                };
                let [near, far] = group.distance_m;
                let [low, high] = group.rx_power_dbm;
                let service = match &group.service {
                    Some(service) => {
                        let plan = plans.get(service.plan.as_str());
                        let plan = plan.ok_or_else(|| wrong("plan", service.plan.clone()))?;
                        Some(ordered(service, plan, index, onus.len(), &mut chance))
                    }
                    None => None,
                };
                let equipment_id = match group.equipment_id.as_str() {
                    "" => usual_equipment_id(&group.model).to_owned(),
                    own => own.to_owned(),
                };
                onus.push(OnuPlan {
                    untagged: self.network.untagged_models.contains(&equipment_id),
                    equipment_id,
                    software_version: Some(group.software_version.clone()).filter(|own| !own.is_empty()),
                    serial,
                    mac: Mac([0x02, bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]),
                    group: group.name.clone(),
                    olt: olt.clone(),
                    pon: group.pons.get(index % group.pons.len().max(1)).copied().unwrap_or(PonPath {
                        frame: 0,
                        slot: 1,
                        port: 0,
                    }),
                    model: group.model.clone(),
                    distance_m: chance.random_range(near..=far),
                    rx_power_cdbm: (range(low, high, &mut chance) * 100.0).round() as i32,
                    service,
                    wait: group.wait,
                    quirks: group.quirks.clone(),
                    timing: self.timing_of(group).map_err(|what| wrong("timing", what))?,
                    expect: group.expect.clone(),
                });
            }
        }
        Ok(onus)
    }
}

/// What the ONUs of a model announce by OMCI.
fn usual_equipment_id(model: &str) -> &'static str {
    match model {
        "eg8145v5" => "EG8145V5",
        "generic_tr098" => "GENERIC098",
        "generic_tr181" => "GENERIC181",
        _ => "HG8546M",
    }
}

/// The prefix, filled up with random hex digits.
fn made_up(prefix: &str, chance: &mut ChaCha8Rng) -> Option<Serial> {
    let mut text = prefix.to_owned();
    while text.len() < 12 {
        text.push_str(&format!("{:X}", chance.random_range(0..16)));
    }
    text.parse().ok()
}

fn ordered(
    service: &ServiceSpec,
    plan: &PlanSpec,
    index: usize,
    nth: usize,
    chance: &mut ChaCha8Rng,
) -> OnuService {
    let name = &service.customers[index % service.customers.len()];
    let round = index / service.customers.len();
    let customer = if round == 0 { name.clone() } else { format!("{name} {}", round + 1) };
    let number = chance.random_range(1..180);
    let street = if service.street.is_empty() { "Lindenstraße" } else { &service.street };
    let mut secret = |length: usize| {
        const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
        let letter = |_| char::from(LETTERS[chance.random_range(0..LETTERS.len())]);
        Secret::new((0..length).map(letter).collect::<String>())
    };
    let (pppoe_password, passphrase) = (secret(12), secret(14));
    OnuService {
        customer,
        phone: format!("+49 30 5550 {:04}", nth + 1),
        address: format!("{street} {number}"),
        plan: plan.name.clone(),
        internet: plan.internet,
        vlan: plan.vlan,
        pppoe_login: (plan.internet == Internet::Pppoe).then(|| format!("ftth{:05}@isp", 10_001 + nth)),
        pppoe_password,
        ssid: if service.ssid.is_empty() {
            format!("Fibre-{:04}", 1_001 + nth)
        } else {
            service.ssid.clone()
        },
        passphrase,
        expects_serial: service.expects_serial,
    }
}

/// The line of a key in the n-th table of a name; of the table if the key is not there; 0 if neither is.
fn line_of(text: &str, table: &str, nth: usize, key: &str) -> usize {
    let headers = [format!("[[{table}]]"), format!("[{table}]")];
    let mut seen = 0;
    let mut table_line = 0;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if headers.iter().any(|header| line == header) {
            if seen > nth {
                break;
            }
            seen += 1;
            table_line = if seen == nth + 1 { at + 1 } else { table_line };
        } else if seen == nth + 1
            && (names(line, key)
                || line.contains(&format!("{{ {key} ="))
                || line.contains(&format!(", {key} =")))
        {
            return at + 1;
        } else if seen == nth + 1 && line.starts_with("[[") {
            break;
        }
    }
    table_line
}

fn names(line: &str, key: &str) -> bool {
    line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='))
        || line.ends_with(&format!(".{key}]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_scenarios_are_right() {
        assert_eq!(Scenario::small().expect("small").onus().expect("onus").len(), 4);
        let demo = Scenario::demo().expect("demo");
        let onus = demo.onus().expect("onus");
        assert!((38..=46).contains(&onus.len()), "{} ONUs", onus.len());
        assert_eq!(demo.onus().expect("onus"), onus, "the same ones each time");
        let serials: BTreeSet<Serial> = onus.iter().map(|onu| onu.serial).collect();
        assert_eq!(serials.len(), onus.len());
        let logins: BTreeSet<_> =
            onus.iter().filter_map(|onu| onu.service.as_ref()?.pppoe_login.clone()).collect();
        assert_eq!(logins.len(), onus.iter().filter(|onu| onu.service.is_some()).count());
        assert!(demo.groups.iter().all(|group| !group.about.is_empty()));
        let active = onus.iter().filter(|onu| onu.expect.state.iter().any(|state| state == "ACTIVE")).count();
        let slow = onus.iter().find(|onu| onu.group == "cannot be called").expect("the group");
        assert_eq!((slow.timing.inform_interval_s, slow.timing.boot_ms), (3_600, demo.timing.boot_ms));
        assert!(active * 3 > onus.len() * 2, "most become ACTIVE: {active}");
        assert!(onus.iter().any(|onu| onu.wait == Wait::Operator && onu.service.is_some()));
    }

    #[test]
    fn olts_hand_out_what_the_acs_trusts_and_nothing_twice() {
        let demo = Scenario::demo().expect("demo");
        assert_eq!(demo.olts[0].pool, ManagementPool::default(), "the demo's addresses stay as they are");

        let two = DEMO
            .replace("127.20.0.0/16", "127.31.0.0/20")
            .replace("[olt.preset]", "[[olt]]\nname = \"SECOND\"\n\n[olt.preset]");
        let two = Scenario::parse(&two).expect("a scenario");
        let ranges: Vec<(u32, u32)> =
            two.olts.iter().map(|olt| (u32::from(olt.pool.first), olt.pool.size)).collect();
        assert_eq!(two.olts[0].pool.first, std::net::Ipv4Addr::new(127, 31, 0, 10));
        assert!(ranges[0].0 + ranges[0].1 <= ranges[1].0, "two OLTs hand out the same address: {ranges:?}");
        let end = u32::from(std::net::Ipv4Addr::new(127, 31, 15, 255));
        assert!(ranges[1].0 + ranges[1].1 <= end, "outside of the subnet: {ranges:?}");

        let error = Scenario::parse(&DEMO.replace("127.20.0.0/16", "127.20.0.0/30")).expect_err("no room");
        assert!(error.to_string().contains("network.management_subnet"), "{error}");
    }

    #[test]
    fn the_demo_shows_every_trouble_that_was_promised() {
        let demo = Scenario::demo().expect("demo");
        let shown: BTreeSet<String> = demo.groups.iter().flat_map(|group| group.quirks.names()).collect();
        for quirk in [
            "cr_401_after_wan_change",
            "clock_1981_until_ntp",
            "clock_never",
            "phantom_writes",
            "new_wan_vanishes",
            "non_atomic_set",
            "max_settings",
            "instance_numbers_never_reset",
            "session_dropped_mid_rpc",
            "reboot_in_the_middle",
            "existing_wan",
            "pppoe_refused",
            "power_flapping",
            "duplicate_inform",
            "slow_ms",
            "wrong_content_length",
            "cr_unreachable",
            "cr_url_off_subnet",
            "cr_url_missing",
        ] {
            assert!(shown.contains(quirk), "{quirk} is in no group");
        }
        assert!(demo.groups.iter().all(|group| group.quirks.empty_secrets), "secrets always read back empty");
    }

    fn refused(change: impl FnOnce(&str) -> String) -> String {
        Scenario::parse(&change(SMALL)).expect_err("a mistake").to_string()
    }

    #[test]
    fn mistakes_name_line_and_key() {
        let line =
            |text: &str, part: &str| text.lines().position(|line| line.contains(part)).expect("there") + 1;
        let unknown = refused(|text| text.replace("clock_1981_until_ntp", "clock_1918"));
        assert!(unknown.contains(&format!("line {}", line(SMALL, "clock_1981"))), "{unknown}");
        assert!(
            unknown.contains("unknown field `clock_1918`") && unknown.contains("clock_1981_until_ntp"),
            "{unknown}"
        );

        let plan = refused(|text| {
            text.replacen("plan = \"Home 100\" }\nquirks", "plan = \"Home 1OO\" }\nquirks", 1)
        });
        let want = format!(
            "the scenario is wrong at line {}, group.plan: there is no [[plan]] named \"Home 1OO\"",
            line(SMALL, "Jorge")
        );
        assert_eq!(plan, want);

        let serial = refused(|text| text.replace("5A000003", "5A000002"));
        let at = line(SMALL, "5A000003");
        assert_eq!(
            serial,
            format!("the scenario is wrong at line {at}, group.serials: HWTC-5A000002 is there twice")
        );

        let expect = refused(|text| text.replace("detected = true", "detected = false"));
        assert!(expect.contains(&format!("line {}, group.expect", line(SMALL, "detected"))), "{expect}");
        let timing = refused(|text| text.replacen("pons = [", "timing = { boot_m = 1 }\npons = [", 1));
        assert!(timing.contains("group.timing: unknown field `boot_m`"), "{timing}");
        let prefix = refused(|text| text.replacen("pons = [", "serial_prefix = \"HW\"\npons = [", 1));
        assert!(prefix.contains("group.serial_prefix: \"HW\" is not four capital letters"), "{prefix}");
    }

    #[test]
    fn expectations_are_met_by_any_of_their_words() {
        let expect =
            Expect { state: vec!["FAILED".into()], reason: vec!["a".into(), "b".into()], detected: false };
        assert!(expect.is_met("FAILED", "b"));
        assert!(!expect.is_met("FAILED", "c") && !expect.is_met("ACTIVE", "a"));
        assert!(Expect::default().is_met("ANY", "thing"));
    }
}
