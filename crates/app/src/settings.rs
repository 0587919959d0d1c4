//! Settings that live in the database and are changed on the Settings pages.

use crate::{Actor, App, AppError, Permission, core::FIRST_CONTACT, error::Checks, ports::Cidr};
use provisioning::Policy;
use serde::{Deserialize, Serialize};
use store::{StoreError, settings};
use types::Secret;

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
    /// The OLT's word that an ONU is online counts for so long, seconds.
    pub olt_word_valid_s: u64,
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
            quarantine_limit: 10_000,
            autofind_interval_s: 30,
        }
    }
}

impl AcsPolicy {
    /// Refuses what would hurt a real network, field by field.
    pub(crate) fn check(&self) -> Result<(), AppError> {
        let mut checks = Checks::default();
        let p = &self.provisioning;
        let mut within = |field: &str, value: u64, low: u64, high: u64, why: &str| {
            if !(low..=high).contains(&value) {
                checks.wrong(field, format!("{value} is outside {low} to {high}: {why}"));
            }
        };
        within("cool_down_s", p.cool_down_s, 1, 600, "attempts at one device keep this distance.");
        within("watchdog_s", p.watchdog_s, 1, 60, "a CPE needs some seconds to answer a call.");
        within(
            "connection_request_gap_s",
            p.connection_request_gap_s,
            1,
            86_400,
            "no device is called in a hurry.",
        );
        within("inform_interval_s", p.inform_interval_s.into(), 5, 86_400, "too short drowns the ACS.");
        within("verify_checks", p.verify_checks.into(), 1, 20, "PPPoE needs more than one look.");
        within("autofind_interval_s", self.autofind_interval_s, 1, 3600, "an OLT's CLI is slow.");
        within("quarantine_limit", self.quarantine_limit, 1, 1_000_000, "strangers take room.");
        if p.ntp_servers.is_empty() || p.ntp_servers.len() > 5 {
            checks
                .wrong("ntp_servers", "needs one to five servers; without one no clock ever becomes right.");
        }
        if p.back_off_s.is_empty() {
            checks.wrong("back_off_s", "needs at least one waiting time.");
        }
        if self.management_networks.len() > 64 {
            checks.wrong("management_networks", "holds more than 64 networks; join some.");
        }
        if self.nat_networks.len() > 64 {
            checks.wrong("nat_networks", "holds more than 64 networks; join some.");
        }
        if let Some(outside) =
            self.nat_networks.iter().find(|inner| !self.management_networks.iter().any(|n| n.covers(inner)))
        {
            checks.wrong(
                "nat_networks",
                format!("{outside} is in no management network; nobody is called there."),
            );
        }
        checks.text("first_contact_username", &self.first_contact_username, 64);
        checks.done()
    }
}

impl App {
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
        policy.check()?;
        let value =
            |policy: &AcsPolicy| serde_json::to_value(policy).map_err(|e| AppError::Internal(e.to_string()));
        let (before, after) = (value(&self.policy())?, value(&policy)?);
        let audit =
            self.audit_row(actor, "settings.acs", "setting:acs.policy", Some(before), Some(after.clone()));
        let (label, password) = (actor.label(), first_contact_password.clone());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let seen = settings::get(tx, ACS_POLICY).await?.map_or(0, |setting| setting.version);
                    settings::put(tx, ACS_POLICY, after, seen, &label)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_acceptable_and_complete_json() {
        let policy = AcsPolicy::default();
        policy.check().expect("defaults");
        let text = serde_json::to_string(&policy).expect("json");
        assert_eq!(serde_json::from_str::<AcsPolicy>(&text).expect("own json"), policy);
        assert_eq!(serde_json::from_str::<AcsPolicy>("{}").expect("all optional"), policy);
    }

    #[test]
    fn a_policy_that_would_hurt_is_refused() {
        let mut policy = AcsPolicy::default();
        policy.provisioning.inform_interval_s = 1;
        policy.provisioning.ntp_servers.clear();
        let Err(AppError::Invalid { fields }) = policy.check() else { panic!("two things hurt") };
        assert_eq!(fields.len(), 2, "{fields:?}");
        let network = |text: &str| vec![text.parse().expect("a network")];
        let nat = |inner: &str| AcsPolicy {
            management_networks: network("10.20.0.0/16"),
            nat_networks: network(inner),
            ..AcsPolicy::default()
        };
        nat("10.20.3.0/24").check().expect("a part of it");
        let Err(AppError::Invalid { fields }) = nat("10.0.0.0/8").check() else { panic!("wider than it") };
        assert_eq!(fields[0].field, "nat_networks");
    }
}
