//! One CPE as a pure machine: power, clock, network, Informs and sessions. Time comes in as an argument, chance from
//! a seed; nothing here opens a socket or reads a clock, so that a run can be repeated.

use super::{
    diagnostics::SelfTest,
    order::{Order, Reply, Then},
    quirks::{CpeTiming, ExistingWan, Quirks},
    tree::{Changes, Model, Tree},
    wan::{self, Network},
};
use crate::flow::Flow;
use crate::record::{Entry, What};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};
use types::{Mac, Serial, UtcMs};

/// 1981-01-01T00:00:00Z, where a Huawei clock starts.
const EPOCH_1981: UtcMs = UtcMs(347_155_200_000);
/// The first year that counts as a right clock.
const SANE_YEAR: i16 = 2020;

/// Who a device is and how it behaves; fixed for its life.
#[derive(Debug, Clone)]
pub struct DeviceSpec {
    /// PON serial number.
    pub serial: Serial,
    /// MAC address of the WAN.
    pub mac: Mac,
    /// Maker, as the Inform says it.
    pub manufacturer: String,
    /// Six hex digits.
    pub oui: String,
    /// Model or family.
    pub product_class: String,
    /// The CWMP serial number; usually the PON serial as 16 hex digits.
    pub cwmp_serial: String,
    /// The model name in DeviceInfo.
    pub model_name: String,
    /// Firmware; empty leaves what the data model says.
    pub software_version: String,
    /// What is odd about it.
    pub quirks: Quirks,
    /// How long things take.
    pub timing: CpeTiming,
    /// All durations are divided by this.
    pub speed: f64,
    /// After a loss of power it waits for [`Device::power_on`], as an ONU waits for its OLT.
    pub behind_olt: bool,
    /// Seed of the fleet.
    pub seed: u64,
    /// The wanted PPPoE: login, password and VLAN of the customer, for WANs that are there before us.
    pub customer: Option<(String, String, u16)>,
}

/// The management WAN as the OLT gives it by OMCI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Management {
    /// The address of the device in the management network.
    pub address: IpAddr,
    /// Where the ACS is.
    pub acs_url: String,
    /// ACS login from the OLT's TR-069 profile; empty for none.
    pub username: String,
    /// Its password.
    pub password: String,
    /// The VLAN of the management WAN, if the model has a place for it.
    pub vlan: Option<u16>,
}

/// One reason for a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// As the Inform says it, e.g. `2 PERIODIC`.
    pub code: String,
    /// The command key.
    pub key: String,
}

/// Where a WAN connection is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) fingerprint: u64,
    pub(super) due: Option<UtcMs>,
    pub(super) up: bool,
}

/// Everything a device remembers besides its tree. It survives the end of our process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceState {
    /// It has power and light.
    pub powered: bool,
    /// When it was last started.
    pub booted_at: UtcMs,
    /// When it is done starting.
    pub up_at: UtcMs,
    /// Starts so far.
    pub boots: u32,
    /// What the OLT gave it.
    pub management: Option<Management>,
    /// What the OLT carries of it; `None` = there is no OLT, and everything passes.
    pub flows: Option<Vec<Flow>>,
    /// The ACS it has introduced itself to.
    pub bootstrapped: Option<String>,
    /// Reasons for the next session.
    pub events: Vec<Event>,
    /// Failed sessions in a row.
    pub retry_count: u32,
    /// Not before then.
    pub not_before: UtcMs,
    /// The next periodic Inform.
    pub periodic_at: Option<UtcMs>,
    /// A session asked for by ScheduleInform.
    pub scheduled: Option<(UtcMs, String)>,
    /// The clock is right.
    pub clock_set: bool,
    pub(super) clock_due: Option<UtcMs>,
    pub(super) links: BTreeMap<String, Link>,
    /// Notification attribute by path.
    pub notifications: BTreeMap<String, u8>,
    pub(super) changed: BTreeSet<String>,
    /// Orders in its life.
    pub orders: u32,
    pub(super) dropped: bool,
    pub(super) restarted: bool,
    /// A new connection that will be gone when it is first written to.
    pub(super) about_to_vanish: Option<String>,
    /// The connection that vanishes was made.
    pub(super) vanished: bool,
    /// Connection requests are answered 401 whatever they bring.
    pub locked_401: bool,
    pub(super) connection_request_at: Option<UtcMs>,
    /// Port of the connection request listener, once it is open.
    pub listening_port: Option<u16>,
    /// Sessions in its life.
    pub sessions: u64,
    pub(super) in_session: bool,
    pub(super) restart_after_session: Option<Event>,
    pub(super) reset_after_session: bool,
    /// Messages with a wrong length still to come.
    pub wrong_lengths: u32,
    flaps: u32,
    /// When power changes by itself.
    pub flap_at: Option<UtcMs>,
    /// Power is back, light and management WAN are not.
    pub dark: bool,
    /// Cookie of the session before.
    pub old_cookie: Option<String>,
    settled: bool,
    /// Tests that were asked for and are not over.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) tests: Vec<SelfTest>,
    /// Path of the connection that carries TR-069: made by the OLT, never to be touched.
    pub management_wan: Option<String>,
    draws: u64,
}

/// What opens a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InformMessage {
    /// Number of the session in the device's life.
    pub session: u64,
    /// Why.
    pub events: Vec<Event>,
    /// The device's own clock.
    pub current_time: UtcMs,
    /// Failed sessions before.
    pub retry_count: u32,
    /// Forced and changed parameters.
    pub parameters: Vec<super::tree::Value>,
}

/// A device.
#[derive(Debug)]
pub struct Device {
    /// Who it is.
    pub spec: Arc<DeviceSpec>,
    pub(super) tree: Tree,
    pub(super) state: DeviceState,
    notes: Vec<Entry>,
    lost_power: bool,
}

impl Device {
    /// A device as it comes out of the box.
    pub fn new(spec: Arc<DeviceSpec>, model: Arc<Model>) -> Device {
        let state = DeviceState {
            wrong_lengths: spec.quirks.wrong_content_length,
            flaps: spec.quirks.power_flapping,
            ..DeviceState::default()
        };
        let mut device = Device { spec, tree: Tree::new(model), state, notes: Vec::new(), lost_power: false };
        device.imprint();
        device
    }

    /// A device as a journal knows it.
    pub fn resume(
        spec: Arc<DeviceSpec>,
        model: Arc<Model>,
        changes: Vec<Changes>,
        state: DeviceState,
    ) -> Device {
        let mut device = Device::new(spec, model);
        let _ = device.tree.take_changes();
        for change in changes {
            device.tree.replay(change);
        }
        device.state = state;
        device
    }

    /// Its data model.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// What it remembers.
    pub fn state(&self) -> &DeviceState {
        &self.state
    }

    /// Everything it noted since the last call, with the changes of its tree, for record and journal.
    pub fn take_notes(&mut self) -> (Vec<Entry>, Changes) {
        (std::mem::take(&mut self.notes), self.tree.take_changes())
    }

    /// Notes something with the device's circumstances.
    pub(super) fn note(&mut self, now: UtcMs, what: What) {
        let clock_valid = self.clock(now).year() >= SANE_YEAR;
        self.notes.push(Entry { at: now, session: self.state.sessions, clock_valid, what });
    }

    /// A number from the device's own chance.
    pub(super) fn draw(&mut self, low: u64, high: u64) -> u64 {
        let serial = u64::from_be_bytes(self.spec.serial.bytes());
        let mut chance = ChaCha8Rng::seed_from_u64(self.spec.seed ^ serial.rotate_left(17));
        chance.set_word_pos(u128::from(self.state.draws) * 16);
        self.state.draws += 1;
        chance.random_range(low..=high.max(low))
    }

    /// A moment `ms` of the device's time from now, give or take a tenth.
    pub(super) fn soon(&mut self, now: UtcMs, ms: u64) -> UtcMs {
        let ms = self.draw(ms - ms / 10, ms + ms / 10);
        now.plus(self.real(ms))
    }

    /// A duration of the device's time as it passes for us.
    pub fn real(&self, ms: u64) -> std::time::Duration {
        std::time::Duration::from_secs_f64(ms as f64 / 1000.0 / self.spec.speed.max(0.001))
    }

    /// What the device believes the time is.
    pub fn clock(&self, now: UtcMs) -> UtcMs {
        if self.has_right_clock() { now } else { EPOCH_1981.plus(now.since(self.state.booted_at)) }
    }

    fn has_right_clock(&self) -> bool {
        let quirks = &self.spec.quirks;
        !(quirks.clock_1981_until_ntp || quirks.clock_never) || self.state.clock_set
    }

    /// Writes what distinguishes this device from others of its model.
    fn imprint(&mut self) {
        let spec = self.spec.clone();
        let mut write = |name: &str, value: &str| {
            if !value.is_empty() {
                self.tree.write_at_root(name, value);
            }
        };
        write("DeviceInfo.Manufacturer", &spec.manufacturer);
        write("DeviceInfo.ManufacturerOUI", &spec.oui);
        write("DeviceInfo.ProductClass", &spec.product_class);
        write("DeviceInfo.ModelName", &spec.model_name);
        write("DeviceInfo.SerialNumber", &spec.cwmp_serial);
        write("DeviceInfo.X_HW_SerialNumber", &spec.serial.ascii());
        write("DeviceInfo.SoftwareVersion", &spec.software_version);
        write("ManagementServer.PeriodicInformEnable", "true");
        write("ManagementServer.PeriodicInformInterval", &spec.timing.inform_interval_s.to_string());
        for name in [
            "ParameterKey",
            "URL",
            "Username",
            "Password",
            "ConnectionRequestUsername",
            "ConnectionRequestPassword",
            "ConnectionRequestURL",
        ] {
            self.tree.write_at_root(&format!("ManagementServer.{name}"), "");
        }
        let macs: Vec<String> = self
            .tree
            .below(self.tree.root())
            .filter(|(path, _)| path.ends_with(".MACAddress") && path.contains(".WAN"))
            .map(|(path, _)| path.to_owned())
            .collect();
        for path in macs {
            self.tree.write(&path, &spec.mac.to_string());
        }
        self.tree.write_at_root("Time.Status", "Disabled");
        if spec.quirks.clock_1981_until_ntp || spec.quirks.clock_never {
            self.tree.write_at_root("Time.Enable", "false");
            for number in 1..=5 {
                self.tree.write_at_root(&format!("Time.NTPServer{number}"), "");
            }
        }
        self.tree.write_at_root(
            "Time.X_HW_WanName",
            if spec.quirks.ntp_wan_name_trap { "wan1.7.ip1" } else { "" },
        );
    }

    /// WANs of a former life: done once, so that a factory reset removes them.
    fn settle(&mut self) {
        if std::mem::replace(&mut self.state.settled, true) {
            return;
        }
        if self.spec.quirks.instance_numbers_never_reset {
            // A technician once created a WAN and deleted it again.
            let leftover = wan::Built { name: "", vlan: 0, username: "", password: "" };
            let path = wan::build(&mut self.tree, &leftover);
            let object = path.as_deref().map(|path| match wan::connection_devices(&self.tree).last() {
                Some((device, number)) if self.tree.root() != "Device." => {
                    format!("{device}WANConnectionDevice.{number}.")
                }
                _ => path.to_owned(),
            });
            if let Some(object) = object {
                let _ = self.tree.delete(&object);
            }
        }
        let Some(existing) = self.spec.quirks.existing_wan else { return };
        let (username, password, vlan) = self.spec.customer.clone().unwrap_or_default();
        let mut build = |name: &str, vlan: u16, username: &str, password: &str| {
            wan::build(&mut self.tree, &wan::Built { name, vlan, username, password });
        };
        match existing {
            ExistingWan::Foreign => build("OLD_ISP_VID_77", 77, "legacy@old-isp", "legacy-password"),
            ExistingWan::Ours => build("INTERNET_R", vlan, &username, &password),
            ExistingWan::Orphan => build("", 0, "", ""),
            ExistingWan::Two => {
                build("INTERNET_A", vlan, "first@old-isp", "legacy-password");
                build("INTERNET_B", vlan, "second@old-isp", "legacy-password");
            }
        }
    }

    /// Light and power: the OLT has registered the ONU and gives it a management WAN. A device that was running
    /// with the same settings (our process was restarted, the device was not) goes on without a boot.
    pub fn power_on(&mut self, now: UtcMs, management: Management) {
        self.settle();
        self.state.dark = false;
        let resumed = self.state.powered && self.state.management.as_ref() == Some(&management);
        self.state.management = Some(management.clone());
        self.attach_management(&management);
        if resumed {
            self.note(now, What::Resumed);
            if std::mem::take(&mut self.state.in_session) {
                self.fail(now, "our side died during the session");
            }
            return;
        }
        self.plan_flap(now);
        self.boot(now, Vec::new());
    }

    /// The OLT carries this of the device's traffic from now on; its connections dial again where that matters.
    pub fn carry(&mut self, flows: Vec<Flow>) {
        self.state.flows = Some(flows);
    }

    /// Loss of power or light.
    pub fn power_off(&mut self, now: UtcMs) {
        if self.state.powered {
            self.state.powered = false;
            self.state.in_session = false;
            self.drop_links();
            self.note(now, What::PoweredOff);
        }
    }

    /// Somebody presses the reset button.
    pub fn factory_reset(&mut self, now: UtcMs) {
        self.note(now, What::FactoryReset);
        self.tree.reset();
        self.imprint();
        let management = self.state.management.clone();
        let kept = std::mem::take(&mut self.state);
        self.state = DeviceState {
            sessions: kept.sessions,
            boots: kept.boots,
            orders: kept.orders,
            draws: kept.draws,
            dropped: kept.dropped,
            restarted: kept.restarted,
            vanished: kept.vanished,
            settled: true,
            management: management.clone(),
            flows: kept.flows,
            listening_port: kept.listening_port,
            // Made by the OLT, so the reset does not know another one.
            management_wan: kept.management_wan,
            ..DeviceState::default()
        };
        if let Some(management) = management {
            self.attach_management(&management);
            self.boot(now, Vec::new());
        }
    }

    pub(super) fn boot(&mut self, now: UtcMs, mut events: Vec<Event>) {
        let up_at = self.soon(now, self.spec.timing.boot_ms);
        let state = &mut self.state;
        state.powered = true;
        state.in_session = false;
        state.booted_at = now;
        state.up_at = up_at;
        state.boots += 1;
        state.retry_count = 0;
        state.not_before = up_at;
        state.clock_set = false;
        state.clock_due = None;
        state.locked_401 = false;
        state.restart_after_session = None;
        state.reset_after_session = false;
        state.changed.clear();
        state.events.retain(|event| event.code == "0 BOOTSTRAP" || event.code.starts_with("M "));
        events.push(Event { code: "1 BOOT".to_owned(), key: String::new() });
        for event in events {
            self.remember(event);
        }
        self.drop_links();
        self.forget_tests();
        self.plan_periodic(up_at);
        self.introduce();
        self.note(now, What::Booted);
    }

    /// A new ACS URL, or none before: `0 BOOTSTRAP`.
    pub(super) fn introduce(&mut self) {
        let url = self.acs_url();
        if !url.is_empty() && self.state.bootstrapped.as_deref() != Some(url.as_str()) {
            self.remember(Event { code: "0 BOOTSTRAP".to_owned(), key: String::new() });
        }
    }

    /// Where the device would call.
    pub fn acs_url(&self) -> String {
        self.tree.at_root("ManagementServer.URL").unwrap_or_default().to_owned()
    }

    pub(super) fn remember(&mut self, event: Event) {
        if !self.state.events.contains(&event) && self.state.events.len() < 64 {
            self.state.events.push(event);
        }
    }

    pub(super) fn plan_periodic(&mut self, now: UtcMs) {
        let enabled =
            self.tree.at_root("ManagementServer.PeriodicInformEnable").is_some_and(super::values::is_true);
        let set =
            self.tree.at_root("ManagementServer.PeriodicInformInterval").and_then(|text| text.parse().ok());
        let own = self.spec.timing.inform_interval_s;
        let interval_s = if self.spec.quirks.keeps_inform_interval { own } else { set.unwrap_or(0) };
        let interval_ms = interval_s.saturating_mul(1000);
        self.state.periodic_at = (enabled && interval_s > 0).then(|| now.plus(self.real(interval_ms)));
    }

    /// True if the listener is to hear connection requests.
    pub fn is_up(&self, now: UtcMs) -> bool {
        self.state.powered && now >= self.state.up_at
    }

    /// Lets everything happen that is due.
    pub fn tick(&mut self, now: UtcMs, network: &Network) {
        if self.state.flap_at.is_some_and(|at| now >= at) {
            self.flap(now);
        }
        if !self.is_up(now) {
            return;
        }
        self.run_clock(now, network);
        self.run_links(now, network);
        self.end_tests(now);
        if self.state.periodic_at.is_some_and(|at| now >= at) {
            self.remember(Event { code: "2 PERIODIC".to_owned(), key: String::new() });
            self.plan_periodic(now);
        }
        if let Some((_, key)) = self.state.scheduled.take_if(|(at, _)| now >= *at) {
            self.remember(Event { code: "3 SCHEDULED".to_owned(), key: key.clone() });
            self.remember(Event { code: "M ScheduleInform".to_owned(), key });
        }
    }

    /// Power goes or comes back by itself.
    fn flap(&mut self, now: UtcMs) {
        let ms = self.spec.timing.flap_ms;
        if self.state.powered {
            self.power_off(now);
            self.lost_power = true;
            self.state.flaps = self.state.flaps.saturating_sub(1);
            self.state.flap_at = Some(self.soon(now, ms / 2));
            return;
        }
        self.state.flap_at = None;
        if self.spec.behind_olt {
            self.state.dark = true;
            return;
        }
        self.plan_flap(now);
        self.boot(now, Vec::new());
    }

    /// When it loses power next, if it is a device that does.
    fn plan_flap(&mut self, now: UtcMs) {
        if self.state.flaps > 0 && self.state.flap_at.is_none() {
            let ms = self.spec.timing.flap_ms + self.spec.timing.boot_ms;
            self.state.flap_at = Some(self.soon(now, ms));
        }
    }

    /// True once after the device lost its power by itself.
    pub fn take_lost_power(&mut self) -> bool {
        std::mem::take(&mut self.lost_power)
    }

    /// Loses power for `off_ms` of the device's time.
    pub fn lose_power_for(&mut self, now: UtcMs, off_ms: u64) {
        self.power_off(now);
        self.lost_power = true;
        self.state.flap_at = Some(now.plus(self.real(off_ms)));
    }

    /// When something is due next; `None` = nothing until somebody acts on the device.
    pub fn next_due(&self, now: UtcMs) -> Option<UtcMs> {
        let state = &self.state;
        let mut due: Vec<UtcMs> = state.flap_at.into_iter().collect();
        if state.powered {
            if now < state.up_at {
                due.push(state.up_at);
            } else {
                due.extend(state.clock_due);
                due.extend(state.links.values().filter_map(|link| link.due));
                due.extend(state.periodic_at);
                due.extend(self.next_test());
                due.extend(state.scheduled.as_ref().map(|(at, _)| *at));
                if !state.events.is_empty() && !state.in_session && !self.acs_url().is_empty() {
                    due.push(state.not_before);
                }
            }
        }
        due.into_iter().min()
    }

    /// True if a session is to be opened now.
    pub fn wants_session(&self, now: UtcMs) -> bool {
        let state = &self.state;
        self.is_up(now)
            && !state.in_session
            && !state.events.is_empty()
            && now >= state.not_before
            && !self.acs_url().is_empty()
    }

    /// Brings parameters up to date that change by themselves.
    pub(super) fn refresh(&mut self, now: UtcMs) {
        let up_s = (now.since(self.state.booted_at).as_secs_f64() * self.spec.speed) as u64;
        let clock = UtcMs(self.clock(now).0 / 1000 * 1000).to_string();
        self.tree.write_passing("Time.CurrentLocalTime", &clock);
        self.tree.write_passing("DeviceInfo.UpTime", &up_s.to_string());
    }

    /// A parameter changed by itself or was set: passive and active notifications, and the forced ones.
    pub(super) fn notice_change(&mut self, path: &str) {
        match self.state.notifications.get(path) {
            Some(1) => {
                self.state.changed.insert(path.to_owned());
            }
            Some(2..) => {
                self.state.changed.insert(path.to_owned());
                self.remember(Event { code: "4 VALUE CHANGE".to_owned(), key: String::new() });
            }
            Some(0) | None => {}
        }
    }

    /// Carries out one order. The caller journals what was noted before the reply leaves.
    pub fn order(&mut self, now: UtcMs, order: &Order) -> (Reply, Then) {
        super::orders::carry_out(self, now, order)
    }

    /// Whether this order is the one that ends badly.
    pub(super) fn mishap(&mut self, method: &str) -> Then {
        self.state.orders += 1;
        let (quirks, number) = (&self.spec.quirks, Some(self.state.orders));
        let hits = |nth: Option<u32>, on: &Option<String>| {
            (nth.is_some() && nth == number) || on.as_deref() == Some(method)
        };
        if !self.state.dropped && hits(quirks.session_dropped_mid_rpc, &quirks.session_dropped_on) {
            self.state.dropped = true;
            return Then::Drop;
        }
        if !self.state.restarted && hits(quirks.reboot_in_the_middle, &quirks.reboot_on) {
            self.state.restarted = true;
            return Then::Restart;
        }
        Then::Answer
    }

    pub(super) fn after_session(&mut self, event: Event) {
        self.state.restart_after_session = Some(event);
    }

    pub(super) fn reset_after_session(&mut self) {
        self.state.reset_after_session = true;
    }
}
