//! Service ports and VLANs.

use super::{Answer, ont_of};
use crate::olt::{
    commands::Cmd,
    grammar::Args,
    machine::{Ctx, Failure, failure},
    record::Effect,
    state::*,
};
use std::collections::BTreeSet;
use types::PonPath;

pub(super) fn run(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    match cmd {
        Cmd::ServicePort => add(ctx, args),
        Cmd::ServicePortRate => rate(ctx, args),
        Cmd::UndoServicePort => {
            let index: u32 = args.number("i").unwrap_or(u32::MAX);
            if ctx.olt.state.config.service_ports.remove(&index).is_none() {
                return failure("The service virtual port does not exist");
            }
            ctx.effects.push(Effect::ServicePortDeleted { index });
            Ok(Vec::new())
        }
        Cmd::UndoServicePortRange => undo_range(ctx, args),
        Cmd::VlanAdd => vlan_add(ctx, args),
        Cmd::UndoVlan => {
            let id: u16 = args.number("v").unwrap_or(0);
            let config = &mut ctx.olt.state.config;
            if config.service_ports.values().any(|sp| sp.vlan == id) {
                return failure("The VLAN has some service virtual ports");
            }
            if id == 1 || config.vlans.remove(&id).is_none() {
                return failure("The VLAN does not exist");
            }
            ctx.effects.push(Effect::ConfigChanged { what: format!("vlan {id}") });
            Ok(Vec::new())
        }
        Cmd::VlanDesc => with_vlan(ctx, args, |vlan| {
            args.text("text").unwrap_or_default().clone_into(&mut vlan.description);
        }),
        Cmd::PortVlan => {
            let uplink =
                format!("{} {}", args.text("fs").unwrap_or_default(), args.text("p").unwrap_or_default());
            with_vlan(ctx, args, |vlan| {
                vlan.uplinks.insert(uplink);
            })
        }
        other => unreachable!("{other:?} is no service command"),
    }
}

fn with_vlan(ctx: &mut Ctx<'_>, args: &Args, apply: impl FnOnce(&mut Vlan)) -> Answer {
    let id: u16 = args.number("v").unwrap_or(0);
    let Some(vlan) = ctx.olt.state.config.vlans.get_mut(&id) else {
        return failure("The VLAN does not exist");
    };
    apply(vlan);
    ctx.effects.push(Effect::ConfigChanged { what: format!("vlan {id}") });
    Ok(Vec::new())
}

fn tables(ctx: &Ctx<'_>, args: &Args) -> Result<(Option<u32>, Option<u32>), Failure> {
    let (rx, tx): (Option<u32>, Option<u32>) = (args.number("rx"), args.number("tx"));
    let known = &ctx.olt.state.config.traffic_tables;
    if [rx, tx].into_iter().flatten().any(|index| !known.contains_key(&index)) {
        return failure("The traffic table does not exist");
    }
    Ok((rx, tx))
}

fn add(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let vlan: u16 = args.number("v").unwrap_or(0);
    if !ctx.olt.state.config.vlans.contains_key(&vlan) {
        return failure("The VLAN does not exist");
    }
    let (pon, ont, _) = ont_of(ctx, args)?;
    let gem: u16 = args.number("g").unwrap_or(u16::MAX);
    let (rx_table, tx_table) = tables(ctx, args)?;
    let config = &ctx.olt.state.config;
    let has_gem = config
        .ont(pon, ont)
        .and_then(|ont| config.line_profiles.get(&ont.line_profile))
        .is_some_and(|line| line.gems.contains_key(&gem));
    if !has_gem {
        return failure("The GEM port does not exist");
    }
    let user_vlan: Option<u16> = args.number("uv");
    let untagged = args.text("ut").is_some();
    let wanted: Option<u32> = args.number("i");
    let conflict = config
        .service_ports
        .iter()
        .find(|(index, sp)| {
            Some(**index) == wanted
                || (sp.pon == pon
                    && sp.ont == ont
                    && sp.gem == gem
                    && sp.user_vlan == user_vlan
                    && sp.untagged == untagged)
        })
        .map(|(index, _)| *index);
    if let Some(index) = conflict {
        return failure(format!(
            "The service virtual port has existed already. Conflicted service virtual port index: {index}"
        ));
    }
    let index = wanted.unwrap_or_else(|| config.free_service_port());
    ctx.olt.state.config.service_ports.insert(
        index,
        ServicePort {
            vlan,
            pon,
            ont,
            gem,
            user_vlan,
            untagged,
            tag_transform: args.text("tt").unwrap_or("translate").to_owned(),
            rx_table,
            tx_table,
        },
    );
    ctx.effects.push(Effect::ServicePortAdded { index, pon, ont, vlan });
    Ok(Vec::new())
}

fn rate(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let index: u32 = args.number("i").unwrap_or(u32::MAX);
    let (rx, tx) = tables(ctx, args)?;
    let Some(sp) = ctx.olt.state.config.service_ports.get_mut(&index) else {
        return failure("The service virtual port does not exist");
    };
    sp.rx_table = rx.or(sp.rx_table);
    sp.tx_table = tx.or(sp.tx_table);
    ctx.effects.push(Effect::ServicePortChanged { index });
    Ok(Vec::new())
}

fn undo_range(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let (vlan, pon, ont, gem): (Option<u16>, Option<PonPath>, Option<u8>, Option<u16>) =
        (args.number("v"), args.parsed("fsp"), args.number("o"), args.number("g"));
    let hits: Vec<u32> = ctx
        .olt
        .state
        .config
        .service_ports
        .iter()
        .filter(|(_, sp)| {
            vlan.is_none_or(|v| v == sp.vlan)
                && pon.is_none_or(|p| p == sp.pon)
                && ont.is_none_or(|o| o == sp.ont)
                && gem.is_none_or(|g| g == sp.gem)
        })
        .map(|(index, _)| *index)
        .collect();
    if hits.is_empty() {
        return failure("No service virtual port can be operated");
    }
    for index in &hits {
        ctx.olt.state.config.service_ports.remove(index);
        ctx.effects.push(Effect::ServicePortDeleted { index: *index });
    }
    let n = hits.len();
    Ok(vec![
        "  The number of total service virtual port in this".to_owned(),
        format!("  operation:       {n}"),
        "  Deleting start...".to_owned(),
        String::new(),
        "  Deleting end:".to_owned(),
        "  The number of total service virtual port which need be".to_owned(),
        format!("  deleted:   {n}"),
        "  The number of total service virtual port which have been".to_owned(),
        format!("  deleted: {n}"),
    ])
}

fn vlan_add(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let first: u16 = args.number("v").unwrap_or(0);
    let last: u16 = args.number("to").unwrap_or(first);
    if last < first {
        return failure("The end VLAN ID is smaller than the start VLAN ID");
    }
    let vlans = &mut ctx.olt.state.config.vlans;
    if first == last && vlans.contains_key(&first) {
        return failure("The VLAN has existed already");
    }
    for id in first..=last {
        vlans.entry(id).or_insert_with(|| Vlan {
            kind: args.text("kind").unwrap_or("smart").to_owned(),
            description: String::new(),
            uplinks: BTreeSet::new(),
        });
    }
    ctx.effects.push(Effect::ConfigChanged { what: format!("vlan {first}") });
    Ok(Vec::new())
}
