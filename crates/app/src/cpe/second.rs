//! A second device that says it is a CPE we have already. Nothing changes for the first one, and whoever looks at its
//! service has to read of it there: the line in the second one's own history is on a page that nobody opens.

use crate::{Actor, App, AppError};
use std::net::IpAddr;
use store::{rows, timeline};
use types::ServiceId;

/// Of one pair this is told once in so many seconds.
const AGAIN_S: u64 = 24 * 3600;
/// Told of one service in that time, whoever comes: somebody who makes up names fills no history.
const MOST: usize = 5;
/// Code of the line.
const SECOND_DEVICE: &str = "second_device";

impl App {
    /// Tells in the history of a service that another device spoke as its CPE.
    pub(super) async fn tell_of_second(
        &self,
        service: ServiceId,
        second: &rows::Cpe,
        from: IpAddr,
    ) -> Result<(), AppError> {
        let now = self.now();
        let since = types::UtcMs(now.0.saturating_sub_unsigned(AGAIN_S * 1000));
        let row: rows::Service = self.found(service, "service").await?;
        let who = format!("{}-{}-{}", second.oui, second.product_class, second.serial_number);
        let from = from.to_canonical();
        let entry = rows::TimelineEntry {
            at: now,
            kind: "report".to_owned(),
            severity: store::Severity::Warn,
            service_id: Some(service),
            cpe_id: row.cpe_id,
            code: SECOND_DEVICE.to_owned(),
            text: format!(
                "A second device says it is the CPE of this service: {who} informed from {from} and is in quarantine as CPE \
                 {}",
                second.id
            ),
            next_text: Some(
                "nothing changes for the CPE of this service; if the customer changed the router, release the first one"
                    .to_owned(),
            ),
            actor: Actor::System("provisioning").label(),
            facts: serde_json::json!({ "second": second.id, "device": who, "address": from.to_string() }),
            ..Default::default()
        };
        let second = serde_json::json!(second.id);
        let told = self
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    let lately = timeline::since(tx, service, SECOND_DEVICE, since).await?;
                    let known = lately.iter().any(|line| line.facts["second"] == second);
                    if known || lately.len() >= MOST {
                        return Ok(false);
                    }
                    timeline::append(tx, &entry).await?;
                    Ok::<_, store::StoreError>(true)
                })
            })
            .await?;
        if told {
            self.bus().say(crate::Change::Service(service));
        }
        Ok(())
    }
}
