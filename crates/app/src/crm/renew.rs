//! Secrets of a service that somebody has to know: told once when they are made, and never read out of the database for
//! anybody again. Who has lost one has a new one made, and the router is told it like every other wish.

use super::{NewService, commands::GENERATED, record::LayerChange};
use crate::{Actor, App, AppError, Permission, secrets::random_secret};
use provisioning::{Intents, InternetIntent, InternetMode};
use types::{Secret, ServiceId};

/// What was generated for a service, for those who have to enter it elsewhere or tell the subscriber.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Generated {
    /// Login and password of PPPoE, for the BRAS.
    pub pppoe: Option<(String, Secret)>,
    /// Name and passphrase of the Wi-Fi, for the subscriber.
    pub wifi: Option<(String, Secret)>,
}

impl Generated {
    /// True if nothing was.
    pub fn is_empty(&self) -> bool {
        self.pppoe.is_none() && self.wifi.is_none()
    }

    /// Those of `intents` that nobody typed.
    pub(super) fn of(input: &NewService, intents: &Intents) -> Generated {
        let pppoe = match intents.internet.as_ref().map(|internet| &internet.mode) {
            Some(InternetMode::Pppoe { username, password }) if input.pppoe_password.is_none() => {
                Some((username.clone(), password.clone()))
            }
            _ => None,
        };
        let typed = input.wifi.as_ref().is_some_and(|wifi| wifi.passphrase.is_some());
        let wifi = intents.access.as_ref().and_then(|access| access.wifi.first()).filter(|_| !typed);
        Generated { pppoe, wifi: wifi.map(|wifi| (wifi.ssid.clone(), wifi.passphrase.clone())) }
    }
}

impl App {
    /// Makes a new PPPoE password for a service, tells it once, and lets the router have it.
    ///
    /// # Errors
    /// [`AppError::Conflict`] for a service without PPPoE, or one that has ended.
    pub async fn renew_pppoe_password(&self, actor: &Actor, id: ServiceId) -> Result<Generated, AppError> {
        actor.require(Permission::RenewSecrets)?;
        let service = self.open_service(id).await?;
        let old = self.intents_of(Some(id)).await?.unwrap_or_default().internet;
        let Some(InternetIntent { mode: InternetMode::Pppoe { username, .. }, .. }) = &old else {
            return Err(AppError::Conflict(format!("Service {} has no PPPoE login.", service.code)));
        };
        let (username, password) = (username.clone(), random_secret(GENERATED)?);
        let mode = InternetMode::Pppoe { username: username.clone(), password: password.clone() };
        let internet = old.map(|old| InternetIntent { mode, ..old });
        let change = LayerChange {
            action: "service.new_pppoe_password",
            layer: "PPPoE password",
            before: None,
            after: serde_json::json!({ "username": username, "password": "changed" }),
        };
        let intents = Intents { version: 0, internet, access: None };
        self.change_intents(actor, service, intents, change).await?;
        Ok(Generated { pppoe: Some((username, password)), wifi: None })
    }

    /// Makes a new Wi-Fi passphrase for a service, the same on every band, tells it once, and lets the router have it.
    ///
    /// # Errors
    /// [`AppError::Conflict`] for a service without Wi-Fi, or one that has ended.
    pub async fn renew_wifi_passphrase(&self, actor: &Actor, id: ServiceId) -> Result<Generated, AppError> {
        actor.require(Permission::RenewSecrets)?;
        let service = self.open_service(id).await?;
        let old = self.intents_of(Some(id)).await?.unwrap_or_default().access;
        let Some((ssid, old)) =
            old.and_then(|old| old.wifi.first().map(|wifi| wifi.ssid.clone()).map(|ssid| (ssid, old)))
        else {
            return Err(AppError::Conflict(format!("Service {} has no Wi-Fi of ours.", service.code)));
        };
        let passphrase = random_secret(GENERATED)?;
        let mut access = old;
        for wifi in &mut access.wifi {
            wifi.passphrase = passphrase.clone();
        }
        let change = LayerChange {
            action: "service.new_wifi_passphrase",
            layer: "Wi-Fi password",
            before: None,
            after: serde_json::json!({ "ssid": ssid, "passphrase": "changed" }),
        };
        let intents = Intents { version: 0, internet: None, access: Some(access) };
        self.change_intents(actor, service, intents, change).await?;
        Ok(Generated { pppoe: None, wifi: Some((ssid, passphrase)) })
    }
}
