//! Tasks: what is queued, what is refused, who may, and what waiting for one tells.

use super::*;
use types::{DeviceOrderId, ServiceId};

pub(super) const DEVICE: &str = "00259E-HG8546M-4857544300000001";
const INFO: &str = "InternetGatewayDevice.DeviceInfo";

impl Nbi {
    /// Two devices; the second belongs to a service, so that it can be told more than to be read.
    pub(super) async fn with_service() -> Nbi {
        let nbi = Nbi::with(2).await;
        let (service, _, _) = nbi.bed.seeded().await;
        nbi.link(service).await;
        nbi
    }

    async fn link(&self, service: ServiceId) {
        let written = self.bed.app.store().write::<_, _, StoreError>(move |tx| {
            Box::pin(async move {
                let mut row: rows::Cpe = tx.require(CpeId(2)).await?;
                row.service_id = Some(service);
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        });
        written.await.expect("written");
    }

    pub(super) async fn post_as(&self, key: &str, path: &str, body: &str) -> Answer {
        let request = Request::post(format!("/nbi{path}")).header("x-api-key", key);
        self.bed.send(request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    async fn order(&self, query: &str, task: &Value) -> Answer {
        self.post_as(&self.key, &format!("/devices/{DEVICE}/tasks{query}"), &task.to_string()).await
    }

    pub(super) async fn queued(&self, task: Value) -> Value {
        let answer = self.order("", &task).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{task}: {}", answer.text);
        serde_json::from_str(&answer.text).expect("a task")
    }

    /// Lets a call to the device end so.
    pub(super) async fn called(&self, outcome: &'static str) {
        let call = rows::ConnectionRequest {
            cpe_id: CpeId(2),
            at: NOW,
            outcome: outcome.into(),
            detail: "It cannot be reached.".into(),
            ..rows::ConnectionRequest::default()
        };
        let written =
            self.bed.app.store().write::<_, _, StoreError>(move |tx| {
                Box::pin(async move { tx.insert(&call).await.map(drop) })
            });
        written.await.expect("written");
    }

    /// Lets an order end as a session with its device would.
    pub(super) async fn ends(&self, order: i64, state: &'static str) {
        let row = self.bed.app.device_order(DeviceOrderId(order)).await.expect("an order");
        let news = store::orders::News {
            key: row.key,
            state: state.into(),
            text: "The device refused it.".into(),
            fault_code: 9005,
            fault_text: "Invalid parameter name".into(),
            ended_at: Some(NOW),
            ..store::orders::News::default()
        };
        let written = self.bed.app.store().write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { store::orders::note(tx, &news).await })
        });
        written.await.expect("written");
        // As the machine would: it knows of the order no more.
        let written = self.bed.app.store().write::<_, _, StoreError>(|tx| {
            Box::pin(async move {
                let mut row: rows::Cpe = tx.require(CpeId(2)).await?;
                let mut machine = row.machine.value();
                if let Some(fields) = machine.as_object_mut() {
                    fields.remove("orders");
                }
                row.machine = machine.into();
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        });
        written.await.expect("written");
    }
}

fn id(task: &Value) -> String {
    task["_id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn a_task_is_queued_listed_and_withdrawn() {
    let nbi = Nbi::with_service().await;
    let task = nbi.queued(json!({ "name": "refreshObject", "objectName": INFO })).await;
    let id = id(&task);
    assert!(id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(task["device"], DEVICE);
    assert_eq!((&task["name"], &task["objectName"]), (&json!("refreshObject"), &json!(format!("{INFO}."))));
    assert_eq!(task["timestamp"], "2026-11-21T14:30:00.000Z");
    assert_eq!(task["expiry"], "2026-11-22T14:30:00.000Z");
    assert_eq!(task["status"], "waiting");
    let other = nbi.queued(json!({ "name": "reboot" })).await;
    for (query, found) in [
        (json!({}), 2),
        (json!({ "device": DEVICE }), 2),
        (json!({ "device": "00259E-HG%2D8546M-4857544300000000" }), 0),
        (json!({ "device": "nobody" }), 0),
        (json!({ "_id": id }), 1),
        (json!({ "name": "re*" }), 2),
        (json!({ "name": { "$ne": "reboot" }, "status": "waiting" }), 1),
        (json!({ "timestamp": { "$gt": "2026-11-21T14:30:01Z" } }), 0),
    ] {
        assert_eq!(nbi.list("tasks", &[("query", &query.to_string())]).await.0, found, "{query}");
    }
    let (_, few) = nbi.list("tasks", &[("projection", "name"), ("sort", r#"{"name": -1}"#)]).await;
    assert_eq!(few[0], json!({ "_id": id, "name": "refreshObject" }));
    let one = nbi.ask(Method::GET, &format!("/tasks/{id}")).await;
    assert_eq!(serde_json::from_str::<Value>(&one.text).expect("a task"), task);
    // Trying again what is open changes nothing.
    assert_eq!(nbi.ask(Method::POST, &format!("/tasks/{id}/retry")).await.status, StatusCode::OK);
    assert_eq!(nbi.list("tasks", &[]).await.0, 2);
    let deleted = nbi.ask(Method::DELETE, &format!("/tasks/{id}")).await;
    assert_eq!((deleted.status, deleted.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(nbi.list("tasks", &[]).await.1, [other]);
    let order = nbi.bed.app.device_order(DeviceOrderId(1)).await.expect("it is kept");
    assert_eq!(order.state, "cancelled");
    let unknown = format!("{}ff", &id[..22]);
    for path in [id.as_str(), unknown.as_str(), "5f", "000000000000000000000002", &"z".repeat(24)] {
        for (method, path) in
            [(Method::DELETE, format!("/tasks/{path}")), (Method::POST, format!("/tasks/{path}/retry"))]
        {
            let gone = nbi.ask(method.clone(), &path).await;
            assert_eq!(
                (gone.status, gone.text.as_str()),
                (StatusCode::NOT_FOUND, "Task not found"),
                "{path}"
            );
        }
    }
    // Whoever has its id is told what became of it.
    let kept = nbi.ask(Method::GET, &format!("/tasks/{id}")).await;
    assert!(kept.text.contains("\"status\":\"cancelled\""), "{}", kept.text);
}

#[tokio::test]
async fn tasks_are_orders_of_the_same_meaning() {
    let nbi = Nbi::with_service().await;
    for (asked, kind, shown) in [
        (
            json!({ "name": "getParameterValues", "parameterNames": [format!("{INFO}.UpTime"), INFO, "Device.X"] }),
            "refresh",
            json!({ "kind": "refresh", "path": format!("{INFO}.UpTime"), "also": [format!("{INFO}."), "Device.X"] }),
        ),
        (
            json!({ "name": "getParameterValues", "parameterNames": [format!("{INFO}.UpTime")] }),
            "refresh",
            json!({ "kind": "refresh", "path": format!("{INFO}.UpTime") }),
        ),
        (
            json!({ "name": "setParameterValues", "parameterValues": [
                [format!("{ROOT}.LANDevice.1.WLANConfiguration.1.Enable"), false],
                [format!("{ROOT}.X.Channel"), 11, "xsd:unsignedInt"],
                [format!("{ROOT}.X.PreSharedKey"), "correct-horse"],
            ] }),
            "set",
            json!({ "kind": "set", "values": [
                { "path": format!("{ROOT}.LANDevice.1.WLANConfiguration.1.Enable"), "value": "false", "type": "boolean" },
                { "path": format!("{ROOT}.X.Channel"), "value": "11", "type": "unsignedInt" },
                { "path": format!("{ROOT}.X.PreSharedKey"), "value": "••••••••", "type": "string" },
            ] }),
        ),
        (json!({ "name": "reboot", "expiry": 3600 }), "reboot", json!({ "kind": "reboot" })),
        (
            json!({ "name": "factoryReset", "expiry": "2026-11-21T15:30:00Z", "timestamp": "2026-11-21T14:00:00Z" }),
            "factory_reset",
            json!({ "kind": "factory_reset" }),
        ),
    ] {
        let task = nbi.queued(asked.clone()).await;
        assert!(!task.to_string().contains("correct-horse"));
        assert_eq!(task["name"], asked["name"]);
        let number = i64::from_str_radix(&id(&task)[8..], 16).expect("a number");
        let order = nbi.bed.app.device_order(DeviceOrderId(number)).await.expect("an order");
        assert_eq!((order.kind.as_str(), &order.shown), (kind, &shown));
        assert!(order.actor.contains("a tool"), "{}", order.actor);
        if asked.get("expiry").is_some() {
            assert_eq!(task["expiry"], "2026-11-21T15:30:00.000Z");
        }
    }
    let (_, tasks) = nbi.list("tasks", &[("query", r#"{"name": "setParameterValues"}"#)]).await;
    assert_eq!(
        tasks[0]["parameterValues"][2],
        json!([format!("{ROOT}.X.PreSharedKey"), "••••••••", "xsd:string"]),
        "a secret is told to nobody again"
    );
}

/// As pygenieacs writes a task, whose own shape GenieACS does not know.
#[tokio::test]
async fn a_command_with_its_params_is_the_task_of_that_name() {
    let nbi = Nbi::with_service().await;
    for (asked, name, object) in [
        (json!({ "command": "refreshObject", "params": { "objectName": INFO } }), "refreshObject", true),
        (json!({ "command": "reboot", "params": {} }), "reboot", false),
        // Where GenieACS would find a name, that one counts.
        (json!({ "name": "refreshObject", "objectName": INFO, "command": "reboot" }), "refreshObject", true),
        (
            json!({ "command": "refreshObject", "params": { "name": "reboot", "objectName": INFO } }),
            "refreshObject",
            true,
        ),
    ] {
        let task = nbi.queued(asked.clone()).await;
        assert_eq!(task["name"], name, "{asked}");
        assert_eq!(task["objectName"] == format!("{INFO}."), object, "{asked}");
    }
    for asked in [
        json!({ "command": "jump", "params": {} }),
        json!({ "command": 1, "params": { "objectName": INFO } }),
        json!({ "command": "refreshObject", "params": [INFO] }),
        json!({ "params": { "name": "reboot" } }),
    ] {
        let answer = nbi.order("", &asked).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{asked}: {}", answer.text);
    }
    assert_eq!(nbi.list("tasks", &[]).await.0, 4);
}

#[tokio::test]
async fn what_cannot_be_ordered_is_refused_and_nothing_is_queued() {
    let nbi = Nbi::with_service().await;
    let set = |values: Value| json!({ "name": "setParameterValues", "parameterValues": values });
    for (asked, status, named) in [
        (json!([{ "name": "reboot" }]), 400, "one JSON object"),
        (json!({}), 400, "name"),
        (json!({ "name": "jump" }), 400, "no task of this name"),
        (json!({ "name": "addObject", "objectName": "Device.X" }), 501, "Objects"),
        (json!({ "name": "deleteObject", "objectName": "Device.X.1" }), 501, "Objects"),
        (json!({ "name": "download", "file": "a.bin" }), 501, "Files"),
        (json!({ "name": "provisions", "provisions": [["a"]] }), 501, "scripts"),
        (json!({ "name": "reboot", "uniqueKey": "a" }), 501, "uniqueKey"),
        (json!({ "name": "reboot", "timestamp": "2026-12-01T00:00:00Z" }), 501, "later"),
        (json!({ "name": "reboot", "timestamp": "soon" }), 400, "timestamp"),
        (json!({ "name": "reboot", "timestamp": true }), 400, "timestamp"),
        (json!({ "name": "reboot", "expiry": true }), 400, "expiry"),
        (json!({ "name": "reboot", "expiry": 5 }), 400, "between"),
        (json!({ "name": "getParameterValues", "parameterNames": [] }), 400, "parameterNames"),
        (json!({ "name": "getParameterValues", "parameterNames": [1] }), 400, "parameterNames"),
        (json!({ "name": "getParameterValues", "parameterNames": ["a b"] }), 400, "path"),
        (json!({ "name": "refreshObject" }), 400, "objectName"),
        (json!({ "name": "refreshObject", "objectName": "" }), 400, "data model"),
        (set(json!([])), 400, "parameterValues"),
        (set(json!([["Device.X", {}]])), 400, "parameterValues"),
        (set(json!([["Device.X", "1", "xsd:float"]])), 400, "xsd:string"),
        (set(json!([["Device.X", "1"]])), 400, "never read"),
        (set(json!([[format!("{INFO}.UpTime"), "soon"]])), 400, "whole number"),
        (set(json!([["Device.ManagementServer.URL", "http://a/", "xsd:string"]])), 400, "management"),
    ] {
        let answer = nbi.order("?connection_request", &asked).await;
        assert_eq!(answer.status.as_u16(), status, "{asked}: {}", answer.text);
        assert!(answer.text.contains(named), "{asked}: {}", answer.text);
    }
    for (body, named) in [("{", "SyntaxError"), ("", "connection_request")] {
        let answer = nbi.post_as(&nbi.key, &format!("/devices/{DEVICE}/tasks"), body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.text.contains(named), "{}", answer.text);
    }
    let wrong = nbi.order("?timeout=soon", &json!({ "name": "reboot" })).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST, "{}", wrong.text);
    let missing = nbi.post_as(&nbi.key, "/devices/a-b-c/tasks", r#"{"name": "reboot"}"#).await;
    assert_eq!((missing.status, missing.text.as_str()), (StatusCode::NOT_FOUND, "No such device"));
    let long = format!("{{\"name\": \"{}\"}}", "x".repeat(70_000));
    let long = nbi.post_as(&nbi.key, &format!("/devices/{DEVICE}/tasks"), &long).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    // The first device belongs to no service: it is read and nothing else.
    let foreign = "/devices/00259E-HG%252D8546M-4857544300000000/tasks";
    let told = nbi.post_as(&nbi.key, foreign, r#"{"name": "reboot"}"#).await;
    assert_eq!(told.status, StatusCode::CONFLICT, "{}", told.text);
    assert_eq!(nbi.list("tasks", &[]).await.0, 0);
}

#[tokio::test]
async fn a_key_may_order_what_its_scopes_say() {
    let nbi = Nbi::with_service().await;
    let tasks = [
        (json!({ "name": "refreshObject", "objectName": INFO }), Permission::OperateCpe),
        (
            json!({ "name": "setParameterValues", "parameterValues": [["Device.X", "1", "xsd:string"]] }),
            Permission::ConfigureCpe,
        ),
        (json!({ "name": "reboot" }), Permission::RestartCpe),
    ];
    for (_, scope) in &tasks {
        let key = key(&nbi.bed, &[*scope]).await;
        for (task, needed) in &tasks {
            let path = format!("/devices/{DEVICE}/tasks");
            let answer = nbi.post_as(&key, &path, &task.to_string()).await;
            let expected = if needed == scope { StatusCode::ACCEPTED } else { StatusCode::FORBIDDEN };
            assert_eq!(answer.status, expected, "{task} with {scope:?}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn what_failed_stands_until_it_is_tried_again_or_deleted() {
    let nbi = Nbi::with_service().await;
    let task = nbi.queued(json!({ "name": "refreshObject", "objectName": INFO })).await;
    nbi.ends(1, "failed").await;
    let (_, standing) = nbi.list("tasks", &[]).await;
    assert_eq!(standing[0]["_id"], task["_id"]);
    assert_eq!(
        (&standing[0]["status"], &standing[0]["fault"]["code"]),
        (&json!("failed"), &json!("cwmp.9005")),
        "nobody takes it for done"
    );
    let again = nbi.ask(Method::POST, &format!("/tasks/{}/retry", id(&task))).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    let again: Value = serde_json::from_str(&again.text).expect("a task");
    assert_ne!(again["_id"], task["_id"]);
    assert_eq!(
        nbi.list("tasks", &[]).await.1,
        std::slice::from_ref(&again),
        "the new one stands for the old one"
    );
    nbi.ends(2, "expired").await;
    assert_eq!(nbi.ask(Method::DELETE, &format!("/tasks/{}", id(&again))).await.status, StatusCode::OK);
    assert_eq!(nbi.list("tasks", &[]).await.0, 0);
    // What was done is over.
    nbi.queued(json!({ "name": "refreshObject", "objectName": INFO })).await;
    nbi.ends(3, "done").await;
    assert_eq!(nbi.list("tasks", &[]).await.0, 0);
    // A restart is told once, and a secret is not kept.
    let psk = format!("{ROOT}.X.PreSharedKey");
    for (order, task, named) in [
        (4, json!({ "name": "reboot" }), "told once"),
        (5, json!({ "name": "setParameterValues", "parameterValues": [[psk, "correct-horse"]] }), "not kept"),
    ] {
        let task = nbi.queued(task).await;
        nbi.ends(order, "failed").await;
        let refused = nbi.ask(Method::POST, &format!("/tasks/{}/retry", id(&task))).await;
        assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
        assert!(refused.text.contains(named), "{}", refused.text);
    }
    assert_eq!(nbi.list("tasks", &[]).await.0, 2);
}

/// A write that left is not made undone by deleting its task, and nobody is told so.
#[tokio::test]
async fn what_the_device_may_have_taken_is_deleted_knowingly() {
    let nbi = Nbi::with_service().await;
    let code = format!("{INFO}.ProvisioningCode");
    let asked = json!({ "name": "setParameterValues", "parameterValues": [[code, "fibre-7", "xsd:string"]] });
    let path = format!("/tasks/{}", id(&nbi.queued(asked).await));
    let written = nbi.bed.app.store().write::<_, _, StoreError>(|tx| {
        Box::pin(async move {
            let mut row: rows::Cpe = tx.require(CpeId(2)).await?;
            let mut machine = row.machine.value();
            machine["orders"][0]["written"] = json!(true);
            row.machine = machine.into();
            tx.update(&row).await?.or_overtaken("the CPE")
        })
    });
    written.await.expect("written");
    let refused = nbi.ask(Method::DELETE, &path).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{}", refused.text);
    assert!(refused.text.contains("may have been told and have taken some of it"), "{}", refused.text);
    assert_eq!(nbi.list("tasks", &[]).await.1[0]["status"], "failed", "it stands until that was read");
    assert_eq!(nbi.ask(Method::DELETE, &path).await.status, StatusCode::OK);
    assert_eq!(nbi.list("tasks", &[]).await.0, 0);
}

#[tokio::test]
async fn whoever_orders_is_told_what_to_know_of_it() {
    let nbi = Nbi::with_service().await;
    let task = nbi.queued(json!({ "name": "factoryReset" })).await;
    assert!(task["warning"].as_str().is_some_and(|text| text.contains("is lost")), "{task}");
    let kept = nbi.ask(Method::GET, &format!("/tasks/{}", id(&task))).await;
    assert!(kept.text.contains("\"warning\":"), "{}", kept.text);
}

#[tokio::test]
async fn whoever_waits_is_told_what_came_of_it() {
    let nbi = Nbi::with_service().await;
    let task = json!({ "name": "refreshObject", "objectName": INFO });
    // Nobody comes within the time.
    let late = nbi.order("?connection_request&timeout=20", &task).await;
    assert_eq!(late.status, StatusCode::ACCEPTED);
    assert!(late.text.contains("\"reason\":\"Task queued but not processed\""), "{}", late.text);
    for (order, state, status, reason) in [
        (2, "done", StatusCode::OK, None),
        (3, "accepted", StatusCode::OK, None),
        (4, "failed", StatusCode::ACCEPTED, Some("Task faulted")),
    ] {
        let waiting = nbi.order("?timeout=60000&connection_request=", &task);
        let ending = async {
            let mut changes = nbi.bed.app.bus().subscribe();
            while nbi.bed.app.device_order(DeviceOrderId(order)).await.is_err() {
                let _ = changes.recv().await;
            }
            nbi.ends(order, state).await;
        };
        let (answer, ()) = tokio::join!(waiting, ending);
        let task: Value = serde_json::from_str(&answer.text).expect("a task");
        assert_eq!((answer.status, task["status"].as_str()), (status, Some(state)));
        assert_eq!(task["reason"].as_str(), reason);
    }
    // What came of the call: a device that is busy may still come, and of one that is not there it is told at once.
    for (order, outcome, status, reason) in [
        (5, "http", StatusCode::OK, None),
        (6, "not_sent", StatusCode::OK, None),
        (7, "unreachable", StatusCode::ACCEPTED, Some("It cannot be reached.")),
    ] {
        let waiting = nbi.order("?timeout=60000&connection_request", &task);
        let calling = async {
            let mut changes = nbi.bed.app.bus().subscribe();
            while nbi.bed.app.device_order(DeviceOrderId(order)).await.is_err() {
                let _ = changes.recv().await;
            }
            nbi.called(outcome).await;
            if reason.is_none() {
                nbi.ends(order, "done").await;
            }
        };
        let (answer, ()) = tokio::join!(waiting, calling);
        let task: Value = serde_json::from_str(&answer.text).expect("a task");
        assert_eq!((answer.status, task["reason"].as_str()), (status, reason), "{outcome}");
    }
    // A call alone: this device told no address, so it is called by nobody.
    let answer = nbi.post_as(&nbi.key, &format!("/devices/{DEVICE}/tasks?connection_request"), "").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{}", answer.text);
    assert!(answer.text.contains("not called"), "{}", answer.text);
}
