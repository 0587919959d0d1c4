//! Taking over what another system knows of devices. Nothing is told to a device, and nobody is believed by it: an imported
//! device proves itself at its first Inform like any other.

mod documents;
pub mod genieacs;

pub use documents::{Documents, MAX_DOCUMENT};

use crate::{Actor, App, AppError, Permission, cpe::tag_of};
use genieacs::Imported;
use provisioning::Device;
use serde_json::json;
use std::collections::BTreeSet;
use store::{StoreError, cpes, rows, tags};
use types::CpeId;

/// Whose word an imported value is.
pub const SOURCE: &str = "GenieACS import";

/// What was taken over, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Devices that were not known.
    pub new: u64,
    /// Devices that were known; what we know better of them was left.
    pub known: u64,
    /// Tags that were put on.
    pub tags: u64,
    /// Tags that cannot be kept: too long, or too many on one device.
    pub tags_left: u64,
    /// Parameters that were unknown or older.
    pub parameters: u64,
    /// Parameters that hold a secret by their name; none of them is kept.
    pub secrets_left: u64,
    /// Connections to the internet that somebody had configured, by their paths.
    pub wans: u64,
}

impl Taken {
    /// Counts `other` in.
    pub fn add(&mut self, other: &Taken) {
        self.new += other.new;
        self.known += other.known;
        self.tags += other.tags;
        self.tags_left += other.tags_left;
        self.parameters += other.parameters;
        self.secrets_left += other.secrets_left;
        self.wans += other.wans;
    }
}

impl App {
    /// Takes over devices with their tags and parameters, all of them or none. What is there already is left or, where the
    /// imported value is newer, replaced; so it can be done again. With `dry_run` nothing is written.
    ///
    /// # Errors
    /// [`AppError::Forbidden`], and when the database cannot be written.
    pub async fn take_over(
        &self,
        actor: &Actor,
        devices: Vec<Imported>,
        dry_run: bool,
    ) -> Result<Taken, AppError> {
        actor.require(Permission::WriteSettings)?;
        let mut taken = Taken::default();
        if dry_run {
            for device in devices {
                let known = self.known(&device).await?;
                taken.add(&would(&device, known.is_some()));
            }
            return Ok(taken);
        }
        let (now, label) = (self.now(), actor.label());
        let written = self.store().write::<_, _, StoreError>(move |tx| {
            let (devices, label) = (devices.clone(), label.clone());
            Box::pin(async move {
                let mut taken = Taken::default();
                for device in &devices {
                    taken.add(&take(tx, device, now, &label).await?);
                }
                Ok(taken)
            })
        });
        Ok(written.await?)
    }

    async fn known(&self, device: &Imported) -> Result<Option<rows::Cpe>, AppError> {
        Ok(cpes::by_identity(self.store(), &device.oui, &device.product_class, &device.serial_number).await?)
    }
}

fn would(device: &Imported, known: bool) -> Taken {
    let (tags, tags_left) = kept_tags(device);
    Taken {
        new: u64::from(!known),
        known: u64::from(known),
        tags: tags.len() as u64,
        tags_left,
        parameters: device.parameters.len() as u64,
        secrets_left: device.secrets_left,
        wans: device.wans.len() as u64,
    }
}

fn kept_tags(device: &Imported) -> (BTreeSet<String>, u64) {
    let good: BTreeSet<String> = device.tags.iter().filter_map(|tag| tag_of(tag).ok()).collect();
    let most = usize::try_from(tags::MOST_TAGS).unwrap_or(usize::MAX);
    let kept: BTreeSet<String> = good.into_iter().take(most).collect();
    let left = device.tags.len().saturating_sub(kept.len()) as u64;
    (kept, left)
}

async fn take(
    tx: &store::Tx,
    device: &Imported,
    now: types::UtcMs,
    label: &str,
) -> Result<Taken, StoreError> {
    let found = cpes::by_identity(tx, &device.oui, &device.product_class, &device.serial_number).await?;
    let known = found.is_some();
    let cpe = match found {
        Some(row) => row.id,
        None => tx.insert(&row_of(device, now)).await?,
    };
    let mut taken = Taken {
        new: u64::from(!known),
        known: u64::from(known),
        secrets_left: device.secrets_left,
        wans: device.wans.len() as u64,
        ..Taken::default()
    };
    let (kept, left) = kept_tags(device);
    taken.tags_left = left;
    let has = tags::of(tx, cpe).await?;
    let room = usize::try_from(tags::MOST_TAGS).unwrap_or(usize::MAX).saturating_sub(has.len());
    let missing: Vec<String> = kept.into_iter().filter(|tag| !has.contains(tag)).collect();
    taken.tags_left += missing.len().saturating_sub(room) as u64;
    for tag in missing.into_iter().take(room) {
        let row = rows::CpeTag { cpe_id: cpe, tag, set_by: SOURCE.to_owned(), set_at: now };
        taken.tags += u64::from(tags::add(tx, &row).await?);
    }
    let parameters: Vec<rows::CpeParameter> = device
        .parameters
        .iter()
        .map(|parameter| rows::CpeParameter {
            cpe_id: cpe,
            path: parameter.path.clone(),
            value: parameter.value.clone(),
            kind: parameter.kind.clone(),
            writable: parameter.writable,
            read_at: parameter.at.unwrap_or(device.last_inform.unwrap_or(now)).min(now),
            source: SOURCE.to_owned(),
        })
        .collect();
    taken.parameters = cpes::put_older_parameters(tx, cpe, &parameters).await?;
    if !known {
        tx.insert(&line(device, cpe, now, label)).await?;
    }
    Ok(taken)
}

/// A device that has never spoken to us; whom it belongs to is found when it does.
fn row_of(device: &Imported, now: types::UtcMs) -> rows::Cpe {
    rows::Cpe {
        oui: device.oui.clone(),
        product_class: device.product_class.clone(),
        serial_number: device.serial_number.clone(),
        claimed_serial: device.serial_number.parse().ok(),
        manufacturer: device.manufacturer.clone(),
        model: device.model.clone(),
        hardware_version: device.hardware_version.clone(),
        software_version: device.software_version.clone(),
        data_model: device.data_model.to_owned(),
        state: Device::new(now).state().as_str().to_owned(),
        state_since: now,
        created_at: now,
        version: 1,
        ..rows::Cpe::default()
    }
}

fn line(device: &Imported, cpe: CpeId, now: types::UtcMs, label: &str) -> rows::TimelineEntry {
    let heard =
        device.last_inform.map(|at| format!(", which heard from it last at {at}")).unwrap_or_default();
    let wans = match device.wans.len() {
        0 => String::new(),
        1 => format!(" It had set up {}.", device.wans[0]),
        many => format!(" It had set up {many} connections."),
    };
    rows::TimelineEntry {
        at: now,
        kind: "report".into(),
        cpe_id: Some(cpe),
        code: "imported".into(),
        text: format!("Taken over from GenieACS{heard}.{wans} It has not spoken to Lightkeeper yet."),
        actor: label.to_owned(),
        facts: json!({
            "last_inform": device.last_inform.map(|at| at.to_string()),
            "wans": device.wans,
            "source": SOURCE,
        }),
        ..rows::TimelineEntry::default()
    }
}
