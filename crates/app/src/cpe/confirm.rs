//! The OLT's word at first contact: has it this ONU online, and at the address that informs? A serial number is no
//! secret and being online is none either; the address by which an OLT knows an ONU is what a stranger elsewhere in the
//! management network cannot have.

use crate::{
    App, AppError,
    oms::{AddressWord, Asked, Asker, said_at, seen_online},
    ports::Peer,
};
use std::{collections::BTreeSet, net::IpAddr, time::Duration};
use store::{Presence, cpes, onus, rows, tasks, timeline};
use types::{CpeId, OnuRowId, Serial, ServiceId, UtcMs};

/// Under this layer the evidence is kept by which a device was let in.
pub(super) const IDENTITY: &str = "identity";
/// A word younger than this is not asked for again before something is refused by it.
const YOUNG: Duration = Duration::from_secs(10);

/// A word that lets somebody in who has not shown its own secret, or says who somebody is by the address alone, is not
/// older than this: leases change hands.
pub(super) const CERTAIN: Duration = Duration::from_secs(30);

/// Whether an OLT is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask<'a> {
    /// What is known is enough, or changes nothing.
    Nothing,
    /// If that may change the answer, and if a word that counts is older than [`CERTAIN`].
    Certain(&'a Asker),
    /// It is not asked: this is about somebody who spoke a while ago. Only words count that are not older than
    /// [`CERTAIN`], and those on these ONUs, which were read just now.
    Late(&'a BTreeSet<OnuRowId>),
}

/// What the OLT says of somebody who informs as an ONU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    /// The Inform came from no management network: no ONU is there.
    Outside,
    /// Not online where it should be.
    Away {
        /// The OLT said so just now; otherwise by what is known, and it cannot be asked.
        asked: bool,
    },
    /// Nobody has said yet where it is, or what was said is old; the OLT may be asked a moment later.
    NotYet,
    /// Online at the address that informs, and another device showed its own secret from there after the OLT said so.
    Taken,
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
        /// By the policy that counts all the same.
        counts: bool,
    },
}

impl Word {
    /// It counts for whoever informs.
    pub(super) fn confirms(&self) -> bool {
        matches!(self, Word::Here { .. } | Word::Somewhere { counts: true, .. })
    }

    /// It counts against whoever informs.
    pub(super) fn contradicts(&self) -> bool {
        matches!(self, Word::Elsewhere { .. } | Word::Nowhere { .. })
    }
}

impl App {
    /// Inside a management network.
    pub(crate) fn is_inside(&self, address: IpAddr) -> bool {
        self.policy().management_networks.iter().any(|network| network.contains(address))
    }

    /// What the OLT says of a peer that informs as this ONU.
    pub(super) async fn olts_word(
        &self,
        onu: &rows::Onu,
        cpe: CpeId,
        peer: &Peer,
        ask: Ask<'_>,
    ) -> Result<Word, AppError> {
        if !self.is_inside(peer.address) {
            return Ok(Word::Outside);
        }
        let now = self.now();
        let online = seen_online(onu, now, self.policy().olt_word_valid_s);
        let known = if online { self.judged(onu, peer.address) } else { Word::Away { asked: false } };
        let mut word = self.unless_taken(cpe, peer.address, known).await?;
        if let Ask::Late(read_now) = ask
            && word.confirms()
            && !self.is_certain(onu, read_now)
        {
            word = Word::NotYet;
        }
        let worth_asking = match &word {
            // A CPE may speak before the OLT's list of ONUs was read again.
            Word::Away { .. } | Word::NotYet => true,
            Word::Nowhere { read_at } | Word::Elsewhere { read_at, .. } => now.since(*read_at) >= YOUNG,
            // Leases change hands.
            Word::Taken => matches!(self.judged(onu, peer.address), Word::Here { .. }),
            // Whoever lets the lease of another lapse, and has it then, would be that other for a while.
            Word::Here { read_at } => now.since(*read_at) > CERTAIN,
            Word::Outside | Word::Somewhere { .. } => false,
        };
        if let Ask::Certain(asker) = ask
            && worth_asking
        {
            word = match self.ask_address(onu, asker).await? {
                Asked::Answered(asked) => {
                    let said = self.judged(&asked, peer.address);
                    self.unless_taken(cpe, peer.address, said).await?
                }
                Asked::NotThere => Word::Away { asked: true },
                // Nobody is refused for long by what was true a while ago.
                Asked::NotNow => Word::NotYet,
                // And nobody is let in by it.
                Asked::Never if word.confirms() => Word::NotYet,
                Asked::Never => word,
            };
        }
        if word == Word::Taken {
            tracing::warn!(serial = %onu.serial, peer = %peer.address, "another device's address speaks for this serial");
        }
        Ok(word)
    }

    /// What was said of this ONU is not older than [`CERTAIN`], or was read just now.
    pub(super) fn is_certain(&self, onu: &rows::Onu, read_now: &BTreeSet<OnuRowId>) -> bool {
        read_now.contains(&onu.id) || said_at(onu).is_some_and(|at| self.now().since(at) <= CERTAIN)
    }

    /// What the OLT says, unless another device is known to live at this address.
    async fn unless_taken(&self, cpe: CpeId, address: IpAddr, word: Word) -> Result<Word, AppError> {
        let taken = word.confirms() && self.is_anothers_home(cpe, address, &word).await?;
        Ok(if taken { Word::Taken } else { word })
    }

    /// Whoever informs as this ONU is worth another try soon: the OLT has not said yet where it is. A CPE informs in the
    /// second it gets its address, and an OLT may be asked a moment later.
    pub(super) fn comes_back(&self, onu: &rows::Onu, word: &Word, peer: IpAddr) -> bool {
        match word {
            Word::NotYet | Word::Nowhere { .. } | Word::Away { asked: true } => {
                self.challenged().may_wait(onu.serial, peer, self.now())
            }
            Word::Here { .. } | Word::Somewhere { .. } => {
                self.challenged().waits_no_longer(onu.serial, peer);
                false
            }
            Word::Outside | Word::Away { asked: false } | Word::Taken | Word::Elsewhere { .. } => false,
        }
    }

    /// The ONU with one of these serial numbers is being authorised: its CPE may speak before the database knows the
    /// ONU, and comes back then.
    pub(super) async fn is_coming(&self, serials: &[Serial], peer: IpAddr) -> Result<bool, AppError> {
        if !self.is_inside(peer) {
            return Ok(false);
        }
        for serial in serials {
            if tasks::is_under_way(self.store(), *serial).await?
                && self.challenged().may_wait(*serial, peer, self.now())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Why the OLT does not speak for whoever informs, in words that go on after "first contact from 10.20.3.9, and".
    pub(super) async fn doubt(&self, onu: &rows::Onu, word: &Word) -> Result<Option<String>, AppError> {
        if word.confirms() {
            return Ok(None);
        }
        let (serial, olt) = (onu.serial, self.olt_name(onu).await?);
        let told = match word {
            Word::Here { .. } | Word::Somewhere { counts: true, .. } => return Ok(None),
            Word::Outside => format!("that is in no management network, where ONU {serial} must be"),
            Word::Away { asked: true } => format!("{olt} says that ONU {serial} is not online"),
            Word::Away { asked: false } => {
                format!("{olt} was last heard to have ONU {serial} offline, or was not heard for long")
            }
            Word::NotYet => format!("{olt} has not said yet at which address it has ONU {serial}"),
            Word::Taken => format!(
                "{olt} has ONU {serial} there, but another device showed its own secret from that address since"
            ),
            Word::Nowhere { .. } => format!("{olt} has ONU {serial} online without a management address"),
            Word::Elsewhere { has, .. } => format!("{olt} has ONU {serial} at {}", listed(has)),
            Word::Somewhere { why, counts: false } => format!(
                "{olt} cannot tell at which address it has ONU {serial} ({why}), which the ACS policy asks for"
            ),
        };
        Ok(Some(told.chars().take(500).collect()))
    }

    /// What is known of an ONU that is online, against the address that informs.
    fn judged(&self, onu: &rows::Onu, peer: IpAddr) -> Word {
        match AddressWord::on(onu, self.now(), self.policy().olt_word_valid_s) {
            AddressWord::Unread => Word::NotYet,
            AddressWord::CannotTell { why } => {
                Word::Somewhere { why, counts: !self.policy().first_contact_needs_address }
            }
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
                    counts: !self.policy().first_contact_needs_address,
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
                "The OLT is asked again by itself; if its answer agrees, the CPE is let in without anybody's help and goes \
                 on at its next Inform.",
            ),
            Word::Somewhere { why, counts: false } => (
                "identity_unlocated",
                store::Severity::Warn,
                format!(
                    "Somebody informs from {peer} as ONU {serial}. {olt} has it online and cannot tell at which address: \
                     {why}. By the ACS policy that is not enough; nothing was told to it."
                ),
                "An operator can claim the CPE by hand.",
            ),
            Word::Away { asked: true } => (
                "identity_away",
                store::Severity::Warn,
                format!(
                    "Somebody informs from {peer} as ONU {serial}, and {olt} says that this ONU is not online; nothing \
                     was told to it."
                ),
                "It goes on when the OLT has the ONU online at this address; an operator can claim the CPE by hand.",
            ),
            Word::Outside
            | Word::Away { asked: false }
            | Word::Taken
            | Word::Here { .. }
            | Word::Somewhere { counts: true, .. } => return Ok(()),
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
            Word::Somewhere { why, .. } => (
                store::Severity::Info,
                format!(
                    "{olt} has ONU {serial} online, and its CPE informs from {peer}, inside the management network. \
                     That this is the address of the ONU was not checked; the OLT cannot tell: {why}."
                ),
                format!("not known to {olt}: {why}"),
                false,
            ),
            Word::Outside
            | Word::Away { .. }
            | Word::NotYet
            | Word::Taken
            | Word::Nowhere { .. }
            | Word::Elsewhere { .. } => return Ok(()),
        };
        let evidence = rows::EvidenceItem {
            cpe_id: cpe,
            layer: IDENTITY.to_owned(),
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
