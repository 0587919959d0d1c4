//! REST under `/api/v1`, described by the OpenAPI 3.1 document at `/api/openapi.json`.
//!
//! **Invariant: one table says everything about a route.** [`table`] names each handler once, with the permission it
//! needs; the router, [`rows`] and the document are made from it, so none of them can know a route that another does
//! not. Every route of [`router`] has the guard in front of it already: merge it under `auth::identify`.

mod access;
mod audit;
mod cpes;
mod customers;
mod device_orders;
mod diagnoses;
mod document;
mod faults;
mod firmware;
pub(crate) mod idempotency;
mod input;
mod models;
mod olts;
mod onus;
mod output;
mod overview;
mod plans;
mod reach;
mod recordings;
mod services;
mod settings;
#[cfg(test)]
mod suite;
mod tasks;

use std::sync::LazyLock;

use app::Permission;
use axum::{
    Router,
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::any,
};
use utoipa::openapi::{HttpMethod, OpenApi};
use utoipa_axum::{
    router::{OpenApiRouter, UtoipaMethodRouter},
    routes,
};

use crate::{
    auth::{Need, guard},
    error::{ApiFail, Fail},
    state::Ctx,
};

/// Where the document is served.
pub(crate) const DOCUMENT_PATH: &str = "/api/openapi.json";

/// One route as the table names it.
struct Row {
    method: Method,
    path: String,
    need: Need,
    /// It takes an `Idempotency-Key`.
    orders: bool,
}

struct Table {
    rows: Vec<Row>,
    routes: OpenApiRouter<Ctx>,
}

impl Table {
    /// Adds one handler behind the guard.
    fn add(mut self, need: Need, orders: bool, (schemas, paths, handler): UtoipaMethodRouter<Ctx>) -> Self {
        for (path, item) in &paths.paths {
            let operations = [
                (Method::GET, item.get.is_some()),
                (Method::POST, item.post.is_some()),
                (Method::PUT, item.put.is_some()),
                (Method::DELETE, item.delete.is_some()),
            ];
            let present = operations.into_iter().filter(|(_, there)| *there);
            self.rows.extend(present.map(|(method, _)| Row { method, path: path.clone(), need, orders }));
        }
        let handler =
            handler.route_layer(from_fn(move |request: Request, next: Next| guard(need, request, next)));
        Table { routes: self.routes.routes((schemas, paths, handler)), ..self }
    }

    fn with(self, need: Need, handler: UtoipaMethodRouter<Ctx>) -> Self {
        self.add(need, false, handler)
    }

    fn read(self, handler: UtoipaMethodRouter<Ctx>) -> Self {
        self.with(Need::May(Permission::Read), handler)
    }

    fn may(self, permission: Permission, handler: UtoipaMethodRouter<Ctx>) -> Self {
        self.with(Need::May(permission), handler)
    }

    /// Creates or orders something: may be sent twice and is carried out once.
    fn order(self, permission: Permission, handler: UtoipaMethodRouter<Ctx>) -> Self {
        self.add(Need::May(permission), true, handler)
    }
}

fn table() -> Table {
    use Permission::{
        AuthoriseOnu, ConfigureCpe, ManageFirmware, ManageKeys, ManageUsers, OperateCpe, ReadAudit,
        RenewSecrets, RestartCpe, WriteCustomers, WriteOlts, WritePlans, WriteServices, WriteSettings,
    };
    Table { rows: Vec::new(), routes: OpenApiRouter::with_openapi(document::head()) }
        .with(Need::Public, routes!(document::get_openapi))
        .with(Need::SignedIn, routes!(access::get_me))
        .read(routes!(overview::get_overview))
        .read(routes!(overview::list_problems))
        .read(routes!(overview::search))
        .read(routes!(overview::list_timeline))
        .read(routes!(overview::events))
        .read(routes!(olts::list_olts))
        .order(WriteOlts, routes!(olts::add_olt))
        .read(routes!(olts::get_olt))
        .may(WriteOlts, routes!(olts::update_olt))
        .read(routes!(olts::list_pon_ports))
        .may(WriteOlts, routes!(olts::test_olt))
        .may(AuthoriseOnu, routes!(olts::read_olt))
        .read(routes!(olts::get_saving))
        .order(WriteOlts, routes!(olts::save_olt))
        .may(WriteOlts, routes!(olts::forget_host_key))
        .read(routes!(onus::list_detected_onus))
        .may(AuthoriseOnu, routes!(onus::look_for_onus))
        .read(routes!(onus::get_detected_onu))
        .read(routes!(onus::list_onus))
        .read(routes!(onus::get_onu))
        .may(AuthoriseOnu, routes!(tasks::dry_run_authorisation))
        .order(AuthoriseOnu, routes!(tasks::authorise_onu))
        .may(AuthoriseOnu, routes!(tasks::dry_run_change))
        .order(AuthoriseOnu, routes!(tasks::change_onu))
        .read(routes!(tasks::list_tasks))
        .read(routes!(tasks::get_task))
        .order(AuthoriseOnu, routes!(tasks::close_task))
        .order(AuthoriseOnu, routes!(tasks::cancel_task))
        .order(AuthoriseOnu, routes!(tasks::give_up_task))
        .order(AuthoriseOnu, routes!(tasks::resume_task))
        .read(routes!(customers::list_customers))
        .order(WriteCustomers, routes!(customers::create_customer))
        .read(routes!(customers::get_customer))
        .may(WriteCustomers, routes!(customers::update_customer))
        .read(routes!(plans::list_plans))
        .order(WritePlans, routes!(plans::create_plan))
        .read(routes!(plans::get_plan))
        .may(WritePlans, routes!(plans::update_plan))
        .read(routes!(services::list_services))
        .order(WriteServices, routes!(services::create_service))
        .read(routes!(services::get_service))
        .read(routes!(services::get_intents))
        .may(WriteServices, routes!(services::set_internet))
        .may(WriteServices, routes!(services::set_access))
        .may(WriteServices, routes!(services::set_lan))
        .may(WriteServices, routes!(services::leave_lan))
        .may(WriteServices, routes!(services::correct_service))
        .order(WriteServices, routes!(services::terminate_service))
        .order(RenewSecrets, routes!(services::renew_pppoe_password))
        .order(RenewSecrets, routes!(services::renew_wifi_passphrase))
        .order(WriteServices, routes!(services::suspend_service))
        .order(WriteServices, routes!(services::resume_service))
        .read(routes!(cpes::list_cpes))
        .read(routes!(cpes::get_cpe))
        .read(routes!(cpes::list_cpe_timeline))
        .read(routes!(cpes::list_evidence))
        .read(routes!(cpes::list_parameters))
        .read(routes!(cpes::list_sessions))
        .read(routes!(cpes::list_connection_requests))
        .read(routes!(cpes::list_cpe_faults))
        .order(OperateCpe, routes!(cpes::tag_cpe))
        .order(OperateCpe, routes!(cpes::untag_cpe))
        .order(OperateCpe, routes!(cpes::hold_cpe))
        .order(OperateCpe, routes!(cpes::release_hold))
        .order(OperateCpe, routes!(cpes::retry_cpe))
        .order(OperateCpe, routes!(cpes::call_cpe))
        .read(routes!(reach::get_reach))
        .order(OperateCpe, routes!(reach::check_reach))
        .order(OperateCpe, routes!(cpes::choose_wan))
        .order(OperateCpe, routes!(cpes::claim_cpe))
        .order(OperateCpe, routes!(cpes::release_cpe))
        .order(OperateCpe, routes!(cpes::override_clock))
        .order(OperateCpe, routes!(cpes::restore_clock))
        .order(OperateCpe, routes!(device_orders::refresh_cpe))
        .order(ConfigureCpe, routes!(device_orders::set_parameters))
        .order(RestartCpe, routes!(device_orders::reboot_cpe))
        .order(RestartCpe, routes!(device_orders::factory_reset_cpe))
        .order(OperateCpe, routes!(diagnoses::ping_from_cpe))
        .order(OperateCpe, routes!(diagnoses::traceroute_from_cpe))
        .order(OperateCpe, routes!(diagnoses::lookup_from_cpe))
        .order(OperateCpe, routes!(diagnoses::scan_from_cpe))
        .order(OperateCpe, routes!(diagnoses::read_hosts_of_cpe))
        .read(routes!(device_orders::list_device_orders))
        .read(routes!(device_orders::get_device_order))
        .order(OperateCpe, routes!(device_orders::cancel_device_order))
        .read(routes!(recordings::list_recordings))
        .order(OperateCpe, routes!(recordings::start_recording))
        .order(OperateCpe, routes!(recordings::stop_recording))
        .may(OperateCpe, routes!(recordings::get_recording))
        .read(routes!(models::list_cpe_models))
        .read(routes!(models::get_cpe_model))
        .order(WriteSettings, routes!(models::override_family))
        .order(WriteSettings, routes!(models::withdraw_family))
        .read(routes!(firmware::list_firmware))
        .may(ManageFirmware, routes!(firmware::upload_firmware))
        .read(routes!(firmware::get_firmware))
        .may(ManageFirmware, routes!(firmware::delete_firmware))
        .read(routes!(faults::list_faults))
        .read(routes!(faults::summarise_faults))
        .read(routes!(faults::list_fault_groups))
        .may(OperateCpe, routes!(faults::diagnose_faults))
        .may(ReadAudit, routes!(audit::list_audit))
        .may(ManageUsers, routes!(access::list_users))
        .order(ManageUsers, routes!(access::create_user))
        .may(ManageUsers, routes!(access::change_user))
        .order(ManageUsers, routes!(access::reset_password))
        .may(ManageKeys, routes!(access::list_api_keys))
        .order(ManageKeys, routes!(access::create_api_key))
        .may(ManageKeys, routes!(access::revoke_api_key))
        .read(routes!(settings::get_acs_settings))
        .read(routes!(settings::get_refused_addresses))
        .may(WriteSettings, routes!(settings::set_acs_settings))
        .read(routes!(settings::list_clock_waivers))
        .order(WriteSettings, routes!(settings::waive_clock))
        .order(WriteSettings, routes!(settings::withdraw_clock_waiver))
        .read(routes!(settings::list_kept_intervals))
        .order(WriteSettings, routes!(settings::accept_interval))
        .order(WriteSettings, routes!(settings::withdraw_interval))
}

static KNOWN: LazyLock<(Vec<Row>, OpenApi)> = LazyLock::new(|| {
    let Table { rows, routes } = table();
    let document = document::finish(routes.into_openapi(), &rows);
    (rows, document)
});

/// Every route with its guard, and problems instead of empty answers for what is not there.
pub(crate) fn router() -> Router<Ctx> {
    let (router, _) = table().routes.split_for_parts();
    router.method_not_allowed_fallback(wrong_method).route("/api/{*rest}", any(nowhere))
}

/// Every route of the API with what it needs.
#[cfg(test)]
pub(crate) fn rows() -> Vec<(Method, &'static str, Need)> {
    KNOWN.0.iter().map(|row| (row.method.clone(), row.path.as_str(), row.need)).collect()
}

/// The document, as it is served.
pub(crate) fn openapi() -> OpenApi {
    KNOWN.1.clone()
}

async fn nowhere(request: Request) -> ApiFail {
    let path: String = request.uri().path().chars().take(120).collect();
    ApiFail(Fail::new(
        StatusCode::NOT_FOUND,
        "Not found",
        format!("There is no {path}; {DOCUMENT_PATH} lists every route."),
    ))
}

async fn wrong_method(request: Request) -> Response {
    let path = request.uri().path();
    let known: Vec<&str> =
        KNOWN.0.iter().filter(|row| fits(&row.path, path)).map(|row| row.method.as_str()).collect();
    let text = format!("{} is not possible here; {} is.", request.method(), known.join(", "));
    let mut response =
        ApiFail(Fail::new(StatusCode::METHOD_NOT_ALLOWED, "Not possible", text)).into_response();
    if let Ok(allow) = HeaderValue::from_str(&known.join(", ")) {
        response.headers_mut().insert(header::ALLOW, allow);
    }
    response
}

/// True if a path as asked for is one of this route.
fn fits(route: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (route.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given || wanted.starts_with('{') => {}
            _ => return false,
        }
    }
}

/// The spelling of a method in the document.
fn http_method(method: &Method) -> HttpMethod {
    match method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_matched_with_its_route() {
        assert!(fits("/api/v1/olts/{id}", "/api/v1/olts/7"));
        assert!(!fits("/api/v1/olts/{id}", "/api/v1/olts"));
        assert!(!fits("/api/v1/olts/{id}", "/api/v1/olts/7/test"));
    }

    #[test]
    fn openapi_and_the_table_of_permissions_name_the_same_routes() {
        let document = openapi();
        let mut described = Vec::new();
        for (path, item) in &document.paths.paths {
            for (method, there) in [
                ("GET", item.get.is_some()),
                ("POST", item.post.is_some()),
                ("PUT", item.put.is_some()),
                ("DELETE", item.delete.is_some()),
                ("other", item.patch.is_some() || item.head.is_some() || item.options.is_some()),
            ] {
                if there {
                    described.push(format!("{method} {path}"));
                }
            }
        }
        let mut named: Vec<String> =
            rows().iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        described.sort();
        named.sort();
        assert_eq!(described, named);
        assert!(named.len() > 50, "{}", named.len());
        let mut unique = named.clone();
        unique.dedup();
        assert_eq!(unique, named, "each route once");
    }

    #[test]
    fn nothing_that_writes_is_open_or_needs_only_reading() {
        for (method, path, need) in rows() {
            match need {
                Need::Public => assert_eq!(path, DOCUMENT_PATH),
                Need::SignedIn => assert_eq!((method.as_str(), path), ("GET", "/api/v1/me")),
                Need::May(permission) => {
                    assert!(
                        method == Method::GET || permission != Permission::Read,
                        "{method} {path} writes with the permission to read"
                    );
                }
            }
        }
    }

    #[test]
    fn every_operation_has_an_id_of_its_own() {
        let document = openapi();
        let mut ids: Vec<String> = document
            .paths
            .paths
            .values()
            .flat_map(|item| [&item.get, &item.post, &item.put, &item.delete])
            .flatten()
            .map(|operation| operation.operation_id.clone().expect("an id"))
            .collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}
