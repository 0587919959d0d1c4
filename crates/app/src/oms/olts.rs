//! Commands on OLTs themselves: add, change, try.

use super::{NewOlt, OltDefaults, registry::OltLine};
use crate::{Actor, App, AppError, Change, Permission, auth::duplicate, error::Checks};
use olt::plan::Lookup;
use serde::Serialize;
use store::{AdminState, Slot, StoreError, rows, tasks, timeline};
use types::{OltId, Secret};

/// What an OLT said when its settings were tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OltTest {
    /// It answered and understood us.
    pub ok: bool,
    /// What it is, or why it did not work, as a sentence.
    pub text: String,
}

impl App {
    /// Adds an OLT. Nothing is written to it.
    ///
    /// # Errors
    /// [`AppError::Invalid`], [`AppError::Conflict`] when the name is taken.
    pub async fn add_olt(&self, actor: &Actor, input: NewOlt) -> Result<OltId, AppError> {
        actor.require(Permission::WriteOlts)?;
        input.check(true)?;
        let row = olt_row(
            rows::Olt { admin_state: AdminState::Enabled, created_at: self.now(), ..Default::default() },
            &input,
        )?;
        let audit = self.audit_row(actor, "olt.add", "olt", None, serde_json::to_value(&input).ok());
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "olt".into(),
            code: "olt_added".into(),
            text: format!("OLT {} added; nothing was written to it.", input.name),
            actor: actor.label(),
            facts: serde_json::json!({}),
            ..Default::default()
        };
        let taken = format!("There is an OLT named {} already.", input.name);
        let (password, community) = (input.password.clone(), input.snmp_community.clone());
        let id = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let id = tx.insert(&row).await?;
                    tx.put_secret(Slot::OltPassword(id), password.as_ref()).await?;
                    tx.put_secret(Slot::OltSnmpCommunity(id), community.as_ref()).await?;
                    timeline::append(tx, &rows::TimelineEntry { olt_id: Some(id), ..entry }).await?;
                    tx.insert(&rows::AuditEntry { subject: format!("olt:{id}"), ..audit }).await?;
                    Ok::<_, StoreError>(id)
                })
            })
            .await
            .map_err(|error| duplicate(error, taken))?;
        self.bus().say(Change::Olt(id));
        self.wake_olts();
        Ok(id)
    }

    /// Changes an OLT's settings. Secrets that are not given stay as they are; where it is reached in another way they
    /// must be given again, and the pinned host key is forgotten, because another box may be there.
    ///
    /// # Errors
    /// As [`App::add_olt`].
    pub async fn update_olt(
        &self,
        actor: &Actor,
        id: OltId,
        input: NewOlt,
        enabled: bool,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteOlts)?;
        input.check(false)?;
        let old: rows::Olt = self.found(id, "OLT").await?;
        let before = olt_words(&old);
        let moved = old.address != input.address.trim() || old.port != i64::from(input.port);
        let elsewhere =
            moved || old.protocol != input.protocol || old.snmp_port != i64::from(input.snmp_port);
        if elsewhere {
            self.secrets_given_again(id, &input).await?;
        }
        let mut row = olt_row(old, &input)?;
        row.admin_state = if enabled { AdminState::Enabled } else { AdminState::Disabled };
        if moved {
            row.host_key_pin = None;
        }
        let mut after = olt_words(&row);
        for (name, secret) in [("password", &input.password), ("snmp_community", &input.snmp_community)] {
            if secret.is_some() {
                after[name] = "changed".into();
            }
        }
        let audit = self.audit_row(actor, "olt.change", &format!("olt:{id}"), Some(before), Some(after));
        let taken = format!("There is an OLT named {} already.", input.name);
        let (password, community) = (input.password.clone(), input.snmp_community.clone());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.update(&row).await?.or_overtaken("the OLT")?;
                    if password.is_some() {
                        tx.put_secret(Slot::OltPassword(id), password.as_ref()).await?;
                    }
                    if community.is_some() {
                        tx.put_secret(Slot::OltSnmpCommunity(id), community.as_ref()).await?;
                    }
                    if enabled {
                        // Whatever was in the way may not be any more.
                        tasks::let_go_on(tx, id).await?;
                    }
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .map_err(|error| duplicate(error, taken))?;
        self.olts().drop_line(id);
        self.bus().say(Change::Olt(id));
        self.wake_olts();
        Ok(())
    }

    /// Secrets can be written and never read. Sending them to an address of somebody's choice would be reading them.
    async fn secrets_given_again(&self, id: OltId, input: &NewOlt) -> Result<(), AppError> {
        let mut checks = Checks::default();
        let why = "is needed again: the stored one is only sent where it was meant for.";
        if input.password.as_ref().is_none_or(Secret::is_empty) {
            checks.wrong("password", why);
        }
        if input.snmp_community.is_none()
            && self.store().secret(Slot::OltSnmpCommunity(id)).await?.is_some_and(|kept| !kept.is_empty())
        {
            checks.wrong("snmp_community", why);
        }
        checks.done()
    }

    /// Accepts that an OLT has another host key from now on, after somebody made sure why.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn forget_host_key(&self, actor: &Actor, id: OltId) -> Result<(), AppError> {
        actor.require(Permission::WriteOlts)?;
        let old: rows::Olt = self.found(id, "OLT").await?;
        let key = |pin: Option<&String>| Some(serde_json::json!({ "host_key": pin }));
        let before = key(old.host_key_pin.as_ref());
        let audit = self.audit_row(actor, "olt.forget_host_key", &format!("olt:{id}"), before, key(None));
        let row = rows::Olt { host_key_pin: None, ..old };
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.update(&row).await?.or_overtaken("the OLT")?;
                    tasks::let_go_on(tx, id).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.olts().drop_line(id);
        self.wake_olts();
        Ok(())
    }

    /// Logs in to the OLT now and asks what it is, as soon as it has done what it is at. Writes nothing to it.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; an OLT that does not answer, or is busy for too long, is an answer.
    pub async fn test_olt(&self, actor: &Actor, id: OltId) -> Result<OltTest, AppError> {
        actor.require(Permission::WriteOlts)?;
        let row: rows::Olt = self.found(id, "OLT").await?;
        let line = self.olt_line(&row).await?;
        let asked = match self.ask_now(&row, &line.handle, line.handle.probe()).await {
            Ok(asked) => asked,
            Err(AppError::Unavailable(text)) => return Ok(OltTest { ok: false, text }),
            Err(other) => return Err(other),
        };
        Ok(match asked {
            Ok(facts) => {
                let version = facts.version;
                let product = version.product.unwrap_or_else(|| facts.dialect.name.clone());
                let sends = self.sends_cpes_to(&row, &line).await?;
                OltTest {
                    ok: true,
                    text: format!("{} answers: {product}, {}. {sends}", row.name, version.version),
                }
            }
            Err(error) => OltTest { ok: false, text: format!("{} cannot be used: {error}", row.name) },
        })
    }
}

impl App {
    /// Where the OLT sends the CPEs behind its ONUs, as a sentence for somebody who knows the address of this ACS.
    async fn sends_cpes_to(&self, row: &rows::Olt, line: &OltLine) -> Result<String, AppError> {
        let defaults: OltDefaults = serde_json::from_value(row.defaults.clone()).unwrap_or_default();
        let id = defaults.tr069_profile_id;
        let asked = match self.ask_now(row, &line.handle, line.handle.acs_profile(id)).await {
            Ok(asked) => asked,
            Err(AppError::Unavailable(text)) => return Ok(text),
            Err(other) => return Err(other),
        };
        Ok(match asked {
            Ok(Lookup::Found(profile)) => match profile.url {
                Some(url) => format!(
                    "Its TR-069 profile {id} ({}) sends CPEs to {}. If that is not this ACS, they never inform here.",
                    shown(&profile.name),
                    shown(&url)
                ),
                None => format!(
                    "Its TR-069 profile {id} names no ACS: CPEs learn of this one in another way, or never."
                ),
            },
            Ok(Lookup::Missing) => {
                format!(
                    "It has no TR-069 profile {id}: ONUs cannot be told of this ACS until it is made there."
                )
            }
            Ok(Lookup::Unknown) => "It does not show where its TR-069 profiles send CPEs.".to_owned(),
            Err(error) => format!("Where its TR-069 profile {id} sends CPEs cannot be read: {error}."),
        })
    }
}

/// Text of an OLT, bounded.
fn shown(text: &str) -> String {
    text.chars().take(200).collect()
}

/// An OLT's settings, for the record; secrets are not among them.
fn olt_words(olt: &rows::Olt) -> serde_json::Value {
    serde_json::json!({
        "name": olt.name, "vendor_profile": olt.vendor_profile, "address": olt.address, "port": olt.port,
        "protocol": olt.protocol.as_str(), "username": olt.username, "legacy_algorithms": olt.legacy_algorithms,
        "snmp_port": olt.snmp_port, "defaults": olt.defaults, "state": olt.admin_state.as_str(),
        "host_key": olt.host_key_pin,
    })
}

fn olt_row(old: rows::Olt, input: &NewOlt) -> Result<rows::Olt, AppError> {
    Ok(rows::Olt {
        name: input.name.trim().to_owned(),
        vendor_profile: input.vendor_profile.clone(),
        address: input.address.trim().to_owned(),
        port: i64::from(input.port),
        protocol: input.protocol,
        username: input.username.clone(),
        legacy_algorithms: input.legacy_algorithms,
        snmp_port: i64::from(input.snmp_port),
        defaults: serde_json::to_value(&input.defaults).map_err(|e| AppError::Internal(e.to_string()))?,
        ..old
    })
}
