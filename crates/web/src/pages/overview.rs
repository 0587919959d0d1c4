//! The overview: problems first, then counters that open their lists, then what is quiet.

use app::Refusals;
use askama::Template;
use axum::{extract::State, http::HeaderMap, response::Response};
use store::read::{
    CpeTrouble, OltRow, OnuTrouble, Overview, Page, Sort, StateCount, TaskFilter, TaskRow, TimelineRow,
    TimelineSubject,
};

use super::{html, no_store, page};
use crate::{
    auth::Who,
    error::Fail,
    list::encode,
    shell::{Shell, triggers},
    state::Ctx,
    view::{self, Status, View},
    words,
};

/// Something that needs a person.
pub(crate) struct Problem {
    pub(crate) s: Status,
    pub(crate) title: String,
    pub(crate) text: String,
    pub(crate) size: String,
    pub(crate) since: String,
    pub(crate) who: &'static str,
    /// The page where it is looked at.
    pub(crate) href: String,
    verb: &'static str,
}

impl Problem {
    /// The title without marks for the direction of a name, which are for pages.
    pub(crate) fn plain_title(&self) -> String {
        self.title.replace([FIRST_STRONG, POP], "")
    }
}

struct Data {
    oob: bool,
    problems: Vec<Problem>,
    n: Overview,
    suspended: u64,
    services: u64,
    tasks: Vec<TaskRow>,
    working: Vec<StateCount>,
    quiet: String,
    olts: Vec<OltRow>,
    hour: Vec<TimelineRow>,
    may_olts: bool,
    may_audit: bool,
    summary: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    shell: Shell,
    v: View,
    o: Data,
    triggers: String,
}

#[derive(Template)]
#[template(path = "overview/live.html")]
struct OverviewLive {
    v: View,
    o: Data,
}

/// ONUs of one PON that are down before it is called a problem of the PON.
const PON_TROUBLE: i64 = 3;
/// Problems shown; the lists hold all of them.
const SHOWN: usize = 12;

fn olt_problem(olt: &OltRow, v: &View) -> Problem {
    Problem {
        s: Status::Bad,
        title: format!("{} does not answer its command line", olt.name),
        text: format!(
            "{} Values of its {} are shown with their true age; nothing can be authorised there meanwhile.",
            olt.observed_reason.as_deref().unwrap_or("No reason was recorded."),
            view::plural(olt.onus, "ONU", "ONUs")
        ),
        size: view::plural(olt.onus, "ONU", "ONUs"),
        since: format!("read {} ago", v.since(olt.observed_at)),
        who: "asked again by itself",
        href: format!("/olts/{}", olt.id),
        verb: "Open OLT",
    }
}

fn pon_problem(pon: &OnuTrouble, v: &View) -> Problem {
    let all = pon.down == pon.all_onus;
    Problem {
        s: if all { Status::Bad } else { Status::Warn },
        title: if all {
            format!("All ONUs of PON {}, {}, are down", pon.pon, pon.olt_name)
        } else {
            format!("{} of {} ONUs of PON {}, {}, are down", pon.down, pon.all_onus, pon.pon, pon.olt_name)
        },
        text: if all {
            "A cut feeder fibre or a dead port is more likely than that many boxes. The causes beside each ONU tell power from light.".into()
        } else {
            "Look at the causes: power lost at many of them is a power cut, light lost at many is a branch of the fibre.".into()
        },
        size: view::plural(pon.down, "ONU", "ONUs"),
        since: format!("read {} ago", v.since(pon.observed_at)),
        who: "nobody has taken it",
        href: format!("/onus?view=down&olt={}&pon={}", pon.olt_id, encode(&pon.pon)),
        verb: "Show them",
    }
}

/// A name keeps its own direction within a sentence (Unicode: first strong isolate, pop directional isolate).
const FIRST_STRONG: char = '\u{2068}';
const POP: char = '\u{2069}';

/// A group of CPEs needs a person when its reason is warn or bad; everything else goes on by itself.
fn cpe_problem(group: &CpeTrouble, v: &View) -> Option<Problem> {
    let word = words::cpe_now(&group.state, &group.reason_code);
    let s = match word.s {
        Status::Bad => Status::Bad,
        Status::Warn => Status::Warn,
        Status::Ok | Status::Wait | Status::Info | Status::Off | Status::Unknown => return None,
    };
    let known = words::reason_title(&group.reason_code);
    let headline = if known.is_empty() { word.text.as_str() } else { known };
    let model = if group.model.is_empty() { String::new() } else { format!(", {}", group.model) };
    // One matter has a person; a matter of many has a model.
    let title = if group.n == 1 {
        match &group.customer_name {
            Some(name) => format!("{headline}: {FIRST_STRONG}{}{POP}", view::limited(name, 80)),
            None => format!("{headline}{model}"),
        }
    } else {
        format!("{} CPEs: {}{model}", view::count(group.n), lower_first(headline))
    };
    let text = match &group.reason_next {
        Some(next) if !next.is_empty() => format!("{} Next: {next}", sentence(&group.reason_text)),
        _ => group.reason_text.clone(),
    };
    let href = match (group.n, group.service_id) {
        (1, Some(service)) => format!("/services/{service}"),
        (1, None) => format!("/cpes/{}", group.cpe_id),
        _ => format!(
            "/cpes?state={}&reason={}&model={}",
            encode(&group.state),
            encode(&group.reason_code),
            encode(&group.model)
        ),
    };
    Some(Problem {
        s,
        title,
        text,
        size: match (&group.service_code, group.n) {
            (Some(code), 1) => code.clone(),
            _ => view::plural(group.n, "CPE", "CPEs"),
        },
        since: format!("for {}", v.since(group.since)),
        who: match (
            group.reason_next.as_deref().is_some_and(|next| next.contains("operator")),
            group.state.as_str(),
        ) {
            (true, _) => "needs somebody",
            (false, "FAILED") => "tries again by itself",
            (false, _) => "nothing is forced",
        },
        href,
        verb: if group.n == 1 { "Open" } else { "Show them" },
    })
}

/// Routers that wait because they could not be called: one matter, however many models and ways to fail there are.
fn is_call_trouble(group: &CpeTrouble) -> bool {
    group.state == "WAITING_INFORM"
        && (group.reason_code.starts_with("connection_request_")
            || group.reason_code == "no_inform_after_accept")
}

fn call_problem(groups: &[&CpeTrouble], v: &View) -> Option<Problem> {
    let count: i64 = groups.iter().map(|group| group.n).sum();
    let silent: i64 = groups.iter().map(|group| group.silent).sum();
    let since = groups.iter().map(|group| group.since).min()?;
    let mut ways: Vec<(&str, i64)> = Vec::new();
    for group in groups {
        let way = words::reason_title(&group.reason_code);
        match ways.iter_mut().find(|(known, _)| *known == way) {
            Some((_, n)) => *n += group.n,
            None => ways.push((way, group.n)),
        }
    }
    let ways: Vec<String> =
        ways.iter().map(|(way, n)| format!("{}: {}", lower_first(way), view::count(n))).collect();
    Some(Problem {
        s: Status::Warn,
        title: format!(
            "{} cannot be called and waits for its own contact",
            view::plural(count, "router", "routers")
        )
        .replace("routers cannot be called and waits for its", "routers cannot be called and wait for their"),
        text: format!(
            "{}. Nothing is forced or rebuilt; each goes on by itself at its next contact.{}",
            upper_first(&ways.join("; ")),
            match silent {
                0 => String::new(),
                _ => format!(
                    " {} to speak and did not: look at the line and the power there.",
                    view::plural(silent, "router was expected", "routers were expected")
                ),
            }
        ),
        size: view::plural(count, "CPE", "CPEs"),
        since: format!("for {}", v.since(since)),
        who: if silent == 0 { "no action needed" } else { "needs a look" },
        href: "/cpes?state=WAITING_INFORM".into(),
        verb: "Show them",
    })
}

fn upper_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn sentence(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() || text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

fn task_problem(task: &TaskRow, v: &View) -> Problem {
    Problem {
        s: Status::Bad,
        title: format!(
            "{} {} stopped halfway and needs somebody",
            words::task_kind(&task.kind),
            view::serial(&task.serial)
        ),
        text: format!(
            "{} On {} PON {}; its journal shows every line that was sent.",
            sentence(&task.reason),
            task.olt_name,
            task.pon
        ),
        size: "1 task".into(),
        since: format!("for {}", v.since(task.updated_at)),
        who: "nobody has taken it",
        href: format!("/tasks/{}", task.id),
        verb: "Open task",
    }
}

/// A management network that is missing or mistyped cuts off every CPE in it, and nothing else would say so.
fn refusal_problem(refusals: &Refusals, v: &View) -> Option<Problem> {
    Some(Problem {
        s: if refusals.has_networks { Status::Warn } else { Status::Bad },
        title: refusals.trouble()?,
        text: if refusals.has_networks {
            "If those are CPEs, their network is missing in the ACS policy: they are cut off without an answer.".into()
        } else {
            "Write the networks of the CPEs' management WANs into the ACS policy; until then no CPE gets in."
                .into()
        },
        size: view::plural(refusals.last_hour(), "address", "addresses"),
        since: refusals
            .newest()
            .map_or_else(String::new, |newest| format!("last {} ago", v.since(Some(newest.last_at.0)))),
        who: "needs somebody",
        href: "/settings/policy#refused".into(),
        verb: "Open ACS policy",
    })
}

/// Everything that needs a person, worst first.
pub(crate) async fn problems(ctx: &Ctx, v: &View) -> Result<Vec<Problem>, Fail> {
    let (read, sort) = (ctx.read(), Sort::default());
    let stuck = TaskFilter { state: Some("needs_operator".into()), ..TaskFilter::default() };
    let mut problems: Vec<Problem> = Vec::new();
    problems.extend(refusal_problem(&ctx.app().refusals().await?, v));
    let olts = read.olts().await?;
    problems.extend(
        olts.iter().filter(|olt| olt.observed_state == "silent").take(5).map(|olt| olt_problem(olt, v)),
    );
    problems.extend(
        read.tasks(&stuck, &sort, Page::first(5)).await?.rows.iter().map(|task| task_problem(task, v)),
    );
    problems.extend(read.onu_troubles(PON_TROUBLE).await?.iter().map(|pon| pon_problem(pon, v)));
    let troubles = read.cpe_troubles().await?;
    let (calls, others): (Vec<&CpeTrouble>, Vec<&CpeTrouble>) =
        troubles.iter().partition(|group| is_call_trouble(group));
    problems.extend(others.into_iter().filter_map(|group| cpe_problem(group, v)));
    problems.extend(call_problem(&calls, v));
    problems.sort_by_key(|problem| match problem.s {
        Status::Bad => 0,
        Status::Warn => 1,
        Status::Wait => 2,
        Status::Ok | Status::Info | Status::Off | Status::Unknown => 3,
    });
    Ok(problems)
}

async fn data(ctx: &Ctx, who: &Who, v: &View, oob: bool) -> Result<Data, Fail> {
    let read = ctx.read();
    let n = ctx.numbers().await?;
    let sort = Sort::default();
    let olts = read.olts().await?;
    let mut problems = problems(ctx, v).await?;
    let more = problems.len().saturating_sub(SHOWN);
    problems.truncate(SHOWN);
    let open = TaskFilter { state: Some("open".into()), ..TaskFilter::default() };
    let waiting = |state: &str| StateCount {
        state: state.into(),
        n: i64::try_from(n.cpes_in(state)).unwrap_or(i64::MAX),
    };
    let working: Vec<StateCount> = ["PROVISIONING", "READY", "TIME_SYNCED", "OWNED", "WAITING_INFORM"]
        .into_iter()
        .map(waiting)
        .filter(|count| count.n > 0)
        .collect();
    let in_state = |state: &str| {
        n.service_states
            .iter()
            .find(|count| count.state == state)
            .map_or(0, |count| u64::try_from(count.n).unwrap_or(0))
    };
    let services: u64 = n.service_states.iter().map(|count| u64::try_from(count.n).unwrap_or(0)).sum();
    let summary = match problems.len() + more {
        0 => "nothing needs anybody; what waits goes on by itself".to_owned(),
        1 => "1 matter needs someone; the rest is quiet".to_owned(),
        count => format!("{count} matters need someone; the rest is quiet"),
    };
    let quiet = format!(
        "{} of {} in service, {} of {} active and verified on the router. {}.",
        view::count(n.onus_online),
        view::plural(n.onus, "ONU", "ONUs"),
        view::count(n.cpes_in("ACTIVE")),
        view::plural(n.cpes(), "CPE", "CPEs"),
        view::plural(n.tasks_in(&["done"]), "task done", "tasks done"),
    );
    let mut hour =
        read.timeline(TimelineSubject::All, Some(v.now.0 - 3_600_000), Page::first(200)).await?.rows;
    // What a person would tell a colleague: changes of state, people's doings, trouble; not every step.
    hour.retain(|line| {
        line.to_state.is_some()
            || matches!(line.severity.as_str(), "bad")
            || matches!(line.kind.as_str(), "operator" | "task")
    });
    hour.truncate(12);
    Ok(Data {
        oob,
        problems,
        suspended: in_state("suspended"),
        services,
        tasks: read.tasks(&open, &sort, Page::first(6)).await?.rows,
        working,
        quiet,
        olts: olts.into_iter().take(8).collect(),
        hour,
        may_olts: who.may(app::Permission::WriteOlts),
        may_audit: who.may(app::Permission::ReadAudit),
        summary,
        n,
    })
}

pub(crate) async fn show(State(ctx): State<Ctx>, who: Who, headers: HeaderMap) -> Result<Response, Fail> {
    let topics: Vec<String> =
        ["cpes", "onus", "olts", "detecteds", "tasks", "services"].map(str::to_owned).to_vec();
    let shell = Shell::new(&ctx, &who, &headers, "overview", "Overview").await?.watch(topics.clone());
    let v = ctx.view();
    let o = data(&ctx, &who, &v, false).await?;
    page(&ctx, &headers, &OverviewPage { shell, v, o, triggers: throttled(&topics) })
}

/// The overview re-reads at most every two seconds, however much happens.
fn throttled(topics: &[String]) -> String {
    triggers(topics)
        .split(", ")
        .map(|trigger| format!("{trigger} throttle:2s"))
        // Whom the ACS cuts off changes nothing that is told.
        .chain(["every 60s".to_owned()])
        .collect::<Vec<_>>()
        .join(", ")
}

pub(crate) async fn live(State(ctx): State<Ctx>, who: Who) -> Result<Response, Fail> {
    let v = ctx.view();
    let o = data(&ctx, &who, &v, true).await?;
    Ok(no_store(html(&OverviewLive { v, o })?))
}

/// The navigation as a page, for phones.
#[derive(Template)]
#[template(path = "more.html")]
struct MorePage {
    shell: Shell,
}

pub(crate) async fn more(State(ctx): State<Ctx>, who: Who, headers: HeaderMap) -> Result<Response, Fail> {
    let shell = Shell::new(&ctx, &who, &headers, "more", "More").await?;
    page(&ctx, &headers, &MorePage { shell })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(state: &str, code: &str, n: i64) -> CpeTrouble {
        CpeTrouble {
            state: state.into(),
            reason_code: code.into(),
            model: "HG8546M".into(),
            reason_text: "It is so".into(),
            reason_next: Some("by 14:05".into()),
            n,
            silent: 0,
            since: 0,
            cpe_id: 7,
            service_id: Some(9),
            service_code: None,
            customer_name: None,
        }
    }

    #[test]
    fn routers_that_cannot_be_called_need_a_look_when_they_fall_silent() {
        let v = View { now: types::UtcMs(60_000), zone: jiff::tz::TimeZone::UTC };
        let waiting = group("WAITING_INFORM", "connection_request_unreachable", 3);
        let calm = call_problem(&[&waiting], &v).expect("a problem");
        assert_eq!(calm.who, "no action needed");
        assert!(calm.text.ends_with("goes on by itself at its next contact."), "{}", calm.text);
        let silent = CpeTrouble { silent: 2, ..waiting };
        let problem = call_problem(&[&silent], &v).expect("a problem");
        assert_eq!(problem.who, "needs a look");
        assert!(
            problem.text.ends_with(
                "2 routers were expected to speak and did not: look at the line and the power there."
            ),
            "{}",
            problem.text
        );
    }

    #[test]
    fn what_waits_by_design_is_no_problem() {
        let v = View { now: types::UtcMs(60_000), zone: jiff::tz::TimeZone::UTC };
        assert!(cpe_problem(&group("WAITING_INFORM", "waiting_inform", 40), &v).is_none());
        assert!(cpe_problem(&group("OWNED", "clock_invalid", 3), &v).is_none());
        let stuck =
            cpe_problem(&group("OWNED", "clock_unreachable", 3), &v).expect("a clock that stays wrong");
        assert_eq!(stuck.s, Status::Bad);
        assert!(stuck.href.starts_with("/cpes?state=OWNED&reason=clock_unreachable"));
        let one = cpe_problem(&group("FAILED", "pppoe_refused", 1), &v).expect("a failure");
        assert_eq!(
            (one.title.as_str(), one.href.as_str()),
            ("The PPPoE login is refused, HG8546M", "/services/9")
        );
        let known = CpeTrouble {
            service_code: Some("S-10009".into()),
            customer_name: Some("عمر".into()),
            ..group("FAILED", "pppoe_refused", 1)
        };
        let one = cpe_problem(&known, &v).expect("a failure");
        assert_eq!(
            (one.title.as_str(), one.size.as_str()),
            ("The PPPoE login is refused: \u{2068}عمر\u{2069}", "S-10009")
        );
    }
}
