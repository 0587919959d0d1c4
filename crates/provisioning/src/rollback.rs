//! Undoing a run that failed. Never deletes, never reboots: what this run made is switched off, what carried
//! traffic before is put back. Undone is what reads so afterwards; what does not stays open work.

use crate::{
    Layer,
    detect::WanClass,
    device::{FailedLayer, FollowUp},
    plan::{Item, LayerPlan, PlanStep, same},
    sentences,
    session::{Purpose, Rollback, WrittenItem},
    talk::WriteValue,
    work::{Move, Work},
};
use profiles::cpe::CpeProfile;
use std::collections::BTreeSet;
use types::{CwmpFault, FaultClass};

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

impl Left {
    fn absorb(&mut self, other: Left) {
        self.steps.extend(other.steps);
        self.unknown.extend(other.unknown);
    }
}

impl Work<'_> {
    pub(crate) fn roll_back(&mut self, profile: &CpeProfile) -> Move {
        let mut objects = profile.wan.list.clone();
        objects.extend(profile.wan.policy_route.as_ref().map(|route| route.list.clone()));
        if let Some(next) = self.observe(profile, &objects) {
            return next;
        }
        // First off what this run made, then on again what it took away.
        let mut left = self.left_to_disable(profile);
        left.absorb(self.left_to_restore());
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
            let undone = self.undone(profile);
            self.attempt_failed(&rollback.why, rollback.class);
            let run = self.run();
            run.touched.clear();
            run.before.clear();
            return self.undoing_over(rollback, undone);
        }
        self.not_undone(&left)
    }

    /// Nothing more is undone of the layer; what it changed in this attempt is settled.
    fn undoing_over(&mut self, rollback: Rollback, undone: Option<String>) -> Move {
        let run = self.run();
        run.rollback = None;
        run.tries.clear();
        (run.checks, run.next_check_at) = (0, None);
        let news = self.wished_otherwise(&rollback);
        let Rollback { why, class, park, wanted, .. } = rollback;
        if news {
            self.note(why);
            self.run().at_step = "planning".into();
            self.device.last_attempt_began_at = Some(self.now);
            return Move::Again;
        }
        self.set_aside(
            Layer::Internet,
            FailedLayer { why, class, park, wanted, undone, counted: true, until: None },
        )
    }

    /// The internet WAN shall be something else by now, or is as it shall be: what failed is no longer what is wanted.
    fn wished_otherwise(&self, rollback: &Rollback) -> bool {
        // Records from before that was written down say nothing: then it is the same wish.
        let otherwise = rollback.wanted.is_some() && self.wanted_hash(Layer::Internet) != rollback.wanted;
        otherwise || !self.layers_due().contains(&Layer::Internet)
    }

    /// Everything was tried and something still reads otherwise. It stays open and is tried again by the rules of
    /// FAILED, not for ever.
    fn not_undone(&mut self, left: &Left) -> Move {
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
        let Some(mut rollback) = self.run().rollback.clone() else { return Move::Again };
        self.attempt_failed(&rollback.why, rollback.class);
        rollback.rounds += 1;
        rollback.tried.clear();
        let (rounds, why) = (rollback.rounds, rollback.why.clone());
        self.run().rollback = Some(rollback.clone());
        let note = sentences::not_undone(&words, rounds, path.as_deref().unwrap_or_default());
        self.fault(FaultClass::Device, None, &note.text, path, Some("SetParameterValues"), &note);
        self.note(note);
        // A new attempt at the WAN starts from what the device has, and knows what was before, should it fail as well.
        let covered = self.wished_otherwise(&rollback) && self.layers_due().contains(&Layer::Internet);
        if rounds >= ROUNDS || covered {
            return self.undoing_over(rollback, Some(sentences::could_not_be_undone(&words)));
        }
        let at = self.now.plus_s(self.context.policy.back_off_after(rounds));
        let attempts = self.device.attempts;
        let reason = sentences::failed_and_not_undone(why, &words, at, attempts, self.now);
        self.wait_failed(at, reason);
        Move::Finish
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

    /// What was undone, in words.
    fn undone(&mut self, profile: &CpeProfile) -> Option<String> {
        let ours = self.planning(profile, |planner| planner.ours());
        let run = self.run();
        let (of_working, made): (Vec<&String>, Vec<&String>) =
            run.touched.iter().partition(|path| run.is_of_working(path));
        // A password cannot be read, so it cannot be put back.
        let lost: Vec<&str> = of_working
            .iter()
            .filter(|path| !path.ends_with('.') && !run.before.contains_key(**path))
            .map(|path| path.rsplit('.').next().unwrap_or_default())
            .collect();
        let carries_on = ours.iter().any(|wan| {
            let worked = run.working.iter().flatten().any(|worked| worked.anchor == wan.anchor);
            worked && wan.works()
        });
        let mut words = match (of_working.is_empty(), made.is_empty(), carries_on) {
            (true, true, _) => return None,
            (true, false, true) => "new WAN disabled, the former one carries on".to_owned(),
            (true, false, false) => "WAN disabled".to_owned(),
            (false, true, _) => "the WAN is as it was before".to_owned(),
            (false, false, _) => "the WAN is as it was before, what was new is disabled".to_owned(),
        };
        if !lost.is_empty() {
            words.push_str(&format!(", but for its {}, which cannot be read back", lost.join(" and ")));
        }
        Some(words)
    }

    /// What this run made or changed is to be off, its routes cleared. What belongs to a WAN that carried traffic is
    /// left to [`Work::left_to_restore`].
    fn left_to_disable(&mut self, profile: &CpeProfile) -> Left {
        let run = self.run().clone();
        let touched = |slot: &String| {
            run.touched.iter().any(|path| path.starts_with(slot.as_str()) && !run.is_of_working(path))
        };
        let objects: Vec<(String, String)> =
            self.device.objects.iter().map(|(slot, object)| (slot.clone(), object.path.clone())).collect();
        let plan = self.planning(profile, |planner| {
            let mut plan = LayerPlan::default();
            let mut done = BTreeSet::new();
            for wan in planner.search().wans() {
                done.extend(planner.parts(&wan).cloned());
                // Only what this run wrote to; never the management WAN, whatever its path.
                let ours = objects.iter().any(|(_, path)| *path == wan.anchor)
                    && wan.class != WanClass::Management
                    && wan.slots.values().any(touched);
                if !ours {
                    continue;
                }
                let not_restored = wan.slots.iter().filter(|(_, path)| !run.is_of_working(path));
                let slots = not_restored.map(|(slot, path)| (slot.clone(), path.clone())).collect();
                planner.off_steps(&mut plan, &wan.kind, &slots);
                if let Some((row, ports)) = planner.route_row(&wan.kind, &wan.slots)
                    && run.touched.contains(&format!("{row}{ports}"))
                    && !run.is_of_working(&row)
                {
                    planner.clear_route(&mut plan, &row, &ports);
                }
            }
            // Parts that make no whole WAN.
            for (slot, path) in &objects {
                if !done.contains(path) && touched(path) && !run.is_of_working(path) {
                    planner.object_off(&mut plan, slot, path);
                }
            }
            plan
        });
        Left { steps: plan.steps.into_iter().filter_map(items_of).collect(), unknown: Vec::new() }
    }

    /// Every readable value this run changed on a WAN that carried traffic is to be as it was.
    fn left_to_restore(&mut self) -> Left {
        let run = self.run();
        let of_working = run.before.iter().filter(|(path, _)| run.is_of_working(path));
        let before: Vec<(String, String)> =
            of_working.map(|(path, value)| (path.clone(), value.clone())).collect();
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
        self.session().written.insert(Layer::Internet.as_str().to_owned());
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
        let class = CwmpFault::of(fault.code).class;
        self.session().written.insert(Layer::Internet.as_str().to_owned());
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
