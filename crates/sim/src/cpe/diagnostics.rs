//! Tests that a device runs by itself (TR-098, TR-143): any object with a `DiagnosticsState`. `Requested` starts one when
//! the session is over; when it ends, the device comes back with `8 DIAGNOSTICS COMPLETE`, or not at all where it is one
//! that never does.

use super::{
    behaviour::{Device, Event},
    quirks::SelfTests,
    tree::{Setting, parent_of},
};
use serde::{Deserialize, Serialize};
use types::UtcMs;

/// The leaf that starts a test and tells how far it is.
const STATE: &str = "DiagnosticsState";
/// How long one request of a test takes, milliseconds of the device's time.
const REQUEST_MS: u64 = 400;
/// Hops of the simulated network between a device and anybody else.
const HOPS: [(&str, &str); 3] =
    [("bras.example.net", "100.64.0.1"), ("", "198.51.100.9"), ("core.example.net", "198.51.100.1")];

/// A test that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SelfTest {
    /// Its object.
    pub(super) object: String,
    /// It ends then; `None` until the session in which it was asked for is over.
    pub(super) ends_at: Option<UtcMs>,
}

impl Device {
    /// Whether these settings may be written, as far as tests are concerned: the fault if not.
    pub(super) fn refuses_test(&self, settings: &[Setting]) -> Option<u16> {
        let wrong = |setting: &Setting| {
            let Some(object) = parent_of(&setting.path) else { return false };
            let leaf = &setting.path[object.len()..];
            if !self.tree.has(&format!("{object}{STATE}")) {
                return false;
            }
            match leaf {
                STATE => !matches!(setting.value.as_str(), "Requested" | "None" | "Canceled"),
                "Interface" => {
                    let named = format!("{}.", setting.value.trim_end_matches('.'));
                    !setting.value.is_empty() && !self.tree.has(&named)
                }
                _ => false,
            }
        };
        settings.iter().any(wrong).then_some(9007)
    }

    /// Something of an object with tests was written: what ran is over, and what was requested begins after the session.
    pub(super) fn tests_written(&mut self, settings: &[Setting]) {
        let mut objects: Vec<&str> = settings.iter().filter_map(|setting| parent_of(&setting.path)).collect();
        objects.dedup();
        for object in objects {
            let state = format!("{object}{STATE}");
            if !self.tree.has(&state) {
                continue;
            }
            self.state.tests.retain(|test| test.object != object);
            let requested =
                settings.iter().any(|setting| setting.path == state && setting.value == "Requested");
            if requested {
                self.state.tests.push(SelfTest { object: object.to_owned(), ends_at: None });
            } else {
                self.tree.write(&state, "None");
            }
        }
    }

    /// The session is over: what was asked for in it begins.
    pub(super) fn begin_tests(&mut self, now: UtcMs) {
        let waiting: Vec<String> = self
            .state
            .tests
            .iter()
            .filter(|test| test.ends_at.is_none())
            .map(|test| test.object.clone())
            .collect();
        for object in waiting {
            let times = self.number(&object, &["NumberOfRepetitions", "NumberOfTries"]).clamp(1, 100);
            let ends_at = self.soon(now, REQUEST_MS * times);
            if self.spec.quirks.self_tests == SelfTests::Never {
                continue;
            }
            for test in self.state.tests.iter_mut().filter(|test| test.object == object) {
                test.ends_at = Some(ends_at);
            }
        }
    }

    /// It starts anew: no test survives that.
    pub(super) fn forget_tests(&mut self) {
        for test in std::mem::take(&mut self.state.tests) {
            self.tree.write(&format!("{}{STATE}", test.object), "None");
        }
    }

    fn number(&self, object: &str, leaves: &[&str]) -> u64 {
        let value = leaves.iter().find_map(|leaf| self.tree.value(&format!("{object}{leaf}")));
        value.and_then(|value| value.parse().ok()).unwrap_or(1)
    }

    /// Ends the tests that are due.
    pub(super) fn end_tests(&mut self, now: UtcMs) {
        let due = |test: &SelfTest| test.ends_at.is_some_and(|at| now >= at);
        let ended: Vec<String> =
            self.state.tests.iter().filter(|test| due(test)).map(|test| test.object.clone()).collect();
        self.state.tests.retain(|test| !due(test));
        for object in ended {
            let host = self.target(&object);
            let quirk = self.spec.quirks.self_tests;
            // A name under .invalid is never resolved (RFC 6761).
            let nowhere = host.as_deref().is_some_and(|host| {
                host.is_empty() || host.ends_with(".invalid") || quirk == SelfTests::CannotResolve
            });
            let state = match quirk {
                _ if nowhere => "Error_CannotResolveHostName",
                SelfTests::NoEvent => "Completed",
                _ => "Complete",
            };
            if !nowhere {
                let host = host.unwrap_or_default();
                self.ping(&object);
                self.trace(&object, &host);
                self.look_up(&object, &host);
                self.scan(&object);
            }
            self.tree.write(&format!("{object}{STATE}"), state);
            if quirk != SelfTests::NoEvent {
                self.remember(Event { code: "8 DIAGNOSTICS COMPLETE".to_owned(), key: String::new() });
            }
        }
    }

    /// True if the connection that the test is to use carries anything.
    fn carries(&self, object: &str) -> bool {
        let interface = self.tree.value(&format!("{object}Interface")).unwrap_or_default();
        let path = format!("{}.", interface.trim_end_matches('.'));
        self.state.links.get(&path).is_none_or(|link| link.up)
    }

    fn ping(&mut self, object: &str) {
        if !self.tree.has(&format!("{object}SuccessCount")) {
            return;
        }
        let sent = self.number(object, &["NumberOfRepetitions"]);
        let answered = if self.carries(object) { sent } else { 0 };
        let least = self.draw(1, 5);
        let most = least + self.draw(0, 9);
        let times = if answered == 0 { [0; 3] } else { [least, (least + most) / 2, most] };
        let lies = self.spec.quirks.self_tests == SelfTests::Lies;
        let mut tell = |leaf: &str, number: u64| {
            let text = if lies { u32::MAX.to_string() } else { number.to_string() };
            self.tree.write(&format!("{object}{leaf}"), &text);
        };
        tell("SuccessCount", answered);
        tell("FailureCount", sent - answered);
        tell("MinimumResponseTime", times[0]);
        tell("AverageResponseTime", times[1]);
        tell("MaximumResponseTime", times[2]);
    }

    fn trace(&mut self, object: &str, host: &str) {
        let table = format!("{object}RouteHops.");
        if !self.tree.has(&table) {
            return;
        }
        self.empty_table(&table);
        if !self.carries(object) {
            return;
        }
        let most = usize::try_from(self.number(object, &["MaxHopCount"])).unwrap_or(1);
        let tries = usize::try_from(self.number(object, &["NumberOfTries"])).unwrap_or(1).clamp(1, 3);
        let way = HOPS.into_iter().chain([(host, "203.0.113.7")]).take(most);
        for (at, (name, address)) in way.enumerate() {
            let Ok(number) = self.tree.add_inside(&table, true) else { return };
            let ms = self.draw(1, 3) + at as u64 * 3;
            let times: Vec<String> = (0..tries).map(|_| ms.to_string()).collect();
            for (leaves, value) in [
                (["HopHost", "Host"], name),
                (["HopHostAddress", "HostAddress"], address),
                (["HopRTTimes", "RTTimes"], &times.join(",")),
                (["HopErrorCode", "ErrorCode"], "0"),
            ] {
                for leaf in leaves {
                    self.tree.write(&format!("{table}{number}.{leaf}"), value);
                }
            }
            if let Some(ms) = times.first() {
                self.tree.write(&format!("{object}ResponseTime"), ms);
            }
        }
    }

    /// Whom a test is about; `None` if it is about nobody.
    fn target(&self, object: &str) -> Option<String> {
        let value = |leaf: &str| self.tree.value(&format!("{object}{leaf}"));
        value("Host").or_else(|| value("HostName")).map(str::to_owned)
    }

    /// A new row of the table, filled.
    fn tell_row(&mut self, table: &str, values: &[(&str, &str)]) {
        let Ok(number) = self.tree.add_inside(table, true) else { return };
        for (leaf, value) in values {
            self.tree.write(&format!("{table}{number}.{leaf}"), value);
        }
    }

    /// The results of the test before go.
    fn empty_table(&mut self, table: &str) {
        for old in self.tree.instances(table) {
            self.tree.delete_inside(&format!("{table}{old}."));
        }
    }

    fn look_up(&mut self, object: &str, host: &str) {
        if !self.tree.has(&format!("{object}HostName")) {
            return;
        }
        let table = format!("{object}Result.");
        self.empty_table(&table);
        let times = self.number(object, &["NumberOfRepetitions"]).clamp(1, 10);
        let server = self.tree.value(&format!("{object}DNSServer")).unwrap_or_default();
        let server = if server.is_empty() { "100.64.0.53" } else { server }.to_owned();
        for _ in 0..times {
            let ms = self.draw(2, 20).to_string();
            self.tell_row(
                &table,
                &[
                    ("Status", "Success"),
                    ("AnswerType", "NonAuthoritative"),
                    ("HostNameReturned", host),
                    ("IPAddresses", "203.0.113.7"),
                    ("DNSServerIP", &server),
                    ("ResponseTime", &ms),
                ],
            );
        }
        self.tree.write(&format!("{object}SuccessCount"), &times.to_string());
    }

    fn scan(&mut self, object: &str) {
        if self.target(object).is_some() {
            return;
        }
        let table = format!("{object}Result.");
        self.empty_table(&table);
        for (ssid, bssid, channel, band, signal) in [
            ("Bakery", "02:00:5E:00:00:11", "6", "2.4GHz", "-71"),
            ("Neighbours upstairs", "02:00:5E:00:00:12", "36", "5GHz", "-48"),
            ("", "02:00:5E:00:00:13", "11", "2.4GHz", "-83"),
        ] {
            self.tell_row(
                &table,
                &[
                    ("SSID", ssid),
                    ("BSSID", bssid),
                    ("Channel", channel),
                    ("OperatingFrequencyBand", band),
                    ("SignalStrength", signal),
                    ("SecurityModeEnabled", "WPA2"),
                    ("OperatingChannelBandwidth", "20MHz"),
                    ("OperatingStandards", "n"),
                ],
            );
        }
    }

    /// When a test ends next.
    pub(super) fn next_test(&self) -> impl Iterator<Item = UtcMs> + '_ {
        self.state.tests.iter().filter_map(|test| test.ends_at)
    }
}
