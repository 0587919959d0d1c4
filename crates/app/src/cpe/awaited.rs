//! Whoever orders something of a device and waits for it is told what came of it, or of the call for it. Waiting never
//! makes anything happen: a device is called when its machine decides so, and not again because somebody waits.

use crate::{
    Actor, App, AppError, Change, DeviceOrderRequest, DiagnosisRequest, OrderTaken, ParameterChange,
    Permission,
};
use provisioning::{ConnectionRequestOutcome as Outcome, Diagnosis, OrderState, State, ValueKind};
use std::time::Duration;
use store::{StoreError, orders, rows};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::Instant,
};
use types::{CpeId, DeviceOrderId, Secret, UtcMs};

/// What is waited for is looked at again that often even if nobody says that it changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Outcomes of a call of which nothing left us.
const NOTHING_SENT: [Outcome; 5] = [
    Outcome::NotSent,
    Outcome::UrlMissing,
    Outcome::UrlInvalid,
    Outcome::NotInManagementSubnet,
    Outcome::AnotherAddress,
];

const REFUSED: &str = "The device refused our credentials (401) when it was called, and is not called before they were written \
                       anew; it speaks at its next Inform.";

/// What came of a call that somebody wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// The device accepted it, or speaks to us already.
    Answered,
    /// It was called, or may have been, and did not, or not yet; why, as a sentence.
    Unanswered(String),
    /// It was not called; why, as a sentence.
    Not(String),
}

/// Where an order stands when nobody waits for it any more.
#[derive(Debug, Clone)]
pub struct Awaited {
    /// The order.
    pub order: rows::DeviceOrder,
    /// Why it is not over, as a sentence, where more is known than that no session came: what the device was told, or why
    /// it did not come or is not called.
    pub why: Option<String>,
}

impl App {
    /// Asks the device to open a session now, and says what came of it, within a time.
    ///
    /// # Errors
    /// As [`App::call_cpe`].
    pub async fn call_and_wait(
        &self,
        actor: &Actor,
        cpe: CpeId,
        within: Duration,
    ) -> Result<Called, AppError> {
        let mut changes = self.bus().subscribe();
        let until = Instant::now() + within;
        let last = store::cpes::connection_requests(self.store(), cpe, 1).await?;
        let last = last.first().map_or(0, |call| call.id);
        let asked_at = self.now();
        self.call_cpe(actor, cpe).await?;
        let device = self.load(cpe).await?.device;
        let latest = store::cpes::sessions(self.store(), cpe, 1).await?;
        if device.connection.last_at < Some(asked_at)
            && let Some(open) = latest.iter().find(|session| session.ended_at.is_none())
        {
            // That it speaks is no answer to a call that was not made.
            return Ok(Called::Not(format!(
                "The device has a session open since {}, so it was not called.",
                open.began_at.whole_s()
            )));
        }
        if device.connection.outstanding_since.is_none() && !self.was_called(cpe, last).await? {
            let gap = self.policy().provisioning.connection_request_gap_s;
            let lately = device.connection.last_at.is_some_and(|at| at.plus_s(gap) > self.now());
            return Ok(Called::Not(if device.connection.unauthorized_since.is_some() {
                REFUSED.to_owned()
            } else if lately {
                format!(
                    "A call of the device was wanted less than {gap} s ago and none is made so soon after; it speaks at its next \
                     Inform at the latest."
                )
            } else {
                "The device is not called as it stands now; its page says what it waits for.".to_owned()
            }));
        }
        loop {
            let calls = store::cpes::connection_requests(self.store(), cpe, 1).await?;
            if let Some(call) = calls.into_iter().find(|call| call.id > last) {
                let is = |outcome: Outcome| call.outcome == outcome.as_str();
                return Ok(if is(Outcome::Accepted) {
                    Called::Answered
                } else if NOTHING_SENT.into_iter().any(is) {
                    Called::Not(call.detail)
                } else {
                    Called::Unanswered(call.detail)
                });
            }
            let latest = store::cpes::sessions(self.store(), cpe, 1).await?;
            let came = |session: &rows::CpeSession| {
                session.began_at >= asked_at && session.events.contains("6 CONNECTION REQUEST")
            };
            if latest.iter().any(came) {
                return Ok(Called::Answered);
            }
            if !changed(&mut changes, cpe, until).await {
                return Ok(Called::Unanswered("The device has not answered to the call yet.".to_owned()));
            }
        }
    }

    /// It has a session open, on whichever node.
    async fn speaks(&self, cpe: CpeId) -> Result<bool, AppError> {
        let latest = store::cpes::sessions(self.store(), cpe, 1).await?;
        Ok(latest.iter().any(|session| session.ended_at.is_none()))
    }

    /// The root of its data model, as the device itself showed it: `InternetGatewayDevice` or `Device`.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn root_of(&self, cpe: CpeId) -> Result<Option<String>, AppError> {
        Ok(Some(self.load(cpe).await?.device.identity.root).filter(|root| !root.is_empty()))
    }

    async fn was_called(&self, cpe: CpeId, after: i64) -> Result<bool, AppError> {
        let calls = store::cpes::connection_requests(self.store(), cpe, 1).await?;
        Ok(calls.iter().any(|call| call.id > after))
    }

    /// Waits until a session is open or an order is begun, and then until it is over; sooner, when the device was called
    /// for it and did not come, or is not called for it in time.
    ///
    /// # Errors
    /// [`AppError::NotFound`].
    pub async fn order_awaited(
        &self,
        id: DeviceOrderId,
        begun_within: Duration,
        over_within: Duration,
    ) -> Result<Awaited, AppError> {
        let mut changes = self.bus().subscribe();
        let mut until = Instant::now() + begun_within;
        let last = until + over_within;
        let mut begun = false;
        loop {
            let order = self.device_order(id).await?;
            if order.ended_at.is_some() {
                return Ok(Awaited { order, why: None });
            }
            let (told, speaks) = (order.sent_at.is_some(), self.speaks(order.cpe_id).await?);
            if !begun && (told || speaks) {
                (begun, until) = (true, Instant::now() + over_within);
            } else if begun && !told && !speaks {
                // A session that came and went without it: another one is waited for.
                (begun, until) = (false, last.min(Instant::now() + begun_within));
            }
            if begun {
                if !changed(&mut changes, order.cpe_id, until).await {
                    return Ok(Awaited { why: told.then(|| order.text.clone()), order });
                }
                continue;
            }
            let failed = self.failed_call(order.cpe_id, order.created_at).await?;
            // A device that answers is there: most say 503 while a session of their own is not quite over, and come soon.
            let answered = failed.as_ref().is_some_and(|call| call.outcome == Outcome::Http(503).as_str());
            let why = match failed {
                Some(call) => Some(call.detail),
                None => self.not_called_by(&order, until).await?,
            };
            if why.is_some() && !answered || !changed(&mut changes, order.cpe_id, until).await {
                return Ok(Awaited { order, why });
            }
        }
    }

    /// Why the device is not called for an order until then, as a sentence; `None` if it is, or that is not known.
    async fn not_called_by(
        &self,
        order: &rows::DeviceOrder,
        until: Instant,
    ) -> Result<Option<String>, AppError> {
        let live = self.load(order.cpe_id).await?;
        if live.row.service_id.is_none() {
            return Ok(Some(super::orders::TOLD_NOTHING.to_owned()));
        }
        let device = live.device;
        let uncalled = device.orders.iter().any(|open| open.key == order.key && !open.called);
        let call = &device.connection;
        if !uncalled || call.outstanding_since.is_some() {
            return Ok(None);
        }
        if call.unauthorized_since.is_some() {
            return Ok(Some(REFUSED.to_owned()));
        }
        let gap = self.policy().provisioning.connection_request_gap_s;
        let Some(at) = call.last_at.map(|at| at.plus_s(gap)).filter(|at| *at > self.now()) else {
            return Ok(None);
        };
        let left = at.since(self.now());
        if device.state() == State::WaitingInform {
            return Ok(Some(format!(
                "A call of the device was wanted less than {gap} s ago for what it still has to be told, and none is made after; it \
                 is told this at its next Inform."
            )));
        }
        Ok((Instant::now() + left > until).then(|| {
            let left = left.as_secs().max(1);
            format!(
                "A call of the device was wanted less than {gap} s ago. It is called for this in {left} s."
            )
        }))
    }

    /// The latest call since then, if the device did not say yes to it.
    async fn failed_call(
        &self,
        cpe: CpeId,
        since: UtcMs,
    ) -> Result<Option<rows::ConnectionRequest>, AppError> {
        let calls = store::cpes::connection_requests(self.store(), cpe, 1).await?;
        // What was not sent was not needed any more, or another call is under way.
        let none =
            |outcome: &str| outcome == Outcome::Accepted.as_str() || outcome == Outcome::NotSent.as_str();
        Ok(calls.into_iter().find(|call| call.at >= since && !none(&call.outcome)))
    }

    /// Takes note of an order that was not carried out: it stands no more, and is kept. False: it is none of those.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`].
    pub async fn dismiss_order(&self, actor: &Actor, id: DeviceOrderId) -> Result<bool, AppError> {
        actor.require(Permission::OperateCpe)?;
        let order = self.device_order(id).await?;
        self.note_dismissed(actor, order).await
    }

    async fn note_dismissed(&self, actor: &Actor, order: rows::DeviceOrder) -> Result<bool, AppError> {
        let id = order.id;
        let audit = self.dismissal(actor, &order);
        let at = self.now();
        let stood = self.store().write::<_, _, StoreError>(move |tx| {
            let audit = audit.clone();
            Box::pin(async move {
                let stood = orders::dismiss(tx, id, at).await?;
                if stood {
                    tx.insert(&audit).await?;
                }
                Ok(stood)
            })
        });
        let stood = stood.await?;
        self.bus().say(Change::Cpe(order.cpe_id));
        Ok(stood)
    }

    /// Orders once more what was not carried out, and takes note of that. What it was is checked again as it was then.
    ///
    /// # Errors
    /// As [`App::order_device`]; [`AppError::Conflict`] for what did not fail or was repeated already, for a restart, which
    /// is told once, for what held a secret, which is not kept, and where the device belongs to another service now.
    pub async fn repeat_order(&self, actor: &Actor, id: DeviceOrderId) -> Result<OrderTaken, AppError> {
        let order = self.device_order(id).await?;
        if !matches!(OrderState::parse(&order.state), Some(OrderState::Failed | OrderState::Expired)) {
            return Err(AppError::Conflict(format!(
                "This order is {}; only one that failed or expired is repeated.",
                order.state
            )));
        }
        Box::pin(self.order_again(actor, order.cpe_id, repeated(&order)?, None, Some(&order))).await
    }

    /// The line in the audit log that somebody took note of this.
    pub(super) fn dismissal(&self, actor: &Actor, order: &rows::DeviceOrder) -> rows::AuditEntry {
        let cpe = format!("cpe:{}", order.cpe_id);
        self.audit_row(actor, "cpe.dismiss_order", &cpe, None, Some(order.shown.clone()))
    }
}

/// The order again, from what is shown of it.
fn repeated(order: &rows::DeviceOrder) -> Result<DeviceOrderRequest, AppError> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &serde_json::Value| value.as_array().cloned().unwrap_or_default();
    match order.kind.as_str() {
        "refresh" => Ok(DeviceOrderRequest::Refresh {
            path: text(&order.shown["path"]),
            also: list(&order.shown["also"]).iter().map(text).collect(),
        }),
        "set" => {
            let mut values = Vec::new();
            for value in list(&order.shown["values"]) {
                let (path, shown) = (text(&value["path"]), text(&value["value"]));
                let hidden = !shown.is_empty() && shown.chars().all(|c| c == '•');
                if hidden || types::names_a_secret(&path) {
                    return Err(AppError::Conflict(format!(
                        "{path} is a secret, which is not kept when an order is over; order the change anew."
                    )));
                }
                let kind = Some(ValueKind::from_xsd(&text(&value["type"])));
                values.push(ParameterChange { path, value: Secret::new(shown), kind });
            }
            Ok(DeviceOrderRequest::Set { values })
        }
        "hosts" => Ok(DeviceOrderRequest::Diagnose(DiagnosisRequest::Hosts)),
        kind if Diagnosis::is_word(kind) => {
            let number = |field: &str| order.shown[field].as_u64().and_then(|number| u32::try_from(number).ok());
            let (host, timeout_ms) = (text(&order.shown["host"]), number("timeout_ms"));
            Ok(DeviceOrderRequest::Diagnose(match kind {
                "lookup" => {
                    let server = Some(text(&order.shown["server"]));
                    DiagnosisRequest::Lookup { host, server, count: number("count"), timeout_ms }
                }
                "neighbours" => DiagnosisRequest::Neighbours,
                "ping" => {
                    DiagnosisRequest::Ping { host, count: number("count"), timeout_ms, size: number("size") }
                }
                _ => DiagnosisRequest::Traceroute {
                    host,
                    hops: number("hops"),
                    tries: number("tries"),
                    timeout_ms,
                },
            }))
        }
        _ => Err(AppError::Conflict(
            "A device is told once to restart, and never again by itself; look whether it did, and order it anew if it \
             should."
                .to_owned(),
        )),
    }
}

/// Waits until something is said of this device, or it is time to look again. False: the time is up.
async fn changed(changes: &mut Receiver<Change>, cpe: CpeId, until: Instant) -> bool {
    let look_at = until.min(Instant::now() + LOOK_EVERY);
    loop {
        match tokio::time::timeout_at(look_at, changes.recv()).await {
            Err(_) => return Instant::now() < until,
            Ok(Ok(Change::Cpe(other))) if other == cpe => return true,
            Ok(Ok(Change::Missed) | Err(RecvError::Lagged(_))) => return true,
            Ok(Ok(_)) => {}
            // Nobody says anything any more: this process ends.
            Ok(Err(RecvError::Closed)) => return false,
        }
    }
}
