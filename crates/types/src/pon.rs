//! Where a PON port is on its OLT.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Frame, slot and port of a PON port, printed `0/1/6`. Parsing accepts the blanks that Huawei tables put in
/// (`0/1 /0`, `0/ 2/1`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PonPath {
    /// Frame (shelf), nearly always 0.
    pub frame: u8,
    /// Slot of the board.
    pub slot: u8,
    /// Port on the board.
    pub port: u8,
}

impl fmt::Display for PonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.frame, self.slot, self.port)
    }
}

/// The text names no PON port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a PON port: {0:?} (frame/slot/port wanted, e.g. 0/1/6)")]
pub struct PonPathError(String);

impl FromStr for PonPath {
    type Err = PonPathError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || PonPathError(text.chars().take(40).collect());
        let mut parts = text.split('/').map(|part| part.trim().parse::<u8>());
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(frame)), Some(Ok(slot)), Some(Ok(port)), None) => Ok(PonPath { frame, slot, port }),
            _ => Err(error()),
        }
    }
}

impl Serialize for PonPath {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PonPath {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_of_huawei_tables_do_not_matter() {
        let want = PonPath { frame: 0, slot: 2, port: 12 };
        for text in ["0/2/12", "0/2 /12", "0/ 2/12", " 0/2/12 "] {
            assert_eq!(text.parse(), Ok(want), "{text}");
        }
        for bad in ["", "0/1", "0/1/2/3", "0/1/x", "0/1/256"] {
            assert!(bad.parse::<PonPath>().is_err(), "{bad}");
        }
    }
}
