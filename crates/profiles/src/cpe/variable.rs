//! Everything a setting may be set to.

macro_rules! variables {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Everything a setting may be set to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Variable { $($(#[$doc])* $name,)* }

        impl Variable {
            /// The word after `$`.
            pub fn as_str(self) -> &'static str {
                match self { $(Variable::$name => $text,)* }
            }

            /// From the word after `$`.
            pub fn parse(word: &str) -> Option<Variable> {
                match word { $($text => Some(Variable::$name),)* _ => None }
            }

            /// Every word, for error messages.
            pub const WORDS: &[&str] = &[$($text,)*];
        }
    };
}

variables! {
    /// Wanted VLAN, 0 = untagged.
    Vlan = "vlan";
    /// Wanted 802.1p priority.
    Priority = "priority";
    /// Our label for the WAN, with the VLAN and the mode in it where the family wants that.
    Name = "name";
    /// PPPoE login.
    Username = "username";
    /// PPPoE password.
    Password = "password";
    /// NAT on or off.
    Nat = "nat";
    /// IPv6 on or off.
    Ipv6 = "ipv6";
    /// MTU.
    Mtu = "mtu";
    /// Static address.
    Address = "address";
    /// Static mask.
    Mask = "mask";
    /// Static gateway.
    Gateway = "gateway";
    /// Name servers, comma-separated.
    Dns = "dns";
    /// What this instance stands on.
    Lower = "lower";
    /// What this instance belongs to.
    Owner = "owner";
    /// Credential the CPE shows us.
    AcsUsername = "acs_username";
    /// Its password.
    AcsPassword = "acs_password";
    /// Credential we show the CPE.
    CrUsername = "cr_username";
    /// Its password.
    CrPassword = "cr_password";
    /// Seconds.
    InformInterval = "inform_interval";
    /// NTP servers.
    Ntp1 = "ntp1";
    /// Second.
    Ntp2 = "ntp2";
    /// Third.
    Ntp3 = "ntp3";
    /// `+05:30`
    TimeZone = "time_zone";
    /// `IST-5:30`
    TimeZonePosix = "time_zone_posix";
    /// The lowest number from 1 to 16 that no other instance of the table has in this leaf.
    FreeIndex = "free_index";
    /// The vendor's short name of the management WAN.
    ManagementWan = "management_wan";
    /// The vendor's short name of our WAN.
    WanName = "wan_name";
    /// Bound ports in the vendor's words.
    Ports = "ports";
    /// Wi-Fi on or off.
    WifiEnabled = "wifi_enabled";
    /// Network name.
    Ssid = "ssid";
    /// Passphrase.
    Passphrase = "passphrase";
    /// Security mode in the family's words.
    Security = "security";
    /// LAN address.
    LanAddress = "lan_address";
    /// LAN mask.
    LanMask = "lan_mask";
    /// DHCP server on or off.
    LanDhcp = "lan_dhcp";
    /// First address.
    DhcpFirst = "dhcp_first";
    /// Last address.
    DhcpLast = "dhcp_last";
}

impl Variable {
    /// Its value must never be shown.
    pub fn is_secret(self) -> bool {
        matches!(
            self,
            Variable::Password | Variable::AcsPassword | Variable::CrPassword | Variable::Passphrase
        )
    }
}
