//! Connection requests: the machine decides that one is wanted, this carries it out once and reports what came of it.

use crate::{
    App, AppError, Change,
    oms::AddressWord,
    ports::{CallSeen, ConnectionRequestTarget, TcpSeen, Unanswered},
};
use provisioning::{ConnectionRequestOutcome, Event};
use std::{net::IpAddr, time::Duration};
use store::{
    Slot,
    leases::{self, Lease},
    onus, rows,
};
use types::{CpeId, Secret};

/// A TCP connect to a CPE that is there takes milliseconds; two seconds is generous (provisioning.md).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// So long a device is left alone by the other nodes when the one that was calling it died: longer than any call takes.
const CALL_LEASE: Duration = Duration::from_secs(60);

fn lease_name(cpe: CpeId) -> String {
    format!("call:{cpe}")
}

impl App {
    /// Carries out one queued connection request. A job that was begun before means that a process died in the middle
    /// of it: whether it was sent is unknown, so it is not sent again. One that nobody waits for any more (the device
    /// informed, or the watchdog gave up while no worker ran) is not sent at all. The record says which it was.
    pub(crate) async fn request_connection(&self, cpe: CpeId, job: &rows::Job) -> Result<(), AppError> {
        let live = self.load(cpe).await?;
        let policy = self.policy();
        let watched = Duration::from_secs(policy.provisioning.watchdog_s);
        let since = live.device.connection.outstanding_since;
        let wanted_last = live.device.connection.last_at;
        let peer = live.device.connection.peer.clone();
        let awaited =
            since.is_some_and(|since| since <= job.created_at && self.now().since(since) <= watched);
        let (row, begun_before) = (live.row, job.attempts > 1);
        let call = self.live().call(cpe);
        // One at a time on this node, and among all nodes.
        let may = !begun_before && awaited && call.is_some();
        let mine = if may { self.take_call(cpe).await? } else { None };
        // Whichever call it is of, the record says: a slow one may end after the next is wanted.
        let asked_at = since.filter(|_| awaited).or(Some(job.created_at));
        let mut seen = CallSeen { asked_at, ..CallSeen::default() };
        let outcome = if begun_before {
            ConnectionRequestOutcome::ProcessEnded
        } else if mine.is_none() {
            ConnectionRequestOutcome::NotSent
        } else {
            let credentials = match self.store().secret(Slot::CpeCredentials(cpe)).await? {
                Some(text) => serde_json::from_str::<provisioning::OwnershipCredentials>(text.expose()).ok(),
                None => None,
            };
            let (username, password) = credentials
                .map(|c| (c.connection_request_username, c.connection_request_password))
                .unwrap_or_else(|| (String::new(), Secret::default()));
            let target = ConnectionRequestTarget {
                url: row.connection_request_url.clone(),
                username,
                password,
                allowed: policy.management_networks.clone(),
                known_at: self.known_at(&row, peer.as_deref()).await?,
                behind_nat: policy.nat_networks.clone(),
                connect_timeout: CONNECT_TIMEOUT,
            };
            let began_at = self.now();
            let report = self.connection().request(target).await;
            seen = CallSeen { asked_at, began_at: Some(began_at), ..report.seen };
            report.outcome
        };
        let waited = self.now().since(job.created_at);
        let detail = match outcome {
            ConnectionRequestOutcome::NotSent => not_sent(awaited, mine.is_none(), since.is_some(), waited),
            ConnectionRequestOutcome::ProcessEnded if job.last_error.is_some() => format!(
                "A call was begun and failed on our side: {}. Whether the device was reached is unknown, so it is not \
                 called again.",
                job.last_error.as_deref().unwrap_or_default().trim_end_matches('.')
            ),
            _ => in_words(outcome, &seen, row.connection_request_url.as_deref(), peer.as_deref()),
        };
        if let Some(mine) = mine
            && let Err(error) = self.end_call(mine).await
        {
            tracing::warn!(%cpe, %error, "other nodes leave this device alone for a minute more");
        }
        drop(call);
        let record = rows::ConnectionRequest {
            cpe_id: cpe,
            at: self.now(),
            outcome: outcome.as_str().to_owned(),
            detail,
            seen: serde_json::to_value(seen).unwrap_or_default(),
            ..Default::default()
        };
        self.store().write(move |tx| Box::pin(async move { tx.insert(&record).await })).await?;
        // One that had its turn too late is news to its machine as well, unless another was wanted since.
        let unsent = outcome == ConnectionRequestOutcome::NotSent && since.is_none();
        if awaited || unsent && wanted_last.is_none_or(|last| last <= job.created_at) {
            self.feed(cpe, Event::ConnectionRequestFinished(outcome)).await?;
        }
        // Where its machine had nothing to say to that, there is a call more to be shown all the same.
        self.bus().say(Change::Cpe(cpe));
        Ok(())
    }

    /// Takes the one call that this device may get at a time. None: another node is calling it.
    async fn take_call(&self, cpe: CpeId) -> Result<Option<Lease>, AppError> {
        let process = self.process().to_owned();
        let taken = self.store().write(move |tx| {
            Box::pin(async move { leases::acquire(tx, &lease_name(cpe), &process, CALL_LEASE).await })
        });
        Ok(taken.await?)
    }

    /// Another node that took over meanwhile keeps its call.
    async fn end_call(&self, call: Lease) -> Result<(), AppError> {
        self.store().write(move |tx| Box::pin(async move { leases::release(tx, &call).await })).await?;
        Ok(())
    }

    /// Where this device is: where it spoke from last, and where its OLT has it.
    pub(crate) async fn known_at(
        &self,
        row: &rows::Cpe,
        peer: Option<&str>,
    ) -> Result<Vec<IpAddr>, AppError> {
        let mut known: Vec<IpAddr> = peer.and_then(|text| text.parse().ok()).into_iter().collect();
        if let Some(serial) = row.pon_serial
            && let Some(onu) = onus::by_serial(self.store(), serial).await?
        {
            match AddressWord::on(&onu, self.now(), self.policy().olt_word_valid_s) {
                AddressWord::Has { addresses, .. } => known.extend(addresses),
                AddressWord::Unread | AddressWord::CannotTell { .. } => {}
            }
        }
        Ok(known)
    }
}

/// Why a request was not sent, for the CPE's page.
fn not_sent(awaited: bool, taken: bool, outstanding: bool, waited: Duration) -> String {
    let waited = waited.as_secs();
    match (awaited, outstanding) {
        (true, _) if taken => {
            "Not sent: the call before to this device is still under way, and one at a time is enough."
                .to_owned()
        }
        (true, _) => "Not sent: this process makes no more calls.".to_owned(),
        (false, false) => format!(
            "Not sent: when its turn came after {waited} s, the device had informed by itself or was not waited for any \
             more."
        ),
        (false, true) => {
            format!("Not sent: its turn came after {waited} s, too late; a newer request is under way.")
        }
    }
}

/// A URL as it is shown: without a login in it, and without its query, where devices put one.
pub fn shown_url(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let place_ends = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (place, path) = rest.split_at(place_ends);
    let place = place.rsplit_once('@').map_or(place.to_owned(), |(_, host)| format!("•••@{host}"));
    let path = path.split_once('?').map_or(path.to_owned(), |(path, _)| format!("{path}?•••"));
    let scheme = if url.contains("://") { format!("{scheme}://") } else { String::new() };
    format!("{scheme}{place}{path}")
}

/// The outcome for the CPE's page.
fn in_words(
    outcome: ConnectionRequestOutcome,
    seen: &CallSeen,
    url: Option<&str>,
    peer: Option<&str>,
) -> String {
    let url = url.map_or_else(|| "(none)".to_owned(), shown_url);
    match outcome {
        ConnectionRequestOutcome::Accepted => format!("{url} accepted; a session should follow."),
        ConnectionRequestOutcome::Unauthorized => {
            format!("{url} answered 401: it does not accept our connection-request credentials.")
        }
        ConnectionRequestOutcome::Http(status) => format!("{url} answered {status}."),
        ConnectionRequestOutcome::UrlMissing => "The device told no ConnectionRequestURL.".to_owned(),
        ConnectionRequestOutcome::UrlInvalid => format!("{url} is no usable http address."),
        ConnectionRequestOutcome::NotInManagementSubnet => {
            format!("{url} is outside every management network; it was not called.")
        }
        ConnectionRequestOutcome::AnotherAddress => {
            let peer = peer.unwrap_or("an unknown address");
            format!(
                "{url} names another address than the device has, which speaks from {peer}; it was not called."
            )
        }
        ConnectionRequestOutcome::Unreachable => {
            let how = match seen.tcp {
                Some(TcpSeen::Refused) => "the TCP connection was refused",
                Some(TcpSeen::Reset) => "the TCP connection was reset",
                Some(TcpSeen::NoRoute) => "there is no route to it",
                Some(TcpSeen::Failed) => "this server could not open a TCP connection",
                Some(TcpSeen::TimedOut | TcpSeen::Connected) | None => "no TCP connection within 2 s",
            };
            format!("{url} cannot be reached ({how}).")
        }
        ConnectionRequestOutcome::Timeout => {
            let how = match seen.unanswered {
                Some(Unanswered::Closed) => "connected and closed the connection without an answer",
                Some(Unanswered::NotHttp) => "connected and answered something that is not HTTP",
                Some(Unanswered::Slow) => "connected and did not finish its answer in time",
                Some(Unanswered::Tls) => "connected and did not complete the TLS handshake",
                Some(Unanswered::Silent) | None => "connected and then said nothing",
            };
            format!("{url} {how}.")
        }
        ConnectionRequestOutcome::NoInformAfterAccept => format!("{url} accepted, and no Inform followed."),
        ConnectionRequestOutcome::Unanswered => format!("No answer from {url} is known."),
        ConnectionRequestOutcome::NotSent => format!("{url} was not called."),
        ConnectionRequestOutcome::ProcessEnded => format!(
            "The server that was calling {url} ended before the answer was known; whether the device was reached is \
             unknown, so it is not called again."
        ),
    }
}
