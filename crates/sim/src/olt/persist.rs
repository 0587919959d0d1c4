//! State and record on disk, so that a simulated box survives the death of its process.
//!
//! The state file is the truth and is replaced as a whole (written beside, then renamed). The record is appended to.
//! An entry with effects whose state never reached the disk never happened: at the next start it is dropped.

use super::{
    machine::Olt,
    record::{Entry, Record, Tally},
    spec::OltSpec,
    state::OltState,
};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
};
use types::UtcMs;

const VERSION: u32 = 1;

/// The files of a box cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    /// The operating system said no.
    #[error("simulated OLT {name}: {path}: {source}")]
    Io {
        /// Box.
        name: String,
        /// File.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what this program wrote.
    #[error(
        "simulated OLT {name}: {path} is damaged or of another version: {why}; remove it to start this box anew"
    )]
    Damaged {
        /// Box.
        name: String,
        /// File.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    next_seq: u64,
    tally: Tally,
    state: OltState,
}

/// The files of one box.
#[derive(Debug)]
pub(crate) struct Files {
    name: String,
    dir: PathBuf,
    written: Option<u64>,
    record: File,
}

impl Files {
    /// Opens the folder of a box and reads what is there.
    pub(crate) fn open(spec: &OltSpec, dir: &Path, now: UtcMs) -> Result<(Self, Olt), PersistError> {
        let io = |path: &Path| {
            let (name, path) = (spec.name.clone(), path.to_owned());
            move |source| PersistError::Io { name, path, source }
        };
        fs::create_dir_all(dir).map_err(io(dir))?;
        let (state_path, record_path) = (dir.join("state.json"), dir.join("record.jsonl"));
        let mut olt = match fs::read(&state_path) {
            Ok(bytes) => {
                let damaged = |why: String| PersistError::Damaged {
                    name: spec.name.clone(),
                    path: state_path.clone(),
                    why,
                };
                let saved: Saved =
                    serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
                if saved.version != VERSION {
                    return Err(damaged(format!("version {} instead of {VERSION}", saved.version)));
                }
                let entries = read_record(&record_path, saved.next_seq).map_err(io(&record_path))?;
                rewrite(&record_path, &entries).map_err(io(&record_path))?;
                let record = Record::restore(entries, saved.tally, saved.next_seq);
                Olt::with_state(spec.clone(), saved.state, record)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                // A record without a state is the remains of a box that was removed.
                File::create(&record_path).map_err(io(&record_path))?;
                Olt::new(spec.clone(), now)
            }
            Err(error) => return Err(io(&state_path)(error)),
        };
        olt.record.to_file = true;
        let record =
            OpenOptions::new().create(true).append(true).open(&record_path).map_err(io(&record_path))?;
        let mut files = Files { name: spec.name.clone(), dir: dir.to_owned(), written: None, record };
        files.follow(&mut olt)?;
        Ok((files, olt))
    }

    /// Writes what changed since the last call. Called before an answer leaves, so that nothing is ever acknowledged
    /// and then forgotten.
    pub(crate) fn follow(&mut self, olt: &mut Olt) -> Result<(), PersistError> {
        let record_path = self.dir.join("record.jsonl");
        let state_path = self.dir.join("state.json");
        let name = self.name.clone();
        let io = |path: &Path| {
            let (name, path) = (name.clone(), path.to_owned());
            move |source| PersistError::Io { name, path, source }
        };
        let entries = olt.record.take_unwritten();
        if !entries.is_empty() {
            let mut text = String::new();
            for entry in &entries {
                text.push_str(&serde_json::to_string(entry).map_err(|error| io(&record_path)(error.into()))?);
                text.push('\n');
            }
            self.record.write_all(text.as_bytes()).map_err(io(&record_path))?;
        }
        if self.written != Some(olt.generation) {
            let saved = Saved {
                version: VERSION,
                next_seq: olt.record.next_seq(),
                tally: olt.record.tally().clone(),
                state: olt.state.clone(),
            };
            let bytes = serde_json::to_vec(&saved).map_err(|error| io(&state_path)(error.into()))?;
            replace(&state_path, &bytes).map_err(io(&state_path))?;
            self.written = Some(olt.generation);
        }
        Ok(())
    }
}

/// Writes a file beside its place and renames it there, readable by its owner only.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(&beside)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(&beside, path)
}

/// Entries whose effects are in the state. A torn last line is the mark of a sudden death.
fn read_record(path: &Path, next_seq: u64) -> std::io::Result<Vec<Entry>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut entries = Vec::new();
    for line in BufReader::new(file).lines() {
        let Ok(entry) = serde_json::from_str::<Entry>(&line?) else { break };
        if entry.seq < next_seq || entry.effects.is_empty() {
            entries.push(entry);
        }
    }
    Ok(entries)
}

fn rewrite(path: &Path, entries: &[Entry]) -> std::io::Result<()> {
    let mut text = Vec::new();
    for entry in entries {
        serde_json::to_writer(&mut text, entry)?;
        text.push(b'\n');
    }
    replace(path, &text)
}
