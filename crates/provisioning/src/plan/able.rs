//! What a family of CPEs cannot be told, as far as its profile says it, before any device is asked.

use super::VLAN_ON_WAN;
use crate::{
    AccessIntent,
    intent::{InternetIntent, InternetMode, Ipv6Mode},
};
use profiles::cpe::{Condition, CpeProfile, Variable};

/// What of an Internet intent this family cannot carry out: the field of the intent, and what is missing in words. A VLAN
/// is wanted of the router only where the OLT does not tag for it.
pub fn internet_gaps(profile: &CpeProfile, intent: &InternetIntent) -> Vec<(&'static str, String)> {
    let wan = &profile.wan;
    let Some(mode) = wan.modes.get(intent.mode.as_str()) else {
        return vec![("mode", format!("a {} WAN", intent.mode.as_str()))];
    };
    let settings = || mode.phases.iter().flat_map(|phase| &phase.settings);
    let writes = |variable: Variable| settings().any(|setting| setting.variable() == Some(variable));
    let mut gaps = Vec::new();
    if intent.vlan.is_some_and(|vlan| vlan != 0) && !writes(Variable::Vlan) {
        gaps.push(("vlan", VLAN_ON_WAN.to_owned()));
    }
    if !intent.bind.is_empty()
        && wan.bind.is_none()
        && !wan.policy_route.as_ref().is_some_and(|route| route.binds)
    {
        gaps.push(("bind", "binding ports to the WAN".to_owned()));
    }
    if intent.policy_routes && wan.policy_route.is_none() {
        gaps.push(("policy_routes", "policy routes".to_owned()));
    }
    let knows_ipv6 = || settings().any(|setting| setting.when == Some(Condition::Ipv6));
    if intent.ipv6 == Ipv6Mode::On && !writes(Variable::Ipv6) && !knows_ipv6() {
        gaps.push(("ipv6", "IPv6 on the WAN".to_owned()));
    }
    if intent.mtu.is_some() && !writes(Variable::Mtu) {
        gaps.push(("mtu", "the largest packet of the WAN".to_owned()));
    }
    if !intent.nat && !matches!(intent.mode, InternetMode::Bridge) && !writes(Variable::Nat) {
        gaps.push(("nat", "switching NAT off".to_owned()));
    }
    gaps
}

/// The same of an Access intent.
pub fn access_gaps(profile: &CpeProfile, intent: &AccessIntent) -> Vec<(&'static str, String)> {
    let lan = (intent.lan.is_some() && profile.lan.is_none()).then(|| ("lan", "LAN settings".to_owned()));
    lan.into_iter().collect()
}
