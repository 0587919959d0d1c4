//! A scripted ACS for tests: it answers Informs, gives the orders it was told to give, and reports what came.

#![allow(dead_code, reason = "each test file uses its own part")]

use cwmp::{
    codec::{self, Body, Envelope},
    digest::{DigestServer, Presented, ServerPolicy, Verdict, parse_authorization},
};
use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use types::{Clock, Secret, SystemClock};

/// A request that came in.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) peer: SocketAddr,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) raw: Vec<u8>,
    /// `None` for an empty or unreadable body.
    pub(crate) envelope: Option<Envelope>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn method(&self) -> &str {
        self.envelope.as_ref().map_or("", |envelope| envelope.body.method())
    }
}

#[derive(Default)]
struct Script {
    orders: VecDeque<Body>,
    login: Option<(String, String)>,
}

pub(crate) struct FakeAcs {
    pub(crate) url: String,
    script: Arc<Mutex<Script>>,
    received: mpsc::UnboundedReceiver<Received>,
}

impl FakeAcs {
    pub(crate) async fn start() -> FakeAcs {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/cwmp", listener.local_addr().expect("an address"));
        let script = Arc::new(Mutex::new(Script::default()));
        let (sender, received) = mpsc::unbounded_channel();
        let shared = script.clone();
        tokio::spawn(async move {
            loop {
                let (stream, peer) = listener.accept().await.expect("accept");
                tokio::spawn(serve(stream, peer, shared.clone(), sender.clone()));
            }
        });
        FakeAcs { url, script, received }
    }

    /// Orders to give, one after the other, in whatever session comes next.
    pub(crate) fn order(&self, orders: impl IntoIterator<Item = Body>) {
        self.script.lock().expect("script").orders.extend(orders);
    }

    /// From now on the device must log in.
    pub(crate) fn require(&self, username: &str, password: &str) {
        self.script.lock().expect("script").login = Some((username.to_owned(), password.to_owned()));
    }

    /// The next request of a device.
    pub(crate) async fn next(&mut self) -> Received {
        tokio::time::timeout(Duration::from_secs(120), self.received.recv())
            .await
            .expect("a request in time")
            .expect("open")
    }

    /// Requests up to and including the first of a method.
    pub(crate) async fn until(&mut self, method: &str) -> Vec<Received> {
        let mut seen = Vec::new();
        loop {
            let received = self.next().await;
            let found = received.method() == method;
            seen.push(received);
            if found {
                return seen;
            }
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    peer: SocketAddr,
    script: Arc<Mutex<Script>>,
    sender: mpsc::UnboundedSender<Received>,
) {
    let digest = DigestServer::new("acs", [7; 32], ServerPolicy::default());
    let mut buffer = Vec::new();
    loop {
        let head_end = loop {
            if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&buffer[..head_end]).into_owned();
        let headers: Vec<(String, String)> = head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let header =
            |name: &str| headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let length: usize = header("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        while buffer.len() < head_end + length {
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let raw: Vec<u8> = buffer[head_end..head_end + length].to_vec();
        buffer.drain(..head_end + length);
        let login = script.lock().expect("script").login.clone();
        if let Some((username, password)) = login {
            let right = match header("authorization").map(|text| parse_authorization(&text)) {
                Some(Presented::Digest(presented)) if presented.username == username => {
                    digest.verify(
                        &presented,
                        &Secret::new(password),
                        "POST",
                        "/cwmp",
                        Some(&raw),
                        SystemClock.now(),
                    ) == Verdict::Correct
                }
                _ => false,
            };
            if !right {
                let challenges = digest.challenges(SystemClock.now(), [1; 8], false);
                let lines: String =
                    challenges.iter().map(|one| format!("WWW-Authenticate: {one}\r\n")).collect();
                let response = format!("HTTP/1.1 401 Unauthorized\r\n{lines}Content-Length: 0\r\n\r\n");
                if stream.write_all(response.as_bytes()).await.is_err() {
                    return;
                }
                continue;
            }
        }
        let envelope = cwmp::decode(&raw, None, &cwmp::Limits::default()).ok();
        let unreadable = envelope.is_none() && !cwmp::is_empty_body(&raw);
        let (id, version) = envelope.as_ref().map(|one| (one.id.clone(), one.version)).unwrap_or_default();
        let reply = match envelope.as_ref().map(|one| &one.body) {
            _ if unreadable => None,
            Some(Body::Inform(_)) => Some(Envelope::new(
                id,
                version,
                Body::InformResponse(codec::InformResponse { max_envelopes: 1 }),
            )),
            _ => {
                let order = script.lock().expect("script").orders.pop_front();
                order.map(|body| Envelope::new(Some("acs-1".to_owned()), version, body))
            }
        };
        let response = match &reply {
            _ if unreadable => {
                b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec()
            }
            Some(envelope) => {
                let body = codec::encode(envelope, &codec::EncodeOptions::default());
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nSet-Cookie: sid=abc123; Path=/; HttpOnly\r\nContent-Length: {}\r\n\r\n",
                    body.len()
                );
                [head.into_bytes(), body].concat()
            }
            None => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        };
        // The answer leaves before the test hears of the request, so that a test may kill the device then.
        let written = stream.write_all(&response).await;
        let _ = sender.send(Received { peer, headers, raw, envelope });
        if written.is_err() || unreadable {
            return;
        }
    }
}

/// A scenario of one device with the quirks given in TOML, with short times.
pub(crate) fn scenario(serial: &str, model: &str, quirks: &str) -> sim::scenario::Scenario {
    let text = format!(
        r#"
title = "test"
seed = 3
[timing]
boot_ms = 20
pppoe_ms = 20
ntp_ms = 20
connection_request_ms = 20
connection_request_gap_ms = 1
retry_ms = 30
inform_interval_s = 3600
[[olt]]
name = "OLT-T"
[[plan]]
name = "Home"
down_kbps = 1
up_kbps = 1
vlan = 100
[[group]]
name = "one"
serials = ["{serial}"]
model = "{model}"
service = {{ customers = ["Test"], plan = "Home" }}
expect = {{ state = "ACTIVE" }}
[group.quirks]
{quirks}
"#
    );
    sim::scenario::Scenario::parse(&text).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn set(settings: &[(&str, &str)]) -> Body {
    Body::SetParameterValues(codec::SetParameterValues {
        parameters: settings
            .iter()
            .map(|(name, value)| codec::ParameterValue {
                name: (*name).to_owned(),
                value: codec::Value::string(*value),
            })
            .collect(),
        parameter_key: "k1".to_owned(),
    })
}

pub(crate) fn add(table: &str) -> Body {
    Body::AddObject(codec::AddObject { object_name: table.to_owned(), parameter_key: "k1".to_owned() })
}

pub(crate) fn names(path: &str, next_level: bool) -> Body {
    Body::GetParameterNames(codec::GetParameterNames { path: path.to_owned(), next_level })
}
