//! Ordering that a detected ONU is authorised, and showing beforehand what that would send. The order is a task row; a
//! second task on the same ONU is refused by the database.

use super::{
    AuthoriseFor, AuthoriseRequest, DryCheck, DryLine, DryRun, NewAuthorised, NewLine, OltDefaults,
    PlannedCustomer, PlannedService,
    spec::{ForService, VlanFrom, authorise_spec, fingerprint, given, internet_port, internet_vlan},
};
use crate::{Actor, App, AppError, Change, NewCustomer, NewService, Permission, crm::NUMBER_TRIES};
use olt::{
    dialect::Dialect,
    plan::{AuthoriseSpec, Operation, Plan, SentKind},
};
use std::collections::BTreeSet;
use store::{
    DetectedState, Guarded, Presence, ServiceState, StoreError, Tx,
    claims::{self, Claim},
    detected, onus, rows, services, tasks, timeline,
};
use types::{CustomerId, OltId, OltTaskId, Serial, ServiceId, UtcMs};

/// The kind of these tasks.
pub(crate) const AUTHORISE: &str = "authorise_onu";

/// Everything a request refers to.
struct Wish {
    olt: rows::Olt,
    /// A planned one has no id yet.
    service: Option<(rows::Service, rows::Plan, rows::Customer)>,
    planned: bool,
    /// The service that waits for this serial number and does not get it.
    passed_over: Option<rows::Service>,
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

impl Wish {
    /// What the plan comes to on this OLT; a speed that is sold and not kept here is said.
    fn given_by_plan(&self) -> Option<DryCheck> {
        let (_, plan, _) = self.service.as_ref()?;
        let port = internet_port(&self.spec)?;
        let profiles = format!(
            "line profile {}, service profile {}",
            self.spec.line_profile_id, self.spec.service_profile_id
        );
        Some(match (port.traffic_in, port.traffic_out) {
            (Some(up), Some(down)) => DryCheck {
                text: format!("plan {}: traffic tables {up} up and {down} down, {profiles}", plan.name),
                status: "ok".into(),
            },
            _ => DryCheck {
                text: format!(
                    "plan {}: {profiles}, and no traffic table on {}: its speed is not limited here (set it on the \
                     form of the OLT)",
                    plan.name, self.olt.name
                ),
                status: "warn".into(),
            },
        })
    }

    /// Refuses what somebody has looked at when it is something else by now.
    fn is_as_seen(&self, request: &AuthoriseRequest) -> Result<(), AppError> {
        match &request.seen {
            Some(seen) if *seen != fingerprint(&self.spec)? => Err(AppError::Conflict(format!(
                "{} would not be sent what the dry run showed: something that it comes from has changed since. Nothing \
                 was sent; look at the dry run of now and order again.",
                self.olt.name
            ))),
            _ => Ok(()),
        }
    }
}

impl App {
    async fn wish(&self, request: &AuthoriseRequest) -> Result<Wish, AppError> {
        request.check()?;
        let olt: rows::Olt = self.found(request.olt_id, "OLT").await?;
        if olt.admin_state != store::AdminState::Enabled {
            return Err(is_disabled(&olt));
        }
        let defaults: OltDefaults = serde_json::from_value(olt.defaults.clone()).map_err(|error| {
            AppError::Conflict(format!("The defaults of {} cannot be used: {error}", olt.name))
        })?;
        let mut waiting = services::for_serial(self.store(), request.serial).await?;
        let (mut planned, mut passed_over) = (None, None);
        let service = match &request.service {
            AuthoriseFor::Service(id) => Some(self.found::<rows::Service>(*id, "service").await?),
            AuthoriseFor::Nobody => {
                passed_over = waiting.pop();
                None
            }
            AuthoriseFor::Planned(plan) => {
                if let Some(other) = waiting.first() {
                    return Err(AppError::Conflict(format!(
                        "{} belongs to service {} already: authorise it for that one, or take the serial off it \
                         first.",
                        request.serial, other.code
                    )));
                }
                planned = Some(self.planned(plan).await?);
                None
            }
            AuthoriseFor::Expected => {
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
            may_have_an_onu(service)?;
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
        let is_planned = planned.is_some();
        let (service, of_service) = match service {
            Some(service) => {
                let plan: rows::Plan = self.found(service.plan_id, "plan").await?;
                let customer: rows::Customer = self.found(service.customer_id, "customer").await?;
                let intents = self.intents_of(Some(service.id)).await?.unwrap_or_default();
                (Some((service, plan, customer)), intents.internet.and_then(|internet| internet.vlan))
            }
            None => {
                // A service begins with the VLAN of its plan.
                let vlan = planned.as_ref().and_then(|(_, plan, _)| crate::crm::vlan_of(plan));
                (planned, vlan)
            }
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
        Ok(Wish { olt, service, planned: is_planned, passed_over, untagged_by_model, spec, vlan_from })
    }

    /// A service as it would be made now, with the number it would get.
    async fn planned(
        &self,
        planned: &PlannedService,
    ) -> Result<(rows::Service, rows::Plan, rows::Customer), AppError> {
        let plan: rows::Plan = self.found(planned.plan_id, "plan").await?;
        crate::crm::is_sold(&plan)?;
        let customer = match &planned.customer {
            PlannedCustomer::Known(id) => self.found(*id, "customer").await?,
            PlannedCustomer::New(name) => {
                rows::Customer { name: name.trim().to_owned(), ..rows::Customer::default() }
            }
        };
        let code = services::next_code(self.store()).await?;
        Ok((rows::Service { code, ..rows::Service::default() }, plan, customer))
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
        let given_by_plan = wish.given_by_plan();
        let fingerprint = fingerprint(&wish.spec)?;
        let line = self.olt_line(&wish.olt).await?;
        let mut operation = Operation::Authorise(wish.spec);
        self.reserve_ids(&mut operation, wish.olt.id, None).await?;
        let question = line.handle.dry_run(operation);
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
        let mut claims = vec![Claim::Serial(request.serial)];
        claims.extend(wish.service.as_ref().map(|(service, ..)| Claim::Service(service.id)));
        if let Some(holder) = claims::holder(self.store(), &claims).await? {
            checks.push(DryCheck { text: is_taken(&holder).to_string(), status: "bad".into() });
        }
        for other in services::for_serial(self.store(), request.serial).await? {
            if wish.service.as_ref().is_some_and(|(service, ..)| service.id != other.id) {
                let text = format!(
                    "service {} expects {}, too; it waits for it no longer then",
                    other.code, request.serial
                );
                checks.push(DryCheck { text, status: "warn".into() });
            }
        }
        if let Some((service, plan, customer)) = &wish.service {
            let text = if wish.planned {
                format!("a new service {} ({}, {}) gets this ONU", service.code, customer.name, plan.name)
            } else {
                format!("service {} ({}, {}) gets this ONU", service.code, customer.name, plan.name)
            };
            checks.push(DryCheck { text, status: "ok".into() });
        } else if let Some(service) = &wish.passed_over {
            let text = format!(
                "service {} waits for this serial and does not get this ONU; its CPE still counts as that service's \
                 by the serial, until the serial is taken off the service",
                service.code
            );
            checks.push(DryCheck { text, status: "warn".into() });
        } else {
            let text = "no service is given: the ONU is registered, its CPE stays in quarantine".to_owned();
            checks.push(DryCheck { text, status: "warn".into() });
        }
        checks.extend(given_by_plan);
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
                return Ok(DryRun { onu_id: 0, lines: Vec::new(), checks, fingerprint });
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
        Ok(DryRun { onu_id: plan.onu.onu_id, lines, checks, fingerprint })
    }

    /// Refuses a serial number that an OLT has already. One that its own OLT does not have any more is authorised anew
    /// there, in the row that it has.
    async fn is_free(&self, serial: Serial, on: OltId) -> Result<(), AppError> {
        let known = onus::by_serial(self.store(), serial).await?;
        let Some(other) = known.filter(|onu| onu.olt_id != on || !onu.is_off_its_olt()) else {
            return Ok(());
        };
        let place: rows::Olt = self.found(other.olt_id, "OLT").await?;
        Err(AppError::Conflict(format!(
            "{serial} is authorised already: {} {} ONU {}.",
            place.name, other.pon, other.onu_id
        )))
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
        wish.is_as_seen(request)?;
        if wish.planned {
            return Err(AppError::Conflict(
                "The service has to be made before an ONU is authorised for it.".into(),
            ));
        }
        self.is_free(request.serial, request.olt_id).await?;
        let order = self.order(actor, request, &wish)?;
        let task = self.store().write(move |tx| Box::pin(order.place(tx))).await?;
        self.ordered(task, request.olt_id);
        Ok(task)
    }

    /// Orders an authorisation for a service that is made for it, and for its customer if that one is new: all of it in
    /// one unit of work, so that a refusal of any part leaves nothing behind.
    ///
    /// # Errors
    /// As [`App::authorise_onu`] and [`App::reserve_service`]; [`AppError::Conflict`] when nothing new was asked for.
    pub async fn authorise_new(
        &self,
        actor: &Actor,
        request: &AuthoriseRequest,
        line: NewLine,
    ) -> Result<NewAuthorised, AppError> {
        actor.require(Permission::AuthoriseOnu)?;
        let AuthoriseFor::Planned(planned) = &request.service else {
            return Err(AppError::Conflict("The service is there already; nothing is made for it.".into()));
        };
        let (known, new_customer) = match &planned.customer {
            PlannedCustomer::Known(id) => (*id, None),
            PlannedCustomer::New(name) => {
                let input = NewCustomer {
                    name: name.trim().to_owned(),
                    phone: line.customer_phone.clone(),
                    address: line.address.clone(),
                    ..NewCustomer::default()
                };
                (CustomerId(0), Some(self.customer_to_make(actor, &input)?))
            }
        };
        let input = NewService {
            customer_id: known,
            plan_id: planned.plan_id,
            pppoe_login: line.pppoe_login,
            pppoe_password: line.pppoe_password,
            wifi: line.wifi,
            expected_serial: Some(request.serial),
            address: line.address,
        };
        for _ in 0..NUMBER_TRIES {
            let wish = self.wish(request).await?;
            wish.is_as_seen(request)?;
            self.is_free(request.serial, request.olt_id).await?;
            let Some((service, plan, customer)) = &wish.service else {
                return Err(AppError::Internal("a planned service was not planned".into()));
            };
            let customer = new_customer.as_ref().map_or(customer, |new| &new.row);
            let service = self.service_to_make(actor, &input, service.code.clone(), customer, plan)?;
            let mut order = self.order(actor, request, &wish)?;
            let (app, making, new_customer) = (self.clone(), service.clone(), new_customer.clone());
            let made = self.store().write(move |tx| {
                Box::pin(async move {
                    let customer = match new_customer {
                        Some(new) => new.insert(tx).await?,
                        None => known,
                    };
                    let service = making.insert(tx, &app, customer).await?;
                    order.new.service_id = Some(service);
                    Ok::<_, AppError>((order.place(tx).await?, service))
                })
            });
            match made.await {
                // Somebody else was quicker with the number of one of them.
                Err(AppError::Store(StoreError::Duplicate { .. })) => self.login_is_free(&service).await?,
                made => {
                    let (task, id) = made?;
                    self.bus().say(Change::Customers);
                    self.bus().say(Change::Service(id));
                    self.ordered(task, request.olt_id);
                    return Ok(NewAuthorised { task, service: id, generated: service.generated });
                }
            }
        }
        Err(AppError::Unavailable("Too many services are made at this moment; try again.".into()))
    }

    fn order(&self, actor: &Actor, request: &AuthoriseRequest, wish: &Wish) -> Result<Order, AppError> {
        let serial = request.serial;
        let new = tasks::NewTask {
            kind: AUTHORISE.to_owned(),
            olt_id: wish.olt.id,
            service_id: wish.service.as_ref().filter(|_| !wish.planned).map(|(service, ..)| service.id),
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
            code: "authorise_ordered".into(),
            text: format!("Authorisation of {serial} on {} {} ordered.", wish.olt.name, request.pon),
            actor: actor.label(),
            facts: serde_json::json!({ "serial": serial.hex16(), "pon": request.pon.to_string() }),
            ..Default::default()
        };
        let audit =
            self.audit_row(actor, "onu.authorise", &format!("onu:{serial}"), None, Some(new.plan.clone()));
        Ok(Order { new, entry, audit, now: self.now() })
    }

    fn ordered(&self, task: OltTaskId, olt: OltId) {
        self.bus().say(Change::Task(task));
        self.bus().say(Change::Detected(olt));
        self.wake_olts();
    }
}

/// An authorisation that was looked through and is not ordered yet.
#[derive(Clone)]
struct Order {
    new: tasks::NewTask,
    entry: rows::TimelineEntry,
    audit: rows::AuditEntry,
    now: UtcMs,
}

impl Order {
    async fn place(self, tx: &Tx) -> Result<OltTaskId, AppError> {
        let Order { new, entry, audit, now } = self;
        let (serial, olt, service) = (new.serial, new.olt_id, new.service_id);
        let task = begin_order(tx, new, &[], now).await.map_err(|error| match error {
            AppError::Store(StoreError::Duplicate { .. }) => {
                AppError::Conflict(format!("Somebody else is authorising {serial} right now."))
            }
            other => other,
        })?;
        let known = onus::by_serial(tx, serial).await?;
        if let Some(other) = known.filter(|onu| onu.olt_id != olt || !onu.is_off_its_olt()) {
            let place: rows::Olt = tx.require(other.olt_id).await?;
            return Err(AppError::Conflict(format!(
                "{serial} is authorised already: {} {} ONU {}.",
                place.name, other.pon, other.onu_id
            )));
        }
        if let Some(service) = service {
            may_have_an_onu(&tx.require(service).await?)?;
            without_another(tx, service, serial).await?;
        }
        if let Some(seen) = detected::by_serial(tx, olt, serial).await? {
            let _moved: Guarded =
                detected::transition(tx, seen.id, DetectedState::Waiting, DetectedState::Authorising).await?;
        }
        timeline::append(tx, &rows::TimelineEntry { service_id: service, ..entry }).await?;
        tx.insert(&audit).await?;
        Ok(task)
    }
}

/// So many open orders an OLT may have. More would only wait, and could not be looked through by anybody.
const MOST_OPEN: u64 = 256;

/// Begins a task, and takes for it what only one open task may have. Whatever else is looked at is looked at after that:
/// then nobody who was at it can end in between.
pub(crate) async fn begin_order(
    tx: &Tx,
    new: tasks::NewTask,
    also: &[Claim],
    now: UtcMs,
) -> Result<OltTaskId, AppError> {
    if let Some(service) = new.service_id {
        // Who ends the service at this moment does so before or after this unit: whatever is looked at below stays true.
        services::take(tx, service).await?;
    }
    let olt: rows::Olt = tx.require(new.olt_id).await?;
    if olt.admin_state != store::AdminState::Enabled {
        return Err(is_disabled(&olt));
    }
    let open = tasks::open_on_olt(tx, olt.id).await?;
    if open >= MOST_OPEN {
        return Err(AppError::Conflict(format!(
            "{} has {open} open orders already, which is the most there may be. Nothing was ordered; wait until some of \
             them are done, or cancel some.",
            olt.name
        )));
    }
    let mut claims = vec![Claim::Serial(new.serial)];
    claims.extend(new.service_id.map(Claim::Service));
    claims.extend(also);
    if let Some(holder) = claims::holder(tx, &claims).await? {
        return Err(is_taken(&holder));
    }
    let task = tasks::begin(tx, new, now).await?;
    match claims::take(tx, task, &claims).await? {
        None => Ok(task),
        Some(holder) => Err(is_taken(&holder)),
    }
}

/// A service that is over gets no ONU.
pub(crate) fn may_have_an_onu(service: &rows::Service) -> Result<(), AppError> {
    if service.state == ServiceState::Terminated {
        return Err(AppError::Conflict(format!("Service {} is terminated.", service.code)));
    }
    Ok(())
}

/// Somebody may have given it another one since it was looked at.
async fn without_another(tx: &Tx, service: ServiceId, serial: Serial) -> Result<(), AppError> {
    match onus::by_service(tx, service).await?.filter(|onu| onu.serial != serial) {
        None => Ok(()),
        Some(onu) => Err(AppError::Conflict(format!(
            "The service is on ONU {} already ({}); replace that one instead.",
            onu.serial, onu.pon
        ))),
    }
}

pub(crate) fn is_disabled(olt: &rows::Olt) -> AppError {
    AppError::Conflict(format!("{} is disabled; nobody speaks to it. Enable it first.", olt.name))
}

pub(crate) fn is_taken(holder: &rows::OltTask) -> AppError {
    AppError::Conflict(format!(
        "{} is at {} right now (task {}, {}).",
        holder.actor,
        holder.serial,
        holder.id,
        holder.reason.trim_end_matches('.')
    ))
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
