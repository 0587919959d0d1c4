//! Who may do what.

use app::{Permission, Role};
use axum::http::{Method, StatusCode, header};
use serde_json::json;
use sha2::{Digest, Sha256};
use types::Secret;

use super::{Bed, SYSTEM, request};
use crate::{api::v1::rows, auth::Need};

fn concrete(path: &str) -> String {
    path.replace("{id}", "1")
}

#[tokio::test]
async fn each_route_needs_its_permission_and_no_other() {
    let bed = Bed::new().await;
    let mut keys = Vec::new();
    for permission in Permission::ALL {
        let others: Vec<Permission> = Permission::ALL.into_iter().filter(|p| *p != permission).collect();
        keys.push((permission, bed.key_for(&[permission]).await, bed.key_for(&others).await));
    }
    for (method, path, need) in rows() {
        let place = concrete(path);
        let ask =
            |key: &str| request(key, method.clone(), &place, (method != Method::GET).then(|| json!({})));
        let Need::May(permission) = need else { continue };
        let nobody = bed.send(ask("")).await;
        assert_eq!(nobody.header("www-authenticate"), "Bearer", "{method} {path}");
        nobody.problem(StatusCode::UNAUTHORIZED);
        bed.send(ask("lk_wrong")).await.problem(StatusCode::UNAUTHORIZED);
        let (_, only, others) = keys.iter().find(|(p, ..)| *p == permission).expect("all are there");
        let refusal = bed.send(ask(others)).await.problem(StatusCode::FORBIDDEN);
        assert!(refusal.contains(permission.as_str()), "{method} {path}: {refusal}");
        let allowed = bed.begin(ask(only)).await.status();
        assert!(
            allowed != StatusCode::UNAUTHORIZED && allowed != StatusCode::FORBIDDEN,
            "{method} {path} with {}: {allowed}",
            permission.as_str()
        );
    }
}

#[tokio::test]
async fn a_viewer_can_write_nothing() {
    let bed = Bed::new().await;
    let viewer = bed.key_for(&[Permission::Read]).await;
    for (method, path, _) in rows() {
        if method != Method::GET {
            let got = bed.send(request(&viewer, method, &concrete(path), Some(json!({})))).await;
            got.problem(StatusCode::FORBIDDEN);
        }
    }
}

#[tokio::test]
async fn everybody_may_read_the_document_and_who_they_are() {
    let bed = Bed::new().await;
    let document = bed.send(request("", Method::GET, "/api/openapi.json", None)).await;
    assert_eq!((document.status, document.json()["openapi"].as_str()), (StatusCode::OK, Some("3.1.0")));
    bed.send(request("", Method::GET, "/api/v1/me", None)).await.problem(StatusCode::UNAUTHORIZED);
    let key = bed.key_for(&[Permission::Read, Permission::AuthoriseOnu]).await;
    let me = bed.send(request(&key, Method::GET, "/api/v1/me", None)).await.json();
    assert_eq!(me, json!({ "actor": "key:for a test", "permissions": ["read", "onus:authorise"] }));
}

#[tokio::test]
async fn a_browser_must_show_that_a_write_comes_from_our_pages() {
    let bed = Bed::new().await;
    let (_, password) = bed.app.create_user(&SYSTEM, "nino", Role::Admin).await.expect("a login");
    let nino = bed.app.login("nino", password.clone(), None).await.expect("signed in").actor;
    let own = Secret::new("a long sentence to test with");
    bed.app.change_password(&nino, password, own.clone()).await.expect("a password of their own");
    let token = bed.app.login("nino", own, None).await.expect("signed in").token;
    let csrf = Sha256::new().chain_update(b"lightkeeper csrf v1\0").chain_update(token.expose()).finalize();
    let csrf = hex::encode(&csrf[..16]);
    let with = |name: &'static str, value: &str| {
        let mut asked = request("", Method::POST, "/api/v1/customers", Some(json!({ "name": "Amina" })));
        let cookie = format!("lk_session={}", token.expose());
        asked.headers_mut().insert(header::COOKIE, cookie.parse().expect("a header"));
        asked.headers_mut().insert(name, value.parse().expect("a header"));
        asked
    };
    bed.send(with("x-other", "1")).await.problem(StatusCode::FORBIDDEN);
    bed.send(with("x-csrf-token", "guess")).await.problem(StatusCode::FORBIDDEN);
    assert_eq!(bed.send(with("x-csrf-token", &csrf)).await.status, StatusCode::CREATED);
    assert_eq!(bed.get("/api/v1/customers").await.json()["total"], 1);
}
