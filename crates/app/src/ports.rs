//! What the edges do for `app`, and what `app` does for them, as traits owned here. No HTTP, SSH or CWMP name appears:
//! an edge translates its protocol into these words.

pub use crate::call_seen::{CallReport, CallSeen, ChallengeSeen, TcpSeen, Unanswered};
pub use crate::call_url::{CallUrl, may_be_called};
use async_trait::async_trait;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
pub use profiles::cpe::{SoapPrefix, SoapSpelling, SoapVersion, Truth};
pub use provisioning::{
    AuthLevel, ConnectionRequestOutcome, DeviceReply, DeviceRequest, InformFacts, SessionEnd,
};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
    time::Duration,
};
use types::{CpeId, FirmwareFileId, Secret, UtcMs};

use crate::AppError;

/// A network such as `10.20.0.0/16` or `fd00:20::/48`. An IPv4 address that is written as a mapped IPv6 one
/// (`::ffff:10.20.0.1`) is that IPv4 address, and in no IPv6 network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr(IpNet);

impl Cidr {
    /// The network of this address, which has no bits behind the prefix, of 32 at most.
    pub(crate) const fn of(network: Ipv4Addr, prefix: u8) -> Cidr {
        Cidr(IpNet::V4(Ipv4Net::new_assert(network, prefix)))
    }

    /// The same of IPv6; of 128 at most.
    pub(crate) const fn of_v6(network: Ipv6Addr, prefix: u8) -> Cidr {
        Cidr(IpNet::V6(Ipv6Net::new_assert(network, prefix)))
    }

    /// The network of so many bits that an address is in; none if its family has not as many.
    pub(crate) fn around(address: IpAddr, prefix: u8) -> Option<Cidr> {
        IpNet::new(address.to_canonical(), prefix).ok().map(|network| Cidr(network.trunc()))
    }

    /// True if the address lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// Bits of an address that every member shares.
    pub fn prefix(&self) -> u8 {
        self.0.prefix_len()
    }

    /// It is one of IPv6.
    pub fn is_ipv6(&self) -> bool {
        matches!(self.0, IpNet::V6(_))
    }

    /// True if every address of the other network lies inside.
    pub fn covers(&self, other: &Cidr) -> bool {
        self.0.contains(&other.0)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Bits in front of the IPv4 address of a mapped IPv6 one (RFC 4291, 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

impl FromStr for Cidr {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || format!("{text:?} is no network; write it like 10.20.0.0/16 or fd00:20::/48.");
        let (address, prefix) = text.trim().split_once('/').ok_or_else(error)?;
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let prefix: u8 = prefix.parse().map_err(|_| error())?;
        let named = IpNet::new(address, prefix).map_err(|_| error())?;
        let network = named.trunc();
        if network != named {
            return Err(format!("{text} has bits set behind the /{prefix}; the network is {network}."));
        }
        match address.to_canonical() {
            // A mapped address has its first 96 bits set, so a shorter prefix was refused just now.
            mapped @ IpAddr::V4(_) if address.is_ipv6() => {
                Cidr::around(mapped, prefix.saturating_sub(MAPPED_PREFIX)).ok_or_else(error)
            }
            _ => Ok(Cidr(network)),
        }
    }
}

impl serde::Serialize for Cidr {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Cidr {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One secret that a user name may prove, and what it proves.
#[derive(Debug, Clone)]
pub struct CredentialCandidate {
    /// The password.
    pub secret: Secret,
    /// What the proof is worth.
    pub level: AuthLevel,
    /// The device it belongs to, when it is a device's own.
    pub cpe: Option<CpeId>,
}

/// How the peer of a session proved who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// What the proof is worth.
    pub level: AuthLevel,
    /// The user name it gave, if any.
    pub username: Option<String>,
    /// The device whose own secret it proved. None with [`AuthLevel::Own`]: it proved to be the device that it says it is,
    /// by a certificate of its own.
    pub cpe: Option<CpeId>,
}

/// The other end of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Where the request came from.
    pub address: IpAddr,
    /// Over TLS.
    pub tls: bool,
    /// Who it proved to be.
    pub identity: Identity,
}

/// The answer to an Inform.
pub enum Begin {
    /// The session may go on.
    Accepted(Box<dyn CpeSession>),
    /// This device has a secret of its own and must prove it.
    Challenge,
    /// Not spoken to, with the reason for the log.
    Refused {
        /// Why.
        reason: String,
    },
    /// Come back later.
    Busy {
        /// Seconds to wait.
        retry_after_s: u32,
    },
}

impl fmt::Debug for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Begin::Accepted(session) => write!(f, "Accepted(cpe {})", session.cpe()),
            Begin::Challenge => f.write_str("Challenge"),
            Begin::Refused { reason } => write!(f, "Refused({reason})"),
            Begin::Busy { retry_after_s } => write!(f, "Busy({retry_after_s} s)"),
        }
    }
}

/// What to do next in a session.
#[derive(Debug, Clone)]
pub enum Next {
    /// Ask the device this.
    Request(DeviceRequest),
    /// Nothing more; end the session.
    Done,
}

/// Something the device tells us by its own request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CpeNotice {
    /// A file transfer ended (TR-069 A.3.3.2).
    TransferComplete {
        /// The key of the order.
        command_key: String,
        /// 0 is success.
        fault_code: u32,
        /// The device's words.
        fault_text: String,
    },
    /// Any other request of the device, by name; answered by the edge, recorded here.
    Other {
        /// Name of the request.
        method: String,
    },
}

/// What the address of a file says; nothing of it is proved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileAddress {
    /// The file.
    pub file: FirmwareFileId,
    /// The device that it is for.
    pub cpe: CpeId,
    /// Until when.
    pub until: UtcMs,
    /// What is to prove it, hexadecimal.
    pub signature: String,
}

/// A file that may be given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedFile {
    /// Which.
    pub id: FirmwareFileId,
    /// Bytes.
    pub size: u64,
    /// Of its content, hexadecimal.
    pub sha256: String,
    /// Bytes of each of its parts but the last.
    pub part_bytes: u64,
}

/// What an address of a file is worth, before anything is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressWorth {
    /// It was not made here, or was changed.
    NotOurs,
    /// It was made here and is as it was made, and its time is over: whoever found it somewhere may be asking.
    Expired,
    /// It was made here, is as it was made, and its time is not over.
    Good,
}

/// Called by the ACS edge; implemented by [`App`](crate::App).
#[async_trait]
pub trait CpeFrontDoor: Send + Sync {
    /// The secrets that this user name may prove. Unknown names give none; the edge takes equally long either way.
    async fn credentials_for(&self, username: &str) -> Vec<CredentialCandidate>;
    /// A device informed.
    async fn begin(&self, inform: InformFacts, peer: Peer) -> Begin;
    /// Somebody was cut off who spoke plain HTTP from outside the networks it is allowed from. Must not wait.
    fn refused(&self, address: IpAddr);
    /// What this address is worth by itself. Asks nobody; what is not ours is counted.
    fn worth(&self, address: &FileAddress, from: IpAddr) -> AddressWorth;
    /// The file at this address, if whoever asks from there may have it now. Why not is not for them.
    ///
    /// # Errors
    /// When that cannot be looked up now.
    async fn file(&self, address: FileAddress, from: IpAddr) -> Result<Option<OfferedFile>, AppError>;
    /// A part of a file, from 0; `None` behind the last one.
    ///
    /// # Errors
    /// When it cannot be read now.
    async fn file_part(&self, file: FirmwareFileId, number: i64) -> Result<Option<Vec<u8>>, AppError>;
    /// Somebody asked for a file at what cannot be an address of one. Must not wait.
    fn no_file(&self, from: IpAddr);
    /// Somebody informed with a certificate that names another device than the one it says it is. It was refused.
    async fn anothers_certificate(&self, inform: InformFacts, names: &[String], from: IpAddr);
}

/// One session of one device. The edge calls one method at a time and always ends with [`CpeSession::end`]; a process
/// that dies instead loses nothing, because every step is stored before its effect leaves.
#[async_trait]
pub trait CpeSession: Send {
    /// Whose session it is.
    fn cpe(&self) -> CpeId;
    /// How the family of this device wants its messages spelled. What is not said is spelled as the device does.
    fn spelling(&self) -> SoapSpelling {
        SoapSpelling::default()
    }
    /// The device has nothing more to say and listens.
    async fn ready(&mut self) -> Next;
    /// The device answered the last request.
    async fn reply(&mut self, reply: DeviceReply) -> Next;
    /// The device told us something by itself. It is acknowledged when this is stored, not before: a device says once
    /// that a transfer ended, and only until it is acknowledged.
    ///
    /// # Errors
    /// When it cannot be stored; the device is to say it again.
    async fn notice(&mut self, notice: CpeNotice) -> Result<(), AppError>;
    /// The session is over.
    async fn end(self: Box<Self>, how: SessionEnd);
}

/// Whom to call, and how.
#[derive(Debug, Clone)]
pub struct ConnectionRequestTarget {
    /// ConnectionRequestURL as the device gave it.
    pub url: Option<String>,
    /// Our name at the device.
    pub username: String,
    /// Our secret at the device.
    pub password: Secret,
    /// The management networks; anything outside is never called.
    pub allowed: Vec<Cidr>,
    /// Where this device is known to be: only there is it called. A device may write any address into its URL, and
    /// whoever is there would be shown our digest.
    pub known_at: Vec<IpAddr>,
    /// In these networks an address that the device names counts as its own: behind address translation it is another
    /// one than it speaks from.
    pub behind_nat: Vec<Cidr>,
    /// How long a TCP connect may take.
    pub connect_timeout: Duration,
}

/// Called by `app`; implemented by the ACS edge.
#[async_trait]
pub trait ConnectionRequester: Send + Sync {
    /// Asks the device to open a session. The answer only says that it will try.
    async fn request(&self, target: ConnectionRequestTarget) -> CallReport;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_management_network_holds_its_addresses_and_no_others() {
        let network: Cidr = "10.20.0.0/16".parse().expect("a network");
        assert!(network.contains("10.20.3.9".parse().expect("ip")));
        assert!(network.contains("::ffff:10.20.3.9".parse().expect("ip")));
        assert!(!network.contains("10.21.0.1".parse().expect("ip")));
        assert!(!network.contains("::1".parse().expect("ip")));
        let covers = |inner: &str| network.covers(&inner.parse().expect("a network"));
        assert!(covers("10.20.0.0/16") && covers("10.20.3.0/24"));
        assert!(!covers("10.0.0.0/8") && !covers("10.21.0.0/24"));
        let everything: Cidr = "0.0.0.0/0".parse().expect("a network");
        assert!(everything.contains("192.0.2.1".parse().expect("ip")));
        assert!("10.20.3.0/16".parse::<Cidr>().expect_err("host bits").contains("10.20.0.0/16"));
        for bad in
            ["10.20.0.0", "10.20.0.0/33", "x/8", "", "fd00::/129", "fd00::", "fe80::1%eth0/64", "[fd00::]/48"]
        {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_network_of_ipv6_holds_its_addresses_and_none_of_ipv4() {
        let network: Cidr = "FD00:20::/48".parse().expect("a network");
        assert_eq!((network.to_string().as_str(), network.prefix()), ("fd00:20::/48", 48));
        let holds = |text: &str| network.contains(text.parse().expect("ip"));
        assert!(holds("fd00:20::1") && holds("fd00:20:0:ffff::9"));
        assert!(!holds("fd00:21::1") && !holds("10.20.0.1") && !holds("::ffff:10.20.0.1"));
        let covers = |inner: &str| network.covers(&inner.parse().expect("a network"));
        assert!(covers("fd00:20::/48") && covers("fd00:20:0:7::/64"));
        assert!(!covers("fd00::/16") && !covers("10.20.0.0/16"));
        let everything: Cidr = "::/0".parse().expect("a network");
        assert!(everything.contains("2001:db8::1".parse().expect("ip")));
        assert!(!everything.contains("10.20.3.9".parse().expect("ip")));
        assert!("fd00:20::1/48".parse::<Cidr>().expect_err("host bits").contains("fd00:20::/48"));
        let mapped: Cidr = "::ffff:10.20.0.0/112".parse().expect("a network");
        assert_eq!(mapped.to_string(), "10.20.0.0/16");
        assert!("::ffff:10.20.0.0/95".parse::<Cidr>().is_err(), "half of the mapped ones is no network");
    }
}
