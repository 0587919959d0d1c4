//! Where a CPE speaks from is a part of who it is: a proxy that the operator named says it, and nobody else.

mod common;

use acs::{AcsConfig, Networks, PlainListener, TlsListener, server_config_from_pem};
use app::ports::AuthLevel;
use base64::Engine as _;
use common::*;
use std::net::{IpAddr, Ipv4Addr};

/// `127.0.0.2` is our proxy, named as a socket of both families has it; CPEs are in `10.20.0.0/16`, and `127.0.0.1` stands in the management network too.
fn behind_a_proxy() -> AcsConfig {
    let networks =
        |texts: &[&str]| texts.iter().map(|text| text.parse().expect("a network")).collect::<Vec<_>>();
    AcsConfig {
        plain: Some(PlainListener {
            allowed_from: networks(&["10.20.0.0/16", "127.0.0.1/32"]).into(),
            ..loopback()
        }),
        trusted_proxies: Networks::of_proxies(vec!["::ffff:127.0.0.2".parse().expect("a proxy")]),
        max_connections_per_address: 2,
        ..AcsConfig::default()
    }
}

const PROXY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

async fn began(heard: &mut Heard) -> (IpAddr, bool) {
    loop {
        if let Said::Began { address, tls, .. } = heard.next().await {
            return (address, tls);
        }
    }
}

#[tokio::test]
async fn a_trusted_proxy_says_where_a_cpe_speaks_from() {
    let (door, mut heard) = Door::new();
    let acs = Acs::start_with(behind_a_proxy(), door).await;
    let said = [("X-Forwarded-For", "10.20.8.8, 10.20.3.9")];
    assert_eq!(acs.device_from(PROXY).await.post(&said, &inform("S1")).await.status, 200);
    assert_eq!(began(&mut heard).await, ("10.20.3.9".parse().expect("ip"), false));
    let said = [("Forwarded", "for=198.51.100.7;proto=https")];
    assert_eq!(acs.device_from(PROXY).await.post(&said, &inform("S2")).await.status, 200);
    assert_eq!(began(&mut heard).await, ("198.51.100.7".parse().expect("ip"), true));
    acs.stop().await;
}

#[tokio::test]
async fn whoever_is_no_proxy_of_ours_is_believed_nothing() {
    let (door, mut heard) = Door::new();
    let acs = Acs::start_with(behind_a_proxy(), door).await;
    let lies =
        [("X-Forwarded-For", "10.20.3.9"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=10.20.3.9")];
    assert_eq!(acs.device().await.post(&lies, &inform("S1")).await.status, 200);
    assert_eq!(began(&mut heard).await, (Ipv4Addr::LOCALHOST.into(), false));
    acs.stop().await;
}

#[tokio::test]
async fn a_proxy_that_does_not_say_for_whom_or_says_two_things_is_refused() {
    let (door, mut heard) = Door::new();
    let acs = Acs::start_with(behind_a_proxy(), door).await;
    let outside = [("X-Forwarded-For", "198.51.100.7")];
    let twice = [("X-Forwarded-For", "10.20.3.9"), ("Forwarded", "for=10.20.3.10")];
    let hidden = [("Forwarded", "for=unknown")];
    for said in [&[][..], &outside, &twice, &hidden] {
        let answer = acs.device_from(PROXY).await.post(said, &inform("S1")).await;
        assert_eq!(answer.status, 403, "{said:?}");
    }
    // Where a CPE speaks from is told; who hides it is only refused.
    assert_eq!(heard.next().await, Said::Refused("198.51.100.7".parse().expect("ip")));
    assert!(heard.nothing_more(), "no CPE came in by any of them");
    assert_eq!((acs.stats)().refused_connections, 4);
    acs.stop().await;
}

#[tokio::test]
async fn a_proxy_may_hold_more_connections_than_one_cpe() {
    let (door, _heard) = Door::new();
    let acs = Acs::start_with(behind_a_proxy(), door).await;
    let mut open = Vec::new();
    for n in 1..=4 {
        let mut device = acs.device_from(PROXY).await;
        let from = format!("10.20.3.{n}");
        assert_eq!(device.post(&[("X-Forwarded-For", &from)], &inform(&from)).await.status, 200);
        open.push(device);
    }
    acs.stop().await;
}

#[tokio::test]
async fn what_a_cpe_writes_of_tls_itself_counts_for_nothing_beside_the_proxy_s_word() {
    let (door, mut heard) = Door::new();
    let acs = Acs::start_with(behind_a_proxy(), door).await;
    // A proxy that adds to what came: the CPE spoke plain HTTP from outside the management networks.
    let lies: [&[(&str, &str)]; 3] = [
        &[("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https, http")],
        &[("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")],
        &[("X-Forwarded-For", "10.20.3.9, 198.51.100.7"), ("X-Forwarded-Proto", "https, http")],
    ];
    for said in lies {
        assert_eq!(acs.device_from(PROXY).await.post(said, &inform("S1")).await.status, 403, "{said:?}");
        assert_eq!(heard.next().await, Said::Refused("198.51.100.7".parse().expect("ip")));
    }
    let said = [("X-Forwarded-For", "10.20.3.9, 198.51.100.7"), ("X-Forwarded-Proto", "https")];
    assert_eq!(acs.device_from(PROXY).await.post(&said, &inform("S1")).await.status, 200);
    assert_eq!(began(&mut heard).await, ("198.51.100.7".parse().expect("ip"), true));
    acs.stop().await;
}

#[tokio::test]
async fn a_proxy_s_own_tls_is_not_the_cpe_s_where_what_it_says_is_not_understood() {
    let made = rcgen::generate_simple_self_signed(vec!["acs.example".into()]).expect("certificate");
    let (chain, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let config = server_config_from_pem(chain.as_bytes(), key.as_bytes(), None).expect("usable");
    let tls = TlsListener { address: "127.0.0.1:0".parse().expect("address"), config };
    let (door, mut heard) = Door::new();
    door.own("S1", "cpe-1", "secret-1");
    let acs = Acs::start_with(AcsConfig { tls: Some(tls), ..behind_a_proxy() }, door).await;
    let to = acs.tls.expect("TLS address");
    let proxy = || Device::connect_tls(to, PROXY, &chain);
    let (outside, inside) = (("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-For", "10.20.3.9"));
    // It encrypts on its way to us; the CPE spoke plain HTTP to it, and wrote `https` itself.
    let words: [&[(&str, &str)]; 5] = [
        &[("X-Forwarded-Proto", "https"), ("X-Forwarded-Proto", "http")],
        &[("X-Forwarded-Proto", "https, http")],
        &[("X-Forwarded-Proto", "https, https")],
        &[("X-Forwarded-Proto", "foo")],
        &[("X-Forwarded-Proto", "")],
    ];
    let basic = base64::engine::general_purpose::STANDARD.encode("cpe-1:secret-1");
    let basic = format!("Basic {basic}");
    for said in words {
        let from_outside = [&[outside], said].concat();
        assert_eq!(proxy().await.post(&from_outside, &inform("S1")).await.status, 403, "{said:?}");
        assert_eq!(heard.next().await, Said::Refused("198.51.100.7".parse().expect("ip")), "{said:?}");
        // From a management network it may speak plain HTTP, and then no password goes in the clear.
        let from_inside = [&[inside, ("Authorization", &basic)], said].concat();
        let answer = proxy().await.post(&from_inside, &inform("S1")).await;
        assert_eq!(answer.status, 401, "{said:?}");
        let offered = answer.all("www-authenticate");
        assert!(!offered.iter().any(|value| value.starts_with("Basic")), "{said:?}: {offered:?}");
    }
    // A proxy that says it, and one that says nothing of it: then its own connection is all there is.
    for said in [&[outside, ("X-Forwarded-Proto", "https")][..], &[outside]] {
        let said = [said, &[("Authorization", &basic)]].concat();
        assert_eq!(proxy().await.post(&said, &inform("S1")).await.status, 200, "{said:?}");
        let began = heard.next().await;
        assert!(matches!(began, Said::Began { level: AuthLevel::Own, tls: true, .. }), "{began:?}");
    }
    acs.stop().await;
}
