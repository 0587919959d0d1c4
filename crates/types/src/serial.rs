//! The PON serial number: one identity in five notations (ITU-T G.984.3 §9.2.4.1: 4 vendor bytes, 4 serial bytes).

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A PON serial number. `485754437D4733C3`, `HWTC7D4733C3`, `HWTC-7D4733C3`, `HWTC:7D4733C3`,
/// `48:57:54:43:7D:47:33:C3` and `485754437D4733C3 (HWTC-7D4733C3)` are the same one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; 8]);

/// The text is no PON serial number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a PON serial number: {0:?} (wanted 16 hex digits, or 4 letters and 8 hex digits like HWTC7D4733C3)"
)]
pub struct SerialError(String);

impl Serial {
    /// From the eight bytes on the wire.
    pub fn from_bytes(bytes: [u8; 8]) -> Self {
        Serial(bytes)
    }

    /// The eight bytes on the wire.
    pub fn bytes(&self) -> [u8; 8] {
        self.0
    }

    /// 16 upper-case hex digits: the canonical form, what the database holds and what Huawei OLTs are sent.
    pub fn hex16(&self) -> String {
        hex::encode_upper(self.0)
    }

    /// The vendor id if it is printable ASCII, e.g. `HWTC`.
    pub fn vendor(&self) -> Option<&str> {
        let vendor = &self.0[..4];
        vendor.iter().all(u8::is_ascii_alphanumeric).then(|| std::str::from_utf8(vendor).ok()).flatten()
    }

    /// `HWTC7D4733C3` (ZTE, V-SOL); hex when the vendor id is not printable.
    pub fn ascii(&self) -> String {
        self.joined("")
    }

    /// `HWTC:7D4733C3` (Nokia, BDCOM).
    pub fn colon(&self) -> String {
        self.joined(":")
    }

    fn joined(&self, separator: &str) -> String {
        match self.vendor() {
            Some(vendor) => format!("{vendor}{separator}{}", hex::encode_upper(&self.0[4..])),
            None => self.hex16(),
        }
    }
}

/// `HWTC-7D4733C3`, the form people read on the label.
impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.joined("-"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl FromStr for Serial {
    type Err = SerialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || SerialError(text.chars().take(40).collect());
        // Huawei prints both forms: `485754437D4733C3 (HWTC-7D4733C3)`. The first one is complete.
        let first = text.trim().trim_matches('"').split(['(', ' ']).next().unwrap_or_default();
        if !first.is_ascii() {
            return Err(error());
        }
        let bytes = match first.len() {
            16 => hex::decode(first).map_err(|_| error())?,
            // Byte by byte, as scanners and some OLTs have it: `48:57:54:43:7D:47:33:C3`.
            23 => {
                let separators = first.bytes().skip(2).step_by(3);
                if !separators.clone().all(|b| b == b':') && !separators.clone().all(|b| b == b'-') {
                    return Err(error());
                }
                hex::decode(first.replace([':', '-'], "")).map_err(|_| error())?
            }
            12 | 13 => {
                let (vendor, rest) = first.split_at(4);
                let separated = rest.strip_prefix(['-', ':']);
                // Twelve hex digits and no separator are a MAC address, which some CPEs send as their serial number.
                if separated.is_none() && vendor.bytes().all(|b| b.is_ascii_hexdigit()) {
                    return Err(error());
                }
                let rest = separated.unwrap_or(rest);
                if !vendor.bytes().all(|b| b.is_ascii_alphanumeric()) || rest.len() != 8 {
                    return Err(error());
                }
                let mut bytes = vendor.to_ascii_uppercase().into_bytes();
                bytes.extend(hex::decode(rest).map_err(|_| error())?);
                bytes
            }
            _ => return Err(error()),
        };
        Ok(Serial(bytes.try_into().map_err(|_| error())?))
    }
}

impl Serialize for Serial {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.hex16())
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_notation_is_one_identity() {
        let want = Serial::from_bytes([0x48, 0x57, 0x54, 0x43, 0x7D, 0x47, 0x33, 0xC3]);
        for text in [
            "485754437D4733C3",
            "485754437d4733c3",
            "HWTC7D4733C3",
            "hwtc7d4733c3",
            "HWTC-7D4733C3",
            "HWTC:7D4733C3",
            "48:57:54:43:7D:47:33:C3",
            "48-57-54-43-7d-47-33-c3",
            "485754437D4733C3 (HWTC-7D4733C3)",
            "\"485754437D4733C3\"",
        ] {
            assert_eq!(text.parse(), Ok(want), "{text}");
        }
        assert_eq!((want.hex16().as_str(), want.ascii().as_str()), ("485754437D4733C3", "HWTC7D4733C3"));
        for bad in [
            "",
            "HWTC",
            "HWTC7D4733C",
            "HWTC7D4733C3X",
            "ÄWTC7D4733C3",
            "HW-C7D4733C3",
            "zzzz54437D4733C3",
            "48:57:54:43-7D:47:33:C3",
            "48:57:54:43:7D:47:33:",
            "4:857:54:43:7D:47:33:C3",
        ] {
            assert!(bad.parse::<Serial>().is_err(), "{bad}");
        }
    }

    #[test]
    fn unprintable_vendors_stay_hex() {
        let serial = Serial::from_bytes([0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(serial.to_string(), "0001020304050607");
    }

    proptest! {
        #[test]
        fn every_form_reads_back(bytes: [u8; 8], vendor in "[A-Z0-9]{4}") {
            let mut own = bytes;
            own[..4].copy_from_slice(vendor.as_bytes());
            for serial in [Serial::from_bytes(bytes), Serial::from_bytes(own)] {
                for text in [serial.hex16(), serial.to_string()] {
                    let back: Serial = text.parse().expect("own notation");
                    // A printable lower-case vendor id is the same ONU to every OLT we know.
                    prop_assert_eq!(back.hex16().to_ascii_uppercase()[8..].to_owned(), serial.hex16()[8..].to_owned());
                }
                prop_assert_eq!(serial.hex16().parse::<Serial>(), Ok(serial));
            }
        }

        #[test]
        fn any_text_is_answered_without_panic(text in "\\PC{0,40}") {
            let _ = text.parse::<Serial>();
        }
    }
}
