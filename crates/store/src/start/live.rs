//! What the database really looks like.

use crate::{
    entities::SchemaState,
    error::{StartError, StoreError},
    record::stored::Stored,
};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, EntityTrait, Statement};
use std::collections::{BTreeMap, BTreeSet};

/// A live column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LiveColumn {
    pub(crate) type_name: String,
    pub(crate) nullable: bool,
}

/// The live schema and what it says about itself.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) tables: BTreeMap<String, BTreeMap<String, LiveColumn>>,
    pub(crate) unique_indexes: BTreeSet<String>,
    /// Names of applied migrations, oldest first.
    pub(crate) migrations: Vec<String>,
    pub(crate) state: Option<SchemaState>,
}

pub(crate) async fn look(connection: &DatabaseConnection) -> Result<Live, StartError> {
    look_inner(connection).await.map_err(StartError::Store)
}

async fn look_inner(connection: &DatabaseConnection) -> Result<Live, StoreError> {
    let backend = connection.get_database_backend();
    let (columns, indexes) = if backend == DbBackend::Postgres {
        (POSTGRES_COLUMNS, POSTGRES_UNIQUE_INDEXES)
    } else {
        (SQLITE_COLUMNS, SQLITE_UNIQUE_INDEXES)
    };
    let mut live = Live::default();
    for row in connection.query_all_raw(Statement::from_string(backend, columns)).await? {
        let table: String = row.try_get_by_index(0)?;
        let column: String = row.try_get_by_index(1)?;
        let type_name: String = row.try_get_by_index(2)?;
        let nullable: i64 = row.try_get_by_index(3)?;
        live.tables
            .entry(table)
            .or_default()
            .insert(column, LiveColumn { type_name: type_name.to_lowercase(), nullable: nullable != 0 });
    }
    for row in connection.query_all_raw(Statement::from_string(backend, indexes)).await? {
        live.unique_indexes.insert(row.try_get_by_index(0)?);
    }
    if live.tables.contains_key("seaql_migrations") {
        let names = "SELECT version FROM seaql_migrations ORDER BY version";
        for row in connection.query_all_raw(Statement::from_string(backend, names)).await? {
            live.migrations.push(row.try_get_by_index(0)?);
        }
    }
    // Only if it has the columns we know: a foreign or later form is reported by the comparison.
    let readable = live.tables.get("schema_state").is_some_and(|columns| {
        SchemaState::SPEC.columns.iter().all(|column| columns.contains_key(column.name))
    });
    if readable {
        let row = crate::entities::schema_state::Entity::find().one(connection).await?;
        live.state = row.map(SchemaState::from_model).transpose()?;
    }
    Ok(live)
}

const SQLITE_COLUMNS: &str = r#"
    SELECT t.name, c.name, c.type, CASE WHEN c."notnull" = 0 AND c.pk = 0 THEN 1 ELSE 0 END
    FROM sqlite_master t JOIN pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"#;

const SQLITE_UNIQUE_INDEXES: &str = r#"
    SELECT i.name FROM sqlite_master t JOIN pragma_index_list(t.name) i
    WHERE t.type = 'table' AND i."unique" = 1"#;

const POSTGRES_COLUMNS: &str = "
    SELECT table_name::text, column_name::text, data_type::text,
           (CASE WHEN is_nullable = 'YES' THEN 1 ELSE 0 END)::bigint
    FROM information_schema.columns WHERE table_schema = current_schema()";

const POSTGRES_UNIQUE_INDEXES: &str = "
    SELECT c.relname::text FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.indisunique AND i.indisvalid AND n.nspname = current_schema()";
