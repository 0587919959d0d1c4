//! Each layer is on its own: what keeps the Internet from a customer does not keep his Wi-Fi from him, nor the other way
//! round.

use super::*;

/// A write to the Wi-Fi.
pub(crate) fn of_wifi(told: &Told) -> bool {
    matches!(told, Told::Set(path, _) if path.contains(".WLANConfiguration."))
}

/// Access is applied, verified and named; after that nothing more is written for it.
fn access_is_in_force(shell: &mut Shell) {
    assert_eq!(shell.cpe.value(&format!("{WLAN}SSID")), "Lighthouse", "{}", shell.story());
    assert!(shell.device.in_force(Layer::Access).is_some(), "{}", shell.story());
    assert!(shell.device.in_force(Layer::Internet).is_none());
    let evidence = &shell.evidence[&(Layer::Access, "Wi-Fi 2.4GHz name".to_owned())];
    assert_eq!((evidence.observed.as_str(), evidence.verified), ("Lighthouse", true));
    shell.cpe.told_since();
}

#[test]
fn a_question_about_wans_does_not_keep_the_wifi_back() {
    let mut shell = huawei(Quirks::default());
    let now = shell.now;
    shell.cpe.existing_wan("200", "a@isp", now);
    shell.cpe.existing_wan("200", "b@isp", now);
    shell.run_until(State::Failed, 3600);
    assert_eq!((code(&shell), shell.device.attempts), (ReasonCode::SeveralWansMatch, 1));
    assert!(sentence(&shell).contains("no WAN was changed"), "{}", sentence(&shell));
    let told = shell.cpe.told_since();
    assert!(!told.is_empty() && told.iter().all(of_wifi), "{told:?}");
    access_is_in_force(&mut shell);
    // Asked again whenever it is tried again, and nothing is written for what is in force.
    shell.run(50 * 3600);
    assert_eq!((code(&shell), shell.cpe.told_since()), (ReasonCode::SeveralWansMatch, vec![]));
    assert!(shell.device.attempts > 1, "it was tried again");
}

#[test]
fn a_wan_that_the_family_cannot_build_does_not_keep_the_wifi_back() {
    let mut shell = shell(fixtures::generic_tr098(), Some(200), Quirks::default());
    shell.run(3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::TimeSynced, ReasonCode::ProfileLacksPath));
    access_is_in_force(&mut shell);
    let changes = shell.transitions.len();
    shell.run(50 * 3600);
    assert_eq!((shell.transitions.len(), shell.cpe.told_since()), (changes, vec![]), "{}", shell.story());
    // Without a VLAN it can be built; the Wi-Fi has no part in that.
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").vlan = None;
    shell.wish();
    shell.run_until(State::Active, 3600);
    assert!(!shell.cpe.told_since().iter().any(of_wifi));
}

#[test]
fn a_wan_that_is_refused_is_undone_and_the_wifi_comes_all_the_same() {
    let mut shell = huawei(Quirks { refused_leaves: vec!["X_HW_VLAN"], ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    assert_eq!((code(&shell), shell.device.attempts), (ReasonCode::WriteRejected, 1));
    assert!(sentence(&shell).contains("WAN disabled"), "{}", sentence(&shell));
    access_is_in_force(&mut shell);
    shell.cpe.quirks.refused_leaves.clear();
    shell.feed(Event::RetryRequested { by: "ana".into() });
    shell.run_until(State::Active, 3600);
    assert!(!shell.cpe.told_since().iter().any(of_wifi), "it was in force");
}

#[test]
fn where_both_fail_the_internet_says_why_and_the_wifi_is_told_as_well() {
    let mut shell = huawei(Quirks { refused_leaves: vec!["SSID"], ..Quirks::default() });
    let now = shell.now;
    shell.cpe.existing_wan("200", "a@isp", now);
    shell.cpe.existing_wan("200", "b@isp", now);
    shell.run_until(State::Failed, 3600);
    assert_eq!((code(&shell), shell.device.attempts), (ReasonCode::SeveralWansMatch, 1));
    assert!(shell.codes().contains(&"write_rejected"), "{:?}", shell.codes());
}
