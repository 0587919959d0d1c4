//! Whether a device's quirks have shown: a trap that nobody stepped into proves nothing about who walked past it.

use crate::{
    cpe::quirks::Quirks,
    record::{CpeRecord, End, Entry, Told, What},
};

/// The switched-on quirks of a device that its own record shows no trace of, by name. Those that only a wire can show
/// (cookies, charsets and the like) count as shown once there was a session.
pub fn idle(quirks: &Quirks, record: &CpeRecord) -> Vec<String> {
    let mut names = quirks.names();
    names.retain(|name| has_acted(name, quirks, record) != Some(true));
    names.sort();
    names
}

/// True if a secret that the device holds was read back empty, as `empty_secrets` has it.
pub fn withheld_a_secret(record: &CpeRecord) -> bool {
    any(record, |what| matches!(what, What::Order { told: Told::Read { withheld: 1.., .. }, .. }))
}

fn any(record: &CpeRecord, is_it: impl Fn(&What) -> bool) -> bool {
    record.entries.iter().any(|entry| is_it(&entry.what))
}

/// `None` for a name that nobody has taught this module to see.
fn has_acted(name: &str, quirks: &Quirks, record: &CpeRecord) -> Option<bool> {
    let any = |is_it: fn(&What) -> bool| any(record, is_it);
    let status = |status: u16| record.tally.connection_requests.contains_key(&status);
    let sessions = |right: bool| {
        let began = |entry: &&Entry| matches!(entry.what, What::SessionBegan { .. });
        record.entries.iter().filter(began).any(|entry| entry.clock_valid == right)
    };
    Some(match name {
        "cr_401_after_wan_change" => status(401),
        "clock_1981_until_ntp" => sessions(false) && sessions(true) && any(|what| *what == What::ClockSet),
        "clock_never" => sessions(false) && !sessions(true),
        "ntp_wan_name_trap" => {
            any(|what| sets(what, |path| path.ends_with(".Time.X_HW_WanName")))
                && any(|what| *what == What::ClockSet)
        }
        "phantom_writes" => {
            any(|what| matches!(what, What::Order { told: Told::Set { lost: 1.., .. }, fault: None, .. }))
        }
        "new_wan_vanishes" => any(|what| matches!(what, What::Vanished { .. })),
        "max_settings" => {
            any(|what| matches!(what, What::Order { told: Told::Set { .. }, fault: Some(9002), .. }))
        }
        "non_atomic_set" => any(|what| {
            matches!(what, What::Order { told: Told::Set { changed: 1.., .. }, fault: Some(_), .. })
        }),
        "born_unconfigured" => record.tally.faults.contains_key(&9002),
        "instance_numbers_never_reset" => skipped_a_number(record),
        "empty_secrets" => !quirks.empty_secrets || withheld_a_secret(record),
        "add_object_refused" => {
            any(|what| matches!(what, What::Order { told: Told::Added { .. }, fault: Some(9004), .. }))
        }
        "session_dropped_mid_rpc" | "session_dropped_on" => broken_after_an_order(record, |what| {
            matches!(what, What::SessionEnded { how: End::Failed { .. } })
        }),
        "reboot_in_the_middle" | "reboot_on" => broken_after_an_order(record, |what| *what == What::Booted),
        "existing_wan" => {
            let made = record.wan_objects_created();
            record.wans.iter().any(|(path, _)| !made.contains(path))
        }
        "pppoe_refused" => refused(record, "ERROR_AUTHENTICATION_FAILURE"),
        "pppoe_no_address" => any(|what| matches!(what, What::WanUp { address, .. } if address == "0.0.0.0")),
        "power_flapping" => {
            let off = record.entries.iter().filter(|entry| entry.what == What::PoweredOff).count();
            off >= quirks.power_flapping as usize
        }
        "duplicate_inform" => any(|what| *what == What::InformedTwice),
        "slow_ms" => is_slow(record, quirks.slow_ms),
        "wrong_content_length" => {
            let wrong = record.entries.iter().filter(|entry| entry.what == What::WrongLength).count();
            wrong >= quirks.wrong_content_length as usize
        }
        // Nobody can have got through; that it was tried is for the product to say.
        "cr_unreachable" | "cr_url_off_subnet" | "cr_url_missing" => {
            record.tally.sessions > 0 && record.tally.connection_requests.is_empty()
        }
        "cr_busy" => status(503),
        "keeps_inform_interval" => any(|what| sets(what, |path| path.ends_with(".PeriodicInformInterval"))),
        // How a test ends shows once one was asked for.
        "self_tests" => any(|what| sets(what, |path| path.ends_with(".DiagnosticsState"))),
        "cookies" | "id_echo" | "retry" | "next_level_digits" | "charset" | "connection_per_message" => {
            record.tally.sessions > 0
        }
        _ => return None,
    })
}

fn sets(what: &What, is_it: fn(&str) -> bool) -> bool {
    matches!(what, What::Order { told: Told::Set { settings, .. }, fault: None, .. }
        if settings.iter().any(|(path, _)| is_it(path)))
}

fn refused(record: &CpeRecord, error: &str) -> bool {
    any(record, |what| matches!(what, What::WanRefused { why, .. } if why == error))
}

/// A new instance has a higher number than there are instances: lower ones were not given again.
fn skipped_a_number(record: &CpeRecord) -> bool {
    let added = record.entries.iter().filter_map(|entry| match &entry.what {
        What::Order { told: Told::Added { path }, fault: None, .. } => Some(path.strip_suffix('.')?),
        _ => None,
    });
    added.filter_map(|path| path.rsplit_once('.')).any(|(table, number)| {
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts = table.split('.').map(|part| if is_number(part) { "{i}" } else { part });
        let held = record.tables.get(&format!("{}.", parts.collect::<Vec<_>>().join("."))).copied();
        number.parse::<usize>().is_ok_and(|number| number > held.unwrap_or(0))
    })
}

/// An order was carried out and not answered, and this came next.
fn broken_after_an_order(record: &CpeRecord, next: fn(&What) -> bool) -> bool {
    let unanswered = |entry: &Entry| matches!(entry.what, What::Order { answered: false, .. });
    let Some(at) = record.entries.iter().position(unanswered) else { return false };
    record.entries.iter().skip(at + 1).take(3).any(|entry| next(&entry.what))
}

/// Between any two orders of a session there is at least this time.
fn is_slow(record: &CpeRecord, least_ms: u64) -> bool {
    let orders: Vec<&Entry> =
        record.entries.iter().filter(|entry| matches!(entry.what, What::Order { .. })).collect();
    let mut gaps = orders
        .windows(2)
        .filter(|pair| pair[0].session == pair[1].session)
        .map(|pair| pair[1].at.since(pair[0].at).as_millis())
        .peekable();
    // The clock of a record counts whole milliseconds.
    gaps.peek().is_some() && gaps.all(|gap| gap + 1 >= u128::from(least_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cpe::quirks::SelfTests;
    use types::UtcMs;

    fn record(what: Vec<What>) -> CpeRecord {
        let mut record = CpeRecord::default();
        for (at, what) in what.into_iter().enumerate() {
            record.push(Entry { at: UtcMs(at as i64), session: 1, clock_valid: true, what });
        }
        record
    }

    fn set(changed: usize, lost: usize, fault: Option<u16>) -> What {
        let told = Told::Set { settings: vec![("A.1.B".to_owned(), "1".to_owned())], changed, lost };
        What::Order { method: "SetParameterValues".to_owned(), told, fault, answered: true }
    }

    #[test]
    fn a_quirk_is_idle_until_its_record_shows_it() {
        let half = Quirks { max_settings: Some(3), non_atomic_set: true, ..Quirks::default() };
        assert_eq!(idle(&half, &record(vec![set(3, 0, None)])), ["max_settings", "non_atomic_set"]);
        assert_eq!(idle(&half, &record(vec![set(0, 0, Some(9002))])), ["non_atomic_set"]);
        assert_eq!(idle(&half, &record(vec![set(2, 0, Some(9002))])), Vec::<String>::new());

        let phantom = Quirks { phantom_writes: true, ..Quirks::default() };
        assert_eq!(idle(&phantom, &record(vec![set(1, 0, None)])), ["phantom_writes"]);
        assert_eq!(idle(&phantom, &record(vec![set(0, 1, None)])), Vec::<String>::new());

        let flapping = Quirks { power_flapping: 2, ..Quirks::default() };
        assert_eq!(idle(&flapping, &record(vec![What::PoweredOff])), ["power_flapping"]);
        assert_eq!(idle(&flapping, &record(vec![What::PoweredOff, What::PoweredOff])), Vec::<String>::new());

        let silent = Quirks { self_tests: SelfTests::NoEvent, ..Quirks::default() };
        assert_eq!(idle(&silent, &record(vec![set(1, 0, None)])), ["self_tests"]);
        let mut asked = set(1, 0, None);
        if let What::Order { told: Told::Set { settings, .. }, .. } = &mut asked {
            settings[0].0 = "A.1.DiagnosticsState".to_owned();
        }
        assert_eq!(idle(&silent, &record(vec![asked])), Vec::<String>::new());

        let slow = Quirks { slow_ms: 500, ..Quirks::default() };
        assert_eq!(idle(&slow, &record(vec![set(1, 0, None), set(1, 0, None)])), ["slow_ms"]);
    }

    #[test]
    fn a_number_is_skipped_if_it_is_higher_than_what_the_table_holds() {
        let added = |path: &str| What::Order {
            method: "AddObject".to_owned(),
            told: Told::Added { path: path.to_owned() },
            fault: None,
            answered: true,
        };
        let quirks = Quirks { instance_numbers_never_reset: true, ..Quirks::default() };
        let mut counts_on = record(vec![added("A.1.B.3.")]);
        counts_on.tables = [("A.{i}.B.".to_owned(), 2)].into();
        assert_eq!(idle(&quirks, &counts_on), Vec::<String>::new());
        counts_on.tables = [("A.{i}.B.".to_owned(), 3)].into();
        assert_eq!(idle(&quirks, &counts_on), ["instance_numbers_never_reset"]);
    }

    #[test]
    fn every_switch_has_a_witness() {
        let all = serde_json::to_value(Quirks::default()).expect("a document");
        for name in all.as_object().expect("an object").keys() {
            let seen = has_acted(name, &Quirks::default(), &CpeRecord::default());
            assert!(seen.is_some(), "nobody looks whether {name} shows");
        }
    }
}
