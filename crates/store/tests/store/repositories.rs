//! Services and their links, OLTs, ONUs, tasks, people: the rules that live in the store.

use crate::{
    acs::{find_or_insert, new_cpe},
    bed::{Bed, START},
    units::customer,
};
use futures::future::BoxFuture;
use serde_json::json;
use std::time::Duration;
use store::{
    DetectedState, Guarded, Layer, OltObservedState, OltTaskState, Presence, Role, ServiceState, Slot, Store,
    StoreError, SyncState, Tx,
    detected::{self, Sighting},
    olts::{self, OltObservation},
    onus::{self, OnuObservation},
    rows::{
        ApiKey, AuditEntry, Cpe, Olt, OltTask, OltTaskLine, Onu, Plan, Service, TimelineEntry, User,
        WebSession,
    },
    services::{self, IntentChange},
    tasks::{self, NewTask, TaskMove},
    timeline::{self, Subject},
    users,
};
use types::{CpeId, OltId, OnuRowId, PonPath, Secret, Serial, ServiceId, TimelineId};

on_both! {
    a_service_changes_state_only_from_the_state_it_was_seen_in,
    links_are_the_same_on_both_sides,
    a_serial_finds_the_services_that_speak_for_it,
    an_intent_has_a_version_only_when_it_differs,
    polls_and_edits_of_an_olt_do_not_overwrite_each_other,
    a_removed_onu_frees_its_place_and_its_serial,
    what_is_kept_of_an_onu_stands_beside_the_rest,
    detected_onus_come_wait_and_go,
    one_open_task_per_onu_and_its_journal,
    people_browsers_and_keys,
    history_is_read_in_pages_per_subject,
    a_value_nobody_wrote_is_an_error_with_a_place,
    numbers_are_given_in_order,
}

fn serial(text: &str) -> Serial {
    text.parse().expect("a serial")
}

const PON: PonPath = PonPath { frame: 0, slot: 1, port: 6 };

async fn write<T: Send + 'static>(
    store: &Store,
    unit: impl for<'t> FnOnce(&'t Tx) -> BoxFuture<'t, Result<T, StoreError>> + Clone + Send + 'static,
) -> T {
    store.write::<_, _, StoreError>(unit).await.expect("the unit commits")
}

async fn olt(store: &Store, name: &'static str) -> OltId {
    write(store, move |tx| {
        Box::pin(async move { tx.insert(&Olt { name: name.into(), version: 1, ..Olt::default() }).await })
    })
    .await
}

async fn service(store: &Store, code: &'static str) -> ServiceId {
    write(store, move |tx| {
        Box::pin(async move {
            let customer_id = tx.insert(&customer(&format!("C-{code}"))).await?;
            let plan = Plan {
                name: format!("P-{code}"),
                currency: "EUR".into(),
                price_minor: 2990,
                ..Plan::default()
            };
            let plan_id = tx.insert(&plan).await?;
            let row = Service { code: code.into(), customer_id, plan_id, version: 1, ..Service::default() };
            tx.insert(&row).await
        })
    })
    .await
}

async fn onu(store: &Store, olt: OltId, onu_id: i64, sn: &'static str) -> OnuRowId {
    write(store, move |tx| {
        Box::pin(async move { tx.insert(&Onu::planned(olt, PON, onu_id, serial(sn), START)).await })
    })
    .await
}

async fn a_service_changes_state_only_from_the_state_it_was_seen_in(bed: &Bed) {
    use ServiceState::{Active, Reserved, Suspended};
    let store = bed.open().await;
    let id = service(&store, "S-1").await;
    let go = |from, version, to| {
        let store = store.clone();
        async move {
            write(&store, move |tx| {
                Box::pin(async move { services::transition(tx, id, from, version, to, tx.now()).await })
            })
            .await
        }
    };
    assert_eq!(
        go(Active, 1, Suspended).await,
        Guarded::NotAsExpected { found: "reserved, version 1".into() }
    );
    assert_eq!(go(Reserved, 1, Active).await, Guarded::Changed);
    assert_eq!(go(Reserved, 1, Active).await, Guarded::NotAsExpected { found: "active, version 2".into() });
    bed.clock.advance(Duration::from_secs(60));
    assert_eq!(go(Active, 2, Suspended).await, Guarded::Changed);
    assert_eq!(go(Suspended, 3, Active).await, Guarded::Changed);
    let row = store.require::<Service>(id).await.expect("reads");
    assert_eq!((row.state, row.activated_at), (Active, Some(START)), "the first activation counts");
    let denied = write(&store, move |tx| {
        Box::pin(async move {
            services::set_access(tx, id, 4, store::AccessState::WalledGarden, Some("unpaid")).await
        })
    })
    .await;
    assert!(denied.is_changed());
    assert_eq!(store.require::<Service>(id).await.expect("reads").deny_reason.as_deref(), Some("unpaid"));
    let nobody = write(&store, move |tx| {
        Box::pin(async move { services::transition(tx, ServiceId(999), Reserved, 1, Active, tx.now()).await })
    })
    .await;
    assert_eq!(nobody, Guarded::NotFound);
}

async fn links_are_the_same_on_both_sides(bed: &Bed) {
    let store = bed.open().await;
    let (first, second) = (service(&store, "S-1").await, service(&store, "S-2").await);
    let olt = olt(&store, "north").await;
    let (a, b) = (onu(&store, olt, 0, "HWTC00000001").await, onu(&store, olt, 1, "HWTC00000002").await);
    let cpe = find_or_insert(&store, new_cpe("1")).await;
    let link = |service, onu| {
        let store = store.clone();
        async move {
            write(&store, move |tx| Box::pin(async move { services::link_onu(tx, service, onu).await })).await
        }
    };
    let link_cpe = |service, cpe| {
        let store = store.clone();
        async move {
            write(&store, move |tx| Box::pin(async move { services::link_cpe(tx, service, cpe).await })).await
        }
    };
    link(first, Some(a)).await;
    link(first, Some(b)).await;
    assert_eq!(store.require::<Onu>(a).await.expect("reads").service_id, None, "the earlier ONU lets go");
    link(second, Some(b)).await;
    assert_eq!(
        store.require::<Service>(first).await.expect("reads").onu_id,
        None,
        "the earlier service lets go"
    );
    assert_eq!(services::by_onu(&store, b).await.expect("reads").map(|row| row.id), Some(second));
    assert_eq!(onus::by_service(&store, second).await.expect("reads").map(|row| row.id), Some(b));
    link_cpe(first, Some(cpe.id)).await;
    link_cpe(second, Some(cpe.id)).await;
    assert_eq!(store.require::<Service>(first).await.expect("reads").cpe_id, None);
    assert_eq!(services::by_cpe(&store, cpe.id).await.expect("reads").map(|row| row.id), Some(second));
    let moved = store.require::<Cpe>(cpe.id).await.expect("reads");
    assert_eq!(moved.service_id, Some(second));
    assert!(moved.version > cpe.version, "a step that was under way must look again");
    link_cpe(second, None).await;
    assert_eq!(cpes_of(&store, second).await, None);
    let nobody: Result<(), StoreError> = store
        .write(move |tx| Box::pin(async move { services::link_cpe(tx, first, Some(CpeId(999))).await }))
        .await;
    assert!(matches!(nobody, Err(StoreError::Missing { table: "cpes", .. })), "{nobody:?}");
}

async fn cpes_of(store: &Store, service: ServiceId) -> Option<CpeId> {
    store::cpes::by_service(store, service).await.expect("reads").map(|row| row.id)
}

async fn a_serial_finds_the_services_that_speak_for_it(bed: &Bed) {
    let store = bed.open().await;
    let (expects, carries, over) =
        (service(&store, "S-1").await, service(&store, "S-2").await, service(&store, "S-3").await);
    let olt = olt(&store, "north").await;
    let onu = onu(&store, olt, 0, "HWTC7D4733C3").await;
    write(&store, move |tx| {
        Box::pin(async move {
            for (id, state) in [(expects, ServiceState::Reserved), (over, ServiceState::Terminated)] {
                let row = tx.require::<Service>(id).await?;
                let row = Service { expected_serial: Some(serial("485754437D4733C3")), state, ..row };
                tx.update(&row).await?.or_overtaken("the service")?;
            }
            services::link_onu(tx, carries, Some(onu)).await
        })
    })
    .await;
    let found = services::for_serial(&store, serial("HWTC-7D4733C3")).await.expect("reads");
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [expects, carries]);
    assert!(services::for_serial(&store, serial("HWTC00000009")).await.expect("reads").is_empty());
}

async fn an_intent_has_a_version_only_when_it_differs(bed: &Bed) {
    let store = bed.open().await;
    let id = service(&store, "S-1").await;
    let set = |layer, body: &'static str, hash: &'static str| {
        let store = store.clone();
        async move {
            write(&store, move |tx| {
                Box::pin(async move {
                    services::set_intent(tx, id, layer, &Secret::from(body), hash, "anna", tx.now()).await
                })
            })
            .await
        }
    };
    let wan = r#"{"mode":"pppoe","username":"u1","password":"pppoe-secret"}"#;
    assert_eq!(set(Layer::Internet, wan, "h1").await, IntentChange::Changed(1));
    assert_eq!(set(Layer::Internet, wan, "h1").await, IntentChange::Same(1));
    assert_eq!(set(Layer::Access, "{}", "h9").await, IntentChange::Changed(1));
    assert_eq!(set(Layer::Internet, "{\"mode\":\"dhcp\"}", "h2").await, IntentChange::Changed(2));
    let intents = services::intents(&store, id).await.expect("opens");
    let seen: Vec<_> = intents.iter().map(|i| (i.layer, i.intent_version, i.body.expose())).collect();
    assert_eq!(seen, [(Layer::Internet, 2, "{\"mode\":\"dhcp\"}"), (Layer::Access, 1, "{}")]);
    let body = store.secret(Slot::IntentBody(id, Layer::Access)).await.expect("opens");
    assert_eq!(body.expect("is there").expose(), "{}");
    // One layer's ciphertext is nothing in another layer.
    bed.sql(
        "UPDATE service_intents SET body_sealed =
         (SELECT i.body_sealed FROM service_intents i WHERE i.layer = 'internet') WHERE layer = 'access'",
    )
    .await;
    assert!(matches!(services::intents(&store, id).await, Err(StoreError::Sealed { .. })));
    let gone = write(&store, move |tx| {
        Box::pin(async move { services::remove_intent(tx, id, Layer::Access).await })
    })
    .await;
    assert!(gone);
    assert_eq!(services::intents(&store, id).await.expect("opens").len(), 1);
}

async fn polls_and_edits_of_an_olt_do_not_overwrite_each_other(bed: &Bed) {
    let store = bed.open().await;
    let id = olt(&store, "north").await;
    let edit = store.require::<Olt>(id).await.expect("reads");
    let observe = |state, reason: Option<&'static str>, observed: Option<serde_json::Value>| {
        let store = store.clone();
        async move {
            write(&store, move |tx| {
                Box::pin(async move {
                    let seen =
                        OltObservation { state, reason: reason.map(str::to_owned), observed, at: tx.now() };
                    olts::observe(tx, id, seen).await
                })
            })
            .await
        }
    };
    let before = observe(OltObservedState::Answering, None, Some(json!({"family": "MA5800"}))).await;
    assert_eq!(before, Some(OltObservedState::Unknown));
    let edit = Olt { address: "10.0.0.1".into(), ..edit };
    let answer = write(&store, move |tx| Box::pin(async move { tx.update(&edit).await })).await;
    assert_eq!(answer, Guarded::Changed, "a poll in between is no reason to refuse an edit");
    let before = observe(OltObservedState::Silent, Some("timeout"), None).await;
    assert_eq!(before, Some(OltObservedState::Answering), "whoever notes it first tells it");
    let row = store.require::<Olt>(id).await.expect("reads");
    assert_eq!((row.address.as_str(), row.version), ("10.0.0.1", 2));
    assert_eq!(
        (row.observed_state, row.observed_reason.as_deref()),
        (OltObservedState::Silent, Some("timeout"))
    );
    assert_eq!(row.observed, json!({"family": "MA5800"}), "an OLT that is silent has not changed");
    let pin = |pin: &'static str| {
        let store = store.clone();
        async move {
            write(&store, move |tx| Box::pin(async move { olts::pin_host_key(tx, id, pin).await })).await
        }
    };
    assert!(pin("first").await);
    assert!(!pin("second").await, "a changed host key is a person's decision");
    let observe = |state: Option<&str>, onu_count, problem: Option<&str>| {
        let (state, problem) = (state.map(str::to_owned), problem.map(str::to_owned));
        let seen = olts::PortObservation { state, onu_count, problem, at: store.now() };
        write(&store, move |tx| Box::pin(async move { olts::observe_port(tx, id, PON, seen).await }))
    };
    observe(Some("up"), Some(3), None).await;
    observe(Some("up"), Some(4), None).await;
    observe(None, None, Some("a row is torn")).await;
    let ports = olts::pon_ports(&store, id).await.expect("reads");
    assert_eq!((ports.len(), ports[0].onu_count, ports[0].pon), (1, 4, PON), "what was not read stays");
    assert_eq!(
        (ports[0].observed_state.as_str(), ports[0].observed_problem.as_deref()),
        ("up", Some("a row is torn"))
    );
    observe(Some("down"), Some(0), None).await;
    let ports = olts::pon_ports(&store, id).await.expect("reads");
    assert_eq!((ports[0].observed_state.as_str(), &ports[0].observed_problem), ("down", &None));
    assert_eq!(olts::port_at(&store, id, PON).await.expect("reads").map(|port| port.id), Some(ports[0].id));
}

async fn a_removed_onu_frees_its_place_and_its_serial(bed: &Bed) {
    let store = bed.open().await;
    let (north, south) = (olt(&store, "north").await, olt(&store, "south").await);
    let first = onu(&store, north, 0, "HWTC00000001").await;
    for (olt, onu_id, sn) in [(north, 0, "HWTC00000002"), (south, 5, "HWTC00000001")] {
        let error = store
            .write::<_, _, StoreError>(move |tx| {
                Box::pin(async move { tx.insert(&Onu::planned(olt, PON, onu_id, serial(sn), START)).await })
            })
            .await
            .expect_err("taken");
        assert!(matches!(error, StoreError::Duplicate { .. }), "{error}");
    }
    let owner = service(&store, "S-1").await;
    write(&store, move |tx| Box::pin(async move { services::link_onu(tx, owner, Some(first)).await })).await;
    let seen = OnuObservation {
        presence: Presence::InService,
        run_state: "online".into(),
        rx_onu_cdbm: Some(-1950),
        at: START,
        ..OnuObservation::default()
    };
    let later = OnuObservation { rx_onu_cdbm: None, run_state: "offline".into(), ..seen.clone() };
    for seen in [seen, later] {
        assert!(write(&store, move |tx| Box::pin(async move { onus::observe(tx, first, seen).await })).await);
    }
    let row = onus::by_serial(&store, serial("HWTC00000001")).await.expect("reads").expect("is there");
    assert_eq!((row.rx_onu_cdbm, row.run_state.as_str()), (Some(-1950), "offline"));
    let sync = |from, to| {
        let store = store.clone();
        async move {
            write(&store, move |tx| Box::pin(async move { onus::transition_sync(tx, first, from, to).await }))
                .await
        }
    };
    assert_eq!(sync(SyncState::Unknown, SyncState::Applying).await, Guarded::Changed);
    assert_eq!(
        sync(SyncState::Unknown, SyncState::InSync).await,
        Guarded::NotAsExpected { found: "applying".into() }
    );
    let remove = || {
        let store = store.clone();
        async move {
            write(&store, move |tx| Box::pin(async move { onus::remove(tx, first, tx.now()).await })).await
        }
    };
    assert_eq!(remove().await, Guarded::Changed);
    assert_eq!(remove().await, Guarded::NotAsExpected { found: "removed".into() });
    assert_eq!(store.require::<Service>(owner).await.expect("reads").onu_id, None);
    onu(&store, north, 0, "HWTC00000001").await;
    onu(&store, north, 3, "HWTC00000003").await;
    assert_eq!(onus::ids_in_use(&store, north, PON).await.expect("reads"), [0, 3]);
    assert_eq!(onus::of_olt(&store, north, Some(PON)).await.expect("reads").len(), 2);
    assert_eq!(onus::of_olt(&store, south, None).await.expect("reads").len(), 0);
    assert!(onus::by_place(&store, north, PON, 3).await.expect("reads").is_some());
}

async fn what_is_kept_of_an_onu_stands_beside_the_rest(bed: &Bed) {
    let store = bed.open().await;
    let north = olt(&store, "north").await;
    let (first, second) =
        (onu(&store, north, 0, "HWTC00000001").await, onu(&store, north, 1, "HWTC00000002").await);
    let before: Onu = store.require(first).await.expect("reads");
    for (key, value) in [
        ("management", Some(json!({"read_at": 1}))),
        ("other", Some(json!("stays"))),
        ("management", Some(json!({"read_at": 2}))),
    ] {
        let kept = write(&store, move |tx| {
            Box::pin(async move { onus::keep_observed(tx, first, key, value).await })
        })
        .await;
        assert!(kept);
    }
    let row: Onu = store.require(first).await.expect("reads");
    assert_eq!(row.observed, json!({"management": {"read_at": 2}, "other": "stays"}));
    assert_eq!(row.version, before.version, "what is observed is no edit");
    let all = onus::all_observed(&store).await.expect("reads");
    assert_eq!(all.iter().find(|(id, _)| *id == first).map(|(_, o)| o.clone()), Some(row.observed));
    assert!(all.iter().any(|(id, _)| *id == second));
    write(&store, move |tx| {
        Box::pin(async move { onus::keep_observed(tx, first, "management", None).await })
    })
    .await;
    assert_eq!(store.require::<Onu>(first).await.expect("reads").observed, json!({"other": "stays"}));
    let nobody = write(&store, move |tx| {
        Box::pin(async move { onus::keep_observed(tx, OnuRowId(999), "x", Some(json!(1))).await })
    })
    .await;
    assert!(!nobody);

    // Whose CPE is beyond its first states.
    let (one, two) = (service(&store, "S-1").await, service(&store, "S-2").await);
    let cpe = write(&store, move |tx| {
        Box::pin(async move {
            services::link_onu(tx, one, Some(first)).await?;
            services::link_onu(tx, two, Some(second)).await?;
            let cpe = tx.insert(&Cpe { state: "ACTIVE".into(), ..new_cpe("A1") }).await?;
            services::link_cpe(tx, one, Some(cpe)).await?;
            let other = tx.insert(&Cpe { state: "INFORMED".into(), ..new_cpe("A2") }).await?;
            services::link_cpe(tx, two, Some(other)).await?;
            store::cpes::set_pon_serial(tx, cpe, serial("HWTC00000001")).await?.or_overtaken("the CPE")?;
            let entry = TimelineEntry { cpe_id: Some(other), code: "told".into(), ..Default::default() };
            timeline::append(tx, &entry).await?;
            assert_eq!(timeline::hand_over(tx, other, cpe).await?, 1);
            Ok(cpe)
        })
    })
    .await;
    let beyond = |olt| {
        let store = store.clone();
        async move {
            onus::services_with_cpe_beyond(&store, olt, &["DISCOVERED", "INFORMED"]).await.expect("reads")
        }
    };
    assert_eq!(beyond(north).await.into_iter().collect::<Vec<_>>(), [one]);
    assert!(beyond(olt(&store, "south").await).await.is_empty());
    let row: Cpe = store.require(cpe).await.expect("reads");
    assert_eq!(row.pon_serial, Some(serial("HWTC00000001")));
    let history = timeline::page(&store, Subject::Cpe(cpe), None, 10).await.expect("reads");
    assert_eq!(history.iter().map(|entry| entry.code.as_str()).collect::<Vec<_>>(), ["told"]);
}

async fn detected_onus_come_wait_and_go(bed: &Bed) {
    let store = bed.open().await;
    let id = olt(&store, "north").await;
    let saw = |sn: &'static str| {
        let store = store.clone();
        async move {
            write(&store, move |tx| {
                Box::pin(async move {
                    let seen = Sighting {
                        olt_id: id,
                        pon: PON,
                        serial: serial(sn),
                        vendor: "HWTC".into(),
                        equipment_id: "HG8546M".into(),
                        software_version: "V5".into(),
                        hardware_version: "A".into(),
                        at: tx.now(),
                    };
                    detected::saw(tx, seen).await
                })
            })
            .await;
        }
    };
    saw("HWTC00000001").await;
    saw("HWTC00000002").await;
    bed.clock.advance(Duration::from_secs(60));
    saw("HWTC00000001").await;
    let first =
        detected::by_serial(&store, id, serial("HWTC00000001")).await.expect("reads").expect("is there");
    assert_eq!((first.first_seen_at, first.last_seen_at), (START, START.plus_s(60)));
    let gone =
        write(&store, move |tx| Box::pin(async move { detected::mark_gone(tx, id, tx.now()).await })).await;
    assert_eq!(gone, 1);
    let waiting = detected::waiting(&store, 10).await.expect("reads");
    assert_eq!(waiting.iter().map(|row| row.id).collect::<Vec<_>>(), [first.id]);
    let go = |from, to| {
        let store = store.clone();
        let id = first.id;
        async move {
            write(&store, move |tx| Box::pin(async move { detected::transition(tx, id, from, to).await }))
                .await
        }
    };
    assert!(go(DetectedState::Waiting, DetectedState::Authorising).await.is_changed());
    assert_eq!(
        go(DetectedState::Waiting, DetectedState::Authorising).await,
        Guarded::NotAsExpected { found: "authorising".into() }
    );
    saw("HWTC00000001").await;
    let state = || async {
        detected::by_serial(&store, id, serial("HWTC00000001")).await.expect("reads").expect("is there").state
    };
    assert_eq!(state().await, DetectedState::Authorising, "seeing it again does not take it from the task");
    assert!(go(DetectedState::Authorising, DetectedState::Authorised).await.is_changed());
    saw("HWTC00000001").await;
    assert_eq!(state().await, DetectedState::Waiting, "detected again: the OLT does not know it any more");
    saw("HWTC00000002").await;
    assert_eq!(detected::waiting(&store, 10).await.expect("reads").len(), 2, "gone ones come back");
}

async fn one_open_task_per_onu_and_its_journal(bed: &Bed) {
    let store = bed.open().await;
    let id = olt(&store, "north").await;
    let new = NewTask {
        kind: "authorise_onu".into(),
        olt_id: id,
        service_id: None,
        serial: serial("HWTC00000001"),
        pon: PON,
        plan: json!({"lines": ["ont add ••••"]}),
        actor: "anna".into(),
        idempotency_key: None,
    };
    let again = new.clone();
    let task = write(&store, move |tx| {
        Box::pin(async move {
            let task = tasks::begin(tx, new, tx.now()).await?;
            tx.put_secret(Slot::TaskJournal(task), Some(&Secret::from("ont add with everything"))).await?;
            Ok(task)
        })
    })
    .await;
    let second = store
        .write::<_, _, StoreError>({
            let again = again.clone();
            move |tx| Box::pin(async move { tasks::begin(tx, again, tx.now()).await })
        })
        .await;
    assert!(matches!(second, Err(StoreError::Duplicate { .. })), "{second:?}");
    let go = |from, to, step: &'static str| {
        let store = store.clone();
        async move {
            write(&store, move |tx| {
                Box::pin(async move {
                    tasks::transition(tx, task, TaskMove { from, to, step, reason: "" }, tx.now()).await
                })
            })
            .await
        }
    };
    assert!(go(OltTaskState::Pending, OltTaskState::Applying, "ont_add").await.is_changed());
    assert_eq!(
        go(OltTaskState::Pending, OltTaskState::Applying, "ont_add").await,
        Guarded::NotAsExpected { found: "applying".into() }
    );
    for (seq, reply) in [(1, ""), (2, ""), (1, "success")] {
        let line = OltTaskLine {
            task_id: task,
            seq,
            line: "ont add".into(),
            reply: reply.into(),
            ..OltTaskLine::default()
        };
        write(&store, move |tx| Box::pin(async move { tasks::journal_line(tx, line).await })).await;
    }
    let lines = tasks::lines(&store, task).await.expect("reads");
    assert_eq!(lines.iter().map(|line| line.reply.as_str()).collect::<Vec<_>>(), ["success", ""]);
    assert_eq!(tasks::unfinished(&store, 10).await.expect("reads").len(), 1);
    assert!(go(OltTaskState::Applying, OltTaskState::NeedsOperator, "ont_add").await.is_changed());
    assert!(tasks::unfinished(&store, 10).await.expect("reads").is_empty(), "nobody carries it on by itself");
    assert_eq!(
        tasks::open_for(&store, id, serial("HWTC00000001")).await.expect("reads").map(|row| row.id),
        Some(task),
        "but it stays in the way"
    );
    assert!(go(OltTaskState::NeedsOperator, OltTaskState::Undone, "").await.is_changed());
    let row = store.require::<OltTask>(task).await.expect("reads");
    assert_eq!(row.finished_at, Some(store.now()));
    let journal = store.secret(Slot::TaskJournal(task)).await.expect("opens").expect("is there");
    assert_eq!(journal.expose(), "ont add with everything");
    let next =
        write(&store, move |tx| Box::pin(async move { tasks::begin(tx, again, tx.now()).await })).await;
    let known = tasks::for_serial(&store, serial("HWTC00000001"), 10).await.expect("reads");
    assert_eq!(known.iter().map(|row| row.id).collect::<Vec<_>>(), [next, task]);
}

async fn people_browsers_and_keys(bed: &Bed) {
    let store = bed.open().await;
    let user = User { name: "anna".into(), role: Role::Noc, active: true, version: 1, ..User::default() };
    let id = write(&store, move |tx| Box::pin(async move { tx.insert(&user).await })).await;
    for token in ["t1", "t2"] {
        let session = WebSession {
            token_hash: token.into(),
            user_id: id,
            created_at: START,
            expires_at: START.plus_s(3600),
            ..WebSession::default()
        };
        write(&store, move |tx| Box::pin(async move { users::open_web_session(tx, &session).await })).await;
    }
    let found = users::web_session(&store, "t1").await.expect("reads").expect("is there");
    assert_eq!((found.1.name.as_str(), found.1.role), ("anna", Role::Noc));
    assert_eq!(users::web_session(&store, "t9").await.expect("reads"), None);
    assert!(write(&store, move |tx| Box::pin(async move { users::logged_in(tx, id, tx.now()).await })).await);
    let closed = write(&store, move |tx| {
        Box::pin(async move { users::close_web_sessions_of(tx, id, Some("t1")).await })
    })
    .await;
    assert_eq!(closed, 1);
    assert_eq!(users::web_session(&store, "t2").await.expect("reads"), None);
    let row = store.require::<User>(id).await.expect("reads");
    assert_eq!((row.last_login_at, row.version), (Some(START), 1), "a login is no edit");
    let row = User { active: false, ..row };
    assert!(write(&store, move |tx| Box::pin(async move { tx.update(&row).await })).await.is_changed());
    assert_eq!(
        users::web_session(&store, "t1").await.expect("reads"),
        None,
        "who may not log in is logged out"
    );

    let key = ApiKey {
        name: "billing".into(),
        key_hash: "h".into(),
        scopes: json!(["services:read"]),
        expires_at: Some(START.plus_s(100)),
        ..ApiKey::default()
    };
    let key_id = write(&store, move |tx| Box::pin(async move { tx.insert(&key).await })).await;
    assert!(users::api_key(&store, "h").await.expect("reads").is_some());
    bed.clock.advance(Duration::from_secs(100));
    assert_eq!(users::api_key(&store, "h").await.expect("reads"), None, "expired");
    let revoke = || {
        let store = store.clone();
        async move {
            write(&store, move |tx| {
                Box::pin(async move { users::revoke_api_key(tx, key_id, tx.now()).await })
            })
            .await
        }
    };
    assert!(revoke().await.is_changed());
    assert!(!revoke().await.is_changed());
    for action in ["login", "set_intent", "logout"] {
        let entry = AuditEntry { actor: "anna".into(), action: action.into(), ..AuditEntry::default() };
        write(&store, move |tx| Box::pin(async move { users::audit(tx, &entry).await })).await;
    }
    let page = users::audit_page(&store, None, 2).await.expect("reads");
    assert_eq!(page.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["logout", "set_intent"]);
    let rest = users::audit_page(&store, Some(page[1].id), 2).await.expect("reads");
    assert_eq!(rest.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["login"]);
}

async fn history_is_read_in_pages_per_subject(bed: &Bed) {
    let store = bed.open().await;
    write(&store, |tx| {
        Box::pin(async move {
            for n in 0..10 {
                let entry = TimelineEntry {
                    service_id: Some(ServiceId(1 + n % 2)),
                    olt_id: Some(OltId(7)),
                    code: n.to_string(),
                    ..TimelineEntry::default()
                };
                timeline::append(tx, &entry).await?;
            }
            Ok(())
        })
    })
    .await;
    let codes = |subject, before: Option<TimelineId>, limit| {
        let store = store.clone();
        async move {
            let page = timeline::page(&store, subject, before, limit).await.expect("reads");
            (
                page.iter().map(|entry| entry.code.clone()).collect::<Vec<_>>().join(""),
                page.last().map(|entry| entry.id),
            )
        }
    };
    let (first, last) = codes(Subject::Service(ServiceId(1)), None, 3).await;
    assert_eq!(first, "864");
    assert_eq!(codes(Subject::Service(ServiceId(1)), last, 3).await.0, "20");
    assert_eq!(codes(Subject::Olt(OltId(7)), None, 4).await.0, "9876");
    assert_eq!(codes(Subject::All, None, 100).await.0, "9876543210");
    assert_eq!(codes(Subject::Cpe(CpeId(1)), None, 100).await.0, "");
}

async fn a_value_nobody_wrote_is_an_error_with_a_place(bed: &Bed) {
    let store = bed.open().await;
    let id = service(&store, "S-1").await;
    bed.sql("UPDATE services SET state = 'sleepy'").await;
    let error = store.get::<Service>(id).await.expect_err("no such state");
    assert!(matches!(error, StoreError::Unreadable { table: "services", column: "state", .. }), "{error}");
    assert!(error.to_string().contains("\"sleepy\" is not one of: reserved, inactive"), "{error}");
    bed.sql("UPDATE services SET state = 'active', expected_serial = 'HWTC'").await;
    let error = store.get::<Service>(id).await.expect_err("no serial").to_string();
    assert!(error.contains("services.expected_serial"), "{error}");
}

async fn numbers_are_given_in_order(bed: &Bed) {
    let store = bed.open().await;
    assert_eq!(services::next_code(&store).await.expect("reads"), "S-10001");
    service(&store, "S-10002").await;
    assert_eq!(
        services::next_code(&store).await.expect("reads"),
        "S-10003",
        "a number that is taken is passed over"
    );
    let id = olt(&store, "north").await;
    let deleted = write(&store, move |tx| Box::pin(async move { tx.delete::<Olt>(id).await })).await;
    assert!(deleted);
    assert!(olt(&store, "south").await > id, "an id is never given twice");
    assert_eq!(store.page::<Olt>(0, 10).await.expect("reads").len(), 1);
}
