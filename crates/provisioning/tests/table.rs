//! The whole table, state by event, as a golden file. `UPDATE_GOLDEN=1` rewrites it.

mod support;

use profiles::fixtures;
use provisioning::{
    ConnectionRequestOutcome, DeviceReply, Effect, Event, Layer, Link, SessionEnd, State, Step, Timer, Wish,
    step,
};
use std::fmt::Write;
use support::{Cpe, Quirks, Shell, intents};
use types::ServiceId;

/// A device in each state, out of session, brought there by the machine itself.
fn device_in(state: State) -> Shell {
    let quirks = match state {
        State::Owned => Quirks { no_clock: true, ntp_unreachable: true, ..Quirks::default() },
        State::WaitingInform => Quirks { unreachable: true, ..Quirks::default() },
        State::Failed => Quirks { pppoe_refused: true, ..Quirks::default() },
        _ => Quirks::default(),
    };
    let mut shell = Shell::new(Cpe::new(fixtures::hg8546m(), quirks), Some(intents(Some(200))));
    match state {
        State::Discovered => return shell,
        State::Informed => {
            shell.link =
                Link::One { service_id: ServiceId(1), olt_confirms: false, claimed_by: None, doubt: None };
            shell.run(60);
            shell.link =
                Link::One { service_id: ServiceId(1), olt_confirms: true, claimed_by: None, doubt: None };
        }
        State::Owned => shell.run(60),
        State::TimeSynced => {
            shell.context.intents = None;
            shell.run(60);
            shell.context.intents = Some(intents(Some(200)));
        }
        State::Ready => {
            shell.run_until(State::Active, 3600);
            shell.run(600);
            let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
            access.wifi[0].ssid = "Renamed".into();
            shell.wish();
            // The connection request of the change is over and done with.
            shell.now = shell.now.plus_s(60);
            shell.device.connection.outstanding_since = None;
        }
        State::Provisioning => {
            shell.run_until(State::Provisioning, 3600);
            shell.now = shell.now.plus_s(60);
            shell.device.connection.outstanding_since = None;
        }
        State::WaitingInform | State::Failed => shell.run_until(state, 3600),
        State::Active => {
            shell.run_until(State::Active, 3600);
            shell.run(600);
        }
    }
    assert_eq!(shell.device.state(), state, "{}", shell.story());
    assert!(!shell.device.in_session());
    shell
}

fn events(shell: &mut Shell) -> Vec<(&'static str, Vec<Event>)> {
    let peer = shell.peer();
    let mut inform = shell.cpe.inform(shell.now, &["2 PERIODIC"]);
    inform.events.truncate(1);
    let mut bootstrap = inform.clone();
    bootstrap.events[0].code = "0 BOOTSTRAP".into();
    let mut past = inform.clone();
    past.current_time = "1981-01-01T00:05:12".into();
    let informed = |inform| Event::InformReceived { inform, peer: peer.clone() };
    let one = |id| Link::One { service_id: ServiceId(id), olt_confirms: true, claimed_by: None, doubt: None };
    let by = || "ana".to_owned();
    let wish = support::wish(&shell.context);
    let other = Wish { version: 9, layers: [(Layer::Internet, "another".to_owned())].into() };
    let expires_at = shell.now.plus_s(86_400);
    let ordered = |key: &str| Event::OrderGiven { key: key.into(), service_id: None, expires_at };
    let what = provisioning::OrderKind::refresh("InternetGatewayDevice.DeviceInfo.");
    shell.context.orders = vec![provisioning::Order { key: "lk-o-1".into(), what }];
    vec![
        ("OnuKnown", vec![Event::OnuKnown]),
        ("Inform", vec![informed(inform.clone())]),
        (
            "Inform, linked, ready",
            vec![informed(inform.clone()), Event::LinkResolved(one(1)), Event::SessionReady],
        ),
        (
            "Inform in 1981, linked, ready",
            vec![informed(past), Event::LinkResolved(one(1)), Event::SessionReady],
        ),
        ("Inform 0 BOOTSTRAP", vec![informed(bootstrap)]),
        ("SessionReady without Inform", vec![Event::SessionReady]),
        ("ReplyReceived unasked", vec![Event::ReplyReceived(DeviceReply::Set { status: 0 })]),
        (
            "Inform, linked, ready, torn",
            vec![
                informed(inform.clone()),
                Event::LinkResolved(one(1)),
                Event::SessionReady,
                Event::SessionEnded(SessionEnd::Torn),
            ],
        ),
        ("SessionEnded after a restart", vec![Event::SessionEnded(SessionEnd::TimedOut)]),
        ("SessionEnded, found lost", vec![Event::SessionEnded(SessionEnd::Lost)]),
        ("LinkResolved same", vec![Event::LinkResolved(one(1))]),
        ("LinkResolved other", vec![Event::LinkResolved(one(2))]),
        ("LinkResolved none", vec![Event::LinkResolved(Link::None { why: "no serial matches".into() })]),
        (
            "LinkResolved several",
            vec![Event::LinkResolved(Link::Several { count: 2, why: "S-1, S-2".into() })],
        ),
        ("LinkResolved conflict", vec![Event::LinkResolved(Link::Conflict { why: "CPE 7".into() })]),
        ("CR accepted", vec![Event::ConnectionRequestFinished(ConnectionRequestOutcome::Accepted)]),
        ("CR 401", vec![Event::ConnectionRequestFinished(ConnectionRequestOutcome::Unauthorized)]),
        (
            "CR 401, Inform, linked, ready",
            vec![
                Event::ConnectionRequestFinished(ConnectionRequestOutcome::Unauthorized),
                informed(inform.clone()),
                Event::LinkResolved(one(1)),
                Event::SessionReady,
            ],
        ),
        ("CR unreachable", vec![Event::ConnectionRequestFinished(ConnectionRequestOutcome::Unreachable)]),
        ("Timer watchdog", vec![Event::TimerFired(Timer::Watchdog)]),
        ("Timer attempt", vec![Event::TimerFired(Timer::Attempt)]),
        ("Timer verify_check", vec![Event::TimerFired(Timer::VerifyCheck)]),
        ("Timer clock_check", vec![Event::TimerFired(Timer::ClockCheck)]),
        ("Timer inform_overdue", vec![Event::TimerFired(Timer::InformOverdue)]),
        ("Timer order_expiry", vec![Event::TimerFired(Timer::OrderExpiry)]),
        ("OrderGiven", vec![ordered("lk-o-1")]),
        (
            "OrderGiven, OrderCancelled",
            vec![ordered("lk-o-1"), Event::OrderCancelled { key: "lk-o-1".into(), by: by() }],
        ),
        (
            "OrderGiven, Inform, linked, ready",
            vec![
                ordered("lk-o-1"),
                informed(inform.clone()),
                Event::LinkResolved(one(1)),
                Event::SessionReady,
            ],
        ),
        ("IntentChanged", vec![Event::IntentChanged(other)]),
        ("IntentChanged, told again", vec![Event::IntentChanged(wish.clone()), Event::IntentChanged(wish)]),
        ("HoldSet", vec![Event::HoldSet { by: by() }]),
        ("HoldCleared", vec![Event::HoldCleared { by: by() }]),
        ("RetryRequested", vec![Event::RetryRequested { by: by() }]),
        ("CallRequested", vec![Event::CallRequested { by: by() }]),
        (
            "CallRequested, CR 401",
            vec![
                Event::CallRequested { by: by() },
                Event::ConnectionRequestFinished(ConnectionRequestOutcome::Unauthorized),
            ],
        ),
        ("CheckRequested", vec![Event::CheckRequested { by: by() }]),
        (
            "CheckRequested, CR 401",
            vec![
                Event::CheckRequested { by: by() },
                Event::ConnectionRequestFinished(ConnectionRequestOutcome::Unauthorized),
            ],
        ),
        (
            "CheckRequested, Timer watchdog",
            vec![Event::CheckRequested { by: by() }, Event::TimerFired(Timer::Watchdog)],
        ),
        ("WanChosen unasked", vec![Event::WanChosen { path: "WANDevice.1.".into(), by: by() }]),
        ("ClockGateOverridden", vec![Event::ClockGateOverridden { by: by() }]),
        (
            "ClockGateOverridden, ClockGateRestored",
            vec![Event::ClockGateOverridden { by: by() }, Event::ClockGateRestored { by: by() }],
        ),
        ("Released", vec![Event::Released { why: "terminated".into() }]),
        ("OnuFlapped", vec![Event::OnuFlapped]),
        ("OnuOffline", vec![Event::OnuOffline]),
    ]
}

fn effect(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Request(request) => request.rpc().to_owned(),
        Effect::FinishSession => "finish".into(),
        Effect::RequestConnection => "request connection".into(),
        Effect::StartTimer { timer, .. } => format!("start {}", timer.as_str()),
        Effect::StopTimer { timer } => format!("stop {}", timer.as_str()),
        Effect::RecordFault(fault) => format!("fault {}", fault.reason_code),
        Effect::MakeCredentials => "make credentials".into(),
        Effect::RecordOrder(news) => format!("order {}", news.state.as_str()),
        Effect::RecordEvidence(_)
        | Effect::RecordObserved(_)
        | Effect::RecordRefreshed(_)
        | Effect::ForgetBelow { .. }
        | Effect::Learn(_) => return None,
    })
}

#[test]
fn the_table_is_as_written() {
    let mut table = String::from(
        "State by event. Each row starts from a device the machine itself brought to that state, out of session.\n",
    );
    for state in State::ALL {
        writeln!(table, "\n{state}").expect("a string");
        let mut shell = device_in(state);
        for (name, events) in events(&mut shell) {
            let mut device = shell.device.clone();
            let mut steps: Vec<Step> = Vec::new();
            for event in events {
                let step = step(&device, &event, &shell.context, shell.now);
                device = step.next.clone();
                steps.push(step);
            }
            let path: Vec<&str> = std::iter::once(state.as_str())
                .chain(
                    steps.iter().flat_map(|step| &step.transitions).map(|transition| transition.to.as_str()),
                )
                .skip(1)
                .collect();
            let to = if path.is_empty() { "·".to_owned() } else { path.join(" → ") };
            let effects: Vec<String> =
                steps.iter().flat_map(|step| &step.effects).filter_map(effect).collect();
            let said: Vec<&str> = steps
                .iter()
                .flat_map(|step| {
                    let moved = step.transitions.iter().map(|transition| transition.reason.code.as_str());
                    moved.chain(step.reasons.iter().map(|reason| reason.code.as_str()))
                })
                .collect();
            writeln!(table, "  {name:<30} {to:<40} [{}] {}", effects.join(", "), said.join(" "))
                .expect("a string");
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/table.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &table).expect("the golden file can be written");
    }
    let golden = std::fs::read_to_string(path).unwrap_or_default();
    assert!(golden == table, "the table changed; look at it with UPDATE_GOLDEN=1 and git diff\n{table}");
}
