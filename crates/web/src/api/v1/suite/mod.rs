//! The API as a program sees it: the real routes, guard and application over a database of its own.

mod device_orders;
mod firmware;
mod lists;
mod orders;
mod permissions;
mod secrets;
mod ways;

use std::{future::Future, pin::Pin, sync::Arc};

use app::{
    Actor, App, AppParts, Permission,
    ports::{CallReport, ConnectionRequestOutcome, ConnectionRequestTarget, ConnectionRequester},
};
use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
    middleware::from_fn_with_state,
};
use serde_json::{Value, json};
use store::{KeySource, Store, StoreConfig};
use tempfile::TempDir;
use tower::ServiceExt;
use types::SystemClock;

use crate::{
    auth::identify,
    state::{Ctx, WebState},
};

/// Answers no call.
struct NobodyThere;

impl ConnectionRequester for NobodyThere {
    fn request<'life0, 'async_trait>(
        &'life0 self,
        _: ConnectionRequestTarget,
    ) -> Pin<Box<dyn Future<Output = CallReport> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async { ConnectionRequestOutcome::Unreachable.into() })
    }
}

pub(super) const SYSTEM: Actor = Actor::System("test");

/// A fresh installation with its API.
pub(super) struct Bed {
    pub(super) folder: TempDir,
    pub(super) app: Arc<App>,
    pub(super) ctx: Ctx,
    api: Router,
    /// A key that may everything.
    pub(super) key: String,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Got {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {:?}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// A problem with this status; gives its sentence.
    pub(super) fn problem(&self, status: StatusCode) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text);
        let body = self.json();
        assert_eq!(body["type"], "about:blank");
        assert_eq!(body["status"], status.as_u16());
        assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()), "{body}");
        let detail = body["detail"].as_str().expect("a sentence").to_owned();
        assert!(detail.ends_with('.'), "a sentence: {detail}");
        detail
    }
}

impl Bed {
    pub(super) async fn new() -> Self {
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
        let ctx = Ctx::new(WebState::new(Arc::clone(&app)));
        let api = served(super::router(), &ctx);
        let mut bed = Bed { folder, app, ctx, api, key: String::new() };
        bed.key = bed.key_for(&Permission::ALL).await;
        bed
    }

    /// A key with these scopes.
    pub(super) async fn key_for(&self, scopes: &[Permission]) -> String {
        let made = self.app.create_api_key(&SYSTEM, "for a test", scopes, None).await;
        made.expect("a key").1.expose().to_owned()
    }

    pub(super) async fn send(&self, request: Request<Body>) -> Got {
        whole(self.api.clone(), request).await
    }

    /// The answer's head only: a stream has no end.
    pub(super) async fn begin(&self, request: Request<Body>) -> axum::response::Response {
        self.api.clone().oneshot(request).await.expect("answers")
    }

    pub(super) async fn get(&self, path: &str) -> Got {
        self.send(request(&self.key, Method::GET, path, None)).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Got {
        self.send(request(&self.key, Method::POST, path, Some(body))).await
    }

    pub(super) async fn put(&self, path: &str, body: Value) -> Got {
        self.send(request(&self.key, Method::PUT, path, Some(body))).await
    }

    /// Made, or the test ends; gives its id.
    pub(super) async fn make(&self, path: &str, body: Value) -> i64 {
        let got = self.post(path, body).await;
        assert_eq!(got.status, StatusCode::CREATED, "{path}: {}", got.text);
        let id = got.json()["id"].as_i64().expect("an id");
        assert_eq!(got.header("location"), format!("{path}/{id}"));
        id
    }

    pub(super) async fn plan(&self) -> i64 {
        self.make(
            "/api/v1/plans",
            json!({ "name": "Home 100", "down_kbps": 100_000, "up_kbps": 50_000, "price_minor": 2500,
                "currency": "EUR", "internet_mode": "pppoe" }),
        )
        .await
    }

    pub(super) async fn customer(&self, name: &str) -> i64 {
        self.make("/api/v1/customers", json!({ "name": name })).await
    }

    /// An OLT on a port where nobody listens.
    pub(super) async fn olt(&self) -> i64 {
        self.make("/api/v1/olts", olt("olt-marina-1")).await
    }
}

/// Routes behind whoever asks.
pub(super) fn served(router: Router<Ctx>, ctx: &Ctx) -> Router {
    router.layer(from_fn_with_state(ctx.clone(), identify)).with_state(ctx.clone())
}

pub(super) async fn whole(api: Router, request: Request<Body>) -> Got {
    let response = api.oneshot(request).await.expect("answers");
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, 16 << 20).await.expect("a whole body");
    Got {
        status: parts.status,
        headers: parts.headers,
        text: String::from_utf8(bytes.to_vec()).expect("UTF-8"),
    }
}

pub(super) fn request(key: &str, method: Method, path: &str, body: Option<Value>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if !key.is_empty() {
        request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
    }
    match body {
        Some(body) => {
            request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()))
        }
        None => request.body(Body::empty()),
    }
    .expect("a request")
}

/// The settings of an OLT that cannot be reached.
pub(super) fn olt(name: &str) -> Value {
    json!({ "name": name, "address": "127.0.0.1", "port": 1, "protocol": "telnet", "username": "lk",
        "password": "cli-Marina-5521", "snmp_community": "snmp-Marina-8812" })
}

#[test]
fn openapi_is_what_programs_were_promised() {
    let text = serde_json::to_string_pretty(&super::openapi()).expect("json") + "\n";
    assert!(text.contains("\"openapi\": \"3.1.0\""));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/openapi.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).expect("the golden file can be written");
        return;
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        golden == text,
        "the API changed: if that is wanted, UPDATE_GOLDEN=1 writes tests/golden/openapi.json anew"
    );
}
