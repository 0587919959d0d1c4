//! "Why can't I reach it?": what is known of the way of a connection request to a device, step by step, each with where
//! that is known from. Looking calls nobody; a check is a wish like any other call, which the machine of the device turns
//! into its usual one, or not, and what came of the last call is what is shown.

mod verdicts;
#[cfg(test)]
mod verdicts_tests;

use self::verdicts::{Came, Facts, LastCall, UrlRead, verdicts};
use crate::{Actor, App, AppError, oms::AddressWord, ports::CallSeen};
use provisioning::{ConnectionFacts, Event, Ownership};
use serde::de::DeserializeOwned;
use store::{onus, rows};
use types::{CpeId, UtcMs};

/// Calls and sessions that are looked at for what came of the last call.
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
    /// The last call was made then.
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

    /// Has the way to this device checked: its machine is asked for a call, and makes one at most, when it may. What is
    /// known then, which may be of the call before, is returned; the answer to a call that is made is not waited for.
    ///
    /// # Errors
    /// As [`App::call_cpe`].
    pub async fn check_reach(&self, actor: &Actor, cpe: CpeId) -> Result<Reach, AppError> {
        let wish = Event::CallRequested { by: actor.label() };
        self.operate(actor, cpe, "cpe.check_reach", wish, "").await?;
        self.reach(cpe).await
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
        let sessions = store::cpes::sessions(self.store(), cpe, LOOKED_AT).await?;
        let call = last_call(&calls);
        let came = call.as_ref().and_then(|call| came(&sessions, call.began_at));
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
            session_since: sessions
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

/// The last call that was made, or the last one of all if none was.
fn last_call(calls: &[rows::ConnectionRequest]) -> Option<LastCall> {
    let made = calls.iter().find(|call| call.outcome != "not_sent");
    let call = made.or(calls.first())?;
    let seen: Option<CallSeen> = serde_json::from_value(call.seen.clone()).unwrap_or_default();
    let began = seen.as_ref().and_then(|seen| seen.began_at);
    Some(LastCall {
        at: call.at,
        began_at: began.unwrap_or(UtcMs(call.at.0.saturating_sub_unsigned(LONGEST_CALL_S * 1000))),
        outcome: call.outcome.clone(),
        detail: call.detail.clone(),
        seen,
    })
}

/// The Inform that came after a call was begun: the first that says it came because of one, or else the first.
fn came(sessions: &[rows::CpeSession], since: UtcMs) -> Option<Came> {
    let called = |session: &&rows::CpeSession| session.events.contains("6 CONNECTION REQUEST");
    let mut after = sessions.iter().rev().filter(|session| session.began_at >= since);
    let first = after.clone().find(called).or_else(|| after.next())?;
    Some(Came { at: first.began_at, called: called(&first), events: first.events.clone() })
}
