//! The server: challenges, and checks what comes back.

use super::{
    Algorithm, Ha1, ResponseInput,
    header::{parse_challenges, quote},
    response,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq;
use types::{Secret, UtcMs};

/// What the server insists on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPolicy {
    /// Offered in this order, one challenge each. CPEs that know one algorithm take the first one they know or,
    /// if badly made, the first one there is.
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce is good for.
    pub nonce_ttl: Duration,
    /// Accept answers without qop (RFC 2069). They cannot be told from replays.
    pub allow_rfc2069: bool,
    /// The path in the answer must be the path of the request.
    pub check_uri: bool,
}

impl Default for ServerPolicy {
    /// MD5 first: many CPEs answer the first challenge only, and MD5 is what they know.
    fn default() -> Self {
        ServerPolicy {
            algorithms: vec![Algorithm::Md5, Algorithm::Sha256],
            nonce_ttl: Duration::from_secs(300),
            allow_rfc2069: false,
            check_uri: true,
        }
    }
}

/// Checks digests without remembering nonces.
#[derive(Clone)]
pub struct DigestServer {
    realm: String,
    key: [u8; 32],
    policy: ServerPolicy,
}

impl std::fmt::Debug for DigestServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DigestServer")
            .field("realm", &self.realm)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// What an `Authorization` header presents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// Name and password.
    Basic {
        /// Who it says it is.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A digest, not checked yet.
    Digest(Box<PresentedDigest>),
    /// A scheme that is not supported, or one that cannot be read.
    Other,
}

/// The fields of a digest answer.
#[derive(Clone, PartialEq, Eq)]
pub struct PresentedDigest {
    /// Who it says it is. Look its secrets up by this.
    pub username: String,
    /// The realm it was computed for.
    pub realm: String,
    /// Our nonce.
    pub nonce: String,
    /// The path it was computed for.
    pub uri: String,
    pub(super) response: String,
    algorithm: Option<Algorithm>,
    qop: Option<String>,
    cnonce: String,
    nc: String,
}

impl std::fmt::Debug for PresentedDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PresentedDigest").field("username", &self.username).finish_non_exhaustive()
    }
}

impl PresentedDigest {
    /// How often the nonce was used, as the client counts; `None` for RFC 2069 and for nonsense.
    pub fn nonce_count(&self) -> Option<u32> {
        self.qop.as_ref()?;
        u32::from_str_radix(&self.nc, 16).ok().filter(|count| *count > 0)
    }
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The secret is known to the other side. Whether this is a replay is for the caller to decide by nonce and
    /// [`PresentedDigest::nonce_count`].
    Correct,
    /// The secret is right, the nonce is too old or not ours: challenge again with `stale=true`.
    Stale,
    /// Not correct, for the stated reason (for the log; the peer only gets a new challenge).
    Wrong(&'static str),
}

/// Reads an `Authorization` header.
pub fn parse_authorization(header: &str) -> Presented {
    let header = header.trim();
    let (scheme, rest) = header.split_once(char::is_whitespace).unwrap_or((header, ""));
    if scheme.eq_ignore_ascii_case("basic") {
        let pair = STANDARD.decode(rest.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        return match pair.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((username, password)) => {
                Presented::Basic { username: username.to_owned(), password: Secret::new(password) }
            }
            None => Presented::Other,
        };
    }
    let Some(digest) = parse_challenges(header).into_iter().find(|challenge| challenge.scheme == "digest")
    else {
        return Presented::Other;
    };
    let text = |name: &str| digest.parameters.get(name).unwrap_or_default().to_owned();
    Presented::Digest(Box::new(PresentedDigest {
        username: text("username"),
        realm: text("realm"),
        nonce: text("nonce"),
        uri: text("uri"),
        response: text("response").to_ascii_lowercase(),
        algorithm: text("algorithm").parse().ok(),
        qop: digest.parameters.get("qop").map(str::to_ascii_lowercase),
        cnonce: text("cnonce"),
        nc: text("nc"),
    }))
}

/// A Basic challenge. Send it over TLS only.
pub fn basic_challenge(realm: &str) -> String {
    format!("Basic realm={}, charset=\"UTF-8\"", quote(realm))
}

const TIME_BYTES: usize = 8;
const SALT_BYTES: usize = 8;
const MAC_BYTES: usize = 16;

impl DigestServer {
    /// `key` signs nonces: 32 random bytes, the same on all nodes that share sessions.
    pub fn new(realm: impl Into<String>, key: [u8; 32], policy: ServerPolicy) -> Self {
        DigestServer { realm: realm.into(), key, policy }
    }

    /// The realm.
    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The rules.
    pub fn policy(&self) -> &ServerPolicy {
        &self.policy
    }

    /// A nonce made at `now`. `salt` is random, so that two clients never share one.
    pub fn nonce(&self, now: UtcMs, salt: [u8; SALT_BYTES]) -> String {
        let mut bytes = Vec::with_capacity(TIME_BYTES + SALT_BYTES + MAC_BYTES);
        bytes.extend(now.0.to_be_bytes());
        bytes.extend(salt);
        let mac = self.mac(&bytes);
        bytes.extend(mac);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn mac(&self, bytes: &[u8]) -> [u8; MAC_BYTES] {
        let mut mac =
            <Hmac<Sha256> as Mac>::new_from_slice(&self.key).expect("HMAC takes keys of any length");
        mac.update(self.realm.as_bytes());
        mac.update(&[0]);
        mac.update(bytes);
        let mut out = [0; MAC_BYTES];
        out.copy_from_slice(&mac.finalize().into_bytes()[..MAC_BYTES]);
        out
    }

    /// When the nonce was made; `None` if it is not ours.
    pub fn nonce_made_at(&self, nonce: &str) -> Option<UtcMs> {
        let bytes = URL_SAFE_NO_PAD.decode(nonce).ok()?;
        let (signed, mac) = bytes.split_at_checked(TIME_BYTES + SALT_BYTES)?;
        bool::from(self.mac(signed).ct_eq(mac)).then_some(())?;
        Some(UtcMs(i64::from_be_bytes(signed.get(..TIME_BYTES)?.try_into().ok()?)))
    }

    /// The values of the `WWW-Authenticate` headers of a 401, one per algorithm.
    pub fn challenges(&self, now: UtcMs, salt: [u8; SALT_BYTES], stale: bool) -> Vec<String> {
        let nonce = self.nonce(now, salt);
        let stale = if stale { ", stale=true" } else { "" };
        self.policy
            .algorithms
            .iter()
            .map(|algorithm| {
                format!(
                    "Digest realm={}, nonce=\"{nonce}\", qop=\"auth\", algorithm={algorithm}{stale}",
                    quote(&self.realm)
                )
            })
            .collect()
    }

    /// Checks a digest against one password. `target` is the request target of the request line; `body` is needed
    /// for `auth-int` only.
    pub fn verify(
        &self,
        presented: &PresentedDigest,
        password: &Secret,
        method: &str,
        target: &str,
        body: Option<&[u8]>,
        now: UtcMs,
    ) -> Verdict {
        self.verify_with(presented, method, target, body, now, |algorithm| {
            Some(Ha1::new(algorithm, &presented.username, &self.realm, password))
        })
    }

    /// As [`DigestServer::verify`], for callers that keep HA1 instead of the password: `ha1` is asked for the one
    /// of the algorithm that the client chose (the plain one for `-sess`).
    pub fn verify_with(
        &self,
        presented: &PresentedDigest,
        method: &str,
        target: &str,
        body: Option<&[u8]>,
        now: UtcMs,
        ha1: impl FnOnce(Algorithm) -> Option<Ha1>,
    ) -> Verdict {
        let Some(algorithm) = presented.algorithm else { return Verdict::Wrong("unknown algorithm") };
        let offered =
            self.policy.algorithms.iter().any(|offer| offer.strength() / 2 == algorithm.strength() / 2);
        if !offered {
            return Verdict::Wrong("algorithm not offered");
        }
        if presented.realm != self.realm {
            return Verdict::Wrong("another realm");
        }
        if presented.uri.is_empty() || (self.policy.check_uri && path_of(&presented.uri) != path_of(target)) {
            return Verdict::Wrong("another path");
        }
        let body_hash;
        let (qop, body_hash) = match presented.qop.as_deref() {
            None | Some("") if self.policy.allow_rfc2069 => (None, None),
            None | Some("") => return Verdict::Wrong("no quality of protection"),
            Some("auth") => (Some("auth"), None),
            Some("auth-int") => {
                let Some(body) = body else { return Verdict::Wrong("auth-int without a body to check") };
                body_hash = algorithm.hash(body);
                (Some("auth-int"), Some(body_hash.as_str()))
            }
            Some(_) => return Verdict::Wrong("unknown quality of protection"),
        };
        if qop.is_some() && (presented.nonce_count().is_none() || presented.cnonce.is_empty()) {
            return Verdict::Wrong("no nonce count or no client nonce");
        }
        let Some(ha1) = ha1(algorithm) else { return Verdict::Wrong("no secret for this name") };
        let want = response(
            &Ha1 { algorithm, hex: ha1.hex },
            &ResponseInput {
                method,
                uri: &presented.uri,
                nonce: &presented.nonce,
                qop: qop.map(|qop| (presented.nc.as_str(), presented.cnonce.as_str(), qop)),
                cnonce: &presented.cnonce,
                body_hash,
            },
        );
        if !bool::from(want.as_bytes().ct_eq(presented.response.as_bytes())) {
            return Verdict::Wrong("wrong password");
        }
        match self.nonce_made_at(&presented.nonce) {
            // A nonce from the future is one of a node whose clock is ahead; more than the TTL is a forgery.
            Some(made)
                if now.since(made) <= self.policy.nonce_ttl && made.since(now) <= self.policy.nonce_ttl =>
            {
                Verdict::Correct
            }
            Some(_) | None => Verdict::Stale,
        }
    }
}

/// The path of a request target or of an absolute URI. Reverse proxies and CPEs disagree on the rest.
fn path_of(target: &str) -> &str {
    let without_authority = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let path = without_authority.split(['?', '#']).next().unwrap_or_default();
    if path.is_empty() { "/" } else { path }
}
