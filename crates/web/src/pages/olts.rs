//! OLTs: the list, one OLT, and its settings with write-only secrets.

use app::{NewOlt, OltDefaults, OltReading, PlanTraffic, Saving};
use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{
    OltFilter, OltRow, Page, PlanRow, PonPortRow, Sort, TaskFilter, TaskRow, TimelineRow, TimelineSubject,
};
use types::{OltId, Secret};

use super::{again, authorise::defaults, filled, go, page};
use crate::{
    auth::Who,
    error::Fail,
    export,
    form::Form,
    list::{ListView, Query},
    shell::Shell,
    state::Ctx,
    view::{self, Html, Status, View, Word},
    words,
};

filled!(OltForm);

#[derive(Template)]
#[template(path = "olts.html")]
struct OltsPage {
    shell: Shell,
    v: View,
    list: ListView,
    rows: Vec<OltRow>,
}

#[derive(Template)]
#[template(path = "olt.html")]
struct OltPage {
    shell: Shell,
    v: View,
    olt: OltRow,
    kind: String,
    defaults: OltDefaults,
    saving: Option<Saving>,
    ports: Vec<PonPortRow>,
    unused: Vec<PonPortRow>,
    tasks: Vec<TaskRow>,
    lines: Vec<TimelineRow>,
}

#[derive(Template)]
#[template(path = "olt_form.html")]
struct OltForm {
    shell: Shell,
    form: DefaultsForm,
    action: String,
    is_new: bool,
    numbers: [(&'static str, &'static str); 8],
    plans: Vec<PlanHere>,
}

/// A plan with its fields in the form.
struct PlanHere {
    plan: PlanRow,
    fields: Vec<(String, &'static str)>,
}

/// What a plan may get here, by its id: the beginning of a field and what it is called.
const OF_PLAN: [(&str, &str); 4] =
    [("up", "Up table"), ("down", "Down table"), ("line", "Line profile"), ("service", "Service profile")];

/// The field of a plan in the form.
fn plan_field(what: &str, plan: i64) -> String {
    format!("plan_{what}_{plan}")
}

/// The form, with the errors of the nested defaults under their plain names.
struct DefaultsForm(Form);

impl std::ops::Deref for DefaultsForm {
    type Target = Form;
    fn deref(&self) -> &Form {
        &self.0
    }
}

impl DefaultsForm {
    fn invalid_default(&self, field: &str) -> Html {
        self.0.invalid(field)
    }

    fn error_default(&self, field: &str) -> Html {
        self.0.error(field)
    }
}

const NUMBERS: [(&str, &str); 8] = [
    ("line_profile_id", "Line profile"),
    ("service_profile_id", "Service profile"),
    ("internet_vlan", "Internet VLAN"),
    ("internet_gemport", "Internet GEM port"),
    ("management_vlan", "Management VLAN"),
    ("management_gemport", "Management GEM port"),
    ("management_priority", "Management priority"),
    ("tr069_profile_id", "TR-069 profile"),
];

/// What a PON port was last seen doing; a port that is off because we want it is no trouble.
pub(crate) fn port_state(admin_state: &str, observed_state: &str) -> Word {
    match (admin_state, observed_state) {
        ("disabled", _) => Word::new(Status::Off, "Off by us"),
        (_, "up" | "online" | "working" | "active") => Word::new(Status::Ok, "Up"),
        (_, "" | "unknown") => Word::new(Status::Unknown, "Not read"),
        (_, other) => Word::new(Status::Warn, view::limited(other.replace('_', " "), 40)),
    }
}

/// How much it matters that a configuration is not saved yet.
pub(crate) fn saving_mark(saving: &Saving) -> Status {
    if saving.doubtful { Status::Warn } else { Status::Off }
}

/// What the OLT said it is.
fn kind(olt: &OltRow) -> String {
    let observed: serde_json::Value = serde_json::from_str(&olt.observed).unwrap_or_default();
    let word = |key: &str| {
        observed[key].as_str().filter(|text| !text.is_empty()).map(|text| view::limited(text, 60))
    };
    let found: Vec<String> = ["product", "family", "version"].into_iter().filter_map(word).collect();
    if found.is_empty() { olt.vendor_profile.replace('_', " ") } else { found.join(" · ") }
}

fn filter(query: &Query) -> OltFilter {
    OltFilter { q: query.get("q").into(), state: query.opt("state") }
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/olts", uri.query());
    let shell = Shell::new(&ctx, &who, &headers, "olts", "OLTs").await?.watch(["olts".to_owned()]);
    let found = ctx.read().olt_list(&filter(&query), &query.sort(), query.page()).await?;
    page(
        &ctx,
        &headers,
        &OltsPage { shell, v: ctx.view(), list: ListView::new(query, found.total), rows: found.rows },
    )
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/olts", uri.query());
    let (wanted, sort) = (filter(&query), query.sort());
    let heading = export::line(&[
        "name",
        "vendor_profile",
        "address",
        "port",
        "protocol",
        "state",
        "reason",
        "read_at",
        "onus",
        "onus_down",
        "detected",
    ])?;
    Ok(export::file("olts.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().olt_list(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    row.name,
                    row.vendor_profile,
                    row.address,
                    row.port.to_string(),
                    row.protocol,
                    row.observed_state,
                    row.observed_reason.unwrap_or_default(),
                    v.exact(row.observed_at),
                    row.onus.to_string(),
                    row.onus_down.to_string(),
                    row.detected.to_string(),
                ]
            }))
        }
    }))
}

async fn one(ctx: &Ctx, id: i64) -> Result<OltRow, Fail> {
    ctx.read().olt(id).await?.ok_or_else(|| Fail::not_found("This OLT"))
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let olt = one(&ctx, id).await?;
    let shell = Shell::new(&ctx, &who, &headers, "olts", &olt.name)
        .await?
        .crumb("OLTs", "/olts")
        .watch([format!("olt-{id}"), "tasks".to_owned()]);
    let filter = TaskFilter { olt_id: Some(id), ..TaskFilter::default() };
    let tasks = ctx.read().tasks(&filter, &Sort::default(), Page::first(8)).await?.rows;
    let mut ports = ctx.read().pon_ports(id).await?;
    let place = |port: &PonPortRow| {
        port.pon.split('/').map(|part| part.parse().unwrap_or(u32::MAX)).collect::<Vec<u32>>()
    };
    ports.sort_by_key(&place);
    let (ports, unused) = ports.into_iter().partition::<Vec<_>, _>(|port| {
        port.onus > 0
            || port.detected > 0
            || port.observed_problem.is_some()
            || port_state(&port.admin_state, &port.observed_state).s != Status::Ok
    });
    let lines = ctx.read().timeline(TimelineSubject::Olt(id), None, Page::first(14)).await?.rows;
    let shown = OltPage {
        unused,
        shell,
        v: ctx.view(),
        kind: kind(&olt),
        defaults: defaults(&olt.defaults),
        saving: ctx.app().saving(OltId(id)).await?,
        olt,
        ports,
        tasks,
        lines,
    };
    page(&ctx, &headers, &shown)
}

async fn draw(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    form: Form,
    id: Option<i64>,
) -> Result<OltForm, Fail> {
    let title = if id.is_some() { "Change OLT" } else { "Add an OLT" };
    let shell = Shell::new(ctx, who, headers, "olts", title).await?.crumb("OLTs", "/olts");
    let action = id.map_or_else(|| "/olts".to_owned(), |id| format!("/olts/{id}/edit"));
    let mut plans = ctx.read().plans().await?;
    // A plan that is no longer sold is shown where it has something, so that it can be taken away.
    plans.retain(|plan| {
        plan.active || OF_PLAN.iter().any(|(what, _)| !form.val(&plan_field(what, plan.id)).is_empty())
    });
    let plans = plans
        .into_iter()
        .map(|plan| {
            let fields = OF_PLAN.iter().map(|(what, label)| (plan_field(what, plan.id), *label)).collect();
            PlanHere { plan, fields }
        })
        .collect();
    Ok(OltForm { shell, form: DefaultsForm(form), action, is_new: id.is_none(), numbers: NUMBERS, plans })
}

fn fill_defaults(form: &mut Form, d: &OltDefaults) {
    form.set("line_profile_id", d.line_profile_id)
        .set("service_profile_id", d.service_profile_id)
        .set("internet_vlan", d.internet_vlan)
        .set("internet_gemport", d.internet_gemport)
        .set("management_vlan", d.management_vlan)
        .set("management_gemport", d.management_gemport)
        .set("management_priority", d.management_priority)
        .set("tr069_profile_id", d.tr069_profile_id)
        .set("untagged_models", d.untagged_models.join(", "));
    let text = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
    form.set("default_up", text(d.default_traffic.map(|(up, _)| up)))
        .set("default_down", text(d.default_traffic.map(|(_, down)| down)));
    for of in &d.plan_traffic {
        for (what, number) in [
            ("up", of.up_table),
            ("down", of.down_table),
            ("line", of.line_profile_id),
            ("service", of.service_profile_id),
        ] {
            form.set(&plan_field(what, of.plan_id), text(number));
        }
    }
}

/// The traffic tables and profiles of plans in the form. A plan that the form does not have keeps what it has.
fn plan_traffic(form: &mut Form, old: &[PlanTraffic]) -> Vec<PlanTraffic> {
    let mut plans: Vec<i64> =
        form.names().filter_map(|name| name.strip_prefix("plan_up_")?.parse().ok()).collect();
    plans.sort_unstable();
    plans.dedup();
    let mut found: Vec<PlanTraffic> = old.iter().filter(|of| !plans.contains(&of.plan_id)).copied().collect();
    for plan_id in plans {
        let mut number = |what| form.optional_number(&plan_field(what, plan_id));
        let of = PlanTraffic {
            plan_id,
            up_table: number("up"),
            down_table: number("down"),
            line_profile_id: number("line"),
            service_profile_id: number("service"),
        };
        if of.up_table.is_some() != of.down_table.is_some() {
            let missing = if of.up_table.is_none() { "up" } else { "down" };
            form.wrong(&plan_field(missing, plan_id), "is missing beside the other one.");
        }
        found.extend(Some(of).filter(|of| !of.is_empty()));
    }
    found
}

/// The traffic tables where no plan says otherwise; as they are where the form does not have them.
fn default_traffic(form: &mut Form, old: Option<(u32, u32)>) -> Option<(u32, u32)> {
    if form.all("default_up").is_empty() {
        return old;
    }
    let (up, down): (Option<u32>, Option<u32>) =
        (form.optional_number("default_up"), form.optional_number("default_down"));
    if up.is_some() != down.is_some() {
        form.wrong(
            if up.is_none() { "default_up" } else { "default_down" },
            "is missing beside the other one.",
        );
    }
    up.zip(down)
}

pub(crate) async fn new(State(ctx): State<Ctx>, who: Who, headers: HeaderMap) -> Result<Response, Fail> {
    let mut form = Form::default();
    form.set("protocol", "ssh").set("port", 22).set("snmp_port", 161).set("enabled", "1");
    fill_defaults(&mut form, &OltDefaults::default());
    page(&ctx, &headers, &draw(&ctx, &who, &headers, form, None).await?)
}

/// The OLT of the form; what the form does not have stays as it is.
fn input(form: &mut Form, old: Option<&OltDefaults>) -> Option<NewOlt> {
    let kept = old.cloned().unwrap_or_default();
    let protocol = form.val("protocol").parse().ok();
    if protocol.is_none() {
        form.wrong("protocol", "is neither ssh nor telnet.");
    }
    let olt = NewOlt {
        name: form.val("name").trim().to_owned(),
        vendor_profile: form.opt("vendor_profile").unwrap_or_else(|| "huawei_smartax".to_owned()),
        address: form.val("address").trim().to_owned(),
        port: form.number("port"),
        protocol: protocol.unwrap_or_default(),
        username: form.val("username").trim().to_owned(),
        password: form.opt("password").map(Secret::new),
        legacy_algorithms: form.is_on("legacy_algorithms"),
        snmp_community: form.opt("snmp_community").map(Secret::new),
        snmp_port: form.number("snmp_port"),
        defaults: OltDefaults {
            line_profile_id: form.number("line_profile_id"),
            service_profile_id: form.number("service_profile_id"),
            internet_vlan: form.number("internet_vlan"),
            internet_gemport: form.number("internet_gemport"),
            management_vlan: form.number("management_vlan"),
            management_gemport: form.number("management_gemport"),
            management_priority: form.number("management_priority"),
            tr069_profile_id: form.number("tr069_profile_id"),
            default_traffic: default_traffic(form, kept.default_traffic),
            plan_traffic: plan_traffic(form, &kept.plan_traffic),
            untagged_models: models(form.val("untagged_models")),
        },
    };
    (!form.has_errors()).then_some(olt)
}

fn models(typed: &str) -> Vec<String> {
    typed.split(',').map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// What was typed comes back, but never a secret.
fn forget_secrets(form: &mut Form) {
    form.set("password", "").set("snmp_community", "");
}

pub(crate) async fn create(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    mut form: Form,
) -> Result<Response, Fail> {
    if let Some(olt) = input(&mut form, None) {
        match ctx.app().add_olt(&who.actor, olt).await {
            Ok(id) => {
                return Ok(go(
                    &ctx,
                    &format!("/olts/{id}"),
                    Status::Ok,
                    "OLT added",
                    "It is being read; nothing is written to it.",
                ));
            }
            Err(error) => form.take(error.into()),
        }
    }
    forget_secrets(&mut form);
    again(&draw(&ctx, &who, &headers, form, None).await?)
}

pub(crate) async fn edit(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let olt = one(&ctx, id).await?;
    let mut form = Form::default();
    form.set("name", &olt.name)
        .set("vendor_profile", &olt.vendor_profile)
        .set("address", &olt.address)
        .set("port", olt.port)
        .set("protocol", &olt.protocol)
        .set("username", &olt.username)
        .set("legacy_algorithms", if olt.legacy_algorithms { "1" } else { "" })
        .set("snmp_port", olt.snmp_port)
        .set("enabled", if olt.admin_state == "disabled" { "" } else { "1" });
    fill_defaults(&mut form, &defaults(&olt.defaults));
    page(&ctx, &headers, &draw(&ctx, &who, &headers, form, Some(id)).await?)
}

pub(crate) async fn change(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    let old = defaults(&one(&ctx, id).await?.defaults);
    if let Some(olt) = input(&mut form, Some(&old)) {
        let enabled = form.is_on("enabled");
        match ctx.app().update_olt(&who.actor, OltId(id), olt, enabled).await {
            Ok(()) => {
                return Ok(go(
                    &ctx,
                    &format!("/olts/{id}"),
                    Status::Ok,
                    "Saved",
                    "Nothing was written to the OLT.",
                ));
            }
            Err(error) => form.take(error.into()),
        }
    }
    forget_secrets(&mut form);
    again(&draw(&ctx, &who, &headers, form, Some(id)).await?)
}

pub(crate) async fn test(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let to = format!("/olts/{id}");
    Ok(match ctx.app().test_olt(&who.actor, OltId(id)).await {
        Ok(tried) if tried.ok => go(&ctx, &to, Status::Ok, "The login works", tried.text),
        Ok(tried) => go(&ctx, &to, Status::Bad, "The login does not work", tried.text),
        Err(error) => {
            let fail = Fail::from(error);
            go(&ctx, &to, Status::Bad, fail.title, fail.detail)
        }
    })
}

pub(crate) async fn save(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let to = format!("/olts/{id}");
    Ok(match ctx.app().order_save(&who.actor, OltId(id)).await {
        Ok(()) => go(
            &ctx,
            &to,
            Status::Ok,
            "Ordered",
            "The OLT saves its configuration when nothing was changed for a minute; how it ended is shown here.",
        ),
        Err(error) => {
            let fail = Fail::from(error);
            go(&ctx, &to, Status::Bad, fail.title, fail.detail)
        }
    })
}

pub(crate) async fn refresh(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let to = format!("/olts/{id}");
    Ok(match crate::backend::read_olt(ctx.app(), &who.actor, OltId(id)).await {
        Ok(reading) => {
            let (s, title, text) = read_words(reading, &one(&ctx, id).await?, &ctx.view());
            go(&ctx, &to, s, title, text)
        }
        Err(error) => {
            let fail = Fail::from(error);
            go(&ctx, &to, Status::Bad, fail.title, fail.detail)
        }
    })
}

/// What to say of a reading that somebody asked for.
pub(crate) fn read_words(reading: OltReading, olt: &OltRow, v: &View) -> (Status, &'static str, String) {
    let last = match olt.observed_at {
        Some(at) => format!("What is shown was read {} ago", v.since(at)),
        None => "It was never read".to_owned(),
    };
    match reading {
        OltReading::Read => (Status::Ok, "Read", "The values below are new.".to_owned()),
        OltReading::Silent { why } if why.is_empty() => {
            (Status::Bad, "The OLT does not answer", "No reason was recorded.".to_owned())
        }
        OltReading::Silent { why } => (Status::Bad, "The OLT does not answer", why),
        OltReading::Elsewhere { node } => (
            Status::Info,
            "Not read by this node",
            format!("{last}; node {} works on this OLT and reads it by itself.", view::limited(node, 80)),
        ),
        OltReading::Dropped => (
            Status::Info,
            "Not read",
            format!("{last}. Another node took this OLT over meanwhile and reads it by itself."),
        ),
        OltReading::SwitchedOff => {
            (Status::Warn, "Not read", "This OLT is switched off in its settings.".to_owned())
        }
    }
}

pub(crate) async fn forget_key(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let result = ctx.app().forget_host_key(&who.actor, OltId(id)).await;
    Ok(super::went(
        &ctx,
        &format!("/olts/{id}"),
        "Host key forgotten",
        "The next one it shows is pinned.",
        result,
    ))
}
