//! What OMS commands take and give.

use crate::{AppError, Generated, WifiInput, error::Checks};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::OltProtocol;
use types::{CustomerId, OltId, OltTaskId, PlanId, PonPath, Secret, Serial, ServiceId};

/// What ONUs of a plan get on one OLT instead of its defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanTraffic {
    /// The plan.
    pub plan_id: i64,
    /// Traffic table for upstream (inbound at the OLT).
    #[serde(default)]
    pub up_table: Option<u32>,
    /// Traffic table for downstream (outbound at the OLT).
    #[serde(default)]
    pub down_table: Option<u32>,
    /// Line profile (T-CONTs and GEM ports).
    #[serde(default)]
    pub line_profile_id: Option<u32>,
    /// Service profile (ports of the ONU).
    #[serde(default)]
    pub service_profile_id: Option<u32>,
}

impl PlanTraffic {
    /// True if it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == PlanTraffic { plan_id: self.plan_id, ..PlanTraffic::default() }
    }
}

/// What every ONU of an OLT gets unless its plan says otherwise. OMCI follows from these profiles; nobody types OMCI
/// per ONU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OltDefaults {
    /// Line profile (T-CONTs and GEM ports).
    pub line_profile_id: u32,
    /// Service profile (ports of the ONU).
    pub service_profile_id: u32,
    /// VLAN of the internet service, outer tag.
    pub internet_vlan: u16,
    /// GEM port that carries it in the line profile.
    pub internet_gemport: u16,
    /// VLAN of the management WAN.
    pub management_vlan: u16,
    /// GEM port that carries it in the line profile.
    pub management_gemport: u16,
    /// 802.1p priority of the management WAN.
    #[serde(default)]
    pub management_priority: u8,
    /// TR-069 server profile on the OLT: holds our ACS URL.
    pub tr069_profile_id: u32,
    /// Traffic tables where no plan says otherwise; none: the OLT's default.
    #[serde(default)]
    pub default_traffic: Option<(u32, u32)>,
    /// Traffic tables and profiles by plan, one of each plan at most.
    #[serde(default)]
    pub plan_traffic: Vec<PlanTraffic>,
    /// Equipment ids of ONUs whose router has no setting for a VLAN. The customer's side of their service port is
    /// untagged, and the OLT tags for them; the line profile's GEM port must take untagged frames.
    #[serde(default)]
    pub untagged_models: Vec<String>,
}

/// Most models without a VLAN setting, and the longest equipment id (ITU-T G.988: 20 octets, some vendors print more).
const UNTAGGED_MODELS: (usize, usize) = (200, 64);

impl Default for OltDefaults {
    fn default() -> Self {
        OltDefaults {
            line_profile_id: 10,
            service_profile_id: 10,
            internet_vlan: 100,
            internet_gemport: 1,
            management_vlan: 40,
            management_gemport: 2,
            management_priority: 2,
            tr069_profile_id: 1,
            default_traffic: None,
            plan_traffic: Vec::new(),
            untagged_models: Vec::new(),
        }
    }
}

impl OltDefaults {
    /// Whether a router in ONUs of this type has no setting for a VLAN.
    pub(crate) fn cannot_tag(&self, equipment_id: &str) -> bool {
        self.untagged_models.iter().any(|id| id.eq_ignore_ascii_case(equipment_id))
    }
}

/// An OLT to add, or new settings for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOlt {
    /// Our name for it.
    pub name: String,
    /// The vendor profile, e.g. `huawei_smartax`.
    #[serde(default = "huawei")]
    pub vendor_profile: String,
    /// IP address or host name of its management interface.
    pub address: String,
    /// TCP port of the command line.
    pub port: u16,
    /// How to speak to it.
    pub protocol: OltProtocol,
    /// CLI user name.
    pub username: String,
    /// CLI password; absent on a change: keep the one in force.
    #[serde(default, skip_serializing)]
    pub password: Option<Secret>,
    /// Allow the SSH algorithms of old OLTs (SHA-1, CBC). Marked in the UI.
    #[serde(default)]
    pub legacy_algorithms: bool,
    /// SNMP v2c community for reading; absent: no SNMP, or keep the one in force.
    #[serde(default, skip_serializing)]
    pub snmp_community: Option<Secret>,
    /// UDP port of SNMP.
    #[serde(default = "snmp_port")]
    pub snmp_port: u16,
    /// Profiles and VLANs that ONUs get.
    #[serde(default)]
    pub defaults: OltDefaults,
}

fn huawei() -> String {
    "huawei_smartax".to_owned()
}

fn snmp_port() -> u16 {
    161
}

impl NewOlt {
    pub(crate) fn check(&self, is_new: bool) -> Result<(), AppError> {
        let mut checks = Checks::default();
        checks.text("name", &self.name, 64);
        if self.vendor_profile != "huawei_smartax" {
            checks.wrong(
                "vendor_profile",
                format!("{:?} is not known; huawei_smartax is.", self.vendor_profile),
            );
        }
        checks.text("address", &self.address, 253);
        let address_ok = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
        if !self.address.chars().all(address_ok) {
            checks.wrong("address", format!("{:?} is neither an IP address nor a host name.", self.address));
        }
        if self.port == 0 {
            checks.wrong("port", "0 is no port; SSH is usually 22, Telnet 23.");
        }
        checks.text("username", &self.username, 64);
        if is_new && self.password.as_ref().is_none_or(Secret::is_empty) {
            checks.wrong("password", "is empty; the OLT's command line needs one.");
        }
        let d = &self.defaults;
        checks.vlan("defaults.internet_vlan", d.internet_vlan);
        checks.vlan("defaults.management_vlan", d.management_vlan);
        if d.internet_vlan == d.management_vlan {
            checks.wrong(
                "defaults.management_vlan",
                "is the internet VLAN; CPEs would be managed over customers' WAN.",
            );
        }
        if d.management_priority > 7 {
            checks.wrong("defaults.management_priority", "is above 7.");
        }
        if d.plan_traffic.len() > PLANS {
            checks.wrong("defaults.plan_traffic", format!("names more than {PLANS} plans."));
        }
        let mut named = BTreeSet::new();
        for plan in d.plan_traffic.iter().take(PLANS) {
            if !named.insert(plan.plan_id) {
                checks.wrong("defaults.plan_traffic", format!("names plan {} twice.", plan.plan_id));
            }
            if plan.up_table.is_some() != plan.down_table.is_some() {
                checks.wrong(
                    "defaults.plan_traffic",
                    format!(
                        "has one traffic table for plan {}; upstream and downstream go together.",
                        plan.plan_id
                    ),
                );
            }
        }
        let (most, longest) = UNTAGGED_MODELS;
        if d.untagged_models.len() > most {
            checks.wrong("defaults.untagged_models", format!("names more than {most} models."));
        }
        if let Some(odd) = d.untagged_models.iter().find(|id| id.is_empty() || id.chars().count() > longest) {
            let shown: String = odd.chars().take(longest).collect();
            checks.wrong("defaults.untagged_models", format!("{shown:?} is no equipment id."));
        }
        checks.done()
    }
}

/// Plans that an OLT may have settings of its own for.
const PLANS: usize = 1_000;

/// Which detected ONU to authorise, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthoriseRequest {
    /// The OLT that sees it.
    pub olt_id: OltId,
    /// Where it is.
    pub pon: PonPath,
    /// Which it is.
    pub serial: Serial,
    /// Whom it is for.
    #[serde(default)]
    pub service: AuthoriseFor,
    /// Description on the OLT; absent: service code and customer name.
    #[serde(default)]
    pub description: Option<String>,
    /// Internet VLAN instead of the service's, the plan's or the OLT's.
    #[serde(default)]
    pub internet_vlan: Option<u16>,
    /// True: the router sends untagged frames and the OLT tags them. Absent: as the OLT's defaults say of its model.
    #[serde(default)]
    pub untagged: Option<bool>,
    /// [`DryRun::fingerprint`] of the dry run that somebody looked at. An order that would send anything else is refused.
    #[serde(default)]
    pub seen: Option<String>,
}

/// Whom an ONU is authorised for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthoriseFor {
    /// The service that waits for this serial number; nobody if none does.
    #[default]
    Expected,
    /// Nobody yet, the line only, even if a service waits for this serial number.
    Nobody,
    /// This service.
    Service(ServiceId),
    /// A service that does not exist yet. An order makes it in the same unit of work ([`crate::App::authorise_new`]).
    Planned(PlannedService),
}

/// A service as it would be made: what of it reaches the OLT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedService {
    /// What is bought.
    pub plan_id: PlanId,
    /// Who buys it.
    pub customer: PlannedCustomer,
}

/// The customer of a planned service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedCustomer {
    /// One that exists.
    Known(CustomerId),
    /// One that is made too, by name.
    New(String),
}

/// What of a new service and its customer no OLT hears of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewLine {
    /// Of a new customer: as they say it.
    pub customer_phone: String,
    /// Where the service is, and where a new customer lives; empty: the address of the customer.
    pub address: String,
    /// PPPoE user name; none: derived from the service code.
    pub pppoe_login: Option<String>,
    /// PPPoE password; none: a random one.
    pub pppoe_password: Option<Secret>,
    /// The home network; none: a name from the service code and a random passphrase.
    pub wifi: Option<WifiInput>,
}

/// What an order with a new service came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuthorised {
    /// The order.
    pub task: OltTaskId,
    /// What it is for.
    pub service: ServiceId,
    /// What was generated for it, told this once.
    pub generated: Generated,
}

impl AuthoriseRequest {
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let mut checks = Checks::default();
        checks.optional("description", self.description.as_deref().unwrap_or_default(), 300);
        if let Some(vlan) = self.internet_vlan {
            checks.vlan("internet_vlan", vlan);
        }
        checks.done()
    }
}

/// What is to become of an ONU that we authorised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
pub enum OnuChange {
    /// Taken off its OLT. Its service has no ONU then, and its CPE is released.
    Remove,
    /// Taken to another port of its OLT, where it announces itself; everything else stays as it is.
    Move {
        /// The port.
        pon: PonPath,
    },
    /// Its place, with everything it was given, goes to another ONU. The old CPE is released, the new one begins anew.
    Replace {
        /// The new ONU.
        serial: Serial,
        /// True: the new router sends untagged frames and the OLT tags them. Absent: as the OLT's defaults say of its
        /// model, or as it was where the model is not known yet.
        #[serde(default)]
        untagged: Option<bool>,
    },
}

/// One line of a dry run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryLine {
    /// The exact line; secrets are dots. Of `read` it is what must be found afterwards, as a sentence.
    pub text: String,
    /// `move` for a line that only goes to another mode of the command line, `add`, `remove`, `save`, or `read`.
    pub kind: String,
}

/// One condition that was looked at before anything is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryCheck {
    /// What was looked at, as a sentence.
    pub text: String,
    /// `ok`, `warn` or `bad`; `bad` forbids it.
    pub status: String,
}

/// What an order would do. Nothing has been sent that changes anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DryRun {
    /// The ONU id it would get, or has if it is only taken off.
    pub onu_id: u16,
    /// The lines, in order.
    pub lines: Vec<DryLine>,
    /// The conditions.
    pub checks: Vec<DryCheck>,
    /// Stands for what an authorisation asks of the OLT: an order with the same one sends the same. Empty for the
    /// changes of an ONU that is authorised already.
    pub fingerprint: String,
}

impl DryRun {
    /// True if nothing speaks against it.
    pub fn allowed(&self) -> bool {
        self.checks.iter().all(|check| check.status != "bad")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn management_never_shares_the_internet_vlan() {
        let mut olt: NewOlt = serde_json::from_value(serde_json::json!({
            "name": "olt-marina-1", "address": "10.0.0.1", "port": 22, "protocol": "ssh", "username": "lk", "password": "x"
        }))
        .expect("defaults fill the rest");
        olt.check(true).expect("acceptable");
        olt.defaults.management_vlan = olt.defaults.internet_vlan;
        assert!(olt.check(true).expect_err("same VLAN").to_string().contains("management_vlan"));
    }

    #[test]
    fn plans_with_settings_of_their_own_are_bounded_and_named_once() {
        let mut olt: NewOlt = serde_json::from_value(serde_json::json!({
            "name": "olt-marina-1", "address": "10.0.0.1", "port": 22, "protocol": "ssh", "username": "lk", "password": "x"
        }))
        .expect("defaults fill the rest");
        let plan = |plan_id| PlanTraffic { plan_id, line_profile_id: Some(11), ..PlanTraffic::default() };
        olt.defaults.plan_traffic = (1..=1_000).map(plan).collect();
        olt.check(true).expect("acceptable");
        olt.defaults.plan_traffic.push(plan(1_001));
        assert!(olt.check(true).expect_err("too many").to_string().contains("more than 1000 plans"));
        olt.defaults.plan_traffic = vec![plan(7), plan(8), plan(7)];
        assert!(olt.check(true).expect_err("twice").to_string().contains("names plan 7 twice"));
    }

    #[test]
    fn an_address_cannot_carry_anything_else() {
        let mut olt: NewOlt = serde_json::from_value(serde_json::json!({
            "name": "o", "address": "10.0.0.1; rm", "port": 22, "protocol": "ssh", "username": "lk"
        }))
        .expect("parses");
        let error = olt.check(true).expect_err("bad address, no password").to_string();
        assert!(error.contains("address:") && error.contains("password:"), "{error}");
        olt.address = "olt-1.example".into();
        olt.check(false).expect("a change keeps the password");
    }
}
