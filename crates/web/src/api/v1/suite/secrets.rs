//! Secrets go in and never come out.

use app::Role;
use axum::http::{Method, StatusCode};
use provisioning::Device;
use serde_json::json;
use store::{Presence, onus, rows};
use types::{CpeId, OltId, ServiceId};

use super::{Bed, SYSTEM, request};
use crate::{api::v1::rows as routes, auth::Need};

const PPPOE: &str = "pppoe-Zahra-7781";
const PASSPHRASE: &str = "wifi-Zahra-9942";
const FIRST_CONTACT: &str = "first-Contact-3310";

#[tokio::test]
async fn no_answer_to_a_read_ever_holds_a_secret() {
    let bed = Bed::new().await;
    let olt = bed.olt().await;
    let (customer, plan) = (bed.customer("Zahra").await, bed.plan().await);
    let service = json!({ "customer_id": customer, "plan_id": plan, "pppoe_login": "zahra@isp", "pppoe_password": PPPOE,
        "wifi": { "ssid": "Zahra", "passphrase": PASSPHRASE }, "expected_serial": "HWTC-7D4733C3" });
    let service = bed.make("/api/v1/services", service).await;
    let mut acs = bed.get("/api/v1/settings/acs").await.json();
    acs["management_networks"] = json!(["127.20.0.0/16"]);
    let body = json!({ "settings": acs, "first_contact_password": FIRST_CONTACT });
    let mut kept = bed.put("/api/v1/settings/acs", body).await.json();
    let since = kept.as_object_mut().expect("an object").remove("first_contact_password_since");
    assert!(since.is_some_and(|since| since.is_string()), "it says since when there is one");
    assert_eq!(kept, acs);
    // What a read gave may be sent back whole.
    let shown = bed.get("/api/v1/settings/acs").await.json();
    let got = bed.put("/api/v1/settings/acs", json!({ "settings": shown })).await;
    assert_eq!(got.json(), shown, "and nothing changes");
    let (_, password) = bed.app.create_user(&SYSTEM, "nino", Role::Admin).await.expect("a login");

    let now = bed.app.now();
    let machine = serde_json::to_value(Device::new(now)).expect("json");
    bed.app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let serial = "HWTC-7D4733C3".parse().expect("a serial");
                let pon = "0/1/0".parse().expect("a port");
                let onu = tx
                    .insert(&rows::Onu::planned(
                        OltId(olt),
                        pon,
                        1,
                        "HWTC-00000001".parse().expect("a serial"),
                        now,
                    ))
                    .await?;
                onus::observe(
                    tx,
                    onu,
                    onus::OnuObservation {
                        presence: Presence::InService,
                        at: now,
                        observed: Some(
                            json!({ "management": { "read_at": now, "cannot_tell": "an old one" } }),
                        ),
                        ..Default::default()
                    },
                )
                .await?;
                let cpe = rows::Cpe {
                    serial_number: "485754437D4733C3".into(),
                    pon_serial: Some(serial),
                    state: "DISCOVERED".into(),
                    service_id: Some(ServiceId(service)),
                    machine: machine.into(),
                    state_since: now,
                    created_at: now,
                    ..Default::default()
                };
                let cpe: CpeId = tx.insert(&cpe).await?;
                let order = rows::DeviceOrder {
                    key: "lk-o-1".into(),
                    cpe_id: cpe,
                    kind: "set".into(),
                    shown: json!({}),
                    state: "waiting".into(),
                    results: json!([]),
                    ..Default::default()
                };
                store::orders::insert(tx, &order, &types::Secret::new(PASSPHRASE)).await?;
                let file = rows::FirmwareFile { name: "x.bin".into(), ..Default::default() };
                if let store::firmware_files::Begun::As(id) = store::firmware_files::begin(tx, file).await? {
                    store::firmware_files::finish(tx, id, 1, "ab12").await?;
                }
                tx.insert(&rows::CpeFirmware { product_class: "EG8145V5".into(), ..Default::default() })
                    .await?;
                store::services::link_cpe(tx, ServiceId(service), Some(cpe)).await?;
                store::detected::saw(
                    tx,
                    store::detected::Sighting {
                        olt_id: OltId(olt),
                        pon,
                        serial,
                        at: now,
                        vendor: "HWTC".into(),
                        equipment_id: "EG8145V5".into(),
                        software_version: String::new(),
                        hardware_version: String::new(),
                    },
                )
                .await
            })
        })
        .await
        .expect("rows");
    let order = json!({ "olt_id": olt, "pon": "0/1/0", "serial": "HWTC-7D4733C3" });
    let ordered = bed.post("/api/v1/authorisations", order).await;
    assert_eq!(ordered.status, StatusCode::ACCEPTED, "{}", ordered.text);

    let secrets = [
        PPPOE,
        PASSPHRASE,
        FIRST_CONTACT,
        "cli-Marina-5521",
        "snmp-Marina-8812",
        password.expose(),
        bed.key.as_str(),
    ];
    let recorded = bed.post("/api/v1/cpes/1/recordings", json!({ "sessions": 1 })).await;
    assert_eq!(recorded.status, StatusCode::OK, "{}", recorded.text);
    let mut seen = 0;
    for (method, path, need) in routes() {
        if method != Method::GET || need == Need::Public || path.ends_with("/events") {
            continue;
        }
        let mut place = path.replace("{id}", "1");
        if path.ends_with("/search") {
            place.push_str("?q=zahra");
        }
        let got = bed.get(&place).await;
        assert_eq!(got.status, StatusCode::OK, "{place}: {}", got.text);
        for secret in secrets {
            assert!(!got.text.contains(secret), "{place} shows a secret: {}", got.text);
        }
        seen += 1;
    }
    assert!(seen > 25, "{seen}");

    let intents = bed.get(&format!("/api/v1/services/{service}/intents")).await.json();
    assert_eq!(
        (&intents["internet"]["username"], &intents["internet"]["has_password"]),
        (&json!("zahra@isp"), &json!(true))
    );
    assert_eq!(intents["access"]["wifi"][0]["has_passphrase"], true);
    assert_eq!(bed.get(&format!("/api/v1/olts/{olt}")).await.json()["has_snmp_community"], true);
    for secret in secrets {
        assert!(!ordered.text.contains(secret));
    }
}

#[tokio::test]
async fn what_is_generated_is_in_the_answer_once_and_in_no_replay() {
    let bed = Bed::new().await;
    let (customer, plan) = (bed.customer("Zahra").await, bed.plan().await);
    let keyed = |path: &str, key: &str, body: serde_json::Value| {
        let mut asked = request(&bed.key, Method::POST, path, Some(body));
        asked.headers_mut().insert("idempotency-key", key.parse().expect("a header"));
        asked
    };
    let order = json!({ "customer_id": customer, "plan_id": plan });
    let made = bed.send(keyed("/api/v1/services", "k-1", order.clone())).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let told = made.json()["generated"].clone();
    assert_eq!((&told["pppoe_login"], &told["ssid"]), (&json!("s10001"), &json!("Home-S-10001")), "{told}");
    let again = bed.send(keyed("/api/v1/services", "k-1", order)).await;
    assert_eq!((&again.json()["id"], &again.json()["generated"]), (&made.json()["id"], &json!(null)));
    let place = format!("/api/v1/services/{}", made.json()["id"]);
    let mut secrets = vec![told["pppoe_password"].clone(), told["wifi_passphrase"].clone()];
    for (path, name) in [("pppoe-password", "pppoe_password"), ("wifi-passphrase", "wifi_passphrase")] {
        let path = format!("{place}/{path}");
        let renewed = bed.send(keyed(&path, "k-2", json!({}))).await;
        assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.text);
        let secret = renewed.json()["generated"][name].clone();
        assert!(!secrets.contains(&secret), "a new one");
        secrets.push(secret);
        assert_eq!(bed.send(keyed(&path, "k-2", json!({}))).await.json()["generated"], json!(null));
        let writer = bed.key_for(&[app::Permission::Read, app::Permission::WriteServices]).await;
        let refused = bed.send(request(&writer, Method::POST, &path, Some(json!({})))).await;
        assert!(refused.problem(StatusCode::FORBIDDEN).contains("services:secrets"));
    }
    assert_eq!(secrets.len(), 4);
    for path in [place.clone(), format!("{place}/intents"), "/api/v1/audit".into(), "/api/v1/timeline".into()]
    {
        let got = bed.get(&path).await;
        assert_eq!(got.status, StatusCode::OK, "{path}: {}", got.text);
        for secret in &secrets {
            assert!(!got.text.contains(secret.as_str().expect("a text")), "{path} shows a secret");
        }
    }
    // Typed ones are known already.
    let typed = json!({ "customer_id": customer, "plan_id": plan, "pppoe_password": PPPOE,
        "wifi": { "ssid": "Zahra", "passphrase": PASSPHRASE } });
    let made = bed.post("/api/v1/services", typed).await;
    assert_eq!((made.status, &made.json()["generated"]), (StatusCode::CREATED, &json!(null)));
}

#[tokio::test]
async fn a_secret_that_is_not_given_stays_and_is_not_sent_elsewhere() {
    let bed = Bed::new().await;
    let id = bed.olt().await;
    let place = format!("/api/v1/olts/{id}");
    let mut change = super::olt("olt-marina-2");
    change.as_object_mut().expect("an object").retain(|key, _| key != "password" && key != "snmp_community");
    let got = bed.put(&place, change.clone()).await;
    got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(got.json()["errors"][0]["field"], "defaults", "VLANs never change by being left out");
    change["defaults"] = bed.get(&place).await.json()["defaults"].clone();
    let got = bed.put(&place, change.clone()).await;
    assert_eq!((got.status, &got.json()["name"]), (StatusCode::OK, &json!("olt-marina-2")), "{}", got.text);
    assert_eq!(got.json()["has_snmp_community"], true);
    change["address"] = json!("192.0.2.66");
    let got = bed.put(&place, change).await;
    got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<_> =
        got.json()["errors"].as_array().expect("two").iter().map(|e| e["field"].clone()).collect();
    assert_eq!(fields, ["password", "snmp_community"]);
    let kept =
        bed.app.store().secret(store::Slot::OltPassword(OltId(id))).await.expect("readable").expect("kept");
    assert_eq!(kept.expose(), "cli-Marina-5521");
}

#[tokio::test]
async fn a_key_hands_out_no_more_than_it_has() {
    let bed = Bed::new().await;
    let key = bed.key_for(&[app::Permission::ManageKeys, app::Permission::Read]).await;
    let body = json!({ "name": "more", "scopes": ["olts:write"] });
    bed.send(request(&key, Method::POST, "/api/v1/api-keys", Some(body)))
        .await
        .problem(StatusCode::FORBIDDEN);
    let body = json!({ "name": "x", "scopes": ["everything"] });
    let got = bed.send(request(&key, Method::POST, "/api/v1/api-keys", Some(body))).await;
    got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(got.json()["errors"][0]["field"], "scopes");
    let body = json!({ "name": "x", "scopes": ["read"], "valid_days": 0 });
    bed.send(request(&key, Method::POST, "/api/v1/api-keys", Some(body)))
        .await
        .problem(StatusCode::UNPROCESSABLE_ENTITY);
}
