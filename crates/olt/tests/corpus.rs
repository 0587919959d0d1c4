//! Every Huawei capture of the corpus is parsed to its expectation, or listed below with the reason why not. The
//! corpus is read in place (`LIGHTKEEPER_CORPUS`), never copied.

use olt::{
    clean::clean,
    dialect::{Dialect, ErrorClass},
    huawei::{
        Huawei,
        lex::Record,
        parse::{counts, onu_added},
        shapes::{self, records},
    },
    model::AddressKind,
    parser::{ParseError, ReplyParser},
};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Captures that no parser reads, by file name without `.txt`, with the reason.
const NOT_PARSED: &[(&str, &str)] = &[];

/// Keys of expectations that are not compared, with the reason.
const NOT_COMPARED: &[(&str, &str, &str)] = &[
    (
        "display_ont_info_0_1_2_3__display_ont_info_1",
        "number_max_adaptive_eth",
        "an artefact of the template that made the expectation: the capture has no such number",
    ),
    ("display_ont_info_0_1__display_ont_info_1", "number_max_adaptive_eth", "as above"),
    ("display_ont_info_by-sn_ABC__display_ont_info_1", "number_max_adaptive_eth", "as above"),
    (
        "display_version__display_version",
        "mainboard_type",
        "stands in a heading, not in a field; order tells it",
    ),
];

type Rows = Vec<BTreeMap<String, String>>;

fn corpus() -> Option<PathBuf> {
    match std::env::var_os("LIGHTKEEPER_CORPUS") {
        Some(folder) => Some(PathBuf::from(folder).join("olt-cli")),
        None => {
            println!("skipped: Huawei captures, LIGHTKEEPER_CORPUS not set");
            None
        }
    }
}

/// The subset of YAML that the expectations use: a list of maps of quoted texts, or of lists of them (joined by
/// blanks here).
fn yaml(text: &str) -> Rows {
    let unquote = |t: &str| t.trim().trim_matches('"').to_owned();
    let mut rows: Rows = Vec::new();
    let mut list_key = String::new();
    for line in text.lines().skip_while(|l| !l.starts_with("parsed_sample:")).skip(1) {
        if let Some(item) = line.strip_prefix("      - ") {
            let entry = rows.last_mut().expect("a row").entry(list_key.clone()).or_default();
            if !entry.is_empty() {
                entry.push(' ');
            }
            entry.push_str(&unquote(item));
            continue;
        }
        if line.starts_with("  - ") {
            rows.push(BTreeMap::new());
        }
        let Some((key, value)) = line.trim_start_matches([' ', '-']).split_once(':') else { continue };
        if value.trim().is_empty() {
            list_key = key.to_owned();
        } else {
            rows.last_mut().expect("a row").insert(key.to_owned(), unquote(value));
        }
    }
    rows
}

fn text_of<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(T::to_string).unwrap_or_default()
}

fn cdbm(value: Option<i32>) -> String {
    value.map_or(String::new(), |v| {
        format!("{}{}.{:02}", if v < 0 { "-" } else { "" }, v.abs() / 100, v.abs() % 100)
    })
}

fn row<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()
}

fn state<T: std::fmt::Debug>(state: T) -> String {
    format!("{state:?}").to_lowercase()
}

fn renamed(rows: Vec<Record>, names: &[(&str, &str)]) -> Rows {
    rows.into_iter()
        .map(|mut record| {
            for (ours, theirs) in names {
                if let Some(value) = record.remove(*ours) {
                    record.insert((*theirs).to_owned(), value);
                }
            }
            record
        })
        .collect()
}

/// Reads a capture and shows it with the expectation's names. `None`: no parser for it.
fn read(name: &str, text: &str) -> Option<Result<Rows, ParseError>> {
    let shape = |shape, names: &[(&str, &str)]| records(shape, text).map(|rows| renamed(rows, names));
    let command = name.split("__").next().unwrap_or(name);
    Some(match command {
        _ if command.starts_with("display_ont_autofind") => Huawei.autofind(text).whole().map(|onus| {
            onus.iter()
                .map(|o| {
                    row([
                        ("fsp", o.pon.to_string()),
                        ("serial_number", format!("{} ({})", o.serial.hex16(), o.serial)),
                        ("vendor_id", text_of(&o.vendor)),
                        ("ont_version", text_of(&o.hardware_version)),
                        ("ont_software_version", text_of(&o.software_version)),
                        ("ont_equipment_id", text_of(&o.equipment_id)),
                        ("ont_customized_info", text_of(&o.customized_info)),
                        ("ont_mac", text_of(&o.mac)),
                        ("ont_equipment_serial_number", text_of(&o.equipment_serial)),
                        ("ont_autofind_time", text_of(&o.found_at)),
                    ])
                })
                .collect()
        }),
        "display_ont_info_0_1_2" | "display_ont_info_0" | "display_ont_info" | "displayOnus" => {
            Huawei.onus_of_pon(text).whole().map(|onus| {
                onus.iter()
                    .map(|o| {
                        row([
                            ("fsp", o.pon.to_string()),
                            ("ont_id", o.onu_id.to_string()),
                            ("serial_number", o.serial_text.clone()),
                            ("run_state", state(o.run_state)),
                            ("config_state", state(o.config_state)),
                            ("match_state", state(o.match_state)),
                            ("control_flag", if o.active { "active" } else { "configuring" }.to_owned()),
                            ("description", text_of(&o.description)),
                        ])
                    })
                    .collect()
            })
        }
        "display_ont_info_0_1_2_3"
        | "display_ont_info_0_1"
        | "display_ont_info_by-sn_ABC"
        | "display_ont_info_by-sn" => Huawei.onu(text).map(|o| {
            let mut fields = renamed(
                vec![o.fields.clone()],
                &[
                    ("ont_last_distance_m", "last_distance_m"),
                    ("ont_rtt_tq", "ont_rtt"),
                    ("multicast_mode#2", "service_profile_multicast_mode"),
                    ("multicast_forward_mode", "service_profile_multicast_forward_mode"),
                    ("multicast_forward_vlan", "service_profile_multicast_forward_vlan"),
                ],
            );
            let mut out = fields.remove(0);
            for (kind, line) in
                text.lines().filter_map(|l| l.trim().split_once(' ').map(|(k, _)| (k, l.trim())))
            {
                let mut words = line.split_whitespace().skip(1);
                if ["POTS", "ETH", "TDM", "MOCA", "CATV"].contains(&kind)
                    && let (Some(number), None) = (words.next(), words.next())
                {
                    out.insert(format!("number_{}", kind.to_lowercase()), number.to_owned());
                }
            }
            out.extend(row([
                ("fsp", o.pon.to_string()),
                ("ont_id", o.onu_id.to_string()),
                ("serial_number", o.serial_text.clone()),
                ("run_state", state(o.run_state)),
                ("config_state", state(o.config_state)),
                ("match_state", state(o.match_state)),
                ("description", text_of(&o.description)),
                ("distance_m", text_of(&o.distance_m)),
                ("last_down_cause", text_of(&o.last_down_cause)),
                ("line_profile_id", text_of(&o.line_profile_id)),
                ("service_profile_id", text_of(&o.service_profile_id)),
                (
                    "tr069_management",
                    o.acs_management.map_or("", |on| if on { "Enable" } else { "Disable" }).to_owned(),
                ),
                ("tr069_server_profile_id", text_of(&o.acs_profile_id)),
                ("t_cont", o.tconts.iter().map(u16::to_string).collect::<Vec<_>>().join(" ")),
            ]));
            vec![out]
        }),
        "display_ont_info_summary_ont" => Huawei.onu_summary_of_pon(text).whole().map(|onus| {
            onus.iter()
                .map(|o| {
                    row([
                        ("port", o.pon.to_string()),
                        ("ont_id", o.onu_id.to_string()),
                        ("run_state", state(o.run_state)),
                        ("last_uptime", text_of(&o.last_up)),
                        ("last_downtime", text_of(&o.last_down)),
                        ("last_downcause", text_of(&o.last_down_cause)),
                        ("serial_number", o.serial_text.clone()),
                        ("ont_model_type", text_of(&o.model)),
                        ("distance_m", text_of(&o.distance_m)),
                        ("rx_power_dbm", cdbm(o.rx_power_cdbm)),
                        ("tx_power_dbm", cdbm(o.tx_power_cdbm)),
                        ("description", text_of(&o.description)),
                    ])
                })
                .collect()
        }),
        "display_ont_optical-info_0_all" | "showOpticalModuleInfo" | "display_ont_optical_info" => {
            Huawei.optics_of_pon(text).whole().map(|onus| {
                onus.iter()
                    .map(|o| {
                        row([
                            ("ont_id", o.onu_id.to_string()),
                            ("rx_power", cdbm(o.rx_power_cdbm)),
                            ("tx_power", cdbm(o.tx_power_cdbm)),
                            ("olt_rx_ont", cdbm(o.olt_rx_power_cdbm)),
                            ("temperature", text_of(&o.temperature_c)),
                            (
                                "voltage",
                                o.voltage_mv
                                    .map_or(String::new(), |v| format!("{}.{:03}", v / 1000, v % 1000)),
                            ),
                            ("current", text_of(&o.current_ma)),
                            ("distance", text_of(&o.distance_m)),
                        ])
                    })
                    .collect()
            })
        }
        "display_service-port_all" | "display_service-port_port" | "display_service-port_port_ont" => {
            Huawei.service_ports(text).map(|ports| {
                ports
                    .iter()
                    .map(|p| {
                        row([
                            ("index", p.index.to_string()),
                            ("vlan_id", p.vlan.to_string()),
                            ("vlan_attr", p.vlan_attribute.clone()),
                            ("port_type", p.port_type.clone()),
                            ("fsp", p.pon.to_string()),
                            ("ont_id", text_of(&p.onu_id)),
                            ("gem_index", text_of(&p.gemport)),
                            ("flow_type", p.flow_type.clone()),
                            ("vlan_access", text_of(&p.flow_parameter)),
                            ("rx", text_of(&p.traffic_in)),
                            ("tx", text_of(&p.traffic_out)),
                            ("state", if p.up { "up" } else { "down" }.to_owned()),
                        ])
                    })
                    .collect()
            })
        }
        "displayLineProfiles" | "displayOLTServiceProfiles" => Huawei.profiles(text).map(|profiles| {
            profiles.iter().map(|p| row([("id", p.id.to_string()), ("name", p.name.clone())])).collect()
        }),
        "displayDbaProfiles" => Huawei.dba_profiles(text).map(|profiles| {
            profiles
                .iter()
                .map(|p| row([("id", p.id.to_string()), ("max", p.max_kbps.to_string())]))
                .collect()
        }),
        "displayBoard" | "displaySlots" => Huawei.boards(text).map(|boards| {
            boards
                .iter()
                .map(|b| {
                    row([
                        ("slot", b.slot.to_string()),
                        ("name", b.name.clone()),
                        ("status", b.status.clone()),
                    ])
                })
                .collect()
        }),
        "displayBoards" => shape(shapes::FRAMES, &[]),
        "displayPons" | "displayPon" => Huawei.pon_ports(text).map(|ports| {
            ports.iter().map(|p| row([("port", p.port.to_string()), ("kind", p.kind.clone())])).collect()
        }),
        "displayVlan" => Huawei
            .vlan(text)
            .map(|v| vec![row([("id", v.id.to_string()), ("name", text_of(&v.name)), ("kind", v.kind)])]),
        "display_version" => Huawei.version(text).and_then(|v| {
            let mut boards = shape(shapes::MAINBOARDS, &[])?;
            for board in &mut boards {
                board.extend(row([
                    ("olt_version", v.version.clone()),
                    ("patch", text_of(&v.patch)),
                    ("product", text_of(&v.product)),
                ]));
            }
            Ok(boards)
        }),
        "displayPermissionByUser" => shape(shapes::TERMINAL_USERS, &[]),
        "displayUplinks" => shape(shapes::UPLINKS, &[]),
        "display_board_serial-number" => shape(shapes::BOARD_SERIALS, &[]),
        "display_location" => shape(shapes::MAC_TABLE, &[("service_port_index", "srv_port_index")]),
        "display_mac-address" => shape(shapes::MAC_TABLE, &[]),
        "display_location_aaaa-aaaa-aaaa_ont" => shape(shapes::ONU_LOCATION, &[]),
        "display_mac-address_ont_0_1_2_0" => shape(shapes::ONU_MACS, &[]),
        "display_ont_port_state_0_1_eth-port" => shape(shapes::ONU_PORTS, &[]),
        "display_ont_port_vlan_0_1_byport_eth_0" => shape(shapes::ONU_PORT_VLANS, &[]).map(|mut rows| {
            let common = olt::huawei::lex::record(text);
            for row in &mut rows {
                for key in ["native_vlan", "default_priority", "downstream_mode", "mismatch_policy"] {
                    row.insert(key.to_owned(), common.get(key).cloned().unwrap_or_default());
                }
            }
            rows
        }),
        "display_ont_port_vlan_0_1_byvlan_0" => shape(shapes::ONU_VLAN_PORTS, &[]),
        "display_ont_snmp-profile_0_all" => shape(shapes::ONU_SNMP_PROFILES, &[]),
        "display_ont_version_summary_0" => shape(shapes::ONU_VERSIONS, &[]),
        "display_ont_wan-info_0_1_2_0" => shape(shapes::ONU_WAN, &[]),
        "display_ont_wlan-info_0_1_2_0" => shape(shapes::ONU_WLAN, &[("ssid", "ssid_name")]),
        "display_ont_wlan-status_0_1" => shape(
            shapes::ONU_WLAN_STATUS,
            &[
                ("channel_num", "channel_number"),
                ("txrate_mbps", "tx_rate"),
                ("rxrate_mbps", "rx_rate"),
                ("txrate", "tx_rate"),
                ("rxrate", "rx_rate"),
                ("rssi_dbm", "rssi"),
                ("snr_db", "snr"),
            ],
        ),
        "display_port_info" => shape(shapes::PORT_INFO, &[("f_s_p", "fsp")]),
        "display_sysman_service_state" => shape(shapes::SERVICES, &[]),
        "display_temperature" => shape(shapes::TEMPERATURES, &[]),
        "port_vlan" => shape(shapes::PORT_VLAN_RESULT, &[]),
        "ont_add" | "ont_delete" | "service-port" | "undo_service-port" => Ok(vec![write_result(text)]),
        "errors" => Ok(vec![]),
        _ => return None,
    })
}

fn write_result(text: &str) -> BTreeMap<String, String> {
    let verdict = Dialect::huawei_smartax().expect("the dialect").classify(text);
    let message = match verdict {
        olt::dialect::Verdict::Accepted => String::new(),
        olt::dialect::Verdict::Rejected { message, .. } => message,
    };
    let mut out = row([("error", message.clone()), ("ok", message.is_empty().to_string())]);
    if let Some((asked, done)) = counts(text) {
        out.extend(row([
            ("onts", asked.to_string()),
            ("success", done.to_string()),
            ("requested", asked.to_string()),
            ("deleted", done.to_string()),
        ]));
    }
    if let Some(id) = onu_added(text) {
        out.insert("ont_id".into(), id.to_string());
    }
    out
}

/// Blanks inside `0 /1 /0`, the case of MACs and of state words are notation, not content.
fn comparable(key: &str, text: &str) -> String {
    match key {
        "fsp" | "port" if text.contains('/') => text.replace(' ', ""),
        "ont_mac" => text.parse::<types::Mac>().map_or_else(|_| text.to_owned(), |m| m.to_string()),
        "distance_m" if text == "-" => String::new(),
        _ => text.trim().to_owned(),
    }
}

fn compare(name: &str, got: &Rows, want: &Rows, wrong: &mut Vec<String>) {
    if got.len() != want.len() {
        wrong.push(format!("{name}: {} rows, {} wanted", got.len(), want.len()));
        return;
    }
    for (number, (got, want)) in got.iter().zip(want).enumerate() {
        for (key, want) in want {
            if NOT_COMPARED.iter().any(|(n, k, _)| *n == name && k == key) {
                continue;
            }
            // States outside the vocabulary of the product are `unknown`; the pure table parser keeps no number,
            // password or registration keys of autofind.
            let skipped =
                ["number", "password", "loid", "checkcode", "multi_channel", "protect_side", "port_id"];
            let autofind_or_list = name.starts_with("display_ont_autofind")
                || name.starts_with("display_ont_info_0")
                || name.starts_with("ont_add");
            if autofind_or_list && skipped.contains(&key.as_str()) {
                continue;
            }
            let known = got.get(key).map_or("", String::as_str);
            if known == "unknown"
                && key.ends_with("_state")
                && !["normal", "failed", "initial"].contains(&want.as_str())
            {
                continue;
            }
            if comparable(key, known) != comparable(key, want) {
                wrong.push(format!("{name} row {number}: {key} is {known:?}, {want:?} wanted"));
            }
        }
    }
}

fn read_text(path: &Path) -> String {
    clean(&std::fs::read(path).expect("a readable file"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("the folder").map(|e| e.expect("an entry").path()).collect();
    files.sort();
    files
}

fn stem(path: &Path) -> String {
    path.file_stem().expect("a name").to_string_lossy().into_owned()
}

#[test]
fn every_capture_is_parsed_or_listed() {
    let Some(folder) = corpus() else { return };
    let (mut compared, mut parsed) = (0, 0);
    let mut wrong = Vec::new();
    let captures = files(&folder.join("captures/huawei"));
    let expectations = files(&folder.join("parsed/huawei"));
    assert!(captures.len() >= 60, "only {} captures found", captures.len());
    for path in &captures {
        assert!(
            path.is_file() && path.extension().is_some_and(|e| e == "txt"),
            "{}: what is it?",
            path.display()
        );
    }
    // No expectation is left over: each has its capture, and one of the tests reads its kind.
    for path in &expectations {
        let name = stem(path);
        assert!(
            captures.iter().any(|capture| stem(capture) == name),
            "{name}: an expectation without a capture"
        );
        assert!(
            path.extension().is_some_and(|e| e == "yml" || e == "json"),
            "{}: nobody reads it",
            path.display()
        );
    }
    for path in &captures {
        let name = stem(path);
        let listed = NOT_PARSED.iter().find(|(n, _)| *n == name);
        let Some(result) = read(&name, &read_text(path)) else {
            match listed {
                Some((_, why)) => println!("{name}: not parsed: {why}"),
                None => wrong.push(format!("{name}: neither parsed nor listed")),
            }
            continue;
        };
        if listed.is_some() {
            wrong.push(format!("{name}: listed as not parsed, but it is"));
        }
        let got = match result {
            Ok(rows) => rows,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        parsed += 1;
        let against: Vec<String> = expectations
            .iter()
            .filter(|path| stem(path) == name)
            .filter_map(|path| Some(path.extension()?.to_string_lossy().into_owned()))
            .collect();
        let against = if against.is_empty() { "nothing".to_owned() } else { against.join(", ") };
        println!("{name}: {} rows, compared with {against}", got.len());
        let yml = folder.join("parsed/huawei").join(format!("{name}.yml"));
        if yml.exists() {
            compared += 1;
            compare(&name, &got, &yaml(&read_text(&yml)), &mut wrong);
        } else if got.is_empty()
            && !["display_ont_autofind__empty", "errors__catalogue"].contains(&name.as_str())
        {
            wrong.push(format!("{name}: parsed to nothing"));
        }
    }
    let json = expectations.iter().filter(|path| path.extension().is_some_and(|e| e == "json")).count();
    println!(
        "{parsed} of {} captures parsed, {compared} compared row by row with YAML here, {json} with JSON beside this, {} \
         listed as not parsed",
        captures.len(),
        NOT_PARSED.len()
    );
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

fn capture(folder: &Path, name: &str) -> (String, serde_json::Value) {
    let text = read_text(&folder.join("captures/huawei").join(format!("{name}.txt")));
    let json =
        std::fs::read(folder.join("parsed/huawei").join(format!("{name}.json"))).expect("the expectation");
    (text, serde_json::from_slice(&json).expect("JSON"))
}

#[test]
fn json_expectations_hold() {
    let Some(folder) = corpus() else { return };
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.join("parsed/huawei")).expect("the expectations") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        seen += 1;
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let (text, want) = capture(&folder, &name);
        let rows = want.get("rows").and_then(|r| r.as_array()).cloned();
        if name.starts_with("display_ont_autofind") {
            let rows = rows.expect("rows");
            let got = Huawei.autofind(&text).whole().expect("detected ONUs");
            assert_eq!(got.len(), rows.len(), "{name}");
            for (got, want) in got.iter().zip(&rows) {
                assert_eq!(want["sn"], got.serial.hex16());
                assert_eq!(want["sn_ascii"], got.serial.to_string());
                assert_eq!(want["fsp"], got.pon.to_string());
                assert_eq!(want["vendor"].as_str(), got.vendor.as_deref());
                assert_eq!(want["model"].as_str(), got.equipment_id.as_deref());
                assert_eq!(want["sw"].as_str(), got.software_version.as_deref());
                assert_eq!(want["time"].as_str(), got.found_at.as_deref());
            }
        } else if name.starts_with("display_service-port") {
            let rows = rows.expect("rows");
            let got = Huawei.service_ports(&text).expect("service ports");
            assert_eq!(got.len(), rows.len(), "{name}");
            for (got, want) in got.iter().zip(&rows) {
                let number = |key: &str| want[key].as_u64().and_then(|n| u32::try_from(n).ok());
                assert_eq!(number("index"), Some(got.index));
                assert_eq!(number("vlan"), Some(u32::from(got.vlan)));
                assert_eq!(want["fsp"], got.pon.to_string());
                assert_eq!(number("ont"), got.onu_id.map(u32::from));
                assert_eq!(number("gem"), got.gemport.map(u32::from));
                assert_eq!(number("user_vlan"), got.user_vlan.map(u32::from));
                assert_eq!((number("rx"), number("tx")), (got.traffic_in, got.traffic_out));
                assert_eq!(want["state"] == "up", got.up);
            }
        } else if name == "display_ont_info_by-sn__wrapped_description" {
            let got = Huawei.onu(&text).expect("an ONU");
            assert_eq!(want["description"].as_str(), got.description.as_deref());
            assert_eq!(want["sn"].as_str(), got.serial.map(|s| s.hex16()).as_deref());
            assert_eq!(
                (want["fsp"].as_str(), want["ont"].as_u64()),
                (Some(got.pon.to_string().as_str()), Some(got.onu_id.into()))
            );
            assert_eq!(want["line_profile"].as_u64(), got.line_profile_id.map(u64::from));
            assert_eq!(want["srv_profile"].as_u64(), got.service_profile_id.map(u64::from));
            let states = [state(got.run_state), state(got.config_state), state(got.match_state)];
            assert_eq!(
                states.each_ref().map(|s| Some(s.as_str())),
                [want["run"].as_str(), want["config"].as_str(), want["match"].as_str()]
            );
        } else if name == "errors__catalogue" {
            let dialect = Dialect::huawei_smartax().expect("the dialect");
            let classes = [
                ("retryable", vec![ErrorClass::Busy]),
                ("idempotent", vec![ErrorClass::AlreadySet, ErrorClass::Duplicate]),
                ("empty", vec![ErrorClass::Empty]),
            ];
            for (kind, classes) in classes {
                for words in want[kind].as_array().expect("a list") {
                    let words = words.as_str().expect("words");
                    let message =
                        text.lines().find(|l| l.contains(words)).unwrap_or_else(|| panic!("{words}"));
                    let class = dialect.class_of(message.trim());
                    assert!(classes.contains(&class), "{message} is {class:?}");
                }
            }
            // Every refusal of the catalogue has a meaning.
            let joined = text.replace("virtual\n  ports", "virtual ports");
            for line in joined.lines().filter(|l| l.contains("Failure:") || l.trim_start().starts_with('%')) {
                let class = dialect.classify(line).class();
                assert!(class.is_some_and(|c| c != ErrorClass::Unknown), "{line}: {class:?}");
            }
        } else {
            let got = write_result(&text);
            assert_eq!(want["ok"].as_bool(), Some(got["ok"] == "true"), "{name}: {got:?}");
            if let Some(error) = want["error"].as_str() {
                assert_eq!(error, got["error"], "{name}");
            }
            for key in ["requested", "deleted"] {
                if let Some(number) = want[key].as_u64() {
                    assert_eq!(number.to_string(), got[key], "{name} {key}");
                }
            }
        }
    }
    assert!(seen >= 12, "only {seen} expectations found");
}

/// What an ONU reports of its WANs: only the one its TR-069 client speaks from counts.
#[test]
fn the_management_wan_is_found_among_the_others() {
    let Some(folder) = corpus() else { return };
    let name = "display_ont_wan-info_0_1_2_0__display_ont_wan-info_0_1_2_0";
    let text = read_text(&folder.join("captures/huawei").join(format!("{name}.txt")));
    assert_eq!(records(shapes::ONU_WAN, &text).expect("records").len(), 6);
    let rows = Huawei.management_wans_of_onu(&text).expect("a WAN");
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.ip_index, row.kind), (1, AddressKind::Static));
    assert_eq!(row.address, Some([1, 1, 1, 1].into()));
    assert_eq!((row.vlan, row.priority), (Some(1000), Some(5)));
    assert_eq!(row.mac.map(|mac| mac.to_string()).as_deref(), Some("AA:AA:AA:AA:AA:AA"));
}

/// The terminal does its work for other vendors' noise, too.
#[test]
fn recordings_with_cursor_moves_become_plain_rows() {
    let Some(folder) = corpus() else { return };
    let read = |path: &str| read_text(&folder.join("captures").join(path));
    let zte = read("zte/show_gpon_onu_state__c300_with_pager_erase.txt");
    let rows: Vec<&str> = zte.lines().filter(|l| l.starts_with("1/2/")).collect();
    assert_eq!(rows.len(), 5, "{zte}");
    for (path, fields) in
        [("vsol/show_onu_info__v1600g1_ansi.txt", 5), ("vsol/show_onu_state__v1600g1_ansi.txt", 5)]
    {
        let text = read(path);
        let rows = text.lines().filter(|l| l.starts_with("GPON") || l.starts_with("1/1/"));
        let counts: Vec<usize> = rows.map(|l| l.split_whitespace().count()).collect();
        assert!(counts.len() >= 2 && counts.iter().all(|c| *c == fields), "{path}: {counts:?}\n{text}");
    }
    for text in [zte, read("vsol/show_onu_auto-find__v1600g1_ansi.txt")] {
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text}");
    }
}
