//! Every outcome of a connection request, each against a device that brings it about.

mod common;

use ConnectionRequestOutcome as Outcome;
use acs::HttpConnectionRequester;
use app::ports::{
    CallReport, CallSeen, ChallengeSeen, Cidr, ConnectionRequestOutcome, ConnectionRequestTarget,
    ConnectionRequester, TcpSeen, Unanswered,
};
use common::PATIENCE;
use cwmp::digest::{Algorithm, DigestServer, Presented, ServerPolicy, Verdict, parse_authorization};
use std::{
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use types::{Secret, UtcMs};

const NOW: UtcMs = UtcMs(1_795_269_000_000);

fn target(url: Option<String>) -> ConnectionRequestTarget {
    ConnectionRequestTarget {
        url,
        username: "acs".into(),
        password: Secret::new("s3cret"),
        allowed: vec!["127.20.0.0/16".parse::<Cidr>().expect("network")],
        known_at: [9, 10, 11].map(|host| IpAddr::from([127, 20, 3, host])).to_vec(),
        behind_nat: Vec::new(),
        connect_timeout: Duration::from_secs(20),
    }
}

/// What is waited for an answer that does not come.
const SHORT: Duration = Duration::from_millis(500);

async fn ask(url: &str) -> Outcome {
    ask_for(url, PATIENCE).await
}

/// The same of somebody who waits so long for each answer.
async fn ask_for(url: &str, answer_within: Duration) -> Outcome {
    report(url, answer_within).await.outcome
}

/// The same with what was seen on the way.
async fn report(url: &str, answer_within: Duration) -> CallReport {
    let requester = HttpConnectionRequester::default().with_answer_within(answer_within);
    timeout(PATIENCE, requester.request(target(Some(url.into())))).await.expect("always an outcome")
}

/// What one connection of a device does.
struct Call {
    stream: TcpStream,
    /// Which connection this is.
    number: usize,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Call {
    /// The head of the next request; `None` at the end of the connection.
    async fn request(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).expect("text");
        self.seen.lock().expect("seen").push(head.clone());
        Some(head)
    }

    async fn answer(&mut self, head: &str) {
        self.stream.write_all(head.replace('\n', "\r\n").as_bytes()).await.expect("sent");
        self.stream.write_all(b"\r\n\r\n").await.expect("sent");
    }
}

/// A device at 127.20.0.0/16 that treats each connection as told, and the requests it saw.
async fn device<F>(treat: impl Fn(Call) -> F + Send + 'static) -> (String, Arc<Mutex<Vec<String>>>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.20.3.9:0").await.expect("bound");
    let address: SocketAddr = listener.local_addr().expect("address");
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    tokio::spawn(async move {
        for number in 1.. {
            let (stream, _) = listener.accept().await.expect("accepted");
            tokio::spawn(treat(Call { stream, number, seen: log.clone() }));
        }
    });
    (format!("http://{address}/cr?id=7"), seen)
}

fn digest() -> DigestServer {
    let policy = ServerPolicy { algorithms: vec![Algorithm::Md5], ..ServerPolicy::default() };
    DigestServer::new("HuaweiHomeGateway", [1; 32], policy)
}

/// Checks the digest of a request as the device would.
fn verdict(head: &str, password: &str) -> Option<Verdict> {
    let line = head.lines().find_map(|line| line.strip_prefix("Authorization: "))?;
    let Presented::Digest(presented) = parse_authorization(line) else { return None };
    Some(digest().verify(&presented, &Secret::new(password), "GET", "/cr?id=7", None, NOW))
}

fn challenge(extra: &str) -> String {
    format!(
        "HTTP/1.1 401 Unauthorized\nWWW-Authenticate: {}{extra}",
        digest().challenges(NOW, [1; 8], false)[0]
    )
}

fn count(seen: &Arc<Mutex<Vec<String>>>) -> usize {
    seen.lock().expect("seen").len()
}

#[tokio::test]
async fn pre_checks_come_first_and_in_order() {
    let requester = HttpConnectionRequester::default();
    assert_eq!(requester.request(target(None)).await, Outcome::UrlMissing.into());
    for (url, want) in [
        ("", Outcome::UrlMissing),
        ("  ", Outcome::UrlMissing),
        ("127.20.0.1:7547", Outcome::UrlInvalid),
        ("ftp://127.20.0.1/", Outcome::UrlInvalid),
        ("http://u:p@127.20.0.1/", Outcome::UrlInvalid),
        ("http://127.20.0.1:7547/a b", Outcome::UrlInvalid),
        ("http://169.254.169.254/latest/meta-data", Outcome::NotInManagementSubnet),
        ("http://127.0.0.1:7547/", Outcome::NotInManagementSubnet),
        ("http://localhost:7547/", Outcome::NotInManagementSubnet),
        ("http://0.0.0.0/", Outcome::NotInManagementSubnet),
        ("http://2130706433/", Outcome::NotInManagementSubnet),
        ("http://[::1]/", Outcome::NotInManagementSubnet),
        ("http://[::ffff:127.0.0.1]/", Outcome::NotInManagementSubnet),
        ("http://10.0.0.1/", Outcome::NotInManagementSubnet),
        ("http://127.20.3.12:7547/", Outcome::AnotherAddress),
        ("http://[::ffff:127.20.3.12]:7547/", Outcome::AnotherAddress),
    ] {
        assert_eq!(ask(url).await, want, "{url}");
    }
    // A careless operator's "everywhere" still is no way to the cloud's metadata.
    let mut everywhere = target(Some("http://169.254.169.254/".into()));
    everywhere.allowed = vec!["0.0.0.0/0".parse().expect("network")];
    assert_eq!(requester.request(everywhere).await, Outcome::NotInManagementSubnet.into());
}

#[tokio::test]
async fn a_device_cannot_send_us_to_its_neighbour() {
    let (url, asked) = device(|mut call| async move {
        call.request().await.expect("a request");
        call.answer("HTTP/1.1 200 OK\nContent-Length: 0").await;
    })
    .await;
    let mapped = url.replace("127.20.3.9", "[::ffff:127.20.3.9]");
    let call = |url: &str, known_at: &[&str], behind_nat: &[&str]| {
        let target = ConnectionRequestTarget {
            known_at: known_at.iter().map(|text| text.parse().expect("an address")).collect(),
            behind_nat: behind_nat.iter().map(|text| text.parse().expect("a network")).collect(),
            ..target(Some(url.to_owned()))
        };
        async move { HttpConnectionRequester::default().request(target).await.outcome }
    };
    let nobody: [&[&str]; 4] = [&[], &["127.20.3.10"], &["::1", "fe80::1"], &["0.0.0.0"]];
    for known_at in nobody {
        for url in [&url, &mapped] {
            assert_eq!(call(url, known_at, &[]).await, Outcome::AnotherAddress, "{url} {known_at:?}");
        }
        assert_eq!(
            call(&url, known_at, &["127.20.4.0/24"]).await,
            Outcome::AnotherAddress,
            "another network"
        );
    }
    assert_eq!(count(&asked), 0, "the neighbour heard of it");
    for (url, known_at) in [
        (&url, "127.20.3.9"),
        (&mapped, "127.20.3.9"),
        (&url, "::ffff:127.20.3.9"),
        (&mapped, "::ffff:127.20.3.9"),
    ] {
        assert_eq!(call(url, &["127.20.3.10", known_at], &[]).await, Outcome::Accepted, "{url} {known_at}");
    }
    assert_eq!(call(&url, &["127.20.3.10"], &["127.20.3.0/24"]).await, Outcome::Accepted, "behind NAT");
    // What the networks forbid, an exception for some of them does not allow.
    let elsewhere = call("http://127.0.0.1:7547/", &["127.0.0.1"], &["127.0.0.0/8"]).await;
    assert_eq!(elsewhere, Outcome::NotInManagementSubnet);
}

#[tokio::test]
async fn accepted_after_the_digest_on_the_same_connection() {
    let (url, seen) = device(|mut call| async move {
        assert_eq!(call.number, 1, "the connection is kept");
        let first = call.request().await.expect("a request");
        assert!(!first.contains("Authorization"), "nothing is sent before it is asked for");
        call.answer(&challenge("\nContent-Length: 0")).await;
        let second = call.request().await.expect("a second request");
        assert_eq!(verdict(&second, "s3cret"), Some(Verdict::Correct));
        call.answer("HTTP/1.1 200 OK\nContent-Length: 0").await;
    })
    .await;
    assert_eq!(ask(&url).await, Outcome::Accepted);
    let seen = seen.lock().expect("seen").clone();
    assert!(seen[0].starts_with("GET /cr?id=7 HTTP/1.1\r\nHost: 127.20.3.9:"), "{}", seen[0]);
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn accepted_on_a_new_connection_if_the_device_closes_after_the_challenge() {
    for extra in ["\nConnection: close", "", "\nTransfer-Encoding: chunked", "\nContent-Length: 99999999"] {
        let (url, seen) = device(move |mut call| async move {
            let head = call.request().await.expect("a request");
            match call.number {
                1 => call.answer(&challenge(extra)).await,
                _ => {
                    assert_eq!(verdict(&head, "s3cret"), Some(Verdict::Correct));
                    call.answer("HTTP/1.0 204 No Content").await;
                }
            }
        })
        .await;
        assert_eq!(ask(&url).await, Outcome::Accepted, "{extra}");
        assert_eq!(count(&seen), 2);
    }
    // It says that it keeps the connection, and does not.
    let (url, _) = device(|mut call| async move {
        let head = call.request().await.expect("a request");
        if call.number == 1 {
            call.answer(&challenge("\nContent-Length: 0")).await;
        } else if verdict(&head, "s3cret") == Some(Verdict::Correct) {
            call.answer("HTTP/1.1 200 OK").await;
        }
    })
    .await;
    assert_eq!(ask(&url).await, Outcome::Accepted);
}

#[tokio::test]
async fn accepted_without_authentication_is_accepted() {
    let (url, seen) = device(|mut call| async move {
        call.request().await.expect("a request");
        call.answer("HTTP/1.1 200 OK\nContent-Length: 2").await;
    })
    .await;
    assert_eq!(ask(&url).await, Outcome::Accepted);
    assert_eq!(count(&seen), 1);
}

#[tokio::test]
async fn sloppy_challenges_get_only_what_they_offer() {
    // No commas, no qop, no algorithm: as RFC 2069 devices write it.
    let (url, seen) = device(|mut call| async move {
        call.request().await.expect("a request");
        call.answer("HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Digest realm=\"IGD\" nonce=\"abc\"\nContent-Length: 0")
            .await;
        call.request().await.expect("a second request");
        call.answer("HTTP/1.1 204 No Content").await;
    })
    .await;
    assert_eq!(ask(&url).await, Outcome::Accepted);
    let second = seen.lock().expect("seen")[1].clone();
    for absent in ["qop", "nc=", "cnonce", "opaque", "algorithm"] {
        assert!(!second.contains(absent), "{second}");
    }
}

#[tokio::test]
async fn unauthorized_means_one_answer_and_no_more() {
    let (url, seen) = device(|mut call| async move {
        while let Some(head) = call.request().await {
            assert_ne!(verdict(&head, "changed"), Some(Verdict::Correct));
            call.answer(&challenge("\nContent-Length: 0")).await;
        }
    })
    .await;
    assert_eq!(ask(&url).await, Outcome::Unauthorized);
    assert_eq!(count(&seen), 2, "no third attempt");
}

#[tokio::test]
async fn a_stale_nonce_is_answered_once_more() {
    let (url, seen) = device(|mut call| async move {
        for (number, extra) in
            [(1, "\nContent-Length: 0"), (2, ", stale=\"TRUE\"\nContent-Length: 0"), (3, "")]
        {
            let head = call.request().await.expect("a request");
            if number == 3 {
                assert_eq!(verdict(&head, "s3cret"), Some(Verdict::Correct));
                call.answer("HTTP/1.1 200 OK\nContent-Length: 0").await;
            } else {
                call.answer(&challenge(extra)).await;
            }
        }
    })
    .await;
    assert_eq!(ask(&url).await, Outcome::Accepted);
    assert_eq!(count(&seen), 3);
    // Stale for ever is not.
    let (url, seen) = device(|mut call| async move {
        while call.request().await.is_some() {
            call.answer(&challenge(", stale=true\nContent-Length: 0")).await;
        }
    })
    .await;
    assert_eq!(ask(&url).await, Outcome::Unauthorized);
    assert_eq!(count(&seen), 3);
}

#[tokio::test]
async fn the_password_is_never_sent_in_the_clear() {
    let (url, seen) = device(|mut call| async move {
        while call.request().await.is_some() {
            call.answer("HTTP/1.1 401 Unauthorized\nWWW-Authenticate: Basic realm=\"x\"\nContent-Length: 0")
                .await;
        }
    })
    .await;
    assert_eq!(ask(&url).await, Outcome::Unauthorized);
    assert_eq!(count(&seen), 1);
}

#[tokio::test]
async fn other_statuses_are_told_and_redirects_are_not_followed() {
    for (status, want) in [("503 Service Unavailable", 503), ("404 Not Found", 404), ("500 Oops", 500)] {
        let (url, seen) = device(move |mut call| async move {
            call.request().await.expect("a request");
            call.answer(&format!("HTTP/1.1 100 Continue\n\nHTTP/1.1 {status}\nContent-Length: 0")).await;
        })
        .await;
        assert_eq!(ask(&url).await, Outcome::Http(want));
        assert_eq!(count(&seen), 1);
    }
    let (victim, asked) = device(|mut call| async move {
        call.request().await;
    })
    .await;
    let (url, _) = device(move |mut call| {
        let victim = victim.clone();
        async move {
            call.request().await.expect("a request");
            call.answer(&format!("HTTP/1.1 302 Found\nLocation: {victim}\nContent-Length: 0")).await;
        }
    })
    .await;
    assert_eq!(ask(&url).await, Outcome::Http(302));
    assert_eq!(count(&asked), 0, "the redirect was followed");
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.20.3.10:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    drop(listener);
    assert_eq!(ask(&format!("http://{address}/")).await, Outcome::Unreachable);
}

#[tokio::test]
async fn connected_without_an_http_answer_is_a_timeout() {
    let (silent, _) = device(|mut call| async move { while call.request().await.is_some() {} }).await;
    assert_eq!(ask_for(&silent, SHORT).await, Outcome::Timeout);
    let (closes, _) = device(|mut call| async move {
        call.request().await;
    })
    .await;
    assert_eq!(ask_for(&closes, SHORT).await, Outcome::Timeout);
    let (babbles, _) = device(|mut call| async move {
        call.request().await;
        while call.stream.write_all(b"SSH-2.0-dropbear and more\n").await.is_ok() {}
    })
    .await;
    assert_eq!(ask_for(&babbles, SHORT).await, Outcome::Timeout);
    let (drips, _) = device(|mut call| async move {
        call.request().await;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while call.stream.write_all(b"H").await.is_ok() {
            tick.tick().await;
        }
    })
    .await;
    assert_eq!(ask_for(&drips, SHORT).await, Outcome::Timeout);
}

/// What was seen, without what differs from run to run.
async fn seen(url: &str, answer_within: Duration) -> (Outcome, CallSeen) {
    let CallReport { outcome, seen } = report(url, answer_within).await;
    assert!(seen.to.is_some_and(|to| url.contains(&to.to_string())), "{seen:?}");
    assert_eq!(seen.connect_ms.is_some(), seen.tcp == Some(TcpSeen::Connected), "{seen:?}");
    (outcome, CallSeen { to: None, connect_ms: None, ..seen })
}

#[tokio::test]
async fn what_was_seen_on_the_way_is_told_with_the_outcome() {
    let connected = CallSeen { tcp: Some(TcpSeen::Connected), ..CallSeen::default() };
    let digest = |realm: &str, qop: Option<&str>| Some(ChallengeSeen::new("digest", realm, qop));

    let (url, _) = device(|mut call| async move {
        while let Some(head) = call.request().await {
            match verdict(&head, "s3cret") {
                Some(Verdict::Correct) => call.answer("HTTP/1.1 200 OK\nContent-Length: 0").await,
                _ => call.answer(&challenge("\nContent-Length: 0")).await,
            }
        }
    })
    .await;
    let challenged = CallSeen {
        challenge: digest("HuaweiHomeGateway", Some("auth")),
        credentials_sent: true,
        ..connected.clone()
    };
    let want = CallSeen { status: Some(200), ..challenged.clone() };
    assert_eq!(seen(&url, PATIENCE).await, (Outcome::Accepted, want), "accepted with our credentials");

    let (url, _) = device(|mut call| async move {
        while call.request().await.is_some() {
            call.answer(&challenge("\nContent-Length: 0")).await;
        }
    })
    .await;
    let want = CallSeen { status: Some(401), ..challenged.clone() };
    assert_eq!(seen(&url, PATIENCE).await, (Outcome::Unauthorized, want), "401 twice");

    let (url, _) = device(|mut call| async move {
        while call.request().await.is_some() {
            call.answer("HTTP/1.1 401 No\nWWW-Authenticate: Basic realm=\"x\"\nContent-Length: 0").await;
        }
    })
    .await;
    let basic = Some(ChallengeSeen::new("basic", "x", None));
    let want = CallSeen { status: Some(401), challenge: basic, ..connected.clone() };
    assert_eq!(seen(&url, PATIENCE).await, (Outcome::Unauthorized, want), "Basic is not answered");

    let (url, _) = device(|mut call| async move {
        call.request().await;
        call.answer("HTTP/1.1 403 Forbidden\nContent-Length: 0").await;
    })
    .await;
    let want = CallSeen { status: Some(403), ..connected.clone() };
    assert_eq!(seen(&url, PATIENCE).await, (Outcome::Http(403), want));

    // It takes one connection, and asks for the password, and nobody listens there any more.
    let listener = TcpListener::bind("127.20.3.9:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("accepted");
        drop(listener);
        let mut call = Call { stream, number: 1, seen: Arc::default() };
        call.request().await;
        call.answer(&challenge("\nConnection: close")).await;
    });
    let CallReport { outcome, seen: gone } = report(&format!("http://{address}/cr?id=7"), PATIENCE).await;
    assert_eq!((outcome, gone.tcp), (Outcome::Unreachable, Some(TcpSeen::Refused)));
    assert_eq!(gone.challenge, challenged.challenge);
}

#[tokio::test]
async fn why_there_is_no_answer_is_told() {
    let connected = CallSeen { tcp: Some(TcpSeen::Connected), ..CallSeen::default() };
    let listener = TcpListener::bind("127.20.3.10:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    drop(listener);
    let want = CallSeen { tcp: Some(TcpSeen::Refused), ..CallSeen::default() };
    assert_eq!(seen(&format!("http://{address}/"), PATIENCE).await, (Outcome::Unreachable, want));

    let unanswered =
        |why: Unanswered| (Outcome::Timeout, CallSeen { unanswered: Some(why), ..connected.clone() });
    let (silent, _) = device(|mut call| async move { while call.request().await.is_some() {} }).await;
    assert_eq!(seen(&silent, SHORT).await, unanswered(Unanswered::Silent));
    let (closes, _) = device(|mut call| async move {
        call.request().await;
    })
    .await;
    assert_eq!(seen(&closes, PATIENCE).await, unanswered(Unanswered::Closed));
    let (garbage, _) = device(|mut call| async move {
        call.request().await;
        call.answer("SSH-2.0-dropbear").await;
        call.request().await;
    })
    .await;
    assert_eq!(seen(&garbage, PATIENCE).await, unanswered(Unanswered::NotHttp));
    let (slow, _) = device(|mut call| async move {
        call.request().await;
        call.stream.write_all(b"HTTP/1.1 200 O").await.expect("sent");
        call.request().await;
    })
    .await;
    assert_eq!(seen(&slow, SHORT).await, unanswered(Unanswered::Slow));
    let (plain, _) = device(|mut call| async move {
        call.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("sent");
    })
    .await;
    let tls = plain.replace("http://", "https://");
    assert_eq!(report(&tls, PATIENCE).await.seen.unanswered, Some(Unanswered::Tls));
}

#[tokio::test]
async fn a_host_that_drops_what_we_send_is_told_from_one_that_refuses() {
    // A queue of connections that is full takes no more: what comes is dropped without a word.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.20.3.9:0".parse().expect("an address")).expect("bound");
    let listener = socket.listen(1).expect("listening");
    let address = listener.local_addr().expect("address");
    let mut queued = Vec::new();
    while let Ok(connected) = timeout(SHORT, TcpStream::connect(address)).await {
        queued.push(connected.expect("queued"));
    }
    let full =
        ConnectionRequestTarget { connect_timeout: SHORT, ..target(Some(format!("http://{address}/"))) };
    let CallReport { outcome, seen } = HttpConnectionRequester::default().request(full).await;
    assert_eq!((outcome, seen.tcp), (Outcome::Unreachable, Some(TcpSeen::TimedOut)));
    assert_eq!((seen.connect_ms, seen.unanswered), (None, None));
    drop((listener, queued));
}

#[tokio::test]
async fn over_tls_any_certificate_will_do_and_basic_still_will_not() {
    let made = rcgen::generate_simple_self_signed(vec!["cpe".into()]).expect("certificate");
    let config = acs::server_config_from_pem(
        made.cert.pem().as_bytes(),
        made.signing_key.serialize_pem().as_bytes(),
        None,
    )
    .expect("usable");
    let acceptor = tokio_rustls::TlsAcceptor::from(config.server);
    let listener = TcpListener::bind("127.20.3.11:0").await.expect("bound");
    let address = listener.local_addr().expect("address");
    tokio::spawn(async move {
        for status in ["204 No Content", "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\""] {
            let (stream, _) = listener.accept().await.expect("accepted");
            let mut stream = acceptor.accept(stream).await.expect("handshake");
            let mut head = [0; 1024];
            let read = stream.read(&mut head).await.expect("a request");
            assert!(head[..read].starts_with(b"GET /x HTTP/1.1\r\n"));
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("sent");
            stream.flush().await.expect("sent");
            let _ = stream.read(&mut head).await;
        }
    });
    assert_eq!(ask(&format!("https://{address}/x")).await, Outcome::Accepted);
    assert_eq!(ask(&format!("https://{address}/x")).await, Outcome::Unauthorized);
}
