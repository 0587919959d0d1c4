//! How a field of a row is stored in a column.

use crate::{error::StoreError, sealing::Sealed};
use serde::{Deserialize, Serialize};
use types::{
    ApiKeyId, CpeFirmwareId, CpeId, CpeRecordingId, CpeSessionId, CustomerId, DetectedOnuId, DeviceOrderId,
    FirmwareFileId, JobId, OltId, OltTaskId, OnuRowId, PlanId, PonPath, Serial, ServiceId, TimelineId,
    UserId, UtcMs,
};

/// What the live schema must offer for a field. Engines spell types differently (`bigint`, `int8`, `INTEGER`);
/// the class is what they agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeClass {
    Integer,
    Text,
    Boolean,
    Bytes,
}

impl std::fmt::Display for TypeClass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            TypeClass::Integer => "a whole number",
            TypeClass::Text => "text",
            TypeClass::Boolean => "true or false",
            TypeClass::Bytes => "bytes",
        })
    }
}

/// A type that a row may hold, and its form in the database. Reading can fail: somebody may have edited the
/// database by hand, and a wrong value must become an error with a place, not a panic and not a guess.
pub trait Cell: Sized {
    type Raw;
    const CLASS: TypeClass;
    const NULLABLE: bool = false;

    fn into_raw(self) -> Self::Raw;
    /// The error is only what is wrong; the caller adds table and column.
    fn from_raw(raw: Self::Raw) -> Result<Self, String>;
}

macro_rules! as_is {
    ($($type:ty => $class:ident),* $(,)?) => {$(
        impl Cell for $type {
            type Raw = $type;
            const CLASS: TypeClass = TypeClass::$class;
            fn into_raw(self) -> Self::Raw { self }
            fn from_raw(raw: Self::Raw) -> Result<Self, String> { Ok(raw) }
        }
    )*};
}

as_is! { i64 => Integer, bool => Boolean, String => Text, Vec<u8> => Bytes }

macro_rules! as_integer {
    ($($type:ident),* $(,)?) => {$(
        impl Cell for $type {
            type Raw = i64;
            const CLASS: TypeClass = TypeClass::Integer;
            fn into_raw(self) -> i64 { self.0 }
            fn from_raw(raw: i64) -> Result<Self, String> { Ok($type(raw)) }
        }
    )*};
}

as_integer! {
    UtcMs, ApiKeyId, CpeFirmwareId, CpeId, CpeRecordingId, CpeSessionId, CustomerId, DetectedOnuId, DeviceOrderId, FirmwareFileId, JobId, OltId, OltTaskId, OnuRowId, PlanId,
    ServiceId, TimelineId, UserId,
}

impl<C: Cell> Cell for Option<C> {
    type Raw = Option<C::Raw>;
    const CLASS: TypeClass = C::CLASS;
    const NULLABLE: bool = true;
    fn into_raw(self) -> Self::Raw {
        self.map(C::into_raw)
    }
    fn from_raw(raw: Self::Raw) -> Result<Self, String> {
        raw.map(C::from_raw).transpose()
    }
}

impl Cell for Sealed {
    type Raw = Vec<u8>;
    const CLASS: TypeClass = TypeClass::Bytes;
    fn into_raw(self) -> Vec<u8> {
        self.into_bytes()
    }
    fn from_raw(raw: Vec<u8>) -> Result<Self, String> {
        Ok(Sealed::from_bytes(raw))
    }
}

/// JSON is stored as text: both engines then keep it byte for byte and nobody is tempted to query inside it.
impl Cell for serde_json::Value {
    type Raw = String;
    const CLASS: TypeClass = TypeClass::Text;
    fn into_raw(self) -> String {
        self.to_string()
    }
    fn from_raw(raw: String) -> Result<Self, String> {
        serde_json::from_str(&raw).map_err(|error| format!("not JSON: {error}"))
    }
}

/// JSON as it is stored: a document that is large and in every row, and that few who read the row look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawJson(String);

impl RawJson {
    /// What a value is stored as.
    ///
    /// # Errors
    /// When JSON cannot tell it.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::to_string(value).map(RawJson)
    }

    /// What it says, as a type of the caller's.
    ///
    /// # Errors
    /// When it says something else.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// What it says, to look into; null if it is no JSON.
    pub fn value(&self) -> serde_json::Value {
        self.read().unwrap_or_default()
    }

    /// It says nothing.
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for RawJson {
    fn default() -> Self {
        RawJson("null".to_owned())
    }
}

impl From<serde_json::Value> for RawJson {
    fn from(value: serde_json::Value) -> Self {
        RawJson(value.to_string())
    }
}

impl Cell for RawJson {
    type Raw = String;
    const CLASS: TypeClass = TypeClass::Text;
    fn into_raw(self) -> String {
        self.0
    }
    fn from_raw(raw: String) -> Result<Self, String> {
        Ok(RawJson(raw))
    }
}

/// One spelling in the database (16 hex digits), so that equal serials are equal text.
impl Cell for Serial {
    type Raw = String;
    const CLASS: TypeClass = TypeClass::Text;
    fn into_raw(self) -> String {
        self.hex16()
    }
    fn from_raw(raw: String) -> Result<Self, String> {
        raw.parse().map_err(|error: types::SerialError| error.to_string())
    }
}

impl Cell for PonPath {
    type Raw = String;
    const CLASS: TypeClass = TypeClass::Text;
    fn into_raw(self) -> String {
        self.to_string()
    }
    fn from_raw(raw: String) -> Result<Self, String> {
        raw.parse().map_err(|error: types::PonPathError| error.to_string())
    }
}

/// Short for the entity derive, which cannot read `<C as Cell>::Raw`.
pub(crate) type Raw<C> = <C as Cell>::Raw;

/// Reads one cell, naming its place when it cannot be read.
pub(crate) fn read<C: Cell>(raw: C::Raw, table: &'static str, column: &'static str) -> Result<C, StoreError> {
    C::from_raw(raw).map_err(|why| StoreError::Unreadable { table, column, why })
}

/// The same from a column that was read near by; `None` when it cannot be read.
pub(crate) fn near<C: Cell>(row: &rusqlite::Row<'_>, column: usize) -> Option<C>
where
    C::Raw: rusqlite::types::FromSql,
{
    C::from_raw(row.get(column).ok()?).ok()
}
