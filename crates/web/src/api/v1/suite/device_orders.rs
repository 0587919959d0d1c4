//! Orders to one CPE.

use app::Permission;
use axum::http::{Method, StatusCode};
use provisioning::Device;
use serde_json::json;
use store::rows;
use types::CpeId;

use super::{Bed, request};

/// A device that spoke once.
async fn device(bed: &Bed) -> i64 {
    let now = bed.app.now();
    let (customer, plan) = (bed.customer("Ada").await, bed.plan().await);
    let service = bed.make("/api/v1/services", json!({ "customer_id": customer, "plan_id": plan })).await;
    let cpe = rows::Cpe {
        service_id: Some(types::ServiceId(service)),
        oui: "00259E".into(),
        product_class: "EG8145V5".into(),
        serial_number: "485754437D4733C3".into(),
        state: "INFORMED".into(),
        machine: serde_json::to_value(Device::new(now)).expect("json").into(),
        state_since: now,
        created_at: now,
        last_inform_at: Some(now),
        quarantine: true,
        ..Default::default()
    };
    let made: Result<CpeId, store::StoreError> =
        bed.app.store().write(move |tx| Box::pin(async move { tx.insert(&cpe).await })).await;
    made.expect("a CPE").0
}

#[tokio::test]
async fn an_order_is_taken_shown_and_withdrawn() {
    let bed = Bed::new().await;
    let id = device(&bed).await;
    let place = format!("/api/v1/cpes/{id}");
    let got = bed
        .post(
            &format!("{place}/set-parameters"),
            json!({ "values": [{ "path": "InternetGatewayDevice.LANDevice.1.X.KeyPassphrase", "value": "by-hand-42" }] }),
        )
        .await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    let order = got.json();
    assert_eq!((&order["kind"], &order["state"]), (&json!("set"), &json!("waiting")));
    assert!(!order.to_string().contains("by-hand-42"), "{order}");
    let one = format!("/api/v1/device-orders/{}", order["id"]);
    assert_eq!(got.header("location"), one);
    assert_eq!(bed.get(&one).await.json(), order);
    assert_eq!(bed.get(&format!("{place}/orders")).await.json()["items"][0], order);
    let gone = bed.post(&format!("{one}/cancel"), json!({})).await.json();
    assert_eq!(gone["state"], "cancelled");
    bed.post(&format!("{one}/cancel"), json!({})).await.problem(StatusCode::CONFLICT);
}

#[tokio::test]
async fn what_is_not_ordered_is_said() {
    let bed = Bed::new().await;
    let id = device(&bed).await;
    let refused = async |what: &str, body: serde_json::Value| {
        bed.post(&format!("/api/v1/cpes/{id}/{what}"), body).await.problem(StatusCode::UNPROCESSABLE_ENTITY)
    };
    assert!(refused("reboot", json!({ "confirm": false })).await.contains("off line"));
    assert!(refused("factory-reset", json!({ "confirm": false })).await.contains("lost"));
    let value = |path: &str, kind: &str| json!({ "values": [{ "path": path, "value": "x", "kind": kind }] });
    let url = refused("set-parameters", value("Device.ManagementServer.URL", "string")).await;
    assert!(url.contains("management setting"), "{url}");
    assert!(refused("set-parameters", value("Device.X", "text")).await.contains("unsignedInt"));
    assert!(refused("set-parameters", value("Device.X", "int")).await.contains("whole number"));
    assert!(refused("refresh", json!({ "path": "Device.", "expires_s": 5 })).await.contains("60"));
    bed.get("/api/v1/device-orders/7").await.problem(StatusCode::NOT_FOUND);
    // Who may read and call a device may not restart it.
    let key = bed.key_for(&[Permission::Read, Permission::OperateCpe]).await;
    let ask =
        request(&key, Method::POST, &format!("/api/v1/cpes/{id}/reboot"), Some(json!({ "confirm": true })));
    bed.send(ask).await.problem(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_test_is_ordered_within_bounds() {
    let bed = Bed::new().await;
    let id = device(&bed).await;
    let ping = format!("/api/v1/cpes/{id}/ping");
    for (wrong, field) in [
        (json!({ "host": "a b" }), "host name"),
        (json!({ "host": "-f" }), "host name"),
        (json!({ "host": "10.0.0.1", "count": 65 }), "between 1 and 64"),
        (json!({ "host": "10.0.0.1", "size": 65_000 }), "between 1 and 1500"),
        (json!({ "host": "10.0.0.1", "timeout_ms": 4_000_000 }), "between 100 and 10000"),
    ] {
        let said = bed.post(&ping, wrong).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert!(said.contains(field), "{said}");
    }
    let got = bed.post(&ping, json!({ "host": "10.0.0.1", "count": 7 })).await;
    assert_eq!(got.status, StatusCode::ACCEPTED);
    let order = got.json();
    assert_eq!((&order["kind"], &order["findings"]), (&json!("ping"), &json!(null)));
    assert_eq!(order["order"]["count"], 7);
    // One at a time, whichever it is.
    let trace = format!("/api/v1/cpes/{id}/traceroute");
    bed.post(&trace, json!({ "host": "10.0.0.1" })).await.problem(StatusCode::CONFLICT);
    bed.post(&format!("/api/v1/device-orders/{}/cancel", order["id"]), json!({})).await;
    let got = bed.post(&trace, json!({ "host": "10.0.0.1", "hops": 12 })).await.json();
    assert_eq!((&got["kind"], &got["order"]["hops"]), (&json!("traceroute"), &json!(12)));
    let key = bed.key_for(&[Permission::Read]).await;
    let ask = request(&key, Method::POST, &ping, Some(json!({ "host": "10.0.0.1" })));
    bed.send(ask).await.problem(StatusCode::FORBIDDEN);
}
