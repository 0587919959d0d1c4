//! What an ACS asks of a device and what the device answers, free of XML.

use super::tree::{Fault, Name, Setting, Value};

/// A request of the ACS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// GetRPCMethods.
    GetMethods,
    /// GetParameterNames.
    GetNames {
        /// Partial path, full name or empty.
        path: String,
        /// One level only.
        next_level: bool,
    },
    /// GetParameterValues.
    GetValues(Vec<String>),
    /// SetParameterValues.
    SetValues {
        /// What to set.
        settings: Vec<Setting>,
        /// The ParameterKey.
        key: String,
    },
    /// AddObject.
    AddObject {
        /// Path of the table.
        table: String,
        /// The ParameterKey.
        key: String,
    },
    /// DeleteObject.
    DeleteObject {
        /// Path of the instance.
        instance: String,
        /// The ParameterKey.
        key: String,
    },
    /// GetParameterAttributes.
    GetAttributes(Vec<String>),
    /// SetParameterAttributes: path and new notification, if it is to change.
    SetAttributes(Vec<(String, Option<u8>)>),
    /// Reboot.
    Reboot {
        /// Comes back with `M Reboot`.
        key: String,
    },
    /// FactoryReset.
    FactoryReset,
    /// ScheduleInform.
    ScheduleInform {
        /// Seconds from now.
        delay_s: u32,
        /// Comes back with `M ScheduleInform`.
        key: String,
    },
    /// A method this device does not have.
    Unsupported(String),
}

impl Order {
    /// The CWMP method.
    pub fn method(&self) -> &str {
        match self {
            Order::GetMethods => "GetRPCMethods",
            Order::GetNames { .. } => "GetParameterNames",
            Order::GetValues(_) => "GetParameterValues",
            Order::SetValues { .. } => "SetParameterValues",
            Order::AddObject { .. } => "AddObject",
            Order::DeleteObject { .. } => "DeleteObject",
            Order::GetAttributes(_) => "GetParameterAttributes",
            Order::SetAttributes(_) => "SetParameterAttributes",
            Order::Reboot { .. } => "Reboot",
            Order::FactoryReset => "FactoryReset",
            Order::ScheduleInform { .. } => "ScheduleInform",
            Order::Unsupported(method) => method,
        }
    }
}

/// The methods a simulated CPE has.
pub const METHODS: [&str; 11] = [
    "GetRPCMethods",
    "SetParameterValues",
    "GetParameterValues",
    "GetParameterNames",
    "SetParameterAttributes",
    "GetParameterAttributes",
    "AddObject",
    "DeleteObject",
    "Reboot",
    "FactoryReset",
    "ScheduleInform",
];

/// An answer of the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// GetRPCMethodsResponse.
    Methods,
    /// GetParameterNamesResponse.
    Names(Vec<Name>),
    /// GetParameterValuesResponse.
    Values(Vec<Value>),
    /// SetParameterValuesResponse.
    Set,
    /// AddObjectResponse.
    Added(u32),
    /// DeleteObjectResponse.
    Deleted,
    /// GetParameterAttributesResponse: path and notification.
    Attributes(Vec<(String, u8)>),
    /// SetParameterAttributesResponse.
    AttributesSet,
    /// RebootResponse.
    Rebooting,
    /// FactoryResetResponse.
    Resetting,
    /// ScheduleInformResponse.
    Scheduled,
    /// A fault.
    Fault(Fault),
}

/// What happens to the session after an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The reply is sent.
    Answer,
    /// The connection drops; nothing is sent.
    Drop,
    /// The device restarts at once; nothing is sent.
    Restart,
}
