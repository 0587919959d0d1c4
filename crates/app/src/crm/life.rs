//! Correcting a service, and ending it.

use super::{ServiceCorrection, create::nobody_expects};
use crate::{Actor, App, AppError, Change, Permission};
use store::{AccessState, ServiceState, Tx, rows, services, tasks, timeline};
use types::{Serial, ServiceId};

impl App {
    /// Puts right where a service is and which ONU it waits for. `version`: the one that somebody has looked at; absent,
    /// whatever it is now.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when it was changed since, or the serial number belongs to another service or contradicts
    /// the ONU that carries it.
    pub async fn correct_service(
        &self,
        actor: &Actor,
        id: ServiceId,
        input: ServiceCorrection,
        version: Option<i64>,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteServices)?;
        input.check()?;
        let service = self.open_service(id).await?;
        is_as_seen(&service, version)?;
        if input.expected_serial != service.expected_serial
            && let Some(serial) = input.expected_serial
        {
            self.may_expect(&service, serial).await?;
        }
        let words = |address: &str, serial: Option<Serial>| serde_json::json!({ "address": address, "expected_serial": serial.map(|serial| serial.hex16()) });
        let before = words(&service.address, service.expected_serial);
        let address = input.address.trim().to_owned();
        let after = words(&address, input.expected_serial);
        if before == after {
            return Ok(());
        }
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "service".into(),
            service_id: Some(id),
            customer_id: Some(service.customer_id),
            code: "service_corrected".into(),
            text: format!(
                "Service {} corrected: {}.",
                service.code,
                match (service.expected_serial == input.expected_serial, input.expected_serial) {
                    (true, _) => "its address".to_owned(),
                    (false, Some(serial)) => format!("it waits for {serial}"),
                    (false, None) => "it waits for no serial number".to_owned(),
                }
            ),
            actor: actor.label(),
            facts: serde_json::json!({}),
            ..Default::default()
        };
        let audit =
            self.audit_row(actor, "service.correct", &format!("service:{id}"), Some(before), Some(after));
        let comes = input.expected_serial.filter(|_| input.expected_serial != service.expected_serial);
        let row = rows::Service { address, expected_serial: input.expected_serial, ..service };
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(serial) = comes {
                        services::alone_with_serial(tx, serial).await?;
                        nobody_expects(tx, serial, Some(id)).await?;
                    }
                    tx.update(&row).await?.or_overtaken("the service")?;
                    timeline::append(tx, &entry).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, AppError>(())
                })
            })
            .await?;
        self.bus().say(Change::Service(id));
        Ok(())
    }

    async fn may_expect(&self, service: &rows::Service, serial: Serial) -> Result<(), AppError> {
        nobody_expects(self.store(), serial, Some(service.id)).await?;
        let Some(onu) = service.onu_id else { return Ok(()) };
        let onu: rows::Onu = self.found(onu, "ONU").await?;
        if onu.serial == serial {
            return Ok(());
        }
        Err(AppError::Conflict(format!(
            "Service {} is on ONU {} ({}): another ONU comes by replacing that one, which takes the line along.",
            service.code, onu.serial, onu.pon
        )))
    }

    /// Ends a service for good. Its CPE is released: nothing more is sent to it, and it keeps what it has. Its ONU stays
    /// on the OLT until somebody takes it off. Ended twice, what the first time did not come to is done.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when it has ended already, was changed since `version`, or its ONU is being worked on.
    pub async fn terminate_service(
        &self,
        actor: &Actor,
        id: ServiceId,
        version: Option<i64>,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteServices)?;
        let service: rows::Service = self.found(id, "service").await?;
        let ended = service.state == ServiceState::Terminated;
        if ended && service.cpe_id.is_none() {
            return Err(AppError::Conflict(format!("Service {} has ended already.", service.code)));
        }
        if !ended {
            is_as_seen(&service, version)?;
            self.record_end(actor, &service).await?;
        }
        if ended {
            self.store().write(move |tx| Box::pin(Self::leave_word(tx, id))).await?;
        }
        // The end is recorded, whatever becomes of this: who could not be told now is told by whoever works.
        self.tell_wishes_now().await;
        if let Some(cpe) = service.cpe_id {
            self.bus().say(Change::Cpe(cpe));
        }
        self.bus().say(Change::Service(id));
        Ok(())
    }

    async fn record_end(&self, actor: &Actor, service: &rows::Service) -> Result<(), AppError> {
        let (id, from, version) = (service.id, service.state, service.version);
        let onu = match service.onu_id {
            Some(onu) => Some(self.found::<rows::Onu>(onu, "ONU").await?),
            None => None,
        };
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "service".into(),
            service_id: Some(id),
            customer_id: Some(service.customer_id),
            cpe_id: service.cpe_id,
            from_state: Some(from.as_str().into()),
            to_state: Some(ServiceState::Terminated.as_str().into()),
            code: "service_terminated".into(),
            text: format!("Service {} ended.", service.code),
            next_text: onu.map(|onu| {
                format!("ONU {} ({}) stays on its OLT until somebody removes it.", onu.serial, onu.pon)
            }),
            actor: actor.label(),
            facts: serde_json::json!({}),
            ..Default::default()
        };
        let state = |state: ServiceState, access: AccessState, login: Option<&str>| {
            let (state, access) = (state.as_str(), access.as_str());
            Some(serde_json::json!({ "state": state, "access": access, "pppoe_login": login }))
        };
        let audit = self.audit_row(
            actor,
            "service.terminate",
            &format!("service:{id}"),
            state(from, service.access_state, service.pppoe_login.as_deref()),
            state(ServiceState::Terminated, AccessState::Blocked, None),
        );
        let (now, why) = (self.now(), service.deny_reason.clone());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    // Who orders something for it holds its row: one of the two is seen by the other.
                    services::take(tx, id).await?;
                    nobody_is_at(tx, id).await?;
                    services::transition(tx, id, from, version, ServiceState::Terminated, now)
                        .await?
                        .or_overtaken("the service")?;
                    services::set_access(tx, id, version + 1, AccessState::Blocked, why.as_deref())
                        .await?
                        .or_overtaken("the service")?;
                    // The next service of this customer may have it; the audit log keeps whose it was.
                    let mut over: rows::Service = tx.require(id).await?;
                    over.pppoe_login = None;
                    tx.update(&over).await?.or_overtaken("the service")?;
                    Self::leave_word(tx, id).await?;
                    timeline::append(tx, &entry).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, AppError>(())
                })
            })
            .await
    }
}

/// Refuses while a task that is not over is about the ONU of this service.
async fn nobody_is_at(tx: &Tx, id: ServiceId) -> Result<(), AppError> {
    let open = tasks::unfinished(tx, 1_000).await?;
    match open.iter().find(|task| task.service_id == Some(id)) {
        Some(task) => Err(AppError::Conflict(format!(
            "The ONU {} of this service is being worked on right now (task {} of {}).",
            task.serial, task.id, task.actor
        ))),
        None => Ok(()),
    }
}

fn is_as_seen(service: &rows::Service, version: Option<i64>) -> Result<(), AppError> {
    if version.is_none_or(|version| version == service.version) {
        return Ok(());
    }
    Err(AppError::Conflict(format!(
        "Service {} was changed by somebody else since you looked at it. Nothing was saved; look again.",
        service.code
    )))
}
