//! Who may do what: the table, and the guard as a browser meets it.

use std::collections::BTreeSet;

use app::Role;
use axum::http::StatusCode;

use super::bed::{Bed, Browser};
use crate::{auth::Need, routes::routes};

#[test]
fn the_table_names_each_route_once_and_opens_no_write() {
    let mut seen = BTreeSet::new();
    for route in routes() {
        assert!(seen.insert((route.method, route.path)), "{} {} is there twice", route.method, route.path);
        let writes = route.method != "GET";
        match route.need {
            Need::Public => assert!(
                !writes || route.path == "/login",
                "{} {} is open to everybody",
                route.method,
                route.path
            ),
            Need::SignedIn => {
                assert!(["/logout", "/password"].contains(&route.path), "{} names no permission", route.path);
            }
            Need::May(permission) => assert!(
                !writes || !permission.granted_to(Role::Viewer),
                "a viewer could {} {}",
                route.method,
                route.path
            ),
        }
    }
    assert!(seen.len() > 70);
}

/// A path of the table with something in its place holders.
fn concrete(path: &str) -> String {
    path.replace("{*path}", "lightkeeper.css").replace("{id}", "1")
}

#[tokio::test]
async fn without_signing_in_nothing_is_shown_and_nothing_is_done() {
    let bed = Bed::new().await;
    bed.seeded().await;
    for route in routes() {
        if route.need == Need::Public {
            continue;
        }
        let path = concrete(route.path);
        let mut stranger = Browser::default();
        let answer = match route.method {
            "GET" => stranger.get(&bed, &path).await,
            _ => stranger.post(&bed, &path, &[]).await,
        };
        let refused = answer.status == StatusCode::UNAUTHORIZED
            || (answer.status == StatusCode::SEE_OTHER
                && answer.header(http::header::LOCATION).starts_with("/login"));
        assert!(refused, "{} {path}: {}", route.method, answer.status);
        assert!(!answer.text.contains("alert"), "{path} showed something");
    }
}

#[tokio::test]
async fn every_role_meets_the_guard_where_the_table_says() {
    let bed = Bed::new().await;
    bed.admin().await;
    for role in [Role::Viewer, Role::Technician, Role::Support] {
        let mut person = bed.person(role).await;
        for route in routes() {
            let Need::May(permission) = route.need else { continue };
            if permission.granted_to(role) {
                continue;
            }
            let path = concrete(route.path);
            let answer = match route.method {
                "GET" => person.get(&bed, &path).await,
                _ => person.post(&bed, &path, &[]).await,
            };
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{role} {} {path}", route.method);
            assert!(answer.text.contains(permission.as_str()), "the refusal names the permission");
        }
    }
}
