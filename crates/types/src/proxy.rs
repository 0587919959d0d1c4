//! Proxies by address or network, as an operator names them: IPv4 and IPv6.

use std::{fmt, net::IpAddr, str::FromStr};

/// One proxy or a network of them: `10.0.0.5`, `172.18.0.0/16`, `2001:db8::5`, `fd00:10::/64`.
///
/// An IPv4 address that is written as a mapped IPv6 one (`::ffff:10.0.0.5`) is that IPv4 address, here and in
/// [`ProxyNetwork::contains`]: a listener on `[::]` sees IPv4 peers so. No IPv6 network holds IPv4 addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProxyNetwork {
    network: IpAddr,
    prefix: u8,
}

/// Bits in front of the IPv4 address of a mapped IPv6 one (RFC 4291, 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

impl ProxyNetwork {
    /// True if the address lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix) == self.network
    }
}

/// The address without the bits behind the prefix, which is at most as long as an address of its family.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & mask).into())
        }
    }
}

fn longest(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

impl fmt::Display for ProxyNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl FromStr for ProxyNetwork {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let error = || {
            format!(
                "{text:?} is no address and no network. Write one like 10.0.0.5, 172.18.0.0/16, 2001:db8::5 or \
                 fd00:10::/64; names are not looked up."
            )
        };
        let (written, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let written: IpAddr = written.parse().map_err(|_| error())?;
        let length: u8 = match length {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => {
                digits.parse().map_err(|_| error())?
            }
            Some(_) => return Err(error()),
            None => longest(written),
        };
        if length > longest(written) {
            return Err(format!(
                "{text} has a prefix of {length} bits; an address of this kind has {}.",
                longest(written)
            ));
        }
        let network = masked(written, length);
        if network != written {
            return Err(format!(
                "{text} has bits set behind the /{length}; the network is {network}/{length}."
            ));
        }
        match network.to_canonical() {
            // A mapped address has its first 96 bits set, so a shorter prefix was refused just now.
            mapped @ IpAddr::V4(_) if written.is_ipv6() => {
                Ok(ProxyNetwork { network: mapped, prefix: length.saturating_sub(MAPPED_PREFIX) })
            }
            _ => Ok(ProxyNetwork { network, prefix: length }),
        }
    }
}

impl serde::Serialize for ProxyNetwork {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ProxyNetwork {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> ProxyNetwork {
        text.parse().expect("a network")
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_address_alone_is_that_one_host_in_both_families() {
        for (text, shown) in [
            ("10.0.0.5", "10.0.0.5/32"),
            (" 2001:DB8::5 ", "2001:db8::5/128"),
            ("fd00:10::/64", "fd00:10::/64"),
            ("172.18.0.0/16", "172.18.0.0/16"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("::ffff:10.0.0.5", "10.0.0.5/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(named(text).to_string(), shown, "{text:?}");
            assert_eq!(named(shown), named(text), "what is shown is read again");
        }
    }

    #[test]
    fn a_network_holds_its_own_family_and_mapped_addresses_are_ipv4() {
        let v4 = named("10.1.0.0/16");
        assert!(v4.contains(ip("10.1.255.255")) && v4.contains(ip("::ffff:10.1.0.9")));
        assert!(
            !v4.contains(ip("10.2.0.0"))
                && !v4.contains(ip("::ffff:10.2.0.0"))
                && !v4.contains(ip("::a01:1"))
        );
        let v6 = named("2001:db8:7::/48");
        assert!(v6.contains(ip("2001:db8:7:ffff::1")) && !v6.contains(ip("2001:db8:8::1")));
        assert!(
            named("2001:db8::5").contains(ip("2001:db8::5"))
                && !named("2001:db8::5").contains(ip("2001:db8::4"))
        );
        // Prefixes that end within a byte.
        assert!(named("fd00::/9").contains(ip("fd7f::1")) && !named("fd00::/9").contains(ip("fd80::1")));
        // Everything of one family is nothing of the other.
        assert!(named("::/0").contains(ip("fe80::1")));
        assert!(!named("::/0").contains(ip("10.0.0.1")) && !named("::/0").contains(ip("::ffff:10.0.0.1")));
        assert!(
            named("0.0.0.0/0").contains(ip("10.0.0.1")) && !named("0.0.0.0/0").contains(ip("2001:db8::1"))
        );
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_it_should_be() {
        for text in [
            "proxy.example",
            "",
            "/",
            "10.0.0.5/",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "fe80::1%eth0",
            "[::1]",
            "10.0.0/8",
        ] {
            let error = text.parse::<ProxyNetwork>().expect_err(text);
            assert!(error.contains("2001:db8::5"), "{text:?}: {error}");
        }
        let error = "10.0.0.0/33".parse::<ProxyNetwork>().expect_err("too long");
        assert!(error.contains("an address of this kind has 32"), "{error}");
        let error = "2001:db8::1/64".parse::<ProxyNetwork>().expect_err("bits behind");
        assert!(error.contains("the network is 2001:db8::/64"), "{error}");
        // Half of a mapped network is none.
        assert!("::ffff:10.0.0.0/95".parse::<ProxyNetwork>().is_err());
    }
}
