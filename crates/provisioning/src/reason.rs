//! Every sentence an operator reads about a device: a stable code, what happened with the facts in it, and what
//! happens next.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use types::UtcMs;

/// Why a device is where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable code for filters, counts and the API.
    pub code: ReasonCode,
    /// The sentence.
    pub text: String,
    /// How bad it is.
    pub severity: Severity,
    /// What happens next, and by when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The facts of the sentence, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, String>,
}

/// How bad a reason is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good news.
    Ok,
    /// For the record.
    Info,
    /// Nothing is wrong; something has to happen first.
    Wait,
    /// Look when there is time.
    Warn,
    /// The customer has no service, or an operator is needed.
    Bad,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $severity:ident;)*) => {
        /// Stable reason codes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum ReasonCode {
            $($(#[$doc])* #[serde(rename = $text)] $name,)*
        }

        impl ReasonCode {
            /// Every code.
            pub const ALL: &[ReasonCode] = &[$(ReasonCode::$name,)*];

            /// The stable word.
            pub fn as_str(self) -> &'static str {
                match self { $(ReasonCode::$name => $text,)* }
            }

            /// How bad it usually is.
            pub fn severity(self) -> Severity {
                match self { $(ReasonCode::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    /// The ONU is known, its CPE is silent.
    OnuKnown = "onu_known", Wait;
    /// First valid Inform.
    FirstInform = "first_inform", Info;
    /// It belongs to a service.
    Linked = "linked", Info;
    /// No service has this identity.
    NotLinked = "not_linked", Warn;
    /// More than one service has this identity.
    SeveralServices = "several_services", Warn;
    /// Another device already has this identity.
    IdentityConflict = "identity_conflict", Bad;
    /// First contact that nobody vouches for.
    IdentityUnconfirmed = "identity_unconfirmed", Wait;
    /// It does not show its own secret.
    IdentityUnproven = "identity_unproven", Warn;
    /// Credentials are being made.
    CredentialsMissing = "credentials_missing", Wait;
    /// Management settings were written and read back differently.
    OwnershipNotKept = "ownership_not_kept", Bad;
    /// Management settings are refused with a fault.
    OwnershipRefused = "ownership_refused", Bad;
    /// After a 401 our connection-request credentials were written again.
    CredentialsRepaired = "credentials_repaired", Info;
    /// The device rounds or clamps its inform interval.
    IntervalRounded = "interval_rounded", Info;
    /// The device keeps an inform interval of its own, and an operator accepts that for its model.
    IntervalAccepted = "interval_accepted", Warn;
    /// Management settings are confirmed.
    Owned = "owned", Ok;
    /// An Inform was authenticated with the device's own secret.
    OwnershipProven = "ownership_proven", Ok;
    /// The device does not say what time it has.
    ClockUnknown = "clock_unknown", Wait;
    /// The device's clock is in the past.
    ClockInvalid = "clock_invalid", Wait;
    /// NTP was set and the clock is still wrong after every try.
    ClockUnreachable = "clock_unreachable", Bad;
    /// The device refuses to be given NTP servers.
    ClockNtpRefused = "clock_ntp_refused", Bad;
    /// The clock is right.
    ClockValid = "clock_valid", Ok;
    /// An operator lets the device pass without a clock.
    ClockOverridden = "clock_overridden", Warn;
    /// An operator no longer lets the device pass without a clock.
    ClockOverrideWithdrawn = "clock_override_withdrawn", Info;
    /// No intent for the service.
    NoIntent = "no_intent", Wait;
    /// No profile fits.
    ModelUnknown = "model_unknown", Warn;
    /// The family that an operator set is not the device's.
    FamilyRefused = "family_refused", Warn;
    /// The profile that fits may only read.
    ProfileReadOnly = "profile_read_only", Warn;
    /// The profile has no path for something that is wanted.
    ProfileLacksPath = "profile_lacks_path", Warn;
    /// Too soon after the last attempt.
    CoolDown = "cool_down", Wait;
    /// An operator stopped it.
    Held = "held", Wait;
    /// The hold was lifted.
    HoldCleared = "hold_cleared", Info;
    /// Back-off is not over.
    BackOff = "back_off", Wait;
    /// Back-off is over and the device informed.
    BackOffOver = "back_off_over", Info;
    /// Every gate is open.
    GatesOpen = "gates_open", Ok;
    /// A plan is being carried out.
    ProvisioningStarted = "provisioning_started", Info;
    /// A step of the plan is done.
    StepDone = "step_done", Info;
    /// The next step needs a session; one was asked for.
    SessionRequested = "session_requested", Wait;
    /// The next step waits for a natural Inform.
    WaitingInform = "waiting_inform", Wait;
    /// Connection request answered 401.
    ConnectionRequestUnauthorized = "connection_request_unauthorized", Warn;
    /// Connection request answered another status.
    ConnectionRequestHttp = "connection_request_http", Warn;
    /// The device told no ConnectionRequestURL.
    ConnectionRequestUrlMissing = "connection_request_url_missing", Warn;
    /// The ConnectionRequestURL is no usable URL.
    ConnectionRequestUrlInvalid = "connection_request_url_invalid", Warn;
    /// The ConnectionRequestURL points outside every management subnet.
    ConnectionRequestOutsideSubnet = "connection_request_outside_subnet", Warn;
    /// The ConnectionRequestURL names another address than the device has.
    ConnectionRequestAnotherAddress = "connection_request_another_address", Warn;
    /// No TCP connection.
    ConnectionRequestUnreachable = "connection_request_unreachable", Warn;
    /// Connected, then silence.
    ConnectionRequestTimeout = "connection_request_timeout", Warn;
    /// No answer to the connection request is known; it may not have been sent.
    ConnectionRequestUnanswered = "connection_request_unanswered", Warn;
    /// The connection request was not sent.
    ConnectionRequestNotSent = "connection_request_not_sent", Warn;
    /// The process that sent the connection request ended before the answer.
    ConnectionRequestProcessEnded = "connection_request_process_ended", Warn;
    /// Accepted, and no Inform came.
    NoInformAfterAccept = "no_inform_after_accept", Warn;
    /// Connection request accepted.
    ConnectionRequestAccepted = "connection_request_accepted", Info;
    /// The Inform came; the work goes on at the cursor.
    Resumed = "resumed", Info;
    /// The session broke.
    SessionTorn = "session_torn", Warn;
    /// The server stopped in the middle of the session.
    SessionLost = "session_lost", Info;
    /// The periodic Inform did not come.
    InformOverdue = "inform_overdue", Warn;
    /// Everything is written; waiting for the connection.
    Verifying = "verifying", Wait;
    /// Verified.
    Active = "active", Ok;
    /// Already as wanted, nothing was written.
    AlreadyAsWanted = "already_as_wanted", Ok;
    /// Already ACTIVE with this intent.
    AlreadyActive = "already_active", Ok;
    /// ACTIVE and the device no longer matches.
    DriftFound = "drift_found", Warn;
    /// The intent changed.
    IntentChanged = "intent_changed", Info;
    /// Factory reset.
    FactoryReset = "factory_reset", Warn;
    /// Released from its service.
    Released = "released", Info;
    /// It belongs to another service now.
    Relinked = "relinked", Info;
    /// The ONU left and came back.
    OnuFlapped = "onu_flapped", Warn;
    /// The ONU is offline.
    OnuOffline = "onu_offline", Warn;
    /// An operator wants a retry.
    RetryRequested = "retry_requested", Info;
    /// An operator wants a session.
    CallRequested = "call_requested", Info;
    /// A device order was done.
    OrderDone = "order_done", Ok;
    /// A device order was accepted, and what came of it cannot be read back.
    OrderAccepted = "order_accepted", Info;
    /// A device order failed.
    OrderFailed = "order_failed", Warn;
    /// A device order ended without having been carried out.
    OrderNotDone = "order_not_done", Info;
    /// Several WANs could be the one.
    SeveralWansMatch = "several_wans_match", Bad;
    /// An operator said which one it is.
    WanChosen = "wan_chosen", Info;
    /// The one that was chosen is not there.
    WanChoiceGone = "wan_choice_gone", Warn;
    /// Accepted, and nothing changed.
    WriteNotApplied = "write_not_applied", Bad;
    /// Rejected, and the path is known.
    WriteRejected = "write_rejected", Bad;
    /// A leaf the plan cannot do without is missing on the device.
    RequiredLeafMissing = "required_leaf_missing", Bad;
    /// The family has a fixed number of WANs and none is free.
    NoSpareWan = "no_spare_wan", Bad;
    /// A setting of the container would change the WAN that carries CWMP.
    WouldTouchManagement = "would_touch_management", Bad;
    /// A port that is wanted belongs to another WAN.
    PortTaken = "port_taken", Bad;
    /// Rejected for reasons of its own.
    DeviceFault = "device_fault", Bad;
    /// The device has no room for another object.
    NoFreeInstances = "no_free_instances", Bad;
    /// The BRAS refused the login.
    PppoeRefused = "pppoe_refused", Bad;
    /// The connection did not come up.
    NotConnected = "not_connected", Bad;
    /// Connected, and no usable address.
    NoAddress = "no_address", Bad;
    /// Written and yet not as wanted.
    NotVerified = "not_verified", Bad;
    /// What a failed attempt changed is still there.
    NotUndone = "not_undone", Bad;
    /// The answer did not fit the request.
    UnexpectedReply = "unexpected_reply", Bad;
    /// The budget of the session is used up.
    SessionBudget = "session_budget", Wait;
}

impl std::fmt::Display for ReasonCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Reason {
    /// A reason with the usual severity of its code.
    pub fn new(code: ReasonCode, text: impl Into<String>) -> Self {
        let text = text.into();
        Reason { code, text, severity: code.severity(), next: None, facts: BTreeMap::new() }
    }

    /// What happens next.
    #[must_use]
    pub fn then(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Adds a fact.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.facts.insert(name.to_owned(), value.to_string());
        self
    }

    /// Sentence and what comes next, as one text.
    pub fn sentence(&self) -> String {
        match &self.next {
            Some(next) => format!("{}; {next}", self.text),
            None => self.text.clone(),
        }
    }
}

/// `2026-11-22T14:05:00Z`: a sentence is kept for years and read in many places, so it says the moment itself. Pages
/// show it as `14:05` of the clock on their reader's wall.
pub(crate) fn at(moment: UtcMs) -> String {
    moment.whole_s().to_string()
}

/// `15 min`, `45 s`, `6 h`.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}
