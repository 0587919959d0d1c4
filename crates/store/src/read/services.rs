//! Services: account, line, ONU and CPE in one row.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Which services.
#[derive(Debug, Clone, Default)]
pub struct ServiceFilter {
    /// Code, customer, address, PPPoE login, phone, or serial in any notation.
    pub q: String,
    /// `reserved`, `inactive`, `active`, `suspended` or `terminated`.
    pub state: Option<String>,
    /// State of the CPE, e.g. `FAILED`; `none` for services without a CPE.
    pub cpe_state: Option<String>,
    /// Only of this customer.
    pub customer_id: Option<i64>,
    /// Only those an ONU can still be given to.
    pub without_onu: bool,
}

/// A service with everything it ties together.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct ServiceRow {
    pub id: i64,
    pub code: String,
    pub state: String,
    pub access_state: String,
    pub deny_reason: Option<String>,
    pub pppoe_login: Option<String>,
    pub expected_serial: Option<String>,
    pub address: String,
    pub activated_at: Option<i64>,
    pub created_at: i64,
    pub version: i64,
    pub customer_id: i64,
    pub customer_code: String,
    pub customer_name: String,
    pub customer_phone: String,
    pub plan_id: i64,
    pub plan_name: String,
    pub plan_price_minor: i64,
    pub plan_currency: String,
    pub onu_row_id: Option<i64>,
    pub onu_serial: Option<String>,
    pub onu_presence: Option<String>,
    pub onu_pon: Option<String>,
    pub olt_id: Option<i64>,
    pub olt_name: Option<String>,
    pub cpe_id: Option<i64>,
    pub cpe_state: Option<String>,
    pub cpe_state_since: Option<i64>,
    pub cpe_reason_code: Option<String>,
    pub cpe_reason_text: Option<String>,
    pub cpe_model: Option<String>,
}

/// A layer's intent without its secrets.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct IntentRow {
    pub layer: String,
    pub intent_version: i64,
    pub hash: String,
    pub updated_at: i64,
    pub updated_by: String,
}

const SELECT: &str = "SELECT s.id, s.code, s.state, s.access_state, s.deny_reason, s.pppoe_login, s.expected_serial, \
     s.address, s.activated_at, s.created_at, s.version, c.id AS customer_id, c.code AS customer_code, \
     c.name AS customer_name, c.phone AS customer_phone, l.id AS plan_id, l.name AS plan_name, \
     l.price_minor AS plan_price_minor, l.currency AS plan_currency, \
     o.id AS onu_row_id, o.serial AS onu_serial, o.presence AS onu_presence, o.pon AS onu_pon, \
     t.id AS olt_id, t.name AS olt_name, \
     p.id AS cpe_id, p.state AS cpe_state, p.state_since AS cpe_state_since, p.reason_code AS cpe_reason_code, \
     p.reason_text AS cpe_reason_text, p.model AS cpe_model";

const FROM: &str = "FROM services s JOIN customers c ON c.id = s.customer_id JOIN plans l ON l.id = s.plan_id \
     LEFT JOIN onus o ON o.id = s.onu_id LEFT JOIN olts t ON t.id = o.olt_id LEFT JOIN cpes p ON p.id = s.cpe_id";

const SORTS: &[(&str, &str)] = &[
    ("code", "s.code"),
    ("customer", "c.name"),
    ("state", "s.state"),
    ("plan", "l.name"),
    ("cpe", "p.state"),
    ("created", "s.created_at"),
    ("activated", "COALESCE(s.activated_at, 0)"),
];

fn conditions(filter: &ServiceFilter) -> Sql {
    let mut sql = Sql::new(FROM);
    sql.and_is("s.state", filter.state.clone());
    match filter.cpe_state.as_deref() {
        Some("none") => drop(sql.and("s.cpe_id IS NULL")),
        Some(state) => drop(sql.and_is("p.state", Some(state.to_owned()))),
        None => {}
    }
    sql.and_is("s.customer_id", filter.customer_id);
    if filter.without_onu {
        sql.and("s.onu_id IS NULL AND s.state <> 'terminated'");
    }
    let texts = ["s.code", "c.name", "s.address", "s.pppoe_login", "c.phone"];
    sql.and_matches(&["o.serial", "s.expected_serial"], &texts, filter.q.trim());
    sql
}

impl Read<'_> {
    /// Services, those in trouble first unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn services(
        &self,
        filter: &ServiceFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<ServiceRow>, StoreError> {
        let worst = "CASE WHEN s.state = 'terminated' THEN 9 WHEN p.state = 'FAILED' THEN 0 \
             WHEN p.state IS NOT NULL AND p.state <> 'ACTIVE' THEN 1 WHEN s.state = 'reserved' THEN 2 ELSE 3 END, s.code";
        self.listed(
            SELECT,
            conditions(filter),
            |sql| {
                sql.order(sort, SORTS, worst, "s.id");
            },
            page,
        )
        .await
    }

    /// One service.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn service(&self, id: i64) -> Result<Option<ServiceRow>, StoreError> {
        let mut sql = Sql::new(SELECT);
        sql.push(FROM).and_is("s.id", Some(id));
        self.one(sql).await
    }

    /// The service with this code.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn service_by_code(&self, code: &str) -> Result<Option<ServiceRow>, StoreError> {
        let mut sql = Sql::new(SELECT);
        sql.push(FROM).and_is("s.code", Some(code.to_owned()));
        self.one(sql).await
    }

    /// The layer intents of a service, without their bodies.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn service_intents(&self, service_id: i64) -> Result<Vec<IntentRow>, StoreError> {
        let mut sql =
            Sql::new("SELECT layer, intent_version, hash, updated_at, updated_by FROM service_intents");
        sql.and_is("service_id", Some(service_id)).push("ORDER BY layer");
        self.all(sql).await
    }
}
