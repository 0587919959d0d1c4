//! Signing in, staying signed in, and requests that are not ours.

use app::{Actor, Permission, Role};
use axum::http::{Method, StatusCode, header};

use super::bed::{Answer, Bed, Browser, PASSWORD, between};
use crate::{api::v1::rows, auth::Need};

/// The sentence of a refusal of the API.
fn problem(answer: &Answer, status: StatusCode) -> String {
    assert_eq!(answer.status, status, "{}", answer.text);
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/problem+json", "{}", answer.text);
    let body: serde_json::Value = serde_json::from_str(&answer.text).expect("JSON");
    body["detail"].as_str().expect("a sentence").to_owned()
}

#[tokio::test]
async fn a_generated_password_only_opens_the_door_to_choosing_ones_own() {
    let bed = Bed::new().await;
    let mut browser = Browser::default();
    let page = browser.get(&bed, "/login").await;
    assert!(page.text.contains("First start"), "{}", page.text);
    let made = bed.app.create_user(&Actor::System("test"), "nino", Role::Noc).await;
    let (_, first) = made.expect("a login");
    let old = first.expose().to_owned();
    let entered = browser.post(&bed, "/login", &[("name", "nino"), ("password", &old)]).await;
    assert_eq!((entered.status, entered.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/password"));
    let elsewhere = browser.get(&bed, "/onus").await;
    assert_eq!(elsewhere.header(header::LOCATION), "/password", "nothing else before that");
    let form = browser.get(&bed, "/password").await;
    browser.csrf = between(&form.text, "name=\"_csrf\" value=\"", "\"").to_owned();
    let differ = browser.post(&bed, "/password", &[("old", &old), ("new", PASSWORD), ("repeat", "x")]).await;
    assert_eq!(differ.status, StatusCode::UNPROCESSABLE_ENTITY);
    let short =
        browser.post(&bed, "/password", &[("old", &old), ("new", "short"), ("repeat", "short")]).await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    let done =
        browser.post(&bed, "/password", &[("old", &old), ("new", PASSWORD), ("repeat", PASSWORD)]).await;
    assert_eq!((done.status, done.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/"));
    let home = browser.get(&bed, "/").await;
    assert!(home.status.is_success() && home.text.contains("Password changed"), "the message is shown");
    assert!(!browser.get(&bed, "/").await.text.contains("Password changed"), "once");
}

#[tokio::test]
async fn a_generated_password_opens_nothing_of_the_api_either() {
    let bed = Bed::new().await;
    bed.seeded().await;
    let made = bed.app.create_user(&Actor::System("test"), "nino", Role::Admin).await;
    let old = made.expect("a login").1.expose().to_owned();
    let mut browser = Browser::default();
    browser.post(&bed, "/login", &[("name", "nino"), ("password", &old)]).await;
    let form = browser.get(&bed, "/password").await;
    browser.csrf = between(&form.text, "name=\"_csrf\" value=\"", "\"").to_owned();
    let token = browser.csrf.clone();
    for (method, path, need) in rows() {
        let path = path.replace("{id}", "1");
        let answer =
            browser.api(&bed, method.clone(), &path, "{}", |r| r.header("x-csrf-token", &token)).await;
        if need == Need::Public {
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            continue;
        }
        let detail = problem(&answer, StatusCode::FORBIDDEN);
        assert!(detail.contains("Choose your own at /password first"), "{method} {path}: {detail}");
    }
    let key = bed.app.create_api_key(&Actor::System("test"), "for a test", &Permission::ALL, None).await;
    let key = format!("Bearer {}", key.expect("a key").1.expose());
    let by_key = |r: http::request::Builder| r.header(header::AUTHORIZATION, &key);
    let answer = browser.api(&bed, Method::GET, "/api/v1/customers", "", by_key).await;
    assert_eq!(answer.status, StatusCode::OK, "a key is not a sign-in: {}", answer.text);
    let fields = [("old", old.as_str()), ("new", PASSWORD), ("repeat", PASSWORD)];
    browser.post(&bed, "/password", &fields).await;
    let answer = browser.api(&bed, Method::GET, "/api/v1/customers", "", |r| r).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
}

#[tokio::test]
async fn another_site_cannot_make_the_browser_call_the_api() {
    let bed = Bed::new().await;
    let admin = bed.admin().await;
    let (token, body) = (admin.csrf.clone(), r#"{"name":"Mallory"}"#);
    for (method, path, _) in rows().into_iter().filter(|(method, ..)| *method != Method::GET) {
        let path = path.replace("{id}", "1");
        let bare = admin.api(&bed, method.clone(), &path, "{}", |r| r).await;
        let detail = problem(&bare, StatusCode::FORBIDDEN);
        assert!(
            detail.contains("token") && detail.contains("Nothing was changed"),
            "{method} {path}: {detail}"
        );
    }
    let with_token = |r: http::request::Builder| r.header("x-csrf-token", &token);
    let wrong =
        admin.api(&bed, Method::POST, "/api/v1/customers", body, |r| r.header("x-csrf-token", "0")).await;
    let elsewhere = admin
        .api(&bed, Method::POST, "/api/v1/customers", body, |r| {
            with_token(r).header(header::ORIGIN, "https://evil.example")
        })
        .await;
    let cross = admin
        .api(&bed, Method::POST, "/api/v1/customers", body, |r| {
            with_token(r).header("sec-fetch-site", "cross-site")
        })
        .await;
    for answer in [&wrong, &elsewhere, &cross] {
        problem(answer, StatusCode::FORBIDDEN);
    }
    let customers = admin.api(&bed, Method::GET, "/api/v1/customers", "", |r| r).await;
    assert!(!customers.text.contains("Mallory"), "{}", customers.text);
    let ours = admin.api(&bed, Method::POST, "/api/v1/customers", body, with_token).await;
    assert!(ours.status.is_success(), "our own page may: {}", ours.text);
}

#[tokio::test]
async fn a_wrong_password_says_nothing_and_soon_has_to_wait() {
    let bed = Bed::new().await;
    let mut statuses = Vec::new();
    for _ in 0..8 {
        let mut browser = Browser::default();
        let answer = browser.post(&bed, "/login", &[("name", "admin"), ("password", "wrong")]).await;
        assert!(browser.cookies.is_empty() && !answer.text.contains("wrong\""), "{}", answer.text);
        statuses.push(answer.status);
    }
    assert_eq!(statuses.first(), Some(&StatusCode::UNAUTHORIZED));
    assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS));
}

#[tokio::test]
async fn signing_out_ends_the_session_on_the_server() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let stolen = Browser { cookies: admin.cookies.clone(), csrf: admin.csrf.clone() };
    assert_eq!(admin.post(&bed, "/logout", &[]).await.header(header::LOCATION), "/login");
    let mut thief = stolen;
    assert_eq!(thief.get(&bed, "/onus").await.header(header::LOCATION), "/login?next=%2Fonus");
    let fragment = thief.get(&bed, "/overview/live").await;
    assert_eq!(fragment.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn another_site_cannot_make_the_browser_write() {
    let bed = Bed::new().await;
    let admin = bed.admin().await;
    let body = format!("name=Mallory&_csrf={}", admin.csrf);
    let no_token = admin
        .forged(&bed, "/customers", "name=Mallory", |r| r.header(header::ORIGIN, "http://lk.example"))
        .await;
    let bad_token = admin.forged(&bed, "/customers", "name=Mallory&_csrf=0", |r| r).await;
    let elsewhere =
        admin.forged(&bed, "/customers", &body, |r| r.header(header::ORIGIN, "https://evil.example")).await;
    let cross = admin.forged(&bed, "/customers", &body, |r| r.header("sec-fetch-site", "cross-site")).await;
    let as_text = admin.forged(&bed, "/customers", &body, |r| r).await;
    for (name, answer) in
        [("no token", &no_token), ("bad token", &bad_token), ("origin", &elsewhere), ("site", &cross)]
    {
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{name}: {}", answer.text);
    }
    assert_eq!(
        as_text.status,
        StatusCode::SEE_OTHER,
        "the same with the token and without a foreign origin is ours"
    );
    let login = Browser::default()
        .forged(&bed, "/login", "name=admin&password=x", |r| r.header(header::ORIGIN, "https://evil.example"))
        .await;
    assert_eq!(login.status, StatusCode::FORBIDDEN, "nobody is signed in by another site");
}

#[tokio::test]
async fn every_answer_carries_the_policy_and_the_cookie_is_out_of_reach() {
    let bed = Bed::new().await;
    let mut browser = Browser::default();
    let answer = browser.post(&bed, "/login", &[("name", "admin"), ("password", bed.first_password())]).await;
    let cookie = answer.header(header::SET_COOKIE);
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    for path in ["/login", "/", "/assets/lightkeeper.js", "/nowhere", "/api/v1/olts", "/api/openapi.json"] {
        let answer = browser.get(&bed, path).await;
        let policy = answer.header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.contains("script-src 'self';") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff", "{path}");
        assert_eq!(answer.header(header::X_FRAME_OPTIONS), "DENY", "{path}");
    }
    let style = browser.get(&bed, "/assets/lightkeeper.css").await;
    assert!(style.header(header::CONTENT_TYPE).starts_with("text/css"));
    assert!(browser.get(&bed, "/assets/../Cargo.toml").await.status.is_client_error());
}

#[tokio::test]
async fn no_page_asks_for_anything_from_elsewhere() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    for path in ["/login", "/", "/onus", "/settings/policy", "/olts/new"] {
        let text = admin.get(&bed, path).await.text;
        for attribute in ["src=\"", "href=\"", "action=\"", "hx-get=\"", "sse-connect=\""] {
            for part in text.split(attribute).skip(1) {
                let target = part.split('"').next().unwrap_or_default();
                let ours = target.starts_with('/') || target.starts_with('#') || target.starts_with("tel:");
                assert!(ours && !target.starts_with("//"), "{path}: {attribute}{target}");
            }
        }
        assert!(
            !text.contains(" style=") && !text.contains("<script>") && !text.contains(" onclick"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_secret_typed_into_a_form_never_comes_back() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let fields = [
        ("name", ""),
        ("address", "10.0.0.1"),
        ("protocol", "ssh"),
        ("port", "22"),
        ("username", "root"),
        ("password", "hunter2-secret"),
        ("snmp_community", "hunter2-community"),
        ("snmp_port", "161"),
    ];
    let answer = admin.post(&bed, "/olts", &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        answer.text.contains("10.0.0.1") && answer.text.contains("Nothing was saved"),
        "what was typed stays"
    );
    assert!(!answer.text.contains("hunter2"), "secrets do not");
}
