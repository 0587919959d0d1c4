//! Which parameters of a device hold secrets, by their names: the one list for whatever reads, keeps, shows or traces them.

/// Words in the last segment of a path that say that its value is a secret.
const WORDS: [&str; 18] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "psk",
    "sharedkey",
    "wepkey",
    "wpakey",
    "privatekey",
    "prikey",
    "secret",
    "community",
    "token",
    "authkey",
    "initkey",
    "radiuskey",
    "credential",
];

/// Ends of the last segment that say that the whole configuration stands there as one text, every password in it
/// (`DeviceConfig.ConfigFile` of TR-098, and vendors' own).
const WHOLE_CONFIGURATIONS: [&str; 6] =
    ["configfile", "configurationfile", "cfgfile", "runningconfig", "startupconfig", "configbackup"];

/// True if the name of a parameter says that its value is a secret, whatever the device answers for it. Vendors write
/// one word in many ways (`X_WPAPSK`, `Client_Auth_Key`, `KeyPassphrase5G`), so what only looks like a secret
/// (`PSKAuthentication`) counts as one: a setting that is not shown does less harm than a key that is.
pub fn names_a_secret(path: &str) -> bool {
    let letters = letters_of(leaf(path));
    WORDS.iter().any(|word| letters.contains(word))
        || letters.ends_with("encryptionkey")
        || names_a_configuration(leaf(path))
        || has_a_pin(leaf(path))
}

/// True if this one name (a segment of a path) says that the whole configuration of the device stands there.
pub fn names_a_configuration(segment: &str) -> bool {
    let letters = letters_of(segment);
    WHOLE_CONFIGURATIONS.iter().any(|end| letters.ends_with(end))
}

/// The last segment that is a name: the instances of `…WEPKey.1` are what the object is.
fn leaf(path: &str) -> &str {
    let is_number = |segment: &&str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    path.rsplit('.').find(|segment| !is_number(segment)).unwrap_or_default()
}

fn letters_of(leaf: &str) -> String {
    leaf.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// `PIN`, `WPSPin`, `X_TP_WpsPinCode`, `pin_1`; not `PingInterval`, `PortMapping`, `Shipping`.
fn has_a_pin(leaf: &str) -> bool {
    words(leaf).any(|word| {
        let word = word.to_ascii_lowercase();
        word.ends_with("pin") || word.ends_with("pincode")
    })
}

/// The words of a name in camel case, with `_`, or both.
fn words(leaf: &str) -> impl Iterator<Item = &str> {
    leaf.split(|c: char| !c.is_ascii_alphabetic()).flat_map(|part| {
        let bytes = part.as_bytes();
        let mut from = 0;
        let mut found = Vec::new();
        for at in 1..bytes.len() {
            let upper = bytes[at].is_ascii_uppercase();
            let next_is_lower = bytes.get(at + 1).is_some_and(u8::is_ascii_lowercase);
            if upper && (bytes[at - 1].is_ascii_lowercase() || next_is_lower) {
                found.push(&part[from..at]);
                from = at;
            }
        }
        found.push(&part[from..]);
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_in_every_spelling() {
        for name in [
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.X_WPAPSK",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.X_CMCC_WPSKeyWord",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.WEPKey.1",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.X_TP_WEPKey4",
            "InternetGatewayDevice.X.1.PreSharedKey",
            "Device.WiFi.AccessPoint.1.Security.KeyPassphrase5G",
            "Device.WiFi.AccessPoint.1.Security.SAEPassphrase",
            "Device.WiFi.AccessPoint.1.Security.RadiusSecret",
            "Device.WiFi.AccessPoint.1.WPS.PIN",
            "Device.WiFi.AccessPoint.1.WPS.X_WPSPin",
            "Device.WiFi.AccessPoint.1.WPS.wps_pin_1",
            "Device.WiFi.AccessPoint.1.WPS.PINCode",
            "Device.X.wpspin",
            "Device.IPsec.X_SharedKey",
            "Device.X_VPN.PrivateKey",
            "Device.X_VPN.Client_Auth_Key",
            "Device.X.ConfigEncryptionKey",
            "Device.X_SNMP.ROCommunity",
            "Device.X_SNMP.CommunityName",
            "Device.X_Cloud.AccessToken",
            "Device.Users.User.1.X_AdminPwd",
            "Device.Users.User.1.X_Passcode",
            "Device.X.GponAuthCtcPwd",
            "Device.ManagementServer.ConnectionRequestPassword",
            "InternetGatewayDevice.DeviceConfig.ConfigFile",
            "InternetGatewayDevice.DeviceConfig.X_Config_File",
            "Device.X_VENDOR.RunningConfig",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn what_only_sounds_like_one_is_shown() {
        for name in [
            "",
            "1",
            "Device.ManagementServer.ParameterKey",
            "Device.DownloadDiagnostics.X_CommandKey",
            "InternetGatewayDevice.IPPingDiagnostics.IPPing",
            "InternetGatewayDevice.DeviceInfo.VendorConfigFileNumberOfEntries",
            "InternetGatewayDevice.DeviceInfo.VendorConfigFile.1.Version",
            "InternetGatewayDevice.X.Pinging",
            "InternetGatewayDevice.X.Shipping",
            "InternetGatewayDevice.X.ShapingRate",
            "InternetGatewayDevice.X.X_HW_DHCP_PING_EMULATOR",
            "InternetGatewayDevice.X.PortMappingNumberOfEntries",
            "InternetGatewayDevice.X.DspInit",
            "InternetGatewayDevice.X.ISPInfo",
            "InternetGatewayDevice.X.PONAuthInfoToneId",
            "InternetGatewayDevice.X.SRTPEncryptionKeySizes",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.WPAEncryptionModes",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.IEEE11iAuthenticationMode",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.PreSharedKey.1.AssociatedDeviceMACAddress",
            "InternetGatewayDevice.X_ALU-COM_CommunityWifi.Enable",
        ] {
            assert!(!names_a_secret(name), "{name}");
        }
    }
}
