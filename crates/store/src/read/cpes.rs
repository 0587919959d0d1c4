//! CPEs with their parameters, evidence, sessions and connection requests.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;
use std::collections::BTreeMap;
use types::names_a_secret;

/// Which CPEs.
#[derive(Debug, Clone, Default)]
pub struct CpeFilter {
    /// Serial in any notation, model, software version, address, service code or customer.
    pub q: String,
    /// A state, e.g. `WAITING_INFORM`; `not_active` for all but `ACTIVE`.
    pub state: Option<String>,
    /// Only this reason.
    pub reason_code: Option<String>,
    /// Only this model.
    pub model: Option<String>,
    /// Only those in quarantine, or only those not.
    pub quarantine: Option<bool>,
    /// Only those with this tag.
    pub tag: Option<String>,
}

/// A CPE with its service.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct CpeRow {
    pub id: i64,
    pub oui: String,
    pub product_class: String,
    pub serial_number: String,
    pub pon_serial: Option<String>,
    pub claimed_serial: Option<String>,
    pub manufacturer: String,
    pub model: String,
    pub hardware_version: String,
    pub software_version: String,
    pub data_model: String,
    pub profile_id: Option<String>,
    pub firmware_id: Option<i64>,
    pub state: String,
    pub state_since: i64,
    pub reason_code: String,
    pub reason_text: String,
    pub reason_next: Option<String>,
    pub quarantine: bool,
    pub machine: String,
    pub next_attempt_at: Option<i64>,
    pub last_inform_at: Option<i64>,
    pub next_inform_by: Option<i64>,
    pub inform_interval_s: Option<i64>,
    pub peer_address: String,
    pub connection_request_url: Option<String>,
    pub service_id: Option<i64>,
    pub service_code: Option<String>,
    pub service_state: Option<String>,
    pub customer_id: Option<i64>,
    pub customer_name: Option<String>,
}

/// A parameter as it was last read.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct ParameterRow {
    pub path: String,
    pub value: String,
    pub kind: String,
    pub writable: Option<bool>,
    pub read_at: i64,
}

impl ParameterRow {
    /// What was stored of a secret is not shown.
    fn keep_secret(&mut self) {
        if names_a_secret(&self.path) {
            self.value.clear();
        }
    }
}

#[derive(FromQueryResult)]
struct PathRow {
    path: String,
}

/// Which parameters of a CPE.
#[derive(Debug, Clone, Default)]
pub struct ParameterFilter {
    /// Part of the path or of the value.
    pub q: String,
    /// Only below this path, e.g. `InternetGatewayDevice.WANDevice.`.
    pub branch: String,
}

/// Wanted, observed and proof of one setting.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct EvidenceRow {
    pub layer: String,
    pub setting: String,
    pub wanted: String,
    pub observed: String,
    pub verified: bool,
    pub at: i64,
    pub source: String,
}

/// A CWMP session that was.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct CpeSessionRow {
    pub id: i64,
    pub began_at: i64,
    pub ended_at: Option<i64>,
    pub events: String,
    pub requests: i64,
    pub faults: i64,
    pub outcome: Option<String>,
    pub peer_address: String,
    pub detail: String,
}

/// A connection request and what came of it.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct ConnectionRequestRow {
    pub id: i64,
    pub at: i64,
    pub outcome: String,
    pub detail: String,
}

/// A timer that is set.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct TimerRow {
    pub timer: String,
    pub at: i64,
}

const SELECT: &str = "SELECT p.id, p.oui, p.product_class, p.serial_number, p.pon_serial, p.claimed_serial, p.manufacturer, p.model, \
     p.hardware_version, p.software_version, p.data_model, p.profile_id, \
     (SELECT w.id FROM cpe_firmwares w WHERE w.oui = p.oui AND w.product_class = p.product_class \
      AND w.software_version = p.software_version) AS firmware_id, p.state, p.state_since, p.reason_code, \
     p.reason_text, p.reason_next, p.quarantine, p.machine, p.next_attempt_at, p.last_inform_at, p.next_inform_by, \
     p.inform_interval_s, p.peer_address, p.connection_request_url, \
     s.id AS service_id, s.code AS service_code, s.state AS service_state, c.id AS customer_id, c.name AS customer_name";

const FROM: &str =
    "FROM cpes p LEFT JOIN services s ON s.id = p.service_id LEFT JOIN customers c ON c.id = s.customer_id";

const SORTS: &[(&str, &str)] = &[
    ("serial", "p.serial_number"),
    ("model", "p.model"),
    ("software", "p.software_version"),
    ("state", "p.state"),
    ("since", "p.state_since"),
    ("inform", "COALESCE(p.last_inform_at, 0)"),
    ("customer", "c.name"),
];

fn conditions(filter: &CpeFilter) -> Sql {
    let mut sql = Sql::new(FROM);
    match filter.state.as_deref() {
        Some("not_active") => drop(sql.and("p.state <> 'ACTIVE'")),
        Some(state) => drop(sql.and_is("p.state", Some(state.to_owned()))),
        None => {}
    }
    sql.and_is("p.reason_code", filter.reason_code.clone());
    sql.and_is("p.model", filter.model.clone());
    sql.and_is("p.quarantine", filter.quarantine);
    if let Some(tag) = &filter.tag {
        sql.and("EXISTS (SELECT 1 FROM cpe_tags t WHERE t.cpe_id = p.id AND t.tag =")
            .bind(tag.clone())
            .push(")");
    }
    let texts = ["p.serial_number", "p.model", "p.software_version", "p.peer_address", "s.code", "c.name"];
    sql.and_matches(&["p.pon_serial", "p.claimed_serial"], &texts, filter.q.trim());
    sql
}

impl Read<'_> {
    /// CPEs, failed ones first unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cpes(
        &self,
        filter: &CpeFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<CpeRow>, StoreError> {
        let worst = "CASE p.state WHEN 'FAILED' THEN 0 WHEN 'INFORMED' THEN 1 WHEN 'OWNED' THEN 2 \
             WHEN 'WAITING_INFORM' THEN 3 WHEN 'ACTIVE' THEN 9 ELSE 4 END, p.state_since DESC";
        self.listed(
            SELECT,
            conditions(filter),
            |sql| {
                sql.order(sort, SORTS, worst, "p.id");
            },
            page,
        )
        .await
    }

    /// One CPE.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cpe(&self, id: i64) -> Result<Option<CpeRow>, StoreError> {
        let mut sql = Sql::new(SELECT);
        sql.push(FROM).and_is("p.id", Some(id));
        self.one(sql).await
    }

    /// Parameters of a CPE by path; secrets without a value, whatever was stored of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cpe_parameters(
        &self,
        cpe_id: i64,
        filter: &ParameterFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<ParameterRow>, StoreError> {
        let mut from = Sql::new("FROM cpe_parameters");
        from.and_is("cpe_id", Some(cpe_id));
        if !filter.branch.is_empty() {
            from.and("substr(path, 1,")
                .push(&filter.branch.chars().count().to_string())
                .push(") =")
                .bind(filter.branch.clone());
        }
        from.and_contains(&["path", "value"], filter.q.trim());
        let select = "SELECT path, value, kind, writable, read_at";
        let mut found: Listed<ParameterRow> = self
            .listed(
                select,
                from,
                |sql| {
                    let columns = [("path", "path"), ("value", "value"), ("read", "read_at")];
                    sql.order(sort, &columns, "path", "path");
                },
                page,
            )
            .await?;
        found.rows.iter_mut().for_each(ParameterRow::keep_secret);
        Ok(found)
    }

    /// The branches of a CPE's data model that were read, e.g. `InternetGatewayDevice.WANDevice.` (200 at most).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cpe_branches(&self, cpe_id: i64) -> Result<Vec<String>, StoreError> {
        let mut sql = Sql::new("SELECT DISTINCT path FROM cpe_parameters");
        sql.and_is("cpe_id", Some(cpe_id)).push("ORDER BY path LIMIT 20000");
        let mut branches: Vec<String> = Vec::new();
        for row in self.all::<PathRow>(sql).await? {
            let mut dots = row.path.match_indices('.').map(|(at, _)| at);
            let Some(end) = dots.next().and_then(|_| dots.next()) else { continue };
            let branch = &row.path[..=end];
            if branches.last().is_none_or(|last| last != branch) && branches.len() < 200 {
                branches.push(branch.to_owned());
            }
        }
        branches.dedup();
        Ok(branches)
    }

    /// Wanted and found, setting by setting, in the order layers are applied.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cpe_evidence(&self, cpe_id: i64) -> Result<Vec<EvidenceRow>, StoreError> {
        let mut sql = Sql::new("SELECT layer, setting, wanted, observed, verified, at, source FROM evidence");
        sql.and_is("cpe_id", Some(cpe_id)).push(
            "ORDER BY CASE layer WHEN 'core' THEN 0 WHEN 'internet' THEN 1 WHEN 'access' THEN 2 ELSE 3 END, setting",
        );
        self.all(sql).await
    }

    /// Sessions, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cpe_sessions(&self, cpe_id: i64, page: Page) -> Result<Listed<CpeSessionRow>, StoreError> {
        let mut from = Sql::new("FROM cpe_sessions");
        from.and_is("cpe_id", Some(cpe_id));
        let select = "SELECT id, began_at, ended_at, events, requests, faults, outcome, peer_address, detail";
        self.listed(
            select,
            from,
            |sql| {
                sql.push("ORDER BY id DESC");
            },
            page,
        )
        .await
    }

    /// Connection requests that fit, newest first unless sorted otherwise; `outcome` is the stable word.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connection_request_list(
        &self,
        cpe_id: i64,
        outcome: Option<String>,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<ConnectionRequestRow>, StoreError> {
        let mut from = Sql::new("FROM connection_requests");
        from.and_is("cpe_id", Some(cpe_id)).and_is("outcome", outcome);
        let order = [("time", "at"), ("outcome", "outcome")];
        self.listed(
            "SELECT id, at, outcome, detail",
            from,
            |sql| {
                sql.order(sort, &order, "at DESC", "id DESC");
            },
            page,
        )
        .await
    }

    /// Connection requests, newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn connection_requests(
        &self,
        cpe_id: i64,
        limit: u32,
    ) -> Result<Vec<ConnectionRequestRow>, StoreError> {
        let mut sql = Sql::new("SELECT id, at, outcome, detail FROM connection_requests");
        sql.and_is("cpe_id", Some(cpe_id)).push("ORDER BY id DESC").page(Page::first(limit));
        self.all(sql).await
    }

    /// Timers that are set, soonest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cpe_timers(&self, cpe_id: i64) -> Result<Vec<TimerRow>, StoreError> {
        let mut sql = Sql::new("SELECT timer, at FROM cpe_timers");
        sql.and_is("cpe_id", Some(cpe_id)).push("ORDER BY at");
        self.all(sql).await
    }
}

/// One step down in the data model of a CPE, as far as it was read.
#[derive(Debug, Clone)]
pub struct ParameterBranch {
    /// Full path; an object ends with a dot.
    pub path: String,
    /// The last part of it.
    pub name: String,
    /// Parameters below an object; 1 for a parameter.
    pub count: u64,
    /// The oldest reading below.
    pub read_at: i64,
    /// What was read, if it is a parameter.
    pub leaf: Option<ParameterRow>,
}

#[derive(FromQueryResult)]
struct BelowRow {
    path: String,
    read_at: i64,
}

impl Read<'_> {
    /// What is directly under an object of a CPE (its path ends with a dot; empty for the root), instances by their
    /// number, a page of it, and how much there is.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cpe_children(
        &self,
        cpe_id: i64,
        object: &str,
        page: Page,
    ) -> Result<Listed<ParameterBranch>, StoreError> {
        let mut sql = Sql::new("SELECT path, read_at FROM cpe_parameters");
        sql.and_is("cpe_id", Some(cpe_id));
        if !object.is_empty() {
            sql.and("substr(path, 1,")
                .push(&object.chars().count().to_string())
                .push(") =")
                .bind(object.to_owned());
        }
        let mut found: BTreeMap<(Option<u64>, String), ParameterBranch> = BTreeMap::new();
        for row in self.all::<BelowRow>(sql).await? {
            let Some(rest) = row.path.get(object.len()..).filter(|rest| !rest.is_empty()) else { continue };
            let end = rest.find('.').map_or(rest.len(), |dot| dot + 1);
            let name = rest[..end].trim_end_matches('.').to_owned();
            let path = row.path[..object.len() + end].to_owned();
            // Names by the letter, instances by their number; a leaf and an object of one name are two.
            let child = found.entry((name.parse().ok(), path.clone())).or_insert_with(|| ParameterBranch {
                path,
                name,
                count: 0,
                read_at: row.read_at,
                leaf: None,
            });
            child.count += 1;
            child.read_at = child.read_at.min(row.read_at);
        }
        let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let size = usize::try_from(page.size).unwrap_or(50);
        let skip = size.saturating_mul(usize::try_from(page.number.saturating_sub(1)).unwrap_or(0));
        let mut rows: Vec<ParameterBranch> = found.into_values().skip(skip).take(size).collect();
        let leaves: Vec<&str> =
            rows.iter().map(|row| row.path.as_str()).filter(|path| !path.ends_with('.')).collect();
        if !leaves.is_empty() {
            let mut sql = Sql::new("SELECT path, value, kind, writable, read_at FROM cpe_parameters");
            sql.and_is("cpe_id", Some(cpe_id)).and("path IN (");
            for (at, path) in leaves.iter().enumerate() {
                if at > 0 {
                    sql.push(",");
                }
                sql.bind((*path).to_owned());
            }
            sql.push(")");
            let mut read: BTreeMap<String, ParameterRow> =
                self.all::<ParameterRow>(sql).await?.into_iter().map(|row| (row.path.clone(), row)).collect();
            for row in &mut rows {
                row.leaf = read.remove(&row.path);
                row.leaf.iter_mut().for_each(ParameterRow::keep_secret);
            }
        }
        Ok(Listed { rows, total })
    }
}
