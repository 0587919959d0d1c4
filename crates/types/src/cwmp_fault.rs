//! Fault codes of CWMP: the one table of what each is called, what it means and whose trouble it is.

use serde::{Deserialize, Serialize};

/// Whose trouble a fault is. The faults page groups by this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultClass {
    /// What we asked for does not fit this device: names, values, order, batch size.
    ProvisioningLogic,
    /// No session could be had (connection request refused, unreachable, no Inform, session torn).
    SessionTriggering,
    /// The device, its firmware or its surroundings failed.
    Device,
    /// The service did not come up (PPPoE refused, no address).
    Service,
    /// Ours (8xxx, unexpected answers).
    Ours,
}

impl FaultClass {
    /// Stable word for rows and API.
    pub fn as_str(self) -> &'static str {
        match self {
            FaultClass::ProvisioningLogic => "provisioning_logic",
            FaultClass::SessionTriggering => "session_triggering",
            FaultClass::Device => "device",
            FaultClass::Service => "service",
            FaultClass::Ours => "ours",
        }
    }
}

/// What is known about a fault code (TR-069 Amendment 6, Annex A.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CwmpFault {
    /// The code as sent.
    pub code: u32,
    /// Whose trouble it is.
    pub class: FaultClass,
    /// The standard's name for it.
    pub name: &'static str,
    /// What it means and what follows from it, in a few words for people.
    pub meaning: &'static str,
}

use FaultClass::{Device, Ours, ProvisioningLogic};

const fn row(code: u32, class: FaultClass, name: &'static str, meaning: &'static str) -> CwmpFault {
    CwmpFault { code, class, name, meaning }
}

/// Ordered by code: it is searched.
#[rustfmt::skip]
const TABLE: &[CwmpFault] = &[
    row(8000, Ours, "Method not supported", "the device called a method that this ACS does not offer"),
    row(8001, Ours, "Request denied", "this ACS refused the device's request"),
    row(8002, Ours, "Internal error", "this ACS failed while handling the device's request"),
    row(8003, Ours, "Invalid arguments", "this ACS could not make sense of the device's arguments"),
    row(8004, Ours, "Resources exceeded", "this ACS was too busy to handle the device's request"),
    row(8005, Ours, "Retry request", "this ACS asked the device to send the same request again"),
    row(8006, Ours, "ACS version incompatible", "the device and this ACS share no CWMP version"),
    row(9000, ProvisioningLogic, "Method not supported", "the device does not know this method"),
    row(9001, Device, "Request denied", "the device denies the request"),
    row(9002, ProvisioningLogic, "Internal error", "internal error; often too much in one call, written in smaller batches next"),
    row(9003, ProvisioningLogic, "Invalid arguments", "invalid arguments; one of the values or paths does not fit this firmware"),
    row(9004, Device, "Resources exceeded", "the device ran out of resources"),
    row(9005, ProvisioningLogic, "Invalid parameter name", "a path does not exist on this firmware; the profile expects it"),
    row(9006, ProvisioningLogic, "Invalid parameter type", "the type of a value does not fit"),
    row(9007, ProvisioningLogic, "Invalid parameter value", "a value is not accepted by this firmware"),
    row(9008, ProvisioningLogic, "Parameter not writable", "a parameter is read only on this firmware"),
    row(9009, ProvisioningLogic, "Notification request rejected", "the device refuses to notify"),
    row(9010, Device, "File transfer failure", "a download failed on the device"),
    row(9011, Device, "Upload failure", "the upload failed"),
    row(9012, ProvisioningLogic, "File server authentication failure", "the file server refused the credentials"),
    row(9013, ProvisioningLogic, "Unsupported protocol for file transfer", "the device cannot fetch files over this protocol"),
    row(9014, Device, "File transfer failure: cannot join multicast group", "the device could not join the multicast group"),
    row(9015, Device, "File transfer failure: cannot contact file server", "the device could not reach the file server"),
    row(9016, Device, "File transfer failure: cannot access file", "the file server did not hand out the file"),
    row(9017, Device, "File transfer failure: incomplete download", "the download stopped before its end"),
    row(9018, Device, "File transfer failure: file corrupted", "the file arrived damaged or is no image for this device"),
    row(9019, ProvisioningLogic, "File transfer failure: file authentication failure", "the device does not trust the file's signature"),
    row(9020, Device, "File transfer not completed within time window", "the transfer did not finish inside its time window"),
    row(9021, Device, "Cancellation of file transfer not permitted", "the transfer is too far along to be cancelled"),
    row(9022, ProvisioningLogic, "Invalid UUID format", "the software module's UUID is malformed"),
    row(9023, ProvisioningLogic, "Unknown execution environment", "the device has no such execution environment"),
    row(9024, Device, "Disabled execution environment", "the execution environment is disabled"),
    row(9025, ProvisioningLogic, "Deployment unit to execution environment mismatch", "the software module does not fit the execution environment"),
    row(9026, ProvisioningLogic, "Duplicate deployment unit", "the software module is installed already"),
    row(9027, Device, "System resources exceeded", "the device has no room for the software module"),
    row(9028, ProvisioningLogic, "Unknown deployment unit", "the software module is not installed"),
    row(9029, Device, "Invalid deployment unit state", "the software module is in a state that forbids this"),
    row(9030, ProvisioningLogic, "Invalid deployment unit update: downgrade not permitted", "the device does not go back to an older module version"),
    row(9031, ProvisioningLogic, "Invalid deployment unit update: version not specified", "the module version is missing"),
    row(9032, ProvisioningLogic, "Invalid deployment unit update: version already exists", "this module version is installed already"),
];

impl CwmpFault {
    /// What the standard says of `code`; `None` for a code that it does not define.
    pub fn standard(code: u32) -> Option<Self> {
        TABLE.binary_search_by_key(&code, |fault| fault.code).ok().map(|at| TABLE[at])
    }

    /// What is known of `code`; of one that the standard does not define, what its range says (vendors have 9800–9899,
    /// an ACS 8800–8899), so there is always a name, a class and a meaning.
    pub fn of(code: u32) -> Self {
        Self::standard(code).unwrap_or(match code {
            8800..=8899 => row(code, Ours, "ACS vendor fault", "a fault that this ACS defines"),
            8000..=8999 => row(code, Ours, "Unknown ACS fault", "an ACS fault that no standard defines"),
            9800..=9899 => {
                row(code, Device, "Vendor fault", "a fault of the vendor's own; see the text it came with")
            }
            9000..=9999 => row(
                code,
                Device,
                "Unknown fault",
                "a fault that no standard defines; see the text it came with",
            ),
            _ => row(code, Ours, "No fault code", "a failure without a fault code of CWMP"),
        })
    }

    /// True if the caller's request is to blame (`faultcode` Client), false for Server (Annex A.5, notes of the tables).
    pub fn blames_the_client(code: u32) -> bool {
        matches!(code, 8003 | 9003 | 9005..=9008)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_ordered_and_complete() {
        assert!(TABLE.is_sorted_by_key(|fault| fault.code));
        for code in (8000..=8006).chain(9000..=9032) {
            assert_eq!(CwmpFault::standard(code).map(|fault| fault.code), Some(code));
        }
    }

    #[test]
    fn what_the_standard_does_not_define_has_the_name_of_its_range() {
        let known = |code| (CwmpFault::of(code).name, CwmpFault::of(code).class);
        assert_eq!(known(9802), ("Vendor fault", Device));
        assert_eq!(known(9033), ("Unknown fault", Device));
        assert_eq!(known(8850), ("ACS vendor fault", Ours));
        assert_eq!(known(8007), ("Unknown ACS fault", Ours));
        assert_eq!(known(u32::MAX), ("No fault code", Ours));
        assert_eq!(CwmpFault::standard(9802), None);
    }
}
