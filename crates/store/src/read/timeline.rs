//! The timeline: what happened, why, and what happens next.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Whose timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimelineSubject {
    /// Everything.
    All,
    /// A service with its ONU and CPE; their ids make lines appear that were written before they were linked.
    Service {
        /// The service.
        id: i64,
        /// Its ONU row.
        onu_row_id: Option<i64>,
        /// Its CPE.
        cpe_id: Option<i64>,
    },
    /// An ONU row.
    Onu(i64),
    /// An OLT.
    Olt(i64),
    /// A CPE.
    Cpe(i64),
    /// A customer.
    Customer(i64),
}

/// One line.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct TimelineRow {
    pub id: i64,
    pub at: i64,
    pub kind: String,
    pub from_state: Option<String>,
    pub to_state: Option<String>,
    pub severity: String,
    pub code: String,
    pub text: String,
    pub next_text: Option<String>,
    pub actor: String,
    pub service_id: Option<i64>,
    pub service_code: Option<String>,
    pub onu_row_id: Option<i64>,
    pub olt_id: Option<i64>,
    pub olt_name: Option<String>,
    pub cpe_id: Option<i64>,
    pub cpe_serial: Option<String>,
}

/// Which lines.
#[derive(Debug, Clone, Default)]
pub struct TimelineFilter {
    /// Not before this time.
    pub since_at: Option<i64>,
    /// Only of this severity: `ok`, `info`, `wait`, `warn` or `bad`.
    pub severity: Option<String>,
    /// Part of the sentence, of what happens next, of who did it or of the new state.
    pub q: String,
}

const SELECT: &str = "SELECT h.id, h.at, h.kind, h.from_state, h.to_state, h.severity, h.code, h.text, h.next_text, h.actor, \
     h.service_id, s.code AS service_code, h.onu_row_id, h.olt_id, t.name AS olt_name, h.cpe_id, p.serial_number AS cpe_serial";

impl Read<'_> {
    /// Lines, newest first; `since_at` leaves out older ones.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn timeline(
        &self,
        subject: TimelineSubject,
        since_at: Option<i64>,
        page: Page,
    ) -> Result<Listed<TimelineRow>, StoreError> {
        let filter = TimelineFilter { since_at, ..TimelineFilter::default() };
        self.timeline_lines(subject, &filter, &Sort::default(), page).await
    }

    /// Lines that fit, newest first unless sorted by `time`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn timeline_lines(
        &self,
        subject: TimelineSubject,
        filter: &TimelineFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<TimelineRow>, StoreError> {
        let mut from = Sql::new(
            "FROM timeline h LEFT JOIN services s ON s.id = h.service_id LEFT JOIN olts t ON t.id = h.olt_id \
             LEFT JOIN cpes p ON p.id = h.cpe_id",
        );
        match subject {
            TimelineSubject::All => {}
            TimelineSubject::Service { id, onu_row_id, cpe_id } => {
                from.and("(h.service_id =").bind(id);
                if let Some(onu) = onu_row_id {
                    from.push("OR h.onu_row_id =").bind(onu);
                }
                if let Some(cpe) = cpe_id {
                    from.push("OR h.cpe_id =").bind(cpe);
                }
                from.push(")");
            }
            TimelineSubject::Onu(id) => drop(from.and_is("h.onu_row_id", Some(id))),
            TimelineSubject::Olt(id) => drop(from.and_is("h.olt_id", Some(id))),
            TimelineSubject::Cpe(id) => drop(from.and_is("h.cpe_id", Some(id))),
            TimelineSubject::Customer(id) => drop(from.and_is("h.customer_id", Some(id))),
        }
        if let Some(since) = filter.since_at {
            from.and("h.at >=").bind(since);
        }
        from.and_is("h.severity", filter.severity.clone());
        from.and_contains(&["h.text", "h.next_text", "h.actor", "h.to_state"], filter.q.trim());
        self.listed(
            SELECT,
            from,
            |sql| match (sort.column.as_str(), sort.descending) {
                ("time", false) => drop(sql.push("ORDER BY h.at, h.id")),
                _ => drop(sql.push("ORDER BY h.at DESC, h.id DESC")),
            },
            page,
        )
        .await
    }
}
