//! Settings that live in the database and are changed on the Settings pages.

mod bounds;
mod clock;
mod family;
mod intervals;
mod models;

pub use bounds::{PolicyBound, PolicyLimits, back_off_range};
pub use clock::ClockWaiver;
pub(crate) use clock::stored_waivers;
pub use family::FamilyOverride;
pub(crate) use family::stored_overrides;
pub use intervals::KeptInterval;
pub(crate) use intervals::stored_intervals;
pub use models::ModelOf;

use crate::{Actor, App, AppError, Permission, core::FIRST_CONTACT, ports::Cidr};
use provisioning::{AcceptedInterval, Device, Event, Policy};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use store::{Slot, StoreError, settings};
use types::{Secret, UtcMs};

/// Key of [`AcsPolicy`] in the settings table.
pub(crate) const ACS_POLICY: &str = "acs.policy";

/// How CPEs are treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AcsPolicy {
    /// Every number of the provisioning machine.
    pub provisioning: Policy,
    /// The networks that CPEs' management WANs are in. Connection requests go nowhere else; only from here does an
    /// Inform count as coming from behind our OLT.
    pub management_networks: Vec<Cidr>,
    /// Those of them, or parts of them, whose CPEs reach us through address translation, so that they speak from another
    /// address than they have. Only here may a ConnectionRequestURL name an address that we do not know as the
    /// device's; anywhere else one device could send our request, with its secret's digest, to another.
    pub nat_networks: Vec<Cidr>,
    /// Time servers of parts of the management networks. A device is given those of the smallest network that it speaks
    /// from, and `provisioning.ntp_servers` where none is named.
    pub ntp_networks: Vec<NtpNetwork>,
    /// A device we do not know may inform without credentials (it gets nothing before it is confirmed). Off: it must
    /// show the shared first-contact credentials of the OLT's TR-069 profile.
    pub anonymous_first_contact: bool,
    /// User name of the shared first-contact credentials.
    pub first_contact_username: String,
    /// The OLT's word that an ONU is online, and at which address, counts for so long, seconds.
    pub olt_word_valid_s: u64,
    /// An OLT that cannot say at which address an ONU is does not speak for its CPE at first contact. Off: such an OLT's
    /// word that the ONU is online counts for whoever informs from a management network.
    pub first_contact_needs_address: bool,
    /// Most devices without a service that are remembered; more are answered "busy".
    pub quarantine_limit: u64,
    /// How often each OLT is asked for detected ONUs and ONU states, seconds.
    pub autofind_interval_s: u64,
}

impl Default for AcsPolicy {
    fn default() -> Self {
        AcsPolicy {
            provisioning: Policy::default(),
            management_networks: Vec::new(),
            nat_networks: Vec::new(),
            ntp_networks: Vec::new(),
            anonymous_first_contact: true,
            first_contact_username: "lightkeeper".to_owned(),
            olt_word_valid_s: 900,
            first_contact_needs_address: false,
            quarantine_limit: 10_000,
            autofind_interval_s: 30,
        }
    }
}

/// The shared first-contact password, as far as anybody may know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstContactPassword {
    /// In force since.
    pub since: UtcMs,
    /// Who set it.
    pub by: String,
}

impl App {
    /// Since when the shared first-contact password is in force; nothing if there is none.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn first_contact_set(&self) -> Result<Option<FirstContactPassword>, AppError> {
        let kept = settings::get(self.store(), FIRST_CONTACT).await?;
        let kept = kept.filter(|setting| !setting.value["sealed"].is_null());
        Ok(kept.map(|setting| FirstContactPassword { since: setting.updated_at, by: setting.updated_by }))
    }
}

/// The time servers of one management network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NtpNetwork {
    /// Devices that speak from here …
    pub network: Cidr,
    /// … are given these, best first, one to five.
    pub servers: Vec<String>,
}

impl AcsPolicy {
    /// The time servers for a device that speaks from this address: of the smallest network that it is in, else the
    /// default ones.
    pub fn ntp_servers_at(&self, address: Option<IpAddr>) -> &[String] {
        let inside = |named: &&NtpNetwork| address.is_some_and(|address| named.network.contains(address));
        let nearest = self.ntp_networks.iter().filter(inside).max_by_key(|named| named.network.prefix());
        nearest.map_or(&self.provisioning.ntp_servers, |named| &named.servers)
    }
}

impl App {
    /// The numbers for one device in one step: with the time servers of where it speaks from, and with what somebody
    /// decided for its model.
    pub(crate) fn policy_for(&self, device: &Device, event: &Event) -> Policy {
        let policy = self.policy();
        let known = &device.identity;
        let (address, [manufacturer, oui, product_class]) = match event {
            Event::InformReceived { inform, peer } => {
                (Some(peer.address), [&inform.manufacturer, &inform.oui, &inform.product_class])
            }
            _ => (
                device.connection.peer.as_deref().and_then(|peer| peer.parse().ok()),
                [&known.manufacturer, &known.oui, &known.product_class],
            ),
        };
        let model = ModelOf { manufacturer, oui, product_class };
        Policy {
            ntp_servers: policy.ntp_servers_at(address).to_vec(),
            clock_waived_by: self.clock_waiver(model).map(|waiver| waiver.by),
            accepted_interval: self
                .kept_interval(model)
                .map(|kept| AcceptedInterval { interval_s: kept.interval_s, by: kept.by }),
            ..policy.provisioning.clone()
        }
    }

    /// Replaces the ACS policy. `first_contact_password`: absent keeps the one in force, empty removes it. A management
    /// network with addresses of the internet that is not in force yet is refused.
    ///
    /// # Errors
    /// [`AppError::Invalid`] field by field.
    pub async fn set_acs_policy(
        &self,
        actor: &Actor,
        policy: AcsPolicy,
        first_contact_password: Option<Secret>,
    ) -> Result<(), AppError> {
        self.set_acs_policy_with(actor, policy, first_contact_password, PublicNetworks::Refused).await
    }

    /// The same, where the caller says whether a network of the internet is meant.
    ///
    /// # Errors
    /// [`AppError::Invalid`] field by field.
    pub async fn set_acs_policy_with(
        &self,
        actor: &Actor,
        policy: AcsPolicy,
        first_contact_password: Option<Secret>,
        public: PublicNetworks,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteSettings)?;
        let checked = policy.check(self.policy_limits(), self.now());
        let meant = match public {
            PublicNetworks::Meant => Ok(()),
            PublicNetworks::Refused => self.new_public_networks(&policy),
        };
        merged([checked, meant, bounds::first_contact_password(first_contact_password.as_ref())])?;
        let value =
            |policy: &AcsPolicy| serde_json::to_value(policy).map_err(|e| AppError::Internal(e.to_string()));
        let (mut before, mut after) = (value(&self.policy())?, value(&policy)?);
        if let Some(password) = &first_contact_password {
            let word = |set: bool| if set { "set" } else { "not set" };
            let had = self.store().secret(Slot::Setting(FIRST_CONTACT)).await?.is_some();
            before["first_contact_password"] = word(had).into();
            after["first_contact_password"] =
                if had && !password.is_empty() { "changed" } else { word(!password.is_empty()) }.into();
        }
        let stored = value(&policy)?;
        let audit = self.audit_row(actor, "settings.acs", "setting:acs.policy", Some(before), Some(after));
        let (label, password) = (actor.label(), first_contact_password.clone());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let seen = settings::get(tx, ACS_POLICY).await?.map_or(0, |setting| setting.version);
                    settings::put(tx, ACS_POLICY, stored, seen, &label)
                        .await?
                        .or_overtaken("the ACS policy")?;
                    if let Some(password) = &password {
                        let kept = (!password.is_empty()).then_some(password);
                        tx.put_setting_secret(FIRST_CONTACT, kept, &label).await?;
                    }
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.set_policy(policy);
        if let Some(password) = first_contact_password {
            self.set_first_contact_password((!password.is_empty()).then_some(password));
        }
        Ok(())
    }
}

impl App {
    /// Whoever sends from a management network may speak plain HTTP to the ACS, so a network of the internet is not taken
    /// by accident. One that is in force already was meant.
    fn new_public_networks(&self, policy: &AcsPolicy) -> Result<(), AppError> {
        let old = self.policy();
        // What is too wide is refused whoever means it.
        let mut new = policy.management_networks.iter().filter(|n| n.is_public() && !bounds::too_wide(**n));
        match new.find(|network| !old.management_networks.contains(network)) {
            Some(network) => Err(AppError::invalid(
                "management_networks",
                format!(
                    "{network} holds addresses of the internet: everybody there may then speak plain HTTP to the ACS. Management \
                     WANs mostly have private addresses; if these are yours, say so."
                ),
            )),
            None => Ok(()),
        }
    }
}

/// Whether a management network of the internet is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicNetworks {
    /// A new one is refused.
    Refused,
    /// Somebody said that it is theirs.
    Meant,
}

/// What is wrong in several answers, as one.
fn merged(answers: impl IntoIterator<Item = Result<(), AppError>>) -> Result<(), AppError> {
    let mut all = Vec::new();
    for answer in answers {
        match answer {
            Ok(()) => {}
            Err(AppError::Invalid { fields }) => all.extend(fields),
            Err(other) => return Err(other),
        }
    }
    if all.is_empty() { Ok(()) } else { Err(AppError::Invalid { fields: all }) }
}
