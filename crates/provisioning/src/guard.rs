//! What is never written by order, whoever wants it: what the device could be lost with, and what opens it to the world.
//!
//! The rules go by the path alone. Which connection carries CWMP changes, families hide it in different places, and an
//! operator may name any path there is: so whole parts of the tree are closed, not what is known to be dangerous today.

use crate::Device;
use profiles::cpe::CpeProfile;

/// Management settings.
const MANAGEMENT: &str = "is a management setting: with a wrong one the device is lost. Lightkeeper writes those itself and by nothing else";
/// The whole of it in one text.
const CONFIGURATION: &str = "holds the device's whole configuration in one text, its management settings, connections and passwords among \
                             it: whoever writes that may change every one of them";
/// What lets somebody in.
const DOOR: &str = "can open the device's own pages, its login or its ports to the WAN side, or shut Lightkeeper out. \
                    Lightkeeper never does that: whoever scans the network finds it";
/// Connections and what they stand on.
const NETWORK: &str = "is part of the device's connections or of what they stand on: with a wrong value it is lost. The \
                       service's own connection is set on the service's page";
/// No full path by name.
const NO_PATH: &str =
    "is no full path of a parameter, from InternetGatewayDevice or Device on, with names and numbers only";

/// Parts of the tree that say who manages the device and by what, below the root, in lower case: CWMP, and what USP and its
/// transports take its place with (TR-181 Issue 2, TR-369).
const MANAGEMENT_PARTS: &[&str] = &["managementserver.", "localagent.", "mqtt.", "stomp.", "xmpp."];
/// Parts of the tree that connections are made of, below the root, in lower case (TR-098 Amendment 2, TR-181 Issue 2).
const NETWORK_PARTS: &[&str] = &[
    "wandevice.",
    "layer3forwarding.",
    "layer2bridging.",
    "ip.",
    "ppp.",
    "ethernet.",
    "optical.",
    "dsl.",
    "fast.",
    "atm.",
    "ptm.",
    "cellular.",
    "routing.",
    "nat.",
    "bridging.",
    "interfacestack.",
    "dhcpv4.client.",
    "dhcpv6.client.",
    "ieee8021x.",
    "gre.",
    "ipsec.",
    "l2tpv3.",
    "ipv6rd.",
    "dslite.",
    "map.",
];
/// In part of a name, whatever the vendor's prefix: the ways into a device and the lists that guard them.
const DOOR_WORDS: &[&str] = &[
    "telnet",
    "ssh",
    "ftp",
    "snmp",
    "remote",
    "httpaccess",
    "wanaccess",
    "servicecontrol",
    "servicemanage",
    "firewall",
    "portmapping",
    "dmz",
    "tr69",
    "tr069",
    "tr_069",
    "tr-069",
    "cwmp",
];

/// Why a parameter is never written by order, as the end of a sentence about it; `None` if it may be.
pub fn never_ordered(path: &str) -> Option<&'static str> {
    let Some(("InternetGatewayDevice" | "Device", below)) = path.split_once('.') else {
        return Some(NO_PATH);
    };
    if !below.split('.').all(is_plain) {
        return Some(NO_PATH);
    }
    let below = below.to_ascii_lowercase();
    if MANAGEMENT_PARTS.iter().any(|part| below.starts_with(part)) {
        return Some(MANAGEMENT);
    }
    if below.starts_with("deviceconfig.") || below.split('.').any(types::names_a_configuration) {
        return Some(CONFIGURATION);
    }
    let says = |word: &str| below.split('.').any(|name| name.contains(word));
    // Access control lists; lists of MACs are none.
    let guarded = below.split('.').any(|name| name.replace("macl", "").contains("acl"));
    let wan = says("wan");
    if guarded || DOOR_WORDS.iter().any(|word| says(word)) || wan && (says("http") || says("web")) {
        return Some(DOOR);
    }
    let part =
        NETWORK_PARTS.iter().any(|part| below.starts_with(part)) && !below.starts_with("ip.diagnostics.");
    (part || wan).then_some(NETWORK)
}

/// Why nothing but reading is ordered for this device, as a clause; `profile` is that of its family, as far as known.
pub fn only_read(device: &Device, profile: Option<&CpeProfile>) -> Option<String> {
    let decided = device.profile.as_ref().and_then(|chosen| chosen.read_only.clone());
    decided.or_else(|| profile.and_then(CpeProfile::only_read))
}

/// A name or an instance number, as they stand in a tree: no alias, no wildcard, no number that is written in two ways.
fn is_plain(segment: &str) -> bool {
    let named = |first: u8| first.is_ascii_alphabetic() || first == b'_';
    match segment.as_bytes() {
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        [first, rest @ ..] if named(*first) => {
            rest.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_opens_a_device_to_the_wan_is_refused_under_every_vendors_name() {
        for path in [
            "InternetGatewayDevice.X_FH_FireWall.REMOTEACCEnable",
            "InternetGatewayDevice.X_HW_Security.AclServices.HTTPWanEnable",
            "InternetGatewayDevice.X_HW_Security.AclServices.TELNETLanEnable",
            "InternetGatewayDevice.X_HW_Security.AclServices.SSHWanEnable",
            "InternetGatewayDevice.X_HW_Security.AclServices.FTPWanEnable",
            "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.X_HW_HTTPEnable",
            "Device.X_Remote.SNMP.Enable",
            "InternetGatewayDevice.X_HW_Security.X_HW_FirewallLevel",
            "InternetGatewayDevice.Firewall.X_ZTE-COM_ServiceControl.IPV4ServiceControl.1.Enable",
            "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.X_ALU-COM_WanAccessCfg.HttpsDisabled",
            "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANPPPConnection.1.X_ALU-COM_WanAccessCfg.Tr69Disabled",
            "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.2.WANPPPConnection.1.PortMapping.1.InternalClient",
            "InternetGatewayDevice.X_HW_DMZ.Enable",
            "InternetGatewayDevice.UserInterface.RemoteAccess.Enable",
            "InternetGatewayDevice.UserInterface.X_HW_CLITelnetAccess.Access",
            "InternetGatewayDevice.X_TP_UserCfg.RemoteEnable",
            "Device.UserInterface.RemoteAccess.Enable",
            "Device.UserInterface.HTTPAccess.1.Enable",
            "Device.SSH.Server.1.Enable",
            "Device.Users.User.1.RemoteAccessCapable",
            "Device.NAT.PortMapping.1.Enable",
            "Device.X_VENDOR_CWMPService.Enable",
        ] {
            assert_eq!(never_ordered(path), Some(DOOR), "{path}");
        }
    }

    #[test]
    fn connections_and_what_they_stand_on_are_refused_on_every_port_and_in_both_trees() {
        for path in [
            "InternetGatewayDevice.WANDevice.1.WANConnectionDevice.1.WANIPConnection.1.Enable",
            "InternetGatewayDevice.WANDevice.2.WANConnectionDevice.9.WANPPPConnection.1.Username",
            "InternetGatewayDevice.WANDevice.1.WANCommonInterfaceConfig.EnabledForInternet",
            "InternetGatewayDevice.Layer3Forwarding.X_HW_WanDefaultWanName",
            "InternetGatewayDevice.Layer3Forwarding.Forwarding.3.Enable",
            "InternetGatewayDevice.DeviceInfo.X_CT-COM_WANBinding",
            "Device.IP.Interface.3.Enable",
            "Device.IP.IPv4Enable",
            "Device.PPP.Interface.1.Username",
            "Device.Ethernet.VLANTermination.2.VLANID",
            "Device.Optical.Interface.1.Enable",
            "Device.Routing.Router.1.IPv4Forwarding.1.Enable",
            "Device.DHCPv4.Client.1.Enable",
        ] {
            assert_eq!(never_ordered(path), Some(NETWORK), "{path}");
        }
        for path in
            ["InternetGatewayDevice.ManagementServer.URL", "Device.ManagementServer.PeriodicInformInterval"]
        {
            assert_eq!(never_ordered(path), Some(MANAGEMENT), "{path}");
        }
    }

    #[test]
    fn another_manager_and_the_whole_configuration_are_never_ordered() {
        for path in [
            "Device.LocalAgent.Controller.1.Enable",
            "Device.LocalAgent.ControllerTrust.Role.1.Permission.1.Param",
            "Device.MQTT.Client.1.BrokerAddress",
            "Device.STOMP.Connection.1.Host",
            "Device.XMPP.Connection.1.Enable",
            "InternetGatewayDevice.LocalAgent.Enable",
            "InternetGatewayDevice.mqtt.Client.1.Enable",
        ] {
            assert_eq!(never_ordered(path), Some(MANAGEMENT), "{path}");
        }
        for path in [
            "InternetGatewayDevice.DeviceConfig.ConfigFile",
            "InternetGatewayDevice.DeviceConfig.PersistentData",
            "InternetGatewayDevice.X_VENDOR.Config_File",
            "Device.DeviceInfo.VendorConfigFile.1.Name",
            "Device.X_VENDOR.RunningConfig",
        ] {
            assert_eq!(never_ordered(path), Some(CONFIGURATION), "{path}");
        }
    }

    #[test]
    fn a_path_that_another_reader_may_understand_differently_is_refused() {
        for path in [
            "ManagementServer.URL",
            "internetgatewaydevice.ManagementServer.URL",
            "InternetGatewayDevice",
            "InternetGatewayDevice.DeviceInfo.",
            "Device.WiFi.SSID.[home].SSID",
            "Device.WiFi.SSID.*.SSID",
            "Device.WiFi.SSID.01.SSID",
            "Device.WiFi.SSID.0.SSID",
            "Device.WiFi..SSID",
            "Device.WiFi.SSID.1.SS ID",
            "",
        ] {
            assert_eq!(never_ordered(path), Some(NO_PATH), "{path}");
        }
        assert_eq!(never_ordered("Device.managementSERVER.URL"), Some(MANAGEMENT));
        assert_eq!(never_ordered("InternetGatewayDevice.wandevice.1.Enable"), Some(NETWORK));
    }

    #[test]
    fn what_belongs_to_the_home_is_free() {
        for path in [
            "InternetGatewayDevice.DeviceInfo.ProvisioningCode",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.SSID",
            "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.X_HW_MACList",
            "InternetGatewayDevice.LANDevice.1.LANHostConfigManagement.DHCPLeaseTime",
            "InternetGatewayDevice.UserInterface.X_HW_WebUserInfo.1.Password",
            "InternetGatewayDevice.Time.NTPServer1",
            "InternetGatewayDevice.Services.VoiceService.1.VoiceProfile.1.Enable",
            "Device.WiFi.Radio.2.Channel",
            "Device.DHCPv4.Server.Pool.1.MaxAddress",
            "Device.IP.Diagnostics.IPPing.Host",
            "Device.X_TP_LED.Enable",
        ] {
            assert_eq!(never_ordered(path), None, "{path}");
        }
    }
}
