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

fn vlan(shell: &mut Shell, vlan: Option<u16>) {
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").vlan = vlan;
}

#[test]
fn what_was_half_changed_is_undone_before_the_gate_of_the_family_closes() {
    // Held while the connection comes up, and wished otherwise meanwhile.
    let mut shell =
        shell(fixtures::generic_tr098(), None, Quirks { connect_after_s: 120, ..Quirks::default() });
    let until = shell.now.plus_s(3600);
    while shell.device.run.as_ref().is_none_or(|run| run.last_write_at.is_none()) {
        assert!(shell.now < until, "{}", shell.story());
        shell.run(1);
    }
    shell.feed(Event::HoldSet { by: "ana".into() });
    vlan(&mut shell, Some(200));
    shell.wish();
    assert_eq!((shell.device.state(), shell.cpe.value(&format!("{WAN}Enable"))), (State::TimeSynced, "true"));
    shell.feed(Event::HoldCleared { by: "ana".into() });
    shell.run(1800);
    assert_eq!(shell.cpe.value(&format!("{WAN}Enable")), "false", "{}", shell.story());
    assert_eq!((shell.device.state(), code(&shell)), (State::TimeSynced, ReasonCode::ProfileLacksPath));
    vlan(&mut shell, None);
    shell.wish();
    shell.run_until(State::Active, 3600);
}

#[test]
fn a_retry_without_a_path_still_undoes() {
    let unwanted = vec![("Enable", "false", Refusal::Denied)];
    let quirks = Quirks { pppoe_refused: true, unwanted, ..Quirks::default() };
    let mut shell = shell(fixtures::generic_tr098(), None, quirks);
    shell.run_until(State::Failed, 3600);
    assert!(shell.device.run.as_ref().is_some_and(|run| run.rollback.is_some()), "{}", shell.story());
    shell.cpe.quirks.unwanted.clear();
    vlan(&mut shell, Some(200));
    shell.feed(Event::RetryRequested { by: "ana".into() });
    shell.run(1800);
    assert_eq!(shell.cpe.value(&format!("{WAN}Enable")), "false", "{}", shell.story());
}

#[test]
fn a_vlan_is_among_what_a_family_cannot_be_told() {
    let mut wanted = support::internet(Some(200));
    let profiles = profiles::cpe::ProfileSet::builtin();
    let gaps = |id: &str, wanted: &provisioning::InternetIntent| {
        let profile = profiles.get(id).expect("a family");
        provisioning::internet_gaps(profile, wanted).into_iter().map(|(field, _)| field).collect::<Vec<_>>()
    };
    assert_eq!(gaps("std_tr098", &wanted), ["vlan"]);
    assert_eq!(gaps("std_tr181", &wanted), [""; 0]);
    wanted.vlan = None;
    assert_eq!(gaps("std_tr098", &wanted), [""; 0]);
}

/// ACTIVE by PPPoE beside two WANs by DHCP that are nobody's, and then asked which of them is to carry the service.
fn asked_about_dhcp() -> (Shell, [String; 2]) {
    let mut shell = huawei(Quirks::default());
    let now = shell.now;
    let wans = ["3_INTERNET", "4_INTERNET"].map(|name| shell.cpe.existing_ip_wan("200", name, now));
    shell.run_until(State::Active, 3600);
    shell.run(600);
    mode(&mut shell, InternetMode::Dhcp);
    shell.wish();
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::SeveralWansMatch, "{}", shell.story());
    let asked = shell.device.wan_question.as_ref().expect("a question");
    assert!(wans.iter().all(|path| asked.candidates.iter().any(|wan| wan.path == *path)), "{asked:?}");
    (shell, wans)
}

#[test]
fn a_question_ends_with_the_wish_that_it_is_about() {
    let (mut shell, [_, second]) = asked_about_dhcp();
    let pppoe = support::internet(Some(200)).mode;
    shell.run(600);
    shell.feed(Event::WanChosen { path: second.clone(), by: "ana".into() });
    assert!(shell.device.chosen_wan.is_some());
    mode(&mut shell, pppoe);
    shell.wish();
    assert_eq!(
        (&shell.device.wan_question, &shell.device.chosen_wan),
        (&None, &None),
        "as soon as it is told"
    );
    shell.run_until(State::Active, 3600);
    shell.cpe.told_since();
    // The same wish much later is a question of its own.
    shell.run(24 * 3600);
    mode(&mut shell, InternetMode::Dhcp);
    shell.wish();
    shell.run_until(State::Failed, 3600);
    assert_eq!((code(&shell), shell.cpe.told_since()), (ReasonCode::SeveralWansMatch, vec![]));
}

#[test]
fn an_answer_is_to_the_wan_as_it_was_and_not_to_its_path() {
    let (mut shell, [_, second]) = asked_about_dhcp();
    shell.run(600);
    shell.cpe.told_since();
    shell.feed(Event::WanChosen { path: second.clone(), by: "ana".into() });
    let chosen = shell.device.chosen_wan.as_ref().expect("chosen");
    assert_eq!((chosen.name.as_str(), chosen.vlan), ("4_INTERNET", Some(200)));
    // Somebody made it another one before the device came.
    shell.cpe.set(&format!("{second}Name"), "VOICE");
    shell.run(900);
    assert_eq!((code(&shell), shell.cpe.told_since()), (ReasonCode::SeveralWansMatch, vec![]));
    let said = sentence(&shell);
    assert!(said.contains(&format!("the one that ana chose ({second}) is none of them as it was")), "{said}");
    // Asked again, and answered about what it is now.
    shell.feed(Event::WanChosen { path: second.clone(), by: "ana".into() });
    shell.run_until(State::Active, 3600);
    assert!(shell.cpe.carrying().contains(&second), "{}", shell.story());
}
