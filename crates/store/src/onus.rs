//! Planned ONUs.

use crate::{
    cell::read,
    db::{Db, Tx},
    entities::{Onu, cpes, onus},
    error::{Guarded, StoreError},
    record::{Change, stored::Stored},
    words::{Presence, SyncState},
};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, Query},
};
use std::collections::BTreeSet;
use types::{OltId, OnuRowId, PonPath, Serial, ServiceId, UtcMs};

/// The live ONU with this serial.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_serial(db: &Db, serial: Serial) -> Result<Option<Onu>, StoreError> {
    let this = "WHERE \"removed_at\" IS NULL AND \"serial\" = $1 LIMIT 1";
    Ok(db.find_by_text(this, [serial.hex16().into()]).await?.pop())
}

/// The live ONU at a place.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_place(db: &Db, olt: OltId, pon: PonPath, onu_id: i64) -> Result<Option<Onu>, StoreError> {
    let place = live()
        .add(onus::Column::OltId.eq(olt.0))
        .add(onus::Column::Pon.eq(pon.to_string()))
        .add(onus::Column::OnuId.eq(onu_id));
    db.find_one(place).await
}

/// The live ONU of a service.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_service(db: &Db, service: ServiceId) -> Result<Option<Onu>, StoreError> {
    db.find_one(live().add(onus::Column::ServiceId.eq(service.0))).await
}

/// Live ONUs of an OLT, of one port if given, by ONU ID.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_olt(db: &Db, olt: OltId, pon: Option<PonPath>) -> Result<Vec<Onu>, StoreError> {
    let mut filter = live().add(onus::Column::OltId.eq(olt.0));
    if let Some(pon) = pon {
        filter = filter.add(onus::Column::Pon.eq(pon.to_string()));
    }
    let mut found: Vec<Onu> =
        db.find_all(onus::Entity::find().filter(filter).order_by_asc(onus::Column::Id)).await?;
    found.sort_by_key(|onu| (onu.pon, onu.onu_id));
    Ok(found)
}

/// Which of these are live ONUs, by id.
///
/// # Errors
/// When the database cannot be read.
pub async fn these(db: &Db, ids: &[OnuRowId]) -> Result<Vec<Onu>, StoreError> {
    let wanted = live().add(onus::Column::Id.is_in(ids.iter().map(|id| id.0)));
    db.find_all(onus::Entity::find().filter(wanted).order_by_asc(onus::Column::Id)).await
}

/// ONU IDs in use on a port, ascending.
///
/// # Errors
/// When the database cannot be read.
pub async fn ids_in_use(db: &Db, olt: OltId, pon: PonPath) -> Result<Vec<i64>, StoreError> {
    Ok(onus::Entity::find()
        .select_only()
        .column(onus::Column::OnuId)
        .filter(live().add(onus::Column::OltId.eq(olt.0)).add(onus::Column::Pon.eq(pon.to_string())))
        .order_by_asc(onus::Column::OnuId)
        .into_tuple::<i64>()
        .all(db)
        .await?)
}

/// Everything else that was read of every live ONU, for whoever looks for something in it.
///
/// # Errors
/// When the database cannot be read.
pub async fn all_observed(db: &Db) -> Result<Vec<(OnuRowId, serde_json::Value)>, StoreError> {
    let found = onus::Entity::find()
        .select_only()
        .column(onus::Column::Id)
        .column(onus::Column::Observed)
        .filter(live())
        .into_tuple::<(i64, String)>()
        .all(db)
        .await?;
    found
        .into_iter()
        .map(|(id, text)| Ok((OnuRowId(id), read::<serde_json::Value>(text, Onu::SPEC.name, "observed")?)))
        .collect()
}

/// The services on an OLT whose CPE is in none of these states. Services without a CPE are not among them.
///
/// # Errors
/// When the database cannot be read.
pub async fn services_with_cpe_beyond(
    db: &Db,
    olt: OltId,
    states: &[&str],
) -> Result<BTreeSet<ServiceId>, StoreError> {
    let here = Query::select()
        .column(onus::Column::ServiceId)
        .from(onus::Entity)
        .cond_where(live().add(onus::Column::OltId.eq(olt.0)).add(onus::Column::ServiceId.is_not_null()))
        .to_owned();
    let found = cpes::Entity::find()
        .select_only()
        .column(cpes::Column::ServiceId)
        .filter(cpes::Column::ServiceId.in_subquery(here))
        .filter(cpes::Column::State.is_not_in(states.iter().copied()))
        .into_tuple::<i64>()
        .all(db)
        .await?;
    Ok(found.into_iter().map(ServiceId).collect())
}

fn live() -> Condition {
    Condition::all().add(onus::Column::RemovedAt.is_null())
}

/// Guarded change of the sync state.
///
/// # Errors
/// When the database cannot be written.
pub async fn transition_sync(
    tx: &Tx,
    onu: OnuRowId,
    from: SyncState,
    to: SyncState,
) -> Result<Guarded, StoreError> {
    let done = onus::Entity::update_many()
        .col_expr(onus::Column::SyncState, Expr::value(to.as_str()))
        .col_expr(onus::Column::Version, Expr::col(onus::Column::Version).add(1))
        .filter(onus::Column::Id.eq(onu.0))
        .filter(onus::Column::SyncState.eq(from.as_str()))
        .run(tx)
        .await?;
    if done > 0 {
        return Ok(Guarded::Changed);
    }
    Ok(match tx.get::<Onu>(onu).await? {
        Some(found) => Guarded::NotAsExpected { found: found.sync_state.to_string() },
        None => Guarded::NotFound,
    })
}

/// Marks an ONU as taken off its OLT; its place and serial are free again. The service lets go of it.
///
/// # Errors
/// When the database cannot be written.
pub async fn remove(tx: &Tx, onu: OnuRowId, now: UtcMs) -> Result<Guarded, StoreError> {
    let done = onus::Entity::update_many()
        .col_expr(onus::Column::RemovedAt, Expr::value(Some(now.0)))
        .col_expr(onus::Column::ServiceId, Expr::value(None::<i64>))
        .col_expr(onus::Column::Version, Expr::col(onus::Column::Version).add(1))
        .filter(onus::Column::Id.eq(onu.0))
        .filter(onus::Column::RemovedAt.is_null())
        .run(tx)
        .await?;
    if done > 0 {
        use crate::entities::services;
        services::Entity::update_many()
            .col_expr(services::Column::OnuId, Expr::value(None::<i64>))
            .col_expr(services::Column::Version, Expr::col(services::Column::Version).add(1))
            .filter(services::Column::OnuId.eq(onu.0))
            .run(tx)
            .await?;
        return Ok(Guarded::Changed);
    }
    Ok(match tx.get::<Onu>(onu).await? {
        Some(_) => Guarded::NotAsExpected { found: "removed".to_owned() },
        None => Guarded::NotFound,
    })
}

/// What the OLT said of an ONU. `None` keeps what was read before.
#[derive(Debug, Clone, Default)]
pub struct OnuObservation {
    /// Presence.
    pub presence: Presence,
    /// The OLT's own word.
    pub run_state: String,
    /// Why it went down last.
    pub last_down_cause: Option<String>,
    /// Light received at the ONU, in hundredths of dBm.
    pub rx_onu_cdbm: Option<i64>,
    /// Light received at the OLT, in hundredths of dBm.
    pub rx_olt_cdbm: Option<i64>,
    /// Distance in metres.
    pub distance_m: Option<i64>,
    /// Everything else that was read.
    pub observed: Option<serde_json::Value>,
    /// When.
    pub at: UtcMs,
}

/// Light that moves by less is the same light, in hundredths of dB: every reading is a little different.
const SAME_LIGHT_CDB: i64 = 50;

impl OnuObservation {
    /// True if it says something else of the ONU than what is recorded; what was not read says nothing.
    pub fn is_news(&self, known: &Onu) -> bool {
        let light = |seen: Option<i64>, known: Option<i64>| match (seen, known) {
            (Some(seen), Some(known)) => (seen - known).abs() >= SAME_LIGHT_CDB,
            (seen, _) => seen.is_some(),
        };
        let other = |seen: Option<i64>, known: Option<i64>| seen.is_some() && seen != known;
        self.presence != known.presence
            || self.run_state != known.run_state
            || (self.last_down_cause.is_some() && self.last_down_cause != known.last_down_cause)
            || light(self.rx_onu_cdbm, known.rx_onu_cdbm)
            || light(self.rx_olt_cdbm, known.rx_olt_cdbm)
            || other(self.distance_m, known.distance_m)
            || self.observed.as_ref().is_some_and(|observed| *observed != known.observed)
    }
}

/// Keeps one thing that was read of an ONU beside the others; `None` forgets it. Says whether there is such an ONU.
///
/// # Errors
/// When the database cannot be written.
pub async fn keep_observed(
    tx: &Tx,
    onu: OnuRowId,
    key: &str,
    value: Option<serde_json::Value>,
) -> Result<bool, StoreError> {
    let Some(row) = tx.get::<Onu>(onu).await? else { return Ok(false) };
    let mut observed = match row.observed {
        serde_json::Value::Object(observed) => observed,
        _ => serde_json::Map::new(),
    };
    match value {
        Some(value) => drop(observed.insert(key.to_owned(), value)),
        None => drop(observed.remove(key)),
    }
    let text = serde_json::Value::Object(observed).to_string();
    let done = onus::Entity::update_many()
        .col_expr(onus::Column::Observed, Expr::value(text))
        .filter(onus::Column::Id.eq(onu.0))
        .run(tx)
        .await?;
    Ok(done > 0)
}

/// Records the light of an ONU. `None` keeps what was read before.
///
/// # Errors
/// When the database cannot be written.
pub async fn observe_light(
    tx: &Tx,
    onu: OnuRowId,
    rx_onu_cdbm: Option<i32>,
    rx_olt_cdbm: Option<i32>,
) -> Result<(), StoreError> {
    let mut change = onus::Entity::update_many().filter(onus::Column::Id.eq(onu.0));
    for (column, value) in [(onus::Column::RxOnuCdbm, rx_onu_cdbm), (onus::Column::RxOltCdbm, rx_olt_cdbm)] {
        if value.is_some() {
            change = change.col_expr(column, Expr::value(value.map(i64::from)));
        }
    }
    if rx_onu_cdbm.is_some() || rx_olt_cdbm.is_some() {
        change.run(tx).await?;
    }
    Ok(())
}

/// Forgets the light and the distance of an ONU that stands at another place now.
///
/// # Errors
/// When the database cannot be written.
pub async fn forget_light(tx: &Tx, onu: OnuRowId) -> Result<(), StoreError> {
    onus::Entity::update_many()
        .col_expr(onus::Column::RxOnuCdbm, Expr::value(None::<i64>))
        .col_expr(onus::Column::RxOltCdbm, Expr::value(None::<i64>))
        .col_expr(onus::Column::DistanceM, Expr::value(None::<i64>))
        .filter(onus::Column::Id.eq(onu.0))
        .run(tx)
        .await?;
    Ok(())
}

/// Records what was seen of an ONU; configuration and version stay. Says whether there is such an ONU.
///
/// # Errors
/// When the database cannot be written.
pub async fn observe(tx: &Tx, onu: OnuRowId, seen: OnuObservation) -> Result<bool, StoreError> {
    let mut change = onus::Entity::update_many()
        .col_expr(onus::Column::Presence, Expr::value(seen.presence.as_str()))
        .col_expr(onus::Column::RunState, Expr::value(seen.run_state))
        .col_expr(onus::Column::ObservedAt, Expr::value(Some(seen.at.0)))
        .filter(onus::Column::Id.eq(onu.0));
    if let Some(cause) = seen.last_down_cause {
        change = change.col_expr(onus::Column::LastDownCause, Expr::value(Some(cause)));
    }
    for (column, value) in [
        (onus::Column::RxOnuCdbm, seen.rx_onu_cdbm),
        (onus::Column::RxOltCdbm, seen.rx_olt_cdbm),
        (onus::Column::DistanceM, seen.distance_m),
    ] {
        if value.is_some() {
            change = change.col_expr(column, Expr::value(value));
        }
    }
    if let Some(observed) = seen.observed {
        change = change.col_expr(onus::Column::Observed, Expr::value(observed.to_string()));
    }
    Ok(change.run(tx).await? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_the_same_is_no_news() {
        let (pon, serial) = ("0/1/0".parse().expect("a PON"), "HWTC-7D4733C3".parse().expect("a serial"));
        let known = Onu {
            presence: Presence::InService,
            run_state: "online".into(),
            last_down_cause: Some("LOS".into()),
            rx_onu_cdbm: Some(-2140),
            distance_m: Some(1200),
            observed: serde_json::json!({ "match_state": "match" }),
            ..Onu::planned(OltId(1), pon, 1, serial, UtcMs(0))
        };
        let same = || OnuObservation {
            presence: Presence::InService,
            run_state: "online".into(),
            rx_onu_cdbm: Some(-2155),
            distance_m: Some(1200),
            observed: Some(known.observed.clone()),
            ..OnuObservation::default()
        };
        assert!(!same().is_news(&known), "and what was not read says nothing");
        for news in [
            OnuObservation { presence: Presence::NotPresent, ..same() },
            OnuObservation { run_state: "offline".into(), ..same() },
            OnuObservation { last_down_cause: Some("dying-gasp".into()), ..same() },
            OnuObservation { rx_onu_cdbm: Some(-2190), ..same() },
            OnuObservation { rx_olt_cdbm: Some(-2000), ..same() },
            OnuObservation { distance_m: Some(1300), ..same() },
            OnuObservation { observed: Some(serde_json::json!({ "missing_on_olt": true })), ..same() },
        ] {
            assert!(news.is_news(&known), "{news:?}");
        }
    }
}
