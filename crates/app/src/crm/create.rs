//! Making customers and services: what is prepared outside a unit of work, and what goes into it. Who makes several
//! things at once puts all of them into one unit, so that either all of them are there or none.

use super::{
    Generated, NewCustomer, NewService, WifiInput,
    commands::{GENERATED, access_intent, customer_row, is_sold, json, vlan_of},
};
use crate::{Actor, App, AppError, Change, Permission, secrets::random_secret};
use provisioning::{Intents, InternetIntent, InternetMode, Ipv6Mode};
use store::{AccessState, ServiceState, StoreError, Tx, customers, rows, services, timeline};
use types::{CustomerId, ServiceId};

/// How often another number is tried for a new customer or service when two people make one at the same moment.
pub(crate) const NUMBER_TRIES: u32 = 20;

/// A customer who was looked through and is not there yet.
#[derive(Clone)]
pub(crate) struct CustomerToMake {
    pub(crate) row: rows::Customer,
    audit: rows::AuditEntry,
}

impl CustomerToMake {
    /// Makes it, with the next number.
    pub(crate) async fn insert(self, tx: &Tx) -> Result<CustomerId, StoreError> {
        let code = customers::next_code(tx).await?;
        let id = tx.insert(&rows::Customer { code, ..self.row }).await?;
        tx.insert(&rows::AuditEntry { subject: format!("customer:{id}"), ..self.audit }).await?;
        Ok(id)
    }
}

/// A service that was looked through and is not there yet.
#[derive(Clone)]
pub(crate) struct ServiceToMake {
    row: rows::Service,
    intents: Intents,
    entry: rows::TimelineEntry,
    audit: rows::AuditEntry,
    label: String,
    /// What nobody typed, told once when it is made.
    pub(crate) generated: Generated,
}

impl ServiceToMake {
    /// Makes it for a customer who is there, or is made in the same unit.
    pub(crate) async fn insert(
        self,
        tx: &Tx,
        app: &App,
        customer: CustomerId,
    ) -> Result<ServiceId, AppError> {
        if let Some(serial) = self.row.expected_serial {
            services::alone_with_serial(tx, serial).await?;
            nobody_expects(tx, serial, None).await?;
        }
        let id = tx.insert(&rows::Service { customer_id: customer, ..self.row }).await?;
        app.put_intents(tx, id, &self.intents, &self.label).await?;
        let entry = rows::TimelineEntry { service_id: Some(id), customer_id: Some(customer), ..self.entry };
        timeline::append(tx, &entry).await?;
        let mut audit = rows::AuditEntry { subject: format!("service:{id}"), ..self.audit };
        if let Some(after) = &mut audit.after {
            after["customer_id"] = serde_json::json!(customer.0);
        }
        tx.insert(&audit).await?;
        Ok(id)
    }
}

/// Refuses a serial number that another service than `own` has.
pub(crate) async fn nobody_expects(
    db: &store::Db,
    serial: types::Serial,
    own: Option<ServiceId>,
) -> Result<(), AppError> {
    let others = services::for_serial(db, serial).await?;
    match others.iter().find(|other| Some(other.id) != own) {
        Some(other) => {
            Err(AppError::Conflict(format!("{serial} belongs to service {} already.", other.code)))
        }
        None => Ok(()),
    }
}

impl App {
    /// Makes a customer.
    ///
    /// # Errors
    /// [`AppError::Invalid`] field by field.
    pub async fn create_customer(&self, actor: &Actor, input: NewCustomer) -> Result<CustomerId, AppError> {
        let new = self.customer_to_make(actor, &input)?;
        for _ in 0..NUMBER_TRIES {
            let new = new.clone();
            match self.store().write(move |tx| Box::pin(new.insert(tx))).await {
                // Its number is all that is unique about a customer.
                Err(StoreError::Duplicate { .. }) => {}
                made => {
                    let id = made?;
                    self.bus().say(Change::Customers);
                    return Ok(id);
                }
            }
        }
        Err(AppError::Unavailable("Too many customers are made at this moment; try again.".into()))
    }

    /// Looks through what a new customer would be.
    pub(crate) fn customer_to_make(
        &self,
        actor: &Actor,
        input: &NewCustomer,
    ) -> Result<CustomerToMake, AppError> {
        actor.require(Permission::WriteCustomers)?;
        input.check()?;
        let row = rows::Customer { created_at: self.now(), ..customer_row(rows::Customer::default(), input) };
        let audit = self.audit_row(actor, "customer.create", "customer", None, json(input));
        Ok(CustomerToMake { row, audit })
    }

    /// [`App::reserve_service`], for who knows every secret already or wants none of them.
    ///
    /// # Errors
    /// As [`App::reserve_service`].
    pub async fn create_service(&self, actor: &Actor, input: NewService) -> Result<ServiceId, AppError> {
        self.reserve_service(actor, input).await.map(|(id, _)| id)
    }

    /// Reserves a service: what the customer should have, layer by layer, before any device is known. Gives what was
    /// generated for it, which is told this once: from here on secrets are only ever replaced.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when the PPPoE login or the serial number is taken by another service.
    pub async fn reserve_service(
        &self,
        actor: &Actor,
        input: NewService,
    ) -> Result<(ServiceId, Generated), AppError> {
        for _ in 0..NUMBER_TRIES {
            let customer: rows::Customer = self.found(input.customer_id, "customer").await?;
            let plan: rows::Plan = self.found(input.plan_id, "plan").await?;
            let code = services::next_code(self.store()).await?;
            let new = self.service_to_make(actor, &input, code, &customer, &plan)?;
            let (app, making) = (self.clone(), new.clone());
            let made = self
                .store()
                .write(move |tx| Box::pin(async move { making.insert(tx, &app, customer.id).await }))
                .await;
            match made {
                Err(AppError::Store(StoreError::Duplicate { .. })) => self.login_is_free(&new).await?,
                made => {
                    let id = made?;
                    self.bus().say(Change::Service(id));
                    return Ok((id, new.generated));
                }
            }
        }
        Err(AppError::Unavailable("Too many services are made at this moment; try again.".into()))
    }

    /// After something unique about it was taken: refuses when that is its login, and not its number alone.
    pub(crate) async fn login_is_free(&self, new: &ServiceToMake) -> Result<(), AppError> {
        let Some(login) = &new.row.pppoe_login else { return Ok(()) };
        match services::by_pppoe_login(self.store(), login).await? {
            Some(other) if other.code != new.row.code => {
                Err(AppError::Conflict(format!("The PPPoE login {login} is taken (service {}).", other.code)))
            }
            _ => Ok(()),
        }
    }

    /// Looks through what a new service with this number would be. The customer of `input` is not looked at.
    pub(crate) fn service_to_make(
        &self,
        actor: &Actor,
        input: &NewService,
        code: String,
        customer: &rows::Customer,
        plan: &rows::Plan,
    ) -> Result<ServiceToMake, AppError> {
        actor.require(Permission::WriteServices)?;
        input.check()?;
        is_sold(plan)?;
        let now = self.now();
        let login = match plan.internet_mode.as_str() {
            "pppoe" => {
                Some(input.pppoe_login.clone().unwrap_or_else(|| code.to_lowercase().replace('-', "")))
            }
            _ => None,
        };
        let internet = InternetIntent {
            mode: match &login {
                Some(username) => InternetMode::Pppoe {
                    username: username.clone(),
                    password: match &input.pppoe_password {
                        Some(password) => password.clone(),
                        None => random_secret(GENERATED)?,
                    },
                },
                None if plan.internet_mode == "bridge" => InternetMode::Bridge,
                None => InternetMode::Dhcp,
            },
            vlan: vlan_of(plan),
            priority: None,
            nat: plan.internet_mode != "bridge",
            ipv6: Ipv6Mode::Off,
            bind: Vec::new(),
            policy_routes: false,
            suspended: false,
            mtu: None,
        };
        let access = match (&input.wifi, plan.internet_mode.as_str()) {
            (None, "bridge") => None,
            (wifi, _) => {
                let wifi = wifi.clone().unwrap_or(WifiInput {
                    ssid: format!("Home-{code}"),
                    passphrase: None,
                    enabled: true,
                });
                Some(access_intent(&wifi, None)?)
            }
        };
        let intents = Intents { version: 1, internet: Some(internet), access };
        let generated = Generated::of(input, &intents);
        let row = rows::Service {
            code: code.clone(),
            plan_id: plan.id,
            state: ServiceState::Reserved,
            access_state: AccessState::Allowed,
            pppoe_login: login,
            expected_serial: input.expected_serial,
            address: if input.address.is_empty() { customer.address.clone() } else { input.address.clone() },
            created_at: now,
            ..Default::default()
        };
        let audit = self.audit_row(actor, "service.create", "service", None, json(input));
        let entry = rows::TimelineEntry {
            at: now,
            kind: "service".into(),
            to_state: Some(ServiceState::Reserved.as_str().into()),
            code: "service_reserved".into(),
            text: format!("Service {code} reserved: {} for {}.", plan.name, customer.name),
            actor: actor.label(),
            facts: serde_json::json!({}),
            ..Default::default()
        };
        Ok(ServiceToMake { row, intents, entry, audit, label: actor.label(), generated })
    }
}
