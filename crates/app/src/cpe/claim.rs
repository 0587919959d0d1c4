//! Whose word says which device is which, where the device itself proves nothing: an operator's claim, and those who
//! inform with the name of a device that is known elsewhere. What they say is kept for people to see, apart from what is
//! known of the device; an operator's word is about the address that was shown to the operator, and counts once.

use super::{commands::not_over, live::Recorded};
use crate::{Actor, App, AppError, Permission};
use provisioning::{Event, InformFacts, Link};
use std::{net::IpAddr, time::Duration};
use store::{StoreError, claimants, rows};
use types::{CpeId, ServiceId, UtcMs};

/// An operator's word counts for so long, once.
const VOUCHED_FOR: Duration = Duration::from_secs(15 * 60);
/// Longest ConnectionRequestURL that is kept of somebody who is not believed.
const LONGEST_URL: usize = 256;

/// What an operator was shown of a device when claiming it, and what follows for who is let in.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// Where the device spoke from last, if the claim is about that.
    shown: Option<String>,
    vouch: Option<rows::CpeClaimant>,
}

impl Claim {
    /// Refuses a claim of a device that speaks from elsewhere since it was shown.
    ///
    /// # Errors
    /// [`AppError::Conflict`], with both addresses.
    pub(super) fn still_holds(&self, row: &rows::Cpe) -> Result<(), AppError> {
        match &self.shown {
            Some(shown) if *shown != row.peer_address => Err(shown_another(shown, &row.peer_address, &[])),
            Some(_) | None => Ok(()),
        }
    }

    /// Keeps the operator's word, in the unit of work of the claim itself.
    pub(super) async fn keep(&self, tx: &store::Tx) -> Result<(), StoreError> {
        match &self.vouch {
            Some(vouch) => claimants::vouch(tx, vouch).await,
            None => Ok(()),
        }
    }
}

/// Whom an operator spoke for last, where that device has not come in since.
pub(super) struct Vouched(Option<rows::CpeClaimant>);

impl Vouched {
    /// The operator's word counts for who speaks from there.
    pub(super) fn covers(&self, address: IpAddr, now: UtcMs) -> bool {
        let here = address.to_canonical().to_string();
        self.0.as_ref().is_some_and(|word| word.address == here && word.vouched_until >= Some(now))
    }

    /// An operator said that the device is elsewhere: that it spoke from there before counts no more. Once it has proved
    /// itself, such a word is over with its time.
    pub(super) fn is_elsewhere(&self, address: IpAddr, now: UtcMs, proven: bool) -> bool {
        let here = address.to_canonical().to_string();
        self.0
            .as_ref()
            .is_some_and(|word| word.address != here && (!proven || word.vouched_until >= Some(now)))
    }
}

fn shown_another(shown: &str, known: &str, others: &[rows::CpeClaimant]) -> AppError {
    let mut now = match known {
        "" => "nobody was heard with its name lately".to_owned(),
        known => format!("it speaks from {known} now"),
    };
    if !others.is_empty() {
        let all: Vec<&str> = others.iter().map(|one| one.address.as_str()).collect();
        now = format!("{now}, and its name is also used from {}", all.join(", "));
    }
    AppError::Conflict(format!(
        "You were shown that this CPE speaks from {shown}, and {now}. Nothing was claimed, since that may be another \
         device: look which one is the customer's and claim that."
    ))
}

impl App {
    /// Says by hand which service a device belongs to: an operator's word counts like the OLT's. It is about the device at
    /// the address that was `shown` to the operator: from there it is let in, once, within 15 minutes; from elsewhere it is
    /// not. Without one it is about the device where it spoke last.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when the service has a device that spoke to us, the device another service, or when the
    /// device speaks from another address than was shown.
    pub async fn claim_cpe(
        &self,
        actor: &Actor,
        cpe: CpeId,
        service: ServiceId,
        shown: Option<IpAddr>,
    ) -> Result<(), AppError> {
        actor.require(Permission::OperateCpe)?;
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        let target: rows::Service = self.found(service, "service").await?;
        if let Some(other) = row.service_id.filter(|other| *other != service) {
            let other: rows::Service = self.found(other, "service").await?;
            return Err(AppError::Conflict(format!("This CPE belongs to service {} already.", other.code)));
        }
        not_over(&target)?;
        if let Some(other) = target.cpe_id.filter(|other| *other != cpe) {
            let other: rows::Cpe = self.found(other, "CPE").await?;
            if !store::cpes::is_placeholder(&other) {
                return Err(AppError::Conflict(format!(
                    "Service {} has the CPE {} already; release that one first.",
                    target.code, other.serial_number
                )));
            }
        }
        let claim = self.claim_at(actor, &row, shown).await?;
        let link = Link::One {
            service_id: service,
            olt_confirms: false,
            claimed_by: Some(actor.label()),
            doubt: None,
        };
        let at = claim.vouch.as_ref().map(|vouch| vouch.address.clone()).or_else(|| claim.shown.clone());
        let audit = self.audit_row(
            actor,
            "cpe.claim",
            &format!("cpe:{cpe}"),
            None,
            Some(serde_json::json!({ "service": target.code, "address": at })),
        );
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "operator".into(),
            cpe_id: Some(cpe),
            service_id: row.service_id,
            code: "cpe_claim".into(),
            text: match &at {
                Some(at) => format!("Claimed for a service by hand, as the one that speaks from {at}."),
                None => "Claimed for a service by hand.".to_owned(),
            },
            actor: actor.label(),
            facts: serde_json::json!({ "address": at }),
            ..Default::default()
        };
        let recorded = Recorded { entry, audit, order: None, claim: Some(Box::new(claim)) };
        self.feed_recorded(cpe, Event::LinkResolved(link), Some(recorded)).await?;
        self.bus().say(crate::Change::Cpe(cpe));
        Ok(())
    }

    /// What a claim of this device lets in.
    async fn claim_at(
        &self,
        actor: &Actor,
        row: &rows::Cpe,
        shown: Option<IpAddr>,
    ) -> Result<Claim, AppError> {
        let now = self.now();
        let known = row.peer_address.as_str();
        let address = match shown {
            Some(address) => address.to_canonical().to_string(),
            None if known.is_empty() => return Ok(Claim { shown: None, vouch: None }),
            None => known.to_owned(),
        };
        let others = self.claimants_of(row.id).await?;
        let is_known = is_address(known, &address);
        let heard = others.iter().find(|one| one.address == address);
        if !is_known && heard.is_none() {
            return Err(shown_another(&address, known, &others));
        }
        let word = rows::CpeClaimant {
            cpe_id: row.id,
            address,
            first_at: now,
            last_at: now,
            vouched_by: Some(actor.label()),
            vouched_until: Some(UtcMs(now.0.saturating_add_unsigned(VOUCHED_FOR.as_millis() as u64))),
            ..heard.cloned().unwrap_or_default()
        };
        Ok(Claim { shown: is_known.then(|| known.to_owned()), vouch: Some(word) })
    }

    /// Who informed lately with the name of this device from where it is not known, the latest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn claimants_of(&self, cpe: CpeId) -> Result<Vec<rows::CpeClaimant>, AppError> {
        let kept_ms = claimants::CLAIMANT_KEPT.as_millis() as u64;
        let since = UtcMs(self.now().0.saturating_sub_unsigned(kept_ms));
        Ok(claimants::of_cpe(self.store(), cpe, since).await?)
    }

    /// Whom an operator spoke for last.
    pub(super) async fn vouched_for(&self, cpe: CpeId) -> Result<Vouched, AppError> {
        Ok(Vouched(claimants::word_on(self.store(), cpe).await?))
    }

    /// Keeps that somebody informs with the name of a device that is known elsewhere. Of one address that is written down
    /// once in a while: anyone who knows a serial number can cause it.
    pub(super) async fn note_claimant(
        &self,
        cpe: CpeId,
        inform: &InformFacts,
        from: IpAddr,
        why: &str,
    ) -> Result<(), AppError> {
        let now = self.now();
        if !self.challenged().may_note(cpe, from, now) {
            return Ok(());
        }
        let url = inform.parameter("ManagementServer.ConnectionRequestURL").unwrap_or_default();
        let one = rows::CpeClaimant {
            cpe_id: cpe,
            address: from.to_canonical().to_string(),
            url: url.chars().filter(|c| !c.is_control()).take(LONGEST_URL).collect(),
            why: why.to_owned(),
            first_at: now,
            last_at: now,
            vouched_by: None,
            vouched_until: None,
        };
        self.store().write(move |tx| Box::pin(async move { claimants::heard(tx, &one).await })).await?;
        self.bus().say(crate::Change::Cpe(cpe));
        Ok(())
    }

    /// A device was let in from this address, which is known from now on: nobody's word on it is needed any more.
    pub(super) async fn is_let_in(&self, cpe: CpeId, from: IpAddr) -> Result<(), AppError> {
        let address = from.to_canonical().to_string();
        let there = claimants::of_cpe(self.store(), cpe, UtcMs(0)).await?;
        if there.iter().any(|one| one.address == address || one.vouched_until.is_some()) {
            self.store()
                .write(move |tx| Box::pin(async move { claimants::is_known_at(tx, cpe, &address).await }))
                .await?;
        }
        Ok(())
    }
}

/// The same address, however it is written.
fn is_address(kept: &str, address: &str) -> bool {
    kept.parse::<IpAddr>().is_ok_and(|kept| kept.to_canonical().to_string() == address)
}
