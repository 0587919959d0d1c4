//! Ordering that a detected ONU is authorised, and showing beforehand what that would send. The order is a task row; a
//! second task on the same ONU is refused by the database.

use super::{
    AuthoriseRequest, DryCheck, DryLine, DryRun, OltDefaults,
    spec::{ForService, VlanFrom, authorise_spec, given, internet_port, internet_vlan},
};
use crate::{Actor, App, AppError, Change, Permission};
use olt::{
    dialect::Dialect,
    plan::{AuthoriseSpec, Operation, Plan, SentKind},
};
use std::collections::BTreeSet;
use store::{
    DetectedState, Guarded, Presence, ServiceState, StoreError, Tx, detected, onus, rows, services, tasks,
    timeline,
};
use types::{OltTaskId, OnuRowId, Serial, ServiceId};

/// The kind of these tasks.
pub(crate) const AUTHORISE: &str = "authorise_onu";

/// Everything a request refers to.
struct Wish {
    olt: rows::Olt,
    service: Option<(rows::Service, rows::Plan, rows::Customer)>,
    /// The user side of the service port comes from the model, not from a person.
    untagged_by_model: Option<String>,
    spec: AuthoriseSpec,
    vlan_from: VlanFrom,
}

/// The lines of a plan as people read them: what is sent, word for word, then what must be found afterwards.
pub(crate) fn dry_lines(plan: &Plan, dialect: &Dialect) -> Vec<DryLine> {
    let sent = plan.sent(dialect).into_iter().map(|line| {
        let kind = match line.kind {
            SentKind::Moves => "move",
            SentKind::Adds => "add",
            SentKind::Removes => "remove",
        };
        DryLine { text: line.text, kind: kind.to_owned() }
    });
    sent.chain(plan.verify.iter().map(|c| DryLine { text: c.to_string(), kind: "read".into() })).collect()
}

/// What no recorded session of this vendor has shown yet, said before it is sent.
pub(crate) fn unproved(spec: &AuthoriseSpec) -> Option<DryCheck> {
    spec.service_ports.iter().any(|port| port.user_vlan.is_none()).then(|| DryCheck {
        text: "a service port for untagged frames: the line is written as vendor documents have it, and no recorded \
               session proves it; if the OLT refuses it, everything is taken back"
            .to_owned(),
        status: "warn".into(),
    })
}

impl App {
    async fn wish(&self, request: &AuthoriseRequest) -> Result<Wish, AppError> {
        request.check()?;
        let olt: rows::Olt = self.found(request.olt_id, "OLT").await?;
        if olt.admin_state != store::AdminState::Enabled {
            return Err(AppError::Conflict(format!(
                "{} is disabled; nobody speaks to it. Enable it first.",
                olt.name
            )));
        }
        let defaults: OltDefaults = serde_json::from_value(olt.defaults.clone()).map_err(|error| {
            AppError::Conflict(format!("The defaults of {} cannot be used: {error}", olt.name))
        })?;
        let service = match request.service_id {
            Some(id) => Some(self.found::<rows::Service>(id, "service").await?),
            None => {
                let mut waiting = services::for_serial(self.store(), request.serial).await?;
                if waiting.len() > 1 {
                    let codes: Vec<_> = waiting.iter().map(|s| s.code.as_str()).collect();
                    return Err(AppError::Conflict(format!(
                        "{} services name {}: {}. Say which one it is.",
                        waiting.len(),
                        request.serial,
                        codes.join(", ")
                    )));
                }
                waiting.pop()
            }
        };
        if let Some(service) = &service {
            if service.state == ServiceState::Terminated {
                return Err(AppError::Conflict(format!("Service {} is terminated.", service.code)));
            }
            if let Some(other) = service.onu_id {
                let other: rows::Onu = self.found(other, "ONU").await?;
                if other.serial != request.serial && other.removed_at.is_none() {
                    return Err(AppError::Conflict(format!(
                        "Service {} is on ONU {} already ({}); replace that one instead.",
                        service.code, other.serial, other.pon
                    )));
                }
            }
        }
        let service = match service {
            Some(service) => {
                let plan = self.found(service.plan_id, "plan").await?;
                let customer = self.found(service.customer_id, "customer").await?;
                Some((service, plan, customer))
            }
            None => None,
        };
        let of_service = match &service {
            Some((service, ..)) => {
                self.intents_of(Some(service.id)).await?.unwrap_or_default().internet.and_then(|i| i.vlan)
            }
            None => None,
        };
        let seen = detected::by_serial(self.store(), olt.id, request.serial).await?;
        let model = seen.map(|seen| seen.equipment_id).unwrap_or_default();
        let of = service.as_ref().map(|(service, plan, customer)| ForService {
            service,
            plan,
            customer,
            vlan: of_service,
        });
        let (_, vlan_from) = internet_vlan(request, &defaults, of.as_ref());
        let spec = authorise_spec(request, &defaults, of, &model, BTreeSet::new());
        if spec.service_ports.first().is_some_and(|port| port.vlan == defaults.management_vlan) {
            return Err(AppError::invalid(
                "internet_vlan",
                format!(
                    "{} is the management VLAN of {}; a customer's traffic never goes there.",
                    defaults.management_vlan, olt.name
                ),
            ));
        }
        let untagged = internet_port(&spec).is_some_and(|port| port.user_vlan.is_none());
        let untagged_by_model = (untagged && request.untagged.is_none()).then_some(model);
        Ok(Wish { olt, service, untagged_by_model, spec, vlan_from })
    }

    /// What an authorisation would send, line by line. Reads from the OLT, writes nothing.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] when the OLT does not answer.
    pub async fn dry_run_authorise(
        &self,
        actor: &Actor,
        request: &AuthoriseRequest,
    ) -> Result<DryRun, AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let wish = self.wish(request).await?;
        let unproved = unproved(&wish.spec);
        let line = self.olt_line(&wish.olt).await?;
        let question = line.handle.dry_run(Operation::Authorise(wish.spec));
        let planned = self.ask_now(&wish.olt, &line.handle, question).await?.map_err(|error| {
            AppError::Unavailable(format!(
                "{} could not be asked: {error}. Nothing was sent to it.",
                wish.olt.name
            ))
        })?;
        let mut checks = Vec::new();
        if let Some(other) = onus::by_serial(self.store(), request.serial).await?
            && other.olt_id != request.olt_id
        {
            let place: rows::Olt = self.found(other.olt_id, "OLT").await?;
            let text = format!("{} is authorised on {} {} already", request.serial, place.name, other.pon);
            checks.push(DryCheck { text, status: "bad".into() });
        }
        if let Some((service, plan, customer)) = &wish.service {
            let text = format!("service {} ({}, {}) gets this ONU", service.code, customer.name, plan.name);
            checks.push(DryCheck { text, status: "ok".into() });
        } else {
            let text = "no service is given: the ONU is registered, its CPE stays in quarantine".to_owned();
            checks.push(DryCheck { text, status: "warn".into() });
        }
        if let Some(model) = &wish.untagged_by_model {
            let text =
                format!("{model} has no VLAN setting by the defaults of this OLT: the OLT tags for it");
            checks.push(DryCheck { text, status: "ok".into() });
        }
        checks.extend(unproved);
        let plan = match planned {
            Ok(plan) => plan,
            Err(refusal) => {
                checks.push(DryCheck { text: refusal.to_string(), status: "bad".into() });
                return Ok(DryRun { onu_id: 0, lines: Vec::new(), checks });
            }
        };
        checks.extend(
            plan.prechecks.iter().map(|check| DryCheck { text: check.to_string(), status: "ok".into() }),
        );
        let dialect = line.handle.dialect();
        let lines = dry_lines(&plan, dialect);
        if plan.already {
            let text = format!("{} is as wanted already; nothing would be sent", plan.onu);
            checks.push(DryCheck { text, status: "ok".into() });
        }
        tracing::debug!(olt = %wish.olt.name, dialect = %dialect.name, lines = lines.len(), "dry run");
        Ok(DryRun { onu_id: plan.onu.onu_id, lines, checks })
    }

    /// Orders an authorisation. The task is carried out in the background; its row is the truth about it.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when the ONU is authorised already, or somebody else is doing it right now.
    pub async fn authorise_onu(
        &self,
        actor: &Actor,
        request: &AuthoriseRequest,
    ) -> Result<OltTaskId, AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let wish = self.wish(request).await?;
        let serial = request.serial;
        if let Some(other) = onus::by_serial(self.store(), serial).await? {
            let place: rows::Olt = self.found(other.olt_id, "OLT").await?;
            return Err(AppError::Conflict(format!(
                "{serial} is authorised already: {} {} ONU {}.",
                place.name, other.pon, other.onu_id
            )));
        }
        let new = tasks::NewTask {
            kind: AUTHORISE.to_owned(),
            olt_id: wish.olt.id,
            service_id: wish.service.as_ref().map(|(service, ..)| service.id),
            serial,
            pon: request.pon,
            plan: given(&wish.spec, wish.vlan_from)?,
            actor: actor.label(),
            idempotency_key: None,
        };
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "task".into(),
            olt_id: Some(wish.olt.id),
            service_id: new.service_id,
            code: "authorise_ordered".into(),
            text: format!("Authorisation of {serial} on {} {} ordered.", wish.olt.name, request.pon),
            actor: actor.label(),
            facts: serde_json::json!({ "serial": serial.hex16(), "pon": request.pon.to_string() }),
            ..Default::default()
        };
        let audit =
            self.audit_row(actor, "onu.authorise", &format!("onu:{serial}"), None, Some(new.plan.clone()));
        let (olt, now) = (wish.olt.id, self.now());
        let task = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    // Another OLT may be at it: its unique index does not see ours.
                    nobody_is_at(tx, &[serial], None, new.service_id).await?;
                    let task = tasks::begin(tx, new, now).await?;
                    if let Some(seen) = detected::by_serial(tx, olt, serial).await? {
                        let _moved: Guarded = detected::transition(
                            tx,
                            seen.id,
                            DetectedState::Waiting,
                            DetectedState::Authorising,
                        )
                        .await?;
                    }
                    timeline::append(tx, &entry).await?;
                    tx.insert(&audit).await?;
                    Ok(task)
                })
            })
            .await
            .map_err(|error| match error {
                AppError::Store(StoreError::Duplicate { .. }) => {
                    AppError::Conflict(format!("Somebody else is authorising {serial} right now."))
                }
                other => other,
            })?;
        self.bus().say(Change::Task(task));
        self.bus().say(Change::Detected(request.olt_id));
        self.wake_olts();
        Ok(task)
    }
}

/// Refuses while a task that is not over is about one of these serials, this ONU or this service.
pub(crate) async fn nobody_is_at(
    tx: &Tx,
    serials: &[Serial],
    onu: Option<OnuRowId>,
    service: Option<ServiceId>,
) -> Result<(), AppError> {
    let mut open = Vec::new();
    for serial in serials {
        let others = tasks::for_serial(tx, *serial, 20).await?;
        open.extend(others.into_iter().filter(|task| task.finished_at.is_none()));
    }
    if let Some(onu) = onu {
        open.extend(tasks::open_on(tx, onu).await?);
    }
    if let Some(task) = open.first() {
        return Err(AppError::Conflict(format!(
            "{} is at {} right now (task {}, {}).",
            task.actor, task.serial, task.id, task.reason
        )));
    }
    if let Some(service) = service {
        let open = tasks::unfinished(tx, 1_000).await?;
        if let Some(open) = open.iter().find(|task| task.service_id == Some(service)) {
            return Err(AppError::Conflict(format!(
                "The ONU {} of this service is being worked on right now (task {} of {}).",
                open.serial, open.id, open.actor
            )));
        }
    }
    Ok(())
}

pub(crate) fn presence(state: olt::model::RunState) -> Presence {
    match state {
        olt::model::RunState::Online => Presence::InService,
        olt::model::RunState::Offline => Presence::NotPresent,
        olt::model::RunState::Unknown => Presence::Unknown,
    }
}

pub(crate) fn run_word(state: olt::model::RunState) -> &'static str {
    match state {
        olt::model::RunState::Online => "online",
        olt::model::RunState::Offline => "offline",
        olt::model::RunState::Unknown => "unknown",
    }
}
