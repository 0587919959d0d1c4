//! Whole stories, from first Inform to the end, on the four synthetic boxes.

mod support;

use profiles::fixtures;
use provisioning::{Event, Layer, State};
use support::{Cpe, Ending, Quirks, Shell, intents};

fn shell(csv: &str, vlan: Option<u16>, quirks: Quirks) -> Shell {
    let mut shell = Shell::new(Cpe::new(csv, quirks), Some(intents(vlan)));
    if csv == fixtures::hg8546m() {
        shell.invariants.management_wan =
            Some("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.".into());
    }
    shell
}

#[test]
fn a_factory_fresh_hg8546m_becomes_active() {
    let mut shell = shell(
        fixtures::hg8546m(),
        Some(200),
        Quirks { phantom_writes: true, no_clock: true, ..Quirks::default() },
    );
    shell.run_until(State::Active, 3 * 3600);
    let wans = shell.cpe.ppp_wans();
    assert_eq!(
        wans,
        ["InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1."],
        "{}",
        shell.story()
    );
    for (leaf, want) in [
        ("X_HW_VLAN", "200"),
        ("X_HW_SERVICELIST", "INTERNET"),
        ("Username", "s-10001@isp"),
        ("X_HW_LANBIND.Lan1Enable", "1"),
        ("NATEnabled", "true"),
        ("Enable", "true"),
    ] {
        assert_eq!(shell.cpe.value(&format!("{}{leaf}", wans[0])), want, "{leaf}");
    }
    assert_eq!(shell.cpe.value("InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID"), "Lighthouse");
    let address = &shell.evidence[&(Layer::Internet, "External address".to_owned())];
    assert_eq!(address.observed, "100.64.7.9");
    eprintln!("{} sessions {} requests {}", shell.story(), shell.sessions, shell.requests);
}
