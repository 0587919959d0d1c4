//! What is said to a device and what it answers, free of any protocol (CWMP today, USP later).

use serde::{Deserialize, Serialize};
use types::Secret;

/// One request to the device. The edge maps it to an RPC (TR-069 Annex A).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceRequest {
    /// GetParameterNames. `path` of an object ends with a dot.
    GetNames {
        /// Object path, with its trailing dot.
        path: String,
        /// Only the children, not the whole subtree.
        next_level: bool,
    },
    /// GetParameterValues of full leaf paths.
    GetValues {
        /// Full leaf paths.
        paths: Vec<String>,
    },
    /// SetParameterValues. An answer is never a proof; the machine reads back.
    SetValues {
        /// What to write, in order. Never empty, no duplicate paths.
        values: Vec<SetValue>,
        /// ParameterKey (at most 32 characters, may be empty).
        key: String,
    },
    /// AddObject on a table path with its trailing dot.
    AddObject {
        /// Table path, with its trailing dot.
        path: String,
        /// ParameterKey (at most 32 characters, may be empty).
        key: String,
    },
    /// Reboot. Only ever by somebody's order.
    Reboot {
        /// CommandKey (at most 32 characters); comes back with `M Reboot`.
        key: String,
    },
    /// FactoryReset. Only ever by somebody's order.
    FactoryReset,
}

impl DeviceRequest {
    /// Creates an object: at most one per session where the profile says so.
    pub fn is_structural(&self) -> bool {
        matches!(self, DeviceRequest::AddObject { .. })
    }

    /// Changes something on the device.
    pub fn is_write(&self) -> bool {
        matches!(self, DeviceRequest::AddObject { .. } | DeviceRequest::SetValues { .. })
    }

    /// The TR-069 name of the RPC, for records.
    pub fn rpc(&self) -> &'static str {
        match self {
            DeviceRequest::GetNames { .. } => "GetParameterNames",
            DeviceRequest::GetValues { .. } => "GetParameterValues",
            DeviceRequest::SetValues { .. } => "SetParameterValues",
            DeviceRequest::AddObject { .. } => "AddObject",
            DeviceRequest::Reboot { .. } => "Reboot",
            DeviceRequest::FactoryReset => "FactoryReset",
        }
    }
}

/// A value on its way to the device. Serialises with a secret in the clear: only ever a stand-in for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteValue {
    /// May be shown.
    Plain(String),
    /// Never shown, never stored in the clear.
    Secret(Secret),
}

impl WriteValue {
    /// The text for the wire. Call it where the value is encoded, nowhere else.
    pub fn expose(&self) -> &str {
        match self {
            WriteValue::Plain(text) => text,
            WriteValue::Secret(secret) => secret.expose(),
        }
    }

    /// True for a secret.
    pub fn is_secret(&self) -> bool {
        matches!(self, WriteValue::Secret(_))
    }

    /// For pages and records: the text, or dots.
    pub fn masked(&self) -> String {
        match self {
            WriteValue::Plain(text) => text.clone(),
            WriteValue::Secret(secret) => secret.to_string(),
        }
    }
}

/// One parameter to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetValue {
    /// Full leaf path.
    pub path: String,
    /// The value.
    pub value: WriteValue,
    /// Its type on the wire.
    pub kind: ValueKind,
}

/// CWMP parameter types (TR-106 §3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub enum ValueKind {
    #[default]
    String,
    Int,
    UnsignedInt,
    Long,
    UnsignedLong,
    Boolean,
    DateTime,
    Base64,
    HexBinary,
}

impl ValueKind {
    /// The name after `xsd:`.
    pub fn xsd(self) -> &'static str {
        match self {
            ValueKind::String => "string",
            ValueKind::Int => "int",
            ValueKind::UnsignedInt => "unsignedInt",
            ValueKind::Long => "long",
            ValueKind::UnsignedLong => "unsignedLong",
            ValueKind::Boolean => "boolean",
            ValueKind::DateTime => "dateTime",
            ValueKind::Base64 => "base64",
            ValueKind::HexBinary => "hexBinary",
        }
    }

    /// From the name after `xsd:`; anything unknown is a string (devices send `string(64)`, `xsd:text` …).
    pub fn from_xsd(name: &str) -> Self {
        match name {
            "int" => ValueKind::Int,
            "unsignedInt" => ValueKind::UnsignedInt,
            "long" => ValueKind::Long,
            "unsignedLong" => ValueKind::UnsignedLong,
            "boolean" => ValueKind::Boolean,
            "dateTime" => ValueKind::DateTime,
            "base64" | "base64Binary" => ValueKind::Base64,
            "hexBinary" => ValueKind::HexBinary,
            _ => ValueKind::String,
        }
    }
}

/// One line of a GetParameterNames answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameInfo {
    /// Full path; objects end with a dot.
    pub path: String,
    /// Leaf: may be written. Table: AddObject allowed. Instance: DeleteObject allowed.
    pub writable: bool,
}

/// A value the device reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamValue {
    /// Full leaf path.
    pub path: String,
    /// As sent.
    pub value: String,
    /// As sent.
    #[serde(default)]
    pub kind: ValueKind,
}

/// What the device answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceReply {
    /// To GetNames.
    Names(Vec<NameInfo>),
    /// To GetValues.
    Values(Vec<ParamValue>),
    /// To SetValues: 0 applied, 1 applied later.
    Set {
        /// Status of the response.
        status: u8,
    },
    /// To AddObject.
    Added {
        /// InstanceNumber of the response.
        instance: u32,
        /// 0 applied, 1 applied later.
        status: u8,
    },
    /// To Reboot and FactoryReset: it will.
    Accepted,
    /// A CWMP fault to any of them.
    Fault(DeviceFault),
}

/// A CWMP fault (TR-069 Annex A.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFault {
    /// FaultCode, 9000…
    pub code: u32,
    /// FaultString.
    pub text: String,
    /// SetParameterValuesFault entries; often empty although they should not be.
    pub parameters: Vec<ParameterFault>,
}

/// One SetParameterValuesFault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParameterFault {
    /// ParameterName.
    pub path: String,
    /// FaultCode.
    pub code: u32,
    /// FaultString.
    pub text: String,
}
