//! Device orders: the record of what people and programs ordered for a CPE and what came of it. What is open is decided
//! by the machine of the CPE; a row only ever follows it, in the same unit of work.

use crate::{
    db::{Db, Tx},
    entities::{DeviceOrder, cpe_faults, device_orders},
    error::StoreError,
    record::Change,
    sealing::Slot,
};
use sea_orm::{
    ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};
use types::{CpeId, DeviceOrderId, Secret, UtcMs};

/// Writes a new order with its content.
///
/// # Errors
/// [`StoreError::Duplicate`] when its key is taken, or when the database cannot be written.
pub async fn insert(tx: &Tx, order: &DeviceOrder, body: &Secret) -> Result<DeviceOrderId, StoreError> {
    let id = tx.insert(order).await?;
    tx.put_secret(Slot::DeviceOrder(id), Some(body)).await?;
    Ok(id)
}

/// The order with this key.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_key(db: &Db, key: &str) -> Result<Option<DeviceOrder>, StoreError> {
    db.find_one(device_orders::Column::Key.eq(key)).await
}

/// Open orders of a CPE with their content, the oldest first.
///
/// # Errors
/// When the database cannot be read, or a content does not open.
pub async fn open_of(db: &Db, cpe: CpeId) -> Result<Vec<(DeviceOrder, Option<Secret>)>, StoreError> {
    let found: Vec<DeviceOrder> = db
        .find_all(
            device_orders::Entity::find()
                .filter(device_orders::Column::CpeId.eq(cpe.0))
                .filter(device_orders::Column::EndedAt.is_null())
                .order_by_asc(device_orders::Column::Id),
        )
        .await?;
    found
        .into_iter()
        .map(|row| {
            let body = db.open_secret(Slot::DeviceOrder(row.id), row.body_sealed.as_ref())?;
            Ok((row, body))
        })
        .collect()
}

/// Kinds of the open orders of a CPE.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_kinds(db: &Db, cpe: CpeId) -> Result<Vec<String>, StoreError> {
    Ok(device_orders::Entity::find()
        .select_only()
        .column(device_orders::Column::Kind)
        .filter(device_orders::Column::CpeId.eq(cpe.0))
        .filter(device_orders::Column::EndedAt.is_null())
        .into_tuple()
        .all(db)
        .await?)
}

/// How many orders of these kinds are open on all CPEs together.
///
/// # Errors
/// When the database cannot be read.
pub async fn open_of_kinds(db: &Db, kinds: &[&str]) -> Result<u64, StoreError> {
    Ok(device_orders::Entity::find()
        .filter(device_orders::Column::EndedAt.is_null())
        .filter(device_orders::Column::Kind.is_in(kinds.iter().copied()))
        .count(db)
        .await?)
}

/// Latest orders of a CPE, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_cpe(db: &Db, cpe: CpeId, limit: u64) -> Result<Vec<DeviceOrder>, StoreError> {
    db.find_all(
        device_orders::Entity::find()
            .filter(device_orders::Column::CpeId.eq(cpe.0))
            .order_by_desc(device_orders::Column::Id)
            .limit(limit),
    )
    .await
}

/// What became of an order.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// Which.
    pub key: String,
    /// Where it stands now.
    pub state: String,
    /// In words.
    pub text: String,
    /// CWMP fault code; 0 if there was none.
    pub fault_code: i64,
    /// FaultString.
    pub fault_text: String,
    /// Parameter by parameter, as JSON; `None` leaves what is there.
    pub results: Option<serde_json::Value>,
    /// Values that a refresh read.
    pub values_read: i64,
    /// What came of a test, as JSON; `None` leaves what is there.
    pub findings: Option<serde_json::Value>,
    /// The device was told then, whenever it answers; `None` leaves what is there.
    pub sent_at: Option<UtcMs>,
    /// Nothing more happens to it; its content goes.
    pub ended_at: Option<UtcMs>,
}

/// Writes down where an order stands. One that is over stays as it ended.
///
/// # Errors
/// When the database cannot be written.
pub async fn note(tx: &Tx, news: &News) -> Result<(), StoreError> {
    use device_orders::Column;
    let mut update = device_orders::Entity::update_many()
        .col_expr(Column::State, Expr::value(news.state.clone()))
        .col_expr(Column::Text, Expr::value(news.text.clone()))
        .col_expr(Column::FaultCode, Expr::value(news.fault_code))
        .col_expr(Column::FaultText, Expr::value(news.fault_text.clone()))
        .col_expr(Column::ValuesRead, Expr::value(news.values_read));
    if let Some(results) = &news.results {
        update = update.col_expr(Column::Results, Expr::value(results.to_string()));
    }
    if let Some(findings) = &news.findings {
        update = update.col_expr(Column::Findings, Expr::value(findings.to_string()));
    }
    if let Some(at) = news.sent_at {
        update = update.col_expr(Column::SentAt, Expr::value(Some(at.0)));
    }
    if let Some(at) = news.ended_at {
        update = update
            .col_expr(Column::EndedAt, Expr::value(Some(at.0)))
            .col_expr(Column::BodySealed, Expr::value(None::<Vec<u8>>));
    }
    update.filter(Column::Key.eq(news.key.as_str())).filter(Column::EndedAt.is_null()).run(tx).await?;
    Ok(())
}

/// Takes note that an order was not carried out, and of the faults that it failed by. False: it is not one of those, or
/// somebody did before.
///
/// # Errors
/// When the database cannot be written.
pub async fn dismiss(tx: &Tx, id: DeviceOrderId, at: UtcMs) -> Result<bool, StoreError> {
    use device_orders::Column;
    let done = device_orders::Entity::update_many()
        .col_expr(Column::DismissedAt, Expr::value(Some(at.0)))
        .filter(Column::Id.eq(id.0))
        .filter(Column::State.is_in(["failed", "expired"]))
        .filter(Column::EndedAt.is_not_null())
        .filter(Column::DismissedAt.is_null())
        .run(tx)
        .await?;
    let order: Option<DeviceOrder> = if done > 0 { tx.get(id).await? } else { None };
    if let Some(order) = order.filter(|order| order.fault_code != 0)
        && let Some(ended_at) = order.ended_at
    {
        use cpe_faults::Column as Fault;
        cpe_faults::Entity::update_many()
            .col_expr(Fault::DismissedAt, Expr::value(Some(at.0)))
            .filter(Fault::CpeId.eq(order.cpe_id.0))
            .filter(Fault::At.eq(ended_at.0))
            .filter(Fault::Code.eq(order.fault_code))
            .filter(Fault::ReasonCode.eq("order_failed"))
            .filter(Fault::DismissedAt.is_null())
            .run(tx)
            .await?;
    }
    Ok(done > 0)
}
