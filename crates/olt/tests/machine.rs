//! The dialogue engine against transcripts. They are written here, in the shapes that recordings of real OLTs have;
//! none of them is a recording.

use olt::{
    dialect::{Dialect, ErrorClass, Verdict},
    limits::Limits,
    machine::{Credentials, Engine, EngineError, Output, Prompt, Reply},
};
use proptest::prelude::*;
use regex::Regex;
use std::sync::Arc;
use types::Secret;

/// A turn of a scripted OLT: what it waits for, what it then prints.
type Turn = (&'static str, String);

fn engine(asks_for_login: bool, limits: Limits) -> Engine {
    let dialect = Dialect::huawei_smartax().expect("the built-in dialect");
    let credentials = Credentials { username: "root".into(), password: Secret::new("hunter2") };
    Engine::new(dialect, credentials, "\n".into(), asks_for_login, limits)
}

/// Plays an OLT. Its text arrives cut after the given numbers of bytes (cycled).
fn play(engine: &mut Engine, script: &[Turn], cuts: &[usize]) -> Vec<Output> {
    let mut outputs = Vec::new();
    let mut cut = cuts.iter().cycle();
    for (wait_for, text) in script {
        if !wait_for.is_empty() {
            let sent = outputs.iter().rev().find_map(|o| match o {
                Output::Send(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
                _ => None,
            });
            assert_eq!(sent.as_deref(), Some(*wait_for), "the OLT waits for {wait_for:?} after {outputs:?}");
        }
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let size = (*cut.next().expect("a cycle")).clamp(1, rest.len());
            engine.feed(&rest[..size]);
            rest = &rest[size..];
            while let Some(output) = engine.poll() {
                outputs.push(output);
            }
        }
    }
    outputs
}

fn run(engine: &mut Engine, line: &str, confirm: &[&str], script: &[Turn], cuts: &[usize]) -> Vec<Output> {
    let confirm: Arc<[Regex]> = confirm.iter().map(|c| Regex::new(c).expect("an expression")).collect();
    engine.line(line, confirm).expect("a ready engine");
    let mut outputs = vec![];
    while let Some(output) = engine.poll() {
        outputs.push(output);
    }
    assert_eq!(outputs, [Output::Send(format!("{line}\n").into_bytes())]);
    outputs.extend(play(engine, script, cuts));
    outputs
}

fn reply(outputs: &[Output]) -> &Reply {
    match outputs.last() {
        Some(Output::Finished(reply)) => reply,
        other => panic!("no reply but {other:?} after {outputs:?}"),
    }
}

fn telnet_login() -> Vec<Turn> {
    vec![
        ("", "\r\n\r\nWarning: only for staff#1 and those with a #\r\n>>User name:".into()),
        ("root\n", "root\r\n>>User password:".into()),
        ("hunter2\n", "*******\r\n\r\n  Huawei Integrated Access Software (MA5608T).\r\n\r\nMA5608T>".into()),
        ("\n", "\r\nMA5608T>".into()),
    ]
}

fn logged_in(cuts: &[usize]) -> Engine {
    let mut engine = engine(true, Limits::default());
    let outputs = play(&mut engine, &telnet_login(), cuts);
    let prompt = Prompt { host: "MA5608T".into(), context: String::new(), end: ">".into() };
    assert_eq!(outputs.last(), Some(&Output::LoggedIn(prompt)));
    engine
}

const LINE: &str = "-----------------------------------------------------------------------------";

#[test]
fn login_by_terminal() {
    logged_in(&[4096]);
}

#[test]
fn a_banner_that_looks_like_a_prompt_is_not_one() {
    let mut engine = engine(false, Limits::default());
    let outputs = play(
        &mut engine,
        &[
            ("", "ACME#".into()),
            ("\n", "1 access network\r\nUse of this device is recorded. YES.NO:".into()),
            ("yes\n", "yes\r\n\r\nMA5800-X7>".into()),
            ("\n", "\r\nMA5800-X7>\r\nMA5800-X7>".into()),
        ],
        &[4096],
    );
    let Some(Output::LoggedIn(prompt)) = outputs.iter().find(|o| matches!(o, Output::LoggedIn(_))) else {
        panic!("no login: {outputs:?}")
    };
    assert_eq!(prompt.host, "MA5800-X7");
}

#[test]
fn a_wrong_password_is_said_in_the_olts_words() {
    let mut engine = engine(true, Limits::default());
    let outputs = play(
        &mut engine,
        &[
            ("", ">>User name:".into()),
            ("root\n", "root\r\n>>User password:".into()),
            ("hunter2\n", "\r\n  Username or password invalid.\r\n\r\n>>User name:".into()),
        ],
        &[4096],
    );
    let words = "Username or password invalid.".to_owned();
    assert_eq!(outputs.last(), Some(&Output::Failed(EngineError::LoginRefused(words))));
    assert!(!format!("{engine:?}").contains("hunter2"));
}

/// Rows that look like a prompt, twice the same, before anybody was asked who we are: the lines of a frame around a
/// banner, or what noise on the line comes to.
#[test]
fn nothing_before_the_password_is_a_prompt() {
    let mut noise = engine(true, Limits::default());
    assert_eq!(play(&mut noise, &[("", "A#\r\nA#".into())], &[4096]), []);
    noise.feed(&[128, 35, 10, 128, 35]);
    assert_eq!(noise.poll(), None);

    let mut framed = engine(true, Limits::default());
    let frame = "****************#";
    let banner = format!("{frame}\r\n*  authorised  #\r\n{frame}\r\n{frame}\r\n>>User name:");
    let mut login = telnet_login();
    login[0] = ("", banner);
    let outputs = play(&mut framed, &login, &[1]);
    let Some(Output::LoggedIn(prompt)) = outputs.last() else { panic!("no login: {outputs:?}") };
    assert_eq!(prompt.host, "MA5608T");
    assert_eq!(outputs.first(), Some(&Output::Send(b"root\n".to_vec())));
}

/// All sessions of the account are taken: over SSH it is said only after the login.
#[test]
fn a_taken_account_is_said_over_ssh_too() {
    let mut engine = engine(false, Limits::default());
    let words = "Reenter times have reached the upper limit.";
    let outputs = play(&mut engine, &[("", format!("\r\n  {words}\r\n"))], &[4096]);
    assert_eq!(outputs.last(), Some(&Output::Failed(EngineError::LoginRefused(words.into()))));
}

/// CR prompt, the command again (wrapped), a refusal wrapped at the end of the line.
#[test]
fn the_verdict_follows_the_last_repeat_of_the_command() {
    let line = "ont delete 0 0";
    let script = [
        (
            "",
            format!("{line}\r\n{{ <cr>||<K> }}: "),
        ),
        (
            "\n",
            "\r\n\r\n  Command:\r\n          ont dele\r\n          te 0 0\r\n  Failure: This configured object has some service virtual\r\n  ports\r\n\r\nMA5608T>".into(),
        ),
    ];
    let mut engine = logged_in(&[4096]);
    let outputs = run(&mut engine, line, &[], &script, &[4096]);
    let reply = reply(&outputs);
    assert_eq!(reply.verdict.class(), Some(ErrorClass::InUse));
    assert_eq!(reply.text, "  Failure: This configured object has some service virtual\n  ports");
    // One newline for one CR prompt, although a blank followed it.
    assert_eq!(outputs.iter().filter(|o| **o == Output::Send(b"\n".to_vec())).count(), 1);
}

fn paged() -> (Vec<Turn>, String) {
    let more = "---- More ( Press 'Q' to break ) ----";
    let erase = format!("\x1b[37D{}\x1b[37D", " ".repeat(37));
    let mut first = format!("display ont info 0 1 0 all\r\n  {LINE}\r\n");
    let mut want = vec![format!("  {LINE}")];
    for id in 0..5 {
        first.push_str(&format!(
            "  0/ 1/0  {id:>3}  48575443000000{id:02}  active      online   normal   match    no\r\n"
        ));
        want.push(format!(
            "  0/ 1/0  {id:>3}  48575443000000{id:02}  active      online   normal   match    no"
        ));
    }
    first.push_str(more);
    let mut second = erase.clone();
    for id in 0..3 {
        second.push_str(&format!("  0/ 1/0       {id}   MA5608T# lives in 5#{id}>\r\n"));
        want.push(format!("  0/ 1/0       {id}   MA5608T# lives in 5#{id}>"));
    }
    second.push_str(more);
    let third =
        format!("{erase}  {LINE}\r\n  In port 0/1/0, the total of ONTs are: 5, online: 5\r\n\r\nMA5608T>");
    want.push(format!("  {LINE}"));
    want.push("  In port 0/1/0, the total of ONTs are: 5, online: 5".into());
    (vec![("", first), (" ", second), (" ", third)], want.join("\n"))
}

#[test]
fn pages_are_turned_and_leave_no_trace() {
    let (script, want) = paged();
    let mut engine = logged_in(&[4096]);
    let outputs = run(&mut engine, "display ont info 0 1 0 all", &[], &script, &[4096]);
    assert_eq!(reply(&outputs).text, want);
}

#[test]
fn an_expected_question_is_answered_yes_and_every_other_one_no() {
    let question = "  Are you sure to release service virtual port(s)? (y/n)[n]:";
    let mut engine = logged_in(&[4096]);
    let line = "undo service-port 5";
    let script = [
        ("", format!("{line}\r\n  Warning: it will interrupt services\r\n{question}")),
        ("y\n", "y\r\n  Deleting end:\r\n  deleted: 1\r\n\r\nMA5608T>".into()),
    ];
    let outputs = run(&mut engine, line, &["(?i)release service virtual port"], &script, &[4096]);
    assert!(reply(&outputs).refused_questions.is_empty());

    let script = [("", format!("{line}\r\n{question}")), ("n\n", "n\r\n\r\nMA5608T>".into())];
    let outputs = run(&mut engine, line, &["something else"], &script, &[4096]);
    assert_eq!(reply(&outputs).refused_questions, [question.trim()]);
    assert!(outputs.contains(&Output::Raised(question.trim().to_owned())));
}

#[test]
fn alarms_do_not_shift_replies() {
    let mut engine = logged_in(&[4096]);
    let alarm = "\r\n  ! FAULT MAJOR 2026-03-15 10:23:45 ALARM NAME :Loss of signal\r\n  ALARM ID :0x2e112003\r\n  PARAMETERS :FrameID: 0, SlotID: 1, PortID: 0\r\n  Failure: this text is the alarm's\r\n  --- END\r\n";
    // While idle: the prompt comes again, uninvited.
    engine.feed(format!("{alarm}\r\nMA5608T>").as_bytes());
    // In the middle of the echo, and in the middle of the reply.
    let script =
        [("", format!("display ont in{alarm}fo 0 1 0 all\r\n  row one\r\n{alarm}  row two\r\n\r\nMA5608T>"))];
    let outputs = run(&mut engine, "display ont info 0 1 0 all", &[], &script, &[4096]);
    let first = reply(&outputs).clone();
    let rows: Vec<&str> = first.text.lines().filter(|l| !l.is_empty()).collect();
    assert_eq!(
        (rows.as_slice(), &first.verdict),
        (["  row one", "  row two"].as_slice(), &Verdict::Accepted)
    );
    // An alarm between sending and echo repeats the prompt: it is not the answer.
    let script =
        [("", format!("{alarm}MA5608T>\r\nMA5608T>display version\r\n  VERSION : X\r\n\r\nMA5608T>"))];
    let outputs = run(&mut engine, "display version", &[], &script, &[4096]);
    assert_eq!(reply(&outputs).text, "  VERSION : X");
}

#[test]
fn the_prompt_tells_the_mode() {
    let mut engine = logged_in(&[4096]);
    let outputs = run(&mut engine, "enable", &[], &[("", "enable\r\n\r\nMA5608T#".into())], &[4096]);
    assert_eq!(reply(&outputs).prompt.end, "#");
    let script = [("", "interface gpon 0/1\r\n\r\nMA5608T(config-if-gpon-0/1)#".into())];
    let outputs = run(&mut engine, "interface gpon 0/1", &[], &script, &[4096]);
    assert_eq!(reply(&outputs).prompt.context, "(config-if-gpon-0/1)");
}

#[test]
fn a_missing_parameter_ends_the_session() {
    let mut engine = logged_in(&[4096]);
    let script = [("", "ont tr069-server-profile add profile-id 1\r\n{ url<K> }:".into())];
    let outputs = run(&mut engine, "ont tr069-server-profile add profile-id 1", &[], &script, &[4096]);
    assert_eq!(outputs.last(), Some(&Output::Failed(EngineError::Incomplete("{ url<K> }:".into()))));
    assert!(engine.line("display version", Arc::new([])).is_err());
}

#[test]
fn a_deadline_a_cut_and_the_olts_goodbye_end_the_session() {
    let goodbye = "Configuration console time out, please retry to log on";
    type Blow = Box<dyn Fn(&mut Engine)>;
    let blows: [(Blow, EngineError); 3] = [
        (Box::new(Engine::deadline_passed), EngineError::TimedOut),
        (Box::new(|e| e.torn("reset")), EngineError::Torn("reset".into())),
        (
            Box::new(move |e| e.feed(format!("\r\n  {goodbye}\r\n").as_bytes())),
            EngineError::Closed(goodbye.into()),
        ),
    ];
    for (blow, want) in blows {
        let mut engine = logged_in(&[4096]);
        engine.line("ont add 0 0", Arc::new([])).expect("a ready engine");
        let _ = engine.poll();
        blow(&mut engine);
        assert_eq!(engine.poll(), Some(Output::Failed(want)));
        assert!(engine.is_dead());
        // What comes late is not an answer any more.
        engine.feed(b"ont add 0 0\r\n  success: 1\r\nMA5608T>");
        assert_eq!(engine.poll(), None);
    }
}

#[test]
fn limits_hold() {
    let small = Limits {
        reply_bytes: 2000,
        reply_lines: 20,
        line_columns: 300,
        pages: 2,
        cr_prompts: 1,
        questions: 1,
        login_bytes: 2000,
    };
    let floods: [String; 6] = [
        "x\r\n".repeat(30),
        "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"
            .repeat(25),
        "z".repeat(400),
        "---- More ( Press 'Q' to break ) ----\r\n".repeat(3),
        "{ <cr>||<K> }:\r\n".repeat(2),
        "Sure? (y/n)[n]:\r\n".repeat(2),
    ];
    for flood in floods {
        let mut engine = engine(true, small);
        play(&mut engine, &telnet_login(), &[4096]);
        engine.line("display version", Arc::new([])).expect("a ready engine");
        engine.feed(b"display version\r\n");
        engine.feed(flood.as_bytes());
        let mut last = None;
        while let Some(output) = engine.poll() {
            last = Some(output);
        }
        assert!(matches!(last, Some(Output::Failed(EngineError::Limit(_)))), "{flood:.40}: {last:?}");
    }
    let mut engine = engine(true, small);
    engine.feed("no prompt at all\r\n".repeat(200).as_bytes());
    assert!(matches!(engine.poll(), Some(Output::Failed(EngineError::Limit(_)))));
}

proptest! {
    /// However the network cuts it, the same bytes give the same outputs.
    #[test]
    fn cuts_do_not_matter(cuts in proptest::collection::vec(1usize..40, 1..30)) {
        let whole = {
            let mut engine = logged_in(&[4096]);
            let (script, _) = paged();
            run(&mut engine, "display ont info 0 1 0 all", &[], &script, &[1 << 20])
        };
        for cuts in [cuts.as_slice(), &[1]] {
            let mut engine = logged_in(cuts);
            let (script, _) = paged();
            let outputs = run(&mut engine, "display ont info 0 1 0 all", &[], &script, cuts);
            prop_assert_eq!(&outputs, &whole);
        }
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600), login: bool) {
        let mut engine = if login { engine(true, Limits::default()) } else { logged_in(&[4096]) };
        if !login {
            engine.line("display version", Arc::new([])).expect("a ready engine");
        }
        engine.feed(&bytes);
        while let Some(output) = engine.poll() {
            // Garbage never logs us in and never answers: the echo and the learned prompt are missing.
            prop_assert!(!matches!(output, Output::LoggedIn(_) | Output::Finished(_)), "{:?}", output);
        }
    }
}
