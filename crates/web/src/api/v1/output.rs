//! What programs get: pages of lists, moments, and answers of orders.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::read::{Listed, Page};
use types::UtcMs;
use utoipa::ToSchema;

use crate::error::{ApiFail, Fail};

/// What most handlers give.
pub(super) type Answer<T> = Result<Json<T>, ApiFail>;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct List<T: ToSchema> {
    /// The rows of this page.
    items: Vec<T>,
    /// Rows on all pages together.
    total: u64,
    /// This page, from 1.
    page: u32,
    /// Rows on a page.
    size: u32,
}

impl<T: ToSchema> List<T> {
    pub(super) fn of<R>(found: Listed<R>, page: Page, show: impl Fn(R) -> T) -> Json<Self> {
        let items = found.rows.into_iter().map(show).collect();
        Json(List { items, total: found.total, page: page.number, size: page.size })
    }

    /// A page of a short list that was read whole.
    pub(super) fn cut<R>(rows: Vec<R>, page: Page, show: impl Fn(R) -> T) -> Json<Self> {
        let total = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let skip = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let size = usize::try_from(page.size).unwrap_or(usize::MAX);
        let items = rows.into_iter().skip(skip).take(size).map(show).collect();
        Json(List { items, total, page: page.number, size: page.size })
    }
}

/// A moment in UTC (RFC 3339), e.g. `2026-11-21T14:30:00Z`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub(super) struct Time(String);

impl From<i64> for Time {
    fn from(at_ms: i64) -> Self {
        Time(UtcMs(at_ms).to_string())
    }
}

impl From<UtcMs> for Time {
    fn from(at: UtcMs) -> Self {
        Time(at.to_string())
    }
}

pub(super) fn time(at_ms: Option<i64>) -> Option<Time> {
    at_ms.map(Time::from)
}

/// JSON as it is stored; what cannot be read is nothing.
pub(super) fn stored(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// Something else, by id and name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Named {
    /// Its id.
    pub(super) id: i64,
    /// Its name.
    pub(super) name: String,
}

/// Something that may not be there, by id and name.
pub(super) fn named(id: Option<i64>, name: Option<String>) -> Option<Named> {
    Some(Named { id: id?, name: name.unwrap_or_default() })
}

/// A service by id and code.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServiceRef {
    /// Its id.
    pub(super) id: i64,
    /// Its code, e.g. `S-10001`.
    pub(super) code: String,
}

pub(super) fn service_ref(id: Option<i64>, code: Option<String>) -> Option<ServiceRef> {
    Some(ServiceRef { id: id?, code: code.unwrap_or_default() })
}

/// A PON serial number as people write it and as devices say it.
pub(super) fn serial(hex16: &str) -> String {
    crate::view::serial(hex16)
}

pub(super) fn found<T>(row: Option<T>, what: &str, id: i64) -> Result<T, Fail> {
    row.ok_or_else(|| Fail::new(StatusCode::NOT_FOUND, "Not found", format!("There is no {what} {id}.")))
}

/// The answer of an order: what is sent, and what is kept for a replay if that is not the same.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) location: Option<String>,
    pub(super) body: Value,
    /// Stands in for the body when the answer is kept: without what is shown only once.
    pub(super) kept: Option<Value>,
}

impl Reply {
    pub(super) fn new(status: StatusCode, body: &impl Serialize) -> Result<Self, Fail> {
        let body = serde_json::to_value(body).map_err(|error| {
            tracing::error!(%error, "an answer could not be written");
            Fail::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Failed",
                "It was done, but the answer could not be written. Read it back.",
            )
        })?;
        Ok(Reply { status, location: None, body, kept: None })
    }

    /// Made: where it is, and what it is.
    pub(super) fn created(location: String, body: &impl Serialize) -> Result<Self, Fail> {
        Ok(Reply { location: Some(location), ..Reply::new(StatusCode::CREATED, body)? })
    }

    pub(super) fn ok(body: &impl Serialize) -> Result<Self, Fail> {
        Reply::new(StatusCode::OK, body)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = if self.body.is_null() {
            self.status.into_response()
        } else {
            (self.status, Json(self.body)).into_response()
        };
        let location = self.location.as_deref().and_then(|place| HeaderValue::from_str(place).ok());
        if let Some(place) = location {
            response.headers_mut().insert(header::LOCATION, place);
        }
        response
    }
}
