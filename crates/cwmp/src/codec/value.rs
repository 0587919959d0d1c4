//! Values and times as CWMP carries them.

use std::fmt;
use types::UtcMs;

/// The XML Schema type of a value. A CPE rejects a wrong one with 9006, so what it told us is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum ValueType {
    /// `xsd:string`
    #[default]
    String,
    /// `xsd:int`
    Int,
    /// `xsd:unsignedInt`
    UnsignedInt,
    /// `xsd:long`
    Long,
    /// `xsd:unsignedLong`
    UnsignedLong,
    /// `xsd:boolean`
    Boolean,
    /// `xsd:dateTime`
    DateTime,
    /// `xsd:base64`
    Base64,
    /// `xsd:hexBinary`
    HexBinary,
    /// The CPE sent no type. Written as `xsd:string`.
    Unspecified,
    /// A type that CWMP does not name, e.g. `decimal`; letters and digits only.
    Other(String),
}

impl ValueType {
    /// From an `xsi:type` with any prefix or none and with a length behind it (`xsd:string(64)`).
    pub fn from_xsi(text: &str) -> Self {
        let local = text.rsplit(':').next().unwrap_or_default();
        let name: String = local.trim().chars().take_while(char::is_ascii_alphanumeric).take(32).collect();
        match name.as_str() {
            "" => ValueType::Unspecified,
            "string" => ValueType::String,
            "int" | "integer" => ValueType::Int,
            "unsignedInt" => ValueType::UnsignedInt,
            "long" => ValueType::Long,
            "unsignedLong" => ValueType::UnsignedLong,
            "boolean" | "bool" => ValueType::Boolean,
            "dateTime" => ValueType::DateTime,
            "base64" | "base64Binary" => ValueType::Base64,
            "hexBinary" => ValueType::HexBinary,
            _ => ValueType::Other(name),
        }
    }

    /// The local name of the type, e.g. `unsignedInt`.
    pub fn xsd_name(&self) -> &str {
        match self {
            ValueType::String | ValueType::Unspecified => "string",
            ValueType::Int => "int",
            ValueType::UnsignedInt => "unsignedInt",
            ValueType::Long => "long",
            ValueType::UnsignedLong => "unsignedLong",
            ValueType::Boolean => "boolean",
            ValueType::DateTime => "dateTime",
            ValueType::Base64 => "base64",
            ValueType::HexBinary => "hexBinary",
            ValueType::Other(name) => name,
        }
    }
}

/// A typed value. `Debug` shows the type and the length only: any value may be a secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Value {
    /// The declared type.
    pub type_: ValueType,
    /// The text as it came, blanks included.
    pub text: String,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.type_, self.text.len())
    }
}

impl Value {
    /// A value of a given type.
    pub fn new(type_: ValueType, text: impl Into<String>) -> Self {
        Value { type_, text: text.into() }
    }

    /// A string.
    pub fn string(text: impl Into<String>) -> Self {
        Value::new(ValueType::String, text)
    }

    /// A boolean; the literal is chosen by [`super::EncodeOptions::boolean`].
    pub fn boolean(value: bool) -> Self {
        Value::new(ValueType::Boolean, if value { "1" } else { "0" })
    }

    /// An unsigned number.
    pub fn unsigned(value: u32) -> Self {
        Value::new(ValueType::UnsignedInt, value.to_string())
    }

    /// A signed number.
    pub fn int(value: i32) -> Self {
        Value::new(ValueType::Int, value.to_string())
    }

    /// The truth of `1`, `true`, `0` and `false` in any case; `None` for anything else.
    pub fn as_bool(&self) -> Option<bool> {
        parse_bool(&self.text)
    }

    /// As a number.
    pub fn as_i64(&self) -> Option<i64> {
        self.text.trim().parse().ok()
    }
}

pub(super) fn parse_bool(text: &str) -> Option<bool> {
    let text = text.trim();
    if text == "1" || text.eq_ignore_ascii_case("true") {
        Some(true)
    } else if text == "0" || text.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

/// An `xsd:dateTime` as the device wrote it. Clocks of CPEs are wrong or unset often enough that the text itself
/// is evidence.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DateTime(pub String);

impl Default for DateTime {
    fn default() -> Self {
        DateTime::unknown()
    }
}

impl DateTime {
    /// TR-069's "unknown time" (A.2.2 table 9).
    pub const UNKNOWN: &'static str = "0001-01-01T00:00:00Z";

    /// The unknown time.
    pub fn unknown() -> Self {
        DateTime(DateTime::UNKNOWN.to_owned())
    }

    /// A known moment. Milliseconds are written if [`super::EncodeOptions::fractional_seconds`] allows them.
    pub fn from_utc(moment: UtcMs) -> Self {
        DateTime(moment.to_string())
    }

    /// The moment; `None` for the unknown time and for text that is no time. A time without zone counts as UTC:
    /// several CPEs leave the zone out.
    pub fn utc(&self) -> Option<UtcMs> {
        let text = self.0.trim();
        let moment = text.parse::<jiff::Timestamp>().ok().or_else(|| {
            let local: jiff::civil::DateTime = text.parse().ok()?;
            local.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
        })?;
        let moment = UtcMs::from(moment);
        (moment.year() > 1).then_some(moment)
    }

    /// The calendar year as written: what the clock gate looks at.
    pub fn year(&self) -> Option<i16> {
        let text = self.0.trim();
        let end = text.get(1..)?.find('-')? + 1;
        text.get(..end)?.parse().ok()
    }

    /// Without fractions of a second.
    pub(super) fn whole_seconds(text: &str) -> String {
        match text.split_once('.') {
            Some((head, tail)) if head.contains('T') => {
                format!("{head}{}", tail.trim_start_matches(|c: char| c.is_ascii_digit()))
            }
            _ => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_in_every_spelling() {
        for (text, want) in [
            ("xsd:string", ValueType::String),
            ("xsd:string(64)", ValueType::String),
            ("string", ValueType::String),
            ("SOAP-ENC:base64", ValueType::Base64),
            ("xsd:unsignedInt", ValueType::UnsignedInt),
            ("", ValueType::Unspecified),
            ("xsd:decimal", ValueType::Other("decimal".into())),
            ("\"><x", ValueType::Unspecified),
        ] {
            assert_eq!(ValueType::from_xsi(text), want, "{text}");
        }
    }

    #[test]
    fn times_of_real_clocks() {
        let at = |text: &str| DateTime(text.into());
        assert_eq!(at("2026-11-21T14:30:00Z").utc(), Some(UtcMs::from_s(1_795_271_400)));
        assert_eq!(at("2026-11-21T15:30:00+01:00").utc(), Some(UtcMs::from_s(1_795_271_400)));
        assert_eq!(at("2026-11-21T14:30:00").utc(), Some(UtcMs::from_s(1_795_271_400)));
        assert_eq!(at("1981-01-01T00:03:11+00:00").year(), Some(1981));
        assert_eq!(DateTime::unknown().utc(), None);
        assert_eq!(DateTime::unknown().year(), Some(1));
        for text in ["", "never", "-", "2026", "20é6-", "99999-01-01T00:00:00Z"] {
            assert_eq!((at(text).utc(), at(text).year()), (None, None), "{text}");
        }
    }

    #[test]
    fn fractions_of_a_second_can_be_cut() {
        assert_eq!(DateTime::whole_seconds("2026-11-21T09:12:24.372Z"), "2026-11-21T09:12:24Z");
        assert_eq!(DateTime::whole_seconds("2026-11-21T09:12:24.372+01:00"), "2026-11-21T09:12:24+01:00");
        assert_eq!(DateTime::whole_seconds("1.5"), "1.5");
    }

    #[test]
    fn values_are_not_printed() {
        assert!(!format!("{:?}", Value::string("hunter2")).contains("hunter2"));
    }
}
