//! Readings that break off. Wherever a connection ends, in the login or in a reply, the end is "not known": never a shorter
//! list, and never "nothing is there". The texts are written here in the shapes of real replies.

use olt::{
    dialect::Dialect,
    huawei::Huawei,
    limits::Limits,
    machine::{Credentials, Engine, EngineError, Output, Reply},
    parser::ReplyParser,
};
use std::sync::Arc;
use types::Secret;

const PROMPT: &str = "MA5800-X7(config)#";
const RULE: &str = "  -----------------------------------------------------------------------------";
const PAGER: &str = "---- More ( Press 'Q' to break ) ----";

fn engine(asks_for_login: bool) -> Engine {
    let dialect = Dialect::huawei_smartax().expect("the built-in dialect");
    let credentials = Credentials { username: "root".into(), password: Secret::new("hunter2") };
    Engine::new(dialect, credentials, "\n".into(), asks_for_login, Limits::default())
}

fn ready() -> Engine {
    let mut engine = engine(false);
    for _ in 0..2 {
        engine.feed(format!("\r\n{PROMPT}").as_bytes());
    }
    while engine.poll().is_some() {}
    assert!(engine.is_ready());
    engine
}

/// The reply, if the engine takes what came so far for a whole one.
fn whole(engine: &mut Engine, bytes: &[u8]) -> Option<Reply> {
    for byte in bytes {
        engine.feed(&[*byte]);
    }
    let mut reply = None;
    while let Some(output) = engine.poll() {
        if let Output::Finished(finished) = output {
            reply = Some(finished);
        }
    }
    reply
}

fn list() -> String {
    format!(
        "{RULE}\r\n  F/S/P   ONT         SN         Control     Run      Config   Match    Protect\r\n          ID                     flag        state    state    state    side\r\n{RULE}\r\n  0/ 1/0    0  485754437D4733C3  active      online   normal   match    no\r\n{PAGER}\x1b[37D{}\x1b[37D  0/ 1/0    1  5A544547C9E3311B  active      online   normal   match    no\r\n{RULE}\r\n  In port 0/ 1/0 , the total of ONTs are: 2, online: 2\r\n{RULE}\r\n",
        " ".repeat(37)
    )
}

fn autofind() -> String {
    let block = |number: u8, serial: &str| {
        format!(
            "{RULE}\r\n   Number              : {number}\r\n   F/S/P               : 0/1/3\r\n   Ont SN              : {serial}\r\n   VendorID            : HWTC\r\n{RULE}\r\n"
        )
    };
    block(1, "485754437D4733C3 (HWTC-7D4733C3)") + &block(2, "4857544311E70E9A (HWTC-11E70E9A)")
}

fn optics() -> String {
    let row =
        |id| format!("    {id}  -24.68    3.68      -22.68      38           3.200    6        171\r\n");
    format!(
        "{RULE}\r\n  ONT  Rx power  Tx power  OLT Rx ONT  Temperature  Voltage  Current  Distance\r\n{RULE}\r\n{}{}{RULE}\r\n",
        row(0),
        row(1)
    )
}

/// A command, and how an OLT answers it.
type Reading = (&'static str, fn() -> String);

const READINGS: [Reading; 4] = [
    ("display ont info 0 1 0 all", list),
    ("display ont autofind all", autofind),
    ("display ont optical-info 0 all", optics),
    ("display ont autofind all", || "  Failure: The automatically found ONTs do not exist\r\n".to_owned()),
];

#[test]
fn a_reply_that_breaks_off_anywhere_is_no_reply() {
    for (line, answer) in READINGS {
        let text = format!("{line}\r\n{}\r\n{PROMPT}", answer());
        for cut in 0..text.len() {
            for how in ["torn", "silent"] {
                let mut engine = ready();
                engine.line(line, Arc::new([])).expect("a ready engine");
                let early = whole(&mut engine, &text.as_bytes()[..cut]);
                assert_eq!(early, None, "{line} at byte {cut}: {:?}", &text[..cut]);
                if how == "torn" {
                    engine.torn("reset")
                } else {
                    engine.deadline_passed()
                }
                let last = std::iter::from_fn(|| engine.poll()).last();
                let right =
                    matches!(&last, Some(Output::Failed(EngineError::Torn(_) | EngineError::TimedOut)));
                assert!(right && engine.is_dead(), "{line} at byte {cut}: {last:?}");
            }
        }
        let mut engine = ready();
        engine.line(line, Arc::new([])).expect("a ready engine");
        assert!(whole(&mut engine, text.as_bytes()).is_some(), "{line}: the whole of it is one");
    }
}

#[test]
fn a_login_that_breaks_off_anywhere_is_no_login() {
    let turns = [
        "\r\n>>User name:",
        "root\r\n>>User password:",
        "*******\r\n\r\n  Huawei Integrated Access Software (MA5800).\r\n\r\nMA5800-X7>",
        "\r\nMA5800-X7>",
    ]
    .concat();
    for cut in 0..turns.len() {
        let mut engine = engine(true);
        engine.feed(&turns.as_bytes()[..cut]);
        engine.torn("reset");
        let outputs: Vec<Output> = std::iter::from_fn(|| engine.poll()).collect();
        assert!(!outputs.iter().any(|output| matches!(output, Output::LoggedIn(_))), "at byte {cut}");
        assert!(matches!(outputs.last(), Some(Output::Failed(EngineError::Torn(_)))), "at byte {cut}");
    }
}

/// An OLT that forgets the rest of a list by itself, prompt and all: its own count says so.
#[test]
fn a_list_without_its_end_is_not_complete() {
    let line = "display ont info 0 1 0 all";
    let answer = list();
    let lines: Vec<&str> = answer.split_inclusive("\r\n").collect();
    for kept in 0..lines.len() - 2 {
        let mut engine = ready();
        engine.line(line, Arc::new([])).expect("a ready engine");
        let text = format!("{line}\r\n{}{PROMPT}", lines[..kept].concat());
        let reply = whole(&mut engine, text.as_bytes()).expect("it comes to its prompt");
        let table = Huawei.onus_of_pon(&reply.text);
        assert!(!table.complete(), "{kept} lines: {table:?}");
    }
}

/// What may stand anywhere in a reply, between any two bytes of it: it never ends the reply early, and what it spoils is
/// said.
#[test]
fn control_characters_anywhere_cut_nothing_short() {
    let line = "display ont optical-info 0 all";
    let answer = optics();
    let clean = Huawei.optics_of_pon(&answer).rows;
    assert_eq!(clean.len(), 2);
    let noise: [&[u8]; 8] = [b"\0", b"\x07", b"\x1b[0m", b"\x1b[K", b"\x08", b"\x1b", b"\xc3\xbc", b"\xff"];
    for noise in noise {
        for at in 0..answer.len() {
            let mut bytes = format!("{line}\r\n").into_bytes();
            bytes.extend_from_slice(&answer.as_bytes()[..at]);
            bytes.extend_from_slice(noise);
            bytes.extend_from_slice(&answer.as_bytes()[at..]);
            bytes.extend_from_slice(format!("\r\n{PROMPT}").as_bytes());
            let mut engine = ready();
            engine.line(line, Arc::new([])).expect("a ready engine");
            let reply = whole(&mut engine, &bytes);
            let reply = reply.unwrap_or_else(|| panic!("{noise:?} at byte {at}: no reply"));
            let table = Huawei.optics_of_pon(&reply.text);
            // The other row is there in any case, and right.
            let hurt = usize::from(at >= answer.find("    1  -").expect("the second row"));
            let other = &clean[1 - hurt];
            assert!(table.rows.contains(other), "{noise:?} at byte {at}: {table:?}");
        }
    }
}

#[test]
fn a_line_without_end_ends_the_session_and_not_the_program() {
    let mut engine = ready();
    engine.line("display ont autofind all", Arc::new([])).expect("a ready engine");
    engine.feed(b"display ont autofind all\r\n");
    engine.feed(&vec![b'x'; 10_000_000]);
    let last = std::iter::from_fn(|| engine.poll()).last();
    assert!(matches!(last, Some(Output::Failed(EngineError::Limit(_)))), "{last:?}");
}
