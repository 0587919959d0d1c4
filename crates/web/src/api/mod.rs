//! REST under `/api/v1`: whatever the pages can do, programs can do, with the same commands and permissions.
//!
//! Errors are `problem+json` with a sentence; lists answer `{rows, total, page, size}`; a POST with an
//! `Idempotency-Key` is carried out once and answered the same again.

pub(crate) mod acs;
pub(crate) mod crm;
pub(crate) mod oms;
pub(crate) mod shared;

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{FromRequest, Request, State},
    http::{HeaderValue, Method, StatusCode, Uri, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use store::{
    StoreError,
    read::{Listed, Page},
    settings::{Seen, forget_request, remember_answer, remember_request},
};
use types::UtcMs;
use utoipa::{
    IntoParams, Modify, OpenApi, ToSchema,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use crate::{
    auth::{Identity, MAX_BODY},
    error::{ApiFail, Fail, Problem},
    list::Query,
    state::Ctx,
};

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(crate) struct Listing<T: ToSchema> {
    /// The rows of this page.
    rows: Vec<T>,
    /// Rows on all pages together.
    total: u64,
    /// Which page this is, from 1.
    page: u32,
    /// Rows on a page.
    size: u32,
}

/// What every list understands.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code, reason = "for the document; the address is read by list::Query")]
pub(crate) struct ListParams {
    /// Words to look for; serial numbers in any notation.
    q: Option<String>,
    /// Column to sort by; a minus in front turns it round.
    sort: Option<String>,
    /// Page, from 1.
    page: Option<u32>,
    /// Rows on a page, 1 to 500; 50 unless given.
    size: Option<u32>,
}

pub(crate) fn query(uri: &Uri) -> Query {
    Query::parse("", uri.query())
}

pub(crate) fn listing<R, T: ToSchema + From<R>>(listed: Listed<R>, page: Page) -> Json<Listing<T>> {
    Json(Listing {
        rows: listed.rows.into_iter().map(T::from).collect(),
        total: listed.total,
        page: page.number,
        size: page.size,
    })
}

/// RFC 3339, UTC.
pub(crate) fn at(ms: i64) -> String {
    UtcMs(ms).to_string()
}

pub(crate) fn at_opt(ms: Option<i64>) -> Option<String> {
    ms.map(at)
}

/// Nothing rather than an empty text.
pub(crate) fn some(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

/// What was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct Made {
    /// Its id.
    pub(crate) id: i64,
}

pub(crate) fn made(path: &str, id: i64) -> Response {
    let mut response = (StatusCode::CREATED, Json(Made { id })).into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("{path}/{id}")) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response
}

/// A JSON body; what is wrong with it is said as a problem.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiFail;
    async fn from_request(request: Request, state: &S) -> Result<Self, ApiFail> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(JsonBody(body)),
            Err(rejection) => Err(ApiFail(Fail::new(
                rejection.status(),
                "Not understood",
                format!("{}.", rejection.body_text()),
            ))),
        }
    }
}

/// Largest answer that is remembered for a repeated request.
const MAX_ANSWER: usize = 256 * 1024;

/// Carries out a POST with an `Idempotency-Key` once per caller. A repeated request gets the first answer; the same
/// key for another request is refused; a request that failed may be made again.
pub(crate) async fn once(State(ctx): State<Ctx>, request: Request, next: Next) -> Response {
    let key = request.headers().get("idempotency-key").cloned();
    let path = request.uri().path().to_owned();
    // Answers with a new secret in them are never kept.
    let applies = *request.method() == Method::POST
        && path.starts_with("/api/v1/")
        && !path.starts_with("/api/v1/api-keys");
    let (Some(key), true) = (key, applies) else { return next.run(request).await };
    match carry_out_once(&ctx, key, path, request, next).await {
        Ok(response) => response,
        Err(fail) => fail.into_response(),
    }
}

async fn carry_out_once(
    ctx: &Ctx,
    key: HeaderValue,
    path: String,
    request: Request,
    next: Next,
) -> Result<Response, ApiFail> {
    let caller = match request.extensions().get::<Identity>() {
        Some(Identity::Person(who)) => who.actor.label(),
        Some(Identity::Program(actor)) => actor.label(),
        // The guard will refuse it; nothing to remember.
        Some(Identity::Nobody) | None => return Ok(next.run(request).await),
    };
    let key = key.to_str().ok().filter(|key| (1..=200).contains(&key.len())).map(str::to_owned).ok_or_else(
        || ApiFail(Fail::bad_request("The Idempotency-Key must be 1 to 200 printable ASCII characters.")),
    )?;
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| {
        ApiFail(Fail::new(StatusCode::PAYLOAD_TOO_LARGE, "Too much", "The body is larger than 512 KiB."))
    })?;
    let hash =
        hex::encode(Sha256::new().chain_update(&path).chain_update([0]).chain_update(&bytes).finalize());
    let scope = format!("api:{caller}");
    let store = ctx.app().store().clone();
    let seen = {
        let (scope, key) = (scope.clone(), key.clone());
        store
            .write::<_, _, StoreError>(move |tx| {
                let (scope, key, hash) = (scope.clone(), key.clone(), hash.clone());
                Box::pin(async move { remember_request(tx, &scope, &key, &hash).await })
            })
            .await?
    };
    match seen {
        Seen::New => {}
        Seen::Answered(answer) => return Ok(replay(&answer)),
        Seen::UnderWay => {
            let text = "The first request with this key is still being carried out; ask again in a moment.";
            return Err(ApiFail(Fail {
                retry_after_s: Some(1),
                ..Fail::new(StatusCode::CONFLICT, "Under way", text)
            }));
        }
        Seen::OtherRequest => {
            let text = "This Idempotency-Key was used for another request. Nothing was done; use a new key.";
            return Err(ApiFail(Fail::new(StatusCode::UNPROCESSABLE_ENTITY, "Key used before", text)));
        }
    }
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    let (parts, body) = response.into_parts();
    let answer = axum::body::to_bytes(body, MAX_ANSWER).await.unwrap_or_else(|_| Bytes::new());
    if parts.status.is_success() {
        let location = parts.headers.get(header::LOCATION).and_then(|v| v.to_str().ok());
        let kept = serde_json::json!({
            "status": parts.status.as_u16(),
            "location": location,
            "body": serde_json::from_slice::<serde_json::Value>(&answer).unwrap_or_default(),
        });
        store
            .write::<_, _, StoreError>(move |tx| {
                let (scope, key, kept) = (scope.clone(), key.clone(), kept.clone());
                Box::pin(async move { remember_answer(tx, &scope, &key, &kept).await })
            })
            .await?;
    } else {
        store
            .write::<_, _, StoreError>(move |tx| {
                let (scope, key) = (scope.clone(), key.clone());
                Box::pin(async move { forget_request(tx, &scope, &key).await })
            })
            .await?;
    }
    Ok(Response::from_parts(parts, Body::from(answer)))
}

fn replay(answer: &serde_json::Value) -> Response {
    let status = answer["status"]
        .as_u64()
        .and_then(|s| u16::try_from(s).ok())
        .and_then(|s| StatusCode::from_u16(s).ok());
    let status = status.unwrap_or(StatusCode::OK);
    let mut response = if answer["body"].is_null() {
        status.into_response()
    } else {
        (status, Json(&answer["body"])).into_response()
    };
    if let Some(value) = answer["location"].as_str().and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(header::LOCATION, value);
    }
    response.headers_mut().insert("idempotent-replay", HeaderValue::from_static("true"));
    response
}

struct Keys;

impl Modify for Keys {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let components = api.components.get_or_insert_with(Default::default);
        components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Lightkeeper",
        version = "1",
        description = "Operations platform for fibre ISPs. Errors are problem+json with a sentence for people; POST requests \
            may carry an Idempotency-Key; times are RFC 3339 in UTC; what was not read is absent, never zero.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/")),
    paths(
        oms::list_olts, oms::add_olt, oms::get_olt, oms::update_olt, oms::test_olt, oms::list_detected, oms::dry_run,
        oms::authorise, oms::list_onus, oms::get_onu, oms::list_tasks, oms::get_task, crm::list_customers,
        crm::create_customer, crm::get_customer, crm::update_customer, crm::list_plans, crm::create_plan, crm::update_plan,
        crm::list_services, crm::create_service, crm::get_service, crm::set_internet, crm::set_access, crm::suspend,
        crm::resume, crm::timeline, acs::list_cpes, acs::get_cpe, acs::timeline, acs::evidence, acs::parameters, acs::hold,
        acs::release, acs::retry, acs::call, acs::claim, acs::list_faults, acs::faults_csv, shared::search, shared::events,
        shared::get_policy, shared::put_policy, shared::list_keys, shared::create_key, shared::revoke_key
    ),
    components(schemas(Problem)),
    modifiers(&Keys),
    security(("key" = [])),
    tags(
        (name = "oms", description = "OLTs, detected ONUs, ONUs, tasks"),
        (name = "crm", description = "Customers, plans, services and their layer intents"),
        (name = "acs", description = "CPEs: state, evidence, parameters, faults"),
        (name = "shared", description = "Search, live updates, settings, keys")
    )
)]
struct Document;

/// The document as text, for its route and its snapshot.
pub(crate) fn document_text() -> String {
    Document::openapi().to_pretty_json().unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

pub(crate) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document_text()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_document_is_the_table() {
        let api = Document::openapi();
        let described: BTreeSet<(String, String)> = api
            .paths
            .paths
            .iter()
            .flat_map(|(path, item)| {
                let methods = [("GET", &item.get), ("POST", &item.post), ("PUT", &item.put)];
                methods
                    .into_iter()
                    .filter(|(_, operation)| operation.is_some())
                    .map(|(method, _)| (method.to_owned(), path.clone()))
                    .collect::<Vec<_>>()
            })
            .collect();
        let routed: BTreeSet<(String, String)> = crate::routes::routes()
            .into_iter()
            .filter(|route| route.path.starts_with("/api/v1/"))
            .map(|route| (route.method.to_owned(), route.path.to_owned()))
            .collect();
        assert_eq!(described, routed);
    }

    #[test]
    fn the_document_has_not_changed_unnoticed() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/openapi.json");
        let text = format!("{}\n", document_text());
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &text).expect("the golden file can be written");
        }
        let golden = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            golden == text,
            "the API has changed; look at the difference and run again with UPDATE_GOLDEN=1"
        );
        assert!(text.contains("\"openapi\": \"3.1.0\""));
    }
}
