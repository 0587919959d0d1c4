//! Which ONU, and so which service, a CPE is: by the PON serial number in any notation, then by its management
//! address as the OLT reports it. An Inform proves nothing by itself; this only says what it claims.

use provisioning::InformFacts;
use types::Serial;

/// Vendor leaves that hold the PON serial number, by their last segments. Standard CWMP has none: the number is
/// either DeviceId.SerialNumber itself or one of these.
const SERIAL_LEAVES: [&str; 6] = [
    "DeviceInfo.X_HW_SerialNumber",
    "DeviceInfo.X_ZTE-COM_GponSN",
    "DeviceInfo.X_CT-COM_GponSN",
    "DeviceInfo.X_FH_GponSN",
    "X_ALU-COM_ONTSerialNumber",
    "DeviceInfo.SerialNumber",
];

/// Every PON serial number this Inform could mean, the surest first. Some ODM devices inform with a serial number
/// that is no PON serial at all; then there is none.
pub(crate) fn claimed_serials(inform: &InformFacts) -> Vec<Serial> {
    let mut found: Vec<Serial> = Vec::new();
    let leaves = SERIAL_LEAVES.iter().filter_map(|leaf| inform.parameter(leaf));
    for text in std::iter::once(inform.serial_number.as_str()).chain(leaves) {
        if let Ok(serial) = text.parse::<Serial>()
            && !found.contains(&serial)
        {
            found.push(serial);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use provisioning::ParamValue;

    fn inform(serial_number: &str, leaf: Option<(&str, &str)>) -> InformFacts {
        InformFacts {
            serial_number: serial_number.into(),
            parameters: leaf
                .map(|(path, value)| ParamValue {
                    path: path.into(),
                    value: value.into(),
                    kind: Default::default(),
                })
                .into_iter()
                .collect(),
            ..InformFacts::default()
        }
    }

    #[test]
    fn huawei_says_it_twice_and_it_is_one() {
        let leaf = ("InternetGatewayDevice.DeviceInfo.X_HW_SerialNumber", "HWTC7D4733C3");
        let found = claimed_serials(&inform("485754437D4733C3", Some(leaf)));
        assert_eq!(found, ["HWTC-7D4733C3".parse().expect("serial")]);
    }

    #[test]
    fn a_serial_that_is_none_is_not_guessed() {
        assert_eq!(claimed_serials(&inform("E48D8C112233", None)), []);
        assert_eq!(claimed_serials(&inform("", None)), []);
    }
}
