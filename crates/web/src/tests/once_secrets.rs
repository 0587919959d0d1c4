//! Secrets of a service that were generated: on the page that follows, once, and nowhere else.

use app::Role;
use axum::http::{StatusCode, header};

use super::bed::{Bed, between};

const KEY: &str = "00112233445566778899aabbccddeeff";

fn shown<'t>(page: &'t str, id: &str) -> &'t str {
    between(page, &format!("id=\"{id}\">"), "<")
}

#[tokio::test]
async fn passwords_of_a_new_service_are_shown_on_the_page_that_follows_and_never_again() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    bed.seeded().await;
    let fields = [("customer_id", "1"), ("plan_id", "1"), ("_once", KEY)];
    let made = admin.post(&bed, "/services", &fields).await;
    assert_eq!(
        (made.status, made.header(header::CACHE_CONTROL)),
        (StatusCode::OK, "no-store"),
        "{}",
        made.text
    );
    let (password, passphrase) = (shown(&made.text, "once-pppoe"), shown(&made.text, "once-wifi"));
    assert!(password.len() >= 12 && passphrase.len() >= 12, "{}", made.text);
    assert!(made.text.contains("s10002") && made.text.contains("Home-S-10002"), "{}", made.text);
    let again = admin.post(&bed, "/services", &fields).await;
    assert_eq!((again.status, again.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/services/2"));
    for path in ["/services/2", "/services/2/live", "/services", "/audit", "/audit.csv"] {
        let page = admin.get(&bed, path).await.text;
        assert!(!page.contains(password) && !page.contains(passphrase), "{path} shows a secret");
    }
    // Typed ones are known: straight on to the service.
    let typed = [
        ("customer_id", "1"),
        ("plan_id", "1"),
        ("pppoe_password", "typed-Heron-1"),
        ("ssid", "Own"),
        ("passphrase", "typed-Heron-2"),
    ];
    let made = admin.post(&bed, "/services", &typed).await;
    assert_eq!((made.status, made.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/services/3"));
}

#[tokio::test]
async fn a_new_one_is_made_by_who_may_and_shown_once() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, ..) = bed.seeded().await;
    let place = format!("/services/{service}");
    assert!(admin.get(&bed, &place).await.text.contains("New passwords…"));
    for (path, id) in [("pppoe-password", "once-pppoe"), ("wifi-passphrase", "once-wifi")] {
        let path = format!("{place}/{path}");
        let made = admin.post(&bed, &path, &[("_once", KEY)]).await;
        assert_eq!((made.status, made.header(header::CACHE_CONTROL)), (StatusCode::OK, "no-store"));
        assert!(shown(&made.text, id).len() >= 12, "{}", made.text);
        let again = admin.post(&bed, &path, &[("_once", KEY)]).await;
        assert_eq!((again.status, again.header(header::LOCATION)), (StatusCode::SEE_OTHER, place.as_str()));
        let page = admin.get(&bed, &place).await.text;
        assert!(page.contains("Done already") && !page.contains(shown(&made.text, id)), "{page}");
    }
    let mut technician = bed.person(Role::Technician).await;
    assert!(!technician.get(&bed, &place).await.text.contains("New passwords…"));
    let refused = technician.post(&bed, &format!("{place}/pppoe-password"), &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
}
