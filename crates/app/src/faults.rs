//! What a heap of faults means, in words: which class dominates, and so where to look.

use provisioning::FaultClass;
use serde::Serialize;
use std::collections::BTreeMap;

/// How many faults of a class, and what that means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassShare {
    /// Stable word of the class.
    pub class: String,
    /// The class in words.
    pub title: String,
    /// How many.
    pub count: u64,
    /// Share of all, whole per cent.
    pub percent: u64,
}

/// The verdict over a set of faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// One sentence: the dominating class, its dominating reason, and what it says about the rest.
    pub sentence: String,
    /// Where to look next.
    pub advice: String,
    /// The classes, largest first.
    pub shares: Vec<ClassShare>,
}

const CLASSES: [FaultClass; 5] = [
    FaultClass::ProvisioningLogic,
    FaultClass::SessionTriggering,
    FaultClass::Device,
    FaultClass::Service,
    FaultClass::Ours,
];

/// The class in an operator's words.
pub fn class_title(class: FaultClass) -> &'static str {
    match class {
        FaultClass::ProvisioningLogic => "provisioning logic",
        FaultClass::SessionTriggering => "session triggering",
        FaultClass::Device => "device",
        FaultClass::Service => "service (PPPoE, address)",
        FaultClass::Ours => "Lightkeeper",
    }
}

fn advice(class: FaultClass) -> (&'static str, &'static str) {
    match class {
        FaultClass::ProvisioningLogic => (
            "what we ask for does not fit these devices",
            "Look at the paths and models below: one profile value usually explains most rows.",
        ),
        FaultClass::SessionTriggering => (
            "the provisioning logic is sound; devices cannot be called",
            "Nothing is lost: each goes on at its next Inform. Look at connection-request credentials and the route to \
             the management network.",
        ),
        FaultClass::Device => {
            ("the devices refuse or fail by themselves", "Look for one model or firmware that stands out.")
        }
        FaultClass::Service => (
            "the devices are configured; the service behind them does not come up",
            "Look at the BRAS, the PPPoE accounts and the VLAN; the devices took everything.",
        ),
        FaultClass::Ours => (
            "answers came that Lightkeeper does not understand",
            "Record a session of one device and report it.",
        ),
    }
}

/// The class stored as this word.
pub fn class_of(word: &str) -> Option<FaultClass> {
    CLASSES.into_iter().find(|class| class.as_str() == word)
}

/// Judges counts of `(class word, reason in words)`.
pub fn diagnose(counts: &[(String, String, u64)]) -> Diagnosis {
    let total: u64 = counts.iter().map(|(_, _, count)| count).sum();
    if total == 0 {
        return Diagnosis {
            sentence: "No faults in this selection.".into(),
            advice: String::new(),
            shares: Vec::new(),
        };
    }
    let mut by_class: BTreeMap<FaultClass, (u64, BTreeMap<&str, u64>)> = BTreeMap::new();
    for (class, reason, count) in counts {
        // A word from a newer version counts as ours: better seen than dropped.
        let entry = by_class.entry(class_of(class).unwrap_or(FaultClass::Ours)).or_default();
        entry.0 += count;
        *entry.1.entry(reason.as_str()).or_default() += count;
    }
    let percent = |count: u64| (count * 100 + total / 2) / total;
    let mut order: Vec<_> = by_class.iter().collect();
    order.sort_by_key(|(class, (count, _))| (std::cmp::Reverse(*count), **class));
    let shares = order
        .iter()
        .map(|(class, (count, _))| ClassShare {
            class: class.as_str().to_owned(),
            title: class_title(**class).to_owned(),
            count: *count,
            percent: percent(*count),
        })
        .collect();
    let Some((class, (count, reasons))) = order.first() else {
        return Diagnosis { sentence: "No faults in this selection.".into(), advice: String::new(), shares };
    };
    let top_reason = reasons
        .iter()
        .max_by_key(|(text, count)| (**count, std::cmp::Reverse(**text)))
        .map(|(text, _)| *text);
    let (meaning, advice) = advice(**class);
    Diagnosis {
        sentence: format!(
            "{} % {}: {}; {meaning}.",
            percent(*count),
            class_title(**class),
            top_reason.unwrap_or("no reason recorded").trim_end_matches('.')
        ),
        advice: advice.to_owned(),
        shares,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(class: FaultClass, reason: &str, count: u64) -> (String, String, u64) {
        (class.as_str().into(), reason.into(), count)
    }

    #[test]
    fn the_dominating_class_is_told_in_words() {
        let verdict = diagnose(&[
            row(FaultClass::SessionTriggering, "401 on connection request", 80),
            row(FaultClass::SessionTriggering, "no Inform after accept", 7),
            row(FaultClass::ProvisioningLogic, "9005 on X_HW_VLAN", 13),
        ]);
        assert_eq!(
            verdict.sentence,
            "87 % session triggering: 401 on connection request; the provisioning logic is sound; devices cannot be called."
        );
        assert_eq!(verdict.shares.iter().map(|s| s.percent).collect::<Vec<_>>(), [87, 13]);
    }

    #[test]
    fn no_faults_is_said_so_and_unknown_classes_are_not_dropped() {
        assert_eq!(diagnose(&[]).sentence, "No faults in this selection.");
        let verdict = diagnose(&[("from_the_future".into(), "x".into(), 1)]);
        assert_eq!(verdict.shares[0].class, "ours");
    }
}
