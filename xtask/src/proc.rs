//! Where things are and how programs are started.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::cleanup::Cleanup;

/// The folder that holds the workspace's Cargo.toml.
pub(crate) fn root() -> Result<PathBuf> {
    // Set by cargo at run time: unlike a path compiled in, it is right after the clone was moved.
    if let Some(manifest) = env::var_os("CARGO_MANIFEST_DIR")
        && let Some(parent) = Path::new(&manifest).parent()
    {
        return Ok(parent.to_path_buf());
    }
    let here = env::current_dir().context("no current folder")?;
    match here.ancestors().find(|folder| folder.join("xtask/Cargo.toml").is_file()) {
        Some(folder) => Ok(folder.to_path_buf()),
        None => bail!("{} is not inside the workspace; run `cargo xtask` from there", here.display()),
    }
}

/// The build folder, which also holds everything xtask keeps between runs.
pub(crate) fn target(root: &Path) -> PathBuf {
    match env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root.join(folder),
        None => root.join("target"),
    }
}

/// The cargo that started us.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).env("PATH", search_path()).stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        // What cargo told xtask about xtask is not true of the crates that this cargo builds.
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST") || name == "CARGO_BIN_NAME" {
            command.env_remove(&*name);
        }
    }
    command
}

/// PATH with the folders that hold servers, which an ordinary user's PATH leaves out.
pub(crate) fn search_path() -> OsString {
    let own = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&own).collect();
    for extra in ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from) {
        if !folders.contains(&extra) {
            folders.push(extra);
        }
    }
    env::join_paths(folders).unwrap_or(own)
}

/// The first program of this name on the search path.
pub(crate) fn which(name: &str) -> Option<PathBuf> {
    env::split_paths(&search_path()).map(|folder| folder.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// What a program prints, when it succeeds.
pub(crate) fn output_of(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {name}"))?;
    if !output.status.success() {
        bail!(
            "{name} ended with {}: {}",
            output.status,
            last_lines(&String::from_utf8_lossy(&output.stderr), 6)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program with its output shown; true when it succeeded.
pub(crate) fn shown(command: &mut Command) -> Result<bool> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.stdin(Stdio::null()).status().with_context(|| format!("cannot start {name}"))?;
    Ok(status.success())
}

/// As [`shown`], for a program that starts others: it is asked to stop when we are, and ended after `limit`.
pub(crate) fn shown_bounded(command: &mut Command, limit: Duration) -> Result<bool> {
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {name}"))?;
    let id = child.id().to_string();
    let ask = move || {
        output_of(Command::new("kill").args(["-TERM", &id])).ok();
    };
    let guard = Cleanup::new(ask);
    let status = wait(&mut child, limit)?;
    let Some(status) = status else {
        drop(guard);
        if wait(&mut child, Duration::from_secs(20))?.is_none() {
            child.kill().ok();
            child.wait().ok();
        }
        bail!("{name} was not done within {} s", limit.as_secs());
    };
    // Its number may belong to another process by now.
    guard.forget();
    Ok(status.success())
}

fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let until = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > until {
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a program that may hang on the network; its output goes to `log`, and it is ended after `limit`.
pub(crate) fn bounded(command: &mut Command, log: &Path, limit: Duration) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let out = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let err = out.try_clone()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .with_context(|| format!("cannot start {name}"))?;
    let Some(status) = wait(&mut child, limit)? else {
        child.kill().ok();
        child.wait().ok();
        bail!("{name} gave no result within {} s", limit.as_secs());
    };
    if status.success() {
        return Ok(());
    }
    let text = std::fs::read_to_string(log).unwrap_or_default();
    bail!("{name} ended with {status}: {}", last_lines(&text, 3))
}

/// The last lines of a text, joined into one for a message.
pub(crate) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join(" / ")
}

/// The numeric id of a user, or of whoever runs this when `name` is none.
pub(crate) fn user_id(name: Option<&str>) -> Option<u32> {
    let mut command = Command::new("id");
    command.arg("-u").args(name);
    output_of(&mut command).ok()?.parse().ok()
}

/// A TCP port on the loopback interface that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_end_of_a_long_complaint() {
        assert_eq!(last_lines("a\n\nb\n  c\n", 2), "b / c");
        assert_eq!(last_lines("", 2), "");
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let error = bounded(Command::new("sleep").arg("60"), &log, Duration::from_millis(100)).unwrap_err();
        assert!(error.to_string().contains("gave no result"), "{error}");
    }

    #[test]
    fn a_program_that_takes_too_long_is_asked_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("stopped");
        let mut command = Command::new("sh");
        command.args(["-c", "trap 'touch \"$0\"; exit 0' TERM; while :; do sleep 0.02; done"]).arg(&mark);
        let error = shown_bounded(&mut command, Duration::from_secs(5)).unwrap_err();
        assert!(error.to_string().contains("was not done within"), "{error}");
        assert!(mark.exists(), "it was not given the chance to clean up");
    }

    #[test]
    fn a_failure_carries_the_programs_own_words() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such package >&2; exit 3"]);
        let error = bounded(&mut command, &log, Duration::from_secs(20)).unwrap_err();
        assert!(error.to_string().contains("no such package"), "{error}");
    }
}
