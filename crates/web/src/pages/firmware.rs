//! Firmware files: what there is, for which CPEs, uploaded and deleted here.

use app::{FileRefusals, LARGEST_FIRMWARE, NewFirmware};
use askama::Template;
use axum::{
    extract::{FromRequest as _, Multipart, Path, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::Response,
};
use store::{
    read::{FirmwareFileFilter, FirmwareFileRow},
    rows,
};
use types::FirmwareFileId;

use super::{
    again, filled, go, page,
    settings::{Tab, tabs},
};
use crate::{
    auth::Who,
    error::Fail,
    export,
    firmware::{self, size},
    form::Form,
    list::{ListView, Query},
    shell::Shell,
    state::Ctx,
    view::{self, Status, View},
};

/// Where the page is.
pub(crate) const PATH: &str = "/settings/firmware";
/// The most that a form with a file may hold, in bytes.
pub(crate) const MAX_UPLOAD: usize = LARGEST_FIRMWARE as usize + crate::body::MAX_BODY;
/// The longest of its other fields, in bytes.
const LONGEST_FIELD: usize = 8 * 1024;
/// Fields that the form may have before the file: more than there are.
const MOST_FIELDS: usize = 20;

filled!(FirmwarePage);

#[derive(Template)]
#[template(path = "settings_firmware.html")]
struct FirmwarePage {
    shell: Shell,
    v: View,
    tabs: Vec<Tab>,
    list: ListView,
    rows: Vec<FirmwareFileRow>,
    form: Form,
    may: bool,
    largest_mib: u64,
    refusals: Option<FileRefusals>,
}

fn filter(query: &Query) -> FirmwareFileFilter {
    FirmwareFileFilter { q: query.get("q").into(), product_class: query.opt("product_class") }
}

async fn draw(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    query: Query,
    form: Form,
) -> Result<FirmwarePage, Fail> {
    let shell =
        Shell::new(ctx, who, headers, "settings", "Firmware files").await?.crumb("Settings", "/settings");
    let found = ctx.read().firmware_files(&filter(&query), &query.sort(), query.page()).await?;
    let may = who.may(app::Permission::ManageFirmware);
    let (list, tabs) = (ListView::new(query, found.total), tabs(who, PATH));
    let largest_mib = LARGEST_FIRMWARE >> 20;
    let refusals = ctx.app().file_refusals();
    Ok(FirmwarePage { shell, v: ctx.view(), tabs, list, rows: found.rows, form, may, largest_mib, refusals })
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse(PATH, uri.query());
    page(&ctx, &headers, &draw(&ctx, &who, &headers, query, Form::default()).await?)
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse(PATH, uri.query());
    let (wanted, sort) = (filter(&query), query.sort());
    let heading = export::line(&[
        "id",
        "name",
        "manufacturer",
        "oui",
        "product_class",
        "hardware_version",
        "software_version",
        "size",
        "sha256",
        "note",
        "uploaded_by",
        "uploaded_at",
    ])?;
    Ok(export::file("firmware-files.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().firmware_files(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    row.id.to_string(),
                    row.name,
                    row.manufacturer,
                    row.oui,
                    row.product_class,
                    row.hardware_version,
                    row.software_version,
                    row.size.to_string(),
                    row.sha256,
                    row.note,
                    row.uploaded_by,
                    v.exact(row.uploaded_at),
                ]
            }))
        }
    }))
}

pub(crate) async fn upload(State(ctx): State<Ctx>, who: Who, request: Request) -> Result<Response, Fail> {
    let headers = request.headers().clone();
    let by_script = headers.contains_key("hx-request");
    let mut form = Form::default();
    match taken(&ctx, &who, request, &mut form).await {
        Ok(row) => {
            let mut response = go(
                &ctx,
                PATH,
                Status::Ok,
                "Uploaded",
                format!(
                    "{}, {}, for {}. Nothing is sent to a CPE by that. Kept in the audit log.",
                    row.name,
                    size(row.size),
                    row.product_class
                ),
            );
            if by_script {
                // A script cannot see where it was led: it is told.
                response.headers_mut().remove(header::LOCATION);
                response.headers_mut().insert("hx-redirect", HeaderValue::from_static(PATH));
                *response.status_mut() = StatusCode::OK;
            }
            Ok(response)
        }
        Err(fail) => {
            form.take(fail);
            let mut response = again(&draw(&ctx, &who, &headers, Query::parse(PATH, None), form).await?)?;
            // A part of a page is only put in its place when it is one.
            if by_script {
                *response.status_mut() = StatusCode::OK;
            }
            Ok(response)
        }
    }
}

/// What the form says of the file comes before the file, which is taken piece by piece.
async fn taken(ctx: &Ctx, who: &Who, request: Request, form: &mut Form) -> Result<rows::FirmwareFile, Fail> {
    let within = firmware::piece_within(request.extensions());
    let broken = |_| Fail::bad_request("The form did not arrive whole; nothing was kept. Send it again.");
    let late = || Fail::bad_request("The form did not arrive in time; nothing was kept.");
    let no_file = || {
        app::AppError::invalid(
            "file",
            "is missing; choose the firmware file. A script of this page sends it.",
        )
        .into()
    };
    let mut parts = Multipart::from_request(request, &()).await.map_err(|_| no_file())?;
    loop {
        let next = tokio::time::timeout(within, parts.next_field()).await;
        let next = next.map_err(|_| late())?;
        let Some(mut part) = next.map_err(broken)? else { return Err(no_file()) };
        let name = part.name().unwrap_or_default().to_owned();
        if name == "file" {
            let given = part.file_name().unwrap_or_default().to_owned();
            if given.is_empty() {
                return Err(no_file());
            }
            let new = NewFirmware {
                name: given,
                manufacturer: form.val("manufacturer").to_owned(),
                oui: form.val("oui").to_owned(),
                product_class: form.val("product_class").to_owned(),
                hardware_version: form.val("hardware_version").to_owned(),
                software_version: form.val("software_version").to_owned(),
                sha256: form.val("sha256").to_owned(),
                note: form.val("note").to_owned(),
            };
            return match ctx.app().upload_firmware(&who.actor, new).await {
                Ok(upload) => firmware::receive(upload, part, within).await,
                Err(error) => {
                    // A browser that is cut off while it sends shows no answer: what still comes is let in and dropped.
                    while let Ok(Ok(Some(_))) = tokio::time::timeout(within, part.chunk()).await {}
                    Err(error.into())
                }
            };
        }
        let mut value = Vec::new();
        loop {
            // A field that stops in the middle is not the field: the rest of it could name other CPEs.
            let bytes = tokio::time::timeout(within, part.chunk()).await.map_err(|_| late())?;
            let Some(bytes) = bytes.map_err(broken)? else { break };
            value.extend_from_slice(&bytes);
            if value.len() > LONGEST_FIELD {
                return Err(Fail::bad_request("A field of the form is far too long; nothing was kept."));
            }
        }
        if form.names().any(|known| known == name) || form.names().count() >= MOST_FIELDS {
            return Err(Fail::bad_request(
                "The form has fields twice or too many of them; nothing was kept.",
            ));
        }
        form.set(&name, String::from_utf8_lossy(&value));
    }
}

pub(crate) async fn delete(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    Ok(match ctx.app().delete_firmware(&who.actor, FirmwareFileId(id)).await {
        Ok(row) => go(
            &ctx,
            PATH,
            Status::Ok,
            "Deleted",
            format!("{} is gone; no CPE was touched. Kept in the audit log.", row.name),
        ),
        Err(error) => {
            let fail = Fail::from(error);
            go(&ctx, PATH, Status::Bad, fail.title, fail.detail)
        }
    })
}
