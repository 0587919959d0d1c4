//! Where CPEs come in: who is it, may it speak, which service is it, and its session.

use super::{
    cells::LiveSlot,
    challenged::CHALLENGE_REMEMBERED,
    confirm::Ask,
    identity::{Claims, Resolved, claimed_serials},
    live::Live,
};
use crate::{
    App, AppError,
    ports::{
        AddressWorth, AuthLevel, Begin, CpeFrontDoor, CpeNotice, CpeSession, CredentialCandidate,
        FileAddress, Identity, Next, OfferedFile, Peer, SoapSpelling,
    },
};
use async_trait::async_trait;
use provisioning::{Device, DeviceReply, Event, InformFacts, Link, SessionEnd};
use std::net::IpAddr;
use store::{Slot, StoreError, cpes, onus, retention, rows};
use types::{CpeId, CpeSessionId, FirmwareFileId, UtcMs};

/// Longest DeviceId fields by TR-069 A.3.3.1; anything longer is no device of ours.
const LONGEST_ID: usize = 64;
/// Who waits for the OLT's word comes back after so long: it is asked about one ONU that often. CPEs that do not read
/// this come back by their own rule, at first after 5 to 10 s (TR-069 3.2.1.1).
const AGAIN_FOR_THE_OLT_S: u32 = 10;
/// RPC lines kept of a session.
const LONGEST_DETAIL: usize = 200;

#[async_trait]
impl CpeFrontDoor for App {
    async fn credentials_for(&self, username: &str) -> Vec<CredentialCandidate> {
        self.fresh_settings().await;
        match self.candidates(username).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "credentials of a CPE cannot be read");
                Vec::new()
            }
        }
    }

    fn refused(&self, address: IpAddr) {
        self.note_refused(address);
    }

    fn worth(&self, address: &FileAddress, from: IpAddr) -> AddressWorth {
        self.address_worth(address, from)
    }

    async fn file(&self, address: FileAddress, from: IpAddr) -> Result<Option<OfferedFile>, AppError> {
        self.offered(&address, from).await
    }

    async fn file_part(&self, file: FirmwareFileId, number: i64) -> Result<Option<Vec<u8>>, AppError> {
        Ok(store::firmware_files::part(self.store(), file, number).await?)
    }

    fn no_file(&self, from: IpAddr) {
        self.note_no_file(from);
    }

    async fn anothers_certificate(&self, inform: InformFacts, names: &[String], from: IpAddr) {
        if let Err(error) = self.tell_of_certificate(&inform, names, from).await {
            tracing::error!(%error, "that a certificate was another device's cannot be written down");
        }
    }

    async fn begin(&self, inform: InformFacts, peer: Peer) -> Begin {
        self.fresh_settings().await;
        match self.begin_session(inform, peer).await {
            Ok(begin) => begin,
            Err(AppError::Store(StoreError::Overloaded { .. })) => Begin::Busy { retry_after_s: 60 },
            Err(error) => {
                tracing::error!(%error, "an Inform cannot be taken in");
                Begin::Busy { retry_after_s: 120 }
            }
        }
    }
}

impl App {
    async fn candidates(&self, username: &str) -> Result<Vec<CredentialCandidate>, AppError> {
        let mut found = Vec::new();
        if let Some(row) = cpes::by_auth_username(self.store(), username).await?
            && let Some(text) =
                self.store().open_secret(Slot::CpeCredentials(row.id), row.credentials_sealed.as_ref())?
            && let Ok(own) = serde_json::from_str::<provisioning::OwnershipCredentials>(text.expose())
            && own.username == username
        {
            found.push(CredentialCandidate {
                secret: own.password,
                level: AuthLevel::Own,
                cpe: Some(row.id),
            });
        }
        if username == self.policy().first_contact_username
            && let Some(secret) = self.first_contact_password()
        {
            found.push(CredentialCandidate { secret, level: AuthLevel::Bootstrap, cpe: None });
        }
        Ok(found)
    }

    async fn begin_session(&self, inform: InformFacts, peer: Peer) -> Result<Begin, AppError> {
        if let Some(reason) = implausible(&inform) {
            return Ok(Begin::Refused { reason });
        }
        let peer = self.by_certificate(&inform, peer).await?;
        if let Some((slot, live)) = self.at_home(&inform, &peer.identity).await? {
            return self.enter(slot, Some(live), None, inform, peer).await;
        }
        let row = match self.find_or_register(&inform, &peer).await? {
            Found::Row(row) => *row,
            Found::Not(begin) => return Ok(begin),
        };
        if self.is_asked_first(&row, &peer) {
            self.challenge(row.id, peer.address);
            return Ok(Begin::Challenge);
        }
        let ahead = self.ask_ahead(&row, &inform, &peer).await?;
        let slot = self.live().cell(row.id).lock_owned().await;
        let stored = match slot.as_ref() {
            Some(_) => None,
            None => Some(self.load(row.id).await?),
        };
        let resolved = match (ahead, stored.as_ref().or(slot.as_ref())) {
            (Some((seen, _)), Some(live)) if !decides_alike(&seen, &live.device) => {
                // Something happened to it while its OLT was asked.
                return Ok(Begin::Busy { retry_after_s: AGAIN_FOR_THE_OLT_S });
            }
            (ahead, _) => ahead.map(|(_, resolved)| resolved),
        };
        self.enter(slot, stored, resolved, inform, peer).await
    }

    /// A device with a secret of its own comes without it from where it always comes from: HTTP devices show one only when
    /// they are asked, so whatever else is known of it, it is asked. Most sessions begin so.
    fn is_asked_first(&self, row: &rows::Cpe, peer: &Peer) -> bool {
        /// What of a machine this is decided by.
        #[derive(serde::Deserialize)]
        struct Known {
            ownership: provisioning::Ownership,
            connection: provisioning::ConnectionFacts,
            link: Option<Link>,
        }
        peer.identity.level != AuthLevel::Own
            && row.peer_address == peer.address.to_string()
            && !self.challenged().recently(row.id, peer.address, self.now(), CHALLENGE_REMEMBERED)
            && row.machine.read::<Known>().is_ok_and(|known| {
                // Of one that somebody claimed, who else says its name is told first.
                let claimed = matches!(known.link, Some(Link::One { claimed_by: Some(_), .. }));
                known.ownership.written_at.is_some()
                    && known.connection.peer.as_deref() == Some(row.peer_address.as_str())
                    && !claimed
            })
    }

    /// A device that showed its own secret, has a service and has no session open: it is read once, and nobody else works
    /// on it from then on.
    async fn at_home(
        &self,
        inform: &InformFacts,
        identity: &Identity,
    ) -> Result<Option<(LiveSlot, Live)>, AppError> {
        let (AuthLevel::Own, Some(cpe)) = (identity.level, identity.cpe) else { return Ok(None) };
        let slot = self.live().cell(cpe).lock_owned().await;
        if slot.is_some() {
            return Ok(None);
        }
        let (oui, class, serial) = (&inform.oui, &inform.product_class, &inform.serial_number);
        let row = cpes::by_identity(self.store(), oui, class, serial).await?;
        match row.filter(|row| row.id == cpe && row.service_id.is_some() && !cpes::is_placeholder(row)) {
            Some(row) => Ok(Some((slot, self.load_row(row).await?))),
            None => Ok(None),
        }
    }

    /// Begins the session of a device that nobody else works on meanwhile, if it may speak. `stored` is what the database
    /// has of it, unless a session of it is open here.
    async fn enter(
        &self,
        mut slot: LiveSlot,
        stored: Option<Live>,
        resolved: Option<Resolved>,
        inform: InformFacts,
        peer: Peer,
    ) -> Result<Begin, AppError> {
        let Some(Live { row, device, .. }) = stored.as_ref().or(slot.as_ref()) else {
            return Err(AppError::Internal("a device that was not read informs".to_owned()));
        };
        let cpe = row.id;
        let Resolved { link, onu, pin, second_for } =
            match self.admit(row, device, &inform, &peer, resolved).await? {
                Admission::Admitted(resolved) => *resolved,
                Admission::Challenge => return Ok(Begin::Challenge),
                Admission::Later => return Ok(Begin::Busy { retry_after_s: AGAIN_FOR_THE_OLT_S }),
                Admission::Refused(reason) => return Ok(Begin::Refused { reason }),
            };
        let spelling = self.spelling_for(device, &inform);
        let moved = device.connection.peer.as_deref() != Some(peer.address.to_string().as_str());
        // By what it was let in is told once, not with every session of a first contact; again after a reset.
        let known =
            device.link.as_ref().is_some_and(|old| old.confirmed() && old.service() == link.service());
        let first = peer.identity.level != AuthLevel::Own
            && link.confirmed()
            && (!known || (inform.bootstrap() && device.ownership.confirmed_at.is_some()));
        let second_for = second_for.map(|service| (service, row.clone()));
        // Only now: whoever is not let in changes nothing.
        let pin = pin.filter(|_| link.confirmed());
        if let Some(serial) = pin {
            // From here on it is this ONU for life, as one whose own serial number says so.
            self.store()
                .write(move |tx| {
                    Box::pin(
                        async move { cpes::set_pon_serial(tx, cpe, serial).await?.or_overtaken("the CPE") },
                    )
                })
                .await?;
        }
        match (slot.as_mut(), stored) {
            (Some(live), _) => self.read_intents(live).await?,
            (None, Some(stored)) if pin.is_none() => *slot = Some(stored),
            (None, _) => *slot = Some(self.load(cpe).await?),
        }
        let own = peer.identity.cpe == Some(cpe);
        let auth = if own { peer.identity.level } else { peer.identity.level.min(AuthLevel::Bootstrap) };
        let number = self.live().next_session();
        let events: Vec<String> = inform.events.iter().map(|e| e.code.chars().take(64).collect()).collect();
        let session = rows::CpeSession {
            cpe_id: cpe,
            began_at: self.now(),
            events: events.join(", "),
            peer_address: peer.address.to_string(),
            detail: serde_json::json!([]),
            node: self.process().to_owned(),
            ..Default::default()
        };
        if let Some(live) = slot.as_mut() {
            let claimed = match live.row.pon_serial {
                Some(_) => None,
                None => self.claim_among(&claimed_serials(&inform)).await?,
            };
            live.session = Some(number);
            live.serials = (claimed != live.row.claimed_serial).then_some((live.row.pon_serial, claimed));
            (live.opens, live.record) = (Some(Box::new(session)), None);
        }
        let heard = provisioning::Peer { address: peer.address, auth };
        let id = self.hears(cpe, &mut slot, Event::InformReceived { inform, peer: heard }).await?;
        let service = link.service().filter(|_| first);
        self.feed_locked(cpe, &mut slot, Event::LinkResolved(link)).await?;
        if moved || peer.identity.level != AuthLevel::Own {
            self.is_let_in(cpe, peer.address).await?;
        }
        let linked = slot.as_ref().and_then(|live| live.row.service_id);
        drop(slot);
        if let Some((service, row)) = second_for {
            self.tell_of_second(service, &row, peer.address).await?;
        }
        if let (Some(service), Some((onu, word))) = (service.filter(|one| linked == Some(*one)), &onu) {
            self.record_word(cpe, service, onu, word, peer.address).await?;
        }
        Ok(Begin::Accepted(Box::new(Session {
            app: self.clone(),
            cpe,
            number,
            id,
            requests: 0,
            faults: 0,
            detail: Vec::new(),
            spelling,
        })))
    }

    /// The machine hears of an Inform. Its session is written with what that changes, in one unit: whoever finds a device
    /// in the middle of something also finds its session.
    async fn hears(
        &self,
        cpe: CpeId,
        slot: &mut Option<Live>,
        inform: Event,
    ) -> Result<CpeSessionId, AppError> {
        let fed = self.feed_locked(cpe, slot, inform).await;
        let (opens, record) = slot.as_mut().map_or((None, None), |live| (live.opens.take(), live.record));
        fed?;
        match (record, opens) {
            (Some(record), _) => Ok(record),
            // Nothing was changed by it.
            (None, Some(session)) => Ok(self
                .store()
                .write(move |tx| Box::pin(async move { cpes::begin_session(tx, &session).await }))
                .await?),
            (None, None) => Err(AppError::Internal("a session was begun without a record".to_owned())),
        }
    }

    /// How the family of this device wants its messages spelled: of the profile in use, else of the one that its identity
    /// speaks for most, if any does.
    fn spelling_for(&self, device: &Device, inform: &InformFacts) -> SoapSpelling {
        let profiles = self.profiles();
        if let Some(profile) = device.profile.as_ref().and_then(|chosen| profiles.get(&chosen.id)) {
            return profile.soap;
        }
        let identity = profiles::cpe::Identity {
            manufacturer: inform.manufacturer.clone(),
            oui: inform.oui.clone(),
            product_class: inform.product_class.clone(),
            software_version: inform.parameter("DeviceInfo.SoftwareVersion").unwrap_or_default().to_owned(),
            root: inform.root().unwrap_or_default().to_owned(),
        };
        let nominee = profiles.nominate(&identity, None).into_iter().next().filter(|first| first.score > 0);
        nominee.map_or_else(SoapSpelling::default, |first| first.profile.soap)
    }

    /// What its OLT says of somebody whom that may let in, before anything waits for this device: an OLT may be slow,
    /// and whoever guesses a serial number must not keep the real device waiting.
    async fn ask_ahead(
        &self,
        row: &rows::Cpe,
        inform: &InformFacts,
        peer: &Peer,
    ) -> Result<Option<(Device, Resolved)>, AppError> {
        let held = self.live().cell(row.id).lock().await.as_ref().map(|live| live.device.durable());
        let device = match held {
            Some(device) => device,
            None => self.load(row.id).await?.device,
        };
        if !self.is_worth_asking(row, &device, inform, peer) {
            return Ok(None);
        }
        let asker = self.asker(inform, peer.address);
        let ask = Ask::Certain(&asker);
        let resolved = self.resolve(row, &device, Claims::of(inform), peer, ask).await?;
        Ok(Some((device, resolved)))
    }

    /// The OLT's word may let it in. Devices of ours that show their secret, or are asked for it anyway, leave the OLT
    /// alone: its few answers are for first contacts.
    fn is_worth_asking(&self, row: &rows::Cpe, device: &Device, inform: &InformFacts, peer: &Peer) -> bool {
        let own = &device.ownership;
        match peer.identity.level {
            AuthLevel::Own => peer.identity.cpe == Some(row.id) && row.service_id.is_none(),
            AuthLevel::Anonymous if self.is_strict() => false,
            AuthLevel::Anonymous | AuthLevel::Bootstrap => {
                let asked =
                    self.challenged().recently(row.id, peer.address, self.now(), CHALLENGE_REMEMBERED);
                own.written_at.is_none() || (asked && (own.proven_at.is_none() || inform.bootstrap()))
            }
        }
    }

    /// May it speak, and for whom?
    async fn admit(
        &self,
        row: &rows::Cpe,
        device: &Device,
        inform: &InformFacts,
        peer: &Peer,
        ahead: Option<Resolved>,
    ) -> Result<Admission, AppError> {
        let Identity { level, cpe, username } = &peer.identity;
        if *level == AuthLevel::Own && *cpe != Some(row.id) {
            let other = cpe.map(|c| c.to_string()).unwrap_or_default();
            let reason = format!(
                "{} informs with the secret of CPE {other}. Nothing was told to it.",
                inform.serial_number
            );
            self.report_cpe(row, "identity_conflict", &reason, store::Severity::Bad).await?;
            return Ok(Admission::Refused(reason));
        }
        let now = self.now();
        let (asked, proven) = (
            self.challenged().recently(row.id, peer.address, now, CHALLENGE_REMEMBERED),
            device.ownership.proven_at.is_some(),
        );
        let address = peer.address.to_string();
        if *level == AuthLevel::Anonymous && self.is_strict() {
            self.challenged().remember(row.id, peer.address, now);
            if asked && proven && username.is_some() {
                self.report_unproven(row, inform, &address).await?;
            }
            return Ok(Admission::Challenge);
        }
        let resolved = match ahead {
            Some(resolved) => resolved,
            None => self.resolve(row, device, Claims::of(inform), peer, Ask::Nothing).await?,
        };
        if *level == AuthLevel::Own {
            self.challenged().forget(row.id, peer.address);
            self.challenged().lives_at(peer.address, row.id, now);
            return Ok(Admission::Admitted(Box::new(resolved)));
        }
        let link = &resolved.link;
        // A serial number is no secret and being online is not either. What a stranger elsewhere in the network cannot
        // have is the address that this device spoke from, or has by its OLT, or an operator who says just now that it
        // is the one.
        let known = device.connection.peer.as_deref();
        let word = self.vouched_for(row.id).await?;
        let vouched = word.covers(peer.address, now)
            || (known == Some(address.as_str()) && !word.is_elsewhere(peer.address, now, proven))
            || resolved.is_here();
        if let Link::One { claimed_by: Some(by), .. } = link
            && !vouched
        {
            let reason = format!(
                "{} was claimed by {by} when it spoke from {}; now somebody informs with its name from {address} and \
                 without its secret. It was told nothing. If it is the same device, claim it again: it is then let in \
                 from {address}, once, if it informs within 15 minutes.",
                inform.serial_number,
                known.unwrap_or("nowhere")
            );
            let why = "It shows no secret, and an operator claimed the CPE elsewhere.";
            self.note_claimant(row.id, inform, peer.address, why).await?;
            self.report_cpe(row, "identity_moved", &reason, store::Severity::Warn).await?;
            return Ok(if asked { Admission::Refused(reason) } else { self.challenge(row.id, peer.address) });
        }
        // From elsewhere and with nobody's word, or against the OLT's: whoever guessed the serial number moves neither
        // the address nor the URL of the device that is known from the management network.
        let contradicted = resolved.onu.as_ref().filter(|(_, word)| word.contradicts());
        let known_inside =
            known.and_then(|known| known.parse().ok()).is_some_and(|known| self.is_inside(known));
        if !link.confirmed()
            && (contradicted.is_some() || !self.is_inside(peer.address))
            && known != Some(address.as_str())
            && (known_inside || device.ownership.written_at.is_some())
        {
            let why = match contradicted {
                Some((onu, word)) => {
                    self.report_word(row, onu, word, peer.address).await?;
                    "It shows no secret, and its OLT has the ONU at another address."
                }
                None => {
                    self.report_unproven(row, inform, &address).await?;
                    "It shows no secret, and is in no management network."
                }
            };
            self.note_claimant(row.id, inform, peer.address, why).await?;
            let reason = format!("{} is known from elsewhere and shows no secret.", inform.serial_number);
            let has_secret = device.ownership.written_at.is_some();
            return Ok(if asked && !has_secret {
                Admission::Refused(reason)
            } else {
                self.challenge(row.id, peer.address)
            });
        }
        if device.ownership.written_at.is_some() {
            // It has, or may have, a secret of its own. HTTP devices show one only when they are asked.
            let reset = inform.bootstrap() && link.confirmed();
            if !asked || (proven && !(reset && vouched)) {
                if asked && known != Some(address.as_str()) {
                    let why = "It does not show the secret that the CPE has.";
                    self.note_claimant(row.id, inform, peer.address, why).await?;
                }
                if asked && proven && reset {
                    let text = format!(
                        "{} says that it was reset to factory settings, but informs from {address} and not from {} as \
                         before. It was told nothing. If it is the same device, claim it again: it is then let in from \
                         {address}, once, if it informs within 15 minutes.",
                        inform.serial_number,
                        known.unwrap_or("any known address")
                    );
                    self.report_cpe(row, "identity_moved", &text, store::Severity::Warn).await?;
                } else if asked && proven && username.is_some() {
                    self.report_unproven(row, inform, &address).await?;
                }
                return Ok(self.challenge(row.id, peer.address));
            }
        }
        if let Some((onu, word)) = &resolved.onu {
            if self.comes_back(onu, word, peer.address) {
                return Ok(Admission::Later);
            }
            self.report_word(row, onu, word, peer.address).await?;
        }
        if !resolved.link.confirmed() && self.is_coming(&claimed_serials(inform), peer.address).await? {
            return Ok(Admission::Later);
        }
        // What is known of a device that belongs to somebody, or has proved itself once, is not moved by whoever says its
        // name: the address and the URL by which it is called, and what it is. A device that did move has its OLT's word,
        // its own secret, or an operator's.
        if is_settled(row, device)
            && let Some(known) = known.filter(|known| *known != address.as_str())
            && !vouched
            && !(resolved.link.confirmed() && self.is_silent(device))
        {
            let why = "It shows no secret, and nothing but its name says that it is this CPE.";
            self.note_claimant(row.id, inform, peer.address, why).await?;
            let text = format!(
                "Somebody informs from {address} with the name of {}, which is known at {known}, and shows no secret. It \
                 was told nothing, and nothing that is known of the CPE changed. If it is the same device, an operator can \
                 claim it there.",
                inform.serial_number
            );
            self.report_cpe(row, "identity_moved", &text, store::Severity::Warn).await?;
            let has_secret = device.ownership.written_at.is_some();
            return Ok(if asked && !has_secret {
                Admission::Refused(text)
            } else {
                self.challenge(row.id, peer.address)
            });
        }
        Ok(Admission::Admitted(Box::new(resolved)))
    }

    /// Nobody spoke from where it is known for longer than a device there would be silent. Where the OLT has it online
    /// and cannot say at which address, it may have another one by now.
    fn is_silent(&self, device: &Device) -> bool {
        let timing = &self.policy().provisioning;
        let own = device.inform_interval_s.unwrap_or_default().max(timing.inform_interval_s);
        let long = 2 * (u64::from(own) + u64::from(timing.inform_spread_s));
        device.last_inform_at.is_none_or(|at| self.now().since(at).as_secs() > long)
    }

    fn challenge(&self, cpe: CpeId, address: IpAddr) -> Admission {
        self.challenged().remember(cpe, address, self.now());
        Admission::Challenge
    }

    /// Nobody is spoken to before it has shown some secret.
    fn is_strict(&self) -> bool {
        !self.policy().anonymous_first_contact
    }

    async fn report_unproven(
        &self,
        row: &rows::Cpe,
        inform: &InformFacts,
        address: &str,
    ) -> Result<(), AppError> {
        let text = format!(
            "{} does not show its own secret ({address} tried). It was told nothing.",
            inform.serial_number
        );
        self.report_cpe(row, "identity_unproven", &text, store::Severity::Warn).await
    }

    /// The row of this device; a new one in quarantine if it is unknown.
    async fn find_or_register(&self, inform: &InformFacts, peer: &Peer) -> Result<Found, AppError> {
        let (oui, class, serial) = (&inform.oui, &inform.product_class, &inform.serial_number);
        let known = cpes::by_identity(self.store(), oui, class, serial).await?;
        let nameless = known.as_ref().is_some_and(cpes::is_placeholder);
        if let Some(row) = known.filter(|row| !cpes::is_placeholder(row)) {
            return Ok(Found::Row(Box::new(row)));
        }
        // It is new to us: whoever has to prove something first leaves no trace before.
        if let (AuthLevel::Own, Some(owner)) = (peer.identity.level, peer.identity.cpe) {
            let owner: rows::Cpe = self.found(owner, "CPE").await?;
            let reason = format!(
                "Its secret came with the name {oui}-{class}-{serial}, which is not its own. Nothing was told to it."
            );
            self.report_cpe(&owner, "identity_conflict", &reason, store::Severity::Bad).await?;
            return Ok(Found::Not(Begin::Refused { reason }));
        }
        if peer.identity.level == AuthLevel::Anonymous && self.is_strict() {
            return Ok(Found::Not(Begin::Challenge));
        }
        let (serials, asker) = (claimed_serials(inform), self.asker(inform, peer.address));
        for pon_serial in &serials {
            let Some(onu) = onus::by_serial(self.store(), *pon_serial).await? else { continue };
            let known = cpes::by_pon_serial(self.store(), *pon_serial).await?;
            let placeholder = known.into_iter().find(cpes::is_placeholder);
            let who = placeholder.as_ref().map_or(CpeId(0), |row| row.id);
            let ask = if onu.service_id.is_some() { Ask::Certain(&asker) } else { Ask::Nothing };
            let word = self.olts_word(&onu, who, peer, ask).await?;
            if onu.service_id.is_some() && self.comes_back(&onu, &word, peer.address) {
                return Ok(Found::Not(Begin::Busy { retry_after_s: AGAIN_FOR_THE_OLT_S }));
            }
            if let Some(row) = placeholder.filter(|_| word.confirms()) {
                // The CPE that the authorisation announced.
                self.becomes(row.id, inform).await?;
                return Ok(match cpes::by_identity(self.store(), oui, class, serial).await? {
                    Some(row) => Found::Row(Box::new(row)),
                    None => Found::Not(Begin::Busy { retry_after_s: AGAIN_FOR_THE_OLT_S }),
                });
            }
        }
        if self.is_coming(&serials, peer.address).await? {
            return Ok(Found::Not(Begin::Busy { retry_after_s: AGAIN_FOR_THE_OLT_S }));
        }
        if nameless {
            let reason = format!("{serial} gives no OUI and no ProductClass, and no OLT confirms it now.");
            return Ok(Found::Not(Begin::Refused { reason }));
        }
        if !self.is_expected(&serials, peer, Ask::Certain(&asker)).await? && !self.has_room().await? {
            tracing::warn!(?serial, "quarantine is full; an unknown device is told to come later");
            return Ok(Found::Not(Begin::Busy { retry_after_s: 3600 }));
        }
        let now = self.now();
        let row = rows::Cpe {
            oui: oui.clone(),
            product_class: class.clone(),
            serial_number: serial.clone(),
            claimed_serial: self.claim_among(&serials).await?,
            state: Device::new(now).state().as_str().to_owned(),
            state_since: now,
            quarantine: true,
            peer_address: peer.address.to_string(),
            created_at: now,
            ..Default::default()
        };
        let found = self
            .store()
            .write(move |tx| Box::pin(async move { cpes::find_or_insert(tx, &row).await }))
            .await?;
        Ok(Found::Row(Box::new(found)))
    }

    /// The row that an authorisation made gets the name of the CPE that came. Its machine may be told of the authorisation
    /// in the same moment; nobody has to come again for that.
    async fn becomes(&self, placeholder: CpeId, inform: &InformFacts) -> Result<(), AppError> {
        let name = (inform.oui.clone(), inform.product_class.clone(), inform.serial_number.clone());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    let Some(mut row) = tx.get::<rows::Cpe>(placeholder).await? else { return Ok(()) };
                    if !cpes::is_placeholder(&row) {
                        return Ok(());
                    }
                    (row.oui, row.product_class, row.serial_number) = name;
                    tx.update(&row).await?.or_overtaken("the CPE")
                })
            })
            .await?;
        Ok(())
    }

    /// There is room for one more stranger: who has been silent for an hour makes room, so that whoever fills quarantine
    /// on purpose must go on doing it.
    async fn has_room(&self) -> Result<bool, AppError> {
        if cpes::quarantined(self.store()).await? < self.policy().quarantine_limit {
            return Ok(true);
        }
        let silent_since = UtcMs(self.now().0 - 3_600_000);
        Ok(self
            .store()
            .write(move |tx| Box::pin(async move { cpes::forget_stranger(tx, silent_since).await }))
            .await?)
    }

    /// A line in the timeline of a CPE that is not a step of its machine. The same line is written once an hour: anyone
    /// who knows a serial number can cause one.
    pub(super) async fn report_cpe(
        &self,
        row: &rows::Cpe,
        code: &'static str,
        text: &str,
        severity: store::Severity,
    ) -> Result<(), AppError> {
        if !self.challenged().may_report(row.id, code, self.now()) {
            return Ok(());
        }
        tracing::warn!(cpe = %row.id, code, text, "reported");
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "report".to_owned(),
            service_id: row.service_id,
            cpe_id: Some(row.id),
            severity,
            code: code.to_owned(),
            text: text.to_owned(),
            actor: "system:acs".to_owned(),
            facts: serde_json::json!({}),
            ..Default::default()
        };
        self.store()
            .write(move |tx| Box::pin(async move { store::timeline::append(tx, &entry).await }))
            .await?;
        Ok(())
    }
}

/// What an Inform leads to before anything is proven.
enum Found {
    Row(Box<rows::Cpe>),
    /// No row, and this answer.
    Not(Begin),
}

/// It belongs to a service, has a secret of ours, or has proved itself once.
fn is_settled(row: &rows::Cpe, device: &Device) -> bool {
    row.service_id.is_some()
        || device.link.as_ref().is_some_and(Link::confirmed)
        || device.ownership.written_at.is_some()
        || device.ownership.proven_at.is_some()
}

/// What the door decides by is the same of both.
fn decides_alike(one: &Device, other: &Device) -> bool {
    let peer = |device: &Device| device.connection.peer.clone();
    one.link == other.link && one.ownership == other.ownership && peer(one) == peer(other)
}

enum Admission {
    Admitted(Box<Resolved>),
    Challenge,
    /// It comes back when the OLT has said what is needed.
    Later,
    Refused(String),
}

/// Why this cannot be a device of anybody's.
fn implausible(inform: &InformFacts) -> Option<String> {
    let fields = [
        ("OUI", &inform.oui),
        ("ProductClass", &inform.product_class),
        ("SerialNumber", &inform.serial_number),
    ];
    for (name, value) in fields {
        if value.chars().count() > LONGEST_ID {
            return Some(format!("DeviceId.{name} is longer than {LONGEST_ID} characters."));
        }
        if value.chars().any(char::is_control) {
            return Some(format!("DeviceId.{name} holds control characters."));
        }
    }
    inform.serial_number.trim().is_empty().then(|| "DeviceId.SerialNumber is empty.".to_owned())
}

struct Session {
    app: App,
    cpe: CpeId,
    number: u64,
    id: CpeSessionId,
    requests: i64,
    faults: i64,
    detail: Vec<String>,
    spelling: SoapSpelling,
}

impl Session {
    /// One event of this session; nothing if a later Inform made it void.
    async fn feed(&mut self, event: Event) -> Next {
        let cell = self.app.live().cell(self.cpe);
        let mut slot = cell.lock().await;
        if slot.as_ref().and_then(|live| live.session) != Some(self.number) {
            return Next::Done;
        }
        let event = match (event, slot.as_ref()) {
            (Event::ReplyReceived(DeviceReply::Fault(fault)), Some(live)) => {
                Event::ReplyReceived(DeviceReply::Fault(live.without_secrets(fault)))
            }
            (event, _) => event,
        };
        match self.app.feed_locked(self.cpe, &mut slot, event).await {
            Ok(fed) => {
                let next = fed.next.unwrap_or(Next::Done);
                if let Next::Request(request) = &next {
                    self.requests += 1;
                    if self.detail.len() < LONGEST_DETAIL {
                        self.detail.push(request.rpc().to_owned());
                    }
                }
                next
            }
            Err(error) => {
                // Ending the session costs nothing: the device informs again and the work goes on at the cursor.
                tracing::error!(cpe = %self.cpe, %error, "a session is ended early");
                Next::Done
            }
        }
    }
}

#[async_trait]
impl CpeSession for Session {
    fn spelling(&self) -> SoapSpelling {
        self.spelling
    }

    fn cpe(&self) -> CpeId {
        self.cpe
    }

    async fn ready(&mut self) -> Next {
        self.feed(Event::SessionReady).await
    }

    async fn reply(&mut self, reply: DeviceReply) -> Next {
        if let DeviceReply::Fault(fault) = &reply {
            self.faults += 1;
            if let Some(last) = self.detail.last_mut() {
                last.push_str(&format!(" → fault {}", fault.code));
            }
        }
        self.feed(Event::ReplyReceived(reply)).await
    }

    async fn notice(&mut self, notice: CpeNotice) -> Result<(), AppError> {
        let (text, said_once) = match notice {
            CpeNotice::TransferComplete { command_key, fault_code, fault_text } => {
                (format!("TransferComplete {command_key} {fault_code} {fault_text}"), true)
            }
            CpeNotice::Other { method } => (format!("device asked {method}"), false),
        };
        if self.detail.len() >= LONGEST_DETAIL {
            if !said_once {
                return Ok(());
            }
            // It is never said again: it takes the place of the latest.
            self.detail.pop();
        }
        self.detail.push(text.chars().take(300).collect());
        if said_once {
            let (id, detail) = (self.id, serde_json::json!(self.detail));
            let stored = self
                .app
                .store()
                .write(move |tx| Box::pin(async move { cpes::note_session(tx, id, &detail).await }));
            if let Err(error) = stored.await {
                self.detail.pop();
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn end(self: Box<Self>, how: SessionEnd) {
        let Session { app, cpe, number, id, requests, faults, detail, spelling: _ } = *self;
        let cell = app.live().cell(cpe);
        {
            let mut slot = cell.lock().await;
            if slot.as_ref().and_then(|live| live.session) == Some(number) {
                if let Some(live) = slot.as_mut() {
                    live.session = None;
                }
                if let Err(error) = app.feed_locked(cpe, &mut slot, Event::SessionEnded(how)).await {
                    tracing::error!(%cpe, %error, "the end of a session cannot be stored; the next Inform sorts it out");
                    *slot = None;
                }
            }
        }
        drop(cell);
        app.live().tidy(cpe);
        let outcome = match how {
            SessionEnd::Clean => "clean",
            SessionEnd::Torn => "torn",
            SessionEnd::TimedOut => "timed_out",
            SessionEnd::Lost => "lost",
        };
        let now = app.now();
        let summary = cpes::SessionSummary {
            ended_at: now,
            requests,
            faults,
            outcome: outcome.to_owned(),
            detail: serde_json::json!(detail),
        };
        let quiet = requests == 0 && faults == 0 && detail.is_empty();
        let trims = !quiet || retention::is_due(id);
        let written = app
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    if trims {
                        retention::trim_cpe(tx, cpe, &retention::Bounds::default()).await?;
                    }
                    cpes::end_session(tx, id, summary).await
                })
            })
            .await;
        if let Err(error) = written {
            tracing::error!(%cpe, %error, "the record of a session cannot be stored");
        }
    }
}
