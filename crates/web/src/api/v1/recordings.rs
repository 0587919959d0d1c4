//! Recordings of CPEs: list, switch on, switch off, take the file.

use app::recording_runs;
use axum::{Json, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use store::rows;
use types::{CpeId, CpeRecordingId};
use utoipa::ToSchema;

use super::{
    idempotency::Order,
    input::{Id, Nothing},
    output::{Answer, Reply, Time},
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    pages::recordings::as_file,
    state::Ctx,
};

/// A recording of a CPE.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recording {
    id: i64,
    cpe_id: i64,
    started_at: Time,
    started_by: String,
    /// It ends then, whatever happens.
    until: Time,
    /// Sessions that it is still for.
    sessions_left: i64,
    /// It runs now.
    running: bool,
    ended_at: Option<Time>,
    /// `sessions`, `time`, `full` or `stopped`; empty while it runs.
    end_reason: String,
    lines: i64,
    bytes: i64,
}

/// Recordings of one CPE.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Recordings {
    items: Vec<Recording>,
}

/// For how long.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewRecording {
    /// Sessions, 1 to 50.
    sessions: u32,
    /// Hours at most, 1 to 168; 24 unless said.
    #[serde(default = "a_day")]
    hours: u32,
}

fn a_day() -> u32 {
    24
}

fn recording(ctx: &Ctx, row: rows::CpeRecording) -> Recording {
    Recording {
        running: recording_runs(&row, ctx.app().now()),
        id: row.id.0,
        cpe_id: row.cpe_id.0,
        started_at: row.started_at.into(),
        started_by: row.started_by,
        until: row.until_at.into(),
        sessions_left: row.sessions_left,
        ended_at: row.ended_at.map(Time::from),
        end_reason: row.end_reason,
        lines: row.lines,
        bytes: row.bytes,
    }
}

async fn all(ctx: &Ctx, id: i64) -> Result<Recordings, Fail> {
    ctx.read().cpe(id).await?.ok_or_else(|| Fail::not_found("This CPE"))?;
    let rows = ctx.app().recordings_of(CpeId(id)).await?;
    Ok(Recordings { items: rows.into_iter().map(|row| recording(ctx, row)).collect() })
}

/// Recordings of a CPE, newest first; three are kept.
#[utoipa::path(get, path = "/api/v1/cpes/{id}/recordings", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")),
    responses((status = 200, description = "The recordings.", body = Recordings)))]
pub(super) async fn list_recordings(State(ctx): State<Ctx>, Id(id): Id) -> Answer<Recordings> {
    Ok(Json(all(&ctx, id).await?))
}

/// Records a CPE from now on. Its secrets are replaced before anything is written.
#[utoipa::path(post, path = "/api/v1/cpes/{id}/recordings", tag = "cpes",
    params(("id" = i64, Path, description = "The CPE.")), request_body = NewRecording,
    responses((status = 200, description = "It is recorded.", body = Recordings)))]
pub(super) async fn start_recording(Id(id): Id, order: Order<NewRecording>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, new| async move {
            ctx.app().start_recording(&actor, CpeId(id), new.sessions, new.hours).await?;
            Reply::ok(&all(&ctx, id).await?)
        })
        .await
}

/// Ends a recording; what it holds stays.
#[utoipa::path(post, path = "/api/v1/recordings/{id}/stop", tag = "cpes",
    params(("id" = i64, Path, description = "The recording.")),
    responses((status = 200, description = "It is over.", body = Recordings)))]
pub(super) async fn stop_recording(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            let cpe = ctx.app().stop_recording(&actor, CpeRecordingId(id)).await?;
            Reply::ok(&all(&ctx, cpe.0).await?)
        })
        .await
}

/// A recording as a file for `lightkeeper replay`: a line of JSON for every step, without secrets.
#[utoipa::path(get, path = "/api/v1/recordings/{id}/file", tag = "cpes",
    params(("id" = i64, Path, description = "The recording.")),
    responses((status = 200, description = "The file.", content((String = "application/x-ndjson")))))]
pub(super) async fn get_recording(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
) -> Result<Response, ApiFail> {
    let (row, text) = ctx.app().recording_file(&actor, CpeRecordingId(id)).await?;
    Ok(as_file(&row, text))
}
