//! What a hostile client can cost: its own connection, and nothing else.

mod common;

use acs::AcsConfig;
use app::ports::{AuthLevel, SessionEnd};
use common::*;
use cwmp::{
    Body,
    codec::{DateTime, FaultStruct, TransferComplete},
};
use std::{net::Ipv4Addr, time::Duration};
use tokio::{io::AsyncWriteExt, time::timeout};

/// The server still serves a well-behaved device.
async fn still_serves(acs: &Acs) {
    assert_eq!(acs.device().await.post(&[], &inform("GOOD")).await.status, 200);
}

#[tokio::test]
async fn ten_gigabytes_are_refused_announced_or_not() {
    let (door, _heard) = Door::new();
    let acs = Acs::start(door).await;
    let mut device = acs.device().await;
    device.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10737418240\r\n\r\nxxxx").await;
    assert_eq!(device.answer().await.expect("answered").status, 413);
    assert!(device.answer().await.is_none(), "closed");

    // Unannounced: chunk after chunk until the server has had enough.
    let mut device = acs.device().await;
    device.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    let chunk = [format!("{:x}\r\n", 1 << 16).into_bytes(), vec![b' '; 1 << 16], b"\r\n".to_vec()].concat();
    let mut sent = 0usize;
    while sent < 100 << 20 && device.wire.write_all(&chunk).await.is_ok() {
        sent += 1 << 16;
    }
    assert!(sent < 16 << 20, "the server took {sent} bytes");
    assert!((acs.stats)().refused_bodies >= 2);
    still_serves(&acs).await;
    acs.stop().await;
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let (door, mut heard) = Door::new();
    let acs = Acs::start(door).await;
    let laughs: String =
        (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10))).collect();
    let bomb = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE l [<!ENTITY l0 \"ha\">{laughs}]><Envelope><Body>&l9;</Body></Envelope>"
    );
    assert_eq!(acs.device().await.post(&[], bomb.as_bytes()).await.status, 400);

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        std::io::Write::write_all(&mut gzip, &vec![b' '; 1 << 20]).expect("packed");
    }
    let packed = gzip.finish().expect("packed");
    assert!(packed.len() < 100_000, "small outside");
    assert_eq!(acs.device().await.post(&[("Content-Encoding", "gzip")], &packed).await.status, 413);

    let deep = format!("<Envelope><Body>{}", "<a>".repeat(50_000));
    assert_eq!(acs.device().await.post(&[], deep.as_bytes()).await.status, 400);
    assert!(heard.nothing_more(), "the application heard of none of it");
    still_serves(&acs).await;
    acs.stop().await;
}

#[tokio::test]
async fn a_million_parameters_end_at_the_limit_inside_a_session_too() {
    let (door, mut heard) = Door::new();
    door.script("S1", [get_values()]);
    let acs = Acs::start(door).await;
    let mut device = acs.device().await;
    let cookie = device.post(&[], &inform("S1")).await.cookie();
    let request = device.post(&[("Cookie", &cookie)], b"").await.envelope();
    let entry = "<ParameterValueStruct><Name>A</Name></ParameterValueStruct>";
    let body = format!(
        "<Envelope><Header><ID>{}</ID></Header><Body><GetParameterValuesResponse><ParameterList>{}\
         </ParameterList></GetParameterValuesResponse></Body></Envelope>",
        request.id.expect("id"),
        entry.repeat(140_000)
    );
    assert!(body.len() < 8 << 20);
    assert_eq!(device.post(&[("Cookie", &cookie)], body.as_bytes()).await.status, 204);
    for _ in 0..2 {
        heard.next().await;
    }
    assert_eq!(heard.next().await, Said::Ended("S1".into(), SessionEnd::Torn));
    // Outside a session even a tenth of it is too much.
    let outside = acs.device().await.post(&[], &body.as_bytes()[..800_000]).await;
    assert_eq!(outside.status, 413);
    acs.stop().await;
}

#[tokio::test]
async fn slow_drips_are_cut_off() {
    let (door, _heard) = Door::new();
    let config = AcsConfig {
        plain: Some(loopback()),
        head_within: Duration::from_millis(300),
        body_idle: Duration::from_millis(100),
        body_total: Duration::from_millis(300),
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    // Silence inside a body.
    let mut silent = acs.device().await;
    silent.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n<").await;
    assert_eq!(silent.answer().await.expect("answered").status, 408);
    // A byte now and then: never idle, but not done in time either.
    let mut drip = acs.device().await;
    drip.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n").await;
    let mut tick = tokio::time::interval(Duration::from_millis(10));
    let mut bytes = 0;
    while bytes < 2_000 && drip.wire.write_all(b" ").await.is_ok() {
        bytes += 1;
        tick.tick().await;
    }
    assert!(bytes < 2_000, "the server went on reading");
    assert!((acs.stats)().refused_bodies >= 2);
    // The same with the head.
    let mut drip = acs.device().await;
    drip.send(b"POST / HTTP/1.1\r\nX: ").await;
    let mut bytes = 0;
    while bytes < 2_000 && drip.wire.write_all(b"x").await.is_ok() {
        bytes += 1;
        tick.tick().await;
    }
    assert!(bytes < 2_000, "the server went on reading");
    still_serves(&acs).await;
    acs.stop().await;
}

#[tokio::test]
async fn garbage_is_cheap_and_quiet() {
    let (door, mut heard) = Door::new();
    let acs = Acs::start(door).await;
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"SSH-2.0-Go\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
        b"GET /cgi-bin/;wget%20http://x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n<a/>",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    ] {
        let mut device = acs.device().await;
        device.send(garbage).await;
        device.wire.shutdown().await.expect("half closed");
        if let Some(answer) = device.answer().await {
            assert!(
                (400..=405).contains(&answer.status),
                "{} for {:?}",
                answer.status,
                String::from_utf8_lossy(garbage)
            );
            assert!(answer.body.is_empty());
        }
    }
    let mut huge = acs.device().await;
    huge.send(b"POST / HTTP/1.1\r\n").await;
    let header = [b"X: ".to_vec(), vec![b'x'; 1000], b"\r\n".to_vec()].concat();
    let mut lines = 0;
    while lines < 10_000 && huge.wire.write_all(&header).await.is_ok() {
        lines += 1;
    }
    assert!(lines < 10_000, "the server read headers without end");
    assert!(heard.nothing_more());
    still_serves(&acs).await;
    acs.stop().await;
}

#[tokio::test]
async fn a_stolen_cookie_opens_nothing_and_breaks_nothing() {
    let (door, mut heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    door.own("S2", "cpe-2", "secret-2");
    door.script("S1", [get_names(), get_values()]);
    let acs = Acs::start(door).await;
    let mut device = acs.device().await;
    let answer = device.inform_as("S1", "cpe-1", "secret-1").await;
    let cookie = answer.cookie();

    // From another address.
    let mut thief = acs.device_from(Ipv4Addr::new(127, 0, 0, 2)).await;
    for body in [Vec::new(), message("x", Body::GetRpcMethods)] {
        let answer = thief.post(&[("Cookie", &cookie)], &body).await;
        assert!(matches!(answer.status, 400 | 401), "{}", answer.status);
        assert!(answer.body.is_empty());
        thief = acs.device_from(Ipv4Addr::new(127, 0, 0, 2)).await;
    }
    // Another device at the same address, with its own name.
    let challenge = acs.device().await.post(&[], b"").await;
    let other = authorization(&challenge, "cpe-2", "secret-2", 1);
    let answer = acs.device().await.post(&[("Cookie", &cookie), ("Authorization", &other)], b"").await;
    assert_eq!(answer.status, 400);
    // An Inform with the stolen cookie is a new session of whoever sends it, and leaves the other one alone.
    let mut thief = acs.device_from(Ipv4Addr::new(127, 0, 0, 2)).await;
    assert_eq!(thief.post(&[("Cookie", &cookie)], &inform("S1")).await.status, 401);
    assert_eq!(thief.post(&[("Cookie", &cookie)], &inform("THIEF")).await.status, 200);
    // Made-up cookies.
    for guess in ["lksession=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "lksession=1", "session=S1"] {
        assert_eq!(acs.device().await.post(&[("Cookie", guess)], b"").await.status, 400, "{guess}");
    }

    let request = device.post(&[("Cookie", &cookie)], b"").await.envelope();
    assert_eq!(request.body.method(), "GetParameterNames");
    assert!(
        matches!(heard.next().await, Said::Began { serial, level: AuthLevel::Own, .. } if serial == "S1")
    );
    assert!(matches!(heard.next().await, Said::Began { serial, .. } if serial == "THIEF"));
    assert_eq!(heard.next().await, Said::Ready("S1".into()));
    assert!(heard.nothing_more());
    acs.stop().await;
}

#[tokio::test]
async fn a_guessed_serial_gets_a_challenge_and_no_secret() {
    let (door, mut heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    door.own("S2", "cpe-2", "secret-2");
    door.script("S1", [get_values()]);
    let acs = Acs::start(door).await;
    let mut rogue = acs.device_from(Ipv4Addr::new(127, 0, 0, 66)).await;
    let answer = rogue.post(&[], &inform("S1")).await;
    assert_eq!(answer.status, 401);
    assert!(answer.body.is_empty() && answer.header("set-cookie").is_none());
    // With wrong passwords, with unknown names, and with another device's own, perfectly valid secret.
    for (name, password) in
        [("cpe-1", "guess"), ("cpe-1", ""), ("nobody", ""), ("nobody", "x"), ("cpe-2", "secret-2")]
    {
        let answer =
            acs.device_from(Ipv4Addr::new(127, 0, 0, 66)).await.inform_as("S1", name, password).await;
        assert_eq!(answer.status, 401, "{name}");
        assert!(answer.header("set-cookie").is_none());
    }
    assert!(heard.nothing_more());
    acs.stop().await;
}

#[tokio::test]
async fn pipelined_messages_are_answered_one_after_the_other() {
    let (door, mut heard) = Door::new();
    door.script("S1", [get_names()]);
    let acs = Acs::start(door).await;
    let mut device = acs.device().await;
    let cookie = device.post(&[], &inform("S1")).await.cookie();
    let empty = post_bytes(&[("Cookie", &cookie)], b"");
    device.send(&[empty.clone(), empty.clone(), empty].concat()).await;
    let first = device.answer().await.expect("first").envelope();
    assert_eq!(first.body.method(), "GetParameterNames");
    // The second one takes the place of the answer: the session is torn, the third one finds none.
    assert_eq!(device.answer().await.expect("second").status, 204);
    assert_eq!(device.answer().await.expect("third").status, 204);
    for _ in 0..2 {
        heard.next().await;
    }
    assert_eq!(heard.next().await, Said::Ended("S1".into(), SessionEnd::Torn));
    assert!(heard.nothing_more());
    acs.stop().await;
}

#[tokio::test]
async fn a_flood_from_one_address_leaves_the_others_alone() {
    let (door, _heard) = Door::new();
    let config = AcsConfig {
        plain: Some(loopback()),
        rate_per_s: 0.001,
        rate_burst: 6.0,
        wrong_passwords_per_minute: 3.0,
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door.clone()).await;
    let flood = Ipv4Addr::new(127, 0, 0, 9);
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(acs.device_from(flood).await.post(&[], &inform("F")).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 503, 503]);
    let busy = acs.device_from(flood).await.post(&[], b"").await;
    assert!(busy.header("retry-after").is_some());
    still_serves(&acs).await;
    // Wrong passwords run out sooner.
    door.own("S1", "cpe-1", "secret-1");
    let guesser = Ipv4Addr::new(127, 0, 0, 10);
    let challenge = acs.device_from(guesser).await.post(&[], b"").await;
    let wrong = authorization(&challenge, "cpe-1", "guess", 1);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(
            acs.device_from(guesser).await.post(&[("Authorization", &wrong)], &inform("S1")).await.status,
        );
    }
    assert_eq!(statuses, [401, 401, 401, 503]);
    // Whoever knows the secret is let in all the same: it may be another device behind the same address.
    let right = authorization(&challenge, "cpe-1", "secret-1", 1);
    let answer = acs.device_from(guesser).await.post(&[("Authorization", &right)], &inform("S1")).await;
    assert_eq!(answer.status, 200);
    acs.stop().await;
}

#[tokio::test]
async fn large_bodies_share_a_budget_that_small_ones_do_not_need() {
    let (door, _heard) = Door::new();
    let config = AcsConfig {
        plain: Some(loopback()),
        max_inform_bytes: 500_000,
        max_bytes_in_flight: 1_000_000,
        max_bytes_in_flight_per_address: 600_000,
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    // All but the end of a large body.
    let almost = async |from: u8| {
        let mut device = acs.device_from(Ipv4Addr::new(127, 0, 3, from)).await;
        device.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 450000\r\n\r\n").await;
        // The server may hang up in the middle.
        let _ = device.wire.write_all(&vec![b' '; 449_999]).await;
        device
    };
    let held = async |bytes: u64| {
        let reached = async {
            while (acs.stats)().bytes_in_flight != bytes {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("the bytes are counted");
    };
    let mut first = almost(1).await;
    held(449_999).await;
    // The budget of the address holds one, the whole budget two.
    assert!(almost(1).await.answer().await.is_none_or(|answer| answer.status == 503));
    held(449_999).await;
    let second = almost(2).await;
    held(899_998).await;
    assert!(almost(3).await.answer().await.is_none_or(|answer| answer.status == 503));
    for from in [1, 3] {
        let mut device = acs.device_from(Ipv4Addr::new(127, 0, 3, from)).await;
        assert_eq!(device.post(&[], &inform("SMALL")).await.status, 200);
    }
    // What is done, and what hangs up, gives its part back.
    drop(second);
    held(449_999).await;
    first.send(b"x").await;
    assert_eq!(first.answer().await.expect("answered").status, 400);
    held(0).await;
    acs.stop().await;
}

#[tokio::test]
async fn connections_and_sessions_have_a_limit() {
    let (door, _heard) = Door::new();
    let config = AcsConfig {
        plain: Some(loopback()),
        max_connections_per_address: 3,
        max_sessions: 2,
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    let crowd = Ipv4Addr::new(127, 0, 0, 5);
    let mut held = Vec::new();
    for serial in ["A", "B", "C"] {
        let mut device = acs.device_from(crowd).await;
        held.push((device.post(&[], &inform(serial)).await.status, device));
    }
    assert_eq!(held.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 200, 503]);
    // The answer 503 closed the third connection; fill its place again.
    let (_, mut third) = held.pop().expect("three");
    assert!(third.answer().await.is_none());
    let mut more = Vec::new();
    let mut refused = false;
    for _ in 0..8 {
        let mut device = acs.device_from(crowd).await;
        let _ = device.wire.write_all(&post_bytes(&[], b"")).await;
        refused |= device.answer().await.is_none();
        more.push(device);
    }
    assert!(refused, "one address holds more connections than it may");
    assert!((acs.stats)().refused_connections > 0);
    // Others still get through the door, and are told to come back.
    assert_eq!(acs.device().await.post(&[], &inform("D")).await.status, 503);
    acs.stop().await;
}

#[tokio::test]
async fn plain_http_is_for_the_management_networks_only() {
    let (door, mut heard) = Door::new();
    let mut plain = loopback();
    plain.allowed_from = vec!["127.0.7.0/24".parse().expect("network")].into();
    let acs = Acs::start_with(AcsConfig { plain: Some(plain), ..AcsConfig::default() }, door).await;
    let mut outsider = acs.device().await;
    let _ = outsider.wire.write_all(&post_bytes(&[], &inform("S1"))).await;
    assert!(outsider.answer().await.is_none(), "closed without a word");
    let inside = acs.device_from(Ipv4Addr::new(127, 0, 7, 1)).await.post(&[], &inform("S1")).await;
    assert_eq!(inside.status, 200);
    // Who was cut off is told, and nothing of what they said.
    assert_eq!(heard.next().await, Said::Refused(Ipv4Addr::LOCALHOST.into()));
    assert!(matches!(heard.next().await, Said::Began { .. }));
    assert!(heard.nothing_more());
    acs.stop().await;
}

fn transfer_complete(number: u32) -> Vec<u8> {
    message(
        &format!("t-{number}"),
        Body::TransferComplete(TransferComplete {
            command_key: format!("fw-{number}"),
            fault: FaultStruct { code: 0, text: String::new() },
            start_time: DateTime::unknown(),
            complete_time: DateTime::unknown(),
        }),
    )
}

#[tokio::test]
async fn a_cookie_is_no_way_around_the_limits_on_informs() {
    let (door, mut heard) = Door::new();
    let config =
        AcsConfig { plain: Some(loopback()), rate_per_s: 0.001, rate_burst: 4.0, ..AcsConfig::default() };
    let acs = Acs::start_with(config, door).await;
    let cookie = acs.device().await.post(&[], &inform("S1")).await.cookie();
    let within = async |body: &[u8]| acs.device().await.post(&[("Cookie", &cookie)], body).await.status;
    // What belongs to the session is not counted.
    for _ in 0..8 {
        assert_eq!(within(&message("m", Body::GetRpcMethods)).await, 200);
    }
    // An Inform has the room that anybody's has, and not that of an answer.
    let large = [inform("LARGE"), vec![b' '; 300 << 10]].concat();
    assert_eq!(within(&large).await, 413);
    let mut statuses = Vec::new();
    for number in 0..6 {
        statuses.push(within(&inform(&format!("F{number}"))).await);
    }
    assert_eq!(statuses, [200, 200, 200, 503, 503, 503]);
    // The session of the cookie goes on all the same, and nobody else pays.
    assert_eq!(within(b"").await, 204);
    assert_eq!(
        acs.device_from(Ipv4Addr::new(127, 0, 0, 9)).await.post(&[], &inform("GOOD")).await.status,
        200
    );
    let mut begun = Vec::new();
    acs.stop().await;
    while let Some(said) = heard.rest() {
        if let Said::Began { serial, .. } = said {
            begun.push(serial);
        }
    }
    assert_eq!(begun, ["S1", "F0", "F1", "F2", "GOOD"]);
}

#[tokio::test]
async fn one_device_opens_no_more_sessions_than_it_needs() {
    let (door, _heard) = Door::new();
    door.own("OWN", "cpe-1", "secret-1");
    let config = AcsConfig {
        plain: Some(loopback()),
        device_rate_per_s: 0.001,
        device_rate_burst: 3.0,
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(acs.device().await.post(&[], &inform("A")).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 401, 401], "it may prove that it is another");
    // Neither another one behind the same address, nor the same name elsewhere, pays for it.
    assert_eq!(acs.device().await.post(&[], &inform("B")).await.status, 200);
    let elsewhere = Ipv4Addr::new(127, 0, 0, 9);
    assert_eq!(acs.device_from(elsewhere).await.post(&[], &inform("A")).await.status, 200);
    // Whoever guesses a name, even at the address of its owner, uses up nothing of what the owner has.
    for _ in 0..4 {
        acs.device().await.post(&[], &inform("OWN")).await;
    }
    // Most open without a proof and give it when they are asked.
    assert_eq!(acs.device().await.post(&[], &inform("OWN")).await.status, 401);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(acs.device().await.inform_with_digest("OWN", "cpe-1", "secret-1").await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 503]);
    acs.stop().await;
}

#[tokio::test]
async fn notices_without_end_end_their_own_session() {
    let (door, mut heard) = Door::new();
    let config = AcsConfig { plain: Some(loopback()), max_unasked_messages: 5, ..AcsConfig::default() };
    let acs = Acs::start_with(config, door).await;
    let mut device = acs.device().await;
    let cookie = device.post(&[], &inform("S1")).await.cookie();
    let mut other = acs.device().await;
    let others = other.post(&[], &inform("S2")).await.cookie();
    let mut statuses = Vec::new();
    for number in 0..6 {
        statuses.push(device.post(&[("Cookie", &cookie)], &transfer_complete(number)).await.status);
    }
    assert_eq!(statuses, [200, 200, 200, 200, 200, 204], "the last one is not acknowledged");
    let (mut noticed, mut over) = (0, false);
    while !over {
        match heard.next().await {
            Said::Noticed(serial, _) => {
                assert_eq!(serial, "S1");
                noticed += 1;
            }
            Said::Ended(serial, how) => {
                assert_eq!((serial.as_str(), how), ("S1", SessionEnd::Torn));
                over = true;
            }
            Said::Began { .. } => {}
            said => panic!("{said:?}"),
        }
    }
    assert_eq!(noticed, 5, "the application heard no more");
    // So does what cannot be read.
    let cookie = acs.device().await.post(&[], &inform("S3")).await.cookie();
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(acs.device().await.post(&[("Cookie", &cookie)], b"hello").await.status);
    }
    assert_eq!(statuses, [400, 400, 400, 400, 400, 204]);
    // It may come again at once, and nobody else noticed anything.
    assert_eq!(device.post(&[], &inform("S1")).await.status, 200);
    assert_eq!(other.post(&[("Cookie", &others)], b"").await.status, 204);
    acs.stop().await;
}

#[tokio::test]
async fn a_session_does_not_go_on_for_ever() {
    let (door, mut heard) = Door::new();
    let config = AcsConfig {
        plain: Some(loopback()),
        max_session_age: Duration::from_millis(1),
        max_unasked_messages: u32::MAX,
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    let mut device = acs.device().await;
    let cookie = device.post(&[], &inform("S1")).await.cookie();
    let never_silent = async {
        while device.post(&[("Cookie", &cookie)], &message("m", Body::GetRpcMethods)).await.status == 200 {}
    };
    timeout(PATIENCE, never_silent).await.expect("it is ended, busy or not");
    loop {
        match heard.next().await {
            Said::Ended(serial, how) => {
                assert_eq!((serial.as_str(), how), ("S1", SessionEnd::TimedOut));
                break;
            }
            Said::Began { .. } | Said::Noticed(..) => {}
            said => panic!("{said:?}"),
        }
    }
    still_serves(&acs).await;
    acs.stop().await;
}

#[tokio::test]
async fn whoever_takes_nothing_of_the_answers_is_cut_off() {
    let (door, _heard) = Door::new();
    let config = AcsConfig {
        plain: Some(loopback()),
        rate_per_s: 1e9,
        rate_burst: 1e9,
        head_within: PATIENCE,
        write_within: Duration::from_millis(200),
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    let mut device = acs.device().await;
    // Challenges pile up until the kernel takes no more; then the server waits, and not for long.
    let questions = post_bytes(&[], b"").repeat(1000);
    let until_refused = async { while device.wire.write_all(&questions).await.is_ok() {} };
    timeout(PATIENCE, until_refused).await.expect("the server gives up on it");
    still_serves(&acs).await;
    acs.stop().await;
}
