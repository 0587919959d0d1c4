//! What is recorded of a device: enough to go through it again, and no secret.

use crate::support::{
    bed::Bed,
    cpe::{INSIDE, SimCpe, pass, until_state},
    world::{self, Calls, PASSPHRASE, PPPOE_PASSWORD, admin, cpe_rows, person},
};
use app::{AccessInput, App, AppError, DeviceOrderRequest, ParameterChange, Role, WifiInput};
use provisioning::{OwnershipCredentials, ValueKind, recording::replay};
use sim::cpe::Quirks;
use store::{Slot, rows};
use types::{CpeId, CpeRecordingId, Secret, Serial, ServiceId};

const NEW_PASSPHRASE: &str = "new-phrase-4711";
const ORDERED: &str = "by-hand-4712";

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

/// A device that spoke once and is not set up yet.
async fn met(bed: &Bed, app: &App) -> (SimCpe, CpeId, ServiceId) {
    let mut policy = world::policy();
    policy.olt_word_valid_s = 1_000_000;
    app.set_acs_policy(&admin(), policy, None).await.expect("acceptable");
    let service = world::service(app, "user@isp", Some(serial())).await;
    let olt = world::quiet_olt(app, "olt-1").await;
    world::onu(app, olt, serial(), Some(service)).await;
    let mut cpe = SimCpe::new(serial(), INSIDE, "user@isp", PPPOE_PASSWORD, Quirks::default());
    cpe.power_on(app.now());
    while cpe_rows(app).await.is_empty() {
        let now = app.now();
        cpe.tick(now);
        if cpe.wants_session(now) {
            cpe.visit(app, now).await;
        }
        bed.advance_s(1);
    }
    let id = cpe_rows(app).await[0].id;
    (cpe, id, service)
}

async fn row_of(app: &App, id: CpeRecordingId) -> rows::CpeRecording {
    app.store().require(id).await.expect("a recording")
}

/// The passwords that this device and its service have, as the database knows them.
async fn secrets(app: &App, cpe: CpeId) -> Vec<String> {
    let sealed = app.store().secret(Slot::CpeCredentials(cpe)).await.expect("readable").expect("credentials");
    let own: OwnershipCredentials = serde_json::from_str(sealed.expose()).expect("credentials");
    vec![
        own.password.expose().to_owned(),
        own.connection_request_password.expose().to_owned(),
        PPPOE_PASSWORD.to_owned(),
        PASSPHRASE.to_owned(),
        NEW_PASSPHRASE.to_owned(),
        ORDERED.to_owned(),
    ]
}

async fn a_device_is_recorded_without_its_secrets_and_gone_through_again(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id, service) = met(bed, &app).await;
    let recording = app.start_recording(&admin(), id, 50, 24).await.expect("it begins");
    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
    let change = ParameterChange {
        path: "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.PreSharedKey.1.PreSharedKey".into(),
        value: Secret::new(ORDERED),
        kind: Some(ValueKind::String),
    };
    let request = DeviceOrderRequest::Set { values: vec![change] };
    let order = app.order_device(&admin(), id, request, None).await.expect("taken").id;
    let mut answered = calls.made().len().saturating_sub(1);
    for _ in 0..200 {
        if app.device_order(order).await.expect("is there").ended_at.is_some() {
            break;
        }
        pass(bed, &app, &calls, &mut answered, &mut cpe).await;
    }
    assert_eq!(app.device_order(order).await.expect("is there").state, "accepted");
    let wifi =
        WifiInput { ssid: "Kilimani 4".into(), passphrase: Some(Secret::new(NEW_PASSPHRASE)), enabled: true };
    let access = AccessInput { wifi };
    app.set_access(&admin(), service, access).await.expect("taken");
    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
    let (_, text) = app.recording_file(&admin(), recording).await.expect("a file");
    for secret in secrets(&app, id).await {
        assert!(!text.contains(&secret), "a secret is in the recording");
    }
    for word in ["Authorization", "Digest ", "Cookie", "nonce="] {
        assert!(!text.contains(word), "{word} has no place in a recording");
    }
    let done = replay(&text, &app.profiles()).expect("readable");
    assert!(done.steps.len() > 20, "{} steps", done.steps.len());
    let different: Vec<String> = done
        .different()
        .map(|step| format!("line {}: {:?}\n{}", step.line, step.event, step.differences().join("\n")))
        .collect();
    assert!(different.is_empty(), "{}", different.join("\n\n"));
    assert!(text.contains("OrderGiven") && text.contains("RecordOrder"), "what was ordered is there");
    let writes = done.steps.iter().flat_map(|step| &step.now.lines).filter(|line| line.contains("SetValues"));
    assert!(
        writes.clone().any(|line| line.contains("{\"Secret\":\"redacted-")),
        "that a secret was written is there"
    );
    if let Some(file) = std::env::var_os("LIGHTKEEPER_KEEP_RECORDING") {
        std::fs::write(file, &text).expect("kept");
    }
}

async fn a_recording_ends_by_itself_or_when_it_is_stopped(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id, _) = met(bed, &app).await;
    let begun = app.start_recording(&admin(), id, 1, 1).await.expect("it begins");
    let again = app.start_recording(&admin(), id, 1, 1).await;
    assert!(matches!(again, Err(AppError::Conflict(_))), "{again:?}");
    let mut answered = 0;
    while row_of(&app, begun).await.ended_at.is_none() {
        pass(bed, &app, &calls, &mut answered, &mut cpe).await;
    }
    let lines = row_of(&app, begun).await.lines;
    assert_eq!(row_of(&app, begun).await.end_reason, "sessions");
    until_state(bed, &app, &calls, &mut cpe, "ACTIVE").await;
    assert_eq!(row_of(&app, begun).await.lines, lines, "nothing is added once it is over");

    let stopped = app.start_recording(&admin(), id, 5, 1).await.expect("another one");
    app.stop_recording(&admin(), stopped).await.expect("stopped");
    assert_eq!(row_of(&app, stopped).await.end_reason, "stopped");
    assert!(matches!(app.stop_recording(&admin(), stopped).await, Err(AppError::Conflict(_))));
    // The oldest makes room.
    for _ in 0..2 {
        let next = app.start_recording(&admin(), id, 5, 1).await.expect("another one");
        app.stop_recording(&admin(), next).await.expect("stopped");
    }
    let kept: Vec<_> = app.recordings_of(id).await.expect("rows").iter().map(|row| row.id).collect();
    assert_eq!(kept.len(), 3);
    assert!(!kept.contains(&begun));
    assert_eq!(bed.number("SELECT COUNT(*) FROM cpe_recording_lines WHERE recording_id = 1").await, 0);

    let timed = app.start_recording(&admin(), id, 5, 1).await.expect("another one");
    bed.advance_s(3601);
    pass(bed, &app, &calls, &mut answered, &mut cpe).await;
    let row = row_of(&app, timed).await;
    assert!(!app::recording_runs(&row, app.now()) && row.lines == 1, "its time is over: {row:?}");
}

async fn who_may_not_operate_a_cpe_may_not_record_it(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (_, id, _) = met(bed, &app).await;
    let viewer = person("vera", Role::Viewer);
    assert!(matches!(app.start_recording(&viewer, id, 1, 1).await, Err(AppError::Forbidden(_))));
    for (sessions, hours) in [(0, 1), (51, 1), (1, 0), (1, 169)] {
        let refused = app.start_recording(&admin(), id, sessions, hours).await;
        assert!(matches!(refused, Err(AppError::Invalid { .. })), "{sessions} {hours}: {refused:?}");
    }
    let begun = app.start_recording(&admin(), id, 1, 1).await.expect("it begins");
    assert!(matches!(app.recording_file(&viewer, begun).await, Err(AppError::Forbidden(_))));
    app.recording_file(&admin(), begun).await.expect("a file");
    let told =
        bed.number("SELECT COUNT(*) FROM audit_log WHERE action IN ('cpe.record', 'cpe.download_recording')");
    assert_eq!(told.await, 2, "both are in the audit log");
}

on_both!(
    a_device_is_recorded_without_its_secrets_and_gone_through_again,
    a_recording_ends_by_itself_or_when_it_is_stopped,
    who_may_not_operate_a_cpe_may_not_record_it,
);
