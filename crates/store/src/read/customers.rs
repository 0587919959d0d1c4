//! Customers and plans.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Which customers.
#[derive(Debug, Clone, Default)]
pub struct CustomerFilter {
    /// Name, code, phone, e-mail or address.
    pub q: String,
}

/// A customer with the number of services.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct CustomerRow {
    pub id: i64,
    pub code: String,
    pub name: String,
    pub phone: String,
    pub email: String,
    pub address: String,
    pub note: String,
    pub created_at: i64,
    pub version: i64,
    pub services: i64,
}

/// Which plans.
#[derive(Debug, Clone, Default)]
pub struct PlanFilter {
    /// Name or kind of internet access.
    pub q: String,
    /// Only those sold, or only those not.
    pub active: Option<bool>,
}

/// A plan with the number of services on it.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct PlanRow {
    pub id: i64,
    pub name: String,
    pub down_kbps: i64,
    pub up_kbps: i64,
    pub price_minor: i64,
    pub currency: String,
    pub internet_mode: String,
    pub vlan: Option<i64>,
    pub active: bool,
    pub version: i64,
    pub services: i64,
}

const CUSTOMER: &str = "SELECT c.id, c.code, c.name, c.phone, c.email, c.address, c.note, c.created_at, c.version, \
     (SELECT COUNT(*) FROM services s WHERE s.customer_id = c.id AND s.state <> 'terminated') AS services";

const PLAN: &str = "SELECT l.id, l.name, l.down_kbps, l.up_kbps, \
     l.price_minor, l.currency, l.internet_mode, l.vlan, \
     l.active, l.version, \
     (SELECT COUNT(*) FROM services s WHERE s.plan_id = l.id AND s.state <> 'terminated') AS services";

const PLAN_SORTS: &[(&str, &str)] = &[
    ("name", "l.name"),
    ("state", "l.active"),
    ("down", "l.down_kbps"),
    ("up", "l.up_kbps"),
    ("price", "l.currency, l.price_minor"),
    ("services", "services"),
];

const SORTS: &[(&str, &str)] =
    &[("name", "c.name"), ("code", "c.code"), ("created", "c.created_at"), ("phone", "c.phone")];

impl Read<'_> {
    /// Customers by name unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customers(
        &self,
        filter: &CustomerFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<CustomerRow>, StoreError> {
        let mut from = Sql::new("FROM customers c");
        from.and_contains(&["c.name", "c.code", "c.phone", "c.email", "c.address"], filter.q.trim());
        self.listed(
            CUSTOMER,
            from,
            |sql| {
                sql.order(sort, SORTS, "c.name", "c.id");
            },
            page,
        )
        .await
    }

    /// One customer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer(&self, id: i64) -> Result<Option<CustomerRow>, StoreError> {
        let mut sql = Sql::new(CUSTOMER);
        sql.push("FROM customers c").and_is("c.id", Some(id));
        self.one(sql).await
    }

    /// All plans by name; there are dozens, not thousands (500 at most).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plans(&self) -> Result<Vec<PlanRow>, StoreError> {
        let mut sql = Sql::new(PLAN);
        sql.push("FROM plans l ORDER BY l.active DESC, l.name").page(Page::first(500));
        self.all(sql).await
    }

    /// Plans as a list: those sold first, by name, unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan_list(
        &self,
        filter: &PlanFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<PlanRow>, StoreError> {
        let mut from = Sql::new("FROM plans l");
        from.and_is("l.active", filter.active);
        from.and_contains(&["l.name", "l.internet_mode"], filter.q.trim());
        self.listed(
            PLAN,
            from,
            |sql| {
                sql.order(sort, PLAN_SORTS, "l.active DESC, l.name", "l.id");
            },
            page,
        )
        .await
    }

    /// One plan.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn plan(&self, id: i64) -> Result<Option<PlanRow>, StoreError> {
        let mut sql = Sql::new(PLAN);
        sql.push("FROM plans l").and_is("l.id", Some(id));
        self.one(sql).await
    }
}
