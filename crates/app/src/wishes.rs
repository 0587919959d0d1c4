//! What a service should be is told to the machine of its device. That it changed is committed with the change, in the
//! outbox, so a process that dies in between leaves somebody to tell it; whoever works tells what is left.

use crate::{App, AppError};
use provisioning::{Event, Wish};
use std::{collections::BTreeSet, time::Duration};
use store::{ServiceState, StoreError, Tx, outbox, rows};
use types::ServiceId;

/// A layer of a service should be something else now.
const INTENT_CHANGED: &str = "service.intent_changed";
/// Told in one go.
const SOME: u64 = 200;
/// A device that could not be told for so long learns of it with its next Inform.
const GIVEN_UP: Duration = Duration::from_secs(600);

/// So long a device is left alone that could not be told.
const REST: Duration = Duration::from_secs(10);

impl App {
    /// Leaves word of a changed wish with the change itself, for the device that a service has.
    pub(crate) async fn leave_word(tx: &Tx, service: ServiceId) -> Result<(), StoreError> {
        if tx.require::<rows::Service>(service).await?.cpe_id.is_some() {
            outbox::publish(tx, INTENT_CHANGED, serde_json::json!({ "service": service })).await?;
        }
        Ok(())
    }

    /// Tells devices of the wishes that were committed for them. What cannot be told now is left to whoever works.
    pub(crate) async fn tell_wishes_now(&self) {
        if let Err(error) = self.tell_wishes().await {
            tracing::warn!(%error, "a device could not be woken at once; it is tried again by itself");
        }
    }

    /// Tells every wish that is still to be told. Twice is once: the event carries what is wanted, and a
    /// device compares it with what it was last told and with what it has.
    pub(crate) async fn tell_wishes(&self) -> Result<(), AppError> {
        // One after the other on this node, so that nobody is told twice at the same moment.
        let _telling = self.live().telling().await;
        let failed = self.live().not_told();
        let mut after = 0;
        loop {
            let left = outbox::undelivered_of(self.store(), INTENT_CHANGED, after, SOME).await?;
            // What cannot be told now is passed, and tried again another time.
            let Some(last) = left.last() else { return Ok(()) };
            after = last.id;
            let (mut told, mut woken) = (Vec::new(), BTreeSet::new());
            for event in left {
                let Some(service) = event.payload["service"].as_i64().map(ServiceId) else {
                    tracing::error!(id = event.id, "a changed wish without a service is dropped");
                    told.push(event.id);
                    continue;
                };
                let now = self.now();
                let over = now.since(event.at) > GIVEN_UP;
                let done = if woken.contains(&service) {
                    true
                } else if failed.get(&service, now, REST).is_some() {
                    over
                } else {
                    match self.wake(service).await {
                        Ok(()) => woken.insert(service),
                        Err(error) => {
                            failed.put(service, (), now, REST);
                            tracing::warn!(%service, %error, over, "a device could not be told of a changed wish");
                            over
                        }
                    }
                };
                if done {
                    told.push(event.id);
                }
            }
            if !told.is_empty() {
                self.store()
                    .write(move |tx| Box::pin(async move { outbox::mark_delivered(tx, &told).await }))
                    .await?;
            }
        }
    }

    async fn wake(&self, service: ServiceId) -> Result<(), AppError> {
        let Some(row) = self.store().get::<rows::Service>(service).await? else { return Ok(()) };
        let Some(cpe) = row.cpe_id else { return Ok(()) };
        // The last wish of a service is to have no device.
        let event = match row.state {
            ServiceState::Terminated => Event::Released { why: format!("service {} has ended", row.code) },
            _ => {
                let intents = self.intents_of(Some(service)).await?;
                Event::IntentChanged(Wish::of(intents.as_ref(), self.fingerprint_key()))
            }
        };
        match self.feed(cpe, event).await {
            Ok(_) | Err(AppError::NotFound(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
