//! A check whether a device can be reached: one call, of which nothing comes but what is known.

use super::*;
use provisioning::Timer;

const CR_PASSWORD: &str = "InternetGatewayDevice.ManagementServer.ConnectionRequestPassword";

fn check(shell: &mut Shell) {
    shell.feed(Event::CheckRequested { by: "ana".into() });
}

/// Every way in which no session comes of a call.
fn in_vain() -> Vec<Event> {
    use ConnectionRequestOutcome as O;
    let outcomes = [O::Unauthorized, O::Http(503), O::Unreachable, O::Timeout, O::NotSent, O::ProcessEnded];
    let finished = outcomes.into_iter().map(Event::ConnectionRequestFinished);
    finished.chain([Event::TimerFired(Timer::Watchdog)]).collect()
}

#[test]
fn a_check_in_the_middle_of_provisioning_changes_no_state() {
    for state in [State::Ready, State::Provisioning] {
        for event in in_vain() {
            let mut shell = huawei(Quirks::default());
            shell.run_until(State::Provisioning, 3600);
            if state == State::Ready {
                shell.run_until(State::Active, 3600);
                shell.run(600);
                let access = shell.context.intents.as_mut().expect("intents").access.as_mut();
                access.expect("access").wifi[0].ssid = "Renamed".into();
                shell.wish();
            }
            // The call of the plan itself is over and done with.
            shell.now = shell.now.plus_s(60);
            shell.device.connection.outstanding_since = None;
            shell.connection_wanted = false;
            let before = (shell.device.state(), shell.device.reason.clone(), shell.transitions.len());
            assert_eq!(before.0, state);
            check(&mut shell);
            assert!(std::mem::take(&mut shell.connection_wanted), "it is called{}", shell.story());
            shell.feed(event.clone());
            let after = (shell.device.state(), shell.device.reason.clone(), shell.transitions.len());
            assert_eq!(after, before, "{event:?}");
            assert_eq!(shell.device.connection.outstanding_since, None, "{event:?}");
            assert!(shell.device.connection.last_outcome.is_some(), "what was seen is kept: {event:?}");
            let said = shell.reasons.last().expect("it is told").sentence();
            assert!(said.contains("a check only reports") && !said.contains("blocked"), "{event:?}: {said}");
            // It goes on where it was.
            shell.run_until(State::Active, 3600);
        }
    }
}

#[test]
fn a_check_that_is_refused_has_no_credentials_written_and_our_own_call_has() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(1800);
    shell.cpe.told.clear();
    shell.cpe.quirks.unauthorized = true;
    check(&mut shell);
    shell.run(24 * 3600);
    assert_eq!(shell.cpe.told, [], "a check only reports{}", shell.story());
    assert_eq!(shell.device.connection.unauthorized_since, None);
    // What is known of it stays known: a later answer to the same call, after the watch over it ended, is of the check too.
    check(&mut shell);
    shell.connection_wanted = false;
    shell.feed(Event::TimerFired(Timer::Watchdog));
    shell.feed(Event::ConnectionRequestFinished(ConnectionRequestOutcome::Unauthorized));
    assert_eq!(shell.device.connection.unauthorized_since, None);
    shell.now = shell.now.plus_s(60);
    shell.feed(Event::CallRequested { by: "ana".into() });
    shell.run(2000);
    assert_eq!(shell.cpe.told, [Told::Set(CR_PASSWORD.into(), "own-secret-2".into())], "{}", shell.story());
}

#[test]
fn who_needs_a_session_while_a_check_is_under_way_waits_for_it_like_for_any_call() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(600);
    check(&mut shell);
    assert!(std::mem::take(&mut shell.connection_wanted));
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.wifi[0].ssid = "Renamed".into();
    shell.wish();
    assert!(!shell.connection_wanted, "one call at a time");
    assert_eq!(shell.device.state(), State::Ready);
    shell.feed(Event::ConnectionRequestFinished(ConnectionRequestOutcome::Unauthorized));
    assert_eq!(shell.device.state(), State::WaitingInform, "{}", shell.story());
    assert!(shell.device.connection.unauthorized_since.is_some(), "it was more than a check by then");

    // An operator who asks for a session meanwhile means it; one more check takes nothing back.
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(600);
    check(&mut shell);
    shell.feed(Event::CallRequested { by: "ana".into() });
    check(&mut shell);
    shell.feed(Event::ConnectionRequestFinished(ConnectionRequestOutcome::Unauthorized));
    assert!(shell.device.connection.unauthorized_since.is_some());
}

#[test]
fn it_is_not_said_to_be_called_where_it_is_not() {
    let mut shell = huawei(Quirks::default());
    let last = |shell: &Shell, code: ReasonCode| {
        shell.reasons.iter().rfind(|reason| reason.code == code).expect("said").sentence()
    };
    check(&mut shell);
    assert!(!shell.connection_wanted, "nobody knows where");
    assert!(last(&shell, ReasonCode::CallRequested).contains("no connection request is sent"));
    shell.run_until(State::Active, 3600);
    shell.run(600);
    check(&mut shell);
    assert!(last(&shell, ReasonCode::CallRequested).ends_with("connection request sent"));
    check(&mut shell);
    assert!(last(&shell, ReasonCode::CallRequested).contains("one is under way already"));
}

/// What is said where a session is needed is of that need, however the last call came to be made.
#[test]
fn a_check_that_is_over_gives_no_reason_to_what_is_needed_after_it() {
    use ConnectionRequestOutcome as O;
    for late in [false, true] {
        let mut shell = huawei(Quirks::default());
        shell.run_until(State::Active, 3600);
        shell.run(600);
        shell.feed(Event::CallRequested { by: "ana".into() });
        shell.feed(Event::ConnectionRequestFinished(O::Unauthorized));
        assert!(shell.device.connection.unauthorized_since.is_some());
        shell.now = shell.now.plus_s(60);
        check(&mut shell);
        if late {
            shell.feed(Event::TimerFired(Timer::Watchdog));
        }
        shell.feed(Event::ConnectionRequestFinished(O::Unauthorized));
        shell.connection_wanted = false;
        let said = shell.reasons.last().expect("it is told").sentence();
        assert!(said.contains("a check only reports"), "of the check itself: {said}");
        let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
        access.wifi[0].ssid = "Renamed".into();
        shell.wish();
        assert!(!shell.connection_wanted, "refused with 401: it is not called");
        assert_eq!(shell.device.state(), State::WaitingInform, "{}", shell.story());
        let said = shell.device.reason.as_ref().expect("a reason").sentence();
        assert!(!said.contains("check"), "{said}");
        assert!(
            said.starts_with("Provision blocked: ") && said.contains("its credentials are written again"),
            "{said}"
        );
    }
}
