//! What a hostile client of the pages can cost over real sockets: its own connection, and nothing else.

mod common;

use std::time::Duration;

use app::{Actor, Permission};
use common::{PATIENCE, Served, to_the_end};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use web::WebLimits;

async fn hears(wire: &mut TcpStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut some = [0; 4096];
    while !text.contains(wanted) {
        let read = timeout(PATIENCE, wire.read(&mut some)).await.expect("in time").expect("readable");
        assert!(read > 0, "it ended before {wanted:?}: {text}");
        text.push_str(&String::from_utf8_lossy(&some[..read]));
    }
    text
}

fn hasty() -> WebLimits {
    WebLimits {
        head_within: Duration::from_millis(200),
        body_within: Duration::from_millis(200),
        write_within: Duration::from_millis(500),
        max_connections: 40,
        max_connections_per_address: 40,
        stop_within: Duration::from_secs(10),
    }
}

#[tokio::test]
async fn slow_heads_and_silent_connections_are_cut_off() {
    let served = Served::start(hasty(), &[]).await;
    let mut silent = served.connect().await;
    let mut slow = served.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: lk\r\nX-Sl").await.expect("sent");
    to_the_end(&mut silent).await;
    to_the_end(&mut slow).await;
    // One that asked once may not stay for ever either.
    let mut kept = served.connect().await;
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: lk\r\n\r\n").await.expect("sent");
    assert!(to_the_end(&mut kept).await.contains("ok\n"));
    served.still_answers().await;
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_refused_with_the_reason() {
    let served = Served::start(hasty(), &[]).await;
    let head = "POST /login HTTP/1.1\r\nHost: lk\r\nContent-Type: application/x-www-form-urlencoded\r\n\
                Content-Length: 400\r\n\r\nname=adm";
    let answer = served.ask(head).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer:.300}");
    assert!(answer.contains("did not arrive within 0.2 s"), "{answer}");

    let key = served.app.create_api_key(&Actor::System("test"), "for a test", &Permission::ALL, None).await;
    let key = key.expect("a key").1;
    let head = format!(
        "POST /api/v1/customers HTTP/1.1\r\nHost: lk\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: 400\r\n\r\n{{",
        key.expose()
    );
    let answer = served.ask(&head).await;
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("application/problem+json"),
        "{answer:.300}"
    );
    served.still_answers().await;
    served.stop().await;
}

#[tokio::test]
async fn whoever_takes_nothing_of_the_answer_is_cut_off() {
    // Thousands of requests keep the one thread of this test busy; those who come meanwhile are not to be cut off for it.
    let served = Served::start(WebLimits { head_within: PATIENCE, ..hasty() }, &[]).await;
    let mut wire = served.connect().await;
    // Answers pile up until the kernel takes no more; then the server waits, and not for long.
    let style = b"GET /assets/lightkeeper.css HTTP/1.1\r\nHost: lk\r\n\r\n".repeat(2000);
    let sent = timeout(PATIENCE, wire.write_all(&style)).await;
    assert!(sent.is_ok(), "the server gives up on it, so that this ends: sent or refused");
    let _ = timeout(PATIENCE, wire.write_all(&style)).await.expect("it is over");
    served.still_answers().await;
    served.stop().await;
}

#[tokio::test]
async fn idle_connections_fill_their_own_limit_and_then_make_room() {
    let limits =
        WebLimits { max_connections_per_address: 5, head_within: Duration::from_secs(15), ..hasty() };
    let served = Served::start(limits, &[]).await;
    let mut idle = Vec::new();
    for _ in 0..5 {
        let mut wire = served.connect().await;
        wire.write_all(b"GET /healthz HTTP/1.1\r\nHost: lk\r\n\r\n").await.expect("sent");
        hears(&mut wire, "ok\n").await;
        idle.push(wire);
    }
    assert_eq!(served.ask("GET /healthz HTTP/1.1\r\nHost: lk\r\n\r\n").await, "", "one too many is closed");
    drop(idle.pop());
    // Its place is free when the server has seen the end of it.
    let answered = timeout(PATIENCE, async {
        while served.ask("GET /healthz HTTP/1.1\r\nHost: lk\r\nConnection: close\r\n\r\n").await.is_empty() {
            tokio::task::yield_now().await;
        }
    });
    answered.await.expect("there is room again");
    for wire in &mut idle {
        to_the_end(wire).await;
    }
    served.still_answers().await;
    served.stop().await;
}

#[tokio::test]
async fn a_trusted_proxy_has_no_limit_of_its_own() {
    let limits = WebLimits { max_connections_per_address: 1, head_within: PATIENCE, ..hasty() };
    let served = Served::start(limits, &["127.0.0.0/8"]).await;
    let mut many = Vec::new();
    for _ in 0..10 {
        let mut wire = served.connect().await;
        wire.write_all(b"GET /healthz HTTP/1.1\r\nHost: lk\r\n\r\n").await.expect("sent");
        hears(&mut wire, "ok\n").await;
        many.push(wire);
    }
    served.stop().await;
}

#[tokio::test]
async fn live_updates_outlast_every_limit_and_end_with_the_server() {
    let served = Served::start(hasty(), &[]).await;
    let key = served.app.create_api_key(&Actor::System("test"), "for a test", &Permission::ALL, None).await;
    let key = key.expect("a key").1;
    let mut wire = served.connect().await;
    let head =
        format!("GET /api/v1/events HTTP/1.1\r\nHost: lk\r\nAuthorization: Bearer {}\r\n\r\n", key.expose());
    wire.write_all(head.as_bytes()).await.expect("sent");
    hears(&mut wire, ": open").await;
    // Others come and go for longer than a head or a body may take.
    for _ in 0..3 {
        let mut silent = served.connect().await;
        to_the_end(&mut silent).await;
    }
    served.app.bus().say(app::Change::Customers);
    hears(&mut wire, "event: customers").await;
    // Stopping does not wait for a page to be closed.
    let Served { stop, running, .. } = served;
    drop(stop);
    timeout(Duration::from_secs(9), running)
        .await
        .expect("before it would be cut")
        .expect("it does not panic");
    to_the_end(&mut wire).await;
}
