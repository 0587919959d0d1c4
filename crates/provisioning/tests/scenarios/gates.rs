//! Gates into READY, as they are shown.

use super::*;
use provisioning::Timer;

/// Names of the gates that are closed now.
pub(super) fn closed(shell: &Shell) -> Vec<&'static str> {
    let all = provisioning::gates(&shell.device, &shell.context, shell.now);
    all.into_iter().filter(|(_, closed)| closed.is_some()).map(|(gate, _)| gate.as_str()).collect()
}

#[test]
fn every_closed_gate_is_told_not_only_the_first() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Provisioning, 3600);
    shell.feed(Event::HoldSet { by: "ana".into() });
    shell.run(3600);
    shell.device = {
        let mut device = serde_json::to_value(&shell.device).expect("json");
        device["next_attempt_at"] = serde_json::json!(shell.now.plus_s(600));
        device["clock"]["valid"] = serde_json::json!(false);
        serde_json::from_value(device).expect("a device")
    };
    shell.context.intents = None;
    assert_eq!(closed(&shell), ["clock", "hold", "intent", "back_off"]);
    let fresh = provisioning::gates(&provisioning::Device::new(shell.now), &shell.context, shell.now);
    let family = fresh.iter().find(|(gate, _)| gate.as_str() == "family").expect("every gate is there");
    assert!(family.1.as_ref().is_some_and(|reason| reason.text.contains("not decided")), "{family:?}");
}

#[test]
fn a_promise_of_an_inform_that_lapsed_is_not_shown_as_one() {
    let mut shell = huawei(Quirks { unreachable: true, ..Quirks::default() });
    shell.run_until(State::WaitingInform, 3600);
    let before = shell.device.reason.clone().expect("a reason");
    assert!(sentence(&shell).contains("expected by"), "{}", sentence(&shell));
    shell.now = shell.device.next_inform_by.expect("it informs").plus_s(shell.context.policy.inform_grace_s);
    let step = shell.feed(Event::TimerFired(Timer::InformOverdue));
    let told: Vec<_> = step.reasons.iter().map(|reason| reason.code).collect();
    assert_eq!(told, [ReasonCode::InformOverdue], "one line in the record, not the old one again");
    let after = shell.device.reason.clone().expect("a reason");
    assert_eq!((after.code, &after.text, &after.facts), (before.code, &before.text, &before.facts));
    let next = after.next.expect("what happens next");
    assert!(next.starts_with("waiting for the next Inform, overdue since 2026-11-21T10:"), "{next}");
    // The Inform that comes after all goes on as ever.
    shell.run_until(State::Active, 3 * 3600);
}
