//! Carrying out a plan: one request at a time, read back after every write, planned again after every answer.

use crate::{
    Context, Effect, Intents, Layer, LearnedFact, Reason, ReasonCode, State, Timer, Wish,
    device::{FailedLayer, FollowUp, Run, Search, StoredObject},
    plan::{Blocked, Item, LayerPlan, PlanStep, Planner, born_since},
    sentences,
    session::{PendingAdd, Purpose, Rollback},
    talk::DeviceRequest,
    verify::Check,
    work::{Move, Work},
};
use profiles::cpe::{Bind, CpeProfile, pattern_of};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use types::{CwmpFault, FaultClass, UtcMs};

/// Writes of one leaf in one run before we believe that the device does not keep it.
const TRIES: u32 = 2;

/// Reads needed to plan these layers.
fn objects_of(profile: &CpeProfile, intents: &Intents, layers: &[Layer]) -> Vec<String> {
    let mut objects = Vec::new();
    if layers.contains(&Layer::Internet) {
        objects.extend(profile.wan.list.clone());
        let named = intents.internet.as_ref().is_some_and(|intent| !intent.bind.is_empty());
        if let Some(route) = profile.wan.policy_route.as_ref().filter(|route| !route.binds || named) {
            objects.push(route.list.clone());
        }
        if let Some(Bind::List(bind)) = &profile.wan.bind
            && (bind.needed || named)
        {
            objects.extend(bind.list.clone());
        }
    }
    if layers.contains(&Layer::Access)
        && let Some(access) = &intents.access
    {
        if !access.wifi.is_empty() {
            objects.extend(profile.wifi.iter().flat_map(|wifi| wifi.list.clone()));
        }
        if access.lan.is_some() {
            objects.extend(profile.lan.iter().flat_map(|lan| lan.list.clone()));
        }
    }
    objects
}

fn plan_layer(planner: &Planner<'_>, intents: &Intents, layer: Layer) -> Result<LayerPlan, Blocked> {
    match layer {
        Layer::Internet => {
            intents.internet.as_ref().map_or(Ok(LayerPlan::default()), |i| planner.internet(i))
        }
        Layer::Access => intents.access.as_ref().map_or(Ok(LayerPlan::default()), |a| planner.access(a)),
        Layer::Core | Layer::Extras => Ok(LayerPlan::default()),
    }
}

impl<'a> Work<'a> {
    fn intents(&self) -> Intents {
        let context: &'a Context = self.context;
        context.intents.clone().unwrap_or_default()
    }

    /// What every configuring state checks first. `Err` = it may not go on here.
    fn may_configure(&mut self) -> Result<Arc<CpeProfile>, Move> {
        if !self.clock_passes() {
            let reason = self.clock_reason();
            self.goto(State::Owned, reason);
            return Err(Move::Again);
        }
        if let Some(reason) = self.closed_gate() {
            self.goto(State::TimeSynced, reason);
            return Err(Move::Finish);
        }
        if !self.trusted() {
            let reason = self.untrusted_reason();
            self.goto(State::TimeSynced, reason);
            return Err(Move::Finish);
        }
        let chosen = self.choose_profile();
        if let (Err(Move::Finish), Some(reason)) = (&chosen, self.device.reason.clone()) {
            // The profile became read-only or is gone: wait at the gate.
            self.goto(State::TimeSynced, reason);
        }
        chosen
    }

    /// READY: read, plan; nothing is written here.
    pub(crate) fn prepare(&mut self) -> Move {
        let profile = match self.may_configure() {
            Ok(profile) => profile,
            Err(next) => return next,
        };
        if let Some(run) = &self.device.run {
            let reason = sentences::resumed(&run.at_step);
            self.goto(State::Provisioning, reason);
            return Move::Again;
        }
        let intents = self.intents();
        if self.layers_due().is_empty() {
            self.goto(State::Active, sentences::already_active());
            return Move::Again;
        }
        let no_path = self.no_path(&profile);
        let layers = self.layers_to_do(no_path.is_some());
        if let (true, Some(reason)) = (layers.is_empty(), no_path.clone()) {
            return self.stop_before(reason);
        }
        let parked = self.parked_of(&layers);
        let layers: Vec<Layer> = layers.into_iter().filter(|layer| !parked.contains_key(layer)).collect();
        if let Some(next) = self.observe(&profile, &objects_of(&profile, &intents, &layers)) {
            return next;
        }
        let plans: Vec<_> =
            layers.iter().map(|layer| self.planning(&profile, |p| plan_layer(p, &intents, *layer))).collect();
        let steps = plans.iter().flatten().map(|plan| plan.steps.len()).sum();
        let in_force = parked.is_empty()
            && plans.iter().zip(&layers).all(|(plan, layer)| match plan {
                Ok(plan) => {
                    plan.steps.is_empty()
                        && (*layer != Layer::Internet || self.in_force(&profile, &intents, plan))
                }
                Err(_) => false,
            });
        if in_force {
            let mut what = Vec::new();
            for (plan, layer) in plans.into_iter().flatten().zip(&layers) {
                self.store_slots(&profile, &plan);
                if *layer == Layer::Internet {
                    self.which_wan_is_known(&plan);
                }
                what.push(self.layer_verified(*layer, &plan));
            }
            if let Some(reason) = no_path {
                return self.stop_before(reason);
            }
            self.device.attempts = 0;
            self.device.next_attempt_at = None;
            self.device.drift_checked_at = Some(self.now);
            self.goto(State::Active, sentences::already_as_wanted(&what.join("; ")));
            return Move::Again;
        }
        self.device.last_attempt_began_at = Some(self.now);
        self.device.run = Some(Run {
            began_at: self.now,
            layers: layers.clone(),
            at_step: "planning".into(),
            failed: parked,
            ..Run::default()
        });
        self.goto(State::Provisioning, sentences::provisioning_started(&layers, steps));
        Move::Again
    }

    /// PROVISIONING: the first step that is left, or the look at the result.
    pub(crate) fn carry_out(&mut self) -> Move {
        let profile = match self.may_configure() {
            Ok(profile) => profile,
            Err(next) => return next,
        };
        self.wishes(Wish::of(self.context.intents.as_ref(), &self.context.fingerprint_key));
        if self.run().rollback.is_some() {
            if !self.suspended() {
                return self.roll_back(&profile);
            }
            let run = self.run();
            run.rollback = None;
            run.tries.clear();
        }
        let intents = self.intents();
        // What was begun is undone before anybody stops at a gate.
        let no_path = if self.run().touched.is_empty() { self.no_path(&profile) } else { None };
        let layers = self.layers_to_do(no_path.is_some());
        self.run().layers = layers.clone();
        let wanted: BTreeMap<Layer, Option<String>> =
            layers.iter().map(|layer| (*layer, self.wanted_hash(*layer))).collect();
        self.run().failed.retain(|layer, failed| wanted.get(layer) == Some(&failed.wanted));
        let failed: BTreeSet<Layer> = self.run().failed.keys().copied().collect();
        let mut waiting = None;
        for layer in layers.into_iter().filter(|layer| !failed.contains(layer)) {
            // Only what this layer needs: a Wi-Fi tree is large, and this may be the fourth session of a WAN.
            if let Some(next) = self.observe(&profile, &objects_of(&profile, &intents, &[layer])) {
                return next;
            }
            self.adopt_pending();
            self.plans_for(layer);
            let plan = match self.planning(&profile, |p| plan_layer(p, &intents, layer)) {
                Ok(plan) => plan,
                Err(blocked) => {
                    if blocked.reason.code == ReasonCode::SeveralWansMatch {
                        self.ask_which_wan(&profile, &intents);
                    }
                    return self.fail(layer, blocked.reason, FaultClass::ProvisioningLogic, blocked.park);
                }
            };
            self.store_slots(&profile, &plan);
            if layer == Layer::Internet {
                self.which_wan_is_known(&plan);
            }
            self.suspects_left(&plan);
            self.step_finished(&plan);
            match plan.steps.first() {
                Some(step) => match self.take_step(&profile, layer, step) {
                    Some(next) => return next,
                    None => {
                        // It needs a session of its own. While the connection comes up, the look at it brings one.
                        self.run().at_step = step.describe();
                        if waiting.is_none() {
                            self.device.follow_up = FollowUp::SeekSession;
                        }
                        return self.wait_for_check(waiting);
                    }
                },
                None => match self.check(&profile, layer, &intents, &plan) {
                    Check::InForce => {
                        self.layer_verified(layer, &plan);
                    }
                    Check::NotYet(reason) => waiting = Some(reason),
                    Check::Failed(reason) => return self.fail(layer, reason, FaultClass::Service, false),
                },
            }
        }
        if waiting.is_some() {
            return self.wait_for_check(waiting);
        }
        match no_path {
            _ if !self.run().failed.is_empty() => self.give_up(),
            Some(reason) => self.stop_before(reason),
            None => self.succeed(),
        }
    }

    /// Why nobody can build the internet WAN that is wanted, if it is not in force: the gate of the family, as far as this
    /// layer goes. To switch off, no path for the mode is needed.
    pub(crate) fn no_path(&mut self, profile: &CpeProfile) -> Option<Reason> {
        let context: &'a Context = self.context;
        let intent = context.intents.as_ref()?.internet.as_ref().filter(|intent| !intent.suspended)?;
        if !self.layers_due().contains(&Layer::Internet) {
            return None;
        }
        let missing = self.planning(profile, |planner| planner.missing_path(intent))?;
        Some(sentences::profile_lacks_path(&profile.title, &missing))
    }

    /// What can be worked on: the layers that are due, but for an internet WAN that nobody can build.
    fn layers_to_do(&self, no_path: bool) -> Vec<Layer> {
        let due = self.layers_due().into_iter();
        due.filter(|layer| !(no_path && *layer == Layer::Internet)).collect()
    }

    /// Those of them that are parked: they count as failed in an attempt at the others.
    fn parked_of(&self, layers: &[Layer]) -> BTreeMap<Layer, FailedLayer> {
        let still = |layer: &Layer, parked: &FailedLayer| {
            layers.contains(layer)
                && parked.wanted == self.wanted_hash(*layer)
                && parked.until.is_some_and(|until| until > self.now)
        };
        let parked = self.device.parked.iter().filter(|(layer, parked)| still(layer, parked));
        parked.map(|(layer, parked)| (*layer, parked.clone())).collect()
    }

    /// The other layers are in force; for this one the gate is closed.
    fn stop_before(&mut self, reason: Reason) -> Move {
        self.device.parked.clear();
        self.device.run = None;
        self.device.attempts = 0;
        self.device.next_attempt_at = None;
        self.effect(Effect::StopTimer { timer: Timer::VerifyCheck });
        self.effect(Effect::StopTimer { timer: Timer::Attempt });
        self.goto(State::TimeSynced, reason);
        Move::Finish
    }

    pub(crate) fn wanted_hash(&self, layer: Layer) -> Option<String> {
        self.context.intents.as_ref()?.layer_hash(layer, &self.context.fingerprint_key)
    }

    fn succeed(&mut self) -> Move {
        let verified = self.device.layers.values().filter(|record| record.verified_at.is_some());
        let what = verified.map(|record| record.summary.as_str()).collect::<Vec<_>>().join("; ");
        self.device.run = None;
        self.device.attempts = 0;
        self.device.next_attempt_at = None;
        self.device.flaps = 0;
        self.device.drift_checked_at = Some(self.now);
        self.effect(Effect::StopTimer { timer: Timer::VerifyCheck });
        self.effect(Effect::StopTimer { timer: Timer::Attempt });
        self.goto(State::Active, sentences::active(&what));
        Move::Again
    }

    fn wait_for_check(&mut self, waiting: Option<Reason>) -> Move {
        if let Some(reason) = waiting {
            if let Some(at) = self.run().next_check_at {
                self.effect(Effect::StartTimer { timer: Timer::VerifyCheck, at });
            }
            self.run().at_step = "looking at the connection".into();
            self.say(reason);
        }
        Move::Finish
    }

    /// The open run. States that have none never come here; an empty one does no harm.
    pub(crate) fn run(&mut self) -> &mut Run {
        let now = self.now;
        self.device.run.get_or_insert_with(|| Run { began_at: now, ..Run::default() })
    }

    /// The plan of this layer is made for what is wanted now. What was tried of another wish says nothing about this one.
    fn plans_for(&mut self, layer: Layer) {
        let wanted = self.wanted_hash(layer);
        let run = self.run();
        let before = match &wanted {
            Some(wanted) => run.planned.insert(layer, wanted.clone()),
            None => run.planned.remove(&layer),
        };
        if before.is_some() && before != wanted {
            run.tries.clear();
        }
    }

    /// An AddObject whose answer never came: if exactly one instance is new, it is ours.
    fn adopt_pending(&mut self) {
        let Some(pending) = self.device.pending_add.take() else { return };
        let listed = self.session().tree.has(&pending.table);
        if let Some(path) = born_since(&self.session().tree, &pending) {
            let at = self.now;
            self.run().touched.insert(path.clone());
            self.device.objects.insert(pending.slot, StoredObject { path, created: true, at, stale: false });
        } else if !listed {
            self.device.pending_add = Some(pending);
        }
    }

    fn store_slots(&mut self, profile: &CpeProfile, plan: &LayerPlan) {
        for (slot, path) in &plan.slots {
            if profile.wan.slots.get(slot).is_some_and(|slot| slot.shared) {
                continue;
            }
            let known = self.device.objects.get(slot);
            if known.is_none_or(|known| known.path != *path || known.stale) {
                let created = known.is_some_and(|known| known.path == *path && known.created);
                let object = StoredObject { path: path.clone(), created, at: self.now, stale: false };
                self.device.objects.insert(slot.clone(), object);
            }
        }
    }

    /// A step counts as done when the device, read back, no longer needs it.
    fn step_finished(&mut self, plan: &LayerPlan) {
        let Some((name, paths)) = self.session().last_step.clone() else { return };
        let open = plan.steps.iter().any(|step| match step {
            PlanStep::Write { items, .. } => items.iter().any(|item| paths.contains(&item.path)),
            PlanStep::Add { .. } => false,
        });
        let about = plan.wanted.iter().any(|item| paths.contains(&item.path));
        if about && !open {
            self.session().last_step = None;
            self.run().steps_done += 1;
            self.note(sentences::step_done(&name));
        }
    }

    /// `None` = not in this session.
    fn take_step(&mut self, profile: &CpeProfile, layer: Layer, step: &PlanStep) -> Option<Move> {
        let policy = profile.write;
        if layer == Layer::Internet && self.run().working.is_none() {
            // Before the first write: afterwards nobody can tell any more.
            let working = self.planning(profile, |planner| planner.working());
            self.run().working = Some(working);
        }
        let session = self.session();
        match step {
            PlanStep::Add { slot, table } => {
                let mixed = !policy.mix_structural && !session.written.is_empty();
                if session.structural >= policy.structural_per_session || mixed {
                    return None;
                }
                let before = session.tree.instances(table).into_iter().map(|(_, path)| path).collect();
                let at = self.now;
                self.device.pending_add =
                    Some(PendingAdd { slot: slot.clone(), table: table.clone(), before, at });
                self.run().at_step = step.describe();
                let purpose = Purpose::Add { slot: slot.clone(), table: table.clone() };
                let key = self.parameter_key();
                Some(self.request(purpose, DeviceRequest::AddObject { path: table.clone(), key }))
            }
            PlanStep::Write { name, items } => {
                let other_layer =
                    session.written.iter().any(|word| word != layer.as_str() && word != Layer::Core.as_str());
                if (!policy.mix_structural && session.structural > 0) || (!policy.mix_layers && other_layer) {
                    return None;
                }
                let items = self.under_search(items);
                let items = items.as_slice();
                if let Some(item) = items.iter().find(|item| {
                    self.device
                        .run
                        .as_ref()
                        .is_some_and(|run| run.tries.get(&item.path).copied().unwrap_or(0) >= TRIES)
                }) {
                    return Some(self.not_kept(layer, item));
                }
                self.remember_before(layer, items);
                if let Some(record) = self.device.layers.get_mut(&layer) {
                    // From here on the device is neither as it was nor as it shall be.
                    record.drifted = true;
                }
                self.run().at_step = step.describe();
                if layer == Layer::Internet {
                    self.run().touched.extend(items.iter().map(|item| item.path.clone()));
                }
                let session = self.session();
                session.last_step =
                    Some((name.clone(), items.iter().map(|item| item.path.clone()).collect()));
                let written = items.iter().map(Item::written).collect();
                let purpose = Purpose::WriteStep { layer, step: name.clone(), items: written };
                let values = items.iter().map(Item::set_value).collect();
                let key = self.parameter_key();
                Some(self.request(purpose, DeviceRequest::SetValues { values, key }))
            }
        }
    }

    /// What is written of a step: while one parameter is looked for that the device refuses without naming it, half of those
    /// that it may be and nothing else, so that every answer halves them.
    fn under_search(&self, items: &[Item]) -> Vec<Item> {
        let search = self.device.run.as_ref().and_then(|run| run.search.as_ref());
        let Some(search) = search else { return items.to_vec() };
        let mut suspects: Vec<Item> =
            items.iter().filter(|item| search.suspects.contains(&item.path)).cloned().collect();
        if suspects.is_empty() {
            return items.to_vec();
        }
        suspects.truncate(search.suspects.len().div_ceil(2));
        suspects
    }

    /// These need no more looking at: they were accepted.
    fn cleared(&mut self, items: &[crate::session::WrittenItem]) {
        let took = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let Some(search) = &mut self.run().search else { return };
        search.accepted = search.accepted.max(took);
        for item in items {
            search.suspects.remove(&item.path);
        }
        if search.suspects.is_empty() {
            // Everything was taken in the end: it was too much at once.
            let limit = search.accepted;
            self.run().search = None;
            self.run().batch_limit = Some(limit);
            self.learn_batch_limit(limit);
        }
    }

    /// What the device has as it is wanted by now is not what it refuses; a refused call may be half applied.
    fn suspects_left(&mut self, plan: &LayerPlan) {
        let Some(run) = &mut self.device.run else { return };
        let Some(search) = &mut run.search else { return };
        let open: BTreeSet<&str> = plan
            .steps
            .iter()
            .flat_map(|step| match step {
                PlanStep::Write { items, .. } => items.iter().map(|item| item.path.as_str()).collect(),
                PlanStep::Add { .. } => Vec::new(),
            })
            .collect();
        let about = plan.wanted.iter().any(|item| search.suspects.contains(&item.path));
        if about {
            search.suspects.retain(|path| open.contains(path.as_str()));
            if search.suspects.is_empty() {
                run.search = None;
            }
        }
    }

    fn parameter_key(&self) -> String {
        format!("lk-{}", self.context.intents.as_ref().map_or(0, |intents| intents.version))
    }

    /// Written twice, accepted twice, and still something else.
    fn not_kept(&mut self, layer: Layer, item: &Item) -> Move {
        let observed = self.session().tree.value(&item.path).unwrap_or("nothing").to_owned();
        let reason = sentences::write_not_applied(&item.label, &item.path, &item.value.masked(), &observed);
        if !item.required {
            self.learn(&item.path, "not_kept");
            self.note(Reason { severity: crate::Severity::Info, ..reason });
            return Move::Again;
        }
        self.fail(layer, reason, FaultClass::ProvisioningLogic, false)
    }

    pub(crate) fn learn(&mut self, path: &str, fact: &str) {
        let path = pattern_of(path);
        self.device.learned.insert(path.clone(), fact.to_owned());
        self.effect(Effect::Learn(LearnedFact { path, fact: fact.to_owned() }));
    }

    /// What a WAN was before we touched it, so that it can be put back.
    fn remember_before(&mut self, layer: Layer, items: &[Item]) {
        if layer != Layer::Internet {
            return;
        }
        let values: Vec<(String, String)> = items
            .iter()
            .filter(|item| item.secret.is_none())
            .filter_map(|item| {
                let value = self.device.session.as_ref()?.tree.value(&item.path)?;
                Some((item.path.clone(), value.to_owned()))
            })
            .collect();
        for (path, value) in values {
            self.run().before.entry(path).or_insert(value);
        }
    }

    // ---- answers ---------------------------------------------------------------------------------

    /// A step of the plan was accepted. That proves nothing: everything readable is read again.
    pub(crate) fn step_accepted(
        &mut self,
        layer: Layer,
        items: Vec<crate::session::WrittenItem>,
        status: u8,
    ) -> Move {
        let now = self.now;
        for item in &items {
            *self.run().tries.entry(item.path.clone()).or_default() += 1;
            match &item.secret {
                Some((name, print)) => {
                    let record = self.device.layers.entry(layer).or_default();
                    record.secrets.insert(name.clone(), print.clone());
                }
                None => self.session().tree.forget_value(&item.path),
            }
        }
        self.cleared(&items);
        self.session().written.insert(layer.as_str().to_owned());
        if layer == Layer::Internet {
            let run = self.run();
            run.last_write_at = Some(now);
            run.checks = 0;
            run.next_check_at = None;
        }
        if status == 1 {
            // Applied later: to be read in another session.
            self.device.follow_up = FollowUp::SeekSession;
            return Move::Finish;
        }
        Move::Again
    }

    pub(crate) fn step_faulted(
        &mut self,
        layer: Layer,
        items: Vec<crate::session::WrittenItem>,
        fault: &crate::DeviceFault,
    ) -> Move {
        let class = CwmpFault::of(fault.code).class;
        let named: Vec<_> = items
            .iter()
            .filter_map(|item| {
                let entry = fault.parameters.iter().find(|entry| entry.path == item.path)?;
                Some((item.clone(), entry.code, entry.text.clone()))
            })
            .collect();
        // A faulted call may be half applied.
        for item in &items {
            self.session().tree.forget_value(&item.path);
        }
        self.session().written.insert(layer.as_str().to_owned());
        if layer == Layer::Internet {
            self.run().last_write_at = Some(self.now);
        }
        let searched = self.run().search.is_some();
        let culprits = match (named.is_empty(), items.as_slice(), fault.code) {
            (false, _, _) => named,
            (true, [only], 9003 | 9005..=9008) => vec![(only.clone(), fault.code, fault.text.clone())],
            // Found by halves, or refused alone: it is this one.
            (true, [only], 9001 | 9002) if only.required || searched => {
                vec![(only.clone(), fault.code, fault.text.clone())]
            }
            (true, [_], _) => Vec::new(),
            // Nobody says which one: half of them until it is alone.
            (true, many, 9001..=9003 | 9005..=9008) => {
                let half = u32::try_from(many.len() / 2).unwrap_or(1).max(1);
                let suspects = many.iter().map(|item| item.path.clone()).collect();
                let run = self.run();
                let limit_before = run.batch_limit;
                let search = run.search.get_or_insert_with(|| Search { limit_before, ..Search::default() });
                search.suspects = suspects;
                run.batch_limit = Some(half);
                let reason = sentences::device_fault("SetParameterValues", fault.code, &fault.text);
                self.fault(class, Some(fault.code), &fault.text, None, Some("SetParameterValues"), &reason);
                return Move::Again;
            }
            _ => Vec::new(),
        };
        if !culprits.is_empty()
            && let Some(search) = self.run().search.take()
        {
            // It was one parameter and not their number.
            self.run().batch_limit = search.limit_before;
        }
        let Some((worst, code, text)) = culprits.iter().find(|(item, _, _)| item.required).cloned() else {
            if culprits.is_empty() {
                let reason = sentences::device_fault("SetParameterValues", fault.code, &fault.text);
                let path = items.first().map(|item| item.path.clone());
                self.fault(class, Some(fault.code), &fault.text, path, Some("SetParameterValues"), &reason);
                return self.fail(layer, reason, class, false);
            }
            for (item, code, text) in culprits {
                let reason = sentences::write_rejected(&item.label, &item.path, code, &text);
                self.fault(
                    class,
                    Some(code),
                    &text,
                    Some(item.path.clone()),
                    Some("SetParameterValues"),
                    &reason,
                );
                self.learn(&item.path, fact_of(code));
            }
            return Move::Again;
        };
        let reason = sentences::write_rejected(&worst.label, &worst.path, code, &text);
        self.fault(class, Some(code), &text, Some(worst.path.clone()), Some("SetParameterValues"), &reason);
        // Denied and failed inside may be otherwise the next time; a name or a value that is wrong stays so.
        self.fail(layer, reason, class, !matches!(code, 9001 | 9002))
    }

    fn learn_batch_limit(&mut self, limit: u32) {
        self.effect(Effect::Learn(LearnedFact { path: String::new(), fact: format!("batch_limit={limit}") }));
    }

    /// The path is stored before anything else happens.
    pub(crate) fn object_added(&mut self, slot: String, table: &str, instance: u32, status: u8) -> Move {
        if instance > 0 {
            let path = format!("{table}{instance}.");
            let at = self.now;
            self.device.pending_add = None;
            let object = StoredObject { path: path.clone(), created: true, at, stale: false };
            self.device.objects.insert(slot.clone(), object);
            self.run().steps_done += 1;
            self.run().touched.insert(path);
            self.note(sentences::step_done(&format!("create {slot}")));
        }
        let profile = self.profile_or_nominee();
        let mix = profile.is_some_and(|p| {
            p.write.mix_structural || self.session().structural < p.write.structural_per_session
        });
        if !mix || status == 1 || instance == 0 {
            self.device.follow_up = FollowUp::SeekSession;
            return Move::Finish;
        }
        // Read what was born.
        let session = self.session();
        session.listed.retain(|object| !table.starts_with(object.as_str()) && !object.starts_with(table));
        Move::Again
    }

    pub(crate) fn add_faulted(&mut self, table: &str, fault: &crate::DeviceFault) -> Move {
        self.device.pending_add = None;
        let class = CwmpFault::of(fault.code).class;
        let reason = match fault.code {
            9004 => sentences::no_free_instances(table),
            _ => sentences::device_fault("AddObject", fault.code, &fault.text),
        };
        self.fault(class, Some(fault.code), &fault.text, Some(table.to_owned()), Some("AddObject"), &reason);
        self.fail(Layer::Internet, reason, class, matches!(fault.code, 9000 | 9003..=9008))
    }

    // ---- failure ---------------------------------------------------------------------------------

    /// The service is suspended: what is off stays off, whatever fails, and nothing is put back.
    fn suspended(&self) -> bool {
        let internet = self.context.intents.as_ref().and_then(|intents| intents.internet.as_ref());
        internet.is_some_and(|intent| intent.suspended)
    }

    /// The run failed: undo first where the customer's WAN was touched.
    pub(crate) fn fail(&mut self, layer: Layer, why: Reason, class: FaultClass, park: bool) -> Move {
        // What was sent may have been another wish than there is by now.
        let planned = self.run().planned.get(&layer).cloned();
        let wanted = planned.or_else(|| self.wanted_hash(layer));
        if layer == Layer::Internet && !self.run().touched.is_empty() && !self.suspended() {
            let tried = Default::default();
            self.run().rollback = Some(Rollback { why, class, park, tried, wanted, rounds: 0 });
            return Move::Again;
        }
        if wanted != self.wanted_hash(layer) {
            self.note(why);
            return Move::Again;
        }
        let failed = FailedLayer { why, class, park, wanted, undone: None, counted: false, until: None };
        self.set_aside(layer, failed)
    }

    /// A layer failed, and nothing of it is left to be undone. The others still come into force, as far as they can: a
    /// question about its WANs is no reason to keep a customer's Wi-Fi from him, and a name that the device refuses for
    /// its Wi-Fi none to call a connection that works unproven.
    pub(crate) fn set_aside(&mut self, layer: Layer, failed: FailedLayer) -> Move {
        let due = self.layers_due();
        let run = self.run();
        let others = due.iter().any(|other| *other != layer && !run.failed.contains_key(other));
        if others || !run.failed.is_empty() {
            self.note(failed.why.clone());
        }
        self.run().failed.insert(layer, failed);
        if others { Move::Again } else { self.give_up() }
    }

    /// Nothing is left that could come into force. The first layer that failed says why.
    fn give_up(&mut self) -> Move {
        let mut failed = std::mem::take(&mut self.run().failed);
        // Something that may cure itself is not kept waiting by something that does not, which is left alone meanwhile.
        let park = failed.values().all(|failed| failed.park);
        let fresh: Vec<&FailedLayer> = failed.values().filter(|failed| failed.until.is_none()).collect();
        let counted = fresh.is_empty() || fresh.iter().any(|failed| failed.counted);
        let parked_until = self.now.plus_s(self.context.policy.park_s);
        failed.retain(|_, failed| {
            failed.until = failed.until.or(failed.park.then_some(parked_until));
            true
        });
        let earliest = failed.values().filter_map(|failed| failed.until).min().unwrap_or(parked_until);
        self.device.parked = failed.clone();
        self.device.parked.retain(|_, failed| failed.park && !park);
        let Some(FailedLayer { why, undone, class, .. }) = failed.into_values().next() else {
            return Move::Finish;
        };
        if !counted {
            self.attempt_failed(&why, class);
        }
        let attempts = self.device.attempts;
        let policy = &self.context.policy;
        let at = if park { earliest } else { self.now.plus_s(policy.back_off_after(attempts)) };
        self.device.run = None;
        let reason = sentences::failed(why, undone.as_deref(), Some(at), attempts, park, self.now);
        self.wait_failed(at, reason);
        Move::Finish
    }

    /// Counts a failed attempt, once, however many rounds its undoing takes.
    pub(crate) fn attempt_failed(&mut self, why: &Reason, class: FaultClass) {
        let rollback = self.device.run.as_ref().and_then(|run| run.rollback.as_ref());
        if rollback.is_some_and(|rollback| rollback.rounds > 0) {
            return;
        }
        self.device.attempts = self.device.attempts.saturating_add(1);
        if class == FaultClass::Service {
            self.fault(class, None, &why.text, None, None, why);
        }
    }

    /// FAILED until then.
    pub(crate) fn wait_failed(&mut self, at: UtcMs, reason: Reason) {
        self.device.next_attempt_at = Some(at);
        self.effect(Effect::StopTimer { timer: Timer::VerifyCheck });
        self.effect(Effect::StartTimer { timer: Timer::Attempt, at });
        self.goto(State::Failed, reason);
    }

    // ---- ACTIVE ----------------------------------------------------------------------------------

    /// ACTIVE: same intent, zero writes (but the connection-request credentials after a 401, see `ownership`). Now and then,
    /// and after every boot, the device is compared, read-only.
    pub(crate) fn stay_active(&mut self) -> Move {
        let intents = self.intents();
        let due = self.layers_due();
        if !due.is_empty() {
            self.leave_active(sentences::intent_changed(&due));
            return Move::Again;
        }
        if !self.trusted() {
            let reason = self.untrusted_reason();
            self.note(reason);
            return Move::Finish;
        }
        if !self.drift_check_due() {
            return Move::Finish;
        }
        let profile = match self.choose_profile() {
            Ok(profile) => profile,
            Err(next) => return next,
        };
        let layers = intents.layers();
        if let Some(next) = self.observe(&profile, &objects_of(&profile, &intents, &layers)) {
            return next;
        }
        self.session().boot = false;
        self.device.drift_checked_at = Some(self.now);
        let mut drift = Vec::new();
        for layer in layers {
            match self.planning(&profile, |p| plan_layer(p, &intents, layer)) {
                Ok(plan) if plan.steps.is_empty() => {}
                Ok(plan) => {
                    drift.extend(
                        plan.steps.iter().map(|step| format!("{}: {}", layer.title(), step.describe())),
                    );
                    self.device.layers.entry(layer).or_default().drifted = true;
                }
                Err(blocked) => self.note(blocked.reason),
            }
        }
        if drift.is_empty() {
            return Move::Finish;
        }
        self.leave_active(sentences::drift_found(&drift.join(", ")));
        Move::Again
    }

    fn drift_check_due(&self) -> bool {
        let interval = self.context.policy.drift_check_s;
        let boot = self.device.session.as_ref().is_some_and(|session| session.boot);
        let elapsed = self.device.drift_checked_at.map(|last| self.now.since(last).as_secs());
        boot || (interval > 0 && elapsed.is_none_or(|elapsed| elapsed >= interval))
    }

    /// Out of ACTIVE to the first gate that is closed, or straight to READY.
    pub(crate) fn leave_active(&mut self, why: Reason) {
        self.device.run = None;
        if !self.clock_passes() {
            self.goto(State::Owned, why);
            return;
        }
        match self.closed_gate() {
            Some(gate) => {
                self.goto(State::TimeSynced, why);
                self.say(gate);
                if let Some(at) = self.gate_opens_at() {
                    self.effect(Effect::StartTimer { timer: Timer::Attempt, at });
                }
            }
            None => self.goto(State::Ready, why),
        }
    }

    /// When a gate that only needs time opens.
    pub(crate) fn gate_opens_at(&self) -> Option<UtcMs> {
        let cool_down = self.cool_down_until().filter(|_| self.device.run.is_none());
        let at = cool_down.into_iter().chain(self.device.next_attempt_at).max()?;
        (at > self.now).then_some(at)
    }
}

fn fact_of(code: u32) -> &'static str {
    match code {
        9005 => "missing",
        9006 => "bad_type",
        9007 => "bad_value",
        9008 => "read_only",
        _ => "rejected",
    }
}
