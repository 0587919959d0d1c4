//! The shell around the provisioning machine: one step at a time per device, stored before its effect leaves.
//!
//! Every event of a device (an Inform, a reply, a timer, an operator) goes through [`App::feed`]. A device that is
//! being spoken to is kept in memory with what its open session has read; the database holds everything that must
//! survive. A step that changes nothing durable writes nothing.

use crate::{Actor, App, AppError, Change, ports::Next, secrets::ownership_credentials};
use profiles::cpe::pattern_of;
use provisioning::{
    Context, Device, DeviceFault, Effect, Event, Gate, Intents, InternetMode, Layer, OwnershipCredentials,
    Proof, Reason, ReasonCode, State, Step,
};
use store::{
    Guarded, RawJson, ServiceState, Slot, StoreError, Tx, cpes, firmwares, jobs::NewJob, onus, rows,
    services, timeline,
};
use types::{CpeId, CpeSessionId, Secret, Serial, ServiceId, UtcMs};

/// How often a step is computed again because another node changed the device in the meantime. On one node the lock of
/// the device keeps order, so this is only about nodes that race.
const ATTEMPTS: u32 = 20;
/// Kind of the job that carries out a connection request.
pub(crate) const CONNECTION_REQUEST: &str = "connection_request";
/// Longest text of a device that is stored in a column of its own.
const LONGEST_TEXT: usize = 256;

/// A device in memory.
pub(crate) struct Live {
    pub(crate) row: rows::Cpe,
    pub(crate) device: Device,
    intents: Option<Intents>,
    credentials: Option<OwnershipCredentials>,
    learned: Vec<provisioning::LearnedFact>,
    /// What is open on the device was ordered so.
    orders: Vec<provisioning::Order>,
    /// Number of the CWMP session that is open on this node; a later Inform makes the earlier one void.
    pub(crate) session: Option<u64>,
    /// The record of that session while it is not written: it is with the first step that is.
    pub(super) opens: Option<Box<rows::CpeSession>>,
    /// Its number once it is.
    pub(super) record: Option<CpeSessionId>,
    /// PON serial number, confirmed and claimed, where they are others than the row says; the next step writes them.
    pub(super) serials: Option<(Option<Serial>, Option<Serial>)>,
}

impl Live {
    /// What a device says of a value it refuses, without the value: some repeat the password.
    pub(crate) fn without_secrets(&self, mut fault: DeviceFault) -> DeviceFault {
        let mut secrets: Vec<&Secret> = Vec::new();
        if let Some(own) = &self.credentials {
            secrets.extend([&own.password, &own.connection_request_password]);
        }
        if let Some(intents) = &self.intents {
            if let Some(InternetMode::Pppoe { password, .. }) = intents.internet.as_ref().map(|i| &i.mode) {
                secrets.push(password);
            }
            secrets
                .extend(intents.access.iter().flat_map(|access| &access.wifi).map(|wifi| &wifi.passphrase));
        }
        for order in &self.orders {
            if let provisioning::OrderKind::Set { values } = &order.what {
                secrets.extend(values.iter().filter_map(|value| match &value.value {
                    provisioning::WriteValue::Secret(secret) => Some(secret),
                    provisioning::WriteValue::Plain(_) => None,
                }));
            }
        }
        let texts =
            std::iter::once(&mut fault.text).chain(fault.parameters.iter_mut().map(|entry| &mut entry.text));
        for text in texts {
            for secret in secrets.iter().filter(|secret| secret.expose().len() >= 4) {
                *text = text.replace(secret.expose(), "••••");
            }
        }
        fault
    }
}

/// What came of an event.
#[derive(Debug, Clone)]
pub(crate) struct Fed {
    /// What to do in the open session, if the event was part of one.
    pub(crate) next: Option<Next>,
}

/// What goes into one unit of work.
#[derive(Clone)]
struct Write {
    step: cpes::CpeStep,
    learned: Vec<rows::LearnedFact>,
    /// A firmware that was not heard of, maybe.
    firmware: Option<rows::CpeFirmware>,
    link_to: Option<ServiceId>,
    activate: Option<ServiceId>,
    /// The device leaves this service.
    unlink_from: Option<ServiceId>,
    /// The timer whose step this is: it must still be due, or another node was quicker.
    fired: Option<String>,
    audit: Option<rows::AuditEntry>,
    order: Option<Box<super::orders::NewOrder>>,
    claim: Option<Box<super::claim::Claim>>,
    /// The session that this step begins.
    session: Option<Box<rows::CpeSession>>,
    now: UtcMs,
}

impl Write {
    /// There is something to do for the workers before they look again by themselves.
    fn is_urgent(&self) -> bool {
        let soon = self.now.plus(crate::work::TICK);
        !self.step.jobs.is_empty() || self.step.start_timers.iter().any(|(_, at)| *at <= soon)
    }
}

/// What a person's order leaves in the records, in the same unit as what it does.
#[derive(Clone)]
pub(crate) struct Recorded {
    pub(crate) entry: rows::TimelineEntry,
    pub(crate) audit: rows::AuditEntry,
    /// A new device order with its content, if it is one.
    pub(crate) order: Option<Box<super::orders::NewOrder>>,
    /// What a claim was about, if it is one.
    pub(crate) claim: Option<Box<super::claim::Claim>>,
}

/// What became of a [`Write`].
enum Applied {
    Stored(Box<rows::Cpe>, Option<CpeSessionId>),
    /// A guard did not hold; nothing was written.
    NotAsRead(Guarded),
    /// Another node carried out this timer; nothing was written.
    FiredElsewhere,
}

impl App {
    /// One step of one device.
    pub(crate) async fn feed(&self, cpe: CpeId, event: Event) -> Result<Fed, AppError> {
        self.feed_recorded(cpe, event, None).await
    }

    /// One step of one device on somebody's order.
    pub(crate) async fn feed_recorded(
        &self,
        cpe: CpeId,
        event: Event,
        recorded: Option<Recorded>,
    ) -> Result<Fed, AppError> {
        let cell = self.live().cell(cpe);
        let fed = {
            let mut slot = cell.lock().await;
            self.feed_into(cpe, &mut slot, event, recorded).await
        };
        drop(cell);
        self.live().tidy(cpe);
        fed
    }

    /// One step of a device that nobody speaks to on this node and that is as it was in `version`; `pin` is the PON serial
    /// number that it has from then on. False if it is not; then nothing was done.
    pub(crate) async fn feed_unchanged(
        &self,
        cpe: CpeId,
        version: i64,
        event: Event,
        pin: Option<Serial>,
    ) -> Result<bool, AppError> {
        let cell = self.live().cell(cpe);
        let fed = {
            let slot = cell.lock().await;
            let in_session = slot.as_ref().is_some_and(|live| live.session.is_some());
            match self.load(cpe).await {
                Ok(mut live) if !in_session && live.row.version == version => {
                    if pin.is_some() {
                        live.serials = Some((pin, None));
                    }
                    self.step(&mut live, &event, None).await.map(|fed| fed.is_some())
                }
                Ok(_) => Ok(false),
                Err(error) => Err(error),
            }
        };
        drop(cell);
        self.live().tidy(cpe);
        fed
    }

    /// [`App::feed`] under a lock that the caller holds.
    pub(crate) async fn feed_locked(
        &self,
        cpe: CpeId,
        slot: &mut Option<Live>,
        event: Event,
    ) -> Result<Fed, AppError> {
        self.feed_into(cpe, slot, event, None).await
    }

    async fn feed_into(
        &self,
        cpe: CpeId,
        slot: &mut Option<Live>,
        event: Event,
        recorded: Option<Recorded>,
    ) -> Result<Fed, AppError> {
        if matches!(event, Event::IntentChanged(_))
            && let Some(live) = slot
        {
            self.read_intents(live).await?;
        }
        for _ in 0..ATTEMPTS {
            let live = match slot {
                Some(live) => live,
                None => slot.insert(self.load(cpe).await?),
            };
            match self.step(live, &event, recorded.as_ref()).await? {
                Some(fed) => {
                    if live.session.is_none() {
                        // Nothing is kept between sessions, so that nothing can be stale.
                        *slot = None;
                    }
                    return Ok(fed);
                }
                None => {
                    // Another node changed it. Read again, but remember that a session is open here and what was said in it.
                    let mut fresh = self.load(cpe).await?;
                    fresh.session = live.session;
                    (fresh.opens, fresh.record) = (live.opens.take(), live.record);
                    if live.session.is_some() && fresh.row.pon_serial.is_none() {
                        let claimed = live.serials.map_or(live.row.claimed_serial, |(_, claimed)| claimed);
                        fresh.serials = Some((None, claimed));
                    }
                    *slot = Some(fresh);
                }
            }
        }
        Err(AppError::Conflict(format!(
            "CPE {cpe} was changed by others {ATTEMPTS} times while this was tried; it will be tried again."
        )))
    }

    pub(crate) async fn load(&self, cpe: CpeId) -> Result<Live, AppError> {
        self.load_row(self.found(cpe, "CPE").await?).await
    }

    /// A device whose row is in hand.
    pub(super) async fn load_row(&self, row: rows::Cpe) -> Result<Live, AppError> {
        let cpe = row.id;
        let device = if row.machine.is_null() {
            Device::new(row.created_at)
        } else {
            row.machine.read().map_err(|error| {
                AppError::Internal(format!("the stored state of CPE {cpe} cannot be read: {error}"))
            })?
        };
        let sealed = self.store().open_secret(Slot::CpeCredentials(cpe), row.credentials_sealed.as_ref())?;
        let credentials = sealed.and_then(|text| serde_json::from_str(text.expose()).ok());
        let intents = self.intents_of(row.service_id).await?;
        let learned = self.lessons_for(&row).await?;
        // The machine knows whether there is any: a device without an order costs no query.
        let orders = if device.orders.is_empty() { Vec::new() } else { self.open_orders(cpe).await? };
        Ok(Live {
            row,
            device,
            intents,
            credentials,
            learned,
            orders,
            session: None,
            opens: None,
            record: None,
            serials: None,
        })
    }

    /// Reads again what is wanted of a device in memory; the device itself is guarded by its version.
    pub(super) async fn read_intents(&self, live: &mut Live) -> Result<(), AppError> {
        live.intents = self.intents_of(live.row.service_id).await?;
        Ok(())
    }

    /// What the machine is told besides the device.
    fn context_of(&self, live: &Live, event: &Event) -> Context {
        Context {
            intents: live.intents.clone(),
            profiles: self.profiles(),
            learned: live.learned.clone(),
            orders: live.orders.clone(),
            family: self.family_for(&live.device, event),
            policy: self.policy_for(&live.device, event),
            credentials: live.credentials.clone(),
            fingerprint_key: self.fingerprint_key().clone(),
        }
    }

    /// Every gate into READY of a device, and why it is closed if it is. None of it is written down: it is what the machine
    /// would find now.
    ///
    /// # Errors
    /// [`AppError::NotFound`], or when the database cannot be read.
    pub async fn gates_of(&self, cpe: CpeId) -> Result<Vec<(Gate, Option<Reason>)>, AppError> {
        let live = self.load(cpe).await?;
        let context = self.context_of(&live, &Event::SessionReady);
        Ok(provisioning::gates(&live.device, &context, self.now()))
    }

    /// `None`: the row was changed by somebody else; load it again.
    async fn step(
        &self,
        live: &mut Live,
        event: &Event,
        recorded: Option<&Recorded>,
    ) -> Result<Option<Fed>, AppError> {
        let now = self.now();
        if let Event::OrderGiven { service_id, .. } = event
            && *service_id != live.row.service_id
        {
            let row: rows::Cpe = self.found(live.row.id, "CPE").await?;
            if row.service_id == *service_id {
                return Ok(None);
            }
            return Err(AppError::Conflict(
                "The CPE left its service or came under one while this was ordered; nothing was ordered."
                    .to_owned(),
            ));
        }
        if let Some(claim) = recorded.and_then(|recorded| recorded.claim.as_ref()) {
            claim.still_holds(&live.row)?;
        }
        let mut context = self.context_of(live, event);
        let mut step = provisioning::step(&live.device, event, &context, now);
        let mut credentials = None;
        if step.effects.contains(&Effect::MakeCredentials) && live.credentials.is_none() {
            // The machine cannot make secrets, being pure. It is asked again with them in hand, so that the session
            // that is open goes on.
            credentials = Some(ownership_credentials(live.row.id)?);
            context.credentials.clone_from(&credentials);
            step = provisioning::step(&live.device, event, &context, now);
        }
        let next = next_of(&step.effects);
        let (was, state, taken) = (live.device.state(), step.next.state(), self.to_record(live, &step));
        let (write, device) = self.write_of(live, event, step, credentials.as_ref(), recorded, now)?;
        if let Some(write) = write {
            let (urgent, lessons) = (write.is_urgent(), write.learned.clone());
            let (row, record) = match self.store().write(move |tx| Box::pin(apply(tx, write))).await {
                Ok(Applied::Stored(row, record)) => (*row, record),
                Ok(Applied::FiredElsewhere) => return Ok(Some(Fed { next: None })),
                Ok(Applied::NotAsRead(Guarded::NotFound)) => {
                    return Err(AppError::NotFound(format!("CPE {} is gone.", live.row.id)));
                }
                Ok(Applied::NotAsRead(_)) | Err(AppError::Store(StoreError::Overtaken { .. })) => {
                    return Ok(None);
                }
                Err(other) => return Err(other),
            };
            if row.service_id != live.row.service_id {
                live.intents = self.intents_of(row.service_id).await?;
            }
            (live.row, live.serials) = (row, None);
            if record.is_some() {
                (live.opens, live.record) = (None, record);
            }
            if matches!(event, Event::OrderGiven { .. }) {
                live.orders = self.open_orders(live.row.id).await?;
            }
            if credentials.is_some() {
                live.credentials = credentials;
            }
            self.bus().say(Change::Cpe(live.row.id));
            if let Some(service) = live.row.service_id {
                self.bus().say(Change::Service(service));
            }
            if was != state {
                tracing::info!(cpe = %live.row.id, serial = ?live.row.serial_number, from = %was, to = %state,
                    reason = ?live.row.reason_text, "device changed state");
            }
            lessons.iter().for_each(|lesson| self.live().lessons().taught(lesson));
            if urgent {
                self.wake_worker();
            }
        }
        self.record_step(live, event, &context, taken, now).await;
        live.device = device;
        Ok(Some(Fed { next }))
    }

    /// What has to be stored for this step, if anything.
    fn write_of(
        &self,
        live: &Live,
        event: &Event,
        step: Step,
        credentials: Option<&OwnershipCredentials>,
        recorded: Option<&Recorded>,
        now: UtcMs,
    ) -> Result<(Option<Write>, Device), AppError> {
        let mut orders = Orders::of(&step.effects, live, &step.next, now);
        if let Event::TimerFired(timer) = event
            && !orders.start_timers.iter().any(|(name, _)| name == timer.as_str())
        {
            // A timer stays due until its step is stored; this is that step.
            orders.stop_timers.push(timer.as_str().to_owned());
        }
        let told = !step.transitions.is_empty() || !step.reasons.is_empty() || recorded.is_some();
        if !told && credentials.is_none() && orders.is_empty() && live.device.is_durably(&step.next) {
            return Ok((None, step.next));
        }
        let durable = step.next.durable();
        let mut row = live.row.clone();
        if let Some((confirmed, claimed)) = live.serials {
            (row.pon_serial, row.claimed_serial) = (confirmed, claimed);
        }
        fill_row(&mut row, &durable)?;
        if let Some(credentials) = credentials {
            row.auth_username = Some(credentials.username.clone());
        }
        // A serial number alone puts nobody under a service: it counts when the OLT or an operator confirms it.
        let link_to = durable
            .link
            .as_ref()
            .filter(|link| link.confirmed())
            .and_then(provisioning::Link::service)
            .filter(|service| live.row.service_id != Some(*service));
        let service = link_to.or(live.row.service_id);
        // A device that was announced and has not spoken yet is awaited, not strange.
        let awaited = durable.state() == State::Discovered && service.is_some();
        row.quarantine = service.is_none() || (durable.quarantined() && !awaited);
        let entry = |reason: &Reason, kind: &str, from: Option<State>, to: Option<State>, at: UtcMs| {
            rows::TimelineEntry {
                at,
                kind: kind.to_owned(),
                service_id: service,
                cpe_id: Some(live.row.id),
                from_state: from.map(|s| s.as_str().to_owned()),
                to_state: to.map(|s| s.as_str().to_owned()),
                severity: severity(reason),
                code: reason.code.as_str().to_owned(),
                text: reason.text.clone(),
                next_text: reason.next.clone(),
                actor: Actor::System("provisioning").label(),
                facts: serde_json::to_value(&reason.facts).unwrap_or_default(),
                ..Default::default()
            }
        };
        let firmware = super::firmware::met(&live.row, &row, &step.reasons, now);
        let changes =
            step.transitions.iter().map(|t| entry(&t.reason, "state", Some(t.from), Some(t.to), t.at));
        let order = recorded.map(|recorded| recorded.entry.clone());
        // Machines tell reasons and changes of state apart, and a timeline tells what comes first: the work that was
        // done is why the state could change.
        let (done, others): (Vec<&Reason>, Vec<&Reason>) =
            step.reasons.iter().partition(|reason| reason.code == ReasonCode::StepDone);
        let reason = |r: &Reason| entry(r, "reason", None, None, now);
        let timeline = order
            .into_iter()
            .chain(done.into_iter().map(reason))
            .chain(changes)
            .chain(others.into_iter().map(reason))
            .collect();
        let sealed = match credentials {
            Some(credentials) => Some(Secret::new(
                serde_json::to_string(credentials)
                    .map_err(|e| AppError::Internal(format!("credentials: {e}")))?,
            )),
            None => None,
        };
        let unlink_from = live.row.service_id.filter(|_| matches!(event, Event::Released { .. }));
        let moves = link_to.is_some() || unlink_from.is_some();
        let became_active = live.device.state() != State::Active && step.next.state() == State::Active;
        let write = Write {
            step: cpes::CpeStep {
                cpe: row,
                was: Some(Box::new(live.row.clone())),
                credentials: sealed,
                timeline,
                withdraw: withdrawn(&live.device, &step.next, moves, &orders.evidence),
                evidence: orders.evidence,
                parameters: orders.parameters,
                forget: orders.forget,
                orders: orders.news,
                faults: orders.faults,
                connection_requests: Vec::new(),
                start_timers: orders.start_timers,
                stop_timers: orders.stop_timers,
                jobs: orders.jobs,
            },
            learned: orders.learned,
            firmware,
            link_to,
            activate: service.filter(|_| became_active),
            unlink_from,
            audit: recorded.map(|recorded| recorded.audit.clone()),
            order: recorded.and_then(|recorded| recorded.order.clone()),
            claim: recorded.and_then(|recorded| recorded.claim.clone()),
            session: live.opens.clone(),
            fired: match event {
                Event::TimerFired(timer) => Some(timer.as_str().to_owned()),
                _ => None,
            },
            now,
        };
        Ok((Some(write), step.next))
    }

    /// What a service should be, with its secrets.
    pub(crate) async fn intents_of(&self, service: Option<ServiceId>) -> Result<Option<Intents>, AppError> {
        match service {
            Some(service) => Self::intents_in(self.store(), service).await,
            None => Ok(None),
        }
    }

    /// The same, as a unit of work sees them.
    pub(crate) async fn intents_in(
        db: &store::Db,
        service: types::ServiceId,
    ) -> Result<Option<Intents>, AppError> {
        let found = services::intents(db, service).await?;
        if found.is_empty() {
            return Ok(None);
        }
        let mut intents = Intents::default();
        for intent in found {
            let body = &intent.body;
            intents.version += u64::try_from(intent.intent_version).unwrap_or(0);
            let unreadable = |error: serde_json::Error| {
                AppError::Internal(format!(
                    "the {} intent of service {service} cannot be read: {error}",
                    intent.layer
                ))
            };
            match intent.layer {
                store::Layer::Internet => {
                    intents.internet = Some(serde_json::from_str(body.expose()).map_err(unreadable)?);
                }
                store::Layer::Access => {
                    intents.access = Some(serde_json::from_str(body.expose()).map_err(unreadable)?);
                }
                store::Layer::Core | store::Layer::Extras => {}
            }
        }
        Ok(Some(intents))
    }
}

/// Layers whose evidence proves nothing after this step: what was in force is not any more (written to, drifted, reset),
/// or the device moves from one service to another, and nobody reads there what the one before had. A layer that was
/// looked at anew says all there is to say about it: what it no longer names is gone too.
fn withdrawn(before: &Device, after: &Device, moves: bool, fresh: &[rows::EvidenceItem]) -> Vec<String> {
    let mut layers = Vec::new();
    if before.ownership.confirmed_at.is_some() && after.ownership.confirmed_at.is_none() {
        layers.push(Layer::Core);
    }
    for layer in [Layer::Internet, Layer::Access, Layer::Extras] {
        let lost = before.in_force(layer).is_some() && after.in_force(layer).is_none();
        if moves || lost || fresh.iter().any(|item| item.layer == layer.as_str()) {
            layers.push(layer);
        }
    }
    let mut layers: Vec<String> = layers.into_iter().map(|layer| layer.as_str().to_owned()).collect();
    // By what it was let in then says nothing of who it is now.
    if moves || (before.ownership.confirmed_at.is_some() && after.ownership.confirmed_at.is_none()) {
        layers.push(super::confirm::IDENTITY.to_owned());
    }
    layers
}

fn next_of(effects: &[Effect]) -> Option<Next> {
    effects.iter().find_map(|effect| match effect {
        Effect::Request(request) => Some(Next::Request(request.clone())),
        Effect::FinishSession => Some(Next::Done),
        _ => None,
    })
}

fn severity(reason: &Reason) -> store::Severity {
    match reason.severity {
        provisioning::Severity::Ok => store::Severity::Ok,
        provisioning::Severity::Info => store::Severity::Info,
        provisioning::Severity::Wait => store::Severity::Wait,
        provisioning::Severity::Warn => store::Severity::Warn,
        provisioning::Severity::Bad => store::Severity::Bad,
    }
}

pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}

/// Columns that lists filter and sort by, taken from the machine.
fn fill_row(row: &mut rows::Cpe, device: &Device) -> Result<(), AppError> {
    row.state = device.state().as_str().to_owned();
    row.state_since = device.since;
    if let Some(reason) = &device.reason {
        row.reason_code = reason.code.as_str().to_owned();
        row.reason_text = reason.text.clone();
        row.reason_next = reason.next.clone();
    }
    row.quarantine = device.quarantined();
    let identity = &device.identity;
    if !identity.serial_number.is_empty() {
        row.manufacturer = short(&identity.manufacturer);
        row.model = short(if identity.model.is_empty() { &identity.product_class } else { &identity.model });
        row.hardware_version = short(&identity.hardware_version);
        row.software_version = short(&identity.software_version);
        row.data_model = match identity.root.as_str() {
            "InternetGatewayDevice" => "tr098".to_owned(),
            "Device" => "tr181".to_owned(),
            _ => String::new(),
        };
    }
    let profile = device.profile.as_ref();
    row.profile_id = profile.map(|profile| profile.id.clone());
    row.profile_known = profile.map(|profile| profile.known.as_str().to_owned()).unwrap_or_default();
    row.profile_at = profile.map(|profile| profile.at).filter(|at| at.0 > 0);
    row.family_refused = device.refused_family.as_ref().map(|refused| short(&refused.why));
    row.next_attempt_at = device.next_attempt_at;
    row.last_inform_at = device.last_inform_at;
    row.next_inform_by = device.next_inform_by;
    row.inform_interval_s = device.inform_interval_s.map(i64::from);
    row.connection_request_url = device.connection.url.as_deref().map(short);
    if let Some(peer) = &device.connection.peer {
        row.peer_address = short(peer);
    }
    row.machine = RawJson::of(device).map_err(|error| {
        AppError::Internal(format!("the state of CPE {} cannot be stored: {error}", row.id))
    })?;
    Ok(())
}

/// What the effects of a step leave in the database.
#[derive(Default)]
struct Orders {
    evidence: Vec<rows::EvidenceItem>,
    parameters: Vec<rows::CpeParameter>,
    forget: Vec<(String, UtcMs)>,
    news: Vec<store::orders::News>,
    faults: Vec<rows::CpeFault>,
    learned: Vec<rows::LearnedFact>,
    start_timers: Vec<(String, UtcMs)>,
    stop_timers: Vec<String>,
    jobs: Vec<NewJob>,
}

impl Orders {
    fn is_empty(&self) -> bool {
        self.evidence.is_empty()
            && self.parameters.is_empty()
            && self.forget.is_empty()
            && self.news.is_empty()
            && self.faults.is_empty()
            && self.learned.is_empty()
            && self.start_timers.is_empty()
            && self.stop_timers.is_empty()
            && self.jobs.is_empty()
    }

    fn of(effects: &[Effect], live: &Live, next: &Device, now: UtcMs) -> Orders {
        let told_at = |key: &str| next.orders.iter().find(|order| order.key == key)?.sent_at;
        let (row, cpe_id) = (&live.row, live.row.id);
        let mut orders = Orders::default();
        for effect in effects {
            match effect {
                Effect::RequestConnection => orders.jobs.push(NewJob {
                    kind: CONNECTION_REQUEST.to_owned(),
                    payload: serde_json::json!({ "cpe": cpe_id }),
                    max_attempts: 5,
                    ..NewJob::default()
                }),
                Effect::StartTimer { timer, at } => {
                    orders.stop_timers.retain(|name| name != timer.as_str());
                    orders.start_timers.push((timer.as_str().to_owned(), *at));
                }
                Effect::StopTimer { timer } => {
                    orders.start_timers.retain(|(name, _)| name != timer.as_str());
                    orders.stop_timers.push(timer.as_str().to_owned());
                }
                Effect::RecordEvidence(evidence) => orders.evidence.push(rows::EvidenceItem {
                    cpe_id,
                    layer: evidence.layer.as_str().to_owned(),
                    setting: evidence.setting.clone(),
                    wanted: short(&evidence.wanted),
                    observed: short(&evidence.observed),
                    verified: evidence.verified,
                    at: now,
                    source: match evidence.proof {
                        Proof::ReadBack => "read_back",
                        Proof::Effect => "effect",
                        Proof::Accepted => "accepted",
                        Proof::Missing => "missing",
                    }
                    .to_owned(),
                }),
                Effect::RecordObserved(values) => {
                    orders.parameters.extend(values.iter().map(|value| rows::CpeParameter {
                        cpe_id,
                        path: short(&value.path),
                        value: value.value.clone(),
                        kind: value.kind.xsd().to_owned(),
                        writable: None,
                        read_at: now,
                        source: String::new(),
                    }));
                }
                Effect::RecordRefreshed(values) => {
                    orders.parameters.extend(values.iter().map(|value| rows::CpeParameter {
                        cpe_id,
                        path: short(&value.path),
                        value: value.value.clone().unwrap_or_default(),
                        kind: value.kind.xsd().to_owned(),
                        writable: value.writable,
                        read_at: now,
                        source: String::new(),
                    }));
                }
                Effect::ForgetBelow { path, before } => orders.forget.push((path.clone(), *before)),
                Effect::RecordOrder(news) => {
                    let told = told_at(&news.key);
                    orders.news.push(super::orders::for_the_record(news, told, now));
                }
                Effect::RecordFault(fault) => orders.faults.push(rows::CpeFault {
                    cpe_id,
                    at: now,
                    class: fault.class.as_str().to_owned(),
                    code: i64::from(fault.code.unwrap_or(0)),
                    text: short(&fault.text),
                    path: fault.path.as_deref().map(short).unwrap_or_default(),
                    rpc: fault.rpc.clone().unwrap_or_default(),
                    model: row.model.clone(),
                    software_version: row.software_version.clone(),
                    reason_code: fault.reason_code.clone(),
                    parameter: short(&pattern_of(fault.path.as_deref().unwrap_or_default())),
                    ..Default::default()
                }),
                Effect::Learn(fact) => orders.learned.push(rows::LearnedFact {
                    oui: row.oui.clone(),
                    product_class: row.product_class.clone(),
                    software_version: row.software_version.clone(),
                    path: short(&fact.path),
                    cpe_id,
                    fact: short(&fact.fact),
                    at: now,
                }),
                Effect::Request(_) | Effect::FinishSession | Effect::MakeCredentials => {}
            }
        }
        orders
    }
}

/// One unit of work: the device, its history, its evidence and its orders become durable together.
async fn apply(tx: &Tx, write: Write) -> Result<Applied, AppError> {
    let cpe = write.step.cpe.id;
    if let Some(fired) = &write.fired {
        let timers = cpes::timers(tx, cpe).await?;
        if !timers.iter().any(|timer| timer.timer == *fired && timer.at <= write.now) {
            return Ok(Applied::FiredElsewhere);
        }
    }
    let guarded = cpes::save_step(tx, &write.step).await?;
    if !guarded.is_changed() {
        return Ok(Applied::NotAsRead(guarded));
    }
    let session = match &write.session {
        Some(session) => Some(cpes::begin_session(tx, session).await?),
        None => None,
    };
    if let Some(order) = &write.order {
        order.insert(tx).await?;
    }
    if let Some(claim) = &write.claim {
        claim.keep(tx).await?;
    }
    for fact in &write.learned {
        cpes::learn(tx, fact).await?;
    }
    if let Some(firmware) = &write.firmware
        && !firmwares::meet(tx, firmware).await?
    {
        tracing::warn!(model = ?firmware.product_class, firmware = ?firmware.software_version,
            "{} firmwares of CPEs are known; this one gets no page of its own", firmwares::MOST_FIRMWARES);
    }
    if let Some(audit) = &write.audit {
        tx.insert(audit).await?;
    }
    if let Some(service) = write.unlink_from {
        services::link_cpe(tx, service, None).await?;
    }
    if let Some(service) = write.link_to {
        // Two that are claimed for it at once must not both find it free.
        services::take(tx, service).await?;
        let row: rows::Service = tx.require(service).await?;
        // It may have ended since somebody said so, or since its ONU was looked at.
        super::commands::not_over(&row)?;
        let before: Option<rows::Cpe> = match row.cpe_id.filter(|other| *other != cpe) {
            Some(other) => tx.get(other).await?,
            None => None,
        };
        if let Some(before) = before.as_ref().filter(|before| !cpes::is_placeholder(before)) {
            // Nobody is pushed out of a service by another device.
            return Err(AppError::Conflict(format!(
                "Service {} has the CPE {} already; release that one first.",
                row.code, before.serial_number
            )));
        }
        services::link_cpe(tx, service, Some(cpe)).await?;
        if let Some(serial) = claim_borne_out(tx, &write.step.cpe, service).await? {
            cpes::set_pon_serial(tx, cpe, serial).await?.or_overtaken("the CPE")?;
        }
        if let Some(announced) = before {
            // The row that an authorisation made for whoever would come: it has come under a row of its own.
            timeline::hand_over(tx, announced.id, cpe).await?;
            let entry = rows::TimelineEntry {
                at: write.now,
                kind: "report".to_owned(),
                service_id: Some(service),
                cpe_id: Some(cpe),
                code: "placeholder_merged".to_owned(),
                text: format!(
                    "The CPE that was announced for {} when its ONU was authorised is this one; what was recorded of it \
                     before belongs to it.",
                    announced.pon_serial.map_or_else(|| row.code.clone(), |serial| serial.to_string())
                ),
                actor: Actor::System("provisioning").label(),
                facts: serde_json::json!({ "announced_as": announced.id }),
                ..Default::default()
            };
            timeline::append(tx, &entry).await?;
            tx.delete::<rows::Cpe>(announced.id).await?;
        }
    }
    if let Some(service) = write.activate {
        let row: rows::Service = tx.require(service).await?;
        if matches!(row.state, ServiceState::Reserved | ServiceState::Inactive) {
            services::transition(tx, service, row.state, row.version, ServiceState::Active, write.now)
                .await?
                .or_overtaken("the service")?;
        }
    }
    let row = if write.link_to.is_some() || write.unlink_from.is_some() || write.step.credentials.is_some() {
        // Read again: linking counts the version up too, and what is sealed is written apart.
        tx.require::<rows::Cpe>(cpe).await?
    } else {
        rows::Cpe { version: write.step.cpe.version + 1, ..write.step.cpe }
    };
    Ok(Applied::Stored(Box::new(row), session))
}

/// The PON serial number that a device claims, if it is the one of the service whose CPE somebody else says it is.
async fn claim_borne_out(tx: &Tx, row: &rows::Cpe, service: ServiceId) -> Result<Option<Serial>, StoreError> {
    let Some(serial) = row.claimed_serial.filter(|_| row.pon_serial.is_none()) else { return Ok(None) };
    let onu = onus::by_serial(tx, serial).await?;
    let named = onu.is_some_and(|onu| onu.service_id == Some(service))
        || services::for_serial(tx, serial).await?.iter().any(|one| one.id == service);
    Ok(named.then_some(serial))
}
