//! Orders that are sent twice.

use std::sync::Arc;

use app::{Permission, Role};
use axum::{
    Router,
    body::Body,
    http::{Method, Request, StatusCode},
    routing::post,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{Bed, Got, SYSTEM, request, served, whole};
use crate::api::v1::{idempotency::Order, input::Nothing, output::Reply};

fn keyed(bed: &Bed, path: &str, word: &str, body: Value) -> Request<Body> {
    let mut asked = request(&bed.key, Method::POST, path, Some(body));
    asked.headers_mut().insert("idempotency-key", word.parse().expect("a header"));
    asked
}

async fn customers(bed: &Bed) -> Value {
    bed.get("/api/v1/customers").await.json()["total"].clone()
}

#[tokio::test]
async fn the_same_request_is_carried_out_once_and_answered_the_same() {
    let bed = Bed::new().await;
    let ask = |word: &str, name: &str| keyed(&bed, "/api/v1/customers", word, json!({ "name": name }));
    let first = bed.send(ask("k-1", "Amina")).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::CREATED, ""));
    let again = bed.send(ask("k-1", "Amina")).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (StatusCode::CREATED, "true"));
    assert_eq!((again.json(), again.header("location")), (first.json(), first.header("location")));
    assert_eq!(customers(&bed).await, 1);
    bed.send(ask("k-1", "Berta")).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(customers(&bed).await, 1, "another request with that key does nothing");
    assert_eq!(bed.send(ask("k-2", "Amina")).await.status, StatusCode::CREATED);
    assert_eq!(customers(&bed).await, 2, "a new key is a new order");
    bed.send(ask("", "Amina")).await.problem(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_key_counts_for_its_caller_and_its_thing() {
    let bed = Bed::new().await;
    let mine = keyed(&bed, "/api/v1/customers", "k-1", json!({ "name": "Amina" }));
    assert_eq!(bed.send(mine).await.status, StatusCode::CREATED);
    let other = bed.key_for(&[Permission::WriteCustomers]).await;
    let mut theirs = request(&other, Method::POST, "/api/v1/customers", Some(json!({ "name": "Amina" })));
    theirs.headers_mut().insert("idempotency-key", "k-1".parse().expect("a header"));
    let theirs = bed.send(theirs).await;
    assert_eq!((theirs.status, theirs.header("idempotency-replayed")), (StatusCode::CREATED, ""));
    assert_eq!(customers(&bed).await, 2);
    let one = keyed(&bed, "/api/v1/cpes/1/hold", "k-2", json!({}));
    bed.send(one).await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_request_that_failed_may_be_made_again_with_its_key() {
    let bed = Bed::new().await;
    let ask = |name: &str| keyed(&bed, "/api/v1/customers", "k-1", json!({ "name": name }));
    bed.send(ask(" ")).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let got = bed.send(ask("Amina")).await;
    assert_eq!((got.status, got.header("idempotency-replayed")), (StatusCode::CREATED, ""));
}

/// An order that begins, and ends when it is told to.
struct Slow {
    api: Router,
    key: String,
    begun: Arc<Notify>,
    go: Arc<Notify>,
}

impl Slow {
    fn of(bed: &Bed) -> Self {
        let (begun, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (at, until) = (Arc::clone(&begun), Arc::clone(&go));
        let handler = move |order: Order<Nothing>| async move {
            order
                .once(move |_, _, _| async move {
                    at.notify_one();
                    until.notified().await;
                    Reply::ok(&json!({ "done": true }))
                })
                .await
        };
        Slow {
            api: served(Router::new().route("/api/slow", post(handler)), &bed.ctx),
            key: bed.key.clone(),
            begun,
            go,
        }
    }

    async fn ask(api: Router, key: String) -> Got {
        let mut asked = request(&key, Method::POST, "/api/slow", None);
        asked.headers_mut().insert("idempotency-key", "k-1".parse().expect("a header"));
        whole(api, asked).await
    }

    fn first(&self) -> tokio::task::JoinHandle<Got> {
        tokio::spawn(Self::ask(self.api.clone(), self.key.clone()))
    }

    async fn again(&self) -> Got {
        Self::ask(self.api.clone(), self.key.clone()).await
    }
}

#[tokio::test]
async fn while_an_order_is_under_way_the_same_one_waits() {
    let bed = Bed::new().await;
    let slow = Slow::of(&bed);
    let first = slow.first();
    slow.begun.notified().await;
    let early = slow.again().await;
    early.problem(StatusCode::CONFLICT);
    assert!(!early.header("retry-after").is_empty());
    slow.go.notify_one();
    let first = first.await.expect("answers");
    assert_eq!((first.status, first.header("idempotency-replayed")), (StatusCode::OK, ""));
    let again = slow.again().await;
    assert_eq!((again.json(), again.header("idempotency-replayed")), (first.json(), "true"));
}

#[tokio::test]
async fn an_order_runs_to_its_end_when_the_caller_hangs_up() {
    let bed = Bed::new().await;
    let slow = Slow::of(&bed);
    let first = slow.first();
    slow.begun.notified().await;
    first.abort();
    assert!(first.await.is_err(), "the caller is gone");
    slow.go.notify_one();
    let answered = async {
        loop {
            let got = slow.again().await;
            if got.status != StatusCode::CONFLICT {
                return got;
            }
            tokio::task::yield_now().await;
        }
    };
    let got = tokio::time::timeout(std::time::Duration::from_secs(120), answered).await.expect("it ends");
    assert_eq!((got.status, got.header("idempotency-replayed")), (StatusCode::OK, "true"));
}

#[tokio::test]
async fn what_is_shown_once_is_not_kept_for_a_replay() {
    let bed = Bed::new().await;
    let body = json!({ "name": "billing", "scopes": ["read"] });
    let first = bed.send(keyed(&bed, "/api/v1/api-keys", "k-1", body.clone())).await;
    assert_eq!(first.status, StatusCode::CREATED, "{}", first.text);
    let key = first.json()["key"].as_str().expect("shown once").to_owned();
    assert_eq!(bed.send(request(&key, Method::GET, "/api/v1/olts", None)).await.status, StatusCode::OK);
    let again = bed.send(keyed(&bed, "/api/v1/api-keys", "k-1", body)).await;
    assert_eq!((again.status, &again.json()["key"]), (StatusCode::CREATED, &Value::Null));
    assert_eq!(again.json()["api_key"], first.json()["api_key"]);

    let body = json!({ "name": "lena", "role": "viewer" });
    let first = bed.send(keyed(&bed, "/api/v1/users", "k-1", body.clone())).await;
    let password = first.json()["password"].as_str().expect("shown once").to_owned();
    let again = bed.send(keyed(&bed, "/api/v1/users", "k-1", body)).await;
    assert_eq!((again.status, &again.json()["password"]), (StatusCode::CREATED, &Value::Null));

    let mut files = 0;
    for file in std::fs::read_dir(bed.folder.path()).expect("the folder") {
        let bytes = std::fs::read(file.expect("a file").path()).expect("readable");
        for secret in [&key, &password] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret lies open in the database");
        }
        files += 1;
    }
    assert!(files >= 2, "the database and its key are there");

    bed.app.create_user(&SYSTEM, "nino", Role::Admin).await.expect("somebody who stays administrator");
    let id = first.json()["user"]["id"].clone();
    let changed = bed.put(&format!("/api/v1/users/{id}"), json!({ "role": "noc", "active": false })).await;
    assert_eq!((&changed.json()["role"], &changed.json()["active"]), (&json!("noc"), &json!(false)));
    let id = billing(&bed).await;
    let revoked = bed.send(request(&bed.key, Method::DELETE, &format!("/api/v1/api-keys/{id}"), None)).await;
    assert_eq!(revoked.status, StatusCode::NO_CONTENT);
    bed.send(request(&key, Method::GET, "/api/v1/olts", None)).await.problem(StatusCode::UNAUTHORIZED);
}

/// The key named `billing`.
async fn billing(bed: &Bed) -> i64 {
    let list = bed.get("/api/v1/api-keys").await.json();
    let item = list["items"].as_array().expect("items").iter().find(|item| item["name"] == "billing");
    item.and_then(|item| item["id"].as_i64()).expect("it is there")
}
