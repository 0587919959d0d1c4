//! Profiles and configuration as text.

use super::{Answer, ont_of};
use crate::olt::{
    commands::Cmd,
    grammar::Args,
    machine::{Ctx, failure},
    state::*,
    text::rule,
};
use types::PonPath;

pub(super) fn run(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    let config = &ctx.olt.state.config;
    match cmd {
        Cmd::DisplayTr069All => tr069_all(config),
        Cmd::DisplayTr069One => tr069_one(config, args),
        Cmd::DisplayTr069Bound => tr069_bound(config, args),
        Cmd::DisplayLineProfiles => Ok(names(
            config
                .line_profiles
                .iter()
                .map(|(id, p)| (*id, p.name.as_str(), config.line_profile_bindings(*id))),
        )),
        Cmd::DisplaySrvProfiles => Ok(names(
            config
                .srv_profiles
                .iter()
                .map(|(id, p)| (*id, p.name.as_str(), config.srv_profile_bindings(*id))),
        )),
        Cmd::DisplayLineProfile => line_profile(config, args),
        Cmd::DisplaySrvProfile => srv_profile(config, args),
        Cmd::DisplayDba => dba(config, args),
        Cmd::DisplayTraffic => traffic(config, args),
        Cmd::DisplayOntConfig => {
            let (pon, id, _) = ont_of(ctx, args)?;
            Ok(ont_config(&ctx.olt.state.config, pon, id))
        }
        Cmd::DisplayConfig => Ok(whole(config)),
        other => unreachable!("{other:?} is not shown here"),
    }
}

fn names<'a>(rows: impl Iterator<Item = (u32, &'a str, usize)>) -> Vec<String> {
    let mut lines = vec![
        rule(77),
        "  Profile-ID  Profile-name                                Binding times".to_owned(),
        rule(77),
    ];
    let mut total = 0;
    for (id, name, bindings) in rows {
        total += 1;
        lines.push(format!("  {id:<11} {name:<43} {bindings}"));
    }
    lines.push(rule(77));
    lines.push(format!("  Total: {total}"));
    lines
}

/// The part of a line profile that `display ont info` repeats.
pub(super) fn line_body(line: &LineProfile) -> Vec<String> {
    let on = |on: bool| if on { "Enable" } else { "Disable" };
    let mut lines = vec![
        "  FEC upstream switch :Disable".to_owned(),
        "  OMCC encrypt switch :Off".to_owned(),
        "  Qos mode            :PQ".to_owned(),
        "  Mapping mode        :VLAN".to_owned(),
        format!("  TR069 management    :{}", on(line.tr069)),
        format!("  TR069 IP index      :{}", line.tr069_ip_index),
        rule(77),
        "  Notes: * indicates Discrete TCONT(TCONT Unbound)".to_owned(),
        rule(77),
    ];
    for (tcont, dba) in &line.tconts {
        lines.push(format!("  <T-CONT  {tcont:>2}>          DBA Profile-ID:{dba}"));
        for (index, gem) in line.gems.iter().filter(|(_, gem)| gem.tcont == *tcont) {
            lines.extend([
                format!("   <Gem Index {index}>"),
                "   --------------------------------------------------------------------".to_owned(),
                "   |Serv-Type:ETH |Encrypt:off |Cascade:off |GEM-CAR:-            |".to_owned(),
                "   |Upstream-priority-queue:0  |Downstream-priority-queue:-       |".to_owned(),
                "   --------------------------------------------------------------------".to_owned(),
                "    Mapping VLAN  Priority Port   Port  Bundle  Flow  Transparent".to_owned(),
                "    index                  type   ID    ID      CAR".to_owned(),
                "   --------------------------------------------------------------------".to_owned(),
            ]);
            for (mapping, vlan) in &gem.mappings {
                lines.push(format!("    {mapping:<7} {vlan:<5} -        -      -     -       -     -"));
            }
            lines.push("   --------------------------------------------------------------------".to_owned());
        }
    }
    lines
}

/// The part of a service profile that `display ont info` repeats.
pub(super) fn srv_body(srv: &SrvProfile) -> Vec<String> {
    let count = |count: PortCount| match count {
        PortCount::Adaptive => "adaptive".to_owned(),
        PortCount::Fixed(n) => n.to_string(),
    };
    vec![
        "  Port-type     Port-number".to_owned(),
        rule(77),
        format!("  POTS          {}", count(srv.pots)),
        format!("  ETH           {}", count(srv.eth)),
        "  TDM           0".to_owned(),
        "  MOCA          0".to_owned(),
        "  CATV          0".to_owned(),
        rule(77),
        "  TDM port type                     : E1".to_owned(),
        "  TDM service type                  : TDMoGem".to_owned(),
        "  MAC learning function switch      : Enable".to_owned(),
        "  ONT transparent function switch   : Disable".to_owned(),
        "  Multicast forward mode            : Unconcern".to_owned(),
        "  Native VLAN option                : Concern".to_owned(),
    ]
}

fn by_id_or_name<'a, P>(
    profiles: &'a std::collections::BTreeMap<u32, P>,
    args: &Args,
    name: impl Fn(&P) -> &str,
) -> Option<(u32, &'a P)> {
    let id: Option<u32> = args.number("n");
    profiles
        .iter()
        .find(|(i, profile)| Some(**i) == id || args.text("name") == Some(name(profile)))
        .map(|(i, profile)| (*i, profile))
}

fn line_profile(config: &Config, args: &Args) -> Answer {
    let Some((id, line)) = by_id_or_name(&config.line_profiles, args, |p| &p.name) else {
        return failure("The ont-lineprofile does not exist");
    };
    let mut lines = vec![
        rule(77),
        format!("  Profile-ID          :{id}"),
        format!("  Profile-name        :{}", line.name),
        "  Access-type         :GPON".to_owned(),
        rule(77),
    ];
    lines.extend(line_body(line));
    lines.push(rule(77));
    lines.push(format!("  Binding times       :{}", config.line_profile_bindings(id)));
    lines.push(rule(77));
    Ok(lines)
}

fn srv_profile(config: &Config, args: &Args) -> Answer {
    let Some((id, srv)) = by_id_or_name(&config.srv_profiles, args, |p| &p.name) else {
        return failure("The ont-srvprofile does not exist");
    };
    let mut lines = vec![
        rule(77),
        format!("  Profile-ID  : {id}"),
        format!("  Profile-name: {}", srv.name),
        "  Access-type : GPON".to_owned(),
        rule(77),
    ];
    lines.extend(srv_body(srv));
    lines.push(rule(77));
    lines.push(format!("  Binding times               : {}", config.srv_profile_bindings(id)));
    lines.push(rule(77));
    Ok(lines)
}

fn dba(config: &Config, args: &Args) -> Answer {
    let only: Option<u32> = args.number("n");
    if only.is_some_and(|id| !config.dba_profiles.contains_key(&id)) {
        return failure("The DBA profile does not exist");
    }
    let mut lines = vec![
        rule(76),
        "  Profile-ID   type   Bandwidth      Fix        Assure        Max        Bind".to_owned(),
        "                     compensation    (kbps)     (kbps)        (kbps)     times".to_owned(),
        rule(76),
    ];
    for (id, p) in config.dba_profiles.iter().filter(|(id, _)| only.is_none_or(|only| only == **id)) {
        let bound =
            config.line_profiles.values().filter(|line| line.tconts.values().any(|d| d == id)).count();
        lines.push(format!(
            "  {id:>10} {:>6}           No {:>10} {:>10} {:>13} {bound:>9}",
            p.kind, p.fix_kbps, p.assure_kbps, p.max_kbps
        ));
    }
    lines.push(rule(76));
    Ok(lines)
}

fn traffic(config: &Config, args: &Args) -> Answer {
    let (only, from): (Option<u32>, Option<u32>) = (args.number("n"), args.number("from"));
    let rows: Vec<_> = config
        .traffic_tables
        .iter()
        .filter(|(id, _)| only.is_none_or(|o| o == **id) && from.is_none_or(|f| **id >= f))
        .collect();
    if rows.is_empty() {
        return failure("The traffic table does not exist");
    }
    let rate = |rate: Option<u32>| rate.map_or_else(|| "off".to_owned(), |rate| rate.to_string());
    let mut lines = vec![
        rule(76),
        "  TID CIR(kbps) CBS(bytes) PIR(kbps) PBS(bytes) Pri Copy-policy     Pri-Policy".to_owned(),
        rule(76),
    ];
    for (id, table) in &rows {
        lines.push(format!(
            "  {id:>3} {:>9} {:>10} {:>9} {:>10} {:>3} -               tag-pri",
            rate(table.cir_kbps),
            rate(table.cir_kbps.map(|cir| cir.saturating_mul(32).saturating_add(2_000))),
            rate(table.pir_kbps),
            rate(table.pir_kbps.map(|pir| pir.saturating_mul(32).saturating_add(2_000))),
            table.priority
        ));
    }
    lines.extend([rule(76), format!("  Total Num : {}", rows.len())]);
    Ok(lines)
}

fn tr069_all(config: &Config) -> Answer {
    if config.tr069_profiles.is_empty() {
        return failure("The TR069 server profile does not exist");
    }
    let mut lines =
        vec![rule(77), "  Profile-ID  Profile-name                     Binding times".to_owned(), rule(77)];
    for (id, profile) in &config.tr069_profiles {
        lines.push(format!("  {id:<11} {:<32} {}", profile.name, bound_to(config, *id).len()));
    }
    lines.push(rule(77));
    Ok(lines)
}

fn tr069_one(config: &Config, args: &Args) -> Answer {
    let id: u32 = args.number("n").unwrap_or(0);
    let Some(profile) = config.tr069_profiles.get(&id) else {
        return failure("The TR069 server profile does not exist");
    };
    let dash = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    Ok(vec![
        rule(77),
        format!("  Profile-ID    : {id}"),
        format!("  Profile-name  : {}", profile.name),
        format!("  URL           : {}", profile.url),
        format!("  User name     : {}", dash(&profile.user)),
        format!("  Password      : {}", if profile.password.is_empty() { "-" } else { "******" }),
        "  Realm         : -".to_owned(),
        format!("  Binding times : {}", bound_to(config, id).len()),
        rule(77),
    ])
}

fn bound_to(config: &Config, id: u32) -> Vec<(PonPath, u8)> {
    config
        .onts
        .iter()
        .flat_map(|(pon, onts)| onts.iter().map(|(ont_id, ont)| (*pon, *ont_id, ont)))
        .filter(|(.., ont)| ont.tr069_profile == Some(id))
        .map(|(pon, ont_id, _)| (pon, ont_id))
        .collect()
}

fn tr069_bound(config: &Config, args: &Args) -> Answer {
    let id: u32 = args.number("n").unwrap_or(0);
    let Some(profile) = config.tr069_profiles.get(&id) else {
        return failure("The TR069 server profile does not exist");
    };
    let bound = bound_to(config, id);
    let mut lines = vec![
        rule(77),
        format!("  Profile-ID    : {id}"),
        format!("  Profile-name  : {}", profile.name),
        rule(77),
        "  F/S/P       ONT ID".to_owned(),
        rule(77),
    ];
    for (pon, ont) in &bound {
        lines.push(format!("  {:<11} {ont}", pon.to_string()));
    }
    lines.extend([rule(77), format!("  Total: {}", bound.len()), rule(77)]);
    Ok(lines)
}

fn ont_lines(port: u8, id: u8, ont: &Ont) -> Vec<String> {
    let mut lines = vec![format!(
        " ont add {port} {id} sn-auth \"{}\" omci ont-lineprofile-id {} ont-srvprofile-id {} desc \"{}\"",
        ont.serial.hex16(),
        ont.line_profile,
        ont.srv_profile,
        if ont.description.is_empty() { "ONT_NO_DESCRIPTION" } else { &ont.description }
    )];
    for (index, host) in &ont.ip_hosts {
        lines.push(match &host.config {
            IpConfig::Dhcp => format!(
                " ont ipconfig {port} {id} ip-index {index} dhcp vlan {} priority {}",
                host.vlan, host.priority
            ),
            IpConfig::Static { ip, mask, gateway } => format!(
                " ont ipconfig {port} {id} ip-index {index} static ip-address {ip} mask {mask}{} vlan {} \
                 priority {}",
                gateway.map(|gateway| format!(" gateway {gateway}")).unwrap_or_default(),
                host.vlan,
                host.priority
            ),
            IpConfig::Pppoe { user } => format!(
                " ont ipconfig {port} {id} ip-index {index} pppoe vlan {} priority {} user-account username \
                 \"{user}\" password ******",
                host.vlan, host.priority
            ),
        });
    }
    if let Some(profile) = ont.tr069_profile {
        lines.push(format!(" ont tr069-server-config {port} {id} profile-id {profile}"));
    }
    for (eth, (vlan, priority)) in &ont.native_vlans {
        lines.push(format!(" ont port native-vlan {port} {id} eth {eth} vlan {vlan} priority {priority}"));
    }
    if !ont.active {
        lines.push(format!(" ont deactivate {port} {id}"));
    }
    lines
}

fn service_port_line(index: u32, sp: &ServicePort) -> String {
    let side = if sp.untagged { Some("untagged".to_owned()) } else { sp.user_vlan.map(|v| v.to_string()) };
    let user = side.map_or_else(String::new, |side| {
        format!(" multi-service user-vlan {side} tag-transform {}", sp.tag_transform)
    });
    let rate = |name: &str, table: Option<u32>| {
        table.map_or_else(String::new, |table| format!(" {name} traffic-table index {table}"))
    };
    format!(
        " service-port {index} vlan {} gpon {} ont {} gemport {}{user}{}{}",
        sp.vlan,
        sp.pon,
        sp.ont,
        sp.gem,
        rate("inbound", sp.rx_table),
        rate("outbound", sp.tx_table)
    )
}

fn ont_config(config: &Config, pon: PonPath, id: u8) -> Vec<String> {
    let mut lines = vec![
        format!(" [{}: 0]", "MA5800V100R021"),
        " #".to_owned(),
        " [gpon]".to_owned(),
        format!("  <gpon-{}/{}>", pon.frame, pon.slot),
        format!(" interface gpon {}/{}", pon.frame, pon.slot),
    ];
    if let Some(ont) = config.ont(pon, id) {
        lines.extend(ont_lines(pon.port, id, ont));
    }
    lines.extend([" #".to_owned(), " [bbs-config]".to_owned(), "  <bbs-config>".to_owned()]);
    for (index, sp) in config.service_ports.iter().filter(|(_, sp)| sp.pon == pon && sp.ont == id) {
        lines.push(service_port_line(*index, sp));
    }
    lines.extend([" #".to_owned(), " return".to_owned()]);
    lines
}

fn whole(config: &Config) -> Vec<String> {
    let mut lines = vec![
        " [global-config]".to_owned(),
        "  <global-config>".to_owned(),
        format!(" sysname {}", config.sysname),
        " #".to_owned(),
        " [vlan-config]".to_owned(),
        "  <vlan-config>".to_owned(),
    ];
    for (id, vlan) in &config.vlans {
        lines.push(format!(" vlan {id} {}", vlan.kind));
        if !vlan.description.is_empty() {
            lines.push(format!(" vlan desc {id} description \"{}\"", vlan.description));
        }
        for uplink in &vlan.uplinks {
            lines.push(format!(" port vlan {id} {uplink}"));
        }
    }
    for (pon, onts) in &config.onts {
        lines.extend([
            " #".to_owned(),
            format!("  <gpon-{}/{}>", pon.frame, pon.slot),
            format!(" interface gpon {}/{}", pon.frame, pon.slot),
        ]);
        for (id, ont) in onts {
            lines.extend(ont_lines(pon.port, *id, ont));
        }
    }
    lines.extend([" #".to_owned(), " [bbs-config]".to_owned(), "  <bbs-config>".to_owned()]);
    for (index, sp) in &config.service_ports {
        lines.push(service_port_line(*index, sp));
    }
    lines.extend([" #".to_owned(), " return".to_owned()]);
    lines
}
