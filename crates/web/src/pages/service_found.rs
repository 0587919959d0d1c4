//! Wanted and found: what a service should have now, what its router was last proved to have, and where the two part.

use provisioning::{AccessIntent, Device, Evidence, InternetIntent, InternetMode, Layer};
use store::read::{CpeRow, EvidenceRow, IntentRow};
use types::ServiceId;

use crate::{
    error::Fail,
    state::Ctx,
    view::{Html, Status, View, Word},
    words,
};

pub(super) struct LayerView {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) word: Word,
    pub(super) text: String,
    pub(super) current: bool,
}

pub(super) struct Setting {
    pub(super) s: Status,
    pub(super) word: &'static str,
    pub(super) name: String,
    pub(super) wanted: String,
    pub(super) observed: String,
    pub(super) why: &'static str,
    pub(super) age: Html,
    pub(super) now: bool,
    pub(super) same: bool,
    pub(super) minor: bool,
}

pub(super) struct Group {
    pub(super) key: String,
    pub(super) name: &'static str,
    pub(super) rows: Vec<Setting>,
    /// Rows that fold away: of no interest by themselves while they are as wanted.
    pub(super) folded: usize,
}

/// What the forms of the page begin with: what is wanted now. Secrets are never among it.
#[derive(Default)]
pub(super) struct Wanted {
    pub(super) wifi_name: String,
    pub(super) wifi_on: bool,
    pub(super) mode: String,
    pub(super) vlan: String,
}

/// Ways to the internet, as the form offers them.
pub(super) const MODES: [(&str, &str); 3] = [("pppoe", "PPPoE"), ("dhcp", "DHCP"), ("bridge", "Bridge")];

const LAYERS: [(&str, &str); 4] =
    [("core", "Core"), ("internet", "Internet"), ("access", "Access"), ("extras", "Extras")];

/// What is wanted now, opened. Passwords in it are never shown.
#[derive(Default)]
pub(super) struct Wishes {
    rows: Vec<IntentRow>,
    internet: Option<InternetIntent>,
    access: Option<AccessIntent>,
}

impl Wishes {
    pub(super) async fn of(ctx: &Ctx, service: i64) -> Result<Wishes, Fail> {
        let mut wishes = Wishes { rows: ctx.read().service_intents(service).await?, ..Wishes::default() };
        for open in store::services::intents(ctx.app().store(), ServiceId(service)).await? {
            match open.layer {
                store::Layer::Internet => wishes.internet = serde_json::from_str(open.body.expose()).ok(),
                store::Layer::Access => wishes.access = serde_json::from_str(open.body.expose()).ok(),
                store::Layer::Core | store::Layer::Extras => {}
            }
        }
        Ok(wishes)
    }

    pub(super) fn for_forms(&self) -> Wanted {
        let wifi = self.access.as_ref().and_then(|access| access.wifi.first());
        let internet = self.internet.as_ref();
        Wanted {
            wifi_name: wifi.map_or_else(String::new, |wifi| wifi.ssid.clone()),
            wifi_on: wifi.is_none_or(|wifi| wifi.enabled),
            mode: internet.map_or("pppoe", |internet| internet.mode.as_str()).to_owned(),
            vlan: internet
                .and_then(|internet| internet.vlan)
                .map_or_else(String::new, |vlan| vlan.to_string()),
        }
    }

    fn layer(&self, layer: &str) -> Option<&IntentRow> {
        self.rows.iter().find(|intent| intent.layer == layer)
    }

    /// False while the router was not proved to have what is wanted of this layer now.
    fn is_confirmed(&self, layer: &str, device: Option<&Device>) -> bool {
        let Some(intent) = self.layer(layer) else { return true };
        let key = match layer {
            "internet" => Layer::Internet,
            "access" => Layer::Access,
            _ => return true,
        };
        device.and_then(|device| device.layers.get(&key)).is_some_and(|record| {
            record.applied_hash.as_deref() == Some(intent.hash.as_str())
                && record.verified_at.is_some()
                && !record.drifted
        })
    }

    /// What is wanted of one setting now, where it can be said without the profile of the model.
    fn of_setting(&self, layer: &str, setting: &str) -> Option<String> {
        match layer {
            "internet" => {
                let internet = self.internet.as_ref()?;
                match (setting, &internet.mode) {
                    ("WAN", _) => Some((!internet.suspended).to_string()),
                    ("VLAN", _) => internet.vlan.map(|vlan| vlan.to_string()),
                    ("PPPoE user name", InternetMode::Pppoe { username, .. }) => Some(username.clone()),
                    _ => None,
                }
            }
            "access" => self.access.as_ref()?.wifi.iter().find_map(|wifi| {
                let what = setting.strip_prefix("Wi-Fi ")?.strip_prefix(wifi.band.as_str())?;
                match what {
                    " name" => Some(wifi.ssid.clone()),
                    " on" => Some(wifi.enabled.to_string()),
                    _ => None,
                }
            }),
            _ => None,
        }
    }
}

/// How its router stands.
#[derive(Default)]
pub(super) struct Standing {
    active: bool,
    failed: bool,
    device: Option<Device>,
}

impl Standing {
    pub(super) fn of(cpe: Option<&CpeRow>) -> Standing {
        Standing {
            active: cpe.is_some_and(|cpe| cpe.state == "ACTIVE"),
            failed: cpe.is_some_and(|cpe| cpe.state == "FAILED"),
            // A row that was made for a device that has not spoken holds no machine yet.
            device: cpe.and_then(|cpe| serde_json::from_str(&cpe.machine).ok()),
        }
    }
}

/// A setting that this device does not have is no open matter.
fn is_absent(fact: &EvidenceRow) -> bool {
    !fact.verified && fact.observed == Evidence::ABSENT
}

/// `true` and `1` as people say it, where the wanted value shows that it is a switch.
fn switch<'t>(value: &'t str, wanted: &str) -> &'t str {
    match (value, wanted) {
        ("true" | "1", "true" | "false") => "on",
        ("false" | "0", "true" | "false") => "off",
        (other, _) => other,
    }
}

/// The strip above the settings.
pub(super) fn layers(wishes: &Wishes, evidence: &[EvidenceRow], standing: &Standing) -> Vec<LayerView> {
    let Standing { active, failed, device } = standing;
    let (active, failed) = (*active, *failed);
    let mut working = false;
    LAYERS
        .into_iter()
        .map(|(key, name)| {
            let intent = wishes.layer(key);
            let facts: Vec<&EvidenceRow> =
                evidence.iter().filter(|fact| fact.layer == key && !is_absent(fact)).collect();
            let proved = facts.iter().filter(|fact| fact.verified).count();
            let wanted = intent.is_some() || key == "core";
            let (word, mut text) = if !wanted {
                (Word::new(Status::Off, "Not in plan"), "nothing is wanted here".to_owned())
            } else if facts.is_empty() {
                let word = if failed && !working {
                    Word::new(Status::Bad, "Failed")
                } else {
                    Word::new(Status::Wait, "Waits")
                };
                (word, "nothing read back from the router".to_owned())
            } else if !wishes.is_confirmed(key, device.as_ref()) {
                let s = if failed { Status::Bad } else { Status::Wait };
                (Word::new(s, "Not confirmed"), "the router was not read back with it yet".to_owned())
            } else if proved == facts.len() {
                let text = format!("{} of {} settings read back", proved, facts.len());
                (Word::new(Status::Ok, "Verified"), text)
            } else {
                let s = if failed { Status::Bad } else { Status::Wait };
                (Word::new(s, "Not confirmed"), format!("{} of {} settings read back", proved, facts.len()))
            };
            if let Some(intent) = intent {
                text = format!("v{} wanted; {text}", intent.intent_version);
            }
            let current = !active && !working && wanted && word.s != Status::Ok;
            working |= current;
            LayerView { key, name, word, text, current }
        })
        .collect()
}

/// Setting by setting. What was proved stays in view with its age; what is wanted is what is wanted now.
pub(super) fn groups(wishes: &Wishes, evidence: &[EvidenceRow], standing: &Standing, v: &View) -> Vec<Group> {
    let (failed, device) = (standing.failed, &standing.device);
    let mut first_open = true;
    LAYERS
        .into_iter()
        .map(|(key, name)| {
            let confirmed = wishes.is_confirmed(key, device.as_ref());
            let rows: Vec<Setting> = evidence
                .iter()
                .filter(|fact| fact.layer == key)
                .map(|fact| {
                    let wish = wishes.of_setting(key, &fact.setting).filter(|_| !confirmed);
                    row(fact, wish, confirmed, failed, &mut first_open, v)
                })
                .collect();
            Group { key: key.to_owned(), name, folded: rows.iter().filter(|row| row.minor).count(), rows }
        })
        .filter(|group| !group.rows.is_empty())
        .collect()
}

/// Dots stand for a secret; whether it is the one that is wanted now cannot be seen.
fn is_secret(fact: &EvidenceRow) -> bool {
    fact.wanted.starts_with('\u{2022}')
}

fn row(
    fact: &EvidenceRow,
    wish: Option<String>,
    confirmed: bool,
    failed: bool,
    first_open: &mut bool,
    v: &View,
) -> Setting {
    let absent = is_absent(fact);
    let newer = wish.filter(|wish| *wish != fact.wanted);
    let proved = fact.verified && newer.is_none() && (confirmed || !is_secret(fact));
    let unread = fact.observed.is_empty() && !fact.verified;
    let (s, word) = match (proved, unread, failed) {
        _ if absent => (Status::Off, "not on this device"),
        (true, _, _) => (Status::Ok, "verified"),
        (false, true, _) => (Status::Unknown, "not read"),
        (false, false, true) => (Status::Bad, "not as wanted"),
        (false, false, false) => (Status::Wait, "not confirmed by the router"),
    };
    let wanted = newer.as_deref().unwrap_or(&fact.wanted);
    let as_wanted = switch(&fact.observed, wanted) == switch(wanted, wanted);
    Setting {
        minor: proved && words::is_detail(&fact.setting),
        s,
        word,
        name: words::setting(&fact.setting),
        wanted: switch(wanted, wanted).to_owned(),
        observed: match (unread, as_wanted) {
            (true, _) => "not read".to_owned(),
            (false, true) if proved => "as wanted".to_owned(),
            (false, _) => switch(&fact.observed, wanted).to_owned(),
        },
        why: if proved || absent { "" } else { "Not confirmed by the router." },
        age: v.age(fact.at, words::evidence_source(&fact.source), 0),
        now: !proved && !absent && std::mem::take(first_open),
        same: proved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fact(layer: &str, setting: &str, value: &str) -> EvidenceRow {
        EvidenceRow {
            layer: layer.into(),
            setting: setting.into(),
            wanted: value.into(),
            observed: if value == "true" { "1".into() } else { value.into() },
            verified: true,
            at: 0,
            source: "read_back".into(),
        }
    }

    fn wishes(access: serde_json::Value) -> Wishes {
        let row = |layer: &str, hash: &str| IntentRow {
            layer: layer.into(),
            intent_version: 2,
            hash: hash.into(),
            updated_at: 0,
            updated_by: "nino".into(),
        };
        Wishes {
            rows: vec![row("internet", "same"), row("access", "newer")],
            internet: None,
            access: serde_json::from_value(access).ok(),
        }
    }

    fn standing() -> Standing {
        let mut device = Device::new(types::UtcMs(0));
        for layer in [Layer::Internet, Layer::Access] {
            let record = device.layers.entry(layer).or_default();
            record.applied_hash = Some("same".into());
            record.verified_at = Some(types::UtcMs(0));
        }
        Standing { active: true, failed: false, device: Some(device) }
    }

    #[test]
    fn a_wish_counts_as_verified_only_when_the_router_was_read_back_with_it() {
        let v = View { now: types::UtcMs(60_000), zone: jiff::tz::TimeZone::UTC };
        let wifi = serde_json::json!({ "wifi": [{ "band": "2.4GHz", "ssid": "New name", "passphrase": "12345678" }] });
        let (wishes, standing) = (wishes(wifi), standing());
        let evidence = [
            fact("internet", "VLAN", "100"),
            fact("access", "Wi-Fi 2.4GHz name", "Old name"),
            fact("access", "Wi-Fi 2.4GHz on", "true"),
            fact("access", "Wi-Fi 2.4GHz passphrase", "••••••••"),
        ];
        let strip = layers(&wishes, &evidence, &standing);
        let words: Vec<&str> = strip.iter().map(|layer| layer.word.text.as_str()).collect();
        assert_eq!(words, ["Waits", "Verified", "Not confirmed", "Not in plan"]);
        let groups = groups(&wishes, &evidence, &standing, &v);
        let rows: Vec<(&str, &str, &str, Status)> = groups
            .iter()
            .flat_map(|group| &group.rows)
            .map(|row| (row.name.as_str(), row.wanted.as_str(), row.observed.as_str(), row.s))
            .collect();
        assert_eq!(
            rows,
            [
                ("VLAN", "100", "as wanted", Status::Ok),
                ("Wi-Fi 2.4GHz name", "New name", "Old name", Status::Wait),
                ("Wi-Fi 2.4GHz on", "on", "as wanted", Status::Ok),
                ("Wi-Fi 2.4GHz passphrase", "••••••••", "••••••••", Status::Wait),
            ]
        );
    }
}
