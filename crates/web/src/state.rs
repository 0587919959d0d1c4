//! What every handler shares.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::tz::TimeZone;
use store::read::Overview;

use crate::{error::Fail, live::Live, view::View};

/// What the router is made from.
#[derive(Clone)]
pub struct WebState {
    /// The use cases.
    pub app: Arc<app::App>,
    /// Whose clock is on the wall of pages.
    pub zone: TimeZone,
    /// Cookies travel over TLS only, always. Without it they do where a trusted proxy says that the browser came by https.
    pub secure_cookies: bool,
    /// Networks whose members speak for others: TLS proxies in front of the pages. Only what these say of a client in
    /// `X-Forwarded-For`, `X-Forwarded-Proto` or `Forwarded` counts.
    pub trusted_proxies: Vec<types::ProxyNetwork>,
    /// Name of the operator, shown beside the reader's name; may be empty.
    pub operator: String,
}

impl WebState {
    /// Plain HTTP, the machine's own time zone.
    pub fn new(app: Arc<app::App>) -> Self {
        WebState {
            app,
            zone: TimeZone::system(),
            secure_cookies: false,
            trusted_proxies: Vec::new(),
            operator: String::new(),
        }
    }
}

/// [`WebState`] with what the router adds.
#[derive(Clone)]
pub(crate) struct Ctx {
    pub(crate) web: WebState,
    pub(crate) live: Live,
    nav: Arc<Mutex<Option<(Instant, Overview)>>>,
    pub(crate) attempts: Arc<crate::auth::Attempts>,
}

/// The counters in the navigation may be this old.
const NAV_FRESH: Duration = Duration::from_secs(2);

impl Ctx {
    pub(crate) fn new(web: WebState) -> Self {
        let live = Live::start(web.app.bus().subscribe());
        Ctx { web, live, nav: Arc::default(), attempts: Arc::default() }
    }

    pub(crate) fn app(&self) -> &app::App {
        &self.web.app
    }

    pub(crate) fn read(&self) -> store::read::Read<'_> {
        self.web.app.store().read()
    }

    pub(crate) fn view(&self) -> View {
        View { now: self.web.app.now(), zone: self.web.zone.clone() }
    }

    /// The numbers of the overview, at most two seconds old, so that a busy NOC costs one query and not one per page.
    pub(crate) async fn numbers(&self) -> Result<Overview, Fail> {
        if let Some((at, numbers)) = &*self.nav.lock().unwrap_or_else(PoisonError::into_inner)
            && at.elapsed() < NAV_FRESH
        {
            return Ok(numbers.clone());
        }
        let day_ago = self.web.app.now().0 - 86_400_000;
        let numbers = self.read().overview(day_ago).await?;
        *self.nav.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), numbers.clone()));
        Ok(numbers)
    }
}
