//! What can be read or asked of a device beside its layers, and how well a fact is known.

use serde::{Deserialize, Serialize};

/// How well something is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Confidence {
    /// One unverified source, or an inference.
    #[serde(rename = "K")]
    Knowledge,
    /// A document of the vendor or the standard.
    #[serde(rename = "D")]
    Document,
    /// Code in production use, or two independent sources.
    #[serde(rename = "C")]
    Code,
    /// Seen in an export of a real unit, or tried on one.
    #[serde(rename = "R")]
    Real,
}

impl Confidence {
    /// The mark: `R`, `C`, `D`, `K`.
    pub fn as_str(self) -> &'static str {
        match self {
            Confidence::Real => "R",
            Confidence::Code => "C",
            Confidence::Document => "D",
            Confidence::Knowledge => "K",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Confidence::Real => "seen on a real unit",
            Confidence::Code => "from code in production use",
            Confidence::Document => "from a document",
            Confidence::Knowledge => "from one unverified source",
        }
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $title:literal;)*) => {
        /// What can be read or asked.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum CapabilityName { $($(#[$doc])* #[serde(rename = $text)] $name,)* }

        impl CapabilityName {
            /// Every one.
            pub const ALL: &[CapabilityName] = &[$(CapabilityName::$name,)*];

            /// Stable word.
            pub fn as_str(self) -> &'static str {
                match self { $(CapabilityName::$name => $text,)* }
            }

            /// For people.
            pub fn title(self) -> &'static str {
                match self { $(CapabilityName::$name => $title,)* }
            }
        }
    };
}

names! {
    /// Hosts of the LAN.
    Hosts = "hosts", "LAN hosts";
    /// Stations of the Wi-Fi.
    WifiClients = "wifi_clients", "Wi-Fi clients";
    /// Scan for other networks.
    WifiScan = "wifi_scan", "Wi-Fi neighbour scan";
    /// A network for guests.
    GuestWifi = "guest_wifi", "Guest Wi-Fi";
    /// Received optical power.
    OpticalRx = "optical_rx", "Optical power received";
    /// Sent optical power.
    OpticalTx = "optical_tx", "Optical power sent";
    /// Temperature of the transceiver.
    OpticalTemperature = "optical_temperature", "Transceiver temperature";
    /// Load of the processor.
    Cpu = "cpu", "Processor load";
    /// Free memory.
    Memory = "memory", "Memory";
    /// Ping from the device.
    Ping = "ping", "Ping";
    /// Trace route from the device.
    Traceroute = "traceroute", "Trace route";
    /// Look up of a name from the device.
    DnsLookup = "dns_lookup", "Name look-up";
    /// Download test.
    DownloadTest = "download_test", "Download test";
    /// Upload test.
    UploadTest = "upload_test", "Upload test";
    /// Login of its own web pages.
    WebLogin = "web_login", "Web login";
    /// Static routes.
    StaticRoutes = "static_routes", "Static routes";
    /// Telephony.
    Voip = "voip", "Telephony";
    /// Television.
    Iptv = "iptv", "Television";
    /// Boxes of a mesh behind it.
    Mesh = "mesh", "Mesh children";
    /// Restart.
    Reboot = "reboot", "Restart";
    /// Factory reset.
    FactoryReset = "factory_reset", "Factory reset";
    /// Firmware by Download.
    Firmware = "firmware", "Firmware download";
    /// A configuration script by Download.
    ConfigScript = "config_script", "Configuration script";
}

/// Where it is, or which request does it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capability {
    /// Paths, `?` for instance numbers; the first that exists is taken.
    #[serde(default)]
    pub paths: Vec<String>,
    /// An RPC instead of a path.
    #[serde(default)]
    pub rpc: Option<String>,
    /// Unit of an optical power.
    #[serde(default)]
    pub unit: Option<PowerUnit>,
    /// How well it is known.
    pub confidence: Confidence,
    /// Where from.
    pub source: String,
    /// What to know before using it.
    #[serde(default)]
    pub note: String,
}

/// How a family writes an optical power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PowerUnit {
    /// dBm, as a number or as text, with or without the unit behind it.
    Dbm,
    /// Tenths of a microwatt.
    TenthMicrowatt,
    /// Thousandths of a dBm (TR-181 `Optical.Interface`).
    MilliDbm,
    /// dBm if it has a sign or a point, tenths of a microwatt if not: firmware generations differ.
    BySign,
}

impl PowerUnit {
    /// Hundredths of a dBm; `None` when it is no power (no light, not a number, beyond what a transceiver can show).
    pub fn centi_dbm(self, text: &str) -> Option<i32> {
        let text = text.trim();
        let number = text.strip_suffix("dBm").unwrap_or(text).trim();
        let value: f64 = number.parse().ok()?;
        let dbm = match self {
            PowerUnit::Dbm => value,
            PowerUnit::MilliDbm => value / 1000.0,
            PowerUnit::TenthMicrowatt => of_tenth_microwatts(value)?,
            PowerUnit::BySign if number.starts_with('-') || number.contains('.') => value,
            PowerUnit::BySign => of_tenth_microwatts(value)?,
        };
        let plausible = dbm.is_finite() && (-60.0..=20.0).contains(&dbm);
        #[allow(clippy::cast_possible_truncation)] // within ±6000
        plausible.then(|| (dbm * 100.0).round() as i32)
    }
}

/// 10 000 tenths of a microwatt are a milliwatt, 0 dBm.
fn of_tenth_microwatts(value: f64) -> Option<f64> {
    (value > 0.0).then(|| 10.0 * (value / 10_000.0).log10())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_read_in_every_unit() {
        for (unit, text, want) in [
            (PowerUnit::Dbm, "-19", Some(-1900)),
            (PowerUnit::Dbm, "-23.76", Some(-2376)),
            (PowerUnit::Dbm, "-20.1 dBm", Some(-2010)),
            (PowerUnit::Dbm, "", None),
            (PowerUnit::Dbm, "-inf", None),
            (PowerUnit::TenthMicrowatt, "113", Some(-1947)),
            (PowerUnit::TenthMicrowatt, "16483", Some(217)),
            (PowerUnit::TenthMicrowatt, "30", Some(-2523)),
            (PowerUnit::TenthMicrowatt, "0", None),
            (PowerUnit::BySign, "-23.76", Some(-2376)),
            (PowerUnit::BySign, "30", Some(-2523)),
            (PowerUnit::MilliDbm, "-19500", Some(-1950)),
            (PowerUnit::MilliDbm, "-99000", None),
        ] {
            assert_eq!(unit.centi_dbm(text), want, "{unit:?} {text:?}");
        }
    }

    #[test]
    fn a_real_unit_is_the_best_proof() {
        assert!(Confidence::Real > Confidence::Code && Confidence::Code > Confidence::Document);
        assert!(Confidence::Document > Confidence::Knowledge);
    }
}
