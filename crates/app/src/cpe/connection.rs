//! Connection requests: the machine decides that one is wanted, this carries it out once and reports what came of it.

use crate::{App, AppError, ports::ConnectionRequestTarget};
use provisioning::{ConnectionRequestOutcome, Event};
use std::time::Duration;
use store::{Slot, rows};
use types::{CpeId, Secret};

/// A TCP connect to a CPE that is there takes milliseconds; two seconds is generous (provisioning.md).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

impl App {
    /// Carries out one queued connection request. A job that was begun before means that a process died in the middle
    /// of it: whether it was sent is unknown, so it is not sent again. One that nobody waits for any more (the device
    /// informed, or the watchdog gave up while no worker ran) is not sent at all.
    pub(crate) async fn request_connection(&self, cpe: CpeId, job: &rows::Job) -> Result<(), AppError> {
        let live = self.load(cpe).await?;
        let watched = Duration::from_secs(self.policy().provisioning.watchdog_s);
        let since = live.device.connection.outstanding_since;
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
                allowed: self.policy().management_networks.clone(),
                connect_timeout: CONNECT_TIMEOUT,
            };
            self.connection().request(target).await
        };
        let record = rows::ConnectionRequest {
            cpe_id: cpe,
            at: self.now(),
            outcome: outcome.as_str().to_owned(),
            detail: in_words(outcome, row.connection_request_url.as_deref()),
            ..Default::default()
        };
        self.store().write(move |tx| Box::pin(async move { tx.insert(&record).await })).await?;
        if awaited {
            self.feed(cpe, Event::ConnectionRequestFinished(outcome)).await?;
        }
        Ok(())
    }
}

/// The outcome for the CPE's page.
fn in_words(outcome: ConnectionRequestOutcome, url: Option<&str>) -> String {
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
        ConnectionRequestOutcome::Unreachable => {
            format!("{url} cannot be reached (no TCP connection within 2 s).")
        }
        ConnectionRequestOutcome::Timeout => format!("{url} connected and then said nothing."),
        ConnectionRequestOutcome::NoInformAfterAccept => format!("{url} accepted, and no Inform followed."),
    }
}
