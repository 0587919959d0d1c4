//! Every reason code with a sample sentence, as a golden file. `UPDATE_GOLDEN=1` rewrites it.

use crate::{ConnectionRequestOutcome as O, Layer, Reason, ReasonCode, sentences as s};
use std::collections::BTreeSet;
use std::fmt::Write;
use types::UtcMs;

/// 2026-11-21T13:50:00Z
const NOW: UtcMs = UtcMs(1_795_269_000_000);

/// So many looks done of three, and so many seconds left of the window.
fn looks(done: u32, left_s: u64) -> s::Looks {
    s::Looks { done, next_at: NOW.plus_s(60), wanted: 3, until: NOW.plus_s(left_s) }
}

fn samples() -> Vec<Reason> {
    let expected = Some(NOW.plus_s(900));
    let url = "http://10.7.3.9:7547/a8f31c";
    let waiting = |outcome| s::waiting(outcome, url, Some("10.7.3.10"), expected, NOW);
    let path = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.X_HW_VLAN";
    let left = "WAN still reads true".to_owned();
    let mut all = vec![
        s::onu_known(),
        s::first_inform("485754437D4733C3", "HG8546M", "10.7.3.9"),
        s::linked("S-10001"),
        s::not_linked("no service expects HWTC-7D4733C3"),
        s::several_services(2, "S-10001, S-10007"),
        s::identity_conflict("CPE 7 has HWTC-7D4733C3 and informed 2 min ago"),
        s::identity_unconfirmed("10.7.3.9", None),
        s::identity_unconfirmed("10.7.3.9", Some("OLT-1 has ONU HWTC-7D4733C3 at 10.7.3.10")),
        s::identity_unproven("10.7.3.9"),
        s::credentials_missing(),
        s::credentials_repaired(),
        s::ownership_not_kept(
            "InternetGatewayDevice.ManagementServer.PeriodicInformInterval",
            "900",
            "43200",
            None,
            Some(43_200),
        ),
        s::ownership_not_kept("Device.ManagementServer.Username", "lk-7", "", None, None),
        s::ownership_not_kept(
            "InternetGatewayDevice.ManagementServer.PeriodicInformInterval",
            "900",
            "43200",
            Some(NOW.plus_s(24 * 3600)),
            Some(43_200),
        ),
        s::ownership_refused(
            "InternetGatewayDevice.ManagementServer.ConnectionRequestPassword",
            "••••",
            &s::fault_in_words(9007, "Invalid parameter value"),
            None,
        ),
        s::ownership_refused(
            "Device.ManagementServer.Username",
            "lk-7",
            &s::fault_in_words(9001, " "),
            Some(NOW.plus_s(24 * 3600)),
        ),
        s::interval_rounded(907, 900),
        s::interval_accepted(900, 43_200, "ana", "HG8546M"),
        s::owned(900),
        s::ownership_proven(),
        s::clock_invalid("1981-01-01T00:05:12", Some(1981), 0),
        s::clock_invalid("1981-01-01T00:05:12", Some(1981), 1),
        s::clock_invalid("", None, 2),
        s::clock_unreachable(Some(1981), 3, "10.20.0.2", "10.20.0.1"),
        s::clock_ntp_refused(Some(1981), &s::fault_in_words(9007, "Invalid parameter value"), 1, true),
        s::clock_ntp_refused(None, &s::fault_in_words(9003, "Invalid arguments"), 3, false),
        s::clock_valid("2026-11-21T13:50:00Z"),
        s::clock_overridden("ana"),
        s::clock_override_withdrawn("ana"),
        s::clock_waived("ana", "HG8546M"),
        s::no_intent(),
        s::model_unknown("ACME RG-1 1.0"),
        s::family_refused(
            "Nokia (X_ALU)",
            "it has none of the nodes that Nokia (X_ALU) is known by (InternetGatewayDevice.X_ALU_OntOpticalParam.)",
        ),
        s::profile_read_only(
            "it bears the mark of a ZTE device (…X_ZTE-COM_VLANID) and none of the nodes we know that family by",
        ),
        s::profile_read_only(
            "MikroTik RouterOS is a read-only family: it is configured by a script of its own",
        ),
        s::profile_lacks_path("Standard TR-098 gateway", "a VLAN on the WAN"),
        s::cool_down(NOW.plus_s(240)),
        s::held("ana", NOW),
        s::hold_cleared("ana"),
        s::back_off(expected, 2),
        s::back_off_over(1),
        s::gates_open("Huawei ONT (X_HW)"),
        s::provisioning_started(&[Layer::Internet, Layer::Access], 3),
        s::provisioning_started(&[Layer::Access], 1),
        s::step_done("write signature"),
        s::gates_look_open(),
        s::session_requested("create ppp"),
        s::resumed("create ppp"),
        s::session_torn("creating ppp", expected, NOW),
        s::session_lost(),
        s::inform_overdue(NOW, Some(UtcMs(NOW.0 - 960_000))),
        s::verifying(None, &looks(0, 180), NOW),
        s::verifying(Some("Connecting"), &looks(1, 165), NOW),
        s::verifying(Some("Connecting"), &looks(7, 150), NOW),
        s::verifying(Some("Connecting"), &looks(2, 0), NOW),
        s::active("Internet, Access"),
        s::already_as_wanted("Internet Connected 100.64.7.9"),
        s::already_active(),
        s::drift_found("Internet: write signature"),
        s::intent_changed(&[Layer::Access]),
        s::factory_reset(),
        s::released("service S-10001 terminated"),
        s::relinked("S-10007"),
        s::onu_flapped(3),
        s::onu_offline(),
        s::retry_requested("ana"),
        s::call_requested("ana"),
        s::call_not_made("ana", "one is under way already"),
        s::checked(waiting(Some(O::Unauthorized))),
        s::call_too_soon(NOW.plus_s(20)),
        s::unexpected_reply("AddObject"),
        s::session_budget(60),
        s::session_too_long(560),
        s::not_undone(std::slice::from_ref(&left), 1, path),
    ];
    let outcomes = [
        None,
        Some(O::Accepted),
        Some(O::Unauthorized),
        Some(O::Http(503)),
        Some(O::UrlMissing),
        Some(O::UrlInvalid),
        Some(O::NotInManagementSubnet),
        Some(O::AnotherAddress),
        Some(O::Unreachable),
        Some(O::Timeout),
        Some(O::NoInformAfterAccept),
        Some(O::Unanswered),
        Some(O::NotSent),
        Some(O::ProcessEnded),
    ];
    all.extend(outcomes.map(waiting));
    for repair in [
        s::Repair::NextSession,
        s::Repair::NextAttempt,
        s::Repair::Held { by: "ana".into() },
        s::Repair::Rests { at: NOW, until: NOW.plus_s(24 * 3600), done: true },
        s::Repair::Rests { at: NOW, until: NOW.plus_s(24 * 3600), done: false },
        s::Repair::NotOurs,
    ] {
        all.push(s::unauthorized(waiting(Some(O::Unauthorized)), &repair));
    }
    all.push(s::waiting(Some(O::Unreachable), url, None, Some(UtcMs(NOW.0 - 60_000)), NOW));
    let two = ["2_INTERNET_R_VID_200 (VLAN 200)".to_owned(), "old (VLAN 200)".to_owned()];
    let chosen = crate::ChosenWan {
        path: path.into(),
        by: "ana".into(),
        at: NOW,
        wanted: None,
        name: "2_INTERNET_R_VID_200".into(),
        vlan: Some(200),
    };
    all.extend([
        s::wan_chosen(&two[0], path, "ana"),
        s::wan_choice_gone(&chosen, Some(&two[1])),
        s::wan_choice_gone(&chosen, None),
        s::wan_not_offered(path, "ana"),
    ]);
    let failures = [
        (s::several_wans(&two, None), None, true),
        (s::several_wans(&two, Some(&chosen)), None, true),
        (s::write_not_applied("VLAN", path, "200", "0"), Some("WAN disabled"), false),
        (s::write_rejected("VLAN", path, 9007, "Invalid value"), Some("WAN disabled"), true),
        (s::required_leaf_missing("VLAN", path), None, true),
        (s::device_fault("SetParameterValues", 9002, "Internal error"), Some("WAN disabled"), false),
        (s::no_free_instances("InternetGatewayDevice.WANDevice.1.WANConnectionDevice."), None, true),
        (
            s::no_spare_wan("Intelbras (X_ITBS)", "InternetGatewayDevice.WANDevice.1.WANConnectionDevice."),
            None,
            true,
        ),
        (s::would_touch_management("VLAN", path), None, true),
        (s::port_taken("LAN1", "1_TR069_R_VID_100 (VLAN 100)"), None, true),
        (s::needs_restart(s::not_connected("Disconnected", "ERROR_NONE", 3)), Some("WAN disabled"), false),
        (s::pppoe_refused("s-10001@isp", "ERROR_AUTHENTICATION_FAILURE", 3), Some("WAN disabled"), false),
        (s::not_connected("Connecting", "ERROR_NONE", 3), Some("the WAN is as it was before"), false),
        (s::no_address("PPPoE", 3), Some("WAN disabled"), false),
        (s::not_verified("the WAN is not on the device"), None, false),
    ];
    for (why, undone, park) in failures {
        let at = NOW.plus_s(if park { 24 * 3600 } else { 900 });
        all.push(s::failed(why, undone, Some(at), 1, park, NOW));
    }
    let refused = s::pppoe_refused("s-10001@isp", "ERROR_AUTHENTICATION_FAILURE", 3);
    let many = vec![left.clone(), "VLAN still reads 7".into(), "b is gone".into(), "c is gone".into()];
    for left in [vec![left], many] {
        all.push(s::failed_and_not_undone(refused.clone(), &left, NOW.plus_s(900), 1, NOW));
    }
    let news = |state, text: &str| crate::OrderNews::new("lk-o-1", state, text.into());
    use crate::OrderState as Order;
    all.push(s::order_ended("change of parameters", &news(Order::Done, "Read back as written.")));
    let secret = "The device accepted it. A secret cannot be read back.";
    all.push(s::order_ended("change of parameters", &news(Order::Accepted, secret)));
    let refused = "The device refused SetParameterValues with fault 9008 (not writable): read-only.";
    all.push(s::order_ended("change of parameters", &news(Order::Failed, refused)));
    let late = "No session in which it could be done came in time. Nothing was done.";
    all.push(s::order_ended("refresh", &news(Order::Expired, late)));
    all.push(s::order_ended(
        "restart",
        &news(Order::Cancelled, "Cancelled by ana before the device was told."),
    ));
    all
}

#[test]
fn the_sentences_are_as_written() {
    let samples = samples();
    let shown: BTreeSet<ReasonCode> = samples.iter().map(|reason| reason.code).collect();
    let missing: Vec<&ReasonCode> = ReasonCode::ALL.iter().filter(|code| !shown.contains(code)).collect();
    assert!(missing.is_empty(), "no sample sentence for {missing:?}");
    let mut text = String::new();
    for reason in &samples {
        let severity = format!("{:?}", reason.severity).to_lowercase();
        writeln!(text, "{} ({severity})\n    {}", reason.code, reason.sentence()).expect("a string");
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/reasons.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(golden == text, "the sentences changed; look at them with UPDATE_GOLDEN=1 and git diff\n{text}");
}

#[test]
fn the_host_is_told_as_the_device_wrote_it() {
    for (url, host) in [
        ("http://10.7.3.9:7547/a", "10.7.3.9"),
        ("https://10.7.3.9?x", "10.7.3.9"),
        ("http://[::ffff:10.7.3.9]:7547/", "::ffff:10.7.3.9"),
        ("http://[2001:db8::1]/", "2001:db8::1"),
    ] {
        let reason = s::waiting(Some(O::AnotherAddress), url, None, None, NOW);
        let words =
            format!("names {host}, but the device speaks from an unknown address; no request was sent");
        assert!(reason.text.contains(&words), "{}", reason.text);
    }
}

#[test]
fn codes_are_unique_words() {
    let words: BTreeSet<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(words.len(), ReasonCode::ALL.len());
    assert!(
        words
            .iter()
            .all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b.is_ascii_digit()))
    );
}
