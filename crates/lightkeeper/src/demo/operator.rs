//! The demo's own operator: authorises what the scenario does not leave to the visitor, by the same command that the
//! pages use.

use super::{network::look_again, seed::DEMO};
use app::{App, AppError, AuthoriseFor, AuthoriseRequest};
use sim::scenario::{OnuPlan, Wait};
use std::collections::HashMap;
use store::detected;
use tokio_util::sync::CancellationToken;
use types::Serial;

/// Most detected ONUs looked at per round.
const ROUND: u64 = 200;

pub(crate) async fn run(app: App, plans: Vec<OnuPlan>, stop: CancellationToken) {
    let by_serial: HashMap<Serial, OnuPlan> = plans.into_iter().map(|plan| (plan.serial, plan)).collect();
    while !stop.is_cancelled() {
        if let Err(error) = round(&app, &by_serial).await {
            tracing::error!(%error, "the demo's operator stops for a moment");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = look_again() => {}
        }
    }
}

async fn round(app: &App, plans: &HashMap<Serial, OnuPlan>) -> Result<(), AppError> {
    for seen in detected::waiting(app.store(), ROUND).await? {
        let Some(plan) = plans.get(&seen.serial) else { continue };
        if plan.wait == Wait::Operator {
            continue;
        }
        let request = AuthoriseRequest {
            olt_id: seen.olt_id,
            pon: seen.pon,
            serial: seen.serial,
            service: AuthoriseFor::Expected,
            description: None,
            internet_vlan: None,
            untagged: None,
            seen: None,
        };
        match app.authorise_onu(&DEMO, &request).await {
            // A conflict means that it is being done, or was: the next round will see.
            Ok(_) | Err(AppError::Conflict(_)) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(())
}
