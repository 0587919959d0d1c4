//! What an OLT is, and whether it has saved: asked again when it may have changed, believed only when it says so.

mod common;

use common::{FakeOlt, dialect, impatient, pon};
use olt::{
    dialect::{Dialect, HUAWEI_SMARTAX},
    driver::{Driver, OltError},
    queue::OltHandle,
    save::Saved,
};
use std::{sync::Arc, time::Duration};

const LONG: Duration = Duration::from_secs(60);

fn handle(olt: &FakeOlt) -> OltHandle {
    OltHandle::spawn_with(olt.driver(), 8, LONG, LONG)
}

#[tokio::test]
async fn an_olt_says_what_it_is_after_every_login_and_when_it_is_not_understood() {
    let olt = FakeOlt::new();
    let handle = handle(&olt);
    let version = || async { handle.facts().await.expect("facts").version.version };
    for _ in 0..3 {
        assert_eq!(version().await, "MA5800V100R019C10");
        handle.discover().await.expect("detected");
    }
    assert_eq!(olt.world().versions, 1, "once in a session");
    // It restarts with other software: the session breaks at the next question.
    olt.world().software = "MA5800V100R021C00".to_owned();
    olt.arm(1, common::Blow::CutBefore);
    handle.discover().await.expect("detected, in a new session");
    assert_eq!(version().await, "MA5800V100R021C00");
    assert_eq!(olt.world().logins, 2);
    assert_eq!(olt.world().versions, 2);
    // It answers in a way that nobody understands.
    olt.world().torn_ports = true;
    assert!(matches!(handle.service_ports(pon()).await, Err(OltError::Parse { .. })));
    olt.world().torn_ports = false;
    olt.world().software = "MA5800V100R022C00".to_owned();
    assert_eq!(version().await, "MA5800V100R022C00");
    assert_eq!(version().await, "MA5800V100R022C00");
    assert_eq!(olt.world().versions, 3, "asked again, once");
}

/// A dialect that waits for the end of a saving for a moment only.
fn hasty(olt: &FakeOlt) -> Driver {
    let patch = "[command.save.later]\nwait_s = 0\n";
    let dialect = Dialect::with_patch(HUAWEI_SMARTAX, patch).expect("a dialect");
    Driver::new(Arc::new(olt.clone()), Arc::new(dialect), impatient()).expect("a driver")
}

#[tokio::test]
async fn saving_has_succeeded_only_when_the_olt_says_that_it_is_complete() {
    let olt = FakeOlt::new();
    let mut driver = olt.driver();
    assert_eq!(driver.save().await.expect("saved"), Saved::Completed);
    // The prompt came back before that, and the next answer is the answer to the next question.
    assert_eq!(driver.probe().await.expect("facts").version.version, "MA5800V100R019C10");

    olt.world().save_says.clear();
    let mut driver = hasty(&olt);
    let started = driver.save().await.expect("started");
    assert_eq!(started, Saved::Started { waited: Duration::ZERO });
    assert_eq!(started.to_string(), "saving was started, completion not seen within 0 s");
    driver.probe().await.expect("the session is as good as before");
    assert_eq!(olt.world().logins, 2);

    // The standby board is still at it.
    let board = |slot: u8, what: &str| format!("The {what} {slot} slot's main control board is: 10%");
    let done = |slot: u8| format!("The data of {slot} slot's main control board is saved completely");
    let both =
        vec![board(8, "percentage of saved data on"), board(9, "percentage of saved data on"), done(8)];
    olt.world().save_says = both.clone();
    assert!(matches!(hasty(&olt).save().await, Ok(Saved::Started { .. })), "one of two boards");
    olt.world().save_says = [both, vec![done(9)]].concat();
    assert!(matches!(olt.driver().save().await, Ok(Saved::Completed)));

    // The session dies with the command, before it is answered or while it is listened for the end: begun, not seen.
    for blow in [common::Blow::CutBefore, common::Blow::CutAfter] {
        olt.world().save_says.clear();
        let mut driver = olt.driver();
        driver.probe().await.expect("facts");
        let saves = olt.world().saves;
        // After the one that leads to its mode.
        olt.arm(2, blow);
        let sent = driver.save().await.expect("no failure, and no success");
        assert!(matches!(sent, Saved::Sent { .. }), "{blow:?}: {sent:?}");
        assert!(
            sent.to_string().contains("completion not seen: the connection to the OLT was lost"),
            "{sent}"
        );
        assert_eq!(
            olt.world().saves - saves,
            usize::from(blow == common::Blow::CutAfter),
            "and not sent again"
        );
        assert!(driver.probe().await.is_ok(), "in a new session");
    }
    // One that breaks before the command was on its way has saved nothing.
    olt.arm(1, common::Blow::CutBefore);
    let error = olt.driver().save().await.expect_err("nothing was begun");
    assert!(matches!(error, OltError::Session(_)), "{error}");
    // What was heard before the session broke counts.
    let mut torn = vec!["The data of 0 slot's main control board is saved completely".to_owned()];
    olt.world().save_says = torn.clone();
    olt.world().save_cuts = true;
    assert_eq!(olt.driver().save().await.expect("saved"), Saved::Completed);
    torn = vec!["The percentage of saved data on 0 slot's main control board is: 40%".to_owned()];
    olt.world().save_says = torn;
    assert!(matches!(olt.driver().save().await, Ok(Saved::Sent { .. })), "40 % is not all");
    olt.world().save_cuts = false;

    olt.world().save_says = vec!["Failed to save the configuration file: no space".to_owned()];
    let error = olt.driver().save().await.expect_err("it failed");
    assert!(error.to_string().contains("Failed to save the configuration file: no space"), "{error}");
    assert!(dialect().knows("save"));
}
