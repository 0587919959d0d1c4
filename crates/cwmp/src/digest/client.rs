//! The client: answers a challenge.

use super::{Algorithm, Challenge, Ha1, ResponseInput, header::quote, response};
use base64::Engine as _;
use types::Secret;

/// The request that was challenged.
#[derive(Debug, Clone, Copy)]
pub struct RequestToAnswer<'a> {
    /// Who we say we are.
    pub username: &'a str,
    /// The password.
    pub password: &'a Secret,
    /// The HTTP method.
    pub method: &'a str,
    /// The request target as sent, e.g. `/tr069?x=1`.
    pub uri: &'a str,
    /// Fresh and unpredictable; printable without quotes.
    pub cnonce: &'a str,
    /// How often this nonce was used, this time included.
    pub nonce_count: u32,
    /// Answer a Basic challenge if there is no usable Digest one. Only ever true over TLS.
    pub allow_basic: bool,
    /// Strongest algorithm seen from this device before: a weaker challenge is refused (downgrade).
    pub at_least: Option<Algorithm>,
}

/// Why a challenge is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Neither Digest with a known algorithm nor an allowed Basic.
    #[error("no acceptable authentication scheme was offered")]
    NoScheme,
    /// A digest challenge without nonce.
    #[error("the digest challenge has no nonce")]
    NoNonce,
    /// Only `auth-int` is offered, which a request without known body cannot do.
    #[error("the digest challenge offers no quality of protection that is supported")]
    NoQop,
    /// The device used a stronger algorithm before.
    #[error("the digest challenge is weaker than this device's earlier ones")]
    Downgrade,
}

/// The value of the `Authorization` header that answers the strongest usable one of `challenges`. Carries qop,
/// nc, cnonce, opaque and algorithm only where they were offered: several CPEs reject what they did not offer.
///
/// # Errors
/// [`AnswerError`] if none of the challenges can be answered.
pub fn answer_challenge(
    challenges: &[Challenge],
    request: &RequestToAnswer<'_>,
) -> Result<String, AnswerError> {
    let algorithm_of = |challenge: &Challenge| {
        challenge.parameters.get("algorithm").unwrap_or_default().parse::<Algorithm>().ok()
    };
    let best = challenges
        .iter()
        .filter(|challenge| challenge.scheme == "digest")
        .filter_map(|challenge| algorithm_of(challenge).map(|algorithm| (algorithm, challenge)))
        .max_by_key(|(algorithm, _)| algorithm.strength());
    let Some((algorithm, challenge)) = best else {
        if request.allow_basic && challenges.iter().any(|challenge| challenge.scheme == "basic") {
            let pair = Secret::new(format!("{}:{}", request.username, request.password.expose()));
            return Ok(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.expose())));
        }
        return Err(AnswerError::NoScheme);
    };
    if request.at_least.is_some_and(|least| algorithm.strength() < least.strength()) {
        return Err(AnswerError::Downgrade);
    }
    let parameter = |name: &str| challenge.parameters.get(name);
    let nonce = parameter("nonce").filter(|nonce| !nonce.is_empty()).ok_or(AnswerError::NoNonce)?;
    let realm = parameter("realm").unwrap_or_default();
    let with_qop = match parameter("qop") {
        None | Some("") => false,
        Some(offer) if offer.split([',', ' ']).any(|one| one.trim().eq_ignore_ascii_case("auth")) => true,
        Some(_) => return Err(AnswerError::NoQop),
    };
    let nc = format!("{:08x}", request.nonce_count);
    let ha1 = Ha1::new(algorithm, request.username, realm, request.password);
    let input = ResponseInput {
        method: request.method,
        uri: request.uri,
        nonce,
        qop: with_qop.then_some((nc.as_str(), request.cnonce, "auth")),
        cnonce: request.cnonce,
        body_hash: None,
    };
    let mut header = format!(
        "Digest username={}, realm={}, nonce={}, uri={}, response=\"{}\"",
        quote(request.username),
        quote(realm),
        quote(nonce),
        quote(request.uri),
        response(&ha1, &input)
    );
    if let Some(named) = parameter("algorithm").filter(|named| !named.trim().is_empty()) {
        header.push_str(&format!(", algorithm={}", named.trim().parse().unwrap_or(algorithm)));
    }
    if let Some(opaque) = parameter("opaque") {
        header.push_str(&format!(", opaque={}", quote(opaque)));
    }
    if with_qop {
        header.push_str(&format!(", qop=auth, nc={nc}, cnonce={}", quote(request.cnonce)));
    } else if algorithm.is_sess() {
        header.push_str(&format!(", cnonce={}", quote(request.cnonce)));
    }
    Ok(header)
}
