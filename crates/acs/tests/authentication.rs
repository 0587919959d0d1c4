//! Who may open a session, and with what proof.

mod common;

use acs::{AcsConfig, TlsListener, server_config_from_pem};
use app::ports::{AuthLevel, SessionEnd};
use base64::Engine as _;
use common::*;
use cwmp::digest::{Algorithm, ServerPolicy};
use std::{net::Ipv4Addr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

fn own(serial: &str) -> impl Fn(&Said) -> bool + '_ {
    move |said| matches!(said, Said::Began { serial: s, level: AuthLevel::Own, .. } if s == serial)
}

#[tokio::test]
async fn a_digest_on_a_new_connection_gets_in() {
    // Many devices close the connection after the 401; the nonce must not depend on it.
    let (door, mut heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    let acs = Acs::start(door).await;
    let challenge = acs.device().await.post(&[], &inform("S1")).await;
    assert_eq!(challenge.status, 401);
    let offered = challenge.all("www-authenticate");
    assert_eq!(offered.len(), 2, "one challenge per algorithm, and no Basic without TLS: {offered:?}");
    assert!(offered[0].contains("algorithm=MD5") && offered[1].contains("algorithm=SHA-256"));
    let header = authorization(&challenge, "cpe-1", "secret-1", 1);
    assert!(header.contains("algorithm=SHA-256"), "the stronger one is used: {header}");
    let answer = acs.device().await.post(&[("Authorization", &header)], &inform("S1")).await;
    assert_eq!(answer.status, 200);
    assert!(own("S1")(&heard.next().await));
    acs.stop().await;
}

#[tokio::test]
async fn a_replayed_digest_opens_no_session_and_the_device_recovers() {
    let (door, mut heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    let acs = Acs::start(door).await;
    let challenge = acs.device().await.post(&[], &inform("S1")).await;
    let header = authorization(&challenge, "cpe-1", "secret-1", 5);
    let open = |header: String| {
        let acs = &acs;
        async move { acs.device().await.post(&[("Authorization", &header)], &inform("S1")).await }
    };
    assert_eq!(open(header.clone()).await.status, 200);
    // The same header again, and one with a smaller count.
    let replay = open(header).await;
    assert_eq!(replay.status, 401);
    assert!(replay.all("www-authenticate").iter().all(|value| value.contains("stale=true")));
    assert_eq!(open(authorization(&challenge, "cpe-1", "secret-1", 4)).await.status, 401);
    // Counting on is fine, and so is answering the new challenge.
    assert_eq!(open(authorization(&challenge, "cpe-1", "secret-1", 6)).await.status, 200);
    assert_eq!(open(authorization(&replay, "cpe-1", "secret-1", 1)).await.status, 200);
    let mut begun = 0;
    acs.stop().await;
    while !heard.nothing_more() {
        begun += 1;
    }
    assert!(begun >= 3);
}

#[tokio::test]
async fn an_old_nonce_is_stale() {
    let (door, _heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    let config = AcsConfig {
        plain: Some(loopback()),
        digest: ServerPolicy { nonce_ttl: Duration::ZERO, ..ServerPolicy::default() },
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    let challenge = acs.device().await.post(&[], &inform("S1")).await;
    let right = authorization(&challenge, "cpe-1", "secret-1", 1);
    let wrong = authorization(&challenge, "cpe-1", "guess", 1);
    // The clock has moved on by a millisecond at least.
    tokio::time::timeout(PATIENCE, async {
        loop {
            let answer = acs.device().await.post(&[("Authorization", &right)], &inform("S1")).await;
            if answer.status == 401 {
                assert!(answer.header("www-authenticate").is_some_and(|value| value.contains("stale=true")));
                break;
            }
        }
    })
    .await
    .expect("the nonce grows old");
    let answer = acs.device().await.post(&[("Authorization", &wrong)], &inform("S1")).await;
    assert!(
        answer.header("www-authenticate").is_some_and(|value| !value.contains("stale")),
        "only who knows the secret"
    );
    acs.stop().await;
}

#[tokio::test]
async fn algorithms_are_what_the_operator_allows() {
    let (door, _heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    let config = AcsConfig {
        plain: Some(loopback()),
        digest: ServerPolicy { algorithms: vec![Algorithm::Sha256], ..ServerPolicy::default() },
        ..AcsConfig::default()
    };
    let acs = Acs::start_with(config, door).await;
    let challenge = acs.device().await.post(&[], &inform("S1")).await;
    let mut downgraded = challenge.clone();
    for (_, value) in &mut downgraded.headers {
        *value = value.replace("SHA-256", "MD5");
    }
    let header = authorization(&downgraded, "cpe-1", "secret-1", 1);
    assert_eq!(acs.device().await.post(&[("Authorization", &header)], &inform("S1")).await.status, 401);
    let header = authorization(&challenge, "cpe-1", "secret-1", 1);
    assert_eq!(acs.device().await.post(&[("Authorization", &header)], &inform("S1")).await.status, 200);
    acs.stop().await;
}

#[tokio::test]
async fn basic_needs_tls_and_empty_names_prove_nothing() {
    let (door, mut heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    door.user("", "", AuthLevel::Own, None);
    let acs = Acs::start(door).await;
    let basic = |pair: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
    let answer = acs.device().await.post(&[("Authorization", &basic("cpe-1:secret-1"))], &inform("S1")).await;
    assert_eq!(answer.status, 401);
    assert!(answer.all("www-authenticate").iter().all(|value| value.starts_with("Digest")));
    // Devices without credentials send this; they are anonymous, whatever is stored under an empty name.
    let answer = acs.device().await.post(&[("Authorization", &basic(":"))], &inform("NEW")).await;
    assert_eq!(answer.status, 200);
    assert!(matches!(heard.next().await, Said::Began { level: AuthLevel::Anonymous, username: None, .. }));
    // Nor does a name that nobody has: the device is seen, as the stranger it is.
    let stranger = acs.device().await.inform_with_digest("NEW", "admin", "admin").await;
    assert_eq!(stranger.status, 200);
    let said = heard.next().await;
    assert!(
        matches!(said, Said::Began { level: AuthLevel::Anonymous, username: Some(name), .. } if name == "admin")
    );
    acs.stop().await;
}

#[tokio::test]
async fn an_empty_first_message_is_challenged() {
    let (door, mut heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    let acs = Acs::start(door).await;
    let mut device = acs.device().await;
    let challenge = device.post(&[], b"").await;
    assert_eq!(challenge.status, 401);
    let header = authorization(&challenge, "cpe-1", "secret-1", 1);
    assert_eq!(device.post(&[("Authorization", &header)], &inform("S1")).await.status, 200);
    assert!(own("S1")(&heard.next().await));
    acs.stop().await;
}

#[tokio::test]
async fn a_device_without_cookies_is_known_by_the_name_it_proves() {
    let (door, mut heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    door.own("S2", "cpe-2", "secret-2");
    door.script("S1", [get_names()]);
    let acs = Acs::start(door).await;
    let challenge = acs.device().await.post(&[], &inform("S1")).await;
    let header = |name: &str, password: &str, count| authorization(&challenge, name, password, count);
    let mut device = acs.device().await;
    let opened = device.post(&[("Authorization", &header("cpe-1", "secret-1", 1))], &inform("S1")).await;
    assert_eq!(opened.status, 200);
    assert!(own("S1")(&heard.next().await));

    // Nobody else gets into it: no proof, a wrong one, another's, or another address.
    assert_eq!(acs.device().await.post(&[], b"").await.status, 401);
    for (name, password, from, want) in [
        ("cpe-1", "guess", Ipv4Addr::LOCALHOST, 401),
        ("nobody", "guess", Ipv4Addr::LOCALHOST, 401),
        ("cpe-2", "secret-2", Ipv4Addr::LOCALHOST, 400),
        ("cpe-1", "secret-1", Ipv4Addr::new(127, 0, 0, 3), 400),
    ] {
        let answer =
            acs.device_from(from).await.post(&[("Authorization", &header(name, password, 2))], b"").await;
        assert_eq!(answer.status, want, "{name} {password} {from}");
    }
    assert!(heard.nothing_more());

    // The same header as before: only the opening of a session counts nonces.
    let same = header("cpe-1", "secret-1", 1);
    let request = acs.device().await.post(&[("Authorization", &same)], b"").await.envelope();
    assert_eq!(acs.device().await.post(&[("Authorization", &same)], &respond(&request)).await.status, 204);
    assert_eq!(heard.next().await, Said::Ready("S1".into()));
    heard.next().await;
    assert_eq!(heard.next().await, Said::Ended("S1".into(), SessionEnd::Clean));
    acs.stop().await;
}

#[tokio::test]
async fn over_tls_basic_is_offered_and_taken() {
    let (door, mut heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    let made = rcgen::generate_simple_self_signed(vec!["acs.example".into()]).expect("certificate");
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let config = server_config_from_pem(chain.as_bytes(), key.as_bytes(), None).expect("usable");
    let tls = TlsListener { address: "127.0.0.1:0".parse().expect("address"), config };
    let acs = Acs::start_with(AcsConfig { tls: Some(tls), ..AcsConfig::default() }, door).await;
    let to = acs.tls.expect("TLS address");

    let connect = || Device::connect_tls(to, Ipv4Addr::LOCALHOST, &chain);
    let mut device = connect().await;
    let challenge = device.post(&[], &inform("S1")).await;
    assert!(
        challenge
            .all("www-authenticate")
            .iter()
            .any(|value| value.starts_with("Basic realm=\"Lightkeeper\""))
    );
    let basic = base64::engine::general_purpose::STANDARD.encode("cpe-1:secret-1");
    let wrong = base64::engine::general_purpose::STANDARD.encode("cpe-1:secret");
    assert_eq!(
        connect().await.post(&[("Authorization", &format!("Basic {wrong}"))], &inform("S1")).await.status,
        401
    );
    let answer = device.post(&[("Authorization", &format!("Basic {basic}"))], &inform("S1")).await;
    assert_eq!(answer.status, 200);
    assert!(matches!(heard.next().await, Said::Began { level: AuthLevel::Own, tls: true, .. }));

    // A hello of TLS 1.2 is answered with one; the same of TLS 1.1 with the alert protocol_version, and the end (RFC 5246,
    // 7.2.2).
    let hello = |minor: u8| {
        let (extensions, ciphers) = (
            [&[0, 10, 0, 4, 0, 2, 0, 29][..], &[0, 13, 0, 4, 0, 2, 4, 3], &[0, 11, 0, 2, 1, 0]].concat(),
            [0, 2, 0xc0, 0x2b],
        );
        [&[22, 3, 1, 0, 69, 1, 0, 0, 65, 3, minor][..], &[7; 32], &[0], &ciphers, &[1, 0, 0, 22], &extensions]
            .concat()
    };
    for (minor, kind, body) in [(3, 22, None), (2, 21, Some([2, 70]))] {
        let mut old = TcpStream::connect(to).await.expect("connected");
        old.write_all(&hello(minor)).await.expect("sent");
        let mut head = [0; 5];
        old.read_exact(&mut head).await.expect("answered");
        assert_eq!(head[0], kind, "1.{}: {head:?}", minor - 1);
        if let Some(body) = body {
            let mut rest = Vec::new();
            old.read_to_end(&mut rest).await.expect("closed");
            assert_eq!(rest, body);
        }
    }

    // Noise on the TLS port costs its own connection.
    let mut noise = Device::over(Box::new(TcpStream::connect(to).await.expect("connected")));
    noise.send(b"POST / HTTP/1.1\r\n\r\n").await;
    assert!(noise.answer().await.is_none());
    assert_eq!(connect().await.post(&[], &inform("NEW")).await.status, 200);
    acs.stop().await;
}

#[test]
fn unusable_certificates_are_named() {
    let made = rcgen::generate_simple_self_signed(vec!["a".into()]).expect("certificate");
    let other = rcgen::generate_simple_self_signed(vec!["b".into()]).expect("certificate");
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    for (chain, key, want) in [
        ("", key.as_str(), "no certificate"),
        (chain.as_str(), "", "the key is not PEM"),
        (chain.as_str(), other.signing_key.serialize_pem().as_str(), "certificate and key"),
    ] {
        let error =
            server_config_from_pem(chain.as_bytes(), key.as_bytes(), None).expect_err("refused").to_string();
        assert!(error.contains(want), "{error}");
    }
    for authorities in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let error = server_config_from_pem(chain.as_bytes(), key.as_bytes(), Some(authorities.as_bytes()))
            .expect_err("refused")
            .to_string();
        assert!(error.contains("issue certificates to CPEs"), "{error}");
    }
}

#[tokio::test]
async fn a_shared_name_behind_one_address_opens_nobody_elses_session() {
    let (door, mut heard) = Door::new();
    door.user("first-contact", "shared", AuthLevel::Bootstrap, None);
    door.script("S1", [get_names()]);
    door.script("S2", [get_names()]);
    let acs = Acs::start(door).await;
    let challenge = acs.device().await.post(&[], b"").await;
    let header = |count| authorization(&challenge, "first-contact", "shared", count);
    for (serial, count) in [("S1", 1), ("S2", 2)] {
        let opened = acs.device().await.post(&[("Authorization", &header(count))], &inform(serial)).await;
        assert_eq!(opened.status, 200, "{serial}");
        assert!(matches!(heard.next().await, Said::Began { .. }));
    }
    // Without a cookie nobody knows whose turn it is.
    assert_eq!(acs.device().await.post(&[("Authorization", &header(3))], b"").await.status, 400);
    assert!(heard.nothing_more());
    acs.stop().await;
}

#[tokio::test]
async fn whether_anybody_has_a_name_is_told_to_nobody() {
    let (door, mut heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    door.user("shared", "first contact", AuthLevel::Bootstrap, None);
    let config =
        AcsConfig { plain: Some(loopback()), wrong_passwords_per_minute: 6.0, ..AcsConfig::default() };
    let acs = Acs::start_with(config, door).await;
    let mut answers = Vec::new();
    for (host, name) in [(21, "cpe-1"), (22, "shared"), (23, "nobody")] {
        let from = Ipv4Addr::new(127, 0, 0, host);
        let challenge = acs.device_from(from).await.post(&[], b"").await;
        let header = authorization(&challenge, name, "guess", 1);
        let mut seen = Vec::new();
        // As a new device, as one that has a secret, and as one that goes on; then again, until it is too much.
        for body in [inform("NEW"), inform("S1"), Vec::new()].iter().cycle().take(8) {
            let answer = acs.device_from(from).await.post(&[("Authorization", &header)], body).await;
            let mut names: Vec<String> = answer.headers.iter().map(|(name, _)| name.clone()).collect();
            names.sort();
            seen.push((answer.status, names, answer.body.is_empty()));
        }
        answers.push(seen);
    }
    assert_eq!(answers[0], answers[2], "a device's own name and one that nobody has");
    assert_eq!(answers[1], answers[2], "the name of the first contact and one that nobody has");
    let statuses: Vec<u16> = answers[0].iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses, [200, 401, 401, 200, 401, 401, 503, 503]);
    while let Some(said) = heard.rest() {
        if let Said::Began { serial, level, .. } = said {
            assert_eq!((serial.as_str(), level), ("NEW", AuthLevel::Anonymous), "it proved nothing");
        }
    }
    acs.stop().await;
}

#[tokio::test]
async fn names_of_another_acs_keep_nobody_waiting_behind_one_address() {
    let (door, _heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    let config =
        AcsConfig { plain: Some(loopback()), wrong_passwords_per_minute: 3.0, ..AcsConfig::default() };
    let acs = Acs::start_with(config, door).await;
    let challenge = acs.device().await.post(&[], b"").await;
    let given = async |name: &str, serial: &str| {
        let header = authorization(&challenge, name, "of before", 1);
        acs.device().await.post(&[("Authorization", &header)], &inform(serial)).await.status
    };
    // A fleet that another ACS gave names of its own comes all at once.
    for n in 0..10 {
        assert_eq!(given(&format!("00259E-{n}"), &format!("NEW-{n}")).await, 200, "the {n}th");
    }
    // Somebody who tries one name without end waits, and nobody with it, whether anybody has the name or not.
    for name in ["cpe-1", "nobody"] {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(given(name, "S1").await);
        }
        assert_eq!(statuses, [401, 401, 401, 503], "{name}");
    }
    assert_eq!(given("00259E-11", "NEW-11").await, 200);
    acs.stop().await;
}
