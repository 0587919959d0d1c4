//! What is going on: numbers, search, the timeline, and what changes as it changes.

use std::collections::BTreeSet;

use axum::{
    Extension, Json,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response, Sse, sse::KeepAlive},
};
use serde::Serialize;
use store::read::{Hit, HitKind, StateCount, TimelineRow, TimelineSubject};
use utoipa::ToSchema;

use super::{
    input::{Asked, Filter, list_query, moment},
    output::{Answer, List, Named, ServiceRef, Time, found, named, serial, service_ref},
};
use crate::{
    auth::Caller,
    error::{ApiFail, Fail},
    live::WATCHED,
    server::Stopping,
    state::Ctx,
};

list_query! {
    /// What to look for.
    SearchQuery {
        /// At least two characters of a serial in any notation, name, phone, PPPoE login, service code or management
        /// address; or a whole MAC or IP address.
        q: String,
    } /// Best first; leave it out.
    sort []
}

list_query! {
    /// Whose timeline; one of the subjects at most.
    TimelineQuery {
        /// Of a service with its ONU and CPE.
        service_id: i64,
        /// Of an ONU.
        onu_id: i64,
        /// Of an OLT.
        olt_id: i64,
        /// Of a CPE.
        cpe_id: i64,
        /// Of a customer.
        customer_id: i64,
        /// Not before this time, e.g. `2026-11-21T14:30:00Z`.
        since: String,
    } /// Newest first; leave it out.
    sort []
    check |asked| {
        let subjects = [asked.service_id, asked.onu_id, asked.olt_id, asked.cpe_id, asked.customer_id];
        if subjects.iter().flatten().count() > 1 {
            return Err(Fail::bad_request("A timeline has one subject at most; name one of the ids."));
        }
        moment("since", asked.since.as_deref()).map(drop)
    }
}

list_query! {
    /// Which changes.
    EventQuery {
        /// Topics separated by commas: lists (`cpes`, `services`, `onus`, `olts`, `detecteds`, `tasks`, `customers`)
        /// and single things (`cpe-12`). All lists if absent.
        topics: String,
    } /// Leave it out.
    sort []
}

/// A line of the timeline.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TimelineLine {
    id: i64,
    at: Time,
    /// What kind of thing happened.
    kind: String,
    from_state: Option<String>,
    to_state: Option<String>,
    /// `ok`, `info`, `wait`, `warn` or `bad`.
    severity: String,
    /// Stable word.
    code: String,
    /// The sentence with the facts.
    text: String,
    /// What happens next.
    next: Option<String>,
    /// Who did it.
    actor: String,
    service: Option<ServiceRef>,
    onu_id: Option<i64>,
    olt: Option<Named>,
    cpe_id: Option<i64>,
}

pub(super) fn timeline_line(row: TimelineRow) -> TimelineLine {
    TimelineLine {
        id: row.id,
        at: row.at.into(),
        kind: row.kind,
        from_state: row.from_state,
        to_state: row.to_state,
        severity: row.severity,
        code: row.code,
        text: row.text,
        next: row.next_text,
        actor: row.actor,
        service: service_ref(row.service_id, row.service_code),
        onu_id: row.onu_row_id,
        olt: named(row.olt_id, row.olt_name),
        cpe_id: row.cpe_id,
    }
}

/// Something found.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Found {
    /// `service`, `customer`, `onu`, `detected_onu`, `cpe` or `olt`.
    kind: &'static str,
    id: i64,
    /// Where the API has it.
    href: String,
    /// Its name for people.
    title: String,
    /// What else helps to recognise it.
    detail: String,
    /// Its state, if it has one.
    state: Option<String>,
}

/// Everything found, best first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FoundList {
    items: Vec<Found>,
}

fn hit(hit: Hit) -> Found {
    let (kind, place) = match hit.kind {
        HitKind::Service => ("service", "services"),
        HitKind::Customer => ("customer", "customers"),
        HitKind::Onu => ("onu", "onus"),
        HitKind::Detected => ("detected_onu", "detected-onus"),
        HitKind::Cpe => ("cpe", "cpes"),
        HitKind::Olt => ("olt", "olts"),
    };
    let title = match hit.kind {
        HitKind::Onu | HitKind::Detected => serial(&hit.title),
        _ => hit.title,
    };
    Found {
        kind,
        id: hit.id,
        href: format!("/api/v1/{place}/{}", hit.id),
        title,
        detail: hit.detail,
        state: hit.state,
    }
}

/// How many are in a state.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Count {
    state: String,
    count: i64,
}

fn counts(counts: Vec<StateCount>) -> Vec<Count> {
    counts.into_iter().map(|count| Count { state: count.state, count: count.n }).collect()
}

/// How much there is of everything; at most two seconds old.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Numbers {
    olts: u64,
    /// OLTs that do not answer.
    olts_silent: u64,
    /// ONUs that wait to be authorised.
    detected: u64,
    /// Of these, with a service that waits for the serial.
    detected_matched: u64,
    onus: u64,
    onus_online: u64,
    onus_down: u64,
    /// Never read, or not readable now.
    onus_unread: u64,
    /// Weaker than −25 dBm at the ONU.
    onus_weak: u64,
    cpe_states: Vec<Count>,
    cpes_quarantined: u64,
    service_states: Vec<Count>,
    task_states: Vec<Count>,
    /// Faults of the last 24 hours.
    faults: u64,
}

/// How much there is of everything.
#[utoipa::path(get, path = "/api/v1/overview", tag = "about",
    responses((status = 200, description = "The numbers.", body = Numbers)))]
pub(super) async fn get_overview(State(ctx): State<Ctx>) -> Answer<Numbers> {
    let n = ctx.numbers().await?;
    Ok(Json(Numbers {
        olts: n.olts,
        olts_silent: n.olts_silent,
        detected: n.detected,
        detected_matched: n.detected_matched,
        onus: n.onus,
        onus_online: n.onus_online,
        onus_down: n.onus_down,
        onus_unread: n.onus_unread,
        onus_weak: n.onus_weak,
        cpe_states: counts(n.cpe_states),
        cpes_quarantined: n.cpes_quarantined,
        service_states: counts(n.service_states),
        task_states: counts(n.task_states),
        faults: n.faults,
    }))
}

/// Something that needs a person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemShown {
    /// `bad`, `warn` …
    severity: String,
    /// What it is.
    title: String,
    /// The sentence with the facts, and where to look.
    text: String,
    /// How much it is about, e.g. `12 CPEs`.
    size: String,
    /// Since when, or how old the word is.
    since: String,
    /// Whose turn it is, e.g. `needs somebody`.
    who: String,
    /// The page that has it.
    page: String,
}

/// Everything that needs a person.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ProblemList {
    items: Vec<ProblemShown>,
}

/// What needs a person, worst first: the list at the head of the overview, whole.
#[utoipa::path(get, path = "/api/v1/overview/problems", tag = "about",
    responses((status = 200, description = "What needs a person.", body = ProblemList)))]
pub(super) async fn list_problems(State(ctx): State<Ctx>) -> Answer<ProblemList> {
    let shown = |problem: crate::pages::overview::Problem| ProblemShown {
        severity: problem.s.to_string(),
        title: problem.plain_title(),
        text: problem.text,
        size: problem.size,
        since: problem.since,
        who: problem.who.to_owned(),
        page: problem.href,
    };
    let items = crate::pages::overview::problems(&ctx, &ctx.view()).await?.into_iter().map(shown).collect();
    Ok(Json(ProblemList { items }))
}

/// Everything that a text can mean, best first; `size` is how many of each kind, 50 at most.
#[utoipa::path(get, path = "/api/v1/search", tag = "about", params(SearchQuery),
    responses((status = 200, description = "What was found.", body = FoundList)))]
pub(super) async fn search(State(ctx): State<Ctx>, Filter(asked): Filter<SearchQuery>) -> Answer<FoundList> {
    let limit = asked.size.unwrap_or(10);
    let q = asked.q.unwrap_or_default();
    if q.trim().chars().count() < 2 {
        return Err(Fail::bad_request("q: at least two characters are needed.").into());
    }
    let items = ctx.read().search(&q, limit).await?.into_iter().map(hit).collect();
    Ok(Json(FoundList { items }))
}

/// What happened and why, newest first.
#[utoipa::path(get, path = "/api/v1/timeline", tag = "about", params(TimelineQuery),
    responses((status = 200, description = "A page of the timeline.", body = List<TimelineLine>)))]
pub(super) async fn list_timeline(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<TimelineQuery>,
) -> Answer<List<TimelineLine>> {
    let since = moment("since", asked.since.as_deref())?;
    let page = asked.page();
    let subject = match asked {
        TimelineQuery { service_id: Some(id), .. } => {
            let service = found(ctx.read().service(id).await?, "service", id)?;
            TimelineSubject::Service { id, onu_row_id: service.onu_row_id, cpe_id: service.cpe_id }
        }
        TimelineQuery { onu_id: Some(id), .. } => TimelineSubject::Onu(id),
        TimelineQuery { olt_id: Some(id), .. } => TimelineSubject::Olt(id),
        TimelineQuery { cpe_id: Some(id), .. } => TimelineSubject::Cpe(id),
        TimelineQuery { customer_id: Some(id), .. } => TimelineSubject::Customer(id),
        _ => TimelineSubject::All,
    };
    Ok(List::of(ctx.read().timeline(subject, since, page).await?, page, timeline_line))
}

/// Lists that can be watched, as `live` names them.
const TOPICS: [&str; 7] = ["cpes", "services", "onus", "olts", "detecteds", "tasks", "customers"];

/// True for a list or for one thing of it.
fn is_topic(text: &str) -> bool {
    let thing = text.split_once('-').is_some_and(|(list, id)| {
        TOPICS.iter().any(|topic| topic.strip_suffix('s') == Some(list)) && id.parse::<i64>().is_ok()
    });
    thing || TOPICS.contains(&text)
}

/// Names of what changes, as server-sent events: the event is the topic, and there is no data; read the thing again.
/// `sync` says that something was missed: read everything again. A stream ends after 15 minutes; connect again with
/// `Last-Event-ID`.
#[utoipa::path(get, path = "/api/v1/events", tag = "about", params(EventQuery),
    responses((status = 200, description = "A stream of changes.", content((String = "text/event-stream")))))]
pub(super) async fn events(
    State(ctx): State<Ctx>,
    Caller(caller): Caller,
    stopping: Option<Extension<Stopping>>,
    headers: HeaderMap,
    Filter(asked): Filter<EventQuery>,
) -> Result<Response, ApiFail> {
    let watched: BTreeSet<String> = match &asked.topics {
        Some(topics) => topics.split(',').map(|topic| topic.trim().to_owned()).collect(),
        None => TOPICS.iter().map(|topic| (*topic).to_owned()).collect(),
    };
    if let Some(unknown) = watched.iter().find(|topic| !is_topic(topic)) {
        let text = format!(
            "topics: {:?} is not known; lists are {}, one thing is like cpe-12.",
            super::input::short(unknown),
            TOPICS.join(", ")
        );
        return Err(Fail::bad_request(text).into());
    }
    if watched.len() > WATCHED {
        return Err(
            Fail::bad_request(format!("topics: {WATCHED} is the most; watch the list instead.")).into()
        );
    }
    let heard = headers.get("last-event-id").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    let since = heard.unwrap_or_else(|| ctx.live.position());
    match ctx.live.stream(since, watched, &caller.label(), stopping.map(|Extension(stopping)| stopping)) {
        Some(stream) => Ok(Sse::new(stream).keep_alive(KeepAlive::default()).into_response()),
        None => {
            let text = "Too many streams are open; read now and then instead.";
            let fail = Fail::new(StatusCode::SERVICE_UNAVAILABLE, "Too many streams", text);
            Err(ApiFail(Fail { retry_after_s: Some(30), ..fail }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::Change;
    use types::{CpeId, OltId, OltTaskId, OnuRowId, ServiceId};

    #[test]
    fn every_change_has_topics_that_can_be_watched() {
        for change in [
            Change::Cpe(CpeId(7)),
            Change::Service(ServiceId(7)),
            Change::Onu(OnuRowId(7)),
            Change::Olt(OltId(7)),
            Change::Detected(OltId(7)),
            Change::Task(OltTaskId(7)),
            Change::Customers,
        ] {
            for topic in crate::live::topics(&change) {
                assert!(is_topic(&topic), "{topic}");
            }
        }
        for bad in ["", "cpe", "cpe-", "cpe-x", "weather", "customers-1"] {
            assert!(!is_topic(bad), "{bad}");
        }
    }
}
