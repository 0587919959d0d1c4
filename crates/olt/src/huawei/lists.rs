//! Lists of ONUs. They hold text that customers, other tools and the ONUs themselves chose: names, descriptions, models.
//!
//! **Invariant.** Such text costs at most its own row. What a line is, is told by where it stands (headers and totals
//! follow a long dashed line, rows begin at the left, folded text far to the right) and never by words in it. A row that
//! cannot be read is missing, one that is told twice is believed in neither form, and the list is only complete when the
//! OLT's own count agrees.

use super::{
    lex::{self, number, optional, record},
    parse::{config_state, field_error, match_state, row_error, run_state},
    tables,
};
use crate::{
    model::{DetectedOnu, OnuOptics, OnuRow, OnuSummary},
    parser::{ParseError, Table},
};
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};
use types::{PonPath, Serial};

/// Dashed lines around headers are longer than any description an OLT takes.
const LONG_RULE: usize = 60;
/// Text that an OLT folds goes on at least so far to the right.
const FOLD: usize = 10;
/// Characters kept of a description, folds joined.
const LONGEST: usize = 256;

/// Whether a line stands where headers and totals may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// At the start, after a long dashed line, or after a total.
    Border,
    /// After anything else.
    Text,
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn is_border(line: &str) -> bool {
    lex::is_rule(line) && indent(line) < FOLD && line.trim().len() >= LONG_RULE
}

/// What the OLT says how many there are, by port.
#[derive(Debug, Default)]
struct Totals {
    said: BTreeMap<PonPath, usize>,
    doubtful: bool,
}

impl Totals {
    /// Takes a line that is a total; says for which port.
    fn take<T>(&mut self, what: &'static str, line: &str, out: &mut Table<T>) -> Option<PonPath> {
        let captures = tables::ONU_TOTAL.captures(line)?;
        let (Ok(pon), Ok(total)) = (captures["fsp"].parse(), captures["total"].parse()) else {
            self.doubtful = true;
            out.remark(row_error(what, line));
            return None;
        };
        match self.said.entry(pon) {
            Entry::Vacant(place) => drop(place.insert(total)),
            Entry::Occupied(place) if *place.get() == total => {}
            Entry::Occupied(_) => {
                self.doubtful = true;
                out.remark(ParseError::Twice { what, thing: format!("the total of {pon}") });
            }
        }
        Some(pon)
    }

    fn check<T>(&self, what: &'static str, found: &BTreeMap<PonPath, usize>, out: &mut Table<T>) {
        let ports: BTreeSet<&PonPath> = self.said.keys().chain(found.keys()).collect();
        out.counted = !self.said.is_empty() && !self.doubtful;
        for pon in ports {
            let found = found.get(pon).copied().unwrap_or(0);
            match self.said.get(pon) {
                Some(declared) if *declared != found => {
                    out.counted = false;
                    out.miss(ParseError::Total { what, declared: *declared, found });
                }
                Some(_) => {}
                None => out.counted = false,
            }
        }
    }
}

/// `display ont autofind …`
pub(super) fn autofind(text: &str) -> Table<DetectedOnu> {
    const WHAT: &str = "list of detected ONUs";
    let mut out = Table::empty();
    for section in lex::sections(text) {
        let fields = record(&section);
        // Keys differ between versions; every block has its number.
        if !fields.contains_key("number") {
            continue;
        }
        let read = || {
            let serial_text = fields.get("ont_sn").ok_or(field_error(WHAT, "Ont SN"))?;
            let serial: Serial = serial_text.parse().map_err(|_| row_error(WHAT, serial_text))?;
            let pon_text = fields.get("f_s_p").ok_or(field_error(WHAT, "F/S/P"))?;
            let pon: PonPath = pon_text.parse().map_err(|_| row_error(WHAT, pon_text))?;
            // A value with line ends in it says things again.
            for label in ["number", "f_s_p", "ont_sn"] {
                if fields.contains_key(&format!("{label}#2")) {
                    return Err(ParseError::Twice { what: WHAT, thing: format!("{label} of {serial}") });
                }
            }
            let get = |key: &str| fields.get(key).and_then(|v| optional(v));
            Ok(DetectedOnu {
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
            })
        };
        match read() {
            Ok(onu) => out.rows.push(onu),
            Err(why) => out.miss(why),
        }
    }
    out
}

/// Where in `display ont info F S P all` one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// States; the description may be the last column.
    States { described: bool },
    /// The second table.
    Descriptions,
}

type Place = (PonPath, u16);

/// `display ont info F S P all`
pub(super) fn onus_of_pon(text: &str) -> Table<OnuRow> {
    const WHAT: &str = "list of ONUs";
    let mut out = Table::empty();
    let mut rows: BTreeMap<Place, OnuRow> = BTreeMap::new();
    let mut told_twice: BTreeSet<Place> = BTreeSet::new();
    let mut descriptions = Descriptions::default();
    let mut totals = Totals::default();
    let mut part = Part::States { described: false };
    let mut before = Before::Border;
    // The row whose description may go on.
    let mut last: Option<Place> = None;
    for line in text.lines() {
        if is_border(line) {
            (before, last) = (Before::Border, None);
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        if before == Before::Border {
            if totals.take(WHAT, line, &mut out).is_some() {
                part = Part::States { described: false };
                continue;
            }
            if let Some(captures) = tables::ONU_LIST_HEADER.captures(line) {
                let described = captures.name("last").is_some_and(|m| m.as_str() == "Description");
                (part, before, last) = (Part::States { described }, Before::Text, None);
                continue;
            }
            if tables::ONU_DESCRIPTION_HEADER.is_match(line) {
                (part, before, last) = (Part::Descriptions, Before::Text, None);
                continue;
            }
        }
        before = Before::Text;
        match part {
            Part::States { described } => {
                if !tables::PORT_ROW.is_match(line) {
                    // The second line of the header, or a fold of the last column.
                    if described && indent(line) >= FOLD {
                        descriptions.go_on(last, line);
                    }
                    continue;
                }
                last = None;
                let Some(row) = onu_row(line) else {
                    out.miss(row_error(WHAT, line));
                    continue;
                };
                let (row, text) = row;
                let place = (row.pon, row.onu_id);
                match rows.entry(place) {
                    Entry::Vacant(free) => {
                        if described {
                            descriptions.begin(place, &text);
                            last = Some(place);
                        }
                        free.insert(row);
                    }
                    Entry::Occupied(known) if *known.get() == row => {}
                    Entry::Occupied(_) => drop(told_twice.insert(place)),
                }
            }
            Part::Descriptions => {
                if let Some(captures) = tables::ONU_DESCRIPTION_ROW.captures(line)
                    && let (Ok(pon), Ok(id)) = (captures["fsp"].parse(), captures["id"].parse())
                {
                    let place = (pon, id);
                    descriptions.begin(place, captures.name("description").map_or("", |m| m.as_str()));
                    last = Some(place);
                } else if indent(line) >= FOLD {
                    descriptions.go_on(last, line);
                } else {
                    last = None;
                    out.remark(row_error(WHAT, line));
                }
            }
        }
    }
    for (pon, id) in told_twice {
        rows.remove(&(pon, id));
        descriptions.texts.remove(&(pon, id));
        out.miss(ParseError::Twice { what: WHAT, thing: format!("{pon} {id}") });
    }
    let mut found: BTreeMap<PonPath, usize> = BTreeMap::new();
    for (place, mut row) in rows {
        *found.entry(place.0).or_default() += 1;
        row.description = descriptions.of(place);
        out.rows.push(row);
    }
    for (pon, id) in descriptions.texts.into_keys().take(3) {
        let row = format!("{pon} {id}: a description without its ONU");
        out.remark(ParseError::Row { what: WHAT, row });
    }
    for (pon, id) in descriptions.twice {
        out.remark(ParseError::Twice { what: WHAT, thing: format!("the description of {pon} {id}") });
    }
    totals.check(WHAT, &found, &mut out);
    out
}

/// A row without its description, and what stands in its last column.
fn onu_row(line: &str) -> Option<(OnuRow, String)> {
    let captures = tables::ONU_ROW.captures(line)?;
    let serial_text = captures["sn"].to_owned();
    let row = OnuRow {
        pon: captures["fsp"].parse().ok()?,
        onu_id: captures["id"].parse().ok()?,
        serial: serial_text.parse().ok(),
        serial_text,
        active: &captures["control"] == "active",
        run_state: run_state(&captures["run"]),
        config_state: config_state(&captures["config"]),
        match_state: match_state(&captures["match"]),
        description: None,
    };
    Some((row, captures.name("last").map_or("", |m| m.as_str()).to_owned()))
}

/// Descriptions by place.
#[derive(Debug, Default)]
struct Descriptions {
    texts: BTreeMap<Place, String>,
    /// Described more than once: whose text it is nobody knows.
    twice: BTreeSet<Place>,
}

impl Descriptions {
    fn begin(&mut self, place: Place, text: &str) {
        if self.texts.insert(place, text.trim().chars().take(LONGEST).collect()).is_some() {
            self.twice.insert(place);
        }
    }

    fn go_on(&mut self, place: Option<Place>, line: &str) {
        if let Some(text) = place.and_then(|place| self.texts.get_mut(&place)) {
            let room = LONGEST.saturating_sub(text.chars().count());
            text.extend(line.trim().chars().take(room));
        }
    }

    fn of(&mut self, place: Place) -> Option<String> {
        let text = self.texts.remove(&place)?;
        if self.twice.contains(&place) { None } else { optional(&text) }
    }
}

/// `display ont info summary F/S/P`
pub(super) fn onu_summary_of_pon(text: &str) -> Table<OnuSummary> {
    const WHAT: &str = "ONU summary";
    #[derive(Clone, Copy, PartialEq)]
    enum Half {
        Neither,
        Times,
        Light,
    }
    let mut out = Table::empty();
    let mut half = Half::Neither;
    let mut pon: Option<PonPath> = None;
    let mut totals = Totals::default();
    let mut before = Before::Border;
    let mut rows: BTreeMap<Place, OnuSummary> = BTreeMap::new();
    let mut lit: BTreeSet<Place> = BTreeSet::new();
    let mut told_twice: BTreeSet<Place> = BTreeSet::new();
    for line in text.lines() {
        if is_border(line) {
            before = Before::Border;
            continue;
        }
        if line.trim().is_empty() {
            continue;
        }
        if before == Before::Border {
            if let Some(port) = totals.take(WHAT, line, &mut out) {
                (pon, half) = (Some(port), Half::Neither);
                continue;
            }
            let header = if tables::SUMMARY_TIME_HEADER.is_match(line) {
                Some(Half::Times)
            } else if tables::SUMMARY_LIGHT_HEADER.is_match(line) {
                Some(Half::Light)
            } else {
                None
            };
            if let Some(header) = header {
                (half, before) = (header, Before::Text);
                continue;
            }
        }
        before = Before::Text;
        if half == Half::Neither || !tables::SUMMARY_ROW.is_match(line) {
            continue;
        }
        let Some(pon) = pon else {
            out.miss(field_error(WHAT, "port line"));
            continue;
        };
        match half {
            Half::Neither => {}
            Half::Times => match times_row(pon, line) {
                Some(row) => match rows.entry((pon, row.onu_id)) {
                    Entry::Vacant(free) => drop(free.insert(row)),
                    Entry::Occupied(known) => drop(told_twice.insert(*known.key())),
                },
                None => out.miss(row_error(WHAT, line)),
            },
            Half::Light => {
                let known = tables::SUMMARY_LIGHT_ROW.captures(line).and_then(|captures| {
                    let id: u16 = captures["id"].parse().ok()?;
                    Some((rows.get_mut(&(pon, id))?, captures))
                });
                let Some((row, captures)) = known else {
                    out.miss(row_error(WHAT, line));
                    continue;
                };
                let place = (pon, row.onu_id);
                if !lit.insert(place) {
                    told_twice.insert(place);
                    continue;
                }
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
    for (pon, id) in told_twice {
        rows.remove(&(pon, id));
        out.miss(ParseError::Twice { what: WHAT, thing: format!("{pon} {id}") });
    }
    let mut found: BTreeMap<PonPath, usize> = BTreeMap::new();
    for (place, row) in rows {
        *found.entry(place.0).or_default() += 1;
        if !lit.contains(&place) {
            out.miss(ParseError::Row { what: WHAT, row: format!("{} {}: no light", place.0, place.1) });
        }
        out.rows.push(row);
    }
    totals.check(WHAT, &found, &mut out);
    out
}

/// `display ont optical-info P all`, and the form for one ONU. Rows are of ids only: whose they are is for the list of
/// ONUs to say.
pub(super) fn optics_of_pon(text: &str) -> Table<OnuOptics> {
    const WHAT: &str = "optics table";
    let mut out = Table { counted: false, ..Table::empty() };
    let fields = record(text);
    if let Some(id) = fields.get("ont_id") {
        let get = |key: &str| fields.get(key).map_or("", String::as_str);
        match id.parse() {
            Ok(onu_id) => out.rows.push(OnuOptics {
                onu_id,
                rx_power_cdbm: lex::hundredths(get("rx_optical_power_dbm")),
                tx_power_cdbm: lex::hundredths(get("tx_optical_power_dbm")),
                olt_rx_power_cdbm: lex::hundredths(get("olt_rx_ont_optical_power_dbm")),
                temperature_c: lex::hundredths(get("temperature_c")).map(|t| t / 100),
                voltage_mv: lex::hundredths(get("voltage_v")).map(|v| v * 10),
                current_ma: lex::hundredths(get("bias_current_ma"))
                    .or_else(|| lex::hundredths(get("laser_bias_current_ma")))
                    .map(|c| c / 100),
                distance_m: number(get("ont_distance_m")),
            }),
            Err(_) => out.miss(field_error(WHAT, "ONT-ID")),
        }
        return out;
    }
    let mut rows: BTreeMap<u16, OnuOptics> = BTreeMap::new();
    let mut told_twice: BTreeSet<u16> = BTreeSet::new();
    for line in text.lines().filter(|line| tables::NUMBER_ROW.is_match(line)) {
        let read = tables::OPTICS_ROW.captures(line).and_then(|captures| {
            Some(OnuOptics {
                onu_id: captures["id"].parse().ok()?,
                rx_power_cdbm: lex::hundredths(&captures["rx"]),
                tx_power_cdbm: lex::hundredths(&captures["tx"]),
                olt_rx_power_cdbm: lex::hundredths(&captures["olt"]),
                temperature_c: number(&captures["temperature"]),
                voltage_mv: lex::hundredths(&captures["voltage"]).map(|v| v * 10),
                current_ma: number(&captures["current"]),
                distance_m: number(&captures["distance"]),
            })
        });
        match read {
            None => out.miss(row_error(WHAT, line)),
            Some(row) => match rows.entry(row.onu_id) {
                Entry::Vacant(free) => drop(free.insert(row)),
                Entry::Occupied(known) if *known.get() == row => {}
                Entry::Occupied(known) => drop(told_twice.insert(*known.key())),
            },
        }
    }
    for id in told_twice {
        rows.remove(&id);
        out.miss(ParseError::Twice { what: WHAT, thing: format!("the light of ONU {id}") });
    }
    out.rows.extend(rows.into_values());
    out
}

fn times_row(pon: PonPath, line: &str) -> Option<OnuSummary> {
    let captures = tables::SUMMARY_TIME_ROW.captures(line)?;
    Some(OnuSummary {
        pon,
        onu_id: captures["id"].parse().ok()?,
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
    })
}
