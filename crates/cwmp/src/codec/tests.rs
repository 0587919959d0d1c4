//! Golden encodings, round trips of every message, and what peers get wrong by habit or on purpose.

use super::*;
use crate::EventCode;
use proptest::prelude::*;

fn golden(name: &str, got: &[u8]) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    // One element a line reads well in a diff; it is undone before comparing.
    let pretty = String::from_utf8(got.to_vec()).expect("UTF-8").replace("><", ">\n<") + "\n";
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &pretty).expect("golden file written");
    }
    let want = std::fs::read_to_string(&path).expect("golden file; UPDATE_GOLDEN=1 writes it");
    assert_eq!(pretty, want, "{name}");
}

fn from_acs(body: Body) -> Envelope {
    Envelope::new(Some("lk-1".into()), CwmpVersion::V1_0, body)
}

fn set_values() -> Body {
    Body::SetParameterValues(SetParameterValues {
        parameters: vec![
            ParameterValue {
                name: "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID".into(),
                value: Value::string("Tom & <Jerry> ]]> \u{1}"),
            },
            ParameterValue {
                name: "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.Enable".into(),
                value: Value::boolean(true),
            },
            ParameterValue {
                name: "InternetGatewayDevice.ManagementServer.PeriodicInformTime".into(),
                value: Value::new(ValueType::DateTime, "2026-11-21T09:12:24.372Z"),
            },
        ],
        parameter_key: "k-1".into(),
    })
}

#[test]
fn what_devices_are_sent() {
    let options = EncodeOptions::default();
    let words = EncodeOptions {
        xml_declaration: false,
        boolean: BooleanLiteral::Word,
        next_level: BooleanLiteral::Word,
        fractional_seconds: true,
        ..EncodeOptions::default()
    };
    golden("set_parameter_values.xml", &encode(&from_acs(set_values()), &options));
    golden("set_parameter_values_words.xml", &encode(&from_acs(set_values()), &words));
    let names = Body::GetParameterNames(GetParameterNames { path: String::new(), next_level: true });
    golden("get_parameter_names_root.xml", &encode(&from_acs(names), &options));
    let values = Body::GetParameterValues(GetParameterValues {
        names: vec!["Device.Time.".into(), "Device.DeviceInfo.UpTime".into()],
    });
    golden("get_parameter_values.xml", &encode(&from_acs(values), &options));
    let response = Body::InformResponse(InformResponse { max_envelopes: 1 });
    golden("inform_response.xml", &encode(&Envelope::new(None, CwmpVersion::V1_2, response), &options));
    golden("fault.xml", &encode(&from_acs(Body::Fault(Fault::new(8000))), &options));
    let download = Body::Download(Download {
        command_key: "fw-1".into(),
        file_type: "1 Firmware Upgrade Image".into(),
        url: "http://10.0.0.1/f?a=1&b=2".into(),
        username: String::new(),
        password: types::Secret::new("p<w"),
        file_size_bytes: 5_000_000_000,
        target_file_name: String::new(),
        delay_s: 0,
        success_url: String::new(),
        failure_url: String::new(),
    });
    golden("download.xml", &encode(&from_acs(download), &options));
    let change = Body::ChangeDuState(ChangeDuState {
        operations: vec![DuOperation::Uninstall(UninstallOperation {
            uuid: "00000000-0000-5000-8000-000000000001".into(),
            version: String::new(),
            execution_env_ref: "Device.SoftwareModules.ExecEnv.1".into(),
        })],
        command_key: "du-1".into(),
    });
    golden("change_du_state.xml", &encode(&Envelope::new(None, CwmpVersion::V1_2, change), &options));
}

#[test]
fn every_message_reads_back_as_it_was_written() {
    let exact = EncodeOptions { fractional_seconds: true, ..EncodeOptions::default() };
    let headers = (
        proptest::option::of(
            "[ -~]{0,20}".prop_map(|id| id.trim().to_owned()).prop_filter("id", |id| !id.is_empty()),
        ),
        0..CwmpVersion::ALL.len(),
        any::<bool>(),
        proptest::option::of(any::<u32>()),
        proptest::option::of(Just("1.0,1.1,1.2,1.3,1.4".to_owned())),
        proptest::option::of(Just("1.2".to_owned())),
    );
    for (method, body) in Body::samples() {
        let config = ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        runner
            .run(&(headers.clone(), body), |((id, version, hold, timeout, supported, used), body)| {
                let envelope = Envelope {
                    id,
                    version: CwmpVersion::ALL[version].1,
                    hold_requests: hold,
                    session_timeout_s: timeout,
                    supported_versions: supported,
                    use_version: used,
                    body,
                };
                let bytes = encode(&envelope, &exact);
                let back = decode(&bytes, Some("text/xml"), &Limits::default())
                    .map_err(|error| TestCaseError::fail(error.to_string()))?;
                prop_assert_eq!(back.body.method(), method);
                prop_assert_eq!(back, envelope);
                Ok(())
            })
            .unwrap_or_else(|error| panic!("{method}: {error}"));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_answered_without_panic(bytes: Vec<u8>) {
        let _ = decode(&bytes, None, &Limits::default());
    }

    #[test]
    fn damaged_messages_are_answered_without_panic(
        at in 0usize..2000, byte: u8, cut in 0usize..2000, twice: bool,
    ) {
        let mut bytes = encode(&from_acs(set_values()), &EncodeOptions::default());
        let (at, cut) = (at % bytes.len(), cut % bytes.len());
        bytes[at] = byte;
        if twice {
            bytes.truncate(cut);
        }
        let _ = decode(&bytes, None, &Limits::default());
    }

    #[test]
    fn any_markup_is_answered_without_panic(
        text in "(<[/?!]?(soap-env:)?(Envelope|Body|Inform|Fault|a)( type=\"x\")?/?>|&[a-z#0-9]{0,4};|[ a-z\\]]){0,24}",
    ) {
        let _ = decode(text.as_bytes(), None, &Limits::default());
    }

    #[test]
    fn nothing_illegal_is_ever_written(text in any::<String>()) {
        let body = Body::AddObject(AddObject { object_name: text.clone(), parameter_key: text });
        let bytes = encode(&from_acs(body), &EncodeOptions::default());
        let written = String::from_utf8(bytes.clone()).expect("UTF-8");
        prop_assert!(written.chars().all(text::is_xml_char));
        prop_assert!(decode(&bytes, None, &Limits::default()).is_ok());
    }
}

fn read(text: &str) -> Result<Envelope, CodecError> {
    decode(text.as_bytes(), None, &Limits::default())
}

fn read_bytes(bytes: &[u8]) -> Envelope {
    decode(bytes, Some("text/html"), &Limits::default()).expect("tolerated")
}

fn in_body(inner: &str) -> String {
    format!(
        "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns:c=\"urn:dslforum-org:cwmp-1-2\">\
         <s:Body>{inner}</s:Body></s:Envelope>"
    )
}

fn message(inner: &str) -> Body {
    read(&in_body(inner)).expect("tolerated").body
}

#[test]
fn headers_are_read_whatever_surrounds_them() {
    let text = "\u{feff}\r\n  <?xml version='1.0' encoding='utf-8'?><!-- x --><SOAP:Envelope \
        xmlns:SOAP='http://schemas.xmlsoap.org/soap/envelope/' xmlns:cwmp='urn:dslforum-org:cwmp-1-1'>\
        <SOAP:Header><cwmp:ID SOAP:mustUnderstand='1'> 7 </cwmp:ID><cwmp:HoldRequests>1</cwmp:HoldRequests>\
        <cwmp:SessionTimeout>40</cwmp:SessionTimeout></SOAP:Header>\
        <SOAP:Body><cwmp:GetRPCMethods/></SOAP:Body></SOAP:Envelope>\n\0";
    let envelope = read(text).expect("tolerated");
    assert_eq!(envelope.id.as_deref(), Some("7"));
    assert_eq!(envelope.version, CwmpVersion::V1_1);
    assert_eq!((envelope.hold_requests, envelope.session_timeout_s), (true, Some(40)));
    assert_eq!(envelope.body, Body::GetRpcMethods);
}

#[test]
fn namespaces_may_be_missing_or_invented() {
    for (namespace, want) in [
        ("urn:dslforum-org:cwmp-1-0", CwmpVersion::V1_0),
        ("urn:dslforum-org:cwmp-1-2", CwmpVersion::V1_2),
        ("urn:dslforum-org:cwmp-1-4", CwmpVersion::V1_4),
        ("urn:dslforum-org:cwmp-9-9", CwmpVersion::V1_0),
        ("nonsense", CwmpVersion::V1_0),
    ] {
        // The declaration sits on the message here, as gSOAP clients write it.
        let text = format!(
            "<Envelope><Body><m:Reboot xmlns:m=\"{namespace}\"><CommandKey>x</CommandKey></m:Reboot></Body></Envelope>"
        );
        let envelope = read(&text).expect("tolerated");
        assert_eq!(envelope.version, want, "{namespace}");
        assert_eq!(envelope.body, Body::Reboot(Reboot { command_key: "x".into() }));
    }
}

#[test]
fn an_inform_with_every_sloppiness_is_read() {
    // Shapes seen in the field: no header, types without prefix or with a length, a value without type, a name
    // without value, padding, a control character, CDATA, an unescaped ampersand, wrong array sizes.
    let Body::Inform(inform) = message(
        "<c:Inform junk=x><DeviceId><Manufacturer> Acme\u{1} & Co </Manufacturer><OUI>00259E</OUI>\
         <SerialNumber><![CDATA[4857544301]]></SerialNumber></DeviceId>\
         <Event arrayType=\"c:EventStruct[4294967295]\"><EventStruct><EventCode>\n 1 BOOT\n</EventCode></EventStruct>\
         <EventStruct><EventCode>M Reboot</EventCode><CommandKey>k</CommandKey></EventStruct></Event>\
         <CurrentTime>1981-01-01T00:00:13</CurrentTime><RetryCount>many</RetryCount>\
         <ParameterList><ParameterValueStruct><Name>\n A.B </Name><Value type=\"xsd:string(64)\"> v </Value></ParameterValueStruct>\
         <ParameterValueStruct><Name>A.C</Name><Value>&#x41;&#1;&lt;&#13;</Value></ParameterValueStruct>\
         <ParameterValueStruct><Name>A.D</Name></ParameterValueStruct></ParameterList></c:Inform>",
    ) else {
        panic!("not an Inform")
    };
    assert_eq!(inform.device_id.manufacturer, "Acme & Co");
    assert_eq!(inform.device_id.product_class, "");
    assert_eq!(inform.device_id.serial_number, "4857544301");
    let events: Vec<_> =
        inform.events.iter().map(|event| (event.code.clone(), event.command_key.as_str())).collect();
    assert_eq!(events, [(EventCode::Boot, ""), (EventCode::Method("Reboot".into()), "k")]);
    assert_eq!(inform.current_time.year(), Some(1981));
    assert_eq!(inform.retry_count, 0);
    let values: Vec<_> = inform.parameters.iter().map(|p| (p.name.as_str(), p.value.clone())).collect();
    assert_eq!(
        values,
        [
            ("A.B", Value::string(" v ")),
            ("A.C", Value::new(ValueType::Unspecified, "A<\r")),
            ("A.D", Value::new(ValueType::Unspecified, "")),
        ]
    );
}

#[test]
fn characters_survive_wrong_labels() {
    let text = in_body("<c:Reboot><CommandKey>Caf\u{e9}</CommandKey></c:Reboot>");
    let want = Body::Reboot(Reboot { command_key: "Café".into() });
    assert_eq!(
        read(&format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{text}")).expect("read").body,
        want
    );
    let latin1: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).expect("latin-1")).collect();
    assert_eq!(read_bytes(&latin1).body, want);
}

#[test]
fn a_length_counted_in_characters_cuts_closing_tags_only() {
    let whole = in_body("<c:Reboot><CommandKey>k</CommandKey></c:Reboot>");
    let want = Body::Reboot(Reboot { command_key: "k".into() });
    let message_end = whole.find("</s:Body>").expect("in the text");
    for cut in message_end..whole.len() {
        assert_eq!(read(&whole[..cut]).expect("tolerated").body, want, "cut at {cut}");
    }
    for cut in 0..message_end {
        assert!(read(&whole[..cut]).is_err(), "cut at {cut} loses content");
    }
}

#[test]
fn faults_are_found_wherever_the_detail_is() {
    let detail = "<c:Fault><FaultCode>9003</FaultCode><FaultString>Invalid arguments</FaultString>\
        <SetParameterValuesFault><ParameterName>A.B</ParameterName><FaultCode>9007</FaultCode>\
        <FaultString>bad</FaultString></SetParameterValuesFault></c:Fault>";
    let want = Fault {
        client: true,
        code: 9003,
        text: "Invalid arguments".into(),
        parameters: vec![ParameterFault { name: "A.B".into(), code: 9007, text: "bad".into() }],
    };
    let escaped = detail.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    for inner in [
        format!(
            "<faultcode>Client</faultcode><faultstring>CWMP fault</faultstring><detail>{detail}</detail>"
        ),
        format!(
            "<faultcode>s:Client</faultcode><faultstring>CWMP fault<detail>{detail}</detail></faultstring>"
        ),
        format!("<faultcode>client</faultcode>{detail}"),
        format!("<faultcode>Client</faultcode><detail>{escaped}</detail>"),
        format!("<faultcode>Client</faultcode><detail><x>{detail}</x></detail>"),
    ] {
        assert_eq!(message(&format!("<s:Fault>{inner}</s:Fault>")), Body::Fault(want.clone()), "{inner}");
    }
    let bare = message("<s:Fault><faultcode>Server</faultcode><faultstring>boom</faultstring></s:Fault>");
    assert_eq!(bare, Body::Fault(Fault { client: false, code: 0, text: "boom".into(), parameters: vec![] }));
}

#[test]
fn what_gives_a_message_its_meaning_must_be_there() {
    assert_eq!(
        read(&in_body("<c:AddObjectResponse><Status>0</Status></c:AddObjectResponse>")),
        Err(CodecError::Field { method: "AddObjectResponse", element: "InstanceNumber" })
    );
    assert_eq!(
        read(&in_body("<c:Inform><RetryCount>0</RetryCount></c:Inform>")),
        Err(CodecError::Field { method: "Inform", element: "DeviceId" })
    );
    // A status that cannot be read makes us look again instead of believing.
    for status in ["", "<Status/>", "<Status>?</Status>", "<Status>1</Status>"] {
        let body = message(&format!("<c:SetParameterValuesResponse>{status}</c:SetParameterValuesResponse>"));
        assert_eq!(
            body,
            Body::SetParameterValuesResponse(SetParameterValuesResponse { status: Status::Pending })
        );
    }
}

#[test]
fn unknown_methods_and_empty_bodies_are_told_apart() {
    assert_eq!(message("<c:X_ACME_Magic/>"), Body::Unknown { method: "X_ACME_Magic".into() });
    assert_eq!(message(""), Body::Empty);
    for nothing in ["", "\r\n", " \0 "] {
        assert!(is_empty_body(nothing.as_bytes()));
        assert_eq!(read(nothing), Err(CodecError::Empty));
    }
    assert_eq!(read("<Envelope/>"), Err(CodecError::NoBody));
    assert_eq!(read("<html><body/></html>"), Err(CodecError::NotSoap("html".into())));
}

#[test]
fn hostile_messages_are_refused_cheaply() {
    let laughs = "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;\">]>";
    assert_eq!(read(&format!("{laughs}{}", in_body("<c:Reboot/>"))), Err(CodecError::Doctype));
    let external = "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>";
    assert_eq!(read(&format!("{external}{}", in_body("&x;"))), Err(CodecError::Doctype));
    assert_eq!(
        read(&in_body("<c:Reboot><CommandKey>&xxe;</CommandKey></c:Reboot>")),
        Err(CodecError::UnknownEntity("xxe".into()))
    );
    assert!(matches!(read(&in_body(&"<a>".repeat(100_000))), Err(CodecError::TooMany { .. })));
    assert_eq!(read(&format!("{}<x/>", in_body("<c:Reboot/>"))), Err(CodecError::SecondRoot));
    assert_eq!(read(&format!("{0}{0}", in_body("<c:Reboot/>"))), Err(CodecError::SecondRoot));

    let attributes: String = (0..1000).map(|n| format!(" a{n}='1'")).collect();
    assert!(matches!(read(&in_body(&format!("<c:Reboot{attributes}/>"))), Err(CodecError::TooMany { .. })));

    let entry = "<ParameterValueStruct><Name>A</Name></ParameterValueStruct>";
    let million = in_body(&format!(
        "<c:Inform><DeviceId/><ParameterList>{}</ParameterList></c:Inform>",
        entry.repeat(130_000)
    ));
    assert!(million.len() < Limits::default().max_bytes, "the list limit must be what refuses it");
    assert!(matches!(read(&million), Err(CodecError::TooMany { .. })));

    // What an array says of its own size makes no room, and a name that comes twice is kept twice, for who reads it.
    let twice = "<ParameterValueStruct><Name>A.B</Name><Value>1</Value></ParameterValueStruct>\
        <ParameterValueStruct><Name>A.B</Name><Value>2</Value></ParameterValueStruct>";
    let lie = in_body(&format!(
        "<c:GetParameterValuesResponse><ParameterList xmlns:e=\"http://schemas.xmlsoap.org/soap/encoding/\" \
         e:arrayType=\"c:ParameterValueStruct[4294967295]\">{twice}</ParameterList></c:GetParameterValuesResponse>"
    ));
    let Body::GetParameterValuesResponse(response) = read(&lie).expect("tolerated").body else {
        panic!("{lie}")
    };
    let read_back: Vec<(&str, &str)> =
        response.parameters.iter().map(|one| (one.name.as_str(), one.value.text.as_str())).collect();
    assert_eq!(read_back, [("A.B", "1"), ("A.B", "2")]);

    let fat = in_body(&format!("<c:Reboot><CommandKey>{}</CommandKey></c:Reboot>", "x".repeat(1 << 21)));
    assert!(matches!(read(&fat), Err(CodecError::TooMany { .. })));
    assert!(matches!(read(&"x".repeat(9 << 20)), Err(CodecError::TooLarge { .. })));

    let utf16: Vec<u8> = in_body("<c:Reboot/>").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(decode(&utf16, None, &Limits::default()), Err(CodecError::Charset("UTF-16")));
    let labelled = decode(b"<Envelope/>", Some("text/xml; charset=UTF-16"), &Limits::default());
    assert_eq!(labelled, Err(CodecError::Charset("UTF-16")));

    // NUL bytes are dropped, not passed on.
    let nul = read(&in_body("<c:Reboot><CommandKey>a\0b&#0;c</CommandKey></c:Reboot>")).expect("tolerated");
    assert_eq!(nul.body, Body::Reboot(Reboot { command_key: "abc".into() }));
}

#[test]
fn errors_quote_little_and_nothing_unprintable() {
    let name = "\u{1b}[31m".to_owned() + &"x".repeat(10_000);
    for text in [format!("<{name}/>"), format!("<a>&{name};</a>"), format!("<a></{name}>"), name] {
        let error = read(&text).expect_err("refused").to_string();
        assert!(error.len() < 400 && !error.contains('\u{1b}'), "{error}");
    }
}

#[test]
fn mixed_text_costs_no_more_than_its_length() {
    // A quadratic reader would take minutes here.
    let text = in_body(&format!("<c:Reboot>{}</c:Reboot>", "x<b/>".repeat(200_000)));
    let envelope = read(&text).expect("tolerated");
    assert_eq!(envelope.body, Body::Reboot(Reboot { command_key: String::new() }));
}

/// spelling_upper_names.xml, spelling_upper_fault.xml, spelling_soapenv_old_names.xml, spelling_soapenv_old_fault.xml,
/// spelling_soap_lenient_names.xml, spelling_soap_lenient_fault.xml
#[test]
fn each_spelling_of_an_envelope_is_as_written_and_reads_the_same() {
    let own = EncodeOptions::default();
    let spellings = [
        ("upper", EncodeOptions { prefix: SoapPrefix::UpperSoapDashEnv, xml_declaration: false, ..own }),
        (
            "soapenv_old",
            EncodeOptions { prefix: SoapPrefix::Soapenv, version: Some(CwmpVersion::V1_0), ..own },
        ),
        ("soap_lenient", EncodeOptions { prefix: SoapPrefix::Soap, must_understand: false, ..own }),
    ];
    for (name, options) in spellings {
        for (what, envelope) in [
            (
                "names",
                from_acs(Body::GetParameterNames(GetParameterNames {
                    path: "Device.".into(),
                    next_level: true,
                })),
            ),
            ("fault", from_acs(Body::Fault(Fault::new(8005)))),
        ] {
            let bytes = encode(&envelope, &options);
            golden(&format!("spelling_{name}_{what}.xml"), &bytes);
            let read = decode(&bytes, None, &Limits::default()).expect("our own");
            let version = options.version.unwrap_or(envelope.version);
            assert_eq!(read, Envelope { version, ..envelope }, "{name} {what}");
            assert_eq!(EncodeOptions::default().like(&bytes).prefix, options.prefix, "{name} {what}");
        }
    }
}
