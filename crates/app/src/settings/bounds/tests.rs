//! Every field at its edges.

use super::*;
use crate::AppError;
use serde_json::{Value, json};

/// Saturday 21 November 2026.
const NOW: UtcMs = UtcMs(1_795_271_400_000);
const BOTH: [PolicyLimits; 2] = [PolicyLimits::Network, PolicyLimits::Simulated];

fn wrong(policy: &AcsPolicy, limits: PolicyLimits) -> Vec<(String, String)> {
    match policy.check(limits, NOW) {
        Ok(()) => Vec::new(),
        Err(AppError::Invalid { fields }) => fields.into_iter().map(|f| (f.field, f.message)).collect(),
        Err(other) => panic!("{other}"),
    }
}

/// The default policy with one value of its JSON replaced.
fn with(field: &str, value: Value) -> AcsPolicy {
    let mut all = serde_json::to_value(AcsPolicy::default()).expect("json");
    all["management_networks"] = json!(["10.20.0.0/16"]);
    let place = field.split('.').fold(&mut all, |at, part| at.get_mut(part).expect("a field of the policy"));
    *place = value;
    serde_json::from_value(all).expect("of the right type")
}

fn is_wrong(field: &str, value: Value, limits: PolicyLimits) -> Option<String> {
    let found = wrong(&with(field, value), limits);
    found.into_iter().find(|(name, _)| name == field).map(|(_, message)| message)
}

#[test]
fn the_defaults_are_acceptable_and_complete_json() {
    for limits in BOTH {
        assert_eq!(wrong(&AcsPolicy::default(), limits), []);
    }
    let text = serde_json::to_string(&AcsPolicy::default()).expect("json");
    assert_eq!(serde_json::from_str::<AcsPolicy>(&text).expect("own json"), AcsPolicy::default());
    assert_eq!(serde_json::from_str::<AcsPolicy>("{}").expect("all optional"), AcsPolicy::default());
}

#[test]
fn every_number_of_the_policy_has_a_bound() {
    let all = serde_json::to_value(AcsPolicy::default()).expect("json");
    let numbers = |value: &Value, before: &str| -> Vec<String> {
        let fields = value.as_object().expect("an object");
        fields.iter().filter(|(_, v)| v.is_number()).map(|(name, _)| format!("{before}{name}")).collect()
    };
    let mut wanted = numbers(&all, "");
    wanted.extend(numbers(&all["provisioning"], "provisioning."));
    let mut bounded: Vec<String> = PolicyBound::all().iter().map(|bound| bound.field.to_owned()).collect();
    wanted.sort();
    bounded.sort();
    assert_eq!(bounded, wanted);
    for bound in PolicyBound::all() {
        let policy = with(bound.field, json!(1234));
        assert_eq!(bound.get(&policy), 1234, "{} reads another field", bound.field);
        let mut set = AcsPolicy::default();
        bound.set(&mut set, 1234);
        assert_eq!(bound.get(&set), 1234, "{} sets another field", bound.field);
    }
}

#[test]
fn every_number_is_refused_just_outside_its_edges() {
    for limits in BOTH {
        for bound in PolicyBound::all() {
            let (low, high) = bound.range(limits, NOW);
            // What two values must be to each other is another test's.
            let judged = |value: u64| {
                let message = is_wrong(bound.field, json!(value), limits);
                message.filter(|message| message.contains("is outside"))
            };
            for inside in [low, high] {
                assert_eq!(judged(inside), None, "{} {inside} {limits:?}", bound.field);
            }
            let below = low.checked_sub(1).filter(|below| !(bound.zero_too() && *below == 0));
            for outside in [Some(high + 1), below].into_iter().flatten() {
                let message =
                    judged(outside).unwrap_or_else(|| panic!("{} {outside} is accepted", bound.field));
                assert!(
                    message.starts_with(&format!("{outside} is outside")) && message.ends_with('.'),
                    "{message}"
                );
            }
            assert_eq!(judged(0).is_none(), low == 0 || bound.zero_too(), "{} 0", bound.field);
        }
    }
    assert_eq!(is_wrong("provisioning.drift_check_s", json!(0), PolicyLimits::Network), None, "never");
    let cool_down = |limits| PolicyBound::all()[0].range(limits, NOW);
    assert_eq!(cool_down(PolicyLimits::Network), (300, 600), "5 to 10 minutes");
    let year =
        is_wrong("provisioning.clock_floor_year", json!(2027), PolicyLimits::Network).expect("not yet");
    assert!(year.contains("2015 to 2026"), "{year}");
    assert!(is_wrong("provisioning.clock_floor_year", json!(-5), PolicyLimits::Network).is_some());
}

#[test]
fn lists_and_texts_are_refused_just_outside_their_edges() {
    let servers = |count: usize| json!(vec!["ntp.example"; count]);
    let long = |count: usize| json!("x".repeat(count));
    let nets = |count: u8| json!((0..count).map(|n| format!("10.{n}.0.0/16")).collect::<Vec<_>>());
    let table: [(&str, Vec<Value>, Vec<Value>); 9] = [
        (
            "provisioning.back_off_s",
            vec![json!([60]), json!([604_800]), json!(vec![900; 12])],
            vec![json!([]), json!([0]), json!([900, 0]), json!([59]), json!([604_801]), json!(vec![900; 13])],
        ),
        (
            "provisioning.ntp_servers",
            vec![servers(1), servers(5), json!(["10.20.0.1"]), json!(["2001:db8::123"]), json!([long(64)])],
            vec![
                servers(0),
                servers(6),
                json!([""]),
                json!(["a b"]),
                json!(["a\nb"]),
                json!(["."]),
                json!([long(65)]),
            ],
        ),
        (
            "provisioning.time_zone",
            vec![json!("+00:00"), json!("+14:00"), json!("-12:00"), json!("+05:30")],
            vec![
                json!(""),
                json!("05:30"),
                json!("+14:01"),
                json!("-12:01"),
                json!("+5:30"),
                json!("+05:60"),
                json!("UTC"),
            ],
        ),
        (
            "provisioning.time_zone_posix",
            vec![json!("UTC0"), json!("IST-5:30"), json!("<+03>-3"), json!("CET-1CEST,M3.5.0,M10.5.0/3")],
            vec![
                json!(""),
                json!("UTC"),
                json!("U0"),
                json!("+05:30"),
                json!("IST -5"),
                json!("<+03"),
                json!("IST-"),
            ],
        ),
        (
            "provisioning.wan_label",
            vec![json!("LK-Internet"), json!("abc"), long(32)],
            vec![
                json!(""),
                json!("ab"),
                long(33),
                json!("1-Internet"),
                json!("cpe-1"),
                json!("CPE-x"),
                json!("a b c"),
            ],
        ),
        (
            "management_networks",
            vec![
                json!([]),
                json!(["10.0.0.0/8"]),
                json!(["10.20.3.9/32"]),
                json!(["fd00:20::/48", "2001:db8::/32"]),
                nets(64),
            ],
            vec![
                json!(["::/0"]),
                json!(["10.20.0.0/16", "fd00::/31"]),
                json!(["0.0.0.0/0"]),
                json!(["10.0.0.0/7"]),
                json!(["10.20.0.0/16", "0.0.0.0/1"]),
                nets(65),
            ],
        ),
        (
            "nat_networks",
            vec![json!([]), json!(["10.20.0.0/16"]), json!(["10.20.3.0/24"])],
            vec![
                json!(["fd00:20::/48"]),
                json!(["0.0.0.0/0"]),
                json!(["10.0.0.0/8"]),
                json!(["10.21.0.0/24"]),
            ],
        ),
        (
            "ntp_networks",
            vec![
                json!([]),
                json!([{ "network": "10.20.3.0/24", "servers": ["10.20.3.1"] }, { "network": "10.20.0.0/16", "servers": servers(5) }]),
            ],
            vec![
                json!([{ "network": "10.0.0.0/8", "servers": servers(1) }]),
                json!([{ "network": "0.0.0.0/0", "servers": servers(1) }]),
                json!([{ "network": "10.20.3.0/24", "servers": [] }]),
                json!([{ "network": "10.20.3.0/24", "servers": servers(6) }]),
                json!([{ "network": "10.20.3.0/24", "servers": ["a b"] }]),
                json!([{ "network": "10.20.3.0/24", "servers": servers(1) }, { "network": "10.20.3.0/24", "servers": servers(1) }]),
            ],
        ),
        (
            "first_contact_username",
            vec![json!("x"), long(64)],
            vec![json!(""), json!("  "), long(65), json!("a:b"), json!("a\"b"), json!("a\u{7}b")],
        ),
    ];
    for limits in BOTH {
        for (field, fine, bad) in &table {
            for value in fine {
                assert_eq!(is_wrong(field, value.clone(), limits), None, "{field} {value}");
            }
            for value in bad {
                if limits == PolicyLimits::Simulated && *value == json!([59]) {
                    continue;
                }
                let message = is_wrong(field, value.clone(), limits);
                assert!(
                    message.is_some_and(|m| m.ends_with('.')),
                    "{field} {value} is accepted, or without a sentence"
                );
            }
        }
    }
    for (password, fits) in [
        ("", true),
        ("12345678", true),
        ("1234567", false),
        (&"x".repeat(128), true),
        (&"x".repeat(129), false),
        ("1234567\n", false),
        ("with blank", false),
        ("κωδικός-123", false),
    ] {
        assert_eq!(first_contact_password(Some(&types::Secret::new(password))).is_ok(), fits, "{password:?}");
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let mut policy = AcsPolicy::default();
    policy.provisioning.inform_interval_s = 900;
    policy.provisioning.inform_spread_s = 450;
    assert_eq!(wrong(&policy, PolicyLimits::Network), []);
    policy.provisioning.inform_spread_s = 451;
    policy.provisioning.verify_delay_s = 181;
    policy.olt_word_valid_s = 60;
    policy.autofind_interval_s = 61;
    let fields: Vec<String> =
        wrong(&policy, PolicyLimits::Network).into_iter().map(|(field, _)| field).collect();
    assert_eq!(fields, ["provisioning.inform_spread_s", "provisioning.verify_delay_s", "olt_word_valid_s"]);
}

#[test]
fn what_an_older_version_accepted_is_made_safe_and_said() {
    let stored = json!({
        "provisioning": { "cool_down_s": 0, "back_off_s": [0, 900], "requests_per_session": 0, "clock_floor_year": 1,
            "ntp_servers": [], "ntp_pushes": 0, "inform_interval_s": 60, "inform_spread_s": 4_000_000, "verify_grace_s": 0,
            "verify_delay_s": 300, "wan_label": "", "time_zone": "", "time_zone_posix": "" },
        "management_networks": ["0.0.0.0/0", "10.20.0.0/16"], "nat_networks": ["192.0.2.0/24", "10.20.3.0/24"],
        "ntp_networks": [{ "network": "10.20.3.0/24", "servers": ["10.20.3.1"] }, { "network": "10.20.4.0/24", "servers": [] },
            { "network": "192.0.2.0/24", "servers": ["a"] }, { "network": "10.20.3.0/24", "servers": ["b"] }],
        "first_contact_username": "", "olt_word_valid_s": 99_999_999, "quarantine_limit": 0, "autofind_interval_s": 0,
    });
    for limits in BOTH {
        let policy: AcsPolicy = serde_json::from_value(stored.clone()).expect("of the right types");
        let (safe, said) = policy.made_safe(limits, NOW);
        assert_eq!(wrong(&safe, limits), [], "safe afterwards");
        assert!(said.len() > 12 && said.iter().any(|f| f.field == "management_networks"), "{said:?}");
        assert_eq!(safe.management_networks, ["10.20.0.0/16".parse().expect("a network")]);
        assert_eq!(safe.nat_networks, ["10.20.3.0/24".parse().expect("a network")]);
        let kept: Vec<&str> = safe.ntp_networks.iter().map(|named| named.servers[0].as_str()).collect();
        assert_eq!(kept, ["10.20.3.1"]);
        assert_eq!(safe.provisioning.back_off_s[1], 900, "what was right stays");
    }
    let (same, said) = AcsPolicy::default().made_safe(PolicyLimits::Network, NOW);
    assert_eq!((same, said), (AcsPolicy::default(), Vec::new()));
}

#[test]
fn the_smallest_network_names_the_time_servers() {
    let policy = with(
        "ntp_networks",
        json!([
            { "network": "10.20.0.0/16", "servers": ["wide"] },
            { "network": "10.20.3.0/24", "servers": ["narrow", "second"] },
            { "network": "10.20.3.128/25", "servers": ["narrowest"] },
        ]),
    );
    let at = |address: &str| policy.ntp_servers_at(address.parse().ok())[0].clone();
    assert_eq!(at("10.20.9.1"), "wide");
    assert_eq!(at("10.20.3.9"), "narrow");
    assert_eq!(at("10.20.3.200"), "narrowest");
    assert_eq!(at("::ffff:10.20.3.9"), "narrow");
    for elsewhere in ["10.21.0.1", "2001:db8::1", ""] {
        assert_eq!(at(elsewhere), "pool.ntp.org", "the default, {elsewhere:?}");
    }
}
