//! A model check: a small device, a clock that stands still, and every way in which up to two things can go wrong
//! at every point: the request is lost, the answer is lost, our process is killed, the connection request reaches
//! nobody. Exhaustive, where `properties.rs` is random.

mod support;

use provisioning::{
    ConnectionRequestOutcome, Context, Device, DeviceRequest, Effect, Event, InternetMode, Link, Peer,
    Policy, ReasonCode, SessionEnd, State, Step, Timer, step,
};
use stateright::{Checker, Model, Property};
use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};
use support::{Cpe, Quirks, Refusal, START, context, intents, wish};
use types::ServiceId;

/// As little of a Huawei box as its profile can work with.
fn small_box() -> String {
    let mut csv = String::from("path,writable,type,value\n");
    let mut object = |path: &str| csv.push_str(&format!("InternetGatewayDevice.{path},true,object,\n"));
    for path in [
        "",
        "DeviceInfo.",
        "ManagementServer.",
        "WANDevice.",
        "WANDevice.1.",
        "WANDevice.1.WANConnectionDevice.",
        "WANDevice.1.WANConnectionDevice.1.",
        "WANDevice.1.WANConnectionDevice.1.WANPPPConnection.",
        "WANDevice.1.WANConnectionDevice.1.WANIPConnection.",
        "WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.",
        "WANDevice.1.WANConnectionDevice.{i}.",
        "WANDevice.1.WANConnectionDevice.{i}.WANPPPConnection.",
        "WANDevice.1.WANConnectionDevice.{i}.WANIPConnection.",
        "WANDevice.1.WANConnectionDevice.{i}.WANPPPConnection.{i}.",
        "WANDevice.1.WANConnectionDevice.{i}.WANIPConnection.{i}.",
    ] {
        object(path);
    }
    let management = "WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.";
    let ppp = "WANDevice.1.WANConnectionDevice.{i}.WANPPPConnection.{i}.";
    let ip = "WANDevice.1.WANConnectionDevice.{i}.WANIPConnection.{i}.";
    for (path, kind, value) in [
        ("DeviceInfo.Manufacturer", "string", "Huawei".to_owned()),
        ("DeviceInfo.SerialNumber", "string", "4857544300000009".to_owned()),
        ("DeviceInfo.SoftwareVersion", "string", "V5".to_owned()),
        ("ManagementServer.ConnectionRequestURL", "string", "http://10.20.0.2:7547/x".to_owned()),
        ("ManagementServer.ConnectionRequestUsername", "string", String::new()),
        ("ManagementServer.ConnectionRequestPassword", "string", String::new()),
        ("ManagementServer.Username", "string", "lk-bootstrap".to_owned()),
        ("ManagementServer.Password", "string", String::new()),
        ("ManagementServer.PeriodicInformEnable", "boolean", "true".to_owned()),
        ("ManagementServer.PeriodicInformInterval", "unsignedInt", "43200".to_owned()),
    ]
    .into_iter()
    .chain(
        [
            ("X_HW_SERVICELIST", "string", "TR069"),
            ("X_HW_VLAN", "unsignedInt", "100"),
            ("ExternalIPAddress", "string", "10.20.0.2"),
            ("Enable", "boolean", "true"),
        ]
        .into_iter()
        .map(|(leaf, kind, value)| (&*format!("{management}{leaf}").leak(), kind, value.to_owned())),
    )
    .chain(
        [
            ("Enable", "boolean", "false"),
            ("ConnectionStatus", "string", "Disconnected"),
            ("ExternalIPAddress", "string", "0.0.0.0"),
            ("LastConnectionError", "string", "ERROR_NONE"),
            ("ConnectionType", "string", "IP_Routed"),
            ("Username", "string", ""),
            ("Password", "string", ""),
            ("NATEnabled", "boolean", "false"),
            ("X_HW_VLAN", "unsignedInt", "0"),
            ("X_HW_SERVICELIST", "string", ""),
        ]
        .into_iter()
        .map(|(leaf, kind, value)| (&*format!("{ppp}{leaf}").leak(), kind, value.to_owned())),
    )
    .chain(
        [
            ("Enable", "boolean", "false"),
            ("ConnectionStatus", "string", "Disconnected"),
            ("ExternalIPAddress", "string", "0.0.0.0"),
            ("LastConnectionError", "string", "ERROR_NONE"),
            ("ConnectionType", "string", "IP_Routed"),
            ("AddressingType", "string", "Static"),
            ("NATEnabled", "boolean", "false"),
            ("X_HW_VLAN", "unsignedInt", "0"),
            ("X_HW_SERVICELIST", "string", ""),
        ]
        .into_iter()
        .map(|(leaf, kind, value)| (&*format!("{ip}{leaf}").leak(), kind, value.to_owned())),
    ) {
        csv.push_str(&format!("InternetGatewayDevice.{path},true,{kind},{value}\n"));
    }
    csv
}

struct World {
    context: Context,
    /// As it shall be once it is ACTIVE. Faults begin then.
    then: Option<Context>,
    /// Once it is ACTIVE, a connection request is answered 401. Faults begin then.
    refuses: bool,
    quirks: Quirks,
    faults: u8,
    /// Sessions in which it must come to its end.
    sessions: u8,
}

#[derive(Clone)]
struct Now {
    device: Device,
    cpe: Cpe,
    request: Option<DeviceRequest>,
    timers: BTreeSet<Timer>,
    connection_wanted: bool,
    faults_left: u8,
    sessions: u8,
    /// The intent is the second one.
    changed: bool,
    /// It was called while it was ACTIVE, and answered 401.
    refused: bool,
    /// Sessions since then in which something was written.
    repairs: u8,
    violation: Option<&'static str>,
    key: u64,
}

impl World {
    fn context(&self, now: &Now) -> &Context {
        self.then.as_ref().filter(|_| now.changed).unwrap_or(&self.context)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Inform,
    IntentChanges,
    /// An operator calls the device, and it answers 401.
    CallIsRefused,
    TimerFires(Timer),
    ConnectionRequestSucceeds,
    ConnectionRequestReachesNobody,
    Answer,
    LoseRequest,
    LoseAnswer,
    Kill,
    /// Somebody finds that the device waits for nothing.
    FindLost,
}

/// READY and PROVISIONING wait for one of these, if not for a session.
const WAITED_FOR: [Timer; 3] = [Timer::Watchdog, Timer::Attempt, Timer::VerifyCheck];

impl std::fmt::Debug for Now {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let reason = self.device.reason.as_ref().map(|reason| reason.sentence()).unwrap_or_default();
        write!(
            f,
            "{} {reason} | {:?} | containers {}",
            self.device.state(),
            self.request,
            self.cpe.containers()
        )
    }
}

impl PartialEq for Now {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Hash for Now {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl Now {
    fn sealed(mut self) -> Self {
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(&self.device).expect("a device is plain data").hash(&mut hasher);
        self.cpe.fingerprint(&mut hasher);
        format!("{:?}", self.request).hash(&mut hasher);
        (&self.timers, self.connection_wanted, self.faults_left, self.sessions, self.changed, self.violation)
            .hash(&mut hasher);
        (self.refused, self.repairs).hash(&mut hasher);
        self.key = hasher.finish();
        self
    }

    fn feed(&mut self, context: &Context, event: Event) {
        let Step { next, effects, .. } = step(&self.device, &event, context, START);
        self.device = next;
        self.request = None;
        for effect in effects {
            match effect {
                Effect::Request(request) => {
                    let service = match &request {
                        DeviceRequest::AddObject { .. } => true,
                        DeviceRequest::SetValues { values, .. } => {
                            values.iter().any(|value| !value.path.contains("ManagementServer."))
                        }
                        DeviceRequest::GetNames { .. }
                        | DeviceRequest::GetValues { .. }
                        | DeviceRequest::Reboot { .. }
                        | DeviceRequest::FactoryReset => false,
                    };
                    let allowed = matches!(self.device.state(), State::Ready | State::Provisioning);
                    if service && !allowed {
                        self.violation = Some("configuration outside READY and PROVISIONING");
                    }
                    if request.is_write() && self.device.state() == State::Active {
                        if !self.refused || !support::is_repair(&request) {
                            self.violation = Some("ACTIVE was written to");
                        }
                        self.repairs += 1;
                    }
                    self.request = Some(request);
                }
                Effect::RequestConnection => self.connection_wanted = true,
                Effect::StartTimer { timer, .. } => {
                    self.timers.insert(timer);
                }
                Effect::StopTimer { timer } => {
                    self.timers.remove(&timer);
                }
                Effect::FinishSession
                | Effect::RecordEvidence(_)
                | Effect::RecordObserved(_)
                | Effect::RecordRefreshed(_)
                | Effect::ForgetBelow { .. }
                | Effect::RecordOrder(_)
                | Effect::RecordFault(_)
                | Effect::Learn(_)
                | Effect::MakeCredentials => {}
            }
        }
    }

    fn begin_session(&mut self, context: &Context) {
        self.sessions += 1;
        // A connection request that is still on its way finds the device in a session.
        self.connection_wanted = false;
        let inform = self.cpe.inform(START, &["2 PERIODIC"]);
        let peer = Peer { address: "10.20.0.2".parse().expect("an address"), auth: self.cpe.auth() };
        self.feed(context, Event::InformReceived { inform, peer });
        let link = Link::One { service_id: ServiceId(1), olt_confirms: true, claimed_by: None, doubt: None };
        self.feed(context, Event::LinkResolved(link));
        self.feed(context, Event::SessionReady);
        self.close_if_done(context);
    }

    fn close_if_done(&mut self, context: &Context) {
        if self.request.is_none() && self.device.in_session() {
            self.feed(context, Event::SessionEnded(SessionEnd::Clean));
        }
    }
}

impl Model for World {
    type State = Now;
    type Action = Action;

    fn init_states(&self) -> Vec<Now> {
        let csv = small_box();
        vec![
            Now {
                device: Device::new(START),
                cpe: Cpe::new(&csv, self.quirks.clone()),
                request: None,
                timers: BTreeSet::new(),
                connection_wanted: false,
                faults_left: if self.then.is_some() || self.refuses { 0 } else { self.faults },
                sessions: 0,
                changed: false,
                refused: false,
                repairs: 0,
                violation: None,
                key: 0,
            }
            .sealed(),
        ]
    }

    fn actions(&self, now: &Now, actions: &mut Vec<Action>) {
        if matches!(now.device.state(), State::Active | State::Failed) && !now.device.in_session() {
            if self.then.is_some() && !now.changed {
                actions.push(Action::IntentChanges);
            }
            if self.refuses && !now.refused {
                actions.push(Action::CallIsRefused);
            }
            // With the credentials written, or the chance of this day used up, nothing is left to be done.
            if !now.refused || now.device.ownership.repaired_at.is_some() {
                return; // the end
            }
        }
        if now.request.is_some() {
            actions.push(Action::Answer);
            if now.faults_left > 0 {
                actions.extend([Action::LoseRequest, Action::LoseAnswer, Action::Kill]);
            }
            return;
        }
        if now.sessions < self.sessions {
            actions.push(Action::Inform);
            if now.connection_wanted {
                actions.push(Action::ConnectionRequestSucceeds);
                if now.faults_left > 0 {
                    actions.push(Action::ConnectionRequestReachesNobody);
                }
            }
            let useful = now.timers.iter().filter(|timer| !matches!(timer, Timer::InformOverdue));
            actions.extend(useful.map(|timer| Action::TimerFires(*timer)));
            let waits = now.device.in_session() || now.timers.iter().any(|timer| WAITED_FOR.contains(timer));
            if matches!(now.device.state(), State::Ready | State::Provisioning) && !waits {
                actions.push(Action::FindLost);
            }
        }
    }

    fn next_state(&self, last: &Now, action: Action) -> Option<Now> {
        let mut now = last.clone();
        let context = self.context(last);
        match action {
            Action::Inform => now.begin_session(context),
            Action::IntentChanges => {
                now.changed = true;
                (now.sessions, now.faults_left) = (0, self.faults);
                let context = self.context(&now);
                now.feed(context, Event::IntentChanged(wish(context)));
            }
            Action::CallIsRefused => {
                now.refused = true;
                (now.sessions, now.faults_left) = (0, self.faults);
                now.feed(context, Event::CallRequested { by: "ana".into() });
                now.connection_wanted = false;
                now.feed(context, Event::ConnectionRequestFinished(ConnectionRequestOutcome::Unauthorized));
            }
            Action::TimerFires(timer) => {
                now.timers.remove(&timer);
                now.feed(context, Event::TimerFired(timer));
            }
            Action::ConnectionRequestSucceeds => {
                now.connection_wanted = false;
                now.feed(context, Event::ConnectionRequestFinished(ConnectionRequestOutcome::Accepted));
                now.begin_session(context);
            }
            Action::ConnectionRequestReachesNobody => {
                now.connection_wanted = false;
                now.faults_left -= 1;
                now.feed(context, Event::ConnectionRequestFinished(ConnectionRequestOutcome::Unreachable));
            }
            Action::Answer => {
                let request = now.request.take()?;
                let reply = now.cpe.answer(&request, START);
                now.feed(context, Event::ReplyReceived(reply));
                now.close_if_done(context);
            }
            Action::LoseRequest => {
                now.faults_left -= 1;
                now.feed(context, Event::SessionEnded(SessionEnd::Torn));
            }
            Action::LoseAnswer => {
                now.faults_left -= 1;
                let request = now.request.take()?;
                now.cpe.answer(&request, START);
                now.feed(context, Event::SessionEnded(SessionEnd::TimedOut));
            }
            Action::FindLost => now.feed(context, Event::SessionEnded(SessionEnd::Lost)),
            Action::Kill => {
                now.faults_left -= 1;
                now.request = None;
                now.device = now.device.durable();
            }
        }
        now.cpe.told.clear();
        Some(now.sealed())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no second WAN", |_, now: &Now| {
                let most = if now.changed { 3 } else { 2 };
                now.cpe.containers() <= most && now.cpe.ppp_wans().len() <= 1 && now.cpe.ip_wans().len() <= 1
            }),
            Property::always("once a WAN carries, one always does", |_, now: &Now| {
                !now.changed || !now.cpe.carrying().is_empty()
            }),
            Property::always("no configuration outside READY and PROVISIONING", |_, now: &Now| {
                now.violation.is_none()
            }),
            Property::always("a 401 costs one write at most, and never ACTIVE", |_, now: &Now| {
                !now.refused || (now.device.state() == State::Active && now.repairs <= 1)
            }),
            Property::always("what FAILED says of the WAN is how it reads", |_, now: &Now| {
                let said = now.device.reason.as_ref().map(|reason| reason.sentence()).unwrap_or_default();
                let wanted = if now.changed { now.cpe.ip_wans() } else { now.cpe.ppp_wans() };
                let off =
                    wanted.iter().all(|wan| matches!(now.cpe.value(&format!("{wan}Enable")), "0" | "false"));
                let failed = now.device.state() == State::Failed;
                !failed || off != said.contains("could not be undone")
            }),
            Property::eventually("ACTIVE, or FAILED with the true reason", |world: &World, now: &Now| {
                if world.then.is_some() {
                    let (code, carrying) =
                        (now.device.reason.as_ref().map(|reason| reason.code), now.cpe.carrying());
                    return now.changed
                        && match now.device.state() {
                            State::Active => !world.quirks.no_lease && carrying == now.cpe.ip_wans(),
                            State::Failed => {
                                world.quirks.no_lease
                                    && code == Some(ReasonCode::NoAddress)
                                    && carrying == now.cpe.ppp_wans()
                            }
                            _ => false,
                        };
                }
                match now.device.state() {
                    State::Active if world.refuses => {
                        now.refused && now.device.ownership.repaired_at.is_some()
                    }
                    State::Active => !world.quirks.pppoe_refused && now.cpe.ppp_wans().len() == 1,
                    State::Failed => {
                        let code = now.device.reason.as_ref().map(|reason| reason.code);
                        world.quirks.pppoe_refused && code == Some(ReasonCode::PppoeRefused)
                    }
                    _ => false,
                }
            }),
            Property::sometimes("it can come to its end", |_, now: &Now| {
                matches!(now.device.state(), State::Active | State::Failed)
            }),
        ]
    }
}

fn check(quirks: Quirks, faults: u8) {
    explore(quirks, faults, None, false);
}

fn explore(quirks: Quirks, faults: u8, then: Option<InternetMode>, refuses: bool) {
    let mut first = intents(Some(200));
    first.access = None;
    let world_of = |intents| {
        let mut context = context(Some(intents));
        // The clock stands still, so every waiting time is over at once.
        context.policy = Policy {
            cool_down_s: 0,
            back_off_s: vec![0],
            connection_request_gap_s: 0,
            verify_delay_s: 0,
            verify_grace_s: 0,
            verify_checks: 1,
            clock_check_s: 0,
            ..support::policy()
        };
        context
    };
    let then = then.map(|mode| {
        let mut second = first.clone();
        second.version += 1;
        second.internet.as_mut().expect("internet").mode = mode;
        world_of(second)
    });
    let world = World { context: world_of(first), then, refuses, quirks, faults, sessions: 9 };
    let checker = world.checker().threads(2).spawn_dfs().join();
    eprintln!("{} states, {} unique", checker.state_count(), checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn two_faults_anywhere_and_it_still_ends_active() {
    check(Quirks::default(), 2);
}

#[test]
fn a_fault_anywhere_and_an_undoing_that_fails_is_still_said() {
    for refusal in [Refusal::Denied, Refusal::Lost] {
        let unwanted = vec![("Enable", "false", refusal)];
        check(Quirks { pppoe_refused: true, unwanted, ..Quirks::default() }, 1);
    }
}

#[test]
fn two_faults_anywhere_and_a_refused_login_is_still_the_reason() {
    check(Quirks { pppoe_refused: true, ..Quirks::default() }, 2);
}

#[test]
fn two_faults_anywhere_and_a_change_of_mode_never_leaves_the_customer_without_a_wan() {
    explore(Quirks::default(), 2, Some(InternetMode::Dhcp), false);
}

#[test]
fn a_fault_anywhere_and_a_change_of_mode_that_fails_leaves_the_former_wan() {
    explore(Quirks { no_lease: true, ..Quirks::default() }, 1, Some(InternetMode::Dhcp), false);
}

#[test]
fn two_faults_anywhere_and_a_401_while_active_costs_one_write_and_never_active() {
    explore(Quirks::default(), 2, None, true);
}
