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
    /// Only this firmware.
    pub software_version: Option<String>,
    /// Only this reason of the machine.
    pub reason_code: Option<String>,
    /// Only this parameter, instance numbers as `?`.
    pub parameter: Option<String>,
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

/// What faults are grouped by. What a group does not tell apart is empty in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaultGrouping {
    /// Class, reason, parameter, model and firmware.
    #[default]
    Everything,
    /// Class.
    Class,
    /// Class and reason.
    Reason,
    /// Class, reason and parameter.
    Parameter,
    /// Model.
    Model,
    /// Model and firmware.
    Firmware,
}

impl FaultGrouping {
    /// Every way, with its word.
    pub const ALL: [(&'static str, FaultGrouping); 6] = [
        ("everything", FaultGrouping::Everything),
        ("class", FaultGrouping::Class),
        ("reason", FaultGrouping::Reason),
        ("parameter", FaultGrouping::Parameter),
        ("model", FaultGrouping::Model),
        ("firmware", FaultGrouping::Firmware),
    ];

    /// The way of this word.
    pub fn parse(word: &str) -> Option<FaultGrouping> {
        FaultGrouping::ALL.into_iter().find(|(known, _)| *known == word).map(|(_, by)| by)
    }

    /// The columns of `cpe_faults` that make a group.
    fn columns(self) -> &'static [&'static str] {
        match self {
            FaultGrouping::Everything => {
                &["class", "code", "reason_code", "parameter", "model", "software_version"]
            }
            FaultGrouping::Class => &["class"],
            FaultGrouping::Reason => &["class", "code", "reason_code"],
            FaultGrouping::Parameter => &["class", "code", "reason_code", "parameter"],
            FaultGrouping::Model => &["model"],
            FaultGrouping::Firmware => &["model", "software_version"],
        }
    }
}

/// Faults that have something in common.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct FaultGroup {
    pub class: String,
    pub code: i64,
    pub reason_code: String,
    /// Words of the latest one; empty where reasons are not told apart.
    pub text: String,
    /// Path with instance numbers as `?`.
    pub parameter: String,
    pub model: String,
    pub software_version: String,
    pub faults: i64,
    /// CPEs it happened to.
    pub cpes: i64,
    /// CPEs of this group that are not active now.
    pub open: i64,
    pub first_at: i64,
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

/// Orders of the groups; the words are those of their columns.
const GROUP_SORTS: &[(&str, &str)] = &[
    ("faults", "g.faults"),
    ("cpes", "g.cpes"),
    ("open", "g.open"),
    ("first", "g.first_at"),
    ("last", "g.last_at"),
    ("class", "g.class"),
    ("code", "g.code"),
    ("model", "g.model"),
    ("parameter", "g.parameter"),
];

fn conditions(filter: &FaultFilter) -> Sql {
    conditions_of(FROM, filter)
}

fn conditions_of(from: &str, filter: &FaultFilter) -> Sql {
    let mut sql = Sql::new(from);
    sql.and("f.at >=").bind(filter.since_at);
    sql.and_is("f.class", filter.class.clone());
    sql.and_is("f.model", filter.model.clone());
    sql.and_is("f.software_version", filter.software_version.clone());
    sql.and_is("f.reason_code", filter.reason_code.clone());
    sql.and_is("f.parameter", filter.parameter.clone());
    sql.and_is("f.code", filter.code);
    sql.and_is("f.cpe_id", filter.cpe_id);
    let texts = ["f.text", "f.path", "p.serial_number", "c.name"];
    sql.and_matches(&["p.pon_serial", "UPPER(p.serial_number)"], &texts, filter.q.trim());
    sql
}

/// The groups, named `g`, with the number of their latest fault. Counted in two rounds: per group and CPE from one index
/// alone, which is where the million rows are, then per group; so the state of a CPE is looked up once per group.
fn grouped(filter: &FaultFilter, by: FaultGrouping) -> Sql {
    const ALL: [(&str, &str); 6] = [
        ("class", "''"),
        ("code", "CAST(0 AS bigint)"),
        ("reason_code", "''"),
        ("parameter", "''"),
        ("model", "''"),
        ("software_version", "''"),
    ];
    let columns = by.columns();
    let list = |alias: &str| columns.iter().map(|c| format!("{alias}.{c}")).collect::<Vec<_>>().join(", ");
    let shown: Vec<String> = ALL
        .iter()
        .map(
            |(name, nothing)| {
                if columns.contains(name) { format!("n.{name}") } else { format!("{nothing} AS {name}") }
            },
        )
        .collect();
    // Only what is looked for by text needs to know whose fault it is.
    let from = if filter.q.trim().is_empty() { "FROM cpe_faults f" } else { FROM };
    let mut sql = Sql::new(&format!(
        "FROM (SELECT {}, CAST(SUM(n.faults) AS bigint) AS faults, COUNT(*) AS cpes, \
         CAST(SUM(CASE WHEN q.state <> 'ACTIVE' THEN 1 ELSE 0 END) AS bigint) AS open, \
         MIN(n.first_at) AS first_at, MAX(n.last_at) AS last_at, MAX(n.last_id) AS last_id \
         FROM (SELECT {}, f.cpe_id, COUNT(*) AS faults, MIN(f.at) AS first_at, MAX(f.at) AS last_at, \
         MAX(f.id) AS last_id",
        shown.join(", "),
        list("f"),
    ));
    sql.append(&conditions_of(from, filter));
    sql.push(&format!(
        "GROUP BY {}, f.cpe_id) n JOIN cpes q ON q.id = n.cpe_id GROUP BY {}) g",
        list("f"),
        list("n")
    ));
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
        let mut sql = Sql::new("SELECT g.class, g.code, COALESCE(t.text, '') AS text, g.faults, g.open");
        sql.append(&grouped(filter, FaultGrouping::Reason));
        sql.push(
            "LEFT JOIN cpe_faults t ON t.id = g.last_id \
             ORDER BY g.faults DESC, g.class, g.code, g.reason_code",
        );
        self.all(sql).await
    }

    /// How many faults there are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn fault_total(&self, filter: &FaultFilter) -> Result<u64, StoreError> {
        let from = if filter.q.trim().is_empty() { "FROM cpe_faults f" } else { FROM };
        let mut sql = Sql::new("SELECT COUNT(*) AS n");
        sql.append(&conditions_of(from, filter));
        self.number(sql).await
    }

    /// Faults in groups, largest group first unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn fault_groups(
        &self,
        filter: &FaultFilter,
        by: FaultGrouping,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<FaultGroup>, StoreError> {
        let mut count = Sql::new("SELECT COUNT(*) AS n");
        count.append(&grouped(filter, by));
        let total = self.number(count).await?;
        if page.offset() >= total {
            return Ok(Listed { rows: Vec::new(), total });
        }
        self.all(groups_page(filter, by, sort, page)).await.map(|rows| Listed { rows, total })
    }
}

fn groups_page(filter: &FaultFilter, by: FaultGrouping, sort: &Sort, page: Page) -> Sql {
    let text = if by.columns().contains(&"reason_code") { "COALESCE(t.text, '')" } else { "''" };
    let mut sql = Sql::new(&format!(
        "SELECT g.class, g.code, g.reason_code, {text} AS text, g.parameter, g.model, g.software_version, g.faults, \
         g.cpes, g.open, g.first_at, g.last_at"
    ));
    sql.append(&grouped(filter, by));
    sql.push("LEFT JOIN cpe_faults t ON t.id = g.last_id");
    let ties: Vec<String> = by.columns().iter().map(|column| format!("g.{column}")).collect();
    sql.order(sort, GROUP_SORTS, "g.faults DESC, g.last_at DESC", &ties.join(", "));
    sql.page(page);
    sql
}

#[cfg(test)]
mod tests {
    use super::*;
    use sea_orm::{ConnectionTrait, Statement};

    /// Where the many rows are, only the index is read: neither texts nor the CPE of each fault.
    #[tokio::test]
    async fn groups_are_counted_from_one_index() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("lk.db").display());
        let key = crate::KeySource::File(folder.path().join("key"));
        let store = crate::Store::open(crate::StoreConfig::new(url, key)).await.expect("opens");
        let filter = FaultFilter { since_at: 1, ..FaultFilter::default() };
        for (_, by) in FaultGrouping::ALL {
            let (text, values) = groups_page(&filter, by, &Sort::default(), Page::first(50)).into_parts();
            let asked = Statement::from_sql_and_values(
                store.get_database_backend(),
                format!("EXPLAIN QUERY PLAN {text}"),
                values,
            );
            let plan: Vec<String> = store
                .query_all_raw(asked)
                .await
                .expect("a plan")
                .iter()
                .map(|row| row.try_get("", "detail").expect("a detail"))
                .collect();
            assert!(
                plan.iter().any(|line| line.starts_with("SEARCH f USING COVERING INDEX cpe_faults_groups")),
                "{by:?}: {plan:#?}"
            );
            assert!(!plan.iter().any(|line| line.starts_with("SCAN f")), "{by:?}: {plan:#?}");
        }
    }
}
