//! The addresses at which CPEs fetch firmware files: each for one file, one device and a time, signed with a key that
//! follows from the sealing key, so that every node knows it and the database does not.
//!
//! Whoever asks for what it may not have is told nothing. Operators are: an address that we did sign and that is refused
//! all the same is a line in the history of its device; what was never ours is counted.

use crate::{
    App, AppError, firmware_fits,
    ports::{AddressWorth, FileAddress, OfferedFile},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{StoreError, firmware_files, rows};
use types::{CpeId, FirmwareFileId, UtcMs};

/// A device is told of in its history once within this, however often it asks.
const SAID_AGAIN: Duration = Duration::from_secs(600);
/// Bytes of a signature: half of what the hash gives, which nobody guesses either.
const SIGNATURE: usize = 16;
/// Characters of the longest address that devices take (TR-069 A.3.2.8 has 256, and some count a zero at its end).
const LONGEST_URL: usize = 255;
/// As much of a name as is needed to know a file again.
const SHORTEST_NAME: usize = 8;
/// Devices remembered for that.
const REMEMBERED: usize = 1_000;

/// Why a file was not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Why {
    /// It is no address of ours.
    NotOurs,
    /// Its time is over.
    Expired,
    /// The file is deleted.
    NoFile,
    /// The device is gone, or in quarantine.
    NoDevice,
    /// The device says now that it is another model.
    OtherModel,
    /// Somebody asks from where no device is.
    Elsewhere,
}

impl Why {
    /// What to do about it.
    fn next(self) -> &'static str {
        match self {
            Why::NotOurs | Why::Expired => {
                "Nothing, if the device has what it needs; otherwise order it to fetch the file again."
            }
            Why::NoFile => "If devices still need the file, upload it again and order it anew.",
            Why::NoDevice => {
                "Nothing is given to a device in quarantine; its page says why it is there and how it comes out."
            }
            Why::OtherModel => {
                "Compare the model that the device's page shows with the one that the file is for; upload the file that \
                 fits."
            }
            Why::Elsewhere => {
                "If the device does have that address, add its network to the management networks under Settings, ACS \
                 policy; otherwise somebody else has its address of the file, which ends by itself."
            }
        }
    }

    fn words(self) -> &'static str {
        match self {
            Why::NotOurs => "the address was never given out, or was changed",
            Why::Expired => "the time of the address is over",
            Why::NoFile => "the file is deleted",
            Why::NoDevice => "its device is gone or in quarantine",
            Why::OtherModel => "the device is no longer of the model that the file is for",
            Why::Elsewhere => {
                "it was asked for from outside of the management networks, and not from where the device is"
            }
        }
    }
}

/// What the file server refused since this process began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRefusals {
    /// Requests refused.
    pub times: u64,
    /// The last one.
    pub last_at: UtcMs,
    /// From where it came.
    pub last_from: IpAddr,
    /// Why, in words.
    pub last_why: &'static str,
}

/// When the history of a device said last why it got no file.
type Told = HashMap<(CpeId, Why), UtcMs>;

/// What was refused, and of which devices that was said.
#[derive(Debug, Default)]
pub(crate) struct FileLog(Mutex<(Option<FileRefusals>, Told)>);

impl FileLog {
    fn lock(&self) -> MutexGuard<'_, (Option<FileRefusals>, Told)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, from: IpAddr, why: Why, now: UtcMs) {
        let mut log = self.lock();
        let times = log.0.as_ref().map_or(0, |seen| seen.times).saturating_add(1);
        log.0 = Some(FileRefusals { times, last_at: now, last_from: from, last_why: why.words() });
    }

    /// The history of this device is to say it: it did not lately say the same. What somebody provokes with an old address
    /// hides nothing else.
    fn is_news(&self, cpe: CpeId, why: Why, now: UtcMs) -> bool {
        let mut log = self.lock();
        let said = &mut log.1;
        said.retain(|_, at| now.since(*at) < SAID_AGAIN);
        if said.contains_key(&(cpe, why)) || said.len() >= REMEMBERED {
            return false;
        }
        said.insert((cpe, why), now);
        true
    }
}

/// One address, or of one /64: a device may speak by one interface and fetch by another.
fn same_customer(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..4] == other.segments()[..4],
        (one, other) => one == other,
    }
}

impl App {
    fn file_signature(&self, file: FirmwareFileId, cpe: CpeId, until_s: i64) -> Hmac<Sha256> {
        let key = self.store().derived_secret("signed addresses of files");
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose().as_bytes())
            .unwrap_or_else(|_| unreachable!("HMAC takes keys of any length"));
        mac.update(format!("lightkeeper file 1\0{file}\0{cpe}\0{until_s}").as_bytes());
        mac
    }

    /// The address under which this device may fetch this file until then, at the server that it knows by `origin`, as
    /// in `http://acs.example:7547`. It has no query, which old clients cut off or escape, and is as short as they need
    /// it: of a long name only the end is in it. `None`: that of the server alone leaves no room.
    pub fn file_url(
        &self,
        origin: &str,
        file: &rows::FirmwareFile,
        cpe: CpeId,
        until: UtcMs,
    ) -> Option<String> {
        let until_s = until.0.div_euclid(1000);
        let signature = self.file_signature(file.id, cpe, until_s).finalize().into_bytes();
        let signature = hex::encode(signature.get(..SIGNATURE)?);
        let start = format!("{origin}/files/{}-{cpe}-{until_s}-{signature}/", file.id);
        let room = LONGEST_URL.checked_sub(start.len()).filter(|room| *room >= SHORTEST_NAME)?;
        // The name is safe in an address since it was uploaded.
        let name = file.name.get(file.name.len().saturating_sub(room)..)?;
        Some(format!("{start}{name}"))
    }

    /// Whether this address was made here and is as it was made, in constant time, and whether its time is over: without
    /// looking anything up.
    pub(crate) fn address_worth(&self, address: &FileAddress, from: IpAddr) -> AddressWorth {
        let given = hex::decode(&address.signature).unwrap_or_default();
        let signed = self.file_signature(address.file, address.cpe, address.until.0.div_euclid(1000));
        let ours = given.len() == SIGNATURE && signed.verify_truncated_left(&given).is_ok();
        if !ours {
            self.note_no_file(from);
            AddressWorth::NotOurs
        } else if self.now() >= address.until {
            AddressWorth::Expired
        } else {
            AddressWorth::Good
        }
    }

    /// What the file server refused, if anything.
    pub fn file_refusals(&self) -> Option<FileRefusals> {
        self.file_log().lock().0.clone()
    }

    pub(crate) fn note_no_file(&self, from: IpAddr) {
        self.file_log().note(from.to_canonical(), Why::NotOurs, self.now());
    }

    /// The file behind an address, if whoever asks may have it now.
    pub(crate) async fn offered(
        &self,
        address: &FileAddress,
        from: IpAddr,
    ) -> Result<Option<OfferedFile>, AppError> {
        // Before anything is looked up, so that a guess costs no query.
        let worth = self.address_worth(address, from);
        if worth == AddressWorth::NotOurs {
            return Ok(None);
        }
        let from = from.to_canonical();
        let now = self.now();
        let cpe: Option<rows::Cpe> = self.store().get(address.cpe).await?;
        let file = firmware_files::ready(self.store(), address.file).await?;
        let why = match (&cpe, &file) {
            _ if worth == AddressWorth::Expired => Why::Expired,
            (None, _) => Why::NoDevice,
            (Some(cpe), _) if cpe.quarantine => Why::NoDevice,
            (_, None) => Why::NoFile,
            (Some(cpe), Some(file)) if !firmware_fits(file, cpe) => Why::OtherModel,
            (Some(cpe), Some(_)) if !self.is_there(cpe, from).await? => Why::Elsewhere,
            (Some(_), Some(file)) => {
                return Ok(Some(OfferedFile {
                    id: file.id,
                    size: u64::try_from(file.size).unwrap_or(0),
                    sha256: file.sha256.clone(),
                    part_bytes: firmware_files::PART as u64,
                }));
            }
        };
        self.file_log().note(from, why, now);
        if let Some(cpe) = cpe
            && self.file_log().is_news(cpe.id, why, now)
            && let Err(error) = self.tell_refused_file(&cpe, address, from, why).await
        {
            // What is refused looks all the same from outside, also when the history cannot be written.
            tracing::warn!(%error, cpe = %cpe.id, why = why.words(), "a refused file is not in the history");
        }
        Ok(None)
    }

    /// A device may be here: inside the management networks, or else this is where it spoke from last or where its OLT has
    /// it. Addresses change in the middle of a download, and the signature is the proof; that is for the networks, which
    /// nobody's own computer is in.
    async fn is_there(&self, cpe: &rows::Cpe, from: IpAddr) -> Result<bool, AppError> {
        if self.is_inside(from) {
            return Ok(true);
        }
        let known = self.known_at(cpe, Some(&cpe.peer_address)).await?;
        Ok(known.into_iter().any(|known| same_customer(known, from)))
    }

    async fn tell_refused_file(
        &self,
        cpe: &rows::Cpe,
        address: &FileAddress,
        from: IpAddr,
        why: Why,
    ) -> Result<(), AppError> {
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "report".into(),
            severity: store::Severity::Warn,
            service_id: cpe.service_id,
            cpe_id: Some(cpe.id),
            code: "file_refused".into(),
            text: format!(
                "Firmware file {} was asked for from {from} and not given: {}.",
                address.file,
                why.words()
            ),
            next_text: Some(why.next().into()),
            actor: "system:files".into(),
            facts: serde_json::json!({ "file": address.file, "from": from.to_string() }),
            ..Default::default()
        };
        self.store()
            .write(move |tx| {
                let entry = entry.clone();
                Box::pin(async move {
                    tx.insert(&entry).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        self.bus().say(crate::Change::Cpe(cpe.id));
        Ok(())
    }
}
