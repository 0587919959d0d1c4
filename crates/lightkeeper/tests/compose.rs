//! What `docker compose up` starts, started without Docker: the same entry command with the same environment,
//! against the local PostgreSQL of the test run.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde::Deserialize;
use support::free_port;

const READY_LIMIT: Duration = Duration::from_secs(90);

#[derive(Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, serde_json::Value>,
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    ports: Vec<String>,
    #[serde(default)]
    volumes: Vec<String>,
    build: Option<String>,
    image: Option<String>,
    /// Would replace the image's own command.
    command: Option<serde_json::Value>,
    entrypoint: Option<serde_json::Value>,
    #[serde(default)]
    depends_on: BTreeMap<String, BTreeMap<String, String>>,
    healthcheck: Option<serde_json::Value>,
    stop_grace_period: Option<String>,
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn compose() -> Compose {
    let text = fs::read_to_string(workspace().join("compose.yaml")).expect("compose.yaml");
    serde_saphyr::from_str(&text).expect("compose.yaml is what compose understands")
}

/// Instructions of the image that is shipped: the last stage of the Dockerfile, continued lines joined.
fn image() -> Vec<(String, String)> {
    let text = fs::read_to_string(workspace().join("Dockerfile")).expect("Dockerfile");
    let joined =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
    let joined = joined.replace("\\\n", " ");
    let instructions = joined.lines().filter_map(|line| line.trim().split_once(' '));
    let mut stage: Vec<(String, String)> = Vec::new();
    for (name, rest) in instructions {
        if name == "FROM" {
            stage.clear();
        }
        stage.push((name.to_owned(), rest.trim().to_owned()));
    }
    stage
}

fn instruction(name: &str) -> String {
    let stage = image();
    let found = stage.iter().rev().find(|(instruction, _)| instruction == name);
    found.map(|(_, rest)| rest.clone()).unwrap_or_else(|| panic!("the image has no {name}"))
}

/// ENTRYPOINT and CMD in their exec form, as the container runs them.
fn entry_command() -> Vec<String> {
    let mut words: Vec<String> =
        serde_json::from_str(&instruction("ENTRYPOINT")).expect("ENTRYPOINT in exec form passes signals on");
    words.extend(serde_json::from_str::<Vec<String>>(&instruction("CMD")).expect("CMD in exec form"));
    words
}

/// ENV of the image, `NAME=value` each.
fn image_environment() -> BTreeMap<String, String> {
    let stage = image();
    let pairs = stage.iter().filter(|(name, _)| name == "ENV").flat_map(|(_, rest)| rest.split_whitespace());
    pairs
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Fills `${NAME}`, `${NAME:-default}` and `${NAME:?why}`; a required name that is not given is the error.
fn interpolate(text: &str, given: &BTreeMap<&str, &str>) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (inner, tail) = after.split_once('}').ok_or_else(|| format!("{text}: a brace is open"))?;
        out.push_str(before);
        let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
        let (name, how) = inner.split_at(end);
        match (given.get(name).filter(|value| !value.is_empty()), how) {
            (Some(value), _) => out.push_str(value),
            (None, how) if how.starts_with(":-") => out.push_str(&how[2..]),
            (None, how) if how.starts_with(":?") => return Err(format!("{name}: {}", &how[2..])),
            (None, _) => return Err(format!("{name} has no default and is not required either")),
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

#[test]
fn no_password_has_a_default() {
    let nothing = BTreeMap::new();
    for (service, value) in compose().services {
        for (name, text) in value.environment {
            let secret = name.contains("PASSWORD") || name.ends_with("DATABASE_URL");
            if secret {
                let refusal = interpolate(&text, &nothing).expect_err("compose must stop without a password");
                assert!(refusal.contains("LIGHTKEEPER_DB_PASSWORD"), "{service}.{name}: {refusal}");
            }
            // What is not interpolated must not be a secret written down.
            assert!(secret || !text.contains('@'), "{service}.{name} looks like an address with a password");
        }
    }
}

#[test]
fn the_parts_fit_together() {
    let compose = compose();
    let database = &compose.services["postgres"];
    let server = &compose.services["lightkeeper"];
    let password = BTreeMap::from([("LIGHTKEEPER_DB_PASSWORD", "pw")]);

    let url = interpolate(&server.environment["LIGHTKEEPER_DATABASE_URL"], &password).unwrap();
    let user = &database.environment["POSTGRES_USER"];
    let name = &database.environment["POSTGRES_DB"];
    assert_eq!(url, format!("postgres://{user}:pw@postgres:5432/{name}"), "the URL names the other service");
    assert_eq!(interpolate(&database.environment["POSTGRES_PASSWORD"], &password).unwrap(), "pw");
    assert!(database.image.as_deref().is_some_and(|image| image.starts_with("postgres:")));
    assert!(database.healthcheck.is_some(), "without it, `service_healthy` is never true");
    assert_eq!(server.depends_on["postgres"]["condition"], "service_healthy");

    // The image is built from here, and compose lets it run its own command.
    assert_eq!(server.build.as_deref(), Some("."));
    assert!(server.command.is_none() && server.entrypoint.is_none());
    assert_eq!(entry_command(), ["lightkeeper", "serve"]);
    assert_ne!(instruction("USER"), "root");
    assert!(server.stop_grace_period.is_some());

    // What must outlive the container lies in the volume.
    let data = &server.environment["LIGHTKEEPER_DATA_DIR"];
    assert_eq!(&instruction("VOLUME"), data);
    assert!(server.environment["LIGHTKEEPER_KEY_FILE"].starts_with(&format!("{data}/")));
    for (service, mounted) in
        compose.services.iter().flat_map(|(name, s)| s.volumes.iter().map(move |v| (name, v)))
    {
        let (volume, _) = mounted.split_once(':').expect("volume:folder");
        assert!(compose.volumes.contains_key(volume), "{service} mounts {volume}, which is not declared");
    }
    assert!(server.volumes.iter().any(|mounted| mounted.ends_with(&format!(":{data}"))));

    // Every published port is one that is listened on, and exposed by the image.
    let listened: Vec<&str> = ["LIGHTKEEPER_WEB_LISTEN", "LIGHTKEEPER_ACS_LISTEN"]
        .iter()
        .map(|name| server.environment[*name].rsplit_once(':').expect("address:port").1)
        .collect();
    let inner: Vec<&str> =
        server.ports.iter().map(|port| port.rsplit_once(':').expect("outer:inner").1).collect();
    assert_eq!(inner, listened);
    assert_eq!(instruction("EXPOSE").split_whitespace().collect::<Vec<_>>(), listened);

    // The image alone, without compose, means the same places.
    for (name, value) in image_environment() {
        assert_eq!(
            server.environment.get(&name),
            Some(&value),
            "{name} differs between the image and compose"
        );
    }
}

/// What is switched off in the file works when its comment marks are taken away.
#[test]
fn the_time_server_can_be_switched_on() {
    let text = fs::read_to_string(workspace().join("compose.yaml")).expect("compose.yaml");
    let on = text.replace("# LIGHTKEEPER_SNTP", "LIGHTKEEPER_SNTP").replace("# - \"123", "- \"123");
    let on: Compose = serde_saphyr::from_str(&on).expect("compose.yaml is what compose understands");
    let server = &on.services["lightkeeper"];
    assert!(server.environment["LIGHTKEEPER_SNTP_LISTEN"].ends_with(":123"));
    assert!(server.ports.iter().any(|port| port == "123:123/udp"), "{:?}", server.ports);
}

/// Logins cross no network in clear text unless somebody decides so.
#[test]
fn the_pages_are_published_on_this_machine_only() {
    let server = &compose().services["lightkeeper"];
    assert!(server.ports.iter().any(|port| port == "127.0.0.1:8080:8080"), "{:?}", server.ports);
}

#[test]
fn the_entry_command_serves_on_postgres_and_comes_back() {
    let Ok(admin_url) = std::env::var("LIGHTKEEPER_TEST_POSTGRES") else {
        println!("skipped: no PostgreSQL for tests (LIGHTKEEPER_TEST_POSTGRES is not set)");
        return;
    };
    let Some(database) = Database::create(&admin_url) else {
        println!("skipped: psql is not there to create a database with");
        return;
    };
    let data = tempfile::tempdir().unwrap();
    let (web, acs) = (free_port(), free_port());
    let environment = container_environment(&database.url, data.path(), web, acs);

    let first = Container::start(&environment);
    first.wait_until_healthy(web);
    assert!(data.path().join("secrets.key").is_file(), "the key is made at the first start, in the volume");
    assert!(http_answers(web, "GET / HTTP/1.1"), "no page on the web port");
    // The port is open; until a management network is set, everybody is a stranger there and hears nothing.
    let mut stranger = TcpStream::connect(("127.0.0.1", acs)).expect("the CWMP port listens");
    stranger.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(!matches!(stranger.read(&mut [0u8; 9]), Ok(1..)), "a stranger was answered on the CWMP port");
    let key = fs::read(data.path().join("secrets.key")).unwrap();
    let (status, _) = first.stop();
    assert!(status.success(), "SIGTERM, as `docker compose stop` sends it, ended it with {status}");

    // `restart: unless-stopped`: the same volume and database again.
    let second = Container::start(&environment);
    second.wait_until_healthy(web);
    assert_eq!(fs::read(data.path().join("secrets.key")).unwrap(), key, "the key must not change");
    let (status, output) = second.stop();
    assert!(status.success(), "the second run ended with {status}: {output}");
    let password = database.url.split(['@', ':']).nth(2).unwrap().to_owned();
    assert!(!output.contains(&password), "the database password was printed");
}

/// The environment of the container, with its network and its volume moved to this machine.
fn container_environment(url: &str, data: &Path, web: u16, acs: u16) -> BTreeMap<String, String> {
    let given = BTreeMap::from([("LIGHTKEEPER_DB_PASSWORD", "replaced-below")]);
    let server = compose().services.remove("lightkeeper").expect("the service");
    let mut environment = image_environment();
    for (name, text) in server.environment {
        let mut value = interpolate(&text, &given).unwrap();
        if value == "/data" || value.starts_with("/data/") {
            value = value.replacen("/data", data.to_str().unwrap(), 1);
        }
        environment.insert(name, value);
    }
    environment.insert("LIGHTKEEPER_DATABASE_URL".into(), url.to_owned());
    environment.insert("LIGHTKEEPER_WEB_LISTEN".into(), format!("127.0.0.1:{web}"));
    environment.insert("LIGHTKEEPER_ACS_LISTEN".into(), format!("127.0.0.1:{acs}"));
    environment
}

/// A database of this test alone.
struct Database {
    admin_url: String,
    name: String,
    url: String,
}

impl Database {
    fn create(admin_url: &str) -> Option<Self> {
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        let name = format!("compose_{}_{nanos}", std::process::id());
        let (server, _) = admin_url.rsplit_once('/').expect("postgres://…/database");
        let url = format!("{server}/{name}");
        let database = Self { admin_url: admin_url.to_owned(), name, url };
        let created = database.psql(&format!("create database {}", database.name)).ok()?;
        assert!(created, "the test database could not be created");
        Some(database)
    }

    fn psql(&self, sql: &str) -> std::io::Result<bool> {
        let mut command = Command::new("psql");
        command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", sql, &self.admin_url]);
        Ok(command.stdin(Stdio::null()).status()?.success())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.psql(&format!("drop database if exists {} with (force)", self.name)).ok();
    }
}

/// The entry command of the image as a process of this machine.
struct Container {
    child: Child,
    environment: BTreeMap<String, String>,
    lines: Receiver<String>,
    seen: std::cell::RefCell<String>,
}

impl Container {
    fn command(environment: &BTreeMap<String, String>, words: &[String]) -> Command {
        assert_eq!(words[0], "lightkeeper");
        let mut command = Command::new(env!("CARGO_BIN_EXE_lightkeeper"));
        // A container has nothing of the environment around it.
        command.args(&words[1..]).env_clear().envs(environment).stdin(Stdio::null());
        command.current_dir(&environment["LIGHTKEEPER_DATA_DIR"]);
        command
    }

    fn start(environment: &BTreeMap<String, String>) -> Self {
        let mut command = Self::command(environment, &entry_command());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let (send, lines) = mpsc::channel();
        let out: Box<dyn std::io::Read + Send> = Box::new(child.stdout.take().unwrap());
        let err: Box<dyn std::io::Read + Send> = Box::new(child.stderr.take().unwrap());
        for pipe in [out, err] {
            let send = send.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    if send.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { child, environment: environment.clone(), lines, seen: Default::default() }
    }

    /// Asks as the image's HEALTHCHECK does, after every line it prints and at least a few times a second.
    fn wait_until_healthy(&self, web: u16) {
        let check: Vec<String> = {
            let text = instruction("HEALTHCHECK");
            let (_, words) = text.split_once("CMD ").expect("HEALTHCHECK … CMD […]");
            serde_json::from_str(words).expect("HEALTHCHECK in exec form")
        };
        let until = Instant::now() + READY_LIMIT;
        let mut last = String::from("nobody listens yet");
        while Instant::now() < until {
            match self.lines.recv_timeout(Duration::from_millis(250)) {
                Ok(line) => self.note(&line),
                Err(mpsc::RecvTimeoutError::Timeout) => {}
                Err(mpsc::RecvTimeoutError::Disconnected) => {
                    panic!("it ended instead of serving:\n{}", self.seen.borrow());
                }
            }
            // The check is a process of its own: it is worth starting once somebody listens.
            if TcpStream::connect(("127.0.0.1", web)).is_err() {
                continue;
            }
            let output = Self::command(&self.environment, &check).output().expect("the check starts");
            if output.status.success() {
                return;
            }
            last = format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        }
        panic!("not healthy within {} s ({last}):\n{}", READY_LIMIT.as_secs(), self.seen.borrow());
    }

    fn note(&self, line: &str) {
        let mut seen = self.seen.borrow_mut();
        seen.push_str(line);
        seen.push('\n');
    }

    /// SIGTERM, then at most the grace period of compose.yaml; the whole output with it.
    fn stop(mut self) -> (ExitStatus, String) {
        let grace = compose().services["lightkeeper"].stop_grace_period.clone().unwrap();
        let grace_s: u64 = grace.strip_suffix('s').expect("seconds").parse().unwrap();
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let until = Instant::now() + Duration::from_secs(grace_s);
        // Both pipes close when it has ended.
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.note(&line),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    panic!("still there {grace} after SIGTERM:\n{}", self.seen.borrow());
                }
            }
        }
        let status = self.child.wait().unwrap();
        (status, self.seen.borrow().clone())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Whether an HTTP/1.1 answer of any kind comes back.
fn http_answers(port: u16, request_line: &str) -> bool {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "{request_line}\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = [0u8; 9];
    stream.read_exact(&mut answer).is_ok() && answer.starts_with(b"HTTP/1.1 ")
}

#[test]
fn interpolation_is_that_of_compose() {
    let given = BTreeMap::from([("A", "1"), ("EMPTY", "")]);
    assert_eq!(interpolate("x${A}y${B:-2}", &given).unwrap(), "x1y2");
    assert_eq!(interpolate("${EMPTY:?must be set}", &given).unwrap_err(), "EMPTY: must be set");
    assert_eq!(interpolate("${C:?must be set}", &given).unwrap_err(), "C: must be set");
}
