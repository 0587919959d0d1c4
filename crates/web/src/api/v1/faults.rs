//! Faults: every one of them, and what a heap of them means.

use app::faults::{
    ClassShare, class_of,
    genieacs::{Import, ImportedGroup, MAX_BYTES},
};
use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::read::{FaultFilter, FaultGroup, FaultGrouping, FaultRow, Page, Sort};
use utoipa::ToSchema;

use super::{
    input::{Asked, Filter, list_query, moment, one_of, short},
    output::{Answer, List, ServiceRef, Time, service_ref},
};
use crate::{
    body,
    error::{ApiFail, Fail},
    export,
    pages::{
        fault_import,
        faults::{GROUP_COLUMNS, group_cells},
    },
    state::Ctx,
    words,
};

fn class_known(class: Option<&str>) -> Result<(), Fail> {
    match class {
        Some(word) if class_of(word).is_none() => {
            Err(Fail::bad_request(format!("class: {:?} is not a class of faults.", short(word))))
        }
        _ => Ok(()),
    }
}

list_query! {
    /// Which faults.
    FaultQuery {
        /// Part of the text, path or customer, or a serial in any notation.
        q: String,
        /// Not before this time, e.g. `2026-11-21T14:30:00Z`.
        since: String,
        /// Only this class, e.g. `session_triggering`.
        class: String,
        /// Only this model.
        model: String,
        /// Only this firmware.
        software_version: String,
        /// Only this reason, e.g. `write_rejected`.
        reason_code: String,
        /// Only this parameter, instance numbers as `?`.
        parameter: String,
        /// Only this fault code, e.g. 9005.
        code: i64,
        /// Only of this CPE.
        cpe_id: i64,
        /// `json` or `csv`; without it the header Accept says. CSV holds every row, not a page.
        format: String,
    } /// One of time, class, code, model, serial.
    sort ["time", "class", "code", "model", "serial"]
    check |asked| {
        class_known(asked.class.as_deref())?;
        one_of("format", asked.format.as_deref(), &["json", "csv"])?;
        moment("since", asked.since.as_deref()).map(drop)
    }
}

list_query! {
    /// Which faults, and how they are put together.
    GroupQuery {
        /// `everything`, `class`, `reason`, `parameter`, `model` or `firmware`; without it by everything.
        by: String,
        /// Part of the text, path or customer, or a serial in any notation.
        q: String,
        /// Not before this time, e.g. `2026-11-21T14:30:00Z`.
        since: String,
        /// Only this class, e.g. `session_triggering`.
        class: String,
        /// Only this model.
        model: String,
        /// Only this firmware.
        software_version: String,
        /// Only this reason, e.g. `write_rejected`.
        reason_code: String,
        /// Only this parameter, instance numbers as `?`.
        parameter: String,
        /// Only this fault code, e.g. 9005.
        code: i64,
        /// Only of this CPE.
        cpe_id: i64,
        /// `json` or `csv`; without it the header Accept says. CSV holds every group, not a page.
        format: String,
    } /// One of faults, cpes, open, first, last, class, code, model, parameter.
    sort ["faults", "cpes", "open", "first", "last", "class", "code", "model", "parameter"]
    check |asked| {
        class_known(asked.class.as_deref())?;
        one_of("by", asked.by.as_deref(), &FaultGrouping::ALL.map(|(word, _)| word))?;
        one_of("format", asked.format.as_deref(), &["json", "csv"])?;
        moment("since", asked.since.as_deref()).map(drop)
    }
}

/// The filter that a query asks for.
macro_rules! filter_of {
    ($asked:expr) => {
        FaultFilter {
            since_at: moment("since", $asked.since.as_deref())?.unwrap_or(0),
            class: $asked.class,
            model: $asked.model,
            software_version: $asked.software_version,
            reason_code: $asked.reason_code,
            parameter: $asked.parameter,
            code: $asked.code,
            cpe_id: $asked.cpe_id,
            q: $asked.q.unwrap_or_default(),
        }
    };
}

list_query! {
    /// Which faults.
    SummaryQuery {
        /// Part of the text, path or customer, or a serial in any notation.
        q: String,
        /// Not before this time, e.g. `2026-11-21T14:30:00Z`.
        since: String,
        /// Only this class, e.g. `session_triggering`.
        class: String,
        /// Only this model.
        model: String,
        /// Only this firmware.
        software_version: String,
        /// Only this reason, e.g. `write_rejected`.
        reason_code: String,
        /// Only this parameter, instance numbers as `?`.
        parameter: String,
        /// Only this fault code, e.g. 9005.
        code: i64,
        /// Only of this CPE.
        cpe_id: i64,
    } /// By size only; leave it out.
    sort []
    check |asked| {
        class_known(asked.class.as_deref())?;
        moment("since", asked.since.as_deref()).map(drop)
    }
}

/// A fault with the CPE it happened to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Fault {
    id: i64,
    at: Time,
    /// Where the cause lies, e.g. `session_triggering`.
    class: String,
    /// CWMP fault code; 0 where the device gave none.
    code: i64,
    /// The device's or our words.
    text: String,
    /// The parameter it is about.
    path: String,
    /// The CWMP method.
    rpc: String,
    model: String,
    software_version: String,
    reason_code: String,
    /// What the code means.
    meaning: String,
    cpe_id: i64,
    /// CWMP serial number of the CPE.
    serial_number: String,
    /// State of the CPE now.
    cpe_state: String,
    service: Option<ServiceRef>,
    customer_name: Option<String>,
}

pub(super) fn fault(row: FaultRow) -> Fault {
    Fault {
        id: row.id,
        at: row.at.into(),
        meaning: words::fault_meaning(row.code, &row.class).to_owned(),
        class: row.class,
        code: row.code,
        text: row.text,
        path: row.path,
        rpc: row.rpc,
        model: row.model,
        software_version: row.software_version,
        reason_code: row.reason_code,
        cpe_id: row.cpe_id,
        serial_number: row.serial_number,
        cpe_state: row.cpe_state,
        service: service_ref(row.service_id, row.service_code),
        customer_name: row.customer_name,
    }
}

/// Faults that have something in common. What a group does not tell apart is empty in it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Group {
    class: String,
    code: i64,
    reason_code: String,
    /// The words of the latest one.
    text: String,
    /// The parameter, instance numbers as `?`.
    parameter: String,
    model: String,
    software_version: String,
    /// How many faults.
    faults: i64,
    /// Of how many CPEs.
    cpes: i64,
    /// CPEs of this group that are not active now.
    open: i64,
    first_at: Time,
    last_at: Time,
}

/// How many faults of a class.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Share {
    class: String,
    /// The class in words.
    title: String,
    count: u64,
    /// Share of all, whole per cent.
    percent: u64,
}

/// What a heap of faults means.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Summary {
    /// The dominating class, its dominating reason, and what that says about the rest.
    diagnosis: String,
    /// Where to look next.
    advice: String,
    /// The classes, largest first.
    shares: Vec<Share>,
    /// Largest first, 200 at most.
    groups: Vec<Group>,
}

fn wants_csv(format: Option<&str>, headers: &HeaderMap) -> bool {
    match format {
        Some(format) => format == "csv",
        None => headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).is_some_and(|accept| {
            accept.split(',').next().is_some_and(|first| first.trim().starts_with("text/csv"))
        }),
    }
}

/// Faults, newest first; as CSV with `Accept: text/csv` or `format=csv`.
#[utoipa::path(get, path = "/api/v1/faults", tag = "faults", params(FaultQuery),
    responses((status = 200, description = "A page of faults, or all of them as CSV.", content(
        (List<Fault> = "application/json"), (String = "text/csv")))))]
pub(super) async fn list_faults(
    State(ctx): State<Ctx>,
    headers: HeaderMap,
    Filter(asked): Filter<FaultQuery>,
) -> Result<Response, ApiFail> {
    let (page, sort, as_csv) = (asked.page(), asked.sort(), wants_csv(asked.format.as_deref(), &headers));
    let filter = filter_of!(asked);
    if !as_csv {
        return Ok(List::of(ctx.read().faults(&filter, &sort, page).await?, page, fault).into_response());
    }
    let heading = export::line(&[
        "id",
        "at",
        "class",
        "code",
        "text",
        "path",
        "rpc",
        "model",
        "software_version",
        "reason_code",
        "meaning",
        "cpe_id",
        "serial_number",
        "cpe_state",
        "service",
        "customer",
    ])?;
    Ok(export::file("faults.csv", heading, move |number| {
        let (ctx, filter, sort) = (ctx.clone(), filter.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            export::lines(ctx.read().faults(&filter, &sort, part).await?.rows.into_iter().map(cells))
        }
    }))
}

fn cells(row: FaultRow) -> Vec<String> {
    vec![
        row.id.to_string(),
        types::UtcMs(row.at).to_string(),
        row.class.clone(),
        row.code.to_string(),
        row.text,
        row.path,
        row.rpc,
        row.model,
        row.software_version,
        row.reason_code,
        words::fault_meaning(row.code, &row.class).to_owned(),
        row.cpe_id.to_string(),
        row.serial_number,
        row.cpe_state,
        row.service_code.unwrap_or_default(),
        row.customer_name.unwrap_or_default(),
    ]
}

fn group(group: FaultGroup) -> Group {
    Group {
        class: group.class,
        code: group.code,
        reason_code: group.reason_code,
        text: group.text,
        parameter: group.parameter,
        model: group.model,
        software_version: group.software_version,
        faults: group.faults,
        cpes: group.cpes,
        open: group.open,
        first_at: group.first_at.into(),
        last_at: group.last_at.into(),
    }
}

fn shares(shares: Vec<ClassShare>) -> Vec<Share> {
    let share = |share: ClassShare| Share {
        class: share.class,
        title: share.title,
        count: share.count,
        percent: share.percent,
    };
    shares.into_iter().map(share).collect()
}

/// Groups that a summary names.
const IN_SUMMARY: u32 = 200;

/// Faults in groups, largest first; as CSV with `Accept: text/csv` or `format=csv`.
#[utoipa::path(get, path = "/api/v1/faults/groups", tag = "faults", params(GroupQuery),
    responses((status = 200, description = "A page of groups, or all of them as CSV.", content(
        (List<Group> = "application/json"), (String = "text/csv")))))]
pub(super) async fn list_fault_groups(
    State(ctx): State<Ctx>,
    headers: HeaderMap,
    Filter(asked): Filter<GroupQuery>,
) -> Result<Response, ApiFail> {
    let (page, sort) = (asked.page(), asked.sort());
    let as_csv = wants_csv(asked.format.as_deref(), &headers);
    let by = asked.by.as_deref().and_then(FaultGrouping::parse).unwrap_or_default();
    let filter = filter_of!(asked);
    if !as_csv {
        let found = ctx.read().fault_groups(&filter, by, &sort, page).await?;
        return Ok(List::of(found, page, group).into_response());
    }
    let total = ctx.read().fault_total(&filter).await?;
    let heading = export::line(&GROUP_COLUMNS)?;
    Ok(export::file("fault-groups.csv", heading, move |number| {
        let (ctx, filter, sort) = (ctx.clone(), filter.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().fault_groups(&filter, by, &sort, part).await?.rows;
            let time = |at| types::UtcMs(at).to_string();
            export::lines(rows.into_iter().map(|group| group_cells(group, total, time)))
        }
    }))
}

/// Faults in groups, and what they mean in one sentence.
#[utoipa::path(get, path = "/api/v1/faults/summary", tag = "faults", params(SummaryQuery),
    responses((status = 200, description = "The diagnosis.", body = Summary)))]
pub(super) async fn summarise_faults(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<SummaryQuery>,
) -> Answer<Summary> {
    let filter = filter_of!(asked);
    let largest = Page::first(IN_SUMMARY);
    let groups =
        ctx.read().fault_groups(&filter, FaultGrouping::Everything, &Sort::default(), largest).await?;
    let verdict = crate::pages::faults::verdict(&ctx.read().fault_counts(&filter).await?);
    Ok(Json(Summary {
        diagnosis: verdict.sentence,
        advice: verdict.advice,
        shares: shares(verdict.shares),
        groups: groups.rows.into_iter().map(group).collect(),
    }))
}

/// Faults of a file that have something in common.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileGroup {
    /// Where the cause lies, e.g. `session_triggering`.
    class: String,
    /// The reason in words.
    reason: String,
    /// The parameter, instance numbers as `?`.
    parameter: String,
    /// The model that the device's name says.
    model: String,
    faults: u64,
    devices: u64,
    /// Share of all, whole per cent.
    percent: u64,
    first_at: Option<Time>,
    last_at: Option<Time>,
    /// What it means, in a few words.
    meaning: String,
}

/// A line of a file that could not be used.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UnusedLine {
    /// Its number, from 1.
    line: u64,
    why: String,
}

/// What a faults file of a GenieACS means. Nothing of it is stored.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FileDiagnosis {
    faults: u64,
    devices: u64,
    /// The dominating class, its dominating reason, and what that says about the rest.
    diagnosis: String,
    /// Where to look next.
    advice: String,
    /// The classes, largest first.
    shares: Vec<Share>,
    /// Largest first, 200 at most.
    groups: Vec<FileGroup>,
    /// Groups in all.
    groups_total: u64,
    /// Lines that could not be used, in all.
    unused: u64,
    /// The first of them, 50 at most.
    unused_lines: Vec<UnusedLine>,
}

fn file_group(group: ImportedGroup) -> FileGroup {
    FileGroup {
        class: group.class,
        reason: group.reason,
        parameter: group.parameter,
        model: group.model,
        faults: group.faults,
        devices: group.devices,
        percent: group.percent,
        first_at: group.first_at.map(|at| at.0.into()),
        last_at: group.last_at.map(|at| at.0.into()),
        meaning: group.meaning,
    }
}

fn file_diagnosis(import: Import) -> FileDiagnosis {
    let unused = import.bad.first.into_iter().map(|bad| UnusedLine { line: bad.line, why: bad.why });
    FileDiagnosis {
        faults: import.faults,
        devices: import.devices,
        diagnosis: import.diagnosis.sentence,
        advice: import.diagnosis.advice,
        shares: shares(import.diagnosis.shares),
        groups: import.groups.into_iter().map(file_group).collect(),
        groups_total: import.groups_total,
        unused: import.bad.count,
        unused_lines: unused.collect(),
    }
}

/// What a faults CSV exported from GenieACS means: at most 16 MiB, any separator. Nothing of it is stored.
#[utoipa::path(post, path = "/api/v1/faults/diagnose", tag = "faults",
    request_body(content = String, content_type = "text/csv",
        description = "The file, as GenieACS exports it on its page of faults."),
    responses((status = 200, description = "The diagnosis.", body = FileDiagnosis)))]
pub(super) async fn diagnose_faults(request: Request) -> Answer<FileDiagnosis> {
    let (parts, sent) = request.into_parts();
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !kind.is_some_and(|kind| kind.starts_with("text/") || kind.starts_with("application/octet-stream")) {
        let text = "Send the file itself as the body, with Content-Type: text/csv.";
        return Err(Fail::new(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, "Not a CSV file", text).into());
    }
    let bytes = body::whole_up_to(MAX_BYTES, &parts.extensions, sent).await?;
    Ok(Json(file_diagnosis(fault_import::read(bytes.to_vec()).await?)))
}
