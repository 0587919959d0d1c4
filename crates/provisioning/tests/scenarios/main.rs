//! Whole stories, from first Inform to the end, on the four synthetic boxes. Every step of every story also passes
//! the invariants (`support/invariants.rs`).

mod changes;
mod checks;
mod diagnoses;
mod diagnoses_more;
mod diagnoses_read;
mod gates;
mod intervals;
mod layers;
mod meanwhile;
mod orders;
mod refusals;
mod repair;
#[path = "../support/mod.rs"]
mod support;

use profiles::fixtures;
use provisioning::{
    AccessIntent, Band, ConnectionRequestOutcome, Event, InternetMode, LanIntent, LanPort, Layer, Link,
    Proof, ReasonCode, State,
};
use support::{Cpe, Ending, Quirks, Refusal, Shell, Told, intents, wifi};
use types::{Secret, ServiceId};

const MANAGEMENT: &str = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.";
const WAN: &str = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.";
const IP_WAN: &str = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANIPConnection.1.";
const WLAN: &str = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.";

fn shell(csv: &str, vlan: Option<u16>, quirks: Quirks) -> Shell {
    let mut shell = Shell::new(Cpe::new(csv, quirks), Some(intents(vlan)));
    if csv != fixtures::generic_tr181() {
        shell.invariants.management_wan = Some(MANAGEMENT.into());
    }
    shell
}

fn huawei(quirks: Quirks) -> Shell {
    shell(fixtures::hg8546m(), Some(200), Quirks { phantom_writes: true, ..quirks })
}

fn code(shell: &Shell) -> ReasonCode {
    shell.device.reason.as_ref().expect("a device always has a reason").code
}

fn sentence(shell: &Shell) -> String {
    shell.device.reason.as_ref().expect("a device always has a reason").sentence()
}

fn mode(shell: &mut Shell, mode: InternetMode) {
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").mode = mode;
}

#[test]
fn a_factory_fresh_hg8546m_becomes_active() {
    let mut shell = huawei(Quirks { no_clock: true, ..Quirks::default() });
    shell.run_until(State::Active, 3 * 3600);
    assert_eq!(shell.cpe.ppp_wans(), [WAN], "{}", shell.story());
    for (leaf, want) in [
        ("X_HW_VLAN", "200"),
        ("X_HW_SERVICELIST", "INTERNET"),
        ("Username", "s-10001@isp"),
        ("Name", "LK-Internet"),
        ("X_HW_LANBIND.Lan1Enable", "1"),
        ("X_HW_LANBIND.SSID4Enable", "1"),
        ("NATEnabled", "true"),
        ("ConnectionTrigger", "AlwaysOn"),
        ("Enable", "true"),
    ] {
        assert_eq!(shell.cpe.value(&format!("{WAN}{leaf}")), want, "{leaf}");
    }
    assert_eq!(shell.cpe.value(&format!("{WLAN}SSID")), "Lighthouse");
    assert_eq!(shell.cpe.value(&format!("{WLAN}BeaconType")), "11i");
    assert_eq!(shell.cpe.value("InternetGatewayDevice.Time.X_HW_WanName"), "wan1.1.ip1");
    let evidence = |layer, setting: &str| &shell.evidence[&(layer, setting.to_owned())];
    assert_eq!(evidence(Layer::Internet, "External address").observed, "100.64.7.9");
    let password = evidence(Layer::Internet, "PPPoE password");
    assert_eq!((password.wanted.as_str(), password.proof), ("••••••••", Proof::Effect));
    assert_eq!(evidence(Layer::Access, "Wi-Fi 2.4GHz name").observed, "Lighthouse");
    assert!(shell.device.ownership.proven_at.is_some());
}

#[test]
fn the_signature_comes_before_the_credentials_and_switching_on_comes_last() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    let told: Vec<String> = shell
        .cpe
        .told
        .iter()
        .filter_map(|told| match told {
            Told::Set(path, _) => path.strip_prefix(WAN).map(str::to_owned),
            Told::Add(_) => None,
        })
        .collect();
    let at = |leaf: &str| {
        told.iter().position(|told| told == leaf).unwrap_or_else(|| panic!("{leaf} in {told:?}"))
    };
    assert!(at("X_HW_VLAN") < at("Username") && at("Password") < at("NATEnabled"));
    assert_eq!(at("Enable"), told.len() - 1, "{told:?}");
}

#[test]
fn dual_band_boxes_get_both_networks() {
    let mut shell = shell(fixtures::eg8145v5(), Some(200), Quirks::default());
    let access = AccessIntent { wifi: vec![wifi(Band::Ghz2_4, "Two"), wifi(Band::Ghz5, "Five")], lan: None };
    shell.context.intents.as_mut().expect("intents").access = Some(access);
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.value("InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID"), "Two");
    assert_eq!(shell.cpe.value("InternetGatewayDevice.LANDevice.1.WLANConfiguration.5.SSID"), "Five");
}

#[test]
fn a_missing_radio_is_said_and_does_not_stop_the_rest() {
    let mut shell = huawei(Quirks::default());
    let access = AccessIntent { wifi: vec![wifi(Band::Ghz2_4, "Two"), wifi(Band::Ghz5, "Five")], lan: None };
    shell.context.intents.as_mut().expect("intents").access = Some(access);
    shell.run_until(State::Active, 3600);
    let missing = &shell.evidence[&(Layer::Access, "Wi-Fi 5GHz".to_owned())];
    assert!(!missing.verified);
    assert_eq!(missing.observed, "this device does not have it");
}

#[test]
fn a_plain_tr098_box_becomes_active_without_a_vlan() {
    let mut shell = shell(fixtures::generic_tr098(), None, Quirks::default());
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.ppp_wans(), [WAN]);
}

#[test]
fn a_plain_tr098_box_cannot_have_a_vlan_and_says_so() {
    let mut shell = shell(fixtures::generic_tr098(), Some(200), Quirks::default());
    shell.run(3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::TimeSynced, ReasonCode::ProfileLacksPath));
    assert!(sentence(&shell).contains("has no path for a VLAN on the WAN"));
    assert!(shell.cpe.told_since().iter().all(layers::of_wifi), "no WAN is touched");
}

#[test]
fn a_plain_tr181_box_gets_its_stack_from_the_bottom() {
    let mut shell = shell(fixtures::generic_tr181(), Some(200), Quirks::default());
    shell.run_until(State::Active, 3600);
    let adds: Vec<&str> = shell
        .cpe
        .told
        .iter()
        .filter_map(|told| if let Told::Add(table) = told { Some(table.as_str()) } else { None })
        .collect();
    assert_eq!(
        adds,
        [
            "Device.Ethernet.VLANTermination.",
            "Device.PPP.Interface.",
            "Device.IP.Interface.",
            "Device.NAT.InterfaceSetting."
        ]
    );
    for (path, want) in [
        ("Device.Ethernet.VLANTermination.2.LowerLayers", "Device.Ethernet.Link.2"),
        ("Device.Ethernet.VLANTermination.2.VLANID", "200"),
        ("Device.PPP.Interface.1.LowerLayers", "Device.Ethernet.VLANTermination.2"),
        ("Device.IP.Interface.3.LowerLayers", "Device.PPP.Interface.1"),
        ("Device.NAT.InterfaceSetting.1.Interface", "Device.IP.Interface.3"),
        ("Device.PPP.Interface.1.Enable", "true"),
        // The join goes by reference: SSID 1 is on the 2.4 GHz radio, which is radio 2.
        ("Device.WiFi.SSID.1.SSID", "Lighthouse"),
        ("Device.WiFi.AccessPoint.2.Security.ModeEnabled", "WPA2-Personal"),
        ("Device.Time.NTPServer1", ""),
    ] {
        assert_eq!(shell.cpe.value(path), want, "{path}");
    }
}

#[test]
fn a_mark_of_a_family_we_do_not_know_keeps_the_device_read_only() {
    let mut shell = shell(fixtures::generic_tr098(), None, Quirks::default());
    shell.cpe.plant(&format!("{MANAGEMENT}X_CU_VLANID"), "unsignedInt", "100");
    shell.run(3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::TimeSynced, ReasonCode::ProfileReadOnly));
    let mark = "it bears the mark of a China Unicom device";
    assert!(sentence(&shell).contains(mark), "{}", sentence(&shell));
    assert_eq!(shell.cpe.told_since(), []);
}

#[test]
fn a_device_that_nobody_vouches_for_gets_no_secret() {
    let mut shell = huawei(Quirks::default());
    shell.link = Link::One { service_id: ServiceId(1), olt_confirms: false, claimed_by: None, doubt: None };
    shell.run(3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::Informed, ReasonCode::IdentityUnconfirmed));
    assert_eq!(shell.cpe.told, []);
    shell.link = Link::One {
        service_id: ServiceId(1),
        olt_confirms: false,
        claimed_by: Some("ana".into()),
        doubt: None,
    };
    shell.run_until(State::Active, 24 * 3600);
}

#[test]
fn an_impostor_with_the_serial_of_an_owned_device_gets_nothing() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    let mut impostor = Cpe::new(fixtures::hg8546m(), Quirks::default());
    impostor.bootstrap_due = false;
    std::mem::swap(&mut shell.cpe, &mut impostor);
    shell.context.intents.as_mut().expect("intents").access = None;
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet").vlan = Some(300);
    shell.run(24 * 3600);
    assert_eq!(shell.cpe.told, [], "{}", shell.story());
    assert!(shell.codes().contains(&"identity_unproven"));
}

#[test]
fn a_forged_bootstrap_changes_nothing_about_the_device() {
    for link in [
        Link::One { service_id: ServiceId(1), olt_confirms: false, claimed_by: None, doubt: None },
        Link::Conflict { why: "the real one is online elsewhere".into() },
    ] {
        let mut shell = huawei(Quirks::default());
        shell.run_until(State::Active, 3600);
        let mut before = shell.device.clone();
        // All that is kept is that somebody said so; it counts only once the OLT confirms.
        before.ownership.reset_claimed = true;
        let own_link = std::mem::replace(&mut shell.link, link);
        let mut impostor = Cpe::new(fixtures::hg8546m(), Quirks { no_clock: true, ..Quirks::default() });
        std::mem::swap(&mut shell.cpe, &mut impostor);
        shell.session(&[], Ending::Clean);
        assert_eq!((shell.device.clone(), shell.cpe.told.len()), (before, 0));
        shell.link = own_link;
        std::mem::swap(&mut shell.cpe, &mut impostor);
        shell.run(3600);
        assert_eq!(shell.device.state(), State::Active);
    }
}

#[test]
fn devices_of_no_service_are_told_nothing() {
    for (link, want) in [
        (Link::None { why: "no serial".into() }, ReasonCode::NotLinked),
        (Link::Several { count: 2, why: "S-1, S-2".into() }, ReasonCode::SeveralServices),
        (Link::Conflict { why: "CPE 7".into() }, ReasonCode::IdentityConflict),
    ] {
        let mut shell = huawei(Quirks::default());
        shell.link = link;
        shell.run(7200);
        assert_eq!((shell.device.state(), code(&shell)), (State::Informed, want));
        assert_eq!((shell.cpe.told.len(), shell.requests), (0, 0));
        assert!(shell.device.quarantined());
    }
}

#[test]
fn a_clock_that_never_comes_right_keeps_everything_else_away() {
    let mut shell = huawei(Quirks { no_clock: true, ntp_unreachable: true, ..Quirks::default() });
    shell.run(4 * 3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::Owned, ReasonCode::ClockUnreachable));
    assert_eq!(
        shell.device.reason.as_ref().expect("a reason").text,
        "Provision blocked: clock still 1981 after NTP was set 3 times: can 10.20.0.2 reach 10.20.0.1:123?"
    );
    assert_eq!(shell.cpe.told_since(), []);
    shell.feed(Event::ClockGateOverridden { by: "ana".into() });
    shell.run_until(State::Active, 3600);
    assert!(shell.codes().contains(&"clock_overridden"));

    // Withdrawn, what is in force stays, and nothing new goes to the device.
    shell.feed(Event::ClockGateRestored { by: "tariq".into() });
    assert_eq!(shell.device.clock.overridden_by, None);
    assert!(shell.codes().contains(&"clock_override_withdrawn"));
    shell.run(2 * 3600);
    assert_eq!(shell.device.state(), State::Active);
    shell.cpe.told_since();
    let mut intents = shell.context.intents.clone().expect("a service");
    intents.internet.as_mut().expect("Internet").vlan = Some(201);
    shell.context.intents = Some(intents);
    shell.wish();
    shell.run(4 * 3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::Owned, ReasonCode::ClockUnreachable));
    assert_eq!(shell.cpe.told_since(), [], "something was written with a wrong clock");
    // Once is enough: a second withdrawal says nothing.
    let step = shell.feed(Event::ClockGateRestored { by: "tariq".into() });
    assert!(step.reasons.is_empty(), "{:?}", step.reasons);
}

#[test]
fn nothing_is_asked_in_a_session_that_takes_too_long() {
    for (age_s, asks) in [(539, true), (540, false)] {
        let mut shell = huawei(Quirks::default());
        let inform = shell.cpe.inform(shell.now, &["2 PERIODIC"]);
        let peer =
            provisioning::Peer { address: "10.20.0.2".parse().expect("an address"), auth: shell.cpe.auth() };
        shell.feed(Event::InformReceived { inform, peer });
        shell.feed(Event::LinkResolved(shell.link.clone()));
        shell.now = shell.now.plus_s(age_s);
        let step = shell.feed(Event::SessionReady);
        let asked = step.effects.iter().any(|effect| matches!(effect, provisioning::Effect::Request(_)));
        assert_eq!(asked, asks, "{age_s} s: {:?}", step.effects);
        let said = step.reasons.iter().any(|reason| reason.text == "This session already took 9 min");
        assert_eq!(said, !asks, "{age_s} s: {:?}", step.reasons);
    }
}

#[test]
fn a_model_may_pass_without_a_clock_until_that_is_withdrawn() {
    let mut shell = huawei(Quirks { no_clock: true, ntp_unreachable: true, ..Quirks::default() });
    shell.context.policy.clock_waived_by = Some("ana".into());
    shell.run_until(State::Active, 3600);
    let told = shell.reasons.iter().chain(shell.transitions.iter().map(|t| &t.reason));
    let told: Vec<&str> =
        told.filter(|r| r.code == ReasonCode::ClockOverridden).map(|r| r.text.as_str()).collect();
    assert_eq!(told, ["ana lets every HG8546M pass without a right clock"]);
    // Withdrawn: what is in force stays, and the next attempt waits for the clock again.
    shell.context.policy.clock_waived_by = None;
    shell.cpe.told_since();
    let mut intents = shell.context.intents.clone().expect("a service");
    intents.internet.as_mut().expect("Internet").vlan = Some(201);
    shell.context.intents = Some(intents);
    shell.wish();
    shell.run(4 * 3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::Owned, ReasonCode::ClockUnreachable));
    assert_eq!(shell.cpe.told_since(), [], "nothing but the time server was written");
}

#[test]
fn a_call_that_is_too_big_is_cut_down() {
    for limit in [1, 2, 3] {
        let mut shell = huawei(Quirks { max_params: Some(limit), ..Quirks::default() });
        // Ownership is written in pairs; a device that takes one at a time needs the machine to split those too.
        if limit == 1 {
            shell.cpe.quirks.max_params = Some(2);
        }
        shell.run_until(State::Active, 3600);
        assert_eq!(shell.cpe.value(&format!("{WAN}X_HW_VLAN")), "200");
    }
}

#[test]
fn an_optional_leaf_that_is_refused_is_left_out_and_remembered() {
    let mut shell = huawei(Quirks { refused_leaves: vec!["ConnectionTrigger"], ..Quirks::default() });
    shell.run_until(State::Active, 3600);
    let learned: Vec<_> = shell.device.learned.iter().collect();
    assert_eq!(learned.len(), 1, "{learned:?}");
    assert_eq!(learned[0].1, "bad_value");
}

#[test]
fn a_required_leaf_that_is_refused_is_named_and_not_tried_blindly() {
    let mut shell = huawei(Quirks { refused_leaves: vec!["X_HW_VLAN"], ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::WriteRejected);
    assert!(
        sentence(&shell).contains("VLAN was rejected with 9007 (value not allowed"),
        "{}",
        sentence(&shell)
    );
    assert!(sentence(&shell).contains("not retried before something changes"));
    let adds = |shell: &Shell| shell.cpe.told.iter().filter(|told| matches!(told, Told::Add(_))).count();
    let before = adds(&shell);
    shell.run(6 * 3600);
    assert_eq!((shell.device.state(), adds(&shell)), (State::Failed, before));
    // Told again it is no other intent, whatever its number.
    shell.cpe.quirks.refused_leaves.clear();
    shell.context.intents.as_mut().expect("intents").version += 1;
    let waits_until = shell.device.next_attempt_at;
    shell.wish();
    assert_eq!(shell.device.next_attempt_at, waits_until);
    // The intent changes: another chance at once, on the WAN that is there.
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.wifi[0].ssid = "Renamed".into();
    shell.wish();
    shell.run_until(State::Active, 3600);
    assert_eq!((shell.cpe.ppp_wans().len(), adds(&shell)), (1, before));
}

#[test]
fn another_firmware_is_another_chance() {
    let mut shell = huawei(Quirks { refused_leaves: vec!["X_HW_VLAN"], ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    shell.cpe.quirks.refused_leaves.clear();
    shell.cpe.set("InternetGatewayDevice.DeviceInfo.SoftwareVersion", "V5R020C10S100");
    shell.run_until(State::Active, 2 * 3600);
    assert_eq!(shell.device.profile.as_ref().map(|p| p.software_version.as_str()), Some("V5R020C10S100"));
}

#[test]
fn a_write_that_changes_nothing_is_found_out() {
    let mut shell = huawei(Quirks { deaf_leaves: vec!["X_HW_VLAN"], ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::WriteNotApplied);
    assert!(
        sentence(&shell)
            .starts_with("Provision failed: the device accepted VLAN = 200 and still reads 0; WAN disabled"),
        "{}",
        sentence(&shell)
    );
    assert_eq!(shell.cpe.value(&format!("{WAN}Enable")), "false");
}

#[test]
fn an_optional_leaf_that_is_not_kept_is_left_out() {
    let mut shell = huawei(Quirks { deaf_leaves: vec!["Name"], ..Quirks::default() });
    shell.run_until(State::Active, 3600);
    assert!(shell.device.learned.values().any(|fact| fact == "not_kept"));
    shell.cpe.told_since();
    shell.run(24 * 3600);
    assert_eq!((shell.device.state(), shell.cpe.told_since().len()), (State::Active, 0));
}

#[test]
fn a_refused_login_fails_softly_and_works_once_the_bras_knows_it() {
    let mut shell = huawei(Quirks { pppoe_refused: true, ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::PppoeRefused);
    let said = sentence(&shell);
    assert!(said.contains("PPPoE login s-10001@isp refused (ERROR_AUTHENTICATION_FAILURE)"), "{said}");
    assert!(said.contains("WAN disabled; retry in 15 min (attempt 2)"), "{said}");
    assert_eq!(shell.cpe.value(&format!("{WAN}Enable")), "false", "rolled back");
    // Wi-Fi does not wait for the internet.
    assert_eq!(shell.cpe.value(&format!("{WLAN}SSID")), "Lighthouse");
    shell.cpe.quirks.pppoe_refused = false;
    shell.cpe.told_since();
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.ppp_wans(), [WAN]);
    let told = shell.cpe.told_since();
    assert!(!told.iter().any(|told| matches!(told, Told::Add(_))), "{told:?}");
    assert!(
        told.contains(&Told::Set(format!("{WAN}Password"), support::PPPOE_PASSWORD.into())),
        "written again"
    );
}

#[test]
fn failures_wait_longer_each_time() {
    let mut shell = huawei(Quirks { pppoe_refused: true, ..Quirks::default() });
    shell.run(8 * 3600);
    let waits: Vec<u64> = shell
        .transitions
        .windows(2)
        .filter(|pair| pair[0].to == State::Failed)
        .map(|pair| pair[1].at.since(pair[0].at).as_secs())
        .collect();
    assert!(waits.len() >= 3, "{waits:?}");
    for (wait, least) in waits.iter().zip([900, 1800, 3600]) {
        assert!(*wait >= least, "{waits:?}");
    }
}

#[test]
fn connected_without_an_address_is_not_active() {
    let mut shell = huawei(Quirks { no_address: true, ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::NoAddress);
    assert!(sentence(&shell).contains("PPPoE connected but no address after"), "{}", sentence(&shell));
}

#[test]
fn a_slow_connection_is_given_its_time() {
    let mut shell = huawei(Quirks { connect_after_s: 100, ..Quirks::default() });
    shell.run_until(State::Active, 3600);
    assert!(!shell.transitions.iter().any(|transition| transition.to == State::Failed));
}

#[test]
fn looks_are_counted_and_never_of_fewer_than_there_are() {
    // Three must fail, but within the window there is time for more.
    let mut shell = huawei(Quirks { connect_after_s: 170, ..Quirks::default() });
    shell.run_until(State::Active, 3600);
    let said: Vec<String> = shell
        .reasons
        .iter()
        .filter(|reason| reason.code == ReasonCode::Verifying)
        .map(provisioning::Reason::sentence)
        .collect();
    let checks: Vec<u32> = shell
        .reasons
        .iter()
        .filter(|reason| reason.code == ReasonCode::Verifying)
        .map(|reason| reason.facts["check"].parse().expect("a number"))
        .collect();
    let wanted = shell.context.policy.verify_checks;
    assert!(checks.iter().any(|check| *check > wanted), "{said:#?}");
    assert!(checks.windows(2).all(|pair| pair[0] <= pair[1]), "{said:#?}");
    for (sentence, check) in said.iter().zip(&checks) {
        let words = match check {
            0 => "not looked at yet; next look after".to_owned(),
            _ => format!("at check {check}; next look after"),
        };
        assert!(sentence.contains(&words), "{sentence}");
        assert_eq!(
            sentence.contains(&format!("given up after {wanted} checks, not before")),
            *check < wanted
        );
        assert!(sentence.contains("not before 2026-11-21T10:"), "{sentence}");
    }
}

#[test]
fn without_connection_requests_it_goes_on_at_every_inform() {
    for (quirks, want) in [
        (Quirks { unreachable: true, ..Quirks::default() }, ReasonCode::ConnectionRequestUnreachable),
        (Quirks { unauthorized: true, ..Quirks::default() }, ReasonCode::ConnectionRequestUnauthorized),
    ] {
        let mut shell = huawei(quirks);
        shell.run_until(State::WaitingInform, 3600);
        assert_eq!(code(&shell), want);
        assert!(
            sentence(&shell).contains("waiting for the next periodic Inform, expected by 2026-11-21T10:"),
            "{}",
            sentence(&shell)
        );
        shell.run_until(State::Active, 3 * 3600);
        assert_eq!(shell.cpe.ppp_wans().len(), 1);
    }
}

#[test]
fn after_a_401_the_credentials_are_repaired_once_a_day() {
    let mut shell = huawei(Quirks { unauthorized: true, pppoe_refused: true, ..Quirks::default() });
    shell.run(20 * 3600);
    let leaf = "InternetGatewayDevice.ManagementServer.ConnectionRequestPassword".to_owned();
    let count = |shell: &Shell| {
        shell.cpe.told.iter().filter(|t| matches!(t, Told::Set(path, _) if *path == leaf)).count()
    };
    assert_eq!(count(&shell), 2, "once when it became ours, once repaired");
    shell.run(20 * 3600);
    assert_eq!(count(&shell), 3, "a day later once more");
}

#[test]
fn new_credentials_are_written_when_the_device_may_be_written() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(3600);
    shell.cpe.told.clear();
    let credentials = shell.context.credentials.as_mut().expect("credentials");
    credentials.connection_request_password = Secret::new("own-secret-3");
    shell.run(3600);
    assert_eq!(shell.cpe.told, [], "not while it is ACTIVE");
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.wifi[0].ssid = "Renamed".into();
    shell.wish();
    shell.run_until(State::Active, 3600);
    let leaf = "InternetGatewayDevice.ManagementServer.ConnectionRequestPassword".to_owned();
    assert!(shell.cpe.told.contains(&Told::Set(leaf, "own-secret-3".into())), "{:?}", shell.cpe.told);
}

#[test]
fn a_working_wan_of_this_login_is_used_as_it_is() {
    let mut shell = huawei(Quirks::default());
    let now = shell.now;
    let wan = shell.cpe.existing_wan("200", "s-10001@isp", now);
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.ppp_wans(), [wan.as_str()]);
    let told = shell.cpe.told_since();
    assert!(!told.iter().any(|told| matches!(told, Told::Add(_))), "{told:?}");
    for leaf in ["Password", "Username", "Enable", "Name", "X_HW_VLAN"] {
        let path = format!("{wan}{leaf}");
        assert!(!told.iter().any(|told| matches!(told, Told::Set(p, _) if *p == path)), "{leaf}: {told:?}");
    }
}

#[test]
fn a_device_that_is_already_right_is_active_without_a_write() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    // The database is lost, the device is not.
    let mut again = Shell::new(shell.cpe.clone(), Some(intents(Some(200))));
    again.context.intents.as_mut().expect("intents").access = None;
    again.now = shell.now;
    again.cpe.told_since();
    again.run_until(State::Active, 3600);
    assert_eq!(code(&again), ReasonCode::AlreadyAsWanted);
    assert_eq!(again.cpe.told_since(), []);
    assert!(!again.transitions.iter().any(|transition| transition.to == State::Provisioning));
}

#[test]
fn the_wan_of_a_former_customer_is_reused_and_keeps_its_name() {
    let mut shell = huawei(Quirks::default());
    let now = shell.now;
    let wan = shell.cpe.existing_wan("200", "former@isp", now);
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.ppp_wans(), [wan.as_str()]);
    assert_eq!(shell.cpe.value(&format!("{wan}Username")), "s-10001@isp");
    assert_eq!(shell.cpe.value(&format!("{wan}Name")), "2_INTERNET_R_VID_200");
}

#[test]
fn a_wan_of_another_vlan_is_left_alone() {
    let mut shell = huawei(Quirks::default());
    let now = shell.now;
    let wan = shell.cpe.existing_wan("300", "iptv@isp", now);
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.ppp_wans().len(), 2);
    assert!(!shell.cpe.told.iter().any(|told| matches!(told, Told::Set(path, _) if path.starts_with(&wan))));
}

#[test]
fn several_candidates_are_a_question_for_the_operator() {
    let mut shell = huawei(Quirks::default());
    let now = shell.now;
    shell.cpe.existing_wan("200", "a@isp", now);
    shell.cpe.existing_wan("200", "b@isp", now);
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::SeveralWansMatch);
    assert!(shell.cpe.told_since().iter().all(layers::of_wifi), "no WAN is touched before it is answered");
}

#[test]
fn dhcp_static_and_bridge_are_built_and_verified_each_its_own_way() {
    let address = InternetMode::Static {
        address: "203.0.113.7".into(),
        mask: "255.255.255.0".into(),
        gateway: "203.0.113.1".into(),
        dns: vec!["203.0.113.53".into(), "203.0.113.54".into()],
    };
    for (wanted, leaf, value) in [
        (InternetMode::Dhcp, "AddressingType", "DHCP"),
        (address, "DNSServers", "203.0.113.53,203.0.113.54"),
        (InternetMode::Bridge, "ConnectionType", "IP_Bridged"),
    ] {
        for (csv, vlan) in [(fixtures::hg8546m(), Some(200)), (fixtures::generic_tr098(), None)] {
            let mut shell = shell(csv, vlan, Quirks::default());
            mode(&mut shell, wanted.clone());
            shell.run_until(State::Active, 3600);
            assert_eq!(shell.cpe.value(&format!("{IP_WAN}{leaf}")), value);
            assert_eq!(shell.cpe.value(&format!("{IP_WAN}Enable")), "true");
            if csv == fixtures::hg8546m() {
                assert_eq!(shell.cpe.value(&format!("{IP_WAN}X_HW_VLAN")), "200");
            }
        }
    }
}

#[test]
fn a_management_wan_that_cannot_be_told_is_not_taken_over() {
    let mut shell = shell(fixtures::generic_tr098(), None, Quirks::default());
    // CWMP comes through a router: no WAN has the address we see.
    shell.cpe.set(&format!("{MANAGEMENT}ExternalIPAddress"), "192.0.2.77");
    mode(&mut shell, InternetMode::Dhcp);
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.containers(), 2);
}

#[test]
fn dhcp_on_a_stack_has_a_client_of_its_own() {
    let mut shell = shell(fixtures::generic_tr181(), Some(200), Quirks::default());
    mode(&mut shell, InternetMode::Dhcp);
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.value("Device.DHCPv4.Client.2.Interface"), "Device.IP.Interface.3");
    assert_eq!(shell.cpe.value("Device.IP.Interface.3.LowerLayers"), "Device.Ethernet.VLANTermination.2");
}

#[test]
fn the_lan_is_set_when_the_service_says_so() {
    let mut shell = huawei(Quirks::default());
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.lan = Some(LanIntent {
        address: "192.168.7.1".into(),
        mask: "255.255.255.0".into(),
        dhcp: true,
        dhcp_first: "192.168.7.10".into(),
        dhcp_last: "192.168.7.200".into(),
    });
    shell.run_until(State::Active, 3600);
    let lan = "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.";
    assert_eq!(shell.cpe.value(&format!("{lan}MinAddress")), "192.168.7.10");
    assert_eq!(shell.cpe.value(&format!("{lan}IPInterface.1.IPInterfaceIPAddress")), "192.168.7.1");
}

#[test]
fn a_factory_reset_starts_over_and_makes_no_second_wan() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(3600);
    shell.cpe.factory_reset();
    assert_eq!(shell.cpe.ppp_wans().len(), 0);
    let now = shell.next_inform();
    shell.now = now;
    shell.session(&[], Ending::Clean);
    assert!(shell.codes().contains(&"factory_reset"));
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.ppp_wans().len(), 1);
    assert_eq!(shell.cpe.value(&format!("{}Enable", shell.cpe.ppp_wans()[0])), "true");
}

#[test]
fn a_bootstrap_that_resets_nothing_finds_its_wan_again() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(3600);
    shell.cpe.bootstrap_due = true;
    shell.session(&[], Ending::Clean);
    shell.run_until(State::Active, 3600);
    assert_eq!((shell.cpe.ppp_wans().len(), shell.cpe.containers()), (1, 2));
}

#[test]
fn active_devices_are_left_alone_for_days() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.cpe.told_since();
    for _ in 0..20 {
        shell.feed(Event::OnuFlapped);
        shell.wish();
        shell.run(3 * 3600);
    }
    assert_eq!((shell.device.state(), shell.cpe.told.len()), (State::Active, 0));
    assert!(shell.codes().contains(&"already_active"));
}

#[test]
fn drift_is_found_and_brought_back() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(1800);
    shell.cpe.told_since();
    shell.cpe.set(&format!("{WAN}X_HW_VLAN"), "1");
    shell.cpe.boot_due = true;
    shell.run(1800);
    assert!(shell.codes().contains(&"drift_found"), "{}", shell.story());
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.told_since(), [Told::Set(format!("{WAN}X_HW_VLAN"), "200".into())]);
}

#[test]
fn a_hold_stops_at_the_next_request_and_lifting_it_goes_on_at_the_cursor() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Provisioning, 3600);
    shell.feed(Event::HoldSet { by: "ana".into() });
    shell.run(3600);
    assert_eq!((shell.device.state(), code(&shell)), (State::TimeSynced, ReasonCode::Held));
    assert_eq!(gates::closed(&shell), ["hold"], "what is shown of it is what stops it");
    let told = shell.cpe.told.len();
    shell.run(3600);
    assert_eq!(shell.cpe.told.len(), told);
    shell.feed(Event::HoldCleared { by: "ana".into() });
    shell.run_until(State::Active, 3600);
    assert_eq!((shell.cpe.ppp_wans().len(), shell.cpe.containers()), (1, 2));
}

#[test]
fn an_operators_call_is_one_request() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.run(60);
    shell.feed(Event::CallRequested { by: "ana".into() });
    assert!(shell.connection_wanted);
    shell.connection_wanted = false;
    shell.feed(Event::ConnectionRequestFinished(ConnectionRequestOutcome::Timeout));
    shell.feed(Event::CallRequested { by: "ana".into() });
    assert!(!shell.connection_wanted, "not so soon");
    assert_eq!(shell.device.state(), State::Active);
}

#[test]
fn policy_routes_are_found_by_their_wan_and_updated() {
    let routes = "InternetGatewayDevice.Layer3Forwarding.X_HW_policy_route.";
    for no_auto_route in [false, true] {
        let mut shell = huawei(Quirks { no_auto_route, ..Quirks::default() });
        let internet = shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet");
        internet.policy_routes = true;
        internet.bind = vec![LanPort::Lan(1), LanPort::Ssid(1)];
        shell.run_until(State::Active, 3600);
        let rows = shell.cpe.instances(routes);
        let ours: Vec<&String> =
            rows.iter().filter(|row| shell.cpe.value(&format!("{row}WanName")) == "wan1.2.ppp1").collect();
        assert_eq!(ours.len(), 1, "{rows:?}");
        assert_eq!(shell.cpe.value(&format!("{}PhyPortName", ours[0])), "LAN1,SSID1");
        assert_eq!(shell.cpe.value(&format!("{WAN}X_HW_LANBIND.Lan2Enable")), "0");
    }
}

/// Breaks each request of each of the first sessions in turn, three ways, and lets the device come to its end.
fn break_everywhere(new: impl Fn() -> Shell, sessions: usize, check: impl Fn(&Shell, &str)) {
    let endings: [fn(u32) -> Ending; 3] = [Ending::LostRequest, Ending::LostReply, Ending::Killed];
    for session in 0..sessions {
        for ending in endings {
            for request in 1.. {
                let mut shell = new();
                let mut whole = true;
                for turn in 0..=session {
                    shell.now = shell.now.plus_s(400);
                    shell.connection_wanted = false;
                    let how = if turn == session { ending(request) } else { Ending::Clean };
                    whole = shell.session(&["2 PERIODIC"], how);
                }
                if whole {
                    assert!(request > 1, "the session had no request to break");
                    break;
                }
                shell.run_until(State::Active, 6 * 3600);
                check(&shell, &format!("session {session}, {:?}: {}", ending(request), shell.story()));
            }
        }
    }
}

#[test]
fn a_lost_answer_never_makes_a_second_object() {
    let new = || huawei(Quirks { no_clock: true, ..Quirks::default() });
    break_everywhere(new, 4, |shell, story| {
        assert_eq!((shell.cpe.ppp_wans().len(), shell.cpe.containers()), (1, 2), "{story}");
    });
}

#[test]
fn a_lost_answer_never_makes_a_second_row_of_a_stack() {
    let new = || shell(fixtures::generic_tr181(), Some(200), Quirks::default());
    break_everywhere(new, 6, |shell, story| {
        assert_eq!(shell.cpe.instances("Device.Ethernet.VLANTermination.").len(), 2, "{story}");
        assert_eq!(shell.cpe.instances("Device.IP.Interface.").len(), 3, "{story}");
        assert_eq!(shell.cpe.ppp_wans().len(), 1, "{story}");
    });
}

#[test]
fn a_second_inform_in_the_middle_starts_over_without_harm() {
    let mut shell = huawei(Quirks::default());
    let inform = shell.cpe.inform(shell.now, &[]);
    let peer = shell.peer();
    for _ in 0..3 {
        shell.feed(Event::InformReceived { inform: inform.clone(), peer: peer.clone() });
        shell.feed(Event::LinkResolved(shell.link.clone()));
        shell.feed(Event::SessionReady);
    }
    shell.run_until(State::Active, 24 * 3600);
    assert_eq!(shell.cpe.ppp_wans().len(), 1);
}

#[test]
fn releasing_changes_nothing_on_the_device() {
    let mut shell = huawei(Quirks::default());
    shell.run_until(State::Active, 3600);
    shell.cpe.told_since();
    shell.link = Link::None { why: "service terminated".into() };
    shell.feed(Event::Released { why: "service S-10001 terminated".into() });
    shell.run(3600);
    assert_eq!((shell.device.state(), shell.cpe.told.len()), (State::Informed, 0));
}

#[test]
fn a_cool_down_that_ends_is_followed_by_a_call() {
    // A reset in the middle of an attempt: the next one waits for the cool-down, not for an Inform that is far away.
    let mut shell = huawei(Quirks::default());
    shell.context.policy.inform_interval_s = 6 * 3600;
    shell.context.policy.cool_down_s = 600;
    shell.run_until(State::Provisioning, 24 * 3600);
    shell.cpe.factory_reset();
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.ppp_wans().len(), 1);
}
