//! Tasks: every write to an OLT, with its journal.

use askama::Template;
use axum::{
    extract::{Path, State},
    http::{HeaderMap, Uri},
    response::Response,
};
use store::read::{TaskFilter, TaskLineRow, TaskRow};
use types::OltTaskId;

use super::{page, went};
use crate::{
    auth::Who,
    error::Fail,
    export,
    list::{ListView, Query},
    shell::Shell,
    state::Ctx,
    view::{self, Status, View},
    words,
};

#[derive(Template)]
#[template(path = "tasks.html")]
struct TasksPage {
    shell: Shell,
    v: View,
    list: ListView,
    rows: Vec<TaskRow>,
}

#[derive(Template)]
#[template(path = "task.html")]
struct TaskPage {
    shell: Shell,
    v: View,
    task: TaskRow,
    lines: Vec<TaskLineRow>,
    planned: Vec<(String, String)>,
    headline: &'static str,
    next: &'static str,
    left: Vec<String>,
}

impl TaskPage {
    /// Nothing was sent yet.
    fn may_cancel(&self) -> bool {
        self.task.state == "pending"
    }

    /// It was begun and goes on by itself.
    fn may_give_up(&self) -> bool {
        matches!(self.task.state.as_str(), "applying" | "verifying" | "compensating")
    }

    /// It waits for its next try, or was given up on the way.
    fn may_go_on(&self) -> bool {
        let waits = words::task_runs(&self.task.state) && self.task.next_try_at.is_some();
        waits || (self.task.state == "needs_operator" && self.task.step == "given_up")
    }
}

/// The lines that are left for a person, as they are stored.
pub(crate) fn lines_left(stored: &str) -> Vec<String> {
    serde_json::from_str(stored).unwrap_or_default()
}

/// How a line of the journal is marked: an answer is only an answer, whether it was the right one is said by the task.
pub(crate) fn line_status(class: &str) -> Status {
    match class {
        "answered" | "ok" => Status::Ok,
        "sent" => Status::Wait,
        "note" => Status::Info,
        "refused" | "error" | "failed" => Status::Bad,
        _ => Status::Unknown,
    }
}

/// Replies of more lines are folded.
const SHORT_REPLY: usize = 4;

/// The reply without the blank lines around it, and whether it is long.
pub(crate) fn reply(text: &str) -> (String, bool) {
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.trim().is_empty()).collect();
    (view::limited(lines.join("\n"), 4000), lines.len() > SHORT_REPLY)
}

pub(crate) fn filter(query: &Query) -> TaskFilter {
    TaskFilter {
        q: query.get("q").into(),
        state: query.opt("state"),
        olt_id: query.id("olt"),
        onu_row_id: query.id("onu"),
    }
}

pub(crate) async fn list(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Fail> {
    let query = Query::parse("/tasks", uri.query());
    let shell = Shell::new(&ctx, &who, &headers, "tasks", "Tasks").await?.watch(["tasks".to_owned()]);
    let found = ctx.read().tasks(&filter(&query), &query.sort(), query.page()).await?;
    page(
        &ctx,
        &headers,
        &TasksPage { shell, v: ctx.view(), list: ListView::new(query, found.total), rows: found.rows },
    )
}

pub(crate) async fn csv(State(ctx): State<Ctx>, _: Who, uri: Uri) -> Result<Response, Fail> {
    let query = Query::parse("/tasks", uri.query());
    let (wanted, sort) = (filter(&query), query.sort());
    let heading = export::line(&[
        "id",
        "kind",
        "state",
        "serial",
        "olt",
        "pon",
        "service",
        "actor",
        "reason",
        "created_at",
        "finished_at",
    ])?;
    Ok(export::file("tasks.csv", heading, move |number| {
        let (ctx, wanted, sort) = (ctx.clone(), wanted.clone(), sort.clone());
        async move {
            let Some(part) = export::part(number) else { return Ok(None) };
            let rows = ctx.read().tasks(&wanted, &sort, part).await?.rows;
            let v = ctx.view();
            export::lines(rows.into_iter().map(|row| {
                vec![
                    row.id.to_string(),
                    row.kind,
                    row.state,
                    view::serial(&row.serial),
                    row.olt_name,
                    row.pon,
                    row.service_code.unwrap_or_default(),
                    row.actor,
                    row.reason,
                    v.exact(row.created_at),
                    v.exact(row.finished_at),
                ]
            }))
        }
    }))
}

/// The plan in words: whatever the stored plan holds, as names and values, secrets masked where it was stored.
pub(crate) fn planned(plan: &str) -> Vec<(String, String)> {
    fn walk(prefix: &str, value: &serde_json::Value, out: &mut Vec<(String, String)>) {
        if out.len() >= 60 {
            return;
        }
        match value {
            serde_json::Value::Object(fields) => {
                for (key, value) in fields {
                    let name = key.replace('_', " ");
                    walk(&if prefix.is_empty() { name } else { format!("{prefix}, {name}") }, value, out);
                }
            }
            serde_json::Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let name =
                        if items.len() > 1 { format!("{prefix} {}", index + 1) } else { prefix.to_owned() };
                    walk(&name, item, out);
                }
            }
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => out.push((prefix.to_owned(), text.clone())),
            other => out.push((prefix.to_owned(), other.to_string())),
        }
    }
    let mut out = Vec::new();
    walk("", &serde_json::from_str(plan).unwrap_or_default(), &mut out);
    out
}

/// What a state means for the ONU, and what happens next.
fn meaning(kind: &str, state: &str) -> (&'static str, &'static str) {
    match state {
        "pending" => {
            ("It waits for its turn on the OLT", "One writer at a time; this page follows by itself.")
        }
        "applying" => ("The lines are being sent", "Each line waits for the OLT's answer."),
        "verifying" => {
            ("Sent; the OLT is being read back", "It counts as done when what was read is what was wanted.")
        }
        "compensating" => (
            "A line failed; what was sent before it is being undone",
            "In reverse, line by line; afterwards the OLT is as it was before.",
        ),
        "done" if kind == "remove_onu" => (
            "Done and read back from the OLT",
            "While the ONU has light, the Detected page lists it again within a minute.",
        ),
        "done" => ("Done and read back from the OLT", "The router calls us next, usually within a minute."),
        "undone" if kind == "authorise_onu" => {
            ("Undone completely", "The OLT is as it was before; the ONU is back on the Detected page.")
        }
        "undone" => ("Undone completely", "The OLT is as it was before, and so are the service and its CPE."),
        "needs_operator" => (
            "Stopped halfway; somebody has to look",
            "The journal shows every line that was sent. Nothing more is sent by itself; the database keeps what it knew of \
             the ONU, its service and its CPE.",
        ),
        "refused" => (
            "Refused before anything was sent",
            "Nothing changed on the OLT. Put right what the reason says and order it again.",
        ),
        "cancelled" => (
            "Cancelled before anything was sent",
            "The OLT, the ONU, its service and its CPE are as they were.",
        ),
        _ => ("In a state this version does not know", ""),
    }
}

pub(crate) async fn show(
    State(ctx): State<Ctx>,
    who: Who,
    headers: HeaderMap,
    Path(id): Path<i64>,
) -> Result<Response, Fail> {
    let task = ctx.read().task(id).await?.ok_or_else(|| Fail::not_found("This task"))?;
    let shell = Shell::new(&ctx, &who, &headers, "tasks", &format!("Task {id}"))
        .await?
        .crumb("Tasks", "/tasks")
        .watch([format!("task-{id}")]);
    let lines = ctx.read().task_lines(id).await?;
    let (headline, next) = meaning(&task.kind, &task.state);
    let planned = planned(&task.plan);
    let left = lines_left(&task.lines_left);
    page(&ctx, &headers, &TaskPage { shell, v: ctx.view(), task, lines, planned, headline, next, left })
}

pub(crate) async fn close(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let result = ctx.app().close_task(&who.actor, OltTaskId(id)).await;
    Ok(went(
        &ctx,
        &format!("/tasks/{id}"),
        "Closed",
        "Nothing was sent to the OLT. While it still sees the ONU, the Detected page lists it again.",
        result,
    ))
}

pub(crate) async fn cancel(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let result = ctx.app().cancel_task(&who.actor, OltTaskId(id)).await;
    Ok(went(&ctx, &format!("/tasks/{id}"), "Cancelled", "Nothing was sent to the OLT for it.", result))
}

pub(crate) async fn give_up(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let result = ctx.app().give_up_task(&who.actor, OltTaskId(id)).await;
    Ok(went(
        &ctx,
        &format!("/tasks/{id}"),
        "Given up",
        "Nothing more is sent to the OLT by itself. The lines that are left are listed below.",
        result,
    ))
}

pub(crate) async fn resume(State(ctx): State<Ctx>, who: Who, Path(id): Path<i64>) -> Result<Response, Fail> {
    let result = ctx.app().resume_task(&who.actor, OltTaskId(id)).await;
    Ok(went(
        &ctx,
        &format!("/tasks/{id}"),
        "It goes on",
        "From reading back, as soon as the OLT answers.",
        result,
    ))
}
