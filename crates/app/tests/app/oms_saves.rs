//! Saving an OLT's configuration, and an OLT that never shows that it did.

use crate::support::{
    bed::Bed,
    eventually,
    olt::{Node, authorise, detected, ends_as, known_olt, request},
    world,
};
use app::{App, AppError, Role, Saving};
use sim::olt::{Fault, FaultKind, SimOlt};
use store::{OltTaskState, rows};
use types::{OltId, Serial};

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

/// How often it was told to save.
fn told_to_save(sim: &SimOlt) -> usize {
    sim.handle().record().entries().filter(|entry| entry.line == "save").count()
}

async fn saving(app: &App, olt: OltId) -> Option<Saving> {
    app.saving(olt).await.expect("readable")
}

async fn said(app: &App, olt: OltId, code: &str) -> Vec<String> {
    let all = world::timeline(app).await;
    let mine = all.into_iter().filter(|line| line.olt_id == Some(olt) && line.code == code);
    mine.map(|line| format!("{} {}", line.text, line.next_text.unwrap_or_default())).collect()
}

async fn an_olt_that_cuts_sessions_when_it_saves_is_told_three_times_and_then_left_alone(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    let waits = saving(&node.app, olt).await.expect("not saved yet");
    assert!(waits.by_itself && !waits.doubtful, "{waits:?}");
    sim.handle().inject(Fault::times("^save$", 0, FaultKind::CutAfter)).expect("a fault");
    for round in 1..=3 {
        // An hour after the last one at the soonest.
        bed.advance_s(3_700);
        eventually("it is told to save", || async { (told_to_save(&sim) == round).then_some(()) }).await;
        eventually("the end is noted", || async {
            let known = saving(&node.app, olt).await.expect("not known to be saved");
            (known.doubtful && known.by_itself == (round < 3)).then_some(())
        })
        .await;
        assert!(said(&node.app, olt, "olt_saved").await.is_empty(), "nobody claims that it saved");
    }
    assert_eq!(said(&node.app, olt, "olt_not_saved").await.len(), 1, "told once");
    let told = said(&node.app, olt, "olt_save_unseen").await;
    assert_eq!(told.len(), 1, "{told:?}");
    let words = "is not known to be saved: the command to save was sent, completion not seen";
    assert!(told[0].contains(words) && told[0].contains("not begun again by itself"), "{told:?}");
    let known = saving(&node.app, olt).await.expect("not known to be saved");
    assert!(known.text.contains("completion not seen") && known.text.contains("orders it"), "{known:?}");
    // Somebody orders it on the page, and this time it is seen.
    sim.handle().clear_faults();
    let viewer = world::person("tariq", Role::Viewer);
    let refused = node.run(move |app| async move { app.order_save(&viewer, olt).await }).await;
    assert!(matches!(refused, Err(AppError::Forbidden { .. })), "{refused:?}");
    assert_eq!(told_to_save(&sim), 3);
    node.run(move |app| async move { app.order_save(&world::admin(), olt).await }).await.expect("ordered");
    bed.advance_s(120);
    eventually("it is saved", || async {
        sim.handle().tick();
        saving(&node.app, olt).await.is_none().then_some(())
    })
    .await;
    assert_eq!(told_to_save(&sim), 4);
    assert_eq!(said(&node.app, olt, "olt_saved").await.len(), 1);
    let audit: Vec<rows::AuditEntry> = node.app.store().page(0, 200).await.expect("readable");
    let audit: Vec<_> = audit.iter().filter(|entry| entry.action == "olt.save").collect();
    assert_eq!(audit.len(), 1, "{audit:?}");
    let before = audit[0].before.as_ref().expect("before");
    assert!(before["text"].as_str().is_some_and(|text| text.contains("completion not seen")), "{before}");
}

on_both!(an_olt_that_cuts_sessions_when_it_saves_is_told_three_times_and_then_left_alone);
