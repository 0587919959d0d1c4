//! Timelines as people read them: runs of small steps become one line; every line is one click away.

use store::read::TimelineRow;

/// Codes of single steps; the lines around them tell the story.
const STEPS: [&str; 2] = ["step_done", "session_requested"];
/// A line whose repetitions in a row say nothing new.
const REPEATED: [&str; 2] = ["verifying", "waiting_inform"];

/// Folds lines that are newest first. Steps in a row become one line that names them; of repeated looks the newest
/// stays. Changes of state, people's doings and anything bad are never folded.
pub(crate) fn fold(lines: Vec<TimelineRow>) -> Vec<TimelineRow> {
    let mut out: Vec<TimelineRow> = Vec::with_capacity(lines.len());
    for line in lines {
        let small = line.to_state.is_none() && !matches!(line.severity.as_str(), "bad" | "warn");
        if small && line.code == "session_requested" {
            continue;
        }
        if let Some(last) = out.last_mut()
            && small
            && last.code == line.code
            && last.to_state.is_none()
        {
            if STEPS.contains(&line.code.as_str()) {
                let step = line.text.strip_prefix("Done: ").unwrap_or(&line.text);
                let so_far = last.text.strip_prefix("Done: ").unwrap_or(&last.text);
                // Older steps come first in the sentence.
                if so_far != step && !so_far.starts_with(&format!("{step}, ")) {
                    last.text = format!("Done: {step}, {so_far}");
                }
                continue;
            }
            if REPEATED.contains(&line.code.as_str()) {
                continue;
            }
        }
        out.push(line);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(code: &str, text: &str, to_state: Option<&str>) -> TimelineRow {
        TimelineRow {
            id: 0,
            at: 0,
            kind: "provisioning".into(),
            from_state: None,
            to_state: to_state.map(Into::into),
            severity: "info".into(),
            code: code.into(),
            text: text.into(),
            next_text: None,
            actor: "system".into(),
            service_id: None,
            service_code: None,
            onu_row_id: None,
            olt_id: None,
            olt_name: None,
            cpe_id: None,
            cpe_serial: None,
        }
    }

    #[test]
    fn steps_in_a_row_are_one_line_and_changes_of_state_stay() {
        let folded = fold(vec![
            line("active", "Verified", Some("ACTIVE")),
            line("verifying", "check 2 of 3", None),
            line("session_requested", "called", None),
            line("verifying", "check 1 of 3", None),
            line("step_done", "Done: WAN on", None),
            line("session_requested", "called", None),
            line("step_done", "Done: credentials", None),
            line("step_done", "Done: create ppp", None),
            line("provisioning_started", "3 steps", Some("PROVISIONING")),
        ]);
        let texts: Vec<&str> = folded.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["Verified", "check 2 of 3", "Done: create ppp, credentials, WAN on", "3 steps"]);
    }

    #[test]
    fn what_is_bad_is_never_folded() {
        let bad = |text: &str| TimelineRow { severity: "bad".into(), ..line("verifying", text, None) };
        assert_eq!(fold(vec![bad("a"), bad("b")]).len(), 2);
    }
}
