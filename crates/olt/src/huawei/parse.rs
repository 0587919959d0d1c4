//! Replies of SmartAX OLTs into rows. Headers, notes and dashed lines are passed over; a line that looks like a row and
//! cannot be read is an error, and so is a table whose declared total differs from its rows. Lists of ONUs, which hold
//! text of people and of ONUs, are read row by row instead (`lists.rs`).

use super::{
    Huawei,
    lex::{self, number, optional, record, value},
    lists, tables,
};
use crate::{
    model::{
        AcsProfile, AddressKind, Board, ConfigState, DbaProfile, DetectedOnu, LineProfile, ManagementRow,
        MatchState, OnuOptics, OnuRecord, OnuRow, OnuSummary, PonPort, ProfileRow, RunState, ServicePortRow,
        Version, Vlan,
    },
    parser::{ParseError, ReplyParser, Table},
};
use std::net::Ipv4Addr;

pub(super) fn run_state(text: &str) -> RunState {
    match text {
        "online" => RunState::Online,
        "offline" => RunState::Offline,
        _ => RunState::Unknown,
    }
}

pub(super) fn config_state(text: &str) -> ConfigState {
    match text {
        "initial" => ConfigState::Initial,
        "config" | "configuring" => ConfigState::Configuring,
        "normal" => ConfigState::Normal,
        "failed" => ConfigState::Failed,
        _ => ConfigState::Unknown,
    }
}

pub(super) fn match_state(text: &str) -> MatchState {
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

pub(super) fn row_error(what: &'static str, row: &str) -> ParseError {
    ParseError::Row { what, row: row.trim().chars().take(160).collect() }
}

pub(super) fn field_error(what: &'static str, field: &'static str) -> ParseError {
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
    fn autofind(&self, text: &str) -> Table<DetectedOnu> {
        lists::autofind(text)
    }

    fn onus_of_pon(&self, text: &str) -> Table<OnuRow> {
        lists::onus_of_pon(text)
    }

    fn onu(&self, text: &str) -> Result<OnuRecord, ParseError> {
        const WHAT: &str = "ONU information";
        let mut fields = record(text);
        // What decides about an ONU is said once. A description that holds line ends can say it again.
        for label in ["f_s_p", "ont_id", "sn", "run_state", "line_profile_id", "service_profile_id"] {
            let again = fields.get(&format!("{label}#2"));
            if again.is_some_and(|again| fields.get(label) != Some(again)) {
                return Err(ParseError::Twice { what: WHAT, thing: label.to_owned() });
            }
        }
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

    fn onu_summary_of_pon(&self, text: &str) -> Table<OnuSummary> {
        lists::onu_summary_of_pon(text)
    }

    fn optics_of_pon(&self, text: &str) -> Table<OnuOptics> {
        lists::optics_of_pon(text)
    }

    fn acs_profile(&self, text: &str) -> Result<AcsProfile, ParseError> {
        const WHAT: &str = "TR-069 server profile";
        let fields = record(text);
        let get = |key: &str| fields.get(key).and_then(|value| optional(value));
        Ok(AcsProfile {
            id: fields.get("profile_id").and_then(|t| number(t)).ok_or(field_error(WHAT, "Profile-ID"))?,
            name: get("profile_name").unwrap_or_default(),
            // No recorded session shows this reply; working automation names the field so.
            url: get("url").or_else(|| get("acs_url")).or_else(|| get("server_url")),
        })
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
