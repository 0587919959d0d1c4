//! Secrets at rest: sealed with a key that is not in the database.
//!
//! XChaCha20-Poly1305 with a random nonce. The place (table, column, row) is authenticated with the text, so that
//! ciphertext copied from one row to another does not open there. The envelope names its version and its key, so
//! that keys can be rotated row by row:
//!
//! ```text
//! 1 byte  version (1)
//! 4 bytes key id  (first bytes of SHA-256 of the key)
//! 24      nonce
//! n + 16  ciphertext and tag
//! ```

use crate::error::{StartError, StoreError};
use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};
use std::{
    fmt,
    io::Write,
    path::{Path, PathBuf},
};
use types::{CpeId, DeviceOrderId, OltId, OltTaskId, Secret, ServiceId};
use zeroize::{Zeroize, Zeroizing};

use crate::words::Layer;

const ENVELOPE_VERSION: u8 = 1;
const NONCE_AT: usize = 5;
const BODY_AT: usize = NONCE_AT + 24;

/// A sealed secret as it lies in a column. Opened only through the store.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Self {
        Sealed(bytes)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Where a secret lives. The place is part of what is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// `olts.password_sealed`.
    OltPassword(OltId),
    /// `olts.snmp_community_sealed`.
    OltSnmpCommunity(OltId),
    /// `olt_tasks.journal_sealed`.
    TaskJournal(OltTaskId),
    /// `device_orders.body_sealed`.
    DeviceOrder(DeviceOrderId),
    /// `cpes.credentials_sealed`.
    CpeCredentials(CpeId),
    /// `service_intents.body_sealed`.
    IntentBody(ServiceId, Layer),
    /// A sealed value in `settings`, by the name of the setting.
    Setting(&'static str),
    /// `schema_state.canary_sealed`: a text everybody knows, to tell at the start that the key is the right one.
    Canary,
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::OltPassword(id) => write!(f, "olts.password_sealed, row {id}"),
            Slot::OltSnmpCommunity(id) => write!(f, "olts.snmp_community_sealed, row {id}"),
            Slot::TaskJournal(id) => write!(f, "olt_tasks.journal_sealed, row {id}"),
            Slot::DeviceOrder(id) => write!(f, "device_orders.body_sealed, row {id}"),
            Slot::CpeCredentials(id) => write!(f, "cpes.credentials_sealed, row {id}"),
            Slot::IntentBody(id, layer) => write!(f, "service_intents.body_sealed, row {id}/{layer}"),
            Slot::Setting(name) => write!(f, "settings, row {name}"),
            Slot::Canary => f.write_str("schema_state.canary_sealed, row 1"),
        }
    }
}

/// The key that seals. Lives in a file outside the database; wiped from memory on drop.
#[derive(Clone)]
pub struct SealingKey {
    key: Zeroizing<[u8; 32]>,
    id: [u8; 4],
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", hex::encode(self.id))
    }
}

impl SealingKey {
    /// From 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        let digest = Sha256::digest(bytes);
        SealingKey { key: Zeroizing::new(bytes), id: [digest[0], digest[1], digest[2], digest[3]] }
    }

    /// A secret that follows from the key and a purpose, the same for ever; it tells nothing of the key.
    pub fn derive(&self, purpose: &str) -> types::Secret {
        let digest = Sha256::new_with_prefix(b"lightkeeper derived secret\0")
            .chain_update(self.key.as_slice())
            .chain_update(purpose.as_bytes())
            .finalize();
        types::Secret::new(hex::encode(digest))
    }

    /// A fresh key.
    ///
    /// # Errors
    /// When the operating system has no randomness to give.
    pub fn generate() -> Result<Self, StoreError> {
        let mut bytes = [0u8; 32];
        random(&mut bytes)?;
        let key = Self::from_bytes(bytes);
        bytes.zeroize();
        Ok(key)
    }

    /// Reads a key file: one line, 32 bytes in base64.
    ///
    /// # Errors
    /// [`StartError::KeyMissing`] if there is no file, [`StartError::KeyFile`] if it holds no key.
    pub fn load(path: &Path) -> Result<Self, StartError> {
        let refused = |why: String| StartError::KeyFile { path: path.display().to_string(), why };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(StartError::KeyMissing { path: path.display().to_string() });
            }
            Err(error) => return Err(refused(error.to_string())),
        };
        let bytes = Zeroizing::new(
            STANDARD.decode(text.trim()).map_err(|_| refused("it is not one line of base64".into()))?,
        );
        let bytes: [u8; 32] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| refused(format!("it holds {} bytes and a key has 32", bytes.len())))?;
        warn_if_others_can_read(path);
        Ok(Self::from_bytes(bytes))
    }

    /// Reads the key file, or writes a new one if there is none. Meant for a database known to be empty;
    /// [`crate::KeySource::File`] looks at the database first.
    ///
    /// # Errors
    /// [`StartError::KeyFile`] when it can neither be read nor written.
    pub fn load_or_create(path: &Path) -> Result<Self, StartError> {
        match Self::load(path) {
            Err(StartError::KeyMissing { .. }) => {}
            other => return other,
        }
        Self::generate()?.save_new(path)?;
        // Read back: if another process was first, its key counts.
        Self::load(path)
    }

    /// Writes the key to a file that must not be there yet. A reader sees the whole key or no file: the bytes go to
    /// a name of their own first and are linked into place.
    fn save_new(&self, path: &Path) -> Result<(), StartError> {
        let refused = |error: std::io::Error| StartError::KeyFile {
            path: path.display().to_string(),
            why: format!("it cannot be written: {error}"),
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
            _ => PathBuf::from("."),
        };
        std::fs::create_dir_all(&folder).map_err(refused)?;
        let mut tag = [0u8; 6];
        random(&mut tag)?;
        let draft = folder.join(format!(".{}.key-draft", hex::encode(tag)));
        let written = (|| {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&draft)?;
            let line = Zeroizing::new(format!("{}\n", STANDARD.encode(self.key.as_slice())));
            file.write_all(line.as_bytes())?;
            file.sync_all()?;
            match std::fs::hard_link(&draft, path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            }
        })();
        let _ = std::fs::remove_file(&draft);
        written.map_err(refused)
    }

    pub(crate) fn seal(&self, slot: Slot, plain: &[u8]) -> Result<Sealed, StoreError> {
        let mut nonce = [0u8; 24];
        random(&mut nonce)?;
        let associated = self.associated(slot);
        let body = XChaCha20Poly1305::new(self.key.as_slice().into())
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plain, aad: &associated })
            .map_err(|_| StoreError::Sealed { place: slot.to_string(), why: "it could not be sealed" })?;
        let mut envelope = Vec::with_capacity(BODY_AT + body.len());
        envelope.push(ENVELOPE_VERSION);
        envelope.extend_from_slice(&self.id);
        envelope.extend_from_slice(&nonce);
        envelope.extend_from_slice(&body);
        Ok(Sealed(envelope))
    }

    pub(crate) fn open(&self, slot: Slot, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        let refused = |why| StoreError::Sealed { place: slot.to_string(), why };
        let bytes = sealed.0.as_slice();
        if bytes.len() < BODY_AT + 16 {
            return Err(refused("it is too short to be one of ours"));
        }
        if bytes[0] != ENVELOPE_VERSION {
            return Err(refused("it was sealed by a newer release"));
        }
        if bytes[1..NONCE_AT] != self.id {
            return Err(refused("it was sealed with another key"));
        }
        let associated = self.associated(slot);
        XChaCha20Poly1305::new(self.key.as_slice().into())
            .decrypt(
                XNonce::from_slice(&bytes[NONCE_AT..BODY_AT]),
                Payload { msg: &bytes[BODY_AT..], aad: &associated },
            )
            .map(Zeroizing::new)
            .map_err(|_| refused("it was changed, or moved from another row, since it was sealed"))
    }

    /// True if the envelope names this key.
    pub(crate) fn made(&self, sealed: &Sealed) -> bool {
        sealed.0.get(1..NONCE_AT) == Some(self.id.as_slice())
    }

    fn associated(&self, slot: Slot) -> Vec<u8> {
        let mut associated = vec![ENVELOPE_VERSION];
        associated.extend_from_slice(&self.id);
        associated.extend_from_slice(slot.to_string().as_bytes());
        associated
    }
}

/// Where [`crate::Store::open`] finds its key.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// A file. If it is absent and the database is new, a key is made and written there, readable by us only.
    File(PathBuf),
    /// A key in hand.
    Key(SealingKey),
}

pub(crate) fn text_of(slot: Slot, plain: &[u8]) -> Result<Secret, StoreError> {
    std::str::from_utf8(plain)
        .map(Secret::from)
        .map_err(|_| StoreError::Sealed { place: slot.to_string(), why: "it is not text" })
}

fn random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| StoreError::Unavailable {
        why: format!("the operating system has no randomness: {error}"),
    })
}

#[cfg(unix)]
fn warn_if_others_can_read(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    if std::fs::metadata(path).is_ok_and(|data| data.permissions().mode() & 0o077 != 0) {
        tracing::warn!(path = %path.display(), "the key file can be read by other users of this machine: chmod 600 it");
    }
}

#[cfg(not(unix))]
fn warn_if_others_can_read(_path: &Path) {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SLOT: Slot = Slot::OltPassword(OltId(7));

    fn key() -> SealingKey {
        SealingKey::from_bytes([42; 32])
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_nothing_else_does(
            plain in proptest::collection::vec(any::<u8>(), 0..300),
            at in any::<proptest::sample::Index>(),
            bit in 0u8..8,
        ) {
            let sealed = key().seal(SLOT, &plain).expect("seals");
            let opened = key().open(SLOT, &sealed).expect("opens");
            prop_assert_eq!(opened.as_slice(), plain.as_slice());
            let mut changed = sealed.clone();
            let at = at.index(changed.0.len());
            changed.0[at] ^= 1 << bit;
            prop_assert!(key().open(SLOT, &changed).is_err(), "bit {} of byte {} matters", bit, at);
            let mut cut = sealed;
            cut.0.truncate(at);
            prop_assert!(key().open(SLOT, &cut).is_err());
        }
    }

    #[test]
    fn a_secret_belongs_to_its_place_and_its_key() {
        let sealed = key().seal(SLOT, b"hunter2").expect("seals");
        let others = [
            Slot::OltPassword(OltId(8)),
            Slot::OltSnmpCommunity(OltId(7)),
            Slot::TaskJournal(OltTaskId(7)),
            Slot::CpeCredentials(CpeId(7)),
            Slot::IntentBody(ServiceId(7), Layer::Core),
        ];
        for other in others {
            assert!(key().open(other, &sealed).is_err(), "{other}");
        }
        let error =
            SealingKey::from_bytes([43; 32]).open(SLOT, &sealed).expect_err("another key").to_string();
        assert_eq!(
            error,
            "the secret in olts.password_sealed, row 7 cannot be opened: it was sealed with another key"
        );
    }

    #[test]
    fn equal_secrets_do_not_look_equal() {
        let (a, b) = (key().seal(SLOT, b"same").expect("seals"), key().seal(SLOT, b"same").expect("seals"));
        assert_ne!(a, b);
        assert_eq!(
            format!("{a:?} {:?}", key()),
            format!("Sealed(49 bytes) SealingKey({})", hex::encode(key().id))
        );
    }

    #[test]
    fn a_key_file_is_one_line_and_two_processes_agree_on_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/secret.key");
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| SealingKey::load_or_create(&path).expect("a key").id))
                .collect();
            threads.into_iter().map(|thread| thread.join().expect("does not panic")).collect()
        });
        assert!(keys.iter().all(|id| *id == keys[0]));
        assert_eq!(std::fs::read_to_string(&path).expect("reads").lines().count(), 1);
    }
}
