//! Whatever an OLT prints is read or said to be unreadable: no panic, no endless work. Plain functions over bytes, driven
//! by proptest with anything at all and by chance from what was recorded; `cargo xtask fuzz` does the latter for long.

use olt::{
    clean::clean,
    dialect::Dialect,
    huawei::{
        Huawei, lex,
        parse::{counts, onu_added},
    },
    limits::Limits,
    machine::{Credentials, Engine},
    parser::ReplyParser,
};
use proptest::prelude::*;
use std::{path::Path, sync::Arc};
use types::Secret;

#[path = "../../../fuzz/mutate.rs"]
mod mutate;

const PROMPT: &str = "\r\nMA5800-X7(config)#";

/// What comes from a terminal: escapes, backspaces, pagers. What is clean is clean.
fn cleaning(bytes: &[u8]) {
    let text = clean(bytes);
    assert!(!text.contains('\u{1b}'), "an escape is left: {text:?}");
}

/// A clean reply in front of every parser, whatever was asked.
fn parsers(bytes: &[u8]) {
    let text = clean(bytes);
    let text = text.as_str();
    let _ =
        (Huawei.autofind(text), Huawei.onus_of_pon(text), Huawei.onu(text), Huawei.onu_summary_of_pon(text));
    let _ = (Huawei.optics_of_pon(text), Huawei.acs_profile(text), Huawei.service_ports(text));
    let _ = (Huawei.management_of_onu(text), Huawei.management_wans_of_onu(text), Huawei.profiles(text));
    let _ =
        (Huawei.line_profile(text), Huawei.dba_profiles(text), Huawei.boards(text), Huawei.pon_ports(text));
    let _ = (Huawei.version(text), Huawei.vlan(text), counts(text), onu_added(text));
    let _ = (lex::labels(text), lex::sections(text), lex::record(text));
}

/// A whole dialogue: the answer to a question, in pieces, as a connection hands it over.
fn dialogue(bytes: &[u8]) {
    let dialect = Dialect::huawei_smartax().expect("the built-in dialect");
    let credentials = Credentials { username: "root".into(), password: Secret::new("hunter2") };
    let mut engine = Engine::new(dialect, credentials, "\n".into(), false, Limits::default());
    engine.feed(PROMPT.as_bytes());
    engine.feed(PROMPT.as_bytes());
    while engine.poll().is_some() {}
    let asked = engine.line("display ont info 0 1 0 all", Arc::new([]));
    assert!(asked.is_ok(), "a ready engine");
    for piece in bytes.chunks(97).chain([PROMPT.as_bytes()]) {
        engine.feed(piece);
        while engine.poll().is_some() {}
    }
}

fn captures() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    mutate::gather(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join("golden"), &mut found);
    found.extend(mutate::recorded("olt-cli"));
    found.push(
        b"  -----------------------------------------------------------------------------\r\n\
          F/S/P   ONT         SN         Control     Run      Config   Match    Protect\r\n\
          \x20         ID                     flag        state    state    state    side\r\n\
          -----------------------------------------------------------------------------\r\n\
          0/ 1/0    0  485754437D4733C3  active      online  normal   match    no\r\n\
          -----------------------------------------------------------------------------\r\n\
          In port 0/ 1/0 , the total of ONTs are: 1, online: 1\r\n"
            .to_vec(),
    );
    found
}

const WORDS: &[&str] = &[
    "---- More ( Press 'Q' to break ) ----",
    "\u{1b}[37D",
    "\u{1b}[",
    "\u{1b}]0;a\u{7}",
    "\u{8}\u{8}",
    "\r\n",
    "\r",
    "{ <cr>||<K> }:",
    "MA5800-X7(config)#",
    "-----",
    " : ",
    ":",
    "0/ 1/0",
    "99999999999999999999",
    "-",
    "F/S/P",
    "Description",
    "% Unknown command",
    "Failure: ",
    "(y/n)[n]:",
    "\0",
    "\u{fffd}",
    "é",
    "  ",
];

#[test]
fn cleaning_from_what_was_recorded() {
    mutate::drive("cleaning", &captures(), WORDS, cleaning);
}

#[test]
fn parsers_from_what_was_recorded() {
    mutate::drive("parsers", &captures(), WORDS, parsers);
}

#[test]
fn dialogues_from_what_was_recorded() {
    mutate::drive("dialogue", &captures(), WORDS, dialogue);
}

proptest! {
    #[test]
    fn anything_at_all_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        cleaning(&bytes);
        parsers(&bytes);
        dialogue(&bytes);
    }
}
