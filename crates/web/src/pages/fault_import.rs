//! A faults file of a GenieACS, diagnosed: a question about a file, which changes nothing and is not kept.

use app::faults::genieacs::{self, Import};
use askama::Template;
use axum::{
    extract::{FromRequest as _, Multipart, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
};

use super::{
    faults::{Tab, tabs},
    html,
};
use crate::{
    auth::Who,
    error::Fail,
    form::Form,
    list::Query,
    shell::Shell,
    state::Ctx,
    view::{self, View},
    words,
};

/// Where the page is.
pub(crate) const PATH: &str = "/faults/import";

#[derive(Template)]
#[template(path = "fault_import.html")]
struct ImportPage {
    shell: Shell,
    v: View,
    tabs: Vec<Tab>,
    import: Option<Import>,
    /// From the first fault of the file to the last, if it says when.
    span: String,
    refused: String,
}

async fn draw(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    import: Option<Import>,
    refused: String,
) -> Result<Response, Fail> {
    let shell = Shell::new(ctx, who, headers, "faults", "Faults of a GenieACS").await?;
    let tabs = tabs(&shell, &Query::parse(PATH, None), PATH);
    let v = ctx.view();
    let span = match import.as_ref().map(|import| (import.first_at, import.last_at)) {
        Some((Some(first), Some(last))) => format!("{} to {}", v.exact(first.0), v.exact(last.0)),
        _ => String::new(),
    };
    html(&ImportPage { shell, v, tabs, import, span, refused })
}

pub(crate) async fn show(State(ctx): State<Ctx>, who: Who, headers: HeaderMap) -> Result<Response, Fail> {
    draw(&ctx, &who, &headers, None, String::new()).await
}

pub(crate) async fn diagnose(State(ctx): State<Ctx>, who: Who, request: Request) -> Result<Response, Fail> {
    let headers = request.headers().clone();
    let read = match file_of(request).await {
        Ok(file) => read(file).await,
        Err(fail) => Err(fail),
    };
    match read {
        Ok(import) => draw(&ctx, &who, &headers, Some(import), String::new()).await,
        Err(fail) => {
            let status = fail.status;
            let mut response = draw(&ctx, &who, &headers, None, fail.detail).await?;
            // A part of a page is only put in its place when it is one.
            if !headers.contains_key("hx-request") {
                *response.status_mut() = status;
            }
            Ok(response)
        }
    }
}

/// Files that are read at a time: each may be large, and reading one takes a processor.
static READING: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

/// The diagnosis of a file, away from the threads that serve everybody.
pub(crate) async fn read(file: Vec<u8>) -> Result<Import, Fail> {
    let Ok(_place) = READING.try_acquire() else {
        return Err(Fail::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "Others are being read",
            "Two files are being read already; nothing of yours was kept. Send it again in a few seconds.",
        ));
    };
    let read = tokio::task::spawn_blocking(move || genieacs::read(&file)).await;
    match read {
        Ok(Ok(import)) => Ok(import),
        Ok(Err(error)) => {
            Err(Fail::new(StatusCode::UNPROCESSABLE_ENTITY, "No list of faults", error.to_string()))
        }
        Err(error) => {
            tracing::error!(%error, "a file of faults could not be diagnosed");
            Err(Fail::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Failed",
                "The file could not be read; it was not kept.",
            ))
        }
    }
}

async fn file_of(request: Request) -> Result<Vec<u8>, Fail> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("multipart/form-data")) {
        let form = Form::from_request(request, &()).await?;
        return Ok(form.val("text").as_bytes().to_vec());
    }
    let broken = |_| {
        Fail::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "Too much",
            "The file is larger than 16 MiB or did not arrive whole. Export fewer faults, by a filter, and try again.",
        )
    };
    let mut parts = Multipart::from_request(request, &())
        .await
        .map_err(|_| Fail::bad_request("The form did not arrive whole; nothing was read."))?;
    let mut pasted = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(broken)? {
        let name = part.name().unwrap_or_default().to_owned();
        let bytes = part.bytes().await.map_err(broken)?;
        match name.as_str() {
            "file" if !bytes.is_empty() => return Ok(bytes.to_vec()),
            "text" => pasted = bytes.to_vec(),
            _ => {}
        }
    }
    Ok(pasted)
}
