//! "Why can't I reach it?": what is known is shown to whoever may see, and checked by whoever may operate.

use app::Role;
use axum::http::{StatusCode, header};
use store::{StoreError, rows};
use types::{CpeId, UtcMs};

use super::bed::{Bed, NOW, between};

/// A router that may be called, whose last call came to this.
async fn router(bed: &Bed, outcome: &str, seen: serde_json::Value) -> CpeId {
    let (_, cpe, _) = bed.seeded().await;
    let policy = app::AcsPolicy {
        management_networks: vec!["10.20.0.0/16".parse().expect("a network")],
        ..app::AcsPolicy::default()
    };
    let admin = app::Actor::System("test");
    bed.app.set_acs_policy(&admin, policy, None).await.expect("acceptable");
    let call = rows::ConnectionRequest {
        cpe_id: cpe,
        at: UtcMs(NOW.0 - 60_000),
        outcome: outcome.into(),
        detail: "What was said of it.".into(),
        seen,
        ..rows::ConnectionRequest::default()
    };
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let call = call.clone();
            Box::pin(async move {
                tx.insert(&call).await?;
                let mut row: rows::Cpe = tx.require(cpe).await?;
                row.connection_request_url = Some("http://10.20.3.9:7547/tr069".into());
                let mut machine = serde_json::to_value(provisioning::Device::new(NOW)).unwrap_or_default();
                row.state = "INFORMED".into();
                machine["state"] = "INFORMED".into();
                machine["connection"] =
                    serde_json::json!({ "url": "http://10.20.3.9:7547/tr069", "peer": "10.20.3.9" });
                row.machine = machine.into();
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        })
        .await
        .expect("written");
    cpe
}

/// The verdicts as the page has them.
fn verdicts(page: &str) -> Vec<&str> {
    page.split("data-verdict=\"").skip(1).map(|rest| between(rest, "", "\"")).collect()
}

#[tokio::test]
async fn each_step_is_shown_with_its_verdict_what_it_rests_on_and_what_to_do() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let seen = serde_json::json!({ "to": "10.20.3.9:7547", "tcp": "refused" });
    let cpe = router(&bed, "unreachable", seen).await;
    let side = admin.get(&bed, &format!("/cpes/{cpe}")).await.text;
    let side = between(&side, "Our call to the router", "</section>");
    assert!(
        side.contains("id=\"a-reach\"") && side.contains(&format!("href=\"/cpes/{cpe}/reach\"")),
        "{side}"
    );

    let page = admin.get(&bed, &format!("/cpes/{cpe}/reach")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(verdicts(&page.text), ["good", "good", "bad", "not_tried", "not_tried"]);
    let tcp = between(&page.text, "data-step=\"tcp\"", "</li>");
    for part in
        ["refused the TCP connection", "the way there works", "last call: What was said of it, 14:29:00"]
    {
        assert!(tcp.contains(part), "{part}: {tcp}");
    }
    let cause = between(&page.text, "class=\"lk-cause\"", "</section>");
    assert!(cause.contains("data-s=\"bad\"") && cause.contains("10.20.3.9:7547 refused"), "{cause}");
    // It is drawn anew when something of the router changes.
    assert!(page.text.contains(&format!("sse:cpe-{cpe}\"")), "it lives");
    let live = admin.get(&bed, &format!("/cpes/{cpe}/reach/live")).await;
    assert!(
        live.text.contains("hx-swap-oob") && verdicts(&live.text) == verdicts(&page.text),
        "{}",
        live.text
    );
}

#[tokio::test]
async fn it_is_checked_by_whoever_may_operate_and_seen_by_everybody() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let cpe = router(&bed, "accepted", serde_json::Value::Null).await;
    let place = format!("/cpes/{cpe}/reach");
    let page = admin.get(&bed, &place).await.text;
    assert!(page.contains("id=\"re-check\""), "{page}");
    let checked = admin.post(&bed, &place, &[]).await;
    assert_eq!((checked.status, checked.header(header::LOCATION)), (StatusCode::SEE_OTHER, place.as_str()));
    let page = admin.get(&bed, &place).await.text;
    assert!(page.contains("The device gets one call"), "{page}");
    assert_eq!(verdicts(&page), ["good", "good", "not_known", "not_known", "not_known"]);
    assert!(between(&page, "data-step=\"tcp\"", "</li>").contains("Waiting"), "{page}");
    // Again: it is being called, and not a second time.
    admin.post(&bed, &place, &[]).await;
    let open = store::jobs::open_count(bed.app.store(), "connection_request", 9).await.expect("readable");
    assert_eq!(open, 1, "one call");
    let mut viewer = bed.person(Role::Viewer).await;
    let seen = viewer.get(&bed, &place).await;
    assert!(seen.status == StatusCode::OK && !seen.text.contains("id=\"re-check\""));
    assert_eq!(viewer.post(&bed, &place, &[]).await.status, StatusCode::FORBIDDEN);
    let side = viewer.get(&bed, &format!("/cpes/{cpe}")).await.text;
    assert!(!side.contains("id=\"a-reach\"") && side.contains("id=\"cp-reach-known\""));
    assert_eq!(admin.get(&bed, "/cpes/99/reach").await.status, StatusCode::NOT_FOUND);
}
