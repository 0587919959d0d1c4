//! The sign of life of a process, in its data folder: which roles it plays, and when its loops last got round. A node that
//! serves no port can be asked by no other way whether it works; `lightkeeper check --http` reads it.

use crate::{config::Config, node::hostname};
use anyhow::Context;
use app::App;
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio_util::sync::CancellationToken;
use types::{Clock as _, SystemClock, UtcMs};

/// How often it is given.
const EVERY: Duration = Duration::from_secs(5);
/// A process that gave none for so long hangs or is gone.
const GONE_AFTER: Duration = Duration::from_secs(45);
/// Signs of processes that are long gone are tidied away.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(24 * 3600);
/// Most signs that are looked at.
const MOST: usize = 1000;

/// What a process says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Sign {
    host: String,
    process: u32,
    roles: Vec<String>,
    at: UtcMs,
    loops: Vec<Beaten>,
    /// What is wrong with the settings of an ACS that runs all the same.
    #[serde(default)]
    trouble: Option<String>,
}

/// One of its loops.
#[derive(Debug, Serialize, Deserialize)]
struct Beaten {
    does: String,
    at: UtcMs,
    late: bool,
}

/// What is to be said of a node, and whether it is well.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Health {
    pub(crate) is_well: bool,
    pub(crate) said: Vec<String>,
}

fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("alive")
}

/// Gives the sign until told to stop, and takes it away then. A data folder that cannot be written is said once: the node
/// works all the same.
pub(crate) async fn run(config: Config, app: App, stop: CancellationToken) {
    let folder = folder(&config.data_dir);
    let file = folder.join(format!("{}-{}.json", safe(&hostname()), std::process::id()));
    let mut is_told = false;
    while !stop.is_cancelled() {
        let trouble = if config.plays("acs") { acs_trouble(&app).await } else { None };
        let sign = Sign {
            host: hostname(),
            process: std::process::id(),
            roles: config.roles.clone(),
            trouble,
            at: app.now(),
            loops: app
                .beats()
                .into_iter()
                .map(|beat| Beaten { does: beat.of.words().to_owned(), at: beat.at, late: beat.late })
                .collect(),
        };
        if let Err(error) = give(&folder, &file, &sign) {
            if !is_told {
                tracing::warn!(%error, folder = %folder.display(), "`lightkeeper check --http` will not know what this node does");
            }
            is_told = true;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(EVERY) => {}
        }
    }
    let _gone_already = fs::remove_file(&file);
}

/// Whether CPEs are kept out by the management networks. A database that cannot be asked is told of by others.
async fn acs_trouble(app: &App) -> Option<String> {
    app.refusals().await.ok()?.trouble()
}

fn safe(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect()
}

/// Replaces the file as a whole: whoever reads it never sees half of it.
fn give(folder: &Path, file: &Path, sign: &Sign) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for (old, _) in signs(folder).into_iter().filter(|(_, old)| sign.at.since(old.at) > FORGOTTEN_AFTER) {
        let _gone_already = fs::remove_file(old);
    }
    let beside = file.with_extension("new");
    fs::write(&beside, serde_json::to_vec(sign)?)?;
    fs::rename(&beside, file)?;
    Ok(())
}

/// Every sign that can be read.
fn signs(folder: &Path) -> Vec<(PathBuf, Sign)> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = files.filter(|path| path.extension().is_some_and(|end| end == "json")).take(MOST);
    files
        .filter_map(|path| Some((path.clone(), serde_json::from_slice(&fs::read(path).ok()?).ok()?)))
        .collect()
}

/// How the node with these settings on this machine does, from the sign it gives. None if it gives none.
pub(crate) fn health(config: &Config) -> Option<Health> {
    let mut roles = config.roles.clone();
    roles.sort();
    let host = hostname();
    let ours = signs(&folder(&config.data_dir)).into_iter().map(|(_, sign)| sign).filter(|sign| {
        let mut played = sign.roles.clone();
        played.sort();
        sign.host == host && played == roles
    });
    ours.max_by_key(|sign| sign.at).map(|sign| sign.health(SystemClock.now()))
}

impl Sign {
    fn health(&self, now: UtcMs) -> Health {
        let ago = |at: UtcMs| format!("{} s ago", now.since(at).as_secs());
        let roles = self.roles.join(", ");
        if now.since(self.at) > GONE_AFTER {
            let said = format!(
                "Process {} ({roles}) gave its last sign of life {}: it hangs or is gone.",
                self.process,
                ago(self.at)
            );
            return Health { is_well: false, said: vec![said] };
        }
        let mut said = vec![format!("Process {} ({roles}) runs, seen {}.", self.process, ago(self.at))];
        for beat in &self.loops {
            let word = if beat.late { "LATE: " } else { "" };
            said.push(format!("  {word}{}: last done {}", beat.does, ago(beat.at)));
        }
        said.extend(self.trouble.iter().map(|trouble| format!("  {trouble} See Settings, ACS policy.")));
        if self.loops.is_empty() {
            said.push("  it does nothing by itself".to_owned());
        }
        Health { is_well: self.loops.iter().all(|beat| !beat.late), said }
    }
}

/// What is said where no sign is found.
pub(crate) fn no_sign(config: &Config) -> anyhow::Result<std::convert::Infallible> {
    Err(anyhow::anyhow!(
        "no process with the roles {} gives a sign of life in {}: none runs on this machine, or it has another data folder",
        config.roles.join(", "),
        folder(&config.data_dir).display()
    ))
    .context("This node does not run")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(at: UtcMs, late: bool) -> Sign {
        let beaten = |does: &str, at, late| Beaten { does: does.into(), at, late };
        Sign {
            host: hostname(),
            process: 42,
            roles: vec!["work".into(), "poll".into()],
            at,
            loops: vec![beaten("timers of CPEs", at, false), beaten("reading OLTs", at, late)],
            trouble: None,
        }
    }

    #[test]
    fn a_sign_says_what_is_done_and_what_is_late() {
        let at = UtcMs(1_795_269_000_000);
        let well = sign(at, false).health(at.plus_s(3));
        assert!(well.is_well);
        assert_eq!(
            well.said,
            [
                "Process 42 (work, poll) runs, seen 3 s ago.",
                "  timers of CPEs: last done 3 s ago",
                "  reading OLTs: last done 3 s ago"
            ]
        );
        let late = sign(at, true).health(at.plus_s(3));
        assert!(
            !late.is_well && late.said.contains(&"  LATE: reading OLTs: last done 3 s ago".to_owned()),
            "{late:?}"
        );
        let closed = Sign { trouble: Some("No management network is set.".into()), ..sign(at, false) };
        let closed = closed.health(at.plus_s(3));
        assert!(closed.is_well, "starting it anew would help nobody");
        assert!(
            closed.said.contains(&"  No management network is set. See Settings, ACS policy.".to_owned()),
            "{closed:?}"
        );
        let gone = sign(at, false).health(at.plus_s(46));
        assert!(!gone.is_well && gone.said[0].contains("46 s ago: it hangs or is gone"), "{gone:?}");
    }

    #[test]
    fn the_newest_sign_of_the_same_roles_on_this_machine_counts() {
        let data = tempfile::tempdir().expect("a folder");
        let config = Config {
            data_dir: data.path().to_owned(),
            roles: vec!["poll".into(), "work".into()],
            ..Config::default()
        };
        assert_eq!(health(&config), None, "nobody gave one");
        let folder = folder(&config.data_dir);
        let now = SystemClock.now();
        let old = UtcMs(now.0 - 600_000);
        let forgotten = UtcMs(now.0 - 2 * 86_400_000);
        let write = |name: &str, sign: &Sign| give(&folder, &folder.join(name), sign).expect("written");
        write("c.json", &sign(forgotten, false));
        write("a.json", &sign(old, false));
        assert!(health(&config).is_some_and(|health| !health.is_well), "a process that died");
        write("b.json", &sign(now, false));
        assert!(health(&config).is_some_and(|health| health.is_well), "and one that was started since");
        write("d.json", &Sign { roles: vec!["acs".into()], ..sign(now.plus_s(1), true) });
        write("e.json", &Sign { host: "elsewhere".into(), ..sign(now.plus_s(1), true) });
        assert!(health(&config).is_some_and(|health| health.is_well), "others are others");
        assert!(
            !folder.join("c.json").exists() && folder.join("a.json").exists(),
            "the long gone are tidied away"
        );
        fs::write(folder.join("f.json"), "not a sign").expect("written");
        assert!(health(&config).is_some(), "what cannot be read hides nothing");
    }
}
