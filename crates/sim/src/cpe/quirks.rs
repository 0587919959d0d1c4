//! What is odd about a device. Every default is a device that does what TR-069 says.

use serde::{Deserialize, Serialize};

/// A WAN that the device already has when we first meet it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExistingWan {
    /// Another provider's PPPoE, connected and carrying traffic.
    Foreign,
    /// The wanted PPPoE, complete and connected: someone configured it by hand.
    Ours,
    /// Objects created and never filled: an earlier run of ours died.
    Orphan,
    /// Two connections that both could be the one: a question for the operator.
    Two,
}

/// What the device does with the cookies of the ACS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cookies {
    /// Returns them.
    #[default]
    Normal,
    /// Never returns them.
    Never,
    /// Returns them with their attributes (`sid=1; Path=/`), as some stacks do.
    WithAttributes,
    /// Returns several separated by commas.
    Commas,
    /// Returns a cookie only if its path is a prefix of the request's, and takes a missing one as the folder.
    StrictPath,
    /// Opens each session with the cookie of the one before.
    Stale,
}

/// What the device does with `cwmp:ID`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdEcho {
    /// Echoes it.
    #[default]
    Normal,
    /// Sends no header at all.
    None,
    /// Sends its own.
    Wrong,
}

/// When the device tries again after a failed session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryPolicy {
    /// A random wait that doubles from 5–10 s to 2560–5120 s (TR-069 3.2.1.1).
    #[default]
    Standard,
    /// The shortest wait every time.
    Eager,
    /// Not before the next periodic Inform.
    Never,
}

/// How the device writes text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charset {
    /// UTF-8.
    #[default]
    Utf8,
    /// UTF-8 with a byte order mark.
    Utf8Bom,
    /// ISO 8859-1, and says so.
    Latin1,
    /// ISO 8859-1, and says UTF-8.
    Latin1Mislabelled,
}

/// How the tests go that the device runs by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SelfTests {
    /// It runs them and says when one is over.
    #[default]
    Normal,
    /// It runs them and never sends `8 DIAGNOSTICS COMPLETE`; the state is spelt `Completed`.
    NoEvent,
    /// It resolves no name: `Error_CannotResolveHostName`.
    CannotResolve,
    /// It takes them and never ends one.
    Never,
    /// Its numbers are all 4294967295.
    Lies,
}

/// The switches. A scenario sets them by name under `quirks`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// After a change below the WAN every connection request is answered 401, until the credentials are written
    /// again or the device starts anew.
    pub cr_401_after_wan_change: bool,
    /// The clock starts in 1981 and is right once NTP is enabled with a server that answers.
    pub clock_1981_until_ntp: bool,
    /// The clock stays in 1981 whatever is set.
    pub clock_never: bool,
    /// NTP only works over the WAN that `Time.X_HW_WanName` names, and it names one that does not exist.
    pub ntp_wan_name_trap: bool,
    /// A write to an instance that does not exist is accepted and lost.
    pub phantom_writes: bool,
    /// The first connection that is made is gone when it is first written to.
    pub new_wan_vanishes: bool,
    /// A faulted SetParameterValues leaves half of the settings applied.
    pub non_atomic_set: bool,
    /// More settings than this in one call fault 9002.
    pub max_settings: Option<usize>,
    /// Instance numbers go on from the highest ever given, and some were given before we met. Off: the lowest free
    /// number is given again.
    pub instance_numbers_never_reset: bool,
    /// Secrets read back empty. On by default: every device seen does it.
    pub empty_secrets: bool,
    /// A new connection is `Unconfigured` and faults 9002 until its ConnectionType is sent alone.
    pub born_unconfigured: bool,
    /// AddObject on these tables faults 9004.
    pub add_object_refused: Vec<String>,
    /// The n-th request of the ACS in the life of the device is carried out, and the connection drops unanswered.
    pub session_dropped_mid_rpc: Option<u32>,
    /// As above, at the first request of this method, e.g. `AddObject`.
    pub session_dropped_on: Option<String>,
    /// After the n-th request the device restarts without answering.
    pub reboot_in_the_middle: Option<u32>,
    /// As above, at the first request of this method.
    pub reboot_on: Option<String>,
    /// A WAN that is there before us.
    pub existing_wan: Option<ExistingWan>,
    /// The access server refuses the PPPoE credentials.
    pub pppoe_refused: bool,
    /// PPPoE connects and gets no address.
    pub pppoe_no_address: bool,
    /// Loses power this many times while it is being set up.
    pub power_flapping: u32,
    /// Sends each Inform twice: the first session is abandoned after its answer.
    pub duplicate_inform: bool,
    /// Waits this long before each message, milliseconds.
    pub slow_ms: u64,
    /// The first n messages carry a Content-Length that is too small.
    pub wrong_content_length: u32,
    /// The connection request URL leads to a closed port.
    pub cr_unreachable: bool,
    /// The connection request URL names an address outside the management network.
    pub cr_url_off_subnet: bool,
    /// There is no connection request URL.
    pub cr_url_missing: bool,
    /// Connection requests are answered 503.
    pub cr_busy: bool,
    /// Takes another PeriodicInformInterval, reads it back, and goes on with its own.
    pub keeps_inform_interval: bool,
    /// See [`Cookies`].
    pub cookies: Cookies,
    /// See [`IdEcho`].
    pub id_echo: IdEcho,
    /// See [`RetryPolicy`].
    pub retry: RetryPolicy,
    /// NextLevel must be written `0` or `1`; `true` faults 9003.
    pub next_level_digits: bool,
    /// See [`Charset`].
    pub charset: Charset,
    /// Opens a new TCP connection for every message.
    pub connection_per_message: bool,
    /// See [`SelfTests`].
    pub self_tests: SelfTests,
}

impl Default for Quirks {
    fn default() -> Self {
        Quirks {
            cr_401_after_wan_change: false,
            clock_1981_until_ntp: false,
            clock_never: false,
            ntp_wan_name_trap: false,
            phantom_writes: false,
            new_wan_vanishes: false,
            non_atomic_set: false,
            max_settings: None,
            instance_numbers_never_reset: false,
            empty_secrets: true,
            born_unconfigured: false,
            add_object_refused: Vec::new(),
            session_dropped_mid_rpc: None,
            session_dropped_on: None,
            reboot_in_the_middle: None,
            reboot_on: None,
            existing_wan: None,
            pppoe_refused: false,
            pppoe_no_address: false,
            power_flapping: 0,
            duplicate_inform: false,
            slow_ms: 0,
            wrong_content_length: 0,
            cr_unreachable: false,
            cr_url_off_subnet: false,
            cr_url_missing: false,
            cr_busy: false,
            keeps_inform_interval: false,
            cookies: Cookies::Normal,
            id_echo: IdEcho::Normal,
            retry: RetryPolicy::Standard,
            next_level_digits: false,
            charset: Charset::Utf8,
            connection_per_message: false,
            self_tests: SelfTests::Normal,
        }
    }
}

impl Quirks {
    /// The names of the switches that differ from the default, for people.
    pub fn names(&self) -> Vec<String> {
        let (own, usual) = (serde_json::to_value(self), serde_json::to_value(Quirks::default()));
        let (Ok(serde_json::Value::Object(own)), Ok(usual)) = (own, usual) else { return Vec::new() };
        own.into_iter().filter(|(name, value)| usual[name.as_str()] != *value).map(|(name, _)| name).collect()
    }
}

/// How long things take on a device. The fleet's clock speed divides them all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CpeTiming {
    /// From power to the first Inform.
    pub boot_ms: u64,
    /// From an enabled PPPoE to its answer.
    pub pppoe_ms: u64,
    /// Between attempts after a refused PPPoE.
    pub pppoe_retry_ms: u64,
    /// From an enabled NTP to a right clock.
    pub ntp_ms: u64,
    /// From an accepted connection request to the session.
    pub connection_request_ms: u64,
    /// Shortest time between two accepted connection requests.
    pub connection_request_gap_ms: u64,
    /// The periodic Inform as it leaves the factory, seconds.
    pub inform_interval_s: u64,
    /// Shortest wait after a failed session (TR-069: 5 s).
    pub retry_ms: u64,
    /// How long an answer of the ACS is waited for.
    pub answer_timeout_ms: u64,
    /// Power flapping: how long it runs before it loses power, and how long it is off.
    pub flap_ms: u64,
}

impl Default for CpeTiming {
    fn default() -> Self {
        CpeTiming {
            boot_ms: 4_000,
            pppoe_ms: 1_500,
            pppoe_retry_ms: 30_000,
            ntp_ms: 1_500,
            connection_request_ms: 500,
            connection_request_gap_ms: 2_000,
            inform_interval_s: 300,
            retry_ms: 5_000,
            answer_timeout_ms: 30_000,
            flap_ms: 6_000,
        }
    }
}
