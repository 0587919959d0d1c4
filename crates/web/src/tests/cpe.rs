//! The page of one CPE, and the list of its parameters.

use app::Role;
use store::{StoreError, rows};
use types::UtcMs;

use super::bed::{Bed, NOW, between};

#[tokio::test]
async fn every_closed_gate_every_layer_and_what_a_session_did_are_on_the_page() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (service, cpe, _) = bed.seeded().await;
    let session = rows::CpeSession {
        cpe_id: cpe,
        began_at: NOW,
        ended_at: Some(NOW.plus_s(2)),
        events: "2 PERIODIC".into(),
        requests: 3,
        outcome: Some("clean".into()),
        detail: serde_json::json!([
            "GetParameterValues",
            "GetParameterValues",
            "SetParameterValues \u{2192} fault 9007"
        ]),
        ..rows::CpeSession::default()
    };
    let fresh = serde_json::to_value(provisioning::Device::new(NOW)).expect("json");
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let (session, fresh) = (session.clone(), fresh.clone());
            Box::pin(async move {
                tx.insert(&session).await?;
                let mut row: rows::Cpe = tx.require(cpe).await?;
                row.machine = fresh;
                row.service_id = Some(service);
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        })
        .await
        .expect("written");
    let page = admin.get(&bed, &format!("/cpes/{cpe}")).await.text;
    let gates = between(&page, "id=\"cp-gates\"", "</details>");
    for closed in ["Its clock is right", "It is who it says", "Its family is known"] {
        let said = between(gates, closed, "</li>");
        assert!(said.contains(": closed") && said.contains("dim small"), "{closed}: {gates}");
    }
    assert!(between(gates, "Nobody holds it", "</li>").contains(": open"), "{gates}");
    for layer in ["core", "internet", "access"] {
        assert!(page.contains(&format!("id=\"cp-l-{layer}\"")), "{layer} is on the strip");
    }
    assert!(page.contains("read values twice, wrote settings: refused, 9007"), "what the session did");
}

#[tokio::test]
async fn parameters_are_sorted_and_the_file_is_what_is_shown() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, cpe, _) = bed.seeded().await;
    let parameter = |path: &str, value: &str, at: UtcMs| rows::CpeParameter {
        cpe_id: cpe,
        path: path.into(),
        value: value.into(),
        kind: "string".into(),
        writable: None,
        read_at: at,
    };
    let rows = [parameter("Device.A", "zulu", NOW), parameter("Device.B", "alpha", UtcMs(NOW.0 - 5_000))];
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            let rows = rows.clone();
            Box::pin(async move { store::cpes::put_parameters(tx, cpe, &rows).await })
        })
        .await
        .expect("written");
    let order = |page: &str| page.find("zulu").expect("there") < page.find("alpha").expect("there");
    for (sort, zulu_first) in
        [("", true), ("path", true), ("-path", false), ("value", false), ("read", false)]
    {
        let page = admin.get(&bed, &format!("/cpes/{cpe}/parameters?q=Device.&sort={sort}")).await.text;
        assert_eq!(order(&page), zulu_first, "{sort}");
    }
    let page = admin.get(&bed, &format!("/cpes/{cpe}?q=alpha&sort=-value")).await.text;
    let href = between(between(&page, "id=\"pm-csv\"", ">"), "href=\"", "\"").replace("&#38;", "&");
    assert_eq!(href, format!("/cpes/{cpe}/parameters.csv?q=alpha&sort=-value"));
    let file = admin.get(&bed, &href).await.text;
    assert!(file.contains("Device.B") && !file.contains("Device.A"), "{file}");
}

#[tokio::test]
async fn who_may_not_authorise_is_led_to_where_an_onu_waits() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    bed.seeded().await;
    let hit = |page: &str| page.contains("href=\"/authorise?detected=");
    assert!(hit(&admin.get(&bed, "/search?q=9A41B2C7").await.text));
    let mut viewer = bed.person(Role::Viewer).await;
    let page = viewer.get(&bed, "/search?q=9A41B2C7").await.text;
    assert!(!hit(&page) && page.contains("href=\"/detected?q="), "{page}");
    let href = format!("/detected?q={}", between(&page, "href=\"/detected?q=", "\""));
    assert!(viewer.get(&bed, &href).await.text.contains("HWTC-9A41B2C7"), "and sees it there");
}
