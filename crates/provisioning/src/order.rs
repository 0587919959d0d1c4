//! Device orders: what a person or a program wants done on one device, beside what its service needs.
//!
//! An order passes through the machine like everything that a device is told. It is carried out in a session after the
//! machine's own needs, where no gate that counts for it is closed. Reads and writes are repeated when a session breaks;
//! a reboot and a factory reset are sent once and never again.

use crate::{
    Device, Intents, Layer,
    diagnose::Running,
    diagnosis::Diagnosis,
    findings::Findings,
    talk::{SetValue, ValueKind},
};
use profiles::cpe::CpeProfile;
use serde::{Deserialize, Serialize};
use types::{ServiceId, UtcMs};

/// Orders that may be open on one device at a time.
pub const MOST_OPEN_ORDERS: usize = 16;

/// What is ordered. Given to the machine with [`crate::Context::orders`]; the device itself holds no more than the key.
/// Serialises with a secret in the clear: only ever a stand-in for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its name on the wire too: CommandKey or ParameterKey (at most 32 characters).
    pub key: String,
    /// What.
    pub what: OrderKind,
}

/// The kinds of orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderKind {
    /// Read subtrees and leaves, one after the other: names, then values.
    Refresh {
        /// An object path ends with a dot.
        path: String,
        /// What else is read in the same order. A device need not have all of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<String>,
    },
    /// Write these, read them back and compare.
    Set {
        /// In order; no path twice.
        values: Vec<SetValue>,
    },
    /// Restart the device.
    Reboot,
    /// Back to the factory state.
    FactoryReset,
    /// Let the device test something by itself, and read what it found.
    Diagnose(Diagnosis),
}

impl OrderKind {
    /// A refresh of one subtree or leaf.
    pub fn refresh(path: impl Into<String>) -> Self {
        OrderKind::Refresh { path: path.into(), also: Vec::new() }
    }

    /// Stable word for rows and API.
    pub fn as_str(&self) -> &'static str {
        match self {
            OrderKind::Refresh { .. } => "refresh",
            OrderKind::Set { .. } => "set",
            OrderKind::Reboot => "reboot",
            OrderKind::FactoryReset => "factory_reset",
            OrderKind::Diagnose(what) => what.as_str(),
        }
    }

    /// Nothing is written for it.
    pub fn only_reads(&self) -> bool {
        matches!(self, OrderKind::Refresh { .. } | OrderKind::Diagnose(Diagnosis::Hosts))
    }

    /// Doing it twice is not the same as doing it once.
    pub fn is_once_only(&self) -> bool {
        matches!(self, OrderKind::Reboot | OrderKind::FactoryReset)
    }
}

/// An open order as the machine remembers it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenOrder {
    /// [`Order::key`].
    pub key: String,
    /// The service that the device belonged to when it was given; it is done under no other. A refresh that was given
    /// while there was none is of the first that the device is linked to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_id: Option<ServiceId>,
    /// Nothing of it is begun after that.
    pub expires_at: UtcMs,
    /// Under way in the open session; of a reboot or factory reset: it left then, whatever came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<UtcMs>,
    /// The device answered to that.
    pub answered: bool,
    /// Sessions in which it was begun.
    pub tries: u32,
    /// A refresh first began: what is older in its subtree when it ends is not there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_at: Option<UtcMs>,
    /// A refresh got this far: the last path that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Values that a refresh read so far.
    pub values: u32,
    /// So many of the paths of a refresh are behind it.
    #[serde(skip_serializing_if = "is_zero")]
    pub part: u32,
    /// Those of them that the device does not have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Of one of them the device names more than is read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// A write was accepted and is applied later: only reading back is left.
    pub written: bool,
    /// A write of a test left: the device may have begun it, whatever is known of that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// A test that the device took: only its result is to be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Box<Running>>,
    /// The device was asked to open a session for it.
    pub called: bool,
    /// The call that was made for it ([`crate::ConnectionFacts::last_at`]), until a session begins it. None where it is
    /// called so that nobody calls for it, and of a call that came before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called_at: Option<UtcMs>,
    /// What of it is a secret, which nobody asks for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// That call was dropped before it was sent, and is made once more: never again after that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub recalled: bool,
    /// Why it waits, as last said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl OpenOrder {
    /// It waits for a session that the device may be called for: a test that it took, once it should be over.
    pub(crate) fn waits(&self) -> bool {
        self.running.as_ref().map_or(self.sent_at.is_none(), |test| test.called_back)
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// For the next session.
    Waiting,
    /// The device was told; what came of it is not known yet.
    Sent,
    /// Read back, or seen in an Inform.
    Done,
    /// The device accepted it, and what it has cannot be read back: nobody knows more.
    Accepted,
    /// It is not done and is not gone on with. What of a write may have happened, its text says.
    Failed,
    /// No session came in time.
    Expired,
    /// Withdrawn before it was sent.
    Cancelled,
}

impl OrderState {
    /// Every state.
    pub const ALL: [OrderState; 7] = [
        OrderState::Waiting,
        OrderState::Sent,
        OrderState::Done,
        OrderState::Accepted,
        OrderState::Failed,
        OrderState::Expired,
        OrderState::Cancelled,
    ];

    /// Stable word for rows and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            OrderState::Waiting => "waiting",
            OrderState::Sent => "sent",
            OrderState::Done => "done",
            OrderState::Accepted => "accepted",
            OrderState::Failed => "failed",
            OrderState::Expired => "expired",
            OrderState::Cancelled => "cancelled",
        }
    }

    /// Back from [`OrderState::as_str`].
    pub fn parse(text: &str) -> Option<OrderState> {
        OrderState::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Nothing more happens to it.
    pub const fn is_over(self) -> bool {
        !matches!(self, OrderState::Waiting | OrderState::Sent)
    }
}

/// What became of an order, for its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderNews {
    /// Which.
    pub key: String,
    /// Where it stands now.
    pub state: OrderState,
    /// In words.
    pub text: String,
    /// The fault that ended it: code and FaultString.
    pub fault: Option<(u32, String)>,
    /// Parameter by parameter, what came of a write.
    pub results: Vec<OrderResult>,
    /// Values that a refresh read.
    pub values: u32,
    /// What came of a test.
    pub findings: Option<Findings>,
}

impl OrderNews {
    /// Where it stands, and nothing else.
    pub(crate) fn new(key: &str, state: OrderState, text: String) -> OrderNews {
        OrderNews {
            key: key.to_owned(),
            state,
            text,
            fault: None,
            results: Vec::new(),
            values: 0,
            findings: None,
        }
    }
}

/// One parameter of a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderResult {
    /// Full path.
    pub path: String,
    /// Dots for a secret.
    pub wanted: String,
    /// As read back; words where it cannot be read.
    pub observed: String,
    /// How that is known.
    pub proof: crate::Proof,
}

/// A value that a refresh read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshedValue {
    /// Full leaf path.
    pub path: String,
    /// As sent; `None` for a secret, which is never asked for.
    pub value: Option<String>,
    /// Type.
    pub kind: ValueKind,
    /// GetParameterNames says that it can be written.
    pub writable: Option<bool>,
}

/// The time settings: with a wrong clock nothing else is written.
pub(crate) fn sets_the_clock(path: &str) -> bool {
    path.split_once('.').is_some_and(|(_, rest)| rest.starts_with("Time."))
}

/// Which layer of the service keeps this parameter as it wants it: a change by order lasts until the next drift check.
pub fn managed_by(
    device: &Device,
    profile: Option<&CpeProfile>,
    intents: Option<&Intents>,
    path: &str,
) -> Option<Layer> {
    if path
        .split_once('.')
        .is_some_and(|(_, rest)| rest.starts_with("ManagementServer.") || rest.starts_with("Time."))
    {
        return Some(Layer::Core);
    }
    let intents = intents?;
    if intents.internet.is_some() && device.objects.values().any(|object| path.starts_with(&object.path)) {
        return Some(Layer::Internet);
    }
    let (access, profile) = (intents.access.as_ref()?, profile?);
    let wifi = profile.wifi.iter().flat_map(|wifi| &wifi.list).filter(|_| !access.wifi.is_empty());
    let lan = profile.lan.iter().flat_map(|lan| &lan.list).filter(|_| access.lan.is_some());
    wifi.chain(lan).any(|list| path.starts_with(list.as_str())).then_some(Layer::Access)
}

/// Read back as written: booleans and numbers by what they mean, everything else by the letter.
pub(crate) fn same_value(kind: ValueKind, wanted: &str, observed: &str) -> bool {
    match kind {
        ValueKind::Boolean => truth(wanted).is_some() && truth(wanted) == truth(observed),
        ValueKind::Int | ValueKind::UnsignedInt | ValueKind::Long | ValueKind::UnsignedLong => {
            let number = |text: &str| text.trim().parse::<i128>().ok();
            number(wanted).is_some() && number(wanted) == number(observed)
        }
        ValueKind::HexBinary => wanted.eq_ignore_ascii_case(observed),
        ValueKind::String | ValueKind::DateTime | ValueKind::Base64 => wanted == observed,
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// Why this text is no value of this type; `None` if it is one.
pub fn not_of_type(kind: ValueKind, text: &str) -> Option<String> {
    let number = |least: i128, most: i128| match text.trim().parse::<i128>() {
        Ok(number) if (least..=most).contains(&number) => None,
        Ok(_) => Some(format!("must lie between {least} and {most}")),
        Err(_) => Some("must be a whole number".to_owned()),
    };
    match kind {
        ValueKind::Boolean => truth(text).is_none().then(|| "must be true or false".to_owned()),
        ValueKind::Int => number(i128::from(i32::MIN), i128::from(i32::MAX)),
        ValueKind::UnsignedInt => number(0, i128::from(u32::MAX)),
        ValueKind::Long => number(i128::from(i64::MIN), i128::from(i64::MAX)),
        ValueKind::UnsignedLong => number(0, i128::from(u64::MAX)),
        ValueKind::HexBinary => (text.len() % 2 == 1 || !text.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| "must be pairs of hexadecimal digits".to_owned()),
        ValueKind::Base64 => (!text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/= \n".contains(&b)))
            .then(|| "must be base64".to_owned()),
        ValueKind::DateTime => {
            let date = text.len() >= 19
                && text.as_bytes()[..19].iter().enumerate().all(|(at, byte)| match at {
                    4 | 7 => *byte == b'-',
                    10 => *byte == b'T',
                    13 | 16 => *byte == b':',
                    _ => byte.is_ascii_digit(),
                });
            (!date).then(|| "must be a date and time such as 2026-11-22T14:05:00Z".to_owned())
        }
        ValueKind::String => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compared_by_what_they_mean() {
        assert!(same_value(ValueKind::Boolean, "true", "1"));
        assert!(!same_value(ValueKind::Boolean, "true", "0"));
        assert!(!same_value(ValueKind::Boolean, "maybe", "maybe"));
        assert!(same_value(ValueKind::UnsignedInt, "7", "07"));
        assert!(!same_value(ValueKind::String, "7", "07"));
        assert!(same_value(ValueKind::HexBinary, "ab", "AB"));
    }

    #[test]
    fn types_are_checked_before_anything_is_sent() {
        let refused = [
            (ValueKind::Boolean, "yes"),
            (ValueKind::UnsignedInt, "-1"),
            (ValueKind::UnsignedInt, "4294967296"),
            (ValueKind::Int, "1.5"),
            (ValueKind::HexBinary, "abc"),
            (ValueKind::DateTime, "tomorrow"),
            (ValueKind::Base64, "ä"),
        ];
        for (kind, text) in refused {
            assert!(not_of_type(kind, text).is_some(), "{kind:?} {text}");
        }
        for (kind, text) in [
            (ValueKind::Boolean, "0"),
            (ValueKind::UnsignedInt, "4294967295"),
            (ValueKind::Int, "-2147483648"),
            (ValueKind::DateTime, "2026-11-22T14:05:00Z"),
            (ValueKind::String, "anything"),
        ] {
            assert_eq!(not_of_type(kind, text), None, "{kind:?} {text}");
        }
    }
}
