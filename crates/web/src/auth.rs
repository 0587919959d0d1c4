//! Who asks, whether the request is theirs, and whether they may: one guard in front of every route.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use app::{Actor, Permission, Role};
use axum::{
    body::Body,
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Redirect, Response},
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use types::{ForwardedHeaders, ProxyNetwork, Secret, Speaker};

use crate::{
    backend, body,
    error::{ApiFail, Fail},
    list::{encode, form_pairs},
    once,
    state::Ctx,
    view::{Html, escape},
};

/// Name of the session cookie.
pub(crate) const SESSION_COOKIE: &str = "lk_session";
/// Name of the cookie that carries one message over one redirect.
pub(crate) const FLASH_COOKIE: &str = "lk_flash";

/// What a route needs from whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: sign-in, health, style.
    Public,
    /// To be signed in.
    SignedIn,
    /// This permission.
    May(Permission),
}

/// A person with a session.
#[derive(Debug, Clone)]
pub(crate) struct Who {
    pub(crate) actor: Actor,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// They have to choose a password before anything else.
    pub(crate) must_change: bool,
    pub(crate) token: Secret,
    /// Goes into every form and must come back with it.
    pub(crate) csrf: String,
}

impl Who {
    pub(crate) fn may(&self, permission: Permission) -> bool {
        self.actor.may(permission)
    }

    /// The hidden fields every form carries: that it is ours, and its key, so that what is sent twice is done once.
    pub(crate) fn token_field(&self) -> Html {
        Html::trusted(format!(
            "<input type=\"hidden\" name=\"_csrf\" value=\"{}\"><input type=\"hidden\" name=\"{}\" value=\"{}\">",
            escape(&self.csrf),
            once::FIELD,
            once::form_key()
        ))
    }
}

/// Who asks, as the guard found out.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    Nobody,
    Person(Box<Who>),
    Program(Actor),
}

impl Identity {
    fn may(&self, permission: Permission) -> bool {
        match self {
            Identity::Nobody => false,
            Identity::Person(who) => who.may(permission),
            Identity::Program(actor) => actor.may(permission),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Who {
    type Rejection = Fail;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Fail> {
        match parts.extensions.get::<Identity>() {
            Some(Identity::Person(who)) => Ok((**who).clone()),
            _ => Err(Fail::new(StatusCode::UNAUTHORIZED, "Not signed in", "Sign in first.")),
        }
    }
}

/// Whoever asks, person or program.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Actor);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiFail;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiFail> {
        match parts.extensions.get::<Identity>() {
            Some(Identity::Person(who)) => Ok(Caller(who.actor.clone())),
            Some(Identity::Program(actor)) => Ok(Caller(actor.clone())),
            _ => Err(ApiFail(Fail::new(
                StatusCode::UNAUTHORIZED,
                "Not signed in",
                "Send an API key as a Bearer token.",
            ))),
        }
    }
}

/// Who is at the other end, as [`identify`] found out.
#[derive(Debug, Clone, Copy)]
struct Client {
    address: IpAddr,
    /// A proxy of ours says that the browser reached it over TLS.
    https: bool,
}

/// The address the request came from: of the client where a trusted proxy speaks for it, else of the peer.
#[derive(Debug, Clone)]
pub(crate) struct PeerAddress(pub(crate) Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for PeerAddress {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(PeerAddress(parts.extensions.get::<Client>().map(|client| client.address)))
    }
}

/// Who is at the other end; nothing where the connection is not known.
///
/// # Errors
/// When the headers of a trusted proxy contradict each other: one of them is the client's own word.
fn client(
    extensions: &http::Extensions,
    headers: &HeaderMap,
    trusted: &[ProxyNetwork],
) -> Result<Option<Client>, Fail> {
    let Some(ConnectInfo(peer)) = extensions.get::<ConnectInfo<SocketAddr>>() else { return Ok(None) };
    let lines =
        |name: &str| ForwardedHeaders::lines(headers.get_all(name).iter().map(|value| value.as_bytes()));
    let said = ForwardedHeaders {
        x_forwarded_for: lines("x-forwarded-for"),
        x_forwarded_proto: lines("x-forwarded-proto"),
        forwarded: lines("forwarded"),
    };
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    match Speaker::of(peer.ip(), is_trusted, &said) {
        Speaker::Peer(address) | Speaker::Unsaid(address) => Ok(Some(Client { address, https: false })),
        Speaker::Client { address, https } => Ok(Some(Client { address, https: https == Some(true) })),
        Speaker::Contradiction => Err(Fail::bad_request(
            "Forwarded and X-Forwarded-For name different addresses, so it is not known who asks. Nothing was done. \
             Ask without these headers; the proxy in front of Lightkeeper should remove the one it does not write.",
        )),
    }
}

/// From where a request came, as [`PeerAddress`] says it.
///
/// # Errors
/// As [`client`].
pub(crate) fn address(
    extensions: &http::Extensions,
    headers: &HeaderMap,
    trusted: &[ProxyNetwork],
) -> Result<Option<IpAddr>, Fail> {
    Ok(client(extensions, headers, trusted)?.map(|client| client.address))
}

/// A browser that reached a proxy of ours over TLS gets cookies that never travel in the clear.
fn over_tls_only(headers: &mut HeaderMap) {
    if !headers.contains_key(header::SET_COOKIE) {
        return;
    }
    let cookies: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .map(|cookie| {
            let text = cookie.to_str().unwrap_or_default();
            if text.contains("; Secure") {
                return cookie.clone();
            }
            HeaderValue::from_str(&format!("{text}; Secure")).unwrap_or_else(|_| cookie.clone())
        })
        .collect();
    headers.remove(header::SET_COOKIE);
    for cookie in cookies {
        headers.append(header::SET_COOKIE, cookie);
    }
}

/// The value of a cookie.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// A cookie that scripts cannot read and other sites cannot send along.
pub(crate) fn set_cookie(name: &str, value: &str, max_age_s: u32, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    HeaderValue::from_str(&format!(
        "{name}={value}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}"
    ))
    .ok()
}

/// Derived from the session, so nothing has to be stored and a new session has a new one.
fn csrf_token(session: &str) -> String {
    hex::encode(&Sha256::new().chain_update(b"lightkeeper csrf v1\0").chain_update(session).finalize()[..16])
}

/// Finds out who asks: from where, and by which session cookie or API key.
pub(crate) async fn identify(State(ctx): State<Ctx>, mut request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let client = match client(request.extensions(), request.headers(), &ctx.web.trusted_proxies) {
        Ok(client) => client,
        Err(fail) => return answer(is_api, fail),
    };
    if let Some(client) = client {
        request.extensions_mut().insert(client);
    }
    let address = client.map(|client| client.address.to_string());
    let bearer = request.headers().get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| {
        let (scheme, key) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim().to_owned())
    });
    let identity = if let Some(key) = bearer.filter(|_| is_api) {
        match backend::resolve_api_key(ctx.app(), &key, address).await {
            Ok(Some(actor)) => Identity::Program(actor),
            Ok(None) => {
                let text = "This API key is not known, has expired or was revoked.";
                return ApiFail(Fail::new(StatusCode::UNAUTHORIZED, "Not signed in", text)).into_response();
            }
            Err(error) => return answer(is_api, error.into()),
        }
    } else if let Some(token) = cookie(request.headers(), SESSION_COOKIE).map(str::to_owned) {
        match backend::resolve_session(ctx.app(), &token, address).await {
            Ok(Some(session)) => Identity::Person(Box::new(Who {
                actor: session.actor,
                name: session.name,
                role: session.role,
                must_change: session.must_change,
                csrf: csrf_token(&token),
                token: Secret::new(token),
            })),
            Ok(None) => Identity::Nobody,
            Err(error) => return answer(is_api, error.into()),
        }
    } else {
        Identity::Nobody
    };
    request.extensions_mut().insert(identity);
    let mut response = next.run(request).await;
    if client.is_some_and(|client| client.https) {
        over_tls_only(response.headers_mut());
    }
    response
}

fn answer(is_api: bool, fail: Fail) -> Response {
    if is_api { ApiFail(fail).into_response() } else { fail.into_response() }
}

/// Stands before one route: signed in, theirs, allowed. Nothing of the handler runs before all three are answered.
pub(crate) async fn guard(need: Need, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let is_api = path.starts_with("/api/");
    let identity = request.extensions().get::<Identity>().cloned().unwrap_or(Identity::Nobody);
    let writes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if need != Need::Public {
        match &identity {
            Identity::Nobody => return sign_in_first(&request, is_api),
            // Also where only programs are expected: the session of a password that others may know opens nothing.
            Identity::Person(who) if who.must_change && is_api => {
                let fail = Fail::new(
                    StatusCode::FORBIDDEN,
                    "Password to be chosen",
                    "This sign-in still has the password it was given. Choose your own at /password first; until then \
                     nothing is shown or done. API keys are not affected.",
                );
                return ApiFail(fail).into_response();
            }
            Identity::Person(who) if who.must_change && path != "/password" && path != "/logout" => {
                return Redirect::to("/password").into_response();
            }
            Identity::Person(_) | Identity::Program(_) => {}
        }
    }
    if let Need::May(permission) = need
        && !identity.may(permission)
    {
        let fail = Fail::new(
            StatusCode::FORBIDDEN,
            "Not allowed",
            format!(
                "You may not {} (it needs the permission {}). Ask an administrator.",
                permission.verb(),
                permission.as_str()
            ),
        );
        return answer(is_api, fail);
    }
    // A program's key is sent on purpose; a cookie is sent by the browser whoever made it ask.
    if writes && !matches!(identity, Identity::Program(_)) {
        if let Err(fail) = same_origin(request.headers()) {
            return answer(is_api, fail);
        }
        if let Identity::Person(who) = &identity {
            return match with_token(&who.csrf, request).await {
                Ok(request) => next.run(request).await,
                Err(fail) => answer(is_api, fail),
            };
        }
    }
    next.run(request).await
}

fn sign_in_first(request: &Request, is_api: bool) -> Response {
    let text = "Sign in first.";
    if is_api {
        let text = "Send an API key as a Bearer token; Settings, API keys makes one.";
        return ApiFail(Fail::new(StatusCode::UNAUTHORIZED, "Not signed in", text)).into_response();
    }
    let is_fragment = request.headers().contains_key("hx-request");
    if is_fragment || request.uri().path() == "/events" {
        return (StatusCode::UNAUTHORIZED, text).into_response();
    }
    let wanted = request.uri().path_and_query().map_or("/", |p| p.as_str());
    if *request.method() == Method::GET && wanted != "/" {
        return Redirect::to(&format!("/login?next={}", encode(wanted))).into_response();
    }
    Redirect::to("/login").into_response()
}

fn forged(why: &str) -> Fail {
    Fail::new(
        StatusCode::FORBIDDEN,
        "Not from our pages",
        format!("{why} Nothing was changed. Reload the page and do it again there."),
    )
}

/// Refuses a write that another site made the browser send.
pub(crate) fn same_origin(headers: &HeaderMap) -> Result<(), Fail> {
    let text = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    if let Some(site) = text("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return Err(forged("The request came from another site."));
    }
    if let Some(origin) = text("origin") {
        let host = text("host").unwrap_or_default();
        let theirs = origin.split_once("://").map_or("", |(_, rest)| rest);
        if host.is_empty() || !theirs.eq_ignore_ascii_case(host) {
            return Err(forged("The request came from a page of another address."));
        }
    }
    Ok(())
}

/// True for what a form of a page sends.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
}

/// The token must come in a header (fragments) or a form field; the body is put back as it was.
async fn with_token(wanted: &str, request: Request) -> Result<Request, Fail> {
    let fits = |given: &str| bool::from(given.as_bytes().ct_eq(wanted.as_bytes()));
    if request.headers().get("x-csrf-token").and_then(|v| v.to_str().ok()).is_some_and(fits) {
        return Ok(request);
    }
    if !is_form(request.headers()) {
        return Err(forged("The request does not carry the page's token."));
    }
    let (parts, body) = request.into_parts();
    let bytes = body::whole(&parts.extensions, body).await?;
    let text = String::from_utf8_lossy(&bytes);
    if !form_pairs(&text).any(|(key, value)| key == "_csrf" && fits(&value)) {
        return Err(forged(
            "The form does not carry the page's token, perhaps because you signed in again since.",
        ));
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

/// Where to go after signing in: only ever a path of ours.
pub(crate) fn safe_next(next: &str) -> &str {
    let ours = next.starts_with('/') && !next.starts_with("//") && !next.contains(['\\', '\r', '\n']);
    if ours && !next.starts_with("/login") { next } else { "/" }
}

/// Sign-in attempts per address, beside the limit per name that the application keeps: one address cannot try names.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Mutex<HashMap<IpAddr, (u32, Instant)>>);

/// Attempts that may fail within [`WINDOW`] before an address waits.
const FREE_ATTEMPTS: u32 = 20;
const WINDOW: Duration = Duration::from_secs(300);
/// Addresses remembered.
const ADDRESSES: usize = 10_000;

impl Attempts {
    /// Counts an attempt.
    ///
    /// # Errors
    /// How many seconds to wait.
    pub(crate) fn begin(&self, address: Option<IpAddr>) -> Result<(), u32> {
        let Some(address) = address else { return Ok(()) };
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ADDRESSES {
            known.retain(|_, (_, since)| now.duration_since(*since) < WINDOW);
            if known.len() >= ADDRESSES {
                known.clear();
            }
        }
        let entry = known.entry(address).or_insert((0, now));
        let age = now.duration_since(entry.1);
        if age >= WINDOW {
            *entry = (0, now);
        }
        entry.0 += 1;
        if entry.0 > FREE_ATTEMPTS {
            return Err(u32::try_from(WINDOW.saturating_sub(age).as_secs()).unwrap_or(300).max(1));
        }
        Ok(())
    }

    /// Signed in: the count starts anew.
    pub(crate) fn succeeded(&self, address: Option<IpAddr>) {
        if let Some(address) = address {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(k, v)| (header::HeaderName::from_static(k), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn a_write_from_elsewhere_is_refused() {
        let ours = [
            ("host", "lk.example:8080"),
            ("origin", "http://lk.example:8080"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert!(same_origin(&headers(&ours)).is_ok());
        assert!(same_origin(&headers(&[("host", "lk.example")])).is_ok(), "no browser, no cookie to abuse");
        assert!(
            same_origin(&headers(&[("host", "lk.example"), ("origin", "https://evil.example")])).is_err()
        );
        assert!(same_origin(&headers(&[("host", "lk.example"), ("origin", "null")])).is_err());
        assert!(same_origin(&headers(&[("host", "lk.example"), ("sec-fetch-site", "cross-site")])).is_err());
        assert!(same_origin(&headers(&[("host", "lk.example"), ("sec-fetch-site", "same-site")])).is_err());
    }

    #[test]
    fn signing_in_leads_to_our_own_pages_only() {
        assert_eq!(safe_next("/onus?q=1"), "/onus?q=1");
        for evil in
            ["//evil.example", "https://evil.example", "/\\evil", "", "/login", "/a\r\nSet-Cookie: x=1"]
        {
            assert_eq!(safe_next(evil), "/", "{evil:?}");
        }
    }

    #[test]
    fn an_address_that_guesses_waits() {
        let attempts = Attempts::default();
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..FREE_ATTEMPTS {
            assert!(attempts.begin(address).is_ok());
        }
        assert!(attempts.begin(address).is_err());
        assert!(
            attempts.begin(Some(IpAddr::from([192, 0, 2, 2]))).is_ok(),
            "another address is not affected"
        );
        attempts.succeeded(address);
        assert!(attempts.begin(address).is_ok());
    }

    #[test]
    fn cookies_are_found_among_others() {
        let many = headers(&[("cookie", "a=b; lk_session=tok=en; c=d")]);
        assert_eq!(cookie(&many, SESSION_COOKIE), Some("tok=en"));
        assert_eq!(cookie(&many, "session"), None);
        let set = set_cookie(SESSION_COOKIE, "x", 60, true).expect("header");
        let set = set.to_str().expect("text");
        assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax") && set.contains("Secure"), "{set}");
    }
}
