//! One parameter that a device refuses without naming it is found by halves, and named.

mod support;

use profiles::fixtures;
use provisioning::{ReasonCode, State};
use std::collections::BTreeSet;
use support::{Cpe, Quirks, Shell, intents};

fn shell(csv: &str, silent: Option<(String, u32)>) -> Shell {
    let quirks = Quirks { phantom_writes: true, silent, ..Quirks::default() };
    // The standard has no path for a VLAN on the WAN.
    let vlan = (csv != fixtures::generic_tr098() && csv != fixtures::generic_tr181()).then_some(200);
    Shell::new(Cpe::new(csv, quirks), Some(intents(vlan)))
}

/// Paths that a sound device of this family is told to set for its service, in calls of more than one.
fn told_together(csv: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let mut sound = shell(csv, None);
    sound.run_until(State::Active, 6 * 3600);
    let service = |path: &String| !path.contains(".ManagementServer.") && !path.contains(".Time.");
    let all: BTreeSet<String> =
        sound.cpe.calls.iter().flatten().filter(|path| service(path)).cloned().collect();
    let together: BTreeSet<String> = sound
        .cpe
        .calls
        .iter()
        .filter(|call| call.len() > 1)
        .flatten()
        .filter(|path| service(path))
        .cloned()
        .collect();
    (all, together)
}

#[test]
fn the_one_bad_path_is_found_by_halves_and_named() {
    let mut tried = 0;
    for csv in
        [fixtures::hg8546m(), fixtures::eg8145v5(), fixtures::generic_tr098(), fixtures::generic_tr181()]
    {
        let (all, together) = told_together(csv);
        assert!(together.len() > 3, "{together:?}");
        for bad in together {
            for code in [9001, 9002, 9003] {
                let mut shell = shell(csv, Some((bad.clone(), code)));
                shell.run(900);
                let with_bad: Vec<usize> = shell
                    .cpe
                    .calls
                    .iter()
                    .enumerate()
                    .filter(|(_, call)| call.contains(&bad))
                    .map(|(at, _)| at)
                    .collect();
                let first = with_bad[0];
                let alone = shell.cpe.calls.iter().position(|call| call.as_slice() == [bad.clone()]);
                let alone = alone.unwrap_or_else(|| panic!("{bad} {code}: never alone{}", shell.story()));
                let many = shell.cpe.calls[first].len();
                let bound = usize::try_from(many.next_power_of_two().ilog2()).expect("small") + 1;
                assert!(
                    alone - first <= bound,
                    "{bad} {code}: {} writes for one of {many}{}",
                    alone - first,
                    shell.story()
                );
                let named = shell.faults.iter().any(|fault| {
                    fault.path.as_deref() == Some(bad.as_str())
                        && fault.code == Some(code)
                        && fault.reason_code == ReasonCode::WriteRejected.as_str()
                });
                assert!(named, "{bad} {code} is not named{}", shell.story());
                if shell.device.state() == State::Failed {
                    let reason = shell.device.reason.as_ref().expect("a reason");
                    assert_eq!(reason.code, ReasonCode::WriteRejected, "{bad} {code}: {}", reason.sentence());
                    assert_eq!(reason.facts.get("path"), Some(&bad), "{bad} {code}: {}", reason.sentence());
                }
                for path in shell.cpe.calls.iter().flatten() {
                    let service = !path.contains(".ManagementServer.") && !path.contains(".Time.");
                    // Undoing switches off what was made.
                    assert!(
                        !service || all.contains(path) || path.ends_with("Enable"),
                        "{path} is in no plan"
                    );
                }
                tried += 1;
            }
        }
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn a_device_that_only_wants_less_at_once_gets_everything() {
    for most in 1..4 {
        let quirks = Quirks { phantom_writes: true, max_params: Some(most), ..Quirks::default() };
        let mut shell = Shell::new(Cpe::new(fixtures::hg8546m(), quirks), Some(intents(Some(200))));
        shell.run_until(State::Active, 6 * 3600);
        let named = shell.faults.iter().any(|fault| fault.reason_code == ReasonCode::WriteRejected.as_str());
        assert!(!named, "nobody is blamed{}", shell.story());
        // Once more from the beginning: what was learned holds.
        shell.wish();
        shell.run_until(State::Active, 6 * 3600);
    }
}
