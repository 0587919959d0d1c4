//! Firmware files: uploaded by a person or a program for the CPEs of one model, kept with their checksum, and deleted on
//! somebody's word only. Nothing here sends one to a device.

use crate::{Actor, App, AppError, Permission, error::Checks};
use sha2::{Digest, Sha256};
use std::{sync::Arc, time::Duration};
use store::{
    StoreError,
    firmware_files::{self, ALL_TOGETHER, Begun, LARGEST, MOST_AT_ONCE, PART, Put},
    rows,
};
use types::FirmwareFileId;

/// Bytes of the largest firmware file.
pub const LARGEST_FIRMWARE: u64 = LARGEST;
/// An upload takes no longer, seconds.
pub const FIRMWARE_WITHIN_S: u64 = firmware_files::UPLOAD_WITHIN.as_secs();

/// What a firmware file is for, and what it is.
#[derive(Debug, Clone, Default)]
pub struct NewFirmware {
    /// Its name; CPEs find it at the end of the address that they fetch it from.
    pub name: String,
    /// Only for CPEs whose maker calls itself so; may be empty if there is an OUI.
    pub manufacturer: String,
    /// Only for CPEs with this OUI, six hex digits; may be empty if there is a maker.
    pub oui: String,
    /// Only for CPEs with this product class.
    pub product_class: String,
    /// Only for CPEs with this hardware version; may be empty.
    pub hardware_version: String,
    /// The version that a CPE tells of itself after it was installed.
    pub software_version: String,
    /// SHA-256 that the content must have, hexadecimal; may be empty.
    pub sha256: String,
    /// For colleagues; may be empty.
    pub note: String,
}

/// A name that is the same in every address and on every disk: letters, digits, `.`, `-` and `_`; the last part of a path.
fn safe_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last
        .trim()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' })
        .collect();
    name.trim_start_matches('.').to_owned()
}

impl NewFirmware {
    fn checked(self) -> Result<NewFirmware, AppError> {
        let trimmed = |text: String| text.trim().to_owned();
        let new = NewFirmware {
            name: safe_name(&self.name),
            manufacturer: trimmed(self.manufacturer),
            oui: trimmed(self.oui).to_ascii_uppercase(),
            product_class: trimmed(self.product_class),
            hardware_version: trimmed(self.hardware_version),
            software_version: trimmed(self.software_version),
            sha256: trimmed(self.sha256).to_ascii_lowercase(),
            note: trimmed(self.note),
        };
        let hex =
            |text: &str, digits: usize| text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
        let mut checks = Checks::default();
        checks.text("name", &new.name, 100);
        checks.text("product_class", &new.product_class, 64);
        checks.text("software_version", &new.software_version, 64);
        checks.optional("manufacturer", &new.manufacturer, 64);
        checks.optional("hardware_version", &new.hardware_version, 64);
        checks.optional("note", &new.note, 500);
        if new.manufacturer.is_empty() && new.oui.is_empty() {
            checks.wrong(
                "manufacturer",
                "is empty. Say who makes this model, here or by its OUI: other makers use the same product classes, and \
                 firmware of another maker can destroy a CPE.",
            );
        }
        if !new.oui.is_empty() && !hex(&new.oui, 6) {
            checks.wrong("oui", "is not six hexadecimal digits, as in 00259E.");
        }
        if !new.sha256.is_empty() && !hex(&new.sha256, 64) {
            checks.wrong("sha256", "is not a SHA-256: 64 hexadecimal digits.");
        }
        checks.done()?;
        Ok(new)
    }
}

/// For a CPE that says this of itself. What a file does not name is not asked.
pub fn firmware_fits(file: &rows::FirmwareFile, cpe: &rows::Cpe) -> bool {
    let fits = |wanted: &str, told: &str| wanted.is_empty() || wanted.eq_ignore_ascii_case(told.trim());
    let names_a_maker = !file.manufacturer.is_empty() || !file.oui.is_empty();
    names_a_maker
        && !file.product_class.is_empty()
        && fits(&file.product_class, &cpe.product_class)
        && fits(&file.manufacturer, &cpe.manufacturer)
        && fits(&file.oui, &cpe.oui)
        && fits(&file.hardware_version, &cpe.hardware_version)
}

/// An upload under way. One that is dropped leaves nothing.
pub struct FirmwareUpload {
    app: App,
    actor: Actor,
    new: NewFirmware,
    id: FirmwareFileId,
    hash: Sha256,
    rest: Vec<u8>,
    parts: i64,
    size: u64,
    over: bool,
}

impl std::fmt::Debug for FirmwareUpload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FirmwareUpload({}, {} bytes)", self.id, self.size)
    }
}

/// Waits between the tries to give up an upload that ended early; together less than it takes to be given up anyway.
const GIVEN_UP_AFTER: [Duration; 8] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(180),
    Duration::from_secs(300),
    Duration::from_secs(600),
];

/// Parts between two looks at the disk.
const LOOK_EVERY: i64 = 16;

fn no_room() -> AppError {
    AppError::Conflict(format!(
        "The firmware files are {} GiB together, with those that are uploaded now, which is the most. Nothing of this one \
         was kept; delete some that nobody needs first.",
        ALL_TOGETHER >> 30
    ))
}

fn no_reserve() -> AppError {
    AppError::Unavailable(
        "This file would leave too little room on the disk where the database lies, and without room nothing works any \
         more; nothing of it was kept. Make room on that disk, or delete firmware files that nobody needs, and upload it \
         again."
            .to_owned(),
    )
}

/// The disk is the operator's to look after, so that is said in words of its own.
fn not_kept(error: StoreError) -> AppError {
    match error {
        StoreError::Full { .. } => AppError::Unavailable(
            "There is no room left for this file where the database lies; nothing of it was kept. Make room on that \
             disk, or delete firmware files that nobody needs, and upload it again."
                .to_owned(),
        ),
        other => other.into(),
    }
}

impl App {
    /// Begins an upload; nothing is found of it before [`FirmwareUpload::finish`].
    ///
    /// # Errors
    /// [`AppError::Forbidden`], [`AppError::Invalid`] for what the file is said to be, [`AppError::Conflict`] when too many
    /// are uploaded at this moment or there is no room for more.
    pub async fn upload_firmware(&self, actor: &Actor, new: NewFirmware) -> Result<FirmwareUpload, AppError> {
        actor.require(Permission::ManageFirmware)?;
        let new = new.checked()?;
        if self.store().room_for_files().await == Some(0) {
            return Err(no_reserve());
        }
        // Uploads of processes that do not say that they run are given up.
        self.join().await?;
        let row = rows::FirmwareFile {
            name: new.name.clone(),
            manufacturer: new.manufacturer.clone(),
            oui: new.oui.clone(),
            product_class: new.product_class.clone(),
            hardware_version: new.hardware_version.clone(),
            software_version: new.software_version.clone(),
            note: new.note.clone(),
            uploaded_by: actor.label(),
            uploaded_at: self.now(),
            process: self.process().to_owned(),
            ..Default::default()
        };
        let begun = self
            .store()
            .write(move |tx| Box::pin(async move { firmware_files::begin(tx, row).await }))
            .await
            .map_err(not_kept)?;
        match begun {
            Begun::As(id) => Ok(FirmwareUpload {
                app: self.clone(),
                actor: actor.clone(),
                new,
                id,
                hash: Sha256::new(),
                rest: Vec::new(),
                parts: 0,
                size: 0,
                over: false,
            }),
            Begun::TooMany => Err(AppError::Conflict(format!(
                "{MOST_AT_ONCE} firmware files are being uploaded already; try again when one of them is done."
            ))),
            Begun::NoRoom => Err(no_room()),
        }
    }

    /// Deletes a firmware file; what it was stays in the audit log.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`].
    pub async fn delete_firmware(
        &self,
        actor: &Actor,
        id: FirmwareFileId,
    ) -> Result<rows::FirmwareFile, AppError> {
        actor.require(Permission::ManageFirmware)?;
        let gone = || AppError::NotFound(format!("There is no firmware file {id}, or not any more."));
        let row = firmware_files::ready(self.store(), id).await?.ok_or_else(gone)?;
        let subject = format!("firmware:{id}");
        let audit = self.audit_row(actor, "firmware.delete", &subject, Some(described(&row)), None);
        let removed = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let removed = firmware_files::remove(tx, id).await?;
                    if removed {
                        tx.insert(&audit).await?;
                    }
                    Ok::<_, StoreError>(removed)
                })
            })
            .await?;
        if !removed {
            return Err(gone());
        }
        self.sweep_firmware().await;
        Ok(row)
    }

    /// What is left of files that nobody finds any more. A failure here costs room and nothing else, and is made good by
    /// the next sweep of everything.
    async fn sweep_firmware(&self) {
        let now = self.now();
        loop {
            let gone = self
                .store()
                .write(move |tx| Box::pin(async move { firmware_files::sweep(tx, now).await }))
                .await;
            match gone {
                Ok(0) => return,
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(%error, "parts of deleted firmware files are still there; they go later");
                    return;
                }
            }
        }
    }
}

/// What a file is, for the audit log.
fn described(row: &rows::FirmwareFile) -> serde_json::Value {
    serde_json::json!({
        "name": row.name,
        "manufacturer": row.manufacturer,
        "oui": row.oui,
        "product_class": row.product_class,
        "hardware_version": row.hardware_version,
        "software_version": row.software_version,
        "size": row.size,
        "sha256": row.sha256,
        "note": row.note,
    })
}

impl FirmwareUpload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`AppError::Invalid`] when the file is too large, [`AppError::Unavailable`] when there is no room for it.
    pub async fn put(&mut self, mut bytes: &[u8]) -> Result<(), AppError> {
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size > LARGEST {
            return Err(AppError::invalid(
                "file",
                format!("is larger than {} MiB, which is the most; nothing of it was kept.", LARGEST >> 20),
            ));
        }
        self.hash.update(bytes);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PART - self.rest.len()));
            self.rest.extend_from_slice(now);
            bytes = later;
            if self.rest.len() == PART {
                if self.parts % LOOK_EVERY == 0 && self.app.store().room_for_files().await == Some(0) {
                    return Err(no_reserve());
                }
                let body = Arc::new(std::mem::take(&mut self.rest));
                let (id, number) = (self.id, self.parts);
                self.parts += 1;
                let put = self
                    .app
                    .store()
                    .write(move |tx| {
                        Box::pin(async move { firmware_files::put(tx, id, number, body.to_vec()).await })
                    })
                    .await
                    .map_err(not_kept)?;
                if put == Put::NoRoom {
                    return Err(no_room());
                }
            }
        }
        Ok(())
    }

    /// All bytes are there: the file is kept, with its checksum.
    ///
    /// # Errors
    /// [`AppError::Invalid`] when it is empty or not what its checksum says, [`AppError::Conflict`] when it is there
    /// already, [`AppError::Unavailable`] when there is no room for it. Nothing is kept then.
    pub async fn finish(mut self) -> Result<rows::FirmwareFile, AppError> {
        if self.size == 0 {
            return Err(AppError::invalid("file", "is empty; choose the firmware file."));
        }
        let sha256 = hex::encode(self.hash.clone().finalize());
        if !self.new.sha256.is_empty() && self.new.sha256 != sha256 {
            return Err(AppError::invalid(
                "sha256",
                format!(
                    "is not that of the file, whose SHA-256 is {sha256}: the file is another one, or was damaged on its \
                     way. Nothing of it was kept."
                ),
            ));
        }
        let (id, number, size) = (self.id, self.parts, i64::try_from(self.size).unwrap_or(i64::MAX));
        let rest = Arc::new(std::mem::take(&mut self.rest));
        let (app, actor) = (self.app.clone(), self.actor.clone());
        let kept = self
            .app
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    if !rest.is_empty()
                        && firmware_files::put(tx, id, number, rest.to_vec()).await? == Put::NoRoom
                    {
                        return Ok(None);
                    }
                    let row = firmware_files::finish(tx, id, size, &sha256).await?;
                    let subject = format!("firmware:{id}");
                    tx.insert(&app.audit_row(
                        &actor,
                        "firmware.upload",
                        &subject,
                        None,
                        Some(described(&row)),
                    ))
                    .await?;
                    Ok::<_, StoreError>(Some(row))
                })
            })
            .await;
        match kept {
            Ok(Some(row)) => {
                self.over = true;
                Ok(row)
            }
            Ok(None) => Err(no_room()),
            Err(StoreError::Duplicate { .. }) => Err(AppError::Conflict(
                "This very file is there already for the same CPEs; it was not kept a second time."
                    .to_owned(),
            )),
            Err(error) => Err(not_kept(error)),
        }
    }
}

impl Drop for FirmwareUpload {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let (app, id) = (self.app.clone(), self.id);
        // Without a runtime the process ends, and the next one sweeps.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            // It ended early for a reason, of which the database may know: a full disk. Its place is given back as soon as
            // that can be written down, for a process that lives is asked for it by nobody.
            for wait in GIVEN_UP_AFTER {
                let given_up = app
                    .store()
                    // Its last unit may be on its way to the disk: what was kept stays.
                    .write(move |tx| Box::pin(async move { firmware_files::give_up(tx, id).await }))
                    .await;
                match given_up {
                    Ok(_) => return app.sweep_firmware().await,
                    Err(error) => {
                        tracing::warn!(%error, file = %id, "an upload that ended early is still there; it goes later")
                    }
                }
                tokio::time::sleep(wait).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_everywhere() {
        for (given, name) in [
            ("EG8145V5 V5R020 (final).bin", "EG8145V5_V5R020__final_.bin"),
            ("C:\\fw\\..\\x.bin", "x.bin"),
            ("../../etc/passwd", "passwd"),
            ("..", ""),
            (".hidden", "hidden"),
            ("é?x=1&y.bin", "__x_1_y.bin"),
        ] {
            assert_eq!(safe_name(given), name, "{given}");
        }
    }

    #[test]
    fn a_file_is_for_the_model_that_it_names_and_no_other() {
        let cpe = rows::Cpe {
            manufacturer: "Huawei".into(),
            oui: "00259E".into(),
            product_class: "EG8145V5".into(),
            hardware_version: "1A".into(),
            ..Default::default()
        };
        let file = |manufacturer: &str, oui: &str, class: &str, hardware: &str| rows::FirmwareFile {
            manufacturer: manufacturer.into(),
            oui: oui.into(),
            product_class: class.into(),
            hardware_version: hardware.into(),
            ..Default::default()
        };
        assert!(firmware_fits(&file("huawei", "", "eg8145v5", ""), &cpe));
        assert!(firmware_fits(&file("", "00259e", "EG8145V5", "1a"), &cpe));
        for other in [
            file("Huawei", "", "EG8145V6", ""),
            file("ZTE", "", "EG8145V5", ""),
            file("Huawei", "AABBCC", "EG8145V5", ""),
            file("Huawei", "", "EG8145V5", "1B"),
            file("", "", "EG8145V5", ""),
            file("Huawei", "", "", ""),
        ] {
            assert!(!firmware_fits(&other, &cpe), "{other:?}");
        }
    }
}
