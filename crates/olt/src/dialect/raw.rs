//! The dialect file as it is written.

use super::ErrorClass;
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) vendor: String,
    pub(super) parser: String,
    pub(super) serial_format: SerialFormat,
    pub(super) product: String,
    pub(super) max_line: usize,
    pub(super) max_onu_id: u16,
    pub(super) description_max: usize,
    pub(super) board_in_service: String,
    pub(super) terminal: Terminal,
    pub(super) prompt: RawPrompt,
    pub(super) login: RawLogin,
    pub(super) reply: RawReply,
    #[serde(default)]
    pub(super) error: Vec<RawError>,
    pub(super) mode: RawModes,
    #[serde(default)]
    pub(super) prepare: Vec<Prepare>,
    pub(super) command: BTreeMap<String, RawCommand>,
}

/// The terminal we ask for, and how lines end.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terminal {
    /// Columns.
    pub columns: u16,
    /// Rows.
    pub rows: u16,
    /// Line end over SSH.
    pub newline_ssh: String,
    /// Line end over Telnet.
    pub newline_telnet: String,
}

/// How serial numbers are written in commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SerialFormat {
    /// `485754437D4733C3`
    Hex16,
    /// `HWTC7D4733C3`
    Ascii,
    /// `HWTC:7D4733C3`
    Colon,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPrompt {
    pub(super) regex: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLogin {
    pub(super) username: String,
    pub(super) password: String,
    #[serde(default)]
    pub(super) refused: Vec<String>,
    #[serde(default)]
    pub(super) pages: Vec<RawAnswer>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAnswer {
    pub(super) regex: String,
    pub(super) answer: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReply {
    pub(super) data_row: Option<String>,
    #[serde(default)]
    pub(super) pagers: Vec<RawAnswer>,
    pub(super) cr_prompt: String,
    pub(super) ask_prompt: String,
    pub(super) command_again: String,
    pub(super) question: String,
    pub(super) yes: String,
    pub(super) no: String,
    #[serde(default)]
    pub(super) closed: Vec<String>,
    #[serde(default)]
    pub(super) noise_lines: Vec<String>,
    #[serde(default)]
    pub(super) noise_blocks: Vec<RawNoiseBlock>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawNoiseBlock {
    pub(super) start: String,
    pub(super) end: String,
    pub(super) max_lines: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawError {
    pub(super) regex: String,
    pub(super) class: ErrorClass,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct RawModes {
    pub(super) leave: String,
    #[serde(flatten)]
    pub(super) named: BTreeMap<String, RawMode>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMode {
    pub(super) path: Vec<RawModeStep>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawModeStep {
    pub(super) line: String,
    pub(super) context: String,
    pub(super) end: String,
}

/// A line sent once after login; a refusal is noted and not fatal.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prepare {
    /// Mode it belongs to (without parameters).
    pub mode: String,
    /// The line.
    pub line: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCommand {
    pub(super) mode: String,
    pub(super) line: String,
    pub(super) timeout_s: Option<u64>,
    #[serde(default)]
    pub(super) confirm: Vec<String>,
    pub(super) success: Option<String>,
    pub(super) failure: Option<String>,
    pub(super) absent: Option<String>,
    pub(super) later: Option<RawLater>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLater {
    pub(super) wait_s: u64,
    pub(super) done: String,
    pub(super) progress: String,
    pub(super) failed: String,
}
