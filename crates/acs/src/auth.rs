//! Who is calling: digests and passwords against what `app` knows, and replays.

use crate::rate::lock;
use app::ports::{AuthLevel, CpeFrontDoor, CredentialCandidate, Identity};
use cwmp::digest::{DigestServer, Presented, PresentedDigest, Verdict, basic_challenge, parse_authorization};
use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use std::{
    collections::HashMap,
    sync::Mutex,
    time::{Duration, Instant},
};
use types::{Secret, UtcMs};

/// Characters of a user name that are looked up (TR-069: 256).
const MAX_USERNAME_CHARS: usize = 256;

/// The result of looking at the `Authorization` header.
#[derive(Debug)]
pub(crate) enum Checked {
    /// It proves this, which may be nothing ([`AuthLevel::Anonymous`]).
    Proved(Identity),
    /// It gives a name and proves nothing. Whether anybody has that name makes no difference to the answer: names are
    /// told to nobody.
    Unproved {
        /// The name.
        username: String,
        /// Why not, for the log; nothing if nobody has the name, or no password was given.
        why: Option<&'static str>,
    },
    /// Right, but with a nonce that is used up or too old: challenge with `stale=true`.
    Stale,
    /// Not right, for the log.
    Wrong(&'static str),
}

/// The user name that a request presents, proved or not.
pub(crate) fn presented_username(headers: &HeaderMap) -> Option<String> {
    let username = match parse_authorization(headers.get(AUTHORIZATION)?.to_str().ok()?) {
        Presented::Basic { username, .. } => username,
        Presented::Digest(digest) => digest.username,
        Presented::Other => return None,
    };
    (!username.is_empty()).then_some(username)
}

#[derive(Debug)]
pub(crate) struct Authenticator {
    server: DigestServer,
    used: Mutex<UsedNonces>,
}

/// What was used to open a session. Nonces themselves are stateless; this only grows with sessions of devices that
/// know a secret.
#[derive(Debug)]
struct UsedNonces {
    current: HashMap<String, u32>,
    before: HashMap<String, u32>,
    turned_at: Instant,
}

/// The request as far as authentication cares.
pub(crate) struct Request<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) target: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) tls: bool,
    /// The message opens a session: its proof must not have been used before.
    pub(crate) opens_session: bool,
    pub(crate) now: UtcMs,
}

impl Authenticator {
    pub(crate) fn new(server: DigestServer) -> Self {
        let used = UsedNonces { current: HashMap::new(), before: HashMap::new(), turned_at: Instant::now() };
        Authenticator { server, used: Mutex::new(used) }
    }

    /// The `WWW-Authenticate` values of a 401.
    pub(crate) fn challenges(&self, tls: bool, stale: bool, now: UtcMs, salt: [u8; 8]) -> Vec<HeaderValue> {
        let mut challenges = self.server.challenges(now, salt, stale);
        if tls {
            challenges.push(basic_challenge(self.server.realm()));
        }
        challenges.iter().filter_map(|text| HeaderValue::from_str(text).ok()).collect()
    }

    pub(crate) async fn check(&self, request: Request<'_>, door: &dyn CpeFrontDoor) -> Checked {
        let header = match request.headers.get(AUTHORIZATION).map(HeaderValue::to_str) {
            None => return anonymous(),
            Some(Ok(text)) => text,
            Some(Err(_)) => return Checked::Wrong("unreadable Authorization header"),
        };
        match parse_authorization(header) {
            // Devices without credentials send an empty name: that proves nothing and claims nothing.
            Presented::Basic { username, .. } if username.is_empty() => anonymous(),
            Presented::Digest(digest) if digest.username.is_empty() => anonymous(),
            Presented::Basic { .. } if !request.tls => Checked::Wrong("Basic without TLS"),
            Presented::Basic { username, password } => {
                let candidates = candidates(door, &username).await;
                let right = first_match(&candidates, |secret| *secret == password);
                if candidates.is_empty() || password.is_empty() {
                    return Checked::Unproved { username, why: None };
                }
                proved(username, right, "wrong password")
            }
            Presented::Digest(digest) => self.check_digest(&digest, &request, door).await,
            Presented::Other => Checked::Wrong("unknown authentication scheme"),
        }
    }

    async fn check_digest(
        &self,
        digest: &PresentedDigest,
        request: &Request<'_>,
        door: &dyn CpeFrontDoor,
    ) -> Checked {
        let candidates = candidates(door, &digest.username).await;
        let mut stale = false;
        let mut why = "wrong password";
        let right = first_match(&candidates, |secret| {
            match self.server.verify(digest, secret, "POST", request.target, Some(request.body), request.now)
            {
                Verdict::Correct => true,
                Verdict::Stale => {
                    stale = true;
                    false
                }
                Verdict::Wrong(reason) => {
                    why = reason;
                    false
                }
            }
        });
        if candidates.is_empty() {
            return Checked::Unproved { username: digest.username.clone(), why: None };
        }
        if right.is_some() && request.opens_session && !self.first_use(digest, Instant::now()) {
            return Checked::Stale;
        }
        if stale && right.is_none() {
            return Checked::Stale;
        }
        proved(digest.username.clone(), right, why)
    }

    /// Records the use of a nonce; false if the same or a later count was used before.
    fn first_use(&self, digest: &PresentedDigest, now: Instant) -> bool {
        let count = digest.nonce_count().unwrap_or(1);
        let mut used = lock(&self.used);
        // A nonce lives for its TTL; after two turns of that length it is stale by itself.
        let ttl = self.server.policy().nonce_ttl.max(Duration::from_secs(1)) * 2;
        if now.saturating_duration_since(used.turned_at) > ttl {
            used.before = std::mem::take(&mut used.current);
            used.turned_at = now;
        }
        let highest = used.current.get(&digest.nonce).or_else(|| used.before.get(&digest.nonce)).copied();
        if highest.is_some_and(|highest| count <= highest) {
            return false;
        }
        used.current.insert(digest.nonce.clone(), count);
        true
    }
}

/// No name: that proves nothing.
fn anonymous() -> Checked {
    Checked::Proved(unproved(None))
}

/// Somebody who proved nothing. Whether an unproved device is let into quarantine or challenged is for the application to
/// decide; a 401 here would hide every new device that still has its maker's credentials.
pub(crate) fn unproved(username: Option<String>) -> Identity {
    Identity { level: AuthLevel::Anonymous, username, cpe: None }
}

fn proved(username: String, right: Option<&CredentialCandidate>, why: &'static str) -> Checked {
    match right {
        Some(candidate) => {
            Checked::Proved(Identity { level: candidate.level, username: Some(username), cpe: candidate.cpe })
        }
        None => Checked::Unproved { username, why: Some(why) },
    }
}

/// What the name may prove.
async fn candidates(door: &dyn CpeFrontDoor, username: &str) -> Vec<CredentialCandidate> {
    let mut candidates = if username.chars().count() <= MAX_USERNAME_CHARS {
        door.credentials_for(username).await
    } else {
        Vec::new()
    };
    // An empty secret is a device that was never given one, not a password.
    candidates.retain(|candidate| !candidate.secret.is_empty());
    candidates
}

/// The first candidate that fits; all are tried, so that the time does not tell which one.
fn first_match(
    candidates: &[CredentialCandidate],
    mut fits: impl FnMut(&Secret) -> bool,
) -> Option<&CredentialCandidate> {
    let mut found = None;
    for candidate in candidates {
        if fits(&candidate.secret) && found.is_none() {
            found = Some(candidate);
        }
    }
    if candidates.is_empty() {
        // A name without candidates costs the same check; the result does not matter.
        fits(&Secret::default());
        return None;
    }
    found
}
