//! Faults, grouped by class, model and reason.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Which faults.
#[derive(Debug, Clone, Default)]
pub struct FaultFilter {
    /// Not before this time.
    pub since_at: i64,
    /// `provisioning_logic`, `session_triggering`, `device` or `ours`.
    pub class: Option<String>,
    /// Only this model.
    pub model: Option<String>,
    /// Only this fault code.
    pub code: Option<i64>,
    /// Only of this CPE.
    pub cpe_id: Option<i64>,
    /// Part of the text or path, customer, or a serial in any notation.
    pub q: String,
}

/// A fault with the CPE and customer it happened to.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct FaultRow {
    pub id: i64,
    pub at: i64,
    pub class: String,
    pub code: i64,
    pub text: String,
    pub path: String,
    pub rpc: String,
    pub model: String,
    pub software_version: String,
    pub reason_code: String,
    pub cpe_id: i64,
    pub serial_number: String,
    pub cpe_state: String,
    pub reason_text: String,
    pub next_inform_by: Option<i64>,
    pub service_id: Option<i64>,
    pub service_code: Option<String>,
    pub customer_name: Option<String>,
}

/// Faults of one class, code, model and firmware.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct FaultGroup {
    pub class: String,
    pub code: i64,
    pub reason_code: String,
    pub text: String,
    pub model: String,
    pub software_version: String,
    pub faults: i64,
    pub cpes: i64,
    /// CPEs of this group that are not active now.
    pub open: i64,
    pub last_at: i64,
}

/// How many faults of one class and reason, of whatever model.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct FaultCount {
    pub class: String,
    pub code: i64,
    pub text: String,
    pub faults: i64,
    /// CPEs that are not active now.
    pub open: i64,
}

const SELECT: &str = "SELECT f.id, f.at, f.class, f.code, f.text, f.path, f.rpc, f.model, \
     f.software_version, f.reason_code, f.cpe_id, p.serial_number, p.state AS cpe_state, p.reason_text, \
     p.next_inform_by, s.id AS service_id, s.code AS service_code, c.name AS customer_name";

const FROM: &str = "FROM cpe_faults f JOIN cpes p ON p.id = f.cpe_id LEFT JOIN services s ON s.id = p.service_id \
     LEFT JOIN customers c ON c.id = s.customer_id";

const SORTS: &[(&str, &str)] = &[
    ("time", "f.at"),
    ("class", "f.class"),
    ("code", "f.code"),
    ("model", "f.model"),
    ("serial", "p.serial_number"),
];

fn conditions(filter: &FaultFilter) -> Sql {
    let mut sql = Sql::new(FROM);
    sql.and("f.at >=").bind(filter.since_at);
    sql.and_is("f.class", filter.class.clone());
    sql.and_is("f.model", filter.model.clone());
    sql.and_is("f.code", filter.code);
    sql.and_is("f.cpe_id", filter.cpe_id);
    let texts = ["f.text", "f.path", "p.serial_number", "c.name"];
    sql.and_matches(&["p.pon_serial", "UPPER(p.serial_number)"], &texts, filter.q.trim());
    sql
}

impl Read<'_> {
    /// Faults, newest first unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn faults(
        &self,
        filter: &FaultFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<FaultRow>, StoreError> {
        self.listed(
            SELECT,
            conditions(filter),
            |sql| {
                sql.order(sort, SORTS, "f.at DESC", "f.id DESC");
            },
            page,
        )
        .await
    }

    /// All faults counted by class and reason, largest first: what a verdict is made of. There are as many rows as reasons,
    /// however many models and firmwares there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn fault_counts(&self, filter: &FaultFilter) -> Result<Vec<FaultCount>, StoreError> {
        let mut sql = Sql::new(
            "SELECT f.class, f.code, MAX(f.text) AS text, COUNT(*) AS faults, \
             COUNT(DISTINCT CASE WHEN p.state <> 'ACTIVE' THEN f.cpe_id END) AS open",
        );
        sql.append(&conditions(filter));
        sql.push(
            "GROUP BY f.class, f.code, f.reason_code ORDER BY COUNT(*) DESC, f.class, f.code, f.reason_code",
        );
        self.all(sql).await
    }

    /// Faults grouped, largest group first, 200 groups at most: a list to look at, not to count by.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn fault_groups(&self, filter: &FaultFilter) -> Result<Vec<FaultGroup>, StoreError> {
        let mut sql = Sql::new(
            "SELECT f.class, f.code, f.reason_code, MAX(f.text) AS text, f.model, \
             f.software_version, COUNT(*) AS faults, COUNT(DISTINCT f.cpe_id) AS cpes, \
             COUNT(DISTINCT CASE WHEN p.state <> 'ACTIVE' THEN f.cpe_id END) AS open, MAX(f.at) AS last_at",
        );
        sql.append(&conditions(filter));
        sql.push("GROUP BY f.class, f.code, f.reason_code, f.model, f.software_version ORDER BY COUNT(*) DESC, MAX(f.at) DESC");
        sql.page(Page::first(200));
        self.all(sql).await
    }
}
