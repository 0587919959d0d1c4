//! Contacts in which nothing happened: a device that rests informed, had nothing to do, and went. Most sessions are such,
//! so nothing is written while one goes on, and what it leaves is written together with that of others. Whatever does
//! happen in a session is stored at once, the session with it, before its effect leaves.

use super::live::{Live, fill_row};
use crate::{App, AppError, Change};
use provisioning::Device;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{contacts, contacts::Heard, cpes, retention::Bounds, rows};
use tokio::time::Instant;
use types::{CpeSessionId, ServiceId};

/// From one writing to the next, so that each is of many. A process that dies loses so much of who was heard of, and
/// nothing of what anybody was told.
const PAUSE: Duration = Duration::from_millis(50);
/// Contacts that wait at most.
const MOST_WAITING: usize = 10_000;
/// How often a contact is tried again that others overtook.
const ATTEMPTS: u32 = 5;

/// Where the record of an open session is.
#[derive(Debug, Clone)]
pub(super) enum Record {
    /// Nothing happened in it yet.
    Unwritten(Box<rows::CpeSession>),
    /// In the database.
    Written(CpeSessionId),
}

impl Record {
    pub(super) fn unwritten(&self) -> Option<&rows::CpeSession> {
        match self {
            Record::Unwritten(session) => Some(session),
            Record::Written(_) => None,
        }
    }

    pub(super) fn written(&self) -> Option<CpeSessionId> {
        match self {
            Record::Unwritten(_) => None,
            Record::Written(id) => Some(*id),
        }
    }
}

/// What a device leaves when nobody speaks to it any more.
#[derive(Debug, Clone)]
pub(super) struct Left {
    pub(super) record: Option<Record>,
    pub(super) heard: Option<Heard>,
    pub(super) service: Option<ServiceId>,
}

impl Left {
    pub(super) fn of(live: Live) -> Result<Left, AppError> {
        let Live { row, device, record, heard, .. } = live;
        let heard = match heard {
            Some(timer) => Some(Heard {
                cpe: row.id,
                version: row.version,
                machine: store::RawJson::of(&device).map_err(|error| {
                    AppError::Internal(format!("the state of CPE {} cannot be stored: {error}", row.id))
                })?,
                last_inform_at: device.last_inform_at,
                next_inform_by: device.next_inform_by,
                timer,
            }),
            None => None,
        };
        Ok(Left { record, heard, service: row.service_id })
    }
}

/// A contact that is over.
#[derive(Debug, Clone)]
pub(super) struct Contact {
    pub(super) heard: Option<Heard>,
    pub(super) session: Option<rows::CpeSession>,
    pub(super) service: Option<ServiceId>,
}

/// Contacts that are over and not written.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    waiting: Mutex<Vec<Contact>>,
    /// Whoever writes, and when somebody did last.
    turn: tokio::sync::Mutex<Option<Instant>>,
}

impl Contacts {
    fn waiting(&self) -> MutexGuard<'_, Vec<Contact>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl App {
    /// Writes a contact that is over, with those of others.
    pub(super) async fn hand_in(&self, contact: Contact) {
        {
            let mut waiting = self.live().contacts().waiting();
            if waiting.len() >= MOST_WAITING {
                tracing::error!(
                    "{MOST_WAITING} contacts of CPEs wait to be written; this one is not recorded"
                );
                return;
            }
            waiting.push(contact);
        }
        self.write_contacts().await;
    }

    /// Writes the contacts that wait, if no other task did so meanwhile.
    pub(super) async fn write_contacts(&self) {
        let contacts = self.live().contacts();
        let mut last = contacts.turn.lock().await;
        if contacts.waiting().is_empty() {
            return;
        }
        if let Some(last) = *last {
            tokio::time::sleep_until(last + PAUSE).await;
        }
        *last = Some(Instant::now());
        let waiting = std::mem::take(&mut *contacts.waiting());
        if self.write_together(&waiting).await.is_err() {
            // One that cannot be written, because its device is gone, keeps nobody else's from being written.
            for contact in &waiting {
                if let Err(error) = self.write_together(std::slice::from_ref(contact)).await {
                    tracing::error!(%error, ?contact.session, "the record of a session cannot be stored");
                }
            }
        }
    }

    async fn write_together(&self, contacts: &[Contact]) -> Result<(), AppError> {
        let sessions: Arc<[rows::CpeSession]> =
            contacts.iter().filter_map(|one| one.session.clone()).collect();
        // The last of each: one that informed again meanwhile was heard of later.
        let heard: BTreeMap<_, &Heard> =
            contacts.iter().filter_map(|one| one.heard.as_ref()).map(|heard| (heard.cpe, heard)).collect();
        let all: Arc<[Heard]> = heard.values().map(|heard| (*heard).clone()).collect();
        let stored = self
            .store()
            .write::<_, _, AppError>(move |tx| {
                Box::pin(async move {
                    contacts::record(tx, &sessions, &Bounds::default()).await?;
                    Ok(contacts::hear(tx, &all).await?)
                })
            })
            .await?;
        for (cpe, heard) in heard {
            if !stored.contains(&cpe)
                && let Err(error) = self.hear_again(heard).await
            {
                tracing::error!(%cpe, %error, "when a CPE was heard of cannot be stored");
            }
            self.bus().say(Change::Cpe(cpe));
        }
        contacts
            .iter()
            .filter_map(|one| one.service)
            .for_each(|service| self.bus().say(Change::Service(service)));
        Ok(())
    }

    /// Somebody changed the device meanwhile: that it was heard of is added to what it is now.
    async fn hear_again(&self, heard: &Heard) -> Result<(), AppError> {
        let cell = self.live().cell(heard.cpe);
        let slot = cell.lock().await;
        let unreadable =
            |error: serde_json::Error| AppError::Internal(format!("the state of CPE {}: {error}", heard.cpe));
        let last: Device = heard.machine.read().map_err(unreadable)?;
        for _ in 0..ATTEMPTS {
            let Live { mut row, device, .. } = self.load(heard.cpe).await?;
            if slot.is_some() || device.last_inform_at >= last.last_inform_at {
                // It informed again.
                return Ok(());
            }
            fill_row(&mut row, &device.heard_as(&last))?;
            let step = cpes::CpeStep {
                cpe: row,
                start_timers: heard.timer.iter().cloned().collect(),
                ..cpes::CpeStep::default()
            };
            let saved: store::Guarded = self
                .store()
                .write::<_, _, AppError>(move |tx| {
                    Box::pin(async move { Ok(cpes::save_step(tx, &step).await?) })
                })
                .await?;
            if saved.is_changed() {
                return Ok(());
            }
        }
        Err(AppError::Conflict(format!(
            "CPE {} was changed by others {ATTEMPTS} times meanwhile.",
            heard.cpe
        )))
    }
}
