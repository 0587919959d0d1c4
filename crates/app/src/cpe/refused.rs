//! Who was refused because they speak from outside the management networks. A network that is missing or mistyped cuts
//! off every CPE in it, and nothing else would say so.

use crate::{App, AppError, ports::Cidr};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use store::{refused, rows::RefusedAddress};
use types::UtcMs;

/// Addresses of each kind that are remembered until they are written down; more than that are not told apart.
const REMEMBERED: usize = 250;
/// What counts as lately.
const LATELY: Duration = Duration::from_secs(3600);

/// What was refused since it was last written down.
#[derive(Debug, Default)]
pub(crate) struct RefusedLately(Mutex<HashMap<IpAddr, Seen>>);

#[derive(Debug, Clone, Copy)]
struct Seen {
    times: i64,
    first_at: UtcMs,
    last_at: UtcMs,
}

impl RefusedLately {
    fn map(&self) -> MutexGuard<'_, HashMap<IpAddr, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, address: IpAddr, now: UtcMs) {
        let mut seen = self.map();
        if let Some(known) = seen.get_mut(&address) {
            known.times = known.times.saturating_add(1);
            known.last_at = now;
            return;
        }
        // Scanners of the internet must not take the room of CPEs.
        let public = is_public(address);
        if seen.keys().filter(|known| is_public(**known) == public).count() < REMEMBERED {
            seen.insert(address, Seen { times: 1, first_at: now, last_at: now });
        }
    }

    fn take(&self) -> Vec<RefusedAddress> {
        let taken = std::mem::take(&mut *self.map());
        let row = |(address, seen): (IpAddr, Seen)| RefusedAddress {
            address: address.to_string(),
            public: is_public(address),
            times: seen.times,
            first_at: seen.first_at,
            last_at: seen.last_at,
        };
        let mut rows: Vec<RefusedAddress> = taken.into_iter().map(row).collect();
        // Nodes that write the same rows at once take them in the same order.
        rows.sort_by(|a, b| a.address.cmp(&b.address));
        rows
    }
}

/// IPv4 networks that are not the internet (IANA special-purpose registry, RFC 6890), and how much of one an ISP gives
/// to a management network: what is proposed for an address in it.
const SPECIAL: [(Cidr, u8); 12] = [
    (Cidr::of(Ipv4Addr::new(10, 0, 0, 0), 8), 16),
    (Cidr::of(Ipv4Addr::new(100, 64, 0, 0), 10), 16),
    (Cidr::of(Ipv4Addr::new(127, 0, 0, 0), 8), 16),
    (Cidr::of(Ipv4Addr::new(169, 254, 0, 0), 16), 16),
    (Cidr::of(Ipv4Addr::new(172, 16, 0, 0), 12), 16),
    (Cidr::of(Ipv4Addr::new(192, 0, 0, 0), 24), 24),
    (Cidr::of(Ipv4Addr::new(192, 0, 2, 0), 24), 24),
    (Cidr::of(Ipv4Addr::new(192, 168, 0, 0), 16), 24),
    (Cidr::of(Ipv4Addr::new(198, 18, 0, 0), 15), 16),
    (Cidr::of(Ipv4Addr::new(198, 51, 100, 0), 24), 24),
    (Cidr::of(Ipv4Addr::new(203, 0, 113, 0), 24), 24),
    (Cidr::of(Ipv4Addr::new(240, 0, 0, 0), 4), 16),
];

/// The same of IPv6 (RFC 6890, RFC 4193): unique local addresses are given out by sites of a /48 each.
const SPECIAL_V6: [(Cidr, u8); 3] = [
    (Cidr::of_v6(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7), 48),
    (Cidr::of_v6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10), 64),
    (Cidr::of_v6(Ipv6Addr::LOCALHOST, 128), 128),
];

fn special() -> impl Iterator<Item = &'static (Cidr, u8)> {
    SPECIAL.iter().chain(&SPECIAL_V6)
}

impl Cidr {
    /// True if addresses of the internet lie inside.
    pub fn is_public(&self) -> bool {
        !special().any(|(special, _)| special.covers(self))
    }

    /// The network that an address of a private network is likely to be one of; none for the internet.
    pub fn likely_around(address: IpAddr) -> Option<Cidr> {
        // A device has one on every link: no network of anybody's.
        if matches!(address.to_canonical(), IpAddr::V6(v6) if v6.is_unicast_link_local()) {
            return None;
        }
        let (_, prefix) = special().find(|(special, _)| special.contains(address))?;
        Cidr::around(address, *prefix)
    }
}

fn is_public(address: IpAddr) -> bool {
    !special().any(|(special, _)| special.contains(address))
}

/// An address that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Where it spoke from.
    pub address: IpAddr,
    /// It is one of the internet: most of those are scanners.
    pub is_public: bool,
    /// How often, by single connections.
    pub times: i64,
    /// First.
    pub first_at: UtcMs,
    /// Last.
    pub last_at: UtcMs,
    /// A management network that it may be in; none for addresses of the internet.
    pub perhaps: Option<Cidr>,
}

/// Who was refused in the last days, and whether that needs a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusals {
    /// Some management network is set.
    pub has_networks: bool,
    /// Those that are in no management network now; those of private networks first, of each kind the newest first.
    pub addresses: Vec<Refused>,
    now: UtcMs,
}

impl Refusals {
    /// Those of the last hour that may be CPEs: of private networks; while no network is set, all.
    fn lately(&self) -> impl Iterator<Item = &Refused> {
        let counts = |refused: &&Refused| {
            self.now.since(refused.last_at) <= LATELY && (!refused.is_public || !self.has_networks)
        };
        self.addresses.iter().filter(counts)
    }

    /// How many addresses were refused in the last hour that may be CPEs.
    pub fn last_hour(&self) -> usize {
        self.lately().count()
    }

    /// The last of these.
    pub fn newest(&self) -> Option<&Refused> {
        self.lately().max_by_key(|refused| (!refused.is_public, refused.last_at))
    }

    /// What a person must hear, if anything.
    pub fn trouble(&self) -> Option<String> {
        let count = self.last_hour();
        let refused = self.newest().map(|newest| {
            let address = newest.address;
            match count {
                1 => format!("1 address was refused in the last hour, {address}"),
                _ => format!("{count} addresses were refused in the last hour, the newest {address}"),
            }
        });
        match (self.has_networks, refused) {
            (true, None) => None,
            (true, Some(refused)) => Some(format!("{refused}: in no management network.")),
            (false, Some(refused)) => Some(format!("No management network is set: {refused}.")),
            (false, None) => {
                Some("No management network is set: every CPE that speaks plain HTTP is refused.".to_owned())
            }
        }
    }
}

impl App {
    /// A connection by plain HTTP was cut off because it comes from outside the management networks.
    pub(super) fn note_refused(&self, address: IpAddr) {
        let address = address.to_canonical();
        // This machine's own health checks.
        if address != IpAddr::V4(Ipv4Addr::LOCALHOST)
            && !matches!(address, IpAddr::V6(v6) if v6.is_loopback())
        {
            self.refused_lately().note(address, self.now());
        }
    }

    /// Writes down who was refused, for the pages of whichever node serves them. A node that refuses everybody hears of
    /// new networks by nobody who gets in, so it looks for itself.
    ///
    /// # Errors
    /// When the database fails; what was counted meanwhile is lost.
    pub async fn write_refused(&self) -> Result<(), AppError> {
        let rows = self.refused_lately().take();
        if rows.is_empty() {
            return Ok(());
        }
        self.fresh_settings().await;
        self.store().write(move |tx| Box::pin(async move { refused::add(tx, &rows).await })).await?;
        Ok(())
    }

    /// Who was refused in the last days because they are in no management network.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn refusals(&self) -> Result<Refusals, AppError> {
        let now = self.now();
        let kept = i64::try_from(refused::REFUSED_KEPT.as_millis()).unwrap_or(i64::MAX);
        let rows = refused::since(self.store(), UtcMs(now.0 - kept)).await?;
        let addresses = rows
            .into_iter()
            .filter_map(|row| {
                let address: IpAddr = row.address.parse().ok()?;
                (!self.is_inside(address)).then(|| Refused {
                    address,
                    is_public: row.public,
                    times: row.times,
                    first_at: row.first_at,
                    last_at: row.last_at,
                    perhaps: Cidr::likely_around(address),
                })
            })
            .collect();
        Ok(Refusals { has_networks: !self.policy().management_networks.is_empty(), addresses, now })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_and_the_internet_are_told_apart() {
        let network = |text: &str| text.parse::<Cidr>().expect("a network");
        for private in ["10.20.0.0/16", "172.16.0.0/12", "192.168.1.0/24", "100.64.0.0/10", "127.20.0.0/16"] {
            assert!(!network(private).is_public(), "{private}");
        }
        for public in ["8.8.8.0/24", "172.0.0.0/8", "100.0.0.0/8", "0.0.0.0/0", "11.0.0.0/8"] {
            assert!(network(public).is_public(), "{public}");
        }
        let around =
            |text: &str| Cidr::likely_around(text.parse().expect("an address")).map(|n| n.to_string());
        assert_eq!(around("10.21.3.4").as_deref(), Some("10.21.0.0/16"));
        assert_eq!(around("192.168.7.9").as_deref(), Some("192.168.7.0/24"));
        assert_eq!(around("::ffff:100.70.1.1").as_deref(), Some("100.70.0.0/16"));
        assert_eq!(around("fd12:3456:789a:7::9").as_deref(), Some("fd12:3456:789a::/48"));
        assert_eq!((around("8.8.8.8"), around("2001:db8::1"), around("fe80::1")), (None, None, None));
        assert!(!network("fd00:20::/48").is_public() && network("2001:db8::/48").is_public());
        assert!(network("f000::/4").is_public() && network("::/0").is_public());
    }

    #[test]
    fn a_flood_from_the_internet_leaves_room_for_cpes_and_is_bounded() {
        let (lately, now) = (RefusedLately::default(), UtcMs(1_795_271_400_000));
        for n in 0..5_000_u32 {
            lately.note(IpAddr::V4(Ipv4Addr::from(0x0808_0000 + n)), now);
        }
        for n in 1..=3 {
            lately.note(IpAddr::from([10, 21, 3, 4]), UtcMs(now.0 + n));
        }
        let rows = lately.take();
        assert_eq!(rows.len(), REMEMBERED + 1);
        let cpe = rows.iter().find(|row| !row.public).expect("the CPE is among them");
        assert_eq!((cpe.address.as_str(), cpe.times, cpe.last_at), ("10.21.3.4", 3, UtcMs(now.0 + 3)));
        assert!(lately.take().is_empty());
    }
}
