//! Addresses among the parameters of CPEs, and one notation for them, so that a search is a look into an index.
//!
//! Which parameters hold one is read from the last segment of the path, as the data models and the vendors name them
//! (TR-098, TR-181: `MACAddress`, `BSSID`, `ExternalIPAddress`, `IPAddress`); the value decides.

use std::net::IpAddr;
use types::Mac;

/// IP addresses under these words belong to somebody else: a BRAS, a server.
const OTHERS: [&str; 4] = ["remote", "server", "gateway", "dns"];

/// True if a parameter with this path may hold an address that identifies its CPE or what is behind it.
pub(crate) fn may_hold(path: &str) -> bool {
    let leaf = leaf(path);
    ["mac", "bssid", "addr"].iter().any(|word| leaf.contains(word))
}

/// The address in this parameter, in the one notation. Nothing where every CPE would have the same.
pub(crate) fn held(path: &str, value: &str) -> Option<String> {
    if !may_hold(path) {
        return None;
    }
    if let Ok(mac) = value.parse::<Mac>() {
        return (mac != Mac([0; 6]) && mac != Mac([0xFF; 6])).then(|| mac.to_string());
    }
    let leaf = leaf(path);
    let ours = ["ipaddress", "ipv4address", "ipv6address"].iter().any(|end| leaf.ends_with(end))
        && !OTHERS.iter().any(|word| leaf.contains(word));
    let address = value.split('/').next()?.trim().parse::<IpAddr>().ok()?.to_canonical();
    (ours && identifies(address)).then(|| address.to_string())
}

/// What somebody typed, in the one notation, if it is a whole address.
pub(crate) fn typed(text: &str) -> Option<String> {
    let text = text.trim();
    if let Ok(mac) = text.parse::<Mac>() {
        return Some(mac.to_string());
    }
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical().to_string())
}

fn leaf(path: &str) -> String {
    path.rsplit('.').next().unwrap_or_default().to_ascii_lowercase()
}

/// False for addresses that are nobody's, and for those of the LAN in every home.
fn identifies(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            !(v4.is_unspecified()
                || v4.is_loopback()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_link_local()
                || (first, second) == (192, 168))
        }
        IpAddr::V6(v6) => {
            !(v6.is_unspecified() || v6.is_loopback() || v6.is_multicast() || v6.is_unicast_link_local())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_where_devices_keep_them() {
        let wan = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1";
        for (path, value, want) in [
            (
                "InternetGatewayDevice.LANDevice.1.LANEthernetInterfaceConfig.1.MACAddress",
                "00259EAABBCC",
                "00:25:9E:AA:BB:CC",
            ),
            ("Device.WiFi.SSID.1.BSSID", "00-25-9e-aa-bb-cc", "00:25:9E:AA:BB:CC"),
            ("InternetGatewayDevice.DeviceInfo.X_HW_MacAddr", "0025-9eaa-bbcc", "00:25:9E:AA:BB:CC"),
            (&format!("{wan}.ExternalIPAddress"), "100.64.3.9", "100.64.3.9"),
            ("Device.IP.Interface.1.IPv6Address.1.IPAddress", "2001:DB8:0::1/64", "2001:db8::1"),
        ] {
            assert_eq!(held(path, value).as_deref(), Some(want), "{path}");
        }
    }

    #[test]
    fn what_identifies_nobody_is_left_out() {
        let wan = "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1";
        for (path, value) in [
            ("InternetGatewayDevice.DeviceInfo.SerialNumber".to_owned(), "00259EAABBCC"),
            (format!("{wan}.MACAddress"), "00:00:00:00:00:00"),
            (format!("{wan}.ExternalIPAddress"), "0.0.0.0"),
            (format!("{wan}.ExternalIPAddress"), ""),
            (format!("{wan}.RemoteIPAddress"), "100.64.0.1"),
            (format!("{wan}.DNSServers"), "9.9.9.9"),
            ("InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.IPInterface.1.IPInterfaceIPAddress".to_owned(), "192.168.1.1"),
            ("InternetGatewayDevice.LANDevice.1.MACAddressControlEnabled".to_owned(), "0"),
            ("InternetGatewayDevice.LANDevice.1.Hosts.Host.1.AddressSource".to_owned(), "DHCP"),
        ] {
            assert_eq!(held(&path, value), None, "{path} = {value}");
        }
    }

    #[test]
    fn what_people_type_means_the_same() {
        for text in ["00:25:9e:aa:bb:cc", "00-25-9E-AA-BB-CC", "0025.9eaa.bbcc", " 00259EAABBCC "] {
            assert_eq!(typed(text).as_deref(), Some("00:25:9E:AA:BB:CC"), "{text}");
        }
        assert_eq!(typed("::ffff:100.64.3.9").as_deref(), Some("100.64.3.9"));
        assert_eq!(typed("[2001:db8:0:0::1]").as_deref(), Some("2001:db8::1"));
        for text in ["100.64.3", "amina", "", "100.64.3.9:7547", "2026-11-21-1430"] {
            assert_eq!(typed(text), None, "{text}");
        }
    }
}
