//! The configuration an engineer left on the box, so that a demo starts where a real network does.

use super::{spec::Preset, state::*};
use std::collections::{BTreeMap, BTreeSet};

/// Fills a fresh configuration: the box's own default profiles, and on a provisioned one VLANs, line profile 10
/// (GEM 1 internet, GEM 2 management, TR-069 on), service profiles 10 (adaptive) and 20 (one Ethernet port, no
/// telephone: a mismatch for most ONUs), traffic tables and TR-069 server profile 1.
pub(crate) fn fill(config: &mut Config, preset: &Preset) {
    let dba = |name: &str, kind, fix_kbps, assure_kbps, max_kbps| DbaProfile {
        name: name.to_owned(),
        kind,
        fix_kbps,
        assure_kbps,
        max_kbps,
    };
    config.dba_profiles.extend([
        (0, dba("dba-profile_0", 3, 0, 8_192, 20_480)),
        (1, dba("dba-profile_1", 1, 5_120, 0, 0)),
        (2, dba("dba-profile_2", 1, 1_024, 0, 0)),
        (3, dba("dba-profile_3", 4, 0, 0, 32_768)),
    ]);
    config.line_profiles.insert(
        0,
        LineProfile {
            name: "line-profile_default_0".to_owned(),
            tconts: [(0, 1)].into(),
            ..LineProfile::default()
        },
    );
    let srv = |name: &str, eth, pots| SrvProfile { name: name.to_owned(), eth, pots };
    config.srv_profiles.insert(0, srv("srv-profile_default_0", PortCount::Fixed(0), PortCount::Fixed(0)));
    let vlan = |kind: &str, description: &str| Vlan {
        kind: kind.to_owned(),
        description: description.to_owned(),
        uplinks: BTreeSet::new(),
    };
    config.vlans.insert(1, vlan("standard", ""));
    if !preset.provisioned {
        return;
    }
    for (id, description) in [(preset.internet_vlan, "INTERNET"), (preset.management_vlan, "ONU-MGMT")] {
        let mut entry = vlan("smart", description);
        entry.uplinks.insert("0/8 0".to_owned());
        config.vlans.insert(id, entry);
    }
    config.dba_profiles.insert(10, dba("INTERNET", 4, 0, 0, 1_024_000));
    config.dba_profiles.insert(11, dba("MGMT", 3, 0, 1_024, 8_192));
    let gem = |tcont, vlan| Gem { tcont, mappings: BTreeMap::from([(0, vlan)]) };
    config.line_profiles.insert(
        10,
        LineProfile {
            name: "HSI-TR069".to_owned(),
            tconts: [(0, 1), (1, 10), (2, 11)].into(),
            gems: [(1, gem(1, preset.internet_vlan)), (2, gem(2, preset.management_vlan))].into(),
            tr069: true,
            tr069_ip_index: 0,
        },
    );
    config.srv_profiles.insert(10, srv("ADAPTIVE", PortCount::Adaptive, PortCount::Adaptive));
    config.srv_profiles.insert(20, srv("BRIDGE-1GE", PortCount::Fixed(1), PortCount::Fixed(0)));
    for (id, mbps) in [(10u32, 10u32), (50, 50), (100, 100), (300, 300), (1000, 1000)] {
        config.traffic_tables.insert(
            id,
            TrafficTable {
                name: format!("PLAN-{mbps}M"),
                cir_kbps: Some(mbps * 1_024),
                pir_kbps: Some(mbps * 1_024 * 2),
                priority: 0,
            },
        );
    }
    if !preset.acs_url.is_empty() {
        config.tr069_profiles.insert(
            1,
            Tr069Profile {
                name: "LIGHTKEEPER".to_owned(),
                url: preset.acs_url.clone(),
                user: preset.acs_user.clone(),
                password: preset.acs_password.clone(),
            },
        );
    }
}
