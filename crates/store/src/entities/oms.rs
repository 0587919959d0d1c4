//! OMS: the OLTs, what is planned on them, what they see, and the tasks that change them.

use crate::{
    cell::{Cell, Raw, near, read},
    error::StoreError,
    record::{
        ColumnSpec, TableSpec,
        stored::{Guardable, Numbered, PrimaryKeyOf, Stored},
        table,
    },
    sealing::Sealed,
    words::*,
};
use sea_orm::ActiveValue::Set;
use serde_json::Value as Document;
use types::*;

table! { versioned "olts"
    /// An optical line terminal.
    #[derive(Default)]
    olts => Olt[OltId] {
        /// Name; unique.
        name: String,
        /// Which vendor profile speaks to it: `huawei_smartax` …
        vendor_profile: String,
        /// Host name or address of its management interface.
        address: String,
        /// TCP port of the CLI.
        port: i64,
        /// SSH or Telnet.
        protocol: OltProtocol,
        /// CLI user.
        username: String,
        /// Whether old SSH algorithms may be used with it.
        legacy_algorithms: bool,
        /// SHA-256 of the SSH host key that was accepted.
        host_key_pin: Option<String>,
        /// UDP port of SNMP.
        snmp_port: i64,
        /// What we want of it.
        admin_state: AdminState,
        /// Defaults for ONUs on it: profile ids, VLANs, ACS profile …
        defaults: Document,
        /// When the row was made.
        created_at: UtcMs,
    } apart {
        /// CLI password; written by [`crate::Tx::put_secret`].
        password_sealed: Option<Sealed>,
        /// SNMP community; written by [`crate::Tx::put_secret`].
        snmp_community_sealed: Option<Sealed>,
        /// What it said about itself: family, version …
        observed: Document,
        /// Whether it answered last time.
        observed_state: OltObservedState,
        /// Why not.
        observed_reason: Option<String>,
        /// When we last asked.
        observed_at: Option<UtcMs>,
    }
}

table! { versioned "pon_ports"
    /// A PON port of an OLT.
    pon_ports => PonPort[i64] {
        /// OLT.
        olt_id: OltId,
        /// Frame, slot, port.
        pon: PonPath,
        /// What we want of it.
        admin_state: AdminState,
    } apart {
        /// What the OLT says of it.
        observed_state: String,
        /// ONUs the OLT has configured on it.
        onu_count: i64,
        /// When it said so.
        observed_at: Option<UtcMs>,
        /// What could not be read of it then, and why.
        observed_problem: Option<String>,
    }
}

table! { versioned "onus"
    /// A planned ONU: authorised by us, or imported.
    onus => Onu[OnuRowId] {
        /// OLT.
        olt_id: OltId,
        /// PON port.
        pon: PonPath,
        /// ONU ID on the port.
        onu_id: i64,
        /// Serial; unique among ONUs that are not removed.
        serial: Serial,
        /// Description as on the OLT.
        description: String,
        /// What we want of it.
        admin_state: AdminState,
        /// Whether the OLT's configuration equals ours.
        sync_state: SyncState,
        /// The service on it; kept equal to `services.onu_id` by [`crate::services::link_onu`].
        service_id: Option<ServiceId>,
        /// Line profile id on the OLT.
        line_profile_id: Option<i64>,
        /// Service profile id on the OLT.
        service_profile_id: Option<i64>,
        /// What was asked for in full: service ports, management WAN …
        desired: Document,
        /// The task that made or last changed it.
        task_id: Option<OltTaskId>,
        /// When the OLT was read back with it.
        authorised_at: Option<UtcMs>,
        /// When it was taken off the OLT.
        removed_at: Option<UtcMs>,
        /// When the row was made.
        created_at: UtcMs,
    } apart {
        /// What the OLT sees.
        presence: Presence,
        /// The OLT's own word: `online`, `offline` …
        run_state: String,
        /// Why it went down last.
        last_down_cause: Option<String>,
        /// Light received at the ONU, in hundredths of dBm.
        rx_onu_cdbm: Option<i64>,
        /// Light received at the OLT, in hundredths of dBm.
        rx_olt_cdbm: Option<i64>,
        /// Distance in metres.
        distance_m: Option<i64>,
        /// Everything else that was read.
        observed: Document,
        /// When.
        observed_at: Option<UtcMs>,
    }
}

impl Onu {
    /// True if its OLT does not have it any more: a complete list of a board in service does not name it.
    pub fn is_off_its_olt(&self) -> bool {
        self.presence == Presence::NotPresent && self.observed["missing_on_olt"] == true
    }

    /// True if it stands where the other row says, by the same authorisation: what was read of that place is about it.
    pub fn stands_as(&self, other: &Onu) -> bool {
        self.removed_at.is_none()
            && (self.olt_id, self.pon, self.onu_id) == (other.olt_id, other.pon, other.onu_id)
            && (self.serial, self.authorised_at) == (other.serial, other.authorised_at)
    }

    /// An ONU that is planned and of which nothing has been observed yet.
    pub fn planned(olt_id: OltId, pon: PonPath, onu_id: i64, serial: Serial, created_at: UtcMs) -> Self {
        Onu {
            id: OnuRowId(0),
            olt_id,
            pon,
            onu_id,
            serial,
            description: String::new(),
            admin_state: AdminState::Enabled,
            sync_state: SyncState::Unknown,
            service_id: None,
            line_profile_id: None,
            service_profile_id: None,
            desired: Document::Null,
            task_id: None,
            authorised_at: None,
            removed_at: None,
            created_at,
            presence: Presence::Unknown,
            run_state: String::new(),
            last_down_cause: None,
            rx_onu_cdbm: None,
            rx_olt_cdbm: None,
            distance_m: None,
            observed: Document::Null,
            observed_at: None,
            version: 0,
        }
    }
}

table! { versioned "detected_onus"
    /// An ONU that an OLT sees and nobody planned.
    detected_onus => DetectedOnu[DetectedOnuId] {
        /// OLT.
        olt_id: OltId,
        /// PON port it is seen on.
        pon: PonPath,
        /// Serial; unique per OLT.
        serial: Serial,
        /// Vendor, as the OLT names it.
        vendor: String,
        /// Equipment id, often the model.
        equipment_id: String,
        /// Software version.
        software_version: String,
        /// Hardware version.
        hardware_version: String,
        /// Where it stands.
        state: DetectedState,
        /// First seen.
        first_seen_at: UtcMs,
        /// Last seen.
        last_seen_at: UtcMs,
    }
}

table! { versioned "olt_tasks"
    /// A journalled change of an OLT (saga). The row is the truth about it.
    olt_tasks => OltTask[OltTaskId] {
        /// What: `authorise_onu` …
        kind: String,
        /// OLT.
        olt_id: OltId,
        /// The planned ONU, once there is one.
        onu_row_id: Option<OnuRowId>,
        /// The service it is for.
        service_id: Option<ServiceId>,
        /// ONU.
        serial: Serial,
        /// PON port.
        pon: PonPath,
        /// Where it stands.
        state: OltTaskState,
        /// The step it is at, by name; empty before the first.
        step: String,
        /// The plan for people to read; secrets masked.
        plan: Document,
        /// Why it stands where it stands.
        reason: String,
        /// Who asked.
        actor: String,
        /// Key of the request that made it.
        idempotency_key: Option<String>,
        /// When it was asked for.
        created_at: UtcMs,
        /// Last change.
        updated_at: UtcMs,
        /// When nothing was left to do. While empty, no other task on the same ONU is accepted.
        finished_at: Option<UtcMs>,
        /// How often it was tried in vain since it last got on.
        tries: i64,
        /// Not before then it is tried again.
        next_try_at: Option<UtcMs>,
        /// The lines that are left for a person to send, in full: a list of texts.
        lines_left: Document,
    } apart {
        /// The plan with everything, for carrying on and for compensation; written by [`crate::Tx::put_secret`].
        journal_sealed: Option<Sealed>,
    }
}

table! { keyed "olt_task_claims"
    /// What an open task has for itself; see [`crate::claims`].
    #[derive(Default)]
    olt_task_claims => OltTaskClaim by {
        /// What: `serial:…`, `onu:7`, `service:3`, `place:1:0/1/3:4`.
        name: String,
    } and {
        /// Which task.
        task_id: OltTaskId,
    }
}

table! { numbered "olt_task_lines"
    /// A line sent to an OLT and what came back.
    #[derive(Default)]
    olt_task_lines => OltTaskLine[i64] {
        /// Task.
        task_id: OltTaskId,
        /// Counts from 1 within the task.
        seq: i64,
        /// The line; secrets masked.
        line: String,
        /// The answer, cut to a sane length.
        reply: String,
        /// How the answer was understood: `ok`, `benign`, `error` …
        class: String,
        /// When.
        at: UtcMs,
    }
}
