//! What was said to an OLT and what it answered, while a task runs, for the task's page. Secrets are masked before they
//! get here.

use olt::session::Transcript;
use std::sync::{Mutex, PoisonError};
use store::rows::OltTaskLine;
use types::{OltTaskId, UtcMs};

/// Lines kept of one task; an OLT that says more than that is not worth more room.
const LONGEST: usize = 2_000;
/// Characters kept of one reply.
const LONGEST_REPLY: usize = 4_000;

#[derive(Debug, Default)]
pub(crate) struct Tape(Mutex<Recording>);

#[derive(Debug, Default)]
struct Recording {
    running: bool,
    told: i64,
    waiting: Vec<(i64, String, String, &'static str)>,
}

impl Tape {
    fn recording(&self) -> std::sync::MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on for a task; `told` lines of it are stored already.
    pub(crate) fn start(&self, told: i64) {
        *self.recording() = Recording { running: true, told, waiting: Vec::new() };
    }

    pub(crate) fn stop(&self) {
        self.recording().running = false;
    }

    /// What has been said since the last time.
    pub(crate) fn take(&self, task: OltTaskId, at: UtcMs) -> Vec<OltTaskLine> {
        let waiting = std::mem::take(&mut self.recording().waiting);
        waiting
            .into_iter()
            .map(|(seq, line, reply, class)| OltTaskLine {
                task_id: task,
                seq,
                line,
                reply,
                class: class.to_owned(),
                at,
                ..Default::default()
            })
            .collect()
    }

    fn push(&self, line: &str, class: &'static str) {
        let mut recording = self.recording();
        if recording.running && recording.told < LONGEST as i64 {
            recording.told += 1;
            let seq = recording.told;
            recording.waiting.push((seq, line.chars().take(1000).collect(), String::new(), class));
        }
    }
}

impl Transcript for Tape {
    fn sent(&self, line: &str) {
        self.push(line, "sent");
    }

    fn received(&self, text: &str) {
        let mut recording = self.recording();
        if let Some((_, _, reply, class)) = recording.waiting.last_mut() {
            let room = LONGEST_REPLY.saturating_sub(reply.chars().count());
            reply.extend(text.chars().take(room));
            *class = "answered";
        }
    }

    fn note(&self, text: &str) {
        self.push(text, "note");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_belongs_to_its_line_and_nothing_is_kept_outside_a_task() {
        let tape = Tape::default();
        tape.sent("display version");
        assert!(tape.take(OltTaskId(1), UtcMs(0)).is_empty(), "no task runs");
        tape.start(3);
        tape.sent("ont add 6");
        tape.received("Number of ONTs that can be added: 1");
        tape.note("connection lost");
        let lines = tape.take(OltTaskId(1), UtcMs(0));
        let told: Vec<_> = lines.iter().map(|l| (l.seq, l.line.as_str(), l.class.as_str())).collect();
        assert_eq!(told, [(4, "ont add 6", "answered"), (5, "connection lost", "note")]);
        assert!(tape.take(OltTaskId(1), UtcMs(0)).is_empty(), "told once");
    }
}
