//! "Why can't I reach it?": what is known of the way of a connection request to a device, step by step, each with where
//! that is known from. Looking calls nobody; a check is a wish like any other call, which the machine of the device turns
//! into its usual one, or not, and what came of the last call is what is shown.

mod verdicts;
#[cfg(test)]
mod verdicts_tests;

use self::verdicts::{Came, Facts, INFORM_WITHIN_S, LastCall, UrlRead, check_said, verdicts};
use crate::{Actor, App, AppError, oms::AddressWord, ports::CallSeen};
use provisioning::{ConnectionFacts, Event, Ownership};
use serde::de::DeserializeOwned;
use store::{onus, rows};
use types::{CpeId, UtcMs};

/// Calls that are looked at for the one that was wanted last, and sessions for what came of it.
const LOOKED_AT: u64 = 50;
/// A call of before it was kept when one begins began so long before it ended, at most.
const LONGEST_CALL_S: u64 = 15;

/// Where a connection request can fail, in the order of its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReachStep {
    /// The ConnectionRequestURL, and whether it is the device's own address.
    Url,
    /// The management networks.
    Subnet,
    /// The TCP connection.
    Tcp,
    /// The answer to our request, and our credentials.
    Auth,
    /// The Inform that follows.
    Inform,
}

impl ReachStep {
    /// All of them, in order.
    pub const ALL: [ReachStep; 5] =
        [ReachStep::Url, ReachStep::Subnet, ReachStep::Tcp, ReachStep::Auth, ReachStep::Inform];

    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            ReachStep::Url => "url",
            ReachStep::Subnet => "subnet",
            ReachStep::Tcp => "tcp",
            ReachStep::Auth => "auth",
            ReachStep::Inform => "inform",
        }
    }
}

/// What is known of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It works.
    Good,
    /// It does not.
    Bad,
    /// It was tried, or is being, and that does not tell.
    NotKnown,
    /// It was not tried: something before it fails, or nobody called.
    NotTried,
}

impl Verdict {
    /// Stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Bad => "bad",
            Verdict::NotKnown => "not_known",
            Verdict::NotTried => "not_tried",
        }
    }
}

/// A fact that a verdict rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachEvidence {
    /// In words.
    pub text: String,
    /// When it was so.
    pub at: Option<UtcMs>,
    /// Whose word it is.
    pub source: &'static str,
}

/// One step with its verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachVerdict {
    /// Which.
    pub step: ReachStep,
    /// What is known of it.
    pub verdict: Verdict,
    /// The same in a sentence with the facts.
    pub text: String,
    /// What it rests on.
    pub evidence: Vec<ReachEvidence>,
    /// What to do, or what happens by itself.
    pub next: Option<String>,
}

/// What is known of the way to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// All of it in a sentence.
    pub summary: String,
    /// Something is waited for: an answer, or the Inform that follows it.
    pub waits: bool,
    /// What a check did that was asked for just now: whether it is one call, or why it is none.
    pub check: Option<String>,
    /// A call was wanted last then.
    pub asked_at: Option<UtcMs>,
    /// The same, where it went out, may have, or is under way; none where nothing was sent.
    pub called_at: Option<UtcMs>,
    /// It is not called again before that.
    pub not_again_before: Option<UtcMs>,
    /// The steps in order.
    pub steps: Vec<ReachVerdict>,
}

impl App {
    /// What is known of the way to this device. Nobody is called.
    ///
    /// # Errors
    /// [`AppError::NotFound`]; when the database cannot be read.
    pub async fn reach(&self, cpe: CpeId) -> Result<Reach, AppError> {
        Ok(verdicts(&self.reach_facts(cpe).await?))
    }

    /// Has the way to this device checked: its machine is asked for a call, and makes one at most, when it may. A call in
    /// vain changes neither its state nor has anything written to it. What is known then is returned, and
    /// whether a call is made; the answer to it is not waited for.
    ///
    /// # Errors
    /// As [`App::call_cpe`].
    pub async fn check_reach(&self, actor: &Actor, cpe: CpeId) -> Result<Reach, AppError> {
        let (wish, asked_at) = (Event::CheckRequested { by: actor.label() }, self.now());
        self.operate(actor, cpe, "cpe.check_reach", wish, "").await?;
        let facts = self.reach_facts(cpe).await?;
        let reach = verdicts(&facts);
        Ok(Reach { check: Some(check_said(&facts, &reach, asked_at)), ..reach })
    }

    async fn reach_facts(&self, cpe: CpeId) -> Result<Facts, AppError> {
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        // What can be read of the state: a device whose state cannot be is looked into most of all.
        let mut machine = row.machine.value();
        let connection: ConnectionFacts = part(&mut machine, "connection");
        let ownership: Ownership = part(&mut machine, "ownership");
        let root: String = machine["identity"]["root"].as_str().unwrap_or_default().to_owned();
        let policy = self.policy();
        let calls = store::cpes::connection_requests(self.store(), cpe, LOOKED_AT).await?;
        let latest = store::cpes::sessions(self.store(), cpe, 1).await?;
        let call = last_call(&calls, connection.last_at);
        let came = match &call {
            Some(call) => {
                let until = call.at.plus_s(INFORM_WITHIN_S);
                let after =
                    store::cpes::sessions_between(self.store(), cpe, call.began_at, until, LOOKED_AT).await?;
                came(&after)
            }
            None => None,
        };
        let known_at = match row.pon_serial {
            Some(serial) => onus::by_serial(self.store(), serial)
                .await?
                .map(|onu| AddressWord::on(&onu, self.now(), policy.olt_word_valid_s)),
            None => None,
        };
        let read = match root.as_str() {
            "" => None,
            root => {
                let path = format!("{root}.ManagementServer.ConnectionRequestURL");
                store::cpes::parameters_named(self.store(), cpe, &[path]).await?.pop()
            }
        };
        Ok(Facts {
            now: self.now(),
            url: row.connection_request_url.filter(|url| !url.trim().is_empty()),
            url_since: connection.url_since,
            url_read: read.map(|read| UrlRead { url: read.value, at: read.read_at, source: read.source }),
            peer: row.peer_address.parse().ok(),
            last_inform_at: row.last_inform_at,
            next_inform_by: row.next_inform_by,
            inform_interval_s: row.inform_interval_s,
            olt: known_at,
            allowed: policy.management_networks.clone(),
            nat: policy.nat_networks.clone(),
            gap_s: policy.provisioning.connection_request_gap_s,
            rewrite_s: policy.provisioning.credentials_rewrite_s,
            outstanding_since: connection.outstanding_since,
            last_called_at: connection.last_at,
            written_at: ownership.written_at,
            confirmed_at: ownership.confirmed_at,
            repaired_at: ownership.repaired_at,
            repaired: ownership.repaired,
            refused_since: connection.unauthorized_since,
            session_since: latest
                .iter()
                .find(|session| session.ended_at.is_none())
                .map(|session| session.began_at),
            call,
            came,
        })
    }
}

/// A part of what a machine remembers.
fn part<T: DeserializeOwned + Default>(machine: &mut serde_json::Value, name: &str) -> T {
    machine.get_mut(name).and_then(|part| serde_json::from_value(part.take()).ok()).unwrap_or_default()
}

/// The call that was wanted last, if it is over, or else the last one that is.
fn last_call(calls: &[rows::ConnectionRequest], asked_at: Option<UtcMs>) -> Option<LastCall> {
    let read = |call: &rows::ConnectionRequest| {
        let seen: Option<CallSeen> = serde_json::from_value(call.seen.clone()).unwrap_or_default();
        let began = seen.as_ref().and_then(|seen| seen.began_at);
        LastCall {
            at: call.at,
            // One of before that was kept with it.
            asked_at: seen.as_ref().and_then(|seen| seen.asked_at).unwrap_or(call.at),
            began_at: began.unwrap_or(UtcMs(call.at.0.saturating_sub_unsigned(LONGEST_CALL_S * 1000))),
            outcome: call.outcome.clone(),
            detail: call.detail.clone(),
            seen,
        }
    };
    let mut all = calls.iter().map(read);
    all.clone().find(|call| Some(call.asked_at) >= asked_at).or_else(|| all.next())
}

/// The Inform that came after a call, of those that are early enough: the first that says it came because of one, or else
/// the first.
fn came(sessions: &[rows::CpeSession]) -> Option<Came> {
    let called = |session: &&rows::CpeSession| session.events.contains("6 CONNECTION REQUEST");
    let first = sessions.iter().find(called).or(sessions.first())?;
    Some(Came { at: first.began_at, called: called(&first), events: first.events.clone() })
}
