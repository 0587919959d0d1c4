//! How much one OLT session may cost us. A peer that exceeds a limit loses its session, nothing else.

/// Limits of one dialogue. The defaults leave room for the largest real replies (a full MA5800-X17 service-port
/// table is about 3 MiB).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one reply, as received.
    pub reply_bytes: usize,
    /// Lines of one reply.
    pub reply_lines: usize,
    /// Columns of one line.
    pub line_columns: usize,
    /// Pages answered within one reply.
    pub pages: usize,
    /// `{ <cr>… }:` prompts answered within one reply.
    pub cr_prompts: usize,
    /// Yes/no questions answered within one reply.
    pub questions: usize,
    /// Bytes before the first prompt.
    pub login_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            reply_bytes: 8 << 20,
            reply_lines: 100_000,
            line_columns: 8192,
            pages: 5000,
            cr_prompts: 4,
            questions: 3,
            login_bytes: 64 << 10,
        }
    }
}
