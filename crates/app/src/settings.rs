//! Settings that live in the database and are changed on the Settings pages.

mod bounds;

pub use bounds::{PolicyBound, PolicyLimits, back_off_range};

use crate::{Actor, App, AppError, Permission, core::FIRST_CONTACT, ports::Cidr};
use provisioning::Policy;
use serde::{Deserialize, Serialize};
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

    /// Replaces the ACS policy. `first_contact_password`: absent keeps the one in force, empty removes it.
    ///
    /// # Errors
    /// [`AppError::Invalid`] field by field.
    pub async fn set_acs_policy(
        &self,
        actor: &Actor,
        policy: AcsPolicy,
        first_contact_password: Option<Secret>,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteSettings)?;
        let checked = policy.check(self.policy_limits(), self.now());
        merged([checked, bounds::first_contact_password(first_contact_password.as_ref())])?;
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
