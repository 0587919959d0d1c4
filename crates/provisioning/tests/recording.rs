//! A recording is gone through again to the same decisions, holds no secret, and says where a decision is another one.

mod support;

use profiles::{cpe::ProfileSet, fixtures};
use provisioning::{
    Context, Device, DeviceFault, DeviceReply, DeviceRequest, Effect, Event, InternetMode, Link, Order,
    OrderKind, OrderState, SessionEnd, SetValue, State, ValueKind, WriteValue,
    recording::{Header, Recorder, Replay, Unreadable, replay},
    step,
};
use support::{Cpe, Ending, PPPOE_PASSWORD, Quirks, START, Shell, WIFI_PASSPHRASE, context, intents};
use types::Secret;

fn secrets() -> [&'static str; 4] {
    [PPPOE_PASSWORD, WIFI_PASSPHRASE, "own-secret-1", "own-secret-2"]
}

fn recorded(csv: &str, quirks: Quirks) -> Shell {
    let mut shell = Shell::new(Cpe::new(csv, quirks), Some(intents(Some(200))));
    shell.recording = Some(support::Recording::default());
    shell
}

fn text(shell: &Shell) -> String {
    shell.recording.as_ref().expect("it is recorded").lines.join("\n")
}

fn again(text: &str) -> Replay {
    replay(text, &ProfileSet::builtin()).expect("readable")
}

fn is_same(shell: &Shell) {
    let text = text(shell);
    for secret in secrets() {
        assert!(!text.contains(secret), "{secret} is in the recording");
    }
    let done = again(&text);
    assert!(done.steps.len() > 10, "{} steps", done.steps.len());
    let different: Vec<String> = done
        .different()
        .map(|step| format!("line {} {:?}\n{}", step.line, step.event, step.differences().join("\n")))
        .collect();
    assert!(different.is_empty(), "{}{}", different.join("\n"), shell.story());
}

#[test]
fn every_family_is_gone_through_again_to_the_same_decisions() {
    for csv in
        [fixtures::hg8546m(), fixtures::eg8145v5(), fixtures::generic_tr181(), fixtures::generic_tr098()]
    {
        for quirks in [
            Quirks::default(),
            Quirks { no_clock: true, phantom_writes: true, ..Quirks::default() },
            Quirks { max_params: Some(2), ..Quirks::default() },
            Quirks { pppoe_refused: true, unauthorized: true, ..Quirks::default() },
            Quirks { refused_leaves: vec!["ConnectionRequestPassword"], ..Quirks::default() },
        ] {
            let mut shell = recorded(csv, quirks);
            shell.run(4 * 3600);
            is_same(&shell);
        }
    }
}

#[test]
fn what_is_wanted_may_change_and_sessions_may_break() {
    let mut shell = recorded(fixtures::hg8546m(), Quirks { phantom_writes: true, ..Quirks::default() });
    shell.session(&["0 BOOTSTRAP"], Ending::LostReply(3));
    shell.session(&["1 BOOT"], Ending::Killed(5));
    shell.run_until(State::Active, 4 * 3600);
    // The same, then another password, then the first one again.
    let first = shell.context.intents.clone();
    for password in ["another-password-9", PPPOE_PASSWORD] {
        let wan =
            shell.context.intents.as_mut().and_then(|intents| intents.internet.as_mut()).expect("a WAN");
        wan.mode = InternetMode::Pppoe { username: "s-10001@isp".into(), password: Secret::new(password) };
        shell.cpe.pppoe_password = password;
        shell.wish();
        shell.run(2 * 3600);
        assert!(!text(&shell).contains(password), "{password} is in the recording");
    }
    shell.context.intents = first;
    shell.wish();
    shell.run(2 * 3600);
    is_same(&shell);
}

#[test]
fn the_choice_of_a_wan_is_gone_through_again() {
    let mut shell = recorded(fixtures::hg8546m(), Quirks { phantom_writes: true, ..Quirks::default() });
    let now = shell.now;
    let wans = ["a@isp", "b@isp"].map(|login| shell.cpe.existing_wan("200", login, now));
    shell.run_until(State::Failed, 3600);
    shell.run(600);
    // One that nobody was asked about, then one of the two.
    for path in ["InternetGatewayDevice.WANDevice.9.", &wans[1]] {
        shell.feed(Event::WanChosen { path: path.into(), by: "ana".into() });
    }
    shell.run_until(State::Active, 900);
    assert_eq!(shell.cpe.value(&format!("{}Username", wans[1])), "s-10001@isp");
    is_same(&shell);
    let chosen =
        again(&text(&shell)).steps.into_iter().filter(|step| matches!(&step.event, Event::WanChosen { .. }));
    assert_eq!(chosen.count(), 2, "both words of the operator are there");
    // The same device, of which another WAN was chosen, goes another way.
    let recorded = text(&shell);
    let line = format!("{{\"WanChosen\":{{\"path\":\"{}\",\"by\":\"ana\"}}}}", wans[1]);
    assert!(recorded.contains(&line), "the choice is a line of its own");
    let other = recorded.replace(&line, &line.replace(&wans[1], &wans[0]));
    assert!(again(&other).different().next().is_some(), "the choice decides");
}

const KEY_LEAF: &str = "InternetGatewayDevice.LANDevice.1.WLANConfiguration.1.PreSharedKey.1.PreSharedKey";
const CODE: &str = "InternetGatewayDevice.DeviceInfo.ProvisioningCode";
const ORDERED: &str = "by-hand-42";

fn order(shell: &mut Shell, what: OrderKind) -> String {
    let key = format!("lk-o-{}", shell.context.orders.len());
    shell.context.orders.push(Order { key: key.clone(), what });
    let expires_at = shell.now.plus_s(86_400);
    let service_id = shell.device.link.as_ref().and_then(Link::service);
    shell.feed(Event::OrderGiven { key: key.clone(), service_id, expires_at });
    key
}

fn set(path: &str, value: WriteValue) -> OrderKind {
    OrderKind::Set { values: vec![SetValue { path: path.into(), value, kind: ValueKind::String }] }
}

fn stood(shell: &Shell, key: &str) -> Option<OrderState> {
    shell.news.iter().rfind(|news| news.key == key).map(|news| news.state)
}

#[test]
fn what_was_ordered_for_a_device_is_gone_through_again_without_its_secrets() {
    let mut shell = recorded(fixtures::hg8546m(), Quirks::default());
    shell.run_until(State::Active, 4 * 3600);
    // A secret by the name of its leaf, one by the word of whoever ordered it, and one too short to look for in texts.
    for (path, secret) in [(KEY_LEAF, ORDERED), (CODE, "by-word-43"), (KEY_LEAF, "x9")] {
        let key = order(&mut shell, set(path, WriteValue::Secret(Secret::new(secret))));
        shell.run(1200);
        assert_eq!(stood(&shell, &key), Some(OrderState::Accepted), "{secret}");
    }
    for what in [
        set(CODE, WriteValue::Plain("fibre-7".into())),
        OrderKind::refresh("InternetGatewayDevice."),
        OrderKind::Reboot,
        OrderKind::FactoryReset,
    ] {
        order(&mut shell, what);
        shell.run(1200);
    }
    let given_up = order(&mut shell, OrderKind::refresh(CODE));
    shell.feed(Event::OrderCancelled { key: given_up, by: "ana".into() });
    let recorded = text(&shell);
    for secret in [ORDERED, "by-word-43", "\"x9\""] {
        assert!(!recorded.contains(secret), "{secret} is in the recording");
    }
    for told in ["fibre-7", "RecordOrder", "RecordRefreshed", "OrderGiven", "\"Reboot\"", "\"FactoryReset\""]
    {
        assert!(recorded.contains(told), "{told} is not in the recording");
    }
    is_same(&shell);
}

#[test]
fn a_device_that_repeats_an_ordered_secret_does_not_give_it_away() {
    let mut shell = recorded(fixtures::hg8546m(), Quirks::default());
    shell.run_until(State::Active, 4 * 3600);
    let key = order(&mut shell, set(KEY_LEAF, WriteValue::Secret(Secret::new(ORDERED))));
    let (inform, peer) = (shell.cpe.inform(shell.now, &["2 PERIODIC"]), shell.peer());
    shell.feed(Event::InformReceived { inform, peer });
    shell.feed(Event::LinkResolved(shell.link.clone()));
    let mut done = shell.feed(Event::SessionReady);
    while stood(&shell, &key) != Some(OrderState::Failed) {
        let asked = done.effects.iter().find_map(|effect| match effect {
            Effect::Request(request) => Some(request.clone()),
            _ => None,
        });
        let reply = match asked.expect("the order is carried out") {
            DeviceRequest::SetValues { .. } => DeviceReply::Fault(DeviceFault {
                code: 9007,
                text: format!("{ORDERED} is too weak"),
                parameters: Vec::new(),
            }),
            other => shell.cpe.answer(&other, shell.now),
        };
        done = shell.feed(Event::ReplyReceived(reply));
    }
    // The order is over, and its secret is known to nobody but the recording.
    shell.context.orders.clear();
    let mut inform = shell.cpe.inform(shell.now, &["4 VALUE CHANGE"]);
    inform.parameters[0].value = format!("was {ORDERED}");
    let peer = shell.peer();
    shell.feed(Event::InformReceived { inform, peer });
    let recorded = text(&shell);
    assert!(recorded.contains("is too weak") && !recorded.contains(ORDERED), "{ORDERED} is in the recording");
    is_same(&shell);
}

#[test]
fn a_secret_that_is_a_word_of_ours_breaks_nothing() {
    for word in ["internet", "string", "clean", "FinishSession", "Reboot", "Accepted", "write", "1", "ab"] {
        let mut shell = recorded(fixtures::hg8546m(), Quirks { phantom_writes: true, ..Quirks::default() });
        let wan =
            shell.context.intents.as_mut().and_then(|intents| intents.internet.as_mut()).expect("a WAN");
        wan.mode = InternetMode::Pppoe { username: "s-10001@isp".into(), password: Secret::new(word) };
        shell.run(3600);
        for what in [OrderKind::Reboot, set(KEY_LEAF, WriteValue::Secret(Secret::new(word)))] {
            order(&mut shell, what);
            shell.run(900);
        }
        let text = text(&shell);
        assert!(!text.contains(&format!("{{\"Secret\":\"{word}\"}}")), "{word} is written");
        assert!(!text.contains(&format!("\"password\":\"{word}\"")), "{word} is known");
        again(&text);
    }
}

#[test]
fn a_passphrase_that_only_the_device_knows_is_not_kept_either() {
    let mut recorder = Recorder::default();
    let (device, context) = (Device::new(START), context(None));
    let inform: Event = serde_json::from_value(serde_json::json!({ "InformReceived": {
        "inform": {
            "manufacturer": "M", "oui": "00259E", "product_class": "HG", "serial_number": "S", "events": [],
            "current_time": "", "retry_count": 0, "cwmp_namespace": "",
            "parameters": [
                { "path": "InternetGatewayDevice.X.Password", "value": "from-the-factory", "kind": "string" },
                { "path": "InternetGatewayDevice.X.KeyPassphrase", "value": "******", "kind": "string" },
            ],
        },
        "peer": { "address": "10.20.3.9", "auth": "anonymous" },
    } }))
    .expect("an Inform");
    let done = step(&device, &inform, &context, START);
    let other = Secret::new("first-contact-password");
    let line = recorder
        .line(Some(&device), &inform, &context, &done, std::slice::from_ref(&other), START)
        .expect("a line");
    assert!(!line.contains("from-the-factory") && line.contains("redacted-unknown"), "{line}");
    assert!(line.contains("******"), "dots are no secret");
}

/// The line of one Inform, as JSON.
fn line_of(inform: serde_json::Value, context: &Context, secrets: &[Secret]) -> String {
    let event: Event = serde_json::from_value(serde_json::json!({ "InformReceived": {
        "inform": inform, "peer": { "address": "10.20.3.9", "auth": "anonymous" },
    } }))
    .expect("an Inform");
    let device = Device::new(START);
    let done = step(&device, &event, context, START);
    Recorder::default().line(Some(&device), &event, context, &done, secrets, START).expect("a line")
}

#[test]
fn no_place_that_a_device_fills_gives_a_secret_away() {
    let known = "p<4>ss&w\"rd";
    let told =
        |path: &str, value: &str| serde_json::json!({ "path": path, "value": value, "kind": "string" });
    let line = line_of(
        serde_json::json!({
            "manufacturer": format!("M {known}"), "oui": "00259E", "product_class": known, "serial_number": "S",
            "events": [{ "code": format!("2 {known}"), "command_key": known }],
            "current_time": known, "retry_count": 0, "cwmp_namespace": format!("urn:{known}"),
            "parameters": [
                told("InternetGatewayDevice.X.Escaped", "p&lt;4&gt;ss&amp;w&quot;rd"),
                told("InternetGatewayDevice.X.ns1:Admin_Password", "only-it-knows-1"),
                told("InternetGatewayDevice.X.WEPKey.1", "only-it-knows-2"),
                told("UserPassword", "only-it-knows-3"),
                told("InternetGatewayDevice.X.Passphrase", "redacted-only-it-knows-4"),
                told("InternetGatewayDevice.X.Model", "shown"),
            ],
        }),
        &context(None),
        &[Secret::new(known)],
    );
    let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let mut texts = Vec::new();
    all_texts(&value, &mut texts);
    for text in &texts {
        assert!(
            !text.contains(known) && !text.contains("p&lt;4") && !text.contains("only-it-knows"),
            "{text}"
        );
    }
    assert!(texts.iter().any(|text| text == "shown"), "what is no secret is there");
}

fn all_texts(value: &serde_json::Value, into: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => into.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| all_texts(item, into)),
        serde_json::Value::Object(fields) => {
            for (key, field) in fields {
                into.push(key.clone());
                all_texts(field, into);
            }
        }
        _ => {}
    }
}

#[test]
fn a_short_secret_is_not_told_in_a_fault() {
    let mut context = context(None);
    let write = SetValue {
        path: KEY_LEAF.into(),
        value: WriteValue::Secret(Secret::new("x9")),
        kind: ValueKind::String,
    };
    context.orders.push(Order { key: "lk-o-1".into(), what: OrderKind::Set { values: vec![write] } });
    let fault = DeviceFault { code: 9007, text: "'x9' is too short, not x90".into(), parameters: Vec::new() };
    let event = Event::ReplyReceived(DeviceReply::Fault(fault));
    let device = Device::new(START);
    let done = step(&device, &event, &context, START);
    let line = Recorder::default().line(Some(&device), &event, &context, &done, &[], START).expect("a line");
    assert!(!line.contains("x9'") && line.contains("not x90"), "{line}");
}

#[test]
fn a_secret_in_use_is_known_however_many_were_before_it() {
    let mut recorder = Recorder::default();
    let (device, mut context) = (Device::new(START), context(None));
    let event = Event::ReplyReceived(DeviceReply::Fault(DeviceFault {
        code: 9007,
        text: "first-secret and secret-number-7 and secret-number-299".into(),
        parameters: Vec::new(),
    }));
    let mut values = vec!["first-secret".to_owned()];
    values.extend((0..300).map(|number| format!("secret-number-{number}")));
    let values = values.into_iter().map(|secret| SetValue {
        path: KEY_LEAF.into(),
        value: WriteValue::Secret(Secret::new(secret)),
        kind: ValueKind::String,
    });
    context.orders.push(Order { key: "lk-o-1".into(), what: OrderKind::Set { values: values.collect() } });
    let done = step(&device, &event, &context, START);
    let line = recorder.line(Some(&device), &event, &context, &done, &[], START).expect("a line");
    assert!(!line.contains("first-secret") && !line.contains("secret-number"), "all of an order are known");
}

#[test]
fn where_a_decision_is_another_one_is_told() {
    let mut shell = recorded(fixtures::hg8546m(), Quirks { phantom_writes: true, ..Quirks::default() });
    shell.run_until(State::Active, 4 * 3600);
    let text = text(&shell);
    let changed =
        text.replacen("\"path\":\"InternetGatewayDevice.Time.", "\"path\":\"InternetGatewayDevice.Tide.", 1);
    let done = again(&changed);
    let different: Vec<_> = done.different().collect();
    assert!(changed == text || !different.is_empty(), "a changed line is a difference");
    // A plan that writes another VLAN today.
    let other = text.replace("\"vlan\":200", "\"vlan\":201");
    let done = again(&other);
    let told: Vec<String> =
        done.different().flat_map(provisioning::recording::Replayed::differences).collect();
    assert!(told.iter().any(|line| line.starts_with("+ effect") && line.contains("201")), "{told:#?}");
    assert!(told.iter().any(|line| line.starts_with("- effect") && line.contains("200")), "{told:#?}");
}

#[test]
fn what_is_no_recording_is_said() {
    let profiles = ProfileSet::builtin();
    assert_eq!(replay("", &profiles), Err(Unreadable::NoHeader));
    assert_eq!(replay("{\"a\":1}\n", &profiles), Err(Unreadable::NoHeader));
    let header = Header::new("9.9", START, "a device");
    let later = Header { format: 99, ..header.clone() };
    let text = serde_json::to_string(&later).expect("json");
    assert_eq!(replay(&text, &profiles), Err(Unreadable::Format { format: 99, product: "9.9".into() }));
    let header = serde_json::to_string(&header).expect("json");
    let torn = replay(&format!("{header}\n{{\"at\":"), &profiles);
    assert!(matches!(torn, Err(Unreadable::Line { line: 2, .. })), "{torn:?}");
    let (device, context) = (Device::new(START), context(None));
    let event = Event::SessionEnded(SessionEnd::Clean);
    let done = step(&device, &event, &context, START);
    let line = Recorder::default().line(None, &event, &context, &done, &[], START).expect("a line");
    assert_eq!(replay(&format!("{header}\n{line}"), &profiles), Err(Unreadable::NoBeginning { line: 2 }));
}
