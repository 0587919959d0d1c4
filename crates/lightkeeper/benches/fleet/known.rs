//! Devices that the database knows: the fleet that came up, and copies of one of it.

use super::drive::inform;
use crate::support::progress;
use app::App;
use serde_json::Value;
use std::net::{IpAddr, Ipv4Addr};
use store::{Presence, Slot, StoreError, onus, rows, services};
use types::{CpeId, OltId, PonPath, Secret, Serial, UtcMs};

/// Written in one unit of work.
const AT_ONCE: usize = 100;
/// Copies have numbers from here on: for their serial numbers, addresses and places.
const COPIES_FROM: usize = 100_000;

/// A device as it speaks.
pub(crate) struct Device {
    pub(crate) address: IpAddr,
    pub(crate) username: String,
    pub(crate) password: Secret,
    pub(crate) inform: Vec<u8>,
}

/// Where a device of this number speaks from.
pub(crate) fn address_of(number: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 20, 0, 10)) + u32::try_from(number).unwrap()))
}

/// The PON port and the ONU ID of a device of this number: 128 on a port, 16 ports on a board, 16 boards in a frame.
pub(crate) fn place_of(number: usize) -> (PonPath, i64) {
    let part = |number: usize| u8::try_from(number).unwrap();
    let (port, onu_id) = (number / 128, number % 128);
    let pon = PonPath { frame: part(port / 256), slot: part(port / 16 % 16), port: part(port % 16) };
    (pon, i64::try_from(onu_id).unwrap())
}

/// Every device that is ACTIVE and has a secret of its own.
pub(crate) async fn active_devices(app: &App) -> Vec<Device> {
    let mut devices = Vec::new();
    let mut after = 0;
    loop {
        let page = app.store().page::<rows::Cpe>(after, 500).await.unwrap();
        let Some(last) = page.last() else { return devices };
        after = last.id.0;
        for row in page.iter().filter(|row| row.state == "ACTIVE") {
            devices.extend(device(app, row).await);
        }
    }
}

async fn device(app: &App, row: &rows::Cpe) -> Option<Device> {
    let text = app.store().secret(Slot::CpeCredentials(row.id)).await.unwrap()?;
    let own: Value = serde_json::from_str(text.expose()).unwrap();
    let field = |name: &str| own[name].as_str().unwrap().to_owned();
    Some(Device {
        address: row.peer_address.parse().unwrap(),
        username: field("username"),
        password: Secret::new(field("password")),
        inform: inform(row).into_bytes(),
    })
}

/// So many of the `count` copies, from all over the table.
pub(crate) async fn sample(app: &App, count: usize, wanted: usize) -> Vec<Device> {
    let mut devices = Vec::new();
    // A step that shares nothing with the count, so that neighbours in time are none in the table.
    let step = 7_919;
    for nth in 0..wanted.min(count) {
        let serial = serial_of(COPIES_FROM + nth * step % count);
        let row = store::cpes::by_pon_serial(app.store(), serial).await.unwrap().remove(0);
        devices.extend(device(app, &row).await);
    }
    devices
}

fn serial_of(number: usize) -> Serial {
    format!("HWTC{:08X}", 0x1000_0000 + number).parse().unwrap()
}

/// What the copies are made from.
#[derive(Clone)]
struct Template {
    cpe: rows::Cpe,
    service: rows::Service,
    onu: rows::Onu,
    intents: Vec<(store::Layer, Secret, String)>,
    credentials: Value,
}

/// Copies one device of the fleet until there are so many copies.
pub(crate) async fn add_known(app: &App, count: usize) {
    let store = app.store();
    let template = template(app).await;
    let there = {
        let mut there = 0;
        while there < count
            && !store::cpes::by_pon_serial(store, serial_of(COPIES_FROM + there)).await.unwrap().is_empty()
        {
            there += AT_ONCE;
        }
        there
    };
    for first in (there..count).step_by(AT_ONCE) {
        let (template, now) = (template.clone(), app.now());
        store
            .write::<_, _, StoreError>(move |tx| {
                Box::pin(async move {
                    for number in first..first + AT_ONCE {
                        copy(tx, &template, COPIES_FROM + number, now).await?;
                    }
                    Ok(())
                })
            })
            .await
            .unwrap();
        progress(&format!("{} of {count} devices known", first + AT_ONCE));
    }
    eprintln!();
}

async fn template(app: &App) -> Template {
    let store = app.store();
    let page = store.page::<rows::Cpe>(0, 500).await.unwrap();
    let cpe = page.into_iter().find(|row| row.state == "ACTIVE").expect("one that came up");
    let service: rows::Service = store.require(cpe.service_id.expect("a service")).await.unwrap();
    let onu = onus::by_serial(store, cpe.pon_serial.unwrap()).await.unwrap().expect("its ONU");
    let intents = services::intents(store, service.id).await.unwrap();
    let credentials = store.secret(Slot::CpeCredentials(cpe.id)).await.unwrap().expect("credentials");
    Template {
        service,
        onu,
        intents: intents.into_iter().map(|one| (one.layer, one.body, one.hash)).collect(),
        credentials: serde_json::from_str(credentials.expose()).unwrap(),
        cpe,
    }
}

async fn copy(tx: &store::Tx, from: &Template, number: usize, now: UtcMs) -> Result<(), StoreError> {
    let (serial, address, (pon, onu_id)) = (serial_of(number), address_of(number), place_of(number));
    let mut service = rows::Service {
        code: format!("K-{number}"),
        pppoe_login: Some(format!("known-{number}@bench")),
        expected_serial: Some(serial),
        onu_id: None,
        cpe_id: None,
        version: 0,
        ..from.service.clone()
    };
    service.id = tx.insert(&service).await?;
    let olt: OltId = from.onu.olt_id;
    let onu = rows::Onu {
        service_id: Some(service.id),
        presence: Presence::InService,
        observed: from.onu.observed.clone(),
        observed_at: from.onu.observed_at,
        ..rows::Onu::planned(olt, pon, onu_id, serial, now)
    };
    let onu = tx.insert(&onu).await?;
    // Whatever names the old device names the new one.
    let told = from.cpe.pon_serial.unwrap();
    let renamed = |text: &str| {
        text.replace(&told.hex16(), &serial.hex16()).replace(&from.cpe.peer_address, &address.to_string())
    };
    let mut machine: Value = serde_json::from_str(&renamed(from.cpe.machine.as_str())).unwrap();
    rename_service(&mut machine, service.id.0);
    let username = format!("known-{number}");
    let cpe = rows::Cpe {
        serial_number: renamed(&from.cpe.serial_number),
        pon_serial: Some(serial),
        service_id: Some(service.id),
        machine: machine.into(),
        peer_address: address.to_string(),
        connection_request_url: from.cpe.connection_request_url.as_deref().map(renamed),
        auth_username: Some(username.clone()),
        version: 0,
        ..from.cpe.clone()
    };
    let cpe: CpeId = tx.insert(&cpe).await?;
    (service.onu_id, service.cpe_id) = (Some(onu), Some(cpe));
    tx.update(&service).await?.or_overtaken("the service")?;
    let mut credentials = from.credentials.clone();
    credentials["username"] = username.into();
    tx.put_secret(Slot::CpeCredentials(cpe), Some(&Secret::new(credentials.to_string()))).await?;
    for (layer, body, hash) in &from.intents {
        services::set_intent(tx, service.id, *layer, body, hash, "bench", now).await?;
    }
    Ok(())
}

fn rename_service(value: &mut Value, service: i64) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "service_id" && value.is_number() {
                    *value = service.into();
                } else {
                    rename_service(value, service);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename_service(item, service)),
        _ => {}
    }
}
