//! Listeners and connections.

use crate::{
    AcsConfig, AcsError, Networks,
    client_certificate::ClientCertificate,
    handler::Edge,
    patience::{Carries, Patient},
    rate::{key_of, lock},
    sessions::Origin,
    tls::TlsConfig,
};
use app::ports::CpeFrontDoor;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use types::Clock;

/// A TLS handshake that takes longer is given up.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long requests at work may take when the server stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// Bytes of headers.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) sessions_begun: Counter,
    pub(crate) overload: Counter,
    pub(crate) wrong_passwords: Counter,
    pub(crate) undecodable: Counter,
    pub(crate) refused_bodies: Counter,
    pub(crate) refused_connections: Counter,
    pub(crate) downloads: Counter,
    pub(crate) refused_files: Counter,
    pub(crate) unproved_certificates: Counter,
}

/// What the server has been through since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcsStats {
    /// Sessions going on now.
    pub sessions: u64,
    /// Bytes of large bodies held now.
    pub bytes_in_flight: u64,
    /// Informs that came through authentication.
    pub sessions_begun: u64,
    /// Answers 503.
    pub overload: u64,
    /// Wrong passwords and unusable proofs.
    pub wrong_passwords: u64,
    /// Messages that are no envelope.
    pub undecodable: u64,
    /// Bodies too large, too slow or broken.
    pub refused_bodies: u64,
    /// Connections beyond a limit or from outside the allowed networks.
    pub refused_connections: u64,
    /// Files that are fetched now.
    pub downloading: u64,
    /// Files, or ranges of them, that were begun to be sent.
    pub downloads: u64,
    /// Requests for files that were answered 404.
    pub refused_files: u64,
    /// Connections whose CPE showed a certificate that proves nothing.
    pub unproved_certificates: u64,
}

/// The CWMP server, bound but not running yet.
pub struct AcsServer {
    edge: Arc<Edge>,
    plain: Option<(TcpListener, Networks)>,
    tls: Option<(TcpListener, TlsConfig)>,
}

impl std::fmt::Debug for AcsServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AcsServer")
            .field("plain", &self.plain_address())
            .field("tls", &self.tls_address())
            .finish_non_exhaustive()
    }
}

/// The open connections, in total and by address; one customer of IPv6 has many addresses and is one.
#[derive(Default)]
struct Connections(Mutex<Open>);

#[derive(Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One open connection; gives its place back when dropped.
struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    /// A trusted proxy speaks for many and has no limit of its own.
    fn take(self: &Arc<Self>, address: IpAddr, config: &AcsConfig) -> Option<Place> {
        let speaks_for_many = config.trusted_proxies.contains(address);
        let address = key_of(address);
        let mut open = lock(&self.0);
        let own = open.by_address.get(&address).copied().unwrap_or(0);
        if open.total >= config.max_connections
            || (own >= config.max_connections_per_address && !speaks_for_many)
        {
            return None;
        }
        open.total += 1;
        open.by_address.insert(address, own + 1);
        Some(Place { connections: self.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = lock(&self.connections.0);
        open.total -= 1;
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

impl AcsServer {
    /// Opens the listeners.
    ///
    /// # Errors
    /// [`AcsError`] if there is nothing to listen on, or if an address cannot be had.
    pub async fn bind(
        config: AcsConfig,
        door: Arc<dyn CpeFrontDoor>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AcsError> {
        if config.plain.is_none() && config.tls.is_none() {
            return Err(AcsError::NoListener);
        }
        let listen = |address: SocketAddr| async move {
            TcpListener::bind(address).await.map_err(|source| AcsError::Listen {
                what: "CWMP",
                address,
                source,
            })
        };
        let plain = match &config.plain {
            Some(plain) => Some((listen(plain.address).await?, plain.allowed_from.clone())),
            None => None,
        };
        let tls = match &config.tls {
            Some(tls) => Some((listen(tls.address).await?, tls.config.clone())),
            None => None,
        };
        // Nonces and sessions live in this process: a fresh key at every start costs one stale challenge.
        let (mut nonce_key, mut prefix) = ([0; 32], [0; 4]);
        getrandom::fill(&mut nonce_key)
            .and_then(|()| getrandom::fill(&mut prefix))
            .map_err(|error| AcsError::Randomness(error.to_string()))?;
        let prefix = format!("{:08x}", u32::from_be_bytes(prefix));
        Ok(AcsServer { edge: Arc::new(Edge::new(config, door, clock, nonce_key, prefix)), plain, tls })
    }

    /// Where plain HTTP is served.
    pub fn plain_address(&self) -> Option<SocketAddr> {
        self.plain.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Where HTTPS is served.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Reads the counters, also while the server runs.
    pub fn stats(&self) -> impl Fn() -> AcsStats + Send + Sync + use<> {
        let edge = self.edge.clone();
        move || AcsStats {
            sessions: edge.sessions.count() as u64,
            bytes_in_flight: edge.in_flight.held() as u64,
            sessions_begun: edge.counters.sessions_begun.get(),
            overload: edge.counters.overload.get(),
            wrong_passwords: edge.counters.wrong_passwords.get(),
            undecodable: edge.counters.undecodable.get(),
            refused_bodies: edge.counters.refused_bodies.get(),
            refused_connections: edge.counters.refused_connections.get(),
            downloading: edge.files.downloading() as u64,
            downloads: edge.counters.downloads.get(),
            refused_files: edge.counters.refused_files.get(),
            unproved_certificates: edge.counters.unproved_certificates.get(),
        }
    }

    /// Serves until `stop`. Requests at work are finished, open sessions are ended as torn.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let AcsServer { edge, plain, tls } = self;
        let graceful = GracefulShutdown::new();
        let connections = Arc::new(Connections::default());
        let mut reap = tokio::time::interval(
            (edge.config.session_idle / 4).clamp(Duration::from_millis(20), Duration::from_secs(1)),
        );
        reap.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = reap.tick() => edge.sessions.reap(Instant::now(), edge.config.max_session_age),
                (stream, peer) = accept(plain.as_ref().map(|(listener, _)| listener)) => {
                    let address = peer.ip().to_canonical();
                    let allowed = plain.as_ref().is_some_and(|(_, from)| from.contains(address))
                        || edge.config.trusted_proxies.contains(address);
                    if !allowed {
                        tracing::debug!(peer = %address, "plain HTTP from outside the management networks");
                        edge.door.refused(address);
                        edge.counters.refused_connections.add();
                        continue;
                    }
                    let Some(place) = connections.take(address, &edge.config) else {
                        edge.counters.refused_connections.add();
                        continue;
                    };
                    serve(edge.clone(), Origin { address, tls: false }, None, stream, place, graceful.watcher());
                }
                (stream, peer) = accept(tls.as_ref().map(|(listener, _)| listener)) => {
                    let address = peer.ip().to_canonical();
                    let (Some((_, tls)), Some(place)) = (tls.as_ref(), connections.take(address, &edge.config))
                    else {
                        edge.counters.refused_connections.add();
                        continue;
                    };
                    let (tls, edge, watcher) = (tls.clone(), edge.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        let acceptor = TlsAcceptor::from(tls.server.clone());
                        match timeout(HANDSHAKE_WITHIN, acceptor.accept(stream)).await {
                            Ok(Ok(stream)) => {
                                let chain = stream.get_ref().1.peer_certificates();
                                let proof = chain.and_then(|chain| edge.proof_by(chain, &tls, address));
                                serve(edge, Origin { address, tls: true }, proof, stream, place, watcher);
                            }
                            Ok(Err(error)) => tracing::debug!(peer = %address, %error, "TLS handshake failed"),
                            Err(_) => tracing::debug!(peer = %address, "TLS handshake too slow"),
                        }
                    });
                }
            }
        }
        drop((plain, tls));
        if timeout(STOP_WITHIN, graceful.shutdown()).await.is_err() {
            tracing::debug!("connections still open at the end of the grace period are cut");
        }
        if timeout(STOP_WITHIN, edge.sessions.close_all()).await.is_err() {
            tracing::warn!("some sessions did not end in time; their devices will inform again");
        }
    }
}

/// The next connection; never if there is no listener.
async fn accept(listener: Option<&TcpListener>) -> (TcpStream, SocketAddr) {
    let Some(listener) = listener else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Out of file descriptors, mostly: others must close first.
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn serve<S>(
    edge: Arc<Edge>,
    origin: Origin,
    certificate: Option<Arc<ClientCertificate>>,
    stream: S,
    place: Place,
    watcher: hyper_util::server::graceful::Watcher,
) where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (head_within, write_within) = (edge.config.head_within, edge.config.write_within);
    // Whoever asks for much and reads nothing holds a place that others need.
    let carries = Carries::messages();
    let stream = Patient::new(stream, carries.clone(), write_within, edge.config.file_idle);
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (edge, carries) = (edge.clone(), carries.clone());
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        async move { Ok::<_, Infallible>(edge.any(origin, &carries, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_within)
        .max_headers(64)
        .max_buf_size(MAX_HEAD_BYTES)
        // Small HTTP stacks compare header names letter by letter.
        .title_case_headers(true)
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service);
    let connection = watcher.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(peer = %origin.address, %error, "connection ended");
        }
        drop(place);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_customer_has_the_places_of_one_address() {
        let config = AcsConfig { max_connections_per_address: 2, ..AcsConfig::default() };
        let connections = Arc::new(Connections::default());
        let take = |address: &str| connections.take(address.parse().expect("an address"), &config);
        let one = take("2001:db8:0:7::1").expect("the first");
        let two = take("2001:db8:0:7:ffff::2").expect("the second");
        assert!(take("2001:db8:0:7::3").is_none(), "the third address of the same customer");
        let other = take("2001:db8:0:8::1").expect("another customer");
        drop(one);
        let again = take("2001:db8:0:7::3").expect("a place is free");
        drop((two, other, again));
        let open = lock(&connections.0);
        assert!(open.by_address.is_empty() && open.total == 0);
    }
}
