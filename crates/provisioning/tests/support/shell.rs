//! What the application does around the machine, with a virtual clock and a way to be killed anywhere.

use super::{Cpe, START, context, invariants::Invariants};
use provisioning::{
    ConnectionRequestOutcome, Context, Device, DeviceReply, DeviceRequest, Effect, Event, FaultRecord,
    Intents, LearnedFact, Link, Peer, Reason, SessionEnd, State, Step, Timer, Transition,
    recording::{Header, Recorder},
    step,
};
use std::collections::BTreeMap;
use types::{ServiceId, UtcMs};

/// How a session goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// To its end.
    Clean,
    /// The connection breaks at the n-th request, before the device acts on it.
    LostRequest(u32),
    /// The connection breaks at the n-th request, after the device acted on it: the answer is lost.
    LostReply(u32),
    /// Our process is killed after the n-th step was persisted, before its effects left.
    Killed(u32),
}

pub struct Shell {
    pub device: Device,
    pub cpe: Cpe,
    pub context: Context,
    pub now: UtcMs,
    pub timers: BTreeMap<Timer, UtcMs>,
    pub connection_wanted: bool,
    pub transitions: Vec<Transition>,
    pub reasons: Vec<Reason>,
    pub faults: Vec<FaultRecord>,
    pub learned: Vec<LearnedFact>,
    pub evidence: BTreeMap<(provisioning::Layer, String), provisioning::Evidence>,
    pub invariants: Invariants,
    pub link: Link,
    /// What became of device orders, as told.
    pub news: Vec<provisioning::OrderNews>,
    /// What refreshes read.
    pub refreshed: BTreeMap<String, provisioning::RefreshedValue>,
    /// Subtrees of which what was read before is gone.
    pub forgotten: Vec<(String, UtcMs)>,
    /// What the CPE finds in tests that it runs.
    pub test_results: Vec<(&'static str, &'static str)>,
    request: Option<DeviceRequest>,
    finished: bool,
    pub requests: u32,
    pub sessions: u32,
    /// What went over the wire, in short; secrets as dots.
    pub transcript: Vec<String>,
    /// A session that broke is tried again by the CPE (TR-069 §3.2.1.1).
    retry_at: Option<UtcMs>,
    last_session_at: Option<UtcMs>,
    /// What is recorded, where a test wants it.
    pub recording: Option<Recording>,
}

/// A recording as the application writes it.
#[derive(Default)]
pub struct Recording {
    pub lines: Vec<String>,
    recorder: Recorder,
    /// What the last line left.
    left: Option<Device>,
}

impl Recording {
    fn note(&mut self, device: &Device, event: &Event, context: &Context, step: &Step, now: UtcMs) {
        if self.lines.is_empty() {
            let header = Header::new("test", now, "a device");
            self.lines.push(serde_json::to_string(&header).expect("plain data"));
        }
        let before = (self.left.as_ref() != Some(device)).then_some(device);
        let line = self.recorder.line(before, event, context, step, &[], now);
        self.lines.push(line.expect("every step can be recorded"));
        self.left = Some(step.next.clone());
    }
}

impl Shell {
    pub fn new(cpe: Cpe, intents: Option<Intents>) -> Self {
        Shell {
            device: Device::new(START),
            cpe,
            context: context(intents),
            now: START,
            timers: BTreeMap::new(),
            connection_wanted: false,
            transitions: Vec::new(),
            reasons: Vec::new(),
            faults: Vec::new(),
            learned: Vec::new(),
            evidence: BTreeMap::new(),
            invariants: Invariants::default(),
            link: Link::One { service_id: ServiceId(1), olt_confirms: true, claimed_by: None, doubt: None },
            news: Vec::new(),
            refreshed: BTreeMap::new(),
            forgotten: Vec::new(),
            test_results: vec![
                ("SuccessCount", "3"),
                ("FailureCount", "1"),
                ("MinimumResponseTime", "2"),
                ("AverageResponseTime", "4"),
                ("MaximumResponseTime", "9"),
            ],
            request: None,
            finished: false,
            requests: 0,
            sessions: 0,
            transcript: Vec::new(),
            retry_at: None,
            last_session_at: None,
            recording: None,
        }
    }

    /// One event, checked against every invariant, persisted, effects collected.
    pub fn feed(&mut self, event: Event) -> Step {
        let step = step(&self.device, &event, &self.context, self.now);
        self.invariants.check(&self.device, &event, &step, &self.context, self.now);
        if let Some(recording) = &mut self.recording {
            recording.note(&self.device, &event, &self.context, &step, self.now);
        }
        // What is persisted must read back to the same device; the scratch of a session now and then.
        let persisted =
            if self.requests.is_multiple_of(10) { step.next.clone() } else { step.next.durable() };
        let json = serde_json::to_string(&persisted).expect("a device is plain data");
        let back: Device = serde_json::from_str(&json).expect("a device reads back");
        assert_eq!(back, persisted, "a device reads back as it was written");
        self.check_words(&step);
        self.device = step.next.clone();
        self.transitions.extend(step.transitions.clone());
        self.reasons.extend(step.reasons.clone());
        self.request = None;
        self.finished = false;
        for effect in &step.effects {
            match effect {
                Effect::Request(request) => self.request = Some(request.clone()),
                Effect::FinishSession => self.finished = true,
                Effect::RequestConnection => self.connection_wanted = true,
                Effect::StartTimer { timer, at } => {
                    self.timers.insert(*timer, *at);
                }
                Effect::StopTimer { timer } => {
                    self.timers.remove(timer);
                }
                Effect::RecordEvidence(evidence) => {
                    self.evidence.insert((evidence.layer, evidence.setting.clone()), evidence.clone());
                }
                Effect::RecordFault(fault) => self.faults.push(fault.clone()),
                Effect::Learn(fact) => self.learned.push(fact.clone()),
                Effect::RecordOrder(news) => self.news.push(news.clone()),
                Effect::RecordRefreshed(values) => {
                    self.refreshed.extend(values.iter().map(|value| (value.path.clone(), value.clone())));
                }
                Effect::ForgetBelow { path, before } => self.forgotten.push((path.clone(), *before)),
                Effect::RecordObserved(_) | Effect::MakeCredentials => {}
            }
        }
        step
    }

    /// The device is told what its service should be now.
    pub fn wish(&mut self) -> Step {
        self.feed(Event::IntentChanged(super::wish(&self.context)))
    }

    /// A WAN that a customer uses is only switched off when it shall be, or when another one carries.
    fn check_service(&mut self, request: &DeviceRequest) {
        let DeviceRequest::SetValues { values, .. } = request else { return };
        let suspended = |intents: &Intents| intents.internet.as_ref().is_none_or(|wan| wan.suspended);
        let undoing = self.device.run.as_ref().is_some_and(|run| run.rollback.is_some());
        if undoing || self.context.intents.as_ref().is_none_or(suspended) {
            return;
        }
        let carrying = self.cpe.carrying();
        let goes_off = |wan: &String| {
            let switch = format!("{wan}Enable");
            values.iter().any(|value| value.path == switch && matches!(value.value.expose(), "0" | "false"))
        };
        assert!(
            carrying.is_empty() || !carrying.iter().all(goes_off),
            "a_working_wan_is_off_only_when_another_carries: {carrying:?}{}",
            self.story()
        );
    }

    /// What FAILED says was undone is how the device reads.
    fn check_words(&self, step: &Step) {
        let suspended = self.context.intents.as_ref().and_then(|intents| intents.internet.as_ref());
        if suspended.is_some_and(|internet| internet.suspended)
            && step.transitions.iter().any(|transition| transition.to == State::Active)
        {
            assert_eq!(self.cpe.carrying(), Vec::<String>::new(), "ACTIVE as suspended{}", self.story());
        }
        let Some(failed) = step.transitions.iter().find(|transition| transition.to == State::Failed) else {
            return;
        };
        let (said, run) = (failed.reason.sentence(), self.device.run.as_ref());
        if said.contains("could not be undone") {
            return;
        }
        let read = |path: &str| self.cpe.value(path).to_owned();
        // The VLAN link below a WAN (China Telecom's families) carries nothing by itself.
        let switch = |path: &&String| path.ends_with(".Enable") && !path.ends_with("LinkConfig.Enable");
        let touched = || run.iter().flat_map(|run| &run.touched).filter(switch);
        if said.contains("WAN disabled") {
            for path in touched() {
                assert!(matches!(&*read(path), "0" | "false"), "{path} is {}: {said}", read(path));
            }
        }
        if said.contains("as it was before") {
            let run = run.expect("a run was undone");
            for (path, value) in run.before.iter().filter(|(path, _)| run.is_of_working(path)) {
                assert_eq!(read(path), *value, "{path}: {said}");
            }
        }
        if said.contains("carries on") {
            assert_ne!(self.cpe.carrying(), Vec::<String>::new(), "{said}");
        }
    }

    pub fn peer(&self) -> Peer {
        let url = self.cpe.value(&format!("{}ManagementServer.ConnectionRequestURL", self.cpe.root));
        let host = url.trim_start_matches("http://").split(':').next().unwrap_or_default();
        Peer { address: host.parse().expect("an address"), auth: self.cpe.auth() }
    }

    /// A whole CWMP session. False if it broke as `ending` says.
    pub fn session(&mut self, events: &[&str], ending: Ending) -> bool {
        self.sessions += 1;
        self.last_session_at = Some(self.now);
        self.retry_at = match ending {
            Ending::Clean => None,
            Ending::LostRequest(_) | Ending::LostReply(_) | Ending::Killed(_) => Some(self.now.plus_s(10)),
        };
        self.invariants.session_began();
        let inform = self.cpe.inform(self.now, events);
        let peer = self.peer();
        let codes: Vec<&str> = inform.events.iter().map(|event| event.code.as_str()).collect();
        let year = inform.current_time.get(..4).unwrap_or_default();
        self.transcript.push(format!("Inform {} (clock {year}, {:?})", codes.join(", "), peer.auth));
        let mut steps = 0;
        let killed = |shell: &mut Shell, steps: u32| {
            if ending == Ending::Killed(steps) {
                // The process dies: what was persisted is all that is left; the CPE's session breaks.
                shell.device = shell.device.durable();
                shell.request = None;
                true
            } else {
                false
            }
        };
        self.feed(Event::InformReceived { inform, peer });
        steps += 1;
        if killed(self, steps) {
            return false;
        }
        self.feed(Event::LinkResolved(self.link.clone()));
        steps += 1;
        if killed(self, steps) {
            return false;
        }
        self.feed(Event::SessionReady);
        let mut sent = 0;
        while let Some(request) = self.request.take() {
            steps += 1;
            if killed(self, steps) {
                return false;
            }
            sent += 1;
            self.requests += 1;
            assert!(sent < 200, "a session without end");
            if ending == Ending::LostRequest(sent) {
                self.feed(Event::SessionEnded(SessionEnd::Torn));
                return false;
            }
            self.check_service(&request);
            let reply = self.cpe.answer(&request, self.now);
            self.transcript.push(wire(&request, &reply));
            if ending == Ending::LostReply(sent) {
                self.feed(Event::SessionEnded(SessionEnd::TimedOut));
                return false;
            }
            self.feed(Event::ReplyReceived(reply));
        }
        assert!(self.finished, "a session that neither asks nor ends");
        self.feed(Event::SessionEnded(SessionEnd::Clean));
        self.cpe.run_tests(&self.test_results.clone());
        if self.cpe.test_done {
            // It comes by itself to say so.
            self.retry_at = Some(self.now.plus_s(8));
        }
        true
    }

    /// Lets time pass until `until`: timers fire, connection requests are carried out, the CPE informs.
    pub fn run(&mut self, seconds: u64) {
        let until = self.now.plus_s(seconds);
        self.run_while(until, |_| true);
    }

    /// As [`Shell::run`], but stops as soon as the state is reached.
    pub fn run_until(&mut self, state: State, seconds: u64) {
        let until = self.now.plus_s(seconds);
        self.run_while(until, |shell| shell.device.state() != state);
        assert_eq!(self.device.state(), state, "{}", self.story());
    }

    fn run_while(&mut self, until: UtcMs, go_on: impl Fn(&Shell) -> bool) {
        let mut turns = 0;
        while self.now < until && go_on(self) {
            turns += 1;
            assert!(turns < 10_000, "the shell does not come to rest: {}", self.story());
            if std::mem::take(&mut self.connection_wanted) {
                self.call();
                continue;
            }
            let timer = self.timers.iter().min_by_key(|(_, at)| **at).map(|(timer, at)| (*timer, *at));
            let inform = self.next_inform();
            match timer {
                Some((timer, at)) if at <= inform && at <= until => {
                    self.now = self.now.max(at);
                    self.timers.remove(&timer);
                    self.feed(Event::TimerFired(timer));
                }
                _ if inform <= until => {
                    self.now = self.now.max(inform);
                    self.session(&["2 PERIODIC"], Ending::Clean);
                }
                _ => self.now = until,
            }
        }
    }

    pub fn next_inform(&self) -> UtcMs {
        let path = format!("{}ManagementServer.PeriodicInformInterval", self.cpe.root);
        let interval: u64 = self.cpe.value(&path).parse().unwrap_or(900);
        let periodic = match self.last_session_at {
            None => self.now.plus_s(1),
            Some(last) => last.plus_s(interval.max(1)),
        };
        self.retry_at.map_or(periodic, |retry| retry.min(periodic))
    }

    fn call(&mut self) {
        let outcome = match (self.cpe.quirks.unreachable, self.cpe.quirks.unauthorized) {
            (true, _) => ConnectionRequestOutcome::Unreachable,
            (_, true) => ConnectionRequestOutcome::Unauthorized,
            _ => ConnectionRequestOutcome::Accepted,
        };
        self.now = self.now.plus_s(1);
        self.feed(Event::ConnectionRequestFinished(outcome));
        if outcome == ConnectionRequestOutcome::Accepted {
            self.now = self.now.plus_s(1);
            self.session(&["6 CONNECTION REQUEST"], Ending::Clean);
        }
    }

    pub fn reply(&mut self, reply: DeviceReply) -> Step {
        self.feed(Event::ReplyReceived(reply))
    }

    /// For failing tests.
    pub fn story(&self) -> String {
        let lines: Vec<String> = self
            .transitions
            .iter()
            .map(|t| format!("{} {} → {}: {}", t.at.hh_mm(), t.from, t.to, t.reason.sentence()))
            .collect();
        let last = self.device.reason.as_ref().map(Reason::sentence).unwrap_or_default();
        format!("\n{}\nnow {} {last}\nfaults: {:#?}", lines.join("\n"), self.device.state(), self.faults)
    }

    pub fn codes(&self) -> Vec<&'static str> {
        let of_transitions = self.transitions.iter().map(|t| t.reason.code.as_str());
        of_transitions.chain(self.reasons.iter().map(|reason| reason.code.as_str())).collect()
    }
}

fn wire(request: &DeviceRequest, reply: &DeviceReply) -> String {
    let asked = match request {
        DeviceRequest::GetNames { path, .. } => format!("GetParameterNames {path}"),
        DeviceRequest::GetValues { paths } => format!("GetParameterValues of {}", paths.len()),
        DeviceRequest::SetValues { values, .. } => {
            let lines =
                values.iter().map(|value| format!("\n      {} = {}", value.path, value.value.masked()));
            format!("SetParameterValues{}", lines.collect::<String>())
        }
        DeviceRequest::AddObject { path, .. } => format!("AddObject {path}"),
        DeviceRequest::Reboot { .. } => "Reboot".to_owned(),
        DeviceRequest::FactoryReset => "FactoryReset".to_owned(),
    };
    let answered = match reply {
        DeviceReply::Names(_) | DeviceReply::Values(_) | DeviceReply::Set { .. } | DeviceReply::Accepted => {
            String::new()
        }
        DeviceReply::Added { instance, .. } => format!(" → {instance}"),
        DeviceReply::Fault(fault) => format!(" → fault {}", fault.code),
    };
    format!("  {asked}{answered}")
}
