//! Read models for pages and the API: lists with filter, sort, page and total; search. Never writes.
//!
//! A function here takes `db: &Db` (a `&Store` or a `&Tx` derefs to it), which is a connection for SeaORM:
//! `entities::services::Entity::find().filter(services::Column::State.eq("active")).all(db).await?`. The entities are
//! in [`crate::entities`], one module per table; `crate::record::rows::<Service>(models)` turns models into rows.
//! What leaves this module is a plain struct: no ORM type in a public signature.
