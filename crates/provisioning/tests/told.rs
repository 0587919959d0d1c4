//! What each box is told on its way from the first Inform to ACTIVE, as golden files, one case per profile:
//! told_hg8546m.txt, told_eg8145v5.txt, told_generic_tr098.txt, told_generic_tr181.txt.
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
