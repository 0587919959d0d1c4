//! What is wished, or ordered, while an answer is out: nothing that comes of the old wish is booked on the new one.

use super::*;
use provisioning::{DeviceRequest, Effect, FailedLayer, SessionEnd};

const CR_PASSWORD: &str = "ConnectionRequestPassword";

/// A session that the CPE opens; `meanwhile` happens after it acted on the first request that writes such a leaf, before its
/// answer is in.
fn session_with(shell: &mut Shell, leaf: &str, which: usize, meanwhile: impl FnOnce(&mut Shell)) {
    let asked = |step: &provisioning::Step| {
        step.effects.iter().find_map(|effect| match effect {
            Effect::Request(request) => Some(request.clone()),
            _ => None,
        })
    };
    let writes = |request: &DeviceRequest| match request {
        DeviceRequest::SetValues { values, .. } => values.iter().any(|value| value.path.ends_with(leaf)),
        _ => false,
    };
    shell.now = shell.now.plus_s(1);
    shell.connection_wanted = false;
    let (inform, peer) = (shell.cpe.inform(shell.now, &["2 PERIODIC"]), shell.peer());
    shell.invariants.session_began();
    shell.feed(Event::InformReceived { inform, peer });
    let link = shell.link.clone();
    shell.feed(Event::LinkResolved(link));
    let mut step = shell.feed(Event::SessionReady);
    let (mut meanwhile, mut written) = (Some(meanwhile), 0);
    while let Some(request) = asked(&step) {
        let reply = shell.cpe.answer(&request, shell.now);
        written += usize::from(writes(&request));
        if written == which
            && let Some(meanwhile) = meanwhile.take()
        {
            meanwhile(shell);
        }
        step = shell.reply(reply);
    }
    assert!(meanwhile.is_none(), "{leaf} is written{}", shell.story());
    shell.feed(Event::SessionEnded(SessionEnd::Clean));
}

fn rename(shell: &mut Shell, ssid: &str) {
    let access = shell.context.intents.as_mut().expect("intents").access.as_mut().expect("access");
    access.wifi[0].ssid = ssid.into();
    shell.wish();
}

fn active(quirks: Quirks) -> Shell {
    let mut shell = huawei(quirks);
    shell.run_until(State::Active, 3600);
    shell.run(1800);
    shell.cpe.told_since();
    shell
}

fn failures(shell: &Shell) -> usize {
    shell.transitions.iter().filter(|transition| transition.to == State::Failed).count()
}

#[test]
fn a_refusal_is_of_what_was_sent_and_not_of_what_is_wanted_by_then() {
    let mut shell = active(Quirks::default());
    shell.cpe.quirks.refused_leaves = vec!["SSID"];
    rename(&mut shell, "Refused");
    session_with(&mut shell, ".SSID", 1, |shell| {
        shell.cpe.quirks.refused_leaves.clear();
        rename(shell, "Taken");
    });
    shell.run(60);
    assert_eq!((shell.device.state(), failures(&shell)), (State::Active, 0), "{}", shell.story());
    assert_eq!(shell.cpe.value(&format!("{WLAN}SSID")), "Taken");
    assert!(shell.codes().contains(&"write_rejected"), "it is told all the same");
}

#[test]
fn a_refused_wan_is_undone_and_the_one_that_is_wanted_by_then_tried() {
    let mut shell = active(Quirks::default());
    shell.cpe.quirks.refused_leaves = vec!["Username"];
    let right = shell.context.intents.clone();
    let wrong = InternetMode::Pppoe { username: "typo@isp".into(), password: Secret::new("another") };
    mode(&mut shell, wrong);
    shell.wish();
    session_with(&mut shell, ".Username", 1, |shell| {
        shell.cpe.quirks.refused_leaves.clear();
        shell.context.intents = right;
        shell.wish();
    });
    shell.run(900);
    assert_eq!((shell.device.state(), failures(&shell)), (State::Active, 0), "{}", shell.story());
    assert_eq!(shell.cpe.value(&format!("{WAN}Username")), "s-10001@isp");
}

#[test]
fn writes_of_another_wish_do_not_count_as_not_kept() {
    let mut shell = active(Quirks::default());
    shell.cpe.quirks.deaf_leaves = vec!["SSID"];
    rename(&mut shell, "Lost");
    session_with(&mut shell, ".SSID", 2, |shell| {
        shell.cpe.quirks.deaf_leaves.clear();
        rename(shell, "Kept");
    });
    shell.run(60);
    assert_eq!((shell.device.state(), failures(&shell)), (State::Active, 0), "{}", shell.story());
    assert_eq!(shell.cpe.value(&format!("{WLAN}SSID")), "Kept");
}

#[test]
fn what_is_wished_while_a_refused_repair_is_out_is_done_in_the_same_session() {
    let mut shell = active(Quirks::default());
    shell.cpe.quirks.unauthorized = true;
    shell.cpe.quirks.refused_leaves = vec![CR_PASSWORD];
    shell.feed(Event::CallRequested { by: "ana".into() });
    shell.run(5);
    assert!(shell.device.connection.unauthorized_since.is_some());
    session_with(&mut shell, CR_PASSWORD, 1, |shell| rename(shell, "Renamed"));
    assert_eq!(shell.cpe.value(&format!("{WLAN}SSID")), "Renamed", "{}", shell.story());
    let tries = shell
        .cpe
        .told
        .iter()
        .filter(|told| matches!(told, Told::Set(path, _) if path.ends_with(CR_PASSWORD)));
    assert_eq!(tries.count(), 1, "and the credentials are not tried again before tomorrow");
}

#[test]
fn a_question_about_wans_is_not_asked_again_because_the_wifi_is_tried_again() {
    // A name that is not kept may be kept the next time; a question about WANs is not answered by asking it again.
    let mut shell = huawei(Quirks { deaf_leaves: vec!["SSID"], ..Quirks::default() });
    let now = shell.now;
    shell.cpe.existing_wan("200", "a@isp", now);
    let second = shell.cpe.existing_wan("200", "b@isp", now);
    shell.run_until(State::Failed, 3600);
    assert_eq!((code(&shell), shell.device.attempts), (ReasonCode::SeveralWansMatch, 1));
    assert!(sentence(&shell).contains("retry in 15 min"), "{}", sentence(&shell));
    let parked: Option<&FailedLayer> = shell.device.parked.get(&Layer::Internet);
    let until = parked.and_then(|parked| parked.until).expect("the WAN waits");
    let read_at = |shell: &Shell| shell.device.wan_question.as_ref().map(|asked| asked.read_at);
    let asked = read_at(&shell);
    shell.run(4 * 3600);
    assert!(shell.device.attempts > 2, "the Wi-Fi is tried again{}", shell.story());
    assert_eq!((read_at(&shell), code(&shell)), (asked, ReasonCode::SeveralWansMatch), "the WAN is not");
    // Once the Wi-Fi is in force nothing is left to be done before the WAN's time.
    let attempts = shell.device.attempts;
    shell.cpe.quirks.deaf_leaves.clear();
    shell.feed(Event::TimerFired(provisioning::Timer::Attempt));
    shell.run(8 * 3600);
    assert!(shell.device.in_force(Layer::Access).is_some(), "{}", shell.story());
    assert_eq!((shell.device.state(), shell.device.next_attempt_at), (State::Failed, Some(until)));
    assert!(shell.device.attempts - attempts <= 1 && read_at(&shell) == asked);
    // In its time it is asked again, and an answer is not kept waiting.
    shell.run(13 * 3600);
    assert_ne!(read_at(&shell), asked, "{}", shell.story());
    shell.feed(Event::WanChosen { path: second, by: "ana".into() });
    shell.run_until(State::Active, 3600);
    assert!(shell.device.parked.is_empty());
}

#[test]
fn an_answer_or_a_retry_ends_the_wait_of_a_parked_layer() {
    for retry in [true, false] {
        let mut shell = huawei(Quirks { deaf_leaves: vec!["SSID"], ..Quirks::default() });
        let now = shell.now;
        shell.cpe.existing_wan("200", "a@isp", now);
        let second = shell.cpe.existing_wan("200", "b@isp", now);
        shell.run_until(State::Failed, 3600);
        shell.cpe.quirks.deaf_leaves.clear();
        shell.run(600);
        if retry {
            shell.cpe.set(&format!("{second}X_HW_VLAN"), "300");
            shell.feed(Event::RetryRequested { by: "ana".into() });
        } else {
            shell.feed(Event::WanChosen { path: second, by: "ana".into() });
        }
        shell.run_until(State::Active, 1800);
    }
}

/// FAILED, and what was done could not be undone yet.
fn undoing() -> Shell {
    let unwanted = vec![("Enable", "false", Refusal::Denied)];
    let mut shell = huawei(Quirks { pppoe_refused: true, unwanted, ..Quirks::default() });
    shell.run_until(State::Failed, 3600);
    assert!(shell.device.run.as_ref().is_some_and(|run| run.rollback.is_some()), "{}", shell.story());
    shell
}

#[test]
fn a_retry_during_an_undoing_waits_for_the_cool_down_once() {
    let mut shell = undoing();
    let over = shell.device.last_attempt_began_at.expect("it began").plus_s(shell.context.policy.cool_down_s);
    assert!(over > shell.now);
    shell.feed(Event::RetryRequested { by: "ana".into() });
    assert_eq!(shell.device.next_attempt_at, Some(over));
    shell.cpe.quirks = Quirks::default();
    let left = over.since(shell.now).as_secs();
    shell.run_until(State::Active, left + 300);
}

#[test]
fn an_undoing_of_an_older_record_is_of_the_same_wish() {
    let mut shell = undoing();
    shell.device = {
        let mut device = serde_json::to_value(&shell.device).expect("json");
        device["run"]["rollback"].as_object_mut().expect("an undoing").remove("wanted");
        serde_json::from_value(device).expect("a device")
    };
    shell.cpe.quirks.unwanted.clear();
    shell.run(20 * 60);
    assert_eq!(shell.cpe.value(&format!("{WAN}Enable")), "false", "{}", shell.story());
    assert_eq!((shell.device.state(), shell.device.attempts), (State::Failed, 1), "{}", shell.story());
}
