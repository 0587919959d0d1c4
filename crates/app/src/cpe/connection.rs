//! Connection requests: the machine decides that one is wanted, this carries it out once and reports what came of it.

use crate::{App, AppError, ports::ConnectionRequestTarget};
use provisioning::{ConnectionRequestOutcome, Event};
use std::{net::IpAddr, time::Duration};
use store::{Slot, onus, rows};
use types::{CpeId, Secret, UtcMs};

/// A TCP connect to a CPE that is there takes milliseconds; two seconds is generous (provisioning.md).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

impl App {
    /// Carries out one queued connection request. A job that was begun before means that a process died in the middle
    /// of it: whether it was sent is unknown, so it is not sent again. One that nobody waits for any more (the device
    /// informed, or the watchdog gave up while no worker ran) is not sent at all.
    pub(crate) async fn request_connection(&self, cpe: CpeId, job: &rows::Job) -> Result<(), AppError> {
        let live = self.load(cpe).await?;
        let policy = self.policy();
        let watched = Duration::from_secs(policy.provisioning.watchdog_s);
        let since = live.device.connection.outstanding_since;
        let peer = live.device.connection.peer.clone();
        let awaited =
            since.is_some_and(|since| since <= job.created_at && self.now().since(since) <= watched);
        let (row, begun_before) = (live.row, job.attempts > 1);
        if !awaited && !begun_before {
            return Ok(());
        }
        let outcome = if begun_before {
            ConnectionRequestOutcome::Timeout
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
            self.connection().request(target).await
        };
        let record = rows::ConnectionRequest {
            cpe_id: cpe,
            at: self.now(),
            outcome: outcome.as_str().to_owned(),
            detail: in_words(outcome, row.connection_request_url.as_deref(), peer.as_deref()),
            ..Default::default()
        };
        self.store().write(move |tx| Box::pin(async move { tx.insert(&record).await })).await?;
        if awaited {
            self.feed(cpe, Event::ConnectionRequestFinished(outcome)).await?;
        }
        Ok(())
    }

    /// Where this device is: where it spoke from last, and where its OLT has it.
    async fn known_at(&self, row: &rows::Cpe, peer: Option<&str>) -> Result<Vec<IpAddr>, AppError> {
        let mut known: Vec<IpAddr> = peer.and_then(|text| text.parse().ok()).into_iter().collect();
        if let Some(serial) = row.pon_serial
            && let Some(onu) = onus::by_serial(self.store(), serial).await?
        {
            known.extend(seen_by_olt(&onu.observed, self.now(), self.policy().olt_word_valid_s));
        }
        Ok(known)
    }
}

/// The management addresses that an OLT has lately read of an ONU, in what was observed of it.
fn seen_by_olt(observed: &serde_json::Value, now: UtcMs, valid_s: u64) -> Vec<IpAddr> {
    let word = &observed["management"];
    let fresh = word["read_at"].as_i64().is_some_and(|at| now.since(UtcMs(at)).as_secs() <= valid_s);
    let hosts = word["hosts"].as_array().filter(|_| fresh);
    hosts.into_iter().flatten().filter_map(|host| host["address"].as_str()?.parse().ok()).collect()
}

/// The outcome for the CPE's page.
fn in_words(outcome: ConnectionRequestOutcome, url: Option<&str>, peer: Option<&str>) -> String {
    let url = url.unwrap_or("(none)");
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
            format!("{url} cannot be reached (no TCP connection within 2 s).")
        }
        ConnectionRequestOutcome::Timeout => format!("{url} connected and then said nothing."),
        ConnectionRequestOutcome::NoInformAfterAccept => format!("{url} accepted, and no Inform followed."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_olts_word_counts_for_its_time() {
        let now = UtcMs(1_795_271_400_000);
        let observed = |read_at: i64| {
            json!({ "description": "x", "management": {
                "read_at": read_at, "hosts": [{ "address": "10.20.3.9", "vlan": 40 }, { "address": "?" }],
            } })
        };
        assert_eq!(seen_by_olt(&observed(now.0 - 900_000), now, 900), [IpAddr::from([10, 20, 3, 9])]);
        assert!(
            seen_by_olt(&observed(now.0 - 901_000), now, 900).is_empty(),
            "a device may have moved since"
        );
        for nothing in
            [json!({}), json!(null), json!({ "management": { "read_at": now.0, "cannot_tell": "x" } })]
        {
            assert!(seen_by_olt(&nothing, now, 900).is_empty());
        }
    }
}
