//! CPEs as programs walk them: by id, a part at a time, with only the parameters that are wanted.

use super::{ParameterRow, Read, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;
use std::collections::BTreeMap;
use types::names_a_secret;

/// Which devices; those that have never said who they are do not count.
#[derive(Debug, Clone, Default)]
pub struct DeviceFilter {
    /// Only these: OUI, product class and serial number as CWMP says.
    pub identities: Option<Vec<(String, String, String)>>,
    /// Informed at or after this time.
    pub informed_from: Option<i64>,
    /// Informed at or before this time.
    pub informed_until: Option<i64>,
    /// With one of these tags.
    pub tags: Option<Vec<String>>,
}

/// A device without its parameters.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct DeviceRow {
    pub id: i64,
    pub oui: String,
    pub product_class: String,
    pub serial_number: String,
    pub manufacturer: String,
    pub last_inform_at: Option<i64>,
    pub created_at: i64,
}

/// Which parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Branches {
    /// Every one.
    All,
    /// Those at or below these paths.
    Below(Vec<String>),
    /// Exactly these.
    Exactly(Vec<String>),
}

/// A parameter of one of several devices.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct DeviceParameterRow {
    pub cpe_id: i64,
    pub path: String,
    pub value: String,
    pub kind: String,
    pub writable: Option<bool>,
    pub read_at: i64,
}

/// A tag of one of several devices.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct TagRow {
    pub cpe_id: i64,
    pub tag: String,
    pub set_by: String,
    pub set_at: i64,
}

/// When a device started last, as far as its kept sessions tell.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct BootRow {
    pub cpe_id: i64,
    pub boot_at: Option<i64>,
    pub bootstrap_at: Option<i64>,
}

/// A fault that stands, with the device it happened to.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct StandingFaultRow {
    pub id: i64,
    pub at: i64,
    pub class: String,
    pub code: i64,
    pub text: String,
    pub path: String,
    pub rpc: String,
    pub reason_code: String,
    /// The order that failed by it, where it is one's, and when that was given.
    pub order_id: Option<i64>,
    pub order_created_at: Option<i64>,
    pub cpe_id: i64,
    pub oui: String,
    pub product_class: String,
    pub serial_number: String,
}

/// A device order that stands, with the device it is for.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct StandingOrderRow {
    pub id: i64,
    pub kind: String,
    pub shown: String,
    pub state: String,
    pub text: String,
    pub warning: String,
    pub fault_code: i64,
    pub fault_text: String,
    pub created_at: i64,
    pub expires_at: i64,
    pub dismissed_at: Option<i64>,
    pub cpe_id: i64,
    pub oui: String,
    pub product_class: String,
    pub serial_number: String,
}

#[derive(FromQueryResult)]
struct SourceRow {
    path: String,
    source: String,
}

#[derive(FromQueryResult)]
struct IdRow {
    id: i64,
}

const DEVICE: &str =
    "SELECT p.id, p.oui, p.product_class, p.serial_number, p.manufacturer, p.last_inform_at, p.created_at";
/// A fault and the end of the order that failed by it are of one step, so of one moment.
const FAULT: &str = "SELECT f.id, f.at, f.class, f.code, f.text, f.path, f.rpc, f.reason_code, \
     (SELECT MIN(o.id) FROM device_orders o WHERE f.reason_code = 'order_failed' AND o.cpe_id = f.cpe_id \
     AND o.ended_at = f.at AND o.fault_code = f.code AND o.state = 'failed') AS order_id, \
     (SELECT MIN(o.created_at) FROM device_orders o WHERE f.reason_code = 'order_failed' AND o.cpe_id = f.cpe_id \
     AND o.ended_at = f.at AND o.fault_code = f.code AND o.state = 'failed') AS order_created_at, \
     f.cpe_id, p.oui, p.product_class, p.serial_number";

const ORDER: &str = "SELECT o.id, o.kind, o.shown, o.state, o.text, o.warning, o.fault_code, o.fault_text, o.created_at, \
     o.expires_at, o.dismissed_at, o.cpe_id, p.oui, p.product_class, p.serial_number";

fn devices(filter: &DeviceFilter) -> Sql {
    let mut sql = Sql::new("FROM cpes p");
    // What an authorisation makes before its device has spoken.
    sql.and("(p.oui <> '' OR p.product_class <> '')");
    if let Some(identities) = &filter.identities {
        sql.and("(1 = 0");
        for (oui, product_class, serial_number) in identities {
            sql.push("OR (p.oui =").bind(oui.clone());
            sql.push("AND p.product_class =").bind(product_class.clone());
            sql.push("AND p.serial_number =").bind(serial_number.clone()).push(")");
        }
        sql.push(")");
    }
    if let Some(from) = filter.informed_from {
        sql.and("p.last_inform_at >=").bind(from);
    }
    if let Some(until) = filter.informed_until {
        sql.and("p.last_inform_at <=").bind(until);
    }
    if let Some(tags) = &filter.tags {
        let mut tagged = Sql::new("SELECT t.cpe_id FROM cpe_tags t");
        tagged.and_in("t.tag", tags.iter().cloned());
        sql.and("p.id IN (").append_nested(&tagged).push(")");
    }
    sql
}

/// A fault stands until its device works again, which is known when it became ACTIVE after it, or until somebody took note
/// of it.
fn standing(cpe_id: Option<i64>) -> Sql {
    let mut sql = Sql::new("FROM cpe_faults f JOIN cpes p ON p.id = f.cpe_id");
    sql.and("(p.state <> 'ACTIVE' OR f.at > p.state_since)").and("f.dismissed_at IS NULL");
    sql.and_is("f.cpe_id", cpe_id);
    sql
}

/// An order stands while it is open, and when it was not carried out until somebody took note of that. In these very
/// words, or the index on what stands is of no use.
fn standing_orders(cpe_id: Option<i64>) -> Sql {
    let mut sql = Sql::new("FROM device_orders o JOIN cpes p ON p.id = o.cpe_id");
    sql.and("o.dismissed_at IS NULL")
        .and("o.state <> 'done'")
        .and("o.state <> 'accepted'")
        .and("o.state <> 'cancelled'");
    sql.and_is("o.cpe_id", cpe_id);
    sql
}

impl Read<'_> {
    /// How many devices fit.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn device_count(&self, filter: &DeviceFilter) -> Result<u64, StoreError> {
        let mut sql = Sql::new("SELECT COUNT(*) AS n");
        sql.append(&devices(filter));
        self.number(sql).await
    }

    /// Devices that fit with an id above `after`, by id, without the first `skip` of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn devices_after(
        &self,
        filter: &DeviceFilter,
        after: i64,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<DeviceRow>, StoreError> {
        let mut sql = Sql::new(DEVICE);
        sql.append(&devices(filter))
            .and("p.id >")
            .bind(after)
            .push("ORDER BY p.id LIMIT")
            .bind(i64::from(limit));
        if skip > 0 {
            sql.push("OFFSET").bind(i64::try_from(skip).unwrap_or(i64::MAX));
        }
        self.all(sql).await
    }

    /// These devices, in no order; those that are gone are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn devices_of(&self, ids: &[i64]) -> Result<Vec<DeviceRow>, StoreError> {
        let mut sql = Sql::new(DEVICE);
        sql.push("FROM cpes p").and_in("p.id", ids.iter().copied());
        self.all(sql).await
    }

    /// Parameters of these devices, by device and path; secrets without a value, whatever was stored of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn device_parameters(
        &self,
        ids: &[i64],
        which: &Branches,
    ) -> Result<Vec<DeviceParameterRow>, StoreError> {
        let mut sql = Sql::new("SELECT cpe_id, path, value, kind, writable, read_at FROM cpe_parameters");
        sql.and_in("cpe_id", ids.iter().copied());
        match which {
            Branches::All => {}
            Branches::Exactly(paths) => drop(sql.and_in("path", paths.iter().cloned())),
            Branches::Below(branches) => {
                sql.and("(1 = 0");
                for branch in branches {
                    let below = format!("{branch}.");
                    sql.push("OR path =").bind(branch.clone());
                    sql.push(&format!("OR substr(path, 1, {}) =", below.chars().count())).bind(below);
                }
                sql.push(")");
            }
        }
        sql.push("ORDER BY cpe_id, path");
        let mut rows: Vec<DeviceParameterRow> = self.all(sql).await?;
        for row in rows.iter_mut().filter(|row| names_a_secret(&row.path)) {
            row.value.clear();
        }
        Ok(rows)
    }

    /// Which of these parameters of a device are somebody else's word, and whose: path and source.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn parameter_sources(
        &self,
        cpe_id: i64,
        rows: &[ParameterRow],
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let mut sql = Sql::new("SELECT path, source FROM cpe_parameters");
        sql.and_is("cpe_id", Some(cpe_id))
            .and("source <> ''")
            .and_in("path", rows.iter().map(|row| row.path.clone()));
        Ok(self.all::<SourceRow>(sql).await?.into_iter().map(|row| (row.path, row.source)).collect())
    }

    /// Which of these paths of a device, by their place in the list, have something known below them. At most one row is
    /// answered for each.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn objects_among(&self, cpe_id: i64, paths: &[String]) -> Result<Vec<usize>, StoreError> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut sql = Sql::new("");
        for (n, path) in paths.iter().enumerate() {
            let below = format!("{path}.");
            sql.push(if n == 0 { "SELECT" } else { "UNION ALL SELECT" });
            sql.push(&format!(
                "CAST({n} AS BIGINT) AS id WHERE EXISTS (SELECT 1 FROM cpe_parameters WHERE cpe_id ="
            ));
            sql.bind(cpe_id);
            sql.push(&format!("AND substr(path, 1, {}) =", below.chars().count())).bind(below).push(")");
        }
        let rows: Vec<IdRow> = self.all(sql).await?;
        Ok(rows.into_iter().filter_map(|row| usize::try_from(row.id).ok()).collect())
    }

    /// Tags of these devices, by device and word.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn device_tags(&self, ids: &[i64]) -> Result<Vec<TagRow>, StoreError> {
        let mut sql = Sql::new("SELECT cpe_id, tag, set_by, set_at FROM cpe_tags");
        sql.and_in("cpe_id", ids.iter().copied()).push("ORDER BY cpe_id, tag");
        self.all(sql).await
    }

    /// When these devices started last, as far as their kept sessions tell.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn device_boots(&self, ids: &[i64]) -> Result<Vec<BootRow>, StoreError> {
        let mut sql = Sql::new(
            "SELECT cpe_id, MAX(CASE WHEN events LIKE '%1 BOOT%' THEN began_at END) AS boot_at, \
             MAX(CASE WHEN events LIKE '%0 BOOTSTRAP%' THEN began_at END) AS bootstrap_at FROM cpe_sessions",
        );
        sql.and_in("cpe_id", ids.iter().copied()).push("GROUP BY cpe_id");
        self.all(sql).await
    }

    /// How many faults stand, of one device or of all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn standing_fault_count(&self, cpe_id: Option<i64>) -> Result<u64, StoreError> {
        let mut sql = Sql::new("SELECT COUNT(*) AS n");
        sql.append(&standing(cpe_id));
        self.number(sql).await
    }

    /// Faults that stand with an id above `after`, by id, without the first `skip` of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn standing_faults_after(
        &self,
        cpe_id: Option<i64>,
        after: i64,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<StandingFaultRow>, StoreError> {
        let mut sql = Sql::new(FAULT);
        sql.append(&standing(cpe_id))
            .and("f.id >")
            .bind(after)
            .push("ORDER BY f.id LIMIT")
            .bind(i64::from(limit));
        if skip > 0 {
            sql.push("OFFSET").bind(i64::try_from(skip).unwrap_or(i64::MAX));
        }
        self.all(sql).await
    }

    /// These faults, in no order, whether they still stand or not; those that are gone are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn faults_of(&self, ids: &[i64]) -> Result<Vec<StandingFaultRow>, StoreError> {
        let mut sql = Sql::new(FAULT);
        sql.push("FROM cpe_faults f JOIN cpes p ON p.id = f.cpe_id").and_in("f.id", ids.iter().copied());
        self.all(sql).await
    }

    /// How many device orders stand, of one device or of all.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn standing_order_count(&self, cpe_id: Option<i64>) -> Result<u64, StoreError> {
        let mut sql = Sql::new("SELECT COUNT(*) AS n");
        sql.append(&standing_orders(cpe_id));
        self.number(sql).await
    }

    /// Device orders that stand with an id above `after`, by id, without the first `skip` of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn standing_orders_after(
        &self,
        cpe_id: Option<i64>,
        after: i64,
        skip: u64,
        limit: u32,
    ) -> Result<Vec<StandingOrderRow>, StoreError> {
        let mut sql = Sql::new(ORDER);
        sql.append(&standing_orders(cpe_id))
            .and("o.id >")
            .bind(after)
            .push("ORDER BY o.id LIMIT")
            .bind(i64::from(limit));
        if skip > 0 {
            sql.push("OFFSET").bind(i64::try_from(skip).unwrap_or(i64::MAX));
        }
        self.all(sql).await
    }

    /// These device orders, in no order, whether they still stand or not; those that are gone are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn orders_of(&self, ids: &[i64]) -> Result<Vec<StandingOrderRow>, StoreError> {
        let mut sql = Sql::new(ORDER);
        sql.push("FROM device_orders o JOIN cpes p ON p.id = o.cpe_id").and_in("o.id", ids.iter().copied());
        self.all(sql).await
    }

    /// The device that calls itself so.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn device_id(
        &self,
        oui: &str,
        product_class: &str,
        serial_number: &str,
    ) -> Result<Option<i64>, StoreError> {
        let mut sql = Sql::new("SELECT p.id FROM cpes p");
        sql.and_is("p.oui", Some(oui.to_owned()))
            .and_is("p.product_class", Some(product_class.to_owned()))
            .and_is("p.serial_number", Some(serial_number.to_owned()));
        Ok(self.one::<IdRow>(sql).await?.map(|row| row.id))
    }
}
