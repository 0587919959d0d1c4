//! Firmwares of CPE models: that there are some, and the family an operator set for one.

use crate::{
    db::{Db, Tx},
    entities::{CpeFirmware, cpe_firmwares},
    error::StoreError,
    record::Change,
    record::stored::Numbered,
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::OnConflict,
};

/// Most firmwares that are kept: a device may call its firmware another name every day.
pub const MOST_FIRMWARES: u64 = 10_000;
/// Most of them that an operator may set a family for.
pub const MOST_OVERRIDES: u64 = 500;

/// The firmware of this name.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_identity(
    db: &Db,
    oui: &str,
    product_class: &str,
    software_version: &str,
) -> Result<Option<CpeFirmware>, StoreError> {
    use cpe_firmwares::Column;
    db.find_one(
        Condition::all()
            .add(Column::Oui.eq(oui))
            .add(Column::ProductClass.eq(product_class))
            .add(Column::SoftwareVersion.eq(software_version)),
    )
    .await
}

/// Writes down that there is this firmware, if that is not known and there is room. False: there is no room.
///
/// # Errors
/// When the database cannot be written.
pub async fn meet(tx: &Tx, new: &CpeFirmware) -> Result<bool, StoreError> {
    if by_identity(tx, &new.oui, &new.product_class, &new.software_version).await?.is_some() {
        return Ok(true);
    }
    if tx.count::<CpeFirmware>().await? >= MOST_FIRMWARES {
        return Ok(false);
    }
    use cpe_firmwares::{Column, Entity};
    Entity::insert(new.clone().into_new())
        .on_conflict(
            OnConflict::columns([Column::Oui, Column::ProductClass, Column::SoftwareVersion])
                .do_nothing()
                .to_owned(),
        )
        .run(tx)
        .await?;
    Ok(true)
}

/// Firmwares that an operator set a family for, at most [`MOST_OVERRIDES`].
///
/// # Errors
/// When the database cannot be read.
pub async fn overridden(db: &Db) -> Result<Vec<CpeFirmware>, StoreError> {
    use cpe_firmwares::{Column, Entity};
    db.find_all(
        Entity::find().filter(Column::Family.is_not_null()).order_by_asc(Column::Id).limit(MOST_OVERRIDES),
    )
    .await
}
