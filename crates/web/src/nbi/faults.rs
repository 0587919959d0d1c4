//! The faults that stand.

use std::{collections::HashMap, sync::Arc};

use app::Actor;
use axum::{
    Extension,
    extract::{Path, RawQuery, State},
    http::Method,
    response::Response,
};
use serde_json::Value;
use store::read::{Read, StandingFaultRow};
use types::{CpeId, DeviceOrderId};

use super::{
    Nbi, Refusal,
    collection::{Asked, Collection, answer},
    devices, document, ids,
    query::{Field, Fields, Found, Subject},
    tasks,
};

/// Faults that a query looks at in one go.
const SCANNED: u32 = 1000;

const FIELDS: Fields = Fields {
    own: &["_id", "device", "channel", "timestamp", "code", "message", "retries"],
    parameters: false,
};

struct Faults {
    app: Arc<app::App>,
    /// Only of this device.
    cpe_id: Option<i64>,
}

/// One fault as a query sees it.
struct Fault {
    id: String,
    device: String,
    channel: String,
    code: String,
    row: StandingFaultRow,
}

impl Fault {
    fn new(row: StandingFaultRow) -> Self {
        let device = ids::id(&row.oui, &row.product_class, &row.serial_number);
        let channel = document::channel(&row);
        Fault { id: format!("{device}:{channel}"), device, channel, code: document::code(&row), row }
    }
}

impl Subject for Fault {
    fn found(&self, field: &Field) -> Found<'_> {
        match field {
            Field::Own("_id") => Found::Text(&self.id),
            Field::Own("device") => Found::Text(&self.device),
            Field::Own("channel") => Found::Text(&self.channel),
            Field::Own("timestamp") => Found::Time(self.row.at),
            Field::Own("code") => Found::Text(&self.code),
            Field::Own("message") => Found::Text(&self.row.text),
            Field::Own("retries") => Found::Number(0),
            Field::Own(_) | Field::Parameter { .. } => Found::Nothing,
        }
    }
}

impl Faults {
    fn read(&self) -> Read<'_> {
        self.app.store().read()
    }
}

impl Collection for Faults {
    type Item = Fault;

    fn chunk(&self) -> usize {
        500
    }

    async fn count(&self) -> Result<u64, Refusal> {
        Ok(self.read().standing_fault_count(self.cpe_id).await?)
    }

    async fn ids(&self, after: i64, skip: u64, limit: u32) -> Result<Vec<i64>, Refusal> {
        let rows = self.read().standing_faults_after(self.cpe_id, after, skip, limit).await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    async fn items(&self, after: i64) -> Result<Vec<(i64, Fault)>, Refusal> {
        let rows = self.read().standing_faults_after(self.cpe_id, after, 0, SCANNED).await?;
        Ok(rows.into_iter().map(|row| (row.id, Fault::new(row))).collect())
    }

    async fn documents(&self, ids: Vec<i64>) -> Result<Vec<Value>, Refusal> {
        let rows = self.read().faults_of(&ids).await?;
        let rows: HashMap<i64, StandingFaultRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        Ok(ids.iter().filter_map(|id| Some(document::fault(rows.get(id)?))).collect())
    }
}

/// Takes note of a fault; one that does not stand is fine, as in GenieACS. It is kept, and its device tries again. That of a
/// task is taken note of with its task: neither stands any more.
pub(super) async fn delete(
    State(nbi): State<Nbi>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Result<(), Refusal> {
    let Some((device, channel)) = id.rsplit_once(':') else { return Ok(()) };
    if let Some(task) = channel.strip_prefix("task_") {
        let Ok(order) = tasks::order_of(&nbi, task).await else { return Ok(()) };
        if order.cpe_id == devices::cpe(&nbi, device).await? {
            nbi.app.dismiss_order(&actor, DeviceOrderId(order.id)).await?;
        }
        return Ok(());
    }
    let Some(fault) = channel.strip_prefix("fault_").and_then(|number| number.parse().ok()) else {
        return Ok(());
    };
    let cpe = CpeId(devices::cpe(&nbi, device).await?);
    nbi.app.dismiss_fault(&actor, cpe, fault).await?;
    Ok(())
}

/// The faults that match.
pub(super) async fn list(
    State(nbi): State<Nbi>,
    method: Method,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = Asked::parse(query.as_deref().unwrap_or_default(), FIELDS)?;
    let cpe_id = match asked.matcher.one_of("device").as_deref() {
        // A device that is not known has no faults: the query itself finds none.
        Some([device]) => devices::cpe(&nbi, device).await.ok(),
        _ => None,
    };
    answer(&nbi, Faults { app: Arc::clone(&nbi.app), cpe_id }, asked, &method).await
}
