//! One HTTP request: from headers to an answer.

use crate::{
    AcsConfig,
    auth::{Authenticator, Checked, Request as AuthRequest, presented_username, unproved},
    body::{self, BodyError, BodyLimits},
    client_certificate::ClientCertificate,
    convert,
    cookie::{self, Token},
    files::{self, AnyAnswer, Files},
    patience::Carries,
    rate::{Budget, DeviceLimiter, RateLimiter},
    server::Counters,
    sessions::{Entry, Found, Live, NewSession, Origin, Sessions},
    tls::TlsConfig,
};
use app::ports::{AuthLevel, Begin, CpeFrontDoor, Identity, Next, Peer, SessionEnd};
use bytes::Bytes;
use cwmp::{
    Body, CwmpVersion, EncodeOptions, Envelope, Input, Limits, Outcome, Output, SessionMachine,
    digest::DigestServer,
    machine::{Finished, Refusal},
};
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE},
};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use rustls::pki_types::CertificateDer;
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use types::{Clock, ForwardedHeaders, Speaker};

/// Envelopes above this are decoded away from the threads that serve everyone.
const DECODE_ASIDE_BYTES: usize = 256 << 10;

/// Large messages worked on at the same time: enough to keep the processors busy.
const ASIDE_AT_ONCE: usize = 4;

pub(crate) type Answer = Response<Full<Bytes>>;

/// Everything that requests share.
pub(crate) struct Edge {
    pub(crate) config: AcsConfig,
    pub(crate) door: Arc<dyn CpeFrontDoor>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) sessions: Sessions,
    pub(crate) counters: Counters,
    auth: Authenticator,
    outside_sessions: RateLimiter,
    wrong_passwords: RateLimiter,
    /// The same, of each name that comes from an address.
    unproved_names: DeviceLimiter,
    devices: DeviceLimiter,
    /// Why certificates proved nothing, as far as it was said lately.
    certificates_told: RateLimiter<&'static str>,
    pub(crate) in_flight: Arc<Budget>,
    pub(crate) files: Files,
    /// Large messages that are unpacked and decoded at the same time.
    aside: Semaphore,
    /// Makes the IDs of our requests unique across restarts.
    id_prefix: String,
}

/// A message with all that is known about it, on its way to the session.
struct Message {
    origin: Origin,
    headers: HeaderMap,
    target: String,
    bytes: Bytes,
    input: Input,
    cookies: cookie::Presented,
    /// What the CPE itself showed in its handshake.
    certificate: Option<Arc<ClientCertificate>>,
    /// It is of the device that informs.
    certified: bool,
}

/// What is answered. Statuses carry no detail: a device needs none, and an attacker gets none.
enum Reply {
    Envelope { envelope: Box<Envelope>, encode: EncodeOptions, cookie: Option<Token> },
    NoContent,
    Challenge { stale: bool },
    Status(StatusCode),
    Busy { retry_after_s: u32 },
}

impl Edge {
    pub(crate) fn new(
        config: AcsConfig,
        door: Arc<dyn CpeFrontDoor>,
        clock: Arc<dyn Clock>,
        nonce_key: [u8; 32],
        id_prefix: String,
    ) -> Self {
        let digest = DigestServer::new(config.realm.clone(), nonce_key, config.digest.clone());
        Edge {
            door,
            clock,
            sessions: Sessions::default(),
            counters: Counters::default(),
            auth: Authenticator::new(digest),
            outside_sessions: RateLimiter::new(config.rate_per_s, config.rate_burst),
            wrong_passwords: RateLimiter::new(
                config.wrong_passwords_per_minute / 60.0,
                config.wrong_passwords_per_minute,
            ),
            unproved_names: DeviceLimiter::new(
                config.wrong_passwords_per_minute / 60.0,
                config.wrong_passwords_per_minute,
            ),
            devices: DeviceLimiter::new(config.device_rate_per_s, config.device_rate_burst),
            certificates_told: RateLimiter::new(1.0 / 3600.0, 1.0),
            in_flight: Budget::new(config.max_bytes_in_flight, config.max_bytes_in_flight_per_address),
            files: Files::new(&config),
            aside: Semaphore::new(ASIDE_AT_ONCE),
            id_prefix,
            config,
        }
    }

    /// Handles one request: of a file, or of CWMP. Files and messages share the listeners, and so who may come in.
    pub(crate) async fn any(
        self: Arc<Self>,
        peer: Origin,
        carries: &Carries,
        request: Request<Incoming>,
    ) -> AnyAnswer {
        carries.a_message_now();
        let reads = matches!(*request.method(), Method::GET | Method::HEAD);
        if !reads || !request.uri().path().starts_with(files::PREFIX) {
            return self.handle(peer, request).await.map(Either::Left);
        }
        match self.speaks_for(peer, request.headers()) {
            // What comes with such a request is not looked at.
            Some(origin) => self.file(origin, carries, request.map(drop)).await,
            None => {
                self.counters.refused_connections.add();
                self.answer(Reply::Status(StatusCode::FORBIDDEN), peer).map(Either::Left)
            }
        }
    }

    /// Handles one message. The work for a session runs in its own task: it goes on if the peer hangs up.
    async fn handle(self: Arc<Self>, peer: Origin, request: Request<Incoming>) -> Answer {
        let Some(origin) = self.speaks_for(peer, request.headers()) else {
            self.counters.refused_connections.add();
            return self.answer(Reply::Status(StatusCode::FORBIDDEN), peer);
        };
        if request.method() != Method::POST {
            let mut answer = self.answer(Reply::Status(StatusCode::METHOD_NOT_ALLOWED), origin);
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            return answer;
        }
        let (head, incoming) = request.into_parts();
        let cookies = cookie::read(&head.headers);
        let found = self.sessions.find(&cookies.tokens, origin, presented_username(&head.headers).as_deref());
        let max_bytes = match &found {
            Found::Session(_) => self.config.limits.max_bytes,
            Found::Ended | Found::Nothing => {
                if !self.outside_sessions.allow(origin.address, Instant::now()) {
                    self.counters.overload.add();
                    return self.answer(Reply::Busy { retry_after_s: self.config.retry_after_s }, origin);
                }
                self.first_message_limit(&head.headers, origin)
            }
        };
        let limits = BodyLimits { max_bytes, idle: self.config.body_idle, total: self.config.body_total };
        let mut share = self.in_flight.share(origin.address);
        let bytes = match body::read(incoming, limits, &mut share).await {
            Ok(bytes) if body::is_packed(&head.headers) => {
                match place(&self.aside, self.config.answer_within).await {
                    Some(_place) => body::unpack(bytes, &head.headers, max_bytes, &mut share).await,
                    None => Err(BodyError::Overload),
                }
            }
            Ok(bytes) => Ok(bytes),
            Err(error) => Err(error),
        };
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => return self.refuse_body(error, origin),
        };
        let cut_short = is_cut_short(&bytes);
        let Some(input) = self.decode(bytes.clone(), &head.headers, max_bytes).await else {
            self.counters.overload.add();
            return self.answer(Reply::Busy { retry_after_s: self.config.retry_after_s }, origin);
        };
        // A proxy that speaks for others shows its own.
        let certificate = head.extensions.get::<Arc<ClientCertificate>>().filter(|_| origin == peer).cloned();
        let message = Message {
            origin,
            target: target_of(&head.uri),
            input,
            headers: head.headers,
            bytes,
            cookies,
            certificate,
            certified: false,
        };
        if opens_session(&message.input) {
            // A live session, or its name, gives room to answers and not to Informs: each of those is a stranger's until
            // it is proved, whatever cookie comes with it.
            if message.bytes.len() > self.config.max_inform_bytes {
                return self.refuse_body(BodyError::TooLarge { limit: self.config.max_inform_bytes }, origin);
            }
            if matches!(found, Found::Session(_))
                && !self.outside_sessions.allow(origin.address, Instant::now())
            {
                self.counters.overload.add();
                return self.answer(Reply::Busy { retry_after_s: self.config.retry_after_s }, origin);
            }
        }
        let edge = self.clone();
        let session = match &found {
            Found::Session(entry) => Some(entry.clone()),
            Found::Ended | Found::Nothing => None,
        };
        let work = tokio::spawn(async move { edge.work(message, found).await });
        let reply = match tokio::time::timeout(self.config.answer_within, work).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(panicked)) => {
                tracing::error!(error = %panicked, "a session failed; only this device is affected");
                if let Some(entry) = session {
                    self.sessions.close(&entry, SessionEnd::Torn);
                }
                Reply::Status(StatusCode::INTERNAL_SERVER_ERROR)
            }
            Err(_) => {
                self.counters.overload.add();
                Reply::Busy { retry_after_s: self.config.retry_after_s }
            }
        };
        drop(share);
        let mut answer = self.answer(reply, origin);
        if cut_short {
            // The end of the message is still coming and would be taken for the next request.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }

    /// What the certificate is that a CPE showed in its handshake; nothing if it proves nothing. Operators are told why:
    /// whoever hears nothing believes that it counts.
    pub(crate) fn proof_by(
        &self,
        chain: &[CertificateDer<'static>],
        tls: &TlsConfig,
        address: IpAddr,
    ) -> Option<Arc<ClientCertificate>> {
        let why = match tls.verified(chain, self.clock.now()) {
            Ok(own) => return Some(Arc::new(ClientCertificate::of(own))),
            Err(why) => why,
        };
        let connections = self.counters.unproved_certificates.add() + 1;
        tracing::debug!(peer = %address, why, "a certificate proves nothing");
        // A proxy's own is for itself, and nobody's proof here.
        if !self.config.trusted_proxies.contains(address)
            && self.certificates_told.take(why, Instant::now()).unwrap_or(false)
        {
            tracing::warn!(
                peer = %address, why, connections,
                "a CPE showed a certificate that proves nothing; it comes in as one without, and its password counts. This \
                 is said once an hour for each reason"
            );
        }
        None
    }

    /// Whom the request comes from: the peer, or the CPE that a trusted proxy speaks for. None if a proxy does not say it,
    /// or if the CPE may not speak plain HTTP.
    fn speaks_for(&self, peer: Origin, headers: &HeaderMap) -> Option<Origin> {
        let lines =
            |name: &str| ForwardedHeaders::lines(headers.get_all(name).iter().map(|value| value.as_bytes()));
        let said = ForwardedHeaders {
            x_forwarded_for: lines("x-forwarded-for"),
            x_forwarded_proto: lines("x-forwarded-proto"),
            forwarded: lines("forwarded"),
        };
        let is_trusted = |address| self.config.trusted_proxies.contains(address);
        match Speaker::of(peer.address, is_trusted, &said) {
            Speaker::Peer(_) => Some(peer),
            Speaker::Client { address, https } => {
                let origin = Origin { address, tls: https.unwrap_or(peer.tls) };
                let plain = self.config.plain.as_ref();
                let allowed = origin.tls || plain.is_some_and(|plain| plain.allowed_from.contains(address));
                if !allowed {
                    tracing::debug!(peer = %address, "plain HTTP from outside the management networks, by a proxy");
                    self.door.refused(address);
                }
                allowed.then_some(origin)
            }
            Speaker::Unsaid(proxy) => {
                tracing::warn!(
                    %proxy,
                    "a trusted proxy does not say for which CPE it speaks and is refused; it must send X-Forwarded-For"
                );
                None
            }
            Speaker::Contradiction => {
                tracing::info!(proxy = %peer.address, "Forwarded and X-Forwarded-For name different CPEs; refused");
                None
            }
        }
    }

    /// An Inform is small. A CPE that sends no cookies needs room for its answers as well, once it is known to be
    /// in a session.
    fn first_message_limit(&self, headers: &HeaderMap, origin: Origin) -> usize {
        let in_session = presented_username(headers)
            .is_some_and(|username| self.sessions.find_by_name(origin, &username).is_some());
        if in_session { self.config.limits.max_bytes } else { self.config.max_inform_bytes }
    }

    fn refuse_body(&self, error: BodyError, origin: Origin) -> Answer {
        tracing::debug!(peer = %origin.address, %error, "body refused");
        if error == BodyError::Overload {
            self.counters.overload.add();
            return self.answer(Reply::Busy { retry_after_s: self.config.retry_after_s }, origin);
        }
        self.counters.refused_bodies.add();
        self.answer(
            Reply::Status(match error {
                BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
                BodyError::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
                BodyError::Overload => StatusCode::SERVICE_UNAVAILABLE,
                BodyError::Broken | BodyError::Unpack => StatusCode::BAD_REQUEST,
            }),
            origin,
        )
    }

    /// Nothing if others keep everything that decodes busy for too long.
    async fn decode(&self, bytes: Bytes, headers: &HeaderMap, max_bytes: usize) -> Option<Input> {
        let limits = Limits { max_bytes: max_bytes.min(self.config.limits.max_bytes), ..self.config.limits };
        let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let large = bytes.len() > DECODE_ASIDE_BYTES;
        let decode = move || Input::from_decoded(cwmp::decode(&bytes, content_type.as_deref(), &limits));
        if large {
            let _place = place(&self.aside, self.config.answer_within).await?;
            let aside = tokio::task::spawn_blocking(decode).await;
            Some(aside.unwrap_or(Input::Undecodable(cwmp::CodecError::NoBody)))
        } else {
            Some(decode())
        }
    }

    async fn work(&self, message: Message, found: Found) -> Reply {
        if let Input::Undecodable(error) = &message.input {
            self.counters.undecodable.add();
            tracing::debug!(peer = %message.origin.address, %error, "message refused");
        }
        match (opens_session(&message.input), found) {
            (true, _) => self.open(message).await,
            (false, Found::Session(entry)) => self.go_on(&entry, message.input).await,
            (false, Found::Ended) if message.input == Input::Empty => Reply::NoContent,
            (false, Found::Ended | Found::Nothing) => self.without_session(message).await,
        }
    }

    /// Checks who sends a message. `Err` is the answer to give. Who is proved by its certificate pays for nobody else behind
    /// the same address: what it may ask is counted by that.
    async fn authenticate(&self, message: &Message, opens_session: bool) -> Result<Identity, Reply> {
        let address = message.origin.address;
        let request = AuthRequest {
            headers: &message.headers,
            target: &message.target,
            body: &message.bytes,
            tls: message.origin.tls,
            opens_session,
            now: self.clock.now(),
        };
        match self.auth.check(request, self.door.as_ref()).await {
            Checked::Proved(identity) => Ok(identity),
            Checked::Stale => Err(Reply::Challenge { stale: true }),
            Checked::Unproved { username, why } => {
                if let Some(why) = why {
                    self.counters.wrong_passwords.add();
                    tracing::debug!(peer = %address, why, "not authenticated");
                }
                // A name that nobody has is counted too, or who is not turned away would learn that nobody has it.
                // By the name: who comes from another ACS with names of its own keeps nobody waiting behind one address.
                if message.certified || self.unproved_names.allow_named(address, &username, Instant::now()) {
                    Ok(unproved(Some(username)))
                } else {
                    Err(Reply::Busy { retry_after_s: self.config.retry_after_s })
                }
            }
            Checked::Wrong(why) => {
                self.counters.wrong_passwords.add();
                tracing::debug!(peer = %address, why, "not authenticated");
                if message.certified || self.wrong_passwords.allow(address, Instant::now()) {
                    Err(Reply::Challenge { stale: false })
                } else {
                    Err(Reply::Busy { retry_after_s: self.config.retry_after_s })
                }
            }
        }
    }

    /// An Inform: always a new session.
    async fn open(&self, mut message: Message) -> Reply {
        if self.sessions.count() >= self.config.max_sessions {
            self.counters.overload.add();
            return Reply::Busy { retry_after_s: self.config.retry_after_s };
        }
        // What it proves comes before all that is counted by address: whoever shares that keeps no device out.
        if let (Some(certificate), Some((inform, version))) =
            (&message.certificate, inform_of(&message.input))
        {
            if !certificate.is_of(&inform.device_id) {
                return self.refuse_certificate(certificate, inform, version, message.origin.address).await;
            }
            // Before its password is looked at: by nothing else is the number bounded that it tries.
            if !self.devices.allow_certified(&certificate.names, Instant::now()) {
                self.counters.overload.add();
                return Reply::Busy { retry_after_s: self.config.retry_after_s };
            }
            message.certified = true;
        }
        let identity = match self.authenticate(&message, true).await {
            Ok(identity) if message.certified => by_certificate(identity),
            Ok(identity) => identity,
            Err(reply) => return reply,
        };
        let number = self.counters.sessions_begun.add();
        let mut machine = SessionMachine::new(format!("{}-{number:x}", self.id_prefix));
        let Output::Answer { request: Body::Inform(inform), reply, .. } = machine.received(message.input)
        else {
            return Reply::Status(StatusCode::BAD_REQUEST);
        };
        if !message.certified && !self.is_patient(&inform, &identity, message.origin) {
            self.counters.overload.add();
            if identity.level == AuthLevel::Anonymous {
                // Somebody behind the same address may name the device and use up what whoever names it has. It proves
                // itself in answer to this, and has its own.
                return Reply::Challenge { stale: false };
            }
            return Reply::Busy { retry_after_s: self.config.retry_after_s };
        }
        let facts = convert::inform_facts(inform, machine.version());
        let username = proved_name(&identity);
        let peer = Peer { address: message.origin.address, tls: message.origin.tls, identity };
        let app = match self.door.begin(facts, peer).await {
            Begin::Accepted(app) => app,
            Begin::Challenge => return Reply::Challenge { stale: false },
            Begin::Refused { reason } => {
                tracing::info!(peer = %message.origin.address, reason = ?reason, "Inform refused");
                return Reply::Status(StatusCode::FORBIDDEN);
            }
            Begin::Busy { retry_after_s } => return Reply::Busy { retry_after_s },
        };
        let Ok(token) = Token::random() else {
            app.end(SessionEnd::Torn).await;
            return Reply::Status(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let encode = convert::encode_options(self.config.encode, &message.bytes, app.spelling());
        let asked = machine.session_timeout_s().map_or(Duration::ZERO, |s| Duration::from_secs(s.into()));
        self.sessions.insert(NewSession {
            token: token.clone(),
            origin: message.origin,
            username,
            idle: asked.min(self.config.max_session_idle).max(self.config.session_idle),
            encode,
            live: Live { machine, app },
        });
        Reply::Envelope { envelope: reply, encode, cookie: Some(token) }
    }

    /// Somebody shows the certificate of another device than the one that it says it is.
    async fn refuse_certificate(
        &self,
        certificate: &ClientCertificate,
        inform: &cwmp::codec::Inform,
        version: CwmpVersion,
        from: IpAddr,
    ) -> Reply {
        self.counters.wrong_passwords.add();
        tracing::info!(
            peer = %from, names = ?certificate.names, serial = ?inform.device_id.serial_number,
            "Inform refused: its certificate is another device's"
        );
        if self.wrong_passwords.allow(from, Instant::now()) {
            let facts = convert::inform_facts(inform.clone(), version);
            self.door.anothers_certificate(facts, &certificate.names, from).await;
        }
        Reply::Status(StatusCode::FORBIDDEN)
    }

    /// This device has not opened more sessions than any device needs.
    fn is_patient(&self, inform: &cwmp::codec::Inform, identity: &Identity, origin: Origin) -> bool {
        let now = Instant::now();
        match (identity.level, identity.cpe) {
            (AuthLevel::Own, Some(cpe)) => self.devices.allow_proved(cpe, now),
            _ => {
                let id = &inform.device_id;
                let said = [&*id.oui, &*id.product_class, &*id.serial_number];
                self.devices.allow_claimed(origin.address, said, now)
            }
        }
    }

    /// A message that is no Inform and names no session.
    async fn without_session(&self, message: Message) -> Reply {
        let challenged_first = message.input == Input::Empty;
        if presented_username(&message.headers).is_some() && !message.cookies.any {
            // A CPE without cookies: the name it proves with every message leads to its session.
            let identity = match self.authenticate(&message, false).await {
                Ok(identity) => identity,
                Err(reply) => return reply,
            };
            let entry = proved_name(&identity)
                .and_then(|username| self.sessions.find_by_name(message.origin, &username));
            if let Some(entry) = entry {
                return self.go_on(&entry, message.input).await;
            }
            if identity.level == AuthLevel::Anonymous {
                return Reply::Challenge { stale: false };
            }
        } else if challenged_first && !message.cookies.any {
            return Reply::Challenge { stale: false };
        }
        Reply::Status(StatusCode::BAD_REQUEST)
    }

    /// A message inside a session.
    async fn go_on(&self, entry: &Arc<Entry>, input: Input) -> Reply {
        // One message at a time: the second socket with the same cookie is told so and changes nothing.
        let Ok(mut live) = entry.live.clone().try_lock_owned() else {
            return self.unasked(entry).unwrap_or(Reply::Status(StatusCode::CONFLICT));
        };
        let Some(Live { machine, app }) = live.as_mut() else {
            return Reply::Status(StatusCode::BAD_REQUEST);
        };
        entry.touch();
        let next = match machine.received(input) {
            Output::Answer { request, reply, .. } => {
                if let Some(ended) = self.unasked(entry) {
                    return ended;
                }
                let stored = app.notice(convert::notice(&request)).await;
                entry.touch();
                let envelope = match stored {
                    Ok(()) => reply,
                    Err(error) => {
                        tracing::error!(cpe = %entry.cpe, %error, "what the device told cannot be stored; it is to say it again");
                        Box::new(machine.retry_later(&reply))
                    }
                };
                return Reply::Envelope { envelope, encode: entry.encode, cookie: None };
            }
            Output::Ask { finished: None } => app.ready().await,
            Output::Ask { finished: Some(Finished { method, outcome, id_differs }) } => {
                if id_differs {
                    tracing::debug!(cpe = %entry.cpe, method, "the device echoed another ID");
                }
                let reply = match outcome {
                    Outcome::Answered(body) => convert::device_reply(body),
                    Outcome::Faulted(fault) => convert::device_reply(Body::Fault(fault)),
                    Outcome::Unknown { why } => {
                        tracing::debug!(cpe = %entry.cpe, method, why, "outcome unknown");
                        None
                    }
                };
                match reply {
                    Some(reply) => app.reply(reply).await,
                    None => return self.end(entry, SessionEnd::Torn),
                }
            }
            Output::End { why } => {
                tracing::debug!(cpe = %entry.cpe, why, "session ended");
                return self.end(entry, SessionEnd::Torn);
            }
            Output::Refuse(refusal) => {
                let status = match refusal {
                    Refusal::Busy => StatusCode::CONFLICT,
                    Refusal::InformFirst { .. } | Refusal::Undecodable(_) | Refusal::Over => {
                        StatusCode::BAD_REQUEST
                    }
                };
                return self.unasked(entry).unwrap_or(Reply::Status(status));
            }
        };
        entry.touch();
        match next {
            Next::Request(request) => match machine.request(convert::request_body(request)) {
                Some(envelope) => {
                    Reply::Envelope { envelope: Box::new(envelope), encode: entry.encode, cookie: None }
                }
                None => self.end(entry, SessionEnd::Torn),
            },
            Next::Done => {
                machine.finish();
                self.end(entry, SessionEnd::Clean)
            }
        }
    }

    /// Counts a message that is no answer to ours. Beyond the limit the session is over: what was not acknowledged, the
    /// device says again in its next one.
    fn unasked(&self, entry: &Arc<Entry>) -> Option<Reply> {
        let most = self.config.max_unasked_messages;
        if entry.count_unasked() <= most {
            return None;
        }
        tracing::info!(
            cpe = %entry.cpe, peer = %entry.address,
            "a device sent more than {most} messages in one session that nobody asked for; the session is ended"
        );
        Some(self.end(entry, SessionEnd::Torn))
    }

    /// The application hears of the end when the message at work is answered, not before.
    fn end(&self, entry: &Arc<Entry>, how: SessionEnd) -> Reply {
        self.sessions.close(entry, how);
        Reply::NoContent
    }

    fn answer(&self, reply: Reply, origin: Origin) -> Answer {
        let mut answer = Response::new(Full::default());
        let headers = answer.headers_mut();
        let status = match reply {
            Reply::Envelope { envelope, encode, cookie } => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml; charset=\"utf-8\""));
                if let Some(value) = cookie.and_then(|token| HeaderValue::from_str(&token.set_cookie()).ok())
                {
                    headers.insert(SET_COOKIE, value);
                }
                *answer.body_mut() = Full::new(cwmp::encode(&envelope, &encode).into());
                StatusCode::OK
            }
            Reply::NoContent => StatusCode::NO_CONTENT,
            Reply::Challenge { stale } => {
                let mut salt = [0; 8];
                if getrandom::fill(&mut salt).is_ok() {
                    for value in self.auth.challenges(origin.tls, stale, self.clock.now(), salt) {
                        headers.append(WWW_AUTHENTICATE, value);
                    }
                    StatusCode::UNAUTHORIZED
                } else {
                    StatusCode::INTERNAL_SERVER_ERROR
                }
            }
            Reply::Busy { retry_after_s } => {
                headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_s));
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
                StatusCode::SERVICE_UNAVAILABLE
            }
            Reply::Status(status) => {
                headers.insert(CONNECTION, HeaderValue::from_static("close"));
                status
            }
        };
        *answer.status_mut() = status;
        answer
    }
}

/// One of the places, or nothing if others keep all of them busy for too long.
async fn place(places: &Semaphore, within: Duration) -> Option<SemaphorePermit<'_>> {
    tokio::time::timeout(within, places.acquire()).await.ok()?.ok()
}

fn opens_session(input: &Input) -> bool {
    inform_of(input).is_some()
}

/// The Inform that it is, and its version.
fn inform_of(input: &Input) -> Option<(&cwmp::codec::Inform, CwmpVersion)> {
    let Input::Message(envelope) = input else { return None };
    match &envelope.body {
        Body::Inform(inform) => Some((inform, envelope.version)),
        _ => None,
    }
}

/// A certificate of its own proves that a device is the one that it says it is. Whose secret it proved besides stands: the
/// application compares the two.
fn by_certificate(identity: Identity) -> Identity {
    match identity.level {
        AuthLevel::Own => identity,
        AuthLevel::Anonymous | AuthLevel::Bootstrap => {
            Identity { level: AuthLevel::Own, username: None, cpe: None }
        }
    }
}

/// The name, if it was proved and not only given.
fn proved_name(identity: &Identity) -> Option<String> {
    match identity.level {
        AuthLevel::Anonymous => None,
        AuthLevel::Bootstrap | AuthLevel::Own => identity.username.clone(),
    }
}

/// The envelope's end is missing: the device counts its Content-Length in characters.
fn is_cut_short(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(|byte| !byte.is_ascii_whitespace() && *byte != 0);
    end.is_some_and(|end| bytes[end] != b'>')
}

/// The request target as the digest was computed over it.
fn target_of(uri: &Uri) -> String {
    uri.path_and_query().map_or_else(|| "/".to_owned(), |target| target.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_finds_every_place_taken_is_told_so_after_a_while() {
        let (places, within) = (Semaphore::new(1), Duration::from_millis(5));
        let held = place(&places, within).await.expect("it is free");
        assert!(place(&places, within).await.is_none());
        drop(held);
        assert!(place(&places, within).await.is_some());
    }
}
