//! One CWMP session from the side of the CPE: Inform, answers, done. Speaks through an [`AcsTransport`].

use super::{
    behaviour::Device,
    cell::Cell,
    http::{AcsTransport, Post, Response, TransportError, Url},
    order::Then,
    quirks::{Charset, Cookies, IdEcho, Quirks},
    tree::Fault,
    wan::Network,
    wire,
};
use cwmp::{
    codec::{Body, CwmpVersion, Envelope},
    digest,
};
use std::{
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};
use types::{Clock, Secret, UtcMs};

/// Most orders of one session; an ACS that gives more is turning in circles.
const MAX_ORDERS: usize = 2_000;

/// Why a session failed.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// No response.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// A status that ends the session.
    #[error("the ACS answered HTTP {0}")]
    Status(u16),
    /// 401, and no credentials or wrong ones.
    #[error("the ACS refused the credentials of the device")]
    Unauthorized,
    /// A message that makes no sense here.
    #[error("the ACS sent {0}")]
    Unexpected(String),
    /// More orders than any sane session has.
    #[error("the ACS gave more than {MAX_ORDERS} orders in one session")]
    Endless,
    /// The device dropped the connection on purpose.
    #[error("the device dropped the connection before answering {0}")]
    Dropped(String),
    /// The device restarted or lost power.
    #[error("the device went down during the session")]
    Down,
    /// The journal of the device cannot be written.
    #[error("the journal of the simulated device cannot be written: {0}")]
    Journal(#[from] std::io::Error),
}

/// What a session needs besides the ACS.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// The device.
    pub cell: &'a Mutex<Cell>,
    /// The network behind the OLT.
    pub network: &'a RwLock<Network>,
    /// The time.
    pub clock: &'a dyn Clock,
}

impl Around<'_> {
    pub(super) fn lock(&self) -> MutexGuard<'_, Cell> {
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the device act, and writes it down.
    pub(super) fn act<T>(&self, act: impl FnOnce(&mut Device, UtcMs) -> T) -> std::io::Result<T> {
        let now = self.clock.now();
        self.lock().act(|device| act(device, now))
    }

    /// Lets what is due happen.
    pub(super) fn tick(&self) -> std::io::Result<()> {
        let network = self.network.read().unwrap_or_else(PoisonError::into_inner);
        self.act(|device, now| device.tick(now, &network))
    }
}

/// Runs one session to its end and tells the device how it went. A session that fails is not an error of the
/// simulation: the device tries again by its retry policy.
///
/// # Errors
/// What went wrong, after the device has been told.
pub async fn run<T: AcsTransport>(
    around: Around<'_>,
    transport: &mut T,
    url: &Url,
) -> Result<(), SessionError> {
    let result = converse(around, transport, url).await;
    transport.disconnect();
    let told = match &result {
        Ok(events) => around.act(|device, now| device.session_done(now, events)),
        Err(SessionError::Down) => Ok(()),
        Err(error) => {
            let why = error.to_string();
            around.act(|device, now| device.session_failed(now, &why))
        }
    };
    told?;
    result.map(|_| ())
}

async fn converse<T: AcsTransport>(
    around: Around<'_>,
    transport: &mut T,
    url: &Url,
) -> Result<Vec<super::behaviour::Event>, SessionError> {
    let (message, spec, login, old_cookie) = around.act(|device, now| {
        let message = device.begin_session(now);
        (message, device.spec.clone(), device.acs_login(), device.state().old_cookie.clone())
    })?;
    let quirks = &spec.quirks;
    let version =
        if around.lock().device().tree().root() == "Device." { CwmpVersion::V1_2 } else { CwmpVersion::V1_0 };
    let mut talk = Talk {
        around,
        transport,
        url,
        quirks,
        login,
        jar: Jar { cookies: Vec::new(), policy: quirks.cookies },
        old_cookie,
        challenge: Vec::new(),
        nonce_count: 0,
        version,
        slow: Duration::from_millis(quirks.slow_ms),
    };
    let inform = wire::encode(Some(message.session.to_string()), version, wire::inform(&spec, &message));
    talk.inform(&inform).await?;
    if quirks.duplicate_inform {
        // A second time, as if the first had never been: the ACS is left with an abandoned session.
        talk.transport.disconnect();
        talk.jar.cookies.clear();
        talk.challenge.clear();
        around.act(Device::informs_again)?;
        talk.inform(&inform).await?;
    }
    around.act(|device, _| device.inform_accepted())?;
    talk.orders().await?;
    if let Some(cookie) = talk.jar.header(&url.target, Cookies::Normal) {
        around.act(|device, _| device.keep_cookie(cookie))?;
    }
    Ok(message.events)
}

/// The state of one conversation.
struct Talk<'a, T> {
    around: Around<'a>,
    transport: &'a mut T,
    url: &'a Url,
    quirks: &'a Quirks,
    login: Option<(String, String)>,
    jar: Jar,
    old_cookie: Option<String>,
    challenge: Vec<digest::Challenge>,
    nonce_count: u32,
    version: CwmpVersion,
    slow: Duration,
}

impl<T: AcsTransport> Talk<'_, T> {
    async fn inform(&mut self, bytes: &[u8]) -> Result<(), SessionError> {
        // Fault 8005 asks for the same request again; three times is patience enough.
        for _ in 0..3 {
            let response = self.send(bytes, true).await?;
            match decode(&response)? {
                Some(Envelope { body: Body::InformResponse(_), .. }) => return Ok(()),
                Some(Envelope { body: Body::Fault(fault), .. }) if fault.code == 8005 => {}
                Some(other) => {
                    return Err(SessionError::Unexpected(format!("{} to an Inform", other.body.method())));
                }
                None => return Err(SessionError::Unexpected("nothing to an Inform".to_owned())),
            }
        }
        Err(SessionError::Unexpected("fault 8005 to an Inform again and again".to_owned()))
    }

    async fn orders(&mut self) -> Result<(), SessionError> {
        let mut response = self.send(b"", false).await?;
        for _ in 0..MAX_ORDERS {
            let Some(envelope) = decode(&response)? else { return Ok(()) };
            let method = envelope.body.method().to_owned();
            let Some(order) = wire::order(envelope.body) else {
                return Err(SessionError::Unexpected(format!("{method} instead of a request")));
            };
            self.around.tick()?;
            self.still_up()?;
            let refused = self.quirks.next_level_digits && next_level_is_a_word(&response.body);
            let (reply, then) = if refused {
                (super::order::Reply::Fault(Fault::new(9003)), Then::Answer)
            } else {
                self.around.act(|device, now| device.order(now, &order))?
            };
            match then {
                Then::Answer => {}
                Then::Drop => return Err(SessionError::Dropped(method)),
                Then::Restart => {
                    self.around.act(|device, now| device.restart(now))?;
                    return Err(SessionError::Down);
                }
            }
            let id = match self.quirks.id_echo {
                IdEcho::Normal => envelope.id,
                IdEcho::None => None,
                IdEcho::Wrong => Some("0815".to_owned()),
            };
            let bytes = wire::encode(id, self.version, wire::reply(reply));
            response = self.send(&bytes, false).await?;
        }
        Err(SessionError::Endless)
    }

    fn still_up(&self) -> Result<(), SessionError> {
        let now = self.around.clock.now();
        if self.around.lock().device().in_session(now) { Ok(()) } else { Err(SessionError::Down) }
    }

    /// Sends one message; answers a challenge once (and a stale nonce once more).
    async fn send(&mut self, bytes: &[u8], opens: bool) -> Result<Response, SessionError> {
        if !self.slow.is_zero() {
            tokio::time::sleep(self.slow).await;
        }
        for _ in 0..3 {
            self.still_up()?;
            if self.quirks.connection_per_message {
                self.transport.disconnect();
            }
            let post = self.post(bytes, opens)?;
            let response = self.transport.post(post).await?;
            self.jar.take(&response, &self.url.target);
            match response.status {
                200 | 204 => return Ok(response),
                401 if self.login.is_some() => {
                    let challenge: Vec<_> =
                        response.all("www-authenticate").flat_map(digest::parse_challenges).collect();
                    let stale = challenge.iter().any(|one| {
                        one.parameters.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"))
                    });
                    if challenge.is_empty() || (!self.challenge.is_empty() && !stale) {
                        return Err(SessionError::Unauthorized);
                    }
                    (self.challenge, self.nonce_count) = (challenge, 0);
                }
                401 => return Err(SessionError::Unauthorized),
                status => return Err(SessionError::Status(status)),
            }
        }
        Err(SessionError::Unauthorized)
    }

    fn post(&mut self, bytes: &[u8], opens: bool) -> Result<Post, SessionError> {
        let (body, content_type) = write_as(self.quirks.charset, bytes);
        let mut headers = vec![("User-Agent".to_owned(), "simulated-cpe".to_owned())];
        if !body.is_empty() {
            headers.push(("Content-Type".to_owned(), content_type.to_owned()));
            headers.push(("SOAPAction".to_owned(), String::new()));
        }
        let cookie = match (&self.old_cookie, self.quirks.cookies) {
            (Some(old), Cookies::Stale) if opens => Some(old.clone()),
            (_, policy) => self.jar.header(&self.url.target, policy),
        };
        headers.extend(cookie.map(|cookie| ("Cookie".to_owned(), cookie)));
        if let (Some((username, password)), false) = (&self.login, self.challenge.is_empty()) {
            self.nonce_count += 1;
            let cnonce = format!("{:032x}", rand::random::<u128>());
            let password = Secret::new(password.as_str());
            let request = digest::RequestToAnswer {
                username,
                password: &password,
                method: "POST",
                uri: &self.url.target,
                cnonce: &cnonce,
                nonce_count: self.nonce_count,
                allow_basic: true,
                at_least: None,
            };
            let header = digest::answer_challenge(&self.challenge, &request)
                .map_err(|_| SessionError::Unauthorized)?;
            headers.push(("Authorization".to_owned(), header));
        }
        let wrong = !body.is_empty() && self.around.act(Device::takes_wrong_length)?;
        let declared_length = wrong.then_some(body.len() / 2);
        Ok(Post {
            target: self.url.target.clone(),
            host: self.url.host.clone(),
            headers,
            body,
            declared_length,
        })
    }
}

/// `None` for "nothing more".
fn decode(response: &Response) -> Result<Option<Envelope>, SessionError> {
    if response.status == 204 || cwmp::is_empty_body(&response.body) {
        return Ok(None);
    }
    let decoded = cwmp::decode(&response.body, response.header("content-type"), &cwmp::Limits::default());
    decoded.map(Some).map_err(|error| SessionError::Unexpected(format!("something unreadable: {error}")))
}

/// True if the NextLevel of a GetParameterNames is spelt as a word.
fn next_level_is_a_word(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.split_once("<NextLevel")
        .and_then(|(_, rest)| rest.split_once('>'))
        .is_some_and(|(_, value)| value.starts_with("true") || value.starts_with("false"))
}

/// The body in the device's charset, and the Content-Type it claims.
fn write_as(charset: Charset, bytes: &[u8]) -> (Vec<u8>, &'static str) {
    const UTF8: &str = "text/xml; charset=\"utf-8\"";
    if bytes.is_empty() {
        return (Vec::new(), UTF8);
    }
    let latin1 = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect::<Vec<u8>>()
    };
    let relabel = |bytes: Vec<u8>| {
        let text: Vec<u8> = bytes;
        let (from, to) = (b"encoding=\"UTF-8\"".as_slice(), b"encoding=\"ISO-8859-1\"".as_slice());
        match text.windows(from.len()).position(|part| part == from) {
            Some(at) => [&text[..at], to, &text[at + from.len()..]].concat(),
            None => text,
        }
    };
    match charset {
        Charset::Utf8 => (bytes.to_vec(), UTF8),
        Charset::Utf8Bom => ([b"\xEF\xBB\xBF".as_slice(), bytes].concat(), UTF8),
        Charset::Latin1 => (relabel(latin1(bytes)), "text/xml; charset=ISO-8859-1"),
        Charset::Latin1Mislabelled => (latin1(bytes), UTF8),
    }
}

/// The cookies of one session.
struct Jar {
    cookies: Vec<Cookie>,
    policy: Cookies,
}

struct Cookie {
    name: String,
    value: String,
    path: Option<String>,
    raw: String,
}

impl Jar {
    /// Keeps what a response sets.
    fn take(&mut self, response: &Response, target: &str) {
        for line in response.all("set-cookie") {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let path = parts
                .filter_map(|part| part.split_once('='))
                .find(|(key, _)| key.eq_ignore_ascii_case("path"));
            let path = path.map(|(_, path)| path.to_owned());
            // Without a path, RFC 6265 takes the folder of the request.
            let folder = target.rfind('/').map_or("/", |at| &target[..=at]).to_owned();
            let path = if self.policy == Cookies::StrictPath { path.or(Some(folder)) } else { path };
            self.cookies.retain(|known| known.name != name);
            if self.cookies.len() < 16 {
                let (name, value) = (name.to_owned(), value.to_owned());
                self.cookies.push(Cookie { name, value, path, raw: line.to_owned() });
            }
        }
    }

    /// The `Cookie` header.
    fn header(&self, target: &str, policy: Cookies) -> Option<String> {
        let pairs =
            || self.cookies.iter().map(|one| format!("{}={}", one.name, one.value)).collect::<Vec<_>>();
        let text = match policy {
            Cookies::Never => return None,
            Cookies::Normal | Cookies::Stale => pairs().join("; "),
            Cookies::Commas => pairs().join(", "),
            Cookies::WithAttributes => {
                self.cookies.iter().map(|one| one.raw.clone()).collect::<Vec<_>>().join("; ")
            }
            Cookies::StrictPath => self
                .cookies
                .iter()
                .filter(|one| one.path.as_deref().is_none_or(|path| target.starts_with(path)))
                .map(|one| format!("{}={}", one.name, one.value))
                .collect::<Vec<_>>()
                .join("; "),
        };
        (!text.is_empty()).then_some(text)
    }
}
