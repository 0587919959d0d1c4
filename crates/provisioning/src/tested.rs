//! What came of a test that the device ran: which of its leaves are read, and what is said of them.

use crate::{
    Effect, OrderNews,
    diagnose::{Diagnosing, Running, Wanted, Way},
    diagnosis::{Diagnosis, Progress, error_words, plain},
    findings::{NotTaken, Reported, findings},
    order::{Order, OrderState, RefreshedValue},
    talk::{NameInfo, ParamValue},
    work::{Move, Work},
};
use std::collections::BTreeMap;
use types::names_a_secret;

/// Rows that may refuse a leaf which others give, before it is asked of no more of them.
const MOST_REFUSALS: u32 = 4;
/// And of one that none gave so far.
const REFUSALS: u32 = 2;
/// Why the device may have the result of another test.
const OR_NOT_TAKEN: &str = " Somebody else asked it meanwhile, or it did not take the name.";

impl Diagnosing {
    /// The leaf that is next cannot be read. Each costs some requests to find, and a session has only so many: one that rows
    /// of the table refuse again is asked of no further row.
    pub(crate) fn leaf_refused(&mut self) {
        (self.asked, self.read_limit) = (self.asked + 1, None);
        let asked = self.asked;
        let Some(wanted) = self.wanted.as_mut() else { return };
        let Some(one) = wanted.get(asked - 1).cloned() else { return };
        let refused = self.unread.entry(one.word.clone()).or_default();
        *refused += 1;
        let is_of_rows = |other: &Wanted| other.row.is_some() && other.word == one.word;
        let given = wanted
            .iter()
            .any(|other| is_of_rows(other) && self.values.iter().any(|value| value.path == other.path));
        if one.row.is_some() && *refused >= if given { MOST_REFUSALS } else { REFUSALS } {
            let mut at = 0;
            wanted.retain(|other| {
                at += 1;
                at <= asked || !is_of_rows(other)
            });
        }
    }
}

impl Work<'_> {
    /// Which of the names that the device lists are results.
    pub(crate) fn test_listed(
        &mut self,
        order: &Order,
        asked: &Diagnosis,
        object: &str,
        listed: &[NameInfo],
    ) {
        let profile = self.profile_or_nominee();
        let names = profile.as_ref().zip(asked.name()).and_then(|(profile, name)| profile.diagnostic(name));
        let Some((names, _)) = names else { return };
        let listed: Vec<&str> = listed
            .iter()
            .filter(|name| !name.path.ends_with('.') && !names_a_secret(&name.path))
            .filter_map(|name| name.path.strip_prefix(object))
            .collect();
        let mut wanted: Vec<Wanted> = Vec::new();
        // The inputs too: what the device has of them is what it tested.
        for (word, leaves) in names.inputs.iter().chain(&names.results) {
            if let Some(leaf) = leaves.0.iter().find(|leaf| listed.contains(&leaf.as_str())) {
                wanted.push(Wanted { path: format!("{object}{leaf}"), word: word.clone(), row: None });
            }
        }
        let table = names.table.as_deref().unwrap_or_default();
        let mut rows: Vec<(u32, &str)> = listed
            .iter()
            .filter(|_| !table.is_empty())
            .filter_map(|name| name.strip_prefix(table)?.split_once('.'))
            .filter_map(|(row, leaf)| Some((row.parse().ok()?, leaf)))
            .collect();
        rows.sort_unstable();
        let mut numbers: Vec<u32> = rows.iter().map(|(number, _)| *number).collect();
        numbers.dedup();
        let cut = numbers.len() > asked.most_rows();
        numbers.truncate(asked.most_rows());
        for (at, number) in numbers.iter().enumerate() {
            for (word, leaves) in &names.rows {
                let has = |leaf: &&String| rows.binary_search(&(*number, leaf.as_str())).is_ok();
                if let Some(leaf) = leaves.0.iter().find(has) {
                    let path = format!("{object}{table}{number}.{leaf}");
                    wanted.push(Wanted { path, word: word.clone(), row: Some(at) });
                }
            }
        }
        let rows = numbers.len();
        self.with_test(&order.key, |test| {
            (test.wanted, test.cut, test.rows) = (Some(wanted), cut, rows);
        });
    }

    /// What was read in passing is what is known of the device now.
    pub(crate) fn record_read<'v>(&mut self, values: impl Iterator<Item = &'v ParamValue>) {
        let fresh: Vec<RefreshedValue> = values
            .map(|value| RefreshedValue {
                path: value.path.clone(),
                value: Some(value.value.clone()),
                kind: value.kind,
                writable: None,
            })
            .collect();
        if !fresh.is_empty() {
            self.effect(Effect::RecordRefreshed(fresh));
        }
    }

    /// Everything was read.
    pub(crate) fn test_over(&mut self, order: &Order, asked: &Diagnosis, test: &Diagnosing) -> Move {
        let (now, key) = (self.now, &order.key);
        let running = self.open_order(key).and_then(|open| open.running.clone()).unwrap_or_default();
        let mut reported = Reported {
            cut: test.cut,
            rows: vec![BTreeMap::new(); test.rows],
            unread: test.unread.keys().cloned().collect(),
            ..Reported::default()
        };
        for one in test.wanted.iter().flatten() {
            let Some(value) = test.values.iter().find(|value| value.path == one.path) else { continue };
            match one.row {
                None => reported.once.insert(one.word.clone(), value.value.clone()),
                Some(row) => match reported.rows.get_mut(row) {
                    Some(row) => row.insert(one.word.clone(), value.value.clone()),
                    None => None,
                },
            };
        }
        self.record_read(test.values.iter());
        let (word, target) = asked.target().unwrap_or_default();
        let of = reported.once.get(word).map(|of| plain(of, 256)).unwrap_or_default();
        if !asked.is_about(&of) {
            let (has, because) = match of.as_str() {
                "" if test.unread.contains_key(word) => {
                    ("the router does not let be read whom it tested".to_owned(), "")
                }
                "" => ("the router does not tell whom it tested".to_owned(), OR_NOT_TAKEN),
                of => (format!("what the router has is the result for {}", plain(of, 80)), OR_NOT_TAKEN),
            };
            let text = format!(
                "Not proved: {has}, and {target} was asked for.{because} It is not shown as the result of this order."
            );
            self.order_over(key, OrderState::Failed, text);
            return Move::Again;
        }
        let found = findings(asked, &reported);
        let state = test.state.as_deref().unwrap_or_default();
        let progress = Progress::read(state);
        // Counts and hops are only those of this test where it ended with a result: devices clear none of what an earlier
        // one left when they fail, and while they run.
        let its_own = progress.has_result(asked);
        let (outcome, mut text) = match progress {
            Progress::Complete => (OrderState::Done, found.sentence()),
            Progress::Error(word) => {
                let also = if its_own { format!(" {}", found.sentence()) } else { String::new() };
                (OrderState::Failed, format!("The router {}.{also}", error_words(&word)))
            }
            Progress::Running | Progress::Forgotten => {
                let minutes = now.since(running.asked_at).as_secs() / 60;
                let text = format!(
                    "The router never said that it had finished: {minutes} min after it was asked its state still reads \
                     {state:?}."
                );
                (OrderState::Failed, text)
            }
        };
        let also = [
            unread_sentence(found.unread()).filter(|_| its_own),
            not_taken_sentence(found.not_taken(), running.guessed),
            way_sentence(&running, found.interface()).filter(|_| asked.target().is_some()),
        ];
        for sentence in also.into_iter().flatten() {
            text.push(' ');
            text.push_str(&sentence);
        }
        let values = u32::try_from(test.values.len()).unwrap_or(0);
        let findings = its_own.then_some(found);
        self.end_order(OrderNews { values, findings, ..OrderNews::new(key, outcome, text) });
        Move::Again
    }
}

/// What is missing because it could not be read.
pub(crate) fn unread_sentence(words: &[String]) -> Option<String> {
    (!words.is_empty()).then(|| {
        format!(
            "It did not let be read, or not everywhere: {}; what is missing of that is not known.",
            words.join(", ")
        )
    })
}

/// Which of the inputs the device did not take. Of those that were left out by guess it is not said that it refused them.
fn not_taken_sentence(not_taken: &[NotTaken], guessed: bool) -> Option<String> {
    let each = |one: &NotTaken| match &one.has {
        Some(has) => format!("{} {} (it has {has})", one.asked, one.what),
        None => format!("{} {} (it shows no such setting)", one.asked, one.what),
    };
    let all: Vec<String> = not_taken.iter().map(each).collect();
    let how = match guessed {
        false => "The router did not take",
        true => "The router refused without saying what, and was asked with less. It does not have as asked",
    };
    (!all.is_empty()).then(|| format!("{how}: {}.", all.join("; ")))
}

/// Which way the test took, where that is not the connection of the service, read back as written.
fn way_sentence(running: &Running, has: Option<&str>) -> Option<String> {
    let bare = |path: &str| path.trim_end_matches('.').to_owned();
    match (&running.way, has) {
        (Way::Service(asked), Some(has)) if bare(asked) == bare(has) => None,
        (Way::Service(asked), Some(has)) => Some(format!(
            "Not proved which way it took: it was to go over {asked}, the service's connection, and the router names {has}."
        )),
        (Way::Service(asked), None) => Some(format!(
            "Not proved which way it took: it was to go over {asked}, the service's connection, and the router does not name \
             it again."
        )),
        (Way::Unnamed(why), Some(has)) if running.way_kept => {
            Some(format!("No connection was named, because {why}; it used what was set before: {has}."))
        }
        (Way::Unnamed(why), Some(has)) => Some(format!(
            "No connection was named, because {why}; the router names {has}, and that may be the connection over which it \
             is managed."
        )),
        (way, None) => way.sentence(),
    }
}
