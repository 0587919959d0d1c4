//! What a heap of faults means, in words: which class dominates, and so where to look.

pub mod genieacs;
mod table;

use serde::Serialize;
use std::collections::BTreeMap;
pub use table::{BadLine, BadLines};
use types::{CwmpFault, FaultClass};

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

/// From this share of faults on, provisioning logic is not called sound, whatever dominates.
const NOT_SOUND_PERCENT: u64 = 20;

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

/// Whose faults are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Our own.
    Lightkeeper,
    /// Of a GenieACS.
    GenieAcs,
}

impl Whose {
    fn title(self, class: FaultClass) -> &'static str {
        match (self, class) {
            (Whose::GenieAcs, FaultClass::Ours) => "the ACS itself",
            (Whose::Lightkeeper | Whose::GenieAcs, class) => class_title(class),
        }
    }

    fn advice(self, class: FaultClass) -> (&'static str, &'static str) {
        match (self, class) {
            (Whose::GenieAcs, FaultClass::ProvisioningLogic) => (
                "what the ACS asks for does not fit these devices",
                "Look at the parameters and models below: one path or one script usually explains most rows.",
            ),
            (Whose::GenieAcs, FaultClass::Ours) => (
                "the ACS or what it calls failed, not the devices",
                "Look at the extensions and messages below.",
            ),
            (Whose::GenieAcs, FaultClass::SessionTriggering) => (
                "the provisioning logic is sound; devices cannot be called",
                "Look at the connection-request credentials and the route to the management network. What waits is carried \
                 out at the next Inform of each device.",
            ),
            (Whose::Lightkeeper | Whose::GenieAcs, class) => advice(class),
        }
    }
}

/// What a fault means and what follows, in a few words: its code, or, without one of the standard, its class.
pub fn meaning(code: i64, class: &str) -> &'static str {
    if let Some(fault) = u32::try_from(code).ok().and_then(CwmpFault::standard) {
        return fault.meaning;
    }
    match class {
        "session_triggering" => "our call did not bring a session; heals at the next contact",
        "provisioning_logic" => "what we asked does not fit this device",
        "service" => "the router is set up; the service behind it does not come up",
        "device" => "the device itself failed",
        "ours" => "our side failed",
        _ => "",
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
    diagnose_for(Whose::Lightkeeper, counts)
}

/// The same for faults of somebody else's.
pub fn diagnose_for(whose: Whose, counts: &[(String, String, u64)]) -> Diagnosis {
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
            title: whose.title(**class).to_owned(),
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
    let (meaning, advice) = whose.advice(**class);
    let logic = by_class.get(&FaultClass::ProvisioningLogic).map_or(0, |(count, _)| percent(*count));
    let meaning = if **class == FaultClass::SessionTriggering && logic >= NOT_SOUND_PERCENT {
        format!(
            "devices cannot be called; {logic} % are provisioning logic besides, and have a cause of their own"
        )
    } else {
        meaning.to_owned()
    };
    Diagnosis {
        sentence: format!(
            "{} % {}: {}; {meaning}.",
            percent(*count),
            whose.title(**class),
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
    fn logic_that_fails_often_is_not_called_sound_by_what_fails_more() {
        let verdict = diagnose(&[
            row(FaultClass::SessionTriggering, "401 on connection request", 60),
            row(FaultClass::ProvisioningLogic, "9005 on X_HW_VLAN", 40),
        ]);
        assert_eq!(
            verdict.sentence,
            "60 % session triggering: 401 on connection request; devices cannot be called; 40 % are provisioning logic \
             besides, and have a cause of their own."
        );
    }

    #[test]
    fn no_faults_is_said_so_and_unknown_classes_are_not_dropped() {
        assert_eq!(diagnose(&[]).sentence, "No faults in this selection.");
        let verdict = diagnose(&[("from_the_future".into(), "x".into(), 1)]);
        assert_eq!(verdict.shares[0].class, "ours");
    }
}
