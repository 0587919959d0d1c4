//! The service page: the first blocking cause on top, the path from account to hosts, what is wanted and what was
//! found, and why everything is as it is.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{CpeRow, OnuRow, Page, ServiceRow, TimelineRow, TimelineSubject};

use super::{
    Filled, again, html, no_store, page,
    service_dialogs::Dialogs,
    service_found::{Group, LayerView, MODES, Wanted, Wishes, groups, layers},
};
use crate::{
    auth::Who,
    error::Fail,
    form::Form,
    list::Query,
    proof::Proof,
    shell::{Shell, triggers},
    state::Ctx,
    view::{self, Html, Status, View, Word},
    words,
};

/// What stands in the way, and what can be done.
struct Cause {
    s: Status,
    lead: String,
    title: String,
    text: String,
    next: String,
    can_call: bool,
    can_retry: bool,
    href: String,
    verb: &'static str,
}

/// One place between account and hosts.
struct Node {
    name: &'static str,
    word: Word,
    lines: Vec<String>,
    age: Html,
    lit: bool,
    stop: bool,
}

struct Data {
    oob: bool,
    every: bool,
    v: View,
    row: ServiceRow,
    onu: Option<OnuRow>,
    cpe: Option<CpeRow>,
    now: Word,
    cause: Option<Cause>,
    path: Vec<Node>,
    layers: Vec<LayerView>,
    groups: Vec<Group>,
    not_read: String,
    lines: Vec<TimelineRow>,
    held: bool,
    may_cpe: bool,
    may_service: bool,
    /// Its ONU is ours, and the person may replace it.
    may_replace: bool,
    takes_effect: String,
    /// What somebody answers for, so that the router goes on all the same.
    answered: Vec<super::cpes::Answered>,
    phone_digits: String,
    token: Html,
}

impl Data {
    fn icon(&self, name: &str) -> Html {
        view::icon(name)
    }

    /// The heading offers a call unless the cause does.
    fn head_call(&self) -> bool {
        self.may_cpe && self.cpe.is_some() && !self.cause.as_ref().is_some_and(|cause| cause.can_call)
    }

    /// Only a device that waits to try again has anything to try.
    fn head_retry(&self) -> bool {
        let failed = self.cpe.as_ref().is_some_and(|cpe| cpe.state == "FAILED");
        self.may_cpe && failed && !self.cause.as_ref().is_some_and(|cause| cause.can_retry)
    }
}

#[derive(Template)]
#[template(path = "service.html")]
struct ServicePage {
    shell: Shell,
    s: Data,
    triggers: String,
    wanted: Wanted,
    modes: [(&'static str, &'static str); 4],
    dialogs: Dialogs,
    /// May have new passwords made, and there is something to make them for.
    may_renew: bool,
}

impl Filled for ServicePage {
    fn form(&self) -> &Form {
        self.dialogs.refusal()
    }
}

#[derive(Template)]
#[template(path = "service/live.html")]
struct ServiceLive {
    s: Data,
}

/// True if an operator stopped the device.
pub(crate) fn is_held(cpe: &CpeRow) -> bool {
    cpe.reason_code == "held"
        || serde_json::from_str::<serde_json::Value>(&cpe.machine)
            .is_ok_and(|machine| !machine["hold"].is_null() && machine["hold"] != false)
}

/// The OLT says that nothing passes.
fn is_down(presence: &str) -> bool {
    matches!(presence, "not_present" | "emergency_stopped")
}

/// What a browser dials.
pub(crate) fn phone_digits(phone: &str) -> String {
    phone.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect()
}

/// The first thing in the way, walking from the account to the router; `None` when the service works and is verified.
fn cause(
    row: &ServiceRow,
    onu: Option<&OnuRow>,
    cpe: Option<&CpeRow>,
    proof: &Proof,
    changing: &[&'static str],
    v: &View,
) -> Option<Cause> {
    let base = |s, lead: &str, title: &str| Cause {
        s,
        lead: lead.to_owned(),
        title: title.to_owned(),
        text: String::new(),
        next: String::new(),
        can_call: false,
        can_retry: false,
        href: String::new(),
        verb: "",
    };
    match row.state.as_str() {
        "terminated" => {
            let (text, href, verb) = match onu {
                Some(onu) if onu.removed_at.is_none() => (
                    format!(
                        "Nothing is sent to its devices. Its ONU {} is still on {} {}: remove it when nobody needs the \
                         line.",
                        view::serial(&onu.serial),
                        onu.olt_name,
                        onu.pon
                    ),
                    format!("/onus/{}/change?do=remove", onu.id),
                    "Remove ONU…",
                ),
                _ => ("Nothing is sent to its devices.".to_owned(), String::new(), ""),
            };
            return Some(Cause {
                text,
                href,
                verb,
                ..base(Status::Off, "At the account", "The service has ended")
            });
        }
        "suspended" => {
            let why = row.deny_reason.as_deref().unwrap_or("no reason given").replace('_', " ");
            let off = proof.in_force("internet");
            let proved = match cpe {
                Some(_) if off => "The router has confirmed that its internet connection is off.".to_owned(),
                Some(cpe) => {
                    format!("Not confirmed by the router yet, it may still be connected: {}", awaited(cpe, v))
                }
                None => "No router is tied to it.".to_owned(),
            };
            return Some(Cause {
                text: format!("Reason: {why}. {proved}"),
                next: "Nothing was deleted; resuming is one write.".into(),
                can_call: cpe.is_some() && !off,
                ..base(Status::Off, "First blocking cause, at the account", "The service is suspended")
            });
        }
        _ => {}
    }
    let Some(onu) = onu else {
        let text = match &row.expected_serial {
            Some(serial) => format!(
                "It waits for {}. When an OLT sees that serial, it appears on the Detected page with this service beside it.",
                view::serial(serial)
            ),
            None => "No serial is expected. Pick this service when its ONU is authorised.".to_owned(),
        };
        return Some(Cause {
            text,
            href: "/detected".into(),
            verb: "Detected ONUs",
            ..base(
                Status::Info,
                "First blocking cause, at the line",
                "No ONU is authorised for this service yet",
            )
        });
    };
    let up = words::onu_presence(&onu.presence, onu.last_down_cause.as_deref());
    if is_down(&onu.presence) {
        let (title, next) = match up.s {
            Status::Warn => ("The ONU lost its power", "Ask the customer for power before sending anybody."),
            Status::Bad => (
                "The ONU has no light",
                "A visit may be needed; look whether its neighbours on the PON are down too.",
            ),
            Status::Ok | Status::Wait | Status::Info | Status::Off | Status::Unknown => {
                ("The ONU is down", "The OLT has not said why yet.")
            }
        };
        return Some(Cause {
            text: format!("{} as read by the OLT {} ago.", up.text, v.since(onu.observed_at)),
            next: next.into(),
            href: format!("/onus?olt={}&pon={}", onu.olt_id, crate::list::encode(&onu.pon)),
            verb: "Neighbours on the PON",
            ..base(
                if up.s == Status::Unknown { Status::Bad } else { up.s },
                "First blocking cause, at the ONU",
                title,
            )
        });
    }
    let Some(cpe) = cpe else {
        return Some(Cause {
            text: "The line is there, but no router has called us from it.".into(),
            next: "The ONU gets its management address and our address from the OLT; the first contact usually comes within a minute.".into(),
            ..base(Status::Wait, "First blocking cause, at the CPE", "The router has not been in contact yet")
        });
    };
    if cpe.state == "ACTIVE" && changing.is_empty() {
        return None;
    }
    if cpe.state == "ACTIVE" {
        return Some(Cause {
            text: format!("Not confirmed: {}; {}", changing.join(", "), awaited(cpe, v)),
            can_call: true,
            ..base(
                Status::Wait,
                "First blocking cause, at the CPE",
                "A change is not confirmed by the router yet",
            )
        });
    }
    let word = words::cpe_now(&cpe.state, &cpe.reason_code);
    let known = words::reason_title(&cpe.reason_code);
    Some(Cause {
        text: cpe.reason_text.clone(),
        // It may be an operator's turn, so it does not promise to happen by itself.
        next: cpe.reason_next.clone().map_or_else(String::new, |next| format!("Next: {next}")),
        can_call: matches!(
            cpe.state.as_str(),
            "WAITING_INFORM" | "OWNED" | "TIME_SYNCED" | "READY" | "PROVISIONING"
        ),
        can_retry: cpe.state == "FAILED",
        ..base(word.s, "First blocking cause, at the CPE", if known.is_empty() { &word.text } else { known })
    })
}

/// What we wait for until a change counts.
fn awaited(cpe: &CpeRow, v: &View) -> String {
    // An active device has nothing to say about what it was not told yet.
    if cpe.state != "ACTIVE" && !cpe.reason_text.is_empty() {
        return cpe.reason_text.clone();
    }
    match cpe.next_inform_by {
        Some(by) => format!("it is told at its next contact, {}.", v.contact(by)),
        None => "it is told at its next contact.".to_owned(),
    }
}

fn is_address(setting: &str) -> bool {
    matches!(
        setting.to_lowercase().replace('_', " ").as_str(),
        "address" | "external ip" | "external address"
    )
}

fn path(row: &ServiceRow, onu: Option<&OnuRow>, cpe: Option<&CpeRow>, proof: &Proof, v: &View) -> Vec<Node> {
    let account_ok =
        !matches!(row.state.as_str(), "suspended" | "terminated") && row.access_state == "allowed";
    let account = if account_ok {
        Word::new(Status::Ok, "Allowed")
    } else if row.state == "suspended" {
        Word::new(Status::Off, "Suspended")
    } else {
        words::service_state(&row.state)
    };
    let mut account_lines = vec![row.plan_name.clone()];
    account_lines.extend(row.deny_reason.as_ref().map(|why| why.replace('_', " ")));
    let onu_up = onu.is_some_and(|onu| onu.presence == "in_service");
    let onu_word = onu.map_or_else(
        || Word::new(Status::Unknown, "None yet"),
        |onu| words::onu_presence(&onu.presence, onu.last_down_cause.as_deref()),
    );
    let cpe_active = cpe.is_some_and(|cpe| cpe.state == "ACTIVE");
    let cpe_word = cpe.map_or_else(
        || Word::new(Status::Unknown, "Never in contact"),
        |cpe| words::cpe_now(&cpe.state, &cpe.reason_code),
    );
    let address = proof.evidence.iter().find(|fact| fact.layer == "internet" && is_address(&fact.setting));
    let line_down = onu.is_some_and(|onu| is_down(&onu.presence));
    let in_force = proof.in_force("internet");
    let session = match (row.state.as_str(), in_force, address) {
        ("terminated", _, _) => Word::new(Status::Off, "Off"),
        ("suspended", true, _) => Word::new(Status::Off, "Off, suspended"),
        ("suspended", false, _) if cpe.is_none() => Word::new(Status::Off, "Off, suspended"),
        ("suspended", false, _) => Word::new(Status::Wait, "Not confirmed off"),
        _ if line_down => Word::new(Status::Unknown, "Line down"),
        (_, true, Some(fact)) if fact.verified => Word::new(Status::Ok, "Connected"),
        (_, false, Some(_)) => Word::new(Status::Wait, "Not confirmed"),
        _ => Word::new(Status::Unknown, "Not read yet"),
    };
    let mut session_lines: Vec<String> =
        row.pppoe_login.iter().map(|login| format!("Login {login}")).collect();
    session_lines.extend(address.filter(|fact| !fact.observed.is_empty()).map(|fact| {
        let observed = view::limited(&fact.observed, 60);
        if session.s == Status::Ok { observed } else { format!("last read {observed}") }
    }));
    let connected = session.s == Status::Ok;
    let read = |at: Option<i64>| v.age(at, "CLI", 300);
    let first_stop = if !account_ok {
        0
    } else if !onu_up {
        3
    } else if !cpe_active {
        4
    } else {
        9
    };
    let node = |index: usize, name, word: Word, lines, age, lit| Node {
        name,
        word,
        lines,
        age,
        lit,
        stop: index == first_stop,
    };
    vec![
        node(0, "Account", account, account_lines, Html::default(), account_ok && connected),
        node(
            1,
            "Access session",
            session,
            session_lines,
            address.map_or_else(Html::default, |fact| v.age(fact.at, "on the router", 0)),
            connected && onu_up,
        ),
        node(
            2,
            "PON",
            match onu {
                Some(_) if onu_up => Word::new(Status::Ok, "Carries light"),
                Some(_) => Word::new(Status::Unknown, "See neighbours"),
                None => Word::new(Status::Unknown, "Not known"),
            },
            onu.map(|onu| vec![format!("{} {}", onu.olt_name, onu.pon)]).unwrap_or_default(),
            onu.map_or_else(Html::default, |onu| read(onu.observed_at)),
            onu_up,
        ),
        node(
            3,
            "ONU",
            onu_word,
            onu.map(|onu| {
                let mut lines = vec![view::serial(&onu.serial)];
                lines.extend(onu.rx_onu_cdbm.map(|level| format!("{} dBm here", view::decibel(level))));
                lines
            })
            .unwrap_or_else(|| {
                row.expected_serial.iter().map(|serial| format!("expects {}", view::serial(serial))).collect()
            }),
            onu.map_or_else(Html::default, |onu| read(onu.observed_at)),
            onu_up && cpe_active,
        ),
        node(
            4,
            "CPE",
            cpe_word,
            cpe.map(|cpe| {
                let mut lines = vec![view::limited(&cpe.model, 40)];
                if cpe.state != "ACTIVE" {
                    lines.extend(cpe.next_inform_by.map(|at| format!("Next contact {}", v.contact(at))));
                }
                lines
            })
            .unwrap_or_default(),
            cpe.map_or_else(Html::default, |cpe| {
                v.age(cpe.last_inform_at, "last Inform", cpe.inform_interval_s.unwrap_or(300) * 2)
            }),
            false,
        ),
        node(
            5,
            "Hosts",
            Word::new(Status::Unknown, "Not read"),
            vec!["This is not “no hosts”".into()],
            Html::default(),
            false,
        ),
    ]
}

async fn data(ctx: &Ctx, who: &Who, id: i64, oob: bool, every: bool) -> Result<Data, Fail> {
    let read = ctx.read();
    let v = ctx.view();
    let row = read.service(id).await?.ok_or_else(|| Fail::not_found("This service"))?;
    let onu = match row.onu_row_id {
        Some(onu) => read.onu(onu).await?,
        None => None,
    };
    let cpe = match row.cpe_id {
        Some(cpe) => read.cpe(cpe).await?,
        None => None,
    };
    let wishes = Wishes::of(ctx, id).await?;
    let proof = match &cpe {
        Some(cpe) => Proof::of(ctx, cpe, &wishes.rows).await?,
        None => Proof::none(),
    };
    let changing = wishes.changing(&proof);
    let subject = TimelineSubject::Service { id, onu_row_id: row.onu_row_id, cpe_id: row.cpe_id };
    let lines = read.timeline(subject, None, Page::first(200)).await?.rows;
    let lines = if every { lines } else { crate::timeline::fold(lines).into_iter().take(40).collect() };
    let cause = cause(&row, onu.as_ref(), cpe.as_ref(), &proof, &changing, &v);
    let now = match (&cause, row.state.as_str(), &cpe) {
        (_, "suspended" | "terminated", _) => words::service_state(&row.state),
        (None, _, Some(cpe)) => words::cpe_state(&cpe.state),
        (Some(_), _, Some(cpe)) if cpe.state != "ACTIVE" => words::cpe_now(&cpe.state, &cpe.reason_code),
        (Some(cause), _, Some(_)) if onu.as_ref().is_none_or(|onu| is_down(&onu.presence)) => {
            Word::new(cause.s, "Line down")
        }
        (Some(cause), _, Some(_)) => Word::new(cause.s, "Change not confirmed"),
        (_, _, None) => words::service_state(&row.state),
    };
    let takes_effect = match &cpe {
        Some(cpe) if cpe.next_inform_by.is_some() => {
            format!(
                "It reaches the router at its next contact, {}, or at once if it answers our call.",
                v.contact(cpe.next_inform_by)
            )
        }
        Some(_) => "It reaches the router at its next contact.".to_owned(),
        None => "It is kept until a router is tied to this service.".to_owned(),
    };
    let may_replace = who.may(app::Permission::AuthoriseOnu)
        && onu.as_ref().is_some_and(|onu| onu.authorised_at.is_some() && onu.removed_at.is_none());
    Ok(Data {
        oob,
        every,
        path: path(&row, onu.as_ref(), cpe.as_ref(), &proof, &v),
        layers: layers(&wishes, &proof, cpe.as_ref()),
        groups: groups(&wishes, &proof, cpe.as_ref(), &v),
        not_read: match &cpe {
            Some(_) => "Settings appear here as they are written and read back, one by one.".into(),
            None => "The first reading follows the router's first contact.".into(),
        },
        lines,
        held: cpe.as_ref().is_some_and(is_held),
        may_cpe: who.may(app::Permission::OperateCpe),
        may_service: who.may(app::Permission::WriteServices),
        may_replace,
        takes_effect,
        answered: cpe.as_ref().map(|cpe| super::cpes::answered(ctx, cpe, &v)).unwrap_or_default(),
        phone_digits: phone_digits(&row.customer_phone),
        token: who.token_field(),
        cause,
        now,
        v,
        row,
        onu,
        cpe,
    })
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    page(&ctx, &headers, &draw(&ctx, &who, &headers, id, wants_every_line(&uri), None).await?)
}

/// The page with the dialog open whose form was refused.
pub(super) async fn refused(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    id: i64,
    dialog: &'static str,
    form: Form,
) -> Result<Response, Fail> {
    again(&draw(ctx, who, headers, id, false, Some((dialog, form))).await?)
}

async fn draw(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    id: i64,
    every: bool,
    refused: Option<(&'static str, Form)>,
) -> Result<ServicePage, Fail> {
    let row = ctx.read().service(id).await?.ok_or_else(|| Fail::not_found("This service"))?;
    let mut topics = vec![format!("service-{id}")];
    topics.extend(row.cpe_id.map(|cpe| format!("cpe-{cpe}")));
    topics.extend(row.onu_row_id.map(|onu| format!("onu-{onu}")));
    let shell = Shell::new(ctx, who, headers, "services", &row.code)
        .await?
        .crumb("Services", "/services")
        .crumb(row.customer_name.clone(), format!("/customers/{}", row.customer_id))
        .watch(topics.clone());
    let s = data(ctx, who, id, false, every).await?;
    let wishes = Wishes::of(ctx, id).await?;
    let wanted = wishes.for_forms();
    let dialogs = Dialogs::of_service(&s.row, &wishes);
    let dialogs = match refused {
        Some((dialog, form)) => dialogs.refused(dialog, form),
        None => dialogs,
    };
    let may_renew = who.may(app::Permission::RenewSecrets)
        && s.row.state != "terminated"
        && (wanted.mode == "pppoe" || !wanted.wifi_name.is_empty());
    let triggers = triggers(&topics);
    Ok(ServicePage { shell, s, triggers, wanted, modes: MODES, dialogs, may_renew })
}

/// `?all=1`: the timeline with every single step.
pub(crate) fn wants_every_line(uri: &Uri) -> bool {
    Query::parse("", uri.query()).get("all") == "1"
}

pub(crate) async fn live(
    State(ctx): State<Ctx>,
    who: Who,
    uri: Uri,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let every = wants_every_line(&uri);
    Ok(no_store(html(&ServiceLive { s: data(&ctx, &who, id, true, every).await? })?))
}
