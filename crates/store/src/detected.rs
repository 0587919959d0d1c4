//! ONUs that an OLT sees and nobody planned.

use crate::{
    db::{Db, Tx},
    entities::{DetectedOnu, detected_onus},
    error::{Guarded, StoreError},
    record::{Change, stored::Numbered},
    words::DetectedState,
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{CaseStatement, Expr, OnConflict},
};
use types::{DetectedOnuId, OltId, PonPath, Serial, UtcMs};

/// What autofind says of an ONU.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// OLT.
    pub olt_id: OltId,
    /// Port.
    pub pon: PonPath,
    /// Serial.
    pub serial: Serial,
    /// Vendor.
    pub vendor: String,
    /// Equipment id.
    pub equipment_id: String,
    /// Software version.
    pub software_version: String,
    /// Hardware version.
    pub hardware_version: String,
    /// When.
    pub at: UtcMs,
}

/// Records a sighting. One that was gone, or was authorised and is detected again, waits again; one that is being
/// authorised stays so.
///
/// # Errors
/// [`StoreError::Dangling`] if there is no such OLT.
pub async fn saw(tx: &Tx, seen: Sighting) -> Result<(), StoreError> {
    use detected_onus::Column;
    let row = DetectedOnu {
        id: DetectedOnuId(0),
        olt_id: seen.olt_id,
        pon: seen.pon,
        serial: seen.serial,
        vendor: seen.vendor,
        equipment_id: seen.equipment_id,
        software_version: seen.software_version,
        hardware_version: seen.hardware_version,
        state: DetectedState::Waiting,
        first_seen_at: seen.at,
        last_seen_at: seen.at,
        version: 1,
    };
    let state = (detected_onus::Entity, Column::State);
    let busy: sea_orm::sea_query::SimpleExpr = CaseStatement::new()
        .case(Expr::col(state).eq(DetectedState::Authorising.as_str()), DetectedState::Authorising.as_str())
        .finally(DetectedState::Waiting.as_str())
        .into();
    detected_onus::Entity::insert(row.into_new())
        .on_conflict(
            OnConflict::columns([Column::OltId, Column::Serial])
                .update_columns([
                    Column::Pon,
                    Column::Vendor,
                    Column::EquipmentId,
                    Column::SoftwareVersion,
                    Column::HardwareVersion,
                    Column::LastSeenAt,
                ])
                .value(Column::State, busy)
                .to_owned(),
        )
        .run(tx)
        .await?;
    Ok(())
}

/// Marks those as gone that waited on this OLT and were not in the autofind that ended at `at`; returns how many.
///
/// # Errors
/// When the database cannot be written.
pub async fn mark_gone(tx: &Tx, olt: OltId, at: UtcMs) -> Result<u64, StoreError> {
    let done = detected_onus::Entity::update_many()
        .col_expr(detected_onus::Column::State, Expr::value(DetectedState::Gone.as_str()))
        .filter(detected_onus::Column::OltId.eq(olt.0))
        .filter(detected_onus::Column::State.eq(DetectedState::Waiting.as_str()))
        .filter(detected_onus::Column::LastSeenAt.lt(at.0))
        .run(tx)
        .await?;
    Ok(done)
}

/// Guarded change of state.
///
/// # Errors
/// When the database cannot be written.
pub async fn transition(
    tx: &Tx,
    detected: DetectedOnuId,
    from: DetectedState,
    to: DetectedState,
) -> Result<Guarded, StoreError> {
    let done = detected_onus::Entity::update_many()
        .col_expr(detected_onus::Column::State, Expr::value(to.as_str()))
        .col_expr(detected_onus::Column::Version, Expr::col(detected_onus::Column::Version).add(1))
        .filter(detected_onus::Column::Id.eq(detected.0))
        .filter(detected_onus::Column::State.eq(from.as_str()))
        .run(tx)
        .await?;
    if done > 0 {
        return Ok(Guarded::Changed);
    }
    Ok(match tx.get::<DetectedOnu>(detected).await? {
        Some(found) => Guarded::NotAsExpected { found: found.state.to_string() },
        None => Guarded::NotFound,
    })
}

/// A detected ONU by OLT and serial.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_serial(db: &Db, olt: OltId, serial: Serial) -> Result<Option<DetectedOnu>, StoreError> {
    db.find_one(
        Condition::all()
            .add(detected_onus::Column::OltId.eq(olt.0))
            .add(detected_onus::Column::Serial.eq(serial.hex16())),
    )
    .await
}

/// Those that wait, latest first; at most `limit`.
///
/// # Errors
/// When the database cannot be read.
pub async fn waiting(db: &Db, limit: u64) -> Result<Vec<DetectedOnu>, StoreError> {
    db.find_all(
        detected_onus::Entity::find()
            .filter(detected_onus::Column::State.eq(DetectedState::Waiting.as_str()))
            .order_by_desc(detected_onus::Column::LastSeenAt)
            .order_by_asc(detected_onus::Column::Id)
            .limit(limit),
    )
    .await
}
