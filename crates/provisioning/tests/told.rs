//! What each box is told on its way from the first Inform to ACTIVE, as golden files, one case per profile:
//! told_hg8546m.txt, told_eg8145v5.txt, told_generic_tr098.txt, told_generic_tr181.txt, and one per family:
//! told_zte_x_zte_com.txt, told_zte_x_cmcc.txt, told_ctcom_x_ct_com.txt, told_ctcom_vsol.txt,
//! told_fiberhome_x_fh.txt, told_nokia_x_alu.txt, told_tplink_tr098.txt, told_tplink_tr181.txt,
//! told_tenda_x_tdtc.txt, told_intelbras_itbs.txt.
//! `UPDATE_GOLDEN=1` rewrites them.

mod support;

use profiles::fixtures;
use provisioning::{LanPort, State};
use support::{Cpe, Quirks, Shell, intents};

fn told(name: &str, csv: &str, vlan: Option<u16>, quirks: Quirks, change: impl FnOnce(&mut Shell)) {
    let mut shell = Shell::new(Cpe::new(csv, quirks), Some(intents(vlan)));
    change(&mut shell);
    shell.run_until(State::Active, 3600);
    let mut text = shell.transcript.join("\n");
    text.push_str("\n\nSaid on the way\n");
    for transition in &shell.transitions {
        text.push_str(&format!(
            "  {} → {}: {}\n",
            transition.from,
            transition.to,
            transition.reason.sentence()
        ));
    }
    let path = format!("{}/tests/golden/told_{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(golden == text, "{name} is told something else; look with UPDATE_GOLDEN=1 and git diff\n{text}");
}

#[test]
fn hg8546m() {
    let quirks = Quirks { no_clock: true, phantom_writes: true, ..Quirks::default() };
    told("hg8546m", fixtures::hg8546m(), Some(200), quirks, |_| {});
}

#[test]
fn eg8145v5_with_policy_route() {
    told("eg8145v5", fixtures::eg8145v5(), Some(200), Quirks::default(), |shell| {
        let internet = shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet");
        internet.policy_routes = true;
        internet.priority = Some(0);
        internet.bind = vec![LanPort::Lan(1), LanPort::Lan(2), LanPort::Ssid(1), LanPort::Ssid(5)];
    });
}

#[test]
fn generic_tr098() {
    told("generic_tr098", fixtures::generic_tr098(), None, Quirks::default(), |_| {});
}

#[test]
fn generic_tr181() {
    told("generic_tr181", fixtures::generic_tr181(), Some(200), Quirks::default(), |_| {});
}

fn family(id: &str, quirks: Quirks, change: impl FnOnce(&mut Shell)) {
    told(id, &fixtures::family(id).expect("a box"), Some(200), quirks, change);
}

fn internet(shell: &mut Shell) -> &mut provisioning::InternetIntent {
    shell.context.intents.as_mut().expect("intents").internet.as_mut().expect("internet")
}

/// A newborn is deaf until its type is sent alone; ports are bound by a row that names the WAN by its path.
#[test]
fn zte_x_zte_com() {
    let quirks = Quirks { unconfigured_is_deaf: true, ..Quirks::default() };
    family("zte_x_zte_com", quirks, |shell| {
        internet(shell).bind = vec![LanPort::Lan(1), LanPort::Ssid(1)];
    });
}

/// One parameter per call.
#[test]
fn zte_x_cmcc() {
    let quirks = Quirks { max_params: Some(1), ..Quirks::default() };
    family("zte_x_cmcc", quirks, |shell| internet(shell).bind = vec![LanPort::Lan(2)]);
}

/// The VLAN hangs at the container, so the WAN gets one of its own; its twin is the test above.
#[test]
fn ctcom_x_ct_com() {
    family("ctcom_x_ct_com", Quirks::default(), |shell| internet(shell).priority = Some(5));
}

/// Stubs of another family beside the real leaves; both copies of the VLAN; the radios the other way round.
#[test]
fn ctcom_vsol() {
    family("ctcom_vsol", Quirks::default(), |_| {});
}

/// A free index, the mode of a WAN that works, and every free port in the mandatory list.
#[test]
fn fiberhome_x_fh() {
    family("fiberhome_x_fh", Quirks { no_clock: true, ..Quirks::default() }, |_| {});
}

#[test]
fn nokia_x_alu() {
    let quirks = Quirks { unconfigured_is_deaf: true, no_clock: true, ..Quirks::default() };
    family("nokia_x_alu", quirks, |shell| internet(shell).mtu = Some(1480));
}

/// PPP that stands ready in another WANDevice is used; nothing is added.
#[test]
fn tplink_tr098() {
    family("tplink_tr098", Quirks::default(), |_| {});
}

/// References end with a dot, as the device's own do.
#[test]
fn tplink_tr181() {
    family("tplink_tr181", Quirks::default(), |_| {});
}

/// The service list is left alone.
#[test]
fn tenda_x_tdtc() {
    family("tenda_x_tdtc", Quirks::default(), |shell| internet(shell).bind = vec![LanPort::Lan(1)]);
}

/// PPP that stands ready beside the management WAN is used; 2.4 GHz is the second radio.
#[test]
fn intelbras_itbs() {
    family("intelbras_itbs", Quirks::default(), |_| {});
}
