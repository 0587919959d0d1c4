//! History: appended to with the change it speaks of, read in pages from the newest.

use crate::{
    db::{Db, Tx},
    entities::{TimelineEntry, timeline},
    error::StoreError,
    record::Change,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr};
use types::{CpeId, CustomerId, OltId, OnuRowId, ServiceId, TimelineId, UtcMs};

/// What a page of history is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// A service.
    Service(ServiceId),
    /// An ONU.
    Onu(OnuRowId),
    /// An OLT.
    Olt(OltId),
    /// A CPE.
    Cpe(CpeId),
    /// A customer.
    Customer(CustomerId),
    /// Everything.
    All,
}

/// Appends a line; it is there when the unit is.
///
/// # Errors
/// When the database cannot be written.
pub async fn append(tx: &Tx, entry: &TimelineEntry) -> Result<TimelineId, StoreError> {
    tx.insert(entry).await
}

/// What was told of one CPE is told of another from now on: a row that only announced it goes, its history stays.
///
/// # Errors
/// When the database cannot be written.
pub async fn hand_over(tx: &Tx, from: CpeId, to: CpeId) -> Result<u64, StoreError> {
    let moved = timeline::Entity::update_many()
        .col_expr(timeline::Column::CpeId, Expr::value(Some(to.0)))
        .filter(timeline::Column::CpeId.eq(from.0))
        .run(tx)
        .await?;
    Ok(moved)
}

/// Lines of one kind about a service, from a moment on.
///
/// # Errors
/// When the database cannot be read.
pub async fn since(
    db: &Db,
    service: ServiceId,
    code: &str,
    from: UtcMs,
) -> Result<Vec<TimelineEntry>, StoreError> {
    use timeline::Column;
    let query = timeline::Entity::find().filter(Column::ServiceId.eq(service.0));
    db.find_all(query.filter(Column::Code.eq(code)).filter(Column::At.gt(from.0))).await
}

/// A page of history, newest first: up to `limit` lines before `before`.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(
    db: &Db,
    subject: Subject,
    before: Option<TimelineId>,
    limit: u64,
) -> Result<Vec<TimelineEntry>, StoreError> {
    use timeline::Column;
    let mut query = timeline::Entity::find().order_by_desc(Column::Id).limit(limit);
    query = match subject {
        Subject::Service(id) => query.filter(Column::ServiceId.eq(id.0)),
        Subject::Onu(id) => query.filter(Column::OnuRowId.eq(id.0)),
        Subject::Olt(id) => query.filter(Column::OltId.eq(id.0)),
        Subject::Cpe(id) => query.filter(Column::CpeId.eq(id.0)),
        Subject::Customer(id) => query.filter(Column::CustomerId.eq(id.0)),
        Subject::All => query,
    };
    if let Some(before) = before {
        query = query.filter(Column::Id.lt(before.0));
    }
    db.find_all(query).await
}
