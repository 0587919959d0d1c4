//! Recording what a CPE goes through, for whoever has to understand it, or to make a test of it.
//!
//! Off unless a person switches it on for one CPE, for some sessions and some time. Secrets are replaced before a line is
//! written (`provisioning::recording`). What cannot be recorded is lost to the recording and nothing else: the device is
//! served as if nobody looked.

use super::live::Live;
use crate::{Actor, App, AppError, Change, Permission};
use provisioning::{
    Context, Device, Event, Step,
    recording::{Header, Recorder},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};
use store::{StoreError, recordings, rows};
use types::{CpeId, CpeRecordingId, Secret, UtcMs};

/// Most sessions that one recording is for.
pub const MOST_SESSIONS: u32 = 50;
/// Longest time that one recording runs, hours.
pub const LONGEST_H: u32 = 7 * 24;

/// A recording that runs, with what its next line depends on.
struct Running {
    id: CpeRecordingId,
    recorder: Recorder,
    /// The device as the last line left it.
    left: Option<Device>,
}

/// The recordings that run, as this node knows them.
#[derive(Default)]
pub(crate) struct Recordings(RwLock<HashMap<CpeId, Arc<Mutex<Running>>>>);

impl Recordings {
    fn of(&self, cpe: CpeId) -> Option<Arc<Mutex<Running>>> {
        let running = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // Nearly always there is none.
        if running.is_empty() { None } else { running.get(&cpe).cloned() }
    }

    /// Takes over what the database says; whoever runs on goes on where it was.
    pub(crate) fn set(&self, rows: &[rows::CpeRecording]) {
        let mut running = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if rows.is_empty() && running.is_empty() {
            return;
        }
        let before = std::mem::take(&mut *running);
        *running = rows
            .iter()
            .map(|row| {
                let same = before.get(&row.cpe_id).filter(|known| lock(known).id == row.id).cloned();
                let fresh = || {
                    Arc::new(Mutex::new(Running { id: row.id, recorder: Recorder::default(), left: None }))
                };
                (row.cpe_id, same.unwrap_or_else(fresh))
            })
            .collect();
    }

    fn forget(&self, id: CpeRecordingId) {
        let mut running = self.0.write().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, known| lock(known).id != id);
    }
}

fn lock(running: &Mutex<Running>) -> std::sync::MutexGuard<'_, Running> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl App {
    /// Records this device from now on, for so many sessions and so many hours at most.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`], [`AppError::Invalid`] outside the bounds, [`AppError::Conflict`]
    /// when it is recorded already or too many are.
    pub async fn start_recording(
        &self,
        actor: &Actor,
        cpe: CpeId,
        sessions: u32,
        hours: u32,
    ) -> Result<CpeRecordingId, AppError> {
        actor.require(Permission::OperateCpe)?;
        if !(1..=MOST_SESSIONS).contains(&sessions) {
            return Err(AppError::invalid("sessions", format!("is not from 1 to {MOST_SESSIONS}.")));
        }
        if !(1..=LONGEST_H).contains(&hours) {
            return Err(AppError::invalid("hours", format!("is not from 1 to {LONGEST_H}.")));
        }
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        let now = self.now();
        let until_at = now.plus_s(u64::from(hours) * 3600);
        if let Some(running) = self.recordings_of(cpe).await?.iter().find(|row| runs(row, now)) {
            return Err(AppError::Conflict(format!(
                "This CPE is recorded already, since {} by {}; stop that one first.",
                running.started_at, running.started_by
            )));
        }
        let device = format!("{} {} {}", row.manufacturer, row.model, row.software_version);
        let header = Header::new(env!("CARGO_PKG_VERSION"), now, &device);
        let heading =
            serde_json::to_string(&header).map_err(|error| AppError::Internal(error.to_string()))?;
        let new = rows::CpeRecording {
            cpe_id: cpe,
            started_at: now,
            started_by: actor.label(),
            until_at,
            sessions_left: i64::from(sessions),
            ..Default::default()
        };
        let given = serde_json::json!({ "sessions": sessions, "until": until_at });
        let audit = self.audit_row(actor, "cpe.record", &format!("cpe:{cpe}"), None, Some(given));
        let begun = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let begun = recordings::begin(tx, new, &heading, now).await?;
                    if begun.is_some() {
                        tx.insert(&audit).await?;
                    }
                    Ok::<_, StoreError>(begun)
                })
            })
            .await?;
        let Some(id) = begun else {
            return Err(AppError::Conflict(format!(
                "{} CPEs are recorded already; stop one of those recordings first.",
                recordings::MOST_AT_ONCE
            )));
        };
        self.reload_recordings().await?;
        self.bus().say(Change::Cpe(cpe));
        Ok(id)
    }

    /// Ends a recording; what it holds stays.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`], [`AppError::Conflict`] when it is over.
    pub async fn stop_recording(&self, actor: &Actor, id: CpeRecordingId) -> Result<CpeId, AppError> {
        actor.require(Permission::OperateCpe)?;
        let row: rows::CpeRecording = self.found(id, "recording").await?;
        let audit = self.audit_row(actor, "cpe.stop_recording", &format!("cpe:{}", row.cpe_id), None, None);
        let now = self.now();
        let stopped = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let stopped = recordings::stop(tx, id, now).await?;
                    if stopped {
                        tx.insert(&audit).await?;
                    }
                    Ok::<_, StoreError>(stopped)
                })
            })
            .await?;
        self.recordings().forget(id);
        self.bus().say(Change::Cpe(row.cpe_id));
        if stopped {
            Ok(row.cpe_id)
        } else {
            Err(AppError::Conflict("This recording is over; there is nothing to stop.".to_owned()))
        }
    }

    /// Recordings of a device, newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn recordings_of(&self, cpe: CpeId) -> Result<Vec<rows::CpeRecording>, AppError> {
        Ok(recordings::of_cpe(self.store(), cpe).await?)
    }

    /// A recording as a file for `lightkeeper replay`. That somebody took it is kept in the audit log.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`].
    pub async fn recording_file(
        &self,
        actor: &Actor,
        id: CpeRecordingId,
    ) -> Result<(rows::CpeRecording, String), AppError> {
        actor.require(Permission::OperateCpe)?;
        let row: rows::CpeRecording = self.found(id, "recording").await?;
        let mut text = recordings::lines(self.store(), id).await?.join("\n");
        text.push('\n');
        let given = serde_json::json!({ "recording": id });
        let audit = self.audit_row(
            actor,
            "cpe.download_recording",
            &format!("cpe:{}", row.cpe_id),
            None,
            Some(given),
        );
        self.store()
            .write(move |tx| {
                Box::pin(async move {
                    tx.insert(&audit).await?;
                    Ok::<_, StoreError>(())
                })
            })
            .await?;
        Ok((row, text))
    }

    /// Which devices are recorded, as the database says.
    pub(crate) async fn reload_recordings(&self) -> Result<(), AppError> {
        let running = recordings::running_now(self.store(), self.now()).await?;
        self.recordings().set(&running);
        Ok(())
    }

    /// The step, if its device is recorded.
    pub(crate) fn to_record(&self, live: &Live, step: &Step) -> Option<Step> {
        self.recordings().of(live.row.id).map(|_| step.clone())
    }

    /// Writes down a step that was carried out, if it is to be; `live` is still as it was before.
    pub(crate) async fn record_step(
        &self,
        live: &Live,
        event: &Event,
        context: &Context,
        step: Option<Step>,
        now: UtcMs,
    ) {
        let Some((step, running)) = step.zip(self.recordings().of(live.row.id)) else { return };
        let (id, line) = {
            let mut running = lock(&running);
            let id = running.id;
            // After a session the device is read from the database again, and an order may have come from elsewhere.
            let before = (running.left.take().as_ref() != Some(&live.device)).then_some(&live.device);
            let secrets: Vec<Secret> = self.first_contact_password().into_iter().collect();
            (id, running.recorder.line(before, event, context, &step, &secrets, now))
        };
        let line = match line {
            Ok(line) => line,
            Err(error) => {
                tracing::error!(cpe = %live.row.id, %error, "a step cannot be recorded; the recording goes on without it");
                return;
            }
        };
        let over = matches!(event, Event::SessionEnded(_));
        let written = self
            .store()
            .write(move |tx| Box::pin(async move { recordings::append(tx, id, &line, over, now).await }))
            .await;
        match written {
            Ok(true) => lock(&running).left = Some(step.next),
            Ok(false) => {
                self.recordings().forget(id);
                self.bus().say(Change::Cpe(live.row.id));
            }
            Err(error) => {
                tracing::error!(cpe = %live.row.id, %error, "a step cannot be recorded; the recording goes on without it");
                // What the lost line said has to be said again.
                lock(&running).recorder = Recorder::default();
            }
        }
    }
}

/// It runs at this time.
pub fn runs(row: &rows::CpeRecording, now: UtcMs) -> bool {
    row.ended_at.is_none() && row.until_at > now
}
