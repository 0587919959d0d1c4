//! How the edge behaves. Every limit has a default that suits one ISP on one machine.

use app::ports::Cidr;
use cwmp::{EncodeOptions, Limits, digest::ServerPolicy};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use types::ProxyNetwork;

/// Who may come in. Asked at each connection, so that a changed setting counts at once.
#[derive(Clone)]
pub struct Networks(Arc<dyn Fn(IpAddr) -> bool + Send + Sync>);

impl Networks {
    /// As the closure says.
    pub fn new(contains: impl Fn(IpAddr) -> bool + Send + Sync + 'static) -> Self {
        Networks(Arc::new(contains))
    }

    /// The proxies that somebody named, and nobody else.
    pub fn of_proxies(proxies: Vec<ProxyNetwork>) -> Self {
        Networks::new(move |address| proxies.iter().any(|proxy| proxy.contains(address)))
    }

    /// True if the address may come in.
    pub fn contains(&self, address: IpAddr) -> bool {
        (self.0)(address)
    }
}

impl From<Vec<Cidr>> for Networks {
    fn from(networks: Vec<Cidr>) -> Self {
        Networks::new(move |address| networks.iter().any(|network| network.contains(address)))
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Networks")
    }
}

/// Plain HTTP, for management networks only.
#[derive(Debug, Clone)]
pub struct PlainListener {
    /// Where to listen.
    pub address: SocketAddr,
    /// Who may speak plain HTTP: everyone else is cut off without an answer.
    pub allowed_from: Networks,
}

/// HTTPS.
#[derive(Debug, Clone)]
pub struct TlsListener {
    /// Where to listen.
    pub address: SocketAddr,
    /// Certificate and versions; see [`crate::server_config_from_pem`].
    pub config: crate::TlsConfig,
}

/// The configuration of the CWMP server.
#[derive(Debug, Clone)]
pub struct AcsConfig {
    /// Plain HTTP, if at all.
    pub plain: Option<PlainListener>,
    /// HTTPS, if at all.
    pub tls: Option<TlsListener>,
    /// Proxies that speak for CPEs. Where a CPE speaks from is a part of who it is, so a proxy that does not say it, or
    /// says it twice and differently, is refused; whoever is not named here is believed nothing.
    pub trusted_proxies: Networks,
    /// Realm of the challenges. CPEs may store it: do not change it lightly.
    pub realm: String,
    /// Which digests are offered and accepted.
    pub digest: ServerPolicy,
    /// Limits on one envelope.
    pub limits: Limits,
    /// Bytes of a first message, which anyone may send.
    pub max_inform_bytes: usize,
    /// How a device is written to, as far as neither its own Inform shows nor its family says how it wants it.
    pub encode: EncodeOptions,
    /// A session ends after this long without a message (a CPE may ask for longer, up to `max_session_idle`).
    pub session_idle: Duration,
    /// The longest idle time a CPE may ask for.
    pub max_session_idle: Duration,
    /// A session ends after this long, however busy it is; its work goes on at the next Inform.
    pub max_session_age: Duration,
    /// Messages of a CPE in one session that are no answer to ours: notices, and what cannot be read. Beyond it the
    /// session ends.
    pub max_unasked_messages: u32,
    /// Sessions at the same time; beyond it new ones get 503.
    pub max_sessions: usize,
    /// Connections at the same time; beyond it new ones are closed.
    pub max_connections: usize,
    /// Connections of one address at the same time.
    pub max_connections_per_address: usize,
    /// Messages outside a session (Informs, challenges, noise) that one address may send per second …
    pub rate_per_s: f64,
    /// … and at once.
    pub rate_burst: f64,
    /// Informs of one device per second …
    pub device_rate_per_s: f64,
    /// … and at once.
    pub device_rate_burst: f64,
    /// Bytes of bodies that are held at the same time, beyond the first few of each …
    pub max_bytes_in_flight: usize,
    /// … and of one address.
    pub max_bytes_in_flight_per_address: usize,
    /// Wrong passwords that one address may present per minute under one user name, known or not, before it gets 503
    /// instead of 401. The right password is always let in: others may share the address.
    pub wrong_passwords_per_minute: f64,
    /// The head of the next request must be complete within this. Between two messages of a session the CPE works,
    /// so it is longer than `session_idle`.
    pub head_within: Duration,
    /// A body must make progress within this time …
    pub body_idle: Duration,
    /// … and be complete within this.
    pub body_total: Duration,
    /// How long an answer of the application may take before the CPE gets 503. CPEs wait at least 30 s.
    pub answer_within: Duration,
    /// A device that takes nothing of an answer for so long is cut off.
    pub write_within: Duration,
    /// Files that are fetched at the same time; beyond it devices get 503 and come again …
    pub max_downloads: usize,
    /// … and by one device; of one file a device fetches one at a time, and the newer one counts.
    pub max_downloads_per_device: usize,
    /// Requests for files that one device may send per second …
    pub files_per_s: f64,
    /// … and at once. One address may send as many whose signature is not right, however many devices are behind it.
    pub files_burst: f64,
    /// A device that takes nothing of a file for so long is cut off: some write their flash meanwhile.
    pub file_idle: Duration,
    /// Bytes per second of a file that a device takes at least, after a grace; slower ones are cut off, and go on
    /// where they were.
    pub file_bytes_per_s: u64,
    /// That grace.
    pub file_grace: Duration,
    /// No download takes longer.
    pub file_total: Duration,
    /// `Retry-After` of a 503 under overload, in seconds.
    pub retry_after_s: u32,
}

impl Default for AcsConfig {
    fn default() -> Self {
        AcsConfig {
            plain: None,
            tls: None,
            trusted_proxies: Networks::of_proxies(Vec::new()),
            realm: "Lightkeeper".into(),
            digest: ServerPolicy::default(),
            limits: Limits::default(),
            max_inform_bytes: 256 << 10,
            encode: EncodeOptions::default(),
            session_idle: Duration::from_secs(30),
            max_session_idle: Duration::from_secs(300),
            max_session_age: Duration::from_secs(3600),
            max_unasked_messages: 32,
            max_sessions: 20_000,
            max_connections: 8_192,
            max_connections_per_address: 1_024,
            rate_per_s: 50.0,
            rate_burst: 500.0,
            device_rate_per_s: 0.5,
            device_rate_burst: 30.0,
            max_bytes_in_flight: 256 << 20,
            max_bytes_in_flight_per_address: 64 << 20,
            wrong_passwords_per_minute: 30.0,
            head_within: Duration::from_secs(35),
            body_idle: Duration::from_secs(10),
            body_total: Duration::from_secs(60),
            answer_within: Duration::from_secs(25),
            write_within: Duration::from_secs(30),
            max_downloads: 64,
            max_downloads_per_device: 2,
            files_per_s: 5.0,
            files_burst: 100.0,
            file_idle: Duration::from_secs(300),
            file_bytes_per_s: 4096,
            file_grace: Duration::from_secs(600),
            file_total: Duration::from_secs(3 * 3600),
            retry_after_s: 60,
        }
    }
}
