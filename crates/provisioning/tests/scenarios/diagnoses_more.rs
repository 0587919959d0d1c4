//! Tests that are about a name, a line, the air around a router; and what is connected to it.

use crate::{
    diagnoses::{active, give, huawei, last},
    support::{Shell, TestRun, Told},
};
use profiles::fixtures;
use provisioning::{Diagnosis, Findings, OrderState};

fn lookup(server: &str) -> Diagnosis {
    Diagnosis::Lookup { host: "www.example.net".into(), server: server.into(), count: 2, timeout_ms: 2000 }
}

/// What was written of the test, leaf by leaf.
fn written(shell: &Shell, leaf: &str) -> Option<String> {
    shell.cpe.told.iter().rev().find_map(|told| match told {
        Told::Set(path, value) if path.ends_with(leaf) => Some(value.clone()),
        _ => None,
    })
}

#[test]
fn a_name_is_looked_up_over_the_connection_of_the_service() {
    let mut shell = huawei(TestRun::Told);
    shell.test_results = vec![
        ("SuccessCount", "1"),
        ("Result.1.Status", "Success"),
        ("Result.1.IPAddresses", "203.0.113.7,2001:db8::7"),
        ("Result.1.DNSServerIP", "100.64.0.53"),
        ("Result.1.ResponseTime", "12"),
    ];
    let key = give(&mut shell, lookup(""));
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    assert!(
        news.text.starts_with("www.example.net is 203.0.113.7, 2001:db8::7, answered in 12 ms."),
        "{}",
        news.text
    );
    let wan = shell.cpe.ppp_wans().first().expect("a WAN").trim_end_matches('.').to_owned();
    assert_eq!(written(&shell, "Diagnostics.Interface"), Some(wan));
    let Some(Findings::Lookup { answers, successes, cut: false, .. }) = &news.findings else {
        panic!("{news:?}")
    };
    assert_eq!((answers.len(), *successes, answers[0].server.as_str()), (1, Some(1), "100.64.0.53"));
}

#[test]
fn a_name_server_that_was_not_taken_is_named() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.deaf_leaves = vec!["DNSServer"];
    shell.test_results = vec![("Result.1.Status", "Success"), ("Result.1.IPAddresses", "203.0.113.7")];
    let key = give(&mut shell, lookup("9.9.9.9"));
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    assert!(news.text.contains("did not take: 9.9.9.9 as the name server"), "{}", news.text);
}

#[test]
fn a_name_that_is_not_resolved_shows_nothing_of_an_earlier_look_up() {
    let mut shell = huawei(TestRun::Error("Error_DNSServerNotResolved"));
    shell.test_results = vec![("Result.1.Status", "Success"), ("Result.1.IPAddresses", "192.0.2.66")];
    let key = give(&mut shell, lookup(""));
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!((news.state, &news.findings), (OrderState::Failed, &None), "{}", news.text);
    assert!(news.text.contains("does not reach the name server"), "{}", news.text);
    assert!(!news.text.contains("192.0.2.66"), "{}", news.text);
}

#[test]
fn networks_are_listed_loudest_first_and_no_way_is_spoken_of() {
    let mut shell = huawei(TestRun::Told);
    shell.test_results = vec![
        ("Result.1.SSID", "far"),
        ("Result.1.SignalStrength", "-88"),
        ("Result.2.SSID", "near"),
        ("Result.2.SignalStrength", "-41"),
    ];
    let key = give(&mut shell, Diagnosis::Neighbours);
    shell.run(60);
    let news = last(&shell, &key);
    let Some(Findings::Neighbours { networks, .. }) = &news.findings else { panic!("{news:?}") };
    assert_eq!((news.state, networks[0].ssid.as_str()), (OrderState::Done, "near"));
    assert_eq!(news.text, "The router hears 2 networks.");
}

#[test]
fn the_band_of_a_station_is_found_over_its_network_and_radio() {
    let mut shell = active(fixtures::generic_tr181(), TestRun::Told);
    for (path, value) in [
        ("Device.Hosts.Host.1.PhysAddress", "02:00:5E:00:01:02"),
        ("Device.Hosts.Host.1.HostName", "phone"),
        ("Device.WiFi.AccessPoint.1.SSIDReference", "Device.WiFi.SSID.1"),
        ("Device.WiFi.SSID.1.LowerLayers", "Device.WiFi.Radio.1."),
        ("Device.WiFi.Radio.1.OperatingFrequencyBand", "5GHz"),
        ("Device.WiFi.AccessPoint.1.AssociatedDevice.1.MACAddress", "02005e000102"),
        ("Device.WiFi.AccessPoint.1.AssociatedDevice.1.SignalStrength", "-61"),
        // A way that leads out of the device's own tree is not followed.
        ("Device.WiFi.AccessPoint.2.SSIDReference", "http://198.51.100.1/"),
        ("Device.WiFi.AccessPoint.2.AssociatedDevice.1.MACAddress", "02005e000103"),
    ] {
        shell.cpe.plant(path, "string", value);
    }
    for object in ["Device.Hosts.Host.", "Device.WiFi.AccessPoint."] {
        shell.cpe.plant(object, "object", "");
    }
    let key = give(&mut shell, Diagnosis::Hosts);
    shell.run(10);
    let news = last(&shell, &key);
    assert_eq!(news.text, "The router lists 2 hosts, 2 by Wi-Fi now.", "{news:?}");
    let Some(Findings::Hosts { hosts, cut: false, .. }) = &news.findings else { panic!("{news:?}") };
    assert_eq!(
        (hosts[0].name.as_str(), hosts[0].band.as_str(), hosts[0].signal_dbm),
        ("phone", "5GHz", Some(-61))
    );
    assert_eq!((hosts[1].band.as_str(), hosts[1].signal_dbm), ("", None));
    assert!(shell.cpe.told.is_empty(), "nothing is written: {:?}", shell.cpe.told);
}

#[test]
fn hosts_are_read_while_the_clock_is_wrong_and_a_great_many_of_them_is_bounded() {
    let mut shell = huawei(TestRun::Told);
    shell.cpe.quirks.no_clock = true;
    shell.cpe.quirks.ntp_unreachable = true;
    for number in 1..=600 {
        let path = format!("InternetGatewayDevice.LANDevice.1.Hosts.Host.{number}.MACAddress");
        shell.cpe.plant(&path, "string", &format!("02:00:00:00:{:02X}:{:02X}", number / 256, number % 256));
    }
    let key = give(&mut shell, Diagnosis::Hosts);
    shell.run(10);
    let news = last(&shell, &key);
    let Some(Findings::Hosts { hosts, cut: true, .. }) = &news.findings else { panic!("{news:?}") };
    assert_eq!((news.state, hosts.len()), (OrderState::Done, 256), "{}", news.text);
}

#[test]
fn a_leaf_of_hosts_that_cannot_be_read_is_said() {
    let mut shell = huawei(TestRun::Told);
    for number in 1..=5 {
        let host = format!("InternetGatewayDevice.LANDevice.1.Hosts.Host.{number}.");
        shell.cpe.plant(&format!("{host}MACAddress"), "string", &format!("02:00:00:00:00:0{number}"));
        shell.cpe.plant(&format!("{host}HostName"), "string", "x");
    }
    shell.cpe.quirks.unreadable = vec!["HostName"];
    let key = give(&mut shell, Diagnosis::Hosts);
    shell.run(20);
    let news = last(&shell, &key);
    let Some(Findings::Hosts { hosts, unread, .. }) = &news.findings else { panic!("{news:?}") };
    assert_eq!((hosts.len(), unread.as_slice()), (5, ["name".to_owned()].as_slice()));
    assert!(news.text.contains("did not let be read, or not everywhere: name"), "{}", news.text);
}
