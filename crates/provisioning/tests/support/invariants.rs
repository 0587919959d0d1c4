//! The invariants of the design, by name, checked at every step of every test.

use provisioning::{Context, Device, DeviceRequest, Effect, Event, State, Step};
use types::UtcMs;

#[derive(Debug, Default)]
pub struct Invariants {
    structural: u32,
    writes: u32,
    last_connection_request: Option<UtcMs>,
    /// Connection-request credentials were last written to an ACTIVE device.
    last_repair: Option<UtcMs>,
    restarts: std::collections::BTreeSet<String>,
    /// Service of the device when an order was given.
    ordered_for: std::collections::BTreeMap<String, Option<types::ServiceId>>,
    /// WAN that carries CWMP: never written.
    pub management_wan: Option<String>,
}

/// Changes of state that may happen, and no others.
const EDGES: &[(State, State)] = {
    use State::*;
    &[
        (Discovered, Informed),
        (Informed, Owned),
        (Owned, TimeSynced),
        (Owned, Informed),
        (TimeSynced, Ready),
        (TimeSynced, Owned),
        (TimeSynced, Informed),
        (Ready, Provisioning),
        (Ready, Active),
        (Ready, WaitingInform),
        (Ready, TimeSynced),
        (Ready, Owned),
        (Ready, Informed),
        (Provisioning, Active),
        (Provisioning, Failed),
        (Provisioning, WaitingInform),
        (Provisioning, TimeSynced),
        (Provisioning, Owned),
        (Provisioning, Informed),
        (WaitingInform, Provisioning),
        (WaitingInform, Ready),
        (WaitingInform, TimeSynced),
        (WaitingInform, Informed),
        (Active, Ready),
        (Active, TimeSynced),
        (Active, Owned),
        (Active, Informed),
        (Failed, TimeSynced),
        (Failed, Owned),
        (Failed, Informed),
    ]
};

fn touches_service(request: &DeviceRequest) -> bool {
    let core = |path: &str| {
        path.contains(".ManagementServer.")
            || path.contains(".Time.")
            || path.starts_with("Device.Time.")
            || path.starts_with("Device.ManagementServer.")
    };
    match request {
        DeviceRequest::SetValues { values, .. } => values.iter().any(|value| !core(&value.path)),
        DeviceRequest::AddObject { .. } => true,
        DeviceRequest::GetNames { .. }
        | DeviceRequest::GetValues { .. }
        | DeviceRequest::Reboot { .. }
        | DeviceRequest::FactoryReset => false,
    }
}

/// Nothing but what we show the device when we call it.
pub fn is_repair(request: &DeviceRequest) -> bool {
    let ours = |path: &str| {
        path.ends_with(".ManagementServer.ConnectionRequestUsername")
            || path.ends_with(".ManagementServer.ConnectionRequestPassword")
    };
    match request {
        DeviceRequest::SetValues { values, .. } => values.iter().all(|value| ours(&value.path)),
        DeviceRequest::AddObject { .. }
        | DeviceRequest::GetNames { .. }
        | DeviceRequest::GetValues { .. }
        | DeviceRequest::Reboot { .. }
        | DeviceRequest::FactoryReset => false,
    }
}

impl Invariants {
    pub fn session_began(&mut self) {
        self.structural = 0;
        self.writes = 0;
    }

    pub fn check(&mut self, before: &Device, event: &Event, step: &Step, context: &Context, now: UtcMs) {
        let next = &step.next;
        let requests: Vec<&DeviceRequest> = step
            .effects
            .iter()
            .filter_map(|effect| if let Effect::Request(request) = effect { Some(request) } else { None })
            .collect();
        if let Event::OrderGiven { key, service_id, .. } = event {
            self.ordered_for.entry(key.clone()).or_insert(*service_id);
        }
        let finishes = step.effects.iter().filter(|effect| matches!(effect, Effect::FinishSession)).count();

        // one_answer_per_turn
        match event {
            Event::SessionReady | Event::ReplyReceived(_) => {
                assert_eq!(requests.len() + finishes, 1, "one_answer_per_turn: {event:?}");
            }
            _ => assert_eq!(requests.len() + finishes, 0, "one_answer_per_turn: {event:?}"),
        }
        for request in requests.iter().copied() {
            let service = touches_service(request);
            // Under way in this session: the machine writes it down before the request leaves.
            let under_way = |key: &str| next.orders.iter().any(|o| o.key == key && o.sent_at == Some(now));
            let ordered = match request {
                DeviceRequest::SetValues { key, .. } => next.orders.iter().any(|order| order.key == *key),
                DeviceRequest::GetNames { .. } | DeviceRequest::GetValues { .. } => {
                    next.orders.iter().any(|order| order.sent_at.is_some())
                }
                DeviceRequest::AddObject { .. } => false,
                DeviceRequest::Reboot { .. } | DeviceRequest::FactoryReset => true,
            };
            // no_order_runs_under_another_service
            let linked = next.link.as_ref().and_then(provisioning::Link::service);
            for order in next.orders.iter().filter(|order| order.sent_at.is_some()) {
                let given = self.ordered_for.get(&order.key).copied().flatten();
                let reads = context
                    .orders
                    .iter()
                    .any(|content| content.key == order.key && content.what.only_reads());
                assert!(
                    given == linked || (given.is_none() && reads),
                    "no_order_runs_under_another_service: {order:?} given under {given:?}, linked to {linked:?}"
                );
            }
            // nothing_is_restarted_in_the_middle_of_provisioning
            if matches!(request, DeviceRequest::Reboot { .. } | DeviceRequest::FactoryReset) {
                assert!(
                    next.run.is_none(),
                    "nothing_is_restarted_in_the_middle_of_provisioning: {request:?}"
                );
            }
            // nothing_is_restarted_without_an_order, and never twice
            match request {
                DeviceRequest::Reboot { key } => {
                    assert!(under_way(key), "nothing_is_restarted_without_an_order: {request:?}");
                    assert!(self.restarts.insert(key.clone()), "an_order_restarts_once: {request:?}");
                }
                DeviceRequest::FactoryReset => {
                    let order = context.orders.iter().find(|order| {
                        order.what == provisioning::OrderKind::FactoryReset && under_way(&order.key)
                    });
                    let order = order.expect("nothing_is_reset_without_an_order");
                    assert!(self.restarts.insert(order.key.clone()), "an_order_resets_once: {request:?}");
                }
                _ => {}
            }
            // no_configuration_outside_ready_or_provisioning
            if service && !ordered {
                assert!(
                    matches!(next.state(), State::Ready | State::Provisioning),
                    "no_configuration_outside_ready_or_provisioning: {request:?} in {}",
                    next.state()
                );
            }
            // clock_invalid_means_only_management_and_time_writes
            if service {
                let passes = next.clock.valid
                    || next.clock.overridden_by.is_some()
                    || context.policy.clock_waived_by.is_some();
                assert!(passes, "clock_invalid_means_only_management_and_time_writes: {request:?}");
            }
            // active_and_same_intent_means_zero_writes, except connection-request credentials after a 401, once a day
            if request.is_write() && !ordered && next.state() == State::Active {
                assert!(
                    is_repair(request) && before.connection.unauthorized_since.is_some(),
                    "active_and_same_intent_means_zero_writes: {request:?}"
                );
                let rests = context.policy.credentials_rewrite_s;
                assert!(
                    self.last_repair.is_none_or(|last| last == now || now.since(last).as_secs() >= rests),
                    "credentials_are_written_again_once_a_day: {request:?}"
                );
                self.last_repair = Some(now);
            }
            // failed_does_nothing_before_its_time
            assert!(
                ordered || next.state() != State::Failed,
                "failed_does_nothing_before_its_time: {request:?}"
            );
            // quarantined_devices_are_told_nothing
            assert!(!next.quarantined(), "quarantined_devices_are_told_nothing: {request:?}");
            // one_structural_rpc_per_session, and never mixed with writes of any kind
            self.structural += u32::from(request.is_structural());
            self.writes += u32::from(request.is_write() && !request.is_structural());
            assert!(self.structural <= 1, "one_structural_rpc_per_session: {request:?}");
            assert!(
                self.structural == 0 || self.writes == 0,
                "structural_and_writes_never_mixed: {request:?}"
            );
            if let DeviceRequest::SetValues { values, .. } = request {
                // management_wan_is_never_touched
                if let Some(wan) = &self.management_wan {
                    assert!(
                        !values.iter().any(|value| value.path.starts_with(wan.as_str())),
                        "management_wan_is_never_touched: {request:?}"
                    );
                }
                // switching_on_is_alone
                let on = values
                    .iter()
                    .filter(|v| {
                        v.path.ends_with(".Enable")
                            && !v.path.contains(".WLANConfiguration.")
                            && touches_service(request)
                            && v.path.contains("WAN")
                    })
                    .count();
                assert!(on == 0 || on == values.len(), "switching_on_is_alone: {request:?}");
                // no_duplicate_names
                let mut paths: Vec<&str> = values.iter().map(|value| value.path.as_str()).collect();
                paths.sort_unstable();
                paths.dedup();
                assert_eq!(paths.len(), values.len(), "no_duplicate_names: {request:?}");
                // inform_interval_is_never_shortened
                for value in values.iter().filter(|value| value.path.ends_with("PeriodicInformInterval")) {
                    let seconds: u32 = value.value.expose().parse().expect("a number");
                    let least = context
                        .policy
                        .inform_interval_s
                        .saturating_sub(context.policy.inform_spread_s)
                        .max(30);
                    assert!(seconds >= least, "inform_interval_is_never_shortened: {seconds}");
                }
            }
        }
        // failed_does_nothing_before_its_time: back-off counts for every Inform, as long as it is the same device
        // with the same firmware (another firmware is another device: what it was parked for may be gone)
        if before.state() == State::Failed
            && before.identity.software_version == next.identity.software_version
            && matches!(event, Event::InformReceived { inform, .. } if !inform.bootstrap())
            && before.next_attempt_at.is_some_and(|at| at > now)
        {
            assert_eq!(next.state(), State::Failed, "failed_does_nothing_before_its_time");
        }
        // a_check_only_reports
        let of_a_check = match event {
            Event::CheckRequested { .. } => true,
            Event::ConnectionRequestFinished(_) | Event::TimerFired(provisioning::Timer::Watchdog) => {
                before.connection.check
            }
            _ => false,
        };
        if of_a_check {
            let refused = |device: &Device| device.connection.unauthorized_since;
            assert!(step.transitions.is_empty(), "a_check_only_reports: {event:?}");
            assert!(refused(next).is_none() || refused(next) == refused(before), "a_check_only_reports");
            assert_eq!(next.reason, before.reason, "a_check_only_reports: {event:?}");
        }
        // one_connection_request_per_window
        for _ in step.effects.iter().filter(|effect| matches!(effect, Effect::RequestConnection)) {
            if let Some(last) = self.last_connection_request {
                let gap = now.since(last).as_secs();
                assert!(
                    gap >= context.policy.connection_request_gap_s,
                    "one_connection_request_per_window: {gap} s"
                );
            }
            self.last_connection_request = Some(now);
            let timer = step.effects.iter().any(|effect| {
                matches!(effect, Effect::StartTimer { timer: provisioning::Timer::Watchdog, .. })
            });
            assert!(timer, "every connection request is watched");
        }
        // no_event_order_skips_a_state
        let mut at = before.state();
        for transition in &step.transitions {
            assert_eq!(transition.from, at, "no_event_order_skips_a_state");
            let edge = (transition.from, transition.to);
            assert!(
                EDGES.contains(&edge),
                "no_event_order_skips_a_state: {} → {} by {event:?}",
                edge.0,
                edge.1
            );
            assert!(!transition.reason.text.is_empty(), "every transition has a reason");
            at = transition.to;
        }
        assert_eq!(at, next.state(), "no_event_order_skips_a_state: every change is recorded");
        // waiting_inform_does_nothing
        if before.state() == State::WaitingInform
            && matches!(
                event,
                Event::TimerFired(_) | Event::IntentChanged(_) | Event::OnuFlapped | Event::OnuOffline
            )
        {
            assert!(
                !step.effects.iter().any(|e| matches!(e, Effect::RequestConnection | Effect::Request(_))),
                "waiting_inform_does_nothing: {event:?}"
            );
        }
        if let Event::IntentChanged(wish) = event {
            // the_same_wish_again_is_no_event
            let known = before.wish.as_ref().is_some_and(|known| known.layers == wish.layers);
            if known && matches!(before.state(), State::Failed | State::TimeSynced) {
                assert!(
                    step.effects.is_empty() && step.reasons.is_empty() && step.transitions.is_empty(),
                    "the_same_wish_again_is_no_event: {step:?}"
                );
                assert_eq!(
                    (next.next_attempt_at, &next.run, next.attempts),
                    (before.next_attempt_at, &before.run, before.attempts),
                    "the_same_wish_again_is_no_event"
                );
            }
            // a_wish_never_drops_an_undoing
            let undoing = |device: &Device| device.run.as_ref().and_then(|run| run.rollback.clone());
            assert_eq!(undoing(before), undoing(next), "a_wish_never_drops_an_undoing");
        }
        // an_undoing_ends_done_told_or_covered: with nothing left to be undone, with words for what is, or with an attempt
        // at the WAN under way that knows what it was before
        if let Some(run) = before.run.as_ref().filter(|run| run.rollback.is_some())
            && next.run.as_ref().is_none_or(|run| run.rollback.is_none())
            && matches!(event, Event::SessionReady | Event::ReplyReceived(_) | Event::RetryRequested { .. })
            && next.state() != State::Informed
        {
            let covered = next.run.as_ref().is_some_and(|next| {
                run.touched.is_subset(&next.touched)
                    && run.before.iter().all(|(path, value)| next.before.get(path) == Some(value))
            });
            let attempts = |device: &Device| device.attempts;
            let told = attempts(next) > attempts(before)
                || run.rollback.as_ref().is_some_and(|rollback| rollback.rounds > 0);
            assert!(covered || told || next.state() == State::Active, "an_undoing_ends_done_told_or_covered");
        }
        // secrets_never_leave_but_in_a_write
        let mut shown = serde_json::to_string(next).expect("a device is plain data");
        for effect in &step.effects {
            if !matches!(effect, Effect::Request(_)) {
                shown.push_str(&format!("{effect:?}"));
            }
        }
        shown.push_str(&format!("{:?} {:?}", step.transitions, step.reasons));
        for secret in [super::PPPOE_PASSWORD, super::WIFI_PASSPHRASE, "own-secret-1", "own-secret-2"] {
            assert!(!shown.contains(secret), "secrets_never_leave_but_in_a_write: {event:?}");
        }
    }
}
