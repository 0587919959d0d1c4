//! The application itself: what it is made of, and what all its commands share.

use crate::{
    Actor, AppError, Beat, Bus, Loop,
    beats::Beats,
    cpe::{Challenged, LiveDevices, Recordings, RefusedLately},
    files::FileLog,
    oms::OltRegistry,
    ports::ConnectionRequester,
    secrets::random_secret,
    settings::{
        ACS_POLICY, AcsPolicy, ClockWaiver, FamilyOverride, KeptInterval, PolicyLimits, stored_intervals,
        stored_overrides, stored_waivers,
    },
    tries::Tries,
};
use profiles::cpe::ProfileSet;
use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
    time::Duration,
};
use store::{NumberedRecord, Slot, Store, rows, settings};
use tokio::sync::Notify;
use types::{Clock, Secret, UtcMs};

/// What an application is made of.
#[derive(Clone)]
pub struct AppParts {
    /// The database.
    pub store: Store,
    /// Where `now` comes from.
    pub clock: Arc<dyn Clock>,
    /// Calls CPEs.
    pub connection: Arc<dyn ConnectionRequester>,
    /// Name of this node in leases; unique among the nodes of an installation.
    pub node: String,
    /// Within what the ACS policy may be set.
    pub limits: PolicyLimits,
}

/// Use cases over one database. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: AppParts,
    profiles: Arc<ProfileSet>,
    bus: Bus,
    policy: RwLock<Arc<AcsPolicy>>,
    clock_waivers: RwLock<Arc<[ClockWaiver]>>,
    kept_intervals: RwLock<Arc<[KeptInterval]>>,
    family_overrides: RwLock<Arc<[FamilyOverride]>>,
    first_contact: RwLock<Option<Secret>>,
    settings_read_at: Mutex<UtcMs>,
    fingerprint_key: Secret,
    live: LiveDevices,
    recordings: Recordings,
    challenged: Challenged,
    refused_lately: RefusedLately,
    file_log: FileLog,
    olts: OltRegistry,
    tries: Tries,
    process: String,
    nobody_hash: OnceLock<String>,
    wake: Notify,
    heavy: tokio::sync::Semaphore,
    beats: Beats,
    requests: Mutex<u64>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "App({:?})", self.0.parts.store)
    }
}

impl App {
    /// Reads the settings and is ready. Nothing runs until [`App::run_workers`](crate::App::run_workers) is called.
    ///
    /// # Errors
    /// When settings in the database cannot be read.
    pub async fn new(parts: AppParts) -> Result<App, AppError> {
        let read_at = parts.clock.now();
        let (policy, unsafe_fields) = stored_policy(&parts.store).await?.made_safe(parts.limits, read_at);
        for wrong in unsafe_fields {
            tracing::warn!(
                field = %wrong.field,
                "the stored ACS policy is not used as it is: {} Save it anew under Settings, ACS policy.",
                wrong.message
            );
        }
        let clock_waivers = stored_waivers(&parts.store).await?.into();
        let kept_intervals = stored_intervals(&parts.store).await?.into();
        let family_overrides = stored_overrides(&parts.store).await?.into();
        let fingerprint_key = parts.store.derived_secret("device fingerprints");
        let first_contact = parts.store.secret(Slot::Setting(FIRST_CONTACT)).await?;
        let profiles = ProfileSet::builtin();
        let process = format!("{}/{}", parts.node, random_secret(8)?.expose());
        let app = App(Arc::new(Inner {
            parts,
            profiles,
            bus: Bus::default(),
            policy: RwLock::new(Arc::new(policy)),
            clock_waivers: RwLock::new(clock_waivers),
            kept_intervals: RwLock::new(kept_intervals),
            family_overrides: RwLock::new(family_overrides),
            first_contact: RwLock::new(first_contact),
            settings_read_at: Mutex::new(read_at),
            fingerprint_key,
            live: LiveDevices::default(),
            recordings: Recordings::default(),
            challenged: Challenged::default(),
            refused_lately: RefusedLately::default(),
            file_log: FileLog::default(),
            olts: OltRegistry::default(),
            tries: Tries::default(),
            process,
            nobody_hash: OnceLock::new(),
            wake: Notify::new(),
            heavy: tokio::sync::Semaphore::new(2),
            beats: Beats::default(),
            requests: Mutex::new(0),
        }));
        app.name_makers().await?;
        app.reload_recordings().await?;
        Ok(app)
    }

    /// When each loop that runs in this process last got round.
    pub fn beats(&self) -> Vec<Beat> {
        self.0.beats.all(self.now())
    }

    /// Loops are about to run in this process: a sign of life that is given before they do names them all the same, and
    /// one that never gets round is late in the end.
    pub fn will_run(&self, loops: &[Loop]) {
        for of in loops {
            self.beat(*of, Duration::ZERO);
        }
    }

    /// A loop got round without trouble, or starts; `pause` is what it waits before the next time.
    pub(crate) fn beat(&self, of: Loop, pause: Duration) {
        self.0.beats.note(of, self.now(), pause);
    }

    /// A loop was told to stop.
    pub(crate) fn beats_no_more(&self, of: Loop) {
        self.0.beats.forget(of);
    }

    /// The database, for read models.
    pub fn store(&self) -> &Store {
        &self.0.parts.store
    }

    /// The current time.
    pub fn now(&self) -> UtcMs {
        self.0.parts.clock.now()
    }

    /// Where changes are told.
    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }

    /// Every CPE dialect that is known.
    pub fn profiles(&self) -> Arc<ProfileSet> {
        Arc::clone(&self.0.profiles)
    }

    pub(crate) fn node(&self) -> &str {
        &self.0.parts.node
    }

    /// Name of this process, which no process before or after it has.
    pub(crate) fn process(&self) -> &str {
        &self.0.process
    }

    pub(crate) fn connection(&self) -> &dyn ConnectionRequester {
        &*self.0.parts.connection
    }

    pub(crate) fn live(&self) -> &LiveDevices {
        &self.0.live
    }

    pub(crate) fn file_log(&self) -> &FileLog {
        &self.0.file_log
    }

    pub(crate) fn refused_lately(&self) -> &RefusedLately {
        &self.0.refused_lately
    }

    pub(crate) fn challenged(&self) -> &Challenged {
        &self.0.challenged
    }

    pub(crate) fn olts(&self) -> &OltRegistry {
        &self.0.olts
    }

    pub(crate) fn tries(&self) -> &Tries {
        &self.0.tries
    }

    pub(crate) fn recordings(&self) -> &Recordings {
        &self.0.recordings
    }

    pub(crate) fn fingerprint_key(&self) -> &Secret {
        &self.0.fingerprint_key
    }

    pub(crate) fn first_contact_password(&self) -> Option<Secret> {
        self.0.first_contact.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_first_contact_password(&self, secret: Option<Secret>) {
        *self.0.first_contact.write().unwrap_or_else(PoisonError::into_inner) = secret;
    }

    /// The ACS policy in force.
    pub fn policy(&self) -> Arc<AcsPolicy> {
        Arc::clone(&self.0.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Models that are let pass without a right clock.
    pub fn clock_waivers(&self) -> Arc<[ClockWaiver]> {
        Arc::clone(&self.0.clock_waivers.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_clock_waivers(&self, waivers: Vec<ClockWaiver>) {
        *self.0.clock_waivers.write().unwrap_or_else(PoisonError::into_inner) = waivers.into();
    }

    /// Models that keep an inform interval of their own, accepted.
    pub fn kept_intervals(&self) -> Arc<[KeptInterval]> {
        Arc::clone(&self.0.kept_intervals.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_kept_intervals(&self, kept: Vec<KeptInterval>) {
        *self.0.kept_intervals.write().unwrap_or_else(PoisonError::into_inner) = kept.into();
    }

    /// Firmwares whose family an operator set.
    pub fn family_overrides(&self) -> Arc<[FamilyOverride]> {
        Arc::clone(&self.0.family_overrides.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_family_overrides(&self, overrides: Vec<FamilyOverride>) {
        *self.0.family_overrides.write().unwrap_or_else(PoisonError::into_inner) = overrides.into();
    }

    /// Within what the ACS policy may be set here.
    pub fn policy_limits(&self) -> PolicyLimits {
        self.0.parts.limits
    }

    pub(crate) fn set_policy(&self, policy: AcsPolicy) {
        *self.0.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    /// Reads the settings again if they were read a while ago: another node may have changed them. When they cannot be
    /// read, the ones in force stay.
    pub(crate) async fn fresh_settings(&self) {
        let now = self.now();
        {
            let mut read_at = self.0.settings_read_at.lock().unwrap_or_else(PoisonError::into_inner);
            if now >= *read_at && now.since(*read_at) < SETTINGS_AGE {
                return;
            }
            // Whoever comes next need not read too.
            *read_at = now;
        }
        if let Err(error) = self.reload_settings().await {
            tracing::error!(%error, "the settings cannot be read again; the ones in force stay");
        }
    }

    /// Reads again what another node may have changed.
    pub(crate) async fn reload_settings(&self) -> Result<(), AppError> {
        let stored = stored_policy(self.store()).await?;
        self.set_clock_waivers(stored_waivers(self.store()).await?);
        self.set_kept_intervals(stored_intervals(self.store()).await?);
        self.set_family_overrides(stored_overrides(self.store()).await?);
        self.set_policy(stored.made_safe(self.policy_limits(), self.now()).0);
        self.set_first_contact_password(self.store().secret(Slot::Setting(FIRST_CONTACT)).await?);
        self.reload_recordings().await
    }

    /// Tells the workers that there is something to do.
    pub(crate) fn wake_worker(&self) {
        self.0.wake.notify_waiters();
    }

    /// Ends when somebody rings after this was called.
    pub(crate) fn woken(&self) -> impl Future<Output = ()> {
        self.0.wake.notified()
    }

    /// A hash that belongs to nobody, so that an unknown name costs what a known one does.
    pub(crate) fn nobody_hash(&self) -> &str {
        self.0.nobody_hash.get_or_init(|| {
            let password = Secret::random(24).unwrap_or_default();
            crate::secrets::hash_password(&password).unwrap_or_default()
        })
    }

    /// Runs something that keeps a core busy, a few at a time, away from the threads that serve devices.
    pub(crate) async fn heavy<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AppError> + Send + 'static,
    ) -> Result<T, AppError> {
        let _permit = self.0.heavy.acquire().await.map_err(|e| AppError::Internal(e.to_string()))?;
        tokio::task::spawn_blocking(work).await.map_err(|e| AppError::Internal(e.to_string()))?
    }

    fn request_id(&self) -> String {
        let mut count = self.0.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *count += 1;
        format!("{}-{}-{count}", self.node(), self.now().0)
    }

    /// The row that a command is about.
    pub(crate) async fn found<R: NumberedRecord>(&self, id: R::Id, what: &str) -> Result<R, AppError>
    where
        R::Id: std::fmt::Display,
    {
        let text = id.to_string();
        self.store().get(id).await?.ok_or_else(|| AppError::NotFound(format!("There is no {what} {text}.")))
    }

    pub(crate) fn audit_row(
        &self,
        actor: &Actor,
        action: &str,
        subject: &str,
        before: Option<serde_json::Value>,
        after: Option<serde_json::Value>,
    ) -> rows::AuditEntry {
        rows::AuditEntry {
            at: self.now(),
            actor: actor.label(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            before,
            after,
            address: actor.address().unwrap_or_default().to_owned(),
            request_id: self.request_id(),
            ..Default::default()
        }
    }

    pub(crate) fn audit_row_from(
        &self,
        actor: &str,
        action: &str,
        subject: &str,
        address: Option<&str>,
    ) -> rows::AuditEntry {
        rows::AuditEntry {
            at: self.now(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            address: address.unwrap_or_default().to_owned(),
            request_id: self.request_id(),
            ..Default::default()
        }
    }
}

/// How old the settings in memory may be.
const SETTINGS_AGE: Duration = Duration::from_secs(10);

/// Name of the sealed setting with the shared first-contact password.
pub(crate) const FIRST_CONTACT: &str = "acs.first_contact_password";

async fn stored_policy(store: &Store) -> Result<AcsPolicy, AppError> {
    let Some(setting) = settings::get(store, ACS_POLICY).await? else { return Ok(AcsPolicy::default()) };
    serde_json::from_value(setting.value)
        .map_err(|error| AppError::Internal(format!("the stored ACS policy cannot be read: {error}")))
}
