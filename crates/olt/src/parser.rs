//! What a vendor's reply parsers offer. Parsers are the one place where a vendor has Rust code of its own.

use crate::model::{
    AcsProfile, Board, DbaProfile, DetectedOnu, LineProfile, ManagementRow, OnuOptics, OnuRecord, OnuRow,
    OnuSummary, PonPort, ProfileRow, ServicePortRow, Version, Vlan,
};
use types::Serial;

/// A reply, or a part of one, that cannot be trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// A line that should be a row is none.
    #[error("the OLT's {what} holds a row that cannot be read: {row:?}")]
    Row {
        /// Which reply.
        what: &'static str,
        /// The line.
        row: String,
    },
    /// A field is missing.
    #[error("the OLT's {what} has no {field}")]
    Field {
        /// Which reply.
        what: &'static str,
        /// Which field.
        field: &'static str,
    },
    /// The OLT declares another number of rows than it printed.
    #[error("the OLT's {what} declares {declared} rows and shows {found}")]
    Total {
        /// Which reply.
        what: &'static str,
        /// What it says.
        declared: usize,
        /// What was read.
        found: usize,
    },
    /// One thing is said twice, and differently: neither is believed.
    #[error("the OLT's {what} says {thing} twice, and differently")]
    Twice {
        /// Which reply.
        what: &'static str,
        /// What is said twice.
        thing: String,
    },
    /// Two replies name different ONUs for one place: neither is believed, since what stands there could be anybody's.
    #[error(
        "it says that {serial} is registered as {place}, and when asked for that place names {there}; it contradicts \
         itself, so nothing is told from it"
    )]
    Contradicts {
        /// The serial that was asked for.
        serial: Serial,
        /// Where it is said to be.
        place: String,
        /// Who is said to be there.
        there: String,
    },
}

/// Things noted of one table; what is beyond is only known to be there.
const MOST_NOTES: usize = 20;

/// A table as far as it could be read. A row can hold text that anybody typed, so one that cannot be read costs itself
/// and not the others; but what is not in `rows` is only known to be absent if the table is [`complete`](Self::complete).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<T> {
    /// Rows that were read.
    pub rows: Vec<T>,
    /// Why rows are missing, at most twenty reasons.
    pub missing: Vec<ParseError>,
    /// Parts of rows that were not understood, a description for one; the rows are there. At most twenty.
    pub remarks: Vec<ParseError>,
    /// The OLT's own count says that there are no other rows.
    pub counted: bool,
}

impl<T> Table<T> {
    /// A table without rows; the OLT said so.
    pub fn empty() -> Self {
        Table { rows: Vec::new(), missing: Vec::new(), remarks: Vec::new(), counted: true }
    }

    /// Nothing is in the table but what was read.
    pub fn complete(&self) -> bool {
        self.counted && self.missing.is_empty()
    }

    /// The rows for those who cannot do with a part of them.
    ///
    /// # Errors
    /// Why the first missing row is missing.
    pub fn whole(mut self) -> Result<Vec<T>, ParseError> {
        if self.missing.is_empty() { Ok(self.rows) } else { Err(self.missing.swap_remove(0)) }
    }

    pub(crate) fn miss(&mut self, why: ParseError) {
        if self.missing.len() < MOST_NOTES {
            self.missing.push(why);
        }
    }

    pub(crate) fn remark(&mut self, what: ParseError) {
        if self.remarks.len() < MOST_NOTES {
            self.remarks.push(what);
        }
    }
}

/// Reads the replies of one family. Texts are clean replies (see [`crate::machine::Reply`]); refusals were sorted out
/// before.
#[allow(missing_docs, reason = "each method reads the reply of the dialect command of that name")]
pub trait ReplyParser: Send + Sync + std::fmt::Debug {
    fn autofind(&self, text: &str) -> Table<DetectedOnu>;
    fn onus_of_pon(&self, text: &str) -> Table<OnuRow>;
    fn onu(&self, text: &str) -> Result<OnuRecord, ParseError>;
    fn onu_summary_of_pon(&self, text: &str) -> Table<OnuSummary>;
    fn optics_of_pon(&self, text: &str) -> Table<OnuOptics>;
    fn acs_profile(&self, text: &str) -> Result<AcsProfile, ParseError>;
    fn service_ports(&self, text: &str) -> Result<Vec<ServicePortRow>, ParseError>;
    fn management_of_onu(&self, text: &str) -> Result<Vec<ManagementRow>, ParseError>;
    fn management_wans_of_onu(&self, text: &str) -> Result<Vec<ManagementRow>, ParseError>;
    fn profiles(&self, text: &str) -> Result<Vec<ProfileRow>, ParseError>;
    fn line_profile(&self, text: &str) -> Result<LineProfile, ParseError>;
    fn dba_profiles(&self, text: &str) -> Result<Vec<DbaProfile>, ParseError>;
    fn boards(&self, text: &str) -> Result<Vec<Board>, ParseError>;
    fn pon_ports(&self, text: &str) -> Result<Vec<PonPort>, ParseError>;
    fn version(&self, text: &str) -> Result<Version, ParseError>;
    fn vlan(&self, text: &str) -> Result<Vlan, ParseError>;
}

/// The parser that a dialect names.
pub fn parser_named(name: &str) -> Option<&'static dyn ReplyParser> {
    match name {
        "huawei" => Some(&crate::huawei::Huawei),
        _ => None,
    }
}
