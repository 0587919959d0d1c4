//! HTTP Digest (RFC 7616, RFC 2617, RFC 2069) and Basic (RFC 7617), both sides.
//!
//! [`DigestServer`] checks what CPEs send with their Informs. Its nonces are stateless: a time, a salt and an
//! HMAC. A nonce bound to the TCP connection would lock out the CPEs that reconnect after the 401.
//! [`answer_challenge`] answers what CPEs ask of a connection request, sending only what was offered.

mod client;
mod header;
mod server;
#[cfg(test)]
mod tests;

pub use client::{AnswerError, RequestToAnswer, answer_challenge};
pub use header::{Challenge, Parameters, parse_challenges};
pub use server::{
    DigestServer, Presented, PresentedDigest, ServerPolicy, Verdict, basic_challenge, parse_authorization,
};

use md5::{Digest as _, Md5};
use sha2::Sha256;
use std::{fmt, str::FromStr};
use types::Secret;
use zeroize_text::wipe;

/// The hash functions of RFC 7616 that CPEs know. SHA-512/256 is not among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5`, also when no algorithm is named.
    Md5,
    /// `MD5-sess`
    Md5Sess,
    /// `SHA-256`
    Sha256,
    /// `SHA-256-sess`
    Sha256Sess,
}

impl Algorithm {
    /// The hash as lower-case hex.
    pub fn hash(self, text: &[u8]) -> String {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess => hex::encode(Md5::digest(text)),
            Algorithm::Sha256 | Algorithm::Sha256Sess => hex::encode(Sha256::digest(text)),
        }
    }

    fn is_sess(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess)
    }

    /// Higher is stronger.
    fn strength(self) -> u8 {
        match self {
            Algorithm::Md5 => 0,
            Algorithm::Md5Sess => 1,
            Algorithm::Sha256 => 2,
            Algorithm::Sha256Sess => 3,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
        })
    }
}

impl FromStr for Algorithm {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "" | "md5" => Ok(Algorithm::Md5),
            "md5-sess" => Ok(Algorithm::Md5Sess),
            "sha-256" | "sha256" => Ok(Algorithm::Sha256),
            "sha-256-sess" | "sha256-sess" => Ok(Algorithm::Sha256Sess),
            _ => Err(()),
        }
    }
}

/// `H(username ":" realm ":" password)`: enough to log in, so it is a secret like the password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ha1 {
    /// With which hash.
    pub algorithm: Algorithm,
    /// Lower-case hex.
    pub hex: Secret,
}

impl Ha1 {
    /// From a password.
    pub fn new(algorithm: Algorithm, username: &str, realm: &str, password: &Secret) -> Self {
        let mut text = format!("{username}:{realm}:{}", password.expose());
        let hex = Secret::new(algorithm.hash(text.as_bytes()));
        wipe(&mut text);
        Ha1 { algorithm, hex }
    }
}

/// What goes into a digest besides HA1. Both sides compute the response from it.
struct ResponseInput<'a> {
    method: &'a str,
    uri: &'a str,
    nonce: &'a str,
    /// nc, cnonce, qop; `None` for RFC 2069.
    qop: Option<(&'a str, &'a str, &'a str)>,
    /// For `-sess` without qop.
    cnonce: &'a str,
    /// Hash of the body for `auth-int`.
    body_hash: Option<&'a str>,
}

fn response(ha1: &Ha1, input: &ResponseInput<'_>) -> String {
    let algorithm = ha1.algorithm;
    let session_key = algorithm.is_sess().then(|| {
        let cnonce = input.qop.map_or(input.cnonce, |(_, cnonce, _)| cnonce);
        Secret::new(algorithm.hash(format!("{}:{}:{cnonce}", ha1.hex.expose(), input.nonce).as_bytes()))
    });
    let key = session_key.as_ref().unwrap_or(&ha1.hex);
    let ha2 = match input.body_hash {
        Some(body_hash) => algorithm.hash(format!("{}:{}:{body_hash}", input.method, input.uri).as_bytes()),
        None => algorithm.hash(format!("{}:{}", input.method, input.uri).as_bytes()),
    };
    let mut text = match input.qop {
        Some((nc, cnonce, qop)) => format!("{}:{}:{nc}:{cnonce}:{qop}:{ha2}", key.expose(), input.nonce),
        None => format!("{}:{}:{ha2}", key.expose(), input.nonce),
    };
    let response = algorithm.hash(text.as_bytes());
    wipe(&mut text);
    response
}

mod zeroize_text {
    /// Overwrites a text that held a secret.
    pub(super) fn wipe(text: &mut String) {
        // `Secret` wipes on drop; handing the buffer over is all it takes.
        drop(types::Secret::new(std::mem::take(text)));
    }
}
