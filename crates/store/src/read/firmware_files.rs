//! Firmware files that are whole.

use super::{Listed, Page, Read, Sort, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// Which firmware files.
#[derive(Debug, Clone, Default)]
pub struct FirmwareFileFilter {
    /// Part of the name, maker, model, version, checksum or note.
    pub q: String,
    /// Only for this product class.
    pub product_class: Option<String>,
}

/// A firmware file.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct FirmwareFileRow {
    pub id: i64,
    pub name: String,
    pub manufacturer: String,
    pub oui: String,
    pub product_class: String,
    pub hardware_version: String,
    pub software_version: String,
    pub size: i64,
    pub sha256: String,
    pub note: String,
    pub uploaded_by: String,
    pub uploaded_at: i64,
}

const SELECT: &str = "SELECT f.id, f.name, f.manufacturer, f.oui, f.product_class, f.hardware_version, \
     f.software_version, f.size, f.sha256, f.note, f.uploaded_by, f.uploaded_at";

const SORTS: &[(&str, &str)] = &[
    ("name", "f.name"),
    ("model", "f.product_class"),
    ("version", "f.software_version"),
    ("size", "f.size"),
    ("uploaded", "f.uploaded_at"),
];

impl Read<'_> {
    /// Firmware files, the newest first unless sorted otherwise.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn firmware_files(
        &self,
        filter: &FirmwareFileFilter,
        sort: &Sort,
        page: Page,
    ) -> Result<Listed<FirmwareFileRow>, StoreError> {
        let mut from = Sql::new("FROM firmware_files f");
        from.and_is("f.state", Some("ready".to_owned()))
            .and_is("f.product_class", filter.product_class.clone());
        from.and_contains(
            &[
                "f.name",
                "f.manufacturer",
                "f.oui",
                "f.product_class",
                "f.software_version",
                "f.sha256",
                "f.note",
                "f.uploaded_by",
            ],
            filter.q.trim(),
        );
        self.listed(
            SELECT,
            from,
            |sql| {
                sql.order(sort, SORTS, "f.id DESC", "f.id");
            },
            page,
        )
        .await
    }

    /// One firmware file.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn firmware_file(&self, id: i64) -> Result<Option<FirmwareFileRow>, StoreError> {
        let mut sql = Sql::new(SELECT);
        sql.push("FROM firmware_files f")
            .and_is("f.state", Some("ready".to_owned()))
            .and_is("f.id", Some(id));
        self.one(sql).await
    }
}
