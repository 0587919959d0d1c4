//! MAC addresses in every notation that OLTs, CPEs and people use.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A 48-bit MAC address. Parses `AA:BB:CC:DD:EE:FF`, `aa-bb-…`, `aabb.ccdd.eeff`, `aabb-ccdd-eeff` (Huawei) and
/// bare hex; prints upper case with colons. Digits in other groups, such as those of a date, are no address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = self.0;
        write!(f, "{:02X}:{:02X}:{:02X}:{:02X}:{:02X}:{:02X}", b[0], b[1], b[2], b[3], b[4], b[5])
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mac({self})")
    }
}

/// The text is not a MAC address in any known notation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a MAC address: {0:?} (12 hex digits wanted, with or without separators)")]
pub struct MacError(String);

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || MacError(text.chars().take(40).collect());
        let trimmed = text.trim();
        let separator = trimmed.chars().find(|c| matches!(c, ':' | '-' | '.'));
        let groups: Vec<&str> = match separator {
            Some(separator) if trimmed.len() <= 17 => trimmed.split(separator).collect(),
            _ => vec![trimmed],
        };
        let digits_each = match groups.len() {
            1 => 12,
            3 => 4,
            6 => 2,
            _ => return Err(error()),
        };
        if groups.iter().any(|group| group.len() != digits_each) {
            return Err(error());
        }
        let bytes = hex::decode(groups.concat()).map_err(|_| error())?;
        Ok(Mac(bytes.try_into().map_err(|_| error())?))
    }
}

impl Serialize for Mac {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_the_same_address() {
        let want = Mac([0x00, 0x25, 0x9E, 0x12, 0x34, 0xAB]);
        for text in
            ["00:25:9E:12:34:AB", "00-25-9e-12-34-ab", "0025.9e12.34ab", "0025-9e12-34ab", "00259E1234ab"]
        {
            assert_eq!(text.parse(), Ok(want), "{text}");
        }
        assert_eq!(want.to_string(), "00:25:9E:12:34:AB");
        for bad in [
            "",
            "00:25:9E:12:34",
            "00:25:9E:12:34:AB:CD",
            "zz259E1234AB",
            "00259E1234AB1",
            "00:25-9E:12:34:AB",
            "2026-11-21-1430",
            "99-000-142-1234",
            "0025:9E12:34AB:",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }
}
