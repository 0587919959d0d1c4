//! Device orders: a person or a program wants something done on one CPE. The order is an event for the machine of the
//! CPE, which decides when it is carried out; the record of it follows in the same unit of work.

use super::{
    diagnoses::{self, DiagnosisRequest},
    live::{Recorded, short},
};
use crate::{Actor, App, AppError, Change, Permission};
use profiles::cpe::DiagnosticName;
use provisioning::{
    Diagnosis, Event, Layer, MOST_OPEN_ORDERS, Order, OrderKind, OrderNews, OrderState, SetValue, ValueKind,
    WriteValue,
};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use store::{orders, rows};
use tokio::sync::broadcast::error::RecvError;
use types::{CpeId, DeviceOrderId, Secret, UtcMs};

/// Parameters in one order.
pub const MOST_VALUES: usize = 64;
/// Bytes of paths and values in one order.
pub const MOST_BYTES: usize = 16 * 1024;
/// Characters of a path (TR-069: 256).
const LONGEST_PATH: usize = 256;
/// Tests that may be open in the whole installation, so that nobody makes a crowd of routers ask one host. On several
/// nodes a few more may be taken at the same moment.
pub const MOST_OPEN_TESTS: u64 = 100;
/// So long an order waits for a session if nothing else is said.
pub const EXPIRES_S: u64 = 24 * 3600;
/// The shortest and the longest that may be said.
pub const EXPIRY_S: std::ops::RangeInclusive<u64> = 60..=7 * 24 * 3600;
/// So long a test waits for a session if nothing else is said: whoever orders one waits for it, and one that nobody waits
/// for takes the place of another.
pub const TEST_EXPIRES_S: u64 = 15 * 60;
/// The shortest and the longest that may be said of a test.
pub const TEST_EXPIRY_S: std::ops::RangeInclusive<u64> = 60..=2 * 3600;

/// Of a device without a service.
pub(super) const TOLD_NOTHING: &str = "This CPE belongs to no service, so it is neither called nor told anything: it is read in \
                                       the first session after it is linked to one, if that comes in time.";

/// What somebody orders.
#[derive(Debug, Clone)]
pub enum DeviceOrderRequest {
    /// Read a subtree (its path ends with a dot) or one parameter, and others in the same order.
    Refresh {
        /// Which.
        path: String,
        /// Which others. Of several the device need not have all.
        also: Vec<String>,
    },
    /// Write parameters; they are read back.
    Set {
        /// Which, in order.
        values: Vec<ParameterChange>,
    },
    /// Restart the device.
    Reboot {
        /// Whoever orders it knows that the customer is off line meanwhile.
        confirmed: bool,
    },
    /// Back to the factory state.
    FactoryReset {
        /// Whoever orders it knows what goes.
        confirmed: bool,
    },
    /// Let the device test something by itself, and read what it found.
    Diagnose(DiagnosisRequest),
}

impl DeviceOrderRequest {
    /// A refresh of one subtree or parameter.
    pub fn refresh(path: impl Into<String>) -> Self {
        DeviceOrderRequest::Refresh { path: path.into(), also: Vec::new() }
    }
}

/// One parameter to write.
#[derive(Debug, Clone)]
pub struct ParameterChange {
    /// Full path.
    pub path: String,
    /// The value. Where the path is one of a secret it is never shown again.
    pub value: Secret,
    /// Its type; `None`: as it was last read.
    pub kind: Option<ValueKind>,
}

/// An order that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderTaken {
    /// Its number.
    pub id: DeviceOrderId,
    /// It was given then.
    pub created_at: UtcMs,
    /// What whoever gave it should know: one sentence each.
    pub warnings: Vec<String>,
}

/// The content of an order as it lies sealed in its row.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Body {
    Refresh {
        path: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also: Vec<String>,
    },
    Set {
        values: Vec<BodyValue>,
    },
    Reboot,
    FactoryReset,
    Diagnose {
        what: Diagnosis,
    },
}

#[derive(Serialize, Deserialize)]
struct BodyValue {
    path: String,
    value: Secret,
    secret: bool,
    kind: ValueKind,
}

impl Body {
    fn of(what: &OrderKind) -> Body {
        match what {
            OrderKind::Refresh { path, also } => Body::Refresh { path: path.clone(), also: also.clone() },
            OrderKind::Set { values } => Body::Set {
                values: values
                    .iter()
                    .map(|value| BodyValue {
                        path: value.path.clone(),
                        value: Secret::new(value.value.expose()),
                        secret: value.value.is_secret(),
                        kind: value.kind,
                    })
                    .collect(),
            },
            OrderKind::Reboot => Body::Reboot,
            OrderKind::FactoryReset => Body::FactoryReset,
            OrderKind::Diagnose(what) => Body::Diagnose { what: what.clone() },
        }
    }

    fn what(self) -> OrderKind {
        match self {
            Body::Refresh { path, also } => OrderKind::Refresh { path, also },
            Body::Set { values } => OrderKind::Set {
                values: values
                    .into_iter()
                    .map(|value| SetValue {
                        path: value.path,
                        kind: value.kind,
                        value: if value.secret {
                            WriteValue::Secret(value.value)
                        } else {
                            WriteValue::Plain(value.value.expose().to_owned())
                        },
                    })
                    .collect(),
            },
            Body::Reboot => OrderKind::Reboot,
            Body::FactoryReset => OrderKind::FactoryReset,
            Body::Diagnose { what } => OrderKind::Diagnose(what),
        }
    }
}

/// An order that is about to be kept.
#[derive(Clone)]
pub(crate) struct NewOrder {
    row: rows::DeviceOrder,
    body: Secret,
    /// The one that was not carried out and that this one takes the place of, with the line that says so.
    repeats: Option<(DeviceOrderId, rows::AuditEntry)>,
}

impl NewOrder {
    /// Keeps it if there is room, in the unit of work of its first step. Of several who repeat one order, one does.
    pub(super) async fn insert(&self, tx: &store::Tx) -> Result<(), AppError> {
        if let Some((id, audit)) = &self.repeats {
            if !orders::dismiss(tx, *id, self.row.created_at).await? {
                return Err(AppError::Conflict(
                    "This order was ordered once more or taken note of already; nothing was ordered."
                        .to_owned(),
                ));
            }
            tx.insert(audit).await?;
        }
        room_for(tx, &self.row).await?;
        orders::insert(tx, &self.row, &self.body).await?;
        Ok(())
    }
}

impl App {
    /// Orders something for one CPE. It is carried out in a session after what its service needs: the CPE is asked once
    /// to open one, and else it waits for the next Inform, until it expires (after [`EXPIRES_S`] if nothing is said; a test
    /// after [`TEST_EXPIRES_S`]).
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`]; [`AppError::Invalid`] for what is never written by order, what is
    /// not of its type, not confirmed, or too much; [`AppError::Conflict`] where enough is open already, and for anything
    /// but a read of a CPE that belongs to no service or that is never written.
    pub async fn order_device(
        &self,
        actor: &Actor,
        cpe: CpeId,
        request: DeviceOrderRequest,
        expires_s: Option<u64>,
    ) -> Result<OrderTaken, AppError> {
        // Boxed, as everything of a step is large.
        Box::pin(self.order_again(actor, cpe, request, expires_s, None)).await
    }

    /// The same, in the place of one that was not carried out; that one stands no more. It is done under the service that
    /// the first was given for, or not at all, and waits as long.
    pub(super) async fn order_again(
        &self,
        actor: &Actor,
        cpe: CpeId,
        request: DeviceOrderRequest,
        expires_s: Option<u64>,
        repeats: Option<&rows::DeviceOrder>,
    ) -> Result<OrderTaken, AppError> {
        actor.require(match request {
            DeviceOrderRequest::Refresh { .. } | DeviceOrderRequest::Diagnose(_) => Permission::OperateCpe,
            DeviceOrderRequest::Set { .. } => Permission::ConfigureCpe,
            DeviceOrderRequest::Reboot { .. } | DeviceOrderRequest::FactoryReset { .. } => {
                Permission::RestartCpe
            }
        })?;
        let (usual, bounds) = match request {
            DeviceOrderRequest::Diagnose(DiagnosisRequest::Hosts) => (EXPIRES_S, EXPIRY_S),
            DeviceOrderRequest::Diagnose(_) => (TEST_EXPIRES_S, TEST_EXPIRY_S),
            _ => (EXPIRES_S, EXPIRY_S),
        };
        let waited = repeats
            .map(|order| order.expires_at.since(order.created_at).as_secs())
            .filter(|s| bounds.contains(s));
        let expires_s = expires_s.or(waited).unwrap_or(usual);
        if !bounds.contains(&expires_s) {
            let text = format!("must lie between {} and {} seconds.", bounds.start(), bounds.end());
            return Err(AppError::invalid("expires_s", text));
        }
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        if store::cpes::is_placeholder(&row) {
            return Err(AppError::Conflict(
                "This CPE has never spoken to us; nothing can be ordered for it before its first Inform."
                    .to_owned(),
            ));
        }
        if let Some(order) = repeats
            && order.service_id != row.service_id
            && (order.service_id.is_some() || order.kind != "refresh")
        {
            return Err(AppError::Conflict(
                "This order was given while the device belonged to another service, or it is not known for which: it is \
                 not done to whoever has the device now. Nothing was ordered; order it anew if it is wanted there."
                    .to_owned(),
            ));
        }
        let (what, mut warnings) = self.checked(cpe, request).await?;
        let reads = what.only_reads();
        if !reads && let Some(why) = self.only_reading(cpe).await? {
            return Err(AppError::Conflict(why));
        }
        if row.service_id.is_none() {
            warnings.push(TOLD_NOTHING.to_owned());
        }
        let (now, key) = (self.now(), format!("lk-o-{}", crate::secrets::random_secret(16)?.expose()));
        let shown = shown(&what);
        let order = rows::DeviceOrder {
            key: key.clone(),
            cpe_id: cpe,
            service_id: row.service_id,
            kind: what.as_str().to_owned(),
            summary: summary(&what),
            shown: shown.clone(),
            state: OrderState::Waiting.as_str().to_owned(),
            text: "It waits for the next session with the device.".to_owned(),
            warning: warnings.join(" "),
            results: serde_json::json!([]),
            findings: serde_json::Value::Null,
            actor: actor.label(),
            created_at: now,
            expires_at: now.plus_s(expires_s),
            ..Default::default()
        };
        let body = serde_json::to_string(&Body::of(&what))
            .map_err(|error| AppError::Internal(format!("an order cannot be written down: {error}")))?;
        let expires_at = order.expires_at;
        let recorded = Recorded {
            entry: rows::TimelineEntry {
                at: now,
                kind: "operator".into(),
                cpe_id: Some(cpe),
                service_id: row.service_id,
                code: "order_given".into(),
                text: format!("Ordered: {}.", order.summary),
                actor: actor.label(),
                facts: serde_json::json!({ "order": key }),
                ..Default::default()
            },
            audit: self.audit_row(actor, "cpe.order", &format!("cpe:{cpe}"), None, Some(shown)),
            claim: None,
            order: Some(Box::new(NewOrder {
                row: order,
                body: Secret::new(body),
                repeats: repeats.map(|order| (order.id, self.dismissal(actor, order))),
            })),
        };
        let given = Event::OrderGiven { key: key.clone(), service_id: row.service_id, expires_at };
        self.feed_recorded(cpe, given, Some(recorded)).await?;
        self.bus().say(Change::Cpe(cpe));
        let taken = orders::by_key(self.store(), &key).await?;
        let taken = taken.ok_or_else(|| AppError::Internal(format!("the order {key} is gone")))?;
        Ok(OrderTaken { id: taken.id, created_at: taken.created_at, warnings })
    }

    /// Why nothing but reading can be ordered for a CPE, as a sentence; `None` where more can.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn only_reading(&self, cpe: CpeId) -> Result<Option<String>, AppError> {
        let live = self.load(cpe).await?;
        if live.row.service_id.is_none() {
            return Ok(Some(
                "This CPE belongs to no service: nothing but reading it can be ordered, so that nothing is done to \
                 whoever gets it next. Claim it for a service first."
                    .to_owned(),
            ));
        }
        let profile = live.device.profile.as_ref().and_then(|known| self.profiles().get(&known.id).cloned());
        let why = provisioning::only_read(&live.device, profile.as_deref());
        Ok(why.map(|why| format!("Nothing but reading can be ordered for this CPE: {why}.")))
    }

    /// Latest orders of a CPE, the newest first.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn device_orders(&self, cpe: CpeId, limit: u64) -> Result<Vec<rows::DeviceOrder>, AppError> {
        Ok(orders::of_cpe(self.store(), cpe, limit).await?)
    }

    /// One order.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn device_order(&self, id: DeviceOrderId) -> Result<rows::DeviceOrder, AppError> {
        self.found(id, "device order").await
    }

    /// Withdraws an order that the device was not told of yet, and gives up one of which a write may have left before;
    /// the row that is given back says which it was.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`]; [`AppError::Conflict`] when it is over or the device was told.
    pub async fn cancel_order(
        &self,
        actor: &Actor,
        id: DeviceOrderId,
    ) -> Result<rows::DeviceOrder, AppError> {
        actor.require(Permission::OperateCpe)?;
        let order = self.device_order(id).await?;
        if order.ended_at.is_some() {
            return Err(AppError::Conflict(format!("This order is over: it is {}.", order.state)));
        }
        let cpe: rows::Cpe = self.found(order.cpe_id, "CPE").await?;
        let recorded = Recorded {
            entry: rows::TimelineEntry {
                at: self.now(),
                kind: "operator".into(),
                cpe_id: Some(cpe.id),
                service_id: cpe.service_id,
                code: "order_withdrawn".into(),
                text: format!("Wanted to withdraw the order: {}.", order.summary),
                actor: actor.label(),
                facts: serde_json::json!({ "order": order.key }),
                ..Default::default()
            },
            audit: self.audit_row(
                actor,
                "cpe.cancel_order",
                &format!("cpe:{}", cpe.id),
                None,
                Some(order.shown),
            ),
            order: None,
            claim: None,
        };
        let event = Event::OrderCancelled { key: order.key.clone(), by: actor.label() };
        self.feed_recorded(cpe.id, event, Some(recorded)).await?;
        self.bus().say(Change::Cpe(cpe.id));
        let after = self.device_order(id).await?;
        match OrderState::parse(&after.state) {
            // Failed: it was written before and not read back, and is given up.
            Some(OrderState::Cancelled | OrderState::Failed) => Ok(after),
            Some(OrderState::Sent) => Err(AppError::Conflict(
                "The device was told already; what comes of it is shown when it is known.".to_owned(),
            )),
            _ => Err(AppError::Conflict(format!("This order is over: it is {}.", after.state))),
        }
    }

    /// The order once it is over, or as it stands when the time is up.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn order_ended(
        &self,
        id: DeviceOrderId,
        within: Duration,
    ) -> Result<rows::DeviceOrder, AppError> {
        let mut changes = self.bus().subscribe();
        let until = tokio::time::Instant::now() + within;
        loop {
            let order = self.device_order(id).await?;
            if order.ended_at.is_some() {
                return Ok(order);
            }
            loop {
                match tokio::time::timeout_at(until, changes.recv()).await {
                    Err(_) => return self.device_order(id).await,
                    Ok(Ok(Change::Cpe(cpe))) if cpe == order.cpe_id => break,
                    Ok(Ok(Change::Missed) | Err(RecvError::Lagged(_))) => break,
                    Ok(Ok(_)) => {}
                    Ok(Err(RecvError::Closed)) => return self.device_order(id).await,
                }
            }
        }
    }

    /// What is open on a device, for its machine.
    pub(super) async fn open_orders(&self, cpe: CpeId) -> Result<Vec<Order>, AppError> {
        let open = orders::open_of(self.store(), cpe).await?;
        let read = |(row, body): (rows::DeviceOrder, Option<Secret>)| {
            let body = body.and_then(|body| serde_json::from_str::<Body>(body.expose()).ok());
            body.map(|body| Order { key: row.key, what: body.what() })
        };
        Ok(open.into_iter().filter_map(read).collect())
    }

    /// Checks an order before anything of it is kept, and says what is to be known of it.
    async fn checked(
        &self,
        cpe: CpeId,
        request: DeviceOrderRequest,
    ) -> Result<(OrderKind, Vec<String>), AppError> {
        let unconfirmed = |what: &str| AppError::invalid("confirmed", what);
        match request {
            DeviceOrderRequest::Refresh { path, also } => {
                let mut paths: Vec<String> = Vec::new();
                for path in std::iter::once(path).chain(also) {
                    let path = path.trim().to_owned();
                    plausible(&path, true)?;
                    if !paths.contains(&path) {
                        paths.push(path);
                    }
                    let bytes: usize = paths.iter().map(String::len).sum();
                    if paths.len() > MOST_VALUES || bytes > MOST_BYTES {
                        let text = format!("must be at most {MOST_VALUES} with {MOST_BYTES} bytes in all.");
                        return Err(AppError::invalid("path", text));
                    }
                }
                let path = paths.remove(0);
                Ok((OrderKind::Refresh { path, also: paths }, Vec::new()))
            }
            DeviceOrderRequest::Reboot { confirmed: true } => Ok((OrderKind::Reboot, Vec::new())),
            DeviceOrderRequest::Reboot { confirmed: false } => {
                Err(unconfirmed("must be given: while the device restarts its customer is off line."))
            }
            DeviceOrderRequest::FactoryReset { confirmed: true } => Ok((
                OrderKind::FactoryReset,
                vec![
                    "What the customer set on the device is lost. The service is set up again at its next Inform.".to_owned(),
                ],
            )),
            DeviceOrderRequest::FactoryReset { confirmed: false } => {
                Err(unconfirmed("must be given: everything the customer set on the device is lost."))
            }
            DeviceOrderRequest::Set { values } => self.checked_values(cpe, values).await,
            DeviceOrderRequest::Diagnose(what) => {
                let what = what.checked()?;
                let warnings = self.testable(&self.load(cpe).await?, &what)?;
                Ok((OrderKind::Diagnose(what), warnings))
            }
        }
    }

    async fn checked_values(
        &self,
        cpe: CpeId,
        values: Vec<ParameterChange>,
    ) -> Result<(OrderKind, Vec<String>), AppError> {
        let bytes: usize = values.iter().map(|value| value.path.len() + value.value.expose().len()).sum();
        if values.is_empty() || values.len() > MOST_VALUES || bytes > MOST_BYTES {
            let text =
                format!("must be 1 to {MOST_VALUES} parameters with at most {MOST_BYTES} bytes in all.");
            return Err(AppError::invalid("values", text));
        }
        let live = self.load(cpe).await?;
        let profiles = self.profiles();
        let profile = live.device.profile.as_ref().and_then(|known| profiles.get(&known.id));
        let intents = self.intents_of(live.row.service_id).await?;
        let paths: Vec<String> = values.iter().map(|value| value.path.trim().to_owned()).collect();
        let known = store::cpes::parameters_named(self.store(), cpe, &paths).await?;
        let (mut checked, mut warnings): (Vec<SetValue>, Vec<String>) = (Vec::new(), Vec::new());
        for (change, path) in values.into_iter().zip(paths) {
            plausible(&path, false)?;
            if checked.iter().any(|other| other.path == path) {
                return Err(AppError::invalid("values", format!("name {path} twice.")));
            }
            if let Some(why) = provisioning::never_ordered(&path) {
                return Err(AppError::invalid("values", format!("cannot hold {path}: it {why}.")));
            }
            let stored = known.iter().find(|row| row.path == path);
            if stored.is_some_and(|row| row.writable == Some(false)) {
                return Err(AppError::invalid(
                    "values",
                    format!("cannot hold {path}: the device says that it is read-only."),
                ));
            }
            let secret = types::names_a_secret(&path)
                || profile.as_ref().is_some_and(|profile| profile.is_secret(&path));
            let kind = match (change.kind, stored) {
                (Some(kind), _) => kind,
                (None, Some(row)) => ValueKind::from_xsd(&row.kind),
                (None, None) if secret => ValueKind::String,
                (None, None) => {
                    return Err(AppError::invalid(
                        "values",
                        format!(
                            "need a type for {path}: it was never read. Refresh it first, or name its type."
                        ),
                    ));
                }
            };
            if let Some(why) = provisioning::not_of_type(kind, change.value.expose()) {
                return Err(AppError::invalid(
                    "values",
                    format!("do not fit {path} ({}): it {why}.", kind.xsd()),
                ));
            }
            if let Some(layer) = provisioning::managed_by(
                &live.device,
                profile.map(|profile| &**profile),
                intents.as_ref(),
                &path,
            ) {
                warnings.push(managed(&path, layer));
            }
            let value = if secret {
                WriteValue::Secret(change.value)
            } else {
                WriteValue::Plain(change.value.expose().to_owned())
            };
            checked.push(SetValue { path, value, kind });
        }
        Ok((OrderKind::Set { values: checked }, warnings))
    }
}

/// What the machine tells of an order, for its row.
pub(super) fn for_the_record(news: &OrderNews, told_at: Option<UtcMs>, now: UtcMs) -> store::orders::News {
    let json = |value: Result<serde_json::Value, _>| value.unwrap_or_default();
    store::orders::News {
        key: news.key.clone(),
        state: news.state.as_str().to_owned(),
        text: news.text.clone(),
        fault_code: news.fault.as_ref().map_or(0, |(code, _)| i64::from(*code)),
        fault_text: news.fault.as_ref().map(|(_, text)| short(text)).unwrap_or_default(),
        results: (!news.results.is_empty()).then(|| json(serde_json::to_value(&news.results))),
        values_read: i64::from(news.values),
        findings: news.findings.as_ref().map(|found| json(serde_json::to_value(found))),
        sent_at: told_at,
        ended_at: news.state.is_over().then_some(now),
    }
}

/// Whether another order may be open on the device, in the unit of work that writes it. The row of the CPE is written in
/// it before, so that of two at once the later one sees the earlier.
async fn room_for(tx: &store::Tx, order: &rows::DeviceOrder) -> Result<(), AppError> {
    let open = orders::open_kinds(tx, order.cpe_id).await?;
    if open.len() >= MOST_OPEN_ORDERS {
        return Err(AppError::Conflict(format!(
            "{MOST_OPEN_ORDERS} orders are open for this CPE; wait for them or cancel some."
        )));
    }
    let once = [OrderKind::Reboot.as_str(), OrderKind::FactoryReset.as_str()].contains(&order.kind.as_str());
    if once && open.contains(&order.kind) {
        return Err(AppError::Conflict(
            "Such an order is open for this CPE already; it is done once.".to_owned(),
        ));
    }
    let test = |kind: &str| DiagnosticName::ALL.iter().any(|name| name.as_str() == kind);
    if !test(&order.kind) {
        return Ok(());
    }
    if open.iter().any(|kind| test(kind)) {
        return Err(AppError::Conflict(
            "A test is open for this CPE already, and it runs one at a time: wait for its result, or give it up.".to_owned(),
        ));
    }
    let kinds: Vec<&str> = DiagnosticName::ALL.iter().map(|name| name.as_str()).collect();
    if orders::open_of_kinds(tx, &kinds).await? >= MOST_OPEN_TESTS {
        return Err(AppError::Conflict(format!(
            "{MOST_OPEN_TESTS} tests are open in this installation, and no more are ordered at a time: wait for some, or \
             give some up."
        )));
    }
    Ok(())
}

fn managed(path: &str, layer: Layer) -> String {
    if layer == Layer::Core {
        return format!(
            "{path} is managed by the Core layer; Lightkeeper sets it again when the clock of the device is wrong."
        );
    }
    format!(
        "{path} is managed by the {} layer; the next drift check puts it back to what the service wants. Change the \
         service for a lasting change.",
        layer.title()
    )
}

/// A path that a device may have.
fn plausible(path: &str, object: bool) -> Result<(), AppError> {
    let bad = |why: &str| Err(AppError::invalid(if object { "path" } else { "values" }, why));
    if path.is_empty() || path.chars().count() > LONGEST_PATH {
        return bad("must name a parameter in at most 256 characters.");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) || path.starts_with('.') || path.contains("..") {
        return bad("must be a path such as InternetGatewayDevice.DeviceInfo.SoftwareVersion.");
    }
    if !object && path.ends_with('.') {
        return bad("must name parameters, not objects: a path of a parameter does not end with a dot.");
    }
    Ok(())
}

fn summary(what: &OrderKind) -> String {
    match what {
        OrderKind::Refresh { path, also } if also.is_empty() => format!("read {path}"),
        OrderKind::Refresh { path, also } => format!("read {path} and {} more", also.len()),
        OrderKind::Set { values } => match values.as_slice() {
            [one] => format!("set {} to {}", one.path, masked(one)),
            many => format!("set {} parameters", many.len()),
        },
        OrderKind::Reboot => "restart the device".to_owned(),
        OrderKind::FactoryReset => "reset the device to its factory settings".to_owned(),
        OrderKind::Diagnose(what) => diagnoses::summary(what),
    }
}

fn masked(value: &SetValue) -> String {
    let text = value.value.masked();
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn shown(what: &OrderKind) -> serde_json::Value {
    match what {
        OrderKind::Refresh { path, also } if also.is_empty() => {
            serde_json::json!({ "kind": what.as_str(), "path": path })
        }
        OrderKind::Refresh { path, also } => {
            serde_json::json!({ "kind": what.as_str(), "path": path, "also": also })
        }
        OrderKind::Set { values } => serde_json::json!({
            "kind": what.as_str(),
            "values": values
                .iter()
                .map(|value| serde_json::json!({ "path": value.path, "value": value.value.masked(), "type": value.kind.xsd() }))
                .collect::<Vec<_>>(),
        }),
        OrderKind::Reboot | OrderKind::FactoryReset => serde_json::json!({ "kind": what.as_str() }),
        OrderKind::Diagnose(test) => {
            let mut shown = serde_json::to_value(test).unwrap_or_default();
            if let Some(shown) = shown.as_object_mut() {
                shown.remove("test");
                shown.insert("kind".to_owned(), what.as_str().into());
            }
            shown
        }
    }
}
