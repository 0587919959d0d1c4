//! Fault codes (TR-069 Amendment 6, tables 36 and 37), what they mean and whether trying again can help.

/// Who has to do something about a fault. The faults page groups by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// What we asked for does not fit this device: names, values, order, batch size.
    ProvisioningLogic,
    /// No session could be had: connection request refused, no Inform.
    SessionTriggering,
    /// The device, its firmware or its surroundings.
    Device,
    /// This ACS.
    Ours,
}

impl FaultClass {
    /// The words for people.
    pub fn label(self) -> &'static str {
        match self {
            FaultClass::ProvisioningLogic => "provisioning logic",
            FaultClass::SessionTriggering => "session triggering",
            FaultClass::Device => "device",
            FaultClass::Ours => "ours",
        }
    }
}

/// What is known about a fault code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultInfo {
    /// The code as sent.
    pub code: u32,
    /// The standard's name for it.
    pub name: &'static str,
    /// Who has to act.
    pub class: FaultClass,
    /// True if the same request may succeed later; false: park it until its input changes.
    pub transient: bool,
    /// One sentence for the operator.
    pub sentence: &'static str,
}

use FaultClass::{Device, Ours, ProvisioningLogic};

const fn row(
    code: u32,
    name: &'static str,
    class: FaultClass,
    transient: bool,
    sentence: &'static str,
) -> FaultInfo {
    FaultInfo { code, name, class, transient, sentence }
}

/// Ordered by code; [`lookup`] searches it.
#[rustfmt::skip]
const TABLE: &[FaultInfo] = &[
    row(8000, "Method not supported", Ours, false, "The device called a method that this ACS does not offer."),
    row(8001, "Request denied", Ours, false, "This ACS refused the device's request."),
    row(8002, "Internal error", Ours, true, "This ACS failed while handling the device's request."),
    row(8003, "Invalid arguments", Ours, false, "This ACS could not make sense of the device's arguments."),
    row(8004, "Resources exceeded", Ours, true, "This ACS was too busy to handle the device's request."),
    row(8005, "Retry request", Ours, true, "This ACS asked the device to send the same request again."),
    row(8006, "ACS version incompatible", Ours, false, "The device and this ACS share no CWMP version."),
    row(9000, "Method not supported", ProvisioningLogic, false, "The device does not know this method."),
    row(9001, "Request denied", Device, false, "The device refused without giving a reason."),
    row(9002, "Internal error", ProvisioningLogic, true, "The device failed inside: often a batch too large, a missing parent object or a busy configuration service. A part of the call may have been applied."),
    row(9003, "Invalid arguments", ProvisioningLogic, false, "The device rejected the arguments; nothing should have been applied."),
    row(9004, "Resources exceeded", Device, true, "The device is out of memory or of object instances."),
    row(9005, "Invalid parameter name", ProvisioningLogic, false, "A parameter of the call does not exist on this device."),
    row(9006, "Invalid parameter type", ProvisioningLogic, false, "A value was sent with the wrong type."),
    row(9007, "Invalid parameter value", ProvisioningLogic, false, "The device does not accept a value."),
    row(9008, "Parameter not writable", ProvisioningLogic, false, "A parameter is read-only on this device."),
    row(9009, "Notification request rejected", ProvisioningLogic, false, "The device does not send the wanted notification."),
    row(9010, "File transfer failure", Device, true, "The file transfer failed."),
    row(9011, "Upload failure", Device, true, "The upload failed."),
    row(9012, "File server authentication failure", ProvisioningLogic, false, "The file server refused the credentials."),
    row(9013, "Unsupported protocol for file transfer", ProvisioningLogic, false, "The device cannot fetch files over this protocol."),
    row(9014, "File transfer failure: cannot join multicast group", Device, true, "The device could not join the multicast group."),
    row(9015, "File transfer failure: cannot contact file server", Device, true, "The device could not reach the file server."),
    row(9016, "File transfer failure: cannot access file", Device, true, "The file server did not hand out the file."),
    row(9017, "File transfer failure: incomplete download", Device, true, "The download stopped before its end."),
    row(9018, "File transfer failure: file corrupted", Device, true, "The file arrived damaged or is no image for this device."),
    row(9019, "File transfer failure: file authentication failure", ProvisioningLogic, false, "The device does not trust the file's signature."),
    row(9020, "File transfer not completed within time window", Device, true, "The transfer did not finish inside its time window."),
    row(9021, "Cancellation of file transfer not permitted", Device, false, "The transfer is too far along to be cancelled."),
    row(9022, "Invalid UUID format", ProvisioningLogic, false, "The software module's UUID is malformed."),
    row(9023, "Unknown execution environment", ProvisioningLogic, false, "The device has no such execution environment."),
    row(9024, "Disabled execution environment", Device, false, "The execution environment is disabled."),
    row(9025, "Deployment unit to execution environment mismatch", ProvisioningLogic, false, "The software module does not fit the execution environment."),
    row(9026, "Duplicate deployment unit", ProvisioningLogic, false, "The software module is installed already."),
    row(9027, "System resources exceeded", Device, true, "The device has no room for the software module."),
    row(9028, "Unknown deployment unit", ProvisioningLogic, false, "The software module is not installed."),
    row(9029, "Invalid deployment unit state", Device, true, "The software module is in a state that forbids this."),
    row(9030, "Invalid deployment unit update: downgrade not permitted", ProvisioningLogic, false, "The device does not go back to an older module version."),
    row(9031, "Invalid deployment unit update: version not specified", ProvisioningLogic, false, "The module version is missing."),
    row(9032, "Invalid deployment unit update: version already exists", ProvisioningLogic, false, "This module version is installed already."),
];

/// What is known about `code`. Codes outside the table get the row of their range (vendor codes 9800–9899 and
/// 8800–8899 included), so there is always a name, a class and a sentence.
pub fn lookup(code: u32) -> FaultInfo {
    if let Ok(index) = TABLE.binary_search_by_key(&code, |info| info.code) {
        return TABLE[index];
    }
    match code {
        0 => row(
            code,
            "No fault code",
            Device,
            true,
            "The device reported a failure without a CWMP fault code.",
        ),
        8800..=8899 => row(code, "ACS vendor fault", Ours, false, "A fault defined by this ACS."),
        8000..=8799 | 8900..=8999 => {
            row(code, "Unknown ACS fault", Ours, false, "An ACS fault that no standard defines.")
        }
        9800..=9899 => row(
            code,
            "Vendor fault",
            Device,
            true,
            "A fault defined by the device's vendor; see the text it came with.",
        ),
        _ => row(
            code,
            "Unknown fault",
            Device,
            true,
            "A fault code that no standard defines; see the text it came with.",
        ),
    }
}

/// True if the caller's request is to blame (`faultcode` Client), false for Server (TR-069 table 36 notes).
pub fn is_client_fault(code: u32) -> bool {
    matches!(code, 8003 | 9003 | 9005..=9008)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ordered_and_complete() {
        assert!(TABLE.is_sorted_by_key(|info| info.code));
        for code in (8000..=8006).chain(9000..=9032) {
            assert_eq!(lookup(code).code, code);
            assert!(!lookup(code).name.starts_with("Unknown fault"), "{code}");
        }
    }

    #[test]
    fn wrong_input_is_parked_and_trouble_is_retried() {
        for code in [9000, 9003, 9005, 9006, 9007, 9008, 9012, 9013, 9019] {
            assert!(!lookup(code).transient, "{code}");
        }
        for code in [9002, 9004, 9010, 9014, 9015, 9016, 9017, 9018] {
            assert!(lookup(code).transient, "{code}");
        }
        assert_eq!(lookup(9802).class, FaultClass::Device);
        assert_eq!(lookup(8850).class, FaultClass::Ours);
        assert_eq!(lookup(u32::MAX).name, "Unknown fault");
        assert_eq!(lookup(9002).class, FaultClass::ProvisioningLogic);
    }
}
