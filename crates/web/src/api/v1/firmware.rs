//! Firmware files: list, upload, delete.

use app::NewFirmware;
use axum::{
    Json,
    extract::{Query, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use store::read::{FirmwareFileFilter, FirmwareFileRow};
use types::FirmwareFileId;
use utoipa::{IntoParams, ToSchema};

use super::{
    input::{Asked, Filter, Id, list_query, short},
    output::{Answer, List, Reply, Time, found},
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    firmware,
    state::Ctx,
};

list_query! {
    /// Which firmware files.
    FirmwareQuery {
        /// Part of the name, maker, model, version, checksum or note.
        q: String,
        /// Only for this product class.
        product_class: String,
    } /// One of name, model, version, size, uploaded.
    sort ["name", "model", "version", "size", "uploaded"]
}

/// A firmware file. It fits a CPE that says of itself everything that the file names.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FirmwareFile {
    id: i64,
    name: String,
    /// Empty: whatever it calls itself.
    manufacturer: String,
    /// Empty: any.
    oui: String,
    product_class: String,
    /// Empty: any.
    hardware_version: String,
    /// The version that a CPE tells of itself after it was installed.
    software_version: String,
    /// Bytes.
    size: i64,
    /// Hexadecimal.
    sha256: String,
    note: String,
    uploaded_by: String,
    uploaded_at: Time,
}

fn file(row: FirmwareFileRow) -> FirmwareFile {
    FirmwareFile {
        id: row.id,
        name: row.name,
        manufacturer: row.manufacturer,
        oui: row.oui,
        product_class: row.product_class,
        hardware_version: row.hardware_version,
        software_version: row.software_version,
        size: row.size,
        sha256: row.sha256,
        note: row.note,
        uploaded_by: row.uploaded_by,
        uploaded_at: row.uploaded_at.into(),
    }
}

/// What the file in the body is, and for which CPEs.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct UploadQuery {
    /// File name.
    #[param(max_length = 100)]
    name: String,
    /// Only for CPEs whose maker calls itself so; needed without an OUI.
    manufacturer: Option<String>,
    /// Only for CPEs with this OUI, six hexadecimal digits; needed without a maker.
    oui: Option<String>,
    /// Only for CPEs with this product class.
    product_class: String,
    /// Only for CPEs with this hardware version.
    hardware_version: Option<String>,
    /// The version that a CPE tells of itself after it was installed.
    software_version: String,
    /// What the content must have, hexadecimal; without it nothing is compared.
    sha256: Option<String>,
    /// For colleagues.
    note: Option<String>,
}

/// Firmware files, the newest first.
#[utoipa::path(get, path = "/api/v1/firmware", tag = "cpes", params(FirmwareQuery),
    responses((status = 200, description = "A page of firmware files.", body = List<FirmwareFile>)))]
pub(super) async fn list_firmware(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<FirmwareQuery>,
) -> Answer<List<FirmwareFile>> {
    let (page, sort) = (asked.page(), asked.sort());
    let filter = FirmwareFileFilter { q: asked.q.unwrap_or_default(), product_class: asked.product_class };
    Ok(List::of(ctx.read().firmware_files(&filter, &sort, page).await?, page, file))
}

/// A firmware file.
#[utoipa::path(get, path = "/api/v1/firmware/{id}", tag = "cpes",
    params(("id" = i64, Path, description = "The file.")),
    responses((status = 200, description = "The file.", body = FirmwareFile)))]
pub(super) async fn get_firmware(State(ctx): State<Ctx>, Id(id): Id) -> Answer<FirmwareFile> {
    Ok(Json(file(found(ctx.read().firmware_file(id).await?, "firmware file", id)?)))
}

/// Uploads a firmware file: the body is the file itself, 256 MiB at most. It is kept whole or not at all, and the same
/// content is kept once for the same CPEs. Nothing is sent to a CPE by that. Kept in the audit log.
#[utoipa::path(post, path = "/api/v1/firmware", tag = "cpes", params(UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file."),
    responses((status = 201, description = "Kept.", body = FirmwareFile)))]
pub(super) async fn upload_firmware(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    request: Request,
) -> Result<Response, ApiFail> {
    let (parts, body) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("application/octet-stream")) {
        let text = "Send the file itself as the body, with Content-Type: application/octet-stream.";
        return Err(Fail::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not a firmware file", text).into());
    }
    let Query(asked) = Query::<UploadQuery>::try_from_uri(&parts.uri).map_err(|error| {
        Fail::bad_request(format!("The query is not understood: {}.", short(&error.body_text())))
    })?;
    let new = NewFirmware {
        name: asked.name,
        manufacturer: asked.manufacturer.unwrap_or_default(),
        oui: asked.oui.unwrap_or_default(),
        product_class: asked.product_class,
        hardware_version: asked.hardware_version.unwrap_or_default(),
        software_version: asked.software_version,
        sha256: asked.sha256.unwrap_or_default(),
        note: asked.note.unwrap_or_default(),
    };
    let upload = ctx.app().upload_firmware(&actor, new).await?;
    let within = firmware::piece_within(&parts.extensions);
    let kept = firmware::receive(upload, body.into_data_stream(), within).await?;
    let row = found(ctx.read().firmware_file(kept.id.0).await?, "firmware file", kept.id.0)?;
    Ok(Reply::created(format!("/api/v1/firmware/{}", kept.id), &file(row))?.into_response())
}

/// Deletes a firmware file. CPEs that run it go on. Kept in the audit log.
#[utoipa::path(delete, path = "/api/v1/firmware/{id}", tag = "cpes",
    params(("id" = i64, Path, description = "The file.")),
    responses((status = 204, description = "Deleted.")))]
pub(super) async fn delete_firmware(
    State(ctx): State<Ctx>,
    Caller(actor): Caller,
    Id(id): Id,
) -> Result<StatusCode, ApiFail> {
    ctx.app().delete_firmware(&actor, FirmwareFileId(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
