//! What the tests need from the system, and how it is installed where that is allowed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::proc;
use crate::report::Report;

/// A program that tests use if it is there.
struct Need {
    /// What it is, in words.
    name: &'static str,
    /// What is not tested without it.
    for_what: &'static str,
    /// Debian packages that bring it.
    packages: &'static [&'static str],
    /// Whether it is there.
    present: fn() -> bool,
    /// Services that the packages would start at the next boot; they are left switched off.
    services: &'static [&'static str],
}

const NEEDS: &[Need] = &[
    Need {
        name: "PostgreSQL server",
        for_what: "tests on PostgreSQL",
        packages: &["postgresql"],
        present: || crate::postgres::find().is_some(),
        services: &["postgresql"],
    },
    Need {
        name: "net-snmp tools",
        for_what: "tests that ask the simulator by snmpget and snmpwalk",
        packages: &["snmp"],
        present: || proc::which("snmpget").is_some() && proc::which("snmpwalk").is_some(),
        services: &[],
    },
    Need {
        name: "OpenSSH server",
        for_what: "tests against a server with legacy algorithms only",
        packages: &["openssh-server"],
        present: || proc::which("sshd").is_some(),
        services: &["ssh.service", "ssh.socket"],
    },
    Need {
        name: "Chromium",
        for_what: "browser tests",
        packages: &["chromium"],
        present: || crate::e2e::chromium().is_some(),
        services: &[],
    },
    Need {
        name: "Node.js and npm",
        for_what: "browser tests",
        packages: &["nodejs", "npm"],
        present: || proc::which("node").is_some() && proc::which("npm").is_some(),
        services: &[],
    },
];

/// What is not tested without pygenieacs.
const FOR_PYGENIEACS: &str = "a test that asks by pygenieacs, a client of GenieACS";

/// A Python in the build folder that has pygenieacs, made where that is allowed; else it is recorded as skipped.
pub(crate) fn pygenieacs(folder: &Path, may_install: bool, report: &mut Report) -> Option<PathBuf> {
    let home = folder.join("pygenieacs");
    let python = home.join("bin/python");
    let there = || proc::output_of(Command::new(&python).args(["-c", "import pygenieacs"])).is_ok();
    if there() {
        println!("  pygenieacs: there");
        return Some(python);
    }
    let made = if may_install {
        println!("  pygenieacs: installing by pip …");
        make_python(&home, &python, &folder.join("pip.log"))
            .map_err(|error| format!("installing it failed: {error:#}"))
    } else {
        Err("installing is switched off (LIGHTKEEPER_NO_INSTALL or --no-install)".to_owned())
    };
    match made {
        Ok(()) if there() => Some(python),
        Ok(()) => {
            report.skip(FOR_PYGENIEACS, "pygenieacs was installed, yet Python does not find it");
            None
        }
        Err(why) => {
            println!("  pygenieacs: not there ({why})");
            report.skip(FOR_PYGENIEACS, format!("pygenieacs is not there: {why}"));
            None
        }
    }
}

fn make_python(home: &Path, python: &Path, log: &Path) -> anyhow::Result<()> {
    let Some(system) = proc::which("python3") else { anyhow::bail!("there is no python3") };
    proc::bounded(Command::new(system).args(["-m", "venv"]).arg(home), log, Duration::from_secs(120))?;
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--disable-pip-version-check", "pygenieacs==0.1.2"]);
    proc::bounded(&mut pip, log, Duration::from_secs(300))
}

/// How packages can be installed here.
enum Means {
    /// apt-get, behind these leading words.
    Apt(&'static [&'static str]),
    /// Not at all, and why.
    None(String),
}

/// Installs what is missing, where that is allowed, and records the rest as skipped.
pub(crate) fn ensure(log_folder: &Path, may_install: bool, report: &mut Report) {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !(need.present)()).collect();
    for need in NEEDS.iter().filter(|need| (need.present)()) {
        println!("  {}: there", need.name);
    }
    if missing.is_empty() {
        return;
    }
    let means = means(may_install);
    let mut lists_fresh = false;
    for need in missing {
        let why = match &means {
            Means::None(why) => why.clone(),
            Means::Apt(prefix) => {
                println!("  {}: installing {} …", need.name, need.packages.join(", "));
                match apt(prefix, need, log_folder, &mut lists_fresh) {
                    Ok(()) if (need.present)() => {
                        println!("  {}: installed", need.name);
                        continue;
                    }
                    Ok(()) => "its packages were installed, yet it is not on the search path".to_owned(),
                    Err(error) => format!("installing it failed: {error:#}"),
                }
            }
        };
        println!("  {}: not there ({why})", need.name);
        report.skip(need.for_what, format!("{} is not there: {why}", need.name));
    }
}

fn means(may_install: bool) -> Means {
    if !may_install {
        return Means::None("installing is switched off (LIGHTKEEPER_NO_INSTALL or --no-install)".to_owned());
    }
    if proc::which("apt-get").is_none() {
        return Means::None("there is no apt-get here to install it with".to_owned());
    }
    if proc::user_id(None) == Some(0) {
        return Means::Apt(&[]);
    }
    let sudo =
        proc::which("sudo").is_some() && proc::output_of(Command::new("sudo").args(["-n", "true"])).is_ok();
    if sudo {
        return Means::Apt(&["sudo", "-n"]);
    }
    Means::None("not root, and sudo asks for a password".to_owned())
}

fn apt(prefix: &[&str], need: &Need, log_folder: &Path, lists_fresh: &mut bool) -> anyhow::Result<()> {
    let log = log_folder.join("apt.log");
    if !*lists_fresh {
        // A failed update is no reason to stop: the lists may be good enough.
        let mut update = privileged(prefix, "apt-get");
        update.args(["-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=1", "update"]);
        if let Err(error) = proc::bounded(&mut update, &log, Duration::from_secs(180)) {
            println!("  package lists could not be refreshed: {error:#}");
        }
        *lists_fresh = true;
    }
    let unstarted = KeepStopped::begin(prefix);
    let mut install = privileged(prefix, "apt-get");
    install
        .args(["-o", "Acquire::http::Timeout=30", "-o", "Acquire::Retries=2", "-o", "DPkg::Lock::Timeout=60"])
        .args(["install", "--yes", "--no-install-recommends"])
        .args(need.packages);
    let result = proc::bounded(&mut install, &log, Duration::from_secs(900));
    drop(unstarted);
    if result.is_ok() && Path::new("/run/systemd/system").is_dir() {
        for service in need.services {
            let mut disable = privileged(prefix, "systemctl");
            proc::bounded(disable.args(["disable", service]), &log, Duration::from_secs(30)).ok();
        }
    }
    result
}

fn privileged(prefix: &[&str], program: &str) -> Command {
    let mut words = prefix.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive", program]);
    let first = words.next().unwrap_or(program);
    let mut command = Command::new(first);
    command.args(words);
    command
}

/// While it lives, packages do not start their servers: tests want the programs, not an SSH server on port 22.
struct KeepStopped<'a> {
    prefix: &'a [&'a str],
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl<'a> KeepStopped<'a> {
    fn begin(prefix: &'a [&'a str]) -> Self {
        if Path::new(POLICY).exists() {
            return Self { prefix, ours: false };
        }
        let script = format!("printf '#!/bin/sh\\nexit 101\\n' > {POLICY} && chmod 755 {POLICY}");
        let ours = proc::output_of(privileged(prefix, "sh").args(["-c", &script])).is_ok();
        Self { prefix, ours }
    }
}

impl Drop for KeepStopped<'_> {
    fn drop(&mut self) {
        if self.ours {
            proc::output_of(privileged(self.prefix, "rm").args(["-f", POLICY])).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn installing_can_be_switched_off() {
        match means(false) {
            Means::None(why) => assert!(why.contains("LIGHTKEEPER_NO_INSTALL"), "{why}"),
            Means::Apt(_) => panic!("would have installed"),
        }
    }

    #[test]
    fn the_prefix_comes_before_the_program() {
        let command = privileged(&["sudo", "-n"], "apt-get");
        assert_eq!(command.get_program(), "sudo");
        let words: Vec<_> = command.get_args().collect();
        assert_eq!(words, ["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        assert_eq!(privileged(&[], "apt-get").get_program(), "env");
    }
}
