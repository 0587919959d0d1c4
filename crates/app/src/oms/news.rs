//! What an OLT does by itself, in the timeline.

use store::{Severity, rows};
use types::UtcMs;

/// An entry about an OLT.
pub(super) fn olt_news(
    olt: &rows::Olt,
    at: UtcMs,
    severity: Severity,
    code: &str,
    text: String,
) -> rows::TimelineEntry {
    rows::TimelineEntry {
        at,
        kind: "olt".into(),
        olt_id: Some(olt.id),
        severity,
        code: code.into(),
        text,
        actor: "system:oms".into(),
        facts: serde_json::json!({}),
        ..Default::default()
    }
}
