//! Tasks: what GenieACS calls device orders.
//!
//! A task is an order like any other, with the same checks, the same permissions and the same line in the audit log. It is
//! carried out by the machine of its device, which calls the device when that may be; that somebody asks for a connection
//! request here only means that the answer waits.

use std::{collections::HashMap, sync::Arc, time::Duration};

use app::{Actor, Called, DeviceOrderRequest, OrderTaken, ParameterChange, Permission};
use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State},
    http::{Method, StatusCode},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::ext::ReasonPhrase;
use provisioning::ValueKind;
use serde_json::{Map, Value, json};
use store::read::{Read, StandingOrderRow};
use types::{CpeId, DeviceOrderId, Secret, UtcMs};

use super::{
    Nbi, Refusal,
    collection::{Asked, Collection, answer},
    devices, document, ids,
    once::Begun,
    query::{Field, Fields, Found, Subject},
};
use crate::{list::form_pairs, live::stopped, server::Stopping};

/// Tasks that a query looks at in one go.
const SCANNED: u32 = 1000;
/// So long a session is waited for where nothing is said, as GenieACS does, and at most, milliseconds.
const BEGUN_WITHIN_MS: u64 = 4000;
const LONGEST_WAIT_MS: u64 = 120_000;
/// So long its end is waited for.
const OVER_WITHIN: Duration = Duration::from_secs(120);
/// Answer to a connection request alone: a device that is there says so within seconds.
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// A task that is stamped with a time to come by this much is for now: clocks differ.
const CLOCKS_APART_MS: i64 = 60_000;
/// Longest text that is sent as a reason phrase, bytes.
const LONGEST_PHRASE: usize = 200;

const NOT_PROCESSED: &str = "Task queued but not processed";

const FIELDS: Fields =
    Fields { own: &["_id", "device", "name", "timestamp", "expiry", "status"], parameters: false };

fn task_id(row: &StandingOrderRow) -> String {
    ids::task(row.id, row.created_at)
}

/// The order that a task's `_id` names, if it is one.
pub(super) async fn order_of(nbi: &Nbi, id: &str) -> Result<StandingOrderRow, Refusal> {
    let missing = || Refusal::new(StatusCode::NOT_FOUND, "Task not found");
    if id.len() != 24 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(missing());
    }
    let number = i64::from_str_radix(&id[8..], 16).map_err(|_| missing())?;
    let row = nbi.app.store().read().orders_of(&[number]).await?.pop().ok_or_else(missing)?;
    if task_id(&row).eq_ignore_ascii_case(id) { Ok(row) } else { Err(missing()) }
}

/// One that was done, withdrawn or taken note of is no task any more.
fn stands(row: &StandingOrderRow) -> bool {
    row.dismissed_at.is_none() && !matches!(row.state.as_str(), "done" | "accepted" | "cancelled")
}

fn failed(row: &StandingOrderRow) -> bool {
    matches!(row.state.as_str(), "failed" | "expired")
}

/// What it was ordered as, in GenieACS's words.
fn name(kind: &str, shown: &Value) -> &'static str {
    match kind {
        "refresh" => {
            let whole = shown["path"].as_str().is_some_and(|path| path.ends_with('.'));
            if whole && shown["also"].is_null() { "refreshObject" } else { "getParameterValues" }
        }
        "set" => "setParameterValues",
        "reboot" => "reboot",
        // GenieACS has no such tasks; what was ordered elsewhere is listed all the same.
        "ping" => "ping",
        "traceroute" => "traceroute",
        _ => "factoryReset",
    }
}

/// A task as GenieACS shows it, with where it stands in two fields of ours.
fn task(row: &StandingOrderRow) -> Value {
    let shown: Value = serde_json::from_str(&row.shown).unwrap_or_default();
    let name = name(&row.kind, &shown);
    let mut out = Map::new();
    out.insert("_id".into(), task_id(row).into());
    out.insert("device".into(), ids::id(&row.oui, &row.product_class, &row.serial_number).into());
    out.insert("name".into(), name.into());
    out.insert("timestamp".into(), document::moment(row.created_at).into());
    out.insert("expiry".into(), document::moment(row.expires_at).into());
    match name {
        "refreshObject" => {
            out.insert("objectName".into(), shown["path"].clone());
        }
        "getParameterValues" => {
            let also = shown["also"].as_array().into_iter().flatten();
            let names: Vec<Value> = std::iter::once(&shown["path"]).chain(also).cloned().collect();
            out.insert("parameterNames".into(), names.into());
        }
        "setParameterValues" => {
            let values = shown["values"].as_array().into_iter().flatten();
            let values = values.map(|value| {
                let kind = value["type"].as_str().unwrap_or("string");
                json!([value["path"], value["value"], format!("xsd:{kind}")])
            });
            out.insert("parameterValues".into(), values.collect::<Vec<_>>().into());
        }
        _ => {}
    }
    out.insert("status".into(), row.state.clone().into());
    out.insert("statusText".into(), row.text.clone().into());
    if !row.warning.is_empty() {
        out.insert("warning".into(), row.warning.clone().into());
    }
    if row.fault_code != 0 {
        let fault = json!({ "code": format!("cwmp.{}", row.fault_code), "message": row.fault_text });
        out.insert("fault".into(), fault);
    }
    Value::Object(out)
}

struct Tasks {
    app: Arc<app::App>,
    /// Only of this device.
    cpe_id: Option<i64>,
}

/// One task as a query sees it.
struct Task {
    id: String,
    device: String,
    name: &'static str,
    row: StandingOrderRow,
}

impl Task {
    fn new(row: StandingOrderRow) -> Self {
        let shown: Value = serde_json::from_str(&row.shown).unwrap_or_default();
        Task {
            id: task_id(&row),
            device: ids::id(&row.oui, &row.product_class, &row.serial_number),
            name: name(&row.kind, &shown),
            row,
        }
    }
}

impl Subject for Task {
    fn found(&self, field: &Field) -> Found<'_> {
        match field {
            Field::Own("_id") => Found::Text(&self.id),
            Field::Own("device") => Found::Text(&self.device),
            Field::Own("name") => Found::Text(self.name),
            Field::Own("timestamp") => Found::Time(self.row.created_at),
            Field::Own("expiry") => Found::Time(self.row.expires_at),
            Field::Own("status") => Found::Text(&self.row.state),
            Field::Own(_) | Field::Parameter { .. } => Found::Nothing,
        }
    }
}

impl Tasks {
    fn read(&self) -> Read<'_> {
        self.app.store().read()
    }
}

impl Collection for Tasks {
    type Item = Task;

    fn chunk(&self) -> usize {
        500
    }

    async fn count(&self) -> Result<u64, Refusal> {
        Ok(self.read().standing_order_count(self.cpe_id).await?)
    }

    async fn ids(&self, after: i64, skip: u64, limit: u32) -> Result<Vec<i64>, Refusal> {
        let rows = self.read().standing_orders_after(self.cpe_id, after, skip, limit).await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    async fn items(&self, after: i64) -> Result<Vec<(i64, Task)>, Refusal> {
        let rows = self.read().standing_orders_after(self.cpe_id, after, 0, SCANNED).await?;
        Ok(rows.into_iter().map(|row| (row.id, Task::new(row))).collect())
    }

    async fn documents(&self, ids: Vec<i64>) -> Result<Vec<Value>, Refusal> {
        let rows = self.read().orders_of(&ids).await?;
        let rows: HashMap<i64, StandingOrderRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        Ok(ids.iter().filter_map(|id| Some(task(rows.get(id)?))).collect())
    }
}

/// The tasks that match: what is open, and what was not carried out until it is deleted or tried again.
pub(super) async fn list(
    State(nbi): State<Nbi>,
    method: Method,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = Asked::parse(query.as_deref().unwrap_or_default(), FIELDS)?;
    let cpe_id = match asked.matcher.one_of("device").as_deref() {
        // A device that is not known has no tasks: the query itself finds none.
        Some([device]) => devices::cpe(&nbi, device).await.ok(),
        _ => None,
    };
    answer(&nbi, Tasks { app: Arc::clone(&nbi.app), cpe_id }, asked, &method).await
}

/// One task, whatever became of it. GenieACS has no such route; clients were written for it all the same.
pub(super) async fn one(State(nbi): State<Nbi>, Path(id): Path<String>) -> Result<Json<Value>, Refusal> {
    Ok(Json(task(&order_of(&nbi, &id).await?)))
}

/// Withdraws a task that is open, and takes note of one that was not carried out.
pub(super) async fn delete(
    State(nbi): State<Nbi>,
    Extension(actor): Extension<Actor>,
    Path(id): Path<String>,
) -> Result<(), Refusal> {
    let row = order_of(&nbi, &id).await?;
    if !stands(&row) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "Task not found"));
    }
    let order = DeviceOrderId(row.id);
    if !failed(&row) {
        let after = nbi.app.cancel_order(&actor, order).await?;
        if after.state == "failed" {
            // Whoever deletes it believes that nothing happened; so it stands until that was read.
            return Err(Refusal::new(
                StatusCode::CONFLICT,
                format!(
                    "{} The task is not gone on with and is kept as failed; delete it once more to take note.",
                    after.text
                ),
            ));
        }
    }
    nbi.app.dismiss_order(&actor, order).await?;
    Ok(())
}

/// Orders once more what was not carried out; what is open is tried again by itself.
pub(super) async fn retry(
    State(nbi): State<Nbi>,
    Extension(actor): Extension<Actor>,
    Extension(begun): Extension<Begun>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let row = order_of(&nbi, &id).await?;
    if !stands(&row) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "Task not found"));
    }
    if !failed(&row) {
        return Ok(Json(task(&row)).into_response());
    }
    begun.begins();
    let taken = nbi.app.repeat_order(&actor, DeviceOrderId(row.id)).await.map_err(devices::refused)?;
    Ok(Json(document_of(&nbi, &taken).await).into_response())
}

/// The task that was queued. That it cannot be read now takes nothing back of that: then it is told by its `_id` alone.
async fn document_of(nbi: &Nbi, taken: &OrderTaken) -> Value {
    match nbi.app.store().read().orders_of(&[taken.id.0]).await {
        Ok(mut found) if !found.is_empty() => task(&found.remove(0)),
        read => {
            if let Err(error) = read {
                tracing::warn!(order = %taken.id, %error, "a task was queued and cannot be read back");
            }
            json!({
                "_id": ids::task(taken.id.0, taken.created_at.0),
                "statusText": "It was queued; what became of it cannot be read now. Look at it later.",
            })
        }
    }
}

/// Whether the answer waits, and how long for the device to come.
struct Wait {
    connection_request: bool,
    begun_within: Duration,
}

impl Wait {
    fn parse(query: &str) -> Result<Self, Refusal> {
        let mut wait =
            Wait { connection_request: false, begun_within: Duration::from_millis(BEGUN_WITHIN_MS) };
        for (key, value) in form_pairs(query) {
            match key.as_str() {
                // That it is there is enough.
                "connection_request" => wait.connection_request = true,
                "timeout" if !value.is_empty() => {
                    let milliseconds = value.parse::<u64>().map_err(|_| {
                        Refusal::bad("timeout takes milliseconds to wait for the device, e.g. timeout=4000.")
                    })?;
                    wait.begun_within = Duration::from_millis(milliseconds.min(LONGEST_WAIT_MS));
                }
                _ => {}
            }
        }
        Ok(wait)
    }
}

/// Orders something for a device, calls it, or both.
pub(super) async fn create(
    State(nbi): State<Nbi>,
    Extension(actor): Extension<Actor>,
    Extension(begun): Extension<Begun>,
    Path(device): Path<String>,
    RawQuery(query): RawQuery,
    stopping: Option<Extension<Stopping>>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let mut stopping = stopping.map(|Extension(stopping)| stopping);
    let wait = Wait::parse(query.as_deref().unwrap_or_default())?;
    let cpe = CpeId(devices::cpe(&nbi, &device).await?);
    if body.iter().all(u8::is_ascii_whitespace) {
        if !wait.connection_request {
            return Err(Refusal::bad(
                "A task is a JSON object such as {\"name\": \"refreshObject\", \"objectName\": \"Device.DeviceInfo\"}; \
                 without one, connection_request must be asked for.",
            ));
        }
        return call(&nbi, &actor, &begun, cpe, stopping).await;
    }
    let asked = serde_json::from_slice::<Value>(&body)
        .map_err(|error| Refusal::bad(format!("SyntaxError: {error}.")))?;
    let Value::Object(asked) = asked else {
        return Err(Refusal::bad("A task is one JSON object; send one request for each task."));
    };
    let asked = flat(asked);
    let now = nbi.app.now();
    let expires_s = expiry(&asked, now)?;
    let request = request(&nbi, &actor, cpe, asked).await?;
    begun.begins();
    let taken = nbi.app.order_device(&actor, cpe, request, expires_s).await.map_err(devices::refused)?;
    // It is queued: whatever fails from here on is no failure of the task.
    if !wait.connection_request {
        return Ok(answered(StatusCode::ACCEPTED, "", document_of(&nbi, &taken).await));
    }
    let Some(_place) = nbi.waiters.place(&actor) else {
        return Ok(answered(StatusCode::ACCEPTED, NOT_PROCESSED, document_of(&nbi, &taken).await));
    };
    let why = tokio::select! {
        awaited = nbi.app.order_awaited(taken.id, wait.begun_within, OVER_WITHIN) => match awaited {
            Ok(awaited) => awaited.why,
            Err(error) => {
                tracing::warn!(order = %taken.id, %error, "a task was queued and cannot be waited for");
                None
            }
        },
        () = stopped(stopping.as_mut()) => None,
    };
    // Looked at once more, so that the status and the document say the same.
    let task = document_of(&nbi, &taken).await;
    let (status, why) = match task["status"].as_str().unwrap_or_default() {
        "done" | "accepted" => (StatusCode::OK, String::new()),
        "failed" | "expired" | "cancelled" => (StatusCode::ACCEPTED, "Task faulted".to_owned()),
        _ => (StatusCode::ACCEPTED, why.unwrap_or_else(|| NOT_PROCESSED.to_owned())),
    };
    Ok(answered(status, &why, task))
}

/// A connection request alone. One that must not be sent yet is not sent, whoever asks.
async fn call(
    nbi: &Nbi,
    actor: &Actor,
    begun: &Begun,
    cpe: CpeId,
    mut stopping: Option<Stopping>,
) -> Result<Response, Refusal> {
    let Some(_place) = nbi.waiters.place(actor) else {
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Too many wait for devices at the moment, of this key or of all. The device was not called; ask again in a minute.",
        ));
    };
    begun.begins();
    let called = tokio::select! {
        called = nbi.app.call_and_wait(actor, cpe, CALL_WITHIN) => called?,
        () = stopped(stopping.as_mut()) => {
            Called::Unanswered("Lightkeeper stops; what came of the call is on the page of the device.".to_owned())
        }
    };
    let why = match called {
        Called::Answered => return Ok(StatusCode::OK.into_response()),
        Called::Unanswered(why) => why,
        Called::Not(why) => {
            begun.was_not();
            why
        }
    };
    let mut response = (StatusCode::GATEWAY_TIMEOUT, why.clone()).into_response();
    phrase(&mut response, &why);
    Ok(response)
}

/// A task with its status; `why` is what GenieACS's clients read where HTTP has a place for it, and stands in the document
/// where it has none.
fn answered(status: StatusCode, why: &str, mut task: Value) -> Response {
    if let (false, Some(fields)) = (why.is_empty(), task.as_object_mut()) {
        fields.insert("reason".into(), why.into());
    }
    let mut response = (status, Json(task)).into_response();
    phrase(&mut response, why);
    response
}

pub(super) fn phrase(response: &mut Response, text: &str) {
    let plain: String = text
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .take(LONGEST_PHRASE)
        .collect();
    if !plain.is_empty()
        && let Ok(phrase) = ReasonPhrase::try_from(plain.into_bytes())
    {
        response.extensions_mut().insert(phrase);
    }
}

/// Seconds that it may wait for a session, from `expiry`: a time, or seconds.
fn expiry(asked: &Map<String, Value>, now: UtcMs) -> Result<Option<u64>, Refusal> {
    let wrong = || Refusal::bad("expiry takes a time such as \"2026-11-22T14:05:00Z\", or seconds from now.");
    let later = |at: i64| u64::try_from(at.saturating_sub(now.0) / 1000).unwrap_or(0);
    match asked.get("expiry") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(seconds)) => Ok(Some(seconds.as_u64().ok_or_else(wrong)?)),
        Some(Value::String(text)) => Ok(Some(later(super::query::time(text).ok_or_else(wrong)?))),
        Some(_) => Err(wrong()),
    }
}

/// What is ordered, from a task as GenieACS takes it. What cannot be ordered is refused with a sentence before anything
/// is kept.
async fn request(
    nbi: &Nbi,
    actor: &Actor,
    cpe: CpeId,
    asked: Map<String, Value>,
) -> Result<DeviceOrderRequest, Refusal> {
    if asked.get("uniqueKey").is_some_and(|key| !key.is_null()) {
        return Err(Refusal::not_here(
            "uniqueKey is not carried out: Lightkeeper replaces no task by another. Nothing was queued; delete the earlier \
             task, and send this one without uniqueKey. See docs/genieacs.md.",
        ));
    }
    let at = match asked.get("timestamp") {
        None | Some(Value::Null) => Some(0),
        Some(Value::Number(at)) => at.as_i64(),
        Some(Value::String(text)) => super::query::time(text),
        Some(_) => None,
    };
    let at = at.ok_or_else(|| {
        Refusal::bad(
            "timestamp takes a time such as \"2026-11-22T14:05:00Z\", or milliseconds. Nothing was queued.",
        )
    })?;
    if at > nbi.app.now().0.saturating_add(CLOCKS_APART_MS) {
        return Err(Refusal::not_here(
            "A task for later is not carried out. Nothing was queued; send it when it is time. See docs/genieacs.md.",
        ));
    }
    let Some(name) = asked.get("name").and_then(Value::as_str) else {
        return Err(Refusal::bad("A task has a name, e.g. \"refreshObject\". Nothing was queued."));
    };
    match name {
        "getParameterValues" => {
            let names = texts(asked.get("parameterNames"));
            let Some(names) = names.filter(|names| !names.is_empty()) else {
                return Err(Refusal::bad("parameterNames is a list of names. Nothing was queued."));
            };
            // Who may not, and who asks too much, is told so before anything is looked up for it.
            actor.require(Permission::OperateCpe)?;
            if names.len() > app::MOST_VALUES {
                return Err(Refusal::bad(format!(
                    "parameterNames holds {} names; one task reads {} at most. Nothing was queued.",
                    names.len(),
                    app::MOST_VALUES
                )));
            }
            let mut paths = known_as(nbi, cpe, names).await?;
            let path = paths.remove(0);
            Ok(DeviceOrderRequest::Refresh { path, also: paths })
        }
        "refreshObject" => {
            let Some(object) = asked.get("objectName").and_then(Value::as_str) else {
                return Err(Refusal::bad("objectName is the name of an object. Nothing was queued."));
            };
            let object = object.trim().trim_end_matches('.');
            if !object.is_empty() {
                return Ok(DeviceOrderRequest::refresh(format!("{object}.")));
            }
            match nbi.app.root_of(cpe).await? {
                Some(root) => Ok(DeviceOrderRequest::refresh(format!("{root}."))),
                None => Err(Refusal::bad(
                    "Which data model this device has is not known yet, so all of it cannot be asked for. Nothing was \
                     queued; name InternetGatewayDevice or Device.",
                )),
            }
        }
        "setParameterValues" => {
            let values = asked.get("parameterValues").and_then(Value::as_array);
            let Some(values) = values.filter(|values| !values.is_empty()) else {
                return Err(Refusal::bad(
                    "parameterValues is a list of [name, value, type], e.g. [[\"Device.X\", \"1\", \"xsd:string\"]]. \
                     Nothing was queued.",
                ));
            };
            Ok(DeviceOrderRequest::Set { values: values.iter().map(change).collect::<Result<_, _>>()? })
        }
        // Whoever names it knows what it does; GenieACS asks no further either.
        "reboot" => Ok(DeviceOrderRequest::Reboot { confirmed: true }),
        "factoryReset" => Ok(DeviceOrderRequest::FactoryReset { confirmed: true }),
        "addObject" | "deleteObject" => Err(Refusal::not_here(
            "Objects are created and deleted by Lightkeeper itself, where a service needs it, and by nobody's order. Nothing \
             was queued. See docs/genieacs.md.",
        )),
        "download" => Err(Refusal::not_here(
            "Files for devices are not taken over this interface. Nothing was queued. See docs/genieacs.md.",
        )),
        "provisions" => Err(Refusal::not_here(
            "Lightkeeper runs no scripts: what a device gets follows from its service and its CPE profile. Nothing was \
             queued. See docs/genieacs.md.",
        )),
        _ => Err(Refusal::bad(
            "There is no task of this name. getParameterValues, refreshObject, setParameterValues, reboot and factoryReset \
             are carried out. Nothing was queued.",
        )),
    }
}

/// pygenieacs writes `{"command": NAME, "params": {FIELD: …}}` for `{"name": NAME, FIELD: …}`. What is in `params` goes
/// through the same checks as if it stood where GenieACS looks for it.
fn flat(mut asked: Map<String, Value>) -> Map<String, Value> {
    if asked.contains_key("name") || !asked.get("command").is_some_and(Value::is_string) {
        return asked;
    }
    if let Some(Value::Object(params)) = asked.remove("params") {
        for (field, value) in params.into_iter().filter(|(field, _)| field != "name") {
            asked.entry(field).or_insert(value);
        }
    }
    if let Some(name) = asked.remove("command") {
        asked.insert("name".into(), name);
    }
    asked
}

/// A list of texts, if it is one.
fn texts(value: Option<&Value>) -> Option<Vec<String>> {
    value?.as_array()?.iter().map(|item| Some(item.as_str()?.to_owned())).collect()
}

/// In GenieACS an object may be named without its dot: one below which something is known is one.
async fn known_as(nbi: &Nbi, cpe: CpeId, names: Vec<String>) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = names.into_iter().map(|name| name.trim().to_owned()).collect();
    for object in nbi.app.store().read().objects_among(cpe.0, &names).await? {
        if let Some(name) = names.get_mut(object).filter(|name| !name.ends_with('.')) {
            name.push('.');
        }
    }
    Ok(names)
}

/// `[name, value]` or `[name, value, type]`.
fn change(value: &Value) -> Result<ParameterChange, Refusal> {
    let wrong = || {
        Refusal::bad(
            "Each of parameterValues is [name, value] or [name, value, type]; a value is a text, a number, or true or \
             false. Nothing was queued.",
        )
    };
    let (path, value, kind) = match value.as_array().map(Vec::as_slice) {
        Some([path, value]) => (path, value, &Value::Null),
        Some([path, value, kind]) => (path, value, kind),
        _ => return Err(wrong()),
    };
    let path = path.as_str().ok_or_else(wrong)?.to_owned();
    let value = match value {
        Value::String(text) => Secret::new(text.clone()),
        Value::Number(number) => Secret::new(number.to_string()),
        Value::Bool(flag) => Secret::new(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => return Err(wrong()),
    };
    let kind = match kind {
        Value::Null => None,
        Value::String(name) => {
            let name = name.trim_start_matches("xsd:");
            let kind = ValueKind::from_xsd(name);
            if kind.xsd() != name {
                return Err(Refusal::bad(
                    "The type of a value must be xsd:string, xsd:int, xsd:unsignedInt, xsd:long, xsd:unsignedLong, \
                     xsd:boolean, xsd:dateTime, xsd:base64 or xsd:hexBinary. Nothing was queued.",
                ));
            }
            Some(kind)
        }
        _ => return Err(wrong()),
    };
    Ok(ParameterChange { path, value, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_no_task_makes_is_not_listed_as_something_else() {
        for kind in ["ping", "traceroute", "reboot"] {
            assert_eq!(name(kind, &Value::Null), kind);
        }
        assert_eq!(name("factory_reset", &Value::Null), "factoryReset");
    }
}
