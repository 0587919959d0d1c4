//! `lightkeeper migrate`, `check` and `serve` as they meet a database: exit codes and sentences, on SQLite, and on
//! PostgreSQL when `LIGHTKEEPER_TEST_POSTGRES` is the address of a server on which databases may be made.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sea_orm::{ConnectionTrait, Database, DatabaseConnection, Statement};
use std::{
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;

/// Runs a test with a database of its own on each engine.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(&super::Place::sqlite()).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                let Some(place) = super::Place::postgres().await else { return };
                super::$name(&place).await;
                place.drop_database().await;
            })*
        }
    };
}

on_both! {
    a_fresh_database_is_made_once,
    a_newer_schema_is_left_alone,
    a_missing_table_is_named,
    a_changed_column_is_named,
    a_read_only_database_is_refused,
    a_half_applied_migration_is_refused,
    nodes_that_start_at_once_take_turns,
}

/// A data folder and the address of a database.
struct Place {
    folder: TempDir,
    url: String,
    server: Option<String>,
}

/// What a command did.
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Place {
    fn sqlite() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("data/lightkeeper.db").display());
        Place { folder, url, server: None }
    }

    async fn postgres() -> Option<Place> {
        let Ok(server) = std::env::var("LIGHTKEEPER_TEST_POSTGRES") else {
            println!("skipped: no PostgreSQL for tests (LIGHTKEEPER_TEST_POSTGRES is not set)");
            return None;
        };
        let name = format!("lk_binary_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = Database::connect(&server).await.unwrap();
        admin.execute_unprepared(&format!("DROP DATABASE IF EXISTS {name}")).await.unwrap();
        admin.execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
        admin.close().await.unwrap();
        let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
        Some(Place { folder: tempfile::tempdir().unwrap(), url, server: Some(server) })
    }

    /// Not done when a test fails, so that one can look.
    async fn drop_database(&self) {
        let Some(server) = &self.server else { return };
        let admin = Database::connect(server).await.unwrap();
        let name = self.url.rsplit('/').next().unwrap();
        // Somebody may be slow to leave it; it goes with the server then.
        let _ = admin.execute_unprepared(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
        let _ = admin.close().await;
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// With nothing of the environment but what the test says.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lightkeeper"));
        command
            .args(arguments)
            .env_clear()
            .env("LIGHTKEEPER_DATA_DIR", self.data())
            .env("LIGHTKEEPER_DATABASE_URL", &self.url)
            .env("LIGHTKEEPER_WEB_LISTEN", "127.0.0.1:0")
            .env("LIGHTKEEPER_ACS_LISTEN", "127.0.0.1:0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, arguments: &[&str]) -> Told {
        Told::of(self.command(arguments).output().unwrap())
    }

    fn migrate(&self) -> Told {
        self.run(&["migrate"])
    }

    async fn raw(&self) -> DatabaseConnection {
        Database::connect(&self.url).await.unwrap()
    }

    async fn sql(&self, sql: &str) {
        let raw = self.raw().await;
        raw.execute_unprepared(sql).await.unwrap();
        raw.close().await.unwrap();
    }

    /// Everything the database says of its tables and of its migrations.
    async fn schema(&self) -> Vec<String> {
        let sql = if self.server.is_some() {
            "SELECT table_name || '.' || column_name || ' ' || data_type || is_nullable FROM information_schema.columns
             WHERE table_schema = 'public' UNION ALL SELECT version FROM seaql_migrations
             UNION ALL SELECT phase || migration FROM schema_state ORDER BY 1"
        } else {
            "SELECT coalesce(sql, name) FROM sqlite_master UNION ALL SELECT version FROM seaql_migrations
             UNION ALL SELECT phase || migration FROM schema_state ORDER BY 1"
        };
        let raw = self.raw().await;
        let rows = raw.query_all_raw(Statement::from_string(raw.get_database_backend(), sql)).await.unwrap();
        raw.close().await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    }

    /// Every command that opens the database refuses it in these words, and changes nothing.
    async fn is_refused(&self, words: &[&str]) {
        let before = self.schema().await;
        for command in [&["check"][..], &["migrate"], &["serve"], &["user", "reset", "admin"]] {
            let told = self.run(command);
            told.failed(words);
            assert_eq!(told.out, "", "{command:?} promised something");
        }
        assert_eq!(before, self.schema().await, "a refusal changes nothing");
    }
}

impl Told {
    fn of(output: Output) -> Told {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Told { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    fn done(&self) -> &str {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        &self.out
    }

    /// Ended with 1 and one sentence that has all of these words in it.
    fn failed(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}{}", self.out, self.err);
        let sentence = self.err.lines().last().unwrap_or_default();
        assert!(sentence.starts_with("lightkeeper: "), "{}", self.err);
        for word in words {
            assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
        }
    }
}

async fn a_fresh_database_is_made_once(place: &Place) {
    // A check makes nothing: no file, no folder, no key, no table.
    let told = place.run(&["check"]);
    if place.server.is_some() {
        told.failed(&["0001_initial", "run `lightkeeper migrate`, or start `lightkeeper serve`"]);
    } else {
        told.failed(&["lightkeeper.db cannot be reached: there is no such file"]);
    }
    assert!(!place.data().exists(), "the check made something");

    let first = place.migrate();
    let out = first.done();
    assert!(out.contains(": applied 0001_initial"), "{out}");
    assert!(out.contains("Schema version ") && out.contains(" tables are as this version expects."), "{out}");
    assert!(first.err.contains("applying a migration") && !first.err.contains('\x1b'), "{}", first.err);
    let after = place.schema().await;
    for command in ["migrate", "check"] {
        let again = place.run(&[command]);
        let out = again.done();
        assert!(out.contains(": no migration was due."), "{command}: {out}");
        assert!(out.contains("tables are as this version expects."), "{command}: {out}");
    }
    assert_eq!(after, place.schema().await);
    // The password in the address is for the server, not for whoever reads the screen.
    let password = place.url.split(['@', ':']).nth(2).filter(|_| place.server.is_some());
    if let Some(password) = password.filter(|password| password.len() > 4 && !password.contains('/')) {
        assert!(!first.out.contains(password) && !first.err.contains(password));
    }
}

async fn a_newer_schema_is_left_alone(place: &Place) {
    place.migrate().done();
    place.sql("INSERT INTO seaql_migrations (version, applied_at) VALUES ('0099_from_the_future', 1)").await;
    place
        .is_refused(&[
            "migrated by a newer Lightkeeper (0099_from_the_future)",
            "run the newer release, or restore a backup from before the upgrade",
        ])
        .await;
}

async fn a_missing_table_is_named(place: &Place) {
    place.migrate().done();
    place.sql("DROP TABLE audit_log").await;
    place.is_refused(&["not as this release expects: table audit_log is missing"]).await;
}

async fn a_changed_column_is_named(place: &Place) {
    place.migrate().done();
    place.sql("ALTER TABLE cpes RENAME COLUMN machine TO machinery").await;
    place.sql("DROP TABLE evidence").await;
    place
        .sql(
            "CREATE TABLE evidence (cpe_id bigint NOT NULL, layer text NOT NULL, setting bigint NOT NULL,
             wanted text NOT NULL, observed text NOT NULL, verified boolean NOT NULL, at bigint NOT NULL,
             source text NOT NULL, PRIMARY KEY (cpe_id, layer, setting))",
        )
        .await;
    place
        .is_refused(&[
            "column cpes.machine is missing",
            "column evidence.setting is bigint and should hold text",
        ])
        .await;
}

async fn a_read_only_database_is_refused(place: &Place) {
    place.migrate().done();
    let words = ["is read-only", "Lightkeeper needs to write"];
    if place.server.is_some() {
        let name = place.url.rsplit('/').next().unwrap();
        place.sql(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
        place.is_refused(&words).await;
        return;
    }
    let file = std::fs::read(place.data().join("lightkeeper.db")).unwrap();
    for command in [&["check"][..], &["migrate"], &["serve"]] {
        let url = format!("{}?mode=ro", place.url);
        Told::of(place.command(command).env("LIGHTKEEPER_DATABASE_URL", url).output().unwrap())
            .failed(&words);
    }
    assert!(file == std::fs::read(place.data().join("lightkeeper.db")).unwrap(), "the file was changed");
}

/// A file of another owner, which is what a wrong `chown` after a restore leaves.
#[cfg(unix)]
#[test]
fn a_file_that_only_others_may_write_is_named_once() {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    const NOBODY: u32 = 65_534;
    let place = Place::sqlite();
    place.migrate().done();
    let (data, path) = (place.data(), place.data().join("lightkeeper.db"));
    let mode = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(place.folder.path(), 0o755);
    for entry in std::fs::read_dir(&data).unwrap() {
        mode(&entry.unwrap().path(), 0o444);
    }
    mode(&data, 0o555);
    let root = std::fs::write(&path, std::fs::read(&path).unwrap()).is_ok();
    for command in [&["check"][..], &["migrate"], &["serve"]] {
        let mut command = place.command(command);
        if root {
            command.uid(NOBODY).gid(NOBODY);
        }
        let output = match command.output() {
            Ok(output) => output,
            Err(error) if root => {
                println!("skipped: nobody may not run the binary where it lies ({error})");
                break;
            }
            Err(error) => panic!("{error}"),
        };
        let told = Told::of(output);
        told.failed(&["lightkeeper.db is read-only", "Lightkeeper needs to write"]);
        assert_eq!(told.err.matches("read-only").count(), 1, "{}", told.err);
    }
    mode(&data, 0o755);
}

#[test]
fn a_file_that_is_no_database_is_named_once() {
    let place = Place::sqlite();
    place.migrate().done();
    let path = place.data().join("lightkeeper.db");
    let whole = std::fs::read(&path).unwrap();
    for broken in
        [whole[..whole.len() / 2].to_vec(), b"not a database, but long enough to be read as one".repeat(90)]
    {
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(place.data().join(format!("lightkeeper.db{suffix}")));
        }
        std::fs::write(&path, &broken).unwrap();
        for command in [&["check"][..], &["migrate"], &["serve"]] {
            let told = place.run(command);
            told.failed(&["lightkeeper.db"]);
            let line = told.err.lines().find(|line| line.contains("lightkeeper.db")).unwrap();
            let says: Vec<&str> = line.split(": ").collect();
            let mut once = says.clone();
            once.dedup();
            assert_eq!(says, once, "{line}");
        }
    }
}

async fn a_half_applied_migration_is_refused(place: &Place) {
    place.migrate().done();
    place.sql("UPDATE schema_state SET phase = 'migrating', migration = '0099_broken_off'").await;
    place
        .is_refused(&[
            "migration 0099_broken_off was begun and not finished",
            "restore the backup from before the upgrade, do not repair by hand",
        ])
        .await;
}

async fn nodes_that_start_at_once_take_turns(place: &Place) {
    let nodes: Vec<_> = (0..4).map(|_| place.command(&["migrate"]).spawn().unwrap()).collect();
    let told: Vec<Told> = nodes.into_iter().map(|node| Told::of(node.wait_with_output().unwrap())).collect();
    let applied = told.iter().filter(|told| told.done().contains(": applied 0001_initial")).count();
    let idle = told.iter().filter(|told| told.done().contains(": no migration was due.")).count();
    assert_eq!((applied, idle), (1, 3), "exactly one of them applies what is due");
    place.run(&["check"]).done();
}

#[test]
fn a_server_that_does_not_answer_is_named_without_its_password() {
    let place = Place::sqlite();
    for command in [&["check"][..], &["migrate"], &["serve"]] {
        // Port 1 of the loopback interface: nobody listens there.
        let url = "postgres://lightkeeper:s3cr3t-word@127.0.0.1:1/isp";
        let told = Told::of(place.command(command).env("LIGHTKEEPER_DATABASE_URL", url).output().unwrap());
        told.failed(&["the database at postgres 127.0.0.1:1/isp cannot be reached", "refused"]);
        assert!(!told.err.contains("s3cr3t-word") && told.out.is_empty(), "{}", told.err);
    }
}

#[test]
fn an_address_that_makes_no_sense_is_refused_with_the_form_it_should_have() {
    let place = Place::sqlite();
    let command = place.command(&["check"]).env("LIGHTKEEPER_DATABASE_URL", "mysql://isp").output().unwrap();
    Told::of(command)
        .failed(&["\"mysql\" is no database Lightkeeper knows", "wanted sqlite:///path/to/file.db"]);
}
