//! Logins, API keys and settings, without any hash or secret.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// A login.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct UserRow {
    pub id: i64,
    pub name: String,
    pub role: String,
    pub active: bool,
    pub must_change: bool,
    pub created_at: i64,
    pub last_login_at: Option<i64>,
}

/// An API key.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct ApiKeyRow {
    pub id: i64,
    pub name: String,
    /// JSON list or words separated by spaces, as stored.
    pub scopes: String,
    pub created_by: String,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub last_used_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

/// A setting.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct SettingRow {
    pub key: String,
    /// JSON.
    pub value: String,
    pub updated_at: i64,
    pub updated_by: String,
}

impl Read<'_> {
    /// All logins by name (500 at most).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn users(&self) -> Result<Vec<UserRow>, StoreError> {
        let mut sql = Sql::new(
            "SELECT u.id, u.name, u.role, u.active, u.must_change, u.created_at, u.last_login_at FROM users u \
             ORDER BY u.active DESC, u.name",
        );
        sql.page(Page::first(500));
        self.all(sql).await
    }

    /// Logins that fit, those that may sign in first unless sorted otherwise; `q` is part of the name or the role.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn user_list(&self, q: &str, sort: &Sort, page: Page) -> Result<Listed<UserRow>, StoreError> {
        let mut from = Sql::new("FROM users u");
        from.and_contains(&["u.name", "u.role"], q.trim());
        let order = [
            ("name", "u.name"),
            ("role", "u.role"),
            ("state", "u.active, u.must_change"),
            ("seen", "u.last_login_at"),
        ];
        self.listed(
            "SELECT u.id, u.name, u.role, u.active, u.must_change, u.created_at, u.last_login_at",
            from,
            |sql| {
                sql.order(sort, &order, "u.active DESC, u.name", "u.id");
            },
            page,
        )
        .await
    }

    /// API keys that fit, those in use first unless sorted otherwise; `q` is part of the name, of what it may do or of who
    /// made it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key_list(
        &self,
        q: &str,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<ApiKeyRow>, StoreError> {
        let mut from = Sql::new("FROM api_keys k");
        from.and_contains(&["k.name", "k.scopes", "k.created_by"], q.trim());
        let order = [("name", "k.name"), ("made", "k.created_at"), ("used", "k.last_used_at")];
        self.listed(
            "SELECT k.id, k.name, k.scopes, k.created_by, k.created_at, k.expires_at, k.last_used_at, k.revoked_at",
            from,
            |sql| {
                let first = "CASE WHEN k.revoked_at IS NULL THEN 0 ELSE 1 END, k.name";
                sql.order(sort, &order, first, "k.id");
            },
            page,
        )
        .await
    }

    /// All API keys, those in use first (500 at most).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        let mut sql = Sql::new(
            "SELECT k.id, k.name, k.scopes, k.created_by, k.created_at, k.expires_at, \
             k.last_used_at, k.revoked_at FROM api_keys k \
             ORDER BY CASE WHEN k.revoked_at IS NULL THEN 0 ELSE 1 END, k.name",
        );
        sql.page(Page::first(500));
        self.all(sql).await
    }

    /// A setting by key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn setting(&self, key: &str) -> Result<Option<SettingRow>, StoreError> {
        let mut sql = Sql::new("SELECT key, value, updated_at, updated_by FROM settings");
        sql.and_is("key", Some(key.to_owned()));
        self.one(sql).await
    }
}
