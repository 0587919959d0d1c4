//! Profiles: DBA, traffic tables, TR-069 servers, ONT line and service profiles.

use super::Answer;
use crate::olt::{
    commands::Cmd,
    grammar::Args,
    machine::{Ctx, failure},
    record::Effect,
    session::View,
    state::*,
};
use types::Secret;

pub(super) fn run(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    match cmd {
        Cmd::DbaAdd => dba_add(ctx, args),
        Cmd::TrafficAdd => traffic_add(ctx, args),
        Cmd::UndoTraffic => {
            let id: u32 = args.number("n").unwrap_or(u32::MAX);
            let config = &mut ctx.olt.state.config;
            let used =
                config.service_ports.values().any(|sp| sp.rx_table == Some(id) || sp.tx_table == Some(id));
            if used {
                return failure("The traffic table is being used");
            }
            if config.traffic_tables.remove(&id).is_none() {
                return failure("The traffic table does not exist");
            }
            changed(ctx, "traffic table")
        }
        Cmd::Tr069Add => tr069_add(ctx, args),
        Cmd::Tr069Modify => tr069_modify(ctx, args),
        Cmd::UndoTr069 => {
            let id: u32 = args.number("n").unwrap_or(0);
            let config = &mut ctx.olt.state.config;
            let bound =
                config.onts.values().flat_map(|onts| onts.values()).any(|o| o.tr069_profile == Some(id));
            if bound {
                return failure("The TR069 server profile has been bound");
            }
            if config.tr069_profiles.remove(&id).is_none() {
                return failure("The TR069 server profile does not exist");
            }
            changed(ctx, "tr069-server-profile")
        }
        Cmd::LineProfile => open_line(ctx, args),
        Cmd::SrvProfile => open_srv(ctx, args),
        Cmd::UndoLineProfile => {
            let id: u32 = args.number("n").unwrap_or(0);
            let config = &mut ctx.olt.state.config;
            if config.line_profile_bindings(id) > 0 {
                return failure("The ont-lineprofile has been bound");
            }
            if id == 0 || config.line_profiles.remove(&id).is_none() {
                return failure("The ont-lineprofile does not exist");
            }
            changed(ctx, "ont-lineprofile")
        }
        Cmd::UndoSrvProfile => {
            let id: u32 = args.number("n").unwrap_or(0);
            let config = &mut ctx.olt.state.config;
            if config.srv_profile_bindings(id) > 0 {
                return failure("The ont-srvprofile has been bound");
            }
            if id == 0 || config.srv_profiles.remove(&id).is_none() {
                return failure("The ont-srvprofile does not exist");
            }
            changed(ctx, "ont-srvprofile")
        }
        Cmd::Tcont
        | Cmd::GemAdd
        | Cmd::UndoGem
        | Cmd::GemMapping
        | Cmd::Tr069Management
        | Cmd::Tr069IpIndex => edit_line(ctx, cmd, args),
        Cmd::OntPort => edit_srv(ctx, args),
        Cmd::Commit => commit(ctx),
        other => unreachable!("{other:?} is no profile command"),
    }
}

fn changed(ctx: &mut Ctx<'_>, what: &str) -> Answer {
    ctx.effects.push(Effect::ConfigChanged { what: what.to_owned() });
    Ok(Vec::new())
}

fn free(used: impl Fn(u32) -> bool, first: u32) -> u32 {
    (first..u32::MAX).find(|id| !used(*id)).unwrap_or(u32::MAX)
}

fn dba_add(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let profiles = &mut ctx.olt.state.config.dba_profiles;
    let id = args.number("n").unwrap_or_else(|| free(|id| profiles.contains_key(&id), 10));
    if profiles.contains_key(&id) {
        return failure("The DBA profile has existed already");
    }
    let (fix, assure, max): (Option<u32>, Option<u32>, Option<u32>) =
        (args.number("fix"), args.number("assure"), args.number("max"));
    let kind = match (fix, assure, max) {
        (Some(_), ..) => 1,
        (None, Some(_), None) => 2,
        (None, Some(_), Some(_)) => 3,
        _ => 4,
    };
    profiles.insert(
        id,
        DbaProfile {
            name: args.text("name").map_or_else(|| format!("dba-profile_{id}"), str::to_owned),
            kind,
            fix_kbps: fix.unwrap_or(0),
            assure_kbps: assure.unwrap_or(0),
            max_kbps: max.unwrap_or(0),
        },
    );
    ctx.effects.push(Effect::ConfigChanged { what: format!("dba-profile {id}") });
    Ok(vec![
        "  Adding a DBA profile succeeded".to_owned(),
        format!("  Profile ID   : {id}"),
        format!("  Profile name : {}", args.text("name").unwrap_or(&format!("dba-profile_{id}"))),
    ])
}

fn traffic_add(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let tables = &mut ctx.olt.state.config.traffic_tables;
    let id = args.number("n").unwrap_or_else(|| free(|id| tables.contains_key(&id), 7));
    if tables.contains_key(&id) {
        return failure("The traffic table has existed already");
    }
    let cir_kbps: Option<u32> = args.number("cir");
    let pir_kbps = args.number("pir").or(cir_kbps.map(|cir| cir * 2));
    let priority = args.number("pr").unwrap_or(0);
    let name = args.text("name").map_or_else(|| format!("ip-traffic-table_{id}"), str::to_owned);
    tables.insert(id, TrafficTable { name: name.clone(), cir_kbps, pir_kbps, priority });
    ctx.effects.push(Effect::ConfigChanged { what: format!("traffic table {id}") });
    let kbps = |rate: Option<u32>| rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate} kbps"));
    Ok(vec![
        "  Create traffic descriptor record successfully".to_owned(),
        "  ------------------------------------------------".to_owned(),
        format!("  TD Index              : {id}"),
        format!("  TD Name               : {name}"),
        format!("  Priority              : {priority}"),
        format!("  CIR                   : {}", kbps(cir_kbps)),
        format!("  PIR                   : {}", kbps(pir_kbps)),
        "  Referenced Status     : not used".to_owned(),
        "  ------------------------------------------------".to_owned(),
    ])
}

fn tr069_add(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let profiles = &mut ctx.olt.state.config.tr069_profiles;
    let id = args.number("n").unwrap_or_else(|| free(|id| profiles.contains_key(&id), 1));
    if profiles.contains_key(&id) {
        return failure("The TR069 server profile has existed already");
    }
    let name = args.text("name").map_or_else(|| format!("tr069-server-profile_{id}"), str::to_owned);
    if profiles.values().any(|profile| profile.name == name) {
        return failure("The profile name has existed already");
    }
    profiles.insert(
        id,
        Tr069Profile {
            name,
            url: args.text("url").unwrap_or_default().to_owned(),
            user: args.text("user").unwrap_or_default().to_owned(),
            password: Secret::new(args.text("pw").unwrap_or_default()),
        },
    );
    changed(ctx, "tr069-server-profile")
}

fn tr069_modify(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let id: u32 = args.number("n").unwrap_or(0);
    let Some(profile) = ctx.olt.state.config.tr069_profiles.get_mut(&id) else {
        return failure("The TR069 server profile does not exist");
    };
    if let Some(url) = args.text("url") {
        url.clone_into(&mut profile.url);
    }
    if let (Some(user), Some(password)) = (args.text("user"), args.text("pw")) {
        user.clone_into(&mut profile.user);
        profile.password = Secret::new(password);
    }
    changed(ctx, "tr069-server-profile")
}

fn open_line(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let id: u32 = args.number("n").unwrap_or(0);
    let config = &mut ctx.olt.state.config;
    let created = !config.line_profiles.contains_key(&id);
    let profile = config.line_profiles.entry(id).or_insert_with(|| LineProfile {
        name: args.text("name").map_or_else(|| format!("line-profile_{id}"), str::to_owned),
        tconts: [(0, 1)].into(),
        ..LineProfile::default()
    });
    ctx.session.line_draft = profile.clone();
    ctx.session.view = View::LineProfile { id };
    if created {
        ctx.effects.push(Effect::ConfigChanged { what: format!("ont-lineprofile {id}") });
    }
    Ok(Vec::new())
}

fn open_srv(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let id: u32 = args.number("n").unwrap_or(0);
    let config = &mut ctx.olt.state.config;
    let created = !config.srv_profiles.contains_key(&id);
    let profile = config.srv_profiles.entry(id).or_insert_with(|| SrvProfile {
        name: args.text("name").map_or_else(|| format!("srv-profile_{id}"), str::to_owned),
        eth: PortCount::Fixed(0),
        pots: PortCount::Fixed(0),
    });
    ctx.session.srv_draft = Some(profile.clone());
    ctx.session.view = View::SrvProfile { id };
    if created {
        ctx.effects.push(Effect::ConfigChanged { what: format!("ont-srvprofile {id}") });
    }
    Ok(Vec::new())
}

/// Edits the draft: nothing of it counts before `commit`.
fn edit_line(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    let dba: Option<u32> = args.number("d");
    if dba.is_some_and(|id| !ctx.olt.state.config.dba_profiles.contains_key(&id)) {
        return failure("The DBA profile does not exist");
    }
    let draft = &mut ctx.session.line_draft;
    let gem: u16 = args.number("g").unwrap_or(0);
    match cmd {
        Cmd::Tcont => {
            draft.tconts.insert(args.number("t").unwrap_or(0), dba.unwrap_or(1));
        }
        Cmd::GemAdd => {
            let tcont: u8 = args.number("t").unwrap_or(0);
            if !draft.tconts.contains_key(&tcont) {
                return failure("The T-CONT does not exist");
            }
            if draft.gems.contains_key(&gem) {
                return failure("The GEM port has existed already");
            }
            draft.gems.insert(gem, Gem { tcont, mappings: Default::default() });
        }
        Cmd::UndoGem => {
            if draft.gems.remove(&gem).is_none() {
                return failure("The GEM port does not exist");
            }
        }
        Cmd::GemMapping => {
            let (Some(index), Some(vlan)) = (args.number("m"), args.number("v")) else {
                return failure("Parameter error");
            };
            let Some(gem) = draft.gems.get_mut(&gem) else {
                return failure("The GEM port does not exist");
            };
            if gem.mappings.contains_key(&index) {
                return failure("The mapping index has existed already");
            }
            gem.mappings.insert(index, vlan);
        }
        Cmd::Tr069Management => draft.tr069 = args.text("state") == Some("enable"),
        _ => draft.tr069_ip_index = args.number("i").unwrap_or(0),
    }
    Ok(Vec::new())
}

fn edit_srv(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let count = |name| args.number(name).map_or(PortCount::Adaptive, PortCount::Fixed);
    if let Some(draft) = &mut ctx.session.srv_draft {
        draft.eth = count("eth");
        draft.pots = count("pots");
    }
    Ok(Vec::new())
}

fn commit(ctx: &mut Ctx<'_>) -> Answer {
    match ctx.session.view {
        View::LineProfile { id } => {
            let draft = ctx.session.line_draft.clone();
            let config = &mut ctx.olt.state.config;
            let lost = config.service_ports.values().any(|sp| {
                config.ont(sp.pon, sp.ont).is_some_and(|ont| ont.line_profile == id)
                    && !draft.gems.contains_key(&sp.gem)
            });
            if lost {
                return failure("The GEM port is used by service virtual port");
            }
            config.line_profiles.insert(id, draft);
            changed(ctx, "ont-lineprofile commit")
        }
        View::SrvProfile { id } => {
            if let Some(draft) = ctx.session.srv_draft.clone() {
                ctx.olt.state.config.srv_profiles.insert(id, draft);
            }
            changed(ctx, "ont-srvprofile commit")
        }
        View::User | View::Enable | View::Config | View::Gpon { .. } => Ok(Vec::new()),
    }
}
