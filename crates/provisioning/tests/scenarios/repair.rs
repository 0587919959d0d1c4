//! An ACTIVE device that answers connection requests with 401: the one thing that is written to it, and when.

use super::*;
use provisioning::SessionEnd;

const CR_USER: &str = "InternetGatewayDevice.ManagementServer.ConnectionRequestUsername";
const CR_PASSWORD: &str = "InternetGatewayDevice.ManagementServer.ConnectionRequestPassword";

/// ACTIVE for a while, and its connection requests are refused from now on.
fn refusing() -> Shell {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(1800);
    shell.cpe.told.clear();
    shell.cpe.quirks.unauthorized = true;
    shell
}

fn call(shell: &mut Shell) {
    shell.feed(Event::CallRequested { by: "ana".into() });
    shell.run(5);
}

/// Everything that was written since the last look, management settings too.
fn told(shell: &mut Shell) -> Vec<Told> {
    std::mem::take(&mut shell.cpe.told)
}

fn password() -> Told {
    Told::Set(CR_PASSWORD.into(), "own-secret-2".into())
}

fn last_note(shell: &Shell, code: ReasonCode) -> String {
    let of_code = |reason: &&provisioning::Reason| reason.code == code;
    shell.reasons.iter().rev().find(of_code).expect("it is said").sentence()
}

#[test]
fn an_active_device_that_refuses_our_calls_gets_its_credentials_again_and_nothing_else() {
    let mut shell = refusing();
    let before = (shell.device.layers.clone(), shell.device.reason.clone(), shell.transitions.len());
    call(&mut shell);
    let said = last_note(&shell, ReasonCode::ConnectionRequestUnauthorized);
    assert!(said.contains("written again in the next session it opens, once a day at most"), "{said}");
    assert_eq!(told(&mut shell), [], "not before it comes by itself");
    // Its inform interval is no longer ours either: that is not what this is about.
    shell.cpe.set("InternetGatewayDevice.ManagementServer.PeriodicInformInterval", "3600");
    shell.run(3700);
    assert_eq!(told(&mut shell), [password()], "{}", shell.story());
    assert!(shell.device.connection.unauthorized_since.is_none(), "it may be called again");
    assert!(last_note(&shell, ReasonCode::CredentialsRepaired).contains("nothing else was written"));
    // It takes them from now on.
    shell.cpe.quirks.unauthorized = false;
    call(&mut shell);
    assert_eq!(shell.device.connection.last_outcome, Some(ConnectionRequestOutcome::Accepted));
    shell.run(48 * 3600);
    assert_eq!(told(&mut shell), [], "once is enough");
    assert_eq!((shell.device.layers, shell.device.reason, shell.transitions.len()), before);
}

#[test]
fn a_user_name_that_was_changed_is_put_back_and_read_back() {
    let mut shell = refusing();
    shell.cpe.set(CR_USER, "somebody");
    call(&mut shell);
    shell.run(1000);
    let written = told(&mut shell);
    assert_eq!(written, [Told::Set(CR_USER.into(), "lk-cr-1".into()), password()]);
    assert_eq!(shell.cpe.value(CR_USER), "lk-cr-1");

    // One that is not kept is said, and left alone until tomorrow.
    shell.cpe.set(CR_USER, "somebody");
    shell.cpe.quirks.deaf_leaves = vec!["ConnectionRequestUsername"];
    shell.run(24 * 3600);
    call(&mut shell);
    shell.run(1000);
    let said = last_note(&shell, ReasonCode::OwnershipNotKept);
    assert!(said.contains("reads somebody; not written again before 2026-11-23"), "{said}");
    let tries = told(&mut shell).len();
    assert!(tries > 0);
    shell.run(20 * 3600);
    assert_eq!((told(&mut shell), shell.device.state()), (vec![], State::Active));
}

#[test]
fn it_is_done_once_a_day_however_often_the_device_refuses() {
    let mut shell = refusing();
    let mut days = Vec::new();
    for _ in 0..3 * 24 {
        call(&mut shell);
        shell.run(3600);
        days.extend(told(&mut shell).iter().map(|told| {
            assert_eq!(*told, password());
            shell.now
        }));
    }
    assert_eq!(days.len(), 3, "{days:?}");
    assert!(days.windows(2).all(|pair| pair[1].since(pair[0]).as_secs() >= 24 * 3600), "{days:?}");
    let said = last_note(&shell, ReasonCode::ConnectionRequestUnauthorized);
    assert!(said.contains("its credentials were written again at 2026-11-23T"), "{said}");
    assert!(!shell.transitions.iter().any(|change| change.from == State::Active));
}

#[test]
fn a_fault_or_a_broken_session_uses_up_the_day_and_never_costs_active() {
    let mut shell = refusing();
    shell.cpe.quirks.refused_leaves = vec!["ConnectionRequestPassword"];
    call(&mut shell);
    shell.run(6 * 3600);
    assert_eq!(told(&mut shell), [password()]);
    let said = last_note(&shell, ReasonCode::OwnershipRefused);
    assert!(said.contains("fault 9007 (no)") || said.contains("fault 9003"), "{said}");
    assert!(said.contains("not written again before 2026-11-22"), "{said}");
    // What was refused is not said to be written.
    shell.now = shell.now.plus_s(60);
    call(&mut shell);
    let said = last_note(&shell, ReasonCode::ConnectionRequestUnauthorized);
    assert!(said.contains("writing its credentials again was tried at 2026-11-21T"), "{said}");
    assert_eq!((shell.device.state(), code(&shell)), (State::Active, ReasonCode::Active));

    for lost in [Ending::LostRequest(1), Ending::LostReply(3), Ending::Killed(4), Ending::Killed(5)] {
        let mut shell = refusing();
        call(&mut shell);
        shell.session(&["2 PERIODIC"], lost);
        shell.run(20 * 3600);
        assert!(told(&mut shell).len() <= 2, "{lost:?}");
        assert_eq!((shell.device.state(), code(&shell)), (State::Active, ReasonCode::Active), "{lost:?}");
        assert!(!shell.transitions.iter().any(|change| change.from == State::Active), "{lost:?}");
    }
}

#[test]
fn nothing_is_written_in_a_session_we_called_for_nor_under_a_hold_nor_to_a_stranger() {
    let mut shell = refusing();
    call(&mut shell);
    // Somebody got through after all.
    shell.session(&["6 CONNECTION REQUEST"], Ending::Clean);
    assert_eq!(told(&mut shell), []);
    shell.feed(Event::HoldSet { by: "ana".into() });
    call(&mut shell);
    shell.run(3600);
    assert_eq!(told(&mut shell), []);
    shell.now = shell.now.plus_s(60);
    call(&mut shell);
    let said = last_note(&shell, ReasonCode::ConnectionRequestUnauthorized);
    assert!(said.contains("written again once ana lifts the hold"), "{said}");
    shell.feed(Event::HoldCleared { by: "ana".into() });
    // Whoever has not our secret is not this device.
    let inform = shell.cpe.inform(shell.now, &["2 PERIODIC"]);
    let stranger = provisioning::Peer { auth: provisioning::AuthLevel::Bootstrap, ..shell.peer() };
    shell.invariants.session_began();
    shell.feed(Event::InformReceived { inform, peer: stranger });
    let link = shell.link.clone();
    shell.feed(Event::LinkResolved(link));
    let step = shell.feed(Event::SessionReady);
    assert!(step.effects.contains(&provisioning::Effect::FinishSession), "{:?}", step.effects);
    shell.feed(Event::SessionEnded(SessionEnd::Clean));
    assert_eq!(told(&mut shell), []);
    shell.run(1000);
    assert_eq!(told(&mut shell), [password()]);
}

#[test]
fn a_call_that_is_taken_ends_the_401() {
    let mut shell = refusing();
    call(&mut shell);
    assert!(shell.device.connection.unauthorized_since.is_some());
    // It was only just starting.
    shell.cpe.quirks.unauthorized = false;
    shell.now = shell.now.plus_s(60);
    call(&mut shell);
    assert_eq!(shell.device.connection.last_outcome, Some(ConnectionRequestOutcome::Accepted));
    assert_eq!(shell.device.connection.unauthorized_since, None, "it took our credentials and came");
    // What is wanted next is told at once, and no credentials are written.
    let calls = shell.sessions;
    shell.now = shell.now.plus_s(600);
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").nat = false;
    shell.wish();
    shell.run(30);
    assert!(shell.sessions > calls, "it is called{}", shell.story());
    shell.run(3600);
    assert_eq!(told(&mut shell), [Told::Set(format!("{WAN}NATEnabled"), "false".into())]);

    // An accepted call that nobody came of proves nothing, and an Inform may be faster than the answer.
    let mut shell = refusing();
    call(&mut shell);
    shell.now = shell.now.plus_s(60);
    shell.feed(Event::CallRequested { by: "ana".into() });
    shell.feed(Event::ConnectionRequestFinished(ConnectionRequestOutcome::Accepted));
    shell.connection_wanted = false;
    assert!(shell.device.connection.unauthorized_since.is_some());
    shell.session(&["2 PERIODIC"], Ending::LostRequest(1));
    assert!(shell.device.connection.unauthorized_since.is_some(), "{}", shell.story());
    shell.now = shell.now.plus_s(60);
    shell.feed(Event::CallRequested { by: "ana".into() });
    shell.connection_wanted = false;
    let (inform, peer) = (shell.cpe.inform(shell.now, &["6 CONNECTION REQUEST"]), shell.peer());
    shell.invariants.session_began();
    shell.feed(Event::InformReceived { inform, peer });
    shell.feed(Event::ConnectionRequestFinished(ConnectionRequestOutcome::Accepted));
    assert_eq!(shell.device.connection.unauthorized_since, None);
}

#[test]
fn a_repair_that_cannot_be_planned_is_looked_at_once_a_day() {
    let mut shell = refusing();
    shell.cpe.quirks.untold = vec!["InternetGatewayDevice.ManagementServer."];
    call(&mut shell);
    let before = shell.transcript.len();
    shell.run(12 * 3600);
    let looks =
        shell.transcript[before..].iter().filter(|line| line.contains("Names InternetGatewayDevice.Man"));
    assert_eq!((looks.count(), told(&mut shell)), (1, vec![]));
}
