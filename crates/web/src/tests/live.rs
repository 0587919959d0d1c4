//! Live updates as a browser hears them.

use std::time::Duration;

use app::Change;
use axum::http::StatusCode;
use types::{CpeId, OnuRowId};

use super::bed::{Bed, between};

#[tokio::test]
async fn a_page_hears_what_changed_since_it_was_drawn() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, cpe, _) = bed.seeded().await;
    let page = admin.get(&bed, &format!("/services/{service}")).await.text;
    let href = between(&page, "sse-connect=\"", "\"").replace("&#38;", "&");
    assert!(href.starts_with("/events?since=") && href.contains(&format!("cpe-{cpe}")), "{href}");
    // Between drawing and connecting: must not be lost.
    bed.app.bus().say(Change::Cpe(cpe));
    bed.app.bus().say(Change::Onu(OnuRowId(99)));
    let heard = tokio::time::timeout(Duration::from_secs(20), admin.hear(&bed, &href, "event: cpe-"));
    let heard = heard.await.expect("the stream says it");
    assert!(heard.contains(&format!("event: cpe-{cpe}\n")), "{heard}");
    assert!(
        heard.contains("data: 1\n") && heard.contains("id: "),
        "a browser drops events without data: {heard}"
    );
    assert!(!heard.contains("onu-99"), "nobody watches that one: {heard}");
}

#[tokio::test]
async fn a_page_from_before_a_restart_is_told_to_read_again() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let href = "/events?since=123456&watch=cpe-1";
    let heard = tokio::time::timeout(Duration::from_secs(20), admin.hear(&bed, href, "event: sync"));
    assert!(heard.await.expect("the stream says it").contains("data: 1\n"));
    bed.app.bus().say(Change::Cpe(CpeId(1)));
    let stranger = super::bed::Browser::default().get(&bed, href).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
}
