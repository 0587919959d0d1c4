//! "Does not exist" is said of ONUs, and of boards, ports, frames and profiles as well. That an ONU is not there is only
//! concluded from the words for it, in answer to the question for it, of a board that is in service.

mod common;

use common::{FakeOlt, other_serial, pon, serial};
use olt::{driver::OltError, plan::OnuRef};

/// What an OLT may say when it was not asked about that, or does not know just now. The wording of the first is real; the
/// others are written in its shape.
const NOT_ABOUT_IT: [&str; 12] = [
    "Failure: The ont-lineprofile does not exist",
    "Failure: The board does not exist",
    "Failure: The frame does not exist",
    "Failure: The slot does not exist",
    "Failure: The port does not exist",
    "Failure: The GEM port does not exist",
    "Failure: The board does not exist, or the ONT does not exist",
    "Failure: The ONT does not exist on a board that is being loaded",
    "Failure: The data of the board do not exist",
    "Failure: The main board does not exist or is switching over, the required ONT does not exist",
    "Failure: The VLAN does not exist",
    "Failure: The command cannot be executed, the database of the ONTs does not exist",
];

fn place() -> OnuRef {
    OnuRef { pon: pon(), onu_id: 0 }
}

fn answering(question: &str, answer: &str) -> FakeOlt {
    let olt = FakeOlt::new();
    olt.world().answers.push((question.to_owned(), format!("  {answer}")));
    olt
}

fn not_told<T: std::fmt::Debug>(answer: Result<T, OltError>, context: &str) {
    assert!(matches!(answer, Err(OltError::Refused { .. })), "{context}: {answer:?}");
}

#[tokio::test]
async fn what_is_said_of_something_else_says_nothing_of_an_onu() {
    for words in NOT_ABOUT_IT {
        let olt = answering("display ont info", words);
        let mut driver = olt.driver();
        not_told(driver.onu(place()).await, words);
        not_told(driver.onu_by_serial(other_serial()).await, words);
        not_told(driver.existing(other_serial(), pon()).await, words);
        not_told(driver.onus(pon()).await, words);
        not_told(driver.is_off(place(), other_serial()).await, words);
        not_told(driver.onu_states(pon(), &[]).await, words);
        not_told(driver.management_now(place(), other_serial()).await, words);
        let olt = answering("display service-port", words);
        not_told(olt.driver().service_ports(pon()).await, words);
        not_told(olt.driver().service_ports_of(place()).await, words);
        let olt = answering("display ont ipconfig", words);
        not_told(olt.driver().management_of(place()).await, words);
    }
}

#[tokio::test]
async fn the_words_for_another_question_are_no_answer() {
    for (question, words) in [
        ("display ont info 0 1 6 0", "Failure: There is no ONT available"),
        ("display ont info 0 1 6 all", "Failure: The required ONT does not exist"),
        ("display ont info by-sn", "Failure: The automatically found ONTs do not exist"),
        ("display ont info by-sn", "Failure: No service virtual port can be operated"),
    ] {
        let olt = answering(question, words);
        let mut driver = olt.driver();
        let context = format!("{question}: {words}");
        match question {
            "display ont info 0 1 6 0" => not_told(driver.onu(place()).await, &context),
            "display ont info 0 1 6 all" => not_told(driver.onus(pon()).await, &context),
            _ => not_told(driver.onu_by_serial(other_serial()).await, &context),
        }
    }
}

#[tokio::test]
async fn an_onu_is_not_there_when_its_board_is_and_says_so() {
    let olt = FakeOlt::new();
    let nobody = OnuRef { onu_id: 9, ..place() };
    let mut driver = olt.driver();
    assert_eq!(driver.onu(nobody).await.expect("told"), None);
    assert_eq!(driver.existing(serial(), pon()).await.expect("told"), None);
    assert!(driver.existing(other_serial(), pon()).await.expect("told").is_some());
    assert!(driver.is_off(nobody, serial()).await.expect("told"));
    for status in ["Failed", "Offline", "Configuration", "Auto_find", "Prohibited"] {
        olt.world().board_status = status.to_owned();
        let word = driver.onu(nobody).await.expect_err("not to be told").to_string();
        assert!(word.contains(&format!("the board in slot 0/1 is {status}, not in service")), "{word}");
        not_told(driver.existing(serial(), pon()).await, status);
        // What is seen is seen.
        assert!(driver.onu(place()).await.expect("told").is_some(), "{status}");
        assert!(driver.is_off(nobody, serial()).await.expect("the whole list is there"), "{status}");
    }
    olt.world().board_status = "Standby_normal".to_owned();
    assert_eq!(driver.onu(nobody).await.expect("told"), None);
    // A slot that is not listed, and a list that nobody can read.
    let elsewhere = OnuRef { pon: types::PonPath { slot: 7, ..pon() }, onu_id: 0 };
    let word = driver.onu(elsewhere).await.expect_err("not to be told").to_string();
    assert!(word.contains("the OLT lists no board in slot 0/7"), "{word}");
    olt.world().answers.push(("display board".to_owned(), "  1 ???".to_owned()));
    assert!(driver.onu(nobody).await.is_err());
}

#[tokio::test]
async fn offline_is_believed_of_a_board_that_is_in_service() {
    let list = "  F/S/P   ONT         SN         Control     Run      Config   Match    Protect\n  \
                ------------------------------------------------------------------------------\n  \
                0/ 1/6    0  485754437D4733C3  active      offline  initial  initial  no\n  \
                ------------------------------------------------------------------------------\n  \
                In port 0/ 1/6 , the total of ONTs are: 1, online: 0";
    let olt = answering("display ont info 0 1 6 all", list);
    let mut driver = olt.driver();
    let reading = driver.onu_states(pon(), &[0]).await.expect("read");
    assert_eq!((reading.complete, &reading.doubt), (true, &None), "{reading:?}");
    olt.world().board_status = "Failed".to_owned();
    for expected in [0, 9] {
        let reading = driver.onu_states(pon(), &[expected]).await.expect("read");
        assert!(!reading.complete, "nobody is thought away");
        let doubt = reading.doubt.expect("it is not believed");
        assert!(doubt.contains("the board in slot 0/1 is Failed, not in service"), "{doubt}");
        assert!(reading.unread.iter().any(|told| told.contains(&doubt)), "{:?}", reading.unread);
    }
    let reading = driver.onu_states(pon(), &[]).await.expect("read");
    assert_eq!(reading.doubt, None, "who was offline before stays so; the board is not asked about");
    // Nor is it believed where nobody can tell.
    olt.world().answers.push(("display board".to_owned(), "  1 ???".to_owned()));
    assert!(driver.onu_states(pon(), &[0]).await.expect("read").doubt.is_some());
}

#[tokio::test]
async fn an_empty_list_is_believed_of_a_board_that_is_in_service() {
    let olt = answering("display ont info 0 1 6 all", "Failure: There is no ONT available");
    let mut driver = olt.driver();
    let reading = driver.onu_states(pon(), &[]).await.expect("read");
    assert!(reading.complete && reading.onus.is_empty() && reading.unread.is_empty(), "{reading:?}");
    assert!(driver.is_off(place(), other_serial()).await.expect("told"));
    olt.world().board_status = "Failed".to_owned();
    let reading = driver.onu_states(pon(), &[]).await.expect("read");
    assert!(!reading.complete, "so nobody is thought away");
    assert!(reading.unread[0].contains("the board in slot 0/1 is Failed"), "{reading:?}");
    not_told(driver.is_off(place(), other_serial()).await, "failed board");
    not_told(driver.onus(pon()).await, "failed board");
}
