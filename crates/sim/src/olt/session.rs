//! A CLI session: where it is, what it was told about itself, what it is waiting for; and what goes back to it.

use super::{
    fault::FaultKind,
    state::{LineProfile, SrvProfile},
};

/// Where a session is in the tree of views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// `NAME>`
    User,
    /// `NAME#`
    Enable,
    /// `NAME(config)#`
    Config,
    /// `NAME(config-if-gpon-0/1)#`
    Gpon {
        /// Slot.
        slot: u8,
    },
    /// `NAME(config-gpon-lineprofile-10)#`
    LineProfile {
        /// Profile.
        id: u32,
    },
    /// `NAME(config-gpon-srvprofile-10)#`
    SrvProfile {
        /// Profile.
        id: u32,
    },
}

/// How a session came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// SSH.
    Ssh,
    /// Telnet.
    Telnet,
}

/// Something the box is waiting to be told before it carries a line out.
#[derive(Debug, Clone)]
pub(crate) enum Ask {
    /// `{ <cr>|…}:` after a complete command.
    Cr { line: String, fault: Option<FaultKind> },
    /// `{ … }:` after an incomplete one.
    More { line: String, fault: Option<FaultKind> },
    /// `(y/n)[n]:`
    YesNo { line: String, fault: Option<FaultKind> },
    /// `Are you sure to log out? (y/n)[n]:`
    LogOut,
}

/// One CLI session.
#[derive(Debug)]
pub struct Session {
    /// Number, never 0.
    pub id: u64,
    /// User.
    pub user: String,
    /// Transport.
    pub via: Via,
    /// View.
    pub view: View,
    /// Idle limit, seconds; `None` after `undo idle-timeout`.
    pub idle_timeout_s: Option<u64>,
    /// Lines per page.
    pub page_rows: usize,
    /// Alarms are printed.
    pub alarms: bool,
    pub(crate) smart: bool,
    pub(crate) interactive: bool,
    pub(crate) ask: Option<Ask>,
    pub(crate) line_draft: LineProfile,
    pub(crate) srv_draft: Option<SrvProfile>,
}

impl Session {
    /// True while the box waits for an answer to a question of its own.
    pub fn is_asked(&self) -> bool {
        self.ask.is_some()
    }
}

/// Where a reply is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Nothing arrives.
    AtOnce,
    /// So many characters arrive.
    AfterChars(usize),
}

/// What goes back to the terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Lines of the reply.
    pub lines: Vec<String>,
    /// What the cursor stands behind afterwards: the prompt, or a question.
    pub prompt: String,
    /// `prompt` is a question of the box.
    pub asks: bool,
    /// The session ends after this.
    pub close: bool,
    /// The reply comes this much later.
    pub delay_ms: u64,
    /// The connection breaks.
    pub cut: Option<Cut>,
    /// Nothing is ever printed.
    pub hang: bool,
}

/// Text that reaches sessions without having been asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noise {
    /// Only this session; `None` = all with alarms on.
    pub session: Option<u64>,
    /// Lines.
    pub lines: Vec<String>,
}

/// A login the box does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Wrong name or password.
    #[error("Username or password invalid.")]
    Credentials,
    /// `Reenter Num` reached.
    #[error("Reenter times have reached the upper limit.")]
    TooManySessions,
    /// Starting up.
    #[error("The system is starting, please retry later.")]
    Starting,
}
