//! What differs between OLT families, as data: prompts, pagers, questions, errors, modes and command templates.
//!
//! The file is TOML (`crates/profiles/olt/*.toml`). An operator's override is a patch with the same keys. Loading
//! compiles every expression and checks every template, so that a mistake is found when the file is saved and not
//! in the middle of an authorisation.

mod raw;

pub use raw::{Prepare, SerialFormat, Terminal};

use crate::template::{self, Parameters, TemplateError};
use raw::{Raw, RawAnswer, RawMode};
use regex::Regex;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// The built-in dialect of Huawei SmartAX OLTs.
pub const HUAWEI_SMARTAX: &str = include_str!("../../../profiles/olt/huawei_smartax.toml");

/// What an OLT's refusal means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// The ONU, its id or its service exists already.
    Duplicate,
    /// The thing named does not exist.
    NotFound,
    /// A list has no rows: an answer, not a failure.
    Empty,
    /// The setting was already as wanted.
    AlreadySet,
    /// The OLT asks to be asked again later.
    Busy,
    /// Something else still hangs on the thing to be removed.
    InUse,
    /// The OLT does not know the command or a parameter.
    Syntax,
    /// Our account may not do this.
    Permission,
    /// A table is full.
    Capacity,
    /// The ONU must be online for this.
    OnuOffline,
    /// The ONU itself refused.
    OnuRefused,
    /// A refusal we have no word for yet.
    Unknown,
}

/// How the OLT answered a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// No refusal was printed. For a write this is not yet a success: only reading back is.
    Accepted,
    /// A refusal, with the OLT's own words (wrapped lines joined).
    Rejected {
        /// What it means.
        class: ErrorClass,
        /// The OLT's words.
        message: String,
    },
}

impl Verdict {
    /// The class of the refusal, if it is one.
    pub fn class(&self) -> Option<ErrorClass> {
        match self {
            Verdict::Accepted => None,
            Verdict::Rejected { class, .. } => Some(*class),
        }
    }
}

/// Why a dialect file cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DialectError {
    /// Not TOML, or not of this shape.
    #[error("the OLT dialect is not readable: {0}")]
    Shape(String),
    /// An expression does not compile.
    #[error("the OLT dialect {dialect}: expression {key} is not valid: {reason}")]
    Expression {
        /// Dialect name.
        dialect: String,
        /// Where.
        key: String,
        /// The compiler's words.
        reason: String,
    },
    /// A template does not compile.
    #[error("the OLT dialect {dialect}: command {command}: {reason}")]
    Template {
        /// Dialect name.
        dialect: String,
        /// The command.
        command: String,
        /// The compiler's words.
        reason: String,
    },
    /// A command names a mode that is not there, and the like.
    #[error("the OLT dialect {dialect}: {reason}")]
    Missing {
        /// Dialect name.
        dialect: String,
        /// What is missing.
        reason: String,
    },
}

/// A pattern and what is sent when it is seen.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Matched against the row up to the cursor.
    pub regex: Regex,
    /// What is sent.
    pub answer: String,
}

/// Lines that an OLT prints uninvited.
#[derive(Debug, Clone)]
pub struct NoiseBlock {
    /// First line.
    pub start: Regex,
    /// Last line.
    pub end: Regex,
    /// Longest block; beyond it the lines count as text again.
    pub max_lines: usize,
}

#[derive(Debug, Clone)]
struct CommandTemplate {
    mode: String,
    line: String,
    timeout: Option<Duration>,
    confirm: Vec<Regex>,
    success: Option<Regex>,
    failure: Option<Regex>,
    absent: Option<Regex>,
    later: Option<Later>,
}

/// What an OLT prints after the prompt, when a command goes on in the background. A group `part` tells boards apart that
/// each have their own end.
#[derive(Debug, Clone)]
pub struct Later {
    /// Longest wait for it.
    pub wait: Duration,
    /// A line that says that a part is done.
    pub done: Regex,
    /// A line that says how far a part is.
    pub progress: Regex,
    /// A line that says that it failed.
    pub failed: Regex,
}

/// One step of the way into a mode, and the prompt that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeStep {
    /// What is sent.
    pub line: String,
    /// The bracketed part of the prompt there, empty if none.
    pub context: String,
    /// The end of the prompt there, e.g. `#`.
    pub end: String,
}

/// The way from the first mode to where a command lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModePath {
    /// Name in the dialect, e.g. `gpon`.
    pub name: String,
    /// Steps from the first mode.
    pub steps: Vec<ModeStep>,
}

/// A rendered command: exactly what will be sent, where, and what may be answered on the way.
#[derive(Debug, Clone)]
pub struct Command {
    /// Name in the dialect.
    pub name: String,
    /// The line, without line end.
    pub line: String,
    /// Where it lives.
    pub mode: ModePath,
    /// Longest wait; `None` = the session's default.
    pub timeout: Option<Duration>,
    /// Questions that may be answered *yes*. Any other question is answered *no* and raised.
    pub confirm: Arc<[Regex]>,
    /// Text that proves success.
    pub success: Option<Regex>,
    /// Text that is a refusal without the usual words.
    pub failure: Option<Regex>,
    /// The refusal, in full, that says that the very thing asked for is not there, or that the list has no rows. An OLT
    /// says "does not exist" of boards, ports and profiles, too.
    pub absent: Option<Regex>,
    /// It goes on after its reply.
    pub later: Option<Later>,
}

/// A compiled dialect.
#[derive(Debug)]
pub struct Dialect {
    /// e.g. `huawei_smartax`
    pub name: String,
    /// For people.
    pub title: String,
    /// For people.
    pub vendor: String,
    /// Which reply parser reads its tables.
    pub parser: String,
    /// How serials are written in commands.
    pub serial_format: SerialFormat,
    /// The product name of this family.
    pub product: Regex,
    /// Longest line the OLT takes, bytes.
    pub max_line: usize,
    /// Highest ONU id on a PON.
    pub max_onu_id: u16,
    /// Longest description, characters.
    pub description_max: usize,
    /// The status of a board that works; while it is another one the OLT may not know what is configured there.
    pub board_in_service: Regex,
    /// Terminal size and line ends.
    pub terminal: Terminal,
    pub(crate) prompt: Regex,
    pub(crate) username: Regex,
    pub(crate) password: Regex,
    pub(crate) refused: Vec<Regex>,
    pub(crate) pages: Vec<Answer>,
    pub(crate) pagers: Vec<Answer>,
    pub(crate) data_row: Option<Regex>,
    pub(crate) cr_prompt: Regex,
    pub(crate) ask_prompt: Regex,
    pub(crate) command_again: Regex,
    pub(crate) question: Regex,
    pub(crate) yes: String,
    pub(crate) no: String,
    pub(crate) closed: Vec<Regex>,
    pub(crate) noise_lines: Vec<Regex>,
    pub(crate) noise_blocks: Vec<NoiseBlock>,
    errors: Vec<(Regex, ErrorClass)>,
    failure: Regex,
    parser_error: Regex,
    /// What leaves one mode.
    pub leave: String,
    modes: BTreeMap<String, RawMode>,
    /// Lines sent once after login.
    pub prepare: Vec<Prepare>,
    commands: BTreeMap<String, CommandTemplate>,
}

impl Dialect {
    /// The built-in Huawei dialect.
    ///
    /// # Errors
    /// Only if the file in the source tree is broken, which a test excludes.
    pub fn huawei_smartax() -> Result<Arc<Dialect>, DialectError> {
        static COMPILED: OnceLock<Result<Arc<Dialect>, DialectError>> = OnceLock::new();
        COMPILED.get_or_init(|| Dialect::from_toml(HUAWEI_SMARTAX).map(Arc::new)).clone()
    }

    /// The built-in dialect of that name.
    ///
    /// # Errors
    /// [`DialectError::Missing`] when there is none.
    pub fn builtin(name: &str) -> Result<Arc<Dialect>, DialectError> {
        match name {
            "huawei_smartax" => Dialect::huawei_smartax(),
            other => Err(DialectError::Missing {
                dialect: other.to_owned(),
                reason: "there is no such built-in dialect (known: huawei_smartax)".to_owned(),
            }),
        }
    }

    /// Reads and checks a dialect file.
    ///
    /// # Errors
    /// What is wrong and where.
    pub fn from_toml(text: &str) -> Result<Dialect, DialectError> {
        let raw: Raw = toml::from_str(text).map_err(|e| DialectError::Shape(e.to_string()))?;
        Dialect::compile(raw)
    }

    /// Reads a dialect with an operator's patch over it: tables are merged, everything else is replaced.
    ///
    /// # Errors
    /// What is wrong in either text or in the result.
    pub fn with_patch(base: &str, patch: &str) -> Result<Dialect, DialectError> {
        let shape = |e: toml::de::Error| DialectError::Shape(e.to_string());
        let mut value: toml::Table = toml::from_str(base).map_err(shape)?;
        merge(&mut value, toml::from_str(patch).map_err(shape)?);
        let raw: Raw = toml::Value::Table(value).try_into().map_err(shape)?;
        Dialect::compile(raw)
    }

    fn compile(raw: Raw) -> Result<Dialect, DialectError> {
        let dialect = raw.name.clone();
        let compile = |key: &str, text: &str| {
            regex::RegexBuilder::new(text).size_limit(1 << 20).build().map_err(|e| DialectError::Expression {
                dialect: dialect.clone(),
                key: key.to_owned(),
                reason: e.to_string(),
            })
        };
        let list = |key: &str, texts: &[String]| {
            texts.iter().map(|t| compile(key, t)).collect::<Result<Vec<_>, _>>()
        };
        let answers = |key: &str, raw: &[RawAnswer]| {
            raw.iter()
                .map(|a| Ok(Answer { regex: compile(key, &a.regex)?, answer: a.answer.clone() }))
                .collect::<Result<Vec<_>, DialectError>>()
        };
        let prompt = compile("prompt.regex", &raw.prompt.regex)?;
        for group in ["host", "context", "end"] {
            if !prompt.capture_names().flatten().any(|name| name == group) {
                return Err(DialectError::Missing {
                    dialect,
                    reason: format!("prompt.regex has no group named {group}"),
                });
            }
        }
        let mut commands = BTreeMap::new();
        for (name, command) in &raw.command {
            if !raw.mode.named.contains_key(&command.mode) {
                return Err(DialectError::Missing {
                    dialect,
                    reason: format!("command {name} lives in mode {}, which is not described", command.mode),
                });
            }
            template::check(&command.line).map_err(|e| DialectError::Template {
                dialect: dialect.clone(),
                command: name.clone(),
                reason: e.to_string(),
            })?;
            let key = format!("command.{name}");
            let optional = |text: &Option<String>| text.as_ref().map(|t| compile(&key, t)).transpose();
            commands.insert(
                name.clone(),
                CommandTemplate {
                    mode: command.mode.clone(),
                    line: command.line.clone(),
                    timeout: command.timeout_s.map(Duration::from_secs),
                    confirm: list(&key, &command.confirm)?,
                    success: optional(&command.success)?,
                    failure: optional(&command.failure)?,
                    absent: optional(&command.absent)?,
                    later: match &command.later {
                        None => None,
                        Some(later) => Some(Later {
                            wait: Duration::from_secs(later.wait_s),
                            done: compile(&key, &later.done)?,
                            progress: compile(&key, &later.progress)?,
                            failed: compile(&key, &later.failed)?,
                        }),
                    },
                },
            );
        }
        for prepare in &raw.prepare {
            if !raw.mode.named.contains_key(&prepare.mode) {
                return Err(DialectError::Missing {
                    dialect,
                    reason: format!(
                        "prepare line {:?} lives in mode {}, which is not described",
                        prepare.line, prepare.mode
                    ),
                });
            }
        }
        let mut errors = Vec::new();
        for error in &raw.error {
            errors.push((compile("error", &error.regex)?, error.class));
        }
        let mut noise_blocks = Vec::new();
        for block in &raw.reply.noise_blocks {
            noise_blocks.push(NoiseBlock {
                start: compile("reply.noise_blocks.start", &block.start)?,
                end: compile("reply.noise_blocks.end", &block.end)?,
                max_lines: block.max_lines,
            });
        }
        Ok(Dialect {
            product: compile("product", &raw.product)?,
            board_in_service: compile("board_in_service", &raw.board_in_service)?,
            username: compile("login.username", &raw.login.username)?,
            password: compile("login.password", &raw.login.password)?,
            refused: list("login.refused", &raw.login.refused)?,
            pages: answers("login.pages", &raw.login.pages)?,
            pagers: answers("reply.pagers", &raw.reply.pagers)?,
            data_row: raw.reply.data_row.as_ref().map(|t| compile("reply.data_row", t)).transpose()?,
            cr_prompt: compile("reply.cr_prompt", &raw.reply.cr_prompt)?,
            ask_prompt: compile("reply.ask_prompt", &raw.reply.ask_prompt)?,
            command_again: compile("reply.command_again", &raw.reply.command_again)?,
            question: compile("reply.question", &raw.reply.question)?,
            closed: list("reply.closed", &raw.reply.closed)?,
            noise_lines: list("reply.noise_lines", &raw.reply.noise_lines)?,
            failure: compile("failure", r"^ {0,4}(?i:Failure|Error) ?: ?(?P<message>.*)$")?,
            parser_error: compile("parser_error", r"^ {0,4}(?P<message>% ?[A-Z].*)$")?,
            yes: raw.reply.yes,
            no: raw.reply.no,
            leave: raw.mode.leave,
            modes: raw.mode.named,
            prepare: raw.prepare,
            name: raw.name,
            title: raw.title,
            vendor: raw.vendor,
            parser: raw.parser,
            serial_format: raw.serial_format,
            max_line: raw.max_line,
            max_onu_id: raw.max_onu_id,
            description_max: raw.description_max,
            terminal: raw.terminal,
            prompt,
            noise_blocks,
            errors,
            commands,
        })
    }

    /// How this family writes a serial number.
    pub fn serial(&self, serial: types::Serial) -> String {
        match self.serial_format {
            SerialFormat::Hex16 => serial.hex16(),
            SerialFormat::Ascii => serial.ascii(),
            SerialFormat::Colon => serial.colon(),
        }
    }

    /// The way into a mode.
    ///
    /// # Errors
    /// When the mode or a parameter is missing.
    pub fn mode(&self, name: &str, parameters: &Parameters) -> Result<ModePath, TemplateError> {
        let mode = self.modes.get(name).ok_or_else(|| TemplateError::NoSuchMode(name.to_owned()))?;
        let steps = mode
            .path
            .iter()
            .map(|step| {
                Ok(ModeStep {
                    line: template::render(&step.line, parameters, self.max_line)?,
                    context: template::render(&step.context, parameters, self.max_line)?,
                    end: step.end.clone(),
                })
            })
            .collect::<Result<_, TemplateError>>()?;
        Ok(ModePath { name: name.to_owned(), steps })
    }

    /// Renders the command of that name.
    ///
    /// # Errors
    /// When there is no such command, a parameter is missing, or one could break out of its line.
    pub fn command(&self, name: &str, parameters: &Parameters) -> Result<Command, TemplateError> {
        let template =
            self.commands.get(name).ok_or_else(|| TemplateError::NoSuchCommand(name.to_owned()))?;
        let line = template::render(&template.line, parameters, self.max_line)?;
        if line.is_empty() {
            return Err(TemplateError::Render {
                template: name.to_owned(),
                reason: "the line is empty".to_owned(),
            });
        }
        Ok(Command {
            name: name.to_owned(),
            line,
            mode: self.mode(&template.mode, parameters)?,
            timeout: template.timeout,
            confirm: template.confirm.clone().into(),
            success: template.success.clone(),
            failure: template.failure.clone(),
            absent: template.absent.clone(),
            later: template.later.clone(),
        })
    }

    /// A line planned earlier, exactly as planned, with what its command may take and be asked.
    ///
    /// # Errors
    /// When there is no such command any more.
    pub fn planned(&self, name: &str, line: &str, mode: &ModePath) -> Result<Command, TemplateError> {
        let template =
            self.commands.get(name).ok_or_else(|| TemplateError::NoSuchCommand(name.to_owned()))?;
        Ok(Command {
            name: name.to_owned(),
            line: line.to_owned(),
            mode: mode.clone(),
            timeout: template.timeout,
            confirm: template.confirm.clone().into(),
            success: template.success.clone(),
            failure: template.failure.clone(),
            absent: template.absent.clone(),
            later: template.later.clone(),
        })
    }

    /// True if this family has that command.
    pub fn knows(&self, command: &str) -> bool {
        self.commands.contains_key(command)
    }

    /// Finds the refusal in a cleaned reply. Messages that the OLT wrapped are joined first; the last refusal counts
    /// (earlier ones belong to repeats of the command).
    pub fn classify(&self, text: &str) -> Verdict {
        let mut found: Option<String> = None;
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            let Some(captures) = self.failure.captures(line).or_else(|| self.parser_error.captures(line))
            else {
                continue;
            };
            let mut message = captures["message"].trim().to_owned();
            // A wrapped message goes on in lines that start with blanks and name nothing of their own.
            while let Some(next) = lines.peek() {
                let rest = next.trim();
                let starts_anew = self.failure.is_match(next) || self.parser_error.is_match(next);
                if rest.is_empty() || !next.starts_with("  ") || starts_anew || rest.starts_with("---") {
                    break;
                }
                message = format!("{message} {rest}");
                lines.next();
            }
            found = Some(message);
        }
        match found {
            None => Verdict::Accepted,
            Some(message) => Verdict::Rejected { class: self.class_of(&message), message },
        }
    }

    /// What a refusal's words mean.
    pub fn class_of(&self, message: &str) -> ErrorClass {
        self.errors
            .iter()
            .find(|(regex, _)| regex.is_match(message))
            .map_or(ErrorClass::Unknown, |(_, class)| *class)
    }
}

fn merge(base: &mut toml::Table, patch: toml::Table) {
    for (key, value) in patch {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => merge(below, above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::parameters;

    fn dialect() -> Arc<Dialect> {
        Dialect::huawei_smartax().expect("the built-in dialect")
    }

    #[test]
    fn wrapped_refusals_are_joined_before_they_are_judged() {
        let verdict =
            dialect().classify("  Failure: This configured object has some service virtual\n  ports\n");
        assert_eq!(
            verdict,
            Verdict::Rejected {
                class: ErrorClass::InUse,
                message: "This configured object has some service virtual ports".to_owned()
            }
        );
    }

    #[test]
    fn a_failure_inside_a_table_is_data() {
        let text =
            "  0/ 1/0       0   Failure: not really\n                            Failure: wrapped text\n";
        assert_eq!(dialect().classify(text), Verdict::Accepted);
    }

    #[test]
    fn commands_live_where_their_mode_says() {
        let parameters =
            parameters([("frame", 0.into()), ("slot", 1.into()), ("port", 6.into()), ("onu_id", 2.into())]);
        let command = dialect().command("onu_delete", &parameters).expect("a line");
        assert_eq!(command.line, "ont delete 6 2");
        assert_eq!(command.mode.steps.last().map(|s| s.context.as_str()), Some("(config-if-gpon-0/1)"));
        assert!(matches!(dialect().command("onu_add", &parameters), Err(TemplateError::Render { .. })));
        assert!(matches!(dialect().command("nonsense", &parameters), Err(TemplateError::NoSuchCommand(_))));
    }

    #[test]
    fn a_patch_changes_one_command_and_keeps_the_rest() {
        let patch = "[command.save]\nline = \"save data\"\n";
        let patched = Dialect::with_patch(HUAWEI_SMARTAX, patch).expect("a patched dialect");
        assert_eq!(patched.command("save", &Parameters::new()).map(|c| c.line), Ok("save data".to_owned()));
        assert!(patched.knows("onu_add"));
        let broken = Dialect::with_patch(HUAWEI_SMARTAX, "[command.save]\nline = \"save {{ \"\n");
        assert!(matches!(broken, Err(DialectError::Template { .. })), "{broken:?}");
        let broken = Dialect::with_patch(HUAWEI_SMARTAX, "[prompt]\nregex = \"(\"\n");
        assert!(matches!(broken, Err(DialectError::Expression { .. })), "{broken:?}");
        let broken = Dialect::with_patch(HUAWEI_SMARTAX, "[command.save]\nmode = \"nowhere\"\n");
        assert!(matches!(broken, Err(DialectError::Missing { .. })), "{broken:?}");
    }
}
