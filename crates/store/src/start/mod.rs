//! What happens before anything is served: lock, look, migrate, compare, try the key.

mod address;
mod key;
mod live;
mod lock;
mod migrate;
#[cfg(test)]
mod tests;
mod validate;

pub(crate) use address::{Address, PostgresServer, SqliteFile};

use crate::{
    error::StartError,
    migrations::{self, Migrations},
    open::StoreConfig,
    sealing::SealingKey,
};

/// What was found, and what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Where the database is.
    pub place: String,
    /// Migrations applied just now, oldest first.
    pub applied: Vec<String>,
    /// How many migrations are applied in all: the schema version.
    pub schema_version: usize,
    /// Tables compared with what the code expects.
    pub tables_checked: usize,
}

/// Brings the database to the form this binary expects, one node at a time.
pub(crate) async fn prepare(
    address: &Address,
    config: &StoreConfig,
) -> Result<(Report, SealingKey), StartError> {
    prepare_with(address, config, &migrations::all()).await
}

async fn prepare_with(
    address: &Address,
    config: &StoreConfig,
    migrations: &Migrations,
) -> Result<(Report, SealingKey), StartError> {
    let connection = address.connect_for_start(true).await?;
    let lock = lock::take(address, &connection).await?;
    let result = prepare_locked(address, config, migrations, &connection).await;
    lock.release(&connection).await;
    let _ = connection.close().await;
    result.map_err(|error| error.of(address))
}

async fn prepare_locked(
    address: &Address,
    config: &StoreConfig,
    migrations: &Migrations,
    connection: &sea_orm::DatabaseConnection,
) -> Result<(Report, SealingKey), StartError> {
    let found = live::look(connection).await?;
    migrate::refuse_unknown(&found, migrations)?;
    migrate::require_writable(address, connection).await?;
    // Before anything is changed: a wrong key must not cost a migration.
    let key = key::find(&config.key, &found)?;
    let applied = migrate::apply_pending(address, connection, &found, migrations, config.clock.now()).await?;
    let found = live::look(connection).await?;
    let problems = validate::compare(&found);
    if !problems.is_empty() {
        return Err(StartError::WrongSchema { problems });
    }
    key::plant_canary(connection, &key, &found).await?;
    Ok((report(address, applied, &found), key))
}

/// Compares and reports, changing nothing.
pub(crate) async fn check(address: &Address, config: &StoreConfig) -> Result<Report, StartError> {
    let connection = address.connect_for_start(false).await?;
    let result = async {
        let found = live::look(&connection).await?;
        let migrations = migrations::all();
        migrate::refuse_unknown(&found, &migrations)?;
        let pending = migrate::pending(&found, &migrations);
        if !pending.is_empty() {
            return Err(StartError::Pending { pending });
        }
        let problems = validate::compare(&found);
        if !problems.is_empty() {
            return Err(StartError::WrongSchema { problems });
        }
        migrate::require_writable(address, &connection).await?;
        key::check(&config.key, &found)?;
        Ok(report(address, Vec::new(), &found))
    }
    .await;
    let _ = connection.close().await;
    result.map_err(|error| error.of(address))
}

fn report(address: &Address, applied: Vec<String>, found: &live::Live) -> Report {
    Report {
        place: address.to_string(),
        applied,
        schema_version: found.migrations.len(),
        tables_checked: crate::entities::EXPECTED.len(),
    }
}
