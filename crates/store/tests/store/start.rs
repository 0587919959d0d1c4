//! Starting: migrate once, and refuse with a sentence whatever is not right, changing nothing.

use crate::bed::Bed;
use sea_orm::ConnectionTrait;
use store::{KeySource, SchemaProblem, SealingKey, StartError, Store, rows::Customer};

on_both! {
    a_fresh_database_is_migrated_and_a_second_start_does_nothing,
    check_changes_nothing_and_migrate_is_enough,
    two_nodes_starting_at_once_migrate_one_after_the_other,
    a_newer_schema_is_refused,
    a_missing_table_of_each_part_is_named,
    a_missing_and_a_changed_column_are_named,
    a_missing_unique_index_is_named,
    a_half_applied_migration_is_refused,
    tables_without_a_record_are_refused,
    a_foreign_table_is_left_alone,
    a_wrong_or_missing_key_is_refused,
    the_key_file_is_made_once_and_kept_private,
    an_unusable_key_file_is_refused,
    the_unique_indexes_we_check_are_those_of_the_migrations,
}

async fn refusal(bed: &Bed) -> String {
    let before = schema(bed).await;
    let error = bed.try_open().await.expect_err("the start is refused").to_string();
    assert_eq!(before, schema(bed).await, "a refused start changes nothing");
    error
}

/// Every migration, oldest first. One that was released keeps its name and its place.
const MIGRATIONS: &[&str] = &[
    "0001_initial",
    "0002_pon_problems",
    "0003_lease_tokens",
    "0004_cpe_firmwares",
    "0005_refused_addresses",
    "0006_claimed_serials",
    "0007_task_claims",
    "0008_plan_profiles",
    "0009_fault_groups",
    "0010_cpe_tags",
    "0011_device_orders",
    "0012_parameter_sources",
    "0013_empty_secrets",
    "0014_recordings",
    "0015_dismissed_orders",
    "0016_order_findings",
    "0017_call_facts",
    "0018_firmware_files",
    "0019_order_services",
    "0020_empty_configurations",
    "0021_firmware_processes",
    "0022_cpe_claimants",
];

/// Everything the schema says about itself, as text.
async fn schema(bed: &Bed) -> Vec<String> {
    let sql = if bed.is_postgres() {
        "SELECT table_name || '.' || column_name || ' ' || data_type || is_nullable FROM information_schema.columns
         WHERE table_schema = 'public' ORDER BY 1"
    } else {
        "SELECT coalesce(sql, name) FROM sqlite_master ORDER BY 1"
    };
    bed.ask(sql).await.iter().map(|row| row.try_get_by_index(0).expect("text")).collect()
}

async fn a_fresh_database_is_migrated_and_a_second_start_does_nothing(bed: &Bed) {
    let report = Store::migrate(&bed.config()).await.expect("migrates");
    assert_eq!(report.applied, MIGRATIONS);
    assert_eq!(report.schema_version, MIGRATIONS.len());
    assert!(report.tables_checked >= 29, "{report:?}");
    let before = schema(bed).await;
    let again = Store::migrate(&bed.config()).await.expect("migrates again");
    assert!(again.applied.is_empty());
    let store = bed.open().await;
    assert_eq!(store.count::<Customer>().await.expect("counts"), 0);
    assert_eq!(before, schema(bed).await);
}

async fn check_changes_nothing_and_migrate_is_enough(bed: &Bed) {
    // SQLite: no file yet. PostgreSQL: an empty database.
    let error = Store::check(&bed.config()).await.expect_err("nothing is there yet");
    match error {
        StartError::Pending { pending } if bed.is_postgres() => assert_eq!(pending, MIGRATIONS),
        StartError::Unreachable { .. } if !bed.is_postgres() => {
            assert_eq!(std::fs::read_dir(bed.folder.path()).expect("reads").count(), 0, "nothing was made");
        }
        other => panic!("{other}"),
    }
    Store::migrate(&bed.config()).await.expect("migrates");
    let before = schema(bed).await;
    let report = Store::check(&bed.config()).await.expect("all is well");
    assert!(report.applied.is_empty());
    assert_eq!(before, schema(bed).await);
    // The sentence of a pending migration tells what to type.
    bed.sql("DELETE FROM seaql_migrations").await;
    let error = Store::check(&bed.config()).await.expect_err("the record is gone").to_string();
    assert!(error.contains("0001_initial"), "{error}");
}

async fn two_nodes_starting_at_once_migrate_one_after_the_other(bed: &Bed) {
    let starts = (0..4).map(|_| {
        let config = bed.config();
        tokio::spawn(async move { Store::migrate(&config).await })
    });
    let mut applied = 0;
    for start in starts.collect::<Vec<_>>() {
        let report = start.await.expect("does not panic").expect("every node starts");
        applied += report.applied.len();
        assert_eq!(report.schema_version, MIGRATIONS.len());
    }
    assert_eq!(applied, MIGRATIONS.len(), "exactly one node applied each migration");
    assert_eq!(bed.number("SELECT count(*) FROM seaql_migrations").await, MIGRATIONS.len() as i64);
}

async fn a_newer_schema_is_refused(bed: &Bed) {
    Store::migrate(&bed.config()).await.expect("migrates");
    bed.sql("INSERT INTO seaql_migrations (version, applied_at) VALUES ('0099_from_the_future', 1)").await;
    let error = refusal(bed).await;
    assert!(error.contains("newer Lightkeeper") && error.contains("0099_from_the_future"), "{error}");
}

async fn a_missing_table_of_each_part_is_named(bed: &Bed) {
    Store::migrate(&bed.config()).await.expect("migrates");
    for table in ["service_intents", "olt_task_lines", "cpe_addresses", "cpe_parameters", "audit_log"] {
        bed.sql(&format!("DROP TABLE {table}")).await;
    }
    let error = refusal(bed).await;
    for table in ["service_intents", "olt_task_lines", "cpe_addresses", "cpe_parameters", "audit_log"] {
        assert!(error.contains(&format!("table {table} is missing")), "{error}");
    }
}

async fn a_missing_and_a_changed_column_are_named(bed: &Bed) {
    Store::migrate(&bed.config()).await.expect("migrates");
    bed.sql("ALTER TABLE cpes RENAME COLUMN machine TO machinery").await;
    bed.sql("DROP TABLE evidence").await;
    bed.sql(
        "CREATE TABLE evidence (cpe_id bigint NOT NULL, layer text NOT NULL, setting bigint NOT NULL, wanted text,
         observed text NOT NULL, verified boolean NOT NULL, at bigint NOT NULL, source text NOT NULL,
         PRIMARY KEY (cpe_id, layer, setting))",
    )
    .await;
    let error = bed.try_open().await.expect_err("refused");
    let StartError::WrongSchema { problems } = &error else { panic!("{error}") };
    assert!(problems.contains(&SchemaProblem::MissingColumn { table: "cpes", column: "machine" }), "{error}");
    assert!(
        problems.contains(&SchemaProblem::WrongNullability {
            table: "evidence",
            column: "wanted",
            nullable: false
        }),
        "{error}"
    );
    assert_eq!(problems.len(), 3, "{error}");
    let sentence = error.to_string();
    assert!(sentence.contains("column cpes.machine is missing"), "{sentence}");
    assert!(sentence.contains("column evidence.setting is bigint and should hold text"), "{sentence}");
    assert!(sentence.contains("column evidence.wanted may be empty and should not"), "{sentence}");
    refusal(bed).await;
}

async fn a_missing_unique_index_is_named(bed: &Bed) {
    Store::migrate(&bed.config()).await.expect("migrates");
    bed.sql("DROP INDEX cpes_identity").await;
    let error = refusal(bed).await;
    assert!(error.contains("unique index cpes_identity on cpes is missing"), "{error}");
}

async fn a_half_applied_migration_is_refused(bed: &Bed) {
    Store::migrate(&bed.config()).await.expect("migrates");
    bed.sql("UPDATE schema_state SET phase = 'migrating', migration = '0002_something'").await;
    let error = refusal(bed).await;
    assert!(error.contains("0002_something was begun and not finished"), "{error}");
    assert!(matches!(bed.try_open().await, Err(StartError::HalfApplied { .. })));
    assert!(matches!(Store::check(&bed.config()).await, Err(StartError::HalfApplied { .. })));
}

async fn tables_without_a_record_are_refused(bed: &Bed) {
    // Half a restore: tables, and no record of a migration.
    bed.sql("CREATE TABLE customers (id bigint)").await;
    let error = refusal(bed).await;
    assert!(error.contains("table customers is there and no migration is recorded"), "{error}");
}

async fn a_foreign_table_is_left_alone(bed: &Bed) {
    bed.sql("CREATE TABLE radacct (id bigint)").await;
    bed.open().await;
    assert_eq!(bed.number("SELECT count(*) FROM radacct").await, 0);
}

async fn a_wrong_or_missing_key_is_refused(bed: &Bed) {
    bed.open().await;
    std::fs::rename(bed.key_file(), bed.folder.path().join("elsewhere")).expect("moves");
    let error = refusal(bed).await;
    assert!(error.contains("key file") && error.contains("is missing"), "{error}");
    assert!(!bed.key_file().exists(), "no new key is made for a database that has secrets");
    SealingKey::load_or_create(&bed.key_file()).expect("another key");
    let error = refusal(bed).await;
    assert!(error.contains("another installation's key"), "{error}");
    assert!(matches!(Store::check(&bed.config()).await, Err(StartError::KeyWrong)));
    std::fs::rename(bed.folder.path().join("elsewhere"), bed.key_file()).expect("moves back");
    bed.open().await;
}

async fn the_key_file_is_made_once_and_kept_private(bed: &Bed) {
    bed.open().await;
    let first = std::fs::read(bed.key_file()).expect("reads");
    bed.open().await;
    assert_eq!(first, std::fs::read(bed.key_file()).expect("reads"));
    assert_eq!(first.len(), 45, "32 bytes of base64 and a line end");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(bed.key_file()).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for file in ["lightkeeper.db", "lightkeeper.db-wal"].map(|name| bed.folder.path().join(name)) {
            if let Ok(data) = std::fs::metadata(file) {
                assert_eq!(
                    data.permissions().mode() & 0o777,
                    0o600,
                    "customers' data are nobody else's business"
                );
            }
        }
    }
    let left: Vec<_> = std::fs::read_dir(bed.folder.path())
        .expect("reads")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.contains("draft"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

async fn an_unusable_key_file_is_refused(bed: &Bed) {
    for (content, words) in [("not base64 !", "base64"), ("c2hvcnQ=", "holds 5 bytes"), ("", "holds 0 bytes")]
    {
        std::fs::write(bed.key_file(), content).expect("writes");
        let error = refusal(bed).await;
        assert!(error.contains(words), "{error}");
    }
}

async fn the_unique_indexes_we_check_are_those_of_the_migrations(bed: &Bed) {
    bed.open().await;
    let sql = if bed.is_postgres() {
        "SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE i.indisunique AND NOT i.indisprimary AND n.nspname = 'public'"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE UNIQUE%'"
    };
    let live: Vec<String> =
        bed.ask(sql).await.iter().map(|row| row.try_get_by_index(0).expect("text")).collect();
    assert!(live.len() >= 18, "{live:?}");
    let raw = bed.raw().await;
    for index in &live {
        raw.execute_unprepared(&format!("DROP INDEX {index}")).await.expect("drops");
    }
    raw.close().await.expect("closes");
    let error = bed.try_open().await.expect_err("refused").to_string();
    for index in &live {
        assert!(error.contains(&format!("unique index {index} on")), "{index} is not checked: {error}");
    }
}

#[tokio::test]
async fn an_unreachable_server_is_named_without_its_password() {
    let key = KeySource::Key(SealingKey::from_bytes([7; 32]));
    // Port 1 of the loopback interface: nobody listens there.
    let config = store::StoreConfig::new("postgres://lightkeeper:s3cr3t@127.0.0.1:1/lightkeeper", key);
    let error = Store::open(config).await.expect_err("nobody is there").to_string();
    assert!(error.contains("127.0.0.1:1/lightkeeper cannot be reached"), "{error}");
    assert!(error.contains("refused"), "{error}");
    assert!(!error.contains("s3cr3t"), "{error}");
}

#[tokio::test]
async fn an_address_that_makes_no_sense_is_refused() {
    for (url, words) in [
        ("mysql://localhost/x", "\"mysql\" is no database"),
        ("sqlite::memory:", "would forget everything"),
        ("postgres://user:hunter2@[bad/x", "cannot be read"),
        ("", "is no database"),
    ] {
        let key = KeySource::Key(SealingKey::from_bytes([7; 32]));
        let error = Store::open(store::StoreConfig::new(url, key)).await.expect_err(url).to_string();
        assert!(error.contains(words) && !error.contains("hunter2"), "{error}");
    }
}

#[tokio::test]
async fn a_file_in_a_place_that_is_none_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "x").expect("writes");
    let url = format!("sqlite://{}", folder.path().join("file/lightkeeper.db").display());
    let key = KeySource::Key(SealingKey::from_bytes([7; 32]));
    let error = Store::open(store::StoreConfig::new(url, key)).await.expect_err("not a folder").to_string();
    assert!(error.contains("cannot be reached"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let bed = Bed::sqlite();
    let path = bed.folder.path().join("lightkeeper.db");
    std::fs::write(
        &path,
        "This is a shopping list, and it is long enough to be read as a header.".repeat(40),
    )
    .expect("writes");
    let error = bed.try_open().await.expect_err("refused").to_string();
    assert!(error.contains("cannot be reached") && error.contains("not a database"), "{error}");
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let bed = Bed::sqlite();
    bed.open().await;
    let mut config = bed.config();
    config.url = format!("{}?mode=ro", bed.url);
    let error = Store::open(config.clone()).await.expect_err("refused");
    assert!(matches!(error, StartError::ReadOnly { .. }), "{error}");
    assert!(error.to_string().contains("is read-only"), "{error}");
    assert!(matches!(Store::check(&config).await, Err(StartError::ReadOnly { .. })));
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_refused() {
    let Some(bed) = Bed::postgres().await else { return };
    bed.open().await;
    let name = bed.url.rsplit('/').next().expect("a name").to_owned();
    bed.sql(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    let error = bed.try_open().await.expect_err("refused");
    assert!(matches!(error, StartError::ReadOnly { .. }), "{error}");
    assert!(matches!(Store::check(&bed.config()).await, Err(StartError::ReadOnly { .. })));
    bed.close().await;
}
