//! State names of the database as words for people, with the shape they are shown in.

use crate::view::{Number, Status, Word};

/// Provisioning state of a CPE.
pub fn cpe_state(state: &str) -> Word {
    let (s, text) = match state {
        "DISCOVERED" => (Status::Unknown, "Never in contact"),
        "INFORMED" => (Status::Warn, "Not claimed"),
        "OWNED" => (Status::Wait, "Waiting for its clock"),
        "TIME_SYNCED" => (Status::Wait, "Clock right, gates closed"),
        "READY" => (Status::Info, "Ready"),
        "PROVISIONING" => (Status::Wait, "Being set up"),
        "WAITING_INFORM" => (Status::Wait, "Waiting for contact"),
        "ACTIVE" => (Status::Ok, "Active"),
        "FAILED" => (Status::Bad, "Failed, will retry"),
        other => return Word::new(Status::Unknown, other.to_lowercase()),
    };
    Word::new(s, text)
}

/// Every provisioning state in the order a device walks through them.
pub const CPE_STATES: [&str; 9] = [
    "DISCOVERED",
    "INFORMED",
    "OWNED",
    "TIME_SYNCED",
    "READY",
    "PROVISIONING",
    "WAITING_INFORM",
    "ACTIVE",
    "FAILED",
];

/// What an ONU is doing now; the cause of the last drop names the kind of trouble when it is down.
pub fn onu_presence(presence: &str, last_down_cause: Option<&str>) -> Word {
    match presence {
        "in_service" => Word::new(Status::Ok, "In service"),
        "not_present" => down_cause(last_down_cause),
        "activating" => Word::new(Status::Wait, "Coming up"),
        "present_unclaimed" => Word::new(Status::Warn, "Lit, not planned"),
        "present_unexpected_port" => Word::new(Status::Warn, "Lit on another port"),
        "emergency_stopped" => Word::new(Status::Bad, "Stopped by the OLT"),
        _ => Word::new(Status::Unknown, "Not read"),
    }
}

/// Why an ONU is down, as OLTs name it (Huawei `display ont info`: last down cause).
fn down_cause(cause: Option<&str>) -> Word {
    let Some(cause) = cause.filter(|cause| !cause.trim().is_empty() && *cause != "-") else {
        return Word::new(Status::Unknown, "Down, cause not read");
    };
    let plain: String = cause.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    if plain.contains("dyinggasp") {
        Word::new(Status::Warn, "Power lost")
    } else if plain.starts_with("los") || plain.contains("lofi") || plain.contains("lobi") {
        Word::new(Status::Bad, "Fibre lost")
    } else if plain.contains("deactive") || plain.contains("admin") {
        Word::new(Status::Off, "Off by us")
    } else {
        Word::new(Status::Bad, format!("Down: {}", crate::view::limited(cause, 40)))
    }
}

/// State of a service.
pub fn service_state(state: &str) -> Word {
    let (s, text) = match state {
        "reserved" => (Status::Info, "Reserved"),
        "inactive" => (Status::Off, "Inactive"),
        "active" => (Status::Ok, "Active"),
        "suspended" => (Status::Off, "Suspended"),
        "terminated" => (Status::Off, "Ended"),
        other => return Word::new(Status::Unknown, other.to_owned()),
    };
    Word::new(s, text)
}

/// What an OLT was last seen doing.
pub fn olt_state(observed_state: &str) -> Word {
    match observed_state {
        "answering" => Word::new(Status::Ok, "Answers"),
        "silent" => Word::new(Status::Bad, "Does not answer"),
        _ => Word::new(Status::Unknown, "Not asked yet"),
    }
}

/// State of a task.
pub fn task_state(state: &str) -> Word {
    let (s, text) = match state {
        "pending" => (Status::Unknown, "Waits for its turn"),
        "applying" => (Status::Wait, "Sending"),
        "verifying" => (Status::Wait, "Reading back"),
        "compensating" => (Status::Warn, "Undoing"),
        "done" => (Status::Ok, "Done, read back"),
        "undone" => (Status::Off, "Undone"),
        "needs_operator" => (Status::Bad, "Needs somebody"),
        "refused" => (Status::Bad, "Refused"),
        "cancelled" => (Status::Off, "Cancelled"),
        other => return Word::new(Status::Unknown, other.to_owned()),
    };
    Word::new(s, text)
}

/// True if a task in this state still runs.
pub fn task_runs(state: &str) -> bool {
    matches!(state, "pending" | "applying" | "verifying" | "compensating")
}

/// Kind of a task as a heading.
pub fn task_kind(kind: &str) -> String {
    match kind {
        "authorise_onu" | "authorise" => "Authorise".to_owned(),
        "remove_onu" => "Remove".to_owned(),
        "move_onu" => "Move".to_owned(),
        "replace_onu" => "Replace by".to_owned(),
        "autofind" | "refresh" => "Read the OLT".to_owned(),
        other => {
            let mut text = other.replace('_', " ");
            if let Some(first) = text.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            text
        }
    }
}

/// State of a detected ONU.
pub fn detected_state(state: &str) -> Word {
    match state {
        "waiting" => Word::new(Status::Info, "Waiting"),
        "authorising" => Word::new(Status::Wait, "Being authorised"),
        "authorised" => Word::new(Status::Ok, "Authorised"),
        "gone" => Word::new(Status::Off, "Gone"),
        other => Word::new(Status::Unknown, other.to_owned()),
    }
}

/// Outcome of a connection request, as a word and what it means.
pub fn connection_request(outcome: &str) -> (Word, &'static str) {
    let code: String = outcome.to_ascii_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    match code.as_str() {
        "accepted" => {
            (Word::new(Status::Ok, "Accepted"), "The router answered; its Inform follows within seconds.")
        }
        "unauthorized" | "http401" => (
            Word::new(Status::Warn, "Refused (401)"),
            "The router does not know our password. No second call; it is written again inside the next session the router opens itself.",
        ),
        "urlmissing" => (
            Word::new(Status::Wait, "No address"),
            "The router has not told us where to call it. Its next Inform will.",
        ),
        "urlinvalid" => (
            Word::new(Status::Warn, "Address unusable"),
            "What the router gave as its address cannot be called.",
        ),
        "notinmanagementsubnet" => (
            Word::new(Status::Warn, "Not in a management subnet"),
            "The router names an address outside the management networks; we never call there.",
        ),
        "anotheraddress" => (
            Word::new(Status::Warn, "Another address"),
            "The router names another address than it speaks from. Who is there would get our password's digest, so we do not call; behind address translation, the ACS policy can allow it.",
        ),
        "unreachable" => (
            Word::new(Status::Wait, "Unreachable"),
            "Nothing listens at the router's address. We wait for its next Inform.",
        ),
        "timeout" => (
            Word::new(Status::Wait, "No answer in time"),
            "The router did not answer in time. We wait for its next Inform.",
        ),
        "noinformafteraccept" => (
            Word::new(Status::Wait, "Accepted, no Inform"),
            "The router accepted the call and did not come. We wait for its next Inform.",
        ),
        "unanswered" => (
            Word::new(Status::Wait, "No answer known"),
            "In time nobody heard of an answer. We wait for its next Inform.",
        ),
        "notsent" => (
            Word::new(Status::Info, "Not sent"),
            "The router was not called: it had come by itself, or the call's turn came too late.",
        ),
        "processended" => (
            Word::new(Status::Wait, "Server ended"),
            "Our server ended while it called. Whether the router was reached is unknown, so it is not called again.",
        ),
        _ => (
            Word::new(Status::Warn, crate::view::limited(outcome.replace('_', " "), 40)),
            "An answer that is not expected; we wait for its next Inform.",
        ),
    }
}

/// The outcome of a connection request as a fault is called, if the text is one.
pub fn known_connection_request(outcome: &str) -> Option<&'static str> {
    Some(match outcome {
        "unauthorized" => "Connection request refused (401)",
        "url_missing" => "No ConnectionRequestURL told",
        "url_invalid" => "ConnectionRequestURL unusable",
        "not_in_management_subnet" => "ConnectionRequestURL outside the management networks",
        "another_address" => "ConnectionRequestURL names another device's address",
        "unreachable" => "Connection request: no TCP connection",
        "timeout" => "Connection request: no answer in time",
        "no_inform_after_accept" => "Connection request accepted, no Inform came",
        "unanswered" => "Connection request: no answer known",
        "not_sent" => "Connection request not sent",
        "process_ended" => "Connection request: the server ended before the answer",
        "http" => "Connection request answered with an error",
        _ => return None,
    })
}

/// Name of a fault class, and which part of the legend it is.
pub fn fault_class(class: &str) -> (&'static str, &'static str) {
    match class {
        "session_triggering" => ("Session triggering", "c3"),
        "provisioning_logic" => ("Provisioning logic", "c2 hatch"),
        "device" => ("Device", "c1 dots"),
        "service" => ("Service", "c2"),
        "ours" => ("Ours", "c4"),
        _ => ("Not classified", "c4 dots"),
    }
}

/// The same in an export of another ACS: there "ours" is that ACS.
pub fn imported_class(class: &str) -> (&'static str, &'static str) {
    let (name, legend) = fault_class(class);
    (if class == "ours" { "The ACS" } else { name }, legend)
}

/// What a fault code means and what follows, in a few words.
pub fn fault_meaning(code: impl Number, class: &str) -> &'static str {
    app::faults::meaning(code.n(), class)
}

/// The headline of a reason, in words a customer's call can be answered with. The sentence with the facts follows it.
pub fn reason_title(code: &str) -> &'static str {
    match code {
        "onu_known" => "The router has not been in contact yet",
        "first_inform" => "The router called for the first time",
        "not_linked" => "Nobody has claimed this router",
        "linked" => "The router is tied to its service",
        "several_services" => "More than one service fits this router",
        "identity_conflict" => "Another router already has this identity",
        "identity_unconfirmed" => "Nobody vouches for this router yet",
        "identity_unproven" => "The router does not show its own password",
        "credentials_missing" => "Its own credentials are being made",
        "ownership_written" => "Our management settings were written",
        "ownership_not_kept" => "The router does not keep our management settings",
        "ownership_refused" => "The router refuses our management settings",
        "credentials_repaired" => "Our call's credentials were written to the router again",
        "interval_rounded" => "The router rounds its inform interval",
        "interval_accepted" => "The router keeps an inform interval of its own, which is accepted",
        "owned" | "ownership_proven" => "The router is ours",
        "clock_unknown" => "The router does not say what time it has",
        "clock_invalid" => "The router's clock is in the past",
        "clock_ntp_refused" => "The router refuses to be given a time server",
        "clock_unreachable" => "The router's clock stays wrong although a time server was set",
        "clock_valid" => "The router's clock is right",
        "clock_overridden" => "Let through without a clock by an operator",
        "clock_override_withdrawn" => "No longer let through without a clock",
        "no_intent" => "The service does not say what the router should have",
        "model_unknown" => "No profile fits this router model",
        "family_refused" => "It is not of the family that was set for it",
        "profile_read_only" => "The profile for this model may only read",
        "profile_lacks_path" => "The profile lacks a path that is needed",
        "cool_down" => "A pause between two attempts",
        "held" => "Stopped by an operator",
        "hold_cleared" => "No longer held",
        "back_off" => "Waits before it tries again",
        "back_off_over" => "The waiting time is over",
        "gates_open" => "Ready to be set up",
        "provisioning_started" | "step_done" | "resumed" => "The router is being set up",
        "session_requested" => "The router was called and is expected",
        "waiting_inform" => "Waiting for the router's next contact",
        "connection_request_unauthorized" => "The router refuses our call (401)",
        "connection_request_http" => "The router answers our call with an error",
        "connection_request_url_missing" => "The router has not told us where to call it",
        "connection_request_url_invalid" => "The router's address for our call is unusable",
        "connection_request_outside_subnet" => "The router names an address outside the management networks",
        "connection_request_another_address" => "The router names an address that is not its own",
        "connection_request_unreachable" => "The router does not answer our call",
        "connection_request_timeout" => "The router took our call and said nothing",
        "connection_request_unanswered" => "No answer to our call is known",
        "connection_request_not_sent" => "Our call to the router was not sent",
        "connection_request_process_ended" => "The server ended while it called the router",
        "no_inform_after_accept" => "The router accepted our call and did not come",
        "connection_request_accepted" => "The router accepted our call",
        "session_torn" => "The session broke off",
        "session_lost" => "The session ended with the server that held it",
        "inform_overdue" => "The router's regular contact is overdue",
        "verifying" => "Everything is written; the connection is being checked",
        "active" | "already_as_wanted" | "already_active" => "Verified on the router",
        "drift_found" => "The router no longer is as wanted",
        "intent_changed" => "What is wanted has changed",
        "factory_reset" => "The router was reset to factory settings",
        "order_done" => "What was ordered for the router is done",
        "order_accepted" => "The router accepted what was ordered, and it cannot be read back",
        "order_failed" => "What was ordered for the router failed",
        "order_not_done" => "What was ordered for the router was not done",
        "released" => "Released from its service",
        "relinked" => "Belongs to another service now",
        "onu_flapped" => "The ONU left and came back",
        "onu_offline" => "The ONU is offline",
        "retry_requested" | "call_requested" => "An operator asked for another try",
        "no_spare_wan" => "The router has no free connection and takes no new one",
        "would_touch_management" => "The change would reach the management connection too",
        "port_taken" => "A LAN port or Wi-Fi name belongs to another connection",
        "wan_chosen" => "Somebody chose the connection to use",
        "wan_choice_gone" => "The connection that was chosen is gone",
        "several_wans_match" => "Several connections on the router could be the one",
        "write_not_applied" => "The router accepted a setting and did not apply it",
        "write_rejected" => "The router refuses a setting",
        "required_leaf_missing" => "The router lacks a setting that is needed",
        "device_fault" => "The router reports a fault of its own",
        "no_free_instances" => "The router has no room for another connection",
        "pppoe_refused" => "The PPPoE login is refused",
        "not_connected" => "The internet connection does not come up",
        "no_address" => "Connected, but without a usable address",
        "not_verified" => "Written, and yet not as wanted",
        "not_undone" => "A failed attempt could not be undone on the router",
        "unexpected_reply" => "The router answered something else than was asked",
        "session_budget" => "Goes on in the next session",
        _ => "",
    }
}

/// How bad a reason usually is.
pub fn reason_status(code: &str) -> Status {
    use provisioning::{ReasonCode, Severity};
    match ReasonCode::ALL.iter().find(|known| known.as_str() == code).map(|known| known.severity()) {
        Some(Severity::Ok) => Status::Ok,
        Some(Severity::Info) => Status::Info,
        Some(Severity::Wait) => Status::Wait,
        Some(Severity::Warn) => Status::Warn,
        Some(Severity::Bad) => Status::Bad,
        None => Status::Unknown,
    }
}

/// What a CPE is doing: its state, coloured by its reason where that is worse (a clock that can never become right is
/// no ordinary wait).
pub fn cpe_now(state: &str, reason_code: &str) -> Word {
    let word = cpe_state(state);
    if state == "ACTIVE" || word.s == Status::Bad {
        return word;
    }
    match reason_status(reason_code) {
        Status::Bad => Word { s: Status::Bad, ..word },
        // Waiting is not failing: what waits by design stays violet, with its time.
        Status::Warn if state != "WAITING_INFORM" => Word { s: Status::Warn, ..word },
        Status::Warn | Status::Ok | Status::Wait | Status::Info | Status::Off | Status::Unknown => word,
    }
}

/// Name of a role.
pub fn role(role: &str) -> &'static str {
    match role {
        "admin" => "Administrator",
        "noc" => "NOC",
        "support" => "Support",
        "technician" => "Technician",
        "viewer" => "Viewer",
        _ => "Unknown role",
    }
}

/// Name of a gate into READY.
pub fn gate(gate: provisioning::Gate) -> &'static str {
    use provisioning::Gate;
    match gate {
        Gate::Clock => "Its clock is right",
        Gate::Hold => "Nobody holds it",
        Gate::Intent => "Its service wants something of it",
        Gate::BackOff => "The wait after a failure is over",
        Gate::CoolDown => "The last attempt began long enough ago",
        Gate::Identity => "It is who it says",
        Gate::Family => "Its family is known and may be written to",
    }
}

/// One thing that was asked or told in a session, in words. What follows the name of the RPC says how it went.
fn session_order(order: &str) -> String {
    let (rpc, rest) = order.split_once(' ').unwrap_or((order, ""));
    let said = match rpc {
        "GetParameterNames" => "looked what there is",
        "GetParameterValues" => "read values",
        "SetParameterValues" => "wrote settings",
        "AddObject" => "created an object",
        "TransferComplete" => return format!("the router told the end of a transfer: {rest}"),
        "device" => return format!("the router {rest}"),
        _ => return order.to_owned(),
    };
    match rest.strip_prefix("→ fault ") {
        Some(code) => format!("{said}: refused, {code}"),
        None => said.to_owned(),
    }
}

/// What a session did, from its record (a JSON list): `read values 3 times, wrote settings: refused, 9007`.
pub fn session_done(detail: &str) -> String {
    let orders: Vec<String> = serde_json::from_str(detail).unwrap_or_default();
    let mut said: Vec<(String, usize)> = Vec::new();
    for order in orders.iter().map(|order| session_order(order)) {
        match said.last_mut().filter(|(last, _)| *last == order) {
            Some((_, times)) => *times += 1,
            None => said.push((order, 1)),
        }
    }
    let times = |(order, times): (String, usize)| match times {
        1 => order,
        2 => format!("{order} twice"),
        times => format!("{order} {times} times"),
    };
    said.into_iter().map(times).collect::<Vec<_>>().join(", ")
}

/// Name of a layer.
pub fn layer(layer: &str) -> &'static str {
    match layer {
        "core" => "Core",
        "internet" => "Internet",
        "access" => "Access",
        "extras" => "Extras",
        "identity" => "Identity",
        _ => "Other",
    }
}

/// A setting's stored name as words: `wifi_5ghz_ssid` → `Wifi 5ghz ssid`.
pub fn setting(name: &str) -> String {
    let known = match name {
        "acs" | "ownership" | "management" => "Management settings",
        "clock" | "time" => "Clock",
        "connection" => "Connection",
        "pppoe_username" | "username" => "PPPoE login",
        "pppoe_password" | "password" => "Password",
        "address" | "external_ip" | "external_address" => "Address",
        "vlan" => "VLAN",
        "nat" => "NAT",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let mut text = name.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// True for a setting that only says how another one is brought about, and is of no interest by itself while it is as
/// wanted: which ports and radios a connection carries, what it rides on, the passwords between router and ACS.
pub fn is_detail(setting: &str) -> bool {
    const DETAILS: [&str; 18] = [
        "ACS password",
        "Connection request password",
        "Connection request user",
        "Connection trigger",
        "Connection type",
        "IP on",
        "IPv4",
        "IPv6",
        "NAT",
        "NAT of",
        "PPP on",
        "Periodic Inform",
        "Service",
        "Time zone",
        "VLAN on",
        "WAN name",
        "WAN used for NTP",
        "NTP",
    ];
    DETAILS.contains(&setting)
        || ["Bind ", "WAN (", "NTP server "].iter().any(|prefix| setting.starts_with(prefix))
        || setting.ends_with(" security")
}

/// Where the word of a setting comes from.
pub fn evidence_source(source: &str) -> &str {
    match source {
        "read_back" => "read back",
        "effect" => "it works",
        "missing" => "looked for",
        "olt_address" => "the OLT's word",
        "olt_presence" => "the OLT has it online",
        other => other,
    }
}

/// Why a device came, in words, from the event codes of its Inform (TR-069 Amendment 6, table 8).
pub fn inform_events(events: &str) -> String {
    let words: Vec<String> = events
        .split(", ")
        .map(|event| match event.split(' ').next().unwrap_or_default() {
            "0" => "first contact".to_owned(),
            "1" => "it started".to_owned(),
            "2" => "its regular time".to_owned(),
            "3" => "a time we set".to_owned(),
            "4" => "a value changed".to_owned(),
            "6" => "our call".to_owned(),
            "7" | "11" => "a transfer ended".to_owned(),
            "8" => "a diagnosis ended".to_owned(),
            _ => crate::view::limited(event, 60),
        })
        .collect();
    words.join(", ")
}

/// How a session ended.
pub fn session_outcome(outcome: &str) -> Word {
    match outcome {
        "clean" => Word::new(Status::Unknown, "in order"),
        "torn" => Word::new(Status::Warn, "broke off"),
        other => Word::new(Status::Warn, crate::view::limited(other.replace('_', " "), 80)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_told_as_what_was_done_in_it() {
        let detail = r#"["GetParameterNames","GetParameterValues","GetParameterValues","GetParameterValues",
            "SetParameterValues → fault 9007","device asked RequestDownload"]"#;
        assert_eq!(
            session_done(detail),
            "looked what there is, read values 3 times, wrote settings: refused, 9007, the router asked RequestDownload"
        );
        assert_eq!((session_done("[]"), session_done("rubbish")), (String::new(), String::new()));
    }

    #[test]
    fn down_causes_of_real_olts() {
        assert_eq!(onu_presence("not_present", Some("dying-gasp")).text, "Power lost");
        assert_eq!(onu_presence("not_present", Some("LOSi/LOBi")).text, "Fibre lost");
        assert_eq!(onu_presence("not_present", Some("LOS")).text, "Fibre lost");
        assert_eq!(onu_presence("not_present", None).text, "Down, cause not read");
        assert_eq!(onu_presence("unknown", None).s, Status::Unknown);
    }

    #[test]
    fn every_reason_has_a_headline() {
        for code in provisioning::ReasonCode::ALL {
            assert_ne!(reason_title(code.as_str()), "", "{code}");
            assert_ne!(reason_status(code.as_str()), Status::Unknown, "{code}");
        }
    }

    #[test]
    fn every_state_has_a_word_of_its_own() {
        for state in CPE_STATES {
            assert_ne!(cpe_state(state).text, state.to_lowercase(), "{state}");
        }
    }
}
