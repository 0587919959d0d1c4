//! Everything the machine remembers about one device.

use crate::{
    AuthLevel, ChosenWan, ConnectionRequestOutcome, Link, OpenOrder, Reason, WanQuestion, Wish,
    session::{PendingAdd, Rollback, Session},
};
use profiles::cpe::Known;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use types::{FaultClass, UtcMs};

/// Where a device stands on its way to service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// The ONU is known; its CPE has never spoken to us.
    Discovered,
    /// It spoke; it is not ours yet.
    Informed,
    /// It is ours; its clock is unknown or wrong.
    Owned,
    /// The clock is right; a gate is closed.
    TimeSynced,
    /// Allowed to be configured.
    Ready,
    /// A plan is being carried out.
    Provisioning,
    /// The next step needs a session and none could be forced.
    WaitingInform,
    /// Verified on the device.
    Active,
    /// Soft failure: back-off, then through the gates again.
    Failed,
}

impl State {
    /// Every state, in order of progress.
    pub const ALL: [State; 9] = [
        State::Discovered,
        State::Informed,
        State::Owned,
        State::TimeSynced,
        State::Ready,
        State::Provisioning,
        State::WaitingInform,
        State::Active,
        State::Failed,
    ];

    /// `WAITING_INFORM`: for rows, API and pages.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Discovered => "DISCOVERED",
            State::Informed => "INFORMED",
            State::Owned => "OWNED",
            State::TimeSynced => "TIME_SYNCED",
            State::Ready => "READY",
            State::Provisioning => "PROVISIONING",
            State::WaitingInform => "WAITING_INFORM",
            State::Active => "ACTIVE",
            State::Failed => "FAILED",
        }
    }

    /// Back from [`State::as_str`].
    pub fn parse(text: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of the configuration with an intent, a hash and evidence of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer {
    /// Ownership, time, identity.
    Core,
    /// WAN towards the internet.
    Internet,
    /// Wi-Fi, LAN, DHCP server.
    Access,
    /// IPTV, guest Wi-Fi, VoIP.
    Extras,
}

impl Layer {
    /// Stable word for rows and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Layer::Core => "core",
            Layer::Internet => "internet",
            Layer::Access => "access",
            Layer::Extras => "extras",
        }
    }

    /// For sentences.
    pub fn title(self) -> &'static str {
        match self {
            Layer::Core => "Core",
            Layer::Internet => "Internet",
            Layer::Access => "Access",
            Layer::Extras => "Extras",
        }
    }
}

/// Plain data; holds no secret in the clear, only keyed fingerprints. Stored as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub(crate) state: State,
    /// In this state since.
    pub since: UtcMs,
    /// The last word on this device, for people.
    pub reason: Option<Reason>,
    /// Which service it belongs to.
    pub link: Option<Link>,
    /// Who it says it is.
    pub identity: Identity,
    /// What its service was to be when it was last told, or when its last attempt went on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wish: Option<Wish>,
    /// Which profile speaks its dialect.
    pub profile: Option<ProfileRef>,
    /// The family that an operator set for its model and that it does not bear out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_family: Option<RefusedFamily>,
    /// What is known of its clock.
    pub clock: ClockFacts,
    /// Our own management settings on it.
    pub ownership: Ownership,
    /// Connection requests.
    pub connection: ConnectionFacts,
    /// What was applied, per layer.
    pub layers: BTreeMap<Layer, LayerRecord>,
    /// Objects on the device that carry our service, by slot (`container`, `connection`, `policy_route` …).
    pub objects: BTreeMap<String, StoredObject>,
    /// Several WANs could carry the service: which one is a question for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wan_question: Option<WanQuestion>,
    /// The answer, until a plan was made with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_wan: Option<ChosenWan>,
    /// An AddObject left and its answer is not in yet.
    pub pending_add: Option<PendingAdd>,
    /// Failures in a row.
    pub attempts: u32,
    /// Layers that are not tried again before something changes, while another one that failed is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parked: BTreeMap<Layer, FailedLayer>,
    /// FAILED does nothing before.
    pub next_attempt_at: Option<UtcMs>,
    /// The last attempt began.
    pub last_attempt_began_at: Option<UtcMs>,
    /// The attempt under way: the durable cursor.
    pub run: Option<Run>,
    /// An operator's stop.
    pub hold: Option<Hold>,
    /// The last Inform came.
    pub last_inform_at: Option<UtcMs>,
    /// The next periodic one is expected by.
    pub next_inform_by: Option<UtcMs>,
    /// PeriodicInformInterval as last read back or set, seconds.
    pub inform_interval_s: Option<u32>,
    /// What to do when the session is over.
    pub follow_up: FollowUp,
    /// WAITING_INFORM resumes here.
    pub resume: Option<State>,
    /// ACTIVE was last compared with the intent.
    pub drift_checked_at: Option<UtcMs>,
    /// The ONU left and came back this often since the last ACTIVE.
    pub flaps: u32,
    /// Answers of this very unit that beat the profile: path → fact.
    pub learned: BTreeMap<String, String>,
    /// Open device orders, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OpenOrder>,
    /// The open session. Not needed after a crash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<Box<Session>>,
}

impl Device {
    /// A device nobody has heard of yet.
    pub fn new(now: UtcMs) -> Self {
        Device {
            state: State::Discovered,
            since: now,
            reason: None,
            link: None,
            identity: Identity::default(),
            wish: None,
            profile: None,
            refused_family: None,
            clock: ClockFacts::default(),
            ownership: Ownership::default(),
            connection: ConnectionFacts::default(),
            layers: BTreeMap::new(),
            objects: BTreeMap::new(),
            wan_question: None,
            chosen_wan: None,
            pending_add: None,
            attempts: 0,
            parked: BTreeMap::new(),
            next_attempt_at: None,
            last_attempt_began_at: None,
            run: None,
            hold: None,
            last_inform_at: None,
            next_inform_by: None,
            inform_interval_s: None,
            follow_up: FollowUp::Nothing,
            resume: None,
            drift_checked_at: None,
            flaps: 0,
            learned: BTreeMap::new(),
            orders: Vec::new(),
            session: None,
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        self.state
    }

    /// A CWMP session is open, as far as the machine knows.
    pub fn in_session(&self) -> bool {
        self.session.is_some()
    }

    /// Not linked to exactly one service: it is told nothing.
    pub fn quarantined(&self) -> bool {
        self.link.as_ref().and_then(Link::service).is_none()
    }

    /// What must survive a crash: everything but the open session.
    pub fn durable(&self) -> Device {
        Device { session: None, ..self.clone() }
    }

    /// Nothing that must survive a crash is different.
    pub fn is_durably(&self, other: &Device) -> bool {
        let Device {
            state,
            since,
            reason,
            link,
            identity,
            wish,
            profile,
            refused_family,
            clock,
            ownership,
            connection,
            layers,
            objects,
            wan_question,
            chosen_wan,
            pending_add,
            attempts,
            parked,
            next_attempt_at,
            last_attempt_began_at,
            run,
            hold,
            last_inform_at,
            next_inform_by,
            inform_interval_s,
            follow_up,
            resume,
            drift_checked_at,
            flaps,
            learned,
            orders,
            session: _,
        } = self;
        *state == other.state
            && *since == other.since
            && *reason == other.reason
            && *link == other.link
            && *identity == other.identity
            && *wish == other.wish
            && *profile == other.profile
            && *refused_family == other.refused_family
            && *clock == other.clock
            && *ownership == other.ownership
            && *connection == other.connection
            && *layers == other.layers
            && *objects == other.objects
            && *wan_question == other.wan_question
            && *chosen_wan == other.chosen_wan
            && *pending_add == other.pending_add
            && *attempts == other.attempts
            && *parked == other.parked
            && *next_attempt_at == other.next_attempt_at
            && *last_attempt_began_at == other.last_attempt_began_at
            && *run == other.run
            && *hold == other.hold
            && *last_inform_at == other.last_inform_at
            && *next_inform_by == other.next_inform_by
            && *inform_interval_s == other.inform_interval_s
            && *follow_up == other.follow_up
            && *resume == other.resume
            && *drift_checked_at == other.drift_checked_at
            && *flaps == other.flaps
            && *learned == other.learned
            && *orders == other.orders
    }

    /// Which layers differ from this intent, by hash, or are not verified.
    pub(crate) fn layer_is_current(&self, layer: Layer, hash: Option<&str>) -> bool {
        hash.is_some() && self.in_force(layer) == hash
    }

    /// Fingerprint of the intent of this layer that the device was seen to carry out; `None` while a write is out
    /// whose effect was not read back, and after a factory reset, a release or a drift.
    pub fn in_force(&self, layer: Layer) -> Option<&str> {
        let record = self.layers.get(&layer)?;
        record.applied_hash.as_deref().filter(|_| record.verified_at.is_some() && !record.drifted)
    }
}

/// Identity and firmware as the device tells them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct Identity {
    pub manufacturer: String,
    pub oui: String,
    pub product_class: String,
    pub serial_number: String,
    pub model: String,
    pub hardware_version: String,
    pub software_version: String,
    /// `InternetGatewayDevice` (TR-098) or `Device` (TR-181).
    pub root: String,
}

/// The profile in use and how sure it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRef {
    /// Profile id.
    pub id: String,
    /// How it is known to be the one.
    #[serde(default)]
    pub known: Known,
    /// It was chosen for this firmware; another one is probed again.
    pub software_version: String,
    /// The nodes that decided it.
    pub evidence: Vec<String>,
    /// Only to be read, because of this.
    #[serde(default)]
    pub read_only: Option<String>,
    /// Chosen; zero = before that was written down.
    #[serde(default)]
    pub at: UtcMs,
}

impl ProfileRef {
    /// It may turn out otherwise once the device shows more: nothing on it speaks for the family yet.
    pub fn is_provisional(&self) -> bool {
        let unseen = self.known == Known::Override && self.evidence.is_empty() && self.read_only.is_none();
        unseen || self.known.is_provisional()
    }
}

/// An operator's word that the device does not bear out: what it has decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFamily {
    /// Id of the family.
    pub family: String,
    /// Why not, as a clause about the device ("it has none of …").
    pub why: String,
    /// Found out.
    pub at: UtcMs,
}

/// What is known of the device's clock.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClockFacts {
    /// As last reported, verbatim.
    pub reported: String,
    /// The year in it; `None` = no time at all.
    pub year: Option<i32>,
    /// The year reached the floor at the last look.
    pub valid: bool,
    /// NTP was set this often since the clock was last right.
    pub ntp_pushes: u32,
    /// To these servers; others are worth another try.
    pub ntp_servers: Vec<String>,
    /// The last time it refused that, with this fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ntp_refused: Option<String>,
    /// An operator lets it pass.
    pub overridden_by: Option<String>,
}

/// Our own management settings on the device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ownership {
    /// Keyed fingerprints of the secrets that were accepted, by variable of the profile.
    pub secrets: BTreeMap<String, String>,
    /// Written.
    pub written_at: Option<UtcMs>,
    /// Everything readable was read back as written.
    pub confirmed_at: Option<UtcMs>,
    /// An Inform arrived that was authenticated with them.
    pub proven_at: Option<UtcMs>,
    /// Credentials were last repaired, or that was tried (once a day at most).
    pub repaired_at: Option<UtcMs>,
    /// It was done then: the device took them.
    pub repaired: bool,
    /// Write the connection-request credentials again at the next chance (401).
    pub repair_due: bool,
    /// How far the last Inform proved who it is.
    pub auth: AuthLevel,
    /// Somebody without our credentials said `0 BOOTSTRAP` since the last Inform that counted.
    pub reset_claimed: bool,
    /// The factory state was seen since the credentials were proven: a first contact again.
    pub first_contact: bool,
    /// The device rounds or clamps its inform interval, and that is near enough, or accepted of its model.
    pub kept_interval: Option<KeptInterval>,
    /// A leaf that the device does not keep.
    pub not_kept: Vec<NotKept>,
}

/// A device that keeps another inform interval than it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptInterval {
    /// Written, seconds.
    pub written_s: u32,
    /// Read back, seconds.
    pub kept_s: u32,
}

/// A management setting that a device took and does not keep, or refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotKept {
    /// The leaf.
    pub path: String,
    /// What was written; dots for a secret.
    pub wanted: String,
    /// Sessions in which it was not kept.
    pub sessions: u32,
    /// The last of them.
    pub at: UtcMs,
    /// It was refused, with this fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Connection requests to the device.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConnectionFacts {
    /// ConnectionRequestURL as last told.
    pub url: Option<String>,
    /// That one is told since then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_since: Option<UtcMs>,
    /// Source address of the last Inform.
    pub peer: Option<String>,
    /// One is under way since.
    pub outstanding_since: Option<UtcMs>,
    /// The last one was sent.
    pub last_at: Option<UtcMs>,
    /// What became of it.
    pub last_outcome: Option<ConnectionRequestOutcome>,
    /// The last one was made only to see whether the device can be reached, and nothing else was waiting for it: what becomes
    /// of it, however late that is known, changes no state and has nothing written. It says nothing of what comes after it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub check: bool,
    /// 401 since: forcing is off until the credentials are repaired.
    pub unauthorized_since: Option<UtcMs>,
}

/// What was applied for one layer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerRecord {
    /// Fingerprint of the intent that was applied.
    pub applied_hash: Option<String>,
    /// Its version.
    pub applied_version: u64,
    /// Written completely.
    pub applied_at: Option<UtcMs>,
    /// Seen in force.
    pub verified_at: Option<UtcMs>,
    /// What was seen, in words.
    pub summary: String,
    /// The device no longer matches, or was written to since it was last seen to.
    pub drifted: bool,
    /// Keyed fingerprints of the secrets last accepted, by what they are for.
    pub secrets: BTreeMap<String, String>,
}

/// An object on the device that carries our service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Instance path with its trailing dot.
    pub path: String,
    /// We created it (false: it was there and we use it).
    pub created: bool,
    /// Stored.
    pub at: UtcMs,
    /// A factory reset came since: it counts only if it still looks like ours.
    pub stale: bool,
}

/// One attempt: the durable cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Run {
    /// Began.
    pub began_at: UtcMs,
    /// Layers this attempt works on.
    pub layers: Vec<Layer>,
    /// Steps done so far (AddObject, SetParameterValues calls that were read back).
    pub steps_done: u32,
    /// The step at the cursor, in words.
    pub at_step: String,
    /// The last write to the Internet layer: verification's grace window starts here.
    pub last_write_at: Option<UtcMs>,
    /// Looks at the connection that failed.
    pub checks: u32,
    /// Next look not before.
    pub next_check_at: Option<UtcMs>,
    /// Values before this run of what it changed on an object it did not create: path → value.
    pub before: BTreeMap<String, String>,
    /// WANs that carried traffic before this run wrote to any; `None` = it has not yet.
    pub working: Option<Vec<WorkingWan>>,
    /// Paths whose write was accepted, with the number of times: read back different too often, the device does
    /// not keep them.
    pub tries: BTreeMap<String, u32>,
    /// What was wanted of a layer when it was last planned, by fingerprint: what comes of the plan is booked on that.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub planned: BTreeMap<Layer, String>,
    /// Paths a write was sent for, whatever became of it.
    pub touched: BTreeSet<String>,
    /// Most parameters per call that this device took in this run.
    pub batch_limit: Option<u32>,
    /// A call was refused and nobody said because of which parameter: it is one of these, if it is one at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
    /// Undoing, because of this.
    pub rollback: Option<Rollback>,
    /// Layers that failed in this attempt. The others still come into force, as far as they can, before it ends.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<Layer, FailedLayer>,
}

/// The search for the one parameter that a device refuses without naming it, by halves, over as many calls and sessions
/// as it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Search {
    /// Paths among which it is. One that is accepted, or reads back as wanted, is none of them.
    pub suspects: BTreeSet<String>,
    /// What the run took in one call before.
    pub limit_before: Option<u32>,
    /// Most parameters that were accepted in one call since.
    pub accepted: u32,
}

/// Why a layer failed in an attempt that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedLayer {
    /// Why.
    pub why: Reason,
    /// Whose trouble it was.
    pub class: FaultClass,
    /// No retry before something changes.
    pub park: bool,
    /// Fingerprint of what was wanted; something else is worth another try.
    pub wanted: Option<String>,
    /// What was undone of it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<String>,
    /// It is counted among the failed attempts already.
    #[serde(default)]
    pub counted: bool,
    /// It failed in an attempt before this one and is left alone until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<UtcMs>,
}

impl Run {
    /// This path is part of a WAN that carried traffic before.
    pub fn is_of_working(&self, path: &str) -> bool {
        self.working.iter().flatten().any(|wan| wan.owns(path))
    }
}

/// A WAN that carried traffic before a run: what a failed run leaves as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WorkingWan {
    /// Its anchor.
    pub anchor: String,
    /// Instances that are its alone, its routing row among them.
    pub inside: BTreeSet<String>,
    /// Instances it is nested in.
    pub around: BTreeSet<String>,
    /// Tables in those that other WANs may live in as well.
    pub others: BTreeSet<String>,
}

impl WorkingWan {
    fn owns(&self, path: &str) -> bool {
        let within = |prefixes: &BTreeSet<String>| prefixes.iter().any(|prefix| path.starts_with(prefix));
        within(&self.inside) || (within(&self.around) && !within(&self.others))
    }
}

/// An operator's stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who.
    pub by: String,
    /// Since.
    pub since: UtcMs,
}

/// What to do when the session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowUp {
    /// Wait for whatever comes.
    #[default]
    Nothing,
    /// The next step needs a new session now.
    SeekSession,
}
