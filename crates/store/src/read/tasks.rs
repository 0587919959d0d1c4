//! Tasks on OLTs and their journal.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Which tasks.
#[derive(Debug, Clone, Default)]
pub struct TaskFilter {
    /// Serial in any notation, PON, actor or reason.
    pub q: String,
    /// A state; `open` for everything not finished, `trouble` for what needs somebody.
    pub state: Option<String>,
    /// Only of this OLT.
    pub olt_id: Option<i64>,
    /// Only of this ONU.
    pub onu_row_id: Option<i64>,
}

/// A task with its OLT.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct TaskRow {
    pub id: i64,
    pub kind: String,
    pub olt_id: i64,
    pub olt_name: String,
    pub onu_row_id: Option<i64>,
    pub serial: String,
    pub pon: String,
    pub state: String,
    pub step: String,
    /// JSON, secrets masked.
    pub plan: String,
    pub reason: String,
    pub actor: String,
    pub created_at: i64,
    pub updated_at: i64,
    pub finished_at: Option<i64>,
    pub service_id: Option<i64>,
    pub service_code: Option<String>,
    /// Tries in vain since it was begun, or ordered.
    pub tries: i64,
    pub next_try_at: Option<i64>,
    /// JSON, a list of texts.
    pub lines_left: String,
}

/// A line that was sent, with the answer.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct TaskLineRow {
    pub seq: i64,
    pub line: String,
    pub reply: String,
    pub class: String,
    pub at: i64,
}

const SELECT: &str = "SELECT k.id, k.kind, k.olt_id, t.name AS olt_name, k.onu_row_id, k.serial, k.pon, k.state, \
     k.step, k.plan, k.reason, k.actor, k.created_at, k.updated_at, k.finished_at, \
     s.id AS service_id, s.code AS service_code, k.tries, k.next_try_at, k.lines_left";
const FROM: &str =
    "FROM olt_tasks k JOIN olts t ON t.id = k.olt_id LEFT JOIN services s ON s.id = k.service_id";

const SORTS: &[(&str, &str)] = &[
    ("time", "k.created_at"),
    ("state", "k.state"),
    ("olt", "t.name"),
    ("actor", "k.actor"),
    ("serial", "k.serial"),
];

impl Read<'_> {
    /// Tasks, newest first unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn tasks(
        &self,
        filter: &TaskFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<TaskRow>, StoreError> {
        let mut from = Sql::new(FROM);
        match filter.state.as_deref() {
            Some("open") => drop(from.and("k.state IN ('pending', 'applying', 'verifying', 'compensating')")),
            Some("trouble") => drop(from.and("k.state IN ('needs_operator', 'refused')")),
            Some(state) => drop(from.and_is("k.state", Some(state.to_owned()))),
            None => {}
        }
        from.and_is("k.olt_id", filter.olt_id);
        from.and_is("k.onu_row_id", filter.onu_row_id);
        let texts = ["k.serial", "k.pon", "k.actor", "k.reason", "k.kind"];
        from.and_matches(&["k.serial"], &texts, filter.q.trim());
        self.listed(
            SELECT,
            from,
            |sql| {
                sql.order(sort, SORTS, "k.created_at DESC", "k.id DESC");
            },
            page,
        )
        .await
    }

    /// One task.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn task(&self, id: i64) -> Result<Option<TaskRow>, StoreError> {
        let mut sql = Sql::new(SELECT);
        sql.push(FROM).and_is("k.id", Some(id));
        self.one(sql).await
    }

    /// The journal of a task in the order it was sent, 1,000 lines at most.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn task_lines(&self, task_id: i64) -> Result<Vec<TaskLineRow>, StoreError> {
        let mut sql = Sql::new("SELECT seq, line, reply, class, at FROM olt_task_lines");
        sql.and_is("task_id", Some(task_id)).push("ORDER BY seq LIMIT 1000");
        self.all(sql).await
    }
}
