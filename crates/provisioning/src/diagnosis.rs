//! Tests that a device runs by itself: what is asked, and how the device says how far it is.
//!
//! Nothing here speaks to a device.

use profiles::cpe::DiagnosticName;
use serde::{Deserialize, Serialize};

/// Rows of results that are read.
const MOST_ROWS: usize = 64;
/// Networks around a router in a city are more than hops.
const MOST_NETWORKS: usize = 128;
/// Characters that are kept of a name or an address which a device reports.
const LONGEST_TEXT: usize = 256;
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
    /// Look a name up.
    Lookup {
        /// Name.
        host: String,
        /// Address of the name server; empty: those that the device uses.
        server: String,
        /// Requests.
        count: u32,
        /// Milliseconds to wait for each answer.
        timeout_ms: u32,
    },
    /// Look for other Wi-Fi networks.
    Neighbours,
    /// Read what is connected. Nothing is written for that.
    Hosts,
}

impl Diagnosis {
    /// Which test of the profile it is; none for what is only read.
    pub fn name(&self) -> Option<DiagnosticName> {
        match self {
            Diagnosis::Ping { .. } => Some(DiagnosticName::Ping),
            Diagnosis::Traceroute { .. } => Some(DiagnosticName::Traceroute),
            Diagnosis::Lookup { .. } => Some(DiagnosticName::Lookup),
            Diagnosis::Neighbours => Some(DiagnosticName::Neighbours),
            Diagnosis::Hosts => None,
        }
    }

    /// Stable word for rows and API.
    pub fn as_str(&self) -> &'static str {
        self.name().map_or(Self::HOSTS, DiagnosticName::as_str)
    }

    /// The word of [`Diagnosis::Hosts`].
    pub const HOSTS: &'static str = "hosts";

    /// True for the word of a diagnosis.
    pub fn is_word(word: &str) -> bool {
        word == Self::HOSTS || DiagnosticName::ALL.iter().any(|name| name.as_str() == word)
    }

    /// For sentences.
    pub fn title(&self) -> &'static str {
        match self {
            Diagnosis::Ping { .. } => "ping",
            Diagnosis::Traceroute { .. } => "trace route",
            Diagnosis::Lookup { .. } => "name look-up",
            Diagnosis::Neighbours => "Wi-Fi neighbour scan",
            Diagnosis::Hosts => "reading of hosts",
        }
    }

    /// Whom it is about, with the word of the input that names it.
    pub fn target(&self) -> Option<(&'static str, &str)> {
        match self {
            Diagnosis::Ping { host, .. } | Diagnosis::Traceroute { host, .. } => Some(("host", host)),
            Diagnosis::Lookup { host, .. } => Some(("name", host)),
            Diagnosis::Neighbours | Diagnosis::Hosts => None,
        }
    }

    /// A device names this as what it tests. Of a test that is about nobody every name will do.
    pub(crate) fn is_about(&self, named: &str) -> bool {
        let Some((_, asked)) = self.target() else { return true };
        let address = |text: &str| text.parse::<std::net::IpAddr>().ok();
        let (named, asked) = (named.trim().trim_end_matches('.'), asked.trim_end_matches('.'));
        named.eq_ignore_ascii_case(asked) || address(named).is_some_and(|named| address(asked) == Some(named))
    }

    /// Rows of results that are read.
    pub(crate) fn most_rows(&self) -> usize {
        if matches!(self, Diagnosis::Neighbours) { MOST_NETWORKS } else { MOST_ROWS }
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
            Diagnosis::Lookup { host, server, count, timeout_ms } => vec![
                ("name", host.clone()),
                ("server", server.clone()),
                ("repetitions", count.to_string()),
                ("timeout", timeout_ms.to_string()),
            ],
            Diagnosis::Neighbours | Diagnosis::Hosts => Vec::new(),
        }
    }

    /// Seconds after which it should be over.
    pub(crate) fn expected_s(&self) -> u64 {
        let ms = match self {
            Diagnosis::Ping { count, timeout_ms, .. } | Diagnosis::Lookup { count, timeout_ms, .. } => {
                u64::from(*count).saturating_mul(u64::from(*timeout_ms).max(1000))
            }
            Diagnosis::Traceroute { hops, tries, timeout_ms, .. } => {
                u64::from(*hops).saturating_mul(u64::from(*tries)).saturating_mul(u64::from(*timeout_ms))
            }
            Diagnosis::Neighbours | Diagnosis::Hosts => 20_000,
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
        "dnsservernotresolved" | "dnsservernotavailable" => "does not reach the name server",
        "hostnamenotresolved" => "was told that there is no such name",
        "canceled" | "cancelled" => "says that somebody stopped it",
        "other" | "error" => "failed and does not say why",
        _ => return format!("ended it with {:?}", text(state)),
    };
    format!("{known} ({})", text(state))
}

/// What a device says, to a length and without anything that is no text.
pub(crate) fn plain(text: &str, longest: usize) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(longest).collect()
}

pub(crate) fn text(text: &str) -> String {
    plain(text, LONGEST_TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(Diagnosis::Neighbours.is_about(""));
        for (asked, named) in [("10.0.0.1", "10.0.0.10"), ("10.0.0.1", ""), ("a.example", "example")] {
            assert!(!of(asked).is_about(named), "{named}");
        }
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
}
