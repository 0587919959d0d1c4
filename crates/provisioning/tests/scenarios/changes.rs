//! What a wish that changes does to WANs that carry: undoing a failed attempt, suspension, another mode.

use super::*;

#[test]
fn a_wan_that_carried_traffic_is_put_back() {
    let mut shell = huawei(Quirks { deaf_leaves: vec!["NATEnabled"], ..Quirks::default() });
    let now = shell.now;
    let wan = shell.cpe.existing_wan("200", "s-10001@isp", now);
    // It carries traffic; the new intent wants another login and NAT, which the device does not take.
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").mode =
        InternetMode::Pppoe { username: "new@isp".into(), password: Secret::new(support::PPPOE_PASSWORD) };
    shell.cpe.set(&format!("{wan}NATEnabled"), "false");
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::WriteNotApplied);
    assert!(sentence(&shell).contains("the WAN is as it was before"), "{}", sentence(&shell));
    assert_eq!(shell.cpe.value(&format!("{wan}Enable")), "true");
    assert_eq!(shell.cpe.value(&format!("{wan}Username")), "s-10001@isp");
}

#[test]
fn a_wifi_that_is_refused_leaves_the_connection_proven() {
    let mut shell =
        huawei(Quirks { refused_leaves: vec!["SSID"], connect_after_s: 120, ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::WriteRejected, "{}", sentence(&shell));
    assert!(sentence(&shell).contains("not retried before something changes"), "{}", sentence(&shell));
    assert!(
        shell.device.in_force(Layer::Internet).is_some(),
        "it carries, and that was seen{}",
        shell.story()
    );
    assert!(shell.device.in_force(Layer::Access).is_none());
    assert_eq!(shell.cpe.carrying().len(), 1, "and it was left alone");
    // Another name is worth another try at once, of the Wi-Fi only.
    shell.cpe.told.clear();
    shell.cpe.quirks.refused_leaves.clear();
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.wifi[0].ssid = "Renamed".into();
    shell.wish();
    shell.run_until(State::Active, 3600);
    let told = shell.cpe.told_since();
    assert!(
        !told.is_empty()
            && told.iter().all(|told| matches!(told, Told::Set(path, _) if path.contains("WLAN"))),
        "{told:?}"
    );

    // What was wished otherwise while the connection came up is tried in the same attempt.
    let mut shell =
        huawei(Quirks { refused_leaves: vec!["SSID"], connect_after_s: 120, ..Quirks::default() });
    let until = shell.now.plus_s(3600);
    while shell.device.run.as_ref().is_none_or(|run| run.failed.is_empty()) {
        assert!(shell.now < until, "it never failed{}", shell.story());
        shell.run(1);
    }
    shell.cpe.quirks.refused_leaves.clear();
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.wifi[0].ssid = "Renamed".into();
    shell.wish();
    shell.run_until(State::Active, 3600);
    assert!(!shell.transitions.iter().any(|transition| transition.to == State::Failed), "{}", shell.story());
}

/// Writes to one leaf, in order.
fn written<'a>(shell: &'a Shell, path: &str) -> Vec<&'a str> {
    let of_path = |told: &'a Told| match told {
        Told::Set(told, value) if told == path => Some(value.as_str()),
        Told::Set(..) | Told::Add(_) => None,
    };
    shell.cpe.told.iter().filter_map(of_path).collect()
}

#[test]
fn an_undoing_that_is_refused_or_lost_is_not_called_done() {
    let enable = format!("{WAN}Enable");
    for refusal in [Refusal::Denied, Refusal::Lost] {
        let unwanted = vec![("Enable", "false", refusal)];
        let mut shell = huawei(Quirks { pppoe_refused: true, unwanted, ..Quirks::default() });
        shell.run_until(State::Failed, 3600);
        let said = sentence(&shell);
        assert_eq!(code(&shell), ReasonCode::PppoeRefused, "the failure keeps its own reason: {said}");
        assert_eq!(shell.cpe.value(&enable), "true");
        assert!(!said.contains("WAN disabled"), "{said}");
        let words = "could not be undone: WAN still reads true; tried again in 15 min, before anything else";
        assert!(said.contains(words), "{said}");
        let fault = shell.faults.iter().find(|fault| fault.reason_code == "not_undone").expect("on record");
        assert_eq!(fault.path.as_deref(), Some(enable.as_str()));
        assert_eq!((written(&shell, &enable), shell.device.attempts), (vec!["true", "false"], 1));
        // Nothing more before its time; then the undoing comes first, and goes well now.
        shell.run(600);
        assert_eq!(written(&shell, &enable), ["true", "false"]);
        shell.cpe.quirks.unwanted.clear();
        shell.run(600);
        assert_eq!(shell.device.state(), State::Failed, "{}", shell.story());
        assert_eq!(written(&shell, &enable), ["true", "false", "false"]);
        assert_eq!((shell.cpe.value(&enable), shell.device.attempts), ("false", 1));
        assert!(
            sentence(&shell).contains("WAN disabled; retry in 15 min (attempt 2)"),
            "{}",
            sentence(&shell)
        );
        shell.cpe.quirks.pppoe_refused = false;
        shell.run_until(State::Active, 3600);
    }
}

#[test]
fn an_undoing_is_tried_a_few_times_and_then_left_to_the_next_attempt() {
    let unwanted = vec![("Enable", "false", Refusal::Lost)];
    let mut shell = huawei(Quirks { pppoe_refused: true, unwanted, ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    shell.run(50 * 60);
    let rounds = shell.faults.iter().filter(|fault| fault.reason_code == "not_undone").count();
    assert_eq!((rounds, shell.device.attempts), (3, 1), "{}", shell.story());
    assert!(sentence(&shell).contains("could not be undone: WAN still reads true"), "{}", sentence(&shell));
    assert!(sentence(&shell).contains("retry in 15 min (attempt 2)"), "{}", sentence(&shell));
    // The next attempt starts from what the device has.
    shell.cpe.quirks = Quirks::default();
    shell.run_until(State::Active, 2 * 3600);
}

#[test]
fn a_new_name_for_the_wifi_does_not_drop_an_undoing() {
    let unwanted = vec![("Enable", "false", Refusal::Denied)];
    let mut shell = huawei(Quirks { pppoe_refused: true, unwanted, ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    assert_eq!(shell.cpe.value(&format!("{WAN}Enable")), "true");
    shell.cpe.quirks.unwanted.clear();
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.wifi[0].ssid = "Renamed".into();
    shell.wish();
    shell.run(900);
    // The WAN that failed is switched off, and the name is changed; the WAN is not tried again before its time.
    assert_eq!(shell.cpe.value(&format!("{WAN}Enable")), "false", "{}", shell.story());
    assert_eq!(shell.cpe.value(&format!("{WLAN}SSID")), "Renamed");
    assert_eq!((shell.device.state(), code(&shell)), (State::Failed, ReasonCode::PppoeRefused));
    assert!(shell.device.in_force(Layer::Access).is_some());
    shell.cpe.quirks = Quirks::default();
    shell.run_until(State::Active, 2 * 3600);
}

#[test]
fn another_wan_is_tried_as_soon_as_the_one_that_failed_is_undone_or_cannot_be() {
    for refusal in [None, Some(Refusal::Denied)] {
        let unwanted = vec![("Enable", "false", Refusal::Denied)];
        let mut shell = huawei(Quirks { unwanted, ..Quirks::default() });
        let right = shell.context.intents.clone();
        mode(
            &mut shell,
            InternetMode::Pppoe { username: "typo@isp".into(), password: Secret::new("another") },
        );
        shell.run_until(State::Failed, 3600);
        assert_eq!(code(&shell), ReasonCode::PppoeRefused);
        shell.cpe.quirks.unwanted = refusal.map(|how| ("Enable", "false", how)).into_iter().collect();
        shell.context.intents = right;
        shell.wish();
        let failures = |shell: &Shell| shell.transitions.iter().filter(|t| t.to == State::Failed).count();
        let before = failures(&shell);
        shell.run_until(State::Active, 900);
        assert_eq!(failures(&shell), before, "it goes on in one attempt{}", shell.story());
        assert_eq!(shell.cpe.value(&format!("{WAN}Username")), "s-10001@isp");
        assert_eq!(shell.cpe.carrying(), [WAN]);
    }
}

#[test]
fn a_wish_told_twice_ends_no_back_off() {
    let mut shell = huawei(Quirks { pppoe_refused: true, ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    let before = shell.device.clone();
    for _ in 0..3 {
        let step = shell.wish();
        assert_eq!((step.effects.len(), step.reasons.len()), (0, 0));
    }
    assert_eq!(shell.device, before);
    // Another one does, and the same again after that does no more.
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.wifi[0].ssid = "Renamed".into();
    shell.wish();
    assert!(shell.device.next_attempt_at < before.next_attempt_at);
    assert!(shell.wish().effects.is_empty());
}

#[test]
fn a_wan_that_is_not_put_back_is_not_called_as_before() {
    let mut shell = huawei(Quirks { deaf_leaves: vec!["NATEnabled"], ..Quirks::default() });
    let now = shell.now;
    let wan = shell.cpe.existing_wan("200", "s-10001@isp", now);
    shell.cpe.quirks.unwanted = vec![("Username", "s-10001@isp", Refusal::Lost)];
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").mode =
        InternetMode::Pppoe { username: "new@isp".into(), password: Secret::new(support::PPPOE_PASSWORD) };
    shell.cpe.set(&format!("{wan}NATEnabled"), "false");
    shell.run_until(State::Failed, 3600);
    let said = sentence(&shell);
    assert!(said.contains("could not be undone: Username still reads new@isp"), "{said}");
    shell.cpe.quirks.unwanted.clear();
    shell.run(1000);
    assert!(sentence(&shell).contains("the WAN is as it was before"), "{}", sentence(&shell));
    assert_eq!(shell.cpe.value(&format!("{wan}Username")), "s-10001@isp");
}

#[test]
fn a_failed_attempt_is_not_forgotten_when_the_intent_goes_back() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(600);
    let wanted = shell.context.intents.clone();
    mode(&mut shell, InternetMode::Pppoe { username: "new@isp".into(), password: Secret::new("other") });
    shell.wish();
    shell.run_until(State::Failed, 3600);
    shell.cpe.told_since();
    shell.context.intents = wanted;
    shell.wish();
    shell.run_until(State::Active, 3600);
    // The password cannot be put back by undoing, so it is not ACTIVE by having been so.
    let password = Told::Set(format!("{WAN}Password"), support::PPPOE_PASSWORD.into());
    assert!(shell.cpe.told_since().contains(&password), "{}", shell.story());
}

#[test]
fn a_full_device_is_named_and_nothing_is_deleted() {
    let mut shell = huawei(Quirks { full: true, ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::NoFreeInstances);
    assert_eq!(shell.cpe.containers(), 1);
}

#[test]
fn a_wifi_change_touches_only_wifi() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(600);
    shell.cpe.told_since();
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.wifi[0].ssid = "Renamed".into();
    shell.wish();
    assert_eq!(shell.device.state(), State::Ready);
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.told_since(), [Told::Set(format!("{WLAN}SSID"), "Renamed".into())]);
}

#[test]
fn a_change_soon_after_the_last_attempt_waits_for_the_cool_down() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.cpe.told_since();
    let began = shell.device.last_attempt_began_at.expect("an attempt");
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.wifi[0].ssid = "Renamed".into();
    shell.wish();
    assert_eq!((shell.device.state(), code(&shell)), (State::TimeSynced, ReasonCode::CoolDown));
    shell.run_until(State::Active, 3600);
    let ready =
        shell.transitions.iter().rev().find(|transition| transition.to == State::Ready).expect("READY");
    assert!(ready.at.since(began).as_secs() >= shell.context.policy.cool_down_s);
}

#[test]
fn suspending_switches_off_and_resuming_is_one_write() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    for (suspended, value) in [(true, "false"), (false, "true")] {
        shell.run(600);
        shell.cpe.told_since();
        shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").suspended =
            suspended;
        shell.wish();
        shell.run_until(State::Active, 3600);
        assert_eq!(shell.cpe.told_since(), [Told::Set(format!("{WAN}Enable"), value.into())]);
    }
}

fn suspend(shell: &mut Shell) {
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").suspended = true;
}

#[test]
fn suspending_covers_every_wan_of_the_service_whatever_the_mode_was() {
    for (csv, vlan) in [
        (fixtures::hg8546m(), Some(200)),
        (fixtures::generic_tr098(), None),
        (fixtures::generic_tr181(), Some(200)),
    ] {
        let mut shell = shell(csv, vlan, Quirks::default());
        shell.run_until(State::Active, 3600);
        shell.run(600);
        shell.cpe.told_since();
        // Both happen while nobody hears of it: there is no DHCP WAN to switch off, but the PPPoE one is up.
        mode(&mut shell, InternetMode::Dhcp);
        suspend(&mut shell);
        shell.wish();
        shell.run_until(State::Active, 3600);
        let wan = &shell.cpe.ppp_wans()[0];
        assert_eq!(shell.cpe.value(&format!("{wan}Enable")), "false", "{}", shell.story());
        assert_eq!(shell.cpe.value(&format!("{wan}ConnectionStatus")), "Disconnected");
        assert!(sentence(&shell).contains("Internet switched off"), "{}", sentence(&shell));
        let former = &shell.evidence[&(Layer::Internet, "Former WAN".to_owned())];
        assert_eq!((former.observed.as_str(), former.verified), ("false", true));
        let told = shell.cpe.told_since();
        assert!(!told.iter().any(|told| matches!(told, Told::Add(_))), "nothing is built for it: {told:?}");
    }
}

#[test]
fn suspending_needs_no_path_for_the_mode() {
    let mut shell = shell(fixtures::generic_tr181(), Some(200), Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(600);
    mode(&mut shell, InternetMode::Bridge);
    suspend(&mut shell);
    shell.wish();
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.value("Device.PPP.Interface.1.Enable"), "false");
}

#[test]
fn a_wan_that_does_not_go_off_is_not_a_suspended_service() {
    for refusal in [Refusal::Denied, Refusal::Lost] {
        let mut shell = huawei(Quirks::default());
        shell.run_until(State::Active, 3600);
        shell.run(600);
        let changes = shell.transitions.len();
        shell.cpe.quirks.unwanted = vec![("Enable", "false", refusal)];
        shell.cpe.told_since();
        suspend(&mut shell);
        shell.wish();
        shell.run(12 * 3600);
        assert!(shell.transitions[changes..].iter().all(|t| t.to != State::Active), "{}", shell.story());
        assert!(!sentence(&shell).contains("as it was before"), "{}", sentence(&shell));
        let on = Told::Set(format!("{WAN}Enable"), "true".into());
        assert!(!shell.cpe.told_since().contains(&on), "never switched on again by undoing");
        shell.cpe.quirks.unwanted.clear();
        shell.run_until(State::Active, 12 * 3600);
        assert_eq!(shell.cpe.carrying(), Vec::<String>::new());
    }
}

#[test]
fn a_service_suspended_while_an_attempt_is_undone_stays_off() {
    let mut shell = huawei(Quirks { no_lease: true, ..Quirks::default() });
    shell.run_until(State::Active, 3600);
    shell.run(600);
    mode(&mut shell, InternetMode::Dhcp);
    shell.cpe.quirks.unwanted = vec![("Enable", "false", Refusal::Denied)];
    shell.wish();
    shell.run_until(State::Failed, 3600);
    shell.cpe.quirks = Quirks::default();
    suspend(&mut shell);
    shell.wish();
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.carrying(), Vec::<String>::new());
}

#[test]
fn a_tree_that_cannot_be_listed_proves_nothing_and_gets_nothing() {
    let wans = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.";
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(600);
    shell.cpe.told_since();
    shell.cpe.quirks.untold = vec![wans];
    suspend(&mut shell);
    shell.wish();
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::DeviceFault, "{}", sentence(&shell));
    // Nor is anything created where nobody knows what is there.
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").suspended = false;
    mode(&mut shell, InternetMode::Dhcp);
    shell.wish();
    shell.run(3600);
    assert_eq!((shell.device.state(), shell.cpe.told_since()), (State::Failed, vec![]));
    shell.cpe.quirks.untold.clear();
    shell.run_until(State::Active, 12 * 3600);
    assert_eq!(shell.cpe.carrying(), shell.cpe.ip_wans());
}

#[test]
fn a_changed_password_is_written_and_nothing_else() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(600);
    shell.cpe.told_since();
    shell.cpe.pppoe_password = "another-password";
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").mode =
        InternetMode::Pppoe { username: "s-10001@isp".into(), password: Secret::new("another-password") };
    shell.wish();
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.told_since(), [Told::Set(format!("{WAN}Password"), "another-password".into())]);
}

#[test]
fn from_pppoe_to_dhcp_the_old_wan_is_switched_off_not_deleted() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(600);
    mode(&mut shell, InternetMode::Dhcp);
    shell.wish();
    shell.run_until(State::Active, 3 * 3600);
    assert_eq!(shell.cpe.value(&format!("{WAN}Enable")), "false", "{}", shell.story());
    assert_eq!(shell.cpe.containers(), 3);
    // … and back again, on the WAN that is still there.
    shell.run(600);
    mode(&mut shell, intents(None).internet.expect("internet").mode);
    shell.wish();
    shell.run_until(State::Active, 3 * 3600);
    assert_eq!((shell.cpe.value(&format!("{WAN}Enable")), shell.cpe.containers()), ("true", 3));
}

#[test]
fn a_mode_change_that_fails_leaves_the_customer_on_the_former_wan() {
    for (csv, vlan) in [(fixtures::hg8546m(), Some(200)), (fixtures::generic_tr098(), None)] {
        let mut shell = shell(csv, vlan, Quirks { no_lease: true, ..Quirks::default() });
        shell.run_until(State::Active, 3600);
        shell.run(600);
        shell.cpe.told_since();
        mode(&mut shell, InternetMode::Dhcp);
        shell.wish();
        shell.run_until(State::Failed, 3600);
        assert_eq!(code(&shell), ReasonCode::NoAddress, "{}", shell.story());
        let said = sentence(&shell);
        assert!(said.contains("new WAN disabled, the former one carries on; retry in"), "{said}");
        assert_eq!(shell.cpe.carrying(), [WAN]);
        let new = shell.cpe.ip_wans();
        assert_eq!(shell.cpe.value(&format!("{}Enable", new[0])), "false");
        // It lost nothing on the way either: neither its switch nor its ports.
        let told = shell.cpe.told_since();
        let touched = |told: &&Told| matches!(told, Told::Set(path, _) if path.starts_with(WAN));
        assert_eq!(told.iter().find(touched), None);
        let bound = |told: &&Told| matches!(told, Told::Set(path, _) if path.contains("LANBIND"));
        assert_eq!(told.iter().find(bound), None, "ports change hands last");
        // The address comes: now it goes through, and the former WAN goes off.
        shell.cpe.quirks.no_lease = false;
        shell.run_until(State::Active, 3 * 3600);
        assert_eq!(shell.cpe.carrying(), new);
        assert_eq!(shell.cpe.value(&format!("{WAN}Enable")), "false");
        let former = &shell.evidence[&(Layer::Internet, "Former WAN".to_owned())];
        assert_eq!((former.observed.as_str(), former.verified), ("false", true));
    }
}

#[test]
fn ports_change_hands_when_the_new_wan_carries_and_the_former_is_off() {
    let mut shell = huawei(Quirks { connect_after_s: 40, ..Quirks::default() });
    let internet = |shell: &mut Shell, change: fn(&mut provisioning::InternetIntent)| {
        change(shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet"));
    };
    internet(&mut shell, |wan| wan.policy_routes = true);
    shell.run_until(State::Active, 3600);
    shell.run(600);
    shell.cpe.told_since();
    internet(&mut shell, |wan| wan.mode = InternetMode::Dhcp);
    shell.wish();
    shell.run_until(State::Active, 3600);
    let (old, new) = (format!("{WAN}Enable"), format!("{}Enable", shell.cpe.ip_wans()[0]));
    let told: Vec<(String, String)> = shell
        .cpe
        .told_since()
        .into_iter()
        .filter_map(|told| if let Told::Set(path, value) = told { Some((path, value)) } else { None })
        .collect();
    let at = |wanted: &dyn Fn(&(String, String)) -> bool| told.iter().position(wanted).expect("told");
    let on = at(&|(path, value)| *path == new && value == "true");
    let off = at(&|(path, value)| *path == old && value == "false");
    let cleared = at(&|(path, value)| path.ends_with("PhyPortName") && value.is_empty());
    let bound = at(&|(path, value)| path.contains("LANBIND.Lan1Enable") && value == "1");
    let routed = at(&|(path, value)| path.ends_with("PhyPortName") && value.starts_with("LAN1"));
    assert!(on < off && off < cleared && cleared < bound && bound < routed, "{told:?}");
}

#[test]
fn what_fails_after_the_former_wan_went_off_brings_it_back() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(600);
    // The new WAN comes up, and then the device refuses to bind a port to it.
    shell.cpe.quirks.refused_leaves = vec!["Lan1Enable"];
    mode(&mut shell, InternetMode::Dhcp);
    shell.wish();
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::WriteRejected, "{}", shell.story());
    assert_eq!(shell.cpe.carrying(), [WAN], "{}", shell.story());
    let said = sentence(&shell);
    assert!(said.contains("the WAN is as it was before, what was new is disabled"), "{said}");
}

#[test]
fn a_wan_that_was_taken_over_goes_off_with_its_mode() {
    let mut shell = huawei(Quirks::default());
    let now = shell.now;
    let wan = shell.cpe.existing_wan("200", "s-10001@isp", now);
    shell.run_until(State::Active, 3600);
    shell.run(600);
    mode(&mut shell, InternetMode::Dhcp);
    shell.wish();
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.value(&format!("{wan}Enable")), "false");
    assert_eq!(shell.cpe.carrying(), shell.cpe.ip_wans());
}

#[test]
fn a_change_of_mode_within_one_connection_is_put_back_when_it_fails() {
    let mut shell = huawei(Quirks::default());
    mode(&mut shell, InternetMode::Dhcp);
    shell.run_until(State::Active, 3600);
    shell.run(600);
    shell.cpe.quirks.refused_leaves = vec!["DNSServers"];
    let address = InternetMode::Static {
        address: "203.0.113.7".into(),
        mask: "255.255.255.0".into(),
        gateway: "203.0.113.1".into(),
        dns: vec!["203.0.113.53".into()],
    };
    mode(&mut shell, address);
    shell.wish();
    shell.run_until(State::Failed, 3600);
    assert!(sentence(&shell).contains("the WAN is as it was before"), "{}", sentence(&shell));
    assert_eq!(shell.cpe.value(&format!("{IP_WAN}AddressingType")), "DHCP");
    assert_eq!(shell.cpe.carrying(), [IP_WAN]);
}

#[test]
fn a_stack_that_was_taken_apart_is_put_together_again_when_its_new_mode_fails() {
    let mut shell =
        shell(fixtures::generic_tr181(), Some(200), Quirks { no_lease: true, ..Quirks::default() });
    shell.run_until(State::Active, 3600);
    shell.run(600);
    mode(&mut shell, InternetMode::Dhcp);
    shell.wish();
    shell.run_until(State::Failed, 3600);
    for (path, want) in [
        ("Device.IP.Interface.3.LowerLayers", "Device.PPP.Interface.1"),
        ("Device.IP.Interface.3.Enable", "true"),
        ("Device.PPP.Interface.1.Enable", "true"),
        ("Device.PPP.Interface.1.ConnectionStatus", "Connected"),
        ("Device.DHCPv4.Client.2.Enable", "false"),
    ] {
        assert_eq!(shell.cpe.value(path), want, "{path}: {}", shell.story());
    }
    assert!(sentence(&shell).contains("the WAN is as it was before"), "{}", sentence(&shell));
    // With a lease it goes through, and what is left of the old stack goes off.
    shell.cpe.quirks.no_lease = false;
    shell.run_until(State::Active, 3 * 3600);
    assert_eq!(shell.cpe.value("Device.IP.Interface.3.LowerLayers"), "Device.Ethernet.VLANTermination.2");
    assert_eq!(shell.cpe.value("Device.PPP.Interface.1.Enable"), "false");
    // And back.
    shell.run(600);
    mode(&mut shell, intents(None).internet.expect("internet").mode);
    shell.wish();
    shell.run_until(State::Active, 3 * 3600);
    assert_eq!(shell.cpe.value("Device.PPP.Interface.1.Enable"), "true");
    assert_eq!(shell.cpe.value("Device.DHCPv4.Client.2.Enable"), "false");
}
