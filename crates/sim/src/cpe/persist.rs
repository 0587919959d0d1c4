//! The journal of one CPE: what it was told, how its tree changed and what it remembers, one line per step.
//!
//! A step is written **before** the answer leaves, in one write: a device does not forget its WAN because our
//! process was killed, and what was answered is always in the record. A torn last line is a step that was never
//! answered; it is dropped.

use super::{behaviour::DeviceState, tree::Changes};
use crate::record::{CpeRecord, Entry};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};
use types::Serial;

/// A journal longer than this is written anew when it is opened.
const COMPACT_ABOVE_BYTES: u64 = 4 << 20;
/// The longest line that is read back.
const MAX_LINE_BYTES: usize = 16 << 20;

/// One step.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    #[serde(default, rename = "e", skip_serializing_if = "Vec::is_empty")]
    entries: Vec<Entry>,
    #[serde(default, rename = "t", skip_serializing_if = "Changes::is_empty")]
    changes: Changes,
    #[serde(default, rename = "s", skip_serializing_if = "Option::is_none")]
    state: Option<DeviceState>,
    #[serde(default, rename = "h", skip_serializing_if = "Option::is_none")]
    holds: Option<Holds>,
}

/// What the device holds after a step that changed its tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holds {
    #[serde(rename = "c")]
    pub(super) config_hash: String,
    #[serde(rename = "w")]
    pub(super) wans: Vec<(String, String)>,
}

/// A journal that is being written.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    last_state: Option<DeviceState>,
}

/// A journal that was read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) record: CpeRecord,
    pub(super) changes: Vec<Changes>,
    pub(super) state: Option<DeviceState>,
    /// Bytes up to the end of the last whole line.
    whole_bytes: u64,
}

/// The journals in a data folder.
pub(crate) fn journals(folder: &Path) -> io::Result<Vec<(Serial, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let serial = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let (Some(serial), Some("jsonl")) = (serial, path.extension().and_then(|ext| ext.to_str())) {
            found.push((serial, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn path_of(folder: &Path, serial: Serial) -> PathBuf {
    folder.join(format!("{}.jsonl", serial.hex16()))
}

/// Reads a journal up to its last whole line.
pub(crate) fn read(path: &Path) -> io::Result<Read> {
    let mut read = Read::default();
    let mut reader = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let bytes = reader.read_until(b'\n', &mut line)?;
        if bytes == 0 || line.last() != Some(&b'\n') || line.len() > MAX_LINE_BYTES {
            return Ok(read);
        }
        let Ok(step) = serde_json::from_slice::<Line>(&line) else { return Ok(read) };
        read.whole_bytes += bytes as u64;
        for entry in step.entries {
            read.record.push(entry);
        }
        if step.changes.reset {
            read.changes.clear();
        }
        if !step.changes.is_empty() {
            read.changes.push(step.changes);
        }
        read.state = step.state.or(read.state);
        if let Some(holds) = step.holds {
            read.record.config_hash = holds.config_hash;
            read.record.wans = holds.wans;
        }
    }
}

impl Journal {
    /// Opens the journal of a device and says what it holds; a torn line at its end is cut off.
    pub(super) fn open(folder: &Path, serial: Serial) -> io::Result<(Journal, Read)> {
        fs::create_dir_all(folder)?;
        let path = path_of(folder, serial);
        let before = if path.exists() { read(&path)? } else { Read::default() };
        if before.whole_bytes > COMPACT_ABOVE_BYTES {
            compact(&path, &before)?;
        } else if path.exists() {
            OpenOptions::new().write(true).open(&path)?.set_len(before.whole_bytes)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        Ok((Journal { file, last_state: before.state.clone() }, before))
    }

    /// Writes one step.
    pub(super) fn append(
        &mut self,
        entries: Vec<Entry>,
        changes: Changes,
        state: &DeviceState,
        holds: Option<Holds>,
    ) -> io::Result<()> {
        let state = (self.last_state.as_ref() != Some(state)).then(|| state.clone());
        if entries.is_empty() && changes.is_empty() && state.is_none() {
            return Ok(());
        }
        let line = Line { entries, changes, state, holds };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        self.last_state = line.state.or(self.last_state.take());
        Ok(())
    }
}

/// Writes a journal anew: one line instead of many, moved into place when it is complete.
fn compact(path: &Path, read: &Read) -> io::Result<()> {
    let mut merged = Changes::default();
    for changes in &read.changes {
        merged.reset |= changes.reset;
        merged.nodes.extend(changes.nodes.clone());
        merged.counters.extend(changes.counters.clone());
    }
    let line = Line {
        entries: read.record.entries.iter().cloned().collect(),
        changes: merged,
        state: read.state.clone(),
        holds: Some(Holds { config_hash: read.record.config_hash.clone(), wans: read.record.wans.clone() }),
    };
    let fresh = path.with_extension("new");
    let mut bytes = serde_json::to_vec(&line)?;
    bytes.push(b'\n');
    let mut file = File::create(&fresh)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}
