//! Registering, changing and removing ONTs.

use super::{Answer, ont_of, port_of};
use crate::olt::{
    commands::Cmd,
    grammar::Args,
    machine::{Ctx, Failure, failure},
    record::Effect,
    state::*,
};
use types::Serial;

/// ONTs a GPON port takes.
const ONTS_PER_PORT: usize = 128;

pub(super) fn run(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    match cmd {
        Cmd::OntAdd | Cmd::OntConfirm => add(ctx, cmd, args),
        Cmd::OntDelete => delete(ctx, args),
        Cmd::OntModify => modify(ctx, args),
        Cmd::OntActivate => activate(ctx, args, true),
        Cmd::OntDeactivate => activate(ctx, args, false),
        Cmd::OntReset => reset(ctx, args, "ONT is reset by ONT command"),
        Cmd::OntReRegister => reset(ctx, args, "re-register"),
        Cmd::OntNativeVlan => native_vlan(ctx, args),
        Cmd::OntIpconfig => {
            let config = match args.parsed("ip") {
                Some(ip) => IpConfig::Static {
                    ip,
                    mask: args.parsed("mask").unwrap_or(ctx.olt.spec.pool.mask),
                    gateway: args.parsed("gw"),
                },
                None => IpConfig::Dhcp,
            };
            ipconfig(ctx, args, config)
        }
        Cmd::OntIpconfigPppoe => {
            let (.., serial) = ont_of(ctx, args)?;
            ctx.effects.push(Effect::InternetByOmci { serial });
            let user = args.text("user").unwrap_or_default().to_owned();
            ipconfig(ctx, args, IpConfig::Pppoe { user })
        }
        Cmd::UndoOntIpconfig => undo_ipconfig(ctx, args),
        Cmd::OntInternetConfig => change(ctx, args, |ont, serial| {
            ont.internet_by_omci = true;
            Effect::InternetByOmci { serial }
        }),
        Cmd::OntTr069 => {
            let profile: u32 = args.number("n").unwrap_or(0);
            if !ctx.olt.state.config.tr069_profiles.contains_key(&profile) {
                return failure("The TR069 server profile does not exist");
            }
            change(ctx, args, |ont, serial| {
                ont.tr069_profile = Some(profile);
                Effect::Tr069Changed { serial, profile: Some(profile) }
            })
        }
        Cmd::UndoOntTr069 => {
            let (pon, id, _) = ont_of(ctx, args)?;
            if ctx.olt.state.config.ont(pon, id).is_some_and(|ont| ont.tr069_profile.is_none()) {
                return failure("The ONT is not bound to a TR069 server profile");
            }
            change(ctx, args, |ont, serial| {
                ont.tr069_profile = None;
                Effect::Tr069Changed { serial, profile: None }
            })
        }
        Cmd::PortAutofind | Cmd::Shutdown | Cmd::UndoShutdown => port_switch(ctx, cmd, args),
        other => unreachable!("{other:?} is no ONT command"),
    }
}

fn change(ctx: &mut Ctx<'_>, args: &Args, apply: impl FnOnce(&mut Ont, Serial) -> Effect) -> Answer {
    let (pon, id, serial) = ont_of(ctx, args)?;
    if let Some(ont) = ctx.olt.state.config.ont_mut(pon, id) {
        let effect = apply(ont, serial);
        ctx.effects.push(effect);
    }
    Ok(Vec::new())
}

/// A profile named by id or by name.
fn profile_id<'a, P: 'a>(
    args: &Args,
    by_id: &str,
    by_name: &str,
    profiles: impl Iterator<Item = (&'a u32, &'a P)>,
    name: impl Fn(&P) -> &str,
) -> Option<u32> {
    let wanted: Option<u32> = args.number(by_id);
    let named = args.text(by_name);
    let mut profiles = profiles;
    profiles.find(|(id, profile)| Some(**id) == wanted || Some(name(profile)) == named).map(|(id, _)| *id)
}

fn add(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    let pon = port_of(ctx, args)?;
    let config = &ctx.olt.state.config;
    let Some(line) = profile_id(args, "lp", "lpn", config.line_profiles.iter(), |p| &p.name) else {
        return failure("The ont-lineprofile does not exist");
    };
    let Some(srv) = profile_id(args, "sp", "spn", config.srv_profiles.iter(), |p| &p.name) else {
        return failure("The ont-srvprofile does not exist");
    };
    let Some(serial) = args.parsed::<Serial>("sn") else {
        return failure("The SN is invalid");
    };
    if config.find(serial).is_some() {
        return failure("SN already exists");
    }
    if cmd == Cmd::OntConfirm && !listed(ctx, serial, pon) {
        return failure("The automatically found ONTs do not exist");
    }
    let config = &ctx.olt.state.config;
    let wanted: Option<u8> = args.number("o");
    if wanted.is_some_and(|id| config.ont(pon, id).is_some()) {
        return failure("The ONT ID has already existed");
    }
    if config.onts.get(&pon).is_some_and(|onts| onts.len() >= ONTS_PER_PORT) {
        return failure("The number of ONTs on the port has reached the upper limit");
    }
    let Some(id) = wanted.or_else(|| config.free_ont_id(pon)) else {
        return failure("The number of ONTs on the port has reached the upper limit");
    };
    ctx.olt.state.config.onts.entry(pon).or_default().insert(
        id,
        Ont {
            serial,
            line_profile: line,
            srv_profile: srv,
            description: args.text("desc").unwrap_or_default().to_owned(),
            active: true,
            ip_hosts: Default::default(),
            tr069_profile: None,
            native_vlans: Default::default(),
            internet_by_omci: false,
        },
    );
    ctx.effects.push(Effect::OntAdded { serial, pon, ont: id });
    if ctx.olt.spec.quirks.silent_ont_add {
        return Ok(Vec::new());
    }
    Ok(vec![
        "  Number of ONTs that can be added: 1, success: 1".to_owned(),
        format!("  PortID :{}, ONTID :{id}", pon.port),
    ])
}

fn listed(ctx: &Ctx<'_>, serial: Serial, pon: types::PonPath) -> bool {
    let plant = &ctx.olt.state.plant;
    plant.autofind.get(&serial).is_some_and(|found| found.announced)
        && plant.onus.get(&serial).is_some_and(|onu| onu.pon == Some(pon))
}

fn delete(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let (pon, id, serial) = ont_of(ctx, args)?;
    if !ctx.olt.state.config.service_ports_of(pon, id).is_empty() {
        return failure("This configured object has some service virtual ports");
    }
    let onts = ctx.olt.state.config.onts.entry(pon).or_default();
    onts.remove(&id);
    if onts.is_empty() {
        ctx.olt.state.config.onts.remove(&pon);
    }
    ctx.effects.push(Effect::OntDeleted { serial, pon, ont: id });
    Ok(vec!["  Number of ONTs that can be deleted: 1, success: 1".to_owned()])
}

fn modify(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let (pon, id, serial) = ont_of(ctx, args)?;
    let config = &ctx.olt.state.config;
    let line: Option<u32> = args.number("lp");
    let srv: Option<u32> = args.number("sp");
    let description = args.text("desc");
    if line.is_none() && srv.is_none() && description.is_none() {
        return failure("No parameter is modified");
    }
    if let Some(line) = line {
        let Some(profile) = config.line_profiles.get(&line) else {
            return failure("The ont-lineprofile does not exist");
        };
        let lost = config
            .service_ports_of(pon, id)
            .iter()
            .filter_map(|index| config.service_ports.get(index))
            .any(|sp| !profile.gems.contains_key(&sp.gem));
        if lost {
            return failure("The GEM port is used by service virtual port");
        }
    }
    if srv.is_some_and(|srv| !config.srv_profiles.contains_key(&srv)) {
        return failure("The ont-srvprofile does not exist");
    }
    if let Some(ont) = ctx.olt.state.config.ont_mut(pon, id) {
        ont.line_profile = line.unwrap_or(ont.line_profile);
        ont.srv_profile = srv.unwrap_or(ont.srv_profile);
        if let Some(description) = description {
            description.clone_into(&mut ont.description);
        }
    }
    ctx.effects.push(Effect::OntChanged { serial, what: "modify".to_owned() });
    Ok(Vec::new())
}

fn activate(ctx: &mut Ctx<'_>, args: &Args, on: bool) -> Answer {
    let (pon, id, serial) = ont_of(ctx, args)?;
    if ctx.olt.state.config.ont(pon, id).is_some_and(|ont| ont.active == on) {
        return failure("Make configuration repeatedly");
    }
    if !on && let Some(link) = ctx.olt.state.plant.links.get_mut(&serial) {
        link.pending_cause = Some("deactive".to_owned());
    }
    change(ctx, args, |ont, serial| {
        ont.active = on;
        let what = if on { "activate" } else { "deactivate" };
        Effect::OntChanged { serial, what: what.to_owned() }
    })
}

fn reset(ctx: &mut Ctx<'_>, args: &Args, cause: &str) -> Answer {
    let (.., serial) = ont_of(ctx, args)?;
    if !ctx.olt.state.is_online(serial) {
        return failure("The ONT is not online");
    }
    let now = ctx.now;
    ctx.olt.reset_onu(serial, cause, now);
    ctx.effects.push(Effect::OntReset { serial });
    Ok(Vec::new())
}

fn native_vlan(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let (Some(port), Some(vlan)) = (args.number::<u8>("n"), args.number::<u16>("v")) else {
        return failure("Parameter error");
    };
    let priority = args.number("pr").unwrap_or(0);
    change(ctx, args, |ont, serial| {
        ont.native_vlans.insert(port, (vlan, priority));
        Effect::OntChanged { serial, what: "native-vlan".to_owned() }
    })
}

fn ipconfig(ctx: &mut Ctx<'_>, args: &Args, config: IpConfig) -> Answer {
    let ip_index: u8 = args.number("i").unwrap_or(0);
    let Some(vlan) = args.number("v") else {
        return Err(Failure("Parameter error".to_owned()));
    };
    let host = IpHost { config, vlan, priority: args.number("pr").unwrap_or(0) };
    change(ctx, args, |ont, serial| {
        ont.ip_hosts.insert(ip_index, host);
        Effect::IpConfigChanged { serial, ip_index, present: true }
    })
}

fn undo_ipconfig(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let ip_index: u8 = args.number("i").unwrap_or(0);
    let (pon, id, _) = ont_of(ctx, args)?;
    if ctx.olt.state.config.ont(pon, id).is_some_and(|ont| !ont.ip_hosts.contains_key(&ip_index)) {
        return failure("The IP host of the ONT does not exist");
    }
    change(ctx, args, |ont, serial| {
        ont.ip_hosts.remove(&ip_index);
        Effect::IpConfigChanged { serial, ip_index, present: false }
    })
}

fn port_switch(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    let pon = port_of(ctx, args)?;
    let port = ctx.olt.state.config.ports.entry(pon).or_default();
    let before = port.clone();
    match cmd {
        Cmd::PortAutofind => port.autofind = args.text("state") == Some("enable"),
        Cmd::Shutdown => port.shutdown = true,
        _ => port.shutdown = false,
    }
    if *port == before {
        return failure("Make configuration repeatedly");
    }
    ctx.effects.push(Effect::ConfigChanged { what: format!("port {pon}") });
    Ok(Vec::new())
}
