//! Every route with the permission it needs, in one table; the guard stands before each of them.

use app::{Permission as P, faults::genieacs::MAX_BYTES as MAX_FAULTS_FILE};
use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, StatusCode, Uri, header},
    middleware::{self, Next},
    response::{IntoResponse, Response, Sse, sse::KeepAlive},
    routing::{MethodRouter, get, post},
};
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer, trace::TraceLayer};

use crate::{
    api, assets,
    auth::{self, Need, Who},
    body::MAX_BODY,
    error::{ApiFail, Fail},
    list::Query,
    live::WATCHED,
    nbi, once,
    pages::{
        audit, authorise, care, cpes, customers, detected, fault_import, faults, firmware, histories, models,
        olts, onu_change, onus, overview, picker, reach, recordings, search, service, service_orders,
        services, settings, sign_in, tasks,
    },
    server::Stopping,
    state::{Ctx, WebState},
};

/// One route.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) need: Need,
    handler: MethodRouter<Ctx>,
}

fn read(path: &'static str, need: Need, handler: MethodRouter<Ctx>) -> Route {
    Route { method: "GET", path, need, handler }
}

fn write(path: &'static str, permission: P, handler: MethodRouter<Ctx>) -> Route {
    Route { method: "POST", path, need: Need::May(permission), handler }
}

/// The table.
pub(crate) fn routes() -> Vec<Route> {
    let see = Need::May(P::Read);
    vec![
        // Open to everybody.
        read("/login", Need::Public, get(sign_in::form)),
        Route { method: "POST", path: "/login", need: Need::Public, handler: post(sign_in::sign_in) },
        read("/assets/{*path}", Need::Public, get(assets::serve)),
        read("/healthz", Need::Public, get(healthz)),
        read("/readyz", Need::Public, get(readyz)),
        // One's own session.
        Route { method: "POST", path: "/logout", need: Need::SignedIn, handler: post(sign_in::sign_out) },
        read("/password", Need::SignedIn, get(sign_in::password_form)),
        Route {
            method: "POST",
            path: "/password",
            need: Need::SignedIn,
            handler: post(sign_in::change_password),
        },
        // Looking.
        read("/", see, get(overview::show)),
        read("/overview/live", see, get(overview::live)),
        read("/more", see, get(overview::more)),
        read("/events", see, get(events)),
        read("/search", see, get(search::search)),
        read("/detected", see, get(detected::list)),
        read("/detected.csv", see, get(detected::csv)),
        read("/onus", see, get(onus::list)),
        read("/onus.csv", see, get(onus::csv)),
        read("/onus/{id}", see, get(onus::show)),
        read("/onus/{id}/row", see, get(onus::row)),
        read("/services", see, get(services::list)),
        read("/services.csv", see, get(services::csv)),
        read("/services/{id}", see, get(service::show)),
        read("/services/{id}/row", see, get(services::row)),
        read("/services/{id}/live", see, get(service::live)),
        read("/cpes", see, get(cpes::list)),
        read("/cpes.csv", see, get(cpes::csv)),
        read("/cpes/{id}", see, get(cpes::show)),
        read("/cpes/{id}/row", see, get(cpes::row)),
        read("/cpes/{id}/live", see, get(cpes::live)),
        read("/cpes/{id}/parameters", see, get(cpes::parameters)),
        read("/cpes/{id}/parameters.csv", see, get(cpes::parameters_csv)),
        read("/cpes/{id}/sessions", see, get(cpes::sessions)),
        read("/cpes/{id}/sessions.csv", see, get(cpes::sessions_csv)),
        read("/cpes/{id}/calls", see, get(histories::calls)),
        read("/cpes/{id}/calls.csv", see, get(histories::calls_csv)),
        read("/cpes/{id}/reach", see, get(reach::show)),
        read("/cpes/{id}/reach/live", see, get(reach::live)),
        read("/cpes/{id}/timeline", see, get(histories::cpe)),
        read("/cpes/{id}/timeline.csv", see, get(histories::cpe_csv)),
        read("/onus/{id}/timeline", see, get(histories::onu)),
        read("/onus/{id}/timeline.csv", see, get(histories::onu_csv)),
        read("/faults", see, get(faults::list)),
        read("/faults.csv", see, get(faults::csv)),
        read("/faults/groups", see, get(faults::groups)),
        read("/faults/groups.csv", see, get(faults::groups_csv)),
        read(fault_import::PATH, Need::May(P::OperateCpe), get(fault_import::show)),
        // The file and what the form adds to it.
        write(
            fault_import::PATH,
            P::OperateCpe,
            post(fault_import::diagnose).layer(DefaultBodyLimit::max(MAX_FAULTS_FILE + MAX_BODY)),
        ),
        read("/customers", see, get(customers::list)),
        read("/customers.csv", see, get(customers::csv)),
        read("/customers/options", see, get(picker::customer_options)),
        read("/services/options", see, get(picker::service_options)),
        read("/customers/{id}", see, get(customers::show)),
        read("/plans", see, get(customers::plans)),
        read("/plans.csv", see, get(customers::plans_csv)),
        read("/olts", see, get(olts::list)),
        read("/olts.csv", see, get(olts::csv)),
        read("/olts/{id}", see, get(olts::show)),
        read("/tasks", see, get(tasks::list)),
        read("/tasks.csv", see, get(tasks::csv)),
        read("/tasks/{id}", see, get(tasks::show)),
        read("/settings", see, get(settings::index)),
        read("/settings/policy", see, get(settings::policy)),
        read("/settings/models", see, get(models::list)),
        read("/settings/models.csv", see, get(models::csv)),
        read("/settings/models/{id}", see, get(models::show)),
        read(firmware::PATH, see, get(firmware::list)),
        read("/settings/firmware.csv", see, get(firmware::csv)),
        read("/audit", Need::May(P::ReadAudit), get(audit::list)),
        read("/audit.csv", Need::May(P::ReadAudit), get(audit::csv)),
        // Acting.
        write("/detected/look", P::AuthoriseOnu, post(detected::look)),
        read("/authorise", Need::May(P::AuthoriseOnu), get(authorise::show)),
        read("/authorise/dry-run", Need::May(P::AuthoriseOnu), get(authorise::dry_run)),
        write("/authorise", P::AuthoriseOnu, post(authorise::submit)),
        read("/onus/{id}/change", Need::May(P::AuthoriseOnu), get(onu_change::show)),
        read("/onus/{id}/change/dry-run", Need::May(P::AuthoriseOnu), get(onu_change::dry_run)),
        write("/onus/{id}/change", P::AuthoriseOnu, post(onu_change::submit)),
        read("/services/new", Need::May(P::WriteServices), get(services::new)),
        write("/services", P::WriteServices, post(services::create)),
        write("/services/{id}/hold", P::OperateCpe, post(service_orders::hold)),
        write("/services/{id}/suspend", P::WriteServices, post(service_orders::suspend)),
        write("/services/{id}/resume", P::WriteServices, post(service_orders::resume)),
        write("/services/{id}/wifi", P::WriteServices, post(service_orders::wifi)),
        write("/services/{id}/internet", P::WriteServices, post(service_orders::internet)),
        write("/services/{id}/lan", P::WriteServices, post(service_orders::lan)),
        write("/services/{id}/correct", P::WriteServices, post(service_orders::correct)),
        write("/services/{id}/end", P::WriteServices, post(service_orders::end)),
        write("/services/{id}/pppoe-password", P::RenewSecrets, post(service_orders::pppoe_password)),
        write("/services/{id}/wifi-passphrase", P::RenewSecrets, post(service_orders::wifi_passphrase)),
        write("/cpes/{id}/tag", P::OperateCpe, post(cpes::tag)),
        write("/cpes/{id}/untag", P::OperateCpe, post(cpes::untag)),
        read("/cpes/{id}/care", see, get(care::show)),
        write("/cpes/{id}/care/refresh", P::OperateCpe, post(care::refresh)),
        write("/cpes/{id}/care/test", P::OperateCpe, post(care::test)),
        write("/cpes/{id}/care/cancel", P::OperateCpe, post(care::cancel)),
        write("/cpes/{id}/care/set", P::ConfigureCpe, post(care::set)),
        write("/cpes/{id}/care/reboot", P::RestartCpe, post(care::reboot)),
        write("/cpes/{id}/care/factory-reset", P::RestartCpe, post(care::factory_reset)),
        read("/cpes/{id}/recordings", see, get(recordings::show)),
        write("/cpes/{id}/recordings", P::OperateCpe, post(recordings::start)),
        write("/recordings/{id}/stop", P::OperateCpe, post(recordings::stop)),
        read("/recordings/{id}/file", Need::May(P::OperateCpe), get(recordings::file)),
        write("/cpes/{id}/hold", P::OperateCpe, post(cpes::hold)),
        write("/cpes/{id}/release", P::OperateCpe, post(cpes::release)),
        write("/cpes/{id}/retry", P::OperateCpe, post(cpes::retry)),
        write("/cpes/{id}/call", P::OperateCpe, post(cpes::call)),
        write("/cpes/{id}/reach", P::OperateCpe, post(reach::check)),
        write("/cpes/{id}/clock", P::OperateCpe, post(cpes::clock)),
        write("/cpes/{id}/clock/withdraw", P::OperateCpe, post(cpes::restore_clock)),
        write("/cpes/{id}/wan", P::OperateCpe, post(cpes::choose_wan)),
        write("/cpes/{id}/claim", P::OperateCpe, post(cpes::claim)),
        write("/cpes/{id}/release-service", P::OperateCpe, post(cpes::release_service)),
        write("/tasks/{id}/close", P::AuthoriseOnu, post(tasks::close)),
        write("/tasks/{id}/cancel", P::AuthoriseOnu, post(tasks::cancel)),
        write("/tasks/{id}/give-up", P::AuthoriseOnu, post(tasks::give_up)),
        write("/tasks/{id}/resume", P::AuthoriseOnu, post(tasks::resume)),
        read("/customers/new", Need::May(P::WriteCustomers), get(customers::new)),
        write("/customers", P::WriteCustomers, post(customers::create)),
        read("/customers/{id}/edit", Need::May(P::WriteCustomers), get(customers::edit)),
        write("/customers/{id}/edit", P::WriteCustomers, post(customers::change)),
        read("/plans/new", Need::May(P::WritePlans), get(customers::new_plan)),
        write("/plans", P::WritePlans, post(customers::create_plan)),
        read("/plans/{id}/edit", Need::May(P::WritePlans), get(customers::edit_plan)),
        write("/plans/{id}/edit", P::WritePlans, post(customers::change_plan)),
        read("/olts/new", Need::May(P::WriteOlts), get(olts::new)),
        write("/olts", P::WriteOlts, post(olts::create)),
        read("/olts/{id}/edit", Need::May(P::WriteOlts), get(olts::edit)),
        write("/olts/{id}/edit", P::WriteOlts, post(olts::change)),
        write("/olts/{id}/test", P::WriteOlts, post(olts::test)),
        write("/olts/{id}/refresh", P::WriteOlts, post(olts::refresh)),
        write("/olts/{id}/save", P::WriteOlts, post(olts::save)),
        write("/olts/{id}/forget-key", P::WriteOlts, post(olts::forget_key)),
        write("/settings/policy", P::WriteSettings, post(settings::change_policy)),
        write("/settings/clock-waivers", P::WriteSettings, post(settings::waive_clock)),
        write("/settings/clock-waivers/withdraw", P::WriteSettings, post(settings::withdraw_clock_waiver)),
        write("/settings/kept-intervals", P::WriteSettings, post(settings::accept_interval)),
        write("/settings/kept-intervals/withdraw", P::WriteSettings, post(settings::withdraw_interval)),
        write("/settings/models/{id}/override", P::WriteSettings, post(models::set)),
        write("/settings/models/{id}/withdraw", P::WriteSettings, post(models::withdraw)),
        // A file, taken piece by piece.
        write(
            firmware::PATH,
            P::ManageFirmware,
            post(firmware::upload).layer(DefaultBodyLimit::max(firmware::MAX_UPLOAD)),
        ),
        write("/settings/firmware/{id}/delete", P::ManageFirmware, post(firmware::delete)),
        read("/settings/users", Need::May(P::ManageUsers), get(settings::users)),
        read("/settings/users.csv", Need::May(P::ManageUsers), get(settings::users_csv)),
        write("/settings/users", P::ManageUsers, post(settings::create_user)),
        write("/settings/users/{id}", P::ManageUsers, post(settings::change_user)),
        write("/settings/users/{id}/password", P::ManageUsers, post(settings::reset_password)),
        read("/settings/api-keys", Need::May(P::ManageKeys), get(settings::api_keys)),
        read("/settings/api-keys.csv", Need::May(P::ManageKeys), get(settings::api_keys_csv)),
        write("/settings/api-keys", P::ManageKeys, post(settings::create_key)),
        write("/settings/api-keys/{id}/revoke", P::ManageKeys, post(settings::revoke_key)),
    ]
}

/// Pages, API and live updates over one application. Must be called inside a tokio runtime: it starts the one reader
/// of the bus. [`WebServer`](crate::WebServer) serves it with the addresses and limits that it counts on.
pub fn router(web: WebState) -> Router {
    let nbi = nbi::router(&web);
    let ctx = Ctx::new(web);
    let mut router: Router<Ctx> = Router::new();
    for route in routes() {
        let need = route.need;
        let handler = if route.method == "POST" && matches!(need, Need::May(_)) {
            route.handler.layer(middleware::from_fn_with_state(ctx.clone(), once::form))
        } else {
            route.handler
        };
        let guarded = handler
            .layer(middleware::from_fn(move |request: Request, next: Next| auth::guard(need, request, next)));
        router = router.route(route.path, guarded);
    }
    let router = router
        .merge(api::v1::router())
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_that_way)
        .layer(middleware::from_fn_with_state(ctx.clone(), auth::identify))
        // Behind the question who asks: it has its own.
        .nest_service(NBI, nbi);
    around(router).with_state(ctx)
}

/// Where clients of GenieACS are answered beside the pages.
const NBI: &str = "/nbi";

/// What clients of GenieACS are answered, at the root, for those that cannot be told a path.
pub fn nbi_router(web: &WebState) -> Router {
    around(nbi::router(web))
}

/// What stands around every route.
fn around<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn(headers))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TraceLayer::new_for_http())
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    tracing::error!("a page or API call panicked; the request is lost, nothing else");
    Fail::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "Failed",
        "This failed inside Lightkeeper. The log names the place; nothing was sent to a device.",
    )
    .into_response()
}

async fn nothing_here(uri: Uri) -> Response {
    let fail = Fail::new(
        StatusCode::NOT_FOUND,
        "Not found",
        "There is no page at this address. Search finds everything by name or number.",
    );
    if uri.path().starts_with("/api/") { ApiFail(fail).into_response() } else { fail.into_response() }
}

async fn not_that_way(uri: Uri) -> Response {
    let fail = Fail::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "Not that way",
        "This address is there, but not for this method.",
    );
    if uri.path().starts_with("/api/") { ApiFail(fail).into_response() } else { fail.into_response() }
}

/// What browsers may do with our pages. No inline script or style, nothing from elsewhere, no frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'";

async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What a page shows belongs to whoever is signed in; only the embedded files may be kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready when the database answers.
async fn readyz(State(ctx): State<Ctx>) -> Response {
    match ctx.numbers().await {
        Ok(_) => "ready\n".into_response(),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "The database does not answer.\n").into_response(),
    }
}

/// Names of what changes, as server-sent events: `event: cpe-12`. `watch` lists the topics, `since` is where the page
/// was drawn; a browser that reconnects says itself what it heard last.
async fn events(
    State(ctx): State<Ctx>,
    who: Who,
    stopping: Option<Extension<Stopping>>,
    uri: Uri,
    headers: http::HeaderMap,
) -> Response {
    let query = Query::parse("/events", uri.query());
    let heard = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let since = heard.or_else(|| query.get("since").parse().ok()).unwrap_or_else(|| ctx.live.position());
    let known =
        |topic: &&str| topic.len() <= 32 && topic.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let watched = uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .filter_map(|pair| pair.strip_prefix("watch="));
    let watched = watched
        .flat_map(|list| list.split([',', '+']))
        .filter(known)
        .take(WATCHED)
        .map(str::to_owned)
        .collect();
    match ctx.live.stream(since, watched, &who.actor.label(), stopping.map(|Extension(stopping)| stopping)) {
        Some(stream) => Sse::new(stream).keep_alive(KeepAlive::default()).into_response(),
        None => {
            let busy = "Too many pages are open; this one does not update itself for now.";
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "30")], busy).into_response()
        }
    }
}
