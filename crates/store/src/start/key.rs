//! The right key, before anything is served.

use super::live::Live;
use crate::{
    entities::schema_state,
    error::{StartError, StoreError},
    sealing::{KeySource, Sealed, SealingKey, Slot},
};
use sea_orm::{ColumnTrait, DatabaseConnection, EntityTrait, QueryFilter, sea_query::Expr};

const CANARY: &[u8] = b"lightkeeper";

fn canary(live: &Live) -> Option<&Sealed> {
    live.state.as_ref()?.canary_sealed.as_ref()
}

/// The key for this database. A new one is made only where there is nothing that an old one could have sealed: the
/// canary is planted before a store is ever opened, so without a canary there are no secrets.
pub(crate) fn find(source: &KeySource, live: &Live) -> Result<SealingKey, StartError> {
    let key = match (source, canary(live)) {
        (KeySource::Key(key), _) => key.clone(),
        (KeySource::File(path), Some(_)) => SealingKey::load(path)?,
        (KeySource::File(path), None) => SealingKey::load_or_create(path)?,
    };
    verify(&key, live)?;
    Ok(key)
}

/// As [`find`], making nothing.
pub(crate) fn check(source: &KeySource, live: &Live) -> Result<(), StartError> {
    match source {
        KeySource::Key(key) => verify(key, live),
        KeySource::File(path) => verify(&SealingKey::load(path)?, live),
    }
}

fn verify(key: &SealingKey, live: &Live) -> Result<(), StartError> {
    match canary(live) {
        Some(sealed) if !key.made(sealed) => Err(StartError::KeyWrong),
        Some(sealed) => match key.open(Slot::Canary, sealed) {
            Ok(plain) if plain.as_slice() == CANARY => Ok(()),
            _ => Err(StartError::KeyWrong),
        },
        None => Ok(()),
    }
}

/// Seals the canary if there is none yet.
pub(crate) async fn plant_canary(
    connection: &DatabaseConnection,
    key: &SealingKey,
    live: &Live,
) -> Result<(), StartError> {
    if canary(live).is_some() {
        return Ok(());
    }
    let sealed = key.seal(Slot::Canary, CANARY)?;
    schema_state::Entity::update_many()
        .col_expr(schema_state::Column::CanarySealed, Expr::value(sealed.into_bytes()))
        .filter(schema_state::Column::Id.eq(1))
        .exec(connection)
        .await
        .map_err(StoreError::from)?;
    Ok(())
}
