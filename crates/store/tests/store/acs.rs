//! The hot path of the ACS, secrets at rest, and what is kept per device.

use crate::bed::{Bed, START};
use serde_json::json;
use std::time::Duration;
use store::{
    Guarded, Severity, Slot, Store, StoreError,
    cpes::{self, CpeStep, SessionSummary},
    jobs::NewJob,
    read::{Branches, Page, ParameterFilter, Sort},
    retention::{self, Bounds},
    rows::{
        ConnectionRequest, Cpe, CpeClaimant, CpeFault, CpeParameter, CpeSession, DeviceOrder, EvidenceItem,
        Job, LearnedFact, Olt, RefusedAddress, TimelineEntry,
    },
    timeline::{self, Subject},
};
use types::{CpeId, Secret, UtcMs};

on_both! {
    a_step_is_written_as_a_whole,
    withdrawn_layers_lose_their_evidence_before_the_new_one_is_written,
    a_step_made_from_an_old_row_writes_nothing,
    parameters_are_replaced_and_what_is_not_said_is_kept,
    of_a_secret_only_its_name_is_kept_and_what_was_kept_is_emptied,
    timers_stay_until_a_step_stops_or_moves_them,
    two_sessions_of_a_new_device_make_one_row,
    who_was_not_believed_is_found_by_address_and_by_claim,
    a_session_ends_once,
    what_was_learned_is_replaced_per_firmware,
    refused_addresses_are_counted_and_bounded,
    claimants_are_bounded_and_a_word_on_one_stays_while_it_counts,
    an_order_follows_its_device_and_what_a_refresh_did_not_see_is_gone,
    storage_per_device_is_bounded,
    an_open_order_is_never_trimmed,
    the_longest_texts_of_a_device_are_a_fault_like_any_other,
    old_things_are_swept_in_batches,
    secrets_are_sealed_to_their_row,
    a_tampered_secret_does_not_open,
}

pub(crate) fn new_cpe(serial_number: &str) -> Cpe {
    Cpe {
        oui: "00259E".to_owned(),
        product_class: "HG8546M".to_owned(),
        serial_number: serial_number.to_owned(),
        pon_serial: Some("485754437D4733C3".parse().expect("a serial")),
        state: "INFORMED".to_owned(),
        quarantine: true,
        machine: json!({"state": "INFORMED", "cursor": null}).into(),
        version: 1,
        ..Cpe::default()
    }
}

pub(crate) async fn find_or_insert(store: &Store, row: Cpe) -> Cpe {
    store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { cpes::find_or_insert(tx, &row).await }))
        .await
        .expect("inserts")
}

pub(crate) async fn save(store: &Store, step: CpeStep) -> Guarded {
    store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { cpes::save_step(tx, &step).await }))
        .await
        .expect("answers")
}

fn parameter(path: &str, value: &str, writable: Option<bool>, read_at: UtcMs) -> CpeParameter {
    CpeParameter {
        path: path.to_owned(),
        value: value.to_owned(),
        kind: "string".to_owned(),
        writable,
        read_at,
        ..CpeParameter::default()
    }
}

fn full_step(cpe: Cpe, now: UtcMs) -> CpeStep {
    let line = TimelineEntry {
        at: now,
        kind: "state".to_owned(),
        cpe_id: Some(cpe.id),
        from_state: Some(cpe.state.clone()),
        to_state: Some("OWNED".to_owned()),
        severity: Severity::Wait,
        code: "clock_invalid".to_owned(),
        text: "Provision blocked: device time invalid (1981-01-01); NTP pushed, waiting".to_owned(),
        actor: "system".to_owned(),
        facts: json!({"year": 1981}),
        ..TimelineEntry::default()
    };
    CpeStep {
        was: None,
        credentials: Some(Secret::from(r#"{"username":"lk-1","password":"correct horse"}"#)),
        timeline: vec![line.clone(), TimelineEntry { text: "second".to_owned(), ..line }],
        withdraw: vec!["internet".into()],
        evidence: vec![
            EvidenceItem {
                layer: "core".into(),
                setting: "ntp".into(),
                wanted: "old".into(),
                ..EvidenceItem::default()
            },
            EvidenceItem {
                layer: "core".into(),
                setting: "ntp".into(),
                wanted: "10.20.0.1".into(),
                observed: "10.20.0.1".into(),
                verified: true,
                at: now,
                source: "read_back".into(),
                ..EvidenceItem::default()
            },
        ],
        parameters: vec![parameter("Device.Time.Enable", "0", Some(true), now)],
        forget: vec![("Device.Gone.".to_owned(), now)],
        orders: vec![store::orders::News { key: "lk-o-unknown".to_owned(), ..Default::default() }],
        faults: vec![CpeFault {
            at: now,
            code: 9007,
            class: "provisioning_logic".into(),
            ..CpeFault::default()
        }],
        connection_requests: vec![ConnectionRequest {
            at: now,
            outcome: "timeout".into(),
            ..ConnectionRequest::default()
        }],
        start_timers: vec![("cool_down".to_owned(), now.plus_s(300)), ("grace".to_owned(), now.plus_s(60))],
        stop_timers: vec!["never_started".to_owned()],
        jobs: vec![NewJob { kind: "call".into(), key: Some(format!("cpe:{}", cpe.id)), ..NewJob::default() }],
        cpe: Cpe { state: "OWNED".to_owned(), state_since: now, ..cpe },
    }
}

async fn a_step_is_written_as_a_whole(bed: &Bed) {
    let store = bed.open().await;
    let now = store.now();
    let cpe = find_or_insert(&store, new_cpe("485754437D4733C3")).await;
    assert_eq!(save(&store, full_step(cpe.clone(), now)).await, Guarded::Changed);
    let found = cpes::by_identity(&store, "00259E", "HG8546M", "485754437D4733C3")
        .await
        .expect("reads")
        .expect("is there");
    assert_eq!((found.state.as_str(), found.version, found.state_since), ("OWNED", 2, now));
    assert_eq!(found.machine.value(), json!({"state": "INFORMED", "cursor": null}));
    let secret =
        store.open_secret(Slot::CpeCredentials(cpe.id), found.credentials_sealed.as_ref()).expect("opens");
    assert!(secret.expect("is there").expose().contains("correct horse"));
    let lines = timeline::page(&store, Subject::Cpe(cpe.id), None, 10).await.expect("reads");
    assert_eq!(lines.iter().map(|line| line.text.as_str()).next(), Some("second"), "newest first");
    assert_eq!(
        (lines.len(), lines[1].severity, &lines[1].facts),
        (2, Severity::Wait, &json!({"year": 1981}))
    );
    let evidence = cpes::evidence(&store, cpe.id).await.expect("reads");
    assert_eq!(evidence.len(), 1, "the last word of a step counts");
    assert_eq!((evidence[0].wanted.as_str(), evidence[0].verified), ("10.20.0.1", true));
    assert_eq!(cpes::parameters(&store, cpe.id).await.expect("reads").len(), 1);
    assert_eq!(cpes::faults(&store, cpe.id, 10).await.expect("reads")[0].code, 9007);
    assert_eq!(cpes::connection_requests(&store, cpe.id, 10).await.expect("reads")[0].outcome, "timeout");
    assert_eq!(cpes::timers(&store, cpe.id).await.expect("reads").len(), 2);
    assert_eq!(store.count::<Job>().await.expect("counts"), 1);
}

async fn withdrawn_layers_lose_their_evidence_before_the_new_one_is_written(bed: &Bed) {
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("1")).await;
    let other = find_or_insert(&store, new_cpe("2")).await;
    let item = |layer: &str, setting: &str| EvidenceItem {
        layer: layer.into(),
        setting: setting.into(),
        verified: true,
        ..EvidenceItem::default()
    };
    let all = vec![item("internet", "address"), item("internet", "vlan"), item("access", "ssid")];
    for cpe in [&cpe, &other] {
        let step = CpeStep { cpe: cpe.clone(), evidence: all.clone(), ..CpeStep::default() };
        assert!(save(&store, step).await.is_changed());
    }
    let row = store.require::<Cpe>(cpe.id).await.expect("reads");
    let step = CpeStep {
        cpe: row,
        withdraw: vec!["internet".into()],
        evidence: vec![item("internet", "vlan")],
        ..CpeStep::default()
    };
    assert!(save(&store, step).await.is_changed());
    let left = cpes::evidence(&store, cpe.id).await.expect("reads");
    let left: Vec<_> = left.iter().map(|e| (e.layer.as_str(), e.setting.as_str())).collect();
    assert_eq!(left, [("access", "ssid"), ("internet", "vlan")]);
    assert_eq!(cpes::evidence(&store, other.id).await.expect("reads").len(), 3, "of this CPE only");
}

async fn a_step_made_from_an_old_row_writes_nothing(bed: &Bed) {
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("485754437D4733C3")).await;
    let other = Cpe { state: "INFORMED".to_owned(), reason_text: "linked".to_owned(), ..cpe.clone() };
    assert!(save(&store, CpeStep { cpe: other, ..CpeStep::default() }).await.is_changed());
    let late = save(&store, full_step(cpe.clone(), store.now())).await;
    assert_eq!(late, Guarded::NotAsExpected { found: "version 2".to_owned() });
    assert_eq!(store.count::<TimelineEntry>().await.expect("counts"), 0);
    assert_eq!(store.count::<CpeFault>().await.expect("counts"), 0);
    assert_eq!(store.count::<Job>().await.expect("counts"), 0);
    assert_eq!(store.count::<CpeParameter>().await.expect("counts"), 0);
    let found = store.require::<Cpe>(cpe.id).await.expect("reads");
    assert_eq!((found.reason_text.as_str(), found.credentials_sealed), ("linked", None));
}

async fn parameters_are_replaced_and_what_is_not_said_is_kept(bed: &Bed) {
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("1")).await;
    let put = |items: Vec<CpeParameter>| {
        let (store, id) = (store.clone(), cpe.id);
        async move {
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(async move { cpes::put_parameters(tx, id, &items).await })
                })
                .await
                .expect("writes");
        }
    };
    let (early, late) = (store.now(), store.now().plus_s(5));
    put(vec![parameter("A.", "1", Some(false), early), parameter("B.", "1", None, early)]).await;
    put(vec![parameter("A.", "2", None, late), parameter("B.", "é".repeat(5000).as_str(), Some(true), late)])
        .await;
    let found = cpes::parameters(&store, cpe.id).await.expect("reads");
    assert_eq!((found[0].value.as_str(), found[0].writable, found[0].read_at), ("2", Some(false), late));
    assert_eq!(found[1].writable, Some(true));
    assert!(
        found[1].value.len() < 4200 && found[1].value.ends_with("(10000 bytes in all)"),
        "long values are cut"
    );
    // More rows than fit one statement.
    put((0..4000).map(|n| parameter(&format!("C.{n:04}"), "x", None, early)).collect()).await;
    assert_eq!(store.count::<CpeParameter>().await.expect("counts"), 4002);
}

async fn of_a_secret_only_its_name_is_kept_and_what_was_kept_is_emptied(bed: &Bed) {
    const KEY: &str = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.X_WPAPSK";
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("1")).await;
    let id = cpe.id;
    let items = [
        parameter(KEY, "given", Some(true), store.now()),
        parameter("Device.SSID", "home", None, store.now()),
        parameter("Device.PingInterval", "7", None, store.now()),
    ];
    store
        .write::<_, _, StoreError>(move |tx| {
            let items = items.clone();
            Box::pin(async move { cpes::put_parameters(tx, id, &items).await })
        })
        .await
        .expect("writes");
    let values = async |store: &Store| {
        let rows = cpes::parameters(store, id).await.expect("reads");
        rows.into_iter().map(|row| row.value).collect::<Vec<_>>()
    };
    assert_eq!(values(&store).await, ["7", "home", ""], "that there is one is known, and no more");

    // As it was stored before.
    bed.sql("UPDATE cpe_parameters SET value = 'leaked' WHERE path LIKE '%PSK'").await;
    let (filter, page) = (ParameterFilter::default(), Page::first(50));
    let listed = store.read().cpe_parameters(id.0, &filter, &Sort::default(), page).await.expect("reads");
    assert!(!format!("{listed:?}").contains("leaked"), "{listed:?}");
    let below = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";
    let children = store.read().cpe_children(id.0, below, page).await.expect("reads");
    assert!(!format!("{children:?}").contains("leaked"), "{children:?}");
    let devices = store.read().device_parameters(&[id.0], &Branches::All).await.expect("reads");
    assert!(!format!("{devices:?}").contains("leaked"), "{devices:?}");

    assert_eq!(values(&store).await[2], "leaked");
    drop(store);
    // What came after that goes as well.
    bed.sql("DROP INDEX device_orders_standing").await;
    bed.sql("ALTER TABLE device_orders DROP COLUMN dismissed_at").await;
    bed.sql("DROP TABLE cpe_recording_lines").await;
    bed.sql("DROP TABLE cpe_recordings").await;
    bed.sql("DROP TABLE cpe_claimants").await;
    bed.sql("DROP TABLE firmware_parts").await;
    bed.sql("DROP TABLE firmware_files").await;
    bed.sql("DELETE FROM seaql_migrations WHERE version >= '0013'").await;
    bed.sql("ALTER TABLE device_orders DROP COLUMN findings").await;
    bed.sql("ALTER TABLE device_orders DROP COLUMN service_id").await;
    bed.sql("ALTER TABLE connection_requests DROP COLUMN seen").await;
    bed.sql("UPDATE schema_state SET schema_version = 12, migration = '0012_parameter_sources'").await;
    let store = bed.open().await;
    assert_eq!(values(&store).await, ["7", "home", ""]);
    // And once more, when more names say that they hold secrets.
    bed.sql("UPDATE cpe_parameters SET value = 'leaked' WHERE path LIKE '%PSK'").await;
    drop(store);
    bed.sql("DROP TABLE cpe_claimants").await;
    bed.sql("DELETE FROM seaql_migrations WHERE version >= '0020'").await;
    bed.sql("ALTER TABLE firmware_files DROP COLUMN process").await;
    bed.sql("UPDATE schema_state SET schema_version = 19, migration = '0019_order_services'").await;
    let store = bed.open().await;
    assert_eq!(values(&store).await, ["7", "home", ""]);
}

async fn timers_stay_until_a_step_stops_or_moves_them(bed: &Bed) {
    let store = bed.open().await;
    let now = store.now();
    let cpe = find_or_insert(&store, new_cpe("1")).await;
    assert!(save(&store, full_step(cpe.clone(), now)).await.is_changed());
    assert!(cpes::timers_due(&store, now, 10).await.expect("reads").is_empty());
    assert_eq!(cpes::next_timer_at(&store).await.expect("reads"), Some(now.plus_s(60)));
    for _ in 0..2 {
        let due = cpes::timers_due(&store, now.plus_s(60), 10).await.expect("reads");
        assert_eq!(
            due.iter().map(|timer| timer.timer.as_str()).collect::<Vec<_>>(),
            ["grace"],
            "reading takes nothing"
        );
    }
    let moved = CpeStep {
        cpe: Cpe { version: 2, ..cpe },
        stop_timers: vec!["grace".to_owned()],
        start_timers: vec![
            ("cool_down".to_owned(), now.plus_s(10)),
            ("cool_down".to_owned(), now.plus_s(20)),
        ],
        ..CpeStep::default()
    };
    assert!(save(&store, moved).await.is_changed());
    let due = cpes::timers_due(&store, now.plus_s(1000), 10).await.expect("reads");
    assert_eq!(due.len(), 1);
    assert_eq!((due[0].timer.as_str(), due[0].at), ("cool_down", now.plus_s(20)));
}

async fn two_sessions_of_a_new_device_make_one_row(bed: &Bed) {
    let store = bed.open().await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { find_or_insert(&store, new_cpe("485754437D4733C3")).await.id })
        })
        .collect();
    let mut ids = Vec::new();
    for task in tasks {
        ids.push(task.await.expect("does not panic"));
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(store.count::<Cpe>().await.expect("counts"), 1);
    let by_serial =
        cpes::by_pon_serial(&store, "HWTC7D4733C3".parse().expect("a serial")).await.expect("reads");
    assert_eq!(by_serial.len(), 1, "found in any notation");
}

async fn who_was_not_believed_is_found_by_address_and_by_claim(bed: &Bed) {
    let store = bed.open().await;
    let now = store.now();
    let serial: types::Serial = "HWTC7D4733C3".parse().expect("a serial");
    let who = |name: &str, peer: &str, age_s: i64| Cpe {
        pon_serial: None,
        claimed_serial: Some(serial),
        peer_address: peer.to_owned(),
        last_inform_at: Some(UtcMs(now.0 - 1000 * age_s)),
        ..new_cpe(name)
    };
    for row in [
        who("before", "10.20.3.9", 60),
        who("latest", "::ffff:10.20.3.9", 30),
        who("long ago", "10.20.3.10", 1000),
        Cpe { claimed_serial: None, ..who("nameless", "10.20.3.11", 10) },
        Cpe {
            claimed_serial: None,
            pon_serial: Some(serial),
            quarantine: false,
            reason_code: "why".into(),
            ..who("own", "10.20.3.12", 5)
        },
        Cpe { quarantine: false, ..who("believed", "10.20.3.13", 1) },
        Cpe { state: "ACTIVE".into(), ..who("active", "10.20.3.14", 1) },
    ] {
        find_or_insert(&store, row).await;
    }
    let waiting = |since_s: i64| cpes::NotBelieved {
        state: "INFORMED",
        reason_code: "why",
        informed_since: UtcMs(now.0 - 1000 * since_s),
    };
    let at = |address: &'static str| {
        let store = store.clone();
        async move {
            let address = address.parse().expect("an address");
            waiting(900).at(&store, address).await.expect("reads").map(|row| row.serial_number)
        }
    };
    assert_eq!(at("10.20.3.9").await.as_deref(), Some("latest"), "in either spelling");
    assert_eq!(at("10.20.3.10").await, None);
    assert_eq!(at("10.20.3.11").await.as_deref(), Some("nameless"));
    assert_eq!(at("10.20.3.13").await, None);
    assert_eq!(at("10.20.3.14").await, None);
    let names = |rows: Vec<Cpe>| rows.into_iter().map(|row| row.serial_number).collect::<Vec<_>>();
    let found = waiting(900).naming(&store, serial, 10).await.expect("reads");
    assert_eq!(names(found), ["own", "latest", "before"]);
    assert_eq!(names(waiting(900).naming(&store, serial, 1).await.expect("reads")), ["own"]);
    assert!(waiting(900).any(&store).await.expect("reads"));
    assert!(!waiting(1).any(&store).await.expect("reads"));
    // Everybody who has to do with the number, the confirmed first.
    let any = cpes::by_any_serial(&store, serial).await.expect("reads");
    assert_eq!((any.len(), any[0].serial_number.as_str()), (6, "own"));
    assert_eq!(names(cpes::by_pon_serial(&store, serial).await.expect("reads")), ["own"]);
}

async fn begin(store: &Store, cpe: CpeId, began_at: UtcMs) -> types::CpeSessionId {
    let session =
        CpeSession { cpe_id: cpe, began_at, events: "2 PERIODIC".to_owned(), ..CpeSession::default() };
    store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { cpes::begin_session(tx, &session).await }))
        .await
        .expect("begins")
}

async fn a_session_ends_once(bed: &Bed) {
    let store = bed.open().await;
    let now = store.now();
    let cpe = find_or_insert(&store, new_cpe("1")).await;
    let (first, second) = (begin(&store, cpe.id, now).await, begin(&store, cpe.id, now.plus_s(1)).await);
    let end = |outcome: &'static str| {
        let store = store.clone();
        async move {
            let summary = SessionSummary {
                ended_at: now.plus_s(2),
                requests: 3,
                faults: 1,
                outcome: outcome.to_owned(),
                detail: json!(["GetParameterValues", "SetParameterValues"]),
            };
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(async move { cpes::end_session(tx, first, summary).await })
                })
                .await
                .expect("answers")
        }
    };
    assert_eq!(end("clean").await, Guarded::Changed);
    assert_eq!(end("torn").await, Guarded::NotAsExpected { found: "clean".to_owned() });
    let sessions = cpes::sessions(&store, cpe.id, 10).await.expect("reads");
    assert_eq!((sessions[0].id, sessions[0].outcome.as_deref()), (second, None));
    assert_eq!((sessions[1].outcome.as_deref(), sessions[1].requests), (Some("clean"), 3));
}

async fn what_was_learned_is_replaced_per_firmware(bed: &Bed) {
    let store = bed.open().await;
    let mut units = Vec::new();
    for serial in ["1", "2", "3"] {
        units.push(find_or_insert(&store, new_cpe(serial)).await.id);
    }
    let learn = |cpe_id: CpeId, software: &'static str, fact: &'static str| {
        let store = store.clone();
        async move {
            let fact = LearnedFact {
                oui: "00259E".into(),
                product_class: "HG8546M".into(),
                software_version: software.into(),
                path: "wan.nat".into(),
                cpe_id,
                fact: fact.into(),
                at: UtcMs(1),
            };
            store
                .write::<_, _, StoreError>(move |tx| Box::pin(async move { cpes::learn(tx, &fact).await }))
                .await
                .expect("learns");
        }
    };
    for unit in &units[..2] {
        learn(*unit, "V1", "needs reboot").await;
    }
    learn(units[2], "V1", "unsupported").await;
    let known = || cpes::learned(&store, "00259E", "HG8546M", "V1");
    assert_eq!(known().await.expect("reads"), [], "two units and a dissenter teach nobody");
    learn(units[2], "V1", "needs reboot").await;
    learn(units[0], "V2", "unsupported").await;
    assert_eq!(known().await.expect("reads"), [("wan.nat".to_owned(), "needs reboot".to_owned())]);
}

async fn storage_per_device_is_bounded(bed: &Bed) {
    let store = bed.open().await;
    let now = store.now();
    let (noisy, quiet) =
        (find_or_insert(&store, new_cpe("1")).await, find_or_insert(&store, new_cpe("2")).await);
    for cpe in [&noisy, &quiet] {
        let many = |n: i64| now.plus_s(n.unsigned_abs());
        let step = CpeStep {
            cpe: cpe.clone(),
            faults: (0..30)
                .map(|n| CpeFault { at: many(n), code: 9000 + n, ..CpeFault::default() })
                .collect(),
            connection_requests: (0..30)
                .map(|n| ConnectionRequest { at: many(n), ..ConnectionRequest::default() })
                .collect(),
            timeline: (0..30)
                .map(|n| TimelineEntry {
                    at: many(n),
                    cpe_id: Some(cpe.id),
                    code: n.to_string(),
                    ..TimelineEntry::default()
                })
                .collect(),
            parameters: (0..30).map(|n| parameter(&format!("P.{n:02}"), "x", None, many(n))).collect(),
            ..CpeStep::default()
        };
        assert!(save(&store, step).await.is_changed());
        for n in 0..5 {
            begin(&store, cpe.id, many(n)).await;
        }
    }
    let bounds = Bounds {
        sessions_per_cpe: 2,
        faults_per_cpe: 10,
        connection_requests_per_cpe: 11,
        timeline_per_cpe: 12,
        parameters_per_cpe: 13,
        ..Bounds::default()
    };
    let id = noisy.id;
    let trim = |bounds: Bounds| {
        let store = store.clone();
        async move {
            store
                .write::<_, _, StoreError>(move |tx| {
                    Box::pin(async move { retention::trim_cpe(tx, id, &bounds).await })
                })
                .await
                .expect("trims")
        }
    };
    assert_eq!(trim(bounds.clone()).await, 3 + 20 + 19 + 18 + 17);
    assert_eq!(trim(bounds).await, 0);
    assert_eq!(cpes::sessions(&store, id, 99).await.expect("reads").len(), 2);
    let faults = cpes::faults(&store, id, 99).await.expect("reads");
    assert_eq!((faults.len(), faults[0].code, faults[9].code), (10, 9029, 9020), "the newest stay");
    assert_eq!(timeline::page(&store, Subject::Cpe(id), None, 99).await.expect("reads").len(), 12);
    let parameters = cpes::parameters(&store, id).await.expect("reads");
    assert_eq!((parameters.len(), parameters[0].path.as_str()), (13, "P.17"));
    assert_eq!(cpes::faults(&store, quiet.id, 99).await.expect("reads").len(), 30, "others keep theirs");
}

async fn an_open_order_is_never_trimmed(bed: &Bed) {
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("1")).await;
    let now = store.now();
    let left = store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move {
                for n in 0..10 {
                    let order = DeviceOrder {
                        key: format!("lk-o-{n}"),
                        cpe_id: cpe.id,
                        ended_at: (n != 1).then_some(now),
                        // The oldest of these three is older than is kept even of such.
                        state: if matches!(n, 0 | 4 | 5) { "failed" } else { "done" }.into(),
                        dismissed_at: (n == 5).then_some(now),
                        results: json!([]),
                        ..DeviceOrder::default()
                    };
                    store::orders::insert(tx, &order, &Secret::new("{}")).await?;
                }
                let bounds = Bounds { orders_per_cpe: 3, standing_orders_per_cpe: 5, ..Bounds::default() };
                retention::trim_cpe(tx, cpe.id, &bounds).await?;
                store::orders::of_cpe(tx, cpe.id, 99).await
            })
        })
        .await
        .expect("trims");
    let left: Vec<&str> = left.iter().map(|order| order.key.as_str()).collect();
    assert_eq!(left, ["lk-o-9", "lk-o-8", "lk-o-7", "lk-o-4", "lk-o-1"]);
}

async fn the_longest_texts_of_a_device_are_a_fault_like_any_other(bed: &Bed) {
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("1")).await;
    // Four bytes each, and none like the one before: what repeats is compressed.
    let text = |seed: u32| -> String {
        let next = |n: &u32| Some(n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        std::iter::successors(Some(seed), next)
            .take(256)
            .filter_map(|n| char::from_u32(0x2_0000 + (n >> 16) % 0xA000))
            .collect()
    };
    let fault = CpeFault {
        at: store.now(),
        model: text(1),
        software_version: text(2),
        parameter: text(3),
        path: text(3),
        ..CpeFault::default()
    };
    let step = CpeStep { cpe: cpe.clone(), faults: vec![fault.clone()], ..CpeStep::default() };
    assert!(save(&store, step).await.is_changed());
    let kept = cpes::faults(&store, cpe.id, 9).await.expect("reads").remove(0);
    assert_eq!(kept.path, fault.path, "what is in no index stays whole");
    for (kept, said) in [
        (kept.model, fault.model),
        (kept.software_version, fault.software_version),
        (kept.parameter, fault.parameter),
    ] {
        assert_eq!(said.len(), 1024);
        assert_eq!(kept, said[..512], "cut between two characters");
    }
}

async fn old_things_are_swept_in_batches(bed: &Bed) {
    let store = bed.open().await;
    store
        .write::<_, _, StoreError>(|tx| {
            Box::pin(async move {
                let now = tx.now();
                let lines: Vec<_> =
                    (0..25).map(|_| TimelineEntry { at: now, ..TimelineEntry::default() }).collect();
                tx.insert_many(&lines).await?;
                store::settings::remember_request(tx, "scope", "key", "hash").await?;
                store::jobs::enqueue(tx, &NewJob { kind: "open".into(), ..NewJob::default() }).await?;
                Ok(())
            })
        })
        .await
        .expect("writes");
    let sweep = || {
        let store = store.clone();
        async move {
            store
                .write::<_, _, StoreError>(|tx| {
                    Box::pin(async move { retention::sweep(tx, &Bounds::default(), 10).await })
                })
                .await
                .expect("sweeps")
        }
    };
    assert_eq!(sweep().await, 0, "nothing is old yet");
    bed.clock.advance(Duration::from_secs(401 * 24 * 3600));
    assert_eq!((sweep().await, sweep().await, sweep().await, sweep().await), (11, 10, 5, 0));
    assert_eq!(store.count::<Job>().await.expect("counts"), 1, "an open job is never too old");
}

async fn with_olts(store: &Store) -> (types::OltId, types::OltId) {
    store
        .write::<_, _, StoreError>(|tx| {
            Box::pin(async move {
                let mut ids = Vec::new();
                for (name, password) in [("north", "alpha-password"), ("south", "bravo-password")] {
                    let id = tx.insert(&Olt { name: name.into(), version: 1, ..Olt::default() }).await?;
                    tx.put_secret(Slot::OltPassword(id), Some(&Secret::from(password))).await?;
                    ids.push(id);
                }
                Ok((ids[0], ids[1]))
            })
        })
        .await
        .expect("writes")
}

async fn secrets_are_sealed_to_their_row(bed: &Bed) {
    let store = bed.open().await;
    let (north, south) = with_olts(&store).await;
    let secret = store.secret(Slot::OltPassword(north)).await.expect("opens").expect("is there");
    assert_eq!(secret.expose(), "alpha-password");
    assert_eq!(store.secret(Slot::OltSnmpCommunity(north)).await.expect("reads"), None);
    // A change of the row keeps the secret, and the secret is in no debug output.
    let row = store.require::<Olt>(north).await.expect("reads");
    assert!(!format!("{row:?}").contains("alpha"));
    let renamed = Olt { name: "north-1".into(), ..row };
    let answer = store
        .write::<_, _, StoreError>(move |tx| Box::pin(async move { tx.update(&renamed).await }))
        .await
        .expect("answers");
    assert!(answer.is_changed());
    assert_eq!(
        store.secret(Slot::OltPassword(north)).await.expect("opens").expect("is there").expose(),
        "alpha-password"
    );
    // Copied to another row or another column it does not open.
    bed.sql("UPDATE olts SET password_sealed = (SELECT o.password_sealed FROM olts o WHERE o.name = 'north-1') WHERE name = 'south'")
        .await;
    let error = store.secret(Slot::OltPassword(south)).await.expect_err("moved").to_string();
    assert!(
        error.contains("olts.password_sealed, row") && error.contains("moved from another row"),
        "{error}"
    );
    bed.sql("UPDATE olts SET snmp_community_sealed = password_sealed WHERE name = 'north-1'").await;
    assert!(store.secret(Slot::OltSnmpCommunity(north)).await.is_err());
    let nobody = store
        .write::<_, _, StoreError>(|tx| {
            Box::pin(
                async move { tx.put_secret(Slot::CpeCredentials(CpeId(99)), Some(&Secret::from("x"))).await },
            )
        })
        .await;
    assert!(matches!(nobody, Err(StoreError::Missing { .. })));
    if !bed.is_postgres() {
        for entry in std::fs::read_dir(bed.folder.path()).expect("reads") {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("reads");
            for plain in [b"alpha-password".as_slice(), b"bravo-password"] {
                assert!(
                    !bytes.windows(plain.len()).any(|window| window == plain),
                    "a password lies in a file"
                );
            }
        }
    }
}

async fn a_tampered_secret_does_not_open(bed: &Bed) {
    let store = bed.open().await;
    let (north, south) = with_olts(&store).await;
    let (flip, cut) = if bed.is_postgres() {
        (
            "UPDATE olts SET password_sealed = set_byte(password_sealed, 35, (get_byte(password_sealed, 35) + 1) % 256) WHERE name = 'north'",
            "UPDATE olts SET password_sealed = substring(password_sealed from 1 for 20) WHERE name = 'south'",
        )
    } else {
        (
            "UPDATE olts SET password_sealed = CAST(substr(password_sealed, 1, 35) || x'00' || substr(password_sealed, 37) AS BLOB) WHERE name = 'north'",
            "UPDATE olts SET password_sealed = substr(password_sealed, 1, 20) WHERE name = 'south'",
        )
    };
    bed.sql(flip).await;
    bed.sql(cut).await;
    for (id, words) in [(north, "changed"), (south, "too short")] {
        let error = store.secret(Slot::OltPassword(id)).await.expect_err("tampered");
        assert!(matches!(error, StoreError::Sealed { .. }) && error.to_string().contains(words), "{error}");
    }
}

async fn an_order_follows_its_device_and_what_a_refresh_did_not_see_is_gone(bed: &Bed) {
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("485754437D4733C3")).await;
    let (id, before, now) = (cpe.id, UtcMs(1_000), UtcMs(2_000));
    let order = DeviceOrder {
        key: "lk-o-1".into(),
        cpe_id: id,
        kind: "refresh".into(),
        shown: json!({}),
        state: "waiting".into(),
        results: json!([]),
        ..DeviceOrder::default()
    };
    store
        .write::<_, _, StoreError>(move |tx| {
            let order = order.clone();
            Box::pin(async move {
                store::orders::insert(tx, &order, &Secret::from("what it is")).await?;
                let old = ["Device.A.1.X", "Device.A.2.X", "Device.A.10.X", "Device.Abc", "Device.A1.X"]
                    .map(|path| parameter(path, "1", None, before));
                cpes::put_parameters(tx, id, &old).await
            })
        })
        .await
        .expect("written");
    let open = store::orders::open_of(&store, id).await.expect("reads");
    assert_eq!(open[0].1.as_ref().map(Secret::expose), Some("what it is"));
    let news = |state: &str, ended_at| store::orders::News {
        key: "lk-o-1".into(),
        state: state.into(),
        ended_at,
        ..Default::default()
    };
    let step = CpeStep {
        cpe,
        parameters: vec![parameter("Device.A.2.X", "2", Some(true), now)],
        forget: vec![("Device.A.".to_owned(), now)],
        orders: vec![news("done", Some(now)), news("failed", Some(now))],
        ..CpeStep::default()
    };
    assert!(save(&store, step).await.is_changed());
    let under = async |object: &str| {
        let found = store.read().cpe_children(id.0, object, Page::first(50)).await.expect("reads");
        found.rows.into_iter().map(|row| (row.path, row.count)).collect::<Vec<_>>()
    };
    let path = |text: &str, count: u64| (text.to_owned(), count);
    assert_eq!(under("Device.").await, [path("Device.A.", 1), path("Device.A1.", 1), path("Device.Abc", 1)]);
    assert_eq!(under("Device.A.").await, [path("Device.A.2.", 1)]);
    let over = store::orders::of_cpe(&store, id, 10).await.expect("reads");
    assert_eq!(
        (over[0].state.as_str(), over[0].body_sealed.is_none()),
        ("done", true),
        "it stays as it ended"
    );
    assert_eq!(store::orders::open_of(&store, id).await.expect("reads").len(), 0);
}

async fn claimants_are_bounded_and_a_word_on_one_stays_while_it_counts(bed: &Bed) {
    use store::claimants::{self, MOST_CLAIMANTS};
    let store = bed.open().await;
    let cpe = find_or_insert(&store, new_cpe("1")).await.id;
    let now = store.now();
    let one = |address: &str, at: UtcMs| CpeClaimant {
        cpe_id: cpe,
        address: address.to_owned(),
        url: format!("http://{address}:7547/"),
        why: "shows no secret".to_owned(),
        first_at: at,
        last_at: at,
        ..CpeClaimant::default()
    };
    let heard = async |row: CpeClaimant| {
        store
            .write::<_, _, StoreError>(move |tx| Box::pin(async move { claimants::heard(tx, &row).await }))
            .await
            .expect("writes");
    };
    let vouch = async |address: &str, until: UtcMs| {
        let row = CpeClaimant {
            vouched_by: Some("nino".to_owned()),
            vouched_until: Some(until),
            ..one(address, now)
        };
        store
            .write::<_, _, StoreError>(move |tx| Box::pin(async move { claimants::vouch(tx, &row).await }))
            .await
            .expect("writes");
    };
    let word = async || {
        let word = claimants::word_on(&store, cpe).await.expect("reads");
        word.map(|word| (word.address, word.vouched_until))
    };
    heard(one("10.20.3.77", UtcMs(now.0 - 60_000))).await;
    vouch("10.20.3.77", now.plus_s(900)).await;
    // More of them than are kept, all of them later; and it is heard of again.
    for n in 0..MOST_CLAIMANTS + 5 {
        heard(one(&format!("10.20.9.{n}"), now.plus_s(n))).await;
    }
    let kept = claimants::of_cpe(&store, cpe, UtcMs(0)).await.expect("reads");
    assert_eq!(kept.len() as u64, MOST_CLAIMANTS);
    assert_eq!(kept[0].address, format!("10.20.9.{}", MOST_CLAIMANTS + 4), "the latest first");
    heard(one("10.20.3.77", now.plus_s(5))).await;
    let kept = claimants::of_cpe(&store, cpe, UtcMs(0)).await.expect("reads");
    let it = kept.iter().find(|row| row.address == "10.20.3.77").expect("an operator spoke for it");
    assert_eq!((it.first_at, it.last_at), (UtcMs(now.0 - 60_000), now.plus_s(5)));
    assert_eq!(word().await, Some(("10.20.3.77".to_owned(), Some(now.plus_s(900)))));
    // Another word takes the place of the one before, wherever it is about.
    vouch("10.20.4.1", now.plus_s(900)).await;
    assert_eq!(word().await, Some(("10.20.4.1".to_owned(), Some(now.plus_s(900)))));
    store
        .write::<_, _, StoreError>(move |tx| {
            Box::pin(async move { claimants::is_known_at(tx, cpe, "10.20.4.1").await })
        })
        .await
        .expect("writes");
    assert_eq!(word().await, None, "it counts once");
    let kept = claimants::of_cpe(&store, cpe, UtcMs(0)).await.expect("reads");
    assert!(kept.iter().all(|row| row.address != "10.20.4.1" && row.vouched_by.is_none()), "{kept:?}");
}

async fn refused_addresses_are_counted_and_bounded(bed: &Bed) {
    use store::refused::{self, MOST_REFUSED};
    let store = bed.open().await;
    let row = |address: String, public: bool, at: i64| RefusedAddress {
        address,
        public,
        times: 2,
        first_at: UtcMs(at),
        last_at: UtcMs(at),
    };
    let add = async |rows: Vec<RefusedAddress>| {
        store
            .write::<_, _, StoreError>(move |tx| Box::pin(async move { refused::add(tx, &rows).await }))
            .await
            .expect("writes");
    };
    let now = START.0;
    add(vec![row("10.21.3.4".into(), false, now - 5), row("10.9.9.9".into(), false, 5)]).await;
    add(vec![row("10.21.3.4".into(), false, now)]).await;
    let most = i64::try_from(MOST_REFUSED).expect("a small number");
    add((0..most + 20).map(|n| row(format!("8.8.{}.{}", n / 250, n % 250), true, now + n)).collect()).await;
    let kept = refused::since(&store, UtcMs(0)).await.expect("reads");
    assert_eq!(kept.len() as u64, MOST_REFUSED + 1, "the internet has a bound and takes no other's room");
    let first = kept.first().expect("private ones come first");
    assert_eq!((first.address.as_str(), first.times), ("10.21.3.4", 4), "and what is days old is gone");
    assert_eq!((first.first_at, first.last_at), (UtcMs(now - 5), UtcMs(now)));
    assert_eq!(kept.get(1).map(|row| row.last_at), Some(UtcMs(now + most + 19)), "the newest are kept");
    let later = refused::since(&store, UtcMs(now + most)).await.expect("reads");
    assert_eq!(later.len(), 20);
}
