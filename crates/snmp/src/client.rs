//! The client as the rest of Lightkeeper sees it.

use crate::{Oid, SnmpError};
use async_trait::async_trait;

/// A value of SMIv2, as far as we read any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// INTEGER, and everything smaller.
    Integer(i64),
    /// Counter32, Counter64, Gauge32.
    Unsigned(u64),
    /// TimeTicks: hundredths of a second; wraps after 497 days.
    Ticks(u32),
    /// OCTET STRING.
    Bytes(Vec<u8>),
    /// OBJECT IDENTIFIER.
    Oid(Oid),
    /// The agent has no such object or instance.
    Absent,
    /// Something else.
    Other,
}

impl Value {
    /// As a number, if it is one.
    pub fn number(&self) -> Option<i64> {
        match self {
            Value::Integer(n) => Some(*n),
            Value::Unsigned(n) => i64::try_from(*n).ok(),
            Value::Ticks(n) => Some(i64::from(*n)),
            Value::Bytes(_) | Value::Oid(_) | Value::Absent | Value::Other => None,
        }
    }

    /// As text, if it is one: what is not UTF-8 is replaced, trailing NULs and blanks go.
    pub fn text(&self) -> Option<String> {
        match self {
            Value::Bytes(bytes) => {
                Some(String::from_utf8_lossy(bytes).trim_end_matches(['\0', ' ']).to_owned())
            }
            Value::Oid(oid) => Some(oid.to_string()),
            Value::Integer(_) | Value::Unsigned(_) | Value::Ticks(_) | Value::Absent | Value::Other => None,
        }
    }
}

/// One binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Object.
    pub oid: Oid,
    /// Value.
    pub value: Value,
}

/// Reads an agent.
#[async_trait]
pub trait SnmpClient: Send + Sync {
    /// Reads scalars, in the order asked; what the agent does not have is [`Value::Absent`].
    ///
    /// # Errors
    /// See [`SnmpError`].
    async fn get(&self, oids: &[Oid]) -> Result<Vec<Value>, SnmpError>;

    /// Reads everything below `root`, in order.
    ///
    /// # Errors
    /// See [`SnmpError`]; a table larger than the client's limit is an error, not a part of the table.
    async fn walk(&self, root: &Oid) -> Result<Vec<Row>, SnmpError>;
}
