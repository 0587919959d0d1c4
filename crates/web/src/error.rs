//! One place that turns what went wrong into an answer: a page for people, `problem+json` for programs (RFC 9457).

use app::{AppError, FieldError};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::StoreError;

/// A request that failed, with the sentence for whoever asked.
#[derive(Debug)]
pub(crate) struct Fail {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
    pub(crate) fields: Vec<FieldError>,
    pub(crate) retry_after_s: Option<u32>,
}

impl Fail {
    pub(crate) fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Fail { status, title, detail: detail.into(), fields: Vec::new(), retry_after_s: None }
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Fail::new(StatusCode::NOT_FOUND, "Not found", format!("{what} does not exist, or not any more."))
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Fail::new(StatusCode::BAD_REQUEST, "Not understood", detail)
    }
}

impl From<AppError> for Fail {
    fn from(error: AppError) -> Self {
        let detail = error.to_string();
        match error {
            AppError::NotFound(_) => Fail::new(StatusCode::NOT_FOUND, "Not found", detail),
            AppError::Forbidden(_) => Fail::new(StatusCode::FORBIDDEN, "Not allowed", detail),
            AppError::Unauthenticated(_) => Fail::new(StatusCode::UNAUTHORIZED, "Not signed in", detail),
            AppError::TooMany { retry_after_s } => Fail {
                retry_after_s: Some(retry_after_s),
                ..Fail::new(StatusCode::TOO_MANY_REQUESTS, "Too many attempts", detail)
            },
            AppError::Invalid { fields } => {
                Fail { fields, ..Fail::new(StatusCode::UNPROCESSABLE_ENTITY, "Not acceptable", detail) }
            }
            AppError::Conflict(_) => Fail::new(StatusCode::CONFLICT, "Not possible now", detail),
            AppError::Unavailable(_) => Fail {
                retry_after_s: Some(5),
                ..Fail::new(StatusCode::SERVICE_UNAVAILABLE, "Does not answer now", detail)
            },
            AppError::Store(error) => Fail::from(error),
            AppError::Internal(_) => {
                tracing::error!(%detail, "a command failed inside");
                Fail::new(StatusCode::INTERNAL_SERVER_ERROR, "Failed", detail)
            }
        }
    }
}

impl From<StoreError> for Fail {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the database failed");
        Fail::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "The database does not answer",
            "The database could not do this. Nothing was changed; try again in a moment. The log names the cause.",
        )
    }
}

impl From<askama::Error> for Fail {
    fn from(error: askama::Error) -> Self {
        tracing::error!(%error, "a template failed");
        Fail::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Failed",
            "The page could not be drawn. The log names the cause.",
        )
    }
}

/// The body of an error answer of the API (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Problem {
    /// Always `about:blank`: the status says the kind, the words say the rest.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind in words.
    title: String,
    /// HTTP status.
    status: u16,
    /// What happened, to what, why, and what to do.
    detail: String,
    /// What is wrong field by field, where the input was not acceptable.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<ProblemField>,
}

/// One field that is not acceptable.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ProblemField {
    /// Name of the field as in the body.
    field: String,
    /// What is wrong and what is wanted.
    message: String,
}

/// As an API answer.
pub(crate) struct ApiFail(pub(crate) Fail);

impl<E: Into<Fail>> From<E> for ApiFail {
    fn from(error: E) -> Self {
        ApiFail(error.into())
    }
}

impl IntoResponse for ApiFail {
    fn into_response(self) -> Response {
        let Fail { status, title, detail, fields, retry_after_s } = self.0;
        let problem = Problem {
            kind: "about:blank",
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
            errors: fields.into_iter().map(|f| ProblemField { field: f.field, message: f.message }).collect(),
        };
        let mut response = (status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[derive(askama::Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    title: &'a str,
    detail: &'a str,
    fields: &'a [FieldError],
    status: u16,
}

impl IntoResponse for Fail {
    fn into_response(self) -> Response {
        let page = ErrorPage {
            title: self.title,
            detail: &self.detail,
            fields: &self.fields,
            status: self.status.as_u16(),
        };
        let body = askama::Template::render(&page).unwrap_or_else(|_| self.title.to_owned());
        let mut response = (self.status, axum::response::Html(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
