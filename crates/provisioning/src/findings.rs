//! What came of a test that a device ran: what it reported, and what is believed of that.
//!
//! A number that cannot be is left out and said, a table is read to a bound, a text is cut.

use crate::{
    diagnosis::{Diagnosis, plain, text},
    hosts::Host,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// Requests beyond which no device counts, where it does not tell how many it was to send.
const MOST_REQUESTS: u32 = 1000;
/// Milliseconds beyond which no answer took: the device does not count in them, or lies.
const LONGEST_ANSWER_MS: u64 = 600_000;

/// What a device reported, by the words of the profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reported {
    /// Once.
    pub once: BTreeMap<String, String>,
    /// Row by row, in order of their instance numbers.
    pub rows: Vec<BTreeMap<String, String>>,
    /// There were more rows than are read.
    pub cut: bool,
    /// What it did not let be read, by word, in a row or all of them.
    pub unread: Vec<String>,
}

/// What came of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "test", rename_all = "snake_case")]
pub enum Findings {
    /// Ping.
    Ping {
        /// Whom.
        host: String,
        /// Requests that it was to send, as the device has it.
        count: Option<u32>,
        /// Requests that it counts.
        sent: Option<u32>,
        /// Answers.
        received: Option<u32>,
        /// Shortest, milliseconds.
        least_ms: Option<u32>,
        /// Mean, milliseconds.
        average_ms: Option<u32>,
        /// Longest, milliseconds.
        most_ms: Option<u32>,
        /// Something of what the device reports cannot be and is left out.
        doubtful: bool,
        /// The connection that the device names; `None`: it names none.
        interface: Option<String>,
        /// What was asked and the device does not have so.
        not_taken: Vec<NotTaken>,
        /// What the device does not let be read, by the words of the profile.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unread: Vec<String>,
    },
    /// Trace route.
    Traceroute {
        /// Whom.
        host: String,
        /// On the way, the nearest first.
        hops: Vec<Hop>,
        /// The device lists more than are read.
        cut: bool,
        /// Something of what the device reports cannot be and is left out.
        doubtful: bool,
        /// The connection that the device names; `None`: it names none.
        interface: Option<String>,
        /// What was asked and the device does not have so.
        not_taken: Vec<NotTaken>,
        /// What the device does not let be read, of some hops or all, by the words of the profile.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unread: Vec<String>,
    },
    /// Look a name up.
    Lookup {
        /// Which.
        host: String,
        /// Answers.
        answers: Vec<NameAnswer>,
        /// Requests that were answered well, as the device counts.
        successes: Option<u32>,
        /// The device lists more answers than are read.
        cut: bool,
        /// Something of what the device reports cannot be and is left out.
        doubtful: bool,
        /// The connection that the device names; `None`: it names none.
        interface: Option<String>,
        /// What was asked and the device does not have so.
        not_taken: Vec<NotTaken>,
        /// What the device does not let be read, by the words of the profile.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unread: Vec<String>,
    },
    /// Other Wi-Fi networks.
    Neighbours {
        /// The loudest first.
        networks: Vec<Neighbour>,
        /// The device lists more than are read.
        cut: bool,
        /// Something of what the device reports cannot be and is left out.
        doubtful: bool,
        /// What the device does not let be read, by the words of the profile.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unread: Vec<String>,
    },
    /// What is connected.
    Hosts {
        /// What is certainly connected first.
        hosts: Vec<Host>,
        /// The device lists more than are read.
        cut: bool,
        /// What the device does not let be read, by the words of the profile.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        unread: Vec<String>,
    },
}

/// One answer of a name server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameAnswer {
    /// The device's word for how it went, e.g. `Success`.
    pub status: String,
    /// Name that came back.
    pub name: String,
    /// Addresses.
    pub addresses: Vec<String>,
    /// Which server.
    pub server: String,
    /// Milliseconds.
    pub time_ms: Option<u32>,
}

/// A Wi-Fi network around.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its name; empty if it is hidden.
    pub ssid: String,
    /// MAC address of its access point.
    pub bssid: String,
    /// Channel.
    pub channel: Option<u32>,
    /// As the device says it, e.g. `5GHz`.
    pub band: String,
    /// Signal as it is heard, dBm.
    pub signal_dbm: Option<i32>,
    /// Width of the channel.
    pub width: String,
    /// How it is protected.
    pub security: String,
    /// 802.11 standards.
    pub standards: String,
}

/// An input that a device did not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotTaken {
    /// In words, after a number.
    pub what: String,
    /// What was asked.
    pub asked: String,
    /// What the device has; `None`: it shows no such setting.
    pub has: Option<String>,
}

/// What an input is, after its number.
fn input_words(asked: &Diagnosis, word: &str) -> Option<&'static str> {
    match (asked, word) {
        (Diagnosis::Ping { .. }, "repetitions") => Some("requests"),
        (Diagnosis::Traceroute { .. }, "repetitions") => Some("tries at each hop"),
        (Diagnosis::Lookup { .. }, "repetitions") => Some("requests"),
        (Diagnosis::Lookup { .. }, "server") => Some("as the name server"),
        (_, "timeout") => Some("ms to wait for each answer"),
        (_, "size") => Some("bytes in each request"),
        (_, "hops") => Some("hops at most"),
        _ => None,
    }
}

/// What was asked and does not read back so.
fn not_taken(asked: &Diagnosis, reported: &Reported) -> Vec<NotTaken> {
    // Of what cannot be read nobody knows.
    let inputs =
        asked.inputs().into_iter().filter(|(word, _)| !reported.unread.iter().any(|one| one == word));
    let other = inputs.filter_map(|(word, wanted)| {
        if word == "server" && wanted.is_empty() {
            // Those that it uses were asked for: one that stands there is an earlier test's.
            let has = reported.once.get(word).map(|has| plain(has, 45)).filter(|has| !has.is_empty())?;
            let (asked, what) = ("its own".to_owned(), "name servers".to_owned());
            return Some(NotTaken { what, asked, has: Some(has) });
        }
        let what = input_words(asked, word)?.to_owned();
        let has = reported.once.get(word).map(|has| plain(has, 45)).filter(|has| !has.is_empty());
        let same = has.as_ref().is_some_and(|has| match (has.parse::<u64>(), wanted.parse::<u64>()) {
            (Ok(has), Ok(wanted)) => has == wanted,
            _ => has.parse::<IpAddr>().is_ok_and(|has| wanted.parse() == Ok(has)),
        });
        (!same).then_some(NotTaken { what, asked: wanted, has })
    });
    other.collect()
}

/// One hop of a trace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Name; empty if none is told.
    pub name: String,
    /// Address; empty if none is told.
    pub address: String,
    /// How long each try took, milliseconds; none answered: empty.
    pub times_ms: Vec<u32>,
    /// ICMP error code, if there was one.
    pub error: Option<u32>,
}

/// A number up to a bound; nothing if it is none.
pub(crate) fn number(text: &str, most: u64) -> Option<u32> {
    Reader { doubtful: false }.number(Some(text), most)
}

/// Reads numbers and notes whether one could not be.
struct Reader {
    doubtful: bool,
}

impl Reader {
    /// A number up to a bound; absent and empty is nothing, anything else that is none is doubtful.
    fn number(&mut self, value: Option<&str>, most: u64) -> Option<u32> {
        let value = value.map(str::trim).filter(|value| !value.is_empty())?;
        let number = value.parse::<u64>().ok().filter(|number| *number <= most);
        let number = number.and_then(|number| u32::try_from(number).ok());
        self.doubtful |= number.is_none();
        number
    }
}

/// A signal in dBm. Zero and above, and below what any radio hears, is no signal in dBm: some count in per cent, some tell
/// nothing as 0.
pub(crate) fn signal_dbm(text: &str) -> Option<i32> {
    let number = text.trim().trim_end_matches("dBm").trim().parse::<i32>().ok()?;
    (-120..0).contains(&number).then_some(number)
}

/// What is believed of a report.
pub(crate) fn findings(asked: &Diagnosis, reported: &Reported) -> Findings {
    let mut reader = Reader { doubtful: false };
    let once = |word: &str| reported.once.get(word).map(String::as_str);
    let interface = once("interface").map(text).filter(|path| !path.is_empty());
    let not_taken = not_taken(asked, reported);
    match asked {
        Diagnosis::Ping { host, .. } => {
            // By what it was to send as it reads now, not by what was asked: some take no count.
            let count =
                reader.number(once("repetitions"), u64::from(MOST_REQUESTS)).filter(|count| *count > 0);
            let most = count.unwrap_or(MOST_REQUESTS);
            let mut received = reader.number(once("received"), most.into());
            let mut lost = reader.number(once("lost"), most.into());
            let sum = u64::from(received.unwrap_or(0)) + u64::from(lost.unwrap_or(0));
            let told = |word: &str| once(word).is_some_and(|value| !value.trim().is_empty());
            let lie = (told("received") && received.is_none()) || (told("lost") && lost.is_none());
            if lie || sum > most.into() {
                // Of two numbers of which one cannot be, the other is no better.
                reader.doubtful = true;
                (received, lost) = (None, None);
            }
            let sent = match (received, lost) {
                (Some(received), Some(lost)) => Some(received + lost),
                (None, None) => None,
                _ => count,
            };
            let received = received.or_else(|| Some(sent?.saturating_sub(lost?)));
            // Without an answer there is no time, whatever a device leaves in the leaf.
            let answered = received != Some(0);
            let mut time = |word: &str| reader.number(once(word), LONGEST_ANSWER_MS).filter(|_| answered);
            let (least_ms, average_ms, most_ms) = (time("least"), time("average"), time("most"));
            Findings::Ping {
                host: host.clone(),
                count,
                sent,
                received,
                least_ms,
                average_ms,
                most_ms,
                doubtful: reader.doubtful,
                interface,
                not_taken,
                unread: reported.unread.clone(),
            }
        }
        Diagnosis::Traceroute { host, .. } => {
            let mut hops: Vec<Hop> = Vec::new();
            for row in &reported.rows {
                let said = |word: &str| row.get(word).map(String::as_str).unwrap_or_default();
                let times = said("times").split(',').take(16);
                let times_ms = times.filter_map(|one| match one.trim() {
                    // As devices write a try that nobody answered.
                    "*" | "-1" => None,
                    one => reader.number(Some(one), LONGEST_ANSWER_MS),
                });
                let times_ms = times_ms.collect();
                let error = reader.number(Some(said("error")), 255).filter(|code| *code != 0);
                hops.push(Hop { name: text(said("name")), address: text(said("address")), times_ms, error });
            }
            let (cut, doubtful) = (reported.cut, reader.doubtful);
            let (host, unread) = (host.clone(), reported.unread.clone());
            Findings::Traceroute { host, hops, cut, doubtful, interface, not_taken, unread }
        }
        Diagnosis::Lookup { host, count, .. } => {
            let requests = reader.number(once("repetitions"), u64::from(MOST_REQUESTS));
            let requests = requests.filter(|requests| *requests > 0).unwrap_or(*count);
            let successes = reader.number(once("successes"), u64::from(MOST_REQUESTS));
            let mut answers = Vec::new();
            // A row for each request: what is there besides is of an earlier look-up.
            for row in reported.rows.iter().take(usize::try_from(requests).unwrap_or(usize::MAX)) {
                let said = |word: &str| row.get(word).map(String::as_str).unwrap_or_default();
                answers.push(NameAnswer {
                    status: text(said("status")),
                    name: text(said("name")),
                    addresses: said("addresses")
                        .split(',')
                        .filter_map(|one| one.trim().parse::<IpAddr>().ok())
                        .map(|address| address.to_string())
                        .take(16)
                        .collect(),
                    server: text(said("server")),
                    time_ms: reader.number(Some(said("time")), LONGEST_ANSWER_MS),
                });
            }
            let (host, cut, doubtful) = (host.clone(), reported.cut, reader.doubtful);
            let unread = reported.unread.clone();
            Findings::Lookup { host, answers, successes, cut, doubtful, interface, not_taken, unread }
        }
        Diagnosis::Neighbours => {
            let mut networks: Vec<Neighbour> = Vec::new();
            for row in &reported.rows {
                let said = |word: &str| row.get(word).map(String::as_str).unwrap_or_default();
                // Some keep rows that are empty.
                if said("ssid").trim().is_empty() && said("bssid").trim().is_empty() {
                    continue;
                }
                networks.push(Neighbour {
                    ssid: text(said("ssid")),
                    bssid: text(said("bssid")),
                    channel: reader.number(Some(said("channel")), 300),
                    band: text(said("band")),
                    signal_dbm: signal_dbm(said("signal")),
                    width: text(said("width")),
                    security: text(said("security")),
                    standards: text(said("standards")),
                });
            }
            networks.sort_by_key(|network| std::cmp::Reverse(network.signal_dbm));
            let (cut, doubtful, unread) = (reported.cut, reader.doubtful, reported.unread.clone());
            Findings::Neighbours { networks, cut, doubtful, unread }
        }
        // Read in a way of its own (`hosts`).
        Diagnosis::Hosts => {
            Findings::Hosts { hosts: Vec::new(), cut: reported.cut, unread: reported.unread.clone() }
        }
    }
}

impl Findings {
    /// The connection that the device names.
    pub(crate) fn interface(&self) -> Option<&str> {
        match self {
            Findings::Ping { interface, .. }
            | Findings::Traceroute { interface, .. }
            | Findings::Lookup { interface, .. } => interface.as_deref(),
            Findings::Neighbours { .. } | Findings::Hosts { .. } => None,
        }
    }

    /// What the device did not take.
    pub(crate) fn not_taken(&self) -> &[NotTaken] {
        match self {
            Findings::Ping { not_taken, .. }
            | Findings::Traceroute { not_taken, .. }
            | Findings::Lookup { not_taken, .. } => not_taken,
            Findings::Neighbours { .. } | Findings::Hosts { .. } => &[],
        }
    }

    /// What could not be read.
    pub(crate) fn unread(&self) -> &[String] {
        match self {
            Findings::Ping { unread, .. }
            | Findings::Traceroute { unread, .. }
            | Findings::Lookup { unread, .. }
            | Findings::Neighbours { unread, .. }
            | Findings::Hosts { unread, .. } => unread,
        }
    }

    /// In one sentence.
    pub fn sentence(&self) -> String {
        let (said, doubtful) = match self {
            Findings::Ping {
                host,
                count: wanted,
                sent,
                received,
                least_ms,
                average_ms,
                most_ms,
                doubtful,
                ..
            } => {
                let count = match (received, sent, wanted) {
                    (Some(received), Some(sent), Some(wanted)) if sent < wanted => format!(
                        "{host} answered {received} of {sent} requests (the router counts no more of the {wanted} that it \
                         was to send)"
                    ),
                    (Some(received), Some(sent), _) => {
                        format!("{host} answered {received} of {sent} requests")
                    }
                    (Some(received), None, _) => {
                        format!("{host} answered {received} requests; how many were sent is not known")
                    }
                    _ => format!("How many requests {host} answered is not known"),
                };
                let times = match (least_ms, average_ms, most_ms) {
                    (Some(least), Some(average), Some(most)) => {
                        format!(", in {average} ms on average ({least} to {most})")
                    }
                    (_, Some(average), _) => format!(", in {average} ms on average"),
                    _ => String::new(),
                };
                (format!("{count}{times}."), *doubtful)
            }
            Findings::Traceroute { host, hops, cut, doubtful, .. } => {
                let count = match hops.len() {
                    0 => format!("The router lists no hop on the way to {host}"),
                    1 => format!("1 hop on the way to {host}"),
                    many => format!("{many} hops on the way to {host}"),
                };
                let cut = if *cut { "; the router lists more, which are left out" } else { "" };
                (format!("{count}{cut}."), *doubtful)
            }
            Findings::Lookup { host, answers, successes, doubtful, .. } => {
                let good = |answer: &&NameAnswer| {
                    answer.status.is_empty() || answer.status.to_ascii_lowercase().starts_with("success")
                };
                let answered: Vec<&NameAnswer> =
                    answers.iter().filter(good).filter(|_| *successes != Some(0)).collect();
                let mut distinct: Vec<&str> = Vec::new();
                for address in answered.iter().flat_map(|answer| &answer.addresses) {
                    if !distinct.contains(&address.as_str()) {
                        distinct.push(address);
                    }
                }
                let more = match distinct.len().saturating_sub(4) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                distinct.truncate(4);
                let time = answered.iter().filter_map(|answer| answer.time_ms).min();
                let time = time.map(|ms| format!(", answered in {ms} ms")).unwrap_or_default();
                let said = match (distinct.is_empty(), successes) {
                    (false, _) => format!("{host} is {}{more}{time}.", distinct.join(", ")),
                    (true, Some(0)) => format!("No name server told an address for {host}."),
                    (true, _) => format!("The router lists no address for {host}."),
                };
                (said, *doubtful)
            }
            Findings::Neighbours { networks, cut, doubtful, .. } => {
                let count = match networks.len() {
                    0 => "The router hears no other network".to_owned(),
                    1 => "The router hears 1 network".to_owned(),
                    many => format!("The router hears {many} networks"),
                };
                let cut = if *cut { "; it lists more, which are left out" } else { "" };
                (format!("{count}{cut}."), *doubtful)
            }
            Findings::Hosts { hosts, cut, .. } => {
                let wifi = hosts.iter().filter(|host| host.wifi).count();
                let count = match hosts.len() {
                    0 => "The router lists no host".to_owned(),
                    1 => "The router lists 1 host".to_owned(),
                    many => format!("The router lists {many} hosts"),
                };
                let wifi = if wifi > 0 { format!(", {wifi} by Wi-Fi now") } else { String::new() };
                let cut = if *cut { "; it lists more, which are left out" } else { "" };
                (format!("{count}{wifi}{cut}."), false)
            }
        };
        let doubt = " Some of what the router reports cannot be and is left out.";
        format!("{said}{}", if doubtful { doubt } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ping(values: &[(&str, &str)]) -> Findings {
        let asked = Diagnosis::Ping { host: "10.0.0.1".into(), count: 4, timeout_ms: 2000, size: 56 };
        let inputs = [("repetitions", "4"), ("timeout", "2000"), ("size", "56")];
        let once = inputs.iter().chain(values);
        let once = once.map(|(word, value)| ((*word).to_owned(), (*value).to_owned())).collect();
        findings(&asked, &Reported { once, ..Reported::default() })
    }

    fn numbers(found: &Findings) -> (Option<u32>, Option<u32>, Option<u32>, bool) {
        match found {
            Findings::Ping { sent, received, average_ms, doubtful, .. } => {
                (*sent, *received, *average_ms, *doubtful)
            }
            other => panic!("a ping: {other:?}"),
        }
    }

    #[test]
    fn a_ping_is_understood() {
        let whole = [("received", "3"), ("lost", "1"), ("least", "2"), ("average", "4"), ("most", "9")];
        assert_eq!(numbers(&ping(&whole)), (Some(4), Some(3), Some(4), false));
        assert_eq!(
            ping(&whole).sentence(),
            "10.0.0.1 answered 3 of 4 requests, in 4 ms on average (2 to 9)."
        );
        // Some send one request whatever they are told.
        let one = ping(&[("received", "1"), ("lost", "0")]);
        assert_eq!(numbers(&one), (Some(1), Some(1), None, false));
        assert!(one.sentence().contains("counts no more of the 4"), "{}", one.sentence());
        // Some do not count what was lost.
        assert_eq!(numbers(&ping(&[("received", "3")])), (Some(4), Some(3), None, false));
        assert_eq!(numbers(&ping(&[("lost", "3")])), (Some(4), Some(1), None, false));
        let none = ping(&[("received", "0"), ("lost", "4"), ("average", "0")]);
        assert_eq!(numbers(&none), (Some(4), Some(0), None, false));
        assert_eq!(none.sentence(), "10.0.0.1 answered 0 of 4 requests.");
    }

    #[test]
    fn loss_is_counted_by_what_the_device_was_to_send_and_what_it_did_not_take_is_named() {
        // Asked for 4; it has 2: one answer of two is half, not a quarter.
        let two = ping(&[("repetitions", "2"), ("received", "1")]);
        assert_eq!(numbers(&two), (Some(2), Some(1), None, false));
        let lost = ping(&[("repetitions", "2"), ("lost", "2")]);
        assert_eq!(numbers(&lost), (Some(2), Some(0), None, false));
        let more = ping(&[("repetitions", "2"), ("received", "4")]);
        assert_eq!(numbers(&more), (None, None, None, true), "more answers than requests");
        let unknown = ping(&[("repetitions", ""), ("received", "3")]);
        assert_eq!(numbers(&unknown), (None, Some(3), None, false));
        assert!(unknown.sentence().contains("how many were sent is not known"), "{}", unknown.sentence());
        let of = |found: &Findings| {
            let each = |one: &NotTaken| (one.what.clone(), one.asked.clone(), one.has.clone());
            found.not_taken().iter().map(each).collect::<Vec<_>>()
        };
        assert_eq!(of(&ping(&[("size", "056")])), []);
        assert_eq!(of(&two), [("requests".to_owned(), "4".to_owned(), Some("2".to_owned()))]);
        let silent = ping(&[("size", "")]);
        assert_eq!(of(&silent), [("bytes in each request".to_owned(), "56".to_owned(), None)]);
    }

    #[test]
    fn what_cannot_be_is_left_out_and_said() {
        for lie in ["-3", "4294967295", "99999999999999999999", "5", "many"] {
            let found = ping(&[("received", lie), ("lost", lie), ("average", "7")]);
            assert_eq!(numbers(&found), (None, None, Some(7), true), "{lie}");
            assert!(found.sentence().contains("cannot be"), "{}", found.sentence());
        }
        assert_eq!(numbers(&ping(&[("received", "4"), ("lost", "4")])), (None, None, None, true));
        assert_eq!(numbers(&ping(&[("received", "4"), ("average", "-1")])), (Some(4), Some(4), None, true));
    }

    #[test]
    fn hops_are_understood() {
        let asked =
            Diagnosis::Traceroute { host: "example.net".into(), hops: 30, tries: 3, timeout_ms: 1000 };
        let row = |name: &str, times: &str, error: &str| {
            [("name", name), ("address", "192.0.2.1"), ("times", times), ("error", error)]
                .map(|(word, value)| (word.to_owned(), value.to_owned()))
                .into()
        };
        let rows = vec![row("gw", "1,2, 3", "0"), row("", "*,*,*", ""), row(&"x".repeat(5000), "-7,8", "3")];
        let found = findings(&asked, &Reported { rows, ..Reported::default() });
        let Findings::Traceroute { hops, doubtful, .. } = &found else { panic!("a trace") };
        assert_eq!((hops[0].times_ms.as_slice(), hops[0].error), ([1, 2, 3].as_slice(), None));
        assert!(hops[1].times_ms.is_empty());
        assert_eq!(
            (hops[2].name.len(), hops[2].times_ms.as_slice(), hops[2].error),
            (256, [8].as_slice(), Some(3))
        );
        assert!(doubtful);
        assert!(found.sentence().starts_with("3 hops on the way to example.net."), "{}", found.sentence());
    }

    fn reported(once: &[(&str, &str)], rows: &[&[(&str, &str)]]) -> Reported {
        let map = |values: &[(&str, &str)]| {
            values.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned())).collect()
        };
        Reported { once: map(once), rows: rows.iter().map(|row| map(row)).collect(), ..Reported::default() }
    }

    #[test]
    fn names_and_networks_are_understood() {
        let asked = Diagnosis::Lookup {
            host: "example.net".into(),
            server: String::new(),
            count: 3,
            timeout_ms: 2000,
        };
        let rows: &[&[(&str, &str)]] =
            &[&[("status", "Success"), ("addresses", "192.0.2.1, 192.0.2.2"), ("time", "12")]];
        let found = findings(&asked, &reported(&[("successes", "1")], rows));
        assert_eq!(found.sentence(), "example.net is 192.0.2.1, 192.0.2.2, answered in 12 ms.");
        // What is beyond the requests, did not succeed or is no address is not believed.
        let odd: &[&[(&str, &str)]] = &[
            &[("status", "Error_Timeout"), ("addresses", "192.0.2.9"), ("time", "0")],
            &[
                ("status", "Success"),
                ("addresses", "192.0.2.1,192.0.2.2,nonsense,::1,::2,::3"),
                ("time", "9"),
            ],
            &[("status", "Success"), ("addresses", "192.0.2.66")],
        ];
        let found = findings(&asked, &reported(&[("successes", "1"), ("repetitions", "2")], odd));
        assert_eq!(
            found.sentence(),
            "example.net is 192.0.2.1, 192.0.2.2, ::1, ::2 and 1 more, answered in 9 ms."
        );
        let none = findings(&asked, &reported(&[("successes", "0")], odd));
        assert_eq!(none.sentence(), "No name server told an address for example.net.");
        let foreign = findings(&asked, &reported(&[("server", "9.9.9.9")], rows));
        assert!(foreign.not_taken().iter().any(|one| one.has.as_deref() == Some("9.9.9.9")), "{foreign:?}");
        let none = findings(&asked, &reported(&[("successes", "0")], &[]));
        assert_eq!(none.sentence(), "No name server told an address for example.net.");
        let rows: &[&[(&str, &str)]] = &[
            &[("ssid", "far"), ("signal", "-88"), ("channel", "11")],
            &[("ssid", "near"), ("signal", "-40 dBm"), ("channel", "36")],
            &[("ssid", "odd"), ("signal", "67"), ("channel", "-1")],
            &[("ssid", ""), ("bssid", " "), ("channel", "0")],
        ];
        let found = findings(&Diagnosis::Neighbours, &reported(&[], rows));
        let Findings::Neighbours { networks, doubtful, .. } = &found else { panic!() };
        let heard: Vec<_> =
            networks.iter().map(|one| (one.ssid.as_str(), one.signal_dbm, one.channel)).collect();
        assert_eq!(heard, [("near", Some(-40), Some(36)), ("far", Some(-88), Some(11)), ("odd", None, None)]);
        assert!(doubtful);
    }

    proptest! {
        #[test]
        fn anything_reported_is_bounded(values in proptest::collection::vec("\\PC{0,40}", 8), rows in 0usize..80) {
            let words = ["received", "lost", "least", "average", "most", "repetitions", "interface", "size"];
            let once = words.iter().zip(&values).map(|(word, value)| ((*word).to_owned(), value.clone())).collect();
            let row: BTreeMap<String, String> = ["name", "addresses", "times", "error", "signal", "channel", "ssid"]
                .iter()
                .zip(&values)
                .map(|(word, value)| ((*word).to_owned(), value.clone()))
                .collect();
            let reported = Reported { once, rows: vec![row; rows], cut: false, unread: Vec::new() };
            for asked in [
                Diagnosis::Ping { host: "h".into(), count: 4, timeout_ms: 1, size: 1 },
                Diagnosis::Traceroute { host: "h".into(), hops: 3, tries: 1, timeout_ms: 1 },
                Diagnosis::Lookup { host: "h".into(), server: String::new(), count: 1, timeout_ms: 1 },
                Diagnosis::Neighbours,
            ] {
                if let Findings::Ping { sent, received, .. } = findings(&asked, &reported) {
                    prop_assert!(sent.is_none_or(|sent| sent <= 1000 && received.is_none_or(|got| got <= sent)));
                }
                prop_assert!(findings(&asked, &reported).sentence().len() < 400);
            }
        }
    }
}
