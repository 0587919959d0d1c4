//! A private PostgreSQL cluster for the tests: a temporary folder, a free port on 127.0.0.1, a random password.
//!
//! It never runs as root and never touches a cluster of the system. It is stopped and removed when [`Cluster`] is
//! dropped, on Ctrl-C and on SIGTERM; where `setpriv` is there, the kernel stops it even if xtask is killed.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cleanup::Cleanup;
use crate::proc;

const ROLE: &str = "lightkeeper";
const DATABASE: &str = "lightkeeper_test";
const START_LIMIT_S: u64 = 60;
/// A free port may be taken before the server binds it; then another one is tried.
const PORT_TRIES: u32 = 5;

/// A running cluster.
pub(crate) struct Cluster {
    /// `postgres://role:password@127.0.0.1:port/database`; the role may create databases.
    pub(crate) url: String,
    /// The server's version, as it prints it.
    pub(crate) version: String,
    _stop: Cleanup,
}

/// The folder with `initdb`, `postgres` and `pg_ctl`, newest version first.
pub(crate) fn find() -> Option<PathBuf> {
    let mut folders: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    folders.sort();
    let on_path = proc::which("initdb").and_then(|path| Some(path.parent()?.to_path_buf()));
    folders.into_iter().rev().map(|(_, folder)| folder).chain(on_path).find(|folder| {
        ["initdb", "postgres", "pg_ctl", "pg_isready", "createdb"]
            .iter()
            .all(|name| folder.join(name).exists())
    })
}

/// `cargo xtask with-postgres`: runs a command while a cluster is there; true when it succeeded.
pub(crate) fn with(command: &[String]) -> Result<bool> {
    let Some((program, arguments)) = command.split_first() else { bail!("no command was given") };
    let cluster = start()?;
    eprintln!("{} started for this command", cluster.version);
    proc::shown(
        Command::new(program)
            .args(arguments)
            .env("PATH", proc::search_path())
            .env("LIGHTKEEPER_TEST_POSTGRES", &cluster.url),
    )
}

/// Starts a cluster of its own for this run.
pub(crate) fn start() -> Result<Cluster> {
    // The data lives as long as the tests: nothing is gained by writing it safely.
    start_with(&["fsync=off", "synchronous_commit=off", "full_page_writes=off"])
}

/// The same, and what it answers is on the disk: for measuring.
pub(crate) fn start_durable() -> Result<Cluster> {
    start_with(&[])
}

fn start_with(settings: &[&str]) -> Result<Cluster> {
    let Some(bin) = find() else { bail!("no PostgreSQL server is installed") };
    let user = Unprivileged::find()?;
    let version = proc::output_of(Command::new(bin.join("postgres")).arg("--version"))?;

    let folder = tempfile::Builder::new().prefix("lightkeeper-postgres-").tempdir()?;
    user.own(folder.path())?;
    let data = folder.path().join("data");
    let password = random_password()?;
    let password_file = folder.path().join("password");
    fs::write(&password_file, &password)?;
    user.own(&password_file)?;

    let mut initdb = user.command(&bin.join("initdb"), folder.path());
    initdb.arg("--pgdata").arg(&data).arg("--pwfile").arg(&password_file).args([
        "--username",
        ROLE,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
    ]);
    proc::output_of(&mut initdb).context("the cluster could not be created")?;

    let mut last = None;
    for _ in 0..PORT_TRIES {
        let port = proc::free_port()?;
        match serve(&bin, &user, folder.path(), &data, port, settings) {
            Ok(server) => {
                let stop = stop_at_end(server, bin.clone(), user, folder, data);
                let mut createdb = Command::new(bin.join("createdb"));
                createdb.env("PGPASSWORD", &password).args([
                    "--host",
                    "127.0.0.1",
                    "--username",
                    ROLE,
                    "--port",
                    &port.to_string(),
                    DATABASE,
                ]);
                proc::output_of(&mut createdb).context("the test database could not be created")?;
                let url = format!("postgres://{ROLE}:{password}@127.0.0.1:{port}/{DATABASE}");
                return Ok(Cluster { url, version, _stop: stop });
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| anyhow::anyhow!("no attempt was made"))).context("the cluster did not start")
}

fn serve(
    bin: &Path,
    user: &Unprivileged,
    folder: &Path,
    data: &Path,
    port: u16,
    settings: &[&str],
) -> Result<Child> {
    let log_path = folder.join("log");
    let log = fs::File::create(&log_path)?;
    let mut command = user.command(&bin.join("postgres"), folder);
    command.arg("-D").arg(data);
    let port_setting = format!("port={port}");
    let always = [
        port_setting.as_str(),
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "max_connections=300",
    ];
    for setting in always.iter().chain(settings) {
        command.args(["-c", setting]);
    }
    let mut server = command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("postgres could not be started")?;
    let until = Instant::now() + Duration::from_secs(START_LIMIT_S);
    loop {
        if let Some(status) = server.try_wait()? {
            let text = fs::read_to_string(&log_path).unwrap_or_default();
            bail!("postgres ended with {status}: {}", proc::last_lines(&text, 4));
        }
        let mut ready = Command::new(bin.join("pg_isready"));
        ready.args(["--quiet", "--host", "127.0.0.1", "--port", &port.to_string()]);
        if proc::output_of(&mut ready).is_ok() {
            return Ok(server);
        }
        if Instant::now() > until {
            server.kill().ok();
            server.wait().ok();
            bail!("postgres did not answer within {START_LIMIT_S} s");
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn stop_at_end(
    mut server: Child,
    bin: PathBuf,
    user: Unprivileged,
    folder: tempfile::TempDir,
    data: PathBuf,
) -> Cleanup {
    Cleanup::new(move || {
        let mut stop = user.command(&bin.join("pg_ctl"), folder.path());
        stop.arg("stop").arg("-D").arg(&data).args(["-m", "immediate", "-w", "-t", "20"]);
        if proc::output_of(&mut stop).is_err() {
            server.kill().ok();
        }
        server.wait().ok();
        if let Err(error) = folder.close() {
            eprintln!("the temporary PostgreSQL folder could not be removed: {error}");
        }
    })
}

/// Who runs the server: PostgreSQL refuses to run as root.
struct Unprivileged {
    /// Name and id of the user to become; none when we are already an ordinary user.
    other: Option<(String, u32)>,
}

impl Unprivileged {
    fn find() -> Result<Self> {
        if proc::user_id(None) != Some(0) {
            return Ok(Self { other: None });
        }
        for name in ["postgres", "nobody"] {
            if let Some(id) = proc::user_id(Some(name)) {
                return Ok(Self { other: Some((name.to_owned(), id)) });
            }
        }
        bail!("running as root, and there is neither a user postgres nor a user nobody to run it as")
    }

    fn own(&self, path: &Path) -> Result<()> {
        if let Some((name, id)) = &self.other {
            std::os::unix::fs::chown(path, Some(*id), None)
                .with_context(|| format!("cannot give {} to {name}", path.display()))?;
        }
        Ok(())
    }

    fn command(&self, program: &Path, folder: &Path) -> Command {
        let mut command = match (&self.other, proc::which("setpriv")) {
            (None, Some(setpriv)) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "INT", "--"]).arg(program);
                command
            }
            (None, None) => Command::new(program),
            (Some((name, id)), Some(setpriv)) => {
                let mut command = Command::new(setpriv);
                command
                    .args(["--reuid", &id.to_string(), "--regid", &group_of(name), "--clear-groups"])
                    .args(["--pdeathsig", "INT", "--"])
                    .arg(program);
                command
            }
            (Some((name, _)), None) => {
                let mut command = Command::new("runuser");
                command.args(["--user", name, "--"]).arg(program);
                command
            }
        };
        command.current_dir(folder).env_remove("PGDATA").env_remove("PGPORT").env_remove("PGHOST");
        command
    }
}

fn group_of(user: &str) -> String {
    proc::output_of(Command::new("id").args(["-g", user])).unwrap_or_else(|_| "65534".to_owned())
}

fn random_password() -> Result<String> {
    let mut bytes = [0u8; 16];
    fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("no randomness")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_unprivileged_answers_and_leaves_nothing_behind() {
        let Some(bin) = find() else {
            println!("skipped: PostgreSQL is not installed");
            return;
        };
        let cluster = start().unwrap();
        let ask = |sql: &str| {
            let mut psql = Command::new(bin.join("psql"));
            psql.args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql, &cluster.url]);
            proc::output_of(&mut psql)
        };
        assert_eq!(ask("select 6 * 7").unwrap(), "42");
        ask("create database another").unwrap();
        let folder = ask("show data_directory").unwrap();
        let owner = fs::metadata(&folder).map(|meta| std::os::unix::fs::MetadataExt::uid(&meta)).unwrap();
        assert_ne!(owner, 0, "the server must not run as root");
        drop(cluster);
        assert!(!Path::new(&folder).exists(), "{folder} is still there");
    }

    #[test]
    fn two_clusters_do_not_meet() {
        if find().is_none() {
            println!("skipped: PostgreSQL is not installed");
            return;
        }
        let (one, two) = (start().unwrap(), start().unwrap());
        assert_ne!(one.url, two.url);
    }
}
