//! Of connection requests: why one was made or not, and what came of it.

use super::{Code, Reason, at, next_inform, short};
use crate::ConnectionRequestOutcome;
use types::UtcMs;

/// The host of a URL as the device wrote it.
fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, _)) => host,
        None => authority.split(':').next().unwrap_or_default(),
    }
}

pub(crate) fn waiting(
    outcome: Option<ConnectionRequestOutcome>,
    url: &str,
    peer: Option<&str>,
    expected: Option<UtcMs>,
    now: UtcMs,
) -> Reason {
    use ConnectionRequestOutcome as O;
    let url = if url.is_empty() { "(none)".to_owned() } else { short(url) };
    let peer = peer.map_or_else(|| "an unknown address".to_owned(), short);
    let (code, text) = match outcome {
        None => (Code::WaitingInform, "The next step needs a session and none can be forced now".to_owned()),
        Some(O::Accepted) => {
            (Code::ConnectionRequestAccepted, "The device accepted the connection request".to_owned())
        }
        Some(O::Unauthorized) => (
            Code::ConnectionRequestUnauthorized,
            format!("Provision blocked: connection request to {url} refused (401)"),
        ),
        Some(O::Http(status)) => (
            Code::ConnectionRequestHttp,
            format!("Provision blocked: connection request to {url} answered HTTP {status}"),
        ),
        Some(O::UrlMissing) => (
            Code::ConnectionRequestUrlMissing,
            "Provision blocked: the device never told a ConnectionRequestURL".to_owned(),
        ),
        Some(O::UrlInvalid) => (
            Code::ConnectionRequestUrlInvalid,
            format!("Provision blocked: ConnectionRequestURL {url} is not a usable http address"),
        ),
        Some(O::NotInManagementSubnet) => (
            Code::ConnectionRequestOutsideSubnet,
            format!("Provision blocked: ConnectionRequestURL {url} is outside every management subnet"),
        ),
        Some(O::AnotherAddress) => (
            Code::ConnectionRequestAnotherAddress,
            format!(
                "Provision blocked: ConnectionRequestURL names {}, but the device speaks from {peer}; no request was sent",
                host_of(&url)
            ),
        ),
        Some(O::Unreachable) => (
            Code::ConnectionRequestUnreachable,
            format!(
                "Provision blocked: ConnectionRequestURL {url} unreachable (no TCP connection within 2 s)"
            ),
        ),
        Some(O::Timeout) => (
            Code::ConnectionRequestTimeout,
            format!("Provision blocked: ConnectionRequestURL {url} took the connection and did not answer"),
        ),
        Some(O::NoInformAfterAccept) => (
            Code::NoInformAfterAccept,
            format!("Provision blocked: connection request to {url} sent, and no Inform came"),
        ),
        Some(O::Unanswered) => (
            Code::ConnectionRequestUnanswered,
            format!(
                "Provision blocked: no answer to the connection request to {url} in time; it may not have been sent"
            ),
        ),
        Some(O::NotSent) => (
            Code::ConnectionRequestNotSent,
            format!("Provision blocked: the connection request to {url} was not sent"),
        ),
        Some(O::ProcessEnded) => (
            Code::ConnectionRequestProcessEnded,
            format!(
                "Provision blocked: the server that sent a connection request to {url} ended before the answer; it is not sent again"
            ),
        ),
    };
    let reason = Reason::new(code, text).then(next_inform(expected, now)).with("url", url);
    if outcome == Some(O::AnotherAddress) { reason.with("peer", peer) } else { reason }
}

/// What comes of a 401: when the credentials that the device refuses are written to it again.
pub(crate) enum Repair {
    /// In a session that it opens by itself.
    NextSession,
    /// The device is FAILED, and is told nothing before its time.
    NextAttempt,
    /// An operator holds the device.
    Held { by: String },
    /// They were, or that was tried, at this moment, and are not before another one.
    Rests { at: UtcMs, until: UtcMs, done: bool },
    /// It has none of ours yet, or belongs to nobody: they come with everything else.
    NotOurs,
}

/// The sentence of a connection request that was answered 401, with what is done about it.
pub(crate) fn unauthorized(reason: Reason, repair: &Repair) -> Reason {
    let then = match repair {
        Repair::NextSession => {
            "its credentials are written again in the next session it opens, once a day at most".to_owned()
        }
        Repair::NextAttempt => {
            "its credentials are written again with the next attempt, once a day at most".to_owned()
        }
        Repair::Held { by } => {
            format!("its credentials are written again once {by} lifts the hold")
        }
        Repair::Rests { at: last, until, done } => {
            let (last, until) = (at(*last), at(*until));
            if *done {
                format!("its credentials were written again at {last} and are not before {until}")
            } else {
                format!(
                    "writing its credentials again was tried at {last}, without proof that it took them, and is not before {until}"
                )
            }
        }
        Repair::NotOurs => "its credentials are written when it becomes ours".to_owned(),
    };
    Reason { text: format!("{}; {then}", reason.text), ..reason }
}

pub(crate) fn call_requested(who: &str) -> Reason {
    Reason::new(Code::CallRequested, format!("Session wanted by {who}"))
        .then("connection request sent")
        .with("by", who)
}

/// It is wanted, and no request is sent for it.
pub(crate) fn call_not_made(who: &str, why: &str) -> Reason {
    Reason::new(Code::CallRequested, format!("Session wanted by {who}; no connection request is sent: {why}"))
        .with("by", who)
}

/// What was found by a call that was made only to see whether the device can be reached.
pub(crate) fn checked(found: Reason) -> Reason {
    let found_text = found.text.strip_prefix("Provision blocked: ").unwrap_or(&found.text);
    let text = format!("Checked whether it can be reached: {found_text}");
    Reason { text, next: None, ..found }.then("a check only reports: nothing is done because of it")
}

pub(crate) fn call_too_soon(until: UtcMs) -> Reason {
    Reason::new(Code::WaitingInform, "A connection request was wanted only just now")
        .then(format!("the next one not before {}", at(until)))
}
