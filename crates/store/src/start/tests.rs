//! Upgrades from one schema version to the next, with migrations made up for the purpose.

use super::*;
use crate::{Store, error::StoreError, sealing::KeySource};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use sea_orm_migration::prelude::*;

/// The next migration: one statement that works, then one that may not.
struct Second {
    last: &'static str,
    transactional: bool,
}

impl MigrationName for Second {
    fn name(&self) -> &str {
        "9999_second"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Second {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("ALTER TABLE customers ADD COLUMN vat_id text").await?;
        manager.get_connection().execute_unprepared(self.last).await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(self.transactional)
    }
}

fn with_second(last: &'static str, transactional: bool) -> Migrations {
    let mut migrations = migrations::all();
    migrations.push(Box::new(Second { last, transactional }));
    migrations
}

const WORKS: &str = "UPDATE customers SET vat_id = 'DE' || code";
const FAILS: &str = "UPDATE customers SET there_is_no_such_column = 1";

/// A database in the form of this release, with a customer in it.
struct Old {
    _folder: tempfile::TempDir,
    config: StoreConfig,
    raw: DatabaseConnection,
    server: Option<String>,
}

async fn old(url: String, folder: tempfile::TempDir) -> Old {
    let config = StoreConfig::new(url, KeySource::File(folder.path().join("key")));
    Store::migrate(&config).await.expect("the first release");
    let raw = Database::connect(&config.url).await.expect("connects");
    raw.execute_unprepared(
        "INSERT INTO customers (code, name, phone, email, address, note, created_at, version)
         VALUES ('C-1', 'n', '', '', '', '', 1, 1)",
    )
    .await
    .expect("a customer");
    Old { _folder: folder, config, raw, server: None }
}

impl Old {
    async fn upgrade(&self, migrations: &Migrations) -> Result<Report, StartError> {
        let address = Address::parse(&self.config.url)?;
        Ok(prepare_with(&address, &self.config, migrations).await?.0)
    }

    /// Drops the database. Not done when a test fails, so that one can look.
    async fn close(self) {
        let _ = self.raw.close().await;
        if let Some(server) = &self.server {
            let name = self.config.url.rsplit('/').next().expect("a name");
            let admin = Database::connect(server).await.expect("the test server answers");
            let _ = admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
            let _ = admin.close().await;
        }
    }

    async fn text(&self, sql: &str) -> Option<String> {
        let statement = Statement::from_string(self.raw.get_database_backend(), sql);
        let row = self.raw.query_one_raw(statement).await.expect("answers").expect("a row");
        row.try_get_by_index(0).expect("text")
    }
}

async fn olds() -> Vec<Old> {
    let folder = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite://{}", folder.path().join("old.db").display());
    let mut olds = vec![old(url, folder).await];
    if let Ok(server) = std::env::var("LIGHTKEEPER_TEST_POSTGRES") {
        let mut tag = [0u8; 8];
        getrandom::fill(&mut tag).expect("randomness");
        let name = format!("lk_upgrade_{}", hex::encode(tag));
        let admin = Database::connect(&server).await.expect("the test server answers");
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.expect("creates");
        admin.close().await.expect("closes");
        let base = server.rsplit_once('/').expect("an address with a database").0;
        let made = old(format!("{base}/{name}"), tempfile::tempdir().expect("a folder")).await;
        olds.push(Old { server: Some(server), ..made });
    } else {
        println!("skipped: PostgreSQL store tests: LIGHTKEEPER_TEST_POSTGRES not set");
    }
    olds
}

#[tokio::test]
async fn an_older_schema_is_upgraded_with_its_data() {
    for old in olds().await {
        let report = old.upgrade(&with_second(WORKS, true)).await.expect("upgrades");
        let version = migrations::all().len() + 1;
        assert_eq!((report.applied, report.schema_version), (vec!["9999_second".to_owned()], version));
        assert_eq!(old.text("SELECT vat_id FROM customers").await.as_deref(), Some("DEC-1"));
        let again = old.upgrade(&with_second(WORKS, true)).await.expect("starts again");
        assert!(again.applied.is_empty());
        // The older binary does not touch what the newer one made.
        let error = Store::open(old.config.clone()).await.expect_err("refused");
        assert!(
            matches!(&error, StartError::NewerSchema { unknown, known }
                if unknown == &["9999_second"] && *known == migrations::all().len()),
            "{error}"
        );
        old.close().await;
    }
}

#[tokio::test]
async fn a_failing_migration_is_rolled_back_as_a_whole() {
    for old in olds().await {
        let error = old.upgrade(&with_second(FAILS, true)).await.expect_err("fails");
        assert!(
            matches!(&error, StartError::MigrationFailed { migration, .. } if migration == "9999_second"),
            "{error}"
        );
        assert!(error.to_string().contains("there_is_no_such_column"), "{error}");
        assert_eq!(
            old.text("SELECT phase || ' ' || migration FROM schema_state").await.as_deref(),
            migrations::all().last().map(|last| format!("ready {}", last.name())).as_deref()
        );
        // Both the older release and the repaired newer one start on it.
        Store::open(old.config.clone()).await.expect("the older release starts");
        old.upgrade(&with_second(WORKS, true)).await.expect("the repaired release starts");
        old.close().await;
    }
}

#[tokio::test]
async fn a_migration_that_cannot_be_rolled_back_and_dies_is_refused_ever_after() {
    for old in olds().await {
        let error = old.upgrade(&with_second(FAILS, false)).await.expect_err("fails");
        assert!(matches!(error, StartError::MigrationFailed { .. }), "{error}");
        for migrations in [with_second(WORKS, false), migrations::all()] {
            let error = old.upgrade(&migrations).await.expect_err("refused");
            assert!(
                matches!(&error, StartError::HalfApplied { migration, .. } if migration == "9999_second"),
                "{error}"
            );
        }
        old.close().await;
    }
}

#[tokio::test]
async fn a_hole_in_the_record_is_refused() {
    for old in olds().await {
        old.upgrade(&with_second(WORKS, true)).await.expect("upgrades");
        old.raw
            .execute_unprepared("DELETE FROM seaql_migrations WHERE version = '0001_initial'")
            .await
            .expect("deletes");
        let error = old.upgrade(&with_second(WORKS, true)).await.expect_err("refused");
        assert!(
            matches!(&error, StartError::HalfApplied { migration, .. } if migration == "0001_initial"),
            "{error}"
        );
        old.close().await;
    }
}

#[test]
fn a_conflict_on_the_way_in_is_told_as_what_it_is() {
    let error = StartError::from(StoreError::Unavailable { why: "gone".to_owned() }).of("sqlite /srv/lk.db");
    assert_eq!(
        error.to_string(),
        "the database at sqlite /srv/lk.db could not be opened: the database does not answer: gone"
    );
}
