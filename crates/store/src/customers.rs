//! Customers and plans.

use crate::{
    db::Db,
    entities::{Customer, Plan, customers, plans},
    error::StoreError,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryOrder, QuerySelect};

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
    db.find_all(plans::Entity::find().order_by_desc(plans::Column::Active).order_by_asc(plans::Column::Name))
        .await
}

/// The first number a customer gets: `C-10001`.
const FIRST_CODE: i64 = 10_001;

/// The next free customer number. Two units may get the same one; then the second insert is a
/// [`StoreError::Duplicate`] and is asked again.
///
/// # Errors
/// When the database cannot be read.
pub async fn next_code(db: &Db) -> Result<String, StoreError> {
    let last: Option<i64> = customers::Entity::find()
        .select_only()
        .expr(customers::Column::Id.max())
        .into_tuple::<Option<i64>>()
        .one(db)
        .await?
        .flatten();
    let mut number = FIRST_CODE + last.unwrap_or(0);
    while by_code(db, &format!("C-{number}")).await?.is_some() {
        number += 1;
    }
    Ok(format!("C-{number}"))
}
