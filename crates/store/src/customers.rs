//! Customers and plans.

use crate::{
    db::Db,
    entities::{Customer, Plan, customers, plans},
    error::StoreError,
    record::rows,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryOrder};

/// By our number for them.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_code(db: &Db, code: &str) -> Result<Option<Customer>, StoreError> {
    db.find_one(customers::Column::Code.eq(code)).await
}

/// A plan by name.
///
/// # Errors
/// When the database cannot be read.
pub async fn plan_by_name(db: &Db, name: &str) -> Result<Option<Plan>, StoreError> {
    db.find_one(plans::Column::Name.eq(name)).await
}

/// All plans, those on sale first, by name.
///
/// # Errors
/// When the database cannot be read.
pub async fn plans(db: &Db) -> Result<Vec<Plan>, StoreError> {
    rows(
        plans::Entity::find()
            .order_by_desc(plans::Column::Active)
            .order_by_asc(plans::Column::Name)
            .all(db)
            .await?,
    )
}
