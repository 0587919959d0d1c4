//! Random messages for the round-trip tests. Samples are what a message holds after it was read once: text that
//! is not a value has no blanks at its ends, and no text holds characters that XML does not have.

use super::{
    body::{Fault, ParameterFault},
    rpc::*,
    value::{DateTime, Value, ValueType},
};
use crate::EventCode;
use proptest::{collection::vec, prelude::*};
use std::num::NonZeroU32;
use types::{Secret, UtcMs};

pub(super) trait Sample: Sized {
    fn sample() -> BoxedStrategy<Self>;
}

/// Markup, quotes, letters of several alphabets, line ends.
fn any_text() -> BoxedStrategy<String> {
    prop_oneof![
        3 => "[ -~]{0,24}",
        2 => "[<>&\"'\\]\\[;#x0-9a-z]{0,16}",
        1 => "[\\t\\n\\r -~éŁ漢😀\u{FFFD}]{0,12}",
    ]
    .boxed()
}

impl Sample for String {
    fn sample() -> BoxedStrategy<Self> {
        any_text().prop_map(|text| text.trim().to_owned()).boxed()
    }
}

impl Sample for Secret {
    fn sample() -> BoxedStrategy<Self> {
        any_text().prop_map(Secret::new).boxed()
    }
}

macro_rules! any {
    ($($type:ty),*) => {$(
        impl Sample for $type {
            fn sample() -> BoxedStrategy<Self> {
                any::<$type>().boxed()
            }
        }
    )*};
}
any!(u8, u32, i32, u64, bool, NonZeroU32);

impl Sample for DateTime {
    fn sample() -> BoxedStrategy<Self> {
        prop_oneof![
            Just(DateTime::unknown()),
            (0..4_000_000_000_000i64).prop_map(|ms| DateTime::from_utc(UtcMs(ms))),
        ]
        .boxed()
    }
}

impl Sample for EventCode {
    fn sample() -> BoxedStrategy<Self> {
        prop_oneof!["(0|1|2|4|6|7|14|99) [A-Z ]{0,20}", "M [A-Z][A-Za-z_]{0,20}", "X [0-9A-F]{6} [a-z]{0,9}"]
            .prop_map(|text| text.parse().expect("infallible"))
            .boxed()
    }
}

impl Sample for Value {
    fn sample() -> BoxedStrategy<Self> {
        let type_ = prop_oneof![
            Just(ValueType::String),
            Just(ValueType::Int),
            Just(ValueType::UnsignedInt),
            Just(ValueType::Long),
            Just(ValueType::UnsignedLong),
            Just(ValueType::Base64),
            Just(ValueType::HexBinary),
            "x[a-z]{1,10}".prop_map(ValueType::Other),
        ];
        prop_oneof![
            4 => (type_, any_text()).prop_map(|(type_, text)| Value { type_, text }),
            1 => any::<bool>().prop_map(Value::boolean),
            1 => DateTime::sample().prop_map(|time| Value::new(ValueType::DateTime, time.0)),
        ]
        .boxed()
    }
}

impl Sample for Status {
    fn sample() -> BoxedStrategy<Self> {
        prop_oneof![Just(Status::Applied), Just(Status::Pending)].boxed()
    }
}

impl Sample for Voucher {
    fn sample() -> BoxedStrategy<Self> {
        "[A-Za-z0-9+/]{0,20}".prop_map(Voucher).boxed()
    }
}

impl Sample for DuOperation {
    fn sample() -> BoxedStrategy<Self> {
        prop_oneof![
            InstallOperation::sample().prop_map(DuOperation::Install),
            UpdateOperation::sample().prop_map(DuOperation::Update),
            UninstallOperation::sample().prop_map(DuOperation::Uninstall),
        ]
        .boxed()
    }
}

impl<T: Sample + std::fmt::Debug + 'static> Sample for Vec<T> {
    fn sample() -> BoxedStrategy<Self> {
        vec(T::sample(), 0..4).boxed()
    }
}

impl Sample for Fault {
    fn sample() -> BoxedStrategy<Self> {
        let parameter = (String::sample(), any::<u32>(), String::sample())
            .prop_map(|(name, code, text)| ParameterFault { name, code, text });
        (any::<bool>(), any::<u32>(), String::sample(), vec(parameter, 0..3))
            .prop_map(|(client, code, text, parameters)| Fault { client, code, text, parameters })
            .boxed()
    }
}
