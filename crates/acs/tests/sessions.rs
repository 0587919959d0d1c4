//! Sessions over real sockets: how they go, and how they go on when connections do not.

mod common;

use acs::AcsConfig;
use app::ports::{AuthLevel, CpeNotice, DeviceReply, DeviceRequest, SessionEnd};
use common::*;
use cwmp::{
    Body,
    codec::{DateTime, Fault, FaultStruct, TransferComplete},
};
use std::{net::Ipv4Addr, time::Duration};

fn began(serial: &str) -> Said {
    Said::Began {
        serial: serial.into(),
        level: AuthLevel::Anonymous,
        username: None,
        address: Ipv4Addr::LOCALHOST.into(),
        tls: false,
    }
}

fn ended(serial: &str, how: SessionEnd) -> Said {
    Said::Ended(serial.into(), how)
}

fn transfer_complete(command_key: &str) -> Vec<u8> {
    message(
        "t-1",
        Body::TransferComplete(TransferComplete {
            command_key: command_key.into(),
            fault: FaultStruct { code: 9010, text: "gone".into() },
            start_time: DateTime::unknown(),
            complete_time: DateTime::unknown(),
        }),
    )
}

#[tokio::test]
async fn a_device_is_written_to_as_it_speaks_and_as_its_family_wants_it() {
    let (door, _heard) = Door::new();
    door.script("S1", [get_names()]);
    door.script(FUSSY, [get_names()]);
    let acs = Acs::start(door).await;
    // As this device spells it: other prefix, nothing in front.
    let spelled = |serial: &str| {
        let text = String::from_utf8(inform(serial)).expect("text");
        let at = text.find("<soap-env:Envelope").expect("an envelope");
        text[at..].replace("soap-env", "SOAP-ENV")
    };
    let text = |answer: &Answer| String::from_utf8(answer.body.clone()).expect("text");
    for (serial, begins, version, next_level, understood) in [
        ("S1", "<SOAP-ENV:Envelope ", "cwmp-1-2\"", "<NextLevel>1<", true),
        (
            FUSSY,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<SOAP-ENV:Envelope ",
            "cwmp-1-0\"",
            "<NextLevel>true<",
            false,
        ),
    ] {
        let mut device = acs.device().await;
        let first = device.post(&[], spelled(serial).as_bytes()).await;
        let cookie = first.cookie();
        let request = device.post(&[("Cookie", &cookie)], b"").await;
        for said in [text(&first), text(&request)] {
            assert!(said.starts_with(begins) && said.contains(version), "{serial}: {said}");
            assert_eq!(said.contains("SOAP-ENV:mustUnderstand=\"1\""), understood, "{serial}: {said}");
        }
        assert!(text(&request).contains(next_level), "{serial}: {}", text(&request));
    }
    acs.stop().await;
}

#[tokio::test]
async fn a_session_from_inform_to_204() {
    let (door, mut heard) = Door::new();
    door.script("S1", [get_names(), DeviceRequest::AddObject { path: "A.".into(), key: "k".into() }]);
    let acs = Acs::start(door).await;
    let mut device = acs.device().await;

    let answer = device.post(&[("Content-Type", "text/xml")], &inform("S1")).await;
    assert_eq!(answer.header("content-type"), Some("text/xml; charset=\"utf-8\""));
    let envelope = answer.envelope();
    assert_eq!((envelope.id.as_deref(), envelope.body.method()), (Some("inform-1"), "InformResponse"));
    assert_eq!(envelope.version, cwmp::CwmpVersion::V1_2);
    let cookie = answer.cookie();
    assert_eq!(heard.next().await, began("S1"));

    // What cannot be stored is not acknowledged: the device says it again (8005, A.5.1).
    let refused = device.post(&[("Cookie", &cookie)], &transfer_complete(NOT_STORED)).await.envelope();
    assert_eq!(refused.id.as_deref(), Some("t-1"));
    assert!(matches!(refused.body, Body::Fault(fault) if fault.code == 8005));
    let answer = device.post(&[("Cookie", &cookie)], &transfer_complete("fw-1")).await;
    assert_eq!(answer.envelope().body, Body::TransferCompleteResponse);
    assert_eq!(
        heard.next().await,
        Said::Noticed(
            "S1".into(),
            CpeNotice::TransferComplete {
                command_key: "fw-1".into(),
                fault_code: 9010,
                fault_text: "gone".into()
            }
        )
    );
    let unknown = b"<Envelope><Header><ID>u-1</ID></Header><Body><X_ACME_Hello/></Body></Envelope>";
    let fault = device.post(&[("Cookie", &cookie)], unknown).await.envelope();
    assert_eq!(fault.id.as_deref(), Some("u-1"));
    assert!(matches!(fault.body, Body::Fault(fault) if fault.code == 8000));
    assert_eq!(
        heard.next().await,
        Said::Noticed("S1".into(), CpeNotice::Other { method: "X_ACME_Hello".into() })
    );
    // What it asks for is noted and acknowledged, and nothing happens by it.
    let wish =
        b"<Envelope><Header><ID>w-1</ID></Header><Body><RequestDownload><FileType>1 Firmware Upgrade Image\
        </FileType><FileTypeArg/></RequestDownload></Body></Envelope>";
    let answer = device.post(&[("Cookie", &cookie)], wish).await.envelope();
    assert_eq!((answer.id.as_deref(), answer.body), (Some("w-1"), Body::RequestDownloadResponse));
    assert_eq!(
        heard.next().await,
        Said::Noticed("S1".into(), CpeNotice::Other { method: "RequestDownload".into() })
    );
    let request = device.post(&[("Cookie", &cookie)], b"").await.envelope();
    assert_eq!(heard.next().await, Said::Ready("S1".into()));
    assert_eq!(request.body.method(), "GetParameterNames");

    let answer = device.post(&[("Cookie", &cookie)], &respond(&request)).await;
    assert_eq!(heard.next().await, Said::Replied("S1".into(), DeviceReply::Names(vec![])));
    let request = answer.envelope();
    assert_eq!(request.body.method(), "AddObject");
    let fault = message(request.id.as_deref().expect("id"), Body::Fault(Fault::new(9004)));
    let answer = device.post(&[("Cookie", &cookie)], &fault).await;
    assert!(matches!(heard.next().await, Said::Replied(_, DeviceReply::Fault(fault)) if fault.code == 9004));
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(heard.next().await, ended("S1", SessionEnd::Clean));

    // Devices of before Amendment 1 close with more empty messages; the session is over all the same.
    assert_eq!(device.post(&[("Cookie", &cookie)], b"").await.status, 204);
    assert_eq!(device.post(&[("Cookie", &cookie)], &transfer_complete("fw-1")).await.status, 400);
    acs.stop().await;
    assert!(heard.nothing_more());
}

#[tokio::test]
async fn a_session_lives_through_reconnects() {
    let (door, mut heard) = Door::new();
    door.script("S1", [get_names(), get_values()]);
    let acs = Acs::start(door).await;
    let cookie = acs.device().await.post(&[], &inform("S1")).await.cookie();
    let mut request = acs.device().await.post(&[("Cookie", &cookie)], b"").await.envelope();
    request = acs
        .device()
        .await
        .post(&[("Cookie", &format!("a=b, {cookie}; Path=/"))], &respond(&request))
        .await
        .envelope();
    let last = acs.device().await.post(&[("Cookie", &cookie)], &respond(&request)).await;
    assert_eq!(last.status, 204);
    for want in [
        began("S1"),
        Said::Ready("S1".into()),
        Said::Replied("S1".into(), DeviceReply::Names(vec![])),
        Said::Replied("S1".into(), DeviceReply::Values(vec![])),
        ended("S1", SessionEnd::Clean),
    ] {
        assert_eq!(heard.next().await, want);
    }
    acs.stop().await;
}

#[tokio::test]
async fn sessions_share_a_connection_without_mixing() {
    // As behind a reverse proxy: two devices, one socket, interleaved.
    let (door, mut heard) = Door::new();
    door.script("A", [get_names()]);
    door.script("B", [get_values()]);
    let acs = Acs::start(door).await;
    let mut socket = acs.device().await;
    let a = socket.post(&[], &inform("A")).await.cookie();
    let b = socket.post(&[], &inform("B")).await.cookie();
    assert_ne!(a, b);
    let for_a = socket.post(&[("Cookie", &a)], b"").await.envelope();
    let for_b = socket.post(&[("Cookie", &b)], b"").await.envelope();
    assert_eq!((for_a.body.method(), for_b.body.method()), ("GetParameterNames", "GetParameterValues"));
    assert_ne!(for_a.id, for_b.id);
    assert_eq!(socket.post(&[("Cookie", &b)], &respond(&for_b)).await.status, 204);
    assert_eq!(socket.post(&[("Cookie", &a)], &respond(&for_a)).await.status, 204);
    let mut seen = Vec::new();
    for _ in 0..8 {
        seen.push(heard.next().await);
    }
    assert!(seen.contains(&Said::Replied("A".into(), DeviceReply::Names(vec![]))));
    assert!(seen.contains(&Said::Replied("B".into(), DeviceReply::Values(vec![]))));
    acs.stop().await;
}

#[tokio::test]
async fn an_inform_in_the_middle_starts_a_new_session() {
    let (door, mut heard) = Door::new();
    door.script("S1", [get_names(), get_values()]);
    let acs = Acs::start(door).await;
    let mut device = acs.device().await;
    let old = device.post(&[], &inform("S1")).await.cookie();
    let request = device.post(&[("Cookie", &old)], b"").await.envelope();
    // The device restarts and comes back with its old cookie.
    let new = device.post(&[("Cookie", &old)], &inform("S1")).await.cookie();
    assert_ne!(old, new);
    for want in [began("S1"), Said::Ready("S1".into()), began("S1"), ended("S1", SessionEnd::Torn)] {
        assert_eq!(heard.next().await, want);
    }
    // The answer to the old question reaches neither session.
    let late = acs.device().await.post(&[("Cookie", &old)], &respond(&request)).await;
    assert_eq!(late.status, 400);
    let request = acs.device().await.post(&[("Cookie", &new)], b"").await.envelope();
    assert_eq!(request.body.method(), "GetParameterValues");
    assert_eq!(heard.next().await, Said::Ready("S1".into()));
    assert!(heard.nothing_more());
    acs.stop().await;
    assert_eq!(heard.next().await, ended("S1", SessionEnd::Torn));
}

#[tokio::test]
async fn an_answer_that_fits_no_question_ends_the_session_as_torn() {
    let (door, mut heard) = Door::new();
    door.script("S1", [DeviceRequest::AddObject { path: "A.".into(), key: String::new() }]);
    let acs = Acs::start(door).await;
    let mut device = acs.device().await;
    let cookie = device.post(&[], &inform("S1")).await.cookie();
    device.post(&[("Cookie", &cookie)], b"").await.envelope();
    assert_eq!(heard.next().await, began("S1"));
    assert_eq!(heard.next().await, Said::Ready("S1".into()));
    // An empty POST instead of the answer: whether the object exists is unknown, and nobody may guess.
    assert_eq!(device.post(&[("Cookie", &cookie)], b"").await.status, 204);
    assert_eq!(heard.next().await, ended("S1", SessionEnd::Torn));
    acs.stop().await;
}

#[tokio::test]
async fn a_silent_session_times_out() {
    let (door, mut heard) = Door::new();
    let config = AcsConfig {
        plain: Some(loopback()),
        session_idle: Duration::from_millis(200),
        max_session_idle: Duration::from_millis(200),
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    let cookie = acs.device().await.post(&[], &inform("S1")).await.cookie();
    assert_eq!(heard.next().await, began("S1"));
    assert_eq!(heard.next().await, ended("S1", SessionEnd::TimedOut));
    assert_eq!((acs.stats)().sessions, 0);
    assert_eq!(acs.device().await.post(&[("Cookie", &cookie)], &transfer_complete("fw-1")).await.status, 400);
    acs.stop().await;
}

#[tokio::test]
async fn a_peer_that_hangs_up_does_not_stop_the_application_half_way() {
    let (door, mut heard) = Door::new();
    let gate = door.gate();
    door.script("S1", [get_names()]);
    let acs = Acs::start(door).await;
    let mut device = acs.device().await;
    let cookie = device.post(&[], &inform("S1")).await.cookie();
    device.send(&post_bytes(&[("Cookie", &cookie)], b"")).await;
    assert_eq!(heard.next().await, began("S1"));
    assert_eq!(heard.next().await, Said::Ready("S1".into()));
    drop(device);
    // A second message while the first is still being worked on.
    assert_eq!(acs.device().await.post(&[("Cookie", &cookie)], b"").await.status, 409);
    gate.add_permits(1);
    acs.stop().await;
    // The application finished its step and then heard of the end.
    assert_eq!(heard.next().await, ended("S1", SessionEnd::Torn));
    assert!(heard.nothing_more());
}

#[tokio::test]
async fn a_slow_application_costs_a_503_and_a_broken_one_its_own_session() {
    let (door, mut heard) = Door::new();
    let _gate = door.gate();
    door.panic_on_ready("BROKEN");
    let config = AcsConfig {
        plain: Some(loopback()),
        answer_within: Duration::from_millis(100),
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    let mut slow = acs.device().await;
    let cookie = slow.post(&[], &inform("S1")).await.cookie();
    let answer = slow.post(&[("Cookie", &cookie)], b"").await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("60")));

    let mut broken = acs.device().await;
    let cookie = broken.post(&[], &inform("BROKEN")).await.cookie();
    assert_eq!(broken.post(&[("Cookie", &cookie)], b"").await.status, 500);
    assert_eq!(acs.device().await.post(&[("Cookie", &cookie)], &transfer_complete("fw-1")).await.status, 400);
    loop {
        if heard.next().await == ended("BROKEN", SessionEnd::Torn) {
            break;
        }
    }
    assert_eq!(acs.device().await.post(&[], &inform("S2")).await.status, 200);
}

#[tokio::test]
async fn every_way_of_sending_a_body() {
    let (door, _heard) = Door::new();
    let acs = Acs::start(door).await;
    let body = inform("S1");

    let mut device = acs.device().await;
    device.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    for part in body.chunks(100) {
        device.send(format!("{:x}\r\n", part.len()).as_bytes()).await;
        device.send(part).await;
        device.send(b"\r\n").await;
    }
    device.send(b"0\r\n\r\n").await;
    assert_eq!(device.answer().await.expect("answered").status, 200);

    let mut device = acs.device().await;
    let head = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    device.send(head.as_bytes()).await;
    assert_eq!(device.answer().await.expect("go on").status, 100);
    device.send(&body).await;
    assert_eq!(device.answer().await.expect("answered").status, 200);

    // HTTP/1.0: closed after the answer, unless the device asks to keep it.
    let mut device = acs.device().await;
    device.send(format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes()).await;
    device.send(&body).await;
    assert_eq!(device.answer().await.expect("answered").status, 200);
    assert!(device.answer().await.is_none(), "closed");
    let mut device = acs.device().await;
    let keep = format!("POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: {}\r\n\r\n", body.len());
    for _ in 0..2 {
        device.send(keep.as_bytes()).await;
        device.send(&body).await;
        assert_eq!(device.answer().await.expect("answered").status, 200);
    }

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, &body).expect("packed");
    let packed = gzip.finish().expect("packed");
    let answer = acs.device().await.post(&[("Content-Encoding", "gzip")], &packed).await;
    assert_eq!(answer.envelope().body.method(), "InformResponse");
    assert_eq!(acs.device().await.post(&[("Content-Encoding", "br")], &packed).await.status, 415);
    acs.stop().await;
}

#[tokio::test]
async fn a_length_counted_in_characters_does_not_break_the_next_message() {
    let (door, mut heard) = Door::new();
    door.script("Ł1", [get_names()]);
    let acs = Acs::start(door).await;
    let body = inform("Ł1");
    let characters = String::from_utf8(body.clone()).expect("text").chars().count();
    assert!(characters < body.len());
    let mut device = acs.device().await;
    device
        .send(format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {characters}\r\n\r\n").as_bytes())
        .await;
    device.send(&body).await;
    let answer = device.answer().await.expect("answered");
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    // The device comes back on a new connection, as it was told.
    let request = acs.device().await.post(&[("Cookie", &answer.cookie())], b"").await.envelope();
    assert_eq!(request.body.method(), "GetParameterNames");
    assert_eq!(heard.next().await, began("Ł1"));
    acs.stop().await;
}

#[tokio::test]
async fn the_application_may_refuse_or_be_busy() {
    let (door, mut heard) = Door::new();
    let acs = Acs::start(door).await;
    assert_eq!(acs.device().await.post(&[], &inform("REFUSED")).await.status, 403);
    let busy = acs.device().await.post(&[], &inform("BUSY")).await;
    assert_eq!((busy.status, busy.header("retry-after")), (503, Some("17")));
    assert!(heard.nothing_more());
    acs.stop().await;
}
