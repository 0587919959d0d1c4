//! Whether somebody who changes a part of what a service should have looked at what it is now. Only that part counts: that
//! a row was touched for another reason is nobody's surprise.

use super::record::{access_words, internet_words};
use crate::{App, AppError};
use provisioning::{AccessIntent, InternetIntent};
use serde_json::Value;
use std::collections::BTreeSet;
use store::{Layer, rows, services};

/// What somebody saw before they decided on a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// What [`internet_seen`], [`wifi_seen`] or [`lan_seen`] gave.
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

fn internet_value(intent: Option<&InternetIntent>) -> Value {
    intent.map_or(Value::Null, internet_words)
}

fn wifi_value(intent: Option<&AccessIntent>) -> Value {
    let mut words = intent.map_or(Value::Null, access_words);
    if let Some(words) = words.as_object_mut() {
        words.remove("lan");
    }
    words
}

fn lan_value(intent: Option<&AccessIntent>) -> Value {
    intent.and_then(|intent| intent.lan.as_ref()).map_or(Value::Null, |lan| serde_json::json!(lan))
}

/// What a form about the Internet layer begins with, without secrets.
pub fn internet_seen(intent: Option<&InternetIntent>) -> String {
    internet_value(intent).to_string()
}

/// What a form about the Wi-Fi begins with, without secrets.
pub fn wifi_seen(intent: Option<&AccessIntent>) -> String {
    wifi_value(intent).to_string()
}

/// What a form about the LAN begins with.
pub fn lan_seen(intent: Option<&AccessIntent>) -> String {
    lan_value(intent).to_string()
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
        .map(|name| (name, of(&seen, name), of(&now, name)))
        .filter(|(_, seen, now)| seen != now)
        .map(|(name, seen, now)| {
            let short = |text: String| text.chars().take(60).collect::<String>();
            format!("{} was {} and is {}", name.replace('_', " "), short(seen), short(now))
        })
        .collect()
}

impl App {
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
                    Part::Internet => internet_value(intents.internet.as_ref()),
                    Part::Wifi => wifi_value(intents.access.as_ref()),
                    Part::Lan => lan_value(intents.access.as_ref()),
                };
                if words == now {
                    return Ok(());
                }
                let what = differences(&words, &now);
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
