//! The interface over a real store, as a client sees it.

use app::{Actor, Permission};
use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use store::{StoreError, rows};
use types::{CpeId, UtcMs};

use super::routes;
use crate::tests::bed::{Answer, Bed, NOW};

mod known;
mod tasks;

const ROOT: &str = "InternetGatewayDevice";

/// A Lightkeeper with a few hundred devices and a key that may do everything.
struct Nbi {
    bed: Bed,
    key: String,
}

async fn key(bed: &Bed, scopes: &[Permission]) -> String {
    let made = bed.app.create_api_key(&Actor::System("test"), "a tool", scopes, None).await;
    made.expect("a key").1.expose().to_owned()
}

impl Nbi {
    async fn with(devices: usize) -> Nbi {
        let bed = Bed::new().await;
        let written = bed.app.store().write::<_, _, StoreError>(move |tx| {
            Box::pin(async move {
                for number in 0..devices {
                    device(tx, number).await?;
                }
                // What an authorisation makes before its device has spoken.
                tx.insert(&rows::Cpe { state: "DISCOVERED".into(), ..rows::Cpe::default() }).await?;
                Ok(())
            })
        });
        written.await.expect("devices");
        let key = key(&bed, &Permission::ALL).await;
        Nbi { bed, key }
    }

    async fn ask(&self, method: Method, path: &str) -> Answer {
        let request =
            Request::builder().method(method).uri(format!("/nbi{path}")).header("x-api-key", &self.key);
        self.bed.send(request.body(Body::empty()).expect("a request")).await
    }

    async fn list(&self, collection: &str, parameters: &[(&str, &str)]) -> (u64, Vec<Value>) {
        let pairs: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{name}={}", crate::list::encode(value))).collect();
        let answer = self.ask(Method::GET, &format!("/{collection}?{}", pairs.join("&"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{parameters:?}: {}", answer.text);
        let total = answer.headers["total"].to_str().expect("text").parse().expect("a number");
        (total, serde_json::from_str(&answer.text).expect("a list"))
    }

    async fn serials(&self, query: &str) -> Vec<String> {
        let (total, found) = self.list("devices", &[("query", query), ("projection", "_deviceId")]).await;
        assert_eq!(total, found.len() as u64);
        let serial =
            |device: &Value| device["_deviceId"]["_SerialNumber"].as_str().expect("a serial").to_owned();
        found.iter().map(serial).collect()
    }
}

async fn device(tx: &store::Tx, number: usize) -> Result<CpeId, StoreError> {
    let minutes = i64::try_from(number).unwrap_or_default();
    let cpe = rows::Cpe {
        oui: "00259E".into(),
        product_class: if number == 0 { "HG-8546M".into() } else { "HG8546M".into() },
        serial_number: format!("4857544300000{number:03}"),
        manufacturer: "Huawei".into(),
        state: if number == 1 { "FAILED".into() } else { "ACTIVE".into() },
        state_since: NOW,
        last_inform_at: Some(UtcMs(NOW.0 - minutes * 60_000)),
        created_at: NOW,
        version: 1,
        ..rows::Cpe::default()
    };
    let id = tx.insert(&cpe).await?;
    let parameter = |path: &str, kind: &str, value: &str| rows::CpeParameter {
        cpe_id: id,
        path: format!("{ROOT}.{path}"),
        value: value.into(),
        kind: kind.into(),
        writable: Some(true),
        read_at: NOW,
        source: String::new(),
    };
    let software = if number.is_multiple_of(2) { "V5R019C10S125" } else { "V5R020C00S080" };
    let parameters = [
        parameter("DeviceInfo.SoftwareVersion", "string", software),
        parameter("DeviceInfo.UpTime", "unsignedInt", &(number * 100).to_string()),
        parameter("LANDevice.1.WLANConfiguration.1.Enable", "boolean", "1"),
    ];
    store::cpes::put_parameters(tx, id, &parameters).await?;
    let session = rows::CpeSession {
        cpe_id: id,
        began_at: NOW,
        ended_at: Some(NOW.plus_s(1)),
        events: "1 BOOT, 2 PERIODIC".into(),
        detail: json!([]),
        ..rows::CpeSession::default()
    };
    tx.insert(&session).await?;
    let fault = rows::CpeFault {
        cpe_id: id,
        at: UtcMs(NOW.0 - 1000),
        class: "provisioning_logic".into(),
        code: 9007,
        text: "Invalid value".into(),
        path: format!("{ROOT}.LANDevice.1.WLANConfiguration.1.Channel"),
        rpc: "SetParameterValues".into(),
        ..rows::CpeFault::default()
    };
    tx.insert(&fault).await?;
    Ok(id)
}

#[tokio::test]
async fn nothing_is_answered_without_a_key_that_may() {
    let nbi = Nbi::with(1).await;
    let reader = key(&nbi.bed, &[Permission::Read]).await;
    let writer = key(&nbi.bed, &[Permission::OperateCpe]).await;
    let ask = async |method: Method, path: &str, header: &'static str, value: String| {
        let mut request = Request::builder().method(method).uri(format!("/nbi{path}"));
        if !header.is_empty() {
            request = request.header(header, value);
        }
        nbi.bed.send(request.body(Body::empty()).expect("a request")).await
    };
    let basic = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
    for (header, value) in [
        ("x-api-key", reader.clone()),
        ("authorization", format!("Bearer {reader}")),
        ("authorization", basic(&format!("anybody:{reader}"))),
        ("authorization", basic(&format!("{reader}:"))),
    ] {
        let answer = ask(Method::GET, "/devices", header, value.clone()).await;
        assert_eq!(answer.status, StatusCode::OK, "{header}: {value}");
        assert!(answer.headers.contains_key("genieacs-version"));
    }
    for (header, value) in [
        ("", String::new()),
        ("x-api-key", "lk_wrong".to_owned()),
        ("authorization", "Basic ???".to_owned()),
        ("authorization", basic("admin:admin")),
        ("cookie", "lk_session=x".to_owned()),
    ] {
        for path in ["/devices", "/users", "/nothing", "/devices/x/tags/y"] {
            let answer = ask(Method::GET, path, header, value.clone()).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{path} {header}: {value}");
            assert!(answer.header(header::WWW_AUTHENTICATE).starts_with("Bearer"), "a browser would ask");
        }
    }
    let id = "00259E-HG%252D8546M-4857544300000000";
    let refused = ask(Method::DELETE, &format!("/devices/{id}"), "x-api-key", reader.clone()).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    assert!(refused.text.contains("cpes:operate"), "{}", refused.text);
    let refused = ask(Method::GET, "/devices", "x-api-key", writer).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    // A key that a browser remembers is no key when another site asks.
    let request = Request::builder()
        .method(Method::DELETE)
        .uri(format!("/nbi/devices/{id}"))
        .header("x-api-key", &nbi.key)
        .header("sec-fetch-site", "cross-site");
    let forged = nbi.bed.send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN, "{}", forged.text);
}

#[tokio::test]
async fn what_changes_something_needs_more_than_reading() {
    let nbi = Nbi::with(1).await;
    let reader = key(&nbi.bed, &[Permission::Read]).await;
    let mut refused = 0;
    for route in routes() {
        let path = route.path.replace("{id}", "00259E-HG%252D8546M-4857544300000000").replace(['{', '}'], "");
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let request = Request::builder()
                .method(method.clone())
                .uri(format!("/nbi{path}"))
                .header("x-api-key", &reader);
            let answer = nbi.bed.send(request.body(Body::empty()).expect("a request")).await;
            let status = answer.status;
            assert!(
                matches!(status, StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED),
                "{method} {path}: {status}"
            );
            refused += usize::from(status == StatusCode::FORBIDDEN);
        }
    }
    assert!(refused >= 6, "{refused}");
}

#[tokio::test]
async fn devices_are_found_by_what_they_are_and_have() {
    let nbi = Nbi::with(6).await;
    let serial = |number: usize| format!("4857544300000{number:03}");
    for (query, numbers) in [
        ("{}", vec![0, 1, 2, 3, 4, 5]),
        (r#"{"_id": "00259E-HG8546M-4857544300000003"}"#, vec![3]),
        (r#"{"_id": "00259E-HG%2D8546M-4857544300000000"}"#, vec![0]),
        (r#"{"_id": {"$in": ["00259E-HG8546M-4857544300000005", "none", "a-b-c"]}}"#, vec![5]),
        (r#"{"_id": "*-4857544300000004"}"#, vec![4]),
        (r#"{"_id": "none at all"}"#, vec![]),
        (r#"{"_deviceId._ProductClass": "HG-8546M"}"#, vec![0]),
        (r#"{"_lastInform": {"$lt": "2026-11-21 14:26:30 +0000"}}"#, vec![4, 5]),
        (r#"{"_lastInform": {"$gte": "2026-11-21T14:29:00Z", "$lt": "2026-11-21T14:30:00Z"}}"#, vec![1]),
        (r#"{"InternetGatewayDevice.DeviceInfo.SoftwareVersion": "V5R020*"}"#, vec![1, 3, 5]),
        (r#"{"InternetGatewayDevice.DeviceInfo.UpTime": {"$gt": 300}}"#, vec![4, 5]),
        (r#"{"InternetGatewayDevice.DeviceInfo.UpTime._type": "unsignedInt"}"#, vec![0, 1, 2, 3, 4, 5]),
        (r#"{"InternetGatewayDevice.None": {"$exists": true}}"#, vec![]),
        (r#"{"_lastBoot": {"$exists": true}, "_lastBootstrap": {"$exists": false}}"#, vec![0, 1, 2, 3, 4, 5]),
    ] {
        let expected: Vec<String> = numbers.into_iter().map(serial).collect();
        assert_eq!(nbi.serials(query).await, expected, "{query}");
    }
    let (total, found) = nbi
        .list(
            "devices/",
            &[
                ("sort", r#"{"InternetGatewayDevice.DeviceInfo.SoftwareVersion": -1, "_lastInform": 1}"#),
                ("skip", "1"),
                ("limit", "3"),
                ("projection", "_id, InternetGatewayDevice.DeviceInfo.SoftwareVersion._value"),
            ],
        )
        .await;
    assert_eq!(total, 6);
    let order: Vec<&str> = found.iter().filter_map(|device| device["_id"].as_str()).collect();
    assert_eq!(
        order,
        [
            "00259E-HG8546M-4857544300000003",
            "00259E-HG8546M-4857544300000001",
            "00259E-HG8546M-4857544300000004"
        ]
    );
    let software = json!({ "DeviceInfo": { "SoftwareVersion": { "_value": "V5R020C00S080" } } });
    assert_eq!(
        found[0],
        json!({ "_id": "00259E-HG8546M-4857544300000003", "InternetGatewayDevice": software })
    );
}

#[tokio::test]
async fn every_device_is_sent_once_in_parts() {
    let nbi = Nbi::with(130).await;
    let (total, all) = nbi.list("devices", &[]).await;
    assert_eq!((total, all.len()), (130, 130));
    let mut ids: Vec<&str> = all.iter().filter_map(|device| device["_id"].as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 130);
    assert_eq!(all[0][ROOT]["LANDevice"]["1"]["WLANConfiguration"]["1"]["Enable"]["_value"], json!(true));
    assert_eq!(all[0]["_lastBoot"], "2026-11-21T14:30:00.000Z");
    for (skip, limit, count) in
        [("0", "0", 130), ("100", "", 30), ("125", "50", 5), ("500", "1", 0), ("", "7", 7)]
    {
        let (total, some) = nbi.list("devices", &[("skip", skip), ("limit", limit)]).await;
        assert_eq!((total, some.len()), (130, count), "{skip} {limit}");
    }
    let head = nbi.ask(Method::HEAD, "/devices?limit=1").await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(head.headers["total"], "130");
}

#[tokio::test]
async fn a_device_is_one_path_that_is_decoded_once() {
    let nbi = Nbi::with(2).await;
    let found = nbi.ask(Method::GET, "/devices/00259E-HG%252D8546M-4857544300000000").await;
    assert_eq!(found.status, StatusCode::OK, "{}", found.text);
    let document: Value = serde_json::from_str(&found.text).expect("JSON");
    assert_eq!(document["_id"], "00259E-HG%2D8546M-4857544300000000");
    for id in ["00259E-HG%2D8546M-4857544300000000", "x", "00259E-HG8546M-none"] {
        let missing = nbi.ask(Method::GET, &format!("/devices/{id}")).await;
        assert_eq!(
            (missing.status, missing.text.as_str()),
            (StatusCode::NOT_FOUND, "No such device"),
            "{id}"
        );
    }
    let kept = nbi.ask(Method::DELETE, "/devices/00259E-HG8546M-4857544300000001").await;
    assert_eq!(kept.status, StatusCode::NOT_IMPLEMENTED, "{}", kept.text);
    assert_eq!(nbi.list("devices", &[]).await.0, 2);
}

#[tokio::test]
async fn faults_stand_until_their_device_works() {
    let nbi = Nbi::with(3).await;
    let (total, faults) = nbi.list("faults", &[]).await;
    assert_eq!(total, 1, "two devices became ACTIVE since");
    let device = "00259E-HG8546M-4857544300000001";
    let channel = faults[0]["channel"].as_str().expect("a channel");
    assert_eq!(faults[0]["_id"], format!("{device}:{channel}"));
    assert_eq!(faults[0]["code"], "cwmp.9007");
    assert_eq!(faults[0]["timestamp"], "2026-11-21T14:29:59.000Z");
    assert_eq!(faults[0]["detail"]["setParameterValuesFault"][0]["faultCode"], "9007");
    for (query, count) in [
        (json!({ "device": device }), 1),
        (json!({ "device": "00259E-HG8546M-4857544300000002" }), 0),
        (json!({ "device": "nobody" }), 0),
        (json!({ "_id": format!("/^{device}:/") }), 1),
        (json!({ "code": "cwmp.*", "timestamp": { "$gt": "2026-11-21T14:29:00Z" } }), 1),
        (json!({ "retries": { "$gte": 1 } }), 0),
    ] {
        assert_eq!(nbi.list("faults", &[("query", &query.to_string())]).await.0, count, "{query}");
    }
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_is_said() {
    let nbi = Nbi::with(1).await;
    for (method, path, status, named) in [
        (Method::GET, "/devices?query={", 400, "SyntaxError"),
        (Method::GET, "/devices?query={%22$where%22:1}", 400, "$where"),
        (Method::GET, "/devices?sort=x", 400, "sort"),
        (Method::GET, "/devices?limit=-1", 400, "limit"),
        (Method::GET, "/devices?projection=,", 400, "projection"),
        (Method::GET, "/faults?query={%22_tags%22:1}", 400, "_tags"),
        (Method::GET, "/users", 404, "devices"),
        (Method::GET, "/config", 404, "devices"),
        (Method::GET, "/operations", 404, "devices"),
        (Method::GET, "/", 404, "devices"),
        (Method::POST, "/devices", 405, "method"),
        (Method::GET, "/tasks?query={%22_tags%22:1}", 400, "_tags"),
        (Method::PUT, "/presets/a", 501, "service"),
        (Method::DELETE, "/provisions/a", 501, "scripts"),
        (Method::PUT, "/files/a.bin", 501, "Files"),
    ] {
        let answer = nbi.ask(method.clone(), path).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path}: {}", answer.text);
        assert!(
            answer.text.contains(named) && answer.text.ends_with('.'),
            "{method} {path}: {}",
            answer.text
        );
        if status == 405 {
            assert_eq!(answer.header(header::ALLOW), "GET,HEAD");
        }
    }
    for collection in ["presets", "provisions", "virtual_parameters", "objects", "files/"] {
        let (total, found) = nbi.list(collection, &[]).await;
        assert_eq!((total, found.len()), (0, 0), "{collection}");
    }
}

#[tokio::test]
async fn tags_are_put_on_found_and_taken_off() {
    let nbi = Nbi::with(3).await;
    let path = "/devices/00259E-HG%252D8546M-4857544300000000/tags/north%20side";
    for (method, tagged) in
        [(Method::POST, 1), (Method::POST, 1), (Method::DELETE, 0), (Method::DELETE, 0), (Method::POST, 1)]
    {
        let answer = nbi.ask(method.clone(), path).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""), "{method}");
        assert_eq!(nbi.serials(r#"{"_tags": "north side"}"#).await.len(), tagged, "{method}");
        assert_eq!(nbi.serials(r#"{"_tags": {"$ne": "north side"}}"#).await.len(), 3 - tagged, "{method}");
    }
    assert_eq!(nbi.list("devices", &[]).await.1[0]["_tags"], json!(["north side"]));
    assert_eq!(nbi.serials(r#"{"_tags": "/^north/"}"#).await, ["4857544300000000"]);
    let missing = nbi.ask(Method::POST, "/devices/00259E-HG8546M-none/tags/a").await;
    assert_eq!((missing.status, missing.text.as_str()), (StatusCode::NOT_FOUND, "No such device"));
    let long = nbi.ask(Method::POST, &format!("{}{}", path, "x".repeat(80))).await;
    assert_eq!(long.status, StatusCode::BAD_REQUEST, "{}", long.text);
    for number in 0..120 {
        nbi.ask(Method::POST, &format!("/devices/00259E-HG8546M-4857544300000001/tags/{number}")).await;
    }
    let one = nbi.list("devices", &[("query", r#"{"_id": "00259E-HG8546M-4857544300000001"}"#)]).await;
    assert_eq!(one.1[0]["_tags"].as_array().map(Vec::len), Some(100), "more than these are refused");
}

#[tokio::test]
async fn a_fault_that_was_taken_note_of_is_kept_and_stands_no_more() {
    let nbi = Nbi::with(2).await;
    let (_, faults) = nbi.list("faults", &[]).await;
    let id = faults[0]["_id"].as_str().expect("an id");
    let other = id.replace("0001:", "0000:").replace("HG8546M", "HG%252D8546M");
    for path in [other.as_str(), "none", "a-b-c:default"] {
        let answer = nbi.ask(Method::DELETE, &format!("/faults/{path}")).await;
        assert!(matches!(answer.status, StatusCode::OK | StatusCode::NOT_FOUND), "{path}: {}", answer.text);
        assert_eq!(nbi.list("faults", &[]).await.0, 1, "{path} is not this fault");
    }
    for _ in 0..2 {
        let answer = nbi.ask(Method::DELETE, &format!("/faults/{id}")).await;
        assert_eq!((answer.status, answer.text.as_str()), (StatusCode::OK, ""));
        assert_eq!(nbi.list("faults", &[]).await.0, 0);
    }
    let kept = nbi.bed.app.store().read().faults_of(&[1, 2]).await.expect("faults");
    assert_eq!(kept.len(), 2);
}

#[tokio::test]
async fn what_was_taken_over_from_genieacs_is_answered_with_its_own_times() {
    let nbi = Nbi::with(1).await;
    let leaf = |value: &str, at: &str| json!({ "_value": value, "_type": "xsd:string", "_timestamp": { "$date": at } });
    let document = |serial: &str, at: &str| {
        json!({
            "_deviceId": { "_OUI": "00259E", "_ProductClass": if serial.ends_with("0000") { "HG-8546M" } else { "HG8546M" },
                "_SerialNumber": serial, "_Manufacturer": "Huawei" },
            "_lastInform": { "$date": "2026-11-20T10:00:00Z" },
            "_tags": ["north", "x".repeat(100)],
            "InternetGatewayDevice": { "DeviceInfo": {
                "SoftwareVersion": leaf("V1", at), "X_Password": leaf("hunter2", at), "ModelName": leaf("EG8145V5", at),
            } },
        })
    };
    let read = |documents: &[Value]| -> Vec<app::import::genieacs::Imported> {
        documents.iter().map(|document| app::import::genieacs::read(document).expect("a device")).collect()
    };
    let actor = Actor::System("import");
    // One that is known better already, and one that is new.
    let devices = read(&[
        document("4857544300000000", "2026-11-01T00:00:00Z"),
        document("4857544300000777", "2026-11-01T00:00:00Z"),
    ]);
    let dry = nbi.bed.app.take_over(&actor, devices.clone(), true).await.expect("reads");
    assert_eq!((dry.new, dry.known, nbi.list("devices", &[]).await.0), (1, 1, 1), "a dry run writes nothing");
    let taken = nbi.bed.app.take_over(&actor, devices.clone(), false).await.expect("writes");
    assert_eq!((taken.new, taken.known, taken.tags, taken.tags_left), (1, 1, 2, 2));
    assert_eq!((taken.parameters, taken.secrets_left), (3, 2), "the known one has a newer software version");
    let again = nbi.bed.app.take_over(&actor, devices, false).await.expect("writes");
    assert_eq!(
        (again.new, again.known, again.tags, again.parameters),
        (0, 2, 0, 0),
        "the second time changes nothing"
    );

    let (_, all) = nbi.list("devices", &[("query", r#"{"_tags": "north"}"#)]).await;
    let software = |device: &Value| device[ROOT]["DeviceInfo"]["SoftwareVersion"].clone();
    assert_eq!(software(&all[0])["_value"], "V5R019C10S125");
    assert_eq!(software(&all[1])["_timestamp"], "2026-11-01T00:00:00.000Z");
    assert_eq!(all[1].get("_lastInform"), None, "it has not spoken to us");
    assert!(!json!(all).to_string().contains("hunter2"));
    let row = nbi.bed.app.store().read().cpe(3).await.expect("reads").expect("the new one");
    assert_eq!((row.state.as_str(), row.quarantine, row.model.as_str()), ("DISCOVERED", false, "EG8145V5"));
    let mut admin = nbi.bed.admin().await;
    let page = admin.get(&nbi.bed, "/cpes/3").await.text;
    assert!(page.contains("which heard from it last at") && page.contains("GenieACS import"), "{page}");
}

#[tokio::test]
async fn lists_that_are_not_read_to_their_end_are_few() {
    let nbi = Nbi::with(20).await;
    let begin = async || {
        let request = Request::get("/nbi/devices").header("x-api-key", &nbi.key);
        nbi.bed.begin(request.body(Body::empty()).expect("a request")).await
    };
    let mut open = Vec::new();
    for _ in 0..super::ANSWERS {
        let answer = begin().await;
        assert_eq!(answer.status(), StatusCode::OK);
        open.push(answer);
    }
    let refused = begin().await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "5");
    // One that is given up makes room.
    open.pop();
    assert_eq!(begin().await.status(), StatusCode::OK);
}
