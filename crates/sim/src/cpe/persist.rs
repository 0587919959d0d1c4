//! The journal of one CPE: what it was told, how its tree changed and what it remembers, one line per step.
//!
//! A step is written **before** the answer leaves, in one write: a device does not forget its WAN because our
//! process was killed, and what was answered is always in the record. A torn last line is a step that was never
//! answered; it is dropped.

use super::{behaviour::DeviceState, tree::Changes};
use crate::record::{CpeRecord, Entry, Tally};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
};
use types::Serial;

/// A journal that has grown by this much since it was last written anew is written anew.
const COMPACT_AFTER_BYTES: u64 = 4 << 20;
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
    /// Counts up to and including this line, where entries before it were dropped.
    #[serde(default, rename = "n", skip_serializing_if = "Option::is_none")]
    tally: Option<Tally>,
}

/// What the device holds after a step that changed its tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Holds {
    #[serde(rename = "c")]
    pub(super) config_hash: String,
    #[serde(rename = "w")]
    pub(super) wans: Vec<(String, String)>,
    #[serde(default, rename = "i")]
    pub(super) tables: BTreeMap<String, usize>,
}

/// A journal that is being written. The file is opened for every step: thousands of devices share one process, and
/// a process may have about a thousand files open.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    last_state: Option<DeviceState>,
    grown_bytes: u64,
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
        read.record.tally = step.tally.unwrap_or(read.record.tally);
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
            read.record.tables = holds.tables;
        }
    }
}

impl Journal {
    /// Opens the journal of a device and says what it holds; a torn line at its end is cut off.
    pub(super) fn open(folder: &Path, serial: Serial) -> io::Result<(Journal, Read)> {
        fs::create_dir_all(folder)?;
        let path = path_of(folder, serial);
        let before = if path.exists() { read(&path)? } else { Read::default() };
        if path.exists() {
            OpenOptions::new().write(true).open(&path)?.set_len(before.whole_bytes)?;
        }
        let grown_bytes = before.whole_bytes;
        Ok((Journal { path, last_state: before.state.clone(), grown_bytes }, before))
    }

    /// True if it is time for [`Journal::write_anew`].
    pub(super) fn is_long(&self) -> bool {
        self.grown_bytes > COMPACT_AFTER_BYTES
    }

    /// Replaces the journal by one line that says the same, moved into place when it is complete.
    pub(super) fn write_anew(
        &mut self,
        record: &CpeRecord,
        changes: Changes,
        state: &DeviceState,
        holds: Holds,
    ) -> io::Result<()> {
        let line = Line {
            entries: record.entries.iter().cloned().collect(),
            changes,
            state: Some(state.clone()),
            holds: Some(holds),
            tally: Some(record.tally.clone()),
        };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        let fresh = self.path.with_extension("new");
        let mut file = File::create(&fresh)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&fresh, &self.path)?;
        self.grown_bytes = 0;
        Ok(())
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
        let line = Line { entries, changes, state, holds, tally: None };
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        OpenOptions::new().create(true).append(true).open(&self.path)?.write_all(&bytes)?;
        self.grown_bytes += bytes.len() as u64;
        self.last_state = line.state.or(self.last_state.take());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::What;
    use types::UtcMs;

    #[test]
    fn a_journal_written_anew_says_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let serial: Serial = "HWTC5A000001".parse().expect("a serial");
        let (mut journal, _) = Journal::open(folder.path(), serial).expect("opened");
        let entry = |session| Entry { at: UtcMs(1), session, clock_valid: true, what: What::Booted };
        let mut record = CpeRecord::default();
        let state = |sessions| {
            let mut state = DeviceState::default();
            state.sessions = sessions;
            state
        };
        for session in 1..=3 {
            record.push(entry(session));
            journal.append(vec![entry(session)], Changes::default(), &state(session), None).expect("written");
        }
        // Older entries were dropped, their counts were not.
        record.entries.pop_front();
        let holds = Holds {
            config_hash: "h".to_owned(),
            wans: vec![("A.1.".to_owned(), "role".to_owned())],
            tables: [("A.".to_owned(), 1)].into(),
        };
        (record.config_hash, record.wans) = (holds.config_hash.clone(), holds.wans.clone());
        record.tables.clone_from(&holds.tables);
        journal.write_anew(&record, Changes::default(), &state(3), holds).expect("written");
        record.push(entry(4));
        journal.append(vec![entry(4)], Changes::default(), &state(4), None).expect("written");

        let read = read(&path_of(folder.path(), serial)).expect("read");
        assert_eq!(read.record, record);
        assert_eq!((read.record.tally.boots, read.record.entries.len()), (4, 3));
        assert_eq!(read.state, Some(state(4)));
        assert_eq!(journals(folder.path()).expect("listed").len(), 1);
    }
}
