//! Models: what is known of them is said in words, and a family can be set for a firmware and taken back.

use app::Role;
use axum::http::{Method, StatusCode};
use profiles::cpe::Known;
use provisioning::{Device, ProfileRef, RefusedFamily};
use store::{StoreError, rows};

use super::bed::{Bed, NOW};

/// The router of the bed as a Huawei that was probed and refused to be a Nokia.
async fn probed(bed: &Bed, cpe: types::CpeId) {
    let mut device = Device::new(NOW);
    device.profile = Some(ProfileRef {
        id: "huawei_x_hw".into(),
        known: Known::Probed,
        software_version: String::new(),
        evidence: vec!["InternetGatewayDevice.X".into()],
        read_only: None,
        at: NOW,
    });
    device.refused_family = Some(RefusedFamily {
        family: "nokia_x_alu".into(),
        why: "it has none of the nodes that Nokia is known by".into(),
        at: NOW,
    });
    bed.app
        .store()
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move {
                let mut row: rows::Cpe = tx.require(cpe).await?;
                row.manufacturer = "Huawei Technologies Co., Ltd".into();
                row.data_model = "tr098".into();
                row.profile_id = Some("huawei_x_hw".into());
                row.profile_known = "probed".into();
                row.profile_at = Some(NOW);
                row.family_refused = device.refused_family.as_ref().map(|refused| refused.why.clone());
                row.machine = serde_json::to_value(&device).unwrap_or_default().into();
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        })
        .await
        .expect("written");
}

#[tokio::test]
async fn the_page_of_a_router_says_of_which_family_it_is_and_why() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    let (_, cpe, _) = bed.seeded().await;
    let page = admin.get(&bed, &format!("/cpes/{cpe}")).await.text;
    assert!(page.contains("not looked at yet"), "a device that was never looked at");
    probed(&bed, cpe).await;
    let page = admin.get(&bed, &format!("/cpes/{cpe}")).await.text;
    let words = "nominated by manufacturer, proved by probing on 2026-11-21";
    assert!(page.contains("Huawei ONT (X_HW):") && page.contains(words), "{page}");
    assert!(page.contains("Override refused by the device") && page.contains("it has none of the nodes"));
    assert!(page.contains("/settings/models/1#fw-1"));
    let shown = admin.api(&bed, Method::GET, &format!("/api/v1/cpes/{cpe}"), "", |request| request).await;
    let shown: serde_json::Value = serde_json::from_str(&shown.text).expect("json");
    assert_eq!(shown["family"]["id"], "huawei_x_hw");
    assert_eq!(shown["family"]["text"], words);
    assert_eq!(shown["family"]["override_refused"], "it has none of the nodes that Nokia is known by");

    // The model shows the same, and how surely everything is known.
    let page = admin.get(&bed, "/settings/models/1").await.text;
    assert!(page.contains("Override refused by the device: it has none of the nodes"), "{page}");
    for word in ["proved by probing", "Internet by PPPoE", ">proved<", "seen on a real unit", "of the family"]
    {
        assert!(page.contains(word), "{word}");
    }
    let list = admin.get(&bed, "/settings/models?state=refused&q=script").await.text;
    assert!(list.contains("refused by 1 device") && list.contains("href=\"/settings/models/1\""), "{list}");
    assert!(!admin.get(&bed, "/settings/models?family=nokia_x_alu").await.text.contains("models/1\""));
    assert!(
        admin.get(&bed, "/settings/models.csv?family=huawei_x_hw").await.text.contains("Huawei ONT (X_HW)")
    );
}

#[tokio::test]
async fn a_family_is_set_by_hand_with_a_reason_and_taken_back() {
    let bed = Bed::new().await;
    let mut admin = bed.admin().await;
    bed.seeded().await;
    let place = "/settings/models/1";
    let answer =
        admin.post(&bed, &format!("{place}/override"), &[("family", "huawei_x_hw"), ("reason", "")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.text.contains("id=\"e-reason\"") && bed.app.family_overrides().is_empty());
    assert!(answer.text.contains("value=\"huawei_x_hw\" selected"), "what was chosen stays");
    let answer =
        admin.post(&bed, &format!("{place}/override"), &[("family", "tplink_tr181"), ("reason", "x")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "another data model");
    let set = [("family", "huawei_x_hw"), ("reason", "its maker is not told")];
    let answer = admin.post(&bed, &format!("{place}/override"), &set).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.text);
    let page = admin.get(&bed, place).await.text;
    assert!(page.contains("its maker is not told") && page.contains("Take the override back"), "{page}");
    assert_eq!(bed.app.family_overrides().len(), 1);

    let mut viewer = bed.person(Role::Viewer).await;
    let page = viewer.get(&bed, place).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("Take the override back"), "who may not is not offered it");
    let answer = viewer.post(&bed, &format!("{place}/withdraw"), &[]).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);

    let answer = admin.post(&bed, &format!("{place}/withdraw"), &[]).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(bed.app.family_overrides().is_empty(), "taken back");
    let audit = admin.get(&bed, "/audit?q=family").await.text;
    assert!(
        audit.contains("settings.override_family") && audit.contains("settings.withdraw_family"),
        "{audit}"
    );
}
