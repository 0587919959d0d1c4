//! Whole ways through the API, as a program goes them.

use axum::http::{Method, StatusCode};
use http_body_util::BodyExt;
use provisioning::Device;
use serde_json::{Value, json};
use store::rows;
use types::CpeId;

use super::{Bed, request};

#[tokio::test]
async fn from_an_olt_to_an_order() {
    let bed = Bed::new().await;
    let olt = bed.olt().await;
    let said = bed.post(&format!("/api/v1/olts/{olt}/test"), json!({})).await;
    assert_eq!((said.status, &said.json()["ok"]), (StatusCode::OK, &json!(false)), "nobody listens there");
    let read = bed.post(&format!("/api/v1/olts/{olt}/read"), json!({})).await;
    assert_eq!((read.status, &read.json()["ok"]), (StatusCode::OK, &json!(false)), "{}", read.text);
    assert!(
        read.json()["text"].as_str().expect("words").starts_with("The OLT does not answer: "),
        "{}",
        read.text
    );
    bed.post("/api/v1/olts/99/read", json!({})).await.problem(StatusCode::NOT_FOUND);
    let place = format!("/api/v1/olts/{olt}/saving");
    assert_eq!(bed.get(&place).await.json()["saved"], json!(true), "nothing was changed");
    let ordered = bed.post(&format!("/api/v1/olts/{olt}/save"), json!({})).await;
    assert_eq!(ordered.status, StatusCode::ACCEPTED, "{}", ordered.text);
    let saving = bed.get(&place).await.json();
    assert_eq!((&saving["saved"], &saving["by_itself"]), (&json!(false), &json!(true)), "{saving}");
    bed.post("/api/v1/olts/99/save", json!({})).await.problem(StatusCode::NOT_FOUND);
    let order = json!({ "olt_id": olt, "pon": "0/1/3", "serial": "4857 5443 7D47 33C3".replace(' ', "") });
    let dry = bed.post("/api/v1/authorisations/dry-run", order.clone()).await;
    let detail = dry.problem(StatusCode::SERVICE_UNAVAILABLE);
    assert!(detail.contains("olt-marina-1") && detail.contains("Nothing was sent"), "{detail}");
    let ordered = bed.post("/api/v1/authorisations", order.clone()).await;
    assert_eq!(ordered.status, StatusCode::ACCEPTED, "{}", ordered.text);
    let task = ordered.json();
    assert_eq!(
        (&task["state"], &task["serial"], &task["serial_hex"]),
        (&json!("pending"), &json!("HWTC-7D4733C3"), &json!("485754437D4733C3"))
    );
    let place = ordered.header("location").to_owned();
    assert_eq!(place, format!("/api/v1/tasks/{}", task["id"]));
    let read = bed.get(&place).await.json();
    assert_eq!((&read["task"]["id"], &read["task"]["actor"]), (&task["id"], &json!("key:for a test")));
    assert_eq!(bed.get("/api/v1/tasks?state=open&sort=-time").await.json()["total"], 1);
    bed.post("/api/v1/authorisations", order).await.problem(StatusCode::CONFLICT);
    let bad = json!({ "olt_id": olt, "pon": "here", "serial": "HWTC-7D4733C3" });
    bed.post("/api/v1/authorisations", bad).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let bad = json!({ "olt_id": olt, "pon": "0/1/3", "serial": "HWTC-7D4733C4", "internet_vlan": 4095 });
    bed.post("/api/v1/authorisations", bad).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let pinned = bed.post(&format!("/api/v1/olts/{olt}/forget-host-key"), json!({})).await;
    assert_eq!(pinned.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn what_the_machine_can_do_can_be_wanted() {
    let bed = Bed::new().await;
    let (customer, plan) = (bed.customer("Amina").await, bed.plan().await);
    let id = bed.make("/api/v1/services", json!({ "customer_id": customer, "plan_id": plan })).await;
    let place = format!("/api/v1/services/{id}/intents");
    let fixed = json!({ "address": "203.0.113.10", "mask": "255.255.255.248", "gateway": "203.0.113.9",
        "dns": ["9.9.9.9", "1.1.1.1"] });
    let wanted = json!({ "mode": "static", "fixed": fixed, "nat": false, "ipv6": true, "mtu": 1492,
        "bind": ["ssid1", "lan2"], "policy_routes": true });
    let got = bed.put(&format!("{place}/internet"), wanted).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text);
    let shown = got.json()["internet"].clone();
    assert_eq!((&shown["mode"], &shown["fixed"]), (&json!("static"), &fixed), "{shown}");
    assert_eq!((&shown["nat"], &shown["ipv6"], &shown["mtu"]), (&json!(false), &json!(true), &json!(1492)));
    assert_eq!((&shown["bind"], &shown["policy_routes"]), (&json!(["lan2", "ssid1"]), &json!(true)));
    // What is not spoken of stays.
    let kept = bed.put(&format!("{place}/internet"), json!({ "mode": "static", "mtu": 0 })).await.json();
    assert_eq!((&kept["internet"]["fixed"], &kept["internet"]["mtu"]), (&fixed, &json!(null)), "{kept}");
    let bad = json!({ "mode": "static", "fixed": { "address": "203.0.113.10", "mask": "255.255.255.248",
        "gateway": "203.0.113.99" } });
    let got = bed.put(&format!("{place}/internet"), bad).await;
    got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(got.json()["errors"][0]["field"], "gateway");
    let lan = json!({ "address": "192.168.7.1", "mask": "255.255.255.0", "dhcp_first": "192.168.7.10",
        "dhcp_last": "192.168.7.99" });
    let got = bed.put(&format!("{place}/lan"), lan).await;
    assert_eq!((got.status, &got.json()["access"]["lan"]["dhcp"]), (StatusCode::OK, &json!(true)));
    assert_eq!(got.json()["access"]["wifi"][0]["ssid"], "Home-S-10001", "Wi-Fi is not touched");
    let got = bed.send(request(&bed.key, Method::DELETE, &format!("{place}/lan"), None)).await;
    assert_eq!((got.status, &got.json()["access"]["lan"]), (StatusCode::OK, &json!(null)));
}

#[tokio::test]
async fn a_service_is_corrected_and_ended() {
    let bed = Bed::new().await;
    let (customer, plan) = (bed.customer("Amina").await, bed.plan().await);
    let id = bed.make("/api/v1/services", json!({ "customer_id": customer, "plan_id": plan })).await;
    let place = format!("/api/v1/services/{id}");
    let version = bed.get(&place).await.json()["version"].clone();
    let right = json!({ "address": "Kilimani 4", "expected_serial": "HWTC7D4733C3", "version": version });
    let got = bed.put(&place, right.clone()).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text);
    assert_eq!(
        (&got.json()["address"], &got.json()["expected_serial"]),
        (&json!("Kilimani 4"), &json!("HWTC-7D4733C3"))
    );
    bed.put(&place, right).await.problem(StatusCode::CONFLICT);
    let end = format!("{place}/terminate");
    bed.post(&end, json!({ "confirm": "S-1" })).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let got = bed.post(&end, json!({ "confirm": "S-10001" })).await;
    assert_eq!((got.status, &got.json()["state"]), (StatusCode::OK, &json!("terminated")), "{}", got.text);
    bed.put(&place, json!({ "address": "x" })).await.problem(StatusCode::CONFLICT);
    bed.post(&end, json!({ "confirm": "S-10001" })).await.problem(StatusCode::CONFLICT);
}

#[tokio::test]
async fn an_onu_is_for_the_service_that_waits_for_another_or_for_nobody() {
    let bed = Bed::new().await;
    let olt = bed.olt().await;
    let (customer, plan) = (bed.customer("Amina").await, bed.plan().await);
    let service =
        |serial: &str| json!({ "customer_id": customer, "plan_id": plan, "expected_serial": serial });
    let waits = bed.make("/api/v1/services", service("HWTC-00000001")).await;
    bed.make("/api/v1/services", service("HWTC-00000002")).await;
    let order = |serial: &str| json!({ "olt_id": olt, "pon": "0/1/3", "serial": serial });
    let ordered = bed.post("/api/v1/authorisations", order("HWTC-00000001")).await;
    assert_eq!(ordered.json()["service"]["id"], json!(waits), "{}", ordered.text);
    let mut nobody = order("HWTC-00000002");
    nobody["service_id"] = json!("none");
    nobody["fingerprint"] = json!("not what was looked at");
    let detail = bed.post("/api/v1/authorisations", nobody.clone()).await.problem(StatusCode::CONFLICT);
    assert!(detail.contains("would not be sent what the dry run showed"), "{detail}");
    nobody["fingerprint"] = json!(null);
    let ordered = bed.post("/api/v1/authorisations", nobody.clone()).await;
    assert_eq!((ordered.status, &ordered.json()["service"]), (StatusCode::ACCEPTED, &json!(null)));
    nobody["service_id"] = json!("nobody");
    bed.post("/api/v1/authorisations", nobody).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_customer_a_plan_and_a_service_through_its_life() {
    let bed = Bed::new().await;
    let (customer, plan) = (bed.customer("Amina").await, bed.plan().await);
    let got = bed
        .put(&format!("/api/v1/customers/{customer}"), json!({ "name": "Amina K", "phone": "+1 2" }))
        .await;
    assert_eq!((&got.json()["name"], &got.json()["services"]), (&json!("Amina K"), &json!(0)));
    let id = bed.make("/api/v1/services", json!({ "customer_id": customer, "plan_id": plan })).await;
    let place = format!("/api/v1/services/{id}");
    let service = bed.get(&place).await.json();
    assert_eq!((&service["state"], &service["customer"]["name"]), (&json!("reserved"), &json!("Amina K")));

    let wanted = json!({ "mode": "pppoe", "username": "amina@isp", "password": "new-Secret-1", "vlan": 203 });
    let intents = bed.put(&format!("{place}/intents/internet"), wanted).await;
    assert_eq!(intents.status, StatusCode::OK, "{}", intents.text);
    assert_eq!(
        (&intents.json()["internet"]["vlan"], &intents.json()["internet"]["changed"]["version"]),
        (&json!(203), &json!(2))
    );
    assert!(!intents.text.contains("new-Secret-1"));
    for (vlan, then) in [(json!(null), json!(203)), (json!("none"), json!(null)), (json!(203), json!(203))] {
        let wanted = json!({ "mode": "pppoe", "username": "amina@isp", "vlan": vlan });
        let intents = bed.put(&format!("{place}/intents/internet"), wanted).await;
        assert_eq!(intents.json()["internet"]["vlan"], then, "{vlan}");
    }
    for vlan in [json!(4095), json!("untagged")] {
        let wanted = json!({ "mode": "pppoe", "username": "amina@isp", "vlan": vlan });
        let got = bed.put(&format!("{place}/intents/internet"), wanted).await;
        got.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(got.json()["errors"][0]["field"], "vlan", "{}", got.text);
    }
    let wanted = json!({ "wifi": { "ssid": "Οικία Παπαδοπούλου" } });
    let got = bed.put(&format!("{place}/intents/access"), wanted).await;
    got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let got = bed.put(&format!("{place}/intents/access"), json!({ "wifi": { "ssid": "Amina" } })).await;
    assert_eq!(got.json()["access"]["wifi"][1]["ssid"], "Amina");

    bed.post(&format!("{place}/suspend"), json!({ "reason": "mood" }))
        .await
        .problem(StatusCode::UNPROCESSABLE_ENTITY);
    let got = bed.post(&format!("{place}/suspend"), json!({ "reason": "unpaid" })).await;
    assert_eq!((&got.json()["state"], &got.json()["deny_reason"]), (&json!("suspended"), &json!("unpaid")));
    bed.post(&format!("{place}/suspend"), json!({ "reason": "unpaid" })).await.problem(StatusCode::CONFLICT);
    let got = bed.post(&format!("{place}/resume"), json!({})).await;
    assert_eq!((got.status, &got.json()["state"]), (StatusCode::OK, &json!("reserved")));

    let plan_now = bed.get(&format!("/api/v1/plans/{plan}")).await.json();
    assert_eq!(plan_now["services"], 1);
    let change = json!({ "name": "Home 200", "down_kbps": 200_000, "up_kbps": 50_000, "price_minor": 3000,
        "currency": "EUR", "internet_mode": "pppoe", "active": false });
    assert_eq!(bed.put(&format!("/api/v1/plans/{plan}"), change).await.json()["active"], false);
    let late = bed.post("/api/v1/services", json!({ "customer_id": customer, "plan_id": plan })).await;
    late.problem(StatusCode::CONFLICT);

    let lines = bed.get(&format!("/api/v1/timeline?service_id={id}")).await.json();
    let codes: Vec<&Value> =
        lines["items"].as_array().expect("lines").iter().map(|line| &line["code"]).collect();
    assert_eq!(codes.first(), Some(&&json!("service_resumed")), "newest first");
    let found = bed.get("/api/v1/search?q=amina").await.json();
    let hrefs: Vec<&str> =
        found["items"].as_array().expect("hits").iter().filter_map(|hit| hit["href"].as_str()).collect();
    assert!(hrefs.contains(&place.as_str()), "{hrefs:?}");
    let audit = bed.get("/api/v1/audit?q=service.internet").await.json();
    assert_eq!((&audit["total"], &audit["items"][0]["actor"]), (&json!(4), &json!("key:for a test")));
}

/// A device that never spoke.
async fn device(bed: &Bed) -> i64 {
    let now = bed.app.now();
    let cpe = rows::Cpe {
        serial_number: "485754437D4733C3".into(),
        pon_serial: Some("HWTC-7D4733C3".parse().expect("a serial")),
        state: "DISCOVERED".into(),
        machine: serde_json::to_value(Device::new(now)).expect("json").into(),
        state_since: now,
        created_at: now,
        quarantine: true,
        ..Default::default()
    };
    let made: Result<CpeId, store::StoreError> =
        bed.app.store().write(move |tx| Box::pin(async move { tx.insert(&cpe).await })).await;
    made.expect("a CPE").0
}

#[tokio::test]
async fn a_tag_finds_a_cpe() {
    let bed = Bed::new().await;
    let place = format!("/api/v1/cpes/{}", device(&bed).await);
    let tagged = async |tag: &str| bed.get(&format!("/api/v1/cpes?tag={tag}")).await.json()["total"].clone();
    let got = bed.post(&format!("{place}/tag"), json!({ "tag": " north " })).await;
    assert_eq!((got.status, &got.json()["tags"][0]["tag"]), (StatusCode::OK, &json!("north")));
    let again = bed.post(&format!("{place}/tag"), json!({ "tag": "north" })).await;
    assert_eq!(again.json()["tags"].as_array().map(Vec::len), Some(1));
    assert_eq!((tagged("north").await, tagged("south").await), (json!(1), json!(0)));
    bed.post(&format!("{place}/tag"), json!({ "tag": " " })).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    bed.post("/api/v1/cpes/99/tag", json!({ "tag": "x" })).await.problem(StatusCode::NOT_FOUND);
    let told = bed.get(&format!("{place}/timeline")).await.json()["items"].clone();
    let lines = told.as_array().expect("lines").iter().filter(|line| line["code"] == "cpe_tag").count();
    assert_eq!(lines, 1, "what changed nothing is not told");
    let gone = bed.post(&format!("{place}/untag"), json!({ "tag": "north" })).await;
    assert_eq!((gone.status, &gone.json()["tags"]), (StatusCode::OK, &json!([])));
    assert_eq!(tagged("north").await, json!(0));
}

#[tokio::test]
async fn an_operator_at_a_cpe() {
    let bed = Bed::new().await;
    let id = device(&bed).await;
    let place = format!("/api/v1/cpes/{id}");
    let cpe = bed.get(&place).await.json();
    assert_eq!(
        (&cpe["cpe"]["state"], &cpe["cpe"]["pon_serial"], &cpe["hold"]),
        (&json!("DISCOVERED"), &json!("HWTC-7D4733C3"), &Value::Null)
    );
    let held = bed.post(&format!("{place}/hold"), json!({ "reason": "the street is dug up" })).await;
    assert_eq!(
        (held.status, &held.json()["hold"]["by"]),
        (StatusCode::OK, &json!("key:for a test")),
        "{}",
        held.text
    );
    assert_eq!(held.json()["hold"]["reason"], "the street is dug up");
    let gates = held.json()["gates"].as_array().cloned().unwrap_or_default();
    let names: Vec<&str> = gates.iter().filter_map(|gate| gate["gate"].as_str()).collect();
    assert_eq!(names, ["clock", "hold", "intent", "back_off", "cool_down", "identity", "family"]);
    let closed: Vec<&str> = gates
        .iter()
        .filter(|gate| gate["open"] == json!(false) && gate["closed"]["text"].is_string())
        .filter_map(|gate| gate["gate"].as_str())
        .collect();
    assert_eq!(closed, ["clock", "hold", "intent", "identity", "family"], "every one, not only the first");
    let released = bed.post(&format!("{place}/release-hold"), json!({})).await;
    assert_eq!((released.status, &released.json()["hold"]), (StatusCode::OK, &Value::Null));
    for (order, status) in
        [("retry", StatusCode::ACCEPTED), ("call", StatusCode::ACCEPTED), ("override-clock", StatusCode::OK)]
    {
        let got = bed.post(&format!("{place}/{order}"), json!({})).await;
        assert_eq!(got.status, status, "{order}: {}", got.text);
    }
    assert_eq!(bed.get(&place).await.json()["clock"]["overridden_by"], "key:for a test");
    let lines = bed.get(&format!("{place}/timeline?size=100")).await.json();
    let told = lines["items"].as_array().expect("lines");
    assert!(
        told.iter().any(|line| line["code"] == "cpe_hold"
            && line["actor"] == "key:for a test"
            && line["text"] == "Provisioning held: the street is dug up"),
        "{lines}"
    );
    bed.post(&format!("{place}/hold"), json!({ "reason": "why ".repeat(51) }))
        .await
        .problem(StatusCode::UNPROCESSABLE_ENTITY);
    let detail = bed.post(&format!("{place}/release"), json!({})).await.problem(StatusCode::CONFLICT);
    assert!(detail.contains("no service"), "{detail}");
    bed.post(&format!("{place}/claim"), json!({ "service_id": 77 })).await.problem(StatusCode::NOT_FOUND);
    bed.post(&format!("{place}/hold"), json!({ "why": 1 })).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(bed.get("/api/v1/cpes?quarantine=true&q=HWTC-7D47").await.json()["total"], 1);
}

#[tokio::test]
async fn one_of_the_wans_that_were_found_is_chosen() {
    let bed = Bed::new().await;
    let id = device(&bed).await;
    let place = format!("/api/v1/cpes/{id}");
    assert_eq!(bed.get(&place).await.json()["wan_question"], Value::Null);
    let path = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.3.WANPPPConnection.1.";
    let input = json!({ "path": path });
    let detail = bed.post(&format!("{place}/choose-wan"), input.clone()).await.problem(StatusCode::CONFLICT);
    assert!(detail.contains("no question open"), "{detail}");
    let mut asked = Device::new(bed.app.now());
    asked.wan_question = Some(provisioning::WanQuestion {
        read_at: bed.app.now(),
        candidates: vec![provisioning::WanCandidate {
            path: path.into(),
            name: "3_INTERNET".into(),
            vlan: Some(200),
            kind: "IP_Routed".into(),
            enabled: true,
            status: "Connected".into(),
        }],
    });
    let asked = serde_json::to_value(asked).expect("json");
    let stored: Result<(), store::StoreError> = bed
        .app
        .store()
        .write(move |tx| {
            let asked = asked.clone();
            Box::pin(async move {
                let mut row: rows::Cpe = tx.require(CpeId(id)).await?;
                row.machine = asked.into();
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        })
        .await;
    stored.expect("stored");
    let shown = bed.get(&place).await.json();
    assert_eq!(shown["wan_question"]["candidates"][0]["path"], path);
    assert_eq!(shown["wan_question"]["chosen"], Value::Null);
    bed.post(&format!("{place}/choose-wan"), json!({ "path": "Device.X." }))
        .await
        .problem(StatusCode::CONFLICT);
    let chosen = bed.post(&format!("{place}/choose-wan"), input).await;
    assert_eq!(chosen.status, StatusCode::ACCEPTED, "{}", chosen.text);
    let answer = chosen.json();
    assert_eq!(
        (&answer["wan_question"]["chosen"], &answer["wan_question"]["chosen_by"]),
        (&json!(path), &json!("key:for a test"))
    );
}

#[tokio::test]
async fn a_cpe_is_claimed_and_released() {
    let bed = Bed::new().await;
    let (customer, plan) = (bed.customer("Amina").await, bed.plan().await);
    let service = bed.make("/api/v1/services", json!({ "customer_id": customer, "plan_id": plan })).await;
    let place = format!("/api/v1/cpes/{}", device(&bed).await);
    let elsewhere = json!({ "service_id": service, "address": "10.20.3.9" });
    let refused = bed.post(&format!("{place}/claim"), elsewhere).await.problem(StatusCode::CONFLICT);
    assert!(refused.to_string().contains("10.20.3.9"), "{refused}");
    let claimed = bed.post(&format!("{place}/claim"), json!({ "service_id": service })).await;
    assert_eq!(claimed.status, StatusCode::OK, "{}", claimed.text);
    assert_eq!(claimed.json()["claimants"], json!([]), "{}", claimed.text);
    assert_eq!(claimed.json()["cpe"]["service"]["id"], service, "{}", claimed.text);
    let released = bed.post(&format!("{place}/release"), json!({})).await;
    assert_eq!((released.status, &released.json()["cpe"]["service"]), (StatusCode::OK, &Value::Null));
    let lines = bed.get(&format!("{place}/timeline?size=100")).await.json();
    let codes: Vec<&Value> = lines["items"].as_array().expect("lines").iter().map(|l| &l["code"]).collect();
    assert!(codes.contains(&&json!("cpe_release")), "{codes:?}");
    let audit = bed.get("/api/v1/audit?q=cpe.&sort=action").await.json();
    let actions: Vec<&Value> =
        audit["items"].as_array().expect("lines").iter().map(|line| &line["action"]).collect();
    assert_eq!(actions, ["cpe.claim", "cpe.release"]);
}

#[tokio::test]
async fn a_task_that_needs_somebody_is_closed() {
    let bed = Bed::new().await;
    let olt = bed.olt().await;
    let order = json!({ "olt_id": olt, "pon": "0/1/3", "serial": "HWTC-7D4733C3" });
    let task = bed.post("/api/v1/authorisations", order).await.json()["id"].as_i64().expect("a task");
    let place = format!("/api/v1/tasks/{task}");
    let detail = bed.post(&format!("{place}/close"), json!({})).await.problem(StatusCode::CONFLICT);
    assert!(detail.contains("pending"), "{detail}");
    let stuck = store::tasks::TaskMove {
        from: store::OltTaskState::Pending,
        to: store::OltTaskState::NeedsOperator,
        step: "",
        reason: "a line was refused",
    };
    let now = bed.app.now();
    let moved: Result<(), store::StoreError> = bed
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                store::tasks::transition(tx, types::OltTaskId(task), stuck, now)
                    .await?
                    .or_overtaken("the task")
            })
        })
        .await;
    moved.expect("moved");
    let closed = bed.post(&format!("{place}/close"), json!({})).await;
    assert_eq!(
        (closed.status, &closed.json()["state"]),
        (StatusCode::OK, &json!("undone")),
        "{}",
        closed.text
    );
    assert!(closed.json()["reason"].as_str().is_some_and(|why| why.starts_with("Closed by key:for a test")));
}

#[tokio::test]
async fn an_order_is_cancelled_before_it_begins_and_no_later() {
    let bed = Bed::new().await;
    let olt = bed.olt().await;
    let order = json!({ "olt_id": olt, "pon": "0/1/3", "serial": "HWTC-7D4733C3" });
    let task = bed.post("/api/v1/authorisations", order.clone()).await.json();
    assert_eq!(
        (&task["tries"], &task["next_try_at"], &task["lines_left"]),
        (&json!(0), &Value::Null, &json!([]))
    );
    let place = format!("/api/v1/tasks/{}", task["id"]);
    let detail = bed.post(&format!("{place}/give-up"), json!({})).await.problem(StatusCode::CONFLICT);
    assert!(detail.contains("cancel it instead"), "{detail}");
    let cancelled = bed.post(&format!("{place}/cancel"), json!({})).await;
    assert_eq!(
        (cancelled.status, &cancelled.json()["state"]),
        (StatusCode::OK, &json!("cancelled")),
        "{}",
        cancelled.text
    );
    for way in ["cancel", "give-up", "resume", "close"] {
        let detail = bed.post(&format!("{place}/{way}"), json!({})).await.problem(StatusCode::CONFLICT);
        assert!(detail.contains("cancelled"), "{way}: {detail}");
    }
    let listed = bed.get("/api/v1/tasks?state=cancelled").await.json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed}");
    // The next one is ordered as if there had been none.
    assert_eq!(bed.post("/api/v1/authorisations", order).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn settings_that_would_hurt_are_refused_field_by_field() {
    let bed = Bed::new().await;
    let before = bed.get("/api/v1/settings/acs").await.json();
    let mut wanted = before.clone();
    wanted["provisioning"]["inform_interval_s"] = json!(1);
    wanted["provisioning"]["ntp_servers"] = json!([]);
    let got = bed.put("/api/v1/settings/acs", json!({ "settings": wanted })).await;
    got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let named = |got: &Value| -> Vec<String> {
        let errors = got["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(|wrong| Some(wrong["field"].as_str()?.to_owned())).collect()
    };
    assert_eq!(
        named(&got.json()),
        ["settings.provisioning.inform_interval_s", "settings.provisioning.ntp_servers"],
        "{}",
        got.text
    );
    for (place, value, field) in [
        ("/provisioning/cool_down_s", json!(0), "settings.provisioning.cool_down_s"),
        ("/provisioning/cool_down_s", json!(-1), "settings.provisioning.cool_down_s"),
        ("/provisioning/back_off_s", json!([900, "x"]), "settings.provisioning.back_off_s[1]"),
        ("/management_networks", json!(["0.0.0.0/0"]), "settings.management_networks"),
        ("/management_networks", json!(["10.20.0.0/16", "::/0"]), "settings.management_networks"),
        ("/management_networks", json!(["10.20.0.0/16", "fd00:20::1/48"]), "settings.management_networks[1]"),
        ("/olt_word_valid_s", json!(10_000_000), "settings.olt_word_valid_s"),
    ] {
        let mut settings = before.clone();
        *settings.pointer_mut(place).expect("a setting") = value;
        let got = bed.put("/api/v1/settings/acs", json!({ "settings": settings })).await;
        got.problem(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(named(&got.json()), [field], "{}", got.text);
    }
    let short = json!({ "settings": before, "first_contact_password": "1234567" });
    let got = bed.put("/api/v1/settings/acs", short).await;
    assert_eq!(named(&got.json()), ["first_contact_password"], "{}", got.text);
    wanted["management_networks"] = json!(["10.20.3.0/16"]);
    let detail = bed
        .put("/api/v1/settings/acs", json!({ "settings": wanted }))
        .await
        .problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(detail.contains("10.20.0.0/16"), "{detail}");
    assert_eq!(bed.get("/api/v1/settings/acs").await.json(), before, "nothing changed");
}

#[tokio::test]
async fn whom_the_management_networks_keep_out_is_told_to_programs() {
    let bed = Bed::new().await;
    app::ports::CpeFrontDoor::refused(&*bed.app, std::net::IpAddr::from([10, 21, 3, 4]));
    bed.app.write_refused().await.expect("written down");
    let refused = bed.get("/api/v1/settings/acs/refused-addresses").await.json();
    assert_eq!((&refused["has_networks"], &refused["last_hour"]), (&json!(false), &json!(1)));
    let first = &refused["addresses"][0];
    assert_eq!(
        (&first["address"], &first["perhaps_network"], &first["times"]),
        (&json!("10.21.3.4"), &json!("10.21.0.0/16"), &json!(1))
    );
    let problems = bed.get("/api/v1/overview/problems").await.json();
    let first = &problems["items"][0];
    assert_eq!((&first["severity"], &first["title"]), (&json!("bad"), &refused["trouble"]), "{problems}");
    // What the internet has is taken only from who says that it is meant.
    let mut settings = bed.get("/api/v1/settings/acs").await.json();
    settings["management_networks"] = json!(["10.21.0.0/16", "8.8.8.0/24"]);
    let got = bed.put("/api/v1/settings/acs", json!({ "settings": settings })).await;
    let detail = got.problem(StatusCode::UNPROCESSABLE_ENTITY);
    assert!(detail.contains("8.8.8.0/24 holds addresses of the internet"), "{detail}");
    let meant = json!({ "settings": settings, "public_networks_meant": true });
    assert_eq!(bed.put("/api/v1/settings/acs", meant).await.status, StatusCode::OK);
    assert_eq!(bed.get("/api/v1/overview/problems").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_model_is_let_pass_without_a_clock_and_withdrawn() {
    let bed = Bed::new().await;
    let place = "/api/v1/settings/acs/clock-waivers";
    assert_eq!(bed.get(place).await.json(), json!([]));
    let of = |more: serde_json::Value| {
        let mut body = json!({ "manufacturer": "Huawei", "product_class": "HG8546M" });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    bed.post(place, of(json!({ "reason": "" }))).await.problem(StatusCode::UNPROCESSABLE_ENTITY);
    // Without a maker it would count for everybody who calls a model so: refused, with words.
    let refused = bed.post(place, json!({ "product_class": "HG8546M", "reason": "stands still" })).await;
    assert!(refused.text.contains("other makers use the same model names"), "{}", refused.text);
    refused.problem(StatusCode::UNPROCESSABLE_ENTITY);
    let made = bed.post(place, of(json!({ "reason": "stands still" }))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let listed = bed.get(place).await.json();
    assert_eq!(listed, json!([made.json()]));
    assert_eq!((&listed[0]["manufacturer"], &listed[0]["by"]), (&json!("Huawei"), &json!("key:for a test")));
    bed.post(place, of(json!({ "product_class": "hg8546m", "reason": "again" })))
        .await
        .problem(StatusCode::CONFLICT);
    let withdraw = format!("{place}/withdraw");
    let left = bed.post(&withdraw, of(json!({}))).await;
    assert_eq!((left.status, left.json()), (StatusCode::OK, json!([])));
    bed.post(&withdraw, of(json!({}))).await.problem(StatusCode::NOT_FOUND);

    let place = "/api/v1/settings/acs/kept-intervals";
    bed.post(place, of(json!({ "interval_s": 5, "reason": "it clamps" })))
        .await
        .problem(StatusCode::UNPROCESSABLE_ENTITY);
    let made = bed.post(place, of(json!({ "interval_s": 43_200, "reason": "it clamps" }))).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(bed.get(place).await.json(), json!([made.json()]));
    let left = bed.post(&format!("{place}/withdraw"), of(json!({}))).await;
    assert_eq!((left.status, left.json()), (StatusCode::OK, json!([])));
    let audit = bed.get("/api/v1/audit?q=clock_waivers").await.json();
    assert_eq!(audit["total"], 2, "{audit}");
}

#[tokio::test]
async fn changes_are_told_as_they_happen() {
    let bed = Bed::new().await;
    let asked = request(&bed.key, Method::GET, "/api/v1/events?topics=customers", None);
    let response = bed.begin(asked).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    bed.customer("Amina").await;
    let heard = async {
        let mut text = String::new();
        while let Some(frame) = body.frame().await {
            let data = frame.expect("a frame").into_data().unwrap_or_default();
            text.push_str(&String::from_utf8_lossy(&data));
            if text.contains("event: customers") || text.contains("event:customers") {
                return text;
            }
        }
        text
    };
    let text = tokio::time::timeout(std::time::Duration::from_secs(120), heard).await.expect("it is told");
    assert!(text.contains("customers"), "{text}");
}
