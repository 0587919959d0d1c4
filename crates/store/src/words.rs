//! The closed sets of words that columns hold. One word, one spelling, in database, API and code.

use crate::cell::{Cell, TypeClass};

/// The text is none of the words of its set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not one of: {known}")]
pub struct UnknownWord {
    found: String,
    known: String,
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)+ })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
        pub enum $name { $(#[serde(rename = $text)] $(#[$vdoc])* $variant,)+ }

        impl $name {
            /// All words, in their natural order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The word as it is stored and as the API spells it.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = UnknownWord;
            fn from_str(text: &str) -> Result<Self, UnknownWord> {
                match text {
                    $($text => Ok($name::$variant),)+
                    _ => Err(UnknownWord {
                        found: text.chars().take(40).collect(),
                        known: [$($text,)+].join(", "),
                    }),
                }
            }
        }

        impl Cell for $name {
            type Raw = String;
            const CLASS: TypeClass = TypeClass::Text;
            fn into_raw(self) -> String {
                self.as_str().to_owned()
            }
            fn from_raw(raw: String) -> Result<Self, String> {
                raw.parse().map_err(|error: UnknownWord| error.to_string())
            }
        }
    )*};
}

words! {
    /// Life of a service (TMF638 v5 states that we use).
    ServiceState {
        /// Ordered; nothing has been built yet.
        #[default] Reserved = "reserved",
        /// Built, not yet in use.
        Inactive = "inactive",
        /// In use.
        Active = "active",
        /// Stopped for a while; nothing is deleted.
        Suspended = "suspended",
        /// Over.
        Terminated = "terminated",
    }

    /// What the network lets the customer do, apart from the life of the service.
    AccessState {
        /// Everything the plan has.
        #[default] Allowed = "allowed",
        /// Only the page that says why.
        WalledGarden = "walled_garden",
        /// Slower than the plan.
        Throttled = "throttled",
        /// Nothing.
        Blocked = "blocked",
    }

    /// Layer of an intent. Changing one never touches another.
    Layer {
        /// Ownership, time, identity.
        #[default] Core = "core",
        /// WAN.
        Internet = "internet",
        /// Wi-Fi and LAN.
        Access = "access",
        /// IPTV, guest Wi-Fi, VoIP.
        Extras = "extras",
    }

    /// How we log in to an OLT.
    OltProtocol {
        /// SSH.
        #[default] Ssh = "ssh",
        /// Telnet.
        Telnet = "telnet",
    }

    /// What we want of a device or port.
    AdminState {
        /// Known in advance; not to be used yet.
        Preprovisioned = "preprovisioned",
        /// To be used.
        #[default] Enabled = "enabled",
        /// To be left alone.
        Disabled = "disabled",
    }

    /// Whether an OLT answered when we last asked.
    OltObservedState {
        /// Never asked.
        #[default] Unknown = "unknown",
        /// It answered.
        Answering = "answering",
        /// It did not.
        Silent = "silent",
    }

    /// Whether the OLT's configuration of an ONU equals ours.
    SyncState {
        /// Never compared.
        #[default] Unknown = "unknown",
        /// Taken over from the OLT, unchanged.
        Imported = "imported",
        /// Equal.
        InSync = "in_sync",
        /// Different.
        Drifted = "drifted",
        /// Being changed.
        Applying = "applying",
        /// The last change did not come through.
        Failed = "failed",
    }

    /// What the OLT sees of an ONU (TR-385 onu-presence-state).
    Presence {
        /// Never asked.
        #[default] Unknown = "unknown",
        /// No light from it.
        NotPresent = "not_present",
        /// There, and nobody planned it.
        PresentUnclaimed = "present_unclaimed",
        /// There, but on another port than planned.
        PresentUnexpectedPort = "present_unexpected_port",
        /// Coming up.
        Activating = "activating",
        /// Working (O5).
        InService = "in_service",
        /// Stopped by the OLT (O7).
        EmergencyStopped = "emergency_stopped",
    }

    /// Life of a detected ONU.
    DetectedState {
        /// Waits for somebody to authorise it.
        #[default] Waiting = "waiting",
        /// Being authorised.
        Authorising = "authorising",
        /// Done: it is a planned ONU now.
        Authorised = "authorised",
        /// The OLT no longer lists it.
        Gone = "gone",
    }

    /// Life of a task on an OLT.
    OltTaskState {
        /// Waits for its turn on the OLT.
        #[default] Pending = "pending",
        /// Sending.
        Applying = "applying",
        /// Reading back.
        Verifying = "verifying",
        /// Taking back what was sent, in reverse.
        Compensating = "compensating",
        /// Done: the OLT was read back and agrees.
        Done = "done",
        /// Taken back completely.
        Undone = "undone",
        /// Neither done nor undone; a person must look.
        NeedsOperator = "needs_operator",
        /// Refused before anything was sent.
        Refused = "refused",
        /// Cancelled by a person before anything was sent.
        Cancelled = "cancelled",
    }

    /// How a line of a timeline feels.
    Severity {
        /// Good news.
        Ok = "ok",
        /// For the record.
        #[default] Info = "info",
        /// Waiting for something that is expected to come.
        Wait = "wait",
        /// Somebody may want to look.
        Warn = "warn",
        /// Somebody must look.
        Bad = "bad",
    }

    /// What a user may do. Later ones may do less.
    Role {
        /// Everything, users and settings included.
        Admin = "admin",
        /// The network: OLTs, ONUs, CPEs, services.
        Noc = "noc",
        /// Customers and their services; repairs, no network changes.
        Support = "support",
        /// In the field: authorise and look.
        Technician = "technician",
        /// Look.
        #[default] Viewer = "viewer",
    }

    /// Life of a job.
    JobState {
        /// Waits for its time and a worker.
        #[default] Queued = "queued",
        /// A worker has it until its lease ends.
        Leased = "leased",
        /// Done.
        Done = "done",
        /// Failed as often as it may; nobody will try again by itself.
        Dead = "dead",
    }
}

impl OltTaskState {
    /// True if nothing more will happen by itself and the task stands in nobody's way.
    pub fn is_finished(self) -> bool {
        match self {
            OltTaskState::Done | OltTaskState::Undone | OltTaskState::Refused | OltTaskState::Cancelled => {
                true
            }
            OltTaskState::Pending
            | OltTaskState::Applying
            | OltTaskState::Verifying
            | OltTaskState::Compensating
            | OltTaskState::NeedsOperator => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_as_itself_and_others_are_named() {
        macro_rules! check {
            ($($name:ident),*) => {$(
                for word in $name::ALL {
                    assert_eq!(word.as_str().parse::<$name>().as_ref(), Ok(word));
                    assert_eq!(serde_json::to_value(word).expect("a word"), word.as_str());
                }
                let error = "nonsense".parse::<$name>().expect_err("no word").to_string();
                assert!(error.contains("nonsense") && error.contains($name::default().as_str()), "{error}");
            )*};
        }
        check!(
            ServiceState,
            AccessState,
            Layer,
            OltProtocol,
            AdminState,
            OltObservedState,
            SyncState,
            Presence,
            DetectedState,
            OltTaskState,
            Severity,
            Role,
            JobState
        );
    }
}
