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
fn an_operator_says_which_wan_it_is() {
    let mut shell = huawei(Quirks::default());
    let now = shell.now;
    let first = shell.cpe.existing_wan("200", "a@isp", now);
    let second = shell.cpe.existing_wan("200", "b@isp", now);
    shell.run_until(State::Failed, 3600);
    let asked = shell.device.wan_question.clone().expect("a question");
    let paths: Vec<&str> = asked.candidates.iter().map(|wan| wan.path.as_str()).collect();
    assert_eq!(paths, [first.as_str(), second.as_str()], "and never the management WAN");
    assert_eq!((asked.candidates[0].vlan, asked.candidates[0].enabled), (Some(200), true));
    shell.run(600);
    shell.cpe.told_since();
    // What was not asked about is not taken, least of all the management WAN.
    let choose = |path: &str| Event::WanChosen { path: path.into(), by: "ana".into() };
    let parked = shell.device.next_attempt_at;
    shell.feed(choose(MANAGEMENT));
    assert!(shell.codes().contains(&"wan_choice_gone"));
    assert_eq!((&shell.device.chosen_wan, shell.device.next_attempt_at), (&None, parked));
    // Chosen: the next session plans with it, and the other one is left alone.
    shell.feed(choose(&second));
    assert_eq!(shell.device.chosen_wan.as_ref().map(|chosen| chosen.by.as_str()), Some("ana"));
    shell.run_until(State::Active, 900);
    assert_eq!((&shell.device.chosen_wan, &shell.device.wan_question), (&None, &None));
    assert_eq!(shell.cpe.value(&format!("{second}Username")), "s-10001@isp");
    let told = shell.cpe.told_since();
    let of_first = |told: &Told| matches!(told, Told::Set(path, _) if path.starts_with(&first));
    assert!(!told.iter().any(|told| of_first(told) || matches!(told, Told::Add(_))), "{told:?}");
    // It is the one from now on.
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").nat = false;
    shell.now = shell.now.plus_s(600);
    shell.wish();
    shell.run_until(State::Active, 900);
    assert_eq!(shell.cpe.told_since(), [Told::Set(format!("{second}NATEnabled"), "false".into())]);
}

#[test]
fn a_choice_that_is_gone_by_then_is_said() {
    for left in 1..=2 {
        let mut shell = huawei(Quirks::default());
        let now = shell.now;
        let wans: Vec<String> = ["a@isp", "b@isp", "c@isp"]
            .iter()
            .map(|login| shell.cpe.existing_wan("200", login, now))
            .collect();
        shell.run_until(State::Failed, 3600);
        shell.run(600);
        shell.feed(Event::WanChosen { path: wans[0].clone(), by: "ana".into() });
        // Somebody made the chosen one something else, and where one is left, another one as well.
        for wan in &wans[..3 - left] {
            shell.cpe.set(&format!("{wan}X_HW_VLAN"), "300");
        }
        shell.run(900);
        if left == 1 {
            assert_eq!(shell.device.state(), State::Active, "{}", shell.story());
            assert!(shell.codes().contains(&"wan_choice_gone"));
            assert_eq!(shell.cpe.value(&format!("{}Username", wans[2])), "s-10001@isp");
        } else {
            assert_eq!(code(&shell), ReasonCode::SeveralWansMatch, "{}", shell.story());
            let said = sentence(&shell);
            assert!(
                said.contains(&format!("the one that ana chose ({}) is none of them", wans[0])),
                "{said}"
            );
        }
    }
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
