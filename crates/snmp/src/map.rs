//! What a vendor's OIDs mean: read from TOML, checked as a whole.

use crate::{Oid, OidError};
use serde::Deserialize;
use std::collections::BTreeMap;
use types::PonPath;

/// Bits of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BitField {
    /// Lowest bit.
    pub shift: u32,
    /// How many.
    pub bits: u32,
}

impl BitField {
    fn of(self, index: u32) -> u32 {
        index.checked_shr(self.shift).unwrap_or(0) & ((1u64 << self.bits.min(32)) - 1) as u32
    }
}

/// How an ifIndex names its PON port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PonIndex {
    /// Kind of interface.
    pub r#type: BitField,
    /// Kinds that are PON ports.
    pub types: Vec<u32>,
    /// Frame.
    pub frame: BitField,
    /// Slot.
    pub slot: BitField,
    /// Port.
    pub port: BitField,
}

impl PonIndex {
    /// The port, if it is a PON port.
    pub fn decode(&self, index: u32) -> Option<PonPath> {
        if !self.types.contains(&self.r#type.of(index)) {
            return None;
        }
        Some(PonPath {
            frame: u8::try_from(self.frame.of(index)).ok()?,
            slot: u8::try_from(self.slot.of(index)).ok()?,
            port: u8::try_from(self.port.of(index)).ok()?,
        })
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// A number with an offset and limits.
    Number,
    /// A number that stands for a word.
    State,
    /// The eight bytes of a PON serial.
    Serial,
    /// Text.
    Text,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Column without its row.
    pub oid: Oid,
    /// What it holds.
    pub kind: ColumnKind,
    /// Numbers that mean "no reading".
    #[serde(default)]
    pub absent: Vec<i64>,
    /// Added to the number.
    #[serde(default)]
    pub offset: i64,
    /// Smallest believable number; smaller is no reading.
    pub min: Option<i64>,
    /// Largest believable number.
    pub max: Option<i64>,
    /// Number to word.
    #[serde(default)]
    pub states: BTreeMap<String, String>,
    /// The OLT works for this: it asks each ONU.
    #[serde(default)]
    pub costly: bool,
}

impl Column {
    /// The number with its offset, unless it means nothing or is not believable (SNMPv2c has no checksum over values
    /// but UDP's).
    pub fn number(&self, raw: i64) -> Option<i64> {
        if self.absent.contains(&raw) {
            return None;
        }
        let value = raw.checked_add(self.offset)?;
        (self.min.is_none_or(|min| value >= min) && self.max.is_none_or(|max| value <= max)).then_some(value)
    }

    /// The word a number stands for.
    pub fn state(&self, raw: i64) -> Option<&str> {
        self.states.get(&raw.to_string()).map(String::as_str)
    }
}

/// How a vendor is recognised.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Match {
    #[serde(default)]
    sys_descr: String,
    #[serde(default)]
    sys_object_id_prefixes: Vec<Oid>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct System {
    software_version: Option<Oid>,
}

/// The OID map of a vendor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidMap {
    schema: u32,
    /// Name for machines.
    pub id: String,
    /// Name for people.
    pub name: String,
    r#match: Match,
    #[serde(default)]
    system: System,
    /// How an ifIndex names its port.
    pub pon_index: PonIndex,
    onu: BTreeMap<String, Column>,
}

/// The map is unusable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MapError {
    /// Not the form.
    #[error("OID map: {0}")]
    Form(String),
    /// An OID in it.
    #[error("OID map: {0}")]
    Oid(#[from] OidError),
    /// Of another time.
    #[error("OID map {id:?} has schema {schema}; this version reads schema 1")]
    Schema {
        /// Map.
        id: String,
        /// Its schema.
        schema: u32,
    },
    /// A column makes no sense.
    #[error("OID map {id:?}, column {column:?}: {why}")]
    Column {
        /// Map.
        id: String,
        /// Column.
        column: String,
        /// What is wrong.
        why: &'static str,
    },
}

impl OidMap {
    /// Reads and checks a map.
    ///
    /// # Errors
    /// When anything in it is wrong; nothing of it is used then.
    pub fn from_toml(text: &str) -> Result<Self, MapError> {
        let map: OidMap = toml::from_str(text).map_err(|error| MapError::Form(error.to_string()))?;
        if map.schema != 1 {
            return Err(MapError::Schema { id: map.id, schema: map.schema });
        }
        for (name, column) in &map.onu {
            let why = match column.kind {
                ColumnKind::State if column.states.is_empty() => Some("a state column needs its states"),
                ColumnKind::State if column.states.keys().any(|key| key.parse::<i64>().is_err()) => {
                    Some("the keys of states are numbers")
                }
                ColumnKind::Number if column.min.zip(column.max).is_some_and(|(min, max)| min > max) => {
                    Some("min is above max")
                }
                _ => None,
            };
            if let Some(why) = why {
                return Err(MapError::Column { id: map.id.clone(), column: name.clone(), why });
            }
        }
        Ok(map)
    }

    /// The map for Huawei SmartAX that Lightkeeper comes with.
    ///
    /// # Panics
    /// Never: the file is part of the program and read by a test.
    pub fn huawei() -> Self {
        Self::from_toml(include_str!("../../profiles/snmp/huawei.toml"))
            .expect("the file is part of the program")
    }

    /// True if an OLT with this description or object id is one of these.
    pub fn matches(&self, sys_descr: &str, sys_object_id: Option<&Oid>) -> bool {
        (!self.r#match.sys_descr.is_empty() && sys_descr.contains(&self.r#match.sys_descr))
            || sys_object_id.is_some_and(|oid| {
                let prefixes = &self.r#match.sys_object_id_prefixes;
                prefixes.iter().any(|prefix| oid == prefix || oid.below(prefix).is_some())
            })
    }

    /// A column of the ONU tables.
    pub fn onu_column(&self, name: &str) -> Option<&Column> {
        self.onu.get(name)
    }

    pub(crate) fn software_version(&self) -> Option<&Oid> {
        self.system.software_version.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huawei_indexes_name_their_ports() {
        let map = OidMap::huawei();
        let port = |slot, port| Some(PonPath { frame: 0, slot, port });
        assert_eq!(map.pon_index.decode(4_194_304_000), port(0, 0));
        assert_eq!(map.pon_index.decode(4_194_304_000 + 8_192 * 2 + 256 * 11), port(2, 11));
        // ethernet0/7/0 is no PON port.
        assert_eq!(map.pon_index.decode(234_938_368), None);
    }

    #[test]
    fn readings_that_are_none() {
        let map = OidMap::huawei();
        let rx = map.onu_column("rx_power_cdbm").expect("column");
        assert_eq!(rx.number(-1_950), Some(-1_950));
        assert_eq!([rx.number(2_147_483_647), rx.number(-70_000), rx.number(2_000)], [None, None, None]);
        let olt_rx = map.onu_column("olt_rx_power_cdbm").expect("column");
        assert_eq!([olt_rx.number(8_775), olt_rx.number(8_413)], [Some(-1_225), Some(-1_587)]);
        assert_eq!(olt_rx.number(i64::MIN), None);
    }

    #[test]
    fn a_map_is_recognised_and_a_bad_one_refused() {
        let map = OidMap::huawei();
        assert!(map.matches("Huawei Integrated Access Software", None));
        assert!(map.matches("", Some(&"1.3.6.1.4.1.2011.2.248".parse().expect("oid"))));
        assert!(!map.matches("ZXA10", Some(&"1.3.6.1.4.1.2011.2.2481".parse().expect("oid"))));
        let text = include_str!("../../profiles/snmp/huawei.toml");
        assert!(matches!(
            OidMap::from_toml(&text.replace("schema = 1", "schema = 2")),
            Err(MapError::Schema { schema: 2, .. })
        ));
        assert!(OidMap::from_toml(&text.replace("min = 0", "min = 200000")).is_err());
        assert!(OidMap::from_toml(&text.replace("1.3.6.1.4.1.2011.6.3.1.999.0", "1.x")).is_err());
        assert!(OidMap::from_toml(&text.replace("costly", "cheap")).is_err(), "unknown words are mistakes");
    }
}
