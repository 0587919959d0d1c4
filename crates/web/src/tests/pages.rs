//! Every page answers, and the list of them is what the browser tests go by.

use axum::http::StatusCode;
use store::{StoreError, tasks};

use super::bed::{Bed, NOW};
use crate::routes::routes;

/// A route with something in its place holders, as the bed has it.
fn concrete(path: &str) -> String {
    match path {
        "/authorise" | "/authorise/dry-run" => format!("{path}?detected=1&for=none"),
        path => path.replace("{*path}", "lightkeeper.css").replace("{id}", "1"),
    }
}

/// Whole documents only: parts of pages, files and the stream of events are fetched by pages and have no look of
/// their own.
fn is_page(text: &str) -> bool {
    text.trim_start().get(..15).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype html>"))
}

/// `tests/e2e` walks the pages named in `pages.json`, and fails for one that it has no way to.
#[tokio::test]
async fn every_page_answers_and_is_known_to_the_browser_tests() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, _, olt) = bed.seeded().await;
    let task = tasks::NewTask {
        kind: "authorise_onu".into(),
        olt_id: olt,
        service_id: Some(service),
        serial: "HWTC-9A41B2C7".parse().expect("a serial"),
        pon: "0/1/6".parse().expect("a PON"),
        plan: serde_json::json!({}),
        actor: "test".into(),
        idempotency_key: None,
    };
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { tasks::begin(tx, task, NOW).await }))
        .await
        .expect("a task");

    let mut pages = Vec::new();
    for route in routes() {
        if route.method != "GET" || route.path == "/events" {
            continue;
        }
        let path = concrete(route.path);
        let answer = admin.get(&bed, &path).await;
        let fine = answer.status.is_success() || answer.status.is_redirection();
        assert!(fine, "{path}: {} {}", answer.status, answer.text);
        // Whoever is signed in is led on from the login page; others see it.
        if is_page(&answer.text) || route.path == "/login" {
            pages.push(route.path);
        }
    }
    pages.sort_unstable();
    let text = format!("{}\n", serde_json::to_string_pretty(&pages).expect("json"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pages.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        golden, text,
        "run with UPDATE_GOLDEN=1, then give the new page a way in tests/e2e/lib/pages.mjs"
    );

    for missing in
        ["/onus/99", "/services/99", "/cpes/99", "/olts/99", "/tasks/99", "/customers/99", "/nowhere"]
    {
        assert_eq!(admin.get(&bed, missing).await.status, StatusCode::NOT_FOUND, "{missing}");
    }
}
