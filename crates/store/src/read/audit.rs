//! The audit log: who changed what, from where.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Which entries.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Actor, action, subject or address.
    pub q: String,
    /// Only by this actor.
    pub actor: Option<String>,
}

/// One entry; before and after are JSON with secrets masked.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct AuditRow {
    pub id: i64,
    pub at: i64,
    pub actor: String,
    pub action: String,
    pub subject: String,
    pub before: Option<String>,
    pub after: Option<String>,
    pub address: String,
    pub request_id: String,
}

const SORTS: &[(&str, &str)] =
    &[("time", "a.at"), ("actor", "a.actor"), ("action", "a.action"), ("subject", "a.subject")];

impl Read<'_> {
    /// Entries, newest first unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<AuditRow>, StoreError> {
        let mut from = Sql::new("FROM audit_log a");
        from.and_is("a.actor", filter.actor.clone());
        from.and_contains(&["a.actor", "a.action", "a.subject", "a.address"], filter.q.trim());
        let select = "SELECT a.id, a.at, a.actor, a.action, a.subject, a.\"before\", a.\"after\", a.address, a.request_id";
        self.listed(
            select,
            from,
            |sql| {
                sql.order(sort, SORTS, "a.at DESC", "a.id DESC");
            },
            page,
        )
        .await
    }
}
