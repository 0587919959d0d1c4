//! The API as it is served beside the pages.

use std::sync::Arc;

use app::{
    Actor, App, AppParts, Permission,
    ports::{CallReport, ConnectionRequestOutcome, ConnectionRequestTarget, ConnectionRequester},
};
use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use serde_json::{Value, json};
use store::{KeySource, Store, StoreConfig};
use tempfile::TempDir;
use tower::ServiceExt;
use types::SystemClock;
use web::WebState;

struct NobodyThere;

#[async_trait::async_trait]
impl ConnectionRequester for NobodyThere {
    async fn request(&self, _: ConnectionRequestTarget) -> CallReport {
        ConnectionRequestOutcome::Unreachable.into()
    }
}

struct Served {
    _folder: TempDir,
    router: Router,
    key: String,
}

async fn served() -> Served {
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
    let key = app.create_api_key(&Actor::System("test"), "for a test", &Permission::ALL, None).await;
    let key = key.expect("a key").1.expose().to_owned();
    Served { _folder: folder, router: web::router(WebState::new(app)), key }
}

impl Served {
    async fn ask(&self, method: Method, path: &str, key: &str, body: &str) -> (StatusCode, String, Value) {
        let mut request =
            Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        if !key.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("answers");
        let status = response.status();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        let bytes = axum::body::to_bytes(response.into_body(), 4 << 20).await.expect("a body");
        let value = serde_json::from_slice(&bytes);
        (
            status,
            kind,
            value.unwrap_or_else(|_| panic!("{path} is no JSON: {}", String::from_utf8_lossy(&bytes))),
        )
    }
}

#[tokio::test]
async fn openapi_is_served_as_promised() {
    let served = served().await;
    let (status, kind, document) = served.ask(Method::GET, "/api/openapi.json", "", "").await;
    assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/json"));
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/openapi.json");
    let golden = std::fs::read_to_string(golden).expect("the golden file");
    assert_eq!(document, serde_json::from_str::<Value>(&golden).expect("JSON"));
}

#[tokio::test]
async fn whatever_goes_wrong_is_a_problem_in_words() {
    let served = served().await;
    let key = served.key.as_str();
    for (method, path, key, status) in [
        (Method::GET, "/api/v1/olts", "", StatusCode::UNAUTHORIZED),
        (Method::GET, "/api/v1/olts", "lk_wrong", StatusCode::UNAUTHORIZED),
        (Method::GET, "/api/v1/olts/99", key, StatusCode::NOT_FOUND),
        (Method::GET, "/api/v1/weather", key, StatusCode::NOT_FOUND),
        (Method::GET, "/api/v2/olts", key, StatusCode::NOT_FOUND),
        (Method::PATCH, "/api/v1/olts", key, StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/api/v1/olts?colour=red", key, StatusCode::BAD_REQUEST),
        (Method::POST, "/api/v1/olts", key, StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let (found, kind, body) = served.ask(method.clone(), path, key, "{}").await;
        assert_eq!((found, kind.as_str()), (status, "application/problem+json"), "{method} {path}: {body}");
        assert_eq!(body["status"], status.as_u16());
        assert!(body["detail"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}: {body}");
    }
}

#[tokio::test]
async fn a_key_works_without_a_page() {
    let served = served().await;
    let body = json!({ "name": "Amina" }).to_string();
    let (status, _, made) = served.ask(Method::POST, "/api/v1/customers", &served.key, &body).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let (_, _, list) = served.ask(Method::GET, "/api/v1/customers", &served.key, "").await;
    assert_eq!((&list["total"], &list["items"][0]), (&json!(1), &made));
}
