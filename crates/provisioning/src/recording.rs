//! What a device went through, written down so that the same machine can go through it again.
//!
//! A recording is a file of lines, each a JSON object: first a [`Header`], then one [`StepLine`] for every step, with
//! what happened, what the machine knew, and what it decided. [`replay`] feeds the same events to [`step`] and says where
//! it decides otherwise today.
//!
//! **Invariant: no line holds a secret.** What the machine is given of them (PPPoE, Wi-Fi, ManagementServer, what device
//! orders write) is replaced by a stand-in before anything is written, the same one wherever the same secret stands and another one for another
//! secret, so that the machine finds equal what was equal; fingerprints are made again from the stand-ins, under a key
//! that is no secret. What a device
//! tells of a leaf that holds secrets is replaced as well, known to us or not. Cookies and digest headers never get as
//! far as the machine.

use crate::{
    AcceptedInterval, Context, Device, Effect, Event, Intents, InternetMode, Layer, LearnedFact, Order,
    OrderKind, OwnershipCredentials, Policy, Reason, State, Step, Transition, intent::fingerprint, step,
    talk::WriteValue,
};
use profiles::cpe::{CpeProfile, ProfileSet};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{collections::BTreeMap, sync::Arc};
use types::{Secret, UtcMs, names_a_secret};

/// The form that is written and read here.
pub const FORMAT: u32 = 1;
/// Key of the fingerprints in a recording. It guards nothing: what it is applied to are stand-ins.
const KEY: &str = "recording";
/// The longest line that is read.
const LONGEST_LINE: usize = 8 * 1024 * 1024;
/// So many secrets that are no longer known to anybody else are remembered.
const MOST_SECRETS: usize = 64;
/// Stands for a secret that a device told and that is none of ours.
const UNKNOWN: &str = "redacted-unknown";
/// So begins what stands for a secret of ours.
const STAND_IN: &str = "redacted-";
/// So many characters of its fingerprint follow.
const PRINT: usize = 16;
/// The shortest secret that is looked for in any text; a shorter one is replaced where secrets stand, and where it stands
/// as a word of its own in what a device says.
const SHORTEST_WITHIN: usize = 4;
/// The key of what a device says of a fault, and of what is told of that.
const SAID: &str = "text";

/// The first line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Always `lightkeeper`; so begins the file.
    pub recording: String,
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the product that wrote it.
    pub product: String,
    /// When recording began.
    pub at: UtcMs,
    /// Manufacturer, model and firmware as they were known then, for people.
    pub device: String,
}

impl Header {
    /// The header of a recording that begins now, of a device that is called so.
    pub fn new(product: &str, at: UtcMs, device: &str) -> Self {
        Header {
            recording: "lightkeeper".to_owned(),
            format: FORMAT,
            product: product.to_owned(),
            at,
            device: device.trim().to_owned(),
        }
    }
}

/// What the machine knew beside the device, as far as it is recorded: the dialects come with the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    intents: Option<Intents>,
    learned: Vec<LearnedFact>,
    family: Option<String>,
    policy: Policy,
    clock_waived_by: Option<String>,
    accepted_interval: Option<AcceptedInterval>,
    credentials: Option<OwnershipCredentials>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    orders: Vec<Order>,
}

impl Known {
    fn of(context: &Context) -> Known {
        Known {
            intents: context.intents.clone(),
            learned: context.learned.clone(),
            family: context.family.clone(),
            policy: context.policy.clone(),
            clock_waived_by: context.policy.clock_waived_by.clone(),
            accepted_interval: context.policy.accepted_interval.clone(),
            credentials: context.credentials.clone(),
            orders: context.orders.clone(),
        }
    }

    fn into_context(self, profiles: Arc<ProfileSet>) -> Context {
        let mut policy = self.policy;
        policy.clock_waived_by = self.clock_waived_by;
        policy.accepted_interval = self.accepted_interval;
        Context {
            intents: self.intents,
            profiles,
            learned: self.learned,
            family: self.family,
            policy,
            credentials: self.credentials,
            orders: self.orders,
            fingerprint_key: Secret::new(KEY),
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepLine {
    /// When.
    pub at: UtcMs,
    /// What happened; a reply is an RPC on its way in.
    pub event: Event,
    /// The device before, where it is not what the step before left: at the beginning, and after every session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Box<Device>>,
    /// What the machine knew, where that is another thing than in the step before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<Box<Known>>,
    /// The state after.
    pub state: State,
    /// What was to be done; a request is an RPC on its way out.
    pub effects: Vec<Effect>,
    /// Changes of state.
    pub transitions: Vec<Transition>,
    /// What was told besides.
    pub reasons: Vec<Reason>,
}

/// Writes the lines of one recording, one step after the other.
#[derive(Debug, Default)]
pub struct Recorder {
    /// What the last line was written with.
    known: Option<Value>,
    /// Every secret that was known so far: one that was changed may still be repeated.
    secrets: Vec<Secret>,
}

impl Recorder {
    /// The line of a step. `device` is the device before it where the step before did not leave it like that; `secrets`
    /// are those that stand beside the device's own and might be repeated by somebody.
    ///
    /// # Errors
    /// When the line could not be read again; a line that is no use is not written.
    pub fn line(
        &mut self,
        device: Option<&Device>,
        event: &Event,
        context: &Context,
        step: &Step,
        secrets: &[Secret],
        now: UtcMs,
    ) -> Result<String, serde_json::Error> {
        let line = StepLine {
            at: now,
            event: event.clone(),
            device: device.cloned().map(Box::new),
            known: Some(Box::new(Known::of(context))),
            state: step.next.state(),
            effects: step.effects.clone(),
            transitions: step.transitions.clone(),
            reasons: step.reasons.clone(),
        };
        let mut value = serde_json::to_value(&line)?;
        self.remember(known_secrets(context).into_iter().chain(secrets.iter().cloned()));
        let family = step.next.profile.as_ref().and_then(|chosen| context.profiles.get(&chosen.id));
        Redactor::new(context, family, &self.secrets).redact(&mut value, "");
        let known = value.get("known").cloned();
        if known == self.known
            && let Some(fields) = value.as_object_mut()
        {
            fields.remove("known");
        }
        let text = value.to_string();
        serde_json::from_str::<StepLine>(&text)?;
        self.known = known;
        Ok(text)
    }

    /// Those that are known now go behind what was known before, of which only so many are kept; of these all are.
    fn remember(&mut self, now: impl Iterator<Item = Secret>) {
        let mut present: Vec<Secret> = Vec::new();
        for secret in now.filter(|secret| !secret.is_empty()) {
            if !present.contains(&secret) {
                present.push(secret);
            }
        }
        self.secrets.retain(|secret| !present.contains(secret));
        let oldest = self.secrets.len().saturating_sub(MOST_SECRETS);
        self.secrets.drain(..oldest);
        self.secrets.append(&mut present);
    }
}

/// Keys whose value is a word of ours and never somebody's text: replacing there would make another word of it.
const WORDS: [&str; 33] = [
    "ReplyReceived",
    "Request",
    "SessionEnded",
    "TimerFired",
    "auth",
    "band",
    "class",
    "code",
    "effects",
    "event",
    "follow_up",
    "for",
    "from",
    "ipv6",
    "k",
    "kind",
    "known",
    "layer",
    "layers",
    "link",
    "mode",
    "outcome",
    "proof",
    "reason_code",
    "resume",
    "security",
    "severity",
    "state",
    "status",
    "step",
    "timer",
    "to",
    "what",
];

/// Keys under which a secret stands, however short it is. Elsewhere a short one would be found in what is no secret.
const SECRET_KEYS: [&str; 4] = ["Secret", "connection_request_password", "passphrase", "password"];

/// Knows the secrets of one device and puts stand-ins in their place.
struct Redactor<'a> {
    context: &'a Context,
    /// The device's family: it may know secrets whose names do not say so.
    family: Option<&'a Arc<CpeProfile>>,
    /// Longest first, so that one that is part of another does not tear it.
    secrets: Vec<(String, String)>,
    /// The same as a device may write them that escapes once too often, where that is another text.
    escaped: Vec<(String, String)>,
    /// Fingerprints of whole layers, as they are and as they are recorded.
    layers: Vec<(String, String)>,
}

/// What the machine is given of secrets.
fn known_secrets(context: &Context) -> Vec<Secret> {
    let mut known = Vec::new();
    if let Some(own) = &context.credentials {
        known.extend([own.password.clone(), own.connection_request_password.clone()]);
    }
    if let Some(intents) = &context.intents {
        if let Some(InternetMode::Pppoe { password, .. }) = intents.internet.as_ref().map(|wan| &wan.mode) {
            known.push(password.clone());
        }
        let wifi = intents.access.iter().flat_map(|access| &access.wifi);
        known.extend(wifi.map(|wifi| wifi.passphrase.clone()));
    }
    for order in &context.orders {
        if let OrderKind::Set { values } = &order.what {
            known.extend(values.iter().filter_map(|set| match &set.value {
                WriteValue::Secret(secret) => Some(secret.clone()),
                WriteValue::Plain(_) => None,
            }));
        }
    }
    known.retain(|secret| !secret.is_empty());
    known
}

impl<'a> Redactor<'a> {
    fn new(context: &'a Context, family: Option<&'a Arc<CpeProfile>>, secrets: &[Secret]) -> Self {
        let stand_in = |secret: &Secret| {
            // Keyed, so that nothing can be guessed back from it; the same in every line and every process.
            let print = fingerprint(&context.fingerprint_key, "recording", secret.expose().as_bytes());
            format!("{STAND_IN}{}", print.get(..PRINT).unwrap_or(&print))
        };
        let mut secrets: Vec<(String, String)> =
            secrets.iter().map(|secret| (secret.expose().to_owned(), stand_in(secret))).collect();
        secrets.sort_by_key(|(secret, _)| std::cmp::Reverse(secret.len()));
        let escaped = secrets
            .iter()
            .filter(|(secret, _)| secret.contains(['&', '<', '>', '"', '\'']))
            .map(|(secret, stand_in)| (escaped(secret), stand_in.clone()))
            .collect();
        let mut redactor = Redactor { context, family, secrets, escaped, layers: Vec::new() };
        redactor.layers = redactor.layer_prints();
        redactor
    }

    fn layer_prints(&self) -> Vec<(String, String)> {
        let Some(intents) = &self.context.intents else { return Vec::new() };
        let Ok(mut value) = serde_json::to_value(intents) else { return Vec::new() };
        self.redact(&mut value, "");
        let Ok(redacted) = serde_json::from_value::<Intents>(value) else { return Vec::new() };
        let key = Secret::new(KEY);
        [Layer::Internet, Layer::Access]
            .into_iter()
            .filter_map(|layer| {
                let real = intents.layer_hash(layer, &self.context.fingerprint_key)?;
                Some((real, redacted.layer_hash(layer, &key)?))
            })
            .collect()
    }

    /// This leaf holds a secret.
    fn is_secret(&self, path: &str) -> bool {
        names_a_secret(path) || self.family.is_some_and(|family| family.is_secret(path))
    }

    /// The stand-in of what stands alone under a key.
    fn whole(&self, text: &str) -> Option<&str> {
        self.secrets.iter().find(|(secret, _)| secret == text).map(|(_, stand_in)| stand_in.as_str())
    }

    fn text(&self, text: &mut String, under: &str) {
        if let Some((_, print)) = self.layers.iter().find(|(print, _)| print == text) {
            text.clone_from(print);
            return;
        }
        for (secret, stand_in) in self.escaped.iter().chain(&self.secrets) {
            if !text.contains(secret.as_str()) {
            } else if secret.len() >= SHORTEST_WITHIN {
                *text = text.replace(secret.as_str(), stand_in);
            } else if under == SAID {
                *text = with_words_replaced(text, secret, stand_in);
            }
        }
    }

    fn print(&self, name: &str, print: &mut String) {
        let key = Secret::new(KEY);
        for (secret, stand_in) in &self.secrets {
            if *print == fingerprint(&self.context.fingerprint_key, name, secret.as_bytes()) {
                *print = fingerprint(&key, name, stand_in.as_bytes());
                return;
            }
        }
    }

    fn redact(&self, value: &mut Value, under: &str) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => {
                if SECRET_KEYS.contains(&under) {
                    self.told(text);
                } else if !WORDS.contains(&under) {
                    self.text(text, under);
                }
            }
            Value::Array(items) => {
                // Name and fingerprint of a secret that was written.
                if let ("secret", [Value::String(name), Value::String(print)]) = (under, items.as_mut_slice())
                {
                    self.print(name, print);
                    return;
                }
                for item in items {
                    self.redact(item, under);
                }
            }
            Value::Object(fields) => {
                self.leaf(fields);
                // What was learned of a leaf is a word of ours, whatever the leaf holds.
                if under == "learned" {
                    return;
                }
                // The names of facts are words as well, what they say is not.
                if under == "facts" {
                    fields.values_mut().for_each(|fact| self.redact(fact, ""));
                    return;
                }
                // Codes are words of ours, but for those of the events of an Inform.
                if fields.contains_key("command_key")
                    && let Some(Value::String(code)) = fields.get_mut("code")
                {
                    self.text(code, "code");
                }
                if under == "secrets" {
                    for (name, print) in fields.iter_mut() {
                        if let Value::String(print) = print {
                            self.print(name, print);
                        }
                    }
                    return;
                }
                for (key, field) in fields.iter_mut() {
                    // A map by path: what a leaf of this name holds. Our own names have no dot.
                    let secret = self.is_secret(key);
                    match field {
                        Value::String(text) if secret && key.contains('.') => self.told(text),
                        Value::Object(node) if secret && node.contains_key("v") => {
                            if let Some(Value::String(text)) = node.get_mut("v") {
                                self.told(text);
                            }
                        }
                        _ if secret && key.contains('.') => {}
                        _ => self.redact(field, key),
                    }
                }
            }
        }
    }

    /// What a device told of a leaf that holds secrets.
    fn told(&self, text: &mut String) {
        let known = self.whole(text).map(str::to_owned);
        if let Some(stand_in) = known {
            *text = stand_in;
        } else if !is_stand_in(text) && !is_dots(text) {
            UNKNOWN.clone_into(text);
        }
    }

    fn leaf(&self, fields: &mut serde_json::Map<String, Value>) {
        let secret = fields.get("path").and_then(Value::as_str).is_some_and(|path| self.is_secret(path));
        if !secret {
            return;
        }
        // Of a secret that we wrote the machine says in words what became of it.
        let masked = fields.get("wanted").and_then(Value::as_str).is_some_and(is_dots);
        let keys: &[&str] = if masked { &["value", "v"] } else { &["value", "v", "wanted", "observed"] };
        for key in keys {
            match fields.get_mut(*key) {
                Some(Value::String(text)) => self.told(text),
                // What is written: plain text or a secret.
                Some(Value::Object(written)) => {
                    for text in written.values_mut() {
                        if let Value::String(text) = text {
                            self.told(text);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Only dots: somebody has hidden it already.
fn is_dots(text: &str) -> bool {
    text.chars().all(|c| c == '*' || c == '•')
}

/// It was replaced already.
fn is_stand_in(text: &str) -> bool {
    text == UNKNOWN
        || text
            .strip_prefix(STAND_IN)
            .is_some_and(|print| print.len() == PRINT && print.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// As it stands in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&apos;")
}

/// `text` with `word` replaced where no letter and no digit touches it.
fn with_words_replaced(text: &str, word: &str, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, _) in text.match_indices(word) {
        let end = at + word.len();
        let touches = text[..at].chars().next_back().is_some_and(char::is_alphanumeric)
            || text[end..].chars().next().is_some_and(char::is_alphanumeric);
        if !touches {
            out.push_str(&text[from..at]);
            out.push_str(by);
            from = end;
        }
    }
    out.push_str(&text[from..]);
    out
}

/// Why a file is no recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It does not begin like one.
    #[error("This is no recording of Lightkeeper: its first line is not the heading of one.")]
    NoHeader,
    /// Written by a later version.
    #[error(
        "This recording has the form {format}, and this version reads {FORMAT}; use the version that wrote it ({product})."
    )]
    Format {
        /// Its form.
        format: u32,
        /// Who wrote it.
        product: String,
    },
    /// A line of it cannot be read.
    #[error("Line {line} cannot be read ({why}); nothing after it was replayed.")]
    Line {
        /// From 1.
        line: usize,
        /// Why.
        why: String,
    },
    /// The first step does not say what device it begins with.
    #[error("Line {line} does not say what the device was before it, and no line before it does.")]
    NoBeginning {
        /// From 1.
        line: usize,
    },
}

/// One step, replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Line of the file, from 1.
    pub line: usize,
    /// When it happened.
    pub at: UtcMs,
    /// What happened.
    pub event: Event,
    /// What the recording says came of it.
    pub recorded: Outcome,
    /// What comes of it now.
    pub now: Outcome,
}

/// What came of a step, in words that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The state after.
    pub state: State,
    /// Everything to be done, told and changed, in order, as one line of JSON each.
    pub lines: Vec<String>,
}

impl Replayed {
    /// The machine decides as it did.
    pub fn is_same(&self) -> bool {
        self.recorded == self.now
    }

    /// What only one of both has: `-` was recorded, `+` comes now.
    pub fn differences(&self) -> Vec<String> {
        let mut out = Vec::new();
        if self.recorded.state != self.now.state {
            out.push(format!("- state {}", self.recorded.state));
            out.push(format!("+ state {}", self.now.state));
        }
        let only = |of: &Outcome, than: &Outcome, sign: char| {
            let mut left = than.lines.clone();
            of.lines
                .iter()
                .filter(|line| match left.iter().position(|other| other == *line) {
                    Some(at) => {
                        left.swap_remove(at);
                        false
                    }
                    None => true,
                })
                .map(|line| format!("{sign} {line}"))
                .collect::<Vec<_>>()
        };
        out.extend(only(&self.recorded, &self.now, '-'));
        out.extend(only(&self.now, &self.recorded, '+'));
        if out.is_empty() && !self.is_same() {
            out.push("the same things in another order".to_owned());
        }
        out
    }
}

fn outcome(state: State, effects: &[Effect], transitions: &[Transition], reasons: &[Reason]) -> Outcome {
    // Plain data always becomes JSON; should it not, the difference shows.
    fn line(what: &str, value: &impl Serialize) -> String {
        format!("{what} {}", serde_json::to_string(value).unwrap_or_default())
    }
    let mut lines: Vec<String> = effects.iter().map(|effect| line("effect", effect)).collect();
    lines.extend(transitions.iter().map(|transition| line("transition", transition)));
    lines.extend(reasons.iter().map(|reason| line("reason", reason)));
    Outcome { state, lines }
}

/// A recording gone through again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Its heading.
    pub header: Header,
    /// Its steps, in order.
    pub steps: Vec<Replayed>,
}

impl Replay {
    /// The steps in which the machine decides otherwise now.
    pub fn different(&self) -> impl Iterator<Item = &Replayed> {
        self.steps.iter().filter(|step| !step.is_same())
    }
}

/// Goes through a recording with the machine of this version.
///
/// # Errors
/// When the text is no recording, or a line of it cannot be read.
pub fn replay(text: &str, profiles: &Arc<ProfileSet>) -> Result<Replay, Unreadable> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, first) = lines.next().ok_or(Unreadable::NoHeader)?;
    let header: Header = serde_json::from_str(first).map_err(|_| Unreadable::NoHeader)?;
    if header.recording != "lightkeeper" {
        return Err(Unreadable::NoHeader);
    }
    if header.format != FORMAT {
        return Err(Unreadable::Format { format: header.format, product: header.product });
    }
    let (mut device, mut context): (Option<Device>, Option<Context>) = (None, None);
    let mut steps = Vec::new();
    for (index, text) in lines {
        let line = index + 1;
        if text.len() > LONGEST_LINE {
            return Err(Unreadable::Line { line, why: format!("it is longer than {LONGEST_LINE} bytes") });
        }
        let recorded: StepLine =
            serde_json::from_str(text).map_err(|error| Unreadable::Line { line, why: error.to_string() })?;
        if let Some(before) = recorded.device {
            device = Some(*before);
        }
        if let Some(known) = recorded.known {
            context = Some(known.into_context(Arc::clone(profiles)));
        }
        let (Some(before), Some(known)) = (&device, &context) else {
            return Err(Unreadable::NoBeginning { line });
        };
        let now = step(before, &recorded.event, known, recorded.at);
        steps.push(Replayed {
            line,
            at: recorded.at,
            recorded: outcome(recorded.state, &recorded.effects, &recorded.transitions, &recorded.reasons),
            now: outcome(now.next.state(), &now.effects, &now.transitions, &now.reasons),
            event: recorded.event,
        });
        device = Some(now.next);
    }
    Ok(Replay { header, steps })
}

/// What happened and what came of it, as lines for people.
pub fn describe(step: &Replayed) -> Vec<String> {
    let mut out = vec![format!("{} line {}: {}", step.at, step.line, event_words(&step.event))];
    out.push(format!("    state {}", step.now.state));
    out.extend(step.now.lines.iter().map(|line| format!("    {line}")));
    out
}

fn event_words(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap_or_default();
    match value {
        Value::String(word) => word,
        Value::Object(fields) => {
            let parts: BTreeMap<String, Value> = fields.into_iter().collect();
            parts.iter().map(|(name, what)| format!("{name} {what}")).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
