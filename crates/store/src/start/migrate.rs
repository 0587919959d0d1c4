//! Applying migrations, one transaction each, and refusing what was not left whole.

use super::{Address, live::Live};
use crate::{
    entities::{EXPECTED, SchemaState, schema_state},
    error::{StartError, StoreError},
    migrations::Migrations,
    record::stored::Stored,
};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, EntityTrait, SqliteTransactionMode,
    TransactionOptions, TransactionTrait, sea_query::OnConflict,
};
use sea_orm_migration::{MigrationTrait, SchemaManager};
use types::UtcMs;

pub(crate) const READY: &str = "ready";
pub(crate) const MIGRATING: &str = "migrating";

/// Kept by us: the migration library's own table, so that its tools can read it, and ours.
const BOOKKEEPING: &str = "
    CREATE TABLE IF NOT EXISTS seaql_migrations (
        version text NOT NULL PRIMARY KEY,
        applied_at bigint NOT NULL
    );
    CREATE TABLE IF NOT EXISTS schema_state (
        id bigint NOT NULL PRIMARY KEY,
        schema_version bigint NOT NULL,
        phase text NOT NULL,
        migration text NOT NULL,
        at bigint NOT NULL,
        canary_sealed {bytes}
    );";

/// Refuses a schema that is newer than this binary, or that a migration left in the middle.
pub(crate) fn refuse_unknown(live: &Live, migrations: &Migrations) -> Result<(), StartError> {
    let known: Vec<String> = migrations.iter().map(|migration| migration.name().to_owned()).collect();
    let unknown: Vec<String> = live.migrations.iter().filter(|name| !known.contains(name)).cloned().collect();
    if !unknown.is_empty() {
        return Err(StartError::NewerSchema { unknown, known: known.len() });
    }
    if let Some(state) = live.state.as_ref().filter(|state| state.phase != READY) {
        return Err(StartError::HalfApplied {
            migration: state.migration.clone(),
            why: format!("schema_state has said \"{} {}\" since {}", state.phase, state.migration, state.at),
        });
    }
    // Applied in order means recorded in order: a hole was made by hand, or by half a restore.
    if let Some(hole) = known.iter().take(live.migrations.len()).find(|name| !live.migrations.contains(name))
    {
        return Err(StartError::HalfApplied {
            migration: hole.clone(),
            why: "later migrations are recorded and this one is not".to_owned(),
        });
    }
    if live.migrations.is_empty() {
        let stray = EXPECTED
            .iter()
            .find(|table| table.name != SchemaState::SPEC.name && live.tables.contains_key(table.name));
        if let (Some(stray), Some(first)) = (stray, known.first()) {
            return Err(StartError::HalfApplied {
                migration: first.clone(),
                why: format!("table {} is there and no migration is recorded", stray.name),
            });
        }
    }
    Ok(())
}

/// Names of the migrations that are still to be applied, oldest first.
pub(crate) fn pending(live: &Live, migrations: &Migrations) -> Vec<String> {
    migrations
        .iter()
        .map(|migration| migration.name().to_owned())
        .filter(|name| !live.migrations.contains(name))
        .collect()
}

/// Tries to write without writing: asks for the write lock, or for the server's word, and gives it back.
pub(crate) async fn require_writable(
    address: &Address,
    connection: &DatabaseConnection,
) -> Result<(), StartError> {
    let read_only = |why: String| StartError::ReadOnly { place: address.to_string(), why };
    if connection.get_database_backend() == DbBackend::Postgres {
        let ask = sea_orm::Statement::from_string(
            DbBackend::Postgres,
            "SELECT current_setting('transaction_read_only') = 'on'",
        );
        let answer = connection.query_one_raw(ask).await.map_err(StoreError::from)?;
        let locked: bool = match answer {
            Some(row) => row.try_get_by_index(0).map_err(StoreError::from)?,
            None => false,
        };
        if locked {
            return Err(read_only(
                "the server takes no writes (a standby, or default_transaction_read_only)".into(),
            ));
        }
        return Ok(());
    }
    match begin(connection).await {
        Ok(transaction) => {
            // SQLite grants the lock on a file it cannot write; writing the version that is already there tells.
            let probe = async {
                let row = transaction
                    .query_one_raw(sea_orm::Statement::from_string(DbBackend::Sqlite, "PRAGMA user_version"))
                    .await?;
                let version: i32 = match row {
                    Some(row) => row.try_get_by_index(0)?,
                    None => 0,
                };
                transaction.execute_unprepared(&format!("PRAGMA user_version = {version}")).await
            };
            let probed = probe.await;
            let _ = transaction.rollback().await;
            match probed.map_err(StoreError::from) {
                Ok(_) => Ok(()),
                Err(StoreError::ReadOnly { why }) => Err(read_only(why)),
                Err(other) => Err(other.into()),
            }
        }
        Err(StoreError::ReadOnly { why }) => Err(read_only(why)),
        Err(other) => Err(other.into()),
    }
}

async fn begin(connection: &DatabaseConnection) -> Result<DatabaseTransaction, StoreError> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..TransactionOptions::default()
    };
    Ok(connection.begin_with_options(options).await?)
}

/// Applies what is pending. Each migration, its record and the new schema version are committed together.
pub(crate) async fn apply_pending(
    address: &Address,
    connection: &DatabaseConnection,
    live: &Live,
    migrations: &Migrations,
    now: UtcMs,
) -> Result<Vec<String>, StartError> {
    let mut applied = Vec::new();
    for (index, migration) in migrations.iter().enumerate() {
        if live.migrations.iter().any(|name| name == migration.name()) {
            continue;
        }
        let name = migration.name().to_owned();
        tracing::info!(migration = %name, database = %address, "applying a migration");
        apply(connection, migration.as_ref(), index + 1, now).await.map_err(|error| match error {
            StoreError::ReadOnly { why } => StartError::ReadOnly { place: address.to_string(), why },
            other => StartError::MigrationFailed { migration: name.clone(), why: other.to_string() },
        })?;
        applied.push(name);
    }
    Ok(applied)
}

async fn apply(
    connection: &DatabaseConnection,
    migration: &dyn MigrationTrait,
    version: usize,
    now: UtcMs,
) -> Result<(), StoreError> {
    let transactional = migration.use_transaction() != Some(false);
    let transaction = begin(connection).await?;
    let bytes = if connection.get_database_backend() == DbBackend::Postgres { "bytea" } else { "blob" };
    transaction.execute_unprepared(&BOOKKEEPING.replace("{bytes}", bytes)).await?;
    mark(&transaction, version - 1, MIGRATING, migration.name(), now).await?;
    if transactional {
        migration.up(&SchemaManager::new(&transaction)).await?;
        record(&transaction, version, migration.name(), now).await?;
        return Ok(transaction.commit().await?);
    }
    // What cannot be undone as a whole is announced first: if we die in it, the next start sees the mark and refuses.
    transaction.commit().await?;
    migration.up(&SchemaManager::new(connection)).await?;
    let transaction = begin(connection).await?;
    record(&transaction, version, migration.name(), now).await?;
    Ok(transaction.commit().await?)
}

async fn record(
    transaction: &DatabaseTransaction,
    version: usize,
    name: &str,
    now: UtcMs,
) -> Result<(), StoreError> {
    use sea_orm::ActiveValue::Set;
    use sea_orm_migration::seaql_migrations;
    let row = seaql_migrations::ActiveModel { version: Set(name.to_owned()), applied_at: Set(now.0 / 1000) };
    seaql_migrations::Entity::insert(row).exec_without_returning(transaction).await?;
    mark(transaction, version, READY, name, now).await
}

async fn mark(
    transaction: &DatabaseTransaction,
    version: usize,
    phase: &str,
    migration: &str,
    now: UtcMs,
) -> Result<(), StoreError> {
    let state = SchemaState {
        id: 1,
        schema_version: i64::try_from(version).unwrap_or(i64::MAX),
        phase: phase.to_owned(),
        migration: migration.to_owned(),
        at: now,
        canary_sealed: None,
    };
    use schema_state::Column;
    schema_state::Entity::insert(state.into_active())
        .on_conflict(
            OnConflict::column(Column::Id)
                .update_columns([Column::SchemaVersion, Column::Phase, Column::Migration, Column::At])
                .to_owned(),
        )
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}
