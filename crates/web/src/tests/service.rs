//! The service page says of a connection what was read back, and nothing else.

use app::Actor;
use provisioning::{Device, Layer, LayerRecord};
use store::{Layer as IntentLayer, StoreError, rows};
use types::{CpeId, ServiceId};

use super::bed::{Bed, Browser, NOW};

/// A service with a router that is in this state and was read back to carry out `in_force`, each as wanted now.
struct Line {
    bed: Bed,
    admin: Browser,
    service: ServiceId,
    cpe: CpeId,
}

impl Line {
    async fn new() -> Line {
        let bed = Bed::new().await;
        let admin = bed.admin().await;
        let (service, cpe, _) = bed.seeded().await;
        Line { bed, admin, service, cpe }
    }

    /// A machine that carried out these layers with the intents as they are now.
    async fn stands(&self, state: &str, in_force: &[Layer]) {
        let intents = store::services::intents(self.bed.app.store(), self.service).await.expect("intents");
        let hash = |layer| {
            let layer = match layer {
                Layer::Internet => IntentLayer::Internet,
                Layer::Access => IntentLayer::Access,
                Layer::Core | Layer::Extras => panic!("{layer:?} has no intent here"),
            };
            intents.iter().find(|intent| intent.layer == layer).map(|intent| intent.hash.clone())
        };
        let mut device = Device::new(NOW);
        for layer in in_force {
            let record = LayerRecord {
                applied_hash: hash(*layer),
                applied_at: Some(NOW),
                verified_at: Some(NOW),
                ..LayerRecord::default()
            };
            device.layers.insert(*layer, record);
        }
        let machine = serde_json::to_value(&device).expect("json");
        let (cpe, service, state) = (self.cpe, self.service, state.to_owned());
        self.bed
            .app
            .store()
            .write::<_, _, StoreError>(move |tx| {
                Box::pin(async move {
                    let row: rows::Cpe = tx.require(cpe).await?;
                    let row = rows::Cpe {
                        state,
                        machine: machine.into(),
                        service_id: Some(service),
                        reason_text: "The router was asked to call.".into(),
                        ..row
                    };
                    tx.update(&row).await?.or_overtaken("the CPE")
                })
            })
            .await
            .expect("written");
    }

    async fn evidence(&self, layer: &str, setting: &str, observed: &str) {
        let row: rows::Cpe = self.bed.app.store().require(self.cpe).await.expect("a CPE");
        let item = rows::EvidenceItem {
            cpe_id: self.cpe,
            layer: layer.into(),
            setting: setting.into(),
            wanted: observed.into(),
            observed: observed.into(),
            verified: true,
            at: NOW,
            source: "read_back".into(),
        };
        let step = store::cpes::CpeStep { cpe: row, evidence: vec![item], ..Default::default() };
        let write = self.bed.app.store().write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { store::cpes::save_step(tx, &step).await })
        });
        assert!(write.await.expect("written").is_changed());
    }

    async fn online(&self) {
        self.evidence("internet", "External address", "100.64.9.7").await;
        self.evidence("access", "Wi-Fi name", "Zahra").await;
        self.stands("ACTIVE", &[Layer::Internet, Layer::Access]).await;
    }

    /// The page as text, and the word at the access session.
    async fn page(&mut self) -> (String, String) {
        let page = self.admin.get(&self.bed, &format!("/services/{}", self.service)).await.text;
        let session = super::bed::between(&page, "<h3>Access session</h3>", "</span>");
        let word = session.rsplit('>').next().unwrap_or_default().to_owned();
        (page, word)
    }
}

#[tokio::test]
async fn a_line_that_was_read_back_is_connected() {
    let mut line = Line::new().await;
    line.online().await;
    let (page, session) = line.page().await;
    assert_eq!(session, "Connected");
    assert!(page.contains("100.64.9.7") && page.contains(": verified"), "{page}");
    assert!(!page.contains("First blocking cause,"), "nothing stands in the way");
}

#[tokio::test]
async fn a_suspension_that_has_not_reached_the_router_is_not_called_done() {
    let mut line = Line::new().await;
    line.online().await;
    line.bed.app.suspend_service(&Actor::System("test"), line.service, "unpaid").await.expect("suspended");
    // Whatever the machine made of it: here it still believes that all is as wanted.
    let (page, session) = line.page().await;
    assert_eq!(session, "Not confirmed off");
    assert!(page.contains("Not confirmed by the router yet"), "{page}");
    assert!(!page.contains("has confirmed that its internet connection is off"));
    assert!(page.contains("last read 100.64.9.7"), "what was read is still known, with its age");
    assert!(page.contains("changed since, not compared yet"));
    assert!(page.contains("Call now"));

    line.stands("ACTIVE", &[Layer::Internet, Layer::Access]).await;
    let (page, session) = line.page().await;
    assert_eq!(session, "Off, suspended", "an address from before does not come first");
    assert!(page.contains("has confirmed that its internet connection is off"), "{page}");
}

#[tokio::test]
async fn an_active_router_that_was_not_told_says_what_is_awaited() {
    let mut line = Line::new().await;
    line.online().await;
    line.stands("ACTIVE", &[Layer::Internet]).await;
    let (page, session) = line.page().await;
    assert_eq!(session, "Connected", "Wi-Fi is another matter");
    assert!(page.contains("A change is not confirmed by the router yet"), "{page}");
    assert!(
        page.contains("Not confirmed: Access; it is told at its next contact, expected by 14:35"),
        "{page}"
    );
    assert!(page.contains("Change not confirmed"));
}

#[tokio::test]
async fn a_failed_router_is_not_connected_and_a_reset_one_verifies_nothing() {
    for (state, in_force) in [("FAILED", &[Layer::Access][..]), ("INFORMED", &[])] {
        let mut line = Line::new().await;
        line.online().await;
        line.stands(state, in_force).await;
        let (page, session) = line.page().await;
        assert_eq!(session, "Not confirmed", "{state}");
        assert_eq!(page.contains(": verified"), state == "FAILED", "{state}: Wi-Fi is as it was, or not");
        let api = line.admin.get(&line.bed, &format!("/api/v1/cpes/{}/evidence", line.cpe)).await.text;
        let api: serde_json::Value = serde_json::from_str(&api).expect("json");
        let verified = |layer: &str| {
            let items = api["items"].as_array().expect("items");
            items.iter().any(|item| item["layer"] == layer && item["verified"] == true)
        };
        assert!(!verified("internet"), "{state}");
        assert_eq!(verified("access"), state == "FAILED", "{state}");
    }
}

#[tokio::test]
async fn a_change_of_the_wifi_shows_what_is_wanted_now_beside_what_was_read_before() {
    let mut line = Line::new().await;
    line.online().await;
    line.evidence("access", "Wi-Fi 2.4GHz name", "Zahra").await;
    line.evidence("access", "Wi-Fi 2.4GHz on", "true").await;
    let operator = Actor::System("nino");
    let wifi = app::WifiInput {
        ssid: "Zahra & Leo".into(),
        passphrase: Some(types::Secret::new("olive-tree-42")),
        enabled: true,
    };
    line.bed.app.set_access(&operator, line.service, app::AccessInput { wifi }).await.expect("saved");
    // The machine has what it had: Internet as wanted, the Wi-Fi of before.
    line.stands("ACTIVE", &[Layer::Internet]).await;
    let (page, _) = line.page().await;
    let name = super::bed::between(&page, "</span>Wi-Fi 2.4GHz name<span", "</tr>");
    assert!(name.contains("<bdi>Zahra &#38; Leo</bdi>") && name.contains("<bdi>Zahra</bdi>"), "{name}");
    assert!(name.contains("Read before the change; not confirmed by the router yet."), "{name}");
    // What stays as it was is not confirmed either, and yet differs in nothing.
    let on = super::bed::between(
        &page,
        "data-same>\n        <td><span class=\"lk-mark\" data-s=\"wait\"",
        "</tr>",
    );
    assert!(on.contains("Wi-Fi 2.4GHz on") && on.contains("Read before the change"), "{page}");
    assert!(page.contains(", wanted by system:nino since 14:30"), "{page}");
    // The form begins with the name as it is wanted now, and never with the passphrase.
    assert!(page.contains("required value=\"Zahra &#38; Leo\""), "{page}");
    assert!(!page.contains("olive-tree-42") && !page.contains("hunter2-pppoe"));
}

#[tokio::test]
async fn a_router_is_held_from_the_page_of_its_service_and_the_page_offers_what_is_next() {
    let mut line = Line::new().await;
    line.online().await;
    let place = format!("/services/{}", line.service);
    let fields = [("reason", "the street is dug up")];
    let answer = line.admin.post(&line.bed, &format!("{place}/hold"), &fields).await;
    assert_eq!(answer.status, http::StatusCode::SEE_OTHER, "{}", answer.text);
    let parts = line.admin.get(&line.bed, &format!("{place}/live")).await.text;
    assert!(parts.contains("Provisioning held: the street is dug up"), "{parts}");
    assert!(parts.contains("id=\"a-go\"") && !parts.contains("id=\"a-hold\""), "{parts}");

    let (service, store) = (line.service, line.bed.app.store());
    store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { store::services::link_cpe(tx, service, None).await.map(drop) })
        })
        .await
        .expect("untied");
    let answer = line.admin.post(&line.bed, &format!("{place}/hold"), &fields).await;
    assert_eq!(answer.status, http::StatusCode::SEE_OTHER);
    let page = line.admin.get(&line.bed, &place).await.text;
    assert!(page.contains("No router is tied to this service."), "{page}");
}
