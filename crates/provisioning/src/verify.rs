//! Is it in force? Written is not enough, and read back is not enough for a WAN: it must carry.

use crate::{
    Effect, Evidence, Intents, InternetMode, Layer, Proof, Reason,
    detect::{FoundWan, usable_address},
    plan::{LayerPlan, same},
    sentences,
    work::Work,
};
use profiles::cpe::CpeProfile;

/// The look at a layer whose plan is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Check {
    /// As wanted, with proof.
    InForce,
    /// It may still come up.
    NotYet(Reason),
    /// It did not, in its time.
    Failed(Reason),
}

impl Work<'_> {
    /// The internet WAN does what the intent says, as read in this session.
    pub(crate) fn in_force(&self, profile: &CpeProfile, intents: &Intents, plan: &LayerPlan) -> bool {
        let Some(intent) = &intents.internet else { return true };
        let mode = profile.wan.modes.get(intent.mode.as_str());
        match &plan.wan {
            // Every WAN of the service reads disabled, or was never built: nothing can pass.
            _ if intent.suspended => plan.steps.is_empty(),
            // A bridge has no address of its own: enabled, VLAN and binding as wanted is all there is to see.
            Some(wan) if mode.is_some_and(|mode| !mode.addressed) => wan.enabled,
            Some(wan) => wan.carries_traffic(),
            None => false,
        }
    }

    pub(crate) fn check(
        &mut self,
        profile: &CpeProfile,
        layer: Layer,
        intents: &Intents,
        plan: &LayerPlan,
    ) -> Check {
        if layer != Layer::Internet {
            return Check::InForce;
        }
        let policy = self.context.policy.clone();
        let just_written = self.session().written.contains(Layer::Internet.as_str());
        let needs_connection = intents.internet.as_ref().is_some_and(|intent| {
            !intent.suspended
                && profile.wan.modes.get(intent.mode.as_str()).is_some_and(|mode| mode.addressed)
        });
        // Values read before the last write say nothing about it.
        if (!just_written || !needs_connection) && self.in_force(profile, intents, plan) {
            return Check::InForce;
        }
        let now = self.now;
        let run = self.run();
        let since = run.last_write_at.unwrap_or(run.began_at);
        if !just_written && run.next_check_at.is_none_or(|at| at <= now) {
            run.checks += 1;
            run.next_check_at = None;
        }
        let checks = run.checks;
        if checks >= policy.verify_checks && now >= since.plus_s(policy.verify_grace_s) {
            let why = self.why_not(intents, plan, checks);
            let waits = profile.write.wan_needs_restart;
            return Check::Failed(if waits { sentences::needs_restart(why) } else { why });
        }
        let next_at = *self.run().next_check_at.get_or_insert(now.plus_s(policy.verify_delay_s));
        let status = match &plan.wan {
            _ if just_written => None,
            Some(wan) => Some(describe(wan)),
            None => Some("missing".to_owned()),
        };
        let until = since.plus_s(policy.verify_grace_s);
        let looks = sentences::Looks { done: checks, next_at, wanted: policy.verify_checks, until };
        Check::NotYet(sentences::verifying(status.as_deref(), &looks, now))
    }

    fn why_not(&mut self, intents: &Intents, plan: &LayerPlan, checks: u32) -> Reason {
        let mode = intents.internet.as_ref().map(|intent| &intent.mode);
        let Some(wan) = &plan.wan else { return sentences::not_verified("the WAN is not on the device") };
        let refused = wan.error.to_ascii_uppercase().contains("AUTHENTICATION");
        match mode {
            Some(InternetMode::Pppoe { username, .. }) if refused && !wan.connected => {
                // The password the device has is not the one it should have, or the BRAS does not know it: it is
                // written again next time.
                if let Some(record) = self.device.layers.get_mut(&Layer::Internet) {
                    record.secrets.clear();
                }
                sentences::pppoe_refused(username, &wan.error, checks)
            }
            Some(mode) if wan.connected && !usable_address(&wan.address) => {
                sentences::no_address(if mode.as_str() == "pppoe" { "PPPoE" } else { mode.as_str() }, checks)
            }
            _ => {
                let error = if wan.error.is_empty() { "no error told" } else { wan.error.as_str() };
                let status = if wan.status.is_empty() { "without status" } else { wan.status.as_str() };
                sentences::not_connected(status, error, checks)
            }
        }
    }

    /// Records a layer as applied and in force, with the evidence. Returns it in words.
    pub(crate) fn layer_verified(&mut self, layer: Layer, plan: &LayerPlan) -> String {
        let (key, now) = (self.context.fingerprint_key.clone(), self.now);
        let intents = self.context.intents.clone().unwrap_or_default();
        let carrying = plan.wan.as_ref().filter(|wan| wan.carries_traffic());
        for item in &plan.wanted {
            let observed = self.session().tree.value(&item.path).map(str::to_owned);
            let (observed, verified, proof) = match (&item.secret, carrying) {
                (Some(_), Some(_)) if layer == Layer::Internet => {
                    ("not readable; the connection is up with it".to_owned(), true, Proof::Effect)
                }
                (Some(_), _) => ("not readable; accepted by the device".to_owned(), true, Proof::Accepted),
                (None, _) => {
                    let observed = observed.unwrap_or_default();
                    let met = same(item.kind, &observed, item.value.expose());
                    (observed, met, if met { Proof::ReadBack } else { Proof::Missing })
                }
            };
            self.effect(Effect::RecordEvidence(Evidence {
                layer,
                setting: item.label.clone(),
                path: item.path.clone(),
                wanted: item.value.masked(),
                observed,
                verified,
                proof,
            }));
            if let Some((name, print)) = &item.secret {
                self.device.layers.entry(layer).or_default().secrets.insert(name.clone(), print.clone());
            }
        }
        for what in &plan.left_out {
            self.effect(Effect::RecordEvidence(Evidence {
                layer,
                setting: what.clone(),
                path: String::new(),
                wanted: "set".into(),
                observed: "this device does not have it".into(),
                verified: false,
                proof: Proof::Missing,
            }));
        }
        let suspended = intents.internet.as_ref().is_some_and(|intent| intent.suspended);
        let mut words = match layer {
            Layer::Internet if suspended => format!("{} switched off", layer.title()),
            Layer::Core | Layer::Internet | Layer::Access | Layer::Extras => layer.title().to_owned(),
        };
        if let (Layer::Internet, Some(wan)) = (layer, carrying) {
            for (setting, observed) in
                [("Connection status", &wan.status), ("External address", &wan.address)]
            {
                self.effect(Effect::RecordEvidence(Evidence {
                    layer,
                    setting: setting.to_owned(),
                    path: wan.anchor.clone(),
                    wanted: if setting == "Connection status" { "connected" } else { "a usable address" }
                        .into(),
                    observed: observed.clone(),
                    verified: true,
                    proof: Proof::Effect,
                }));
            }
            words = format!("{words} {} {}", wan.status, wan.address);
        }
        let hash = intents.layer_hash(layer, &key);
        let record = self.device.layers.entry(layer).or_default();
        record.applied_hash = hash;
        record.applied_version = intents.version;
        record.applied_at = Some(now);
        record.verified_at = Some(now);
        record.drifted = false;
        record.summary.clone_from(&words);
        words
    }
}

fn describe(wan: &FoundWan) -> String {
    match (wan.connected, wan.error.as_str()) {
        (true, _) if !usable_address(&wan.address) => format!("{} without an address", wan.status),
        (_, "" | "ERROR_NONE") => wan.status.clone(),
        (_, error) => format!("{} ({error})", wan.status),
    }
}
