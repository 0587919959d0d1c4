//! A second look at CPEs that were not believed: the OLT's word may have come after their Inform, and the next one may
//! be an hour away. A reconciler: it asks no OLT, and lets in only whom the door would let in now.

use super::confirm::Ask;
use crate::{
    App, AppError, Loop,
    ports::{AuthLevel, Identity, Peer},
    work::wait,
};
use provisioning::{Event, InformFacts, ReasonCode, State};
use std::time::Duration;
use store::{cpes, rows};
use tokio_util::sync::CancellationToken;
use types::{CpeId, UtcMs};

/// How often to look when no OLT has said anything on this node: another one may have read it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Shortest time between two looks.
const AT_MOST_EVERY: Duration = Duration::from_secs(2);
/// CPEs read in one query, and queries in one look: whoever fills quarantine on purpose costs no more than this.
const PAGE: u64 = 100;
const PAGES: usize = 20;

impl App {
    /// Looks again and again, when an OLT has said something and from time to time, until told to stop.
    pub(crate) async fn run_second_looks(&self, stop: &CancellationToken) {
        let mut after = CpeId(0);
        self.beat(Loop::SecondLooks, LOOK_AGAIN);
        while !stop.is_cancelled() {
            match self.second_look(after).await {
                Ok(next) => {
                    self.beat(Loop::SecondLooks, LOOK_AGAIN);
                    after = next;
                }
                Err(error) => {
                    tracing::error!(%error, "CPEs that were not believed cannot be looked at again")
                }
            }
            wait(stop, AT_MOST_EVERY).await;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.olt_said() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
        self.beats_no_more(Loop::SecondLooks);
    }

    /// One look at all who were not believed and spoke lately; [`App::run_workers`] does it again and again.
    ///
    /// # Errors
    /// When the database fails; the next look sees them again.
    pub async fn reconsider(&self) -> Result<(), AppError> {
        let mut after = CpeId(0);
        loop {
            after = self.second_look(after).await?;
            if after == CpeId(0) {
                return Ok(());
            }
        }
    }

    /// Looks at those beyond this id, and says where to go on; from the start again after the last.
    async fn second_look(&self, mut after: CpeId) -> Result<CpeId, AppError> {
        // An address is somebody's for a while; what the OLT says now says nothing of who had it long ago.
        let lately = i64::try_from(self.policy().olt_word_valid_s).unwrap_or(i64::MAX).saturating_mul(1000);
        let since = UtcMs(self.now().0.saturating_sub(lately));
        let (state, code) = (State::Informed.as_str(), ReasonCode::IdentityUnconfirmed.as_str());
        for _ in 0..PAGES {
            let page = cpes::not_believed(self.store(), state, code, since, after, PAGE).await?;
            let full = page.len() as u64 == PAGE;
            for row in page {
                after = row.id;
                match self.believe_late(row).await {
                    Ok(()) | Err(AppError::NotFound(_)) => {}
                    Err(AppError::Store(error)) => return Err(error.into()),
                    Err(error) => tracing::warn!(cpe = %after, %error, "a CPE stays in quarantine"),
                }
            }
            if !full {
                return Ok(CpeId(0));
            }
        }
        Ok(after)
    }

    /// Lets a CPE in that informed before its OLT's word was known, if that agrees with the address it spoke from.
    async fn believe_late(&self, row: rows::Cpe) -> Result<(), AppError> {
        let device = self.load(row.id).await?.device;
        let unconfirmed = device.link.as_ref().is_none_or(|link| !link.confirmed());
        let Some(address) = device.connection.peer.as_deref().and_then(|peer| peer.parse().ok()) else {
            return Ok(());
        };
        if !unconfirmed {
            return Ok(());
        }
        let nobody = Identity { level: AuthLevel::Anonymous, username: None, cpe: None };
        let peer = Peer { address, tls: false, identity: nobody };
        let inform = InformFacts { serial_number: row.serial_number.clone(), ..InformFacts::default() };
        let resolved = self.resolve(&row, &device, &inform, &peer, Ask::Nothing).await?;
        let (Some(service), true) = (resolved.link.service(), resolved.link.confirmed()) else {
            return Ok(());
        };
        // By whoever speaks to it meanwhile the door's own answer counts.
        if !self.feed_unchanged(row.id, row.version, Event::LinkResolved(resolved.link)).await? {
            return Ok(());
        }
        if let Some((onu, word)) = &resolved.onu {
            self.record_word(row.id, service, onu, word, address).await?;
        }
        Ok(())
    }
}
