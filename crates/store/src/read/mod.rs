//! Read models: what pages and the API show. Lists filter, sort and page in the database and say the total.
//!
//! **Invariant: nothing here writes.** Each model is one query over the tables of all three parts, so a list of a
//! hundred rows costs two statements, not two hundred. Begin with [`Db::read`].

mod audit;
mod cpes;
mod customers;
mod detected;
mod devices;
mod faults;
mod firmware_files;
mod models;
mod olts;
mod onus;
mod overview;
mod search;
mod services;
mod sql;
mod tasks;
mod timeline;
mod users;

pub use audit::{AuditFilter, AuditRow};
pub use cpes::{
    ConnectionRequestRow, CpeFilter, CpeRow, CpeSessionRow, EvidenceRow, ParameterBranch, ParameterFilter,
    ParameterRow, TimerRow,
};
pub use customers::{CustomerFilter, CustomerRow, PlanFilter, PlanRow};
pub use detected::{DetectedFilter, DetectedRow};
pub use devices::{
    BootRow, Branches, DeviceFilter, DeviceParameterRow, DeviceRow, StandingFaultRow, StandingOrderRow,
    TagRow,
};
pub use faults::{FaultCount, FaultFilter, FaultGroup, FaultGrouping, FaultRow};
pub use firmware_files::{FirmwareFileFilter, FirmwareFileRow};
pub use models::{FamilyCount, FirmwareRow, LessonRow, ModelFilter, ModelRow, RefusalRow};
pub use olts::{OltFilter, OltRow, PonPortRow};
pub use onus::{OnuFilter, OnuRow, OnuViews};
pub use overview::{CpeTrouble, OnuTrouble, Overview, StateCount};
pub use search::{Hit, HitKind, serial_needle, vendor_needle};
pub use services::{IntentRow, ServiceFilter, ServiceRow};
pub use tasks::{TaskFilter, TaskLineRow, TaskRow};
pub use timeline::{TimelineFilter, TimelineRow, TimelineSubject};
pub use users::{ApiKeyRow, SettingRow, UserRow};

use crate::Db;

/// The most rows one page may hold.
pub const MAX_PAGE_SIZE: u32 = 500;

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub number: u32,
    /// Rows on a page, at most [`MAX_PAGE_SIZE`].
    pub size: u32,
}

impl Page {
    /// Clamped: numbers start at 1 and end where an offset would overflow, sizes lie within 1 and [`MAX_PAGE_SIZE`].
    pub fn new(number: u32, size: u32) -> Self {
        Page { number: number.clamp(1, 1_000_000), size: size.clamp(1, MAX_PAGE_SIZE) }
    }

    /// The first `size` rows.
    pub fn first(size: u32) -> Self {
        Page::new(1, size)
    }

    /// Rows before this page.
    pub fn offset(self) -> u64 {
        u64::from(self.number - 1) * u64::from(self.size)
    }
}

impl Default for Page {
    fn default() -> Self {
        Page::first(50)
    }
}

/// How a list is ordered. A column the list does not know falls back to the list's own order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sort {
    /// Name of the column as the list spells it.
    pub column: String,
    /// Largest first.
    pub descending: bool,
}

impl Sort {
    /// Reads `name` or `-name`.
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix('-') {
            Some(column) => Sort { column: column.to_owned(), descending: true },
            None => Sort { column: text.to_owned(), descending: false },
        }
    }

    /// `name` or `-name`.
    pub fn spell(&self) -> String {
        format!("{}{}", if self.descending { "-" } else { "" }, self.column)
    }
}

/// A page of a list, and how many rows there are on all pages.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The rows of this page.
    pub rows: Vec<T>,
    /// Rows on all pages together.
    pub total: u64,
}

/// The reading side of the store. Cheap to make; one per request.
#[derive(Debug, Clone, Copy)]
pub struct Read<'a> {
    pub(crate) db: &'a Db,
}

impl Db {
    /// The read models over this handle.
    pub fn read(&self) -> Read<'_> {
        Read { db: self }
    }
}
