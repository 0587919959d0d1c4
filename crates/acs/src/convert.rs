//! CWMP messages to the words of `app`, and back.

use app::ports::{
    CpeNotice, DeviceReply, DeviceRequest, InformFacts, SoapPrefix, SoapSpelling, SoapVersion, Truth,
};
use cwmp::{
    Body, BooleanLiteral, CwmpVersion, EncodeOptions,
    codec::{
        AddObject, Fault, GetParameterNames, GetParameterValues, Inform, ParameterValue, Reboot,
        SetParameterValues, Status, Value, ValueType,
    },
};
use provisioning::{DeviceFault, InformEvent, NameInfo, ParamValue, ParameterFault, ValueKind};

/// Characters kept of each text that a device says about itself. TR-069 allows 64; the database need not carry
/// more because a device ignores that.
const MAX_IDENTITY_CHARS: usize = 128;
/// Parameters kept of an Inform.
const MAX_INFORM_PARAMETERS: usize = 512;
/// Characters kept of a parameter in an Inform, which anyone may send. What is told there is names, versions, addresses
/// and a URL (TR-069: 256); it goes into sentences and rows.
const MAX_INFORM_VALUE_CHARS: usize = 1024;
/// Characters kept of a text that comes with a fault.
const MAX_FAULT_CHARS: usize = 512;

fn cut(text: String, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

pub(crate) fn inform_facts(inform: Inform, version: CwmpVersion) -> InformFacts {
    let identity = |text: String| cut(text, MAX_IDENTITY_CHARS);
    InformFacts {
        manufacturer: identity(inform.device_id.manufacturer),
        oui: identity(inform.device_id.oui),
        product_class: identity(inform.device_id.product_class),
        serial_number: identity(inform.device_id.serial_number),
        events: inform
            .events
            .into_iter()
            .take(64)
            .map(|event| InformEvent {
                code: identity(event.code.to_string()),
                command_key: identity(event.command_key),
            })
            .collect(),
        current_time: identity(inform.current_time.0),
        retry_count: inform.retry_count,
        parameters: inform
            .parameters
            .into_iter()
            .take(MAX_INFORM_PARAMETERS)
            .map(param_value)
            .map(|value| ParamValue {
                path: cut(value.path, MAX_INFORM_VALUE_CHARS),
                value: cut(value.value, MAX_INFORM_VALUE_CHARS),
                ..value
            })
            .collect(),
        cwmp_namespace: format!("urn:dslforum-org:cwmp-{}", version.suffix()),
    }
}

fn param_value(parameter: ParameterValue) -> ParamValue {
    let kind = match parameter.value.type_ {
        ValueType::Int => ValueKind::Int,
        ValueType::UnsignedInt => ValueKind::UnsignedInt,
        ValueType::Long => ValueKind::Long,
        ValueType::UnsignedLong => ValueKind::UnsignedLong,
        ValueType::Boolean => ValueKind::Boolean,
        ValueType::DateTime => ValueKind::DateTime,
        ValueType::Base64 => ValueKind::Base64,
        ValueType::HexBinary => ValueKind::HexBinary,
        ValueType::String | ValueType::Unspecified | ValueType::Other(_) => ValueKind::String,
    };
    ParamValue { path: parameter.name, value: parameter.value.text, kind }
}

/// How a device is written to: as its Inform is spelled, and as its family wants it.
pub(crate) fn encode_options(base: EncodeOptions, inform: &[u8], family: SoapSpelling) -> EncodeOptions {
    let truth = |word: Truth| match word {
        Truth::Digit => BooleanLiteral::Digit,
        Truth::Word => BooleanLiteral::Word,
    };
    let mirrored = base.like(inform);
    EncodeOptions {
        xml_declaration: family.xml_declaration.unwrap_or(mirrored.xml_declaration),
        prefix: family.prefix.map_or(mirrored.prefix, |prefix| match prefix {
            SoapPrefix::SoapDashEnv => cwmp::SoapPrefix::SoapDashEnv,
            SoapPrefix::UpperSoapDashEnv => cwmp::SoapPrefix::UpperSoapDashEnv,
            SoapPrefix::Soapenv => cwmp::SoapPrefix::Soapenv,
            SoapPrefix::Soap => cwmp::SoapPrefix::Soap,
        }),
        version: family.version.map_or(mirrored.version, |version| {
            Some(match version {
                SoapVersion::V1_0 => CwmpVersion::V1_0,
                SoapVersion::V1_1 => CwmpVersion::V1_1,
                SoapVersion::V1_2 => CwmpVersion::V1_2,
            })
        }),
        must_understand: family.must_understand.unwrap_or(mirrored.must_understand),
        boolean: family.boolean.map_or(mirrored.boolean, truth),
        next_level: family.next_level.map_or(mirrored.next_level, truth),
        fractional_seconds: family.fractional_seconds.unwrap_or(mirrored.fractional_seconds),
    }
}

pub(crate) fn request_body(request: DeviceRequest) -> Body {
    match request {
        DeviceRequest::GetNames { path, next_level } => {
            Body::GetParameterNames(GetParameterNames { path, next_level })
        }
        DeviceRequest::GetValues { paths } => Body::GetParameterValues(GetParameterValues { names: paths }),
        DeviceRequest::SetValues { values, key } => Body::SetParameterValues(SetParameterValues {
            parameters: values
                .into_iter()
                .map(|set| ParameterValue {
                    value: Value::new(value_type(set.kind), set.value.expose()),
                    name: set.path,
                })
                .collect(),
            parameter_key: key,
        }),
        DeviceRequest::AddObject { path, key } => {
            Body::AddObject(AddObject { object_name: path, parameter_key: key })
        }
        DeviceRequest::Reboot { key } => Body::Reboot(Reboot { command_key: key }),
        DeviceRequest::FactoryReset => Body::FactoryReset,
    }
}

fn value_type(kind: ValueKind) -> ValueType {
    match kind {
        ValueKind::String => ValueType::String,
        ValueKind::Int => ValueType::Int,
        ValueKind::UnsignedInt => ValueType::UnsignedInt,
        ValueKind::Long => ValueType::Long,
        ValueKind::UnsignedLong => ValueType::UnsignedLong,
        ValueKind::Boolean => ValueType::Boolean,
        ValueKind::DateTime => ValueType::DateTime,
        ValueKind::Base64 => ValueType::Base64,
        ValueKind::HexBinary => ValueType::HexBinary,
    }
}

fn status_number(status: Status) -> u8 {
    match status {
        Status::Applied => 0,
        Status::Pending => 1,
    }
}

/// `None` for an answer that no [`DeviceRequest`] has.
pub(crate) fn device_reply(answer: Body) -> Option<DeviceReply> {
    Some(match answer {
        Body::GetParameterNamesResponse(response) => DeviceReply::Names(
            response
                .parameters
                .into_iter()
                .map(|entry| NameInfo { path: entry.name, writable: entry.writable })
                .collect(),
        ),
        Body::GetParameterValuesResponse(response) => {
            DeviceReply::Values(response.parameters.into_iter().map(param_value).collect())
        }
        Body::SetParameterValuesResponse(response) => {
            DeviceReply::Set { status: status_number(response.status) }
        }
        Body::AddObjectResponse(response) => DeviceReply::Added {
            instance: response.instance_number.get(),
            status: status_number(response.status),
        },
        Body::RebootResponse | Body::FactoryResetResponse => DeviceReply::Accepted,
        Body::Fault(fault) => DeviceReply::Fault(device_fault(fault)),
        _ => return None,
    })
}

pub(crate) fn device_fault(fault: Fault) -> DeviceFault {
    DeviceFault {
        code: fault.code,
        text: cut(fault.text, MAX_FAULT_CHARS),
        parameters: fault
            .parameters
            .into_iter()
            .take(256)
            .map(|parameter| ParameterFault {
                path: cut(parameter.name, MAX_FAULT_CHARS),
                code: parameter.code,
                text: cut(parameter.text, MAX_FAULT_CHARS),
            })
            .collect(),
    }
}

pub(crate) fn notice(request: &Body) -> CpeNotice {
    match request {
        Body::TransferComplete(complete) => CpeNotice::TransferComplete {
            command_key: cut(complete.command_key.clone(), MAX_IDENTITY_CHARS),
            fault_code: complete.fault.code,
            fault_text: cut(complete.fault.text.clone(), MAX_FAULT_CHARS),
        },
        other => CpeNotice::Other { method: cut(other.method().to_owned(), MAX_IDENTITY_CHARS) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cwmp::codec::{DateTime, DeviceId};
    use provisioning::{SetValue, WriteValue};
    use types::Secret;

    #[test]
    fn a_device_cannot_fill_the_database_with_its_name() {
        let long = "é".repeat(100_000);
        let parameter =
            ParameterValue { name: "A".into(), value: Value::new(ValueType::Unspecified, long.as_str()) };
        let facts = inform_facts(
            Inform {
                device_id: DeviceId {
                    manufacturer: long.clone(),
                    oui: long.clone(),
                    product_class: long.clone(),
                    serial_number: long.clone(),
                },
                events: vec![],
                max_envelopes: 1,
                current_time: DateTime(long),
                retry_count: 7,
                parameters: vec![parameter; 1_000],
            },
            CwmpVersion::V1_2,
        );
        for text in
            [&facts.manufacturer, &facts.oui, &facts.product_class, &facts.serial_number, &facts.current_time]
        {
            assert_eq!(text.chars().count(), MAX_IDENTITY_CHARS);
        }
        assert_eq!(facts.parameters.len(), MAX_INFORM_PARAMETERS);
        assert_eq!(facts.parameters[0].value.chars().count(), MAX_INFORM_VALUE_CHARS);
        assert_eq!(facts.cwmp_namespace, "urn:dslforum-org:cwmp-1-2");
        assert_eq!(facts.retry_count, 7);
    }

    #[test]
    fn requests_keep_order_types_and_secrets() {
        let body = request_body(DeviceRequest::SetValues {
            values: vec![
                SetValue { path: "A".into(), value: WriteValue::Plain("1".into()), kind: ValueKind::Boolean },
                SetValue {
                    path: "B".into(),
                    value: WriteValue::Secret(Secret::new("s")),
                    kind: ValueKind::String,
                },
            ],
            key: "k".into(),
        });
        let Body::SetParameterValues(set) = body else { panic!("another RPC") };
        let seen: Vec<_> =
            set.parameters.iter().map(|p| (p.name.as_str(), &p.value.type_, p.value.text.as_str())).collect();
        assert_eq!(seen, [("A", &ValueType::Boolean, "1"), ("B", &ValueType::String, "s")]);
        assert_eq!(set.parameter_key, "k");
    }

    #[test]
    fn only_answers_are_answers() {
        assert_eq!(device_reply(Body::ScheduleInformResponse), None);
        assert_eq!(device_reply(Body::FactoryResetResponse), Some(DeviceReply::Accepted));
        let fault = device_reply(Body::Fault(Fault::new(9005))).expect("a reply");
        assert!(matches!(fault, DeviceReply::Fault(fault) if fault.code == 9005));
    }
}
