//! What the families have in common, whatever they are called: the management WAN is left alone, what is not known is
//! a reason, and nothing is believed for its name.

mod support;

use profiles::{cpe::Known, fixtures};
use provisioning::{LanPort, LearnedFact, ReasonCode, State};
use support::{Cpe, Quirks, Shell, Told, intents};

const WANS: &str = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.";

fn family_box(id: &str) -> String {
    fixtures::family(id).expect("a box")
}

fn shell_of(csv: &str) -> Shell {
    Shell::new(Cpe::new(csv, Quirks::default()), Some(intents(Some(200))))
}

fn shell(id: &str) -> Shell {
    shell_of(&family_box(id))
}

fn code(shell: &Shell) -> ReasonCode {
    shell.device.reason.as_ref().expect("a reason").code
}

fn sentence(shell: &Shell) -> String {
    shell.device.reason.as_ref().expect("a reason").sentence()
}

/// Rows of a box without those a filter finds.
fn without(csv: &str, gone: impl Fn(&str) -> bool) -> String {
    csv.lines().filter(|line| !gone(line)).collect::<Vec<_>>().join("\n")
}

fn bind(shell: &mut Shell, ports: &[LanPort]) {
    let intents = shell.context.intents.as_mut().expect("intents");
    intents.internet.as_mut().expect("internet").bind = ports.to_vec();
}

#[test]
fn the_management_wan_and_what_is_its_own_are_left_alone() {
    for id in fixtures::families().filter(|id| *id != "mikrotik") {
        let mut shell = shell(id);
        let tr181 = id == "tplink_tr181";
        let management =
            if tr181 { "Device.IP.Interface.2.".to_owned() } else { format!("{WANS}1.WANIPConnection.1.") };
        shell.invariants.management_wan = Some(management);
        shell.run_until(State::Active, 3600);
        let own = |path: &str| {
            let container = path.strip_prefix(&format!("{WANS}1.")).unwrap_or_default();
            // VLAN and switch of the container the management WAN lives in, or of its VLAN termination.
            (!container.is_empty() && !container.starts_with("WANPPPConnection."))
                || path.starts_with("Device.Ethernet.VLANTermination.1.")
        };
        let told: Vec<_> =
            shell.cpe.told.iter().filter(|t| matches!(t, Told::Set(path, _) if own(path))).collect();
        assert!(told.is_empty(), "{id}: {told:?}");
        // Changed and taken back: still nothing of the management WAN.
        let mut intents = intents(Some(200));
        intents.version = 2;
        intents.internet.as_mut().expect("internet").suspended = true;
        shell.context.intents = Some(intents);
        shell.wish();
        shell.run(3600);
        assert_eq!(shell.device.state(), State::Active, "{id}: {}", shell.story());
        let told: Vec<_> =
            shell.cpe.told.iter().filter(|t| matches!(t, Told::Set(path, _) if own(path))).collect();
        assert!(told.is_empty(), "{id} suspended: {told:?}");
    }
}

#[test]
fn every_family_comes_to_rest_with_zero_writes() {
    for id in fixtures::families().filter(|id| *id != "mikrotik") {
        let mut shell = shell(id);
        shell.run_until(State::Active, 3600);
        shell.cpe.told.clear();
        shell.run(86_400);
        assert_eq!(shell.device.state(), State::Active, "{id}: {}", shell.story());
        assert_eq!(shell.cpe.told, [], "{id} is told something although nothing changed");
    }
}

#[test]
fn a_read_only_family_is_told_nothing_at_all() {
    let mut shell = shell("mikrotik");
    shell.cpe.quirks.no_clock = true;
    shell.run(86_400);
    assert_eq!(shell.cpe.told, [], "not even management settings or NTP");
    assert_eq!((shell.device.state(), code(&shell)), (State::Informed, ReasonCode::ProfileReadOnly));
    let words = "Provision blocked: MikroTik RouterOS is a read-only family: RouterOS is a router of its own";
    assert!(sentence(&shell).starts_with(words), "{}", sentence(&shell));
}

/// Another router lets itself be called one by an operator: read-only again.
#[test]
fn an_operators_read_only_family_stops_writes() {
    let mut shell = shell("tplink_tr181");
    shell.context.family = Some("mikrotik".into());
    shell.run(3600);
    assert_eq!(shell.cpe.told, []);
    assert_eq!(code(&shell), ReasonCode::ProfileReadOnly);
    shell.context.family = None;
    // Its own interval is twelve hours: nothing of ours was written.
    shell.run_until(State::Active, 100_000);
    assert_eq!(
        shell.device.profile.as_ref().map(|p| (p.id.as_str(), p.known)),
        Some(("tplink_tr181", Known::Probed))
    );
}

#[test]
fn an_operators_family_beats_probing_until_it_is_taken_back() {
    let mut shell = shell("zte_x_cmcc");
    shell.context.family = Some("std_tr098".into());
    shell.run(3600);
    assert_eq!(code(&shell), ReasonCode::ProfileLacksPath, "{}", sentence(&shell));
    assert_eq!(
        shell.device.profile.as_ref().map(|p| (p.id.as_str(), p.known)),
        Some(("std_tr098", Known::Override))
    );
    shell.context.family = None;
    shell.run_until(State::Active, 3600);
    assert_eq!(
        shell.device.profile.as_ref().map(|p| (p.id.as_str(), p.known)),
        Some(("zte_x_cmcc", Known::Probed))
    );
}

/// An override that does not fit the tree breaks no device: probing decides, and why is said once.
#[test]
fn an_operators_family_that_the_device_does_not_bear_out_is_refused_and_said() {
    for (wanted, why) in [
        ("nokia_x_alu", "it has none of the nodes that Nokia"),
        ("std_tr181", "its data model is InternetGatewayDevice"),
        ("gone_with_a_release", "no family of the name gone_with_a_release is known"),
    ] {
        let mut shell = shell("zte_x_cmcc");
        shell.context.family = Some(wanted.into());
        shell.run_until(State::Active, 3600);
        let chosen = shell.device.profile.as_ref().map(|p| (p.id.as_str(), p.known));
        assert_eq!(chosen, Some(("zte_x_cmcc", Known::Probed)), "{wanted}");
        let refused = shell.device.refused_family.clone().expect("a refusal");
        assert_eq!(refused.family, wanted);
        assert!(refused.why.starts_with(why), "{wanted}: {}", refused.why);
        let said =
            |shell: &Shell| shell.reasons.iter().filter(|r| r.code == ReasonCode::FamilyRefused).count();
        assert_eq!(said(&shell), 1, "{wanted}: {}", shell.story());
        shell.cpe.told.clear();
        shell.run(86_400);
        assert_eq!(shell.cpe.told, [], "{wanted}: nothing is written for it");
        assert_eq!(said(&shell), 1, "{wanted}: said once");

        shell.context.family = None;
        shell.run(86_400);
        assert_eq!(shell.device.refused_family, None, "{wanted}: taken back");
        let chosen = shell.device.profile.as_ref().map(|p| (p.id.as_str(), p.known));
        assert_eq!(chosen, Some(("zte_x_cmcc", Known::Probed)), "{wanted}");
    }
}

/// It shows nothing that speaks against the operator; once it does, it decides for itself.
#[test]
fn a_blank_device_takes_the_operators_word_until_it_shows_more() {
    let whole = family_box("zte_x_cmcc");
    let blank = without(&whole, |line| line.contains("WANConnectionDevice.1."));
    let mut shell = shell_of(&blank);
    shell.context.family = Some("nokia_x_alu".into());
    shell.run_until(State::Active, 3600);
    assert!(shell.story().contains("Every gate is open (profile Nokia"), "{}", shell.story());
    let chosen = shell.device.profile.as_ref().map(|p| (p.id.as_str(), p.known));
    assert_eq!(chosen, Some(("zte_x_cmcc", Known::Probed)), "{}", shell.story());
    assert!(shell.device.refused_family.is_some(), "and it is said");
}

#[test]
fn a_family_of_another_root_is_not_believed() {
    let mut shell = shell("zte_x_cmcc");
    shell.context.family = Some("tplink_tr181".into());
    shell.run_until(State::Active, 3600);
    assert_eq!(
        shell.device.profile.as_ref().map(|p| (p.id.as_str(), p.known)),
        Some(("zte_x_cmcc", Known::Probed))
    );
}

/// The twin whose name says one family and whose tree, once there is one, says the other.
#[test]
fn what_is_only_presumed_is_looked_at_again() {
    let whole = family_box("ctcom_x_ct_com")
        .replace("Manufacturer,false,string,ZTEG", "Manufacturer,false,string,ZTE");
    let blank = without(&whole, |line| {
        line.contains("WANConnectionDevice.1.") || line.contains("LANDevice.1.WLANConfiguration.")
    });
    let mut shell = shell_of(&blank);
    shell.context.intents = None;
    shell.cpe.quirks.no_clock = true;
    shell.run(20);
    let known = |shell: &Shell| shell.device.profile.as_ref().map(|p| (p.id.clone(), p.known));
    assert_eq!(known(&shell), Some(("zte_x_cmcc".into(), Known::Nominated)), "{}", shell.story());
    for row in fixtures::rows(&whole) {
        if !row.path.contains("ManagementServer") && !row.path.contains(".Time.") {
            shell.cpe.plant(&row.path, &row.kind, &row.value);
        }
    }
    shell.context.intents = Some(intents(Some(200)));
    shell.run_until(State::Active, 3600);
    assert_eq!(known(&shell), Some(("ctcom_x_ct_com".into(), Known::Probed)));
}

#[test]
fn what_probing_found_is_taught_once() {
    let taught = |shell: &mut Shell| -> Vec<LearnedFact> {
        shell.run_until(State::Active, 3600);
        shell.learned.clone()
    };
    let fact = LearnedFact { path: LearnedFact::FAMILY.into(), fact: "nokia_x_alu".into() };
    let mut first = shell("nokia_x_alu");
    assert_eq!(taught(&mut first), std::slice::from_ref(&fact));
    let mut fourth = shell("nokia_x_alu");
    fourth.context.learned = vec![fact];
    assert_eq!(taught(&mut fourth), []);
    assert!(!fourth.device.learned.contains_key(LearnedFact::FAMILY), "a family is no leaf");
}

/// China Telecom's tree: what the device made beside the management WAN would get the service's VLAN, and so would
/// the management WAN.
#[test]
fn a_connection_beside_the_management_wan_is_not_used_for_another_vlan() {
    let mut shell = shell("ctcom_x_ct_com");
    let beside = shell.cpe.grow(&format!("{WANS}1.WANPPPConnection."));
    shell.cpe.told.clear();
    shell.run_until(State::Active, 3600);
    assert_eq!(shell.cpe.value(&format!("{WANS}1.X_CT-COM_WANEponLinkConfig.VLANIDMark")), "100");
    assert_eq!(shell.cpe.value(&format!("{WANS}2.X_CT-COM_WANEponLinkConfig.VLANIDMark")), "200");
    assert!(!shell.cpe.told.iter().any(|t| matches!(t, Told::Set(path, _) if path.starts_with(&beside))));
}

#[test]
fn a_port_of_another_wan_is_not_taken_away() {
    let mut shell = shell("zte_x_cmcc");
    let lan2 = "InternetGatewayDevice.LANDevice.1.LANEthernetInterfaceConfig.2";
    shell.cpe.set(&format!("{WANS}1.WANIPConnection.1.X_CMCC_LanInterface"), lan2);
    bind(&mut shell, &[LanPort::Lan(1), LanPort::Lan(2)]);
    shell.run_until(State::Failed, 3600);
    assert_eq!(code(&shell), ReasonCode::PortTaken);
    assert!(
        sentence(&shell).contains("LAN2 is bound to 1_TR069_R_VID_100 (VLAN 100)"),
        "{}",
        sentence(&shell)
    );
}

#[test]
fn a_mandatory_list_leaves_out_what_others_have() {
    let mut shell = shell("fiberhome_x_fh");
    let port = |n: u8| format!("InternetGatewayDevice.LANDevice.1.LANEthernetInterfaceConfig.{n}");
    shell.cpe.set(&format!("{WANS}1.WANIPConnection.1.X_FH_LanInterface"), &format!("{}.", port(4)));
    shell.run_until(State::Active, 3600);
    let bound = shell.cpe.value(&format!("{WANS}2.WANPPPConnection.1.X_FH_LanInterface"));
    assert!(bound.contains(&port(3)) && !bound.contains(&port(4)), "{bound}");
}

#[test]
fn a_device_without_a_spare_wan_says_so_and_is_left_alone() {
    let pppless = without(&family_box("intelbras_itbs"), |line| line.contains("1.WANPPPConnection.1."));
    // EC220-G5 v3: every table of the stack is fixed.
    let fixed =
        family_box("tplink_tr181").replace("Device.PPP.Interface.,true", "Device.PPP.Interface.,false");
    for (csv, table) in [(pppless, "WANConnectionDevice."), (fixed, "Device.PPP.Interface.")] {
        let mut shell = shell_of(&csv);
        let added = |shell: &Shell| {
            shell.cpe.told.iter().any(|t| matches!(t, Told::Add(path) if path.contains(table)))
        };
        shell.run_until(State::Failed, 3600);
        assert_eq!(code(&shell), ReasonCode::NoSpareWan, "{}", sentence(&shell));
        assert!(sentence(&shell).contains(table) && !added(&shell), "{}", sentence(&shell));
    }
}

#[test]
fn a_family_that_waits_for_a_restart_asks_for_it() {
    let csv = family_box("zte_x_zte_com").replace("string,F670L", "string,F6600P");
    let quirks = Quirks { connect_after_s: 1_000_000, ..Quirks::default() };
    let mut shell = Shell::new(Cpe::new(&csv, quirks), Some(intents(Some(200))));
    shell.run_until(State::Failed, 7200);
    assert!(sentence(&shell).contains("applies WAN settings only after a restart"), "{}", sentence(&shell));
    assert!(
        sentence(&shell).contains("restart the device when the customer can spare it"),
        "{}",
        sentence(&shell)
    );
}
