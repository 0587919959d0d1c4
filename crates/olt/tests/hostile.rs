//! Descriptions that are not descriptions. Whatever a customer, a technician or another tool typed: it may spoil its own
//! row, never its neighbours', and never makes an ONU look absent that is there. The texts are written here in the shapes
//! of real replies and go through the whole dialogue, byte by byte.

use olt::{
    dialect::Dialect,
    huawei::Huawei,
    limits::Limits,
    machine::{Credentials, Engine, Output, Reply},
    model::{OnuRow, RunState},
    parser::{ReplyParser, Table},
};
use proptest::prelude::*;
use std::{fmt::Write, path::Path, sync::Arc};
use types::Secret;

const RULE: &str = "  -----------------------------------------------------------------------------";
const HOST: &str = "MA5800-X7";
const PROMPT: &str = "MA5800-X7(config)#";
/// Serials of the four ONUs; the second one has the description.
const SERIALS: [&str; 4] = ["485754437D4733C3", "5A544547C9E3311B", "4857544311E70E9A", "48575443DE135E2D"];
const OFFLINE: usize = 3;

/// How an OLT prints its list.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    /// The description in a table of its own.
    TwoTables,
    /// The description in the last column.
    LastColumn,
}

fn state(id: usize) -> &'static str {
    if id == OFFLINE { "offline" } else { "online " }
}

/// As the OLT folds it: so many characters in a line, the rest far to the right.
fn folded(text: &str, at: usize, width: usize) -> String {
    let letters: Vec<char> = text.chars().collect();
    let parts: Vec<String> = letters.chunks(width).map(|part| part.iter().collect()).collect();
    parts.join(&format!("\r\n{}", " ".repeat(at)))
}

fn list(form: Form, description: &str) -> String {
    let mut text = format!("{RULE}\r\n");
    let last = if form == Form::TwoTables { "Protect" } else { "Description" };
    write!(text, "  F/S/P   ONT         SN         Control     Run      Config   Match    {last}\r\n")
        .expect("text");
    text.push_str("          ID                     flag        state    state    state    side\r\n");
    write!(text, "{RULE}\r\n").expect("text");
    let of = |id: usize| if id == 1 { description.to_owned() } else { format!("neighbour {id}") };
    for (id, serial) in SERIALS.iter().enumerate() {
        let last = if form == Form::TwoTables { "no".to_owned() } else { folded(&of(id), 73, 64) };
        let state = state(id);
        write!(text, "  0/ 1/0    {id}  {serial}  active      {state}  normal   match    {last}\r\n")
            .expect("text");
    }
    write!(text, "{RULE}\r\n").expect("text");
    if form == Form::TwoTables {
        write!(text, "  F/S/P   ONT-ID   Description\r\n{RULE}\r\n").expect("text");
        for id in 0..SERIALS.len() {
            write!(text, "  0/ 1/0       {id}   {}\r\n", folded(&of(id), 19, 40)).expect("text");
        }
        write!(text, "{RULE}\r\n").expect("text");
    }
    write!(text, "  In port 0/ 1/0 , the total of ONTs are: 4, online: 3\r\n{RULE}\r\n").expect("text");
    text
}

fn engine() -> Engine {
    let dialect = Dialect::huawei_smartax().expect("the built-in dialect");
    let credentials = Credentials { username: "root".into(), password: Secret::new("hunter2") };
    let mut engine = Engine::new(dialect, credentials, "\n".into(), false, Limits::default());
    engine.feed(format!("\r\n{PROMPT}").as_bytes());
    engine.feed(format!("\r\n{PROMPT}").as_bytes());
    while engine.poll().is_some() {}
    assert!(engine.is_ready());
    engine
}

/// Asks, and lets the OLT answer one byte at a time. Ends when the engine takes something for the end of the reply; the
/// rest comes while it is idle, as with a real OLT.
fn ask(engine: &mut Engine, line: &str, answer: &str) -> Result<Reply, Box<Output>> {
    engine.line(line, Arc::new([])).expect("a ready engine");
    let mut reply = None;
    for byte in format!("{line}\r\n{answer}\r\n{PROMPT}").bytes() {
        engine.feed(&[byte]);
        while let Some(output) = engine.poll() {
            match output {
                Output::Finished(first) if reply.is_none() => reply = Some(first),
                Output::Failed(_) => return Err(Box::new(output)),
                _ => {}
            }
        }
    }
    Ok(reply.expect("an answer"))
}

fn read(form: Form, description: &str) -> Table<OnuRow> {
    let mut engine = engine();
    let reply = ask(&mut engine, "display ont info 0 1 0 all", &list(form, description));
    let reply = reply.unwrap_or_else(|output| panic!("{description:?} ended the session: {output:?}"));
    // Whatever that was, the next answer is the answer to the next question.
    let next = ask(&mut engine, "display version", "  VERSION : MA5800V100R019C10").expect("an answer");
    assert_eq!(next.text, "  VERSION : MA5800V100R019C10", "after {description:?}");
    Huawei.onus_of_pon(&reply.text)
}

/// Nobody is read wrong, and nobody is thought away.
fn truth(table: &Table<OnuRow>, context: &str) {
    for row in &table.rows {
        let id = usize::from(row.onu_id);
        let Some(serial) = SERIALS.get(id) else {
            assert!(!table.complete(), "{context}: ONU {id} was made up");
            continue;
        };
        let ours = row.serial_text == *serial;
        assert!(ours || !table.complete(), "{context}: {row:?}");
        if id != 1 && ours {
            let want = if id == OFFLINE { RunState::Offline } else { RunState::Online };
            assert_eq!(row.run_state, want, "{context}: {row:?}");
        }
    }
    if table.complete() {
        assert_eq!(table.rows.len(), SERIALS.len(), "{context}: somebody is thought away");
    }
}

const HOSTILE: &[(&str, &str)] = &[
    ("plain", "2nd floor, door 5"),
    ("the header of the list", "F/S/P ONT SN Control Run Config Match Protect"),
    ("words of the headers", "Description: Control flag, Run state, Last, Distance Rx/Tx"),
    ("dashes", "----------------------------------------------------------------"),
    ("a colon", "Run state : offline"),
    ("a total", "In port 0/ 1/0 , the total of ONTs are: 99, online: 99"),
    ("a row", "0/ 1/0    0  485754437D4733C3  active offline normal match no"),
    ("a prompt", "MA5800-X7(config)#"),
    ("a short prompt", "MA5800-X7#"),
    ("a pager", "---- More ( Press 'Q' to break ) ----"),
    ("a CR prompt", "{ <cr>||<K> }:"),
    ("a question", "Are you sure? (y/n)[n]:"),
    ("a request for a parameter", "{ url<K>|name<S><Length 1-16> }:"),
    ("a refusal", "Failure: The ONT does not exist"),
    ("a goodbye", "Configuration console exit, please retry to log on"),
    ("an alarm", "! FAULT MAJOR 2026-03-15 10:23:45 ALARM NAME :Loss of signal"),
    ("only blanks", "          "),
    ("wide characters", "客户 — Щукина 🏠 e\u{301}\u{202e}abc"),
    ("sixty-four letters", "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW"),
    ("folded before a row", "........................................ 0/ 1/0    3  who?"),
    ("bells and nulls", "a\x07b\x00c\x1bZd"),
    ("a line end and a row", "x\r\n  0/ 1/0    0  485754437D4733C3  active  offline  normal match no"),
    ("a line end and a total", "x\r\n  In port 0/ 1/0 , the total of ONTs are: 3, online: 0"),
    ("a line end and a prompt", "x\r\nMA5800-X7(config)#"),
    ("a line end and a header", "x\r\n  F/S/P ONT SN Control Run Config Match Protect"),
    ("back to the left", "x\r  0/ 1/0    0  485754437D4733C3  active  offline  normal match no"),
    ("erased to the left", "\x1b[2K\r  0/ 1/0    9  48575443AAAAAAAA  active offline normal match"),
    ("steps back", "x\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08\x08offline"),
];

#[test]
fn a_hostile_description_costs_at_most_its_own_row() {
    let mut shown = String::new();
    for (what, description) in HOSTILE {
        for form in [Form::TwoTables, Form::LastColumn] {
            let table = read(form, description);
            truth(&table, &format!("{what}, {form:?}"));
            let ids: Vec<u16> = table.rows.iter().map(|row| row.onu_id).collect();
            let own = table.rows.iter().find(|row| row.onu_id == 1).and_then(|row| row.description.clone());
            writeln!(
                shown,
                "{what}, {form:?}: {ids:?}{}, described {own:?}",
                if table.complete() { "" } else { ", not complete" }
            )
            .expect("text");
            for note in table.missing.iter().chain(&table.remarks) {
                writeln!(shown, "    {note}").expect("text");
            }
            // Without control characters nothing at all is lost.
            if !description.contains(['\r', '\n', '\x08', '\x1b']) {
                assert!(table.complete() && ids == [0, 1, 2, 3], "{what}, {form:?}: {table:?}");
            }
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/hostile_descriptions.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &shown).expect("written");
    }
    let want = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(shown == want, "{} differs (UPDATE_GOLDEN=1 rewrites it):\n{shown}", path.display());
}

/// The same in the record of one ONU and in the summary.
#[test]
fn records_and_summaries_keep_their_neighbours_too() {
    for (what, description) in HOSTILE {
        let fold = folded(description, 28, 32);
        let record = format!(
            "{RULE}\r\n  F/S/P                   : 0/1/0\r\n  ONT-ID                  : 1\r\n  Run state               : online\r\n  SN                      : 5A544547C9E3311B (ZTEG-C9E3311B)\r\n  Description             : {fold}\r\n  Line profile ID      : 10\r\n  Service profile ID   : 20\r\n{RULE}\r\n"
        );
        let mut one = engine();
        let reply = ask(&mut one, "display ont info 0 1 0 1", &record);
        let reply = reply.unwrap_or_else(|output| panic!("{what} ended the session: {output:?}"));
        match Huawei.onu(&reply.text) {
            Ok(onu) => {
                assert_eq!((onu.onu_id, onu.run_state), (1, RunState::Online), "{what}");
                assert_eq!(onu.serial_text, "5A544547C9E3311B (ZTEG-C9E3311B)", "{what}");
                if !description.contains("\r\n") {
                    assert_eq!(onu.line_profile_id, Some(10), "{what}");
                }
            }
            Err(error) => assert!(description.contains(['\r', '\x1b', '\x08']), "{what}: {error}"),
        }
        let mut summary = format!(
            "{RULE}\r\n  In port 0/1/0, the total of ONTs are: 2, online: 2\r\n{RULE}\r\n  ONT  Run     Last                Last                Last\r\n  ID   State   UpTime              DownTime            DownCause\r\n{RULE}\r\n  0    online  2026-01-06 07:43:46 -                   -\r\n  1    online  2026-01-06 07:43:46 -                   -\r\n{RULE}\r\n  ONT        SN        Type          Distance Rx/Tx power  Description\r\n  ID                                    (m)      (dBm)\r\n{RULE}\r\n"
        );
        write!(summary, "  0   5A544547C9E3311B F660V9           10    -20.00/2.12  {description}\r\n")
            .expect("text");
        write!(summary, "  1   485754437D4733C3 EG8145V5         42    -22.84/2.12  one\r\n{RULE}\r\n")
            .expect("text");
        let mut one = engine();
        let reply = ask(&mut one, "display ont info summary 0/1/0", &summary);
        let reply = reply.unwrap_or_else(|output| panic!("{what} ended the session: {output:?}"));
        let table = Huawei.onu_summary_of_pon(&reply.text);
        let neighbour = table.rows.iter().find(|row| row.onu_id == 1 && row.serial.is_some());
        match neighbour {
            Some(row) => assert_eq!(row.rx_power_cdbm, Some(-2284), "{what}"),
            None => assert!(!table.missing.is_empty(), "{what}: lost in silence"),
        }
        if !description.contains(['\r', '\n', '\x08', '\x1b']) {
            assert!(table.complete() && table.rows[0].rx_power_cdbm == Some(-2000), "{what}: {table:?}");
        }
    }
}

/// Names that devices give themselves.
#[test]
fn a_device_that_names_itself_oddly_hides_nobody() {
    let block = |number: u32, serial: &str, name: &str| {
        format!(
            "   {}\r\n   Number              : {number}\r\n   F/S/P               : 0/1/0\r\n   Ont SN              : {serial}\r\n   VendorID            : HWTC\r\n   Ont EquipmentID     : {name}\r\n   Ont autofind time   : 2026-01-01 00:00:00+00:00\r\n",
            &RULE[2..]
        )
    };
    for (what, name) in HOSTILE {
        let text =
            [block(1, SERIALS[0], "EG8145V5"), block(2, SERIALS[1], name), block(3, SERIALS[2], "F660")]
                .concat();
        let mut one = engine();
        let reply = ask(&mut one, "display ont autofind all", &text);
        let reply = reply.unwrap_or_else(|output| panic!("{what} ended the session: {output:?}"));
        let table = Huawei.autofind(&reply.text);
        assert_eq!(table.rows[0].serial.hex16(), SERIALS[0], "{what}");
        let cut = name.contains(&format!("\r\n{HOST}"));
        assert!(cut || table.rows.iter().any(|onu| onu.serial.hex16() == SERIALS[2]), "{what}: {table:?}");
    }
}

fn fragment() -> impl Strategy<Value = String> {
    let known = HOSTILE.iter().map(|(_, text)| (*text).to_owned()).collect::<Vec<_>>();
    prop_oneof![
        3 => prop::sample::select(known),
        3 => "\\PC{0,64}",
        2 => "[ -~]{0,64}",
        1 => prop::sample::select(vec!["\r\n", "\r", "\n", "\x08", "\x1b[2K", "\x1b[40D", "\t", " "]).prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn no_description_makes_an_onu_look_absent(
        parts in prop::collection::vec(fragment(), 1..5),
        two_tables: bool,
    ) {
        // An OLT takes no longer ones.
        let description: String = parts.concat().chars().take(128).collect();
        let form = if two_tables { Form::TwoTables } else { Form::LastColumn };
        let mut engine = engine();
        if let Ok(reply) = ask(&mut engine, "display ont info 0 1 0 all", &list(form, &description)) {
            let table = Huawei.onus_of_pon(&reply.text);
            truth(&table, &format!("{description:?}"));
            if !description.contains(|c: char| c.is_control()) {
                prop_assert!(table.complete(), "{:?}: {:?}", description, table);
            }
        }
    }
}
