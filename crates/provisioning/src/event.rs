//! What can happen to a device. Past tense: it has happened.

use crate::{
    Wish,
    talk::{DeviceReply, ParamValue},
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use types::ServiceId;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// An OLT or an operator made the ONU known.
    OnuKnown,
    /// A CWMP session began with this Inform; whatever session was open before is over.
    InformReceived {
        /// The Inform, decoded.
        inform: InformFacts,
        /// Who sent it.
        peer: Peer,
    },
    /// The application looked up which service this device belongs to.
    LinkResolved(Link),
    /// The CPE has nothing more to say: the session is ours.
    SessionReady,
    /// The answer to the one outstanding request.
    ReplyReceived(DeviceReply),
    /// The CWMP session is over.
    SessionEnded(SessionEnd),
    /// What became of a connection request.
    ConnectionRequestFinished(ConnectionRequestOutcome),
    /// A timer set by [`crate::Effect::StartTimer`] is due.
    TimerFired(Timer),
    /// A layer of the service's intent changed (or the first one was written), and this is what is wanted now. Told twice
    /// it is once.
    IntentChanged(Wish),
    /// An operator stops provisioning of this device.
    HoldSet {
        /// Who.
        by: String,
    },
    /// The hold is lifted.
    HoldCleared {
        /// Who.
        by: String,
    },
    /// An operator wants the back-off to end now. Cool-down and gates still count.
    RetryRequested {
        /// Who.
        by: String,
    },
    /// An operator wants the device to open a session now.
    CallRequested {
        /// Who.
        by: String,
    },
    /// An operator wants to see whether the device can be reached: one call, which changes nothing but what is known of
    /// calls.
    CheckRequested {
        /// Who.
        by: String,
    },
    /// An operator says which of several WANs carries the service.
    WanChosen {
        /// Instance path of one that the machine asked about.
        path: String,
        /// Who.
        by: String,
    },
    /// Somebody ordered something for this device ([`crate::Order`]).
    OrderGiven {
        /// Which order.
        key: String,
        /// The service that the device belongs to as whoever orders it sees it.
        service_id: Option<ServiceId>,
        /// Nothing of it is begun after that.
        expires_at: types::UtcMs,
    },
    /// An order is withdrawn.
    OrderCancelled {
        /// Which order.
        key: String,
        /// Who.
        by: String,
    },
    /// An operator lets this device pass without a clock.
    ClockGateOverridden {
        /// Who.
        by: String,
    },
    /// That is withdrawn: the device has to show a right clock again.
    ClockGateRestored {
        /// Who.
        by: String,
    },
    /// The device no longer belongs to the service (ONU replaced, service terminated).
    Released {
        /// For the record.
        why: String,
    },
    /// The OLT saw the ONU leave and come back (LOS, power, re-registration).
    OnuFlapped,
    /// The OLT lost the ONU.
    OnuOffline,
}

/// An Inform, as far as provisioning cares.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InformFacts {
    /// DeviceId.Manufacturer
    pub manufacturer: String,
    /// DeviceId.OUI
    pub oui: String,
    /// DeviceId.ProductClass
    pub product_class: String,
    /// DeviceId.SerialNumber
    pub serial_number: String,
    /// Event list.
    pub events: Vec<InformEvent>,
    /// CurrentTime as sent; may be 1981, `0001-01-01T00:00:00Z`, or no time at all.
    pub current_time: String,
    /// RetryCount
    pub retry_count: u32,
    /// ParameterList
    pub parameters: Vec<ParamValue>,
    /// CWMP namespace of the envelope.
    pub cwmp_namespace: String,
}

impl InformFacts {
    /// True if an event with this code (`0 BOOTSTRAP`, `1 BOOT` …) is in the list; only the part before the
    /// first space counts, devices are creative with the rest.
    pub fn has_event(&self, code: &str) -> bool {
        let number = |text: &str| text.split_whitespace().next().unwrap_or_default().to_owned();
        self.events.iter().any(|event| number(&event.code) == number(code))
    }

    /// First contact or factory reset.
    pub fn bootstrap(&self) -> bool {
        self.has_event("0 BOOTSTRAP")
    }

    /// The device (re)started.
    pub fn boot(&self) -> bool {
        self.has_event("1 BOOT")
    }

    /// Value of the first parameter whose path ends with `suffix`, e.g. `DeviceInfo.SoftwareVersion`.
    pub fn parameter(&self, suffix: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|parameter| parameter.path.ends_with(suffix))?;
        Some(found.value.as_str())
    }

    /// `InternetGatewayDevice` or `Device`, from the parameters.
    pub fn root(&self) -> Option<&str> {
        let first = self.parameters.iter().find_map(|parameter| parameter.path.split_once('.'))?;
        Some(first.0)
    }
}

/// One event of an Inform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InformEvent {
    /// EventCode, e.g. `2 PERIODIC`.
    pub code: String,
    /// CommandKey.
    pub command_key: String,
}

/// The other end of the connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Source address.
    pub address: IpAddr,
    /// What it authenticated with.
    pub auth: AuthLevel,
}

/// How far the device proved who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthLevel {
    /// It did not.
    #[default]
    Anonymous,
    /// With the shared credentials the OLT profile gives every CPE.
    Bootstrap,
    /// With the secret only this device has.
    Own,
}

/// Which service the device belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "link", rename_all = "snake_case")]
pub enum Link {
    /// Exactly one.
    One {
        /// The service.
        service_id: ServiceId,
        /// The OLT has this very ONU online now, at the address that informs; where it cannot tell addresses, the Inform
        /// came from a management network at least.
        olt_confirms: bool,
        /// An operator claimed it by hand: counts like the OLT's word.
        #[serde(default)]
        claimed_by: Option<String>,
        /// Why the OLT does not confirm it, in words that go on after "first contact from 10.20.3.9, and".
        #[serde(default)]
        doubt: Option<String>,
    },
    /// None matches.
    None {
        /// Which keys were tried.
        why: String,
    },
    /// More than one matches.
    Several {
        /// How many.
        count: u32,
        /// Which.
        why: String,
    },
    /// Another device already has this identity.
    Conflict {
        /// Which.
        why: String,
    },
}

impl Link {
    /// Someone other than the device vouches for it.
    pub fn confirmed(&self) -> bool {
        matches!(self, Link::One { olt_confirms: true, .. } | Link::One { claimed_by: Some(_), .. })
    }

    /// The service, if there is exactly one.
    pub fn service(&self) -> Option<ServiceId> {
        match self {
            Link::One { service_id, .. } => Some(*service_id),
            Link::None { .. } | Link::Several { .. } | Link::Conflict { .. } => None,
        }
    }
}

/// How a CWMP session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// We said we have nothing more.
    Clean,
    /// The connection broke, or a new Inform began another session.
    Torn,
    /// The device fell silent.
    TimedOut,
    /// The process that held the session died. Told later, by whoever finds it.
    Lost,
}

/// What became of a connection request. A value, never just a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", content = "status", rename_all = "snake_case")]
pub enum ConnectionRequestOutcome {
    /// The device said yes: a session should follow.
    Accepted,
    /// 401 with the right credentials.
    Unauthorized,
    /// Some other HTTP status.
    Http(u16),
    /// The device never told a ConnectionRequestURL.
    UrlMissing,
    /// It does not parse, or is neither http nor https.
    UrlInvalid,
    /// Its host is not an address inside a management subnet.
    NotInManagementSubnet,
    /// Its host is an address that is not known to be this device's: our secret is not for whoever is there.
    AnotherAddress,
    /// No TCP connection within the limit.
    Unreachable,
    /// Connected, then silence.
    Timeout,
    /// The watchdog ran out, and the device had said yes.
    NoInformAfterAccept,
    /// The watchdog ran out, and nothing is known of an answer: it was not sent in time, or whoever sent it has not said.
    Unanswered,
    /// It was not sent: when its turn came, nobody waited for it any more, or no place was free.
    NotSent,
    /// The process that was sending it ended before the answer was known. It is not sent again.
    ProcessEnded,
}

impl ConnectionRequestOutcome {
    /// Stable word for rows and API.
    pub fn as_str(self) -> &'static str {
        match self {
            ConnectionRequestOutcome::Accepted => "accepted",
            ConnectionRequestOutcome::Unauthorized => "unauthorized",
            ConnectionRequestOutcome::Http(_) => "http",
            ConnectionRequestOutcome::UrlMissing => "url_missing",
            ConnectionRequestOutcome::UrlInvalid => "url_invalid",
            ConnectionRequestOutcome::NotInManagementSubnet => "not_in_management_subnet",
            ConnectionRequestOutcome::AnotherAddress => "another_address",
            ConnectionRequestOutcome::Unreachable => "unreachable",
            ConnectionRequestOutcome::Timeout => "timeout",
            ConnectionRequestOutcome::NoInformAfterAccept => "no_inform_after_accept",
            ConnectionRequestOutcome::Unanswered => "unanswered",
            ConnectionRequestOutcome::NotSent => "not_sent",
            ConnectionRequestOutcome::ProcessEnded => "process_ended",
        }
    }
}

/// Timers a device may have; at most one of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    /// No Inform after a connection request.
    Watchdog,
    /// Cool-down or back-off is over.
    Attempt,
    /// Time for another look at the connection.
    VerifyCheck,
    /// Time for one look at the clock after NTP was set.
    ClockCheck,
    /// The next periodic Inform did not come.
    InformOverdue,
    /// A device order waited long enough.
    OrderExpiry,
}

impl Timer {
    /// Every kind.
    pub const ALL: [Timer; 6] = [
        Timer::Watchdog,
        Timer::Attempt,
        Timer::VerifyCheck,
        Timer::ClockCheck,
        Timer::InformOverdue,
        Timer::OrderExpiry,
    ];

    /// Stable word for rows.
    pub const fn as_str(self) -> &'static str {
        match self {
            Timer::Watchdog => "watchdog",
            Timer::Attempt => "attempt",
            Timer::VerifyCheck => "verify_check",
            Timer::ClockCheck => "clock_check",
            Timer::InformOverdue => "inform_overdue",
            Timer::OrderExpiry => "order_expiry",
        }
    }

    /// Back from [`Timer::as_str`].
    pub fn parse(text: &str) -> Option<Timer> {
        Timer::ALL.into_iter().find(|timer| timer.as_str() == text)
    }
}
