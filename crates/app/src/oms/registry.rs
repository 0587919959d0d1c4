//! The OLTs this node holds a line to: one queue each, made anew when the OLT's settings change.

use super::tape::Tape;
use crate::{Actor, App, AppError};
use olt::{
    dialect::Dialect,
    leave::Leave,
    queue::{OltConfig, OltHandle, Protocol},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use store::{OltProtocol, Slot, StoreError, leases::Lease, olts, rows};
use tokio::time::Instant;
use types::OltId;

/// The place of whoever reads an OLT, and when the last reading that was stored began.
pub(super) type Look = Arc<tokio::sync::Mutex<Option<Instant>>>;

/// A queue and what it writes down.
#[derive(Clone)]
pub(crate) struct OltLine {
    pub(crate) handle: OltHandle,
    pub(crate) tape: Arc<Tape>,
}

/// Leave for lines that only read.
struct Never;

#[async_trait::async_trait]
impl Leave for Never {
    async fn ask(&self) -> Result<Instant, String> {
        Err("who asked for it does not hold the lease on this OLT".to_owned())
    }
}

#[derive(Default)]
pub(crate) struct OltRegistry {
    lines: Mutex<HashMap<OltId, (i64, OltLine)>>,
    /// Leases that this node holds.
    pub(super) leases: Mutex<HashMap<OltId, Lease>>,
    wake: tokio::sync::Notify,
    /// Whoever reads an OLT has its place here meanwhile.
    looks: Mutex<HashMap<OltId, Look>>,
    /// Who asks which OLT something now.
    pub(super) turns: super::turns::Turns,
    /// About the light of ONUs.
    pub(super) light: super::light::Asked,
    /// About the addresses of ONUs.
    pub(super) questions: super::address::Questions,
}

impl OltRegistry {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<OltId, (i64, OltLine)>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The place of whoever reads this OLT.
    pub(super) fn look_at(&self, olt: OltId) -> Look {
        Arc::clone(self.looks.lock().unwrap_or_else(PoisonError::into_inner).entry(olt).or_default())
    }

    /// The queue goes; what it is doing is finished first.
    pub(crate) fn drop_line(&self, olt: OltId) {
        self.map().remove(&olt);
    }
}

impl App {
    /// Tells the OLT workers that there is something to do.
    pub(crate) fn wake_olts(&self) {
        self.olts().wake.notify_one();
    }

    pub(crate) async fn olts_woken(&self) {
        self.olts().wake.notified().await;
    }

    /// The queue of an OLT, started when first needed.
    pub(crate) async fn olt_line(&self, row: &rows::Olt) -> Result<OltLine, AppError> {
        if let Some((version, line)) = self.olts().map().get(&row.id)
            && *version >= row.version
        {
            // Newer than the row in hand: the OLT was changed since that was read, and is spoken to as it is now.
            return Ok(line.clone());
        }
        let line = self.open_line(row).await?;
        // Another task may have been quicker; then its line is used and ours is dropped unused.
        let mut map = self.olts().map();
        match map.get(&row.id) {
            Some((version, other)) if *version >= row.version => Ok(other.clone()),
            _ => {
                map.insert(row.id, (row.version, line.clone()));
                Ok(line)
            }
        }
    }

    /// A queue of its own, not kept: for trying settings that are not stored.
    pub(crate) async fn open_line(&self, row: &rows::Olt) -> Result<OltLine, AppError> {
        let password = self.store().secret(Slot::OltPassword(row.id)).await?.unwrap_or_default();
        let dialect = Dialect::builtin(&row.vendor_profile).map_err(|error| {
            AppError::Conflict(format!("The CLI profile {} cannot be used: {error}", row.vendor_profile))
        })?;
        let tape = Arc::new(Tape::default());
        let protocol = match row.protocol {
            OltProtocol::Ssh => Protocol::Ssh,
            OltProtocol::Telnet => Protocol::Telnet,
        };
        let address = if row.address.contains(':') {
            format!("[{}]:{}", row.address, row.port)
        } else {
            format!("{}:{}", row.address, row.port)
        };
        let mut config = OltConfig::new(address, protocol, row.username.clone(), password, dialect);
        config.legacy_algorithms = row.legacy_algorithms;
        config.pinned_host_key = row.host_key_pin.clone();
        config.transcript = tape.clone();
        // Whether a new ONU comes up is seen by the observer; the queue does not stand still for it.
        config.patience.online_looks = 1;
        let (app, olt, runtime) = (self.clone(), row.id, tokio::runtime::Handle::current());
        config.on_host_key = Arc::new(move |fingerprint: &str| {
            let (app, pin) = (app.clone(), fingerprint.to_owned());
            runtime.spawn(async move {
                // Nobody compared the key with the box: the record says who trusts it since when, for whoever does later.
                let audit = app.audit_row(
                    &Actor::System("oms"),
                    "olt.trust_host_key",
                    &format!("olt:{olt}"),
                    Some(serde_json::json!({ "host_key": null })),
                    Some(serde_json::json!({ "host_key": pin, "trusted": "at first contact" })),
                );
                let stored = app.store().write(move |tx| {
                    Box::pin(async move {
                        if olts::pin_host_key(tx, olt, &pin).await? {
                            tx.insert(&audit).await?;
                        }
                        Ok::<_, StoreError>(())
                    })
                });
                if let Err(error) = stored.await {
                    tracing::error!(%olt, %error, "the host key of an OLT cannot be stored; it is learned again");
                }
            });
        });
        let handle = OltHandle::spawn(config)
            .map_err(|error| AppError::Conflict(format!("The OLT {} cannot be used: {error}", row.name)))?;
        Ok(OltLine { handle: handle.under(Arc::new(Never)), tape })
    }
}
