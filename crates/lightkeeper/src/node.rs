//! One running node: the database, the application, its edges and its workers, started and stopped together.

use crate::{alive, config::Config};
use acs::{
    AcsConfig, AcsServer, HttpConnectionRequester, Networks, PlainListener, SntpConfig, SntpServer,
    TlsListener,
};
use anyhow::Context;
use app::{App, AppParts, Loop, PolicyLimits};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use store::{KeySource, Store, StoreConfig};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use types::{Secret, SystemClock};
use web::{WebLimits, WebServer, WebState};

/// How long edges and workers may take to finish what they are doing.
const STOP_WITHIN: Duration = Duration::from_secs(20);

pub(crate) struct Node {
    /// Where the pages are, if this node serves them.
    pub(crate) web: Option<SocketAddr>,
    /// Where programs written for GenieACS reach us, if there is a port for them.
    pub(crate) nbi: Option<SocketAddr>,
    /// Where CPEs reach us by plain HTTP, if they do.
    pub(crate) acs: Option<SocketAddr>,
    /// Password of the administrator that was made at this start.
    pub(crate) first_password: Option<Secret>,
    /// Nobody has ever logged in, and the password was printed at an earlier start: it may have been missed.
    pub(crate) still_unused: bool,
    app: App,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What the store is opened with.
pub(crate) fn store_config(config: &Config) -> StoreConfig {
    StoreConfig::new(config.database_url(), KeySource::File(config.key_file()))
}

/// The database and the application, without edges or workers.
pub(crate) async fn open_app(config: &Config, limits: PolicyLimits) -> anyhow::Result<App> {
    make_private_folder(&config.data_dir)?;
    let store = Store::open(store_config(config)).await?;
    let parts = AppParts {
        store,
        clock: Arc::new(SystemClock),
        connection: Arc::new(HttpConnectionRequester::default()),
        node: format!("{}-{}", hostname(), std::process::id()),
        limits,
    };
    Ok(App::new(parts).await?)
}

/// A folder that only we can look into, because what is in it opens an ISP. One that is there already is left as it is.
pub(crate) fn make_private_folder(folder: &std::path::Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("The data folder {} cannot be made", folder.display()))
}

/// The name of this machine.
pub(crate) fn hostname() -> String {
    std::fs::read_to_string("/etc/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "node".to_owned())
}

impl Node {
    /// Opens the listeners first and starts work only when all of them could be had.
    pub(crate) async fn start(config: &Config, app: App) -> anyhow::Result<Node> {
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        // Before any device is let in; the sessions of a process that died are looked for while this one works.
        app.join().await?;

        let web_server = if config.plays("web") { Some(web_server(config, &app).await?) } else { None };
        let nbi_server = match config.nbi_listen {
            Some(address) if config.plays("web") => Some(nbi_server(config, address, &app).await?),
            _ => None,
        };
        let acs_server = if config.plays("acs") { Some(acs_server(config, &app).await?) } else { None };
        let sntp_server = match config.sntp_listen {
            Some(address) => {
                let sntp = SntpConfig::new(address, management_networks(&app));
                let server = SntpServer::bind(sntp, Arc::new(SystemClock)).await?;
                Some(server)
            }
            None => None,
        };

        let web = web_server.as_ref().map(WebServer::address).transpose()?;
        let nbi = nbi_server.as_ref().map(WebServer::address).transpose()?;
        let acs = acs_server.as_ref().and_then(AcsServer::plain_address);
        // Not before every address could be had: a start that fails would take the password, shown once, with it.
        let first_password = app.first_run().await?;
        let still_unused = first_password.is_none() && app.nobody_logged_in().await?;
        if let Some(server) = web_server {
            tasks.spawn(server.run(stop.clone().cancelled_owned()));
        }
        if let Some(server) = nbi_server {
            tasks.spawn(server.run(stop.clone().cancelled_owned()));
        }
        if let Some(server) = acs_server {
            tasks.spawn(server.run(stop.clone().cancelled_owned()));
        }
        if let Some(server) = sntp_server {
            tasks.spawn(server.run(stop.clone().cancelled_owned()));
        }
        {
            let (app, stop) = (app.clone(), stop.clone());
            tasks.spawn(async move { app.run_presence(stop).await });
        }
        {
            let (app, stop) = (app.clone(), stop.clone());
            tasks.spawn(async move { app.run_neighbours(stop).await });
        }
        // Before the first sign of life, which would else tell of those only that happened to run already.
        app.will_run(&[Loop::Presence]);
        if config.plays("work") {
            app.will_run(&Loop::OF_WORK);
        }
        if config.plays("poll") {
            app.will_run(&Loop::OF_POLL);
        }
        {
            let (config, app, stop) = (config.clone(), app.clone(), stop.clone());
            tasks.spawn(alive::run(config, app, stop));
        }
        if config.plays("work") {
            let (app, stop) = (app.clone(), stop.clone());
            tasks.spawn(async move { app.run_workers(stop).await });
        }
        if config.plays("poll") {
            let (app, stop) = (app.clone(), stop.clone());
            tasks.spawn(async move { app.run_olt_workers(stop).await });
        }
        tasks.close();
        Ok(Node { web, nbi, acs, first_password, still_unused, app, stop, tasks })
    }

    /// Lets everything finish what it is doing, within bounds.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("some work did not end in time; it goes on from the database at the next start");
            return;
        }
        // Only now, with every session ended: until then they are not for others to take over.
        if let Err(error) = self.app.leave().await {
            tracing::warn!(%error, "other nodes find out by themselves that this one stopped");
        }
    }
}

fn web_state(config: &Config, app: &App) -> WebState {
    WebState {
        secure_cookies: config.web_secure_cookies,
        trusted_proxies: config.web_trusted_proxies.clone(),
        ..WebState::new(Arc::new(app.clone()))
    }
}

async fn nbi_server(config: &Config, address: SocketAddr, app: &App) -> anyhow::Result<WebServer> {
    WebServer::bind_nbi(address, &web_state(config, app), WebLimits::default()).await.with_context(|| {
        format!(
            "nbi_listen: the address {address} cannot be had. Another program may be using it, GenieACS perhaps; choose \
             another one"
        )
    })
}

async fn web_server(config: &Config, app: &App) -> anyhow::Result<WebServer> {
    let state = web_state(config, app);
    let address = config.web_listen;
    WebServer::bind(address, state, WebLimits::default()).await.with_context(|| {
        format!(
            "pages and API: the address {address} cannot be had. Another program may be using it; choose another one"
        )
    })
}

/// As the ACS policy says at the moment of asking.
fn management_networks(app: &App) -> Networks {
    let app = app.clone();
    Networks::new(move |address| {
        app.policy().management_networks.iter().any(|network| network.contains(address))
    })
}

async fn acs_server(config: &Config, app: &App) -> anyhow::Result<AcsServer> {
    if app.policy().management_networks.is_empty() {
        tracing::warn!(
            "no management network is set (Settings, ACS policy): plain HTTP from CPEs is refused until one is"
        );
    }
    let tls = match (config.acs_tls_listen, &config.acs_tls_certificate, &config.acs_tls_key) {
        (Some(address), Some(certificate), Some(key)) => {
            let read = |path: &std::path::Path| {
                std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
            };
            let authorities = config.acs_tls_client_ca.as_deref().map(read).transpose()?;
            Some(TlsListener {
                address,
                config: acs::server_config_from_pem(
                    &read(certificate)?,
                    &read(key)?,
                    authorities.as_deref(),
                )?,
            })
        }
        _ => None,
    };
    let server_config = AcsConfig {
        plain: Some(PlainListener { address: config.acs_listen, allowed_from: management_networks(app) }),
        tls,
        trusted_proxies: Networks::of_proxies(config.acs_trusted_proxies.clone()),
        ..AcsConfig::default()
    };
    Ok(AcsServer::bind(server_config, Arc::new(app.clone()), Arc::new(SystemClock)).await?)
}

/// Ctrl-C, or SIGTERM from a service manager. Listened for from the moment it is made: whoever was told that we are
/// ready may ask in the same moment, and must not cut off work that is under way.
pub(crate) struct StopSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignal {
    pub(crate) fn listen() -> anyhow::Result<StopSignal> {
        let of = |kind: SignalKind| signal(kind).context("listening for the signal to stop");
        Ok(StopSignal { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    /// Until one of them comes.
    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
