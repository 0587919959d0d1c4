//! Carrying out a test that the device runs by itself (TR-143, TR-098 `IPPingDiagnostics` and its like).
//!
//! Its inputs and `Requested` are written, in one call where the family takes so many parameters in one and else the inputs
//! first; the state and the host are read back at once, the session ends, and the device comes back when it is done
//! (`8 DIAGNOSTICS COMPLETE`), or says so when it is read in a later session: some never send the event. It is done when the
//! state was read and the results and the inputs with it (`tested.rs`). A finished state counts only once the device was
//! seen unfinished, or says that it finished, after it was asked: what was there before is somebody else's result, and while
//! a test of somebody else runs ours is not asked for. Once the
//! device took it, nothing of its object is written again: that would begin it anew.

use crate::{
    InformFacts, InternetMode, Layer,
    care::CareStep,
    diagnosis::{Diagnosis, Progress, plain},
    order::{OpenOrder, Order, OrderState},
    session::Purpose,
    talk::{DeviceFault, DeviceReply, DeviceRequest, NameInfo, ParamValue, SetValue, ValueKind, WriteValue},
    work::{Move, Work},
};
use profiles::cpe::{CpeProfile, Diagnostic, pattern_of};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use types::{FaultClass, UtcMs};

/// A device that comes back this much later than a test should have been over, in seconds, and has not finished: it never
/// will.
const OVERDUE_S: u64 = 300;
/// The least and the most that is waited for a device to come back, in seconds after the test should have been over.
const COMES_BACK_S: (u64, u64) = (3600, 2 * 86_400);
/// Names in one read, where the family says nothing else.
const NAMES_PER_READ: u32 = 32;
/// Names of one object that are looked at. A real one has a few hundred.
const MOST_NAMES: usize = 4000;
/// What is remembered of a model that does not have an object: every unit of it is asked all the same.
pub const MISSING: &str = "missing";
/// What is remembered once a unit has it after all.
const THERE: &str = "there";
/// Of a test of which a write left and that nobody watches any more.
pub(crate) const MAY_HAVE_BEGUN: &str =
    "The router was told, or may have been, and may have begun the test; nobody reads its result.";
/// Which way a test goes that names no connection.
const ITS_OWN_WAY: &str =
    "the router chose the way by itself, and that may be the connection over which it is managed";

/// A test that the device took.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Running {
    /// Its object.
    pub object: String,
    /// Id of the family by whose names it was asked.
    pub family: String,
    /// The device took it.
    pub asked_at: UtcMs,
    /// It should be over by then; a device that did not say so is asked once to come.
    pub look_at: UtcMs,
    /// Nobody waits for it after that.
    pub until: UtcMs,
    /// Over which connection it was asked for.
    pub way: Way,
    /// Its connection was not written: it has what was there before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub way_kept: bool,
    /// It refused without saying what, and was asked with less.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub guessed: bool,
    /// The state was finished before it was asked, or nobody knows: as long as nothing else is seen, a finished state may
    /// be that of an earlier test.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub maybe_old: bool,
    /// It was asked once more to come, when it should have been over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub called_back: bool,
    /// And once more, when nobody waits for it to go on any longer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub called_last: bool,
    /// It was seen under way.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub under_way: bool,
    /// When its state was read last, and what that was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<(UtcMs, String)>,
}

impl Running {
    /// Nobody expects it to have finished yet, slow as devices are.
    fn may_go_on(&self, now: UtcMs) -> bool {
        now < self.look_at.plus_s(OVERDUE_S)
    }

    /// When the device is asked next to come for it.
    fn next_call(&self) -> Option<UtcMs> {
        match (self.called_back, self.called_last) {
            (false, _) => Some(self.look_at),
            (true, false) => Some(self.look_at.plus_s(OVERDUE_S)),
            (true, true) => None,
        }
    }
}

/// Which connection a test uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// That of the service, as it was written.
    Service(String),
    /// None was named, because of this (a clause about the router or the service).
    Unnamed(String),
}

impl Default for Way {
    fn default() -> Way {
        Way::Unnamed("none was named".to_owned())
    }
}

impl Way {
    /// What an operator must know of it, as a sentence; nothing where it is the service's.
    pub(crate) fn sentence(&self) -> Option<String> {
        match self {
            Way::Service(_) => None,
            Way::Unnamed(why) => Some(format!("No connection was named, because {why}: {ITS_OWN_WAY}.")),
        }
    }
}

/// A test as far as it got in the open session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Diagnosing {
    /// Of which order.
    pub key: String,
    /// Id of the family by whose names it is carried out.
    pub family: String,
    /// Objects of the family that are not there.
    pub missing: usize,
    /// Of one of them the device said something else than that it knows no such name.
    pub odd: bool,
    /// The object that is there.
    pub object: Option<String>,
    /// Its names.
    pub names: Vec<NameInfo>,
    /// Whether its state was finished before it was asked; of one that could not be read nobody knows.
    pub finished_before: Option<bool>,
    /// Inputs, by word, that the device refused: it is asked without.
    pub refused: BTreeSet<String>,
    /// Those of them that it did not name: it may have refused something else.
    pub guessed: BTreeSet<String>,
    /// Calls of the write that the device took.
    pub written: usize,
    /// It applies one of them after the session.
    pub later: bool,
    /// It took all of them: what it has of them is to be read.
    pub check: bool,
    /// The state as it was read.
    pub state: Option<String>,
    /// What is to be read of it, by word; of a row with its place.
    pub wanted: Option<Vec<Wanted>>,
    /// Of that, as far as it was asked for.
    pub asked: usize,
    /// The device lists more rows than are read.
    pub cut: bool,
    /// Most names per read that the device takes; `None`: as many as the family.
    pub read_limit: Option<u32>,
    /// What was read.
    pub values: Vec<ParamValue>,
    /// Rows of its table that are read.
    pub rows: usize,
    /// Results, by word, that it does not let be read, and how often it refused each.
    pub unread: BTreeMap<String, u32>,
}

/// A result to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    pub path: String,
    pub word: String,
    pub row: Option<usize>,
}

impl<'a> Work<'a> {
    /// Sends the next request of a test, or ends it.
    pub(crate) fn diagnose(&mut self, order: &'a Order, asked: &'a Diagnosis) -> Move {
        let Some(name) = asked.name() else { return self.read_hosts(order) };
        let profile = self.profile_or_nominee();
        let title = asked.title();
        let Some(open) = self.open_order(&order.key).cloned() else { return Move::Finish };
        let Some(profile) = profile else {
            return self.not_tested(order, "It is not known which family the router is of.");
        };
        if let Some(running) = &open.running
            && running.family != profile.id
        {
            let text = format!(
                "The router took it as one of another family than it is known for now ({}): what it has is not read as the \
                 result of this order.",
                profile.title
            );
            self.order_over(&order.key, OrderState::Failed, text);
            return Move::Again;
        }
        if let Some(why) = profile.read_only.as_ref().filter(|_| open.running.is_none()) {
            return self.not_tested(order, &format!("The router is only read: {why}."));
        }
        let Some((names, objects)) = profile.diagnostic(name) else {
            return self.not_tested(order, &format!("{} has no {title} that we know.", profile.title));
        };
        let begun = self.session().diagnosing.as_ref().filter(|begun| begun.key == order.key).cloned();
        if begun.as_ref().is_some_and(|begun| begun.family != profile.id && begun.written > 0) {
            let text = format!("Meanwhile the router turned out to be another one: {}.", profile.title);
            return self.not_tested(order, &text);
        }
        let begun = begun.filter(|begun| begun.family == profile.id).unwrap_or_else(|| {
            let (key, family) = (order.key.clone(), profile.id.clone());
            let fresh = Box::new(Diagnosing { key, family, ..Diagnosing::default() });
            self.session().diagnosing = Some(fresh.clone());
            fresh
        });
        let purpose = |care| Purpose::Care { key: order.key.clone(), care };
        let Some(running) = open.running else {
            let Some(object) = &begun.object else {
                return match objects.get(begun.missing) {
                    Some(object) => {
                        let request =
                            DeviceRequest::GetNames { path: (*object).to_owned(), next_level: true };
                        let care = CareStep::FindTest { object: (*object).to_owned() };
                        self.request(purpose(care), request)
                    }
                    None => self.has_no_test(order, title, &objects, begun.odd),
                };
            };
            if begun.finished_before.is_none() {
                let paths = vec![format!("{object}{}", names.state)];
                return self.request(purpose(CareStep::LookBefore), DeviceRequest::GetValues { paths });
            }
            let way = self.way_of(&profile, names, &begun);
            let call = match test_calls(&profile, names, object, asked, &begun, &way) {
                Ok(calls) => calls.into_iter().nth(begun.written),
                Err(missing) => {
                    let text = format!(
                        "The {title} of this router has no {missing}, without which it cannot be asked."
                    );
                    return self.not_tested(order, &text);
                }
            };
            let Some((values, last)) = call else {
                return self.not_tested(order, "The router took all of it before it was asked to begin.");
            };
            if let Some(open) = self.open_order(&order.key) {
                open.asked = true;
            }
            let care = CareStep::AskTest { object: object.clone(), last };
            return self.request(purpose(care), DeviceRequest::SetValues { values, key: order.key.clone() });
        };
        if begun.check {
            let target = asked.target().and_then(|(word, _)| leaf_of(names, word, &begun));
            let state = format!("{}{}", running.object, names.state);
            let paths = [Some(state), target].into_iter().flatten().collect();
            return self.request(purpose(CareStep::CheckTest), DeviceRequest::GetValues { paths });
        }
        if begun.state.is_none() {
            let paths = vec![format!("{}{}", running.object, names.state)];
            return self.request(purpose(CareStep::LookAtTest), DeviceRequest::GetValues { paths });
        }
        let Some(wanted) = &begun.wanted else {
            let request = DeviceRequest::GetNames { path: running.object.clone(), next_level: false };
            return self.request(purpose(CareStep::ListTest { object: running.object }), request);
        };
        let most = begun.read_limit.unwrap_or(profile.write.max_names.min(NAMES_PER_READ)).max(1);
        let next = wanted.iter().skip(begun.asked).take(usize::try_from(most).unwrap_or(1));
        let paths: Vec<String> = next.map(|one| one.path.clone()).collect();
        if paths.is_empty() {
            return self.test_over(order, asked, &begun);
        }
        self.request(purpose(CareStep::ReadTest { paths: paths.clone() }), DeviceRequest::GetValues { paths })
    }

    /// It is not carried out because of this, a sentence; what of it may have left is said.
    fn not_tested(&mut self, order: &Order, why: &str) -> Move {
        let asked = self.open_order(&order.key).is_some_and(|open| open.asked);
        let then = if asked { MAY_HAVE_BEGUN } else { "Nothing was written." };
        self.order_over(&order.key, OrderState::Failed, format!("{why} {then}"));
        Move::Again
    }

    /// None of the objects is there, as far as the device says.
    fn has_no_test(&mut self, order: &Order, title: &str, objects: &[&str], odd: bool) -> Move {
        let named = objects.join(" and no ");
        if odd {
            // Some answer so when they are busy: that teaches nobody.
            let text = format!(
                "The router names nothing in {named}, and does not say that there is no such thing. It may have no {title}, \
                 or it could not tell now."
            );
            return self.not_tested(order, &text);
        }
        for object in objects {
            self.learn(object, MISSING);
        }
        self.not_tested(
            order,
            &format!("This router has no {title}: it says that there is no {named} in it."),
        )
    }

    /// Over which connection it is to go.
    fn way_of(&self, profile: &CpeProfile, names: &Diagnostic, begun: &Diagnosing) -> Way {
        match self.service_connection(profile, names.interface_dot) {
            Ok(_) if begun.guessed.contains("interface") => Way::Unnamed(
                "the router refused without saying what, and was asked without the connection".to_owned(),
            ),
            Ok(_) if begun.refused.contains("interface") => {
                Way::Unnamed("the router did not take the name of the service's connection".to_owned())
            }
            Ok(_) if leaf_of(names, "interface", begun).is_none() => {
                Way::Unnamed("this router has no setting for it".to_owned())
            }
            Ok(path) => Way::Service(path),
            Err(why) => Way::Unnamed(why.to_owned()),
        }
    }

    /// The connection that carries the service, by what the service wants and was seen to be in force on the device: not
    /// whatever else was ever stored of it, and not the one we are spoken to over. Else why there is none, as a clause.
    fn service_connection(&self, profile: &CpeProfile, dot: bool) -> Result<String, &'static str> {
        let internet = self.context.intents.as_ref().and_then(|intents| intents.internet.as_ref());
        let internet = internet.ok_or("no Internet connection is wanted of the service")?;
        if matches!(internet.mode, InternetMode::Bridge) {
            return Err("the service is bridged and the router has no address on it");
        }
        let wanted = self.wanted_hash(Layer::Internet);
        if !self.device.layer_is_current(Layer::Internet, wanted.as_deref()) {
            return Err("the connection that the service wants was not seen in force on the router");
        }
        let mode = profile.wan.modes.get(internet.mode.as_str());
        let kind = mode.and_then(|mode| profile.wan.kinds.get(&mode.kind));
        let object = kind.and_then(|kind| self.device.objects.get(&kind.anchor));
        let object = object.filter(|object| !object.stale && !object.path.is_empty());
        let path = &object.ok_or("it is not known which connection of the router is the service's")?.path;
        Ok(if dot { path.clone() } else { path.trim_end_matches('.').to_owned() })
    }

    /// The answer to a request of a test.
    pub(crate) fn test_answered(
        &mut self,
        order: &'a Order,
        asked: &'a Diagnosis,
        care: CareStep,
        reply: &DeviceReply,
    ) -> Move {
        let key = &order.key;
        if asked.name().is_none() && self.hosts_answered(order, &care, reply) {
            return Move::Again;
        }
        match (care, reply) {
            (CareStep::FindTest { object }, DeviceReply::Names(names)) => {
                let below = names.iter().filter(|name| name.path.len() > object.len());
                let names: Vec<NameInfo> =
                    below.filter(|name| name.path.starts_with(&object)).take(MOST_NAMES).cloned().collect();
                if names.is_empty() {
                    self.with_test(key, |test| (test.missing, test.odd) = (test.missing + 1, true));
                    return Move::Again;
                }
                if self.device.learned.get(&pattern_of(&object)).is_some_and(|fact| fact == MISSING) {
                    self.learn(&object, THERE);
                }
                self.with_test(key, |test| (test.object, test.names) = (Some(object), names));
                Move::Again
            }
            (CareStep::FindTest { .. }, DeviceReply::Fault(fault)) if matches!(fault.code, 9003 | 9005) => {
                let odd = fault.code != 9005;
                self.with_test(key, |test| (test.missing, test.odd) = (test.missing + 1, test.odd || odd));
                Move::Again
            }
            (CareStep::LookBefore, DeviceReply::Values(values)) => {
                let progress = values.first().map(|value| Progress::read(&value.value));
                let asked_before = self.open_order(key).is_some_and(|open| open.asked);
                let state = values.first().map(|value| plain(&value.value, 64)).unwrap_or_default();
                if Progress::is_under_way(&state) && !asked_before {
                    self.test_in_the_way(order, &state);
                    return Move::Again;
                }
                let finished = progress.is_none_or(|progress| progress.is_finished());
                self.with_test(key, |test| test.finished_before = Some(finished));
                Move::Again
            }
            (CareStep::LookBefore, DeviceReply::Fault(_)) => {
                self.with_test(key, |test| test.finished_before = Some(true));
                Move::Again
            }
            (CareStep::AskTest { object, last }, DeviceReply::Set { status }) => {
                self.with_test(key, |test| {
                    (test.written, test.later) = (test.written + 1, test.later || *status == 1)
                });
                if last {
                    self.test_taken(order, asked, object);
                }
                Move::Again
            }
            (CareStep::AskTest { object, .. }, DeviceReply::Fault(fault))
                if self.asks_without(key, &object, asked, fault) =>
            {
                Move::Again
            }
            (CareStep::CheckTest, DeviceReply::Values(values)) => {
                self.test_checked(order, asked, values);
                Move::Again
            }
            (CareStep::CheckTest, DeviceReply::Fault(_)) => {
                self.test_goes_on(order, TAKEN);
                Move::Again
            }
            (CareStep::LookAtTest, DeviceReply::Values(values)) => {
                self.test_looked_at(order, asked, values);
                Move::Again
            }
            (CareStep::ListTest { object }, DeviceReply::Names(names)) => {
                self.test_listed(order, asked, &object, names);
                Move::Again
            }
            (CareStep::ReadTest { paths }, DeviceReply::Values(values)) => {
                let fresh: Vec<ParamValue> =
                    values.iter().filter(|value| paths.contains(&value.path)).cloned().collect();
                self.with_test(key, |test| {
                    test.asked += paths.len();
                    test.values.extend(fresh);
                });
                Move::Again
            }
            // One bad name faults a whole batch: halve it until it is alone, leave it out, and go on as before.
            (CareStep::ReadTest { paths }, DeviceReply::Fault(fault))
                if paths.len() > 1 || matches!(fault.code, 9003 | 9005) =>
            {
                let half = u32::try_from(paths.len() / 2).unwrap_or(1).max(1);
                self.with_test(key, |test| match paths.len() {
                    1 => test.leaf_refused(),
                    _ => test.read_limit = Some(half),
                });
                Move::Again
            }
            // What is busy with a test has other things to do than to be read.
            (CareStep::LookAtTest, DeviceReply::Fault(fault)) if self.test_may_go_on(key) => {
                let text = format!(
                    "The router did not let its state be read (fault {}); it is read in a later session.",
                    fault.code
                );
                self.test_goes_on(order, &text);
                Move::Again
            }
            (care, DeviceReply::Fault(fault)) => {
                self.care_faulted(key, care.rpc(false), fault);
                Move::Again
            }
            (care, _) => {
                let then = match self.device.orders.iter().find(|open| open.key == *key) {
                    Some(open) => self.aftermath(open),
                    None => "",
                };
                let rpc = care.rpc(false);
                let text = format!("The device answered something else than was asked ({rpc}). {then}");
                self.order_over(key, OrderState::Failed, text);
                Move::Finish
            }
        }
    }

    pub(crate) fn with_test(&mut self, key: &str, change: impl FnOnce(&mut Diagnosing)) {
        if let Some(test) = self.session().diagnosing.as_mut().filter(|test| test.key == key) {
            change(test);
        }
    }

    /// The device does not take an input that a test can do without: it is asked once more without. Nothing is blamed that
    /// was not in the call that it refused; where it names none of several, one after the other is left out, the connection
    /// last.
    fn asks_without(&mut self, key: &str, object: &str, asked: &Diagnosis, fault: &DeviceFault) -> bool {
        let Some(profile) = self.profile_or_nominee() else { return false };
        let Some(name) = asked.name() else { return false };
        let Some((names, _)) = profile.diagnostic(name) else { return false };
        let Some(test) = self.session().diagnosing.clone().filter(|test| test.key == key) else {
            return false;
        };
        let way = self.way_of(&profile, names, &test);
        let calls = test_calls(&profile, names, object, asked, &test, &way);
        let call = calls.ok().and_then(|calls| calls.into_iter().nth(test.written));
        let Some((call, _)) = call else { return false };
        let (_, optional) = name.inputs();
        let sent = |word: &&&str| {
            leaf_of(names, word, &test).is_some_and(|path| call.iter().any(|value| value.path == path))
        };
        let left: Vec<&str> = optional.iter().filter(sent).copied().collect();
        let guessed = fault.parameters.is_empty() && call.len() > 1;
        let refused: Vec<&str> = if fault.parameters.is_empty() {
            let last = |word: &&&str| LEFT_OUT_FIRST.iter().position(|first| first == *word);
            let next = left.iter().min_by_key(|word| last(word).unwrap_or(LEFT_OUT_FIRST.len()));
            let of_an_input = matches!(fault.code, 9003 | 9005 | 9006 | 9007 | 9008);
            next.filter(|_| of_an_input).copied().into_iter().collect()
        } else {
            let blamed = |word: &str, path: &str| {
                let leaf = path.strip_prefix(object);
                names
                    .inputs
                    .get(word)
                    .is_some_and(|known| known.0.iter().any(|name| leaf == Some(name.as_str())))
            };
            // Where what it needs is among it, nothing is gained by another try.
            if !fault.parameters.iter().all(|one| left.iter().any(|word| blamed(word, &one.path))) {
                return false;
            }
            left.into_iter()
                .filter(|word| fault.parameters.iter().any(|one| blamed(word, &one.path)))
                .collect()
        };
        if refused.is_empty() {
            return false;
        }
        self.with_test(key, |test| {
            if guessed {
                test.guessed.extend(refused.iter().map(|word| (*word).to_owned()));
            }
            test.refused.extend(refused.into_iter().map(str::to_owned));
            test.written = 0;
        });
        true
    }

    /// The device took it. It begins when the session is over.
    fn test_taken(&mut self, order: &Order, asked: &Diagnosis, object: String) {
        let now = self.now;
        let profile = self.profile_or_nominee();
        let names = profile.as_ref().zip(asked.name()).and_then(|(profile, name)| profile.diagnostic(name));
        let (Some(test), Some(profile)) = (self.session().diagnosing.clone(), profile.as_ref()) else {
            return;
        };
        let Some((names, _)) = names else { return };
        let way = self.way_of(profile, names, &test);
        let look_at = now.plus_s(asked.expected_s());
        let period = self.device.inform_interval_s.map_or(0, u64::from);
        let comes_back_s = (period.saturating_mul(2) + 600).clamp(COMES_BACK_S.0, COMES_BACK_S.1);
        let Some(open) = self.open_order(&order.key) else { return };
        open.running = Some(Box::new(Running {
            object,
            family: test.family.clone(),
            asked_at: now,
            look_at,
            until: look_at.plus_s(comes_back_s),
            way,
            way_kept: test.refused.contains("interface") || leaf_of(names, "interface", &test).is_none(),
            guessed: test.guessed.iter().any(|word| word != "interface"),
            maybe_old: test.finished_before.unwrap_or(true),
            called_back: false,
            called_last: false,
            under_way: false,
            seen: None,
        }));
        (open.tries, open.called) = (0, true);
        if test.later {
            // Until then it reads as before.
            let text = "The device accepted it and applies it after the session. It is done when the device says so and was read.";
            self.test_goes_on(order, text);
        } else {
            self.with_test(&order.key, |test| test.check = true);
            self.tell_order(&order.key, OrderState::Sent, TAKEN);
        }
        self.watch_orders();
    }

    /// The device runs a test that somebody else asked for. Were ours written now, the end of that one would pass for the
    /// end of ours where the device takes the inputs and not the request. It waits for a later session, as one comes.
    fn test_in_the_way(&mut self, order: &Order, state: &str) {
        self.session().rested.insert(order.key.clone());
        self.session().diagnosing = None;
        if let Some(open) = self.open_order(&order.key) {
            (open.sent_at, open.tries, open.called) = (None, 0, true);
            open.why = Some(format!(
                "the router said that it ran another test (its state read {state:?}; if nobody ran one, restart the router)"
            ));
        }
        let text = format!(
            "The router says that it runs a test (its state reads {state:?}); this one is asked for in the first session in \
             which it does not."
        );
        self.tell_order(&order.key, OrderState::Waiting, &text);
    }

    /// It goes on after this session, in which nothing more of it is done.
    fn test_goes_on(&mut self, order: &Order, text: &str) {
        self.session().rested.insert(order.key.clone());
        self.session().diagnosing = None;
        if let Some(open) = self.open_order(&order.key) {
            (open.sent_at, open.tries, open.called) = (None, 0, true);
        }
        self.tell_order(&order.key, OrderState::Sent, text);
    }

    /// What the device has right after it was asked.
    fn test_checked(&mut self, order: &Order, asked: &Diagnosis, values: &[ParamValue]) {
        let Some(test) = self.session().diagnosing.clone() else { return };
        let Some(running) = self.open_order(&order.key).and_then(|open| open.running.clone()) else { return };
        let profile = self.profile_or_nominee();
        let names = profile.as_ref().zip(asked.name()).and_then(|(profile, name)| profile.diagnostic(name));
        let Some((names, _)) = names else { return };
        let read =
            |path: &str| values.iter().find(|value| value.path == path).map(|value| value.value.trim());
        let (word, target) = asked.target().unwrap_or_default();
        let named = leaf_of(names, word, &test);
        let named = named.and_then(|path| read(&path)).filter(|named| !named.is_empty());
        if let Some(other) = named.filter(|named| !asked.is_about(named)) {
            let text = format!(
                "Not proved: the router was asked to test {target} and names {} right after that. It may run a test of that; \
                 nobody reads its result.",
                plain(other, 80)
            );
            self.order_over(&order.key, OrderState::Failed, text);
            return;
        }
        let read = read(&format!("{}{}", running.object, names.state));
        let state = plain(read.unwrap_or_default(), 64);
        let progress = Progress::read(&state);
        if !progress.is_finished() {
            if read.is_some() {
                self.seen(&order.key, &progress, &state);
            }
            self.test_goes_on(order, TAKEN);
        } else if running.maybe_old {
            let text = format!(
                "The device accepted it, and its state reads {state:?} as it did before: nothing shows yet that it begins it."
            );
            self.test_goes_on(order, &text);
        } else {
            // It does not wait for the end of the session and is quick.
            self.with_test(&order.key, |test| (test.check, test.state) = (false, Some(state)));
        }
    }

    /// Its state was read. Under way, or none: a state that is finished from then on is that of this test. A device that says
    /// nothing of it proves nothing.
    fn seen(&mut self, key: &str, progress: &Progress, state: &str) {
        let now = self.now;
        let Some(running) = self.open_order(key).and_then(|open| open.running.as_mut()) else { return };
        running.seen = Some((now, state.to_owned()));
        running.under_way |= *progress == Progress::Running;
        if !progress.is_finished() && !state.is_empty() {
            running.maybe_old = false;
        }
    }

    /// It may not have finished yet.
    fn test_may_go_on(&mut self, key: &str) -> bool {
        let now = self.now;
        self.open_order(key)
            .and_then(|open| open.running.as_ref())
            .is_some_and(|running| running.may_go_on(now))
    }

    /// What an Inform says of tests: that one was finished since it was asked.
    pub(crate) fn tests_informed(&mut self, inform: &InformFacts) {
        // One that is said again was said first before the session that broke: of an earlier test, maybe.
        let said = inform.events.iter().any(|event| event.code.trim_start().starts_with("8 "));
        if said && inform.retry_count == 0 {
            for running in self.device.orders.iter_mut().filter_map(|order| order.running.as_mut()) {
                running.maybe_old = false;
            }
        }
    }

    fn test_looked_at(&mut self, order: &Order, asked: &Diagnosis, values: &[ParamValue]) {
        let now = self.now;
        let read = values.first().map(|value| value.value.as_str());
        let state = plain(read.unwrap_or_default(), 64);
        let booted = self.session().boot;
        let progress = Progress::read(&state);
        // What it was before this look decides; how it is now is kept for whoever looks next.
        let Some(running) = self.open_order(&order.key).and_then(|open| open.running.clone()) else { return };
        if read.is_some() {
            self.seen(&order.key, &progress, &state);
        }
        match progress {
            Progress::Forgotten if !running.under_way && !booted && running.may_go_on(now) => {
                let text = format!(
                    "The router was read, and nothing shows yet that it begins it (its state reads {state:?})."
                );
                self.test_goes_on(order, &text);
            }
            Progress::Forgotten => {
                let text = format!(
                    "The router knows of no {} any more (its state reads {state:?}): it never began it, it started again \
                     meanwhile, or somebody else stopped it. Order it again.",
                    asked.title()
                );
                self.order_over(&order.key, OrderState::Failed, text);
            }
            Progress::Running if running.may_go_on(now) => {
                let text = format!("The router was read and has not finished (its state reads {state:?}).");
                self.test_goes_on(order, &text);
            }
            Progress::Complete | Progress::Error(_) if running.maybe_old && now < running.look_at => {
                let text = format!(
                    "The router was read, and its state reads {state:?} as before it was asked: nothing shows yet that it \
                     ran the test."
                );
                self.test_goes_on(order, &text);
            }
            Progress::Complete | Progress::Error(_) if running.maybe_old => {
                let text = format!(
                    "Not proved: the state of the router reads {state:?} as before it was asked, and it never said that it \
                     had finished a test since (8 DIAGNOSTICS COMPLETE). What it has may be the result of an earlier test \
                     and is not shown."
                );
                self.order_over(&order.key, OrderState::Failed, text);
            }
            Progress::Running | Progress::Complete | Progress::Error(_) => {
                self.with_test(&order.key, |test| test.state = Some(state));
            }
        }
    }

    // ---- outside sessions ------------------------------------------------------------------------------------

    /// A test that should be over and whose device did not say so: it is asked to come and be read, then and once more when
    /// nothing is expected of it any longer.
    pub(crate) fn call_back_for_tests(&mut self) {
        let now = self.now;
        for order in &mut self.device.orders {
            if let Some(running) = order.running.as_mut()
                && running.next_call().is_some_and(|at| at <= now)
            {
                running.called_last = running.called_back;
                running.called_back = true;
                order.called = false;
            }
        }
    }

    /// Nobody came in time.
    pub(crate) fn test_unheard(&mut self, order: &OpenOrder) {
        let running = order.running.as_deref();
        let read = match running.and_then(|running| Some((running.asked_at, running.seen.as_ref()?))) {
            Some((asked_at, (at, state))) => {
                let after = match at.since(asked_at).as_secs() {
                    0..5 => "right after it was asked".to_owned(),
                    seconds => format!("{seconds} s after it was asked"),
                };
                format!(
                    "its state was read last {after}, as {state:?}, and no session came since in which it could be read"
                )
            }
            None => "no session came in which it could be read".to_owned(),
        };
        let text = format!(
            "The router took it and never said that it had finished, and {read}. Order it again; if it stays so, restart the \
             router."
        );
        let reason = crate::Reason::new(crate::ReasonCode::OrderFailed, text.clone());
        self.fault(FaultClass::SessionTriggering, None, &text, None, None, &reason);
        self.order_over(&order.key, OrderState::Failed, text);
    }
}

/// What is left out of a call that a device refuses without saying what, in this order; the connection after all else.
const LEFT_OUT_FIRST: [&str; 6] = ["timeout", "size", "repetitions", "hops", "server", "interface"];
/// Inputs that are no numbers.
const TEXTS: [&str; 4] = ["host", "name", "server", "interface"];
/// Said of a test that a device took.
const TAKEN: &str =
    "The device took it and runs it after the session. It is done when the device says so and was read.";

/// The leaf of an input, of several names the first that the device has. What is not needed must be writable by what the
/// device says; of the host devices say that wrongly.
fn leaf_of(names: &Diagnostic, word: &str, begun: &Diagnosing) -> Option<String> {
    let object = begun.object.as_deref()?;
    let usable = |leaf: &&String| {
        let found = begun.names.iter().find(|name| name.path.strip_prefix(object) == Some(leaf.as_str()));
        found.is_some_and(|name| name.writable || matches!(word, "host" | "name"))
    };
    let leaf = names.inputs.get(word)?.0.iter().find(usable)?;
    Some(format!("{object}{leaf}"))
}

/// The writes that begin it, in order, and of each whether it is the one that does: as few as the family takes parameters
/// in one, `Requested` last of all. An error names the leaf that it needs and does not have.
fn test_calls(
    profile: &CpeProfile,
    names: &Diagnostic,
    object: &str,
    asked: &Diagnosis,
    begun: &Diagnosing,
    way: &Way,
) -> Result<Vec<(Vec<SetValue>, bool)>, String> {
    let needed = asked.name().map_or(&[] as &[&str], |name| name.inputs().0);
    let mut inputs: Vec<(&str, String)> = asked.inputs();
    // Empty: whatever an earlier test named is not taken for this one.
    let interface = match way {
        Way::Service(path) => path.clone(),
        Way::Unnamed(_) => String::new(),
    };
    inputs.push(("interface", interface));
    let (mut needs, mut others) = (Vec::new(), Vec::new());
    for (word, text) in inputs.into_iter().filter(|(word, _)| !begun.refused.contains(*word)) {
        let kind = if TEXTS.contains(&word) { ValueKind::String } else { ValueKind::UnsignedInt };
        let value = |path| SetValue { path, kind, value: WriteValue::Plain(text) };
        match leaf_of(names, word, begun) {
            Some(path) if needed.contains(&word) => needs.push(value(path)),
            Some(path) => others.push(value(path)),
            None if needed.contains(&word) => {
                let known = names.inputs.get(word).map(|names| names.0.join(" and no "));
                return Err(known.unwrap_or_else(|| word.to_owned()));
            }
            None => {}
        }
    }
    let state = format!("{object}{}", names.state);
    if !begun.names.iter().any(|name| name.path == state) {
        return Err(names.state.clone());
    }
    let requested =
        SetValue { path: state, kind: ValueKind::String, value: WriteValue::Plain("Requested".into()) };
    let most = usize::try_from(profile.write.max_params).unwrap_or(1).max(1);
    let mut last = Vec::new();
    if needs.len() + others.len() < most {
        last.append(&mut needs);
        last.append(&mut others);
    } else if needs.len() < most {
        last.append(&mut needs);
    }
    others.append(&mut needs);
    last.push(requested);
    let mut calls: Vec<(Vec<SetValue>, bool)> =
        others.chunks(most).map(|values| (values.to_vec(), false)).collect();
    calls.push((last, true));
    Ok(calls)
}

impl OpenOrder {
    /// Nothing more of it is waited for then.
    pub(crate) fn over_at(&self) -> UtcMs {
        self.running.as_ref().map_or(self.expires_at, |running| running.until)
    }

    /// When it is to be looked at next.
    pub(crate) fn due_at(&self) -> UtcMs {
        match &self.running {
            Some(running) => running.next_call().map_or(running.until, |at| at.min(running.until)),
            None => self.over_at(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use profiles::cpe::{DiagnosticName, ProfileSet};

    #[test]
    fn no_call_is_larger_than_its_family_takes_and_the_last_one_begins_it() {
        let set = ProfileSet::builtin();
        let mut tested = BTreeSet::new();
        for profile in set.all() {
            for asked in [
                Diagnosis::Ping { host: "h".into(), count: 4, timeout_ms: 1000, size: 56 },
                Diagnosis::Traceroute { host: "h".into(), hops: 30, tries: 1, timeout_ms: 1000 },
                Diagnosis::Lookup { host: "h".into(), server: "s".into(), count: 1, timeout_ms: 1000 },
                Diagnosis::Neighbours,
            ] {
                let name = asked.name().expect("a test");
                let Some((names, objects)) = profile.diagnostic(name) else { continue };
                let object = objects[0];
                let leaves = names.leaves().into_iter().flatten();
                let listed = leaves.map(|leaf| NameInfo { path: format!("{object}{leaf}"), writable: true });
                let begun = Diagnosing {
                    object: Some(object.to_owned()),
                    names: listed.collect(),
                    ..Diagnosing::default()
                };
                let way = Way::Service("a.b".into());
                let calls = test_calls(profile, names, object, &asked, &begun, &way).expect("all is there");
                let most = profile.write.max_params as usize;
                assert!(
                    calls.iter().all(|(values, _)| (1..=most.max(1)).contains(&values.len())),
                    "{}",
                    profile.id
                );
                let lasts: Vec<bool> = calls.iter().map(|(_, last)| *last).collect();
                assert_eq!(lasts.iter().filter(|last| **last).count(), 1);
                let flat: Vec<&SetValue> = calls.iter().flat_map(|(values, _)| values).collect();
                assert_eq!(flat.len(), names.inputs.len() + 1, "{}: nothing is left out", profile.id);
                let last = flat.last().expect("calls");
                assert_eq!(last.value.expose(), "Requested", "{}", profile.id);
                tested.insert((most, name == DiagnosticName::Ping));
            }
        }
        assert!(
            tested.iter().any(|(most, _)| *most == 1) && tested.iter().any(|(most, _)| *most > 5),
            "{tested:?}"
        );
    }
}
