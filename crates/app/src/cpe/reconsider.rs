//! A second look at CPEs that were not believed: the OLT's word may have come after their Inform, and the next one may
//! be an hour away. A reconciler: it asks no OLT, and lets in only whom the door would let in now.
//!
//! It goes from what OLTs say to whom that concerns: to whoever spoke last from the address that an ONU has, and, where an
//! OLT cannot tell addresses, to those who name its serial number. So it costs what OLTs say, however many strangers
//! there are.

use super::{
    confirm::{Ask, CERTAIN},
    identity::Claims,
};
use crate::{
    App, AppError, Loop,
    oms::AddressWord,
    ports::{AuthLevel, Identity, Peer},
    work::wait,
};
use provisioning::{Event, ReasonCode, State};
use std::{collections::BTreeSet, net::IpAddr, time::Duration};
use store::{cpes, onus, rows};
use tokio_util::sync::CancellationToken;
use types::{OnuRowId, UtcMs};

/// How often to look when no OLT has said anything on this node: another one may have read it.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// Shortest time between two looks.
const AT_MOST_EVERY: Duration = Duration::from_secs(2);
/// ONUs read in one query.
const PAGE: usize = 100;
/// Devices looked at that name one serial number: any of them may be the one, the latest first.
const NAMESAKES: u64 = 20;

impl App {
    /// Looks again and again, when an OLT has said something and from time to time, until told to stop.
    pub(crate) async fn run_second_looks(&self, stop: &CancellationToken) {
        self.beat(Loop::SecondLooks, LOOK_AGAIN);
        let mut everywhere = true;
        while !stop.is_cancelled() {
            match self.second_look(everywhere).await {
                Ok(()) => self.beat(Loop::SecondLooks, LOOK_AGAIN),
                Err(error) => {
                    tracing::error!(%error, "CPEs that were not believed cannot be looked at again")
                }
            }
            wait(stop, AT_MOST_EVERY).await;
            everywhere = tokio::select! {
                () = stop.cancelled() => break,
                () = self.olt_said() => false,
                () = tokio::time::sleep(LOOK_AGAIN) => true,
            };
        }
        self.beats_no_more(Loop::SecondLooks);
    }

    /// One look at all who were not believed and spoke lately; [`App::run_workers`] does it again and again.
    ///
    /// # Errors
    /// When the database fails; the next look sees them again.
    pub async fn reconsider(&self) -> Result<(), AppError> {
        self.second_look(true).await
    }

    /// Looks at those whom the OLTs' latest words may concern: what was read on this node since the last look, and what was
    /// read `everywhere` so lately that it counts at the door.
    async fn second_look(&self, everywhere: bool) -> Result<(), AppError> {
        let read_now = self.what_olts_said();
        // An address is somebody's for a while; what the OLT says now says nothing of who had it long ago.
        let lately = Duration::from_secs(self.policy().olt_word_valid_s);
        let waiting = cpes::NotBelieved {
            state: State::Informed.as_str(),
            reason_code: ReasonCode::IdentityUnconfirmed.as_str(),
            informed_since: before(self.now(), lately),
        };
        if !waiting.any(self.store()).await? {
            return Ok(());
        }
        let mut said = read_now.clone();
        if everywhere {
            said.extend(self.said_since(before(self.now(), CERTAIN)).await?);
        }
        let said: Vec<OnuRowId> = said.into_iter().collect();
        for some in said.chunks(PAGE) {
            for onu in onus::these(self.store(), some).await? {
                for row in self.concerned(&onu, &waiting).await? {
                    let cpe = row.id;
                    match self.believe_late(row, &read_now).await {
                        Ok(()) | Err(AppError::NotFound(_)) => {}
                        Err(AppError::Store(error)) => return Err(error.into()),
                        Err(error) => tracing::warn!(%cpe, %error, "a CPE stays in quarantine"),
                    }
                }
            }
        }
        Ok(())
    }

    /// Who may be the CPE of this ONU, by what its OLT says.
    async fn concerned(
        &self,
        onu: &rows::Onu,
        waiting: &cpes::NotBelieved<'_>,
    ) -> Result<Vec<rows::Cpe>, AppError> {
        if onu.service_id.is_none() {
            return Ok(Vec::new());
        }
        let addresses: Vec<IpAddr> = match AddressWord::on(onu, self.now(), self.policy().olt_word_valid_s) {
            AddressWord::Has { addresses, .. } => addresses,
            AddressWord::Unread | AddressWord::CannotTell { .. } => Vec::new(),
        };
        let mut found = Vec::new();
        for address in addresses.iter().filter(|address| self.is_inside(**address)) {
            found.extend(waiting.at(self.store(), *address).await?);
        }
        if !addresses.iter().any(|address| self.is_inside(*address)) {
            // It cannot be told by the address; the door says whether that is enough.
            found = waiting.naming(self.store(), onu.serial, NAMESAKES).await?;
        }
        Ok(found)
    }

    /// Lets a CPE in that informed before its OLT's word was known, if that agrees with the address it spoke from.
    async fn believe_late(&self, row: rows::Cpe, read_now: &BTreeSet<OnuRowId>) -> Result<(), AppError> {
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
        let resolved = self.resolve(&row, &device, Claims::kept(&row), &peer, Ask::Late(read_now)).await?;
        let (Some(service), true) = (resolved.link.service(), resolved.link.confirmed()) else {
            return Ok(());
        };
        // By whoever speaks to it meanwhile the door's own answer counts.
        let link = Event::LinkResolved(resolved.link);
        if !self.feed_unchanged(row.id, row.version, link, resolved.pin).await? {
            return Ok(());
        }
        if let Some((onu, word)) = &resolved.onu {
            self.record_word(row.id, service, onu, word, address).await?;
        }
        Ok(())
    }
}

fn before(now: UtcMs, by: Duration) -> UtcMs {
    UtcMs(now.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}
