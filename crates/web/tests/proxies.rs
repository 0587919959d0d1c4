//! Who asks, behind a proxy and without one: over real sockets, where everybody can write every header.

mod common;

use common::Served;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use store::read::{AuditFilter, Page, Sort};
use types::Secret;
use web::WebLimits;

const PASSWORD: &str = "a long sentence to test with";

async fn served(trusted_proxies: &[&str]) -> Served {
    with_password(Served::start(WebLimits::default(), trusted_proxies).await).await
}

async fn with_password(served: Served) -> Served {
    let first = served.app.first_run().await.expect("first run").expect("a password");
    let entered = served.app.login("admin", first.clone(), None).await.expect("the first login");
    let new = Secret::new(PASSWORD);
    served.app.change_password(&entered.actor, first, new).await.expect("a new password");
    served
}

impl Served {
    /// Signs in with these headers besides.
    async fn sign_in(&self, password: &str, headers: &str) -> String {
        let body = format!("name=admin&password={}", password.replace(' ', "+"));
        self.ask(&format!(
            "POST /login HTTP/1.1\r\nHost: lk\r\nConnection: close\r\n{headers}\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
        .await
    }

    /// The address of the newest line of the audit log with this action.
    async fn audited(&self, action: &str) -> String {
        let filter = AuditFilter { q: action.into(), ..AuditFilter::default() };
        let log = self.app.store().read().audit_log(&filter, &Sort::default(), Page::first(1)).await;
        log.expect("the log").rows.remove(0).address
    }
}

fn cookie(answer: &str) -> &str {
    answer
        .lines()
        .find(|line| line.to_ascii_lowercase().starts_with("set-cookie: lk_session"))
        .unwrap_or_default()
}

#[tokio::test]
async fn a_trusted_proxy_says_who_signs_in_and_how() {
    let served = served(&["127.0.0.0/8"]).await;
    let said = "X-Forwarded-For: 203.0.113.1, 192.0.2.9\r\nX-Forwarded-Proto: https\r\n";
    let answer = served.sign_in(PASSWORD, said).await;
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer:.300}");
    assert!(cookie(&answer).ends_with("; Secure"), "{answer}");
    assert_eq!(served.audited("login").await, "192.0.2.9");
    let answer = served.sign_in("wrong", "Forwarded: for=\"[2001:db8::7]:4711\";proto=http\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer:.300}");
    assert_eq!(served.audited("login.failed").await, "2001:db8::7");
    let answer = served.sign_in(PASSWORD, "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: http\r\n").await;
    assert!(!cookie(&answer).is_empty() && !cookie(&answer).contains("Secure"), "{answer}");
    // Its own health checks name nobody.
    served.still_answers().await;
    served.stop().await;
}

#[tokio::test]
async fn each_client_of_a_proxy_waits_for_its_own_failures() {
    let served = served(&["127.0.0.1/32"]).await;
    let mut last = String::new();
    for _ in 0..8 {
        last = served.sign_in("wrong", "X-Forwarded-For: 192.0.2.9\r\n").await;
    }
    assert!(last.starts_with("HTTP/1.1 429"), "{last:.300}");
    // A new address of its own making does not help: it stands left of what the proxy saw.
    let spoofed = served.sign_in("wrong", "X-Forwarded-For: 198.51.100.1, 192.0.2.9\r\n").await;
    assert!(spoofed.starts_with("HTTP/1.1 429"), "{spoofed:.300}");
    let other = served.sign_in(PASSWORD, "X-Forwarded-For: 192.0.2.10\r\n").await;
    assert!(other.starts_with("HTTP/1.1 303"), "{other:.300}");
    served.stop().await;
}

#[tokio::test]
async fn headers_of_strangers_count_for_nothing() {
    let served = served(&["10.0.0.0/8"]).await;
    let lies = "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: https\r\nForwarded: for=192.0.2.8\r\n";
    let answer = served.sign_in(PASSWORD, lies).await;
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer:.300}");
    assert!(!cookie(&answer).is_empty() && !cookie(&answer).contains("Secure"), "{answer}");
    assert_eq!(served.audited("login").await, "127.0.0.1");
    let mut last = String::new();
    for n in 0..8 {
        last = served.sign_in("wrong", &format!("X-Forwarded-For: 192.0.2.{n}\r\n")).await;
    }
    assert!(last.starts_with("HTTP/1.1 429"), "an address per try does not help: {last:.300}");
    served.stop().await;
}

#[tokio::test]
async fn two_headers_that_contradict_each_other_are_refused() {
    let served = served(&["127.0.0.1/32"]).await;
    let both = "X-Forwarded-For: 192.0.2.9\r\nForwarded: for=198.51.100.1\r\n";
    let answer = served.sign_in(PASSWORD, both).await;
    assert!(answer.starts_with("HTTP/1.1 400") && cookie(&answer).is_empty(), "{answer:.300}");
    let api = format!("GET /api/v1/me HTTP/1.1\r\nHost: lk\r\nConnection: close\r\n{both}\r\n");
    let answer = served.ask(&api).await;
    assert!(answer.contains("application/problem+json") && answer.contains("HTTP/1.1 400"), "{answer:.300}");
    served.stop().await;
}

#[tokio::test]
async fn a_proxy_is_named_by_ipv6_too_and_a_mapped_peer_is_ipv4() {
    // A socket of both families: IPv4 peers come as ::ffff:127.0.0.1.
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    let named = ["::1", "127.0.0.1"];
    let mut served = match Served::start_at(both, WebLimits::default(), &named).await {
        Ok(served) => with_password(served).await,
        Err(error) => return println!("skipped: no IPv6 here: {error}"),
    };
    for (proxy, client) in
        [(IpAddr::from(Ipv6Addr::LOCALHOST), "2001:db8::7"), (Ipv4Addr::LOCALHOST.into(), "192.0.2.9")]
    {
        served.address.set_ip(proxy);
        let answer = served.sign_in(PASSWORD, &format!("X-Forwarded-For: {client}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 303"), "{proxy}: {answer:.300}");
        assert_eq!(served.audited("login").await, client, "said by {proxy}");
    }
    served.stop().await;
    // By IPv4 alone the peer that speaks IPv6 is a stranger.
    let mut served = match Served::start_at(both, WebLimits::default(), &["127.0.0.0/8"]).await {
        Ok(served) => with_password(served).await,
        Err(error) => return println!("skipped: no IPv6 here: {error}"),
    };
    served.address.set_ip(Ipv6Addr::LOCALHOST.into());
    served.sign_in(PASSWORD, "X-Forwarded-For: 192.0.2.9\r\n").await;
    assert_eq!(served.audited("login").await, "::1");
    served.stop().await;
}
