//! Every number the machine uses. Policy is data: nothing here is a constant in logic.

use serde::{Deserialize, Serialize};
use types::Secret;

/// How the operator wants provisioning to behave. Defaults are for a real network; the demo uses short times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Least time between the beginnings of two attempts, seconds (5 to 10 minutes).
    pub cool_down_s: u64,
    /// Waiting times after the 1st, 2nd … failure, seconds; the last one repeats.
    pub back_off_s: Vec<u64>,
    /// Waiting time after a failure that will not cure itself (bad name, bad value), seconds.
    pub park_s: u64,
    /// How long to watch for an Inform after a connection request, seconds (5 to 10).
    pub watchdog_s: u64,
    /// Least time between two connection requests to one device, seconds.
    pub connection_request_gap_s: u64,
    /// Least time between two repairs of the credentials of one device, seconds (a day).
    pub credentials_rewrite_s: u64,
    /// Wait between the last write and the first look at the connection, seconds.
    pub verify_delay_s: u64,
    /// Window after the last write in which a connection may still come up, seconds.
    pub verify_grace_s: u64,
    /// Looks at the connection that must fail before it counts as failed.
    pub verify_checks: u32,
    /// PeriodicInformInterval to set, seconds.
    pub inform_interval_s: u32,
    /// Each device gets an interval up to this much longer or shorter, so that a fleet does not inform at once.
    pub inform_spread_s: u32,
    /// Added to the interval before an Inform counts as overdue, seconds.
    pub inform_grace_s: u64,
    /// First year a clock may show.
    pub clock_floor_year: i32,
    /// NTP servers of the management network that this device speaks from, best first (at most five are used).
    pub ntp_servers: Vec<String>,
    /// Who lets every device of this model pass without a right clock, if anybody does. Never stored here: the
    /// application looks it up for the device it asks about.
    #[serde(skip)]
    pub clock_waived_by: Option<String>,
    /// The inform interval of its own that a device of this model may keep. Never stored here either.
    #[serde(skip)]
    pub accepted_interval: Option<AcceptedInterval>,
    /// Offset for `LocalTimeZone` of TR-098 devices, e.g. `+05:30`.
    pub time_zone: String,
    /// POSIX zone for TR-181 devices, e.g. `IST-5:30`.
    pub time_zone_posix: String,
    /// NTP is set at most this often before the reason says that the server cannot be reached.
    pub ntp_pushes: u32,
    /// Wait after setting NTP before one look at the clock, seconds.
    pub clock_check_s: u64,
    /// ACTIVE devices are compared with their intent this often, seconds; 0 = only after a boot.
    pub drift_check_s: u64,
    /// Requests in one session before the rest is left for the next.
    pub requests_per_session: u32,
    /// Connection is named so that we know our own: `Name` of TR-098, `Alias` of TR-181.
    pub wan_label: String,
}

/// An inform interval that the devices of a model keep whatever they are told, and who accepts that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedInterval {
    /// Seconds; exactly this, nothing near it.
    pub interval_s: u32,
    /// Who accepts it.
    pub by: String,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            cool_down_s: 300,
            back_off_s: vec![900, 1800, 3600, 3 * 3600, 6 * 3600],
            park_s: 24 * 3600,
            watchdog_s: 8,
            connection_request_gap_s: 30,
            credentials_rewrite_s: 24 * 3600,
            verify_delay_s: 15,
            verify_grace_s: 180,
            verify_checks: 3,
            inform_interval_s: 900,
            inform_spread_s: 90,
            inform_grace_s: 60,
            clock_floor_year: 2020,
            ntp_servers: vec!["pool.ntp.org".into()],
            clock_waived_by: None,
            accepted_interval: None,
            time_zone: "+00:00".into(),
            time_zone_posix: "UTC0".into(),
            ntp_pushes: 3,
            clock_check_s: 60,
            drift_check_s: 6 * 3600,
            requests_per_session: 60,
            wan_label: "LK-Internet".into(),
        }
    }
}

impl Policy {
    /// Waiting time after the `attempts`-th failure in a row, seconds.
    pub fn back_off_after(&self, attempts: u32) -> u64 {
        let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
        self.back_off_s.get(index).or(self.back_off_s.last()).copied().unwrap_or(self.cool_down_s)
    }

    /// The inform interval of one device: the policy's, spread by identity, never 0.
    pub fn inform_interval_for(&self, serial_number: &str) -> u32 {
        let spread = u64::from(self.inform_spread_s);
        let offset = serial_number.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        }) % (2 * spread + 1);
        let interval = u64::from(self.inform_interval_s) + offset;
        u32::try_from(interval.saturating_sub(spread).max(1)).unwrap_or(u32::MAX)
    }
}

/// The two secrets that make a CPE ours: what it shows us, and what we show it. Made by the application when the
/// device is linked, sealed at rest, decrypted for the session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnershipCredentials {
    /// `ManagementServer.Username`.
    pub username: String,
    /// `ManagementServer.Password`.
    pub password: Secret,
    /// `ManagementServer.ConnectionRequestUsername`.
    pub connection_request_username: String,
    /// `ManagementServer.ConnectionRequestPassword`.
    pub connection_request_password: Secret,
}
