//! OLTs that break, hang, refuse and fall silent; processes that die over them; nodes that share them.

use crate::support::{
    bed::Bed,
    eventually,
    olt::{
        Node, PON, address, authorise, authorised, changes, detected, dying_at, ends_as, known_olt, read,
        request, sim_olt, sim_olt_of, task_row,
    },
    world::{self},
};
use app::AppError;
use sim::olt::{Fault, FaultKind, Model, Onu};
use std::collections::BTreeSet;
use store::{DetectedState, OltObservedState, OltProtocol, OltTaskState, Presence, onus, rows};
use types::{OltId, PonPath, Serial};

fn serial() -> Serial {
    world::serial("HWTC7D4733C3")
}

async fn olt_row(node: &Node, id: OltId) -> rows::Olt {
    node.run(move |app| async move { app.store().require(id).await }).await.expect("the OLT is there")
}

async fn a_task_goes_on_after_the_process_died_at_any_line(bed: &Bed) {
    let first = Node::start(bed, "node-0").await;
    let (sim, olt) = known_olt(bed, &first, "olt-1").await;
    let places = ["^ont add", "^service-port", "^ont ipconfig", "^ont tr069-server-config"];
    let mut node = first;
    for (number, line) in places.into_iter().enumerate() {
        for (half, what) in [FaultKind::Hang, FaultKind::CutBefore].into_iter().enumerate() {
            let serial = world::serial(&format!("HWTC000000{number}{half}"));
            detected(&node, &sim, serial).await;
            let fault = sim.handle().inject(dying_at(line, what.clone())).expect("a pattern");
            let task = authorise(&node, request(olt, serial)).await.expect("ordered");
            node.work();
            eventually(&format!("the OLT stops at {line}"), || async {
                (sim.handle().struck(fault) > 0).then_some(())
            })
            .await;
            node.kill();
            sim.handle().clear_faults();
            // The dead one's lease runs out.
            bed.advance_s(121);
            node = Node::start(bed, &format!("node-{line}-{half}")).await;
            assert!(task_row(&node, task).await.finished_at.is_none(), "{line}: it is not over");
            node.work();
            ends_as(&node, task, OltTaskState::Done).await;
            let tally = sim.handle().record().tally().clone();
            let left = tally.ont_added[&serial] - tally.ont_deleted.get(&serial).copied().unwrap_or(0);
            assert_eq!(left, 1, "{line} {what:?}");
            assert!(onus::by_serial(node.app.store(), serial).await.expect("readable").is_some());
        }
    }
    assert_eq!(sim.handle().record().registered_twice(), []);
    let state = sim.handle().state();
    assert_eq!(state.config.onts[&PON].len(), 8);
    assert_eq!(state.config.service_ports.len(), 16, "two each, none twice");
}

async fn what_cannot_be_finished_is_taken_back_and_waits_again(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let refusal = FaultKind::Refuse { text: "Failure: The system resources are insufficient".into() };
    sim.handle().inject(Fault::times("^service-port", 0, refusal)).expect("a pattern");
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    let row = ends_as(&node, task, OltTaskState::Undone).await;
    assert!(row.reason.contains("taken back completely"), "{}", row.reason);
    let state = sim.handle().state();
    assert!(state.config.onts.values().all(|onts| onts.is_empty()) && state.config.service_ports.is_empty());
    assert_eq!(onus::by_serial(node.app.store(), serial()).await.expect("readable"), None);
    let seen: Vec<rows::DetectedOnu> = node.app.store().page(0, 10).await.expect("readable");
    assert_eq!(seen[0].state, DetectedState::Waiting);
    // It is still there at the next look, and the next order works.
    bed.advance_s(30);
    read(&node).await;
    let seen: Vec<rows::DetectedOnu> = node.app.store().page(0, 10).await.expect("readable");
    assert_eq!((seen.len(), seen[0].state), (1, DetectedState::Waiting));
    sim.handle().clear_faults();
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
}

async fn a_broken_line_in_the_middle_is_no_reason_to_do_it_twice(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    sim.handle().inject(Fault::once("^ont add", FaultKind::CutAfter)).expect("a pattern");
    sim.handle()
        .inject(Fault::once("^service-port", FaultKind::CutInReply { after_chars: 3 }))
        .expect("a pattern");
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    ends_as(&node, task, OltTaskState::Done).await;
    let tally = sim.handle().record().tally().clone();
    assert_eq!((tally.ont_added.get(&serial()), tally.service_ports_added), (Some(&1), 2));
    assert_eq!((tally.ont_deleted.get(&serial()), tally.service_ports_deleted), (None, 0));
}

async fn a_silent_olt_is_recorded_once_and_its_return_too(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let (place, before) = (address(&sim), olt_row(&node, olt).await);
    sim.stop().await;
    for _ in 0..2 {
        bed.advance_s(30);
        read(&node).await;
    }
    let row = olt_row(&node, olt).await;
    assert_eq!(row.observed_state, OltObservedState::Silent);
    assert!(row.observed_reason.as_deref().is_some_and(|why| why.len() > 10), "{row:?}");
    assert_eq!(row.observed, before.observed, "what was read before stays");
    assert_eq!(row.version, before.version);
    let told = |code: &'static str| async move {
        let all = world::timeline(&node.app).await;
        (all.into_iter().filter(|entry| entry.code == code).count(), node)
    };
    let (silent, node) = told("olt_silent").await;
    assert_eq!(silent, 1, "told once, not at every look");
    // The ONU did not leave because nobody could be asked.
    let seen: Vec<rows::DetectedOnu> = node.app.store().page(0, 10).await.expect("readable");
    assert_eq!(seen[0].state, DetectedState::Waiting);
    // An order is kept for when it answers.
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    eventually("the task says why it waits", || async {
        task_row(&node, task).await.reason.contains("could not be used").then_some(())
    })
    .await;
    assert!(task_row(&node, task).await.next_try_at > Some(node.app.now()));
    let back = sim_olt(bed, OltProtocol::Telnet, Some(place)).await;
    back.handle().plug(Onu::new(serial(), "EG8145V5"), PON);
    // That it answers again is seen by the next look, and what waits for it need not wait for its next try.
    read(&node).await;
    ends_as(&node, task, OltTaskState::Done).await;
    assert_eq!(olt_row(&node, olt).await.observed_state, OltObservedState::Answering);
    let answers = world::timeline(&node.app).await.into_iter().filter(|e| e.code == "olt_answers").count();
    assert_eq!(answers, 1);
}

async fn an_olt_that_comes_back_with_other_software_is_told(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    let told = || async {
        let all = world::timeline(&node.app).await.into_iter();
        all.filter(|entry| entry.code == "olt_software_changed").collect::<Vec<_>>()
    };
    let said = |row: &rows::Olt, key: &str| row.observed[key].as_str().unwrap_or_default().to_owned();
    read(&node).await;
    let row = olt_row(&node, olt).await;
    assert_eq!(said(&row, "version"), "MA5800V100R021C00");
    assert!(said(&row, "source").contains("CLI") && row.observed["since"].is_i64(), "{:?}", row.observed);
    bed.advance_s(30);
    read(&node).await;
    assert_eq!(olt_row(&node, olt).await.observed, row.observed, "it is what it was");
    assert_eq!(told().await.len(), 0);
    let place = address(&sim);
    sim.stop().await;
    let _other = sim_olt_of(Model::Ma5608t, bed, OltProtocol::Telnet, Some(place)).await;
    // Looks that meet tell it once.
    for _ in 0..2 {
        bed.advance_s(30);
        tokio::join!(read(&node), read(&node), read(&node));
    }
    let row = olt_row(&node, olt).await;
    assert_eq!(
        (said(&row, "product").as_str(), said(&row, "version").as_str()),
        ("MA5608T", "MA5600V800R018C10")
    );
    let [entry] = &told().await[..] else { panic!("told once") };
    assert!(entry.text.contains("version MA5800V100R021C00 → MA5600V800R018C10"), "{}", entry.text);
    assert_eq!(row.observed["since"], entry.at.0);
}

async fn what_cannot_be_read_of_one_pon_blinds_nothing_else(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    let elsewhere = PonPath { port: 5, ..PON };
    let (bad, fine, waits) = (serial(), world::serial("HWTC00000042"), world::serial("HWTC00000043"));
    authorised(&node, &sim, olt, bad).await;
    sim.handle().plug(Onu::new(fine, "EG8145V5"), elsewhere);
    read(&node).await;
    let order = app::AuthoriseRequest { pon: elsewhere, ..request(olt, fine) };
    let task = authorise(&node, order).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    let app = &node.app;
    let presence = |serial: Serial| async move {
        let row = onus::by_serial(app.store(), serial).await.expect("readable").expect("known");
        (row.presence, row.observed_at)
    };
    let port = || async move {
        let ports = store::olts::pon_ports(app.store(), olt).await.expect("readable");
        ports.into_iter().find(|port| port.pon == PON).expect("the port")
    };
    let told = |code: &'static str| async move {
        world::timeline(app).await.into_iter().filter(|entry| entry.code == code).count()
    };
    bed.advance_s(30);
    read(&node).await;
    assert_eq!((presence(bad).await.0, presence(fine).await.0), (Presence::InService, Presence::InService));
    assert_eq!(port().await.observed_problem, None);
    let before = presence(bad).await;
    // Both go dark, one more ONU waits, and what the OLT says of the first PON is torn, or breaks the line each time.
    sim.handle().power(bad, false);
    sim.handle().power(fine, false);
    sim.handle().plug(Onu::new(waits, "EG8145V5"), elsewhere);
    let torn = "  F/S/P   ONT         SN         Control     Run      Config   Match    Protect\n  0/ 1/3    0  4857";
    for (half, what) in
        [FaultKind::WrongReply { text: torn.into() }, FaultKind::CutBefore].into_iter().enumerate()
    {
        sim.handle().inject(Fault::times("^display ont info 0 1 3 all", 0, what)).expect("a pattern");
        bed.advance_s(30);
        read(&node).await;
        assert_eq!(presence(bad).await, before, "it was not readable, so nothing is known of it");
        assert_eq!(presence(fine).await.0, Presence::NotPresent, "the other PON is read all the same");
        let seen: Vec<rows::DetectedOnu> = node.app.store().page(0, 10).await.expect("readable");
        assert!(seen.iter().any(|seen| seen.serial == waits), "{seen:?}");
        let row = olt_row(&node, olt).await;
        assert_eq!((row.observed_state, row.observed_reason), (OltObservedState::Answering, None));
        let (problem, words) = (port().await.observed_problem.expect("told"), ["0/ 1/3    0  4857", "lost"]);
        assert!(problem.contains(words[half]) && problem.contains("stays as it was"), "{problem}");
        sim.handle().clear_faults();
    }
    assert_eq!(port().await.onu_count, 1, "what was counted stays");
    bed.advance_s(30);
    read(&node).await;
    assert_eq!((presence(bad).await.0, port().await.observed_problem), (Presence::NotPresent, None));
    assert_eq!((told("pon_not_readable").await, told("pon_readable").await), (1, 1), "told once");
}

async fn an_olt_that_hangs_keeps_only_its_own_tasks_waiting(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (stuck, stuck_id) = known_olt(bed, &node, "olt-stuck").await;
    let (fine, fine_id) = known_olt(bed, &node, "olt-fine").await;
    let other = world::serial("HWTC00000042");
    detected(&node, &stuck, serial()).await;
    detected(&node, &fine, other).await;
    let fault = stuck.handle().inject(Fault::once("^ont add", FaultKind::Hang)).expect("a pattern");
    let waits = authorise(&node, request(stuck_id, serial())).await.expect("ordered");
    node.work();
    eventually("the OLT hangs", || async { (stuck.handle().struck(fault) > 0).then_some(()) }).await;
    let begun = std::time::Instant::now();
    let task = authorise(&node, request(fine_id, other)).await.expect("ordered");
    ends_as(&node, task, OltTaskState::Done).await;
    assert!(
        task_row(&node, waits).await.finished_at.is_none(),
        "the other still hangs after {:?}",
        begun.elapsed()
    );
}

async fn what_needs_somebody_waits_for_somebody(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    let refusal = || FaultKind::Refuse { text: "Failure: The system resources are insufficient".into() };
    for line in ["^service-port", "^ont delete"] {
        sim.handle().inject(Fault::times(line, 0, refusal())).expect("a pattern");
    }
    let task = authorise(&node, request(olt, serial())).await.expect("ordered");
    node.work();
    let row = ends_as(&node, task, OltTaskState::NeedsOperator).await;
    assert!(row.reason.contains("ont delete"), "what is left to do is told: {}", row.reason);
    let refused = authorise(&node, request(olt, serial())).await.expect_err("it is not over");
    assert!(refused.to_string().contains("Needs an operator"), "{refused}");
    sim.handle().clear_faults();
    let lines = sim.handle().record().tally().lines;
    let viewer = world::person("vera", app::Role::Viewer);
    let close = |actor: app::Actor| node.run(move |app| async move { app.close_task(&actor, task).await });
    assert!(matches!(close(viewer).await, Err(AppError::Forbidden(_))));
    close(world::admin()).await.expect("closed");
    assert!(matches!(close(world::admin()).await, Err(AppError::Conflict(_))), "once");
    let row = ends_as(&node, task, OltTaskState::Undone).await;
    assert!(row.reason.starts_with("Closed by nino.") && row.finished_at.is_some(), "{}", row.reason);
    assert_eq!(sim.handle().record().tally().lines, lines, "nothing was sent");
    // The half of it that is still there is looked at afresh: the OLT and the database agree in the end.
    let again = authorise(&node, request(olt, serial())).await.expect("ordered");
    let row = eventually("it comes to rest", || async {
        let row = task_row(&node, again).await;
        row.finished_at.is_some().then_some(row)
    })
    .await;
    let known = onus::by_serial(node.app.store(), serial()).await.expect("readable");
    match row.state {
        OltTaskState::Done => assert!(known.is_some()),
        OltTaskState::Refused => {
            assert!(row.reason.starts_with("Nothing was sent"), "{}", row.reason);
            assert_eq!(known, None);
        }
        other => panic!("{other}: {}", row.reason),
    }
}

async fn a_node_that_stops_hands_its_olts_over(bed: &Bed) {
    let (one, two) = (Node::start(bed, "node-1").await, Node::start(bed, "node-2").await);
    let (sim, olt) = known_olt(bed, &one, "olt-1").await;
    let stop = tokio_util::sync::CancellationToken::new();
    let working = one.run({
        let stop = stop.clone();
        move |app| async move { app.run_olt_workers(stop).await }
    });
    let stopping = async {
        eventually("the OLT is read", || async {
            (olt_row(&two, olt).await.observed_state == OltObservedState::Answering).then_some(())
        })
        .await;
        stop.cancel();
    };
    tokio::join!(working, stopping);
    let speakers = || sim.handle().record().entries().map(|entry| entry.session).collect::<BTreeSet<_>>();
    let before = speakers();
    read(&two).await;
    assert!(speakers().len() > before.len(), "nobody waits for a lease");
}

async fn one_node_at_a_time_speaks_to_an_olt(bed: &Bed) {
    let (one, two) = (Node::start(bed, "node-1").await, Node::start(bed, "node-2").await);
    let (sim, olt) = known_olt(bed, &one, "olt-1").await;
    detected(&one, &sim, serial()).await;
    let speakers = || sim.handle().record().entries().map(|entry| entry.session).collect::<BTreeSet<_>>();
    let alone = speakers();
    assert!(!alone.is_empty());
    read(&two).await;
    assert_eq!(speakers(), alone, "the second one does not even log in");
    // An order given at the second node is carried out by the first.
    let task = authorise(&two, request(olt, serial())).await.expect("ordered");
    two.work();
    one.work();
    ends_as(&two, task, OltTaskState::Done).await;
    assert_eq!(speakers(), alone);
    // The first one dies; when its lease has run out the second one takes over.
    one.kill();
    bed.advance_s(121);
    read(&two).await;
    assert!(speakers().len() > alone.len());
    assert_eq!(olt_row(&two, olt).await.observed_state, OltObservedState::Answering);
}

async fn a_node_that_was_paused_does_not_go_on_with_what_another_has_finished(bed: &Bed) {
    let (one, two) = (Node::start(bed, "node-1").await, Node::start(bed, "node-2").await);
    let (sim, olt) = known_olt(bed, &one, "olt-1").await;
    detected(&one, &sim, serial()).await;
    let fault = sim.handle().inject(Fault::once("^ont add", FaultKind::Hang)).expect("a pattern");
    let task = authorise(&one, request(olt, serial())).await.expect("ordered");
    one.work();
    eventually("the OLT is in the middle of it", || async { (sim.handle().struck(fault) > 0).then_some(()) })
        .await;
    let frozen = one.freeze().await;
    bed.advance_s(121);
    two.work();
    let done = ends_as(&two, task, OltTaskState::Done).await;
    let written = || {
        let lines = changes(&sim).into_iter();
        lines.filter(|line| !line.starts_with(['(', 's']) || line.starts_with("service")).collect::<Vec<_>>()
    };
    let sent = written();
    // Somebody takes the ONU away again. The first node, which still believes that it has just registered it, must not
    // put it back.
    sim.handle().configure(|config| {
        config.service_ports.clear();
        config.onts.values_mut().for_each(|onts| drop(onts.remove(&0)));
    });
    drop(frozen);
    // Its connection is gone; it reads back, and would go on.
    sim.handle().restart(true);
    two.kill();
    bed.advance_s(121);
    // Whatever it was at comes to an end before this is answered: one OLT, one queue.
    let _dry = eventually("the first node is there again", || async {
        let order = request(olt, world::serial("HWTC00000042"));
        one.run(move |app| async move { app.dry_run_authorise(&world::admin(), &order).await }).await.ok()
    })
    .await;
    assert_eq!(written(), sent, "nothing more was sent for it");
    assert_eq!(task_row(&one, task).await, done, "nothing more was written about it");
}

async fn what_people_type_cannot_become_a_command(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    detected(&node, &sim, serial()).await;
    for evil in ["x\nreboot system", "x\" quit", "a;b|c?", "\u{3}\u{1a}\r\nsave", "Müller\u{202e}-ü", "-"] {
        let mut order = request(olt, serial());
        order.description = Some(evil.to_owned());
        let dry =
            node.run(move |app| async move { app.dry_run_authorise(&world::admin(), &order).await }).await;
        match dry {
            Ok(dry) => {
                for line in &dry.lines {
                    let safe = line.text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'?');
                    assert!(safe, "{evil:?} became {:?}", line.text);
                    assert!(line.text.matches('"').count() % 2 == 0, "{evil:?} became {:?}", line.text);
                }
            }
            Err(error) => assert!(matches!(error, AppError::Invalid { .. }), "{error}"),
        }
    }
    for vlan in [0, 4095, 60_000] {
        let mut order = request(olt, serial());
        order.internet_vlan = Some(vlan);
        let error = authorise(&node, order).await.expect_err("no VLAN");
        assert!(matches!(error, AppError::Invalid { .. }), "{vlan}: {error}");
    }
    // In earnest, with the worst of them: one line is one line.
    let mut order = request(olt, serial());
    order.description = Some("x\nreboot system\ny".to_owned());
    match authorise(&node, order).await {
        Ok(task) => {
            node.work();
            ends_as(&node, task, OltTaskState::Done).await;
        }
        Err(error) => assert!(matches!(error, AppError::Invalid { .. }), "{error}"),
    }
    let record = sim.handle().record();
    assert!(record.entries().all(|entry| !entry.line.trim_start().starts_with("reboot")));
    // A wrong place is not believed.
    let mut order = request(olt, world::serial("HWTC00000042"));
    order.pon.port = 5;
    sim.handle().plug(Onu::new(order.serial, "EG8145V5"), PON);
    let task = authorise(&node, order).await.expect("ordered");
    node.work();
    let row = ends_as(&node, task, OltTaskState::Refused).await;
    assert!(row.reason.starts_with("Nothing was sent"), "{}", row.reason);
}

async fn a_disabled_olt_is_left_alone(bed: &Bed) {
    let node = Node::start(bed, "node-1").await;
    let (sim, olt) = known_olt(bed, &node, "olt-1").await;
    let input = crate::support::olt::olt_input("olt-1", &sim);
    node.run(move |app| async move { app.update_olt(&world::admin(), olt, input, false).await })
        .await
        .expect("switched off");
    sim.handle().plug(Onu::new(serial(), "EG8145V5"), PON);
    read(&node).await;
    assert_eq!(sim.handle().record().tally().lines, 0);
    let refused = authorise(&node, request(olt, serial())).await.expect_err("it is switched off");
    assert!(refused.to_string().contains("disabled"), "{refused}");
    assert!(changes(&sim).is_empty());
}

on_both!(
    a_task_goes_on_after_the_process_died_at_any_line,
    what_cannot_be_finished_is_taken_back_and_waits_again,
    a_broken_line_in_the_middle_is_no_reason_to_do_it_twice,
    a_silent_olt_is_recorded_once_and_its_return_too,
    an_olt_that_comes_back_with_other_software_is_told,
    what_cannot_be_read_of_one_pon_blinds_nothing_else,
    an_olt_that_hangs_keeps_only_its_own_tasks_waiting,
    what_needs_somebody_waits_for_somebody,
    a_node_that_stops_hands_its_olts_over,
    one_node_at_a_time_speaks_to_an_olt,
    a_node_that_was_paused_does_not_go_on_with_what_another_has_finished,
    what_people_type_cannot_become_a_command,
    a_disabled_olt_is_left_alone,
);
