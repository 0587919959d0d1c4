//! The box itself: version, boards, VLANs, service ports, MAC addresses.

use super::{Answer, ont_of};
use crate::olt::{
    commands::Cmd,
    grammar::Args,
    machine::{Ctx, failure},
    spec::Model,
    state::*,
    text::{huawei_mac, rule, spaced, stamp},
};
use types::PonPath;

pub(super) fn run(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    match cmd {
        Cmd::DisplayVersion => Ok(version(ctx)),
        Cmd::DisplayBoards => Ok(boards(ctx)),
        Cmd::DisplayBoard => board(ctx, args),
        Cmd::DisplayTime => Ok(vec![format!("  {}", stamp(ctx.now))]),
        Cmd::DisplayServices => Ok(services(ctx)),
        Cmd::DisplayVlans => Ok(vlans(ctx)),
        Cmd::DisplayVlan => vlan(ctx, args),
        Cmd::DisplayServicePorts => service_ports(ctx, args),
        Cmd::DisplayServicePort => service_port(ctx, args),
        Cmd::DisplayMac => mac_addresses(ctx, args),
        other => unreachable!("{other:?} is not shown here"),
    }
}

fn version(ctx: &Ctx<'_>) -> Vec<String> {
    let state = &ctx.olt.state;
    let (version, product) = (state.model.version(), state.model.product());
    let up = ctx.now.since(state.booted_at).as_secs();
    let patch = match state.model {
        Model::Ma5800X7 => "SPH205 HP2056",
        Model::Ma5608t => "SPH218 HP2228",
    };
    let area = |name: &str| {
        vec![
            String::new(),
            format!("  {name} Mainboard Running Area Information: "),
            rule(50),
            "  Current Program Area : Area A ".to_owned(),
            "  Current Data Area : Area A".to_owned(),
            String::new(),
            format!("  Program Area A Version : {version} "),
            format!("  Program Area B Version : {version}"),
            String::new(),
            format!("  Data Area A Version : {version} "),
            format!("  Data Area B Version : {version} "),
            rule(50),
        ]
    };
    let mut lines = vec![
        String::new(),
        format!("  VERSION : {version}"),
        format!("  PATCH   : {patch}"),
        format!("  PRODUCT : {product}"),
    ];
    lines.extend(area("Active"));
    if state.boards.values().any(|board| board.status == "Standby_normal") {
        lines.extend(area("Standby"));
    }
    lines.push(String::new());
    lines.push(format!(
        "  Uptime is {} day(s), {} hour(s), {} minute(s), {} second(s)",
        up / 86_400,
        up / 3_600 % 24,
        up / 60 % 60,
        up % 60
    ));
    lines
}

fn boards(ctx: &Ctx<'_>) -> Vec<String> {
    let last = match ctx.olt.state.model {
        Model::Ma5800X7 => 11,
        Model::Ma5608t => 5,
    };
    let mut lines = vec![
        rule(73),
        "  SlotID  BoardName  Status          SubType0 SubType1    Online/Offline".to_owned(),
        rule(73),
    ];
    for slot in 0..=last {
        lines.push(match ctx.olt.state.boards.get(&slot) {
            Some(board) => format!("  {slot:<8}{:<11}{}", board.name, board.status),
            None => format!("  {slot}"),
        });
    }
    lines.push(rule(73));
    lines
}

fn board(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let slot = args.text("fs").and_then(|fs| fs.split('/').nth(1)?.parse::<u8>().ok());
    let Some((slot, board)) = slot.and_then(|s| Some((s, ctx.olt.state.boards.get(&s)?))) else {
        return failure("The board does not exist");
    };
    let mut lines = vec![
        rule(39),
        format!("  Board Name          : {}", board.name),
        format!("  Board Status        : {}", board.status),
        rule(39),
    ];
    if board.pon_ports == 0 {
        return Ok(lines);
    }
    lines.extend([
        rule(61),
        "    Port   Port   min-distance   max-distance   Optical-module".to_owned(),
        "           type       (km)           (km)           status".to_owned(),
        rule(61),
    ]);
    for port in 0..board.pon_ports {
        lines.push(format!("  {port:>3}     GPON        0              20             Online"));
    }
    lines.push(rule(61));
    for port in 0..board.pon_ports {
        let pon = PonPath { frame: 0, slot, port };
        if ctx.olt.state.config.onts.get(&pon).is_some_and(|onts| !onts.is_empty()) {
            lines.extend(super::show_ont::table(ctx, pon));
        }
    }
    Ok(lines)
}

fn services(ctx: &Ctx<'_>) -> Vec<String> {
    let listen = &ctx.olt.spec.listen;
    let on = |on: bool| if on { "enable" } else { "disable" };
    let mut lines = vec![
        rule(75),
        "  Network service                                   Port           State".to_owned(),
        rule(75),
    ];
    for (name, port, state) in [
        ("telnet", "23", on(listen.telnet.is_some())),
        ("trace", "1026", "disable"),
        ("ssh", "22", on(listen.ssh.is_some())),
        ("snmp", "161", on(listen.snmp.is_some())),
        ("ftp-client", "----", "----"),
        ("sftp-client", "----", "----"),
        ("ntp", "123", "enable"),
        ("netconf", "830", "disable"),
    ] {
        lines.push(format!("  {name:<50}{port:<15}{state}"));
    }
    lines.push(rule(75));
    lines
}

fn vlans(ctx: &Ctx<'_>) -> Vec<String> {
    let config = &ctx.olt.state.config;
    let mut lines = vec![
        rule(75),
        "  VLAN   Type     Attribute  STND-Port NUM   SERV-Port NUM  VLAN-Con NUM".to_owned(),
        rule(75),
    ];
    for (id, vlan) in &config.vlans {
        let ports = config.service_ports.values().filter(|sp| sp.vlan == *id).count();
        lines.push(format!(
            "  {id:>4}   {:<8} common     {:>13} {ports:>15}             -",
            vlan.kind,
            vlan.uplinks.len()
        ));
    }
    lines.push(rule(75));
    lines.push(format!("  Total: {}", config.vlans.len()));
    lines
}

fn vlan(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let id: u16 = args.number("v").unwrap_or(0);
    let config = &ctx.olt.state.config;
    let Some(vlan) = config.vlans.get(&id) else {
        return failure("The VLAN does not exist");
    };
    let ports = config.service_ports.values().filter(|sp| sp.vlan == id).count();
    let mut lines = vec![
        format!("  VLAN ID: {id}"),
        format!("  VLAN name: VLAN_{id:04}"),
        format!("  VLAN type: {}", vlan.kind),
        "  VLAN attribute: common".to_owned(),
        format!("  VLAN description: {}", vlan.description),
        "  VLAN forwarding mode in control board: VLAN-MAC".to_owned(),
        "  VLAN forwarding mode: VLAN-MAC".to_owned(),
        "  VLAN broadcast packet forwarding policy: forward".to_owned(),
        "  VLAN unknown multicast packet forwarding policy: forward".to_owned(),
        "  VLAN unknown unicast packet forwarding policy: forward".to_owned(),
        "  VLAN bind service profile ID: -".to_owned(),
        "  VLAN bind RAIO profile index: -".to_owned(),
        "  VLAN priority: -".to_owned(),
        format!("  Standard port number: {}", vlan.uplinks.len()),
        format!("  Service virtual port number: {ports}"),
    ];
    for uplink in &vlan.uplinks {
        lines.push(format!("  Standard port: {uplink}"));
    }
    Ok(lines)
}

fn is_up(ctx: &Ctx<'_>, sp: &ServicePort) -> bool {
    ctx.olt.state.config.ont(sp.pon, sp.ont).is_some_and(|ont| ctx.olt.state.is_online(ont.serial))
}

fn service_ports(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let (pon, ont, gem, vlan): (Option<PonPath>, Option<u8>, Option<u16>, Option<u16>) =
        (args.parsed("fsp"), args.number("o"), args.number("g"), args.number("v"));
    let rows: Vec<(&u32, &ServicePort)> = ctx
        .olt
        .state
        .config
        .service_ports
        .iter()
        .filter(|(_, sp)| {
            pon.is_none_or(|p| p == sp.pon)
                && ont.is_none_or(|o| o == sp.ont)
                && gem.is_none_or(|g| g == sp.gem)
                && vlan.is_none_or(|v| v == sp.vlan)
        })
        .collect();
    if rows.is_empty() {
        return failure("No service virtual port can be operated");
    }
    let mut lines = vec![
        "  Switch-Oriented Flow List".to_owned(),
        rule(77),
        "   INDEX VLAN VLAN     PORT F/ S/ P VPI  VCI   FLOW  FLOW       RX   TX   STATE".to_owned(),
        "         ID   ATTR     TYPE                    TYPE  PARA".to_owned(),
        rule(77),
    ];
    let dash = |table: Option<u32>| table.map_or_else(|| "-".to_owned(), |index| index.to_string());
    let mut up = 0;
    for (index, sp) in &rows {
        let is_up = is_up(ctx, sp);
        up += usize::from(is_up);
        lines.push(format!(
            "  {index:>6} {:>4} common   gpon {:<8} {:<4} {:<5} vlan  {:<10} {:<4} {:<4} {:<5}",
            sp.vlan,
            format!("{}/{} /{}", sp.pon.frame, sp.pon.slot, sp.pon.port),
            sp.ont,
            sp.gem,
            sp.flow_parameter(),
            dash(sp.rx_table),
            dash(sp.tx_table),
            if is_up { "up" } else { "down" },
        ));
    }
    lines.push(rule(77));
    lines.push(format!("   Total : {}  (Up/Down :    {up}/{})", rows.len(), rows.len() - up));
    if pon.is_none() && vlan.is_none() {
        lines.extend(
            [
                "   Note : F--Frame, S--Slot, P--Port,",
                "          VPI indicates ONT ID for PON, VCI indicates GEM index for GPON,",
                "          v/e--vlan/encap, pritag--priority-tagged,",
                "          ppp--pppoe, ip--ipoe, ip4--ipv4oe, ip6--ipv6oe, vxl--vxlan.",
            ]
            .map(str::to_owned),
        );
    }
    Ok(lines)
}

fn service_port(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let index: u32 = args.number("i").unwrap_or(u32::MAX);
    let Some(sp) = ctx.olt.state.config.service_ports.get(&index) else {
        return failure("The service virtual port does not exist");
    };
    let dash = |table: Option<u32>| table.map_or_else(|| "-".to_owned(), |index| index.to_string());
    let state = if is_up(ctx, sp) { "up" } else { "down" };
    Ok(vec![
        rule(60),
        format!("  Index             : {index}"),
        format!("  VLAN ID           : {}", sp.vlan),
        "  VLAN attr         : common".to_owned(),
        "  Port type         : gpon".to_owned(),
        format!("  F/S/P             : {}", sp.pon),
        format!("  ONT ID            : {}", sp.ont),
        format!("  GEM port index    : {}", sp.gem),
        "  Flow type         : vlan".to_owned(),
        format!("  Flow para         : {}", sp.flow_parameter()),
        format!("  RX                : {}", dash(sp.rx_table)),
        format!("  TX                : {}", dash(sp.tx_table)),
        "  Admin status      : enable".to_owned(),
        format!("  State             : {state}"),
        format!("  Tag transforms    : {}", sp.tag_transform),
        "  Description       : -".to_owned(),
        rule(60),
    ])
}

fn mac_addresses(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let (pon, id, serial) = ont_of(ctx, args)?;
    let state = &ctx.olt.state;
    let rows: Vec<String> = match state.plant.onus.get(&serial) {
        Some(onu) if state.is_online(serial) => state
            .config
            .service_ports
            .iter()
            .filter(|(_, sp)| sp.pon == pon && sp.ont == id)
            .map(|(index, sp)| {
                format!(
                    "  {index:>7} gpon {} dynamic {} {id:>4} {:>5} {:>7}",
                    huawei_mac(onu.mac).to_lowercase(),
                    spaced(pon),
                    sp.gem,
                    sp.vlan
                )
            })
            .collect(),
        _ => Vec::new(),
    };
    if rows.is_empty() {
        return failure("The MAC address does not exist");
    }
    let mut lines = vec![
        rule(77),
        "  SRV-P   BUN- TYPE MAC            MAC     F /S /P  VPI  VCI   VLAN ID".to_owned(),
        rule(77),
    ];
    let total = rows.len();
    lines.extend(rows);
    lines.push(rule(77));
    lines.push(format!("  Total: {total}"));
    Ok(lines)
}
