//! Between the device's orders and replies and CWMP messages.

use super::{
    behaviour::{DeviceSpec, InformMessage},
    order::{METHODS, Order, Reply},
    tree::{Fault, Setting, Value},
    values::Kind,
};
use cwmp::codec::{self, Body, CwmpVersion, DateTime, Envelope, ValueType};
use std::num::NonZeroU32;

fn value_type(kind: Kind) -> ValueType {
    match kind {
        Kind::String => ValueType::String,
        Kind::Int => ValueType::Int,
        Kind::UnsignedInt => ValueType::UnsignedInt,
        Kind::Long => ValueType::Long,
        Kind::UnsignedLong => ValueType::UnsignedLong,
        Kind::Boolean => ValueType::Boolean,
        Kind::DateTime => ValueType::DateTime,
        Kind::Base64 => ValueType::Base64,
        Kind::HexBinary => ValueType::HexBinary,
    }
}

fn parameters(values: Vec<Value>) -> Vec<codec::ParameterValue> {
    let parameter = |value: Value| codec::ParameterValue {
        name: value.path,
        value: codec::Value::new(value_type(value.kind), value.value),
    };
    values.into_iter().map(parameter).collect()
}

/// The Inform of a session.
pub(super) fn inform(spec: &DeviceSpec, message: &InformMessage) -> Body {
    let event = |event: &super::behaviour::Event| codec::Event {
        code: event.code.parse().unwrap_or_else(|never| match never {}),
        command_key: event.key.clone(),
    };
    Body::Inform(codec::Inform {
        device_id: codec::DeviceId {
            manufacturer: spec.manufacturer.clone(),
            oui: spec.oui.clone(),
            product_class: spec.product_class.clone(),
            serial_number: spec.cwmp_serial.clone(),
        },
        events: message.events.iter().map(event).collect(),
        max_envelopes: 1,
        current_time: DateTime::from_utc(types::UtcMs(message.current_time.0 / 1000 * 1000)),
        retry_count: message.retry_count,
        parameters: parameters(message.parameters.clone()),
    })
}

/// The order in a message of the ACS; `None` if it is none.
pub(super) fn order(body: Body) -> Option<Order> {
    let notification =
        |one: codec::SetParameterAttribute| (one.name, one.notification_change.then_some(one.notification));
    Some(match body {
        Body::GetRpcMethods => Order::GetMethods,
        Body::GetParameterNames(m) => Order::GetNames { path: m.path, next_level: m.next_level },
        Body::GetParameterValues(m) => Order::GetValues(m.names),
        Body::SetParameterValues(m) => Order::SetValues {
            settings: m
                .parameters
                .into_iter()
                .map(|one| Setting {
                    path: one.name,
                    kind: sent_kind(&one.value.type_),
                    value: one.value.text,
                })
                .collect(),
            key: m.parameter_key,
        },
        Body::AddObject(m) => Order::AddObject { table: m.object_name, key: m.parameter_key },
        Body::DeleteObject(m) => Order::DeleteObject { instance: m.object_name, key: m.parameter_key },
        Body::GetParameterAttributes(m) => Order::GetAttributes(m.names),
        Body::SetParameterAttributes(m) => {
            Order::SetAttributes(m.parameters.into_iter().map(notification).collect())
        }
        Body::Reboot(m) => Order::Reboot { key: m.command_key },
        Body::FactoryReset => Order::FactoryReset,
        Body::ScheduleInform(m) => Order::ScheduleInform { delay_s: m.delay_s, key: m.command_key },
        other => match other.role() {
            codec::Role::AcsRequest | codec::Role::Unknown => Order::Unsupported(other.method().to_owned()),
            _ => return None,
        },
    })
}

/// `None` when the ACS named no type of ours.
fn sent_kind(type_: &ValueType) -> Option<Kind> {
    match type_ {
        ValueType::Unspecified => None,
        named => Kind::parse(named.xsd_name()),
    }
}

/// The message of a reply.
pub(super) fn reply(reply: Reply) -> Body {
    use codec::Status::Applied;
    match reply {
        Reply::Methods => Body::GetRpcMethodsResponse(codec::GetRpcMethodsResponse {
            methods: METHODS.iter().map(|&method| method.to_owned()).collect(),
        }),
        Reply::Names(names) => Body::GetParameterNamesResponse(codec::GetParameterNamesResponse {
            parameters: names
                .into_iter()
                .map(|name| codec::ParameterInfo { name: name.path, writable: name.writable })
                .collect(),
        }),
        Reply::Values(values) => Body::GetParameterValuesResponse(codec::GetParameterValuesResponse {
            parameters: parameters(values),
        }),
        Reply::Set => Body::SetParameterValuesResponse(codec::SetParameterValuesResponse { status: Applied }),
        Reply::Added(number) => match NonZeroU32::new(number) {
            Some(instance_number) => {
                Body::AddObjectResponse(codec::AddObjectResponse { instance_number, status: Applied })
            }
            None => fault(Fault::new(9002)),
        },
        Reply::Deleted => Body::DeleteObjectResponse(codec::DeleteObjectResponse { status: Applied }),
        Reply::Attributes(attributes) => {
            Body::GetParameterAttributesResponse(codec::GetParameterAttributesResponse {
                parameters: attributes
                    .into_iter()
                    .map(|(name, notification)| codec::ParameterAttribute {
                        name,
                        notification,
                        access_list: vec!["Subscriber".to_owned()],
                    })
                    .collect(),
            })
        }
        Reply::AttributesSet => Body::SetParameterAttributesResponse,
        Reply::Rebooting => Body::RebootResponse,
        Reply::Resetting => Body::FactoryResetResponse,
        Reply::Scheduled => Body::ScheduleInformResponse,
        Reply::Fault(one) => fault(one),
    }
}

fn fault(fault: Fault) -> Body {
    Body::Fault(codec::Fault {
        text: fault.text,
        parameters: fault
            .parameters
            .into_iter()
            .map(|(name, code, text)| codec::ParameterFault { name, code: u32::from(code), text })
            .collect(),
        ..codec::Fault::new(u32::from(fault.code))
    })
}

/// An envelope as bytes.
pub(super) fn encode(id: Option<String>, version: CwmpVersion, body: Body) -> Vec<u8> {
    codec::encode(&Envelope::new(id, version, body), &codec::EncodeOptions::default())
}
