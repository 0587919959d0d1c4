//! Types and meanings of parameter values: what a CPE accepts, refuses, and never shows.

use serde::{Deserialize, Serialize};

/// The type of a parameter (TR-069 table 16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Text.
    String,
    /// Signed 32 bits.
    Int,
    /// Unsigned 32 bits.
    UnsignedInt,
    /// Signed 64 bits.
    Long,
    /// Unsigned 64 bits.
    UnsignedLong,
    /// `0`, `1`, `true`, `false`.
    Boolean,
    /// ISO 8601.
    DateTime,
    /// Base64 text.
    Base64,
    /// Hexadecimal text.
    HexBinary,
}

impl Kind {
    /// From a name such as `unsignedInt` or `xsd:unsignedInt`; an empty one is a string, as in dumps of names only.
    pub fn parse(name: &str) -> Option<Kind> {
        let name = name.strip_prefix("xsd:").unwrap_or(name).split('(').next().unwrap_or_default();
        Some(match name.to_ascii_lowercase().as_str() {
            "" | "string" => Kind::String,
            "int" => Kind::Int,
            "unsignedint" => Kind::UnsignedInt,
            "long" => Kind::Long,
            "unsignedlong" => Kind::UnsignedLong,
            "boolean" => Kind::Boolean,
            "datetime" => Kind::DateTime,
            "base64" | "base64binary" => Kind::Base64,
            "hexbinary" => Kind::HexBinary,
            _ => return None,
        })
    }

    /// The name of the type in XML schema.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Int => "int",
            Kind::UnsignedInt => "unsignedInt",
            Kind::Long => "long",
            Kind::UnsignedLong => "unsignedLong",
            Kind::Boolean => "boolean",
            Kind::DateTime => "dateTime",
            Kind::Base64 => "base64",
            Kind::HexBinary => "hexBinary",
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Kind::Int | Kind::UnsignedInt | Kind::Long | Kind::UnsignedLong)
    }
}

/// The value a parameter of type `own` takes when `text` of type `sent` arrives: 9006 for a wrong type, 9007 for a
/// text that is no value of the type. Text sent as a string is taken if it reads well: real CPEs do.
pub(super) fn accept(own: Kind, sent: Option<Kind>, text: &str) -> Result<String, u16> {
    let fits = match sent {
        None | Some(Kind::String) => true,
        Some(sent) => sent == own || (sent.is_number() && own.is_number()),
    };
    if !fits {
        return Err(9006);
    }
    let trimmed = text.trim();
    let reads = match own {
        Kind::String | Kind::DateTime => true,
        Kind::Int => trimmed.parse::<i32>().is_ok(),
        Kind::UnsignedInt => trimmed.parse::<u32>().is_ok(),
        Kind::Long => trimmed.parse::<i64>().is_ok(),
        Kind::UnsignedLong => trimmed.parse::<u64>().is_ok(),
        Kind::Boolean => matches!(trimmed, "0" | "1" | "true" | "false"),
        Kind::Base64 => trimmed.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=\r\n ".contains(&b)),
        Kind::HexBinary => trimmed.len().is_multiple_of(2) && trimmed.bytes().all(|b| b.is_ascii_hexdigit()),
    };
    match (reads, own) {
        (false, _) => Err(9007),
        (true, Kind::String) => Ok(text.to_owned()),
        (true, Kind::Boolean) => Ok(if is_true(trimmed) { "true" } else { "false" }.to_owned()),
        (true, _) => Ok(trimmed.to_owned()),
    }
}

/// True for `1` and `true`.
pub(super) fn is_true(text: &str) -> bool {
    matches!(text, "1" | "true" | "Enabled")
}

/// Values that a device refuses because of what they mean (9007).
pub(super) fn check_meaning(
    name: &str,
    value: &str,
    sibling: impl Fn(&str) -> Option<String>,
) -> Result<(), u16> {
    let one_of = |list: &[&str]| if list.contains(&value) { Ok(()) } else { Err(9007) };
    match name {
        "ConnectionType" => {
            match sibling("PossibleConnectionTypes") {
                Some(possible) if !possible.is_empty() => {
                    if possible.split(',').any(|one| one.trim() == value) { Ok(()) } else { Err(9007) }
                }
                _ => Ok(()),
            }
        }
        "ConnectionTrigger" => one_of(&["OnDemand", "AlwaysOn", "Manual"]),
        "AddressingType" => one_of(&["DHCP", "Static", "AutoIP", "IPCP"]),
        "BeaconType" => {
            one_of(&["None", "Basic", "WPA", "11i", "WPAand11i", "WPA3", "11iandWPA3", "WPA/WPA2", "WPA2"])
        }
        "ModeEnabled" => {
            match sibling("ModesSupported") {
                Some(possible) if !possible.is_empty() => {
                    if possible.split(',').any(|one| one.trim() == value) { Ok(()) } else { Err(9007) }
                }
                _ => Ok(()),
            }
        }
        "X_HW_VLAN" | "X_ZTE-COM_VLANID" | "VLANID" | "VLANIDMark" | "X_CT-COM_VLANIDMark" => {
            if value.parse::<i64>().is_ok_and(|vlan| (-1..=4094).contains(&vlan)) {
                Ok(())
            } else {
                Err(9007)
            }
        }
        "SSID" if value.is_empty() || value.len() > 32 => Err(9007),
        "KeyPassphrase" | "PreSharedKey" | "Passphrase" if !(8..=64).contains(&value.len()) => Err(9007),
        "X_HW_SERVICELIST" => {
            let known = ["TR069", "VOIP", "IPTV", "INTERNET", "OTHER"];
            if value.split('_').all(|one| known.contains(&one)) { Ok(()) } else { Err(9007) }
        }
        _ => Ok(()),
    }
}

/// Parameters that read back empty whatever they hold (TR-098, TR-181: "when read, returns an empty string").
pub fn is_secret(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    matches!(
        name,
        "Password"
            | "ConnectionRequestPassword"
            | "STUNPassword"
            | "KeyPassphrase"
            | "PreSharedKey"
            | "Passphrase"
            | "SAEPassphrase"
            | "AuthPassword"
            | "WEPKey"
            | "X_HW_CertPassword"
    )
}

/// The text that TR-069 A.5.1 gives a fault code.
pub(super) fn fault_text(code: u16) -> &'static str {
    match code {
        9000 => "Method not supported",
        9001 => "Request denied",
        9002 => "Internal error",
        9003 => "Invalid arguments",
        9004 => "Resources exceeded",
        9005 => "Invalid parameter name",
        9006 => "Invalid parameter type",
        9007 => "Invalid parameter value",
        9008 => "Attempt to set a non-writable parameter",
        9009 => "Notification request rejected",
        9010 => "File transfer failure",
        _ => "Vendor fault",
    }
}
