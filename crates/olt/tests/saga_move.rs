//! Moving an ONU to another port of its OLT: cut or killed at every command and every write of the journal, it ends at
//! the new place, or at the old one exactly as it was, or untouched. And removing only what was made.

mod common;

use common::{Blow, FakeOlt, JournalBlow, MemoryJournal, Port, facts, other_serial, pon, serial, spec};
use olt::{
    plan::{AuthoriseSpec, DeauthoriseSpec, MoveSpec, OnuRef, Operation, PlanRefusal, plan},
    saga::{Outcome, SagaError, TaskState, execute, resume},
};
use types::PonPath;

const OLD: PonPath = PonPath { frame: 0, slot: 2, port: 0 };

fn old_place() -> OnuRef {
    OnuRef { pon: OLD, onu_id: 4 }
}

fn made() -> AuthoriseSpec {
    AuthoriseSpec { pon: OLD, onu_id: Some(4), ..spec() }
}

fn removal() -> DeauthoriseSpec {
    DeauthoriseSpec { onu: old_place(), serial: serial(), made: Some(Box::new(made())) }
}

fn moving() -> Operation {
    Operation::Move(Box::new(MoveSpec { from: removal(), to: spec() }))
}

async fn run(
    olt: &FakeOlt,
    operation: &Operation,
    journal: &mut MemoryJournal,
) -> Result<Outcome, SagaError> {
    execute(&mut olt.driver(), operation, &facts(), journal).await
}

/// The ONU is registered at its old place and announces itself at the new one. An engineer gave it another speed.
async fn moved_by_a_technician() -> FakeOlt {
    let olt = FakeOlt::new();
    olt.world().autofind.insert(serial(), OLD);
    let outcome = run(&olt, &Operation::Authorise(made()), &mut MemoryJournal::default()).await;
    assert!(matches!(outcome, Ok(Outcome::Done(_))), "{outcome:?}");
    let mut world = olt.world();
    world.ports.values_mut().filter(|port| port.gem == 1 && port.pon == OLD).for_each(|port| {
        port.traffic = Some((8, 9));
    });
    world.autofind.insert(serial(), pon());
    world.log.clear();
    drop(world);
    olt
}

/// Everything at the old place, without the indexes that the OLT chooses.
fn at_old_place(olt: &FakeOlt) -> (Option<common::Ont>, Vec<Port>) {
    let world = olt.world();
    let mut ports: Vec<Port> = world.ports.values().filter(|port| port.pon == OLD).cloned().collect();
    ports.sort_by_key(|port| port.gem);
    (world.onts.get(&(OLD, 4)).cloned(), ports)
}

fn is_moved(olt: &FakeOlt) -> bool {
    olt.is_complete_with((8, 9)) && at_old_place(olt) == (None, vec![])
}

#[tokio::test]
async fn an_onu_moves_and_its_old_place_is_free() {
    let olt = moved_by_a_technician().await;
    let mut journal = MemoryJournal::default();
    let outcome = run(&olt, &moving(), &mut journal).await.expect("an outcome");
    let Outcome::Done(report) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(report.onu, OnuRef { pon: pon(), onu_id: 1 });
    assert!(is_moved(&olt), "{:?}", olt.world());
    let log = olt.world().log.clone();
    assert_eq!(log[..3], ["undo service-port 5", "undo service-port 6", "ont delete 0 4"]);
    assert!(log[3].starts_with("ont add 6 1 sn-auth"), "{log:?}");
    let states = journal.states.lock().expect("states").clone();
    assert!(states.contains(&TaskState::Removing), "{states:?}");
    // Again what was planned, with the speed that an engineer gave it: as wanted already.
    let planned = journal.record.lock().expect("record").clone().expect("begun").plan.operation;
    let again = run(&olt, &planned, &mut MemoryJournal::default()).await.expect("an outcome");
    assert!(matches!(&again, Outcome::Done(report) if report.already), "{again:?}");
}

#[tokio::test]
async fn the_plan_of_a_move_says_everything_that_will_be_sent() {
    let olt = moved_by_a_technician().await;
    let before = olt.driver().snapshot(&moving()).await.expect("a snapshot");
    let planned = plan(&moving(), &facts(), &before).expect("a plan");
    let text = planned.dry_run(&common::dialect());
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part} is not in {text}"));
    assert!(at("undo service-port 5") < at("ont delete 0 4"), "{text}");
    assert!(at("ont delete 0 4") < at("ont add 6 1"), "{text}");
    assert!(at("If it fails") < at("ont add 0 4"), "{text}");
    assert!(text.contains("traffic-table index 8 outbound traffic-table index 9"), "as it was: {text}");
    let journalled = serde_json::to_string(&planned).expect("JSON");
    assert_eq!(serde_json::from_str::<olt::plan::Plan>(&journalled).expect("a plan"), planned);
}

async fn killed_and_resumed(
    olt: &FakeOlt,
    operation: &Operation,
    journal: &MemoryJournal,
) -> Option<Outcome> {
    let first = {
        let (mut driver, mut own) = (olt.driver(), journal.clone());
        tokio::select! {
            outcome = async { execute(&mut driver, operation, &facts(), &mut own).await } => Some(outcome.expect("an outcome")),
            () = olt.killed.notified() => None,
            () = journal.killed.notified() => None,
        }
    };
    match first {
        Some(outcome) => Some(outcome),
        None => {
            olt.world().process_dead = false;
            resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed")
        }
    }
}

async fn commands(arrange: impl AsyncFn() -> FakeOlt) -> usize {
    let olt = arrange().await;
    let before = olt.world().commands;
    run(&olt, &moving(), &mut MemoryJournal::default()).await.expect("an outcome");
    olt.world().commands - before
}

#[tokio::test]
async fn a_cut_or_a_kill_at_any_command_of_a_move_ends_moved_or_untouched() {
    let all = commands(moved_by_a_technician).await;
    assert!(all > 40, "only {all} commands: the sweep would be empty");
    for blow in [Blow::CutBefore, Blow::CutAfter, Blow::KillBefore, Blow::KillAfter] {
        for at in 1..=all {
            let olt = moved_by_a_technician().await;
            let before = at_old_place(&olt);
            olt.arm(at, blow);
            match killed_and_resumed(&olt, &moving(), &MemoryJournal::default()).await {
                Some(Outcome::Done(_)) => assert!(is_moved(&olt), "{blow:?} at {at}: {:?}", olt.world()),
                None => {
                    assert_eq!(at_old_place(&olt), before, "{blow:?} at {at}");
                    assert!(olt.world().log.is_empty());
                }
                other => panic!("{blow:?} at {at}: {other:?}"),
            }
        }
    }
    for blow in [JournalBlow::KillBefore, JournalBlow::KillAfter] {
        // begin, removing, two per step, verifying, finished
        for at in 1..=14 {
            let olt = moved_by_a_technician().await;
            let before = at_old_place(&olt);
            let journal = MemoryJournal::default();
            *journal.blow.lock().expect("blow") = Some((at, blow));
            match killed_and_resumed(&olt, &moving(), &journal).await {
                Some(Outcome::Done(_)) => assert!(is_moved(&olt), "{blow:?} at {at}: {:?}", olt.world()),
                None => assert!(at == 1 && at_old_place(&olt) == before, "{blow:?} at {at}"),
                other => panic!("{blow:?} at {at}: {other:?}"),
            }
        }
    }
}

/// The new place refuses at some line: the ONU is back where it was, even if that is disturbed in its turn.
#[tokio::test]
async fn a_move_that_fails_puts_the_onu_back_as_it_was() {
    for refusal in ["ont add 6", "service-port vlan 4000 gpon 0/1/6", "ont tr069-server-config 6"] {
        let arrange = async || {
            let olt = moved_by_a_technician().await;
            olt.world().refuse.push((refusal.into(), "  Failure: The board does not support it".into()));
            olt
        };
        let olt = arrange().await;
        let before = at_old_place(&olt);
        assert!(before.0.is_some() && before.1.len() == 2, "{before:?}");
        let outcome = run(&olt, &moving(), &mut MemoryJournal::default()).await.expect("an outcome");
        let Outcome::Undone { reason } = &outcome else { panic!("{refusal}: {outcome:?}") };
        assert!(reason.contains("does not support it") && reason.contains("back at 0/2/0 ONU 4"), "{reason}");
        assert_eq!(at_old_place(&olt), before, "{refusal}: speed and description included");
        assert!(olt.world().onts.keys().all(|(at, id)| *at != pon() || *id == 0), "{:?}", olt.world());
        let all = commands(&arrange).await;
        for blow in [Blow::CutBefore, Blow::CutAfter, Blow::KillBefore, Blow::KillAfter] {
            for at in 20..=all {
                let olt = arrange().await;
                olt.arm(at, blow);
                let outcome = killed_and_resumed(&olt, &moving(), &MemoryJournal::default()).await;
                let ended = matches!(outcome, Some(Outcome::Undone { .. }) | None);
                assert!(ended, "{refusal}, {blow:?} at {at}: {outcome:?}");
                assert_eq!(at_old_place(&olt), before, "{refusal}, {blow:?} at {at}");
            }
        }
    }
}

/// The way back is answered with yes, and reading back shows that it is not so: whoever is told gets the lines.
#[tokio::test]
async fn a_way_back_that_did_not_work_names_the_lines_that_are_left() {
    let olt = moved_by_a_technician().await;
    olt.world().refuse.push(("ont add 6".into(), "  Failure: The board does not support it".into()));
    olt.world().phantom_ports = true;
    let outcome = run(&olt, &moving(), &mut MemoryJournal::default()).await.expect("an outcome");
    let Outcome::NeedsOperator { reason, left } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("Put back at 0/2/0 ONU 4, it is not so that"), "{reason}");
    let ports: Vec<&String> = left.iter().filter(|line| line.starts_with("service-port vlan")).collect();
    assert_eq!(ports.len(), 2, "{left:?}");
    assert!(
        ports[0].contains("gpon 0/2/0 ont 4") && ports[0].contains("inbound traffic-table index 8"),
        "{left:?}"
    );
    assert!(
        left.iter().all(|line| !line.starts_with("ont ")),
        "what is as it was is not sent again: {left:?}"
    );
    assert_eq!(left[..2], ["enable", "config"], "with the way there");
    // Sent as they are they do it.
    let before = olt.world().ports.len();
    olt.world().phantom_ports = false;
    let mut shell = olt.shell(false);
    shell.greeting();
    for line in left {
        shell.input(format!("{line}\n").as_bytes());
    }
    assert_eq!(olt.world().ports.len(), before + 2);
}

#[tokio::test]
async fn an_onu_that_cannot_be_taken_off_stays_where_it_is() {
    let olt = moved_by_a_technician().await;
    let before = at_old_place(&olt);
    olt.world().refuse.push(("ont delete 0 4".into(), "  Failure: The board is rebooting".into()));
    let outcome = run(&olt, &moving(), &mut MemoryJournal::default()).await.expect("an outcome");
    let Outcome::Undone { reason } = &outcome else { panic!("{outcome:?}") };
    assert!(
        reason.contains("could not be taken from 0/2/0 ONU 4") && reason.contains("rebooting"),
        "{reason}"
    );
    assert_eq!(at_old_place(&olt), before, "its service ports are back");
}

#[tokio::test]
async fn what_is_gone_from_its_old_place_is_registered_at_the_new_one() {
    let olt = FakeOlt::new();
    let outcome = run(&olt, &moving(), &mut MemoryJournal::default()).await.expect("an outcome");
    // With the speed of the wish: nobody gave it another one.
    assert!(matches!(outcome, Outcome::Done(_)) && olt.is_complete(), "{outcome:?}");
    assert_eq!(at_old_place(&olt), (None, vec![]));
    assert!(olt.world().log.iter().all(|line| !line.contains("delete") && !line.contains("undo")));
}

#[tokio::test]
async fn what_somebody_else_made_is_neither_moved_nor_removed() {
    let foreign = || Port { pon: OLD, ont: 4, vlan: 300, user_vlan: 300, gem: 1, traffic: None };
    for operation in [moving(), Operation::Deauthorise(removal())] {
        let olt = moved_by_a_technician().await;
        olt.world().ports.insert(77, foreign());
        let before = at_old_place(&olt);
        let outcome = run(&olt, &operation, &mut MemoryJournal::default()).await.expect("an outcome");
        let Outcome::Refused { refusal: refusal @ PlanRefusal::NotOurs { .. } } = &outcome else {
            panic!("{outcome:?}")
        };
        assert!(refusal.to_string().contains("service port 77 (VLAN 300)"), "{refusal}");
        assert!(olt.world().log.is_empty());
        assert_eq!(at_old_place(&olt), before);
    }
    // It comes while we are at it: then nothing more is taken off, ours neither.
    let olt = moved_by_a_technician().await;
    let journal = MemoryJournal::default();
    *journal.blow.lock().expect("blow") = Some((2, JournalBlow::KillAfter));
    {
        let (mut driver, mut own) = (olt.driver(), journal.clone());
        let removing = Operation::Deauthorise(removal());
        tokio::select! {
            outcome = async { execute(&mut driver, &removing, &facts(), &mut own).await } => panic!("{outcome:?}"),
            () = journal.killed.notified() => {}
        }
    }
    olt.world().ports.insert(77, foreign());
    let outcome = resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed").expect("a task");
    let Outcome::NeedsOperator { reason, left } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("service port 77 (VLAN 300)"), "{reason}");
    assert_eq!(left.last().map(String::as_str), Some("ont delete 0 4"));
    assert_eq!(olt.world().ports.get(&77), Some(&foreign()));
    assert_eq!(at_old_place(&olt).1.len(), 3, "{:?}", olt.world());
    assert!(olt.world().log.is_empty(), "{:?}", olt.world().log);
}

#[tokio::test]
async fn an_onu_that_is_elsewhere_or_is_another_one_is_not_removed() {
    let olt = moved_by_a_technician().await;
    let wrong = DeauthoriseSpec { onu: OnuRef { pon: OLD, onu_id: 9 }, ..removal() };
    let outcome = run(&olt, &Operation::Deauthorise(wrong), &mut MemoryJournal::default()).await;
    let Ok(Outcome::Refused { refusal: refusal @ PlanRefusal::Elsewhere { .. } }) = &outcome else {
        panic!("{outcome:?}")
    };
    assert!(refusal.to_string().contains("is registered as 0/2/0 ONU 4, not as 0/2/0 ONU 9"), "{refusal}");
    // Between plan and first line somebody puts another ONU there.
    let journal = MemoryJournal::default();
    *journal.blow.lock().expect("blow") = Some((2, JournalBlow::KillAfter));
    {
        let (mut driver, mut own) = (olt.driver(), journal.clone());
        let removing = Operation::Deauthorise(removal());
        tokio::select! {
            outcome = async { execute(&mut driver, &removing, &facts(), &mut own).await } => panic!("{outcome:?}"),
            () = journal.killed.notified() => {}
        }
    }
    let theirs = {
        let mut world = olt.world();
        let mut ont = world.onts.remove(&(OLD, 4)).expect("registered");
        let neighbour = world.onts.remove(&(pon(), 0)).expect("registered");
        ont.serial = other_serial();
        world.onts.insert((OLD, 4), ont.clone());
        drop(neighbour);
        ont
    };
    let outcome = resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed").expect("a task");
    assert!(matches!(outcome, Outcome::Done(_)), "ours is gone: {outcome:?}");
    assert_eq!(olt.world().onts.get(&(OLD, 4)), Some(&theirs));
    assert!(olt.world().log.iter().all(|line| !line.contains("ont delete")), "{:?}", olt.world().log);
}

/// Killed with the new place half made; the OLT restarts meanwhile with the configuration that it had saved: everything is
/// as before the move, and is told so.
#[tokio::test]
async fn an_olt_that_restarted_in_the_middle_of_a_move_has_the_onu_where_it_was() {
    // removing, then applying and applied of each step
    for write in 3..=12 {
        let olt = moved_by_a_technician().await;
        let before = at_old_place(&olt);
        let saved = {
            let world = olt.world();
            (world.onts.clone(), world.ports.clone())
        };
        let journal = MemoryJournal::default();
        *journal.blow.lock().expect("blow") = Some((write, JournalBlow::KillAfter));
        {
            let (mut driver, mut own) = (olt.driver(), journal.clone());
            let moving = moving();
            tokio::select! {
                outcome = async { execute(&mut driver, &moving, &facts(), &mut own).await } => panic!("{outcome:?}"),
                () = journal.killed.notified() => {}
            }
        }
        {
            let mut world = olt.world();
            (world.onts, world.ports) = saved;
            world.log.clear();
        }
        let outcome =
            resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed").expect("a task");
        let Outcome::Undone { reason } = &outcome else { panic!("write {write}: {outcome:?}") };
        assert!(reason.contains("HWTC-7D4733C3 is back at 0/2/0 ONU 4"), "{reason}");
        assert_eq!(at_old_place(&olt), before, "write {write}");
        assert!(olt.world().log.iter().all(|line| !line.contains("delete") && !line.contains("undo")));
    }
}

/// An OLT that names one place for a serial number and another ONU for that place: whoever stands there is not touched.
#[tokio::test]
async fn an_olt_that_contradicts_itself_is_not_believed() {
    let olt = moved_by_a_technician().await;
    let before = at_old_place(&olt);
    // The words by serial as they were; the place has another ONU by now.
    let rule = common::RULE;
    let by_serial = format!(
        "{rule}\n  F/S/P                   : 0/2/0\n  ONT-ID                  : 4\n  Control flag            : active\n  \
         Run state               : online\n  Config state            : normal\n  Match state             : match\n  SN      \
                         : 485754437D4733C3 (HWTC-7D4733C3)\n  Description             : -\n{rule}\n  Line profile ID      : \
         10\n{rule}\n  Service profile ID   : 20\n{rule}\n"
    );
    olt.world().onts.get_mut(&(OLD, 4)).expect("registered").serial = other_serial();
    olt.world().onts.remove(&(pon(), 0));
    olt.world().answers.push(("display ont info by-sn 485754437D4733C3".into(), by_serial));
    for operation in [moving(), Operation::Deauthorise(removal())] {
        let error =
            run(&olt, &operation, &mut MemoryJournal::default()).await.expect_err("it contradicts itself");
        assert!(matches!(error, SagaError::NotStarted(_)), "{error}");
        assert!(error.to_string().contains("contradicts itself"), "{error}");
    }
    let ont = olt.world().onts.get(&(OLD, 4)).cloned().expect("still there");
    assert_eq!((ont.serial, at_old_place(&olt).1), (other_serial(), before.1));
    assert!(olt.world().log.is_empty());
}

/// After a removal an index by serial number may lag: it is asked again, and only one that never agrees needs a person.
#[tokio::test]
async fn an_answer_that_lags_behind_a_removal_is_asked_for_again() {
    let places = Operation::Deauthorise(removal());
    for (operation, lags) in [(moving(), 1), (moving(), 3), (places.clone(), 3), (places, usize::MAX)] {
        let olt = moved_by_a_technician().await;
        olt.world().by_serial_lags = lags;
        let outcome = run(&olt, &operation, &mut MemoryJournal::default()).await.expect("an outcome");
        match &outcome {
            Outcome::Done(_) => assert!(lags < usize::MAX && olt.world().by_serial_lags == 0),
            Outcome::NeedsOperator { reason, .. } => {
                assert!(lags == usize::MAX && reason.contains("contradicts itself"), "{reason}");
            }
            other => panic!("{lags}: {other:?}"),
        }
        if matches!(operation, Operation::Move(_)) {
            assert!(is_moved(&olt), "{:?}", olt.world());
        }
        assert_eq!(at_old_place(&olt), (None, vec![]));
    }
}

/// One that was interrupted for hours: what an engineer configured on the ONU meanwhile would go with it.
#[tokio::test]
async fn what_somebody_put_on_an_onu_meanwhile_keeps_it_from_being_taken_off() {
    for operation in [moving(), Operation::Deauthorise(removal())] {
        let olt = moved_by_a_technician().await;
        let journal = MemoryJournal::default();
        *journal.blow.lock().expect("blow") = Some((2, JournalBlow::KillAfter));
        {
            let (mut driver, mut own) = (olt.driver(), journal.clone());
            tokio::select! {
                outcome = async { execute(&mut driver, &operation, &facts(), &mut own).await } => panic!("{outcome:?}"),
                () = journal.killed.notified() => {}
            }
        }
        olt.world().onts.get_mut(&(OLD, 4)).expect("registered").acs = Some(9);
        let outcome =
            resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed").expect("a task");
        let (Outcome::NeedsOperator { reason, .. } | Outcome::Undone { reason }) = &outcome else {
            panic!("{outcome:?}")
        };
        assert!(reason.contains("ACS profile 9"), "{reason}");
        assert!(olt.world().onts.contains_key(&(OLD, 4)));
        assert!(olt.world().log.iter().all(|line| !line.contains("ont delete")), "{:?}", olt.world().log);
    }
}

/// By the journal alone, for an OLT that nobody can ask.
#[tokio::test]
async fn the_lines_of_a_task_that_cannot_go_on_are_known_without_the_olt() {
    let olt = moved_by_a_technician().await;
    let journal = MemoryJournal::default();
    run(&olt, &moving(), &mut journal.clone()).await.expect("an outcome");
    let record = journal.record.lock().expect("record").clone().expect("begun");
    let left = |state: TaskState| {
        olt::saga::lines_left(&olt::saga::TaskRecord { state, ..record.clone() }, &common::dialect())
    };
    assert_eq!(left(TaskState::Planned), Vec::<String>::new());
    let back = left(TaskState::Removing);
    assert!(back.iter().any(|line| line.starts_with("ont add 0 4")), "{back:?}");
    assert!(back.iter().all(|line| !line.contains("delete")), "{back:?}");
    let half = left(TaskState::Applying { step: 1 });
    let at = |part: &str| {
        half.iter().position(|line| line.starts_with(part)).unwrap_or_else(|| panic!("{part}: {half:?}"))
    };
    assert!(
        at("undo service-port <index>") < at("ont delete 6 1") && at("ont delete 6 1") < at("ont add 0 4")
    );
    assert_eq!(
        half.iter().filter(|line| line.starts_with("undo service-port")).count(),
        1,
        "one may have been sent"
    );
}
