//! What a person or a program may hand in, and what is acceptable.

use crate::{AppError, error::Checks};
use serde::{Deserialize, Serialize};
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

/// The internet layer as wanted (`PUT /services/{id}/intents/internet`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InternetInput {
    /// `pppoe`, `dhcp` or `bridge`.
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
}

impl InternetInput {
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let mut checks = Checks::default();
        match self.mode.as_str() {
            "pppoe" => check_login(&mut checks, "username", self.username.as_deref().unwrap_or_default()),
            "dhcp" | "bridge" => {}
            other => checks.wrong("mode", format!("{other:?} is none of pppoe, dhcp, bridge.")),
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
                vlan: None,
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
    fn secrets_of_an_input_are_never_serialised() {
        let input = InternetInput {
            mode: "pppoe".into(),
            username: Some("amina".into()),
            password: Some("hunter2".into()),
            vlan: Some(VlanInput::Tag(203)),
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
