//! Removing, moving or replacing an ONU that we authorised: one form, the exact lines before anything is sent, then a
//! task.

use app::OnuChange;
use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{DetectedFilter, DetectedRow, OnuFilter, OnuRow, Page, Sort};
use types::{OnuRowId, Serial};

use super::{again, authorise::DryRunPart, filled, go, html, no_store, page};
use crate::{
    auth::Who,
    error::Fail,
    form::Form,
    shell::Shell,
    state::Ctx,
    view::{self, Status, View},
};

/// What the page is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Remove,
    Move,
    Replace,
}

impl What {
    fn of(form: &Form) -> Self {
        match form.val("do") {
            "move" => What::Move,
            "replace" => What::Replace,
            _ => What::Remove,
        }
    }

    fn key(self) -> &'static str {
        match self {
            What::Remove => "remove",
            What::Move => "move",
            What::Replace => "replace",
        }
    }

    fn title(self) -> &'static str {
        match self {
            What::Remove => "Remove",
            What::Move => "Move",
            What::Replace => "Replace",
        }
    }

    /// What becomes of the OLT if a line is refused.
    fn if_refused(self) -> &'static str {
        match self {
            What::Remove => {
                "If a line is refused, the task stops, says which lines are left, and waits for somebody."
            }
            What::Move | What::Replace => {
                "The old place is cleared first. If a line is refused then, the old ONU is put back as it was."
            }
        }
    }
}

#[derive(Template)]
#[template(path = "onu_change.html")]
struct ChangePage {
    shell: Shell,
    v: View,
    row: OnuRow,
    what: What,
    form: Form,
    /// Detected ONUs on its port; of a move, where it is seen itself.
    seen: Vec<DetectedRow>,
    /// Other ONUs of services on its port without light: perhaps it is one of those that goes.
    dark: Vec<OnuRow>,
}

filled!(ChangePage);

impl ChangePage {
    fn is(&self, key: &str) -> bool {
        self.what.key() == key
    }
}

/// Detected ONUs and dark ones offered; the rest is found by its page.
const OFFERED: u32 = 50;

async fn onu(ctx: &Ctx, id: i64) -> Result<OnuRow, Fail> {
    ctx.read().onu(id).await?.ok_or_else(|| Fail::not_found("This ONU"))
}

async fn draw(
    ctx: &Ctx,
    who: &Who,
    headers: &HeaderMap,
    row: OnuRow,
    mut form: Form,
) -> Result<ChangePage, Fail> {
    let what = What::of(&form);
    let shell = Shell::new(ctx, who, headers, "onus", what.title())
        .await?
        .crumb("ONUs", "/onus")
        .crumb(view::serial(&row.serial), format!("/onus/{}", row.id));
    let read = ctx.read();
    let here = DetectedFilter { olt_id: Some(row.olt_id), ..DetectedFilter::default() };
    let seen = match what {
        What::Remove => Vec::new(),
        What::Move => {
            let filter = DetectedFilter { q: row.serial.clone(), ..here };
            let mut seen = read.detected_onus(&filter, &Sort::default(), Page::first(OFFERED)).await?.rows;
            seen.retain(|found| found.pon != row.pon);
            seen
        }
        What::Replace => {
            let mut seen = read.detected_onus(&here, &Sort::default(), Page::first(OFFERED)).await?.rows;
            // One that another service waits for is not offered: it would be refused.
            seen.retain(|found| {
                let is_free = found.service_id.is_none_or(|service| Some(service) == row.service_id);
                found.pon == row.pon && found.onu_row_id.is_none() && is_free
            });
            seen
        }
    };
    let dark = if what == What::Replace {
        let filter = OnuFilter {
            olt_id: Some(row.olt_id),
            pon: Some(row.pon.clone()),
            presence: Some("not_present".into()),
            ..OnuFilter::default()
        };
        let mut dark = read.onus(&filter, &Sort::default(), Page::first(OFFERED)).await?.rows;
        dark.retain(|other| {
            other.id != row.id && other.service_id.is_some() && other.authorised_at.is_some()
        });
        dark
    } else {
        Vec::new()
    };
    // The only one there is is meant, unless somebody says otherwise.
    if let [only] = seen.as_slice() {
        match what {
            What::Move if form.val("pon").is_empty() => {
                form.set("pon", &only.pon);
            }
            What::Replace if form.val("serial").is_empty() => {
                form.set("serial", view::serial(&only.serial));
            }
            What::Remove | What::Move | What::Replace => {}
        }
    }
    if let Some(serial) = form.opt("serial") {
        form.set("serial", view::serial(&serial));
    }
    Ok(ChangePage { shell, v: ctx.view(), row, what, form, seen, dark })
}

/// What the form asks for; what is wrong with it is noted in the form.
fn change(form: &mut Form) -> Option<OnuChange> {
    match What::of(form) {
        What::Remove => Some(OnuChange::Remove),
        What::Move => match form.val("pon").trim().parse() {
            Ok(pon) => Some(OnuChange::Move { pon }),
            Err(_) => {
                let text =
                    format!("{:?} is no port; one is frame/slot/port, as 0/1/5.", form.val("pon").trim());
                form.wrong("pon", text);
                None
            }
        },
        What::Replace => match form.val("serial").trim().parse::<Serial>() {
            Ok(serial) => Some(OnuChange::Replace {
                serial,
                untagged: match form.val("side") {
                    "tagged" => Some(false),
                    "untagged" => Some(true),
                    _ => None,
                },
            }),
            Err(_) => {
                let text = format!(
                    "{:?} is no PON serial number: 4 letters and 8 hex digits, or 16 hex digits.",
                    form.val("serial").trim()
                );
                form.wrong("serial", text);
                None
            }
        },
    }
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    uri: Uri,
) -> Result<Response, Fail> {
    let form = Form::parse(uri.query().unwrap_or_default());
    let row = onu(&ctx, id).await?;
    page(&ctx, &headers, &draw(&ctx, &who, &headers, row, form).await?)
}

pub(crate) async fn dry_run(
    State(ctx): State<Ctx>,
    who: Who,
    Path(id): Path<i64>,
    uri: Uri,
) -> Result<Response, Fail> {
    let mut form = Form::parse(uri.query().unwrap_or_default());
    onu(&ctx, id).await?;
    let missing = match What::of(&form) {
        What::Move if form.opt("pon").is_none() => {
            Some("Say to which port; the dry run then shows every line.")
        }
        What::Replace if form.opt("serial").is_none() => {
            Some("Say which ONU comes; the dry run then shows every line.")
        }
        What::Remove | What::Move | What::Replace => None,
    };
    if let Some(missing) = missing {
        return Ok(no_store(html(&DryRunPart::problem(Status::Info, missing))?));
    }
    let Some(change) = change(&mut form) else {
        let text = "A field is not acceptable; the dry run follows when it is.";
        return Ok(no_store(html(&DryRunPart::problem(Status::Warn, text))?));
    };
    Ok(no_store(match ctx.app().dry_run_change(&who.actor, OnuRowId(id), &change).await {
        Ok(dry) => html(&DryRunPart::of(dry))?,
        Err(error) => html(&DryRunPart::problem(Status::Bad, &said(Fail::from(error))))?,
    }))
}

/// Everything that is wrong, as one text.
fn said(fail: Fail) -> String {
    if fail.fields.is_empty() {
        return fail.detail;
    }
    let fields: Vec<String> =
        fail.fields.iter().map(|field| format!("{} {}", field.field, field.message)).collect();
    fields.join(" ")
}

pub(crate) async fn submit(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
    mut form: Form,
) -> Result<Response, Fail> {
    let row = onu(&ctx, id).await?;
    // What is moved goes on as it is; what is removed or replaced is named, so that it is the right one.
    let named = match What::of(&form) {
        What::Move => true,
        What::Remove | What::Replace => {
            form.val("confirm").trim().parse::<Serial>().ok() == row.serial.parse().ok()
        }
    };
    if !named {
        form.wrong("confirm", format!("is not {}.", view::serial(&row.serial)));
    }
    let ordered = match change(&mut form).filter(|_| !form.has_errors()) {
        Some(change) => ctx.app().change_onu(&who.actor, OnuRowId(id), &change).await,
        None => return again(&draw(&ctx, &who, &headers, row, form).await?),
    };
    match ordered {
        Ok(task) => Ok(go(
            &ctx,
            &format!("/tasks/{task}"),
            Status::Ok,
            "Ordered",
            "Every line and answer appears below as it happens.",
        )),
        Err(error) => {
            form.take(error.into());
            again(&draw(&ctx, &who, &headers, row, form).await?)
        }
    }
}
