//! Typed database ids. A number alone says nothing; `OltId(3)` cannot be mistaken for `OnuId(3)`.

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map($name)
            }
        }

        impl From<i64> for $name {
            fn from(value: i64) -> Self {
                $name(value)
            }
        }

        impl From<$name> for i64 {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    )*};
}

ids! {
    /// An optical line terminal.
    OltId;
    /// A planned ONU (row in `onus`): what we authorised, or imported, on an OLT.
    OnuRowId;
    /// An ONU seen by an OLT and not planned (row in `detected_onus`).
    DetectedOnuId;
    /// A CPE that speaks TR-069 to us, known or in quarantine.
    CpeId;
    /// One CWMP session of a CPE.
    CpeSessionId;
    /// A firmware of a CPE model: maker, product class and software version.
    CpeFirmwareId;
    /// A firmware file that was uploaded for a CPE model.
    FirmwareFileId;
    /// A recording of a CPE.
    CpeRecordingId;
    /// A customer (TMF629 Customer).
    CustomerId;
    /// A plan on sale (TMF620 ProductOffering).
    PlanId;
    /// The service: contract line, ONU and CPE in one row (TMF638 Service).
    ServiceId;
    /// A login of a person who operates the system.
    UserId;
    /// An API key.
    ApiKeyId;
    /// A journalled OLT task (saga).
    OltTaskId;
    /// A line of a timeline.
    TimelineId;
    /// An order to one CPE (row in `device_orders`).
    DeviceOrderId;
    /// A queued job.
    JobId;
}
