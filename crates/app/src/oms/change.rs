//! Ordering that an authorised ONU is removed, moved or replaced, and showing beforehand what that would send.
//!
//! Only what we authorised is changed: what was given to it is known, so it is known what of it is ours to take off and
//! how it comes back if the rest fails.

use super::{
    DryCheck, DryRun, OltDefaults, OnuChange,
    authorise::{begin_order, dry_lines, is_disabled, is_taken, may_have_an_onu, unproved},
    carry::CPE_NOTED,
    spec::{given_to, set_side},
};
use crate::{Actor, App, AppError, Change, Permission};
use olt::plan::{AuthoriseSpec, DeauthoriseSpec, MoveSpec, OnuRef, Operation};
use std::collections::BTreeSet;
use store::{
    Db, DetectedState, Guarded, Presence, StoreError,
    claims::{self, Claim},
    detected, onus, rows, services, tasks, timeline,
};
use types::{OltTaskId, OnuRowId, PonPath, Serial, ServiceId};

/// Everything an order refers to.
struct Wish {
    olt: rows::Olt,
    onu: rows::Onu,
    service: Option<rows::Service>,
    operation: Operation,
    /// What speaks for and against it before the OLT is asked.
    checks: Vec<DryCheck>,
}

impl OnuChange {
    /// The kind of the task.
    fn kind(&self) -> &'static str {
        match self {
            OnuChange::Remove => "remove_onu",
            OnuChange::Move { .. } => "move_onu",
            OnuChange::Replace { .. } => "replace_onu",
        }
    }

    /// The name of the order in the audit.
    fn action(&self) -> &'static str {
        match self {
            OnuChange::Remove => "onu.remove",
            OnuChange::Move { .. } => "onu.move",
            OnuChange::Replace { .. } => "onu.replace",
        }
    }

    fn ordered(&self, serial: Serial, place: &str) -> (&'static str, String) {
        match self {
            OnuChange::Remove => ("remove_ordered", format!("Removal of {serial} from {place} ordered.")),
            OnuChange::Move { pon } => {
                ("move_ordered", format!("Move of {serial} from {place} to PON {pon} ordered."))
            }
            OnuChange::Replace { serial: new, .. } => {
                ("replace_ordered", format!("Replacement of {serial} on {place} by {new} ordered."))
            }
        }
    }
}

fn check(status: &str, text: String) -> DryCheck {
    DryCheck { text, status: status.to_owned() }
}

/// What a change of an ONU has for itself while it is open: who goes, who comes, and the place.
fn claims_of(onu: &rows::Onu, operation: &Operation, service: Option<ServiceId>) -> Vec<Claim> {
    let mut claims = vec![
        Claim::Serial(operation.serial()),
        Claim::Serial(onu.serial),
        Claim::Onu(onu.id),
        Claim::Place { olt: onu.olt_id, pon: onu.pon, onu_id: onu.onu_id },
    ];
    claims.extend(service.map(Claim::Service));
    claims
}

/// Whether an ONU that is to come is nobody's: on no OLT, and promised to no other service.
async fn is_free(db: &Db, new: Serial, mine: Option<ServiceId>) -> Result<(), AppError> {
    if let Some(other) = onus::by_serial(db, new).await? {
        let place: rows::Olt = db.require(other.olt_id).await?;
        return Err(AppError::Conflict(format!(
            "{new} is authorised already: {} {} ONU {}. Remove it there first.",
            place.name, other.pon, other.onu_id
        )));
    }
    let waiting = services::for_serial(db, new).await?;
    if let Some(other) = waiting.iter().find(|other| Some(other.id) != mine) {
        return Err(AppError::Conflict(format!("{new} is expected by service {}.", other.code)));
    }
    Ok(())
}

impl App {
    async fn wish_for_change(&self, id: OnuRowId, change: &OnuChange) -> Result<Wish, AppError> {
        let onu: rows::Onu = self.found(id, "ONU").await?;
        let serial = onu.serial;
        if onu.removed_at.is_some() {
            return Err(AppError::Conflict(format!("{serial} was taken off its OLT already.")));
        }
        let olt: rows::Olt = self.found(onu.olt_id, "OLT").await?;
        if olt.admin_state != store::AdminState::Enabled {
            return Err(is_disabled(&olt));
        }
        let Some(made) = given_to(&onu) else {
            return Err(AppError::Conflict(format!(
                "{serial} was not authorised by Lightkeeper, so what it has on {} is not ours to change.",
                olt.name
            )));
        };
        let onu_id = u16::try_from(onu.onu_id)
            .map_err(|_| AppError::Internal(format!("ONU id {} of {serial} is none", onu.onu_id)))?;
        let place = OnuRef { pon: onu.pon, onu_id };
        let service = match onu.service_id {
            Some(service) => Some(self.found::<rows::Service>(service, "service").await?),
            None => None,
        };
        if let (OnuChange::Move { .. } | OnuChange::Replace { .. }, Some(service)) = (change, &service) {
            may_have_an_onu(service)?;
        }
        let from = DeauthoriseSpec { onu: place, serial, made: Some(Box::new(made.clone())) };
        let mut checks = Vec::new();
        let online = onu.presence == Presence::InService;
        let operation = match change {
            OnuChange::Remove => {
                if online {
                    let text = format!("{serial} is online now; whoever uses it loses the connection");
                    checks.push(check("warn", text));
                }
                if let Some(service) = &service {
                    let text = format!(
                        "service {} has no ONU then; its CPE is released from it, and its history is kept",
                        service.code
                    );
                    checks.push(check("warn", text));
                }
                Operation::Deauthorise(from)
            }
            OnuChange::Move { pon } => {
                if *pon == onu.pon {
                    return Err(AppError::invalid("pon", format!("{serial} is on {pon} already.")));
                }
                if let Some(service) = &service {
                    let text =
                        format!("service {} keeps this ONU, its CPE and all its settings", service.code);
                    checks.push(check("ok", text));
                }
                let to = AuthoriseSpec {
                    pon: *pon,
                    onu_id: None,
                    reserved_ids: BTreeSet::new(),
                    preprovision: false,
                    ..made
                };
                Operation::Move(Box::new(MoveSpec { from, to }))
            }
            OnuChange::Replace { serial: new, untagged } => {
                let seen = self.may_come(*new, &olt, &onu, service.as_ref()).await?;
                if online {
                    let text = format!("{serial} is online now; make sure that it is the one that goes");
                    checks.push(check("warn", text));
                }
                if let Some(service) = &service {
                    let text = format!(
                        "service {} gets {new}; the CPE of {serial} is released, and the new one begins anew with the \
                         same settings",
                        service.code
                    );
                    checks.push(check("ok", text));
                }
                if seen.is_none() {
                    let text = format!(
                        "{new} does not announce itself on {} now; it is registered ahead of its arrival",
                        olt.name
                    );
                    checks.push(check("warn", text));
                }
                let mut to = AuthoriseSpec {
                    pon: place.pon,
                    serial: *new,
                    onu_id: Some(place.onu_id),
                    reserved_ids: BTreeSet::new(),
                    preprovision: seen.is_none(),
                    ..made
                };
                self.side_of(&mut to, &olt, seen.as_ref(), *untagged)?;
                checks.extend(unproved(&to));
                Operation::Replace(Box::new(MoveSpec { from, to }))
            }
        };
        Ok(Wish { olt, onu, service, operation, checks })
    }

    /// Whether a new ONU may have this place, and what is seen of it on this OLT now.
    async fn may_come(
        &self,
        new: Serial,
        olt: &rows::Olt,
        onu: &rows::Onu,
        service: Option<&rows::Service>,
    ) -> Result<Option<rows::DetectedOnu>, AppError> {
        if new == onu.serial {
            return Err(AppError::invalid("serial", format!("{new} is the one that is to be replaced.")));
        }
        is_free(self.store(), new, service.map(|mine| mine.id)).await?;
        let seen = detected::by_serial(self.store(), olt.id, new)
            .await?
            .filter(|seen| matches!(seen.state, DetectedState::Waiting | DetectedState::Authorising));
        if let Some(seen) = &seen
            && seen.pon != onu.pon
        {
            return Err(AppError::Conflict(format!(
                "{new} announces itself on {} {}, and the place of {} is on {}.",
                olt.name, seen.pon, onu.serial, onu.pon
            )));
        }
        Ok(seen)
    }

    /// The customer's side of the service port: as somebody says, as the model of the new box has it, or as it was.
    fn side_of(
        &self,
        spec: &mut AuthoriseSpec,
        olt: &rows::Olt,
        seen: Option<&rows::DetectedOnu>,
        untagged: Option<bool>,
    ) -> Result<(), AppError> {
        let defaults: OltDefaults = serde_json::from_value(olt.defaults.clone()).map_err(|error| {
            AppError::Conflict(format!("The defaults of {} cannot be used: {error}", olt.name))
        })?;
        let of_model =
            seen.filter(|s| !s.equipment_id.is_empty()).map(|seen| defaults.cannot_tag(&seen.equipment_id));
        if let Some(untagged) = untagged.or(of_model) {
            set_side(spec, untagged);
        }
        Ok(())
    }

    /// What a change of an ONU would send, line by line. Reads from the OLT, writes nothing.
    ///
    /// # Errors
    /// [`AppError::Unavailable`] when the OLT does not answer; otherwise as [`App::change_onu`].
    pub async fn dry_run_change(
        &self,
        actor: &Actor,
        onu: OnuRowId,
        change: &OnuChange,
    ) -> Result<DryRun, AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let mut wish = self.wish_for_change(onu, change).await?;
        let line = self.olt_line(&wish.olt).await?;
        let claims = claims_of(&wish.onu, &wish.operation, wish.service.as_ref().map(|service| service.id));
        if let Some(holder) = claims::holder(self.store(), &claims).await? {
            wish.checks.push(check("bad", is_taken(&holder).to_string()));
        }
        self.reserve_ids(&mut wish.operation, wish.olt.id, None).await?;
        let question = line.handle.dry_run(wish.operation);
        let planned = self.ask_now(&wish.olt, &line.handle, question).await?.map_err(|error| {
            AppError::Unavailable(format!(
                "{} could not be asked: {error}. Nothing was sent to it.",
                wish.olt.name
            ))
        })?;
        let mut checks = wish.checks;
        let plan = match planned {
            Ok(plan) => plan,
            Err(refusal) => {
                checks.push(check("bad", refusal.to_string()));
                return Ok(DryRun { onu_id: 0, lines: Vec::new(), checks, fingerprint: String::new() });
            }
        };
        checks.extend(plan.prechecks.iter().map(|fact| check("ok", fact.to_string())));
        if plan.already {
            let text = format!("{} is as wanted already; nothing would be sent", plan.onu);
            checks.push(check("ok", text));
        }
        let lines = dry_lines(&plan, line.handle.dialect());
        Ok(DryRun { onu_id: plan.onu.onu_id, lines, checks, fingerprint: String::new() })
    }

    /// Orders that an ONU is removed, moved or replaced. The task is carried out in the background; its row is the truth
    /// about it, and ONU, service and CPE follow only when the OLT was read back.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when the ONU is not ours, is gone already, or somebody is at it right now.
    pub async fn change_onu(
        &self,
        actor: &Actor,
        onu: OnuRowId,
        change: &OnuChange,
    ) -> Result<OltTaskId, AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let Wish { olt, onu, service, operation, .. } = self.wish_for_change(onu, change).await?;
        let mut plan = serde_json::to_value(&operation).map_err(|e| AppError::Internal(e.to_string()))?;
        plan[CPE_NOTED] = serde_json::json!(service.as_ref().and_then(|service| service.cpe_id));
        let (old, new) = (onu.serial, operation.serial());
        let place = |pon: PonPath| format!("{} {pon} ONU {}", olt.name, onu.onu_id);
        let (code, text) = change.ordered(old, &place(onu.pon));
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "task".into(),
            olt_id: Some(olt.id),
            onu_row_id: Some(onu.id),
            service_id: onu.service_id,
            code: code.into(),
            text,
            actor: actor.label(),
            facts: serde_json::json!({ "serial": old.hex16(), "pon": onu.pon.to_string() }),
            ..Default::default()
        };
        let before = serde_json::json!({
            "olt": olt.id, "pon": onu.pon.to_string(), "onu_id": onu.onu_id, "serial": old.hex16(),
            "service": onu.service_id, "cpe": service.as_ref().and_then(|service| service.cpe_id),
            "given": onu.desired,
        });
        let audit =
            self.audit_row(actor, change.action(), &format!("onu:{old}"), Some(before), Some(plan.clone()));
        let task = tasks::NewTask {
            kind: change.kind().to_owned(),
            olt_id: olt.id,
            service_id: onu.service_id,
            serial: new,
            pon: operation.pon(),
            plan,
            actor: actor.label(),
            idempotency_key: None,
        };
        let (id, service, olt_id, now) = (onu.id, onu.service_id, olt.id, self.now());
        let version = onu.version;
        let appears = operation.wanted().is_some();
        let claims = claims_of(&onu, &operation, service);
        let comes = (new != old).then_some(new);
        let task = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let task = begin_order(tx, task, &claims, now).await?;
                    // What was looked at may be another thing by now.
                    let still: rows::Onu = tx.require(id).await?;
                    if still.version != version || still.removed_at.is_some() {
                        return Err(AppError::Conflict(format!(
                            "{old} was changed by somebody in the meantime. Nothing was ordered; look at it again."
                        )));
                    }
                    if let Some(new) = comes {
                        is_free(tx, new, service).await?;
                    }
                    if let Some(service) = service.filter(|_| appears) {
                        may_have_an_onu(&tx.require(service).await?)?;
                    }
                    tasks::set_onu(tx, task, id).await?;
                    if appears && let Some(seen) = detected::by_serial(tx, olt_id, new).await? {
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
                    AppError::Conflict(format!("Somebody else is at {new} right now."))
                }
                other => other,
            })?;
        self.bus().say(Change::Task(task));
        self.bus().say(Change::Onu(id));
        self.bus().say(Change::Detected(olt_id));
        self.wake_olts();
        Ok(task)
    }
}
