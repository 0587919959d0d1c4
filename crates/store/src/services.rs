//! Services, their intents, and the links that make a service the meeting point of contract, ONU and CPE.

use crate::{
    db::{Db, Tx},
    entities::{Cpe, Onu, Service, ServiceIntent, cpes, onus, service_intents, services},
    error::{Guarded, StoreError},
    record::{Change, stored::Stored},
    sealing::{Slot, text_of},
    words::{AccessState, Layer, ServiceState},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement,
    sea_query::{Expr, OnConflict},
};
use types::{CpeId, CustomerId, OnuRowId, Secret, Serial, ServiceId, UtcMs};

/// A service's first number: `S-10001`.
const FIRST_CODE: i64 = 10_001;

/// By number.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_code(db: &Db, code: &str) -> Result<Option<Service>, StoreError> {
    db.find_one(services::Column::Code.eq(code)).await
}

/// By PPPoE login.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_pppoe_login(db: &Db, login: &str) -> Result<Option<Service>, StoreError> {
    db.find_one(services::Column::PppoeLogin.eq(login)).await
}

/// The service on an ONU.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_onu(db: &Db, onu: OnuRowId) -> Result<Option<Service>, StoreError> {
    db.find_one(services::Column::OnuId.eq(onu.0)).await
}

/// The service of a CPE.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_cpe(db: &Db, cpe: CpeId) -> Result<Option<Service>, StoreError> {
    db.find_one(services::Column::CpeId.eq(cpe.0)).await
}

/// Services of a customer.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_customer(db: &Db, customer: CustomerId) -> Result<Vec<Service>, StoreError> {
    db.find_all(
        services::Entity::find()
            .filter(services::Column::CustomerId.eq(customer.0))
            .order_by_asc(services::Column::Id),
    )
    .await
}

/// Services that a PON serial speaks for: they expect it, or their ONU carries it. Terminated ones do not count. More
/// than one is the operator's to decide; at most ten are returned.
///
/// # Errors
/// When the database cannot be read.
pub async fn for_serial(db: &Db, serial: Serial) -> Result<Vec<Service>, StoreError> {
    // One ONU at most is live, and asked as one value PostgreSQL finds it by an index.
    let speaks = "WHERE (\"expected_serial\" = $1 OR \"onu_id\" = \
                  (SELECT \"id\" FROM \"onus\" WHERE \"serial\" = $1 AND \"removed_at\" IS NULL)) \
                  AND \"state\" <> $2 ORDER BY \"id\" LIMIT 10";
    db.find_by_text(speaks, [serial.hex16().into(), ServiceState::Terminated.as_str().into()]).await
}

/// Lets one unit at a time find out who expects a serial number and write it down: until this unit has ended, every other
/// waits here, and then sees what this one wrote.
///
/// # Errors
/// When the database cannot be asked.
pub async fn alone_with_serial(tx: &Tx, serial: Serial) -> Result<(), StoreError> {
    let backend = tx.get_database_backend();
    // On SQLite one unit writes at a time, of whichever process.
    if backend == DbBackend::Postgres {
        let sql = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        let name = format!("expected serial {}", serial.hex16());
        tx.execute_raw(Statement::from_sql_and_values(backend, sql, [name.into()])).await?;
    }
    Ok(())
}

/// The next free service number. Two units may get the same one; then the second insert is a
/// [`StoreError::Duplicate`] and is asked again.
///
/// # Errors
/// When the database cannot be read.
pub async fn next_code(db: &Db) -> Result<String, StoreError> {
    let last: Option<i64> = services::Entity::find()
        .select_only()
        .expr(services::Column::Id.max())
        .into_tuple::<Option<i64>>()
        .one(db)
        .await?
        .flatten();
    let mut number = FIRST_CODE + last.unwrap_or(0);
    loop {
        let code = format!("S-{number}");
        if by_code(db, &code).await?.is_none() {
            return Ok(code);
        }
        number += 1;
    }
}

/// Guarded change of a service's life. `activated_at` is set the first time it becomes active.
///
/// # Errors
/// When the database cannot be written.
pub async fn transition(
    tx: &Tx,
    service: ServiceId,
    from: ServiceState,
    version: i64,
    to: ServiceState,
    now: UtcMs,
) -> Result<Guarded, StoreError> {
    let mut change = services::Entity::update_many()
        .col_expr(services::Column::State, Expr::value(to.as_str()))
        .col_expr(services::Column::Version, Expr::col(services::Column::Version).add(1))
        .filter(services::Column::Id.eq(service.0))
        .filter(services::Column::State.eq(from.as_str()))
        .filter(services::Column::Version.eq(version));
    if to == ServiceState::Active {
        let first = Expr::col(services::Column::ActivatedAt).if_null(now.0);
        change = change.col_expr(services::Column::ActivatedAt, first);
    }
    let done = change.run(tx).await?;
    if done > 0 {
        return Ok(Guarded::Changed);
    }
    why_not(tx, service).await
}

/// Guarded change of what the network lets through.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_access(
    tx: &Tx,
    service: ServiceId,
    version: i64,
    access: AccessState,
    deny_reason: Option<&str>,
) -> Result<Guarded, StoreError> {
    let done = services::Entity::update_many()
        .col_expr(services::Column::AccessState, Expr::value(access.as_str()))
        .col_expr(services::Column::DenyReason, Expr::value(deny_reason.map(str::to_owned)))
        .col_expr(services::Column::Version, Expr::col(services::Column::Version).add(1))
        .filter(services::Column::Id.eq(service.0))
        .filter(services::Column::Version.eq(version))
        .run(tx)
        .await?;
    if done > 0 { Ok(Guarded::Changed) } else { why_not(tx, service).await }
}

async fn why_not(tx: &Tx, service: ServiceId) -> Result<Guarded, StoreError> {
    Ok(match tx.get::<Service>(service).await? {
        Some(found) => {
            Guarded::NotAsExpected { found: format!("{}, version {}", found.state, found.version) }
        }
        None => Guarded::NotFound,
    })
}

/// Puts an ONU under a service, on both sides. The ONU's earlier service and the service's earlier ONU let go.
/// `None` unlinks.
///
/// # Errors
/// [`StoreError::Missing`] when service or ONU is not there.
pub async fn link_onu(tx: &Tx, service: ServiceId, onu: Option<OnuRowId>) -> Result<(), StoreError> {
    onus::Entity::update_many()
        .col_expr(onus::Column::ServiceId, Expr::value(None::<i64>))
        .col_expr(onus::Column::Version, Expr::col(onus::Column::Version).add(1))
        .filter(onus::Column::ServiceId.eq(service.0))
        .run(tx)
        .await?;
    if let Some(onu) = onu {
        services::Entity::update_many()
            .col_expr(services::Column::OnuId, Expr::value(None::<i64>))
            .col_expr(services::Column::Version, Expr::col(services::Column::Version).add(1))
            .filter(services::Column::OnuId.eq(onu.0))
            .filter(services::Column::Id.ne(service.0))
            .run(tx)
            .await?;
        let linked = onus::Entity::update_many()
            .col_expr(onus::Column::ServiceId, Expr::value(Some(service.0)))
            .col_expr(onus::Column::Version, Expr::col(onus::Column::Version).add(1))
            .filter(onus::Column::Id.eq(onu.0))
            .run(tx)
            .await?;
        must_exist::<Onu>(linked, onu.0)?;
    }
    let linked = services::Entity::update_many()
        .col_expr(services::Column::OnuId, Expr::value(onu.map(|onu| onu.0)))
        .col_expr(services::Column::Version, Expr::col(services::Column::Version).add(1))
        .filter(services::Column::Id.eq(service.0))
        .run(tx)
        .await?;
    must_exist::<Service>(linked, service.0)
}

/// Takes the row of a service for the rest of this unit of work: whoever else wants to change who belongs to it waits, and
/// then sees what came of this.
///
/// # Errors
/// [`StoreError::Missing`].
pub async fn take(tx: &Tx, service: ServiceId) -> Result<(), StoreError> {
    let taken = services::Entity::update_many()
        .col_expr(services::Column::Version, Expr::col(services::Column::Version))
        .filter(services::Column::Id.eq(service.0))
        .run(tx)
        .await?;
    must_exist::<Service>(taken, service.0)
}

/// Puts a CPE under a service, on both sides; as [`link_onu`]. The versions of the CPEs concerned count up, so a step
/// of the provisioning machine that is under way must look again.
///
/// # Errors
/// [`StoreError::Missing`] when service or CPE is not there.
pub async fn link_cpe(tx: &Tx, service: ServiceId, cpe: Option<CpeId>) -> Result<(), StoreError> {
    cpes::Entity::update_many()
        .col_expr(cpes::Column::ServiceId, Expr::value(None::<i64>))
        .col_expr(cpes::Column::Version, Expr::col(cpes::Column::Version).add(1))
        .filter(cpes::Column::ServiceId.eq(service.0))
        .run(tx)
        .await?;
    if let Some(cpe) = cpe {
        services::Entity::update_many()
            .col_expr(services::Column::CpeId, Expr::value(None::<i64>))
            .col_expr(services::Column::Version, Expr::col(services::Column::Version).add(1))
            .filter(services::Column::CpeId.eq(cpe.0))
            .filter(services::Column::Id.ne(service.0))
            .run(tx)
            .await?;
        let linked = cpes::Entity::update_many()
            .col_expr(cpes::Column::ServiceId, Expr::value(Some(service.0)))
            .col_expr(cpes::Column::Version, Expr::col(cpes::Column::Version).add(1))
            .filter(cpes::Column::Id.eq(cpe.0))
            .run(tx)
            .await?;
        must_exist::<Cpe>(linked, cpe.0)?;
    }
    let linked = services::Entity::update_many()
        .col_expr(services::Column::CpeId, Expr::value(cpe.map(|cpe| cpe.0)))
        .col_expr(services::Column::Version, Expr::col(services::Column::Version).add(1))
        .filter(services::Column::Id.eq(service.0))
        .run(tx)
        .await?;
    must_exist::<Service>(linked, service.0)
}

fn must_exist<R: Stored>(affected: u64, id: i64) -> Result<(), StoreError> {
    if affected > 0 { Ok(()) } else { Err(StoreError::Missing { table: R::SPEC.name, key: id.to_string() }) }
}

/// An intent, opened.
#[derive(Debug, Clone)]
pub struct OpenIntent {
    /// Service.
    pub service_id: ServiceId,
    /// Layer.
    pub layer: Layer,
    /// Counts changes.
    pub intent_version: i64,
    /// The intent as JSON text.
    pub body: Secret,
    /// Of its canonical form.
    pub hash: String,
    /// Last change.
    pub updated_at: UtcMs,
    /// By whom.
    pub updated_by: String,
}

/// What a change of an intent did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntentChange {
    /// It is another intent now, with this version.
    Changed(i64),
    /// The hash is the same: nothing was written and the version stays.
    Same(i64),
}

/// Sets the intent of a layer.
///
/// # Errors
/// [`StoreError::Dangling`] if there is no such service.
pub async fn set_intent(
    tx: &Tx,
    service: ServiceId,
    layer: Layer,
    body: &Secret,
    hash: &str,
    actor: &str,
    now: UtcMs,
) -> Result<IntentChange, StoreError> {
    let old = find_intent(tx, service, layer).await?;
    if let Some(old) = old.as_ref().filter(|old| old.hash == hash) {
        return Ok(IntentChange::Same(old.intent_version));
    }
    let intent_version = old.map_or(1, |old| old.intent_version + 1);
    let intent = ServiceIntent {
        service_id: service,
        layer,
        intent_version,
        body_sealed: tx.seal(Slot::IntentBody(service, layer), body.expose().as_bytes())?,
        hash: hash.to_owned(),
        updated_at: now,
        updated_by: actor.to_owned(),
    };
    use service_intents::Column;
    service_intents::Entity::insert(intent.into_active())
        .on_conflict(
            OnConflict::columns([Column::ServiceId, Column::Layer])
                .update_columns([
                    Column::IntentVersion,
                    Column::BodySealed,
                    Column::Hash,
                    Column::UpdatedAt,
                    Column::UpdatedBy,
                ])
                .to_owned(),
        )
        .run(tx)
        .await?;
    Ok(IntentChange::Changed(intent_version))
}

async fn find_intent(db: &Db, service: ServiceId, layer: Layer) -> Result<Option<ServiceIntent>, StoreError> {
    db.find_one(
        Condition::all()
            .add(service_intents::Column::ServiceId.eq(service.0))
            .add(service_intents::Column::Layer.eq(layer.as_str())),
    )
    .await
}

/// All intents of a service, opened, in layer order.
///
/// # Errors
/// [`StoreError::Sealed`] when one cannot be opened.
pub async fn intents(db: &Db, service: ServiceId) -> Result<Vec<OpenIntent>, StoreError> {
    let mut found: Vec<ServiceIntent> =
        db.find_by_text("WHERE \"service_id\" = $1", [service.0.into()]).await?;
    found.sort_by_key(|intent| intent.layer);
    found
        .into_iter()
        .map(|intent| {
            let slot = Slot::IntentBody(intent.service_id, intent.layer);
            Ok(OpenIntent {
                service_id: intent.service_id,
                layer: intent.layer,
                intent_version: intent.intent_version,
                body: text_of(slot, &db.shared.key.open(slot, &intent.body_sealed)?)?,
                hash: intent.hash,
                updated_at: intent.updated_at,
                updated_by: intent.updated_by,
            })
        })
        .collect()
}

/// Takes the intent of a layer away; says whether there was one.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove_intent(tx: &Tx, service: ServiceId, layer: Layer) -> Result<bool, StoreError> {
    let done = service_intents::Entity::delete_many()
        .filter(service_intents::Column::ServiceId.eq(service.0))
        .filter(service_intents::Column::Layer.eq(layer.as_str()))
        .run(tx)
        .await?;
    Ok(done > 0)
}
