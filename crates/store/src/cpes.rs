//! CPEs: the hot path of the ACS. One query to know a device, one unit of work per step of its machine.

use crate::{
    address,
    db::{Db, Tx},
    entities::{
        ConnectionRequest, Cpe, CpeAddress, CpeFault, CpeParameter, CpeSession, CpeTimer, EvidenceItem,
        LearnedFact, TimelineEntry, connection_requests, cpe_addresses, cpe_faults, cpe_parameters,
        cpe_sessions, cpe_timers, cpes, evidence, learned,
    },
    error::{Guarded, StoreError},
    jobs::{self, NewJob},
    orders,
    record::{
        Change, rows_per_statement,
        stored::{Numbered, Stored},
    },
    sealing::Slot,
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    Statement, Value,
    sea_query::{Expr, Func, OnConflict},
};
use std::{collections::BTreeMap, net::IpAddr};
use types::{CpeId, CpeSessionId, Secret, Serial, ServiceId, UtcMs, names_a_secret};

/// A parameter value longer than this is cut: it is kept for people to read, not to be written back.
const VALUE_LIMIT: usize = 4096;
/// Parameters in one step; a device that sends more has the rest read another time.
const PARAMETERS_PER_STEP: usize = 5000;

/// The CPE that calls itself so, in one query.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_identity(
    db: &Db,
    oui: &str,
    product_class: &str,
    serial_number: &str,
) -> Result<Option<Cpe>, StoreError> {
    let name = [oui, product_class, serial_number].map(Value::from);
    let this = "WHERE \"oui\" = $1 AND \"product_class\" = $2 AND \"serial_number\" = $3";
    Ok(db.find_by_text(this, name).await?.pop())
}

/// Who makes the CPEs that are known by this product class, in any spelling of it: by name, or by OUI where they tell no
/// name. At most a hundred.
///
/// # Errors
/// When the database cannot be read.
pub async fn makers_of(db: &Db, product_class: &str) -> Result<Vec<String>, StoreError> {
    use cpes::Column;
    let same = Expr::expr(Func::lower(Expr::col(Column::ProductClass))).eq(product_class.to_lowercase());
    let found: Vec<(String, String)> = cpes::Entity::find()
        .select_only()
        .columns([Column::Manufacturer, Column::Oui])
        .distinct()
        .filter(same)
        .order_by_asc(Column::Manufacturer)
        .limit(100)
        .into_tuple()
        .all(db)
        .await?;
    let mut makers: Vec<String> = Vec::new();
    for (name, oui) in found {
        let maker = if name.trim().is_empty() { oui } else { name.trim().to_owned() };
        if !maker.is_empty() && !makers.iter().any(|known| known.eq_ignore_ascii_case(&maker)) {
            makers.push(maker);
        }
    }
    Ok(makers)
}

/// The CPE that authenticates with this user name.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_auth_username(db: &Db, username: &str) -> Result<Option<Cpe>, StoreError> {
    Ok(db.find_by_text("WHERE \"auth_username\" = $1", [username.into()]).await?.pop())
}

/// CPEs with this PON serial by an OLT's or an operator's word (normally one; a second is a conflict to be reported), at
/// most ten.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_pon_serial(db: &Db, serial: Serial) -> Result<Vec<Cpe>, StoreError> {
    db.find_all(
        cpes::Entity::find()
            .filter(cpes::Column::PonSerial.eq(serial.hex16()))
            .order_by_asc(cpes::Column::Id)
            .limit(10),
    )
    .await
}

/// CPEs that informed and were not believed.
#[derive(Debug, Clone, Copy)]
pub struct NotBelieved<'a> {
    /// In this state.
    pub state: &'a str,
    /// In quarantine, or for this reason.
    pub reason_code: &'a str,
    /// Since then.
    pub informed_since: UtcMs,
}

impl NotBelieved<'_> {
    fn filter(&self) -> Condition {
        use cpes::Column;
        Condition::all()
            .add(Column::State.eq(self.state))
            .add(
                Condition::any()
                    .add(Column::Quarantine.eq(true))
                    .add(Column::ReasonCode.eq(self.reason_code)),
            )
            .add(Column::LastInformAt.gte(self.informed_since.0))
    }

    /// Whether there is one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn any(&self, db: &Db) -> Result<bool, StoreError> {
        let one = cpes::Entity::find().select_only().column(cpes::Column::Id).filter(self.filter());
        Ok(one.into_tuple::<i64>().one(db).await?.is_some())
    }

    /// The one that spoke from this address last: whoever did before has it no more.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn at(&self, db: &Db, address: IpAddr) -> Result<Option<Cpe>, StoreError> {
        let mut spellings = vec![address.to_canonical().to_string(), address.to_string()];
        if let IpAddr::V4(v4) = address.to_canonical() {
            spellings.push(v4.to_ipv6_mapped().to_string());
        }
        let there = self.filter().add(cpes::Column::PeerAddress.is_in(spellings));
        Ok(self.latest(db, there, 1).await?.pop())
    }

    /// Those that are, or say that they are, the ONU with this serial number; who spoke last comes first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn naming(&self, db: &Db, serial: Serial, limit: u64) -> Result<Vec<Cpe>, StoreError> {
        self.latest(db, self.filter().add(naming(serial)), limit).await
    }

    async fn latest(&self, db: &Db, filter: Condition, limit: u64) -> Result<Vec<Cpe>, StoreError> {
        db.find_all(
            cpes::Entity::find()
                .filter(filter)
                .order_by_desc(cpes::Column::LastInformAt)
                .order_by_desc(cpes::Column::Id)
                .limit(limit),
        )
        .await
    }
}

fn naming(serial: Serial) -> Condition {
    let serial = serial.hex16();
    Condition::any()
        .add(cpes::Column::PonSerial.eq(serial.clone()))
        .add(cpes::Column::ClaimedSerial.eq(serial))
}

/// CPEs that are, or say that they are, the ONU with this serial number; who was confirmed comes first, then who spoke
/// last. At most ten.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_any_serial(db: &Db, serial: Serial) -> Result<Vec<Cpe>, StoreError> {
    let mut found: Vec<Cpe> = db
        .find_all(
            cpes::Entity::find().filter(naming(serial)).order_by_desc(cpes::Column::LastInformAt).limit(10),
        )
        .await?;
    found.sort_by_key(|cpe| cpe.pon_serial != Some(serial));
    Ok(found)
}

/// Writes down which PON serial number a CPE has by the word of an OLT or of an operator. The version counts up, so a step
/// that is under way must look again.
///
/// # Errors
/// When the database cannot be written.
pub async fn set_pon_serial(tx: &Tx, cpe: CpeId, serial: Serial) -> Result<Guarded, StoreError> {
    let done = cpes::Entity::update_many()
        .col_expr(cpes::Column::PonSerial, Expr::value(Some(serial.hex16())))
        .col_expr(cpes::Column::Version, Expr::col(cpes::Column::Version).add(1))
        .filter(cpes::Column::Id.eq(cpe.0))
        .run(tx)
        .await?;
    Ok(if done > 0 { Guarded::Changed } else { Guarded::NotFound })
}

/// How many CPEs are in quarantine.
///
/// # Errors
/// When the database cannot be read.
pub async fn quarantined(db: &Db) -> Result<u64, StoreError> {
    use sea_orm::PaginatorTrait;
    Ok(cpes::Entity::find().filter(cpes::Column::Quarantine.eq(true)).count(db).await?)
}

/// Forgets the stranger that has been silent for longest, if any has been since before `silent_since`: never linked,
/// never given a secret. It is met anew when it informs again. True if one went.
///
/// # Errors
/// When the database cannot be written.
pub async fn forget_stranger(tx: &Tx, silent_since: UtcMs) -> Result<bool, StoreError> {
    use cpes::Column;
    let never_heard =
        Condition::all().add(Column::LastInformAt.is_null()).add(Column::CreatedAt.lt(silent_since.0));
    let oldest = cpes::Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Column::Quarantine.eq(true))
        .filter(Column::ServiceId.is_null())
        .filter(Column::AuthUsername.is_null())
        .filter(Condition::any().add(Column::LastInformAt.lt(silent_since.0)).add(never_heard))
        .order_by_asc(Column::LastInformAt)
        .order_by_asc(Column::Id)
        .into_tuple::<i64>()
        .one(tx.db())
        .await?;
    match oldest {
        Some(id) => tx.delete::<Cpe>(CpeId(id)).await,
        None => Ok(false),
    }
}

/// True for the row that an authorisation makes before the CPE has spoken: it has no identity of its own yet.
pub fn is_placeholder(cpe: &Cpe) -> bool {
    cpe.oui.is_empty() && cpe.product_class.is_empty() && cpe.last_inform_at.is_none()
}

/// The CPE of a service.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_service(db: &Db, service: ServiceId) -> Result<Option<Cpe>, StoreError> {
    db.find_one(cpes::Column::ServiceId.eq(service.0)).await
}

/// Writes a CPE that is new, or finds the one that another session wrote first.
///
/// # Errors
/// When the database cannot be written.
pub async fn find_or_insert(tx: &Tx, new: &Cpe) -> Result<Cpe, StoreError> {
    cpes::Entity::insert(new.clone().into_new())
        .on_conflict(
            OnConflict::columns([cpes::Column::Oui, cpes::Column::ProductClass, cpes::Column::SerialNumber])
                .do_nothing()
                .to_owned(),
        )
        .run(tx)
        .await?;
    by_identity(tx, &new.oui, &new.product_class, &new.serial_number).await?.ok_or_else(|| {
        StoreError::Missing {
            table: Cpe::SPEC.name,
            key: format!("{}-{}-{}", new.oui, new.product_class, new.serial_number),
        }
    })
}

/// Everything one step of a CPE's machine leaves behind. Written as a whole or not at all.
#[derive(Debug, Clone, Default)]
pub struct CpeStep {
    /// The row as it shall be. Its version is the one the step was made from.
    pub cpe: Cpe,
    /// The row as it was read, where that is known: then only what changed is written.
    pub was: Option<Box<Cpe>>,
    /// New ownership credentials as JSON, when the step rotated them.
    pub credentials: Option<Secret>,
    /// Lines of history.
    pub timeline: Vec<TimelineEntry>,
    /// Layers whose former evidence proves nothing any more; taken away before `evidence` is written.
    pub withdraw: Vec<String>,
    /// What was proven, or disproven.
    pub evidence: Vec<EvidenceItem>,
    /// What was read; never secrets.
    pub parameters: Vec<CpeParameter>,
    /// Subtrees (their path ends with a dot), or single names, of which what was read before then is gone.
    pub forget: Vec<(String, UtcMs)>,
    /// What became of device orders, in order.
    pub orders: Vec<orders::News>,
    /// Faults.
    pub faults: Vec<CpeFault>,
    /// Connection requests that ended.
    pub connection_requests: Vec<ConnectionRequest>,
    /// Timers to start, or to move.
    pub start_timers: Vec<(String, UtcMs)>,
    /// Timers to stop.
    pub stop_timers: Vec<String>,
    /// Work for later.
    pub jobs: Vec<NewJob>,
}

/// Writes a step if nobody else changed the CPE since it was read. When the answer is not
/// [`Guarded::Changed`], nothing of the step was written; read the CPE again and think again.
///
/// The `cpe_id` of everything in the step is taken from the row.
///
/// # Errors
/// When the database cannot be written.
pub async fn save_step(tx: &Tx, step: &CpeStep) -> Result<Guarded, StoreError> {
    let changed = match &step.was {
        Some(was) => tx.update_since(&**was, &step.cpe).await?,
        None => tx.update(&step.cpe).await?,
    };
    if !changed.is_changed() {
        return Ok(changed);
    }
    let cpe = step.cpe.id;
    if let Some(credentials) = &step.credentials {
        tx.put_secret(Slot::CpeCredentials(cpe), Some(credentials)).await?;
    }
    tx.insert_many(&step.timeline).await?;
    for layer in &step.withdraw {
        drop_evidence(tx, cpe, layer).await?;
    }
    put_evidence(tx, cpe, &step.evidence).await?;
    put_parameters(tx, cpe, &step.parameters).await?;
    for (path, before) in &step.forget {
        forget_parameters(tx, cpe, path, *before).await?;
    }
    for news in &step.orders {
        orders::note(tx, news).await?;
    }
    let faults: Vec<CpeFault> =
        step.faults.iter().cloned().map(|row| indexable(CpeFault { cpe_id: cpe, ..row })).collect();
    tx.insert_many(&faults).await?;
    let requests: Vec<ConnectionRequest> = step
        .connection_requests
        .iter()
        .cloned()
        .map(|row| ConnectionRequest { cpe_id: cpe, ..row })
        .collect();
    tx.insert_many(&requests).await?;
    stop_timers(tx, cpe, &step.stop_timers).await?;
    start_timers(tx, cpe, &step.start_timers).await?;
    for job in &step.jobs {
        jobs::enqueue(tx, job).await?;
    }
    Ok(Guarded::Changed)
}

/// Bytes of a text of a device in the index that faults are grouped by. PostgreSQL refuses a row of more than 2,704 in an
/// index, and three of its columns are what a device says.
const MOST_INDEXED: usize = 512;

fn indexable(mut row: CpeFault) -> CpeFault {
    for text in [&mut row.parameter, &mut row.model, &mut row.software_version] {
        text.truncate(text.floor_char_boundary(MOST_INDEXED));
    }
    row
}

/// Keeps only the last row per key: one statement may not touch a row twice.
fn last_per_key<T, K: Ord>(items: impl Iterator<Item = T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut last = std::collections::BTreeMap::new();
    for item in items {
        last.insert(key(&item), item);
    }
    last.into_values().collect()
}

async fn drop_evidence(tx: &Tx, cpe: CpeId, layer: &str) -> Result<(), StoreError> {
    evidence::Entity::delete_many()
        .filter(evidence::Column::CpeId.eq(cpe.0))
        .filter(evidence::Column::Layer.eq(layer))
        .run(tx)
        .await?;
    Ok(())
}

/// Writes evidence on a CPE, each item over the one before of the same layer and setting.
///
/// # Errors
/// When the database cannot be written.
pub async fn put_evidence(tx: &Tx, cpe: CpeId, items: &[EvidenceItem]) -> Result<(), StoreError> {
    use evidence::Column;
    let items = last_per_key(items.iter().cloned().map(|row| EvidenceItem { cpe_id: cpe, ..row }), |row| {
        (row.layer.clone(), row.setting.clone())
    });
    for some in items.chunks(rows_per_statement::<EvidenceItem>()) {
        evidence::Entity::insert_many(some.iter().cloned().map(EvidenceItem::into_active))
            .on_conflict(
                OnConflict::columns([Column::CpeId, Column::Layer, Column::Setting])
                    .update_columns([
                        Column::Wanted,
                        Column::Observed,
                        Column::Verified,
                        Column::At,
                        Column::Source,
                    ])
                    .to_owned(),
            )
            .run(tx)
            .await?;
    }
    Ok(())
}

/// Writes parameters as read now, and with them the addresses that search finds a CPE by; whether one can be written is
/// kept from before if it is not said. Of one that holds a secret only is kept that there is one.
///
/// # Errors
/// When the database cannot be written.
pub async fn put_parameters(tx: &Tx, cpe: CpeId, items: &[CpeParameter]) -> Result<(), StoreError> {
    use cpe_parameters::{Column, Entity};
    let items = items.iter().take(PARAMETERS_PER_STEP).cloned().map(|row| CpeParameter {
        cpe_id: cpe,
        value: if names_a_secret(&row.path) { String::new() } else { clipped(row.value) },
        ..row
    });
    let items = last_per_key(items, |row| row.path.clone());
    for some in items.chunks(rows_per_statement::<CpeParameter>()) {
        let said = Expr::col((sea_orm::sea_query::Alias::new("excluded"), Column::Writable));
        Entity::insert_many(some.iter().cloned().map(CpeParameter::into_active))
            .on_conflict(
                OnConflict::columns([Column::CpeId, Column::Path])
                    .update_columns([Column::Value, Column::Kind, Column::ReadAt, Column::Source])
                    .value(Column::Writable, said.if_null(Expr::col((Entity, Column::Writable))))
                    .to_owned(),
            )
            .run(tx)
            .await?;
    }
    put_addresses(tx, cpe, &items).await
}

/// What is known of these parameters of a CPE.
///
/// # Errors
/// When the database cannot be read.
pub async fn parameters_named(
    db: &Db,
    cpe: CpeId,
    paths: &[String],
) -> Result<Vec<CpeParameter>, StoreError> {
    use cpe_parameters::{Column, Entity};
    let named = Column::Path.is_in(paths.iter().map(String::as_str));
    db.find_all(Entity::find().filter(Column::CpeId.eq(cpe.0)).filter(named)).await
}

/// Forgets what is no longer on a CPE: parameters of that subtree, or of that name, that were last read before then.
async fn forget_parameters(tx: &Tx, cpe: CpeId, path: &str, before: UtcMs) -> Result<(), StoreError> {
    use cpe_parameters::{Column, Entity};
    let there = if path.ends_with('.') {
        // PostgreSQL takes no longer number here.
        let length = i32::try_from(path.chars().count()).unwrap_or(i32::MAX);
        Expr::expr(Func::cust("substr").args([Expr::col(Column::Path), Expr::value(1), Expr::value(length)]))
            .eq(path)
    } else {
        Column::Path.eq(path)
    };
    Entity::delete_many()
        .filter(Column::CpeId.eq(cpe.0))
        .filter(there)
        .filter(Column::ReadAt.lt(before.0))
        .run(tx)
        .await?;
    Ok(())
}

/// Writes what somebody else read, where nothing newer is known; whether it can be written is kept if it is known. How many
/// were written.
///
/// # Errors
/// When the database cannot be written.
pub async fn put_older_parameters(tx: &Tx, cpe: CpeId, items: &[CpeParameter]) -> Result<u64, StoreError> {
    use cpe_parameters::{Column, Entity};
    let known = Entity::find()
        .select_only()
        .columns([Column::Path, Column::ReadAt])
        .filter(Column::CpeId.eq(cpe.0))
        .into_tuple::<(String, i64)>()
        .all(tx.db())
        .await?;
    let known: BTreeMap<String, i64> = known.into_iter().collect();
    let newer: Vec<CpeParameter> = items
        .iter()
        .filter(|item| known.get(&item.path).is_none_or(|at| *at < item.read_at.0))
        .take(PARAMETERS_PER_STEP)
        .cloned()
        .collect();
    put_parameters(tx, cpe, &newer).await?;
    Ok(newer.len() as u64)
}

/// Addresses rarely change, so what is known is looked up first: a device that is read again costs no write here.
async fn put_addresses(tx: &Tx, cpe: CpeId, items: &[CpeParameter]) -> Result<(), StoreError> {
    use cpe_addresses::{Column, Entity};
    let items: Vec<&CpeParameter> = items.iter().filter(|item| address::may_hold(&item.path)).collect();
    if items.is_empty() {
        return Ok(());
    }
    let known: Vec<CpeAddress> = tx.db().find_all(Entity::find().filter(Column::CpeId.eq(cpe.0))).await?;
    let mut known: BTreeMap<String, String> = known.into_iter().map(|row| (row.path, row.address)).collect();
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    for item in items {
        let (held, before) = (address::held(&item.path, &item.value), known.remove(&item.path));
        match held {
            Some(address) if before.as_ref() != Some(&address) => {
                new.push(CpeAddress { cpe_id: cpe, path: item.path.clone(), address });
            }
            None if before.is_some() => gone.push(item.path.as_str()),
            Some(_) | None => {}
        }
    }
    for some in gone.chunks(rows_per_statement::<CpeAddress>()) {
        Entity::delete_many()
            .filter(Column::CpeId.eq(cpe.0))
            .filter(Column::Path.is_in(some.iter().copied()))
            .run(tx)
            .await?;
    }
    for some in new.chunks(rows_per_statement::<CpeAddress>()) {
        Entity::insert_many(some.iter().cloned().map(CpeAddress::into_active))
            .on_conflict(
                OnConflict::columns([Column::CpeId, Column::Path]).update_column(Column::Address).to_owned(),
            )
            .run(tx)
            .await?;
    }
    Ok(())
}

fn clipped(value: String) -> String {
    if value.len() <= VALUE_LIMIT {
        return value;
    }
    let mut end = VALUE_LIMIT;
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}… ({} bytes in all)", &value[..end], value.len())
}

async fn start_timers(tx: &Tx, cpe: CpeId, timers: &[(String, UtcMs)]) -> Result<(), StoreError> {
    use cpe_timers::Column;
    let timers = last_per_key(
        timers.iter().map(|(timer, at)| CpeTimer { cpe_id: cpe, timer: timer.clone(), at: *at }),
        |row| row.timer.clone(),
    );
    if let [timer] = &*timers {
        // With every contact of a device: in words, which cost less than to have them built.
        let sql = "INSERT INTO cpe_timers (cpe_id, timer, at) VALUES ($1, $2, $3) \
                   ON CONFLICT (cpe_id, timer) DO UPDATE SET at = excluded.at";
        let values = [cpe.0.into(), timer.timer.as_str().into(), timer.at.0.into()];
        tx.db().run(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
        return Ok(());
    }
    if timers.is_empty() {
        return Ok(());
    }
    cpe_timers::Entity::insert_many(timers.into_iter().map(CpeTimer::into_active))
        .on_conflict(OnConflict::columns([Column::CpeId, Column::Timer]).update_column(Column::At).to_owned())
        .run(tx)
        .await?;
    Ok(())
}

async fn stop_timers(tx: &Tx, cpe: CpeId, timers: &[String]) -> Result<(), StoreError> {
    if timers.is_empty() {
        return Ok(());
    }
    cpe_timers::Entity::delete_many()
        .filter(cpe_timers::Column::CpeId.eq(cpe.0))
        .filter(cpe_timers::Column::Timer.is_in(timers.iter().map(String::as_str)))
        .run(tx)
        .await?;
    Ok(())
}

/// Timers that are due, the longest overdue first. They stay until a step stops or moves them, so nothing is lost when
/// the process dies between reading one and acting on it.
///
/// # Errors
/// When the database cannot be read.
pub async fn timers_due(db: &Db, now: UtcMs, limit: u64) -> Result<Vec<CpeTimer>, StoreError> {
    db.find_all(
        cpe_timers::Entity::find()
            .filter(cpe_timers::Column::At.lte(now.0))
            .order_by_asc(cpe_timers::Column::At)
            .order_by_asc(cpe_timers::Column::CpeId)
            .limit(limit),
    )
    .await
}

/// When the next timer is due, to sleep until then.
///
/// # Errors
/// When the database cannot be read.
pub async fn next_timer_at(db: &Db) -> Result<Option<UtcMs>, StoreError> {
    let at = cpe_timers::Entity::find()
        .select_only()
        .expr(cpe_timers::Column::At.min())
        .into_tuple::<Option<i64>>()
        .one(db)
        .await?
        .flatten();
    Ok(at.map(UtcMs))
}

/// Timers of a CPE.
///
/// # Errors
/// When the database cannot be read.
pub async fn timers(db: &Db, cpe: CpeId) -> Result<Vec<CpeTimer>, StoreError> {
    db.find_all(
        cpe_timers::Entity::find()
            .filter(cpe_timers::Column::CpeId.eq(cpe.0))
            .order_by_asc(cpe_timers::Column::Timer),
    )
    .await
}

/// Writes a session that began.
///
/// # Errors
/// [`StoreError::Dangling`] if there is no such CPE.
pub async fn begin_session(tx: &Tx, session: &CpeSession) -> Result<CpeSessionId, StoreError> {
    tx.insert(session).await
}

/// How a session ended.
#[derive(Debug, Clone)]
pub struct SessionSummary {
    /// When.
    pub ended_at: UtcMs,
    /// RPCs we sent.
    pub requests: i64,
    /// Faults among the answers.
    pub faults: i64,
    /// `clean`, `torn`, `timed_out`.
    pub outcome: String,
    /// RPC by RPC, in short.
    pub detail: serde_json::Value,
}

/// Ends a session; a session ends once.
///
/// # Errors
/// When the database cannot be written.
pub async fn end_session(
    tx: &Tx,
    session: CpeSessionId,
    summary: SessionSummary,
) -> Result<Guarded, StoreError> {
    let sql = "UPDATE cpe_sessions SET ended_at = $1, requests = $2, faults = $3, outcome = $4, detail = $5 \
               WHERE id = $6 AND ended_at IS NULL";
    let values: [Value; 6] = [
        summary.ended_at.0.into(),
        summary.requests.into(),
        summary.faults.into(),
        summary.outcome.into(),
        summary.detail.to_string().into(),
        session.0.into(),
    ];
    let done = tx.db().run(Statement::from_sql_and_values(tx.get_database_backend(), sql, values)).await?;
    if done > 0 {
        return Ok(Guarded::Changed);
    }
    Ok(match tx.get::<CpeSession>(session).await? {
        Some(found) => Guarded::NotAsExpected { found: found.outcome.unwrap_or_default() },
        None => Guarded::NotFound,
    })
}

/// Writes down what a session brought so far.
///
/// # Errors
/// [`StoreError::Overtaken`] if the session has ended (elsewhere it may be taken for lost): nothing is written then. Or when
/// the database cannot be written.
pub async fn note_session(
    tx: &Tx,
    session: CpeSessionId,
    detail: &serde_json::Value,
) -> Result<(), StoreError> {
    use cpe_sessions::Column;
    let noted = cpe_sessions::Entity::update_many()
        .col_expr(Column::Detail, Expr::value(detail.to_string()))
        .filter(Column::Id.eq(session.0))
        .filter(Column::EndedAt.is_null())
        .run(tx)
        .await?;
    if noted == 0 {
        return Err(StoreError::Overtaken { what: "the session", found: "ended".into() });
    }
    Ok(())
}

/// Latest sessions of a CPE.
///
/// # Errors
/// When the database cannot be read.
pub async fn sessions(db: &Db, cpe: CpeId, limit: u64) -> Result<Vec<CpeSession>, StoreError> {
    db.find_all(
        cpe_sessions::Entity::find()
            .filter(cpe_sessions::Column::CpeId.eq(cpe.0))
            .order_by_desc(cpe_sessions::Column::Id)
            .limit(limit),
    )
    .await
}

/// Sessions of a CPE that began within a time, both ends included, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn sessions_between(
    db: &Db,
    cpe: CpeId,
    from: UtcMs,
    to: UtcMs,
    limit: u64,
) -> Result<Vec<CpeSession>, StoreError> {
    db.find_all(
        cpe_sessions::Entity::find()
            .filter(cpe_sessions::Column::CpeId.eq(cpe.0))
            .filter(cpe_sessions::Column::BeganAt.between(from.0, to.0))
            .order_by_asc(cpe_sessions::Column::Id)
            .limit(limit),
    )
    .await
}

/// Latest faults of a CPE.
///
/// # Errors
/// When the database cannot be read.
pub async fn faults(db: &Db, cpe: CpeId, limit: u64) -> Result<Vec<CpeFault>, StoreError> {
    db.find_all(
        cpe_faults::Entity::find()
            .filter(cpe_faults::Column::CpeId.eq(cpe.0))
            .order_by_desc(cpe_faults::Column::Id)
            .limit(limit),
    )
    .await
}

/// Latest connection requests to a CPE.
///
/// # Errors
/// When the database cannot be read.
pub async fn connection_requests(
    db: &Db,
    cpe: CpeId,
    limit: u64,
) -> Result<Vec<ConnectionRequest>, StoreError> {
    db.find_all(
        connection_requests::Entity::find()
            .filter(connection_requests::Column::CpeId.eq(cpe.0))
            .order_by_desc(connection_requests::Column::Id)
            .limit(limit),
    )
    .await
}

/// Parameters of a CPE as last read, by path.
///
/// # Errors
/// When the database cannot be read.
pub async fn parameters(db: &Db, cpe: CpeId) -> Result<Vec<CpeParameter>, StoreError> {
    db.find_all(
        cpe_parameters::Entity::find()
            .filter(cpe_parameters::Column::CpeId.eq(cpe.0))
            .order_by_asc(cpe_parameters::Column::Path),
    )
    .await
}

/// Evidence on a CPE, by layer and setting.
///
/// # Errors
/// When the database cannot be read.
pub async fn evidence(db: &Db, cpe: CpeId) -> Result<Vec<EvidenceItem>, StoreError> {
    db.find_all(
        evidence::Entity::find()
            .filter(evidence::Column::CpeId.eq(cpe.0))
            .order_by_asc(evidence::Column::Layer)
            .order_by_asc(evidence::Column::Setting),
    )
    .await
}

/// Remembers what was learned about a firmware.
///
/// # Errors
/// When the database cannot be written.
pub async fn learn(tx: &Tx, fact: &LearnedFact) -> Result<(), StoreError> {
    use learned::Column;
    learned::Entity::insert(fact.clone().into_active())
        .on_conflict(
            OnConflict::columns([
                Column::Oui,
                Column::ProductClass,
                Column::SoftwareVersion,
                Column::Path,
                Column::CpeId,
            ])
            .update_columns([Column::Fact, Column::At])
            .to_owned(),
        )
        .run(tx)
        .await?;
    Ok(())
}

/// What so many units must have taught alike before it counts for the others of their firmware: one unit that lies
/// teaches nobody.
pub const UNITS_THAT_TEACH: usize = 3;
/// Lessons of one firmware that are looked at.
const MAX_LESSONS: i64 = 10_000;

/// What is known about a firmware: path, fact, and how many units agree on it. What fewer than [`UNITS_THAT_TEACH`]
/// say is not told.
///
/// # Errors
/// When the database cannot be read.
pub async fn learned(
    db: &Db,
    oui: &str,
    product_class: &str,
    software_version: &str,
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT path, fact FROM (SELECT path, fact FROM learned WHERE oui = $1 AND product_class = $2 \
               AND software_version = $3 ORDER BY path LIMIT $4) AS lessons \
               GROUP BY path, fact HAVING COUNT(*) >= $5 ORDER BY path, fact";
    let firmware = [oui, product_class, software_version].map(Value::from);
    let values = firmware.into_iter().chain([MAX_LESSONS.into(), (UNITS_THAT_TEACH as i64).into()]);
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
    let facts = db.query_all_raw(statement).await?;
    Ok(facts
        .iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect::<Result<_, sea_orm::DbErr>>()?)
}
