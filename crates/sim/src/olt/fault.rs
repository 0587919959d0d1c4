//! Faults that can be switched on: deterministic, by line number or by text, or drawn from a seed.

use regex::Regex;
use serde::{Deserialize, Serialize};
use types::PonPath;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FaultKind {
    /// The connection breaks; the line has had no effect.
    CutBefore,
    /// The connection breaks after the effect; nothing of the reply arrives.
    CutAfter,
    /// The connection breaks after the effect, in the middle of the reply.
    CutInReply {
        /// Characters that still arrive.
        after_chars: usize,
    },
    /// Refused with this text, without effect (e.g. `Failure: The system resources are insufficient`).
    Refuse {
        /// The text.
        text: String,
    },
    /// `Failure: System is busy, please retry after a while`, without effect.
    Busy,
    /// Carried out, but the reply is this text.
    WrongReply {
        /// The text.
        text: String,
    },
    /// Carried out, but nothing is printed before the prompt.
    Silent,
    /// Carried out; the reply comes later.
    Delay {
        /// By this long.
        ms: u64,
    },
    /// Carried out, and never answered; the connection stays open.
    Hang,
    /// An alarm is printed in the middle of the reply.
    Alarm {
        /// Its text; empty = an ordinary one.
        #[serde(default)]
        text: String,
    },
    /// The whole box restarts instead of answering.
    Restart {
        /// The unsaved configuration survives.
        keep_unsaved: bool,
        /// The line takes effect first.
        after_effect: bool,
    },
    /// Somebody else registers an ONT on this port just before, taking the next free id.
    TakeNextOntId {
        /// The port.
        pon: PonPath,
    },
}

impl FaultKind {
    /// In a word, for the record.
    pub fn name(&self) -> &'static str {
        match self {
            FaultKind::CutBefore => "cut-before",
            FaultKind::CutAfter => "cut-after",
            FaultKind::CutInReply { .. } => "cut-in-reply",
            FaultKind::Refuse { .. } => "refuse",
            FaultKind::Busy => "busy",
            FaultKind::WrongReply { .. } => "wrong-reply",
            FaultKind::Silent => "silent",
            FaultKind::Delay { .. } => "delay",
            FaultKind::Hang => "hang",
            FaultKind::Alarm { .. } => "alarm",
            FaultKind::Restart { .. } => "restart",
            FaultKind::TakeNextOntId { .. } => "take-next-ont-id",
        }
    }
}

/// Which lines.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Lines matching this regular expression; `None` = all.
    pub line: Option<String>,
    /// Only from the n-th of those on (1 = the first).
    pub nth: u64,
    /// So many times; 0 = for ever.
    pub times: u64,
    /// With this probability (per mille) instead of always, drawn from the seed and the line's number.
    pub per_mille: Option<u16>,
}

/// A fault and when it strikes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fault {
    /// Which lines.
    #[serde(default)]
    pub when: When,
    /// What.
    pub what: FaultKind,
}

impl Fault {
    /// Once, at the first line matching `line`.
    pub fn once(line: &str, what: FaultKind) -> Self {
        Fault { when: When { line: Some(line.to_owned()), nth: 1, times: 1, per_mille: None }, what }
    }

    /// At the n-th line from now (1 = the next), once.
    pub fn at_line(nth: u64, what: FaultKind) -> Self {
        Fault { when: When { line: None, nth, times: 1, per_mille: None }, what }
    }

    /// At every line matching `line`, `times` times (0 = for ever).
    pub fn times(line: &str, times: u64, what: FaultKind) -> Self {
        Fault { when: When { line: Some(line.to_owned()), nth: 1, times, per_mille: None }, what }
    }

    /// At random lines.
    pub fn random(per_mille: u16, what: FaultKind) -> Self {
        Fault { when: When { line: None, nth: 1, times: 0, per_mille: Some(per_mille) }, what }
    }
}

/// Not a regular expression.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the fault's line pattern {pattern:?} is not a regular expression: {why}")]
pub struct FaultError {
    pattern: String,
    why: String,
}

#[derive(Debug)]
struct Armed {
    id: u64,
    fault: Fault,
    line: Option<Regex>,
    seen: u64,
    struck: u64,
}

/// The faults that are switched on.
#[derive(Debug, Default)]
pub struct Faults {
    armed: Vec<Armed>,
    next_id: u64,
    seed: u64,
    lines: u64,
}

impl Faults {
    /// None, drawing from `seed`.
    pub fn new(seed: u64) -> Self {
        Faults { seed, ..Faults::default() }
    }

    /// Switches one on.
    ///
    /// # Errors
    /// When the pattern is not a regular expression.
    pub fn add(&mut self, fault: Fault) -> Result<u64, FaultError> {
        let line = match &fault.when.line {
            Some(pattern) => Some(
                Regex::new(pattern)
                    .map_err(|error| FaultError { pattern: pattern.clone(), why: error.to_string() })?,
            ),
            None => None,
        };
        self.next_id += 1;
        self.armed.push(Armed { id: self.next_id, fault, line, seen: 0, struck: 0 });
        Ok(self.next_id)
    }

    /// Switches one off.
    pub fn remove(&mut self, id: u64) {
        self.armed.retain(|armed| armed.id != id);
    }

    /// Switches all off.
    pub fn clear(&mut self) {
        self.armed.clear();
    }

    /// How often a fault has struck; `None` if there is no such fault.
    pub fn struck(&self, id: u64) -> Option<u64> {
        self.armed.iter().find(|armed| armed.id == id).map(|armed| armed.struck)
    }

    /// What happens to this line: the first fault that strikes, if any.
    pub(crate) fn strike(&mut self, line: &str) -> Option<FaultKind> {
        self.lines += 1;
        let (seed, number) = (self.seed, self.lines);
        let mut hit = None;
        for armed in &mut self.armed {
            if armed.line.as_ref().is_some_and(|re| !re.is_match(line)) {
                continue;
            }
            armed.seen += 1;
            let when = &armed.fault.when;
            let due = armed.seen >= when.nth.max(1)
                && (when.times == 0 || armed.struck < when.times)
                && when.per_mille.is_none_or(|p| draw(seed, number, armed.id) % 1_000 < u64::from(p));
            if due && hit.is_none() {
                armed.struck += 1;
                hit = Some(armed.fault.what.clone());
            }
        }
        hit
    }
}

/// A number from a seed and a position (SplitMix64): the same line of the same run always draws the same.
pub(crate) fn draw(seed: u64, position: u64, salt: u64) -> u64 {
    let mut z = seed
        .wrapping_add(position.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(salt.wrapping_mul(0xD1B5_4A32_D192_ED03));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_where_it_was_told() {
        let mut faults = Faults::new(1);
        faults.add(Fault::once("^ont add", FaultKind::CutAfter)).expect("pattern");
        faults.add(Fault::times("^save", 2, FaultKind::Busy)).expect("pattern");
        let lines = ["display version", "ont add 1", "ont add 2", "save", "save", "save"];
        let struck: Vec<_> = lines.iter().map(|l| faults.strike(l).map(|k| k.name())).collect();
        assert_eq!(struck, [None, Some("cut-after"), None, Some("busy"), Some("busy"), None]);
        assert!(faults.add(Fault::once("(", FaultKind::Busy)).is_err());
    }

    #[test]
    fn the_same_seed_draws_the_same_faults_and_another_does_not() {
        let run = |seed| {
            let mut faults = Faults::new(seed);
            faults.add(Fault::random(200, FaultKind::CutBefore)).expect("pattern");
            (0..500).map(|_| faults.strike("display version").is_some()).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
        let hits = run(7).iter().filter(|hit| **hit).count();
        assert!((60..140).contains(&hits), "20 % of 500, drew {hits}");
    }
}
