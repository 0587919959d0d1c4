//! Within what the ACS policy may be set. A value that would switch a safeguard off is refused, with the reason.

use super::AcsPolicy;
use crate::{
    error::{Checks, FieldError},
    ports::Cidr,
};
use types::UtcMs;

/// Which networks a policy is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyLimits {
    /// Real devices and customers: the bounds of the design.
    #[default]
    Network,
    /// A simulated network, where a visitor or a test waits seconds instead of minutes. The rules are the same.
    Simulated,
}

/// The upper end of a bound.
#[derive(Debug, Clone, Copy)]
enum High {
    At(u64),
    /// The calendar year of today.
    ThisYear,
}

/// One number of the policy, and within what it may be set.
#[derive(Debug)]
pub struct PolicyBound {
    /// Its place in the policy, as the API spells it, e.g. `provisioning.cool_down_s`.
    pub field: &'static str,
    /// What it is called on pages.
    pub label: &'static str,
    /// What it is, beside the field.
    pub about: &'static str,
    /// The heading it stands under.
    pub group: &'static str,
    why: &'static str,
    network: (u64, High),
    simulated: (u64, u64),
    zero_too: bool,
    get: fn(&AcsPolicy) -> u64,
    set: fn(&mut AcsPolicy, u64),
}

/// A number of the policy, as the bounds see it: below zero is as wrong as zero.
trait Number {
    fn shown(self) -> u64;
    /// The value, or the largest that fits; what is larger is outside the bounds anyway.
    fn nearest(value: u64) -> Self;
}

impl Number for u64 {
    fn shown(self) -> u64 {
        self
    }
    fn nearest(value: u64) -> u64 {
        value
    }
}

impl Number for u32 {
    fn shown(self) -> u64 {
        self.into()
    }
    fn nearest(value: u64) -> u32 {
        value.try_into().unwrap_or(u32::MAX)
    }
}

impl Number for i32 {
    fn shown(self) -> u64 {
        self.try_into().unwrap_or(0)
    }
    fn nearest(value: u64) -> i32 {
        value.try_into().unwrap_or(i32::MAX)
    }
}

macro_rules! bound {
    (provisioning.$name:ident: $($rest:tt)*) => {
        bound!(@ concat!("provisioning.", stringify!($name)), (provisioning.$name), $($rest)*)
    };
    ($name:ident: $($rest:tt)*) => { bound!(@ stringify!($name), ($name), $($rest)*) };
    (@ $field:expr, ($($path:tt)+), $type:ty, $group:expr, $label:literal, $about:literal,
        $low:literal to $high:expr, simulated $lowest:literal to $highest:literal, $why:literal $(, $zero:ident)?) => {
        PolicyBound {
            field: $field,
            label: $label,
            about: $about,
            group: $group,
            why: $why,
            network: ($low, $high),
            simulated: ($lowest, $highest),
            zero_too: bound!(@zero $($zero)?),
            get: |policy| policy.$($path)+.shown(),
            set: |policy, value| policy.$($path)+ = <$type>::nearest(value),
        }
    };
    (@zero) => { false };
    (@zero or_zero) => { true };
}

use High::{At, ThisYear};

const ATTEMPTS: &str = "Attempts";
const CALLS: &str = "Calls and Informs";
const CHECKS: &str = "Looking at the connection";
const CLOCKS: &str = "Clocks";
const OLTS: &str = "OLTs and strangers";

/// Every number of the policy, in the order of the page.
static NUMBERS: [PolicyBound; 19] = [
    bound!(provisioning.cool_down_s: u64, ATTEMPTS, "Cool-down, s", "between the beginnings of two attempts at one device",
        300 to At(600), simulated 1 to 600, "attempts at one device keep this distance, so that a flapping ONU restarts nothing."),
    bound!(provisioning.park_s: u64, ATTEMPTS, "Parked for, s", "after a failure that will not cure itself",
        3600 to At(2_592_000), simulated 10 to 2_592_000, "what will not cure itself is not tried again in a hurry."),
    bound!(provisioning.requests_per_session: u32, ATTEMPTS, "Requests in a session", "before the rest is left for the next one",
        10 to At(500), simulated 10 to 500, "with fewer no session gets anything done, with more one session never ends."),
    bound!(provisioning.drift_check_s: u64, ATTEMPTS, "Drift check every, s", "of active devices; 0: only after a boot",
        300 to At(604_800), simulated 10 to 604_800, "reading every device all the time is load without news.", or_zero),
    bound!(provisioning.watchdog_s: u64, CALLS, "Watchdog, s", "how long an Inform is watched for after a call",
        5 to At(10), simulated 1 to 60, "a CPE that takes a call informs within seconds; a longer look only holds the next step up."),
    bound!(provisioning.connection_request_gap_s: u64, CALLS, "Gap between calls, s", "to one device",
        10 to At(86_400), simulated 1 to 86_400, "no device is called in a hurry."),
    bound!(provisioning.credentials_rewrite_s: u64, CALLS, "Credentials repaired every, s", "at most, when a device refuses our call",
        86_400 to At(2_592_000), simulated 60 to 2_592_000, "credentials are written again once a day at most."),
    bound!(provisioning.inform_interval_s: u32, CALLS, "Inform interval, s", "written to devices",
        60 to At(86_400), simulated 5 to 86_400, "too short drowns the ACS, too long leaves a device unheard for more than a day."),
    bound!(provisioning.inform_spread_s: u32, CALLS, "Spread of the interval, s", "so much longer or shorter, so that a fleet does not inform at once",
        0 to At(43_200), simulated 0 to 43_200, "it is half of the longest interval at most."),
    bound!(provisioning.inform_grace_s: u64, CALLS, "Grace of an Inform, s", "before it counts as overdue",
        10 to At(3600), simulated 1 to 3600, "an Inform is never exactly on time, and one that never comes must be noticed."),
    bound!(provisioning.verify_delay_s: u64, CHECKS, "First look after, s", "from the last write",
        5 to At(300), simulated 1 to 300, "a connection needs some seconds to come up."),
    bound!(provisioning.verify_grace_s: u64, CHECKS, "Grace for PPPoE, s", "until a connection counts as failed",
        60 to At(3600), simulated 5 to 3600, "PPPoE needs time, and a customer without Internet must be noticed."),
    bound!(provisioning.verify_checks: u32, CHECKS, "Checks, at least", "that must fail",
        2 to At(20), simulated 2 to 20, "PPPoE needs more than one look."),
    bound!(provisioning.clock_floor_year: i32, CLOCKS, "First right year", "a clock before it is wrong",
        2015 to ThisYear, simulated 2015 to 9999, "an earlier year lets devices pass that only show the year of their firmware, a later one none at all."),
    bound!(provisioning.ntp_pushes: u32, CLOCKS, "Time server set, times", "before a wrong clock is reported",
        1 to At(10), simulated 1 to 10, "without one no clock becomes right, and a server that cannot be reached does not come nearer by repeating."),
    bound!(provisioning.clock_check_s: u64, CLOCKS, "Clock read after, s", "from setting the time server",
        10 to At(3600), simulated 1 to 3600, "a CPE needs some seconds to ask its time server."),
    bound!(autofind_interval_s: u64, OLTS, "Read OLTs every, s", "their detected ONUs and ONU states",
        10 to At(3600), simulated 1 to 3600, "an OLT's CLI is slow, and a new ONU should not wait for hours."),
    bound!(olt_word_valid_s: u64, OLTS, "The OLT's word counts, s", "that an ONU is online: it lets a first contact in",
        60 to At(7200), simulated 5 to 2_592_000, "what an OLT said long ago vouches for nobody."),
    bound!(quarantine_limit: u64, OLTS, "Strangers remembered", "more are answered “busy”",
        1 to At(1_000_000), simulated 1 to 1_000_000, "strangers take room."),
];

/// Waiting times after a failure, seconds: each of them.
const BACK_OFF_S: [(u64, u64); 2] = [(60, 604_800), (1, 604_800)];

/// Shortest and longest shared first-contact password, characters.
const FIRST_CONTACT_PASSWORD: std::ops::RangeInclusive<usize> = 8..=128;

/// The widest networks that are trusted: `10.0.0.0/8` is one, the whole Internet is not, and of IPv6 a provider has a /32.
const WIDEST_PREFIX: [u8; 2] = [8, 32];

/// The fewest bits that a trusted network of this family has.
fn widest(network: Cidr) -> u8 {
    let [v4, v6] = WIDEST_PREFIX;
    if network.is_ipv6() { v6 } else { v4 }
}

/// True if too much of the world is in it to trust whoever is.
pub(super) fn too_wide(network: Cidr) -> bool {
    network.prefix() < widest(network)
}

/// It is at least this year.
const YEAR_OF_THIS_CODE: u64 = 2026;

/// Most networks in a list.
const MOST_NETWORKS: usize = 64;

impl PolicyBound {
    /// Every number of the policy.
    pub fn all() -> &'static [PolicyBound] {
        &NUMBERS
    }

    /// The last part of [`PolicyBound::field`].
    pub fn name(&self) -> &'static str {
        self.field.rsplit('.').next().unwrap_or(self.field)
    }

    /// Lowest and highest value.
    pub fn range(&self, limits: PolicyLimits, now: UtcMs) -> (u64, u64) {
        match (limits, self.network) {
            (PolicyLimits::Simulated, _) => self.simulated,
            (PolicyLimits::Network, (low, At(high))) => (low, high),
            // A server whose own clock was reset must not refuse every year.
            (PolicyLimits::Network, (low, ThisYear)) => {
                (low, u64::try_from(now.year()).unwrap_or(low).max(YEAR_OF_THIS_CODE))
            }
        }
    }

    /// Zero is accepted as well, and means "never".
    pub fn zero_too(&self) -> bool {
        self.zero_too
    }

    /// `300 to 600`.
    pub fn words(&self, limits: PolicyLimits, now: UtcMs) -> String {
        let (low, high) = self.range(limits, now);
        format!("{}{low} to {high}", if self.zero_too && low > 0 { "0, or " } else { "" })
    }

    /// The value in a policy.
    pub fn get(&self, policy: &AcsPolicy) -> u64 {
        (self.get)(policy)
    }

    /// Sets the value; it is not checked before the policy is.
    pub fn set(&self, policy: &mut AcsPolicy, value: u64) {
        (self.set)(policy, value);
    }

    /// The nearest value within the bounds.
    fn nearest(&self, value: u64, limits: PolicyLimits, now: UtcMs) -> u64 {
        let (low, high) = self.range(limits, now);
        if self.zero_too && value == 0 { 0 } else { value.clamp(low, high) }
    }
}

/// Lowest and highest waiting time after a failure, seconds.
pub fn back_off_range(limits: PolicyLimits) -> (u64, u64) {
    let [network, simulated] = BACK_OFF_S;
    match limits {
        PolicyLimits::Network => network,
        PolicyLimits::Simulated => simulated,
    }
}

fn networks(checks: &mut Checks, field: &str, networks: &[Cidr]) {
    if networks.len() > MOST_NETWORKS {
        checks.wrong(field, format!("holds more than {MOST_NETWORKS} networks; join some."));
    }
    if let Some(wide) = networks.iter().find(|network| too_wide(**network)) {
        checks.wrong(
            field,
            format!(
                "{wide} is wider than a /{}: whoever is in it is trusted to be behind our OLT. Name the networks of the \
                 management WANs only.",
                widest(*wide)
            ),
        );
    }
}

/// A host name or an address as a CPE can store it (`NTPServer1` is string(64)).
pub(super) fn time_servers(checks: &mut Checks, field: &str, servers: &[String]) {
    if servers.is_empty() || servers.len() > 5 {
        checks.wrong(field, "needs one to five servers; without one no clock ever becomes right.");
    }
    for server in servers {
        let fits = (1..=64).contains(&server.len())
            && server.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:".contains(&b))
            && server.bytes().any(|b| b.is_ascii_alphanumeric());
        if !fits {
            let shown: String = server.chars().filter(|c| !c.is_control()).take(64).collect();
            checks.wrong(
                field,
                format!("{shown:?} is neither an IP address nor a host name of 64 characters at most."),
            );
        }
    }
}

/// `+05:30`, as `LocalTimeZone` of TR-098 wants it; zones reach from −12:00 to +14:00.
fn is_offset(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['+', '-']) else { return false };
    let Some((hours, minutes)) = rest.split_once(':') else { return false };
    let number = |part: &str| -> Option<u32> {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok())?
    };
    let (Some(hours), Some(minutes)) = (number(hours), number(minutes)) else { return false };
    let most = if text.starts_with('+') { 14 * 60 } else { 12 * 60 };
    minutes < 60 && hours * 60 + minutes <= most
}

/// `IST-5:30` or `CET-1CEST,M3.5.0,M10.5.0/3` (IEEE 1003.1): a name, then an offset.
fn is_posix_zone(text: &str) -> bool {
    let name = match text.strip_prefix('<') {
        Some(rest) => rest.split_once('>').map(|(name, rest)| (name.len(), rest)),
        None => {
            let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
            Some((end, &text[end..]))
        }
    };
    let Some((length, rest)) = name else { return false };
    let offset = rest.trim_start_matches(['+', '-']);
    length >= 3
        && text.len() <= 256
        && offset.starts_with(|c: char| c.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Our name on a WAN: `Alias` of TR-181 is string(64), begins with a letter, and `cpe-` is the device's own prefix.
fn is_label(text: &str) -> bool {
    (3..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !text.to_ascii_lowercase().starts_with("cpe-")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
}

impl AcsPolicy {
    /// Refuses what would hurt a network of this kind, field by field.
    pub(crate) fn check(&self, limits: PolicyLimits, now: UtcMs) -> Result<(), crate::AppError> {
        let mut checks = Checks::default();
        self.check_into(&mut checks, limits, now);
        checks.done()
    }

    fn check_into(&self, checks: &mut Checks, limits: PolicyLimits, now: UtcMs) {
        for bound in PolicyBound::all() {
            let value = bound.get(self);
            if bound.nearest(value, limits, now) != value {
                let text = format!("{value} is outside {}: {}", bound.words(limits, now), bound.why);
                checks.wrong(bound.field, text);
            }
        }
        let p = &self.provisioning;
        let (low, high) = back_off_range(limits);
        let field = "provisioning.back_off_s";
        if !(1..=12).contains(&p.back_off_s.len()) {
            checks.wrong(field, "needs one to twelve waiting times.");
        }
        if let Some(wait) = p.back_off_s.iter().find(|wait| !(low..=high).contains(*wait)) {
            let text = format!(
                "{wait} is outside {low} to {high}: after a failure a device is left alone for a while."
            );
            checks.wrong(field, text);
        }
        if !checks.is_wrong("provisioning.inform_interval_s") && p.inform_spread_s > p.inform_interval_s / 2 {
            checks.wrong(
                "provisioning.inform_spread_s",
                format!(
                    "{} is more than half of the interval of {} s: some devices would inform all the time.",
                    p.inform_spread_s, p.inform_interval_s
                ),
            );
        }
        if !checks.is_wrong("provisioning.verify_grace_s") && p.verify_delay_s > p.verify_grace_s {
            checks.wrong(
                "provisioning.verify_delay_s",
                format!(
                    "{} is more than the grace of {} s: nobody would have looked in it.",
                    p.verify_delay_s, p.verify_grace_s
                ),
            );
        }
        if !checks.is_wrong("autofind_interval_s") && self.olt_word_valid_s < self.autofind_interval_s {
            checks.wrong(
                "olt_word_valid_s",
                format!(
                    "{} is less than the {} s between two readings of an OLT: its word would have run out before the next.",
                    self.olt_word_valid_s, self.autofind_interval_s
                ),
            );
        }
        time_servers(checks, "provisioning.ntp_servers", &p.ntp_servers);
        if !is_offset(&p.time_zone) {
            checks.wrong("provisioning.time_zone", "is no offset such as +05:30, from -12:00 to +14:00.");
        }
        if !is_posix_zone(&p.time_zone_posix) {
            checks.wrong(
                "provisioning.time_zone_posix",
                "is no POSIX zone such as IST-5:30: a name of at least three letters, then the offset, no blanks.",
            );
        }
        if !is_label(&p.wan_label) {
            checks.wrong(
                "provisioning.wan_label",
                "takes 3 to 32 letters, digits, - and _, begins with a letter, and not with cpe-: by it we know our own.",
            );
        }
        networks(checks, "management_networks", &self.management_networks);
        networks(checks, "nat_networks", &self.nat_networks);
        let ntp: Vec<Cidr> = self.ntp_networks.iter().map(|named| named.network).collect();
        networks(checks, "ntp_networks", &ntp);
        for (index, named) in self.ntp_networks.iter().enumerate() {
            let network = &named.network;
            if !self.management_networks.iter().any(|n| n.covers(network)) {
                checks.wrong(
                    "ntp_networks",
                    format!("{network} is in no management network; no CPE speaks from there."),
                );
            }
            if ntp[..index].contains(network) {
                checks.wrong("ntp_networks", format!("{network} is named twice."));
            }
            time_servers(checks, "ntp_networks", &named.servers);
        }
        if let Some(outside) =
            self.nat_networks.iter().find(|inner| !self.management_networks.iter().any(|n| n.covers(inner)))
        {
            checks.wrong(
                "nat_networks",
                format!("{outside} is in no management network; nobody is called there."),
            );
        }
        checks.text("first_contact_username", &self.first_contact_username, 64);
        if self.first_contact_username.contains([':', '"', '\\']) {
            checks.wrong(
                "first_contact_username",
                "holds one of : \" \\, which no CPE can send as a user name.",
            );
        }
    }

    /// A policy from the database that an older version accepted: what would hurt is brought to the nearest value that
    /// does not, a network that is too wide is not trusted. Says what was changed.
    pub(crate) fn made_safe(mut self, limits: PolicyLimits, now: UtcMs) -> (AcsPolicy, Vec<FieldError>) {
        let mut checks = Checks::default();
        self.check_into(&mut checks, limits, now);
        let wrong = checks.into_fields();
        if wrong.is_empty() {
            return (self, wrong);
        }
        for bound in PolicyBound::all() {
            let nearest = bound.nearest(bound.get(&self), limits, now);
            bound.set(&mut self, nearest);
        }
        let default = AcsPolicy::default();
        let (low, high) = back_off_range(limits);
        let p = &mut self.provisioning;
        p.back_off_s.iter_mut().for_each(|wait| *wait = (*wait).clamp(low, high));
        if p.back_off_s.is_empty() {
            p.back_off_s = default.provisioning.back_off_s;
        }
        p.back_off_s.truncate(12);
        p.inform_spread_s = p.inform_spread_s.min(p.inform_interval_s / 2);
        p.verify_delay_s = p.verify_delay_s.min(p.verify_grace_s);
        self.olt_word_valid_s = self.olt_word_valid_s.max(self.autofind_interval_s);
        let mut servers = Checks::default();
        time_servers(&mut servers, "ntp_servers", &p.ntp_servers);
        if servers.done().is_err() {
            p.ntp_servers = default.provisioning.ntp_servers;
        }
        if !is_offset(&p.time_zone) {
            p.time_zone = default.provisioning.time_zone;
        }
        if !is_posix_zone(&p.time_zone_posix) {
            p.time_zone_posix = default.provisioning.time_zone_posix;
        }
        if !is_label(&p.wan_label) {
            p.wan_label = default.provisioning.wan_label;
        }
        self.management_networks.retain(|network| !too_wide(*network));
        self.management_networks.truncate(MOST_NETWORKS);
        let managed = self.management_networks.clone();
        self.nat_networks.retain(|inner| managed.iter().any(|network| network.covers(inner)));
        self.nat_networks.truncate(MOST_NETWORKS);
        let mut named_before: Vec<Cidr> = Vec::new();
        self.ntp_networks.retain(|named| {
            let mut servers = Checks::default();
            time_servers(&mut servers, "ntp_networks", &named.servers);
            let fits = servers.done().is_ok()
                && managed.iter().any(|network| network.covers(&named.network))
                && !named_before.contains(&named.network);
            named_before.push(named.network);
            fits
        });
        self.ntp_networks.truncate(MOST_NETWORKS);
        let mut name = Checks::default();
        name.text("first_contact_username", &self.first_contact_username, 64);
        if name.done().is_err() || self.first_contact_username.contains([':', '"', '\\']) {
            self.first_contact_username = default.first_contact_username;
        }
        (self, wrong)
    }
}

/// The shared first-contact password: absent and empty say something else and are no passwords.
pub(super) fn first_contact_password(password: Option<&types::Secret>) -> Result<(), crate::AppError> {
    let Some(password) = password.filter(|password| !password.is_empty()) else { return Ok(()) };
    let (low, high) = (FIRST_CONTACT_PASSWORD.start(), FIRST_CONTACT_PASSWORD.end());
    let text = password.expose();
    let mut checks = Checks::default();
    if !FIRST_CONTACT_PASSWORD.contains(&text.chars().count()) {
        checks.wrong("first_contact_password", format!("takes {low} to {high} characters."));
    }
    if !text.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        checks
            .wrong("first_contact_password", "must be printable ASCII without blanks: CPEs carry no others.");
    }
    checks.done()
}

#[cfg(test)]
mod tests;
