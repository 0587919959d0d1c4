//! Whether somebody who changes a part of what a service should have looked at what it is now. Only that part counts: that
//! a row was touched for another reason is nobody's surprise.

use super::record::{access_words, internet_words};
use crate::{App, AppError};
use provisioning::{AccessIntent, InternetIntent, InternetMode, secret_fingerprint};
use serde_json::Value;
use std::collections::BTreeSet;
use store::{Layer, rows, services, users};
use types::ServiceId;

/// The secrets of the parts, by the names that the audit log has for them. What somebody saw of one is its keyed
/// fingerprint.
const SECRETS: [&str; 2] = ["passphrase", "password"];
/// So far back the audit log is asked who changed a secret.
const LOOKED_BACK: u64 = 100;

/// What somebody saw before they decided on a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// What [`App::internet_seen`], [`App::wifi_seen`] or [`App::lan_seen`] gave.
    Words(String),
    /// The version of the intent of the layer.
    Version(i64),
}

/// A part of a service that is changed as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Internet,
    Wifi,
    Lan,
}

impl Part {
    fn layer(self) -> Layer {
        match self {
            Part::Internet => Layer::Internet,
            Part::Wifi | Part::Lan => Layer::Access,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Part::Internet => "Internet",
            Part::Wifi => "Wi-Fi",
            Part::Lan => "LAN",
        }
    }
}

fn lan_value(intent: Option<&AccessIntent>) -> Value {
    intent.and_then(|intent| intent.lan.as_ref()).map_or(Value::Null, |lan| serde_json::json!(lan))
}

/// Setting by setting; those of a group stand by their own names.
fn settings(value: &Value) -> Vec<(String, String)> {
    let word = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(on) => if *on { "on" } else { "off" }.to_owned(),
        Value::Array(all) => all
            .iter()
            .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    };
    let Some(object) = value.as_object() else { return Vec::new() };
    object
        .iter()
        .flat_map(|(name, value)| match value.as_object() {
            Some(inner) => inner.iter().map(|(name, value)| (name.clone(), word(value))).collect(),
            None => vec![(name.clone(), word(value))],
        })
        .collect()
}

/// `vlan was 100 and is 200`, setting by setting.
fn differences(seen: &Value, now: &Value) -> Vec<String> {
    let (seen, now) = (settings(seen), settings(now));
    let names: BTreeSet<&String> = seen.iter().chain(&now).map(|(name, _)| name).collect();
    let of = |all: &[(String, String)], name: &String| {
        let found = all.iter().find(|(known, _)| known == name);
        found.map_or_else(|| "nothing".to_owned(), |(_, value)| value.clone())
    };
    names
        .into_iter()
        .filter(|name| !SECRETS.contains(&name.as_str()))
        .map(|name| (name, of(&seen, name), of(&now, name)))
        .filter(|(_, seen, now)| seen != now)
        .map(|(name, seen, now)| {
            let short = |text: String| text.chars().take(60).collect::<String>();
            format!("{} was {} and is {}", name.replace('_', " "), short(seen), short(now))
        })
        .collect()
}

/// The secret that is another one than it was; one that came or went did so with the rest of what differs.
fn changed_secret(seen: &Value, now: &Value) -> Option<&'static str> {
    SECRETS.into_iter().find(|name| {
        let (seen, now) = (seen[*name].as_str(), now[*name].as_str());
        seen.is_some() && now.is_some() && seen != now
    })
}

impl App {
    /// What a form about the Internet layer begins with. Of the PPPoE password there is nothing in it but by what another
    /// one is told from it, of this service and with this installation's key.
    pub fn internet_seen(&self, service: ServiceId, intent: Option<&InternetIntent>) -> String {
        self.internet_value(service, intent).to_string()
    }

    /// What a form about the Wi-Fi begins with; of its passphrase as [`App::internet_seen`].
    pub fn wifi_seen(&self, service: ServiceId, intent: Option<&AccessIntent>) -> String {
        self.wifi_value(service, intent).to_string()
    }

    /// What a form about the LAN begins with.
    pub fn lan_seen(&self, intent: Option<&AccessIntent>) -> String {
        lan_value(intent).to_string()
    }

    fn internet_value(&self, service: ServiceId, intent: Option<&InternetIntent>) -> Value {
        let mut words = intent.map_or(Value::Null, internet_words);
        if let Some(InternetMode::Pppoe { password, .. }) = intent.map(|intent| &intent.mode) {
            let purpose = format!("seen:{service}:password");
            words["password"] = secret_fingerprint(self.fingerprint_key(), &purpose, password).into();
        }
        words
    }

    fn wifi_value(&self, service: ServiceId, intent: Option<&AccessIntent>) -> Value {
        let mut words = intent.map_or(Value::Null, access_words);
        if let Some(words) = words.as_object_mut() {
            words.remove("lan");
        }
        if let Some(wifi) = intent.and_then(|intent| intent.wifi.first()) {
            let purpose = format!("seen:{service}:passphrase");
            words["passphrase"] =
                secret_fingerprint(self.fingerprint_key(), &purpose, &wifi.passphrase).into();
        }
        words
    }

    /// Who made a secret another one, and when, in words.
    async fn secret_words(&self, service: ServiceId, name: &str) -> Result<String, AppError> {
        let log = users::audit_of(self.store(), &format!("service:{service}"), LOOKED_BACK).await?;
        let changed = log
            .iter()
            .find(|line| line.after.as_ref().is_some_and(|after| after[name].as_str() == Some("changed")));
        let by = changed.map_or_else(String::new, |line| format!(" by {} at {}", line.actor, line.at));
        Ok(format!("the {name} was changed{by}"))
    }

    /// Refuses a change that was decided by something else than what is so now, and says what is so now. `seen`: absent,
    /// whatever it is.
    pub(super) async fn is_part_as_seen(
        &self,
        service: &rows::Service,
        part: Part,
        seen: Option<&Seen>,
    ) -> Result<(), AppError> {
        let Some(seen) = seen else { return Ok(()) };
        let changed = |what: &str| {
            AppError::Conflict(format!(
                "{} of service {} was changed by somebody else since you looked at it: {what}. What you entered is not \
                 saved; saved again, it takes the place of theirs.",
                part.name(),
                service.code
            ))
        };
        match seen {
            Seen::Version(version) => {
                let intents = services::intents(self.store(), service.id).await?;
                let layer = intents.iter().find(|intent| intent.layer == part.layer());
                let now = layer.map_or(0, |intent| intent.intent_version);
                if now == *version {
                    Ok(())
                } else {
                    Err(changed(&format!("version was {version} and is {now}")))
                }
            }
            Seen::Words(words) => {
                let Ok(words) = serde_json::from_str::<Value>(words) else {
                    return Err(AppError::invalid(
                        "version",
                        "does not say what this form began with; open the page again.",
                    ));
                };
                let intents = self.intents_of(Some(service.id)).await?.unwrap_or_default();
                let now = match part {
                    Part::Internet => self.internet_value(service.id, intents.internet.as_ref()),
                    Part::Wifi => self.wifi_value(service.id, intents.access.as_ref()),
                    Part::Lan => lan_value(intents.access.as_ref()),
                };
                if words == now {
                    return Ok(());
                }
                let mut what = differences(&words, &now);
                if let Some(name) = changed_secret(&words, &now) {
                    what.push(self.secret_words(service.id, name).await?);
                }
                Err(changed(&if what.is_empty() { "it is another one".to_owned() } else { what.join("; ") }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_by_setting() {
        let seen = serde_json::json!({ "mode": "static", "vlan": 100, "address": { "address": "203.0.113.10", "dns": ["9.9.9.9"] } });
        let now = serde_json::json!({ "mode": "dhcp", "vlan": 100, "mtu": 1400 });
        assert_eq!(
            differences(&seen, &now),
            [
                "address was 203.0.113.10 and is nothing",
                "dns was 9.9.9.9 and is nothing",
                "mode was static and is dhcp",
                "mtu was nothing and is 1400"
            ]
        );
        assert!(differences(&seen, &seen).is_empty());
        assert_eq!(
            differences(&Value::Null, &serde_json::json!({ "enabled": true })),
            ["enabled was nothing and is on"]
        );
    }
}
