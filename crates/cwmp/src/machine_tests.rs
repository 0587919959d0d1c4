//! Sessions as they should go and as they go.

use super::*;
use crate::{
    Limits,
    codec::{
        AddObject, AddObjectResponse, DateTime, DeviceId, FaultStruct, GetParameterValues,
        GetParameterValuesResponse, Status, TransferComplete,
    },
    decode,
};
use proptest::prelude::*;
use std::num::NonZeroU32;

fn envelope(id: &str, body: Body) -> Input {
    Input::Message(Box::new(Envelope::new(Some(id.into()), CwmpVersion::V1_2, body)))
}

fn inform() -> Body {
    Body::Inform(Inform {
        device_id: DeviceId {
            manufacturer: "Acme".into(),
            oui: "00259E".into(),
            product_class: "X1".into(),
            serial_number: "4857544300000001".into(),
        },
        events: vec![],
        max_envelopes: 1,
        current_time: DateTime::unknown(),
        retry_count: 0,
        parameters: vec![],
    })
}

fn transfer_complete() -> Body {
    Body::TransferComplete(TransferComplete {
        command_key: "k".into(),
        fault: FaultStruct { code: 0, text: String::new() },
        start_time: DateTime::unknown(),
        complete_time: DateTime::unknown(),
    })
}

fn get_values() -> Body {
    Body::GetParameterValues(GetParameterValues { names: vec!["Device.".into()] })
}

fn values() -> Body {
    Body::GetParameterValuesResponse(GetParameterValuesResponse { parameters: vec![] })
}

fn reply_of(output: Output) -> Envelope {
    match output {
        Output::Answer { reply, .. } => *reply,
        other => panic!("an answer was expected, not {other:?}"),
    }
}

fn open_session() -> SessionMachine {
    let mut machine = SessionMachine::new("s");
    let reply = reply_of(machine.received(envelope("i", inform())));
    assert_eq!(reply.id.as_deref(), Some("i"));
    assert_eq!(reply.version, CwmpVersion::V1_2);
    assert_eq!(reply.body, Body::InformResponse(InformResponse { max_envelopes: 1 }));
    machine
}

fn with_request_out() -> SessionMachine {
    let mut machine = open_session();
    assert_eq!(machine.received(Input::Empty), Output::Ask { finished: None });
    let request = machine.request(get_values()).expect("it is the ACS's turn");
    assert_eq!((request.id.as_deref(), request.version), (Some("s-1"), CwmpVersion::V1_2));
    assert_eq!(machine.outstanding(), Some("GetParameterValues"));
    machine
}

fn outcome(output: Output) -> Outcome {
    match output {
        Output::Ask { finished: Some(finished) } => finished.outcome,
        other => panic!("an outcome was expected, not {other:?}"),
    }
}

#[test]
fn a_session_from_inform_to_204() {
    let mut machine = open_session();
    assert_eq!(
        reply_of(machine.received(envelope("t", transfer_complete()))).body,
        Body::TransferCompleteResponse
    );
    let methods = reply_of(machine.received(envelope("m", Body::GetRpcMethods)));
    assert!(matches!(methods.body, Body::GetRpcMethodsResponse(list) if list.methods.len() == 8));
    assert_eq!(machine.received(Input::Empty), Output::Ask { finished: None });
    machine.request(get_values()).expect("first request");
    assert_eq!(
        machine.received(envelope("s-1", values())),
        Output::Ask {
            finished: Some(Finished {
                method: "GetParameterValues",
                outcome: Outcome::Answered(values()),
                id_differs: false
            })
        }
    );
    assert_eq!(machine.request(get_values()).expect("second request").id.as_deref(), Some("s-2"));
    let fault = Fault::new(9005);
    assert_eq!(
        outcome(machine.received(envelope("s-2", Body::Fault(fault.clone())))),
        Outcome::Faulted(fault)
    );
    machine.finish();
    assert!(!machine.is_open());
    // CPEs of before Amendment 1 go on with empty messages.
    assert!(matches!(machine.received(Input::Empty), Output::End { .. }));
}

#[test]
fn nothing_but_an_inform_opens_a_session() {
    for input in [
        Input::Empty,
        envelope("1", values()),
        envelope("1", transfer_complete()),
        envelope("1", Body::Unknown { method: "Hello".into() }),
        envelope("1", Body::Fault(Fault::new(9002))),
        Input::Undecodable(CodecError::Doctype),
    ] {
        let mut machine = SessionMachine::new("s");
        assert!(matches!(machine.received(input), Output::Refuse(_)));
        assert!(!machine.is_open());
    }
}

#[test]
fn an_inform_starts_afresh_in_the_middle_and_tells_what_was_abandoned() {
    let mut machine = with_request_out();
    let output = machine.received(envelope("again", inform()));
    let Output::Answer { abandoned, reply, .. } = output else { panic!("not answered: {output:?}") };
    assert_eq!(abandoned, Some("GetParameterValues"));
    assert_eq!(reply.id.as_deref(), Some("again"));
    // The answer to the request of the old session no longer counts.
    assert!(matches!(machine.received(envelope("s-1", values())), Output::End { .. }));
}

#[test]
fn cpe_requests_are_answered_in_any_state_and_change_none() {
    let mut machine = with_request_out();
    assert_eq!(
        reply_of(machine.received(envelope("t", transfer_complete()))).body,
        Body::TransferCompleteResponse
    );
    assert_eq!(machine.outstanding(), Some("GetParameterValues"));
    assert_eq!(outcome(machine.received(envelope("s-1", values()))), Outcome::Answered(values()));
    machine.finish();
    assert!(!machine.is_open());
    assert_eq!(
        reply_of(machine.received(envelope("t", transfer_complete()))).body,
        Body::TransferCompleteResponse
    );
    assert_eq!(machine.received(Input::Empty), Output::Ask { finished: None });
}

#[test]
fn unknown_methods_get_fault_8000_and_the_session_goes_on() {
    let mut machine = open_session();
    for body in [Body::Unknown { method: "X_Y".into() }, get_values(), Body::TransferCompleteResponse] {
        let reply = reply_of(machine.received(envelope("u", body)));
        assert!(matches!(reply.body, Body::Fault(fault) if fault.code == 8000 && !fault.client));
    }
    assert_eq!(machine.received(Input::Empty), Output::Ask { finished: None });
}

#[test]
fn a_wrong_id_is_noted_and_a_wrong_answer_is_an_unknown_outcome() {
    let mut machine = with_request_out();
    let Output::Ask { finished: Some(finished) } = machine.received(envelope("other", values())) else {
        panic!("accepted although the ID differs")
    };
    assert!(finished.id_differs);
    assert_eq!(finished.outcome, Outcome::Answered(values()));

    // The right method, but the answer of the request before: its content is not this one's.
    let mut machine = with_request_out();
    machine.received(envelope("s-1", values()));
    machine.request(get_values()).expect("second request");
    assert!(matches!(outcome(machine.received(envelope("s-1", values()))), Outcome::Unknown { .. }));

    let mut machine = with_request_out();
    let added = Body::AddObjectResponse(AddObjectResponse {
        instance_number: NonZeroU32::MIN,
        status: Status::Applied,
    });
    assert!(matches!(outcome(machine.received(envelope("s-1", added))), Outcome::Unknown { .. }));
    for input in [Input::Empty, Input::Undecodable(CodecError::NoBody)] {
        assert!(matches!(outcome(with_request_out().received(input)), Outcome::Unknown { .. }));
    }
}

#[test]
fn a_second_message_while_the_application_thinks_is_refused_and_costs_nothing() {
    let mut machine = open_session();
    machine.received(Input::Empty);
    for input in [Input::Empty, envelope("1", values()), envelope("t", transfer_complete())] {
        assert_eq!(machine.received(input), Output::Refuse(Refusal::Busy));
    }
    assert!(machine.request(get_values()).is_some());
}

#[test]
fn mistakes_of_the_application_change_nothing() {
    let mut machine = open_session();
    assert_eq!(machine.request(get_values()), None, "not our turn");
    machine.received(Input::Empty);
    assert_eq!(machine.request(Body::RebootResponse), None, "no request");
    assert_eq!(machine.request(inform()), None, "not ours");
    assert!(machine.request(get_values()).is_some());
    assert_eq!(machine.request(get_values()), None, "one at a time");
}

#[test]
fn empty_bodies_count_as_empty_posts() {
    assert_eq!(Input::from_decoded(decode(b"\r\n", None, &Limits::default())), Input::Empty);
    let envelope = Envelope::new(None, CwmpVersion::V1_0, Body::Empty);
    assert_eq!(Input::from_decoded(Ok(envelope)), Input::Empty);
}

proptest! {
    /// Whatever comes in whatever order: one request out at most, answers only to what was asked, and an Inform
    /// always opens.
    #[test]
    fn any_order_keeps_the_promises(steps in proptest::collection::vec(0u8..12, 1..60)) {
        let mut machine = SessionMachine::new("s");
        let mut out: Option<&'static str> = None;
        for step in steps {
            let opened = machine.is_open();
            let input = match step {
                0 => envelope("i", inform()),
                1 => envelope("t", transfer_complete()),
                2 => envelope("u", Body::Unknown { method: "X".into() }),
                3 => envelope("s-1", values()),
                4 => envelope("f", Body::Fault(Fault::new(9002))),
                5 => Input::Undecodable(CodecError::NoBody),
                6..=8 => Input::Empty,
                9 => {
                    let sent = machine.request(get_values());
                    prop_assert!(sent.is_none() || out.is_none(), "two requests at once");
                    out = if sent.is_some() { Some("GetParameterValues") } else { out };
                    continue;
                }
                10 => {
                    let add = AddObject { object_name: "A.".into(), parameter_key: String::new() };
                    let sent = machine.request(Body::AddObject(add));
                    prop_assert!(sent.is_none() || out.is_none(), "two requests at once");
                    out = if sent.is_some() { Some("AddObject") } else { out };
                    continue;
                }
                _ => {
                    machine.finish();
                    prop_assert_eq!(machine.outstanding(), out, "a request is not forgotten");
                    continue;
                }
            };
            let is_inform = step == 0;
            match machine.received(input) {
                Output::Answer { abandoned, .. } => {
                    prop_assert!(is_inform || opened || machine.is_open());
                    if is_inform {
                        prop_assert_eq!(abandoned, out.take());
                    }
                }
                Output::Ask { finished } => {
                    prop_assert!(!is_inform);
                    prop_assert_eq!(finished.as_ref().map(|finished| finished.method), out.take());
                    if let Some(Finished { method, outcome: Outcome::Answered(body), .. }) = finished {
                        prop_assert!(body.answers(method));
                    }
                }
                Output::End { .. } => prop_assert!(!is_inform && out.is_none()),
                Output::Refuse(_) => {
                    prop_assert!(!is_inform);
                    prop_assert_eq!(machine.outstanding(), out);
                }
            }
            if is_inform {
                prop_assert!(machine.is_open());
            }
        }
    }
}
