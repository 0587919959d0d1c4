//! Lightkeeper asked by a program that was written for GenieACS: pygenieacs of the Python Package Index.

mod common;

use std::{path::PathBuf, process::Command};

use app::{Actor, Permission};
use serde_json::{Value, json};
use store::{StoreError, rows};
use types::{DeviceOrderId, UtcMs};
use web::WebLimits;

use common::{Served, to_the_end};
use tokio::io::AsyncWriteExt as _;

/// A Python that has pygenieacs; says why there is none.
fn python() -> Option<PathBuf> {
    let Some(python) = std::env::var_os("LIGHTKEEPER_PYGENIEACS").map(PathBuf::from) else {
        println!(
            "skipped: LIGHTKEEPER_PYGENIEACS names no Python with pygenieacs; `cargo xtask test` installs one"
        );
        return None;
    };
    Some(python)
}

async fn seeded(served: &Served) -> String {
    let written = served.app.store().write::<_, _, StoreError>(|tx| {
        Box::pin(async move {
            for number in 1..=3 {
                let at = UtcMs(1_795_271_400_000);
                let cpe = rows::Cpe {
                    oui: "00259E".into(),
                    product_class: "HG-8546M".into(),
                    serial_number: format!("485754430000000{number}"),
                    manufacturer: "Huawei".into(),
                    state: if number == 2 { "FAILED".into() } else { "ACTIVE".into() },
                    state_since: at,
                    last_inform_at: Some(at),
                    created_at: at,
                    version: 1,
                    ..rows::Cpe::default()
                };
                let cpe_id = tx.insert(&cpe).await?;
                let fault = rows::CpeFault {
                    cpe_id,
                    at: UtcMs(at.0 - 1),
                    class: "provisioning_logic".into(),
                    code: 9005,
                    text: "Invalid parameter name".into(),
                    rpc: "GetParameterValues".into(),
                    ..rows::CpeFault::default()
                };
                tx.insert(&fault).await?;
            }
            Ok(())
        })
    });
    written.await.expect("devices");
    let scopes = [Permission::Read, Permission::OperateCpe];
    let made = served.app.create_api_key(&Actor::System("test"), "pygenieacs", &scopes, None).await;
    made.expect("a key").1.expose().to_owned()
}

/// Whoever waits for a device holds nobody up: the answer is that the task is queued, which it stays.
#[tokio::test]
async fn whoever_waits_is_answered_when_the_server_stops() {
    let served = Served::start(WebLimits::default(), &[]).await;
    let key = seeded(&served).await;
    let mut changes = served.app.bus().subscribe();
    let mut wire = served.connect().await;
    let task = r#"{"name":"refreshObject","objectName":"InternetGatewayDevice.DeviceInfo"}"#;
    let request = format!(
        "POST /nbi/devices/00259E-HG%252D8546M-4857544300000001/tasks?connection_request&timeout=120000 HTTP/1.1\r\n\
         Host: lk\r\nx-api-key: {key}\r\nContent-Length: {}\r\n\r\n{task}",
        task.len()
    );
    wire.write_all(request.as_bytes()).await.expect("it is sent");
    while served.app.device_order(DeviceOrderId(1)).await.is_err() {
        let _ = changes.recv().await;
    }
    let app = std::sync::Arc::clone(&served.app);
    let ((), answer) = tokio::join!(served.stop(), to_the_end(&mut wire));
    assert!(answer.starts_with("HTTP/1.1 202 Task queued but not processed\r\n"), "{answer}");
    assert_eq!(app.device_order(DeviceOrderId(1)).await.expect("it is kept").state, "waiting");
}

#[tokio::test]
async fn a_client_of_genieacs_reads_tags_and_takes_note_of_faults() {
    let Some(python) = python() else { return };
    let served = Served::start(WebLimits::default(), &[]).await;
    let key = seeded(&served).await;
    let base = format!("http://{}/nbi", served.address);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/genieacs_client.py");
    let mut command = Command::new(python);
    command.args([script, &base, &key]);
    let output =
        tokio::task::spawn_blocking(move || command.output()).await.expect("runs").expect("Python is there");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_str(&said).expect("JSON");
    let id = |number: u8| format!("00259E-HG%2D8546M-485754430000000{number}");
    assert_eq!(found["ids"], json!([id(1), id(2), id(3)]));
    assert_eq!(found["queried"], json!([{ "_id": id(2) }]));
    assert_eq!(found["one"], "4857544300000001");
    assert_eq!(found["tagged"], json!([200, "OK"]));
    assert_eq!(found["by_tag"], json!([id(1)]));
    assert_eq!(found["faults"], json!([[id(2), "cwmp.9005"]]));
    assert_eq!(found["faults_left"], 0);
    assert_eq!(
        (&found["presets"], &found["provisions"], &found["tasks"]),
        (&json!([]), &json!([]), &json!([]))
    );
    assert_eq!(found["missing"], json!([404, "No such device"]));
    assert_eq!(found["stranger"], 401);
    served.stop().await;
}
