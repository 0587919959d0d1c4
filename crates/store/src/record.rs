//! What every table has in common: a row struct, its columns, and the few statements that are the same for all.

use crate::{
    cell::TypeClass,
    db::{Db, Tx},
    error::{Guarded, StoreError},
};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, Iterable, PrimaryKeyToColumn,
    PrimaryKeyTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Statement, Value, sea_query::Expr,
};

/// A column as the code expects it.
#[derive(Debug, Clone, Copy)]
#[allow(unreachable_pub, reason = "named by a sealed public trait")]
pub struct ColumnSpec {
    pub(crate) name: &'static str,
    pub(crate) class: TypeClass,
    pub(crate) nullable: bool,
}

/// A table as the code expects it.
#[derive(Debug, Clone, Copy)]
pub struct TableSpec {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [ColumnSpec],
}

/// The ORM side of a row; private, so that no ORM type can be named outside this crate.
#[allow(unreachable_pub, reason = "public in a private module: that is what keeps these traits to ourselves")]
pub(crate) mod stored {
    use super::*;

    pub trait Stored: Sized + Clone + Send + Sync + 'static {
        type Entity: EntityTrait<Model = Self::Model, ActiveModel = Self::Active>;
        type Model: sea_orm::ModelTrait<Entity = Self::Entity>
            + sea_orm::FromQueryResult
            + sea_orm::IntoActiveModel<Self::Active>
            + Send
            + Sync;
        type Active: sea_orm::ActiveModelTrait<Entity = Self::Entity> + sea_orm::ActiveModelBehavior + Send;
        const SPEC: TableSpec;
        /// Every column in its order, quoted, each with a comma and a space after it.
        const COLUMNS: &'static str;

        fn from_model(model: Self::Model) -> Result<Self, StoreError>;
        /// From all its columns in their order; `None` if it cannot be read.
        fn from_near(row: &rusqlite::Row<'_>) -> Option<Self>;
        /// Every column set.
        fn into_active(self) -> Self::Active;
    }

    pub type PrimaryKeyOf<R> =
        <<<R as Stored>::Entity as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType;

    pub trait Numbered: Stored {
        type Id: Copy + From<i64> + Into<i64> + std::fmt::Display + Send + Sync;
        /// Every column but the id set, for an insert.
        fn into_new(self) -> Self::Active;
        /// The same as values in their order.
        fn new_values(&self) -> Vec<Value>;
        fn id_of(key: PrimaryKeyOf<Self>) -> Self::Id;
    }

    pub trait Guardable: Numbered {
        /// The columns that an update writes: not the id, not the version, not those apart.
        fn into_change(self) -> Self::Active;
        /// Those of them that are not as in `before`, with their values.
        fn changes_since(&self, before: &Self) -> Vec<(&'static str, Value)>;
        fn identity(&self) -> Self::Id;
        fn version_held(&self) -> i64;
    }
}

use stored::{Guardable, Numbered, Stored};

/// A row of some table.
pub trait Record: Stored {}
impl<T: Stored> Record for T {}

/// A row with an id that the database gives.
pub trait NumberedRecord: Record + Numbered {}
impl<T: Record + Numbered> NumberedRecord for T {}

/// A row with a version: it is only ever changed by somebody who has seen its latest form.
pub trait VersionedRecord: NumberedRecord + Guardable {}
impl<T: NumberedRecord + Guardable> VersionedRecord for T {}

pub(crate) type ColumnOf<R> = <<R as Stored>::Entity as EntityTrait>::Column;

fn id_column<R: Numbered>() -> ColumnOf<R> {
    <R::Entity as EntityTrait>::PrimaryKey::iter()
        .next()
        .expect("a numbered table has a primary key")
        .into_column()
}

/// Turns models into rows.
pub(crate) fn rows<R: Stored>(models: Vec<R::Model>) -> Result<Vec<R>, StoreError> {
    models.into_iter().map(R::from_model).collect()
}

impl Db {
    /// The row with this id.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn get<R: NumberedRecord>(&self, id: R::Id) -> Result<Option<R>, StoreError> {
        Ok(self.find_by_text("WHERE \"id\" = $1", [Into::<i64>::into(id).into()]).await?.pop())
    }

    /// The row with this id, which must be there.
    ///
    /// # Errors
    /// [`StoreError::Missing`] when there is no such row.
    pub async fn require<R: NumberedRecord>(&self, id: R::Id) -> Result<R, StoreError> {
        self.get(id).await?.ok_or_else(|| StoreError::Missing { table: R::SPEC.name, key: id.to_string() })
    }

    /// Up to `limit` rows with an id above `after`, by id: a page for loops that walk a whole table.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn page<R: NumberedRecord>(&self, after: i64, limit: u64) -> Result<Vec<R>, StoreError> {
        let id = id_column::<R>();
        rows(R::Entity::find().filter(id.gt(after)).order_by_asc(id).limit(limit).all(self).await?)
    }

    /// How many rows the table has.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn count<R: Record>(&self) -> Result<u64, StoreError> {
        let sql = ["SELECT COUNT(*) FROM \"", R::SPEC.name, "\""].concat();
        let statement = Statement::from_string(self.get_database_backend(), sql);
        let count: Option<i64> = match self.number(&statement) {
            Some(count) => count?,
            None => match self.query_one_raw(statement).await? {
                Some(row) => Some(row.try_get_by_index(0)?),
                None => None,
            },
        };
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    pub(crate) async fn find_one<R: Record>(
        &self,
        filter: impl sea_orm::sea_query::IntoCondition,
    ) -> Result<Option<R>, StoreError> {
        Ok(self.find_some(R::Entity::find().filter(filter).limit(1)).await?.pop())
    }

    /// Few rows by their keys: near by if it can be. What is asked with every contact of a device is asked in words: to
    /// have a query of all columns built costs more than its answer.
    pub(crate) async fn find_by_text<R: Record, const N: usize>(
        &self,
        tail: &str,
        values: [Value; N],
    ) -> Result<Vec<R>, StoreError> {
        let sql = [
            "SELECT ",
            R::COLUMNS.strip_suffix(", ").unwrap_or(R::COLUMNS),
            " FROM \"",
            R::SPEC.name,
            "\" ",
            tail,
        ];
        let statement = Statement::from_sql_and_values(self.get_database_backend(), sql.concat(), values);
        // Nothing is waited for here; others get their turn all the same.
        tokio::task::coop::consume_budget().await;
        if let Some(near) = self.near()
            && let Some(found) = near.rows(&statement)
        {
            return Ok(found);
        }
        match self.found(|| statement.clone()) {
            Some(found) => Ok(found?),
            None => rows(R::Entity::find().from_raw_sql(statement).all(self).await?),
        }
    }

    /// Few rows by their keys: near by if it can be.
    pub(crate) async fn find_some<R: Record>(
        &self,
        select: sea_orm::Select<R::Entity>,
    ) -> Result<Vec<R>, StoreError> {
        // Nothing is waited for here; others get their turn all the same.
        tokio::task::coop::consume_budget().await;
        if let Some(near) = self.near()
            && let Some(found) = near.rows(&select.build(DbBackend::Sqlite))
        {
            return Ok(found);
        }
        self.find_all(select).await
    }

    /// Rows, however many.
    pub(crate) async fn find_all<R: Record>(
        &self,
        select: sea_orm::Select<R::Entity>,
    ) -> Result<Vec<R>, StoreError> {
        match self.found(|| select.build(DbBackend::Sqlite)) {
            Some(found) => Ok(found?),
            None => rows(select.all(self).await?),
        }
    }
}

/// Statements that change rows.
pub(crate) trait Change: QueryTrait + Sized + Send {
    /// Runs it; says how many rows it changed.
    fn run(self, tx: &Tx) -> impl Future<Output = Result<u64, StoreError>> + Send {
        let statement = self.build(tx.get_database_backend());
        async move { Ok(tx.db().run(statement).await?) }
    }
}

impl<A: sea_orm::ActiveModelTrait + Send> Change for sea_orm::Insert<A> {}
impl<A: sea_orm::ActiveModelTrait + Send> Change for sea_orm::InsertMany<A> {}
impl<E: EntityTrait> Change for sea_orm::UpdateMany<E> {}
impl<E: EntityTrait> Change for sea_orm::DeleteMany<E> {}

impl Tx {
    /// Writes a new row; its `id` is ignored and the one it got is returned.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] when a unique value is taken, [`StoreError::Dangling`] when it points nowhere.
    pub async fn insert<R: NumberedRecord>(&self, row: &R) -> Result<R::Id, StoreError> {
        if let Some(number) = self.db().inserted(|| insert_in_words(row)) {
            return Ok(R::Id::from(number?));
        }
        Ok(R::id_of(R::Entity::insert(row.clone().into_new()).exec(self.db()).await?.last_insert_id))
    }

    /// Writes many new rows at once; their ids are ignored.
    ///
    /// # Errors
    /// As [`Tx::insert`].
    pub async fn insert_many<R: NumberedRecord>(&self, rows: &[R]) -> Result<(), StoreError> {
        if self.db().local().is_some() {
            // One statement that is prepared already, again and again.
            for row in rows {
                self.insert(row).await?;
            }
            return Ok(());
        }
        for some in rows.chunks(rows_per_statement::<R>()) {
            R::Entity::insert_many(some.iter().cloned().map(R::into_new)).run(self).await?;
        }
        Ok(())
    }

    /// Changes the row if its version is still the one in `row`, and counts the version up. What polls observed and
    /// secrets are not touched: they have functions of their own.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] or [`StoreError::Dangling`] as for an insert. A changed version is no error but
    /// [`Guarded::NotAsExpected`].
    pub async fn update<R: VersionedRecord>(&self, row: &R) -> Result<Guarded, StoreError> {
        let id: i64 = row.identity().into();
        let done = R::Entity::update_many()
            .set(row.clone().into_change())
            .col_expr("version", Expr::col("version").add(1))
            .filter(id_column::<R>().eq(id))
            .filter(Expr::col("version").eq(row.version_held()))
            .run(self)
            .await?;
        self.guarded::<R>(row.identity(), done).await
    }

    /// The same where the row is known as it was before: only what is different is written, and only the indexes of that
    /// are touched.
    ///
    /// # Errors
    /// As [`Tx::update`].
    pub(crate) async fn update_since<R: VersionedRecord>(
        &self,
        before: &R,
        row: &R,
    ) -> Result<Guarded, StoreError> {
        let mut sql = ["UPDATE \"", R::SPEC.name, "\" SET "].concat();
        let mut values = Vec::new();
        for (column, value) in row.changes_since(before) {
            values.push(value);
            sql.push_str(&format!("\"{column}\" = ${}, ", values.len()));
        }
        let (id, version) = (values.len() + 1, values.len() + 2);
        sql.push_str(&format!(
            "\"version\" = \"version\" + 1 WHERE \"id\" = ${id} AND \"version\" = ${version}"
        ));
        values.extend([Value::from(Into::<i64>::into(row.identity())), Value::from(before.version_held())]);
        let statement = Statement::from_sql_and_values(self.get_database_backend(), sql, values);
        let done = self.db().run(statement).await?;
        self.guarded::<R>(row.identity(), done).await
    }

    async fn guarded<R: VersionedRecord>(&self, id: R::Id, done: u64) -> Result<Guarded, StoreError> {
        if done > 0 {
            return Ok(Guarded::Changed);
        }
        Ok(match self.get::<R>(id).await? {
            Some(other) => Guarded::NotAsExpected { found: format!("version {}", other.version_held()) },
            None => Guarded::NotFound,
        })
    }

    /// Removes the row; says whether there was one.
    ///
    /// # Errors
    /// [`StoreError::Dangling`] when other rows still point to it.
    pub async fn delete<R: NumberedRecord>(&self, id: R::Id) -> Result<bool, StoreError> {
        let done =
            R::Entity::delete_many().filter(id_column::<R>().eq(Into::<i64>::into(id))).run(self).await?;
        Ok(done > 0)
    }
}

fn insert_in_words<R: Numbered>(row: &R) -> Statement {
    let values = row.new_values();
    let columns = R::COLUMNS.strip_prefix("\"id\", ").unwrap_or(R::COLUMNS);
    let mut places = "?, ".repeat(values.len());
    places.truncate(places.len().saturating_sub(2));
    let sql = [
        "INSERT INTO \"",
        R::SPEC.name,
        "\" (",
        columns.strip_suffix(", ").unwrap_or(columns),
        ") VALUES (",
        &places,
        ")",
    ];
    Statement::from_sql_and_values(DbBackend::Sqlite, sql.concat(), values)
}

/// SQLite takes 32,766 bound values in a statement and PostgreSQL 65,535; half of the smaller is plenty.
pub(crate) fn rows_per_statement<R: Stored>() -> usize {
    (16_000 / R::SPEC.columns.len()).max(1)
}

/// Declares a table: the public row struct and the private entity behind it, from one list of columns.
///
/// `numbered` tables have an id from the database and are appended to; `versioned` ones also have a version and are
/// changed under guard; `keyed` ones are identified by their own columns. Columns `apart` have
/// functions of their own and are not touched by an update: what polls observe, and secrets, so that neither is
/// overwritten by an edit that was begun before.
macro_rules! table {
    (numbered $name:literal $(#[$doc:meta])* $module:ident => $row:ident[$id:ty] {
        $($(#[$cdoc:meta])* $col:ident: $ty:ty,)*
    }) => {
        table!(@entity $name $module, $(#[$doc])* $row,
            keys { [primary_key] /// Given by the database.
                id: $id, }
            cells { $($(#[$cdoc])* $col: $ty,)* });
        table!(@numbered $module, $row[$id], { $($col)* });
    };
    (versioned $name:literal $(#[$doc:meta])* $module:ident => $row:ident[$id:ty] {
        $($(#[$cdoc:meta])* $col:ident: $ty:ty,)*
    } $(apart {
        $($(#[$odoc:meta])* $ocol:ident: $oty:ty,)*
    })?) => {
        table!(@entity $name $module, $(#[$doc])* $row,
            keys { [primary_key] /// Given by the database.
                id: $id, }
            cells { $($(#[$cdoc])* $col: $ty,)* $($($(#[$odoc])* $ocol: $oty,)*)?
                /// Counts changes; an update must name the one it saw.
                version: i64, });
        table!(@numbered $module, $row[$id], { $($col)* $($($ocol)*)? version });
        impl Guardable for $row {
            fn into_change(self) -> $module::ActiveModel {
                $module::ActiveModel {
                    $($col: Set(self.$col.into_raw()),)*
                    ..Default::default()
                }
            }
            fn changes_since(&self, before: &Self) -> Vec<(&'static str, sea_orm::Value)> {
                let mut changes = Vec::new();
                $(if self.$col != before.$col {
                    changes.push((stringify!($col), self.$col.clone().into_raw().into()));
                })*
                changes
            }
            fn identity(&self) -> $id { self.id }
            fn version_held(&self) -> i64 { self.version }
        }
    };
    (keyed $name:literal $(#[$doc:meta])* $module:ident => $row:ident by {
        $($(#[$kdoc:meta])* $key:ident: $kty:ty,)+
    } and {
        $($(#[$cdoc:meta])* $col:ident: $ty:ty,)*
    }) => {
        table!(@entity $name $module, $(#[$doc])* $row,
            keys { $([primary_key, auto_increment = false] $(#[$kdoc])* $key: $kty,)+ }
            cells { $($(#[$cdoc])* $col: $ty,)* });
    };
    (@numbered $module:ident, $row:ident[$id:ty], { $($col:ident)* }) => {
        impl Numbered for $row {
            type Id = $id;
            fn into_new(self) -> $module::ActiveModel {
                $module::ActiveModel {
                    id: sea_orm::ActiveValue::NotSet,
                    $($col: Set(self.$col.into_raw()),)*
                }
            }
            fn new_values(&self) -> Vec<sea_orm::Value> {
                vec![$(self.$col.clone().into_raw().into(),)*]
            }
            fn id_of(key: PrimaryKeyOf<Self>) -> $id { <$id>::from(key) }
        }
    };
    (@entity $name:literal $module:ident, $(#[$doc:meta])* $row:ident,
        keys { $([$($katt:tt)*] $(#[$kdoc:meta])* $key:ident: $kty:ty,)+ }
        cells { $($(#[$cdoc:meta])* $col:ident: $ty:ty,)* }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(unreachable_pub, reason = "most rows are exported, some are not")]
        pub struct $row {
            $($(#[$kdoc])* pub $key: $kty,)+
            $($(#[$cdoc])* pub $col: $ty,)*
        }

        #[allow(unused_imports, unreachable_pub, reason = "which types a table needs differs; the derive wants `pub`")]
        pub(crate) mod $module {
            use super::*;
            use sea_orm::entity::prelude::*;

            #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
            #[sea_orm(table_name = $name)]
            pub struct Model {
                $(#[sea_orm($($katt)*)] pub $key: Raw<$kty>,)+
                $(pub $col: Raw<$ty>,)*
            }

            #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
            pub enum Relation {}

            impl ActiveModelBehavior for ActiveModel {}
        }

        impl Stored for $row {
            type Entity = $module::Entity;
            type Model = $module::Model;
            type Active = $module::ActiveModel;
            const SPEC: TableSpec = TableSpec {
                name: $name,
                columns: &[
                    $(ColumnSpec {
                        name: stringify!($key), class: <$kty as Cell>::CLASS, nullable: <$kty as Cell>::NULLABLE,
                    },)+
                    $(ColumnSpec {
                        name: stringify!($col), class: <$ty as Cell>::CLASS, nullable: <$ty as Cell>::NULLABLE,
                    },)*
                ],
            };
            const COLUMNS: &'static str =
                concat!($("\"", stringify!($key), "\", ",)+ $("\"", stringify!($col), "\", ",)*);
            fn from_model(model: $module::Model) -> Result<Self, StoreError> {
                Ok($row {
                    $($key: read::<$kty>(model.$key, $name, stringify!($key))?,)+
                    $($col: read::<$ty>(model.$col, $name, stringify!($col))?,)*
                })
            }
            fn from_near(row: &rusqlite::Row<'_>) -> Option<Self> {
                let mut columns = 0..;
                Some($row {
                    $($key: near::<$kty>(row, columns.next()?)?,)+
                    $($col: near::<$ty>(row, columns.next()?)?,)*
                })
            }
            fn into_active(self) -> $module::ActiveModel {
                $module::ActiveModel {
                    $($key: Set(self.$key.into_raw()),)+
                    $($col: Set(self.$col.into_raw()),)*
                }
            }
        }
    };
}
pub(crate) use table;
