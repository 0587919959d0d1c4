//! Taking an ONU off: whatever reading back finds of it, until it finds nothing. Only what we made.

use super::{
    attempt::{is_ours, persist, read_back},
    one_line,
};
use crate::{
    dialect::{ErrorClass, Verdict},
    driver::{Driver, OltError},
    model::{ManagementRow, ServicePortRow},
    plan::{AuthoriseSpec, Check, DeauthoriseSpec, Existing, Line, OnuRef, Step, foreign, line, moves},
};
use types::Serial;

/// What is left of an ONU: the lines that remove it, in order.
async fn left_lines(
    driver: &mut Driver,
    serial: Serial,
    onu: OnuRef,
    ours: &Ownership<'_>,
) -> Result<Left, OltError> {
    let found = read_back(driver, serial, onu.pon).await?;
    let elsewhere = found.as_ref().map(Existing::at).filter(|at| *at != onu);
    let existing = found.filter(|e| e.at() == onu);
    let ports = persist(driver, move |driver: &mut Driver| Box::pin(driver.service_ports_of(onu))).await?;
    let dialect = driver.dialect().clone();
    let mut lines = Vec::new();
    match existing {
        Some(existing) => {
            if let Ownership::Task { spec, registered, certain, .. } = ours {
                if !is_ours(driver, spec, registered, &existing, *certain) {
                    return Ok(Left::NotOurs(existing.at()));
                }
                if spec.acs_profile_id.is_some() && existing.record.acs_profile_id == spec.acs_profile_id {
                    lines.push(line(&dialect, "acs_unbind", onu, [])?);
                }
                let ours = |row: &&ManagementRow| spec.management.as_ref().is_some_and(|m| m.is(row));
                for address in existing.management.iter().filter(ours) {
                    lines.push(line(
                        &dialect,
                        "management_delete",
                        onu,
                        [("ip_index", address.ip_index.into())],
                    )?);
                }
            }
            // Indexes as the OLT lists them now: a crash between push and record leaves ports nobody wrote down, and
            // they would block the removal for ever.
            for port in ports.iter().filter(|row| ours.may_remove(row, &ports)) {
                lines.push(line(&dialect, "service_port_delete", onu, [("index", port.index.into())])?);
            }
            lines.push(line(&dialect, "onu_delete", onu, [])?);
            // It would go with the ONU, or is what somebody repaired it with: then nothing at all is taken off.
            let may_remove = |row: &ServicePortRow| ours.may_remove(row, &ports);
            let existing = Existing { service_ports: ports.clone(), ..existing };
            let what = foreign(ours.made(), may_remove, &existing);
            if !what.is_empty() {
                return Ok(Left::Theirs { what, lines });
            }
        }
        None => {
            // Service ports without an ONU: only those we planned, and only if nobody else sits at the place.
            let orphans: Vec<_> = ports.iter().filter(|row| ours.planned(row, &ports)).collect();
            if !orphans.is_empty()
                && persist(driver, move |driver: &mut Driver| Box::pin(driver.onu(onu))).await?.is_none()
            {
                for port in orphans {
                    lines.push(line(&dialect, "service_port_delete", onu, [("index", port.index.into())])?);
                }
            }
        }
    }
    if lines.is_empty()
        && !persist(driver, move |driver: &mut Driver| Box::pin(driver.is_off(onu, serial))).await?
    {
        return Ok(Left::Listed);
    }
    Ok(if lines.is_empty() { Left::Nothing { elsewhere } } else { Left::Lines(lines) })
}

enum Left {
    /// Nothing at this place; where it is registered instead, if it is.
    Nothing {
        elsewhere: Option<OnuRef>,
    },
    Lines(Vec<Line>),
    /// The OLT knows nothing of it when asked by serial, and lists it nevertheless.
    Listed,
    NotOurs(OnuRef),
    /// Somebody put something on it since the plan was made, and it would go with the ONU.
    Theirs {
        what: Vec<String>,
        lines: Vec<Line>,
    },
}

/// Why we may remove an ONU.
pub(super) enum Ownership<'a> {
    /// The task registered it. `certain`: the journal saw the registration take effect. `sent`: the steps that the journal
    /// has as sent.
    Task { spec: &'a AuthoriseSpec, registered: &'a Check, certain: bool, sent: &'a [Step] },
    /// A person asked for its removal by serial and place.
    Asked { removal: &'a DeauthoriseSpec },
}

impl Ownership<'_> {
    /// What was made of it. `None`: a person says that all of it may go.
    fn made(&self) -> Option<&AuthoriseSpec> {
        match self {
            Ownership::Task { spec, .. } => Some(spec),
            Ownership::Asked { removal } => removal.made.as_deref(),
        }
    }

    /// What is on our ONU, among all of its service ports, and may go with it.
    fn may_remove(&self, row: &ServicePortRow, all: &[ServicePortRow]) -> bool {
        self.made().is_none() || self.planned(row, all)
    }

    /// What we have planned ourselves, told by the service ports alone.
    fn planned(&self, row: &ServicePortRow, all: &[ServicePortRow]) -> bool {
        match self {
            Ownership::Task { spec, sent, .. } => {
                // An OLT may take a line and list other traffic tables, or none. What was sent is ours for all that, if
                // nothing else there carries the same.
                let sent = sent.iter().filter_map(|step| match &step.expect {
                    Check::ServicePort { spec } => Some(spec),
                    _ => None,
                });
                let mut of_flow = sent.filter(|port| port.is_flow(row));
                // What was sent has the shape in which it was sent, also where it could not be written down any more.
                spec.service_ports.iter().any(|port| port.is(row))
                    || of_flow.any(|port| all.iter().filter(|other| port.is_flow(other)).count() == 1)
            }
            // What was made long ago may have got another speed.
            Ownership::Asked { removal } => removal.made.as_ref().is_some_and(|made| made.made_flow(row)),
        }
    }
}

pub(super) fn script(lines: &[Line], leave: &str) -> Vec<String> {
    let mut out = Vec::new();
    let mut at = Vec::new();
    for line in lines {
        out.extend(moves(&at, &line.context.steps, leave));
        at.clone_from(&line.context.steps);
        out.push(line.text.clone());
    }
    out
}

/// How undoing went.
pub(super) enum Undoing {
    /// It is not at this place any more; where it is registered instead, if it is.
    Gone {
        elsewhere: Option<OnuRef>,
    },
    NotOurs(OnuRef),
    Left {
        lines: Vec<String>,
        reason: String,
    },
}

/// Removes what reading back finds, until it finds nothing.
pub(super) async fn undo(
    driver: &mut Driver,
    serial: Serial,
    onu: OnuRef,
    ours: &Ownership<'_>,
) -> Result<Undoing, OltError> {
    let mut reason = String::from("no try was made");
    for attempt in 0..=driver.patience.undo_attempts {
        if attempt > 0 {
            tokio::time::sleep(driver.patience.undo_pause).await;
        }
        let lines = match left_lines(driver, serial, onu, ours).await? {
            Left::Nothing { elsewhere } => return Ok(Undoing::Gone { elsewhere }),
            Left::NotOurs(at) => return Ok(Undoing::NotOurs(at)),
            Left::Lines(lines) => lines,
            Left::Theirs { what, lines } => {
                let reason =
                    format!("{onu} carries {} by now that this task did not make", what.join(" and "));
                return Ok(Undoing::Left { lines: script(&lines, &driver.dialect().leave), reason });
            }
            // Whose it is cannot be told from a list, so nothing is sent.
            Left::Listed => {
                reason = format!("the OLT lists {serial} as {onu} and says nothing of it when asked for it");
                Vec::new()
            }
        };
        if attempt == driver.patience.undo_attempts {
            let leave = driver.dialect().leave.clone();
            return Ok(Undoing::Left { lines: script(&lines, &leave), reason });
        }
        for line in &lines {
            match driver.send_line(line).await {
                Ok((command, reply)) => {
                    let refused = match reply.verdict {
                        Verdict::Rejected {
                            class: ErrorClass::NotFound | ErrorClass::Empty | ErrorClass::AlreadySet,
                            ..
                        } => None,
                        Verdict::Rejected { message, .. } => Some(message),
                        Verdict::Accepted => {
                            let failed = command.failure.as_ref().is_some_and(|f| f.is_match(&reply.text));
                            let asked = reply.refused_questions.first();
                            asked.cloned().or_else(|| failed.then(|| one_line(&reply.text)))
                        }
                    };
                    if let Some(message) = refused {
                        reason = format!("`{}`: {message}", line.text);
                        // The later lines depend on this one; read back and start over.
                        break;
                    }
                }
                Err(error) if error.is_transport() => {
                    reason = error.to_string();
                    tokio::time::sleep(driver.patience.settle).await;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(Undoing::Left { lines: vec![], reason })
}
