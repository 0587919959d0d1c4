//! CPE models and their firmwares: who runs what, which family that is, and what was learned.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Which models.
#[derive(Debug, Clone, Default)]
pub struct ModelFilter {
    /// Part of maker, model, product class or OUI.
    pub q: String,
    /// Only those with devices of this family.
    pub family: Option<String>,
    /// Only those with an operator's override, or only those without.
    pub overridden: Option<bool>,
    /// Only those whose devices refused an override.
    pub refused: bool,
}

/// A model: everything that calls itself by one OUI and product class.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct ModelRow {
    /// Id of its first firmware; stands for the model.
    pub id: i64,
    pub oui: String,
    pub product_class: String,
    pub manufacturer: String,
    pub model: String,
    pub data_model: String,
    pub firmwares: i64,
    pub devices: i64,
    /// Of them those whose family is proved by what they have.
    pub proved: i64,
    /// First and last family in use by name; the same where there is one.
    pub family_first: Option<String>,
    pub family_last: Option<String>,
    pub overrides: i64,
    /// Devices that refused an override.
    pub refused: i64,
    pub first_seen_at: i64,
    /// A device of it was last proved to be of its family.
    pub proved_at: Option<i64>,
}

/// A firmware of a model.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct FirmwareRow {
    pub id: i64,
    pub oui: String,
    pub product_class: String,
    pub software_version: String,
    pub manufacturer: String,
    pub model: String,
    pub data_model: String,
    pub first_seen_at: i64,
    pub family: Option<String>,
    pub family_reason: String,
    pub family_by: String,
    pub family_since: Option<i64>,
    pub devices: i64,
}

/// How many devices of a firmware are of which family, and how that is known.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct FamilyCount {
    pub software_version: String,
    pub profile_id: Option<String>,
    pub profile_known: String,
    pub devices: i64,
    /// The last of them since.
    pub last_at: Option<i64>,
}

/// What devices of a firmware said to an override.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct RefusalRow {
    pub software_version: String,
    pub family_refused: String,
    pub devices: i64,
}

/// Something that devices of a firmware taught by being tried.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct LessonRow {
    pub software_version: String,
    pub path: String,
    pub fact: String,
    pub units: i64,
    pub first_at: i64,
    pub last_at: i64,
    /// One of the units.
    pub cpe_id: i64,
}

/// Devices per firmware are counted from an index; models are few, so the whole is cheap even with many devices.
const FROM: &str = "FROM (SELECT MIN(f.id) AS id, f.oui, f.product_class, MAX(f.manufacturer) AS manufacturer, \
     MAX(f.model) AS model, MAX(f.data_model) AS data_model, COUNT(*) AS firmwares, COUNT(f.family) AS overrides, \
     MIN(f.first_seen_at) AS first_seen_at, CAST(COALESCE(SUM(d.devices), 0) AS bigint) AS devices, \
     CAST(COALESCE(SUM(d.proved), 0) AS bigint) AS proved, MIN(d.family_first) AS family_first, \
     MAX(d.family_last) AS family_last, MAX(d.proved_at) AS proved_at, \
     CAST(COALESCE(SUM(r.refused), 0) AS bigint) AS refused \
     FROM cpe_firmwares f \
     LEFT JOIN (SELECT oui, product_class, software_version, COUNT(*) AS devices, \
       SUM(CASE WHEN profile_known = 'probed' THEN 1 ELSE 0 END) AS proved, MIN(profile_id) AS family_first, \
       MAX(profile_id) AS family_last, MAX(CASE WHEN profile_known = 'probed' THEN profile_at END) AS proved_at \
       FROM cpes GROUP BY oui, product_class, software_version) d \
     ON d.oui = f.oui AND d.product_class = f.product_class AND d.software_version = f.software_version \
     LEFT JOIN (SELECT oui, product_class, software_version, COUNT(*) AS refused FROM cpes \
       WHERE family_refused IS NOT NULL GROUP BY oui, product_class, software_version) r \
     ON r.oui = f.oui AND r.product_class = f.product_class AND r.software_version = f.software_version \
     GROUP BY f.oui, f.product_class) m";

const SELECT: &str = "SELECT m.id, m.oui, m.product_class, m.manufacturer, m.model, m.data_model, m.firmwares, \
     m.devices, m.proved, m.family_first, m.family_last, m.overrides, m.refused, m.first_seen_at, m.proved_at";

const SORTS: &[(&str, &str)] = &[
    ("model", "m.model"),
    ("maker", "m.manufacturer"),
    ("family", "COALESCE(m.family_first, '')"),
    ("firmwares", "m.firmwares"),
    ("devices", "m.devices"),
    ("seen", "m.first_seen_at"),
    ("proved", "COALESCE(m.proved_at, 0)"),
];

const FIRMWARE: &str = "SELECT f.id, f.oui, f.product_class, f.software_version, f.manufacturer, f.model, \
     f.data_model, f.first_seen_at, f.family, f.family_reason, f.family_by, f.family_since, \
     (SELECT COUNT(*) FROM cpes p WHERE p.oui = f.oui AND p.product_class = f.product_class \
      AND p.software_version = f.software_version) AS devices";

impl Read<'_> {
    /// Models, those with most devices first unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn models(
        &self,
        filter: &ModelFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<ModelRow>, StoreError> {
        let mut from = Sql::new(FROM);
        if let Some(family) = &filter.family {
            from.and(
                "EXISTS (SELECT 1 FROM cpes p WHERE p.oui = m.oui AND p.product_class = m.product_class \
                 AND p.profile_id =",
            )
            .bind(family.clone())
            .push(")");
        }
        match filter.overridden {
            Some(true) => drop(from.and("m.overrides > 0")),
            Some(false) => drop(from.and("m.overrides = 0")),
            None => {}
        }
        if filter.refused {
            from.and("m.refused > 0");
        }
        from.and_contains(&["m.manufacturer", "m.model", "m.product_class", "m.oui"], filter.q.trim());
        self.listed(
            SELECT,
            from,
            |sql| {
                sql.order(sort, SORTS, "CASE WHEN m.refused > 0 THEN 0 ELSE 1 END, m.devices DESC", "m.id");
            },
            page,
        )
        .await
    }

    /// One firmware.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn firmware(&self, id: i64) -> Result<Option<FirmwareRow>, StoreError> {
        let mut sql = Sql::new(FIRMWARE);
        sql.push("FROM cpe_firmwares f").and_is("f.id", Some(id));
        self.one(sql).await
    }

    /// The firmwares of a model, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn firmwares(
        &self,
        oui: &str,
        product_class: &str,
        page: Page,
    ) -> Result<Listed<FirmwareRow>, StoreError> {
        let mut from = Sql::new("FROM cpe_firmwares f");
        from.and_is("f.oui", Some(oui.to_owned())).and_is("f.product_class", Some(product_class.to_owned()));
        self.listed(
            FIRMWARE,
            from,
            |sql| {
                sql.push("ORDER BY f.id DESC");
            },
            page,
        )
        .await
    }

    /// Of which families the devices of a model are, firmware by firmware, most devices first; 1,000 lines at most.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn family_counts(
        &self,
        oui: &str,
        product_class: &str,
    ) -> Result<Vec<FamilyCount>, StoreError> {
        let mut sql = Sql::new(
            "SELECT software_version, profile_id, profile_known, COUNT(*) AS devices, MAX(profile_at) AS last_at \
             FROM cpes",
        );
        sql.and_is("oui", Some(oui.to_owned())).and_is("product_class", Some(product_class.to_owned()));
        sql.push("GROUP BY software_version, profile_id, profile_known");
        sql.push("ORDER BY COUNT(*) DESC, software_version, profile_known LIMIT 1000");
        self.all(sql).await
    }

    /// What devices of a model said to overrides, 100 lines at most.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refusals(&self, oui: &str, product_class: &str) -> Result<Vec<RefusalRow>, StoreError> {
        let mut sql = Sql::new("SELECT software_version, family_refused, COUNT(*) AS devices FROM cpes");
        sql.and_is("oui", Some(oui.to_owned())).and_is("product_class", Some(product_class.to_owned()));
        sql.and("family_refused IS NOT NULL");
        sql.push("GROUP BY software_version, family_refused");
        sql.push("ORDER BY COUNT(*) DESC, software_version, family_refused LIMIT 100");
        self.all(sql).await
    }

    /// What devices of a model taught, what most units agree on first; 500 lines at most.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn lessons(&self, oui: &str, product_class: &str) -> Result<Vec<LessonRow>, StoreError> {
        let mut sql = Sql::new(
            "SELECT software_version, path, fact, COUNT(*) AS units, MIN(at) AS first_at, MAX(at) AS last_at, \
             MAX(cpe_id) AS cpe_id FROM learned",
        );
        sql.and_is("oui", Some(oui.to_owned())).and_is("product_class", Some(product_class.to_owned()));
        sql.push("GROUP BY software_version, path, fact");
        sql.push("ORDER BY COUNT(*) DESC, software_version, path, fact LIMIT 500");
        self.all(sql).await
    }
}
