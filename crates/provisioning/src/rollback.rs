//! Undoing a run that failed. Never deletes, never reboots: what this run made is switched off, what carried
//! traffic before is put back. Undone is what reads so afterwards; what does not stays open work.

use crate::{
    FaultClass,
    device::FollowUp,
    plan::{Item, LayerPlan, PlanStep, same},
    sentences,
    session::{Purpose, WrittenItem},
    talk::WriteValue,
    work::{Move, Work},
};
use profiles::cpe::CpeProfile;

/// Rounds of undoing, each at an Inform after a back-off, before it is left to the next attempt, which starts from
/// what the device has.
const ROUNDS: u32 = 3;

/// What is still to be undone, as the device reads now.
#[derive(Debug, Default)]
struct Left {
    /// Writes, in order.
    steps: Vec<Vec<Item>>,
    /// What cannot be known, or not be written any more, in words.
    unknown: Vec<String>,
}

impl Work<'_> {
    pub(crate) fn roll_back(&mut self, profile: &CpeProfile) -> Move {
        let mut objects = profile.wan.list.clone();
        objects.extend(profile.wan.policy_route.as_ref().map(|route| route.list.clone()));
        if let Some(next) = self.observe(profile, &objects) {
            return next;
        }
        let restore = self.run().was_carrying == Some(true);
        let mut left = if restore { self.left_to_restore() } else { self.left_to_disable(profile) };
        left.unknown.extend(self.untold(&objects));
        let Some(rollback) = self.run().rollback.clone() else { return Move::Again };
        let untried = |items: &Vec<Item>| items.iter().any(|item| !rollback.tried.contains(&item.path));
        if let Some(items) = left.steps.iter().find(|items| untried(items)).cloned() {
            if !profile.write.mix_structural && self.session().structural > 0 {
                self.device.follow_up = FollowUp::SeekSession;
                return Move::Finish;
            }
            if let Some(rollback) = &mut self.run().rollback {
                rollback.tried.extend(items.iter().map(|item| item.path.clone()));
            }
            self.run().at_step = "undoing".into();
            let written = items.iter().map(Item::written).collect();
            return self.write(Purpose::WriteRollback { items: written }, &items);
        }
        if left.steps.is_empty() && left.unknown.is_empty() {
            let undone = if restore { "the WAN is as it was before" } else { "WAN disabled" };
            self.give_up(rollback.why, Some(undone), rollback.class, rollback.park);
        } else {
            self.not_undone(&left);
        }
        Move::Finish
    }

    /// Everything was tried and something still reads otherwise. It stays open and is tried again by the rules of
    /// FAILED, not for ever.
    fn not_undone(&mut self, left: &Left) {
        let path = left.steps.first().and_then(|items| items.first()).map(|item| item.path.clone());
        let items = left.steps.iter().flatten();
        let session = self.session();
        let mut words: Vec<String> = items
            .map(|item| {
                let observed = session.tree.value(&item.path).unwrap_or("nothing");
                format!("{} still reads {observed}", item.label)
            })
            .collect();
        words.extend(left.unknown.iter().cloned());
        let Some(mut rollback) = self.run().rollback.clone() else { return };
        self.attempt_failed(&rollback.why, rollback.class);
        rollback.rounds += 1;
        rollback.tried.clear();
        let (rounds, why, class, park) =
            (rollback.rounds, rollback.why.clone(), rollback.class, rollback.park);
        self.run().rollback = Some(rollback);
        let note = sentences::not_undone(&words, rounds, path.as_deref().unwrap_or_default());
        self.fault(FaultClass::Device, None, &note.text, path, Some("SetParameterValues"), &note);
        self.note(note);
        if rounds >= ROUNDS {
            let last = sentences::could_not_be_undone(&words);
            return self.give_up(why, Some(&last), class, park);
        }
        let at = self.now.plus_s(self.context.policy.back_off_after(rounds));
        let attempts = self.device.attempts;
        let reason = sentences::failed_and_not_undone(why, &words, at, attempts, self.now);
        self.wait_failed(at, reason);
    }

    /// Objects this run wrote in and that cannot be listed now.
    fn untold(&mut self, objects: &[String]) -> Vec<String> {
        let touched = self.run().touched.clone();
        let unlisted = self.session().unlisted.clone();
        objects
            .iter()
            .filter(|object| touched.iter().any(|path| path.starts_with(object.as_str())))
            .filter_map(|object| Some((object, unlisted.get(object)?)))
            .map(|(object, code)| format!("{object} cannot be read (fault {code})"))
            .collect()
    }

    /// What this run made or changed is to be off, its routes cleared.
    fn left_to_disable(&mut self, profile: &CpeProfile) -> Left {
        let anchors: Vec<String> = self.device.objects.values().map(|object| object.path.clone()).collect();
        let touched = self.device.run.as_ref().map(|run| run.touched.clone()).unwrap_or_default();
        let plan = self.planning(profile, |planner| {
            let mut plan = LayerPlan::default();
            for wan in planner.search().wans() {
                // Only what this run wrote to; never the management WAN, whatever its path.
                let ours = anchors.contains(&wan.anchor)
                    && wan.class != crate::detect::WanClass::Management
                    && wan
                        .slots
                        .values()
                        .any(|slot| touched.iter().any(|path| path.starts_with(slot.as_str())));
                if let (true, Some(kind)) = (ours, profile.wan.kinds.get(&wan.kind)) {
                    planner.switch_steps(&mut plan, kind, &wan.slots, false);
                    if let Some((row, ports)) = planner.route_row(&wan.kind, &wan.slots)
                        && touched.contains(&format!("{row}{ports}"))
                    {
                        planner.clear_route(&mut plan, &row, &ports);
                    }
                }
            }
            plan
        });
        Left { steps: plan.steps.into_iter().filter_map(items_of).collect(), unknown: Vec::new() }
    }

    /// Every readable value this run changed is to be as it was. A password cannot be read, so it cannot be put back.
    fn left_to_restore(&mut self) -> Left {
        let before = self.run().before.clone();
        let session = self.session();
        let mut left = Left::default();
        let mut items = Vec::new();
        for (path, value) in before {
            let Some(node) = session.tree.node(&path) else {
                left.unknown.push(format!("{path} is no longer on the device"));
                continue;
            };
            if node.value.as_deref().is_none_or(|now| !same(node.kind, now, &value)) {
                items.push(Item {
                    kind: node.kind,
                    value: WriteValue::Plain(value),
                    label: path.rsplit('.').next().unwrap_or_default().to_owned(),
                    required: false,
                    secret: None,
                    path,
                });
            }
        }
        // Switching on again comes last and alone.
        let (switches, rest): (Vec<Item>, Vec<Item>) =
            items.into_iter().partition(|item| item.path.ends_with(".Enable"));
        left.steps = rest.into_iter().chain(switches).map(|item| vec![item]).collect();
        left
    }

    /// That a write was accepted proves nothing: everything is read again.
    pub(crate) fn rollback_accepted(&mut self, items: &[WrittenItem], status: u8) -> Move {
        for item in items {
            self.session().tree.forget_value(&item.path);
        }
        if status == 1 {
            // Applied later: to be read in another session.
            self.device.follow_up = FollowUp::SeekSession;
            return Move::Finish;
        }
        Move::Again
    }

    /// A fault while undoing changes nothing about the failure. Half of the call may be applied; what could not be
    /// undone is found by reading.
    pub(crate) fn rollback_faulted(&mut self, items: &[WrittenItem], fault: &crate::DeviceFault) -> Move {
        let reason = sentences::device_fault("SetParameterValues", fault.code, &fault.text);
        let class = FaultClass::of_code(fault.code);
        let path = items.first().map(|item| item.path.clone());
        self.fault(class, Some(fault.code), &fault.text, path, Some("SetParameterValues"), &reason);
        for item in items {
            self.session().tree.forget_value(&item.path);
        }
        if items.len() > 1 {
            // One bad leaf must not keep the others on.
            self.run().batch_limit = Some(1);
            if let Some(rollback) = &mut self.run().rollback {
                items.iter().for_each(|item| {
                    rollback.tried.remove(&item.path);
                });
            }
        }
        Move::Again
    }
}

fn items_of(step: PlanStep) -> Option<Vec<Item>> {
    match step {
        PlanStep::Write { items, .. } => Some(items),
        PlanStep::Add { .. } => None,
    }
}
