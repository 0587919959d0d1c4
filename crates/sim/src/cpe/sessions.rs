//! A device's sessions: what it reports, what it does when one fails, and connection requests.

use super::{
    behaviour::{Device, Event, InformMessage},
    quirks::{Cookies, RetryPolicy},
    tree::{Tree, Value},
};
use crate::record::{End, What};
use types::UtcMs;

impl Device {
    /// Opens a session.
    pub fn begin_session(&mut self, now: UtcMs) -> InformMessage {
        self.state.sessions += 1;
        self.state.in_session = true;
        let events = self.state.events.clone();
        self.refresh(now);
        let mut paths: Vec<String> = forced(&self.tree);
        if let Some(wan) = &self.state.management_wan {
            paths.push(format!("{wan}ExternalIPAddress"));
        }
        paths.extend(self.state.changed.iter().cloned());
        paths.extend(
            self.state.notifications.iter().filter(|(_, level)| **level > 0).map(|(path, _)| path.clone()),
        );
        let mut parameters: Vec<Value> = Vec::new();
        for path in paths {
            if parameters.iter().any(|known| known.path == path) {
                continue;
            }
            let empty_url = path.ends_with("ConnectionRequestURL") && self.spec.quirks.cr_url_missing;
            if let (Ok(mut values), false) = (self.tree.values(&[path], false), empty_url) {
                parameters.append(&mut values);
            }
        }
        self.note(
            now,
            What::SessionBegan { events: events.iter().map(|event| event.code.clone()).collect() },
        );
        InformMessage {
            session: self.state.sessions,
            current_time: self.clock(now),
            retry_count: self.state.retry_count,
            events,
            parameters,
        }
    }

    /// True while the session that was opened goes on; power may be lost in the middle of it.
    pub fn in_session(&self, now: UtcMs) -> bool {
        self.is_up(now) && self.state.in_session
    }

    /// Keeps the cookie of a session for a device that comes back with it.
    pub fn keep_cookie(&mut self, cookie: String) {
        if self.spec.quirks.cookies == Cookies::Stale {
            self.state.old_cookie = Some(cookie);
        }
    }

    /// True if this message goes out with a wrong Content-Length.
    pub fn takes_wrong_length(&mut self, now: UtcMs) -> bool {
        let wrong = self.state.wrong_lengths > 0;
        self.state.wrong_lengths = self.state.wrong_lengths.saturating_sub(1);
        if wrong {
            self.note(now, What::WrongLength);
        }
        wrong
    }

    /// The Inform is said again, and the session of the first one is abandoned.
    pub fn informs_again(&mut self, now: UtcMs) {
        self.note(now, What::InformedTwice);
    }

    /// The ACS has accepted the Inform.
    pub fn inform_accepted(&mut self) {
        if self.state.events.iter().any(|event| event.code == "0 BOOTSTRAP") {
            self.state.bootstrapped = Some(self.acs_url());
        }
    }

    /// The session has ended as it should.
    pub fn session_done(&mut self, now: UtcMs, events: &[Event]) {
        let state = &mut self.state;
        state.in_session = false;
        state.retry_count = 0;
        state.not_before = now;
        state.changed.clear();
        // What came up during the session stays for the next one.
        state.events.retain(|event| !events.contains(event));
        self.note(now, What::SessionEnded { how: End::Clean });
        self.begin_tests(now);
        self.introduce();
        if std::mem::take(&mut self.state.reset_after_session) {
            self.factory_reset(now);
        } else if let Some(event) = self.state.restart_after_session.take() {
            self.boot(now, vec![event]);
        }
    }

    /// The session has not ended as it should; the events are reported again.
    pub fn session_failed(&mut self, now: UtcMs, why: &str) {
        if self.state.in_session {
            self.fail(now, why);
        }
    }

    pub(super) fn fail(&mut self, now: UtcMs, why: &str) {
        self.state.in_session = false;
        self.note(now, What::SessionEnded { how: End::Failed { why: why.chars().take(200).collect() } });
        self.begin_tests(now);
        if let Some(event) = self.state.restart_after_session.take() {
            return self.boot(now, vec![event]);
        }
        let n = match self.spec.quirks.retry {
            RetryPolicy::Standard => self.state.retry_count.min(9),
            RetryPolicy::Eager => 0,
            RetryPolicy::Never => {
                self.state.events.clear();
                return;
            }
        };
        self.state.retry_count += 1;
        let least = self.spec.timing.retry_ms << n;
        let ms = self.draw(least, least * 2);
        self.state.not_before = now.plus(self.real(ms));
    }

    /// The device restarts in the middle of a session.
    pub fn restart(&mut self, now: UtcMs) {
        self.state.in_session = false;
        self.note(now, What::SessionEnded { how: End::Failed { why: "the device restarted".to_owned() } });
        self.boot(now, Vec::new());
    }

    /// A connection request that has authenticated: true if a session will follow, false if the device is busy.
    pub fn connection_request(&mut self, now: UtcMs) -> bool {
        let gap = self.real(self.spec.timing.connection_request_gap_ms);
        let early = self.state.connection_request_at.is_some_and(|last| now.since(last) < gap);
        let busy = self.state.in_session || early || self.spec.quirks.cr_busy || !self.is_up(now);
        self.note(now, What::ConnectionRequest { status: if busy { 503 } else { 200 } });
        if !busy {
            self.state.connection_request_at = Some(now);
            self.remember(Event { code: "6 CONNECTION REQUEST".to_owned(), key: String::new() });
            let at = self.soon(now, self.spec.timing.connection_request_ms);
            // A pending retry does not wait any longer: somebody is there.
            self.state.not_before = at;
        }
        !busy
    }

    /// A connection request that failed: what it was answered.
    pub fn connection_request_refused(&mut self, now: UtcMs, status: u16) {
        self.note(now, What::ConnectionRequest { status });
    }

    /// Login and password a connection request must show; `None` if none will do.
    pub fn connection_request_login(&self) -> Option<(String, String)> {
        let text = |name: &str| {
            self.tree.at_root(&format!("ManagementServer.{name}")).unwrap_or_default().to_owned()
        };
        let login = (text("ConnectionRequestUsername"), text("ConnectionRequestPassword"));
        (!self.state.locked_401 && !login.0.is_empty() && !login.1.is_empty()).then_some(login)
    }

    /// Login and password the device shows to the ACS.
    pub fn acs_login(&self) -> Option<(String, String)> {
        let text = |name: &str| {
            self.tree.at_root(&format!("ManagementServer.{name}")).unwrap_or_default().to_owned()
        };
        let login = (text("Username"), text("Password"));
        (!login.0.is_empty()).then_some(login)
    }
}

/// Parameters that every Inform carries (TR-098 table 5, TR-181 table 6).
fn forced(tree: &Tree) -> Vec<String> {
    let names = [
        "DeviceSummary",
        "RootDataModelVersion",
        "DeviceInfo.SpecVersion",
        "DeviceInfo.HardwareVersion",
        "DeviceInfo.SoftwareVersion",
        "DeviceInfo.ProvisioningCode",
        "ManagementServer.ParameterKey",
        "ManagementServer.ConnectionRequestURL",
        "ManagementServer.AliasBasedAddressing",
    ];
    names.iter().map(|name| format!("{}{name}", tree.root())).filter(|path| tree.has(path)).collect()
}
