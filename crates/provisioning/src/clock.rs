//! What a device says about the time.

use serde::{Deserialize, Serialize};

/// A clock as reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockReading {
    /// No time: empty, `0001-01-01T00:00:00Z` (unknown, TR-106 §3.2), or no date at all.
    Unknown,
    /// A date of this year.
    Year(i32),
}

impl ClockReading {
    /// The year, if there is one.
    pub fn year(self) -> Option<i32> {
        match self {
            ClockReading::Unknown => None,
            ClockReading::Year(year) => Some(year),
        }
    }

    /// The year reached the floor.
    pub fn is_valid(self, floor_year: i32) -> bool {
        self.year().is_some_and(|year| year >= floor_year)
    }
}

/// Reads the year of a CWMP dateTime. Devices send impossible days (`1900-01-00`), spaces for the `T`, local
/// times and offsets; only the year matters.
pub fn read_clock(text: &str) -> ClockReading {
    let text = text.trim();
    let Some((year, rest)) = text.split_once('-') else { return ClockReading::Unknown };
    let month = rest.split('-').next().unwrap_or_default();
    match (year.parse::<i32>(), month.parse::<u32>()) {
        (Ok(year), Ok(1..=12)) if year > 1 && (3..=4).contains(&text.find('-').unwrap_or(0)) => {
            ClockReading::Year(year)
        }
        _ => ClockReading::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_devices_send() {
        for (text, year, valid) in [
            ("2026-11-21T10:00:00Z", Some(2026), true),
            ("2026-11-21T10:00:00+05:30", Some(2026), true),
            ("2020-01-01 00:00:00", Some(2020), true),
            ("2019-12-31T23:59:59", Some(2019), false),
            ("1981-01-01T00:05:12", Some(1981), false),
            ("1970-01-01T00:02:10", Some(1970), false),
            ("1900-01-00T00:00:00.000000", Some(1900), false),
            ("0001-01-01T00:00:00Z", None, false),
            ("", None, false),
            ("never", None, false),
            ("20261-01-01T00:00:00Z", None, false),
            ("-2026-01-01", None, false),
            ("2026-13-01T00:00:00Z", None, false),
        ] {
            let reading = read_clock(text);
            assert_eq!((reading.year(), reading.is_valid(2020)), (year, valid), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,30}") {
            let _ = read_clock(&text);
        }
    }
}
