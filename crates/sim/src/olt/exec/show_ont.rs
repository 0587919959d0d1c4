//! ONTs: autofind, states, optics, versions, WANs.

use super::{Answer, ont_of, port_of};
use crate::olt::{
    commands::Cmd,
    grammar::Args,
    machine::{Ctx, failure},
    spec::Model,
    state::*,
    text::{dbm, folded_field, huawei_mac, rule, short_stamp, spaced, stamp, stamp_or_dash},
};
use types::{PonPath, Serial};

pub(super) fn run(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    match cmd {
        Cmd::DisplayAutofind => autofind(ctx, args),
        Cmd::DisplayOntList => list(ctx, args),
        Cmd::DisplayOntInfo => {
            let (pon, id, _) = ont_of(ctx, args)?;
            Ok(detail(ctx, pon, id))
        }
        Cmd::DisplayOntBySn => {
            let place = args
                .parsed::<Serial>("sn")
                .and_then(|serial| ctx.olt.state.config.find(serial))
                .map(|(pon, id, _)| (pon, id));
            match place {
                Some((pon, id)) => Ok(detail(ctx, pon, id)),
                None => failure("The required ONT does not exist"),
            }
        }
        Cmd::DisplayOntSummary => summary(ctx, args),
        Cmd::DisplayOptical => optical(ctx, args),
        Cmd::DisplayOntVersion => version(ctx, args),
        Cmd::DisplayIpconfig => ipconfig(ctx, args),
        Cmd::DisplayWanInfo => wan_info(ctx, args),
        Cmd::DisplayPortState => port_state(ctx, args),
        Cmd::DisplayTr069Config => tr069_config(ctx, args),
        other => unreachable!("{other:?} is not shown here"),
    }
}

fn sn_both(serial: Serial) -> String {
    format!("{} ({serial})", serial.hex16())
}

fn autofind(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let only = if args.text("p").is_some() { Some(port_of(ctx, args)?) } else { None };
    let plant = &ctx.olt.state.plant;
    let old = ctx.olt.state.model == Model::Ma5608t;
    let mut found: Vec<(PonPath, Found, &Onu)> = plant
        .autofind
        .iter()
        .filter(|(_, found)| found.announced)
        .filter_map(|(serial, found)| {
            let onu = plant.onus.get(serial)?;
            Some((onu.pon?, *found, onu))
        })
        .filter(|(pon, ..)| only.is_none_or(|only| only == *pon))
        .collect();
    found.sort_by_key(|(pon, found, onu)| (*pon, found.at, onu.serial));
    if found.is_empty() {
        return failure("The automatically found ONTs do not exist");
    }
    let dashes = format!("   {}", "-".repeat(76));
    let mut lines = vec![dashes.clone()];
    for (number, (pon, found, onu)) in found.iter().enumerate() {
        let serial = onu.serial;
        let vendor = serial.vendor().map_or_else(|| serial.hex16()[..8].to_owned(), str::to_owned);
        let mut fields = vec![
            ("Number", (number + 1).to_string()),
            ("F/S/P", pon.to_string()),
            ("Ont SN", sn_both(serial)),
            ("Password", "0x00000000000000000000".to_owned()),
            ("Loid", String::new()),
            ("Checkcode", String::new()),
            ("VendorID", vendor),
            ("Ont Version", onu.hardware_version.clone()),
            ("Ont SoftwareVersion", onu.software_version.clone()),
            ("Ont EquipmentID", onu.equipment_id.clone()),
        ];
        if !old {
            fields.push(("Ont Customized Info", "COMMON".to_owned()));
            fields.push(("Ont MAC", huawei_mac(onu.mac)));
            fields.push(("Ont Equipment SN", onu.equipment_serial.clone()));
        }
        fields.push(("Ont autofind time", stamp(found.at)));
        if !old {
            fields.push(("Multi channel", "-".to_owned()));
        }
        lines.extend(fields.into_iter().map(|(key, value)| format!("   {key:<20}: {value}")));
        lines.push(dashes.clone());
    }
    if !ctx.olt.spec.quirks.short_autofind {
        lines.push(format!("   The number of GPON autofind ONT is {}", found.len()));
    }
    Ok(lines)
}

/// The words of the state columns.
struct States {
    control: &'static str,
    run: &'static str,
    config: &'static str,
    matched: &'static str,
}

fn states(ctx: &Ctx<'_>, ont: &Ont) -> States {
    let state = &ctx.olt.state;
    let online = state.is_online(ont.serial);
    let fits = state.matches_profile(ont);
    States {
        control: if ont.active { "active" } else { "deactivated" },
        run: if online { "online" } else { "offline" },
        config: match (online, fits) {
            (false, _) => "initial",
            (true, true) => "normal",
            (true, false) => "failed",
        },
        matched: match (online, fits) {
            (false, _) => "initial",
            (true, true) => "match",
            (true, false) => "mismatch",
        },
    }
}

fn description(ont: &Ont) -> &str {
    if ont.description.is_empty() { "ONT_NO_DESCRIPTION" } else { &ont.description }
}

/// The two tables of one port with its closing count.
pub(super) fn table(ctx: &Ctx<'_>, pon: PonPath) -> Vec<String> {
    let Some(onts) = ctx.olt.state.config.onts.get(&pon) else { return Vec::new() };
    let at = spaced(pon);
    let mut lines = vec![
        rule(77),
        "  F/S/P   ONT         SN         Control     Run      Config   Match    Protect".to_owned(),
        "          ID                     flag        state    state    state    side".to_owned(),
        rule(77),
    ];
    let mut online = 0;
    for (id, ont) in onts {
        let s = states(ctx, ont);
        online += usize::from(s.run == "online");
        lines.push(format!(
            "  {at}  {id:>3}  {}  {:<11} {:<8} {:<8} {:<8} no",
            ont.serial.hex16(),
            s.control,
            s.run,
            s.config,
            s.matched
        ));
    }
    lines.extend([rule(77), "  F/S/P   ONT-ID   Description".to_owned(), rule(77)]);
    for (id, ont) in onts {
        lines.push(format!("  {at}     {id:>3}   {}", description(ont)));
    }
    lines.extend([
        rule(77),
        format!("  In port {at} , the total of ONTs are: {}, online: {online}", onts.len()),
        rule(77),
    ]);
    lines
}

fn list(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let one_port = args.text("p").is_some();
    let slot: Option<u8> = args.number("s");
    let ports: Vec<PonPath> = if one_port {
        vec![port_of(ctx, args)?]
    } else {
        let all = ctx.olt.state.config.onts.keys().copied();
        all.filter(|pon| slot.is_none_or(|slot| slot == pon.slot)).collect()
    };
    let lines: Vec<String> = ports.iter().flat_map(|pon| table(ctx, *pon)).collect();
    if lines.is_empty() {
        return failure("There is no ONT available");
    }
    Ok(lines)
}

fn detail(ctx: &Ctx<'_>, pon: PonPath, id: u8) -> Vec<String> {
    let state = &ctx.olt.state;
    let Some(ont) = state.config.ont(pon, id) else { return Vec::new() };
    let s = states(ctx, ont);
    let link = state.plant.links.get(&ont.serial).cloned().unwrap_or_default();
    let online = s.run == "online";
    let onu = state.plant.onus.get(&ont.serial).filter(|_| online);
    let distance = onu.map_or_else(|| "-".to_owned(), |onu| onu.optics.distance_m.to_string());
    let duration = match link.link {
        Link::Online { since } => {
            let s = ctx.now.since(since).as_secs();
            format!(
                "{} day(s), {} hour(s), {} minute(s), {} second(s)",
                s / 86_400,
                s / 3_600 % 24,
                s / 60 % 60,
                s % 60
            )
        }
        Link::Offline | Link::Registering { .. } => "-".to_owned(),
    };
    let temperature = onu.map_or_else(|| "-".to_owned(), |onu| format!("{}(C)", onu.optics.temperature_c));
    let field = |key: &str, value: &str| format!("  {key:<24}: {value}");
    let mut lines = vec![
        rule(77),
        field("F/S/P", &spaced(pon)),
        field("ONT-ID", &id.to_string()),
        field("Control flag", s.control),
        field("Run state", s.run),
        field("Config state", s.config),
        field("Match state", s.matched),
        field("DBA type", "SR"),
        field("ONT distance(m)", &distance),
        field("ONT last distance(m)", &distance),
        field("ONT battery state", "-"),
        field("Memory occupation", if online { "44%" } else { "-" }),
        field("CPU occupation", if online { "3%" } else { "-" }),
        field("Temperature", &temperature),
        field("Authentic type", "SN-auth"),
        field("SN", &sn_both(ont.serial)),
        field("Management mode", "OMCI"),
        field("Software work mode", "normal"),
        field("Isolation state", "normal"),
        field("ONT IP 0 address/mask", &ip_text(ctx, ont, 0)),
    ];
    lines.extend(folded_field("Description", 24, description(ont)));
    lines.extend([
        field("Last down cause", link.last_down_cause.as_deref().unwrap_or("-")),
        field("Last up time", &stamp_or_dash(link.last_up_at)),
        field("Last down time", &stamp_or_dash(link.last_down_at)),
        field("Last dying gasp time", &stamp_or_dash(link.last_dying_gasp_at)),
        field("ONT online duration", &duration),
        field("Type C support", "Not support"),
        field("Interoperability-mode", "ITU-T"),
        field("Power reduction status", "-"),
        rule(77),
    ]);
    lines.extend(profile_part(ctx, ont));
    lines
}

fn ip_text(ctx: &Ctx<'_>, ont: &Ont, index: u8) -> String {
    match ont.ip_hosts.get(&index).map(|host| &host.config) {
        Some(IpConfig::Static { ip, mask, .. }) => {
            format!("{ip}/{}", u32::from(*mask).count_ones())
        }
        Some(IpConfig::Dhcp) => match ctx.olt.state.plant.managed.get(&ont.serial) {
            Some(managed) => format!("{}/{}", managed.ip, u32::from(managed.mask).count_ones()),
            None => "0.0.0.0/0".to_owned(),
        },
        Some(IpConfig::Pppoe { .. }) | None => "-".to_owned(),
    }
}

fn profile_part(ctx: &Ctx<'_>, ont: &Ont) -> Vec<String> {
    let config = &ctx.olt.state.config;
    let Some(line) = config.line_profiles.get(&ont.line_profile) else { return Vec::new() };
    let mut lines = vec![
        format!("  Line profile ID      : {}", ont.line_profile),
        format!("  Line profile name    : {}", line.name),
        rule(77),
    ];
    lines.extend(super::show_profile::line_body(line));
    lines.push(rule(77));
    if let Some(srv) = config.srv_profiles.get(&ont.srv_profile) {
        lines.push(format!("  Service profile ID   : {}", ont.srv_profile));
        lines.push(format!("  Service profile name : {}", srv.name));
        lines.push(rule(77));
        lines.extend(super::show_profile::srv_body(srv));
        lines.push(rule(77));
    }
    match ont.tr069_profile.and_then(|id| Some((id, config.tr069_profiles.get(&id)?))) {
        Some((id, profile)) => {
            lines.push(format!("  TR069 server profile ID   : {id}"));
            lines.push(format!("  TR069 server profile name : {}", profile.name));
        }
        None => lines.push("  TR069 server profile ID   : -".to_owned()),
    }
    lines.push(rule(77));
    lines
}

fn summary(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let pon = port_of(ctx, args)?;
    let Some(onts) = ctx.olt.state.config.onts.get(&pon) else {
        return failure("There is no ONT available");
    };
    let plant = &ctx.olt.state.plant;
    let online = onts.values().filter(|ont| ctx.olt.state.is_online(ont.serial)).count();
    let mut lines = vec![
        "  Command is being executed. Please wait".to_owned(),
        rule(78),
        format!("  In port {pon}, the total of ONTs are: {}, online: {online}", onts.len()),
        rule(78),
        "  ONT  Run     Last                Last                Last".to_owned(),
        "  ID   State   UpTime              DownTime            DownCause".to_owned(),
        rule(78),
    ];
    let time = |at: Option<types::UtcMs>| at.map_or_else(|| "-".to_owned(), short_stamp);
    for (id, ont) in onts {
        let link = plant.links.get(&ont.serial).cloned().unwrap_or_default();
        let cause = link.last_down_cause.unwrap_or_else(|| "-".to_owned());
        // The column is 25 wide and the text is simply cut.
        let cause: String = cause.chars().take(25).collect();
        let run = if ctx.olt.state.is_online(ont.serial) { "online" } else { "offline" };
        lines.push(format!(
            "  {id:<4} {run:<7} {:<19} {:<19} {cause:<25}",
            time(link.last_up_at),
            time(link.last_down_at)
        ));
    }
    lines.extend([
        rule(78),
        "  ONT        SN        Type          Distance Rx/Tx power  Description".to_owned(),
        "  ID                                    (m)      (dBm)".to_owned(),
        rule(78),
    ]);
    for (id, ont) in onts {
        let onu = plant.onus.get(&ont.serial);
        let kind = onu.map_or("-", |onu| onu.equipment_id.as_str());
        let lit = onu.filter(|_| ctx.olt.state.is_online(ont.serial));
        let (distance, power) = match lit {
            Some(onu) => (
                onu.optics.distance_m.to_string(),
                format!("{}/{}", dbm(onu.optics.rx_power_cdbm), dbm(onu.optics.tx_power_cdbm)),
            ),
            None => ("-".to_owned(), "-/-".to_owned()),
        };
        let text: String = description(ont).chars().take(20).collect();
        lines.push(format!(
            "  {id:<3} {} {kind:<16} {distance:<5} {power:<12} {text:<20}",
            ont.serial.hex16()
        ));
    }
    lines.push(rule(78));
    Ok(lines)
}

fn optical(ctx: &Ctx<'_>, args: &Args) -> Answer {
    if args.text("o").is_some() {
        return optical_one(ctx, args);
    }
    let pon = port_of(ctx, args)?;
    let Some(onts) = ctx.olt.state.config.onts.get(&pon) else {
        return failure("There is no ONT available");
    };
    let mut lines = vec![
        rule(77),
        "  ONT  Rx power  Tx power  OLT Rx ONT  Temperature  Voltage  Current  Distance".to_owned(),
        "  ID   (dBm)     (dBm)     power(dBm)  (C)          (V)      (mA)     (m)".to_owned(),
        rule(77),
    ];
    for (id, ont) in onts {
        let onu = ctx.olt.state.plant.onus.get(&ont.serial);
        lines.push(match onu.filter(|_| ctx.olt.state.is_online(ont.serial)) {
            Some(onu) => {
                let o = onu.optics;
                format!(
                    "  {id:>3}  {:<9} {:<9} {:<11} {:<12} {:<8} {:<8} {:<10}",
                    dbm(o.rx_power_cdbm),
                    dbm(o.tx_power_cdbm),
                    dbm(o.olt_rx_power_cdbm),
                    o.temperature_c,
                    format!("{}.{:03}", o.voltage_mv / 1000, o.voltage_mv % 1000),
                    o.bias_ma,
                    o.distance_m
                )
            }
            None => format!(
                "  {id:>3}  {:<9} {:<9} {:<11} {:<12} {:<8} {:<8} {:<10}",
                "-", "-", "-", "-", "-", "-", "-"
            ),
        });
    }
    lines.push(rule(77));
    Ok(lines)
}

fn optical_one(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let (.., serial) = ont_of(ctx, args)?;
    let onu = ctx.olt.state.plant.onus.get(&serial).filter(|_| ctx.olt.state.is_online(serial));
    let Some(onu) = onu else {
        return failure("The ONT is not online");
    };
    let o = onu.optics;
    let field = |key: &str, value: String| format!("  {key:<39}: {value}");
    Ok(vec![
        rule(77),
        field("ONU NNI port ID", "0".to_owned()),
        field("Module type", "GPON".to_owned()),
        field("Module sub-type", "CLASS B+".to_owned()),
        field("Used type", "ONU".to_owned()),
        field("Encapsulation Type", "BOSA ON BOARD".to_owned()),
        field("Optical power precision(dBm)", "3.0".to_owned()),
        field("Vendor name", "HUAWEI".to_owned()),
        field("Rx optical power(dBm)", dbm(o.rx_power_cdbm)),
        field("Rx power current warning threshold(dBm)", "[-,-]".to_owned()),
        field("Rx power current alarm threshold(dBm)", "[-29.0,-7.0]".to_owned()),
        field("Tx optical power(dBm)", dbm(o.tx_power_cdbm)),
        field("Laser bias current(mA)", o.bias_ma.to_string()),
        field("Temperature(C)", o.temperature_c.to_string()),
        field("Voltage(V)", format!("{}.{:03}", o.voltage_mv / 1000, o.voltage_mv % 1000)),
        field("OLT Rx ONT optical power(dBm)", dbm(o.olt_rx_power_cdbm)),
        field("CATV Rx optical power(dBm)", "-".to_owned()),
        rule(77),
    ])
}

fn version(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let (pon, id, serial) = ont_of(ctx, args)?;
    let onu = ctx.olt.state.plant.onus.get(&serial).filter(|_| ctx.olt.state.is_online(serial));
    let Some(onu) = onu else {
        return failure("The ONT is not online");
    };
    let vendor = serial.vendor().unwrap_or("-");
    Ok(vec![
        rule(74),
        format!("  F/S/P                    : {pon}"),
        format!("  ONT-ID                   : {id}"),
        format!("  Vendor-ID                : {vendor}"),
        format!("  ONT Version              : {}", onu.hardware_version),
        "  Product-ID               : 0".to_owned(),
        format!("  Equipment-ID             : {}", onu.equipment_id),
        format!("  Main Software Version    : {}", onu.software_version),
        format!("  Standby Software Version : {}", onu.software_version),
        "  OntProductDescription    : -".to_owned(),
        format!("  Equipment SN             : {}", onu.equipment_serial),
        rule(74),
    ])
}

/// Address, mask and gateway of an IP host as far as they are known.
fn addresses(ctx: &Ctx<'_>, serial: Serial, host: &IpHost) -> (String, String, String) {
    let none = || ("-".to_owned(), "-".to_owned(), "-".to_owned());
    match &host.config {
        IpConfig::Static { ip, mask, gateway } => (
            ip.to_string(),
            mask.to_string(),
            gateway.map_or_else(|| "-".to_owned(), |gateway| gateway.to_string()),
        ),
        IpConfig::Dhcp => match ctx.olt.state.plant.managed.get(&serial) {
            Some(managed) => (
                managed.ip.to_string(),
                managed.mask.to_string(),
                managed.gateway.map_or_else(|| "-".to_owned(), |gateway| gateway.to_string()),
            ),
            None => none(),
        },
        IpConfig::Pppoe { .. } => none(),
    }
}

fn config_type(host: &IpHost) -> &'static str {
    match host.config {
        IpConfig::Dhcp => "DHCP",
        IpConfig::Static { .. } => "Static",
        IpConfig::Pppoe { .. } => "PPPoE",
    }
}

fn ipconfig(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let (pon, id, serial) = ont_of(ctx, args)?;
    let Some(ont) = ctx.olt.state.config.ont(pon, id) else { return Ok(Vec::new()) };
    if ont.ip_hosts.is_empty() {
        return failure("The ONT does not configure IP information");
    }
    let mac = ctx.olt.state.plant.onus.get(&serial).map_or("-".to_owned(), |o| huawei_mac(o.mac));
    let mut lines = vec![rule(77)];
    for (index, host) in &ont.ip_hosts {
        let (ip, mask, gateway) = addresses(ctx, serial, host);
        let field = |key: &str, value: &str| format!("  {key:<24}: {value}");
        lines.extend([
            field("ONT IP host index", &index.to_string()),
            field("ONT config type", config_type(host)),
            field("ONT IP", &ip),
            field("ONT subnet mask", &mask),
            field("ONT gateway", &gateway),
            field("ONT primary DNS", "-"),
            field("ONT slave DNS", "-"),
            field("ONT MAC", &mac),
            field("ONT manage VLAN", &host.vlan.to_string()),
            field("ONT manage priority", &host.priority.to_string()),
            field("Dscp mapping table index", "0"),
            rule(77),
        ]);
    }
    Ok(lines)
}

fn wan_info(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let (pon, id, serial) = ont_of(ctx, args)?;
    if !ctx.olt.state.is_online(serial) {
        return failure("The ONT is not online");
    }
    let Some(ont) = ctx.olt.state.config.ont(pon, id) else { return Ok(Vec::new()) };
    if ont.ip_hosts.is_empty() {
        return failure("There is no WAN information");
    }
    let mut lines = vec![
        rule(69),
        format!("  F/S/P                      : {pon}"),
        format!("  ONT ID                     : {id}"),
        rule(69),
    ];
    let mac = ctx.olt.state.plant.onus.get(&serial).map_or("-".to_owned(), |o| huawei_mac(o.mac));
    for (index, host) in &ont.ip_hosts {
        let (ip, mask, gateway) = addresses(ctx, serial, host);
        let status = if ip == "-" { "Connecting" } else { "Connected" };
        let field = |key: &str, value: &str| format!("  {key:<27}: {value}");
        lines.extend([
            field("Index", &(index + 1).to_string()),
            field("Name", &format!("OLT_{}_TR069_R_VID_{}", index + 1, host.vlan)),
            field("Service type", "Tr069"),
            field("Connection type", "IP routed"),
            field("IPv4 Connection status", status),
            field("IPv4 access type", config_type(host)),
            field("IPv4 address", &ip),
            field("Subnet mask", &mask),
            field("Default gateway", &gateway),
            field("Primary DNS", "-"),
            field("Secondary DNS", "-"),
            field("Manage VLAN", &host.vlan.to_string()),
            field("Manage priority", &host.priority.to_string()),
            field("NAT switch", "Disable"),
            field("Switch", "Enable"),
            field("MAC address", &mac),
            field("L2 encap-type", "IPoE"),
            field("IPv4 switch", "Enable"),
            field("IPv6 switch", "Disable"),
            rule(69),
        ]);
    }
    Ok(lines)
}

fn port_state(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let (_, id, serial) = ont_of(ctx, args)?;
    let onu = ctx.olt.state.plant.onus.get(&serial).filter(|_| ctx.olt.state.is_online(serial));
    let Some(onu) = onu else {
        return failure("The ONT is not online");
    };
    let mut lines = vec![
        rule(74),
        "  ONT-ID   ONT      ONT       Speed(Mbps)   Duplex   LinkState  RingStatus".to_owned(),
        "           port-ID  Port-type".to_owned(),
        rule(74),
    ];
    for port in 1..=onu.eth_ports {
        let up = port == 1;
        lines.push(format!(
            "  {id:>6}  {port:>8}         GE {:<13} {:<8} {:<10} {:<10}",
            if up { "1000" } else { "-" },
            if up { "full" } else { "-" },
            if up { "up" } else { "down" },
            "noloop"
        ));
    }
    lines.push(rule(74));
    Ok(lines)
}

fn tr069_config(ctx: &Ctx<'_>, args: &Args) -> Answer {
    let pon = port_of(ctx, args)?;
    let only: Option<u8> = args.number("o");
    let Some(onts) = ctx.olt.state.config.onts.get(&pon) else {
        return failure("There is no ONT available");
    };
    let mut lines = vec![rule(60), "  F/S/P       ONT-ID   TR069 server profile ID".to_owned(), rule(60)];
    for (id, ont) in onts.iter().filter(|(id, _)| only.is_none_or(|only| only == **id)) {
        let profile = ont.tr069_profile.map_or_else(|| "-".to_owned(), |id| id.to_string());
        lines.push(format!("  {:<11} {id:<8} {profile}", spaced(pon)));
    }
    lines.push(rule(60));
    Ok(lines)
}
