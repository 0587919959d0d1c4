//! Wanted and found: what a service should have now, what its router was read back to have, and where the two part.

use provisioning::{AccessIntent, InternetIntent, InternetMode, Ipv6Mode, LanPort};
use store::read::{CpeRow, EvidenceRow, IntentRow};
use types::ServiceId;

use crate::{
    error::Fail,
    form::Form,
    proof::Proof,
    state::Ctx,
    view::{Html, Status, View, Word},
    words,
};

pub(super) const LAYERS: [(&str, &str); 4] =
    [("core", "Core"), ("internet", "Internet"), ("access", "Access"), ("extras", "Extras")];

/// Ways to the internet, as the form offers them.
pub(super) const MODES: [(&str, &str); 4] =
    [("pppoe", "PPPoE"), ("dhcp", "DHCP"), ("static", "Fixed address"), ("bridge", "Bridge")];

/// One layer in the strip above the settings.
pub(super) struct LayerView {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    pub(super) word: Word,
    pub(super) text: String,
    pub(super) current: bool,
}

/// One setting.
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

/// The settings of a layer.
pub(super) struct Group {
    pub(super) key: &'static str,
    pub(super) name: &'static str,
    /// Which wish counts, whose it is and since when.
    pub(super) wish: String,
    pub(super) rows: Vec<Setting>,
    /// Rows that fold away: of no interest by themselves while they are as wanted.
    pub(super) folded: usize,
}

/// What the forms of the page begin with: what is wanted now. Secrets are never among it.
pub(super) struct Wanted {
    pub(super) wifi_name: String,
    pub(super) mode: String,
    pub(super) vlan: String,
}

/// What is wanted now, opened. Passwords in it are never shown.
#[derive(Default)]
pub(super) struct Wishes {
    pub(super) rows: Vec<IntentRow>,
    internet: Option<InternetIntent>,
    access: Option<AccessIntent>,
    /// What a form about each part begins with.
    seen: SeenParts,
}

#[derive(Default)]
struct SeenParts {
    internet: String,
    wifi: String,
    lan: String,
}

impl Wishes {
    pub(super) async fn of(ctx: &Ctx, service: i64) -> Result<Wishes, Fail> {
        let mut wishes = Wishes { rows: ctx.read().service_intents(service).await?, ..Wishes::default() };
        for open in store::services::intents(ctx.app().store(), ServiceId(service)).await? {
            // One that cannot be read is left out here; the machine says so as the cause.
            match open.layer {
                store::Layer::Internet => wishes.internet = serde_json::from_str(open.body.expose()).ok(),
                store::Layer::Access => wishes.access = serde_json::from_str(open.body.expose()).ok(),
                store::Layer::Core | store::Layer::Extras => {}
            }
        }
        wishes.seen = SeenParts {
            internet: ctx.app().internet_seen(ServiceId(service), wishes.internet.as_ref()),
            wifi: ctx.app().wifi_seen(ServiceId(service), wishes.access.as_ref()),
            lan: ctx.app().lan_seen(wishes.access.as_ref()),
        };
        Ok(wishes)
    }

    pub(super) fn for_forms(&self) -> Wanted {
        let wifi = self.access.as_ref().and_then(|access| access.wifi.first());
        let internet = self.internet.as_ref();
        Wanted {
            wifi_name: wifi.map_or_else(String::new, |wifi| wifi.ssid.clone()),
            mode: internet.map_or("pppoe", |internet| internet.mode.as_str()).to_owned(),
            vlan: internet
                .and_then(|internet| internet.vlan)
                .map_or_else(String::new, |vlan| vlan.to_string()),
        }
    }

    pub(super) fn wifi_form(&self) -> Form {
        let wifi = self.access.as_ref().and_then(|access| access.wifi.first());
        let mut form = Form::default();
        form.set("version", &self.seen.wifi);
        form.set("ssid", wifi.map_or("", |wifi| wifi.ssid.as_str()));
        if wifi.is_none_or(|wifi| wifi.enabled) {
            form.set("enabled", 1);
        }
        form
    }

    pub(super) fn internet_form(&self, login: &str) -> Form {
        let mut form = Form::default();
        form.set("version", &self.seen.internet);
        form.set("username", login).set("mode", "pppoe").set("nat", "on").set("ipv6", "off");
        let Some(internet) = &self.internet else { return form };
        let switch = |on: bool| if on { "on" } else { "off" };
        let bound: Vec<String> = internet.bind.iter().map(|port| port_name(*port)).collect();
        form.set("mode", internet.mode.as_str())
            .set("nat", switch(internet.nat || matches!(internet.mode, InternetMode::Bridge)))
            .set("ipv6", switch(internet.ipv6 == Ipv6Mode::On))
            .set("mtu", internet.mtu.map_or_else(String::new, |mtu| mtu.to_string()))
            .set("bind", bound.join(", "))
            .set("policy_routes", switch(internet.policy_routes));
        if let InternetMode::Static { address, mask, gateway, dns } = &internet.mode {
            form.set("address", address).set("mask", mask).set("gateway", gateway).set("dns", dns.join(", "));
        }
        form
    }

    pub(super) fn lan_form(&self) -> Form {
        let mut form = Form::default();
        form.set("version", &self.seen.lan);
        form.set("lan", "own").set("dhcp", "on");
        if let Some(lan) = self.access.as_ref().and_then(|access| access.lan.as_ref()) {
            form.set("lan", "ours")
                .set("address", &lan.address)
                .set("mask", &lan.mask)
                .set("dhcp", if lan.dhcp { "on" } else { "off" })
                .set("dhcp_first", &lan.dhcp_first)
                .set("dhcp_last", &lan.dhcp_last);
        }
        form
    }

    /// Names of the layers that the router was not read back to carry out as wanted now.
    pub(super) fn changing(&self, proof: &Proof) -> Vec<&'static str> {
        let open = |key: &str| self.layer(key).is_some() && !proof.in_force(key);
        LAYERS.into_iter().filter(|(key, _)| open(key)).map(|(_, name)| name).collect()
    }

    fn layer(&self, layer: &str) -> Option<&IntentRow> {
        self.rows.iter().find(|intent| intent.layer == layer)
    }

    /// What is wanted of one setting now, where that can be said without the profile of the model.
    fn of_setting(&self, layer: &str, setting: &str) -> Option<String> {
        match layer {
            "internet" => {
                let internet = self.internet.as_ref()?;
                match (setting, &internet.mode) {
                    ("WAN", _) => Some((!internet.suspended).to_string()),
                    ("VLAN", _) => internet.vlan.map(|vlan| vlan.to_string()),
                    ("NAT", _) => Some(internet.nat.to_string()),
                    ("PPPoE user name", InternetMode::Pppoe { username, .. }) => Some(username.clone()),
                    ("MTU" | "MRU", _) => internet.mtu.map(|mtu| mtu.to_string()),
                    ("IPv6", _) => Some((internet.ipv6 == Ipv6Mode::On).to_string()),
                    ("WAN address", InternetMode::Static { address, .. }) => Some(address.clone()),
                    ("WAN mask", InternetMode::Static { mask, .. }) => Some(mask.clone()),
                    ("Gateway", InternetMode::Static { gateway, .. }) => Some(gateway.clone()),
                    ("Name servers", InternetMode::Static { dns, .. }) => Some(dns.join(",")),
                    _ => None,
                }
            }
            "access" if setting.starts_with("LAN ") || setting.starts_with("DHCP ") => {
                let lan = self.access.as_ref()?.lan.as_ref()?;
                match setting {
                    "LAN address" => Some(lan.address.clone()),
                    "LAN mask" => Some(lan.mask.clone()),
                    "DHCP server" => Some(lan.dhcp.to_string()),
                    "DHCP first address" => Some(lan.dhcp_first.clone()),
                    "DHCP last address" => Some(lan.dhcp_last.clone()),
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

/// As people name a port, and as the form and the API take it.
pub(crate) fn port_name(port: LanPort) -> String {
    match port {
        LanPort::Lan(number) => format!("lan{number}"),
        LanPort::Ssid(number) => format!("ssid{number}"),
    }
}

/// A setting that this device does not have is no open matter.
fn is_missing(fact: &EvidenceRow) -> bool {
    fact.source == "missing" && !fact.verified
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
pub(super) fn layers(wishes: &Wishes, proof: &Proof, cpe: Option<&CpeRow>) -> Vec<LayerView> {
    let active = cpe.is_some_and(|cpe| cpe.state == "ACTIVE");
    let failed = cpe.is_some_and(|cpe| cpe.state == "FAILED");
    let mut working = false;
    LAYERS
        .into_iter()
        .map(|(key, name)| {
            let intent = wishes.layer(key);
            let facts: Vec<&EvidenceRow> =
                proof.evidence.iter().filter(|fact| fact.layer == key && !is_missing(fact)).collect();
            let proved = facts.iter().filter(|fact| fact.verified).count();
            let wanted = intent.is_some() || key == "core";
            let open = || Word::new(if failed { Status::Bad } else { Status::Wait }, "Not confirmed");
            let (word, mut text) = if !wanted {
                (Word::new(Status::Off, "Not in plan"), "nothing is wanted here".to_owned())
            } else if facts.is_empty() {
                let word = if failed && !working {
                    Word::new(Status::Bad, "Failed")
                } else {
                    Word::new(Status::Wait, "Waits")
                };
                (word, "nothing read back from the router".to_owned())
            } else if key != "core" && !proof.in_force(key) {
                (open(), "read back only before the change".to_owned())
            } else {
                let text = format!("{proved} of {} settings read back", facts.len());
                (if proved == facts.len() { Word::new(Status::Ok, "Verified") } else { open() }, text)
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

/// Setting by setting. What is wanted is what is wanted now; what was read before a change stays in view with its age,
/// and proves nothing.
pub(super) fn groups(wishes: &Wishes, proof: &Proof, cpe: Option<&CpeRow>, v: &View) -> Vec<Group> {
    let failed = cpe.is_some_and(|cpe| cpe.state == "FAILED");
    let mut first_open = true;
    LAYERS
        .into_iter()
        .map(|(key, name)| {
            let former = key != "core" && !proof.in_force(key);
            let rows: Vec<Setting> = proof
                .evidence
                .iter()
                .filter(|fact| fact.layer == key)
                .map(|fact| {
                    let before = former.then(|| wishes.of_setting(key, &fact.setting));
                    let row = setting(fact, before, failed, v);
                    let now = !row.same && row.s != Status::Off && std::mem::take(&mut first_open);
                    Setting { now, ..row }
                })
                .collect();
            let wish = wishes.layer(key).map_or_else(String::new, |intent| {
                let since = v.clock(intent.updated_at);
                format!("version {}, wanted by {} since {since}", intent.intent_version, intent.updated_by)
            });
            Group { key, name, wish, folded: rows.iter().filter(|row| row.minor).count(), rows }
        })
        .filter(|group| !group.rows.is_empty())
        .collect()
}

/// `before`: the fact was read before the wish changed, and what is wanted of it since, if that can be said.
fn setting(fact: &EvidenceRow, before: Option<Option<String>>, failed: bool, v: &View) -> Setting {
    let missing = is_missing(fact);
    let unread = fact.observed.is_empty() && !fact.verified;
    let is_former = before.is_some();
    let wanted = before.unwrap_or_else(|| Some(fact.wanted.clone()));
    // The value shows by itself whether it is a switch; the former wish tells it where the present one cannot be said.
    let kind = wanted.as_deref().unwrap_or(&fact.wanted);
    let observed = switch(&fact.observed, kind);
    let as_wanted = wanted.as_deref().is_some_and(|wanted| observed == switch(wanted, wanted));
    let (s, word) = match (fact.verified, unread, failed && !is_former) {
        _ if missing => (Status::Off, "not on this device"),
        (true, _, _) => (Status::Ok, "verified"),
        (false, true, _) => (Status::Unknown, "not read"),
        (false, false, true) => (Status::Bad, "not as wanted"),
        (false, false, false) => (Status::Wait, "not confirmed by the router"),
    };
    Setting {
        s,
        word,
        name: words::setting(&fact.setting),
        wanted: match &wanted {
            Some(wanted) => switch(wanted, wanted).to_owned(),
            None => "changed since, not compared yet".to_owned(),
        },
        observed: match (unread, fact.verified && as_wanted) {
            (true, _) => "not read".to_owned(),
            (false, true) => "as wanted".to_owned(),
            (false, false) => observed.to_owned(),
        },
        why: match (fact.verified || missing, unread, is_former) {
            (true, _, _) => "",
            (false, false, true) => "Read before the change; not confirmed by the router yet.",
            (false, _, _) => "Not confirmed by the router.",
        },
        age: v.age(fact.at, words::evidence_source(&fact.source), 0),
        now: false,
        // What was so before the change and is to stay so differs in nothing, confirmed or not.
        same: fact.verified || (is_former && as_wanted && !unread),
        minor: fact.verified && words::is_detail(&fact.setting),
    }
}
