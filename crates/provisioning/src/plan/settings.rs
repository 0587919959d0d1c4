//! From a profile's settings to parameters: which leaf, which value, whether it differs.

use super::{ALONE, Blocked, Item, LayerPlan, PlanStep, Planner, Source};
use crate::{
    InternetIntent, WifiSecurity,
    detect::is_true,
    intent::{InternetMode, Ipv6Mode},
    sentences,
    talk::{ValueKind, WriteValue},
};
use profiles::cpe::{Condition, Kind, Phase, Setting, Slot, Variable, pattern_of};
use std::collections::BTreeMap;

impl Planner<'_> {
    /// The steps of a list of phases. `accepted(name, fingerprint)` says whether a secret need not be written.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn layer(
        &self,
        phases: &[Phase],
        slots: &BTreeMap<String, String>,
        definitions: &BTreeMap<String, Slot>,
        source: &Source<'_>,
        accepted: &dyn Fn(&str, &str) -> bool,
        ours: bool,
        internet: Option<(&InternetIntent, &str)>,
    ) -> Result<LayerPlan, Blocked> {
        let force = matches!(source, Source::Time { .. });
        let mut plan = LayerPlan::default();
        for phase in phases {
            let mut items = Vec::new();
            for setting in &phase.settings {
                if let Some(condition) = setting.when
                    && !self.applies(condition, source, ours)
                {
                    continue;
                }
                let Some(value) = self.value(setting, source, slots, definitions) else {
                    plan.left_out.push(setting.label.clone());
                    continue;
                };
                let candidates: Vec<(&str, String)> = setting
                    .set
                    .iter()
                    .filter_map(|leaf| {
                        let base = slots.get(&leaf.slot)?;
                        Some((leaf.slot.as_str(), format!("{base}{}", leaf.leaf)))
                    })
                    .collect();
                let usable = |(_, path): &&(&str, String)| {
                    let learned =
                        self.device.learned.get(&pattern_of(path)).is_some_and(|fact| fact != ALONE);
                    self.tree.has(path) && !learned
                };
                let label = match source {
                    Source::Wifi { intent, .. } => {
                        format!("Wi-Fi {} {}", intent.band.as_str(), setting.label)
                    }
                    _ => setting.label.clone(),
                };
                let Some((slot, path)) = candidates.iter().find(usable) else {
                    if !setting.required {
                        plan.left_out.push(label);
                        continue;
                    }
                    let path = candidates
                        .first()
                        .map(|(_, path)| path.clone())
                        .unwrap_or_else(|| setting.set.first().map(ToString::to_string).unwrap_or_default());
                    return Err(Blocked {
                        reason: sentences::required_leaf_missing(&label, &path),
                        park: true,
                    });
                };
                let node = self.tree.node(path);
                if !setting.required && node.is_some_and(|node| !node.writable) {
                    plan.left_out.push(label);
                    continue;
                }
                let kind = match node {
                    // The type the device reports is the type it gets.
                    Some(node) if node.value.is_some() => node.kind,
                    _ => wire_kind(setting.kind),
                };
                let secret = value.is_secret().then(|| {
                    let name = self.secret_name(setting, source);
                    let print = self.fingerprint(&name, value.expose());
                    (name, print)
                });
                let value = literal(kind, value);
                let observed = node.and_then(|node| node.value.as_deref());
                let met = match &secret {
                    Some((name, print)) => accepted(name, print),
                    None => observed.is_some_and(|observed| same(kind, observed, value.expose())),
                };
                let item =
                    Item { path: path.clone(), value, kind, label, required: setting.required, secret };
                if !met && self.is_management_too(slot, slots, source) {
                    let reason = sentences::would_touch_management(&item.label, &item.path);
                    return Err(Blocked { reason, park: true });
                }
                plan.wanted.push(item.clone());
                if !met || force {
                    items.push(item);
                }
            }
            if phase.bind
                && let Some((intent, kind)) = internet
            {
                self.bind_items(&mut plan, &mut items, intent, kind, slots)?;
            }
            self.batches(&mut plan.steps, &phase.name, items);
        }
        Ok(plan)
    }

    /// Cuts a phase into calls the device can take.
    pub(super) fn batches(&self, steps: &mut Vec<PlanStep>, name: &str, items: Vec<Item>) {
        let most = self.profile.write.max_params;
        let learned = self
            .context
            .learned
            .iter()
            .filter_map(|fact| fact.fact.strip_prefix("batch_limit=")?.parse().ok());
        let limit = self.run().and_then(|run| run.batch_limit).or(learned.min()).unwrap_or(most);
        let limit = usize::try_from(limit.clamp(1, self.profile.write.max_params)).unwrap_or(1);
        let is_alone = |item: &Item| {
            !item.required
                && self.device.learned.get(&pattern_of(&item.path)).is_some_and(|fact| fact == ALONE)
        };
        // What may be what the device refused comes last, and costs only itself.
        let (alone, together): (Vec<Item>, Vec<Item>) = items.into_iter().partition(is_alone);
        for chunk in together.chunks(limit).chain(alone.chunks(1)) {
            steps.push(PlanStep::Write { name: name.to_owned(), items: chunk.to_vec() });
        }
    }

    pub(super) fn applies(&self, condition: Condition, source: &Source<'_>, ours: bool) -> bool {
        match (condition, source) {
            (Condition::Ntp2, _) => self.context.policy.ntp_servers.len() > 1,
            (Condition::Ntp3, _) => self.context.policy.ntp_servers.len() > 2,
            (Condition::Ours, _) => ours,
            (Condition::Secured, Source::Wifi { intent, .. }) => intent.security != WifiSecurity::Open,
            (Condition::Secured, _) => true,
            (_, Source::Internet { intent, .. }) => self.applies_internet(condition, intent, ours),
            (
                Condition::Vlan
                | Condition::Untagged
                | Condition::Ipv6
                | Condition::Ipv4Only
                | Condition::Priority
                | Condition::Mtu
                | Condition::Nat,
                _,
            ) => false,
        }
    }

    /// The literal this device takes: `to`, unless the device lists what it takes and `to` is not in it.
    fn literal_among(&self, setting: &Setting, slots: &BTreeMap<String, String>) -> String {
        let listed = setting
            .among
            .as_ref()
            .and_then(|leaf| self.tree.value(&format!("{}{}", slots.get(&leaf.slot)?, leaf.leaf)));
        let Some(listed) = listed.filter(|listed| !listed.trim().is_empty()) else {
            return setting.to.clone();
        };
        let takes = |word: &&String| listed.split(',').any(|other| other.trim() == word.as_str());
        [&setting.to].into_iter().chain(&setting.or).find(takes).unwrap_or(&setting.to).clone()
    }

    /// What the other instances of the setting's table have in its leaf.
    fn values_of_others(&self, setting: &Setting, slots: &BTreeMap<String, String>) -> Vec<String> {
        let Some(leaf) = setting.set.first() else { return Vec::new() };
        let Some(own) = slots.get(&leaf.slot) else { return Vec::new() };
        let Some((table, _)) = own.trim_end_matches('.').rsplit_once('.') else { return Vec::new() };
        let instances = self.tree.instances(&format!("{table}.")).into_iter();
        let others = instances.map(|(_, path)| path).filter(|path| path != own);
        others
            .filter_map(|path| self.tree.value(&format!("{path}{}", leaf.leaf)).map(str::to_owned))
            .collect()
    }

    /// The slot's instance is the management WAN's as well.
    fn is_management_too(&self, slot: &str, slots: &BTreeMap<String, String>, source: &Source<'_>) -> bool {
        let Source::Internet { shared, .. } = source else { return false };
        self.profile.wan.not_with_management.iter().any(|name| name == slot)
            && slots.get(slot).is_some_and(|path| shared.contains(path))
    }

    pub(super) fn secret_name(&self, setting: &Setting, source: &Source<'_>) -> String {
        let variable = setting.variable().map_or("secret", Variable::as_str);
        match source {
            Source::Wifi { intent, .. } => format!("{variable}:{}", intent.band.as_str()),
            _ => variable.to_owned(),
        }
    }

    pub(super) fn value(
        &self,
        setting: &Setting,
        source: &Source<'_>,
        slots: &BTreeMap<String, String>,
        definitions: &BTreeMap<String, Slot>,
    ) -> Option<WriteValue> {
        let Some(variable) = setting.variable() else {
            let others = self.values_of_others(setting, slots).into_iter().find(|value| !value.is_empty());
            let copied = others.filter(|_| setting.like_others);
            return Some(WriteValue::Plain(copied.unwrap_or_else(|| self.literal_among(setting, slots))));
        };
        let plain = |text: &str| Some(WriteValue::Plain(text.to_owned()));
        let boolean = |on: bool| plain(if on { "true" } else { "false" });
        let policy = &self.context.policy;
        let slot = setting.set.first().map(|leaf| leaf.slot.as_str()).unwrap_or_default();
        match variable {
            Variable::Lower => {
                let lower = definitions.get(slot)?.lower.as_ref()?;
                let path = lower.slots.iter().find_map(|name| slots.get(name))?;
                plain(&self.reference(path, &lower.leaf))
            }
            Variable::Owner => {
                let of = definitions.get(slot)?.of.as_ref()?;
                let path = of.slots.iter().find_map(|name| slots.get(name))?;
                plain(&self.reference(path, &of.leaf))
            }
            Variable::FreeIndex => {
                let leaf = setting.set.first()?;
                let own = self.tree.value(&format!("{}{}", slots.get(&leaf.slot)?, leaf.leaf));
                let own = own.and_then(|value| value.trim().parse::<u8>().ok());
                let others = self.values_of_others(setting, slots);
                let used: Vec<u8> = others.iter().filter_map(|value| value.trim().parse().ok()).collect();
                let number = own.into_iter().chain(1..=16).find(|n| *n > 0 && !used.contains(n))?;
                plain(&number.to_string())
            }
            Variable::Ntp1 => plain(policy.ntp_servers.first()?),
            Variable::Ntp2 => plain(policy.ntp_servers.get(1)?),
            Variable::Ntp3 => plain(policy.ntp_servers.get(2)?),
            Variable::TimeZone => plain(&policy.time_zone),
            Variable::TimeZonePosix => plain(&policy.time_zone_posix),
            Variable::WanName | Variable::Ports => None,
            Variable::ManagementWan => match source {
                Source::Time { management_wan: Some(name) } => plain(name),
                _ => None,
            },
            Variable::AcsUsername
            | Variable::AcsPassword
            | Variable::CrUsername
            | Variable::CrPassword
            | Variable::InformInterval => {
                let Source::Management { credentials, interval_s } = source else { return None };
                match variable {
                    Variable::AcsUsername => plain(&credentials.username),
                    Variable::AcsPassword => Some(WriteValue::Secret(credentials.password.clone())),
                    Variable::CrUsername => plain(&credentials.connection_request_username),
                    Variable::CrPassword => {
                        Some(WriteValue::Secret(credentials.connection_request_password.clone()))
                    }
                    _ => plain(&interval_s.to_string()),
                }
            }
            Variable::Vlan
            | Variable::Priority
            | Variable::Name
            | Variable::Username
            | Variable::Password
            | Variable::Nat
            | Variable::Ipv6
            | Variable::Mtu
            | Variable::Address
            | Variable::Mask
            | Variable::Gateway
            | Variable::Dns => {
                let Source::Internet { intent, name, .. } = source else { return None };
                match (variable, &intent.mode) {
                    (Variable::Vlan, _) => plain(&intent.vlan.unwrap_or(0).to_string()),
                    (Variable::Priority, _) => plain(&intent.priority?.to_string()),
                    (Variable::Mtu, _) => plain(&intent.mtu?.to_string()),
                    (Variable::Name, _) => plain(name),
                    (Variable::Nat, _) => boolean(intent.nat),
                    (Variable::Ipv6, _) => boolean(intent.ipv6 == Ipv6Mode::On),
                    (Variable::Username, InternetMode::Pppoe { username, .. }) => plain(username),
                    (Variable::Password, InternetMode::Pppoe { password, .. }) => {
                        Some(WriteValue::Secret(password.clone()))
                    }
                    (Variable::Address, InternetMode::Static { address, .. }) => plain(address),
                    (Variable::Mask, InternetMode::Static { mask, .. }) => plain(mask),
                    (Variable::Gateway, InternetMode::Static { gateway, .. }) => plain(gateway),
                    (Variable::Dns, InternetMode::Static { dns, .. }) => plain(&dns.join(",")),
                    _ => None,
                }
            }
            Variable::WifiEnabled | Variable::Ssid | Variable::Passphrase | Variable::Security => {
                let Source::Wifi { intent, security } = source else { return None };
                match variable {
                    Variable::WifiEnabled => boolean(intent.enabled),
                    Variable::Ssid => plain(&intent.ssid),
                    Variable::Passphrase => Some(WriteValue::Secret(intent.passphrase.clone())),
                    _ => plain(security),
                }
            }
            Variable::LanAddress
            | Variable::LanMask
            | Variable::LanDhcp
            | Variable::DhcpFirst
            | Variable::DhcpLast => {
                let Source::Lan { intent } = source else { return None };
                match variable {
                    Variable::LanAddress => plain(&intent.address),
                    Variable::LanMask => plain(&intent.mask),
                    Variable::LanDhcp => boolean(intent.dhcp),
                    // Without a range the router keeps the one it has: its server is off.
                    Variable::DhcpFirst if !intent.dhcp_first.is_empty() => plain(&intent.dhcp_first),
                    Variable::DhcpLast if !intent.dhcp_last.is_empty() => plain(&intent.dhcp_last),
                    _ => None,
                }
            }
        }
    }

    /// A path as a value, in the style of the device's own rows: some end it with a dot, some refuse the dot.
    pub(super) fn reference(&self, path: &str, leaf: &str) -> String {
        let suffix = format!(".{leaf}");
        let dotted = self
            .tree
            .under(&self.profile.root)
            .filter(|(name, _)| name.ends_with(&suffix))
            .filter_map(|(_, node)| node.value.as_deref())
            .any(|value| value.ends_with('.'));
        if dotted { path.to_owned() } else { path.trim_end_matches('.').to_owned() }
    }
}

fn wire_kind(kind: Kind) -> ValueKind {
    match kind {
        Kind::String => ValueKind::String,
        Kind::Int => ValueKind::Int,
        Kind::UnsignedInt => ValueKind::UnsignedInt,
        Kind::Boolean => ValueKind::Boolean,
    }
}

/// Profiles write booleans as `true`; a device that reports a number gets a number.
fn literal(kind: ValueKind, value: WriteValue) -> WriteValue {
    match (kind, &value) {
        (ValueKind::UnsignedInt | ValueKind::Int, WriteValue::Plain(text)) if text == "true" => {
            WriteValue::Plain("1".into())
        }
        (ValueKind::UnsignedInt | ValueKind::Int, WriteValue::Plain(text)) if text == "false" => {
            WriteValue::Plain("0".into())
        }
        _ => value,
    }
}

/// Equal in meaning: `1` and `true`, `0100` and `100`, a path with and without its last dot, a list in any
/// spacing.
pub(crate) fn same(kind: ValueKind, observed: &str, wanted: &str) -> bool {
    let (a, b) = (observed.trim(), wanted.trim());
    match kind {
        ValueKind::Boolean => is_true(a) == is_true(b),
        ValueKind::Int | ValueKind::UnsignedInt | ValueKind::Long | ValueKind::UnsignedLong => {
            match (a.parse::<i64>(), b.parse::<i64>()) {
                (Ok(a), Ok(b)) => a == b,
                _ => a == b,
            }
        }
        ValueKind::String | ValueKind::DateTime | ValueKind::Base64 | ValueKind::HexBinary => {
            let tidy = |text: &str| text.trim_end_matches('.').replace(", ", ",");
            observed == wanted || tidy(a) == tidy(b)
        }
    }
}
