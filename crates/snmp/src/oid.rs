//! Object identifiers.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Most arcs of an OID (RFC 3416).
const MAX_ARCS: usize = 128;

/// An object identifier, printed `1.3.6.1.2.1.1.1.0`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Vec<u32>);

/// The text is no object identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an object identifier: {0:?} (numbers joined by dots, e.g. 1.3.6.1.2.1.1.1.0)")]
pub struct OidError(String);

impl Oid {
    /// From its numbers.
    pub fn new(arcs: impl Into<Vec<u32>>) -> Self {
        Oid(arcs.into())
    }

    /// Its numbers.
    pub fn arcs(&self) -> &[u32] {
        &self.0
    }

    /// What follows `root`; `None` if it is not below it.
    pub fn below(&self, root: &Oid) -> Option<&[u32]> {
        self.0.strip_prefix(root.0.as_slice()).filter(|rest| !rest.is_empty())
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arc) in self.0.iter().enumerate() {
            write!(f, "{}{arc}", if i == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Oid {
    type Err = OidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || OidError(text.chars().take(60).collect());
        let text = text.trim().trim_start_matches('.');
        let arcs: Vec<u32> = text
            .split('.')
            .take(MAX_ARCS + 1)
            .map(|arc| arc.parse().map_err(|_| error()))
            .collect::<Result<_, _>>()?;
        // The first two share an octet on the wire (X.690 §8.19.4).
        let fits =
            arcs.len() >= 2 && arcs.len() <= MAX_ARCS && arcs[0] <= 2 && (arcs[0] == 2 || arcs[1] < 40);
        if fits { Ok(Oid(arcs)) } else { Err(error()) }
    }
}

impl Serialize for Oid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Oid {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints() {
        let oid: Oid = ".1.3.6.1.2.1.1.1.0".parse().expect("oid");
        assert_eq!(oid.to_string(), "1.3.6.1.2.1.1.1.0");
        let root: Oid = "1.3.6.1.2.1.1".parse().expect("oid");
        assert_eq!(oid.below(&root), Some(&[1, 0][..]));
        assert_eq!(root.below(&root), None);
        for bad in ["", "1", "1.3.x", "1.3.-1", "3.1", "1.40", "1.3.4294967296", &"1.".repeat(200)] {
            assert!(bad.parse::<Oid>().is_err(), "{bad}");
        }
    }
}
