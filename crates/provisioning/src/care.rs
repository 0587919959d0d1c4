//! Carrying out device orders in a session, after everything the machine itself has to do.

use crate::{
    Diagnosis, Effect, InformFacts, Link, Proof, Reason, ReasonCode, State, Timer,
    diagnose::MAY_HAVE_BEGUN,
    guard::{never_ordered, only_read},
    order::{
        OpenOrder, Order, OrderKind, OrderNews, OrderResult, OrderState, RefreshedValue, same_value,
        sets_the_clock,
    },
    sentences,
    session::{Purpose, Refreshing},
    talk::{DeviceFault, DeviceReply, DeviceRequest, NameInfo, SetValue},
    work::{Move, Work},
};
use serde::{Deserialize, Serialize};
use types::{CwmpFault, ServiceId, UtcMs, names_a_secret};

/// Sessions in which an order is begun before it is given up: what breaks every session is not tried for ever.
const MOST_TRIES: u32 = 3;
/// Leaves of one refresh. Large real devices have fewer than 10 000.
const MOST_LEAVES: usize = 20_000;
/// Names in one read, where the family says nothing else.
const NAMES_PER_READ: u32 = 64;
/// A device that was told to restart and informs as if nothing had happened has this long, in seconds.
const RESTART_GRACE_S: u64 = 600;

/// Of a write that left and was not read back.
const MAY_BE_WRITTEN: &str = "The device may have been told and have taken some of it; nobody has read that back. Refresh these parameters to see.";
/// Of an order of which nothing but reading left.
const NOTHING_DONE: &str = "Nothing was changed.";

/// What a request of an order is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "step")]
pub(crate) enum CareStep {
    /// Names of the subtree.
    List { path: String },
    /// Values of some of its leaves.
    Read { paths: Vec<String> },
    /// The write.
    Write,
    /// Reading it back.
    ReadBack { paths: Vec<String> },
    /// Reboot or FactoryReset.
    Once,
    /// Whether the device has the object of a test.
    FindTest { object: String },
    /// Whether it has a result of an earlier one.
    LookBefore,
    /// A write of a test: the last one begins it.
    AskTest { object: String, last: bool },
    /// What it has of that.
    CheckTest,
    /// How far it is.
    LookAtTest,
    /// Which results it has.
    ListTest { object: String },
    /// Its results.
    ReadTest { paths: Vec<String> },
}

impl CareStep {
    pub(crate) fn rpc(&self, factory: bool) -> &'static str {
        match self {
            CareStep::List { .. } | CareStep::FindTest { .. } | CareStep::ListTest { .. } => {
                "GetParameterNames"
            }
            CareStep::Read { .. }
            | CareStep::ReadBack { .. }
            | CareStep::LookBefore
            | CareStep::CheckTest
            | CareStep::LookAtTest
            | CareStep::ReadTest { .. } => "GetParameterValues",
            CareStep::Write | CareStep::AskTest { .. } => "SetParameterValues",
            CareStep::Once if factory => "FactoryReset",
            CareStep::Once => "Reboot",
        }
    }
}

impl<'a> Work<'a> {
    // ---- outside sessions ------------------------------------------------------------------------------------

    pub(crate) fn order_given(&mut self, key: &str, service_id: Option<ServiceId>, expires_at: UtcMs) {
        if self.device.orders.iter().any(|order| order.key == key) {
            return;
        }
        let open = OpenOrder { key: key.to_owned(), service_id, expires_at, ..OpenOrder::default() };
        self.device.orders.push(open);
        self.watch_orders();
        self.call_for_orders();
    }

    /// Withdrawn, if the device was not told yet.
    pub(crate) fn order_cancelled(&mut self, key: &str, by: &str) {
        let found = self.device.orders.iter().find(|order| order.key == key);
        if let Some(order) = found.filter(|order| order.sent_at.is_none()).cloned() {
            let (state, text) = match self.may_have_written(&order) {
                _ if order.running.is_some() => (
                    OrderState::Failed,
                    format!("Given up by {by}. The router may run it still; nobody reads its result."),
                ),
                _ if order.asked => (OrderState::Failed, format!("Given up by {by}. {MAY_HAVE_BEGUN}")),
                false => (OrderState::Cancelled, format!("Cancelled by {by} before the device was told.")),
                true => (OrderState::Failed, format!("Given up by {by}. {MAY_BE_WRITTEN}")),
            };
            self.order_over(key, state, text);
        }
    }

    /// Asks the device once to open a session for what waits, where it may be asked.
    pub(crate) fn call_for_orders(&mut self) {
        let wanted = self.device.orders.iter().any(|order| order.waits() && !order.called);
        if !wanted
            || self.device.quarantined()
            || self.device.state() == State::Discovered
            || !self.may_call()
        {
            return;
        }
        // One that was called for before keeps the call that was its own.
        for order in self.device.orders.iter_mut().filter(|order| !order.called) {
            (order.called, order.called_at) = (true, Some(self.now));
        }
        self.send_connection_request();
    }

    /// The last call was never sent, because there was no room for it or nobody to send it: what it was made for is called
    /// for once more, when the gap is over. An order whose own call was sent and failed is not called for again because a
    /// later one was dropped.
    pub(crate) fn call_dropped(&mut self) {
        let dropped = self.device.connection.last_at;
        let mut again = false;
        for order in &mut self.device.orders {
            let of_this = order.called && dropped.is_some() && order.called_at == dropped;
            if of_this && !order.recalled && order.waits() {
                (order.called, order.called_at) = (false, None);
                (order.recalled, again) = (true, true);
            }
        }
        if !again {
            return;
        }
        if self.device.state() != State::WaitingInform {
            self.call_for_orders();
        }
        self.watch_orders();
    }

    /// The timer that ends what nobody came for.
    pub(crate) fn watch_orders(&mut self) {
        // A device that may not be called yet, because it was called just now, is called as soon as it may.
        let uncalled = |order: &OpenOrder| order.waits() && !order.called;
        let gap = self.gap_until().filter(|_| self.device.orders.iter().any(uncalled));
        match self.device.orders.iter().map(OpenOrder::due_at).chain(gap).min() {
            Some(at) => {
                let at = at.max(self.now.plus_s(1));
                self.effect(Effect::StartTimer { timer: Timer::OrderExpiry, at });
            }
            None => self.effect(Effect::StopTimer { timer: Timer::OrderExpiry }),
        }
    }

    pub(crate) fn expire_orders(&mut self) {
        let now = self.now;
        let due: Vec<OpenOrder> =
            self.device.orders.iter().filter(|order| order.over_at() <= now).cloned().collect();
        let in_session = self.device.in_session();
        for order in due {
            let once = self.order(&order.key).is_some_and(|order| order.what.is_once_only());
            match order.sent_at {
                // The session that is open ends it one way or the other.
                Some(_) if !once && in_session => {}
                _ if order.running.is_some() && in_session => {}
                _ if order.running.is_some() => self.test_unheard(&order),
                _ if order.asked => self.order_over(
                    &order.key,
                    OrderState::Failed,
                    format!("No session in which it could be asked again came in time. {MAY_HAVE_BEGUN}"),
                ),
                Some(_) if once => self.order_over(
                    &order.key,
                    OrderState::Failed,
                    "The device was told, and no Inform since then says that it did it. It is not told again.".into(),
                ),
                _ if self.may_have_written(&order) => self.order_over(
                    &order.key,
                    OrderState::Failed,
                    format!("No session in which it could be read back came in time. {MAY_BE_WRITTEN}"),
                ),
                Some(_) | None => {
                    let why = order.why.map(|why| format!(" It waited because {why}.")).unwrap_or_default();
                    let text = format!("No session in which it could be done came in time.{why} {NOTHING_DONE}");
                    self.order_over(&order.key, OrderState::Expired, text);
                }
            }
        }
        if !self.device.orders.is_empty() {
            self.call_back_for_tests();
            self.watch_orders();
        }
    }

    /// The timer of the orders is due: what waited long enough ends, and a device is asked once to be read.
    pub(crate) fn orders_due(&mut self) {
        self.expire_orders();
        // One that is waited for as it was called, and did not come, is not called by a timer: it is read when it comes.
        if self.device.state() != State::WaitingInform {
            self.call_for_orders();
        }
        if !self.device.orders.is_empty() {
            self.watch_orders();
        }
    }

    /// The device is somebody else's now: what was ordered for the one before is not done to it.
    pub(crate) fn drop_orders(&mut self, why: &str) {
        let open: Vec<OpenOrder> = self.device.orders.clone();
        for order in open {
            let then = self.left_behind(&order);
            let text = format!("The device left its service ({why}). {then}");
            self.order_over(&order.key, OrderState::Failed, text);
        }
    }

    /// What became of an order that is not gone on with, as a sentence. It failed: whoever gave it did not withdraw it, and
    /// has to hear of it.
    fn left_behind(&self, order: &OpenOrder) -> &'static str {
        let once = self.order(&order.key).is_some_and(|order| order.what.is_once_only());
        if once && order.sent_at.is_some() {
            "It was told before that; whether it did it is not watched any more."
        } else if order.running.is_some() {
            "It may run it still; nobody reads the result."
        } else if order.asked {
            MAY_HAVE_BEGUN
        } else if self.may_have_written(order) {
            MAY_BE_WRITTEN
        } else {
            NOTHING_DONE
        }
    }

    /// A write that may have left us once, whatever came of it.
    fn may_have_written(&self, order: &OpenOrder) -> bool {
        // What it was may not be known any more; that it left still is.
        let writes = self.order(&order.key).is_none_or(|order| matches!(order.what, OrderKind::Set { .. }));
        writes && (order.tries > 0 || order.written)
    }

    /// The device is linked: what was ordered for another service is not done under this one, nor is what was ordered
    /// while there was none, but to read it.
    pub(crate) fn drop_orders_of_others(&mut self) {
        let Some(service) = self.device.link.as_ref().and_then(Link::service) else { return };
        for order in self.device.orders.clone() {
            let why = match order.service_id {
                Some(given) if given == service => continue,
                Some(_) => "another service",
                None if self.only_reads(&order.key) => {
                    if let Some(open) = self.open_order(&order.key) {
                        open.service_id = Some(service);
                    }
                    continue;
                }
                None => "no service",
            };
            let then = self.left_behind(&order);
            let text = format!(
                "It was ordered while the device belonged to {why}, and nothing more of it is done to whoever has the \
                 device now. {then} Order it again if it is wanted still."
            );
            self.order_over(&order.key, OrderState::Failed, text);
        }
    }

    fn only_reads(&self, key: &str) -> bool {
        self.order(key).is_some_and(|order| order.what.only_reads())
    }

    /// What an Inform says of what the device was told before.
    pub(crate) fn orders_informed(&mut self, inform: &InformFacts) {
        self.tests_informed(inform);
        let open: Vec<OpenOrder> = self.device.orders.clone();
        for order in open {
            let Some(sent_at) = order.sent_at else { continue };
            let Some(what) = self.order(&order.key).map(|order| order.what.clone()) else { continue };
            match what {
                OrderKind::Refresh { .. } | OrderKind::Set { .. } | OrderKind::Diagnose(_) => {
                    self.order_broken(&order.key);
                }
                OrderKind::Reboot => {
                    let ours = inform.events.iter().any(|event| {
                        event.code.trim_start().starts_with("M Reboot") && event.command_key == order.key
                    });
                    if ours {
                        let text =
                            "The device started again and gave our command key back (M Reboot).".into();
                        self.order_over(&order.key, OrderState::Done, text);
                    } else if inform.boot() {
                        let text = "The device started again after it was told (1 BOOT). It did not give our command key \
                                    back, as some devices do not.";
                        self.order_over(&order.key, OrderState::Done, text.into());
                    } else {
                        self.not_restarted(&order, sent_at);
                    }
                }
                OrderKind::FactoryReset => {
                    if inform.bootstrap() {
                        let text = "The device came back in its factory state (0 BOOTSTRAP).".into();
                        self.order_over(&order.key, OrderState::Done, text);
                    } else {
                        self.not_restarted(&order, sent_at);
                    }
                }
            }
        }
    }

    fn not_restarted(&mut self, order: &OpenOrder, sent_at: UtcMs) {
        if self.now.since(sent_at).as_secs() < RESTART_GRACE_S {
            return;
        }
        let text = if order.answered {
            "The device accepted it and informed again later without having done it. It is not told again."
        } else {
            "The session broke when the device was told, and it informed again later without having done it. It is not \
             told again."
        };
        self.order_over(&order.key, OrderState::Failed, text.into());
    }

    /// The session is over and this read or write is not: another session begins it again.
    fn order_broken(&mut self, key: &str) {
        let Some(order) = self.device.orders.iter_mut().find(|order| order.key == key) else { return };
        order.sent_at = None;
        if order.cursor.is_some() {
            // The rest of a large device: it may be asked once more to come for it.
            order.called = false;
        }
        if order.tries >= MOST_TRIES {
            let tries = order.tries;
            let order = order.clone();
            let then = self.aftermath(&order);
            let text = format!("{tries} sessions ended before it was done; it is not tried again. {then}");
            self.order_over(key, OrderState::Failed, text);
            return;
        }
        // What the device took is not taken back by a session that broke.
        let state = if order.running.is_some() { OrderState::Sent } else { OrderState::Waiting };
        let text = "The session ended before it was done; it goes on in the next one.";
        self.tell_order(key, state, text);
    }

    /// The session ended.
    pub(crate) fn orders_after_session(&mut self) {
        let open: Vec<OpenOrder> = self.device.orders.clone();
        for order in open.iter().filter(|order| order.sent_at.is_some()) {
            if self.order(&order.key).is_some_and(|order| !order.what.is_once_only()) {
                self.order_broken(&order.key);
            }
        }
        self.call_for_orders();
        // What waits and was not called for, for it was too soon, is not forgotten.
        if !self.device.orders.is_empty() && self.gap_until().is_some() {
            self.watch_orders();
        }
    }

    // ---- in a session ----------------------------------------------------------------------------------------

    fn order(&self, key: &str) -> Option<&'a Order> {
        let context: &'a crate::Context = self.context;
        context.orders.iter().find(|order| order.key == key)
    }

    /// The next request of an order, when the machine itself has nothing to do. [`Move::Finish`]: none may be sent now.
    pub(crate) fn next_order(&mut self) -> Move {
        if self.device.orders.is_empty() {
            return Move::Finish;
        }
        self.expire_orders();
        for open in self.device.orders.clone() {
            let Some(order) = self.order(&open.key) else { continue };
            let rested = self.session().rested.contains(&open.key);
            if rested || (order.what.is_once_only() && open.sent_at.is_some()) {
                continue;
            }
            let taken = open.running.is_some();
            if let Some(why) = self.order_waits(order, open.service_id, taken) {
                // What the device took stands as it does; why it is not looked at now is no news of it.
                let changed = !taken && open.why.as_deref() != Some(why.as_str());
                if changed && let Some(open) = self.open_order(&open.key) {
                    open.why = Some(why.clone());
                    self.tell_order(&order.key, OrderState::Waiting, &format!("It waits because {why}."));
                }
                continue;
            }
            match self.carry_out_order(order) {
                Move::Sent => return Move::Sent,
                Move::Again | Move::Finish => {}
            }
        }
        Move::Finish
    }

    /// Why an order may not be carried out in this session, as a clause.
    fn order_waits(&self, order: &Order, given: Option<ServiceId>, taken: bool) -> Option<String> {
        if self.device.quarantined() {
            return Some("the device belongs to no service: it is told nothing".into());
        }
        let service = self.device.link.as_ref().and_then(Link::service);
        if given != service && !(given.is_none() && self.only_reads(&order.key)) {
            return Some("the device is not known as that of the service that it was ordered for".into());
        }
        if !self.trusted() {
            return Some("the device has not shown its own secret in this session".into());
        }
        let begun = self.device.session.as_ref();
        let structural = begun.is_some_and(|session| session.structural > 0);
        match &order.what {
            OrderKind::Refresh { .. } | OrderKind::Diagnose(Diagnosis::Hosts) => None,
            // Its result is only read.
            OrderKind::Diagnose(_) if taken => None,
            OrderKind::Set { .. } | OrderKind::Diagnose(_) => {
                let only_clock = match &order.what {
                    OrderKind::Set { values } => values.iter().all(|value| sets_the_clock(&value.path)),
                    _ => false,
                };
                if !only_clock && !self.clock_passes() {
                    let reported = &self.device.clock.reported;
                    return Some(format!(
                        "the device's time is invalid ({}): until it is right only its time settings are written",
                        if reported.is_empty() { "it tells none" } else { reported.as_str() }
                    ));
                }
                structural
                    .then(|| "an object was created in this session; nothing else is written in it".into())
            }
            OrderKind::Reboot | OrderKind::FactoryReset => {
                self.device.run.is_some().then(|| {
                    "the device is being provisioned; it is not restarted in the middle of that".into()
                })
            }
        }
    }

    pub(crate) fn open_order(&mut self, key: &str) -> Option<&mut OpenOrder> {
        self.device.orders.iter_mut().find(|order| order.key == key)
    }

    /// Why this is not told to the device, as a sentence: once more, at the moment of telling, for the order may be older
    /// than what is known of the device now, and than these rules. What was accepted is read back all the same.
    fn forbidden(&self, order: &Order) -> Option<String> {
        let open = self.device.orders.iter().find(|open| open.key == order.key)?;
        if self.only_reads(&order.key) || open.written || open.running.is_some() {
            return None;
        }
        let profile = self.profile_or_nominee();
        let why = only_read(&self.device, profile.as_deref())
            .map(|why| format!("Nothing but reading is done on this device: {why}."));
        let why = why.or_else(|| match &order.what {
            OrderKind::Set { values } => values.iter().find_map(|value| {
                never_ordered(&value.path).map(|why| format!("{} is not written: it {why}.", value.path))
            }),
            _ => None,
        });
        why.map(|why| format!("{why} {}", self.aftermath(open)))
    }

    /// What is known of the device after an order that is not gone on with, as a sentence.
    pub(crate) fn aftermath(&self, order: &OpenOrder) -> &'static str {
        match () {
            () if order.running.is_some() => {
                "The router took the test and may run it still; nobody reads its result."
            }
            () if order.asked => MAY_HAVE_BEGUN,
            () if self.may_have_written(order) => MAY_BE_WRITTEN,
            () => NOTHING_DONE,
        }
    }

    /// Sends the next request of this order, or ends it.
    fn carry_out_order(&mut self, order: &'a Order) -> Move {
        let now = self.now;
        if let Some(text) = self.forbidden(order) {
            self.order_over(&order.key, OrderState::Failed, text);
            return Move::Again;
        }
        let Some(open) = self.open_order(&order.key) else { return Move::Finish };
        open.called_at = None;
        if open.sent_at.is_none() && open.running.is_some() {
            open.sent_at = Some(now);
            open.tries += 1;
        } else if open.sent_at.is_none() {
            open.sent_at = Some(now);
            open.tries += 1;
            open.why = None;
            open.began_at.get_or_insert(now);
            let text = match order.what {
                OrderKind::Refresh { .. } => "The device is being read.",
                OrderKind::Set { .. } => "The device is being told; then it is read back.",
                OrderKind::Diagnose(Diagnosis::Hosts) => "The device is being read.",
                OrderKind::Diagnose(_) => "The device is being asked to test it.",
                OrderKind::Reboot | OrderKind::FactoryReset => {
                    "The device is being told. It is done when the device comes back and says so."
                }
            };
            self.tell_order(&order.key, OrderState::Sent, text);
        }
        let purpose = |step| Purpose::Care { key: order.key.clone(), care: step };
        match &order.what {
            OrderKind::Refresh { path, also } => self.refresh(order, path, also),
            OrderKind::Set { values } => {
                if self.open_order(&order.key).is_some_and(|open| open.written) {
                    return self.read_back(order, values);
                }
                let request = DeviceRequest::SetValues { values: values.clone(), key: order.key.clone() };
                self.request(purpose(CareStep::Write), request)
            }
            OrderKind::Reboot => {
                self.request(purpose(CareStep::Once), DeviceRequest::Reboot { key: order.key.clone() })
            }
            OrderKind::FactoryReset => self.request(purpose(CareStep::Once), DeviceRequest::FactoryReset),
            OrderKind::Diagnose(what) => self.diagnose(order, what),
        }
    }

    fn refresh(&mut self, order: &'a Order, first: &str, also: &[String]) -> Move {
        let part = self.open_order(&order.key).map_or(0, |open| open.part);
        let part = usize::try_from(part).unwrap_or(usize::MAX);
        let mut paths = std::iter::once(first).chain(also.iter().map(String::as_str));
        let Some(path) = paths.nth(part) else { return self.refreshed(&order.key, first, also) };
        let purpose = |care| Purpose::Care { key: order.key.clone(), care };
        let refreshing = self.session().refreshing.as_ref().filter(|refreshing| refreshing.key == order.key);
        let Some(refreshing) = refreshing else {
            let care = CareStep::List { path: path.to_owned() };
            let request = DeviceRequest::GetNames { path: path.to_owned(), next_level: false };
            return self.request(purpose(care), request);
        };
        let limit = usize::try_from(refreshing.read_limit.unwrap_or(NAMES_PER_READ)).unwrap_or(1).max(1);
        let paths: Vec<String> = refreshing.left.iter().take(limit).map(|leaf| leaf.path.clone()).collect();
        if paths.is_empty() {
            self.part_refreshed(&order.key, path);
            return self.refresh(order, first, also);
        }
        self.request(purpose(CareStep::Read { paths: paths.clone() }), DeviceRequest::GetValues { paths })
    }

    /// Everything below this was read: what was there before and was not seen now is gone.
    fn part_refreshed(&mut self, key: &str, path: &str) {
        let cut = self.session().refreshing.take().is_some_and(|refreshing| refreshing.cut);
        let Some(open) = self.open_order(key) else { return };
        let before = open.began_at;
        open.part = open.part.saturating_add(1);
        open.cursor = None;
        open.cut |= cut;
        if let Some(before) = before.filter(|_| !cut) {
            self.effect(Effect::ForgetBelow { path: path.to_owned(), before });
        }
    }

    /// All of it was read.
    fn refreshed(&mut self, key: &str, first: &str, also: &[String]) -> Move {
        let Some(open) = self.open_order(key) else { return Move::Again };
        let missing: Vec<&str> = open.missing.iter().map(|path| path.trim_end_matches('.')).collect();
        let (values, cut, missing) = (open.values, open.cut, missing.join(", "));
        let unread = open.unread.join(", ");
        let mut text = if cut {
            format!(
                "{values} values read. The device names more than {MOST_LEAVES}; refresh a smaller part for the rest."
            )
        } else if values > 0 {
            format!("{values} values read.")
        } else if !unread.is_empty() {
            "Nothing was read.".to_owned()
        } else if also.is_empty() {
            format!("The device has nothing under {first}.")
        } else {
            "The device has no value under any of these.".to_owned()
        };
        if !missing.is_empty() {
            text.push_str(&format!(" The device does not have {missing}."));
        }
        if !unread.is_empty() {
            text.push_str(&format!(
                " The device has {unread}, which was not read because it is a secret: nobody asks for those."
            ));
        }
        let nothing = values == 0 && !unread.is_empty();
        self.order_over(key, if nothing { OrderState::Failed } else { OrderState::Done }, text);
        Move::Again
    }

    fn read_back(&mut self, order: &'a Order, values: &[SetValue]) -> Move {
        let paths: Vec<String> = values
            .iter()
            .filter(|value| !value.value.is_secret() && !names_a_secret(&value.path))
            .map(|value| value.path.clone())
            .collect();
        if paths.is_empty() {
            return self.compared(order, values, &[]);
        }
        let care = CareStep::ReadBack { paths: paths.clone() };
        let purpose = Purpose::Care { key: order.key.clone(), care };
        self.request(purpose, DeviceRequest::GetValues { paths })
    }

    /// The device was read back after a write.
    fn compared(&mut self, order: &Order, wanted: &[SetValue], seen: &[crate::ParamValue]) -> Move {
        let mut results = Vec::new();
        for value in wanted {
            let masked =
                if names_a_secret(&value.path) { "••••".to_owned() } else { value.value.masked() };
            let found = seen.iter().find(|seen| seen.path == value.path);
            let (observed, proof) = match found {
                _ if value.value.is_secret() || names_a_secret(&value.path) => {
                    ("accepted; a secret cannot be read back".to_owned(), Proof::Accepted)
                }
                Some(found) if same_value(value.kind, value.value.expose(), &found.value) => {
                    (sentences::short(&found.value), Proof::ReadBack)
                }
                Some(found) => (sentences::short(&found.value), Proof::Missing),
                None => ("not in the answer".to_owned(), Proof::Missing),
            };
            results.push(OrderResult { path: value.path.clone(), wanted: masked, observed, proof });
        }
        let kept = seen.iter().filter(|seen| wanted.iter().any(|value| value.path == seen.path));
        self.record_read(kept.filter(|seen| !names_a_secret(&seen.path)));
        let other = results.iter().find(|result| result.proof == Proof::Missing);
        let secrets = results.iter().filter(|result| result.proof == Proof::Accepted).count();
        let (state, text) = match other {
            Some(other) => (
                OrderState::Failed,
                format!(
                    "The device accepted it and does not keep it: {} was set to {} and reads {}.",
                    other.path, other.wanted, other.observed
                ),
            ),
            None if secrets == results.len() => {
                (OrderState::Accepted, "The device accepted it. A secret cannot be read back.".to_owned())
            }
            None if secrets > 0 => (
                OrderState::Accepted,
                "Read back as written, but for the secret among it: that was accepted and cannot be read back.".to_owned(),
            ),
            None => (OrderState::Done, "Read back as written.".to_owned()),
        };
        self.end_order(OrderNews { results, ..OrderNews::new(&order.key, state, text) });
        Move::Again
    }

    /// The answer to a request of an order.
    pub(crate) fn care_answered(&mut self, key: &str, care: CareStep, reply: &DeviceReply) -> Move {
        let Some(order) = self.order(key) else { return Move::Again };
        match (care, reply, &order.what) {
            (care, reply, OrderKind::Diagnose(what)) => self.test_answered(order, what, care, reply),
            (CareStep::List { path }, DeviceReply::Names(names), _) => self.care_listed(key, &path, names),
            // Programs ask devices of both data models for the same things by all their names.
            (CareStep::List { path }, DeviceReply::Fault(fault), OrderKind::Refresh { also, .. })
                if fault.code == 9005 && !also.is_empty() =>
            {
                let Some(open) = self.open_order(key) else { return Move::Again };
                open.missing.push(path);
                open.part = open.part.saturating_add(1);
                open.cursor = None;
                if open.missing.len() > also.len() {
                    self.care_faulted(key, "GetParameterNames", fault);
                }
                Move::Again
            }
            (CareStep::Read { paths }, DeviceReply::Values(values), _) => self.care_read(key, &paths, values),
            (CareStep::Read { paths }, DeviceReply::Fault(fault), _)
                if paths.len() > 1 || matches!(fault.code, 9003 | 9005) =>
            {
                self.care_read_faulted(key, &paths);
                Move::Again
            }
            (CareStep::Write, DeviceReply::Set { status }, OrderKind::Set { values }) => {
                if let Some(open) = self.open_order(key) {
                    open.written = true;
                }
                for value in values {
                    self.session().tree.forget_value(&value.path);
                }
                if *status == 1 {
                    if let Some(open) = self.open_order(key) {
                        (open.sent_at, open.called) = (None, false);
                    }
                    let text = "The device accepted it and applies it after the session; it is read back in the next one.";
                    self.tell_order(key, OrderState::Waiting, text);
                    return Move::Finish;
                }
                self.read_back(order, values)
            }
            (CareStep::ReadBack { .. }, DeviceReply::Values(seen), OrderKind::Set { values }) => {
                self.compared(order, values, seen)
            }
            (CareStep::Once, DeviceReply::Accepted, _) => {
                if let Some(open) = self.open_order(key) {
                    open.answered = true;
                }
                let text = "The device accepted it. It is done when the device comes back and says so.";
                self.tell_order(key, OrderState::Sent, text);
                Move::Finish
            }
            (care, DeviceReply::Fault(fault), what) => {
                let rpc = care.rpc(matches!(what, OrderKind::FactoryReset));
                self.care_faulted(key, rpc, fault);
                Move::Again
            }
            (care, _, what) => {
                let rpc = care.rpc(matches!(what, OrderKind::FactoryReset));
                let then = match self.device.orders.iter().find(|open| open.key == key) {
                    Some(_) if what.is_once_only() => "Whether it does it all the same is not known.",
                    Some(open) => self.aftermath(open),
                    None => "",
                };
                let text = format!("The device answered something else than was asked ({rpc}). {then}");
                self.order_over(key, OrderState::Failed, text);
                Move::Finish
            }
        }
    }

    fn care_listed(&mut self, key: &str, path: &str, names: &[NameInfo]) -> Move {
        let cursor = self.open_order(key).and_then(|open| open.cursor.clone());
        let mut leaves: Vec<&NameInfo> = names
            .iter()
            .filter(|name| !name.path.ends_with('.'))
            .filter(|name| if path.ends_with('.') { name.path.starts_with(path) } else { name.path == path })
            .filter(|name| cursor.as_ref().is_none_or(|cursor| name.path > *cursor))
            .collect();
        leaves.sort_by(|a, b| a.path.cmp(&b.path));
        leaves.dedup_by(|a, b| a.path == b.path);
        let (cut, first) = (leaves.len() > MOST_LEAVES, cursor.is_none());
        leaves.truncate(MOST_LEAVES);
        let profile = self.profile_or_nominee();
        let (secret, plain): (Vec<&NameInfo>, Vec<&NameInfo>) = leaves.into_iter().partition(|name| {
            names_a_secret(&name.path)
                || profile.as_ref().is_some_and(|profile| profile.is_secret(&name.path))
        });
        // That there is one is worth knowing; what it is nobody asks.
        let secret: Vec<RefreshedValue> = secret
            .into_iter()
            .map(|name| RefreshedValue {
                path: name.path.clone(),
                value: None,
                kind: Default::default(),
                writable: Some(name.writable),
            })
            .collect();
        if !secret.is_empty() {
            self.effect(Effect::RecordRefreshed(secret));
            let whole = first && plain.is_empty();
            if let Some(open) =
                self.open_order(key).filter(|open| whole && !open.unread.contains(&path.to_owned()))
            {
                open.unread.push(path.to_owned());
            }
        }
        let left = plain.into_iter().cloned().collect();
        let read_limit = profile.map(|profile| profile.write.max_names);
        self.session().refreshing = Some(Box::new(Refreshing { key: key.to_owned(), left, read_limit, cut }));
        Move::Again
    }

    fn care_read(&mut self, key: &str, asked: &[String], values: &[crate::ParamValue]) -> Move {
        let Some(refreshing) = self.session().refreshing.as_mut() else { return Move::Again };
        let mut fresh = Vec::new();
        for value in values {
            let Some(leaf) = refreshing.left.iter().find(|leaf| leaf.path == value.path) else { continue };
            fresh.push(RefreshedValue {
                path: value.path.clone(),
                value: Some(value.value.clone()),
                kind: value.kind,
                writable: Some(leaf.writable),
            });
        }
        refreshing.left.retain(|leaf| !asked.contains(&leaf.path));
        let (read, last) = (u32::try_from(fresh.len()).unwrap_or(0), asked.last().cloned());
        if let Some(open) = self.open_order(key) {
            open.values = open.values.saturating_add(read);
            // It got on: what ends the session now is not this order.
            open.tries = 0;
            open.cursor = last.or(open.cursor.take());
        }
        if !fresh.is_empty() {
            self.effect(Effect::RecordRefreshed(fresh));
        }
        Move::Again
    }

    /// One bad name faults a whole batch: halve it until it is alone, then leave it out.
    fn care_read_faulted(&mut self, key: &str, asked: &[String]) {
        let Some(refreshing) = self.session().refreshing.as_mut() else { return };
        if let [one] = asked {
            refreshing.left.retain(|leaf| leaf.path != *one);
            refreshing.read_limit = None;
            if let Some(open) = self.open_order(key) {
                open.cursor = Some(one.clone());
            }
            return;
        }
        refreshing.read_limit = Some(u32::try_from(asked.len() / 2).unwrap_or(1).max(1));
    }

    pub(crate) fn care_faulted(&mut self, key: &str, rpc: &'static str, fault: &DeviceFault) {
        let named = fault.parameters.first();
        let (code, said) = named.map_or((fault.code, &fault.text), |one| (one.code, &one.text));
        let at = named.map(|one| format!(" at {}", one.path)).unwrap_or_default();
        let open = self.device.orders.iter().find(|open| open.key == key);
        let written = open.is_some_and(|open| self.may_have_written(open));
        let test = open.filter(|open| open.asked).map(|open| format!(" {}", self.aftermath(open)));
        let text = format!(
            "The device refused {rpc}{at} with fault {code} ({}): {}.{}",
            sentences::fault_title(code),
            if said.trim().is_empty() { "it gives no text" } else { said.trim().trim_end_matches('.') },
            // Some apply half of what they refuse.
            match (&test, rpc) {
                (Some(test), _) => test.as_str(),
                (None, "SetParameterValues") => " Refresh these parameters to see what it has now.",
                (None, _) if written =>
                    " It may have taken what was written before; refresh these parameters to see what it has now.",
                _ => "",
            }
        );
        let reason = Reason::new(ReasonCode::OrderFailed, text.clone());
        let path = named.map(|one| one.path.clone());
        self.fault(CwmpFault::of(fault.code).class, Some(code), said, path, Some(rpc), &reason);
        let fault = Some((code, said.clone()));
        self.end_order(OrderNews { fault, ..OrderNews::new(key, OrderState::Failed, text) });
    }

    // ---- the record ------------------------------------------------------------------------------------------

    /// An open order stands somewhere else, or for another reason.
    pub(crate) fn tell_order(&mut self, key: &str, state: OrderState, text: &str) {
        let values = self.open_order(key).map_or(0, |open| open.values);
        self.effect(Effect::RecordOrder(OrderNews { values, ..OrderNews::new(key, state, text.to_owned()) }));
    }

    pub(crate) fn order_over(&mut self, key: &str, state: OrderState, text: String) {
        let values = self.open_order(key).map_or(0, |open| open.values);
        self.end_order(OrderNews { values, ..OrderNews::new(key, state, text) });
    }

    pub(crate) fn end_order(&mut self, news: OrderNews) {
        self.device.orders.retain(|order| order.key != news.key);
        if let Some(session) = &mut self.device.session
            && session.refreshing.as_ref().is_some_and(|refreshing| refreshing.key == news.key)
        {
            session.refreshing = None;
        }
        if let Some(session) = &mut self.device.session
            && session.diagnosing.as_ref().is_some_and(|test| test.key == news.key)
        {
            session.diagnosing = None;
        }
        let what = self.order(&news.key).map_or("order", |order| match &order.what {
            OrderKind::Diagnose(what) => what.title(),
            OrderKind::Refresh { .. } => "refresh",
            OrderKind::Set { .. } => "change of parameters",
            OrderKind::Reboot => "restart",
            OrderKind::FactoryReset => "factory reset",
        });
        self.note(sentences::order_ended(what, &news));
        self.effect(Effect::RecordOrder(news));
        if self.device.orders.is_empty() {
            self.effect(Effect::StopTimer { timer: Timer::OrderExpiry });
        }
    }
}
