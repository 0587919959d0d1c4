//! What a vendor's reply parsers offer. Parsers are the one place where a vendor has Rust code of its own.

use crate::model::{
    Board, DbaProfile, DetectedOnu, LineProfile, ManagementRow, OnuOptics, OnuRecord, OnuRow, OnuSummary,
    PonPort, ProfileRow, ServicePortRow, Version, Vlan,
};

/// A reply that cannot be trusted. A reply is read whole or not at all: half a table would look like ONUs that are
/// gone.
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
}

/// Reads the replies of one family. Texts are clean replies (see [`crate::machine::Reply`]); refusals were sorted out
/// before.
#[allow(missing_docs, reason = "each method reads the reply of the dialect command of that name")]
pub trait ReplyParser: Send + Sync + std::fmt::Debug {
    fn autofind(&self, text: &str) -> Result<Vec<DetectedOnu>, ParseError>;
    fn onus_of_pon(&self, text: &str) -> Result<Vec<OnuRow>, ParseError>;
    fn onu(&self, text: &str) -> Result<OnuRecord, ParseError>;
    fn onu_summary_of_pon(&self, text: &str) -> Result<Vec<OnuSummary>, ParseError>;
    fn optics_of_pon(&self, text: &str) -> Result<Vec<OnuOptics>, ParseError>;
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
