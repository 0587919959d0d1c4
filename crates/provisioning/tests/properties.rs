//! Random orders of everything that can happen, against a CPE with random habits. The invariants are checked at
//! every step (`support/invariants.rs`); here the ends are.

mod support;

use profiles::fixtures;
use proptest::prelude::*;
use provisioning::{
    ConnectionRequestOutcome, DeviceFault, DeviceReply, Diagnosis, Event, InternetMode, Link, Order,
    OrderKind, SessionEnd, SetValue, State, Timer, ValueKind, WriteValue,
};
use support::{Cpe, Ending, Quirks, Refusal, Shell, TestRun, Told, intents};
use types::ServiceId;

/// What happens next.
#[derive(Debug, Clone)]
enum Happening {
    Session {
        boot: bool,
        ending: Ending,
    },
    Wait(u64),
    Run(u64),
    Outcome(ConnectionRequestOutcome),
    Fire(Timer),
    IntentChanged(u8),
    /// The outbox tells what it told before.
    ToldAgain,
    ModeChanged(InternetMode),
    Hold,
    Unhold,
    Retry,
    Call,
    Check,
    Flap,
    Offline,
    OnuKnown,
    FactoryReset,
    Relink(Link),
    /// Events a peer or a bug could send at any time.
    StrayReady,
    StrayReply(DeviceReply),
    StrayEnd(SessionEnd),
    DuplicateInform,
    /// Somebody changes a leaf behind our back.
    Meddle(u8),
    /// Somebody orders something for the device.
    Order(u8),
    /// And withdraws the oldest order that is open.
    Withdraw,
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        6 => Just(Ending::Clean),
        1 => (1u32..30).prop_map(Ending::LostRequest),
        1 => (1u32..30).prop_map(Ending::LostReply),
        1 => (1u32..30).prop_map(Ending::Killed),
    ]
}

fn outcome() -> impl Strategy<Value = ConnectionRequestOutcome> {
    use ConnectionRequestOutcome as O;
    prop_oneof![
        Just(O::Accepted),
        Just(O::Unauthorized),
        Just(O::Http(503)),
        Just(O::UrlMissing),
        Just(O::UrlInvalid),
        Just(O::NotInManagementSubnet),
        Just(O::AnotherAddress),
        Just(O::Unreachable),
        Just(O::Timeout),
        Just(O::NoInformAfterAccept),
        Just(O::Unanswered),
        Just(O::NotSent),
        Just(O::ProcessEnded),
    ]
}

fn reply() -> impl Strategy<Value = DeviceReply> {
    let fault = |code| DeviceReply::Fault(DeviceFault { code, text: "stray".into(), parameters: Vec::new() });
    prop_oneof![
        Just(DeviceReply::Names(Vec::new())),
        Just(DeviceReply::Values(Vec::new())),
        (0u8..3).prop_map(|status| DeviceReply::Set { status }),
        Just(DeviceReply::Accepted),
        (0u32..4, 0u8..2).prop_map(|(instance, status)| DeviceReply::Added { instance, status }),
        prop_oneof![
            Just(9000u32),
            Just(9001),
            Just(9002),
            Just(9003),
            Just(9004),
            Just(9005),
            Just(9008),
            Just(8001)
        ]
        .prop_map(fault),
    ]
}

fn link() -> impl Strategy<Value = Link> {
    prop_oneof![
        3 => Just(Link::One { service_id: ServiceId(1), olt_confirms: true, claimed_by: None, doubt: None }),
        1 => Just(Link::One { service_id: ServiceId(1), olt_confirms: false, claimed_by: None, doubt: None }),
        1 => Just(Link::One { service_id: ServiceId(2), olt_confirms: true, claimed_by: None, doubt: None }),
        1 => Just(Link::None { why: "no serial".into() }),
        1 => Just(Link::Several { count: 2, why: "S-1, S-2".into() }),
        1 => Just(Link::Conflict { why: "CPE 7".into() }),
    ]
}

fn mode() -> impl Strategy<Value = InternetMode> {
    prop_oneof![
        2 => Just(intents(None).internet.expect("internet").mode),
        2 => Just(InternetMode::Dhcp),
        1 => Just(InternetMode::Bridge),
        1 => Just(InternetMode::Static {
            address: "203.0.113.7".into(),
            mask: "255.255.255.0".into(),
            gateway: "203.0.113.1".into(),
            dns: vec!["203.0.113.53".into()],
        }),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (any::<bool>(), ending()).prop_map(|(boot, ending)| Happening::Session { boot, ending }),
        4 => (1u64..4000).prop_map(Happening::Wait),
        4 => (1u64..4000).prop_map(Happening::Run),
        2 => outcome().prop_map(Happening::Outcome),
        2 => prop::sample::select(Timer::ALL.to_vec()).prop_map(Happening::Fire),
        3 => (0u8..6).prop_map(Happening::IntentChanged),
        2 => Just(Happening::ToldAgain),
        2 => mode().prop_map(Happening::ModeChanged),
        1 => Just(Happening::Hold),
        2 => Just(Happening::Unhold),
        1 => Just(Happening::Retry),
        1 => Just(Happening::Call),
        1 => Just(Happening::Check),
        1 => Just(Happening::Flap),
        1 => Just(Happening::Offline),
        1 => Just(Happening::OnuKnown),
        1 => Just(Happening::FactoryReset),
        1 => link().prop_map(Happening::Relink),
        1 => Just(Happening::StrayReady),
        1 => reply().prop_map(Happening::StrayReply),
        1 => prop_oneof![
            Just(SessionEnd::Clean),
            Just(SessionEnd::Torn),
            Just(SessionEnd::TimedOut),
            Just(SessionEnd::Lost)
        ]
        .prop_map(Happening::StrayEnd),
        1 => Just(Happening::DuplicateInform),
        1 => (0u8..4).prop_map(Happening::Meddle),
        3 => (0u8..5).prop_map(Happening::Order),
        1 => Just(Happening::Withdraw),
    ]
}

fn quirks() -> impl Strategy<Value = Quirks> {
    (
        any::<bool>(),
        prop_oneof![3 => Just(None), 1 => Just(Some(2usize)), 1 => Just(Some(3))],
        prop_oneof![4 => Just(vec![]), 1 => Just(vec!["X_HW_VLAN"]), 1 => Just(vec!["Name"]), 1 => Just(vec!["NATEnabled"])],
        prop_oneof![4 => Just(vec![]), 1 => Just(vec!["ConnectionTrigger"]), 1 => Just(vec!["X_HW_SERVICELIST"])],
        (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        prop_oneof![2 => Just(0u64), 1 => Just(40), 1 => Just(5000)],
        (prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.1), any::<bool>()),
        prop_oneof![
            6 => Just(vec![]),
            1 => Just(vec![("Enable", "false", Refusal::Denied)]),
            1 => Just(vec![("Enable", "false", Refusal::Lost)]),
        ],
        prop::bool::weighted(0.2),
    )
        .prop_map(|(phantom_writes, max_params, deaf_leaves, refused_leaves, line, connect_after_s, more, unwanted, no_lease)| Quirks {
                silent: None,
                keeps_interval: None,
            phantom_writes,
            max_params,
            deaf_leaves,
            refused_leaves,
            pppoe_refused: line.0 && line.1,
            no_address: line.2 && line.3,
            connect_after_s,
            no_clock: line.0,
            ntp_unreachable: more.2,
            unauthorized: more.0,
            unreachable: more.1,
            full: more.2 && line.1,
            no_auto_route: more.3,
            unwanted,
            no_lease,
            untold: Vec::new(),
            test: match (more.3, line.1) {
                (true, true) => TestRun::Silent,
                (true, false) => TestRun::Endless,
                (false, _) => TestRun::Told,
            },
            tests_later: line.1 && line.4,
            applies_later: false,
            odd_names: Vec::new(),
            unreadable: Vec::new(),
            unconfigured_is_deaf: line.4,
            names_no_leaf: false,
        })
}

fn shell(csv: &str, quirks: Quirks, existing: bool) -> Shell {
    let vlan = (csv != fixtures::generic_tr098()).then_some(200);
    let mut cpe = Cpe::new(csv, quirks);
    if existing && csv != fixtures::generic_tr181() {
        cpe.existing_wan("200", "former@isp", support::START);
    }
    let mut shell = Shell::new(cpe, Some(intents(vlan)));
    if csv != fixtures::generic_tr181() {
        shell.invariants.management_wan =
            Some("InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.".into());
    }
    shell
}

fn happen(shell: &mut Shell, happening: Happening) {
    match happening {
        Happening::Session { boot, ending } => {
            shell.cpe.boot_due |= boot;
            shell.session(&["2 PERIODIC"], ending);
        }
        Happening::Wait(seconds) => shell.now = shell.now.plus_s(seconds),
        Happening::Run(seconds) => shell.run(seconds),
        Happening::Outcome(outcome) => {
            shell.feed(Event::ConnectionRequestFinished(outcome));
        }
        Happening::Fire(timer) => {
            shell.feed(Event::TimerFired(timer));
        }
        Happening::IntentChanged(what) => {
            let policy_routes = shell.cpe.root.starts_with("Internet")
                && shell.cpe.paths().any(|path| path.contains("X_HW_policy_route"));
            let intents = shell.context.intents.get_or_insert_with(|| intents(Some(200)));
            intents.version += 1;
            match (what, intents.internet.as_mut(), intents.access.as_mut()) {
                (0, Some(internet), _) => internet.suspended = !internet.suspended,
                (1, Some(internet), _) => internet.nat = !internet.nat,
                (2, Some(internet), _) => internet.policy_routes = policy_routes && !internet.policy_routes,
                (3, _, Some(access)) => access.wifi[0].ssid.push('x'),
                (4, _, Some(access)) => access.wifi[0].enabled = !access.wifi[0].enabled,
                _ => {}
            }
            shell.wish();
        }
        Happening::ToldAgain => {
            shell.wish();
            shell.wish();
        }
        Happening::ModeChanged(mode) => {
            if let Some(intents) = &mut shell.context.intents {
                intents.version += 1;
                intents.internet.as_mut().expect("internet").mode = mode;
            }
            shell.wish();
        }
        Happening::Hold => {
            shell.feed(Event::HoldSet { by: "ana".into() });
        }
        Happening::Unhold => {
            shell.feed(Event::HoldCleared { by: "ana".into() });
        }
        Happening::Retry => {
            shell.feed(Event::RetryRequested { by: "ana".into() });
        }
        Happening::Call => {
            shell.feed(Event::CallRequested { by: "ana".into() });
        }
        Happening::Check => {
            shell.feed(Event::CheckRequested { by: "ana".into() });
        }
        Happening::Flap => {
            shell.feed(Event::OnuFlapped);
        }
        Happening::Offline => {
            shell.feed(Event::OnuOffline);
        }
        Happening::OnuKnown => {
            shell.feed(Event::OnuKnown);
        }
        Happening::FactoryReset => shell.cpe.factory_reset(),
        Happening::Relink(link) => {
            shell.feed(Event::LinkResolved(link.clone()));
            shell.link = link;
        }
        Happening::StrayReady => {
            shell.feed(Event::SessionReady);
        }
        Happening::StrayReply(reply) => {
            shell.feed(Event::ReplyReceived(reply));
        }
        Happening::StrayEnd(how) => {
            shell.feed(Event::SessionEnded(how));
        }
        Happening::DuplicateInform => {
            let (boot, bootstrap) = (shell.cpe.boot_due, shell.cpe.bootstrap_due);
            let inform = shell.cpe.inform(shell.now, &["2 PERIODIC"]);
            (shell.cpe.boot_due, shell.cpe.bootstrap_due) = (boot, bootstrap);
            let peer = shell.peer();
            shell.feed(Event::InformReceived { inform: inform.clone(), peer: peer.clone() });
            shell.feed(Event::InformReceived { inform, peer });
        }
        Happening::Order(what) => {
            let root = shell.cpe.root;
            let what = match what {
                0 => OrderKind::refresh(format!("{root}DeviceInfo.")),
                1 => OrderKind::Set {
                    values: vec![SetValue {
                        path: format!("{root}DeviceInfo.ProvisioningCode"),
                        value: WriteValue::Plain("ordered".into()),
                        kind: ValueKind::String,
                    }],
                },
                2 => OrderKind::Reboot,
                3 => OrderKind::Diagnose(Diagnosis::Ping {
                    host: "10.0.0.1".into(),
                    count: 4,
                    timeout_ms: 1000,
                    size: 56,
                }),
                _ => OrderKind::FactoryReset,
            };
            let key = format!("lk-o-{}", shell.context.orders.len());
            shell.context.orders.push(Order { key: key.clone(), what });
            let expires_at = shell.now.plus_s(7200);
            let service_id = shell.device.link.as_ref().and_then(Link::service);
            shell.feed(Event::OrderGiven { key, service_id, expires_at });
        }
        Happening::Withdraw => {
            if let Some(order) = shell.device.orders.first() {
                let key = order.key.clone();
                shell.feed(Event::OrderCancelled { key, by: "ana".into() });
            }
        }
        Happening::Meddle(what) => {
            let Some(wan) = shell.cpe.ppp_wans().pop() else { return };
            let leaf = ["NATEnabled", "ConnectionTrigger", "Enable", "Username"][usize::from(what)];
            let path = format!("{wan}{leaf}");
            if shell.cpe.paths().any(|known| known == path) {
                shell.cpe.set(&path, if what == 3 { "meddled" } else { "false" });
            }
        }
    }
}

/// Objects of ours on the device, whatever happened.
fn no_duplicates(shell: &Shell, existing: bool) {
    let wans = shell.cpe.ppp_wans().len();
    assert!(wans <= 1, "no_add_while_a_match_exists: {wans} PPP WANs{}", shell.story());
    if shell.cpe.root.starts_with("Internet") {
        let _ = existing;
        // One for management, one for each kind the mode was.
        assert!(shell.cpe.containers() <= 3, "no_add_while_a_match_exists: containers{}", shell.story());
        assert!(shell.cpe.ip_wans().len() <= 1, "no_add_while_a_match_exists: IP WANs{}", shell.story());
    } else {
        assert!(shell.cpe.instances("Device.Ethernet.VLANTermination.").len() <= 2, "{}", shell.story());
        assert!(shell.cpe.instances("Device.IP.Interface.").len() <= 3, "{}", shell.story());
        assert!(shell.cpe.instances("Device.NAT.InterfaceSetting.").len() <= 1, "{}", shell.story());
        assert!(shell.cpe.instances("Device.DHCPv4.Client.").len() <= 2, "{}", shell.story());
    }
}

/// `PROPTEST_CASES` for a long run.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(32)
}

fn whatever_happens(
    csv: &str,
    existing: bool,
    quirks: Quirks,
    happenings: Vec<Happening>,
) -> Result<(), TestCaseError> {
    let mut shell = shell(csv, quirks, existing);
    for happening in happenings {
        happen(&mut shell, happening);
        no_duplicates(&shell, existing);
    }
    // The world becomes kind: from wherever it is, it must come to the same end.
    shell.cpe.quirks = Quirks::default();
    shell.link = Link::One { service_id: ServiceId(1), olt_confirms: true, claimed_by: None, doubt: None };
    shell.context.intents = Some(intents((csv != fixtures::generic_tr098()).then_some(200)));
    shell.feed(Event::HoldCleared { by: "ana".into() });
    shell.wish();
    if shell.device.state() != State::Active {
        shell.run_until(State::Active, 48 * 3600);
    }
    // What was meddled with is brought back; after that no write at all.
    shell.run(16 * 3600);
    prop_assert_eq!(shell.device.state(), State::Active, "{}", shell.story());
    no_duplicates(&shell, existing);
    prop_assert_eq!(shell.cpe.ppp_wans().len(), 1);
    // Whatever the mode was on the way: one WAN carries, the one that is wanted.
    if csv.starts_with("InternetGatewayDevice.") || csv.contains("\nInternetGatewayDevice.") {
        prop_assert_eq!(shell.cpe.carrying(), shell.cpe.ppp_wans(), "{}", shell.story());
    }
    // But the credentials of a connection request that was refused on the way, where they were written today already.
    let told = |shell: &Shell| {
        let repair = |told: &&Told| matches!(told, Told::Set(path, _) if path.contains(".ManagementServer.ConnectionRequest"));
        shell.cpe.told.iter().filter(|told| !repair(told)).count()
    };
    let before = told(&shell);
    shell.run(24 * 3600);
    prop_assert_eq!((shell.device.state(), told(&shell)), (State::Active, before), "{}", shell.story());
    // Every order came to an end, once, and was told.
    prop_assert_eq!(&shell.device.orders, &vec![], "{}", shell.story());
    for order in &shell.context.orders {
        let ends = shell.news.iter().filter(|news| news.key == order.key && news.state.is_over()).count();
        prop_assert_eq!(ends, 1, "{:?}: {:?}", order, shell.news);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_the_invariants_hold_and_a_good_device_ends_active(
        which in 0usize..4,
        existing in prop::bool::weighted(0.25),
        quirks in quirks(),
        happenings in prop::collection::vec(happening(), 1..40),
    ) {
        let csv = [fixtures::hg8546m(), fixtures::hg8546m(), fixtures::generic_tr098(), fixtures::generic_tr181()][which];
        whatever_happens(csv, existing && which < 2, quirks, happenings)?;
    }

    #[test]
    fn whatever_happens_every_family_ends_active(
        which in 0..fixtures::families().filter(|id| *id != "mikrotik").count(),
        quirks in quirks(),
        happenings in prop::collection::vec(happening(), 1..30),
    ) {
        let id = fixtures::families().filter(|id| *id != "mikrotik").nth(which).expect("a family");
        whatever_happens(&fixtures::family(id).expect("a box"), false, quirks, happenings)?;
    }
}

#[test]
fn a_timer_calls_no_router_back_for_its_test_that_did_not_come_when_it_was_called() {
    let link = Link::One { service_id: ServiceId(2), olt_confirms: true, claimed_by: None, doubt: None };
    let quirks = Quirks {
        unreachable: true,
        test: support::TestRun::Endless,
        no_auto_route: true,
        ..Quirks::default()
    };
    let happenings = vec![Happening::Relink(link), Happening::Order(3), Happening::Run(2)];
    whatever_happens(fixtures::hg8546m(), false, quirks, happenings).expect("no invariant is broken");
}
