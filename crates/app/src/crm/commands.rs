//! Commands on customers, plans and services.

use super::{
    AccessInput, InternetInput, LanInput, NewCustomer, NewPlan, Seen, VlanInput, WifiInput,
    input::port,
    record::{LayerChange, access_words, changed_secret, internet_words, plan_words},
    seen::Part,
};
use crate::{
    Actor, App, AppError, Change, Permission, auth::duplicate, error::Checks, oms::internet_port_of,
    secrets::random_secret,
};
use profiles::cpe::CpeProfile;
use provisioning::{
    AccessIntent, Band, Device, Intents, InternetIntent, InternetMode, Ipv6Mode, LanIntent, WifiIntent,
    WifiSecurity, access_gaps, internet_gaps,
};
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;
use store::{AccessState, Layer, ServiceState, StoreError, Tx, rows, services, timeline};
use types::{CustomerId, PlanId, Secret, ServiceId};

/// Characters of a generated PPPoE password or Wi-Fi passphrase.
pub(super) const GENERATED: usize = 14;

impl App {
    /// Changes a customer.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Invalid`].
    pub async fn update_customer(
        &self,
        actor: &Actor,
        id: CustomerId,
        input: NewCustomer,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteCustomers)?;
        input.check()?;
        let old: rows::Customer = self.found(id, "customer").await?;
        let before = serde_json::json!({ "name": old.name, "phone": old.phone, "email": old.email,
            "address": old.address, "note": old.note });
        let row = customer_row(old, &input);
        let audit =
            self.audit_row(actor, "customer.change", &format!("customer:{id}"), Some(before), json(&input));
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.update(&row).await?.or_overtaken("the customer")?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Customers);
        Ok(())
    }

    /// Puts a plan on sale.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when the name is taken.
    pub async fn create_plan(&self, actor: &Actor, input: NewPlan) -> Result<PlanId, AppError> {
        actor.require(Permission::WritePlans)?;
        input.check()?;
        let row = plan_row(rows::Plan { active: true, created_at: self.now(), ..Default::default() }, &input);
        let audit = self.audit_row(actor, "plan.create", "plan", None, json(&input));
        let taken = format!("There is a plan named {} already.", input.name);
        let id = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let id = tx.insert(&row).await?;
                    tx.insert(&rows::AuditEntry { subject: format!("plan:{id}"), ..audit }).await?;
                    Ok::<_, StoreError>(id)
                })
            })
            .await
            .map_err(|error| duplicate(error, taken))?;
        self.bus().say(Change::Customers);
        Ok(id)
    }

    /// Changes a plan. Services keep the intents they have; a changed plan is for what comes.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Conflict`] when the name is taken.
    pub async fn update_plan(
        &self,
        actor: &Actor,
        id: PlanId,
        input: NewPlan,
        active: bool,
    ) -> Result<(), AppError> {
        actor.require(Permission::WritePlans)?;
        input.check()?;
        let old: rows::Plan = self.found(id, "plan").await?;
        let before = plan_words(&old);
        let row = rows::Plan { active, ..plan_row(old, &input) };
        let after = plan_words(&row);
        let audit = self.audit_row(actor, "plan.change", &format!("plan:{id}"), Some(before), Some(after));
        let taken = format!("There is a plan named {} already.", input.name);
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.update(&row).await?.or_overtaken("the plan")?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .map_err(|error| duplicate(error, taken))?;
        self.bus().say(Change::Customers);
        Ok(())
    }

    /// Changes what the internet layer should be. Secrets that are not given stay as they are.
    ///
    /// # Errors
    /// [`AppError::Invalid`], [`AppError::Conflict`] for a terminated service.
    pub async fn set_internet(
        &self,
        actor: &Actor,
        id: ServiceId,
        input: InternetInput,
    ) -> Result<(), AppError> {
        self.set_internet_as_seen(actor, id, input, None).await
    }

    /// [`App::set_internet`], decided by what somebody saw of that layer.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when it is something else by now, and what.
    pub async fn set_internet_as_seen(
        &self,
        actor: &Actor,
        id: ServiceId,
        input: InternetInput,
        seen: Option<Seen>,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteServices)?;
        input.check()?;
        let mut service = self.open_service(id).await?;
        self.is_part_as_seen(&service, Part::Internet, seen.as_ref()).await?;
        self.not_management(&service, input.vlan.and_then(VlanInput::tag)).await?;
        let side = self.user_side(&service, input.vlan).await?;
        let old = self.intents_of(Some(id)).await?.unwrap_or_default().internet;
        let kept = match old.as_ref().map(|old| &old.mode) {
            Some(InternetMode::Pppoe { password, .. }) => Some(password.clone()),
            _ => None,
        };
        let mode = match input.mode.as_str() {
            "pppoe" => InternetMode::Pppoe {
                username: input.username.clone().unwrap_or_default(),
                password: match input.password.clone().or(kept) {
                    Some(password) => password,
                    None => {
                        return Err(AppError::invalid("password", "is missing and there is none to keep."));
                    }
                },
            },
            "bridge" => InternetMode::Bridge,
            "static" => match (&input.fixed, old.as_ref().map(|old| &old.mode)) {
                (Some(fixed), _) => InternetMode::Static {
                    address: fixed.address.clone(),
                    mask: fixed.mask.clone(),
                    gateway: fixed.gateway.clone(),
                    dns: fixed.dns.clone(),
                },
                (None, Some(kept @ InternetMode::Static { .. })) => kept.clone(),
                (None, _) => {
                    return Err(AppError::invalid("address", "is missing and there is none to keep."));
                }
            },
            _ => InternetMode::Dhcp,
        };
        service.pppoe_login = match &mode {
            InternetMode::Pppoe { username, .. } => Some(username.clone()),
            _ => None,
        };
        let is_bridge = matches!(mode, InternetMode::Bridge);
        let before = old.as_ref().map(internet_words);
        let was_bridge = old.as_ref().is_none_or(|old| matches!(old.mode, InternetMode::Bridge));
        let base = old.unwrap_or(InternetIntent {
            mode: InternetMode::Dhcp,
            vlan: None,
            priority: None,
            nat: true,
            ipv6: Ipv6Mode::Off,
            bind: Vec::new(),
            policy_routes: false,
            suspended: false,
            mtu: None,
        });
        let internet = InternetIntent {
            mode,
            vlan: side.unwrap_or(input.vlan.map_or(base.vlan, VlanInput::tag)),
            nat: !is_bridge && input.nat.unwrap_or(was_bridge || base.nat),
            ipv6: match input.ipv6 {
                Some(true) => Ipv6Mode::On,
                Some(false) => Ipv6Mode::Off,
                None => base.ipv6,
            },
            mtu: input.mtu.map_or(base.mtu, |mtu| Some(mtu).filter(|mtu| *mtu != 0)),
            bind: match &input.bind {
                Some(words) => {
                    let ports: BTreeSet<_> = words.iter().filter_map(|word| port(word)).collect();
                    ports.into_iter().collect()
                }
                None => base.bind.clone(),
            },
            policy_routes: input.policy_routes.unwrap_or(base.policy_routes),
            ..base
        };
        self.can_be_told(&service, |profile| internet_gaps(profile, &internet)).await?;
        let after = changed_secret(internet_words(&internet), "password", input.password.is_some());
        let intents = Intents { version: 0, internet: Some(internet), access: None };
        let change = LayerChange { action: "service.internet", layer: "Internet", before, after };
        self.change_intents(actor, service, intents, change).await
    }

    /// Changes what the access layer (Wi-Fi) should be. The WAN is not touched by it.
    ///
    /// # Errors
    /// As [`App::set_internet`].
    pub async fn set_access(&self, actor: &Actor, id: ServiceId, input: AccessInput) -> Result<(), AppError> {
        self.set_access_as_seen(actor, id, input, None).await
    }

    /// [`App::set_access`], decided by what somebody saw of the Wi-Fi.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when it is something else by now, and what.
    pub async fn set_access_as_seen(
        &self,
        actor: &Actor,
        id: ServiceId,
        input: AccessInput,
        seen: Option<Seen>,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteServices)?;
        input.check()?;
        let service = self.open_service(id).await?;
        self.is_part_as_seen(&service, Part::Wifi, seen.as_ref()).await?;
        let old = self.intents_of(Some(id)).await?.unwrap_or_default().access;
        if input.wifi.passphrase.is_none() && old.as_ref().is_none_or(|old| old.wifi.is_empty()) {
            // One that is made here would be told to nobody.
            return Err(AppError::invalid("passphrase", "is missing and there is none to keep."));
        }
        let access = access_intent(&input.wifi, old.as_ref())?;
        let before = old.as_ref().map(access_words);
        let after = changed_secret(access_words(&access), "passphrase", input.wifi.passphrase.is_some());
        let intents = Intents { version: 0, internet: None, access: Some(access) };
        let change = LayerChange { action: "service.access", layer: "Wi-Fi", before, after };
        self.change_intents(actor, service, intents, change).await
    }

    /// Changes what the LAN side should be: address of the router, and what it hands out. `None`: it is left as it is
    /// from now on.
    ///
    /// # Errors
    /// As [`App::set_internet`]; [`AppError::Conflict`] for a service whose router is no router.
    pub async fn set_lan(
        &self,
        actor: &Actor,
        id: ServiceId,
        input: Option<LanInput>,
    ) -> Result<(), AppError> {
        self.set_lan_as_seen(actor, id, input, None).await
    }

    /// [`App::set_lan`], decided by what somebody saw of the LAN.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when it is something else by now, and what.
    pub async fn set_lan_as_seen(
        &self,
        actor: &Actor,
        id: ServiceId,
        input: Option<LanInput>,
        seen: Option<Seen>,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteServices)?;
        if let Some(input) = &input {
            input.check()?;
        }
        let service = self.open_service(id).await?;
        self.is_part_as_seen(&service, Part::Lan, seen.as_ref()).await?;
        let intents = self.intents_of(Some(id)).await?.unwrap_or_default();
        if matches!(intents.internet.map(|internet| internet.mode), Some(InternetMode::Bridge)) {
            return Err(AppError::Conflict(format!(
                "Service {} is a bridge: the router behind it has the LAN.",
                service.code
            )));
        }
        let before = intents.access.as_ref().map(access_words);
        let lan = input.map(|input| LanIntent {
            address: input.address,
            mask: input.mask,
            dhcp: input.dhcp,
            dhcp_first: input.dhcp_first,
            dhcp_last: input.dhcp_last,
        });
        let access = AccessIntent { lan, ..intents.access.unwrap_or_default() };
        self.can_be_told(&service, |profile| access_gaps(profile, &access)).await?;
        let after = access_words(&access);
        let intents = Intents { version: 0, internet: None, access: Some(access) };
        let change = LayerChange { action: "service.lan", layer: "LAN", before, after };
        self.change_intents(actor, service, intents, change).await
    }

    /// Refuses what the family of the router that a service has now cannot be told. A router that is not known yet says
    /// it for itself when it comes.
    async fn can_be_told(
        &self,
        service: &rows::Service,
        gaps: impl FnOnce(&CpeProfile) -> Vec<(&'static str, String)>,
    ) -> Result<(), AppError> {
        let Some(cpe) = service.cpe_id else { return Ok(()) };
        let Some(row) = self.store().get::<rows::Cpe>(cpe).await? else { return Ok(()) };
        let device: Option<Device> = row.machine.read().ok();
        let profiles = self.profiles();
        let Some(profile) =
            device.and_then(|device| device.profile).and_then(|chosen| profiles.get(&chosen.id).cloned())
        else {
            return Ok(());
        };
        let mut checks = Checks::default();
        for (field, what) in gaps(&profile) {
            checks.wrong(
                field,
                format!(
                    "the router of this service ({}, {}) has no setting for {what}.",
                    row.model, profile.title
                ),
            );
        }
        checks.done()
    }

    /// Stops a service for a while: the WAN is disabled, its routes are cleared, nothing is deleted.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when it is suspended or terminated already.
    pub async fn suspend_service(
        &self,
        actor: &Actor,
        id: ServiceId,
        deny_reason: &str,
    ) -> Result<(), AppError> {
        let reasons = ["unpaid", "customer_request", "abuse", "technical"];
        if !reasons.contains(&deny_reason) {
            return Err(AppError::invalid(
                "reason",
                format!("{deny_reason:?} is none of {}.", reasons.join(", ")),
            ));
        }
        self.set_suspended(actor, id, true, Some(deny_reason)).await
    }

    /// Lets a suspended service run again: one write on the device.
    ///
    /// # Errors
    /// [`AppError::Conflict`] when it is not suspended.
    pub async fn resume_service(&self, actor: &Actor, id: ServiceId) -> Result<(), AppError> {
        self.set_suspended(actor, id, false, None).await
    }

    async fn set_suspended(
        &self,
        actor: &Actor,
        id: ServiceId,
        suspend: bool,
        why: Option<&str>,
    ) -> Result<(), AppError> {
        actor.require(Permission::WriteServices)?;
        let service = self.open_service(id).await?;
        let (from, to) = match (service.state, suspend) {
            (ServiceState::Suspended, true) => {
                return Err(AppError::Conflict(format!("Service {} is suspended already.", service.code)));
            }
            (ServiceState::Suspended, false) => {
                // What was in use once may have another router since; only that one's own proof counts.
                let device: Option<rows::Cpe> = match service.cpe_id {
                    Some(cpe) => self.store().get(cpe).await?,
                    None => None,
                };
                let proved =
                    device.is_some_and(|device| device.state == provisioning::State::Active.as_str());
                let built = service.onu_id.is_some() || service.cpe_id.is_some();
                let back = match (proved, built) {
                    (true, _) => ServiceState::Active,
                    (false, true) => ServiceState::Inactive,
                    (false, false) => ServiceState::Reserved,
                };
                (ServiceState::Suspended, back)
            }
            (from, true) => (from, ServiceState::Suspended),
            (state, false) => {
                return Err(AppError::Conflict(format!(
                    "Service {} is {state}, not suspended.",
                    service.code
                )));
            }
        };
        let old = self.intents_of(Some(id)).await?.unwrap_or_default().internet;
        let intents = Intents {
            version: 0,
            internet: old.map(|internet| InternetIntent { suspended: suspend, ..internet }),
            access: None,
        };
        let access = if suspend { AccessState::Blocked } else { AccessState::Allowed };
        let (text, code) = if suspend {
            (
                format!("Service {} suspended ({}).", service.code, why.unwrap_or("no reason given")),
                "service_suspended",
            )
        } else {
            (format!("Service {} resumed.", service.code), "service_resumed")
        };
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "service".into(),
            service_id: Some(id),
            customer_id: Some(service.customer_id),
            cpe_id: service.cpe_id,
            from_state: Some(from.as_str().into()),
            to_state: Some(to.as_str().into()),
            severity: store::Severity::Info,
            code: code.into(),
            text,
            next_text: Some(
                "The router is told in its next session; until it is read back this is a wish.".into(),
            ),
            actor: actor.label(),
            facts: serde_json::json!({}),
            ..Default::default()
        };
        let audit = self.audit_row(
            actor,
            code,
            &format!("service:{id}"),
            Some(serde_json::json!({ "state": from.as_str(), "access": service.access_state.as_str(),
                "reason": service.deny_reason })),
            Some(serde_json::json!({ "state": to.as_str(), "access": access.as_str(), "reason": why })),
        );
        let (app, label, why) = (self.clone(), actor.label(), why.map(str::to_owned));
        let version = service.version;
        let now = self.now();
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    services::transition(tx, id, from, version, to, now)
                        .await?
                        .or_overtaken("the service")?;
                    services::set_access(tx, id, version + 1, access, why.as_deref())
                        .await?
                        .or_overtaken("the service")?;
                    app.put_intents(tx, id, &intents, &label).await?;
                    timeline::append(tx, &entry).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(Change::Service(id));
        self.tell_wishes_now().await;
        Ok(())
    }

    /// The VLAN of CWMP reaches the router too: a customer's traffic must never be put on it.
    async fn not_management(&self, service: &rows::Service, vlan: Option<u16>) -> Result<(), AppError> {
        let (Some(vlan), Some(onu)) = (vlan, service.onu_id) else { return Ok(()) };
        let onu: rows::Onu = self.found(onu, "ONU").await?;
        let olt: rows::Olt = self.found(onu.olt_id, "OLT").await?;
        if olt.defaults["management_vlan"] == serde_json::json!(vlan) {
            let text = format!(
                "{vlan} is the management VLAN of {}; a customer's traffic never goes there.",
                olt.name
            );
            return Err(AppError::invalid("vlan", text));
        }
        Ok(())
    }

    /// What the service port of this service's ONU takes from the router: its VLAN, or nothing for untagged frames. None
    /// if no ONU of ours carries the service.
    ///
    /// # Errors
    /// [`AppError::Invalid`] when `wanted` is another VLAN, or none: one of the two would be deaf for the other.
    async fn user_side(
        &self,
        service: &rows::Service,
        wanted: Option<VlanInput>,
    ) -> Result<Option<Option<u16>>, AppError> {
        let Some(onu) = service.onu_id else { return Ok(None) };
        let onu: rows::Onu = self.found(onu, "ONU").await?;
        let Some(port) = internet_port_of(&onu) else { return Ok(None) };
        if let Some(wanted) = wanted
            && port.user_vlan != wanted.tag()
        {
            let olt: rows::Olt = self.found(onu.olt_id, "OLT").await?;
            let takes = match port.user_vlan {
                Some(vlan) => format!("VLAN {vlan}"),
                None => format!("untagged frames (the OLT puts them into VLAN {})", port.vlan),
            };
            let (wish, with) = match wanted.tag() {
                Some(vlan) => (vlan.to_string(), format!("VLAN {vlan}")),
                None => ("No VLAN".to_owned(), "an untagged customer side".to_owned()),
            };
            return Err(AppError::invalid(
                "vlan",
                format!(
                    "{wish} contradicts the OLT: the service port of {} {} ONU {} takes {takes} from the router. \
                     Remove the ONU and authorise it with {with}, or leave the VLAN as it is.",
                    olt.name, onu.pon, onu.onu_id
                ),
            ));
        }
        Ok(Some(port.user_vlan))
    }

    /// Writes into the Internet intent what the service port takes from the router, in the unit that records the
    /// authorisation. Gives back the CPE that is there already and has to hear of it.
    pub(crate) async fn agree_on_vlan(
        &self,
        tx: &Tx,
        id: ServiceId,
        user_vlan: Option<u16>,
        actor: &str,
    ) -> Result<Option<types::CpeId>, AppError> {
        let side = user_vlan.map_or_else(|| "no VLAN tag".to_owned(), |vlan| format!("VLAN {vlan}"));
        let text = format!("uses {side} now, as its service port on the OLT does.");
        self.set_vlan(tx, id, user_vlan, actor, &text).await
    }

    /// Leaves in the Internet intent what is the service's own when its ONU has gone: a VLAN that somebody chose, or
    /// none, so that the OLT of the next ONU gives its default.
    pub(crate) async fn vlan_without_onu(
        &self,
        tx: &Tx,
        id: ServiceId,
        vlan: Option<u16>,
        actor: &str,
    ) -> Result<(), AppError> {
        let text = match vlan {
            Some(vlan) => format!("keeps VLAN {vlan} for its next ONU."),
            None => "takes its VLAN from the OLT of its next ONU.".to_owned(),
        };
        self.set_vlan(tx, id, vlan, actor, &text).await.map(|_| ())
    }

    async fn set_vlan(
        &self,
        tx: &Tx,
        id: ServiceId,
        vlan: Option<u16>,
        actor: &str,
        text: &str,
    ) -> Result<Option<types::CpeId>, AppError> {
        let intents = App::intents_in(tx, id).await?.unwrap_or_default();
        let Some(internet) = intents.internet.filter(|internet| internet.vlan != vlan) else {
            return Ok(None);
        };
        let internet = Some(InternetIntent { vlan, ..internet });
        self.put_intents(tx, id, &Intents { version: 0, internet, access: None }, actor).await?;
        let service: rows::Service = tx.require(id).await?;
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "intent".into(),
            service_id: Some(id),
            cpe_id: service.cpe_id,
            customer_id: Some(service.customer_id),
            code: "intent_changed".into(),
            text: format!("Internet of service {} {text}", service.code),
            actor: actor.to_owned(),
            facts: serde_json::json!({ "vlan": vlan }),
            ..Default::default()
        };
        timeline::append(tx, &entry).await?;
        Ok(service.cpe_id)
    }

    pub(super) async fn open_service(&self, id: ServiceId) -> Result<rows::Service, AppError> {
        let service: rows::Service = self.found(id, "service").await?;
        if service.state == ServiceState::Terminated {
            return Err(AppError::Conflict(format!(
                "Service {} is terminated; it can no longer be changed.",
                service.code
            )));
        }
        Ok(service)
    }

    pub(super) async fn change_intents(
        &self,
        actor: &Actor,
        service: rows::Service,
        intents: Intents,
        change: LayerChange,
    ) -> Result<(), AppError> {
        let id = service.id;
        let LayerChange { action, layer, before, after } = change;
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "intent".into(),
            service_id: Some(id),
            cpe_id: service.cpe_id,
            customer_id: Some(service.customer_id),
            severity: store::Severity::Info,
            code: "intent_changed".into(),
            text: format!("{layer} of service {} changed; not confirmed by the router yet.", service.code),
            actor: actor.label(),
            facts: serde_json::json!({}),
            ..Default::default()
        };
        let audit = self.audit_row(actor, action, &format!("service:{id}"), before, Some(after));
        let (app, label) = (self.clone(), actor.label());
        let taken =
            format!("The PPPoE login {} is taken.", service.pppoe_login.as_deref().unwrap_or_default());
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.update(&service).await?.or_overtaken("the service")?;
                    app.put_intents(tx, id, &intents, &label).await?;
                    timeline::append(tx, &entry).await?;
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await
            .map_err(|error| duplicate(error, taken))?;
        self.bus().say(Change::Service(id));
        self.tell_wishes_now().await;
        Ok(())
    }

    /// Stores the layers that are given, and leaves word for the device.
    pub(super) async fn put_intents(
        &self,
        tx: &Tx,
        id: ServiceId,
        intents: &Intents,
        actor: &str,
    ) -> Result<(), StoreError> {
        let now = self.now();
        if let Some(internet) = &intents.internet {
            let hash =
                intents.layer_hash(provisioning::Layer::Internet, self.fingerprint_key()).unwrap_or_default();
            services::set_intent(tx, id, Layer::Internet, &body(internet), &hash, actor, now).await?;
        }
        if let Some(access) = &intents.access {
            let hash =
                intents.layer_hash(provisioning::Layer::Access, self.fingerprint_key()).unwrap_or_default();
            services::set_intent(tx, id, Layer::Access, &body(access), &hash, actor, now).await?;
        }
        App::leave_word(tx, id).await
    }
}

/// Refuses a plan that new services cannot have.
pub(crate) fn is_sold(plan: &rows::Plan) -> Result<(), AppError> {
    if plan.active {
        return Ok(());
    }
    Err(AppError::Conflict(format!("The plan {} is no longer sold; choose another.", plan.name)))
}

/// The VLAN that a service of this plan begins with.
pub(crate) fn vlan_of(plan: &rows::Plan) -> Option<u16> {
    plan.vlan.and_then(|vlan| u16::try_from(vlan).ok())
}

/// Every band gets the same name and passphrase, so that phones roam; a model without 5 GHz ignores it.
pub(super) fn access_intent(wifi: &WifiInput, old: Option<&AccessIntent>) -> Result<AccessIntent, AppError> {
    let kept = old.and_then(|old| old.wifi.first()).map(|wifi| wifi.passphrase.clone());
    let passphrase = match wifi.passphrase.clone().or(kept) {
        Some(passphrase) => passphrase,
        None => random_secret(GENERATED)?,
    };
    let network = |band| WifiIntent {
        band,
        enabled: wifi.enabled,
        ssid: wifi.ssid.clone(),
        passphrase: passphrase.clone(),
        security: WifiSecurity::Wpa2,
    };
    Ok(AccessIntent {
        wifi: [Band::Ghz2_4, Band::Ghz5].map(network).to_vec(),
        lan: old.and_then(|old| old.lan.clone()),
    })
}

fn body<T: Serialize + DeserializeOwned>(intent: &T) -> Secret {
    // Plain structs of texts and numbers always serialise.
    Secret::new(serde_json::to_string(intent).unwrap_or_default())
}

/// For the audit log: inputs skip their secrets when they are serialised.
pub(super) fn json(input: &impl Serialize) -> Option<serde_json::Value> {
    serde_json::to_value(input).ok()
}

pub(super) fn customer_row(old: rows::Customer, input: &NewCustomer) -> rows::Customer {
    rows::Customer {
        name: input.name.trim().to_owned(),
        phone: input.phone.trim().to_owned(),
        email: input.email.trim().to_owned(),
        address: input.address.trim().to_owned(),
        note: input.note.clone(),
        ..old
    }
}

fn plan_row(old: rows::Plan, input: &NewPlan) -> rows::Plan {
    rows::Plan {
        name: input.name.trim().to_owned(),
        down_kbps: input.down_kbps,
        up_kbps: input.up_kbps,
        price_minor: input.price_minor,
        currency: input.currency.code().to_owned(),
        internet_mode: input.internet_mode.clone(),
        vlan: input.vlan.map(i64::from),
        ..old
    }
}
