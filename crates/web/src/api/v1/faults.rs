//! Faults: every one of them, and what a heap of them means.

use app::faults::class_of;
use axum::{
    Json,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use store::read::{FaultFilter, FaultGroup, FaultRow};
use utoipa::ToSchema;

use super::{
    input::{Asked, Filter, list_query, moment, one_of, short},
    output::{Answer, List, ServiceRef, Time, service_ref},
};
use crate::{
    error::{ApiFail, Fail},
    export,
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

/// Faults of one class, code, model and firmware.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Group {
    class: String,
    code: i64,
    reason_code: String,
    /// The words of one of them.
    text: String,
    model: String,
    software_version: String,
    /// How many faults.
    faults: i64,
    /// Of how many CPEs.
    cpes: i64,
    /// CPEs of this group that are not active now.
    open: i64,
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

fn wants_csv(asked: &FaultQuery, headers: &HeaderMap) -> bool {
    match asked.format.as_deref() {
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
    let (page, sort, as_csv) = (asked.page(), asked.sort(), wants_csv(&asked, &headers));
    let filter = FaultFilter {
        since_at: moment("since", asked.since.as_deref())?.unwrap_or(0),
        class: asked.class,
        model: asked.model,
        code: asked.code,
        cpe_id: asked.cpe_id,
        q: asked.q.unwrap_or_default(),
    };
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
        model: group.model,
        software_version: group.software_version,
        faults: group.faults,
        cpes: group.cpes,
        open: group.open,
        last_at: group.last_at.into(),
    }
}

/// Faults in groups, and what they mean in one sentence.
#[utoipa::path(get, path = "/api/v1/faults/summary", tag = "faults", params(SummaryQuery),
    responses((status = 200, description = "The diagnosis.", body = Summary)))]
pub(super) async fn summarise_faults(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<SummaryQuery>,
) -> Answer<Summary> {
    let filter = FaultFilter {
        since_at: moment("since", asked.since.as_deref())?.unwrap_or(0),
        class: asked.class,
        model: asked.model,
        code: asked.code,
        cpe_id: asked.cpe_id,
        q: asked.q.unwrap_or_default(),
    };
    let groups = ctx.read().fault_groups(&filter).await?;
    let verdict = crate::pages::faults::verdict(&ctx.read().fault_counts(&filter).await?);
    let shares = verdict.shares.into_iter().map(|share| Share {
        class: share.class,
        title: share.title,
        count: share.count,
        percent: share.percent,
    });
    Ok(Json(Summary {
        diagnosis: verdict.sentence,
        advice: verdict.advice,
        shares: shares.collect(),
        groups: groups.into_iter().map(group).collect(),
    }))
}
