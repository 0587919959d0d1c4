//! The listener of pages and API: connections with a limit on everything, so that whoever comes here can only cost
//! these pages, and never the ACS beside them.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body, extract::ConnectInfo, http::Request};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt;
use types::ProxyNetwork;

use crate::{WebState, body::BodyWithin};

/// What a client of the pages may cost.
#[derive(Debug, Clone)]
pub struct WebLimits {
    /// A request's headers take no longer, from the moment the connection is free for one. So long a connection may
    /// idle too.
    pub head_within: Duration,
    /// A body takes no longer.
    pub body_within: Duration,
    /// A client that takes nothing of its answer for so long is cut off.
    pub write_within: Duration,
    /// Connections at the same time; beyond it new ones are closed.
    pub max_connections: usize,
    /// Connections of one address at the same time. A trusted proxy speaks for many and has no limit of its own.
    pub max_connections_per_address: usize,
    /// How long requests at work may take when the server stops.
    pub stop_within: Duration,
}

impl Default for WebLimits {
    fn default() -> Self {
        WebLimits {
            // Above the 60 s that proxies keep a free connection for.
            head_within: Duration::from_secs(75),
            body_within: Duration::from_secs(30),
            write_within: Duration::from_secs(30),
            max_connections: 512,
            max_connections_per_address: 128,
            stop_within: Duration::from_secs(5),
        }
    }
}

/// Bytes of headers.
const MAX_HEAD_BYTES: usize = 32 << 10;
/// Headers of a request.
const MAX_HEADERS: usize = 100;

/// The pages and the API, bound but not running yet.
#[derive(Debug)]
pub struct WebServer {
    listener: TcpListener,
    router: Router,
    limits: WebLimits,
    trusted: Vec<ProxyNetwork>,
}

/// True when the server is about to stop; streams end then.
#[derive(Debug, Clone)]
pub(crate) struct Stopping(pub(crate) watch::Receiver<bool>);

/// The open connections, in total and by address.
#[derive(Debug, Default)]
struct Connections(Mutex<HashMap<IpAddr, usize>>);

/// One open connection; gives its place back when dropped.
struct Place {
    connections: Arc<Connections>,
    address: IpAddr,
}

impl Connections {
    fn take(self: &Arc<Self>, address: IpAddr, limits: &WebLimits, speaks_for_many: bool) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = open.values().sum();
        let own = open.get(&address).copied().unwrap_or_default();
        let full = own >= limits.max_connections_per_address && !speaks_for_many;
        if total >= limits.max_connections || full {
            return None;
        }
        open.insert(address, own + 1);
        Some(Place { connections: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
    }
}

impl WebServer {
    /// Opens the listener.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(address: SocketAddr, state: WebState, limits: WebLimits) -> io::Result<WebServer> {
        let listener = TcpListener::bind(address).await?;
        let trusted = state.trusted_proxies.clone();
        Ok(WebServer { listener, router: crate::router(state), limits, trusted })
    }

    /// Opens a listener that answers clients of GenieACS at its root, and nothing else.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind_nbi(address: SocketAddr, state: &WebState, limits: WebLimits) -> io::Result<WebServer> {
        let listener = TcpListener::bind(address).await?;
        let trusted = state.trusted_proxies.clone();
        Ok(WebServer { listener, router: crate::nbi_router(state), limits, trusted })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`; requests at work are finished, streams of live updates end.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let WebServer { listener, router, limits, trusted } = self;
        let limits = Arc::new(limits);
        let graceful = GracefulShutdown::new();
        let connections = Arc::new(Connections::default());
        let (stopping, streams_end) = watch::channel(false);
        tokio::pin!(stop);
        loop {
            let (stream, peer) = tokio::select! {
                () = &mut stop => break,
                accepted = accept(&listener) => accepted,
            };
            let address = peer.ip().to_canonical();
            match connections.take(address, &limits, trusted.iter().any(|network| network.contains(address)))
            {
                Some(place) => {
                    let client = Client { peer, place, limits: Arc::clone(&limits) };
                    serve(client, stream, router.clone(), Stopping(streams_end.clone()), graceful.watcher());
                }
                None => tracing::debug!(%peer, "too many connections to the pages; this one is closed"),
            }
        }
        drop(listener);
        // Nobody left to hear it is fine.
        let _ = stopping.send(true);
        if timeout(limits.stop_within, graceful.shutdown()).await.is_err() {
            tracing::debug!("connections to the pages still open at the end of the grace period are cut");
        }
    }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                // Out of file descriptors, mostly: others must close first.
                tracing::warn!(%error, "cannot accept connections to the pages");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Who is at the other end, and what they may cost.
struct Client {
    peer: SocketAddr,
    place: Place,
    limits: Arc<WebLimits>,
}

fn serve(client: Client, stream: TcpStream, router: Router, stopping: Stopping, watcher: Watcher) {
    let Client { peer, place, limits } = client;
    let body_within = BodyWithin(limits.body_within);
    let service = service_fn(move |request: Request<Incoming>| {
        let (router, stopping) = (router.clone(), stopping.clone());
        async move {
            let mut request = request.map(Body::new);
            let extensions = request.extensions_mut();
            extensions.insert(ConnectInfo(peer));
            extensions.insert(body_within);
            extensions.insert(stopping);
            router.oneshot(request).await
        }
    });
    // Whoever asks for much and reads nothing holds a place that others need.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_within));
    // HTTP/1.1 only: no browser speaks HTTP/2 without TLS, and a proxy that ends TLS need not either.
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_within)
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    let connection = watcher.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%peer, %error, "connection ended");
        }
        drop(place);
    });
}
