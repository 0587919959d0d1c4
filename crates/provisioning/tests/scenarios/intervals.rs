//! Devices that keep another inform interval than they are told.

use super::*;

/// What the device was told its inform interval should be, so far.
fn told_intervals(shell: &Shell) -> Vec<u32> {
    let told = shell.transcript.iter().flat_map(|line| line.split("PeriodicInformInterval = ").skip(1));
    told.map(|rest| rest.split_whitespace().next().unwrap_or_default().parse().expect("a number")).collect()
}

#[test]
fn a_device_that_rounds_its_inform_interval_is_believed_and_not_told_again() {
    type Rounding = fn(u64) -> u64;
    let roundings: [(Rounding, &str); 3] = [
        (|_| 900, "to a quarter of an hour"),
        (|seconds| seconds.max(1800), "to its own least"),
        (|seconds| seconds / 60 * 60 + 60, "up to minutes"),
    ];
    for (keeps, how) in roundings {
        let mut shell = huawei(Quirks { keeps_interval: Some(keeps), ..Quirks::default() });
        shell.context.policy.inform_interval_s = 907;
        shell.context.policy.inform_spread_s = 0;
        shell.run_until(State::Active, 2 * 3600);
        let kept = u32::try_from(keeps(907)).expect("small");
        assert_eq!(
            shell.device.inform_interval_s,
            Some(kept),
            "{how}: what it keeps is what is expected of it"
        );
        let said: Vec<&str> = shell.reasons.iter().map(|reason| reason.code.as_str()).collect();
        assert_eq!(said.iter().filter(|code| **code == "interval_rounded").count(), 1, "{how}: {said:?}");
        assert!(!said.contains(&"ownership_not_kept"), "{how}");
        let (_, evidence) = shell
            .evidence
            .iter()
            .find(|((_, setting), _)| setting == "Inform interval")
            .expect("evidence of the interval");
        assert_eq!(
            (evidence.wanted.as_str(), evidence.observed.as_str()),
            ("907", kept.to_string().as_str()),
            "{how}"
        );
        assert!(evidence.verified, "{how}");
        let told = told_intervals(&shell);
        assert!(told.iter().all(|seconds| *seconds == 907), "{how}: never another one to hurry: {told:?}");
        assert!(told.len() <= 2, "{how}: {told:?}");
        // A repair of the credentials does not begin it anew.
        shell.device.ownership.repair_due = true;
        shell.run(4 * 3600);
        assert_eq!(told_intervals(&shell), told, "{how}");
    }
}

#[test]
fn a_device_that_keeps_an_interval_of_its_own_is_not_fought_for_ever() {
    let mut shell = huawei(Quirks { keeps_interval: Some(|_| 43_200), ..Quirks::default() });
    shell.context.policy.inform_interval_s = 900;
    shell.context.policy.inform_spread_s = 0;
    shell.context.policy.credentials_rewrite_s = 86_400;
    shell.run(40 * 3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::Informed, ReasonCode::OwnershipNotKept));
    for part in
        ["was set to 900 and reads 43200; not written again before ", "43200 s is accepted for its model"]
    {
        assert!(sentence(&shell).contains(part), "{}", sentence(&shell));
    }
    let reason = shell.device.reason.as_ref().expect("a reason");
    assert_eq!(reason.facts.get("kept_s").map(String::as_str), Some("43200"));
    let told = told_intervals(&shell).len();
    assert!((1..=6).contains(&told), "three sessions, twice each: {told}");
    // The policy asks for what it keeps: that is another wish, and there is nothing to write for it.
    shell.context.policy.inform_interval_s = 43_200;
    shell.run_until(State::Active, 3 * 24 * 3600);
    assert_eq!(told_intervals(&shell).len(), told);
}

#[test]
fn an_interval_of_its_own_passes_where_somebody_accepts_exactly_that() {
    let mut shell = huawei(Quirks { keeps_interval: Some(|_| 43_200), ..Quirks::default() });
    shell.context.policy.inform_interval_s = 900;
    shell.context.policy.inform_spread_s = 0;
    shell.context.policy.credentials_rewrite_s = 7 * 86_400;
    shell.run(40 * 3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::Informed, ReasonCode::OwnershipNotKept));
    let told = told_intervals(&shell).len();
    let accepted = |interval_s| provisioning::AcceptedInterval { interval_s, by: "ana".into() };
    // Another one is not this one.
    shell.context.policy.accepted_interval = Some(accepted(43_201));
    shell.run(30 * 3600);
    assert_eq!(shell.device.state(), State::Informed);
    // It goes on at its next contact, although nothing may be written for days, and nothing is.
    shell.context.policy.accepted_interval = Some(accepted(43_200));
    shell.run_until(State::Active, 3 * 24 * 3600);
    assert_eq!(told_intervals(&shell).len(), told, "it was told its interval again");
    assert_eq!(shell.device.inform_interval_s, Some(43_200), "what it keeps is what is expected of it");
    let evidence = shell.evidence.iter().find(|((_, setting), _)| setting == "Inform interval");
    let evidence = evidence.expect("evidence of the interval").1;
    assert_eq!(
        (evidence.wanted.as_str(), evidence.observed.as_str()),
        ("900; 43200 accepted by ana", "43200"),
        "what was asked is not forgotten"
    );
    let said: Vec<&str> = shell.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(said.iter().filter(|code| **code == "interval_accepted").count(), 1, "{said:?}");
    // Withdrawn, what is confirmed stays.
    shell.context.policy.accepted_interval = None;
    shell.run(3 * 24 * 3600);
    assert_eq!(shell.device.state(), State::Active);
}

#[test]
fn a_device_of_an_accepted_model_that_keeps_what_it_is_told_is_told_what_the_policy_says() {
    let mut shell = huawei(Quirks::default());
    shell.context.policy.inform_interval_s = 900;
    shell.context.policy.inform_spread_s = 0;
    shell.context.policy.accepted_interval =
        Some(provisioning::AcceptedInterval { interval_s: 43_200, by: "ana".into() });
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.device.inform_interval_s, Some(900));
    assert!(!shell.codes().contains(&"interval_accepted"));
}
