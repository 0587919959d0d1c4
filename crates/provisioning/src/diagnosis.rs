//! Tests that a device runs by itself: what is asked, how its answer is understood, and what is believed of it.
//!
//! Nothing here speaks to a device. What a device reports is bounded: a number that cannot be is left out and said, a table
//! is read to a bound, a text is cut.

use profiles::cpe::DiagnosticName;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows of results that are read.
pub(crate) const MOST_ROWS: usize = 64;
/// Characters that are kept of a name or an address which a device reports.
const LONGEST_TEXT: usize = 256;
/// Requests beyond which no device counts, where it does not tell how many it was to send.
const MOST_REQUESTS: u32 = 1000;
/// Milliseconds beyond which no answer took: the device does not count in them, or lies.
const LONGEST_ANSWER_MS: u64 = 600_000;
/// Seconds that a test may take at least and at most, as we expect it: the longest that is taken (64 hops, three tries of
/// 10 s each) is no more.
const EXPECTED_S: (u64, u64) = (20, 1930);

/// A test that is ordered. Its numbers are bounded by whoever takes the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "test", rename_all = "snake_case")]
pub enum Diagnosis {
    /// Ping.
    Ping {
        /// Name or address.
        host: String,
        /// Requests.
        count: u32,
        /// Milliseconds to wait for each answer.
        timeout_ms: u32,
        /// Bytes in each.
        size: u32,
    },
    /// Trace route.
    Traceroute {
        /// Name or address.
        host: String,
        /// Hops at most.
        hops: u32,
        /// Tries at each hop.
        tries: u32,
        /// Milliseconds to wait for each answer.
        timeout_ms: u32,
    },
}

impl Diagnosis {
    /// Which test it is.
    pub fn name(&self) -> DiagnosticName {
        match self {
            Diagnosis::Ping { .. } => DiagnosticName::Ping,
            Diagnosis::Traceroute { .. } => DiagnosticName::Traceroute,
        }
    }

    /// For sentences.
    pub fn title(&self) -> &'static str {
        match self {
            Diagnosis::Ping { .. } => "ping",
            Diagnosis::Traceroute { .. } => "trace route",
        }
    }

    /// Whom it is about.
    pub fn host(&self) -> &str {
        match self {
            Diagnosis::Ping { host, .. } | Diagnosis::Traceroute { host, .. } => host,
        }
    }

    /// A device names this host as the one that it tests.
    pub(crate) fn is_about(&self, host: &str) -> bool {
        let address = |text: &str| text.parse::<std::net::IpAddr>().ok();
        let (named, asked) = (host.trim().trim_end_matches('.'), self.host().trim_end_matches('.'));
        named.eq_ignore_ascii_case(asked) || address(named).is_some_and(|named| address(asked) == Some(named))
    }

    /// What to write, by the words of the profile; `interface` is not among them.
    pub(crate) fn inputs(&self) -> Vec<(&'static str, String)> {
        match self {
            Diagnosis::Ping { host, count, timeout_ms, size } => vec![
                ("host", host.clone()),
                ("repetitions", count.to_string()),
                ("timeout", timeout_ms.to_string()),
                ("size", size.to_string()),
            ],
            Diagnosis::Traceroute { host, hops, tries, timeout_ms } => vec![
                ("host", host.clone()),
                ("hops", hops.to_string()),
                ("repetitions", tries.to_string()),
                ("timeout", timeout_ms.to_string()),
            ],
        }
    }

    /// Seconds after which it should be over.
    pub(crate) fn expected_s(&self) -> u64 {
        let ms = match self {
            Diagnosis::Ping { count, timeout_ms, .. } => {
                u64::from(*count).saturating_mul(u64::from(*timeout_ms).max(1000))
            }
            Diagnosis::Traceroute { hops, tries, timeout_ms, .. } => {
                u64::from(*hops).saturating_mul(u64::from(*tries)).saturating_mul(u64::from(*timeout_ms))
            }
        };
        (ms / 1000 + 10).clamp(EXPECTED_S.0, EXPECTED_S.1)
    }
}

/// How far a device says that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Not over.
    Running,
    /// Over, with a result.
    Complete,
    /// Nobody asked it, as far as it knows: it started again, or lost it.
    Forgotten,
    /// Over without success: its own word, cut.
    Error(String),
}

impl Progress {
    /// It has a result, or failed.
    pub(crate) fn is_finished(&self) -> bool {
        matches!(self, Progress::Complete | Progress::Error(_))
    }

    /// What the device has of this test now was found by it: it is complete, or a trace that ran out of hops.
    pub(crate) fn has_result(&self, asked: &Diagnosis) -> bool {
        match self {
            Progress::Complete => true,
            Progress::Error(word) => {
                matches!(asked, Diagnosis::Traceroute { .. })
                    && error_word(word).eq_ignore_ascii_case("MaxHopCountExceeded")
            }
            Progress::Running | Progress::Forgotten => false,
        }
    }

    /// The state says in a known word that a test is under way: an unknown one may be how a device that rests puts it.
    pub(crate) fn is_under_way(state: &str) -> bool {
        let plain: String = state.chars().filter(char::is_ascii_alphabetic).collect();
        matches!(plain.to_ascii_lowercase().as_str(), "requested" | "running" | "inprogress")
    }

    /// From the state leaf. `Complete` is spelt `Completed` by some.
    pub(crate) fn read(state: &str) -> Progress {
        let state = state.trim();
        let lower = state.to_ascii_lowercase();
        match lower.as_str() {
            "complete" | "completed" => Progress::Complete,
            "none" | "" => Progress::Forgotten,
            "canceled" | "cancelled" => Progress::Error(state.to_owned()),
            _ if lower.starts_with("error") => Progress::Error(text(state)),
            _ => Progress::Running,
        }
    }
}

/// An error state without what all of them begin with.
fn error_word(state: &str) -> &str {
    state.trim().trim_start_matches("Error_").trim_start_matches("error_")
}

/// An error state in words: a clause after "the router".
pub(crate) fn error_words(state: &str) -> String {
    let word = error_word(state).to_ascii_lowercase();
    let known = match word.as_str() {
        "cannotresolvehostname" => "cannot resolve the name",
        "noroutetohost" => "has no route to it",
        "maxhopcountexceeded" => "did not reach it within the hops that were allowed",
        "internal" => "failed for a reason of its own",
        "timeout" => "ran out of time",
        "canceled" | "cancelled" => "says that somebody stopped it",
        "other" | "error" => "failed and does not say why",
        _ => return format!("ended it with {:?}", text(state)),
    };
    format!("{known} ({})", text(state))
}

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
        let what = input_words(asked, word)?.to_owned();
        let has = reported.once.get(word).map(|has| plain(has, 20)).filter(|has| !has.is_empty());
        let same = has.as_ref().is_some_and(|has| has.parse::<u64>().ok() == wanted.parse().ok());
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

/// What a device says, to a length and without anything that is no text.
pub(crate) fn plain(text: &str, longest: usize) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(longest).collect()
}

fn text(text: &str) -> String {
    plain(text, LONGEST_TEXT)
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
    }
}

impl Findings {
    /// The connection that the device names.
    pub(crate) fn interface(&self) -> Option<&str> {
        match self {
            Findings::Ping { interface, .. } | Findings::Traceroute { interface, .. } => interface.as_deref(),
        }
    }

    /// What the device did not take.
    pub(crate) fn not_taken(&self) -> &[NotTaken] {
        match self {
            Findings::Ping { not_taken, .. } | Findings::Traceroute { not_taken, .. } => not_taken,
        }
    }

    /// What could not be read.
    pub(crate) fn unread(&self) -> &[String] {
        match self {
            Findings::Ping { unread, .. } | Findings::Traceroute { unread, .. } => unread,
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
            Findings::Traceroute { .. } => panic!("a ping"),
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
    fn a_host_may_be_spelt_differently() {
        let of = |host: &str| Diagnosis::Ping { host: host.into(), count: 1, timeout_ms: 1, size: 1 };
        for (asked, named) in [
            ("www.example.net.", "WWW.example.net"),
            ("2001:db8::1", "2001:0DB8:0:0:0:0:0:1"),
            ("10.0.0.1", " 10.0.0.1 "),
        ] {
            assert!(of(asked).is_about(named), "{named}");
        }
        for (asked, named) in [("10.0.0.1", "10.0.0.10"), ("10.0.0.1", ""), ("a.example", "example")] {
            assert!(!of(asked).is_about(named), "{named}");
        }
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

    #[test]
    fn states_are_read_as_devices_spell_them() {
        assert_eq!(Progress::read("Complete"), Progress::Complete);
        assert_eq!(Progress::read("Completed"), Progress::Complete);
        assert_eq!(Progress::read("None"), Progress::Forgotten);
        assert_eq!(Progress::read("Requested"), Progress::Running);
        let error = "Error_CannotResolveHostName";
        assert_eq!(Progress::read(error), Progress::Error(error.into()));
        assert_eq!(error_words(error), "cannot resolve the name (Error_CannotResolveHostName)");
        assert!(error_words("Error_\u{1}Vendor").contains("Error_Vendor"));
    }

    #[test]
    fn the_longest_test_that_is_taken_is_not_cut_short() {
        let trace = |hops, tries, timeout_ms| {
            Diagnosis::Traceroute { host: "h".into(), hops, tries, timeout_ms }.expected_s()
        };
        assert_eq!((trace(64, 3, 10_000), trace(1, 1, 100)), (1930, 20));
        let ping = Diagnosis::Ping { host: "h".into(), count: 64, timeout_ms: 10_000, size: 56 };
        assert_eq!(ping.expected_s(), 650);
    }

    #[test]
    fn only_what_a_test_found_itself_is_its_result() {
        let ping = Diagnosis::Ping { host: "h".into(), count: 1, timeout_ms: 1, size: 1 };
        let trace = Diagnosis::Traceroute { host: "h".into(), hops: 1, tries: 1, timeout_ms: 1 };
        for (state, of_ping, of_trace) in [
            ("Complete", true, true),
            ("Completed", true, true),
            ("Error_MaxHopCountExceeded", false, true),
            ("error_maxhopcountexceeded", false, true),
            ("Error_CannotResolveHostName", false, false),
            ("Error_Other", false, false),
            ("Canceled", false, false),
            ("Requested", false, false),
            ("None", false, false),
        ] {
            let progress = Progress::read(state);
            assert_eq!(
                (progress.has_result(&ping), progress.has_result(&trace)),
                (of_ping, of_trace),
                "{state}"
            );
        }
    }

    proptest! {
        #[test]
        fn anything_reported_is_bounded(values in proptest::collection::vec("\\PC{0,40}", 8), rows in 0usize..80) {
            let words = ["received", "lost", "least", "average", "most", "repetitions", "interface", "size"];
            let once = words.iter().zip(&values).map(|(word, value)| ((*word).to_owned(), value.clone())).collect();
            let row: BTreeMap<String, String> = ["name", "address", "times", "error"]
                .iter()
                .zip(&values)
                .map(|(word, value)| ((*word).to_owned(), value.clone()))
                .collect();
            let reported = Reported { once, rows: vec![row; rows], cut: false, unread: Vec::new() };
            for asked in [
                Diagnosis::Ping { host: "h".into(), count: 4, timeout_ms: 1, size: 1 },
                Diagnosis::Traceroute { host: "h".into(), hops: 3, tries: 1, timeout_ms: 1 },
            ] {
                if let Findings::Ping { sent, received, .. } = findings(&asked, &reported) {
                    prop_assert!(sent.is_none_or(|sent| sent <= 1000 && received.is_none_or(|got| got <= sent)));
                }
                prop_assert!(findings(&asked, &reported).sentence().len() < 400);
            }
        }
    }
}
