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
    /// Whose turn it is decides the status: 4xx where whoever asks can do something about it, 503 where waiting helps,
    /// 500 where only we can. What the database said goes to the log; nothing of it is for the reader.
    fn from(error: StoreError) -> Self {
        let sentence = error.to_string();
        let busy = |retry_after_s, title, detail: &str| {
            tracing::warn!(error = %sentence, "the database could not do it now");
            Fail {
                retry_after_s: Some(retry_after_s),
                ..Fail::new(StatusCode::SERVICE_UNAVAILABLE, title, detail)
            }
        };
        let broken = |detail: &str| {
            tracing::error!(error = %sentence, "the database failed");
            Fail::new(StatusCode::INTERNAL_SERVER_ERROR, "Failed", detail)
        };
        match error {
            StoreError::Overtaken { what, .. } => Fail::new(
                StatusCode::CONFLICT,
                "Changed in the meantime",
                format!(
                    "{} was changed by somebody else in the meantime, so nothing was saved. Look at it as it is now, \
                     and do again what is still wanted.",
                    capitalised(what)
                ),
            ),
            StoreError::Duplicate { .. } => {
                tracing::info!(error = %sentence, "a value that must be unique is taken");
                Fail::new(
                    StatusCode::CONFLICT,
                    "Already there",
                    "Something with the same name or number is there already; nothing was saved. Use the one that is \
                     there, or choose another name or number.",
                )
            }
            StoreError::Dangling { .. } => {
                tracing::info!(error = %sentence, "a reference leads nowhere, or is still needed");
                Fail::new(
                    StatusCode::CONFLICT,
                    "Not possible now",
                    "This refers to something that is gone, or something else still refers to it; nothing was saved. \
                     Reload the page and look what is there now.",
                )
            }
            StoreError::Missing { table, key } => Fail::new(
                StatusCode::NOT_FOUND,
                "Not found",
                format!(
                    "Number {key} of the {} does not exist, or not any more. Nothing was changed.",
                    table.replace('_', " ")
                ),
            ),
            StoreError::TooLarge { what, size, limit } => Fail::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "Too large",
                format!(
                    "{} is too large: {size} of at most {limit}. Nothing was saved; make it shorter.",
                    capitalised(what)
                ),
            ),
            StoreError::Overloaded { .. } | StoreError::Contended { .. } | StoreError::Conflict { .. } => {
                busy(
                    2,
                    "The database is busy",
                    "Too much is being written at this moment. Nothing was changed; try again in a few seconds.",
                )
            }
            StoreError::TookTooLong { limit_s } => busy(
                10,
                "The database is busy",
                &format!(
                    "The database took longer than {limit_s} s. Nothing was changed; try again in a moment."
                ),
            ),
            // Only work in the background stands under a lease; it is done by whoever has it now.
            StoreError::Fenced { .. } => busy(
                5,
                "Another node does this now",
                "Another node of this installation has taken this over. Nothing was changed here; look in a moment how \
                 it stands.",
            ),
            StoreError::Full { .. } => busy(
                60,
                "The database is full",
                "The database has no space left. Nothing was changed; whoever runs this machine must make room first.",
            ),
            StoreError::ReadOnly { .. } => busy(
                60,
                "The database is read-only",
                "The database can only be read at this moment. Nothing was changed; whoever runs this machine must \
                 look why.",
            ),
            StoreError::Closed => busy(
                5,
                "Lightkeeper is stopping",
                "Lightkeeper is stopping or starting again. Try again in a moment; where something was to be changed, \
                 look first whether it was.",
            ),
            // A commit may have reached the disk although nobody heard of it.
            StoreError::Unavailable { .. } => busy(
                5,
                "The database does not answer",
                "The database does not answer. Try again in a moment; where something was to be changed, look first \
                 whether it was.",
            ),
            StoreError::Unreadable { .. } => broken(
                "Something stored in the database cannot be read. Nothing was changed. The log names the place.",
            ),
            StoreError::Sealed { .. } => broken(
                "A stored secret cannot be opened with the key of this installation. Nothing was changed. The log \
                 names the place; entering that secret anew mends it.",
            ),
            StoreError::Panicked { .. } | StoreError::Database { .. } => {
                broken("This failed inside the database. Nothing was changed. The log names the cause.")
            }
        }
    }
}

/// A sentence begins with it.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn why() -> String {
        "UNIQUE constraint failed: users.name".to_owned()
    }

    /// Every kind, so that a new one must say here what it is.
    fn each() -> Vec<(StoreError, u16, bool)> {
        vec![
            (StoreError::Overtaken { what: "the ACS policy", found: "version 7".into() }, 409, false),
            (StoreError::Duplicate { what: why() }, 409, false),
            (StoreError::Dangling { what: why() }, 409, false),
            (StoreError::Missing { table: "api_keys", key: "7".into() }, 404, false),
            (StoreError::TooLarge { what: "the note", size: 9000, limit: 4000 }, 422, false),
            (StoreError::Overloaded { waiting: 10_000 }, 503, true),
            (StoreError::Contended { attempts: 8 }, 503, true),
            (StoreError::Conflict { why: why() }, 503, true),
            (StoreError::TookTooLong { limit_s: 15 }, 503, true),
            (StoreError::Fenced { lease: "olt:1".into(), holder: "node-2".into() }, 503, true),
            (StoreError::Full { why: why() }, 503, true),
            (StoreError::ReadOnly { why: why() }, 503, true),
            (StoreError::Closed, 503, true),
            (StoreError::Unavailable { why: why() }, 503, true),
            (StoreError::Unreadable { table: "cpes", column: "machine", why: why() }, 500, false),
            (StoreError::Sealed { place: "olts.password 7".into(), why: "wrong key" }, 500, false),
            (StoreError::Panicked { why: why() }, 500, false),
            (StoreError::Database { why: why() }, 500, false),
        ]
    }

    #[tokio::test]
    async fn what_the_database_says_is_answered_by_whose_turn_it_is() {
        for (error, status, wait) in each() {
            let named = format!("{error:?}");
            let page = Fail::from(app::AppError::Store(error.clone())).into_response();
            let api = ApiFail(Fail::from(error)).into_response();
            for answer in [&page, &api] {
                assert_eq!(answer.status().as_u16(), status, "{named}");
                assert_eq!(answer.headers().contains_key(header::RETRY_AFTER), wait, "{named}");
            }
            assert_eq!(api.headers()[header::CONTENT_TYPE], "application/problem+json");
            let body = axum::body::to_bytes(api.into_body(), 1 << 16).await.expect("a body");
            let problem: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            let detail = problem["detail"].as_str().expect("a sentence");
            assert!(detail.ends_with('.') && detail.len() > 40, "{named}: {detail}");
            assert!(
                !detail.contains("UNIQUE") && !detail.contains("olts."),
                "the log is the place: {detail}"
            );
        }
    }

    #[test]
    fn a_sentence_names_what_was_overtaken() {
        let fail = Fail::from(StoreError::Overtaken { what: "the ACS policy", found: "version 7".into() });
        assert!(fail.detail.starts_with("The ACS policy was changed by somebody else"), "{}", fail.detail);
        let fail = Fail::from(StoreError::Missing { table: "api_keys", key: "7".into() });
        assert!(fail.detail.starts_with("Number 7 of the api keys does not exist"), "{}", fail.detail);
    }
}
