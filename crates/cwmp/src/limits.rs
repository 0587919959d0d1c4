//! What one message may cost.

/// Bounds on one decoded message. The defaults leave room for the largest full parameter trees seen in the
/// field (below 1 MiB and 10 000 parameters) times eight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one envelope, after decompression.
    pub max_bytes: usize,
    /// Nesting of elements.
    pub max_depth: usize,
    /// Elements of one envelope.
    pub max_elements: usize,
    /// Attributes of one element.
    pub max_attributes: usize,
    /// Entries of one list (parameters, events, methods …).
    pub max_list_entries: usize,
    /// Bytes of the text of one element.
    pub max_text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_bytes: 8 << 20,
            max_depth: 32,
            max_elements: 400_000,
            max_attributes: 64,
            max_list_entries: 65_536,
            max_text_bytes: 1 << 20,
        }
    }
}
