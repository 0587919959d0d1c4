//! Removing, moving and replacing ONUs while processes die and OLTs refuse: by the record of the box itself.

use crate::support::{
    bed::Bed,
    eventually,
    olt::{Node, PON, authorised, change, detected, dying_at, ends_as, known_olt, onu_of, read, task_row},
    world::{self, service_row, with_policy},
};
use app::{AppError, OnuChange};
use sim::olt::{Fault, FaultKind, Onu, SimOlt};
use std::collections::BTreeMap;
use store::{OltTaskState, StoreError, SyncState, onus, rows, services, settings};
use types::{PonPath, Serial};

const OTHER: PonPath = PonPath { port: 5, ..PON };

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

/// How often every serial is registered on the box.
fn registered(sim: &SimOlt) -> BTreeMap<Serial, (PonPath, usize)> {
    let state = sim.handle().state();
    let mut out = BTreeMap::new();
    for (pon, onts) in &state.config.onts {
        for (id, ont) in onts {
            let ports = state.config.service_ports.values();
            let ports = ports.filter(|port| port.pon == *pon && port.ont == *id).count();
            assert!(out.insert(ont.serial, (*pon, ports)).is_none(), "{} is there twice", ont.serial);
        }
    }
    out
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Remove,
    Move,
    Replace,
}

async fn a_change_goes_on_after_the_process_died_at_any_line(bed: &Bed) {
    let taking = ["^undo service-port", "^ont delete"];
    let giving = ["^ont add", "^service-port", "^ont ipconfig", "^ont tr069-server-config"];
    let mut node = Node::start(bed, "node-0").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    let mut number = 0;
    let mut expected = BTreeMap::new();
    for what in [What::Remove, What::Move, What::Replace] {
        let lines = taking.iter().chain(giving.iter().filter(|_| what != What::Remove));
        for line in lines {
            for kind in [FaultKind::Hang, FaultKind::CutBefore] {
                number += 1;
                let old = world::serial(&format!("HWTC0000{number:04}"));
                let new = world::serial(&format!("HWTC0001{number:04}"));
                authorised(&node, &sim, olt, old).await;
                let onu = onu_of(&node, old).await;
                let order = match what {
                    What::Remove => OnuChange::Remove,
                    What::Move => {
                        sim.handle().unplug(old);
                        sim.handle().plug(Onu::new(old, "EG8145V5"), OTHER);
                        read(&node).await;
                        OnuChange::Move { pon: OTHER }
                    }
                    What::Replace => {
                        sim.handle().unplug(old);
                        detected(&node, &sim, new).await;
                        OnuChange::Replace { serial: new, untagged: None }
                    }
                };
                let fault = sim.handle().inject(dying_at(line, kind.clone())).expect("a pattern");
                let task = change(&node, onu.id, order).await.expect("ordered");
                eventually(&format!("the OLT stops at {line}"), || async {
                    (sim.handle().struck(fault) > 0).then_some(())
                })
                .await;
                node.kill();
                sim.handle().clear_faults();
                // The dead one's lease runs out.
                bed.advance_s(121);
                node = Node::start(bed, &format!("node-{number}")).await;
                assert!(task_row(&node, task).await.finished_at.is_none(), "{what:?} {line}: it is not over");
                node.work();
                ends_as(&node, task, OltTaskState::Done).await;
                match what {
                    What::Remove => {
                        sim.handle().unplug(old);
                    }
                    What::Move => {
                        expected.insert(old, (OTHER, 2));
                    }
                    What::Replace => {
                        expected.insert(new, (PON, 2));
                    }
                }
                assert_eq!(registered(&sim), expected, "{what:?} {line} {kind:?}");
                for serial in [old, new] {
                    let row = onus::by_serial(node.app.store(), serial).await.expect("readable");
                    let place = row.map(|row| (row.pon, 2));
                    assert_eq!(place, expected.get(&serial).copied(), "{what:?} {line} {kind:?}: {serial}");
                }
            }
        }
    }
    assert_eq!(sim.handle().record().registered_twice(), []);
    let state = sim.handle().state();
    assert_eq!(state.config.service_ports.len(), 2 * expected.len(), "none is left over");
}

/// The OLT is done, the ONU has left its service, and then the process dies.
async fn a_process_that_dies_between_olt_and_cpe_goes_on_too(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = node
        .run(|app| async move {
            with_policy(&app).await;
            world::service(&app, "user@isp", Some(serial())).await
        })
        .await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let placeholder = service_row(&node.app, service).await.cpe_id.expect("announced");
    let onu = onu_of(&node, serial()).await;
    let fault = sim.handle().inject(Fault::once("^ont delete", FaultKind::Hang)).expect("a pattern");
    let task = change(&node, onu.id, OnuChange::Remove).await.expect("ordered");
    eventually("the OLT hangs", || async { (sim.handle().struck(fault) > 0).then_some(()) }).await;
    node.kill();
    sim.handle().clear_faults();
    bed.sql(&format!("UPDATE onus SET removed_at = 1, service_id = NULL WHERE id = {}", onu.id.0)).await;
    bed.sql(&format!("UPDATE services SET onu_id = NULL WHERE id = {}", service.0)).await;
    bed.advance_s(121);
    let node = Node::start(bed, "node-2").await;
    assert_eq!(service_row(&node.app, service).await.cpe_id, Some(placeholder));
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(service_row(&node.app, service).await.cpe_id, None);
    assert!(
        node.app.store().get::<rows::Cpe>(placeholder).await.expect("reads").is_none(),
        "whoever was expected there will not come"
    );
    assert!(registered(&sim).is_empty());
}

/// Somebody gave the service another CPE while the order was under way: that one stays.
async fn whoever_is_on_the_service_by_then_is_not_released(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let service = node
        .run(|app| async move {
            with_policy(&app).await;
            world::service(&app, "user@isp", Some(serial())).await
        })
        .await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let onu = onu_of(&node, serial()).await;
    let fault = sim.handle().inject(Fault::once("^ont delete", FaultKind::Hang)).expect("a pattern");
    let task = change(&node, onu.id, OnuChange::Remove).await.expect("ordered");
    eventually("the OLT hangs", || async { (sim.handle().struck(fault) > 0).then_some(()) }).await;
    node.kill();
    sim.handle().clear_faults();
    bed.advance_s(121);
    let node = Node::start(bed, "node-2").await;
    let other = node
        .run(move |app| async move {
            let (_, _, other) = world::announced(&app, "other@isp", world::serial("HWTC00000042")).await;
            app.store()
                .write(move |tx| {
                    Box::pin(async move {
                        services::link_cpe(tx, service, Some(other)).await?;
                        Ok::<_, StoreError>(())
                    })
                })
                .await
                .expect("linked");
            other
        })
        .await;
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(service_row(&node.app, service).await.cpe_id, Some(other));
    assert!(world::told(&node.app, other, "released").await.is_empty());
    assert!(registered(&sim).is_empty());
}

async fn what_cannot_be_taken_off_names_the_lines_that_are_left(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let onu = onu_of(&node, serial()).await;
    let refusal = FaultKind::Refuse { text: "Failure: The system resources are insufficient".into() };
    sim.handle().inject(Fault::times("^ont delete", 0, refusal)).expect("a pattern");
    let task = change(&node, onu.id, OnuChange::Remove).await.expect("ordered");
    let row = ends_as(&node, task, OltTaskState::NeedsOperator).await;
    assert!(
        row.reason.contains("Lines left to send: ") && row.reason.ends_with("ont delete 3 0"),
        "{}",
        row.reason
    );
    let unsaved = || async {
        let all = settings::all(node.app.store()).await.expect("readable");
        all.into_iter().find(|setting| setting.key.ends_with(".unsaved_since")).map(|setting| setting.version)
    };
    let noted = unsaved().await;
    assert!(noted.is_some(), "the service ports are gone: that is to be saved, too");
    // The OLT still has it, and so has the database.
    let now = onu_of(&node, serial()).await;
    assert_eq!((now.id, now.sync_state), (onu.id, SyncState::Failed));
    assert_eq!(registered(&sim), BTreeMap::from([(serial(), (PON, 0))]));
    let refused = change(&node, onu.id, OnuChange::Remove).await;
    assert!(
        matches!(&refused, Err(AppError::Conflict(text)) if text.contains("Needs an operator")),
        "{refused:?}"
    );
    // Somebody looks, closes it and orders it again.
    sim.handle().clear_faults();
    node.run(move |app| async move { app.close_task(&world::admin(), task).await }).await.expect("closed");
    assert!(unsaved().await > noted, "and what somebody did by hand");
    let task = change(&node, onu.id, OnuChange::Remove).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    assert!(registered(&sim).is_empty());
}

async fn a_replacement_or_move_that_is_refused_leaves_everything_as_it_was(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    authorised(&node, &sim, olt, serial()).await;
    let onu = onu_of(&node, serial()).await;
    let new = world::serial("HWTC00000077");
    detected(&node, &sim, new).await;
    let refusal = || FaultKind::Refuse { text: "Failure: The board does not support it".into() };
    let pattern = format!("^ont add 3 0 sn-auth \"{}\"", new.hex16());
    sim.handle().inject(Fault::times(&pattern, 0, refusal())).expect("a pattern");
    let task =
        change(&node, onu.id, OnuChange::Replace { serial: new, untagged: None }).await.expect("ordered");
    let row = ends_as(&node, task, OltTaskState::Undone).await;
    assert!(row.reason.contains("HWTC-7D4733C3 is back at 0/1/3 ONU 0"), "{}", row.reason);
    assert_eq!(registered(&sim), BTreeMap::from([(serial(), (PON, 2))]));
    assert_eq!(onu_of(&node, serial()).await.id, onu.id);
    assert_eq!(onus::by_serial(node.app.store(), new).await.expect("readable"), None);

    sim.handle().unplug(serial());
    sim.handle().plug(Onu::new(serial(), "EG8145V5"), OTHER);
    bed.advance_s(30);
    read(&node).await;
    sim.handle().inject(Fault::times("^service-port vlan 100 gpon 0/1/5", 0, refusal())).expect("a pattern");
    let task = change(&node, onu.id, OnuChange::Move { pon: OTHER }).await.expect("ordered");
    let row = ends_as(&node, task, OltTaskState::Undone).await;
    assert!(row.reason.contains("is back at 0/1/3 ONU 0"), "{}", row.reason);
    assert_eq!(registered(&sim), BTreeMap::from([(serial(), (PON, 2))]));
    assert_eq!(onu_of(&node, serial()).await.pon, PON);
}

on_both!(
    a_change_goes_on_after_the_process_died_at_any_line,
    a_process_that_dies_between_olt_and_cpe_goes_on_too,
    whoever_is_on_the_service_by_then_is_not_released,
    what_cannot_be_taken_off_names_the_lines_that_are_left,
    a_replacement_or_move_that_is_refused_leaves_everything_as_it_was,
);
