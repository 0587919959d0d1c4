//! The connection request listener of a CPE: HTTP GET with Digest (TR-069 3.2.2).
//!
//! The digest is checked with code of its own, not with that of the ACS: a mistake there must not be repeated here.

use super::{
    agent::Around,
    http::{headers_of, read_head},
};
use md5::{Digest, Md5};
use std::{collections::VecDeque, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

/// Most bytes of a request head.
const MAX_HEAD_BYTES: usize = 8 << 10;
/// How long a caller may take to send it.
const PATIENCE: Duration = Duration::from_secs(5);
/// Requests on one connection: a challenge and its answer, with a margin.
const MAX_REQUESTS: usize = 4;
/// Nonces that are remembered.
const MAX_NONCES: usize = 16;

const REALM: &str = "simulated-cpe";

/// Nonces a device has given out.
#[derive(Debug, Default)]
pub struct Nonces(VecDeque<String>);

impl Nonces {
    fn fresh(&mut self) -> String {
        let nonce = format!("{:032x}", rand::random::<u128>());
        if self.0.len() >= MAX_NONCES {
            self.0.pop_front();
        }
        self.0.push_back(nonce.clone());
        nonce
    }
}

/// Answers the requests of one connection. True if a session is to follow.
pub async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    around: Around<'_>,
    nonces: &tokio::sync::Mutex<Nonces>,
) -> bool {
    let mut wanted = false;
    for _ in 0..MAX_REQUESTS {
        let Ok(Ok((head, _))) = timeout(PATIENCE, read_head(&mut stream, MAX_HEAD_BYTES)).await else {
            break;
        };
        let (status, challenge) = answer(&head, around, &mut *nonces.lock().await);
        wanted |= status == 200;
        let reason = match status {
            200 => "OK",
            401 => "Unauthorized",
            404 => "Not Found",
            405 => "Method Not Allowed",
            _ => "Service Unavailable",
        };
        let challenge = challenge.map_or(String::new(), |nonce| {
            format!("WWW-Authenticate: Digest realm=\"{REALM}\", qop=\"auth\", nonce=\"{nonce}\", algorithm=MD5\r\n")
        });
        let response = format!("HTTP/1.1 {status} {reason}\r\n{challenge}Content-Length: 0\r\n\r\n");
        if stream.write_all(response.as_bytes()).await.is_err() || status != 401 {
            break;
        }
    }
    let _ = stream.shutdown().await;
    wanted
}

/// The status and, for a 401, a fresh nonce.
fn answer(head: &str, around: Around<'_>, nonces: &mut Nonces) -> (u16, Option<String>) {
    let mut words = head.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (login, path) = {
        let cell = around.lock();
        let device = cell.device();
        let url = device.tree().at_root("ManagementServer.ConnectionRequestURL").unwrap_or_default();
        let path = url.splitn(4, '/').nth(3).map(|path| format!("/{path}")).unwrap_or_default();
        (device.connection_request_login(), path)
    };
    let refused = |status: u16| {
        if let Err(error) = around.act(|device, now| device.connection_request_refused(now, status)) {
            tracing::error!(%error, "the journal of a simulated device cannot be written");
        }
    };
    if method != "GET" {
        refused(405);
        return (405, None);
    }
    if target != path {
        refused(404);
        return (404, None);
    }
    let authorization =
        headers_of(head).into_iter().find(|(name, _)| name == "authorization").map(|(_, value)| value);
    let right = match (&authorization, &login) {
        (Some(header), Some((username, password))) => is_right(header, username, password, target, nonces),
        _ => false,
    };
    if !right {
        // The first request of every client comes without credentials: only a wrong answer is worth noting.
        if authorization.is_some() {
            refused(401);
        }
        return (401, Some(nonces.fresh()));
    }
    match around.act(|device, now| device.connection_request(now)) {
        Ok(true) => (200, None),
        Ok(false) | Err(_) => (503, None),
    }
}

/// True if a Digest header (RFC 2617, MD5) is right.
fn is_right(header: &str, username: &str, password: &str, target: &str, nonces: &Nonces) -> bool {
    let Some(fields) = header.strip_prefix("Digest ") else { return false };
    let field = |name: &str| {
        fields.split(',').filter_map(|part| part.split_once('=')).find_map(|(key, value)| {
            (key.trim().eq_ignore_ascii_case(name)).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let text = |name: &str| field(name).unwrap_or_default();
    let nonce = text("nonce");
    if text("username") != username || text("uri") != target || !nonces.0.contains(&nonce) {
        return false;
    }
    let md5 = |text: String| hex::encode(Md5::digest(text));
    let (ha1, ha2) = (md5(format!("{username}:{REALM}:{password}")), md5(format!("GET:{target}")));
    let expected = match field("qop") {
        Some(qop) => md5(format!("{ha1}:{nonce}:{}:{}:{qop}:{ha2}", text("nc"), text("cnonce"))),
        None => md5(format!("{ha1}:{nonce}:{ha2}")),
    };
    expected == text("response")
}
