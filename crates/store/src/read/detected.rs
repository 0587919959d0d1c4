//! Detected ONUs: seen by an OLT, not planned there.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Which detected ONUs.
#[derive(Debug, Clone, Default)]
pub struct DetectedFilter {
    /// Serial in any notation, or equipment id.
    pub q: String,
    /// Only of this OLT.
    pub olt_id: Option<i64>,
    /// Also those authorised or gone meanwhile.
    pub all: bool,
}

/// A detected ONU, with the service that waits for its serial and the place it is known from, if any.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct DetectedRow {
    pub id: i64,
    pub olt_id: i64,
    pub olt_name: String,
    pub pon: String,
    pub serial: String,
    pub vendor: String,
    pub equipment_id: String,
    pub software_version: String,
    pub hardware_version: String,
    pub state: String,
    pub first_seen_at: i64,
    pub last_seen_at: i64,
    /// The service that expects this serial.
    pub service_id: Option<i64>,
    pub service_code: Option<String>,
    pub customer_name: Option<String>,
    /// The ONU row that already has this serial.
    pub onu_row_id: Option<i64>,
    pub onu_olt_id: Option<i64>,
    pub onu_olt_name: Option<String>,
    pub onu_pon: Option<String>,
    /// Its own OLT, the one that sees it now, does not have it any more.
    pub onu_is_off: bool,
    /// ONUs of services on the same port that the OLT sees no light of, of those that we authorised.
    pub missing_onus: i64,
    /// The first of them.
    pub missing_onu_id: Option<i64>,
    pub missing_serial: Option<String>,
    pub missing_service_code: Option<String>,
}

impl DetectedRow {
    /// It is authorised already, at another place of the OLT that sees it.
    pub fn is_known_here(&self) -> bool {
        self.onu_olt_id == Some(self.olt_id)
    }
}

const SELECT: &str = "SELECT d.id, d.olt_id, t.name AS olt_name, d.pon, d.serial, d.vendor, d.equipment_id, \
     d.software_version, d.hardware_version, d.state, d.first_seen_at, d.last_seen_at, \
     s.id AS service_id, s.code AS service_code, c.name AS customer_name, \
     o.id AS onu_row_id, o.olt_id AS onu_olt_id, t2.name AS onu_olt_name, o.pon AS onu_pon, \
     COALESCE(o.olt_id = d.olt_id AND o.presence = 'not_present' AND o.run_state = 'missing', FALSE) AS onu_is_off, \
     (SELECT COUNT(*) FROM onus n WHERE n.olt_id = d.olt_id AND n.pon = d.pon AND n.removed_at IS NULL \
        AND n.presence = 'not_present' AND n.authorised_at IS NOT NULL AND n.service_id IS NOT NULL) AS missing_onus, \
     m.id AS missing_onu_id, m.serial AS missing_serial, ms.code AS missing_service_code";

const FROM: &str = "FROM detected_onus d JOIN olts t ON t.id = d.olt_id \
     LEFT JOIN services s ON s.id = (SELECT MIN(x.id) FROM services x WHERE x.expected_serial = d.serial \
        AND x.onu_id IS NULL AND x.state <> 'terminated') \
     LEFT JOIN customers c ON c.id = s.customer_id \
     LEFT JOIN onus o ON o.id = (SELECT MAX(y.id) FROM onus y WHERE y.serial = d.serial AND y.removed_at IS NULL) \
     LEFT JOIN olts t2 ON t2.id = o.olt_id \
     LEFT JOIN onus m ON m.id = (SELECT MIN(z.id) FROM onus z WHERE z.olt_id = d.olt_id AND z.pon = d.pon \
        AND z.removed_at IS NULL AND z.presence = 'not_present' AND z.authorised_at IS NOT NULL \
        AND z.service_id IS NOT NULL) \
     LEFT JOIN services ms ON ms.id = m.service_id";

const SORTS: &[(&str, &str)] = &[
    ("serial", "d.serial"),
    ("position", "t.name, d.pon"),
    ("seen", "d.last_seen_at"),
    ("first_seen", "d.first_seen_at"),
    ("type", "d.equipment_id"),
];

fn conditions(filter: &DetectedFilter) -> Sql {
    let mut sql = Sql::new(FROM);
    if !filter.all {
        sql.and("d.state IN ('waiting', 'authorising')");
    }
    sql.and_is("d.olt_id", filter.olt_id);
    let texts = ["d.serial", "d.equipment_id", "c.name", "s.code"];
    sql.and_matches(&["d.serial"], &texts, filter.q.trim());
    sql
}

impl Read<'_> {
    /// Detected ONUs, those with a waiting service first unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn detected_onus(
        &self,
        filter: &DetectedFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<DetectedRow>, StoreError> {
        let order = "CASE WHEN s.id IS NULL THEN 1 ELSE 0 END, d.first_seen_at DESC";
        self.listed(
            SELECT,
            conditions(filter),
            |sql| {
                sql.order(sort, SORTS, order, "d.id");
            },
            page,
        )
        .await
    }

    /// One detected ONU.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn detected_onu(&self, id: i64) -> Result<Option<DetectedRow>, StoreError> {
        let mut sql = Sql::new(SELECT);
        sql.push(FROM).and_is("d.id", Some(id));
        self.one(sql).await
    }
}
