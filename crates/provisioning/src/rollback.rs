//! Undoing a run that failed. Never deletes, never reboots: what this run made is switched off, what carried
//! traffic before is put back.

use crate::{
    FaultClass,
    device::FollowUp,
    plan::{Item, LayerPlan, PlanStep, same},
    session::Purpose,
    talk::{ValueKind, WriteValue},
    work::{Move, Work},
};
use profiles::cpe::CpeProfile;

impl Work<'_> {
    pub(crate) fn roll_back(&mut self, profile: &CpeProfile) -> Move {
        if !profile.write.mix_structural && self.session().structural > 0 {
            self.device.follow_up = FollowUp::SeekSession;
            return Move::Finish;
        }
        let mut objects = profile.wan.list.clone();
        objects.extend(profile.wan.policy_route.as_ref().map(|route| route.list.clone()));
        if let Some(next) = self.observe(profile, &objects) {
            return next;
        }
        let restore = self.run().was_carrying == Some(true);
        let steps = if restore { self.restore_steps() } else { self.disable_steps(profile) };
        let Some(rollback) = self.run().rollback.clone() else { return Move::Again };
        let next =
            steps.into_iter().find(|items| items.iter().any(|item| !rollback.tried.contains(&item.path)));
        match next {
            Some(items) => {
                if let Some(rollback) = &mut self.run().rollback {
                    rollback.tried.extend(items.iter().map(|item| item.path.clone()));
                }
                self.run().at_step = "undoing".into();
                let written = items.iter().map(Item::written).collect();
                self.write(Purpose::WriteRollback { items: written }, &items)
            }
            None => {
                let undone = if restore { "the WAN is as it was before" } else { "WAN disabled" };
                let class = rollback.class;
                self.give_up(rollback.why, Some(undone), class, rollback.park);
                Move::Finish
            }
        }
    }

    /// Switches off what this run made or changed and clears its routes.
    fn disable_steps(&mut self, profile: &CpeProfile) -> Vec<Vec<Item>> {
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
        plan.steps.into_iter().filter_map(items_of).collect()
    }

    /// Puts back every readable value this run changed. A password cannot be read, so it cannot be put back.
    fn restore_steps(&mut self) -> Vec<Vec<Item>> {
        let before = self.run().before.clone();
        let session = self.session();
        let mut items: Vec<Item> = before
            .into_iter()
            .filter_map(|(path, value)| {
                let node = session.tree.node(&path)?;
                let differs = node.value.as_deref().is_none_or(|now| !same(node.kind, now, &value));
                differs.then(|| Item {
                    kind: if node.value.is_some() { node.kind } else { ValueKind::String },
                    value: WriteValue::Plain(value),
                    label: "former value".into(),
                    required: false,
                    secret: None,
                    path,
                })
            })
            .collect();
        // Switching on again comes last and alone.
        let (switches, rest): (Vec<Item>, Vec<Item>) =
            items.drain(..).partition(|item| item.path.ends_with(".Enable"));
        let mut steps: Vec<Vec<Item>> = rest.into_iter().map(|item| vec![item]).collect();
        steps.extend(switches.into_iter().map(|item| vec![item]));
        steps
    }

    /// A fault while undoing changes nothing about the failure; what could not be undone is on record.
    pub(crate) fn rollback_faulted(&mut self, path: Option<String>, fault: &crate::DeviceFault) -> Move {
        let reason = crate::sentences::device_fault("SetParameterValues", fault.code, &fault.text);
        let class = FaultClass::of_code(fault.code);
        self.fault(class, Some(fault.code), &fault.text, path, Some("SetParameterValues"), &reason);
        Move::Again
    }
}

fn items_of(step: PlanStep) -> Option<Vec<Item>> {
    match step {
        PlanStep::Write { items, .. } => Some(items),
        PlanStep::Add { .. } => None,
    }
}
