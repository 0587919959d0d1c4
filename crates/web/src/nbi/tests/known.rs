//! What is remembered, counted and told apart: requests sent twice, faults of tasks, secrets, counts, and who waits.

use super::{tasks::DEVICE, *};
use crate::nbi::{
    Refusal,
    collection::{Asked, Collection, answer},
    query::{Field, Fields, Found, Subject},
};
use axum::{http::HeaderMap, response::IntoResponse};
use std::sync::Arc;
use types::DeviceOrderId;

const INFO: &str = "InternetGatewayDevice.DeviceInfo";
const UNLINKED: &str = "/devices/00259E-HG%252D8546M-4857544300000000/tasks";

impl Nbi {
    async fn once(&self, path: &str, once: &str, body: &str) -> (Answer, HeaderMap) {
        let request = Request::post(format!("/nbi{path}"))
            .header("x-api-key", &self.key)
            .header("idempotency-key", once);
        let answer = self.bed.send(request.body(Body::from(body.to_owned())).expect("a request")).await;
        let headers = answer.headers.clone();
        (answer, headers)
    }
}

#[tokio::test]
async fn a_task_that_is_sent_twice_with_its_key_is_queued_once() {
    let nbi = Nbi::with_service().await;
    let path = format!("/devices/{DEVICE}/tasks");
    let task = json!({ "name": "refreshObject", "objectName": INFO }).to_string();
    let (first, headers) = nbi.once(&path, "k-1", &task).await;
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text);
    assert!(!headers.contains_key("idempotency-replayed"));
    let (again, headers) = nbi.once(&path, "k-1", &task).await;
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(headers["idempotency-replayed"], "true");
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(nbi.list("tasks", &[]).await.0, 1, "one task");
    // The key with something else is refused, another key is another task, and no key is none.
    let (other, _) = nbi.once(&path, "k-1", r#"{"name": "reboot"}"#).await;
    assert_eq!(other.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", other.text);
    nbi.once(&path, "k-2", &task).await;
    nbi.post_as(&nbi.key, &path, &task).await;
    assert_eq!(nbi.list("tasks", &[]).await.0, 3);
    // What was refused was not carried out, and is no answer for ever; a key that is none is said.
    for _ in 0..2 {
        let (refused, headers) = nbi.once(&path, "k-3", r#"{"name": "addObject"}"#).await;
        assert_eq!(refused.status, StatusCode::NOT_IMPLEMENTED);
        assert!(!headers.contains_key("idempotency-replayed"));
    }
    let (bad, _) = nbi.once(&path, "a key", &task).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST, "{}", bad.text);
    // One that is tried again, too: the second asks for the same, not for one more.
    nbi.ends(1, "failed").await;
    let failed: Value = serde_json::from_str(&first.text).expect("a task");
    let retry = format!("/tasks/{}/retry", failed["_id"].as_str().expect("an id"));
    let (tried, _) = nbi.once(&retry, "k-4", "").await;
    assert_eq!(tried.status, StatusCode::OK, "{}", tried.text);
    let (again, _) = nbi.once(&retry, "k-4", "").await;
    assert_eq!((again.status, again.text), (tried.status, tried.text));
}

impl Nbi {
    /// When a call of the device was wanted last.
    async fn wanted(&self) -> Option<i64> {
        let row: Option<rows::Cpe> = self.bed.app.store().get(CpeId(2)).await.expect("read");
        row.and_then(|row| row.machine.value()["connection"]["last_at"].as_i64())
    }

    /// What is stored of the machine of the device.
    async fn machine(&self, machine: impl Fn(Value) -> Value + Clone + Send + Sync + 'static) {
        let written = self.bed.app.store().write::<_, _, StoreError>(move |tx| {
            let machine = machine.clone();
            Box::pin(async move {
                let mut row: rows::Cpe = tx.require(CpeId(2)).await?;
                row.machine = machine(row.machine.value()).into();
                tx.update(&row).await?.or_overtaken("the CPE")
            })
        });
        written.await.expect("written");
    }
}

/// The task is queued, and what is read after that fails: that is no failure of the task, and no reason for a second one.
#[tokio::test]
async fn what_fails_after_a_task_was_queued_makes_no_second_one() {
    let nbi = Nbi::with_service().await;
    let path = format!("/devices/{DEVICE}/tasks?connection_request&timeout=60000");
    let task = json!({ "name": "reboot" }).to_string();
    let breaking = async {
        let mut changes = nbi.bed.app.bus().subscribe();
        while nbi.bed.app.device_order(DeviceOrderId(1)).await.is_err() {
            let _ = changes.recv().await;
        }
        nbi.machine(|good| json!({ "broken": true, "good": good })).await;
        nbi.bed.app.bus().say(app::Change::Cpe(CpeId(2)));
    };
    let ((first, _), ()) = tokio::join!(nbi.once(&path, "k-1", &task), breaking);
    assert_eq!(first.status, StatusCode::ACCEPTED, "{}", first.text);
    let queued: Value = serde_json::from_str(&first.text).expect("a task");
    assert_eq!(queued["status"], "waiting", "{queued}");
    nbi.machine(|broken| broken["good"].clone()).await;
    let (again, headers) = nbi.once(&path, "k-1", &task).await;
    assert_eq!((again.status, again.text), (first.status, first.text));
    assert_eq!(headers["idempotency-replayed"], "true");
    assert_eq!(nbi.list("tasks", &[]).await.0, 1, "the device restarts once");
}

/// What fails while it is carried out is not carried out again with its key; what fails before that is.
#[tokio::test]
async fn a_request_that_failed_in_the_middle_is_not_carried_out_again() {
    use crate::nbi::once::{Begun, once};
    use axum::{Extension, Router, http::StatusCode as S, routing::post};
    use std::sync::atomic::{AtomicU32, Ordering};
    use tower::ServiceExt;

    let bed = Bed::new().await;
    let nbi = crate::nbi::Nbi {
        app: Arc::clone(&bed.app),
        trusted_proxies: Vec::new().into(),
        scans: Arc::new(tokio::sync::Semaphore::new(1)),
        answers: Arc::new(tokio::sync::Semaphore::new(1)),
        waiters: crate::nbi::waiters::Waiters::default(),
    };
    for (number, (status, begins, runs, says)) in [
        (S::INTERNAL_SERVER_ERROR, true, 1, true),
        (S::SERVICE_UNAVAILABLE, true, 1, true),
        (S::GATEWAY_TIMEOUT, true, 1, false),
        (S::INTERNAL_SERVER_ERROR, false, 2, false),
        (S::GATEWAY_TIMEOUT, false, 2, false),
        (S::CONFLICT, true, 2, false),
        (S::NOT_IMPLEMENTED, false, 2, false),
    ]
    .into_iter()
    .enumerate()
    {
        let ran = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&ran);
        let handler = move |Extension(begun): Extension<Begun>| async move {
            counted.fetch_add(1, Ordering::Relaxed);
            if begins {
                begun.begins();
            }
            Refusal { retry_after_s: Some(5), ..Refusal::new(status, "The database is busy.") }
        };
        let router: Router = Router::new()
            .route("/order", post(handler))
            .layer(axum::middleware::from_fn_with_state(nbi.clone(), once))
            .layer(Extension(Actor::System("test")));
        let mut texts = Vec::new();
        for again in [false, true] {
            let request = Request::post("/order").header("idempotency-key", format!("k-{number}"));
            let request = request.body(Body::empty()).expect("a request");
            let answer = router.clone().oneshot(request).await.expect("an answer");
            assert_eq!(answer.status(), status);
            let kept = again && runs == 1;
            assert_eq!(answer.headers().contains_key("idempotency-replayed"), kept);
            assert_eq!(answer.headers().contains_key("retry-after"), !(says || kept));
            let text = axum::body::to_bytes(answer.into_body(), 1 << 16).await.expect("a text");
            texts.push(String::from_utf8_lossy(&text).into_owned());
        }
        assert_eq!(ran.load(Ordering::Relaxed), runs, "{status}, begun: {begins}");
        assert_eq!(texts[0], texts[1]);
        assert!(texts[0].starts_with("The database is busy."), "{}", texts[0]);
        assert_eq!(texts[0].contains("It may have been carried out"), says, "{}", texts[0]);
    }
}

/// A device that was called and did not answer is not called again because the answer was not heard.
#[tokio::test]
async fn a_call_that_went_out_is_not_made_again_by_its_key() {
    let nbi = Nbi::with_service().await;
    let path = format!("/devices/{DEVICE}/tasks?connection_request");
    // Nothing went out: this is no answer for ever.
    for _ in 0..2 {
        let (answer, headers) = nbi.once(&path, "k-0", "").await;
        assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{}", answer.text);
        assert!(answer.text.contains("not called") && !headers.contains_key("idempotency-replayed"));
    }
    let mut device = serde_json::to_value(provisioning::Device::new(NOW)).expect("a device");
    device["state"] = serde_json::to_value(provisioning::State::Active).expect("a state");
    nbi.machine(move |_| device.clone()).await;
    let calling = async {
        let mut changes = nbi.bed.app.bus().subscribe();
        while nbi.wanted().await.is_none() {
            let _ = changes.recv().await;
        }
        nbi.called("unreachable").await;
    };
    let ((first, _), ()) = tokio::join!(nbi.once(&path, "k-1", ""), calling);
    assert_eq!((first.status, first.text.as_str()), (StatusCode::GATEWAY_TIMEOUT, "It cannot be reached."));
    let wanted = nbi.wanted().await;
    assert_eq!(wanted, Some(NOW.0));
    // The watch over the call and the gap are over: it might be called again.
    nbi.machine(|mut device| {
        device["connection"]["outstanding_since"] = Value::Null;
        device
    })
    .await;
    nbi.bed.clock.advance(std::time::Duration::from_secs(120));
    let (again, headers) = nbi.once(&path, "k-1", "").await;
    assert_eq!((again.status, again.text), (first.status, first.text));
    assert_eq!(headers["idempotency-replayed"], "true");
    assert_eq!(nbi.wanted().await, wanted, "and is not");
}

#[tokio::test]
async fn the_fault_of_a_task_is_in_its_channel_and_goes_with_it() {
    for by_fault in [true, false] {
        let nbi = Nbi::with_service().await;
        let task = nbi.queued(json!({ "name": "refreshObject", "objectName": INFO })).await;
        nbi.ends(1, "failed").await;
        // As the machine records it, in the step that ends the order.
        let fault = |reason: &str, code: i64| rows::CpeFault {
            cpe_id: CpeId(2),
            at: NOW,
            class: "provisioning_logic".into(),
            code,
            text: "Invalid parameter name".into(),
            reason_code: reason.into(),
            ..rows::CpeFault::default()
        };
        let faults =
            [fault("order_failed", 9005), fault("order_failed", 9003), fault("write_rejected", 9005)];
        let written = nbi.bed.app.store().write::<_, _, StoreError>(move |tx| {
            let faults = faults.clone();
            Box::pin(async move {
                for fault in &faults {
                    tx.insert(fault).await?;
                }
                Ok(())
            })
        });
        written.await.expect("written");
        let id = task["_id"].as_str().expect("an id");
        let channel = format!("task_{id}");
        let query = json!({ "device": DEVICE, "channel": channel }).to_string();
        let (count, found) = nbi.list("faults", &[("query", &query)]).await;
        assert_eq!((count, &found[0]["code"]), (1, &json!("cwmp.9005")), "{found:?}");
        let before = nbi.list("faults", &[]).await.0;
        let path = match by_fault {
            true => format!("/faults/{DEVICE}:{channel}"),
            false => format!("/tasks/{id}"),
        };
        // Of another device it is none.
        let foreign = format!("/faults/00259E-HG%252D8546M-4857544300000000:{channel}");
        nbi.ask(Method::DELETE, &foreign).await;
        assert_eq!(nbi.list("tasks", &[]).await.0, 1);
        for _ in 0..2 {
            let gone = nbi.ask(Method::DELETE, &path).await;
            assert!(gone.status == StatusCode::OK || !by_fault, "{}", gone.text);
            assert_eq!((nbi.list("faults", &[]).await.0, nbi.list("tasks", &[]).await.0), (before - 1, 0));
        }
    }
}

#[tokio::test]
async fn of_a_secret_there_is_no_value() {
    let nbi = Nbi::with(1).await;
    let path = format!("{ROOT}.LANDevice.1.WLANConfiguration.1.PreSharedKey.1.PreSharedKey");
    let secret = rows::CpeParameter {
        cpe_id: CpeId(1),
        path: path.clone(),
        kind: "string".into(),
        writable: Some(true),
        read_at: NOW,
        ..rows::CpeParameter::default()
    };
    let written = nbi.bed.app.store().write::<_, _, StoreError>(move |tx| {
        let secret = secret.clone();
        Box::pin(async move { store::cpes::put_parameters(tx, CpeId(1), &[secret]).await })
    });
    written.await.expect("written");
    let (_, found) = nbi.list("devices", &[("projection", &path)]).await;
    let leaf =
        &found[0][ROOT]["LANDevice"]["1"]["WLANConfiguration"]["1"]["PreSharedKey"]["1"]["PreSharedKey"];
    assert_eq!((&leaf["_writable"], leaf.get("_value")), (&json!(true), None), "{leaf}");
}

struct Many;

struct Nothing;

impl Subject for Nothing {
    fn found(&self, _: &Field) -> Found<'_> {
        Found::Nothing
    }
}

impl Collection for Many {
    type Item = Nothing;

    fn chunk(&self) -> usize {
        1
    }

    async fn count(&self) -> Result<u64, Refusal> {
        Ok(1_000_000)
    }

    async fn ids(&self, _: i64, _: u64, _: u32) -> Result<Vec<i64>, Refusal> {
        Ok(Vec::new())
    }

    async fn items(&self, _: i64) -> Result<Vec<(i64, Nothing)>, Refusal> {
        Ok(Vec::new())
    }

    async fn documents(&self, _: Vec<i64>) -> Result<Vec<Value>, Refusal> {
        Ok(Vec::new())
    }
}

#[tokio::test]
async fn how_many_there_are_is_told_however_many() {
    let bed = Bed::new().await;
    let nbi = crate::nbi::Nbi {
        app: Arc::clone(&bed.app),
        trusted_proxies: Vec::new().into(),
        scans: Arc::new(tokio::sync::Semaphore::new(1)),
        answers: Arc::new(tokio::sync::Semaphore::new(1)),
        waiters: crate::nbi::waiters::Waiters::default(),
    };
    let asked = || Asked::parse("", Fields { own: &["_id"], parameters: false }).expect("everything");
    let refused = answer(&nbi, Many, asked(), &Method::GET).await.expect_err("too many").into_response();
    assert_eq!(
        (refused.status(), &refused.headers()["total"]),
        (StatusCode::BAD_REQUEST, &header_value("1000000"))
    );
    let counted = answer(&nbi, Many, asked(), &Method::HEAD).await.expect("counted");
    assert_eq!((counted.status(), &counted.headers()["total"]), (StatusCode::OK, &header_value("1000000")));
    // Counting takes no place of those who are sent lists.
    let _place = nbi.answers.acquire().await.expect("a place");
    answer(&nbi, Many, asked(), &Method::HEAD).await.expect("counted");
}

fn header_value(text: &'static str) -> axum::http::HeaderValue {
    axum::http::HeaderValue::from_static(text)
}

#[tokio::test]
async fn who_may_not_or_asks_too_much_is_told_before_anything_is_looked_up() {
    let nbi = Nbi::with_service().await;
    let names: Vec<String> = (0..=app::MOST_VALUES).map(|n| format!("{INFO}.{n}")).collect();
    let task = json!({ "name": "getParameterValues", "parameterNames": names });
    let path = format!("/devices/{DEVICE}/tasks");
    let writes = key(&nbi.bed, &[Permission::ConfigureCpe]).await;
    let refused = nbi.post_as(&writes, &path, &task.to_string()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    let refused = nbi.post_as(&nbi.key, &path, &task.to_string()).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("holds 65 names; one task reads 64 at most"), "{}", refused.text);
    // An object may be named without its dot; what only begins like one is none.
    let task = nbi
        .queued(json!({ "name": "getParameterValues", "parameterNames": [INFO, format!("{INFO}.UpTime"), "InternetGatewayDevice.Dev"] }))
        .await;
    let named = json!([format!("{INFO}."), format!("{INFO}.UpTime"), "InternetGatewayDevice.Dev"]);
    assert_eq!(task["parameterNames"], named);
}

#[tokio::test]
async fn a_read_of_a_device_without_a_service_says_that_it_waits_for_one() {
    let nbi = Nbi::with(1).await;
    let task = json!({ "name": "refreshObject", "objectName": INFO }).to_string();
    let answer = nbi.post_as(&nbi.key, &format!("{UNLINKED}?connection_request&timeout=60000"), &task).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text);
    let task: Value = serde_json::from_str(&answer.text).expect("a task");
    for said in ["warning", "reason"] {
        let said = task[said].as_str().unwrap_or_default();
        assert!(said.contains("belongs to no service") && said.contains("after it is linked"), "{task}");
    }
    let order = nbi.bed.app.device_order(DeviceOrderId(1)).await.expect("an order");
    assert_eq!(order.state, "waiting");
}

#[tokio::test]
async fn that_a_device_speaks_is_no_answer_to_a_call_that_was_not_made() {
    let nbi = Nbi::with_service().await;
    let session = rows::CpeSession {
        cpe_id: CpeId(2),
        began_at: UtcMs(NOW.0 - 5000),
        events: "2 PERIODIC".into(),
        detail: json!([]),
        ..rows::CpeSession::default()
    };
    let written = nbi.bed.app.store().write::<_, _, StoreError>(move |tx| {
        let session = session.clone();
        Box::pin(async move { tx.insert(&session).await.map(drop) })
    });
    written.await.expect("written");
    let answer = nbi.post_as(&nbi.key, &format!("/devices/{DEVICE}/tasks?connection_request"), "").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT, "{}", answer.text);
    assert!(
        answer.text.contains("has a session open since") && answer.text.contains("was not called"),
        "{}",
        answer.text
    );
}
