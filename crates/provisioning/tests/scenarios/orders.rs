//! Device orders: what people and programs want of one device, beside its service.

use crate::support::{Cpe, Ending, Quirks, Shell, Told, intents};
use profiles::fixtures;
use provisioning::{
    DeviceRequest, Event, Link, Order, OrderKind, OrderState, SetValue, State, Timer, ValueKind, WriteValue,
};
use types::{Secret, ServiceId};

const CODE: &str = "InternetGatewayDevice.DeviceInfo.ProvisioningCode";
const INFO: &str = "InternetGatewayDevice.DeviceInfo.";

fn active() -> Shell {
    let mut shell = Shell::new(Cpe::new(fixtures::hg8546m(), Quirks::default()), Some(intents(Some(200))));
    shell.run_until(State::Active, 3600);
    shell.run(1200);
    shell
}

fn order(shell: &mut Shell, what: OrderKind) -> String {
    let key = format!("lk-o-{}", shell.context.orders.len());
    shell.context.orders.push(Order { key: key.clone(), what });
    let expires_at = shell.now.plus_s(86_400);
    let service_id = shell.device.link.as_ref().and_then(Link::service);
    shell.feed(Event::OrderGiven { key: key.clone(), service_id, expires_at });
    key
}

fn set(path: &str, value: WriteValue) -> OrderKind {
    OrderKind::Set { values: vec![SetValue { path: path.into(), value, kind: ValueKind::String }] }
}

fn states(shell: &Shell, key: &str) -> Vec<OrderState> {
    shell.news.iter().filter(|news| news.key == key).map(|news| news.state).collect()
}

fn last<'a>(shell: &'a Shell, key: &str) -> &'a provisioning::OrderNews {
    shell.news.iter().rfind(|news| news.key == key).unwrap_or_else(|| panic!("nothing was told of {key}"))
}

#[test]
fn a_refresh_asks_the_device_to_come_once_and_reads_the_subtree() {
    let mut shell = active();
    let key = order(&mut shell, OrderKind::refresh(INFO));
    assert!(shell.connection_wanted, "the device is asked to come");
    shell.run(5);
    assert_eq!(states(&shell, &key), [OrderState::Sent, OrderState::Done]);
    let names = shell.cpe.paths().filter(|path| path.starts_with(INFO) && !path.ends_with('.')).count();
    assert_eq!(shell.refreshed.keys().filter(|path| path.starts_with(INFO)).count(), names);
    assert_eq!(shell.forgotten.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), [INFO]);
    assert!(shell.device.orders.is_empty());
    assert_eq!(shell.timers.get(&Timer::OrderExpiry), None);
}

/// Two orders one after the other: the second is called for too, but not before the gap is over, and once.
#[test]
fn an_order_soon_after_a_call_is_called_for_when_that_may_be() {
    let mut shell = active();
    let gap = shell.context.policy.connection_request_gap_s;
    order(&mut shell, OrderKind::refresh(INFO));
    let called_at = shell.now;
    shell.run(5);
    assert!(shell.device.orders.is_empty(), "the first is done");
    let key = order(&mut shell, set(CODE, WriteValue::Plain("fibre-7".into())));
    assert!(!shell.connection_wanted, "not so soon again");
    assert_eq!(shell.timers.get(&Timer::OrderExpiry), Some(&called_at.plus_s(gap)));
    shell.run(gap + 5);
    assert_eq!(last(&shell, &key).state, OrderState::Done);
    assert_eq!(
        shell.device.connection.last_at,
        Some(called_at.plus_s(gap)),
        "at the end of the gap, not later"
    );

    // One that does not come is called once for it, however long it waits.
    shell.run(gap);
    order(&mut shell, OrderKind::refresh(INFO));
    shell.run(5);
    shell.cpe.quirks.unreachable = true;
    order(&mut shell, OrderKind::refresh(INFO));
    shell.run(gap + 1);
    let last_at = shell.device.connection.last_at;
    assert!(shell.device.orders.iter().all(|order| order.called), "{:?}", shell.device.orders);
    shell.run(4 * gap);
    assert_eq!(shell.device.connection.last_at, last_at, "and not again");
}

/// A call that was dropped is made once more for each order, after the gap; one that failed is not.
#[test]
fn a_call_that_was_never_sent_is_made_once_more_and_one_that_failed_is_not() {
    use provisioning::ConnectionRequestOutcome as O;
    let gap = |shell: &Shell| shell.context.policy.connection_request_gap_s;
    let finished = Event::ConnectionRequestFinished;
    // No room for it, or its turn came when the watch over it had ended.
    for late in [false, true] {
        let mut shell = active();
        let key = order(&mut shell, OrderKind::refresh(INFO));
        let called_at = shell.now;
        assert!(std::mem::take(&mut shell.connection_wanted));
        if late {
            shell.now = shell.now.plus_s(9);
            shell.feed(Event::TimerFired(Timer::Watchdog));
        }
        shell.feed(finished(O::NotSent));
        assert!(!shell.connection_wanted, "not within the gap");
        let faults = shell.faults.len();
        shell.now = called_at.plus_s(gap(&shell));
        shell.feed(Event::TimerFired(Timer::OrderExpiry));
        assert!(std::mem::take(&mut shell.connection_wanted), "once more{}", shell.story());
        // Dropped again: it waits for the next Inform.
        shell.feed(finished(O::NotSent));
        shell.now = shell.now.plus_s(4 * gap(&shell));
        shell.feed(Event::TimerFired(Timer::OrderExpiry));
        assert!(!shell.connection_wanted, "once");
        assert!(shell.faults.len() <= faults + 1);
        shell.session(&["2 PERIODIC"], Ending::Clean);
        assert_eq!(last(&shell, &key).state, OrderState::Done);
    }
    // Long after the gap, when a process that was away comes back: at once.
    let mut shell = active();
    order(&mut shell, OrderKind::refresh(INFO));
    shell.connection_wanted = false;
    shell.now = shell.now.plus_s(9);
    shell.feed(Event::TimerFired(Timer::Watchdog));
    shell.now = shell.now.plus_s(300);
    shell.feed(finished(O::NotSent));
    assert!(shell.connection_wanted);

    for failed in [O::Unreachable, O::Timeout, O::Http(503), O::ProcessEnded, O::Unanswered] {
        let mut shell = active();
        order(&mut shell, OrderKind::refresh(INFO));
        shell.connection_wanted = false;
        shell.feed(finished(failed));
        for _ in 0..5 {
            shell.now = shell.now.plus_s(gap(&shell));
            shell.feed(Event::TimerFired(Timer::OrderExpiry));
            assert!(!shell.connection_wanted, "{failed:?}");
        }
    }
}

/// A call that is dropped is made again for what it was made for, and for nothing that was called for before it.
#[test]
fn a_call_that_was_dropped_calls_for_no_order_whose_own_call_was_sent() {
    use provisioning::ConnectionRequestOutcome as O;
    let finished = Event::ConnectionRequestFinished;
    let check = || Event::CheckRequested { by: "ana".into() };
    let call = || Event::CallRequested { by: "ana".into() };
    // However the dropped one came to be made, and whenever it is known that it was.
    for by in [check, call] {
        for late in [false, true] {
            for failed in [O::Unreachable, O::Timeout, O::Http(503), O::ProcessEnded, O::Accepted] {
                let mut shell = active();
                let gap = shell.context.policy.connection_request_gap_s;
                order(&mut shell, OrderKind::refresh(INFO));
                assert!(std::mem::take(&mut shell.connection_wanted), "its own");
                shell.feed(finished(failed));
                if failed == O::Accepted {
                    shell.now = shell.now.plus_s(9);
                    shell.feed(Event::TimerFired(Timer::Watchdog));
                }
                shell.now = shell.now.plus_s(60);
                shell.feed(by());
                assert!(std::mem::take(&mut shell.connection_wanted), "somebody's");
                if late {
                    shell.now = shell.now.plus_s(9);
                    shell.feed(Event::TimerFired(Timer::Watchdog));
                }
                shell.feed(finished(O::NotSent));
                for _ in 0..3 {
                    shell.now = shell.now.plus_s(gap);
                    shell.feed(Event::TimerFired(Timer::OrderExpiry));
                    assert!(!shell.connection_wanted, "{failed:?}, late: {late}{}", shell.story());
                }
                assert!(shell.device.orders.iter().all(|order| order.called && !order.recalled));
            }
        }
    }
    // A later order's call is dropped: it is made once more for that order, and the one before has none of it.
    let mut shell = active();
    let gap = shell.context.policy.connection_request_gap_s;
    let before = order(&mut shell, OrderKind::refresh(INFO));
    shell.feed(finished(O::Unreachable));
    shell.now = shell.now.plus_s(60);
    shell.connection_wanted = false;
    let after = order(&mut shell, OrderKind::refresh(CODE));
    assert!(std::mem::take(&mut shell.connection_wanted));
    shell.feed(finished(O::NotSent));
    let recalled = |shell: &Shell, key: &str| {
        shell.device.orders.iter().find(|order| order.key == key).is_some_and(|order| order.recalled)
    };
    assert_eq!((recalled(&shell, &before), recalled(&shell, &after)), (false, true));
    shell.now = shell.now.plus_s(gap);
    shell.feed(Event::TimerFired(Timer::OrderExpiry));
    assert!(std::mem::take(&mut shell.connection_wanted), "once more");
}

/// A machine that was kept before it was known which call an order was called for by.
#[test]
fn an_order_of_a_stored_machine_is_called_for_by_no_call_that_is_dropped() {
    let mut shell = active();
    order(&mut shell, OrderKind::refresh(INFO));
    shell.feed(Event::ConnectionRequestFinished(provisioning::ConnectionRequestOutcome::Unreachable));
    shell.connection_wanted = false;
    for order in &mut shell.device.orders {
        order.called_at = None;
    }
    let kept = serde_json::to_value(&shell.device).expect("written");
    assert!(!kept.to_string().contains("called_at"));
    shell.device = serde_json::from_value(kept).expect("read");
    shell.now = shell.now.plus_s(60);
    shell.feed(Event::CheckRequested { by: "ana".into() });
    shell.connection_wanted = false;
    shell.feed(Event::ConnectionRequestFinished(provisioning::ConnectionRequestOutcome::NotSent));
    shell.now = shell.now.plus_s(60);
    shell.feed(Event::TimerFired(Timer::OrderExpiry));
    assert!(!shell.connection_wanted);
}

/// A device that applies a write after the session is called to be read back, when it may be called again.
#[test]
fn a_write_that_is_applied_later_is_read_back_without_waiting_for_the_next_inform() {
    let mut shell = active();
    shell.cpe.quirks.applies_later = true;
    let gap = shell.context.policy.connection_request_gap_s;
    let key = order(&mut shell, set(CODE, WriteValue::Plain("fibre-7".into())));
    shell.run(5);
    assert_eq!(last(&shell, &key).state, OrderState::Waiting);
    shell.run(gap + 5);
    assert_eq!(last(&shell, &key).state, OrderState::Done);
}

#[test]
fn no_secret_is_asked_for() {
    let mut shell = active();
    let root = "InternetGatewayDevice.";
    order(&mut shell, OrderKind::refresh(root));
    shell.run(60);
    let secrets: Vec<_> = shell.refreshed.values().filter(|value| value.value.is_none()).collect();
    assert!(!secrets.is_empty(), "that there are some is known");
    for value in shell.refreshed.values() {
        assert!(!types::names_a_secret(&value.path) || value.value.is_none(), "{}", value.path);
    }
}

/// That nothing is known of a secret is not said as if the device had none, and is no success.
#[test]
fn a_secret_that_is_asked_for_by_name_is_said_to_be_one() {
    let secret = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.PreSharedKey.1.PreSharedKey";
    let mut shell = active();
    let key = order(&mut shell, OrderKind::refresh(secret));
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed, "{}", news.text);
    let said =
        format!("Nothing was read. The device has {secret}, which was not read because it is a secret");
    assert!(news.text.starts_with(&said), "{}", news.text);
    assert!(shell.refreshed[secret].value.is_none(), "that there is one is known");

    let mut shell = active();
    let what = OrderKind::Refresh { path: format!("{INFO}SoftwareVersion"), also: vec![secret.into()] };
    let key = order(&mut shell, what);
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    assert!(
        news.text.starts_with("1 values read. The device has ") && news.text.contains(secret),
        "{}",
        news.text
    );
}

#[test]
fn several_things_are_read_in_one_order_and_the_device_need_not_have_all() {
    let several = |also: &[&str]| OrderKind::Refresh {
        path: CODE.into(),
        also: also.iter().map(|path| (*path).to_owned()).collect(),
    };
    let time = "InternetGatewayDevice.Time.";
    for at in 0..5 {
        let mut shell = active();
        shell.cpe.quirks.unreachable = true;
        let key = order(&mut shell, several(&["Device.DeviceInfo.", time]));
        if at > 0 {
            shell.session(&["2 PERIODIC"], Ending::LostReply(at));
            shell.now = shell.now.plus_s(10);
        }
        shell.session(&["2 PERIODIC"], Ending::Clean);
        let news = last(&shell, &key);
        assert_eq!(news.state, OrderState::Done, "torn at {at}: {}", news.text);
        assert!(news.text.ends_with("The device does not have Device.DeviceInfo."), "{}", news.text);
        assert!(
            shell.refreshed.contains_key(CODE) && shell.refreshed.keys().any(|path| path.starts_with(time))
        );
        let forgotten: Vec<&str> = shell.forgotten.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(forgotten, [CODE, time], "what was not read is not forgotten");
        assert!(shell.device.orders.is_empty());
    }
    let mut shell = active();
    let key =
        order(&mut shell, OrderKind::Refresh { path: "Device.A.".into(), also: vec!["Device.B.".into()] });
    shell.run(60);
    let news = last(&shell, &key);
    assert_eq!((news.state, news.fault.as_ref().map(|fault| fault.0)), (OrderState::Failed, Some(9005)));
}

#[test]
fn a_refresh_survives_a_torn_session_at_every_request() {
    for at in 1..4 {
        let mut shell = active();
        shell.cpe.quirks.unreachable = true;
        let key = order(&mut shell, OrderKind::refresh(INFO));
        shell.session(&["2 PERIODIC"], Ending::LostReply(at));
        shell.now = shell.now.plus_s(10);
        shell.session(&["2 PERIODIC"], Ending::Clean);
        assert_eq!(last(&shell, &key).state, OrderState::Done, "torn at {at}");
    }
}

#[test]
fn what_breaks_every_session_is_given_up() {
    let mut shell = active();
    shell.cpe.quirks.unreachable = true;
    let key = order(&mut shell, OrderKind::refresh(INFO));
    for _ in 0..3 {
        shell.session(&["2 PERIODIC"], Ending::LostRequest(1));
        shell.now = shell.now.plus_s(60);
    }
    assert_eq!(last(&shell, &key).state, OrderState::Failed);
    shell.session(&["2 PERIODIC"], Ending::Clean);
    assert!(shell.device.orders.is_empty());
}

#[test]
fn a_set_is_done_when_it_reads_back() {
    let mut shell = active();
    let key = order(&mut shell, set(CODE, WriteValue::Plain("fibre-7".into())));
    shell.run(5);
    let news = last(&shell, &key);
    assert_eq!((news.state, news.results[0].observed.as_str()), (OrderState::Done, "fibre-7"));
    assert_eq!(shell.cpe.value(CODE), "fibre-7");
    assert_eq!(shell.device.state(), State::Active, "an order is no reason to provision again");
}

#[test]
fn a_set_that_the_device_does_not_keep_fails() {
    let mut shell = active();
    shell.cpe.quirks.deaf_leaves = vec!["ProvisioningCode"];
    let key = order(&mut shell, set(CODE, WriteValue::Plain("fibre-7".into())));
    shell.run(5);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed, "{}", news.text);
    assert!(news.text.contains("does not keep it"), "{}", news.text);
}

#[test]
fn no_connection_is_written_not_even_the_services() {
    let mut shell = active();
    let ours = shell.cpe.ppp_wans().first().expect("a WAN").clone();
    for path in [
        format!("{ours}Enable"),
        "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.Enable".to_owned(),
        "InternetGatewayDevice.WANDevice.2.WANConnectionDevice.1.WANIPConnection.1.Enable".to_owned(),
    ] {
        // As if it had been given before the rule was made.
        let key = order(&mut shell, set(&path, WriteValue::Plain("0".into())));
        shell.run(1200);
        let news = last(&shell, &key);
        assert_eq!(news.state, OrderState::Failed, "{path}: {}", news.text);
        assert!(news.text.ends_with("Nothing was changed."), "{}", news.text);
        let told = |told: &Told| matches!(told, Told::Set(set, value) if *set == path && value == "0");
        assert!(!shell.cpe.told.iter().any(told), "{path}");
    }
}

#[test]
fn a_device_that_is_only_read_is_told_nothing_by_order_either() {
    for what in [OrderKind::Reboot, OrderKind::FactoryReset, set(CODE, WriteValue::Plain("fibre-7".into()))] {
        let mut shell = active();
        let profile = shell.device.profile.as_mut().expect("decided");
        profile.read_only = Some("nobody knows how it is written".into());
        let key = order(&mut shell, what);
        shell.run(1200);
        let news = last(&shell, &key);
        assert_eq!(news.state, OrderState::Failed, "{}", news.text);
        assert!(news.text.contains("nobody knows how it is written"), "{}", news.text);
        assert!(
            shell.cpe.value(CODE).is_empty() && shell.cpe.restarts.is_empty() && !shell.cpe.bootstrap_due
        );
    }
}

#[test]
fn a_write_that_may_have_happened_is_never_said_to_be_nothing() {
    for end in ["expires", "cancelled", "released", "forbidden"] {
        let mut shell = active();
        // The session breaks when the write has left.
        let key = order(&mut shell, set(CODE, WriteValue::Plain("fibre-7".into())));
        shell.connection_wanted = false;
        assert!(shell.cpe.value(CODE).is_empty(), "not yet");
        shell.session(&["2 PERIODIC"], Ending::LostReply(1));
        assert_eq!(last(&shell, &key).state, OrderState::Waiting, "{}", last(&shell, &key).text);
        match end {
            "expires" => {
                shell.now = shell.now.plus_s(90_000);
                shell.feed(Event::TimerFired(Timer::OrderExpiry));
            }
            "cancelled" => drop(shell.feed(Event::OrderCancelled { key: key.clone(), by: "ana".into() })),
            "forbidden" => {
                let profile = shell.device.profile.as_mut().expect("decided");
                profile.read_only = Some("nobody knows how it is written".into());
                shell.session(&["2 PERIODIC"], Ending::Clean);
            }
            _ => drop(shell.feed(Event::Released { why: "sold".into() })),
        }
        let news = last(&shell, &key);
        assert_eq!(shell.cpe.value(CODE), "fibre-7", "it happened");
        assert_eq!(news.state, OrderState::Failed, "{end}: {}", news.text);
        assert!(news.text.contains("have taken some of it"), "{end}: {}", news.text);
    }
}

#[test]
fn what_a_device_answers_is_told_cut() {
    let mut shell = active();
    let key = order(&mut shell, set(CODE, WriteValue::Plain("f".repeat(3000))));
    shell.run(5);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done, "{}", news.text);
    assert!(news.results[0].observed.chars().count() <= 101, "{}", news.results[0].observed);
}

#[test]
fn a_refused_set_fails_with_the_fault_and_what_it_means() {
    let mut shell = active();
    let key = order(&mut shell, set(&format!("{INFO}NoSuchLeaf"), WriteValue::Plain("1".into())));
    shell.run(5);
    let news = last(&shell, &key);
    assert_eq!((news.state, news.fault.as_ref().map(|fault| fault.0)), (OrderState::Failed, Some(9005)));
    assert!(news.text.contains("it does not know the name"), "{}", news.text);
    assert_eq!(shell.faults.iter().filter(|fault| fault.reason_code == "order_failed").count(), 1);
}

#[test]
fn a_secret_is_accepted_and_never_told() {
    let mut shell = active();
    let path = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.PreSharedKey.1.PreSharedKey";
    let key = order(&mut shell, set(path, WriteValue::Secret(Secret::new("by-hand-42"))));
    shell.run(5);
    let news = last(&shell, &key);
    assert!(!format!("{:?}", shell.news).contains("by-hand-42"));
    assert!(!serde_json::to_string(&shell.device).expect("a device is plain data").contains("by-hand-42"));
    assert_eq!(news.state, OrderState::Accepted, "nothing is done that was not read back: {}", news.text);
    assert!(news.text.contains("cannot be read back"), "{}", news.text);
}

#[test]
fn with_a_wrong_clock_nothing_but_the_time_is_written() {
    let quirks = Quirks { no_clock: true, ntp_unreachable: true, ..Quirks::default() };
    let mut shell = Shell::new(Cpe::new(fixtures::hg8546m(), quirks), Some(intents(Some(200))));
    shell.run(3600);
    assert_eq!(shell.device.state(), State::Owned);
    let key = order(&mut shell, set(CODE, WriteValue::Plain("fibre-7".into())));
    let read = order(&mut shell, OrderKind::refresh(INFO));
    shell.run(3600);
    assert_eq!(last(&shell, &read).state, OrderState::Done, "reading is allowed");
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Waiting);
    assert!(news.text.contains("time is invalid (1981"), "{}", news.text);
    assert_eq!(states(&shell, &key).len(), 1, "said once, not at every Inform");
    shell.run(86_400);
    assert_eq!(last(&shell, &key).state, OrderState::Expired);
    assert_ne!(shell.cpe.value(CODE), "fibre-7");
}

#[test]
fn a_reboot_is_done_when_the_device_says_so() {
    let mut shell = active();
    let key = order(&mut shell, OrderKind::Reboot);
    shell.run(5);
    assert_eq!(last(&shell, &key).state, OrderState::Sent);
    assert!(!shell.device.orders.is_empty(), "an accepted restart is no restart");
    shell.now = shell.now.plus_s(90);
    shell.session(&[], Ending::Clean);
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Done);
    assert!(news.text.contains("M Reboot"), "{}", news.text);
    assert_eq!(shell.cpe.restarts, [key.as_str()]);
}

#[test]
fn a_reboot_is_never_sent_twice() {
    for ending in [Ending::LostRequest(1), Ending::LostReply(1), Ending::Killed(3)] {
        let mut shell = active();
        shell.cpe.quirks.unreachable = true;
        let key = order(&mut shell, OrderKind::Reboot);
        shell.session(&["2 PERIODIC"], ending);
        assert_eq!(last(&shell, &key).state, OrderState::Sent, "{ending:?}");
        let sent = shell.cpe.restarts.len();
        for _ in 0..6 {
            shell.now = shell.now.plus_s(300);
            shell.session(&["2 PERIODIC"], Ending::Clean);
        }
        assert_eq!(shell.cpe.restarts.len(), sent, "{ending:?}");
        let wanted = if sent == 1 { OrderState::Done } else { OrderState::Failed };
        assert_eq!(last(&shell, &key).state, wanted, "{ending:?}: {}", last(&shell, &key).text);
    }
}

#[test]
fn a_factory_reset_is_done_at_bootstrap_and_the_service_comes_back() {
    let mut shell = active();
    let key = order(&mut shell, OrderKind::FactoryReset);
    shell.run(5);
    assert_eq!(last(&shell, &key).state, OrderState::Sent);
    shell.now = shell.now.plus_s(90);
    shell.session(&[], Ending::Clean);
    assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", shell.story());
    assert_eq!(shell.cpe.restarts, ["factory reset"]);
    shell.run(7200);
    assert_eq!(shell.device.state(), State::Active, "{}", shell.story());
}

#[test]
fn nothing_is_restarted_in_the_middle_of_provisioning() {
    let mut shell = Shell::new(Cpe::new(fixtures::hg8546m(), Quirks::default()), Some(intents(Some(200))));
    shell.run_until(State::Provisioning, 3600);
    let key = order(&mut shell, OrderKind::Reboot);
    assert!(shell.device.run.is_some() && shell.cpe.restarts.is_empty());
    // That it is not sent while a run is open is one of the invariants.
    shell.run_until(State::Active, 3600);
    shell.run(3600);
    assert_eq!(last(&shell, &key).state, OrderState::Done, "{}", shell.story());
}

#[test]
fn a_failed_device_can_be_looked_at() {
    let quirks = Quirks { pppoe_refused: true, ..Quirks::default() };
    let mut shell = Shell::new(Cpe::new(fixtures::hg8546m(), quirks), Some(intents(Some(200))));
    shell.run_until(State::Failed, 3600);
    let told = shell.cpe.told.len();
    let key = order(&mut shell, OrderKind::refresh(INFO));
    shell.session(&["2 PERIODIC"], Ending::Clean);
    assert_eq!((last(&shell, &key).state, shell.device.state()), (OrderState::Done, State::Failed));
    assert_eq!(shell.cpe.told.len(), told, "it is read and not written");
}

#[test]
fn a_device_in_quarantine_is_told_nothing() {
    let mut shell = active();
    shell.link = Link::None { why: "no serial matches".into() };
    shell.feed(Event::LinkResolved(shell.link.clone()));
    let key = order(&mut shell, OrderKind::refresh(INFO));
    let requests = shell.requests;
    shell.session(&["2 PERIODIC"], Ending::Clean);
    assert_eq!(shell.requests, requests);
    assert_eq!(last(&shell, &key).state, OrderState::Waiting);
    shell.link = Link::One { service_id: ServiceId(1), olt_confirms: true, claimed_by: None, doubt: None };
    shell.session(&["2 PERIODIC"], Ending::Clean);
    assert_eq!(last(&shell, &key).state, OrderState::Done);
}

#[test]
fn what_was_not_sent_can_be_withdrawn_and_what_was_sent_cannot() {
    let mut shell = active();
    shell.cpe.quirks.unreachable = true;
    let key = order(&mut shell, OrderKind::Reboot);
    shell.feed(Event::OrderCancelled { key: key.clone(), by: "ana".into() });
    assert_eq!(last(&shell, &key).state, OrderState::Cancelled);
    let key = order(&mut shell, OrderKind::Reboot);
    shell.session(&["2 PERIODIC"], Ending::Clean);
    shell.feed(Event::OrderCancelled { key: key.clone(), by: "ana".into() });
    assert_eq!(last(&shell, &key).state, OrderState::Sent);
}

#[test]
fn an_order_for_a_customer_who_left_is_not_done_to_the_next() {
    let mut shell = active();
    shell.cpe.quirks.unreachable = true;
    let key = order(&mut shell, set(CODE, WriteValue::Plain("fibre-7".into())));
    shell.feed(Event::Released { why: "the service ended".into() });
    let news = last(&shell, &key);
    assert_eq!(news.state, OrderState::Failed, "nobody withdrew it: {}", news.text);
    assert!(news.text.ends_with("Nothing was changed."), "{}", news.text);
    shell.run(3600);
    assert_ne!(shell.cpe.value(CODE), "fibre-7");
}

fn of(service: i64) -> Link {
    Link::One { service_id: ServiceId(service), olt_confirms: true, claimed_by: None, doubt: None }
}

#[test]
fn what_was_ordered_while_there_was_no_service_is_not_done_to_the_first_that_comes() {
    let mut shell = active();
    shell.cpe.quirks.unreachable = true;
    shell.link = Link::None { why: "released by ana".into() };
    shell.feed(Event::Released { why: "released by ana".into() });
    let reset = order(&mut shell, OrderKind::FactoryReset);
    let write = order(&mut shell, set(CODE, WriteValue::Plain("fibre-7".into())));
    let read = order(&mut shell, OrderKind::refresh(INFO));
    shell.session(&["2 PERIODIC"], Ending::Clean);
    shell.link = of(2);
    shell.run(3600);
    for key in [&reset, &write] {
        let news = last(&shell, key);
        assert_eq!(news.state, OrderState::Failed, "{}", news.text);
        assert!(news.text.contains("belonged to no service"), "{}", news.text);
    }
    assert_eq!(last(&shell, &read).state, OrderState::Done, "reading does nothing to anybody");
    assert_eq!(shell.cpe.restarts, Vec::<String>::new());
    assert_ne!(shell.cpe.value(CODE), "fibre-7");
}

#[test]
fn an_order_outlives_a_doubt_about_its_service_but_not_another_service() {
    for (after, wanted) in [(1, OrderState::Done), (2, OrderState::Failed)] {
        let mut shell = active();
        shell.cpe.quirks.unreachable = true;
        let key = order(&mut shell, set(CODE, WriteValue::Plain("fibre-7".into())));
        shell.link = Link::None { why: "the OLT is not read".into() };
        shell.session(&["2 PERIODIC"], Ending::Clean);
        assert_eq!(last(&shell, &key).state, OrderState::Waiting);
        shell.link = of(after);
        shell.run(3600);
        assert_eq!(last(&shell, &key).state, wanted, "{}", last(&shell, &key).text);
        assert_eq!(shell.cpe.value(CODE) == "fibre-7", after == 1);
    }
}

#[test]
fn a_device_that_never_spoke_loses_its_orders_with_its_service() {
    for event in [Event::LinkResolved(of(2)), Event::Released { why: "released by ana".into() }] {
        let mut shell = Shell::new(Cpe::new(fixtures::hg8546m(), Quirks::default()), None);
        shell.feed(Event::LinkResolved(of(1)));
        let key = order(&mut shell, OrderKind::FactoryReset);
        shell.feed(event.clone());
        assert_eq!(shell.device.state(), State::Discovered);
        assert_eq!(last(&shell, &key).state, OrderState::Failed, "{event:?}");
        assert!(shell.device.orders.is_empty(), "{event:?}");
    }
}

#[test]
fn without_an_order_nothing_is_ever_restarted() {
    let mut shell = active();
    let expires_at = shell.now.plus_s(60);
    let service_id = Some(ServiceId(1));
    let step = shell.feed(Event::OrderGiven { key: "unknown".into(), service_id, expires_at });
    assert!(!step.effects.iter().any(|effect| matches!(
        effect,
        provisioning::Effect::Request(DeviceRequest::Reboot { .. } | DeviceRequest::FactoryReset)
    )));
    shell.session(&["2 PERIODIC"], Ending::Clean);
    shell.run(120);
    assert_eq!(shell.cpe.restarts, Vec::<String>::new());
    assert!(shell.device.orders.is_empty(), "an order whose content is gone expires");
}
