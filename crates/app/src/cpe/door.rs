//! Where CPEs come in: who is it, may it speak, which service is it, and its session.

use super::identity::claimed_serials;
use crate::{
    App, AppError,
    ports::{
        AuthLevel, Begin, CpeFrontDoor, CpeNotice, CpeSession, CredentialCandidate, Identity, Next, Peer,
    },
};
use async_trait::async_trait;
use provisioning::{Device, DeviceReply, Event, InformFacts, Link, SessionEnd};
use std::{collections::BTreeSet, time::Duration};
use store::{Presence, Slot, StoreError, cpes, onus, rows, services};
use types::{CpeId, CpeSessionId, ServiceId};

/// Longest DeviceId fields by TR-069 A.3.3.1; anything longer is no device of ours.
const LONGEST_ID: usize = 64;
/// A device that was asked for its secret and came back without one has none.
const CHALLENGE_REMEMBERED: Duration = Duration::from_secs(15 * 60);
/// RPC lines kept of a session.
const LONGEST_DETAIL: usize = 200;

#[async_trait]
impl CpeFrontDoor for App {
    async fn credentials_for(&self, username: &str) -> Vec<CredentialCandidate> {
        match self.candidates(username).await {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(%error, "credentials of a CPE cannot be read");
                Vec::new()
            }
        }
    }

    async fn begin(&self, inform: InformFacts, peer: Peer) -> Begin {
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
            && let Some(text) = self.store().secret(Slot::CpeCredentials(row.id)).await?
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
        let Some(row) = self.find_or_register(&inform, &peer).await? else {
            tracing::warn!(serial = %inform.serial_number, "quarantine is full; an unknown device is told to come later");
            return Ok(Begin::Busy { retry_after_s: 3600 });
        };
        let cpe = row.id;
        let cell = self.live().cell(cpe);
        let mut slot = cell.lock().await;
        let device = match slot.as_ref() {
            Some(live) => live.device.durable(),
            None => self.load(cpe).await?.device,
        };
        let link = match self.admit(&row, &device, &inform, &peer).await? {
            Admission::Admitted(link) => link,
            Admission::Challenge => return Ok(Begin::Challenge),
            Admission::Refused(reason) => return Ok(Begin::Refused { reason }),
        };
        let own = peer.identity.cpe == Some(cpe);
        let auth = if own { peer.identity.level } else { peer.identity.level.min(AuthLevel::Bootstrap) };
        let number = self.live().next_session();
        if slot.is_none() {
            *slot = Some(self.load(cpe).await?);
        }
        if let Some(live) = slot.as_mut() {
            live.session = Some(number);
        }
        let events: Vec<String> = inform.events.iter().map(|e| e.code.chars().take(64).collect()).collect();
        let heard = provisioning::Peer { address: peer.address, auth };
        self.feed_locked(cpe, &mut slot, Event::InformReceived { inform, peer: heard }).await?;
        self.feed_locked(cpe, &mut slot, Event::LinkResolved(link)).await?;
        drop(slot);
        let session = rows::CpeSession {
            cpe_id: cpe,
            began_at: self.now(),
            events: events.join(", "),
            peer_address: peer.address.to_string(),
            detail: serde_json::json!([]),
            ..Default::default()
        };
        let id = self
            .store()
            .write(move |tx| Box::pin(async move { cpes::begin_session(tx, &session).await }))
            .await?;
        Ok(Begin::Accepted(Box::new(Session {
            app: self.clone(),
            cpe,
            number,
            id,
            requests: 0,
            faults: 0,
            detail: Vec::new(),
        })))
    }

    /// May it speak, and for whom?
    async fn admit(
        &self,
        row: &rows::Cpe,
        device: &Device,
        inform: &InformFacts,
        peer: &Peer,
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
        let link = self.resolve_link(row, device, inform, peer).await?;
        if *level == AuthLevel::Own {
            self.challenged().forget(row.id);
            return Ok(Admission::Admitted(link));
        }
        let strict = !self.policy().anonymous_first_contact && *level == AuthLevel::Anonymous;
        if device.ownership.written_at.is_some() || strict {
            // It has, or may have, a secret of its own. HTTP devices show one only when they are asked.
            let asked = self.challenged().recently(row.id, self.now(), CHALLENGE_REMEMBERED);
            let proven = device.ownership.proven_at.is_some();
            let again_new = inform.bootstrap() && link.confirmed();
            if !asked || strict || (proven && !again_new) {
                self.challenged().remember(row.id, self.now());
                if asked && proven && username.is_some() {
                    self.report_cpe(
                        row,
                        "identity_unproven",
                        &format!(
                            "{} does not show its own secret ({} tried). It was told nothing.",
                            inform.serial_number, peer.address
                        ),
                        store::Severity::Warn,
                    )
                    .await?;
                }
                return Ok(Admission::Challenge);
            }
        }
        Ok(Admission::Admitted(link))
    }

    /// The row of this device; a new one in quarantine if it is unknown; `None` when quarantine is full.
    async fn find_or_register(
        &self,
        inform: &InformFacts,
        peer: &Peer,
    ) -> Result<Option<rows::Cpe>, AppError> {
        let (oui, class, serial) = (&inform.oui, &inform.product_class, &inform.serial_number);
        if let Some(row) = cpes::by_identity(self.store(), oui, class, serial).await? {
            return Ok(Some(row));
        }
        let serials = claimed_serials(inform);
        for pon_serial in &serials {
            let known = cpes::by_pon_serial(self.store(), *pon_serial).await?;
            let placeholder = known.into_iter().find(cpes::is_placeholder);
            if let Some(mut row) = placeholder
                && self.olt_confirms(*pon_serial, peer).await?
            {
                // The CPE that the authorisation announced.
                row.oui = oui.clone();
                row.product_class = class.clone();
                row.serial_number = serial.clone();
                let update = row.clone();
                self.store()
                    .write(move |tx| {
                        Box::pin(async move { tx.update(&update).await?.or_overtaken("the CPE") })
                    })
                    .await?;
                return Ok(cpes::by_identity(self.store(), oui, class, serial).await?);
            }
        }
        if cpes::quarantined(self.store()).await? >= self.policy().quarantine_limit {
            return Ok(None);
        }
        let now = self.now();
        let row = rows::Cpe {
            oui: oui.clone(),
            product_class: class.clone(),
            serial_number: serial.clone(),
            pon_serial: serials.first().copied(),
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
        Ok(Some(found))
    }

    /// The OLT has this ONU online now, and the Inform came from a management network.
    async fn olt_confirms(&self, serial: types::Serial, peer: &Peer) -> Result<bool, AppError> {
        let policy = self.policy();
        if !policy.management_networks.iter().any(|network| network.contains(peer.address)) {
            return Ok(false);
        }
        let Some(onu) = onus::by_serial(self.store(), serial).await? else { return Ok(false) };
        let fresh =
            onu.observed_at.is_some_and(|at| self.now().since(at).as_secs() <= policy.olt_word_valid_s);
        Ok(onu.presence == Presence::InService && fresh)
    }

    /// Which service it belongs to: by PON serial, then by an operator's claim.
    async fn resolve_link(
        &self,
        row: &rows::Cpe,
        device: &Device,
        inform: &InformFacts,
        peer: &Peer,
    ) -> Result<Link, AppError> {
        if let Some(Link::One { service_id, claimed_by: Some(by), .. }) = &device.link {
            return Ok(Link::One {
                service_id: *service_id,
                olt_confirms: false,
                claimed_by: Some(by.clone()),
            });
        }
        let serials = claimed_serials(inform);
        let mut found: BTreeSet<ServiceId> = BTreeSet::new();
        let mut confirmed = false;
        let mut known_onu = None;
        for serial in &serials {
            if let Some(onu) = onus::by_serial(self.store(), *serial).await? {
                found.extend(onu.service_id);
                known_onu = Some(onu);
                confirmed |= self.olt_confirms(*serial, peer).await?;
            }
            for service in services::for_serial(self.store(), *serial).await? {
                found.insert(service.id);
            }
        }
        let label = || serials.first().map_or_else(|| inform.serial_number.clone(), ToString::to_string);
        let Some(service_id) = found.pop_first() else {
            let why = match (known_onu, serials.is_empty()) {
                (Some(onu), _) => format!("ONU {} on {} carries no service yet", label(), onu.pon),
                (None, false) => format!("no ONU and no service has the serial number {}", label()),
                (None, true) => format!("{} is no PON serial number", inform.serial_number),
            };
            return Ok(Link::None { why });
        };
        if !found.is_empty() {
            let count = u32::try_from(found.len() + 1).unwrap_or(u32::MAX);
            return Ok(Link::Several {
                count,
                why: format!("{count} services name the serial number {}", label()),
            });
        }
        let service: rows::Service = self.store().require(service_id).await?;
        if let Some(other) = service.cpe_id.filter(|other| *other != row.id) {
            let other: rows::Cpe = self.store().require(other).await?;
            if !cpes::is_placeholder(&other) {
                return Ok(Link::Conflict {
                    why: format!(
                        "service {} already has the CPE {}-{}-{}",
                        service.code, other.oui, other.product_class, other.serial_number
                    ),
                });
            }
            if confirmed {
                // The placeholder of the authorisation; the CPE itself was known before.
                let (old, service) = (other.id, service.id);
                self.store()
                    .write(move |tx| {
                        Box::pin(async move {
                            services::link_cpe(tx, service, None).await?;
                            tx.delete::<rows::Cpe>(old).await?;
                            Ok::<_, StoreError>(())
                        })
                    })
                    .await?;
            }
        }
        Ok(Link::One { service_id, olt_confirms: confirmed, claimed_by: None })
    }

    /// A line in the timeline of a CPE that is not a step of its machine.
    async fn report_cpe(
        &self,
        row: &rows::Cpe,
        code: &str,
        text: &str,
        severity: store::Severity,
    ) -> Result<(), AppError> {
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

enum Admission {
    Admitted(Link),
    Challenge,
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
}

impl Session {
    /// One event of this session; nothing if a later Inform made it void.
    async fn feed(&mut self, event: Event) -> Next {
        let cell = self.app.live().cell(self.cpe);
        let mut slot = cell.lock().await;
        if slot.as_ref().and_then(|live| live.session) != Some(self.number) {
            return Next::Done;
        }
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

    async fn notice(&mut self, notice: CpeNotice) {
        let text = match notice {
            CpeNotice::TransferComplete { command_key, fault_code, fault_text } => {
                format!("TransferComplete {command_key} {fault_code} {fault_text}")
            }
            CpeNotice::Other { method } => format!("device asked {method}"),
        };
        if self.detail.len() < LONGEST_DETAIL {
            self.detail.push(text.chars().take(300).collect());
        }
    }

    async fn end(self: Box<Self>, how: SessionEnd) {
        let Session { app, cpe, number, id, requests, faults, detail } = *self;
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
        };
        let now = app.now();
        let summary = cpes::SessionSummary {
            ended_at: now,
            requests,
            faults,
            outcome: outcome.to_owned(),
            detail: serde_json::json!(detail),
        };
        let bounds = store::retention::Bounds::default();
        let written = app
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    store::retention::trim_cpe(tx, cpe, &bounds).await?;
                    cpes::end_session(tx, id, summary).await
                })
            })
            .await;
        if let Err(error) = written {
            tracing::error!(%cpe, %error, "the record of a session cannot be stored");
        }
    }
}

/// Devices that were asked for their secret, and when.
#[derive(Debug, Default)]
pub(crate) struct Challenged(std::sync::Mutex<std::collections::HashMap<CpeId, types::UtcMs>>);

impl Challenged {
    const LIMIT: usize = 100_000;

    fn map(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<CpeId, types::UtcMs>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn recently(&self, cpe: CpeId, now: types::UtcMs, within: Duration) -> bool {
        self.map().get(&cpe).is_some_and(|at| now.since(*at) <= within)
    }

    fn remember(&self, cpe: CpeId, now: types::UtcMs) {
        let mut map = self.map();
        if map.len() >= Self::LIMIT {
            map.retain(|_, at| now.since(*at) <= CHALLENGE_REMEMBERED);
        }
        map.insert(cpe, now);
    }

    fn forget(&self, cpe: CpeId) {
        self.map().remove(&cpe);
    }
}
