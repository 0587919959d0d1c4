//! ACS: the CPEs, what they said, what was proven on them, and their timers.

use crate::{
    cell::{Cell, Raw, RawJson, near, read},
    error::StoreError,
    record::{
        ColumnSpec, TableSpec,
        stored::{Guardable, Numbered, PrimaryKeyOf, Stored},
        table,
    },
    sealing::Sealed,
};
use sea_orm::ActiveValue::Set;
use serde_json::Value as Document;
use types::*;

table! { versioned "cpes"
    /// A CPE that speaks TR-069 to us.
    #[derive(Default)]
    cpes => Cpe[CpeId] {
        /// OUI, as CWMP says.
        oui: String,
        /// Product class, as CWMP says.
        product_class: String,
        /// Serial number, as CWMP says.
        serial_number: String,
        /// PON serial number by the word of an OLT or of an operator.
        pon_serial: Option<Serial>,
        /// PON serial number by its own word, which proves nothing.
        claimed_serial: Option<Serial>,
        /// Manufacturer.
        manufacturer: String,
        /// Model name.
        model: String,
        /// Hardware version.
        hardware_version: String,
        /// Software version.
        software_version: String,
        /// `tr098` or `tr181`; empty if unknown.
        data_model: String,
        /// The CPE profile in use.
        profile_id: Option<String>,
        /// How that profile is known to be the one: `nominated`, `learned`, `probed`, `override`; empty if there is none.
        profile_known: String,
        /// Since when.
        profile_at: Option<UtcMs>,
        /// Why the device does not bear out the family that an operator set for its firmware, as a sentence.
        family_refused: Option<String>,
        /// State of the provisioning machine, `ACTIVE` …
        state: String,
        /// Since when.
        state_since: UtcMs,
        /// Why, as a code.
        reason_code: String,
        /// Why, as a sentence.
        reason_text: String,
        /// What happens next, as a sentence.
        reason_next: Option<String>,
        /// True while nobody may give it secrets.
        quarantine: bool,
        /// The service it belongs to; kept equal to `services.cpe_id` by [`crate::services::link_cpe`].
        service_id: Option<ServiceId>,
        /// Everything the provisioning machine remembers. No secrets in plain text.
        machine: RawJson,
        /// Not to be touched before.
        next_attempt_at: Option<UtcMs>,
        /// Last Inform.
        last_inform_at: Option<UtcMs>,
        /// When the next Inform is due.
        next_inform_by: Option<UtcMs>,
        /// Its inform interval.
        inform_interval_s: Option<i64>,
        /// Where its last session came from.
        peer_address: String,
        /// Where it takes connection requests.
        connection_request_url: Option<String>,
        /// The user name it authenticates with; unique.
        auth_username: Option<String>,
        /// First contact.
        created_at: UtcMs,
    } apart {
        /// Its ownership credentials as JSON; written by [`crate::Tx::put_secret`].
        credentials_sealed: Option<Sealed>,
    }
}

table! { versioned "cpe_firmwares"
    /// A firmware of a CPE model, with the family that an operator set for it.
    #[derive(Default)]
    cpe_firmwares => CpeFirmware[CpeFirmwareId] {
        /// OUI, as CWMP says.
        oui: String,
        /// Product class, as CWMP says.
        product_class: String,
        /// Software version.
        software_version: String,
        /// Manufacturer, as the first device of it said.
        manufacturer: String,
        /// Model name, as the first device of it said.
        model: String,
        /// `tr098` or `tr181`; empty if unknown.
        data_model: String,
        /// First seen.
        first_seen_at: UtcMs,
        /// The family that an operator set; empty: probing decides.
        family: Option<String>,
        /// Why they did.
        family_reason: String,
        /// Who did.
        family_by: String,
        /// Since when.
        family_since: Option<UtcMs>,
    }
}

table! { keyed "cpe_parameters"
    /// A parameter as last read.
    #[derive(Default)]
    cpe_parameters => CpeParameter by {
        /// CPE.
        cpe_id: CpeId,
        /// Full path.
        path: String,
    } and {
        /// Value; never a secret.
        value: String,
        /// CWMP type: `string`, `boolean` …
        kind: String,
        /// Whether the CPE says it can be written, if it was asked.
        writable: Option<bool>,
        /// When it was read.
        read_at: UtcMs,
        /// Whose word it is; empty: the device's own, as we read it.
        source: String,
    }
}

table! { keyed "cpe_addresses"
    /// A MAC or IP address among the parameters, as last read; kept by [`crate::cpes::put_parameters`].
    #[derive(Default)]
    cpe_addresses => CpeAddress by {
        /// CPE.
        cpe_id: CpeId,
        /// Path of the parameter that holds it.
        path: String,
    } and {
        /// In the one notation of `crate::address`.
        address: String,
    }
}

table! { keyed "cpe_tags"
    /// A word that somebody put on a CPE, to find it by.
    #[derive(Default)]
    cpe_tags => CpeTag by {
        /// CPE.
        cpe_id: CpeId,
        /// The word.
        tag: String,
    } and {
        /// Who put it there.
        set_by: String,
        /// When.
        set_at: UtcMs,
    }
}

table! { keyed "cpe_claimants"
    /// Somebody who informs with the name of a CPE from another address than it is known at, without any proof.
    #[derive(Default)]
    cpe_claimants => CpeClaimant by {
        /// CPE.
        cpe_id: CpeId,
        /// From where.
        address: String,
    } and {
        /// The ConnectionRequestURL that it gave; empty if none.
        url: String,
        /// Why it was not believed, as a sentence.
        why: String,
        /// Heard first.
        first_at: UtcMs,
        /// Heard last.
        last_at: UtcMs,
        /// Who says that it is this CPE.
        vouched_by: Option<String>,
        /// Until when that counts, once.
        vouched_until: Option<UtcMs>,
    }
}

table! { keyed "evidence"
    /// What was wanted and what was found for one setting: the proof behind ACTIVE.
    #[derive(Default)]
    evidence => EvidenceItem by {
        /// CPE.
        cpe_id: CpeId,
        /// Layer, as the machine names it.
        layer: String,
        /// Setting.
        setting: String,
    } and {
        /// Wanted; masked if secret.
        wanted: String,
        /// Observed; masked if secret.
        observed: String,
        /// Whether that proves it.
        verified: bool,
        /// When.
        at: UtcMs,
        /// By what means: `read_back`, `status` …
        source: String,
    }
}

table! { numbered "cpe_sessions"
    /// One CWMP session.
    #[derive(Default)]
    cpe_sessions => CpeSession[CpeSessionId] {
        /// CPE.
        cpe_id: CpeId,
        /// First byte.
        began_at: UtcMs,
        /// Last byte; empty while it runs.
        ended_at: Option<UtcMs>,
        /// Event codes of its Inform.
        events: String,
        /// RPCs we sent.
        requests: i64,
        /// Faults among the answers.
        faults: i64,
        /// How it ended.
        outcome: Option<String>,
        /// Where it came from.
        peer_address: String,
        /// RPC by RPC, in short.
        detail: Document,
        /// Which process holds it; while it runs, it has a lease of its own ([`crate::leases::PRESENCE`]).
        node: String,
    }
}

table! { numbered "cpe_faults"
    /// A fault, with what is needed to group them.
    #[derive(Default)]
    cpe_faults => CpeFault[i64] {
        /// CPE.
        cpe_id: CpeId,
        /// When.
        at: UtcMs,
        /// `provisioning_logic`, `session_triggering`, `device`, `ours`.
        class: String,
        /// CWMP fault code; 0 if it has none.
        code: i64,
        /// The device's own words.
        text: String,
        /// Parameter or object.
        path: String,
        /// RPC that failed.
        rpc: String,
        /// Model at that time.
        model: String,
        /// Software at that time.
        software_version: String,
        /// Reason code of the machine.
        reason_code: String,
        /// `path` with instance numbers as `?`: what faults are grouped by.
        parameter: String,
        /// When somebody took note of it: since then it stands no more.
        dismissed_at: Option<UtcMs>,
    }
}

table! { versioned "device_orders"
    /// What somebody ordered for a CPE and what came of it.
    #[derive(Default)]
    device_orders => DeviceOrder[DeviceOrderId] {
        /// Its name on the wire: CommandKey or ParameterKey; unique.
        key: String,
        /// CPE.
        cpe_id: CpeId,
        /// The service that the CPE belonged to when it was given.
        service_id: Option<ServiceId>,
        /// `refresh`, `set`, `reboot`, `factory_reset`, or the name of a test (`ping`, `traceroute`).
        kind: String,
        /// What, in a few words.
        summary: String,
        /// What, in full, with dots for secrets.
        shown: Document,
        /// `waiting`, `sent`, `done`, `accepted`, `failed`, `expired`, `cancelled`.
        state: String,
        /// Where it stands, in words.
        text: String,
        /// What whoever ordered it was warned of; empty if of nothing.
        warning: String,
        /// CWMP fault code that ended it; 0 if none did.
        fault_code: i64,
        /// Its FaultString.
        fault_text: String,
        /// Parameter by parameter, what came of a write.
        results: Document,
        /// Values that a refresh read.
        values_read: i64,
        /// What came of a test; null for every other order.
        findings: Document,
        /// Who ordered it.
        actor: String,
        /// When.
        created_at: UtcMs,
        /// Nothing of it is begun after that.
        expires_at: UtcMs,
        /// The device was told.
        sent_at: Option<UtcMs>,
        /// Nothing more happens to it.
        ended_at: Option<UtcMs>,
        /// It was not carried out, and somebody has taken note of that.
        dismissed_at: Option<UtcMs>,
    } apart {
        /// Its content as JSON, while it is open; written by [`crate::Tx::put_secret`].
        body_sealed: Option<Sealed>,
    }
}

table! { versioned "cpe_recordings"
    /// A recording of what a CPE went through.
    #[derive(Default)]
    cpe_recordings => CpeRecording[CpeRecordingId] {
        /// CPE.
        cpe_id: CpeId,
        /// Began.
        started_at: UtcMs,
        /// Who switched it on.
        started_by: String,
        /// It ends then, whatever happens.
        until_at: UtcMs,
        /// Sessions that it is still for.
        sessions_left: i64,
        /// Ended.
        ended_at: Option<UtcMs>,
        /// Why: `sessions`, `time`, `full`, `stopped`; empty while it runs.
        end_reason: String,
        /// Lines that it holds.
        lines: i64,
        /// Bytes that it holds.
        bytes: i64,
    }
}

table! { keyed "cpe_recording_lines"
    /// A line of a recording.
    #[derive(Default)]
    cpe_recording_lines => CpeRecordingLine by {
        /// Recording.
        recording_id: CpeRecordingId,
        /// From 1.
        line: i64,
    } and {
        /// JSON, without secrets.
        body: String,
    }
}

table! { versioned "firmware_files"
    /// A firmware file, for the CPEs that it names.
    #[derive(Default)]
    firmware_files => FirmwareFile[FirmwareFileId] {
        /// File name, safe in an address.
        name: String,
        /// Only for CPEs whose maker calls itself so; empty: whatever it calls itself.
        manufacturer: String,
        /// Only for CPEs with this OUI; empty: with any.
        oui: String,
        /// Only for CPEs with this product class.
        product_class: String,
        /// Only for CPEs with this hardware version; empty: with any.
        hardware_version: String,
        /// The version that a CPE tells of itself after it was installed.
        software_version: String,
        /// Bytes; of an upload, those that came so far.
        size: i64,
        /// SHA-256 of the content, hexadecimal; empty until it is whole.
        sha256: String,
        /// For colleagues.
        note: String,
        /// Who uploaded it.
        uploaded_by: String,
        /// When that began.
        uploaded_at: UtcMs,
        /// `uploading`, `ready` or `removing`.
        state: String,
        /// Which process it is uploaded through; while it runs, it has a lease of its own ([`crate::leases::PRESENCE`]).
        process: String,
    }
}

table! { keyed "firmware_parts"
    /// A part of the content of a firmware file.
    #[derive(Default)]
    firmware_parts => FirmwarePart by {
        /// File.
        file_id: FirmwareFileId,
        /// From 0.
        number: i64,
    } and {
        /// [`crate::firmware_files::PART`] bytes; the last one fewer.
        body: Vec<u8>,
    }
}

table! { numbered "connection_requests"
    /// A connection request and what came of it.
    #[derive(Default)]
    connection_requests => ConnectionRequest[i64] {
        /// CPE.
        cpe_id: CpeId,
        /// When.
        at: UtcMs,
        /// `accepted`, `unauthorized`, `timeout` …
        outcome: String,
        /// In words.
        detail: String,
        /// What was seen on its way; null: nothing was sent, or it was not kept.
        seen: Document,
    }
}

table! { keyed "cpe_timers"
    /// A running timer of a CPE's machine.
    #[derive(Default)]
    cpe_timers => CpeTimer by {
        /// CPE.
        cpe_id: CpeId,
        /// Which.
        timer: String,
    } and {
        /// When it fires.
        at: UtcMs,
    }
}

table! { keyed "learned"
    /// What one unit taught about its firmware by trying.
    #[derive(Default)]
    learned => LearnedFact by {
        /// OUI.
        oui: String,
        /// Product class.
        product_class: String,
        /// Software version.
        software_version: String,
        /// Path or subject.
        path: String,
        /// The unit that taught it.
        cpe_id: CpeId,
    } and {
        /// What is known now.
        fact: String,
        /// Since when.
        at: UtcMs,
    }
}
