//! The queue of one OLT: one session, order, limits, callers that go away.

mod common;

use common::{FakeOlt, MemoryJournal, authorise, pon};
use olt::{
    driver::OltError,
    queue::OltHandle,
    saga::{Journal, JournalError, Outcome, SagaError, TaskRecord, TaskState},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::Notify;

const LONG: Duration = Duration::from_secs(600);

fn handle(olt: &FakeOlt, length: usize) -> OltHandle {
    OltHandle::spawn_with(olt.driver(), length, LONG, LONG)
}

/// A journal that waits at its first write until it is let go.
struct Gate {
    reached: Arc<Notify>,
    open: Arc<Notify>,
    inner: MemoryJournal,
}

#[async_trait::async_trait]
impl Journal for Gate {
    async fn load(&mut self) -> Result<Option<TaskRecord>, JournalError> {
        self.inner.load().await
    }
    async fn begin(&mut self, record: &TaskRecord) -> Result<(), JournalError> {
        self.reached.notify_one();
        self.open.notified().await;
        self.inner.begin(record).await
    }
    async fn advance(&mut self, state: &TaskState) -> Result<(), JournalError> {
        self.inner.advance(state).await
    }
}

fn gate() -> (Gate, Arc<Notify>, Arc<Notify>, MemoryJournal) {
    let (reached, open, inner) = (Arc::new(Notify::new()), Arc::new(Notify::new()), MemoryJournal::default());
    let gate = Gate { reached: Arc::clone(&reached), open: Arc::clone(&open), inner: inner.clone() };
    (gate, reached, open, inner)
}

#[tokio::test]
async fn reads_share_the_session_of_writes() {
    let olt = FakeOlt::new();
    let handle = handle(&olt, 64);
    let (a, b, c, d) = tokio::join!(
        handle.discover(),
        handle.execute(authorise(), Box::new(MemoryJournal::default())),
        handle.onus(pon()),
        handle.profiles(),
    );
    assert_eq!(a.expect("detected").rows.len(), 1);
    assert!(matches!(b.expect("an outcome"), Outcome::Done(_)));
    assert_eq!(c.expect("ONUs").len(), 2);
    // This OLT knows no list of profiles: said, not guessed.
    assert!(matches!(d, Err(OltError::Refused { .. })));
    let (logins, most) = {
        let world = olt.world();
        (world.logins, world.most_sessions)
    };
    assert_eq!((logins, most), (1, 1));
    assert!(handle.status().connected);
    handle.disconnect().await.expect("disconnected");
    assert!(!handle.status().connected);
    assert_eq!(olt.world().open_sessions, 0);
}

/// Ten ONUs at once on one PON: one after the other, each with its own id.
#[tokio::test]
async fn tasks_on_the_same_pon_never_race_for_an_id() {
    let olt = FakeOlt::new();
    let serials: Vec<types::Serial> =
        (0..10u8).map(|n| types::Serial::from_bytes([0x48, 0x57, 0x54, 0x43, 0, 0, 1, n])).collect();
    for serial in &serials {
        olt.world().autofind.insert(*serial, pon());
    }
    let handle = handle(&olt, 64);
    let tasks = serials.iter().map(|serial| {
        let mut spec = common::spec();
        spec.serial = *serial;
        handle.execute(olt::plan::Operation::Authorise(spec), Box::new(MemoryJournal::default()))
    });
    let mut ids = std::collections::BTreeSet::new();
    for outcome in futures::future::join_all(tasks).await {
        let Ok(Outcome::Done(report)) = outcome else { panic!("{outcome:?}") };
        ids.insert(report.onu.onu_id);
    }
    assert_eq!(ids, (1..=10).collect());
    let world = olt.world();
    assert_eq!((world.onts.len(), world.ports.len(), world.most_sessions), (11, 21, 1));
}

#[tokio::test]
async fn a_task_whose_caller_went_away_is_finished_and_a_read_is_skipped() {
    let olt = FakeOlt::new();
    let handle = handle(&olt, 64);
    let (gate, reached, open, journal) = gate();
    let caller = tokio::spawn({
        let handle = handle.clone();
        async move { handle.execute(authorise(), Box::new(gate)).await }
    });
    reached.notified().await;
    assert!(handle.status().running.is_some_and(|r| r.contains("authorise HWTC-7D4733C3")));
    let reader = tokio::spawn({
        let handle = handle.clone();
        async move { handle.optics(pon(), || true).await }
    });
    while handle.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    // Both callers go away: the browser was closed.
    caller.abort();
    reader.abort();
    let _ = (caller.await, reader.await);
    open.notify_one();
    // The next question is answered after the task is done.
    assert_eq!(handle.onus(pon()).await.expect("ONUs").len(), 2);
    assert!(olt.is_complete());
    let record = journal.record.lock().expect("record").clone().expect("journalled");
    assert!(matches!(record.state, TaskState::Finished { outcome: Outcome::Done(_) }), "{:?}", record.state);
}

#[tokio::test]
async fn the_light_is_read_when_nothing_else_waits() {
    let olt = FakeOlt::new();
    let handle = handle(&olt, 64);
    let (gate, reached, open, _journal) = gate();
    let order = tokio::spawn({
        let handle = handle.clone();
        async move { handle.execute(authorise(), Box::new(gate)).await }
    });
    reached.notified().await;
    let ended = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (light, list) = (ended.clone(), ended.clone());
    let waits_for = |waiting: usize| {
        let handle = handle.clone();
        async move {
            while handle.waiting() < waiting {
                tokio::task::yield_now().await;
            }
        }
    };
    let light = tokio::spawn({
        let handle = handle.clone();
        async move {
            let optics = handle.optics(pon(), || true).await;
            light.lock().expect("lock").push("light");
            optics
        }
    });
    waits_for(1).await;
    let listed = tokio::spawn({
        let handle = handle.clone();
        async move {
            let onus = handle.onus(pon()).await;
            list.lock().expect("lock").push("list");
            onus
        }
    });
    waits_for(2).await;
    open.notify_one();
    let _ = order.await.expect("ends");
    listed.await.expect("ends").expect("ONUs");
    let _ = light.await.expect("ends");
    assert_eq!(*ended.lock().expect("lock"), ["list", "light"], "although it was asked for later");
}

#[tokio::test]
async fn the_light_is_not_read_when_somebody_came_before_its_turn() {
    let olt = FakeOlt::new();
    let handle = handle(&olt, 64);
    let (gate, reached, open, _journal) = gate();
    let order = tokio::spawn({
        let handle = handle.clone();
        async move { handle.execute(authorise(), Box::new(gate)).await }
    });
    reached.notified().await;
    let free = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let light = tokio::spawn({
        let (handle, free) = (handle.clone(), free.clone());
        async move { handle.optics(pon(), move || free.load(std::sync::atomic::Ordering::SeqCst)).await }
    });
    while handle.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    free.store(false, std::sync::atomic::Ordering::SeqCst);
    open.notify_one();
    let _ = order.await.expect("ends");
    assert_eq!(light.await.expect("ends").expect("the queue runs"), None, "asked of nobody");
}

#[tokio::test]
async fn a_full_queue_says_so_and_nothing_is_lost() {
    let olt = FakeOlt::new();
    let handle = handle(&olt, 2);
    let (gate, reached, open, _) = gate();
    let first = tokio::spawn({
        let handle = handle.clone();
        async move { handle.execute(authorise(), Box::new(gate)).await }
    });
    reached.notified().await;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(async move { handle.discover().await })
        })
        .collect();
    while handle.waiting() < 2 {
        tokio::task::yield_now().await;
    }
    let refused = handle.discover().await;
    assert!(matches!(&refused, Err(OltError::Queue(words)) if words.contains("waiting")), "{refused:?}");
    let refused = handle.execute(authorise(), Box::new(MemoryJournal::default())).await;
    assert!(matches!(refused, Err(SagaError::NotStarted(OltError::Queue(_)))), "{refused:?}");
    open.notify_one();
    assert!(matches!(first.await.expect("joined"), Ok(Outcome::Done(_))));
    for waiting in waiting {
        waiting.await.expect("joined").expect("detected");
    }
    assert_eq!(handle.waiting(), 0);
}

#[tokio::test]
async fn an_idle_session_is_closed_and_a_lost_one_replaced() {
    let olt = FakeOlt::new();
    let moment = Duration::from_millis(30);
    let handle = OltHandle::spawn_with(olt.driver(), 8, moment, moment);
    handle.discover().await.expect("detected");
    let mut status = handle.watch();
    tokio::time::timeout(LONG, status.wait_for(|s| !s.connected)).await.expect("in time").expect("closed");
    assert_eq!(olt.world().open_sessions, 0);
    handle.discover().await.expect("detected again");
    // The OLT drops us between two questions: the next one is asked on a new session.
    let lasting = common::FakeOlt::new();
    let handle = OltHandle::spawn_with(lasting.driver(), 8, LONG, LONG);
    handle.discover().await.expect("detected");
    lasting.arm(1, common::Blow::CutBefore);
    handle.discover().await.expect("detected again");
    assert_eq!(lasting.world().logins, 2);
}

#[tokio::test]
async fn keep_alive_keeps_the_session() {
    let olt = FakeOlt::new();
    let handle = OltHandle::spawn_with(olt.driver(), 8, LONG, Duration::from_millis(5));
    handle.discover().await.expect("detected");
    let mut status = handle.watch();
    status.mark_unchanged();
    // Several keep-alives later it is still the same session.
    for _ in 0..3 {
        status.changed().await.expect("a keep-alive");
        assert!(status.borrow_and_update().connected);
    }
    handle.discover().await.expect("detected");
    assert_eq!(olt.world().logins, 1);
}
