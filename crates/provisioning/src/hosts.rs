//! Reading what is connected to a device: its hosts, and the stations of its Wi-Fi with band and signal. Nothing is written.

use crate::{
    Findings, OrderNews,
    care::CareStep,
    diagnose::{Diagnosing, Wanted},
    diagnosis::text,
    findings::{number, signal_dbm},
    order::{Order, OrderState},
    session::Purpose,
    talk::{DeviceReply, DeviceRequest, NameInfo},
    tested::unread_sentence,
    work::{Move, Work},
};
use profiles::cpe::HostTable;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use types::names_a_secret;

/// Rows of all tables together that are read.
const MOST_ROWS: usize = 256;
/// Of them stations of Wi-Fi, which come first: what is certainly connected is not lost among what once was.
const MOST_STATIONS: usize = 128;
/// Reads for all rows together. A session has 60 requests, and the rest is for finding what to read.
const MOST_READS: usize = 40;
/// Names of rows that are looked at. Of a real device there are some hundreds.
const MOST_NAMES: usize = 8000;
/// Names in one read.
const NAMES_PER_READ: u32 = 32;
/// kbit/s beyond which no radio sends.
const FASTEST_KBPS: u64 = 100_000_000;

/// Something that is connected to a device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// MAC address, as colons and capitals where it is one.
    pub mac: String,
    /// IP address.
    pub ip: String,
    /// Name that it gave.
    pub name: String,
    /// The device's word for the port, e.g. `Ethernet` or `802.11`.
    pub interface: String,
    /// It is connected now, as the device says; several say so of what left long ago.
    pub active: Option<bool>,
    /// It is in the list of a Wi-Fi network: that it is connected now is certain.
    pub wifi: bool,
    /// `2.4GHz`, `5GHz` or `6GHz`; empty if it is not known.
    pub band: String,
    /// How the device hears it, dBm.
    pub signal_dbm: Option<i32>,
    /// Last rate towards it, kbit/s.
    pub down_kbps: Option<u32>,
    /// Last rate from it, kbit/s.
    pub up_kbps: Option<u32>,
}

/// A MAC address as everybody writes it; anything else as it came.
fn mac_of(said: &str) -> String {
    let digits: String =
        said.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_uppercase();
    if digits.len() != 12 || said.chars().any(|c| !c.is_ascii_hexdigit() && !":-. ".contains(c)) {
        return text(said);
    }
    let pairs: Vec<&str> = (0..6).map(|at| &digits[at * 2..at * 2 + 2]).collect();
    pairs.join(":")
}

/// The band by its name, or by a channel of it. Channels of 6 GHz have the numbers of the others: only a name tells them.
fn band_of(said: &str) -> String {
    let said = said.trim();
    match said.parse::<u32>() {
        Ok(1..=14) => "2.4GHz".to_owned(),
        Ok(32..=177) => "5GHz".to_owned(),
        Ok(_) => String::new(),
        Err(_) => ["2.4", "5", "6"]
            .into_iter()
            .find(|band| {
                said.starts_with(band) && said[band.len()..].trim().to_ascii_lowercase().starts_with('g')
            })
            .map(|band| format!("{band}GHz"))
            .unwrap_or_default(),
    }
}

/// A row as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub wifi: bool,
    pub band: String,
    pub leaves: BTreeMap<String, String>,
}

/// Rows of all tables, put together by MAC address.
pub(crate) fn connected(rows: &[Row]) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    for row in rows {
        let said = |word: &str| row.leaves.get(word).map(String::as_str).unwrap_or_default();
        let mac = mac_of(said("mac"));
        // Devices keep empty rows.
        if mac.is_empty() || mac == "00:00:00:00:00:00" {
            continue;
        }
        let at = hosts.iter().position(|host| host.mac == mac).unwrap_or_else(|| {
            hosts.push(Host { mac: mac.clone(), ..Host::default() });
            hosts.len() - 1
        });
        let host = &mut hosts[at];
        let active = match said("active").trim().to_ascii_lowercase().as_str() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        };
        // Of several rows for one, such as an old lease and a new one, that counts which is said to be in use.
        let better = active == Some(true) && host.active != Some(true);
        let fill = |place: &mut String, said: &str| {
            let said = text(said);
            if place.is_empty() || (better && !said.is_empty()) {
                *place = said;
            }
        };
        fill(&mut host.ip, said("ip"));
        fill(&mut host.name, said("name"));
        fill(&mut host.interface, said("interface"));
        host.active = if better { active } else { host.active.or(active) };
        // A station may be listed after it left, and must be marked then (TR-181 AssociatedDevice.Active).
        host.wifi |= row.wifi && active != Some(false);
        if host.band.is_empty() {
            host.band = band_of(&row.band);
        }
        host.signal_dbm = host.signal_dbm.or_else(|| signal_dbm(said("signal")));
        let rate = |word: &str| number(said(word), FASTEST_KBPS).filter(|kbps| *kbps > 0);
        host.down_kbps = host.down_kbps.or_else(|| rate("down"));
        host.up_kbps = host.up_kbps.or_else(|| rate("up"));
    }
    // What is connected for certain first, then what the device says is, then the rest.
    hosts.sort_by_key(|host| (!host.wifi, host.active != Some(true)));
    hosts
}

impl<'a> Work<'a> {
    /// Sends the next request of reading what is connected, or ends it.
    pub(crate) fn read_hosts(&mut self, order: &'a Order) -> Move {
        let Some(profile) = self.profile_or_nominee() else {
            return self.hosts_not_read(order, "It is not known which family the router is of.");
        };
        if profile.hosts.is_empty() {
            let why = format!("Where {} lists its hosts is not known.", profile.title);
            return self.hosts_not_read(order, &why);
        }
        let test = self.session().diagnosing.as_ref().filter(|test| test.key == order.key).cloned();
        let mut test =
            test.unwrap_or_else(|| Box::new(Diagnosing { key: order.key.clone(), ..Diagnosing::default() }));
        let purpose = |care| Purpose::Care { key: order.key.clone(), care };
        let objects: BTreeSet<&str> = profile.hosts.iter().map(HostTable::object).collect();
        if let Some(object) = objects.iter().nth(test.missing) {
            let object = (*object).to_owned();
            self.session().diagnosing = Some(test);
            let request = DeviceRequest::GetNames { path: object.clone(), next_level: false };
            return self.request(purpose(CareStep::ListTest { object }), request);
        }
        if test.wanted.is_none() {
            let per_read = profile.write.max_names.clamp(1, NAMES_PER_READ);
            let most = MOST_READS * usize::try_from(per_read).unwrap_or(1);
            let (wanted, cut) = wanted(&profile.hosts, &test.names, most);
            (test.wanted, test.cut) = (Some(wanted), test.cut || cut);
        }
        // The way to the bands, as far as it is known by now.
        let known = test.wanted.iter().flatten().count();
        for (path, word) in self.next_on_the_way(&profile.hosts, &test) {
            if !test.wanted.iter().flatten().any(|one| one.path == path) {
                test.wanted.get_or_insert_default().push(Wanted { path, word, row: None });
            }
        }
        let wanted = test.wanted.clone().unwrap_or_default();
        debug_assert!(wanted.len() >= known);
        let most = test.read_limit.unwrap_or(profile.write.max_names.min(NAMES_PER_READ)).max(1);
        let next = wanted.iter().skip(test.asked).take(usize::try_from(most).unwrap_or(1));
        let paths: Vec<String> = next.map(|one| one.path.clone()).collect();
        self.session().diagnosing = Some(test.clone());
        if !paths.is_empty() {
            let request = DeviceRequest::GetValues { paths: paths.clone() };
            return self.request(purpose(CareStep::ReadTest { paths }), request);
        }
        self.hosts_read(order, &profile.hosts, &test)
    }

    /// It is not read because of this, a sentence.
    fn hosts_not_read(&mut self, order: &Order, why: &str) -> Move {
        self.order_over(&order.key, OrderState::Failed, format!("{why} Nothing was read."));
        Move::Again
    }

    /// Leaves on the way to a band whose object is known and which nobody asked for yet.
    fn next_on_the_way(&self, tables: &[HostTable], test: &Diagnosing) -> Vec<(String, String)> {
        let mut next = Vec::new();
        let holders: BTreeSet<(usize, String)> =
            rows_of(tables, test).map(|(table, row, _)| (table, holder(&row))).collect();
        for (table, mut object) in holders {
            let way = &tables[table].band;
            for leaf in way {
                let path = format!("{object}{leaf}");
                match test.values.iter().find(|value| value.path == path) {
                    None => {
                        next.push((path, "band".to_owned()));
                        break;
                    }
                    // Only a path of the device's own tree leads on.
                    Some(value) => object = format!("{}.", value.value.trim().trim_end_matches('.')),
                }
            }
        }
        let asked = |path: &String| test.wanted.iter().flatten().any(|one| one.path == *path);
        let root =
            tables.first().map_or("", |table| table.rows.split_inclusive('.').next().unwrap_or_default());
        next.retain(|(path, _)| {
            !asked(path) && path.starts_with(root) && path.len() <= 256 && !names_a_secret(path)
        });
        next
    }

    pub(crate) fn hosts_listed(&mut self, order: &Order, object: &str, names: &[NameInfo]) {
        let Some(profile) = self.profile_or_nominee() else { return };
        let of_a_row = |name: &&NameInfo| {
            name.path.starts_with(object)
                && row_and_leaf(&name.path).is_some_and(|(row, leaf)| {
                    !leaf.is_empty() && profile.hosts.iter().any(|table| table.has(row))
                })
        };
        let kept: Vec<NameInfo> = names.iter().filter(of_a_row).cloned().collect();
        self.with_test(&order.key, |test| {
            test.missing += 1;
            let room = MOST_NAMES.saturating_sub(test.names.len());
            // Rows of which names are left out are not all that there is.
            test.cut |= kept.len() > room;
            test.names.extend(kept.into_iter().take(room));
        });
    }

    /// The answer to a request of it, where it is another than that of a test.
    pub(crate) fn hosts_answered(&mut self, order: &Order, care: &CareStep, reply: &DeviceReply) -> bool {
        match (care, reply) {
            (CareStep::ListTest { object }, DeviceReply::Names(names)) => {
                self.hosts_listed(order, object, names)
            }
            // A device without Wi-Fi has no stations; and what one table refuses costs no other.
            (CareStep::ListTest { object }, DeviceReply::Fault(_)) => {
                self.with_test(&order.key, |test| {
                    test.missing += 1;
                    test.refused.insert(object.clone());
                });
            }
            (CareStep::ReadTest { paths }, DeviceReply::Fault(_)) if paths.len() == 1 => {
                self.with_test(&order.key, Diagnosing::leaf_refused);
            }
            _ => return false,
        }
        true
    }

    fn hosts_read(&mut self, order: &Order, tables: &[HostTable], test: &Diagnosing) -> Move {
        let value = |path: &str| {
            test.values.iter().find(|value| value.path == path).map(|value| value.value.as_str())
        };
        let mut rows: BTreeMap<(usize, String), Row> = BTreeMap::new();
        for (table, path, wanted) in rows_of(tables, test) {
            let row = rows.entry((table, path)).or_default();
            row.wifi = tables[table].wifi;
            if let Some(value) = value(&wanted.path) {
                row.leaves.insert(wanted.word.clone(), value.to_owned());
            }
        }
        for ((table, path), row) in &mut rows {
            let mut object = holder(path);
            for leaf in &tables[*table].band {
                let said = value(&format!("{object}{leaf}")).unwrap_or_default();
                object = format!("{}.", said.trim().trim_end_matches('.'));
                row.band = said.to_owned();
            }
        }
        self.record_read(test.values.iter());
        let refused = |table: &HostTable| test.refused.contains(table.object());
        if tables.iter().all(refused) {
            let named: BTreeSet<&str> = tables.iter().map(HostTable::object).collect();
            let named: Vec<&str> = named.into_iter().collect();
            let why = format!("The router does not let {} be listed.", named.join(" or "));
            return self.hosts_not_read(order, &why);
        }
        let rows: Vec<Row> = rows.into_values().collect();
        let unread = test.unread.keys().cloned().collect();
        let found = Findings::Hosts { hosts: connected(&rows), cut: test.cut, unread };
        let values = u32::try_from(test.values.len()).unwrap_or(0);
        let none = matches!(&found, Findings::Hosts { hosts, .. } if hosts.is_empty());
        if none && test.unread.contains_key("mac") {
            return self.hosts_not_read(order, "The router does not let be read which hosts it lists.");
        }
        let mut text = found.sentence();
        for table in tables.iter().filter(|table| !table.wifi && refused(table)) {
            text.push_str(&format!(" It does not let {} be listed.", table.object()));
        }
        if let Some(unread) = unread_sentence(found.unread()) {
            text.push(' ');
            text.push_str(&unread);
        }
        let news = OrderNews::new(&order.key, OrderState::Done, text);
        self.end_order(OrderNews { values, findings: Some(found), ..news });
        Move::Again
    }
}

/// The object that a table lies in, from the path of a row: `A.B.1.` of `A.B.1.C.2.`.
fn holder(row: &str) -> String {
    let mut parts = row.trim_end_matches('.').rsplitn(3, '.');
    let _ = (parts.next(), parts.next());
    parts.next().map(|rest| format!("{rest}.")).unwrap_or_default()
}

/// What is read of rows: of which table, of which row.
fn rows_of<'t>(
    tables: &'t [HostTable],
    test: &'t Diagnosing,
) -> impl Iterator<Item = (usize, String, &'t Wanted)> + 't {
    test.wanted.iter().flatten().filter_map(|wanted| {
        let (row, _) = row_and_leaf(&wanted.path)?;
        let table = tables.iter().position(|table| table.has(row))?;
        (wanted.word != "band").then(|| (table, row.to_owned(), wanted))
    })
}

/// The row and the leaf of a path.
fn row_and_leaf(path: &str) -> Option<(&str, &str)> {
    path.rfind('.').map(|dot| path.split_at(dot + 1))
}

/// The instance numbers of a row, which tell in which order rows come.
fn numbers(row: &str) -> Vec<u32> {
    row.split('.').filter_map(|part| part.parse().ok()).collect()
}

/// Which leaves of which rows are read, so many at most, and whether there are more rows than that.
fn wanted(tables: &[HostTable], listed: &[NameInfo], most: usize) -> (Vec<Wanted>, bool) {
    let mut rows: BTreeMap<(bool, usize, Vec<u32>, &str), BTreeSet<&str>> = BTreeMap::new();
    for name in listed {
        let Some((row, leaf)) = row_and_leaf(&name.path) else { continue };
        if let Some(at) = tables.iter().position(|table| table.has(row)) {
            rows.entry((!tables[at].wifi, at, numbers(row), row)).or_default().insert(leaf);
        }
    }
    let (mut wanted, mut cut) = (Vec::new(), false);
    let (mut taken, mut stations) = (0, 0);
    for ((_, table, _, row), has) in rows {
        let table = &tables[table];
        let leaves = table.leaves.iter().filter_map(|(word, names)| {
            let leaf = names.0.iter().find(|leaf| has.contains(leaf.as_str()))?;
            Some(Wanted { path: format!("{row}{leaf}"), word: word.clone(), row: Some(taken) })
        });
        let leaves: Vec<Wanted> = leaves.collect();
        if taken == MOST_ROWS
            || (table.wifi && stations == MOST_STATIONS)
            || wanted.len() + leaves.len() > most
        {
            cut = true;
            continue;
        }
        (taken, stations) = (taken + 1, stations + usize::from(table.wifi));
        wanted.extend(leaves);
    }
    (wanted, cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(wifi: bool, band: &str, leaves: &[(&str, &str)]) -> Row {
        let leaves = leaves.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned())).collect();
        Row { wifi, band: band.to_owned(), leaves }
    }

    #[test]
    fn a_host_is_told_from_all_tables() {
        let hosts = connected(&[
            row(
                false,
                "",
                &[("mac", "02:00:00:00:00:01"), ("ip", "192.168.1.2"), ("name", "printer"), ("active", "0")],
            ),
            row(
                false,
                "",
                &[("mac", "02-00-00-00-00-0a"), ("ip", "192.168.1.3"), ("name", "phone"), ("active", "1")],
            ),
            row(false, "", &[("mac", ""), ("ip", "192.168.1.9")]),
            row(true, "36", &[("mac", "02000000000A"), ("signal", "-51"), ("down", "144400"), ("up", "0")]),
        ]);
        let [phone, printer] = &hosts[..] else { panic!("{hosts:?}") };
        assert_eq!(
            (phone.mac.as_str(), phone.name.as_str(), phone.band.as_str()),
            ("02:00:00:00:00:0A", "phone", "5GHz")
        );
        assert_eq!((phone.signal_dbm, phone.down_kbps, phone.up_kbps), (Some(-51), Some(144_400), None));
        assert_eq!((printer.wifi, printer.active, printer.signal_dbm), (false, Some(false), None));
    }

    #[test]
    fn a_station_that_left_is_not_connected_and_a_lease_in_use_counts() {
        let hosts = connected(&[
            row(true, "5GHz", &[("mac", "02:00:00:00:00:01"), ("active", "false")]),
            row(false, "", &[("mac", "02:00:00:00:00:02"), ("ip", "192.168.1.2"), ("active", "0")]),
            row(false, "", &[("mac", "02:00:00:00:00:02"), ("ip", "192.168.1.7"), ("active", "1")]),
        ]);
        let [printer, phone] = &hosts[..] else { panic!("{hosts:?}") };
        assert_eq!((printer.ip.as_str(), printer.active), ("192.168.1.7", Some(true)));
        assert_eq!((phone.wifi, phone.active), (false, Some(false)));
    }

    #[test]
    fn stations_come_first_rows_in_order_and_no_more_than_a_session_carries() {
        let table = |rows: &str, wifi| HostTable {
            rows: rows.to_owned(),
            leaves: [("mac".to_owned(), profiles::cpe::LeafNames(vec!["Mac".to_owned()]))].into(),
            wifi,
            band: Vec::new(),
        };
        let tables = [table("D.Host.?.", false), table("D.Ap.?.Station.?.", true)];
        let name = |path: String| NameInfo { path, writable: false };
        let mut listed: Vec<NameInfo> = (1..=400).map(|n| name(format!("D.Host.{n}.Mac"))).collect();
        listed.extend((1..=200).map(|n| name(format!("D.Ap.1.Station.{n}.Mac"))));
        let (all, cut) = wanted(&tables, &listed, 10_000);
        assert!(cut && all.len() == MOST_ROWS);
        assert_eq!(
            (all[0].path.as_str(), all[1].path.as_str()),
            ("D.Ap.1.Station.1.Mac", "D.Ap.1.Station.2.Mac")
        );
        assert_eq!(all[MOST_STATIONS].path, "D.Host.1.Mac");
        let (few, cut) = wanted(&tables, &listed[..20], 7);
        assert!(cut && few.len() == 7 && few[6].path == "D.Host.7.Mac", "{few:?}");
    }

    #[test]
    fn bands_are_read_as_devices_spell_them() {
        for (said, band) in [
            ("2.4GHz", "2.4GHz"),
            ("5GHz", "5GHz"),
            ("5 Ghz", "5GHz"),
            ("6GHz", "6GHz"),
            ("6", "2.4GHz"),
            ("149", "5GHz"),
            ("0", ""),
            ("", ""),
            ("Auto", ""),
        ] {
            assert_eq!(band_of(said), band, "{said:?}");
        }
        assert_eq!(holder("Device.WiFi.AccessPoint.3.AssociatedDevice.1."), "Device.WiFi.AccessPoint.3.");
    }
}
