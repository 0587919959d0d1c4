//! Management settings and NTP that a device refuses, with and without a word about which of them it is.

use super::*;

/// How often the device refused a call with this leaf in it.
fn refusals(shell: &Shell, path: &str) -> usize {
    let written = format!("{path} = ");
    shell.transcript.iter().filter(|line| line.contains(&written) && line.contains("→ fault")).count()
}

#[test]
fn a_device_that_refuses_its_management_settings_is_not_fought() {
    let leaf = "InternetGatewayDevice.ManagementServer.ConnectionRequestPassword";
    let mut shell = huawei(Quirks { refused_leaves: vec!["ConnectionRequestPassword"], ..Quirks::default() });
    shell.run(12 * 3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::Informed, ReasonCode::OwnershipRefused));
    let text = sentence(&shell);
    assert!(text.contains(leaf) && text.contains("fault 9007"), "{text}");
    assert_eq!(refusals(&shell, leaf), 3, "tried a few times, and not at every Inform of half a day");
    shell.run(24 * 3600);
    assert_eq!(refusals(&shell, leaf), 4, "and once a day");
    assert_eq!(shell.cpe.told_since(), [], "nothing else before it is ours");
    // It takes them after all.
    shell.cpe.quirks.refused_leaves.clear();
    shell.run_until(State::Active, 26 * 3600);
}

#[test]
fn a_repair_that_is_refused_is_not_tried_at_every_inform() {
    let leaf = "InternetGatewayDevice.ManagementServer.ConnectionRequestPassword";
    let mut shell = huawei(Quirks { unauthorized: true, pppoe_refused: true, ..Quirks::default() });
    shell.run_until(State::WaitingInform, 3600);
    shell.cpe.quirks.refused_leaves = vec!["ConnectionRequestPassword"];
    shell.run(20 * 3600);
    assert_eq!(refusals(&shell, leaf), 1, "once a day");
    assert_ne!(shell.device.state(), State::Informed);
    shell.run(20 * 3600);
    assert_eq!(refusals(&shell, leaf), 2);
}

#[test]
fn a_device_that_refuses_ntp_says_so_and_is_asked_a_few_times_only() {
    let mut shell =
        huawei(Quirks { no_clock: true, refused_leaves: vec!["NTPServer1"], ..Quirks::default() });
    shell.run(6 * 3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::Owned, ReasonCode::ClockNtpRefused));
    let text = sentence(&shell);
    assert!(text.contains("refused NTP servers 3 times: fault 9007"), "{text}");
    assert_eq!(refusals(&shell, "InternetGatewayDevice.Time.NTPServer1"), 3);
    assert_eq!(shell.cpe.told_since(), []);
}

#[test]
fn an_optional_leaf_that_is_refused_without_a_name_costs_only_itself() {
    let leaf = "InternetGatewayDevice.Time.LocalTimeZone";
    // In one call with the server, and in calls without anything that is needed.
    for most in [None, Some("batch_limit=2"), Some("batch_limit=1")] {
        let quirks = Quirks {
            no_clock: true,
            names_no_leaf: true,
            refused_leaves: vec!["LocalTimeZone"],
            ..Quirks::default()
        };
        let mut shell = huawei(quirks);
        shell.context.policy.ntp_servers.push("10.20.0.2".into());
        shell.context.learned.extend(
            most.map(|fact| provisioning::LearnedFact { path: String::new(), fact: fact.to_owned() }),
        );
        shell.run_until(State::Active, 6 * 3600);
        assert_eq!(shell.cpe.value("InternetGatewayDevice.Time.NTPServer1"), "10.20.0.1", "{most:?}");
        assert!(refusals(&shell, leaf) <= 2, "{most:?}: {}", refusals(&shell, leaf));
    }
}

#[test]
fn optional_leaves_that_are_refused_without_a_name_are_not_written_for_ever() {
    let quirks = Quirks {
        no_clock: true,
        ntp_unreachable: true,
        names_no_leaf: true,
        refused_leaves: vec!["LocalTimeZone", "X_HW_WanName"],
        ..Quirks::default()
    };
    let mut shell = huawei(quirks);
    shell.context.policy.ntp_servers.push("10.20.0.2".into());
    shell
        .context
        .learned
        .push(provisioning::LearnedFact { path: String::new(), fact: "batch_limit=2".to_owned() });
    shell.run(12 * 3600);
    for leaf in ["LocalTimeZone", "X_HW_WanName"] {
        let refused = refusals(&shell, &format!("InternetGatewayDevice.Time.{leaf}"));
        assert!((1..=2).contains(&refused), "{leaf}: {refused}");
    }
    assert_eq!(code(&shell), ReasonCode::ClockUnreachable, "{}", sentence(&shell));
}

#[test]
fn what_is_needed_and_refused_without_a_name_is_blamed_when_nothing_else_is_left() {
    let quirks = Quirks {
        no_clock: true,
        names_no_leaf: true,
        refused_leaves: vec!["NTPServer1"],
        ..Quirks::default()
    };
    let mut shell = huawei(quirks);
    shell.run(6 * 3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::Owned, ReasonCode::ClockNtpRefused));
    assert_eq!(refusals(&shell, "InternetGatewayDevice.Time.NTPServer1"), 4, "once more, to know which");
}
