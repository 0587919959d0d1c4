//! Recordings of a CPE: switched on for some sessions, and the files that came of it.

use app::recording_runs;
use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use store::rows;
use types::{CpeId, CpeRecordingId};

use super::{again, filled, go, histories::router_name, page};
use crate::{
    auth::Who,
    error::Fail,
    form::Form,
    shell::Shell,
    state::Ctx,
    view::{self, Status, View},
};

/// Sessions and hours that the form begins with.
const USUAL: (u32, u32) = (5, 24);

#[derive(Template)]
#[template(path = "cpe_recordings.html")]
struct RecordingsPage {
    shell: Shell,
    v: View,
    id: i64,
    form: Form,
    running: bool,
    rows: Vec<rows::CpeRecording>,
}

filled!(RecordingsPage);

/// Why a recording is over, in words; nothing while it runs.
pub(crate) fn over(row: &rows::CpeRecording, v: &View) -> Option<&'static str> {
    if recording_runs(row, v.now) {
        return None;
    }
    Some(match row.end_reason.as_str() {
        "sessions" => "all its sessions are over",
        "full" => "it is full (4 MiB)",
        "stopped" => "it was stopped",
        _ => "its time is over",
    })
}

async fn draw(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    id: i64,
    form: Form,
) -> Result<RecordingsPage, Fail> {
    let name = router_name(ctx, id).await?;
    let v = ctx.view();
    let shell = Shell::new(ctx, who, headers, "cpes", "Recordings")
        .await?
        .crumb("CPEs", "/cpes")
        .crumb(name, format!("/cpes/{id}"));
    let rows = ctx.app().recordings_of(CpeId(id)).await?;
    let running = rows.iter().any(|row| recording_runs(row, v.now));
    Ok(RecordingsPage { shell, v, id, form, running, rows })
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let mut form = Form::default();
    form.set("sessions", USUAL.0).set("hours", USUAL.1);
    page(&ctx, &headers, &draw(&ctx, &who, &headers, id, form).await?)
}

pub(crate) async fn start(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    let (sessions, hours) = (form.number("sessions"), form.number("hours"));
    if form.has_errors() {
        return again(&draw(&ctx, &who, &headers, id, form).await?);
    }
    match ctx.app().start_recording(&who.actor, CpeId(id), sessions, hours).await {
        Ok(_) => Ok(go(
            &ctx,
            &format!("/cpes/{id}/recordings"),
            Status::Ok,
            "Recording",
            "What this router goes through from now on is written down, without its secrets. Kept in the audit log.",
        )),
        Err(error) => {
            form.take(error.into());
            again(&draw(&ctx, &who, &headers, id, form).await?)
        }
    }
}

pub(crate) async fn stop(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let cpe = ctx.app().stop_recording(&who.actor, CpeRecordingId(id)).await?;
    Ok(go(
        &ctx,
        &format!("/cpes/{cpe}/recordings"),
        Status::Ok,
        "Stopped",
        "Nothing more is recorded; what was recorded can be downloaded.",
    ))
}

pub(crate) async fn file(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let (row, text) = ctx.app().recording_file(&who.actor, CpeRecordingId(id)).await?;
    Ok(as_file(&row, text))
}

/// The file as it is sent, with a name that says whose it is.
pub(crate) fn as_file(row: &rows::CpeRecording, text: String) -> Response {
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson; charset=utf-8"));
    let name = format!("attachment; filename=\"cpe-{}-recording-{}.jsonl\"", row.cpe_id, row.id);
    if let Ok(value) = HeaderValue::from_str(&name) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
