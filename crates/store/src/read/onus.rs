//! ONUs: one row = place, line, customer, CPE.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Which ONUs.
#[derive(Debug, Clone, Default)]
pub struct OnuFilter {
    /// Serial in any notation, description, service code, customer name or PPPoE login.
    pub q: String,
    /// Also those that were removed.
    pub removed: bool,
    /// Only of this OLT.
    pub olt_id: Option<i64>,
    /// Only on this PON, `f/s/p`.
    pub pon: Option<String>,
    /// As stored, e.g. `in_service` or `not_present`.
    pub presence: Option<String>,
    /// A saved view: `down`, `weak`, `cpe_not_active`, `unlinked`; anything else is everything.
    pub view: String,
}

/// An ONU with what it hangs on and whom it serves.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)] // the columns of the tables they come from
pub struct OnuRow {
    pub id: i64,
    pub olt_id: i64,
    pub olt_name: String,
    pub pon: String,
    pub onu_id: i64,
    /// 16 hex digits.
    pub serial: String,
    pub description: String,
    pub admin_state: String,
    pub sync_state: String,
    pub presence: String,
    pub run_state: String,
    pub last_down_cause: Option<String>,
    pub rx_onu_cdbm: Option<i64>,
    pub rx_olt_cdbm: Option<i64>,
    pub distance_m: Option<i64>,
    /// JSON: everything else that was read.
    pub observed: String,
    pub observed_at: Option<i64>,
    pub authorised_at: Option<i64>,
    /// When it was taken off its OLT.
    pub removed_at: Option<i64>,
    pub task_id: Option<i64>,
    pub service_id: Option<i64>,
    pub service_code: Option<String>,
    pub service_state: Option<String>,
    pub customer_id: Option<i64>,
    pub customer_name: Option<String>,
    pub cpe_id: Option<i64>,
    pub cpe_state: Option<String>,
    pub cpe_state_since: Option<i64>,
    pub cpe_reason_code: Option<String>,
    pub cpe_reason_text: Option<String>,
    pub cpe_model: Option<String>,
}

const SELECT: &str = "SELECT o.id, o.olt_id, t.name AS olt_name, o.pon, o.onu_id, o.serial, \
     o.description, o.admin_state, o.sync_state, o.presence, o.run_state, o.last_down_cause, \
     o.rx_onu_cdbm, o.rx_olt_cdbm, o.distance_m, o.observed, o.observed_at, o.authorised_at, o.removed_at, o.task_id, \
     s.id AS service_id, s.code AS service_code, s.state AS service_state, \
     c.id AS customer_id, c.name AS customer_name, \
     p.id AS cpe_id, p.state AS cpe_state, p.state_since AS cpe_state_since, p.reason_code AS cpe_reason_code, \
     p.reason_text AS cpe_reason_text, p.model AS cpe_model";

const FROM: &str = "FROM onus o JOIN olts t ON t.id = o.olt_id LEFT JOIN services s ON s.id = o.service_id \
     LEFT JOIN customers c ON c.id = s.customer_id LEFT JOIN cpes p ON p.id = s.cpe_id";

const SORTS: &[(&str, &str)] = &[
    ("serial", "o.serial"),
    ("customer", "c.name"),
    ("position", "t.name, o.pon, o.onu_id"),
    ("rx_onu", "COALESCE(o.rx_onu_cdbm, 32767)"),
    ("rx_olt", "COALESCE(o.rx_olt_cdbm, 32767)"),
    ("cpe", "p.state"),
    ("read", "COALESCE(o.observed_at, 0)"),
    ("authorised", "COALESCE(o.authorised_at, 0)"),
];

/// Presences of an ONU that does not carry its service.
pub(super) const DOWN: &str = "IN ('not_present', 'emergency_stopped')";

/// How many ONUs each saved view holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromQueryResult)]
pub struct OnuViews {
    /// Everything planned.
    pub all_onus: i64,
    /// Not present.
    pub down: i64,
    /// Weaker than −25 dBm at the ONU.
    pub weak: i64,
    /// With a service whose CPE is not active.
    pub cpe_not_active: i64,
    /// Without a service.
    pub unlinked: i64,
}

/// Weaker than this at the ONU is a warning (hundredths of dBm).
pub(super) const WEAK_CDBM: i64 = -2500;

fn conditions(filter: &OnuFilter) -> Sql {
    let mut sql = Sql::new(FROM);
    if !filter.removed {
        sql.and("o.removed_at IS NULL");
    }
    sql.and_is("o.olt_id", filter.olt_id);
    sql.and_is("o.pon", filter.pon.clone());
    sql.and_is("o.presence", filter.presence.clone());
    view(&mut sql, &filter.view);
    let texts = ["o.description", "c.name", "s.code", "s.pppoe_login", "o.serial"];
    sql.and_matches(&["o.serial"], &texts, filter.q.trim());
    sql
}

fn view(sql: &mut Sql, view: &str) {
    match view {
        "down" => {
            sql.and(&format!("o.presence {DOWN}"));
        }
        "weak" => {
            sql.and("o.rx_onu_cdbm <").bind(WEAK_CDBM);
        }
        "cpe_not_active" => {
            sql.and("o.service_id IS NOT NULL AND (p.state IS NULL OR p.state <> 'ACTIVE')");
        }
        "unlinked" => {
            sql.and("o.service_id IS NULL");
        }
        _ => {}
    }
}

impl Read<'_> {
    /// ONUs, those in trouble first unless sorted otherwise: without light, with a failed CPE, with too little light.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn onus(
        &self,
        filter: &OnuFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<OnuRow>, StoreError> {
        let worst = "CASE WHEN o.presence IN ('not_present', 'emergency_stopped') THEN 0 WHEN o.presence = 'in_service' THEN 2 ELSE 1 END, \
             CASE WHEN p.state = 'FAILED' THEN 0 WHEN o.rx_onu_cdbm < -2700 THEN 1 \
             WHEN p.state = 'ACTIVE' AND COALESCE(o.rx_onu_cdbm, 0) >= -2500 THEN 3 ELSE 2 END, t.name, o.pon, o.onu_id";
        self.listed(
            SELECT,
            conditions(filter),
            |sql| {
                sql.order(sort, SORTS, worst, "o.id");
            },
            page,
        )
        .await
    }

    /// How many ONUs each saved view holds, in one pass.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn onu_views(&self, olt_id: Option<i64>) -> Result<OnuViews, StoreError> {
        let mut sql = Sql::new("SELECT COUNT(*) AS all_onus,");
        sql.push(&format!("COUNT(CASE WHEN o.presence {DOWN} THEN 1 END) AS down,"));
        sql.push("COUNT(CASE WHEN o.rx_onu_cdbm <").bind(WEAK_CDBM).push("THEN 1 END) AS weak,");
        sql.push(
            "COUNT(CASE WHEN o.service_id IS NOT NULL AND (p.state IS NULL OR p.state <> 'ACTIVE') THEN 1 END) \
             AS cpe_not_active, COUNT(CASE WHEN o.service_id IS NULL THEN 1 END) AS unlinked \
             FROM onus o LEFT JOIN services s ON s.id = o.service_id LEFT JOIN cpes p ON p.id = s.cpe_id",
        );
        sql.and("o.removed_at IS NULL").and_is("o.olt_id", olt_id);
        Ok(self.one(sql).await?.unwrap_or_default())
    }

    /// How many ONUs a filter holds.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn onu_count(&self, filter: &OnuFilter) -> Result<u64, StoreError> {
        let mut sql = Sql::new("SELECT COUNT(*) AS n");
        sql.append(&conditions(filter));
        self.number(sql).await
    }

    /// One ONU.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn onu(&self, id: i64) -> Result<Option<OnuRow>, StoreError> {
        let mut sql = Sql::new(SELECT);
        sql.push(FROM).and_is("o.id", Some(id));
        self.one(sql).await
    }
}
