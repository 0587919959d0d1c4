//! A device with its record and its journal: whatever it does is written down before anybody learns of it.

use super::{
    behaviour::{Device, DeviceSpec},
    persist::{Holds, Journal},
    tree::{Model, Node},
};
use crate::record::{CpeRecord, Tally};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, io, path::Path, sync::Arc};

/// A device that keeps books.
#[derive(Debug)]
pub struct Cell {
    device: Device,
    record: CpeRecord,
    journal: Option<Journal>,
}

impl Cell {
    /// A device without a folder: it forgets everything with the process.
    pub fn in_memory(spec: Arc<DeviceSpec>, model: Arc<Model>) -> Cell {
        Cell { device: Device::new(spec, model), record: CpeRecord::default(), journal: None }
    }

    /// A device as its journal in `folder` knows it, or a new one.
    ///
    /// # Errors
    /// When the journal cannot be read or written.
    pub fn open(spec: Arc<DeviceSpec>, model: Arc<Model>, folder: &Path) -> io::Result<Cell> {
        let (journal, before) = Journal::open(folder, spec.serial)?;
        let device = match before.state {
            Some(state) => Device::resume(spec, model, before.changes, state),
            None => Device::new(spec, model),
        };
        Ok(Cell { device, record: before.record, journal: Some(journal) })
    }

    /// The device, to look at.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The record so far, with what the device holds now.
    pub fn record(&self) -> CpeRecord {
        let holds = holds(&self.device);
        CpeRecord {
            config_hash: holds.config_hash,
            wans: holds.wans,
            tables: holds.tables,
            ..self.record.clone()
        }
    }

    /// Counts so far.
    pub fn tally(&self) -> &Tally {
        &self.record.tally
    }

    /// Lets the device do something and writes down what came of it.
    ///
    /// # Errors
    /// When the journal cannot be written; the caller must not let anything out then.
    pub fn act<T>(&mut self, act: impl FnOnce(&mut Device) -> T) -> io::Result<T> {
        let result = act(&mut self.device);
        let (entries, changes) = self.device.take_notes();
        for entry in &entries {
            self.record.push(entry.clone());
        }
        if let Some(journal) = &mut self.journal {
            let holds = (!changes.is_empty()).then(|| holds(&self.device));
            journal.append(entries, changes, self.device.state(), holds)?;
            if journal.is_long() {
                let (changes, state) = (self.device.tree().all_changes(), self.device.state());
                journal.write_anew(&self.record, changes, state, self::holds(&self.device))?;
            }
        }
        Ok(result)
    }
}

/// What a device is configured to do, apart from what changes by itself.
fn holds(device: &Device) -> Holds {
    let tree = device.tree();
    let (mut hasher, root) = (Sha256::new(), tree.root().to_owned());
    let mut tables = BTreeMap::<String, usize>::new();
    let management = format!("{root}ManagementServer.");
    for (path, node) in tree.below(&root).filter(|(path, _)| !path.starts_with(&management)) {
        match node {
            Node::Object { .. } => {
                hasher.update(path);
                if let Some(table) = table_of(path) {
                    *tables.entry(table).or_default() += 1;
                }
            }
            Node::Leaf(leaf) if leaf.writable => hasher.update(format!("{path}={}\n", leaf.value)),
            Node::Leaf(_) => {}
        }
    }
    let role = |wan: &super::wan::Wan| format!("{:?} vlan {:?} login {:?}", wan.kind, wan.vlan, wan.username);
    Holds {
        config_hash: hex::encode(hasher.finalize()),
        wans: device.service_wans().iter().map(|wan| (wan.path.clone(), role(wan))).collect(),
        tables,
    }
}

/// `A.{i}.B.` of the instance `A.1.B.7.`, whatever numbers the device gave.
fn table_of(object: &str) -> Option<String> {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (table, number) = object.strip_suffix('.')?.rsplit_once('.')?;
    let parts = table.split('.').map(|part| if is_number(part) { "{i}" } else { part });
    is_number(number).then(|| format!("{}.", parts.collect::<Vec<_>>().join(".")))
}
