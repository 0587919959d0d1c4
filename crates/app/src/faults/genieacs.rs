//! A faults file that GenieACS exported, diagnosed like faults of our own: is it the provisioning logic, or can the
//! devices not be called?
//!
//! **Invariant: nothing is stored and nobody is touched.** The file is read, and a diagnosis comes out.
//!
//! Its page of faults exports the columns Device, Channel, Code, Message, Detail, Retries and Timestamp; the NBI names
//! them `device`, `channel`, `code` and so on, and `_id` is `device:channel`. A code is `cwmp.9005`, the name of a limit
//! (`too_many_commits`), of an end (`session_terminated`), or of a script's error (`script.TypeError`).

use super::{
    Diagnosis, Whose, diagnose_for, meaning,
    table::{BadLines, Row, Rows, text_of},
};
use profiles::cpe::pattern_of;
use serde::Serialize;
use std::{
    collections::{BTreeMap, HashSet, hash_map::DefaultHasher},
    fmt::Write as _,
    hash::{Hash as _, Hasher as _},
};
use types::{CwmpFault, FaultClass, UtcMs};

/// The largest file that is read.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Groups that are kept apart; what comes after joins the group of its class without a name.
const MOST_GROUPS: usize = 2_000;
/// Groups that are told.
const GROUPS_TOLD: usize = 200;
/// The longest text of somebody else that is repeated.
const LONGEST_TEXT: usize = 160;

/// Why a file is none that can be diagnosed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Too large.
    #[error(
        "The file has {bytes} bytes; at most {MAX_BYTES} are read. Export fewer faults, by a filter, and try again."
    )]
    TooLarge {
        /// How large it is.
        bytes: usize,
    },
    /// Nothing in it.
    #[error("The file is empty; there is nothing to diagnose.")]
    Empty,
    /// The heading does not say where codes or messages are.
    #[error(
        "The first line names neither a column Code nor a column Message, so this is not a list of faults. It has: {found}."
    )]
    NoColumns {
        /// What it has.
        found: String,
    },
}

/// Faults that have class, reason, parameter and model in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImportedGroup {
    /// Stable word of the class.
    pub class: String,
    /// The reason in words.
    pub reason: String,
    /// Path with instance numbers as `?`, where the fault names one.
    pub parameter: String,
    /// Manufacturer and model, as the name of the device says them.
    pub model: String,
    /// How many faults.
    pub faults: u64,
    /// Of how many devices.
    pub devices: u64,
    /// Share of all, whole per cent.
    pub percent: u64,
    /// The first one, if the file says when.
    pub first_at: Option<UtcMs>,
    /// The latest one, if the file says when.
    pub last_at: Option<UtcMs>,
    /// What it means, in a few words.
    pub meaning: String,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Import {
    /// Faults that were read.
    pub faults: u64,
    /// Devices they are of.
    pub devices: u64,
    /// Retries of them all together.
    pub retries: u64,
    /// The first fault, if the file says when.
    pub first_at: Option<UtcMs>,
    /// The latest fault, if the file says when.
    pub last_at: Option<UtcMs>,
    /// What they mean.
    pub diagnosis: Diagnosis,
    /// Largest first.
    pub groups: Vec<ImportedGroup>,
    /// Groups in all; more than are told, maybe.
    pub groups_total: u64,
    /// Lines that could not be used.
    pub bad: BadLines,
}

/// Where the columns are.
#[derive(Debug, Default)]
struct Columns {
    device: Option<usize>,
    id: Option<usize>,
    code: Option<usize>,
    message: Option<usize>,
    detail: Option<usize>,
    retries: Option<usize>,
    timestamp: Option<usize>,
    count: usize,
}

impl Columns {
    fn of(heading: &Row) -> Result<Columns, Unreadable> {
        let mut columns = Columns { count: heading.fields.len(), ..Columns::default() };
        for (at, name) in heading.fields.iter().enumerate() {
            let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            let place = match plain.to_ascii_lowercase().as_str() {
                "device" | "deviceid" | "serial" | "serialnumber" | "cpe" => &mut columns.device,
                "id" | "faultid" => &mut columns.id,
                "code" | "faultcode" | "errorcode" | "error" => &mut columns.code,
                "message" | "faultstring" | "faultmessage" | "text" | "description" => &mut columns.message,
                "detail" | "details" => &mut columns.detail,
                "retries" | "retry" | "retrycount" | "attempts" => &mut columns.retries,
                "timestamp" | "time" | "date" | "datetime" => &mut columns.timestamp,
                _ => continue,
            };
            place.get_or_insert(at);
        }
        if columns.code.is_none() && columns.message.is_none() {
            let found: Vec<String> = heading.fields.iter().take(12).map(|field| short(field, 40)).collect();
            return Err(Unreadable::NoColumns { found: found.join(", ") });
        }
        Ok(columns)
    }
}

/// One fault, told apart.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Kind {
    class: FaultClass,
    reason: String,
    parameter: String,
    model: String,
    code: u32,
}

#[derive(Default)]
struct Tally {
    faults: u64,
    devices: HashSet<u64>,
    first_at: Option<UtcMs>,
    last_at: Option<UtcMs>,
}

impl Tally {
    fn add(&mut self, device: &str, at: Option<UtcMs>) {
        self.faults += 1;
        let mut hasher = DefaultHasher::new();
        device.hash(&mut hasher);
        self.devices.insert(hasher.finish());
        if let Some(at) = at {
            self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
            self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
        }
    }
}

/// Reads a file and says what it means.
///
/// # Errors
/// When it is too large, empty, or no list of faults. A line that cannot be used is no error: it is named in the answer.
pub fn read(bytes: &[u8]) -> Result<Import, Unreadable> {
    if bytes.len() > MAX_BYTES {
        return Err(Unreadable::TooLarge { bytes: bytes.len() });
    }
    let text = text_of(bytes);
    let mut rows = Rows::new(&text);
    let mut bad = BadLines::default();
    let columns = loop {
        match rows.next() {
            None => return Err(Unreadable::Empty),
            Some(Ok(heading)) => break Columns::of(&heading)?,
            Some(Err(line)) => bad.note(line.line, line.why),
        }
    };
    let (mut all, mut retries) = (Tally::default(), 0_u64);
    let mut kinds: BTreeMap<Kind, Tally> = BTreeMap::new();
    while let Some(row) = rows.next() {
        let row = match row {
            Ok(row) => row,
            Err(line) => {
                bad.note(line.line, line.why);
                continue;
            }
        };
        let field = |at: Option<usize>| at.and_then(|at| row.fields.get(at)).map_or("", String::as_str);
        let extra = row.fields.iter().skip(columns.count).any(|field| !field.is_empty());
        let (code, message) = (field(columns.code), field(columns.message));
        if extra {
            let why = format!(
                "{} fields where the heading has {}: a text with a separator stands without quotes",
                row.fields.len(),
                columns.count
            );
            bad.note(row.line, why);
            continue;
        }
        if code.is_empty() && message.is_empty() {
            bad.note(row.line, "neither a code nor a message");
            continue;
        }
        let device = match field(columns.device) {
            // A fault's id is the device's, a colon, and the channel.
            "" => field(columns.id).rsplit_once(':').map_or(field(columns.id), |(device, _)| device),
            device => device,
        };
        let mut kind = kind_of(code, message, field(columns.detail), device);
        if kinds.len() >= MOST_GROUPS && !kinds.contains_key(&kind) {
            kind.parameter.clear();
            kind.model.clear();
            "others, too many to tell apart".clone_into(&mut kind.reason);
        }
        let at = moment(field(columns.timestamp));
        retries = retries.saturating_add(field(columns.retries).parse().unwrap_or(0));
        all.add(device, at);
        kinds.entry(kind).or_default().add(device, at);
    }
    Ok(told(all, retries, kinds, bad))
}

fn told(all: Tally, retries: u64, kinds: BTreeMap<Kind, Tally>, bad: BadLines) -> Import {
    let counts: Vec<(String, String, u64)> = kinds
        .iter()
        .map(|(kind, tally)| (kind.class.as_str().to_owned(), kind.reason.clone(), tally.faults))
        .collect();
    let groups_total = u64::try_from(kinds.len()).unwrap_or(u64::MAX);
    let total = all.faults.max(1);
    let mut groups: Vec<ImportedGroup> = kinds
        .into_iter()
        .map(|(kind, tally)| ImportedGroup {
            class: kind.class.as_str().to_owned(),
            meaning: what_it_means(&kind).to_owned(),
            reason: kind.reason,
            parameter: kind.parameter,
            model: kind.model,
            faults: tally.faults,
            devices: u64::try_from(tally.devices.len()).unwrap_or(u64::MAX),
            percent: (tally.faults * 100 + total / 2) / total,
            first_at: tally.first_at,
            last_at: tally.last_at,
        })
        .collect();
    // Stable, so that equal ones stay in the order of their kind.
    groups.sort_by_key(|group| std::cmp::Reverse(group.faults));
    groups.truncate(GROUPS_TOLD);
    Import {
        faults: all.faults,
        devices: u64::try_from(all.devices.len()).unwrap_or(u64::MAX),
        retries,
        first_at: all.first_at,
        last_at: all.last_at,
        diagnosis: diagnose_for(Whose::GenieAcs, &counts),
        groups,
        groups_total,
        bad,
    }
}

fn kind_of(code: &str, message: &str, detail: &str, device: &str) -> Kind {
    let mut number = cwmp_code(code);
    if number.is_none() && !is_word(code) {
        number = after_key(detail, "faultCode").and_then(cwmp_code);
    }
    // Of a call that was refused whole the device says which parameter it is, and why that one.
    let inner = detail.find("arameterValuesFault").and_then(|at| detail.get(at..)).unwrap_or_default();
    if number == Some(9003)
        && let Some(told) = after_key(inner, "faultCode").and_then(cwmp_code)
    {
        number = Some(told);
    }
    let parameter =
        after_key(inner, "parameterName").or_else(|| path_in(message)).or_else(|| path_in(detail));
    let parameter = pattern_of(parameter.unwrap_or_default().trim_end_matches('.'));
    let (class, reason) = match number {
        Some(number) => {
            let name = match CwmpFault::standard(number) {
                Some(fault) => fault.name,
                None if message.is_empty() => "fault",
                None => message,
            };
            (CwmpFault::of(number).class, format!("{number} {}", short(name, LONGEST_TEXT)))
        }
        None => by_word(code, message, detail),
    };
    Kind {
        class,
        reason,
        parameter: short(&parameter, 256),
        model: model_of(device),
        code: number.unwrap_or(0),
    }
}

/// `cwmp.9005` and `9005` are 9005.
fn cwmp_code(code: &str) -> Option<u32> {
    let digits = code.strip_prefix("cwmp.").or_else(|| code.strip_prefix("CWMP.")).unwrap_or(code);
    digits.trim().parse().ok().filter(|number| (8000..=9999).contains(number))
}

fn is_word(code: &str) -> bool {
    code.starts_with(|c: char| c.is_ascii_alphabetic()) && !code.to_ascii_lowercase().starts_with("cwmp")
}

/// Faults without a code of the device.
fn by_word(code: &str, message: &str, detail: &str) -> (FaultClass, String) {
    let said = format!("{code} {message} {}", short(detail, 2_000)).to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| said.contains(word));
    let call = has(&["connection request", "connection_request", "connectionrequest", "connreq"]);
    let triggering = |text: &str| (FaultClass::SessionTriggering, text.to_owned());
    let refused = has(&["401", "unauthorized", "unauthorised", "incorrect connection request"]);
    // What a script or an extension calls is no device.
    let own = is_script(code) || is_extension(code);
    if refused && (call || !own) {
        return triggering("401 on connection request");
    }
    if call || !own && has(&["econnrefused", "etimedout", "ehostunreach", "enetunreach", "device is offline"])
    {
        return triggering(if has(&["econnrefused", "refused"]) {
            "connection request refused: nothing listens there"
        } else if has(&["unreach", "no route"]) {
            "connection request: address unreachable"
        } else if has(&["timeout", "timed out", "etimedout", "offline"]) {
            "connection request: no answer in time"
        } else {
            "connection request failed"
        });
    }
    match code.to_ascii_lowercase().as_str() {
        "session_terminated" | "timeout" | "session_timeout" => {
            triggering("the session broke off before the device answered")
        }
        "invalid_response" => {
            (FaultClass::Device, "the device answered something else than it was asked".to_owned())
        }
        "too_many_commits"
        | "too_many_cycles"
        | "too_many_rpcs"
        | "preset_loop"
        | "deeply_nested_vparams" => {
            let text = format!(
                "{code}: provisions that never come to rest, because the device does not keep what they set"
            );
            (FaultClass::ProvisioningLogic, text)
        }
        _ if is_script(code) => {
            (FaultClass::ProvisioningLogic, format!("{}: {}", short(code, 60), short(message, LONGEST_TEXT)))
        }
        _ if is_extension(code) => {
            (FaultClass::Ours, format!("{}: {}", short(code, 60), short(message, LONGEST_TEXT)))
        }
        _ if has(&["no contact", "no inform", "not online"]) => triggering("no Inform came"),
        "" => (FaultClass::Ours, short(message, LONGEST_TEXT)),
        _ if message.is_empty() => (FaultClass::Ours, short(code, LONGEST_TEXT)),
        _ => (FaultClass::Ours, format!("{}: {}", short(code, 60), short(message, LONGEST_TEXT))),
    }
}

fn is_script(code: &str) -> bool {
    code == "script" || code.starts_with("script.")
}

fn is_extension(code: &str) -> bool {
    code == "ext" || code.starts_with("ext.")
}

fn what_it_means(kind: &Kind) -> &'static str {
    match (kind.class, kind.code) {
        (class, code) if code >= 9000 && CwmpFault::standard(code).is_some() => {
            meaning(i64::from(code), class.as_str())
        }
        (FaultClass::SessionTriggering, _) => {
            "the device was not reached; nothing says that it was asked for the wrong thing"
        }
        (FaultClass::ProvisioningLogic, _) => "what the ACS asks for, or how, does not fit this device",
        (FaultClass::Device, _) => "the device itself failed",
        (FaultClass::Service, _) => "the service behind the device does not come up",
        (FaultClass::Ours, _) => "the ACS or what it calls failed",
    }
}

/// The value after a key in JSON or YAML, whichever of them the export wrote.
fn after_key<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let lower = text.to_ascii_lowercase();
    let at = lower.find(&key.to_ascii_lowercase())? + key.len();
    let rest = text.get(at..)?.trim_start_matches(['"', '\'', ':', '=', ' ', '\t']);
    let end = rest.find(['"', '\'', ',', '}', ']', '\n', '\r']).unwrap_or(rest.len());
    Some(rest[..end].trim()).filter(|value| !value.is_empty())
}

/// A path of either data model in a text.
fn path_in(text: &str) -> Option<&str> {
    let is_path = |word: &&str| {
        ["InternetGatewayDevice.", "Device."]
            .iter()
            .any(|root| word.starts_with(root) && word.len() > root.len())
    };
    text.split(|c: char| c.is_whitespace() || "\"'()[]{}<>,;:=".contains(c)).find(is_path)
}

/// GenieACS names a device `OUI-ProductClass-Serial`, each part percent-encoded.
fn model_of(device: &str) -> String {
    let parts: Vec<&str> = device.split('-').collect();
    let class = match parts.as_slice() {
        [oui, middle @ .., _] if !middle.is_empty() && oui.len() == 6 => middle.join("-"),
        _ => return String::new(),
    };
    let bytes = class.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match hex.filter(|_| bytes[at] == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    short(&String::from_utf8_lossy(&out), 60)
}

/// A time as ISO 8601 or in milliseconds since 1970.
fn moment(text: &str) -> Option<UtcMs> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(UtcMs(at.as_millisecond()));
    }
    text.parse::<i64>().ok().filter(|ms| (1_000_000_000_000..10_000_000_000_000).contains(ms)).map(UtcMs)
}

fn short(text: &str, longest: usize) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(longest).collect::<String>().trim().to_owned()
}

impl Import {
    /// The whole answer as lines of text.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let plural = |n: u64, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        let _ = write!(out, "{} on {}", plural(self.faults, "fault"), plural(self.devices, "device"));
        if let (Some(first), Some(last)) = (self.first_at, self.last_at) {
            let _ = write!(out, ", {first} to {last}");
        }
        if self.retries > 0 {
            let _ = write!(out, ", retried {} times", self.retries);
        }
        let _ = writeln!(out, "\n\n{}", self.diagnosis.sentence);
        if !self.diagnosis.advice.is_empty() {
            let _ = writeln!(out, "{}", self.diagnosis.advice);
        }
        if !self.diagnosis.shares.is_empty() {
            let _ = writeln!(out, "\nClasses");
            for share in &self.diagnosis.shares {
                let _ = writeln!(out, "  {:>3} %  {:>7}  {}", share.percent, share.count, share.title);
            }
        }
        if !self.groups.is_empty() {
            let _ = writeln!(out, "\nGroups (share, faults, devices)");
        }
        for group in &self.groups {
            let _ = writeln!(
                out,
                "  {:>3} %  {:>7}  {:>7}  {}",
                group.percent, group.faults, group.devices, group.reason
            );
            let about: Vec<&str> = [group.model.as_str(), group.parameter.as_str()]
                .into_iter()
                .filter(|text| !text.is_empty())
                .collect();
            if !about.is_empty() {
                let _ = writeln!(out, "{:28}{}", "", about.join("  "));
            }
            let _ = writeln!(out, "{:28}{}", "", group.meaning);
        }
        let told = u64::try_from(self.groups.len()).unwrap_or(u64::MAX);
        if self.groups_total > told {
            let _ = writeln!(out, "  and {} smaller", plural(self.groups_total - told, "group"));
        }
        if self.bad.count > 0 {
            let _ = writeln!(out, "\n{} could not be used", plural(self.bad.count, "line"));
            for bad in &self.bad.first {
                let _ = writeln!(out, "  line {}: {}", bad.line, bad.why);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files written by us in the shape of GenieACS's export, with the answer beside each.
    #[test]
    fn files_are_diagnosed_in_words() {
        let folder = format!("{}/src/faults/samples", env!("CARGO_MANIFEST_DIR"));
        for name in ["calls_refused", "paths_missing", "semicolons_and_broken_lines", "nbi_names"] {
            let file = std::fs::read(format!("{folder}/{name}.csv")).expect("a sample");
            let text = read(&file).expect("readable").to_text();
            let golden = format!("{folder}/{name}.txt");
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&golden, &text).expect("the golden file can be written");
            }
            let known = std::fs::read_to_string(&golden).unwrap_or_default();
            assert_eq!(known, text, "{name} has changed; look at it and run again with UPDATE_GOLDEN=1");
        }
    }

    #[test]
    fn what_is_no_list_of_faults_is_refused_in_words() {
        assert_eq!(read(b" \n"), Err(Unreadable::Empty));
        let error = read(b"Name;Address\nx;y").expect_err("no faults");
        assert!(error.to_string().contains("Name, Address"), "{error}");
        let error = read(&vec![b' '; MAX_BYTES + 1]).expect_err("too large");
        assert!(error.to_string().contains(&MAX_BYTES.to_string()), "{error}");
    }

    #[test]
    fn many_kinds_are_bounded_and_all_are_counted() {
        let mut file = String::from("Device,Code,Message\n");
        for number in 0..5_000 {
            let _ = writeln!(file, "00259E-HG-{number},script.E{number},boom");
        }
        let import = read(file.as_bytes()).expect("readable");
        assert_eq!((import.faults, import.devices), (5_000, 5_000));
        assert!(import.groups_total <= u64::try_from(MOST_GROUPS).expect("small") + 1);
        assert_eq!(import.groups.len(), GROUPS_TOLD);
        assert_eq!(import.diagnosis.shares[0].count, 5_000);
    }

    #[test]
    fn anything_is_read_without_harm() {
        let heads = ["Device,Code,Message,Detail\n", "code;detail\n", "\u{feff}\"Code\"\t\"Message\"\n"];
        let pieces =
            ["\"", ",", ";", "\n", "\r", "cwmp.9003", "faultCode", "é", "{", "parameterName\":\"", "\0", "%"];
        let mut seed = 7_u64;
        for round in 0..2_000 {
            let mut text = heads[round % heads.len()].to_owned();
            for _ in 0..40 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[usize::try_from(seed >> 33).expect("fits") % pieces.len()]);
            }
            let import = read(text.as_bytes()).expect("a heading is there");
            let grouped: u64 = import.groups.iter().map(|group| group.faults).sum();
            assert_eq!(grouped, import.faults, "{text:?}");
        }
    }
}
