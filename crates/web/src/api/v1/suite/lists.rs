//! Lists and bodies: what is not understood is said, and nothing is ignored.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};
use serde_json::{Value, json};
use store::rows;
use types::UtcMs;

use super::{Bed, request};

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().expect("items").iter().filter_map(|item| item["name"].as_str()).collect()
}

#[tokio::test]
async fn lists_are_paged_sorted_and_filtered() {
    let bed = Bed::new().await;
    for name in ["Berta", "Amina", "Chen"] {
        bed.customer(name).await;
    }
    let list = bed.get("/api/v1/customers?sort=name&size=2").await.json();
    assert_eq!(
        (names(&list), &list["total"], &list["page"], &list["size"]),
        (vec!["Amina", "Berta"], &json!(3), &json!(1), &json!(2))
    );
    let list = bed.get("/api/v1/customers?sort=name&size=2&page=2").await.json();
    assert_eq!(names(&list), ["Chen"]);
    let list = bed.get("/api/v1/customers?sort=-name").await.json();
    assert_eq!(names(&list), ["Chen", "Berta", "Amina"]);
    let list = bed.get("/api/v1/customers?q=AMI").await.json();
    assert_eq!((names(&list), &list["total"]), (vec!["Amina"], &json!(1)));
    for name in ["olt-a", "olt-b", "olt-c"] {
        bed.make("/api/v1/olts", super::olt(name)).await;
    }
    let list = bed.get("/api/v1/olts?size=2&page=2").await.json();
    assert_eq!((names(&list), &list["total"]), (vec!["olt-c"], &json!(3)), "short lists are paged too");
}

#[tokio::test]
async fn what_is_not_understood_is_said() {
    let bed = Bed::new().await;
    for (path, word) in [
        ("/api/v1/customers?colour=red", "colour"),
        ("/api/v1/customers?sort=colour", "name, code"),
        ("/api/v1/customers?size=9999", "500"),
        ("/api/v1/users?sort=name", "one order"),
        ("/api/v1/services?state=busy", "reserved"),
        ("/api/v1/cpes?state=active", "ACTIVE"),
        ("/api/v1/tasks?state=x", "needs_operator"),
        ("/api/v1/onus?view=x", "unlinked"),
        ("/api/v1/faults?since=yesterday", "2026-"),
        ("/api/v1/faults?class=x", "class"),
        ("/api/v1/faults/groups?by=colour", "parameter"),
        ("/api/v1/faults/groups?sort=colour", "faults, cpes"),
        ("/api/v1/timeline?cpe_id=1&olt_id=2", "one subject"),
        ("/api/v1/search?q=a", "two characters"),
        ("/api/v1/events?topics=weather", "weather"),
        ("/api/v1/olts/abc", "whole number"),
    ] {
        let detail = bed.get(path).await.problem(StatusCode::BAD_REQUEST);
        assert!(detail.contains(word), "{path}: {detail}");
    }
    for path in
        ["/api/v1/olts/99", "/api/v1/cpes/99/faults", "/api/v1/services/99/intents", "/api/v1/weather"]
    {
        bed.get(path).await.problem(StatusCode::NOT_FOUND);
    }
    let got = bed.put("/api/v1/customers", json!({})).await;
    got.problem(StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(got.header("allow"), "GET, POST");
}

#[tokio::test]
async fn bodies_are_taken_whole_or_not_at_all() {
    let bed = Bed::new().await;
    let got = bed.post("/api/v1/customers", json!({ "name": "Amina", "phoen": "1" })).await;
    got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(got.json()["errors"][0]["field"], "phoen");
    let got = bed.post("/api/v1/customers", json!({})).await;
    got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(got.json()["errors"][0]["field"], "name");
    let got = bed.post("/api/v1/customers", json!({ "name": " ", "email": "nobody" })).await;
    got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let fields: Vec<Value> =
        got.json()["errors"].as_array().expect("two").iter().map(|e| e["field"].clone()).collect();
    assert_eq!(fields, ["name", "email"]);
    let raw = |kind: &str, body: Body| {
        let mut asked = request(&bed.key, Method::POST, "/api/v1/customers", None);
        asked.headers_mut().insert(header::CONTENT_TYPE, kind.parse().expect("a header"));
        *asked.body_mut() = body;
        asked
    };
    bed.send(raw("application/json", Body::from("{\"name\":"))).await.problem(StatusCode::BAD_REQUEST);
    bed.send(raw("text/plain", Body::from("{}"))).await.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let huge = Body::from(vec![b' '; crate::body::MAX_BODY + 1]);
    bed.send(raw("application/json", huge)).await.problem(StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(bed.get("/api/v1/customers").await.json()["total"], 0, "nothing was made");
}

#[tokio::test]
async fn faults_are_a_diagnosis_and_a_file_that_runs_nothing() {
    let bed = Bed::new().await;
    let store = bed.app.store();
    store
        .write(|tx| {
            Box::pin(async move {
                let cpe = rows::Cpe {
                    serial_number: "485754437D4733C3".into(),
                    state: "FAILED".into(),
                    ..Default::default()
                };
                let cpe_id = tx.insert(&cpe).await?;
                for n in 0..3_i64 {
                    let fault = rows::CpeFault {
                        cpe_id,
                        at: UtcMs(1_795_271_400_000 + n),
                        class: "provisioning_logic".into(),
                        code: 9005,
                        text: "=HYPERLINK(\"http://evil\")".into(),
                        path: "InternetGatewayDevice.X".into(),
                        ..Default::default()
                    };
                    tx.insert(&fault).await?;
                }
                Ok::<_, store::StoreError>(())
            })
        })
        .await
        .expect("faults");
    let list = bed.get("/api/v1/faults?code=9005&since=2026-11-21T00:00:00Z&size=2").await.json();
    assert_eq!((&list["total"], list["items"].as_array().map(Vec::len)), (&json!(3), Some(2)));
    assert!(list["items"][0]["at"].as_str().is_some_and(|at| at.starts_with("2026-11-21T14:30:00")));
    assert_eq!(bed.get("/api/v1/faults?since=2027-01-01T00:00:00Z").await.json()["total"], 0);
    let summary = bed.get("/api/v1/faults/summary").await.json();
    assert_eq!((&summary["shares"][0]["percent"], &summary["groups"][0]["faults"]), (&json!(100), &json!(3)));
    assert!(
        summary["diagnosis"].as_str().is_some_and(|text| text.starts_with("100 % provisioning logic")),
        "{summary}"
    );

    let groups = bed.get("/api/v1/faults/groups?by=reason&sort=-faults").await.json();
    assert_eq!((&groups["total"], &groups["items"][0]["faults"]), (&json!(1), &json!(3)));
    assert!(
        groups["items"][0]["first_at"].as_str().is_some_and(|at| at.starts_with("2026-11-21T14:30:00")),
        "{groups}"
    );
    let none = bed.get("/api/v1/faults/groups?software_version=other").await.json();
    assert_eq!(none["total"], 0);
    let as_file = bed.get("/api/v1/faults/groups?format=csv").await;
    assert!(
        as_file.text.lines().nth(1).is_some_and(|line| line.contains(",3,100.0,1,1,")),
        "{}",
        as_file.text
    );

    let mut asked = request(&bed.key, Method::GET, "/api/v1/faults?size=1", None);
    asked.headers_mut().insert(header::ACCEPT, "text/csv".parse().expect("a header"));
    let by_accept = bed.send(asked).await;
    let by_format = bed.get("/api/v1/faults?format=csv&size=1").await;
    assert_eq!(by_accept.text, by_format.text);
    assert!(by_accept.header("content-type").starts_with("text/csv"));
    let lines: Vec<&str> = by_accept.text.lines().collect();
    assert_eq!(lines.len(), 4, "every row and not a page: {lines:?}");
    assert!(lines[1].contains(",\"'=HYPERLINK("), "no formula: {}", lines[1]);
}

#[tokio::test]
async fn a_faults_file_is_diagnosed_and_not_kept() {
    let bed = Bed::new().await;
    let send = |kind: &'static str, body: &'static str| {
        let mut asked = request(&bed.key, Method::POST, "/api/v1/faults/diagnose", None);
        asked.headers_mut().insert(header::CONTENT_TYPE, kind.parse().expect("a header"));
        *asked.body_mut() = Body::from(body);
        bed.send(asked)
    };
    let file = "Device;Code;Message\nA-B-1;cwmp.9005;Invalid parameter name\nA-B-2;;\n";
    let got = send("text/csv", file).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text);
    let got = got.json();
    assert_eq!(
        (&got["faults"], &got["unused"], &got["unused_lines"][0]["line"]),
        (&json!(1), &json!(1), &json!(3))
    );
    assert_eq!(got["groups"][0]["reason"], "9005 Invalid parameter name");
    send("text/csv", "a,b\n").await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    send("application/json", "{}").await.problem(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(bed.get("/api/v1/faults").await.json()["total"], 0);
}

#[tokio::test]
async fn a_cpe_is_recorded_on_order_and_the_file_taken() {
    let bed = Bed::new().await;
    let cpe =
        rows::Cpe { serial_number: "485754437D4733C3".into(), state: "FAILED".into(), ..Default::default() };
    let cpe =
        bed.app.store().write(|tx| Box::pin(async move { tx.insert(&cpe).await })).await.expect("a CPE");
    let place = format!("/api/v1/cpes/{cpe}/recordings");
    bed.post("/api/v1/cpes/99/recordings", json!({ "sessions": 1 })).await.problem(StatusCode::NOT_FOUND);
    let wrong = bed.post(&place, json!({ "sessions": 0 })).await;
    wrong.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(wrong.json()["errors"][0]["field"], "sessions");
    let begun = bed.post(&place, json!({ "sessions": 3 })).await.json();
    assert_eq!(
        (&begun["items"][0]["running"], &begun["items"][0]["sessions_left"]),
        (&json!(true), &json!(3))
    );
    bed.post(&place, json!({ "sessions": 3 })).await.problem(StatusCode::CONFLICT);
    let file = bed.get("/api/v1/recordings/1/file").await;
    assert!(file.header("content-type").starts_with("application/x-ndjson"));
    assert!(file.text.contains("\"recording\":\"lightkeeper\""), "{}", file.text);
    let over = bed.post("/api/v1/recordings/1/stop", json!({})).await.json();
    assert_eq!(
        (&over["items"][0]["running"], &over["items"][0]["end_reason"]),
        (&json!(false), &json!("stopped"))
    );
    assert_eq!(bed.get(&place).await.json()["items"].as_array().map(Vec::len), Some(1));
    bed.get("/api/v1/recordings/9/file").await.problem(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn why_a_cpe_cannot_be_reached_is_told_step_by_step_and_checked_on_order() {
    let bed = Bed::new().await;
    let cpe = rows::Cpe {
        serial_number: "485754437D4733C3".into(),
        state: "DISCOVERED".into(),
        ..Default::default()
    };
    let cpe =
        bed.app.store().write(|tx| Box::pin(async move { tx.insert(&cpe).await })).await.expect("a CPE");
    let place = format!("/api/v1/cpes/{cpe}/reach");
    bed.get("/api/v1/cpes/99/reach").await.problem(StatusCode::NOT_FOUND);
    bed.post("/api/v1/cpes/99/reach", json!({})).await.problem(StatusCode::NOT_FOUND);
    let known = bed.get(&place).await.json();
    let steps = known["steps"].as_array().expect("steps");
    let told: Vec<(&str, &str)> = steps
        .iter()
        .map(|step| (step["step"].as_str().unwrap_or_default(), step["verdict"].as_str().unwrap_or_default()))
        .collect();
    let none = "not_tried";
    assert_eq!(told, [("url", "bad"), ("subnet", none), ("tcp", none), ("auth", none), ("inform", none)]);
    assert_eq!(known["summary"], "The device has told no ConnectionRequestURL.");
    assert!(steps[0]["next"].as_str().is_some_and(|next| next.contains("never informed")), "{known}");
    assert_eq!((&known["waits"], &known["called_at"]), (&json!(false), &json!(null)));
    let checked = bed.post(&place, json!({})).await;
    assert_eq!(checked.status, StatusCode::ACCEPTED);
    assert_eq!(checked.json()["steps"], known["steps"], "nobody can be called, so nothing else is known");
}
