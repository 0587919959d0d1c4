//! Giving the place of an ONU to another one: cut or killed at every command and every write of the journal, the new
//! one stands there, or the old one exactly as it was. And a removal that is killed at any command ends removed.

mod common;

use common::{Blow, FakeOlt, JournalBlow, MemoryJournal, Port, facts, other_serial, pon, serial, spec};
use olt::{
    plan::{AuthoriseSpec, DeauthoriseSpec, MoveSpec, OnuRef, Operation, PlanRefusal, SentKind, plan},
    saga::{Outcome, SagaError, execute, resume},
};
use types::Serial;

fn new_box() -> Serial {
    "HWTC00000077".parse().expect("a serial")
}

fn place() -> OnuRef {
    OnuRef { pon: pon(), onu_id: 1 }
}

fn removal() -> DeauthoriseSpec {
    DeauthoriseSpec { onu: place(), serial: serial(), made: Some(Box::new(spec())) }
}

fn removing() -> Operation {
    Operation::Deauthorise(removal())
}

fn replacing() -> Operation {
    let to = AuthoriseSpec { serial: new_box(), onu_id: Some(1), ..spec() };
    Operation::Replace(Box::new(MoveSpec { from: removal(), to }))
}

async fn run(olt: &FakeOlt, operation: &Operation) -> Result<Outcome, SagaError> {
    execute(&mut olt.driver(), operation, &facts(), &mut MemoryJournal::default()).await
}

/// The old box is registered with a speed that an engineer gave it; the new one lights up on its port.
async fn a_new_box_on_the_old_fibre() -> FakeOlt {
    let olt = FakeOlt::new();
    let outcome = run(&olt, &Operation::Authorise(spec())).await;
    assert!(matches!(outcome, Ok(Outcome::Done(_))), "{outcome:?}");
    let mut world = olt.world();
    world.ports.values_mut().filter(|port| port.gem == 1 && port.ont == 1).for_each(|port| {
        port.traffic = Some((8, 9));
    });
    world.autofind.insert(new_box(), pon());
    world.log.clear();
    drop(world);
    olt
}

/// Who has the place, with everything on it, without the indexes that the OLT chooses.
fn at_place(olt: &FakeOlt) -> (Option<common::Ont>, Vec<Port>) {
    let world = olt.world();
    let mut ports: Vec<Port> = world.ports.values().filter(|port| port.ont == 1).cloned().collect();
    ports.sort_by_key(|port| port.gem);
    (world.onts.get(&(pon(), 1)).cloned(), ports)
}

/// The new one has the place with everything, nobody else is on the OLT but the neighbour.
fn is_replaced(olt: &FakeOlt) -> bool {
    let (ont, ports) = at_place(olt);
    let world = olt.world();
    world.onts.len() == 2
        && world.ports.len() == 3
        && ports.len() == 2
        && ont.is_some_and(|ont| ont.serial == new_box() && ont.acs == Some(3) && ont.ipconfig.is_some())
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

async fn commands(operation: &Operation) -> usize {
    let olt = a_new_box_on_the_old_fibre().await;
    let before = olt.world().commands;
    run(&olt, operation).await.expect("an outcome");
    olt.world().commands - before
}

#[tokio::test]
async fn the_new_box_has_the_place_and_the_old_one_is_off() {
    let olt = a_new_box_on_the_old_fibre().await;
    let before = olt.driver().snapshot(&replacing()).await.expect("a snapshot");
    let planned = plan(&replacing(), &facts(), &before).expect("a plan");
    let kinds: Vec<SentKind> = planned.sent(&common::dialect()).iter().map(|line| line.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == SentKind::Removes).count(), 3);
    assert_eq!(kinds.iter().filter(|kind| **kind == SentKind::Adds).count(), 5);
    // The checks were made in the mode that the first line needs: no line is shown that is not sent.
    let moves = planned.sent(&common::dialect()).into_iter().filter(|line| line.kind == SentKind::Moves);
    let moves: Vec<String> = moves.map(|line| line.text).collect();
    assert!(moves.iter().all(|line| line == "quit" || line.starts_with("interface gpon ")), "{moves:?}");
    let outcome = run(&olt, &replacing()).await.expect("an outcome");
    let Outcome::Done(report) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(report.onu, place(), "the same place");
    assert!(is_replaced(&olt), "{:?}", olt.world());
    let log = olt.world().log.clone();
    assert_eq!(log[..3], ["undo service-port 5", "undo service-port 6", "ont delete 6 1"]);
    assert!(log[3].starts_with(r#"ont add 6 1 sn-auth "4857544300000077""#), "{log:?}");
    let again = run(&olt, &planned.operation).await.expect("an outcome");
    assert!(matches!(&again, Outcome::Done(report) if report.already), "{again:?}");
}

#[tokio::test]
async fn a_cut_or_a_kill_at_any_command_of_a_replacement_ends_with_the_new_box_or_untouched() {
    let all = commands(&replacing()).await;
    assert!(all > 40, "only {all} commands: the sweep would be empty");
    for blow in [Blow::CutBefore, Blow::CutAfter, Blow::KillBefore, Blow::KillAfter] {
        for at in 1..=all {
            let olt = a_new_box_on_the_old_fibre().await;
            let before = at_place(&olt);
            olt.arm(at, blow);
            match killed_and_resumed(&olt, &replacing(), &MemoryJournal::default()).await {
                Some(Outcome::Done(_)) => assert!(is_replaced(&olt), "{blow:?} at {at}: {:?}", olt.world()),
                None => {
                    assert_eq!(at_place(&olt), before, "{blow:?} at {at}");
                    assert!(olt.world().log.is_empty());
                }
                other => panic!("{blow:?} at {at}: {other:?}"),
            }
        }
    }
    for blow in [JournalBlow::KillBefore, JournalBlow::KillAfter] {
        // begin, removing, two per step, verifying, finished
        for at in 1..=14 {
            let olt = a_new_box_on_the_old_fibre().await;
            let before = at_place(&olt);
            let journal = MemoryJournal::default();
            *journal.blow.lock().expect("blow") = Some((at, blow));
            match killed_and_resumed(&olt, &replacing(), &journal).await {
                Some(Outcome::Done(_)) => assert!(is_replaced(&olt), "{blow:?} at {at}: {:?}", olt.world()),
                None => assert!(at == 1 && at_place(&olt) == before, "{blow:?} at {at}"),
                other => panic!("{blow:?} at {at}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_new_box_that_is_refused_leaves_the_old_one_as_it_was() {
    for (refusal, first) in
        [(r#"ont add 6 1 sn-auth "4857544300000077""#, 20), ("ont tr069-server-config 6 1", 30)]
    {
        let arrange = async || {
            let olt = a_new_box_on_the_old_fibre().await;
            olt.world().refuse.push((refusal.into(), "  Failure: The board does not support it".into()));
            olt
        };
        let olt = arrange().await;
        let before = at_place(&olt);
        let outcome = run(&olt, &replacing()).await.expect("an outcome");
        if refusal.starts_with("ont tr069") {
            // The way back needs the same command: somebody is told the exact lines.
            let Outcome::NeedsOperator { reason, left } = &outcome else { panic!("{outcome:?}") };
            assert!(reason.contains("HWTC-7D4733C3 could not be put back at 0/1/6 ONU 1"), "{reason}");
            assert_eq!(left.last().map(String::as_str), Some("ont tr069-server-config 6 1 profile-id 3"));
            continue;
        }
        let Outcome::Undone { reason } = &outcome else { panic!("{refusal}: {outcome:?}") };
        assert!(reason.contains("HWTC-7D4733C3 is back at 0/1/6 ONU 1"), "{reason}");
        assert_eq!(at_place(&olt), before, "speed and description included");
        let all = { olt.world().commands };
        for blow in [Blow::KillBefore, Blow::KillAfter] {
            for at in first..=all {
                let olt = arrange().await;
                olt.arm(at, blow);
                let outcome = killed_and_resumed(&olt, &replacing(), &MemoryJournal::default()).await;
                let ended = matches!(outcome, Some(Outcome::Undone { .. }) | None);
                assert!(ended, "{refusal}, {blow:?} at {at}: {outcome:?}");
                assert_eq!(at_place(&olt), before, "{refusal}, {blow:?} at {at}");
            }
        }
    }
}

/// Putting the old ONU back was interrupted, and an engineer bound another ACS profile to it: it is not written over, and he
/// is told so in a sentence.
#[tokio::test]
async fn what_an_engineer_set_on_the_old_one_is_not_written_over() {
    let mut met = 0;
    for at in 20..80 {
        let olt = a_new_box_on_the_old_fibre().await;
        let refusal = r#"ont add 6 1 sn-auth "4857544300000077""#;
        olt.world().refuse.push((refusal.into(), "  Failure: The board does not support it".into()));
        olt.arm(at, Blow::KillBefore);
        let journal = MemoryJournal::default();
        {
            let (mut driver, mut own) = (olt.driver(), journal.clone());
            tokio::select! {
                outcome = async { execute(&mut driver, &replacing(), &facts(), &mut own).await } => {
                    outcome.expect("an outcome");
                    break;
                }
                () = olt.killed.notified() => {}
            }
        }
        {
            let mut world = olt.world();
            world.process_dead = false;
            let Some(ont) = world.onts.get_mut(&(pon(), 1)) else { continue };
            if ont.acs.is_some() {
                continue;
            }
            ont.acs = Some(9);
        }
        met += 1;
        let outcome = resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed");
        let Some(Outcome::NeedsOperator { reason, .. }) = &outcome else { panic!("{at}: {outcome:?}") };
        let told =
            "could not be put back at 0/1/6 ONU 1: it carries ACS profile 9, which this task did not make";
        assert!(reason.contains(told), "{reason}");
        assert_eq!(olt.world().onts[&(pon(), 1)].acs, Some(9), "{at}");
    }
    assert!(met > 3, "the way back was interrupted {met} times only");
}

#[tokio::test]
async fn a_replacement_takes_nobody_elses_place_and_nobody_elses_service_port() {
    // Somebody registered the new box already.
    let olt = a_new_box_on_the_old_fibre().await;
    let theirs = { olt.world().onts[&(pon(), 0)].clone() };
    olt.world().onts.insert((pon(), 7), common::Ont { serial: new_box(), ..theirs });
    let outcome = run(&olt, &replacing()).await.expect("an outcome");
    assert!(
        matches!(&outcome, Outcome::Refused { refusal: PlanRefusal::Duplicate { existing, .. } } if existing.onu_id == 7),
        "{outcome:?}"
    );
    // The old one is at another place than we know.
    let olt = a_new_box_on_the_old_fibre().await;
    {
        let mut world = olt.world();
        let ont = world.onts.remove(&(pon(), 1)).expect("registered");
        world.onts.insert((pon(), 9), ont);
    }
    let outcome = run(&olt, &replacing()).await.expect("an outcome");
    assert!(matches!(&outcome, Outcome::Refused { refusal: PlanRefusal::Elsewhere { .. } }), "{outcome:?}");
    // Something on it is not ours.
    let olt = a_new_box_on_the_old_fibre().await;
    let foreign = Port { pon: pon(), ont: 1, vlan: 300, user_vlan: 300, gem: 1, traffic: None };
    olt.world().ports.insert(77, foreign);
    let outcome = run(&olt, &replacing()).await.expect("an outcome");
    assert!(matches!(&outcome, Outcome::Refused { refusal: PlanRefusal::NotOurs { .. } }), "{outcome:?}");
    assert!(olt.world().log.is_empty());
    // Another ONU sits at the place and the old one is nowhere.
    let olt = a_new_box_on_the_old_fibre().await;
    {
        let mut world = olt.world();
        world.onts.get_mut(&(pon(), 1)).expect("registered").serial = other_serial();
        world.onts.remove(&(pon(), 0));
    }
    let outcome = run(&olt, &replacing()).await.expect("an outcome");
    assert!(matches!(&outcome, Outcome::Refused { refusal: PlanRefusal::IdTaken { .. } }), "{outcome:?}");
    assert!(olt.world().log.is_empty());
}

/// What somebody configured for it would go with the ONU, and could not be put back as it was.
#[tokio::test]
async fn nothing_is_taken_off_with_management_that_is_not_ours() {
    type Change = fn(&mut common::Ont);
    let foreign: [(&str, Change); 3] = [
        ("management IP index 0 (DHCP, VLAN 4001)", |ont| ont.ipconfig = Some(("dhcp".into(), 4001, 2))),
        ("management IP index 0 (fixed address, VLAN 4000)", |ont| {
            ont.ipconfig = Some(("static".into(), 4000, 2));
        }),
        ("ACS profile 9", |ont| ont.acs = Some(9)),
    ];
    for (named, change) in foreign {
        for operation in [removing(), replacing()] {
            let olt = a_new_box_on_the_old_fibre().await;
            change(olt.world().onts.get_mut(&(pon(), 1)).expect("registered"));
            let outcome = run(&olt, &operation).await.expect("an outcome");
            let Outcome::Refused { refusal: PlanRefusal::NotOurs { what, .. } } = &outcome else {
                panic!("{named}: {outcome:?}")
            };
            assert_eq!(what, &[named]);
            assert!(olt.world().log.is_empty());
        }
    }
}

#[tokio::test]
async fn what_an_engineer_changed_goes_along() {
    let olt = a_new_box_on_the_old_fibre().await;
    {
        let mut world = olt.world();
        let ont = world.onts.get_mut(&(pon(), 1)).expect("registered");
        (ont.line, ont.description) = (11, "second floor".into());
    }
    let before = olt.driver().snapshot(&replacing()).await.expect("a snapshot");
    let planned = plan(&replacing(), &facts(), &before).expect("a plan");
    let wanted = planned.operation.wanted().expect("something");
    assert_eq!((wanted.line_profile_id, wanted.description.as_str()), (11, "second floor"));
    let outcome = run(&olt, &replacing()).await.expect("an outcome");
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let (ont, ports) = at_place(&olt);
    let ont = ont.expect("registered");
    assert_eq!((ont.serial, ont.line, ont.description.as_str()), (new_box(), 11, "second floor"));
    assert_eq!(ports[0].traffic, Some((8, 9)), "the speed that an engineer gave it");
}

#[tokio::test]
async fn a_new_box_that_is_registered_already_leaves_the_old_one_as_it_was() {
    let olt = a_new_box_on_the_old_fibre().await;
    let before = at_place(&olt);
    let refusal = (r#"ont add 6 1 sn-auth "4857544300000077""#.into(), "  Failure: SN already exists".into());
    olt.world().refuse.push(refusal);
    let outcome = run(&olt, &replacing()).await.expect("an outcome");
    let Outcome::Undone { reason } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("SN already exists") && reason.contains("is back at 0/1/6 ONU 1"), "{reason}");
    assert_eq!(at_place(&olt), before, "speed and description included");
}

/// A failed board knows no ONU either.
#[tokio::test]
async fn an_onu_is_not_off_because_its_olt_knows_nothing_of_it() {
    let olt = a_new_box_on_the_old_fibre().await;
    olt.world().board_fails_at = Some("ont delete 6 1".into());
    let outcome = run(&olt, &removing()).await.expect("an outcome");
    let Outcome::NeedsOperator { reason, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("cannot be read") && reason.contains("The board does not exist"), "{reason}");
}

/// It lists nothing at all, and says of the board that it is not there for it.
#[tokio::test]
async fn an_empty_list_of_a_board_that_is_out_of_service_takes_nobody_off() {
    let olt = a_new_box_on_the_old_fibre().await;
    let before = at_place(&olt);
    {
        let mut world = olt.world();
        world.board_status = "Failed".into();
        let none = "  Failure: The required ONT does not exist";
        world.answers.push(("display ont info by-sn".into(), none.into()));
        world
            .answers
            .push(("display ont info 0 1 6 all".into(), "  Failure: There is no ONT available".into()));
        world.answers.push((
            "display service-port".into(),
            "  Failure: No service virtual port can be operated".into(),
        ));
    }
    let error = run(&olt, &removing()).await.expect_err("nothing can be told");
    assert!(error.to_string().contains("the board in slot 0/1 is Failed, not in service"), "{error}");
    assert!(olt.world().log.is_empty());
    // It is back: the same order is carried out.
    olt.world().board_status = "Normal".into();
    olt.world().answers.clear();
    assert_eq!(at_place(&olt), before);
    let outcome = run(&olt, &removing()).await.expect("an outcome");
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_cut_or_a_kill_at_any_command_of_a_removal_ends_removed_or_untouched() {
    let all = commands(&removing()).await;
    assert!(all > 12, "only {all} commands: the sweep would be empty");
    for blow in [Blow::CutBefore, Blow::CutAfter, Blow::KillBefore, Blow::KillAfter] {
        for at in 1..=all {
            let olt = a_new_box_on_the_old_fibre().await;
            let before = at_place(&olt);
            olt.arm(at, blow);
            match killed_and_resumed(&olt, &removing(), &MemoryJournal::default()).await {
                Some(Outcome::Done(_)) => assert!(olt.is_untouched(), "{blow:?} at {at}: {:?}", olt.world()),
                None => assert_eq!(at_place(&olt), before, "{blow:?} at {at}"),
                other => panic!("{blow:?} at {at}: {other:?}"),
            }
        }
    }
    for blow in [JournalBlow::KillBefore, JournalBlow::KillAfter] {
        // begin, removing, finished
        for at in 1..=3 {
            let olt = a_new_box_on_the_old_fibre().await;
            let before = at_place(&olt);
            let journal = MemoryJournal::default();
            *journal.blow.lock().expect("blow") = Some((at, blow));
            match killed_and_resumed(&olt, &removing(), &journal).await {
                Some(Outcome::Done(_)) => assert!(olt.is_untouched(), "{blow:?} at {at}: {:?}", olt.world()),
                None => assert!(at == 1 && at_place(&olt) == before, "{blow:?} at {at}"),
                other => panic!("{blow:?} at {at}: {other:?}"),
            }
        }
    }
}
