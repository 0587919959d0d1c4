//! Tests that a CPE runs by itself: what may be asked of one, and which.

use super::live::Live;
use crate::{App, AppError};
use profiles::cpe::pattern_of;
use provisioning::Diagnosis;
use std::{net::IpAddr, ops::RangeInclusive};

/// Requests of a ping.
pub const PING_COUNT: RangeInclusive<u32> = 1..=64;
/// Bytes in each.
pub const PING_BYTES: RangeInclusive<u32> = 1..=1500;
/// Milliseconds to wait for an answer.
pub const TEST_TIMEOUT_MS: RangeInclusive<u32> = 100..=10_000;
/// Hops of a trace.
pub const TRACE_HOPS: RangeInclusive<u32> = 1..=64;
/// Tries at each of them.
pub const TRACE_TRIES: RangeInclusive<u32> = 1..=3;
/// Requests of a name look-up.
pub const LOOKUP_COUNT: RangeInclusive<u32> = 1..=10;
/// What somebody wants a CPE to test. What is not given is as usual.
#[derive(Debug, Clone)]
pub enum DiagnosisRequest {
    /// Ping.
    Ping {
        /// Name or address.
        host: String,
        /// Requests (4).
        count: Option<u32>,
        /// Milliseconds to wait for each answer (2000).
        timeout_ms: Option<u32>,
        /// Bytes in each (56).
        size: Option<u32>,
    },
    /// Trace route.
    Traceroute {
        /// Name or address.
        host: String,
        /// Hops at most (30).
        hops: Option<u32>,
        /// Tries at each (1).
        tries: Option<u32>,
        /// Milliseconds to wait for each answer (2000).
        timeout_ms: Option<u32>,
    },
    /// Look a name up.
    Lookup {
        /// Name.
        host: String,
        /// Address of a name server (those that the device uses).
        server: Option<String>,
        /// Requests (3).
        count: Option<u32>,
        /// Milliseconds to wait for each answer (2000).
        timeout_ms: Option<u32>,
    },
    /// Look for other Wi-Fi networks.
    Neighbours,
    /// Read what is connected.
    Hosts,
}

impl DiagnosisRequest {
    /// Checks it and fills in what was not given.
    ///
    /// # Errors
    /// [`AppError::Invalid`] names the field.
    pub(super) fn checked(self) -> Result<Diagnosis, AppError> {
        match self {
            DiagnosisRequest::Ping { host, count, timeout_ms, size } => Ok(Diagnosis::Ping {
                host: host_of(&host)?,
                count: within("count", count.unwrap_or(4), PING_COUNT)?,
                timeout_ms: within("timeout_ms", timeout_ms.unwrap_or(2000), TEST_TIMEOUT_MS)?,
                size: within("size", size.unwrap_or(56), PING_BYTES)?,
            }),
            DiagnosisRequest::Traceroute { host, hops, tries, timeout_ms } => Ok(Diagnosis::Traceroute {
                host: host_of(&host)?,
                hops: within("hops", hops.unwrap_or(30), TRACE_HOPS)?,
                tries: within("tries", tries.unwrap_or(1), TRACE_TRIES)?,
                timeout_ms: within("timeout_ms", timeout_ms.unwrap_or(2000), TEST_TIMEOUT_MS)?,
            }),
            DiagnosisRequest::Lookup { host, server, count, timeout_ms } => Ok(Diagnosis::Lookup {
                host: host_of(&host)?,
                server: match server.as_deref().map(str::trim).filter(|server| !server.is_empty()) {
                    None => String::new(),
                    Some(server) if server.parse::<IpAddr>().is_ok() => server.to_owned(),
                    Some(_) => return Err(AppError::invalid("server", "must be an IP address.")),
                },
                count: within("count", count.unwrap_or(3), LOOKUP_COUNT)?,
                timeout_ms: within("timeout_ms", timeout_ms.unwrap_or(2000), TEST_TIMEOUT_MS)?,
            }),
            DiagnosisRequest::Neighbours => Ok(Diagnosis::Neighbours),
            DiagnosisRequest::Hosts => Ok(Diagnosis::Hosts),
        }
    }
}

fn within(field: &'static str, number: u32, range: RangeInclusive<u32>) -> Result<u32, AppError> {
    if range.contains(&number) {
        return Ok(number);
    }
    Err(AppError::invalid(field, format!("must lie between {} and {}.", range.start(), range.end())))
}

/// A host name or an address that can be on the way to anywhere. Devices hand it to their shell as likely as not: nothing
/// but what names are made of, and no address that means the router itself or a whole network, however it is written.
fn host_of(text: &str) -> Result<String, AppError> {
    let text = text.trim();
    let refused = |why: &str| Err(AppError::invalid("host", why.to_owned()));
    if let Ok(address) = text.parse::<IpAddr>() {
        return match untestable_address(address) {
            Some(why) => refused(&format!("must be another address: {why}.")),
            None => Ok(address.to_string()),
        };
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    if text.len() > 253 || !name.split('.').all(label) {
        return refused("must be a host name such as www.example.net, or an IP address.");
    }
    let last = name.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    // 127.1, 2130706433 and 0x7f000001 are 127.0.0.1 to many a resolver; no name ends so (RFC 1123).
    let digits = last.bytes().all(|byte| byte.is_ascii_digit());
    let hex = last.strip_prefix("0x").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if digits || hex {
        return refused(
            "must be a host name, or an IP address in full: four numbers from 0 to 255 with dots between.",
        );
    }
    // As hosts files of routers name it.
    let itself =
        ["localhost.localdomain", "localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback"];
    if last == "localhost" || itself.iter().any(|itself| name.eq_ignore_ascii_case(itself)) {
        return refused("must be another host: localhost is the router itself.");
    }
    Ok(text.to_owned())
}

/// Why a test of this address says nothing of any way, as a clause.
fn untestable_address(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => {
            let first = v4.octets()[0];
            match first {
                0 => Some("it names no host"),
                127 => Some("it is the router itself (loopback)"),
                224..=239 => Some("it is a multicast address"),
                240..=255 => Some("it is a broadcast or reserved address"),
                _ => v4.is_link_local().then_some("it is link-local, and no router forwards that"),
            }
        }
        IpAddr::V6(v6) => {
            // Also of ::7f00:1 and ::ffff:127.0.0.1, which are ways to write an IPv4 address.
            match v6.segments() {
                [0, 0, 0, 0, 0, 0, 0, 0] => Some("it names no host"),
                [0, 0, 0, 0, 0, 0, 0, 1] => Some("it is the router itself (loopback)"),
                [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0, 0, 0, 0, 0xffff, 0, _, _] => {
                    Some("it is an IPv4 address in IPv6 spelling; write it as IPv4")
                }
                [0xff00..=0xffff, ..] => Some("it is a multicast address"),
                [0xfe80..=0xfeff, ..] => Some("it is link-local, and no router forwards that"),
                _ => None,
            }
        }
    }
}

impl App {
    /// What is to be known of this test on this device; an error where none can be asked of it, as far as is known.
    pub(super) fn testable(&self, live: &Live, asked: &Diagnosis) -> Result<Vec<String>, AppError> {
        let profiles = self.profiles();
        let known = live.device.profile.as_ref().and_then(|known| profiles.get(&known.id));
        let Some(profile) = known else { return Ok(Vec::new()) };
        let title = asked.title();
        let Some(name) = asked.name() else { return Ok(Vec::new()) };
        if let Some(why) = &profile.read_only {
            return Err(AppError::Conflict(format!(
                "This CPE is only read: {why}. It is asked for no {title}."
            )));
        }
        let Some((names, objects)) = profile.diagnostic(name) else {
            return Err(AppError::Conflict(format!("{} has no {title} that we know.", profile.title)));
        };
        let mut warnings = Vec::new();
        let missing = |object: &&str| {
            live.device.learned.get(&pattern_of(object)).is_some_and(|fact| fact == provisioning::MISSING)
        };
        if objects.iter().all(missing) {
            warnings.push(format!(
                "A CPE with this firmware said that it has no {title} (there is no {}). It is asked all the same.",
                objects.join(" and no ")
            ));
        }
        let leaves: Vec<String> =
            names.leaves().into_iter().filter_map(|names| names.into_iter().next()).collect();
        let of_object =
            |object: &&str| leaves.iter().find_map(|leaf| profile.unproved(&format!("{object}{leaf}")));
        if let Some(why) = objects.iter().find_map(of_object) {
            warnings.push(format!("The {title} is not proved for {}: {why}.", profile.title));
        }
        Ok(warnings)
    }
}

/// What is ordered, in a few words.
pub(super) fn summary(asked: &Diagnosis) -> String {
    match asked {
        Diagnosis::Ping { host, count, .. } => format!("ping {host}, {count} requests"),
        Diagnosis::Traceroute { host, hops, .. } => format!("trace the route to {host}, {hops} hops at most"),
        Diagnosis::Lookup { host, server, .. } if server.is_empty() => format!("look up {host}"),
        Diagnosis::Lookup { host, server, .. } => format!("look up {host} at {server}"),
        Diagnosis::Neighbours => "scan for other Wi-Fi networks".to_owned(),
        Diagnosis::Hosts => "read what is connected".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        for good in [
            "example.net",
            "a_b.example.net.",
            "10.0.0.1",
            "192.168.1.20",
            "2001:db8::1",
            " example.net ",
            "x0x1",
            "1.de",
            "7f.example",
        ] {
            assert!(host_of(good).is_ok(), "{good:?}");
        }
        let long = format!("{}.net", "x".repeat(64));
        let longer = "x.".repeat(130);
        for bad in [
            "",
            ".",
            "a..b",
            "-c",
            "a b",
            "a;reboot",
            "$(reboot)",
            "`x`",
            "a|b",
            "a\nb",
            "a\u{0}b",
            "http://a",
            "[::1]",
            "fe80::1%eth0",
            "ä.example",
            // The router itself, in every spelling.
            "127.0.0.1",
            "127.9.9.9",
            "127.1",
            "0x7f000001",
            "0X7F.1",
            "2130706433",
            "017700000001",
            "127.0.0.0x1",
            "::1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "localhost.localdomain",
            "Localhost.LocalDomain.",
            "localhost6",
            "localhost6.localdomain6",
            "ip6-localhost",
            "ip6-loopback",
            // No host, or a whole network.
            "0.0.0.0",
            "0",
            "::",
            "0.1.2.3",
            "255.255.255.255",
            "240.0.0.1",
            "224.0.0.1",
            "239.255.255.250",
            "ff02::1",
            "169.254.1.1",
            "fe80::1",
            "FE80:0::1",
            "::ffff:10.0.0.1",
            "10.0.0.256",
            "10.0.0.1.",
            "010.0.0.1",
            "example.123",
            &long,
            &longer,
        ] {
            assert!(host_of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn numbers_are_bounded() {
        let ping = |count, timeout_ms, size| {
            DiagnosisRequest::Ping { host: "a".into(), count, timeout_ms, size }.checked()
        };
        assert!(ping(None, None, None).is_ok());
        assert!(ping(Some(0), None, None).is_err() && ping(Some(65), None, None).is_err());
        assert!(ping(None, Some(99), None).is_err() && ping(None, Some(10_001), None).is_err());
        assert!(ping(None, None, Some(0)).is_err() && ping(None, None, Some(1501)).is_err());
    }
}
