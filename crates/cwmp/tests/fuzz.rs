//! Whatever a CPE sends is read or refused: no panic, no endless work. Plain functions over bytes, driven by proptest
//! with anything at all and by chance from what was recorded; `cargo xtask fuzz` does the latter for long.
#![allow(clippy::unwrap_used)]

use cwmp::{
    Limits,
    codec::{self, EncodeOptions},
    digest,
};
use proptest::prelude::*;
use std::path::Path;
use types::Secret;

#[path = "../../../fuzz/mutate.rs"]
mod mutate;

/// A body as a CPE posts it. What was read can be written and read again, and is the same.
fn soap(bytes: &[u8]) {
    let limits = Limits::default();
    let _ = codec::is_empty_body(bytes);
    for label in [None, Some("text/xml; charset=ISO-8859-1"), Some("text/xml; charset=\"utf-8\"")] {
        let Ok(envelope) = codec::decode(bytes, label, &limits) else { continue };
        let written = codec::encode(&envelope, &EncodeOptions::default());
        let _ = codec::decode(&written, None, &limits);
    }
}

/// The framing that is left to us of a message whose HTTP hyper has read: the media type with its charset, in front of
/// a body. The first line of the input is the header, the rest the body.
fn http(bytes: &[u8]) {
    let (label, body) = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[][..]),
    };
    let label = String::from_utf8_lossy(label);
    let _ = codec::decode(body, Some(label.trim_end()), &Limits::default());
}

/// A header of either side of an authentication.
fn digest(bytes: &[u8]) {
    let header = String::from_utf8_lossy(bytes);
    let _ = digest::parse_authorization(&header);
    let challenges = digest::parse_challenges(&header);
    let password = Secret::new("secret");
    let request = digest::RequestToAnswer {
        username: "user",
        password: &password,
        method: "GET",
        uri: "/",
        cnonce: "0a4f113b",
        nonce_count: 1,
        allow_basic: true,
        at_least: None,
    };
    if let Ok(answer) = digest::answer_challenge(&challenges, &request) {
        assert!(!answer.contains(['\r', '\n']), "an answer of two lines: {answer:?}");
    }
}

fn bodies() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    mutate::gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("golden"), &mut found);
    found.extend(mutate::recorded("cwmp").iter().map(|post| body_of(post).to_vec()));
    let read = found.iter().filter(|body| codec::decode(body, None, &Limits::default()).is_ok()).count();
    assert!(read * 2 > found.len(), "only {read} of {} are messages before they are changed", found.len());
    found
}

/// The recordings have the head of their HTTP in front, at which every reader of SOAP would stop.
fn body_of(post: &[u8]) -> &[u8] {
    let end_of_head = b"\r\n\r\n";
    let at = post.windows(end_of_head.len()).position(|four| four == end_of_head);
    at.map_or(post, |at| &post[at + end_of_head.len()..])
}

const XML: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?xml version=\"1.0\"?>",
    "<!DOCTYPE a [",
    "&lt;",
    "&#0;",
    "&#x110000;",
    "&a;",
    "xmlns:a=\"",
    "soap:arrayType=\"a[99999999999]\"",
    "\u{feff}",
    "\0",
    "\r\n",
    "18446744073709551616",
    "-1",
    "<cwmp:ID>",
    "<ParameterValueStruct>",
    "0001-01-01T00:00:00Z",
];

const HEADERS: &[&str] = &[
    "Digest ",
    "Basic ",
    "realm=\"",
    "nonce=\"",
    "qop=\"auth,auth-int\"",
    "algorithm=SHA-256-sess",
    "\"",
    "\\",
    ",",
    "=",
    "nc=ffffffff",
    "nc=100000000",
    "stale=TRUE",
    "\u{fffd}",
    "=====",
    "\t",
];

fn headers() -> Vec<Vec<u8>> {
    [
        r#"Digest realm="IGD", nonce="dcd98b7102dd2f0e", qop="auth,auth-int", algorithm=MD5, opaque="5ccc""#,
        r#"Digest realm="a", nonce="b", algorithm=SHA-256, qop=auth, Basic realm="c""#,
        r#"Digest username="user", realm="IGD", nonce="dcd9", uri="/", cnonce="0a4f", nc=00000001, qop=auth, response="6629fae49393a05397450978507c4ef1", algorithm=MD5"#,
        "Basic dXNlcjpzZWNyZXQ=",
    ]
    .map(|header| header.as_bytes().to_vec())
    .to_vec()
}

#[test]
fn soap_from_what_was_recorded() {
    mutate::drive("soap", &bodies(), XML, soap);
}

#[test]
fn http_from_what_was_recorded() {
    let labels =
        ["text/xml; charset=\"utf-8\"", "text/xml;charset=utf-16", "application/soap+xml", "", "a;b=\"c"];
    let labelled = |body: Vec<u8>| labels.map(|label| [label.as_bytes(), b"\n", &body].concat());
    let corpus: Vec<Vec<u8>> = bodies().into_iter().flat_map(labelled).collect();
    mutate::drive(
        "http",
        &corpus,
        &["charset=", "\"", ";", "iso-8859-1", "utf-16le", "\n", "<", "\u{feff}"],
        http,
    );
}

#[test]
fn digest_from_usual_headers() {
    mutate::drive("digest", &headers(), HEADERS, digest);
}

proptest! {
    #[test]
    fn anything_at_all_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        soap(&bytes);
        http(&bytes);
        digest(&bytes);
    }
}
