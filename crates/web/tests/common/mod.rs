//! The pages on a real socket.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part")]

use std::{net::SocketAddr, sync::Arc, time::Duration};

use app::{
    App, AppParts,
    ports::{CallReport, ConnectionRequestOutcome, ConnectionRequestTarget, ConnectionRequester},
};
use store::{KeySource, Store, StoreConfig};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use types::{ProxyNetwork, SystemClock};
use web::{WebLimits, WebServer, WebState};

/// Far above anything that works.
pub const PATIENCE: Duration = Duration::from_secs(120);

struct NobodyThere;

#[async_trait::async_trait]
impl ConnectionRequester for NobodyThere {
    async fn request(&self, _: ConnectionRequestTarget) -> CallReport {
        ConnectionRequestOutcome::Unreachable.into()
    }
}

pub struct Served {
    _folder: TempDir,
    pub app: Arc<App>,
    pub address: SocketAddr,
    pub stop: oneshot::Sender<()>,
    pub running: JoinHandle<()>,
}

impl Served {
    pub async fn start(limits: WebLimits, trusted_proxies: &[&str]) -> Served {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Served::start_at(any, limits, trusted_proxies).await.expect("a port")
    }

    /// As [`Served::start`], at an address that this machine may not have.
    pub async fn start_at(
        at: SocketAddr,
        limits: WebLimits,
        trusted_proxies: &[&str],
    ) -> std::io::Result<Served> {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("lightkeeper.db").display());
        let config = StoreConfig::new(&url, KeySource::File(folder.path().join("secret.key")));
        let parts = AppParts {
            store: Store::open(config).await.expect("the store opens"),
            clock: Arc::new(SystemClock),
            connection: Arc::new(NobodyThere),
            node: "test".to_owned(),
            limits: app::PolicyLimits::Network,
        };
        let app = Arc::new(App::new(parts).await.expect("the application starts"));
        let trusted_proxies: Vec<ProxyNetwork> =
            trusted_proxies.iter().map(|text| text.parse().expect("a network")).collect();
        let state = WebState { trusted_proxies, ..WebState::new(app.clone()) };
        let server = WebServer::bind(at, state, limits).await?;
        let address = server.address().expect("an address");
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async move { drop(stopped.await) }));
        Ok(Served { _folder: folder, app, address, stop, running })
    }

    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("the kernel accepts")
    }

    /// The answer to a request on a connection of its own; empty when it was closed without one.
    pub async fn ask(&self, request: &str) -> String {
        let mut wire = self.connect().await;
        // A server that closes at once may do so before this is sent.
        let _ = wire.write_all(request.as_bytes()).await;
        to_the_end(&mut wire).await
    }

    pub async fn still_answers(&self) {
        let answer = self.ask("GET /login HTTP/1.1\r\nHost: lk\r\nConnection: close\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer:.200}");
    }

    pub async fn stop(self) {
        drop(self.stop);
        timeout(PATIENCE, self.running).await.expect("it stops").expect("it does not panic");
    }
}

/// Everything until the server closes; that it closes is part of every test.
pub async fn to_the_end(wire: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A reset is an end too.
    let _ = timeout(PATIENCE, wire.read_to_end(&mut all)).await.expect("the server closes the connection");
    String::from_utf8_lossy(&all).into_owned()
}
