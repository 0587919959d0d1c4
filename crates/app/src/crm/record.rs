//! What the audit log says of plans and intents: everything but secrets, the same words before and after.

use provisioning::{AccessIntent, InternetIntent, InternetMode, Ipv6Mode};
use store::rows;

/// A change of one layer of a service, for the record; secrets in neither of the two.
pub(super) struct LayerChange {
    pub(super) action: &'static str,
    /// Its name for people.
    pub(super) layer: &'static str,
    pub(super) before: Option<serde_json::Value>,
    pub(super) after: serde_json::Value,
}

/// What an Internet intent says, for the record.
pub(super) fn internet_words(intent: &InternetIntent) -> serde_json::Value {
    let (mode, username) = match &intent.mode {
        InternetMode::Pppoe { username, .. } => ("pppoe", Some(username)),
        InternetMode::Dhcp => ("dhcp", None),
        InternetMode::Bridge => ("bridge", None),
        InternetMode::Static { .. } => ("static", None),
    };
    let mut words = serde_json::json!({ "mode": mode, "username": username, "vlan": intent.vlan });
    // Only what somebody chose: the record of a plain change stays readable.
    let mut add = |name: &str, value: serde_json::Value, chosen: bool| {
        if chosen {
            words[name] = value;
        }
    };
    if let InternetMode::Static { address, mask, gateway, dns } = &intent.mode {
        add(
            "address",
            serde_json::json!({ "address": address, "mask": mask, "gateway": gateway, "dns": dns }),
            true,
        );
    }
    add("nat", intent.nat.into(), !intent.nat && mode != "bridge");
    add("ipv6", true.into(), intent.ipv6 == Ipv6Mode::On);
    add("mtu", intent.mtu.into(), intent.mtu.is_some());
    add("bind", serde_json::json!(intent.bind), !intent.bind.is_empty());
    add("policy_routes", true.into(), intent.policy_routes);
    words
}

/// What an Access intent says, for the record: every band is the same.
pub(super) fn access_words(intent: &AccessIntent) -> serde_json::Value {
    let wifi = intent.wifi.first();
    let mut words =
        serde_json::json!({ "ssid": wifi.map(|wifi| &wifi.ssid), "enabled": wifi.map(|wifi| wifi.enabled) });
    if let Some(lan) = &intent.lan {
        words["lan"] = serde_json::json!(lan);
    }
    words
}

/// The record says that a secret is another one, and never which.
pub(super) fn changed_secret(mut words: serde_json::Value, name: &str, changed: bool) -> serde_json::Value {
    if changed && let Some(words) = words.as_object_mut() {
        words.insert(name.to_owned(), "changed".into());
    }
    words
}

/// A plan, for the record.
pub(super) fn plan_words(plan: &rows::Plan) -> serde_json::Value {
    serde_json::json!({
        "name": plan.name, "down_kbps": plan.down_kbps, "up_kbps": plan.up_kbps, "price_minor": plan.price_minor,
        "currency": plan.currency, "internet_mode": plan.internet_mode, "vlan": plan.vlan, "active": plan.active,
    })
}
