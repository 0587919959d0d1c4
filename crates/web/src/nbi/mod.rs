//! The northbound interface of GenieACS, as far as tools that were written for it need it: the same paths, status codes,
//! reason phrases and shapes of documents, over what Lightkeeper knows and does.
//!
//! **Invariant: only with a key.** GenieACS asks nobody who they are; here every route needs an API key whose scopes allow
//! it, and a collection that is not in [`routes`] does not exist. No secret is in any document.

mod collection;
mod devices;
mod document;
mod faults;
mod ids;
mod once;
mod query;
mod tasks;
mod waiters;

use std::sync::Arc;

use app::{Actor, App, AppError, Permission};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodRouter, delete, get, post, put},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use store::StoreError;
use tokio::sync::Semaphore;
use types::ProxyNetwork;

use crate::{WebState, auth, backend, error::Fail};

/// The version whose interface this is; what stands behind the plus sign changes nothing (semver).
const VERSION: &str = "1.2.14+lightkeeper";
/// Queries that are looked for at the same time.
const SCANS: usize = 2;
/// Lists that are sent at a time.
const ANSWERS: usize = 8;
/// Longest task, bytes.
const MOST_TASK_BYTES: usize = 64 << 10;

/// What every handler shares.
#[derive(Clone)]
pub(crate) struct Nbi {
    app: Arc<App>,
    trusted_proxies: Arc<[ProxyNetwork]>,
    scans: Arc<Semaphore>,
    /// Places for lists that are being sent.
    answers: Arc<Semaphore>,
    /// Places for those who wait for a device.
    waiters: waiters::Waiters,
}

/// An answer that is not what was hoped for: a status and a sentence, as plain text.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    text: String,
    retry_after_s: Option<u32>,
    /// How many match, where a list is refused.
    total: Option<u64>,
}

impl Refusal {
    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Refusal { status, text: text.into(), retry_after_s: None, total: None }
    }

    fn bad(text: impl Into<String>) -> Self {
        Refusal::new(StatusCode::BAD_REQUEST, text)
    }

    /// As GenieACS says it: clients compare the text.
    fn no_such_device() -> Self {
        Refusal::new(StatusCode::NOT_FOUND, "No such device")
    }

    fn not_here(text: impl Into<String>) -> Self {
        Refusal::new(StatusCode::NOT_IMPLEMENTED, text)
    }
}

impl From<Fail> for Refusal {
    fn from(fail: Fail) -> Self {
        Refusal { status: fail.status, text: fail.detail, retry_after_s: fail.retry_after_s, total: None }
    }
}

impl From<AppError> for Refusal {
    fn from(error: AppError) -> Self {
        Fail::from(error).into()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Fail::from(error).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.text).into_response();
        if let Some(total) = self.total {
            response.headers_mut().insert(HeaderName::from_static("total"), HeaderValue::from(total));
        }
        if let Some(wait) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        response
    }
}

/// One route.
struct Route {
    path: &'static str,
    /// One of these.
    needs: Vec<Permission>,
    /// It orders something, once where a key says which request it is.
    orders: bool,
    handler: MethodRouter<Nbi>,
}

/// What a key needs for one kind of order or another.
const ORDERS: [Permission; 3] = [Permission::OperateCpe, Permission::ConfigureCpe, Permission::RestartCpe];

fn route(path: &'static str, need: Permission, handler: MethodRouter<Nbi>) -> Route {
    Route { path, needs: vec![need], orders: false, handler }
}

/// Every route with the scope that a key needs for it.
fn routes() -> Vec<Route> {
    use Permission::{OperateCpe, Read};
    let mut all = vec![
        route("/devices", Read, get(devices::list)),
        route("/devices/", Read, get(devices::list)),
        route("/devices/{id}", Read, get(devices::one)),
        route("/devices/{id}", OperateCpe, delete(devices::delete)),
        route("/devices/{id}/tags/{tag}", OperateCpe, post(devices::tag).delete(devices::untag)),
        route("/faults/{id}", OperateCpe, delete(faults::delete)),
        route("/tasks", Read, get(tasks::list)),
        route("/tasks/", Read, get(tasks::list)),
        route("/tasks/{id}", Read, get(tasks::one)),
        route("/tasks/{id}", OperateCpe, delete(tasks::delete)),
        route("/faults", Read, get(faults::list)),
        route("/faults/", Read, get(faults::list)),
    ];
    // What is ordered decides which of these a key needs; the order itself asks for it.
    let task = post(tasks::create).layer(DefaultBodyLimit::max(MOST_TASK_BYTES));
    for path in ["/devices/{id}/tasks", "/devices/{id}/tasks/"] {
        all.push(Route { path, needs: ORDERS.to_vec(), orders: true, handler: task.clone() });
    }
    let retry = post(tasks::retry);
    all.push(Route { path: "/tasks/{id}/retry", needs: ORDERS.to_vec(), orders: true, handler: retry });
    // Whatever these hold in GenieACS is kept and decided elsewhere here; they are empty, and nothing can be put there.
    for (list, slash, one, instead) in [
        (
            "/presets",
            "/presets/",
            "/presets/{name}",
            "Lightkeeper has no presets: what a device gets follows from its service, its plan and the ACS policy. Nothing was \
             changed. See docs/genieacs.md.",
        ),
        (
            "/provisions",
            "/provisions/",
            "/provisions/{name}",
            "Lightkeeper runs no scripts: what a device gets follows from its service and its CPE profile. Nothing was changed. \
             See docs/genieacs.md.",
        ),
        (
            "/virtual_parameters",
            "/virtual_parameters/",
            "/virtual_parameters/{name}",
            "Lightkeeper runs no scripts: CPE profiles say where a model keeps what is the same everywhere. Nothing was changed. \
             See docs/genieacs.md.",
        ),
        (
            "/objects",
            "/objects/",
            "/objects/{name}",
            "Lightkeeper has no objects: what a device gets follows from its service. Nothing was changed. See docs/genieacs.md.",
        ),
        (
            "/files",
            "/files/",
            "/files/{name}",
            "Files for devices are not taken over this interface. Nothing was changed. See docs/genieacs.md.",
        ),
    ] {
        let refuse = move || async move { Refusal::not_here(instead) };
        all.push(route(list, Read, get(async || collection::nothing())));
        all.push(route(slash, Read, get(async || collection::nothing())));
        all.push(route(one, OperateCpe, put(refuse).post(refuse).delete(refuse)));
    }
    all
}

/// The interface over one application, at the root of wherever it is put.
pub(crate) fn router(web: &WebState) -> Router {
    let nbi = Nbi {
        app: Arc::clone(&web.app),
        trusted_proxies: web.trusted_proxies.clone().into(),
        scans: Arc::new(Semaphore::new(SCANS)),
        answers: Arc::new(Semaphore::new(ANSWERS)),
        waiters: waiters::Waiters::default(),
    };
    let mut router: Router<Nbi> = Router::new();
    for Route { path, needs, orders, handler } in routes() {
        let needs: Arc<[Permission]> = needs.into();
        let handler = match orders {
            true => handler.layer(middleware::from_fn_with_state(nbi.clone(), once::once)),
            false => handler,
        };
        let guarded = handler.route_layer(middleware::from_fn(move |request: Request, next: Next| {
            let needs = Arc::clone(&needs);
            async move {
                let Some(actor) = request.extensions().get::<Actor>() else {
                    return nobody("").into_response();
                };
                match may(actor, &needs) {
                    Ok(()) => next.run(request).await,
                    Err(error) => Refusal::from(error).into_response(),
                }
            }
        }));
        router = router.route(path, guarded);
    }
    router
        .fallback(nowhere)
        .method_not_allowed_fallback(not_that_way)
        .layer(middleware::from_fn_with_state(nbi.clone(), identify))
        .with_state(nbi)
}

/// One of these is enough; else the first is what is said to be missing.
fn may(actor: &Actor, needs: &[Permission]) -> Result<(), AppError> {
    let mut asked = needs.iter().map(|need| actor.require(*need));
    let first = asked.next().unwrap_or(Ok(()));
    if first.is_err() && asked.any(|other| other.is_ok()) { Ok(()) } else { first }
}

async fn nowhere() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "There is nothing at this address. devices, tasks, faults, presets, objects, provisions, virtual_parameters and files \
         can be read.",
    )
}

async fn not_that_way() -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "This address is there, but not for this method.")
}

fn nobody(why: &str) -> Response {
    let text = format!(
        "{why}Send an API key of Lightkeeper in the header x-api-key, as a Bearer token, or as the password of Basic \
         authentication; Settings, API keys makes one."
    );
    let mut response = Refusal::new(StatusCode::UNAUTHORIZED, text).into_response();
    // Not Basic: a browser would ask for a password and then send it with whatever another site makes it ask for.
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"Lightkeeper NBI\""));
    response
}

/// The key, wherever an existing tool can be told to send one.
fn key(headers: &HeaderMap) -> Option<String> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(key) = text(HeaderName::from_static("x-api-key")) {
        return Some(key.to_owned());
    }
    let (scheme, credentials) = text(header::AUTHORIZATION)?.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (name, password) = pair.split_once(':')?;
    Some(if password.is_empty() { name } else { password }.to_owned())
}

/// Finds out who asks. Cookies of the pages count nothing here, so no other site can make a browser ask.
async fn identify(State(nbi): State<Nbi>, mut request: Request, next: Next) -> Response {
    let presented = presented(&nbi, &request);
    let mut response = match who(&nbi, presented).await {
        Ok(actor) => {
            request.extensions_mut().insert(actor);
            next.run(request).await
        }
        Err(refused) => *refused,
    };
    response
        .headers_mut()
        .insert(HeaderName::from_static("genieacs-version"), HeaderValue::from_static(VERSION));
    response
}

/// The key that came with a request, and from where it came.
fn presented(nbi: &Nbi, request: &Request) -> Result<(Option<String>, Option<String>), Refusal> {
    let address = auth::address(request.extensions(), request.headers(), &nbi.trusted_proxies)?;
    if !request.method().is_safe() {
        // A key that a browser remembers is sent along whoever made it ask.
        auth::same_origin(request.headers())?;
    }
    Ok((key(request.headers()), address.map(|address| address.to_string())))
}

async fn who(
    nbi: &Nbi,
    presented: Result<(Option<String>, Option<String>), Refusal>,
) -> Result<Actor, Box<Response>> {
    let refused = |refusal: Refusal| Box::new(refusal.into_response());
    let (key, address) = presented.map_err(refused)?;
    let Some(key) = key else { return Err(Box::new(nobody(""))) };
    match backend::resolve_api_key(&nbi.app, &key, address).await {
        Ok(Some(actor)) => Ok(actor),
        Ok(None) => Err(Box::new(nobody("This API key is not known, has expired or was revoked. "))),
        Err(error) => Err(refused(error.into())),
    }
}

#[cfg(test)]
mod tests;
