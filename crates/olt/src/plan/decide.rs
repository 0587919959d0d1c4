//! From wish, facts and snapshot to the plan, or to the sentence why there is none.

use super::{
    AuthoriseSpec, Check, DeauthoriseSpec, Existing, Facts, Line, Lookup, ManagementAddress, MoveSpec,
    OnuRef, Operation, Plan, PlanRefusal, Restore, ServicePortSpec, Snapshot, Step, TagTransform,
};
use crate::{
    dialect::{Dialect, ErrorClass, ModeStep},
    model::{AddressKind, ManagementRow, ServicePortRow},
    sanitise,
    template::{Parameter, Parameters, TemplateError, parameters},
};
use std::collections::BTreeSet;

/// The parameters every command of an ONU takes.
pub(crate) fn place(onu: OnuRef) -> Parameters {
    parameters([
        ("frame", onu.pon.frame.into()),
        ("slot", onu.pon.slot.into()),
        ("port", onu.pon.port.into()),
        ("onu_id", onu.onu_id.into()),
    ])
}

/// Renders one line of the dialect.
pub(crate) fn line(
    dialect: &Dialect,
    command: &str,
    onu: OnuRef,
    more: impl IntoIterator<Item = (&'static str, Parameter)>,
) -> Result<Line, TemplateError> {
    let mut all = place(onu);
    all.extend(more.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let rendered = dialect.command(command, &all)?;
    Ok(Line { command: command.to_owned(), text: rendered.line, context: rendered.mode })
}

/// Decides what to send.
///
/// # Errors
/// [`PlanRefusal`]: nothing can or need be sent.
pub fn plan(operation: &Operation, facts: &Facts, before: &Snapshot) -> Result<Plan, PlanRefusal> {
    match operation {
        Operation::Authorise(spec) => authorise(spec, facts, before),
        Operation::Deauthorise(spec) => deauthorise(spec, facts, before),
        Operation::Move(spec) => relocate(spec, facts, before),
        Operation::Replace(spec) => replace(spec, facts, before),
    }
}

fn bad(reason: impl Into<String>) -> PlanRefusal {
    PlanRefusal::BadSpec { reason: reason.into() }
}

fn check_spec(spec: &AuthoriseSpec, highest_id: u16) -> Result<(), PlanRefusal> {
    let vlan = |what: &str, vlan: u16| {
        if (1..=4094).contains(&vlan) {
            Ok(())
        } else {
            Err(bad(format!("{what} {vlan} is not a VLAN (1 to 4094)")))
        }
    };
    if spec.service_ports.len() > 32 {
        return Err(bad(format!("{} service ports are too many for one ONU (32)", spec.service_ports.len())));
    }
    for (number, port) in spec.service_ports.iter().enumerate() {
        vlan("service port VLAN", port.vlan)?;
        if let Some(user_vlan) = port.user_vlan {
            vlan("user VLAN", user_vlan)?;
        } else if matches!(port.tag_transform, TagTransform::Translate | TagTransform::TranslateAndAdd) {
            return Err(bad(format!(
                "a service port for untagged frames has no user VLAN to translate into VLAN {}",
                port.vlan
            )));
        }
        if spec.service_ports[..number]
            .iter()
            .any(|p| p.gemport == port.gemport && p.user_vlan == port.user_vlan)
        {
            return Err(bad(format!(
                "two service ports take {} on GEM port {}",
                port.user_vlan.map_or_else(|| "untagged frames".to_owned(), |v| format!("user VLAN {v}")),
                port.gemport
            )));
        }
    }
    if let Some(management) = &spec.management {
        vlan("management VLAN", management.vlan)?;
        if management.priority > 7 {
            return Err(bad(format!("priority {} is not 0 to 7", management.priority)));
        }
        if management.ip_index > 1 {
            return Err(bad(format!("IP host index {} is not 0 or 1", management.ip_index)));
        }
        if let ManagementAddress::Static { address, mask, gateway } = &management.address {
            let bits = u32::from(*mask);
            if bits == 0 || bits.leading_ones() + bits.trailing_zeros() != 32 {
                return Err(bad(format!("{mask} is not a network mask")));
            }
            if (u32::from(*address) ^ u32::from(*gateway)) & bits != 0 {
                return Err(bad(format!("gateway {gateway} is not in the network of {address}/{mask}")));
            }
        }
    }
    if spec.acs_profile_id.is_some() && spec.management.is_none() {
        return Err(bad("an ACS profile without a management WAN: the ONU would have no way to the ACS"));
    }
    if let Some(id) = spec.onu_id
        && id > highest_id
    {
        return Err(bad(format!("ONU id {id} is not 0 to {highest_id}")));
    }
    Ok(())
}

/// What must hold once an ONU is authorised at a place.
fn wanted(spec: &AuthoriseSpec, onu: OnuRef) -> Vec<Check> {
    let mut out = vec![Check::Registered {
        onu,
        serial: spec.serial,
        line_profile_id: spec.line_profile_id,
        service_profile_id: spec.service_profile_id,
    }];
    out.extend(spec.service_ports.iter().map(|port| Check::ServicePort { spec: port.clone() }));
    out.extend(spec.management.iter().map(|m| Check::Management { spec: m.clone() }));
    out.extend(spec.acs_profile_id.map(|id| Check::AcsBound { id }));
    out
}

/// Whether a check holds for an ONU as the OLT has it. `None`: this check is not about that.
pub fn holds(check: &Check, existing: Option<&Existing>) -> bool {
    let Some(existing) = existing else {
        return matches!(check, Check::Gone { .. } | Check::SerialAbsent { .. });
    };
    match check {
        Check::Registered { onu, serial, line_profile_id, service_profile_id } => {
            existing.at() == *onu
                && existing.record.serial == Some(*serial)
                && existing.record.line_profile_id == Some(*line_profile_id)
                && existing.record.service_profile_id == Some(*service_profile_id)
        }
        Check::ServicePort { spec } => existing.service_ports.iter().any(|row| spec.is(row)),
        Check::Management { spec } => existing.management.iter().any(|row| spec.is(row)),
        Check::AcsBound { id } => existing.record.acs_profile_id == Some(*id),
        Check::SerialAbsent { .. }
        | Check::Detected { .. }
        | Check::IdFree { .. }
        | Check::LineProfile { .. }
        | Check::ServiceProfile { .. }
        | Check::AcsProfile { .. }
        | Check::Vlan { .. }
        | Check::Gone { .. } => false,
    }
}

fn choose_id(spec: &AuthoriseSpec, before: &Snapshot, highest: u16) -> Result<u16, PlanRefusal> {
    let taken_by = |id: u16| before.onus.iter().find(|o| o.onu_id == id).map(|o| o.serial_text.clone());
    let free = |id: u16| {
        taken_by(id).is_none()
            && !before.ids_with_service_ports.contains(&id)
            && !spec.reserved_ids.contains(&id)
    };
    match spec.onu_id {
        Some(id) if free(id) => Ok(id),
        Some(id) => Err(PlanRefusal::IdTaken { onu: OnuRef { pon: spec.pon, onu_id: id }, by: taken_by(id) }),
        None => (0..=highest).find(|id| free(*id)).ok_or(PlanRefusal::PonFull { pon: spec.pon, highest }),
    }
}

fn authorise(spec: &AuthoriseSpec, facts: &Facts, before: &Snapshot) -> Result<Plan, PlanRefusal> {
    let dialect = &facts.dialect;
    check_spec(spec, dialect.max_onu_id)?;
    let operation = Operation::Authorise(spec.clone());

    if let Some(existing) = &before.existing {
        let at = existing.at();
        let here = at.pon == spec.pon && spec.onu_id.is_none_or(|id| id == at.onu_id);
        let verify = wanted(spec, at);
        let differs: Vec<String> = if here {
            verify.iter().filter(|c| !holds(c, Some(existing))).map(Check::to_string).collect()
        } else {
            Vec::new()
        };
        if !here || !differs.is_empty() {
            return Err(PlanRefusal::Duplicate { serial: spec.serial, existing: at, differs });
        }
        return Ok(Plan {
            operation,
            onu: at,
            already: true,
            prechecks: vec![],
            removal: vec![],
            restore: None,
            steps: vec![],
            verify,
            save: false,
        });
    }
    authorise_anew(spec, facts, before)
}

/// As [`authorise`], for an ONU that is registered nowhere, or will not be when its turn comes.
fn authorise_anew(spec: &AuthoriseSpec, facts: &Facts, before: &Snapshot) -> Result<Plan, PlanRefusal> {
    let dialect = &facts.dialect;
    check_spec(spec, dialect.max_onu_id)?;
    let operation = Operation::Authorise(spec.clone());
    if before.detected_on != Some(spec.pon) && !spec.preprovision {
        return Err(PlanRefusal::NotDetected {
            serial: spec.serial,
            pon: spec.pon,
            seen_on: before.detected_on,
        });
    }
    let missing = |what: &str, id: u32| Err(PlanRefusal::Missing { what: what.to_owned(), id });
    match &before.line_profile {
        Lookup::Missing => return missing("line profile", spec.line_profile_id),
        Lookup::Found(profile) => {
            // Some versions do not print their GEM ports: then the OLT's own refusal decides.
            if !profile.gemports.is_empty()
                && let Some(port) = spec.service_ports.iter().find(|p| !profile.gemports.contains(&p.gemport))
            {
                return Err(PlanRefusal::NoGemport {
                    line_profile_id: profile.id,
                    gemport: port.gemport,
                    vlan: port.vlan,
                });
            }
            if spec.acs_profile_id.is_some() && profile.acs_management == Some(false) {
                return Err(PlanRefusal::AcsDisabled { line_profile_id: profile.id });
            }
        }
        Lookup::Unknown => {}
    }
    if before.service_profile == Lookup::Missing {
        return missing("service profile", spec.service_profile_id);
    }
    if let (Some(id), Lookup::Missing) = (spec.acs_profile_id, &before.acs_profile) {
        return missing("ACS profile", id);
    }
    if let Some((vlan, _)) = before.vlans.iter().find(|(_, lookup)| **lookup == Lookup::Missing) {
        return missing("VLAN", u32::from(*vlan));
    }

    let onu_id = choose_id(spec, before, dialect.max_onu_id)?;
    let onu = OnuRef { pon: spec.pon, onu_id };
    let mut gemports: Vec<u16> = spec.service_ports.iter().map(|p| p.gemport).collect();
    gemports.sort_unstable();
    gemports.dedup();
    let mut prechecks = vec![Check::SerialAbsent { serial: spec.serial }];
    if !spec.preprovision {
        prechecks.push(Check::Detected { pon: spec.pon });
    }
    prechecks.push(Check::IdFree { onu });
    prechecks.push(Check::LineProfile { id: spec.line_profile_id, gemports });
    prechecks.push(Check::ServiceProfile { id: spec.service_profile_id });
    prechecks.extend(spec.acs_profile_id.map(|id| Check::AcsProfile { id }));
    prechecks.extend(before.vlans.keys().map(|id| Check::Vlan { id: *id }));

    let verify = wanted(spec, onu);
    let steps = verify.iter().map(|check| step(spec, dialect, onu, check)).collect::<Result<_, _>>()?;
    Ok(Plan {
        operation,
        onu,
        already: false,
        prechecks,
        removal: vec![],
        restore: None,
        steps,
        verify,
        save: true,
    })
}

/// The write that makes a check hold.
fn step(spec: &AuthoriseSpec, dialect: &Dialect, onu: OnuRef, check: &Check) -> Result<Step, PlanRefusal> {
    let (id, sent, undo, idempotent_if) = match check {
        Check::ServicePort { spec: port } => {
            let sent = line(
                dialect,
                "service_port_add",
                onu,
                [
                    ("vlan", port.vlan.into()),
                    ("user_vlan", port.user_vlan.into()),
                    ("gemport", port.gemport.into()),
                    ("tag_transform", port.tag_transform.word().into()),
                    ("traffic_in", port.traffic_in.into()),
                    ("traffic_out", port.traffic_out.into()),
                ],
            )?;
            let undo = line(dialect, "service_port_delete", onu, [("index", "<index>".into())])?;
            (
                match port.user_vlan {
                    Some(user_vlan) => format!("service-port-{}-{user_vlan}", port.gemport),
                    None => format!("service-port-{}-untagged", port.gemport),
                },
                sent,
                undo,
                vec![ErrorClass::Duplicate, ErrorClass::AlreadySet],
            )
        }
        Check::Management { spec: management } => {
            let common = [
                ("ip_index", Parameter::from(management.ip_index)),
                ("vlan", management.vlan.into()),
                ("priority", management.priority.into()),
            ];
            let sent = match &management.address {
                ManagementAddress::Dhcp => line(dialect, "management_dhcp", onu, common)?,
                ManagementAddress::Static { address, mask, gateway } => line(
                    dialect,
                    "management_static",
                    onu,
                    common.into_iter().chain([
                        ("address", address.to_string().into()),
                        ("mask", mask.to_string().into()),
                        ("gateway", gateway.to_string().into()),
                    ]),
                )?,
            };
            let undo = line(dialect, "management_delete", onu, [("ip_index", management.ip_index.into())])?;
            ("management".to_owned(), sent, undo, vec![ErrorClass::AlreadySet])
        }
        Check::AcsBound { id } => {
            let sent = line(dialect, "acs_bind", onu, [("acs_profile_id", (*id).into())])?;
            let undo = line(dialect, "acs_unbind", onu, [])?;
            ("acs".to_owned(), sent, undo, vec![ErrorClass::AlreadySet])
        }
        Check::Registered { .. } => {
            let description = sanitise::description(&spec.description, dialect.description_max);
            let sent = line(
                dialect,
                "onu_add",
                onu,
                [
                    ("serial", dialect.serial(spec.serial).into()),
                    ("line_profile_id", spec.line_profile_id.into()),
                    ("service_profile_id", spec.service_profile_id.into()),
                    (
                        "description",
                        if description.is_empty() { Parameter::Nothing } else { description.into() },
                    ),
                ],
            )?;
            let undo = line(dialect, "onu_delete", onu, [])?;
            ("register".to_owned(), sent, undo, vec![])
        }
        Check::SerialAbsent { .. }
        | Check::Detected { .. }
        | Check::IdFree { .. }
        | Check::LineProfile { .. }
        | Check::ServiceProfile { .. }
        | Check::AcsProfile { .. }
        | Check::Vlan { .. }
        | Check::Gone { .. } => return Err(bad(format!("no command makes it so that {check}"))),
    };
    Ok(Step {
        id,
        context: sent.context.clone(),
        expect: check.clone(),
        line: sent,
        undo: vec![undo.text],
        idempotent_if,
    })
}

fn deauthorise(spec: &DeauthoriseSpec, facts: &Facts, before: &Snapshot) -> Result<Plan, PlanRefusal> {
    let gone = Check::Gone { onu: spec.onu, serial: spec.serial };
    let operation = Operation::Deauthorise(spec.clone());
    let there = before.onus.iter().find(|o| o.onu_id == spec.onu.onu_id);
    let existing = match (&before.existing, there) {
        (Some(existing), _) if existing.at() == spec.onu => existing,
        (Some(existing), _) => {
            return Err(PlanRefusal::Elsewhere {
                serial: spec.serial,
                expected: spec.onu,
                existing: existing.at(),
            });
        }
        // Already gone: as wanted.
        (None, None) => {
            return Ok(Plan {
                operation,
                onu: spec.onu,
                already: true,
                prechecks: vec![],
                removal: vec![],
                restore: None,
                steps: vec![],
                verify: vec![gone],
                save: false,
            });
        }
        (None, Some(there)) => {
            return Err(PlanRefusal::NotThere {
                onu: spec.onu,
                serial: spec.serial,
                by: Some(there.serial_text.clone()),
            });
        }
    };
    let steps = removal(spec, &facts.dialect, existing)?;
    let prechecks = vec![registered_as(existing, spec)];
    Ok(Plan {
        operation,
        onu: spec.onu,
        already: false,
        prechecks,
        removal: vec![],
        restore: None,
        steps,
        verify: vec![gone],
        save: true,
    })
}

fn registered_as(existing: &Existing, spec: &DeauthoriseSpec) -> Check {
    Check::Registered {
        onu: spec.onu,
        serial: spec.serial,
        line_profile_id: existing.record.line_profile_id.unwrap_or_default(),
        service_profile_id: existing.record.service_profile_id.unwrap_or_default(),
    }
}

/// The writes that take an ONU off: its service ports first, or the OLT refuses. Nothing is taken off that we did not
/// make: it would go with the ONU, and nobody could put it back.
fn removal(spec: &DeauthoriseSpec, dialect: &Dialect, existing: &Existing) -> Result<Vec<Step>, PlanRefusal> {
    let made = spec.made.as_deref();
    let what = foreign(made, |row| made.is_none_or(|made| made.made_flow(row)), existing);
    if !what.is_empty() {
        return Err(PlanRefusal::NotOurs { onu: spec.onu, what });
    }
    let gone = Check::Gone { onu: spec.onu, serial: spec.serial };
    let mut steps = Vec::new();
    for row in &existing.service_ports {
        let sent = line(dialect, "service_port_delete", spec.onu, [("index", row.index.into())])?;
        steps.push(Step {
            id: format!("remove-service-port-{}", row.index),
            context: sent.context.clone(),
            expect: gone.clone(),
            line: sent,
            undo: vec![],
            idempotent_if: vec![ErrorClass::NotFound, ErrorClass::Empty],
        });
    }
    let sent = line(dialect, "onu_delete", spec.onu, [])?;
    steps.push(Step {
        id: "remove".to_owned(),
        context: sent.context.clone(),
        expect: gone,
        line: sent,
        undo: vec![],
        idempotent_if: vec![ErrorClass::NotFound],
    });
    Ok(steps)
}

/// What stands on an ONU and is not what we made for it, in words. `ours`: whether a service port is ours.
pub(crate) fn foreign(
    made: Option<&AuthoriseSpec>,
    ours: impl Fn(&ServicePortRow) -> bool,
    existing: &Existing,
) -> Vec<String> {
    // A person says that all of it may go.
    let Some(made) = made else { return Vec::new() };
    let ports = existing.service_ports.iter().filter(|row| !ours(row));
    let mut what: Vec<String> = ports.map(|row| port_words(made, row)).collect();
    let configured = existing.management.iter().filter(|row| row.vlan.is_some());
    for row in configured.filter(|row| !made.management.as_ref().is_some_and(|management| management.is(row)))
    {
        what.push(management_words(row));
    }
    if let Some(id) = existing.record.acs_profile_id
        && made.acs_profile_id != Some(id)
    {
        what.push(format!("ACS profile {id}"));
    }
    what
}

/// A service port of somebody else; of one that carries what one of ours carries, how it differs.
fn port_words(made: &AuthoriseSpec, row: &ServicePortRow) -> String {
    let port = format!("service port {} (VLAN {})", row.index, row.vlan);
    let tables = |inbound: Option<u32>, outbound: Option<u32>| {
        let word = |table: Option<u32>| table.map_or_else(|| "-".to_owned(), |table| table.to_string());
        format!("{}/{}", word(inbound), word(outbound))
    };
    match made.service_ports.iter().find(|spec| spec.is_flow(row) && !spec.is(row)) {
        Some(spec) => format!(
            "{port} with traffic tables {} instead of {}",
            tables(row.traffic_in, row.traffic_out),
            tables(spec.traffic_in, spec.traffic_out)
        ),
        None => port,
    }
}

fn management_words(row: &ManagementRow) -> String {
    let kind = match row.kind {
        AddressKind::Static => "fixed address",
        AddressKind::Dhcp => "DHCP",
        AddressKind::Pppoe => "PPPoE",
        AddressKind::Other => "of another kind",
    };
    let vlan = row.vlan.map(|vlan| format!(", VLAN {vlan}")).unwrap_or_default();
    format!("management IP index {} ({kind}{vlan})", row.ip_index)
}

/// What a step would silently write over: an OLT replaces a management address or an ACS profile without a word, where it
/// refuses a second service port. In words.
pub(crate) fn written_over(check: &Check, existing: &Existing) -> Option<String> {
    match check {
        Check::Management { spec } => existing
            .management
            .iter()
            .find(|row| row.ip_index == spec.ip_index && row.vlan.is_some() && !spec.is(row))
            .map(management_words),
        Check::AcsBound { id } => existing
            .record
            .acs_profile_id
            .filter(|bound| bound != id)
            .map(|bound| format!("ACS profile {bound}")),
        Check::Registered { .. }
        | Check::ServicePort { .. }
        | Check::SerialAbsent { .. }
        | Check::Detected { .. }
        | Check::IdFree { .. }
        | Check::LineProfile { .. }
        | Check::ServiceProfile { .. }
        | Check::AcsProfile { .. }
        | Check::Vlan { .. }
        | Check::Gone { .. } => None,
    }
}

/// From one place of an OLT to another. What is no longer registered anywhere is simply registered anew.
fn relocate(spec: &MoveSpec, facts: &Facts, before: &Snapshot) -> Result<Plan, PlanRefusal> {
    let operation = Operation::Move(Box::new(spec.clone()));
    if spec.from.serial != spec.to.serial {
        return Err(bad(format!("{} cannot become {} by moving", spec.from.serial, spec.to.serial)));
    }
    let Some(existing) = before.existing.as_ref().filter(|existing| existing.at() == spec.from.onu) else {
        // Registered nowhere, or at some place that is not ours to clear: as for any other ONU.
        return Ok(Plan { operation, ..authorise(&spec.to, facts, before)? });
    };
    let to = as_it_goes(spec, existing, &facts.dialect);
    let operation = Operation::Move(Box::new(MoveSpec { to: to.clone(), ..spec.clone() }));
    let known = looked_up_for(&spec.to, &to, before);
    let anew = Plan { operation, ..authorise_anew(&to, facts, &known)? };
    let mut plan = after_clearing(&spec.from, existing, facts, anew)?;
    plan.prechecks.retain(|check| !matches!(check, Check::SerialAbsent { .. }));
    Ok(plan)
}

/// Another ONU at the same place. Where the old one is no longer registered anywhere the new one simply comes.
fn replace(spec: &MoveSpec, facts: &Facts, before: &Snapshot) -> Result<Plan, PlanRefusal> {
    let operation = Operation::Replace(Box::new(spec.clone()));
    let (old, place) = (spec.from.serial, spec.from.onu);
    if old == spec.to.serial {
        return Err(bad(format!("{old} cannot be replaced by itself")));
    }
    if (spec.to.pon, spec.to.onu_id) != (place.pon, Some(place.onu_id)) {
        return Err(bad(format!("{} is to have the place of {old}, which is {place}", spec.to.serial)));
    }
    let Some(existing) = &before.replaced else {
        return Ok(Plan { operation, ..authorise(&spec.to, facts, before)? });
    };
    if existing.at() != place {
        return Err(PlanRefusal::Elsewhere { serial: old, expected: place, existing: existing.at() });
    }
    let to = as_it_goes(spec, existing, &facts.dialect);
    let operation = Operation::Replace(Box::new(MoveSpec { to: to.clone(), ..spec.clone() }));
    let mut freed = looked_up_for(&spec.to, &to, before);
    freed.onus.retain(|onu| onu.onu_id != place.onu_id);
    freed.ids_with_service_ports.remove(&place.onu_id);
    let anew = Plan { operation, ..authorise(&to, facts, &freed)? };
    let mut plan = after_clearing(&spec.from, existing, facts, anew)?;
    plan.prechecks.retain(|check| !matches!(check, Check::IdFree { .. }));
    Ok(plan)
}

/// A plan that clears a place before anything else, and knows the way back to how it was.
fn after_clearing(
    from: &DeauthoriseSpec,
    existing: &Existing,
    facts: &Facts,
    anew: Plan,
) -> Result<Plan, PlanRefusal> {
    let Some(made) = &from.made else {
        return Err(bad(format!(
            "what {} had at {} is not known, so it could not be put back there",
            from.serial, from.onu
        )));
    };
    let removal = removal(from, &facts.dialect, existing)?;
    let spec_before = as_it_was(made, existing);
    let steps = wanted(&spec_before, from.onu)
        .iter()
        .map(|check| step(&spec_before, &facts.dialect, from.onu, check))
        .collect::<Result<_, _>>()?;
    let mut prechecks = vec![registered_as(existing, from)];
    prechecks.extend(anew.prechecks.iter().cloned());
    Ok(Plan {
        prechecks,
        removal,
        restore: Some(Restore { spec: spec_before, onu: from.onu, steps }),
        ..anew
    })
}

/// What goes along from one place, or one box, to the other: profiles, speed and description as they are on the OLT now.
/// Only place, serial and the customer's side are as the wish has them.
fn as_it_goes(spec: &MoveSpec, existing: &Existing, dialect: &Dialect) -> AuthoriseSpec {
    let Some(made) = &spec.from.made else { return spec.to.clone() };
    let record = &existing.record;
    let mut to = spec.to.clone();
    to.line_profile_id = record.line_profile_id.unwrap_or(to.line_profile_id);
    to.service_profile_id = record.service_profile_id.unwrap_or(to.service_profile_id);
    // Folded over lines, or cut, it is still ours: the whole of it is known better here.
    let squash = |text: &str| text.split_whitespace().collect::<String>();
    let ours = squash(&sanitise::description(&made.description, dialect.description_max));
    if let Some(now) = record.description.as_ref().filter(|now| !ours.starts_with(&squash(now))) {
        to.description.clone_from(now);
    }
    for (port, before) in to.service_ports.iter_mut().zip(&made.service_ports) {
        if let Some(row) = existing.service_ports.iter().find(|row| before.is_flow(row)) {
            (port.traffic_in, port.traffic_out) = (row.traffic_in, row.traffic_out);
        }
    }
    to
}

/// What was read, for a wish that has other profiles than the one it was read for: this OLT has them, an ONU uses them.
fn looked_up_for(asked: &AuthoriseSpec, to: &AuthoriseSpec, before: &Snapshot) -> Snapshot {
    let mut known = before.clone();
    if to.line_profile_id != asked.line_profile_id {
        known.line_profile = Lookup::Unknown;
    }
    if to.service_profile_id != asked.service_profile_id {
        known.service_profile = Lookup::Unknown;
    }
    known
}

/// What was made for an ONU, as the OLT has it now: an engineer may have changed profiles, speed or description.
fn as_it_was(made: &AuthoriseSpec, existing: &Existing) -> AuthoriseSpec {
    let record = &existing.record;
    let ports = existing.service_ports.iter().filter_map(|row| {
        let port = made.service_ports.iter().find(|port| port.is_flow(row))?;
        Some(ServicePortSpec { traffic_in: row.traffic_in, traffic_out: row.traffic_out, ..port.clone() })
    });
    AuthoriseSpec {
        pon: record.pon,
        onu_id: Some(record.onu_id),
        reserved_ids: BTreeSet::new(),
        line_profile_id: record.line_profile_id.unwrap_or(made.line_profile_id),
        service_profile_id: record.service_profile_id.unwrap_or(made.service_profile_id),
        description: record.description.clone().unwrap_or_default(),
        service_ports: ports.collect(),
        management: made.management.clone().filter(|m| existing.management.iter().any(|row| m.is(row))),
        acs_profile_id: record.acs_profile_id,
        // It is not announced there.
        preprovision: true,
        ..made.clone()
    }
}

/// The lines that lead from one mode to another.
pub fn moves(from: &[ModeStep], to: &[ModeStep], leave: &str) -> Vec<String> {
    let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let mut out = vec![leave.to_owned(); from.len() - common];
    out.extend(to[common..].iter().map(|step| step.line.clone()));
    out
}
