//! A device that rests comes and goes: what is written of that, when, and what of it survives whoever else writes.

use crate::{
    shell::{callable, machine},
    support::{
        bed::Bed,
        cpe::SimCpe,
        world::{Calls, admin, cpe_row},
    },
};
use app::{
    App,
    ports::{Begin, CpeSession, SessionEnd},
};
use store::rows::CpeSession as Row;
use types::CpeId;

on_both! {
    a_contact_without_an_event_is_written_when_it_is_over,
    what_happens_in_a_session_brings_its_record_along,
    a_contact_that_another_node_overtook_is_added_to_what_that_one_wrote,
    of_two_sessions_at_once_both_have_a_record,
}

async fn sessions(app: &App, id: CpeId) -> Vec<Row> {
    store::cpes::sessions(app.store(), id, 50).await.expect("readable")
}

/// The next periodic Inform, answered.
async fn informed(bed: &Bed, app: &App, cpe: &mut SimCpe) -> Box<dyn CpeSession> {
    while !cpe.wants_session(app.now()) {
        bed.advance_s(1);
        cpe.tick(app.now());
    }
    let (begin, _) = cpe.open(app, app.now()).await;
    let Begin::Accepted(session) = begin else { panic!("{begin:?}") };
    session
}

async fn a_contact_without_an_event_is_written_when_it_is_over(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    let (before, had) = (cpe_row(&app, id).await, sessions(&app, id).await.len());
    let mut session = informed(bed, &app, &mut cpe).await;
    let began = app.now();
    session.ready().await;
    assert_eq!(cpe_row(&app, id).await, before, "nothing happened yet");
    bed.advance_s(2);
    session.end(SessionEnd::Clean).await;
    let row = cpe_row(&app, id).await;
    assert_eq!((row.last_inform_at, row.version), (Some(began), before.version + 1));
    assert!(row.next_inform_by > before.next_inform_by);
    assert_eq!((row.last_inform_at, row.next_inform_by), {
        let machine = machine(&row);
        (machine.last_inform_at, machine.next_inform_by)
    });
    let all = sessions(&app, id).await;
    assert_eq!(all.len(), had + 1);
    assert_eq!((all[0].began_at, all[0].ended_at), (began, Some(app.now())));
    assert_eq!((all[0].outcome.as_deref(), all[0].requests), (Some("clean"), 0));
    // And it is missed later than it would have been before.
    let timers = store::cpes::timers(app.store(), id).await.expect("readable");
    let missed = timers.iter().find(|timer| timer.timer == "inform_overdue").expect("a timer");
    assert!(Some(missed.at) > row.next_inform_by, "{timers:?}");
}

async fn what_happens_in_a_session_brings_its_record_along(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    let had = sessions(&app, id).await.len();
    let mut session = informed(bed, &app, &mut cpe).await;
    let began = app.now();
    app.hold_cpe(&admin(), id, "a test").await.expect("held");
    let open = sessions(&app, id).await;
    assert_eq!((open.len(), open[0].began_at, open[0].ended_at), (had + 1, began, None));
    assert_eq!(cpe_row(&app, id).await.last_inform_at, Some(began), "with what the Inform said");
    session.ready().await;
    session.end(SessionEnd::Clean).await;
    let over = sessions(&app, id).await;
    assert_eq!((over.len(), over[0].id, over[0].outcome.as_deref()), (had + 1, open[0].id, Some("clean")));
}

async fn a_contact_that_another_node_overtook_is_added_to_what_that_one_wrote(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    let mut session = informed(bed, &app, &mut cpe).await;
    let began = app.now();
    let other = bed.app("node-2", &calls).await;
    other.hold_cpe(&admin(), id, "a test").await.expect("held");
    assert!(cpe_row(&app, id).await.last_inform_at < Some(began), "the other node does not know");
    session.ready().await;
    session.end(SessionEnd::Clean).await;
    let row = cpe_row(&app, id).await;
    assert_eq!(row.last_inform_at, Some(began));
    assert!(machine(&row).hold.is_some(), "what the other wrote stays");
}

async fn of_two_sessions_at_once_both_have_a_record(bed: &Bed) {
    let calls = Calls::default();
    let app = bed.app("node-1", &calls).await;
    let (mut cpe, id) = callable(bed, &app, &calls).await;
    let had = sessions(&app, id).await.len();
    let first = informed(bed, &app, &mut cpe).await;
    cpe.cut(app.now());
    let mut second = informed(bed, &app, &mut cpe).await;
    second.ready().await;
    second.end(SessionEnd::Clean).await;
    first.end(SessionEnd::Torn).await;
    let outcomes: Vec<_> = sessions(&app, id).await.into_iter().map(|one| one.outcome).collect();
    assert_eq!(outcomes.len(), had + 2);
    assert_eq!(outcomes[..2], [Some("clean".to_owned()), Some("torn".to_owned())]);
}
