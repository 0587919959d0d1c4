//! Replies of SmartAX OLTs into rows. Headers, notes and dashed lines are passed over; a line that looks like a row and
//! cannot be read is an error, and so is a table whose declared total differs from its rows.

use super::{
    Huawei,
    lex::{self, number, optional, record, value},
    tables,
};
use crate::{
    model::{
        AddressKind, Board, ConfigState, DbaProfile, DetectedOnu, LineProfile, ManagementRow, MatchState,
        OnuOptics, OnuRecord, OnuRow, OnuSummary, PonPort, ProfileRow, RunState, ServicePortRow, Version,
        Vlan,
    },
    parser::{ParseError, ReplyParser},
};
use std::{collections::BTreeMap, net::Ipv4Addr};
use types::{PonPath, Serial};

fn run_state(text: &str) -> RunState {
    match text {
        "online" => RunState::Online,
        "offline" => RunState::Offline,
        _ => RunState::Unknown,
    }
}

fn config_state(text: &str) -> ConfigState {
    match text {
        "initial" => ConfigState::Initial,
        "config" | "configuring" => ConfigState::Configuring,
        "normal" => ConfigState::Normal,
        "failed" => ConfigState::Failed,
        _ => ConfigState::Unknown,
    }
}

fn match_state(text: &str) -> MatchState {
    match text {
        "initial" => MatchState::Initial,
        "match" => MatchState::Match,
        "mismatch" => MatchState::Mismatch,
        _ => MatchState::Unknown,
    }
}

/// `DHCP`, `Static config`, `PPPoE` …
fn address_kind(text: &str) -> AddressKind {
    match text.split_whitespace().next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "dhcp" => AddressKind::Dhcp,
        "static" => AddressKind::Static,
        "pppoe" => AddressKind::Pppoe,
        _ => AddressKind::Other,
    }
}

/// An address, `None` for `-` and 0.0.0.0. Anything else that is none is an error: half an address is somebody else's.
fn address(what: &'static str, text: &str) -> Result<Option<Ipv4Addr>, ParseError> {
    let text = value(text);
    if text.is_empty() {
        return Ok(None);
    }
    let address: Ipv4Addr = text.parse().map_err(|_| row_error(what, text))?;
    Ok(Some(address).filter(|address| !address.is_unspecified()))
}

fn row_error(what: &'static str, row: &str) -> ParseError {
    ParseError::Row { what, row: row.trim().chars().take(160).collect() }
}

fn field_error(what: &'static str, field: &'static str) -> ParseError {
    ParseError::Field { what, field }
}

fn check_total(what: &'static str, declared: Option<usize>, found: usize) -> Result<(), ParseError> {
    match declared {
        Some(declared) if declared != found => Err(ParseError::Total { what, declared, found }),
        _ => Ok(()),
    }
}

/// The last number in every match of an expression's group `id`.
fn ids(expression: &regex::Regex, text: &str) -> Vec<u16> {
    let mut out: Vec<u16> = expression.captures_iter(text).filter_map(|c| c["id"].parse().ok()).collect();
    out.sort_unstable();
    out.dedup();
    out
}

/// The result of `ont add`: the id on the PON, if the OLT said it.
pub fn onu_added(text: &str) -> Option<u16> {
    tables::ONU_ADDED.captures(text).and_then(|c| c["id"].parse().ok())
}

/// `asked, done` of `ont add`, `ont delete` and `undo service-port`. Zero done is a refusal without the word Failure.
pub fn counts(text: &str) -> Option<(u32, u32)> {
    let joined = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let captures =
        tables::COUNT_OF_SUCCESS.captures(&joined).or_else(|| tables::DELETED_PORTS.captures(&joined))?;
    Some((captures["asked"].parse().ok()?, captures["done"].parse().ok()?))
}

impl ReplyParser for Huawei {
    fn autofind(&self, text: &str) -> Result<Vec<DetectedOnu>, ParseError> {
        const WHAT: &str = "list of detected ONUs";
        let mut out = Vec::new();
        for section in lex::sections(text) {
            let fields = record(&section);
            // Keys differ between versions; every block has its number.
            if !fields.contains_key("number") {
                continue;
            }
            let serial_text = fields.get("ont_sn").ok_or(field_error(WHAT, "Ont SN"))?;
            let serial: Serial = serial_text.parse().map_err(|_| row_error(WHAT, serial_text))?;
            let pon_text = fields.get("f_s_p").ok_or(field_error(WHAT, "F/S/P"))?;
            let pon: PonPath = pon_text.parse().map_err(|_| row_error(WHAT, pon_text))?;
            let get = |key: &str| fields.get(key).and_then(|v| optional(v));
            out.push(DetectedOnu {
                serial,
                pon,
                vendor: get("vendorid").or_else(|| serial.vendor().map(str::to_owned)),
                equipment_id: get("ont_equipmentid"),
                hardware_version: get("ont_version"),
                software_version: get("ont_softwareversion"),
                customized_info: get("ont_customized_info"),
                mac: get("ont_mac").and_then(|m| m.parse().ok()),
                equipment_serial: get("ont_equipment_sn"),
                found_at: get("ont_autofind_time"),
            });
        }
        Ok(out)
    }

    fn onus_of_pon(&self, text: &str) -> Result<Vec<OnuRow>, ParseError> {
        const WHAT: &str = "list of ONUs";
        let mut rows: Vec<OnuRow> = Vec::new();
        let mut descriptions: BTreeMap<(PonPath, u16), String> = BTreeMap::new();
        let mut last_described = None;
        let mut in_descriptions = false;
        // Some versions print the description at the end of the first table instead of a second table.
        let mut ends_in_description = false;
        let mut declared: Option<usize> = None;
        for line in text.lines() {
            if let Some(captures) = tables::ONU_TOTAL.captures(line) {
                let total: usize = captures["total"].parse().map_err(|_| row_error(WHAT, line))?;
                declared = Some(declared.unwrap_or(0) + total);
                last_described = None;
                in_descriptions = false;
            } else if line.contains("Control") && line.contains("Run") {
                in_descriptions = false;
                ends_in_description = line.contains("Description");
            } else if line.contains("Description") {
                in_descriptions = true;
                last_described = None;
            } else if lex::is_rule(line) {
                last_described = None;
            } else if in_descriptions {
                if let Some(captures) = tables::ONU_DESCRIPTION_ROW.captures(line) {
                    let pon: PonPath = captures["fsp"].parse().map_err(|_| row_error(WHAT, line))?;
                    let key = (pon, captures["id"].parse().map_err(|_| row_error(WHAT, line))?);
                    let text = captures.name("description").map_or("", |m| m.as_str()).trim().to_owned();
                    descriptions.insert(key, text);
                    last_described = Some(key);
                } else if let Some(text) = last_described.and_then(|key| descriptions.get_mut(&key)) {
                    text.push_str(line.trim());
                }
            } else if tables::PORT_ROW.is_match(line) {
                let captures = tables::ONU_ROW.captures(line).ok_or_else(|| row_error(WHAT, line))?;
                let serial_text = captures["sn"].to_owned();
                rows.push(OnuRow {
                    pon: captures["fsp"].parse().map_err(|_| row_error(WHAT, line))?,
                    onu_id: captures["id"].parse().map_err(|_| row_error(WHAT, line))?,
                    serial: serial_text.parse().ok(),
                    serial_text,
                    active: &captures["control"] == "active",
                    run_state: run_state(&captures["run"]),
                    config_state: config_state(&captures["config"]),
                    match_state: match_state(&captures["match"]),
                    description: captures
                        .name("last")
                        .filter(|_| ends_in_description)
                        .and_then(|m| optional(m.as_str())),
                });
            }
        }
        check_total(WHAT, declared, rows.len())?;
        for row in &mut rows {
            if let Some(text) = descriptions.remove(&(row.pon, row.onu_id)) {
                row.description = optional(&text);
            }
        }
        if let Some(((pon, id), _)) = descriptions.pop_first() {
            return Err(row_error(WHAT, &format!("{pon} {id}: a description without its ONU")));
        }
        Ok(rows)
    }

    fn onu(&self, text: &str) -> Result<OnuRecord, ParseError> {
        const WHAT: &str = "ONU information";
        let mut fields = record(text);
        let mut take = |key: &str| fields.remove(key).unwrap_or_default();
        let pon_text = take("f_s_p");
        let pon = pon_text.parse().map_err(|_| field_error(WHAT, "F/S/P"))?;
        let id_text = take("ont_id");
        let onu_id = id_text.parse().map_err(|_| field_error(WHAT, "ONT-ID"))?;
        let serial_text = take("sn");
        if serial_text.is_empty() {
            return Err(field_error(WHAT, "SN"));
        }
        let run = run_state(&take("run_state"));
        let config = config_state(&take("config_state"));
        let matching = match_state(&take("match_state"));
        let description = optional(&take("description"));
        let distance = number(&take("ont_distance_m"));
        let cause = optional(&take("last_down_cause"));
        let line_profile = number(&take("line_profile_id"));
        let service_profile = number(&take("service_profile_id"));
        let acs_management = enabled(&take("tr069_management"));
        // Older builds print the id under a shorter label.
        let acs_profile =
            number(&take("tr069_server_profile_id")).or_else(|| number(&take("tr069_server_profile")));
        Ok(OnuRecord {
            pon,
            onu_id,
            serial: serial_text.parse().ok(),
            serial_text,
            run_state: run,
            config_state: config,
            match_state: matching,
            description,
            distance_m: distance,
            last_down_cause: cause,
            line_profile_id: line_profile,
            service_profile_id: service_profile,
            gemports: ids(&tables::GEMPORT, text),
            tconts: ids(&tables::TCONT, text),
            acs_management,
            acs_profile_id: acs_profile,
            fields,
        })
    }

    fn onu_summary_of_pon(&self, text: &str) -> Result<Vec<OnuSummary>, ParseError> {
        const WHAT: &str = "ONU summary";
        #[derive(PartialEq)]
        enum Table {
            None,
            Times,
            Light,
        }
        let mut table = Table::None;
        let mut pon: Option<PonPath> = None;
        let mut declared: Option<usize> = None;
        let mut out: BTreeMap<(PonPath, u16), OnuSummary> = BTreeMap::new();
        let mut lit = 0;
        for line in text.lines() {
            if let Some(captures) = tables::ONU_TOTAL.captures(line) {
                let total: usize = captures["total"].parse().map_err(|_| row_error(WHAT, line))?;
                declared = Some(declared.unwrap_or(0) + total);
                pon = Some(captures["fsp"].parse().map_err(|_| row_error(WHAT, line))?);
                table = Table::None;
            } else if line.contains("Run") && line.contains("Last") {
                table = Table::Times;
            } else if line.contains("Distance") && line.contains("Rx/Tx") {
                table = Table::Light;
            } else if table != Table::None && tables::NUMBER_ROW.is_match(line) {
                let pon = pon.ok_or(field_error(WHAT, "port line"))?;
                if table == Table::Times {
                    let captures =
                        tables::SUMMARY_TIME_ROW.captures(line).ok_or_else(|| row_error(WHAT, line))?;
                    let onu_id = captures["id"].parse().map_err(|_| row_error(WHAT, line))?;
                    out.insert(
                        (pon, onu_id),
                        OnuSummary {
                            pon,
                            onu_id,
                            run_state: run_state(&captures["run"]),
                            last_up: optional(&captures["up"]),
                            last_down: optional(&captures["down"]),
                            last_down_cause: captures.name("cause").and_then(|m| optional(m.as_str())),
                            serial_text: String::new(),
                            serial: None,
                            model: None,
                            distance_m: None,
                            rx_power_cdbm: None,
                            tx_power_cdbm: None,
                            description: None,
                        },
                    );
                } else {
                    let captures =
                        tables::SUMMARY_LIGHT_ROW.captures(line).ok_or_else(|| row_error(WHAT, line))?;
                    let onu_id: u16 = captures["id"].parse().map_err(|_| row_error(WHAT, line))?;
                    let row = out.get_mut(&(pon, onu_id)).ok_or_else(|| row_error(WHAT, line))?;
                    lit += 1;
                    row.serial_text = captures["sn"].to_owned();
                    row.serial = row.serial_text.parse().ok();
                    row.model = optional(&captures["model"]);
                    row.distance_m = number(&captures["distance"]);
                    row.rx_power_cdbm = lex::hundredths(&captures["rx"]);
                    row.tx_power_cdbm = lex::hundredths(&captures["tx"]);
                    row.description = captures.name("description").and_then(|m| optional(m.as_str()));
                }
            }
        }
        check_total(WHAT, declared, out.len())?;
        check_total(WHAT, Some(out.len()), lit)?;
        Ok(out.into_values().collect())
    }

    fn optics_of_pon(&self, text: &str) -> Result<Vec<OnuOptics>, ParseError> {
        const WHAT: &str = "optics table";
        let fields = record(text);
        if let Some(id) = fields.get("ont_id") {
            // The form for one ONU.
            let get = |key: &str| fields.get(key).map_or("", String::as_str);
            return Ok(vec![OnuOptics {
                onu_id: id.parse().map_err(|_| field_error(WHAT, "ONT-ID"))?,
                rx_power_cdbm: lex::hundredths(get("rx_optical_power_dbm")),
                tx_power_cdbm: lex::hundredths(get("tx_optical_power_dbm")),
                olt_rx_power_cdbm: lex::hundredths(get("olt_rx_ont_optical_power_dbm")),
                temperature_c: lex::hundredths(get("temperature_c")).map(|t| t / 100),
                voltage_mv: lex::hundredths(get("voltage_v")).map(|v| v * 10),
                current_ma: lex::hundredths(get("bias_current_ma"))
                    .or_else(|| lex::hundredths(get("laser_bias_current_ma")))
                    .map(|c| c / 100),
                distance_m: number(get("ont_distance_m")),
            }]);
        }
        let mut out = Vec::new();
        for line in text.lines().filter(|l| tables::NUMBER_ROW.is_match(l)) {
            let captures = tables::OPTICS_ROW.captures(line).ok_or_else(|| row_error(WHAT, line))?;
            out.push(OnuOptics {
                onu_id: captures["id"].parse().map_err(|_| row_error(WHAT, line))?,
                rx_power_cdbm: lex::hundredths(&captures["rx"]),
                tx_power_cdbm: lex::hundredths(&captures["tx"]),
                olt_rx_power_cdbm: lex::hundredths(&captures["olt"]),
                temperature_c: number(&captures["temperature"]),
                voltage_mv: lex::hundredths(&captures["voltage"]).map(|v| v * 10),
                current_ma: number(&captures["current"]),
                distance_m: number(&captures["distance"]),
            });
        }
        Ok(out)
    }

    fn service_ports(&self, text: &str) -> Result<Vec<ServicePortRow>, ParseError> {
        const WHAT: &str = "service port table";
        let mut out = Vec::new();
        let mut declared = None;
        for line in text.lines() {
            if let Some(captures) = tables::SERVICE_PORT_TOTAL.captures(line) {
                declared = Some(captures["total"].parse().map_err(|_| row_error(WHAT, line))?);
                // Notes follow.
                break;
            }
            if !tables::NUMBER_ROW.is_match(line) {
                continue;
            }
            let captures = tables::SERVICE_PORT_ROW.captures(line).ok_or_else(|| row_error(WHAT, line))?;
            let flow_type = captures["flow"].to_owned();
            let parameter = optional(&captures["parameter"]);
            out.push(ServicePortRow {
                index: captures["index"].parse().map_err(|_| row_error(WHAT, line))?,
                vlan: captures["vlan"].parse().map_err(|_| row_error(WHAT, line))?,
                vlan_attribute: captures["attribute"].to_owned(),
                port_type: captures["type"].to_owned(),
                pon: captures["fsp"].parse().map_err(|_| row_error(WHAT, line))?,
                onu_id: number(&captures["onu"]),
                gemport: number(&captures["gem"]),
                user_vlan: if flow_type == "vlan" { parameter.as_deref().and_then(number) } else { None },
                untagged: flow_type == "vlan" && parameter.as_deref().is_some_and(|p| p.starts_with("untag")),
                flow_type,
                flow_parameter: parameter,
                traffic_in: number(&captures["rx"]),
                traffic_out: number(&captures["tx"]),
                up: &captures["state"] == "up",
            });
        }
        check_total(WHAT, declared, out.len())?;
        Ok(out)
    }

    fn management_of_onu(&self, text: &str) -> Result<Vec<ManagementRow>, ParseError> {
        const WHAT: &str = "ONU management address";
        let mut out: Vec<ManagementRow> = Vec::new();
        for (label, text) in lex::labels(text) {
            let text = value(&text);
            if label == "ONT IP host index" {
                out.push(ManagementRow {
                    ip_index: text.parse().map_err(|_| row_error(WHAT, text))?,
                    kind: AddressKind::Other,
                    address: None,
                    vlan: None,
                    priority: None,
                    mac: None,
                });
                continue;
            }
            let Some(row) = out.last_mut() else { continue };
            match label.as_str() {
                "ONT config type" => row.kind = address_kind(text),
                "ONT IP" => row.address = address(WHAT, text)?,
                "ONT MAC" => row.mac = text.parse().ok(),
                "ONT manage VLAN" => row.vlan = number(text),
                "ONT manage priority" => row.priority = number(text),
                _ => {}
            }
        }
        Ok(out)
    }

    fn management_wans_of_onu(&self, text: &str) -> Result<Vec<ManagementRow>, ParseError> {
        const WHAT: &str = "list of WAN connections";
        let mut out = Vec::new();
        for section in lex::sections(text) {
            let fields = record(&section);
            let get = |key: &str| fields.get(key).map_or("", String::as_str);
            let Some(index) = fields.get("index") else { continue };
            // Internet, VoIP and bridged connections are not where its TR-069 client speaks from.
            if !get("service_type").to_ascii_lowercase().contains("tr069") {
                continue;
            }
            let up = get("ipv4_connection_status").eq_ignore_ascii_case("connected");
            out.push(ManagementRow {
                ip_index: index.parse().map_err(|_| row_error(WHAT, index))?,
                kind: address_kind(get("ipv4_access_type")),
                address: address(WHAT, get("ipv4_address"))?.filter(|_| up),
                vlan: number(get("manage_vlan")),
                priority: number(get("manage_priority")),
                mac: get("mac_address").parse().ok(),
            });
        }
        Ok(out)
    }

    fn profiles(&self, text: &str) -> Result<Vec<ProfileRow>, ParseError> {
        const WHAT: &str = "list of profiles";
        let mut out = Vec::new();
        let mut declared = None;
        for line in text.lines() {
            if let Some(captures) = tables::SERVICE_PORT_TOTAL.captures(line) {
                declared = Some(captures["total"].parse().map_err(|_| row_error(WHAT, line))?);
            } else if tables::NUMBER_ROW.is_match(line) {
                let captures = tables::PROFILE_ROW.captures(line).ok_or_else(|| row_error(WHAT, line))?;
                out.push(ProfileRow {
                    id: captures["id"].parse().map_err(|_| row_error(WHAT, line))?,
                    name: captures["name"].to_owned(),
                    bindings: number(&captures["bindings"]),
                });
            }
        }
        check_total(WHAT, declared, out.len())?;
        Ok(out)
    }

    fn line_profile(&self, text: &str) -> Result<LineProfile, ParseError> {
        const WHAT: &str = "line profile";
        let fields = record(text);
        Ok(LineProfile {
            id: fields.get("profile_id").and_then(|t| number(t)).ok_or(field_error(WHAT, "Profile-ID"))?,
            name: fields.get("profile_name").cloned().unwrap_or_default(),
            gemports: ids(&tables::GEMPORT, text),
            acs_management: fields.get("tr069_management").and_then(|t| enabled(t)),
        })
    }

    fn dba_profiles(&self, text: &str) -> Result<Vec<DbaProfile>, ParseError> {
        const WHAT: &str = "list of DBA profiles";
        let mut out = Vec::new();
        for line in text.lines().filter(|l| tables::NUMBER_ROW.is_match(l)) {
            let captures = tables::DBA_ROW.captures(line).ok_or_else(|| row_error(WHAT, line))?;
            let get = |name: &str| captures[name].parse().map_err(|_| row_error(WHAT, line));
            out.push(DbaProfile {
                id: get("id")?,
                kind: captures["kind"].parse().map_err(|_| row_error(WHAT, line))?,
                fixed_kbps: get("fix")?,
                assured_kbps: get("assure")?,
                max_kbps: get("max")?,
                bindings: get("bind")?,
            });
        }
        Ok(out)
    }

    fn boards(&self, text: &str) -> Result<Vec<Board>, ParseError> {
        const WHAT: &str = "list of boards";
        let mut out = Vec::new();
        for line in text.lines().filter(|l| tables::NUMBER_ROW.is_match(l)) {
            let captures = tables::BOARD_ROW.captures(line).ok_or_else(|| row_error(WHAT, line))?;
            // An empty slot is a row with its number alone.
            if let (Some(name), Some(status)) = (captures.name("name"), captures.name("status")) {
                out.push(Board {
                    slot: captures["slot"].parse().map_err(|_| row_error(WHAT, line))?,
                    name: name.as_str().to_owned(),
                    status: status.as_str().to_owned(),
                });
            }
        }
        Ok(out)
    }

    fn pon_ports(&self, text: &str) -> Result<Vec<PonPort>, ParseError> {
        const WHAT: &str = "list of PON ports";
        let mut out = Vec::new();
        for captures in text.lines().filter_map(|line| tables::PON_PORT_ROW.captures(line)) {
            out.push(PonPort {
                port: captures["port"].parse().map_err(|_| row_error(WHAT, &captures[0]))?,
                kind: captures["kind"].to_owned(),
                optics_online: captures["status"].eq_ignore_ascii_case("online"),
            });
        }
        Ok(out)
    }

    fn version(&self, text: &str) -> Result<Version, ParseError> {
        const WHAT: &str = "version";
        let fields = record(text);
        let get = |key: &str| fields.get(key).and_then(|v| optional(v));
        let uptime =
            text.lines().find_map(|l| l.trim().strip_prefix("Uptime is ")).map(|t| t.trim().to_owned());
        Ok(Version {
            version: get("version").ok_or(field_error(WHAT, "VERSION"))?,
            patch: get("patch"),
            product: get("product"),
            uptime,
        })
    }

    fn vlan(&self, text: &str) -> Result<Vlan, ParseError> {
        const WHAT: &str = "VLAN";
        let fields = record(text);
        Ok(Vlan {
            id: fields.get("vlan_id").and_then(|t| number(t)).ok_or(field_error(WHAT, "VLAN ID"))?,
            name: fields.get("vlan_name").and_then(|t| optional(t)),
            kind: fields.get("vlan_type").cloned().unwrap_or_default(),
        })
    }
}

fn enabled(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "enable" | "on" => Some(true),
        "disable" | "off" => Some(false),
        _ => None,
    }
}
