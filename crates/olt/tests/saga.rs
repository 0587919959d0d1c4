//! Authorisation against an OLT in memory: cut the connection or kill the product at every single command and at
//! every write of the journal; the end is fully done or fully undone, and the neighbour is never touched.

mod common;

use common::{
    Blow, FakeOlt, JournalBlow, MemoryJournal, Ont, Port, authorise, facts, other_serial, pon, serial, spec,
};
use olt::{
    model::{MatchState, RunState},
    plan::{DeauthoriseSpec, OnuRef, Operation, PlanRefusal},
    saga::{Outcome, SagaError, TaskState, execute, resume},
};

async fn run(
    olt: &FakeOlt,
    operation: &Operation,
    journal: &mut MemoryJournal,
) -> Result<Outcome, SagaError> {
    execute(&mut olt.driver(), operation, &facts(), journal).await
}

fn done(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Done(_))
}

/// How many commands an undisturbed authorisation takes.
async fn commands_of_a_run() -> usize {
    let olt = FakeOlt::new();
    let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
    assert!(done(&outcome), "{outcome:?}");
    let commands = olt.world().commands;
    assert!(commands > 25, "only {commands} commands: the sweep would be empty");
    commands
}

#[tokio::test]
async fn an_onu_is_authorised_verified_and_nothing_else_is_touched() {
    let olt = FakeOlt::new();
    let mut journal = MemoryJournal::default();
    let outcome = run(&olt, &authorise(), &mut journal).await.expect("an outcome");
    let Outcome::Done(report) = &outcome else { panic!("{outcome:?}") };
    assert!(olt.is_complete(), "{:?}", olt.world());
    assert_eq!(report.onu, OnuRef { pon: pon(), onu_id: 1 });
    assert_eq!(report.service_port_indexes, [5, 6]);
    assert_eq!((report.run_state, report.match_state), (RunState::Online, MatchState::Match));
    assert!(report.needs_save && report.remarks.is_empty() && !report.already, "{report:?}");
    assert_eq!(
        olt.world().log,
        [
            r#"ont add 6 1 sn-auth "485754437D4733C3" omci ont-lineprofile-id 10 ont-srvprofile-id 20 desc "Jose Munoz, 1st floor""#,
            "service-port vlan 100 gpon 0/1/6 ont 1 gemport 1 multi-service user-vlan 100 tag-transform translate inbound traffic-table index 6 outbound traffic-table index 7",
            "service-port vlan 4000 gpon 0/1/6 ont 1 gemport 2 multi-service user-vlan 4000 tag-transform translate",
            "ont ipconfig 6 1 dhcp vlan 4000 priority 2",
            "ont tr069-server-config 6 1 profile-id 3",
        ]
    );
    assert_eq!(journal.states.lock().expect("states").last(), Some(&TaskState::Finished { outcome }));
    // Again: as wanted already, nothing is sent.
    let before = olt.world().log.len();
    let again = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
    let Outcome::Done(report) = again else { panic!("{again:?}") };
    assert!(report.already && !report.needs_save);
    assert_eq!(olt.world().log.len(), before);
}

#[tokio::test]
async fn a_cut_at_any_command_is_survived() {
    for blow in [Blow::CutBefore, Blow::CutAfter] {
        for at in 1..=commands_of_a_run().await {
            let olt = FakeOlt::new();
            olt.arm(at, blow);
            let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
            assert!(done(&outcome), "{blow:?} at {at}: {outcome:?}");
            assert!(olt.is_complete(), "{blow:?} at {at}: {:?}", olt.world());
        }
    }
}

/// Runs until the product is killed (or ends by itself), then starts it again until there is an outcome.
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

#[tokio::test]
async fn a_kill_at_any_command_ends_done_or_untouched() {
    let mut resumed = 0;
    for blow in [Blow::KillBefore, Blow::KillAfter] {
        for at in 1..=commands_of_a_run().await {
            let olt = FakeOlt::new();
            olt.arm(at, blow);
            let journal = MemoryJournal::default();
            match killed_and_resumed(&olt, &authorise(), &journal).await {
                Some(outcome) => {
                    resumed += 1;
                    assert!(done(&outcome), "{blow:?} at {at}: {outcome:?}");
                    assert!(olt.is_complete(), "{blow:?} at {at}: {:?}", olt.world());
                }
                // Killed before the task was journalled: nothing was written.
                None => {
                    assert!(olt.is_untouched(), "{blow:?} at {at}: {:?}", olt.world());
                    assert!(olt.world().log.is_empty());
                }
            }
        }
    }
    assert!(resumed > 20, "only {resumed} runs got far enough to be resumed");
}

#[tokio::test]
async fn a_kill_at_any_write_of_the_journal_ends_done_or_untouched() {
    for blow in [JournalBlow::KillBefore, JournalBlow::KillAfter] {
        // begin, two per step, verifying, finished
        for at in 1..=13 {
            let olt = FakeOlt::new();
            let journal = MemoryJournal::default();
            *journal.blow.lock().expect("blow") = Some((at, blow));
            let outcome = killed_and_resumed(&olt, &authorise(), &journal).await;
            match outcome {
                Some(outcome) => {
                    assert!(done(&outcome), "{blow:?} at {at}: {outcome:?}");
                    assert!(olt.is_complete(), "{blow:?} at {at}: {:?}", olt.world());
                }
                None => assert!(olt.is_untouched() && at == 1, "{blow:?} at {at}: {:?}", olt.world()),
            }
        }
    }
}

/// A refusal at each step, and a cut or a kill at every command of the undoing.
#[tokio::test]
async fn a_refusal_at_any_step_undoes_everything_even_if_the_undoing_is_disturbed() {
    // The prechecks are swept by the tests above.
    let first_write = 20;
    let refusals = ["ont add", "service-port vlan 4000", "ont tr069"];
    for refusal in refusals {
        let arrange = || {
            let olt = FakeOlt::new();
            olt.world().refuse.push((refusal.into(), "  Failure: The board does not support it".into()));
            olt
        };
        let olt = arrange();
        let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
        let Outcome::Undone { reason } = &outcome else { panic!("{refusal}: {outcome:?}") };
        assert!(reason.contains("The board does not support it"), "{reason}");
        assert!(olt.is_untouched(), "{refusal}: {:?}", olt.world());
        let commands = olt.world().commands;
        for blow in [Blow::CutBefore, Blow::CutAfter, Blow::KillBefore, Blow::KillAfter] {
            for at in first_write..=commands {
                let olt = arrange();
                olt.arm(at, blow);
                let outcome = killed_and_resumed(&olt, &authorise(), &MemoryJournal::default()).await;
                assert!(
                    matches!(outcome, Some(Outcome::Undone { .. }) | None),
                    "{refusal}, {blow:?} at {at}: {outcome:?}"
                );
                assert!(olt.is_untouched(), "{refusal}, {blow:?} at {at}: {:?}", olt.world());
            }
        }
    }
}

/// Faults in any number and order, in the task and in each of its resumptions: once the OLT answers again, the task is
/// done or undone, never half.
#[test]
fn any_series_of_faults_ends_done_or_undone() {
    use proptest::prelude::*;
    let blow = prop_oneof![
        Just(Blow::CutBefore),
        Just(Blow::CutAfter),
        Just(Blow::KillBefore),
        Just(Blow::KillAfter)
    ];
    let faults = proptest::collection::vec((1usize..60, blow), 0..6);
    let refusal = proptest::option::of(prop_oneof![
        Just("ont add"),
        Just("service-port vlan 4000"),
        Just("ont ipconfig"),
        Just("ont tr069")
    ]);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(150));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runner
        .run(&(faults, refusal), |(faults, refusal)| {
            runtime.block_on(async {
                let olt = FakeOlt::new();
                if let Some(refusal) = refusal {
                    olt.world().refuse.push((refusal.into(), "  Failure: no".into()));
                }
                let journal = MemoryJournal::default();
                let mut faults = faults.into_iter();
                let mut outcome = None;
                // Every fault is used up by one run at most, so this ends.
                for _ in 0..20 {
                    if let Some((at, blow)) = faults.next() {
                        olt.arm(at, blow);
                    }
                    let (mut driver, mut own) = (olt.driver(), journal.clone());
                    let begun = own.record.lock().expect("record").is_some();
                    let run = async {
                        if begun {
                            resume(&mut driver, &mut own).await.map(|o| o.expect("a task"))
                        } else {
                            execute(&mut driver, &authorise(), &facts(), &mut own).await
                        }
                    };
                    tokio::select! {
                        result = run => {
                            if let Ok(end) = result {
                                outcome = Some(end);
                                break;
                            }
                        }
                        () = olt.killed.notified() => olt.world().process_dead = false,
                    }
                }
                let outcome = outcome.expect("an outcome");
                match (&outcome, refusal) {
                    (Outcome::Done(_), None) => prop_assert!(olt.is_complete(), "{:?}", olt.world()),
                    (Outcome::Undone { .. }, Some(_)) => {
                        prop_assert!(olt.is_untouched(), "{:?}", olt.world())
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
                Ok(())
            })
        })
        .expect("every series");
}

#[tokio::test]
async fn what_is_registered_elsewhere_is_never_touched() {
    let olt = FakeOlt::new();
    let elsewhere = types::PonPath { frame: 0, slot: 2, port: 0 };
    let ont = olt.world().onts[&(pon(), 0)].clone();
    olt.world().onts.insert((elsewhere, 4), Ont { serial: serial(), ..ont.clone() });
    let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
    let Outcome::Refused { refusal: PlanRefusal::Duplicate { existing, .. } } = &outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(*existing, OnuRef { pon: elsewhere, onu_id: 4 });
    assert!(olt.world().log.is_empty());
    // At the wanted place with other settings: said, not changed.
    let olt = FakeOlt::new();
    olt.world().onts.insert((pon(), 1), Ont { serial: serial(), line: 99, ..ont });
    let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
    let Outcome::Refused { refusal: refusal @ PlanRefusal::Duplicate { .. } } = &outcome else {
        panic!("{outcome:?}")
    };
    assert!(refusal.to_string().contains("line profile 10"), "{refusal}");
    assert!(olt.world().log.is_empty());
}

/// Between pre-check and first write somebody else registers the ONU; and the connection is cut, so that our own try
/// is unclear, too.
#[tokio::test]
async fn somebody_elses_registration_is_left_alone() {
    for description in ["by hand", ""] {
        let olt = FakeOlt::new();
        let theirs = Ont {
            serial: serial(),
            line: 10,
            srv: 20,
            description: description.into(),
            ipconfig: None,
            acs: None,
            online: true,
            mismatch: false,
        };
        let journal = MemoryJournal::default();
        // Killed after the plan is journalled and the first act announced.
        *journal.blow.lock().expect("blow") = Some((2, JournalBlow::KillAfter));
        {
            let (mut driver, mut own) = (olt.driver(), journal.clone());
            tokio::select! {
                outcome = async { execute(&mut driver, &authorise(), &facts(), &mut own).await } => panic!("{outcome:?}"),
                () = journal.killed.notified() => {}
            }
        }
        olt.world().onts.insert((pon(), 1), theirs.clone());
        let outcome =
            resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed").expect("a task");
        let Outcome::Undone { reason } = &outcome else { panic!("{outcome:?}") };
        assert!(reason.contains("left alone"), "{reason}");
        assert_eq!(olt.world().onts[&(pon(), 1)], theirs);
        assert!(olt.world().log.is_empty(), "{:?}", olt.world().log);
    }
}

#[tokio::test]
async fn a_registration_that_was_replaced_by_hand_is_not_undone() {
    let olt = FakeOlt::new();
    let journal = MemoryJournal::default();
    // Killed after the first service port was made.
    *journal.blow.lock().expect("blow") = Some((5, JournalBlow::KillAfter));
    {
        let (mut driver, mut own) = (olt.driver(), journal.clone());
        tokio::select! {
            outcome = async { execute(&mut driver, &authorise(), &facts(), &mut own).await } => panic!("{outcome:?}"),
            () = journal.killed.notified() => {}
        }
    }
    let theirs = {
        let mut world = olt.world();
        let ont = world.onts.get_mut(&(pon(), 1)).expect("registered");
        ont.line = 77;
        ont.clone()
    };
    let outcome = resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed").expect("a task");
    assert!(matches!(outcome, Outcome::Undone { .. } | Outcome::NeedsOperator { .. }), "{outcome:?}");
    assert_eq!(olt.world().onts[&(pon(), 1)], theirs);
}

#[tokio::test]
async fn a_busy_olt_is_asked_again_and_a_silent_one_read_back() {
    let olt = FakeOlt::new();
    olt.world().busy = 6;
    olt.world().silent_add = true;
    let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
    assert!(done(&outcome) && olt.is_complete(), "{outcome:?}");
    // Busy for ever: given up, undone.
    let olt = FakeOlt::new();
    olt.world().busy = usize::MAX;
    let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
    assert!(matches!(outcome, Outcome::Undone { .. }), "{outcome:?}");
    assert!(olt.is_untouched());
}

/// The OLT accepts service ports and does not make them: only reading back finds out.
#[tokio::test]
async fn an_accepted_command_without_effect_is_found_by_reading_back() {
    let olt = FakeOlt::new();
    olt.world().phantom_ports = true;
    let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
    let Outcome::Undone { reason } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("service port"), "{reason}");
    assert!(olt.is_untouched());
}

#[tokio::test]
async fn an_unexpected_question_is_answered_no_and_undone() {
    let olt = FakeOlt::new();
    olt.world().ask = Some("ont tr069-server-config".into());
    let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
    let Outcome::Undone { reason } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("The board will restart"), "{reason}");
    assert!(olt.is_untouched());
}

#[tokio::test]
async fn what_cannot_be_undone_is_handed_over_with_the_exact_lines() {
    let olt = FakeOlt::new();
    olt.world().refuse = vec![
        ("ont tr069-server-config".into(), "  Failure: The board does not support it".into()),
        ("ont delete".into(), "  Failure: The board is rebooting".into()),
    ];
    let mut journal = MemoryJournal::default();
    let outcome = run(&olt, &authorise(), &mut journal).await.expect("an outcome");
    let Outcome::NeedsOperator { reason, left } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("does not support") && reason.contains("is rebooting"), "{reason}");
    assert_eq!(*left, ["enable", "config", "interface gpon 0/1", "ont delete 6 1"]);
    // Finished tasks stay finished.
    assert_eq!(resume(&mut olt.driver(), &mut journal).await.expect("resumed"), Some(outcome));
}

#[tokio::test]
async fn an_unreachable_olt_interrupts_and_a_later_resume_finishes() {
    let olt = FakeOlt::new();
    let journal = MemoryJournal::default();
    // The password is changed at the OLT in the middle.
    *journal.blow.lock().expect("blow") = Some((4, JournalBlow::KillAfter));
    {
        let (mut driver, mut own) = (olt.driver(), journal.clone());
        tokio::select! {
            outcome = async { execute(&mut driver, &authorise(), &facts(), &mut own).await } => panic!("{outcome:?}"),
            () = journal.killed.notified() => {}
        }
    }
    olt.world().wrong_password = true;
    for _ in 0..2 {
        let result = resume(&mut olt.driver(), &mut journal.clone()).await;
        assert!(matches!(result, Err(SagaError::Interrupted(_))), "{result:?}");
    }
    olt.world().wrong_password = false;
    let outcome = resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed").expect("a task");
    assert!(done(&outcome) && olt.is_complete(), "{outcome:?}");
}

#[tokio::test]
async fn without_a_journal_nothing_is_written() {
    let olt = FakeOlt::new();
    let mut journal = MemoryJournal::default();
    *journal.blow.lock().expect("blow") = Some((1, JournalBlow::Fail));
    let result = run(&olt, &authorise(), &mut journal).await;
    assert!(matches!(result, Err(SagaError::Journal(_))), "{result:?}");
    assert!(olt.world().log.is_empty());
    // It fails on the way: the task stops there and is resumed.
    let mut journal = MemoryJournal::default();
    *journal.blow.lock().expect("blow") = Some((5, JournalBlow::Fail));
    let result = run(&olt, &authorise(), &mut journal).await;
    assert!(matches!(result, Err(SagaError::Journal(_))), "{result:?}");
    let outcome = resume(&mut olt.driver(), &mut journal).await.expect("resumed").expect("a task");
    assert!(done(&outcome) && olt.is_complete(), "{outcome:?}");
}

#[tokio::test]
async fn soft_findings_are_said_and_do_not_fail() {
    let olt = FakeOlt::new();
    let mut own = spec();
    own.acs_profile_id = None;
    own.management = None;
    let mut driver = olt.driver();
    let outcome =
        execute(&mut driver, &Operation::Authorise(own.clone()), &facts(), &mut MemoryJournal::default())
            .await
            .expect("an outcome");
    assert!(done(&outcome));
    {
        let mut world = olt.world();
        let ont = world.onts.get_mut(&(pon(), 1)).expect("registered");
        (ont.online, ont.mismatch) = (false, true);
    }
    let journal = MemoryJournal::default();
    *journal.record.lock().expect("record") = Some(olt::saga::TaskRecord {
        plan: {
            let other = FakeOlt::new();
            let before =
                other.driver().snapshot(&Operation::Authorise(own.clone())).await.expect("a snapshot");
            olt::plan::plan(&Operation::Authorise(own.clone()), &facts(), &before).expect("a plan")
        },
        before: FakeOlt::new().driver().snapshot(&Operation::Authorise(own)).await.expect("a snapshot"),
        state: TaskState::Verifying,
    });
    let outcome = resume(&mut driver, &mut journal.clone()).await.expect("resumed").expect("a task");
    let Outcome::Done(report) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((report.run_state, report.match_state), (RunState::Offline, MatchState::Mismatch));
    assert_eq!(report.remarks.len(), 2, "{report:?}");
}

#[tokio::test]
async fn removing_takes_the_service_ports_first_and_only_the_named_onu() {
    let commands = {
        let olt = FakeOlt::new();
        run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
        let before = olt.world().commands;
        let removal = Operation::Deauthorise(DeauthoriseSpec {
            onu: OnuRef { pon: pon(), onu_id: 1 },
            serial: serial(),
            made: None,
        });
        let outcome = run(&olt, &removal, &mut MemoryJournal::default()).await.expect("an outcome");
        assert!(done(&outcome) && olt.is_untouched(), "{outcome:?}");
        let log: Vec<String> = olt.world().log.iter().skip(5).cloned().collect();
        assert_eq!(log, ["undo service-port 5", "undo service-port 6", "ont delete 6 1"]);
        // Again: gone already.
        let outcome = run(&olt, &removal, &mut MemoryJournal::default()).await.expect("an outcome");
        assert!(matches!(&outcome, Outcome::Done(report) if report.already), "{outcome:?}");
        olt.world().commands - before
    };
    for blow in [Blow::CutBefore, Blow::CutAfter, Blow::KillBefore, Blow::KillAfter] {
        for at in 1..commands {
            let olt = FakeOlt::new();
            run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
            let removal = Operation::Deauthorise(DeauthoriseSpec {
                onu: OnuRef { pon: pon(), onu_id: 1 },
                serial: serial(),
                made: None,
            });
            olt.arm(at, blow);
            match killed_and_resumed(&olt, &removal, &MemoryJournal::default()).await {
                Some(outcome) => {
                    assert!(done(&outcome) && olt.is_untouched(), "{blow:?} at {at}: {outcome:?}")
                }
                None => assert!(olt.is_complete(), "{blow:?} at {at}"),
            }
        }
    }
    // Another serial sits there.
    let olt = FakeOlt::new();
    let removal = Operation::Deauthorise(DeauthoriseSpec {
        onu: OnuRef { pon: pon(), onu_id: 0 },
        serial: serial(),
        made: None,
    });
    let outcome = run(&olt, &removal, &mut MemoryJournal::default()).await.expect("an outcome");
    let Outcome::Refused { refusal: PlanRefusal::NotThere { by, .. } } = &outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(by.as_deref(), Some(other_serial().hex16().as_str()));
    assert!(olt.world().log.is_empty());
}

/// A task killed after its `write`-th write of the journal, and what a resumption makes of it after `meanwhile`. The ACS is
/// refused, so that it has to be undone.
async fn undone_after(write: usize, meanwhile: impl FnOnce(&FakeOlt)) -> (FakeOlt, Outcome) {
    let olt = FakeOlt::new();
    olt.world().refuse.push(("ont tr069".into(), "  Failure: no".into()));
    let journal = MemoryJournal::default();
    *journal.blow.lock().expect("blow") = Some((write, JournalBlow::KillAfter));
    {
        let (mut driver, mut own) = (olt.driver(), journal.clone());
        tokio::select! {
            outcome = async { execute(&mut driver, &authorise(), &facts(), &mut own).await } => panic!("{outcome:?}"),
            () = journal.killed.notified() => {}
        }
    }
    meanwhile(&olt);
    olt.world().log.clear();
    let outcome = resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed").expect("a task");
    (olt, outcome)
}

/// Service ports of ours that nobody wrote down (a crash between push and record, or sent twice) are known by their shape
/// and removed with the ONU.
#[tokio::test]
async fn orphans_do_not_block_the_undoing() {
    let (olt, outcome) = undone_after(3, |olt| {
        let port = Port { pon: pon(), ont: 1, vlan: 100, user_vlan: 100, gem: 1, traffic: Some((6, 7)) };
        olt.world().ports.insert(900, port);
    })
    .await;
    assert!(matches!(outcome, Outcome::Undone { .. }), "{outcome:?}");
    assert!(olt.is_untouched(), "{:?}", olt.world());
    assert!(olt.world().log.contains(&"undo service-port 900".to_owned()), "{:?}", olt.world().log);
}

/// An ONU id that has service ports and no ONU before the task begins is not taken: what is on it was not made by us, stays
/// as it is, and stands in nobody's way.
#[tokio::test]
async fn what_the_precheck_saw_is_neither_deleted_nor_in_the_way() {
    let olt = FakeOlt::new();
    let orphan = Port { pon: pon(), ont: 1, vlan: 100, user_vlan: 100, gem: 1, traffic: None };
    olt.world().ports.insert(900, orphan.clone());
    olt.world().refuse.push(("ont tr069".into(), "  Failure: no".into()));
    let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
    assert!(matches!(outcome, Outcome::Undone { .. }), "{outcome:?}");
    assert!(olt.world().log.iter().any(|line| line.starts_with("ont add 6 2 ")), "{:?}", olt.world().log);
    assert_eq!(olt.world().onts.len(), 1);
    assert_eq!(olt.world().ports.get(&900), Some(&orphan));
    assert_eq!(olt.world().ports.len(), 2, "{:?}", olt.world());
}

/// A task that was interrupted for hours, and an engineer who meanwhile made the ONU work: with what he put on it nothing is
/// taken off, and he is told what is left.
#[tokio::test]
async fn what_an_engineer_put_on_the_onu_meanwhile_is_not_undone() {
    fn ont(olt: &FakeOlt, change: impl FnOnce(&mut Ont)) {
        change(olt.world().onts.get_mut(&(pon(), 1)).expect("registered"));
    }
    type Repair = fn(&FakeOlt);
    let port: Repair = |olt| {
        let port = Port { pon: pon(), ont: 1, vlan: 200, user_vlan: 200, gem: 2, traffic: None };
        olt.world().ports.insert(900, port);
    };
    // For the VLAN of ours, and not what was sent.
    let speed: Repair = |olt| {
        let port = Port { pon: pon(), ont: 1, vlan: 100, user_vlan: 100, gem: 1, traffic: Some((8, 9)) };
        olt.world().ports.insert(900, port);
    };
    let management: Repair = |olt| ont(olt, |ont| ont.ipconfig = Some(("dhcp".into(), 300, 0)));
    let acs: Repair = |olt| ont(olt, |ont| ont.acs = Some(9));
    // After the first service port; and when it is to be undone.
    for (write, repair, words) in [
        (5, port, "service port 900 (VLAN 200)"),
        (11, port, "service port 900 (VLAN 200)"),
        (5, speed, "service port 900 (VLAN 100)"),
        (11, speed, "service port 900 (VLAN 100)"),
        (11, management, "management IP index 0 (DHCP, VLAN 300)"),
        (11, acs, "ACS profile 9"),
    ] {
        let mut repaired = None;
        let (olt, outcome) = undone_after(write, |olt| {
            repair(olt);
            let world = olt.world();
            repaired = Some((world.onts.clone(), world.ports.clone()));
        })
        .await;
        let Outcome::NeedsOperator { reason, left } = &outcome else { panic!("{words}: {outcome:?}") };
        assert!(reason.contains(words), "{reason}");
        let removed = |line: &String| {
            line.starts_with("undo ") || line.starts_with("ont delete") || line.contains(" delete ")
        };
        let log = olt.world().log.clone();
        assert!(!log.iter().any(removed), "{words}: {log:?}");
        let (onts, ports) = repaired.expect("repaired");
        let world = olt.world();
        assert_eq!(world.onts.keys().collect::<Vec<_>>(), onts.keys().collect::<Vec<_>>());
        assert!(ports.iter().all(|(index, port)| world.ports.get(index) == Some(port)));
        // Ours, in the order in which they can be sent; nothing of his.
        assert_eq!(left.last().map(String::as_str), Some("ont delete 6 1"), "{left:?}");
        assert!(left.contains(&"undo service-port 5".to_owned()), "{left:?}");
        assert!(!left.iter().any(|line| line.contains("900")), "{left:?}");
    }
}

/// An OLT that takes a line with traffic tables and lists other ones, or none: what the journal has as sent is ours, and is
/// taken off with the ONU, also where the process dies on the way.
#[tokio::test]
async fn a_port_of_ours_with_other_traffic_tables_is_undone() {
    for listed in [Some((8, 9)), None] {
        let olt = FakeOlt::new();
        olt.world().other_tables = Some(listed);
        let outcome = run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
        let Outcome::Undone { reason } = &outcome else { panic!("{listed:?}: {outcome:?}") };
        assert!(reason.contains("VLAN 100") && reason.contains("traffic tables 6/7"), "{reason}");
        assert!(olt.is_untouched(), "{:?}", olt.world());
        // From after the first service port was sent to while it is undone.
        for write in 4..=12 {
            let (olt, journal) = (FakeOlt::new(), MemoryJournal::default());
            olt.world().other_tables = Some(listed);
            *journal.blow.lock().expect("blow") = Some((write, JournalBlow::KillAfter));
            {
                let (mut driver, mut own) = (olt.driver(), journal.clone());
                tokio::select! {
                    outcome = async { execute(&mut driver, &authorise(), &facts(), &mut own).await } => panic!("{outcome:?}"),
                    () = journal.killed.notified() => {}
                }
            }
            let outcome = resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed");
            assert!(matches!(outcome, Some(Outcome::Undone { .. })), "{write}: {outcome:?}");
            assert!(olt.is_untouched(), "{write}: {:?}", olt.world());
        }
    }
}

/// A port that carries what ours was to carry, put there before ours was sent: the OLT refuses ours, so that one is not ours
/// and stays. It is said how it differs.
#[tokio::test]
async fn a_port_in_the_way_of_ours_is_not_undone() {
    let (olt, outcome) = undone_after(3, |olt| {
        let port = Port { pon: pon(), ont: 1, vlan: 100, user_vlan: 100, gem: 1, traffic: Some((8, 9)) };
        olt.world().ports.insert(900, port);
    })
    .await;
    let Outcome::NeedsOperator { reason, left } = &outcome else { panic!("{outcome:?}") };
    assert!(
        reason.contains("service port 900 (VLAN 100) with traffic tables 8/9 instead of 6/7"),
        "{reason}"
    );
    assert!(olt.world().ports.contains_key(&900) && olt.world().onts.contains_key(&(pon(), 1)));
    assert!(!left.iter().any(|line| line.contains("900")), "{left:?}");
    // Neither one with another flow.
    let (olt, outcome) = undone_after(11, |olt| {
        let mut world = olt.world();
        world.ports.retain(|_, port| port.ont != 1 || port.vlan != 100);
        let port = Port { pon: pon(), ont: 1, vlan: 100, user_vlan: 101, gem: 1, traffic: Some((6, 7)) };
        world.ports.insert(901, port);
    })
    .await;
    let Outcome::NeedsOperator { reason, left } = &outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("service port 901 (VLAN 100) by now"), "{reason}");
    assert!(olt.world().ports.contains_key(&901));
    assert!(!left.iter().any(|line| line.contains("901")), "{left:?}");
}

/// A task that died before its management address or its ACS was set, and an engineer who set one of them meanwhile: the
/// OLT would take ours without a word in its place, so it is not sent.
#[tokio::test]
async fn what_an_engineer_set_meanwhile_is_not_written_over() {
    async fn resumed_after(write: usize, meanwhile: impl FnOnce(&mut Ont)) -> (FakeOlt, Outcome) {
        let (olt, journal) = (FakeOlt::new(), MemoryJournal::default());
        *journal.blow.lock().expect("blow") = Some((write, JournalBlow::KillAfter));
        {
            let (mut driver, mut own) = (olt.driver(), journal.clone());
            tokio::select! {
                outcome = async { execute(&mut driver, &authorise(), &facts(), &mut own).await } => panic!("{outcome:?}"),
                () = journal.killed.notified() => {}
            }
        }
        meanwhile(olt.world().onts.get_mut(&(pon(), 1)).expect("registered"));
        let outcome =
            resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed").expect("a task");
        // Whoever asks again gets the same answer, and nothing more is sent.
        let sent = olt.world().log.len();
        let again = resume(&mut olt.driver(), &mut journal.clone()).await.expect("over").expect("a task");
        assert_eq!((&again, olt.world().log.len()), (&outcome, sent));
        (olt, outcome)
    }
    let address = "ont ipconfig 6 1 dhcp vlan 4000 priority 2";
    let acs = "ont tr069-server-config 6 1 profile-id 3";
    for write in [3, 5, 7, 8] {
        let theirs = Some(("dhcp".to_owned(), 300, 0));
        let (olt, outcome) = resumed_after(write, |ont| ont.ipconfig = theirs.clone()).await;
        let Outcome::NeedsOperator { reason, left } = &outcome else { panic!("{write}: {outcome:?}") };
        assert!(reason.contains("management IP index 0 (DHCP, VLAN 300)"), "{reason}");
        assert_eq!(olt.world().onts[&(pon(), 1)].ipconfig, theirs, "{write}: it is still the engineer's");
        assert!(!olt.world().log.iter().any(|line| line == address || line == acs), "{:?}", olt.world().log);
        let left: Vec<&str> =
            left.iter().map(String::as_str).filter(|line| line.starts_with("ont ")).collect();
        assert_eq!(left, [address, acs], "{write}");
    }
    for write in [5, 9, 10] {
        let (olt, outcome) = resumed_after(write, |ont| ont.acs = Some(9)).await;
        let Outcome::NeedsOperator { reason, left } = &outcome else { panic!("{write}: {outcome:?}") };
        assert!(reason.contains("ACS profile 9"), "{reason}");
        assert_eq!(olt.world().onts[&(pon(), 1)].acs, Some(9), "{write}: it is still the engineer's");
        assert_eq!(left.last().map(String::as_str), Some(acs), "{write}: {left:?}");
        assert!(!left.iter().any(|line| line == address), "{write}: that one was set: {left:?}");
    }
    // As wanted already, whoever did it.
    let (olt, outcome) = resumed_after(8, |ont| ont.ipconfig = Some(("dhcp".into(), 4000, 2))).await;
    assert!(done(&outcome) && olt.is_complete(), "{outcome:?}");
}

/// A removal that was interrupted, and an engineer who meanwhile gave the ONU another place: it is off the one that was
/// meant, and the end says that it is elsewhere.
#[tokio::test]
async fn a_removal_says_where_it_found_the_onu_instead() {
    let olt = FakeOlt::new();
    run(&olt, &authorise(), &mut MemoryJournal::default()).await.expect("an outcome");
    let removal = Operation::Deauthorise(DeauthoriseSpec {
        onu: OnuRef { pon: pon(), onu_id: 1 },
        serial: serial(),
        made: None,
    });
    let journal = MemoryJournal::default();
    *journal.blow.lock().expect("blow") = Some((2, JournalBlow::KillAfter));
    {
        let (mut driver, mut own) = (olt.driver(), journal.clone());
        tokio::select! {
            outcome = async { execute(&mut driver, &removal, &facts(), &mut own).await } => panic!("{outcome:?}"),
            () = journal.killed.notified() => {}
        }
    }
    {
        let mut world = olt.world();
        let ont = world.onts.remove(&(pon(), 1)).expect("registered");
        world.onts.insert((pon(), 7), ont);
        world.ports.retain(|_, port| port.ont != 1);
        world.log.clear();
    }
    let outcome = resume(&mut olt.driver(), &mut journal.clone()).await.expect("resumed").expect("a task");
    let Outcome::Done(report) = &outcome else { panic!("{outcome:?}") };
    assert!(report.remarks.iter().any(|remark| remark.contains("0/1/6 ONU 7")), "{report:?}");
    assert!(olt.world().log.is_empty() && olt.world().onts.contains_key(&(pon(), 7)), "{:?}", olt.world());
}
