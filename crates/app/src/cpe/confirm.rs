//! The OLT's word at first contact: has it this ONU online, and at the address that informs? A serial number is no
//! secret and being online is none either; the address by which an OLT knows an ONU is what a stranger elsewhere in the
//! management network cannot have.

use crate::{App, AppError, oms::AddressWord, ports::Peer};
use std::{net::IpAddr, time::Duration};
use store::{Presence, cpes, onus, rows, timeline};
use types::{CpeId, ServiceId, UtcMs};

/// A word younger than this is not asked for again before something is refused by it.
const YOUNG: Duration = Duration::from_secs(10);

/// What the OLT says of somebody who informs as an ONU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// The ONU is not online by a fresh word, or the Inform did not come from a place that an ONU can be at.
    Against,
    /// Online, and its address is not known yet.
    NotYet,
    /// Online, and at this moment without any management address.
    Nowhere {
        /// When the OLT said so.
        read_at: UtcMs,
    },
    /// Online, and at other addresses than the one that informs.
    Elsewhere {
        /// Where it is.
        has: Vec<IpAddr>,
        /// When the OLT said so.
        read_at: UtcMs,
    },
    /// Online, at exactly the address that informs.
    Here {
        /// When the OLT said so.
        read_at: UtcMs,
    },
    /// Online; at which address cannot be told.
    Somewhere {
        /// Why it cannot be told.
        why: String,
    },
}

impl Word {
    /// It counts for whoever informs.
    pub(super) fn confirms(&self) -> bool {
        matches!(self, Word::Here { .. } | Word::Somewhere { .. })
    }

    /// It counts against whoever informs.
    pub(super) fn contradicts(&self) -> bool {
        matches!(self, Word::Elsewhere { .. } | Word::Nowhere { .. })
    }
}

impl App {
    /// Inside a management network.
    pub(super) fn is_inside(&self, address: IpAddr) -> bool {
        self.policy().management_networks.iter().any(|network| network.contains(address))
    }

    /// What the OLT says of a peer that informs as this ONU. `may_ask`: the OLT is asked if that may change the answer.
    pub(super) async fn olts_word(
        &self,
        onu: &rows::Onu,
        cpe: CpeId,
        peer: &Peer,
        may_ask: bool,
    ) -> Result<Word, AppError> {
        let (policy, now) = (self.policy(), self.now());
        let fresh = onu.observed_at.is_some_and(|at| now.since(at).as_secs() <= policy.olt_word_valid_s);
        if !self.is_inside(peer.address) || onu.presence != Presence::InService || !fresh {
            return Ok(Word::Against);
        }
        let mut word = self.judged(onu, peer.address);
        let worth_asking = match &word {
            Word::NotYet => true,
            Word::Nowhere { read_at } | Word::Elsewhere { read_at, .. } => now.since(*read_at) >= YOUNG,
            Word::Against | Word::Here { .. } | Word::Somewhere { .. } => false,
        };
        if may_ask
            && worth_asking
            && let Some(asked) = self.ask_address(onu).await?
        {
            word = self.judged(&asked, peer.address);
        }
        if word.confirms() && self.is_anothers_home(cpe, peer.address, &word).await? {
            tracing::warn!(serial = %onu.serial, peer = %peer.address, "another device's address speaks for this serial");
            return Ok(Word::Against);
        }
        Ok(word)
    }

    /// Whoever informs as this ONU is worth another try soon: the OLT has not said yet where it is. A CPE informs in the
    /// second it gets its address, and an OLT may be asked a moment later.
    pub(super) fn comes_back(&self, onu: &rows::Onu, word: &Word) -> bool {
        match word {
            Word::NotYet | Word::Nowhere { .. } => self.challenged().may_wait(onu.id, self.now()),
            Word::Here { .. } | Word::Somewhere { .. } => {
                self.challenged().waits_no_longer(onu.id);
                false
            }
            Word::Against | Word::Elsewhere { .. } => false,
        }
    }

    /// What is known of an ONU that is online, against the address that informs.
    fn judged(&self, onu: &rows::Onu, peer: IpAddr) -> Word {
        match AddressWord::on(onu, self.now(), self.policy().olt_word_valid_s) {
            AddressWord::Unread => Word::NotYet,
            AddressWord::CannotTell { why } => Word::Somewhere { why },
            AddressWord::Has { addresses, read_at } if addresses.is_empty() => Word::Nowhere { read_at },
            AddressWord::Has { addresses, read_at } if addresses.contains(&peer.to_canonical()) => {
                Word::Here { read_at }
            }
            AddressWord::Has { addresses, .. } if !addresses.iter().any(|one| self.is_inside(*one)) => {
                Word::Somewhere {
                    why: format!(
                        "it has it at {}, which is in no management network, so addresses are translated in between",
                        listed(&addresses)
                    ),
                }
            }
            AddressWord::Has { addresses, read_at } => Word::Elsewhere { has: addresses, read_at },
        }
    }

    /// Another device has shown its own secret from this address lately, and nothing newer says that it moved.
    async fn is_anothers_home(&self, cpe: CpeId, address: IpAddr, word: &Word) -> Result<bool, AppError> {
        let timing = &self.policy().provisioning;
        let lately = Duration::from_secs(2 * u64::from(timing.inform_interval_s + timing.inform_spread_s));
        let Some((other, seen_at)) = self.challenged().who_lives_at(address, self.now(), lately) else {
            return Ok(false);
        };
        let moved = matches!(word, Word::Here { read_at } if *read_at > seen_at);
        Ok(other != cpe && !moved && self.seems_online(other).await?)
    }

    /// False if its OLT says that the ONU of this CPE is away: then its address may be another's by now.
    async fn seems_online(&self, cpe: CpeId) -> Result<bool, AppError> {
        let Some(row) = self.store().get::<rows::Cpe>(cpe).await? else { return Ok(false) };
        let Some(serial) = row.pon_serial else { return Ok(true) };
        let onu = onus::by_serial(self.store(), serial).await?;
        Ok(onu.is_none_or(|onu| onu.presence == Presence::InService))
    }

    /// Tells the history of the ONU, of its service and of the device why nothing is told to somebody who informs as
    /// this ONU. The same of one ONU once an hour: anyone who knows a serial number can cause it.
    pub(super) async fn report_word(
        &self,
        row: &rows::Cpe,
        onu: &rows::Onu,
        word: &Word,
        peer: IpAddr,
    ) -> Result<(), AppError> {
        let (now, serial) = (self.now(), onu.serial);
        let olt = self.olt_name(onu).await?;
        let ago = |read_at: UtcMs| format!("read {} s ago", now.since(read_at).as_secs());
        let (code, severity, text, next) = match word {
            Word::Elsewhere { has, read_at } => (
                "identity_elsewhere",
                store::Severity::Bad,
                format!(
                    "ONU {serial} has {} by {olt} ({}), but somebody informs as this ONU from {peer}; nothing was told \
                     to it.",
                    listed(has),
                    ago(*read_at)
                ),
                "If it is the CPE of this ONU all the same, an operator can claim it by hand.",
            ),
            Word::Nowhere { read_at } => (
                "identity_without_address",
                store::Severity::Warn,
                format!(
                    "ONU {serial} is online and has no management address by {olt} ({}), but somebody informs as this \
                     ONU from {peer}; nothing was told to it.",
                    ago(*read_at)
                ),
                "It goes on when the OLT shows this address; an operator can claim the CPE by hand.",
            ),
            Word::NotYet => (
                "identity_awaited",
                store::Severity::Wait,
                format!(
                    "Somebody informs from {peer} as ONU {serial}, and {olt} has not said yet at which address it has \
                     this ONU; nothing was told to it."
                ),
                "The OLT is asked again by itself; with its answer the CPE goes on at its next Inform.",
            ),
            Word::Against | Word::Here { .. } | Word::Somewhere { .. } => return Ok(()),
        };
        if !self.challenged().may_report_onu(onu.id, code, now) {
            return Ok(());
        }
        tracing::warn!(cpe = %row.id, code, text, "reported");
        let entry = rows::TimelineEntry {
            at: now,
            kind: "report".to_owned(),
            service_id: onu.service_id,
            onu_row_id: Some(onu.id),
            olt_id: Some(onu.olt_id),
            cpe_id: Some(row.id),
            severity,
            code: code.to_owned(),
            text,
            next_text: Some(next.to_owned()),
            actor: "system:acs".to_owned(),
            facts: serde_json::json!({ "peer": peer }),
            ..Default::default()
        };
        self.store().write(move |tx| Box::pin(async move { timeline::append(tx, &entry).await })).await?;
        Ok(())
    }

    /// Writes down by what a device was let into its service.
    pub(super) async fn record_word(
        &self,
        cpe: CpeId,
        service: ServiceId,
        onu: &rows::Onu,
        word: &Word,
        peer: IpAddr,
    ) -> Result<(), AppError> {
        let (now, serial, olt) = (self.now(), onu.serial, self.olt_name(onu).await?);
        let (severity, text, wanted, verified) = match word {
            Word::Here { read_at } => (
                store::Severity::Ok,
                format!(
                    "{olt} has ONU {serial} online at {peer} (read {} s ago), and from there its CPE informs.",
                    now.since(*read_at).as_secs()
                ),
                format!("{peer}, by {olt}"),
                true,
            ),
            Word::Somewhere { why } => (
                store::Severity::Info,
                format!(
                    "{olt} has ONU {serial} online, and its CPE informs from {peer}, inside the management network. \
                     That this is the address of the ONU was not checked; the OLT cannot tell: {why}."
                ),
                format!("not known to {olt}: {why}"),
                false,
            ),
            Word::Against | Word::NotYet | Word::Nowhere { .. } | Word::Elsewhere { .. } => return Ok(()),
        };
        let evidence = rows::EvidenceItem {
            cpe_id: cpe,
            layer: "identity".to_owned(),
            setting: "management_address".to_owned(),
            wanted: wanted.chars().take(256).collect(),
            observed: peer.to_string(),
            verified,
            at: now,
            source: if verified { "olt_address" } else { "olt_presence" }.to_owned(),
        };
        let entry = rows::TimelineEntry {
            at: now,
            kind: "report".to_owned(),
            service_id: Some(service),
            onu_row_id: Some(onu.id),
            olt_id: Some(onu.olt_id),
            cpe_id: Some(cpe),
            severity,
            code: "identity_confirmed".to_owned(),
            text,
            actor: "system:acs".to_owned(),
            facts: serde_json::json!({ "peer": peer, "by": evidence.source }),
            ..Default::default()
        };
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    timeline::append(tx, &entry).await?;
                    cpes::put_evidence(tx, cpe, &[evidence]).await
                })
            })
            .await?;
        Ok(())
    }

    async fn olt_name(&self, onu: &rows::Onu) -> Result<String, AppError> {
        let olt: Option<rows::Olt> = self.store().get(onu.olt_id).await?;
        Ok(olt.map_or_else(|| format!("OLT {}", onu.olt_id), |olt| olt.name))
    }
}

fn listed(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
