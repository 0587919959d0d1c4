//! The rules a profile must keep. What passes needs no checking later.

use super::{
    Bind, Capability, CapabilityName, CpeProfile, Group, Phase, ProfileError, Setting, Slot, SlotLeaf,
    Variable,
};
use std::collections::{BTreeMap, BTreeSet};

/// Tables that may stand in each other: WANDevice, WANConnectionDevice, connection.
const MAX_NESTING: usize = 4;

struct Checker<'a> {
    file: &'a str,
    profile: &'a CpeProfile,
}

type Slots = BTreeMap<String, Slot>;

pub(super) fn check(file: &str, profile: &CpeProfile) -> Result<(), ProfileError> {
    let checker = Checker { file, profile };
    checker.head()?;
    checker.identity()?;
    checker.probe()?;
    let write = profile.write;
    if write.max_params == 0 || write.max_names == 0 || write.structural_per_session == 0 {
        return checker.wrong("write", "limits must be at least 1");
    }
    checker.group("management", &profile.management)?;
    if let Some(lan) = &profile.lan {
        checker.group("lan", lan)?;
    }
    let time = &profile.time;
    time.list.iter().try_for_each(|path| checker.object("time", path))?;
    checker.slots("time", &time.slots)?;
    checker.settings("time", &time.slots, &time.phases)?;
    checker.leaf("time.current", &time.slots, &time.current)?;
    checker.wan()?;
    checker.wifi()?;
    for (name, capability) in &profile.capabilities {
        checker.capability(*name, capability)?;
    }
    if let Some(problem) = profile.hosts.iter().find_map(|table| table.problem(&profile.root)) {
        return checker.wrong("hosts", problem);
    }
    for (name, diagnostic) in &profile.diagnostics {
        if let Some(problem) = diagnostic.problem(*name) {
            return checker.wrong(format!("diagnostics.{}", name.as_str()), problem);
        }
    }
    for pattern in profile.unproved.keys() {
        if !pattern.starts_with(&profile.root) {
            return checker.wrong("unproved", format!("{pattern:?} must begin with {:?}", profile.root));
        }
    }
    Ok(())
}

impl Checker<'_> {
    fn error(&self, at: impl Into<String>, problem: impl Into<String>) -> ProfileError {
        ProfileError::Rule { file: self.file.to_owned(), at: at.into(), problem: problem.into() }
    }

    fn wrong<T>(&self, at: impl Into<String>, problem: impl Into<String>) -> Result<T, ProfileError> {
        Err(self.error(at, problem))
    }

    fn head(&self) -> Result<(), ProfileError> {
        let profile = self.profile;
        if !["InternetGatewayDevice.", "Device."].contains(&profile.root.as_str()) {
            return self.wrong(
                "root",
                format!("{:?} must be \"InternetGatewayDevice.\" or \"Device.\"", profile.root),
            );
        }
        if profile.source.trim().is_empty() {
            return self.wrong("source", "must say where the family is known from");
        }
        if profile.read_only.as_ref().is_some_and(|why| why.trim().is_empty()) {
            return self.wrong("read_only", "must say why the family is only read");
        }
        if let Some(export) = profile.exports.iter().find(|name| name.ends_with(".csv") || name.contains('/'))
        {
            return self.wrong("exports", format!("{export:?} must be a file name without folder and .csv"));
        }
        Ok(())
    }

    fn identity(&self) -> Result<(), ProfileError> {
        for rule in &self.profile.matches {
            let named = [&rule.manufacturer, &rule.product_class, &rule.software_version];
            if rule.oui.is_empty() && named.iter().all(|expression| expression.is_none()) {
                return self.wrong(
                    "match",
                    "a rule needs one of oui, manufacturer, product_class, software_version",
                );
            }
            if rule.score == 0 {
                return self.wrong("match", "score must be at least 1");
            }
            if let Some(oui) = rule.oui.iter().find(|oui| oui.len() != 6 || !is_hex(oui)) {
                return self.wrong("match", format!("OUI {oui:?} must be six hexadecimal digits"));
            }
        }
        Ok(())
    }

    fn probe(&self) -> Result<(), ProfileError> {
        let probe = &self.profile.probe;
        probe.list.iter().try_for_each(|path| self.object("probe.list", path))?;
        probe.any.iter().try_for_each(|node| self.node("probe.any", node))?;
        probe.none.iter().try_for_each(|node| self.node("probe.none", node))?;
        if probe.any.is_empty() || probe.score == 0 {
            return self.wrong("probe", "needs at least one node in `any` and a score of at least 1");
        }
        if probe.needs_match && self.profile.matches.is_empty() {
            return self.wrong("probe", "`needs_match` needs a [[match]]");
        }
        if let Some(hints) = &probe.hints {
            if hints.list.is_empty() || hints.any.is_empty() {
                return self.wrong("probe.hints", "needs something in `list` and in `any`");
            }
            hints.list.iter().try_for_each(|path| self.object("probe.hints.list", path))?;
            hints.any.iter().try_for_each(|node| self.node("probe.hints.any", node))?;
        }
        Ok(())
    }

    fn node(&self, at: &str, path: &str) -> Result<(), ProfileError> {
        if path.starts_with(&self.profile.root) {
            return Ok(());
        }
        self.wrong(at, format!("{path:?} must begin with {:?}", self.profile.root))
    }

    fn object(&self, at: &str, path: &str) -> Result<(), ProfileError> {
        if path.starts_with(&self.profile.root) && path.ends_with('.') {
            return Ok(());
        }
        self.wrong(at, format!("{path:?} must begin with {:?} and end with a dot", self.profile.root))
    }

    fn group(&self, at: &str, group: &Group) -> Result<(), ProfileError> {
        group.list.iter().try_for_each(|path| self.object(at, path))?;
        self.slots(at, &group.slots)?;
        self.settings(at, &group.slots, &group.phases)
    }

    fn slots(&self, at: &str, slots: &Slots) -> Result<(), ProfileError> {
        for (name, slot) in slots {
            let at = format!("{at}.slots.{name}");
            match (&slot.object, &slot.table) {
                (Some(object), None) => self.object(&at, object)?,
                (None, Some(table)) => self.table(&at, slots, table)?,
                _ => return self.wrong(at, "needs exactly one of `object` and `table`"),
            }
            if slot.shared && slot.fixed {
                return self.wrong(at, "is either `shared` or `fixed`");
            }
            for reference in [&slot.lower, &slot.of].into_iter().flatten() {
                if let Some(other) = reference.slots.iter().find(|other| !slots.contains_key(*other)) {
                    return self.wrong(at, format!("refers to the unknown slot {other:?}"));
                }
            }
        }
        Ok(())
    }

    fn table(&self, at: &str, slots: &Slots, table: &str) -> Result<(), ProfileError> {
        let mut table = table.to_owned();
        for _ in 0..MAX_NESTING {
            if !table.ends_with('.') {
                break;
            }
            let Some((parent, _)) = table.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
                return self.object(at, &table);
            };
            match slots.get(parent).and_then(|slot| slot.table.clone()) {
                Some(outer) => table = outer,
                None => break,
            }
        }
        self.wrong(
            at,
            format!(
                "table {table:?} must end with a dot and begin with a known slot that has a table \
                 (at most {MAX_NESTING} in each other)"
            ),
        )
    }

    fn leaf(&self, at: impl Into<String>, slots: &Slots, leaf: &SlotLeaf) -> Result<(), ProfileError> {
        if slots.contains_key(&leaf.slot) {
            return Ok(());
        }
        self.wrong(at, format!("`{leaf}` is in the unknown slot {:?}", leaf.slot))
    }

    fn settings(&self, at: &str, slots: &Slots, phases: &[Phase]) -> Result<(), ProfileError> {
        for phase in phases {
            for setting in &phase.settings {
                let at = format!("{at}, phase {:?}, {:?}", phase.name, setting.label);
                self.setting(&at, slots, setting)?;
            }
        }
        Ok(())
    }

    fn setting(&self, at: &str, slots: &Slots, setting: &Setting) -> Result<(), ProfileError> {
        if setting.set.is_empty() {
            return self.wrong(at, "`set` names no leaf");
        }
        setting.set.iter().chain(&setting.among).try_for_each(|leaf| self.leaf(at, slots, leaf))?;
        if let Some(word) = setting.to.strip_prefix('$')
            && Variable::parse(word).is_none()
        {
            let words = Variable::WORDS.join(", ");
            return self.wrong(at, format!("unknown variable ${word}; known are {words}"));
        }
        if let Some(tolerance) = setting.kept_within {
            if setting.variable() != Some(Variable::InformInterval) {
                return self.wrong(at, "`kept_within` is for $inform_interval only");
            }
            // A device that informs twice as often or ten times more seldom was not told a number, it was ignored.
            if tolerance.less_percent > 50 || tolerance.more_percent > 900 {
                return self.wrong(at, "`kept_within` allows 50 per cent less and 900 more at most");
            }
        }
        if setting.or.is_empty() != setting.among.is_none() {
            return self.wrong(at, "`or` and `among` go together");
        }
        if (!setting.or.is_empty() || setting.like_others) && setting.variable().is_some() {
            return self.wrong(at, "`or` and `like_others` need a literal in `to`");
        }
        Ok(())
    }

    fn wan(&self) -> Result<(), ProfileError> {
        let wan = &self.profile.wan;
        wan.list.iter().try_for_each(|path| self.object("wan", path))?;
        self.slots("wan", &wan.slots)?;
        let known = |at: String, slot: &String| {
            if wan.slots.contains_key(slot) {
                return Ok(());
            }
            self.wrong(at, format!("names the unknown slot {slot:?}"))
        };
        for (name, kind) in &wan.kinds {
            let at = || format!("wan.kinds.{name}");
            let slots = kind.slots.iter().chain([&kind.anchor]).chain(&kind.has).chain(&kind.lacks);
            for slot in slots {
                known(at(), slot)?;
            }
            if wan.slots.get(&kind.anchor).is_none_or(|slot| slot.table.is_none()) {
                return self.wrong(at(), format!("anchor {:?} must be a slot with a table", kind.anchor));
            }
            if kind.switches.is_empty() {
                return self.wrong(at(), "needs at least one switch");
            }
            kind.switches.iter().try_for_each(|leaf| self.leaf(at(), &wan.slots, leaf))?;
            for (fact, leaf) in kind.facts.leaves() {
                self.leaf(format!("{}.facts.{fact}", at()), &wan.slots, leaf)?;
            }
            for (fact, leaves) in [
                ("enabled", &kind.facts.enabled),
                ("status", &kind.facts.status),
                ("address", &kind.facts.address),
            ] {
                if leaves.is_empty() {
                    return self.wrong(format!("{}.facts.{fact}", at()), "must name a leaf");
                }
            }
        }
        for (name, mode) in &wan.modes {
            let at = format!("wan.modes.{name}");
            if !["pppoe", "dhcp", "static", "bridge"].contains(&name.as_str()) {
                return self.wrong(at, "is none of pppoe, dhcp, static, bridge");
            }
            if !wan.kinds.contains_key(&mode.kind) {
                return self.wrong(at, format!("is of the unknown kind {:?}", mode.kind));
            }
            self.settings(&at, &wan.slots, &mode.phases)?;
        }
        for slot in &wan.not_with_management {
            known("wan.not_with_management".into(), slot)?;
        }
        for (kind, template) in &wan.short_names {
            if !wan.kinds.contains_key(kind) {
                return self.wrong("wan.short_names", format!("names the unknown kind {kind:?}"));
            }
            let slots = template.split('{').skip(1).filter_map(|part| part.split_once('}'));
            for (slot, _) in slots {
                known("wan.short_names".into(), &slot.to_owned())?;
            }
        }
        if let Some(route) = &wan.policy_route {
            self.object("wan.policy_route", &route.list)?;
            known("wan.policy_route".into(), &route.slot)?;
            if !route.by_path && wan.short_names.is_empty() {
                return self.wrong(
                    "wan.policy_route",
                    "needs wan.short_names, or by_path = true to name WANs by path",
                );
            }
        }
        self.bind()
    }

    fn bind(&self) -> Result<(), ProfileError> {
        let wan = &self.profile.wan;
        let (slots, ports) = match &wan.bind {
            None => return Ok(()),
            Some(Bind::Flags(bind)) => (&bind.slots, [Some(&bind.lan), Some(&bind.ssid)]),
            Some(Bind::List(bind)) => {
                bind.list.iter().try_for_each(|path| self.object("wan.bind.list", path))?;
                (&bind.slots, [Some(&bind.lan), bind.ssid.as_ref()])
            }
        };
        for (kind, slot) in slots {
            if !wan.kinds.contains_key(kind) || !wan.slots.contains_key(slot) {
                return self.wrong(
                    "wan.bind.slots",
                    format!("{kind} = {slot:?} must be a known kind and a known slot"),
                );
            }
        }
        match ports.into_iter().flatten().find(|port| !port.contains("{p}")) {
            Some(port) => self.wrong("wan.bind", format!("{port:?} must contain {{p}} for the port number")),
            None => Ok(()),
        }
    }

    fn wifi(&self) -> Result<(), ProfileError> {
        let Some(wifi) = &self.profile.wifi else { return Ok(()) };
        wifi.list.iter().try_for_each(|path| self.object("wifi", path))?;
        self.slots("wifi", &wifi.slots)?;
        self.settings("wifi", &wifi.slots, &wifi.phases)?;
        if wifi.slots.get(&wifi.anchor).is_none_or(|slot| slot.table.is_none()) {
            return self.wrong("wifi", format!("anchor {:?} must be a slot with a table", wifi.anchor));
        }
        if let Some(leaf) = wifi.band.iter().find(|leaf| leaf.slot != wifi.anchor) {
            return self.wrong("wifi.band", format!("`{leaf}` must be in the anchor {:?}", wifi.anchor));
        }
        let words = |at: &str, found: BTreeSet<&String>, allowed: &[&str]| match found
            .into_iter()
            .find(|word| !allowed.contains(&word.as_str()))
        {
            Some(word) => self.wrong(at, format!("{word:?} is none of {}", allowed.join(", "))),
            None => Ok(()),
        };
        words("wifi.bands", wifi.bands.keys().collect(), &["2.4GHz", "5GHz"])?;
        words("wifi.fallback", wifi.fallback.keys().collect(), &["2.4GHz", "5GHz"])?;
        words("wifi.security", wifi.security.keys().collect(), &["open", "wpa2", "mixed"])
    }

    fn capability(&self, name: CapabilityName, capability: &Capability) -> Result<(), ProfileError> {
        let at = format!("capabilities.{}", name.as_str());
        if capability.paths.is_empty() != capability.rpc.is_some() {
            return self.wrong(at, "needs either `paths` or `rpc`");
        }
        capability.paths.iter().try_for_each(|path| self.node(&at, path))?;
        if capability.source.trim().is_empty() {
            return self.wrong(at, "`source` must say where it is known from");
        }
        let optical = matches!(name, CapabilityName::OpticalRx | CapabilityName::OpticalTx);
        if optical != capability.unit.is_some() {
            return self.wrong(at, "`unit` belongs to optical_rx and optical_tx, and they need one");
        }
        Ok(())
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
