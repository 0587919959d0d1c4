//! What is seen of a connection request on its way: more than its outcome, for whoever asks why a device cannot be
//! reached. It is kept with the outcome, and holds no secret.

use crate::ports::ConnectionRequestOutcome;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use types::UtcMs;

/// Characters of a text of the device that are kept.
const LONGEST_TEXT: usize = 64;

/// What came of a connection request, and what was seen on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallReport {
    /// What came of it.
    pub outcome: ConnectionRequestOutcome,
    /// What was seen.
    pub seen: CallSeen,
}

impl From<ConnectionRequestOutcome> for CallReport {
    /// Nothing more is known than what came of it.
    fn from(outcome: ConnectionRequestOutcome) -> Self {
        CallReport { outcome, seen: CallSeen::default() }
    }
}

/// Step by step what was seen of a connection request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CallSeen {
    /// The machine of the device wanted it then: which wish of its this is the call of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<UtcMs>,
    /// It was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_at: Option<UtcMs>,
    /// Whom it went to; none: nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<SocketAddr>,
    /// What came of the latest TCP connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpSeen>,
    /// How long the first one took to stand, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u32>,
    /// The status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How the device asked for a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeSeen>,
    /// Our name and a digest of our password were sent.
    pub credentials_sent: bool,
    /// Why there is no answer, where the connection stood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<Unanswered>,
}

/// What came of a TCP connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TcpSeen {
    /// It stood.
    Connected,
    /// The host answered that nobody listens there.
    Refused,
    /// Nothing came back in time.
    TimedOut,
    /// It was broken off at once.
    Reset,
    /// No way leads there from this server, or a router on the way said so.
    NoRoute,
    /// This server could not try.
    Failed,
}

/// Why there is no answer on a connection that stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// Nothing came.
    Silent,
    /// Something came, and no whole answer in time.
    Slow,
    /// The device closed it without an answer.
    Closed,
    /// What came is not HTTP.
    NotHttp,
    /// TLS did not come about.
    Tls,
}

/// How a device asked for a password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChallengeSeen {
    /// `digest`, `basic` or another word, in small letters.
    pub scheme: String,
    /// Its realm, cut to 64 characters.
    pub realm: String,
    /// Its qop, if it offers one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qop: Option<String>,
}

impl ChallengeSeen {
    /// From what a device says, without what cannot be shown.
    pub fn new(scheme: &str, realm: &str, qop: Option<&str>) -> Self {
        let short =
            |text: &str| text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect::<String>();
        ChallengeSeen { scheme: short(scheme).to_ascii_lowercase(), realm: short(realm), qop: qop.map(short) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_in_few_words_and_read_back() {
        let seen = CallSeen {
            to: Some("127.20.3.9:7547".parse().expect("an address")),
            tcp: Some(TcpSeen::TimedOut),
            ..CallSeen::default()
        };
        let kept = serde_json::to_string(&seen).expect("json");
        assert_eq!(kept, r#"{"to":"127.20.3.9:7547","tcp":"timed_out","credentials_sent":false}"#);
        assert_eq!(serde_json::from_str::<CallSeen>(&kept).expect("json"), seen);
    }

    #[test]
    fn a_challenge_is_kept_within_bounds() {
        let long = format!("r\u{1b}\n{}", "x".repeat(500));
        let seen = ChallengeSeen::new("DIGEST", &long, Some(&long));
        assert_eq!((seen.scheme.as_str(), seen.realm.chars().count()), ("digest", LONGEST_TEXT));
        assert!(!seen.realm.contains(char::is_control) && seen.qop.is_some_and(|qop| qop.len() == 64));
    }
}
