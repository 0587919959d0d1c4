//! OLTs and their PON ports.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Which OLTs.
#[derive(Debug, Clone, Default)]
pub struct OltFilter {
    /// Name, address or vendor profile.
    pub q: String,
    /// What it was last seen doing, e.g. `silent`.
    pub state: Option<String>,
}

/// An OLT without its secrets, with its counts.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct OltRow {
    pub id: i64,
    pub name: String,
    pub vendor_profile: String,
    pub address: String,
    pub port: i64,
    pub protocol: String,
    pub username: String,
    pub legacy_algorithms: bool,
    pub host_key_pin: Option<String>,
    pub has_snmp: bool,
    pub snmp_port: i64,
    pub admin_state: String,
    /// JSON.
    pub defaults: String,
    /// JSON.
    pub observed: String,
    pub observed_state: String,
    pub observed_reason: Option<String>,
    pub observed_at: Option<i64>,
    pub version: i64,
    pub onus: i64,
    pub onus_down: i64,
    pub detected: i64,
}

/// A PON port with its counts.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct PonPortRow {
    pub pon: String,
    pub admin_state: String,
    pub observed_state: String,
    pub observed_at: Option<i64>,
    pub observed_problem: Option<String>,
    pub onus: i64,
    pub onus_online: i64,
    pub detected: i64,
}

const OLT: &str = "SELECT t.id, t.name, t.vendor_profile, t.address, t.port, t.protocol, \
     t.username, t.legacy_algorithms, t.host_key_pin, (t.snmp_community_sealed IS NOT NULL) AS has_snmp, \
     t.snmp_port, t.admin_state, t.defaults, t.observed, t.observed_state, \
     t.observed_reason, t.observed_at, t.version, \
     (SELECT COUNT(*) FROM onus o WHERE o.olt_id = t.id AND o.removed_at IS NULL) AS onus, \
     (SELECT COUNT(*) FROM onus o WHERE o.olt_id = t.id AND o.removed_at IS NULL AND o.presence IN ('not_present', 'emergency_stopped')) AS onus_down, \
     (SELECT COUNT(*) FROM detected_onus d WHERE d.olt_id = t.id AND d.state = 'waiting') AS detected";

const SORTS: &[(&str, &str)] = &[
    ("name", "t.name"),
    ("state", "t.observed_state"),
    ("address", "t.address, t.port"),
    ("onus", "onus"),
    ("down", "onus_down"),
    ("detected", "detected"),
    ("read", "COALESCE(t.observed_at, 0)"),
];

const WORST: &str = "CASE t.observed_state WHEN 'silent' THEN 0 WHEN 'unknown' THEN 1 ELSE 2 END, t.name";

impl Read<'_> {
    /// All OLTs, silent ones first (500 at most).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn olts(&self) -> Result<Vec<OltRow>, StoreError> {
        let mut sql = Sql::new(OLT);
        sql.push(&format!("FROM olts t ORDER BY {WORST}")).page(Page::first(500));
        self.all(sql).await
    }

    /// OLTs as a list, silent ones first unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn olt_list(
        &self,
        filter: &OltFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<OltRow>, StoreError> {
        let mut from = Sql::new("FROM olts t");
        from.and_is("t.observed_state", filter.state.clone());
        from.and_contains(&["t.name", "t.address", "t.vendor_profile"], filter.q.trim());
        self.listed(
            OLT,
            from,
            |sql| {
                sql.order(sort, SORTS, WORST, "t.id");
            },
            page,
        )
        .await
    }

    /// One OLT.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn olt(&self, id: i64) -> Result<Option<OltRow>, StoreError> {
        let mut sql = Sql::new(OLT);
        sql.push("FROM olts t").and_is("t.id", Some(id));
        self.one(sql).await
    }

    /// The PON ports of an OLT, troubled ones first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pon_ports(&self, olt_id: i64) -> Result<Vec<PonPortRow>, StoreError> {
        let mut sql = Sql::new(
            "SELECT r.pon, r.admin_state, r.observed_state, r.observed_at, r.observed_problem, \
             (SELECT COUNT(*) FROM onus o WHERE o.olt_id = r.olt_id AND o.pon = r.pon AND o.removed_at IS NULL) AS onus, \
             (SELECT COUNT(*) FROM onus o WHERE o.olt_id = r.olt_id AND o.pon = r.pon AND o.removed_at IS NULL AND o.presence = 'in_service') AS onus_online, \
             (SELECT COUNT(*) FROM detected_onus d WHERE d.olt_id = r.olt_id AND d.pon = r.pon AND d.state = 'waiting') AS detected \
             FROM pon_ports r",
        );
        sql.and_is("r.olt_id", Some(olt_id)).push("ORDER BY r.pon").page(Page::first(500));
        self.all(sql).await
    }
}
